/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * conf/template.h - the words of templates: how one is named, what its first lines say, what it says of its
 * progress. Pure; all of it may be anybody's work.
 */
#ifndef KENNEL_CONF_TEMPLATE_H
#define KENNEL_CONF_TEMPLATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

#define TEMPLATE_VERSION 1

enum template_kind {
	TEMPLATE_PROGRAM, /* of kennel's, by name, or anybody's by its full path */
	TEMPLATE_DIR,
	TEMPLATE_IMAGE,
	TEMPLATE_OCI,
	TEMPLATE_OCI_REMOTE, /* docker://...: a program fetches it first */
};

/* "dir:PATH", "image:PATH", "oci:REF", a name or a full path. *ret_rest lies in word. */
int template_word_parse(const char *word, enum template_kind *ret, const char **ret_rest,
			struct kennel_error **err) MUST_CHECK;

/* May a file of a directory of templates be one? A letter or digit first, then also ".", "_" and "-". */
bool template_name_is_plain(const char *name);

struct template_header {
	char *summary;
	bool network; /* it needs the machine's */
	bool leaves_oci; /* an image layout rather than a root */
};

/*
 * The comment lines that a template begins with: "# kennel-template: 1" must be among them, "kennel-summary",
 * "kennel-network: none|host" and "kennel-leaves: root|oci" may be; other keys that begin with "kennel-" are
 * refused, for they mean something that this kennel does not know.
 */
int template_header_parse(const char *text, size_t len, struct template_header *ret,
			  struct kennel_error **err) MUST_CHECK;
void template_header_done(struct template_header *h);

struct template_step {
	uint64_t done, total;
	const char *text; /* in the line */
};

/* "progress N/M TEXT". Return: 1, or 0 it is something else. */
int template_step_parse(const char *line, struct template_step *ret);

#endif
