/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/keep-base.c - is the base still the one that the changes were made over?
 *
 * Exact would be to compare all files. What is compared instead changes whenever people would say that it is
 * another base: the system by its root file system, distribution, release and machine-id; an image by its
 * size and its first bytes, where the superblock is; a directory by its file system and inode.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/cleanup.h"
#include "run/keep.h"
#include "sys/sys.h"

#define SMALL_FILE_MAX (64u << 10)
#define SUPERBLOCK_SIZE 4096u

/* FNV-1a: nothing secret is at stake, only another value for another base. */
static uint64_t hash(uint64_t h, const void *data, size_t size)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < size; i++)
		h = (h ^ p[i]) * 0x100000001b3u;
	return h;
}

static uint64_t hash_file_system(uint64_t h, int fd)
{
	uint8_t uuid[16];
	struct statfs st;

	if (sys_fs_uuid(fd, uuid) == 0)
		return hash(h, uuid, sizeof(uuid));
	return fstatfs(fd, &st) == 0 ? hash(h, &st.f_fsid, sizeof(st.f_fsid)) : h;
}

static void read_small(const char *path, struct buf *b)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd >= 0)
		(void)!buf_read_fd(b, fd, SMALL_FILE_MAX, NULL);
}

/* The line that begins with key. */
static uint64_t hash_line(uint64_t h, const struct buf *text, const char *key)
{
	size_t n = strlen(key);

	for (const char *line = buf_str(text); *line; line += *line == '\n') {
		size_t len = strcspn(line, "\n");

		if (strncmp(line, key, n) == 0)
			h = hash(h, line, len);
		line += len;
	}
	return h;
}

static uint64_t hash_system(uint64_t h, int root_fd)
{
	_cleanup_buf_ struct buf release = { 0 }, machine = { 0 };

	h = hash_file_system(h, root_fd);
	read_small("/etc/os-release", &release);
	read_small("/etc/machine-id", &machine);
	h = hash_line(h, &release, "ID=");
	h = hash_line(h, &release, "VERSION_ID=");
	return hash(h, buf_str(&machine), machine.len);
}

int keep_base_id(const struct spec *spec, char **ret, struct kennel_error **err)
{
	const char *path = spec->base_path ? spec->base_path : "/", *kind = "system";
	_cleanup_close_ int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	uint64_t h = 0xcbf29ce484222325u;
	struct stat st;

	*ret = NULL;
	if (fd < 0 || fstat(fd, &st) < 0)
		return 0; /* the start will say what is wrong with it */
	if (!spec->base_path) {
		h = hash_system(h, fd);
	} else if (S_ISDIR(st.st_mode)) {
		kind = "directory";
		h = hash_file_system(h, fd);
		h = hash(h, &st.st_ino, sizeof(st.st_ino));
	} else {
		char start[SUPERBLOCK_SIZE];
		ssize_t n = pread(fd, start, sizeof(start), 0);

		kind = "image";
		h = hash(h, &st.st_size, sizeof(st.st_size));
		h = hash(h, start, (size_t)MAX(n, (ssize_t)0));
	}
	if (asprintf(ret, "%s-%016llx", kind, (unsigned long long)h) < 0) {
		*ret = NULL;
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	}
	return 0;
}
