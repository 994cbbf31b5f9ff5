/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* run/report.c - see report.h. */
#include "run/report.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>

#include "base/cleanup.h"
#include "run/child.h"
#include "run/init.h"
#include "run/vm.h"
#include "vm/blob.h"

#define COMMAND_SHOWN_MAX 4096u         /* the words of one command may take megabytes */

void report_quote_command(const struct strv *command, struct buf *b)
{
	const size_t start = b->len;

	for (size_t i = 0; i < command->n; i++) {
		const char *s = command->items[i];

		if (i)
			buf_puts(b, " ");
		if (b->len - start + strlen(s) > COMMAND_SHOWN_MAX) {
			buf_puts(b, "...");
			return;
		}
		strv_quote_word(b, s);
	}
}

int report_init_failed(const struct spec *spec, const struct init_report *r, struct kennel_error **err)
{
	const char *command = spec->command.n ? spec->command.items[0] : spec->boot ? PLAN_INIT : "the shell";

	errno = r->errnum;
	switch (r->step) {
	case INIT_STEP_EXEC:
		if (r->errnum == ENOENT)
			return hint(err, error_set(err, KENNEL_E_NOCOMMAND, r->errnum, "run \"%s\"", command),
				    command[0] == '-' ?
					    "options stand in front of the name and of the command" :
					    "there is no such command in the copy");
		return hint(err, error_set(err, KENNEL_E_NOTEXEC, r->errnum, "run \"%s\"", command),
			    "it is there, but it can't be executed");
	case INIT_STEP_INTERPRETER:
		return hint(
			err, error_set(err, KENNEL_E_NOTEXEC, r->errnum, "run \"%s\"", command),
			"the file is there, but the interpreter that its first line or its header names is not");
	case INIT_STEP_USER:
		if (r->errnum == ENOENT)
			return hint(err,
				    fail(err, KENNEL_E_INVALID, "there is no user \"%s\" in the copy",
					 spec->user),
				    "users are looked up in the copy's /etc/passwd; a number works too");
		return fail_errno(err, "find the user \"%s\"", spec->user);
	case INIT_STEP_GROUPS:
	case INIT_STEP_IDS:
		if (r->errnum == EINVAL && spec->user)
			return hint(
				err,
				fail(err, KENNEL_E_INVALID, "there is no id for the user \"%s\" in the copy",
				     spec->user),
				"it has as many as the range outside: 65536 as a rule, 0 alone without one");
		return fail_errno(err, "%s", child_step_phrase(r->step));
	case INIT_STEP_WORKDIR:
		return hint(err,
			    error_set(err, KENNEL_E_INVALID, r->errnum, "change to \"%s\"",
				      spec->workdir ? spec->workdir : "/"),
			    "--workdir names a directory of the copy");
	default:
		return fail_errno(err, "%s", child_step_phrase(r->step));
	}
}

static const char *what(const struct launch *l, const struct child_report *r)
{
	const struct plan *p = l->sb->plan;

	if (r->index < 0)
		return NULL;
	if ((r->step == CHILD_STEP_OVERLAY || r->step == CHILD_STEP_TARGET || r->step == CHILD_STEP_ATTACH ||
	     r->step == CHILD_STEP_STAGE) && (size_t)r->index < p->n_overlays)
		return p->overlays[r->index].target;
	if (r->step == CHILD_STEP_PLACE && l->vm && (size_t)r->index < l->vm->n_places)
		return l->vm->places[r->index].source;
	if (r->step == CHILD_STEP_BIND && (size_t)r->index < l->spec->n_mounts)
		return l->spec->mounts[r->index].target;
	return NULL;
}

/* The kernel says ENOSPC of three things: namespaces, mounts, and room in the delta. */
static const char *no_space_hint(int step)
{
	switch (step) {
	case CHILD_STEP_NAMESPACES:
		return "a limit was reached: sysctl fs.mount-max, or one of those in /proc/sys/user";
	case CHILD_STEP_OVERLAY:
	case CHILD_STEP_TARGET:
		return "the delta in memory is too small for the copy: give it more with --size";
	default:
		return "the limit on mounts was reached: sysctl fs.mount-max";
	}
}

static int child_failed(struct launch *l, const struct child_report *r, struct kennel_error **err)
{
	const char *at = what(l, r);

	errno = r->errnum;
	int code = at ? fail_errno(err, "%s at \"%s\"%s%s%s", child_step_phrase(r->step), at,
				   r->text[0] ? " (" : "", r->text, r->text[0] ? ")" : "") :
			fail_errno(err, "%s", child_step_phrase(r->step));

	if (r->errnum == ENOSPC)
		return hint(err, code, "%s", no_space_hint(r->step));
	l->stack_is_full = (r->step == CHILD_STEP_OVERLAY || r->step == CHILD_STEP_LAYER) &&
			   r->errnum == EINVAL && l->sb->mapped;
	switch (r->step) {
	case CHILD_STEP_OVERLAY:
		/* Idmapped layers came with 5.19, overlay in a user namespace with 5.11. */
		l->level_refused = r->errnum == EINVAL || r->errnum == EPERM || r->errnum == EOPNOTSUPP;
		if (r->errnum == ENODEV)
			return hint(err,
				    error_set(err, KENNEL_E_UNSUPPORTED, 0,
					      "this kernel has no overlay file system"),
				    "modprobe overlay, or a kernel with CONFIG_OVERLAY_FS");
		if (r->errnum == ELOOP)
			return hint(
				err, code,
				"a layer lies inside of the base or of another layer, which the kernel refuses: "
				"make an image of it, or copy it to another file system");
		if (r->errnum == EINVAL)
			return hint(err, code, "overlays can be stacked twice at most");
		return code;
	case CHILD_STEP_PLACE:
		return r->errnum != EACCES ? code :
					     hint(err, code,
						  "its group has to be yours as well as its owner, or others "
						  "may read (and write) it: see chgrp(1)");
	case CHILD_STEP_PROC:
	case CHILD_STEP_SYS:
	case CHILD_STEP_DEV:
		if (r->errnum == ELOOP || r->errnum == ENOTDIR)
			return hint(err, code,
				    "in the base that is a symbolic link or a file: such a base is refused");
		if (r->errnum == EPERM)
			return hint(
				err, code,
				"the kernel allows it only where another one is fully visible, which some container engines prevent");
		return code;
	case CHILD_STEP_BIND:
		if (r->errnum == ELOOP || r->errnum == ENOTDIR || r->errnum == EXDEV)
			return hint(err, code,
				    "a part of that path is a symbolic link inside, which is never followed");
		return code;
	case CHILD_STEP_FUSE:
		return hint(err, code,
			    l->sb->deep ? "so deep it takes /dev/fuse: give the sandbox around this --nest" :
			    r->errnum == ENOENT ?
					  "modprobe fuse" :
					  "an ordinary user needs it: chmod 0666 /dev/fuse, as udev does");
	case CHILD_STEP_NAMESPACES:
		l->level_refused = r->errnum != ENOMEM;
		return code;
	default:
		return code;
	}
}

int report_read(struct launch *l, struct child_report *ret, struct kennel_error **err)
{
	struct pollfd fds[2] = {
		{ .fd = l->report_fd, .events = POLLIN },
		{ .fd = l->sb->init_pidfd, .events = POLLIN },
	};

	while (poll(fds, 2, -1) < 0)
		if (errno != EINTR)
			return fail_errno(err, "wait for the sandbox");
	if (l->child.report_fd < 0 && fds[0].revents == POLLHUP) { /* it was closed by an exec */
		*ret = (struct child_report){ .index = -1 };
		return 0;
	}
	if (!(fds[0].revents & POLLIN))
		return hint(err, fail(err, KENNEL_E_IO, "the sandbox ended before its command ran"),
			    "it was killed, perhaps for lack of memory: see dmesg");
	*ret = (struct child_report){ 0 }; /* text may be shorter, or not there */
	ssize_t n = read(l->report_fd, ret, sizeof(*ret));
	if (n < (ssize_t)sizeof(struct init_report))
		return fail(err, KENNEL_E_IO, "the sandbox sent half a report");
	ret->text[sizeof(ret->text) - 1] = '\0';
	return 0;
}

bool report_is_of_guest(int step)
{
	return step >= VM_STEP_SETTING && step <= VM_STEP_CONNECT;
}

int report_guest_failed(const struct init_report *r, const char *text, struct kennel_error **err)
{
	static const char *const what[] = {
		[VM_STEP_SETTING - VM_STEP_SETTING] = "set up the guest",
		[VM_STEP_SUPERVISOR - VM_STEP_SETTING] = "start what watches the guest",
		[VM_STEP_KERNEL - VM_STEP_SETTING] = "start the guest's kernel",
		[VM_STEP_GUEST - VM_STEP_SETTING] = "start the guest",
		[VM_STEP_CONNECT - VM_STEP_SETTING] = "reach the guest",
	};
	const size_t i = (size_t)(r->step - VM_STEP_SETTING);

	errno = r->errnum;
	int code = !*text    ? fail_errno(err, "%s", what[i]) :
		   r->errnum ? fail_errno(err, "%s: %s", what[i], text) :
			       fail(err, KENNEL_E_IO, "%s: %s", what[i], text);
	if (r->step == VM_STEP_GUEST)
		return hint(err, code,
			    "more memory may help (--memory), and \"kennel check\" looks at its kernel");
	if (r->step == VM_STEP_CONNECT)
		return hint(err, code, "\"kennel stop\" ends it, with --kill at once");
	return code;
}

int report_failed(struct launch *l, const struct child_report *r, struct kennel_error **err)
{
	/* its text begins where other reports have a number */
	if (report_is_of_guest(r->step))
		return report_guest_failed(&(struct init_report){ r->step, r->errnum },
					   (const char *)&r->index, err);
	if (r->step >= INIT_STEP_ARGS)
		return report_init_failed(l->spec, &(struct init_report){ r->step, r->errnum }, err);
	return child_failed(l, r, err);
}

int report_explain(struct launch *l, int r, struct kennel_error **err)
{
	struct pollfd fd = { .fd = l->report_fd, .events = POLLIN };
	struct child_report word = { .index = -1 };

	do {
		if (poll(&fd, 1, 0) <= 0 || !(fd.revents & POLLIN) || report_read(l, &word, NULL) < 0)
			return r;
	} while (word.step <= 0); /* how far it came is no explanation */
	return report_failed(l, &word, err);
}

/* One that becomes the inside's own init: its end-of-file will say that it runs. */
static void close_our_end(struct launch *l)
{
	close_fd(l->child.report_fd);
	l->child.report_fd = -EBADF;
}

int report_wait_held(struct launch *l, struct kennel_error **err)
{
	struct child_report r = { .index = -1 };
	int n;

	do {
		n = report_read(l, &r, err);
		if (n == 0 && r.step == CHILD_APART)
			close_our_end(l);
	} while (n == 0 && r.step == CHILD_APART);
	if (n < 0)
		return n;
	return r.step == CHILD_HELD ? 0 : report_failed(l, &r, err);
}

int report_wait(struct launch *l, struct kennel_error **err)
{
	struct child_report r = { .index = -1 };
	int n = report_read(l, &r, err);

	if (n == 0 && r.step == CHILD_APART) {
		close_our_end(l);
		n = report_read(l, &r, err);
	}
	if (n < 0)
		return n;
	return r.step == 0 ? 0 : report_failed(l, &r, err);
}
