/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit/test-config.c - the configuration of a container: what is read, what is refused with which line, what
 * an edit leaves alone; and names of containers.
 */
#include "unit.h"

#include <string.h>

#include "base/cleanup.h"
#include "conf/config.h"
#include "conf/name.h"

static const char ordinary[] = "# my container\n"
			       "[container]\n"
			       "base = system\n"
			       "  net=none\t \n"
			       "\n"
			       "; two of them\n"
			       "share = /srv/a\n"
			       "share = /srv/b:ro\n"
			       "env = \"A=two\\nlines \\x41\\\"\\\\\"\r\n"
			       "# end";

static void test_config_parse_reads_settings_and_nothing_else(void **state)
{
	static const struct config_setting rows[] = {
		{ 3, (char *)"base", (char *)"system" },
		{ 4, (char *)"net", (char *)"none" },
		{ 7, (char *)"share", (char *)"/srv/a" },
		{ 8, (char *)"share", (char *)"/srv/b:ro" },
		{ 9, (char *)"env", (char *)"A=two\nlines A\"\\" },
	};
	_cleanup_config_ struct config c = { 0 };

	assert_int_equal(config_parse("f", ordinary, strlen(ordinary), &c, NULL), 0);
	assert_int_equal(c.n, ARRAY_SIZE(rows));
	for (size_t i = 0; i < c.n; i++) {
		assert_int_equal(c.items[i].line, rows[i].line);
		assert_string_equal(c.items[i].key, rows[i].key);
		assert_string_equal(c.items[i].value, rows[i].value);
	}
	assert_string_equal(config_get(&c, "share"), "/srv/a");
	assert_null(config_get(&c, "hide"));
	assert_int_equal(config_check("f", ordinary, strlen(ordinary), NULL), 0);
}

static void test_config_check_bad_text_is_refused_with_its_line(void **state)
{
	static const struct {
		const char *text, *message, *hint;
	} rows[] = {
		{ "net = none\nnett = none\n", "f:2: there is no key \"nett\"", "did you mean \"net\"?" },
		{ "keep = x", "f:1: there is no key \"keep\"", NULL },
		{ "path = /x", "f:1: there is no key \"path\"", NULL },
		{ "\n\nnet = nice", "f:3: net: \"nice\" is not a kind of network",
		  "it is nat, none, host, private[:NAME], bridge:NAME, veth:NAME, macvlan:DEVICE, ns:PATH or "
		  "container:NAME" },
		{ "tty=yes\n#\ntty=yes", "f:3: \"tty\" stands in line 1 already", "leave one of the two" },
		{ "hello", "f:1: \"hello\" is no setting", NULL },
		{ "= x", "f:1: \"= x\" is no setting", NULL },
		{ "Net = none", "f:1: \"Net = none\" is no setting", NULL },
		{ "[net]", "f:1: there is no section \"[net]\"", "the only one is [container]" },
		{ "env = \"A=b", "f:1: the closing quote is missing", NULL },
		{ "env = \"A=b\" # no", "f:1: something stands behind the closing quote", NULL },
		{ "env = \"A=\\q\"", "f:1: a backslash with nothing that it can stand for", NULL },
		{ "env = \"A=\\x00\"", "f:1: a backslash with nothing that it can stand for", NULL },
		{ "env = \"A=\\x1", "f:1: a backslash with nothing that it can stand for", NULL },
		{ "env = \"A=\\", "f:1: a backslash with nothing that it can stand for", NULL },
		{ "\nenv = A=\033[2J", "f:2: a control character (\\x1b)", NULL },
		{ "# \033]0;title\007", "f:1: a control character (\\x1b)", NULL },
		{ "isolate = fs\nhostname = x", "f: isolation \"fs\" has no host name of its own", NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_error_ struct kennel_error *err = NULL;

		assert_true(config_check("f", rows[i].text, strlen(rows[i].text), &err) < 0);
		assert_string_equal(kennel_error_message(err), rows[i].message);
		if (rows[i].hint)
			assert_string_equal(kennel_error_hint(err), rows[i].hint);
		assert_non_null(kennel_error_hint(err));
	}
	_cleanup_error_ struct kennel_error *err = NULL;
	assert_int_equal(config_check("f", "net = n\0", 8, &err), -KENNEL_E_INVALID);
	assert_string_equal(kennel_error_message(err), "f: it holds a zero byte, so it is no text");
}

static void test_config_put_hostile_value_stays_one_line(void **state)
{
	static const char *const values[] = {
		"plain",	 "",	       " blank in front",
		"blank behind ", "\"quoted\"", "x\nisolate = fs",
		"\033]0;x\007",	 "\x7f\x01",   "tab\there",
		"back\\slash",	 "a = b # c",  "\xc3\xa9\xff",
	};

	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		_cleanup_buf_ struct buf b = { 0 };
		_cleanup_config_ struct config c = { 0 };

		config_put(&b, "env", values[i]);
		assert_ptr_equal(strchr(buf_str(&b), '\n'), buf_str(&b) + b.len - 1);
		assert_int_equal(config_parse("f", buf_str(&b), b.len, &c, NULL), 0);
		assert_int_equal(c.n, 1);
		assert_string_equal(c.items[0].value, values[i]);
	}
}

static void test_config_edit_touches_only_its_lines(void **state)
{
	static const struct {
		const char *before;
		struct config_change change;
		const char *after;
		size_t lines;
	} rows[] = {
		{ "# c\n net  = nat\n# d\n", { CONFIG_SET, "net", "none" }, "# c\nnet = none\n# d\n", 1 },
		{ "# c\n net  = none\n# d\n", { CONFIG_SET, "net", "none" }, "# c\n net  = none\n# d\n", 0 },
		{ "# c", { CONFIG_SET, "net", "none" }, "# c\nnet = none\n", 1 },
		{ "", { CONFIG_SET, "net", "none" }, "net = none\n", 1 },
		{ "net=nat", { CONFIG_SET, "net", "none" }, "net = none\n", 1 },
		{ "net=a\nnet=b\n", { CONFIG_SET, "net", "none" }, "net = none\n", 2 },
		{ "hide=/a\n# x\nhide=/b\nnet=nat\n",
		  { CONFIG_ADD, "hide", "/c" },
		  "hide=/a\n# x\nhide=/b\nhide = /c\nnet=nat\n",
		  1 },
		{ "hide=/a\nhide=/b", { CONFIG_ADD, "hide", "/a" }, "hide=/a\nhide=/b", 0 },
		{ "hide=/b", { CONFIG_ADD, "hide", "/a" }, "hide=/b\nhide = /a\n", 1 },
		{ "hide=/a\n# x\nhide=/b\nnet=nat", { CONFIG_UNSET, "hide", NULL }, "# x\nnet=nat", 2 },
		{ "hide=/a\nhide=/b\n", { CONFIG_UNSET, "hide", "/b" }, "hide=/a\n", 1 },
		{ "hide=/a\n", { CONFIG_UNSET, "share", NULL }, "hide=/a\n", 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_buf_ struct buf b = { 0 };
		size_t n = 99;

		buf_puts(&b, rows[i].before);
		assert_int_equal(config_edit("f", &b, &rows[i].change, &n, NULL), 0);
		assert_string_equal(buf_str(&b), rows[i].after);
		assert_int_equal(n, rows[i].lines);
	}
	_cleanup_buf_ struct buf bad = { 0 };
	_cleanup_error_ struct kennel_error *err = NULL;
	buf_puts(&bad, "net=nat\nwhat\n");
	assert_int_equal(config_edit("f", &bad, &rows[0].change, NULL, &err), -KENNEL_E_INVALID);
	assert_string_equal(kennel_error_message(err), "f:2: \"what\" is no setting");
	assert_string_equal(buf_str(&bad), "net=nat\nwhat\n");
}

static void set(struct spec *s, const char *key, const char *value)
{
	assert_int_equal(spec_set(s, key, value, NULL), 0);
}

static void test_config_apply_is_overruled_by_what_comes_after(void **state)
{
	static const char text[] = "net = none\nshare = /a\nshare = /b\ncap-add = NET_ADMIN\nenv = A=1\n";
	_cleanup_config_ struct config c = { 0 };
	struct spec *s = spec_new(NULL);

	assert_int_equal(config_parse("f", text, strlen(text), &c, NULL), 0);
	assert_int_equal(config_apply("f", &c, s, NULL), 0);
	spec_mark_configured(s);
	assert_int_equal(s->given.n, 0);
	set(s, "net", "host");
	set(s, "mount", "/other:/a:ro");
	set(s, "share", "/c");
	set(s, "cap-drop", "NET_ADMIN");
	set(s, "env", "A=2");
	assert_int_equal(s->net, SPEC_NET_HOST);
	assert_int_equal(s->n_mounts, 3);
	assert_string_equal(s->mounts[0].source, "/other");
	assert_true(s->mounts[0].read_only);
	assert_int_equal(s->cap_add, 0);
	assert_true(s->cap_drop != 0);
	assert_int_equal(s->env.n, 2);
	assert_int_equal(spec_check(s, NULL), 0);
	/* What the person says twice is still a contradiction. */
	set(s, "cap-add", "NET_ADMIN");
	assert_true(spec_check(s, NULL) < 0);
	assert_int_equal(s->given.n, 12);
	assert_string_equal(s->given.items[2], "mount");
	assert_string_equal(s->given.items[3], "/other:/a:ro");
	spec_free(s);
}

static void test_name_check(void **state)
{
	static const char *const good[] = { "a",	 "9",	     "web-2",	"A.b_c-d",
					    "deadbeef1", "DEADBEEF", "deadbee", "ghijklmn" };
	static const char *const bad[] = {
		"", "-x", ".x", "_x", "a/b", "a b", "..", "a\n", "\xc3\xa9t\xc3\xa9", "deadbeef", "12345678"
	};
	char longest[66] = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_int_equal(name_check(good[i], NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_error_ struct kennel_error *err = NULL;

		assert_int_equal(name_check(bad[i], &err), -KENNEL_E_INVALID);
		assert_non_null(kennel_error_message(err));
	}
	memset(longest, 'x', 64);
	assert_int_equal(name_check(longest, NULL), 0);
	longest[64] = 'x';
	assert_int_equal(name_check(longest, NULL), -KENNEL_E_INVALID);
	assert_true(name_is_id("0123abcd"));
	assert_false(name_is_id("0123abcg"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_config_parse_reads_settings_and_nothing_else),
		cmocka_unit_test(test_config_check_bad_text_is_refused_with_its_line),
		cmocka_unit_test(test_config_put_hostile_value_stays_one_line),
		cmocka_unit_test(test_config_edit_touches_only_its_lines),
		cmocka_unit_test(test_config_apply_is_overruled_by_what_comes_after),
		cmocka_unit_test(test_name_check),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
