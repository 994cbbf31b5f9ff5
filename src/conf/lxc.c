/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * conf/lxc.c - LXC's configuration (lxc.container.conf(5), and the names that it had before LXC 3) as a spec.
 *
 * Lines are collected first, for an empty value takes back what came before it, in included files as well.
 */
#include "conf/lxc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/macro.h"
#include "base/parse.h"

#define INCLUDES_MAX 16u
#define ITEMS_MAX 20000u
#define OWN_CONFIG "/usr/share/lxc/config/"

struct key {
	const char *name; /* with a dot at its end: all that begin with it */
	int (*take)(struct lxc *l, const struct lxc_item *i, const struct key *k, struct kennel_error **err);
	const char *spec_key;
	const char *hint;
};

static int set(struct lxc *l, const struct lxc_item *i, const char *key, const char *value,
	       struct kennel_error **err)
{
	const struct foreign_at at = lxc_at(i);

	return foreign_set(l->f, &at, key, value, err);
}

static int refuse(struct lxc *l, const struct lxc_item *i, const char *advice, struct kennel_error **err)
{
	const struct foreign_at at = lxc_at(i);

	return foreign_refuse(l->f, &at, advice, err);
}

static int take_value(struct lxc *l, const struct lxc_item *i, const struct key *k, struct kennel_error **err)
{
	return set(l, i, k->spec_key, i->value, err);
}

/* What kennel does by itself, or sees to in its own way. */
static int take_nothing(struct lxc *l, const struct lxc_item *i, const struct key *k,
			struct kennel_error **err)
{
	return 0;
}

static int take_not(struct lxc *l, const struct lxc_item *i, const struct key *k, struct kennel_error **err)
{
	return refuse(l, i, k->hint, err);
}

static int take_flag(struct lxc *l, const struct lxc_item *i, const struct key *k, struct kennel_error **err)
{
	if (strcmp(i->value, "0") == 0)
		return 0;
	return strcmp(i->value, "1") == 0 ? set(l, i, k->spec_key, "yes", err) : refuse(l, i, NULL, err);
}

/* Only what is usual can be had. k->spec_key: words of which the value is one. */
static int take_usual(struct lxc *l, const struct lxc_item *i, const struct key *k, struct kennel_error **err)
{
	_cleanup_strv_ struct strv words = { 0 };
	int r = strv_split(&words, k->spec_key, ' ', err);

	if (r < 0)
		return r;
	return strv_has(&words, i->value) ? 0 : refuse(l, i, k->hint, err);
}

/* "max" and -1 are no limit. */
static int take_limit(struct lxc *l, const struct lxc_item *i, const struct key *k, struct kennel_error **err)
{
	if (strcmp(i->value, "max") == 0 || strcmp(i->value, "-1") == 0)
		return 0;
	return set(l, i, k->spec_key, i->value, err);
}

static int take_root(struct lxc *l, const struct lxc_item *i, const struct key *k, struct kennel_error **err)
{
	static const char *const plain[] = { "dir:", "btrfs:", "loop:" };
	const char *path = i->value;
	struct foreign *f = l->f;

	free(f->root);
	free(f->upper);
	f->root = f->upper = NULL;
	if (strncmp(path, "overlay:", 8) == 0 || strncmp(path, "overlayfs:", 10) == 0) {
		const char *lower = strchr(path, ':') + 1, *upper = strrchr(lower, ':');

		if (!upper || strchr(lower, ':') != upper || *lower != '/' || upper[1] != '/')
			return refuse(l, i, "it is overlay:/LOWER:/UPPER", err);
		f->root = strndup(lower, (size_t)(upper - lower));
		f->upper = strdup(upper + 1);
		return f->root && f->upper ? 0 : fail(err, KENNEL_E_NOMEM, "out of memory");
	}
	for (size_t n = 0; n < ARRAY_SIZE(plain); n++)
		if (strncmp(path, plain[n], strlen(plain[n])) == 0) {
			path += strlen(plain[n]);
			break;
		}
	if (*path != '/' || strncmp(path, "/dev/", 5) == 0)
		return refuse(l, i, "mount the volume, and import its directory", err);
	f->root = strdup(path);
	return f->root ? 0 : fail(err, KENNEL_E_NOMEM, "out of memory");
}

static int take_caps(struct lxc *l, const struct lxc_item *i, const struct key *k, struct kennel_error **err)
{
	_cleanup_free_ char *copy = strdup(i->value);
	int r = 0;

	if (!copy)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	if (strcmp(k->spec_key, "cap-add") == 0 && !l->keeps) {
		l->keeps = true;
		r = set(l, i, "cap-drop", "ALL", err);
	}
	for (char *rest = copy, *word; r == 0 && (word = strsep(&rest, " \t"));)
		if (*word && strcmp(word, "none") != 0)
			r = set(l, i, k->spec_key, word, err);
	return r;
}

/* "u 0 100000 65536" */
static int take_ids(struct lxc *l, const struct lxc_item *i, const struct key *k, struct kennel_error **err)
{
	char kind;
	unsigned inside, outside, count;
	int used = 0;

	l->ids_at = lxc_at(i);
	if (sscanf(i->value, " %c %u %u %u %n", &kind, &inside, &outside, &count, &used) != 4 ||
	    i->value[used] || (kind != 'u' && kind != 'g' && kind != 'b'))
		return refuse(l, i, NULL, err);
	for (unsigned n = 0; n < 2; n++) {
		if (kind != 'b' && (kind == 'g') != (n == 1))
			continue;
		l->odd_ids = l->odd_ids || inside || l->ids[n].there;
		l->ids[n].there = true;
		l->ids[n].base = outside;
		l->ids[n].count = count;
	}
	return 0;
}

static int settle_ids(struct lxc *l, struct kennel_error **err)
{
	char text[32];

	if (!l->ids[0].there && !l->ids[1].there)
		return 0;
	if (l->odd_ids || !l->ids[0].there || !l->ids[1].there || l->ids[0].base != l->ids[1].base ||
	    l->ids[0].count != l->ids[1].count || !l->ids[0].base)
		return foreign_refuse(l->f, &l->ids_at, "kennel has one range, the same for users and groups",
				      err);
	l->f->shifted = true;
	l->f->shift_base = l->ids[0].base;
	l->f->shift_count = l->ids[0].count;
	snprintf(text, sizeof(text), "%u:%u", l->f->shift_base, l->f->shift_count);
	return foreign_set(l->f, &l->ids_at, "idmap", text, err);
}

/* "50000 100000" of version 2 */
static int take_cpu_max(struct lxc *l, const struct lxc_item *i, const struct key *k,
			struct kennel_error **err)
{
	unsigned quota, period = 100000;
	int used = 0;

	if (strncmp(i->value, "max", 3) == 0)
		return 0;
	if (sscanf(i->value, "%u %n%u %n", &quota, &used, &period, &used) < 1 || i->value[used] || !quota ||
	    !period)
		return refuse(l, i, NULL, err);
	l->quota_us = quota;
	l->period_us = period;
	l->quota_at = lxc_at(i);
	return 0;
}

static int take_cpu_time(struct lxc *l, const struct lxc_item *i, const struct key *k,
			 struct kennel_error **err)
{
	uint64_t us;

	if (strcmp(i->value, "-1") == 0)
		return 0;
	if (parse_u64(i->value, &us) < 0 || !us || us > UINT32_MAX)
		return refuse(l, i, NULL, err);
	if (strcmp(k->spec_key, "quota") == 0)
		l->quota_us = us;
	else
		l->period_us = us;
	l->quota_at = lxc_at(i);
	return 0;
}

static int settle_cpus(struct lxc *l, struct kennel_error **err)
{
	char text[32];

	if (!l->quota_us)
		return 0;
	const uint64_t milli = l->quota_us * 1000 / (l->period_us ? l->period_us : 100000);
	snprintf(text, sizeof(text), "%llu.%03llu", (unsigned long long)milli / 1000,
		 (unsigned long long)milli % 1000);
	return foreign_set(l->f, &l->quota_at, "cpus", text, err);
}

static int take_command(struct lxc *l, const struct lxc_item *i, const struct key *k,
			struct kennel_error **err)
{
	l->commanded = strcmp(i->value, "/sbin/init") != 0;
	return l->commanded ? set(l, i, "command", i->value, err) : 0;
}

static int take_mounts_auto(struct lxc *l, const struct lxc_item *i, const struct key *k,
			    struct kennel_error **err)
{
	_cleanup_free_ char *copy = strdup(i->value);

	if (!copy)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	for (char *rest = copy, *word; (word = strsep(&rest, " \t"));) {
		static const char *const ours[] = { "proc", "sys", "cgroup" };
		bool known = !*word;

		for (size_t n = 0; n < ARRAY_SIZE(ours); n++)
			known = known || strncmp(word, ours[n], strlen(ours[n])) == 0;
		if (!known)
			return refuse(l, i, NULL, err);
	}
	return 0;
}

static int take_entry(struct lxc *l, const struct lxc_item *i, const struct key *k, struct kennel_error **err)
{
	return lxc_take_mount(l, i, i->value, err);
}

static int take_fstab(struct lxc *l, const struct lxc_item *i, const struct key *k, struct kennel_error **err)
{
	return lxc_take_fstab(l, i, err);
}

static int take_device(struct lxc *l, const struct lxc_item *i, const struct key *k,
		       struct kennel_error **err)
{
	return lxc_take_device(l, i, err);
}

#define HOOK_ADVICE \
	"kennel's hooks run programs of the machine: --hook-pre-start, --hook-start-host, --hook-post-stop"
#define WALL_ADVICE "kennel's own walls stand in its place: --isolate, --cap-drop, --nest"

/* clang-format off */
static const struct key keys[] = {
	{ "lxc.uts.name", take_value, "hostname", NULL },
	{ "lxc.utsname", take_value, "hostname", NULL },
	{ "lxc.arch", take_nothing, NULL, NULL }, /* the machine's own, or its programs could not run */
	{ "lxc.rootfs.path", take_root, NULL, NULL },
	{ "lxc.rootfs", take_root, NULL, NULL },
	{ "lxc.rootfs.backend", take_usual, "dir overlay overlayfs btrfs loop", NULL },
	{ "lxc.rootfs.mount", take_nothing, NULL, NULL },
	{ "lxc.rootfs.managed", take_nothing, NULL, NULL },
	{ "lxc.rootfs.options", take_usual, "rw idmap=container",
	  "the base is never written to: changes lie over it" },
	{ "lxc.mount.entry", take_entry, NULL, NULL },
	{ "lxc.mount.fstab", take_fstab, NULL, NULL },
	{ "lxc.mount", take_fstab, NULL, NULL },
	{ "lxc.mount.auto", take_mounts_auto, NULL, NULL },
	{ "lxc.net.", take_nothing, NULL, NULL }, /* all at once: lxc-net.c */
	{ "lxc.network.", take_nothing, NULL, NULL },
	{ "lxc.cap.drop", take_caps, "cap-drop", NULL },
	{ "lxc.cap.keep", take_caps, "cap-add", NULL },
	{ "lxc.cgroup2.memory.max", take_limit, "memory", NULL },
	{ "lxc.cgroup.memory.limit_in_bytes", take_limit, "memory", NULL },
	{ "lxc.cgroup2.memory.swap.max", take_limit, "swap", NULL },
	{ "lxc.cgroup2.pids.max", take_limit, "pids", NULL },
	{ "lxc.cgroup.pids.max", take_limit, "pids", NULL },
	{ "lxc.cgroup2.cpuset.cpus", take_value, "cpuset", NULL },
	{ "lxc.cgroup.cpuset.cpus", take_value, "cpuset", NULL },
	{ "lxc.cgroup2.cpu.max", take_cpu_max, NULL, NULL },
	{ "lxc.cgroup.cpu.cfs_quota_us", take_cpu_time, "quota", NULL },
	{ "lxc.cgroup.cpu.cfs_period_us", take_cpu_time, "period", NULL },
	{ "lxc.cgroup.devices.", take_device, NULL, NULL },
	{ "lxc.cgroup2.devices.", take_device, NULL, NULL },
	{ "lxc.cgroup.", take_not, NULL, "limits are --memory, --swap, --pids, --cpus, --cpuset and --io" },
	{ "lxc.cgroup2.", take_not, NULL, "limits are --memory, --swap, --pids, --cpus, --cpuset and --io" },
	{ "lxc.start.auto", take_flag, "autostart", NULL },
	{ "lxc.start.delay", take_value, "start-delay", NULL },
	{ "lxc.start.order", take_value, "start-order", NULL },
	{ "lxc.group", take_value, "start-group", NULL },
	{ "lxc.environment", take_value, "env", NULL },
	{ "lxc.idmap", take_ids, NULL, NULL },
	{ "lxc.id_map", take_ids, NULL, NULL },
	{ "lxc.init.cmd", take_command, NULL, NULL },
	{ "lxc.init_cmd", take_command, NULL, NULL },
	{ "lxc.init.cwd", take_value, "workdir", NULL },
	{ "lxc.init.uid", take_usual, "0", "--user says who the command is" },
	{ "lxc.init.gid", take_usual, "0", "--user says who the command is" },
	{ "lxc.execute.cmd", take_nothing, NULL, NULL },
	{ "lxc.no_new_privs", take_flag, "no-new-privs", NULL },
	{ "lxc.tty.max", take_nothing, NULL, NULL }, /* those that have a getty are the init's business */
	{ "lxc.tty.dir", take_nothing, NULL, NULL },
	{ "lxc.tty", take_nothing, NULL, NULL },
	{ "lxc.pty.max", take_nothing, NULL, NULL },
	{ "lxc.pts", take_nothing, NULL, NULL },
	{ "lxc.devttydir", take_nothing, NULL, NULL },
	{ "lxc.autodev", take_usual, "1", "kennel always makes a /dev" },
	{ "lxc.kmsg", take_usual, "0", NULL },
	{ "lxc.ephemeral", take_usual, "0", NULL },
	{ "lxc.console.path", take_usual, "none", "kennel console is always there" },
	{ "lxc.console.buffer.size", take_nothing, NULL, NULL },
	{ "lxc.log.", take_nothing, NULL, NULL }, /* of LXC's own work */
	{ "lxc.loglevel", take_nothing, NULL, NULL },
	{ "lxc.logfile", take_nothing, NULL, NULL },
	{ "lxc.signal.", take_nothing, NULL, NULL }, /* stop asks an init as it wants to be asked */
	{ "lxc.haltsignal", take_nothing, NULL, NULL },
	{ "lxc.apparmor.profile", take_usual, "generated unchanged lxc-container-default "
	  "lxc-container-default-cgns lxc-container-default-with-nesting", WALL_ADVICE },
	{ "lxc.aa_profile", take_usual, "unchanged lxc-container-default", WALL_ADVICE },
	{ "lxc.apparmor.allow_nesting", take_flag, "nest", NULL },
	{ "lxc.apparmor.allow_incomplete", take_nothing, NULL, NULL },
	{ "lxc.seccomp.profile", take_usual, OWN_CONFIG "common.seccomp", WALL_ADVICE },
	{ "lxc.seccomp", take_usual, OWN_CONFIG "common.seccomp", WALL_ADVICE },
	{ "lxc.hook.clone", take_nothing, NULL, NULL }, /* a clone of kennel's is no clone of LXC's */
	{ "lxc.hook.", take_not, NULL, HOOK_ADVICE },
	{ "lxc.namespace.", take_not, NULL, "--net container:NAME shares a network" },
	{ "lxc.prlimit.", take_not, NULL, "limits are --memory, --pids and --cpus" },
};
/* clang-format on */

static const struct key *find_key(const char *name)
{
	const struct key *found = NULL;

	for (size_t n = 0; n < ARRAY_SIZE(keys); n++) {
		size_t len = strlen(keys[n].name);

		if (strcmp(keys[n].name, name) == 0)
			return &keys[n];
		if (keys[n].name[len - 1] == '.' && strncmp(name, keys[n].name, len) == 0 && !found)
			found = &keys[n];
	}
	return found;
}

static void item_done(struct lxc_item *i)
{
	free(i->key);
	free(i->value);
	free(i->file);
}

/* An empty value takes back all that there was; of networks, all that the name begins. */
static void clear(struct lxc *l, const char *key)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++) {
		bool network = strcmp(key, "lxc.net") == 0 && strncmp(l->items[i].key, "lxc.net", 7) == 0;

		if (network || strcmp(l->items[i].key, key) == 0)
			item_done(&l->items[i]);
		else
			l->items[n++] = l->items[i];
	}
	l->n = n;
}

static int add(struct lxc *l, const struct foreign_at *at, const char *value, struct kennel_error **err)
{
	if (l->n == l->room) {
		size_t room = l->room ? l->room * 2 : 64;
		struct lxc_item *items = l->room < ITEMS_MAX ? reallocarray(l->items, room, sizeof(*items)) :
							       NULL;

		if (!items)
			return l->room < ITEMS_MAX ? fail(err, KENNEL_E_NOMEM, "out of memory") :
						     fail(err, KENNEL_E_LIMIT, "too many lines");
		l->items = items;
		l->room = room;
	}
	struct lxc_item i = { strdup(at->key), strdup(value), strdup(at->file), at->line };
	if (!i.key || !i.value || !i.file) {
		item_done(&i);
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	}
	l->items[l->n++] = i;
	return 0;
}

static int collect(struct lxc *l, const char *file, const char *text, struct kennel_error **err);

/* LXC's own defaults say what kennel has defaults for. */
static int include(struct lxc *l, const struct foreign_at *at, const char *path, struct kennel_error **err)
{
	_cleanup_buf_ struct buf text = { 0 };

	if (strncmp(path, OWN_CONFIG, strlen(OWN_CONFIG)) == 0)
		return strcmp(path + strlen(OWN_CONFIG), "nesting.conf") == 0 ?
			       foreign_set(l->f, at, "nest", "yes", err) :
			       0;
	if (++l->depth > INCLUDES_MAX)
		return fail(err, KENNEL_E_LIMIT, "%s:%u: more than %u files are included", at->file, at->line,
			    INCLUDES_MAX);
	int r = l->read ? l->read(l->data, path, &text, err) : 0;
	if (r < 0)
		return wrap(err, r, "%s:%u", at->file, at->line);
	return r ? collect(l, path, buf_str(&text), err) :
		   foreign_refuse(l->f, at, "that file is not there", err);
}

static int take_line(struct lxc *l, char *line, struct foreign_at *at, struct kennel_error **err)
{
	line += strspn(line, " \t");
	size_t len = strlen(line);
	while (len && strchr(" \t\r", line[len - 1]))
		line[--len] = '\0';
	if (!*line || *line == '#')
		return 0;
	char *value = strchr(line, '=');
	if (!value)
		return hint(err, fail(err, KENNEL_E_CORRUPT, "%s:%u: there is no \"=\"", at->file, at->line),
			    "a line is KEY = VALUE");
	for (char *end = value; end > line && strchr(" \t=", *end); end--)
		*end = '\0';
	value++;
	value += strspn(value, " \t");
	len = strlen(value);
	if (len > 1 && (*value == '"' || *value == '\'') && value[len - 1] == *value) {
		value[len - 1] = '\0';
		value++;
	}
	at->key = line;
	if (strcmp(line, "lxc.include") == 0)
		return include(l, at, value, err);
	if (*value)
		return add(l, at, value, err);
	clear(l, line);
	return 0;
}

static int collect(struct lxc *l, const char *file, const char *text, struct kennel_error **err)
{
	_cleanup_free_ char *copy = strdup(text);
	struct foreign_at at = { .file = file };
	int r = 0;

	if (!copy)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	for (char *rest = copy, *line; r == 0 && (line = strsep(&rest, "\n"));) {
		at.line++;
		r = take_line(l, line, &at, err);
	}
	return r;
}

static int take_all(struct lxc *l, struct kennel_error **err)
{
	int r = 0;

	for (size_t n = 0; n < l->n && r == 0; n++) {
		const struct key *k = find_key(l->items[n].key);

		r = k ? k->take(l, &l->items[n], k, err) : refuse(l, &l->items[n], NULL, err);
	}
	if (r == 0)
		r = lxc_take_networks(l, err);
	if (r == 0)
		r = settle_ids(l, err);
	if (r == 0)
		r = settle_cpus(l, err);
	if (r == 0 && !l->commanded)
		r = spec_set(l->f->spec, "boot", "yes", err);
	return r;
}

int foreign_parse_lxc(const char *file, const char *text, foreign_read_fn read, void *data,
		      struct foreign *ret, struct kennel_error **err)
{
	struct lxc l = { .f = ret, .read = read, .data = data };

	*ret = (struct foreign){ .spec = spec_new(err) };
	if (!ret->spec)
		return -KENNEL_E_NOMEM;
	int r = collect(&l, file, text, err);
	if (r == 0)
		r = take_all(&l, err);
	for (size_t n = 0; n < l.n; n++)
		item_done(&l.items[n]);
	free(l.items);
	return r;
}
