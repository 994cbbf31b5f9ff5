/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* unit/layers.c - see layers.h. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "layers.h"
#include "tell.h"

int make_dir(int dir_fd, const char *name)
{
	assert_int_equal(mkdirat(dir_fd, name, 0755), 0);
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	umask(022);
	snprintf(f->dir, sizeof(f->dir), "/var/tmp/kennel-merge-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->dir_fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	f->base_fd = make_dir(f->dir_fd, "base");
	f->into_fd = make_dir(f->dir_fd, "into");
	close(make_dir(f->dir_fd, "see"));
	for (unsigned i = 0; i < LAYERS; i++) {
		char name[16];

		snprintf(name, sizeof(name), "L%u", i);
		f->layer_fds[i] = make_dir(f->dir_fd, name);
		close(make_dir(f->layer_fds[i], "0"));
		f->upper_fds[i] = make_dir(f->layer_fds[i], "0/upper");
		f->manifests[i] = (struct manifest){ .user_xattr = true, .base = strdup("system") };
		assert_int_equal(manifest_add_mount(&f->manifests[i], 0, "/", "ext4", NULL, NULL), 0);
		f->sources[i] =
			(struct delta_source){ .delta_fd = f->layer_fds[i], .manifest = &f->manifests[i] };
	}
	f->random = 88172645463325252u;
	*state = f;
	return 0;
}

int tear_down(void **state)
{
	struct fixture *f = *state;
	char command[120];

	for (unsigned i = 0; i < LAYERS; i++) {
		close(f->layer_fds[i]);
		close(f->upper_fds[i]);
		manifest_done(&f->manifests[i]);
	}
	close(f->base_fd);
	close(f->into_fd);
	close(f->dir_fd);
	snprintf(command, sizeof(command), "chmod -R u+rwx %1$s; rm -rf %1$s", f->dir);
	FILE *p = popen(command, "r");
	assert_non_null(p);
	assert_int_equal(pclose(p), 0);
	free(f);
	return 0;
}

void write_file(int dir_fd, const char *name, const char *text)
{
	_cleanup_close_ int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

void whiteout(int dir_fd, const char *name)
{
	assert_int_equal(mknodat(dir_fd, name, S_IFCHR, makedev(0, 0)), 0);
}

static bool become_mounter(void)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	char text[32];

	if (unshare(CLONE_NEWNS | (uid ? CLONE_NEWUSER : 0)) < 0)
		return false;
	for (unsigned i = 0; uid && i < 3; i++) {
		static const char *const files[] = { "setgroups", "uid_map", "gid_map" };
		char path[64];

		snprintf(path, sizeof(path), "/proc/self/%s", files[i]);
		snprintf(text, sizeof(text), i ? "%u %u 1" : "deny", i == 1 ? uid : gid, i == 1 ? uid : gid);
		_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd < 0 || write(fd, text, strlen(text)) < 0)
			return false;
	}
	return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

bool see_overlay(const struct fixture *f, const char *lowers, struct buf *out)
{
	int pipe_fds[2], status;

	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		struct buf text = { 0 };
		char options[2048];

		snprintf(options, sizeof(options), "userxattr,lowerdir=%s", lowers);
		if (!become_mounter() || chdir(f->dir) < 0 ||
		    mount("overlay", "see", "overlay", MS_RDONLY, options) < 0)
			_exit(77);
		int fd = open("see", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		tell(fd, &text);
		for (size_t at = 0; at < text.len;) {
			ssize_t n = write(pipe_fds[1], text.data + at, text.len - at);

			if (n < 0)
				_exit(1);
			at += (size_t)n;
		}
		_exit(0);
	}
	close(pipe_fds[1]);
	assert_true(buf_read_fd(out, pipe_fds[0], 256u << 20, NULL) >= 0);
	close(pipe_fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		return false;
	assert_int_equal(WEXITSTATUS(status), 0);
	return true;
}

/* What a name can be in a layer; a directory has one of those in it as well. */
enum what { NOTHING, FILE_, GONE, DIR_, HIDING, WHATS };

static void put_leaf(int dir_fd, const char *name, unsigned what, const char *text)
{
	switch ((enum what)what) {
	case FILE_:
		write_file(dir_fd, name, text);
		break;
	case GONE:
		whiteout(dir_fd, name);
		break;
	case DIR_:
	case HIDING: {
		_cleanup_close_ int fd = make_dir(dir_fd, name);

		if (what == HIDING)
			assert_int_equal(fsetxattr(fd, OPAQUE, "y", 1, 0), 0);
		write_file(fd, text, text);
		break;
	}
	default:
		break;
	}
}

/* NOTHING, FILE_, GONE, then DIR_ and HIDING with each of WHATS in them. */
#define STATES (3 + 2 * WHATS)

static void put_state(int dir_fd, const char *name, unsigned state, const char *text)
{
	if (state < 3) {
		put_leaf(dir_fd, name, state, text);
		return;
	}
	_cleanup_close_ int fd = make_dir(dir_fd, name);
	if (state >= 3 + WHATS)
		assert_int_equal(fsetxattr(fd, OPAQUE, "y", 1, 0), 0);
	put_leaf(fd, "x", (state - 3) % WHATS, text);
}

void put_every_pair(const struct fixture *f)
{
	static const unsigned bases[] = { 0, 1, 3 + NOTHING, 3 + FILE_, 3 + DIR_ };

	for (unsigned b = 0; b < ARRAY_SIZE(bases); b++)
		for (unsigned i = 0; i < STATES; i++)
			for (unsigned k = 0; k < STATES; k++) {
				char name[32];

				snprintf(name, sizeof(name), "%u-%02u-%02u", b, i, k);
				put_state(f->base_fd, name, bases[b], "base");
				put_state(f->upper_fds[0], name, i, "zero");
				put_state(f->upper_fds[1], name, k, "one");
			}
}

unsigned roll(struct fixture *f, unsigned sides)
{
	f->random ^= f->random << 13;
	f->random ^= f->random >> 7;
	f->random ^= f->random << 17;
	return (unsigned)((f->random >> 11) % sides);
}

void decorate(struct fixture *f, int dir_fd, const char *name)
{
	_cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	const struct timespec times[2] = { { roll(f, 1000), 0 }, { roll(f, 100000), (long)roll(f, 1000) } };

	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)))
		return;
	assert_int_equal(fchmod(fd, 0700), 0); /* another name of it may have taken that away */
	if (roll(f, 3) == 0)
		assert_int_equal(fsetxattr(fd, "user.note", name, strlen(name), 0), 0);
	if (roll(f, 9) == 0) /* of an overlay inside */
		assert_int_equal(fsetxattr(fd, "user.overlay.overlay.opaque", "y", 1, 0), 0);
	if (roll(f, 5) == 0)
		assert_int_equal(fsetxattr(fd, "user.overlay.impure", "y", 1, 0), 0);
	if (geteuid() == 0 && !f->own && roll(f, 3) == 0)
		assert_int_equal(fchown(fd, roll(f, 3), roll(f, 3)), 0);
	if (roll(f, 2))
		assert_int_equal(fchmod(fd, 01000 * roll(f, 8) | 0500 | roll(f, 0200)), 0);
	assert_int_equal(futimens(fd, times), 0);
}

void put_random(struct fixture *f, int dir_fd, unsigned depth, bool is_base)
{
	static const char *const names[] = { "a", "ab", "a.b", "b", "c", "d d", "\x01", "z" };
	char text[32];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *name = names[i];

		snprintf(text, sizeof(text), "%u", roll(f, 1000000));
		switch (roll(f, 12)) {
		case 0:
		case 1:
			write_file(dir_fd, name, text);
			break;
		case 2:
			assert_int_equal(symlinkat(text, dir_fd, name), 0);
			break;
		case 3:
			assert_int_equal(mknodat(dir_fd, name, S_IFIFO | 0640, 0), 0);
			break;
		case 4:
		case 5:
			if (!is_base)
				whiteout(dir_fd, name);
			break;
		case 6:
			if (i && faccessat(dir_fd, names[i - 1], F_OK, AT_SYMLINK_NOFOLLOW) == 0)
				(void)!linkat(dir_fd, names[i - 1], dir_fd, name, 0);
			break;
		case 7:
		case 8:
		case 9: {
			if (depth == 0)
				break;
			_cleanup_close_ int fd = make_dir(dir_fd, name);

			put_random(f, fd, depth - 1, is_base);
			if (!is_base && roll(f, 4) == 0)
				assert_int_equal(fsetxattr(fd, OPAQUE, "y", 1, 0), 0);
			break;
		}
		default:
			continue;
		}
		decorate(f, dir_fd, name);
	}
}

void random_stack(struct fixture *f, unsigned n)
{
	put_random(f, f->base_fd, 3, true);
	for (unsigned i = 0; i < n; i++) {
		put_random(f, f->upper_fds[i], 3, false);
		decorate(f, f->upper_fds[i], ".");
		assert_int_equal(fchmod(f->upper_fds[i], 0755), 0);
	}
}
