/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit/test-identity.c - what a copy of a whole system gets of its own: into its changes, over a frozen layer
 * and a base, and nowhere else.
 */
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "conf/config.h"
#include "ship/identity.h"

struct fixture {
	char dir[40];
	int dir_fd, delta_fd, scratch_fd, below_fds[2];
};

static int make_dir(int dir_fd, const char *name)
{
	assert_int_equal(mkdirat(dir_fd, name, 0755), 0);
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	umask(022);
	snprintf(f->dir, sizeof(f->dir), "/var/tmp/kennel-identity-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->dir_fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	f->delta_fd = make_dir(f->dir_fd, "delta");
	f->scratch_fd = make_dir(f->dir_fd, "scratch");
	f->below_fds[0] = make_dir(f->dir_fd, "layer");
	f->below_fds[1] = make_dir(f->dir_fd, "base");
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	char command[80];

	close(f->delta_fd);
	close(f->scratch_fd);
	close(f->below_fds[0]);
	close(f->below_fds[1]);
	close(f->dir_fd);
	snprintf(command, sizeof(command), "rm -rf %s", f->dir);
	FILE *p = popen(command, "r");
	assert_non_null(p);
	assert_int_equal(pclose(p), 0);
	free(f);
	return 0;
}

/* With all directories that lead there. */
static void write_file(int dir_fd, const char *path, const char *text, mode_t mode)
{
	char way[128];

	snprintf(way, sizeof(way), "%s", path);
	for (char *s = strchr(way, '/'); s; s = strchr(s + 1, '/')) {
		*s = '\0';
		(void)!mkdirat(dir_fd, way, 0755);
		*s = '/';
	}
	_cleanup_close_ int fd = openat(dir_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void read_file(int dir_fd, const char *path, struct buf *ret)
{
	_cleanup_close_ int fd = openat(dir_fd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(buf_read_fd(ret, fd, 65536, NULL), 0);
}

static void assert_is(int dir_fd, const char *path, const char *text)
{
	_cleanup_buf_ struct buf b = { 0 };

	read_file(dir_fd, path, &b);
	assert_string_equal(buf_str(&b), text);
}

static bool is_there(int dir_fd, const char *path)
{
	return faccessat(dir_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool renew(struct fixture *f, bool keys)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	const struct identity i = { .delta_fd = f->delta_fd,
				    .layer_fds = f->below_fds,
				    .n_layers = 1,
				    .base_fd = f->below_fds[1],
				    .user_xattr = true,
				    .scratch_fd = keys ? f->scratch_fd : -EBADF,
				    .hostname = "new" };
	bool no_keys = false;

	int r = identity_renew(&i, &no_keys, &err);
	assert_string_equal(err ? kennel_error_message(err) : "", "");
	assert_int_equal(r, 0);
	return no_keys;
}

static void test_identity_renew(void **state)
{
	struct fixture *f = *state;
	_cleanup_buf_ struct buf id = { 0 }, key = { 0 };
	struct stat st;

	if (geteuid() != 0)
		skip_test("needs root: of an ordinary user it is tried with a container");
	write_file(f->below_fds[1], "etc/machine-id", "old\n", 0444);
	write_file(f->below_fds[0], "0/upper/etc/hostname", "old\n", 0644);
	write_file(f->below_fds[1], "etc/ssh/ssh_host_ed25519_key", "old\n", 0600);
	write_file(f->below_fds[1], "etc/ssh/ssh_host_ed25519_key.pub", "old\n", 0644);
	write_file(f->below_fds[1], "etc/ssh/sshd_config", "old\n", 0600);
	write_file(f->below_fds[0], "0/upper/var/lib/dbus/machine-id", "old\n", 0644);
	bool no_keys = renew(f, true);
	read_file(f->delta_fd, "0/upper/etc/machine-id", &id);
	assert_int_equal(id.len, 33);
	assert_int_equal(strspn(buf_str(&id), "0123456789abcdef"), 32);
	assert_is(f->delta_fd, "0/upper/var/lib/dbus/machine-id", buf_str(&id));
	assert_is(f->delta_fd, "0/upper/etc/hostname", "new\n");
	assert_int_equal(fstatat(f->delta_fd, "0/upper/etc/machine-id", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0444);
	assert_false(is_there(f->delta_fd, "0/upper/etc/ssh/ssh_host_rsa_key"));
	assert_false(is_there(f->delta_fd, "0/upper/etc/ssh/sshd_config"));
	assert_false(is_there(f->scratch_fd, "key"));
	if (faccessat(AT_FDCWD, "/usr/bin/ssh-keygen", X_OK, 0) == 0)
		assert_false(no_keys);
	if (!no_keys) {
		read_file(f->delta_fd, "0/upper/etc/ssh/ssh_host_ed25519_key", &key);
		assert_non_null(strstr(buf_str(&key), "OPENSSH PRIVATE KEY"));
		assert_int_equal(fstatat(f->delta_fd, "0/upper/etc/ssh/ssh_host_ed25519_key", &st, 0), 0);
		assert_int_equal(st.st_mode & 07777, 0600);
	}
	assert_is(f->below_fds[1], "etc/machine-id", "old\n");
	assert_is(f->below_fds[0], "0/upper/var/lib/dbus/machine-id", "old\n");
}

static void test_identity_renew_without_keys_removes_them(void **state)
{
	struct fixture *f = *state;
	struct stat st;

	if (geteuid() != 0)
		skip_test("needs root: of an ordinary user it is tried with a container");
	write_file(f->below_fds[0], "0/upper/etc/ssh/ssh_host_rsa_key", "old\n", 0600);
	write_file(f->delta_fd, "0/upper/etc/ssh/ssh_host_ecdsa_key", "old\n", 0600);
	assert_true(renew(f, false));
	assert_int_equal(fstatat(f->delta_fd, "0/upper/etc/ssh/ssh_host_rsa_key", &st, 0), 0);
	assert_true(S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0));
	assert_int_equal(fstatat(f->delta_fd, "0/upper/etc/ssh/ssh_host_ecdsa_key", &st, 0), 0);
	assert_true(S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0));
}

/* What a sandbox put there is neither followed nor written through. */
static void test_identity_renew_follows_nothing(void **state)
{
	struct fixture *f = *state;
	char target[80];

	if (geteuid() != 0)
		skip_test("needs root: of an ordinary user it is tried with a container");
	write_file(f->dir_fd, "victim", "precious\n", 0644);
	write_file(f->below_fds[1], "etc/machine-id", "old\n", 0444);
	write_file(f->below_fds[1], "etc/hostname", "old\n", 0444);
	write_file(f->delta_fd, "0/upper/etc/machine-id", "mine\n", 0644);
	assert_int_equal(linkat(f->delta_fd, "0/upper/etc/machine-id", f->delta_fd, "0/upper/other", 0), 0);
	snprintf(target, sizeof(target), "%s/victim", f->dir);
	assert_int_equal(symlinkat(target, f->delta_fd, "0/upper/etc/hostname"), 0);
	assert_int_equal(symlinkat(f->dir, f->delta_fd, "0/upper/var"), 0);
	write_file(f->dir_fd, "lib/dbus/machine-id", "precious\n", 0644);
	renew(f, true);
	assert_is(f->dir_fd, "victim", "precious\n");
	assert_is(f->dir_fd, "lib/dbus/machine-id", "precious\n");
	assert_is(f->delta_fd, "0/upper/other", "mine\n");
	assert_is(f->below_fds[1], "etc/hostname", "old\n");
}

static void test_identity_renew_config(void **state)
{
	_cleanup_buf_ struct buf b = { 0 };
	_cleanup_error_ struct kennel_error *err = NULL;
	static const char text[] =
		"# net = bridge,mac=02:00:00:00:00:01\n"
		"[container]\nhostname = old\nbase = own\n"
		"net = bridge:br0,mac=0A:00:00:00:00:05,name=lan\n"
		"net = none\ncomment = mac=02:00:00:00:00:02\nnet = bridge,mac=02:00:00:00:00:03";

	buf_puts(&b, text);
	assert_int_equal(identity_renew_config(&b, "new", &err), 0);
	const char *s = buf_str(&b);
	assert_non_null(strstr(s, "# net = bridge,mac=02:00:00:00:00:01\n"));
	assert_non_null(strstr(s, "\nhostname = new\n"));
	assert_non_null(strstr(s, "net = bridge:br0,mac=02:"));
	assert_non_null(strstr(s, ",name=lan\n"));
	assert_non_null(strstr(s, "comment = mac=02:00:00:00:00:02\n"));
	assert_null(strstr(s, "02:00:00:00:00:03"));
	assert_null(strstr(s, "0A:00"));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_identity_renew),
		TEST(test_identity_renew_without_keys_removes_them),
		TEST(test_identity_renew_follows_nothing),
		cmocka_unit_test(test_identity_renew_config),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
