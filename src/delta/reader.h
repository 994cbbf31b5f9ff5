/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * delta/reader.h - looking into a delta with the rights of root of a user namespace.
 *
 * What a sandbox wrote belongs to ids that exist in its user namespace: an ordinary user outside may not read
 * it, and even for root owners, access control lists and capabilities are those seen inside only when they
 * are read from there. The base, on the other hand, must be read from outside. So a second task does the
 * former: it shares our memory and descriptors, and runs one function at a time while we wait.
 */
#ifndef KENNEL_DELTA_READER_H
#define KENNEL_DELTA_READER_H

#include "base/error.h"

struct delta_reader;

/* user_ns_fd: borrowed, only during the call. */
int delta_reader_new(int user_ns_fd, struct delta_reader **ret, struct kennel_error **err) MUST_CHECK;
/* NULL is fine. Return: NULL. */
struct delta_reader *delta_reader_free(struct delta_reader *r);

/*
 * Runs fn(data, err) as that root and returns what it returns; with reader NULL just calls it. Only system
 * calls differ: memory, descriptors and errno are shared. All signals are blocked meanwhile.
 */
typedef int (*delta_reader_fn)(void *data, struct kennel_error **err);
int delta_reader_call(struct delta_reader *r, delta_reader_fn fn, void *data, struct kennel_error **err)
	MUST_CHECK;

#endif
