/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ns/ns.c - see ns.h. Looks at the sysctls only after a failure: a start that works pays nothing. */
#include "ns/ns.h"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>

#include "base/cleanup.h"

long ns_read_sysctl(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[32];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n <= 0)
		return -1;
	text[n] = '\0';
	return strtol(text, NULL, 10);
}

static int explain_user(int errnum, struct kennel_error **err)
{
	if (ns_read_sysctl("/proc/sys/user/max_user_namespaces") == 0)
		return hint(err,
			    fail(err, KENNEL_E_UNSUPPORTED,
				 "user namespaces are switched off (user.max_user_namespaces is 0)"),
			    "sysctl user.max_user_namespaces=15000");
	if (geteuid() != 0 && ns_read_sysctl("/proc/sys/kernel/unprivileged_userns_clone") == 0)
		return hint(err,
			    fail(err, KENNEL_E_PERM,
				 "user namespaces are for root only (kernel.unprivileged_userns_clone is 0)"),
			    "sysctl kernel.unprivileged_userns_clone=1, or run kennel as root");
	if (geteuid() != 0 && ns_read_sysctl("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == 1)
		return hint(err,
			    fail(err, KENNEL_E_PERM,
				 "AppArmor keeps user namespaces from programs without a profile"),
			    "install kennel's AppArmor profile, or run kennel as root");
	if (errnum == ENOSPC || errnum == EUSERS)
		return hint(
			err,
			fail(err, KENNEL_E_LIMIT,
			     "no more user namespaces can be made (nested too deep, or user.max_user_namespaces is reached)"),
			"end other sandboxes, or raise user.max_user_namespaces");
	if (errnum == EINVAL)
		return hint(err,
			    fail(err, KENNEL_E_UNSUPPORTED,
				 "this kernel has no user namespaces (CONFIG_USER_NS)"),
			    "use --isolate ns as root");
	if (errnum == EPERM)
		return hint(
			err,
			fail(err, KENNEL_E_PERM,
			     "a user namespace may not be made here (chroot, seccomp or a security module)"),
			"run kennel outside of the chroot or container, or as root with --isolate ns");
	errno = errnum;         /* only now: reading the sysctls changes it */
	return fail_errno(err, "make a user namespace");
}

int ns_explain_failure(unsigned long clone_flags, int errnum, struct kennel_error **err)
{
	if (errnum == ENOMEM || errnum == EAGAIN) {
		errno = errnum;
		return hint(err, fail_errno(err, "start a process"),
			    "a limit on processes was reached: ulimit -u, or pids.max of the control group");
	}
	if (clone_flags & CLONE_NEWUSER)
		return explain_user(errnum, err);
	if (errnum == EPERM)
		return hint(err, fail(err, KENNEL_E_PERM, "namespaces without a user namespace need root"),
			    "run kennel as root, or use --isolate user");
	if (errnum == ENOSPC)
		return hint(err, fail(err, KENNEL_E_LIMIT, "no more namespaces can be made"),
			    "end other sandboxes, or raise the limits in /proc/sys/user/");
	errno = errnum;
	return fail_errno(err, "make namespaces");
}
