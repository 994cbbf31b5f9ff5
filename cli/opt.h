/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cli/opt.h - one table of options per command; the parser, --help, the completions and a test all read it.
 *
 * As with getopt_long(3): --name VALUE, --name=VALUE, -nVALUE, -n VALUE, flags in a bundle (-qv), "--" ends
 * options. Unlike it, a shortened long option is an error, because it would become ambiguous with the next
 * release.
 */
#ifndef KENNEL_CLI_OPT_H
#define KENNEL_CLI_OPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum opt_type {
	OPT_END,                /* the last row of every table */
	OPT_HEADING,            /* a line of --help in front of a group of options */
	OPT_HELP,               /* asks for help; nothing after it is looked at */
	OPT_FLAG,               /* bool */
	OPT_COUNT,              /* unsigned: how many times */
	OPT_STRING,             /* const char *, borrowed from argv; the last one wins */
	OPT_SETTING,            /* goes into opt_input.settings in order; "yes" where it takes no argument */
};

struct opt {
	char letter;            /* 0: none */
	const char *name;
	const char *arg;        /* what its argument is called, or NULL: takes none */
	enum opt_type type;
	size_t offset;          /* of the result in the command's struct */
	const char *help;       /* lower case, no full stop */
	const char *words;      /* for completion: words with spaces between, or one of the below, or NULL */
};

#define OPT_WORDS_PATH "/"              /* names of files and directories */
#define OPT_WORDS_SANDBOX "@sandbox"    /* ids of running sandboxes */
#define OPT_WORDS_CONTAINER "@container" /* names of containers */
#define OPT_WORDS_PROGRAM "@program"    /* a program and its arguments */
#define OPT_WORDS_HELP "@help"          /* names of our own commands */

#define OPT_HELP_ROW \
	{ \
		'h', "help", NULL, OPT_HELP, 0, "show this help", NULL \
	}

enum opt_rule_kind { OPT_EXCLUDES, OPT_NEEDS };

struct opt_rule {
	const char *name;               /* NULL: the last row of every table */
	enum opt_rule_kind kind;
	const char *other;
};

enum opt_flags {
	OPT_OPERAND_ENDS =
		1 << 0, /* the first operand ends the options: what follows belongs to another program */
};

struct opt_setting {
	const char *name;
	const char *value;              /* borrowed from argv, or "yes" */
};

struct opt_input {
	bool help;
	struct opt_setting *settings;
	size_t n_settings;
	const char **operands;          /* NULL-terminated; the strings are argv's */
	size_t n_operands;
};

#define OPT_ROWS_MAX 64

/*
 * Reads argv (without the program's name, NULL-terminated) by the table opts into args and *ret, which
 * opt_input_done() ends, also after a failure. rules may be NULL.
 */
int opt_parse(const struct opt *opts, const struct opt_rule *rules, unsigned flags, char *const *argv,
	      void *args, struct opt_input *ret, struct kennel_error **err) MUST_CHECK;
void opt_input_done(struct opt_input *in);

static inline void cleanup_opt_inputp(struct opt_input *in)
{
	opt_input_done(in);
}
#define _cleanup_opt_input_ __attribute__((cleanup(cleanup_opt_inputp)))

#endif
