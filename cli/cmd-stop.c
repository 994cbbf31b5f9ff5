/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cli/cmd-stop.c - "kennel stop": ends sandboxes. One that can't be stopped does not keep the others. */
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <kennel/kennel.h>

#include "base/macro.h"
#include "base/parse.h"
#include "cli/cmd.h"

#define TIMEOUT_MS 10000

struct stop_args {
	const char *timeout, *signal;
	bool kill, all, quiet;
};

struct stop_wish {
	int signal, timeout_ms;
};

static int parse_signal(const char *text, int *ret, struct kennel_error **err)
{
	static const struct {
		const char *name;
		int number;
	} names[] = { { "TERM", SIGTERM }, { "INT", SIGINT },	{ "HUP", SIGHUP },   { "QUIT", SIGQUIT },
		      { "PWR", SIGPWR },   { "USR1", SIGUSR1 }, { "USR2", SIGUSR2 }, { "KILL", SIGKILL } };
	const char *name = strncmp(text, "SIG", 3) == 0 ? text + 3 : text;
	uint32_t number;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(names[i].name, name) == 0) {
			*ret = names[i].number;
			return 0;
		}
	if (parse_u32(text, &number) == 0 && number >= 1 && number <= 64) {
		*ret = (int)number;
		return 0;
	}
	return hint(err, fail(err, KENNEL_E_INVALID, "signal: \"%s\" is not a signal that ends things", text),
		    "it is TERM, INT, HUP, QUIT, PWR, USR1, USR2, KILL or a number");
}

static int parse_wish(const struct stop_args *args, struct stop_wish *ret, struct kennel_error **err)
{
	uint64_t ms = TIMEOUT_MS;

	if (args->timeout && (parse_duration_ms(args->timeout, &ms) < 0 || ms > INT_MAX))
		return hint(err, fail(err, KENNEL_E_INVALID, "timeout: \"%s\" is not a time", args->timeout),
			    "it is a number of seconds, or 500ms, 2m");
	ret->timeout_ms = args->kill ? 0 : (int)ms;
	return args->signal ? parse_signal(args->signal, &ret->signal, err) : 0;
}

static int stop_one(struct cli *cli, const char *id, const struct stop_wish *wish, bool quiet)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_buf_ struct buf b = { 0 };
	int killed = 0;

	if (kennel_stop(id, wish->signal, wish->timeout_ms, &killed, &err) < 0)
		return cli_error(cli, err);
	if (killed && wish->timeout_ms && !quiet) {
		buf_printf(&b, "\"%s\" did not end by itself and was killed", id);
		cli_say(cli, buf_str(&b), "\n");
	}
	return 0;
}

static int stop_all(struct cli *cli, const struct stop_wish *wish, bool quiet)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	struct kennel_list *list = NULL;
	int status = 0;

	if (kennel_list_read(NULL, &list, &err) < 0)
		return cli_error(cli, err);
	for (size_t i = 0; i < kennel_list_count(list); i++)
		if (stop_one(cli, kennel_list_value(list, i, "id"), wish, quiet) != 0)
			status = CLI_EXIT_FAILED;
	kennel_list_free(list);
	return status;
}

static int stop_run(struct cli *cli, const void *p, const struct opt_input *in)
{
	const struct stop_args *args = p;
	_cleanup_error_ struct kennel_error *err = NULL;
	struct stop_wish wish = { 0 };
	int status = 0;

	int r = parse_wish(args, &wish, &err);
	if (r == 0 && !args->all == !in->n_operands)
		r = hint(&err, fail(&err, KENNEL_E_INVALID, "name either sandboxes or --all"),
			 "\"kennel list\" shows those that are running");
	if (r < 0)
		return cli_error(cli, err);
	if (args->all)
		return stop_all(cli, &wish, args->quiet);
	for (size_t i = 0; i < in->n_operands; i++)
		if (stop_one(cli, in->operands[i], &wish, args->quiet) != 0)
			status = CLI_EXIT_FAILED;
	return status;
}

#define ARG(m) offsetof(struct stop_args, m)
static const struct opt stop_opts[] = {
	{ 't', "timeout", "TIME", OPT_STRING, ARG(timeout),
	  "how long it has: seconds, or 500ms, 2m (default: 10)", NULL },
	{ 's', "signal", "SIGNAL", OPT_STRING, ARG(signal), "what asks the command to end (default: TERM)",
	  "TERM INT HUP QUIT PWR USR1 USR2 KILL" },
	{ 'k', "kill", NULL, OPT_FLAG, ARG(kill), "don't ask, kill", NULL },
	{ 'a', "all", NULL, OPT_FLAG, ARG(all), "all sandboxes of yours", NULL },
	{ 'q', "quiet", NULL, OPT_FLAG, ARG(quiet), "errors only", NULL },
	OPT_HELP_ROW,
	{ .type = OPT_END },
};

static const struct opt_rule stop_rules[] = {
	{ "kill", OPT_EXCLUDES, "timeout" },
	{ "kill", OPT_EXCLUDES, "signal" },
	{ .name = NULL },
};

const struct cmd cmd_stop = {
	.name = "stop",
	.summary = "end sandboxes that run",
	.usage = "[OPTION]... ID|NAME...",
	.more = "What does not end in time is killed.",
	.opts = stop_opts,
	.rules = stop_rules,
	.max_operands = CMD_OPERANDS_ANY,
	.operand_words = OPT_WORDS_SANDBOX,
	.args_size = sizeof(struct stop_args),
	.run = stop_run,
};
