/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * conf/session.h - the "config" of a session directory (kennel run --session), as Fatdog64's User Mode Linux
 * sessions have it, and the same words on the command line. Pure: bytes in, keys of a spec out; nothing is
 * ever executed of it.
 *
 *   MEM=256M           memory of the guest
 *   SAVE_SIZE=128M     of the save file, when it is made; empty: nothing is saved
 *   START_CMD=         what runs, for a shell; empty: a shell
 *   NET=nat            as --net
 *   HOST=NAME          its host name
 *   ubdNrc=FILE        a further disk, /dev/ubdb for 1 and so on; r: read-only, c: shared with others
 *
 * Values may be quoted as for a shell, and "#" begins a comment where a line begins.
 */
#ifndef KENNEL_CONF_SESSION_H
#define KENNEL_CONF_SESSION_H

#include <stddef.h>

#include "base/error.h"
#include "base/strv.h"

#define SESSION_CONFIG "config"
#define SESSION_SAVE "savefile"
#define SESSION_SAVE_SIZE "128M" /* where nothing is said */
#define SESSION_CONFIG_MAX (64u << 10) /* bytes */

struct session {
	char *memory, *save_size, *command, *net, *hostname; /* NULL: not said */
	struct strv drives; /* values of the key "drive" */
};

/* What a new session directory gets. */
extern const char session_default[];

/* Takes the lines of text, on top of what is there. Return: 0, CORRUPT with the line, NOMEM. */
int session_parse(const char *text, struct session *s, struct kennel_error **err) MUST_CHECK;
/*
 * One word, "START_CMD=". Return: 1, 0 it is none of these and so begins a command, or a code: INVALID it
 * is one, but makes no sense.
 */
int session_take(const char *word, struct session *s, struct kennel_error **err) MUST_CHECK;
void session_done(struct session *s);

#endif
