/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit/test-opt.c - the parser of command lines on a table of its own, then what must hold of every real
 * table: nothing twice, reserved letters free, every setting a key of the spec, help that fits, completions
 * that know every option.
 */
#include "unit.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/cmd.h"
#include "conf/spec.h"
#include "sys/sys.h"

struct args {
	bool flag, other;
	unsigned count;
	const char *text;
};

#define ARG(m) offsetof(struct args, m)
static const struct opt opts[] = {
	{ .type = OPT_HEADING, .help = "A group" },
	{ 'f', "flag", NULL, OPT_FLAG, ARG(flag), "a flag", NULL },
	{ 'o', "other", NULL, OPT_FLAG, ARG(other), "another", NULL },
	{ 'v', "verbose", NULL, OPT_COUNT, ARG(count), "counts", NULL },
	{ 't', "text", "TEXT", OPT_STRING, ARG(text), "a string", NULL },
	{ 's', "set", "VALUE", OPT_SETTING, 0, "a setting", NULL },
	{ 0, "mark", NULL, OPT_SETTING, 0, "a setting without a value", NULL },
	OPT_HELP_ROW,
	{ .type = OPT_END },
};
static const struct opt_rule rules[] = {
	{ "flag", OPT_EXCLUDES, "other" },
	{ "text", OPT_NEEDS, "set" },
	{ .name = NULL },
};

#define WORDS 8
static int parse(const char *const *words, unsigned flags, struct args *args, struct opt_input *in,
		 struct kennel_error **err)
{
	*args = (struct args){ 0 };
	return opt_parse(opts, rules, flags, (char *const *)words, args, in, err);
}

static void test_opt_parse_spellings(void **state)
{
	static const struct {
		const char *words[WORDS];
		const char *settings;           /* NAME=VALUE and a space, each */
		const char *operands;           /* word and a space, each */
		struct args args;
	} rows[] = {
		{ { NULL }, "", "", { 0 } },
		{ { "-f" }, "", "", { .flag = true } },
		{ { "-fvv" }, "", "", { .flag = true, .count = 2 } },
		{ { "--flag", "-v", "--verbose" }, "", "", { .flag = true, .count = 2 } },
		{ { "-sx" }, "set=x ", "", { 0 } },
		{ { "-s", "x" }, "set=x ", "", { 0 } },
		{ { "--set", "x" }, "set=x ", "", { 0 } },
		{ { "--set=x" }, "set=x ", "", { 0 } },
		{ { "--set=x=y", "--set=" }, "set=x=y set= ", "", { 0 } },
		{ { "-s=x" }, "set==x ", "", { 0 } },
		{ { "-fs", "-v" }, "set=-v ", "", { .flag = true } },
		{ { "--set", "--flag" }, "set=--flag ", "", { 0 } },
		{ { "--mark", "-s1", "--mark" }, "mark=yes set=1 mark=yes ", "", { 0 } },
		{ { "-tA", "-tB", "-s1" }, "set=1 ", "", { .text = "B" } },
		{ { "a", "-f", "b" }, "", "a b ", { .flag = true } },
		{ { "--", "-f" }, "", "-f ", { 0 } },
		{ { "a", "--", "--", "-x" }, "", "a -- -x ", { 0 } },
		{ { "-", "", "-f" }, "", "-  ", { .flag = true } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_error_ struct kennel_error *err = NULL;
		_cleanup_opt_input_ struct opt_input in = { 0 };
		_cleanup_buf_ struct buf settings = { 0 }, operands = { 0 };
		struct args args;

		if (parse(rows[i].words, 0, &args, &in, &err) != 0)
			fail_msg("row %zu: %s", i, kennel_error_message(err));
		for (size_t k = 0; k < in.n_settings; k++)
			buf_printf(&settings, "%s=%s ", in.settings[k].name, in.settings[k].value);
		for (size_t k = 0; k < in.n_operands; k++)
			buf_printf(&operands, "%s ", in.operands[k]);
		assert_string_equal(buf_str(&settings), rows[i].settings);
		assert_string_equal(buf_str(&operands), rows[i].operands);
		assert_null(in.operands[in.n_operands]);
		assert_int_equal(args.flag, rows[i].args.flag);
		assert_int_equal(args.count, rows[i].args.count);
		if (rows[i].args.text)
			assert_string_equal(args.text, rows[i].args.text);
		else
			assert_null(args.text);
	}
}

static void test_opt_parse_first_operand_ends_options(void **state)
{
	static const char *const words[] = { "-f", "ls", "-la", "--nonsense", NULL };
	_cleanup_opt_input_ struct opt_input in = { 0 };
	struct args args;

	assert_int_equal(parse(words, OPT_OPERAND_ENDS, &args, &in, NULL), 0);
	assert_true(args.flag);
	assert_int_equal(in.n_operands, 3);
	assert_string_equal(in.operands[1], "-la");
	assert_string_equal(in.operands[2], "--nonsense");
}

static void test_opt_parse_help_ends_everything(void **state)
{
	static const char *const words[] = { "-fh", "--nonsense", NULL };
	_cleanup_opt_input_ struct opt_input in = { 0 };
	struct args args;

	assert_int_equal(parse(words, 0, &args, &in, NULL), 0);
	assert_true(in.help);
}

static void test_opt_parse_mistake_is_one_exact_line(void **state)
{
	static const struct {
		const char *words[WORDS];
		const char *message;
	} rows[] = {
		{ { "--falg" }, "unknown option \"--falg\"; did you mean \"--flag\"?" },
		{ { "--fl" }, "unknown option \"--fl\"; did you mean \"--flag\"?" },
		{ { "--verbos=1" }, "unknown option \"--verbos\"; did you mean \"--verbose\"?" },
		{ { "--xyzzy" }, "unknown option \"--xyzzy\"" },
		{ { "--=x" }, "unknown option \"--\"" },
		{ { "-x" }, "unknown option \"-x\"" },
		{ { "-fx" }, "unknown option \"-x\"" },
		{ { "-f-" }, "unknown option \"--\"" },
		{ { "--flag=yes" }, "option \"--flag\" takes no value" },
		{ { "--flag=" }, "option \"--flag\" takes no value" },
		{ { "--set" }, "option \"--set\" needs a value: VALUE" },
		{ { "-fs" }, "option \"-s\" needs a value: VALUE" },
		{ { "-fo" }, "\"--flag\" and \"--other\" exclude each other" },
		{ { "--other", "a", "--flag" }, "\"--flag\" and \"--other\" exclude each other" },
		{ { "-tx" }, "\"--text\" needs \"--set\" beside it" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_error_ struct kennel_error *err = NULL;
		_cleanup_opt_input_ struct opt_input in = { 0 };
		struct args args;

		assert_int_equal(parse(rows[i].words, 0, &args, &in, &err), -KENNEL_E_INVALID);
		assert_string_equal(kennel_error_message(err), rows[i].message);
	}
}

/* Runs the program; *ret_out and *ret_err get what it wrote. */
static int run_cli(const char *const *words, struct buf *ret_out, struct buf *ret_err)
{
	_cleanup_close_ int out_fd = sys_memfd_create("out", MFD_CLOEXEC);
	_cleanup_close_ int err_fd = sys_memfd_create("err", MFD_CLOEXEC);
	struct cli cli = { .out_fd = out_fd, .err_fd = err_fd };

	assert_true(out_fd >= 0 && err_fd >= 0);
	int code = cli_main(&cli, (char *const *)words);
	assert_int_equal(lseek(out_fd, 0, SEEK_SET), 0);
	assert_int_equal(lseek(err_fd, 0, SEEK_SET), 0);
	assert_int_equal(buf_read_fd(ret_out, out_fd, 1 << 20, NULL), 0);
	assert_int_equal(buf_read_fd(ret_err, err_fd, 1 << 20, NULL), 0);
	return code;
}

static void test_cli_main_mistakes_go_to_stderr_with_125(void **state)
{
	static const struct {
		const char *words[WORDS];
		const char *text;
	} rows[] = {
		{ { "kennel", "rnu" },
		  "kennel: unknown command \"rnu\"; did you mean \"run\"?\n"
		  "hint: try \"kennel --help\"; to run a program in a copy of the system: "
		  "kennel run -- rnu\n" },
		{ { "kennel", "--verison" },
		  "kennel: unknown option \"--verison\"; did you mean \"--version\"?\n"
		  "hint: try \"kennel --help\"\n" },
		{ { "kennel", "run", "--izolate", "fs" },
		  "kennel: unknown option \"--izolate\"; did you mean \"--isolate\"?\n"
		  "hint: try \"kennel run --help\"\n" },
		{ { "kennel", "run", "-\033[31m" },
		  "kennel: unknown option \"-\\x1b\"\nhint: try \"kennel run --help\"\n" },
		{ { "kennel", "run", "--size", "5X" },
		  "kennel: size: \"5X\" is not a size\nhint: it is a number of bytes, such as 512M or 2G\n" },
		{ { "kennel", "run", "-q", "-v" },
		  "kennel: \"--quiet\" and \"--verbose\" exclude each other\n"
		  "hint: try \"kennel run --help\"\n" },
		{ { "kennel", "cp", "x" },
		  "kennel: \"kennel cp\" needs one word more: SOURCE TARGET\n"
		  "hint: one of them is ID:PATH; \"kennel list\" shows the ids\n" },
		{ { "kennel", "list", "x" },
		  "kennel: too many words: \"x\"\nhint: try \"kennel list --help\"\n" },
		{ { "kennel", "info" },
		  "kennel: \"kennel info\" needs a NAME, an ID, or --base\n"
		  "hint: \"kennel list\" shows both; --base is about this machine\n" },
		{ { "kennel", "completion", "ksh" },
		  "kennel: there is no completion for \"ksh\"\nhint: it is bash, zsh or fish\n" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_buf_ struct buf out = { 0 }, err = { 0 };

		assert_int_equal(run_cli(rows[i].words, &out, &err), 125);
		assert_string_equal(buf_str(&out), "");
		assert_string_equal(buf_str(&err), rows[i].text);
	}
}

static void test_cli_main_help_goes_where_it_was_asked(void **state)
{
	static const char *const nothing[] = { "kennel", NULL }, *const asked[] = { "kennel", "help", NULL };
	static const char *const ls[] = { "kennel", "help", "ls", NULL };
	_cleanup_buf_ struct buf out = { 0 }, err = { 0 }, out2 = { 0 }, err2 = { 0 }, out3 = { 0 },
				 err3 = { 0 };

	assert_int_equal(run_cli(nothing, &out, &err), 125);
	assert_int_equal(out.len, 0);
	assert_int_equal(run_cli(asked, &out2, &err2), 0);
	assert_int_equal(err2.len, 0);
	assert_string_equal(buf_str(&err), buf_str(&out2));
	assert_int_equal(run_cli(ls, &out3, &err3), 0);
	assert_non_null(strstr(buf_str(&out3), "Usage: kennel list"));
}

static void test_cli_out_unwritable_is_125(void **state)
{
	_cleanup_close_ int full_fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	_cleanup_close_ int err_fd = sys_memfd_create("err", MFD_CLOEXEC);
	_cleanup_buf_ struct buf err = { 0 };
	struct cli cli = { .out_fd = full_fd, .err_fd = err_fd };
	static const char *const words[] = { "kennel", "--help", NULL };
	int pipe_fd[2];

	assert_true(full_fd >= 0 && err_fd >= 0);
	assert_int_equal(cli_main(&cli, (char *const *)words), 125);
	assert_int_equal(pipe2(pipe_fd, O_CLOEXEC), 0);
	close(pipe_fd[0]);
	cli.out_fd = pipe_fd[1];
	assert_int_equal(cli_main(&cli, (char *const *)words), 125);    /* and no SIGPIPE */
	close(pipe_fd[1]);
	assert_int_equal(lseek(err_fd, 0, SEEK_SET), 0);
	assert_int_equal(buf_read_fd(&err, err_fd, 4096, NULL), 0);
	assert_string_equal(buf_str(&err), "kennel: write to standard output: No space left on device\n"
					   "kennel: write to standard output: Broken pipe\n");
}

static void check_row(const struct cmd *cmd, const struct opt *o)
{
	assert_true(o->name[0] && o->help[0]);
	assert_int_equal(strspn(o->name, "abcdefghijklmnopqrstuvwxyz0123456789-"), strlen(o->name));
	assert_true(o->help[strlen(o->help) - 1] != '.');
	if (o->type == OPT_FLAG || o->type == OPT_COUNT)
		assert_null(o->arg);
	if (o->type == OPT_STRING)
		assert_non_null(o->arg);
	if (o->type == OPT_FLAG || o->type == OPT_COUNT || o->type == OPT_STRING)
		assert_true(o->offset < cmd->args_size);
	if (o->letter == 'B') /* means the same everywhere */
		assert_string_equal(o->name, "backing");
	for (const struct opt *other = cmd->opts; other < o; other++)
		if (other->type != OPT_HEADING &&
		    (strcmp(other->name, o->name) == 0 || (o->letter && other->letter == o->letter)))
			fail_msg("%s: --%s or its letter twice", cmd->name, o->name);
}

static void check_table(const struct cmd *cmd)
{
	size_t n = 0;
	bool has_help = false;

	for (const struct opt *o = cmd->opts; o->type != OPT_END; o++, n++) {
		has_help |= o->type == OPT_HELP;
		if (o->type != OPT_HEADING)
			check_row(cmd, o);
	}
	assert_true(has_help);
	assert_true(n < OPT_ROWS_MAX);
	for (const struct opt_rule *r = cmd->rules; r && r->name; r++) {
		unsigned found = 0;

		for (const struct opt *o = cmd->opts; o->type != OPT_END; o++)
			if (o->type != OPT_HEADING)
				found += strcmp(o->name, r->name) == 0 || strcmp(o->name, r->other) == 0;
		assert_int_equal(found, 2);
	}
}

static void test_tables_are_sound(void **state)
{
	const struct cmd *cmd;

	check_table(&cmd_kennel);
	for (size_t i = 0; (cmd = cmd_at(i)); i++) {
		check_table(cmd);
		assert_ptr_equal(cmd_find(cmd->name, NULL), cmd);
		for (const char *const *alias = cmd->aliases; alias && *alias; alias++)
			assert_ptr_equal(cmd_find(*alias, NULL), cmd);
	}
}

static void test_run_settings_are_keys_of_the_spec(void **state)
{
	for (const struct opt *o = cmd_run.opts; o->type != OPT_END; o++) {
		_cleanup_error_ struct kennel_error *err = NULL;
		struct spec *s = spec_new(NULL);

		if (o->type == OPT_SETTING) {
			(void)!spec_set(s, o->name, "\001", &err);
			if (err && strstr(kennel_error_message(err), "there is no option"))
				fail_msg("--%s", o->name);
		}
		spec_free(s);
	}
}

static void test_help_fits_eighty_columns(void **state)
{
	const struct cmd *cmd;

	for (size_t i = 0; i == 0 || cmd_at(i - 1); i++) {
		_cleanup_buf_ struct buf b = { 0 };

		cmd = cmd_at(i);
		if (cmd)
			help_command(&b, cmd);
		else
			help_program(&b);
		for (const char *line = buf_str(&b); *line; line += strcspn(line, "\n") + 1)
			if (strcspn(line, "\n") > 80)
				fail_msg("%.*s", (int)strcspn(line, "\n"), line);
	}
}

static void test_completion_knows_every_option(void **state)
{
	static const char *const shells[] = { "bash", "zsh", "fish" };

	for (size_t i = 0; i < ARRAY_SIZE(shells); i++) {
		const char *const words[] = { "kennel", "completion", shells[i], NULL };
		_cleanup_buf_ struct buf out = { 0 }, err = { 0 };

		assert_int_equal(run_cli(words, &out, &err), 0);
		for (const struct opt *o = cmd_run.opts; o->type != OPT_END; o++) {
			_cleanup_buf_ struct buf name = { 0 };

			if (o->type == OPT_HEADING)
				continue;
			buf_printf(&name, i == 2 ? "-l %s " : "--%s", o->name);
			if (!strstr(buf_str(&out), buf_str(&name)))
				fail_msg("%s: %s", shells[i], buf_str(&name));
		}
	}
}

static void test_text_width_cut_and_age(void **state)
{
	static const struct {
		const char *text;
		size_t width;
		const char *cut;
	} rows[] = {
		{ "abc", 3, "abc" },
		{ "abcdef", 5, "ab..." },
		{ "\xc3\xa4\xc3\xb6\xc3\xbc!", 4, "\xc3\xa4\xc3\xb6\xc3\xbc!" },
		{ "\xc3\xa4\xc3\xb6\xc3\xbc!x", 4, "\xc3\xa4..." },
		{ "\033", 4, "\\x1b" },
		{ "abc", 2, ".." },
		{ "", 0, "" },
	};
	static const struct {
		uint64_t seconds;
		const char *age;
	} ages[] = { { 0, "0s" },      { 119, "119s" }, { 120, "2m" },
		     { 7199, "119m" }, { 7200, "2h" },	{ 172800, "2d" } };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_buf_ struct buf b = { 0 };

		text_cut(&b, rows[i].text, rows[i].width);
		assert_string_equal(buf_str(&b), rows[i].cut);
	}
	for (size_t i = 0; i < ARRAY_SIZE(ages); i++) {
		_cleanup_buf_ struct buf b = { 0 };

		text_age(&b, ages[i].seconds);
		assert_string_equal(buf_str(&b), ages[i].age);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_opt_parse_spellings),
		cmocka_unit_test(test_opt_parse_first_operand_ends_options),
		cmocka_unit_test(test_opt_parse_help_ends_everything),
		cmocka_unit_test(test_opt_parse_mistake_is_one_exact_line),
		cmocka_unit_test(test_cli_main_mistakes_go_to_stderr_with_125),
		cmocka_unit_test(test_cli_main_help_goes_where_it_was_asked),
		cmocka_unit_test(test_cli_out_unwritable_is_125),
		cmocka_unit_test(test_tables_are_sound),
		cmocka_unit_test(test_run_settings_are_keys_of_the_spec),
		cmocka_unit_test(test_help_fits_eighty_columns),
		cmocka_unit_test(test_completion_knows_every_option),
		cmocka_unit_test(test_text_width_cut_and_age),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
