/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cli/cmd-wait.c - "kennel wait": until a container is in one of some states. */
#include <string.h>

#include <kennel/kennel.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "cli/cmd.h"
#include "cli/live.h"
#include "cli/spec-opt.h"

#define NOT_IN_TIME 1

struct wait_args {
	const char *path, *states, *timeout;
};

static int parse_state(const char *word, unsigned *states, struct kennel_error **err)
{
	for (unsigned bit = KENNEL_STATE_STOPPED; bit <= KENNEL_STATE_STOPPING; bit <<= 1)
		if (strcmp(word, kennel_state_name((enum kennel_state)bit)) == 0) {
			*states |= bit;
			return 0;
		}
	return hint(
		err, fail(err, KENNEL_E_INVALID, "state: \"%s\" is not a state", word),
		"it is stopped, starting, running, frozen or stopping, or some of them with commas or \"|\"");
}

static int parse_states(const char *text, unsigned *ret, struct kennel_error **err)
{
	_cleanup_free_ char *copy = strdup(text);
	_cleanup_strv_ struct strv words = { 0 };

	for (char *c = copy; c && *c; c++)
		if (*c == '|')
			*c = ',';
	int r = copy ? strv_split(&words, copy, ',', err) : fail(err, KENNEL_E_NOMEM, "out of memory");
	if (r == 0 && !words.n)
		r = parse_state(text, ret, err);
	for (size_t i = 0; i < words.n && r == 0; i++)
		r = parse_state(words.items[i], ret, err);
	return r;
}

static int wait_run(struct cli *cli, const void *p, const struct opt_input *in)
{
	const struct wait_args *args = p;
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_buf_ struct buf b = { 0 };
	const char *store = NULL;
	unsigned states = 0;
	int timeout_ms = -1, r = 0;

	if (args->states)
		r = parse_states(args->states, &states, &err);
	else
		states = KENNEL_STATE_STOPPED;
	if (r == 0 && args->timeout)
		r = live_parse_time("timeout", args->timeout, &timeout_ms, &err);
	if (r == 0)
		r = spec_opt_store(args->path, &b, &store, &err);
	if (r == 0)
		r = kennel_wait(store, in->operands[0], states, timeout_ms, NULL, &err);
	return r < 0 ? cli_error(cli, err) : r > 0 ? 0 : NOT_IN_TIME;
}

#define ARG(m) offsetof(struct wait_args, m)
static const struct opt wait_opts[] = {
	{ 's', "state", "STATE[,STATE]...", OPT_STRING, ARG(states),
	  "which: stopped (default), starting, running, frozen, stopping",
	  "stopped running frozen starting stopping" },
	{ 't', "timeout", "TIME", OPT_STRING, ARG(timeout), "how long: seconds, or 500ms, 2m; 0 only looks",
	  NULL },
	{ 'P', "path", "DIR", OPT_STRING, ARG(path), "where containers are, instead of your own place",
	  OPT_WORDS_PATH },
	OPT_HELP_ROW,
	{ .type = OPT_END },
};

const struct cmd cmd_wait = {
	.name = "wait",
	.summary = "wait until a container is in a state",
	.usage = "[OPTION]... NAME|ID",
	.more = "Exit code: 0 it is, 1 the time was over before, 125 kennel failed.",
	.opts = wait_opts,
	.min_operands = 1,
	.max_operands = 1,
	.missing = "which container: \"kennel list\" shows them",
	.operand_words = OPT_WORDS_CONTAINER,
	.args_size = sizeof(struct wait_args),
	.run = wait_run,
};
