/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * api-foreign.c - containers of LXC and systemd-nspawn: their configuration as ours, their tree as a
 * base where it is, or copied.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <kennel/kennel.h>

#include "api-import.h"
#include "api-spec.h"
#include "base/cleanup.h"
#include "conf/foreign.h"
#include "idmap/idmap.h"

#define LXC_ROOT "/var/lib/lxc"
#define LXC_USER ".local/share/lxc"
#define MACHINES "/var/lib/machines"

enum foreign_kind { FOREIGN_NONE, FOREIGN_LXC, FOREIGN_NSPAWN };

/* Return: 1, 0 it is not there, or a negative code. Follows links, for these are a person's own files. */
static int read_text(const char *path, struct buf *ret, struct kennel_error **err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : fail_errno(err, "open \"%s\"", path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return fail(err, KENNEL_E_TYPE, "\"%s\" is no file", path);
	int r = buf_read_fd(ret, fd, FOREIGN_SIZE_MAX, err);
	if (r == 0 && ret->len && memchr(ret->data, '\0', ret->len))
		r = fail(err, KENNEL_E_CORRUPT, "there are NUL bytes in it");
	return r < 0 ? wrap(err, r, "\"%s\"", path) : 1;
}

static int is_conf(const struct dirent *e)
{
	size_t len = strlen(e->d_name);

	return len > 5 && strcmp(e->d_name + len - 5, ".conf") == 0;
}

static int read_included(void *data, const char *path, struct buf *ret, struct kennel_error **err)
{
	struct dirent **list;
	struct stat st;
	int r = 0;

	if (*path != '/')
		return fail(err, KENNEL_E_INVALID, "\"%s\" is not a full path", path);
	if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
		return read_text(path, ret, err);
	int n = scandir(path, &list, is_conf, alphasort);
	if (n < 0)
		return fail_errno(err, "read \"%s\"", path);
	for (int i = 0; i < n; i++) {
		_cleanup_buf_ struct buf name = { 0 }, text = { 0 };

		buf_printf(&name, "%s/%s", path, list[i]->d_name);
		if (r >= 0)
			r = buf_check(&name, err);
		if (r >= 0)
			r = read_text(buf_str(&name), &text, err);
		buf_add(ret, text.data, text.len);
		buf_puts(ret, "\n");
		free(list[i]);
	}
	free(list);
	return r < 0 ? r : 1;
}

static bool has_lxc_config(const char *path)
{
	_cleanup_buf_ struct buf name = { 0 }, text = { 0 };

	buf_printf(&name, "%s/config", path);
	return !name.nomem && read_text(buf_str(&name), &text, NULL) > 0 && foreign_is_lxc(buf_str(&text));
}

static enum foreign_kind find_kind(const char *input, const char **ret_rest)
{
	*ret_rest = input;
	if (strncmp(input, "lxc:", 4) == 0) {
		*ret_rest = input + 4;
		return FOREIGN_LXC;
	}
	if (strncmp(input, "nspawn:", 7) == 0) {
		*ret_rest = input + 7;
		return FOREIGN_NSPAWN;
	}
	return has_lxc_config(input) ? FOREIGN_LXC : FOREIGN_NONE;
}

bool import_is_foreign(const char *input)
{
	const char *rest;

	return find_kind(input, &rest) != FOREIGN_NONE;
}

/* A name is looked for where that tool has its containers; anything with a slash is a path. */
static int find_place(enum foreign_kind kind, const char *word, char **ret, struct kennel_error **err)
{
	_cleanup_buf_ struct buf path = { 0 };
	const char *home = getenv("HOME");

	if (!*word)
		return fail(err, KENNEL_E_INVALID, "there is no name behind the colon");
	if (strchr(word, '/'))
		buf_puts(&path, word);
	else if (kind == FOREIGN_NSPAWN)
		buf_printf(&path, MACHINES "/%s", word);
	else if (geteuid() == 0 || !home)
		buf_printf(&path, LXC_ROOT "/%s", word);
	else
		buf_printf(&path, "%s/" LXC_USER "/%s", home, word);
	int r = buf_check(&path, err);
	if (r < 0)
		return r;
	*ret = realpath(buf_str(&path), NULL);
	return *ret ? 0 : fail_errno(err, "find \"%s\"", buf_str(&path));
}

static int read_lxc(const char *place, struct foreign *f, struct kennel_error **err)
{
	_cleanup_buf_ struct buf name = { 0 }, text = { 0 };

	buf_printf(&name, "%s/config", place);
	int r = buf_check(&name, err);
	if (r == 0)
		r = read_text(buf_str(&name), &text, err);
	if (r == 0)
		r = hint(err, fail(err, KENNEL_E_NOTFOUND, "there is no \"%s\"", buf_str(&name)),
			 "a container of LXC is a directory with the files config and rootfs");
	if (r > 0)
		r = foreign_parse_lxc("config", buf_str(&text), read_included, NULL, f, err);
	if (r == 0 && !f->root) {
		name.len = 0;
		buf_printf(&name, "%s/rootfs", place);
		r = buf_check(&name, err);
		f->root = r == 0 ? take_ptr(&name.data) : NULL;
	}
	return r;
}

/* As systemd-nspawn looks for it: what the administrator says, then what came with the tree. */
static int read_nspawn(const char *place, struct foreign *f, struct kennel_error **err)
{
	const char *base = strrchr(place, '/');
	const char *const formats[] = { "/etc/systemd/nspawn", "/run/systemd/nspawn", NULL };
	_cleanup_buf_ struct buf text = { 0 };
	int r = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(formats) && r == 0; i++) {
		_cleanup_buf_ struct buf name = { 0 };

		buf_printf(&name, "%s%s.nspawn", formats[i] ? formats[i] : place, formats[i] ? base : "");
		r = buf_check(&name, err);
		if (r == 0)
			r = read_text(buf_str(&name), &text, err);
	}
	if (r >= 0)
		r = foreign_parse_nspawn(base + 1, buf_str(&text), f, err);
	if (r == 0)
		f->root = strdup(place);
	return r == 0 && !f->root ? fail(err, KENNEL_E_NOMEM, "out of memory") : r;
}

/* What has no counterpart is told, or refused with all of it in one sentence. */
static int judge_refused(const struct foreign *f, const struct kennel_import_options *o,
			 struct kennel_error **err)
{
	_cleanup_buf_ struct buf list = { 0 };

	for (size_t i = 0; i < f->refused.n; i++) {
		if (o->drop_unknown && o->dropped)
			o->dropped(o->dropped_data, f->refused.items[i]);
		buf_printf(&list, "%s%s", i ? ", " : "", f->refused.items[i]);
	}
	if (!f->refused.n || o->drop_unknown)
		return 0;
	int r = fail(err, KENNEL_E_UNSUPPORTED, "kennel has no counterpart of %s", buf_str(&list));
	return hint(err, r, "%s%s--drop-unknown goes on without", f->hint ? f->hint : "",
		    f->hint ? "; " : "");
}

static int take_optional(struct foreign *f, struct kennel_error **err)
{
	struct stat st;
	int r = 0;

	for (size_t i = 0; i + 1 < f->optional.n && r == 0; i += 2)
		if (stat(f->optional.items[i], &st) == 0)
			r = spec_set(f->spec, "mount", f->optional.items[i + 1], err);
	return r;
}

/* Whose files they are on disk says more than what the configuration says. */
static int look_at_owner(struct foreign *f, const char *root, bool copy, struct kennel_error **err)
{
	struct stat st;

	if (stat(root, &st) < 0)
		return hint(err, fail_errno(err, "find the tree \"%s\"", root),
			    "a volume must be mounted, or the whole configuration is of another machine");
	bool ours = st.st_uid == 0 || !S_ISDIR(st.st_mode) || (geteuid() != 0 && st.st_uid == geteuid());
	if (ours) {
		f->shift_count = 0;
		return 0;
	}
	if (!f->shifted || st.st_uid != f->shift_base) {
		f->shift_base = st.st_uid;
		f->shift_count = IDMAP_DEFAULT_COUNT;
	}
	if (copy)
		return 0;
	return hint(
		err,
		fail(err, KENNEL_E_UNSUPPORTED,
		     "the files of \"%s\" belong to the ids from %u on, as another tool left them", root,
		     f->shift_base),
		"--copy takes them as they are seen inside; \"kennel convert --shift none %s\" changes them",
		root);
}

static int use_in_place(const struct foreign *f, const char *name, const struct kennel_import_options *o,
			struct kennel_error **err)
{
	const struct kennel_spec spec = { .spec = f->spec };
	int r = spec_set(f->spec, "base", f->root, err);

	if (r == 0 && f->upper)
		r = spec_set(f->spec, "layer", f->upper, err);
	return r < 0 ? r : kennel_container_create(o->store, name, &spec, err);
}

static int copy_tree(const struct foreign *f, const char *name, const struct kennel_import_options *o,
		     uint64_t *ret_left_out, struct kennel_error **err)
{
	struct kennel_import_options as_root = *o;
	const struct import_wish w = {
		.o = &as_root,
		.input = f->root,
		.spec = f->spec,
		/* an ordinary user's ids are those inside already where the copy is made */
		.shift_base = f->shift_base,
		.shift_count = geteuid() == 0 ? f->shift_count : 0,
	};

	if (f->upper)
		return hint(err,
			    fail(err, KENNEL_E_UNSUPPORTED, "an overlay can't be copied as it is imported"),
			    "import it without --copy, then \"kennel clone -B dir\" makes one tree of it");
	as_root.what = "root";
	return import_container(&w, name, ret_left_out, err);
}

int import_foreign(const char *input, const char *name, const struct kennel_import_options *o,
		   uint64_t *ret_left_out, struct kennel_error **err)
{
	_cleanup_free_ char *place = NULL;
	struct foreign f = { 0 };
	const char *word;
	enum foreign_kind kind = find_kind(input, &word);

	if (o->what || o->base)
		return fail(err, KENNEL_E_INVALID, "a container of another tool says itself what it is");
	int r = find_place(kind, word, &place, err);
	if (r == 0)
		r = kind == FOREIGN_LXC ? read_lxc(place, &f, err) : read_nspawn(place, &f, err);
	if (r == 0)
		r = judge_refused(&f, o, err);
	if (r == 0)
		r = take_optional(&f, err);
	if (r == 0 && geteuid() != 0 && f.shifted)
		r = spec_set(f.spec, "idmap", "auto", err); /* it has the own range, and no other */
	if (r == 0)
		r = look_at_owner(&f, f.root, o->copy, err);
	if (r == 0)
		r = o->copy ? copy_tree(&f, name, o, ret_left_out, err) : use_in_place(&f, name, o, err);
	foreign_done(&f);
	return r;
}
