/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/file.c - see file.h: finding, locking, and root's way, by mounting the image.
 *
 * A new image has no name until it is whole: killed before, the kernel takes back its blocks with the last
 * descriptor or loop device. The lock is on the open file that the loop device keeps; so it ends with the
 * last use of
 * the file system, also where a monitor was killed and its mounts take a moment to go away.
 */
#include "run/file.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "ext4/peek.h"
#include "layer/disk.h"
#include "path/path.h"
#include "run/ext4-program.h"
#include "sys/sys.h"

#define LOCK_WAIT_MS 1000 /* for mounts of a killed monitor */
#define OPEN_TRIES 8
#define UNUSED_WAIT_MS 10000u
#define PEEK_MAX (64u << 20)

static struct file_box *box_new(const char *path, struct kennel_error **err)
{
	struct file_box *box = calloc(1, sizeof(*box));
	_cleanup_buf_ struct buf name = { 0 };

	buf_safe(&name, path);
	if (box)
		box->name = strdup(buf_str(&name));
	if (!box || !box->name) {
		free(box);
		fail(err, KENNEL_E_NOMEM, "out of memory");
		return NULL;
	}
	box->parent_fd = box->file_fd = box->dir_fd = box->mount_fd = box->work_fd = box->user_ns_fd = -EBADF;
	return box;
}

static int set_base(struct file_box *box, const char *path, const char *slash, struct kennel_error **err)
{
	_cleanup_free_ char *dir = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");

	box->base = strdup(slash ? slash + 1 : path);
	if (!dir || !box->base)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	if (!*box->base || strcmp(box->base, ".") == 0 || strcmp(box->base, "..") == 0)
		return fail(err, KENNEL_E_TYPE, "\"%s\" is a directory, not an image", box->name);
	box->parent_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return box->parent_fd < 0 ? fail_errno(err, "open the directory of \"%s\"", box->name) : 0;
}

/*
 * Where a path really leads, links followed: what is made beside it is then beside the file. Return: 1, 0 no
 * file.
 */
static int find(struct file_box *box, const char *path, struct kennel_error **err)
{
	char proc[32], real[4097];
	struct stat st;

	_cleanup_close_ int pin_fd = open(path, O_PATH | O_CLOEXEC);
	if (pin_fd < 0 && errno != ENOENT)
		return fail_errno(err, "open \"%s\"", box->name);
	if (pin_fd < 0) {
		int r = set_base(box, path, strrchr(path, '/'), err);
		return r < 0 ? r : 0;
	}
	if (fstat(pin_fd, &st) < 0)
		return fail_errno(err, "look at \"%s\"", box->name);
	if (!S_ISREG(st.st_mode))
		return hint(err,
			    fail(err, KENNEL_E_TYPE, "\"%s\" is %s, not an image", box->name,
				 S_ISDIR(st.st_mode) ? "a directory" : "no regular file"),
			    "-f takes the name of a file that kennel makes, or has made");
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", pin_fd);
	ssize_t len = readlink(proc, real, sizeof(real) - 1);
	if (len <= 0 || real[0] != '/')
		return fail(err, KENNEL_E_NOTFOUND, "\"%s\" has no path here", box->name);
	real[len] = '\0';
	int r = set_base(box, real, strrchr(real, '/'), err);
	return r < 0 ? r : 1;
}

/* Is it still what the name leads to? An ordinary user's session replaces the file. */
static bool is_current(const struct file_box *box)
{
	struct stat named, open;

	return fstatat(box->parent_fd, box->base, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	       fstat(box->file_fd, &open) == 0 && named.st_dev == open.st_dev && named.st_ino == open.st_ino;
}

static char *aside_name(const struct file_box *box, struct kennel_error **err)
{
	char *name;

	if (asprintf(&name, ".%s.kennel-new", box->base) >= 0)
		return name;
	fail(err, KENNEL_E_NOMEM, "out of memory");
	return NULL;
}

/* What a killed start has left of an image that never got its name. One that is being made is locked. */
static void remove_aside(const struct file_box *box, const char *aside)
{
	_cleanup_close_ int fd = openat(box->parent_fd, aside, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
		unlinkat(box->parent_fd, aside, 0);
}

/* The lock is held: whatever has the name of an image that grows is none that grows now. */
static int forget_aside(const struct file_box *box, struct kennel_error **err)
{
	_cleanup_free_ char *aside = aside_name(box, err);

	if (!aside)
		return -KENNEL_E_NOMEM;
	remove_aside(box, aside);
	return 1;
}

/* Opens and locks. Return: 1, 0 it has gone meanwhile, or a code. */
static int take(struct file_box *box, struct kennel_error **err)
{
	for (unsigned i = 0; i < OPEN_TRIES; i++) {
		replace_fd(&box->file_fd, openat(box->parent_fd, box->base,
						 O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
		if (box->file_fd < 0 && errno == ENOENT)
			return 0;
		if (box->file_fd < 0)
			return hint(err, fail_errno(err, "open \"%s\" to write it", box->name),
				    "take a copy of it that you may write");
		/* Before the lock, which would wait for one who has a file of another kind. */
		int r = disk_format_of(box->file_fd, box->name, &box->format, err);
		if (r == 0)
			r = disk_lock(box->file_fd, box->name, LOCK_WAIT_MS, err);
		if (r < 0)
			return r;
		if (is_current(box))
			return forget_aside(box, err);
	}
	return fail(err, KENNEL_E_BUSY, "\"%s\" kept changing while it was opened", box->name);
}

static int open_dir(struct file_box *box, struct kennel_error **err)
{
	box->dir_fd = openat(box->mount_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return box->dir_fd < 0 ? fail_errno(err, "open the root of \"%s\"", box->name) : 0;
}

/*
 * A working copy beside the image is newer than it, and only its user can read all of it. Root's was on the
 * way into the file, where all of it is still or by now.
 */
static int refuse_working_copy(struct file_box *box, struct kennel_error **err)
{
	_cleanup_free_ char *name = file_copy_name(box);
	struct stat st;

	if (!name)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	if (fstatat(box->parent_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	if (st.st_uid == 0 && box->file_fd >= 0)
		return file_copy_discard(box, err);
	return hint(err,
		    fail(err, KENNEL_E_BUSY,
			 "a session of user %u with \"%s\" was killed, and what it did is in \"%s\"",
			 st.st_uid, box->name, name),
		    "that user's next run puts it into the file; or remove the directory, and it is lost");
}

static int check_growth(struct file_box *box, uint64_t size_bytes, struct kennel_error **err)
{
	int r = disk_size(box->file_fd, box->name, &box->size_bytes, err);

	if (r < 0 || !size_bytes || size_bytes >= box->size_bytes)
		return r;
	return hint(err,
		    fail(err, KENNEL_E_INVALID, "\"%s\" has %llu bytes already, and only grows", box->name,
			 (unsigned long long)box->size_bytes),
		    "for a smaller one, export it and import that into a new file");
}

/* Without a name, or where this file system can't do that, under one that the next start takes away. */
static int open_nameless(const struct file_box *box, int *ret_fd, char **ret_aside, struct kennel_error **err)
{
	*ret_fd = openat(box->parent_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (*ret_fd >= 0)
		return 0;
	if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL && errno != ENOENT)
		return fail_errno(err, "make \"%s\"", box->name);
	_cleanup_free_ char *aside = aside_name(box, err);
	if (!aside)
		return -KENNEL_E_NOMEM;
	remove_aside(box, aside);
	*ret_fd = openat(box->parent_fd, aside, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (*ret_fd < 0)
		return errno == EEXIST ? fail(err, KENNEL_E_BUSY, "\"%s\" is just being made", box->name) :
					 fail_errno(err, "make \"%s\"", box->name);
	*ret_aside = take_ptr(&aside);
	return 0;
}

/* A grown copy takes the name of the old one, which is locked, as the new one is before it has it. */
static int replace_by(struct file_box *box, int fd, const char *aside, struct kennel_error **err)
{
	char proc[32];

	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, proc, box->parent_fd, aside, AT_SYMLINK_FOLLOW) < 0 && errno != EEXIST)
		return fail_errno(err, "name the grown image");
	if (renameat(box->parent_fd, aside, box->parent_fd, box->base) < 0 || fsync(box->parent_fd) < 0)
		return fail_errno(err, "put the grown image in place of \"%s\"", box->name);
	return 0;
}

static int grow_aside(struct file_box *box, uint64_t size_bytes, struct kennel_error **err)
{
	_cleanup_free_ char *name = aside_name(box, err), *made = NULL;
	_cleanup_close_ int fd = -EBADF;
	struct stat st;

	if (!name)
		return -KENNEL_E_NOMEM;
	remove_aside(box, name);
	int r = disk_ready(box->file_fd, box->name, err);
	if (r == 0)
		r = open_nameless(box, &fd, &made, err);
	if (r == 0)
		r = disk_lock(fd, box->name, 0, err);
	if (r == 0)
		r = disk_copy(box->file_fd, fd, err);
	if (r == 0)
		r = disk_grow(fd, size_bytes, err);
	if (r == 0 && (fstat(box->file_fd, &st) < 0 || fchmod(fd, st.st_mode & 0777) < 0 ||
		       fchown(fd, st.st_uid, st.st_gid) < 0))
		r = fail_errno(err, "give the grown image to the owner of the old one");
	if (r == 0)
		r = replace_by(box, fd, name, err);
	if (r < 0 && made)
		unlinkat(box->parent_fd, made, 0);
	if (r == 0)
		replace_fd(&box->file_fd, take_fd(&fd));
	return r < 0 ? wrap(err, r, "grow \"%s\"", box->name) : 0;
}

static int mount_image(struct file_box *box, uint64_t size_bytes, struct kennel_error **err)
{
	bool grows = size_bytes > box->size_bytes;
	bool is_btrfs = strcmp(box->format, "btrfs") == 0;
	int r = grows && !is_btrfs ? grow_aside(box, size_bytes, err) : 0;

	/*
	 * Before the device, which has the file's size of the moment; a file that is too long does no harm.
	 */
	if (r == 0 && grows && is_btrfs && ftruncate(box->file_fd, (off_t)size_bytes) < 0)
		r = fail_errno(err, "grow \"%s\"", box->name);
	if (r == 0)
		r = box->mount_fd = disk_mount(box->file_fd, box->name, err);
	if (r >= 0)
		r = grows && is_btrfs ? disk_fill(box->mount_fd, err) : 0;
	if (r == 0 && grows)
		box->size_bytes = size_bytes;
	return r;
}

static int publish(struct file_box *box, const char *aside, struct kennel_error **err)
{
	char proc[32];
	int r;

	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", box->file_fd);
	if (aside)
		r = sys_renameat2(box->parent_fd, aside, box->parent_fd, box->base, RENAME_NOREPLACE);
	else
		r = linkat(AT_FDCWD, proc, box->parent_fd, box->base, AT_SYMLINK_FOLLOW);
	if (r < 0 && errno == EEXIST)
		return fail(err, KENNEL_E_BUSY, "\"%s\" was made by somebody else at the same time",
			    box->name);
	if (r < 0 || fsync(box->parent_fd) < 0)
		return fail_errno(err, "name the new image \"%s\"", box->name);
	return 0;
}

static int make_image(struct file_box *box, const struct file_wish *w, struct kennel_error **err)
{
	_cleanup_free_ char *aside = NULL;

	box->format = strcmp(w->format ? w->format : "ext4", "btrfs") == 0 ? "btrfs" : "ext4";
	box->size_bytes = w->size_bytes ? w->size_bytes : FILE_SIZE_DEFAULT;
	int r = open_nameless(box, &box->file_fd, &aside, err);
	if (r == 0)
		r = disk_lock(box->file_fd, box->name, 0, err);
	if (r == 0)
		r = disk_make(box->file_fd, box->format, box->size_bytes, err);
	if (r == 0)
		r = mount_image(box, 0, err);
	if (r == 0)
		r = open_dir(box, err);
	if (r == 0 && w->fill)
		r = w->fill(w->data, box->dir_fd, err);
	if (r == 0)
		r = disk_flush(box->mount_fd, box->name, err);
	if (r == 0)
		r = publish(box, aside, err);
	if (r < 0 && aside)
		unlinkat(box->parent_fd, aside, 0);
	box->made = r == 0;
	return r;
}

static int peek_at(const struct file_box *box, const char *program, const char *name, struct buf *ret,
		   struct kennel_error **err)
{
	_cleanup_close_ int stream_fd = -EBADF;
	pid_t pid;

	int r = ext4_program_read(program, box->file_fd, name, &stream_fd, &pid, err);
	if (r < 0)
		return r;
	r = ext4_peek(stream_fd, PEEK_MAX, ret, err);
	replace_fd(&stream_fd, -EBADF);
	(void)!ext4_program_wait(pid);
	return r;
}

/* Only this machine's kernel could read it, which is not to. */
static int refuse_format(const struct file_box *box, struct kennel_error **err)
{
	return hint(err,
		    fail(err, KENNEL_E_UNSUPPORTED, "\"%s\" is a %s, which no guest has as its disk",
			 box->name, box->format),
		    "make a file of ext4");
}

/* Return: enum file_guest, or a code. */
static int peek(struct file_box *box, const struct file_wish *w, struct kennel_error **err)
{
	_cleanup_free_ char *copy = file_copy_name(box), *program = NULL;
	const bool root = geteuid() == 0;
	struct stat st;

	if (!copy)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	if (!w->for_guest)
		return FILE_NO_GUEST;
	if (strcmp(box->format, "ext4") != 0)
		return w->guest ? refuse_format(box, err) : FILE_NO_GUEST;
	int found = ext4_program_find(&program, root && w->guest ? err : NULL);
	if (found < 0)
		return root && w->guest ? found : FILE_NO_GUEST;
	/* an ordinary user's grows as a working copy */
	if (!root &&
	    (w->size_bytes > box->size_bytes || fstatat(box->parent_fd, copy, &st, AT_SYMLINK_NOFOLLOW) == 0))
		return FILE_NO_GUEST;
	int r = disk_ready(box->file_fd, box->name, err);
	if (r == 0)
		r = peek_at(box, program, "config", &box->config, err);
	if (r > 0)
		r = peek_at(box, program, "manifest", &box->manifest, err);
	if (r < 0)
		return wrap(err, r, "look into \"%s\"", box->name);
	return r > 0	? w->for_guest(w->data, &box->config, &box->manifest) :
	       w->guest ? FILE_TO_ARRANGE :
			  FILE_NO_GUEST;
}

/* One that is there. */
static int open_image(struct file_box *box, const struct file_wish *w, struct kennel_error **err)
{
	const bool root = geteuid() == 0;

	int r = check_growth(box, w->size_bytes, err);
	if (r == 0)
		r = peek(box, w, err);
	if (r < 0)
		return r;
	const enum file_guest guest = (enum file_guest)r;
	box->for_guest = guest == FILE_AS_IT_IS;
	if (box->for_guest) {
		r = w->size_bytes > box->size_bytes ? grow_aside(box, w->size_bytes, err) : 0;
		box->size_bytes = MAX(box->size_bytes, w->size_bytes);
		return r;
	}
	buf_done(&box->config);
	buf_done(&box->manifest);
	box->config = box->manifest = (struct buf){ 0 };
	if (!root || guest == FILE_TO_ARRANGE)
		return file_copy_open(box, w, err);
	r = mount_image(box, w->size_bytes, err);
	return r == 0 ? open_dir(box, err) : r;
}

int file_give(struct file_box *box, bool changed, char **ret, struct kennel_error **err)
{
	char proc[32], dir[4097];
	int r = 0;

	if (box->mount_fd >= 0) {
		r = changed ? disk_flush(box->mount_fd, box->name, err) : 0;
		replace_fd(&box->dir_fd, -EBADF);
		replace_fd(&box->mount_fd, -EBADF);
		if (r == 0)
			r = disk_wait_unused(box->file_fd, box->name, UNUSED_WAIT_MS, err);
	} else if (box->work_fd >= 0) {
		r = changed || !box->saved ? file_copy_save(box, err) : 0;
		replace_fd(&box->dir_fd, -EBADF);
		if (r == 0)
			file_copy_close(box);
	}
	if (r < 0)
		return r;
	box->for_guest = true;
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", box->parent_fd);
	ssize_t len = readlink(proc, dir, sizeof(dir) - 1);
	if (len <= 0 || dir[0] != '/')
		return fail(err, KENNEL_E_NOTFOUND, "\"%s\" has no path here", box->name);
	dir[len] = '\0';
	if (asprintf(ret, "%s/%s", dir, box->base) >= 0)
		return 0;
	*ret = NULL;
	return fail(err, KENNEL_E_NOMEM, "out of memory");
}

static int open_or_make(struct file_box *box, const struct file_wish *w, struct kennel_error **err)
{
	bool root = geteuid() == 0;
	int r = find(box, w->path, err);

	if (r > 0)
		r = take(box, err);
	if (r < 0)
		return r;
	if (r == 0 && !w->make)
		return hint(err, fail(err, KENNEL_E_NOTFOUND, "there is no file \"%s\"", box->name),
			    "\"kennel run -f FILE\" makes one");
	if (root) {
		int refused = refuse_working_copy(box, err);
		if (refused < 0)
			return refused;
	}
	if (r == 0)
		return root ? make_image(box, w, err) : file_copy_make(box, w, err);
	return open_image(box, w, err);
}

int file_open(const struct file_wish *wish, struct file_box **ret, struct kennel_error **err)
{
	if (wish->format && !disk_has_format(wish->format))
		return hint(err, fail(err, KENNEL_E_INVALID, "format \"%s\" is not known", wish->format),
			    "one of: %s", DISK_FORMATS);
	struct file_box *box = box_new(wish->path, err);
	if (!box)
		return -KENNEL_E_NOMEM;
	int r = open_or_make(box, wish, err);
	if (r < 0 && wish->make && box->parent_fd < 0)
		r = hint_default(err, r, "the file is made where it is missing, its directory is not");
	if (r < 0)
		file_free(box);
	else
		*ret = box;
	return r;
}

bool file_is_there(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

int file_save(struct file_box *box, struct kennel_error **err)
{
	if (box->mount_fd >= 0)
		return disk_flush(box->mount_fd, box->name, err);
	return box->for_guest ? 0 : file_copy_save(box, err);
}

void file_remove(struct file_box *box)
{
	if (is_current(box))
		unlinkat(box->parent_fd, box->base, 0);
	box->saved = true; /* nothing is to be kept of it */
}

struct file_box *file_free(struct file_box *box)
{
	if (!box)
		return NULL;
	file_copy_close(box);
	close_fd(box->dir_fd);
	close_fd(box->mount_fd);
	close_fd(box->file_fd);
	close_fd(box->parent_fd);
	close_fd(box->user_ns_fd);
	buf_done(&box->config);
	buf_done(&box->manifest);
	free(box->program);
	free(box->base);
	free(box->name);
	free(box);
	return NULL;
}

void file_wait_unused(int parent_fd, const char *base, unsigned wait_ms)
{
	_cleanup_close_ int fd = openat(parent_fd, base, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	for (unsigned waited = 0; fd >= 0 && waited < wait_ms; waited += 2) {
		if (flock(fd, LOCK_SH | LOCK_NB) == 0)
			return;
		clock_pause_ms(2);
	}
}
