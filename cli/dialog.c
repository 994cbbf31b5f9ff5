/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cli/dialog.c - see dialog.h.
 *
 * libnewt is loaded by hand: a program that were linked to it and to slang would need a millisecond more for
 * every start. slang ends the whole program where it does not know the terminal, so it is asked first, with
 * its own function, which says so instead.
 */
#include "cli/dialog.h"

#include <dlfcn.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "cli/dialog-config.h"

#if KENNEL_HAVE_NEWT
#include <newt.h>

#define LIST_MAX 10                     /* rows of the list of ticks that are seen at once */
#define LABEL_GAP 2
#define WORD_EXTRA 6                    /* "(*) " and a gap */
#define MARGIN 2
#define CTRL_C ('C' - '@')

/* The functions in use, each with the type that newt.h gives it. */
/* clang-format off */
#define NEWT_FUNCTIONS(F) \
	F(newtInit) F(newtFinished) F(newtCls) F(newtGetScreenSize) F(newtCenteredWindow) F(newtPopWindow) \
	F(newtForm) F(newtFormAddComponent) F(newtFormAddHotKey) F(newtFormWatchFd) F(newtFormRun) \
	F(newtFormSetCurrent) F(newtFormDestroy) F(newtLabel) F(newtButton) F(newtCheckboxTree) \
	F(newtCheckboxTreeAddItem) F(newtCheckboxTreeSetWidth) F(newtCheckboxTreeGetEntryValue) \
	F(newtRadiobutton) F(newtRadioGetCurrent) F(newtEntry) F(newtEntryGetValue) F(newtPushHelpLine)
/* clang-format on */

struct newt {
#define MEMBER(f) __typeof__(f) *f;
	NEWT_FUNCTIONS(MEMBER)
#undef MEMBER
	int (*SLtt_initialize)(char *term);
};

static int newt_load(struct newt *n, struct kennel_error **err)
{
	/* Never closed: slang keeps hold of the terminal's handlers. */
	void *lib = dlopen("libnewt.so.0.52", RTLD_NOW | RTLD_LOCAL);

	if (!lib)
		return hint(err, fail(err, KENNEL_E_MISSING, "the dialog needs libnewt, which is not here"),
			    "install it (Debian: libnewt0.52, Fedora: newt), or do without the dialog");
#define LOAD(f) \
	n->f = (__typeof__(n->f))dlsym(lib, #f); \
	if (!n->f) \
		return fail(err, KENNEL_E_MISSING, "libnewt has no function %s", #f);
	NEWT_FUNCTIONS(LOAD)
	LOAD(SLtt_initialize)
#undef LOAD
	return 0;
}

struct screen {
	const struct newt *n;
	struct dialog_form *form;
	newtComponent co, list, entry, ok, cancel;
	newtComponent last_radio[DIALOG_CHOICES_MAX];   /* the last button of each choice */
	newtComponent radios[DIALOG_CHOICES_MAX][DIALOG_WORDS_MAX];
	int width, label_width, list_rows;
};

static int int_max(int a, size_t b)
{
	return a > (int)b ? a : (int)b;
}

static size_t safe_len(const char *text)
{
	_cleanup_buf_ struct buf b = { 0 };

	buf_safe(&b, text);
	return strlen(buf_str(&b));
}

/* How large the window wants to be; newt cuts what is wider than the screen. */
static int measure(struct screen *s, int *ret_height)
{
	const struct dialog_form *f = s->form;
	int columns, rows, width = 40, height = 5 + (f->n_ticks ? 2 : 0) + (int)f->n_choices;

	s->n->newtGetScreenSize(&columns, &rows);
	s->label_width = f->entry_label ? (int)strlen(f->entry_label) : 0;
	for (size_t i = 0; i < f->n_choices; i++)
		s->label_width = int_max(s->label_width, strlen(f->choices[i].label));
	s->label_width += LABEL_GAP;
	for (size_t i = 0; i < f->n_choices; i++) {
		size_t w = (size_t)s->label_width;

		for (unsigned k = 0; k < DIALOG_WORDS_MAX && f->choices[i].words[k]; k++)
			w += strlen(f->choices[i].words[k]) + WORD_EXTRA;
		width = int_max(width, w);
	}
	for (size_t i = 0; i < f->n_ticks; i++)
		width = int_max(width, safe_len(f->ticks[i].text) + 8);
	height += (f->entry_label ? 1 : 0) + (f->remark ? 1 : 0);
	width = int_max(width, f->remark ? strlen(f->remark) : 0);
	s->width = MIN(width, columns - 2 * MARGIN - 4);
	s->list_rows = (int)MIN(f->n_ticks, f->tall ? (size_t)rows : (size_t)LIST_MAX);
	s->list_rows = MAX(MIN(s->list_rows, rows - height - 5), f->n_ticks ? 2 : 0);
	*ret_height = height + s->list_rows;
	return s->width + 2 * MARGIN;
}

static int add_ticks(struct screen *s, int row)
{
	const struct newt *n = s->n;
	const struct dialog_form *f = s->form;

	n->newtFormAddComponent(s->co, n->newtLabel(MARGIN, row, f->ticks_label));
	s->list = n->newtCheckboxTree(MARGIN, row + 1, s->list_rows,
				      f->n_ticks > (size_t)s->list_rows ? NEWT_FLAG_SCROLL : 0);
	for (size_t i = 0; i < f->n_ticks; i++) {
		_cleanup_buf_ struct buf b = { 0 };

		buf_safe(&b, f->ticks[i].text);
		/* takes a copy */
		n->newtCheckboxTreeAddItem(s->list, buf_str(&b), &f->ticks[i],
					   f->ticks[i].on ? NEWT_FLAG_SELECTED : 0, NEWT_ARG_APPEND,
					   NEWT_ARG_LAST);
	}
	n->newtCheckboxTreeSetWidth(s->list, s->width);
	n->newtFormAddComponent(s->co, s->list);
	return row + s->list_rows + 2;
}

static void add_choice(struct screen *s, size_t i, int row)
{
	const struct newt *n = s->n;
	const struct dialog_choice *c = &s->form->choices[i];
	newtComponent before = NULL;
	int column = MARGIN + s->label_width;

	n->newtFormAddComponent(s->co, n->newtLabel(MARGIN, row, c->label));
	for (unsigned k = 0; k < DIALOG_WORDS_MAX && c->words[k]; k++) {
		before = n->newtRadiobutton(column, row, c->words[k], k == c->chosen, before);
		s->radios[i][k] = s->last_radio[i] = before;
		n->newtFormAddComponent(s->co, before);
		column += (int)strlen(c->words[k]) + WORD_EXTRA;
	}
}

static void add_entry(struct screen *s, int row)
{
	const struct newt *n = s->n;
	const struct dialog_form *f = s->form;

	n->newtFormAddComponent(s->co, n->newtLabel(MARGIN, row, f->entry_label));
	s->entry = n->newtEntry(MARGIN + s->label_width, row, f->entry ? f->entry : "",
				s->width - s->label_width, NULL, NEWT_FLAG_SCROLL);
	n->newtFormAddComponent(s->co, s->entry);
}

static void add_buttons(struct screen *s, int row)
{
	const struct newt *n = s->n;

	s->ok = n->newtButton(MARGIN + 2, row, s->form->ok);
	s->cancel = n->newtButton(s->width - 10, row, "Cancel");
	n->newtFormAddComponent(s->co, s->ok);
	n->newtFormAddComponent(s->co, s->cancel);
}

static void build(struct screen *s)
{
	const struct newt *n = s->n;
	const struct dialog_form *f = s->form;
	int height, width = measure(s, &height), row = 0;

	n->newtCls();
	n->newtPushHelpLine("  <Tab> goes on  <Space> ticks  <Enter> presses  <F12> is done  <Esc> cancels");
	n->newtCenteredWindow((unsigned)width, (unsigned)height, f->title);
	s->co = n->newtForm(NULL, NULL, 0);
	if (f->remark)
		n->newtFormAddComponent(s->co, n->newtLabel(MARGIN, row++, f->remark));
	if (f->n_ticks)
		row = add_ticks(s, row);
	for (size_t i = 0; i <= f->n_choices; i++) {
		if (i == f->entry_after && f->entry_label)
			add_entry(s, row++);
		if (i < f->n_choices)
			add_choice(s, i, row++);
	}
	add_buttons(s, row + 1);
	n->newtFormAddHotKey(s->co, CTRL_C);
	n->newtFormAddHotKey(s->co, (unsigned char)NEWT_KEY_ESCAPE);
	n->newtFormSetCurrent(s->co, f->at_entry ? s->entry : f->n_ticks ? s->list : s->ok);
}

/* Return: 1, or 0 with nothing changed where memory ran out. */
static int collect(struct screen *s)
{
	struct dialog_form *f = s->form;
	char *entry = NULL;

	if (s->entry) {
		entry = strdup(s->n->newtEntryGetValue(s->entry));
		if (!entry)
			return 0;
		free(f->entry);
		f->entry = entry;
	}
	for (size_t i = 0; i < f->n_ticks; i++)
		f->ticks[i].on = s->n->newtCheckboxTreeGetEntryValue(s->list, &f->ticks[i]) == '*';
	for (size_t i = 0; i < f->n_choices; i++) {
		newtComponent now = s->n->newtRadioGetCurrent(s->last_radio[i]);

		for (unsigned k = 0; k < DIALOG_WORDS_MAX && s->radios[i][k]; k++)
			if (s->radios[i][k] == now)
				f->choices[i].chosen = k;
	}
	return 1;
}

static int show(const struct newt *n, struct dialog_form *form, int signal_fd)
{
	struct newtExitStruct how = { 0 };
	struct screen s = { .n = n, .form = form };
	int r = 0;

	n->newtInit();
	build(&s);
	n->newtFormWatchFd(s.co, signal_fd, NEWT_FD_READ);
	n->newtFormRun(s.co, &how);
	if (how.reason == NEWT_EXIT_COMPONENT && how.u.co != s.cancel)
		r = collect(&s);
	else if (how.reason == NEWT_EXIT_HOTKEY && how.u.key == NEWT_KEY_F12)
		r = collect(&s);                /* newt's own key for "done" */
	n->newtFormDestroy(s.co);
	n->newtPopWindow();
	n->newtCls();
	n->newtFinished();
	return r;
}

static int check_terminal(const struct newt *n, struct kennel_error **err)
{
	const char *term = getenv("TERM");

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return hint(err,
			    fail(err, KENNEL_E_UNSUPPORTED,
				 "the dialog needs a terminal as standard input and output"),
			    "do without the dialog: options say the same");
	if (!term || !*term || strcmp(term, "dumb") == 0 || n->SLtt_initialize(NULL) < 0)
		return hint(
			err,
			fail(err, KENNEL_E_UNSUPPORTED,
			     "the dialog can't be drawn on a terminal of type \"%s\"", term ? term : ""),
			"set TERM to what this terminal is, or do without the dialog: options say the same");
	return 0;
}

int dialog_run(struct dialog_form *form, struct kennel_error **err)
{
	struct newt n;
	sigset_t set, old;

	int r = newt_load(&n, err);
	if (r == 0)
		r = check_terminal(&n, err);
	if (r < 0)
		return r;
	setlocale(LC_CTYPE, "");        /* slang asks it whether lines can be drawn as UTF-8 */
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	sigprocmask(SIG_BLOCK, &set, &old);
	_cleanup_close_ int signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signal_fd < 0)
		r = fail_errno(err, "receive signals");
	else
		r = show(&n, form, signal_fd);
	/* What came meanwhile does its work now, on a terminal that is in order again. */
	sigprocmask(SIG_SETMASK, &old, NULL);
	return r;
}

#else

int dialog_run(struct dialog_form *form, struct kennel_error **err)
{
	(void)form;
	return hint(err,
		    fail(err, KENNEL_E_UNSUPPORTED, "kennel was built without libnewt, which draws dialogs"),
		    "do without the dialog: options say the same");
}

#endif
