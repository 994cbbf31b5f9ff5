/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit/test-file.c - containers in one file as root opens them: made, opened again, locked, grown; what
 * is no such
 * file is refused and not touched. The ordinary user's way, which needs kennel's helper program, is in
 * tests/integ/44-file.bats.
 */
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "conf/trust.h"
#include "layer/disk.h"
#include "path/path.h"
#include "path/remove.h"
#include "path/tool.h"
#include "run/file.h"
#include "run/keep.h"
#include "run/vm-disk.h"

static char top[64];

static int setup(void **state)
{
	snprintf(top, sizeof(top), "/var/tmp/kennel-file-XXXXXX");
	return mkdtemp(top) ? 0 : -1;
}

static int teardown(void **state)
{
	_cleanup_close_ int parent_fd = open("/var/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return path_remove_tree(parent_fd, strrchr(top, '/') + 1, NULL);
}

static const char *at(const char *name, char path[256])
{
	snprintf(path, 256, "%s/%s", top, name);
	return path;
}

static void need(const char *tool)
{
	_cleanup_free_ char *path = NULL;

	if (geteuid() != 0)
		skip_test("needs root: loop devices");
	if (access("/dev/loop-control", R_OK) < 0)
		skip_test("no loop devices here");
	if (path_find_tool(tool, &path, NULL) != 1)
		skip_test("%s is not installed", tool);
}

static int fill(void *data, int dir_fd, struct kennel_error **err)
{
	_cleanup_close_ int fd = openat(dir_fd, "config", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	return fd >= 0 && write(fd, "hello", 5) == 5 ? 0 : fail_errno(err, "fill");
}

static struct file_box *open_box(const struct file_wish *w)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	struct file_box *box = NULL;

	if (file_open(w, &box, &err) < 0)
		fail_msg("%s", kennel_error_message(err));
	return box;
}

static int refused(const struct file_wish *w, const char *words)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	struct file_box *box = NULL;

	int r = file_open(w, &box, &err);
	assert_true(r < 0);
	if (!strstr(kennel_error_message(err), words))
		fail_msg("\"%s\" is not in: %s", words, kennel_error_message(err));
	return r;
}

static void assert_content(const struct file_box *box)
{
	_cleanup_close_ int fd = openat(box->dir_fd, "config", O_RDONLY | O_CLOEXEC);
	char text[8] = "";

	assert_int_equal(read(fd, text, sizeof(text)), 5);
	assert_string_equal(text, "hello");
}

static void check_format(const char *tool, const char *format, uint64_t size)
{
	char path[256];
	struct file_wish w = {
		.path = at(format, path), .make = true, .format = format, .size_bytes = size, .fill = fill
	};
	struct statvfs before, after;

	need(tool);
	struct file_box *box = open_box(&w);
	assert_true(box->made);
	assert_string_equal(box->format, format);
	assert_content(box);
	assert_int_equal(fstatvfs(box->dir_fd, &before), 0);
	assert_true(before.f_flag & ST_NODEV && before.f_flag & ST_NOSUID && !(before.f_flag & ST_RDONLY));
	assert_int_equal(refused(&w, "in use by another kennel"), -KENNEL_E_BUSY);
	assert_int_equal(file_save(box, NULL), 0);
	file_free(box);

	w.size_bytes = size * 2;
	box = open_box(&w);
	assert_false(box->made);
	assert_int_equal(box->size_bytes, size * 2);
	assert_content(box);
	assert_int_equal(fstatvfs(box->dir_fd, &after), 0);
	assert_true(after.f_blocks > before.f_blocks + before.f_blocks / 2);
	assert_int_equal(file_save(box, NULL), 0);
	file_free(box);
	w.size_bytes = size;
	assert_int_equal(refused(&w, "only grows"), -KENNEL_E_INVALID);
	w.size_bytes = 0;
	box = open_box(&w);
	assert_int_equal(box->size_bytes, size * 2);
	file_free(box);
}

static void test_file_open_ext4(void **state)
{
	check_format("mke2fs", "ext4", 64 << 20);
}

static void test_file_open_btrfs(void **state)
{
	check_format("mkfs.btrfs", "btrfs", 256 << 20);
}

/* Nothing has a name before it is whole. */
static void test_file_open_failing_fill_leaves_nothing(void **state)
{
	char path[256];
	const struct file_wish w = { .path = at("x", path), .make = true, .size_bytes = 4096 };
	const struct file_wish none = { .path = path };
	struct stat st;

	need("mke2fs");
	assert_int_equal(refused(&w, "too few for a file system"), -KENNEL_E_INVALID);
	assert_true(lstat(path, &st) < 0);
	assert_int_equal(refused(&none, "there is no file"), -KENNEL_E_NOTFOUND);
}

static void test_file_open_what_is_no_image_is_not_touched(void **state)
{
	static const struct {
		const char *content, *words;
		int code;
	} cases[] = {
		{ "", "is empty", -KENNEL_E_CORRUPT },
		{ "hello", "holds no file system", -KENNEL_E_CORRUPT },
		{ "#!/bin/sh\nexit\n", "a script", -KENNEL_E_CORRUPT },
	};

	need("mke2fs");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char path[256], text[64] = "";
		const struct file_wish w = { .path = at("plain", path),
					     .make = true,
					     .size_bytes = 64 << 20 };
		_cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
		struct stat before, after;

		assert_int_equal(write(fd, cases[i].content, strlen(cases[i].content)),
				 strlen(cases[i].content));
		assert_int_equal(fstat(fd, &before), 0);
		assert_int_equal(refused(&w, cases[i].words), cases[i].code);
		assert_int_equal(fstat(fd, &after), 0);
		assert_true(before.st_mtim.tv_nsec == after.st_mtim.tv_nsec &&
			    before.st_size == after.st_size);
		assert_int_equal(pread(fd, text, sizeof(text), 0), strlen(cases[i].content));
		assert_string_equal(text, cases[i].content);
	}
	const struct file_wish dir = { .path = top, .make = true };
	assert_int_equal(refused(&dir, "is a directory"), -KENNEL_E_TYPE);
	const struct file_wish null = { .path = "/dev/null", .make = true };
	assert_int_equal(refused(&null, "no regular file"), -KENNEL_E_TYPE);
	char path[256];
	const struct file_wish odd = { .path = at("odd", path), .make = true, .format = "fat" };
	assert_int_equal(refused(&odd, "\"fat\""), -KENNEL_E_INVALID);
}

/* A mount by hand takes no lock. */
static void test_file_open_under_a_loop_device_is_refused(void **state)
{
	char path[256], command[512], device[64] = "";
	const struct file_wish w = { .path = at("x", path), .make = true, .size_bytes = 64 << 20 };

	need("losetup");
	need("mke2fs");
	file_free(open_box(&w));
	snprintf(command, sizeof(command), "losetup --find --show %s", path);
	FILE *f = popen(command, "re");
	assert_non_null(f);
	assert_non_null(fgets(device, sizeof(device), f));
	assert_int_equal(pclose(f), 0);
	device[strcspn(device, "\n")] = '\0';
	int r = refused(&w, device);
	snprintf(command, sizeof(command), "losetup --detach %s", device);
	f = popen(command, "re");
	assert_int_equal(pclose(f), 0);
	assert_int_equal(r, -KENNEL_E_BUSY);
	file_free(open_box(&w));
}

/* Killed in the middle: the lock goes with the device, a moment later, and what was synced is there. */
static void test_file_open_after_a_kill(void **state)
{
	char path[256], c;
	const struct file_wish w = {
		.path = at("x", path), .make = true, .size_bytes = 64 << 20, .fill = fill
	};
	int fds[2];

	need("mke2fs");
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid_t pid = fork();
	if (pid == 0) {
		struct file_box *box = NULL;

		if (file_open(&w, &box, NULL) < 0)
			_exit(1);
		int fd = openat(box->dir_fd, "synced", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		if (fd < 0 || write(fd, "x", 1) != 1 || fsync(fd) < 0)
			_exit(1);
		(void)!write(fds[1], "y", 1);
		pause();
	}
	assert_int_equal(read(fds[0], &c, 1), 1);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(fds[0]);
	close(fds[1]);
	struct file_box *box = open_box(&w);
	assert_content(box);
	assert_int_equal(faccessat(box->dir_fd, "synced", F_OK, 0), 0);
	file_free(box);
}

static void test_trust_is_needed_for_what_opens_the_host(void **state)
{
	static const char *const needed[][2] = {
		{ "share", "/home" },	  { "mount", "/a:/b" },	       { "device", "/dev/kvm" },
		{ "cap-add", "ALL" },	  { "isolate", "ns" },	       { "isolate", "fs" },
		{ "net", "host" },	  { "idmap", "no" },	       { "base", "/srv/other" },
		{ "layer", "/x" },	  { "base", "system:/lower" }, { "tty", "no" },
		{ "net", "bridge" },	  { "net", "container:x" },    { "publish", "80:80" },
		{ "of-the-future", "1" },
	};
	static const char *const harmless[][2] = {
		{ "net", "none" }, { "net", "nat" },	      { "isolate", "user" }, { "base", "system" },
		{ "env", "A=b" },  { "memory", "512M" },      { "hide", "/home" },   { "user", "me" },
		{ "tty", "yes" },  { "no-new-privs", "yes" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		assert_true(trust_is_needed(needed[i][0], needed[i][1]));
	for (size_t i = 0; i < ARRAY_SIZE(harmless); i++)
		assert_false(trust_is_needed(harmless[i][0], harmless[i][1]));
}

static void test_vm_disk_find_new_is_whole_and_sparse(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_free_ char *tool = NULL;
	struct keep k = { .c = CONTAINER_NONE };
	const char *format = NULL;
	char path[256], left[256];
	struct stat st;

	if (path_find_tool("mke2fs", &tool, NULL) != 1)
		skip_test("mke2fs is not installed");
	k.c.path = top;
	k.c.dir_fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	close(open(at(".vm-disk-new", left), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	_cleanup_free_ char *found = NULL;
	assert_int_equal(vm_disk_find(&k, 1u << 30, &found, &err), 0);
	assert_string_equal(found, at(VM_DISK, path));
	_cleanup_close_ int fd = open(found, O_RDWR | O_CLOEXEC);
	assert_int_equal(stat(at(VM_DISK, path), &st), 0);
	assert_int_equal(st.st_size, 1 << 30);
	assert_true(st.st_blocks < 32768); /* 16 MB */
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(access(left, F_OK), -1);
	assert_int_equal(disk_format_of(fd, VM_DISK, &format, &err), 0);
	assert_string_equal(format, "ext4");
	close_fd(k.c.dir_fd);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_file_open_ext4, setup, teardown),
		cmocka_unit_test_setup_teardown(test_file_open_btrfs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_file_open_failing_fill_leaves_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_file_open_what_is_no_image_is_not_touched, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_file_open_under_a_loop_device_is_refused, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_file_open_after_a_kill, setup, teardown),
		cmocka_unit_test_setup_teardown(test_vm_disk_find_new_is_whole_and_sparse, setup, teardown),
		cmocka_unit_test(test_trust_is_needed_for_what_opens_the_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
