/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit/test-device.c - the device policy as rules and as text. Whether the kernel obeys is tested in
 * test-cgroup.c, where there are groups; here sys_bpf() is replaced, so that refusals of a kernel that we
 * don't have can be seen.
 */
#include "unit.h"

#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "device/device.h"
#include "sys/sys.h"

static int bpf_errno[2]; /* what loading and attaching answer; 0: success */
static unsigned attach_flags;

int __wrap_sys_bpf(int cmd, void *attr, size_t size);
int __wrap_sys_bpf(int cmd, void *attr, size_t size)
{
	const union bpf_attr *a = attr;

	errno = bpf_errno[cmd == BPF_PROG_ATTACH];
	if (errno)
		return -1;
	if (cmd == BPF_PROG_ATTACH) {
		attach_flags = a->attach_flags;
		return 0;
	}
	return dup(0); /* NOLINT: stands for the program's descriptor */
}

static bool has_line(const struct device_policy *p, const char *line)
{
	char text[48];

	for (size_t i = 0; i < p->n; i++)
		if (device_policy_v1(p, i, text, sizeof(text)) == (int)strlen(line) && !strcmp(text, line))
			return true;
	return false;
}

static void test_policy_default_is_the_short_list(void **state)
{
	static const char *const lines[] = {
		"c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm", "c 1:8 rwm", "c 1:9 rwm",
		"c 5:0 rwm", "c *:* m",	  "c 5:1 rw",  "c 5:2 rw",  "c 136:* rw"
	};
	_cleanup_device_policy_ struct device_policy *p = NULL;

	assert_int_equal(device_policy_new(&p, NULL), 0);
	assert_int_equal(p->n, ARRAY_SIZE(lines));
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		assert_true(has_line(p, lines[i]));
	for (size_t i = 0; i < p->n; i++) {
		assert_int_equal(p->rules[i].type, 'c');
		assert_false(p->rules[i].asked);
	}
}

static void test_nodes_are_what_the_host_has(void **state)
{
	for (size_t i = 0; i < device_nodes_n; i++) {
		char path[32];
		struct stat st;

		(void)!snprintf(path, sizeof(path), "/dev/%s", device_nodes[i].name);
		assert_int_equal(stat(path, &st), 0);
		assert_true(S_ISCHR(st.st_mode));
		assert_int_equal(major(st.st_rdev), device_nodes[i].major);
		assert_int_equal(minor(st.st_rdev), device_nodes[i].minor);
	}
}

static void test_allow_takes_the_number_through_links(void **state)
{
	_cleanup_device_policy_ struct device_policy *p = NULL;
	char dir[] = "/tmp/test-device.XXXXXX", link[64];

	assert_int_equal(device_policy_new(&p, NULL), 0);
	assert_non_null(mkdtemp(dir));
	(void)!snprintf(link, sizeof(link), "%s/link", dir);
	assert_int_equal(symlink("/dev/null", link), 0);
	assert_int_equal(device_policy_allow(p, link, true, false, false, NULL), 0);
	assert_true(p->rules[p->n - 1].asked);
	assert_true(has_line(p, "c 1:3 r"));
	unlink(link);
	rmdir(dir);
}

static void test_allow_refuses_what_is_no_device(void **state)
{
	static const struct {
		const char *path;
		bool read;
		int code;
		const char *text;
	} cases[] = {
		{ "/etc/passwd", true, KENNEL_E_TYPE,
		  "allow the device \"/etc/passwd\": it is not a device" },
		{ "/dev", true, KENNEL_E_TYPE, "it is not a device" },
		{ "/dev/no-such", true, KENNEL_E_NOTFOUND,
		  "allow the device \"/dev/no-such\": No such file or directory" },
		{ "/dev/null", false, KENNEL_E_INVALID, "neither r, w nor m" },
	};
	_cleanup_device_policy_ struct device_policy *p = NULL;
	size_t before;

	assert_int_equal(device_policy_new(&p, NULL), 0);
	before = p->n;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_error_ struct kennel_error *err = NULL;

		assert_int_equal(device_policy_allow(p, cases[i].path, cases[i].read, false, false, &err),
				 -cases[i].code);
		assert_non_null(strstr(kennel_error_message(err), cases[i].text));
	}
	assert_int_equal(p->n, before);
}

static void test_v1_too_small_is_refused(void **state)
{
	struct device_rule rule = { .type = 'b',
				    .major = 4294967295u,
				    .minor = 4294967295u,
				    .read = true,
				    .write = true,
				    .make = true };
	const struct device_policy p = { &rule, 1 };
	char text[48];

	assert_int_equal(device_policy_v1(&p, 0, text, 27), -1);
	assert_int_equal(device_policy_v1(&p, 0, text, sizeof(text)), 27);
	assert_string_equal(text, "b 4294967295:4294967295 rwm");
}

static void test_v2_refusals_say_what_to_do(void **state)
{
	static const struct {
		int load, attach, code;
		const char *text, *hint;
	} cases[] = {
		{ EPERM, 0, KENNEL_E_PERM, "load the device policy into the kernel",
		  "capabilities BPF and NET_ADMIN" },
		{ EINVAL, 0, 0, "load the device policy into the kernel", "CONFIG_CGROUP_BPF" },
		{ 0, EPERM, KENNEL_E_PERM, "attach the device policy", "bpftool cgroup tree" },
		{ 0, 0, 0, NULL, NULL },
	};
	_cleanup_device_policy_ struct device_policy *p = NULL;

	assert_int_equal(device_policy_new(&p, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_error_ struct kennel_error *err = NULL;
		int r;

		bpf_errno[0] = cases[i].load;
		bpf_errno[1] = cases[i].attach;
		r = device_policy_attach_v2(p, 0, &err);
		if (!cases[i].text) {
			assert_int_equal(r, 0);
			assert_int_equal(attach_flags, BPF_F_ALLOW_MULTI);
			continue;
		}
		assert_true(cases[i].code ? r == -cases[i].code : r < 0);
		assert_int_equal(kennel_error_errno(err), cases[i].load + cases[i].attach);
		assert_non_null(strstr(kennel_error_message(err), cases[i].text));
		assert_non_null(strstr(kennel_error_hint(err), cases[i].hint));
	}
}

static void test_v2_too_many_rules_are_a_limit(void **state)
{
	static struct device_rule rules[300];
	const struct device_policy p = { rules, ARRAY_SIZE(rules) };
	_cleanup_error_ struct kennel_error *err = NULL;

	assert_int_equal(device_policy_attach_v2(&p, 0, &err), -KENNEL_E_LIMIT);
	assert_non_null(strstr(kennel_error_message(err), "300 device rules"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_policy_default_is_the_short_list),
		cmocka_unit_test(test_nodes_are_what_the_host_has),
		cmocka_unit_test(test_allow_takes_the_number_through_links),
		cmocka_unit_test(test_allow_refuses_what_is_no_device),
		cmocka_unit_test(test_v1_too_small_is_refused),
		cmocka_unit_test(test_v2_refusals_say_what_to_do),
		cmocka_unit_test(test_v2_too_many_rules_are_a_limit),
	};

	return cmocka_run_group_tests_name("device", tests, NULL, NULL);
}
