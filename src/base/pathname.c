/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * base/pathname.c - see pathname.h. Apart from path/, so that what only turns words into a spec needs no
 * system call. ".." is refused rather than resolved: what stands before it may be a link, and only the
 * kernel knows where that leads.
 */
#include "base/pathname.h"

#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/strv.h"

int path_clean(const char *path, char **ret, struct kennel_error **err)
{
	if (path[0] != '/')
		return fail(err, KENNEL_E_INVALID, "\"%s\" is not an absolute path", path);
	_cleanup_strv_ struct strv parts = { 0 };
	int r = strv_split(&parts, path, '/', err);
	if (r < 0)
		return r;
	_cleanup_buf_ struct buf b = { 0 };
	for (size_t i = 0; i < parts.n; i++) {
		if (strcmp(parts.items[i], ".") == 0)
			continue;
		if (strcmp(parts.items[i], "..") == 0)
			return fail(err, KENNEL_E_INVALID, "\"..\" in \"%s\"", path);
		buf_puts(&b, "/");
		buf_puts(&b, parts.items[i]);
	}
	if (!b.len)
		buf_puts(&b, "/");
	r = buf_check(&b, err);
	if (r < 0)
		return r;
	*ret = take_ptr(&b.data);
	return 0;
}

bool path_is_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	if (n == 1 && dir[0] == '/')
		return path[0] == '/';
	return strncmp(path, dir, n) == 0 && (path[n] == '\0' || path[n] == '/');
}
