/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ship/import.h - any input into one directory. Runs in a process of its own whose ids are those inside.
 */
#ifndef KENNEL_SHIP_IMPORT_H
#define KENNEL_SHIP_IMPORT_H

#include "base/strv.h"
#include "ship/format.h"
#include "ship/mark.h"
#include "ship/walk.h"

enum ship_what {
	SHIP_WHAT_TOLD,
	SHIP_WHAT_DELTA,
	SHIP_WHAT_ROOT
}; /* TOLD: as its mark says, root without one */

struct ship_input_options {
	int fd; /* the file or directory; of an image its mounted tree */
	enum ship_input input;
	const char *mark; /* of an image: its trailer, else "" */
	enum ship_what what;
	int top_fd; /* an empty directory */
	uint64_t keep_free;
	struct ship_progress *progress;
};

/* *ret: what it was; base and base_id of a delta where its mark has them. */
int ship_import(const struct ship_input_options *o, struct ship_mark *ret, struct kennel_error **err)
	MUST_CHECK;

/*
 * What the input's mark says, before it is unpacked: known is false where it has none. Reads as little as
 * it takes.
 */
int ship_import_look(const struct ship_input_options *o, struct ship_mark *ret, struct kennel_error **err)
	MUST_CHECK;

/*
 * How an image of the Open Container Initiative wants to be run: keys and values of a spec, one after the
 * other. Other inputs are refused.
 */
int ship_import_words(const struct ship_input_options *o, struct strv *ret, struct kennel_error **err)
	MUST_CHECK;

#endif
