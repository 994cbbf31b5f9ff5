/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * container/store.h - the directory that containers live in.
 *
 *   STORE/NAME/         a container: see container.h
 *   STORE/.new-XXXXXXXX one that is being made; locked by whoever makes it
 *   STORE/.rm-XXXXXXXX  one that is being removed; locked by whoever removes it
 *
 * It is private: the owner is who runs kennel, nobody else may write there, and no part of its path is a link
 * that another user could turn elsewhere. Whatever has one of the two temporary names and is not locked was
 * left by a killed process and may be removed by anybody who comes across it.
 */
#ifndef KENNEL_CONTAINER_STORE_H
#define KENNEL_CONTAINER_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/strv.h"

struct store {
	int fd; /* -EBADF: not there */
	uid_t owner; /* of it and of all that is in it */
	char *path; /* absolute, as the person knows it */
};

/*
 * Opens the store at path; NULL: /var/lib/kennel, or $XDG_DATA_HOME/kennel or ~/.local/share/kennel. One that
 * is not there is made, or *ret has no descriptor. Return: 1, 0 not there, or a negative code.
 */
int store_open(const char *path, bool make, struct store *ret, struct kennel_error **err) MUST_CHECK;
/*
 * The same to look into, whoever it belongs to; it is not made. For root: what is in it is another user's
 * work.
 */
int store_open_any(const char *path, struct store *ret, struct kennel_error **err) MUST_CHECK;
void store_done(struct store *s);

/* Can a delta lie there? Refuses what overlayfs can't write to, with the reason and what to do. */
int store_check_file_system(const struct store *s, struct kennel_error **err) MUST_CHECK;

/* Names of all containers, sorted. */
int store_names(const struct store *s, struct strv *ret, struct kennel_error **err) MUST_CHECK;

#define STORE_NEW ".new-"
#define STORE_REMOVED ".rm-"
#define STORE_TEMP_SIZE 16

/* A name with this prefix that nothing has yet. */
int store_temp_name(const struct store *s, const char *prefix, char ret[STORE_TEMP_SIZE],
		    struct kennel_error **err) MUST_CHECK;

/*
 * Empties a directory of which a container was made; see remove.c. Called with the directory's descriptor and
 * a path for people.
 */
typedef int (*store_wipe_fn)(void *data, int dir_fd, const char *shown, struct kennel_error **err);

/*
 * Removes what killed processes left, counting it. What can't be removed stays, and the first reason is
 * returned once all has been tried.
 */
int store_sweep(const struct store *s, store_wipe_fn wipe, void *data, size_t *ret_removed,
		struct kennel_error **err) MUST_CHECK;

static inline void cleanup_storep(struct store *s)
{
	store_done(s);
}
#define _cleanup_store_ __attribute__((cleanup(cleanup_storep)))
#define STORE_NONE \
	{ \
		.fd = -EBADF \
	}

#endif
