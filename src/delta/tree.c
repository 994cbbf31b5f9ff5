/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* delta/tree.c - see tree.h. */
#include "delta/tree.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/pathname.h"
#include "delta/dirs.h"
#include "delta/layout.h"
#include "delta/lower.h"
#include "delta/stack.h"
#include "layer/layer.h"
#include "sys/sys.h"

#define OF_VOLUME "/proc/self/fd/" /* container_base_path() */

/* A base that was made for the container, by root of the inside, who it belongs to. */
static bool is_of_inside(const struct delta_tree *t, const char *path)
{
	const struct manifest *m = &t->manifest;
	struct stat st;

	return m->view && m->shifted && m->ids.uids.count && stat(path, &st) == 0 && S_ISDIR(st.st_mode) &&
	       st.st_uid == m->ids.uids.base;
}

static int open_inside(struct delta_tree *t, const char *path, struct kennel_error **err)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	t->base_inside = true;
	return fd < 0 ? fail_errno(err, "open \"%s\"", path) : fd;
}

static int open_layer(const struct delta_tree *t, const char *path, struct kennel_error **err)
{
	_cleanup_free_ char *kind = NULL;
	struct stat st;
	int fd;

	/* An ordinary user mounts nothing; what lies on top of the directory is part of the view, too. */
	if (t->manifest.view && stat(path, &st) == 0 && !S_ISDIR(st.st_mode))
		return hint(err, fail(err, KENNEL_E_UNSUPPORTED, "reading the image \"%s\" needs root", path),
			    "changes over an image are compared by root alone");
	/*
	 * Nothing can lie on what a volume has, whose mount is in no namespace; Linux 6.15 was the first to
	 * clone one.
	 */
	if (t->manifest.view || strncmp(path, OF_VOLUME, strlen(OF_VOLUME)) == 0)
		return layer_open_dir(path, err);
	int r = t->layers.open_image ? t->layers.open_image(path, &fd, err) :
				       layer_open(path, &fd, &kind, err);
	return r < 0 ? r : fd;
}

/*
 * The mount of this machine at a place, without what is mounted on it. Return: descriptor, -KENNEL_E_NOTFOUND
 * it is not mounted, or another negative code.
 */
static int open_system(const struct delta_tree *t, const char *target, struct kennel_error **err)
{
	int fd = t->manifest.view ? -1 : sys_open_tree(AT_FDCWD, target, SYS_OPEN_TREE_CLONE);

	/* Without the right to mount: as it is, with what is mounted on it. */
	if (fd < 0 && (t->manifest.view || errno == EPERM || errno == EINVAL))
		fd = open(target, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? fail_errno(err, "open \"%s\"", target) : fd;
}

static int add_lower(struct delta_lower *l, int fd)
{
	if (fd < 0)
		return fd;
	l->fds[l->n++] = fd;
	return 0;
}

static int open_base(struct delta_tree *t, struct delta_lower *l, struct kennel_error **err)
{
	const struct manifest *m = &t->manifest;
	int r = 0;

	if (strcmp(m->base, "system") != 0) {
		r = add_lower(l, is_of_inside(t, m->base) ? open_inside(t, m->base, err) :
							    open_layer(t, m->base, err));
		return r < 0 ? wrap(err, r, "open the base of the changes") : 0;
	}
	if (!m->root_layers.n)
		return add_lower(l, open_system(t, "/", err));
	for (size_t i = 0; i < m->root_layers.n && r == 0; i++)
		r = add_lower(l, open_layer(t, m->root_layers.items[i], err));
	return r < 0 ? wrap(err, r, "open a layer of this machine's root") : 0;
}

struct base_layers {
	struct delta_tree *tree;
	size_t mount;
};

/* Frozen layers that count as the base; called by the reader. */
static int open_base_layers(void *data, struct kennel_error **err)
{
	const struct base_layers *b = data;
	const struct delta_layers *layers = &b->tree->layers;
	struct delta_lower *l = &b->tree->lowers[b->mount];
	_cleanup_free_ struct delta_source *s = calloc(layers->n_base + 1, sizeof(*s));

	if (!s)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	for (size_t i = 0; i < layers->n_base; i++)
		s[i] = (struct delta_source){ .delta_fd = layers->items[i].delta_fd,
					      .manifest = &layers->items[i].manifest };
	int n = delta_stack_open(s, layers->n_base, &b->tree->manifest, b->mount, l->fds, NULL, err);
	l->n = l->n_layers = (size_t)MAX(n, 0);
	return MIN(n, 0);
}

static int open_lower(struct delta_tree *t, size_t i, struct kennel_error **err)
{
	const struct manifest *m = &t->manifest;
	struct delta_lower *l = &t->lowers[i];

	l->fds = calloc(1 + m->layers.n + m->root_layers.n + t->layers.n_base, sizeof(*l->fds));
	if (!l->fds)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	int r = t->layers.n_base ?
			delta_reader_call(t->reader, open_base_layers, &(struct base_layers){ t, i }, err) :
			0;
	for (size_t k = i == 0 ? m->layers.n : 0; k > 0 && r == 0; k--)
		r = add_lower(l, open_layer(t, m->layers.items[k - 1], err));
	if (r < 0)
		return wrap(err, r, "open a layer of the base");
	if (i == 0)
		return open_base(t, l, err);
	/* Whether anything was changed in a mount that is not there now is seen by who reads it. */
	_cleanup_error_ struct kennel_error *why = NULL;
	(void)!add_lower(l, open_system(t, m->mounts[i].target, &why));
	return 0;
}

static int use_own_rights(struct delta_tree *t, int user_ns_fd, const struct idmap *shift,
			  struct kennel_error **err)
{
	t->values = malloc(sizeof(*t->values));
	if (!t->values)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	*t->values = (struct delta_values){
		.user_ns_fd = fcntl(user_ns_fd, F_DUPFD_CLOEXEC, 3),
		.shift = *shift,
	};
	return t->values->user_ns_fd < 0 ? fail_errno(err, "duplicate a descriptor") : 0;
}

static uint32_t unshift(const struct idmap *m, uint32_t id)
{
	const uint32_t nobody = 65534;

	return id >= m->base && id - m->base < m->count ? id - m->base : nobody;
}

void delta_tree_show_owner(const struct delta_tree *t, struct stat *st)
{
	if (!t->values)
		return;
	st->st_uid = unshift(&t->values->shift, st->st_uid);
	st->st_gid = unshift(&t->values->shift, st->st_gid);
}

int delta_layers_add(struct delta_layers *l, int delta_fd, struct manifest *manifest,
		     struct kennel_error **err)
{
	struct delta_layer *items = reallocarray(l->items, l->n + 1, sizeof(*items));

	if (!items) {
		close_fd(delta_fd);
		manifest_done(manifest);
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	}
	manifest_plants_sort(&manifest->planted);
	l->items = items;
	l->items[l->n++] = (struct delta_layer){ delta_fd, *manifest };
	*manifest = (struct manifest){ 0 };
	return 0;
}

void delta_layers_done(struct delta_layers *l)
{
	for (size_t i = 0; i < l->n; i++) {
		close_fd(l->items[i].delta_fd);
		manifest_done(&l->items[i].manifest);
	}
	free(l->items);
	*l = (struct delta_layers){ 0 };
}

/* Layers that are no part of the base and, on top, the delta; the caller's. */
static struct delta_source *sources_of(const struct delta_tree *t)
{
	struct delta_source *s = calloc(t->layers.n + 1, sizeof(*s));
	const struct delta_layer *from = t->layers.items + t->layers.n_base;
	size_t n = t->layers.n - t->layers.n_base;

	for (size_t i = 0; s && i < n; i++)
		s[i] = (struct delta_source){ .delta_fd = from[i].delta_fd, .manifest = &from[i].manifest };
	if (s)
		s[n] = (struct delta_source){
			.delta_fd = t->root_fd,
			.manifest = t->layers.n ? &t->own : &t->manifest,
		};
	return s;
}

/* What all layers say together becomes what the tree says. */
static int join_manifests(struct delta_tree *t, struct kennel_error **err)
{
	if (!t->layers.n)
		return 0;
	t->own = t->manifest;
	t->manifest = (struct manifest){ 0 };
	_cleanup_free_ struct delta_source *s = sources_of(t);
	return s ? delta_stack_manifest(s, t->layers.n - t->layers.n_base + 1, &t->manifest, err) :
		   fail(err, KENNEL_E_NOMEM, "out of memory");
}

int delta_tree_open_uppers(const struct delta_tree *t, unsigned mount, int **ret, struct kennel_error **err)
{
	_cleanup_free_ struct delta_source *s = sources_of(t);
	_cleanup_free_ int *fds = calloc(t->layers.n + 1, sizeof(*fds));

	if (!s || !fds)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	int n = delta_stack_open(s, t->layers.n - t->layers.n_base + 1, &t->manifest, mount, fds, NULL, err);
	if (n >= 0)
		*ret = take_ptr(&fds);
	return n;
}

int delta_tree_open(struct manifest *manifest, int root_fd, int user_ns_fd, const struct idmap *shift,
		    struct delta_tree **ret, struct kennel_error **err)
{
	struct delta_layers none = { 0 };

	return delta_tree_open_over(manifest, root_fd, &none, user_ns_fd, shift, ret, err);
}

int delta_tree_open_over(struct manifest *manifest, int root_fd, struct delta_layers *layers, int user_ns_fd,
			 const struct idmap *shift, struct delta_tree **ret, struct kennel_error **err)
{
	_cleanup_delta_tree_ struct delta_tree *t = calloc(1, sizeof(*t));

	if (!t) {
		manifest_done(manifest);
		delta_layers_done(layers);
		close_fd(root_fd);
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	}
	t->manifest = *manifest;
	*manifest = (struct manifest){ 0 };
	t->layers = *layers;
	*layers = (struct delta_layers){ 0 };
	t->root_fd = root_fd;
	manifest_plants_sort(&t->manifest.planted);
	int r = join_manifests(t, err);
	if (r < 0)
		return r;
	t->lowers = calloc(t->manifest.n_mounts, sizeof(*t->lowers));
	if (!t->lowers)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	if (r == 0 && user_ns_fd >= 0)
		r = shift ? use_own_rights(t, user_ns_fd, shift, err) :
			    delta_reader_new(user_ns_fd, &t->reader, err);
	for (size_t i = 0; i < t->manifest.n_mounts && r == 0; i++)
		r = open_lower(t, i, err);
	t->id_count = user_ns_fd >= 0 ? IDMAP_DEFAULT_COUNT : 0;
	if (t->manifest.view) {
		t->own_uid = t->manifest.shifted ? t->manifest.ids.uid : geteuid();
		t->own_gid = t->manifest.shifted ? t->manifest.ids.gid : getegid();
	}
	if (r == 0)
		*ret = take_ptr(&t);
	return r;
}

struct delta_tree *delta_tree_free(struct delta_tree *t)
{
	if (!t)
		return NULL;
	delta_reader_free(t->reader);
	if (t->values) {
		delta_reader_free(t->values->reader);
		close_fd(t->values->user_ns_fd);
		free(t->values);
	}
	for (size_t i = 0; t->lowers && i < t->manifest.n_mounts; i++) {
		for (size_t k = 0; k < t->lowers[i].n; k++)
			close_fd(t->lowers[i].fds[k]);
		free(t->lowers[i].fds);
	}
	free(t->lowers);
	close_fd(t->root_fd);
	delta_layers_done(&t->layers);
	manifest_done(&t->own);
	manifest_done(&t->manifest);
	if (t->held)
		t->let_go(t->held);
	free(t);
	return NULL;
}

struct job {
	const struct delta_tree *tree;
	unsigned mount;
	const char *rel;
	int flags;
	unsigned rules;
	struct delta_xattrs *xattrs;
};

static int fail_pin(const char *rel, struct kennel_error **err)
{
	if (errno == ELOOP || errno == ENOTDIR) /* a link where a directory was */
		errno = ENOENT;
	return fail_errno(err, "open \"%s\"", rel);
}

static int pin_after(void *data, struct kennel_error **err)
{
	const struct job *j = data;
	const struct delta_tree *t = j->tree;
	_cleanup_free_ int *fds = NULL;

	int n = delta_tree_open_uppers(t, j->mount, &fds, err);
	if (n < 0)
		return n;
	int fd = delta_stack_pin(fds, (unsigned)n,
				 t->manifest.user_xattr ? "user.overlay.opaque" : "trusted.overlay.opaque",
				 j->rel, j->flags);
	int saved = errno;
	for (int i = 0; i < n; i++)
		close_fd(fds[i]);
	errno = saved;
	return fd < 0 ? fail_pin(j->rel, err) : fd;
}

static unsigned rules_of(const struct delta_tree *t)
{
	return (t->manifest.user_xattr ? DELTA_XATTR_USER : 0) |
	       (t->reader || t->values || geteuid() != 0 ? 0 : DELTA_XATTR_TRUSTED);
}

int delta_tree_xattrs_of(const struct delta_tree *t, int fd, struct delta_xattrs *ret,
			 struct kennel_error **err)
{
	return delta_xattrs_read(fd, rules_of(t), ret, err);
}

struct before {
	const struct delta_tree *tree;
	int fd;
	struct delta_xattrs *ret;
};

static int xattrs_before(void *data, struct kennel_error **err)
{
	const struct before *b = data;

	return delta_tree_xattrs_of(b->tree, b->fd, b->ret, err);
}

int delta_tree_xattrs_before(const struct delta_tree *t, int fd, struct delta_xattrs *ret,
			     struct kennel_error **err)
{
	struct before b = { t, fd, ret };

	return delta_reader_call(t->base_inside || t->layers.n_base ? t->reader : NULL, xattrs_before, &b,
				 err);
}

bool delta_tree_xattrs_any(const struct delta_tree *t, int dir_fd, const char *name)
{
	return delta_xattrs_any(dir_fd, name, rules_of(t));
}

static int xattrs_after(void *data, struct kennel_error **err)
{
	const struct job *j = data;
	_cleanup_close_ int fd = pin_after(data, err);

	return fd < 0 ? fd : delta_xattrs_read(fd, j->rules, j->xattrs, err);
}

/* Name by name, through all trees of the base. */
static int pin_merged(const struct job *j, struct kennel_error **err)
{
	_cleanup_lower_ struct lower l = { 0 };
	_cleanup_strv_ struct strv parts = { 0 };
	struct stat st;

	int r = lower_begin(&l, j->tree, j->mount, err);
	if (r == 0)
		r = strv_split(&parts, j->rel, '/', err);
	for (size_t i = 0; i + 1 < parts.n && r == 0; i++)
		r = lower_enter(&l, parts.items[i], false, err);
	if (r < 0)
		return r;
	r = parts.n ? lower_look(&l, parts.items[parts.n - 1], &st, err) : 1;
	if (r < 0)
		return r;
	errno = ENOENT;
	int fd = r == 0 ? -1 : lower_open(&l, parts.n ? parts.items[parts.n - 1] : ".", j->flags);
	return fd < 0 ? fail_pin(j->rel, err) : fd;
}

static int pin_before(const struct job *j, struct kennel_error **err)
{
	const struct delta_lower *l = &j->tree->lowers[j->mount];

	if (l->n != 1 || j->tree->manifest.view)
		return pin_merged(j, err);
	int fd = j->flags & (O_PATH | O_DIRECTORY) ? dirs_pin(l->fds[0], j->rel, j->flags) :
						     dirs_open_file(l->fds[0], j->rel);
	return fd < 0 ? fail_pin(j->rel, err) : fd;
}

int delta_tree_pin(const struct delta_tree *t, enum delta_side side, unsigned mount, const char *rel,
		   int flags, struct kennel_error **err)
{
	struct job j = { .tree = t, .mount = mount, .rel = rel, .flags = flags };

	return side == DELTA_BEFORE ? pin_before(&j, err) : delta_reader_call(t->reader, pin_after, &j, err);
}

int delta_tree_readlink(const struct delta_tree *t, enum delta_side side, unsigned mount, const char *rel,
			char **ret, struct kennel_error **err)
{
	_cleanup_close_ int fd = delta_tree_pin(t, side, mount, rel, O_PATH, err);
	char target[PATH_MAX + 1];

	if (fd < 0)
		return fd;
	ssize_t n = readlinkat(fd, "", target, sizeof(target) - 1);
	if (n < 0)
		return fail_errno(err, "read the link \"%s\"", rel);
	*ret = strndup(target, (size_t)n);
	return *ret ? 0 : fail(err, KENNEL_E_NOMEM, "out of memory");
}

int delta_tree_xattrs(const struct delta_tree *t, enum delta_side side, unsigned mount, const char *rel,
		      struct delta_xattrs *ret, struct kennel_error **err)
{
	struct job j = {
		.tree = t,
		.mount = mount,
		.rel = rel,
		.flags = O_PATH,
		.rules = rules_of(t),
		.xattrs = ret,
	};

	if (side == DELTA_AFTER) {
		int r = t->values && !t->values->reader ?
				delta_reader_new(t->values->user_ns_fd, &t->values->reader, err) :
				0;

		return r < 0 ? r :
			       delta_reader_call(t->values ? t->values->reader : t->reader, xattrs_after, &j,
						 err);
	}
	_cleanup_close_ int fd = pin_before(&j, err);
	return fd < 0 ? fd : delta_tree_xattrs_before(t, fd, ret, err);
}
