/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ns/ns.h - what the kernel says about namespaces, in words that tell a person what to do. */
#ifndef KENNEL_NS_NS_H
#define KENNEL_NS_NS_H

#include "base/error.h"

/*
 * Why clone3() with these namespaces failed with errnum: tells the sysctl, AppArmor's restriction, the limit
 * and the missing right apart. Always returns the negative code and sets *err with a hint.
 */
int ns_explain_failure(unsigned long clone_flags, int errnum, struct kennel_error **err);

/* The number in a file of /proc/sys, or -1 where it is not there. */
long ns_read_sysctl(const char *path);

#endif
