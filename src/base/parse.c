/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* base/parse.c - see parse.h. strtoull() is not used: it takes signs, spaces and trailing words. */
#include "base/parse.h"

#include <string.h>
#include <strings.h>

/* Reads digits from *s and moves it behind them. */
static int take_u64(const char **s, uint64_t *ret)
{
	uint64_t v = 0;
	const char *p = *s;

	if (*p < '0' || *p > '9')
		return -1;
	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
			return -1;
	*s = p;
	*ret = v;
	return 0;
}

int parse_u64(const char *s, uint64_t *ret)
{
	uint64_t v;

	if (take_u64(&s, &v) < 0 || *s)
		return -1;
	*ret = v;
	return 0;
}

int parse_u32(const char *s, uint32_t *ret)
{
	uint64_t v;

	if (parse_u64(s, &v) < 0 || v > UINT32_MAX)
		return -1;
	*ret = (uint32_t)v;
	return 0;
}

int parse_size(const char *s, uint64_t *ret)
{
	static const char units[] = "KMGTPE";
	uint64_t v;
	unsigned shift = 0;

	if (take_u64(&s, &v) < 0)
		return -1;
	if (*s) {
		char up = (char)(*s & ~0x20);
		const char *u = strchr(units, up);

		if (u && *u) {
			shift = 10 * (unsigned)(u - units + 1);
			s++;
			if (*s == 'i' && s[1] == 'B')
				s += 2;
			else if (*s == 'B')
				s++;
		} else if (up == 'B') {
			s++;
		}
	}
	if (*s || (shift && v > (UINT64_MAX >> shift)))
		return -1;
	*ret = v << shift;
	return 0;
}

int parse_duration_ms(const char *s, uint64_t *ret)
{
	static const struct {
		const char *unit;
		uint64_t ms;
	} units[] = { { "", 1000 },   { "ms", 1 },	{ "s", 1000 },
		      { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 } };
	uint64_t v;

	if (take_u64(&s, &v) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (strcmp(s, units[i].unit) == 0)
			return __builtin_mul_overflow(v, units[i].ms, ret) ? -1 : 0;
	return -1;
}

int parse_milli(const char *s, uint64_t *ret)
{
	uint64_t v, part = 0;

	if (take_u64(&s, &v) < 0 || v > UINT64_MAX / 2000)
		return -1;
	if (*s == '.') {
		unsigned scale = 100;

		for (s++; *s >= '0' && *s <= '9'; s++, scale /= 10)
			part += (uint64_t)(*s - '0') * scale;
	}
	if (*s)
		return -1;
	*ret = v * 1000 + part;
	return 0;
}

int parse_bool(const char *s, int *ret)
{
	static const char *const yes[] = { "yes", "true", "on", "1" };
	static const char *const no[] = { "no", "false", "off", "0" };

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		if (strcasecmp(s, yes[i]) == 0)
			*ret = 1;
		else if (strcasecmp(s, no[i]) == 0)
			*ret = 0;
		else
			continue;
		return 0;
	}
	return -1;
}
