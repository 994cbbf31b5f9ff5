/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cli/commit-choose.h - a person chooses which changes are made: in an editor, or in a checklist. */
#ifndef KENNEL_CLI_COMMIT_CHOOSE_H
#define KENNEL_CLI_COMMIT_CHOOSE_H

#include <kennel/kennel.h>

#include "cli/dialog.h"

/* The list in a file for $VISUAL, $EDITOR or vi. Return: 0, or a negative code. */
int commit_choose_by_editor(struct kennel_commit *commit, struct kennel_error **err) MUST_CHECK;

/* With ticks. force: conflicts begin ticked. Return: 1 chosen, 0 cancelled and nothing changed, or a code. */
int commit_choose_by_ticks(struct kennel_commit *commit, bool force, struct kennel_error **err) MUST_CHECK;

/*
 * The form of it, for tests: what is chosen and can be made, and which change each tick is. Ends with
 * commit_ticks_done().
 */
struct commit_ticks {
	struct dialog_form form;
	size_t *index; /* as form.ticks */
};
int commit_ticks_fill(struct commit_ticks *t, const struct kennel_commit *commit, bool force,
		      struct kennel_error **err) MUST_CHECK;
void commit_ticks_take(const struct commit_ticks *t, struct kennel_commit *commit);
void commit_ticks_done(struct commit_ticks *t);

#endif
