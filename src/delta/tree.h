/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * delta/tree.h - a delta that can be read: its manifest, its root, and the trees of the base below it.
 *
 * "mount" is a position in manifest.mounts everywhere here; the directory of its changes is
 * manifest.mounts[mount].index "/upper". rel is a path below a mount, "" its root.
 */
#ifndef KENNEL_DELTA_TREE_H
#define KENNEL_DELTA_TREE_H

#include "delta/manifest.h"
#include "delta/reader.h"
#include "delta/xattr.h"

struct delta_lower { /* of one mount: directories, the uppermost first */
	int *fds;
	size_t n; /* 0: the base does not have this mount any more */
	size_t n_layers; /* the first ones are frozen layers, which belong to the ids inside */
};

struct delta_layer { /* frozen changes below a delta */
	int delta_fd;
	struct manifest manifest; /* planted ones are sorted */
};

typedef int (*image_opener)(const char *path, int *ret_tree_fd, struct kennel_error **err);

struct delta_layers { /* the lowest first */
	struct delta_layer *items;
	size_t n;
	size_t n_base; /* that many count as the base: what they changed is not told */
	/* Layers and base that are images, for root: as layer_open(). NULL: the kernel mounts them. */
	image_opener open_image;
};

/* Appends one; takes both, also on failure. */
int delta_layers_add(struct delta_layers *l, int delta_fd, struct manifest *manifest,
		     struct kennel_error **err) MUST_CHECK;
void delta_layers_done(struct delta_layers *l);

struct delta_values {
	int user_ns_fd;
	struct idmap shift;     /* ids as seen here are those inside plus its base */
	struct delta_reader *reader; /* made when it is needed */
};

struct delta_tree {
	struct manifest manifest; /* planted ones are sorted; of all layers together (stack.h) */
	struct manifest own; /* of the uppermost, where there are layers */
	int root_fd;
	struct delta_layers layers; /* which it lies on, and whose changes are told as its own */
	struct delta_lower *lowers; /* as manifest.mounts */
	struct delta_reader *reader; /* NULL: this process reads the delta with its own rights */
	/* Root may do so where ids are shifted, too; then values with ids come from inside. Or NULL. */
	struct delta_values *values;
	/*
	 * Ids that exist inside: 0 to id_count - 1 (0: all), and these two. Owners of the base that are none
	 * of them are seen as nobody.
	 */
	uint32_t id_count, own_uid, own_gid;
	void *held; /* what has to stay open as long as it, or NULL; let_go() ends it */
	void (*let_go)(void *held);
	bool base_inside; /* the base belongs to the ids inside: the reader looks at it, too */
	bool all; /* delta_diff(): everything in a deleted tree, not only its top */
};

enum delta_side { DELTA_BEFORE, DELTA_AFTER };

/*
 * Takes manifest and root_fd, also on failure. user_ns_fd: whose root reads the delta (a descriptor of a user
 * namespace or a pidfd, borrowed), or negative. shift: NULL, or how that namespace's ids are seen here, by
 * root, who then reads most by itself. Opens the trees of the base.
 */
int delta_tree_open(struct manifest *manifest, int root_fd, int user_ns_fd, const struct idmap *shift,
		    struct delta_tree **ret, struct kennel_error **err) MUST_CHECK;
/* The same of a delta on frozen layers; takes them, too. */
int delta_tree_open_over(struct manifest *manifest, int root_fd, struct delta_layers *layers, int user_ns_fd,
			 const struct idmap *shift, struct delta_tree **ret, struct kennel_error **err)
	MUST_CHECK;
struct delta_tree *delta_tree_free(struct delta_tree *t);

/*
 * The changes of a mount in all layers, opened for reading, the uppermost first; who calls is the reader.
 * *ret is the caller's, and what is in it. Return: how many, 0 none, or a negative code.
 */
int delta_tree_open_uppers(const struct delta_tree *t, unsigned mount, int **ret, struct kennel_error **err)
	MUST_CHECK;

/*
 * A file of the delta, or of the base as the sandbox saw it. flags: O_PATH, O_RDONLY (a regular file), or
 * O_RDONLY | O_DIRECTORY; no link is followed. The ids that fstat() shows of the delta's are not those
 * inside: struct delta_change has these. Return: descriptor, or a negative code (NOTFOUND).
 */
int delta_tree_pin(const struct delta_tree *t, enum delta_side side, unsigned mount, const char *rel,
		   int flags, struct kennel_error **err) MUST_CHECK;
/* Where its link leads; *ret is the caller's. */
int delta_tree_readlink(const struct delta_tree *t, enum delta_side side, unsigned mount, const char *rel,
			char **ret, struct kennel_error **err) MUST_CHECK;
/* Its extended attributes as they are seen inside. */
int delta_tree_xattrs(const struct delta_tree *t, enum delta_side side, unsigned mount, const char *rel,
		      struct delta_xattrs *ret, struct kennel_error **err) MUST_CHECK;

/* Owners of the delta as this process sees them into those inside. */
void delta_tree_show_owner(const struct delta_tree *t, struct stat *st);

/* Of an open file, or pin, of the base. */
int delta_tree_xattrs_before(const struct delta_tree *t, int fd, struct delta_xattrs *ret,
			     struct kennel_error **err) MUST_CHECK;
/* The same of an open file, or pin; not of the delta where it has a reader. */
int delta_tree_xattrs_of(const struct delta_tree *t, int fd, struct delta_xattrs *ret,
			 struct kennel_error **err) MUST_CHECK;

/* See delta_xattrs_any(). */
bool delta_tree_xattrs_any(const struct delta_tree *t, int dir_fd, const char *name);

static inline void cleanup_delta_treep(struct delta_tree **t)
{
	delta_tree_free(*t);
}
#define _cleanup_delta_tree_ __attribute__((cleanup(cleanup_delta_treep)))

#endif
