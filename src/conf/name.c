/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* conf/name.c - see name.h. No ctype.h: what is a letter does not depend on anybody's locale. */
#include "conf/name.h"

#include <string.h>

#define LETTERS_AND_DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

bool name_is_id(const char *name)
{
	return strlen(name) == 8 && strspn(name, "0123456789abcdef") == 8;
}

int name_check(const char *name, struct kennel_error **err)
{
	size_t n = strlen(name);

	if (n == 0)
		return fail(err, KENNEL_E_INVALID, "the name is empty");
	if (n > NAME_MAX_LENGTH)
		return fail(err, KENNEL_E_INVALID, "\"%.20s...\" is longer than %d characters", name,
			    NAME_MAX_LENGTH);
	if (strspn(name, LETTERS_AND_DIGITS) == 0)
		return fail(err, KENNEL_E_INVALID, "\"%s\" does not begin with a letter or a digit", name);
	size_t good = strspn(name, LETTERS_AND_DIGITS "._-");
	if (good < n)
		return fail(err, KENNEL_E_INVALID, "\"%s\" has a character that no name has, behind \"%.*s\"",
			    name, (int)good, name);
	if (name_is_id(name))
		return hint(err,
			    fail(err, KENNEL_E_INVALID, "\"%s\" looks like the id of a running sandbox",
				 name),
			    "use another letter than a to f, or one character more");
	return 0;
}
