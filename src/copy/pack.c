/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* copy/pack.c - what became of a tree that was packed, as a copy tells it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "copy/child.h"
#include "ext4/pack.h"

static void put_path(char ret[static 1024], const char *source, const char *below)
{
	const size_t n = strlen(source);

	const char *slash = *below && n && source[n - 1] != '/' ? "/" : "";

	if (snprintf(ret, 1024, "%s%s%s", source, slash, below) >= 1024)
		memcpy(ret + 1020, "...", 4);
}

void copy_report_pack(struct copy_report *r, const struct pack *p, const char *source)
{
	static const enum copy_step steps[] = {
		[PACK_READ] = COPY_STEP_SOURCE_READ,
		[PACK_WRITE] = COPY_STEP_PIPE,
		[PACK_DEEP] = COPY_STEP_DEEP,
		[PACK_MEMORY] = COPY_STEP_MEMORY,
	};
	char where[1024];

	if (p->problem) {
		put_path(where, source, p->where);
		errno = p->errnum;
		(void)!copy_fail_word(r, steps[p->problem], where);
	}
	r->left_out = p->left_out;
	if (p->left_out)
		put_path(r->first_left_out, source, p->first_left_out);
}
