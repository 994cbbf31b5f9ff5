/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cgroup/join.c - the way into the groups of another process, hierarchy by hierarchy.
 *
 * Only those that kennel uses are looked at. Where the other one is in our own group there is nothing to
 * do, and where its group can't be reached, entering is refused: a process outside of its limits would be
 * a hole in them.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cgroup/group.h"

void cgroup_join_done(struct cgroup_join *j)
{
	close_fd(j->clone_fd);
	for (unsigned i = 0; i < j->n_entries; i++)
		close_fd(j->entry_fds[i]);
	*j = (struct cgroup_join){ .clone_fd = -EBADF };
}

static bool same(struct cgroup_slice a, struct cgroup_slice b)
{
	return a.len == b.len && memcmp(a.text, b.text, a.len) == 0;
}

/*
 * The part of a path up to the last group that kennel made; empty where there is none: any other group is
 * where its caller happened to be, and no limit of the sandbox.
 */
static struct cgroup_slice made_by_us(struct cgroup_slice own)
{
	struct cgroup_slice made = { own.text, 0 };

	for (size_t start = 0; start < own.len;) {
		const char *slash = memchr(own.text + start, '/', own.len - start);
		size_t end = slash ? (size_t)(slash - own.text) : own.len;

		if (end - start > strlen(CGROUP_PREFIX) &&
		    memcmp(own.text + start, CGROUP_PREFIX, strlen(CGROUP_PREFIX)) == 0)
			made.len = end;
		start = end + 1;
	}
	return made;
}

static bool is_made_by_us(struct cgroup_slice own)
{
	return made_by_us(own).len > 0;
}

/* Our own place in the hierarchy of a mount of the other one: mounts are the same, in the same order. */
static bool is_our_place(const struct cgroup_layout *ours, unsigned i, const struct cgroup_mount *theirs)
{
	return ours->mounts[i].visible && same(ours->mounts[i].own, theirs->own);
}

/* As the kernel writes it where our cgroup namespace has no name for the group. */
static bool is_out_of_sight(const char *of_text)
{
	const char *above = strstr(of_text, ":/..");

	return above && strstr(above, "/" CGROUP_PREFIX);
}

static int open_place(const struct cgroup_mount *m, struct cgroup_join *j, struct kennel_error **err)
{
	_cleanup_close_ int root_fd = cgroup_mount_open(m);
	_cleanup_close_ int dir_fd = root_fd < 0 ? -1 : cgroup_open_below(root_fd, m->own);

	if (dir_fd < 0)
		return fail_errno(err, "open the sandbox's control group");
	if (m->v2) {
		j->clone_fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		return j->clone_fd < 0 ? fail_errno(err, "open the sandbox's control group") : 0;
	}
	if (j->n_entries == CGROUP_JOIN_MAX)
		return fail(err, KENNEL_E_LIMIT, "the sandbox is in too many control groups");
	int fd = openat(dir_fd, "tasks", O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return fail_errno(err, "open the sandbox's control group");
	j->entry_fds[j->n_entries++] = fd;
	return 0;
}

int cgroup_open_made(const char *of_text, unsigned ctl, int *ret_fd, bool *ret_v2, struct kennel_error **err)
{
	_cleanup_free_ struct cgroup_layout *theirs = malloc(sizeof(*theirs));
	_cleanup_cgroup_texts_ struct cgroup_texts texts = { 0 };
	const struct cgroup_mount *best = NULL;

	if (!theirs)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	int r = cgroup_layout_read(NULL, &texts, theirs, err);
	if (r < 0)
		return r;
	cgroup_layout_parse(texts.mountinfo, of_text, theirs);
	for (unsigned i = 0; i < theirs->n; i++) {
		const struct cgroup_mount *m = &theirs->mounts[i];

		/* a controller is on one version only, and the last mount is the one on top */
		if (m->visible && is_made_by_us(m->own) && (m->v2 ? !best || best->v2 : m->ctls & ctl))
			best = m;
	}
	if (!best)
		return 0;
	_cleanup_close_ int root_fd = cgroup_mount_open(best);
	*ret_fd = root_fd < 0 ? -1 : cgroup_open_below(root_fd, made_by_us(best->own));
	*ret_v2 = best->v2;
	return *ret_fd < 0 ? fail_errno(err, "open the sandbox's control group") : 1;
}

int cgroup_join_open(const char *of_text, struct cgroup_join *ret, struct kennel_error **err)
{
	_cleanup_cgroup_texts_ struct cgroup_texts texts = { 0 };
	_cleanup_free_ struct cgroup_layout *ours = malloc(sizeof(*ours)), *theirs = malloc(sizeof(*theirs));

	*ret = (struct cgroup_join){ .clone_fd = -EBADF };
	if (!ours || !theirs)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	if (is_out_of_sight(of_text))
		return hint(err,
			    fail(err, KENNEL_E_UNSUPPORTED,
				 "the sandbox's control group can't be seen from here"),
			    "enter it from where it was started, or from outside of this container");
	int r = cgroup_layout_read(NULL, &texts, ours, err);
	if (r < 0)
		return r;
	cgroup_layout_parse(texts.mountinfo, of_text, theirs);
	for (unsigned i = 0; i < theirs->n && r == 0; i++) {
		const struct cgroup_mount *m = &theirs->mounts[i];

		if (m->visible && is_made_by_us(m->own) && !is_our_place(ours, i, m) &&
		    !cgroup_layout_is_hidden(theirs, i))
			r = open_place(m, ret, err);
	}
	if (r < 0)
		cgroup_join_done(ret);
	return r;
}
