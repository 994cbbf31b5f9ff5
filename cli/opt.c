/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cli/opt.c - see opt.h.
 *
 * getopt_long(3) is not used: it keeps its place in globals, prints by itself, takes shortened names, and
 * its table knows nothing of help texts, so the same option would be written down in three places.
 */
#include "cli/opt.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/suggest.h"

struct opt_parser {
	const struct opt *opts;
	unsigned flags;
	char *const *argv;              /* the next word */
	void *args;
	struct opt_input *in;
	uint64_t seen;                  /* by row */
	struct kennel_error **err;
};

void opt_input_done(struct opt_input *in)
{
	free(in->settings);
	free(in->operands);
	*in = (struct opt_input){ 0 };
}

static bool is_option(const struct opt *o)
{
	return o->type > OPT_HEADING;
}

static const struct opt *find_letter(const struct opt *o, char letter)
{
	for (; o->type != OPT_END; o++)
		if (is_option(o) && o->letter == letter)
			return o;
	return NULL;
}

static const struct opt *find_name(const struct opt *o, const char *name, size_t n)
{
	for (; o->type != OPT_END; o++)
		if (is_option(o) && strncmp(o->name, name, n) == 0 && !o->name[n])
			return o;
	return NULL;
}

static int add_setting(struct opt_parser *p, const struct opt *o, const char *value)
{
	struct opt_input *in = p->in;
	struct opt_setting *settings = reallocarray(in->settings, in->n_settings + 1, sizeof(*settings));

	if (!settings)
		return fail(p->err, KENNEL_E_NOMEM, "out of memory");
	in->settings = settings;
	settings[in->n_settings++] = (struct opt_setting){ .name = o->name, .value = value ? value : "yes" };
	return 0;
}

static int apply(struct opt_parser *p, const struct opt *o, const char *value)
{
	char *field = (char *)p->args + o->offset;

	p->seen |= UINT64_C(1) << (o - p->opts);
	switch (o->type) {
	case OPT_HELP:
		p->in->help = true;
		break;
	case OPT_FLAG:
		*(bool *)field = true;
		break;
	case OPT_COUNT:
		++*(unsigned *)field;
		break;
	case OPT_STRING:
		*(const char **)field = value;
		break;
	case OPT_SETTING:
		return add_setting(p, o, value);
	case OPT_END:
	case OPT_HEADING:
		break;
	}
	return 0;
}

static int fail_unknown_name(struct opt_parser *p, const char *name, size_t n)
{
	_cleanup_free_ char *typed = strndup(name, n);
	struct suggestion near = { 0 };

	if (!typed)
		return fail(p->err, KENNEL_E_NOMEM, "out of memory");
	for (const struct opt *o = p->opts; o->type != OPT_END; o++)
		if (is_option(o))
			suggest_offer(&near, typed, o->name);
	if (near.best)
		return fail(p->err, KENNEL_E_INVALID, "unknown option \"--%s\"; did you mean \"--%s\"?",
			    typed, near.best);
	return fail(p->err, KENNEL_E_INVALID, "unknown option \"--%s\"", typed);
}

/* word is what follows the two dashes. */
static int parse_long(struct opt_parser *p, const char *word)
{
	const char *equals = strchr(word, '=');
	size_t n = equals ? (size_t)(equals - word) : strlen(word);
	const struct opt *o = find_name(p->opts, word, n);
	const char *value = equals ? equals + 1 : NULL;

	if (!o)
		return fail_unknown_name(p, word, n);
	if (!o->arg && value)
		return fail(p->err, KENNEL_E_INVALID, "option \"--%s\" takes no value", o->name);
	if (o->arg && !value) {
		if (!*p->argv)
			return fail(p->err, KENNEL_E_INVALID, "option \"--%s\" needs a value: %s", o->name,
				    o->arg);
		value = *p->argv++;
	}
	return apply(p, o, value);
}

/* letters is what follows the dash. */
static int parse_letters(struct opt_parser *p, const char *letters)
{
	for (; *letters && !p->in->help; letters++) {
		const struct opt *o = find_letter(p->opts, *letters);
		const char *value = NULL;

		if (!o)
			return fail(p->err, KENNEL_E_INVALID, "unknown option \"-%c\"", *letters);
		if (o->arg && letters[1])
			value = letters + 1;
		else if (o->arg && *p->argv)
			value = *p->argv++;
		else if (o->arg)
			return fail(p->err, KENNEL_E_INVALID, "option \"-%c\" needs a value: %s", *letters,
				    o->arg);
		int r = apply(p, o, value);
		if (r < 0 || o->arg)
			return r;
	}
	return 0;
}

static int parse_words(struct opt_parser *p)
{
	bool ended = false;

	while (*p->argv && !p->in->help) {
		const char *word = *p->argv++;
		int r = 0;

		if (ended || word[0] != '-' || !word[1]) {
			p->in->operands[p->in->n_operands++] = word;
			ended |= p->flags & OPT_OPERAND_ENDS;
		} else if (word[1] != '-') {
			r = parse_letters(p, word + 1);
		} else if (word[2]) {
			r = parse_long(p, word + 2);
		} else {
			ended = true;
		}
		if (r < 0)
			return r;
	}
	return 0;
}

static bool was_seen(const struct opt_parser *p, const char *name)
{
	const struct opt *o = find_name(p->opts, name, strlen(name));

	assert(o);
	return p->seen >> (o - p->opts) & 1;
}

static int check_rules(const struct opt_parser *p, const struct opt_rule *rule)
{
	for (; rule && rule->name; rule++) {
		if (!was_seen(p, rule->name))
			continue;
		bool other = was_seen(p, rule->other);
		if (rule->kind == OPT_EXCLUDES && other)
			return fail(p->err, KENNEL_E_INVALID, "\"--%s\" and \"--%s\" exclude each other",
				    rule->name, rule->other);
		if (rule->kind == OPT_NEEDS && !other)
			return fail(p->err, KENNEL_E_INVALID, "\"--%s\" needs \"--%s\" beside it", rule->name,
				    rule->other);
	}
	return 0;
}

int opt_parse(const struct opt *opts, const struct opt_rule *rules, unsigned flags, char *const *argv,
	      void *args, struct opt_input *ret, struct kennel_error **err)
{
	struct opt_parser p = {
		.opts = opts, .flags = flags, .argv = argv, .args = args, .in = ret, .err = err
	};
	size_t n_words = 0;

	*ret = (struct opt_input){ 0 };
	while (argv[n_words])
		n_words++;
	ret->operands = calloc(n_words + 1, sizeof(*ret->operands));
	if (!ret->operands)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	int r = parse_words(&p);
	if (r < 0 || ret->help)
		return r;
	return check_rules(&p, rules);
}
