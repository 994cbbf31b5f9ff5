/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* api-sandbox.c - the public face of conf/ and run/: specs and running sandboxes. */
#include <stdlib.h>

#include <kennel/kennel.h>

#include "api-sandbox.h"
#include "api-spec.h"
#include "base/cleanup.h"
#include "delta/layout.h"
#include "run/rootless.h"
#include "run/sandbox.h"
#include "sys/sys.h"

int kennel_spec_new(struct kennel_spec **ret, struct kennel_error **err)
{
	_cleanup_free_ struct kennel_spec *s = calloc(1, sizeof(*s));

	if (!s)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	s->spec = spec_new(err);
	if (!s->spec)
		return -KENNEL_E_NOMEM;
	*ret = take_ptr(&s);
	return 0;
}

int kennel_spec_set(struct kennel_spec *spec, const char *key, const char *value, struct kennel_error **err)
{
	return spec_set(spec->spec, key, value, err);
}

int kennel_spec_set_command(struct kennel_spec *spec, const char *const *argv, struct kennel_error **err)
{
	_cleanup_strv_ struct strv words = { 0 };
	int r = 0;

	for (; argv && *argv && r == 0; argv++)
		r = strv_add(&words, *argv, err);
	if (r < 0)
		return r;
	strv_done(&spec->spec->command);
	spec->spec->command = words;
	words = (struct strv){ 0 };
	return 0;
}

void kennel_spec_set_log(struct kennel_spec *spec,
			 void (*write)(void *data, enum kennel_log_level level, const char *text), void *data)
{
	spec->write = write;
	spec->data = data;
}

struct kennel_spec *kennel_spec_free(struct kennel_spec *spec)
{
	if (spec)
		spec_free(spec->spec);
	free(spec);
	return NULL;
}

/* The two enums are the same; the library's own has no public name. */
static void log_write(void *data, enum log_level level, const char *text)
{
	const struct kennel_spec *s = data;

	s->write(s->data, (enum kennel_log_level)level, text);
}

struct log_sink spec_sink(const struct kennel_spec *spec)
{
	return (struct log_sink){ .write = spec->write ? log_write : NULL, .data = (void *)spec };
}

int kennel_sandbox_start(const struct kennel_spec *spec, struct kennel_sandbox **ret,
			 struct kennel_error **err)
{
	_cleanup_free_ struct kennel_sandbox *s = calloc(1, sizeof(*s));
	struct kennel_spec copy = *spec;
	const struct log_sink sink = spec_sink(&copy);

	if (!s)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	int r = sandbox_start(spec->spec, &sink, &s->sb, err);
	if (r < 0)
		return r;
	keep_use(s->sb->keep);
	s->sb->log = (struct log_sink){ 0 };    /* the spec may be gone from now on */
	*ret = take_ptr(&s);
	return 0;
}

int kennel_sandbox_run(struct kennel_sandbox *sb, int *ret_status, struct kennel_error **err)
{
	return sandbox_run(sb->sb, ret_status, err);
}

int kennel_sandbox_wait(struct kennel_sandbox *sb, int timeout_ms, int *ret_status, struct kennel_error **err)
{
	return sandbox_wait(sb->sb, timeout_ms, ret_status, err);
}

int kennel_sandbox_signal(struct kennel_sandbox *sb, int sig, struct kennel_error **err)
{
	if (sb->sb->ended || sys_pidfd_send_signal(sb->sb->init_pidfd, sig, 0) < 0)
		return fail(err, KENNEL_E_NOTFOUND, "sandbox %s has ended", sb->sb->id);
	return 0;
}

const char *kennel_sandbox_id(const struct kennel_sandbox *sb)
{
	return sb->sb->id;
}

const char *kennel_sandbox_container(const struct kennel_sandbox *sb)
{
	const struct keep *k = sb->sb->keep ? sb->sb->keep : sb->sb->held;

	return k ? k->c.name : NULL;
}

int kennel_sandbox_save(struct kennel_sandbox *sb, struct kennel_error **err)
{
	return sandbox_save(sb->sb, err);
}

int kennel_sandbox_is_interactive(const struct kennel_sandbox *sb)
{
	return sb->sb->master_fd >= 0;
}

uint64_t kennel_sandbox_count_oom_kills(const struct kennel_sandbox *sb)
{
	return cgroup_oom_kills(sb->sb->cgroup);
}

/* What a monitor noted is read by whoever asks later: the numbers of both are the same. */
_Static_assert((int)KENNEL_HIT_MEMORY == (int)CGROUP_HIT_MEMORY &&
		       (int)KENNEL_HIT_SWAP == (int)CGROUP_HIT_SWAP &&
		       (int)KENNEL_HIT_INNER == (int)CGROUP_HIT_INNER &&
		       (int)KENNEL_HIT_OUTER == (int)CGROUP_HIT_OUTER &&
		       (int)KENNEL_HIT_PIDS == (int)CGROUP_HIT_PIDS,
	       "the limits that were hit");

unsigned kennel_sandbox_limits_hit(const struct kennel_sandbox *sb)
{
	return cgroup_limits_hit(sb->sb->cgroup);
}

const char *kennel_limit_hit_name(enum kennel_limit_hit hit)
{
	switch (hit) {
	case KENNEL_HIT_MEMORY:
		return "memory";
	case KENNEL_HIT_SWAP:
		return "memory+swap";
	case KENNEL_HIT_INNER:
		return "inner-memory";
	case KENNEL_HIT_OUTER:
		return "outer-memory";
	case KENNEL_HIT_PIDS:
		return "pids";
	}
	return NULL;
}

static int count_one(void *data, const struct kennel_change *change)
{
	if (!change->after || !S_ISDIR(change->after->st_mode))
		++*(uint64_t *)data;
	return 0;
}

/* What its kernel holds is looked at as that of any guest that runs. */
static int count_in_guest(const struct sandbox *sb, uint64_t *ret, struct kennel_error **err)
{
	struct kennel_delta *delta = NULL;

	*ret = 0;
	int r = kennel_delta_open(sb->id, &delta, err);
	if (r == 0)
		r = kennel_delta_diff(delta, NULL, 0, count_one, ret, err);
	kennel_delta_free(delta);
	return r;
}

int kennel_sandbox_count_changes(struct kennel_sandbox *sb, uint64_t *ret_files, struct kennel_error **err)
{
	if (sb->sb->lingers)
		return count_in_guest(sb->sb, ret_files, err);
	if (sb->sb->rootless)
		return rootless_count(sb->sb, ret_files, err);
	manifest_plants_sort(&sb->sb->planted);
	return delta_count(sb->sb->delta_fd, sb->sb->n_mounts, &sb->sb->planted, ret_files, err);
}

struct kennel_sandbox *kennel_sandbox_free(struct kennel_sandbox *sb)
{
	if (sb)
		sandbox_free(sb->sb);
	free(sb);
	return NULL;
}

void kennel_sandbox_leave(struct kennel_sandbox *sb)
{
	if (sb)
		sandbox_leave(sb->sb);
}

int kennel_exit_code(const struct kennel_error *err)
{
	switch (kennel_error_code(err)) {
	case 0:
		return 0;
	case KENNEL_E_NOCOMMAND:
		return 127;
	case KENNEL_E_NOTEXEC:
		return 126;
	default:
		return 125;
	}
}
