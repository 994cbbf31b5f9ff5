/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ship/mark.c - see mark.h. */
#include "ship/mark.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

#define MAGIC "kennel-export 1\n"

void ship_mark_done(struct ship_mark *m)
{
	free(m->base);
	free(m->base_id);
	*m = (struct ship_mark){ 0 };
}

/* A value with a line break in it would be another line; no base that we tell has one. */
static void add_line(struct buf *b, const char *key, const char *value)
{
	if (value && !strpbrk(value, "\n\t"))
		buf_printf(b, "%s\t%s\n", key, value);
}

void ship_mark_format(struct buf *b, bool root, const char *base, const char *base_id)
{
	buf_puts(b, MAGIC);
	add_line(b, "what", root ? "root" : "delta");
	if (!root) {
		add_line(b, "base", base);
		add_line(b, "base-id", base_id);
	}
}

void ship_mark_add_top(struct buf *b, const struct stat *st)
{
	buf_printf(b, "top\t%o %u %u %lld\n", (unsigned)st->st_mode & 07777, st->st_uid, st->st_gid,
		   (long long)st->st_mtim.tv_sec);
}

static void take_top(struct ship_mark *m, const char *value, size_t len)
{
	char text[80];
	long long mtime;

	if (len >= sizeof(text))
		return;
	memcpy(text, value, len);
	text[len] = '\0';
	m->has_top = sscanf(text, "%6o %10u %10u %20lld", &m->top_mode, &m->top_uid, &m->top_gid, &mtime) ==
		     4;
	m->top_mtime = m->has_top ? mtime : 0;
}

static int take_value(char **slot, const char *value, size_t len, struct kennel_error **err)
{
	char *own = malloc(len + 1);

	if (!own)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	memcpy(own, value, len);
	own[len] = '\0';
	free(*slot);
	*slot = own;
	return 0;
}

int ship_mark_parse(const char *text, size_t len, struct ship_mark *ret, struct kennel_error **err)
{
	const char *end = text + strnlen(text, len);
	int r = 0;

	*ret = (struct ship_mark){ 0 };
	if ((size_t)(end - text) < strlen(MAGIC) || memcmp(text, MAGIC, strlen(MAGIC)) != 0)
		return 0;
	for (const char *p = text + strlen(MAGIC); p < end && r == 0;) {
		const char *line_end = memchr(p, '\n', (size_t)(end - p));
		size_t n = (size_t)((line_end ? line_end : end) - p);
		const char *tab = memchr(p, '\t', n);
		size_t key = tab ? (size_t)(tab - p) : n;

		if (tab && key == 4 && memcmp(p, "what", 4) == 0) {
			ret->root = n - 5 == 4 && memcmp(tab + 1, "root", 4) == 0;
			ret->known = ret->root || (n - 5 == 5 && memcmp(tab + 1, "delta", 5) == 0);
		} else if (tab && key == 4 && memcmp(p, "base", 4) == 0) {
			r = take_value(&ret->base, tab + 1, n - 5, err);
		} else if (tab && key == 7 && memcmp(p, "base-id", 7) == 0) {
			r = take_value(&ret->base_id, tab + 1, n - 8, err);
		} else if (tab && key == 3 && memcmp(p, "top", 3) == 0) {
			take_top(ret, tab + 1, n - 4);
		}
		p += n + 1;
	}
	if (r < 0)
		ship_mark_done(ret);
	return r;
}

int ship_trailer_write(int fd, const char *mark, struct kennel_error **err)
{
	char block[SHIP_TRAILER_BYTES] = { 0 };
	off_t end = lseek(fd, 0, SEEK_END);

	if (strlen(mark) >= sizeof(block))
		return 0;
	memcpy(block, mark, strlen(mark));
	end = (end + SHIP_TRAILER_BYTES - 1) / SHIP_TRAILER_BYTES * SHIP_TRAILER_BYTES;
	if (pwrite(fd, block, sizeof(block), end) != sizeof(block))
		return fail_errno(err, "write the end of the image");
	return 0;
}

int ship_trailer_read(int fd, struct buf *ret, struct kennel_error **err)
{
	char block[SHIP_TRAILER_BYTES];
	off_t end = lseek(fd, 0, SEEK_END);

	if (end < SHIP_TRAILER_BYTES || end % SHIP_TRAILER_BYTES)
		return 0;
	if (pread(fd, block, sizeof(block), end - SHIP_TRAILER_BYTES) != sizeof(block))
		return fail_errno(err, "read the end of the image");
	if (memcmp(block, MAGIC, strlen(MAGIC)) == 0)
		buf_add(ret, block, strnlen(block, sizeof(block)));
	return buf_check(ret, err);
}
