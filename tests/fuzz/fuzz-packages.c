/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz/fuzz-packages.c - databases of package managers, and the difference of two texts: what stands before
 * the first NUL and what stands behind it.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "delta/packages.h"
#include "delta/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int count(void *data, const struct package *before, const struct package *after)
{
	if (!before && !after)
		abort();
	++*(size_t *)data;
	return 0;
}

static void parse(int (*fn)(const char *, size_t, struct package_list *, struct kennel_error **),
		  const char *text, size_t size)
{
	_cleanup_packages_ struct package_list l = { 0 }, again = { 0 };
	size_t n = 0;

	if (fn(text, size, &l, NULL) < 0 || fn(text, size, &again, NULL) < 0)
		return;
	packages_sort(&l);
	packages_sort(&again);
	(void)packages_compare(&l, &again, count, &n);
	if (n)
		abort();
}

static void diff(const struct text_side *a, const struct text_side *b)
{
	_cleanup_buf_ struct buf out = { 0 };
	bool equal = a->size == b->size && memcmp(a->data, b->data, a->size) == 0;

	if (text_diff(a, b, 3, &out, NULL) == 0 && (out.len == 0) != equal)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = malloc(size + 1);
	_cleanup_packages_ struct package_list l = { 0 };

	if (!text)
		return 0;
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	parse(packages_parse_dpkg, text, size);
	parse(packages_parse_apk, text, size);
	parse(packages_parse_rpm, text, size);
	(void)!packages_parse_pacman(text, &l, NULL);
	const size_t first = strlen(text);
	const struct text_side a = { text, first };
	const struct text_side b = { text + MIN(first + 1, size), size - MIN(first + 1, size) };
	diff(&a, &b);
	return 0;
}
