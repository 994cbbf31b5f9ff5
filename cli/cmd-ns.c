/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cli/cmd-ns.c - "kennel ns": a command in new namespaces. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <kennel/kennel.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/strv.h"
#include "cli/cmd.h"

struct ns_args {
	const char *map, *user, *hostname, *workdir, *monotonic, *boottime, *pid_file;
	bool wait, proc, keep_caps, quiet;
};

struct ns_told {
	struct cli *cli;
	const struct ns_args *a;
	bool wrote;
};

struct ns_words {
	struct strv users, groups;
	struct buf kinds;
};

static void ns_words_done(struct ns_words *w)
{
	strv_done(&w->users);
	strv_done(&w->groups);
	buf_done(&w->kinds);
}

static int read_settings(const struct opt_input *in, struct ns_words *w, struct kennel_error **err)
{
	bool chosen = false;
	int r = 0;

	for (size_t i = 0; i < in->n_settings && r == 0; i++) {
		const struct opt_setting *s = &in->settings[i];

		if (strcmp(s->name, "map-user") == 0)
			r = strv_add(&w->users, s->value, err);
		else if (strcmp(s->name, "map-group") == 0)
			r = strv_add(&w->groups, s->value, err);
		else
			buf_printf(&w->kinds, "%s%s", chosen ? "," : "", s->value);
		chosen = chosen || strcmp(s->name, "new") == 0;
	}
	if (!chosen)
		buf_puts(&w->kinds, "user");
	return r < 0 ? r : buf_check(&w->kinds, err);
}

static int read_map(const struct ns_args *a, const struct ns_words *w, enum kennel_ns_map *ret,
		    struct kennel_error **err)
{
	static const char *const names[] = { "range", "root", "self" };

	*ret = a->wait			 ? KENNEL_NS_MAP_WAIT :
	       w->users.n || w->groups.n ? KENNEL_NS_MAP_LIST :
					   KENNEL_NS_MAP_RANGE;
	if ((a->map != NULL) + a->wait + (w->users.n || w->groups.n) > 1)
		return hint(err, fail(err, KENNEL_E_INVALID, "more than one kind of map is asked for"),
			    "one of --map, --map-user with --map-group, and --wait");
	for (size_t i = 0; a->map && i < ARRAY_SIZE(names); i++)
		if (strcmp(a->map, names[i]) == 0) {
			*ret = (enum kennel_ns_map)i;
			return 0;
		}
	return a->map ? hint(err, fail(err, KENNEL_E_INVALID, "--map \"%s\" is not known", a->map),
			     "range, root or self; single ids: --map-user and --map-group") :
			0;
}

static int read_seconds(const char *name, const char *word, long long *ret, struct kennel_error **err)
{
	uint64_t n;

	if (!word)
		return 0;
	bool back = *word == '-';
	if (parse_u64(word + back, &n) < 0 || n > INT32_MAX)
		return hint(err,
			    fail(err, KENNEL_E_INVALID, "--%s \"%s\" is no number of seconds", name, word),
			    "such as 86400, or -10");
	*ret = back ? -(long long)n : (long long)n;
	return 0;
}

/* Whole or not at all: who waits for the file may read it at once. */
static int write_pid_file(const char *path, int pid, struct kennel_error **err)
{
	_cleanup_buf_ struct buf text = { 0 }, aside = { 0 };

	buf_printf(&text, "%d\n", pid);
	buf_printf(&aside, "%s.%d.new", path, (int)getpid());
	int r = buf_check(&aside, err);
	if (r < 0)
		return r;
	_cleanup_close_ int fd =
		open(buf_str(&aside), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return fail_errno(err, "write \"%s\"", path);
	if (write(fd, text.data, text.len) == (ssize_t)text.len && rename(buf_str(&aside), path) == 0)
		return 0;
	r = fail_errno(err, "write \"%s\"", path);
	(void)!unlink(buf_str(&aside));
	return r;
}

static int tell(void *data, int pid, int waits, struct kennel_error **err)
{
	struct ns_told *t = data;
	_cleanup_buf_ struct buf text = { 0 };
	int r = t->a->pid_file ? write_pid_file(t->a->pid_file, pid, err) : 0;

	t->wrote = r == 0;
	if (r < 0 || !waits || t->a->quiet)
		return r;
	buf_printf(&text, "process %d waits for its maps of users and groups", pid);
	cli_say(t->cli, buf_str(&text), "\n");
	return 0;
}

static int run(struct cli *cli, const struct ns_args *a, const struct opt_input *in, struct ns_words *w,
	       int *ret_status, struct kennel_error **err)
{
	const char *shell = getenv("SHELL");
	const char *const alone[] = { shell && *shell ? shell : "/bin/sh", NULL };
	struct ns_told told = { .cli = cli, .a = a };
	struct kennel_ns_options o = {
		.size = sizeof(o),
		.user = a->user,
		.hostname = a->hostname,
		.workdir = a->workdir,
		.proc = a->proc,
		.keep_caps = a->keep_caps,
		.started = tell,
		.data = &told,
	};
	int r = read_settings(in, w, err);

	if (r == 0)
		r = read_map(a, w, &o.map, err);
	if (r == 0)
		r = read_seconds("monotonic", a->monotonic, &o.monotonic, err);
	if (r == 0)
		r = read_seconds("boottime", a->boottime, &o.boottime, err);
	if (r < 0)
		return r;
	o.namespaces = buf_str(&w->kinds);
	o.map_users = (const char *const *)w->users.items;
	o.map_groups = (const char *const *)w->groups.items;
	r = kennel_ns_run(&o, in->n_operands ? in->operands : alone, ret_status, err);
	if (told.wrote && a->pid_file)
		(void)!unlink(a->pid_file); /* it names nobody any more */
	return r;
}

static int ns_run(struct cli *cli, const void *p, const struct opt_input *in)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	struct ns_words w = { 0 };
	int status = CLI_EXIT_FAILED;

	if (run(cli, p, in, &w, &status, &err) < 0) {
		(void)cli_error(cli, err);
		status = kennel_exit_code(err);
	}
	ns_words_done(&w);
	return status;
}

#define ARG(m) offsetof(struct ns_args, m)
static const struct opt ns_opts[] = {
	{ 'n', "new", "KIND,...", OPT_SETTING, 0, "which namespaces are new (default: user); all: each kind",
	  "user mount pid net ipc uts cgroup time all" },
	{ .type = OPT_HEADING, .help = "The ids of a new user namespace" },
	{ 0, "map", "WHO", OPT_STRING, ARG(map),
	  "range (default): your subordinate ids; root: you alone, as root; self: you alone, as yourself",
	  "range root self" },
	{ 0, "map-user", "INSIDE:OUTSIDE[:COUNT]", OPT_SETTING, 0, "users, range by range; may be repeated",
	  NULL },
	{ 0, "map-group", "INSIDE:OUTSIDE[:COUNT]", OPT_SETTING, 0, "groups, range by range; may be repeated",
	  NULL },
	{ 0, "wait", NULL, OPT_FLAG, ARG(wait), "wait until somebody else has written both maps", NULL },
	{ 'u', "user", "UID[:GID]", OPT_STRING, ARG(user),
	  "who the command is (default: root, if it is mapped)", NULL },
	{ 0, "keep-caps", NULL, OPT_FLAG, ARG(keep_caps),
	  "all capabilities in the namespace also for others than root", NULL },
	{ .type = OPT_HEADING, .help = "What else" },
	{ 0, "proc", NULL, OPT_FLAG, ARG(proc), "mount a new /proc (with mount and pid)", NULL },
	{ 0, "hostname", "NAME", OPT_STRING, ARG(hostname), "another host name (with uts)", NULL },
	{ 0, "monotonic", "SECONDS", OPT_STRING, ARG(monotonic), "set this clock forward (with time)", NULL },
	{ 0, "boottime", "SECONDS", OPT_STRING, ARG(boottime), "set this clock forward (with time)", NULL },
	{ 'w', "workdir", "PATH", OPT_STRING, ARG(workdir), "run it in this directory", OPT_WORDS_PATH },
	{ 0, "pid-file", "FILE", OPT_STRING, ARG(pid_file), "write the number of its first process there",
	  OPT_WORDS_PATH },
	{ 'q', "quiet", NULL, OPT_FLAG, ARG(quiet), "errors only", NULL },
	OPT_HELP_ROW,
	{ .type = OPT_END },
};

const struct cmd cmd_ns = {
	.name = "ns",
	.summary = "run a command in new namespaces, with ids as you choose them",
	.usage = "[OPTION]... [--] [COMMAND [ARG]...]",
	.more = "No copy and no walls: the files are those of the machine. "
		"Exit code: the command's own; 125 kennel failed, 126 the command can't be executed, "
		"127 it was not found, 128+N signal N ended it.",
	.opts = ns_opts,
	.flags = OPT_OPERAND_ENDS,
	.max_operands = CMD_OPERANDS_ANY,
	.operand_words = OPT_WORDS_PROGRAM,
	.args_size = sizeof(struct ns_args),
	.run = ns_run,
};
