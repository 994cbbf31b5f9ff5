/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ship/shift-record.c - ids in a range, in ACLs and in capabilities, and the record of what needs more
 * than a change of owner.
 *
 *   kennel-convert  1
 *   ids             FROM TO COUNT
 *   root            DEV INO
 *   special         PATH DEV INO UID GID MODE CAPS ACL DEFAULT-ACL     bytes in hex, or "-"
 */
#include "ship/shift-record.h"

#include <endian.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/line.h"
#include "base/macro.h"
#include "base/parse.h"

#define RECORD_MAX (256u << 20)
#define ATTRIBUTE_MAX (64u << 10)

/* linux/posix_acl_xattr.h, linux/capability.h: little endian on disk */
#define ACL_HEADER 4u
#define ACL_ENTRY 8u
#define ACL_USER 0x02
#define ACL_GROUP 0x08
#define CAPS_V2_SIZE 20u
#define CAPS_REVISION_MASK 0xff000000u
#define CAPS_REVISION_2 0x02000000u
#define CAPS_REVISION_3 0x03000000u

int shift_check_ids(const struct shift_ids *ids, struct kennel_error **err)
{
	if (!ids->count)
		return fail(err, KENNEL_E_INVALID, "a range of no ids");
	if ((uint64_t)ids->from + ids->count > UINT32_MAX || (uint64_t)ids->to + ids->count > UINT32_MAX)
		return fail(err, KENNEL_E_INVALID, "%u ids from %u on are more than there are", ids->count,
			    MAX(ids->from, ids->to));
	if (ids->from < (uint64_t)ids->to + ids->count && ids->to < (uint64_t)ids->from + ids->count)
		return hint(
			err,
			fail(err, KENNEL_E_INVALID,
			     "the ids from %u on and those from %u on have some in common", ids->from,
			     ids->to),
			"by way of \"--shift none\" any range becomes any other; --count makes them smaller");
	return 0;
}

int shift_id(const struct shift_ids *ids, uint32_t id, uint32_t *ret)
{
	*ret = id;
	if (id - ids->from < ids->count) {
		*ret = ids->to + (id - ids->from);
		return 1;
	}
	return id - ids->to < ids->count ? 0 : -1;
}

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

static void put32(uint8_t *p, uint32_t v)
{
	v = htole32(v);
	memcpy(p, &v, sizeof(v));
}

int shift_acl(const struct shift_ids *ids, uint8_t *data, size_t size)
{
	if (size < ACL_HEADER || (size - ACL_HEADER) % ACL_ENTRY)
		return -1;
	for (size_t at = ACL_HEADER; at < size; at += ACL_ENTRY) {
		const unsigned tag = data[at] | (unsigned)data[at + 1] << 8;
		uint32_t id;

		if (tag != ACL_USER && tag != ACL_GROUP)
			continue;
		if (shift_id(ids, get32(data + at + 4), &id) < 0)
			return -1;
		put32(data + at + 4, id);
	}
	return 0;
}

int shift_caps(const struct shift_ids *ids, uint8_t *data, size_t *size)
{
	uint32_t root = 0, id;

	if (*size != CAPS_V2_SIZE && *size != SHIFT_CAPS_MAX)
		return -1;
	const uint32_t magic = get32(data), revision = magic & CAPS_REVISION_MASK;
	if (revision != (*size == CAPS_V2_SIZE ? CAPS_REVISION_2 : CAPS_REVISION_3))
		return -1;
	if (revision == CAPS_REVISION_3)
		root = get32(data + CAPS_V2_SIZE);
	if (shift_id(ids, root, &id) < 0)
		return -1;
	put32(data, (magic & ~CAPS_REVISION_MASK) | (id ? CAPS_REVISION_3 : CAPS_REVISION_2));
	*size = id ? SHIFT_CAPS_MAX : CAPS_V2_SIZE;
	if (id)
		put32(data + CAPS_V2_SIZE, id);
	return 0;
}

void shift_special_done(struct shift_special *s)
{
	free(s->path);
	free(s->caps);
	free(s->acl);
	free(s->default_acl);
	*s = (struct shift_special){ 0 };
}

void shift_record_done(struct shift_record *r)
{
	for (size_t i = 0; i < r->n; i++)
		shift_special_done(&r->items[i]);
	free(r->items);
	*r = (struct shift_record){ 0 };
}

int shift_record_add(struct shift_record *r, struct shift_special *s, struct kennel_error **err)
{
	if (r->n == r->room) {
		size_t room = r->room ? r->room * 2 : 32;
		struct shift_special *items = reallocarray(r->items, room, sizeof(*items));

		if (!items) {
			shift_special_done(s);
			return fail(err, KENNEL_E_NOMEM, "out of memory");
		}
		r->items = items;
		r->room = room;
	}
	r->items[r->n++] = *s;
	*s = (struct shift_special){ 0 };
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct shift_special *x = a, *y = b;

	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

void shift_record_sort(struct shift_record *r)
{
	if (r->n)
		qsort(r->items, r->n, sizeof(*r->items), compare);
}

struct shift_special *shift_record_find(const struct shift_record *r, uint64_t dev, uint64_t ino)
{
	const struct shift_special key = { .dev = dev, .ino = ino };

	return r->n ? bsearch(&key, r->items, r->n, sizeof(key), compare) : NULL;
}

static void put_hex(struct buf *b, const uint8_t *data, size_t size)
{
	buf_puts(b, size ? "\t" : "\t-");
	for (size_t i = 0; i < size; i++)
		buf_printf(b, "%02x", data[i]);
}

void shift_record_format(const struct shift_record *r, struct buf *b)
{
	buf_printf(b, "kennel-convert\t1\nids\t%u\t%u\t%u\nroot\t%" PRIu64 "\t%" PRIu64 "\n", r->ids.from,
		   r->ids.to, r->ids.count, r->dev, r->ino);
	for (size_t i = 0; i < r->n; i++) {
		const struct shift_special *s = &r->items[i];

		buf_puts(b, "special\t");
		line_put(b, s->path);
		buf_printf(b, "\t%" PRIu64 "\t%" PRIu64 "\t%u\t%u\t%u", s->dev, s->ino, s->uid, s->gid,
			   s->mode);
		put_hex(b, s->caps, s->caps_size);
		put_hex(b, s->acl, s->acl_size);
		put_hex(b, s->default_acl, s->default_acl_size);
		buf_puts(b, "\n");
	}
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int get_hex(const char *s, uint8_t **ret, size_t *ret_size)
{
	size_t len = s ? strlen(s) : 1;

	if (s && strcmp(s, "-") == 0)
		return 0;
	if (!s || !len || len % 2 || len / 2 > ATTRIBUTE_MAX)
		return -1;
	uint8_t *data = malloc(MAX(len / 2, (size_t)SHIFT_CAPS_MAX));
	if (!data)
		return -1;
	for (size_t i = 0; i < len / 2; i++) {
		int high = hex_digit(s[2 * i]), low = hex_digit(s[2 * i + 1]);

		if (high < 0 || low < 0) {
			free(data);
			return -1;
		}
		data[i] = (uint8_t)(high << 4 | low);
	}
	*ret = data;
	*ret_size = len / 2;
	return 0;
}

static int next_u64(char **fields, uint64_t *ret)
{
	const char *field = line_next(fields);

	return field ? parse_u64(field, ret) : -1;
}

static int next_u32(char **fields, uint32_t *ret)
{
	const char *field = line_next(fields);

	return field ? parse_u32(field, ret) : -1;
}

static int parse_special(char *fields, struct shift_special *s)
{
	const char *path = line_next(&fields);

	if (!path || *path == '/' || !(s->path = strdup(path)) || next_u64(&fields, &s->dev) < 0 ||
	    next_u64(&fields, &s->ino) < 0 || next_u32(&fields, &s->uid) < 0 ||
	    next_u32(&fields, &s->gid) < 0 || next_u32(&fields, &s->mode) < 0 || s->mode > 07777 ||
	    get_hex(line_next(&fields), &s->caps, &s->caps_size) < 0 ||
	    get_hex(line_next(&fields), &s->acl, &s->acl_size) < 0 ||
	    get_hex(line_next(&fields), &s->default_acl, &s->default_acl_size) < 0 || line_next(&fields))
		return -1;
	return 0;
}

static int parse_line(char *line, unsigned number, struct shift_record *r, struct kennel_error **err)
{
	char *fields = line;
	const char *key = line_next(&fields);
	struct shift_special s = { 0 };

	if (number == 1)
		return key && strcmp(key, "kennel-convert") == 0 && fields && strcmp(fields, "1") == 0 ? 0 :
													 -1;
	if (number == 2)
		return key && strcmp(key, "ids") == 0 && next_u32(&fields, &r->ids.from) == 0 &&
				       next_u32(&fields, &r->ids.to) == 0 &&
				       next_u32(&fields, &r->ids.count) == 0 && !line_next(&fields) ?
			       shift_check_ids(&r->ids, NULL) :
			       -1;
	if (number == 3)
		return key && strcmp(key, "root") == 0 && next_u64(&fields, &r->dev) == 0 &&
				       next_u64(&fields, &r->ino) == 0 && !line_next(&fields) ?
			       0 :
			       -1;
	if (!key || strcmp(key, "special") != 0 || parse_special(fields, &s) < 0) {
		shift_special_done(&s);
		return -1;
	}
	return shift_record_add(r, &s, err);
}

int shift_record_parse(const char *text, struct shift_record *ret, struct kennel_error **err)
{
	_cleanup_free_ char *copy = strdup(text);
	struct shift_record r = { 0 };
	unsigned number = 0;
	char *rest = copy, *line;

	if (!copy)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	while ((line = strsep(&rest, "\n")) && (*line || rest)) {
		if (parse_line(line, ++number, &r, NULL) < 0) {
			shift_record_done(&r);
			return fail(err, KENNEL_E_CORRUPT, "line %u of the record of a conversion", number);
		}
	}
	if (number < 3) {
		shift_record_done(&r);
		return fail(err, KENNEL_E_CORRUPT, "the record of a conversion is cut off");
	}
	shift_record_sort(&r);
	*ret = r;
	return 0;
}

int shift_record_read(int dir_fd, const char *name, struct shift_record *ret, struct kennel_error **err)
{
	_cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	_cleanup_buf_ struct buf b = { 0 };
	struct stat st;

	if (fd < 0)
		return errno == ENOENT ? 0 : fail_errno(err, "open the record \"%s\"", name);
	if (fstat(fd, &st) < 0)
		return fail_errno(err, "look at the record \"%s\"", name);
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 022))
		return hint(err,
			    fail(err, KENNEL_E_PERM, "others could have written the record \"%s\"", name),
			    "it would say which files become setuid: look at it, and remove it");
	int r = buf_read_fd(&b, fd, RECORD_MAX, err);
	if (r == 0)
		r = shift_record_parse(buf_str(&b), ret, err);
	return r < 0 ? wrap(err, r, "\"%s\"", name) : 1;
}

static int write_all(int fd, const struct buf *b)
{
	for (size_t done = 0; done < b->len;) {
		ssize_t n = write(fd, b->data + done, b->len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		done += (size_t)n;
	}
	return fsync(fd);
}

int shift_record_write(int dir_fd, const char *name, const struct shift_record *r, struct kennel_error **err)
{
	_cleanup_buf_ struct buf b = { 0 }, aside = { 0 };

	shift_record_format(r, &b);
	buf_printf(&aside, "%s.new", name);
	int code = buf_check(&b, err);
	if (code == 0)
		code = buf_check(&aside, err);
	if (code < 0)
		return code;
	if (unlinkat(dir_fd, buf_str(&aside), 0) < 0 && errno != ENOENT)
		return fail_errno(err, "remove \"%s\"", buf_str(&aside));
	_cleanup_close_ int fd =
		openat(dir_fd, buf_str(&aside), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || write_all(fd, &b) < 0 || renameat(dir_fd, buf_str(&aside), dir_fd, name) < 0 ||
	    fsync(dir_fd) < 0) {
		code = fail_errno(err, "write the record \"%s\"", name);
		(void)!unlinkat(dir_fd, buf_str(&aside), 0);
		return code;
	}
	return 0;
}

int shift_find_begun(int record_dir_fd, const char *record_name, struct shift_ids *ret,
		     struct kennel_error **err)
{
	struct shift_record r = { 0 };
	int found = shift_record_read(record_dir_fd, record_name, &r, err);

	if (found > 0)
		*ret = r.ids;
	shift_record_done(&r);
	return found;
}
