/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cgroup/permit.c - devices of a group that is in use: one more, or one less. */
#include <fcntl.h>
#include <unistd.h>

#include "cgroup/group.h"
#include "device/device.h"

static int permit_v1(int group_fd, const struct device_policy *which, bool on, struct kennel_error **err)
{
	const char *file = on ? "devices.allow" : "devices.deny";
	char line[48];

	for (size_t i = 0; i < which->n; i++) {
		if (!which->rules[i].asked)
			continue;
		if (device_policy_v1(which, i, line, sizeof(line)) < 0)
			return fail(err, KENNEL_E_INVALID, "device rule %zu does not fit into a line", i);
		if (cgroup_write(group_fd, file, line) < 0)
			return fail_errno(err, "write \"%s\" to \"%s\" of the control group", line, file);
	}
	return 0;
}

int cgroup_permit(const char *of_text, const struct device_policy *all, const struct device_policy *which,
		  bool on, struct kennel_error **err)
{
	_cleanup_close_ int fd = -EBADF;
	bool v2 = false;

	int r = cgroup_open_made(of_text, CGROUP_DEVICES, &fd, &v2, err);
	if (r <= 0)
		return r;
	if (v2)
		return device_policy_replace_v2(all, fd, err);
	r = permit_v1(fd, which, on, err);
	return r < 0 ? r : 1;
}
