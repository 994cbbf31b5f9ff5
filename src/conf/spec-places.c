/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * conf/spec-places.c - keys whose values are places: paths of the host and of the inside, mounts, devices.
 *
 * Values of several fields are cut at bare separators: "\:" is a colon (or "\," a comma) and "\\" a
 * backslash that belong to the field; before any other character a backslash means itself. The other rule
 * in use elsewhere, "the last colon, if what follows looks like an option", was not taken: PATH:ro would
 * then name two different files depending on what comes after it, and a mistyped option would silently
 * become part of a path.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/pathname.h"
#include "conf/spec-keys.h"

/* Cuts value at bare separators and undoes the escapes; empty fields are kept. */
int spec_split_fields(const char *value, char sep, struct strv *ret, struct kennel_error **err)
{
	for (const char *p = value;;) {
		_cleanup_buf_ struct buf field = { 0 };

		for (; *p && *p != sep; p++) {
			if (*p == '\\' && (p[1] == sep || p[1] == '\\'))
				p++;
			buf_add(&field, p, 1);
		}
		int r = buf_check(&field, err);
		if (r == 0)
			r = strv_add(ret, buf_str(&field), err);
		if (r < 0)
			return r;
		if (!*p)
			return 0;
		p++;
	}
}

int spec_clean_path(const char *path, char **ret, struct kennel_error **err)
{
	int r = path_clean(path, ret, err);

	if (r == -KENNEL_E_INVALID && path[0] == '/')
		return hint(err, r,
			    "write the path without \"..\"; what stands before it may be a link to anywhere");
	return r;
}

/* A path that something is put at or taken from inside. The root itself is never that. */
static int clean_target(const char *path, char **ret, struct kennel_error **err)
{
	_cleanup_free_ char *clean = NULL;
	int r = spec_clean_path(path, &clean, err);

	if (r < 0)
		return r;
	if (strcmp(clean, "/") == 0)
		return fail(err, KENNEL_E_INVALID, "\"%s\" is the whole root", path);
	*ret = take_ptr(&clean);
	return 0;
}

void spec_replace_string(char **where, char *s)
{
	free(*where);
	*where = s;
}

int spec_set_workdir(struct spec *s, const struct spec_key *k, const char *value, struct kennel_error **err)
{
	char *clean;
	int r = spec_clean_path(value, &clean, err);

	if (r < 0)
		return r;
	spec_replace_string(&s->workdir, clean);
	return 0;
}

/* A tree of the host that may be any path. */
int spec_add_path(struct spec *s, const struct spec_key *k, const char *value, struct kennel_error **err)
{
	char *clean;
	int r = spec_clean_path(value, &clean, err);

	return r < 0 ? r : strv_take((struct strv *)((char *)s + k->offset), clean, err);
}

int spec_add_target(struct spec *s, const struct spec_key *k, const char *value, struct kennel_error **err)
{
	char *clean = NULL; /* for gcc -O3, which loses sight of r */
	int r = clean_target(value, &clean, err);

	return r < 0 ? r : strv_take((struct strv *)((char *)s + k->offset), clean, err);
}

int spec_set_base(struct spec *s, const struct spec_key *k, const char *value, struct kennel_error **err)
{
	static const char system_word[] = "system";
	const size_t n = sizeof(system_word) - 1;
	_cleanup_strv_ struct strv layers = { 0 };
	_cleanup_free_ char *path = NULL;
	enum spec_base kind = SPEC_BASE_SYSTEM;
	int r = 0;

	if (strncmp(value, system_word, n) == 0 && value[n] == ':') {
		r = spec_split_fields(value + n + 1, ',', &layers, err);
		for (size_t i = 0; r == 0 && i < layers.n; i++)
			if (!layers.items[i][0])
				return fail(err, KENNEL_E_INVALID, "\"%s\" names an empty layer", value);
	} else if (strcmp(value, "own") == 0) {
		kind = SPEC_BASE_PATH;
		path = strdup(value);
		r = path ? 0 : fail(err, KENNEL_E_NOMEM, "out of memory");
	} else if (strcmp(value, system_word) != 0) {
		kind = SPEC_BASE_PATH;
		r = spec_clean_path(value, &path, err);
	}
	if (r < 0)
		return r;

	s->base_kind = kind;
	spec_replace_string(&s->base_path, take_ptr(&path));
	const struct strv old = s->base_layers;
	s->base_layers = layers;
	layers = old;
	return 0;
}

/* Where the configuration has something else at this place, what the person says now takes its place. */
static struct spec_mount *find_configured(struct spec *s, const char *target)
{
	for (size_t i = 0; i < s->n_configured; i++)
		if (strcmp(s->mounts[i].target, target) == 0)
			return &s->mounts[i];
	return NULL;
}

static int append_mount(struct spec *s, const char *source, const char *target, bool read_only,
			struct kennel_error **err)
{
	_cleanup_free_ char *clean_source = NULL, *clean = NULL;
	int r = spec_clean_path(source, &clean_source, err);

	if (r == 0)
		r = clean_target(target, &clean, err);
	if (r < 0)
		return r;
	struct spec_mount *old = find_configured(s, clean);
	if (old) {
		free(old->source);
		old->source = take_ptr(&clean_source);
		old->read_only = read_only;
		return 0;
	}
	struct spec_mount *mounts = reallocarray(s->mounts, s->n_mounts + 1, sizeof(*mounts));
	if (!mounts)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	s->mounts = mounts;
	mounts[s->n_mounts++] = (struct spec_mount){
		.source = take_ptr(&clean_source),
		.target = take_ptr(&clean),
		.read_only = read_only,
	};
	return 0;
}

static int parse_access(const char *word, bool *ret_read_only, struct kennel_error **err)
{
	if (strcmp(word, "ro") != 0 && strcmp(word, "rw") != 0)
		return fail(err, KENNEL_E_INVALID, "\"%s\" after the last colon is neither ro nor rw", word);
	*ret_read_only = word[1] == 'o';
	return 0;
}

int spec_add_mount(struct spec *s, const struct spec_key *k, const char *value, struct kennel_error **err)
{
	_cleanup_strv_ struct strv fields = { 0 };
	bool read_only = false;
	int r = spec_split_fields(value, ':', &fields, err);

	if (r < 0)
		return r;
	if (fields.n < 2 || fields.n > 3)
		return fail(err, KENNEL_E_INVALID, "\"%s\" has %s", value,
			    fields.n < 2 ? "no place inside" : "too many colons");
	if (fields.n == 3)
		r = parse_access(fields.items[2], &read_only, err);
	return r < 0 ? r : append_mount(s, fields.items[0], fields.items[1], read_only, err);
}

int spec_add_share(struct spec *s, const struct spec_key *k, const char *value, struct kennel_error **err)
{
	_cleanup_strv_ struct strv fields = { 0 };
	bool read_only = false;
	int r = spec_split_fields(value, ':', &fields, err);

	if (r < 0)
		return r;
	if (fields.n > 2)
		return fail(err, KENNEL_E_INVALID, "\"%s\" has too many colons", value);
	if (fields.n == 2)
		r = parse_access(fields.items[1], &read_only, err);
	return r < 0 ? r : append_mount(s, fields.items[0], fields.items[0], read_only, err);
}

/* Some of the letters r, w, m, each at most once. */
static int parse_rwm(const char *word, struct spec_device *d)
{
	if (!*word)
		return -1;
	for (; *word; word++) {
		bool *flag = *word == 'r' ? &d->read :
			     *word == 'w' ? &d->write :
			     *word == 'm' ? &d->make :
					    NULL;

		if (!flag || *flag)
			return -1;
		*flag = true;
	}
	return 0;
}

int spec_add_device(struct spec *s, const struct spec_key *k, const char *value, struct kennel_error **err)
{
	_cleanup_strv_ struct strv fields = { 0 };
	_cleanup_free_ char *path = NULL;
	struct spec_device device = { 0 };
	int r = spec_split_fields(value, ':', &fields, err);

	if (r < 0)
		return r;
	if (fields.n > 2)
		return fail(err, KENNEL_E_INVALID, "\"%s\" has too many colons", value);
	const char *access = fields.n == 2 ? fields.items[1] : "rwm";
	if (parse_rwm(access, &device) < 0)
		return fail(err, KENNEL_E_INVALID, "\"%s\" after the colon is not made of r, w and m",
			    access);
	r = clean_target(fields.items[0], &path, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < s->n_configured_devices; i++)
		if (strcmp(s->devices[i].path, path) == 0) {
			device.path = s->devices[i].path;
			s->devices[i] = device;
			return 0;
		}
	struct spec_device *devices = reallocarray(s->devices, s->n_devices + 1, sizeof(*devices));
	if (!devices)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	s->devices = devices;
	device.path = take_ptr(&path);
	devices[s->n_devices++] = device;
	return 0;
}

/* "ubd2=" in front of the file. Return: behind it; *ret 0 where it is not said. */
static const char *take_drive_number(const char *value, unsigned *ret)
{
	unsigned number = 0;
	const char *p = value + 3;

	*ret = 0;
	if (strncmp(value, "ubd", 3) != 0)
		return value;
	for (; *p >= '0' && *p <= '9' && number < 100; p++)
		number = number * 10 + (unsigned)(*p - '0');
	if (p == value + 3 || *p != '=')
		return value;
	*ret = number ? number : SPEC_DRIVES_MAX + 1;
	return p + 1;
}

static struct spec_drive *find_drive(struct spec *s, unsigned number)
{
	for (size_t i = 0; i < s->n_drives; i++)
		if (s->drives[i].number == number)
			return &s->drives[i];
	return NULL;
}

/* Without a number it is the next one; with one that is there it takes that one's place. */
int spec_add_drive(struct spec *s, const struct spec_key *k, const char *value, struct kennel_error **err)
{
	_cleanup_strv_ struct strv fields = { 0 };
	struct spec_drive drive = { 0 };
	_cleanup_free_ char *path = NULL;

	int r = spec_split_fields(take_drive_number(value, &drive.number), ':', &fields, err);
	if (r < 0)
		return r;
	if (fields.n > 2)
		return fail(err, KENNEL_E_INVALID, "\"%s\" has too many colons", value);
	drive.read_only = fields.n == 2 && strcmp(fields.items[1], "ro") == 0;
	if (fields.n == 2 && !drive.read_only && strcmp(fields.items[1], "rw") != 0)
		return fail(err, KENNEL_E_INVALID, "\"%s\" after the colon is neither ro nor rw",
			    fields.items[1]);
	r = clean_target(fields.items[0], &path, err);
	if (r < 0)
		return r;
	struct spec_drive *old = drive.number ? find_drive(s, drive.number) : NULL;
	if (!drive.number)
		for (drive.number = 1; find_drive(s, drive.number);)
			drive.number++;
	if (drive.number > SPEC_DRIVES_MAX)
		return fail(err, KENNEL_E_INVALID, "a guest has the drives ubd1 to ubd%u", SPEC_DRIVES_MAX);
	if (!old) {
		struct spec_drive *drives = reallocarray(s->drives, s->n_drives + 1, sizeof(*drives));
		if (!drives)
			return fail(err, KENNEL_E_NOMEM, "out of memory");
		s->drives = drives;
		old = &drives[s->n_drives++];
		*old = (struct spec_drive){ 0 };
	}
	free(old->path);
	drive.path = take_ptr(&path);
	*old = drive;
	return 0;
}

/* Words of letters, digits, _ and -, at least two, dots between them; not a client's own (":1.5"). */
static bool is_bus_name(const char *name, size_t len)
{
	size_t words = 0;

	for (size_t i = 0; i < len; words++) {
		size_t n = i;

		while (n < len && (name[n] == '_' || name[n] == '-' || (name[n] >= '0' && name[n] <= '9') ||
				   (name[n] >= 'a' && name[n] <= 'z') || (name[n] >= 'A' && name[n] <= 'Z')))
			n++;
		if (n == i || (name[i] >= '0' && name[i] <= '9') ||
		    (n < len && (name[n] != '.' || n + 1 == len)))
			return false;
		i = n + 1;
	}
	return words > 1 && len <= 255;
}

int spec_add_bus_name(struct spec *s, const struct spec_key *k, const char *value, struct kennel_error **err)
{
	struct strv *names = (struct strv *)((char *)s + k->offset);
	size_t len = strlen(value);

	if (len > 2 && strcmp(value + len - 2, ".*") == 0)
		len -= 2;
	if (!is_bus_name(value, len))
		return fail(err, KENNEL_E_INVALID, "\"%s\" is not a name of a bus", value);
	return strv_has(names, value) ? 0 : strv_add(names, value, err);
}
