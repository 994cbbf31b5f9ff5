/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * base/suggest.c - see suggest.h.
 *
 * The distance counts letters that are wrong, missing, too many or swapped with their neighbour (optimal
 * string alignment), because a swap is the commonest slip. One mistake in three letters is near enough. A
 * beginning of a known word is near too: people shorten long options out of habit.
 */
#include "base/suggest.h"

#include <stdbool.h>
#include <string.h>

#define WORD_MAX 40     /* longer words are not worth a guess, and the rows live on the stack */

static unsigned word_distance(const char *a, size_t na, const char *b, size_t nb)
{
	unsigned rows[3][WORD_MAX + 1];

	for (size_t j = 0; j <= nb; j++)
		rows[0][j] = (unsigned)j;
	for (size_t i = 1; i <= na; i++) {
		unsigned *now = rows[i % 3], *last = rows[(i - 1) % 3], *before = rows[(i + 1) % 3];

		now[0] = (unsigned)i;
		for (size_t j = 1; j <= nb; j++) {
			now[j] = MIN(MIN(last[j], now[j - 1]) + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				now[j] = MIN(now[j], before[j - 2] + 1);
		}
	}
	return rows[na % 3][nb];
}

void suggest_offer(struct suggestion *s, const char *typed, const char *known)
{
	size_t n_typed = strlen(typed), n_known = strlen(known);

	if (n_typed < 2 || n_typed > WORD_MAX || n_known > WORD_MAX)
		return;
	unsigned distance = word_distance(typed, n_typed, known, n_known);
	bool begins = strncmp(typed, known, n_typed) == 0;
	if (begins)
		distance = MIN(distance, 1u);
	if (distance > MAX(n_typed / 3, (size_t)1))
		return;
	if (!s->best || distance < s->distance)
		*s = (struct suggestion){ .best = known, .distance = distance };
}
