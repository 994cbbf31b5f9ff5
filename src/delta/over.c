/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* delta/over.c - see over.h. */
#include "delta/over.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/xattr.h>

#include "base/cleanup.h"

int over_begin(struct over *o, const int *roots, unsigned n, bool user_xattr, struct kennel_error **err)
{
	*o = (struct over){ .user_xattr = user_xattr };
	if (!n)
		return 0;
	o->fds = calloc(n, sizeof(*o->fds));
	if (!o->fds)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	for (; o->n < n; o->n++) {
		o->fds[o->n] = roots[o->n] < 0 ? -EBADF : fcntl(roots[o->n], F_DUPFD_CLOEXEC, 3);
		if (roots[o->n] >= 0 && o->fds[o->n] < 0)
			return fail_errno(err, "duplicate a descriptor");
	}
	return 0;
}

void over_done(struct over *o)
{
	for (unsigned i = 0; i < o->n; i++)
		close_fd(o->fds[i]);
	free(o->fds);
	*o = (struct over){ 0 };
}

static bool is_opaque(const struct over *o, int dir_fd)
{
	char value;

	return fgetxattr(dir_fd, o->user_xattr ? "user.overlay.opaque" : "trusted.overlay.opaque", &value,
			 1) == 1 &&
	       value == 'y';
}

int over_enter(struct over *o, const char *name, struct stat *ret)
{
	bool found = false, covered = false;

	for (unsigned i = 0; i < o->n; i++) {
		struct stat st;

		if (o->fds[i] < 0)
			continue;
		if (covered || fstatat(o->fds[i], name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
			replace_fd(&o->fds[i], -EBADF);
			continue;
		}
		int fd = S_ISDIR(st.st_mode) ?
				 openat(o->fds[i], name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) :
				 -EBADF;
		replace_fd(&o->fds[i], fd);
		if (fd >= 0 && !found)
			*ret = st;
		/* A deletion, or something else, in place of whatever is below. */
		covered = fd < 0 || is_opaque(o, fd);
		found |= fd >= 0;
	}
	o->hides |= covered;
	return found ? 1 : o->hides ? -1 : 0;
}
