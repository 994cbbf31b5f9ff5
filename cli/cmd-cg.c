/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cli/cmd-cg.c - "kennel cg VERB": control groups below the caller's own. */
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include <kennel/kennel.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "cli/cmd.h"
#include "cli/json.h"

struct cg_args {
	bool json;
};

static const struct verb {
	const char *name;
	enum kennel_cg what;
	size_t min, max; /* words behind it */
	const char *words;
} verbs[] = {
	{ "create", KENNEL_CG_CREATE, 1, 1, "PATH" },
	{ "rm", KENNEL_CG_REMOVE, 1, 1, "PATH" },
	{ "chown", KENNEL_CG_CHOWN, 2, 2, "PATH USER[:GROUP]" },
	{ "move", KENNEL_CG_MOVE, 2, CMD_OPERANDS_ANY, "PATH PID..." },
	{ "set", KENNEL_CG_SET, 2, CMD_OPERANDS_ANY, "PATH KEY=VALUE..." },
	{ "get", KENNEL_CG_GET, 2, 2, "PATH KEY" },
	{ "freeze", KENNEL_CG_FREEZE, 1, 1, "PATH" },
	{ "thaw", KENNEL_CG_THAW, 1, 1, "PATH" },
	{ "kill", KENNEL_CG_KILL, 1, 1, "PATH" },
	{ "tasks", KENNEL_CG_TASKS, 0, 1, "[PATH]" },
	{ "list", KENNEL_CG_LIST, 0, 1, "[PATH]" },
	{ "limits", KENNEL_CG_LIMITS, 0, 1, "[PATH]" },
};

static const char *const limit_keys[] = { "memory", "swap", "pids", "cpus", "cpuset", "io" };

/* Names to "UID:GID"; a group that is not named is the user's own. */
static int find_owner(const char *word, struct buf *ret, struct kennel_error **err)
{
	_cleanup_free_ char *user = strndup(word, strcspn(word, ":"));
	const char *colon = strchr(word, ':');
	uint32_t uid = 0, gid = 0;

	if (!user)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	const struct passwd *pw = getpwnam(user);
	if (!pw && parse_u32(user, &uid) < 0)
		return fail(err, KENNEL_E_NOTFOUND, "there is no user \"%s\"", user);
	uid = pw ? pw->pw_uid : uid;
	gid = pw ? pw->pw_gid : uid;
	if (colon) {
		const struct group *gr = getgrnam(colon + 1);

		if (!gr && parse_u32(colon + 1, &gid) < 0)
			return fail(err, KENNEL_E_NOTFOUND, "there is no group of users \"%s\"", colon + 1);
		gid = gr ? gr->gr_gid : gid;
	}
	buf_printf(ret, "%u:%u", uid, gid);
	return buf_check(ret, err);
}

static int change(const struct verb *v, const char *path, const char *const *words, struct kennel_error **err)
{
	int r = 0;

	if (!*words)
		return kennel_cg_change(v->what, path, NULL, err);
	for (; *words && r == 0; words++) {
		_cleanup_buf_ struct buf owner = { 0 };
		const char *word = *words;

		if (v->what == KENNEL_CG_CHOWN) {
			r = find_owner(word, &owner, err);
			word = buf_str(&owner);
		}
		if (r == 0)
			r = kennel_cg_change(v->what, path, word, err);
	}
	return r;
}

static void add_json(struct buf *b, const struct kennel_list *list, const char *key, bool numbers)
{
	const char *line;

	buf_puts(b, "[");
	for (size_t n = 0; (line = kennel_list_detail(list, 0, key, n)); n++) {
		buf_puts(b, n ? ", " : "");
		if (numbers)
			buf_puts(b, line);
		else
			buf_json(b, line);
	}
	buf_puts(b, "]");
}

static void add_limits(struct buf *b, const struct kennel_list *list, bool json)
{
	const char *line, *between = "";

	buf_puts(b, json ? "{" : "");
	for (size_t i = 0; i < ARRAY_SIZE(limit_keys); i++) {
		bool text = strcmp(limit_keys[i], "cpuset") == 0, disks = strcmp(limit_keys[i], "io") == 0;

		if (!kennel_list_detail(list, 0, limit_keys[i], 0))
			continue;
		if (json) {
			buf_printf(b, "%s\"%s\": ", between, limit_keys[i]);
			between = ", ";
			if (disks)
				add_json(b, list, limit_keys[i], false);
			else if (text)
				buf_json(b, kennel_list_value(list, 0, limit_keys[i]));
			else
				buf_puts(b, kennel_list_value(list, 0, limit_keys[i]));
			continue;
		}
		for (size_t n = 0; (line = kennel_list_detail(list, 0, limit_keys[i], n)); n++)
			buf_printf(b, "%-8s%s\n", limit_keys[i], line);
	}
	buf_puts(b, json ? "}\n" : "");
}

static int show(struct cli *cli, const struct verb *v, const char *path, const char *key, bool json,
		struct kennel_error **err)
{
	const char *name = v->what == KENNEL_CG_GET ? "value" : v->what == KENNEL_CG_TASKS ? "pid" : "group";
	_cleanup_buf_ struct buf b = { 0 };
	struct kennel_list *list = NULL;
	const char *line;
	int r = kennel_cg_read(v->what, path, key, &list, err);

	if (r < 0)
		return r;
	if (v->what == KENNEL_CG_LIMITS) {
		add_limits(&b, list, json);
	} else if (json) {
		add_json(&b, list, name, v->what == KENNEL_CG_TASKS);
		buf_puts(&b, "\n");
	} else {
		for (size_t n = 0; (line = kennel_list_detail(list, 0, name, n)); n++) {
			buf_safe(&b, line);
			buf_puts(&b, "\n");
		}
	}
	kennel_list_free(list);
	return cli_out(cli, &b);
}

static const struct verb *find_verb(const struct opt_input *in, struct kennel_error **err)
{
	size_t n = in->n_operands - 1;

	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (strcmp(in->operands[0], verbs[i].name) != 0)
			continue;
		if (n >= verbs[i].min && n <= verbs[i].max)
			return &verbs[i];
		(void)fail(err, KENNEL_E_INVALID, "\"kennel cg %s\" takes %s", verbs[i].name, verbs[i].words);
		return NULL;
	}
	(void)hint(err, fail(err, KENNEL_E_INVALID, "there is no verb \"%s\"", in->operands[0]),
		   "there are create, rm, chown, move, set, get, freeze, thaw, kill, tasks, list and limits");
	return NULL;
}

static int cg_run(struct cli *cli, const void *p, const struct opt_input *in)
{
	const struct cg_args *args = p;
	_cleanup_error_ struct kennel_error *err = NULL;
	const struct verb *v = find_verb(in, &err);
	int r;

	if (!v)
		return cli_error(cli, err);
	const char *path = in->n_operands > 1 ? in->operands[1] : "";
	const char *const *words = in->n_operands > 1 ? in->operands + 2 : in->operands + 1;
	if (v->what >= KENNEL_CG_GET) {
		r = show(cli, v, path, *words, args->json, &err);
		return r < 0 ? cli_error(cli, err) : r;
	}
	r = change(v, path, words, &err);
	return r < 0 ? cli_error(cli, err) : 0;
}

static const struct opt cg_opts[] = {
	{ 0, "json", NULL, OPT_FLAG, offsetof(struct cg_args, json),
	  "of get, tasks, list and limits: for programs", NULL },
	OPT_HELP_ROW,
	{ .type = OPT_END },
};

const struct cmd cmd_cg = {
	.name = "cg",
	.summary = "make, limit, freeze and end control groups below your own",
	.usage = "VERB [PATH] [WORD]...",
	.more = "Verbs: create PATH, rm PATH, chown PATH USER[:GROUP], move PATH PID..., set PATH "
		"KEY=VALUE..., get PATH KEY, freeze PATH, thaw PATH, kill PATH, tasks [PATH], list [PATH], limits [PATH]. A "
		"PATH begins in the group that you are in, and can't leave it.",
	.opts = cg_opts,
	.min_operands = 1,
	.max_operands = CMD_OPERANDS_ANY,
	.missing = "say what: create, move, set, get, freeze, thaw, kill, tasks, list, limits, chown or rm",
	.operand_words = "create rm chown move set get freeze thaw kill tasks list limits",
	.args_size = sizeof(struct cg_args),
	.run = cg_run,
};
