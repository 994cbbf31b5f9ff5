/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cli/cmd-info.c - "kennel info ID | NAME | --base": all that is known of one sandbox or container, or of
 * what "the running system" means here.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <kennel/kennel.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "cli/cmd.h"
#include "cli/facts.h"
#include "cli/json.h"
#include "cli/list-tree.h"
#include "cli/spec-opt.h"

#define LABEL_WIDTH 12

struct info_args {
	const char *path;
	bool base, json;
};

struct size {
	bool known;
	uint64_t bytes;
};

/* One of the two, or both for a container that runs. */
struct facts {
	struct kennel_list *container, *sandbox, *limits;
	struct size size;
};

static void facts_done(struct facts *f)
{
	kennel_list_free(f->container);
	kennel_list_free(f->sandbox);
	kennel_list_free(f->limits);
}
#define _cleanup_facts_ __attribute__((cleanup(facts_done)))

static const struct {
	const char *verdict;    /* in the library's line */
	const char *text;
} verdicts[] = { { "copied", "copied" }, { "new", "new" }, { "left-out", "left out" } };

static const char *verdict_text(const char *verdict)
{
	for (size_t i = 0; i < ARRAY_SIZE(verdicts); i++)
		if (strcmp(verdicts[i].verdict, verdict) == 0)
			return verdicts[i].text;
	return verdict;
}

static void add_label(struct buf *b, const char *label, const char *text)
{
	text_pad(b, label, LABEL_WIDTH);
	buf_safe(b, text);
	buf_puts(b, "\n");
}

static void add_mounts(struct buf *b, const struct kennel_list *list)
{
	const char *line;
	size_t path_width = 0, type_width = 0;

	for (size_t n = 0; (line = kennel_list_detail(list, 0, "mount", n)); n++) {
		_cleanup_mount_line_ struct mount_line m = split_mount(line);

		path_width = MAX(path_width, text_width(m.path));
		type_width = MAX(type_width, text_width(m.fstype));
	}
	for (size_t n = 0; (line = kennel_list_detail(list, 0, "mount", n)); n++) {
		_cleanup_mount_line_ struct mount_line m = split_mount(line);

		buf_puts(b, n ? "  " : "mounts\n  ");
		text_pad(b, verdict_text(m.verdict), LABEL_WIDTH - 2);
		text_pad(b, m.path, path_width + 2);
		text_pad(b, m.fstype, *m.reason ? type_width + 2 : 0);
		buf_safe(b, m.reason);
		buf_puts(b, "\n");
	}
}

static void add_layers(struct buf *b, const struct kennel_list *list)
{
	const char *line;

	for (size_t n = 0; (line = kennel_list_detail(list, 0, "layer", n)); n++) {
		buf_puts(b, n ? "  " : "layers, the uppermost first\n  ");
		buf_safe(b, line);
		buf_puts(b, "\n");
	}
}

/* Most sandboxes have none, some a hundred. */
static void add_replaced(struct buf *b, const struct kennel_list *list)
{
	const char *line;

	for (size_t n = 0; (line = kennel_list_detail(list, 0, "replaced", n)); n++) {
		buf_puts(b, n ? "  " : "replaced, for this user can't read it: empty inside\n  ");
		buf_safe(b, line);
		buf_puts(b, "\n");
	}
}

static void add_size(struct buf *b, const char *label, const char *text)
{
	_cleanup_buf_ struct buf line = { 0 };
	uint64_t bytes;

	if (parse_u64(text, &bytes) < 0) {
		add_label(b, label, text);
		return;
	}
	buf_puts(&line, "at most ");
	text_size(&line, bytes);
	add_label(b, label, buf_str(&line));
}

static void add_time(struct buf *b, const struct kennel_list *list, const char *label, const char *key)
{
	_cleanup_buf_ struct buf line = { 0 };
	char when[64] = "";
	uint64_t created;
	struct tm tm;

	if (parse_u64(fact_text(list, 0, key), &created) == 0) {
		time_t t = (time_t)created;
		if (localtime_r(&t, &tm))
			strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
	}
	buf_printf(&line, "%s, ", when);
	text_age(&line, fact_age(list, 0));
	buf_puts(&line, " ago");
	add_label(b, label, buf_str(&line));
}

/* "eth0 10.107.0.5/24 fd6b:... (bridge kennel0)" and the ports that lead in. */
static void add_network(struct buf *b, const struct kennel_list *list)
{
	const char *line;

	for (size_t n = 0; (line = kennel_list_detail(list, 0, "interface", n)); n++) {
		_cleanup_interface_line_ struct interface_line in = split_interface(line);
		_cleanup_buf_ struct buf text = { 0 };

		buf_printf(&text, "%s%s%s (%s %s)", in.name, *in.addresses ? " " : "", in.addresses, in.kind,
			   in.outside);
		add_label(b, n ? "" : "interfaces", buf_str(&text));
	}
	for (size_t n = 0; (line = kennel_list_detail(list, 0, "publish", n)); n++)
		add_label(b, n ? "" : "published", line);
}

static const char *const limit_keys[] = { "memory", "swap", "pids", "cpus", "cpuset", "io", "disk" };

/* As the kernel has them now. */
static void add_limits(struct buf *b, const struct kennel_list *limits)
{
	const char *line;

	for (size_t i = 0; limits && i < ARRAY_SIZE(limit_keys); i++)
		for (size_t n = 0; (line = kennel_list_detail(limits, 0, limit_keys[i], n)); n++) {
			if (strcmp(limit_keys[i], "memory") == 0 || strcmp(limit_keys[i], "swap") == 0)
				add_size(b, limit_keys[i], line);
			else if (strcmp(limit_keys[i], "disk") != 0)
				add_label(b, limit_keys[i], line);
		}
}

static void add_json_limits(struct buf *b, const struct kennel_list *limits)
{
	const char *line, *between = "";

	json_key(b, "limits");
	buf_puts(b, "{");
	for (size_t i = 0; limits && i < ARRAY_SIZE(limit_keys); i++) {
		bool disks = strcmp(limit_keys[i], "io") == 0, list = strcmp(limit_keys[i], "cpuset") == 0;

		if (!kennel_list_detail(limits, 0, limit_keys[i], 0))
			continue;
		buf_printf(b, "%s\"%s\": %s", between, limit_keys[i], disks ? "[" : "");
		for (size_t n = 0; (line = kennel_list_detail(limits, 0, limit_keys[i], n)); n++) {
			buf_puts(b, n ? ", " : "");
			if (disks || list)
				buf_json(b, line);
			else
				buf_puts(b, line);
		}
		buf_puts(b, disks ? "]" : "");
		between = ", ";
	}
	buf_puts(b, "}");
}

static void add_sandbox(struct buf *b, const struct kennel_list *list, const struct kennel_list *limits)
{
	static const struct {
		const char *label, *key;
	} rows[] = {
		{ "command", "command" }, { "base", "base" },         { "level", "isolate" },
		{ "ids", "idmap" },       { "network", "net" },       { "host name", "hostname" },
		{ "monitor", "pid" },     { "first pid", "init" },    { "root", "root" },
	};

	add_label(b, "id", fact_text(list, 0, "id"));
	add_time(b, list, "started", "created");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		add_label(b, rows[i].label, fact_text(list, 0, rows[i].key));
	add_network(b, list);
	if (limits && kennel_list_value(limits, 0, "disk"))
		add_size(b, "changes", kennel_list_value(limits, 0, "disk"));
	else
		add_size(b, "changes", fact_text(list, 0, "size"));
	add_limits(b, limits);
}

static void add_json_details(struct buf *b, const struct kennel_list *list)
{
	const char *line;

	json_key(b, "mounts");
	buf_puts(b, "[");
	for (size_t n = 0; (line = kennel_list_detail(list, 0, "mount", n)); n++) {
		_cleanup_mount_line_ struct mount_line m = split_mount(line);

		buf_puts(b, n ? ",\n  {" : "\n  {");
		json_member(b, "what", m.verdict, false);
		json_member(b, "path", m.path, false);
		json_member(b, "fstype", m.fstype, false);
		if (*m.reason)
			json_member(b, "reason", m.reason, false);
		buf_puts(b, "}");
	}
	buf_puts(b, "]");
	fact_json_lines(b, list, 0, "layers", "layer");
	fact_json_lines(b, list, 0, "replaced", "replaced");
}

/* What it ran into the last time. */
static void add_hits(struct buf *b, const struct kennel_list *list)
{
	const unsigned hits = fact_hits(list);
	_cleanup_buf_ struct buf text = { 0 };

	if (fact_killed(hits)) {
		buf_printf(&text, "some of its processes, for %s", fact_killed(hits));
		add_label(b, "killed", buf_str(&text));
	}
	if (hits & KENNEL_HIT_PIDS)
		add_label(b, "was full", "--pids was reached");
}

/* A container, running or not: what it is, what it is run with. */
static void add_container(struct buf *b, const struct facts *f)
{
	const struct kennel_list *list = f->container;
	const struct size *size = &f->size;
	const char *line, *damage = kennel_list_detail(list, 0, "damage", 0);
	_cleanup_buf_ struct buf text = { 0 };

	add_label(b, "name", fact_text(list, 0, "name"));
	add_label(b, "state", fact_text(f->sandbox ? f->sandbox : list, 0, "state"));
	add_label(b, "place", fact_text(list, 0, "path"));
	if (kennel_list_value(list, 0, "store-text"))
		add_label(b, "store", kennel_list_value(list, 0, "store-text"));
	if (kennel_list_value(list, 0, "origin"))
		add_label(b, "clone of", kennel_list_value(list, 0, "origin"));
	for (size_t n = 0; (line = kennel_list_detail(list, 0, "snapshot", n)); n++) {
		text_pad(b, n ? "" : "snapshots", LABEL_WIDTH);
		snapshot_line(b, line);
	}
	add_time(b, list, "last used", "used");
	if (kennel_list_value(list, 0, "status"))
		add_label(b, "last exit", fact_text(list, 0, "status"));
	if (kennel_list_value(list, 0, "guest-disk"))
		add_label(b, "not settled",
			  "changes wait on the disk of its guest: the next start, or diff, takes them");
	add_hits(b, list);
	if (size->known)
		text_size(&text, size->bytes);
	add_label(b, "on disk", size->known ? buf_str(&text) : "-");
	if (damage)
		add_label(b, "damage", damage);
	for (size_t n = 0; (line = kennel_list_detail(list, 0, "config", n)); n++) {
		size_t key = strcspn(line, "\t");

		buf_puts(b, n ? "  " : "configuration\n  ");
		buf_printf(b, "%.*s = ", (int)key, line);
		buf_safe(b, line + key + (line[key] == '\t'));
		buf_puts(b, "\n");
	}
}

static void add_json_config(struct buf *b, const struct kennel_list *list, const struct size *size)
{
	const char *line;

	json_key(b, "bytes");
	if (size->known)
		buf_printf(b, "%llu", (unsigned long long)size->bytes);
	else
		buf_puts(b, "null");
	json_member(b, "store", kennel_list_value(list, 0, "store"), false);
	json_key(b, "guest-disk");
	buf_puts(b, kennel_list_value(list, 0, "guest-disk") ? "true" : "false");
	json_member(b, "damage", kennel_list_detail(list, 0, "damage", 0), false);
	json_key(b, "config");
	buf_puts(b, "[");
	for (size_t n = 0; (line = kennel_list_detail(list, 0, "config", n)); n++) {
		_cleanup_free_ char *key = strndup(line, strcspn(line, "\t"));

		buf_puts(b, n ? ", {" : "{");
		json_member(b, "key", key, false);
		json_member(b, "value", line + strcspn(line, "\t") + 1, false);
		buf_puts(b, "}");
	}
	buf_puts(b, "]");
}

/* A word that is nothing's name and no id may have been meant as either. */
static int read_sandbox(const char *word, struct kennel_list **ret, struct kennel_error **err)
{
	struct kennel_list *all = NULL;
	int r = kennel_list_read(word, ret, err);

	if (r != -KENNEL_E_NOTFOUND || kennel_list_read(NULL, &all, NULL) < 0)
		return r;
	kennel_list_free(all);
	error_clear(err);
	return hint(err,
		    fail(err, KENNEL_E_NOTFOUND,
			 "there is no container \"%s\", and no such sandbox is running", word),
		    "\"kennel list\" shows what there is");
}

/* The one that is a name is meant before the other, whose id begins like that. */
static int read_word(const char *store, const char *word, struct facts *f, struct kennel_error **err)
{
	bool no_sandbox = store || strchr(word, '/');
	int r = kennel_container_list(store, word, &f->container, no_sandbox ? err : NULL);

	if (r < 0 && !no_sandbox)
		return read_sandbox(word, &f->sandbox, err);
	if (r < 0)
		return r;
	const char *bytes = kennel_list_value(f->container, 0, "bytes");
	f->size.known = bytes ? parse_u64(bytes, &f->size.bytes) == 0 :
				kennel_container_measure(store, word, &f->size.bytes, NULL) == 0;
	if (strcmp(fact_text(f->container, 0, "state"), "stopped") != 0)
		(void)!kennel_list_read(fact_text(f->container, 0, "id"), &f->sandbox, NULL);
	return 0;
}

static void add_facts(struct buf *b, const struct facts *f, bool base)
{
	if (f->container)
		add_container(b, f);
	if (!f->sandbox)
		return;
	if (!base)
		add_sandbox(b, f->sandbox, f->limits);
	add_mounts(b, f->sandbox);
	add_layers(b, f->sandbox);
	add_replaced(b, f->sandbox);
}

static void add_facts_json(struct buf *b, const struct facts *f, bool base)
{
	buf_puts(b, "{");
	if (!base)
		fact_json(b, f->sandbox ? f->sandbox : f->container, 0);
	if (f->container)
		add_json_config(b, f->container, &f->size);
	if (f->sandbox)
		add_json_details(b, f->sandbox);
	if (f->sandbox && !base)
		add_json_limits(b, f->limits);
	buf_puts(b, "}\n");
}

static int info_run(struct cli *cli, const void *p, const struct opt_input *in)
{
	const struct info_args *args = p;
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_buf_ struct buf b = { 0 }, path = { 0 };
	_cleanup_facts_ struct facts f = { 0 };
	const char *store = NULL;
	int r;

	if (args->base == (in->n_operands > 0)) {
		r = fail(&err, KENNEL_E_INVALID,
			 args->base ? "\"--base\" takes no ID" :
				      "\"kennel info\" needs a NAME, an ID, or --base");
		(void)hint(&err, r, "\"kennel list\" shows both; --base is about this machine");
		return cli_error(cli, err);
	}
	r = spec_opt_store(args->path, &path, &store, &err);
	if (r == 0)
		r = args->base ? kennel_base_read(&f.sandbox, &err) :
				 read_word(store, in->operands[0], &f, &err);
	if (r < 0)
		return cli_error(cli, err);
	/* Without rights to see them, or just ended: then without. */
	if (f.sandbox && !args->base)
		(void)!kennel_limits_read(fact_text(f.sandbox, 0, "id"), &f.limits, NULL);
	if (args->json)
		add_facts_json(&b, &f, args->base);
	else
		add_facts(&b, &f, args->base);
	return cli_out(cli, &b);
}

#define ARG(m) offsetof(struct info_args, m)
static const struct opt info_opts[] = {
	{ 0, "base", NULL, OPT_FLAG, ARG(base),
	  "what a copy of this machine would hold: its mounts and layers", NULL },
	{ 'P', "path", "DIR", OPT_STRING, ARG(path), "where containers are, instead of your own place",
	  OPT_WORDS_PATH },
	{ 0, "json", NULL, OPT_FLAG, ARG(json), "one object, for programs", NULL },
	OPT_HELP_ROW,
	{ .type = OPT_END },
};

const struct cmd cmd_info = {
	.name = "info",
	.summary = "show a sandbox or container, or what a copy would hold",
	.usage = "[OPTION]... ID | NAME | --base",
	.opts = info_opts,
	.max_operands = 1,
	.operand_words = OPT_WORDS_SANDBOX " " OPT_WORDS_CONTAINER,
	.args_size = sizeof(struct info_args),
	.run = info_run,
};
