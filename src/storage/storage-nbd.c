/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * storage/storage-nbd.c - a file system in a qcow2 image, which qemu-nbd serves to the kernel.
 *
 *   STORE/.nbd/ID.qcow2      the volume of one container
 *   STORE/.nbd/f-ID.qcow2    frozen: what it was when a snapshot was taken; the backing file of others
 *
 * A snapshot gives the image a second name, f-..., and makes two new images over that; one of them takes
 * the place of the old one, by one rename. So nobody stands on a container, only on frozen images, and one
 * of these goes with the last image over it. Who stands on whom is read from the images themselves. Names
 * in them are without a directory, so a store can be moved.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "layer/volume.h"
#include "path/path.h"
#include "path/tool.h"
#include "storage/driver.h"

#define DIRECTORY ".nbd"
#define SUFFIX ".qcow2"
#define SOCKET ".sock"
#define FROZEN "f-"
#define NAME_SIZE 64
#define DEVICES 64
#define CHAIN_MAX 200 /* images over each other; qemu opens all of them */
#define SERVED_MS 10000 /* for a machine with much to do */
#define TAKEN_MS 300 /* for another program, between its first step and the last */
#define STEP_MS 5
#define LOCKS_AT 100 /* bytes of an image that qemu locks while it uses it; block/file-posix.c */
#define LOCKS_LEN 200

/* Opened and locked. */
static int open_images(int store_fd, bool make, struct kennel_error **err)
{
	if (store_fd < 0 || (make && mkdirat(store_fd, DIRECTORY, 0700) < 0 && errno != EEXIST))
		return fail_errno(err, "make \"" DIRECTORY "\" in the store");
	_cleanup_close_ int fd = openat(store_fd, DIRECTORY, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || flock(fd, LOCK_EX) < 0 || fstat(fd, &st) < 0)
		return fail_errno(err, "open \"" DIRECTORY "\" of the store");
	if (!st.st_nlink && make) /* somebody removed it, empty, while we waited */
		return open_images(store_fd, make, err);
	return take_fd(&fd);
}

static void image_name(const struct storage_keys *k, char ret[NAME_SIZE])
{
	snprintf(ret, NAME_SIZE, "%s" SUFFIX, k->volume);
}

static int run(const char *program, int dir_fd, const char *what, const char *const *args,
	       struct kennel_error **err)
{
	const struct tool t = {
		.name = program,
		.package = "qemu-utils",
		.args = args,
		.file_fd = -EBADF,
		.dir_fd = dir_fd,
		.manages = true,
	};

	return tool_must(&t, what, err);
}

static int probe(int store_fd, struct storage_keys *keys, struct kennel_error **err)
{
	static const char *const programs[] = { "qemu-nbd", "qemu-img" };
	static const char *const modprobe[] = { "-q", "nbd", NULL };
	const struct tool load = {
		.name = "modprobe", .package = "kmod", .args = modprobe, .file_fd = -EBADF, .manages = true
	};

	(void)store_fd;
	int r = storage_probe_volume(keys, err);
	for (size_t i = 0; i < ARRAY_SIZE(programs) && r == 0; i++) {
		_cleanup_free_ char *path = NULL;

		r = path_find_tool(programs[i], &path, err);
		r = r > 0 ? 0 : r < 0 ? r : fail(err, KENNEL_E_MISSING, "%s is not installed", programs[i]);
		if (r == -KENNEL_E_MISSING)
			(void)hint(err, r, "install the package qemu-utils");
	}
	if (r < 0 || access("/sys/block/nbd0", F_OK) == 0)
		return r;
	if (tool_must(&load, "load a module", NULL) == 0 && access("/sys/block/nbd0", F_OK) == 0)
		return 0;
	return hint(err, fail(err, KENNEL_E_UNSUPPORTED, "this kernel has no network block devices"),
		    "modprobe nbd");
}

/* "/sys/block/nbdN/pid" is there while somebody serves it. */
static bool is_served(const char *device)
{
	char path[80];

	snprintf(path, sizeof(path), "/sys/block/%s/pid", device + strlen("/dev/"));
	return access(path, F_OK) == 0;
}

/* Whether the process that serves a device has that image open. */
static bool serves(const char *device, const struct stat *image)
{
	char path[80], pid[24];
	struct stat st;

	snprintf(path, sizeof(path), "/sys/block/%s/pid", device + strlen("/dev/"));
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	const ssize_t n = fd < 0 ? -1 : read(fd, pid, sizeof(pid) - 1);
	pid[MAX(n, (ssize_t)0)] = '\0';
	snprintf(path, sizeof(path), "/proc/%.*s/fd", (int)strspn(pid, "0123456789"), pid);
	_cleanup_closedir_ DIR *dir = n > 0 ? opendir(path) : NULL;
	for (const struct dirent *d; dir && (d = readdir(dir));)
		if (fstatat(dirfd(dir), d->d_name, &st, 0) == 0 && st.st_dev == image->st_dev &&
		    st.st_ino == image->st_ino)
			return true;
	return false;
}

/* Where somebody was killed between the connection and the note of it. */
static bool find_device(struct storage *s)
{
	char path[NAME_SIZE + 16];
	struct stat image;

	snprintf(path, sizeof(path), DIRECTORY "/%s" SUFFIX, s->keys.volume);
	if (fstatat(s->store_fd, path, &image, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	for (unsigned i = 0; i < DEVICES; i++) {
		snprintf(s->device, sizeof(s->device), "/dev/nbd%u", i);
		if (serves(s->device, &image))
			return true;
	}
	s->device[0] = '\0';
	return false;
}

/* qemu-nbd goes into the background before the kernel has taken the device: it is empty until then. */
static bool is_ready(const char *device)
{
	char path[80], size[24];

	snprintf(path, sizeof(path), "/sys/block/%s/size", device + strlen("/dev/"));
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	const ssize_t n = fd < 0 ? -1 : read(fd, size, sizeof(size));

	return n > 0 && size[0] != '0' && is_served(device);
}

static bool wait_ready(const char *device, unsigned timeout_ms)
{
	for (unsigned ms = 0; !is_ready(device); ms += STEP_MS) {
		if (ms >= timeout_ms)
			return false;
		clock_pause_ms(STEP_MS);
	}
	return true;
}

static bool is_attached(const struct storage *s)
{
	return strncmp(s->device, "/dev/nbd", 8) == 0 && is_served(s->device);
}

static void remove_socket(const struct storage *s)
{
	char path[64];

	snprintf(path, sizeof(path), DIRECTORY "/%s" SOCKET, s->keys.volume);
	(void)!unlinkat(s->store_fd, path, 0);
}

static bool is_locked(int image_fd)
{
	struct flock lock = { .l_type = F_WRLCK, .l_start = LOCKS_AT, .l_len = LOCKS_LEN };

	return image_fd >= 0 && fcntl(image_fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

/* Who served it writes back, and ends, after the device is free. */
static void wait_unlocked(const struct storage *s)
{
	char path[NAME_SIZE + 16];

	snprintf(path, sizeof(path), DIRECTORY "/%s" SUFFIX, s->keys.volume);
	_cleanup_close_ int fd = openat(s->store_fd, path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	for (unsigned ms = 0; ms < SERVED_MS && (is_served(s->device) || is_locked(fd)); ms += STEP_MS)
		clock_pause_ms(STEP_MS);
}

static bool disconnect(const struct storage *s)
{
	const char *const args[] = { "--disconnect", s->device, NULL };

	if (run("qemu-nbd", 0, "let go of the image", args, NULL) < 0)
		return false;
	wait_unlocked(s);
	remove_socket(s);
	return true;
}

/* The first free one that we get: another program may be faster, and then qemu-nbd says so. */
static int attach(struct storage *s, struct kennel_error **err)
{
	_cleanup_close_ int dir_fd =
		openat(s->store_fd, DIRECTORY, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	char name[NAME_SIZE], path[NAME_SIZE + 4], connect[96], socket[96];

	if (dir_fd < 0)
		return fail_errno(err, "open \"" DIRECTORY "\" of the store");
	image_name(&s->keys, name);
	snprintf(path, sizeof(path), "./%s", name);
	/*
	 * With which it connects to itself, while we wait. Its usual place is not everywhere, the path has
	 * to be absolute and short, and it changes its working directory in between.
	 */
	snprintf(socket, sizeof(socket), "--socket=/proc/%d/fd/%d/%s" SOCKET, getpid(), dir_fd,
		 s->keys.volume);
	for (unsigned i = 0; i < DEVICES; i++) {
		snprintf(s->device, sizeof(s->device), "/dev/nbd%u", i);
		if (access(s->device, F_OK) < 0)
			break;
		if (is_served(s->device))
			continue;
		snprintf(connect, sizeof(connect), "--connect=%s", s->device);
		const char *const args[] = {
			"--format=qcow2", "--discard=unmap", connect, socket, path, NULL
		};
		error_clear(err);
		if (run("qemu-nbd", dir_fd, "serve the image", args, err) == 0) {
			if (wait_ready(s->device, SERVED_MS))
				return 0;
			(void)!disconnect(s);
			return fail(err, KENNEL_E_IO, "serve the image: %s stays empty", s->device);
		}
		if (!wait_ready(s->device, TAKEN_MS)) /* it is not that another program was faster */
			break;
	}
	s->device[0] = '\0';
	return err && *err ? -kennel_error_code(*err) :
			     hint(err, fail(err, KENNEL_E_BUSY, "all network block devices are in use"),
				  "modprobe -r nbd; modprobe nbd nbds_max=64");
}

static bool is_mounted(const char *device)
{
	_cleanup_close_ int fd = open(device, O_RDONLY | O_EXCL | O_CLOEXEC);

	return fd < 0 && errno == EBUSY;
}

/* The kernel would let go of it under a mount, which has errors then. */
static bool detach(struct storage *s)
{
	return !is_mounted(s->device) && disconnect(s);
}

static int create(struct storage *s, struct kennel_error **err)
{
	_cleanup_close_ int dir_fd = open_images(s->store_fd, true, err);
	char name[NAME_SIZE], size[32];

	if (dir_fd < 0)
		return dir_fd;
	image_name(&s->keys, name);
	snprintf(size, sizeof(size), "%llu", (unsigned long long)s->keys.size_bytes);
	const char *const args[] = { "create", "-q", "-f", "qcow2", name, size, NULL };
	int r = run("qemu-img", dir_fd, "make the image", args, err);
	replace_fd(&dir_fd, -EBADF);
	if (r == 0)
		r = storage_hold(s, err);
	if (r < 0)
		return r;
	_cleanup_close_ int fd = open(s->device, O_RDWR | O_CLOEXEC);
	r = fd < 0 ? fail_errno(err, "open \"%s\"", s->device) : volume_make(fd, s->keys.fs, err);
	if (r == 0)
		r = storage_mount_volume(s, fd, err);
	return r < 0 ? r : storage_make_dir(s->data_fd, "delta", err);
}

static uint64_t get_be(const unsigned char *p, unsigned n)
{
	uint64_t v = 0;

	while (n--)
		v = v << 8 | *p++;
	return v;
}

/* On which it stands: a name, or "" for none. */
static int read_backing(int dir_fd, const char *name, char ret[NAME_SIZE])
{
	_cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	unsigned char head[20];

	ret[0] = '\0';
	if (fd < 0 || pread(fd, head, sizeof(head), 0) != sizeof(head) || memcmp(head, "QFI\xfb", 4) != 0)
		return -1;
	uint64_t at = get_be(head + 8, 8), len = get_be(head + 16, 4);
	if (!at || !len)
		return 0;
	if (len >= NAME_SIZE || pread(fd, ret, len, (off_t)at) != (ssize_t)len)
		return -1;
	ret[len] = '\0';
	return 0;
}

static bool is_frozen(const char *name)
{
	return strncmp(name, FROZEN, strlen(FROZEN)) == 0 && !strchr(name, '/');
}

static bool is_needed(int dir_fd, const char *name)
{
	int list_fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = list_fd < 0 ? NULL : fdopendir(list_fd);
	bool needed = !dir;

	for (const struct dirent *d; !needed && (d = readdir(dir));) {
		char backing[NAME_SIZE];

		/* What can't be read may stand on anything. */
		if (strstr(d->d_name, SUFFIX) && read_backing(dir_fd, d->d_name, backing) < 0 &&
		    errno != ENOENT)
			needed = true;
		else if (strstr(d->d_name, SUFFIX) && strcmp(backing, name) == 0)
			needed = true;
	}
	return needed;
}

/* Removes an image, and each frozen one below it that nobody else stands on. */
static int remove_chain(int dir_fd, const char *first, struct kennel_error **err)
{
	char name[NAME_SIZE], backing[NAME_SIZE];

	snprintf(name, sizeof(name), "%s", first);
	for (;;) {
		(void)!read_backing(dir_fd, name, backing);
		if (unlinkat(dir_fd, name, 0) < 0 && errno != ENOENT)
			return fail_errno(err, "remove the image \"%s\"", name);
		if (!is_frozen(backing) || is_needed(dir_fd, backing))
			return 0;
		memcpy(name, backing, sizeof(name));
	}
}

static bool is_of(int store_fd, const struct storage_keys *keys)
{
	char path[NAME_SIZE + 16];

	snprintf(path, sizeof(path), DIRECTORY "/%s" SUFFIX, keys->volume);
	return faccessat(store_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int destroy(const struct storage *s, struct kennel_error **err)
{
	char name[NAME_SIZE];
	int r = storage_release(s, err);

	if (r < 0 || s->store_fd < 0 || faccessat(s->store_fd, DIRECTORY, F_OK, 0) < 0)
		return r;
	_cleanup_close_ int dir_fd = open_images(s->store_fd, false, err);
	if (dir_fd < 0)
		return dir_fd;
	image_name(&s->keys, name);
	remove_socket(s); /* of one that was killed */
	r = remove_chain(dir_fd, name, err);
	(void)!unlinkat(s->store_fd, DIRECTORY, AT_REMOVEDIR); /* where it was the last one */
	return r;
}

static unsigned depth_of(int dir_fd, const char *first)
{
	char name[NAME_SIZE], backing[NAME_SIZE];
	unsigned n = 0;

	snprintf(name, sizeof(name), "%s", first);
	while (n < CHAIN_MAX && read_backing(dir_fd, name, backing) == 0 && backing[0]) {
		memcpy(name, backing, sizeof(name));
		n++;
	}
	return n;
}

static int make_over(int dir_fd, const char *below, const char *name, struct kennel_error **err)
{
	const char *const args[] = { "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", below, name, NULL };

	return run("qemu-img", dir_fd, "make an image over the frozen one", args, err);
}

static int renumber(struct storage *to, struct kennel_error **err)
{
	if (strcmp(to->keys.fs, "btrfs") != 0)
		return 0;
	int r = storage_hold(to, err);
	if (r < 0)
		return r;
	_cleanup_close_ int fd = open(to->device, O_RDWR | O_CLOEXEC);
	return fd < 0 ? fail_errno(err, "open \"%s\"", to->device) : volume_renumber(fd, to->keys.fs, err);
}

static int freeze(int dir_fd, const char *old, const char *new, struct kennel_error **err)
{
	char frozen[NAME_SIZE], aside[NAME_SIZE + 8];
	uint64_t v;

	if (getrandom(&v, sizeof(v), 0) != sizeof(v))
		return fail_errno(err, "get random bytes");
	snprintf(frozen, sizeof(frozen), FROZEN "%016llx" SUFFIX, (unsigned long long)v);
	snprintf(aside, sizeof(aside), ".new-%s", old);
	(void)!unlinkat(dir_fd, aside, 0);
	if (linkat(dir_fd, old, dir_fd, frozen, 0) < 0)
		return fail_errno(err, "give the image a second name");
	int r = make_over(dir_fd, frozen, aside, err);
	if (r == 0 && (fsync(dir_fd) < 0 || renameat(dir_fd, aside, dir_fd, old) < 0))
		r = fail_errno(err, "put a new image over the frozen one");
	if (r < 0) {
		(void)!unlinkat(dir_fd, aside, 0);
		(void)!unlinkat(dir_fd, frozen, 0);
		return r;
	}
	return make_over(dir_fd, frozen, new, err);
}

static int snapshot(const struct storage *from, struct storage *to, const struct storage_at *at,
		    struct kennel_error **err)
{
	char old[NAME_SIZE], new[NAME_SIZE];

	(void)at;
	if (storage_release(from, NULL) < 0)
		return hint(err,
			    fail(err, KENNEL_E_UNSUPPORTED,
				 "\"%s\" is in use, and an image that is being served can't be frozen",
				 from->shown),
			    "stop it first; or clone it without --snapshot");
	_cleanup_close_ int dir_fd = open_images(from->store_fd, true, err);
	if (dir_fd < 0)
		return dir_fd;
	image_name(&from->keys, old);
	image_name(&to->keys, new);
	if (depth_of(dir_fd, old) >= CHAIN_MAX)
		return hint(err,
			    fail(err, KENNEL_E_LIMIT, "\"%s\" stands on %d images already", from->shown,
				 CHAIN_MAX),
			    "clone it without --snapshot, and go on with that one");
	int r = freeze(dir_fd, old, new, err);
	if (r == 0 && fsync(dir_fd) < 0)
		r = fail_errno(err, "write the images");
	replace_fd(&dir_fd, -EBADF);
	return r < 0 ? r : renumber(to, err);
}

static int measure(const struct storage *s, uint64_t *ret, struct kennel_error **err)
{
	char path[NAME_SIZE + 16];
	struct stat st;

	snprintf(path, sizeof(path), DIRECTORY "/%s" SUFFIX, s->keys.volume);
	if (s->store_fd < 0 || fstatat(s->store_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return fail_errno(err, "look at the image of \"%s\"", s->shown);
	*ret = (uint64_t)st.st_blocks * 512;
	return 0;
}

static int resize(struct storage *s, uint64_t size_bytes, struct kennel_error **err)
{
	char name[NAME_SIZE], size[32];
	int r = storage_release(s, err);

	if (r < 0)
		return r;
	_cleanup_close_ int dir_fd = open_images(s->store_fd, false, err);
	if (dir_fd < 0)
		return dir_fd;
	image_name(&s->keys, name);
	snprintf(size, sizeof(size), "%llu", (unsigned long long)size_bytes);
	r = run("qemu-img", dir_fd, "grow the image",
		(const char *const[]){ "resize", "-q", "-f", "qcow2", name, size, NULL }, err);
	replace_fd(&dir_fd, -EBADF);
	return r < 0 ? r : storage_fill_held(s, size_bytes, err);
}

const struct storage_driver storage_nbd = {
	.name = "nbd",
	.caps = STORAGE_SHARES | STORAGE_VOLUME | STORAGE_ROOT,
	.probe = probe,
	.create = create,
	.open = storage_open_held,
	.let_go = storage_unhold,
	.is_attached = is_attached,
	.find_device = find_device,
	.attach = attach,
	.detach = detach,
	.snapshot = snapshot,
	.destroy = destroy,
	.is_of = is_of,
	.measure = measure,
	.resize = resize,
};
