/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* unit/tell.h - trees in words, to be compared. */
#ifndef KENNEL_UNIT_TELL_H
#define KENNEL_UNIT_TELL_H

#include "base/buf.h"

/* Everything below a directory, and itself: a line for each with all attributes. */
void tell(int dir_fd, struct buf *out);

/* Equal? The first line in which they differ says more than two long texts. */
void assert_same(const struct buf *a, const struct buf *b);

#endif
