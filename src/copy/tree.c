/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * copy/tree.c - walking a tree that others may rearrange meanwhile.
 *
 * A stack of open directories, a pair for each level, so depth costs descriptors and not path length, and
 * ".." is never asked: a directory that is moved away under us is still the one that we opened. Nothing is
 * opened before an O_PATH pin of it has shown what it is.
 *
 * A directory that did not exist is filled under a temporary name and renamed when it is complete; below
 * it nothing needs a temporary name of its own. So a copy that is stopped or fails leaves nothing of a new
 * tree, and only whole files in one that was there before.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "copy/child.h"
#include "sys/sys.h"

static int open_made_dir(int parent_fd, const char *name)
{
	const struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};

	return sys_openat2(parent_fd, name, &how);
}

static struct copy_level *push(struct copy_worker *w, const char *name)
{
	if (w->depth >= w->max_levels) {
		errno = EMFILE;
		copy_fail(w, COPY_STEP_DEEP, name);
		return NULL;
	}
	struct copy_level *l = &w->levels[w->depth];
	size_t n = strlen(name);

	l->src_fd = l->dst_fd = -EBADF;
	l->dst_dev = l->dst_ino = 0;
	l->made = l->unseen = l->closed = false;
	l->staged[0] = '\0';
	l->pos = l->len = 0;
	if (n >= sizeof(l->name)) {
		errno = ENAMETOOLONG;
		copy_fail(w, COPY_STEP_SOURCE, name);
		return NULL;
	}
	memcpy(l->name, name, n + 1);
	return l;
}

static int open_source_dir(struct copy_worker *w, struct copy_level *l, int pin_fd)
{
	l->src_fd = openat(pin_fd, ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (l->src_fd < 0 || fstat(l->src_fd, &l->st) < 0)
		return copy_fail(w, errno == EMFILE ? COPY_STEP_DEEP : COPY_STEP_SOURCE_READ, l->name);
	int kernel = w->job->source.inside ? copy_is_kernel_fs(l->src_fd) : 0;
	if (kernel < 0)
		return copy_fail(w, COPY_STEP_SOURCE_READ, l->name);
	l->closed = kernel; /* the mount point stays, empty */
	/* A shared tree can be both source and target: then the copy would find itself, and have no end. */
	for (size_t i = 0; i < w->depth; i++)
		if (l->st.st_dev == w->levels[i].dst_dev && l->st.st_ino == w->levels[i].dst_ino)
			return copy_fail(w, COPY_STEP_ITSELF, l->name);
	return 0;
}

static int note_target(struct copy_worker *w, struct copy_level *l, struct stat *st)
{
	if (fstat(l->dst_fd, st) < 0)
		return copy_fail(w, COPY_STEP_TARGET, l->name);
	l->dst_dev = st->st_dev;
	l->dst_ino = st->st_ino;
	return 0;
}

/* A directory of that name that is there already gets the entries; it keeps its own owner, mode and times. */
static int open_existing(struct copy_worker *w, struct copy_level *l, int parent_fd, const char *name)
{
	struct stat st;

	l->dst_fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (l->dst_fd >= 0)
		return note_target(w, l, &st) < 0 || copy_check_target_dir(w, l->dst_fd, name) < 0 ? -1 : 1;
	if (errno == ENOENT)
		return 0;
	return copy_fail(w, errno == ENOTDIR || errno == ELOOP ? COPY_STEP_TARGET_NOT_DIR : COPY_STEP_TARGET,
			 name);
}

static int make_dir(struct copy_worker *w, struct copy_level *l, int parent_fd, const char *name)
{
	struct stat st;

	if (!l->unseen)
		copy_random_name(l->staged);
	const char *staged = l->unseen ? name : l->staged;
	if (mkdirat(parent_fd, staged, 0700) < 0) {
		l->staged[0] = '\0';
		return copy_fail(w, COPY_STEP_TARGET_WRITE, name);
	}
	l->made = true;
	l->dst_fd = open_made_dir(parent_fd, staged);
	if (l->dst_fd < 0)
		return copy_fail(w, errno == EMFILE ? COPY_STEP_DEEP : COPY_STEP_TARGET_CHANGED, name);
	if (note_target(w, l, &st) < 0)
		return -1;
	/*
	 * Ours is owned by our file system id; another one that was put in its place may get no new owner
	 * from us.
	 */
	if (w->job->target.inside && w->job->mapped && w->job->owners && st.st_uid != w->job->map.base) {
		errno = EBUSY;
		return copy_fail(w, COPY_STEP_TARGET_CHANGED, name);
	}
	l->unseen = true;
	return 0;
}

static int enter(struct copy_worker *w, int pin_fd, int parent_fd, const char *name, bool unseen)
{
	struct copy_level *l = push(w, name);

	if (!l)
		return -1;
	l->unseen = unseen;
	int r = open_source_dir(w, l, pin_fd);
	if (r == 0 && !unseen)
		r = open_existing(w, l, parent_fd, name);
	if (r == 0)
		r = make_dir(w, l, parent_fd, name);
	if (r >= 0) {
		l->node = w->depth ? copy_links_dir(w, l[-1].node, w->depth, name) : 0;
		r = l->node == UINT32_MAX ? -1 : 0;
	}
	w->depth++; /* also after a failure: copy_take_back() closes and removes it */
	return r;
}

int copy_contents(struct copy_worker *w, int pin_fd, int dst_fd)
{
	struct copy_level *l = push(w, "");
	struct stat st;

	if (!l)
		return -1;
	l->node = 0;
	int r = open_source_dir(w, l, pin_fd);
	l->dst_fd = fcntl(dst_fd, F_DUPFD_CLOEXEC, 3);
	if (r == 0)
		r = note_target(w, l, &st);
	w->depth++;
	return r;
}

/* Takes pin_fd. */
int copy_entry(struct copy_worker *w, int pin_fd, int dst_fd, const char *name, bool unseen)
{
	_cleanup_close_ int fd = pin_fd;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return copy_fail(w, COPY_STEP_SOURCE_READ, name);
	switch (st.st_mode & S_IFMT) {
	case S_IFDIR:
		return enter(w, fd, dst_fd, name, unseen);
	case S_IFREG: {
		/* A file of the kernel can be mounted over an ordinary one. */
		int kernel = w->job->source.inside ? copy_is_kernel_fs(fd) : 0;
		if (kernel == 0)
			return copy_file(w, fd, &st, dst_fd, name, unseen);
		break;
	}
	case S_IFLNK:
		return copy_symlink(w, fd, &st, dst_fd, name, unseen);
	}
	copy_leave_out(w, name);
	return 0;
}

static bool is_dots(const char *s)
{
	return s[0] == '.' && (!s[1] || (s[1] == '.' && !s[2]));
}

/* 1 and *ret_name (until the next call on this level), 0 no more, -1 and errno. */
static int next_name(int fd, struct copy_level *l, const char **ret_name)
{
	for (;;) {
		if (l->pos >= l->len) {
			ssize_t n = getdents64(fd, l->entries, sizeof(l->entries));
			if (n <= 0)
				return (int)n;
			l->pos = 0;
			l->len = (size_t)n;
		}
		const struct dirent64 *e = (const void *)(l->entries + l->pos);
		l->pos += e->d_reclen;
		*ret_name = e->d_name;
		if (!is_dots(e->d_name))
			return 1;
	}
}

static int visit(struct copy_worker *w, struct copy_level *l, const char *name)
{
	int pin_fd = openat(l->src_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (pin_fd < 0 && errno == ENOENT) /* gone since we read its name */
		return 0;
	if (pin_fd < 0)
		return copy_fail(w, errno == EMFILE ? COPY_STEP_DEEP : COPY_STEP_SOURCE_READ, name);
	return copy_entry(w, pin_fd, l->dst_fd, name, l->unseen);
}

static int leave(struct copy_worker *w, struct copy_level *l)
{
	int r = 0;

	if (l->made)
		r = copy_attributes(w, l->src_fd, l->dst_fd, &l->st, l->name);
	if (r == 0 && *l->staged)
		r = copy_put_in_place(w, l == w->levels ? w->dest_fd : l[-1].dst_fd, l->staged, l->name,
				      true);
	if (r < 0)
		return -1;
	close_fd(l->src_fd);
	close_fd(l->dst_fd);
	w->depth--;
	return 0;
}

int copy_walk(struct copy_worker *w)
{
	while (w->depth > 0) {
		struct copy_level *l = &w->levels[w->depth - 1];
		const char *name = NULL;

		if (copy_check_stop(w) < 0)
			return -1;
		int r = l->closed ? 0 : next_name(l->src_fd, l, &name);
		if (r < 0) {
			w->depth--;
			copy_fail(w, COPY_STEP_SOURCE_READ, l->name);
			w->depth++;
			return -1;
		}
		if ((r == 0 ? leave(w, l) : visit(w, l, name)) < 0)
			return -1;
	}
	return 0;
}

/* Opens parent_fd/name for removal as the next level; false where it is not a directory that we may empty. */
static bool push_removal(struct copy_worker *w, int parent_fd, const char *name)
{
	struct copy_level *l = push(w, name);

	if (!l)
		return false;
	l->dst_fd = open_made_dir(parent_fd, name);
	if (l->dst_fd < 0)
		return false;
	if (copy_check_target_dir(w, l->dst_fd, name) < 0) {
		close_fd(l->dst_fd);
		return false;
	}
	if (!w->job->owners)
		(void)!fchmod(l->dst_fd, 0700); /* it may have its final mode already */
	w->depth++;
	return true;
}

/*
 * Never over a mount point, nor into a directory that is not the sandbox's: both can be moved into our half-
 * made tree.
 */
static void remove_tree(struct copy_worker *w, int parent_fd, const char *name)
{
	size_t bottom = w->depth;

	if (!push_removal(w, parent_fd, name))
		return;
	while (w->depth > bottom) {
		struct copy_level *l = &w->levels[w->depth - 1];
		const char *entry = NULL;

		if (next_name(l->dst_fd, l, &entry) > 0) {
			if (unlinkat(l->dst_fd, entry, 0) < 0 && (errno == EISDIR || errno == EPERM))
				(void)!push_removal(w, l->dst_fd, entry);
			continue;
		}
		close_fd(l->dst_fd);
		w->depth--;
		(void)!unlinkat(w->depth > bottom ? l[-1].dst_fd : parent_fd, l->name, AT_REMOVEDIR);
	}
}

void copy_take_back(struct copy_worker *w)
{
	size_t unseen = w->depth;

	for (size_t i = w->depth; i-- > 0;)
		if (*w->levels[i].staged)
			unseen = i;
	for (size_t i = 0; i < w->depth; i++) {
		close_fd(w->levels[i].src_fd);
		if (i >= unseen)
			close_fd(w->levels[i].dst_fd);
	}
	if (unseen == w->depth)
		return;
	char name[COPY_TEMP_SIZE];
	memcpy(name, w->levels[unseen].staged, sizeof(name));
	w->depth = unseen;
	remove_tree(w, unseen ? w->levels[unseen - 1].dst_fd : w->dest_fd, name);
}
