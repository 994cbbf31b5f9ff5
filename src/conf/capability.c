/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * conf/capability.c - see capability.h. A table of our own: libcap would be the one library on the start
 * path besides libc. Capabilities newer than the table exist only as part of ALL.
 */
#include "conf/capability.h"

#include <linux/capability.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#define NAME(n) [CAP_##n] = #n
static const char *const names[] = {
	NAME(CHOWN),
	NAME(DAC_OVERRIDE),
	NAME(DAC_READ_SEARCH),
	NAME(FOWNER),
	NAME(FSETID),
	NAME(KILL),
	NAME(SETGID),
	NAME(SETUID),
	NAME(SETPCAP),
	NAME(LINUX_IMMUTABLE),
	NAME(NET_BIND_SERVICE),
	NAME(NET_BROADCAST),
	NAME(NET_ADMIN),
	NAME(NET_RAW),
	NAME(IPC_LOCK),
	NAME(IPC_OWNER),
	NAME(SYS_MODULE),
	NAME(SYS_RAWIO),
	NAME(SYS_CHROOT),
	NAME(SYS_PTRACE),
	NAME(SYS_PACCT),
	NAME(SYS_ADMIN),
	NAME(SYS_BOOT),
	NAME(SYS_NICE),
	NAME(SYS_RESOURCE),
	NAME(SYS_TIME),
	NAME(SYS_TTY_CONFIG),
	NAME(MKNOD),
	NAME(LEASE),
	NAME(AUDIT_WRITE),
	NAME(AUDIT_CONTROL),
	NAME(SETFCAP),
	NAME(MAC_OVERRIDE),
	NAME(MAC_ADMIN),
	NAME(SYSLOG),
	NAME(WAKE_ALARM),
	NAME(BLOCK_SUSPEND),
	NAME(AUDIT_READ),
	NAME(PERFMON),
	NAME(BPF),
	NAME(CHECKPOINT_RESTORE),
};
#undef NAME

const char *capability_name(unsigned cap)
{
	return cap < ARRAY_SIZE(names) ? names[cap] : NULL;
}

int capability_parse(const char *name, uint64_t *ret_mask, struct suggestion *near)
{
	const char *bare = strncasecmp(name, "cap_", 4) == 0 ? name + 4 : name;
	char upper[40];
	size_t n = strlen(bare);

	if (strcasecmp(name, "all") == 0) {
		*ret_mask = UINT64_MAX;
		return 0;
	}
	if (n >= sizeof(upper))
		return -1;
	for (size_t i = 0; i <= n;
	     i++) { /* toupper() depends on the locale: "i" becomes another letter in Turkish */
		bool small = bare[i] >= 'a' && bare[i] <= 'z';

		upper[i] = (char)(small ? bare[i] - 'a' + 'A' : bare[i]);
	}
	for (unsigned cap = 0; cap < ARRAY_SIZE(names); cap++) {
		if (strcmp(upper, names[cap]) == 0) {
			*ret_mask = UINT64_C(1) << cap;
			return 0;
		}
		if (near)
			suggest_offer(near, upper, names[cap]);
	}
	return -1;
}
