/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* delta/arrange.c - see arrange.h. No link is followed: what is in a place was written by a sandbox. */
#include "delta/arrange.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/macro.h"
#include "base/pathname.h"
#include "base/strv.h"
#include "delta/layout.h"
#include "sys/sys.h"

#define DIR_FLAGS (O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

static int open_upper(int delta_fd, unsigned mount)
{
	return delta_open_place(delta_fd, mount, "upper", O_PATH);
}

static bool is_not_there(void)
{
	return errno == ENOENT || errno == ENOTDIR || errno == ELOOP;
}

/* One directory down; made like the lower's where make is set. Return: 1, 0 not there, or -1 with errno. */
static int descend(int *up_fd, int *low_fd, const char *name, bool make)
{
	struct stat like = { .st_mode = 0755 };

	if (*low_fd >= 0) {
		replace_fd(low_fd, openat(*low_fd, name, DIR_FLAGS));
		if (*low_fd >= 0 && fstat(*low_fd, &like) < 0)
			return -1;
	}
	if (make && mkdirat(*up_fd, name, 0700) == 0) {
		if (fchownat(*up_fd, name, like.st_uid, like.st_gid, AT_SYMLINK_NOFOLLOW) < 0 ||
		    fchmodat(*up_fd, name, like.st_mode & 07777, 0) < 0)
			return -1;
	} else if (make && errno != EEXIST) {
		return -1;
	}
	int fd = openat(*up_fd, name, DIR_FLAGS);
	if (fd < 0)
		return is_not_there() ? 0 : -1;
	replace_fd(up_fd, fd);
	return 1;
}

/* The directory that j->rel lies in, in the parent's upper, and its last name. Return: as descend(). */
static int open_parent(const struct delta_join *j, bool make, int *ret_fd, char **ret_name,
		       struct kennel_error **err)
{
	_cleanup_close_ int up_fd = open_upper(j->delta_fd, j->parent);
	_cleanup_close_ int low_fd = j->parent_lower_fd < 0 ? -EBADF :
							      fcntl(j->parent_lower_fd, F_DUPFD_CLOEXEC, 3);
	_cleanup_strv_ struct strv parts = { 0 };

	if (up_fd < 0)
		return errno == ENOENT ? 0 : fail_errno(err, "open the delta");
	int r = strv_split(&parts, j->rel, '/', err);
	if (r < 0 || !parts.n)
		return r;
	r = 1;
	for (size_t i = 0; i + 1 < parts.n && r > 0; i++)
		r = descend(&up_fd, &low_fd, parts.items[i], make);
	if (r <= 0)
		return r < 0 ? fail_errno(err, "arrange \"%s\" in the delta", j->rel) : 0;
	*ret_name = take_ptr(&parts.items[parts.n - 1]);
	*ret_fd = take_fd(&up_fd);
	return 1;
}

int delta_join(const struct delta_join *j, struct kennel_error **err)
{
	_cleanup_close_ int own_fd = open_upper(j->delta_fd, j->mount), dir_fd = -EBADF;
	_cleanup_free_ char *name = NULL;

	if (own_fd < 0)
		return errno == ENOENT ? 0 : fail_errno(err, "open the delta");
	int r = open_parent(j, true, &dir_fd, &name, err);
	if (r <= 0)
		return r;
	/* A mount point that was only made to be one. */
	if (unlinkat(dir_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return is_not_there() || errno == ENOTEMPTY || errno == EEXIST ?
			       0 :
			       fail_errno(err, "arrange \"%s\" in the delta", j->rel);
	_cleanup_close_ int place_fd = delta_open_place(j->delta_fd, j->mount, NULL, 0);
	if (place_fd < 0 || sys_renameat2(place_fd, "upper", dir_fd, name, RENAME_NOREPLACE) < 0)
		return errno == EEXIST ? 0 : fail_errno(err, "arrange \"%s\" in the delta", j->rel);
	return 1;
}

const struct manifest_mount *delta_parent_of(const struct manifest *m, const char *target)
{
	const struct manifest_mount *best = &m->mounts[0];

	for (size_t i = 1; i < m->n_mounts; i++) {
		const struct manifest_mount *o = &m->mounts[i];

		if (strcmp(o->target, target) != 0 && path_is_below(target, o->target) &&
		    (best == &m->mounts[0] || strlen(o->target) > strlen(best->target)))
			best = o;
	}
	return best;
}

static int join_mount(int delta_fd, const struct manifest *m, const struct manifest_mount *mount,
		      int lower_fd, struct kennel_error **err)
{
	const struct manifest_mount *parent = delta_parent_of(m, mount->target);
	const bool top = parent == &m->mounts[0];
	_cleanup_close_ int parent_fd =
		lower_fd < 0 ? -EBADF : openat(lower_fd, top ? "." : parent->target + 1, DIR_FLAGS);
	const struct delta_join j = {
		.delta_fd = delta_fd,
		.mount = mount->index,
		.parent = parent->index,
		.rel = mount->target + (top ? 1 : strlen(parent->target) + 1),
		.parent_lower_fd = parent_fd,
	};

	return delta_join(&j, err);
}

int delta_join_all(int delta_fd, const struct manifest *m, int lower_fd, struct kennel_error **err)
{
	size_t longest = 0;
	int r = 0;

	for (size_t i = 1; i < m->n_mounts; i++)
		longest = MAX(longest, strlen(m->mounts[i].target));
	/* Innermost first: a target is longer than what it lies in. */
	for (size_t len = longest; len > 0 && r >= 0; len--)
		for (size_t i = 1; i < m->n_mounts && r >= 0; i++)
			if (m->mounts[i].index && strlen(m->mounts[i].target) == len)
				r = join_mount(delta_fd, m, &m->mounts[i], lower_fd, err);
	return MIN(r, 0);
}

int delta_part(const struct delta_join *j, struct kennel_error **err)
{
	_cleanup_close_ int own_fd = open_upper(j->delta_fd, j->mount), dir_fd = -EBADF;
	_cleanup_free_ char *name = NULL;
	char place[16];
	struct stat st;

	if (own_fd >= 0) /* has been, or what is there is older */
		return 0;
	int r = open_parent(j, false, &dir_fd, &name, err);
	if (r <= 0)
		return r;
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return is_not_there() ? 0 : fail_errno(err, "arrange \"%s\" in the delta", j->rel);
	if (!S_ISDIR(st.st_mode))
		return 0;
	/* Empty, it only was a mount point, whose owner and mode say nothing of the mount. */
	if (unlinkat(dir_fd, name, AT_REMOVEDIR) == 0)
		return 0;
	snprintf(place, sizeof(place), "%u", j->mount);
	if (mkdirat(j->delta_fd, place, 0700) < 0 && errno != EEXIST)
		return fail_errno(err, "arrange \"%s\" in the delta", j->rel);
	_cleanup_close_ int place_fd = delta_open_place(j->delta_fd, j->mount, NULL, 0);
	if (place_fd < 0 || sys_renameat2(dir_fd, name, place_fd, "upper", RENAME_NOREPLACE) < 0)
		return fail_errno(err, "arrange \"%s\" in the delta", j->rel);
	return 1;
}
