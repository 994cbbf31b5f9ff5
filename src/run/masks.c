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
	{ "proc/scsi", true },
	{ "proc/sysrq-trigger", false },
	{ "proc/timer_list", false },
	{ "sys/devices/virtual/powercap", true },
	{ "sys/firmware", true },
};
const unsigned masks_n = ARRAY_SIZE(masks);

/* dynamic_debug asks for no capability: what it prints and logs is the whole kernel's. */
const char *const read_only_paths[] = { "proc/bus", "proc/dynamic_debug", "proc/fs", "proc/irq", "proc/sys" };
const unsigned read_only_paths_n = ARRAY_SIZE(read_only_paths);
