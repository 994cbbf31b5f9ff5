/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vm/elf.h - which files a program needs to be started: its loader and its libraries. */
#ifndef KENNEL_VM_ELF_H
#define KENNEL_VM_ELF_H

#include <stddef.h>

#include "base/error.h"
#include "base/strv.h"

#define ELF_NEEDS_MAX 16

struct elf_needs { /* strings lie in the file that was read */
	const char *interpreter; /* NULL: none, it is static */
	const char *names[ELF_NEEDS_MAX];
	unsigned n;
};

/*
 * Reads a 64-bit program of this machine's byte order, which may be anybody's work. Pure. Return: 0, or -1 it
 * is none.
 */
int elf_read_needs(const void *data, size_t size, struct elf_needs *ret) MUST_CHECK;

/*
 * Where they are, and what those need in turn: in the system's own directories, as the loader looks without
 * an environment. Return: 0 and what is the caller's; MISSING, CORRUPT.
 */
int elf_find_libraries(const struct elf_needs *needs, char **ret_interpreter, struct strv *ret,
		       struct kennel_error **err) MUST_CHECK;

#endif
