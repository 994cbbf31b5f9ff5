/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * api-export.c - the public face of ship/ for what goes out: whose tree, in which form, to where.
 *
 * Here everything is opened and named; a process that sees the ids as they are inside does the reading and
 * writing (ship/worker.h), and gets nothing but descriptors.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <kennel/kennel.h>

#include "api-ship.h"
#include "base/cleanup.h"
#include "delta/layout.h"
#include "path/path.h"
#include "ship/boot.h"
#include "ship/export.h"
#include "ship/mark.h"
#include "ship/oci.h"
#include "ship/package.h"
#include "ship/place.h"
#include "ship/worker.h"

/* What is read, and how its parts lie. */
struct source {
	struct delta_tree *tree; /* of a delta */
	int user_ns_fd; /* to read another user's in, or 0 */
	struct ship_root root; /* or a whole root */
	struct ship_boot boot;
	struct ship_part *parts;
	int **fds; /* of each part: all its trees; of a whole root, NULL */
	size_t *mounts; /* of each part: which mount of the manifest */
	size_t n;
	struct ship_walk walk;
};

static void source_done(struct source *s)
{
	for (size_t i = 0; i < s->n; i++) {
		close_fd(s->parts[i].fd);
		for (unsigned k = 0; k < s->parts[i].n_below; k++)
			close_fd(s->parts[i].below_fds[k]);
	}
	for (size_t i = 0; s->fds && i < s->n; i++)
		free(s->fds[i]);
	free(s->fds);
	free(s->parts);
	free(s->mounts);
	delta_tree_free(s->tree);
	if (s->user_ns_fd > 0)
		close_fd(s->user_ns_fd);
	ship_root_close(&s->root);
}
#define _cleanup_source_ __attribute__((cleanup(source_done)))

/*
 * A directory that kennel put in holds what the sandbox made there since; what the base has below it the
 * sandbox was never shown.
 */
static int wanted_of_planted_dir(const struct manifest_planted *p, int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	const bool opaque = fd >= 0 && ship_is_opaque(fd);
	_cleanup_closedir_ DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (p->kind == MANIFEST_OPAQUE && !opaque)
		return SHIP_TAKE;
	for (const struct dirent *e; d && (e = readdir(d));)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			return p->kind == MANIFEST_OPAQUE ? SHIP_TAKE_SHOWING : SHIP_TAKE;
	return SHIP_LEAVE;
}

/* What kennel itself put in is no change. Called in the process that works. */
static int wanted(void *data, size_t part, const char *rel, int dir_fd, const char *name,
		  const struct stat *st)
{
	const struct source *s = data;
	const struct manifest *m = &s->tree->manifest;
	const struct manifest_planted *p =
		manifest_plants_find(&m->planted, m->mounts[s->mounts[part]].index, rel);

	if (!p)
		return SHIP_TAKE;
	if (S_ISDIR(st->st_mode) && (p->kind == MANIFEST_OPAQUE || p->kind == MANIFEST_PLACE))
		return wanted_of_planted_dir(p, dir_fd, name);
	return manifest_planted_is_same(p, st, false) ? SHIP_LEAVE : SHIP_TAKE;
}

/* A directory on the way to a mount, as the base has it: in the lowers of the mount that it is in. */
static int parent(void *data, const char *path, struct stat *ret)
{
	const struct source *s = data;
	size_t best = 0, best_len = 0;

	for (size_t i = 1; i < s->n; i++) {
		size_t len = strlen(s->parts[i].target);

		if (len > best_len && strncmp(path, s->parts[i].target, len) == 0 && path[len] == '/') {
			best = i;
			best_len = len;
		}
	}
	const struct delta_lower *l = &s->tree->lowers[s->mounts[best]];
	const char *rel = path + best_len + (best_len > 0);
	for (size_t i = 0; i < l->n; i++) {
		_cleanup_close_ int fd = path_pin_plain(l->fds[i], rel, O_DIRECTORY, NULL);
		struct stat st;

		if (fd >= 0 && fstat(fd, &st) == 0) {
			*ret = st;
			return 0;
		}
	}
	return 0;
}

static int compare_targets(const void *a, const void *b)
{
	const struct ship_part *p = a, *q = b;

	return strcmp(p->target, q->target);
}

/*
 * The uppers of all mounts, by their targets. A mount that has no directory has no changes. Called in the
 * process that works.
 */
static int open_delta_parts(struct source *s, struct kennel_error **err)
{
	const struct delta_tree *t = s->tree;
	const struct manifest *m = &t->manifest;

	s->parts = calloc(m->n_mounts ? m->n_mounts : 1, sizeof(*s->parts));
	s->mounts = calloc(m->n_mounts ? m->n_mounts : 1, sizeof(*s->mounts));
	s->fds = calloc(m->n_mounts ? m->n_mounts : 1, sizeof(*s->fds));
	if (!s->parts || !s->mounts || !s->fds)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	for (size_t i = 0; i < m->n_mounts; i++) {
		const char *target = m->mounts[i].target;
		int *fds = NULL, n = delta_tree_open_uppers(t, (unsigned)i, &fds, err);

		if (n <= 0)
			free(fds);
		if (n < 0)
			return n;
		if (n == 0)
			continue;
		s->fds[s->n] = fds;
		s->parts[s->n++] = (struct ship_part){
			.fd = fds[0],
			.target = target + strspn(target, "/"),
			.below_fds = fds + 1,
			.n_below = (unsigned)n - 1,
			.opaque = m->user_xattr ? "user.overlay.opaque" : "trusted.overlay.opaque",
		};
	}
	if (!s->n)
		return fail(err, KENNEL_E_NOTFOUND, "it has no changes: it was never started");
	qsort(s->parts, s->n, sizeof(*s->parts), compare_targets);
	for (size_t i = 0; i < s->n; i++)
		for (size_t k = 0; k < m->n_mounts; k++)
			if (m->mounts[k].target + strspn(m->mounts[k].target, "/") == s->parts[i].target)
				s->mounts[i] = k;
	s->walk = (struct ship_walk){
		.parts = s->parts,
		.n_parts = s->n,
		.deletions = true,
		.wanted = wanted,
		.parent = parent,
		.data = s,
	};
	return 0;
}

static int wanted_in_root(void *data, size_t part, const char *rel, int dir_fd, const char *name,
			  const struct stat *st)
{
	const struct source *s = data;

	return !ship_boot_replaces(&s->boot, rel);
}

static int open_root_part(struct source *s, const char *store, const char *what, struct kennel_error **err)
{
	int r = ship_root_open(store, what, &s->root, err);

	if (r < 0)
		return r;
	s->parts = calloc(1, sizeof(*s->parts));
	if (!s->parts)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	s->parts[s->n++] = (struct ship_part){ fcntl(s->root.root_fd, F_DUPFD_CLOEXEC, 3), "" };
	if (s->parts[0].fd < 0)
		return fail_errno(err, "duplicate a descriptor");
	s->walk = ship_root_walk(&s->root, s->parts);
	s->walk.wanted = wanted_in_root;
	s->walk.data = s;
	return 0;
}

/* Does the base have this directory? For packages. */
static int in_base(void *data, const char *path)
{
	const struct source *s = data;

	for (size_t i = 0; i < s->tree->manifest.n_mounts; i++) {
		const char *target = s->tree->manifest.mounts[i].target;
		size_t len = strlen(target += strspn(target, "/"));
		const char *rel = len == 0 ? path :
				  strncmp(path, target, len) == 0 && (!path[len] || path[len] == '/') ?
					     path + len + strspn(path + len, "/") :
					     NULL;

		for (size_t k = 0; rel && k < s->tree->lowers[i].n; k++) {
			_cleanup_close_ int fd = path_pin_plain(s->tree->lowers[i].fds[k], *rel ? rel : ".",
								O_DIRECTORY, NULL);
			if (fd >= 0)
				return 1;
		}
	}
	return 0;
}

enum as { AS_PLAIN, AS_DEB, AS_TAR, AS_INITRD, AS_IMAGE };

static int parse_as(const char *as, enum as *ret, struct kennel_error **err)
{
	static const char *const names[] = { "", "deb", "tar-package", "bootable-initrd", "base-image" };

	*ret = AS_PLAIN;
	if (!as)
		return 0;
	for (size_t i = 1; i < ARRAY_SIZE(names); i++)
		if (strcmp(as, names[i]) == 0) {
			*ret = (enum as)i;
			return 0;
		}
	return hint(err, fail(err, KENNEL_E_INVALID, "\"%s\" is nothing that can be made", as),
		    "there are deb, tar-package, bootable-initrd and base-image");
}

static int parse_what(const char *what, enum as as, bool *ret_root, struct kennel_error **err)
{
	bool boots = as == AS_INITRD || as == AS_IMAGE;

	*ret_root = boots;
	if (!what)
		return 0;
	if (strcmp(what, "delta") != 0 && strcmp(what, "root") != 0)
		return hint(err, fail(err, KENNEL_E_INVALID, "\"%s\" is neither delta nor root", what),
			    "delta: the changes alone; root: all that is seen inside");
	*ret_root = strcmp(what, "root") == 0;
	if (as != AS_PLAIN && *ret_root != boots)
		return fail(err, KENNEL_E_INVALID, "that is made of the %s", boots ? "root" : "delta");
	return 0;
}

static int choose_format(const struct kennel_export_options *o, enum as as, const char *output,
			 const struct ship_format **ret, struct kennel_error **err)
{
	if (as == AS_IMAGE)
		return ship_format_find("ext4", ret, err);
	if (as == AS_INITRD) {
		_cleanup_error_ struct kennel_error *why = NULL;
		int r = ship_format_of_path(output, ret, &why);

		return r == 0 && (*ret)->form == SHIP_FORM_CPIO ? 0 : ship_format_find("cpio.zst", ret, err);
	}
	if (as != AS_PLAIN)
		return ship_format_find("tar.zst", ret, err);
	return o->format ? ship_format_find(o->format, ret, err) : ship_format_of_path(output, ret, err);
}

/* Everything that the process which works needs. */
struct task {
	struct source *source;
	struct ship_output output;
	struct ship_package package;
	bool is_package;
};

static int work(void *data, struct ship_progress *p, struct buf *out, struct kennel_error **err)
{
	struct task *t = data;
	struct ship_size size;

	/* only here: an ordinary user may not look into what belongs to the ids inside */
	int r = t->source->tree ? open_delta_parts(t->source, err) : 0;
	if (r < 0)
		return r;
	t->source->walk.progress = p;
	t->output.progress = p;
	r = ship_measure(&t->source->walk, &size, err);
	if (r < 0)
		return r;
	p->total = size.bytes + size.entries * SHIP_ENTRY_COST;
	return t->is_package ? ship_package_write(&t->source->walk, &t->package, t->output.fd, p, err) :
			       ship_export(&t->source->walk, &t->output, err);
}

static int run_task(struct task *t, struct ship_place *place, const struct kennel_export_options *o,
		    uint64_t *ret_left_out, struct kennel_error **err)
{
	const struct ship_watch watch = { o->tick, o->data, t->source->user_ns_fd };
	struct stat st;

	/* Who reads it is root of that user's ids, and may not make files of others. */
	if (watch.user_ns_fd > 0 && ((!t->is_package && ship_output_needs_spare(&t->output)) ||
				     (fstat(place->fd, &st) == 0 && S_ISDIR(st.st_mode))))
		return hint(err,
			    fail(err, KENNEL_E_UNSUPPORTED,
				 "of another user's container no directory and no such image can be made"),
			    "tar, cpio and squashfs can; or let that user do it");
	t->output.fd = place->fd;
	t->output.spare_fd = -EBADF;
	if (!t->is_package && ship_output_needs_spare(&t->output)) {
		t->output.spare_fd = ship_place_spare(place, err);
		if (t->output.spare_fd < 0)
			return t->output.spare_fd;
	}
	int r = ship_work(work, t, &watch, NULL, ret_left_out, err);
	return r == 0 ? ship_place_commit(place, err) : r;
}

static int check_boots(int root_fd, struct kennel_error **err)
{
	static const char *const inits[] = { "/sbin/init", "/lib/systemd/systemd", "/etc/init", "/bin/init" };

	for (size_t i = 0; i < ARRAY_SIZE(inits); i++) {
		_cleanup_close_ int fd = path_pin(root_fd, inits[i], 0, NULL);

		if (fd >= 0)
			return 0;
	}
	return hint(err, fail(err, KENNEL_E_NOTFOUND, "this root has no init: it would not boot"),
		    "install one inside (Debian: systemd-sysv or sysvinit-core) and do it again");
}

static int open_source(const char *store, const char *what, bool root, enum as as, struct source *s,
		       struct kennel_error **err)
{
	int r;

	if (!root)
		return ship_delta_open(store, what, &s->tree, &s->user_ns_fd, err);
	r = open_root_part(s, store, what, err);
	if (r == 0 && as != AS_PLAIN)
		r = check_boots(s->root.root_fd, err);
	if (r == 0 && as != AS_PLAIN)
		ship_boot_fill(&s->boot, as == AS_INITRD ? SHIP_BOOT_INITRD : SHIP_BOOT_IMAGE);
	return r;
}

static int fill_package(struct task *t, const struct kennel_export_options *o, enum as as, const char *output,
			char *own[static 2], struct kennel_error **err)
{
	int r = o->package ? 0 : ship_package_name(output, &own[0], err);

	if (r == 0 && !o->version)
		r = ship_package_version(output, &own[1], err);
	if (r < 0)
		return r;
	t->is_package = true;
	t->package = (struct ship_package){
		.kind = as == AS_DEB ? SHIP_PACKAGE_DEB : SHIP_PACKAGE_TAR,
		.name = o->package ? o->package : own[0],
		.version = o->version ? o->version : own[1],
		.arch = ship_package_arch(),
		.depends = o->depends,
		.description = o->description,
		.maintainer = o->maintainer,
		.in_base = in_base,
		.data = t->source,
	};
	return ship_package_check(&t->package, err);
}

static int export(const char *what, const char *output, const struct kennel_export_options *o,
		  uint64_t *ret_left_out, struct kennel_error **err)
{
	_cleanup_place_ struct ship_place place = SHIP_PLACE_NONE;
	_cleanup_source_ struct source source = { .root = SHIP_ROOT_NONE };
	_cleanup_free_ char *own_name = NULL, *own_version = NULL;
	char *own[2] = { 0 };
	_cleanup_buf_ struct buf mark = { 0 };
	struct task t = { .source = &source };
	enum as as;
	bool root = false;

	int r = parse_as(o->as, &as, err);
	if (r == 0)
		r = parse_what(o->what, as, &root, err);
	if (r == 0)
		r = choose_format(o, as, output, &t.output.format, err);
	if (r == 0 && (as == AS_DEB || as == AS_TAR))
		r = fill_package(&t, o, as, output, own, err);
	own_name = own[0];
	own_version = own[1];
	if (r == 0)
		r = open_source(o->store, what, root, as, &source, err);
	if (r < 0)
		return r;
	ship_mark_format(&mark, root, root ? NULL : source.tree->manifest.base,
			 root ? NULL : source.tree->manifest.base_id);
	r = buf_check(&mark, err);
	t.output.mark = buf_str(&mark);
	t.output.root = root;
	t.output.journal = as == AS_IMAGE;
	t.output.name = what;
	t.output.arch = oci_arch();
	t.output.extra = source.boot.entries;
	t.output.n_extra = source.boot.n;
	enum ship_form form = t.output.format->form;
	if (r == 0)
		r = ship_place_open(&place, output, form == SHIP_FORM_DIRECTORY || form == SHIP_FORM_OCI,
				    o->force, err);
	return r == 0 ? run_task(&t, &place, o, ret_left_out, err) : r;
}

int kennel_export(const char *source, const char *output, const struct kennel_export_options *options,
		  uint64_t *ret_left_out, struct kennel_error **err)
{
	const struct kennel_export_options defaults = { .size = sizeof(defaults) };

	if (options && options->size != sizeof(*options))
		return fail(err, KENNEL_E_INVALID, "options of another version of the library");
	int r = export(source, output, options ? options : &defaults, ret_left_out, err);
	return r < 0 ? wrap(err, r, "export \"%s\"", source) : 0;
}
