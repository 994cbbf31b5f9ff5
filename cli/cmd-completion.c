/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cli/cmd-completion.c - "kennel completion bash|zsh|fish": a script made from the tables, printed to
 * standard output.
 *
 * What may stand somewhere is a list of words in the table ("nat none host"); some stand for more: "/" for
 * file names, "@sandbox" for running ids, "@container" for names of containers, "@help" for our commands,
 * "@program" for a program with arguments of its own. Each script has one function that knows these; the
 * rest is generated. None needs bash-completion or another framework.
 */
#include <string.h>

#include "cli/cmd.h"

/*
 * Appends s with each character of special behind a backslash, for use between single quotes ('\'' by
 * itself).
 */
static void add_escaped(struct buf *b, const char *s, const char *special)
{
	for (; *s; s++) {
		if (*s == '\'')
			buf_puts(b, "'\\'");
		else if (strchr(special, *s))
			buf_puts(b, "\\");
		buf_add(b, s, 1);
	}
}

static bool is_option(const struct opt *o)
{
	return o->type != OPT_HEADING;
}

/* "--base -b" for each option: all of them, or only those that take a value. */
static void add_option_names(struct buf *b, const struct opt *o, bool with_value_only, const char *separator)
{
	const char *before = "";

	for (; o->type != OPT_END; o++) {
		if (!is_option(o) || (with_value_only && !o->arg))
			continue;
		buf_printf(b, "%s--%s", before, o->name);
		if (o->letter)
			buf_printf(b, "%s-%c", separator, o->letter);
		before = separator;
	}
}

static void add_command_names(struct buf *b, const struct cmd *cmd, const char *separator)
{
	buf_puts(b, cmd->name);
	for (const char *const *alias = cmd->aliases; alias && *alias; alias++)
		buf_printf(b, "%s%s", separator, *alias);
}

static void add_all_command_names(struct buf *b, const char *separator)
{
	const struct cmd *cmd;

	for (size_t i = 0; (cmd = cmd_at(i)); i++)
		buf_printf(b, "%s%s", i ? separator : "", cmd->name);
}

/* The words after "/" and the like stand in ours; a word that is offered by name may not contain a space. */
static const char bash_head[] =
	"# bash completion for kennel, made by \"kennel completion bash\"\n"
	"_kennel_offer()\n"
	"{\n"
	"\tlocal word\n"
	"\tfor word in $1; do\n"
	"\t\tcase $word in\n"
	"\t\t/)\n"
	"\t\t\tcompopt -o filenames\n"
	"\t\t\tmapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- \"$cur\") ;;\n"
	"\t\t@sandbox)\n"
	"\t\t\tmapfile -t -O ${#COMPREPLY[@]} COMPREPLY < \\\n"
	"\t\t\t\t<(compgen -W \"$(kennel list -q 2>/dev/null)\" -- \"$cur\") ;;\n"
	"\t\t@container)\n"
	"\t\t\tmapfile -t -O ${#COMPREPLY[@]} COMPREPLY < \\\n"
	"\t\t\t\t<(compgen -W \"$(kennel list -kq 2>/dev/null)\" -- \"$cur\") ;;\n"
	"\t\t@help)\n"
	"\t\t\t_kennel_offer \"$_kennel_commands\" ;;\n"
	"\t\t@program)\n"
	"\t\t\tif declare -F _command_offset >/dev/null; then\n"
	"\t\t\t\t_command_offset \"$operand_at\"\n"
	"\t\t\telif ((operand_at == COMP_CWORD)); then\n"
	"\t\t\t\tmapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -c -- \"$cur\")\n"
	"\t\t\telse\n"
	"\t\t\t\t_kennel_offer /\n"
	"\t\t\tfi ;;\n"
	"\t\t*)\n"
	"\t\t\t[[ $word == \"$cur\"* ]] && COMPREPLY+=(\"$word\") ;;\n"
	"\t\tesac\n"
	"\tdone\n"
	"}\n"
	"\n";

/* "=" and ":" are words of their own to bash: "--net=no" arrives as "--net", "=", "no". */
static const char bash_main[] =
	"_kennel()\n"
	"{\n"
	"\tlocal cur=${COMP_WORDS[COMP_CWORD]} _kennel_commands cmd= value_of= i operand_at=0 word\n"
	"\t_kennel_commands=$(_kennel_words commands)\n"
	"\tCOMPREPLY=()\n"
	"\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	"\t\tword=${COMP_WORDS[i]}\n"
	"\t\tif [[ -n $value_of ]]; then\n"
	"\t\t\t[[ $word == = ]] || value_of=\n"
	"\t\telif [[ $word == : ]]; then\n"
	"\t\t\t((i++))\n"
	"\t\telif [[ $word == -- && -n $cmd ]]; then\n"
	"\t\t\toperand_at=$((i + 1))\n"
	"\t\t\tbreak\n"
	"\t\telif [[ $word == -* ]]; then\n"
	"\t\t\t[[ \" $(_kennel_words \"valued:$cmd\") \" == *\" $word \"* ]] && value_of=$word\n"
	"\t\telif [[ -z $cmd ]]; then\n"
	"\t\t\tcmd=$word\n"
	"\t\telif [[ $(_kennel_words \"operands:$cmd\") == @program ]]; then\n"
	"\t\t\toperand_at=$i\n"
	"\t\t\tbreak\n"
	"\t\tfi\n"
	"\tdone\n"
	"\t[[ $cur == = || $cur == : ]] && cur=\n"
	"\tif [[ -n $value_of ]]; then\n"
	"\t\t_kennel_offer \"$(_kennel_words \"value:$cmd:$value_of\")\"\n"
	"\telif [[ $cur == -* && $operand_at == 0 ]]; then\n"
	"\t\t_kennel_offer \"$(_kennel_words \"options:$cmd\")\"\n"
	"\telif [[ -z $cmd ]]; then\n"
	"\t\t_kennel_offer \"$_kennel_commands\"\n"
	"\telse\n"
	"\t\t((operand_at)) || operand_at=$COMP_CWORD\n"
	"\t\t_kennel_offer \"$(_kennel_words \"operands:$cmd\")\"\n"
	"\tfi\n"
	"}\n"
	"complete -F _kennel kennel\n";

static void bash_command(struct buf *b, const struct cmd *cmd, const char *called)
{
	buf_printf(b, "\toptions:%s) echo '", called);
	add_option_names(b, cmd->opts, false, " ");
	buf_printf(b, "' ;;\n\tvalued:%s) echo '", called);
	add_option_names(b, cmd->opts, true, " ");
	buf_printf(b, "' ;;\n\toperands:%s) echo '%s' ;;\n", called,
		   cmd->operand_words ? cmd->operand_words : "");
	for (const struct opt *o = cmd->opts; o->type != OPT_END; o++) {
		if (!is_option(o) || !o->words)
			continue;
		buf_printf(b, "\tvalue:%s:--%s", called, o->name);
		if (o->letter)
			buf_printf(b, " | value:%s:-%c", called, o->letter);
		buf_printf(b, ") echo '%s' ;;\n", o->words);
	}
}

static void bash_script(struct buf *b)
{
	const struct cmd *cmd;

	buf_puts(b, bash_head);
	buf_puts(b, "_kennel_words()\n{\n\tcase $1 in\n\tcommands) echo '");
	add_all_command_names(b, " ");
	buf_puts(b, "' ;;\n");
	bash_command(b, &cmd_kennel, "");
	for (size_t i = 0; (cmd = cmd_at(i)); i++) {
		bash_command(b, cmd, cmd->name);
		for (const char *const *alias = cmd->aliases; alias && *alias; alias++)
			bash_command(b, cmd, *alias);
	}
	buf_puts(b, "\tesac\n}\n\n");
	buf_puts(b, bash_main);
}

/* An action that begins with a space is called without the options of compadd that _arguments would add. */
static const char zsh_head[] =
	"#compdef kennel\n"
	"# zsh completion for kennel, made by \"kennel completion zsh\"\n"
	"_kennel_offer() {\n"
	"\tlocal word\n"
	"\tlocal -a ids\n"
	"\tfor word in \"$@\"; do\n"
	"\t\tcase $word in\n"
	"\t\t/) _files ;;\n"
	"\t\t@sandbox)\n"
	"\t\t\tids=(${(f)\"$(_call_program sandboxes kennel list -q 2>/dev/null)\"})\n"
	"\t\t\tcompadd -a ids ;;\n"
	"\t\t@container)\n"
	"\t\t\tids=(${(f)\"$(_call_program containers kennel list -kq 2>/dev/null)\"})\n"
	"\t\t\tcompadd -a ids ;;\n"
	"\t\t@help) _kennel_commands ;;\n"
	"\t\t*) compadd -- $word ;;\n"
	"\t\tesac\n"
	"\tdone\n"
	"}\n"
	"\n";

static const char zsh_main[] = "_kennel() {\n"
			       "\tlocal curcontext=$curcontext state line\n"
			       "\tlocal -A opt_args\n"
			       "\t_arguments -C -S -A '-*'";

static const char zsh_tail[] = " \\\n\t\t'1: :_kennel_commands' '*:: :->rest'\n"
			       "\t[[ $state == rest ]] || return\n"
			       "\tcurcontext=${curcontext%:*:*}:kennel-$words[1]:\n"
			       "\t_kennel_command $words[1]\n"
			       "}\n"
			       "\n"
			       "if [[ $funcstack[1] == _kennel ]]; then\n"
			       "\t_kennel \"$@\"\n"
			       "else\n"
			       "\tcompdef _kennel kennel\n"
			       "fi\n";

static void zsh_option(struct buf *b, const struct opt *o)
{
	const bool repeats = o->type == OPT_SETTING || o->type == OPT_COUNT;

	buf_puts(b, " \\\n\t\t");
	if (repeats)
		buf_puts(b, "'*'");
	else if (o->letter)
		buf_printf(b, "'(-%c --%s)'", o->letter, o->name);
	if (o->letter)
		buf_printf(b, "{-%c%s,--%s%s}", o->letter, o->arg ? "+" : "", o->name, o->arg ? "=" : "");
	else
		buf_printf(b, "--%s%s", o->name, o->arg ? "=" : "");
	buf_puts(b, "'[");
	add_escaped(b, o->help, "[]\\");
	buf_puts(b, "]");
	if (o->arg) {
		buf_puts(b, ":");
		add_escaped(b, o->arg, ":\\");
		buf_printf(b, ": %s%s", o->words ? "_kennel_offer " : "", o->words ? o->words : "");
	}
	buf_puts(b, "'");
}

static void zsh_operands(struct buf *b, const struct cmd *cmd)
{
	if (!cmd->operand_words)
		return;
	if (strcmp(cmd->operand_words, OPT_WORDS_PROGRAM) == 0)
		buf_puts(b, " \\\n\t\t'(-)1: :_command_names -e' '*:: :_normal'");
	else
		buf_printf(b, " \\\n\t\t'*: : _kennel_offer %s'", cmd->operand_words);
}

static void zsh_script(struct buf *b)
{
	const struct cmd *cmd;

	buf_puts(b, zsh_head);
	buf_puts(b, "_kennel_commands() {\n\tlocal -a commands=(\n");
	for (size_t i = 0; (cmd = cmd_at(i)); i++) {
		buf_printf(b, "\t\t'%s:", cmd->name);
		add_escaped(b, cmd->summary, ":\\");
		buf_puts(b, "'\n");
	}
	buf_puts(b, "\t)\n\t_describe command commands\n}\n\n_kennel_command() {\n\tcase $1 in\n");
	for (size_t i = 0; (cmd = cmd_at(i)); i++) {
		buf_puts(b, "\t");
		add_command_names(b, cmd, "|");
		buf_printf(b, ")\n\t\t_arguments -s -S%s", cmd->flags & OPT_OPERAND_ENDS ? " -A '-*'" : "");
		for (const struct opt *o = cmd->opts; o->type != OPT_END; o++)
			if (is_option(o))
				zsh_option(b, o);
		zsh_operands(b, cmd);
		buf_puts(b, "\n\t\t;;\n");
	}
	buf_puts(b, "\tesac\n}\n\n");
	buf_puts(b, zsh_main);
	for (const struct opt *o = cmd_kennel.opts; o->type != OPT_END; o++)
		zsh_option(b, o);
	buf_puts(b, zsh_tail);
}

/* fish's own __fish_seen_subcommand_from would take "kennel run ls" for our "ls". */
static const char fish_head[] =
	"# fish completion for kennel, made by \"kennel completion fish\"\n"
	"function __fish_kennel_in --description 'the command is one of these words'\n"
	"\tset -l words (commandline -opc)\n"
	"\tcontains -- \"$words[2]\" $argv\n"
	"end\n"
	"\n"
	"function __fish_kennel_before_program --description 'no operand yet; given options with a value'\n"
	"\tset -l words (commandline -opc)\n"
	"\tset -e words[1..2]\n"
	"\twhile set -q words[1]\n"
	"\t\tswitch $words[1]\n"
	"\t\t\tcase --\n"
	"\t\t\t\treturn 1\n"
	"\t\t\tcase '-*'\n"
	"\t\t\t\tcontains -- $words[1] $argv; and set -q words[2]; and set -e words[1]\n"
	"\t\t\tcase '*'\n"
	"\t\t\t\treturn 1\n"
	"\t\tend\n"
	"\t\tset -e words[1]\n"
	"\tend\n"
	"end\n"
	"\n"
	"complete -c kennel -f\n";

static void fish_words(struct buf *b, const struct cmd *cmd, const char *words, bool is_value)
{
	if (!words) {
		buf_puts(b, is_value ? " -x" : " -f");
		return;
	}
	if (strcmp(words, OPT_WORDS_PROGRAM) == 0) {
		buf_puts(b, " -x -a '(__fish_complete_subcommand --fcs-skip=2 ");
		add_option_names(b, cmd->opts, true, " ");
		buf_puts(b, ")'");
	} else if (strcmp(words, OPT_WORDS_SANDBOX) == 0) {
		buf_puts(b, " -x -a '(kennel list -q 2>/dev/null)'");
	} else if (strcmp(words, OPT_WORDS_CONTAINER) == 0) {
		buf_puts(b, " -x -a '(kennel list -kq 2>/dev/null)'");
	} else if (strcmp(words, OPT_WORDS_SANDBOX " " OPT_WORDS_CONTAINER) == 0) {
		buf_puts(b, " -x -a '(kennel list -q 2>/dev/null; kennel list -kq 2>/dev/null)'");
	} else if (strcmp(words, OPT_WORDS_HELP) == 0) {
		buf_puts(b, " -x -a '");
		add_all_command_names(b, " ");
		buf_puts(b, "'");
	} else if (strchr(words, '/')) {
		buf_printf(b, " %s-F", is_value ? "-r " : "");
		if (strcspn(words, "/") > 0)
			buf_printf(b, " -a '%.*s'", (int)strcspn(words, " /"), words);
	} else {
		buf_printf(b, " -x -a '%s'", words);
	}
}

static void fish_option(struct buf *b, const struct cmd *cmd, const struct opt *o, const char *condition)
{
	buf_printf(b, "complete -c kennel -n '%s'", condition);
	if (o->letter)
		buf_printf(b, " -s %c", o->letter);
	buf_printf(b, " -l %s", o->name);
	if (o->arg)
		fish_words(b, cmd, o->words, true);
	buf_puts(b, " -d '");
	add_escaped(b, o->help, "\\");
	buf_puts(b, "'\n");
}

static void fish_command(struct buf *b, const struct cmd *cmd)
{
	_cleanup_buf_ struct buf condition = { 0 };

	buf_puts(&condition, "__fish_kennel_in ");
	add_command_names(&condition, cmd, " ");
	buf_printf(b, "complete -c kennel -n '%s'", buf_str(&condition));
	fish_words(b, cmd, cmd->operand_words, false);
	buf_puts(b, "\n");
	if (cmd->flags & OPT_OPERAND_ENDS) {
		buf_puts(&condition, "; and __fish_kennel_before_program ");
		add_option_names(&condition, cmd->opts, true, " ");
	}
	for (const struct opt *o = cmd->opts; o->type != OPT_END; o++)
		if (is_option(o))
			fish_option(b, cmd, o, buf_str(&condition));
}

static void fish_script(struct buf *b)
{
	const struct cmd *cmd;

	buf_puts(b, fish_head);
	for (const struct opt *o = cmd_kennel.opts; o->type != OPT_END; o++)
		fish_option(b, &cmd_kennel, o, "__fish_use_subcommand");
	for (size_t i = 0; (cmd = cmd_at(i)); i++) {
		buf_printf(b, "complete -c kennel -n __fish_use_subcommand -a %s -d '", cmd->name);
		add_escaped(b, cmd->summary, "\\");
		buf_puts(b, "'\n");
	}
	for (size_t i = 0; (cmd = cmd_at(i)); i++)
		fish_command(b, cmd);
}

static const struct shell {
	const char *name;
	void (*script)(struct buf *b);
} shells[] = { { "bash", bash_script }, { "zsh", zsh_script }, { "fish", fish_script } };

static int completion_run(struct cli *cli, const void *args, const struct opt_input *in)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_buf_ struct buf b = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(shells); i++)
		if (strcmp(shells[i].name, in->operands[0]) == 0) {
			shells[i].script(&b);
			return cli_out(cli, &b);
		}
	int r = fail(&err, KENNEL_E_INVALID, "there is no completion for \"%s\"", in->operands[0]);
	(void)hint(&err, r, "it is bash, zsh or fish");
	return cli_error(cli, err);
}

static const struct opt completion_opts[] = {
	OPT_HELP_ROW,
	{ .type = OPT_END },
};

const struct cmd cmd_completion = {
	.name = "completion",
	.summary = "print a script that completes kennel's words in a shell",
	.usage = "bash | zsh | fish",
	.opts = completion_opts,
	.min_operands = 1,
	.max_operands = 1,
	.missing = "it is bash, zsh or fish",
	.operand_words = "bash zsh fish",
	.run = completion_run,
};
