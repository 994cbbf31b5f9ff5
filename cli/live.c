/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cli/live.c - see live.h. */
#include "cli/live.h"

#include <limits.h>
#include <signal.h>
#include <string.h>

#include "base/macro.h"
#include "base/parse.h"
#include "cli/spec-opt.h"

const char *const *live_command(const struct opt_input *in)
{
	return in->operands + (in->n_operands > 1 && strcmp(in->operands[1], "--") == 0 ? 2 : 1);
}

int live_parse_time(const char *key, const char *text, int *ret_ms, struct kennel_error **err)
{
	uint64_t ms;

	if (parse_duration_ms(text, &ms) < 0 || ms > INT_MAX)
		return hint(err, fail(err, KENNEL_E_INVALID, "%s: \"%s\" is not a time", key, text),
			    "it is a number of seconds, or 500ms, 2m");
	*ret_ms = (int)ms;
	return 0;
}

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

static int parse_wish(const struct live_wish *wish, int *ret_signal, int *ret_ms, struct kennel_error **err)
{
	int r = 0;

	*ret_signal = 0;
	*ret_ms = wish->kill ? 0 : LIVE_STOP_MS;
	if (wish->timeout)
		r = live_parse_time("timeout", wish->timeout, ret_ms, err);
	return r == 0 && wish->signal ? parse_signal(wish->signal, ret_signal, err) : r;
}

int live_check(const struct live_wish *wish, struct kennel_error **err)
{
	int sig, ms;

	return parse_wish(wish, &sig, &ms, err);
}

int live_stop(struct cli *cli, const char *id, const struct live_wish *wish, bool quiet,
	      struct kennel_error **err)
{
	int sig, ms, killed = 0, r = parse_wish(wish, &sig, &ms, err);

	if (r == 0)
		r = kennel_stop(id, sig, ms, &killed, err);
	if (r == 0 && killed && ms && !quiet) {
		_cleanup_buf_ struct buf b = { 0 };

		buf_printf(&b, "\"%s\" did not end by itself and was killed", id);
		cli_say(cli, buf_str(&b), "\n");
	}
	return r;
}

int live_find(const char *path, const char *name, enum kennel_state *ret, struct kennel_error **err)
{
	_cleanup_buf_ struct buf b = { 0 };
	const char *store = NULL;

	int r = spec_opt_store(path, &b, &store, err);
	if (r == 0)
		r = kennel_wait(store, name, KENNEL_STATE_STOPPED, 0, ret, err);
	return r < 0 ? r : 0;
}

int live_start_spec(struct cli *cli, bool quiet, const char *store, const char *name,
		    const char *const *command, struct kennel_spec **ret, struct kennel_error **err)
{
	int r = kennel_spec_new(ret, err);

	if (r == 0 && store)
		r = kennel_spec_set(*ret, "path", store, err);
	/* no name has a slash in it */
	if (r == 0)
		r = spec_opt_set(*ret, &(struct opt_setting){ strchr(name, '/') ? "file" : "keep", name },
				 err);
	if (r == 0)
		r = kennel_spec_set_command(*ret, command, err);
	if (r == 0 && !quiet)
		kennel_spec_set_log(*ret, spec_opt_warn, cli);
	return r;
}
