/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* run/vm-talk.c - see vm-talk.h. */
#include "run/vm-talk.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "copy/child.h"
#include "ext4/unpack.h"
#include "run/copy.h"

int vm_talk_begin(const struct vm_guest *g, const char *const *words, int in_fd, int out_fd,
		  struct vm_talk *ret, struct kennel_error **err)
{
	_cleanup_close_ int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	int ends[2];

	if (null_fd < 0 || pipe2(ends, O_CLOEXEC) < 0)
		return fail_errno(err, "make a pipe");
	const int fds[3] = { in_fd < 0 ? null_fd : in_fd, out_fd < 0 ? null_fd : out_fd, ends[1] };
	int r = vm_errand_start(g, words, fds, &ret->errand, err);
	close_fd(ends[1]);
	if (r < 0)
		close_fd(ends[0]);
	else
		ret->report_fd = ends[0];
	return r;
}

/* Where it does not come from the errand, it is a line of its client (vm/program/client.c). */
static int gone(struct buf *said, struct kennel_error **err)
{
	static const char us[] = "kennel: ";
	char *text = said->len ? said->data : NULL;

	if (!text)
		return fail(err, KENNEL_E_IO, "the guest says nothing of its files");
	text[strcspn(text, "\n")] = '\0';
	return fail(err, KENNEL_E_IO, "%s", text + (strncmp(text, us, strlen(us)) == 0 ? strlen(us) : 0));
}

int vm_talk_end(struct vm_talk *t, struct copy_report *ret, struct kennel_error **err)
{
	_cleanup_buf_ struct buf said = { 0 };
	int status = 0;

	int r = buf_read_fd(&said, t->report_fd, sizeof(*ret), err);
	close_fd(t->report_fd);
	if (r < 0) { /* too much of it: nobody takes the rest */
		error_clear(err);
		said.len = 0;
	}
	r = vm_errand_wait(&t->errand, &status, err);
	if (r < 0)
		return r;
	if (said.len != sizeof(*ret))
		return gone(&said, err);
	memcpy(ret, said.data, sizeof(*ret));
	ret->first_left_out[sizeof(ret->first_left_out) - 1] = '\0';
	return ret->step == COPY_DONE ? 0 : copy_report_error(ret, err);
}

bool vm_talk_is_cause(int taken, int r, const struct copy_report *report)
{
	return taken < 0 && (r == 0 || report->step == COPY_STEP_PIPE ||
			     (report->step == COPY_DONE && taken != -KENNEL_E_CORRUPT));
}

int vm_talk_unpack(int stream_fd, const struct unpack_where *where, struct kennel_error **err)
{
	int r = ext4_unpack(stream_fd, where, err);

	if (r != -KENNEL_E_CORRUPT)
		return r;
	error_clear(err); /* it speaks of an image */
	return fail(err, KENNEL_E_CORRUPT, "what the guest sends of its files makes no sense");
}
