/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * view/view.h - the contract between the launcher and the program kennel-view, and the list of what can't be
 * read.
 *
 * kennel-view serves a tree (the whole of "/", across mounts) read-only over a FUSE device, with the rights
 * of the plain user who started it, from outside the user namespace in which the mount was made. The numeric
 * owners that it tells are read in that namespace, so what is root's outside is root's inside; content is
 * read with the user's own rights, so nothing leaks.
 *
 *   kennel-view --fuse N --root N --death N --report N [--hide PATH]... [--pins N] [--watches N] [--squash]
 *               [--only NAME] [--layer] [--no-xattrs] [--wait]
 *
 *   --fuse    the FUSE device. It was opened inside the user namespace (the kernel insists) and mounted there
 *             with VIEW_MOUNT_STRINGS and VIEW_MOUNT_FLAGS. The launcher and the child close theirs once this
 *             program has it: as long as anybody else holds it, requests hang instead of failing when this
 *             program is killed.
 *   --root    O_PATH descriptor of the directory to serve
 *   --death   read end of a pipe; the program ends when its last writer closes it
 *   --report  write end of a pipe (or a socket) that gets one struct view_report; then it is closed
 *   --hide    clean absolute path, below root, that is served as an empty directory and never looked at
 *   --pins    most directories held open (default: a quarter of the descriptor limit, at most 1024)
 *   --watches most inotify watches (default: half of what the user may have); beyond it, answers hold for
 *             one second
 *   --squash  tells 0 as owner of everything: the namespace has no other id, and what is nobody's can't be
 *             changed even by its root
 *   --only    the one name of the root that is shown; all others are not there
 *   --layer   shows user.overlay.* too: the tree is a layer, which may hide what lies below it
 *   --no-xattrs serve no extended attributes: no file capabilities, no access control lists, but a third
 *             fewer requests, for the overlay asks for its own with every file that it looks up
 *   --wait    begin when a byte comes through the pipe of --death: it is mounted by then
 *
 * All other descriptors are closed. Signals may come in blocked. The launcher need not wait for the report:
 * requests wait in the kernel until they are answered. It must look at it (or at the process) when a request
 * fails with ENOTCONN or ECONNABORTED. Exit status: 0 the mount is gone or the death pipe closed, 1 failed
 * (reported), 2 wrong arguments.
 */
#ifndef KENNEL_VIEW_VIEW_H
#define KENNEL_VIEW_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define VIEW_PROGRAM "kennel-view"
#define VIEW_IMAGE_PROGRAM "kennel-image" /* see image.h */

/*
 * What the child gives to fsconfig() after fsopen("fuse") and before FSCONFIG_CMD_CREATE; "fd" is the
 * device's number as text. "ro" matters: without it the kernel asks again for the attributes of every file
 * that was read (atime). fsmount() with nosuid and nodev; both hold for the overlay's own mount only if given
 * there as well.
 */
#define VIEW_MOUNT_SOURCE "kennel"
/* clang-format off */
#define VIEW_MOUNT_STRINGS { { "rootmode", "40000" }, { "user_id", "0" }, { "group_id", "0" } }
#define VIEW_MOUNT_FLAGS { "allow_other", "default_permissions", "ro" }
/* clang-format on */

enum view_step {
	VIEW_READY = 0, /* errnum 0: requests are being served */
	VIEW_STEP_HARDEN,
	VIEW_STEP_LIMITS,
	VIEW_STEP_ROOT,
	VIEW_STEP_MEMORY,
	VIEW_STEP_SESSION,
	VIEW_STEP_DEVICE,
	VIEW_STEP_THREAD,
	VIEW_STEP_IMAGE, /* kennel-image: EUCLEAN damaged, ENOPKG a library is missing, EOPNOTSUPP can't */
};

struct view_report {
	int32_t step, errnum;
};

/* What was tried, for "kennel-view: STEP: strerror". */
static inline const char *view_step_text(int32_t step)
{
	switch (step) {
	case VIEW_READY:
		return "serve";
	case VIEW_STEP_HARDEN:
		return "give up rights";
	case VIEW_STEP_LIMITS:
		return "raise the limit of open files";
	case VIEW_STEP_ROOT:
		return "look at the root";
	case VIEW_STEP_MEMORY:
		return "get memory";
	case VIEW_STEP_SESSION:
		return "start a FUSE session";
	case VIEW_STEP_DEVICE:
		return "use the FUSE device";
	case VIEW_STEP_THREAD:
		return "start a thread";
	case VIEW_STEP_IMAGE:
		return "open the image";
	}
	return "serve";
}

/*
 * What this user can't read below a root.
 *
 * A file that can't be read can't be copied up by the overlay either, so whatever is to be replaced inside
 * must be in the delta beforehand. The list is found by one walk with the user's own rights and kept in a
 * cache file. Nothing about it is a matter of safety: an entry too few is a file that answers EACCES inside.
 * An entry too many would hide a readable file, so every entry is tested again whenever the list is loaded,
 * and those that have become readable or are gone are left out.
 */
enum unreadable_kind {
	UNREADABLE_FILE = 'f',
	UNREADABLE_DIR = 'd', /* can't be searched: nothing in it can be reached */
	/* can be searched but not listed: names that are known can be reached */
	UNREADABLE_LIST = 'l',
};

struct unreadable_entry {
	const char *path; /* absolute, as seen below the root */
	enum unreadable_kind kind;
};

struct unreadable {
	struct unreadable_entry *items;
	size_t n;
	char *text; /* the paths */
	/* out of a cache that should be made anew, see unreadable_refresh() */
	bool stale;
};

struct unreadable_query {
	int root_fd; /* the tree; O_PATH is enough */
	int cache_fd; /* directory for the cache file, or -EBADF: no cache, walk */
	const char *key; /* names the base in the cache file's name: [A-Za-z0-9._-]+ */
	/* clean absolute paths not to look into; NULL-terminated, may be NULL */
	const char *const *skip;
	/* root_fd is "/": network and kernel file systems are not looked into */
	bool is_system;
};

/* Out of the cache if there is one (stale or not), else by a walk, which is then kept. */
int unreadable_get(const struct unreadable_query *q, struct unreadable *ret, struct kennel_error **err)
	MUST_CHECK;

/* Walks and replaces the cache file, unless another process is at it: returns 0 then, 1 if it was done. */
int unreadable_refresh(const struct unreadable_query *q, struct kennel_error **err) MUST_CHECK;

void unreadable_done(struct unreadable *u);

#endif
