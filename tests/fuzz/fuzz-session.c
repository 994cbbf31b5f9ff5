/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzz-session.c - the configuration of a session (conf/session.c), and the drives that come of it. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "conf/session.h"
#include "conf/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct session s = { 0 };
	struct spec *spec = spec_new(NULL);

	if (!text || !spec)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	(void)!session_parse(text, &s, NULL);
	for (size_t i = 0; i < s.drives.n; i++)
		(void)!spec_set(spec, "drive", s.drives.items[i], NULL);
	session_done(&s);
	(void)!session_take(text, &s, NULL);
	session_done(&s);
	spec_free(spec);
	free(text);
	return 0;
}
