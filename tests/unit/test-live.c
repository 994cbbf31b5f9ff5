/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit/test-live.c - containers in the background as a program uses them, in a store of its own. Sandboxes of
 * other people may run on the same machine meanwhile.
 */
#include "unit.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <kennel/kennel.h>

#include "base/buf.h"
#include "base/cleanup.h"

static char store[64];

#define ok(call, err) \
	do { \
		if ((call) < 0) \
			fail_msg("%s: %s", #call, kennel_error_message(err)); \
	} while (0)

static int set_up(void **state)
{
	snprintf(store, sizeof(store), "/var/tmp/kennel-unit-live-XXXXXX");
	if (geteuid() != 0)
		return 0;
	if (!mkdtemp(store))
		return -1;
	struct kennel_spec *spec;
	return kennel_spec_new(&spec, NULL) < 0 || kennel_spec_set(spec, "net", "none", NULL) < 0 ||
			       kennel_container_create(store, "box", spec, NULL) < 0 ||
			       kennel_spec_free(spec) ?
		       -1 :
		       0;
}

static int tear_down(void **state)
{
	if (geteuid() != 0)
		return 0;
	(void)!kennel_container_remove(store, "box", KENNEL_REMOVE_END, NULL);
	return rmdir(store);
}

static struct kennel_spec *wish(const char *name, const char *command)
{
	const char *const argv[] = { "/bin/sh", "-c", command, NULL };
	struct kennel_spec *spec;

	assert_int_equal(kennel_spec_new(&spec, NULL), 0);
	assert_int_equal(kennel_spec_set(spec, "path", store, NULL), 0);
	assert_int_equal(kennel_spec_set(spec, "keep", name, NULL), 0);
	assert_int_equal(kennel_spec_set_command(spec, command ? argv : NULL, NULL), 0);
	return spec;
}

static void need_root(void)
{
	if (geteuid() != 0)
		skip_test("needs root");
}

static void test_start_wait_freeze_thaw_stop(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL, *busy = NULL;
	char id[KENNEL_ID_SIZE], again[KENNEL_ID_SIZE];
	enum kennel_state now;

	need_root();
	struct kennel_spec *spec = wish("box", NULL);
	ok(kennel_start(spec, id, &err), err);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* the monitor is nobody's child */
	assert_int_equal(kennel_wait(store, "box", KENNEL_STATE_RUNNING, 0, &now, &err), 1);
	assert_int_equal(kennel_start(spec, again, &busy), -KENNEL_E_BUSY);
	ok(kennel_freeze(id, &err), err);
	assert_int_equal(kennel_wait(store, "box", KENNEL_STATE_STOPPED, 50, &now, &err), 0);
	assert_int_equal(now, KENNEL_STATE_FROZEN);
	ok(kennel_thaw(id, &err), err);
	struct kennel_list *usage;
	ok(kennel_usage_read(id, &usage, &err), err);
	assert_string_equal(kennel_list_value(usage, 0, "processes"), "1");
	kennel_list_free(usage);
	assert_int_equal(kennel_wait(NULL, id, KENNEL_STATE_RUNNING, 0, NULL, &err), 1);
	ok(kennel_stop(id, 0, 10000, NULL, &err), err);
	assert_int_equal(kennel_wait(store, "box", KENNEL_STATE_STOPPED, 10000, NULL, &err), 1);
	assert_int_equal(kennel_wait(store, "nobody", KENNEL_STATE_STOPPED, 0, NULL, NULL),
			 -KENNEL_E_NOTFOUND);
	assert_int_equal(kennel_console(id, -1, 0, NULL, NULL), -KENNEL_E_NOTFOUND);
	assert_int_equal(kennel_console_tty(id, 1, -1, 0, NULL, NULL), -KENNEL_E_NOTFOUND);
	assert_int_equal(kennel_freeze(id, NULL), -KENNEL_E_NOTFOUND);
	kennel_spec_free(spec);
	spec = wish("nobody", NULL);
	assert_int_equal(kennel_start(spec, id, NULL), -KENNEL_E_NOTFOUND);
	kennel_spec_free(spec);
}

static void test_limits_are_read_and_set(void **state)
{
	static const char *const lift[] = { "pids", NULL };
	_cleanup_error_ struct kennel_error *err = NULL, *refused = NULL;
	struct kennel_spec *spec = NULL, *more, *other;
	struct kennel_list *now;
	char id[KENNEL_ID_SIZE];

	need_root();
	spec = wish("box", NULL);
	assert_int_equal(kennel_spec_set(spec, "pids", "50", NULL), 0);
	ok(kennel_start(spec, id, &err), err);
	ok(kennel_limits_read(id, &now, &err), err);
	assert_string_equal(kennel_list_value(now, 0, "pids"), "50");
	assert_null(kennel_list_value(now, 0, "memory"));
	kennel_list_free(now);
	assert_int_equal(kennel_spec_new(&more, NULL) + kennel_spec_new(&other, NULL), 0);
	assert_int_equal(kennel_spec_set(more, "memory", "64M", NULL), 0);
	assert_int_equal(kennel_spec_set(other, "net", "none", NULL), 0);
	ok(kennel_limits_set(id, lift, more, &err), err);
	assert_int_equal(kennel_limits_set(id, NULL, other, &refused), -KENNEL_E_INVALID);
	assert_non_null(strstr(kennel_error_message(refused), "\"net\" can't change"));
	ok(kennel_limits_read(id, &now, &err), err);
	assert_string_equal(kennel_list_value(now, 0, "memory"), "67108864");
	assert_null(kennel_list_value(now, 0, "pids"));
	kennel_list_free(now);
	ok(kennel_stop(id, 0, 10000, NULL, &err), err);
	assert_int_equal(kennel_limits_read(id, &now, NULL), -KENNEL_E_NOTFOUND);
	assert_int_equal(kennel_limits_set(id, NULL, more, NULL), -KENNEL_E_NOTFOUND);
	kennel_spec_free(spec);
	kennel_spec_free(more);
	kennel_spec_free(other);
}

static int collect(void *data, const char *bytes, size_t n)
{
	buf_add(data, bytes, n);
	return 0;
}

static void test_here_gives_the_exit_code_and_the_log_has_what_was_shown(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_buf_ struct buf log = { 0 }, last = { 0 };
	int status = -1, null_fd, in_fd = dup(STDIN_FILENO);

	need_root();
	struct kennel_spec *spec = wish("box", "echo one; echo two; exit 9");
	null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	dup2(null_fd, STDIN_FILENO);
	int r = kennel_start_here(spec, &status, &err);
	dup2(in_fd, STDIN_FILENO);
	close(in_fd);
	close(null_fd);
	ok(r, err);
	assert_int_equal(status, 9);
	assert_int_equal(kennel_wait(store, "box", KENNEL_STATE_STOPPED, 10000, NULL, &err), 1);
	ok(kennel_log(store, "box", 0, 0, collect, &log, &err), err);
	assert_non_null(strstr(buf_str(&log), "one\r\ntwo\r\n"));
	ok(kennel_log(store, "box", 1, 1, collect, &last, &err), err); /* ends, for it is stopped */
	assert_string_equal(buf_str(&last), "two\r\n");
	kennel_spec_free(spec);
}

struct seen {
	char id[KENNEL_ID_SIZE];
	atomic_bool running;
	bool stopped;
};

static int note(void *data, const char *id, const char *name, enum kennel_state state)
{
	struct seen *s = data;

	if (strcmp(id, s->id) != 0)
		return 0;
	assert_string_equal(name, "box");
	assert_non_null(kennel_state_name(state));
	if (state == KENNEL_STATE_RUNNING)
		s->running = true;
	s->stopped |= state == KENNEL_STATE_STOPPED;
	return s->stopped;
}

static void *stop_it(void *data)
{
	struct seen *s = data;

	for (int i = 0; i < 6000 && !s->running; i++)
		usleep(10000);
	(void)!kennel_stop(s->id, 0, 0, NULL, NULL);
	return NULL;
}

static void test_watch_hears_of_each(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	struct seen seen = { .running = false };
	pthread_t thread;

	need_root();
	struct kennel_spec *spec = wish("box", "exec sleep 100");
	ok(kennel_start(spec, seen.id, &err), err);
	assert_int_equal(pthread_create(&thread, NULL, stop_it, &seen), 0);
	ok(kennel_watch(note, &seen, &err), err);
	pthread_join(thread, NULL);
	assert_true(seen.running && seen.stopped);
	kennel_spec_free(spec);
}

static void make_auto(const char *name, const char *order, const char *group)
{
	struct kennel_spec *spec;

	assert_int_equal(kennel_spec_new(&spec, NULL), 0);
	assert_int_equal(kennel_spec_set(spec, "autostart", "yes", NULL), 0);
	assert_int_equal(kennel_spec_set(spec, "start-order", order, NULL), 0);
	if (group)
		assert_int_equal(kennel_spec_set(spec, "start-group", group, NULL), 0);
	assert_int_equal(kennel_container_create(store, name, spec, NULL), 0);
	kennel_spec_free(spec);
}

static void test_autostart_list_is_in_order(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	static const char *const names[] = { "c", "a", "b" }, *const groups[] = { "one", "none", NULL };
	struct kennel_list *list;

	need_root();
	make_auto("a", "1", NULL);
	make_auto("b", "0", "one");
	make_auto("c", "18446744073709551615", NULL);
	ok(kennel_autostart_list(store, NULL, &list, &err), err);
	assert_int_equal(kennel_list_count(list), 3); /* "box" is none */
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_string_equal(kennel_list_value(list, i, "name"), names[i]);
	assert_string_equal(kennel_list_value(list, 1, "order"), "1");
	assert_string_equal(kennel_list_value(list, 1, "delay-ms"), "0");
	assert_string_equal(kennel_list_detail(list, 2, "group", 0), "one");
	kennel_list_free(list);
	ok(kennel_autostart_list(store, groups, &list, &err), err);
	assert_int_equal(kennel_list_count(list), 1);
	kennel_list_free(list);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		ok(kennel_container_remove(store, names[i], 0, &err), err);
}

static void test_states_have_names(void **state)
{
	assert_string_equal(kennel_state_name(KENNEL_STATE_FROZEN), "frozen");
	assert_null(kennel_state_name((enum kennel_state)0));
	assert_null(kennel_state_name((enum kennel_state)3));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_start_wait_freeze_thaw_stop),
		cmocka_unit_test(test_limits_are_read_and_set),
		cmocka_unit_test(test_here_gives_the_exit_code_and_the_log_has_what_was_shown),
		cmocka_unit_test(test_watch_hears_of_each),
		cmocka_unit_test(test_autostart_list_is_in_order),
		cmocka_unit_test(test_states_have_names),
	};

	return cmocka_run_group_tests_name("live", tests, set_up, tear_down);
}
