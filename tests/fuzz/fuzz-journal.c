/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz/fuzz-journal.c - what a transaction has written down.
 *
 * Besides memory errors it looks for broken promises: a refusal has a sentence, no path leads out of the
 * root, no stage has a name that is none, no place is in a stage that is not there.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "delta/journal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_path(const char *path)
{
	if (!path || *path == '/' || strncmp(path, "../", 3) == 0 || strstr(path, "/../") ||
	    strcmp(path, "..") == 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kennel_error *err = NULL;
	struct journal j = { 0 };

	int r = journal_parse((const char *)data, size, &j, &err);
	if (r < 0 && (!err || !*kennel_error_message(err)))
		abort();
	if (r > 0 && (!j.root || !j.what || j.good > size))
		abort();
	for (size_t i = 0; i < j.n_stages; i++) {
		if (j.stages[i].dir)
			check_path(j.stages[i].dir);
		if (!*j.stages[i].name || strchr(j.stages[i].name, '/'))
			abort();
	}
	for (size_t i = 0; i < j.n_puts; i++) {
		check_path(j.puts[i].path);
		if (j.puts[i].stage >= j.n_stages)
			abort();
	}
	for (size_t i = 0; i < j.n_metas; i++)
		check_path(j.metas[i].path);
	for (size_t i = 0; i < j.n_times; i++)
		check_path(j.times[i].path);
	journal_done(&j);
	error_clear(&err);
	return 0;
}
