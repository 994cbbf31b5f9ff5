/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/copy.h - copying between this machine and a running sandbox.
 *
 * The parent half (copy.c) takes two words apart, holds the sandbox (copy-root.c), starts a process of its
 * own for the copying and turns that one's report into an error. The child half (copy/child.h) resolves
 * every path and touches every file.
 */
#ifndef KENNEL_RUN_COPY_H
#define KENNEL_RUN_COPY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "idmap/idmap.h"

/* What the registry says about the sandbox. */
struct copy_sandbox {
	pid_t init, monitor;
	bool mapped; /* has a map of its own: ids inside are ids outside minus map.base */
	struct idmap map;
};

/*
 * Is word "ID:PATH"? A word that begins with "/" or ".", or with a "/" before its colon, is a path of this
 * machine, as in docker cp. *ret_id is the caller's, *ret_path points into word. Return: 1 it is (*ret_*
 * set), 0 not, or a negative code.
 */
int copy_split_word(const char *word, char **ret_id, const char **ret_path, struct kennel_error **err)
	MUST_CHECK;

/* "BASE:COUNT" or "no" of a runtime entry. */
int copy_parse_idmap(const char *text, struct copy_sandbox *sb, struct kennel_error **err) MUST_CHECK;

/*
 * Root directory of a sandbox's first process, as O_PATH, and that process as a pidfd. The process is the
 * one that the entry means: a child of its monitor, in namespaces that are not ours, and past its
 * pivot_root().
 */
int copy_open_root(const struct copy_sandbox *sb, int *ret_pidfd, int *ret_root_fd, struct kennel_error **err)
	MUST_CHECK;

struct copy_request {
	int root_fd; /* of the sandbox */
	bool out; /* out of it; else into it */
	const char *source, *target; /* paths; the one inside is below root_fd */
	const char *label; /* for words about the source, or NULL */
	bool links; /* struct copy_job */
	bool mapped;
	struct idmap map;
	bool joins;     /* an ordinary user's: the copying process becomes root of pidfd's user namespace */
	int pidfd;
};

/*
 * Copies. SIGINT, SIGTERM, SIGHUP and SIGQUIT stop it and take back what is half made (INTERRUPTED); they
 * are still pending for the caller afterwards. TYPE with everything else copied where sockets, devices and
 * pipes were left out.
 */
int copy_run(const struct copy_request *q, struct kennel_error **err) MUST_CHECK;

/*
 * copy-guest.c: the same where the inside is a guest's, which sends and takes files itself; root_fd counts
 * nothing. What comes out is first whole in a hidden directory beside its target. A process that outlives us
 * removes that, however we end.
 */
struct vm_guest;
int copy_run_guest(const struct copy_request *q, const struct vm_guest *g, struct kennel_error **err)
	MUST_CHECK;

/* What a report says: 0, or a code. */
struct copy_report;
int copy_report_error(const struct copy_report *r, struct kennel_error **err) MUST_CHECK;

#endif
