/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* container/origin.c - see origin.h. */
#include "container/origin.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/cleanup.h"

#define ID_FILE "id"
#define ORIGIN_FILE "origin"

static int read_id(const struct container *c, const char *file, char ret[static ORIGIN_ID_SIZE],
		   struct kennel_error **err)
{
	_cleanup_buf_ struct buf text = { 0 };

	int r = container_read(c, file, &text, err);
	if (r <= 0)
		return r;
	if (text.len != ORIGIN_ID_SIZE || text.data[ORIGIN_ID_SIZE - 1] != '\n' ||
	    strspn(buf_str(&text), "0123456789abcdef") != ORIGIN_ID_SIZE - 1)
		return hint(err, fail(err, KENNEL_E_CORRUPT, "\"%s/%s\" holds no id", c->path, file),
			    "\"kennel gc --check\" puts it right");
	memcpy(ret, text.data, ORIGIN_ID_SIZE - 1);
	ret[ORIGIN_ID_SIZE - 1] = '\0';
	return 1;
}

int origin_read(const struct container *c, char ret[static ORIGIN_ID_SIZE], struct kennel_error **err)
{
	return read_id(c, ORIGIN_FILE, ret, err);
}

int origin_id(const struct container *c, bool make, char ret[static ORIGIN_ID_SIZE],
	      struct kennel_error **err)
{
	_cleanup_buf_ struct buf line = { 0 };
	uint64_t v;

	int r = read_id(c, ID_FILE, ret, err);
	if (r != 0 || !make)
		return r;
	if (getrandom(&v, sizeof(v), 0) != sizeof(v))
		return fail_errno(err, "get random bytes");
	snprintf(ret, ORIGIN_ID_SIZE, "%016llx", (unsigned long long)v);
	buf_printf(&line, "%s\n", ret);
	r = buf_check(&line, err);
	if (r == 0)
		r = container_write(c, ID_FILE, &line, err);
	return r < 0 ? r : 1;
}

int origin_write(int dir_fd, const char *id, const char *shown, struct kennel_error **err)
{
	_cleanup_buf_ struct buf line = { 0 };

	buf_printf(&line, "%s\n", id);
	int r = buf_check(&line, err);
	return r < 0 ? r : container_write_file(dir_fd, ORIGIN_FILE, &line, shown, err);
}

int origin_forget(const struct container *c, struct kennel_error **err)
{
	if (unlinkat(c->dir_fd, ORIGIN_FILE, 0) < 0 && errno != ENOENT)
		return fail_errno(err, "remove \"%s/" ORIGIN_FILE "\"", c->path);
	return 0;
}

int origin_clones(const struct store *s, const struct container *c, struct strv *ret,
		  struct kennel_error **err)
{
	_cleanup_strv_ struct strv names = { 0 };
	char id[ORIGIN_ID_SIZE];

	int r = origin_id(c, false, id, err);
	if (r <= 0)
		return r;
	r = store_names(s, &names, err);
	for (size_t i = 0; i < names.n && r == 0; i++) {
		_cleanup_container_ struct container other = CONTAINER_NONE;
		char of[ORIGIN_ID_SIZE];

		/* One that is gone meanwhile, or damaged, is no reason to keep this one. */
		if (container_open(s, names.items[i], &other, NULL) == 0 &&
		    origin_read(&other, of, NULL) > 0 && strcmp(of, id) == 0)
			r = strv_add(ret, names.items[i], err);
	}
	return r;
}

int origin_find(const struct store *s, const char *id, char **ret, struct kennel_error **err)
{
	_cleanup_strv_ struct strv names = { 0 };

	int r = store_names(s, &names, err);
	for (size_t i = 0; i < names.n && r == 0; i++) {
		_cleanup_container_ struct container c = CONTAINER_NONE;
		char has[ORIGIN_ID_SIZE];

		if (container_open(s, names.items[i], &c, NULL) < 0 || origin_id(&c, false, has, NULL) <= 0 ||
		    strcmp(has, id) != 0)
			continue;
		*ret = strdup(names.items[i]);
		return *ret ? 1 : fail(err, KENNEL_E_NOMEM, "out of memory");
	}
	return r;
}
