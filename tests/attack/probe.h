/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * probe.h - what the files of the attacker's program share: one function a sub-command, argv[0] being its
 * name.
 */
#ifndef KENNEL_TESTS_PROBE_H
#define KENNEL_TESTS_PROBE_H

#include <stdlib.h>

/* 0 where there is none. */
static inline int number(const char *text)
{
	return (int)strtol(text, NULL, 10);
}

int probe_calls(int argc, char **argv);
int probe_typing(int argc, char **argv);
int probe_terminal(int argc, char **argv);
int probe_forks(int argc, char **argv);
int probe_ptys(int argc, char **argv);
int probe_memory(int argc, char **argv);
int probe_inodes(int argc, char **argv);
int probe_deep(int argc, char **argv);

/* The 32-bit entry of an x86_64 kernel; pointers must lie below 4 GiB. Returns -errno. */
long call_int80(long nr, long a, long b, long c, long d, long e);

#endif
