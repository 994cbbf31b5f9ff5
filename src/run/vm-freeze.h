/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* run/vm-freeze.h - a guest stands still without a control group. */
#ifndef KENNEL_RUN_VM_FREEZE_H
#define KENNEL_RUN_VM_FREEZE_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

/*
 * init: of the sandbox, which the caller holds by a pidfd. Once it returns 0 nothing of the guest runs. BUSY:
 * it boots or ends, or does not stand still in two seconds, and goes on.
 */
int vm_freeze(pid_t init, struct kennel_error **err) MUST_CHECK;
int vm_thaw(pid_t init, struct kennel_error **err) MUST_CHECK;
bool vm_is_frozen(pid_t init);

#endif
