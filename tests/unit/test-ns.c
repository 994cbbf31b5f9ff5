/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* unit/test-ns.c - why the kernel refused a namespace, told apart by errno, user and sysctls. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "ns/ns.h"
#include "sys/sys.h"

/* The sysctl that exists, and what it holds; all others are not there. */
static const char *sysctl_name, *sysctl_text;
static uid_t fake_uid;

int __wrap_open64(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...)
{
	if (!sysctl_name || strcmp(path, sysctl_name) != 0) {
		errno = ENOENT;
		return -1;
	}
	int fd = sys_memfd_create("sysctl", 0);
	if (write(fd, sysctl_text, strlen(sysctl_text)) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return -1;
	return fd;
}

int __wrap_open(const char *path, int flags, ...)
{
	return __wrap_open64(path, flags);
}

uid_t __wrap_geteuid(void);
uid_t __wrap_geteuid(void)
{
	return fake_uid;
}

#define MAX_USER_NS "/proc/sys/user/max_user_namespaces"
#define CLONE_KNOB "/proc/sys/kernel/unprivileged_userns_clone"
#define APPARMOR "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"

static const struct {
	unsigned long flags;
	int errnum;
	uid_t uid;
	const char *name, *text;
	int code;
	const char *message, *hint; /* parts */
} rows[] = {
	{ CLONE_NEWUSER, ENOSPC, 0, MAX_USER_NS, "0\n", KENNEL_E_UNSUPPORTED,
	  "switched off (user.max_user_namespaces is 0)", "sysctl user.max_user_namespaces=15000" },
	{ CLONE_NEWUSER, ENOSPC, 0, MAX_USER_NS, "15000\n", KENNEL_E_LIMIT, "no more user namespaces",
	  "end other sandboxes" },
	{ CLONE_NEWUSER, EUSERS, 0, NULL, NULL, KENNEL_E_LIMIT, "nested too deep",
	  "raise user.max_user_namespaces" },
	{ CLONE_NEWUSER, EPERM, 1000, CLONE_KNOB, "0\n", KENNEL_E_PERM, "for root only",
	  "unprivileged_userns_clone=1" },
	{ CLONE_NEWUSER, EPERM, 1000, CLONE_KNOB, "1\n", KENNEL_E_PERM, "may not be made here",
	  "outside of the chroot" },
	{ CLONE_NEWUSER, EPERM, 0, CLONE_KNOB, "0\n", KENNEL_E_PERM, "may not be made here", "--isolate ns" },
	{ CLONE_NEWUSER, EPERM, 1000, APPARMOR, "1\n", KENNEL_E_PERM, "AppArmor", "AppArmor profile" },
	{ CLONE_NEWUSER, EACCES, 1000, APPARMOR, "1\n", KENNEL_E_PERM, "AppArmor", "AppArmor profile" },
	{ CLONE_NEWUSER, EPERM, 0, APPARMOR, "1\n", KENNEL_E_PERM, "security module",
	  "as root with --isolate ns" },
	{ CLONE_NEWUSER, EPERM, 1000, APPARMOR, "0\n", KENNEL_E_PERM, "may not be made here",
	  "kennel outside" },
	{ CLONE_NEWUSER, EPERM, 0, MAX_USER_NS, "", KENNEL_E_PERM, "may not be made here", "kennel outside" },
	{ CLONE_NEWUSER, EINVAL, 0, NULL, NULL, KENNEL_E_UNSUPPORTED, "no user namespaces (CONFIG_USER_NS)",
	  "--isolate ns" },
	/* reading sysctls that are not there must not change what is told */
	{ CLONE_NEWUSER, ENOSYS, 1000, NULL, NULL, KENNEL_E_UNSUPPORTED,
	  "make a user namespace: Function not implemented", NULL },
	{ CLONE_NEWUSER, EBUSY, 0, NULL, NULL, KENNEL_E_BUSY,
	  "make a user namespace: Device or resource busy", NULL },
	{ CLONE_NEWUSER, EAGAIN, 1000, CLONE_KNOB, "0\n", KENNEL_E_LIMIT,
	  "start a process: Resource temporarily", "ulimit -u" },
	{ CLONE_NEWPID, ENOMEM, 0, NULL, NULL, KENNEL_E_NOMEM, "start a process: Cannot allocate memory",
	  "pids.max" },
	{ CLONE_NEWPID, EPERM, 1000, NULL, NULL, KENNEL_E_PERM, "without a user namespace need root",
	  "--isolate user" },
	{ CLONE_NEWPID, ENOSPC, 0, NULL, NULL, KENNEL_E_LIMIT, "no more namespaces", "/proc/sys/user/" },
	{ CLONE_NEWPID, ENODEV, 0, NULL, NULL, KENNEL_E_NOTFOUND, "make namespaces: No such device", NULL },
};

static void test_ns_explain_failure_tells_causes_apart(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_error_ struct kennel_error *err = NULL;

		sysctl_name = rows[i].name;
		sysctl_text = rows[i].text;
		fake_uid = rows[i].uid;
		int r = ns_explain_failure(rows[i].flags, rows[i].errnum, &err);
		const char *hint_text = kennel_error_hint(err);

		if (r != -rows[i].code || !strstr(kennel_error_message(err), rows[i].message))
			fail_msg("row %zu: %d \"%s\"", i, r, kennel_error_message(err));
		if (!rows[i].hint != !hint_text || (hint_text && !strstr(hint_text, rows[i].hint)))
			fail_msg("row %zu: hint \"%s\"", i, hint_text ? hint_text : "(none)");
		assert_int_equal(ns_explain_failure(rows[i].flags, rows[i].errnum, NULL), r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ns_explain_failure_tells_causes_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
