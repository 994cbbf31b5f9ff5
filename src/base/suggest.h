/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * base/suggest.h - "did you mean": the known word that is nearest to a mistyped one.
 *
 * Start with { 0 }, offer every known word, then read best: NULL where nothing is near enough to be what
 * was meant.
 */
#ifndef KENNEL_BASE_SUGGEST_H
#define KENNEL_BASE_SUGGEST_H

#include "base/macro.h"

struct suggestion {
	const char *best;       /* one of the words that were offered; borrowed */
	unsigned distance;      /* of best */
};

void suggest_offer(struct suggestion *s, const char *typed, const char *known);

#endif
