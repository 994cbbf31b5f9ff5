/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzz/fuzz-template.c - a template's first lines, what it says of its progress, and how one is named. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "conf/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = malloc(size + 1); /* the bytes have no NUL, so no strndup() */
	struct template_header h;
	struct template_step s;
	enum template_kind kind;
	const char *rest;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (template_header_parse(text, size, &h, NULL) == 0) {
		/* it is shown on terminals */
		for (const char *p = h.summary; p && *p; p++)
			if ((unsigned char)*p < ' ')
				abort();
		template_header_done(&h);
	}
	if (template_step_parse(text, &s) && (s.done > s.total || !s.total || s.text < text))
		abort();
	if (template_name_is_plain(text) && strchr(text, '/'))
		abort();
	if (template_word_parse(text, &kind, &rest, NULL) == 0 && !*rest)
		abort();
	return 0;
}
