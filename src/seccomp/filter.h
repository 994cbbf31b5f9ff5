/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * seccomp/filter.h - the system-call filters, compiled into classic BPF when kennel is built.
 *
 * A filter is constant data: choosing one costs nothing at start, loading it is one system call. See
 * syscalls.list for what is allowed and why.
 */
#ifndef KENNEL_SECCOMP_FILTER_H
#define KENNEL_SECCOMP_FILTER_H

#include <stdint.h>

struct sock_fprog;

/*
 * The filter for a sandbox whose bounding set is caps (bits 1 << CAP_*), or NULL on an architecture for which
 * none was built (the start then refuses: a protection that fails stops the start).
 */
const struct sock_fprog *seccomp_filter(uint64_t caps);

#endif
