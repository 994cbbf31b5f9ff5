/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit/test-spec.c - words to a spec: what is taken, what is refused and with which sentence and hint, what
 * can't be asked for together. One table of refusals covers every key, so a key without a refusal here
 * fails the last test.
 */
#include "unit.h"

#include <string.h>

#include <linux/capability.h>

#include "base/cleanup.h"
#include "base/suggest.h"
#include "conf/capability.h"
#include "conf/spec.h"

static void spec_freep(struct spec **s)
{
	spec_free(*s);
}
#define _cleanup_spec_ __attribute__((cleanup(spec_freep)))

static struct spec *make(void)
{
	struct spec *s = spec_new(NULL);

	assert_non_null(s);
	return s;
}

static void set(struct spec *s, const char *key, const char *value)
{
	_cleanup_error_ struct kennel_error *err = NULL;

	if (spec_set(s, key, value, &err) != 0)
		fail_msg("%s=%s: %s", key, value, kennel_error_message(err));
	assert_null(err);
}

static void test_spec_new_is_the_system_thrown_away(void **state)
{
	_cleanup_spec_ struct spec *s = make();

	assert_int_equal(s->isolate, SPEC_ISOLATE_AUTO);
	assert_int_equal(s->base_kind, SPEC_BASE_SYSTEM);
	assert_int_equal(s->net, SPEC_NET_AUTO);
	assert_int_equal(s->tty, SPEC_TTY_AUTO);
	assert_int_equal(s->idmap, SPEC_IDMAP_AUTO);
	assert_null(s->hostname);
	assert_int_equal(s->size_bytes, 0);
	assert_int_equal(spec_check(s, NULL), 0);
	assert_null(spec_free(NULL));
}

static void test_spec_set_words(void **state)
{
	static const struct {
		const char *value;
		enum spec_isolate isolate;
	} rows[] = { { "fs", SPEC_ISOLATE_FS },
		     { "ns", SPEC_ISOLATE_NS },
		     { "user", SPEC_ISOLATE_USER },
		     { "vm", SPEC_ISOLATE_VM },
		     { "auto", SPEC_ISOLATE_AUTO } };
	_cleanup_spec_ struct spec *s = make();

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		set(s, "isolate", rows[i].value);
		assert_int_equal(s->isolate, rows[i].isolate);
		assert_string_equal(spec_isolate_name(s->isolate), rows[i].value);
	}
	set(s, "net", "none");
	assert_int_equal(s->net, SPEC_NET_NONE);
	set(s, "net", "host");
	assert_int_equal(s->net, SPEC_NET_HOST);
	set(s, "net", "nat");
	assert_string_equal(spec_net_name(s->net), "nat");
	set(s, "tty", "no");
	assert_int_equal(s->tty, SPEC_TTY_NO);
	set(s, "no-new-privs", "yes");
	assert_true(s->no_new_privs);
	set(s, "no-new-privs", "off");
	assert_false(s->no_new_privs);
	set(s, "quiet", "1");
	assert_true(s->quiet);
}

static void test_spec_set_numbers(void **state)
{
	_cleanup_spec_ struct spec *s = make();

	set(s, "size", "2G");
	assert_true(s->size_bytes == UINT64_C(2) << 30);
	set(s, "memory", "512MiB");
	assert_true(s->memory_bytes == UINT64_C(512) << 20);
	set(s, "memory", "0");
	assert_int_equal(s->memory_bytes, 0);
	set(s, "pids", "500");
	assert_int_equal(s->pids, 500);
	set(s, "cpus", "1.5");
	assert_int_equal(s->cpus_milli, 1500);
	set(s, "ttys", "12");
	assert_int_equal(s->ttys, 12);
}

static void test_spec_set_base(void **state)
{
	_cleanup_spec_ struct spec *s = make();

	set(s, "base", "//srv/./root/");
	assert_int_equal(s->base_kind, SPEC_BASE_PATH);
	assert_string_equal(s->base_path, "/srv/root");
	set(s, "base", "system:/live/a\\,b,/live/c");
	assert_int_equal(s->base_kind, SPEC_BASE_SYSTEM);
	assert_null(s->base_path);
	assert_int_equal(s->base_layers.n, 2);
	assert_string_equal(s->base_layers.items[0], "/live/a,b");
	assert_string_equal(s->base_layers.items[1], "/live/c");
	set(s, "base", "system");
	assert_int_equal(s->base_layers.n, 0);
	set(s, "base", "/system:x");
	assert_string_equal(s->base_path, "/system:x");
}

static void test_spec_set_mount_fields_and_escapes(void **state)
{
	static const struct {
		const char *key, *value;
		const char *source, *target;
		bool read_only;
	} rows[] = {
		{ "mount", "/a:/b", "/a", "/b", false },
		{ "mount", "/a//:/b/:ro", "/a", "/b", true },
		{ "mount", "/:/all:rw", "/", "/all", false },
		{ "mount", "/a\\:b:/c\\\\d:ro", "/a:b", "/c\\d", true },
		{ "mount", "/a\\x:/b\\", "/a\\x", "/b\\", false },
		{ "share", "/home/me", "/home/me", "/home/me", false },
		{ "share", "/home/me/:ro", "/home/me", "/home/me", true },
		{ "share", "/x\\:ro", "/x:ro", "/x:ro", false },
	};
	_cleanup_spec_ struct spec *s = make();

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		set(s, rows[i].key, rows[i].value);
		assert_int_equal(s->n_mounts, i + 1);
		assert_string_equal(s->mounts[i].source, rows[i].source);
		assert_string_equal(s->mounts[i].target, rows[i].target);
		assert_int_equal(s->mounts[i].read_only, rows[i].read_only);
	}
}

static void test_spec_set_lists_append_clean_paths(void **state)
{
	_cleanup_spec_ struct spec *s = make();

	set(s, "layer", "/one");
	set(s, "layer", "/two/");
	assert_int_equal(s->layers.n, 2);
	assert_string_equal(s->layers.items[0], "/one");
	assert_string_equal(s->layers.items[1], "/two");
	set(s, "without", "/mnt//nas");
	assert_string_equal(s->without.items[0], "/mnt/nas");
	set(s, "hide", "/home");
	assert_string_equal(s->hide.items[0], "/home");
	set(s, "env", "A=b=c");
	set(s, "env", "EMPTY=");
	assert_string_equal(s->env.items[0], "A=b=c");
	assert_string_equal(s->env.items[1], "EMPTY=");
}

static void test_spec_set_device(void **state)
{
	_cleanup_spec_ struct spec *s = make();

	set(s, "device", "/dev/kvm");
	assert_true(s->devices[0].read && s->devices[0].write && s->devices[0].make);
	set(s, "device", "/dev/fuse:wr");
	assert_string_equal(s->devices[1].path, "/dev/fuse");
	assert_true(s->devices[1].read && s->devices[1].write && !s->devices[1].make);
	set(s, "device", "/dev/disk/by-path/pci-0000\\:00\\:1f.2:r");
	assert_string_equal(s->devices[2].path, "/dev/disk/by-path/pci-0000:00:1f.2");
}

static void test_spec_set_idmap(void **state)
{
	_cleanup_spec_ struct spec *s = make();

	set(s, "idmap", "10000");
	assert_int_equal(s->idmap, SPEC_IDMAP_RANGE);
	assert_int_equal(s->idmap_base, 10000);
	assert_int_equal(s->idmap_count, 65536);
	set(s, "idmap", "4294967294:1");
	assert_true(s->idmap_base == 4294967294u && s->idmap_count == 1);
	set(s, "idmap", "no");
	assert_int_equal(s->idmap, SPEC_IDMAP_NO);
	set(s, "idmap", "auto");
	assert_int_equal(s->idmap, SPEC_IDMAP_AUTO);
}

static void test_spec_set_caps_any_spelling(void **state)
{
	_cleanup_spec_ struct spec *s = make();

	set(s, "cap-add", "NET_ADMIN");
	set(s, "cap-add", "cap_sys_time,Cap_Chown");
	assert_true(s->cap_add ==
		    (UINT64_C(1) << CAP_NET_ADMIN | UINT64_C(1) << CAP_SYS_TIME | UINT64_C(1) << CAP_CHOWN));
	set(s, "cap-drop", "all");
	assert_true(s->cap_drop == UINT64_MAX);
}

static void test_capability_name_and_parse_agree(void **state)
{
	for (unsigned cap = 0; cap <= CAP_LAST_CAP; cap++) {
		uint64_t mask;

		assert_non_null(capability_name(cap));
		assert_int_equal(capability_parse(capability_name(cap), &mask, NULL), 0);
		assert_true(mask == UINT64_C(1) << cap);
	}
	assert_null(capability_name(CAP_LAST_CAP + 1));
}

static void test_spec_set_names(void **state)
{
	static const char *const hosts[] = { "a", "box-1", "a.b.example", "0", "X" };
	static const char *const users[] = {
		"0", "www-data", "1000:100", "me:users", "4294967294", "DOM\\me"
	};
	_cleanup_spec_ struct spec *s = make();

	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
		set(s, "hostname", hosts[i]);
		assert_string_equal(s->hostname, hosts[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(users); i++) {
		set(s, "user", users[i]);
		assert_string_equal(s->user, users[i]);
	}
	set(s, "workdir", "/");
	assert_string_equal(s->workdir, "/");
}

#define LABEL_64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
static const struct {
	const char *key, *value;
	const char *message;            /* the whole of it, without the key in front */
	const char *hint;               /* a part */
} refusals[] = {
	{ "isolate", "USER", "\"USER\" is not one of the words it takes", "fs, ns, user" },
	{ "isolate", "", "\"\" is not one of the words it takes", "auto" },
	{ "base", "srv", "\"srv\" is not an absolute path", "system:LAYER" },
	{ "base", "", "\"\" is not an absolute path", "full path" },
	{ "base", "system:", "\"system:\" names an empty layer", "system:LAYER" },
	{ "base", "system:/a,,/b", "\"system:/a,,/b\" names an empty layer", "system:LAYER" },
	{ "base", "/a/../b", "\"..\" in \"/a/../b\"", "without \"..\"" },
	{ "layer", "x.sfs", "\"x.sfs\" is not an absolute path", "image" },
	{ "without", "/", "\"/\" is the whole root", "/home" },
	{ "hide", "//", "\"//\" is the whole root", "/home" },
	{ "share", "/", "\"/\" is the whole root", "PATH:ro" },
	{ "share", "/a:rx", "\"rx\" after the last colon is neither ro nor rw", "\\:" },
	{ "share", "/a:b:ro", "\"/a:b:ro\" has too many colons", "\\:" },
	{ "mount", "/a", "\"/a\" has no place inside", "SOURCE:TARGET" },
	{ "mount", "/a:/b:ro:x", "\"/a:/b:ro:x\" has too many colons", "SOURCE:TARGET" },
	{ "mount", "/a:", "\"\" is not an absolute path", "SOURCE:TARGET" },
	{ "mount", ":/a", "\"\" is not an absolute path", "SOURCE:TARGET" },
	{ "mount", "/a:/", "\"/\" is the whole root", "SOURCE:TARGET" },
	{ "dbus-talk", ":1.5", "\":1.5\" is not a name of a bus", ".* behind it" },
	{ "dbus-talk", "org", "\"org\" is not a name of a bus", ".* behind it" },
	{ "dbus-talk", "org.*", "\"org.*\" is not a name of a bus", ".* behind it" },
	{ "dbus-talk", ".*", "\".*\" is not a name of a bus", ".* behind it" },
	{ "dbus-own", "org..test", "\"org..test\" is not a name of a bus", ".* behind it" },
	{ "dbus-own", "org.test.", "\"org.test.\" is not a name of a bus", ".* behind it" },
	{ "dbus-own", "org.*.test", "\"org.*.test\" is not a name of a bus", ".* behind it" },
	{ "dbus-own", "org.1test", "\"org.1test\" is not a name of a bus", ".* behind it" },
	{ "device", "kvm", "\"kvm\" is not an absolute path", "/dev/kvm:rw" },
	{ "device", "/dev/kvm:", "\"\" after the colon is not made of r, w and m", "/dev/kvm:rw" },
	{ "device", "/dev/kvm:rr", "\"rr\" after the colon is not made of r, w and m", "/dev/kvm:rw" },
	{ "device", "/dev/a:b:r", "\"/dev/a:b:r\" has too many colons", "\\:" },
	{ "idmap", "yes", "\"yes\" is neither auto, no nor a range of ids", "BASE:COUNT" },
	{ "idmap", "0:10", "\"0:10\" begins at 0, which is the machine's own root", "100000:65536" },
	{ "idmap", "5:0", "\"5:0\" holds no id at all", "BASE:COUNT" },
	{ "idmap", "4294967295:1", "\"4294967295:1\" goes beyond the last id", "BASE:COUNT" },
	{ "idmap", "4294902000", "\"4294902000\" goes beyond the last id", "BASE:COUNT" },
	{ "idmap", "1:2:3", "\"1:2:3\" is neither auto, no nor a range of ids", "BASE:COUNT" },
	{ "size", "5X", "\"5X\" is not a size", "512M" },
	{ "size", "-1", "\"-1\" is not a size", "512M" },
	{ "size", "99999999999999999999", "\"99999999999999999999\" is not a size", "2G" },
	{ "cap-add", "NET_ADMN", "\"NET_ADMN\" is not a capability", "did you mean \"NET_ADMIN\"?" },
	{ "cap-add", ",", "\",\" names no capability", "capabilities(7)" },
	{ "cap-drop", "", "\"\" names no capability", "capabilities(7)" },
	{ "cap-drop", LABEL_64, "\"" LABEL_64 "\" is not a capability", "capabilities(7)" },
	{ "no-new-privs", "maybe", "\"maybe\" is neither yes nor no", "yes or no" },
	{ "net", "brigde", "\"brigde\" is not a kind of network", "did you mean \"bridge\"?" },
	{ "publish", "80", "\"80\" does not say which port inside", "PORT:PORT-INSIDE" },
	{ "tty", "on", "\"on\" is not one of the words it takes", "auto" },
	{ "hostname", "", "\"\" is not a host name", "letters" },
	{ "hostname", "-a", "\"-a\" is not a host name", "hyphens" },
	{ "hostname", "a..b", "\"a..b\" is not a host name", "letters" },
	{ "hostname", "a_b", "\"a_b\" is not a host name", "letters" },
	{ "hostname", LABEL_64, "\"" LABEL_64 "\" is not a host name", "letters" },
	{ "hostname", LABEL_64 "a", "\"" LABEL_64 "a\" is longer than 64 characters", "64" },
	{ "user", "", "\"\" is not a user", "UID" },
	{ "user", "a:", "\"a:\" is not a user", ":GROUP" },
	{ "user", "a:b:c", "\"a:b:c\" is not a user", ":GROUP" },
	{ "user", "-r", "\"-r\" is not a user", "UID" },
	{ "user", "4294967295", "\"4294967295\" is not a user", "UID" },
	{ "workdir", "x", "\"x\" is not an absolute path", "inside" },
	{ "env", "NAME", "\"NAME\" has no value", "NAME=VALUE" },
	{ "env", "=x", "\"=x\" has no name", "NAME=VALUE" },
	{ "memory", "lots", "\"lots\" is not a size", "0 is no limit" },
	{ "swap", "-1", "\"-1\" is not a size", "0 for none" },
	{ "cpuset", "1-", "\"1-\" is no list of processors", "0-3,5" },
	{ "io", "fast", "\"fast\" is neither KEY=RATE nor a full path", "read=10M" },
	{ "disk", "x", "\"x\" is not a size", "0 is no limit" },
	{ "pids", "1.5", "\"1.5\" is not a whole number", "500" },
	{ "ttys", "x", "\"x\" is not a whole number", "12 at most" },
	{ "ttys", "13", "\"13\" are more than 12", "12 at most" },
	{ "cpus", "two", "\"two\" is not a number", "1.5" },
	{ "autostart", "soon", "\"soon\" is neither yes nor no", "yes or no" },
	{ "start-order", "-1", "\"-1\" is not a whole number", "higher ones" },
	{ "start-delay", "5 minutes", "\"5 minutes\" is not a time", "500ms" },
	{ "hook-pre-start", "true", "\"true\" is not the full path of a program", "as for a shell" },
	{ "hook-start-host", " ", "\" \" has no words", "full path" },
	{ "hook-post-stop", "/bin/sh -c 'x", "a quotation mark (') has no second one", "full path" },
	{ "hook-timeout", "", "\"\" is not a time", "500ms" },
	{ "quiet", "", "\"\" is neither yes nor no", "yes or no" },
};

static void test_spec_set_bad_value_is_refused_and_changes_nothing(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
		_cleanup_error_ struct kennel_error *err = NULL;
		_cleanup_spec_ struct spec *s = make();
		static const struct spec untouched;
		const char *advice, *message;
		size_t n = strlen(refusals[i].key);

		if (spec_set(s, refusals[i].key, refusals[i].value, &err) != -KENNEL_E_INVALID)
			fail_msg("%s=%s was not refused", refusals[i].key, refusals[i].value);
		assert_int_equal(kennel_error_code(err), KENNEL_E_INVALID);
		message = kennel_error_message(err);
		advice = kennel_error_hint(err);
		assert_memory_equal(message, refusals[i].key, n);
		assert_memory_equal(message + n, ": ", 2);
		assert_string_equal(message + n + 2, refusals[i].message);
		assert_non_null(advice);
		if (!strstr(advice, refusals[i].hint))
			fail_msg("%s=%s: hint \"%s\"", refusals[i].key, refusals[i].value, advice);
		assert_memory_equal(s, &untouched, sizeof(*s));
		assert_int_equal(spec_set(s, refusals[i].key, refusals[i].value, NULL), -KENNEL_E_INVALID);
	}
}

static void test_spec_set_unknown_key_suggests(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL, *other = NULL;
	_cleanup_spec_ struct spec *s = make();

	assert_int_equal(spec_set(s, "izolate", "fs", &err), -KENNEL_E_INVALID);
	assert_string_equal(kennel_error_message(err), "there is no option \"izolate\"");
	assert_string_equal(kennel_error_hint(err), "did you mean \"isolate\"?");
	assert_int_equal(spec_set(s, "quux", "fs", &other), -KENNEL_E_INVALID);
	assert_null(kennel_error_hint(other));
}

static void test_spec_check_combinations(void **state)
{
	static const struct {
		const char *set[6];     /* key, value, ... */
		int code;
		const char *message;
	} rows[] = {
		{ { "isolate", "vm", "device", "/dev/kvm" },
		  KENNEL_E_UNSUPPORTED,
		  "a kernel of its own can't use the device \"/dev/kvm\"" },
		{ { "isolate", "vm", "socket", "wayland" },
		  KENNEL_E_UNSUPPORTED,
		  "over the socket \"wayland\" descriptors are passed, and none come into a kernel of its "
		  "own" },
		{ { "isolate", "vm", "cap-drop", "CHOWN" },
		  KENNEL_E_UNSUPPORTED,
		  "capabilities are not chosen where root inside has a kernel of its own" },
		{ { "isolate", "vm", "net", "host" },
		  KENNEL_E_UNSUPPORTED,
		  "a kernel of its own has a network of its own, not that of others (host)" },
		{ { "isolate", "vm", "net", "ns:/proc/1/ns/net" },
		  KENNEL_E_UNSUPPORTED,
		  "a kernel of its own has a network of its own, not that of others (ns)" },
		{ { "isolate", "vm", "idmap", "no" },
		  KENNEL_E_INVALID,
		  "isolation \"vm\" can't go without shifted ids" },
		{ { "isolate", "fs", "idmap", "7" },
		  KENNEL_E_INVALID,
		  "idmap needs isolation \"user\", not \"fs\"" },
		{ { "isolate", "ns", "idmap", "7" },
		  KENNEL_E_INVALID,
		  "idmap needs isolation \"user\", not \"ns\"" },
		{ { "isolate", "user", "idmap", "no" },
		  KENNEL_E_INVALID,
		  "isolation \"user\" can't go without shifted ids" },
		{ { "isolate", "fs", "net", "none" },
		  KENNEL_E_INVALID,
		  "net \"none\" needs a network of its own, which isolation \"fs\" lacks" },
		{ { "isolate", "fs", "hostname", "x" },
		  KENNEL_E_INVALID,
		  "isolation \"fs\" has no host name of its own" },
		{ { "mount", "/a:/x", "share", "/x" },
		  KENNEL_E_INVALID,
		  "two things are to be mounted at \"/x\"" },
		{ { "hide", "/x", "share", "/x" },
		  KENNEL_E_INVALID,
		  "\"/x\" can't be both hidden and mounted" },
		{ { "cap-add", "CHOWN", "cap-drop", "CHOWN" },
		  KENNEL_E_INVALID,
		  "the same capability is both added and dropped" },
		{ { "cap-add", "CHOWN", "cap-drop", "ALL" }, 0, NULL },
		{ { "hide", "/home", "share", "/home/me" }, 0, NULL },
		{ { "isolate", "fs", "net", "host" }, 0, NULL },
		{ { "isolate", "user", "idmap", "7" }, 0, NULL },
		{ { "isolate", "ns", "idmap", "no", "hostname", "x" }, 0, NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_error_ struct kennel_error *err = NULL;
		_cleanup_spec_ struct spec *s = make();

		for (size_t k = 0; k < ARRAY_SIZE(rows[i].set) && rows[i].set[k]; k += 2)
			set(s, rows[i].set[k], rows[i].set[k + 1]);
		assert_int_equal(spec_check(s, &err), -rows[i].code);
		if (rows[i].message)
			assert_string_equal(kennel_error_message(err), rows[i].message);
		else
			assert_null(err);
	}
}

static void test_spec_set_start(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_spec_ struct spec *s = make();

	set(s, "autostart", "yes");
	set(s, "start-group", "web");
	set(s, "start-group", "all.of-them_1");
	set(s, "start-order", "7");
	set(s, "start-delay", "2m");
	assert_true(s->autostart);
	assert_int_equal(s->start_groups.n, 2);
	assert_string_equal(s->start_groups.items[1], "all.of-them_1");
	assert_int_equal(s->start_order, 7);
	assert_int_equal(s->start_delay_ms, 120000);
	assert_int_equal(spec_set(s, "start-group", "a b", &err), -KENNEL_E_INVALID);
	assert_non_null(strstr(kennel_error_message(err), "start-group: "));
	assert_int_equal(s->start_groups.n, 2);
	assert_int_equal(spec_key_use("start-group"), SPEC_USE_LIST);
	assert_int_equal(spec_key_use("start-order"), SPEC_USE_VALUE);
}

static void test_suggest_offer_only_what_is_near(void **state)
{
	static const struct {
		const char *typed, *known;
		bool near;
	} rows[] = {
		{ "rnu", "run", true },	     { "lsit", "list", true },
		{ "isol", "isolate", true }, { "htop", "help", false },
		{ "x", "xy", false },	     { "hostnaem", "hostname", true },
		{ "cp", "gc", false },	     { "completions", "completion", true },
		{ "", "run", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct suggestion s = { 0 };

		suggest_offer(&s, rows[i].typed, rows[i].known);
		if ((s.best != NULL) != rows[i].near)
			fail_msg("%s for %s", rows[i].known, rows[i].typed);
	}
	struct suggestion s = { 0 };
	suggest_offer(&s, "memroy", "memoir");
	suggest_offer(&s, "memroy", "memory");
	suggest_offer(&s, "memroy", "memo");
	assert_string_equal(s.best, "memory");
}

static void test_spec_leave_guest_is_fine_at_user(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	struct spec *s = spec_new(&err);

	assert_int_equal(spec_set(s, "isolate", "vm", &err), 0);
	assert_int_equal(spec_set(s, "drive", "/image", &err), 0);
	assert_int_equal(spec_set(s, "memory", "100M", &err), 0);
	assert_int_equal(spec_check(s, &err), 0);
	spec_leave_guest(s);
	assert_int_equal(spec_check(s, &err), 0);
	assert_int_equal(s->isolate, SPEC_ISOLATE_USER);
	assert_int_equal(s->n_drives, 0);
	assert_int_equal(s->memory_bytes, 0);
	spec_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spec_leave_guest_is_fine_at_user),
		cmocka_unit_test(test_spec_new_is_the_system_thrown_away),
		cmocka_unit_test(test_spec_set_words),
		cmocka_unit_test(test_spec_set_start),
		cmocka_unit_test(test_spec_set_numbers),
		cmocka_unit_test(test_spec_set_base),
		cmocka_unit_test(test_spec_set_mount_fields_and_escapes),
		cmocka_unit_test(test_spec_set_lists_append_clean_paths),
		cmocka_unit_test(test_spec_set_device),
		cmocka_unit_test(test_spec_set_idmap),
		cmocka_unit_test(test_spec_set_caps_any_spelling),
		cmocka_unit_test(test_capability_name_and_parse_agree),
		cmocka_unit_test(test_spec_set_names),
		cmocka_unit_test(test_spec_set_bad_value_is_refused_and_changes_nothing),
		cmocka_unit_test(test_spec_set_unknown_key_suggests),
		cmocka_unit_test(test_spec_check_combinations),
		cmocka_unit_test(test_suggest_offer_only_what_is_near),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
