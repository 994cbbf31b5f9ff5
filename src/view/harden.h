/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* view/harden.h - what both servers give up before they look at anything. */
#ifndef KENNEL_VIEW_HARDEN_H
#define KENNEL_VIEW_HARDEN_H

#include <stddef.h>

/*
 * Closes all descriptors but the given ones, takes the right to gain rights, to be dumped and (Landlock,
 * where the kernel has it) to change any file. -1 and errno.
 */
int view_harden(const int *ours, size_t n, const char *name);

#endif
