/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* delta/count.c - how many changes a delta holds, without a look at the base. */
#include "delta/layout.h"

#include <fcntl.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "delta/walk.h"

static bool is_planted(const struct delta_walk *w, const struct walk_entry *e, unsigned mount,
		       const struct manifest_plants *planted)
{
	const struct manifest_planted *p = manifest_plants_find(planted, mount, e->rel);
	struct stat st;

	return p && fstatat(delta_walk_dir_fd(w, e), e->rel + e->name_at, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       manifest_planted_is_same(p, &st, false);
}

/* Takes upper_fd. */
static int count_upper(int upper_fd, unsigned mount, const struct manifest_plants *planted, uint64_t *count,
		       struct kennel_error **err)
{
	_cleanup_walk_ struct delta_walk w = { .plain = true };
	struct walk_entry e;

	int r = delta_walk_begin(&w, upper_fd, err);
	while (r >= 0 && (r = delta_walk_next(&w, &e, err)) > 0)
		/* A hundred thousand files need no look each: only what may have been planted does. */
		if (e.type != DT_DIR && !is_planted(&w, &e, mount, planted))
			(*count)++;
	return r;
}

int delta_count(int delta_fd, unsigned n_mounts, const struct manifest_plants *planted, uint64_t *ret,
		struct kennel_error **err)
{
	uint64_t count = 0;

	for (unsigned i = 0; i < n_mounts; i++) {
		int fd = delta_open_place(delta_fd, i, "upper", O_RDONLY);

		if (fd < 0 && errno != ENOENT)
			return fail_errno(err, "open a directory of the delta");
		if (fd < 0) /* a mount that was left out has no place in it */
			continue;
		int r = count_upper(fd, i, planted, &count, err);
		if (r < 0)
			return r;
	}
	*ret = count;
	return 0;
}
