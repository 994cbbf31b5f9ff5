/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cli/live.h - what the commands about living containers have in common. */
#ifndef KENNEL_CLI_LIVE_H
#define KENNEL_CLI_LIVE_H

#include <kennel/kennel.h>

#include "cli/cli.h"
#include "cli/opt.h"

#define LIVE_STOP_MS 10000

/* How to stop, in the words of the command line; NULL: as ever. */
struct live_wish {
	const char *timeout, *signal;
	bool kill;
};

/* What follows the name; "--" in front of it is the habit of lxc-attach and others. */
const char *const *live_command(const struct opt_input *in);
/* "30", "500ms", "2m" to milliseconds; key for the error. */
int live_parse_time(const char *key, const char *text, int *ret_ms, struct kennel_error **err) MUST_CHECK;
/* Refuses what can't be meant before anything is stopped. */
int live_check(const struct live_wish *wish, struct kennel_error **err) MUST_CHECK;
int live_stop(struct cli *cli, const char *id, const struct live_wish *wish, bool quiet,
	      struct kennel_error **err) MUST_CHECK;
/*
 * What kennel_start() takes for a container: of the store at that full path, or the own one; command as for
 * kennel_spec_set_command(). *ret is the caller's, also after a failure.
 */
int live_start_spec(struct cli *cli, bool quiet, const char *store, const char *name,
		    const char *const *command, struct kennel_spec **ret, struct kennel_error **err)
	MUST_CHECK;
/* The state of a container; path as the person gave it, or NULL. */
int live_find(const char *path, const char *name, enum kennel_state *ret, struct kennel_error **err)
	MUST_CHECK;

#endif
