/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cli/commit-choose.h - a person chooses which changes are made: in an editor, or in a checklist. */
#ifndef KENNEL_CLI_COMMIT_CHOOSE_H
#define KENNEL_CLI_COMMIT_CHOOSE_H

#include <stdbool.h>

#include <kennel/kennel.h>

#include "base/error.h"

/* The list in a file for $VISUAL, $EDITOR or vi. Return: 0, or a negative code. */
int commit_choose_by_editor(struct kennel_commit *commit, struct kennel_error **err) MUST_CHECK;

/*
 * With ticks. offered: of each change, may it be ticked? Those that are chosen have one; force: where they
 * conflict, too. Return: 1 chosen, 0 cancelled and nothing changed, or a code.
 */
int commit_choose_by_ticks(struct kennel_commit *commit, const bool *offered, bool force,
			   struct kennel_error **err) MUST_CHECK;

#endif
