/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * container/tidy.h - containers that go when they end, and what killed processes left in a store.
 *
 *   STORE/NAME/passing      that one goes when it ends
 *   STORE/.passing/NAME     so that nobody has to look into each container: the pid of who makes it, and
 *                           nothing once it was started
 *
 * The name in .passing is there before the container and goes after it. What counts is the file in the
 * container: one that got the same name later is nobody's to remove. Whoever comes next removes those that
 * nobody runs and nobody is about to start.
 */
#ifndef KENNEL_CONTAINER_TIDY_H
#define KENNEL_CONTAINER_TIDY_H

#include <stdbool.h>

#include "container/container.h"
#include "container/store.h"

/* Before it is made: in the store; then, in its own directory. */
int passing_announce(const struct store *s, const char *name, struct kennel_error **err) MUST_CHECK;
int passing_mark(int dir_fd, struct kennel_error **err) MUST_CHECK;
/* It was not made after all. */
void passing_forget(const struct store *s, const char *name);

bool passing_is(const struct container *c);
/* From now on it is there only as long as somebody has its lock. */
void passing_start(const struct container *c, const struct store *s);
/* It has ended, and its lock is ours. What can't be removed now is left to who comes next. */
void passing_end(struct container *c, const struct store *s, container_wipe_fn wipe);

/*
 * All that was left: what has a temporary name, layers that nothing came to stand on, containers that should
 * be gone.
 */
void store_tidy(const struct store *s, container_wipe_fn wipe);

#endif
