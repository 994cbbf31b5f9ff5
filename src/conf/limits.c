/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* conf/limits.c - see limits.h. */
#include "conf/limits.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/cpulist.h"
#include "base/parse.h"
#include "base/pathname.h"

int limits_set_swap(struct limits *l, const char *value, struct kennel_error **err)
{
	uint64_t bytes = LIMITS_MAX;

	if (strcmp(value, "max") != 0 && parse_size(value, &bytes) < 0)
		return fail(err, KENNEL_E_INVALID, "\"%s\" is not a size", value);
	l->has_swap = true;
	l->swap_bytes = bytes;
	return 0;
}

int limits_set_cpuset(struct limits *l, const char *value, struct kennel_error **err)
{
	struct cpulist list;
	char *text = NULL;

	if (strcmp(value, "all") != 0) {
		if (cpulist_parse(value, &list) <= 0 || strchr(value, '\n'))
			return fail(err, KENNEL_E_INVALID, "\"%s\" is no list of processors", value);
		text = strdup(value);
		if (!text)
			return fail(err, KENNEL_E_NOMEM, "out of memory");
	}
	free(l->cpuset);
	l->cpuset = text;
	return 0;
}

static int take_rate(struct limits_io *io, char *word, struct kennel_error **err)
{
	const struct {
		const char *key;
		uint64_t *value;
		int (*parse)(const char *s, uint64_t *ret);
	} rates[] = {
		{ "read", &io->read_bytes, parse_size },
		{ "write", &io->write_bytes, parse_size },
		{ "riops", &io->reads, parse_u64 },
		{ "wiops", &io->writes, parse_u64 },
	};
	char *equals = strchr(word, '=');

	if (!equals)
		return fail(err, KENNEL_E_INVALID, "\"%s\" is neither KEY=RATE nor a full path", word);
	*equals = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(rates); i++) {
		if (strcmp(word, rates[i].key) != 0)
			continue;
		if (*rates[i].value)
			return fail(err, KENNEL_E_INVALID, "\"%s\" is given twice", word);
		if (rates[i].parse(equals + 1, rates[i].value) < 0 || !*rates[i].value ||
		    *rates[i].value > INT64_MAX)
			return fail(err, KENNEL_E_INVALID, "\"%s\" is no rate for \"%s\"", equals + 1, word);
		return 0;
	}
	return fail(err, KENNEL_E_INVALID, "there is no rate \"%s\"", word);
}

int limits_set_io(struct limits *l, const char *value, struct kennel_error **err)
{
	_cleanup_free_ char *text = strdup(value);
	struct limits_io io = { 0 };
	int r = 0;

	if (!text)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	if (strcmp(value, "max") == 0) {
		free(l->io.where);
		l->io = io;
		return 0;
	}
	for (char *rest = text; rest && r == 0;) {
		if (*rest == '/') { /* the path is the last, so commas are its own */
			r = path_clean(rest, &io.where, err);
			break;
		}
		r = take_rate(&io, strsep(&rest, ","), err);
	}
	if (r == 0 && !io.read_bytes && !io.write_bytes && !io.reads && !io.writes)
		r = fail(err, KENNEL_E_INVALID, "\"%s\" names no rate", value);
	if (r < 0) {
		free(io.where);
		return r;
	}
	free(l->io.where);
	l->io = io;
	return 0;
}

int limits_check_kept(const struct limits *l, bool in_file, struct kennel_error **err)
{
	if (!l->disk_bytes)
		return 0;
	if (in_file)
		return hint(err, fail(err, KENNEL_E_INVALID, "disk: a file has room for what its size says"),
			    "take --size, which also makes it grow");
	return hint(err,
		    fail(err, KENNEL_E_UNSUPPORTED,
			 "disk: changes in a directory can't be bounded, for they share its file system"),
		    "keep them in a file of that size: -f FILE --size SIZE");
}

bool limits_has_io(const struct limits *l)
{
	return l->io.read_bytes || l->io.write_bytes || l->io.reads || l->io.writes;
}

void limits_done(struct limits *l)
{
	free(l->cpuset);
	free(l->io.where);
	*l = (struct limits){ 0 };
}
