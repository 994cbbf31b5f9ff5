/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* run/vm-talk.h - errands of a guest about files (vm/program/errand.h), which end with a report. */
#ifndef KENNEL_RUN_VM_TALK_H
#define KENNEL_RUN_VM_TALK_H

#include <stdbool.h>

#include "run/vm-errand.h"

struct copy_report;

struct vm_talk {
	struct vm_errand errand;
	int report_fd;
};

/* As vm_errand_start(); in_fd and out_fd: below 0 for nothing. */
int vm_talk_begin(const struct vm_guest *g, const char *const *words, int in_fd, int out_fd,
		  struct vm_talk *ret, struct kennel_error **err) MUST_CHECK;
/*
 * What the guest says became of it, into *ret, which is empty before. It may say anything. Return: 0, what
 * the report says went wrong, or why there is none.
 */
int vm_talk_end(struct vm_talk *t, struct copy_report *ret, struct kennel_error **err) MUST_CHECK;

/* ext4_unpack() of what a guest sends. */
struct unpack_where;
int vm_talk_unpack(int stream_fd, const struct unpack_where *where, struct kennel_error **err) MUST_CHECK;

/*
 * Where both failed: taken, what became of the files on this side, is the cause, not r of vm_talk_end(). Of a
 * guest that is gone this side hears only that nothing more comes, which is CORRUPT.
 */
bool vm_talk_is_cause(int taken, int r, const struct copy_report *report);

#endif
