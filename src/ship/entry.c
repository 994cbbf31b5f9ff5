/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ship/entry.c - see entry.h. */
#include "ship/entry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

int ship_xattrs_add(struct ship_xattrs *x, const char *name, const void *value, size_t size,
		    struct kennel_error **err)
{
	if (x->n == x->room) {
		size_t room = x->room ? x->room * 2 : 8;
		struct ship_xattr *items = reallocarray(x->items, room, sizeof(*items));

		if (!items)
			return fail(err, KENNEL_E_NOMEM, "out of memory");
		x->items = items;
		x->room = room;
	}
	_cleanup_free_ char *own_name = strdup(name);
	_cleanup_free_ void *own_value = malloc(size + 1);
	if (!own_name || !own_value)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	if (size)
		memcpy(own_value, value, size);
	x->items[x->n++] = (struct ship_xattr){ take_ptr(&own_name), take_ptr(&own_value), size };
	return 0;
}

const struct ship_xattr *ship_xattrs_find(const struct ship_xattrs *x, const char *name)
{
	for (size_t i = 0; i < x->n; i++)
		if (strcmp(x->items[i].name, name) == 0)
			return &x->items[i];
	return NULL;
}

void ship_xattrs_done(struct ship_xattrs *x)
{
	for (size_t i = 0; i < x->n; i++) {
		free(x->items[i].name);
		free(x->items[i].value);
	}
	free(x->items);
	*x = (struct ship_xattrs){ 0 };
}

bool ship_xattr_travels(const char *name)
{
	if (strncmp(name, "user.", 5) == 0)
		return strncmp(name, "user.overlay.", 13) != 0 && strcmp(name, SHIP_XATTR_MARK) != 0;
	return strcmp(name, "security.capability") == 0 || strcmp(name, "system.posix_acl_access") == 0 ||
	       strcmp(name, "system.posix_acl_default") == 0;
}

int ship_advance(struct ship_progress *p, uint64_t bytes, struct kennel_error **err)
{
	if (!p)
		return 0;
	p->done += bytes;
	return p->stop ? fail(err, KENNEL_E_INTERRUPTED, "stopped; nothing was left behind") : 0;
}

/*
 * Moves pos over a hole. A file system without holes says that all is data; one that can't say it is read
 * from end to end (squashfs of Linux 6.18 fails with EIO on files that it reads well).
 */
static void skip_hole(struct ship_reader *r)
{
	if (r->pos < r->data_end)
		return;
	off_t data = lseek(r->fd, (off_t)r->pos, SEEK_DATA);
	if (data < 0 && errno == ENXIO) {
		r->pos = r->size;
		return;
	}
	if (data < 0) {
		r->data_end = r->size;
		return;
	}
	off_t hole = lseek(r->fd, data, SEEK_HOLE);
	r->pos = MIN((uint64_t)data, r->size);
	r->data_end = hole < 0 ? r->size : MIN((uint64_t)hole, r->size);
}

int ship_reader_next(void *reader, const void **ret, size_t *ret_size, uint64_t *ret_offset,
		     struct kennel_error **err)
{
	struct ship_reader *r = reader;

	if (r->pos >= r->size)
		return 0;
	skip_hole(r);
	if (r->pos >= r->size)
		return 0;
	size_t want = (size_t)MIN((uint64_t)SHIP_PIECE, r->data_end - r->pos);
	ssize_t n;
	do
		n = pread(r->fd, r->buffer, want, (off_t)r->pos);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return fail_errno(err, "read a file");
	if (n == 0) { /* cut short meanwhile: the rest is zeros, as a hole */
		r->pos = r->size;
		return 0;
	}
	*ret = r->buffer;
	*ret_size = (size_t)n;
	*ret_offset = r->pos;
	r->pos += (uint64_t)n;
	return 1;
}
