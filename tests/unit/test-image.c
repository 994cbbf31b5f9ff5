/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit/test-image.c - images made here with the field's own tools, opened, read through the descriptor,
 * damaged, and gone.
 *
 * Each test that mounts needs root and a tool; it says which where it is skipped. A loop device must not
 * outlive its descriptor: the kernel clears it a moment after the last close, so the tests wait for that,
 * shortly.
 */
#include "unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/loop.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "layer/internal.h"
#include "layer/layer.h"
#include "path/path.h"
#include "sys/sys.h"

extern char **environ;

/* Faults for the wrapped calls; 0 is none. */
static int inject_busy;         /* so many LOOP_CONFIGUREs find their device taken */
static int inject_number;       /* the free device that the kernel names */
static int inject_fsopen;       /* errno */
static int inject_not_block;    /* so many mounts want a block device, as before 6.12 */

int __real_sys_ioctl(int fd, unsigned long request, void *arg);
int __wrap_sys_ioctl(int fd, unsigned long request, void *arg);
int __real_sys_ioctl_int(int fd, unsigned long request, unsigned long arg);
int __wrap_sys_ioctl_int(int fd, unsigned long request, unsigned long arg);
int __real_sys_fsopen(const char *fstype);
int __wrap_sys_fsopen(const char *fstype);
int __real_sys_fsconfig(int fs_fd, enum sys_fsconfig_cmd cmd, const char *key, const void *value, int aux);
int __wrap_sys_fsconfig(int fs_fd, enum sys_fsconfig_cmd cmd, const char *key, const void *value, int aux);

int __wrap_sys_ioctl(int fd, unsigned long request, void *arg)
{
	if (request != LOOP_CONFIGURE || !inject_busy)
		return __real_sys_ioctl(fd, request, arg);
	inject_busy--;
	errno = EBUSY;
	return -1;
}

int __wrap_sys_ioctl_int(int fd, unsigned long request, unsigned long arg)
{
	return request == LOOP_CTL_GET_FREE && inject_number ? inject_number :
							       __real_sys_ioctl_int(fd, request, arg);
}

int __wrap_sys_fsopen(const char *fstype)
{
	if (!inject_fsopen)
		return __real_sys_fsopen(fstype);
	errno = inject_fsopen;
	return -1;
}

int __wrap_sys_fsconfig(int fs_fd, enum sys_fsconfig_cmd cmd, const char *key, const void *value, int aux)
{
	if (cmd != SYS_FSCONFIG_CMD_CREATE || !inject_not_block)
		return __real_sys_fsconfig(fs_fd, cmd, key, value, aux);
	inject_not_block--;
	errno = ENOTBLK;
	return -1;
}

static char dir[] = "/tmp/kennel-image-XXXXXX";

static const char *at(const char *name, char buf[static 256])
{
	assert_true(snprintf(buf, 256, "%s/%s", dir, name) < 256);
	return buf;
}

static void write_file(const char *name, const void *data, size_t len)
{
	char path[256];
	_cleanup_close_ int fd = open(at(name, path), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static int make_tree(void **state)
{
	char path[256];
	static char big[200000];

	if (!mkdtemp(dir) || mkdir(at("tree", path), 0755) < 0 || mkdir(at("tree/sub", path), 0755) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 2654435761u >> 13);
	write_file("tree/sub/hello", "hello\n", 6);
	write_file("tree/big", big, sizeof(big));
	return symlink("sub/hello", at("tree/link", path));
}

static int remove_tree(void **state)
{
	return nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Runs a tool quietly. Return: its exit status, or -1 where it isn't installed. */
static int run_tool(char *const argv[])
{
	_cleanup_free_ char *tool = NULL;
	posix_spawn_file_actions_t actions;
	pid_t pid;
	int status;

	if (path_find_tool(argv[0], &tool, NULL) != 1)
		return -1;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	int r = posix_spawn(&pid, tool, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	assert_int_equal(r, 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

struct maker {
	const char *fstype;
	const char *argv[12];           /* "@IMAGE" and "@TREE" are replaced */
	off_t size_bytes;               /* of the empty file made first; 0: the tool makes it */
	bool empty;                     /* the tool can't put our tree in */
};

static const struct maker makers[] = {
	{ "squashfs", { "mksquashfs", "@TREE", "@IMAGE", "-quiet", "-no-progress", "-noappend" } },
	{ "erofs", { "mkfs.erofs", "@IMAGE", "@TREE" } },
	{ "ext4", { "mkfs.ext4", "-q", "-F", "-d", "@TREE", "@IMAGE" }, 8 << 20 },
	{ "ext3", { "mkfs.ext3", "-q", "-F", "-d", "@TREE", "@IMAGE" }, 8 << 20 },
	{ "ext2", { "mkfs.ext2", "-q", "-F", "-d", "@TREE", "@IMAGE" }, 8 << 20 },
	{ "btrfs", { "mkfs.btrfs", "-q", "-f", "-r", "@TREE", "@IMAGE" }, 128 << 20 },
	{ "xfs", { "mkfs.xfs", "-q", "-f", "@IMAGE" }, 300 << 20, true },
};

/* Makes the image once; ret_path gets its path. Skips where root or the tool is missing. */
static const struct maker *make_image(const char *fstype, char ret_path[static 256])
{
	const struct maker *m = makers;
	char tree[256];
	const char *argv[12] = { 0 };

	if (geteuid() != 0)
		skip_test("only root may mount images");
	while (strcmp(m->fstype, fstype) != 0)
		m++;
	at(fstype, ret_path);
	at("tree", tree);
	if (access(ret_path, F_OK) == 0)
		return m;
	if (m->size_bytes) {
		write_file(fstype, "", 0);
		assert_int_equal(truncate(ret_path, m->size_bytes), 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(argv) && m->argv[i]; i++)
		argv[i] = strcmp(m->argv[i], "@IMAGE") == 0 ? ret_path :
			  strcmp(m->argv[i], "@TREE") == 0  ? tree :
							      m->argv[i];
	int r = run_tool((char *const *)argv);
	if (r == -1)
		(void)!unlink(ret_path);
	if (r == -1)
		skip_test("%s is not installed", argv[0]);
	assert_int_equal(r, 0);
	return m;
}

/* How many loop devices have a file of ours behind them? */
static unsigned count_loops(void)
{
	_cleanup_closedir_ DIR *d = opendir("/sys/block");
	unsigned n = 0;

	for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
		char path[512], text[512] = "";

		if (strncmp(e->d_name, "loop", 4) != 0)
			continue;
		snprintf(path, sizeof(path), "/sys/block/%s/loop/backing_file", e->d_name);
		_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 && strncmp(text, dir, strlen(dir)) == 0)
			n++;
	}
	return n;
}

static void assert_no_loops(void)
{
	unsigned n = count_loops();

	for (unsigned i = 0; n && i < 6000; i++) {
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
		n = count_loops();
	}
	assert_int_equal(n, 0);
}

static void assert_same_file(int root_fd, const char *name)
{
	static char want[300000], have[300000];
	char path[256], under[300];

	snprintf(under, sizeof(under), "tree/%s", name);
	_cleanup_close_ int want_fd = open(at(under, path), O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int have_fd = openat(root_fd, name, O_RDONLY | O_CLOEXEC);
	assert_true(want_fd >= 0 && have_fd >= 0);
	ssize_t n = read(want_fd, want, sizeof(want));
	assert_true(n > 0);
	assert_int_equal(read(have_fd, have, sizeof(have)), n);
	assert_memory_equal(want, have, (size_t)n);
}

static void check_content(const struct maker *m, int fd)
{
	struct statvfs vfs;

	assert_int_equal(fstatvfs(fd, &vfs), 0);
	assert_int_equal(vfs.f_flag & (ST_RDONLY | ST_NODEV | ST_NOSUID), ST_RDONLY | ST_NODEV | ST_NOSUID);
	assert_int_equal(openat(fd, "new", O_WRONLY | O_CREAT | O_CLOEXEC, 0644), -1);
	assert_int_equal(errno, EROFS);
	if (m->empty)
		return;
	assert_same_file(fd, "sub/hello");
	assert_same_file(fd, "big");
	assert_same_file(fd, "link");
}

static void check_open(const char *fstype)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_free_ char *found = NULL;
	char path[256];
	const struct maker *m = make_image(fstype, path);
	int fd = image_open(path, &found, &err);
	if (fd == -KENNEL_E_UNSUPPORTED) {
		assert_non_null(kennel_error_hint(err));
		skip_test("%s", kennel_error_message(err));
	}
	if (fd < 0)
		fail_msg("%s", kennel_error_message(err));
	assert_string_equal(found, fstype);
	check_content(m, fd);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	assert_no_loops();
}

#define OPEN_TEST(fs) \
	static void test_image_open_##fs(void **state) \
	{ \
		check_open(#fs); \
	}
OPEN_TEST(squashfs)
OPEN_TEST(erofs)
OPEN_TEST(ext4)
OPEN_TEST(ext3)
OPEN_TEST(ext2)
OPEN_TEST(btrfs)
OPEN_TEST(xfs)

static void test_image_open_same_image_twice(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(makers); i++) {
		_cleanup_error_ struct kennel_error *err = NULL;
		_cleanup_free_ char *one = NULL, *two = NULL;
		char path[256];

		if (strcmp(makers[i].fstype, "xfs") && strcmp(makers[i].fstype, "btrfs") &&
		    strcmp(makers[i].fstype, "squashfs"))
			continue;
		make_image(makers[i].fstype, path);
		_cleanup_close_ int a = image_open(path, &one, &err);
		if (a == -KENNEL_E_UNSUPPORTED)
			continue;
		_cleanup_close_ int b = image_open(path, &two, &err);
		if (b == -KENNEL_E_EXISTS && kennel_error_hint(err))    /* btrfs before 6.7 */
			continue;
		if (a < 0 || b < 0)
			fail_msg("%s", kennel_error_message(err));
	}
	assert_no_loops();
}

/* A journal that waits for its replay: the mount must neither want nor do it. */
static void test_image_open_dirty_journal_is_left_alone(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_free_ char *found = NULL;
	char path[256], dirty[256];

	make_image("ext4", path);
	char *copy[] = { (char *)"cp", path, (char *)at("dirty", dirty), NULL };
	assert_int_equal(run_tool(copy), 0);
	char *mark[] = {
		(char *)"debugfs", (char *)"-w", (char *)"-R", (char *)"feature needs_recovery", dirty, NULL
	};
	if (run_tool(mark) != 0)
		skip_test("debugfs is not installed");
	char *keep[] = { (char *)"cp", dirty, (char *)at("kept", path), NULL };
	assert_int_equal(run_tool(keep), 0);
	int fd = image_open(dirty, &found, &err);
	if (fd < 0)
		fail_msg("%s", kennel_error_message(err));
	check_content(&makers[2], fd);
	close(fd);
	char *compare[] = { (char *)"cmp", dirty, path, NULL };
	assert_int_equal(run_tool(compare), 0);
	assert_no_loops();
}

static void check_refused(const char *path, int code, const char *words)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	char *found = NULL;
	int r = image_open(path, &found, &err);

	if (r != code || !strstr(kennel_error_message(err), words))
		fail_msg("%s: %d, %s", path, r, kennel_error_message(err));
	assert_null(found);
	assert_no_loops();
}

static void test_image_open_not_an_image(void **state)
{
	static const struct {
		const char *data;
		size_t len, offset;
		int code;
		const char *words;
	} cases[] = {
		{ "", 0, 0, -KENNEL_E_CORRUPT, "is empty" },
		{ "\x1f\x8b\x08", 3, 0, -KENNEL_E_CORRUPT, "looks like a gzip archive" },
		{ "\xfd" "7zXZ", 6, 0, -KENNEL_E_CORRUPT, "looks like an xz archive" },
		{ "ustar", 5, 257, -KENNEL_E_CORRUPT, "looks like a tar archive" },
		{ "QFI\xfb", 4, 0, -KENNEL_E_CORRUPT, "a qcow2 disk image" },
		{ "EFI PART", 8, 512, -KENNEL_E_CORRUPT, "whole disk" },
		{ "nothing of the kind", 19, 0, -KENNEL_E_CORRUPT, "no file system that kennel knows" },
		{ "hsqs", 4, 0, -KENNEL_E_CORRUPT, "" },
	};
	char path[256], data[1024];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		memset(data, 'x', sizeof(data));
		memcpy(data + cases[i].offset, cases[i].data, cases[i].len);
		write_file("strange", data, cases[i].len ? sizeof(data) : 0);
		check_refused(at("strange", path), cases[i].code, cases[i].words);
	}
	check_refused(at("none", path), -KENNEL_E_NOTFOUND, "none\": No such file");
	check_refused(at("no\033[1mne", path), -KENNEL_E_NOTFOUND, "no\\x1b[1mne");
	check_refused(dir, -KENNEL_E_TYPE, "is a directory");
	check_refused("/dev/null", -KENNEL_E_TYPE, "neither a regular file nor a block device");
	assert_int_equal(mkfifo(at("fifo", path), 0600), 0);
	check_refused(path, -KENNEL_E_TYPE, "neither a regular file nor a block device");
	check_refused("", -KENNEL_E_INVALID, "empty name");
}

/* Marks of two file systems: ours alone can't tell, libblkid may; never a crash, and a sentence. */
static void test_image_format_find_marks_of_several(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	const struct image_format *f = NULL;
	static unsigned char data[65536 + 4096];
	char path[256];

	memcpy(data, "hsqs", 4);
	data[28] = 4;
	memcpy(data + 65536 + 64, "_BHRfS_M", 8);
	write_file("several", data, sizeof(data));
	_cleanup_close_ int fd = open(at("several", path), O_RDONLY | O_CLOEXEC);
	int r = image_format_find(fd, "several", &f, &err);
	if (r < 0)
		assert_non_null(strstr(kennel_error_message(err), "several"));
	else
		assert_string_equal(f->name, "squashfs");
}

static void test_image_open_cut_short_is_refused(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(makers); i++) {
		char path[256], cut[256];
		struct stat st;

		make_image(makers[i].fstype, path);
		char *copy[] = { (char *)"cp", path, (char *)at("cut", cut), NULL };
		assert_int_equal(run_tool(copy), 0);
		assert_int_equal(stat(cut, &st), 0);
		assert_int_equal(truncate(cut, st.st_size * 2 / 3), 0);
		check_refused(cut, -KENNEL_E_CORRUPT, "cut short");
		assert_int_equal(unlink(cut), 0);
	}
}

/* Reads all that can be read, so that damage shows as EIO here and not as a crash. */
static void walk(int fd, unsigned depth)
{
	_cleanup_closedir_ DIR *d = depth < 8 ? fdopendir(fcntl(fd, F_DUPFD_CLOEXEC, 3)) : NULL;
	static char data[65536];

	for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
		struct stat st;

		if (e->d_name[0] == '.' || fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
			continue;
		_cleanup_close_ int child = openat(fd, e->d_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		if (child >= 0 && S_ISDIR(st.st_mode))
			walk(child, depth + 1);
		for (int n = 0;
		     child >= 0 && S_ISREG(st.st_mode) && n < 16 && read(child, data, sizeof(data)) > 0; n++)
			;
	}
}

/* The alarm ends a hang; the verdict may be an error or, where the flip hit what nobody reads, a mount. */
static void test_image_open_flipped_bits_end_in_time(void **state)
{
	static const char *const kinds[] = { "squashfs", "erofs", "ext4" };
	unsigned seed = 12345;

	alarm(250);
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		char path[256], bad[256];

		make_image(kinds[k], path);
		char *copy[] = { (char *)"cp", path, (char *)at("bad", bad), NULL };
		assert_int_equal(run_tool(copy), 0);
		_cleanup_close_ int file_fd = open(bad, O_RDWR | O_CLOEXEC);
		for (unsigned i = 0; i < 40; i++) {
			_cleanup_error_ struct kennel_error *err = NULL;
			_cleanup_free_ char *found = NULL;
			unsigned char byte, flipped;

			seed = seed * 1103515245u + 12345u;
			/* the first two hit the superblock's own fields, the rest anywhere near the front */
			off_t offset = i == 0 ? 0 : i == 1 ? 1024 + 12 : (off_t)(seed >> 8) % 8192;
			assert_int_equal(pread(file_fd, &byte, 1, offset), 1);
			flipped = (unsigned char)(byte ^ (1u << (seed >> 28 & 7)));
			assert_int_equal(pwrite(file_fd, &flipped, 1, offset), 1);
			int fd = image_open(bad, &found, &err);
			if (fd >= 0)
				walk(fd, 0);
			else
				assert_non_null(strstr(kennel_error_message(err), "bad"));
			close_fd(fd);
			assert_int_equal(pwrite(file_fd, &byte, 1, offset), 1);
		}
	}
	alarm(0);
	assert_no_loops();
}

static void test_image_open_says_the_kernels_words(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	char path[256], bad[256], *found = NULL;

	make_image("squashfs", path);
	char *copy[] = { (char *)"cp", path, (char *)at("bad-words", bad), NULL };
	assert_int_equal(run_tool(copy), 0);
	_cleanup_close_ int file_fd = open(bad, O_RDWR | O_CLOEXEC);
	assert_int_equal(pwrite(file_fd, "\x09", 1, 28), 1);            /* major version 9 */
	assert_int_equal(image_open(bad, &found, &err), -KENNEL_E_UNSUPPORTED);
	assert_non_null(strstr(kennel_error_message(err), "the kernel says: "));
	assert_non_null(strstr(kennel_error_message(err), "Please update your kernel"));
	assert_int_equal(kennel_error_errno(err), EINVAL);
	assert_no_loops();
}

static void check_hint(const char *path, int code, const char *words, const char *advice)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	char *found = NULL;

	assert_int_equal(image_open(path, &found, &err), code);
	assert_non_null(strstr(kennel_error_message(err), words));
	assert_non_null(kennel_error_hint(err));
	assert_non_null(strstr(kennel_error_hint(err), advice));
	assert_no_loops();
}

static void test_image_open_machine_lacks_something(void **state)
{
	char path[256];

	make_image("squashfs", path);
	inject_fsopen = ENODEV;
	check_hint(path, -KENNEL_E_UNSUPPORTED, "this kernel has no squashfs", "modprobe squashfs");
	inject_fsopen = EPERM;
	check_hint(path, -KENNEL_E_PERM, "squashfs", "only root");
	inject_fsopen = 0;
	inject_number = 4999999;
	check_hint(path, -KENNEL_E_NOTFOUND, "/dev/loop4999999", "mknod /dev/loop4999999 b 7 4999999");
	inject_number = 0;
}

static void test_image_open_loop_race_is_retried_then_reported(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	char path[256], *found = NULL;

	make_image("squashfs", path);
	inject_busy = 200;
	int fd = image_open(path, &found, &err);
	if (fd < 0)
		fail_msg("%s", kennel_error_message(err));
	assert_int_equal(inject_busy, 0);
	close(fd);
	free(found);
	found = NULL;
	inject_busy = 1000000;
	assert_int_equal(image_open(path, &found, &err), -KENNEL_E_BUSY);
	assert_non_null(strstr(kennel_error_message(err), "no loop device could be had"));
	inject_busy = 0;
	assert_no_loops();
}

static void test_image_open_erofs_falls_back_to_loop(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_free_ char *found = NULL;
	char path[256];
	const struct maker *m = make_image("erofs", path);

	inject_not_block = 1;
	int fd = image_open(path, &found, &err);
	assert_int_equal(inject_not_block, 0);
	if (fd < 0)
		fail_msg("%s", kennel_error_message(err));
	assert_int_equal(count_loops(), 1);
	check_content(m, fd);
	close(fd);
	assert_no_loops();
}

enum { MANY = 64 };

/* Child number i: opens, reads, tells. The others' devices are taken from under it all the time. */
static int open_in_child(const char *path, const struct maker *m)
{
	_cleanup_free_ char *found = NULL;
	_cleanup_error_ struct kennel_error *err = NULL;
	int fd = image_open(path, &found, &err);

	if (fd < 0)
		print_error("%s\n", kennel_error_message(err));
	if (fd < 0)
		return 1;
	_cleanup_close_ int file_fd = openat(fd, "sub/hello", O_RDONLY | O_CLOEXEC);
	char text[8] = "";
	int good = file_fd >= 0 && read(file_fd, text, sizeof(text)) == 6 && strcmp(text, "hello\n") == 0;
	close(fd);
	return good ? 0 : 2;
}

static void test_image_open_many_at_once(void **state)
{
	char path[256];
	const struct maker *m = make_image("squashfs", path);
	pid_t pids[MANY];

	for (int i = 0; i < MANY; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0)
			_exit(open_in_child(path, m));
	}
	int bad = 0;
	for (int i = 0; i < MANY; i++) {
		int status;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		bad += status != 0;
	}
	assert_int_equal(bad, 0);
	assert_no_loops();
}

/* Killed while it holds one: the kernel clears the device. */
static void test_image_open_owner_killed_leaves_nothing(void **state)
{
	char path[256];
	int pipe_fds[2];

	make_image("squashfs", path);
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	pid_t pid = fork();
	if (pid == 0) {
		char *found;
		int fd = image_open(path, &found, NULL);

		(void)!write(pipe_fds[1], fd >= 0 ? "y" : "n", 1);
		pause();
		_exit(0);
	}
	char answer;
	assert_int_equal(read(pipe_fds[0], &answer, 1), 1);
	assert_int_equal(answer, 'y');
	assert_true(count_loops() == 1);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	assert_no_loops();
}

static void test_image_open_block_device(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_free_ char *found = NULL;
	char path[256], device[64];
	const struct maker *m = make_image("squashfs", path);

	_cleanup_close_ int file_fd = open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int loop_fd = loop_attach(file_fd, "kennel-test", false, &err);
	if (loop_fd < 0)
		fail_msg("%s", kennel_error_message(err));
	snprintf(device, sizeof(device), "/proc/self/fd/%d", loop_fd);
	int fd = image_open(device, &found, &err);
	if (fd < 0)
		fail_msg("%s", kennel_error_message(err));
	check_content(m, fd);
	close(fd);
	replace_fd(&loop_fd, -EBADF);
	assert_no_loops();
}

static void test_layer_open_directory_and_image(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	char path[256];
	int fd = -1;

	make_image("squashfs", path);
	for (int image = 0; image < 2; image++) {
		_cleanup_free_ char *kind = NULL;
		char name[256];
		struct statvfs vfs;

		if (layer_open(image ? path : at("tree", name), &fd, &kind, &err) < 0)
			fail_msg("%s", kennel_error_message(err));
		assert_string_equal(kind, image ? "squashfs" : "directory");
		assert_same_file(fd, "big");
		assert_int_equal(fstatvfs(fd, &vfs), 0);
		assert_true(vfs.f_flag & ST_RDONLY);
		close(fd);
	}
	char *kind = NULL;
	assert_int_equal(layer_open(at("none", path), &fd, &kind, &err), -KENNEL_E_NOTFOUND);
	assert_null(kind);
	assert_no_loops();
}

/* The child gives up root, for which nothing is unreadable. */
static void test_layer_open_dir_errors_are_told_apart(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	char path[256];

	int fd = layer_open_dir(at("tree", path), &err);
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFL) & O_PATH);
	close(fd);
	assert_int_equal(layer_open_dir(at("none", path), &err), -KENNEL_E_NOTFOUND);
	assert_int_equal(layer_open_dir(at("tree/big", path), &err), -KENNEL_E_TYPE);
	assert_non_null(strstr(kennel_error_message(err), "is not a directory"));
	assert_int_equal(mkdir(at("closed", path), 0111), 0);
	pid_t pid = fork();
	if (pid == 0) {
		if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
			_exit(3);
		int r = layer_open_dir(path, NULL);
		_exit(r == -KENNEL_E_PERM ? 0 : 1);
	}
	int status;
	assert_int_equal(chmod(dir, 0755), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(chmod(path, 0755), 0);
}

/* The same file opened by somebody who may not mount: the reason, and who may. */
static void test_image_open_without_privilege_says_who_may(void **state)
{
	char path[256];

	make_image("squashfs", path);
	assert_int_equal(chmod(dir, 0755), 0);
	pid_t pid = fork();
	if (pid == 0) {
		struct kennel_error *err = NULL;
		char *found = NULL;

		if (setgid(65534) < 0 || setuid(65534) < 0)
			_exit(3);
		int r = image_open(path, &found, &err);
		_exit(r == -KENNEL_E_PERM && strstr(kennel_error_hint(err), "only root") ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_image_open_squashfs),
		cmocka_unit_test(test_image_open_erofs),
		cmocka_unit_test(test_image_open_ext4),
		cmocka_unit_test(test_image_open_ext3),
		cmocka_unit_test(test_image_open_ext2),
		cmocka_unit_test(test_image_open_btrfs),
		cmocka_unit_test(test_image_open_xfs),
		cmocka_unit_test(test_image_open_same_image_twice),
		cmocka_unit_test(test_image_open_dirty_journal_is_left_alone),
		cmocka_unit_test(test_image_open_not_an_image),
		cmocka_unit_test(test_image_format_find_marks_of_several),
		cmocka_unit_test(test_image_open_cut_short_is_refused),
		cmocka_unit_test(test_image_open_flipped_bits_end_in_time),
		cmocka_unit_test(test_image_open_says_the_kernels_words),
		cmocka_unit_test(test_image_open_machine_lacks_something),
		cmocka_unit_test(test_image_open_loop_race_is_retried_then_reported),
		cmocka_unit_test(test_image_open_erofs_falls_back_to_loop),
		cmocka_unit_test(test_image_open_many_at_once),
		cmocka_unit_test(test_image_open_owner_killed_leaves_nothing),
		cmocka_unit_test(test_image_open_block_device),
		cmocka_unit_test(test_layer_open_directory_and_image),
		cmocka_unit_test(test_layer_open_dir_errors_are_told_apart),
		cmocka_unit_test(test_image_open_without_privilege_says_who_may),
	};

	return cmocka_run_group_tests(tests, make_tree, remove_tree);
}
