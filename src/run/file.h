/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/file.h - a container in one file: an ext4 or btrfs whose root holds what a named container's
 * directory holds,
 * config, manifest and delta.
 *
 * Opened, it is a directory. For root that is the image itself, mounted; for an ordinary user, who may
 * mount none, a
 * working copy beside it, ".NAME.kennel", out of which the image is made anew. At every instant the name
 * leads to a
 * whole image, the old or the new one, and what a killed session did is in one of the two places.
 */
#ifndef KENNEL_RUN_FILE_H
#define KENNEL_RUN_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/log.h"
#include "idmap/user.h"

#define FILE_SIZE_DEFAULT (2ull << 30)

enum file_guest { FILE_NO_GUEST, FILE_AS_IT_IS, FILE_TO_ARRANGE };

struct file_wish {
	const char *path;
	bool make; /* where it is not there */
	const char *format; /* NULL: ext4 */
	uint64_t size_bytes; /* of one that is made, or to grow to; 0: FILE_SIZE_DEFAULT, or as it is */
	/* Puts in what a new one has, before it gets its name. */
	int (*fill)(void *data, int dir_fd, struct kennel_error **err);
	void *data;
	const struct log_sink *log;
	/*
	 * Does it become the disk of a guest? Asked with what it has. FILE_AS_IT_IS: then the box has
	 * nothing but these two. NULL: no.
	 */
	enum file_guest (*for_guest)(void *data, const struct buf *config, const struct buf *manifest);
	bool guest; /* it was asked for: this machine's kernel is not to read what others may have made */
};

struct file_box {
	char *name; /* for messages: the path, with nothing that moves a cursor */
	char *base; /* last component of where it really is */
	int parent_fd; /* the directory that it is in */
	int file_fd; /* holds the lock */
	int dir_fd; /* the container's directory, O_RDONLY */
	int mount_fd; /* root: of the image, dir_fd is its root; else -EBADF */
	uint64_t size_bytes; /* what the image has room for */
	const char *format;
	bool made; /* just now */
	bool for_guest; /* it is neither mounted nor unpacked */
	struct buf config, manifest; /* then; else empty */

	/* an ordinary user's, or root's that is put in order for a guest: */
	int work_fd; /* ".NAME.kennel" */
	int user_ns_fd; /* with all ids of the user */
	char *program; /* kennel-ext4 */
	struct idmap_user map;
	bool saved; /* the image has all that the working copy has */
};

/*
 * Opens it for this process alone, or makes it. BUSY: in use. TYPE, CORRUPT: it is no such image, and was not
 * touched. INVALID: size_bytes is less than it has.
 */
int file_open(const struct file_wish *wish, struct file_box **ret, struct kennel_error **err) MUST_CHECK;

/* Is there such an image, or one that a killed session has not finished? Says nothing of what is in it. */
bool file_is_there(const char *path);

/*
 * Lets go of what it was mounted or unpacked for, and puts what was changed there into it: from then on it is
 * for a guest. *ret: its path, the caller's.
 */
int file_give(struct file_box *box, bool changed, char **ret, struct kennel_error **err) MUST_CHECK;

/* From now on it may be changed: until file_save() has been well, a working copy is kept. */
static inline void file_use(struct file_box *box)
{
	box->saved = false;
}

/*
 * Makes all that was written so far survive a power loss; for an ordinary user, puts the working copy
 * into the file.
 * NOSPACE: it does not fit; then the working copy stays, for the next time it is opened.
 */
int file_save(struct file_box *box, struct kennel_error **err) MUST_CHECK;

/*
 * Lets go of it: of a saved working copy nothing is left, root's image is unmounted as soon as nobody
 * else has it.
 * NULL is fine. Return: NULL.
 */
struct file_box *file_free(struct file_box *box);

/* Takes the file away again that was just made. */
void file_remove(struct file_box *box);

/*
 * For when all is let go: waits until the image is unmounted, so that it may be copied once the program
 * has ended.
 * file_fd: another open file of it.
 */
void file_wait_unused(int parent_fd, const char *base, unsigned wait_ms);

/* file-copy.c: the working copy. open: lock held, file_fd set. */
int file_copy_open(struct file_box *box, const struct file_wish *wish, struct kennel_error **err) MUST_CHECK;
int file_copy_make(struct file_box *box, const struct file_wish *wish, struct kennel_error **err) MUST_CHECK;
/* Removes the one that is there, if any, which is the caller's. */
int file_copy_discard(struct file_box *box, struct kennel_error **err) MUST_CHECK;
int file_copy_save(struct file_box *box, struct kennel_error **err) MUST_CHECK;
void file_copy_close(struct file_box *box);
/* ".NAME.kennel"; the caller's. NULL: no memory. */
char *file_copy_name(const struct file_box *box);

#endif
