/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * base/line.h - lines of fields with tabs between, as the runtime directory and a manifest have them:
 * newline, tab and backslash of a field are written as \n, \t and \\.
 */
#ifndef KENNEL_BASE_LINE_H
#define KENNEL_BASE_LINE_H

#include "base/buf.h"

/* Appends one field, escaped. */
void line_put(struct buf *b, const char *field);

/* Undoes the escapes in place; returns s. A backslash before anything else stands for what follows it. */
char *line_undo(char *s);

/*
 * Cuts the next field off *rest, in place and with its escapes undone: NULL after the last one. A line
 * without a tab is one field.
 */
char *line_next(char **rest);

#endif
