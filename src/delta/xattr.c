/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* delta/xattr.c - see xattr.h. */
#include "delta/xattr.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "base/cleanup.h"

#define TRIES 16

static const char *after(const char *text, const char *beginning)
{
	size_t len = strlen(beginning);

	return strncmp(text, beginning, len) == 0 ? text + len : NULL;
}

const char *delta_xattr_name(char *name, unsigned rules)
{
	const char *prefix = rules & DELTA_XATTR_USER ? "user.overlay." : "trusted.overlay.";
	const char *own = after(name, prefix);

	if (own && !after(own, "overlay."))
		return NULL;
	if (own) {
		/* "user.overlay.overlay.X" is "user.overlay.X" inside */
		memmove(name + strlen(prefix), own + strlen("overlay."),
			strlen(own + strlen("overlay.")) + 1);
		return name;
	}
	if (after(name, "user.") || (after(name, "trusted.") && (rules & DELTA_XATTR_TRUSTED)) ||
	    strcmp(name, "security.capability") == 0 || strcmp(name, "system.posix_acl_access") == 0 ||
	    strcmp(name, "system.posix_acl_default") == 0)
		return name;
	return NULL;
}

/* All names, one behind the other. Return: 1, 0 there are none, or a negative code. */
static int read_names(const char *path, char **ret, size_t *ret_size, struct kennel_error **err)
{
	for (unsigned i = 0; i < TRIES; i++) {
		ssize_t size = listxattr(path, NULL, 0);

		if (size <= 0)
			return size == 0 || errno == ENOTSUP || errno == EPERM ?
				       0 :
				       fail_errno(err, "list extended attributes");
		_cleanup_free_ char *names = malloc((size_t)size);
		if (!names)
			return fail(err, KENNEL_E_NOMEM, "out of memory");
		ssize_t n = listxattr(path, names, (size_t)size);
		if (n >= 0) {
			*ret = take_ptr(&names);
			*ret_size = (size_t)n;
			return n > 0;
		}
		if (errno != ERANGE)
			return fail_errno(err, "list extended attributes");
	}
	return fail(err, KENNEL_E_BUSY, "extended attributes kept changing");
}

/* Return: 1, 0 it is gone, or a negative code. */
static int read_value(const char *path, const char *name, struct delta_xattr *ret, struct kennel_error **err)
{
	char small[256];

	for (unsigned i = 0; i < TRIES; i++) {
		ssize_t size = getxattr(path, name, small, sizeof(small));
		_cleanup_free_ void *value = NULL;

		if (size < 0 && errno == ERANGE) {
			size = getxattr(path, name, NULL, 0);
			value = size < 0 ? NULL : malloc((size_t)size + 1);
			if (size >= 0 && !value)
				return fail(err, KENNEL_E_NOMEM, "out of memory");
			if (size >= 0)
				size = getxattr(path, name, value, (size_t)size);
			if (size < 0 && errno == ERANGE)
				continue;
		}
		if (size < 0)
			return errno == ENODATA ? 0 : fail_errno(err, "read an extended attribute");
		if (!value) {
			value = malloc((size_t)size + 1);
			if (!value)
				return fail(err, KENNEL_E_NOMEM, "out of memory");
			memcpy(value, small, (size_t)size);
		}
		ret->value = take_ptr(&value);
		ret->size = (size_t)size;
		return 1;
	}
	return fail(err, KENNEL_E_BUSY, "an extended attribute kept changing");
}

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct delta_xattr *)a)->name, ((const struct delta_xattr *)b)->name);
}

static int read_all(const char *path, char *names, size_t size, unsigned rules, struct delta_xattrs *ret,
		    struct kennel_error **err)
{
	size_t count = 0;

	for (size_t at = 0; at < size; at += strlen(names + at) + 1)
		count++;
	ret->items = calloc(count, sizeof(*ret->items));
	if (!ret->items)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	for (size_t at = 0, len; at < size; at += len) {
		_cleanup_free_ char *name = strdup(names + at);
		struct delta_xattr *x = &ret->items[ret->n];

		len = strlen(names + at) + 1;
		if (!name)
			return fail(err, KENNEL_E_NOMEM, "out of memory");
		if (!delta_xattr_name(name, rules))
			continue;
		int r = read_value(path, names + at, x, err);
		if (r < 0)
			return wrap(err, r, "\"%s\"", name);
		if (r == 0)
			continue;
		x->name = take_ptr(&name);
		ret->n++;
	}
	qsort(ret->items, ret->n, sizeof(*ret->items), compare);
	return 0;
}

int delta_xattrs_read(int fd, unsigned rules, struct delta_xattrs *ret, struct kennel_error **err)
{
	_cleanup_free_ char *names = NULL;
	char path[32];
	size_t size;

	*ret = (struct delta_xattrs){ 0 };
	/* The magic link leads to the file itself, also if that is a link; a pin takes no such call. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	int r = read_names(path, &names, &size, err);
	if (r > 0)
		r = read_all(path, names, size, rules, ret, err);
	if (r < 0)
		delta_xattrs_done(ret);
	return MIN(r, 0);
}

bool delta_xattrs_any(int dir_fd, const char *name, unsigned rules)
{
	char path[NAME_MAX + 40], names[1024];

	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dir_fd, name);
	ssize_t n = llistxattr(path, names, sizeof(names));
	if (n < 0)
		return errno != ENOTSUP && errno != ENODATA;
	for (ssize_t at = 0, len; at < n; at += len) {
		len = (ssize_t)strlen(names + at) + 1;
		if (delta_xattr_name(names + at, rules))
			return true;
	}
	return false;
}

bool delta_xattrs_equal(const struct delta_xattrs *a, const struct delta_xattrs *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->items[i].name, b->items[i].name) != 0 || a->items[i].size != b->items[i].size ||
		    memcmp(a->items[i].value, b->items[i].value, a->items[i].size) != 0)
			return false;
	return true;
}

void delta_xattrs_done(struct delta_xattrs *x)
{
	for (size_t i = 0; i < x->n; i++) {
		free(x->items[i].name);
		free(x->items[i].value);
	}
	free(x->items);
	*x = (struct delta_xattrs){ 0 };
}
