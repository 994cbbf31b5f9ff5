/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cli/commit-list.h - the changes of a commit as a list: to read, to edit, for programs. */
#ifndef KENNEL_CLI_COMMIT_LIST_H
#define KENNEL_CLI_COMMIT_LIST_H

#include <kennel/kennel.h>

#include "base/buf.h"

struct commit_tally {
	size_t fine, conflicts, left; /* of what is chosen; conflicts count as fine where forced */
};

struct commit_tally commit_list_tally(const struct kennel_commit *commit, bool force);

/* What would be applied, what gives rights, what conflicts, what is left. */
void commit_list_text(struct buf *b, const struct kennel_commit *commit, bool force, bool all, bool colour);
void commit_list_json(struct buf *b, const struct kennel_commit *commit, bool force, bool applied);

/* For an editor: a line for each change that can be made; what is taken away or begins with "#" is not. */
void commit_list_edit(struct buf *b, const struct kennel_commit *commit);
/* Chooses what the edited text still has. INVALID for a line that was not in it. */
int commit_list_choose(struct kennel_commit *commit, const char *text, struct kennel_error **err) MUST_CHECK;

#endif
