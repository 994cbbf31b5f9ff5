/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/vm-file.h - a container in one file (-f) whose guest (--isolate vm) has the file itself as its disk,
 * with the whole delta on it.
 *
 * What the guest finds there is the delta of one view of all mounts, with nothing in it that kennel put in:
 * that is below, in memory. A file that was last used so is taken as it is. One of another level is arranged
 * first, once: unpacked and packed again, by root, too, for this machine's kernel is not to mount what a
 * guest was asked for against.
 */
#ifndef KENNEL_RUN_VM_FILE_H
#define KENNEL_RUN_VM_FILE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"
#include "conf/spec.h"
#include "run/file.h"

struct keep;

/* What a file is opened, or made, for. */
struct keep_filling {
	const struct spec *asked;
	const struct buf *config; /* of a new one */
};

/* file_wish.for_guest, with a struct keep_filling. */
enum file_guest vm_file_judge(void *data, const struct buf *config, const struct buf *manifest);

/*
 * Makes it so. From then on k has neither a delta nor a directory. *ret: where the file is, the caller's.
 * UNSUPPORTED: it can't be.
 */
int vm_file_prepare(struct keep *k, char **ret, struct kennel_error **err) MUST_CHECK;

#endif
