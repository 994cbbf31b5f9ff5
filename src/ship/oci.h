/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ship/oci.h - the words of an OCI image layout, and reading one. */
#ifndef KENNEL_SHIP_OCI_H
#define KENNEL_SHIP_OCI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/strv.h"
#include "ship/entry.h"

#define OCI_INDEX "application/vnd.oci.image.index.v1+json"
#define OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define OCI_CONFIG "application/vnd.oci.image.config.v1+json"
#define OCI_LAYER_GZIP "application/vnd.oci.image.layer.v1.tar+gzip"
#define OCI_LAYER_ZSTD "application/vnd.oci.image.layer.v1.tar+zstd"
#define OCI_MARK "io.kennel.export"

#define OCI_DIGEST_SIZE 72 /* "sha256:" + 64 + NUL */
#define OCI_JSON_MAX (4u << 20)

struct oci_descriptor {
	char digest[OCI_DIGEST_SIZE];
	uint64_t size;
};

struct oci_manifest {
	struct oci_descriptor *layers;
	size_t n_layers;
	char *mark; /* the annotation, or NULL */
	bool has_config;
	struct oci_descriptor config;
};

/*
 * The manifest for this architecture out of an index (the only one, where there is only one), or that an
 * index leads to another index. Pure. Return: 0, or a code.
 */
int oci_index_parse(const char *text, size_t len, const char *arch, struct oci_descriptor *ret,
		    bool *ret_is_index, struct kennel_error **err) MUST_CHECK;
/* Pure. */
int oci_manifest_parse(const char *text, size_t len, struct oci_manifest *ret, struct kennel_error **err)
	MUST_CHECK;
void oci_manifest_done(struct oci_manifest *m);

/*
 * How an image wants to be run, as keys and values of a spec, one after the other: command (Entrypoint and
 * Cmd), env, workdir, user. What it does not say is not there. Pure.
 */
int oci_config_parse(const char *text, size_t len, struct strv *ret, struct kennel_error **err) MUST_CHECK;

/* "amd64", "arm64", ...: this machine as Go says it. */
const char *oci_arch(void);

#endif
