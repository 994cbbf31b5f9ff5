/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cgroup/scope.c - see scope.h. libsystemd is loaded only when a scope is asked for.
 *
 * The answer to StartTransientUnit comes before the process is in its scope: a job does that. So we look at
 * our own group until it is the scope's, which is also what has to be true before a group is made in it.
 *
 * sd-bus would wait for 90 seconds until a bus has let it in, and 25 until that has said hello; so it is
 * brought to that point step by step, with a clock of ours.
 */
#include "cgroup/scope.h"

#include "cgroup/scope-config.h"

#if KENNEL_HAVE_SYSTEMD

#include <dlfcn.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <systemd/sd-bus.h>

#include "base/cleanup.h"
#include "base/clock.h"

#define PATIENCE_MS 5000 /* for all of it: a manager that does not answer is as good as none */
#define STEP_MS 1

struct bus_lib {
	void *library;
	__typeof__(&sd_bus_open_user) open_user;
	__typeof__(&sd_bus_open_system) open_system;
	__typeof__(&sd_bus_set_method_call_timeout) set_timeout;
	__typeof__(&sd_bus_call_method) call_method;
	__typeof__(&sd_bus_error_free) error_free;
	__typeof__(&sd_bus_is_ready) is_ready;
	__typeof__(&sd_bus_process) process;
	__typeof__(&sd_bus_wait) wait;
	__typeof__(&sd_bus_close_unref) end; /* one that flushed would wait */
};

static void bus_lib_done(struct bus_lib *l)
{
	if (l->library)
		dlclose(l->library);
}
#define _cleanup_bus_lib_ __attribute__((cleanup(bus_lib_done)))

static bool load(struct bus_lib *l)
{
	l->library = dlopen("libsystemd.so.0", RTLD_NOW | RTLD_LOCAL);
	if (!l->library)
		return false;
	l->open_user = dlsym(l->library, "sd_bus_open_user");
	l->open_system = dlsym(l->library, "sd_bus_open_system");
	l->set_timeout = dlsym(l->library, "sd_bus_set_method_call_timeout");
	l->call_method = dlsym(l->library, "sd_bus_call_method");
	l->error_free = dlsym(l->library, "sd_bus_error_free");
	l->is_ready = dlsym(l->library, "sd_bus_is_ready");
	l->process = dlsym(l->library, "sd_bus_process");
	l->wait = dlsym(l->library, "sd_bus_wait");
	l->end = dlsym(l->library, "sd_bus_close_unref");
	return l->open_user && l->open_system && l->set_timeout && l->call_method && l->error_free &&
	       l->is_ready && l->process && l->wait && l->end;
}

static bool is_in(const char *scope)
{
	_cleanup_close_ int fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);
	char text[4096];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	text[n < 0 ? 0 : n] = '\0';
	const char *line = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
	const char *end = line ? strchrnul(line + 1, '\n') : NULL, *found = line ? strstr(line, scope) : NULL;
	return found && found < end;
}

static int ask(const struct bus_lib *l, sd_bus *bus, const char *scope, struct kennel_error **err)
{
	sd_bus_error why = SD_BUS_ERROR_NULL;
	int r = l->call_method(bus, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
			       "org.freedesktop.systemd1.Manager", "StartTransientUnit", &why, NULL,
			       "ssa(sv)a(sa(sv))", scope, "fail", 4,
			       /* */
			       "Description", "s", "kennel sandbox",
			       /* */
			       "Delegate", "b", 1,
			       /* */
			       "CollectMode", "s", "inactive-or-failed",
			       /* */
			       "PIDs", "au", 1, (uint32_t)getpid(),
			       /* no other units */
			       0);
	if (r < 0) {
		errno = -r;
		r = fail(err, code_from_errno(errno), "ask systemd for the scope \"%s\": %s", scope,
			 why.message ? why.message : strerror(errno));
	}
	l->error_free(&why);
	return r;
}

static uint64_t left_us(int64_t until)
{
	const int64_t left = until - clock_ms();

	return left > 0 ? (uint64_t)left * 1000 : 0;
}

/* 1 the bus has said hello, 0 it has not in time, or it is gone. */
static bool is_let_in(const struct bus_lib *l, sd_bus *bus, int64_t until)
{
	int r;

	while ((r = l->is_ready(bus)) == 0 && left_us(until)) {
		r = l->process(bus, NULL);
		if (r == 0)
			r = l->wait(bus, left_us(until));
		if (r < 0 && r != -EINTR)
			break;
	}
	return r > 0;
}

static int have_scope(const struct bus_lib *l, sd_bus *bus, const char *scope, int64_t until,
		      struct kennel_error **err)
{
	if (!is_let_in(l, bus, until) || !left_us(until))
		return fail(err, KENNEL_E_BUSY, "the bus of systemd does not answer");
	(void)!l->set_timeout(bus, left_us(until));
	return ask(l, bus, scope, err);
}

int cgroup_scope_enter(const char *name, struct kennel_error **err)
{
	const int64_t until = clock_ms() + PATIENCE_MS;
	_cleanup_bus_lib_ struct bus_lib l = { 0 };
	sd_bus *bus = NULL;
	char scope[128];

	if (!load(&l) || (geteuid() == 0 ? l.open_system(&bus) : l.open_user(&bus)) < 0)
		return 0;
	(void)!snprintf(scope, sizeof(scope), "%s.scope", name);
	int r = have_scope(&l, bus, scope, until, err);
	l.end(bus);
	if (r < 0)
		return r;
	while (left_us(until)) {
		if (is_in(scope))
			return 1;
		clock_pause_ms(STEP_MS);
	}
	return fail(err, KENNEL_E_BUSY, "systemd has made the scope \"%s\", and not moved us there", scope);
}

#else

int cgroup_scope_enter(const char *name, struct kennel_error **err)
{
	(void)name, (void)err;
	return 0;
}

#endif
