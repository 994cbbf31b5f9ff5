/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* delta/stack.c - see stack.h. */
#include "delta/stack.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/cleanup.h"
#include "base/pathname.h"
#include "delta/dirs.h"
#include "delta/layout.h"

static const struct manifest_mount *find_target(const struct manifest *m, const char *target)
{
	for (size_t i = 0; i < m->n_mounts; i++)
		if (strcmp(m->mounts[i].target, target) == 0)
			return &m->mounts[i];
	return NULL;
}

/* The mount that a target lies in; the first one, "/", has everything. */
static const struct manifest_mount *find_above(const struct manifest *m, const char *target)
{
	const struct manifest_mount *best = &m->mounts[0];

	for (size_t i = 1; i < m->n_mounts; i++)
		if (path_is_below(target, m->mounts[i].target) &&
		    strlen(m->mounts[i].target) > strlen(best->target))
			best = &m->mounts[i];
	return best;
}

static const char *below(const char *path, const char *target)
{
	return path + strlen(target) + (target[1] != '\0');
}

static int copy_manifest(const struct manifest *from, struct manifest *ret, struct kennel_error **err)
{
	_cleanup_buf_ struct buf text = { 0 };

	manifest_format(from, &text);
	int r = buf_check(&text, err);
	return r < 0 ? r : manifest_parse(buf_str(&text), ret, err);
}

static unsigned free_index(const struct manifest *m, unsigned wanted)
{
	unsigned most = 0;

	for (size_t i = 0; i < m->n_mounts; i++) {
		if (m->mounts[i].index == wanted)
			wanted = UINT32_MAX;
		most = MAX(most, m->mounts[i].index);
	}
	return wanted != UINT32_MAX ? wanted : most + 1;
}

static int compare_mounts(const void *a, const void *b)
{
	const struct manifest_mount *x = a, *y = b;

	return x->index < y->index ? -1 : x->index > y->index;
}

static int add_mounts(const struct manifest *from, struct manifest *to, struct kennel_error **err)
{
	int r = 0;

	for (size_t i = 0; i < from->n_mounts && r == 0; i++) {
		const struct manifest_mount *m = &from->mounts[i];

		if (!find_target(to, m->target))
			r = manifest_add_mount(to, free_index(to, m->index), m->target, m->fstype, m->uuid,
					       err);
		qsort(to->mounts, to->n_mounts, sizeof(*to->mounts), compare_mounts);
	}
	return r;
}

static const char *target_of(const struct manifest *m, unsigned index)
{
	for (size_t i = 0; i < m->n_mounts; i++)
		if (m->mounts[i].index == index)
			return m->mounts[i].target;
	return NULL;
}

/* One entry of a source into more, called as its file is in the whole; unless something higher said it. */
static int add_plant(const struct manifest *from, const struct manifest_planted *p,
		     const struct manifest *whole, struct manifest_plants *more, struct kennel_error **err)
{
	const char *target = target_of(from, p->mount);
	_cleanup_free_ char *path = NULL;

	if (!target)
		return 0;
	if (asprintf(&path, "%s/%s", target[1] ? target : "", p->rel) < 0) {
		path = NULL;
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	}
	const struct manifest_mount *at = find_above(whole, path);
	if (strcmp(at->target, path) == 0 ||
	    manifest_plants_find(&whole->planted, at->index, below(path, at->target)))
		return 0;
	int r = manifest_plants_add(more, at->index, below(path, at->target), p->kind, &(struct stat){ 0 },
				    err);
	if (r == 0) {
		more->items[more->n - 1].size = p->size;
		more->items[more->n - 1].mtime_ns = p->mtime_ns;
	}
	return r;
}

/* What kennel put into a source lies below what is known so far. */
static int add_plants(const struct manifest *from, struct manifest *whole, struct kennel_error **err)
{
	struct manifest_plants more = { 0 };
	int r = 0;

	manifest_plants_sort(&whole->planted);
	for (size_t i = 0; i < from->planted.n && r == 0; i++)
		r = add_plant(from, &from->planted.items[i], whole, &more, err);
	for (size_t i = 0; i < more.n && r == 0; i++) {
		const struct manifest_planted *p = &more.items[i];

		r = manifest_plants_add(&whole->planted, p->mount, p->rel, p->kind, &(struct stat){ 0 }, err);
		if (r == 0) {
			whole->planted.items[whole->planted.n - 1].size = p->size;
			whole->planted.items[whole->planted.n - 1].mtime_ns = p->mtime_ns;
		}
	}
	manifest_plants_sort(&whole->planted);
	manifest_plants_done(&more);
	return r;
}

/* The base was seen through all of them: since the first of them, and copies are copies in each. */
static void add_begun(const struct manifest *from, struct manifest *whole)
{
	whole->begun_ns = MIN(whole->begun_ns, from->begun_ns); /* 0: unknown, and so it stays */
	whole->copied_ns = MAX(whole->copied_ns, from->copied_ns);
}

int delta_stack_manifest(const struct delta_source *sources, size_t n, struct manifest *ret,
			 struct kennel_error **err)
{
	_cleanup_manifest_ struct manifest m = { 0 };

	int r = copy_manifest(sources[n - 1].manifest, &m, err);
	strv_done(&m.below);
	for (size_t i = n - 1; i > 0 && r == 0; i--)
		r = add_mounts(sources[i - 1].manifest, &m, err);
	/* all mounts are known now: those of the uppermost once more, for some may be in another place */
	manifest_plants_done(&m.planted);
	for (size_t i = n; i > 0 && r == 0; i--) {
		r = add_plants(sources[i - 1].manifest, &m, err);
		add_begun(sources[i - 1].manifest, &m);
	}
	if (r == 0) {
		*ret = m;
		m = (struct manifest){ 0 };
	}
	return r;
}

/* The place of a target in one source. Return: descriptor, or -1 and errno. */
static int open_place(const struct delta_source *s, const char *target)
{
	const struct manifest_mount *own = find_target(s->manifest, target);
	const struct manifest_mount *at = own ? own : find_above(s->manifest, target);
	_cleanup_close_ int fd = delta_open_place(s->delta_fd, at->index, "upper", O_RDONLY);

	return fd < 0 || own ? take_fd(&fd) : dirs_pin(fd, below(target, at->target), O_RDONLY | O_DIRECTORY);
}

int delta_stack_open(const struct delta_source *sources, size_t n, const struct manifest *merged,
		     size_t mount, int *ret_fds, unsigned *ret_which, struct kennel_error **err)
{
	const char *target = merged->mounts[mount].target;
	int found = 0;

	for (size_t i = n; i > 0; i--) {
		int fd = open_place(&sources[i - 1], target);

		if (fd < 0 && errno != ENOENT && errno != ENOTDIR && errno != ELOOP) {
			while (found > 0)
				close_fd(ret_fds[--found]);
			return fail_errno(err, "open the changes of \"%s\"", target);
		}
		if (fd < 0)
			continue;
		ret_fds[found] = fd;
		if (ret_which)
			ret_which[found] = (unsigned)(i - 1);
		found++;
	}
	return found;
}

bool delta_stack_is_place(const struct manifest *merged, size_t mount, const char *rel)
{
	const char *own = merged->mounts[mount].target;
	size_t len = strlen(own);

	for (size_t i = 0; i < merged->n_mounts; i++) {
		const char *target = merged->mounts[i].target;

		if (i != mount && strncmp(target, own, len) == 0 &&
		    strcmp(target + len + (own[1] && target[len] == '/'), rel) == 0)
			return true;
	}
	return false;
}

static bool is_whiteout(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

static bool is_opaque(int fd, const char *opaque)
{
	char value;

	return fgetxattr(fd, opaque, &value, 1) == 1 && value == 'y';
}

/* All directories one down, those from the first on that hides what is below it closed. */
static void go_down(int *fds, unsigned n, const char *opaque, const char *name)
{
	bool covered = false;

	for (unsigned i = 0; i < n; i++) {
		if (fds[i] < 0)
			continue;
		int fd = covered ? -1 : dirs_pin(fds[i], name, O_RDONLY | O_DIRECTORY);

		covered = covered || (fd < 0 && errno != ENOENT) || (fd >= 0 && is_opaque(fd, opaque));
		replace_fd(&fds[i], fd < 0 ? -EBADF : fd);
	}
}

static int open_last(const int *fds, unsigned n, const char *name, int flags)
{
	struct stat st;

	for (unsigned i = 0; i < n; i++) {
		if (fds[i] < 0)
			continue;
		if (fstatat(fds[i], name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
			if (errno == ENOENT)
				continue;
			return -1;
		}
		if (is_whiteout(&st))
			break;
		return flags & (O_PATH | O_DIRECTORY) ? dirs_pin(fds[i], name, flags) :
							dirs_open_file(fds[i], name);
	}
	errno = ENOENT;
	return -1;
}

static int pin_in(int *fds, unsigned n, const char *opaque, const char *rel, int flags)
{
	const char *slash;
	char name[NAME_MAX + 1];

	for (; (slash = strchr(rel, '/')); rel = slash + 1) {
		size_t len = (size_t)(slash - rel);

		if (len > NAME_MAX) {
			errno = ENAMETOOLONG;
			return -1;
		}
		memcpy(name, rel, len);
		name[len] = '\0';
		go_down(fds, n, opaque, name);
	}
	return open_last(fds, n, *rel ? rel : ".", flags);
}

int delta_stack_pin(const int *fds, unsigned n, const char *opaque, const char *rel, int flags)
{
	if (n == 1)
		return flags & (O_PATH | O_DIRECTORY) ? dirs_pin(fds[0], rel, flags) :
							dirs_open_file(fds[0], rel);
	_cleanup_free_ int *own = calloc(n ? n : 1, sizeof(*own));
	if (!own)
		return -1;
	for (unsigned i = 0; i < n; i++)
		own[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
	int fd = pin_in(own, n, opaque, rel, flags), saved = errno;
	for (unsigned i = 0; i < n; i++)
		close_fd(own[i]);
	errno = saved;
	return fd;
}
