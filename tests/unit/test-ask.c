/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* unit/test-ask.c - what is behind the form of "run --ask": from options to ticks and choices, and back. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include <kennel/kennel.h>

#include "api-list.h"
#include "base/cleanup.h"
#include "cli/ask.h"
#include "cli/dialog.h"

static struct kennel_list *make_base(void)
{
	static const char *const details[][2] = {
		{ "mount", "copied\t/\text4" },        { "mount", "copied\t/boot\tvfat" },
		{ "mount", "new\t/proc\tproc" },       { "mount", "left-out\t/x\tfuse\tno" },
		{ "mount", "copied\t/srv/a b\txfs" },  { "layer", "/l/upper" },
		{ "layer", "/l/low,er" },
	};
	struct kennel_list *l = calloc(1, sizeof(*l));

	l->entries = calloc(1, sizeof(*l->entries));
	l->n = 1;
	l->entries[0].id = strdup("system");
	for (size_t i = 0; i < ARRAY_SIZE(details); i++) {
		assert_int_equal(strv_add(&l->entries[0].keys, details[i][0], NULL), 0);
		assert_int_equal(strv_add(&l->entries[0].values, details[i][1], NULL), 0);
	}
	return l;
}

static struct ask_model *make(const struct opt_input *in)
{
	struct kennel_list *base = make_base();
	struct ask_model *m = NULL;

	assert_int_equal(ask_model_new(in, base, &m, NULL), 0);
	kennel_list_free(base);
	return m;
}

/* The settings as "name=value " one after the other. */
static void is_result(struct ask_model *m, const struct opt_input *in, const char *expected)
{
	_cleanup_ask_ struct ask a = { 0 };
	char text[512] = "";

	assert_int_equal(ask_model_settings(m, in, &a, NULL), 0);
	for (size_t i = 0; i < a.n; i++) {
		strncat(text, a.settings[i].name, sizeof(text) - strlen(text) - 1);
		strncat(text, "=", sizeof(text) - strlen(text) - 1);
		strncat(text, a.settings[i].value, sizeof(text) - strlen(text) - 1);
		strncat(text, " ", sizeof(text) - strlen(text) - 1);
	}
	assert_string_equal(text, expected);
}

static void test_model_without_options_lists_mounts_and_layers(void **state)
{
	const struct opt_input in = { 0 };
	struct ask_model *m = make(&in);
	struct dialog_form *f = ask_model_form(m);

	assert_int_equal(f->n_ticks, 4);        /* not the root, not what is new or left out */
	for (size_t i = 0; i < f->n_ticks; i++)
		assert_true(f->ticks[i].on);
	assert_non_null(strstr(f->ticks[0].text, "/boot"));
	assert_non_null(strstr(f->ticks[1].text, "/srv/a b"));
	assert_non_null(strstr(f->ticks[3].text, "layer"));
	assert_null(ask_model_check(m));
	is_result(m, &in, "");
	ask_model_free(m);
}

static void test_model_options_are_the_beginning(void **state)
{
	struct opt_setting s[] = {
		{ "net", "none" },	   { "without", "/boot" }, { "without", "/etc/x" },
		{ "isolate", "fs" },	   { "keep", "work" },	   { "env", "A=1" },
		{ "base", "system:/l/upper" },
	};
	const struct opt_input in = { .settings = s, .n_settings = ARRAY_SIZE(s) };
	struct ask_model *m = make(&in);
	struct dialog_form *f = ask_model_form(m);

	assert_false(f->ticks[0].on);
	assert_true(f->ticks[1].on);
	assert_true(f->ticks[2].on);
	assert_false(f->ticks[3].on);
	assert_string_equal(f->entry, "work");
	is_result(m, &in,
		  "without=/etc/x env=A=1 keep=work net=none isolate=fs base=system:/l/upper "
		  "without=/boot ");

	/* all of it undone by the person */
	for (size_t i = 0; i < f->n_ticks; i++)
		f->ticks[i].on = true;
	for (size_t i = 0; i < f->n_choices; i++)
		f->choices[i].chosen = 0;
	is_result(m, &in, "without=/etc/x env=A=1 ");
	ask_model_free(m);
}

static void test_model_settings_escape_layers(void **state)
{
	const struct opt_input in = { 0 };
	struct ask_model *m = make(&in);

	ask_model_form(m)->ticks[2].on = false;
	is_result(m, &in, "base=system:/l/low\\,er ");
	ask_model_form(m)->ticks[3].on = false;
	assert_non_null(strstr(ask_model_check(m), "layer"));
	ask_model_free(m);
}

static void test_model_check_names_and_changes(void **state)
{
	const struct opt_input in = { 0 };
	struct ask_model *m = make(&in);
	struct dialog_form *f = ask_model_form(m);

	f->choices[0].chosen = 1;
	assert_non_null(ask_model_check(m));
	f->entry = strdup("");
	assert_non_null(ask_model_check(m));
	free(f->entry);
	f->entry = strdup("pots");
	assert_null(ask_model_check(m));
	is_result(m, &in, "keep=pots ");
	f->choices[0].chosen = 2;
	is_result(m, &in, "file=pots ");
	f->choices[0].chosen = 0;
	assert_non_null(ask_model_check(m));
	ask_model_free(m);
}

static void test_model_other_base_has_no_mounts(void **state)
{
	struct opt_setting s[] = { { "base", "/srv/root" }, { "without", "/boot" } };
	const struct opt_input in = { .settings = s, .n_settings = ARRAY_SIZE(s) };
	struct ask_model *m = make(&in);

	assert_int_equal(ask_model_form(m)->n_ticks, 0);
	is_result(m, &in, "base=/srv/root without=/boot ");
	ask_model_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model_without_options_lists_mounts_and_layers),
		cmocka_unit_test(test_model_options_are_the_beginning),
		cmocka_unit_test(test_model_settings_escape_layers),
		cmocka_unit_test(test_model_check_names_and_changes),
		cmocka_unit_test(test_model_other_base_has_no_mounts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
