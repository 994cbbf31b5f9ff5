/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* copy/side.c - a path as it was typed, into the directory and the last name. */
#include <stdlib.h>
#include <string.h>

#include "copy/child.h"

int copy_split_side(struct copy_side *side, struct copy_split *s)
{
	size_t n = strlen(side->path), end = n, start;

	while (end > 0 && side->path[end - 1] == '/')
		end--;
	for (start = end; start > 0 && side->path[start - 1] != '/';)
		start--;
	side->must_dir = end < n || !end;
	s->name = strndup(side->path + start, end - start);
	while (start > 1 && side->path[start - 1] == '/')
		start--;
	s->parent = start ? strndup(side->path, start) : strdup(side->inside ? "/" : ".");
	if (!s->name || !s->parent)
		return -1;
	if (strcmp(s->name, ".") == 0 || strcmp(s->name, "..") == 0) {
		side->must_dir = true;
		*s->name = '\0';
	}
	side->name = s->name;
	side->parent = s->parent;
	return 0;
}

void copy_split_done(struct copy_split *s)
{
	free(s->parent);
	free(s->name);
}
