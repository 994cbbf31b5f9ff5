/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* run/child-guest.c - see child-guest.h. */
#include "run/child-guest.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/macro.h"
#include "mount/mount.h"
#include "run/child-pin.h"
#include "sys/sys.h"

#define TOP_SIZE "1M" /* directories and mount points, nothing else */
#define TOP_INODES "256"

static const struct sys_mount_attr read_only = { .attr_set = SYS_MOUNT_ATTR_RDONLY };

void child_guest_begin(struct child_at *at)
{
	at->top_fd = mount_new_tmpfs(TOP_SIZE, TOP_INODES);
	if (at->top_fd < 0 || mkdirat(at->top_fd, CHILD_TOP_TREE, 0755) < 0 ||
	    sys_move_mount(at->top_fd, "", AT_FDCWD, at->p->stage, SYS_MOVE_MOUNT_F_EMPTY_PATH) < 0)
		child_die(at, CHILD_STEP_TOP);
}

void child_guest_keep(struct child_at *at, int mount_fd)
{
	at->tree_fds[at->n_tree++] = mount_fd;
}

int child_guest_take_tree(struct child_at *at, int mount_fd)
{
	child_guest_keep(at, mount_fd);
	return sys_move_mount(mount_fd, "", at->top_fd, CHILD_TOP_TREE, SYS_MOVE_MOUNT_F_EMPTY_PATH);
}

void child_find_places(struct child_at *at)
{
	const struct child_plan *p = at->p;

	for (unsigned i = 0; p->rootless && i < p->n_places; i++) {
		p->shared->place_fds[i] = open(p->places[i].source, O_PATH | O_CLOEXEC);
		at->report.index = (int)i;
		if (p->shared->place_fds[i] < 0 && !p->places[i].is_layer)
			child_die(at, CHILD_STEP_PLACE);
	}
	at->report.index = -1;
}

void child_take_places(struct child_at *at)
{
	const struct child_plan *p = at->p;

	for (unsigned i = 0; i < p->n_places; i++) {
		const struct child_place *o = &p->places[i];
		const struct sys_mount_attr attr = {
			.attr_set = SYS_MOUNT_ATTR_NOSUID | SYS_MOUNT_ATTR_NODEV |
				    (o->writable ? 0 : SYS_MOUNT_ATTR_RDONLY),
		};

		at->place_fds[i] = p->shared->place_fds[i];
		if (!p->rootless || (o->is_layer && !p->shared->layered))
			continue;
		int fd = sys_open_tree(at->place_fds[i], "", SYS_OPEN_TREE_CLONE | AT_EMPTY_PATH);

		at->report.index = (int)i;
		if (fd < 0 || sys_mount_setattr(fd, "", AT_EMPTY_PATH, &attr) < 0)
			child_die(at, CHILD_STEP_PLACE);
		/* The guest would only lack it: root inside has no right to files of foreign groups. */
		if (sys_faccessat2(fd, "", o->writable ? R_OK | W_OK : R_OK, AT_EMPTY_PATH | AT_EACCESS) < 0)
			child_die(at, CHILD_STEP_PLACE);
		close(at->place_fds[i]);
		at->place_fds[i] = fd;
	}
}

/* A read-only one of what is mounted already, whose descriptor is returned. */
static int attach_again(struct child_at *at, int tree_fd, const char *name)
{
	const struct sys_mount_attr attr = {
		.attr_set = SYS_MOUNT_ATTR_RDONLY | SYS_MOUNT_ATTR_NOSUID | SYS_MOUNT_ATTR_NODEV,
	};
	int target_fd = child_pin_made(at->top_fd, name, true, 0755);
	int fd = sys_open_tree(tree_fd, "", SYS_OPEN_TREE_CLONE | AT_EMPTY_PATH);

	if (target_fd < 0 || fd < 0 || sys_mount_setattr(fd, "", AT_EMPTY_PATH, &attr) < 0 ||
	    mount_attach(fd, target_fd) < 0)
		child_die(at, CHILD_STEP_PLACE);
	close(target_fd);
	return fd;
}

/* The delta of the copy and frozen changes below that, and room for layers that come while it runs. */
static void attach_parts(struct child_at *at)
{
	const struct child_shared *s = at->p->shared;
	char upper[] = CHILD_TOP_UPPER "/00", live[] = CHILD_TOP_LIVE "/0";

	for (unsigned i = 0; i <= at->p->overlays[0].n_frozen; i++) {
		at->report.index = (int)i;
		upper[sizeof(upper) - 3] = (char)('0' + i / 10);
		upper[sizeof(upper) - 2] = (char)('0' + i % 10);
		close(attach_again(at, i == 0 ? s->upper_fds[0] : s->lower_fds[i - 1], upper));
	}
	int fd = child_pin_made(at->top_fd, CHILD_TOP_STAGE, true, 0755);
	for (unsigned i = 0; i < CHILD_TOP_LIVE_MAX && fd >= 0; i++) {
		close(fd);
		live[sizeof(live) - 2] = (char)('0' + i);
		fd = child_pin_made(at->top_fd, live, true, 0755);
	}
	if (fd < 0)
		child_die(at, CHILD_STEP_PLACE);
	close(fd);
}

/* And then nothing more is made in that root. */
static void attach_places(struct child_at *at)
{
	const struct child_plan *p = at->p;

	for (unsigned i = 0; i < p->n_places; i++) {
		const struct child_place *o = &p->places[i];

		if (o->is_layer && !p->shared->layered)
			continue;
		int target_fd = child_pin_made(at->top_fd, o->name, o->is_dir, 0755);

		at->report.index = (int)i;
		if (target_fd < 0 || mount_attach(at->place_fds[i], target_fd) < 0)
			child_die(at, CHILD_STEP_PLACE);
		close(target_fd);
	}
	if (sys_mount_setattr(at->top_fd, "", AT_EMPTY_PATH, &read_only) < 0)
		child_die(at, CHILD_STEP_TOP);
}

/*
 * A guest mounts its own over these; whoever unmounts that, or shows the tree once more, must not find what
 * the base has there: the machine's own /tmp. A link in the base at that place is an answer of its own.
 */
static void empty_own(struct child_at *at, int tree_fd)
{
	static const char *const names[] = { "dev", "proc", "run", "sys", "tmp" };

	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		int target_fd = child_pin(tree_fd, names[i]);

		if (target_fd < 0 && (errno == ENOENT || errno == ELOOP || errno == ENOTDIR))
			continue;
		int fd = mount_new("tmpfs", SYS_MOUNT_ATTR_NOSUID | SYS_MOUNT_ATTR_NODEV);
		if (target_fd < 0 || fd < 0 || mount_attach(fd, target_fd) < 0)
			child_die(at, CHILD_STEP_TMP);
		child_guest_keep(at, fd);
		close(target_fd);
	}
}

void child_guest_furnish(struct child_at *at, int tree_fd)
{
	int copy_fd = attach_again(at, tree_fd, CHILD_TOP_COPY);

	attach_parts(at);
	attach_places(at);
	empty_own(at, tree_fd);
	empty_own(at, copy_fd);
	close(copy_fd);
}

void child_guest_close(struct child_at *at)
{
	/* the first one is the root of the copy, which the caller closes */
	for (unsigned i = 0; i < at->n_tree; i++) {
		if (sys_mount_setattr(at->tree_fds[i], "", AT_EMPTY_PATH, &read_only) < 0)
			child_die(at, CHILD_STEP_TOP);
		if (i > 0)
			close(at->tree_fds[i]);
	}
}
