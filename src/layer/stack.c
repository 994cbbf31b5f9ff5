/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * layer/stack.c - the layers of a live system, whose root is itself an overlay or aufs stack.
 *
 * The kernel tells them in the root mount's super options, wrapped twice. Outside, every option value has
 * comma, space, tab, newline and backslash as octal. Inside, "lowerdir" and "upperdir" are what the mounter
 * typed, with a backslash before each comma, colon and backslash of a name (upperdir too: overlay keeps the
 * typed string and unescapes a copy of it), while "lowerdir+" and "datadir+", given one by one to fsconfig,
 * are names as they are.
 *
 * aufs has its branches in the options only without sysfs; else the options hold an id, and
 * /sys/fs/aufs/si_ID/brN a line each. Reading those is the one thing here that touches a file.
 */
#include <fcntl.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "layer/layer.h"

#define AUFS_BRANCHES_MAX 32767         /* the largest that aufs can be built for */

static bool is_octal(char c)
{
	return c >= '0' && c <= '7';
}

/* A copy of the first len bytes of s with \ooo undone. NULL: no memory. */
static char *undo_octal(const char *s, size_t len)
{
	char *text = malloc(len + 1);
	char *out = text;

	if (!text)
		return NULL;
	for (size_t i = 0; i < len;) {
		if (s[i] == '\\' && i + 3 < len && s[i + 1] >= '0' && s[i + 1] <= '3' && is_octal(s[i + 2]) &&
		    is_octal(s[i + 3])) {
			*out++ = (char)((s[i + 1] - '0') << 6 | (s[i + 2] - '0') << 3 | (s[i + 3] - '0'));
			i += 4;
		} else {
			*out++ = s[i++];
		}
	}
	*out = '\0';
	return text;
}

/* Drops, in place, the backslash before each character that has one. */
static void undo_backslashes(char *s)
{
	char *out = s;

	for (; *s; s++) {
		if (*s == '\\' && s[1])
			s++;
		*out++ = *s;
	}
	*out = '\0';
}

/*
 * Adds the names of a typed lowerdir; "::", which parts data-only layers from the others, gives an empty one
 * that is left out.
 */
static int add_lower_list(struct strv *v, char *list, struct kennel_error **err)
{
	while (*list) {
		char *end = list;

		while (*end && *end != ':')
			end += *end == '\\' && end[1] ? 2 : 1;
		bool last = !*end;
		*end = '\0';
		undo_backslashes(list);
		int r = *list ? strv_add(v, list, err) : 0;
		if (r < 0)
			return r;
		if (last)
			break;
		list = end + 1;
	}
	return 0;
}

/* The value of option where it is called name, else NULL. */
static const char *option_value(const char *option, const char *name)
{
	size_t len = strlen(name);

	return strncmp(option, name, len) == 0 && option[len] == '=' ? option + len + 1 : NULL;
}

static int overlay_layers(const char *options, struct strv *upper, struct strv *lower,
			  struct kennel_error **err)
{
	for (const char *o = options; *o; o = *o ? o + 1 : o) {
		const char *end = strchrnul(o, ',');
		const char *up = option_value(o, "upperdir"), *list = option_value(o, "lowerdir");
		const char *one = option_value(o, "lowerdir+");
		int r = 0;

		if (!one)
			one = option_value(o, "datadir+");
		const char *value = up ? up : list ? list : one;
		if (value) {
			_cleanup_free_ char *text = undo_octal(value, (size_t)(end - value));
			if (!text)
				return fail(err, KENNEL_E_NOMEM, "out of memory");
			if (up)
				undo_backslashes(text);
			r = list ? add_lower_list(lower, text, err) : strv_add(up ? upper : lower, text, err);
		}
		if (r < 0)
			return r;
		o = end;
	}
	return 0;
}

/* "/path=rw", "/path=ro+wh": the permission goes, at the last "=", for a path may hold one. */
static int add_branch(struct strv *v, char *text, struct kennel_error **err)
{
	char *perm = strrchr(text, '=');

	text[strcspn(text, "\n")] = '\0';
	if (perm)
		*perm = '\0';
	return *text ? strv_add(v, text, err) : 0;
}

static int add_branch_list(struct strv *v, const char *value, size_t len, struct kennel_error **err)
{
	_cleanup_strv_ struct strv parts = { 0 };
	_cleanup_free_ char *list = strndup(value, len);
	if (!list)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	int r = strv_split(&parts, list, ':', err);
	for (size_t i = 0; r >= 0 && i < parts.n; i++) {
		/* Octal is undone after the split: aufs writes a colon of a name as \072. */
		_cleanup_free_ char *text = undo_octal(parts.items[i], strlen(parts.items[i]));
		r = text ? add_branch(v, text, err) : fail(err, KENNEL_E_NOMEM, "out of memory");
	}
	return r < 0 ? r : 0;
}

int layer_aufs_branches(const char *sysfs, const char *id, struct strv *ret, struct kennel_error **err)
{
	_cleanup_buf_ struct buf dir = { 0 };
	buf_printf(&dir, "%s/si_%s", sysfs, id);
	int r = buf_check(&dir, err);
	if (r < 0)
		return r;
	_cleanup_close_ int dir_fd = open(buf_str(&dir), O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return fail_errno(err, "open \"%s\"", buf_str(&dir));
	_cleanup_strv_ struct strv v = { 0 };
	for (unsigned i = 0; i < AUFS_BRANCHES_MAX; i++) {
		_cleanup_buf_ struct buf text = { 0 };
		char name[16];

		snprintf(name, sizeof(name), "br%u", i);
		_cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
		if (fd < 0 && errno == ENOENT)
			break;
		if (fd < 0)
			return fail_errno(err, "open \"%s/%s\"", buf_str(&dir), name);
		r = buf_read_fd(&text, fd, 1 << 16, err);
		if (r < 0)
			return wrap(err, r, "read \"%s/%s\"", buf_str(&dir), name);
		_cleanup_free_ char *line = undo_octal(buf_str(&text), text.len);
		r = line ? add_branch(&v, line, err) : fail(err, KENNEL_E_NOMEM, "out of memory");
		if (r < 0)
			return r;
	}
	*ret = v;
	v = (struct strv){ 0 };
	return 0;
}

static int aufs_layers(const char *options, struct strv *ret, struct kennel_error **err)
{
	const char *id = NULL;
	size_t id_len = 0;

	for (const char *o = options; *o; o = *o ? o + 1 : o) {
		const char *end = strchrnul(o, ',');

		if (strncmp(o, "br:", 3) == 0 || strncmp(o, "br=", 3) == 0)
			return add_branch_list(ret, o + 3, (size_t)(end - o - 3), err);
		if (strncmp(o, "si=", 3) == 0) {
			id = o + 3;
			id_len = (size_t)(end - id);
		}
		o = end;
	}
	if (!id)
		return fail(err, KENNEL_E_UNSUPPORTED,
			    "the root is an aufs stack that doesn't tell its branches");
	if (!id_len || strspn(id, "0123456789abcdef") != id_len)        /* it becomes part of a path */
		return fail(err, KENNEL_E_CORRUPT, "the root is an aufs stack with the odd id \"%.*s\"",
			    (int)MIN(id_len, (size_t)64), id);
	_cleanup_free_ char *name = strndup(id, id_len);
	if (!name)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	return layer_aufs_branches("/sys/fs/aufs", name, ret, err);
}

int system_root_layers(const struct mount_table *t, struct strv *ret, struct kennel_error **err)
{
	const struct mount_entry *root = mount_table_find(t, "/");
	_cleanup_strv_ struct strv upper = { 0 }, lower = { 0 };
	int r = 0;

	if (root && strcmp(root->fstype, "overlay") == 0)
		r = overlay_layers(root->super_options, &upper, &lower, err);
	else if (root && strcmp(root->fstype, "aufs") == 0)
		r = aufs_layers(root->super_options, &lower, err);
	if (r < 0)
		return wrap(err, r, "find the layers of the root");
	for (size_t i = 0; i < lower.n; i++) {
		r = strv_add(&upper, lower.items[i], err);
		if (r < 0)
			return r;
	}
	*ret = upper;
	upper = (struct strv){ 0 };
	return 0;
}
