/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit/test-view.c - the view server as a sandbox sees it: owners, content, the host's changes, its own end.
 *
 * The host side is a tree on disk that the tests make and change; the sandbox side runs in a user namespace
 * with an overlay on top (view-stage.c). argv[1] is the program.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sys/sys.h"
#include "view-stage.h"
#include "view/view.h"

#define CHECK(x) assert_true(x)
#define INSIDE(where, fn, arg) stage_inside(&stage, where, fn, (void *)(uintptr_t)(arg))

static const char *program;
static char dir[] = "/tmp/kennel-view-XXXXXX";
static char host[] = "/var/tmp/kennel-view-XXXXXX";
static struct stage stage;
static bool can_stage;
static _Atomic int *step; /* shared with whatever is forked */

static char *at(const char *name)
{
	static char buf[4][256];
	static unsigned n;

	snprintf(buf[++n % 4], 256, "%s/%s", host, name);
	return buf[n % 4];
}

static void put(const char *name, const char *text)
{
	int fd = open(at(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

/* Inside: does the file hold exactly this? arg is "NAME=TEXT". 0 yes, 1 another, else errno. */
static int holds(void *arg)
{
	char name[128], data[256] = "";
	const char *text = strchr(arg, '=') + 1;

	snprintf(name, sizeof(name), "%.*s", (int)(text - 1 - (char *)arg), (char *)arg);
	int fd = open(name, O_RDONLY | O_NOFOLLOW);
	if (fd < 0)
		return errno;
	ssize_t n = read(fd, data, sizeof(data) - 1);
	return n < 0 ? errno : strcmp(data, text) != 0;
}

static int exists(void *arg)
{
	struct stat st;

	return lstat(arg, &st) < 0 ? errno : 0;
}

/* The host's changes show within a second of an idle machine: asks until they do. Returns the last answer. */
static int within_a_second(const char *where, int (*fn)(void *arg), const char *arg, int expected)
{
	int r = -1;

	for (int i = 0; i < 400 && r != expected; i++) {
		usleep(i ? 50000 : 0);
		r = INSIDE(where, fn, arg);
	}
	return r;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static int set_up(void **state)
{
	struct stat st;

	CHECK(mkdtemp(host) && chmod(host, 0755) == 0);
	step = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(step != MAP_FAILED);
	if (geteuid() != 0 || stat("/dev/fuse", &st) < 0)
		return 0;
	CHECK(mkdtemp(dir));
	stage_prepare(dir);
	can_stage = true;
	return 0;
}

static int tear_down(void **state)
{
	nftw(host, remove_one, 64, FTW_DEPTH | FTW_PHYS);
	if (can_stage) {
		sys_umount2("/dev/fuse", 0);
		sys_umount2(dir, 0);
		rmdir(dir);
	}
	return 0;
}

static int start(void **state)
{
	const char *const words[] = { "--hide", "/hidden", "--hide", "/a/b/hidden", NULL };

	if (can_stage)
		stage_start(&stage, program, host, words, 0);
	return 0;
}

static int start_with_few_files(void **state)
{
	if (can_stage)
		stage_start(&stage, program, host, NULL, 48);
	return 0;
}

static int start_unwatched(void **state)
{
	const char *const words[] = { "--watches", "0", "--pins", "4", NULL };

	if (can_stage)
		stage_start(&stage, program, host, words, 0);
	return 0;
}

static int end(void **state)
{
	if (can_stage)
		stage_end(&stage);
	nftw(host, remove_one, 64, FTW_DEPTH | FTW_PHYS);
	CHECK(mkdir(host, 0755) == 0);
	return 0;
}

#define NEED_STAGE() \
	do { \
		if (!can_stage) \
			skip_test("needs root: and a FUSE device, which it lends to a user"); \
		assert_int_equal(stage.report[0], VIEW_READY); \
	} while (0)

static int looks_as_made(void *arg)
{
	struct stat st, other;

	if (lstat("owned", &st) < 0 || st.st_uid != 33 || st.st_gid != 1003 ||
	    st.st_mode != (S_IFREG | 04751))
		return 1;
	if (lstat("one", &st) < 0 || lstat("two", &other) < 0 || st.st_ino != other.st_ino ||
	    st.st_nlink != 2)
		return 2;
	if (lstat("fifo", &st) < 0 || !S_ISFIFO(st.st_mode))
		return 3;
	if (lstat("device", &st) < 0 || st.st_rdev != makedev(1, 3) || open("device", O_RDONLY) >= 0 ||
	    errno != EACCES)
		return 4;
	char target[64] = "";
	if (readlink("link", target, sizeof(target)) != 7 || strcmp(target, "nowhere") != 0)
		return 5;
	if (open("created", O_WRONLY | O_CREAT, 0600) >= 0 || errno != EROFS)
		return 6;
	return 0;
}

static void test_lookup_tells_owner_mode_links_and_types(void **state)
{
	NEED_STAGE();
	put("owned", "x");
	CHECK(chown(at("owned"), 33, 1003) == 0 && chmod(at("owned"), 04751) == 0);
	put("one", "1");
	CHECK(link(at("one"), at("two")) == 0 && mkfifo(at("fifo"), 0644) == 0);
	CHECK(mknod(at("device"), S_IFCHR | 0666, makedev(1, 3)) == 0 && symlink("nowhere", at("link")) == 0);
	assert_int_equal(INSIDE("view", looks_as_made, NULL), 0);
}

static int write_and_chown(void *arg)
{
	int fd = open("file", O_WRONLY | O_APPEND);

	if (fd < 0 || write(fd, "+", 1) != 1)
		return errno;
	return chown("file", 5, 6) < 0 || rename("file", "moved") < 0 || mkdir("d/new", 0700) < 0 ? errno : 0;
}

static void test_overlay_changes_roots_files_and_host_keeps_them(void **state)
{
	struct stat st;

	NEED_STAGE();
	put("file", "text");
	CHECK(mkdir(at("d"), 0755) == 0);
	assert_int_equal(INSIDE("root", write_and_chown, NULL), 0);
	assert_int_equal(INSIDE("root", holds, "moved=text+"), 0);
	CHECK(stat(at("file"), &st) == 0 && st.st_size == 4 && st.st_uid == 0);
	CHECK(stat(at("d/new"), &st) < 0);
}

static void test_unreadable_stays_unreadable(void **state)
{
	NEED_STAGE();
	put("secret", "s");
	CHECK(chmod(at("secret"), 0600) == 0 && mkdir(at("closed"), 0700) == 0 &&
	      mkdir(at("closed/in"), 0755) == 0);
	assert_int_equal(INSIDE("view", holds, "secret=s"), EACCES);
	assert_int_equal(INSIDE("root", holds, "secret=s"), EACCES);
	assert_int_equal(INSIDE("root", exists, "closed/in"), EACCES);
	assert_int_equal(INSIDE("root", exists, "closed"), 0);
}

static int entries_in(void *arg)
{
	DIR *d = opendir(arg);
	struct dirent *e;
	int n = 0;

	while (d && (e = readdir(d)))
		n += e->d_name[0] != '.';
	return d ? n : 99;
}

static void test_hidden_is_an_empty_directory(void **state)
{
	NEED_STAGE();
	CHECK(mkdir(at("hidden"), 0700) == 0 && mkdir(at("a"), 0755) == 0 && mkdir(at("a/b"), 0755) == 0);
	put("hidden/file", "x");
	put("a/b/hidden", "a file even");
	put("a/b/shown", "x");
	assert_int_equal(INSIDE("view", entries_in, "hidden"), 0);
	assert_int_equal(INSIDE("view", exists, "hidden/file"), ENOENT);
	assert_int_equal(INSIDE("view", entries_in, "a/b/hidden"), 0);
	assert_int_equal(INSIDE("root", holds, "a/b/shown=x"), 0);
}

static void changes_show(const char *where)
{
	static const char *const texts[] = { "r=new", "r=newer",
					     "r=last" }; /* static: read by another process */

	put("f", "old");
	put("r", "old");
	CHECK(mkdir(at("dir"), 0755) == 0);
	put("dir/in", "old");
	assert_int_equal(INSIDE(where, holds, "f=old"), 0);
	assert_int_equal(INSIDE(where, holds, "r=old"), 0);
	assert_int_equal(INSIDE(where, holds, "dir/in=old"), 0);
	assert_int_equal(INSIDE(where, entries_in, "dir"), 1);
	put("f", "longer");
	assert_int_equal(within_a_second(where, holds, "f=longer", 0), 0);
	for (int i = 0; i < 3; i++) { /* more than once: what was told of once must be found again */
		put("r.new", texts[i] + 2);
		CHECK(rename(at("r.new"), at("r")) == 0);
		assert_int_equal(within_a_second(where, holds, texts[i], 0), 0);
	}
	put("dir/more", "x");
	assert_int_equal(within_a_second(where, entries_in, "dir", 2), 2);
	CHECK(chmod(at("f"), 0600) == 0);
	assert_int_equal(within_a_second(where, holds, "f=longer", EACCES), EACCES);
	CHECK(rename(at("dir"), at("dir.old")) == 0 && mkdir(at("dir"), 0755) == 0);
	put("dir/in", "another");
	assert_int_equal(within_a_second(where, holds, "dir/in=another", 0), 0);
}

static void test_host_changes_show_in_view(void **state)
{
	NEED_STAGE();
	assert_int_equal(INSIDE("view", exists, "later"), ENOENT);
	changes_show("view");
	put("later", "x");
	assert_int_equal(within_a_second("view", exists, "later", 0), 0);
	CHECK(unlink(at("later")) == 0);
	assert_int_equal(within_a_second("view", exists, "later", ENOENT), ENOENT);
}

static void test_host_changes_show_through_overlay(void **state)
{
	NEED_STAGE();
	changes_show("root");
}

static void test_host_changes_show_without_watches(void **state)
{
	NEED_STAGE();
	assert_int_equal(INSIDE("view", exists, "later"), ENOENT);
	put("later", "x");
	usleep(300000);
	changes_show("view");
	assert_int_equal(within_a_second("view", exists, "later", 0), 0);
}

static void wait_for_step(int n)
{
	for (int i = 0; i < 6000 && *step < n; i++)
		usleep(10000);
}

/* Has the file open and mapped while the host replaces it. */
static int reads_old_to_the_end(void *arg)
{
	char data[16] = "";
	int fd = open("lib", O_RDONLY);

	if (fd < 0)
		return 90;
	const char *map = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	*step = 1;
	wait_for_step(2);
	int again = open("lib", O_RDONLY);
	if (pread(fd, data, sizeof(data), 0) != 3 || strcmp(data, "old") != 0 || memcmp(map, "old", 4) != 0)
		return 1;
	memset(data, 0, sizeof(data));
	return again < 0 || pread(again, data, sizeof(data), 0) != 3 || strcmp(data, "old") != 0 ? 2 : 0;
}

static void open_file_keeps_its_version(const char *where)
{
	put("lib", "old");
	put("lib.new", "newer");
	*step = 0;
	pid_t pid = fork();
	if (!pid) {
		wait_for_step(1);
		int r = rename(at("lib.new"), at("lib"));
		usleep(300000);
		*step = 2;
		_exit(r < 0);
	}
	assert_int_equal(INSIDE(where, reads_old_to_the_end, NULL), 0);
	CHECK(waitpid(pid, NULL, 0) == pid);
	assert_int_equal(within_a_second(where, holds, "lib=newer", 0), 0);
}

static void test_open_file_keeps_its_version_while_replaced(void **state)
{
	NEED_STAGE();
	open_file_keeps_its_version("view");
	open_file_keeps_its_version("root");
}

static int files_are_whole(void *arg)
{
	for (int i = 0; i < 2000; i++) {
		unsigned long long ino = 0;
		char data[32] = "";
		struct stat st;
		int fd = open("x", O_RDONLY);

		if (fd < 0 && errno == ESTALE)
			continue; /* it kept changing */
		if (fd < 0 || read(fd, data, sizeof(data) - 1) < 0)
			return errno;
		ino = strtoull(data, NULL, 10);
		if (fstat(fd, &st) < 0 || st.st_ino != ino)
			return 1;
		close(fd);
	}
	return 0;
}

static void test_open_while_host_exchanges_is_one_file(void **state)
{
	const char *const names[] = { "x", "y" };
	struct stat st;

	NEED_STAGE();
	for (int i = 0; i < 2; i++) {
		char text[32];

		put(names[i], "");
		CHECK(stat(at(names[i]), &st) == 0);
		snprintf(text, sizeof(text), "%llu", (unsigned long long)st.st_ino);
		put(names[i], text);
	}
	pid_t pid = fork();
	while (!pid) {
		sys_renameat2(AT_FDCWD, at("x"), AT_FDCWD, at("y"), RENAME_EXCHANGE);
		usleep(300);
	}
	int r = INSIDE("view", files_are_whole, NULL);
	kill(pid, SIGKILL);
	CHECK(waitpid(pid, NULL, 0) == pid);
	assert_int_equal(r, 0);
}

#define BIG (24u << 20)

static int big_is_right(void *arg)
{
	static uint32_t block[16384];
	int fd = open("big", O_RDONLY | O_NOATIME);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size != BIG + 8192)
		return 1;
	if (lseek(fd, 0, SEEK_HOLE) != BIG || lseek(fd, BIG, SEEK_DATA) != BIG + 4096 ||
	    lseek(fd, 0, SEEK_SET) != 0)
		return 2;
	for (uint32_t at_word = 0; at_word < BIG / 4; at_word += ARRAY_SIZE(block)) {
		if (read(fd, block, sizeof(block)) != sizeof(block))
			return 3;
		for (uint32_t i = 0; i < ARRAY_SIZE(block); i++)
			if (block[i] != (at_word + i) * 2654435761u)
				return 4;
	}
	return 0;
}

static void test_big_file_with_hole_is_whole(void **state)
{
	static uint32_t block[16384];

	NEED_STAGE();
	int fd = open(at("big"), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	for (uint32_t at_word = 0; at_word < BIG / 4; at_word += ARRAY_SIZE(block)) {
		for (uint32_t i = 0; i < ARRAY_SIZE(block); i++)
			block[i] = (at_word + i) * 2654435761u;
		CHECK(write(fd, block, sizeof(block)) == sizeof(block));
	}
	CHECK(pwrite(fd, block, 4096, BIG + 4096) == 4096);
	close(fd);
	assert_int_equal(INSIDE("root", big_is_right, NULL), 0);
	assert_int_equal(INSIDE("view", big_is_right, NULL), 0);
}

static int walk_deep(void *arg)
{
	for (int i = 0; i < 400; i++)
		if (chdir("deep") < 0)
			return 1;
	return holds((char[]){ "end=x" });
}

static void test_deep_directories_need_few_pins(void **state)
{
	NEED_STAGE();
	int fd = open(host, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < 400; i++) {
		CHECK(mkdirat(fd, "deep", 0755) == 0);
		int next = openat(fd, "deep", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		close(fd);
		fd = next;
	}
	int file = openat(fd, "end", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	CHECK(write(file, "x", 1) == 1);
	close(file);
	close(fd);
	assert_int_equal(INSIDE("view", walk_deep, NULL), 0);
	usleep(200000);
	assert_int_equal(INSIDE("root", walk_deep, NULL), 0);
}

#define MANY_DIRS 200
#define MANY_FILES 200

static int lists_and_reads(void *arg)
{
	for (int i = 0; i < MANY_DIRS; i++) {
		char name[32], data[8];
		struct dirent *e;
		int n = 0;

		snprintf(name, sizeof(name), "many%d", i);
		DIR *d = opendir(name);
		while (d && (e = readdir(d))) {
			if (e->d_name[0] == '.')
				continue;
			n++;
			if (n % 8)
				continue;
			int fd = openat(dirfd(d), e->d_name, O_RDONLY);
			ssize_t len = read(fd, data, sizeof(data));
			close(fd);
			if (len != (ssize_t)strlen(e->d_name) || memcmp(data, e->d_name, (size_t)len) != 0)
				return 2;
		}
		if (!d || n != MANY_FILES)
			return 1;
		closedir(d);
	}
	return 0;
}

static void test_many_files_need_few_descriptors(void **state)
{
	NEED_STAGE();
	for (int i = 0; i < MANY_DIRS; i++) {
		char name[32];

		snprintf(name, sizeof(name), "many%d", i);
		CHECK(mkdir(at(name), 0755) == 0);
		for (int k = 0; k < MANY_FILES; k++) {
			char file[64], text[16];

			snprintf(text, sizeof(text), "%d", k);
			snprintf(file, sizeof(file), "%s/%s", name, text);
			put(file, text);
		}
	}
	assert_int_equal(INSIDE("root", lists_and_reads, NULL), 0);
}

/* One named user 33 with read and write, as setfacl would have it. */
static const uint8_t acl[] = { 2, 0,  0,   0,	1,   0,	  6,  0, 255, 255, 255, 255, 2,	  0,  6,
			       0, 33, 0,   0,	0,   4,	  0,  4, 0,   255, 255, 255, 255, 16, 0,
			       6, 0,  255, 255, 255, 255, 32, 0, 4,   0,   255, 255, 255, 255 };

static int has_attributes(void *arg)
{
	char data[128];
	ssize_t n = getxattr("attr", "user.mine", data, sizeof(data));

	if (n != 2 || memcmp(data, "ok", 2) != 0)
		return 1;
	if (getxattr("attr", "user.overlay.metacopy", data, sizeof(data)) >= 0)
		return 2;
	n = getxattr("attr", "system.posix_acl_access", data, sizeof(data));
	if (n != sizeof(acl) || memcmp(data, acl, sizeof(acl)) != 0)
		return 3;
	n = listxattr("attr", data, sizeof(data));
	return n < 0 || memmem(data, (size_t)n, "user.overlay", 12) ||
			       !memmem(data, (size_t)n, "user.mine", 10) ?
		       4 :
		       0;
}

static void test_attributes_pass_but_for_overlays_own(void **state)
{
	NEED_STAGE();
	put("attr", "x");
	if (setxattr(at("attr"), "user.mine", "ok", 2, 0) < 0 ||
	    setxattr(at("attr"), "system.posix_acl_access", acl, sizeof(acl), 0) < 0)
		skip_test("kernel without attributes in /var/tmp");
	CHECK(setxattr(at("attr"), "user.overlay.metacopy", "", 0, 0) == 0);
	assert_int_equal(INSIDE("view", has_attributes, NULL), 0);
}

static bool ends(pid_t pid, int *ret_status)
{
	for (int i = 0; i < 6000; i++, usleep(10000))
		if (waitpid(pid, ret_status, WNOHANG) == pid)
			return true;
	return false;
}

static int exists_soon(void *arg)
{
	alarm(60); /* a hang is a death by SIGALRM */
	return exists(arg);
}

static void test_killed_server_gives_errors_and_no_hang(void **state)
{
	int status;

	NEED_STAGE();
	put("known", "x");
	put("unknown", "x");
	assert_int_equal(INSIDE("root", exists, "known"), 0);
	kill(stage.server, SIGKILL);
	CHECK(ends(stage.server, &status) && WIFSIGNALED(status));
	assert_int_equal(INSIDE("view", exists_soon, "unknown"), ENOTCONN);
	assert_int_equal(INSIDE("root", exists_soon, "unknown"), ENOTCONN);
	assert_int_equal(INSIDE("root", holds, "known=x"), ENOTCONN);
}

/* One waits for a file system that never answers; a hang of the others is a death by SIGALRM. */
static int others_go_on(void *arg)
{
	char name[32];

	alarm(200);
	for (int i = 0; i < 400; i++) {
		snprintf(name, sizeof(name), "free/none%d", i);
		if (exists(name) != ENOENT)
			return 1;
	}
	pid_t pid = fork();
	if (pid == 0)
		_exit(exists((char[]){ "hung/any" }));
	int done = 0;
	for (; done < 20 && waitpid(pid, NULL, WNOHANG) == 0; done++, usleep(20000)) {
		snprintf(name, sizeof(name), "free/other%d", done);
		if (exists(name) != ENOENT)
			break;
	}
	/* the one that waits can't be killed either: it ends with what it waits for */
	return done == 20 ? 0 : 2;
}

static void test_place_that_hangs_holds_up_nobody_else(void **state)
{
	char options[96];

	NEED_STAGE();
	CHECK(mkdir(at("hung"), 0755) == 0 && mkdir(at("free"), 0755) == 0);
	_cleanup_close_ int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0);
	snprintf(options, sizeof(options), "fd=%d,rootmode=40755,user_id=0,group_id=0,allow_other", fd);
	CHECK(mount("hung", at("hung"), "fuse", MS_NOSUID | MS_NODEV, options) == 0);
	int r = INSIDE("view", others_go_on, NULL);
	close_fd(take_fd(&fd)); /* whoever waits gets an error */
	CHECK(sys_umount2(at("hung"), MNT_DETACH) == 0);
	assert_int_equal(r, 0);
}

static void test_server_ends_with_its_sandbox(void **state)
{
	int status;

	NEED_STAGE();
	kill(stage.child, SIGKILL);
	CHECK(ends(stage.server, &status) && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void test_server_ends_with_its_starter(void **state)
{
	int status;

	NEED_STAGE();
	close(stage.death_fd);
	stage.death_fd = -1;
	CHECK(ends(stage.server, &status) && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void test_server_holds_nothing_of_its_starter(void **state)
{
	char path[64], text[4096] = "";
	struct stat st;

	NEED_STAGE();
	snprintf(path, sizeof(path), "/proc/%d/status", stage.server);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(read(fd, text, sizeof(text) - 1) > 0);
	CHECK(strstr(text, "NoNewPrivs:\t1") && strstr(text, "CapEff:\t0000000000000000"));
	snprintf(path, sizeof(path), "/proc/%d/fd", stage.server);
	CHECK(stat(path, &st) == 0 && st.st_uid == 0); /* not dumpable */
	DIR *d = opendir(path);
	for (struct dirent *e; (e = readdir(d));) {
		char target[128] = "";

		if (readlinkat(dirfd(d), e->d_name, target, sizeof(target) - 1) > 0)
			CHECK(strstr(target, "fuse") || strstr(target, host) || strstr(target, "pipe:") ||
			      strstr(target, "inotify") || strstr(target, "eventfd") ||
			      strstr(target, "/dev/null") || strstr(target, "mountinfo"));
	}
	closedir(d);
}

static void test_wrong_arguments_are_refused(void **state)
{
	static const char *const lines[][4] = {
		{ "--fuse", "x" }, { "--hide", "relative" }, { "--nope" }, { "--root", "3" }
	};

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		pid_t pid = fork();
		int status;

		if (!pid) {
			close(STDERR_FILENO);
			execl(program, program, lines[i][0], lines[i][1], (char *)NULL);
			_exit(99);
		}
		CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 2);
	}
}

/* As "f:/path d:/path ": what is found, in the order of the directories. */
static void describe(const struct unreadable *u, char *to, size_t room)
{
	size_t len = 0;

	to[0] = '\0';
	for (size_t i = 0; i < u->n && len < room; i++)
		len += (size_t)snprintf(to + len, room - len, "%c:%s ", u->items[i].kind, u->items[i].path);
}

static int list_as_user(void)
{
	static const char *const skip[] = { "/skipped", NULL };
	_cleanup_error_ struct kennel_error *err = NULL;
	char found[512];

	if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setresgid(STAGE_UID, STAGE_UID, STAGE_UID) < 0 ||
			       setresuid(STAGE_UID, STAGE_UID, STAGE_UID) < 0))
		return 1;
	const struct unreadable_query q = { .root_fd = open(host, O_PATH | O_DIRECTORY | O_CLOEXEC),
					    .cache_fd = open(at("cache"), O_RDONLY | O_DIRECTORY | O_CLOEXEC),
					    .key = "test",
					    .skip = skip };
	for (int i = 0; i < 3; i++) { /* walked, loaded, loaded after a refresh */
		struct unreadable u = { 0 };

		if (unreadable_get(&q, &u, &err) < 0)
			return 2;
		describe(&u, found, sizeof(found));
		bool three = u.n == 3;
		unreadable_done(&u);
		if (!three || !strstr(found, "f:/u/file ") || !strstr(found, "d:/u/dir ") ||
		    !strstr(found, "l:/u/search ") || strstr(found, "skipped") || strstr(found, "open"))
			return 3 + i;
		if (i == 1 && unreadable_refresh(&q, &err) != 1)
			return 7;
	}
	*step = 1;
	wait_for_step(2); /* one has become readable, one has come */
	struct unreadable u = { 0 };
	if (unreadable_get(&q, &u, &err) < 0)
		return 8;
	describe(&u, found, sizeof(found));
	unreadable_done(&u);
	return strstr(found, "f:/u/file ") || !strstr(found, "f:/u/another ") ? 9 : 0;
}

static void test_unreadable_is_found_kept_and_tested_again(void **state)
{
	int status;

	if (geteuid() != 0)
		skip_test("needs root: makes what others can't read");
	CHECK(mkdir(at("u"), 0755) == 0 && mkdir(at("u/dir"), 0700) == 0 && mkdir(at("u/search"), 0711) == 0);
	CHECK(mkdir(at("skipped"), 0700) == 0 && mkdir(at("cache"), 0755) == 0);
	CHECK(chown(at("cache"), STAGE_UID, STAGE_UID) == 0);
	put("u/file", "x");
	put("u/open", "x");
	CHECK(chmod(at("u/file"), 0600) == 0);
	*step = 0;
	pid_t pid = fork();
	if (!pid)
		_exit(list_as_user());
	wait_for_step(1);
	CHECK(chmod(at("u/file"), 0644) == 0);
	put("u/another", "x");
	CHECK(chmod(at("u/another"), 0600) == 0);
	*step = 2;
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

#define STAGED(t) cmocka_unit_test_setup_teardown(t, start, end)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		STAGED(test_lookup_tells_owner_mode_links_and_types),
		STAGED(test_overlay_changes_roots_files_and_host_keeps_them),
		STAGED(test_unreadable_stays_unreadable),
		STAGED(test_hidden_is_an_empty_directory),
		STAGED(test_host_changes_show_in_view),
		STAGED(test_host_changes_show_through_overlay),
		cmocka_unit_test_setup_teardown(test_host_changes_show_without_watches, start_unwatched, end),
		STAGED(test_open_file_keeps_its_version_while_replaced),
		STAGED(test_open_while_host_exchanges_is_one_file),
		STAGED(test_big_file_with_hole_is_whole),
		cmocka_unit_test_setup_teardown(test_deep_directories_need_few_pins, start_unwatched, end),
		cmocka_unit_test_setup_teardown(test_many_files_need_few_descriptors, start_with_few_files,
						end),
		STAGED(test_attributes_pass_but_for_overlays_own),
		STAGED(test_killed_server_gives_errors_and_no_hang),
		STAGED(test_place_that_hangs_holds_up_nobody_else),
		STAGED(test_server_ends_with_its_sandbox),
		STAGED(test_server_ends_with_its_starter),
		STAGED(test_server_holds_nothing_of_its_starter),
		cmocka_unit_test(test_wrong_arguments_are_refused),
		cmocka_unit_test(test_unreadable_is_found_kept_and_tested_again),
	};

	if (argc != 2) {
		fprintf(stderr, "usage: test-view KENNEL-VIEW\n");
		return 2;
	}
	program = argv[1];
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
