/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit/test-mount.c - file systems made option by option: what is asked of the kernel, on which kernels, and
 * real ones.
 *
 * The wrapped calls play a kernel of a given age: one that takes layers by descriptor (6.13), one that takes
 * them one by one by name (6.6), one that knows only "lowerdir" (6.5), and one before overlay learned of this
 * interface, which swallows any string and refuses descriptors in another way.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "mount/mount.h"
#include "sys/sys.h"

enum kernel { KERNEL_REAL, KERNEL_6_13, KERNEL_6_7, KERNEL_6_5, KERNEL_5_12 };

static enum kernel kernel;
static const char *refused_key; /* this option is refused with refused_errno */
static int refused_errno;
static int create_errno, fsmount_errno, fsopen_errno;
static struct buf calls; /* "key=value" or "key#fd" of each call, ";" behind each */

int __real_sys_fsopen(const char *fstype);
int __wrap_sys_fsopen(const char *fstype);
int __wrap_sys_fsopen(const char *fstype)
{
	if (kernel == KERNEL_REAL)
		return __real_sys_fsopen(fstype);
	if (fsopen_errno) {
		errno = fsopen_errno;
		return -1;
	}
	int fds[2];
	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	/* What stands in the pipe is the context's log, but as a stream: one message only. */
	assert_int_equal(write(fds[1], "e overlay: bad thing.\n", 22), 22);
	close(fds[1]);
	return fds[0];
}

int __real_sys_fsconfig(int fs_fd, enum sys_fsconfig_cmd cmd, const char *key, const void *value, int aux);
int __wrap_sys_fsconfig(int fs_fd, enum sys_fsconfig_cmd cmd, const char *key, const void *value, int aux);
int __wrap_sys_fsconfig(int fs_fd, enum sys_fsconfig_cmd cmd, const char *key, const void *value, int aux)
{
	if (kernel == KERNEL_REAL)
		return __real_sys_fsconfig(fs_fd, cmd, key, value, aux);
	if (cmd == SYS_FSCONFIG_CMD_CREATE) {
		buf_puts(&calls, "create;");
		errno = create_errno;
		return create_errno ? -1 : 0;
	}
	errno = refused_errno;
	if (refused_key && strcmp(key, refused_key) == 0)
		return -1;
	errno = kernel == KERNEL_5_12 ? EOPNOTSUPP : EINVAL;
	if (cmd == SYS_FSCONFIG_SET_FD && kernel != KERNEL_6_13)
		return -1;
	if (strcmp(key, "lowerdir+") == 0 && kernel == KERNEL_6_5)
		return -1;
	if (cmd == SYS_FSCONFIG_SET_FD)
		buf_printf(&calls, "%s#%d;", key, aux);
	else
		buf_printf(&calls, "%s=%s;", key, value ? (const char *)value : "");
	return 0;
}

int __real_sys_fsmount(int fs_fd, unsigned attr_flags);
int __wrap_sys_fsmount(int fs_fd, unsigned attr_flags);
int __wrap_sys_fsmount(int fs_fd, unsigned attr_flags)
{
	if (kernel == KERNEL_REAL)
		return __real_sys_fsmount(fs_fd, attr_flags);
	buf_printf(&calls, "mount %u;", attr_flags);
	errno = fsmount_errno;
	return fsmount_errno ? -1 : 7777;
}

static int tear_down(void **state)
{
	kernel = KERNEL_REAL;
	refused_key = NULL;
	create_errno = fsmount_errno = fsopen_errno = refused_errno = 0;
	buf_done(&calls);
	return 0;
}

static unsigned count_fds(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static const int lowers[] = { 50, 123, 9 };

static const struct {
	enum kernel kernel;
	unsigned n_lowers;
	bool user_xattr;
	const char *want;
} ages[] = {
	{ KERNEL_6_13, 3, true,
	  "lowerdir+#50;lowerdir+#123;lowerdir+#9;upperdir#60;workdir#61;userxattr=;create;mount 4;" },
	{ KERNEL_6_13, 1, false, "lowerdir+#50;upperdir#60;workdir#61;create;mount 4;" },
	{ KERNEL_6_7, 2, true,
	  "lowerdir+=/proc/self/fd/50;lowerdir+=/proc/self/fd/123;upperdir=/proc/self/fd/60;workdir=/proc/self/fd/61;"
	  "userxattr=;create;mount 4;" },
	{ KERNEL_6_5, 3, true,
	  "lowerdir=/proc/self/fd/50:/proc/self/fd/123:/proc/self/fd/9;upperdir=/proc/self/fd/60;workdir=/proc/self/fd/61;"
	  "userxattr=;create;mount 4;" },
	{ KERNEL_5_12, 3, true,
	  "lowerdir=/proc/self/fd/50:/proc/self/fd/123:/proc/self/fd/9;upperdir=/proc/self/fd/60;workdir=/proc/self/fd/61;"
	  "userxattr=;create;mount 4;" },
	{ KERNEL_6_5, 1, false,
	  "lowerdir=/proc/self/fd/50;upperdir=/proc/self/fd/60;workdir=/proc/self/fd/61;create;mount 4;" },
};

static void test_mount_overlay_speaks_to_kernels_of_every_age(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(ages); i++) {
		char log[64] = "untouched";
		const struct mount_overlay o = { .lower_fds = lowers,
						 .n_lowers = ages[i].n_lowers,
						 .upper_fd = 60,
						 .work_fd = 61,
						 .user_xattr = ages[i].user_xattr,
						 .attr_flags = 4,
						 .log = log,
						 .log_size = sizeof(log) };
		unsigned before = count_fds();

		kernel = ages[i].kernel;
		buf_done(&calls);
		assert_int_equal(mount_overlay(&o), 7777);
		if (strcmp(buf_str(&calls), ages[i].want) != 0)
			fail_msg("row %zu: %s", i, buf_str(&calls));
		assert_string_equal(log, "untouched");
		assert_int_equal(count_fds(), before);
	}
}

static void test_mount_overlay_more_lowers_than_one_option_holds(void **state)
{
	int many[40];
	struct mount_overlay o = {
		.lower_fds = many, .n_lowers = ARRAY_SIZE(many), .upper_fd = 1, .work_fd = 2
	};
	char before_dir[PATH_MAX], after_dir[PATH_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = 100000 + (int)i;
	kernel = KERNEL_6_5;
	unsigned before = count_fds();
	assert_int_equal(mount_overlay(&o), -1);
	assert_int_equal(errno, E2BIG);
	assert_null(strstr(buf_str(&calls), "create"));
	/* numbers alone are shorter, and are names where the working directory is that of descriptors */
	o.n_lowers = 30;
	assert_non_null(getcwd(before_dir, sizeof(before_dir)));
	assert_int_equal(mount_overlay(&o), 7777);
	assert_non_null(strstr(buf_str(&calls), "lowerdir=100000:100001:"));
	assert_non_null(strstr(buf_str(&calls), ":100029;upperdir=/proc/self/fd/1;"));
	assert_string_equal(getcwd(after_dir, sizeof(after_dir)), before_dir);
	assert_int_equal(count_fds(), before);
	o.n_lowers = ARRAY_SIZE(many);
	kernel = KERNEL_6_7;
	assert_int_equal(mount_overlay(&o), 7777);
	assert_non_null(strstr(buf_str(&calls), "lowerdir+=/proc/self/fd/100039;"));
	assert_int_equal(count_fds(), before);
}

static const struct {
	const char *key;
	int errnum, create, mount, open;
	int want;
	const char *log;
} failures[] = {
	{ "lowerdir+", EACCES, 0, 0, 0, EACCES, "overlay: bad thing" },
	{ "upperdir", EROFS, 0, 0, 0, EROFS, "overlay: bad thing" },
	{ "workdir", ENOMEM, 0, 0, 0, ENOMEM, "overlay: bad thing" },
	{ "userxattr", EINVAL, 0, 0, 0, EINVAL, "overlay: bad thing" },
	{ NULL, 0, ELOOP, 0, 0, ELOOP, "overlay: bad thing" },
	{ NULL, 0, 0, EMFILE, 0, EMFILE, "" },
	{ NULL, 0, 0, 0, ENODEV, ENODEV, "" },
};

static void test_mount_overlay_failure_keeps_errno_and_the_kernels_words(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(failures); i++) {
		char log[64] = "";
		const struct mount_overlay o = { .lower_fds = lowers,
						 .n_lowers = 2,
						 .upper_fd = 60,
						 .work_fd = 61,
						 .user_xattr = true,
						 .log = log,
						 .log_size = sizeof(log) };
		unsigned before = count_fds();

		kernel = KERNEL_6_13;
		refused_key = failures[i].key;
		refused_errno = failures[i].errnum;
		create_errno = failures[i].create;
		fsmount_errno = failures[i].mount;
		fsopen_errno = failures[i].open;
		assert_int_equal(mount_overlay(&o), -1);
		assert_int_equal(errno, failures[i].want);
		assert_string_equal(log, failures[i].log);
		assert_int_equal(count_fds(), before);
	}
}

static void test_mount_read_log_cuts_at_the_buffer(void **state)
{
	char log[8] = "old";
	int fds[2];

	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
		if (i == 0)
			assert_int_equal(write(fds[1], "e 0123456789\n", 13), 13);
		errno = ELOOP;
		mount_read_log(fds[0], log, sizeof(log));
		assert_int_equal(errno, ELOOP);
		assert_string_equal(log, i == 0 ? "0123456" : "");
		mount_read_log(fds[0], NULL, 0);
		close(fds[0]);
		close(fds[1]);
	}
}

static void test_mount_new_options_that_are_refused(void **state)
{
	kernel = KERNEL_6_13;
	refused_key = "gid"; /* a map of one id has no group 5 */
	refused_errno = EINVAL;
	assert_int_equal(mount_new_devpts("7"), 7777);
	assert_string_equal(buf_str(&calls), "mode=0620;ptmxmode=0666;max=7;create;mount 10;");
	static const char *const fatal[] = { "mode", "ptmxmode", "max" };
	for (size_t i = 0; i < ARRAY_SIZE(fatal); i++) {
		unsigned before = count_fds();

		refused_key = fatal[i];
		assert_int_equal(mount_new_devpts("7"), -1);
		assert_int_equal(errno, EINVAL);
		assert_int_equal(count_fds(), before);
	}
	refused_key = "nr_inodes";
	assert_int_equal(mount_new_tmpfs("1M", "x"), -1);
	assert_int_equal(errno, EINVAL);
	refused_key = NULL;
	buf_done(&calls);
	assert_int_equal(mount_new_tmpfs("1M", "100"), 7777);
	assert_string_equal(buf_str(&calls), "size=1M;nr_inodes=100;mode=0755;create;mount 2;");
}

/* Makes "layer" with one file in a new tmpfs that is attached over dir; returns O_PATH of it. */
static int attached_layer(const char *dir, const char *file)
{
	int fd = mount_new_tmpfs("1M", "100");
	int at_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || mknodat(fd, file, S_IFREG | 0644, 0) < 0 || mount_attach(fd, at_fd) < 0)
		return -1;
	close(at_fd);
	return fd;
}

/* In a child with a mount namespace of its own. Return: 0, or the step that failed. */
static int real_overlay(void)
{
	const struct sys_mount_attr private = { .propagation = MS_PRIVATE };
	int layers[30];
	char log[160] = "", name[16];

	if (sys_unshare(CLONE_NEWNS) < 0 || sys_mount_setattr(AT_FDCWD, "/", SYS_AT_RECURSIVE, &private) < 0)
		return 1;
	for (size_t i = 0; i < ARRAY_SIZE(layers); i++) {
		snprintf(name, sizeof(name), "file%zu", i);
		layers[i] = attached_layer("/tmp", name);
		if (layers[i] < 0)
			return 2;
	}
	int delta_fd = attached_layer("/tmp", "x");
	if (delta_fd < 0 || mkdirat(delta_fd, "upper", 0755) < 0 || mkdirat(delta_fd, "work", 0755) < 0)
		return 3;
	struct mount_overlay o = { .lower_fds = layers,
				   .n_lowers = ARRAY_SIZE(layers),
				   .log = log,
				   .log_size = sizeof(log),
				   .upper_fd = openat(delta_fd, "upper", O_PATH | O_DIRECTORY | O_CLOEXEC),
				   .work_fd = openat(delta_fd, "work", O_PATH | O_DIRECTORY | O_CLOEXEC) };
	int fd = mount_overlay(&o);
	if (fd < 0)
		return 4;
	for (size_t i = 0; i < ARRAY_SIZE(layers); i++) {
		snprintf(name, sizeof(name), "file%zu", i);
		if (faccessat(fd, name, F_OK, 0) < 0 || unlinkat(fd, name, 0) < 0)
			return 5;
	}
	struct stat st;
	if (fstatat(o.upper_fd, "file29", &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev)
		return 6;
	/* upper and work on different file systems: the kernel says why */
	o.work_fd = layers[0];
	return mount_overlay(&o) == -1 && errno == EINVAL ? 0 : 7;
}

static void test_mount_overlay_thirty_real_layers(void **state)
{
	int status;

	if (geteuid() != 0)
		skip_test("needs root");
	pid_t pid = fork();
	if (pid == 0)
		_exit(real_overlay());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_mount_new_real_file_systems(void **state)
{
	struct statfs s;
	struct stat st;

	if (geteuid() != 0)
		skip_test("needs root");
	_cleanup_close_ int fd = mount_new_tmpfs("65536", "10");
	assert_true(fd >= 0);
	assert_int_equal(fstatfs(fd, &s), 0);
	assert_int_equal(s.f_blocks * (uint64_t)s.f_bsize, 65536);
	assert_int_equal(s.f_files, 10);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	_cleanup_close_ int pts_fd = mount_new_devpts("2");
	assert_true(pts_fd >= 0);
	assert_int_equal(fstatat(pts_fd, "ptmx", &st, 0), 0);
	assert_int_equal(st.st_mode & 0777, 0666);
	_cleanup_close_ int one_fd = openat(pts_fd, "ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	_cleanup_close_ int two_fd = openat(pts_fd, "ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(one_fd >= 0 && two_fd >= 0);
	assert_int_equal(openat(pts_fd, "ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC), -1);
	assert_int_equal(errno, ENOSPC);
	assert_int_equal(fstatat(pts_fd, "0", &st, 0), 0);
	assert_int_equal(st.st_mode & 0777, 0620);
	assert_int_equal(st.st_gid, 5);
	assert_int_equal(mount_new_tmpfs("lots", "10"), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(mount_new("nosuchfs", 0), -1);
	assert_int_equal(errno, ENODEV);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_mount_overlay_speaks_to_kernels_of_every_age, tear_down),
		cmocka_unit_test_teardown(test_mount_overlay_more_lowers_than_one_option_holds, tear_down),
		cmocka_unit_test_teardown(test_mount_overlay_failure_keeps_errno_and_the_kernels_words,
					  tear_down),
		cmocka_unit_test_teardown(test_mount_read_log_cuts_at_the_buffer, tear_down),
		cmocka_unit_test_teardown(test_mount_new_options_that_are_refused, tear_down),
		cmocka_unit_test_teardown(test_mount_overlay_thirty_real_layers, tear_down),
		cmocka_unit_test_teardown(test_mount_new_real_file_systems, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
