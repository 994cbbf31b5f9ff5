/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* caps/caps-apply.c - runs in the child before exec: system calls only. */
#include <errno.h>
#include <linux/prctl.h>

#include "caps/caps.h"
#include "sys/sys.h"

int caps_apply(uint64_t mask, unsigned last_cap)
{
	for (unsigned cap = 0; cap <= last_cap; cap++)
		if (!(mask & (UINT64_C(1) << cap)) && sys_prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 &&
		    errno != EINVAL)
			return -1;
	if (sys_prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return -1;
	struct sys_cap_data data[2] = {
		{ .effective = (uint32_t)mask, .permitted = (uint32_t)mask },
		{ .effective = (uint32_t)(mask >> 32), .permitted = (uint32_t)(mask >> 32) },
	};
	struct sys_cap_data now[2];
	if (sys_capget(now) < 0)
		return -1;
	for (unsigned i = 0; i < 2; i++) {      /* one can't gain: asking for more would fail as a whole */
		data[i].permitted &= now[i].permitted;
		data[i].effective = data[i].permitted;
	}
	return sys_capset(data);
}
