/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * seccomp/filter.c - which of the filters made at build time a sandbox gets.
 *
 * There are two, not one for each set of capabilities: the calls that CAP_SYS_ADMIN opens are those that
 * would be of use to somebody without it (namespaces, mounts). For all others the kernel's own capability
 * check is as good, or the list refuses them to everybody.
 */
#include "seccomp/filter.h"

#include "seccomp/filter-data.h"

#include <linux/capability.h>
#include <stddef.h>

/*
 * x32 as the native entry has no table, nor has big-endian ARM: the argument checks read the low half of a
 * little-endian argument.
 */
#if (defined(__x86_64__) && defined(__LP64__)) || \
	(defined(__aarch64__) && defined(__AARCH64EL__) && defined(__LP64__))

const struct sock_fprog *seccomp_filter(uint64_t caps)
{
	return caps & UINT64_C(1) << CAP_SYS_ADMIN ? &seccomp_admin : &seccomp_plain;
}

#else

const struct sock_fprog *seccomp_filter(uint64_t caps)
{
	(void)caps;
	return NULL;
}

#endif
