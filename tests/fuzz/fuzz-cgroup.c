/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz/fuzz-cgroup.c - the two texts that say where control groups are: mountinfo, a NUL byte, then
 * /proc/PID/cgroup.
 *
 * Our own group's path can be chosen by whoever made it, and mount points by whoever mounts. The promises
 * looked after: a visible group's path stays below the mounted directory, and every slice lies in the text it
 * came from.
 */
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cgroup/layout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool lies_in(struct cgroup_slice s, const char *text)
{
	return s.text >= text && s.text + s.len <= text + strlen(text);
}

static void check_path(const char *path)
{
	if (path[0] == '/')
		abort();
	for (const char *p = path; p; p = strchr(p, '/') ? strchr(p, '/') + 1 : NULL)
		if (!strncmp(p, "..", 2) && (p[2] == '/' || !p[2]))
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *mounts = malloc(size + 2);
	struct cgroup_layout layout;
	char text[PATH_MAX];
	char *self;

	if (!mounts)
		return 0;
	if (size)
		memcpy(mounts, data, size);
	mounts[size] = mounts[size + 1] = '\0';
	self = mounts + strlen(mounts) + 1;
	cgroup_layout_parse(mounts, self, &layout);
	if (layout.n > CGROUP_MOUNTS_MAX)
		abort();
	for (unsigned i = 0; i < layout.n; i++) {
		const struct cgroup_mount *m = &layout.mounts[i];

		if (!lies_in(m->point, mounts) || (m->visible && !lies_in(m->own, self)))
			abort();
		if (cgroup_unescape(m->point, text, sizeof(text)) == 0 && strlen(text) > m->point.len)
			abort();
		if (m->visible && cgroup_copy(m->own, text, sizeof(text)) == 0)
			check_path(text);
	}
	return 0;
}
