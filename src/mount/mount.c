/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mount/mount.c - see mount.h.
 *
 * Layers are handed to overlay one by one and by descriptor ("lowerdir+" with FSCONFIG_SET_FD, Linux 6.13),
 * so no name can be mistaken for an option. Older kernels get the same descriptors as /proc/self/fd/N, still
 * one by one (6.7), and older ones as one colon-separated string of such names: user text never stands in it.
 * What that string has no room for are the bare numbers, from a working directory in which they are names.
 */
#include "mount/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "sys/sys.h"

#define FD_NAME_SIZE 32
#define OPTION_MAX 256          /* fsconfig() takes strings below this */
#define FD_DIR "/proc/self/fd/"

static void close_keep_errno(int fd)
{
	int saved = errno;

	(void)!close(fd);
	errno = saved;
}

/* The number in decimal at name; returns its length. No snprintf: the child may only make system calls. */
static size_t fd_number(char *name, int fd)
{
	char digits[12];
	size_t n = 0, len = 0;

	do {
		digits[n++] = (char)('0' + fd % 10);
		fd /= 10;
	} while (fd);
	while (n)
		name[len++] = digits[--n];
	name[len] = '\0';
	return len;
}

/* "/proc/self/fd/N" at name; returns its length. */
static size_t fd_name(char *name, int fd)
{
	const size_t len = sizeof(FD_DIR) - 1;

	memcpy(name, FD_DIR, len);
	return len + fd_number(name + len, fd);
}

void mount_read_log(int fs_fd, char *log, size_t size)
{
	int saved = errno;
	bool has_error = false;
	size_t len = 0;

	if (!size)
		return;
	/*
	 * One message a read(), "e text" for an error, "w text" or "i text" else; the last error says most.
	 */
	for (;;) {
		char text[256];
		ssize_t n = read(fs_fd, text, sizeof(text));

		if (n < 0 && errno == EMSGSIZE) /* longer than that: the kernel has dropped it */
			continue;
		if (n <= 2)
			break;
		if (has_error && text[0] != 'e')
			continue;
		has_error = text[0] == 'e';
		len = (size_t)n - 2 < size - 1 ? (size_t)n - 2 : size - 1;
		memcpy(log, text + 2, len);
		while (len && (log[len - 1] == '\n' || log[len - 1] == '.'))
			len--;
	}
	log[len] = '\0';
	errno = saved;
}

static int finish(int fs_fd, unsigned attr_flags)
{
	int fd = sys_fsconfig(fs_fd, SYS_FSCONFIG_CMD_CREATE, NULL, NULL, 0);

	if (fd == 0)
		fd = sys_fsmount(fs_fd, attr_flags);
	close_keep_errno(fs_fd);
	return fd;
}

int mount_new(const char *fstype, unsigned attr_flags)
{
	int fs_fd = sys_fsopen(fstype);

	return fs_fd < 0 ? -1 : finish(fs_fd, attr_flags);
}

int mount_new_devpts(const char *max)
{
	static const char *const options[][2] = { { "mode", "0620" },
						  { "ptmxmode", "0666" },
						  { "gid", "5" } };
	int fs_fd = sys_fsopen("devpts");

	if (fs_fd < 0)
		return -1;
	for (unsigned i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (sys_fsconfig(fs_fd, SYS_FSCONFIG_SET_STRING, options[i][0], options[i][1], 0) < 0) {
			if (options[i][0][0] == 'g')    /* a map of one id has no group 5 */
				continue;
			close_keep_errno(fs_fd);
			return -1;
		}
	if (sys_fsconfig(fs_fd, SYS_FSCONFIG_SET_STRING, "max", max, 0) < 0) {
		close_keep_errno(fs_fd);
		return -1;
	}
	return finish(fs_fd, SYS_MOUNT_ATTR_NOSUID | SYS_MOUNT_ATTR_NOEXEC);
}

int mount_new_tmpfs(const char *size, const char *inodes)
{
	int fs_fd = sys_fsopen("tmpfs");

	if (fs_fd < 0)
		return -1;
	if (sys_fsconfig(fs_fd, SYS_FSCONFIG_SET_STRING, "size", size, 0) < 0 ||
	    sys_fsconfig(fs_fd, SYS_FSCONFIG_SET_STRING, "nr_inodes", inodes, 0) < 0 ||
	    sys_fsconfig(fs_fd, SYS_FSCONFIG_SET_STRING, "mode", "0755", 0) < 0) {
		close_keep_errno(fs_fd);
		return -1;
	}
	return finish(fs_fd, SYS_MOUNT_ATTR_NOSUID);
}

int mount_resize_tmpfs(int fd, const char *size, const char *inodes)
{
	int fs_fd = sys_fspick(fd), r = -1;

	if (fs_fd < 0)
		return -1;
	if (sys_fsconfig(fs_fd, SYS_FSCONFIG_SET_STRING, "size", size, 0) == 0 &&
	    sys_fsconfig(fs_fd, SYS_FSCONFIG_SET_STRING, "nr_inodes", inodes, 0) == 0)
		r = sys_fsconfig(fs_fd, SYS_FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0);
	close_keep_errno(fs_fd);
	return r;
}

int mount_new_view(int fuse_fd)
{
	static const char *const options[][2] = {
		{ "source", "kennel" }, { "rootmode", "40000" }, { "user_id", "0" }, { "group_id", "0" }
	};
	/* "ro": without it the kernel asks again for the attributes of every file that was read. */
	static const char *const flags[] = { "allow_other", "default_permissions", "ro" };
	char name[FD_NAME_SIZE];
	size_t prefix = sizeof("/proc/self/fd/") - 1;
	int fs_fd = sys_fsopen("fuse");

	if (fs_fd < 0)
		return -1;
	fd_name(name, fuse_fd);
	bool failed = sys_fsconfig(fs_fd, SYS_FSCONFIG_SET_STRING, "fd", name + prefix, 0) < 0;
	for (unsigned i = 0; !failed && i < sizeof(options) / sizeof(options[0]); i++)
		failed = sys_fsconfig(fs_fd, SYS_FSCONFIG_SET_STRING, options[i][0], options[i][1], 0) < 0;
	for (unsigned i = 0; !failed && i < sizeof(flags) / sizeof(flags[0]); i++)
		failed = sys_fsconfig(fs_fd, SYS_FSCONFIG_SET_FLAG, flags[i], NULL, 0) < 0;
	if (failed) {
		close_keep_errno(fs_fd);
		return -1;
	}
	return finish(fs_fd, SYS_MOUNT_ATTR_NOSUID | SYS_MOUNT_ATTR_NODEV);
}

/* One layer or directory, by descriptor or, on kernels before 6.13, by its name below /proc/self/fd. */
static int set_layer(int fs_fd, const char *key, bool is_list, int fd)
{
	char name[FD_NAME_SIZE];

	if (sys_fsconfig(fs_fd, SYS_FSCONFIG_SET_FD, key, NULL, fd) == 0)
		return 0;
	/*
	 * Before 6.5 overlay was not of this interface: EOPNOTSUPP, and any word would be taken as a
	 * string and refused at the end.
	 */
	if ((errno == EOPNOTSUPP && is_list) || (errno != EINVAL && errno != EBADF && errno != EOPNOTSUPP))
		return -1;
	fd_name(name, fd);
	return sys_fsconfig(fs_fd, SYS_FSCONFIG_SET_STRING, key, name, 0);
}

/* False: it has no room for them. */
static bool list_lowers(const struct mount_overlay *o, size_t (*name)(char *, int), char value[OPTION_MAX])
{
	char one[FD_NAME_SIZE];
	size_t len = 0;

	for (unsigned i = 0; i < o->n_lowers; i++) {
		const size_t n = name(one, o->lower_fds[i]);

		if (len + n + 2 > OPTION_MAX)
			return false;
		if (i)
			value[len++] = ':';
		memcpy(value + len, one, n + 1);
		len += n;
	}
	return true;
}

/* *ret_back_fd: the working directory to go back to once the overlay is made. */
static int set_all_lowers(int fs_fd, const struct mount_overlay *o, int *ret_back_fd)
{
	char value[OPTION_MAX];

	if (!list_lowers(o, fd_name, value)) {
		if (!list_lowers(o, fd_number, value)) {
			errno = E2BIG;
			return -1;
		}
		*ret_back_fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (*ret_back_fd < 0 || chdir(FD_DIR) < 0)
			return -1;
	}
	return sys_fsconfig(fs_fd, SYS_FSCONFIG_SET_STRING, "lowerdir", value, 0);
}

static int set_lowers(int fs_fd, const struct mount_overlay *o, int *ret_back_fd)
{
	for (unsigned i = 0; i < o->n_lowers; i++) {
		if (set_layer(fs_fd, "lowerdir+", true, o->lower_fds[i]) == 0)
			continue;
		if (i == 0 && (errno == EINVAL || errno == EOPNOTSUPP))
			return set_all_lowers(fs_fd, o, ret_back_fd);
		return -1;
	}
	return 0;
}

static int make_overlay(int fs_fd, const struct mount_overlay *o)
{
	int back_fd = -1;
	const bool made =
		set_lowers(fs_fd, o, &back_fd) == 0 &&
		(o->upper_fd < 0 || (set_layer(fs_fd, "upperdir", false, o->upper_fd) == 0 &&
				     set_layer(fs_fd, "workdir", false, o->work_fd) == 0)) &&
		(!o->user_xattr || sys_fsconfig(fs_fd, SYS_FSCONFIG_SET_FLAG, "userxattr", NULL, 0) == 0) &&
		sys_fsconfig(fs_fd, SYS_FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0;

	if (back_fd >= 0) {
		int saved = errno;

		(void)!fchdir(back_fd);
		(void)!close(back_fd);
		errno = saved;
	}
	return made ? 0 : -1;
}

int mount_overlay(const struct mount_overlay *o)
{
	int fs_fd = sys_fsopen("overlay");

	if (fs_fd < 0)
		return -1;
	if (make_overlay(fs_fd, o) == 0) {
		int fd = sys_fsmount(fs_fd, o->attr_flags);

		close_keep_errno(fs_fd);
		return fd;
	}
	mount_read_log(fs_fd, o->log, o->log_size);
	close_keep_errno(fs_fd);
	return -1;
}

int mount_attach(int mount_fd, int target_fd)
{
	return sys_move_mount(mount_fd, "", target_fd, "",
			      SYS_MOVE_MOUNT_F_EMPTY_PATH | SYS_MOVE_MOUNT_T_EMPTY_PATH);
}
