/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* unit/test-caps.c - capability sets, and a process that really gives them up. */
#include "unit.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/macro.h"
#include "caps/caps.h"
#include "sys/sys.h"

#define BIT(cap) (UINT64_C(1) << (cap))

static int fail_option, fail_errno_value; /* this prctl option fails */
static bool fail_capget;
static unsigned capset_calls;

int __real_sys_prctl(int option, unsigned long a2, unsigned long a3, unsigned long a4, unsigned long a5);
int __wrap_sys_prctl(int option, unsigned long a2, unsigned long a3, unsigned long a4, unsigned long a5);
int __wrap_sys_prctl(int option, unsigned long a2, unsigned long a3, unsigned long a4, unsigned long a5)
{
	if (fail_option && option == fail_option) {
		errno = fail_errno_value;
		return -1;
	}
	return fail_option ? 0 : __real_sys_prctl(option, a2, a3, a4, a5);
}

int __real_sys_capget(struct sys_cap_data ret_data[2]);
int __wrap_sys_capget(struct sys_cap_data ret_data[2]);
int __wrap_sys_capget(struct sys_cap_data ret_data[2])
{
	if (fail_capget) {
		errno = EFAULT;
		return -1;
	}
	return __real_sys_capget(ret_data);
}

int __real_sys_capset(const struct sys_cap_data data[2]);
int __wrap_sys_capset(const struct sys_cap_data data[2]);
int __wrap_sys_capset(const struct sys_cap_data data[2])
{
	capset_calls++;
	return fail_option || fail_capget ? 0 : __real_sys_capset(data);
}

static void test_caps_default_ns_lacks_what_reaches_the_machine(void **state)
{
	static const unsigned none[] = { CAP_SYS_MODULE,      CAP_SYS_TIME,	CAP_SYSLOG,
					 CAP_SYS_ADMIN,	      CAP_SYS_RAWIO,	CAP_SYS_BOOT,
					 CAP_NET_ADMIN,	      CAP_SYS_PTRACE,	CAP_MAC_ADMIN,
					 CAP_AUDIT_CONTROL,   CAP_BPF,		CAP_PERFMON,
					 CAP_SYS_NICE,	      CAP_SYS_RESOURCE, CAP_LINUX_IMMUTABLE,
					 CAP_DAC_READ_SEARCH, CAP_IPC_OWNER,	CAP_WAKE_ALARM };

	for (size_t i = 0; i < ARRAY_SIZE(none); i++)
		if (caps_default_ns() & BIT(none[i]))
			fail_msg("capability %u is in the default set", none[i]);
	assert_int_equal(__builtin_popcountll(caps_default_ns()), 14);
	assert_int_equal(caps_default_ns() & ~caps_all(), 0);
}

static void test_caps_all_is_what_the_kernel_knows(void **state)
{
	unsigned last = 63 - (unsigned)__builtin_clzll(caps_all());

	assert_int_equal(caps_all() & (caps_all() + 1), 0); /* no gap */
	assert_true(sys_prctl(PR_CAPBSET_READ, last, 0, 0, 0) >= 0);
	assert_int_equal(sys_prctl(PR_CAPBSET_READ, last + 1, 0, 0, 0), -1);
}

static const struct {
	uint64_t base, add, drop, want;
} combinations[] = {
	{ 0x0f, 0, 0, 0x0f },
	{ 0x0f, 0xf0, 0, 0xff },
	{ 0x0f, 0, 0x03, 0x0c },
	{ 0x0f, 0x10, 0x10, 0x0f },
	{ 0x0f, 0x10, UINT64_MAX, 0x10 },
	{ 0x0f, 0, UINT64_MAX, 0 },
	{ 0x0f, 0xff, 0x80, 0x7f },
	{ 0, 0, 0, 0 },
};

static void test_caps_combine_drop_wins_but_all_leaves_what_is_added(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(combinations); i++)
		if (caps_combine(combinations[i].base, combinations[i].add, combinations[i].drop) !=
		    combinations[i].want)
			fail_msg("row %zu", i);
}

/* In a child. Return: 0, or which set is not as it should be. */
static int apply_and_look(uint64_t mask)
{
	unsigned last = 63 - (unsigned)__builtin_clzll(caps_all());
	uint64_t bound = 0;
	struct sys_cap_data d[2];

	/* What the test itself has not got can't be kept. */
	for (unsigned cap = 0; cap <= last; cap++)
		if (sys_prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1)
			bound |= BIT(cap);
	if (caps_apply(mask, last) < 0)
		return 1;
	mask &= bound;
	if (sys_capget(d) < 0)
		return 2;
	if ((d[0].permitted | (uint64_t)d[1].permitted << 32) != mask ||
	    (d[0].effective | (uint64_t)d[1].effective << 32) != mask)
		return 3;
	if (d[0].inheritable || d[1].inheritable)
		return 4;
	for (unsigned cap = 0; cap <= last; cap++)
		if (sys_prctl(PR_CAPBSET_READ, cap, 0, 0, 0) != !!(mask & BIT(cap)))
			return 5;
	/* Asking for more is no error and gives nothing. */
	if (caps_apply(caps_all(), last) < 0 || sys_capget(d) < 0)
		return 6;
	return (d[0].permitted | (uint64_t)d[1].permitted << 32) == mask ? 0 : 7;
}

static void test_caps_apply_leaves_just_these(void **state)
{
	const uint64_t masks[] = { BIT(CAP_CHOWN), caps_default_ns(), BIT(CAP_CHOWN) | BIT(CAP_BPF), 0 };
	struct sys_cap_data d[2];

	assert_int_equal(sys_capget(d), 0);
	if (!(d[0].effective & BIT(CAP_SETPCAP)) || !(d[0].effective & BIT(CAP_CHOWN)))
		skip_test("needs root");
	for (size_t i = 0; i < ARRAY_SIZE(masks); i++) {
		int status;
		pid_t pid = fork();

		if (pid == 0)
			_exit(apply_and_look(masks[i]));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
}

static void test_caps_apply_a_refusal_is_told_and_nothing_is_set(void **state)
{
	static const struct {
		int option, errnum, want;
		unsigned sets;
	} rows[] = {
		{ PR_CAPBSET_DROP, EPERM, -1, 0 },
		{ PR_CAPBSET_DROP, EINVAL, 0, 1 }, /* a capability that this kernel has not */
		{ PR_CAP_AMBIENT, EINVAL, -1, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		capset_calls = 0;
		fail_option = rows[i].option;
		fail_errno_value = rows[i].errnum;
		int r = caps_apply(0, 40);
		int errnum = errno;
		fail_option = 0;
		assert_int_equal(r, rows[i].want);
		if (r < 0)
			assert_int_equal(errnum, rows[i].errnum);
		assert_int_equal(capset_calls, rows[i].sets);
	}
	capset_calls = 0;
	fail_capget = true;
	fail_option = -1; /* no prctl is really done */
	assert_int_equal(caps_apply(0, 40), -1);
	fail_capget = false;
	fail_option = 0;
	assert_int_equal(capset_calls, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_caps_default_ns_lacks_what_reaches_the_machine),
		cmocka_unit_test(test_caps_all_is_what_the_kernel_knows),
		cmocka_unit_test(test_caps_combine_drop_wins_but_all_leaves_what_is_added),
		cmocka_unit_test(test_caps_apply_leaves_just_these),
		cmocka_unit_test(test_caps_apply_a_refusal_is_told_and_nothing_is_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
