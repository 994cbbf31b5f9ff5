/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* conf/spec-identity.c - keys that say who one is inside: ids, capabilities, host name, user. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/suggest.h"
#include "conf/capability.h"
#include "conf/spec-keys.h"

#define IDMAP_COUNT_DEFAULT 65536u /* what distributions give a user, and enough for "nobody" */
#define HOSTNAME_MAX 64 /* of the kernel; one label of a name has 63 at most (RFC 1123) */
#define LABEL_MAX 63

/*
 * 4294967295 means "no id" to the kernel, so a range ends below it; 0 as its base would be the host's own
 * root.
 */
int spec_set_idmap(struct spec *s, const struct spec_key *k, const char *value, struct kennel_error **err)
{
	_cleanup_strv_ struct strv fields = { 0 };
	uint32_t base = 0, count = IDMAP_COUNT_DEFAULT;

	if (strcmp(value, "auto") == 0 || strcmp(value, "no") == 0) {
		s->idmap = value[0] == 'a' ? SPEC_IDMAP_AUTO : SPEC_IDMAP_NO;
		s->idmap_base = s->idmap_count = 0;
		return 0;
	}
	int r = spec_split_fields(value, ':', &fields, err);
	if (r < 0)
		return r;
	if (fields.n > 2 || parse_u32(fields.items[0], &base) < 0 ||
	    (fields.n == 2 && parse_u32(fields.items[1], &count) < 0))
		return fail(err, KENNEL_E_INVALID, "\"%s\" is neither auto, no nor a range of ids", value);
	if (base == 0)
		return fail(err, KENNEL_E_INVALID, "\"%s\" begins at 0, which is the machine's own root",
			    value);
	if (count == 0 || count > UINT32_MAX - base)
		return fail(err, KENNEL_E_INVALID, "\"%s\" %s", value,
			    count ? "goes beyond the last id" : "holds no id at all");
	s->idmap = SPEC_IDMAP_RANGE;
	s->idmap_base = base;
	s->idmap_count = count;
	return 0;
}

int spec_add_caps(struct spec *s, const struct spec_key *k, const char *value, struct kennel_error **err)
{
	_cleanup_strv_ struct strv names = { 0 };
	uint64_t mask = 0;
	int r = strv_split(&names, value, ',', err);

	if (r < 0)
		return r;
	if (names.n == 0)
		return fail(err, KENNEL_E_INVALID, "\"%s\" names no capability", value);
	for (size_t i = 0; i < names.n; i++) {
		struct suggestion near = { 0 };
		uint64_t bits;

		if (capability_parse(names.items[i], &bits, &near) < 0) {
			r = fail(err, KENNEL_E_INVALID, "\"%s\" is not a capability", names.items[i]);
			return near.best ? hint(err, r, "did you mean \"%s\"?", near.best) : r;
		}
		mask |= bits;
	}
	uint64_t *field = (uint64_t *)((char *)s + k->offset);
	uint64_t *other = field == &s->cap_add ? &s->cap_drop : &s->cap_add;
	*field |= mask;
	/* What the configuration says of the same ones no longer holds. */
	*other &= ~(mask & s->configured_caps);
	s->configured_caps &= ~mask;
	return 0;
}

static bool is_label(const char *s, size_t n)
{
	if (n == 0 || n > LABEL_MAX || s[0] == '-' || s[n - 1] == '-')
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isascii((unsigned char)s[i]) || (!isalnum((unsigned char)s[i]) && s[i] != '-'))
			return false;
	return true;
}

int spec_set_hostname(struct spec *s, const struct spec_key *k, const char *value, struct kennel_error **err)
{
	if (strlen(value) > HOSTNAME_MAX)
		return fail(err, KENNEL_E_INVALID, "\"%s\" is longer than %d characters", value,
			    HOSTNAME_MAX);
	for (const char *p = value;;) {
		const char *end = strchrnul(p, '.');

		if (!is_label(p, (size_t)(end - p)))
			return fail(err, KENNEL_E_INVALID, "\"%s\" is not a host name", value);
		if (!*end)
			break;
		p = end + 1;
	}
	char *copy = strdup(value);
	if (!copy)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	spec_replace_string(&s->hostname, copy);
	return 0;
}

/* A number below "no id", or a name that could stand in a passwd file. */
static bool is_user_or_group(const char *s, size_t n)
{
	bool digits = true;
	uint64_t id = 0;

	if (n == 0 || n > LABEL_MAX || s[0] == '-')
		return false;
	for (size_t i = 0; i < n; i++) {
		if ((unsigned char)s[i] <= ' ' || s[i] == 0x7f || s[i] == '/' || s[i] == ':')
			return false;
		if (s[i] < '0' || s[i] > '9')
			digits = false;
		else if (id < UINT32_MAX)
			id = id * 10 + (uint64_t)(s[i] - '0');
	}
	return !digits || id < UINT32_MAX;
}

int spec_set_user(struct spec *s, const struct spec_key *k, const char *value, struct kennel_error **err)
{
	const char *colon = strchrnul(value, ':');

	if (!is_user_or_group(value, (size_t)(colon - value)) ||
	    (*colon && !is_user_or_group(colon + 1, strlen(colon + 1))))
		return fail(err, KENNEL_E_INVALID, "\"%s\" is not a user", value);
	char *copy = strdup(value);
	if (!copy)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	spec_replace_string(&s->user, copy);
	return 0;
}
