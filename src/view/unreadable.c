/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * view/unreadable.c - the walk that finds what this user can't read. The cache in front of it is
 * unreadable-cache.c.
 *
 * faccessat() with the effective ids says exactly what open() would say, access control lists and all, for
 * the price of a stat; working it out of mode bits would not be cheaper. Links, devices, fifos and sockets
 * have no content to be read. Mount points of network and kernel file systems are known beforehand, from
 * mountinfo: even opening a dead server's directory would hang.
 */
#include "view/unreadable.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

#define DEPTH_MAX 512 /* each level holds a descriptor; deeper is not looked at */
#define MOUNTINFO_MAX (16u << 20)

static const char *const walked_types[] = { "ext2",	"ext3",	    "ext4",  "xfs",	 "btrfs",   "tmpfs",
					    "ramfs",	"zfs",	    "f2fs",  "bcachefs", "overlay", "jfs",
					    "reiserfs", "squashfs", "erofs", "vfat",	 "exfat" };

/* Turns \040 and the like back, in place. */
static void unescape(char *s)
{
	char *to = s;

	while (*s) {
		if (s[0] == '\\' && s[1] && s[2] && s[3]) {
			*to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 4;
		} else {
			*to++ = *s++;
		}
	}
	*to = '\0';
}

/* One line of mountinfo: its mount point if that is not to be walked. */
static char *foreign_mount(char *line)
{
	char *type = strstr(line, " - "), *rest = line;

	if (!type)
		return NULL;
	type += 3;
	for (int i = 0; i < 4; i++)
		strsep(&rest, " ");
	char *point = rest ? strsep(&rest, " ") : NULL;
	size_t len = strcspn(type, " ");
	for (size_t i = 0; i < ARRAY_SIZE(walked_types); i++)
		if (strlen(walked_types[i]) == len && !strncmp(type, walked_types[i], len))
			return NULL;
	if (point)
		unescape(point);
	return point;
}

int unreadable_foreign_mounts(struct strv *ret, struct kennel_error **err)
{
	_cleanup_buf_ struct buf text = { 0 };
	_cleanup_close_ int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return fail_errno(err, "open \"/proc/self/mountinfo\"");
	int r = buf_read_fd(&text, fd, MOUNTINFO_MAX, err);
	if (r < 0)
		return wrap(err, r, "read \"/proc/self/mountinfo\"");
	char *line, *rest = text.data;
	while (rest && (line = strsep(&rest, "\n"))) {
		const char *point = foreign_mount(line);

		r = point ? strv_add(ret, point, err) : 0;
		if (r < 0)
			return r;
	}
	return 0;
}

struct walk {
	struct buf *out;
	const char *const *skip;
	const struct strv *foreign;
	char path[PATH_MAX];
	size_t len;
	unsigned max_depth;
};

static bool is_skipped(const struct walk *w)
{
	for (const char *const *s = w->skip; s && *s; s++)
		if (!strcmp(*s, w->path))
			return true;
	return strv_has(w->foreign, w->path);
}

static void add(struct walk *w, enum unreadable_kind kind)
{
	buf_add(w->out, &(char){ (char)kind }, 1);
	buf_add(w->out, w->path, w->len + 1);
}

static void walk_dir(struct walk *w, int dir_fd, const char *name, unsigned depth);

static void walk_entry(struct walk *w, int dir_fd, const struct dirent *d, unsigned depth)
{
	size_t name_len = strlen(d->d_name), before = w->len;
	int type = d->d_type;
	struct stat st;

	if (type == DT_UNKNOWN && fstatat(dir_fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) == 0)
		type = IFTODT(st.st_mode);
	if ((type != DT_DIR && type != DT_REG) || w->len + 1 + name_len >= sizeof(w->path))
		return;
	if (type == DT_REG && faccessat(dir_fd, d->d_name, R_OK, AT_EACCESS | AT_SYMLINK_NOFOLLOW) == 0)
		return;
	w->path[w->len++] = '/';
	memcpy(w->path + w->len, d->d_name, name_len + 1);
	w->len += name_len;
	if (type == DT_DIR)
		walk_dir(w, dir_fd, d->d_name, depth);
	else if (errno == EACCES)
		add(w, UNREADABLE_FILE);
	w->len = before;
	w->path[before] = '\0';
}

/* The directory at w->path; what can't be opened for any other reason than a missing right is passed over. */
static void walk_dir(struct walk *w, int dir_fd, const char *name, unsigned depth)
{
	if (w->len && is_skipped(w))
		return;
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		if (errno == EACCES)
			add(w, faccessat(dir_fd, name, X_OK, AT_EACCESS) == 0 ? UNREADABLE_LIST :
										UNREADABLE_DIR);
		return;
	}
	_cleanup_closedir_ DIR *dir = fdopendir(fd);
	if (!dir) {
		close_fd(fd);
		return;
	}
	if (faccessat(fd, ".", X_OK, AT_EACCESS) < 0) { /* names can be read, nothing behind them */
		if (errno == EACCES && w->len)
			add(w, UNREADABLE_DIR);
		return;
	}
	const struct dirent *d;
	while (depth < w->max_depth && (d = readdir(dir)))
		if (strcmp(d->d_name, ".") && strcmp(d->d_name, ".."))
			walk_entry(w, dirfd(dir), d, depth + 1);
}

static int walk(const struct unreadable_query *q, const char *from, unsigned max_depth, struct buf *ret,
		struct kennel_error **err)
{
	_cleanup_strv_ struct strv foreign = { 0 };
	int r = q->is_system ? unreadable_foreign_mounts(&foreign, err) : 0;

	if (r < 0)
		return r;
	_cleanup_free_ struct walk *w = calloc(1, sizeof(*w));
	if (!w)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	w->out = ret;
	w->skip = q->skip;
	w->foreign = &foreign;
	w->max_depth = max_depth;
	w->len = (size_t)snprintf(w->path, sizeof(w->path), "%s", from);
	if (w->len >= sizeof(w->path))
		return fail(err, KENNEL_E_INVALID, "\"%s\" is too long", from);
	walk_dir(w, q->root_fd, from[0] ? from + 1 : ".", 0);
	return buf_check(ret, err);
}

int unreadable_walk(const struct unreadable_query *q, struct buf *ret, struct kennel_error **err)
{
	return walk(q, "", DEPTH_MAX, ret, err);
}

int unreadable_look(const struct unreadable_query *q, const char *dir, struct buf *ret,
		    struct kennel_error **err)
{
	return walk(q, dir[1] ? dir : "", 1, ret, err);
}
