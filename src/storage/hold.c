/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * storage/hold.c - devices of the machine that don't go away by themselves (lvm, nbd).
 *
 *   STORE/.volumes/ID    a volume that is attached: the text of the container's file "storage", and a line
 *                        device<tab>/dev/...; locked (shared) by everybody who uses it
 *
 * It is there before the device is, and goes after it; where the line is missing, for somebody was killed in
 * between, the driver looks for the device. One that nobody has locked was left by a killed process, or its
 * mounts were just going when the last user looked: whoever comes next detaches it. The lock on the directory
 * is held while something is attached or detached, so the two never meet.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "storage/driver.h"

#define VOLUMES ".volumes"
#define NOTE_MAX (64u << 10)
#define DEVICE "device\t"

/* Opened and locked; -1 with errno. */
static int lock_volumes(int store_fd, bool make)
{
	if (make && mkdirat(store_fd, VOLUMES, 0700) < 0 && errno != EEXIST)
		return -1;
	_cleanup_close_ int fd = openat(store_fd, VOLUMES, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || flock(fd, LOCK_EX) < 0 || fstat(fd, &st) < 0)
		return -1;
	/* Somebody removed it, empty, while we waited. */
	if (!st.st_nlink)
		return make ? lock_volumes(store_fd, make) : -1;
	return take_fd(&fd);
}

bool storage_is_noted(int store_fd, const struct storage_keys *keys)
{
	char path[sizeof(VOLUMES) + STORAGE_ID_SIZE + 1];

	snprintf(path, sizeof(path), VOLUMES "/%s", keys->volume);
	return faccessat(store_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void read_device(int fd, char ret[64])
{
	_cleanup_buf_ struct buf text = { 0 };

	ret[0] = '\0';
	if (lseek(fd, 0, SEEK_SET) != 0 || buf_read_fd(&text, fd, NOTE_MAX, NULL) < 0)
		return;
	const char *line = strstr(buf_str(&text), "\n" DEVICE);
	if (line)
		snprintf(ret, 64, "%.*s", (int)strcspn(line + 1 + strlen(DEVICE), "\n"),
			 line + 1 + strlen(DEVICE));
}

/* Return: whether it is attached, as s->device. */
static bool look_for_device(int fd, struct storage *s)
{
	read_device(fd, s->device);
	if (!s->device[0] && s->driver->find_device && !s->driver->find_device(s))
		return false;
	return s->device[0] && s->driver->is_attached(s);
}

static int write_note(int fd, const struct storage *s, struct kennel_error **err)
{
	_cleanup_buf_ struct buf text = { 0 };

	storage_format(s, &text);
	if (s->device[0])
		buf_printf(&text, DEVICE "%s\n", s->device);
	int r = buf_check(&text, err);
	if (r < 0)
		return r;
	if (ftruncate(fd, 0) < 0 || pwrite(fd, text.data, text.len, 0) != (ssize_t)text.len)
		return fail_errno(err, "note that the volume is attached");
	return 0;
}

static int attach(struct storage *s, int fd, struct kennel_error **err)
{
	if (look_for_device(fd, s))
		return 0;
	s->device[0] = '\0';
	int r = write_note(fd, s, err);
	if (r == 0)
		r = s->driver->attach(s, err);
	return r < 0 ? r : write_note(fd, s, err);
}

int storage_hold(struct storage *s, struct kennel_error **err)
{
	_cleanup_close_ int dir_fd = lock_volumes(s->store_fd, true);

	if (dir_fd < 0)
		return fail_errno(err, "open \"" VOLUMES "\" of the store");
	_cleanup_close_ int fd =
		openat(dir_fd, s->keys.volume, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || flock(fd, LOCK_SH) < 0)
		return fail_errno(err, "hold the volume of \"%s\"", s->shown);
	int r = attach(s, fd, err);
	if (r < 0) {
		(void)!unlinkat(dir_fd, s->keys.volume, 0);
		s->device[0] = '\0';
		return r;
	}
	replace_fd(&s->hold_fd, take_fd(&fd));
	return 0;
}

/* Return: 1 detached, 0 in use. The directory is locked. */
static int detach(int dir_fd, int fd, struct storage *s)
{
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return 0;
	if (look_for_device(fd, s) && !s->driver->detach(s))
		return 0;
	s->device[0] = '\0';
	(void)!unlinkat(dir_fd, s->keys.volume, 0);
	return 1;
}

bool storage_unhold(struct storage *s)
{
	replace_fd(&s->hold_fd, -EBADF);
	_cleanup_close_ int dir_fd = lock_volumes(s->store_fd, false);
	_cleanup_close_ int fd = dir_fd < 0 ? -1 :
					      openat(dir_fd, s->keys.volume, O_RDWR | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return true;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) /* the last of the others lets go */
		return true;
	bool gone = detach(dir_fd, fd, s) > 0;
	(void)!unlinkat(s->store_fd, VOLUMES, AT_REMOVEDIR); /* where it was the last one */
	return gone;
}

int storage_release(const struct storage *s, struct kennel_error **err)
{
	struct storage copy = *s;

	copy.hold_fd = -EBADF;
	if (s->store_fd < 0)
		return 0;
	_cleanup_close_ int dir_fd = lock_volumes(s->store_fd, false);
	_cleanup_close_ int fd = dir_fd < 0 ? -1 :
					      openat(dir_fd, s->keys.volume, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	bool gone = fd < 0 || detach(dir_fd, fd, &copy) > 0;
	(void)!unlinkat(s->store_fd, VOLUMES, AT_REMOVEDIR);
	if (gone)
		return 0;
	return hint(err, fail(err, KENNEL_E_BUSY, "the volume of \"%s\" is in use", s->shown),
		    "stop what runs on it: \"kennel list\" shows it");
}

static int settle_one(int store_fd, int dir_fd, const char *name)
{
	_cleanup_close_ int fd = openat(dir_fd, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	_cleanup_buf_ struct buf text = { 0 };
	struct storage s = STORAGE_NONE;

	if (fd < 0 || buf_read_fd(&text, fd, NOTE_MAX, NULL) < 0)
		return 0;
	/* Killed before it said what it is: then nothing was attached either. */
	if (storage_parse(buf_str(&text), &s, NULL) < 0 || !s.driver->detach ||
	    strcmp(s.keys.volume, name) != 0)
		return flock(fd, LOCK_EX | LOCK_NB) == 0 && unlinkat(dir_fd, name, 0) == 0;
	s.store_fd = store_fd;
	return detach(dir_fd, fd, &s);
}

size_t storage_settle_held(int store_fd)
{
	_cleanup_close_ int dir_fd = lock_volumes(store_fd, false);
	int list_fd = dir_fd < 0 ? -1 : openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = list_fd < 0 ? NULL : fdopendir(list_fd);
	size_t n = 0;

	for (const struct dirent *d; dir && (d = readdir(dir));)
		if (d->d_name[0] != '.')
			n += settle_one(store_fd, dir_fd, d->d_name) > 0;
	if (dir)
		(void)!unlinkat(store_fd, VOLUMES, AT_REMOVEDIR); /* where it is empty now */
	return n;
}
