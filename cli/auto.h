/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cli/auto.h - "start --auto" and "stop --auto": all containers that start by themselves. */
#ifndef KENNEL_CLI_AUTO_H
#define KENNEL_CLI_AUTO_H

#include "cli/live.h"

struct auto_wish {
	const char *path; /* of the store, as the person gave it, or NULL */
	bool dry_run, json, quiet;
	struct live_wish stop;
};

/* The groups are the settings "group". One that fails does not keep the others. Return: exit code. */
int auto_start(struct cli *cli, const struct auto_wish *wish, const struct opt_input *in);
int auto_stop(struct cli *cli, const struct auto_wish *wish, const struct opt_input *in);

#endif
