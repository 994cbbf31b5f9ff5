/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* run/image-view.c - see image-view.h. */
#include "run/image-view.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "layer/layer.h"
#include "mount/mount.h"
#include "run/errand.h"
#include "run/sandbox.h"
#include "run/viewer.h"
#include "run/views.h"
#include "sys/sys.h"

#define ID_NOBODY 65534u

struct image_view {
	dev_t dev; /* of the one with the image's ids */
	int shifted_fd; /* or -EBADF */
};

/* Two mounts and the devices of both. */
struct pair {
	int tree_fd, fuse_fd, shifted_tree_fd, shifted_fuse_fd;
};

#define NO_PAIR \
	{ \
		-EBADF, -EBADF, -EBADF, -EBADF \
	}

static void pair_done(struct pair *p)
{
	close_fd(p->tree_fd);
	close_fd(p->fuse_fd);
	close_fd(p->shifted_tree_fd);
	close_fd(p->shifted_fuse_fd);
}

static int mount_one(int *ret_fuse_fd, int *ret_tree_fd, struct kennel_error **err)
{
	*ret_fuse_fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (*ret_fuse_fd < 0)
		return hint(err, fail_errno(err, "open /dev/fuse"),
			    "modprobe fuse; if you trust the image, mount it and give the directory");
	*ret_tree_fd = mount_new_view(*ret_fuse_fd);
	return *ret_tree_fd < 0 ? fail_errno(err, "mount a view") : 0;
}

static int mount_pair(struct pair *p, bool shifted, struct kennel_error **err)
{
	int r = mount_one(&p->fuse_fd, &p->tree_fd, err);

	return r == 0 && shifted ? mount_one(&p->shifted_fuse_fd, &p->shifted_tree_fd, err) : r;
}

/* Nobody's, and no other process of the machine's has it; inside it is nobody's, too. */
static uint32_t choose_user(const struct idmap *ids)
{
	return ids->count > ID_NOBODY ? ids->base + ID_NOBODY : ID_NOBODY;
}

/* What kennel-image has a reader for, and what it gets: a file. */
static int check(const struct view_plan *v, struct kennel_error **err)
{
	static const char *const readable[] = { "squashfs", "erofs", "ext2", "ext3", "ext4" };

	for (size_t i = 0; i < ARRAY_SIZE(readable); i++)
		if (strcmp(v->format, readable[i]) == 0)
			return 0;
	return hint(err,
		    fail(err, KENNEL_E_UNSUPPORTED,
			 "the %s image \"%s\" can be read by this machine's kernel alone", v->format,
			 v->name),
		    "make it as squashfs, erofs or ext4; if you trust it, mount it and give the directory");
}

static int note(struct launch *l, struct pair *p, struct kennel_error **err)
{
	struct stat st;

	if (!l->image_views) {
		l->image_views = calloc(l->spec->layers.n + 1, sizeof(*l->image_views));
		l->sb->used_view_fds = calloc(l->spec->layers.n + 1, sizeof(*l->sb->used_view_fds));
	}
	if (!l->image_views || !l->sb->used_view_fds)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	if (fstat(p->tree_fd, &st) < 0)
		return fail_errno(err, "look at the view of an image");
	l->image_views[l->n_image_views++] =
		(struct image_view){ .dev = st.st_dev, .shifted_fd = take_fd(&p->shifted_tree_fd) };
	return 0;
}

static int open_image(struct launch *l, const struct view_plan *v, int *ret_tree_fd,
		      struct kennel_error **err)
{
	const struct sandbox *sb = l->sb;
	const struct idmap none = { 0 }, *ids = sb->shifted ? &sb->map : &none;
	struct pair p = NO_PAIR;

	int r = check(v, err);
	if (r == 0)
		r = mount_pair(&p, sb->shifted, err);
	const struct viewer_alone how = {
		.v = v,
		.fuse_fd = p.fuse_fd,
		.shifted_fd = p.shifted_fuse_fd,
		.death_fd = -EBADF,
		.user = choose_user(ids),
		.ids = *ids,
	};
	if (r == 0)
		r = viewer_start_image(l, &how, err);
	if (r == 0)
		r = note(l, &p, err);
	if (r == 0)
		*ret_tree_fd = take_fd(&p.tree_fd);
	pair_done(&p);
	return r;
}

int image_view_open_lower(struct launch *l, const char *path, int *ret_tree_fd, struct kennel_error **err)
{
	struct view_plan v = { .kind = VIEW_LAYER, .name = path, .fd = -EBADF };
	_cleanup_free_ char *kind = NULL;

	int r = layer_open_plain(path, &v.fd, &v.format, err);
	_cleanup_close_ int fd = v.fd;
	if (r < 0)
		return r;
	return v.format ? open_image(l, &v, ret_tree_fd, err) : layer_open(path, ret_tree_fd, &kind, err);
}

bool image_view_shift(struct launch *l, int *tree_fd)
{
	struct stat st;

	for (unsigned i = 0; i < l->n_image_views; i++) {
		struct image_view *v = &l->image_views[i];

		if (fstat(*tree_fd, &st) < 0 || st.st_dev != v->dev)
			continue;
		if (v->shifted_fd >= 0) {
			l->sb->used_view_fds[l->sb->n_used_views++] = *tree_fd;
			*tree_fd = take_fd(&v->shifted_fd);
		}
		return true;
	}
	return false;
}

void image_views_done(struct launch *l)
{
	for (unsigned i = 0; i < l->n_image_views; i++)
		close_fd(l->image_views[i].shifted_fd);
	free(l->image_views);
}

/* In a process that ends next. */
static int start_server(void *data, struct buf *out, struct kennel_error **err)
{
	(void)out;
	return viewer_start_alone(data, err);
}

int image_view_open(const struct view_plan *v, const struct idmap *ids, int init_pidfd, int *ret_tree_fd,
		    struct kennel_error **err)
{
	struct pair p = NO_PAIR;

	int r = check(v, err);
	if (r == 0)
		r = mount_pair(&p, ids->count, err);
	struct viewer_alone how = {
		.v = v,
		.fuse_fd = p.fuse_fd,
		.shifted_fd = p.shifted_fuse_fd,
		.death_fd = init_pidfd,
		.user = choose_user(ids),
		.ids = *ids,
	};
	if (r == 0)
		r = errand_run(-EBADF, start_server, &how, NULL, err);
	if (r == 0)
		*ret_tree_fd = take_fd(ids->count ? &p.shifted_tree_fd : &p.tree_fd);
	pair_done(&p);
	return r;
}

int image_view_open_layer(const char *path, int *ret_tree_fd, struct kennel_error **err)
{
	struct view_plan v = { .kind = VIEW_LAYER, .name = path, .fd = -EBADF };
	const struct idmap no_ids = { 0 };
	_cleanup_free_ char *kind = NULL;

	int r = layer_open_plain(path, &v.fd, &v.format, err);
	_cleanup_close_ int fd = v.fd;
	if (r < 0)
		return r;
	if (!v.format)
		return layer_open(path, ret_tree_fd, &kind, err);
	_cleanup_close_ int own_fd = sys_pidfd_open(getpid(), 0);
	if (own_fd < 0)
		return fail_errno(err, "open a descriptor of this process");
	return image_view_open(&v, &no_ids, own_fd, ret_tree_fd, err);
}
