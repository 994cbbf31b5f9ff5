/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/hooks.h - programs of the machine that a container of the store has run around its life.
 *
 *   pre-start   before anything of the sandbox is made
 *   start-host  when all of it is made, its root included, and nothing runs in it yet
 *   post-stop   when nothing of it is left, however it ended
 *
 * They run with our own rights, so they are honoured only out of a configuration that belongs to us in a
 * store that belongs to us: never out of an image file (keep.c leaves them out), and no import brings any.
 * Each has a session of its own, nothing open but /dev/null, and the console log or our standard error; a
 * clean environment; and a time limit.
 *
 * The post-stop hooks of a monitor that was killed are run by its janitor, which shares all memory and may
 * make system calls alone. So everything that they need is made at the start, and how far they have come is
 * noted where both see it.
 */
#ifndef KENNEL_RUN_HOOKS_H
#define KENNEL_RUN_HOOKS_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"
#include "conf/spec.h"

#define HOOKS_TIMEOUT_MS 60000

struct hooks;
struct keep;
struct launch;

/* *ret is NULL where k has none. PERM: its configuration could be somebody else's work. */
int hooks_new(const struct keep *k, struct hooks **ret, struct kennel_error **err) MUST_CHECK;
/* NULL is fine, here and below. Return: NULL. */
struct hooks *hooks_free(struct hooks *h);
bool hooks_has(const struct hooks *h, enum spec_hook kind);

/* Before the start: those of pre-start, once. From here on those of post-stop are owed. */
int hooks_begin(struct hooks *h, const char *id, struct kennel_error **err) MUST_CHECK;
/* The child stands still in front of its init: those of start-host; then it goes on. */
int hooks_start_host(struct launch *l, struct kennel_error **err) MUST_CHECK;
/* Those of post-stop, if they are owed; what fails is told in the log. how: "exited" or "failed". */
void hooks_end(struct hooks *h, const char *how, int status);
/* The same for the janitor: those that the monitor has not begun, and the time limit of the one it has. */
void hooks_end_killed(struct hooks *h);

#endif
