/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * base/answer.h - how a process of ours tells another one, through a pipe, what became of its work: a result,
 * the error that goes with it, and bytes.
 */
#ifndef KENNEL_BASE_ANSWER_H
#define KENNEL_BASE_ANSWER_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"

#define ANSWER_MAX (16u << 20)

/* Writes the whole of it. Return: false where nobody reads any more. */
bool answer_write(int fd, int result, const struct kennel_error *err, const struct buf *bytes);
/*
 * Of what was read up to the end of the pipe; appends the bytes to out, which may be NULL. who names the
 * process in an error: "the process that prepares the sandbox". Return: the result that was sent, or the
 * code of why there is none.
 */
int answer_take(const struct buf *in, const char *who, struct buf *out, struct kennel_error **err) MUST_CHECK;

#endif
