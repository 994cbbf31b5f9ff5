/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/program-file.h - kennel's own programs for the inside, kennel-init (init.h) and kennel-vm
 * (vm/blob.h), as sealed files in memory, which nobody inside can write into.
 */
#ifndef KENNEL_RUN_PROGRAM_FILE_H
#define KENNEL_RUN_PROGRAM_FILE_H

#include "base/error.h"

/* Return: descriptor, close-on-exec, or a negative code. */
int program_file_init(struct kennel_error **err) MUST_CHECK;
int program_file_vm(struct kennel_error **err) MUST_CHECK;

#endif
