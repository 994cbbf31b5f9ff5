/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * base/error.c - the error object.
 *
 * One heap block holds code, errno, message and hint. Two static objects stand in where memory is gone:
 * context may be lost then, the failure itself never. wrap() puts the caller's context in front: "caller:
 * callee: reason".
 */
#include "base/error.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

struct kennel_error {
	int code;
	int errnum;
	bool fixed;             /* static object: never written, never freed */
	char *message;
	char *hint;
};

static const struct kennel_error error_nomem = {
	.code = KENNEL_E_NOMEM,
	.errnum = ENOMEM,
	.fixed = true,
	.message = (char *)"out of memory",
};

static void error_set_nomem(struct kennel_error **err)
{
	*err = (struct kennel_error *)&error_nomem;
}

int code_from_errno(int errnum)
{
	switch (errnum) {
	case EINVAL:
	case ENAMETOOLONG:
	case EDOM:
		return KENNEL_E_INVALID;
	case ENOMEM:
		return KENNEL_E_NOMEM;
	case ENOENT:
	case ESRCH:
	case ENXIO:
	case ENODEV:
		return KENNEL_E_NOTFOUND;
	case ENOEXEC:
		return KENNEL_E_NOTEXEC;
	case EPERM:
	case EACCES:
	case EROFS:
		return KENNEL_E_PERM;
	case ENOSYS:
	case EOPNOTSUPP:
	case EAFNOSUPPORT:
	case EPROTONOSUPPORT:
		return KENNEL_E_UNSUPPORTED;
	case EBUSY:
	case ETXTBSY:
		return KENNEL_E_BUSY;
	case EEXIST:
	case ENOTEMPTY:
		return KENNEL_E_EXISTS;
	case EMFILE:
	case ENFILE:
	case EAGAIN:
	case EUSERS:
		return KENNEL_E_LIMIT;
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return KENNEL_E_NOSPACE;
	case EBADMSG:
	case EUCLEAN:
		return KENNEL_E_CORRUPT;
	case ENOTDIR:
	case EISDIR:
	case ELOOP:
	case ENOTBLK:
		return KENNEL_E_TYPE;
	case EINTR:
		return KENNEL_E_INTERRUPTED;
	default:
		return KENNEL_E_IO;
	}
}

int error_set(struct kennel_error **err, int code, int errnum, const char *fmt, ...)
{
	if (!err)
		return -code;
	error_clear(err);

	_cleanup_free_ char *text = NULL;
	va_list ap;
	va_start(ap, fmt);
	int n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0) {
		text = NULL;
		error_set_nomem(err);
		return -code;
	}

	struct kennel_error *e = calloc(1, sizeof(*e));
	if (!e) {
		error_set_nomem(err);
		return -code;
	}
	e->code = code;
	e->errnum = errnum;
	if (errnum) {
		if (asprintf(&e->message, "%s: %s", text, strerror(errnum)) < 0)
			e->message = NULL;
	}
	if (!e->message)
		e->message = take_ptr(&text);
	*err = e;
	return -code;
}

void error_set_errno(struct kennel_error *err, int errnum)
{
	if (err && !err->fixed)
		err->errnum = errnum;
}

int error_wrap(struct kennel_error **err, int r, const char *fmt, ...)
{
	if (!err || !*err || (*err)->fixed)
		return r;

	_cleanup_free_ char *text = NULL;
	va_list ap;
	va_start(ap, fmt);
	int n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0) {
		text = NULL;
		return r;
	}
	char *joined = NULL;
	if (asprintf(&joined, "%s: %s", text, (*err)->message) < 0)
		return r;
	free((*err)->message);
	(*err)->message = joined;
	return r;
}

int error_hint(struct kennel_error **err, int r, const char *fmt, ...)
{
	if (!err || !*err || (*err)->fixed)
		return r;
	char *text = NULL;
	va_list ap;
	va_start(ap, fmt);
	int n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		return r;
	free((*err)->hint);
	(*err)->hint = text;
	return r;
}

int error_hint_default(struct kennel_error **err, int r, const char *text)
{
	return err && *err && !(*err)->hint ? error_hint(err, r, "%s", text) : r;
}

void error_clear(struct kennel_error **err)
{
	if (err && *err)
		*err = kennel_error_free(*err);
}

const char *kennel_error_message(const struct kennel_error *err)
{
	return err ? err->message : "no error";
}

const char *kennel_error_hint(const struct kennel_error *err)
{
	return err ? err->hint : NULL;
}

int kennel_error_code(const struct kennel_error *err)
{
	return err ? err->code : 0;
}

int kennel_error_errno(const struct kennel_error *err)
{
	return err ? err->errnum : 0;
}

struct kennel_error *kennel_error_free(struct kennel_error *err)
{
	if (err && !err->fixed) {
		int saved = errno;

		free(err->message);
		free(err->hint);
		free(err);
		errno = saved;
	}
	return NULL;
}
