/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ship/shift.h - the owners of a whole tree moved from one range of ids to another, and back: what
 * other tools do to a tree on disk where kennel lets the mount do it.
 *
 * Killed at any instant, the same work begun again ends well. The ranges have no id in common, so an
 * owner tells by itself whether its file was done: in the old range, not yet; in the new one, yes. A
 * change of owner is one step. What takes several is put down before anything changes, in a record
 * beside the tree: files that are setuid or setgid or have capabilities, which a change of owner takes
 * away; and ACLs, which have ids in them. Who begins again does those as the record has them, in
 * whatever state they are.
 *
 * First all is looked at and nothing changed: an id outside of the range refuses everything. No link is
 * followed, no file system that is mounted in the tree is entered. The tree must not be in use.
 */
#ifndef KENNEL_SHIP_SHIFT_H
#define KENNEL_SHIP_SHIFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"

struct shift_ids {
	uint32_t from, to, count;
};

enum shift_state {
	SHIFT_UNSEEN,
	SHIFT_ELSEWHERE, /* under a name that the record has not got */
	SHIFT_DONE,
};

/* What a change of owner is not enough for. As it was before; sizes 0: it has none. */
struct shift_special {
	char *path; /* from the job's root */
	uint64_t dev, ino;
	uint32_t uid, gid, mode;
	uint8_t *caps, *acl, *default_acl;
	size_t caps_size, acl_size, default_acl_size;
	enum shift_state state; /* of the first of those with the same number */
};

struct shift_record {
	struct shift_ids ids;
	uint64_t dev, ino; /* of the root, so that it is not taken for that of another tree */
	struct shift_special *items; /* sorted by dev and ino once the record is there */
	size_t n, room;
};

/* Is the plan possible at all: ids that exist, and no id in both ranges. Pure. */
int shift_check_ids(const struct shift_ids *ids, struct kennel_error **err) MUST_CHECK;
/* Moves one. Return: 1 it is in the old range, 0 it is in the new one already, -1 in neither. Pure. */
int shift_id(const struct shift_ids *ids, uint32_t id, uint32_t *ret);

/*
 * The same in the bytes of an ACL or of capabilities (as extended attributes have them), which may get
 * another size: those of the machine's root have no id. data has room for SHIFT_CAPS_MAX. Return: 0, or
 * -1 there is an id that is in neither, or it is none. Pure.
 */
#define SHIFT_CAPS_MAX 24u
int shift_acl(const struct shift_ids *ids, uint8_t *data, size_t size);
int shift_caps(const struct shift_ids *ids, uint8_t *data, size_t *size);

/* Text and back; fuzzed. */
void shift_record_format(const struct shift_record *r, struct buf *b);
int shift_record_parse(const char *text, struct shift_record *ret, struct kennel_error **err) MUST_CHECK;
void shift_record_done(struct shift_record *r);
struct shift_special *shift_record_find(const struct shift_record *r, uint64_t dev, uint64_t ino);
void shift_record_sort(struct shift_record *r);

struct shift_job {
	int root_fd;
	const char *const *names; /* what of it is moved, ended by NULL; "." alone: all of it, with itself */
	struct shift_ids ids;
	bool dry_run;
	unsigned workers; /* 0: as many as there are processors, four at most */
	int record_dir_fd; /* where the record is kept, under that name */
	const char *record_name;
	int (*tick)(void *data, uint64_t done, uint64_t total); /* not 0: stop; or NULL */
	void *data;
};

struct shift_result {
	uint64_t entries, changed;
	bool resumed;
};

/* Return: 0; INVALID with the first entry that has another id; or another negative code. */
int shift_run(const struct shift_job *job, struct shift_result *ret, struct kennel_error **err) MUST_CHECK;

/* The ids of a conversion that was begun there and not ended. Return: 1, 0 none, or a negative code. */
int shift_find_begun(int record_dir_fd, const char *record_name, struct shift_ids *ret,
		     struct kennel_error **err) MUST_CHECK;

#endif
