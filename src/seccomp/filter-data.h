/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* seccomp/filter-data.h - the programs that generate-filter makes out of syscalls.list. */
#ifndef KENNEL_SECCOMP_FILTER_DATA_H
#define KENNEL_SECCOMP_FILTER_DATA_H

#include <linux/filter.h>

extern const struct sock_fprog seccomp_plain; /* without CAP_SYS_ADMIN */
extern const struct sock_fprog seccomp_admin;

#endif
