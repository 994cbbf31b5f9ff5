/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/views.c - see views.h.
 *
 * A mount that is set read-only may be made writable again by the root of the namespace that it is in; so
 * without root of the machine, who could lock it, a read-only share is a view: its server can't write at all.
 */
#include "run/views.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/cleanup.h"
#include "layer/layer.h"
#include "path/path.h"
#include "run/rootless.h"
#include "sys/sys.h"

static struct view_plan *add(struct launch *l, enum view_kind kind, const char *name)
{
	struct view_plan *v = &l->views[l->n_views++];

	*v = (struct view_plan){ .kind = kind, .name = name, .fd = -EBADF, .report_fd = -EBADF };
	return v;
}

/* It lies beside the delta, and belongs to the same ids: the child finds it as it finds that. */
static bool is_own_tree(const struct launch *l, const char *path)
{
	struct stat st;

	return l->sb->keep && l->sb->keep->own_base && stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int open_layer(struct launch *l, enum view_kind kind, const char *path, struct kennel_error **err)
{
	struct view_plan *v = add(l, kind, path);

	v->own = kind == VIEW_BASE && is_own_tree(l, path);
	if (v->own)
		return 0;
	int r = layer_open_plain(path, &v->fd, &v->format, err);
	if (r == 0 && kind == VIEW_BASE && !v->format)
		l->base_fd = v->fd;
	if (r < 0)
		return hint_default(
			err, wrap(err, r, kind == VIEW_BASE ? "open the base" : "open a layer"),
			kind == VIEW_BASE ?
				"--base takes system, or the path of a directory or image that you can read" :
				"--layer takes the path of a directory or image that you can read");
	return 0;
}

/* Files of these have no size, so no server can tell what is in them. */
static bool is_kernel_interface(int fd)
{
	static const long magics[] = { 0x9fa0 /* proc */,
				       0x62656572 /* sysfs */,
				       0x27e0eb,
				       0x63677270 /* cgroup */,
				       0x64626720 /* debugfs */,
				       0x74726163 /* tracefs */ };
	long magic;

	if (sys_fgetfsmagic(fd, &magic) < 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(magics); i++)
		if (magics[i] == magic)
			return true;
	return false;
}

int views_open_share(const struct spec_mount *m, struct view_plan *ret, struct kennel_error **err)
{
	_cleanup_close_ int fd = open(m->source, O_PATH | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return hint(err, fail_errno(err, "share \"%s\"", m->source),
			    "it names a file or directory of the machine");
	if (is_kernel_interface(fd))
		return hint(err,
			    fail(err, KENNEL_E_UNSUPPORTED,
				 "sharing the kernel's \"%s\" read-only needs root", m->source),
			    "copy the file with kennel cp, or run kennel as root");
	/* Read-only or not makes no difference to those: a bind mount, as if it were not asked for. */
	if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
		return 0;
	*ret = (struct view_plan){ .kind = VIEW_SHARE, .name = m->source, .fd = -EBADF, .report_fd = -EBADF };
	if (S_ISDIR(st.st_mode)) {
		ret->fd = layer_open_dir(m->source, err);
		return ret->fd < 0 ? wrap(err, ret->fd, "share \"%s\"", m->source) : 1;
	}
	/* The file itself, whatever links lead to it: the directory that it is in, and its name there. */
	_cleanup_free_ char *real = realpath(m->source, NULL);
	char *slash = real ? strrchr(real, '/') : NULL;
	ret->only = slash ? strdup(slash + 1) : NULL;
	if (!ret->only)
		return fail_errno(err, "share \"%s\"", m->source);
	slash[slash == real] = '\0';
	ret->fd = open(real, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (ret->fd >= 0)
		return 1;
	int r = fail_errno(err, "share \"%s\"", m->source);
	free(ret->only);
	ret->only = NULL;
	return r;
}

int views_open(struct launch *l, struct kennel_error **err)
{
	const struct spec *spec = l->spec;
	int r = 0;

	l->views = calloc(spec->layers.n + 1 + spec->n_mounts, sizeof(*l->views));
	if (!l->views)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	for (size_t i = spec->layers.n; i > 0 && r == 0; i--) /* given lowest first */
		r = open_layer(l, VIEW_LAYER, spec->layers.items[i - 1], err);
	if (r == 0)
		r = open_layer(l, VIEW_BASE, spec->base_path ? spec->base_path : "/", err);
	for (size_t i = 0; i < spec->n_mounts && r == 0; i++)
		if (spec->mounts[i].read_only) {
			r = views_open_share(&spec->mounts[i], &l->views[l->n_views], err);
			l->n_views += r > 0;
			r = MIN(r, 0);
		}
	return r;
}

void views_done(struct launch *l)
{
	for (unsigned i = 0; i < l->n_views; i++) {
		if (l->views[i].fd != l->base_fd)
			close_fd(l->views[i].fd);
		close_fd(l->views[i].report_fd);
		free(l->views[i].only);
	}
	close_fd(l->view_death_fd);
	free(l->views);
}

void views_choose_bind(struct launch *l, size_t share)
{
	const struct spec_mount *m = &l->spec->mounts[share];
	struct child_bind *b = &l->child_binds[share];

	b->view = -1;
	/* the same name twice shows the same */
	for (unsigned i = 0; i < l->n_views && m->read_only; i++)
		if (l->views[i].kind == VIEW_SHARE && l->views[i].name == m->source) {
			b->view = (int)i;
			b->only = l->views[i].only;
		}
}

/* What one layer has at rel. Return: 1 something, or it hides the place; 0 nothing. */
static int layer_covers(int layer_fd, const char *rel)
{
	_cleanup_close_ int fd = fcntl(layer_fd, F_DUPFD_CLOEXEC, 3);
	_cleanup_free_ char *copy = strdup(rel);
	char *rest = copy, *name, opaque[2];
	struct stat st;

	while (fd >= 0 && copy && (name = strsep(&rest, "/"))) {
		if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return 0;
		if (!rest || !S_ISDIR(st.st_mode))
			return 1;
		replace_fd(&fd, openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
		if (fd < 0)
			return 1;
		if (fgetxattr(fd, "user.overlay.opaque", opaque, sizeof(opaque)) == 1 && opaque[0] == 'y')
			return 1;
	}
	return 0;
}

bool views_cover(const struct launch *l, unsigned lower, const char *rel)
{
	for (unsigned i = 0; i < lower; i++)
		if (layer_covers(l->shared->lower_fds[i], rel))
			return true;
	return false;
}
