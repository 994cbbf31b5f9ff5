/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * container/origin.h - who is whose clone.
 *
 * A clone that shares with its origin has its id in the file "origin"; the origin has it in the file "id".
 * Ids are random and stay, whatever either of them is called.
 */
#ifndef KENNEL_CONTAINER_ORIGIN_H
#define KENNEL_CONTAINER_ORIGIN_H

#include "base/strv.h"
#include "container/container.h"

#define ORIGIN_ID_SIZE 17

/* Its id; makes one where it has none and make says so. Return: 1, 0 it has none, or a negative code. */
int origin_id(const struct container *c, bool make, char ret[static ORIGIN_ID_SIZE],
	      struct kennel_error **err) MUST_CHECK;
/* Whose clone it is: that one's id. Return: 1, 0 nobody's, or a negative code. */
int origin_read(const struct container *c, char ret[static ORIGIN_ID_SIZE], struct kennel_error **err)
	MUST_CHECK;
/* Into a directory that becomes a container. */
int origin_write(int dir_fd, const char *id, const char *shown, struct kennel_error **err) MUST_CHECK;
/* It is nobody's any more. */
int origin_forget(const struct container *c, struct kennel_error **err) MUST_CHECK;

/* Names of those that are clones of c and share with it. Appends. */
int origin_clones(const struct store *s, const struct container *c, struct strv *ret,
		  struct kennel_error **err) MUST_CHECK;

/* Who has this id. Return: 1 and its name, the caller's; 0 nobody; or a negative code. */
int origin_find(const struct store *s, const char *id, char **ret, struct kennel_error **err) MUST_CHECK;

#endif
