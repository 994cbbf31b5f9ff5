/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * delta/compare.c - see compare.h.
 *
 * Contents of the same length are read: a copied-up file keeps its times, so equal ones say nothing about
 * what was written since by who set them back.
 */
#include "delta/compare.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "delta/dirs.h"

int compare_begin(struct compare *c, const struct delta_tree *t, unsigned mount, const struct lower *lower,
		  struct kennel_error **err)
{
	*c = (struct compare){ .tree = t, .mount = mount, .lower = lower };
	c->buffers = malloc(2 * COMPARE_BUFFER);
	return c->buffers ? 0 : fail(err, KENNEL_E_NOMEM, "out of memory");
}

void compare_done(struct compare *c)
{
	free(c->buffers);
}

/* left: what is still to come of a file of this size. */
static ssize_t read_block(int fd, char *buffer, uint64_t left)
{
	const size_t want = MIN(left, (uint64_t)COMPARE_BUFFER);
	size_t len = 0;

	while (len < want) {
		ssize_t n = read(fd, buffer + len, want - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

/* Return: 1 equal, 0 not, or a negative code. */
static int equal_contents(struct compare *c, int before_fd, int after_fd, uint64_t size,
			  struct kennel_error **err)
{
	for (uint64_t left = size;; left -= COMPARE_BUFFER) {
		ssize_t n = read_block(before_fd, c->buffers, left);
		ssize_t m = n < 0 ? -1 : read_block(after_fd, c->buffers + COMPARE_BUFFER, left);

		if (m < 0)
			return fail_errno(err, "read");
		if (n != m || memcmp(c->buffers, c->buffers + COMPARE_BUFFER, (size_t)n) != 0)
			return 0;
		if (n < (ssize_t)COMPARE_BUFFER)
			return 1;
	}
}

/* Return: descriptor, -KENNEL_E_NOTFOUND, or another negative code. */
static int open_after(struct compare *c, const struct compare_pair *p, int flags, struct kennel_error **err)
{
	if (p->dir_fd < 0)
		return delta_tree_pin(c->tree, DELTA_AFTER, c->mount, p->rel, flags, err);
	/* A regular file, or was one a moment ago: who can make a device of it is root here, too. */
	int fd = openat(p->dir_fd, p->name, flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return fd < 0 ? fail_errno(err, "open \"%s\"", p->rel) : fd;
}

static int differ_in_content(struct compare *c, const struct compare_pair *p, struct kennel_error **err)
{
	_cleanup_close_ int before_fd = lower_open(c->lower, p->name, O_RDONLY);

	/* What this user can't read can't have been copied up: it is another file. */
	if (before_fd < 0 && (errno == EACCES || errno == EPERM || errno == ENOENT || errno == ELOOP))
		return 1;
	if (before_fd < 0)
		return fail_errno(err, "open \"%s\" of the base", p->rel);
	_cleanup_close_ int after_fd = open_after(c, p, O_RDONLY, err);
	if (after_fd < 0)
		return after_fd;
	int r = equal_contents(c, before_fd, after_fd, (uint64_t)p->after->st_size, err);
	return r < 0 ? wrap(err, r, "compare \"%s\"", p->rel) : !r;
}

static int read_link(int fd, char target[PATH_MAX + 1], const char *rel, struct kennel_error **err)
{
	ssize_t n = readlinkat(fd, "", target, PATH_MAX);

	if (n < 0)
		return fail_errno(err, "read the link \"%s\"", rel);
	target[n] = '\0';
	return 0;
}

static int differ_in_link(const struct compare_pair *p, int before_fd, int after_fd,
			  struct kennel_error **err)
{
	char before[PATH_MAX + 1], after[PATH_MAX + 1];

	int r = read_link(before_fd, before, p->rel, err);
	if (r == 0)
		r = read_link(after_fd, after, p->rel, err);
	return r < 0 ? r : strcmp(before, after) != 0;
}

static int xattrs_after(struct compare *c, const struct compare_pair *p, int after_fd,
			struct delta_xattrs *ret, struct kennel_error **err)
{
	/* Values with ids in them are those inside only if they are read from there. */
	if (c->tree->reader || c->tree->values)
		return delta_tree_xattrs(c->tree, DELTA_AFTER, c->mount, p->rel, ret, err);
	return delta_tree_xattrs_of(c->tree, after_fd, ret, err);
}

static int differ_in_xattrs(struct compare *c, const struct compare_pair *p, int before_fd, int after_fd,
			    struct kennel_error **err)
{
	_cleanup_xattrs_ struct delta_xattrs before = { 0 }, after = { 0 };

	int r = xattrs_after(c, p, after_fd, &after, err);
	if (r < 0 || (p->lax && !after.n))
		return r;
	r = delta_tree_xattrs_before(c->tree, before_fd, &before, err);
	/* Again, one that this user can't look at. */
	if (r == -KENNEL_E_PERM)
		error_clear(err);
	else if (r < 0)
		return r;
	return !delta_xattrs_equal(&before, &after);
}

/* What can only be seen through descriptors. */
static int compare_open(struct compare *c, const struct compare_pair *p, unsigned *bits,
			struct kennel_error **err)
{
	/* Nearly all files have none, which is quickly seen. */
	if (!S_ISLNK(p->after->st_mode) && p->dir_fd >= 0 &&
	    !delta_tree_xattrs_any(c->tree, p->dir_fd, p->name) && !lower_any_xattrs(c->lower, p->name))
		return 0;
	_cleanup_close_ int before_fd = lower_open(c->lower, p->name, O_PATH);
	_cleanup_close_ int after_fd = open_after(c, p, O_PATH, err);
	int r = 0;

	if (after_fd < 0)
		return after_fd;
	if (before_fd < 0)
		return 0;
	if (S_ISLNK(p->after->st_mode))
		r = differ_in_link(p, before_fd, after_fd, err);
	*bits |= r > 0 ? DELTA_LINK : 0;
	if (r >= 0)
		r = differ_in_xattrs(c, p, before_fd, after_fd, err);
	*bits |= r > 0 ? DELTA_XATTR : 0;
	return r;
}

/* One that vanished while we looked: what is known of it so far has to do. */
static int unless_gone(int r, struct kennel_error **err)
{
	if (r != -KENNEL_E_NOTFOUND)
		return r;
	error_clear(err);
	return 0;
}

int compare_files(struct compare *c, const struct compare_pair *p, unsigned *ret_bits,
		  struct kennel_error **err)
{
	const struct stat *before = p->before, *after = p->after;
	unsigned bits = 0;
	int r = 0;

	if ((before->st_mode ^ after->st_mode) & 07777)
		bits |= DELTA_MODE;
	if (before->st_uid != after->st_uid || before->st_gid != after->st_gid)
		bits |= DELTA_OWNER;
	if ((S_ISCHR(after->st_mode) || S_ISBLK(after->st_mode)) && before->st_rdev != after->st_rdev)
		bits |= DELTA_LINK;
	if (S_ISREG(after->st_mode)) {
		r = before->st_size != after->st_size;
		if (!r && after->st_size)
			r = unless_gone(differ_in_content(c, p, err), err);
		bits |= r > 0 ? DELTA_CONTENT : 0;
	}
	if (r >= 0)
		r = unless_gone(compare_open(c, p, &bits, err), err);
	if (r < 0)
		return r;
	if (bits && !S_ISDIR(after->st_mode) &&
	    (before->st_mtim.tv_sec != after->st_mtim.tv_sec ||
	     before->st_mtim.tv_nsec != after->st_mtim.tv_nsec))
		bits |= DELTA_TIME;
	*ret_bits = bits;
	return 0;
}
