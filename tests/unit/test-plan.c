/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* unit/test-plan.c - from what is wanted and what the machine has to what will be done. */
#include "unit.h"

#include <linux/sched.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "caps/caps.h"
#include "run/init.h"
#include "run/plan.h"

#define ALL_CAPS ((UINT64_C(1) << 41) - 1)

/* /home and /home2, a file mounted on a file, a mount that another one covers, a name with a tab. */
static const char machine[] = "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
			      "21 20 0:5 / /dev rw - devtmpfs d rw\n"
			      "22 20 0:6 / /proc rw - proc p rw\n"
			      "23 20 0:7 / /tmp rw - tmpfs t rw\n"
			      "24 20 8:2 / /home rw - ext4 /dev/sda2 rw\n"
			      "25 24 8:3 / /home/me/data rw - xfs /dev/sda3 rw\n"
			      "26 20 8:4 / /home2 rw - ext4 /dev/sda4 rw\n"
			      "27 20 8:1 /x /etc/resolv.conf rw - ext4 /dev/sda1 rw\n"
			      "28 20 8:5 / /srv/a\\011b rw - ext4 /dev/sda5 rw\n"
			      "29 20 8:6 / /opt/inner rw - ext4 /dev/sda6 rw\n"
			      "30 20 8:7 / /opt rw - ext4 /dev/sda7 rw\n"
			      "31 20 0:9 / /sysfs rw - sysfs s rw\n";

struct set {
	const char *key, *value;
};

struct planned {
	struct spec *spec;
	struct mount_table mounts;
	struct plan_facts facts;
	struct plan *plan;
	struct kennel_error *err;
	int r;
};

static void make_plan(struct planned *p, const struct set *sets, const struct plan_facts *facts)
{
	*p = (struct planned){ .spec = spec_new(NULL) };
	assert_non_null(p->spec);
	for (; sets && sets->key; sets++)
		/* spec_set() refuses "/" itself; whoever fills a spec otherwise is refused here. */
		if (strcmp(sets->value, "/") == 0)
			assert_int_equal(strv_add(*sets->key == 'h' ? &p->spec->hide : &p->spec->without, "/",
						  NULL),
					 0);
		else if (spec_set(p->spec, sets->key, sets->value, NULL) < 0)
			fail_msg("%s=%s is refused", sets->key, sets->value);
	assert_int_equal(mount_table_parse(machine, sizeof(machine) - 1, &p->mounts, NULL), 0);
	p->facts = facts ? *facts :
			   (struct plan_facts){ .privileged = true,
						.initial_user_ns = true,
						.total_memory = 1 << 30 };
	p->facts.mounts = &p->mounts;
	p->facts.id = "0badcafe";
	p->facts.all_caps = ALL_CAPS;
	p->r = plan_new(p->spec, &p->facts, SPEC_ISOLATE_USER, &p->plan, &p->err);
}

static void plan_done(struct planned *p)
{
	assert_null(plan_free(p->plan));
	mount_table_done(&p->mounts);
	spec_free(p->spec);
	error_clear(&p->err);
}

static void test_plan_new_covers_every_mount(void **state)
{
	static const char *const targets[] = { "/",    "/etc/resolv.conf", "/home", "/home/me/data", "/home2",
					       "/opt", "/srv/a\tb" };
	struct planned p;

	make_plan(&p, NULL, NULL);
	assert_int_equal(p.r, 0);
	assert_int_equal(p.plan->n_overlays, ARRAY_SIZE(targets));
	for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
		assert_string_equal(p.plan->overlays[i].target, targets[i]);
		assert_true(p.plan->overlays[i].from_host);
	}
	assert_int_equal(p.plan->details.n, 12);
	assert_true(strv_has(&p.plan->details, "copied\t/\text4"));
	assert_true(strv_has(&p.plan->details, "new\t/tmp\ttmpfs"));
	assert_true(strv_has(&p.plan->details, "left-out\t/opt/inner\text4\tmounted over"));
	assert_true(strv_has(&p.plan->details, "left-out\t/sysfs\tsysfs\ta kernel interface"));
	assert_int_equal(p.plan->size_bytes, 1 << 29);
	assert_int_equal(p.plan->inodes, (1 << 29) / 8192);
	assert_string_equal(p.plan->hostname, "kennel-0badcafe");
	assert_int_equal(p.plan->n_hidden, 0);
	plan_done(&p);
}

static const struct level_row {
	const char *isolate, *net;
	unsigned long clone_flags;
	enum spec_net want_net;
	bool net_optional, new_net, new_sys, filter, device_policy, set_caps;
} levels[] = {
	{ "auto", "auto", CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWUSER, SPEC_NET_NAT, true,
	  true, true, true, false, false },
	{ "user", "host", CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWUSER, SPEC_NET_HOST, false,
	  false, false, true, false, false },
	{ "user", "none", CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWUSER, SPEC_NET_NONE, false,
	  true, true, true, false, false },
	{ "ns", "nat", CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS, SPEC_NET_NAT, false, true, true, true,
	  true, true },
	{ "ns", "host", CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS, SPEC_NET_HOST, false, false, true, true,
	  true, true },
	{ "fs", "auto", 0, SPEC_NET_HOST, false, false, true, false, false, false },
	{ "fs", "host", 0, SPEC_NET_HOST, false, false, true, false, false, false },
};

static void test_plan_new_levels(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
		const struct level_row *w = &levels[i];
		struct planned p;

		make_plan(&p, (struct set[]){ { "isolate", w->isolate }, { "net", w->net }, { NULL, NULL } },
			  NULL);
		assert_int_equal(p.r, 0);
		const struct plan *g = p.plan;
		if (g->clone_flags != w->clone_flags || g->net != w->want_net ||
		    g->net_optional != w->net_optional || g->new_net != w->new_net ||
		    g->new_sys != w->new_sys || g->filter != w->filter ||
		    g->device_policy != w->device_policy || g->set_caps != w->set_caps)
			fail_msg("row %zu", i);
		assert_int_equal(g->hostname == NULL, g->isolate == SPEC_ISOLATE_FS);
		plan_done(&p);
	}
}

static void test_plan_new_half_of_a_device_needs_a_policy(void **state)
{
	static const struct {
		const char *device;
		bool want;
	} rows[] = { { "/dev/kvm", false },
		     { "/dev/kvm:rw", false },
		     { "/dev/kvm:r", true },
		     { "/dev/kvm:w", true } };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct planned p;

		make_plan(&p, (struct set[]){ { "device", rows[i].device }, { NULL, NULL } }, NULL);
		assert_int_equal(p.r, 0);
		assert_int_equal(p.plan->device_policy, rows[i].want);
		plan_done(&p);
	}
}

static void test_plan_new_idmap_no_is_level_ns(void **state)
{
	struct planned p;

	make_plan(&p, (struct set[]){ { "idmap", "no" }, { NULL, NULL } }, NULL);
	assert_int_equal(p.r, 0);
	assert_int_equal(p.plan->isolate, SPEC_ISOLATE_NS);
	plan_done(&p);
}

static const struct caps_row {
	const char *isolate, *add, *drop;
	uint64_t want; /* 0: the default of level ns */
} caps_rows[] = {
	{ "user", NULL, NULL, ALL_CAPS }, { "user", NULL, "CHOWN", ALL_CAPS & ~UINT64_C(1) },
	{ "ns", NULL, NULL, 0 },	  { "ns", "ALL", NULL, ALL_CAPS },
	{ "ns", "CHOWN", "ALL", 1 },	  { "user", "CHOWN", "ALL", 1 },
};

static void test_plan_new_caps(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(caps_rows); i++) {
		struct set sets[4] = { { "isolate", caps_rows[i].isolate } };
		unsigned n = 1;
		struct planned p;

		if (caps_rows[i].add)
			sets[n++] = (struct set){ "cap-add", caps_rows[i].add };
		if (caps_rows[i].drop)
			sets[n++] = (struct set){ "cap-drop", caps_rows[i].drop };
		make_plan(&p, sets, NULL);
		assert_int_equal(p.r, 0);
		assert_true(p.plan->caps == (caps_rows[i].want ? caps_rows[i].want : caps_default_ns()));
		assert_int_equal(p.plan->set_caps, p.plan->caps != ALL_CAPS);
		plan_done(&p);
	}
}

/*
 * want: "OVERLAY:REL" of each hidden place with a "-" in front where it is to be gone, "|" behind; left: a
 * detail that must be there
 */
static const struct {
	struct set set;
	const char *want, *left;
	size_t n_overlays;
} places[] = {
	{ { "hide", "/root" }, "/:root|", NULL, 7 },
	{ { "hide", "/home/me" }, "/home:me|", "left-out\t/home/me/data\txfs\thidden by --hide", 6 },
	{ { "hide", "/home/me/data" }, "/home:me/data|",
	  "left-out\t/home/me/data\txfs\thidden by --hide", 6 },
	{ { "hide", "/home/me/data2" }, "/home:me/data2|", NULL, 7 },
	{ { "hide", "/home2/x" }, "/home2:x|", NULL, 7 },
	{ { "hide", "/home2x" }, "/:home2x|", NULL, 7 },
	{ { "hide", "/home" }, "/:home|", "left-out\t/home\text4\thidden by --hide", 5 },
	{ { "hide", "/etc/resolv.conf" },
	  "/:etc/resolv.conf|",
	  "left-out\t/etc/resolv.conf\text4\thidden by --hide",
	  6 },
	{ { "hide", "/home/me/data/deep/er" }, "/home/me/data:deep/er|", NULL, 7 },
	{ { "without", "/root" }, "-/:root|", NULL, 7 },
	{ { "without", "/home" }, "", "left-out\t/home\text4\tleft out by --without", 5 },
	{ { "without", "/home2" }, "", "left-out\t/home2\text4\tleft out by --without", 6 },
	{ { "without", "/home/me" }, "-/home:me|", "left-out\t/home/me/data\txfs\tleft out by --without", 6 },
	{ { "without", "/srv/a" }, "-/:srv/a|", NULL, 7 },
	{ { "without", "/srv/a\tb" }, "", NULL, 6 },
	{ { "without", "/opt/inner" }, "-/opt:inner|", NULL, 7 },
	{ { "without", "/sysfs" }, "", NULL, 7 },
	{ { "without", "/tmp" }, "", NULL, 7 },
};

static void test_plan_new_hidden_places_lie_in_the_right_overlay(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		_cleanup_buf_ struct buf got = { 0 };
		struct planned p;

		make_plan(&p, (struct set[]){ places[i].set, { NULL, NULL } }, NULL);
		assert_int_equal(p.r, 0);
		for (size_t k = 0; k < p.plan->n_hidden; k++) {
			const struct plan_hidden *h = &p.plan->hidden[k];

			buf_printf(&got, "%s%s:%s|", h->absent ? "-" : "",
				   p.plan->overlays[h->overlay].target, h->rel);
		}
		if (strcmp(buf_str(&got), places[i].want) != 0 || p.plan->n_overlays != places[i].n_overlays)
			fail_msg("row %zu: %s, %zu overlays", i, buf_str(&got), p.plan->n_overlays);
		if (places[i].left && !strv_has(&p.plan->details, places[i].left))
			fail_msg("row %zu: detail", i);
		plan_done(&p);
	}
}

static const struct {
	struct set sets[3];
	bool user; /* an ordinary one */
	int code;
	const char *message, *hint; /* hint: a part */
} refusals[] = {
	{ { { "without", "/" } }, false, KENNEL_E_INVALID, "leaving out \"/\" would leave nothing", NULL },
	{ { { "without", "/" }, { "base", "/some/dir" } },
	  false,
	  KENNEL_E_INVALID,
	  "\"/\" can't be left out or hidden: it is the root of the copy",
	  "below it" },
	{ { { "hide", "/" } },
	  false,
	  KENNEL_E_INVALID,
	  "\"/\" can't be left out or hidden: it is the root of the copy",
	  "below it" },
	{ { { "hide", "/proc/cpuinfo" } },
	  false,
	  KENNEL_E_INVALID,
	  "\"/proc/cpuinfo\" can't be left out or hidden: /proc is made new inside",
	  "of the base" },
	{ { { "without", "/dev" } },
	  false,
	  KENNEL_E_INVALID,
	  "\"/dev\" can't be left out or hidden: /dev is made new inside",
	  "of the base" },
	{ { { "isolate", "ns" } }, true, KENNEL_E_PERM, "isolation ns needs root", "--isolate user" },
	{ { { "isolate", "fs" } }, true, KENNEL_E_PERM, "isolation fs needs root", "--isolate user" },
};

static void test_plan_new_refusals(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
		const struct plan_facts user = { .initial_user_ns = true, .total_memory = 1 << 30 };
		struct planned p;

		make_plan(&p, refusals[i].sets, refusals[i].user ? &user : NULL);
		const char *got = kennel_error_hint(p.err);
		if (p.r != -refusals[i].code || strcmp(kennel_error_message(p.err), refusals[i].message) != 0)
			fail_msg("row %zu: %d \"%s\"", i, p.r, kennel_error_message(p.err));
		if (!got != !refusals[i].hint || (got && !strstr(got, refusals[i].hint)))
			fail_msg("row %zu: hint \"%s\"", i, got ? got : "(none)");
		assert_null(p.plan);
		plan_done(&p);
	}
}

static void test_plan_new_machine_without_a_root_mount(void **state)
{
	struct planned p;
	struct plan *plan = NULL;

	make_plan(&p, NULL, NULL);
	p.facts.mounts = &(struct mount_table){ 0 };
	assert_int_equal(plan_new(p.spec, &p.facts, SPEC_ISOLATE_USER, &plan, &p.err), -KENNEL_E_UNSUPPORTED);
	assert_string_equal(kennel_error_message(p.err), "the root of this machine can't be copied");
	assert_null(plan);
	plan_done(&p);
}

static void test_plan_new_base_directory_has_one_overlay(void **state)
{
	struct planned p;

	make_plan(&p,
		  (struct set[]){ { "base", "/some/dir" },
				  { "without", "/home" },
				  { "hide", "/home/me/data" },
				  { NULL, NULL } },
		  NULL);
	assert_int_equal(p.r, 0);
	assert_int_equal(p.plan->n_overlays, 1);
	assert_false(p.plan->overlays[0].from_host);
	assert_int_equal(p.plan->details.n, 1);
	assert_string_equal(p.plan->details.items[0], "copied\t/\t/some/dir");
	/* the machine's own mounts play no part */
	assert_int_equal(p.plan->n_hidden, 2);
	assert_string_equal(p.plan->hidden[0].rel, "home/me/data");
	assert_string_equal(p.plan->hidden[1].rel, "home");
	plan_done(&p);
}

static void test_plan_new_environment_has_one_value_a_name(void **state)
{
	static const char *const want[] = {
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=/x",
		"USER=root",
		"LOGNAME=root",
		"container=kennel",
		"debian_chroot=kennel",
		"KENNEL_ID=0badcafe",
		"TERM=dumb",
		"LANG=C",
		"TERMINAL=2",
		"A=2",
	};
	const struct plan_facts facts = {
		.privileged = true, .total_memory = 1, .term = "xterm", .lang = "de_DE.UTF-8"
	};
	struct planned p;

	make_plan(&p,
		  (struct set[]){ { "tty", "yes" },
				  { "env", "HOME=/x" },
				  { "env", "TERM=dumb" },
				  { "env", "TERMINAL=2" },
				  { "env", "A=1" },
				  { "env", "LANG=C" },
				  { "env", "A=2" },
				  { NULL, NULL } },
		  &facts);
	assert_int_equal(p.r, 0);
	assert_int_equal(p.plan->env.n, ARRAY_SIZE(want));
	for (size_t i = 0; i < ARRAY_SIZE(want); i++)
		assert_string_equal(p.plan->env.items[i], want[i]);
	assert_null(p.plan->env.items[ARRAY_SIZE(want)]);
	assert_int_equal(p.plan->inodes, 4096); /* however small the delta is */
	plan_done(&p);
}

static const struct {
	struct set sets[4];
	bool stdin_is_tty, command;
	const char *cwd, *want; /* words of init from the terminal on, each with "|" */
} argvs[] = {
	{ { { NULL } }, false, false, NULL, "-1|10||||" },
	{ { { NULL } }, true, false, "/root", "0|10||/root||" },
	{ { { "tty", "no" } }, true, true, "/root", "-1|2||/root|ls|-l|" },
	{ { { "workdir", "/srv" }, { "user", "me:us" }, { "no-new-privs", "yes" } },
	  false,
	  true,
	  "/root",
	  "-1|4|me:us|/srv|ls|-l|" },
	{ { { "isolate", "fs" } }, false, true, NULL, "-1|3|||ls|-l|" },
};

static void test_plan_new_words_of_init(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(argvs); i++) {
		const struct plan_facts facts = { .privileged = true,
						  .total_memory = 1 << 20,
						  .cwd = argvs[i].cwd,
						  .stdin_is_tty = argvs[i].stdin_is_tty };
		_cleanup_buf_ struct buf got = { 0 };
		struct planned p;
		struct plan *plan = NULL;

		make_plan(&p, argvs[i].sets, &facts);
		if (argvs[i].command) {
			assert_int_equal(strv_add(&p.spec->command, "ls", NULL), 0);
			assert_int_equal(strv_add(&p.spec->command, "-l", NULL), 0);
		}
		assert_int_equal(plan_new(p.spec, &p.facts, SPEC_ISOLATE_USER, &plan, NULL), 0);
		assert_string_equal(plan->argv.items[INIT_ARG_NAME], "kennel-init");
		for (size_t k = INIT_ARG_TTY_FD; k < plan->argv.n; k++)
			buf_printf(&got, "%s|", plan->argv.items[k]);
		assert_string_equal(buf_str(&got), argvs[i].want);
		plan_free(plan);
		plan_done(&p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plan_new_covers_every_mount),
		cmocka_unit_test(test_plan_new_levels),
		cmocka_unit_test(test_plan_new_half_of_a_device_needs_a_policy),
		cmocka_unit_test(test_plan_new_idmap_no_is_level_ns),
		cmocka_unit_test(test_plan_new_caps),
		cmocka_unit_test(test_plan_new_hidden_places_lie_in_the_right_overlay),
		cmocka_unit_test(test_plan_new_refusals),
		cmocka_unit_test(test_plan_new_machine_without_a_root_mount),
		cmocka_unit_test(test_plan_new_base_directory_has_one_overlay),
		cmocka_unit_test(test_plan_new_environment_has_one_value_a_name),
		cmocka_unit_test(test_plan_new_words_of_init),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
