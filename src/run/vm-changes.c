/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* run/vm-changes.c - see vm-changes.h. */
#include "run/vm-changes.h"

#include <fcntl.h>
#include <linux/prctl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "copy/child.h"
#include "run/errand.h"
#include "run/vm-talk.h"
#include "sys/sys.h"

#define AROUND (UINT64_C(64) << 20) /* what names and attributes are told with */

struct taking {
	int dir_fd, stream_fd;
	uint64_t max_bytes;
	pid_t parent;
};

static int make_dirs(int dir_fd)
{
	static const char *const dirs[] = { "delta", "delta/0", "delta/0/upper", "links" };

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		if (mkdirat(dir_fd, dirs[i], 0700) < 0)
			return -1;
	return 0;
}

/* It ends with its caller. */
static int take(void *data, struct buf *out, struct kennel_error **err)
{
	const struct taking *t = data;
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	struct unpack_loss loss = { 0 };

	if (sys_prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != t->parent)
		return fail(err, KENNEL_E_INTERRUPTED, "interrupted");
	umask(0);
	errand_raise_file_limit();
	if (make_dirs(t->dir_fd) < 0)
		return fail_errno(err, "make room for the guest's changes");
	_cleanup_close_ int upper_fd = openat(t->dir_fd, "delta/0/upper", flags);
	_cleanup_close_ int links_fd = openat(t->dir_fd, "links", flags);
	const struct unpack_where where = {
		.dir_fd = upper_fd,
		.links_fd = links_fd,
		.with_top = true,
		.loss = &loss,
		.max_bytes = t->max_bytes,
	};
	if (upper_fd < 0 || links_fd < 0)
		return fail_errno(err, "open the room for the guest's changes");
	int r = vm_talk_unpack(t->stream_fd, &where, err);
	buf_add(out, &loss, sizeof(loss));
	return r < 0 ? r : buf_check(out, err);
}

int vm_changes_take(const struct vm_guest *g, int dir_fd, int user_ns_fd, uint64_t room_bytes,
		    struct unpack_loss *ret_loss, int *ret_fd, struct kennel_error **err)
{
	static const char *const words[] = { "pack-changes", NULL };
	_cleanup_error_ struct kennel_error *why = NULL;
	_cleanup_buf_ struct buf out = { 0 };
	struct copy_report report = { 0 };
	struct vm_talk talk;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return fail_errno(err, "make a pipe");
	int r = vm_talk_begin(g, words, -1, ends[1], &talk, err);
	close_fd(ends[1]);
	if (r < 0) {
		close_fd(ends[0]);
		return r;
	}
	struct taking t = {
		.dir_fd = dir_fd,
		.stream_fd = ends[0],
		.max_bytes = room_bytes ? 2 * room_bytes + AROUND : 0,
		.parent = getpid(),
	};
	int taken = errand_run(user_ns_fd, take, &t, &out, &why);
	close_fd(ends[0]);
	r = vm_talk_end(&talk, &report, err);
	if (vm_talk_is_cause(taken, r, &report)) { /* why it was not taken */
		error_clear(err);
		if (err)
			*err = take_ptr(&why);
		r = taken;
	}
	if (r < 0)
		return wrap(err, r, "take what the guest has changed");
	if (out.len == sizeof(*ret_loss))
		memcpy(ret_loss, out.data, sizeof(*ret_loss));
	*ret_fd = openat(dir_fd, "delta", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return *ret_fd < 0 ? fail_errno(err, "open what the guest has changed") : 0;
}
