/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ship/input.h - the bytes of a file that is read from its beginning: a ship_read_fn and a ship_skip_fn. */
#ifndef KENNEL_SHIP_INPUT_H
#define KENNEL_SHIP_INPUT_H

#include "ship/archive.h"

struct ship_input_file {
	int fd;
	uint64_t pos, size;
	char *buffer;
	struct ship_progress *progress; /* counts what is read; or NULL */
};

/* From the beginning; fd is borrowed. */
int ship_input_open(struct ship_input_file *f, int fd, struct ship_progress *progress,
		    struct kennel_error **err) MUST_CHECK;
int ship_input_read(void *file, const void **ret, size_t *ret_size, struct kennel_error **err);
uint64_t ship_input_skip(void *file, uint64_t size);
void ship_input_done(struct ship_input_file *f);
#define _cleanup_input_ __attribute__((cleanup(ship_input_done)))

#endif
