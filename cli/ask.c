/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cli/ask.c - see ask.h.
 *
 * The form begins as the options have it, and what the person agrees to replaces the settings of the keys
 * that it shows; all other options stay as they are. So "kennel run --ask --net none" asks with none chosen.
 */
#include "cli/ask.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <kennel/kennel.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "cli/dialog.h"
#include "cli/facts.h"

enum { CHANGES_THROWN, CHANGES_KEPT, CHANGES_FILE };

/* Choices beside the first, which is about the changes: a setting each, whose words are those of the form. */
static const struct dialog_choice choices[] = {
	{ .label = "Changes are", .words = { "thrown away", "kept by name", "kept in a file" } },
	{ .label = "Network", .words = { "nat", "none", "host" } },
	{ .label = "Walls", .words = { "strongest", "user", "ns", "fs" } },
};
enum { CHOICE_CHANGES, CHOICE_NET, CHOICE_ISOLATE };

struct place {
	char *path;
	char *text;
	bool is_layer;
};

struct ask_model {
	struct dialog_form form;
	struct place *places;           /* as form.ticks */
	bool of_system;                  /* the base is the running system */
};

static bool is_system(const char *base)
{
	return strcmp(base, "system") == 0 || strncmp(base, "system:", strlen("system:")) == 0;
}

static const char *last_value(const struct opt_input *in, const char *name)
{
	const char *value = NULL;

	for (size_t i = 0; i < in->n_settings; i++)
		if (strcmp(in->settings[i].name, name) == 0)
			value = in->settings[i].value;
	return value;
}

static bool has_value(const struct opt_input *in, const char *name, const char *value)
{
	for (size_t i = 0; i < in->n_settings; i++)
		if (strcmp(in->settings[i].name, name) == 0 && strcmp(in->settings[i].value, value) == 0)
			return true;
	return false;
}

/* Is layer among those of "system:A,B"? Without a list, all are. */
static bool layer_is_chosen(const char *base, const char *layer)
{
	size_t len = strlen(layer);
	const char *p = base ? strchr(base, ':') : NULL;

	if (!p)
		return true;
	for (p++; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
		if (strncmp(p, layer, len) == 0 && (p[len] == '\0' || p[len] == ','))
			return true;
	return false;
}

static int add_place(struct ask_model *m, const char *path, const char *what, bool is_layer, bool on,
		     struct kennel_error **err)
{
	struct dialog_form *f = &m->form;
	struct place *places = reallocarray(m->places, f->n_ticks + 1, sizeof(*places));
	struct dialog_tick *ticks;

	if (!places)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	m->places = places;
	ticks = reallocarray(f->ticks, f->n_ticks + 1, sizeof(*ticks));
	if (!ticks)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	f->ticks = ticks;
	struct place p = { .path = strdup(path), .is_layer = is_layer };
	if (!p.path || asprintf(&p.text, "%-24s %s", path, what) < 0) {
		free(p.path);
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	}
	m->places[f->n_ticks] = p;
	f->ticks[f->n_ticks++] = (struct dialog_tick){ .text = p.text, .on = on };
	return 0;
}

/* The root is always there; it is not listed. */
static int add_mounts(struct ask_model *m, const struct opt_input *in, const struct kennel_list *base,
		      struct kennel_error **err)
{
	const char *line;
	int r = 0;

	for (size_t n = 0; r == 0 && (line = kennel_list_detail(base, 0, "mount", n)); n++) {
		_cleanup_mount_line_ struct mount_line l = split_mount(line);

		if (strcmp(l.verdict, "copied") == 0 && strcmp(l.path, "/") != 0)
			r = add_place(m, l.path, l.fstype, false, !has_value(in, "without", l.path), err);
	}
	for (size_t n = 0; r == 0 && (line = kennel_list_detail(base, 0, "layer", n)); n++)
		r = add_place(m, line, "layer of /", true, layer_is_chosen(last_value(in, "base"), line),
			      err);
	return r;
}

static void preset(struct dialog_choice *c, const char *value)
{
	for (unsigned i = 0; value && i < DIALOG_WORDS_MAX && c->words[i]; i++)
		if (strcmp(c->words[i], value) == 0)
			c->chosen = i;
}

int ask_model_new(const struct opt_input *in, const struct kennel_list *base, struct ask_model **ret,
		  struct kennel_error **err)
{
	const char *keep = last_value(in, "keep"), *file = last_value(in, "file");
	const char *under = last_value(in, "base");
	struct ask_model *m = calloc(1, sizeof(*m));
	int r = 0;

	if (!m)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	m->of_system = !under || is_system(under);
	m->form = (struct dialog_form){
		.title = m->of_system ? "A copy of this machine" : "A copy",
		.ok = "Start",
		.ticks_label = "What it sees beside /:",
		.n_choices = ARRAY_SIZE(choices),
		.entry_label = "Name or file",
		.entry_after = CHOICE_CHANGES + 1,
	};
	memcpy(m->form.choices, choices, sizeof(choices));
	m->form.choices[CHOICE_CHANGES].chosen = keep ? CHANGES_KEPT : file ? CHANGES_FILE : CHANGES_THROWN;
	preset(&m->form.choices[CHOICE_NET], last_value(in, "net"));
	preset(&m->form.choices[CHOICE_ISOLATE], last_value(in, "isolate"));
	if (keep || file) {
		m->form.entry = strdup(keep ? keep : file);
		r = m->form.entry ? 0 : fail(err, KENNEL_E_NOMEM, "out of memory");
	}
	if (r == 0 && m->of_system)
		r = add_mounts(m, in, base, err);
	if (r < 0)
		ask_model_free(m);
	else
		*ret = m;
	return r;
}

struct ask_model *ask_model_free(struct ask_model *m)
{
	if (!m)
		return NULL;
	for (size_t i = 0; i < m->form.n_ticks; i++) {
		free(m->places[i].path);
		free(m->places[i].text);
	}
	free(m->places);
	free(m->form.ticks);
	free(m->form.entry);
	free(m);
	return NULL;
}

struct dialog_form *ask_model_form(struct ask_model *m)
{
	return &m->form;
}

static const char no_name[] = "What is kept needs a name or a file: fill in that line.";

const char *ask_model_check(const struct ask_model *m)
{
	bool named = m->form.entry && *m->form.entry, layers = false, layer_on = false;

	if (!named && m->form.choices[CHOICE_CHANGES].chosen != CHANGES_THROWN)
		return no_name;
	if (named && m->form.choices[CHOICE_CHANGES].chosen == CHANGES_THROWN)
		return "There is a name, but changes are thrown away: choose one.";
	for (size_t i = 0; i < m->form.n_ticks; i++) {
		layers |= m->places[i].is_layer;
		layer_on |= m->places[i].is_layer && m->form.ticks[i].on;
	}
	return layers && !layer_on ? "At least one layer of / has to be chosen." : NULL;
}

/* Takes no copy of name; one of value. */
static int add_setting(struct ask *a, const char *name, const char *value, struct kennel_error **err)
{
	char *copy = strdup(value);

	if (!copy)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	a->strings[a->n_strings++] = copy;
	a->settings[a->n++] = (struct opt_setting){ name, copy };
	return 0;
}

/* Keys that the form shows; "base" only where it shows the layers of it. */
static bool is_asked_for(const struct ask_model *m, const struct opt_setting *s)
{
	static const char *const keys[] = { "keep", "file", "net", "isolate" };

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (strcmp(keys[i], s->name) == 0)
			return true;
	if (strcmp(s->name, "base") == 0)
		return m->of_system;
	for (size_t i = 0; strcmp(s->name, "without") == 0 && i < m->form.n_ticks; i++)
		if (strcmp(m->places[i].path, s->value) == 0)
			return true;
	return false;
}

static int add_choice(const struct ask_model *m, struct ask *a, size_t choice, const char *name,
		      struct kennel_error **err)
{
	const struct dialog_choice *c = &m->form.choices[choice];

	/* The first word is what happens without the option, and then says less of what could not be had. */
	return c->chosen ? add_setting(a, name, c->words[c->chosen], err) : 0;
}

/* "system:A,B" where not all layers are wanted. */
static int add_base(const struct ask_model *m, struct ask *a, struct kennel_error **err)
{
	_cleanup_buf_ struct buf b = { 0 };
	bool all = true;

	for (size_t i = 0; i < m->form.n_ticks; i++) {
		if (!m->places[i].is_layer)
			continue;
		all &= m->form.ticks[i].on;
		if (!m->form.ticks[i].on)
			continue;
		buf_puts(&b, b.len ? "," : "system:");
		for (const char *p = m->places[i].path; *p; p++) {
			if (*p == ',' || *p == '\\')
				buf_puts(&b, "\\");
			buf_add(&b, p, 1);
		}
	}
	int r = buf_check(&b, err);
	return r < 0 || all ? r : add_setting(a, "base", buf_str(&b), err);
}

int ask_model_settings(const struct ask_model *m, const struct opt_input *in, struct ask *ret,
		       struct kennel_error **err)
{
	const size_t most = in->n_settings + m->form.n_ticks + ARRAY_SIZE(choices) + 1;
	unsigned changes = m->form.choices[CHOICE_CHANGES].chosen;
	_cleanup_ask_ struct ask a = {
		.settings = calloc(most, sizeof(*a.settings)),
		.strings = calloc(most, sizeof(*a.strings)),
	};
	int r = 0;

	if (!a.settings || !a.strings)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	for (size_t i = 0; i < in->n_settings; i++)
		if (!is_asked_for(m, &in->settings[i]))
			a.settings[a.n++] = in->settings[i];
	if (changes != CHANGES_THROWN)
		r = add_setting(&a, changes == CHANGES_KEPT ? "keep" : "file", m->form.entry, err);
	if (r == 0)
		r = add_choice(m, &a, CHOICE_NET, "net", err);
	if (r == 0)
		r = add_choice(m, &a, CHOICE_ISOLATE, "isolate", err);
	if (r == 0)
		r = add_base(m, &a, err);
	for (size_t i = 0; i < m->form.n_ticks && r == 0; i++)
		if (!m->places[i].is_layer && !m->form.ticks[i].on)
			r = add_setting(&a, "without", m->places[i].path, err);
	if (r == 0) {
		*ret = a;
		a = (struct ask){ 0 };
	}
	return r;
}

void ask_done(struct ask *a)
{
	for (size_t i = 0; i < a->n_strings; i++)
		free(a->strings[i]);
	free(a->strings);
	free(a->settings);
	*a = (struct ask){ 0 };
}

int ask_run(const struct opt_input *in, struct ask *ret, struct kennel_error **err)
{
	struct kennel_list *base = NULL;
	struct ask_model *m = NULL;

	int r = kennel_base_read(&base, err);
	if (r == 0)
		r = ask_model_new(in, base, &m, err);
	/* without root there is one kind of walls: no row, but what was asked for stays */
	if (r >= 0 && geteuid() != 0)
		m->form.n_choices = CHOICE_ISOLATE;
	do {
		if (r >= 0)
			r = dialog_run(&m->form, err);
		if (r > 0)
			m->form.remark = ask_model_check(m);
		if (r > 0)
			m->form.at_entry = m->form.remark == no_name;
	} while (r > 0 && m->form.remark);
	if (r > 0) {
		r = ask_model_settings(m, in, ret, err);
		r = r == 0 ? 1 : r;
	}
	ask_model_free(m);
	kennel_list_free(base);
	return r;
}
