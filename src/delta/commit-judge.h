/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* delta/commit-judge.h - shared by the two halves of a commit. */
#ifndef KENNEL_DELTA_COMMIT_JUDGE_H
#define KENNEL_DELTA_COMMIT_JUDGE_H

#include "delta/commit.h"

/* The directory of an absolute path, below the root, no link followed. Return: O_PATH descriptor or code. */
int commit_open_parent(int root_fd, const char *path, struct kennel_error **err) MUST_CHECK;

#endif
