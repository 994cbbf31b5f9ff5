/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* unit/test-template.c - the words of templates, and how an OCI image wants to be run. */
#include "unit.h"

#include <string.h>

#include <kennel/kennel.h>

#include "base/cleanup.h"
#include "conf/template.h"
#include "ship/oci.h"
#include "ship/template.h"

static void test_template_word_parse_kinds_and_refusals(void **state)
{
	static const struct {
		const char *word;
		int result;
		enum template_kind kind;
		const char *rest;
	} cases[] = {
		{ "busybox", 0, TEMPLATE_PROGRAM, "busybox" },
		{ "/opt/my:thing", 0, TEMPLATE_PROGRAM, "/opt/my:thing" },
		{ "dir:/srv/a:b", 0, TEMPLATE_DIR, "/srv/a:b" },
		{ "dir:a", 0, TEMPLATE_DIR, "a" },
		{ "image:x.img", 0, TEMPLATE_IMAGE, "x.img" },
		{ "oci:/srv/layout", 0, TEMPLATE_OCI, "/srv/layout" },
		{ "oci:docker://alpine:3", 0, TEMPLATE_OCI_REMOTE, "docker://alpine:3" },
		{ "dir:", -KENNEL_E_INVALID },
		{ "", -KENNEL_E_INVALID },
		{ "..", -KENNEL_E_INVALID },
		{ ".hidden", -KENNEL_E_INVALID },
		{ "-rf", -KENNEL_E_INVALID },
		{ "a/b", -KENNEL_E_INVALID },
		{ "../busybox", -KENNEL_E_INVALID },
		{ "docker://x", -KENNEL_E_INVALID },
		{ "busy box", -KENNEL_E_INVALID },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		enum template_kind kind = TEMPLATE_PROGRAM;
		const char *rest = NULL;

		assert_int_equal(template_word_parse(cases[i].word, &kind, &rest, NULL), cases[i].result);
		if (cases[i].result < 0)
			continue;
		assert_int_equal(kind, cases[i].kind);
		assert_string_equal(rest, cases[i].rest);
	}
}

static void test_template_header_parse_cases_as_expected(void **state)
{
	static const struct {
		const char *text;
		int result;
		const char *summary;
		bool network, oci;
	} cases[] = {
		{ "#!/bin/sh\n# kennel-template: 1\n", 0, NULL, false, false },
		{ "# kennel-template: 1\n#kennel-summary:  a b \r\n# kennel-network: host\n"
		  "# kennel-leaves: oci\n",
		  0, "a b", true, true },
		{ "#!/bin/sh\n# kennel-template: 1\n# kennel-network: none\n# other: 2\necho\n"
		  "# kennel-bad: 1\n",
		  0, NULL, false, false },
		{ "# kennel-template: 1\n# kennel-summary: a\033[2Jb\n", 0, "a\\x1b[2Jb", false, false },
		{ "", -KENNEL_E_TYPE },
		{ "#!/bin/sh\necho\n# kennel-template: 1\n", -KENNEL_E_TYPE },
		{ "# kennel-template: 2\n", -KENNEL_E_UNSUPPORTED },
		{ "# kennel-template: 0\n", -KENNEL_E_INVALID },
		{ "# kennel-template: x\n", -KENNEL_E_INVALID },
		{ "# kennel-template: 1\n# kennel-mounts: /\n", -KENNEL_E_UNSUPPORTED },
		{ "# kennel-template: 1\n# kennel-network: all\n", -KENNEL_E_INVALID },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct template_header h;

		assert_int_equal(template_header_parse(cases[i].text, strlen(cases[i].text), &h, NULL),
				 cases[i].result);
		if (cases[i].result < 0)
			continue;
		if (cases[i].summary)
			assert_string_equal(h.summary, cases[i].summary);
		else
			assert_null(h.summary);
		assert_int_equal(h.network, cases[i].network);
		assert_int_equal(h.leaves_oci, cases[i].oci);
		template_header_done(&h);
	}
}

static void test_template_step_parse_cases_as_expected(void **state)
{
	static const struct {
		const char *line;
		int result;
		uint64_t done, total;
		const char *text;
	} cases[] = {
		{ "progress 1/3 copying", 1, 1, 3, "copying" },
		{ "progress 3/3", 1, 3, 3, "" },
		{ "progress 9/3 over", 1, 3, 3, "over" },
		{ "progress 0/18446744073709551615 x", 1, 0, UINT64_MAX, "x" },
		{ "progress 0/0 x", 0 },
		{ "progress 1/18446744073709551616 x", 0 },
		{ "progress -1/3 x", 0 },
		{ "progress 1/3x", 0 },
		{ "progress 1 3 x", 0 },
		{ "progress", 0 },
		{ "hello", 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct template_step s;

		assert_int_equal(template_step_parse(cases[i].line, &s), cases[i].result);
		if (!cases[i].result)
			continue;
		assert_true(s.done == cases[i].done && s.total == cases[i].total);
		assert_string_equal(s.text, cases[i].text);
	}
}

static void test_template_open_names_that_lead_out_are_refused(void **state)
{
	static const char *const words[] = { "..", "../templates/busybox", "", ".", "-x", "a/../busybox" };
	struct template t = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		assert_int_equal(template_open(words[i], &t, NULL), -KENNEL_E_INVALID);
	assert_int_equal(template_open("/dev/null", &t, NULL), -KENNEL_E_TYPE);
	assert_int_equal(template_open("/etc", &t, NULL), -KENNEL_E_TYPE);
	assert_int_equal(template_open("/nowhere/template", &t, NULL), -KENNEL_E_NOTFOUND);
	assert_int_equal(template_open("nobody-has-this", &t, NULL), -KENNEL_E_NOTFOUND);
}

static void check_config(const char *text, int result, const char *expected)
{
	_cleanup_strv_ struct strv v = { 0 };
	_cleanup_buf_ struct buf b = { 0 };

	assert_int_equal(oci_config_parse(text, strlen(text), &v, NULL), result);
	for (size_t i = 0; result == 0 && i < v.n; i++)
		buf_printf(&b, "%s%s", v.items[i], i % 2 ? ";" : "=");
	assert_string_equal(buf_str(&b), expected);
}

static void test_oci_config_parse_cases_as_expected(void **state)
{
	check_config("{}", 0, "");
	check_config("{\"config\":null}", 0, "");
	check_config("{\"config\":{\"Cmd\":[\"/bin/sh\",\"-c\",\"echo a b\"]}}", 0,
		     "command=/bin/sh -c 'echo a b';");
	check_config("{\"config\":{\"Entrypoint\":[\"/run\"],\"Cmd\":[\"x\"],\"Env\":[\"A=1\",\"B=\"],"
		     "\"WorkingDir\":\"/srv\",\"User\":\"33:44\"}}",
		     0, "command=/run x;env=A=1;env=B=;workdir=/srv;user=33:44;");
	check_config("{\"config\":{\"Cmd\":\"no list\",\"Env\":{\"A\":1},\"User\":7,\"WorkingDir\":\"\"}}", 0,
		     "");
	check_config("{\"config\":", -KENNEL_E_CORRUPT, "");
}

static void test_kennel_template_create_bad_words_are_refused(void **state)
{
	const struct kennel_template_options old = { .size = 1 };
	struct kennel_spec *spec = NULL;

	assert_int_equal(kennel_spec_new(&spec, NULL), 0);
	assert_int_equal(kennel_template_create("busybox", "x", spec, &old, NULL, NULL), -KENNEL_E_INVALID);
	assert_int_equal(kennel_template_create("a/b", "x", spec, NULL, NULL, NULL), -KENNEL_E_INVALID);
	assert_int_equal(kennel_template_create("dir:/", "../x", spec, NULL, NULL, NULL), -KENNEL_E_INVALID);
	assert_int_equal(kennel_spec_set(spec, "base", "/usr", NULL), 0);
	assert_int_equal(kennel_template_create("dir:/", "x", spec, NULL, NULL, NULL), -KENNEL_E_INVALID);
	kennel_spec_free(spec);
}

static void test_kennel_template_list_has_no_entry_without_a_name(void **state)
{
	struct kennel_list *list = NULL;

	assert_int_equal(kennel_template_list(&list, NULL), 0);
	for (size_t i = 0; i < kennel_list_count(list); i++)
		assert_non_null(kennel_list_value(list, i, "name"));
	kennel_list_free(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_template_word_parse_kinds_and_refusals),
		cmocka_unit_test(test_template_header_parse_cases_as_expected),
		cmocka_unit_test(test_template_step_parse_cases_as_expected),
		cmocka_unit_test(test_template_open_names_that_lead_out_are_refused),
		cmocka_unit_test(test_kennel_template_create_bad_words_are_refused),
		cmocka_unit_test(test_kennel_template_list_has_no_entry_without_a_name),
		cmocka_unit_test(test_oci_config_parse_cases_as_expected),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
