/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * storage/storage-file.c - the file "storage" of a container, and the configuration of a store; pure.
 *
 * The names in them become arguments of programs that run as root (lvm, zfs), so they hold what such names
 * have and nothing else; none begins with a dash.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/line.h"
#include "base/parse.h"
#include "storage/driver.h"
#include "storage/keys.h"

static const struct key {
	const char *name; /* in the file */
	const char *option; /* in the configuration; NULL: not there */
	size_t at, size;
	const char *more; /* characters beside letters, digits, "." "_" "-" and "+" */
} keys[] = {
#define KEY(member) offsetof(struct storage_keys, member), sizeof(((struct storage_keys *)NULL)->member)
	{ "volume", NULL, KEY(volume), "" },
	{ "fs", "fs", KEY(fs), "" },
	{ "vg", "vg", KEY(vg), "" },
	{ "thin-pool", "thin-pool", KEY(thin_pool), "" },
	{ "zfs-root", "zfs-root", KEY(zfs_root), "/:" },
};

static bool is_good(const struct key *k, const char *value)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-+";
	size_t n = strlen(value);

	if (!n || n >= k->size || *value == '-' || *value == '.' || *value == '/')
		return false;
	for (const char *s = value; *s; s++)
		if (!strchr(plain, *s) && !strchr(k->more, *s))
			return false;
	return true;
}

static int set_key(const char *name, bool option, const char *value, struct storage_keys *ret,
		   struct kennel_error **err)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const char *own = option ? keys[i].option : keys[i].name;

		if (!own || strcmp(own, name) != 0)
			continue;
		if (!is_good(&keys[i], value))
			return fail(err, KENNEL_E_INVALID, "\"%s\" is no value for %s", value, name);
		memcpy((char *)ret + keys[i].at, value, strlen(value) + 1);
		return 1;
	}
	if (strcmp(name, "size") != 0)
		return 0;
	if (parse_size(value, &ret->size_bytes) < 0)
		return hint(err, fail(err, KENNEL_E_INVALID, "\"%s\" is no size", value), "e.g. 4G");
	return 1;
}

int storage_set_key(struct storage_keys *ret, const char *option, const char *value,
		    struct kennel_error **err)
{
	int r = set_key(option, true, value, ret, err);

	return MIN(r, 0);
}

/* A key of a later version is passed over: what it can't do without it says with another store's name. */
static int parse_line(char *line, struct storage *ret, struct kennel_error **err)
{
	char *rest = line;
	const char *name = line_next(&rest), *value = rest ? line_next(&rest) : NULL;

	if (!value)
		return fail(err, KENNEL_E_CORRUPT, "a line without a value: \"%s\"", name);
	if (strcmp(name, "store") != 0) {
		int r = set_key(name, false, value, &ret->keys, err);
		return MIN(r, 0);
	}
	ret->driver = storage_find(value);
	return ret->driver ? 0 :
			     hint(err, fail(err, KENNEL_E_UNSUPPORTED, "a store \"%s\" is not known", value),
				  "a newer kennel made it");
}

int storage_parse(const char *text, struct storage *ret, struct kennel_error **err)
{
	_cleanup_free_ char *copy = strdup(text);
	char *rest = copy, *line;
	int r = copy ? 0 : fail(err, KENNEL_E_NOMEM, "out of memory");

	while (r == 0 && (line = strsep(&rest, "\n")))
		r = *line ? parse_line(line, ret, err) : 0;
	if (r == 0 && !ret->driver)
		r = fail(err, KENNEL_E_CORRUPT, "it names no store");
	if (r == 0 && (ret->driver->caps & (STORAGE_VOLUME | STORAGE_MEMORY)) && !ret->keys.volume[0])
		r = fail(err, KENNEL_E_CORRUPT, "it names no volume");
	return r;
}

void storage_format(const struct storage *s, struct buf *text)
{
	buf_printf(text, "store\t%s\n", s->driver->name);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const char *value = (const char *)&s->keys + keys[i].at;

		if (*value)
			buf_printf(text, "%s\t%s\n", keys[i].name, value);
	}
	if (s->keys.size_bytes)
		buf_printf(text, "size\t%llu\n", (unsigned long long)s->keys.size_bytes);
}

static char *trim(char *s)
{
	char *end;

	s += strspn(s, " \t");
	end = s + strlen(s);
	while (end > s && strchr(" \t\r", end[-1]))
		end--;
	*end = '\0';
	return s;
}

static int conf_line(char *line, char **ret_store, struct storage_keys *ret, struct kennel_error **err)
{
	char *equals = strchr(line, '='), *name, *value;

	if (!equals)
		return hint(err, fail(err, KENNEL_E_INVALID, "\"%s\" has no \"=\"", line),
			    "lines are \"key = value\"; kennel-store(7) has the keys");
	*equals = '\0';
	name = trim(line);
	value = trim(equals + 1);
	if (strcmp(name, "store") == 0) {
		free(*ret_store);
		*ret_store = strdup(value);
		return *ret_store ? 0 : fail(err, KENNEL_E_NOMEM, "out of memory");
	}
	int r = set_key(name, true, value, ret, err);
	if (r == 0)
		r = hint(err, fail(err, KENNEL_E_INVALID, "there is no key \"%s\"", name),
			 "keys are: store fs size vg thin-pool zfs-root");
	return MIN(r, 0);
}

int storage_conf_parse(const char *file, const char *text, char **ret_store, struct storage_keys *ret,
		       struct kennel_error **err)
{
	_cleanup_free_ char *copy = strdup(text), *store = NULL;
	struct storage_keys found = *ret;
	char *rest = copy, *line;
	int r = copy ? 0 : fail(err, KENNEL_E_NOMEM, "out of memory");

	for (unsigned n = 1; r == 0 && (line = strsep(&rest, "\n")); n++) {
		line = trim(line);
		if (!*line || *line == '#' || *line == ';')
			continue;
		r = conf_line(line, &store, &found, err);
		if (r < 0)
			r = wrap(err, r, "%s, line %u", file, n);
	}
	if (r < 0)
		return r;
	*ret = found;
	*ret_store = take_ptr(&store);
	return 0;
}
