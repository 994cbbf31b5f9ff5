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

int spec_add_name(struct spec *s, const struct spec_key *k, const char *value, struct kennel_error **err)
{
	int r = name_check(value, err);

	return r < 0 ? r : strv_add((struct strv *)((char *)s + k->offset), value, err);
}
