/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * base/error.h - how our own code makes errors. The public half is kennel/error.h.
 *
 * fail():       our own refusal                      return fail(err, KENNEL_E_INVALID, "size \"%s\"...", s);
 * fail_errno(): a system call failed; reads errno    return fail_errno(err, "open \"%s\"", path);
 * wrap():       adds what the callee could not know  return wrap(err, r, "mount the base");
 * hint():       what a person can do; call after one of the above, returns the code again
 *
 * All return the negative code, so they stand behind "return". With no memory left *err is a static object.
 */
#ifndef KENNEL_BASE_ERROR_H
#define KENNEL_BASE_ERROR_H

#include <errno.h>
#include <stdarg.h>

#include <kennel/error.h>

#include "base/macro.h"

int error_set(struct kennel_error **err, int code, int errnum, const char *fmt, ...) PRINTF_LIKE(4, 5);
int error_wrap(struct kennel_error **err, int r, const char *fmt, ...) PRINTF_LIKE(3, 4);
int error_hint(struct kennel_error **err, int r, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* The same, where no callee knew anything better. */
int error_hint_default(struct kennel_error **err, int r, const char *text);

/* Gives an error that came from another process, with its text, the errno that it had there. */
void error_set_errno(struct kennel_error *err, int errnum);

/* Drops *err and makes it NULL, for a caller that goes on another way. */
void error_clear(struct kennel_error **err);

/* The code that an errno value stands for, positive. */
int code_from_errno(int errnum);

#define fail(err, code, ...) error_set((err), (code), 0, __VA_ARGS__)
#define fail_errno(err, ...) error_set((err), code_from_errno(errno), errno, __VA_ARGS__)
#define wrap(err, r, ...) error_wrap((err), (r), __VA_ARGS__)
#define hint(err, r, ...) error_hint((err), (r), __VA_ARGS__)
#define hint_default(err, r, text) error_hint_default((err), (r), (text))

static inline void cleanup_errorp(struct kennel_error **err)
{
	error_clear(err);
}
#define _cleanup_error_ __attribute__((cleanup(cleanup_errorp)))

#endif
