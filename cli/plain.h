/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cli/plain.h - a terminal's output as plain text: without escape sequences and control characters. */
#ifndef KENNEL_CLI_PLAIN_H
#define KENNEL_CLI_PLAIN_H

#include <stddef.h>

#include "base/buf.h"

/* Where in a sequence the last piece ended; begins as zeros. */
struct plain {
	enum { PLAIN_TEXT, PLAIN_ESCAPE, PLAIN_CSI, PLAIN_STRING, PLAIN_STRING_ESCAPE, PLAIN_C1 } state;
};

/*
 * Appends what is left of a piece: text, newlines and tabs. Sequences may be cut anywhere. Bytes of UTF-8
 * stay, but for the control characters that it can hold (C1).
 */
void plain_add(struct plain *p, const char *bytes, size_t n, struct buf *ret);

#endif
