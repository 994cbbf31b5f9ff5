/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cli/cmd-monitor.c - "kennel monitor": each change of state, as a line or an object, as it comes. */
#include <time.h>

#include <kennel/kennel.h>

#include "cli/cmd.h"
#include "cli/json.h"

struct monitor_args {
	bool json;
};

struct telling {
	struct cli *cli;
	bool json;
	int status;
};

static int tell(void *data, const char *id, const char *name, enum kennel_state state)
{
	struct telling *t = data;
	_cleanup_buf_ struct buf b = { 0 };
	const time_t now = time(NULL);
	char when[32] = "";
	struct tm tm;

	if (t->json) {
		buf_printf(&b, "{\"time\": %lld, \"id\": ", (long long)now);
		buf_json(&b, id);
		buf_puts(&b, ", \"name\": ");
		buf_json(&b, name);
		buf_puts(&b, ", \"state\": ");
		buf_json(&b, kennel_state_name(state));
		buf_puts(&b, "}\n");
	} else {
		if (localtime_r(&now, &tm))
			strftime(when, sizeof(when), "%H:%M:%S", &tm);
		buf_printf(&b, "%s  %s  ", when, id);
		text_pad(&b, kennel_state_name(state), name ? 10 : 0);
		buf_safe(&b, name ? name : "");
		buf_puts(&b, "\n");
	}
	t->status = cli_out(t->cli, &b);
	return t->status;
}

static int monitor_run(struct cli *cli, const void *p, const struct opt_input *in)
{
	const struct monitor_args *args = p;
	_cleanup_error_ struct kennel_error *err = NULL;
	struct telling t = { .cli = cli, .json = args->json };

	(void)in;
	return kennel_watch(tell, &t, &err) < 0 ? cli_error(cli, err) : t.status;
}

#define ARG(m) offsetof(struct monitor_args, m)
static const struct opt monitor_opts[] = {
	{ 0, "json", NULL, OPT_FLAG, ARG(json), "an object a line, for programs", NULL },
	OPT_HELP_ROW,
	{ .type = OPT_END },
};

const struct cmd cmd_monitor = {
	.name = "monitor",
	.summary = "tell each change of state, as it comes",
	.usage = "[OPTION]...",
	.more = "Begins with what runs now; ^C ends it.",
	.opts = monitor_opts,
	.args_size = sizeof(struct monitor_args),
	.run = monitor_run,
};
