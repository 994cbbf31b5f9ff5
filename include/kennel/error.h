/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * kennel/error.h - a code for programs, a sentence for people.
 *
 * Every function of the library that can fail returns 0 (or a value >= 0) on success and a negative
 * enum kennel_code on failure. A caller that wants the sentence passes a struct kennel_error **, which must
 * point to NULL before the call; on failure it then owns the object and ends it with kennel_error_free().
 * Passing NULL means "the code is enough". The library itself never prints.
 */
#ifndef KENNEL_ERROR_H
#define KENNEL_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

#ifndef KENNEL_PUBLIC
#define KENNEL_PUBLIC __attribute__((visibility("default")))
#endif

/**
 * enum kennel_code - why something failed; functions return these negated
 * @KENNEL_E_INVALID:     the caller's words make no sense (bad option, bad size, bad name)
 * @KENNEL_E_NOMEM:       no memory left
 * @KENNEL_E_NOTFOUND:    a file, command, sandbox or user is not there
 * @KENNEL_E_NOTEXEC:     the command is there but can't be executed
 * @KENNEL_E_PERM:        this user may not do that
 * @KENNEL_E_UNSUPPORTED: this kernel or machine can't do that
 * @KENNEL_E_BUSY:        somebody else is using it, or it kept changing
 * @KENNEL_E_EXISTS:      it is there already
 * @KENNEL_E_LIMIT:       a limit was reached (descriptors, mounts, processes)
 * @KENNEL_E_NOSPACE:     no room left on the device or in the delta
 * @KENNEL_E_CORRUPT:     data that was read is damaged or of an unknown format
 * @KENNEL_E_TYPE:        it is there, but of another kind (not a directory, not a regular file)
 * @KENNEL_E_MISSING:     a helper program or library that this needs is not installed
 * @KENNEL_E_INTERRUPTED: a signal ended it
 * @KENNEL_E_IO:          the kernel refused for any other reason; see kennel_error_errno()
 * @KENNEL_E_NOCOMMAND:   the command is not there (inside)
 *
 * Values are part of the ABI and never change. Since 0.1.
 */
enum kennel_code {
	KENNEL_E_INVALID = 1,
	KENNEL_E_NOMEM = 2,
	KENNEL_E_NOTFOUND = 3,
	KENNEL_E_NOTEXEC = 4,
	KENNEL_E_PERM = 5,
	KENNEL_E_UNSUPPORTED = 6,
	KENNEL_E_BUSY = 7,
	KENNEL_E_EXISTS = 8,
	KENNEL_E_LIMIT = 9,
	KENNEL_E_NOSPACE = 10,
	KENNEL_E_CORRUPT = 11,
	KENNEL_E_TYPE = 12,
	KENNEL_E_MISSING = 13,
	KENNEL_E_INTERRUPTED = 14,
	KENNEL_E_IO = 15,
	KENNEL_E_NOCOMMAND = 16,
};

struct kennel_error;

/**
 * kennel_error_message() - the sentence: what was tried, on what, and why it failed
 * @err: error; NULL gives "no error"
 *
 * Return: lower-case text without a full stop, owned by @err, never NULL. Since 0.1.
 */
KENNEL_PUBLIC const char *kennel_error_message(const struct kennel_error *err);

/**
 * kennel_error_hint() - what a person can do about it
 * @err: error, or NULL
 *
 * Return: text owned by @err, or NULL where there is nothing to advise. Since 0.1.
 */
KENNEL_PUBLIC const char *kennel_error_hint(const struct kennel_error *err);

/**
 * kennel_error_code() - the code, as functions return it but positive
 * @err: error, or NULL
 *
 * Return: enum kennel_code, or 0 for NULL. Since 0.1.
 */
KENNEL_PUBLIC int kennel_error_code(const struct kennel_error *err);

/**
 * kennel_error_errno() - the errno of the system call that failed
 * @err: error, or NULL
 *
 * Return: errno value, or 0 where no system call was involved. Since 0.1.
 */
KENNEL_PUBLIC int kennel_error_errno(const struct kennel_error *err);

/**
 * kennel_error_free() - end an error
 * @err: error to free; NULL is fine
 *
 * Return: NULL, so that callers can write err = kennel_error_free(err). Since 0.1.
 */
KENNEL_PUBLIC struct kennel_error *kennel_error_free(struct kennel_error *err);

#ifdef __cplusplus
}
#endif
#endif
