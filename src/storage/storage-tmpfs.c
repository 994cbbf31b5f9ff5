/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * storage/storage-tmpfs.c - what a container changes is in memory: "/dev/shm/kennel-ID", a directory of its
 * owner's. Only for those that go when they end (container/tidy.h), since the machine's end is theirs, too.
 *
 * A tmpfs of its own, mounted by whoever runs it, was the alternative: nobody else could look at the changes
 * then, and an ordinary user has no place to mount one. /dev/shm is open to all, so what is there under
 * our name may be anybody's: it has to be a directory that only its owner, who is us, can get into.
 */
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "storage/driver.h"
#include "sys/sys.h"

#define MEMORY "/dev/shm"

static int open_memory(struct kennel_error **err)
{
	_cleanup_close_ int fd = open(MEMORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	long magic;

	if (fd < 0)
		return fail_errno(err, "open \"" MEMORY "\"");
	if (sys_fgetfsmagic(fd, &magic) < 0 || magic != TMPFS_MAGIC)
		return hint(err, fail(err, KENNEL_E_UNSUPPORTED, "\"" MEMORY "\" is no tmpfs here"),
			    "leave --tmpfs out");
	return take_fd(&fd);
}

static void name_of(const struct storage_keys *k, char ret[40])
{
	snprintf(ret, 40, "kennel-%s", k->volume);
}

static int probe(int store_fd, struct storage_keys *keys, struct kennel_error **err)
{
	(void)store_fd, (void)keys;
	_cleanup_close_ int fd = open_memory(err);

	return MIN(fd, 0);
}

static int open_place(struct storage *s, struct kennel_error **err)
{
	_cleanup_close_ int memory_fd = open_memory(err);
	struct stat st;
	char name[40];

	if (memory_fd < 0)
		return memory_fd;
	name_of(&s->keys, name);
	_cleanup_close_ int fd = openat(memory_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return fail(err, KENNEL_E_NOTFOUND, "what \"%s\" changed was in memory, and is gone",
			    s->shown);
	if (fd < 0 || fstat(fd, &st) < 0)
		return fail_errno(err, "open \"" MEMORY "/%s\"", name);
	if (st.st_uid != geteuid() || (st.st_mode & 077))
		return fail(err, KENNEL_E_PERM, "\"" MEMORY "/%s\" is somebody else's", name);
	s->data_fd = take_fd(&fd);
	return 0;
}

static int create(struct storage *s, struct kennel_error **err)
{
	_cleanup_close_ int memory_fd = open_memory(err);
	char name[40];

	if (memory_fd < 0)
		return memory_fd;
	name_of(&s->keys, name);
	int r = storage_make_dir(memory_fd, name, err);
	if (r == 0)
		r = open_place(s, err);
	return r < 0 ? r : storage_make_dir(s->data_fd, "delta", err);
}

/* Who calls has emptied it: what is in it may be of other ids. */
static int destroy(const struct storage *s, struct kennel_error **err)
{
	_cleanup_close_ int memory_fd = open(MEMORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char name[40];

	name_of(&s->keys, name);
	if (memory_fd < 0 || unlinkat(memory_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	return fail_errno(err, "remove \"" MEMORY "/%s\"", name);
}

const struct storage_driver storage_tmpfs = {
	.name = "tmpfs",
	.caps = STORAGE_MEMORY,
	.probe = probe,
	.create = create,
	.open = open_place,
	.destroy = destroy,
};
