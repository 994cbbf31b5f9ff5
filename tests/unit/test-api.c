/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit/test-api.c - the public functions as a program uses them, with real sandboxes.
 *
 * Sandboxes of other people may run on the same machine at the same time, so nothing here counts all of them.
 * What a start may not do to its caller is looked at again and again: descriptors, memory, signals,
 * directory, mounts.
 */
#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <kennel/kennel.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/macro.h"

#define CYCLES 20

/* Pairs of key and value; the words of one start. */
struct wish {
	const char *name;
	const char *options[12];
	const char *command; /* of sh -c; NULL: words */
	const char *const *words;
};

static void refuse_user(void)
{
	if (geteuid() != 0)
		skip_test("needs root");
}

#define ok(call, err) \
	do { \
		if ((call) < 0) \
			fail_msg("%s: %s", #call, kennel_error_message(err)); \
	} while (0)

static struct kennel_spec *wish_spec(const struct wish *w)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	const char *const shell[] = { "/bin/sh", "-c", w->command, NULL };
	struct kennel_spec *spec;

	ok(kennel_spec_new(&spec, &err), err);
	ok(kennel_spec_set(spec, "tty", "no", &err), err);
	ok(kennel_spec_set(spec, "net", "none", &err), err);
	ok(kennel_spec_set(spec, "size", "64M", &err), err);
	for (size_t i = 0; i < ARRAY_SIZE(w->options) && w->options[i]; i += 2)
		ok(kennel_spec_set(spec, w->options[i], w->options[i + 1], &err), err);
	ok(kennel_spec_set_command(spec, w->command ? shell : w->words, &err), err);
	return spec;
}

static int try_start(const struct wish *w, struct kennel_sandbox **ret, struct kennel_error **err)
{
	struct kennel_spec *spec = wish_spec(w);
	int r = kennel_sandbox_start(spec, ret, err);

	kennel_spec_free(spec);
	return r;
}

static struct kennel_sandbox *start(const struct wish *w)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	struct kennel_sandbox *sb = NULL;

	if (try_start(w, &sb, &err) < 0)
		fail_msg("start \"%s\": %s", w->name ? w->name : w->command, kennel_error_message(err));
	return sb;
}

static int wait_end(struct kennel_sandbox *sb)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	int status = -1;

	ok(kennel_sandbox_wait(sb, -1, &status, &err), err);
	return status;
}

/* The error of a refused start, in words and code; the sandbox must not be there. */
static void refused(const struct wish *w, int code, const char *text)
{
	const int exit_code = code == KENNEL_E_NOCOMMAND ? 127 : code == KENNEL_E_NOTEXEC ? 126 : 125;
	_cleanup_error_ struct kennel_error *err = NULL;
	struct kennel_sandbox *sb = NULL;
	int r = try_start(w, &sb, &err);

	assert_null(sb);
	if (r != -code || !strstr(kennel_error_message(err), text))
		fail_msg("%s: got %d \"%s\", want %d \"%s\"", w->name, r, kennel_error_message(err), -code,
			 text);
	assert_int_equal(kennel_error_code(err), code);
	assert_int_equal(kennel_exit_code(err), exit_code);
	assert_int_equal(try_start(w, &sb, NULL), -code);
	assert_int_equal(waitpid(-1, NULL, WNOHANG | __WALL), -1);
	assert_int_equal(errno, ECHILD);
}

static void test_version_is_three_numbers(void **state)
{
	unsigned major, minor, patch;
	char rest;

	assert_int_equal(sscanf(kennel_version(), "%u.%u.%u%c", &major, &minor, &patch, &rest), 3);
}

static void test_free_nothing_is_fine(void **state)
{
	assert_null(kennel_spec_free(NULL));
	assert_null(kennel_sandbox_free(NULL));
	assert_null(kennel_list_free(NULL));
	assert_int_equal(kennel_exit_code(NULL), 0);
}

static void test_spec_set_refuses_with_words(void **state)
{
	static const struct {
		const char *key, *value, *text, *hint;
	} bad[] = {
		{ "isolte", "user", "there is no option \"isolte\"", "did you mean \"isolate\"?" },
		{ "isolate", "strong", "isolate: \"strong\"", "fs, ns, user" },
		{ "size", "much", "size: \"much\" is not a size", "512M" },
		{ "hostname", "-x", "hostname: \"-x\" is not a host name", "letters" },
		{ "share", "etc", "share: ", "PATH" },
		{ "env", "=1", "env: \"=1\" has no name", "NAME=VALUE" },
	};
	struct kennel_spec *spec;

	assert_int_equal(kennel_spec_new(&spec, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_error_ struct kennel_error *err = NULL;

		assert_int_equal(kennel_spec_set(spec, bad[i].key, bad[i].value, &err), -KENNEL_E_INVALID);
		assert_non_null(strstr(kennel_error_message(err), bad[i].text));
		assert_non_null(kennel_error_hint(err));
		assert_non_null(strstr(kennel_error_hint(err), bad[i].hint));
		assert_int_equal(kennel_exit_code(err), 125);
		assert_int_equal(kennel_spec_set(spec, bad[i].key, bad[i].value, NULL), -KENNEL_E_INVALID);
	}
	assert_null(kennel_spec_free(spec));
}

static void test_spec_command_is_copied_and_the_last_one_counts(void **state)
{
	char code[] = "exit 4";
	const char *first[] = { "/bin/false", NULL }, *second[] = { "/bin/sh", "-c", code, NULL };
	struct kennel_sandbox *sb = NULL;

	refuse_user();
	struct kennel_spec *spec = wish_spec(&(struct wish){ .words = first });
	assert_int_equal(kennel_spec_set_command(spec, second, NULL), 0);
	code[5] = '9';
	second[0] = NULL;
	assert_int_equal(kennel_sandbox_start(spec, &sb, NULL), 0);
	kennel_spec_free(spec); /* before its sandbox */
	assert_int_equal(wait_end(sb), 4);
	kennel_sandbox_free(sb);
}

static void test_start_gives_the_exit_code_at_each_level(void **state)
{
	static const char *const levels[] = { "fs", "ns", "user", "auto" };

	refuse_user();
	for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
		const struct wish w = {
			.options = { "isolate", levels[i], "net", i ? "none" : "host" },
			.command = "test $(id -u) = 0 && exit 7",
		};
		struct kennel_sandbox *sb = start(&w);

		assert_int_equal(wait_end(sb), 7);
		assert_int_equal(wait_end(sb), 7);
		assert_int_equal(kennel_sandbox_save(sb, NULL), 0); /* thrown away: only ended */
		kennel_sandbox_free(sb);
	}
}

static void test_leave_removes_what_has_a_name_and_may_be_followed_by_free(void **state)
{
	struct kennel_list *list = NULL;

	kennel_sandbox_leave(NULL);
	refuse_user();
	struct kennel_sandbox *sb = start(&(struct wish){ .command = "sleep 100" });
	const char *id = kennel_sandbox_id(sb);
	assert_int_equal(kennel_list_read(id, &list, NULL), 0);
	list = kennel_list_free(list);
	kennel_sandbox_leave(sb);
	assert_int_equal(kennel_list_read(id, &list, NULL), -KENNEL_E_NOTFOUND);
	assert_int_equal(kennel_sandbox_signal(sb, SIGTERM, NULL), -KENNEL_E_NOTFOUND);
	kennel_sandbox_free(sb);
}

static void test_wait_running_leaves_the_status_alone(void **state)
{
	int status = -5;

	refuse_user();
	struct kennel_sandbox *sb = start(&(struct wish){ .command = "sleep 100" });
	assert_int_equal(kennel_sandbox_wait(sb, 0, &status, NULL), 0);
	assert_int_equal(kennel_sandbox_wait(sb, 20, &status, NULL), 0);
	assert_int_equal(status, -5);
	kennel_sandbox_free(sb);
}

static void wait_for_file(struct kennel_sandbox *sb, const char *path)
{
	struct kennel_list *list = NULL;
	char name[256];

	assert_int_equal(kennel_list_read(kennel_sandbox_id(sb), &list, NULL), 0);
	snprintf(name, sizeof(name), "%s/%s", kennel_list_value(list, 0, "root"), path);
	kennel_list_free(list);
	for (unsigned i = 0; i < 1000 && access(name, F_OK) < 0; i++)
		usleep(10000);
	assert_int_equal(access(name, F_OK), 0);
}

static void test_signal_reaches_the_command(void **state)
{
	static const struct {
		int sig, status;
		const char *command;
	} t[] = {
		{ SIGTERM, 143, "exec sleep 100" },
		{ SIGKILL, 137, "trap '' TERM; exec sleep 100" },
		{ SIGUSR1, 23, "trap 'exit 23' USR1; echo >/tmp/ready; while :; do sleep 0.05; done" },
	};

	refuse_user();
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		_cleanup_error_ struct kennel_error *err = NULL;
		struct kennel_sandbox *sb = start(&(struct wish){ .command = t[i].command });

		if (t[i].sig == SIGUSR1)
			wait_for_file(sb, "tmp/ready"); /* the trap is set */
		ok(kennel_sandbox_signal(sb, t[i].sig, &err), err);
		assert_int_equal(wait_end(sb), t[i].status);
		assert_int_equal(kennel_sandbox_signal(sb, t[i].sig, &err), -KENNEL_E_NOTFOUND);
		assert_non_null(strstr(kennel_error_message(err), "has ended"));
		assert_non_null(strstr(kennel_error_message(err), kennel_sandbox_id(sb)));
		kennel_sandbox_free(sb);
	}
}

/* A signal that was pending before is handed on too, and none is left over. */
static void test_run_hands_signals_on_and_restores_the_mask(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	sigset_t set, old, now, pending;
	int status = -1;

	refuse_user();
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &set, &old);
	struct kennel_sandbox *sb = start(&(struct wish){ .command = "exec sleep 100" });
	raise(SIGTERM);
	ok(kennel_sandbox_run(sb, &status, &err), err);
	assert_int_equal(status, 143);
	pthread_sigmask(SIG_SETMASK, NULL, &now);
	assert_int_equal(sigismember(&now, SIGTERM), 1);
	assert_int_equal(sigismember(&now, SIGINT), sigismember(&old, SIGINT));
	sigpending(&pending);
	assert_int_equal(sigismember(&pending, SIGTERM), 0);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	kennel_sandbox_free(sb);
}

static void test_run_carries_the_terminal(void **state)
{
	char text[64] = "";
	int status = -1;

	refuse_user();
	struct kennel_sandbox *plain = start(&(struct wish){ .command = "exit 0" });
	assert_null(kennel_sandbox_container(plain));
	assert_int_equal(kennel_sandbox_is_interactive(plain), 0);
	kennel_sandbox_free(plain);

	_cleanup_close_ int out = memfd_create("out", MFD_CLOEXEC), old_in = fcntl(0, F_DUPFD_CLOEXEC, 3),
			    old_out = fcntl(1, F_DUPFD_CLOEXEC, 3),
			    null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct kennel_sandbox *sb = start(&(struct wish){
		.options = { "tty", "yes" }, .command = "test -t 0 && test -t 1 && echo hello; exit 6" });
	int interactive = kennel_sandbox_is_interactive(sb);
	fflush(stdout);
	dup2(null, 0);
	dup2(out, 1);
	int r = kennel_sandbox_run(sb, &status, NULL);
	dup2(old_in, 0);
	dup2(old_out, 1);
	assert_int_equal(interactive, 1);
	assert_int_equal(r, 0);
	assert_int_equal(status, 6);
	assert_true(pread(out, text, sizeof(text) - 1, 0) > 0);
	assert_string_equal(text, "hello\r\n");
	kennel_sandbox_free(sb);
}

static void test_start_refused_tells_why_and_leaves_nothing(void **state)
{
	static const char *const missing[] = { "kennel-no-such-command", NULL };
	static const char *const no_program[] = { "/etc/passwd", NULL };
	static const struct {
		struct wish wish;
		int code;
		const char *text;
	} t[] = {
		{ { "no command", .words = missing }, KENNEL_E_NOCOMMAND, "kennel-no-such-command" },
		{ { "no program", .words = no_program }, KENNEL_E_NOTEXEC, "/etc/passwd" },
		{ { "base", { "base", "/nope" }, ":" }, KENNEL_E_NOTFOUND, "/nope" },
		{ { "layer", { "layer", "/nope" }, ":" }, KENNEL_E_NOTFOUND, "/nope" },
		{ { "share", { "share", "/nope" }, ":" }, KENNEL_E_NOTFOUND, "/nope" },
		{ { "user", { "user", "kennel-nobody" }, ":" }, KENNEL_E_INVALID, "kennel-nobody" },
		{ { "workdir", { "workdir", "/nope" }, ":" }, KENNEL_E_INVALID, "/nope" },
		{ { "device", { "device", "/dev/null:r" }, ":" }, KENNEL_E_INVALID, "/dev/null" },
		{ { "vm", { "isolate", "vm", "net", "host" }, ":" }, KENNEL_E_UNSUPPORTED, "network" },
		{ { "idmap", { "isolate", "ns", "idmap", "100000" }, ":" }, KENNEL_E_INVALID, "idmap" },
		{ { "net", { "isolate", "fs" }, ":" }, KENNEL_E_INVALID, "net" },
		{ { "name", { "isolate", "fs", "net", "host", "hostname", "x" }, ":" },
		  KENNEL_E_INVALID,
		  "host name" },
	};

	refuse_user();
	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		refused(&t[i].wish, t[i].code, t[i].text);
}

/*
 * "no" leaves only levels without a user namespace, so the strongest of these is taken, as for a level that
 * was named.
 */
static void test_idmap_no_without_a_level_takes_ns(void **state)
{
	struct kennel_list *list = NULL;

	refuse_user();
	struct kennel_sandbox *sb =
		start(&(struct wish){ .options = { "idmap", "no" }, .command = "sleep 100" });
	assert_int_equal(kennel_list_read(kennel_sandbox_id(sb), &list, NULL), 0);
	assert_string_equal(kennel_list_value(list, 0, "isolate"), "ns");
	assert_string_equal(kennel_list_value(list, 0, "idmap"), "no");
	kennel_list_free(list);
	kennel_sandbox_free(sb);
}

static void test_env_of_the_spec_wins_over_the_callers(void **state)
{
	refuse_user();
	setenv("LANG", "C.UTF-8", 1);
	struct kennel_sandbox *sb = start(&(struct wish){
		.options = { "env", "LANG=xx", "env", "HOME=/nowhere", "env", "HOME=/tmp", "env", "A=1" },
		.command =
			"test \"$LANG $HOME $A\" = 'xx /tmp 1' && test $(tr '\\0' '\\n' </proc/$$/environ |"
			" grep -cE '^(LANG|HOME)=') = 2 && exit 3" });
	assert_int_equal(wait_end(sb), 3);
	kennel_sandbox_free(sb);
}

static void remember(void *data, enum kennel_log_level level, const char *text)
{
	char *all = data;

	if (level == KENNEL_LOG_WARN && !strchr(text, '\n'))
		strncat(all, text, 511 - strlen(all));
}

/* sysfs has no id maps, which a person must be told. */
static void test_log_hears_a_warning(void **state)
{
	char text[512] = "";
	struct kennel_sandbox *sb = NULL;

	refuse_user();
	struct kennel_spec *spec =
		wish_spec(&(struct wish){ .options = { "mount", "/sys/fs:/mnt:ro" }, .command = "exit 0" });
	kennel_spec_set_log(spec, remember, text);
	assert_int_equal(kennel_sandbox_start(spec, &sb, NULL), 0);
	kennel_spec_free(spec);
	assert_non_null(strstr(text, "\"/sys/fs\" lies on a file system that can't show shifted ids"));
	assert_int_equal(wait_end(sb), 0);
	kennel_sandbox_free(sb);
}

static uint64_t count(struct kennel_sandbox *sb)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	uint64_t n = UINT64_MAX;

	ok(kennel_sandbox_count_changes(sb, &n, &err), err);
	return n;
}

/* What a keep does is seen where a person does it: integ/43-leave. */
static void test_keep_refuses_what_runs_and_bad_names(void **state)
{
	struct kennel_error *busy = NULL, *name = NULL;

	refuse_user();
	struct kennel_spec *spec = wish_spec(&(struct wish){ .command = "read x; exit 0" });
	struct kennel_sandbox *sb = start(&(struct wish){ .command = "sleep 300" });
	assert_int_equal(kennel_sandbox_keep(sb, spec, "kept", NULL, NULL, &busy), -KENNEL_E_BUSY);
	assert_non_null(strstr(kennel_error_message(busy), "still runs"));
	assert_int_equal(kennel_sandbox_signal(sb, SIGKILL, NULL), 0);
	assert_int_equal(wait_end(sb), 128 + SIGKILL);
	assert_int_equal(kennel_sandbox_keep(sb, spec, "-x", NULL, NULL, &name), -KENNEL_E_INVALID);
	kennel_error_free(busy);
	kennel_error_free(name);
	kennel_spec_free(spec);
	kennel_sandbox_free(sb);
}

static void test_count_changes_counts_files_and_deletions(void **state)
{
	refuse_user();
	struct kennel_sandbox *sb = start(&(struct wish){ .command = "exit 0" });
	assert_int_equal(wait_end(sb), 0);
	assert_int_equal(count(sb), 0);
	kennel_sandbox_free(sb);

	sb = start(&(struct wish){
		.command = "mkdir /var/d && echo >/var/d/a && ln -s a /var/d/b && rm /etc/passwd" });
	assert_int_equal(wait_end(sb), 0);
	assert_int_equal(count(sb), 3);
	kennel_sandbox_free(sb);
	assert_int_equal(access("/etc/passwd", F_OK), 0);
	assert_int_equal(access("/var/d", F_OK), -1);
}

static void test_list_has_the_facts_of_a_sandbox(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	struct kennel_list *list = NULL;
	char pid[16], name[512];
	struct stat st;

	refuse_user();
	struct kennel_sandbox *sb = start(&(struct wish){ .options = { "hostname", "box", "isolate", "user" },
							  .command = "exec sleep 100" });
	ok(kennel_list_read(kennel_sandbox_id(sb), &list, &err), err);
	assert_int_equal(kennel_list_count(list), 1);
	snprintf(pid, sizeof(pid), "%d", getpid());
	const char *const facts[][2] = {
		{ "id", kennel_sandbox_id(sb) },
		{ "isolate", "user" },
		{ "pid", pid },
		{ "base", "system" },
		{ "net", "none" },
		{ "hostname", "box" },
		{ "size", "67108864" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(facts); i++)
		assert_string_equal(kennel_list_value(list, 0, facts[i][0]), facts[i][1]);
	assert_non_null(strstr(kennel_list_value(list, 0, "command"), "'exec sleep 100'"));
	assert_non_null(strchr(kennel_list_value(list, 0, "idmap"), ':'));
	assert_true(llabs(strtoll(kennel_list_value(list, 0, "created"), NULL, 10) - (long long)time(NULL)) <
		    60);
	snprintf(name, sizeof(name), "/proc/%s/root", kennel_list_value(list, 0, "init"));
	assert_string_equal(kennel_list_value(list, 0, "root"), name);
	snprintf(name, sizeof(name), "%s/etc/passwd", kennel_list_value(list, 0, "root"));
	assert_int_equal(stat(name, &st), 0);
	assert_null(kennel_list_value(list, 0, "colour"));
	assert_null(kennel_list_value(list, 1, "id"));
	assert_null(kennel_list_detail(list, 1, "mount", 0));
	kennel_list_free(list);
	kennel_sandbox_free(sb);
}

static size_t check_mounts(const struct kennel_list *list)
{
	const char *line;
	bool root = false;
	size_t n = 0;

	for (; (line = kennel_list_detail(list, 0, "mount", n)); n++) {
		assert_true(strncmp(line, "copied\t/", 8) == 0 || strncmp(line, "new\t/", 5) == 0 ||
			    strncmp(line, "left-out\t/", 10) == 0);
		root |= strncmp(line, "copied\t/\t", 9) == 0;
	}
	assert_true(root);
	assert_null(kennel_list_detail(list, 0, "mount", n + 1));
	return n;
}

static void test_list_finds_by_beginning_and_refuses_what_is_not_one(void **state)
{
	_cleanup_error_ struct kennel_error *ambiguous = NULL, *gone = NULL;
	struct kennel_list *list = NULL;
	const struct wish sleeper = { .command = "exec sleep 100" };
	char id[32];

	refuse_user();
	struct kennel_sandbox *a = start(&sleeper), *b = start(&sleeper);
	snprintf(id, sizeof(id), "%.7s", kennel_sandbox_id(a));
	assert_int_equal(kennel_list_read(id, &list, NULL), 0);
	assert_string_equal(kennel_list_value(list, 0, "id"), kennel_sandbox_id(a));
	assert_true(check_mounts(list) > 0);
	list = kennel_list_free(list);
	assert_int_equal(kennel_list_read(NULL, &list, NULL), 0);
	assert_true(kennel_list_count(list) >= 2);
	list = kennel_list_free(list);

	assert_int_equal(kennel_list_read("", &list, &ambiguous), -KENNEL_E_INVALID);
	assert_non_null(strstr(kennel_error_message(ambiguous), "is the beginning of every"));
	assert_non_null(kennel_error_hint(ambiguous));
	snprintf(id, sizeof(id), "%s", kennel_sandbox_id(a));
	kennel_sandbox_free(a);
	kennel_sandbox_free(b);
	assert_int_equal(kennel_list_read(id, &list, &gone), -KENNEL_E_NOTFOUND);
	assert_non_null(strstr(kennel_error_message(gone), id));
	assert_non_null(kennel_error_hint(gone));
	assert_null(list);
}

static void test_base_read_lists_this_machine(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	struct kennel_list *base = NULL;

	ok(kennel_base_read(&base, &err), err);
	assert_int_equal(kennel_list_count(base), 1);
	assert_true(check_mounts(base) > 0);
	for (size_t i = 0; kennel_list_detail(base, 0, "layer", i); i++)
		assert_int_equal(kennel_list_detail(base, 0, "layer", i)[0], '/');
	kennel_list_free(base);
}

/*
 * An entry without a lock is what a killed monitor left. Another kennel of this machine may be quicker than
 * ours.
 */
static void test_gc_removes_the_dead_and_spares_the_living(void **state)
{
	static const char name[] = "/run/kennel/0badc0de";
	size_t removed = 0;

	refuse_user();
	struct kennel_list *list = NULL;
	struct kennel_sandbox *sb = start(&(struct wish){ .command = "exec sleep 100" });
	for (unsigned i = 0; i < 10 && !removed; i++) {
		_cleanup_close_ int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

		assert_true(fd >= 0);
		assert_int_equal(kennel_gc(&removed, NULL), 0);
		assert_int_equal(access(name, F_OK), -1);
	}
	assert_true(removed >= 1);
	assert_int_equal(kennel_gc(NULL, NULL), 0);
	assert_int_equal(kennel_list_read(kennel_sandbox_id(sb), &list, NULL), 0);
	kennel_list_free(list);
	kennel_sandbox_free(sb);
}

static void test_copy_goes_in_and_out(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL, *both = NULL, *neither = NULL, *gone = NULL;
	char dir[] = "/tmp/kennel-api-XXXXXX", inside[64], in[64], out[64], text[16] = "";

	refuse_user();
	assert_non_null(mkdtemp(dir));
	snprintf(in, sizeof(in), "%s/in", dir);
	snprintf(out, sizeof(out), "%s/out", dir);
	_cleanup_close_ int fd = open(in, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
	assert_int_equal(write(fd, "sentence\n", 9), 9);
	struct kennel_sandbox *sb =
		start(&(struct wish){ .command = "until test -e /root/x; do sleep 0.02; done;"
						 "grep -q sentence /root/x && exec sleep 100" });
	snprintf(inside, sizeof(inside), "%s:/root/x", kennel_sandbox_id(sb));
	int r = kennel_copy(in, inside, &err);
	if (r == 0)
		r = kennel_copy(inside, out, &err);
	_cleanup_close_ int out_fd = open(out, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(out_fd, text, sizeof(text) - 1);
	unlink(in);
	unlink(out);
	rmdir(dir);
	if (r < 0)
		fail_msg("%s", kennel_error_message(err));
	assert_int_equal(n, 9);
	assert_string_equal(text, "sentence\n");
	assert_int_equal(kennel_copy(inside, inside, &both), -KENNEL_E_INVALID);
	assert_non_null(strstr(kennel_error_message(both), "both are in a sandbox"));
	assert_int_equal(kennel_copy("/etc/passwd", "/nope", &neither), -KENNEL_E_INVALID);
	assert_non_null(strstr(kennel_error_message(neither), "neither is in a sandbox"));
	kennel_sandbox_free(sb);
	assert_int_equal(kennel_copy(inside, out, &gone), -KENNEL_E_NOTFOUND);
	assert_non_null(kennel_error_hint(gone));
}

static unsigned open_descriptors(void)
{
	_cleanup_closedir_ DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	return n;
}

/* Starts of every kind, good and refused: what a library caller does all day. */
static const char *const no_such[] = { "kennel-no-such-command", NULL };
static const struct wish cycles[] = {
	{ .name = "user", .command = "exit 0" },
	{ .name = "ns", .options = { "isolate", "ns" }, .command = "exit 0" },
	{ .name = "fs", .options = { "isolate", "fs", "net", "host" }, .command = "exit 0" },
	{ .name = "share", .options = { "share", "/usr", "mount", "/etc:/mnt:ro" }, .command = "exit 0" },
	{ .name = "terminal", .options = { "tty", "yes" }, .command = "exit 0" },
	{ .name = "limits",
	  .options = { "isolate", "ns", "pids", "100", "device", "/dev/null" },
	  .command = "exit 0" },
	{ .name = "killed", .command = "exec sleep 100" },
	{ .name = "nat", .options = { "net", "auto" }, .command = "exit 0" },
	{ .name = "no command", .words = no_such },
	{ .name = "no command, share", .options = { "share", "/usr" }, .words = no_such },
	{ .name = "no base", .options = { "base", "/nope" }, .command = ":" },
	{ .name = "no share", .options = { "share", "/usr", "share", "/nope" }, .command = ":" },
	{ .name = "no user", .options = { "user", "kennel-nobody", "tty", "yes" }, .command = ":" },
	{ .name = "no room", .options = { "size", "1" }, .command = ":" },
	{ .name = "no idmap", .options = { "isolate", "ns", "idmap", "100000" }, .command = ":" },
};

static void cycle(const struct wish *w)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	struct kennel_sandbox *sb = NULL;
	int r = try_start(w, &sb, &err);

	if (r == 0 && strcmp(w->name, "killed") != 0)
		wait_end(sb);
	else if (r < 0 && strncmp(w->name, "no ", 3) != 0)
		fail_msg("%s: %s", w->name, kennel_error_message(err));
	kennel_sandbox_free(sb);
}

static void test_starts_leak_no_descriptor_and_no_memory(void **state)
{
	refuse_user();
	for (size_t i = 0; i < ARRAY_SIZE(cycles); i++) {
		/* what is kept on purpose (the descriptor of /proc, libc's own) exists from here */
		cycle(&cycles[i]);
		unsigned before = open_descriptors();
		size_t used = mallinfo2().uordblks;

		for (unsigned k = 0; k < (strcmp(cycles[i].name, "nat") == 0 ? 3 : CYCLES); k++)
			cycle(&cycles[i]);
		unsigned after = open_descriptors();
		if (before != after)
			fail_msg("%s: %u descriptors before, %u after", cycles[i].name, before, after);
		/* under the sanitizer both are 0, and it looks itself at the end */
		size_t now_used = mallinfo2().uordblks;
		if (now_used != used)
			fail_msg("%s: %zu bytes before, %zu after", cycles[i].name, used, now_used);
		assert_int_equal(waitpid(-1, NULL, WNOHANG | __WALL), -1);
	}
}

struct caller_state {
	sigset_t mask;
	char cwd[512], mount_ns[64];
	mode_t umask;
};

static void read_caller(struct caller_state *ret)
{
	*ret = (struct caller_state){ 0 };
	pthread_sigmask(SIG_SETMASK, NULL, &ret->mask);
	assert_non_null(getcwd(ret->cwd, sizeof(ret->cwd)));
	assert_true(readlink("/proc/thread-self/ns/mnt", ret->mount_ns, sizeof(ret->mount_ns) - 1) > 0);
	ret->umask = umask(0);
	umask(ret->umask);
}

static void test_start_leaves_its_caller_as_it_was(void **state)
{
	struct caller_state before, after;

	refuse_user();
	for (size_t i = 0; i < ARRAY_SIZE(cycles); i++) {
		read_caller(&before);
		cycle(&cycles[i]);
		read_caller(&after);
		for (int sig = 1; sig < NSIG; sig++)
			assert_int_equal(sigismember(&before.mask, sig), sigismember(&after.mask, sig));
		assert_string_equal(before.cwd, after.cwd);
		assert_string_equal(before.mount_ns, after.mount_ns);
		assert_int_equal(before.umask, after.umask);
	}
}

struct thread_work {
	const char *options[4], *command;
	int status, failures;
	char text[256];
};

static void *start_many(void *data)
{
	struct thread_work *t = data;
	const struct wish w = { .options = { t->options[0], t->options[1] }, .command = t->command };

	/* no assert here: cmocka would jump out of another thread's stack */
	for (unsigned i = 0; i < CYCLES; i++) {
		_cleanup_error_ struct kennel_error *err = NULL;
		struct kennel_sandbox *sb = NULL;
		int status = -1;

		if (try_start(&w, &sb, &err) < 0 || kennel_sandbox_wait(sb, -1, &status, &err) < 0 ||
		    status != t->status) {
			snprintf(t->text, sizeof(t->text), "status %d, %s", status,
				 kennel_error_message(err));
			t->failures++;
		}
		kennel_sandbox_free(sb);
	}
	return NULL;
}

static void test_start_from_two_threads_at_once(void **state)
{
	struct thread_work work[] = {
		{ .options = { "share", "/usr:ro" }, .command = "exit 11", .status = 11 },
		{ .options = { "isolate", "user" }, .command = "exit 12", .status = 12 },
	};
	pthread_t threads[ARRAY_SIZE(work)];

	refuse_user();
	unsigned before = open_descriptors();
	for (size_t i = 0; i < ARRAY_SIZE(work); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, start_many, &work[i]), 0);
	for (size_t i = 0; i < ARRAY_SIZE(work); i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(work); i++)
		if (work[i].failures)
			fail_msg("%s: %d of %d: %s", work[i].command, work[i].failures, CYCLES, work[i].text);
	assert_int_equal(open_descriptors(), before);
}

int main(int argc, char **argv)
{
	/*
	 * Pieces that malloc keeps for its thread would count as memory in use; it reads this at its start.
	 */
	if (!getenv("GLIBC_TUNABLES") && setenv("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0", 1) == 0)
		execv("/proc/self/exe", argv);

	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_version_is_three_numbers),
		cmocka_unit_test(test_free_nothing_is_fine),
		cmocka_unit_test(test_spec_set_refuses_with_words),
		cmocka_unit_test(test_spec_command_is_copied_and_the_last_one_counts),
		cmocka_unit_test(test_start_gives_the_exit_code_at_each_level),
		cmocka_unit_test(test_leave_removes_what_has_a_name_and_may_be_followed_by_free),
		cmocka_unit_test(test_wait_running_leaves_the_status_alone),
		cmocka_unit_test(test_signal_reaches_the_command),
		cmocka_unit_test(test_run_hands_signals_on_and_restores_the_mask),
		cmocka_unit_test(test_run_carries_the_terminal),
		cmocka_unit_test(test_start_refused_tells_why_and_leaves_nothing),
		cmocka_unit_test(test_idmap_no_without_a_level_takes_ns),
		cmocka_unit_test(test_env_of_the_spec_wins_over_the_callers),
		cmocka_unit_test(test_log_hears_a_warning),
		cmocka_unit_test(test_keep_refuses_what_runs_and_bad_names),
		cmocka_unit_test(test_count_changes_counts_files_and_deletions),
		cmocka_unit_test(test_list_has_the_facts_of_a_sandbox),
		cmocka_unit_test(test_list_finds_by_beginning_and_refuses_what_is_not_one),
		cmocka_unit_test(test_base_read_lists_this_machine),
		cmocka_unit_test(test_gc_removes_the_dead_and_spares_the_living),
		cmocka_unit_test(test_copy_goes_in_and_out),
		cmocka_unit_test(test_starts_leak_no_descriptor_and_no_memory),
		cmocka_unit_test(test_start_leaves_its_caller_as_it_was),
		cmocka_unit_test(test_start_from_two_threads_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
