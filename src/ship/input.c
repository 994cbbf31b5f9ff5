/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ship/input.c - see input.h. */
#include "ship/input.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int ship_input_open(struct ship_input_file *f, int fd, struct ship_progress *progress,
		    struct kennel_error **err)
{
	struct stat st;

	*f = (struct ship_input_file){ .fd = fd, .progress = progress, .buffer = malloc(SHIP_PIECE) };
	if (!f->buffer)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	if (fstat(fd, &st) < 0)
		return fail_errno(err, "look at the input");
	f->size = (uint64_t)st.st_size;
	return 0;
}

int ship_input_read(void *file, const void **ret, size_t *ret_size, struct kennel_error **err)
{
	struct ship_input_file *f = file;
	ssize_t n;

	do
		n = pread(f->fd, f->buffer, SHIP_PIECE, (off_t)f->pos);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return fail_errno(err, "read the input");
	f->pos += (uint64_t)n;
	*ret = f->buffer;
	*ret_size = (size_t)n;
	return ship_advance(f->progress, (uint64_t)n, err);
}

uint64_t ship_input_skip(void *file, uint64_t size)
{
	struct ship_input_file *f = file;
	uint64_t n = MIN(size, f->size - MIN(f->pos, f->size));

	f->pos += n;
	if (f->progress)
		f->progress->done += n;
	return n;
}

void ship_input_done(struct ship_input_file *f)
{
	free(f->buffer);
	f->buffer = NULL;
}
