/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* run/unreadable.c - see unreadable.h; src/view/ has the walk and its cache. */
#include "run/unreadable.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "path/path.h"
#include "view/view.h"

#define PASSWD_MAX (4u << 20)

/* $XDG_CACHE_HOME/kennel or ~/.cache/kennel; -EBADF where there is none, for a cache is a convenience. */
static int open_cache(void)
{
	_cleanup_free_ char *path = NULL;
	const char *base = secure_getenv("XDG_CACHE_HOME"), *home = secure_getenv("HOME");

	if (base && base[0] == '/')
		path = strdup(base);
	else if (home && home[0] == '/' && asprintf(&path, "%s/.cache", home) < 0)
		path = NULL;
	if (!path)
		return -EBADF;
	(void)!mkdir(path, 0700);
	_cleanup_close_ int parent_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (parent_fd < 0)
		return -EBADF;
	(void)!mkdirat(parent_fd, "kennel", 0700);
	return openat(parent_fd, "kennel", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

int unreadable_find(struct launch *l, struct kennel_error **err)
{
	const struct plan *p = l->sb->plan;
	_cleanup_close_ int cache_fd = open_cache();
	char key[64] = "system";
	struct stat st;

	if (l->spec->base_path && fstat(l->base_fd, &st) == 0)
		snprintf(key, sizeof(key), "%llx-%llx", (unsigned long long)st.st_dev,
			 (unsigned long long)st.st_ino);
	l->unreadable = calloc(1, sizeof(*l->unreadable));
	if (!l->unreadable)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	const struct unreadable_query q = {
		.root_fd = l->base_fd,
		.cache_fd = cache_fd,
		.key = key,
		.skip = (const char *const *)p->view_without.items,
		.is_system = l->spec->base_path == NULL,
	};
	int r = unreadable_get(&q, l->unreadable, err);
	if (r == 0 && l->unreadable->stale) {
		unreadable_done(l->unreadable);
		*l->unreadable = (struct unreadable){ 0 };
		r = unreadable_refresh(&q, err);
		if (r >= 0)
			r = unreadable_get(&q, l->unreadable, err);
	}
	return r < 0 ? wrap(err, r, "find what this user can't read") : 0;
}

void unreadable_end(struct launch *l)
{
	if (l->unreadable)
		unreadable_done(l->unreadable);
	free(l->unreadable);
}

/* One line for each of the first fields in a passwd or group file. */
static int locked_lines(int lower_fd, const char *source, const char *rest, struct buf *out,
			struct kennel_error **err)
{
	_cleanup_close_ int fd = path_open(lower_fd, source, O_RDONLY, NULL);
	_cleanup_buf_ struct buf in = { 0 };

	if (fd < 0)
		return 0;
	int r = buf_read_fd(&in, fd, PASSWD_MAX, err);
	if (r < 0)
		return r;
	for (const char *line = buf_str(&in); *line;) {
		size_t name = strcspn(line, ":\n");

		if (name && line[name] == ':') {
			buf_add(out, line, name);
			buf_puts(out, rest);
		}
		line += strcspn(line, "\n");
		line += *line == '\n';
	}
	return buf_check(out, err);
}

static int plant_one(const struct delta_spot *spot, struct kennel_error **err)
{
	static const struct {
		const char *rel, *source, *rest;
	} made[] = {
		{ "etc/shadow", "etc/passwd", ":*:19000:0:99999:7:::\n" },
		{ "etc/gshadow", "etc/group", ":*::\n" },
	};
	_cleanup_buf_ struct buf text = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(made); i++) {
		if (strcmp(spot->rel, made[i].rel) != 0)
			continue;
		int r = locked_lines(spot->lower_fd, made[i].source, made[i].rest, &text, err);
		if (r < 0)
			return r;
	}
	return delta_plant_instead(spot, buf_str(&text), text.len, err);
}

int unreadable_plant(struct launch *l, struct kennel_error **err)
{
	for (size_t i = 0; i < l->unreadable->n; i++) {
		const struct delta_spot spot = {
			.upper_fd = l->shared->upper_fds[0],
			.lower_fd = l->shared->lower_fds[0],
			.rel = l->unreadable->items[i].path + 1,
			.user_xattr = true,
			.marks = &l->sb->marks,
		};
		_cleanup_error_ struct kennel_error *inner = NULL;
		int r = plant_one(&spot, &inner);

		/* One that can't be had stays as it is, unreadable; a full delta is another matter. */
		if (r == -KENNEL_E_NOSPACE || r == -KENNEL_E_NOMEM) {
			if (err)
				*err = inner;
			inner = NULL;
			return r;
		}
	}
	return 0;
}
