/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* conf/trust.c - see trust.h. */
#include "conf/trust.h"

#include <string.h>

#include "base/macro.h"

/* clang-format off */
/* value: the only one that is harmless; NULL: any. */
static const struct {
	const char *key, *value;
} harmless[] = {
	{ "autostart", NULL }, /* as all about its start: it means nothing in a file */
	{ "base", "system" }, /* a path could name any directory or disk of the machine */
	{ "boot", NULL },
	{ "cap-drop", NULL },
	{ "command", NULL },
	{ "cpus", NULL },
	{ "cpuset", NULL },
	{ "disk", NULL },
	{ "env", NULL },
	{ "hide", NULL },
	{ "hostname", NULL },
	{ "idmap", "auto" },
	{ "isolate", "auto" },
	{ "isolate", "user" },
	{ "isolate", "vm" },
	{ "memory", NULL },
	{ "net", "auto" },
	{ "net", "nat" }, /* what there is without a word, too */
	{ "net", "none" },
	{ "no-new-privs", NULL },
	{ "pids", NULL },
	{ "quiet", NULL },
	{ "size", NULL },
	{ "start-delay", NULL },
	{ "start-group", NULL },
	{ "start-order", NULL },
	{ "swap", NULL },
	{ "tty", "auto" }, /* without one of its own it has the caller's, and could type into it */
	{ "tty", "yes" },
	{ "ttys", NULL },
	{ "user", NULL },
	{ "without", NULL },
	{ "workdir", NULL },
};
/* clang-format on */

bool trust_is_needed(const char *key, const char *value)
{
	for (size_t i = 0; i < ARRAY_SIZE(harmless); i++)
		if (strcmp(key, harmless[i].key) == 0 &&
		    (!harmless[i].value || strcmp(value, harmless[i].value) == 0))
			return false;
	return true;
}
