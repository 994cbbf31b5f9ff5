/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* conf/spec-start.c - the setters of what happens around a container: when it starts, and by which hooks. */
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "conf/name.h"
#include "conf/spec-keys.h"

int spec_set_time(struct spec *s, const struct spec_key *k, const char *value, struct kennel_error **err)
{
	if (parse_duration_ms(value, (uint64_t *)((char *)s + k->offset)) < 0)
		return fail(err, KENNEL_E_INVALID, "\"%s\" is not a time", value);
	return 0;
}

int spec_set_ttys(struct spec *s, const struct spec_key *k, const char *value, struct kennel_error **err)
{
	uint64_t n;

	(void)k;
	if (parse_u64(value, &n) < 0)
		return fail(err, KENNEL_E_INVALID, "\"%s\" is not a whole number", value);
	if (n > SPEC_TTYS_MAX)
		return fail(err, KENNEL_E_INVALID, "\"%s\" are more than %u", value, SPEC_TTYS_MAX);
	s->ttys = n;
	return 0;
}

int spec_add_name(struct spec *s, const struct spec_key *k, const char *value, struct kennel_error **err)
{
	int r = name_check(value, err);

	return r < 0 ? r : strv_add((struct strv *)((char *)s + k->offset), value, err);
}

/* Kept as it was written: it is cut into words where it is run. */
int spec_add_hook(struct spec *s, const struct spec_key *k, const char *value, struct kennel_error **err)
{
	_cleanup_strv_ struct strv words = { 0 };
	int r = strv_split_words(&words, value, err);

	if (r < 0)
		return r;
	if (!words.n)
		return fail(err, KENNEL_E_INVALID, "\"%s\" has no words", value);
	if (words.items[0][0] != '/')
		return fail(err, KENNEL_E_INVALID, "\"%s\" is not the full path of a program",
			    words.items[0]);
	return strv_add((struct strv *)((char *)s + k->offset), value, err);
}

bool spec_has_hooks(const struct spec *s)
{
	for (unsigned i = 0; i < SPEC_HOOKS; i++)
		if (s->hooks[i].n)
			return true;
	return false;
}
