/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cli/cmd-top.c - "kennel top": what the sandboxes use, again and again on a terminal, once elsewhere. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <kennel/kennel.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "cli/cmd.h"
#include "cli/facts.h"
#include "cli/json.h"
#include "cli/live.h"

#define INTERVAL_MS 2000
#define FIRST_MS 200 /* for the share of the processors where nothing came before */
#define CLEAR "\033[H\033[J"

struct top_args {
	const char *interval, *count;
	bool json;
};

struct shot {
	struct kennel_list *list;
	int64_t at_us;
};

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static uint64_t number(const struct kennel_list *list, size_t i, const char *key)
{
	uint64_t v = 0;

	return parse_u64(fact_text(list, i, key), &v) < 0 ? 0 : v;
}

/*
 * In thousandths of one processor, since the shot before; one that was not there then counts from its
 * start.
 */
static uint64_t cpu_milli(const struct shot *before, const struct shot *now, size_t i)
{
	const char *id = kennel_list_value(now->list, i, "id");
	const int64_t us = MAX(now->at_us - before->at_us, (int64_t)1);
	uint64_t then = 0, used = number(now->list, i, "cpu-us");

	for (size_t k = 0; k < kennel_list_count(before->list); k++)
		if (strcmp(kennel_list_value(before->list, k, "id"), id) == 0)
			then = number(before->list, k, "cpu-us");
	return used > then ? (used - then) * 1000 / (uint64_t)us : 0;
}

static void add_row(struct buf *b, const struct shot *before, const struct shot *now, size_t i, size_t names)
{
	_cleanup_buf_ struct buf memory = { 0 }, in = { 0 }, out = { 0 };
	const uint64_t cpu = cpu_milli(before, now, i);

	text_size(&memory, number(now->list, i, "memory-bytes"));
	text_size(&in, number(now->list, i, "read-bytes"));
	text_size(&out, number(now->list, i, "written-bytes"));
	text_pad(b, fact_text(now->list, i, "id"), 10);
	text_pad(b, fact_text(now->list, i, "name"), names);
	text_pad(b, fact_text(now->list, i, "state"), 8);
	buf_printf(b, "%4llu.%llu %8s %5llu %8s %8s", (unsigned long long)cpu / 10,
		   (unsigned long long)cpu % 10, buf_str(&memory),
		   (unsigned long long)number(now->list, i, "processes"), buf_str(&in), buf_str(&out));
}

/* A line that is wider than the terminal would take two of it, and the first ones scroll away. */
static void add_rows(struct buf *b, const struct shot *before, const struct shot *now, size_t width)
{
	size_t names = strlen("NAME"), n = kennel_list_count(now->list);

	for (size_t i = 0; i < n; i++)
		names = MAX(names, text_width(fact_text(now->list, i, "name")));
	names += 2;
	for (size_t i = 0; i <= n; i++) {
		_cleanup_buf_ struct buf line = { 0 };

		if (i == 0)
			buf_printf(&line, "%-10s%-*s%-8s%6s %8s %5s %8s %8s", "ID", (int)names, "NAME",
				   "STATE", "CPU%", "MEMORY", "PIDS", "READ", "WRITTEN");
		else
			add_row(&line, before, now, i - 1, names);
		text_cut(b, buf_str(&line), width ? width : SIZE_MAX);
		buf_puts(b, "\n");
	}
}

static void add_objects(struct buf *b, const struct shot *before, const struct shot *now)
{
	static const char *const keys[] = { "cpu-us", "memory-bytes", "processes", "read-bytes",
					    "written-bytes" };

	buf_puts(b, "[");
	for (size_t i = 0; i < kennel_list_count(now->list); i++) {
		buf_puts(b, i ? ",\n {" : "\n {");
		json_member(b, "id", kennel_list_value(now->list, i, "id"), false);
		json_member(b, "name", kennel_list_value(now->list, i, "name"), false);
		json_member(b, "state", fact_text(now->list, i, "state"), false);
		for (size_t k = 0; k < ARRAY_SIZE(keys); k++)
			json_member(b, keys[k], kennel_list_value(now->list, i, keys[k]), true);
		buf_printf(b, ", \"cpu-percent\": %llu.%llu}",
			   (unsigned long long)cpu_milli(before, now, i) / 10,
			   (unsigned long long)cpu_milli(before, now, i) % 10);
	}
	buf_puts(b, kennel_list_count(now->list) ? "\n]\n" : "]\n");
}

static int take(const char *id, struct shot *ret, struct kennel_error **err)
{
	*ret = (struct shot){ .at_us = now_us() };
	return kennel_usage_read(id, &ret->list, err);
}

static int show(struct cli *cli, const struct top_args *args, const struct shot *before,
		const struct shot *now, bool redraw)
{
	_cleanup_buf_ struct buf b = { 0 };

	buf_puts(&b, redraw ? CLEAR : "");
	if (args->json)
		add_objects(&b, before, now);
	else
		add_rows(&b, before, now, cli_width(cli));
	return cli_out(cli, &b);
}

static int loop(struct cli *cli, const struct top_args *args, const char *id, int interval_ms, uint32_t count,
		struct kennel_error **err)
{
	const bool redraw = cli_is_terminal(cli) && !args->json && count != 1;
	struct shot before, now;
	int status = 0;

	int r = take(id, &before, err);
	for (uint32_t i = 0; r == 0 && status == 0 && (!count || i < count); i++) {
		(void)!poll(NULL, 0, i ? interval_ms : FIRST_MS);
		r = take(id, &now, err);
		if (r < 0)
			break;
		status = show(cli, args, &before, &now, redraw);
		kennel_list_free(before.list);
		before = now;
	}
	kennel_list_free(before.list);
	return r < 0 ? r : status;
}

static int top_run(struct cli *cli, const void *p, const struct opt_input *in)
{
	const struct top_args *args = p;
	_cleanup_error_ struct kennel_error *err = NULL;
	uint32_t count = cli_is_terminal(cli) && !args->json ? 0 : 1;
	int interval_ms = INTERVAL_MS, r = 0;

	if (args->interval)
		r = live_parse_time("interval", args->interval, &interval_ms, &err);
	if (r == 0 && args->count && (parse_u32(args->count, &count) < 0 || !count))
		r = hint(&err,
			 fail(&err, KENNEL_E_INVALID, "count: \"%s\" is not a number of times", args->count),
			 "it is 1 or more");
	if (r == 0)
		r = loop(cli, args, in->n_operands ? in->operands[0] : NULL, interval_ms, count, &err);
	return r < 0 ? cli_error(cli, err) : r;
}

#define ARG(m) offsetof(struct top_args, m)
static const struct opt top_opts[] = {
	{ 'd', "interval", "TIME", OPT_STRING, ARG(interval), "how often: seconds, or 500ms (default: 2)",
	  NULL },
	{ 'n', "count", "NUMBER", OPT_STRING, ARG(count),
	  "how many times (default: on a terminal until ^C, else once)", NULL },
	{ 0, "json", NULL, OPT_FLAG, ARG(json), "an array of objects, for programs", NULL },
	OPT_HELP_ROW,
	{ .type = OPT_END },
};

static const char *const top_aliases[] = { "stats", NULL };

const struct cmd cmd_top = {
	.name = "top",
	.aliases = top_aliases,
	.summary = "show what sandboxes use of processors, memory and disks",
	.usage = "[OPTION]... [ID|NAME]",
	.more = "100 per cent are one processor.",
	.opts = top_opts,
	.max_operands = 1,
	.operand_words = OPT_WORDS_SANDBOX,
	.args_size = sizeof(struct top_args),
	.run = top_run,
};
