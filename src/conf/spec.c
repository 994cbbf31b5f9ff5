/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * conf/spec.c - see spec.h. One table says of every key which function takes its value, where that goes and
 * what a right one looks like; spec_set() puts the key in front of a refusal and the example behind it as
 * the hint.
 *
 * A setter parses into temporaries and touches the spec when nothing can fail any more, so a refused value
 * changes nothing.
 *
 * Values of several fields are cut at bare separators: "\:" is a colon (or "\," a comma) and "\\" a
 * backslash that belong to the field; before any other character a backslash means itself. The other rule
 * in use elsewhere, "the last colon, if what follows looks like an option", was not taken: PATH:ro would
 * then name two different files depending on what comes after it, and a mistyped option would silently
 * become part of a path.
 */
#include "conf/spec.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/parse.h"
#include "base/pathname.h"
#include "base/suggest.h"
#include "conf/capability.h"
#include "conf/name.h"

#define IDMAP_COUNT_DEFAULT 65536u      /* what distributions give a user, and enough for "nobody" */
#define HOSTNAME_MAX 64                 /* of the kernel; one label of a name has 63 at most (RFC 1123) */
#define LABEL_MAX 63

struct word {
	const char *name;
	unsigned value;
};

struct key {
	const char *name;
	int (*set)(struct spec *s, const struct key *k, const char *value, struct kennel_error **err);
	size_t offset;                  /* of the field, for setters that serve several keys */
	const struct word *words;       /* set_word(): ends with a NULL name */
	const char *hint;               /* a right value, for a person who gave a wrong one */
};

static const struct word isolate_words[] = {
	{ "auto", SPEC_ISOLATE_AUTO }, { "fs", SPEC_ISOLATE_FS }, { "ns", SPEC_ISOLATE_NS },
	{ "user", SPEC_ISOLATE_USER }, { "vm", SPEC_ISOLATE_VM }, { NULL, 0 },
};
static const struct word tty_words[] = {
	{ "auto", SPEC_TTY_AUTO }, { "yes", SPEC_TTY_YES }, { "no", SPEC_TTY_NO }, { NULL, 0 },
};

static const char *word_name(const struct word *words, unsigned value)
{
	for (; words->name; words++)
		if (words->value == value)
			return words->name;
	return "unknown";
}

const char *spec_isolate_name(enum spec_isolate v)
{
	return word_name(isolate_words, v);
}

struct spec *spec_new(struct kennel_error **err)
{
	struct spec *s = calloc(1, sizeof(*s));

	if (!s)
		(void)fail(err, KENNEL_E_NOMEM, "out of memory");
	return s;
}

struct spec *spec_free(struct spec *s)
{
	if (!s)
		return NULL;
	struct strv *const lists[] = { &s->base_layers, &s->layers,  &s->without, &s->hide,
				       &s->env,		&s->command, &s->given };
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		strv_done(lists[i]);
	for (size_t i = 0; i < s->n_mounts; i++) {
		free(s->mounts[i].source);
		free(s->mounts[i].target);
	}
	for (size_t i = 0; i < s->n_devices; i++)
		free(s->devices[i].path);
	free(s->mounts);
	free(s->devices);
	free(s->net_where);
	free(s->interfaces);
	free(s->ports);
	free(s->base_path);
	free(s->hostname);
	free(s->user);
	free(s->workdir);
	free(s->keep);
	free(s->store);
	free(s->file);
	free(s->format);
	free(s);
	return NULL;
}

/* Cuts value at bare separators and undoes the escapes; empty fields are kept. */
static int split_fields(const char *value, char sep, struct strv *ret, struct kennel_error **err)
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

static int clean_path(const char *path, char **ret, struct kennel_error **err)
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
	int r = clean_path(path, &clean, err);

	if (r < 0)
		return r;
	if (strcmp(clean, "/") == 0)
		return fail(err, KENNEL_E_INVALID, "\"%s\" is the whole root", path);
	*ret = take_ptr(&clean);
	return 0;
}

static int set_word(struct spec *s, const struct key *k, const char *value, struct kennel_error **err)
{
	for (const struct word *w = k->words; w->name; w++)
		if (strcmp(w->name, value) == 0) {
			*(unsigned *)((char *)s + k->offset) = w->value; /* an enum without negative values */
			return 0;
		}
	return fail(err, KENNEL_E_INVALID, "\"%s\" is not one of the words it takes", value);
}

static int set_flag(struct spec *s, const struct key *k, const char *value, struct kennel_error **err)
{
	int on;

	if (parse_bool(value, &on) < 0)
		return fail(err, KENNEL_E_INVALID, "\"%s\" is neither yes nor no", value);
	*(bool *)((char *)s + k->offset) = on;
	return 0;
}

static int set_size(struct spec *s, const struct key *k, const char *value, struct kennel_error **err)
{
	if (parse_size(value, (uint64_t *)((char *)s + k->offset)) < 0)
		return fail(err, KENNEL_E_INVALID, "\"%s\" is not a size", value);
	return 0;
}

static int set_count(struct spec *s, const struct key *k, const char *value, struct kennel_error **err)
{
	if (parse_u64(value, (uint64_t *)((char *)s + k->offset)) < 0)
		return fail(err, KENNEL_E_INVALID, "\"%s\" is not a whole number", value);
	return 0;
}

static int set_milli(struct spec *s, const struct key *k, const char *value, struct kennel_error **err)
{
	if (parse_milli(value, (uint64_t *)((char *)s + k->offset)) < 0)
		return fail(err, KENNEL_E_INVALID, "\"%s\" is not a number", value);
	return 0;
}

static void replace_string(char **where, char *s)
{
	free(*where);
	*where = s;
}

static int set_workdir(struct spec *s, const struct key *k, const char *value, struct kennel_error **err)
{
	char *clean;
	int r = clean_path(value, &clean, err);

	if (r < 0)
		return r;
	replace_string(&s->workdir, clean);
	return 0;
}

/* A tree of the host that may be any path. */
static int add_path(struct spec *s, const struct key *k, const char *value, struct kennel_error **err)
{
	char *clean;
	int r = clean_path(value, &clean, err);

	return r < 0 ? r : strv_take((struct strv *)((char *)s + k->offset), clean, err);
}

static int add_target(struct spec *s, const struct key *k, const char *value, struct kennel_error **err)
{
	char *clean = NULL;     /* for gcc -O3, which loses sight of r */
	int r = clean_target(value, &clean, err);

	return r < 0 ? r : strv_take((struct strv *)((char *)s + k->offset), clean, err);
}

static int set_base(struct spec *s, const struct key *k, const char *value, struct kennel_error **err)
{
	static const char system_word[] = "system";
	const size_t n = sizeof(system_word) - 1;
	_cleanup_strv_ struct strv layers = { 0 };
	_cleanup_free_ char *path = NULL;
	enum spec_base kind = SPEC_BASE_SYSTEM;
	int r = 0;

	if (strncmp(value, system_word, n) == 0 && value[n] == ':') {
		r = split_fields(value + n + 1, ',', &layers, err);
		for (size_t i = 0; r == 0 && i < layers.n; i++)
			if (!layers.items[i][0])
				return fail(err, KENNEL_E_INVALID, "\"%s\" names an empty layer", value);
	} else if (strcmp(value, "own") == 0) {
		kind = SPEC_BASE_PATH;
		path = strdup(value);
		r = path ? 0 : fail(err, KENNEL_E_NOMEM, "out of memory");
	} else if (strcmp(value, system_word) != 0) {
		kind = SPEC_BASE_PATH;
		r = clean_path(value, &path, err);
	}
	if (r < 0)
		return r;

	s->base_kind = kind;
	replace_string(&s->base_path, take_ptr(&path));
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
	int r = clean_path(source, &clean_source, err);

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

static int add_mount(struct spec *s, const struct key *k, const char *value, struct kennel_error **err)
{
	_cleanup_strv_ struct strv fields = { 0 };
	bool read_only = false;
	int r = split_fields(value, ':', &fields, err);

	if (r < 0)
		return r;
	if (fields.n < 2 || fields.n > 3)
		return fail(err, KENNEL_E_INVALID, "\"%s\" has %s", value,
			    fields.n < 2 ? "no place inside" : "too many colons");
	if (fields.n == 3)
		r = parse_access(fields.items[2], &read_only, err);
	return r < 0 ? r : append_mount(s, fields.items[0], fields.items[1], read_only, err);
}

static int add_share(struct spec *s, const struct key *k, const char *value, struct kennel_error **err)
{
	_cleanup_strv_ struct strv fields = { 0 };
	bool read_only = false;
	int r = split_fields(value, ':', &fields, err);

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

static int add_device(struct spec *s, const struct key *k, const char *value, struct kennel_error **err)
{
	_cleanup_strv_ struct strv fields = { 0 };
	_cleanup_free_ char *path = NULL;
	struct spec_device device = { 0 };
	int r = split_fields(value, ':', &fields, err);

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

/*
 * 4294967295 means "no id" to the kernel, so a range ends below it; 0 as its base would be the host's own
 * root.
 */
static int set_idmap(struct spec *s, const struct key *k, const char *value, struct kennel_error **err)
{
	_cleanup_strv_ struct strv fields = { 0 };
	uint32_t base = 0, count = IDMAP_COUNT_DEFAULT;

	if (strcmp(value, "auto") == 0 || strcmp(value, "no") == 0) {
		s->idmap = value[0] == 'a' ? SPEC_IDMAP_AUTO : SPEC_IDMAP_NO;
		s->idmap_base = s->idmap_count = 0;
		return 0;
	}
	int r = split_fields(value, ':', &fields, err);
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

static int add_caps(struct spec *s, const struct key *k, const char *value, struct kennel_error **err)
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

static int set_hostname(struct spec *s, const struct key *k, const char *value, struct kennel_error **err)
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
	replace_string(&s->hostname, copy);
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

static int set_user(struct spec *s, const struct key *k, const char *value, struct kennel_error **err)
{
	const char *colon = strchrnul(value, ':');

	if (!is_user_or_group(value, (size_t)(colon - value)) ||
	    (*colon && !is_user_or_group(colon + 1, strlen(colon + 1))))
		return fail(err, KENNEL_E_INVALID, "\"%s\" is not a user", value);
	char *copy = strdup(value);
	if (!copy)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	replace_string(&s->user, copy);
	return 0;
}

static int set_keep(struct spec *s, const struct key *k, const char *value, struct kennel_error **err)
{
	int r = name_check(value, err);

	if (r < 0)
		return r;
	char *copy = strdup(value);
	if (!copy)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	replace_string(&s->keep, copy);
	return 0;
}

static int set_store(struct spec *s, const struct key *k, const char *value, struct kennel_error **err)
{
	char *clean = NULL;
	int r = clean_path(value, &clean, err);

	if (r < 0)
		return r;
	replace_string(&s->store, clean);
	return 0;
}

static int set_file(struct spec *s, const struct key *k, const char *value, struct kennel_error **err)
{
	char *clean = NULL;
	int r = clean_path(value, &clean, err);

	if (r < 0)
		return r;
	replace_string(&s->file, clean);
	return 0;
}

static int set_format(struct spec *s, const struct key *k, const char *value, struct kennel_error **err)
{
	if (strcmp(value, "ext4") != 0 && strcmp(value, "btrfs") != 0)
		return fail(err, KENNEL_E_INVALID, "\"%s\" is not a format", value);
	char *copy = strdup(value);
	if (!copy)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	replace_string(&s->format, copy);
	return 0;
}

/* A function of its own: spec_key_use() tells keys by theirs. */
static int set_once_flag(struct spec *s, const struct key *k, const char *value, struct kennel_error **err)
{
	return set_flag(s, k, value, err);
}

static int set_net(struct spec *s, const struct key *k, const char *value, struct kennel_error **err)
{
	return network_set(s, value, err);
}

static int add_port(struct spec *s, const struct key *k, const char *value, struct kennel_error **err)
{
	return network_publish(s, value, err);
}

static int add_env(struct spec *s, const struct key *k, const char *value, struct kennel_error **err)
{
	const char *equals = strchr(value, '=');

	if (!equals || equals == value)
		return fail(err, KENNEL_E_INVALID, "\"%s\" has no %s", value, equals ? "name" : "value");
	return strv_add(&s->env, value, err);
}

static int set_command(struct spec *s, const struct key *k, const char *value, struct kennel_error **err)
{
	_cleanup_strv_ struct strv words = { 0 }, old = s->command;
	int r = strv_split_words(&words, value, err);

	if (r == 0 && !words.n)
		r = fail(err, KENNEL_E_INVALID, "\"%s\" has no words", value);
	s->command = r < 0 ? old : words;
	*(r < 0 ? &old : &words) = (struct strv){ 0 };
	return r;
}

#define AT(m) offsetof(struct spec, m)
static const struct key keys[] = {
	{ "isolate", set_word, AT(isolate), isolate_words, "it is fs, ns, user, vm or auto" },
	{ "base", set_base, 0, NULL,
	  "it is system, system:LAYER,..., the full path of a directory or an image, or own: an "
	  "imported container's" },
	{ "layer", add_path, AT(layers), NULL, "it is the full path of a directory or an image" },
	{ "without", add_target, AT(without), NULL, "it is the full path of a directory, such as /home" },
	{ "hide", add_target, AT(hide), NULL, "it is the full path of a directory, such as /home" },
	{ "share", add_share, 0, NULL, "it is PATH or PATH:ro; write a colon of the path itself as \\:" },
	{ "mount", add_mount, 0, NULL,
	  "it is SOURCE:TARGET or SOURCE:TARGET:ro; write a colon of a path itself as \\:" },
	{ "device", add_device, 0, NULL,
	  "it is PATH or PATH:ACCESS, such as /dev/kvm:rw; write a colon of the path itself as \\:" },
	{ "idmap", set_idmap, 0, NULL, "it is auto, no, BASE or BASE:COUNT, such as 100000:65536" },
	{ "size", set_size, AT(size_bytes), NULL, "it is a number of bytes, such as 512M or 2G" },
	{ "cap-add", add_caps, AT(cap_add), NULL,
	  "it is a name of capabilities(7), such as NET_ADMIN, or ALL" },
	{ "cap-drop", add_caps, AT(cap_drop), NULL,
	  "it is a name of capabilities(7), such as NET_RAW, or ALL" },
	{ "no-new-privs", set_flag, AT(no_new_privs), NULL, "it is yes or no" },
	{ "net", set_net, 0, NULL,
	  "it is nat, none, host, private, bridge:NAME, veth:NAME, macvlan:DEVICE, ns:PATH or "
	  "container:NAME" },
	{ "publish", add_port, 0, NULL,
	  "it is PORT:PORT-INSIDE, with an address and a colon in front and /udp behind it where wanted" },
	{ "tty", set_word, AT(tty), tty_words, "it is yes, no or auto" },
	{ "hostname", set_hostname, 0, NULL, "it is up to 64 letters, digits, dots and inner hyphens" },
	{ "user", set_user, 0, NULL, "it is NAME or UID, with :GROUP or :GID behind it where wanted" },
	{ "workdir", set_workdir, 0, NULL, "it is the full path of a directory inside, such as /root" },
	{ "env", add_env, 0, NULL, "it is NAME=VALUE" },
	{ "memory", set_size, AT(memory_bytes), NULL,
	  "it is a number of bytes, such as 512M or 2G; 0 is no limit" },
	{ "pids", set_count, AT(pids), NULL, "it is a number of processes, such as 500; 0 is no limit" },
	{ "cpus", set_milli, AT(cpus_milli), NULL,
	  "it is a number of processors, such as 2 or 1.5; 0 is no limit" },
	{ "command", set_command, 0, NULL, "it is the words of a command, quoted as for a shell" },
	{ "boot", set_flag, AT(boot), NULL, "it is yes or no" },
	{ "quiet", set_flag, AT(quiet), NULL, "it is yes or no" },
	{ "keep", set_keep, 0, NULL, "a name has up to 64 letters, digits, dots, hyphens and underscores" },
	{ "path", set_store, 0, NULL, "it is the full path of a directory for containers" },
	{ "file", set_file, 0, NULL, "it is the full path of a file that kennel makes or has made" },
	{ "format", set_format, 0, NULL, "it is ext4 or btrfs" },
	{ "force", set_once_flag, AT(force), NULL, "it is yes or no" },
	{ "trust", set_once_flag, AT(trust), NULL, "it is yes or no" },
};
#undef AT

static const struct key *find_key(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (strcmp(keys[i].name, name) == 0)
			return &keys[i];
	return NULL;
}

enum spec_use spec_key_use(const char *name)
{
	static int (*const lists[])(struct spec *, const struct key *, const char *,
				    struct kennel_error **) = {
		add_path, add_target, add_share, add_mount, add_device, add_caps, add_env, add_port,
	};
	const struct key *k = find_key(name);

	if (!k)
		return SPEC_USE_UNKNOWN;
	if (k->set == set_keep || k->set == set_store || k->set == set_file || k->set == set_format ||
	    k->set == set_once_flag)
		return SPEC_USE_ONCE;
	if (k->set == set_net)
		return SPEC_USE_GROUP;
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		if (k->set == lists[i])
			return SPEC_USE_LIST;
	return SPEC_USE_VALUE;
}

void spec_offer_keys(struct suggestion *near, const char *typed)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (spec_key_use(keys[i].name) != SPEC_USE_ONCE)
			suggest_offer(near, typed, keys[i].name);
}

void spec_mark_configured(struct spec *s)
{
	strv_done(&s->given);
	s->n_configured = s->n_mounts;
	s->n_configured_devices = s->n_devices;
	s->n_configured_ports = s->n_ports;
	s->net_configured = true;
	s->configured_caps = s->cap_add | s->cap_drop;
}

/* Both or none of the two, for they are read in pairs. */
static int remember(struct spec *s, const char *key, const char *value, struct kennel_error **err)
{
	int r = strv_add(&s->given, key, err);

	if (r < 0)
		return r;
	r = strv_add(&s->given, value, err);
	if (r < 0)
		free(s->given.items[--s->given.n]);
	return r;
}

int spec_set(struct spec *s, const char *key, const char *value, struct kennel_error **err)
{
	struct suggestion near = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const struct key *k = &keys[i];

		if (strcmp(k->name, key) != 0) {
			suggest_offer(&near, key, k->name);
			continue;
		}
		int r = k->set(s, k, value, err);
		if (r == 0)
			return remember(s, key, value, err);
		if (r == -KENNEL_E_INVALID) {
			r = wrap(err, r, "%s", key);
			if (err && !kennel_error_hint(*err))
				r = hint(err, r, "%s", k->hint);
		}
		return r;
	}
	int r = fail(err, KENNEL_E_INVALID, "there is no option \"%s\"", key);
	return near.best ? hint(err, r, "did you mean \"%s\"?", near.best) : r;
}

static int check_isolate(const struct spec *s, struct kennel_error **err)
{
	if (s->isolate == SPEC_ISOLATE_VM)
		return hint(err,
			    fail(err, KENNEL_E_UNSUPPORTED, "isolation \"vm\" is not part of this version"),
			    "\"user\" is the strongest level that it has");
	if (s->idmap == SPEC_IDMAP_RANGE && s->isolate != SPEC_ISOLATE_AUTO &&
	    s->isolate != SPEC_ISOLATE_USER)
		return hint(err,
			    fail(err, KENNEL_E_INVALID, "idmap needs isolation \"user\", not \"%s\"",
				 spec_isolate_name(s->isolate)),
			    "leave out either --idmap or --isolate");
	if (s->idmap == SPEC_IDMAP_NO && s->isolate == SPEC_ISOLATE_USER)
		return hint(err,
			    fail(err, KENNEL_E_INVALID, "isolation \"user\" can't go without shifted ids"),
			    "take --isolate ns, or leave out --idmap no");
	if (s->isolate != SPEC_ISOLATE_FS)
		return 0;
	if (s->boot)
		return hint(err,
			    fail(err, KENNEL_E_INVALID,
				 "isolation \"fs\" has no process 1 that an init could be"),
			    "take --isolate ns or user");
	if (s->net != SPEC_NET_AUTO && s->net != SPEC_NET_HOST)
		return hint(err,
			    fail(err, KENNEL_E_INVALID,
				 "net \"%s\" needs a network of its own, which isolation \"fs\" lacks",
				 spec_net_name(s->net)),
			    "take --isolate ns or user");
	if (s->hostname)
		return hint(err, fail(err, KENNEL_E_INVALID, "isolation \"fs\" has no host name of its own"),
			    "take --isolate ns or user, or leave out --hostname");
	return 0;
}

/* Two things can't stand at one place; one below the other can ("hide /home, share /home/me/src"). */
static int check_targets(const struct spec *s, struct kennel_error **err)
{
	for (size_t i = 0; i < s->n_mounts; i++) {
		const char *target = s->mounts[i].target;

		for (size_t j = 0; j < i; j++)
			if (strcmp(s->mounts[j].target, target) == 0)
				return fail(err, KENNEL_E_INVALID, "two things are to be mounted at \"%s\"",
					    target);
		if (strv_has(&s->hide, target))
			return fail(err, KENNEL_E_INVALID, "\"%s\" can't be both hidden and mounted", target);
	}
	return 0;
}

int spec_check(const struct spec *s, struct kennel_error **err)
{
	int r = check_isolate(s, err);

	if (r == 0)
		r = check_targets(s, err);
	if (r == 0)
		r = network_check(s, err);
	if (r == 0 && s->boot && (s->user || s->workdir))
		r = hint(err,
			 fail(err, KENNEL_E_INVALID,
			      "an init that boots the copy is root and begins at \"/\""),
			 "leave --user and --workdir out, or --boot");
	if (r == 0 && s->file && s->keep)
		r = hint(err, fail(err, KENNEL_E_INVALID, "changes are kept in a file or by name, not both"),
			 "leave --file or --keep out");
	if (r == 0 && s->cap_add & s->cap_drop && s->cap_add != UINT64_MAX && s->cap_drop != UINT64_MAX)
		r = fail(err, KENNEL_E_INVALID, "the same capability is both added and dropped");
	return r;
}
