/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * base/cpulist.h - a set of processors as the kernel writes it: "0-3,5".
 */
#ifndef KENNEL_BASE_CPULIST_H
#define KENNEL_BASE_CPULIST_H

#include <stdint.h>

#include "base/macro.h"

#define CPULIST_MAX 8192 /* as many as any kernel can have */

struct cpulist {
	uint64_t words[CPULIST_MAX / 64];
};

/* A newline at the end is fine, as in files of the kernel. Return: how many, or -1: it is no such list. */
int cpulist_parse(const char *text, struct cpulist *ret) MUST_CHECK;
/* The first of a that is not in b, or -1. */
int cpulist_missing(const struct cpulist *a, const struct cpulist *b);

#endif
