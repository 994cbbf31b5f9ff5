/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ship/shift-record.h - the record of a conversion on disk; for the files of shift.h alone. */
#ifndef KENNEL_SHIP_SHIFT_RECORD_H
#define KENNEL_SHIP_SHIFT_RECORD_H

#include "ship/shift.h"

/* Takes what s points to, also on failure. */
int shift_record_add(struct shift_record *r, struct shift_special *s, struct kennel_error **err) MUST_CHECK;
void shift_special_done(struct shift_special *s);

/* Return: 1, 0 there is none, or a negative code: somebody else could have written it. */
int shift_record_read(int dir_fd, const char *name, struct shift_record *ret, struct kennel_error **err)
	MUST_CHECK;
/* On the disk when it returns. */
int shift_record_write(int dir_fd, const char *name, const struct shift_record *r, struct kennel_error **err)
	MUST_CHECK;

#endif
