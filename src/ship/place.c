/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ship/place.c - see place.h. */
#include "ship/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "run/errand.h"
#include "ship/tree.h"
#include "sys/sys.h"

#define TRIES 100

static int split(const char *path, char **ret_parent, char **ret_name, struct kennel_error **err)
{
	size_t len = strlen(path);

	while (len > 1 && path[len - 1] == '/')
		len--;
	size_t name_from = len;
	while (name_from > 0 && path[name_from - 1] != '/')
		name_from--;
	*ret_name = strndup(path + name_from, len - name_from);
	*ret_parent = name_from ? strndup(path, name_from) : strdup(".");
	if (!*ret_name || !*ret_parent)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	if (!**ret_name || strcmp(*ret_name, ".") == 0 || strcmp(*ret_name, "..") == 0 || **ret_name == '/')
		return fail(err, KENNEL_E_INVALID, "\"%s\" is no name for a new file or directory", path);
	return 0;
}

static int random_name(char ret[280], const char *name, struct kennel_error **err)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz012345";
	unsigned char raw[6];
	char tail[7];

	if (getrandom(raw, sizeof(raw), 0) != sizeof(raw))
		return fail_errno(err, "get random bytes");
	for (size_t i = 0; i < sizeof(raw); i++)
		tail[i] = letters[raw[i] & 31];
	tail[6] = '\0';
	snprintf(ret, 280, "%.240s.new-%s", name, tail);
	return 0;
}

struct tree {
	int parent_fd;
	const char *name;
};

static int remove_inside(void *data, struct buf *out, struct kennel_error **err)
{
	const struct tree *t = data;
	_cleanup_close_ int fd =
		openat(t->parent_fd, t->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	int r = fd < 0 ? 0 : ship_tree_clear(fd, err);
	if (r == 0 && unlinkat(t->parent_fd, t->name, fd >= 0 ? AT_REMOVEDIR : 0) < 0)
		r = fail_errno(err, "remove \"%s\"", t->name);
	return r;
}

/* What can't be removed stays; nobody is told. What a worker made for an ordinary user is not that user's. */
static void remove_tree(int parent_fd, const char *name)
{
	struct tree t = { parent_fd, name };

	if (remove_inside(&t, NULL, NULL) < 0 && geteuid() != 0)
		(void)!errand_alone(remove_inside, &t, NULL, NULL);
}

/* Is it one of ours, and does nobody work on it any more? */
static bool is_stale(int parent_fd, const char *name, const char *ours, size_t ours_len)
{
	struct stat st;

	if (strncmp(name, ours, ours_len) != 0 || strncmp(name + ours_len, ".new-", 5) != 0 ||
	    strlen(name + ours_len) != 11 || fstatat(parent_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    st.st_uid != geteuid() || !(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)))
		return false;
	_cleanup_close_ int fd = openat(parent_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0;
}

static void remove_stale(struct ship_place *p)
{
	int dir_fd = openat(p->parent_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *d = dir_fd < 0 ? NULL : fdopendir(dir_fd);
	const struct dirent *e;

	if (!d) {
		close_fd(dir_fd);
		return;
	}
	while ((e = readdir(d)))
		if (is_stale(p->parent_fd, e->d_name, p->name, MIN(strlen(p->name), (size_t)240)))
			remove_tree(p->parent_fd, e->d_name);
}

static int make_dir(struct ship_place *p, char name[280], struct kennel_error **err)
{
	for (unsigned i = 0; i < TRIES; i++) {
		int r = random_name(name, p->name, err);

		if (r < 0)
			return r;
		if (mkdirat(p->parent_fd, name, 0700) < 0) {
			if (errno == EEXIST)
				continue;
			r = fail_errno(err, "make a directory beside \"%s\"", p->name);
			*name = '\0';
			return r;
		}
		int fd = openat(p->parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			return fail_errno(err, "open a directory beside \"%s\"", p->name);
		(void)!flock(fd,
			     LOCK_EX | LOCK_NB); /* new, so ours; without locks nothing is taken for stale */
		return fd;
	}
	*name = '\0';
	return fail(err, KENNEL_E_EXISTS, "no free name beside \"%s\"", p->name);
}

static int make_file(struct ship_place *p, struct kennel_error **err)
{
	int fd = openat(p->parent_fd, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0666);

	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
		return fd >= 0 ? fd : fail_errno(err, "make a file for \"%s\"", p->name);
	for (unsigned i = 0; i < TRIES; i++) {
		int r = random_name(p->temp, p->name, err);

		if (r < 0)
			return r;
		fd = openat(p->parent_fd, p->temp, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
		if (fd >= 0) {
			(void)!flock(fd, LOCK_EX | LOCK_NB);
			return fd;
		}
		*p->temp = '\0';
		if (errno != EEXIST)
			return fail_errno(err, "make a file for \"%s\"", p->name);
	}
	return fail(err, KENNEL_E_EXISTS, "no free name beside \"%s\"", p->name);
}

static int refuse_what_is_there(const struct ship_place *p, const char *path, struct kennel_error **err)
{
	struct stat st;

	if (fstatat(p->parent_fd, p->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : fail_errno(err, "look at \"%s\"", path);
	if (!p->force)
		return hint(err, fail(err, KENNEL_E_EXISTS, "\"%s\" is there already", path),
			    "--force puts the new one in its place");
	if (!S_ISREG(st.st_mode) && !(S_ISDIR(st.st_mode) && p->is_dir))
		return fail(err, KENNEL_E_TYPE, "\"%s\" is there already, and of another kind", path);
	return 0;
}

int ship_place_open(struct ship_place *p, const char *path, bool is_dir, bool force,
		    struct kennel_error **err)
{
	_cleanup_free_ char *parent = NULL;

	*p = (struct ship_place)SHIP_PLACE_NONE;
	p->is_dir = is_dir;
	p->force = force;
	int r = split(path, &parent, &p->name, err);
	if (r < 0)
		return r;
	p->parent_fd = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (p->parent_fd < 0)
		return fail_errno(err, "open the directory \"%s\"", parent);
	r = refuse_what_is_there(p, path, err);
	if (r < 0)
		return r;
	remove_stale(p);
	p->fd = is_dir ? make_dir(p, p->temp, err) : make_file(p, err);
	return p->fd < 0 ? p->fd : 0;
}

int ship_place_spare(struct ship_place *p, struct kennel_error **err)
{
	if (p->spare_fd < 0)
		p->spare_fd = make_dir(p, p->spare, err);
	return p->spare_fd;
}

/* A file without a name gets a temporary one first where the final one is to be replaced. */
static int name_file(struct ship_place *p, struct kennel_error **err)
{
	char self[32];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", p->fd);
	if (!p->force) {
		if (linkat(AT_FDCWD, self, p->parent_fd, p->name, AT_SYMLINK_FOLLOW) < 0)
			return fail_errno(err, "give \"%s\" its name", p->name);
		return 0;
	}
	int r = random_name(p->temp, p->name, err);
	if (r == 0 && linkat(AT_FDCWD, self, p->parent_fd, p->temp, AT_SYMLINK_FOLLOW) < 0) {
		r = fail_errno(err, "give \"%s\" its name", p->name);
		*p->temp = '\0';
	}
	return r;
}

static int exchange(struct ship_place *p, struct kennel_error **err)
{
	if (sys_renameat2(p->parent_fd, p->temp, p->parent_fd, p->name, 1 /* RENAME_NOREPLACE */) == 0) {
		*p->temp = '\0';
		return 0;
	}
	if (errno == EINVAL && !p->force && faccessat(p->parent_fd, p->name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
	    renameat(p->parent_fd, p->temp, p->parent_fd, p->name) ==
		    0) { /* a file system without the flag */
		*p->temp = '\0';
		return 0;
	}
	if (errno != EEXIST || !p->force)
		return fail_errno(err, "give \"%s\" its name", p->name);
	if (!p->is_dir) {
		if (renameat(p->parent_fd, p->temp, p->parent_fd, p->name) < 0)
			return fail_errno(err, "give \"%s\" its name", p->name);
		*p->temp = '\0';
		return 0;
	}
	/* the old one has the temporary name now, and goes at the end */
	if (sys_renameat2(p->parent_fd, p->temp, p->parent_fd, p->name, 2 /* RENAME_EXCHANGE */) < 0)
		return fail_errno(err, "give \"%s\" its name", p->name);
	return 0;
}

int ship_place_commit(struct ship_place *p, struct kennel_error **err)
{
	_cleanup_close_ int dir_fd = openat(p->parent_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = 0;

	if (dir_fd < 0 || (p->is_dir ? syncfs(p->fd) : fsync(p->fd)) < 0)
		return fail_errno(err, "write \"%s\"", p->name);
	if (!p->is_dir && !*p->temp)
		r = name_file(p, err);
	if (r == 0 && *p->temp)
		r = exchange(p, err);
	if (r == 0 && fsync(dir_fd) < 0)
		r = fail_errno(err, "write the directory of \"%s\"", p->name);
	return r;
}

void ship_place_done(struct ship_place *p)
{
	int saved = errno;

	if (*p->temp)
		remove_tree(p->parent_fd, p->temp);
	if (*p->spare)
		remove_tree(p->parent_fd, p->spare);
	close_fd(p->fd);
	close_fd(p->spare_fd);
	close_fd(p->parent_fd);
	free(p->name);
	*p = (struct ship_place)SHIP_PLACE_NONE;
	errno = saved;
}
