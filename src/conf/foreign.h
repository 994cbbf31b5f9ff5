/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * conf/foreign.h - configurations of other container managers, as a spec: LXC's "config" and the
 * settings of systemd-nspawn. Pure: what they lead to (included files) is asked of the caller.
 *
 * Each key is either taken over, or it says what kennel does anyway, or it has no counterpart and is
 * listed by name. Nothing is passed over in silence that would make the container other than it was.
 */
#ifndef KENNEL_CONF_FOREIGN_H
#define KENNEL_CONF_FOREIGN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/strv.h"
#include "conf/spec.h"

#define FOREIGN_SIZE_MAX (1u << 20) /* of one file */

struct foreign {
	struct spec *spec;
	struct strv refused; /* "lxc.hook.start (config:7)": what has no counterpart */
	const char *hint; /* of the first of them, static; or NULL */
	char *root; /* the directory or image; NULL: none is named */
	char *upper; /* changes that lie on it, or NULL */
	struct strv optional; /* pairs: a path, and the "mount" that is wanted where that is there */
	/* Which ids the container has outside. Other tools give its files these owners on disk, too. */
	bool shifted;
	uint32_t shift_base, shift_count;
};

/*
 * Reads a file that another one includes; text is the caller's. Return: 1, 0 it is not there, or a
 * negative code. A directory: all of its files *.conf, one after the other.
 */
typedef int (*foreign_read_fn)(void *data, const char *path, struct buf *ret, struct kennel_error **err);

/* Takes the place of *ret. Return: 0, CORRUPT with the line, NOMEM. foreign_done() also after a failure. */
int foreign_parse_lxc(const char *file, const char *text, foreign_read_fn read, void *data,
		      struct foreign *ret, struct kennel_error **err) MUST_CHECK;
int foreign_parse_nspawn(const char *file, const char *text, struct foreign *ret, struct kennel_error **err)
	MUST_CHECK;
void foreign_done(struct foreign *f);

/* Is that text one of LXC's? Its first line that says something begins with "lxc.". */
bool foreign_is_lxc(const char *text);

/* For the files of this folder: sets a key of the spec; what the spec refuses is refused with its name. */
struct foreign_at {
	const char *key, *file;
	unsigned line;
};
int foreign_set(struct foreign *f, const struct foreign_at *at, const char *key, const char *value,
		struct kennel_error **err) MUST_CHECK;
int foreign_refuse(struct foreign *f, const struct foreign_at *at, const char *hint,
		   struct kennel_error **err) MUST_CHECK;

#endif
