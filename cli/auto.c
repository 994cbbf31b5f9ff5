/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cli/auto.c - see auto.h. They start one after the other, each given its time before the next one, and stop
 * the other way round. What could not be done is told at once, and by the exit code in the end.
 */
#include "cli/auto.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "cli/facts.h"
#include "cli/json.h"
#include "cli/spec-opt.h"

#define SETTLED_MS 90000 /* for what follows the end of one that was stopped: hooks, a file system's sync */
#define GAP 2

struct all {
	struct buf path;
	const char *store;
	struct kennel_list *list;
};

static void all_done(struct all *a)
{
	buf_done(&a->path);
	kennel_list_free(a->list);
}
#define _cleanup_all_ __attribute__((cleanup(all_done)))

static int read_all(const struct auto_wish *wish, const struct opt_input *in, struct all *ret,
		    struct kennel_error **err)
{
	_cleanup_free_ const char **groups = calloc(in->n_settings + 1, sizeof(*groups));

	if (!groups)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	for (size_t i = 0; i < in->n_settings; i++)
		groups[i] = in->settings[i].value;
	int r = spec_opt_store(wish->path, &ret->path, &ret->store, err);
	return r < 0 ? r : kennel_autostart_list(ret->store, groups, &ret->list, err);
}

static uint64_t number(const struct all *a, size_t i, const char *key)
{
	const char *text = kennel_list_value(a->list, i, key);
	uint64_t n;

	return text && parse_u64(text, &n) == 0 ? n : 0;
}

static const char *name_of(const struct all *a, size_t i)
{
	return kennel_list_value(a->list, i, "name");
}

/* Return: true where there is nothing to be known of it but that. */
static bool is_damaged(struct cli *cli, const struct all *a, size_t i)
{
	const char *damage = kennel_list_detail(a->list, i, "damage", 0);
	_cleanup_buf_ struct buf b = { 0 };

	if (!damage)
		return false;
	buf_printf(&b, "container \"%s\": %s", name_of(a, i), damage);
	cli_say(cli, buf_str(&b), "\n");
	return true;
}

static bool runs(const struct all *a, size_t i)
{
	return strcmp(fact_text(a->list, i, "state"), "running") == 0;
}

/* --- what would be done --- */

static void add_json(struct buf *b, const struct all *a)
{
	const size_t n = kennel_list_count(a->list);

	buf_puts(b, "[");
	for (size_t i = 0; i < n; i++) {
		buf_puts(b, i ? ",\n {" : "\n {");
		json_member(b, "name", name_of(a, i), false);
		json_member(b, "state", kennel_list_value(a->list, i, "state"), false);
		json_member(b, "order", kennel_list_value(a->list, i, "order"), true);
		json_member(b, "delay-ms", kennel_list_value(a->list, i, "delay-ms"), true);
		fact_json_lines(b, a->list, i, "groups", "group");
		json_member(b, "damage", kennel_list_detail(a->list, i, "damage", 0), false);
		buf_puts(b, "}");
	}
	buf_puts(b, n ? "\n]\n" : "]\n");
}

static void add_delay(struct buf *b, uint64_t ms)
{
	if (ms % 1000)
		buf_printf(b, "%llums", (unsigned long long)ms);
	else
		buf_printf(b, "%llus", (unsigned long long)(ms / 1000));
}

static void add_table(struct buf *b, const struct all *a)
{
	size_t width = strlen("NAME");

	for (size_t i = 0; i < kennel_list_count(a->list); i++)
		width = MAX(width, text_width(name_of(a, i)));
	text_pad(b, "NAME", width + GAP);
	buf_puts(b, "STATE    ORDER  DELAY   GROUPS\n");
	for (size_t i = 0; i < kennel_list_count(a->list); i++) {
		_cleanup_buf_ struct buf delay = { 0 };
		const char *group;

		add_delay(&delay, number(a, i, "delay-ms"));
		text_pad(b, name_of(a, i), width + GAP);
		buf_printf(b, "%-7s  %-5llu  %-6s  ", fact_text(a->list, i, "state"),
			   (unsigned long long)number(a, i, "order"), buf_str(&delay));
		for (size_t k = 0; (group = kennel_list_detail(a->list, i, "group", k)); k++)
			buf_printf(b, "%s%s", k ? " " : "", group);
		buf_puts(b, "\n");
	}
}

static int show(struct cli *cli, const struct auto_wish *wish, const struct all *a)
{
	_cleanup_buf_ struct buf b = { 0 };
	int status = 0;

	for (size_t i = 0; i < kennel_list_count(a->list); i++)
		if (is_damaged(cli, a, i))
			status = CLI_EXIT_FAILED;
	if (wish->json)
		add_json(&b, a);
	else
		add_table(&b, a);
	int written = cli_out(cli, &b);
	return written ? written : status;
}

/* --- doing it --- */

static int start_one(struct cli *cli, const struct auto_wish *wish, const struct all *a, size_t i)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	struct kennel_spec *spec = NULL;
	_cleanup_buf_ struct buf b = { 0 };
	char id[KENNEL_ID_SIZE];

	int r = kennel_spec_new(&spec, &err);
	if (r == 0 && a->store)
		r = kennel_spec_set(spec, "path", a->store, &err);
	if (r == 0)
		r = kennel_spec_set(spec, "keep", name_of(a, i), &err);
	if (r == 0 && !wish->quiet)
		kennel_spec_set_log(spec, spec_opt_warn, cli);
	if (r == 0)
		r = kennel_start(spec, id, &err);
	kennel_spec_free(spec);
	if (r < 0) /* says itself which container it is */
		return cli_error(cli, err);
	buf_printf(&b, "%s %s\n", id, name_of(a, i));
	return wish->quiet ? 0 : cli_out(cli, &b);
}

static void pause_ms(uint64_t ms)
{
	struct timespec left = { .tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000 };

	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		;
}

int auto_start(struct cli *cli, const struct auto_wish *wish, const struct opt_input *in)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_all_ struct all a = { .list = NULL };
	uint64_t delay_ms = 0;
	int status = 0;

	if (read_all(wish, in, &a, &err) < 0)
		return cli_error(cli, err);
	if (wish->dry_run)
		return show(cli, wish, &a);
	for (size_t i = 0; i < kennel_list_count(a.list); i++) {
		bool damaged = is_damaged(cli, &a, i);

		if (!damaged && runs(&a, i))
			continue;
		if (!damaged)
			pause_ms(delay_ms);
		if (damaged || start_one(cli, wish, &a, i) != 0)
			status = CLI_EXIT_FAILED;
		else
			delay_ms = number(&a, i, "delay-ms");
	}
	return status;
}

static int stop_one(struct cli *cli, const struct auto_wish *wish, const struct all *a, size_t i)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	enum kennel_state state;

	/* By its id: another store may have one of the same name. */
	int r = live_stop(cli, kennel_list_value(a->list, i, "id"), &wish->stop, wish->quiet, &err);
	if (r == -KENNEL_E_NOTFOUND) { /* it has ended meanwhile */
		error_clear(&err);
		r = 0;
	}
	if (r == 0)
		r = kennel_wait(a->store, name_of(a, i), KENNEL_STATE_STOPPED, SETTLED_MS, &state, &err);
	if (r == 0)
		r = fail(&err, KENNEL_E_BUSY, "container \"%s\" was stopped, but is still being taken apart",
			 name_of(a, i));
	return r < 0 ? cli_error(cli, err) : 0;
}

int auto_stop(struct cli *cli, const struct auto_wish *wish, const struct opt_input *in)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_all_ struct all a = { .list = NULL };
	int status = 0;

	if (read_all(wish, in, &a, &err) < 0)
		return cli_error(cli, err);
	for (size_t i = kennel_list_count(a.list); i-- > 0;)
		if (runs(&a, i) && stop_one(cli, wish, &a, i) != 0)
			status = CLI_EXIT_FAILED;
	return status;
}
