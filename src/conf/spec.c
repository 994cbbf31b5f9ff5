/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * conf/spec.c - see spec.h. One table says of every key which function takes its value, where that goes and
 * what a right one looks like; spec_set() puts the key in front of a refusal and the example behind it as
 * the hint.
 *
 * A setter parses into temporaries and touches the spec when nothing can fail any more, so a refused value
 * changes nothing.
 */
#include "conf/spec.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/suggest.h"
#include "conf/name.h"
#include "conf/spec-keys.h"

static const struct spec_word isolate_words[] = {
	{ "auto", SPEC_ISOLATE_AUTO }, { "fs", SPEC_ISOLATE_FS }, { "ns", SPEC_ISOLATE_NS },
	{ "user", SPEC_ISOLATE_USER }, { "vm", SPEC_ISOLATE_VM }, { NULL, 0 },
};
static const struct spec_word tty_words[] = {
	{ "auto", SPEC_TTY_AUTO },
	{ "yes", SPEC_TTY_YES },
	{ "no", SPEC_TTY_NO },
	{ NULL, 0 },
};

static const char *word_name(const struct spec_word *words, unsigned value)
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

void spec_leave_guest(struct spec *s)
{
	s->isolate = SPEC_ISOLATE_USER;
	for (size_t i = 0; i < s->n_drives; i++)
		free(s->drives[i].path);
	s->n_drives = 0;
	s->memory_bytes = s->pids = s->size_bytes = 0; /* its memory, its kernel's processes, its disk */
}

struct spec *spec_free(struct spec *s)
{
	if (!s)
		return NULL;
	struct strv *const lists[] = { &s->base_layers,	 &s->layers,	&s->without, &s->hide,
				       &s->sockets,	 &s->env,	&s->command, &s->given,
				       &s->start_groups, &s->dbus_talk, &s->dbus_own };
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		strv_done(lists[i]);
	for (size_t i = 0; i < SPEC_HOOKS; i++)
		strv_done(&s->hooks[i]);
	for (size_t i = 0; i < s->n_mounts; i++) {
		free(s->mounts[i].source);
		free(s->mounts[i].target);
	}
	for (size_t i = 0; i < s->n_devices; i++)
		free(s->devices[i].path);
	free(s->mounts);
	free(s->devices);
	for (size_t i = 0; i < s->n_drives; i++)
		free(s->drives[i].path);
	free(s->drives);
	limits_done(&s->limits);
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

static int set_word(struct spec *s, const struct spec_key *k, const char *value, struct kennel_error **err)
{
	for (const struct spec_word *w = k->words; w->name; w++)
		if (strcmp(w->name, value) == 0) {
			*(unsigned *)((char *)s + k->offset) = w->value; /* an enum without negative values */
			return 0;
		}
	return fail(err, KENNEL_E_INVALID, "\"%s\" is not one of the words it takes", value);
}

static int set_flag(struct spec *s, const struct spec_key *k, const char *value, struct kennel_error **err)
{
	int on;

	if (parse_bool(value, &on) < 0)
		return fail(err, KENNEL_E_INVALID, "\"%s\" is neither yes nor no", value);
	*(bool *)((char *)s + k->offset) = on;
	return 0;
}

static int set_size(struct spec *s, const struct spec_key *k, const char *value, struct kennel_error **err)
{
	if (parse_size(value, (uint64_t *)((char *)s + k->offset)) < 0)
		return fail(err, KENNEL_E_INVALID, "\"%s\" is not a size", value);
	return 0;
}

static int set_count(struct spec *s, const struct spec_key *k, const char *value, struct kennel_error **err)
{
	if (parse_u64(value, (uint64_t *)((char *)s + k->offset)) < 0)
		return fail(err, KENNEL_E_INVALID, "\"%s\" is not a whole number", value);
	return 0;
}

static int set_milli(struct spec *s, const struct spec_key *k, const char *value, struct kennel_error **err)
{
	if (parse_milli(value, (uint64_t *)((char *)s + k->offset)) < 0)
		return fail(err, KENNEL_E_INVALID, "\"%s\" is not a number", value);
	return 0;
}

static int set_keep(struct spec *s, const struct spec_key *k, const char *value, struct kennel_error **err)
{
	int r = name_check(value, err);

	if (r < 0)
		return r;
	char *copy = strdup(value);
	if (!copy)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	spec_replace_string(&s->keep, copy);
	return 0;
}

static int set_store(struct spec *s, const struct spec_key *k, const char *value, struct kennel_error **err)
{
	char *clean = NULL;
	int r = spec_clean_path(value, &clean, err);

	if (r < 0)
		return r;
	spec_replace_string(&s->store, clean);
	return 0;
}

static int set_file(struct spec *s, const struct spec_key *k, const char *value, struct kennel_error **err)
{
	char *clean = NULL;
	int r = spec_clean_path(value, &clean, err);

	if (r < 0)
		return r;
	spec_replace_string(&s->file, clean);
	return 0;
}

static int set_format(struct spec *s, const struct spec_key *k, const char *value, struct kennel_error **err)
{
	if (strcmp(value, "ext4") != 0 && strcmp(value, "btrfs") != 0)
		return fail(err, KENNEL_E_INVALID, "\"%s\" is not a format", value);
	char *copy = strdup(value);
	if (!copy)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	spec_replace_string(&s->format, copy);
	return 0;
}

/* A function of its own: spec_key_use() tells keys by theirs. */
static int set_once_flag(struct spec *s, const struct spec_key *k, const char *value,
			 struct kennel_error **err)
{
	return set_flag(s, k, value, err);
}

static int set_net(struct spec *s, const struct spec_key *k, const char *value, struct kennel_error **err)
{
	return network_set(s, value, err);
}

static int add_port(struct spec *s, const struct spec_key *k, const char *value, struct kennel_error **err)
{
	return network_publish(s, value, err);
}

static int set_swap(struct spec *s, const struct spec_key *k, const char *value, struct kennel_error **err)
{
	return limits_set_swap(&s->limits, value, err);
}

static int set_cpuset(struct spec *s, const struct spec_key *k, const char *value, struct kennel_error **err)
{
	return limits_set_cpuset(&s->limits, value, err);
}

static int set_io(struct spec *s, const struct spec_key *k, const char *value, struct kennel_error **err)
{
	return limits_set_io(&s->limits, value, err);
}

static int add_env(struct spec *s, const struct spec_key *k, const char *value, struct kennel_error **err)
{
	const char *equals = strchr(value, '=');

	if (!equals || equals == value)
		return fail(err, KENNEL_E_INVALID, "\"%s\" has no %s", value, equals ? "name" : "value");
	return strv_add(&s->env, value, err);
}

static int set_command(struct spec *s, const struct spec_key *k, const char *value, struct kennel_error **err)
{
	_cleanup_strv_ struct strv words = { 0 }, old = s->command;
	int r = strv_split_words(&words, value, err);

	if (r == 0 && !words.n)
		r = fail(err, KENNEL_E_INVALID, "\"%s\" has no words", value);
	s->command = r < 0 ? old : words;
	*(r < 0 ? &old : &words) = (struct strv){ 0 };
	return r;
}

static int add_socket(struct spec *s, const struct spec_key *k, const char *value, struct kennel_error **err)
{
	static const char *const names[] = { "wayland",	   "x11",	  "pipewire",
					     "pulseaudio", "session-bus", "ssh-auth" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(names[i], value) == 0)
			return strv_has(&s->sockets, value) ? 0 : strv_add(&s->sockets, value, err);
	return fail(err, KENNEL_E_INVALID, "\"%s\" is no socket that is known by name", value);
}

#define BUS_HINT \
	"it is a name on the bus, such as org.freedesktop.Notifications; .* behind it is all below it"
#define HOOK_HINT "it is the full path of a program and its arguments, quoted as for a shell"
#define AT(m) offsetof(struct spec, m)
static const struct spec_key keys[] = {
	{ "isolate", set_word, AT(isolate), isolate_words, "it is fs, ns, user, vm or auto" },
	{ "base", spec_set_base, 0, NULL,
	  "it is system, system:LAYER,..., the full path of a directory or an image, or own: an "
	  "imported container's" },
	{ "layer", spec_add_path, AT(layers), NULL, "it is the full path of a directory or an image" },
	{ "without", spec_add_target, AT(without), NULL,
	  "it is the full path of a directory, such as /home" },
	{ "hide", spec_add_target, AT(hide), NULL, "it is the full path of a directory, such as /home" },
	{ "share", spec_add_share, 0, NULL,
	  "it is PATH or PATH:ro; write a colon of the path itself as \\:" },
	{ "mount", spec_add_mount, 0, NULL,
	  "it is SOURCE:TARGET or SOURCE:TARGET:ro; write a colon of a path itself as \\:" },
	{ "socket", add_socket, 0, NULL,
	  "it is wayland, x11, pipewire, pulseaudio, session-bus or ssh-auth" },
	{ "dbus-talk", spec_add_bus_name, AT(dbus_talk), NULL, BUS_HINT },
	{ "dbus-own", spec_add_bus_name, AT(dbus_own), NULL, BUS_HINT },
	{ "device", spec_add_device, 0, NULL,
	  "it is PATH or PATH:ACCESS, such as /dev/kvm:rw; write a colon of the path itself as \\:" },
	{ "drive", spec_add_drive, 0, NULL,
	  "it is FILE or FILE:ro, with ubdN= in front where its number matters; write a colon of the path "
	  "itself as \\:" },
	{ "idmap", spec_set_idmap, 0, NULL, "it is auto, no, BASE or BASE:COUNT, such as 100000:65536" },
	{ "size", set_size, AT(size_bytes), NULL, "it is a number of bytes, such as 512M or 2G" },
	{ "cap-add", spec_add_caps, AT(cap_add), NULL,
	  "it is a name of capabilities(7), such as NET_ADMIN, or ALL" },
	{ "cap-drop", spec_add_caps, AT(cap_drop), NULL,
	  "it is a name of capabilities(7), such as NET_RAW, or ALL" },
	{ "no-new-privs", set_flag, AT(no_new_privs), NULL, "it is yes or no" },
	{ "net", set_net, 0, NULL,
	  "it is nat, none, host, private[:NAME], bridge:NAME, veth:NAME, macvlan:DEVICE, ns:PATH or "
	  "container:NAME" },
	{ "nest", set_flag, AT(nest), NULL, "it is yes or no" },
	{ "publish", add_port, 0, NULL,
	  "it is PORT:PORT-INSIDE, with an address and a colon in front and /udp behind it where wanted" },
	{ "tty", set_word, AT(tty), tty_words, "it is yes, no or auto" },
	{ "hostname", spec_set_hostname, 0, NULL, "it is up to 64 letters, digits, dots and inner hyphens" },
	{ "user", spec_set_user, 0, NULL, "it is NAME or UID, with :GROUP or :GID behind it where wanted" },
	{ "workdir", spec_set_workdir, 0, NULL, "it is the full path of a directory inside, such as /root" },
	{ "env", add_env, 0, NULL, "it is NAME=VALUE" },
	{ "memory", set_size, AT(memory_bytes), NULL,
	  "it is a number of bytes, such as 512M or 2G; 0 is no limit" },
	{ "pids", set_count, AT(pids), NULL, "it is a number of processes, such as 500; 0 is no limit" },
	{ "cpus", set_milli, AT(cpus_milli), NULL,
	  "it is a number of processors, such as 2 or 1.5; 0 is no limit" },
	{ "swap", set_swap, 0, NULL,
	  "it is a number of bytes, such as 512M, 0 for none, or max for all there is" },
	{ "cpuset", set_cpuset, 0, NULL, "it is a list of processors, such as 0-3,5; all is no limit" },
	{ "io", set_io, 0, NULL,
	  "it is read=RATE,write=RATE,riops=N,wiops=N, each if wanted, and the full path of a disk behind "
	  "them, such as read=10M,write=5M,/dev/sda; max is no limit" },
	{ "disk", set_size, AT(limits.disk_bytes), NULL,
	  "it is a number of bytes, such as 512M or 2G; 0 is no limit" },
	{ "command", set_command, 0, NULL, "it is the words of a command, quoted as for a shell" },
	{ "boot", set_flag, AT(boot), NULL, "it is yes or no" },
	{ "ttys", spec_set_ttys, 0, NULL, "it is a number of terminals, 12 at most" },
	{ "quiet", set_flag, AT(quiet), NULL, "it is yes or no" },
	{ "autostart", set_flag, AT(autostart), NULL, "it is yes or no" },
	{ "start-group", spec_add_name, AT(start_groups), NULL,
	  "a group is up to 64 letters, digits, dots, hyphens and underscores" },
	{ "start-order", set_count, AT(start_order), NULL, "it is a whole number; higher ones start first" },
	{ "start-delay", spec_set_time, AT(start_delay_ms), NULL, "it is a number of seconds, or 500ms, 2m" },
	{ "hook-pre-start", spec_add_hook, AT(hooks[SPEC_HOOK_PRE_START]), NULL, HOOK_HINT },
	{ "hook-start-host", spec_add_hook, AT(hooks[SPEC_HOOK_START_HOST]), NULL, HOOK_HINT },
	{ "hook-post-stop", spec_add_hook, AT(hooks[SPEC_HOOK_POST_STOP]), NULL, HOOK_HINT },
	{ "hook-timeout", spec_set_time, AT(hook_timeout_ms), NULL,
	  "it is a number of seconds, or 500ms, 2m" },
	{ "keep", set_keep, 0, NULL, "a name has up to 64 letters, digits, dots, hyphens and underscores" },
	{ "path", set_store, 0, NULL, "it is the full path of a directory for containers" },
	{ "file", set_file, 0, NULL, "it is the full path of a file that kennel makes or has made" },
	{ "format", set_format, 0, NULL, "it is ext4 or btrfs" },
	{ "force", set_once_flag, AT(force), NULL, "it is yes or no" },
	{ "trust", set_once_flag, AT(trust), NULL, "it is yes or no" },
};
#undef AT

static const struct spec_key *find_key(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (strcmp(keys[i].name, name) == 0)
			return &keys[i];
	return NULL;
}

enum spec_use spec_key_use(const char *name)
{
	static int (*const lists[])(struct spec *, const struct spec_key *, const char *,
				    struct kennel_error **) = {
		spec_add_path, spec_add_target,	  spec_add_share, spec_add_mount, spec_add_device,
		spec_add_caps, add_env,		  add_port,	  add_socket,	  spec_add_name,
		spec_add_hook, spec_add_bus_name, spec_add_drive,
	};
	const struct spec_key *k = find_key(name);

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
		const struct spec_key *k = &keys[i];

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
