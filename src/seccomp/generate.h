/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * seccomp/generate.h - what the two halves of the generator share: rules.c says which verdict each number of
 * an architecture gets, program.c turns that into BPF and C.
 *
 * The generator runs while kennel is built and is no part of it: it prints to stderr and exits at the first
 * mistake.
 */
#ifndef KENNEL_SECCOMP_GENERATE_H
#define KENNEL_SECCOMP_GENERATE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum verdict {
	V_ABSENT,
	V_REFUSE,
	V_ALLOW,
	V_IOCTL,
	V_SOCKET,
	V_CLONE,
	V_PERSONALITY,
	V_COUNT, /* those above can stand in a program, */
	V_GONE = V_COUNT, /* this one only in the list */
	V_NAMES,
};
enum variant { PLAIN, ADMIN, VARIANT_COUNT };
enum { MAX_RULES = 700, MAX_INTERVALS = 256 };

struct rule {
	char name[40];
	enum verdict verdict[VARIANT_COUNT];
};

struct rules {
	struct rule rule[MAX_RULES];
	size_t count;
};

/* All numbers from first to the next interval's first - 1; the last one reaches up to 2^32 - 1. */
struct interval {
	uint32_t first;
	enum verdict verdict;
};

struct intervals {
	struct interval at[MAX_INTERVALS];
	size_t count;
};

struct arch {
	const char *name;
	uint32_t token; /* AUDIT_ARCH_*, which is libseccomp's SCMP_ARCH_* too */
	const struct number *own;
	size_t own_count;
};

_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));
void rules_read(const char *path, struct rules *ret);
void rules_check(const struct rules *rules, const struct arch *arches, size_t count);
void rules_to_intervals(const struct rules *rules, enum variant variant, const struct arch *arch,
			struct intervals *ret);
void program_print(FILE *out, const char *name, const struct arch arches[2], const struct intervals in[2]);

#endif
