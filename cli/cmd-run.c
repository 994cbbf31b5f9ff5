/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cli/cmd-run.c - "kennel run": options to a spec, start, follow to the end, the one closing line, the exit
 * code.
 *
 * Options are handed to the library as they were typed, with two exceptions that only the caller's process
 * can decide: a path of the host is made absolute, and "--env NAME" takes the value from our own
 * environment. A relative path is put behind getcwd(), which holds no symbolic link, and leading ".." are
 * taken off that: exact. A ".." after a name is left in, and the spec refuses it, because only the kernel
 * knows where a link leads.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <kennel/kennel.h>

#include "base/cleanup.h"
#include "cli/cmd.h"

struct run_args {
	bool tty, no_tty;
	bool quiet;
	unsigned verbose;
};

#define ARG(m) offsetof(struct run_args, m)
/* clang-format off */
#define HEADING(text) { .type = OPT_HEADING, .help = text }
/* clang-format on */

static const struct opt run_opts[] = {
	HEADING("What it sees"),
	{ 'b', "base", "BASE", OPT_SETTING, 0,
	  "what lies underneath: system (the running one), system:LAYER,..., a directory or an image file",
	  "system " OPT_WORDS_PATH },
	{ 'l', "layer", "PATH", OPT_SETTING, 0,
	  "put a directory or an image on top of the base; may be repeated", OPT_WORDS_PATH },
	{ 0, "without", "PATH", OPT_SETTING, 0, "leave out this mount or directory", OPT_WORDS_PATH },
	{ 0, "hide", "PATH", OPT_SETTING, 0, "show an empty directory there", OPT_WORDS_PATH },
	{ 's', "share", "PATH[:ro]", OPT_SETTING, 0, "the real thing, not a copy: changes there stay",
	  OPT_WORDS_PATH },
	{ 0, "mount", "SRC:DST[:ro]", OPT_SETTING, 0, "the real SRC, seen at DST", OPT_WORDS_PATH },
	{ 0, "size", "SIZE", OPT_SETTING, 0,
	  "room for changes in memory, e.g. 2G (default: half of the memory)", NULL },
	HEADING("Walls"),
	{ 0, "isolate", "LEVEL", OPT_SETTING, 0, "fs, ns or user (default: the strongest that works here)",
	  "fs ns user" },
	{ 0, "idmap", "IDS", OPT_SETTING, 0, "the ids outside for those inside: auto, no, BASE or BASE:COUNT",
	  "auto no" },
	{ 0, "cap-add", "CAP", OPT_SETTING, 0, "keep a capability, e.g. NET_ADMIN, or ALL", NULL },
	{ 0, "cap-drop", "CAP", OPT_SETTING, 0, "drop a capability, or ALL", NULL },
	{ 0, "no-new-privs", NULL, OPT_SETTING, 0, "setuid programs and file capabilities give nothing",
	  NULL },
	{ 0, "device", "PATH[:rwm]", OPT_SETTING, 0, "allow a device: read, write, make (default: all three)",
	  OPT_WORDS_PATH },
	{ 'n', "net", "MODE", OPT_SETTING, 0, "nat (default), none or host", "nat none host" },
	{ 0, "hostname", "NAME", OPT_SETTING, 0, "its host name", NULL },
	HEADING("Limits"),
	{ 'm', "memory", "SIZE", OPT_SETTING, 0, "memory of all its processes, e.g. 512M", NULL },
	{ 0, "pids", "N", OPT_SETTING, 0, "number of processes", NULL },
	{ 0, "cpus", "N", OPT_SETTING, 0, "processors it may keep busy, e.g. 1.5", NULL },
	HEADING("The command"),
	{ 'u', "user", "USER[:GROUP]", OPT_SETTING, 0, "run as this user of the inside (default: root)",
	  NULL },
	{ 'w', "workdir", "PATH", OPT_SETTING, 0, "start in this directory (default: where you are)",
	  OPT_WORDS_PATH },
	{ 'e', "env", "NAME[=VALUE]", OPT_SETTING, 0, "set a variable, or hand on your own; may be repeated",
	  NULL },
	{ 't', "tty", NULL, OPT_FLAG, ARG(tty), "give it a terminal of its own (default: if you are on one)",
	  NULL },
	{ 'T', "no-tty", NULL, OPT_FLAG, ARG(no_tty), "hand on your own descriptors instead", NULL },
	HEADING("What is told"),
	{ 'q', "quiet", NULL, OPT_FLAG, ARG(quiet), "errors only", NULL },
	{ 'v', "verbose", NULL, OPT_COUNT, ARG(verbose), "say what is decided; twice: every step", NULL },
	OPT_HELP_ROW,
	{ .type = OPT_END },
};

static const struct opt_rule run_rules[] = {
	{ "tty", OPT_EXCLUDES, "no-tty" },
	{ "quiet", OPT_EXCLUDES, "verbose" },
	{ .name = NULL },
};

/* Settings that begin with a path of the host, and what has to be escaped in what we put in front of it. */
static const struct host_path {
	const char *name;
	const char *escape;             /* the first ends the path */
} host_paths[] = { { "base", "" }, { "layer", "" }, { "share", ":\\" }, { "mount", ":\\" } };

static const struct host_path *find_host_path(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(host_paths); i++)
		if (strcmp(host_paths[i].name, name) == 0)
			return &host_paths[i];
	return NULL;
}

static bool is_system_base(const char *name, const char *value)
{
	return strcmp(name, "base") == 0 &&
	       (strcmp(value, "system") == 0 || strncmp(value, "system:", strlen("system:")) == 0);
}

/*
 * Takes leading "." and ".." components off *path, which ends at end or NUL; the latter also off dir
 * (length *len).
 */
static void eat_dots(const char **path, char end, const char *dir, size_t *len)
{
	for (;;) {
		const char *p = *path;
		size_t dots = strspn(p, ".");

		if (dots == 0 || dots > 2 || (p[dots] && p[dots] != '/' && p[dots] != end))
			return;
		if (dots == 2)
			while (*len > 0 && dir[--*len] != '/')
				;
		p += dots;
		*path = p + strspn(p, "/");
	}
}

static int make_absolute(const char *path, const char *escape, struct buf *ret, struct kennel_error **err)
{
	_cleanup_free_ char *dir = getcwd(NULL, 0);
	if (!dir)
		return fail_errno(err, "find the current directory, which \"%s\" is relative to", path);
	if (dir[0] != '/')
		return fail(err, KENNEL_E_NOTFOUND, "\"%s\" is relative to a directory that has no path here",
			    path);

	size_t len = strlen(dir);
	eat_dots(&path, escape[0], dir, &len);
	for (size_t i = 0; i < len; i++) {
		if (strchr(escape, dir[i]))
			buf_puts(ret, "\\");
		buf_add(ret, &dir[i], 1);
	}
	buf_puts(ret, "/");
	buf_puts(ret, path);
	return buf_check(ret, err);
}

static int set_env(struct kennel_spec *spec, const struct opt_setting *setting, struct kennel_error **err)
{
	_cleanup_buf_ struct buf b = { 0 };
	const char *name = setting->value;

	if (*name && !strchr(name, '=')) {
		const char *value = getenv(name);

		if (!value)             /* as with the other tools that have this: nothing to hand on */
			return 0;
		buf_printf(&b, "%s=%s", name, value);
		int r = buf_check(&b, err);
		if (r < 0)
			return r;
	}
	return kennel_spec_set(spec, setting->name, b.len ? b.data : name, err);
}

static int set_one(struct kennel_spec *spec, const struct opt_setting *setting, struct kennel_error **err)
{
	const struct host_path *host = find_host_path(setting->name);
	_cleanup_buf_ struct buf b = { 0 };
	const char *value = setting->value;

	if (strcmp(setting->name, "env") == 0)
		return set_env(spec, setting, err);
	if (host && value[0] && value[0] != '/' && !is_system_base(setting->name, value)) {
		int r = make_absolute(value, host->escape, &b, err);
		if (r < 0)
			return wrap(err, r, "%s", setting->name);
		value = buf_str(&b);
	}
	return kennel_spec_set(spec, setting->name, value, err);
}

static int fill_spec(struct kennel_spec *spec, const struct run_args *args, const struct opt_input *in,
		     struct kennel_error **err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < in->n_settings; i++)
		r = set_one(spec, &in->settings[i], err);
	if (r == 0 && (args->tty || args->no_tty))
		r = kennel_spec_set(spec, "tty", args->tty ? "yes" : "no", err);
	if (r == 0 && args->quiet)
		r = kennel_spec_set(spec, "quiet", "yes", err);
	if (r == 0)
		r = kennel_spec_set_command(spec, in->operands, err);
	return r;
}

struct run_log {
	struct cli *cli;
	const struct run_args *args;
	bool raw;               /* the terminal wants its own carriage returns */
};

static void write_log(void *data, enum kennel_log_level level, const char *text)
{
	const struct run_log *log = data;

	if (level == KENNEL_LOG_WARN ? !log->args->quiet : (unsigned)level <= log->args->verbose)
		cli_say(log->cli, text, log->raw ? "\r\n" : "\n");
}

static void say_farewell(struct cli *cli, struct kennel_sandbox *sb)
{
	_cleanup_buf_ struct buf b = { 0 };
	uint64_t n;

	if (kennel_sandbox_count_changes(sb, &n, NULL) < 0)
		buf_puts(&b, "all changes are gone");   /* true even where they can't be counted */
	else if (n == 0)
		buf_puts(&b, "no file was changed");
	else if (n == 1)
		buf_puts(&b, "1 changed file is gone");
	else
		buf_printf(&b, "%llu changed files are gone", (unsigned long long)n);
	cli_say(cli, buf_str(&b), "\n");
}

static int follow(struct cli *cli, struct kennel_sandbox *sb, struct run_log *log, int *ret_status,
		  struct kennel_error **err)
{
	bool interactive = kennel_sandbox_is_interactive(sb);

	log->raw = interactive;
	int r = kennel_sandbox_run(sb, ret_status, err);
	log->raw = false;
	if (r == 0 && interactive && !log->args->quiet)
		say_farewell(cli, sb);
	return r;
}

static int run_run(struct cli *cli, const void *p, const struct opt_input *in)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	struct run_log log = { .cli = cli, .args = p };
	struct kennel_spec *spec = NULL;
	struct kennel_sandbox *sb = NULL;
	int status = CLI_EXIT_FAILED;

	int r = kennel_spec_new(&spec, &err);
	if (r == 0)
		r = fill_spec(spec, p, in, &err);
	if (r == 0) {
		kennel_spec_set_log(spec, write_log, &log);
		r = kennel_sandbox_start(spec, &sb, &err);
	}
	if (r == 0)
		r = follow(cli, sb, &log, &status, &err);
	if (r < 0) {
		(void)cli_error(cli, err);
		status = kennel_exit_code(err);
	}
	kennel_sandbox_leave(sb);       /* we end now: what is left goes with this process */
	kennel_spec_free(spec);         /* after the sandbox, which may still tell its log something */
	return status;
}

const struct cmd cmd_run = {
	.name = "run",
	.summary = "run a command, or a shell, in a throwaway copy of the system",
	.usage = "[OPTION]... [--] [COMMAND [ARG]...]",
	.more = "Exit code: the command's own; 125 kennel failed, 126 the command can't be executed, "
		"127 it was not found, 128+N signal N ended it. See kennel-run(1) for the levels and for "
		"examples.",
	.opts = run_opts,
	.rules = run_rules,
	.flags = OPT_OPERAND_ENDS,
	.max_operands = CMD_OPERANDS_ANY,
	.operand_words = OPT_WORDS_PROGRAM,
	.args_size = sizeof(struct run_args),
	.run = run_run,
};
