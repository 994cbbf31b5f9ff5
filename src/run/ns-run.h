/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/ns-run.h - a command in new namespaces and nothing else: no copy of anything, no walls.
 */
#ifndef KENNEL_RUN_NS_RUN_H
#define KENNEL_RUN_NS_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "idmap/map.h"

struct spec;

struct ns_request {
	uint64_t kinds; /* CLONE_NEW* */
	const struct idmap_lines *users, *groups; /* NULL: somebody else writes the maps */
	bool become; /* uid and gid; else root where the maps have it, else what it is */
	uint32_t uid, gid;
	bool proc, keep_caps;
	const char *hostname;
	const char *offsets; /* of a time namespace, as the kernel takes them, or NULL */
	const struct spec *spec; /* command and workdir */
	/* The process is there; with waits, it stands still until it has maps. May refuse. */
	int (*started)(void *data, int pid, bool waits, struct kennel_error **err);
	void *data;
};

/* Return: 0 and the exit code of the command (128+N for signal N), or a negative code. */
int ns_run(const struct ns_request *q, int *ret_status, struct kennel_error **err) MUST_CHECK;

/* "mount,pid,..." to CLONE_NEW*; "all" is all of them. Adds to *ret. Pure. */
int ns_kinds_parse(const char *words, uint64_t *ret, struct kennel_error **err) MUST_CHECK;
/* UID[:GID], the group's number being that of the user where it is left out. Pure. */
int ns_ids_parse(const char *word, uint32_t *ret_uid, uint32_t *ret_gid, struct kennel_error **err)
	MUST_CHECK;

#endif
