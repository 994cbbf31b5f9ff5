/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vm/kernel.h - the kernel that runs as a program (User Mode Linux): where it is, which one it is, and what
 * it needs beside it to run where nothing else of the machine is.
 */
#ifndef KENNEL_VM_KERNEL_H
#define KENNEL_VM_KERNEL_H

#include <stdbool.h>

#include "base/error.h"
#include "base/strv.h"

#define VM_MODULES_DIR "/usr/lib/uml/modules" /* of Debian's package; a directory for each release in it */

struct vm_kernel {
	char *path; /* of the program */
	char *release; /* "6.1.176" */
	char *modules_dir; /* its modules, or NULL: there are none installed */
	char *interpreter; /* the dynamic loader, as the program names it; NULL: it is static */
	struct strv libraries; /* paths; the last part is the name that is looked for */
	/*
	 * It knows less of this processor's registers than there are, and would ruin them: remedy.c has to be
	 * loaded into it.
	 */
	bool needs_remedy;
};

/*
 * Finds the kernel: at given, or where distributions install it. Return: 0 and *ret, the caller's to release;
 * MISSING there is none (with the package in the hint), TYPE it is something else, UNSUPPORTED it can't be
 * used here.
 */
int vm_kernel_find(const char *given, struct vm_kernel *ret, struct kennel_error **err) MUST_CHECK;
void vm_kernel_done(struct vm_kernel *k);

/* Is a release, "6.13.0-rc1", one that asks the machine how large the state of its registers is? */
bool vm_release_knows_registers(const char *release);
/* Bytes of register state that this processor has, as ptrace() hands them out; 0: it does not say. */
unsigned vm_register_bytes(void);

#endif
