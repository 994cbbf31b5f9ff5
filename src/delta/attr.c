/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * delta/attr.c - see attr.h.
 *
 * An O_PATH descriptor is all that can be had of a link, a pipe, a device, or a file that its owner may not
 * read. What takes no such descriptor goes by /proc/self/fd/N, which stands for the thing itself.
 */
#include "delta/attr.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

#include "base/cleanup.h"

#define NAMES_MAX 65536u /* XATTR_LIST_MAX and XATTR_SIZE_MAX of linux/limits.h */
#define VALUE_MAX 65536u

struct fd_name {
	char text[32];
};

static struct fd_name name_of(int fd)
{
	struct fd_name n;

	snprintf(n.text, sizeof(n.text), "/proc/self/fd/%d", fd);
	return n;
}

bool attr_is_kept(const char *xattr)
{
	static const char *const ours[] = { "security.selinux", "security.ima", "security.evm" };

	if (strncmp(xattr, "user.overlay.", 13) == 0 || strncmp(xattr, "trusted.overlay.", 16) == 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
		if (strcmp(xattr, ours[i]) == 0)
			return false;
	return true;
}

static int make_room(struct attr_xs *xs, struct kennel_error **err)
{
	if (xs->n < xs->room)
		return 0;
	size_t room = xs->room ? xs->room * 2 : 4;
	struct attr_x *items = reallocarray(xs->items, room, sizeof(*items));

	if (!items)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	xs->items = items;
	xs->room = room;
	return 0;
}

int attr_xs_add(struct attr_xs *xs, const char *name, const void *value, size_t size,
		struct kennel_error **err)
{
	_cleanup_free_ char *own_name = strdup(name);
	_cleanup_free_ void *own_value = malloc(size ? size : 1);
	size_t at = xs->n;

	if (!own_name || !own_value)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	if (size)
		memcpy(own_value, value, size);
	int r = make_room(xs, err);
	if (r < 0)
		return r;
	for (; at > 0 && strcmp(xs->items[at - 1].name, name) > 0; at--)
		xs->items[at] = xs->items[at - 1];
	xs->items[at] =
		(struct attr_x){ .name = take_ptr(&own_name), .value = take_ptr(&own_value), .size = size };
	xs->n++;
	return 0;
}

const struct attr_x *attr_xs_get(const struct attr_xs *xs, const char *name)
{
	for (size_t i = 0; i < xs->n; i++)
		if (strcmp(xs->items[i].name, name) == 0)
			return &xs->items[i];
	return NULL;
}

bool attr_x_equal(const struct attr_x *a, const struct attr_x *b)
{
	if (!a || !b)
		return a == b;
	return a->size == b->size && memcmp(a->value, b->value, a->size) == 0;
}

void attr_xs_done(struct attr_xs *xs)
{
	for (size_t i = 0; i < xs->n; i++) {
		free(xs->items[i].name);
		free(xs->items[i].value);
	}
	free(xs->items);
	*xs = (struct attr_xs){ 0 };
}

void attr_done(struct attr *a)
{
	attr_xs_done(&a->xs);
}

void attr_from_stat(struct attr *a, const struct stat *st)
{
	a->mode = st->st_mode;
	a->uid = st->st_uid;
	a->gid = st->st_gid;
	a->atime = st->st_atim;
	a->mtime = st->st_mtim;
}

/* Return: 1 and the names in *ret, 0 this thing or file system has none. */
static int list_names(int fd, const char *shown, char **ret, size_t *ret_len, struct kennel_error **err)
{
	struct fd_name path = name_of(fd);
	ssize_t n = listxattr(path.text, NULL, 0); /* mostly there are none, and this is all */

	if (n == 0 || (n < 0 && errno == EOPNOTSUPP))
		return 0;
	_cleanup_free_ char *names = malloc(NAMES_MAX);
	if (!names)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	n = listxattr(path.text, names, NAMES_MAX);
	if (n < 0)
		return fail_errno(err, "list the extended attributes of \"%s\"", shown);
	*ret = take_ptr(&names);
	*ret_len = (size_t)n;
	return 1;
}

static int read_xs(int fd, const char *shown, struct attr_xs *xs, struct kennel_error **err)
{
	_cleanup_free_ char *names = NULL, *value = NULL;
	struct fd_name path = name_of(fd);
	size_t len = 0;

	int r = list_names(fd, shown, &names, &len, err);
	for (size_t i = 0; r > 0 && i < len; i += strlen(names + i) + 1) {
		if (!attr_is_kept(names + i))
			continue;
		if (!value && !(value = malloc(VALUE_MAX)))
			return fail(err, KENNEL_E_NOMEM, "out of memory");
		ssize_t n = getxattr(path.text, names + i, value, VALUE_MAX);
		if (n < 0 && errno == ENODATA) /* taken away meanwhile */
			continue;
		if (n < 0)
			return fail_errno(err, "read \"%s\" of \"%s\"", names + i, shown);
		r = attr_xs_add(xs, names + i, value, (size_t)n, err);
		r = r == 0 ? 1 : r;
	}
	return MIN(r, 0);
}

int attr_read(int fd, const char *shown, struct attr *ret, struct kennel_error **err)
{
	_cleanup_attr_ struct attr a = { 0 };
	struct stat st;

	if (fstat(fd, &st) < 0)
		return fail_errno(err, "look at \"%s\"", shown);
	attr_from_stat(&a, &st);
	int r = read_xs(fd, shown, &a.xs, err);
	if (r < 0)
		return r;
	*ret = a;
	a.xs = (struct attr_xs){ 0 };
	return 0;
}

static int remove_others(int fd, const char *shown, const struct attr_xs *xs, struct kennel_error **err)
{
	_cleanup_free_ char *names = NULL;
	struct fd_name path = name_of(fd);
	size_t len = 0;

	int r = list_names(fd, shown, &names, &len, err);
	for (size_t i = 0; r > 0 && i < len; i += strlen(names + i) + 1) {
		if (!attr_is_kept(names + i) || attr_xs_get(xs, names + i))
			continue;
		if (removexattr(path.text, names + i) < 0 && errno != ENODATA)
			return fail_errno(err, "take \"%s\" from \"%s\"", names + i, shown);
	}
	return MIN(r, 0);
}

static int apply_xs(int fd, const char *shown, const struct attr_xs *xs, struct kennel_error **err)
{
	struct fd_name path = name_of(fd);

	for (size_t i = 0; i < xs->n; i++) {
		const struct attr_x *x = &xs->items[i];

		if (setxattr(path.text, x->name, x->value, x->size, 0) == 0)
			continue;
		int r = fail_errno(err, "set \"%s\" of \"%s\"", x->name, shown);
		return errno == EOPNOTSUPP ? hint(err, r, "the file system there keeps no such attribute") :
					     r;
	}
	return 0;
}

int attr_apply_times(int fd, const char *shown, const struct timespec times[2], struct kennel_error **err)
{
	if (utimensat(fd, "", times, AT_EMPTY_PATH) < 0 &&
	    utimensat(AT_FDCWD, name_of(fd).text, times, 0) < 0)
		return fail_errno(err, "set the times of \"%s\"", shown);
	return 0;
}

int attr_apply(int fd, const char *shown, const struct attr *a, bool exact, struct kennel_error **err)
{
	const struct timespec times[2] = { a->atime, a->mtime };
	struct stat now;

	if (fstat(fd, &now) < 0)
		return fail_errno(err, "look at \"%s\"", shown);
	if ((now.st_uid != a->uid || now.st_gid != a->gid) &&
	    fchownat(fd, "", a->uid, a->gid, AT_EMPTY_PATH) < 0)
		return fail_errno(err, "give \"%s\" to its owner", shown);
	int r = exact ? remove_others(fd, shown, &a->xs, err) : 0;
	if (r == 0)
		r = apply_xs(fd, shown, &a->xs, err);
	if (r < 0)
		return r;
	/* after the access list, which has a say in the mode; a link has no mode of its own */
	if (!S_ISLNK(a->mode) && chmod(name_of(fd).text, a->mode & 07777) < 0)
		return fail_errno(err, "set the mode of \"%s\"", shown);
	return attr_apply_times(fd, shown, times, err);
}
