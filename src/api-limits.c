/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* api-limits.c - see api-limits.h: limits of what runs, read and set. */
#include "api-limits.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "api-delta.h"
#include "api-list.h"
#include "api-running.h"
#include "api-spec.h"
#include "base/cleanup.h"
#include "base/parse.h"
#include "cgroup/cgroup.h"
#include "cgroup/layout.h"
#include "run/limits.h"

/* One that runs: its control groups as text, and where its changes are. */
struct target {
	struct buf cgroups;
	int delta_fd; /* of changes in memory, else -EBADF */
	int user_ns_fd; /* of who may change the size of that; -EBADF: us */
	int dir_fd; /* borrowed: of a container; else -EBADF */
};

static void target_done(struct target *t)
{
	buf_done(&t->cgroups);
	close_fd(t->delta_fd);
	close_fd(t->user_ns_fd);
}
#define _cleanup_target_ __attribute__((cleanup(target_done)))

static int open_delta(const struct kennel_list *list, const struct copy_sandbox *sb, struct target *t,
		      struct kennel_error **err)
{
	t->delta_fd = delta_open_monitors_fd(sb, kennel_list_value(list, 0, "delta-fd"), O_DIRECTORY, err);
	if (t->delta_fd < 0)
		return t->delta_fd;
	if (geteuid() == 0)
		return 0;
	t->user_ns_fd = delta_open_monitors_fd(sb, kennel_list_value(list, 0, "user-ns-fd"), 0, err);
	return MIN(t->user_ns_fd, 0);
}

static int target_open(const char *id, struct target *t, struct kennel_list **ret_list,
		       struct kennel_error **err)
{
	_cleanup_close_ int pidfd = -EBADF, root_fd = -EBADF;
	struct kennel_list *list = NULL;
	struct copy_sandbox sb;

	int r = running_open(id, &sb, &pidfd, &root_fd, &list, err);
	if (r == 0)
		r = running_cgroup(&sb, pidfd, &t->cgroups, err);
	if (r == 0 && !kennel_list_value(list, 0, "name"))
		r = open_delta(list, &sb, t, err);
	if (r == 0 && ret_list)
		*ret_list = list;
	else
		kennel_list_free(list);
	return r;
}

static int set_disk(const struct target *t, const struct spec *now, struct kennel_error **err)
{
	struct sysinfo info;

	if (t->delta_fd < 0)
		return hint(err, fail(err, KENNEL_E_UNSUPPORTED, "its changes are not in memory"),
			    "a file's size is changed with --size, while it does not run");
	if (sysinfo(&info) < 0)
		return fail_errno(err, "ask how much memory there is");
	return run_limits_resize(t->delta_fd, t->user_ns_fd,
				 run_limits_room(now, (uint64_t)info.totalram * info.mem_unit), err);
}

/* Return: 1 done, 0 it is no limit, or a code. */
static int set_one(const struct target *t, const char *key, const struct spec *now, struct kennel_error **err)
{
	unsigned ctl = run_limits_ctl(key);
	struct cgroup_wish wish = { 0 };
	struct cgroup_io io;
	int r;

	if (strcmp(key, "disk") == 0) {
		r = set_disk(t, now, err);
		return r < 0 ? wrap(err, r, "disk") : 1;
	}
	if (!ctl)
		return 0;
	struct spec only = *now; /* a disk that is not found is no matter of the others */
	if (ctl != CGROUP_IO)
		only.limits.io = (struct limits_io){ 0 };
	r = run_limits_wish(&only, t->dir_fd, &io, &wish, err);
	if (r == 0)
		r = cgroup_limit(buf_str(&t->cgroups), ctl, &wish, err);
	return r < 0 ? r : 1;
}

/* what: a key, or what was unset: "KEY=VALUE". */
static void follow_one(const struct target *t, const char *what, const struct spec *now,
		       const struct kennel_spec *spec)
{
	_cleanup_free_ char *key = strndup(what, strcspn(what, "="));
	_cleanup_error_ struct kennel_error *why = NULL;
	const struct log_sink log = spec_sink(spec);

	if (key && set_one(t, key, now, &why) < 0)
		log_warn(&log, "%s holds from the next start on: %s", key, kennel_error_message(why));
}

void limits_follow(const char *id, int dir_fd, const struct kennel_spec *spec, const char *const *unset,
		   const struct spec *now)
{
	_cleanup_target_ struct target t = { .delta_fd = -EBADF, .user_ns_fd = -EBADF, .dir_fd = dir_fd };
	const struct strv *given = &spec->spec->given;

	if (target_open(id, &t, NULL, NULL) < 0)
		return; /* it has ended */
	for (; unset && *unset; unset++)
		follow_one(&t, *unset, now, spec);
	for (size_t i = 0; i < given->n; i += 2)
		follow_one(&t, given->items[i], now, spec);
}

static int copy_value(void *data, const char *name, const char *value)
{
	struct spec *s = data;

	return spec_set(s, name, value, NULL);
}

static int refuse_key(const char *key, struct kennel_error **err)
{
	return hint(err,
		    fail(err, KENNEL_E_INVALID, "\"%s\" can't change while it runs, and this one is not kept",
			 key),
		    "of a throwaway only limits change: memory, swap, pids, cpus, cpuset, io, disk");
}

static int check_keys(const char *const *unset, const struct strv *given, struct kennel_error **err)
{
	for (; unset && *unset; unset++)
		if (!run_limits_ctl(*unset) && strcmp(*unset, "disk") != 0)
			return refuse_key(*unset, err);
	for (size_t i = 0; i < given->n; i += 2)
		if (!run_limits_ctl(given->items[i]) && strcmp(given->items[i], "disk") != 0)
			return refuse_key(given->items[i], err);
	return 0;
}

/* Without an entry in a configuration: the limits that it has are those that the kernel says. */
static int limits_now(const struct target *t, const char *const *unset, const struct strv *given,
		      struct spec *now, struct kennel_error **err)
{
	int r = cgroup_limits_read(buf_str(&t->cgroups), copy_value, now, err);

	for (; r == 0 && unset && *unset; unset++)
		r = spec_set(now, *unset,
			     strcmp(*unset, "swap") == 0 || strcmp(*unset, "io") == 0 ? "max" :
			     strcmp(*unset, "cpuset") == 0			      ? "all" :
											"0",
			     err);
	for (size_t i = 0; i < given->n && r == 0; i += 2)
		r = spec_set(now, given->items[i], given->items[i + 1], err);
	return r;
}

int kennel_limits_set(const char *id, const char *const *unset, const struct kennel_spec *spec,
		      struct kennel_error **err)
{
	_cleanup_target_ struct target t = { .delta_fd = -EBADF, .user_ns_fd = -EBADF, .dir_fd = -EBADF };
	const struct strv *given = &spec->spec->given;
	struct spec *now = spec_new(err);
	int r = now ? check_keys(unset, given, err) : -KENNEL_E_NOMEM;

	if (r == 0)
		r = target_open(id, &t, NULL, err);
	if (r == 0)
		r = limits_now(&t, unset, given, now, err);
	for (; r >= 0 && unset && *unset; unset++)
		r = set_one(&t, *unset, now, err);
	for (size_t i = 0; i < given->n && r >= 0; i += 2)
		r = set_one(&t, given->items[i], now, err);
	spec_free(now);
	return r < 0 ? wrap(err, r, "change limits of \"%s\"", id) : 0;
}

static int put_value(void *data, const char *name, const char *value)
{
	return list_put(data, name, value, NULL);
}

static int put_disk(const struct target *t, struct registry_entry *e, struct kennel_error **err)
{
	struct statvfs vfs;
	char text[24];

	if (t->delta_fd < 0)
		return 0;
	if (fstatvfs(t->delta_fd, &vfs) < 0)
		return fail_errno(err, "ask how much room its changes have");
	(void)!snprintf(text, sizeof(text), "%" PRIu64, (uint64_t)vfs.f_blocks * vfs.f_frsize);
	return put_value(e, "disk", text);
}

int kennel_limits_read(const char *id, struct kennel_list **ret, struct kennel_error **err)
{
	_cleanup_target_ struct target t = { .delta_fd = -EBADF, .user_ns_fd = -EBADF, .dir_fd = -EBADF };
	struct kennel_list *list = NULL;

	int r = target_open(id, &t, &list, err);
	if (r == 0)
		r = cgroup_limits_read(buf_str(&t.cgroups), put_value, &list->entries[0], err);
	if (r == 0)
		r = put_disk(&t, &list->entries[0], err);
	if (r < 0)
		kennel_list_free(list);
	else
		*ret = list;
	return r;
}
