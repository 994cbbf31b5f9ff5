/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* base/cpulist.c - see cpulist.h. */
#include "base/cpulist.h"

#include <stdbool.h>
#include <string.h>

static bool take_number(const char **s, unsigned *ret)
{
	unsigned v = 0;

	if (**s < '0' || **s > '9')
		return false;
	for (; **s >= '0' && **s <= '9'; (*s)++) {
		v = v * 10 + (unsigned)(**s - '0');
		if (v >= CPULIST_MAX)
			return false;
	}
	*ret = v;
	return true;
}

int cpulist_parse(const char *text, struct cpulist *ret)
{
	struct cpulist set = { 0 };
	int n = 0;

	for (const char *s = text;; s++) {
		unsigned first, last;

		if (!take_number(&s, &first))
			return -1;
		last = first;
		if (*s == '-' && (s++, !take_number(&s, &last) || last < first))
			return -1;
		for (unsigned i = first; i <= last; i++)
			set.words[i / 64] |= UINT64_C(1) << i % 64;
		if (*s != ',') {
			if (*s && strcmp(s, "\n") != 0)
				return -1;
			break;
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(set.words); i++)
		n += __builtin_popcountll(set.words[i]);
	*ret = set;
	return n;
}

int cpulist_missing(const struct cpulist *a, const struct cpulist *b)
{
	for (size_t i = 0; i < ARRAY_SIZE(a->words); i++) {
		uint64_t only = a->words[i] & ~b->words[i];

		if (only)
			return (int)(i * 64) + __builtin_ctzll(only);
	}
	return -1;
}
