/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/stage.c - what is shared on purpose (--share, --mount), locked against the root inside.
 *
 * Root in a user namespace may remount a mount of its own mount namespace, and so make a read-only share
 * writable or drop its nodev. It may not where the mount was *copied* into its namespace from a more
 * privileged one: the kernel locks flags then (MNT_LOCK_*). So shares are first attached in a mount namespace
 * of this thread, and the child's namespace is made as a copy of that. This thread goes back to its own
 * afterwards. A start without shares does none of this.
 *
 * The same namespace serves a kennel inside of a sandbox: a new proc or sysfs may be mounted in a user
 * namespace only where an old one is fully visible, so the masks that the outer kennel put on /proc and /sys
 * are taken off there first, in our private copy.
 */
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "mount/mount.h"
#include "path/path.h"
#include "run/masks.h"
#include "run/sandbox.h"
#include "sys/sys.h"

bool stage_is_needed(const struct launch *l)
{
	return !l->sb->rootless && (l->spec->n_mounts > 0 || !l->sb->initial_user_ns);
}

static void take_masks_off(void)
{
	for (size_t i = 0; i < masks_n; i++) {
		char path[128] = "/";

		strncat(path, masks[i].path, sizeof(path) - 2);
		(void)!sys_umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW); /* not masked: nothing to do */
	}
}

int stage_enter(struct launch *l, struct kennel_error **err)
{
	const struct sys_mount_attr private = { .propagation = MS_PRIVATE };

	l->old_ns_fd = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	l->old_cwd_fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = l->old_ns_fd < 0 || l->old_cwd_fd < 0 ? fail_errno(err, "open the mount namespace") : 0;
	if (r == 0 && sys_unshare(CLONE_NEWNS) < 0)
		r = hint(err, fail_errno(err, "make a mount namespace"),
			 "a limit may be reached: sysctl fs.mount-max, or one of those in /proc/sys/user");
	if (r < 0) { /* still in the old one: nothing to go back to */
		replace_fd(&l->old_ns_fd, -EBADF);
		replace_fd(&l->old_cwd_fd, -EBADF);
		return r;
	}
	if (sys_mount_setattr(AT_FDCWD, "/", SYS_AT_RECURSIVE, &private) < 0)
		return fail_errno(err, "make the mounts private");
	if (!l->sb->initial_user_ns)
		take_masks_off();
	return 0;
}

int stage_leave(struct launch *l, struct kennel_error **err)
{
	if (l->old_ns_fd < 0)
		return 0;
	int r = sys_setns(l->old_ns_fd, CLONE_NEWNS);
	if (r == 0)
		r = fchdir(l->old_cwd_fd);
	int result = r < 0 ? fail_errno(err, "go back to the mount namespace") : 0;
	replace_fd(&l->old_ns_fd, -EBADF);
	replace_fd(&l->old_cwd_fd, -EBADF);
	return result;
}

int stage_clone(const char *source, uint64_t flags, int user_ns_fd, bool *ret_plain,
		struct kennel_error **err)
{
	const struct sys_mount_attr plain = { .attr_set = flags };
	const struct sys_mount_attr mapped = { .attr_set = flags | SYS_MOUNT_ATTR_IDMAP,
					       .userns_fd = (uint64_t)user_ns_fd };
	const struct sys_mount_attr *wanted = user_ns_fd >= 0 ? &mapped : &plain;
	const struct {
		unsigned recursive;
		const struct sys_mount_attr *attr;
	} tries[] = { { SYS_AT_RECURSIVE, wanted }, { 0, wanted }, { 0, &plain } };

	for (size_t i = 0; i < ARRAY_SIZE(tries); i++) {
		_cleanup_close_ int fd =
			sys_open_tree(AT_FDCWD, source, SYS_OPEN_TREE_CLONE | tries[i].recursive);

		if (fd < 0)
			break;
		*ret_plain = tries[i].attr != wanted;
		if (sys_mount_setattr(fd, "", AT_EMPTY_PATH | tries[i].recursive, tries[i].attr) == 0)
			return take_fd(&fd);
	}
	return fail_errno(err, "share \"%s\"", source);
}

uint64_t stage_flags(const struct spec_mount *m)
{
	return SYS_MOUNT_ATTR_NOSUID | SYS_MOUNT_ATTR_NODEV | (m->read_only ? SYS_MOUNT_ATTR_RDONLY : 0);
}

void stage_say_plain(const struct log_sink *log, const char *source)
{
	log_warn(log,
		 "\"%s\" lies on a file system that can't show shifted ids: its owners are nobody inside",
		 source);
}

static int open_share(struct launch *l, const struct spec_mount *m, struct kennel_error **err)
{
	bool plain = false;
	int fd = stage_clone(m->source, stage_flags(m), l->sb->shifted ? l->user_ns_fd : -EBADF, &plain, err);

	if (fd >= 0 && plain)
		stage_say_plain(&l->sb->log, m->source);
	return fd;
}

int stage_mounts(struct launch *l, struct kennel_error **err)
{
	const struct spec *spec = l->spec;

	if (!spec->n_mounts)
		return 0;
	int *fds = l->share_fds; /* closed with the launch */
	/* all sources first: the stage may cover one */
	for (size_t i = 0; i < spec->n_mounts; i++) {
		fds[i] = open_share(l, &spec->mounts[i], err);
		if (fds[i] < 0)
			return fds[i];
	}
	_cleanup_close_ int tmp_fd = mount_new_tmpfs("1M", "4096");
	if (tmp_fd < 0 ||
	    sys_move_mount(tmp_fd, "", AT_FDCWD, l->child.stage, SYS_MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return fail_errno(err, "stage the shared mounts");
	for (size_t i = 0; i < spec->n_mounts; i++) {
		const char *name = l->child_binds[i].staged + strlen(l->child.stage) + 1;
		int r = l->child_binds[i].is_dir ? mkdirat(tmp_fd, name, 0700) :
						   mknodat(tmp_fd, name, S_IFREG | 0600, 0);

		if (r < 0 || sys_move_mount(fds[i], "", tmp_fd, name, SYS_MOVE_MOUNT_F_EMPTY_PATH) < 0)
			return fail_errno(err, "stage \"%s\"", spec->mounts[i].source);
	}
	return 0;
}
