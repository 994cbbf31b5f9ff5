/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* api-live.c - the public face of monitor/: containers in the background, their console, freezing. */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <kennel/kennel.h>

#include "api-list.h"
#include "api-running.h"
#include "api-spec.h"
#include "base/cleanup.h"
#include "cgroup/cgroup.h"
#include "monitor/attach.h"
#include "monitor/background.h"
#include "monitor/peer.h"
#include "run/file.h"
#include "run/registry.h"
#include "run/vm-freeze.h"

static int must_exist(const struct spec *spec, struct kennel_error **err)
{
	struct kennel_list *list = NULL;

	if (!spec->keep && !spec->file)
		return fail(err, KENNEL_E_INVALID, "only a container can be started in the background");
	if (spec->file)
		return file_is_there(spec->file) ?
			       0 :
			       hint(err, fail(err, KENNEL_E_NOTFOUND, "there is no file \"%s\"", spec->file),
				    "\"kennel run -f FILE\" makes one");
	int r = kennel_container_list(spec->store, spec->keep, &list, err);
	kennel_list_free(list);
	return r;
}

static int start(const struct kennel_spec *spec, int leader_fd, char *ret_id, struct kennel_error **err)
{
	struct kennel_spec copy = *spec;
	const struct log_sink sink = spec_sink(&copy);
	_cleanup_free_ char *id = NULL;
	struct spec *s = spec->spec;

	int r = must_exist(s, err);
	if (r < 0)
		return r;
	s->background = true;
	r = background_start(s, &sink, leader_fd, &id, err);
	s->background = false;
	if (r == 0)
		snprintf(ret_id, KENNEL_ID_SIZE, "%s", id);
	return r;
}

int kennel_start(const struct kennel_spec *spec, char *ret_id, struct kennel_error **err)
{
	return start(spec, -EBADF, ret_id, err);
}

int kennel_start_here(const struct kennel_spec *spec, int *ret_status, struct kennel_error **err)
{
	_cleanup_close_ int pidfd = -EBADF, root_fd = -EBADF;
	char id[KENNEL_ID_SIZE];
	struct copy_sandbox sb;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return fail_errno(err, "make a pair of sockets");
	int r = start(spec, fds[1], id, err);
	close_fd(fds[1]);
	_cleanup_close_ int socket_fd = fds[0];
	if (r < 0)
		return r;
	/* It may have ended by now: then there is nobody to hand signals on to. */
	(void)!running_open(id, &sb, &pidfd, &root_fd, NULL, NULL);
	close_fd(take_fd(&root_fd)); /* holds its mounts */
	const struct attach a = {
		.socket_fd = socket_fd,
		.in_fd = STDIN_FILENO,
		.out_fd = STDOUT_FILENO,
		.escape = -1,
		.init_pidfd = pidfd,
	};
	r = attach_run(&a, ret_status, err);
	return r == 0 ? fail(err, KENNEL_E_INTERRUPTED, "interrupted") : MIN(r, 0);
}

static int connect_to(const char *id, int *ret_fd, struct kennel_error **err)
{
	_cleanup_error_ struct kennel_error *why = NULL;
	_cleanup_close_ int dir_fd = registry_open(err);
	char name[REGISTRY_BESIDE_SIZE];

	if (dir_fd < 0)
		return dir_fd;
	registry_beside(id, REGISTRY_SOCKET, name);
	*ret_fd = peer_connect(dir_fd, name, &why);
	if (*ret_fd == -KENNEL_E_NOTFOUND)
		return hint(err, fail(err, KENNEL_E_UNSUPPORTED, "it was not started in the background"),
			    "its console is where it was started; \"kennel enter\" gives a shell in it");
	if (*ret_fd < 0 && err)
		*err = take_ptr(&why);
	return MIN(*ret_fd, 0);
}

int kennel_console(const char *id, int escape, unsigned flags, int *ret_status, struct kennel_error **err)
{
	return kennel_console_tty(id, 0, escape, flags, ret_status, err);
}

int kennel_console_tty(const char *id, unsigned tty, int escape, unsigned flags, int *ret_status,
		       struct kennel_error **err)
{
	_cleanup_close_ int pidfd = -EBADF, root_fd = -EBADF, socket_fd = -EBADF;
	struct kennel_list *list = NULL;
	struct copy_sandbox sb;
	int status = 0;

	if (flags & ~(unsigned)KENNEL_CONSOLE_BACKLOG)
		return fail(err, KENNEL_E_INVALID, "unknown flags %#x", flags);
	int r = running_open(id, &sb, &pidfd, &root_fd, &list, err);
	if (r < 0)
		return r;
	close_fd(take_fd(&root_fd)); /* holds its mounts */
	r = connect_to(kennel_list_value(list, 0, "id"), &socket_fd, err);
	kennel_list_free(list);
	if (r < 0)
		return wrap(err, r, "attach to \"%s\"", id);
	const struct attach a = {
		.socket_fd = socket_fd,
		.in_fd = STDIN_FILENO,
		.out_fd = STDOUT_FILENO,
		.escape = escape,
		.tty = tty,
		.backlog = flags & KENNEL_CONSOLE_BACKLOG,
		.init_pidfd = -EBADF,
	};
	r = attach_run(&a, &status, err);
	if (r > 0 && ret_status)
		*ret_status = status;
	return r;
}

/* Others hear of it by this file, whatever it says. */
static void note_change(const char *id)
{
	_cleanup_close_ int dir_fd = registry_open(NULL);
	char name[REGISTRY_BESIDE_SIZE], temp[REGISTRY_BESIDE_SIZE + 8];

	if (dir_fd < 0)
		return;
	registry_beside(id, REGISTRY_STATE, name);
	snprintf(temp, sizeof(temp), ".%s-new", name);
	int fd = openat(dir_fd, temp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || renameat(dir_fd, temp, dir_fd, name) < 0)
		(void)!unlinkat(dir_fd, temp, 0);
	close_fd(fd);
	if (!registry_is_alive(dir_fd, id))
		(void)!unlinkat(dir_fd, name, 0);
}

/* A control group's freezer where there is one; else a guest can be stopped as what it is, processes. */
static int set_all(const struct kennel_list *list, pid_t init, const char *groups, bool freeze,
		   struct kennel_error **err)
{
	if (!running_is_guest(list) || cgroup_is_frozen(groups) >= 0)
		return cgroup_freeze(groups, freeze, err);
	return freeze ? vm_freeze(init, err) : vm_thaw(init, err);
}

static int set_frozen(const char *id, bool freeze, struct kennel_error **err)
{
	_cleanup_close_ int pidfd = -EBADF, root_fd = -EBADF;
	_cleanup_buf_ struct buf text = { 0 };
	struct kennel_list *list = NULL;
	struct copy_sandbox sb;

	int r = running_open(id, &sb, &pidfd, &root_fd, &list, err);
	if (r == 0)
		r = running_cgroup(&sb, pidfd, &text, err);
	if (r == 0)
		r = set_all(list, sb.init, buf_str(&text), freeze, err);
	if (r == 0)
		note_change(kennel_list_value(list, 0, "id"));
	kennel_list_free(list);
	return r < 0 ? wrap(err, r, "%s \"%s\"", freeze ? "freeze" : "thaw", id) : 0;
}

int kennel_freeze(const char *id, struct kennel_error **err)
{
	return set_frozen(id, true, err);
}

int kennel_thaw(const char *id, struct kennel_error **err)
{
	return set_frozen(id, false, err);
}
