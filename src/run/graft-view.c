/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/graft-view.c - a view for what an ordinary user puts into a running sandbox: see graft-inside.h.
 *
 * The device must be opened, and the view mounted, in the sandbox's user namespace, by a process that has no
 * way back; the server has the user's own rights and stays outside. So device and mount are handed on, and
 * the server is started by one more process that ends at once: it is nobody's child, and ends with its
 * mount.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "idmap/user.h"
#include "mount/mount.h"
#include "run/errand.h"
#include "run/graft-inside.h"
#include "run/graft.h"
#include "run/viewer.h"
#include "run/views.h"

struct view_work {
	const struct graft *g;
	const struct view_plan *view;
	int talk_fd, fuse_fd;
	bool squash;
};

union control {
	char bytes[CMSG_SPACE(2 * sizeof(int))];
	struct cmsghdr header;
};

static int send_pair(int socket_fd, const int fds[2], struct kennel_error **err)
{
	union control control = { .header = { .cmsg_len = CMSG_LEN(2 * sizeof(int)),
					      .cmsg_level = SOL_SOCKET,
					      .cmsg_type = SCM_RIGHTS } };
	char byte = 0;
	struct iovec one = { &byte, 1 };
	const struct msghdr m = { .msg_iov = &one,
				  .msg_iovlen = 1,
				  .msg_control = control.bytes,
				  .msg_controllen = sizeof(control.bytes) };

	memcpy(CMSG_DATA(&control.header), fds, 2 * sizeof(int));
	return sendmsg(socket_fd, &m, MSG_NOSIGNAL) == 1 ? 0 : fail_errno(err, "hand the view on");
}

static int receive_pair(int socket_fd, int ret[2], struct kennel_error **err)
{
	union control control = { 0 };
	char byte;
	struct iovec one = { &byte, 1 };
	struct msghdr m = { .msg_iov = &one,
			    .msg_iovlen = 1,
			    .msg_control = control.bytes,
			    .msg_controllen = sizeof(control.bytes) };

	ssize_t n = recvmsg(socket_fd, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	const struct cmsghdr *c = n == 1 ? CMSG_FIRSTHDR(&m) : NULL;
	if (!c || c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(2 * sizeof(int)))
		return fail(err, KENNEL_E_IO, "the view was not handed on");
	memcpy(ret, CMSG_DATA(c), 2 * sizeof(int));
	return 0;
}

/* In a process: the device is opened in the user namespace that mounts, but it is the machine's. */
static int make_view(void *data, struct buf *out, struct kennel_error **err)
{
	struct view_work *w = data;

	(void)out;
	int r = graft_become_root(w->g, err);
	_cleanup_close_ int fuse_fd = r < 0 ? -EBADF : open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (r == 0 && fuse_fd < 0)
		r = fail_errno(err, "open /dev/fuse");
	if (r == 0)
		r = graft_join_mounts(w->g, err);
	_cleanup_close_ int view_fd = r < 0 ? -EBADF : mount_new_view(fuse_fd);
	if (r == 0 && view_fd < 0)
		r = fail_errno(err, "mount a view");
	return r < 0 ? r : send_pair(w->talk_fd, (const int[]){ fuse_fd, view_fd }, err);
}

/* In a process that ends next. */
static int start_server(void *data, struct buf *out, struct kennel_error **err)
{
	const struct view_work *w = data;

	(void)out;
	const struct viewer_alone how = {
		.v = w->view,
		.squash = w->squash,
		.fuse_fd = w->fuse_fd,
		.shifted_fd = -EBADF,
		.death_fd = w->g->init_pidfd,
	};
	return viewer_start_alone(&how, err);
}

int graft_make_view(const struct graft *g, const struct view_plan *v, int *ret_tree_fd,
		    struct kennel_error **err)
{
	struct view_work w = { .g = g, .view = v };
	struct idmap_user own;
	int talk[2], pair[2];

	int r = idmap_pick_user(&own, err);
	if (r == 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, talk) < 0)
		r = fail_errno(err, "make a socket");
	if (r < 0)
		return r;
	_cleanup_close_ int receive_fd = talk[0];
	_cleanup_close_ int talk_fd = talk[1];
	w.squash = !idmap_user_has_range(&own);
	w.talk_fd = talk_fd;
	r = errand_run(-EBADF, make_view, &w, NULL, err);
	if (r == 0)
		r = receive_pair(receive_fd, pair, err);
	if (r < 0)
		return r;
	_cleanup_close_ int fuse_fd = pair[0];
	_cleanup_close_ int tree_fd = pair[1];
	w.fuse_fd = fuse_fd;
	r = errand_run(-EBADF, start_server, &w, NULL, err);
	if (r == 0)
		*ret_tree_fd = take_fd(&tree_fd);
	return r;
}
