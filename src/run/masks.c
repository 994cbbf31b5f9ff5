/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* run/masks.c - see masks.h. */
#include "run/masks.h"

#include "base/macro.h"

const struct child_mask masks[] = {
	{ "proc/acpi", true },
	{ "proc/asound", true },
	{ "proc/kcore", false },
	{ "proc/keys", false },
	{ "proc/kmsg", false },
	{ "proc/latency_stats", false },
	{ "proc/sched_debug", false },
	{ "proc/scsi", true },
	{ "proc/sysrq-trigger", false },
	{ "proc/timer_list", false },
	{ "proc/timer_stats", false },
	{ "sys/firmware", true },
	{ "sys/kernel/debug", true },
	{ "sys/kernel/security", true },
	{ "sys/kernel/tracing", true },
	{ "sys/devices/virtual/powercap", true },
};
const unsigned masks_n = ARRAY_SIZE(masks);

const char *const read_only_paths[] = { "proc/bus", "proc/fs", "proc/irq", "proc/sys" };
const unsigned read_only_paths_n = ARRAY_SIZE(read_only_paths);
