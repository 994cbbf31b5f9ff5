/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * delta/layout.h - the writable tree on top: one directory per mount that the base has.
 *
 *   DELTA/0/upper, DELTA/0/work    changes of "/"
 *   DELTA/1/upper, ...             changes of the next mount
 *
 * Ids in it are those seen inside. Deletions are character devices 0/0, a directory that hides what was below
 * has the xattr overlay.opaque=y in the namespace "user." (or "trusted." on kernels whose tmpfs has no user
 * xattrs).
 *
 * What kennel itself puts in before a start (resolv.conf, hidden directories) is remembered as planted, so
 * that it does not count as a change (manifest.h).
 */
#ifndef KENNEL_DELTA_LAYOUT_H
#define KENNEL_DELTA_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/error.h"
#include "delta/manifest.h"

/*
 * Makes INDEX/upper and INDEX/work; upper gets the owner and mode of the lower's root. Both descriptors are
 * O_PATH, the caller's.
 */
int delta_add_mount(int delta_fd, unsigned index, const struct stat *lower_root, int *ret_upper_fd,
		    int *ret_work_fd, struct kennel_error **err) MUST_CHECK;

/*
 * INDEX or, with a name, INDEX/NAME ("upper"). A delta may be anybody's work, so neither is followed where it
 * is a link. flags: of open(), to O_DIRECTORY. Return: a descriptor, or -1 with errno.
 */
int delta_open_place(int delta_fd, unsigned index, const char *name, int flags);

/*
 * What an earlier start put in: where that is still what it was, the same stays, other things take its place;
 * what the sandbox made of it stays in any case.
 */
struct delta_before {
	const struct manifest_plants *planted;  /* sorted */
	bool unclean;                           /* an earlier start was killed half-way */
	struct timespec since; /* then what is not older than this is its work */
};

/*
 * Where something goes in an upper directory: rel is relative, clean; lower_fd is the root of the lower that
 * it stands over.
 */
struct delta_known {
	char *rel;
	struct stat st;
};

struct delta_spot {
	int upper_fd, lower_fd;
	/* uppers of frozen layers between the two, uppermost first */
	const int *over_fds;
	unsigned n_over;
	unsigned mount;         /* its index */
	const char *rel;
	bool user_xattr;
	struct manifest_plants *planted;        /* gets what was put in; NULL: not remembered */
	const struct delta_before *before;      /* of a delta that was kept; else NULL */
	/*
	 * NULL, or what the lower has at rel and at all its parents, sorted by rel: then the lower is not
	 * asked. (A view server that is just starting takes long to answer.)
	 */
	const struct delta_known *known;
	size_t n_known;
};

/*
 * Puts a file with this content there, in place of what the lower has. What is already in the upper stays.
 * Return: 1 made, 0 something was there.
 */
int delta_plant_file(const struct delta_spot *spot, const void *data, size_t size, mode_t mode,
		     struct kennel_error **err) MUST_CHECK;
/*
 * Makes a directory or file of the lower appear empty. Return: 1 made, 0 it is not in the lower, or something
 * is in the upper.
 */
int delta_plant_empty(const struct delta_spot *spot, struct kennel_error **err) MUST_CHECK;
/* The same, with this content for a file, whose owner and mode stay those of the lower. */
int delta_plant_instead(const struct delta_spot *spot, const void *data, size_t size,
			struct kennel_error **err) MUST_CHECK;
/* Makes it disappear. Return as above. */
int delta_plant_absent(const struct delta_spot *spot, struct kennel_error **err) MUST_CHECK;

/*
 * Takes out what was planted before and is not in now (sorted), if it is still what it was. upper_fd is the
 * mount's. A directory in which the sandbox has put something stays, and shows what is below it, or does not.
 */
enum delta_unplant { DELTA_SHOW_BELOW, DELTA_STAY_OPAQUE };
int delta_unplant(int upper_fd, unsigned mount, bool user_xattr, const struct manifest_plants *before,
		  const struct manifest_plants *now, enum delta_unplant filled, struct kennel_error **err)
	MUST_CHECK;

/* Does the file system of fd keep user.* xattrs? (tmpfs: Linux 6.6) */
bool delta_has_user_xattr(int dir_fd);

/*
 * How many files, links, devices and deletions the uppers of n mounts hold, planted ones (sorted) left out as
 * long as they are what they were.
 */
int delta_count(int delta_fd, unsigned n_mounts, const struct manifest_plants *planted, uint64_t *ret,
		struct kennel_error **err) MUST_CHECK;

#endif
