/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/registry.h - the runtime directory: one file per running sandbox, named by its id.
 *
 * The monitor holds a lock (flock) on its file as long as it lives. A file without a lock is what a killed
 * monitor left, and whoever comes across it removes it. A file appears whole (written unnamed, then linked)
 * and holds lines "key<tab>value" with "\n", "\t" and "\\" escaped.
 */
#ifndef KENNEL_RUN_REGISTRY_H
#define KENNEL_RUN_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/strv.h"

#define REGISTRY_ID_SIZE 16     /* with the NUL; ids are 8 hexadecimal digits */

/* What may stand beside an entry, as ID and one of these; it goes with the entry. */
#define REGISTRY_SOCKET ".sock" /* where the monitor of one in the background listens: monitor/protocol.h */
#define REGISTRY_STATE ".state" /* written anew whenever it was frozen or thawed, for who watches */
/* what the console of a container in one file has shown in the background: monitor/console-log.h */
#define REGISTRY_LOG ".log"
#define REGISTRY_LOG_OLD ".log.1"
#define REGISTRY_BESIDE_SIZE 24
/*
 * A name for what this process has there during a start alone: ".WHAT-PID-RANDOM", WHAT of small letters.
 * Whoever lists the directory removes it once that process has ended.
 */
#define REGISTRY_BRIEF_SIZE 48
int registry_brief(const char *what, char ret[REGISTRY_BRIEF_SIZE], struct kennel_error **err) MUST_CHECK;
void registry_beside(const char *id, const char *suffix, char ret[REGISTRY_BESIDE_SIZE]);

/* Where that directory, "kennel", is; NULL where it has no place. */
const char *registry_parent(void);
/*
 * Opens (and makes) /run/kennel or $XDG_RUNTIME_DIR/kennel, mode 0700. Refuses one that others own or may
 * write. Return: descriptor or code.
 */
int registry_open(struct kennel_error **err) MUST_CHECK;

/* A random id that no entry of the directory has. */
int registry_make_id(int dir_fd, char ret[REGISTRY_ID_SIZE], struct kennel_error **err) MUST_CHECK;

void registry_put(struct buf *b, const char *key, const char *value);

/* Makes the entry and locks it. Return: the descriptor that holds the lock, or a negative code. */
int registry_add(int dir_fd, const char *id, const struct buf *content, struct kennel_error **err) MUST_CHECK;
/* beside: there may be something beside it. */
void registry_remove(int dir_fd, const char *id, bool beside);

struct registry_entry {
	char *id;
	struct strv keys, values;       /* parallel */
};

/* Value of the n-th line with this key, or NULL. */
const char *registry_get(const struct registry_entry *e, const char *key, size_t n);

/*
 * Live entries whose id begins with prefix (NULL: all), the oldest first; dead ones are removed and counted.
 * *ret is an array for the caller, ended with registry_entries_free().
 */
int registry_list(int dir_fd, const char *prefix, struct registry_entry **ret, size_t *ret_n,
		  size_t *ret_removed, struct kennel_error **err) MUST_CHECK;
void registry_entries_free(struct registry_entry *entries, size_t n);

/* Does a live entry with this id exist? */
bool registry_is_alive(int dir_fd, const char *id);

/* Text of an entry to keys and values; pure. */
int registry_parse(const char *text, struct registry_entry *e, struct kennel_error **err) MUST_CHECK;

#endif
