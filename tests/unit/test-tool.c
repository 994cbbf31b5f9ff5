/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The wall around the field's own programs: a shell that somebody took over behind it has its file, and its
 * directory, and nothing else. In each script, a line that comes out is something that could be done.
 */
#include "unit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "path/path.h"
#include "path/remove.h"
#include "path/tool.h"
#include "sys/sys.h"

static char top[] = "/var/tmp/kennel-tool-XXXXXX";
static int top_fd;

static bool has_landlock(void)
{
	const uint64_t attr[] = { 1 };
	_cleanup_close_ int fd = sys_landlock_create_ruleset(attr, sizeof(attr));

	return fd >= 0;
}

static int make_top(void **state)
{
	if (!mkdtemp(top))
		return -1;
	top_fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int secret = openat(top_fd, "secret", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	_cleanup_close_ int given = openat(top_fd, "given", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (write(secret, "s", 1) != 1 || write(given, "given\n", 6) != 6)
		return -1;
	return mkdirat(top_fd, "dir", 0700);
}

static int remove_top(void **state)
{
	_cleanup_close_ int tmp = open("/var/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);

	close_fd(top_fd);
	return path_remove_tree(tmp, top + strlen("/var/tmp/"), NULL);
}

static void need_bash(void)
{
	_cleanup_free_ char *path = NULL;

	if (path_find_tool("bash", &path, NULL) != 1)
		skip_test("no bash here");
}

static void test_tool_has_its_file_and_nothing_else(void **state)
{
	static const char script[] = "exec 2>/dev/null; export HOME=$0\n"
				     "read -r x <" TOOL_FILE " && echo $x; echo more >>" TOOL_FILE
				     " && echo wrote\n"
				     "chmod 0777 $0/secret && echo chmod\n"
				     "touch -d 2001-01-01 $0/secret && echo touch\n"
				     "(exec 5<>/dev/tcp/127.0.0.1/9) && echo tcp\n"
				     "kill -0 $PPID && echo kill; unshare -Ur true && echo unshare\n"
				     "mount -t tmpfs x /mnt && echo mount; chroot / true && echo chroot\n"
				     "(setpriv --reuid 0 true; su -c true) </dev/null && echo su\n"
				     "[ -e /proc/self/fd/10 ] && echo descriptor; :";
	static const char files[] =
		"exec 2>/dev/null\n"
		"read -r x <$0/secret && echo secret; read -r x </etc/passwd && echo passwd\n"
		"echo x >$0/new && echo new; echo x >$0/secret && echo over\n"
		"mkdir $0/d && echo mkdir; rm -f $0/secret; [ -e $0/secret ] || echo rm\n"
		"cp /bin/true $0/dir/true && echo copied; :";
	const char *const args[] = { "-c", script, top, NULL }, *const more[] = { "-c", files, top, NULL };
	_cleanup_close_ int fd = openat(top_fd, "given", O_RDWR | O_CLOEXEC);
	struct tool t = { .name = "bash", .package = "bash", .args = args, .file_fd = fd };
	_cleanup_buf_ struct buf said = { 0 }, said_more = { 0 };

	need_bash();
	assert_int_equal(tool_run(&t, &said, NULL), 0);
	assert_string_equal(buf_str(&said), "given\nwrote\n");
	t.args = more;
	assert_int_equal(tool_run(&t, &said_more, NULL), 0);
	if (!has_landlock())
		skip_test("no Landlock in this kernel: files can be opened");
	assert_string_equal(buf_str(&said_more), "");
}

/* Return: what it said. */
static char *run_in_dir(const char *script, bool fills_dir)
{
	const char *const argv[] = { "bash", "-c", script, top, NULL };
	_cleanup_close_ int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int in_fd = fcntl(null_fd, F_DUPFD_CLOEXEC, 10);
	_cleanup_close_ int dir = openat(top_fd, "dir", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int dir_fd = fcntl(dir, F_DUPFD_CLOEXEC, 10);
	_cleanup_free_ char *path = NULL;
	_cleanup_buf_ struct buf said = { 0 };
	int fds[2], status;

	assert_int_equal(path_find_tool("bash", &path, NULL), 1);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	_cleanup_close_ int out_fd = fcntl(fds[1], F_DUPFD_CLOEXEC, 10);
	const struct tool_child c = {
		.path = path,
		.argv = (char *const *)argv,
		.in_fd = in_fd,
		.out_fd = out_fd,
		.err_fd = in_fd, /* a shell complains that it does not know where it is */
		.file_fd = -EBADF,
		.dir_fd = dir_fd,
		.fills_dir = fills_dir,
	};
	pid_t pid = tool_fork(&c);
	close(fds[1]);
	replace_fd(&out_fd, -EBADF);
	assert_int_equal(buf_read_fd(&said, fds[0], 1 << 16, NULL), 0);
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status)
		fail_msg("status %x: %s", status, buf_str(&said));
	return strdup(buf_str(&said));
}

static void test_tool_fills_its_directory_alone(void **state)
{
	static const char script[] =
		"exec 2>/dev/null\n"
		"echo x >new && chmod 0751 new && touch -d 2001-01-01 new && mkdir sub &&\n"
		"ln -s x l && echo filled\n"
		"ls >/dev/null && read -r x <new && echo $x\n"
		"echo x >$0/up && echo up; : <../secret && echo secret\n"
		"chmod 0777 ../secret && echo chmod; chmod 0777 $0/secret && echo chmod\n"
		"[ $(stat -c %a $0/secret) = 600 ] || echo changed; :";
	static const char reader[] = "exec 2>/dev/null; : <new && echo read; echo x >new && echo wrote\n"
				     "chmod 0700 new && echo chmod; :";

	need_bash();
	if (!has_landlock())
		skip_test("no Landlock in this kernel: files can be opened");
	_cleanup_free_ char *said = run_in_dir(script, true);
	/* without a mount namespace a user's own files can be given other modes, by that user */
	if (geteuid() == 0)
		assert_string_equal(said, "filled\nx\n");
	else
		assert_memory_equal(said, "filled\nx\n", 9);
	_cleanup_free_ char *read = run_in_dir(reader, false);
	assert_string_equal(read, "read\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tool_has_its_file_and_nothing_else),
		cmocka_unit_test(test_tool_fills_its_directory_alone),
	};

	return cmocka_run_group_tests(tests, make_top, remove_top);
}
