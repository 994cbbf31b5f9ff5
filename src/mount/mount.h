/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mount/mount.h - the mounts that a sandbox is put together from. System calls only: the child runs these
 * before exec.
 *
 * All work on descriptors of detached mounts; nothing here resolves a path that a sandbox could have written.
 * Return a descriptor or 0, or -1 and errno.
 */
#ifndef KENNEL_MOUNT_MOUNT_H
#define KENNEL_MOUNT_MOUNT_H

#include <stdbool.h>
#include <stddef.h>

/* A new file system of a type without options; flags: SYS_MOUNT_ATTR_*. */
int mount_new(const char *fstype, unsigned attr_flags);

/*
 * A new devpts instance: ptmx for all, ttys of group 5 and mode 0620, as distributions have them. max: ptys
 * at most, as text.
 */
int mount_new_devpts(const char *max);

/* A new tmpfs; size and inodes as decimal text. */
int mount_new_tmpfs(const char *size, const char *inodes);
/* Gives one more or less room; by who may mount where it was made. -1 and errno: EINVAL it has more in it. */
int mount_resize_tmpfs(int fd, const char *size, const char *inodes);

/*
 * A FUSE file system over an open /dev/fuse, owners as its server says them, permissions checked by the
 * kernel.
 */
int mount_new_view(int fuse_fd);

struct mount_overlay {
	/* uppermost first; each the root of a mount that is attached in this mount namespace */
	const int *lower_fds;
	unsigned n_lowers;
	int upper_fd, work_fd;  /* -1: a read-only overlay of two lowers or more */
	bool user_xattr;        /* user.overlay.* instead of trusted.overlay.* */
	unsigned attr_flags;
	char *log;              /* gets the kernel's words on failure, NUL-terminated */
	size_t log_size;
};
/*
 * With many lowers on kernels before 6.7 the working directory is another one meanwhile, so the caller is a
 * process of one thread. E2BIG: those kernels take no more (60 at least).
 */
int mount_overlay(const struct mount_overlay *o);

/*
 * A detached mount of a directory of a detached mount. Before Linux 6.15 the kernel clones only what is
 * attached
 * somewhere; then that is done in a mount namespace that is gone again afterwards. Not for the child: it
 * starts a
 * process.
 */
int mount_clone_dir(int mount_fd, const char *dir);

/* Attaches a detached mount to a descriptor (a directory on a directory, a file on a file). */
int mount_attach(int mount_fd, int target_fd);

/* Reads the file system context's messages into log. */
void mount_read_log(int fs_fd, char *log, size_t size);

#endif
