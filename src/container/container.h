/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * container/container.h - a container: a sandbox whose changes stay, and its configuration.
 *
 *   STORE/NAME/         mode 0700; a lock (flock) on it is held for the length of one change of what follows
 *     config            what it is run with (conf/config.h)
 *     manifest          over which base the delta lies (delta/manifest.h); not there before the first start
 *     delta/            DELTA/0/upper, DELTA/0/work, ... (delta/layout.h)
 *     lock              locked (flock) while it runs; then it says who: "ID PID INIT"
 *     storage           on which backing store delta and base lie (storage/storage.h); none: in this one
 *     id, origin        who it is for its clones, and of whom it is one (origin.h)
 *     snapshots/SNAP/   what it was once (snapshot.h)
 *     next/             what it will be, once that is completed (switch.h)
 *
 * Killed at any moment, a change has happened or it has not. A container is filled under a temporary name and
 * then renamed; config and manifest are written aside and renamed; a container that goes is renamed first and
 * emptied then. What has a temporary name is swept by whoever comes next (store.h).
 */
#ifndef KENNEL_CONTAINER_CONTAINER_H
#define KENNEL_CONTAINER_CONTAINER_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"
#include "conf/spec.h"
#include "container/store.h"
#include "storage/storage.h"

struct container {
	char *name;
	char *path; /* STORE/NAME, for people */
	int store_fd;
	int dir_fd;
	int lock_fd; /* holds the lock of a running one, or -EBADF */
	struct storage storage; /* container_open_data() */
};

#define CONTAINER_NONE \
	{ \
		.store_fd = -EBADF, .dir_fd = -EBADF, .lock_fd = -EBADF, .storage = STORAGE_NONE \
	}

/* Return: 0; NOTFOUND with a hint; PERM where others could have written in it. */
int container_open(const struct store *s, const char *name, struct container *ret, struct kennel_error **err)
	MUST_CHECK;
void container_done(struct container *c);

/*
 * Makes one with this configuration and an empty delta. wish: its backing store, or NULL: what is usual
 * in this store. Return: 0, or EXISTS and others.
 */
int container_create(const struct store *s, const char *name, const struct buf *config,
		     const struct storage_wish *wish, struct kennel_error **err) MUST_CHECK;

/* What a new one has, into an empty directory; shown: what to call that. */
int container_fill(int dir_fd, const char *shown, const struct buf *config, struct kennel_error **err)
	MUST_CHECK;
/* Where a new one is filled. */
struct container_room {
	int dir_fd; /* its directory: for the manifest and other small things of ours */
	/* its data directory, with an empty "delta" in it: for what sandboxes write, and a base */
	int data_fd;
	struct storage *storage; /* storage_make_tree() makes "base" there; NULL: it has no delta yet */
};

/* Removes what is in a directory, whoever it belongs to; a store_wipe_fn. */
typedef store_wipe_fn container_wipe_fn;

/*
 * The same with more in it: fill gets the directories and may change config, which is written after it.
 * What it puts there is on the disk when it returns.
 */
struct container_making {
	int (*fill)(void *data, const struct container_room *room, struct buf *config,
		    struct kennel_error **err);
	void *data;
	container_wipe_fn wipe;
	const struct storage_wish *wish; /* its backing store, or NULL: what is usual in this store */
	bool bare; /* fill makes storage and delta, by storage_snapshot() or as it likes; data_fd is dir_fd */
};
int container_create_by(const struct store *s, const char *name, struct buf *config,
			const struct container_making *m, struct kennel_error **err) MUST_CHECK;

/* In plain directories, whatever is usual; fill gets the container's directory. */
typedef int (*container_fill_fn)(void *data, int dir_fd, struct buf *config, struct kennel_error **err);
int container_create_filled(const struct store *s, const char *name, struct buf *config,
			    container_fill_fn fill, void *data, container_wipe_fn wipe,
			    struct kennel_error **err) MUST_CHECK;

/*
 * A base of its own lies beside the delta and goes along with a new name, while the manifest says where it
 * was at the last start: puts that right.
 */
struct manifest;
int container_find_base(struct container *c, struct manifest *m, struct kennel_error **err) MUST_CHECK;

/*
 * The path of its own base for this process, as long as c is open: of a volume it leads through a descriptor.
 * The caller's.
 */
int container_base_path(struct container *c, char **ret, struct kennel_error **err) MUST_CHECK;

/* Who runs it. */
struct container_holder {
	char id[16]; /* "": nobody, or somebody who is just leaving */
	pid_t pid;
};

/*
 * Takes the lock of a running one. Waits a few seconds for somebody who is leaving or was killed; refuses
 * (BUSY) where it runs. ret_holder may be NULL.
 */
int container_lock(struct container *c, struct container_holder *ret_holder, struct kennel_error **err)
	MUST_CHECK;
/* Says who we are, for those who find it locked. An id of NULL: we are leaving. init 0: not started yet. */
int container_say(const struct container *c, const char *id, pid_t init, struct kennel_error **err)
	MUST_CHECK;
/* Is it locked, and by whom? Return: 1, or 0. */
bool container_is_held(const struct container *c, struct container_holder *ret);

/* Only one at a time may change config, manifest or the name. Ends with container_done(). */
int container_begin_change(struct container *c, struct kennel_error **err) MUST_CHECK;

#define CONTAINER_CONFIG "config"
#define CONTAINER_MANIFEST "manifest"
#define MANIFEST_TEXT_MAX (64u << 20)
#define CONTAINER_LOG "console.log" /* what its console has shown in the background */

/* A file of it. Return: 1, 0 it is not there, or a negative code. */
int container_read(const struct container *c, const char *file, struct buf *ret, struct kennel_error **err)
	MUST_CHECK;
/* Replaces it: after a crash there is the old or the new one. */
int container_write(const struct container *c, const char *file, const struct buf *text,
		    struct kennel_error **err) MUST_CHECK;

/*
 * Its data directory, where "delta" and "base" are: its own one, or the top of its volume, which is mounted
 * then and until container_done() or container_close_data(). Return: a descriptor that stays c's, or a
 * code.
 */
int container_open_data(struct container *c, struct kennel_error **err) MUST_CHECK;
void container_close_data(struct container *c, unsigned wait_ms);
/*
 * Hands on what keeps its volume there, for who goes on with its files after container_done(); *ret is NULL
 * where it is no volume. To be let go by container_let_go().
 */
int container_take_data(struct container *c, void **ret, struct kennel_error **err) MUST_CHECK;
void container_let_go(void *held);
/* The volume's mount, of one that is open; -EBADF: it is no volume. */
static inline int container_volume_fd(const struct container *c)
{
	return c->storage.mount_fd;
}
/*
 * A whole file, under a name that nobody looks for yet; on the disk with container_sync() of its
 * directory.
 */
int container_write_file(int dir_fd, const char *name, const struct buf *text, const char *shown,
			 struct kennel_error **err) MUST_CHECK;

/* All files of a directory, and their names, are on the disk then; not what is in directories below. */
int container_sync(int dir_fd, const char *shown, struct kennel_error **err) MUST_CHECK;

/* Its delta, O_PATH: an ordinary user's belongs to an id of the user's range. */
int container_open_delta(struct container *c, struct kennel_error **err) MUST_CHECK;

/*
 * Takes its name away, so that it is not there any more: it is *ret_temp in the store from then on, and the
 * caller empties and removes it. c must be locked (container_lock()).
 */
int container_retire(struct container *c, const struct store *s, char ret_temp[STORE_TEMP_SIZE],
		     struct kennel_error **err) MUST_CHECK;
int container_rename(struct container *c, const struct store *s, const char *new_name,
		     struct kennel_error **err) MUST_CHECK;

/* configure.c: the configuration of a new one, from all that a spec was given. Appends. */
int container_new_config(const struct spec *spec, struct buf *text, struct kennel_error **err) MUST_CHECK;
/* The same into one that is there: lists get longer, the rest is replaced. */
int container_put_given(const char *file, const struct spec *spec, struct buf *text,
			struct kennel_error **err) MUST_CHECK;
/*
 * Once it was started, base and layers are what its changes lie over, and stay what they are; further layers
 * may come on top of them, and go again as long as it was not started with them.
 */
int container_check_base(const struct container *c, const char *file, const struct buf *before,
			 const struct buf *after, struct kennel_error **err) MUST_CHECK;

/*
 * Removes all that is in a directory, following no link, however deep. What can't be removed (an immutable
 * file) stays; the first one is told, with shown in front of its path.
 */
int container_wipe(int dir_fd, const char *shown, struct kennel_error **err) MUST_CHECK;

/* What the files below a directory take on disk, in bytes; hard links once. */
int container_measure(int dir_fd, uint64_t *ret, struct kennel_error **err) MUST_CHECK;

static inline void cleanup_containerp(struct container *c)
{
	container_done(c);
}
#define _cleanup_container_ __attribute__((cleanup(cleanup_containerp)))

#endif
