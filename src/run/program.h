/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/program.h - kennel's own helper programs: where they were installed or, in a build tree, beside
 * this program.
 * They have the caller's own rights and no more, so being found at another place gives nobody anything.
 */
#ifndef KENNEL_RUN_PROGRAM_H
#define KENNEL_RUN_PROGRAM_H

#include "base/error.h"

/* build_dir: its folder below src. Return: 0 and *ret, the caller's, or MISSING without a hint. */
int program_find(const char *name, const char *build_dir, char **ret, struct kennel_error **err) MUST_CHECK;

#endif
