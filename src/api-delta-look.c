/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* api-delta-look.c - changes as a person wants to see them: as text, and as packages. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <kennel/kennel.h>

#include "api-delta.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "delta/diff.h"
#include "delta/packages.h"
#include "delta/text.h"

#define TEXT_MAX (4u << 20) /* bytes of one side */
#define DATABASE_MAX (64u << 20)
#define RPM_MAX (512u << 20)
#define CONTEXT 3

/* Return: 1, 0 it is not there or no file, or a negative code; more than max bytes: LIMIT. */
static int read_side(struct kennel_delta *d, const char *path, int after, size_t max, struct buf *ret,
		     struct kennel_error **err)
{
	_cleanup_close_ int fd = kennel_delta_read_file(d, path, after, err);

	if (fd == -KENNEL_E_NOTFOUND || fd == -KENNEL_E_TYPE) {
		error_clear(err);
		return 0;
	}
	if (fd < 0)
		return fd;
	int r = buf_read_fd(ret, fd, max, err);
	return r < 0 ? wrap(err, r, "read \"%s\"", path) : 1;
}

int kennel_delta_text(struct kennel_delta *delta, const char *path, char **ret, size_t *ret_size,
		      struct kennel_error **err)
{
	_cleanup_buf_ struct buf before = { 0 }, after = { 0 }, out = { 0 };

	int r = read_side(delta, path, 0, TEXT_MAX, &before, err);
	if (r >= 0)
		r = read_side(delta, path, 1, TEXT_MAX, &after, err);
	if (r == -KENNEL_E_LIMIT) {
		error_clear(err);
		return 0;
	}
	if (r < 0)
		return r;
	const struct text_side a = { buf_str(&before), before.len }, b = { buf_str(&after), after.len };
	if (text_is_binary(&a) || text_is_binary(&b))
		return 0;
	r = text_diff(&a, &b, CONTEXT, &out, err);
	if (r == 0) {
		buf_add(&out, "", 1);
		r = buf_check(&out, err);
	}
	if (r < 0)
		return r;
	*ret_size = out.len - 1;
	*ret = take_ptr(&out.data);
	return 1;
}

struct look {
	struct kennel_delta *delta;
	const char *manager;
	int (*visit)(void *data, const struct kennel_package *package);
	void *data;
	bool changed;
	const char *below;
	struct package_list before, after;
};

static int visit_package(void *data, const struct package *before, const struct package *after)
{
	const struct look *l = data;
	const struct kennel_package p = {
		.size = sizeof(p),
		.manager = l->manager,
		.name = before ? before->name : after->name,
		.before = before ? before->version : NULL,
		.after = after ? after->version : NULL,
	};

	return l->visit(l->data, &p);
}

static int note_change(void *data, const struct delta_change *c, struct kennel_error **err)
{
	struct look *l = data;

	l->changed |= c->kind != DELTA_CHANGED || c->bits & DELTA_CONTENT;
	return 0;
}

typedef int (*parse_fn)(const char *text, size_t size, struct package_list *ret, struct kennel_error **err);

static int parse_side(struct look *l, const char *path, int after, parse_fn parse, struct package_list *ret,
		      struct kennel_error **err)
{
	_cleanup_buf_ struct buf b = { 0 };
	int r = read_side(l->delta, path, after, DATABASE_MAX, &b, err);

	return r <= 0 ? r : parse(buf_str(&b), b.len, ret, err);
}

static int look_at_text(struct look *l, const char *path, parse_fn parse, struct kennel_error **err)
{
	int r = parse_side(l, path, 0, parse, &l->before, err);

	return r < 0 ? r : parse_side(l, path, 1, parse, &l->after, err);
}

static int look_at_dpkg(struct look *l, const char *path, struct kennel_error **err)
{
	return look_at_text(l, path, packages_parse_dpkg, err);
}

static int look_at_apk(struct look *l, const char *path, struct kennel_error **err)
{
	return look_at_text(l, path, packages_parse_apk, err);
}

/* A directory for each package. */
static int note_pacman(void *data, const struct delta_change *c, struct kennel_error **err)
{
	struct look *l = data;
	size_t len = strlen(l->below);
	const char *name = c->path + len + 1;
	int r = 0;

	if (strlen(c->path) <= len + 1 || strchr(name, '/'))
		return 0;
	if (c->kind != DELTA_ADDED && S_ISDIR(c->before.st_mode) && c->kind != DELTA_CHANGED)
		r = packages_parse_pacman(name, &l->before, err);
	if (r >= 0 && c->kind != DELTA_DELETED && S_ISDIR(c->after.st_mode) && c->kind != DELTA_CHANGED)
		r = packages_parse_pacman(name, &l->after, err);
	return MIN(r, 0);
}

static int look_at_pacman(struct look *l, const char *path, struct kennel_error **err)
{
	l->below = path;
	return delta_diff(l->delta->tree, path, note_pacman, l, err);
}

/* Of path/name. Return as read_side(). */
static int read_in(struct look *l, const char *path, const char *name, int after, struct buf *ret,
		   struct kennel_error **err)
{
	_cleanup_free_ char *file = NULL;

	if (asprintf(&file, "%s/%s", path, name) < 0)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	return read_side(l->delta, file, after, RPM_MAX, ret, err);
}

/* Return: 0 read, or there is none; 1 it is of an older kind, or a part of it is still in a log beside it. */
static int read_rpm(struct look *l, const char *path, int after, struct package_list *ret,
		    struct kennel_error **err)
{
	static const char *const older[] = { "Packages", "Packages.db" };
	_cleanup_buf_ struct buf b = { 0 }, other = { 0 };
	int r = read_in(l, path, "rpmdb.sqlite", after, &b, err);

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(older); i++) {
		r = read_in(l, path, older[i], after, &other, err);
		if (r > 0)
			return 1;
	}
	if (r <= 0)
		return r;
	r = read_in(l, path, "rpmdb.sqlite-wal", after, &other, err);
	if (r < 0)
		return r;
	return other.len || !packages_is_rpm(buf_str(&b), b.len) ?
		       1 :
		       packages_parse_rpm(buf_str(&b), b.len, ret, err);
}

static int look_at_rpm(struct look *l, const char *path, struct kennel_error **err)
{
	int r = read_rpm(l, path, 0, &l->before, err);

	return r ? r : read_rpm(l, path, 1, &l->after, err);
}

static const struct {
	const char *manager, *path;
	/* 1: it can't be read */
	int (*look)(struct look *l, const char *path, struct kennel_error **err);
} databases[] = {
	{ "dpkg", "/var/lib/dpkg/status", look_at_dpkg },
	{ "apk", "/lib/apk/db/installed", look_at_apk },
	{ "apk", "/usr/lib/apk/db/installed", look_at_apk },
	{ "pacman", "/var/lib/pacman/local", look_at_pacman },
	{ "rpm", "/var/lib/rpm", look_at_rpm },
	{ "rpm", "/usr/lib/sysimage/rpm", look_at_rpm },
};

static int look_at(struct look *l, size_t i, struct kennel_error **err)
{
	int r = delta_diff(l->delta->tree, databases[i].path, note_change, l, err);

	if (r < 0 || !l->changed)
		return r;
	r = databases[i].look(l, databases[i].path, err);
	if (r < 0)
		return r;
	if (r > 0) {
		const struct kennel_package p = { .size = sizeof(p), .manager = l->manager };

		return l->visit(l->data, &p);
	}
	packages_sort(&l->before);
	packages_sort(&l->after);
	return packages_compare(&l->before, &l->after, visit_package, l);
}

int kennel_delta_packages(struct kennel_delta *delta,
			  int (*visit)(void *data, const struct kennel_package *package), void *data,
			  struct kennel_error **err)
{
	int r = 0;

	delta->tree->all = true;
	for (size_t i = 0; i < ARRAY_SIZE(databases) && r == 0; i++) {
		struct look l = {
			.delta = delta, .manager = databases[i].manager, .visit = visit, .data = data
		};

		r = look_at(&l, i, err);
		packages_done(&l.before);
		packages_done(&l.after);
	}
	return r;
}
