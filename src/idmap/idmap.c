/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * idmap/idmap.c - see idmap.h.
 *
 * The files are read directly: loading libsubid costs about a millisecond, a quarter of a whole start, and says the same as
 * the files unless nsswitch.conf has a "subid:" line that names something else. Only then it is loaded.
 */
#include "idmap/idmap.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/parse.h"
#include "idmap/subid.h"
#include "sys/sys.h"

#define SYSTEMD_CONTAINER_BASE 524288u          /* UIDS-GIDS of systemd: 524288..1879048191 are for containers */
#define SYSTEMD_CONTAINER_END 1879048192u
#define FILE_MAX (4u << 20)

/* One line "a:b:c..." split in place; returns the number of fields found, at most max. */
static unsigned split_line(char *line, char *fields[], unsigned max)
{
	unsigned n = 0;

	while (n < max) {
		fields[n++] = line;
		line = strchr(line, ':');
		if (!line)
			break;
		*line++ = '\0';
	}
	return n;
}

/* Copies the next line of *text into line (cut at size) and moves *text on. */
static bool next_line(const char **text, char *line, size_t size)
{
	if (!**text)
		return false;
	size_t len = strcspn(*text, "\n");
	size_t use = len < size - 1 ? len : size - 1;

	memcpy(line, *text, use);
	line[use] = '\0';
	*text += len + ((*text)[len] == '\n');
	return true;
}

static bool next_subid(const char **text, char *line, size_t size, char **owner, struct idmap *ret)
{
	while (next_line(text, line, size)) {
		char *f[3];

		if (split_line(line, f, 3) == 3 && parse_u32(f[1], &ret->base) == 0 &&
		    parse_u32(f[2], &ret->count) == 0 && ret->count) {
			*owner = f[0];
			return true;
		}
	}
	return false;
}

int idmap_find_subid(const char *text, const char *owner, const char *owner_id, struct idmap *ret)
{
	char line[256], *who;
	struct idmap m;

	while (next_subid(&text, line, sizeof(line), &who, &m)) {
		if (strcmp(who, owner) != 0 && strcmp(who, owner_id) != 0)
			continue;
		if (m.count < IDMAP_DEFAULT_COUNT || m.base > UINT32_MAX - m.count)
			continue;
		m.count = IDMAP_DEFAULT_COUNT;
		*ret = m;
		return 1;
	}
	return 0;
}

static bool ranges_touch(uint32_t a, uint32_t a_count, uint32_t b, uint32_t b_count)
{
	return (uint64_t)a < (uint64_t)b + b_count && (uint64_t)b < (uint64_t)a + a_count;
}

bool idmap_touches_subid(const char *text, uint32_t base, uint32_t count)
{
	char line[256], *who;
	struct idmap m;

	while (next_subid(&text, line, sizeof(line), &who, &m))
		if (ranges_touch(base, count, m.base, m.count))
			return true;
	return false;
}

bool idmap_touches_passwd(const char *text, uint32_t base, uint32_t count)
{
	char line[512], *f[3];
	uint32_t id;

	while (next_line(&text, line, sizeof(line))) {
		if (split_line(line, f, 3) != 3)
			continue;
		f[2][strcspn(f[2], ":")] = '\0';
		if (parse_u32(f[2], &id) == 0 && ranges_touch(base, count, id, 1))
			return true;
	}
	return false;
}

static int read_etc(struct buf *b, const char *path, struct kennel_error **err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? 0 : fail_errno(err, "open \"%s\"", path);
	int r = buf_read_fd(b, fd, FILE_MAX, err);
	return r < 0 ? wrap(err, r, "\"%s\"", path) : 0;
}

int idmap_is_initial(bool *ret, struct kennel_error **err)
{
	_cleanup_close_ int fd = open("/proc/self/uid_map", O_RDONLY | O_CLOEXEC);
	char text[64];
	unsigned inside, outside, count;

	if (fd < 0)
		return fail_errno(err, "open \"/proc/self/uid_map\"");
	ssize_t n = read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return fail_errno(err, "read \"/proc/self/uid_map\"");
	text[n] = '\0';
	*ret = sscanf(text, "%u %u %u", &inside, &outside, &count) == 3 && inside == 0 && outside == 0 &&
	       count == UINT32_MAX;
	return 0;
}

/* How many ids a map of /proc/self has from 0 on without a gap. */
static int own_count(const char *path, uint32_t *ret, struct kennel_error **err)
{
	_cleanup_buf_ struct buf b = { 0 };
	uint64_t end = 0;
	unsigned inside, outside, count;
	int used;

	int r = read_etc(&b, path, err);
	if (r < 0)
		return r;
	for (const char *s = buf_str(&b); sscanf(s, "%u %u %u%n", &inside, &outside, &count, &used) == 3; s += used) {
		if (inside != end)
			break;
		end += count;
	}
	if (!end)
		return fail(err, KENNEL_E_UNSUPPORTED, "this user namespace has no id 0 (\"%s\")", path);
	*ret = end > UINT32_MAX ? UINT32_MAX : (uint32_t)end;
	return 0;
}

int idmap_identity(struct idmap *ret, struct kennel_error **err)
{
	uint32_t users, groups;

	int r = own_count("/proc/self/uid_map", &users, err);
	if (r == 0)
		r = own_count("/proc/self/gid_map", &groups, err);
	if (r < 0)
		return r;
	*ret = (struct idmap){ .base = 0, .count = MIN(users, groups) };
	return 0;
}

int idmap_pick_root(struct idmap *ret, struct kennel_error **err)
{
	_cleanup_buf_ struct buf subuid = { 0 }, subgid = { 0 }, passwd = { 0 };
	struct idmap users, groups;

	int r = subid_from_service("root", ret, err);
	if (r)
		return r < 0 ? r : 0;
	r = read_etc(&subuid, "/etc/subuid", err);
	if (r == 0)
		r = read_etc(&subgid, "/etc/subgid", err);
	if (r < 0)
		return wrap(err, r, "read the subordinate ids");
	if (idmap_find_subid(buf_str(&subuid), "root", "0", &users) &&
	    idmap_find_subid(buf_str(&subgid), "root", "0", &groups) && users.base == groups.base) {
		*ret = users;
		return 0;
	}

	r = read_etc(&passwd, "/etc/passwd", err);
	if (r < 0)
		return wrap(err, r, "read the users");
	for (uint32_t base = SYSTEMD_CONTAINER_BASE; base < SYSTEMD_CONTAINER_END; base += IDMAP_DEFAULT_COUNT) {
		if (idmap_touches_subid(buf_str(&subuid), base, IDMAP_DEFAULT_COUNT) ||
		    idmap_touches_subid(buf_str(&subgid), base, IDMAP_DEFAULT_COUNT) ||
		    idmap_touches_passwd(buf_str(&passwd), base, IDMAP_DEFAULT_COUNT))
			continue;
		*ret = (struct idmap){ .base = base, .count = IDMAP_DEFAULT_COUNT };
		return 0;
	}
	return hint(err, fail(err, KENNEL_E_LIMIT, "no 65536 subordinate ids are free"),
		    "give root a range: usermod --add-subuids 524288-589823 --add-subgids 524288-589823 root");
}

static int write_map(int proc_pid_fd, const char *name, const struct idmap *map, struct kennel_error **err)
{
	char text[64];
	int len = snprintf(text, sizeof(text), "0 %u %u", map->base, map->count);
	const struct open_how how = {
		.flags = O_WRONLY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS,
	};
	_cleanup_close_ int fd = sys_openat2(proc_pid_fd, name, &how);

	if (fd < 0)
		return fail_errno(err, "open %s of the sandbox", name);
	if (write(fd, text, (size_t)len) != len)        /* the kernel takes a map whole or not at all */
		return fail_errno(err, "map %u ids from %u on", map->count, map->base);
	return 0;
}

int idmap_write(int proc_pid_fd, const struct idmap *map, struct kennel_error **err)
{
	int r = write_map(proc_pid_fd, "uid_map", map, err);

	return r < 0 ? r : write_map(proc_pid_fd, "gid_map", map, err);
}
