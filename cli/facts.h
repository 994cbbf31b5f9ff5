/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cli/facts.h - the facts about a sandbox that "list" and "info" show, and how. */
#ifndef KENNEL_CLI_FACTS_H
#define KENNEL_CLI_FACTS_H

#include <kennel/kennel.h>

#include "base/buf.h"

/* The text of a fact, "-" where the sandbox does not have it. */
const char *fact_text(const struct kennel_list *list, size_t i, const char *key);
/* Seconds since the sandbox was started or, for a container that is stopped, since it was last used. */
uint64_t fact_age(const struct kennel_list *list, size_t i);
/* All facts as members of a JSON object that the caller has opened. */
void fact_json(struct buf *b, const struct kennel_list *list, size_t i);

/*
 * A detail "mount" of the library is a line with tabs: verdict, path, file system, and for a mount that is
 * left out why.
 */
struct mount_line {
	char *text;             /* a copy of the line, which the fields lie in */
	const char *verdict, *path, *fstype, *reason;   /* "" where the line ends before */
};

/* The lines of a detail as an array, a member of the object. */
void fact_json_lines(struct buf *b, const struct kennel_list *list, size_t i, const char *name,
		     const char *key);

/* Of the limits that were hit (enum kennel_limit_hit): why processes were killed; NULL where none was. */
const char *fact_killed(unsigned hits);
/* The same as the details "limit-hit" have it. */
unsigned fact_hits(const struct kennel_list *list);

/* A detail "interface": name inside, kind, what it hangs on outside, addresses with blanks between. */
struct interface_line {
	char *text;
	char *name, *kind, *outside, *addresses;
};

struct interface_line split_interface(const char *line);
void interface_line_done(struct interface_line *in);
#define _cleanup_interface_line_ __attribute__((cleanup(interface_line_done)))

struct mount_line split_mount(const char *line);
void mount_line_done(struct mount_line *m);
#define _cleanup_mount_line_ __attribute__((cleanup(mount_line_done)))

#endif
