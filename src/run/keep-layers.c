/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/keep-layers.c - a start over frozen changes: which places of which layers lie below which overlay.
 *
 * They may be shared with other containers, so they are never arranged anew for other mounts, as a delta is.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "container/layers.h"
#include "delta/arrange.h"
#include "delta/layout.h"
#include "path/path.h"
#include "run/sandbox.h"
#include "run/views.h"
#include "sys/sys.h"

int keep_find_layers(struct keep *k, struct kennel_error **err)
{
	const struct strv *below = &k->manifest.below;
	int r = 0;

	for (size_t i = 0; i < below->n && r == 0; i++) {
		_cleanup_free_ char *path = NULL;
		struct stat st;

		r = layers_path(k->store.path, below->items[i], &path, err);
		if (r < 0)
			return r;
		if (lstat(path, &st) < 0)
			return hint(err, fail_errno(err, "find the frozen changes \"%s\"", path),
				    "the container stands on them: bring that directory back");
		r = strv_addf(&k->layers, err, "%s/delta", path);
	}
	return r;
}

/* The path of layer i as the child of an ordinary user finds it, whose directory is the container's. */
static int path_for_child(const struct keep *k, const char *path, struct strv *ret, struct kennel_error **err)
{
	const size_t len = strlen(k->store.path);

	if (!keep_is_elsewhere(k) && strncmp(path, k->store.path, len) == 0 && path[len] == '/')
		return strv_addf(ret, err, "..%s", path + len);
	return strv_add(ret, path, err);
}

int keep_tell_child(struct launch *l, struct kennel_error **err)
{
	struct keep *k = l->sb->keep;
	int r = 0;

	if (!k || !l->sb->rootless)
		return 0;
	strv_done(&k->child_paths);
	for (size_t i = k->layers.n; i > 0 && r == 0; i--)
		r = path_for_child(k, k->layers.items[i - 1], &k->child_paths, err);
	for (unsigned i = 0; i < l->n_views && r == 0; i++)
		if (l->views[i].own) {
			r = path_for_child(k, k->spec->base_path, &k->child_paths, err);
			l->child.own_view = i;
			l->child.own_base = r < 0 ? NULL : k->child_paths.items[k->layers.n];
		}
	l->child.frozen = (const char *const *)k->child_paths.items;
	return r;
}

/* Its place in layer k, counted from below; or -1. */
static int open_place(const struct keep *k, size_t layer, unsigned index)
{
	_cleanup_close_ int fd = open(k->layers.items[layer], O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -1 : delta_open_place(fd, index, "upper", O_PATH);
}

unsigned keep_count_frozen(const struct launch *l, size_t i)
{
	const struct keep *k = l->sb->keep;
	unsigned n = 0;

	/* An ordinary user's have one place each, into which that user can't look. */
	if (!k || l->sb->rootless)
		return k ? (unsigned)k->layers.n : 0;
	for (size_t layer = 0; layer < k->layers.n; layer++) {
		_cleanup_close_ int fd = open_place(k, layer, l->delta_index[i]);

		n += fd >= 0;
	}
	return n;
}

int keep_open_frozen(const struct launch *l, size_t i, int *fds, unsigned *n, struct kennel_error **err)
{
	const struct keep *k = l->sb->keep;

	for (size_t layer = k ? k->layers.n : 0; layer > 0; layer--) {
		_cleanup_close_ int fd = open_place(k, layer - 1, l->delta_index[i]);

		if (fd < 0)
			continue;
		fds[*n] = sys_open_tree(fd, "", SYS_OPEN_TREE_CLONE | AT_EMPTY_PATH);
		if (fds[(*n)++] < 0)
			return fail_errno(err, "open the frozen changes \"%s\"", k->layers.items[layer - 1]);
	}
	return 0;
}

static int refuse_mounts(const struct keep *k, const char *target, bool is_new, struct kennel_error **err)
{
	return hint(
		err,
		fail(err, KENNEL_E_UNSUPPORTED,
		     is_new ? "\"%s\" is a mount now, which it was not when changes of \"%s\" were frozen" :
			      "\"%s\" is no mount any more, which it was when changes of \"%s\" were frozen",
		     target, k->c.name),
		"\"kennel clone %s NEW\" makes a container of its own of it, which can go on", k->c.name);
}

/* Has a layer anything at rel of the mount that the place of this number is of? */
static bool layers_have(const struct keep *k, unsigned index, const char *rel)
{
	for (size_t layer = 0; layer < k->layers.n; layer++) {
		_cleanup_close_ int upper_fd = open_place(k, layer, index);
		_cleanup_close_ int fd = upper_fd < 0 ? -1 : path_pin_plain(upper_fd, rel, O_NOFOLLOW, NULL);

		if (fd >= 0)
			return true;
	}
	return false;
}

int keep_check_frozen(const struct keep *k, const struct delta_join *j, const char *target, bool is_new,
		      struct kennel_error **err)
{
	if (is_new ? layers_have(k, j->parent, j->rel) : layers_have(k, j->mount, "."))
		return refuse_mounts(k, target, is_new, err);
	return 0;
}
