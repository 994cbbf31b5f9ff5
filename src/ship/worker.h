/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ship/worker.h - work in a process of its own, watched by the one that started it.
 *
 * The process sees ids as they are inside: for an ordinary user it is root of a user namespace over all ids
 * of that user. It may load libraries, change its locale and start programs; it ends with its parent. While
 * it works the caller is called back a few times a second, and may say stop.
 */
#ifndef KENNEL_SHIP_WORKER_H
#define KENNEL_SHIP_WORKER_H

#include "base/buf.h"
#include "ship/entry.h"

struct ship_watch {
	int (*tick)(void *data, uint64_t done, uint64_t total); /* not 0: stop; or NULL */
	void *data;
	int user_ns_fd; /* work as root of it; 0: an ordinary user in one of the own, root as it is */
};

#define SHIP_OUT_MAX 16384u /* of what work puts out, with its end */

typedef int (*ship_work_fn)(void *data, struct ship_progress *p, struct buf *out, struct kennel_error **err);

/*
 * Return: what work returned, with its error; out gets what it put into its own; ret_left_out what it
 * counted.
 */
int ship_work(ship_work_fn work, void *data, const struct ship_watch *watch, struct buf *out,
	      uint64_t *ret_left_out, struct kennel_error **err) MUST_CHECK;

#endif
