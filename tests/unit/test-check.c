/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit/test-check.c - what "kennel check" makes of machines that nobody has at hand, and that it leaves this
 * one as it was.
 */
#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <kennel/kennel.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "run/check.h"

static void not_tried(struct check_shared *s, enum check_try from)
{
	for (unsigned i = from; i < CHECK_TRIES; i++)
		s->errnum[i] = CHECK_NOT_TRIED;
}

/* A machine on which all works. */
static void fine(struct check_facts *f, bool root)
{
	*f = (struct check_facts){
		.root = root,
		.initial_user_ns = true,
		.user = strdup(root ? "root" : "ann"),
		.root_fstype = strdup("ext4"),
		.shifts = root,
		.map = { 1000, 1000, { 100000, 65536 }, { 100000, 65536 } },
		.root_range = { 524288, 65536 },
		.newuidmap = { strdup("/usr/bin/newuidmap"), true },
		.newgidmap = { strdup("/usr/bin/newgidmap"), true },
		.view_path = strdup("/usr/libexec/kennel/kennel-view"),
		.runtime_dir = strdup("/run/user/1000/kennel"),
		.cgroup_v2 = true,
		.vm_release = strdup("6.1.1"),
		.pasta_version = strdup("pasta 0.1"),
		.ip_forward = 1,
		.has_blkid = true,
		.has_squashfs = true,
		.has_ext2fs = true,
		.erofs_from_file = true,
		.filter_built = true,
		.apparmor_restricts = -1,
		.open_files = 1024,
		.open_files_hard = 524288,
		.mount_max = 100000,
		.watches = 100000,
		.n_mounts = 30,
	};
	for (unsigned i = 0; i < CHECK_NS_LIMITS; i++)
		f->ns_limits[i] = 15000;
	if (!root)
		not_tried(&f->ns, 0);
}

static const struct check_line *line(const struct check *c, const char *name)
{
	for (size_t i = 0; i < c->n; i++)
		if (strcmp(c->lines[i].name, name) == 0)
			return &c->lines[i];
	return NULL;
}

static void judge(struct check_facts *f, struct check *c)
{
	_cleanup_error_ struct kennel_error *err = NULL;

	*c = (struct check){ 0 };
	assert_int_equal(check_judge(f, c, &err), 0);
	assert_true(c->n <= CHECK_LINES_MAX);
	for (size_t i = 0; i < c->n; i++) {
		assert_non_null(c->lines[i].found);
		/* whoever is told of a lack is told what to do */
		assert_int_equal(c->lines[i].state == CHECK_OK, c->lines[i].remedy == NULL);
		if (c->lines[i].state == CHECK_WEAKER && !strstr(c->lines[i].found, "weaker: "))
			fail_msg("%s: %s", c->lines[i].name, c->lines[i].found);
	}
}

static void done(struct check_facts *f, struct check *c)
{
	check_done(c);
	check_facts_done(f);
}

static void expect(const struct check *c, const char *name, enum check_state state, const char *found,
		   const char *remedy)
{
	const struct check_line *l = line(c, name);

	if (!l)
		fail_msg("no line \"%s\"", name);
	if (l->state != state || !strstr(l->found, found) ||
	    (remedy && !(l->remedy && strstr(l->remedy, remedy))))
		fail_msg("%s: %s, %s, %s", name, check_state_name(l->state), l->found,
			 l->remedy ? l->remedy : "-");
}

static void test_check_judge_all_fine(void **state)
{
	for (unsigned root = 0; root < 2; root++) {
		struct check_facts f;
		struct check c;

		fine(&f, root);
		judge(&f, &c);
		assert_int_equal(check_missing(&c), 0);
		for (size_t i = 0; i < c.n; i++)
			if (c.lines[i].state != CHECK_OK)
				fail_msg("%s: %s", c.lines[i].name, c.lines[i].found);
		assert_int_equal(line(&c, "/dev/fuse") != NULL, !root);
		assert_int_equal(line(&c, "kennel-view") != NULL, !root);
		assert_int_equal(line(&c, "loop devices") != NULL, root);
		assert_int_equal(line(&c, "idmapped tmpfs") != NULL, root);
		done(&f, &c);
	}
}

static void test_check_judge_names_have_the_remedy_of_the_cause(void **state)
{
	struct check_facts f;
	struct check c;

	fine(&f, false);
	hint(&f.clone_err, fail(&f.clone_err, KENNEL_E_UNSUPPORTED, "user namespaces are switched off"),
	     "sysctl x=1");
	not_tried(&f.user_ns, 0);
	judge(&f, &c);
	expect(&c, "user namespaces", CHECK_MISSING, "switched off", "sysctl x=1");
	assert_null(line(&c, "overlay")); /* nothing is said of what was not tried */
	assert_null(line(&c, "/dev/fuse"));
	done(&f, &c);
}

static void test_check_judge_apparmor_names_the_profile(void **state)
{
	for (unsigned installed = 0; installed < 2; installed++) {
		struct check_facts f;
		struct check c;

		fine(&f, false);
		f.apparmor = true;
		f.apparmor_restricts = 1;
		f.label = strdup("unprivileged_userns (enforce)");
		f.profile_installed = installed;
		f.user_ns.errnum[CHECK_TRY_MOUNT_NS] = EPERM;
		not_tried(&f.user_ns, CHECK_TRY_IPC_NS);
		judge(&f, &c);
		expect(&c, "user namespaces", CHECK_MISSING, "AppArmor", "apparmor_parser -r /");
		expect(&c, "security module", CHECK_MISSING, "apparmor_restrict_unprivileged_userns is 1",
		       installed ? "apparmor_parser -r /" : "share/apparmor/kennel");
		done(&f, &c);
	}
}

static void test_check_judge_apparmor_with_the_profile_is_fine(void **state)
{
	struct check_facts f;
	struct check c;

	fine(&f, false);
	f.apparmor = true;
	f.apparmor_restricts = 1;
	f.label = strdup("kennel (unconfined)");
	judge(&f, &c);
	assert_int_equal(check_missing(&c), 0);
	expect(&c, "security module", CHECK_OK, "kennel (unconfined)", NULL);
	done(&f, &c);
}

static void test_check_judge_root_without_user_namespaces_has_level_ns(void **state)
{
	struct check_facts f;
	struct check c;

	fine(&f, true);
	judge(&f, &c);
	expect(&c, "kennel-image", CHECK_OK, "installed", NULL);
	check_done(&c);
	hint(&f.clone_err, fail(&f.clone_err, KENNEL_E_UNSUPPORTED, "no user namespaces"), "sysctl x=1");
	not_tried(&f.user_ns, 0);
	judge(&f, &c);
	assert_int_equal(check_missing(&c), 0);
	expect(&c, "user namespaces", CHECK_WEAKER, "level ns is taken", "sysctl x=1");
	expect(&c, "overlay", CHECK_OK, "at level ns", NULL);
	check_done(&c);

	/* which needs a device policy */
	hint(&f.cgroup_err[CHECK_CGROUP_DEVICES],
	     fail(&f.cgroup_err[CHECK_CGROUP_DEVICES], KENNEL_E_PERM, "no"), "mount it");
	judge(&f, &c);
	assert_true(check_missing(&c) > 0);
	expect(&c, "user namespaces", CHECK_MISSING, "no user namespaces", NULL);
	expect(&c, "control groups", CHECK_WEAKER, "level ns", "mount it");
	done(&f, &c);
}

static void test_check_judge_root_that_cant_shift(void **state)
{
	struct check_facts f;
	struct check c;

	fine(&f, true);
	free(f.root_fstype);
	f.root_fstype = strdup("nfs");
	f.idmap_root_errnum = EINVAL;
	f.user_ns.errnum[CHECK_TRY_OVERLAY] = EOVERFLOW; /* an effect, not a cause */
	judge(&f, &c);
	assert_int_equal(check_missing(&c), 0);
	expect(&c, "idmapped mounts of \"/\"", CHECK_WEAKER, "nfs can't", "ext4");
	expect(&c, "overlay", CHECK_OK, "at level ns", NULL);
	f.idmap_root_errnum = 0;
	f.idmap_tmpfs_errnum = EINVAL;
	check_done(&c);
	judge(&f, &c);
	expect(&c, "idmapped tmpfs", CHECK_WEAKER, "level ns", "6.3");
	done(&f, &c);
}

static void test_check_judge_ranges(void **state)
{
	struct check_facts f;
	struct check c;

	fine(&f, false);
	f.map.uids.count = f.map.gids.count = 0;
	f.free_range = (struct idmap){ 165536, 65536 };
	judge(&f, &c);
	assert_int_equal(check_missing(&c), 0);
	expect(&c, "subordinate ids", CHECK_WEAKER, "no 65536 for ann",
	       "usermod --add-subuids 165536-231071 --add-subgids 165536-231071 ann");
	free(f.newgidmap.path); /* without a range it would not be used */
	f.newgidmap.path = NULL;
	check_done(&c);
	judge(&f, &c);
	expect(&c, "newuidmap, newgidmap", CHECK_WEAKER, "newgidmap is not installed", "uidmap");
	f.map.uids.count = f.map.gids.count = 65536;
	check_done(&c);
	judge(&f, &c);
	expect(&c, "newuidmap, newgidmap", CHECK_MISSING, "newgidmap is not installed", "uidmap");
	done(&f, &c);
}

static void test_check_judge_map_tools_must_be_privileged(void **state)
{
	struct check_facts f;
	struct check c;

	fine(&f, false);
	f.newuidmap.privileged = false;
	f.single_id = true;
	hint(&f.map_err, fail(&f.map_err, KENNEL_E_PERM, "newuidmap refused the map"),
	     "the range must be yours");
	judge(&f, &c);
	assert_int_equal(check_missing(&c), 1);
	expect(&c, "newuidmap, newgidmap", CHECK_MISSING, "/usr/bin/newuidmap is neither",
	       "chmod u+s /usr/bin/newuidmap");
	f.newuidmap.privileged = true;
	check_done(&c);
	judge(&f, &c);
	expect(&c, "newuidmap, newgidmap", CHECK_MISSING, "refused the map", "must be yours");
	done(&f, &c);
}

static void test_check_judge_table_of_single_lacks(void **state)
{
	static const struct {
		bool root;
		enum check_try what;
		int errnum;
		const char *name;
		enum check_state state;
		const char *found, *remedy;
	} cases[] = {
		{ false, CHECK_TRY_FUSE_OPEN, ENOENT, "/dev/fuse", CHECK_MISSING, "not there",
		  "modprobe fuse" },
		{ false, CHECK_TRY_FUSE_OPEN, EACCES, "/dev/fuse", CHECK_MISSING, "Permission",
		  "chmod 0666 /dev/fuse" },
		{ false, CHECK_TRY_FUSE_MOUNT, EPERM, "/dev/fuse", CHECK_MISSING, "not to be mounted",
		  "FUSE" },
		{ false, CHECK_TRY_TAP, EACCES, "/dev/net/tun", CHECK_WEAKER, "Permission",
		  "chmod 0666 /dev/net/tun" },
		{ true, CHECK_TRY_USER_XATTR, EOPNOTSUPP, "user xattrs on tmpfs", CHECK_WEAKER, "level ns",
		  "6.6" },
		{ false, CHECK_TRY_USER_XATTR, EOPNOTSUPP, "user xattrs on tmpfs", CHECK_MISSING,
		  "not supported", "6.6" },
		{ false, CHECK_TRY_OVERLAY, ENODEV, "overlay", CHECK_MISSING, "no overlay",
		  "modprobe overlay" },
		{ true, CHECK_TRY_OVERLAY, EINVAL, "overlay", CHECK_WEAKER, "level ns", "5.19" },
		{ false, CHECK_TRY_WRITE, EROFS, "overlay", CHECK_MISSING, "not to be written", "dmesg" },
		{ false, CHECK_TRY_PROC, EPERM, "/proc and /sys", CHECK_MISSING, "not fully visible",
		  "unmask=ALL" },
		{ false, CHECK_TRY_MEMORY_FILE, EACCES, "programs in memory files", CHECK_MISSING, "not exec",
		  "security" },
		{ false, CHECK_TRY_FILTER, EINVAL, "system call filter", CHECK_MISSING, "not to be loaded",
		  "SECCOMP" },
		{ false, CHECK_TRY_NET_NS, ENOSPC, "namespaces", CHECK_MISSING, "not to be had: net",
		  "sysctl" },
		{ false, CHECK_TRY_LAYER_FD, EINVAL, "layers by descriptor", CHECK_OK, "is fine", NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct check_facts f;
		struct check c;

		fine(&f, cases[i].root);
		f.user_ns.errnum[cases[i].what] = cases[i].errnum;
		judge(&f, &c);
		expect(&c, cases[i].name, cases[i].state, cases[i].found, cases[i].remedy);
		assert_int_equal(check_missing(&c), cases[i].state == CHECK_MISSING);
		done(&f, &c);
	}
}

static void test_check_judge_forwarding(void **state)
{
	struct check_facts f;
	struct check c;

	fine(&f, true);
	judge(&f, &c);
	expect(&c, "forwarding", CHECK_OK, "forwards", NULL);
	done(&f, &c);
	fine(&f, true);
	f.forward_drops = true;
	judge(&f, &c);
	expect(&c, "forwarding", CHECK_WEAKER, "drops", "DOCKER-USER");
	done(&f, &c);
	fine(&f, true);
	f.ip_forward = 0;
	judge(&f, &c);
	expect(&c, "forwarding", CHECK_WEAKER, "does not forward", "sysctl net.ipv4.ip_forward=1");
	done(&f, &c);
}

static void test_check_judge_packages_and_limits(void **state)
{
	struct check_facts f;
	struct check c;

	fine(&f, false);
	hint(&f.view_err, fail(&f.view_err, KENNEL_E_MISSING, "no view"), "install it");
	hint(&f.runtime_err, fail(&f.runtime_err, KENNEL_E_NOTFOUND, "XDG_RUNTIME_DIR is not set"), "log in");
	hint(&f.vm_err, fail(&f.vm_err, KENNEL_E_MISSING, "there is no kernel"), "user-mode-linux");
	hint(&f.pasta_err, fail(&f.pasta_err, KENNEL_E_MISSING, "pasta is not installed"), "passt");
	hint(&f.image_err, fail(&f.image_err, KENNEL_E_MISSING, "no reader"), "build it");
	f.has_squashfs = f.has_ext2fs = false;
	f.memfd_noexec = 2;
	f.user_ns.errnum[CHECK_TRY_MEMORY_FILE] = EACCES;
	f.filter_built = false;
	f.open_files = 32;
	f.mount_max = 100;
	f.watches = 10;
	f.ns_limits[2] = 0;
	judge(&f, &c);
	expect(&c, "kennel-view", CHECK_MISSING, "no view", "install it");
	expect(&c, "runtime directory", CHECK_MISSING, "not set", "log in");
	expect(&c, "User Mode Linux", CHECK_WEAKER, "level vm is refused", "user-mode-linux");
	expect(&c, "pasta", CHECK_WEAKER, "no network", "passt");
	expect(&c, "kennel-image", CHECK_WEAKER, "no reader", "build it");
	expect(&c, "libsquashfs", CHECK_WEAKER, "not installed", "libsquashfs1");
	expect(&c, "libext2fs", CHECK_WEAKER, "not installed", "libext2fs2");
	expect(&c, "programs in memory files", CHECK_MISSING, "is 2", "sysctl vm.memfd_noexec=1");
	expect(&c, "system call filter", CHECK_MISSING, "none was built", "--isolate fs");
	expect(&c, "open files", CHECK_MISSING, "32", "ulimit -n 1024");
	expect(&c, "fs.mount-max", CHECK_WEAKER, "100, 30 in use", "sysctl fs.mount-max=");
	expect(&c, "inotify watches", CHECK_WEAKER, "10", "sysctl fs.inotify.max_user_watches=");
	expect(&c, "user.max_*_namespaces", CHECK_MISSING, "0 of pid",
	       "sysctl user.max_pid_namespaces=15000");
	assert_int_equal(check_missing(&c), 6);
	f.open_files = f.open_files_hard = 128;
	check_done(&c);
	judge(&f, &c);
	expect(&c, "open files", CHECK_WEAKER, "no network", "limits.conf");
	done(&f, &c);
}

static void test_check_judge_images_are_optional(void **state)
{
	struct check_facts f;
	struct check c;

	fine(&f, true);
	hint(&f.loop_err, fail(&f.loop_err, KENNEL_E_UNSUPPORTED, "no loop devices"), "modprobe loop");
	f.has_blkid = f.erofs_from_file = false;
	f.squashfs_errnum = ENODEV;
	f.erofs_errnum = EPERM;
	judge(&f, &c);
	assert_int_equal(check_missing(&c), 0);
	expect(&c, "loop devices", CHECK_WEAKER, "no loop devices", "modprobe loop");
	expect(&c, "libblkid", CHECK_WEAKER, "not installed", "libblkid1");
	expect(&c, "squashfs", CHECK_WEAKER, "not in this kernel", "modprobe squashfs");
	expect(&c, "erofs", CHECK_WEAKER, "not permitted", "root");
	done(&f, &c);
}

static void test_idmap_find_free_in_steps_over_what_is_taken(void **state)
{
	static const struct {
		const char *subuid, *subgid, *passwd;
		uint32_t base;
	} cases[] = {
		{ "", "", "root:x:0:0:::\n", 100000 },
		{ "ann:100000:65536\n", "ann:100000:65536\n", "", 165536 },
		{ "ann:100000:65536\n", "bob:165536:65536\n", "", 231072 },
		{ "ann:100000:1\n", "", "", 165536 },
		{ "", "", "net:x:100005:1:::\n", 165536 },
		{ "ann:165536:65536\n", "", "", 100000 },
	};
	const struct idmap_files full = { "ann:100000:400000\n", "", "", "" };
	struct idmap m;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct idmap_files files = { cases[i].subuid, cases[i].subgid, cases[i].passwd, "" };

		assert_int_equal(idmap_find_free_in(&files, 100000, 524288, &m, NULL), 1);
		assert_int_equal(m.base, cases[i].base);
		assert_int_equal(m.count, 65536);
	}
	assert_int_equal(idmap_find_free_in(&full, 100000, 524288, &m, NULL), 0);
}

static size_t count_fds(void)
{
	_cleanup_closedir_ DIR *d = opendir("/proc/self/fd");
	size_t n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	return n;
}

static void test_kennel_check_read_has_lines_and_leaves_nothing(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	struct kennel_list *list = NULL;
	size_t missing = SIZE_MAX, counted = 0, before = count_fds();
	char cwd[4096], now[4096];

	assert_non_null(getcwd(cwd, sizeof(cwd)));
	if (kennel_check_read(&list, &missing, &err) < 0)
		fail_msg("%s", kennel_error_message(err));
	assert_true(kennel_list_count(list) > 10);
	for (size_t i = 0; i < kennel_list_count(list); i++) {
		const char *state_name = kennel_list_value(list, i, "state");

		assert_non_null(kennel_list_value(list, i, "name"));
		assert_non_null(kennel_list_value(list, i, "needed_for"));
		assert_non_null(kennel_list_value(list, i, "found"));
		assert_int_equal(strcmp(state_name, "ok") == 0, kennel_list_value(list, i, "remedy") == NULL);
		counted += strcmp(state_name, "missing") == 0;
	}
	assert_int_equal(counted, missing);
	kennel_list_free(list);
	assert_int_equal(count_fds(), before);
	assert_non_null(getcwd(now, sizeof(now)));
	assert_string_equal(cwd, now);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check_judge_all_fine),
		cmocka_unit_test(test_check_judge_names_have_the_remedy_of_the_cause),
		cmocka_unit_test(test_check_judge_apparmor_names_the_profile),
		cmocka_unit_test(test_check_judge_apparmor_with_the_profile_is_fine),
		cmocka_unit_test(test_check_judge_root_without_user_namespaces_has_level_ns),
		cmocka_unit_test(test_check_judge_root_that_cant_shift),
		cmocka_unit_test(test_check_judge_ranges),
		cmocka_unit_test(test_check_judge_map_tools_must_be_privileged),
		cmocka_unit_test(test_check_judge_table_of_single_lacks),
		cmocka_unit_test(test_check_judge_packages_and_limits),
		cmocka_unit_test(test_check_judge_forwarding),
		cmocka_unit_test(test_check_judge_images_are_optional),
		cmocka_unit_test(test_idmap_find_free_in_steps_over_what_is_taken),
		cmocka_unit_test(test_kennel_check_read_has_lines_and_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
