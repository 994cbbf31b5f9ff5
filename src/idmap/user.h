/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * idmap/user.h - id maps for an ordinary user: the own id as it is, all others in the user's subordinate
 * range.
 *
 * Inside, root is the first id of the range; the caller's own id keeps its number, so files that are shared
 * on purpose still belong to it. Without a range there is one id, the caller's own, which inside is root.
 */
#ifndef KENNEL_IDMAP_USER_H
#define KENNEL_IDMAP_USER_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"
#include "idmap/idmap.h"

struct idmap_user {
	uint32_t uid, gid;              /* of the caller */
	struct idmap uids, gids;        /* subordinate ranges; count 0: none */
};

/* Is there a range for users and one for groups? */
static inline bool idmap_user_has_range(const struct idmap_user *m)
{
	return m->uids.count && m->gids.count;
}

/*
 * Looks up the caller's ranges: /etc/subuid and /etc/subgid, or libsubid where nsswitch.conf names a service.
 * None is not an error; one of ids that this user namespace has not got is none.
 */
int idmap_pick_user(struct idmap_user *ret, struct kennel_error **err) MUST_CHECK;

/*
 * The first range of at least 65536 ids of an owner (by name or decimal id) in the text of a subid file. 1
 * found, 0 not. Pure.
 */
int idmap_find_user(const char *text, const char *name, const char *id, struct idmap *ret);

/* The words behind the pid for newuidmap or newgidmap. Pure. */
struct strv;
int idmap_user_words(uint32_t own, const struct idmap *range, struct strv *ret, struct kennel_error **err)
	MUST_CHECK;

/*
 * Maps a process that was just cloned into a new user namespace. With ranges by newuidmap and newgidmap (both
 * at a time, absolute path, empty environment), else by writing the single id, with setgroups denied first
 * (CVE-2014-8989).
 */
int idmap_user_write(pid_t pid, int proc_pid_fd, const struct idmap_user *map, struct kennel_error **err)
	MUST_CHECK;

/* The words behind the pid for newuidmap and newgidmap as they are, both run at a time. */
int idmap_user_write_words(pid_t pid, const struct strv *users, const struct strv *groups,
			   struct kennel_error **err) MUST_CHECK;
/* Writes one of the files in a /proc directory that ids are mapped by. */
int idmap_write_file(int proc_pid_fd, const char *name, const char *text, struct kennel_error **err)
	MUST_CHECK;

/* The same by root, who needs no helper to map another user's ids. */
int idmap_user_write_as_root(int proc_pid_fd, const struct idmap_user *map, struct kennel_error **err)
	MUST_CHECK;

/*
 * The same in two halves, with time for other work in between. The first may be all there is to do: then *ret
 * is NULL, which the second takes. Freeing waits for those that still run.
 */
struct idmap_writing;
int idmap_user_begin(pid_t pid, int proc_pid_fd, const struct idmap_user *map, struct idmap_writing **ret,
		     struct kennel_error **err) MUST_CHECK;
int idmap_user_end(struct idmap_writing *w, struct kennel_error **err) MUST_CHECK;
struct idmap_writing *idmap_writing_free(struct idmap_writing *w);

#endif
