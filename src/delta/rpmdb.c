/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * delta/rpmdb.c - the packages in a database of rpm as it is since 4.16: a file of SQLite with one table of
 * whole headers, "Packages".
 *
 * Read here and not by SQLite or rpm, which were made for files of their own: this one is a sandbox's work,
 * any bytes at all. What takes part is little: the tree of one table, its records, and five tags of a header.
 * Numbers are big-endian in both formats. Each page is gone into once and all payloads together are no longer
 * than the file, so a page that leads to itself costs nothing.
 */
#include "delta/packages.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"

#define MAGIC "SQLite format 3"
#define PAGE_TABLE_INNER 5
#define PAGE_TABLE_LEAF 13
#define DEPTH_MAX 32
#define COLUMNS_MAX 8

enum { TAG_NAME = 1000, TAG_VERSION = 1001, TAG_RELEASE = 1002, TAG_EPOCH = 1003, TAG_ARCH = 1022 };
enum { TYPE_INT32 = 4, TYPE_STRING = 6 };

struct bytes {
	const unsigned char *at;
	size_t n;
};

struct database {
	struct bytes file;
	size_t page_size, usable;
	uint64_t n_pages, pages_left, bytes_left;
};

struct record {
	struct bytes columns[COLUMNS_MAX];
	size_t n;
};

typedef int (*record_fn)(void *data, const struct record *r, struct kennel_error **err);

static uint64_t number(const unsigned char *p, size_t n)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v = v << 8 | p[i];
	return v;
}

/* Seven bits a byte, the ninth has eight. False: it is cut off. */
static bool take_varint(struct bytes *b, uint64_t *ret)
{
	uint64_t v = 0;

	for (size_t i = 0; i < 9 && i < b->n; i++) {
		v = i == 8 ? v << 8 | b->at[i] : v << 7 | (b->at[i] & 0x7f);
		if (i == 8 || !(b->at[i] & 0x80)) {
			*b = (struct bytes){ b->at + i + 1, b->n - i - 1 };
			*ret = v;
			return true;
		}
	}
	return false;
}

static bool open_database(const char *data, size_t size, struct database *ret)
{
	const unsigned char *p = (const unsigned char *)data;

	if (size < 512 || memcmp(data, MAGIC, sizeof(MAGIC)) != 0)
		return false;
	size_t page = number(p + 16, 2);
	page = page == 1 ? 65536 : page;
	if (page < 512 || (page & (page - 1)) || p[20] > page - 480)
		return false;
	*ret = (struct database){
		.file = { p, size },
		.page_size = page,
		.usable = page - p[20],
		.n_pages = size / page,
		.pages_left = size / page,
		.bytes_left = size,
	};
	return true;
}

/* Pages count from 1. */
static bool get_page(struct database *db, uint64_t n, struct bytes *ret)
{
	if (n < 1 || n > db->n_pages)
		return false;
	*ret = (struct bytes){ db->file.at + (n - 1) * db->page_size, db->usable };
	return true;
}

/* Return: the bytes of a payload that are in the page itself. */
static uint64_t local_part(const struct database *db, uint64_t size)
{
	uint64_t most = db->usable - 35, least = (db->usable - 12) * 32 / 255 - 23;
	uint64_t some = least + (size - least) % (db->usable - 4);

	return size <= most ? size : some <= most ? some : least;
}

/* A payload that goes on in other pages is put together in b. */
static bool take_payload(struct database *db, struct bytes cell, uint64_t size, struct buf *b,
			 struct bytes *ret)
{
	uint64_t local = local_part(db, size);

	if (size > db->bytes_left || cell.n < local)
		return false;
	db->bytes_left -= size;
	*ret = (struct bytes){ cell.at, size };
	if (local == size)
		return true;
	if (cell.n < local + 4)
		return false;
	buf_add(b, (const char *)cell.at, local);
	uint64_t next = number(cell.at + local, 4);
	while (b->len < size) {
		struct bytes page;

		if (!get_page(db, next, &page))
			return false;
		next = number(page.at, 4);
		buf_add(b, (const char *)page.at + 4, MIN(size - b->len, page.n - 4));
		if (b->nomem)
			return false;
	}
	*ret = (struct bytes){ (const unsigned char *)b->data, b->len };
	return true;
}

static uint64_t column_size(uint64_t type)
{
	static const unsigned char sizes[] = { 0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0 };

	return type < sizeof(sizes) ? sizes[type] : (type - 12) / 2;
}

static bool parse_record(struct bytes payload, struct record *ret)
{
	struct bytes head = payload;
	uint64_t head_size, type;

	*ret = (struct record){ .n = 0 };
	if (!take_varint(&head, &head_size) || head_size > payload.n || head_size < payload.n - head.n)
		return false;
	head.n = head_size - (payload.n - head.n);
	struct bytes body = { payload.at + head_size, payload.n - head_size };
	while (head.n && ret->n < COLUMNS_MAX) {
		if (!take_varint(&head, &type) || column_size(type) > body.n)
			return false;
		uint64_t n = column_size(type);
		ret->columns[ret->n++] = (struct bytes){ body.at, n };
		body = (struct bytes){ body.at + n, body.n - n };
	}
	return true;
}

static int visit_cell(struct database *db, struct bytes cell, record_fn fn, void *data,
		      struct kennel_error **err)
{
	_cleanup_buf_ struct buf b = { 0 };
	struct bytes payload;
	struct record record;
	uint64_t size, id;

	if (!take_varint(&cell, &size) || !take_varint(&cell, &id) ||
	    !take_payload(db, cell, size, &b, &payload) || !parse_record(payload, &record))
		return b.nomem ? buf_check(&b, err) : 0;
	return fn(data, &record, err);
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as DEPTH_MAX */
static int visit_table(struct database *db, uint64_t root, unsigned depth, record_fn fn, void *data,
		       struct kennel_error **err)
{
	struct bytes page;
	int r = 0;

	if (depth > DEPTH_MAX || !db->pages_left || !get_page(db, root, &page))
		return 0;
	db->pages_left--;
	size_t at = root == 1 ? 100 : 0;
	unsigned type = page.at[at];
	if (type != PAGE_TABLE_INNER && type != PAGE_TABLE_LEAF)
		return 0;
	size_t list = at + (type == PAGE_TABLE_INNER ? 12 : 8), n = number(page.at + at + 3, 2);
	for (size_t i = 0; i < n && list + 2 * i + 2 <= page.n && r == 0; i++) {
		size_t cell = number(page.at + list + 2 * i, 2);

		if (cell + 4 > page.n)
			continue;
		r = type == PAGE_TABLE_LEAF ?
			    visit_cell(db, (struct bytes){ page.at + cell, page.n - cell }, fn, data, err) :
			    visit_table(db, number(page.at + cell, 4), depth + 1, fn, data, err);
	}
	if (r == 0 && type == PAGE_TABLE_INNER)
		r = visit_table(db, number(page.at + at + 8, 4), depth + 1, fn, data, err);
	return r;
}

static bool is_text(const struct bytes *b, const char *text)
{
	return b->n == strlen(text) && memcmp(b->at, text, b->n) == 0;
}

/* A line of the schema: type, name, table, first page, statement. */
static int find_packages(void *data, const struct record *r, struct kennel_error **err)
{
	if (r->n >= 4 && is_text(&r->columns[0], "table") && is_text(&r->columns[1], "Packages") &&
	    r->columns[3].n <= 8)
		*(uint64_t *)data = number(r->columns[3].at, r->columns[3].n);
	return 0;
}

/* --- headers of rpm */

/* The first value of a tag; NULL where it is not there, or runs out of the header. */
static const unsigned char *find_tag(const struct bytes *header, uint32_t tag, uint32_t type)
{
	uint64_t n = number(header->at, 4), size = number(header->at + 4, 4);
	const unsigned char *values = header->at + 8 + n * 16;

	for (uint64_t i = 0; i < n; i++) {
		const unsigned char *entry = header->at + 8 + i * 16;
		uint64_t at = number(entry + 8, 4);

		if (number(entry, 4) != tag)
			continue;
		if (number(entry + 4, 4) != type || number(entry + 12, 4) < 1 || at >= size)
			return NULL;
		if (type == TYPE_INT32)
			return at + 4 <= size ? values + at : NULL;
		return memchr(values + at, '\0', size - at) ? values + at : NULL;
	}
	return NULL;
}

static int note_header(void *data, const struct record *r, struct kennel_error **err)
{
	_cleanup_free_ char *full = NULL, *name = NULL;
	/* the table's key is not in the record: the first column is empty */
	const struct bytes *h = r->n >= 2 ? &r->columns[1] : NULL;
	char epoch_text[16] = "";

	if (!h || h->n < 8 || number(h->at, 4) > (h->n - 8) / 16 ||
	    number(h->at + 4, 4) > h->n - 8 - number(h->at, 4) * 16)
		return 0;
	const char *tag_name = (const char *)find_tag(h, TAG_NAME, TYPE_STRING);
	const char *version = (const char *)find_tag(h, TAG_VERSION, TYPE_STRING);
	const char *release = (const char *)find_tag(h, TAG_RELEASE, TYPE_STRING);
	const char *arch = (const char *)find_tag(h, TAG_ARCH, TYPE_STRING);
	const unsigned char *epoch = find_tag(h, TAG_EPOCH, TYPE_INT32);
	if (!tag_name || !*tag_name)
		return 0;
	if (epoch)
		snprintf(epoch_text, sizeof(epoch_text), "%u:", (unsigned)number(epoch, 4));
	if (asprintf(&full, "%s%s%s%s", epoch_text, version ? version : "", release ? "-" : "",
		     release ? release : "") < 0 ||
	    asprintf(&name, "%s%s%s", tag_name, arch ? "." : "", arch ? arch : "") < 0)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	return packages_add(data, name, full, err);
}

bool packages_is_rpm(const char *text, size_t size)
{
	struct database db;

	return open_database(text, size, &db);
}

int packages_parse_rpm(const char *text, size_t size, struct package_list *ret, struct kennel_error **err)
{
	struct database db;
	uint64_t root = 0;

	if (!open_database(text, size, &db))
		return 0;
	int r = visit_table(&db, 1, 0, find_packages, &root, err);
	return r == 0 && root ? visit_table(&db, root, 0, note_header, ret, err) : r;
}
