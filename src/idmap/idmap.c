/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * idmap/idmap.c - see idmap.h.
 *
 * The files are read directly: loading libsubid costs about a millisecond, a quarter of a whole start, and
 * says the same as the files unless nsswitch.conf has a "subid:" line that names something else. Only then it
 * is loaded.
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

/* UIDS-GIDS of systemd: 524288..1879048191 are for containers */
#define SYSTEMD_CONTAINER_BASE 524288u
#define SYSTEMD_CONTAINER_END 1879048192u
#define FILE_MAX (4u << 20)
#define LINE_SIZE 512 /* a login name has 256 bytes at most (LOGIN_NAME_MAX) */

/* A set of ids [start, end) that somebody has. */
struct range {
	uint64_t start, end;
};

struct range_list {
	struct range *items;
	size_t n, room;
	bool nomem;
};

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

/* Copies the next line of *text into line (cut where it is too long) and moves *text on. */
static bool next_line(const char **text, char line[LINE_SIZE])
{
	if (!**text)
		return false;
	size_t len = strcspn(*text, "\n");
	size_t use = MIN(len, (size_t)LINE_SIZE - 1);

	memcpy(line, *text, use);
	line[use] = '\0';
	*text += len + ((*text)[len] == '\n');
	return true;
}

/* The next well-formed line of a subuid file; what shadow would not take is passed over. */
static bool next_subid(const char **text, char line[LINE_SIZE], char **owner, struct idmap *ret)
{
	while (next_line(text, line)) {
		char *f[3];

		if (strlen(line) < LINE_SIZE - 1 && split_line(line, f, 3) == 3 &&
		    parse_u32(f[1], &ret->base) == 0 && parse_u32(f[2], &ret->count) == 0 && ret->count) {
			*owner = f[0];
			return true;
		}
	}
	return false;
}

static bool next_of_root(const char **text, struct idmap *ret)
{
	char line[LINE_SIZE], *who;

	while (next_subid(text, line, &who, ret))
		if (strcmp(who, "root") == 0 || strcmp(who, "0") == 0)
			return true;
	return false;
}

int idmap_find_root(const char *subuid, const char *subgid, struct idmap *ret)
{
	struct idmap u, g;

	while (next_of_root(&subuid, &u)) {
		/* From 0 on, root inside would be root outside; the id 4294967295 is none. */
		if (u.base == 0 || u.count < IDMAP_DEFAULT_COUNT || u.base > UINT32_MAX - IDMAP_DEFAULT_COUNT)
			continue;
		for (const char *s = subgid; next_of_root(&s, &g);)
			if (g.base <= u.base &&
			    (uint64_t)g.base + g.count >= (uint64_t)u.base + IDMAP_DEFAULT_COUNT) {
				*ret = (struct idmap){ .base = u.base, .count = IDMAP_DEFAULT_COUNT };
				return 1;
			}
	}
	return 0;
}

static void add_range(struct range_list *l, uint32_t start, uint32_t count)
{
	if (l->n == l->room) {
		size_t room = l->room ? l->room * 2 : 64;
		struct range *items = reallocarray(l->items, room, sizeof(*items));

		if (!items) {
			l->nomem = true;
			return;
		}
		l->items = items;
		l->room = room;
	}
	l->items[l->n++] = (struct range){ start, (uint64_t)start + count };
}

static void add_subids(struct range_list *l, const char *text)
{
	char line[LINE_SIZE], *who;
	struct idmap m;

	while (next_subid(&text, line, &who, &m))
		add_range(l, m.base, m.count);
}

/* Field 3 of a passwd or group file. */
static void add_ids(struct range_list *l, const char *text)
{
	char line[LINE_SIZE], *f[4];
	uint32_t id;

	while (next_line(&text, line))
		if (split_line(line, f, 4) >= 3 && parse_u32(f[2], &id) == 0)
			add_range(l, id, 1);
}

static int compare_ranges(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static uint64_t round_up(uint64_t n)
{
	return (n + IDMAP_DEFAULT_COUNT - 1) / IDMAP_DEFAULT_COUNT * IDMAP_DEFAULT_COUNT;
}

int idmap_find_free_in(const struct idmap_files *files, uint32_t start, uint32_t end, struct idmap *ret,
		       struct kennel_error **err)
{
	struct range_list l = { 0 };
	uint64_t base = start;

	add_subids(&l, files->subuid);
	add_subids(&l, files->subgid);
	add_ids(&l, files->passwd);
	add_ids(&l, files->group);
	_cleanup_free_ struct range *taken = l.items;
	if (l.nomem)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	if (l.n)
		qsort(taken, l.n, sizeof(*taken), compare_ranges);
	/*
	 * One sweep: a site may have ten thousand users with a range each, so trying each candidate against
	 * all would take seconds.
	 */
	for (size_t i = 0; i < l.n && taken[i].start < base + IDMAP_DEFAULT_COUNT; i++)
		if (taken[i].end > base)
			base = start + round_up(taken[i].end - start);
	if (base + IDMAP_DEFAULT_COUNT > end)
		return 0;
	*ret = (struct idmap){ .base = (uint32_t)base, .count = IDMAP_DEFAULT_COUNT };
	return 1;
}

int idmap_find_free(const struct idmap_files *files, struct idmap *ret, struct kennel_error **err)
{
	return idmap_find_free_in(files, SYSTEMD_CONTAINER_BASE, SYSTEMD_CONTAINER_END, ret, err);
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

uint32_t idmap_count_from_zero(const char *map)
{
	uint64_t end = 0;
	bool grew = true;

	/* The kernel shows the lines as they were written, in any order; there are 340 at most. */
	while (grew) {
		unsigned inside, outside, count;
		int used;

		grew = false;
		for (const char *s = map; sscanf(s, "%u %u %u%n", &inside, &outside, &count, &used) == 3;
		     s += used)
			if (inside == end && count) {
				end += count;
				grew = true;
			}
	}
	return end > UINT32_MAX ? UINT32_MAX : (uint32_t)end;
}

static int own_count(const char *path, uint32_t *ret, struct kennel_error **err)
{
	_cleanup_buf_ struct buf b = { 0 };

	int r = read_etc(&b, path, err);
	if (r < 0)
		return r;
	*ret = idmap_count_from_zero(buf_str(&b));
	if (!*ret)
		return fail(err, KENNEL_E_UNSUPPORTED, "this user namespace has no id 0 (\"%s\")", path);
	return 0;
}

bool idmap_denies_groups(void)
{
	_cleanup_close_ int fd = open("/proc/self/setgroups", O_RDONLY | O_CLOEXEC);
	char word[8] = "";

	return fd >= 0 && read(fd, word, sizeof(word) - 1) > 0 && strncmp(word, "deny", 4) == 0;
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
	_cleanup_buf_ struct buf subuid = { 0 }, subgid = { 0 }, passwd = { 0 }, group = { 0 };

	int r = subid_from_service("root", ret, err);
	if (r)
		return r < 0 ? r : 0;
	r = read_etc(&subuid, "/etc/subuid", err);
	if (r == 0)
		r = read_etc(&subgid, "/etc/subgid", err);
	if (r < 0)
		return wrap(err, r, "read the subordinate ids");
	if (idmap_find_root(buf_str(&subuid), buf_str(&subgid), ret))
		return 0;

	r = read_etc(&passwd, "/etc/passwd", err);
	if (r == 0)
		r = read_etc(&group, "/etc/group", err);
	if (r < 0)
		return wrap(err, r, "read the users");
	const struct idmap_files files = { buf_str(&subuid), buf_str(&subgid), buf_str(&passwd),
					   buf_str(&group) };
	r = idmap_find_free(&files, ret, err);
	if (r == 0)
		return hint(err, fail(err, KENNEL_E_LIMIT, "no 65536 subordinate ids are free"),
			    "name a range that may be used: --idmap BASE");
	return MIN(r, 0);
}

/*
 * One to one, as many lines as our own map has: the kernel takes none that crosses two of its extents, as an
 * ordinary user's sandbox has them.
 */
void idmap_put_identity(struct buf *b, const char *own, uint32_t end)
{
	unsigned inside, outside, count;
	int used;

	for (const char *s = own; sscanf(s, "%u %u %u%n", &inside, &outside, &count, &used) == 3; s += used)
		if (inside < end)
			buf_printf(b, "%u %u %u\n", inside, inside, MIN(count, end - inside));
}

static int format_map(struct buf *b, const char *name, const struct idmap *map, struct kennel_error **err)
{
	_cleanup_buf_ struct buf own = { 0 };
	char path[32];

	if (map->base) {
		buf_printf(b, "0 %u %u", map->base, map->count);
		return buf_check(b, err);
	}
	snprintf(path, sizeof(path), "/proc/self/%s", name);
	int r = read_etc(&own, path, err);
	if (r < 0)
		return r;
	idmap_put_identity(b, buf_str(&own), map->count);
	return buf_check(b, err);
}

static int write_map(int proc_pid_fd, const char *name, const struct idmap *map, struct kennel_error **err)
{
	_cleanup_buf_ struct buf text = { 0 };
	const struct open_how how = {
		.flags = O_WRONLY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS,
	};

	int r = format_map(&text, name, map, err);
	if (r < 0)
		return r;
	_cleanup_close_ int fd = sys_openat2(proc_pid_fd, name, &how);
	if (fd < 0)
		return fail_errno(err, "open %s of the sandbox", name);
	if (write(fd, text.data, text.len) !=
	    (ssize_t)text.len) /* the kernel takes a map whole or not at all */
		return fail_errno(err, "map %u ids from %u on", map->count, map->base);
	return 0;
}

int idmap_write(int proc_pid_fd, const struct idmap *map, struct kennel_error **err)
{
	int r = write_map(proc_pid_fd, "uid_map", map, err);

	return r < 0 ? r : write_map(proc_pid_fd, "gid_map", map, err);
}
