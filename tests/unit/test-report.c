/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* unit/test-report.c - what child and init say through the pipe, as sentences with a hint. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "run/child.h"
#include "run/init.h"
#include "run/report.h"
#include "sys/sys.h"
#include "vm/blob.h"

static struct plan_overlay overlays[] = { { "/", "ext4", true }, { "/boot", "vfat", true } };
static struct spec_mount mounts[] = { { (char *)"/src", (char *)"/mnt/dst", false } };
static char *words[] = { (char *)"nosuch", (char *)"arg", NULL };

/* Sends bytes as child or init would and returns what report_wait() makes of them. */
static int wait_for(const void *data, size_t size, struct spec *spec, bool *ret_refused,
		    struct kennel_error **err)
{
	struct plan plan = { .overlays = overlays, .n_overlays = ARRAY_SIZE(overlays) };
	struct sandbox sb = { .plan = &plan };
	struct launch l = { .sb = &sb, .spec = spec };
	int fds[2], pid_fd;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(write(fds[1], data, size), size);
	/*
	 * Never readable where there is a word, like the pidfd of a living init; an ended process where there
	 * is none.
	 */
	pid_t pid = size ? -1 : fork();
	if (pid == 0)
		_exit(0);
	pid_fd = size ? fds[1] : sys_pidfd_open(pid, 0);
	l.report_fd = fds[0];
	sb.init_pidfd = pid_fd;
	int r = report_wait(&l, err);
	if (!size) {
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		close(pid_fd);
	}
	close(fds[0]);
	close(fds[1]);
	*ret_refused = l.level_refused;
	return r;
}

static const struct {
	int step, errnum, index;
	const char *text;
	int code;
	const char *message;
	const char *hint; /* part; NULL: none */
	bool refused;
} child_rows[] = {
	{ CHILD_STEP_OVERLAY, EINVAL, 1, "overlay: bad", KENNEL_E_INVALID,
	  "make the overlay at \"/boot\" (overlay: bad): Invalid argument", "stacked twice", true },
	{ CHILD_STEP_OVERLAY, EPERM, 0, "", KENNEL_E_PERM,
	  "make the overlay at \"/\": Operation not permitted", NULL, true },
	{ CHILD_STEP_OVERLAY, ELOOP, 0, "", KENNEL_E_TYPE,
	  "make the overlay at \"/\": Too many levels of symbolic links", "lies inside of", false },
	{ CHILD_STEP_OVERLAY, ENODEV, 0, "", KENNEL_E_UNSUPPORTED, "this kernel has no overlay file system",
	  "modprobe overlay", false },
	{ CHILD_STEP_OVERLAY, ENOSPC, 0, "", KENNEL_E_NOSPACE,
	  "make the overlay at \"/\": No space left on device", "--size", false },
	{ CHILD_STEP_OVERLAY, EACCES, 99, "", KENNEL_E_PERM, "make the overlay: Permission denied", NULL,
	  false },
	{ CHILD_STEP_TARGET, ENOSPC, 1, "", KENNEL_E_NOSPACE,
	  "find the mount point at \"/boot\": No space left on device", "--size", false },
	{ CHILD_STEP_ATTACH, ENOSPC, 1, "", KENNEL_E_NOSPACE,
	  "mount the copy at \"/boot\": No space left on device", "fs.mount-max", false },
	{ CHILD_STEP_PROC, ENOSPC, 0, "", KENNEL_E_NOSPACE, "mount /proc: No space left on device",
	  "fs.mount-max", false },
	{ CHILD_STEP_NAMESPACES, ENOSPC, 0, "", KENNEL_E_NOSPACE,
	  "make the namespaces: No space left on device", "/proc/sys/user", false },
	{ CHILD_STEP_NAMESPACES, EPERM, 0, "", KENNEL_E_PERM, "make the namespaces: Operation not permitted",
	  NULL, true },
	{ CHILD_STEP_NAMESPACES, ENOMEM, 0, "", KENNEL_E_NOMEM, "make the namespaces: Cannot allocate memory",
	  NULL, false },
	{ CHILD_STEP_PROC, ELOOP, 0, "", KENNEL_E_TYPE, "mount /proc: Too many levels of symbolic links",
	  "such a base is refused", false },
	{ CHILD_STEP_SYS, EPERM, 0, "", KENNEL_E_PERM, "mount /sys: Operation not permitted", "fully visible",
	  false },
	{ CHILD_STEP_DEV, ENOTDIR, 0, "", KENNEL_E_TYPE, "mount /dev: Not a directory",
	  "such a base is refused", false },
	{ CHILD_STEP_BIND, ELOOP, 0, "", KENNEL_E_TYPE,
	  "mount what is shared at \"/mnt/dst\": Too many levels of symbolic links", "never followed",
	  false },
	{ CHILD_STEP_BIND, EROFS, 7, "", KENNEL_E_PERM, "mount what is shared: Read-only file system", NULL,
	  false },
	{ CHILD_STEP_HOSTNAME, EPERM, 0, "", KENNEL_E_PERM, "set the host name: Operation not permitted",
	  NULL, false },
	{ 77, EIO, 0, "", KENNEL_E_IO, "start the sandbox: Input/output error", NULL, false },
	{ -5, EIO, -9, "", KENNEL_E_IO, "start the sandbox: Input/output error", NULL, false },
};

static void check(size_t i, int r, int code, const struct kennel_error *err, const char *message,
		  const char *hint_text)
{
	const char *got = kennel_error_hint(err);

	if (r != -code || strcmp(kennel_error_message(err), message) != 0)
		fail_msg("row %zu: %d \"%s\"", i, r, kennel_error_message(err));
	if (!got != !hint_text || (got && !strstr(got, hint_text)))
		fail_msg("row %zu: hint \"%s\"", i, got ? got : "(none)");
}

static void test_report_wait_child_steps(void **state)
{
	struct spec spec = { .mounts = mounts, .n_mounts = 1 };

	for (size_t i = 0; i < ARRAY_SIZE(child_rows); i++) {
		_cleanup_error_ struct kennel_error *err = NULL;
		struct child_report c = { child_rows[i].step, child_rows[i].errnum, child_rows[i].index, "" };
		bool refused;

		snprintf(c.text, sizeof(c.text), "%s", child_rows[i].text);
		int r = wait_for(&c, sizeof(c), &spec, &refused, &err);
		check(i, r, child_rows[i].code, err, child_rows[i].message, child_rows[i].hint);
		if (refused != child_rows[i].refused)
			fail_msg("row %zu: refused %d", i, refused);
	}
}

static void test_report_wait_text_without_an_end(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	struct child_report c = { CHILD_STEP_OVERLAY, EACCES, 0, "" };
	struct spec spec = { 0 };
	bool refused;

	memset(c.text, 'x', sizeof(c.text));
	assert_int_equal(wait_for(&c, sizeof(c), &spec, &refused, &err), -KENNEL_E_PERM);
	assert_int_equal(strlen(kennel_error_message(err)),
			 strlen("make the overlay at \"/\" (): Permission denied") + CHILD_TEXT_SIZE - 1);
}

static const struct {
	int step, errnum;
	const char *user, *workdir;
	bool shell;
	int code;
	const char *message, *hint;
} init_rows[] = {
	{ INIT_STEP_EXEC, ENOENT, NULL, NULL, false, KENNEL_E_NOCOMMAND,
	  "run \"nosuch\": No such file or directory", "no such command" },
	{ INIT_STEP_EXEC, EACCES, NULL, NULL, false, KENNEL_E_NOTEXEC, "run \"nosuch\": Permission denied",
	  "can't be executed" },
	{ INIT_STEP_EXEC, ENOEXEC, NULL, NULL, true, KENNEL_E_NOTEXEC, "run \"the shell\": Exec format error",
	  "can't be executed" },
	{ INIT_STEP_INTERPRETER, ENOENT, NULL, NULL, false, KENNEL_E_NOTEXEC,
	  "run \"nosuch\": No such file or directory", "interpreter" },
	{ INIT_STEP_USER, ENOENT, "bob", NULL, false, KENNEL_E_INVALID,
	  "there is no user \"bob\" in the copy", "/etc/passwd" },
	{ INIT_STEP_USER, EIO, "bob", NULL, false, KENNEL_E_IO, "find the user \"bob\": Input/output error",
	  NULL },
	{ INIT_STEP_GROUPS, EINVAL, "99999999", NULL, false, KENNEL_E_INVALID,
	  "there is no id for the user \"99999999\" in the copy", "65536" },
	{ INIT_STEP_IDS, EPERM, "bob", NULL, false, KENNEL_E_PERM, "become the user: Operation not permitted",
	  NULL },
	{ INIT_STEP_WORKDIR, ENOENT, NULL, "/nope", false, KENNEL_E_INVALID,
	  "change to \"/nope\": No such file or directory", "--workdir" },
	{ INIT_STEP_FORK, EAGAIN, NULL, NULL, false, KENNEL_E_LIMIT,
	  "start a process: Resource temporarily unavailable", NULL },
	{ 4000, EIO, NULL, NULL, false, KENNEL_E_IO, "start the sandbox: Input/output error", NULL },
};

static void test_report_wait_init_steps(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(init_rows); i++) {
		_cleanup_error_ struct kennel_error *err = NULL;
		const struct init_report report = { init_rows[i].step, init_rows[i].errnum };
		struct spec spec = { .user = (char *)init_rows[i].user,
				     .workdir = (char *)init_rows[i].workdir,
				     .command = { words, init_rows[i].shell ? 0 : 2, 3 } };
		bool refused;

		int r = wait_for(&report, sizeof(report), &spec, &refused, &err);
		check(i, r, init_rows[i].code, err, init_rows[i].message, init_rows[i].hint);
		assert_false(refused);
	}
}

/* What kennel-vm says has text behind it, where other reports have a number. */
static void test_report_wait_guest_steps(void **state)
{
	static const struct {
		struct init_report report;
		char text[40];
	} rows[] = {
		{ { VM_STEP_GUEST, 0 }, "the guest has ended" },
		{ { VM_STEP_KERNEL, ENOEXEC }, "linux.uml can't be executed" },
		{ { VM_STEP_CONNECT, ECONNREFUSED }, "" },
	};
	static const char *const messages[] = {
		"start the guest: the guest has ended",
		"start the guest's kernel: linux.uml can't be executed: Exec format error",
		"reach the guest: Connection refused",
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_error_ struct kennel_error *err = NULL;
		struct spec spec = { 0 };
		bool refused;

		int r = wait_for(&rows[i], sizeof(rows[i].report) + strlen(rows[i].text), &spec, &refused,
				 &err);
		assert_true(r < 0);
		assert_string_equal(kennel_error_message(err), messages[i]);
	}
}

static void test_report_wait_success_half_a_word_and_silence(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	const struct init_report runs = { 0, 0 };
	struct spec spec = { 0 };
	bool refused;

	assert_int_equal(wait_for(&runs, sizeof(runs), &spec, &refused, &err), 0);
	assert_null(err);
	assert_int_equal(wait_for(&runs, 3, &spec, &refused, &err), -KENNEL_E_IO);
	assert_string_equal(kennel_error_message(err), "the sandbox sent half a report");
	assert_int_equal(wait_for("", 0, &spec, &refused, &err), -KENNEL_E_IO);
	assert_string_equal(kennel_error_message(err), "the sandbox ended before its command ran");
	assert_non_null(strstr(kennel_error_hint(err), "dmesg"));
}

static void test_child_step_phrase_every_step_has_its_own(void **state)
{
	const char *seen[256];
	size_t n = 0;

	for (int step = CHILD_STEP_SESSION; step <= INIT_STEP_INTERPRETER; step++) {
		if (step > CHILD_STEP_INIT && step < INIT_STEP_ARGS)
			continue;
		const char *phrase = child_step_phrase(step);
		if (strcmp(phrase, "start the sandbox") == 0)
			fail_msg("step %d has no phrase", step);
		for (size_t i = 0; i < n; i++)
			assert_string_not_equal(phrase, seen[i]);
		seen[n++] = phrase;
	}
	assert_string_equal(child_step_phrase(0), "start the sandbox");
	assert_string_equal(child_step_phrase(CHILD_STEP_INIT + 1), "start the sandbox");
	assert_string_equal(child_step_phrase(INT32_MAX), "start the sandbox");
	assert_string_equal(child_step_phrase(INT32_MIN), "start the sandbox");
}

static const struct {
	const char *words[4];
	const char *want;
} commands[] = {
	{ { "ls", "-l", "/tmp" }, "ls -l /tmp" },
	{ { "echo", "a b" }, "echo 'a b'" },
	{ { "echo", "" }, "echo ''" },
	{ { "echo", "it's" }, "echo 'it'\\''s'" },
	{ { "a=b", "x:y@z", "100%" }, "a=b x:y@z 100%" },
	{ { "$HOME", "*" }, "'$HOME' '*'" },
	{ { "a\nb" }, "'a\nb'" },
	{ { NULL }, "" },
};

static void test_report_quote_command_as_a_shell_takes_it(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		_cleanup_strv_ struct strv v = { 0 };
		_cleanup_buf_ struct buf b = { 0 };

		for (size_t k = 0; commands[i].words[k]; k++)
			assert_int_equal(strv_add(&v, commands[i].words[k], NULL), 0);
		report_quote_command(&v, &b);
		assert_string_equal(buf_str(&b), commands[i].want);
	}
}

static void test_report_quote_command_is_cut_at_a_word(void **state)
{
	_cleanup_strv_ struct strv v = { 0 };
	_cleanup_buf_ struct buf b = { 0 };

	for (unsigned i = 0; i < 100000; i++)
		assert_int_equal(strv_add(&v, "0123456789", NULL), 0);
	report_quote_command(&v, &b);
	assert_true(b.len <= 4096 + 4);
	assert_string_equal(b.data + b.len - 15, " 0123456789 ...");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_report_wait_child_steps),
		cmocka_unit_test(test_report_wait_text_without_an_end),
		cmocka_unit_test(test_report_wait_init_steps),
		cmocka_unit_test(test_report_wait_guest_steps),
		cmocka_unit_test(test_report_wait_success_half_a_word_and_silence),
		cmocka_unit_test(test_child_step_phrase_every_step_has_its_own),
		cmocka_unit_test(test_report_quote_command_as_a_shell_takes_it),
		cmocka_unit_test(test_report_quote_command_is_cut_at_a_word),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
