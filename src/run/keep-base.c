/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/keep-base.c - is the base still the one that the changes were made over?
 *
 * Exact would be to compare all files. What is compared instead changes whenever people would say that it is
 * another base: the system by its root file system, distribution, release and machine-id; an image by its
 * size and its first bytes, where the superblock is; a directory by its file system and inode.
 *
 * A file (-f) moves to other machines, so it also says what is installed on the one that it was last used on:
 * distribution, release, architecture and the versions of all packages, in any order. Where that is the same,
 * so is the base. An rpm database tells nothing that two machines would have in common.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/vfs.h>

#include "base/cleanup.h"
#include "run/keep.h"
#include "sys/sys.h"

#define SMALL_FILE_MAX (64u << 10)
#define PACKAGES_MAX (64u << 20)
#define SUPERBLOCK_SIZE 4096u
#define HASH_START 0xcbf29ce484222325u

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

static void read_up_to(const char *path, size_t max, struct buf *b)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd >= 0)
		(void)!buf_read_fd(b, fd, max, NULL);
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
	read_up_to("/etc/os-release", SMALL_FILE_MAX, &release);
	read_up_to("/etc/machine-id", SMALL_FILE_MAX, &machine);
	h = hash_line(h, &release, "ID=");
	h = hash_line(h, &release, "VERSION_ID=");
	return hash(h, buf_str(&machine), machine.len);
}

/* The sum of a value for each package. keys: what begins lines that count; an empty line ends a package. */
static uint64_t hash_packages(const struct buf *text, const char *const *keys, size_t n_keys)
{
	uint64_t sum = 0, h = HASH_START;

	for (const char *line = buf_str(text); *line;) {
		size_t len = strcspn(line, "\n");

		for (size_t i = 0; i < n_keys; i++)
			if (strncmp(line, keys[i], strlen(keys[i])) == 0)
				h = hash(h, line, len);
		line += len + (line[len] == '\n');
		if (len && *line)
			continue;
		sum += h == HASH_START ? 0 : h;
		h = HASH_START;
	}
	return sum;
}

static uint64_t hash_names(DIR *d)
{
	uint64_t sum = 0;

	for (const struct dirent *e; (e = readdir(d));)
		if (e->d_name[0] != '.')
			sum += hash(HASH_START, e->d_name, strlen(e->d_name));
	return sum;
}

/* 0: there is no list that can be read. */
static uint64_t look_at_packages(void)
{
	static const char *const deb[] = { "Package:", "Status:", "Architecture:", "Version:" };
	static const char *const apk[] = { "P:", "V:", "A:" };
	_cleanup_buf_ struct buf text = { 0 };
	_cleanup_closedir_ DIR *pacman = opendir("/var/lib/pacman/local");

	if (pacman)
		return hash_names(pacman);
	read_up_to("/var/lib/dpkg/status", PACKAGES_MAX, &text);
	if (text.len)
		return hash_packages(&text, deb, ARRAY_SIZE(deb));
	read_up_to("/lib/apk/db/installed", PACKAGES_MAX, &text);
	return text.len ? hash_packages(&text, apk, ARRAY_SIZE(apk)) : 0;
}

static uint64_t hash_software(void)
{
	_cleanup_buf_ struct buf release = { 0 };
	uint64_t packages = look_at_packages(), h = HASH_START;
	struct utsname u;

	if (!packages || uname(&u) < 0)
		return 0;
	read_up_to("/etc/os-release", SMALL_FILE_MAX, &release);
	h = hash_line(h, &release, "ID=");
	h = hash_line(h, &release, "VERSION_ID=");
	h = hash(h, u.machine, strlen(u.machine));
	return hash(h, &packages, sizeof(packages));
}

bool keep_base_is(const char *was, const char *now)
{
	const size_t machine = strlen("system-") + 16, whole = machine + 1 + 16;

	if (strcmp(was, now) == 0)
		return true;
	if (strncmp(was, "system-", 7) != 0 || strlen(was) < machine || strlen(now) < machine)
		return false;
	return memcmp(was, now, machine) == 0 ||
	       (strlen(was) == whole && strlen(now) == whole && strcmp(was + machine, now + machine) == 0);
}

int keep_base_id(const struct spec *spec, const char *path, bool moves, char **ret, struct kennel_error **err)
{
	const char *kind = "system";
	_cleanup_close_ int fd = open(path ? path : "/", O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	uint64_t h = HASH_START, software = 0;
	struct stat st;

	*ret = NULL;
	if (fd < 0 || fstat(fd, &st) < 0)
		return 0; /* the start will say what is wrong with it */
	if (!spec->base_path) {
		h = hash_system(h, fd);
		software = moves ? hash_software() : 0;
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
	if ((software ? asprintf(ret, "%s-%016llx-%016llx", kind, (unsigned long long)h,
				 (unsigned long long)software) :
			asprintf(ret, "%s-%016llx", kind, (unsigned long long)h)) < 0) {
		*ret = NULL;
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	}
	return 0;
}
