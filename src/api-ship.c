/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * api-ship.c - see api-ship.h.
 *
 * The root of a container that does not run is that of a sandbox started for it, without a network, whose
 * command waits for the end of its input: it ends when we do, however that happens.
 */
#include "api-ship.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include <kennel/kennel.h>

#include "api-delta.h"
#include "api-running.h"
#include "api-spec.h"
#include "base/cleanup.h"
#include "conf/name.h"
#include "container/container.h"
#include "run/keep.h"
#include "run/vm-disk.h"

/*
 * A container of the store. ret_owner: NULL, or root may look into that of another user. Return: 1 opened,
 * 0 there is none of this name, or a code.
 */
static int open_container(const char *store_path, const char *name, struct container *c, uid_t *ret_owner,
			  struct kennel_error **err)
{
	_cleanup_store_ struct store store = STORE_NONE;
	_cleanup_error_ struct kennel_error *why = NULL;

	if (name_check(name, NULL) < 0)
		return 0;
	int r = store_path && ret_owner && geteuid() == 0 ? store_open_any(store_path, &store, err) :
							    store_open(store_path, false, &store, err);
	if (r <= 0)
		return r;
	if (ret_owner)
		*ret_owner = store.owner;
	r = container_open(&store, name, c, &why);
	if (r == -KENNEL_E_NOTFOUND)
		return 0;
	if (r < 0 && err)
		*err = take_ptr(&why);
	return r < 0 ? r : 1;
}

/* *ret_guest: it runs as a guest, which knows its own changes; nothing was opened then. */
static int open_kept_delta(struct container *c, uid_t owner, struct delta_tree **ret, int *ret_ns_fd,
			   bool *ret_guest, struct kennel_error **err)
{
	struct container_holder guest = { 0 };
	_cleanup_manifest_ struct manifest m = { 0 };
	_cleanup_buf_ struct buf text = { 0 };

	int r = keep_settle_or_find(c, &guest, err);
	*ret_guest = r > 0;
	if (r > 0)
		return 0;
	if (r == 0)
		r = container_read(c, CONTAINER_MANIFEST, &text, err);
	if (r == 0)
		return hint(err, fail(err, KENNEL_E_NOTFOUND, "it has no changes: it was never started"),
			    "kennel run -k %s", c->name);
	if (r > 0)
		r = manifest_parse(buf_str(&text), &m, err);
	if (r == 0 && owner != geteuid())
		r = delta_open_namespace(&m, owner, ret_ns_fd, err);
	if (r < 0)
		return r;
	int fd = container_open_delta(c, err);
	return fd < 0 ? fd : delta_open_held(c, &m, fd, -EBADF, ret, err);
}

int ship_delta_open(const char *store, const char *what, struct delta_tree **ret, int *ret_ns_fd,
		    struct kennel_error **err)
{
	_cleanup_container_ struct container c = CONTAINER_NONE;
	struct kennel_delta *d = NULL;
	uid_t owner = geteuid();

	int r = open_container(store, what, &c, &owner, err);
	bool guest = false;

	if (r > 0)
		r = open_kept_delta(&c, owner, ret, ret_ns_fd, &guest, err);
	else if (r == 0)
		guest = true; /* or any other sandbox that runs */
	if (r < 0 || !guest)
		return r;
	r = kennel_delta_open_in(c.path ? store : NULL, what, &d, err);
	if (r < 0)
		return r;
	*ret = take_ptr(&d->tree);
	kennel_delta_free(d);
	return 0;
}

static int open_running_root(const char *id, struct ship_root *ret, struct kennel_error **err)
{
	_cleanup_close_ int pidfd = -EBADF;
	struct copy_sandbox sb;

	int r = running_open_files(id, &sb, &pidfd, &ret->root_fd, err);
	if (r < 0)
		return r;
	if (sb.mapped && geteuid() == 0) { /* another user's process becomes root of these ids instead */
		ret->shift_from = sb.map.base;
		ret->shift_count = sb.map.count;
	}
	return 0;
}

static int start_sandbox(const char *store, const char *name, struct kennel_sandbox **ret,
			 struct kennel_error **err)
{
	static const char *const command[] = { "/bin/sh", "-c", "read line", NULL };
	struct kennel_spec *spec = NULL;

	int r = kennel_spec_new(&spec, err);
	if (r < 0)
		return r;
	r = kennel_spec_set(spec, "keep", name, err);
	if (r == 0 && store)
		r = kennel_spec_set(spec, "path", store, err);
	if (r == 0)
		r = kennel_spec_set(spec, "net", "none", err);
	if (r == 0)
		r = kennel_spec_set_command(spec, command, err);
	spec->spec->root_only = true;
	if (r == 0)
		r = kennel_sandbox_start(spec, ret, err);
	kennel_spec_free(spec);
	return r;
}

struct word {
	int result;
	char id[64], message[4096];
};

/* Starts the sandbox, says its id, and follows it to its end. */
static _Noreturn void hold(const char *store, const char *name, int in_fd, int say_fd)
{
	struct kennel_sandbox *sb = NULL;
	struct kennel_error *err = NULL;
	struct word w = { 0 };
	sigset_t none;
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC), status;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGINT, SIG_IGN); /* whoever holds us ends us by closing the pipe */
	if (null_fd < 0 || dup2(in_fd, 0) < 0 || dup2(null_fd, 1) < 0 || dup2(null_fd, 2) < 0)
		_exit(1);
	w.result = start_sandbox(store, name, &sb, &err);
	snprintf(w.message, sizeof(w.message), "%s", kennel_error_message(err));
	snprintf(w.id, sizeof(w.id), "%s", sb ? kennel_sandbox_id(sb) : "");
	(void)!write(say_fd, &w, sizeof(w));
	close_fd(say_fd);
	if (sb)
		(void)!kennel_sandbox_wait(sb, -1, &status, NULL);
	kennel_sandbox_free(sb);
	_exit(0);
}

static int read_word(int fd, struct word *w, struct kennel_error **err)
{
	size_t n = 0;

	while (n < sizeof(*w)) {
		ssize_t more = read(fd, (char *)w + n, sizeof(*w) - n);

		if (more < 0 && errno == EINTR)
			continue;
		if (more <= 0)
			return fail(err, KENNEL_E_IO,
				    "the process that starts the sandbox ended without a word");
		n += (size_t)more;
	}
	return w->result < 0 ? fail(err, -w->result, "%s", w->message) : 0;
}

static int start_holder(const char *store, const char *name, struct ship_root *ret, struct kennel_error **err)
{
	int in[2], say[2];
	struct word w;

	if (pipe2(in, O_CLOEXEC) < 0)
		return fail_errno(err, "make a pipe");
	_cleanup_close_ int in_fd = in[0];
	_cleanup_close_ int hold_fd = in[1];
	if (pipe2(say, O_CLOEXEC) < 0)
		return fail_errno(err, "make a pipe");
	_cleanup_close_ int read_fd = say[0];
	_cleanup_close_ int say_fd = say[1];
	pid_t pid = fork();
	if (pid < 0)
		return fail_errno(err, "start a process that holds the sandbox");
	if (pid == 0) {
		close_fd(hold_fd);
		hold(store, name, in_fd, say_fd);
	}
	ret->holder = pid;
	ret->hold_fd = take_fd(&hold_fd);
	replace_fd(&say_fd, -EBADF);
	int r = read_word(read_fd, &w, err);
	return r < 0 ? r : open_running_root(w.id, ret, err);
}

/*
 * What a guest that runs sees can only be asked of it. So it gets a clone, which shares with it, is as it is
 * at this moment, and goes when it was looked at.
 */
static int open_clone(const char *store, const char *name, struct ship_root *ret, struct kennel_error **err)
{
	const struct kennel_clone_options o = {
		.size = sizeof(o),
		.store = store,
		.flags = KENNEL_CLONE_SNAPSHOT | KENNEL_CLONE_EPHEMERAL | KENNEL_CLONE_SAME_IDENTITY,
	};
	char clone[32];
	uint32_t v = 0;

	(void)!getrandom(&v, sizeof(v), 0);
	snprintf(clone, sizeof(clone), "look-%08x", v);
	int r = kennel_clone(name, clone, &o, err);
	return r < 0 ? r : start_holder(store, clone, ret, err);
}

int ship_root_open(const char *store, const char *what, struct ship_root *ret, struct kennel_error **err)
{
	_cleanup_container_ struct container c = CONTAINER_NONE;
	struct container_holder h = { 0 };

	int r = open_container(store, what, &c, NULL, err);
	if (r < 0)
		return r;
	if (r == 0)
		return open_running_root(what, ret, err);
	const bool runs = container_is_held(&c, &h) && h.id[0];
	if (runs && !vm_disk_is_there(&c))
		return open_running_root(h.id, ret, err);
	container_done(&c);
	if (runs)
		return open_clone(store, what, ret, err);
	return start_holder(store, what, ret, err);
}

void ship_root_close(struct ship_root *r)
{
	int status;

	close_fd(r->root_fd);
	close_fd(r->hold_fd);
	while (r->holder && waitpid(r->holder, &status, 0) < 0 && errno == EINTR)
		;
	*r = (struct ship_root)SHIP_ROOT_NONE;
}

/* What is made new in every sandbox is no part of its root. */
static int enter_root(void *data, const char *path, int fd, const struct stat *st)
{
	static const char *const made[] = { "proc", "sys", "dev", "run", "tmp" };

	for (size_t i = 0; i < ARRAY_SIZE(made); i++)
		if (strcmp(path, made[i]) == 0)
			return 0;
	return 1;
}

struct ship_walk ship_root_walk(const struct ship_root *r, const struct ship_part *part)
{
	return (struct ship_walk){
		.parts = part,
		.n_parts = 1,
		.leave_denied = true,
		.enter = enter_root,
		.shift_from = r->shift_from,
		.shift_count = r->shift_count,
	};
}
