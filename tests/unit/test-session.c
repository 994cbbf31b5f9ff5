/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* unit/test-session.c - conf/session.c, and the key "drive" that it ends up in. */
#include "unit.h"

#include <kennel/kennel.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api-spec.h"
#include "base/cleanup.h"
#include "conf/session.h"
#include "conf/spec.h"

static void parse(struct session *s, const char *text)
{
	struct kennel_error *err = NULL;

	if (session_parse(text, s, &err) < 0)
		fail_msg("\"%s\": %s", text, kennel_error_message(err));
}

static void test_session_default_says_what_holds_anyway(void **state)
{
	struct session s = { 0 };

	parse(&s, session_default);
	assert_string_equal(s.memory, "256M");
	assert_string_equal(s.save_size, "128M");
	assert_string_equal(s.command, "");
	assert_string_equal(s.net, "nat");
	assert_string_equal(s.hostname, "");
	assert_int_equal(s.drives.n, 0);
	session_done(&s);
}

static void test_session_lines(void **state)
{
	struct session s = { 0 };

	parse(&s, "# a comment\n\n  MEM=512M  \r\nSTART_CMD=\"xterm -e 'top'\"\nHOST='box'\nNET=\nMEM=64M\n"
		  "ubd1rc=/a:b.sfs\nubd12=/c\\d\nubd1=/e");
	assert_string_equal(s.memory, "64M");
	assert_string_equal(s.command, "xterm -e 'top'");
	assert_string_equal(s.hostname, "box");
	assert_string_equal(s.net, "");
	assert_null(s.save_size);
	assert_int_equal(s.drives.n, 2);
	assert_string_equal(s.drives.items[0], "ubd1=/e");
	assert_string_equal(s.drives.items[1], "ubd12=/c\\\\d");
	session_done(&s);
}

static void test_session_refuses_lines(void **state)
{
	static const struct {
		const char *text, *message, *hint;
	} rows[] = {
		{ "MEM=1M\nMEMO=2", "line 2: \"MEMO\" is nothing that a session has",
		  "did you mean \"MEM\"" },
		{ "rm -rf /", "line 1: \"rm -rf /\" is nothing that a session has", "SAVE_SIZE" },
		{ "$(id)=1", "line 1: \"$(id)\" is nothing that a session has", "it has" },
		{ "ubd0=/x", "line 1: ubd0 has the changes of the session", "ubd1 to ubd15" },
		{ "\nubd3rc=x.sfs", "line 2: \"x.sfs\" is not the full path of a file", "ubd3=/FULL/PATH" },
		{ "ubd=/x", "line 1: \"ubd\" is nothing that a session has", "" },
		{ "ubd1x=/x", "line 1: \"ubd1x\" is nothing that a session has", "" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_error_ struct kennel_error *err = NULL;
		struct session s = { 0 };

		assert_true(session_parse(rows[i].text, &s, &err) < 0);
		assert_string_equal(kennel_error_message(err), rows[i].message);
		assert_non_null(strstr(kennel_error_hint(err), rows[i].hint));
		session_done(&s);
	}
}

static void test_session_words(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	struct session s = { 0 };

	assert_int_equal(session_take("START_CMD=", &s, &err), 1);
	assert_int_equal(session_take("ubd2rc=/x.sfs", &s, &err), 1);
	assert_int_equal(session_take("sh", &s, &err), 0);
	assert_int_equal(session_take("A=b", &s, &err), 0);
	assert_int_equal(session_take("=", &s, &err), 0);
	assert_int_equal(session_take("", &s, &err), 0);
	assert_true(session_take("ubd0rc=/x", &s, &err) < 0);
	assert_string_equal(s.command, "");
	assert_string_equal(s.drives.items[0], "ubd2=/x.sfs:ro");
	session_done(&s);
}

static void test_session_drives_of_a_spec(void **state)
{
	static const struct {
		const char *value, *path;
		unsigned number;
		bool read_only;
		size_t n; /* then there are */
	} rows[] = {
		{ "ubd2=/two", "/two", 2, false, 1 },	     { "/one", "/one", 1, false, 2 },
		{ "/three:ro", "/three", 3, true, 3 },	     { "ubd1=/again:ro", "/again", 1, true, 3 },
		{ "ubd15=/a\\:b:rw", "/a:b", 15, false, 4 },
	};
	_cleanup_error_ struct kennel_error *err = NULL;
	struct spec *s = spec_new(NULL);

	assert_non_null(s);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		bool found = false;

		assert_int_equal(spec_set(s, "drive", rows[i].value, NULL), 0);
		assert_int_equal(s->n_drives, rows[i].n);
		for (size_t k = 0; k < s->n_drives; k++)
			found |= s->drives[k].number == rows[i].number &&
				 s->drives[k].read_only == rows[i].read_only &&
				 strcmp(s->drives[k].path, rows[i].path) == 0;
		assert_true(found);
	}
	static const char *const refused[] = { "x.img", "ubd16=/x", "ubd0=/x", "/a:b:c", "/a:rx", "/", "" };
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		assert_int_equal(spec_set(s, "drive", refused[i], NULL), -KENNEL_E_INVALID);
	assert_int_equal(s->n_drives, 4);
	assert_int_equal(spec_set(s, "isolate", "user", NULL), 0);
	assert_int_equal(spec_check(s, &err), -KENNEL_E_INVALID);
	assert_non_null(strstr(kennel_error_hint(err), "--isolate vm"));
	assert_int_equal(spec_set(s, "isolate", "vm", NULL), 0);
	assert_int_equal(spec_check(s, NULL), 0);
	spec_free(s);
}

/* By the public face: what is not there is made, and words in front of a command are the session's. */
static void test_session_directory(void **state)
{
	const char *const words[] = { "START_CMD=true", "HOST=box", "sh", "MEM=1", NULL };
	char top[] = "/tmp/kennel-session-XXXXXX", dir[64], path[96];
	_cleanup_error_ struct kennel_error *err = NULL;
	struct kennel_spec *spec = NULL;
	size_t taken = 0;

	assert_non_null(mkdtemp(top));
	snprintf(dir, sizeof(dir), "%s/new", top);
	snprintf(path, sizeof(path), "%s/" SESSION_CONFIG, dir);
	assert_int_equal(kennel_spec_new(&spec, NULL), 0);
	assert_int_equal(kennel_spec_add_session(spec, dir, words, &taken, NULL), 0);
	assert_int_equal(taken, 2);
	assert_int_equal(access(path, R_OK), 0);
	FILE *config = fopen(path, "w"); /* nothing is said of what is saved */
	assert_non_null(config);
	assert_true(fputs("MEM=64M\n", config) >= 0 && fclose(config) == 0);
	kennel_spec_free(spec);
	assert_int_equal(kennel_spec_new(&spec, NULL), 0);
	assert_int_equal(kennel_spec_add_session(spec, dir, NULL, NULL, NULL), 0);
	assert_int_equal(spec->spec->size_bytes, 128u << 20);
	assert_string_equal(strrchr(spec->spec->file, '/'), "/" SESSION_SAVE);
	assert_int_equal(kennel_spec_add_session(spec, "relative", NULL, NULL, &err), -KENNEL_E_INVALID);
	kennel_spec_free(spec);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(rmdir(top), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_session_default_says_what_holds_anyway),
		cmocka_unit_test(test_session_lines),
		cmocka_unit_test(test_session_refuses_lines),
		cmocka_unit_test(test_session_words),
		cmocka_unit_test(test_session_drives_of_a_spec),
		cmocka_unit_test(test_session_directory),
	};

	return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
