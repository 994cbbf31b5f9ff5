/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cli/dialog.h - one form on the terminal: things to tick, choices of one word each, a line of text.
 *
 * Drawn by libnewt, which is loaded for it, so it works on a bare console too. The terminal is what it was
 * when dialog_run() returns, whatever ended the form.
 */
#ifndef KENNEL_CLI_DIALOG_H
#define KENNEL_CLI_DIALOG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

#define DIALOG_WORDS_MAX 8
#define DIALOG_CHOICES_MAX 8

struct dialog_tick {
	const char *text;
	bool on;                        /* before and after */
};

struct dialog_choice {
	const char *label;
	const char *words[DIALOG_WORDS_MAX];    /* ends with the first NULL */
	unsigned chosen;                /* before and after */
};

struct dialog_form {
	const char *title;
	const char *remark;             /* a line on top, or NULL */
	bool at_entry;                  /* the entry is where it begins */
	const char *ok;                 /* what its button says; the other one is "Cancel" */
	const char *ticks_label;
	struct dialog_tick *ticks;
	size_t n_ticks;                 /* 0: no list */
	bool tall; /* the list takes all rows that the screen has for it */
	struct dialog_choice choices[DIALOG_CHOICES_MAX];
	size_t n_choices;
	const char *entry_label;        /* NULL: no line of text */
	size_t entry_after;             /* how many choices stand above it */
	char *entry;                    /* before (or NULL) and after; the caller's, from malloc() */
};

/*
 * Shows the form until a button is pressed. Escape and ^C are "Cancel"; a signal that would end the program
 * (TERM, HUP, INT, QUIT) puts the terminal back first.
 * Return: 1 agreed, and the form holds what was chosen; 0 cancelled, nothing changed; -KENNEL_E_UNSUPPORTED
 * where standard input and output are no terminal that can draw it, -KENNEL_E_MISSING without libnewt.
 */
int dialog_run(struct dialog_form *form, struct kennel_error **err) MUST_CHECK;

#endif
