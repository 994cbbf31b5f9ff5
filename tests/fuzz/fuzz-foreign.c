/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz/fuzz-foreign.c - configurations of LXC, and of systemd-nspawn, which begin with "[". Included
 * files are the input again.
 *
 * The promise looked after: what was taken over is a spec that takes the same words once more.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "conf/foreign.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int read_again(void *data, const char *path, struct buf *ret, struct kennel_error **err)
{
	buf_puts(ret, data);
	return buf_check(ret, err) < 0 ? -KENNEL_E_NOMEM : 1;
}

static void check(const struct foreign *f)
{
	struct spec *again = spec_new(NULL);

	for (size_t i = 0; again && i + 1 < f->spec->given.n; i += 2)
		if (spec_set(again, f->spec->given.items[i], f->spec->given.items[i + 1], NULL) < 0)
			abort();
	spec_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = malloc(size + 1);
	struct foreign f = { 0 };

	if (!text || size > 8192)
		return 0;
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	int r = *text == '[' ? foreign_parse_nspawn("c", text, &f, NULL) :
			       foreign_parse_lxc("c", text, read_again, text, &f, NULL);
	if (r == 0)
		check(&f);
	foreign_done(&f);
	return 0;
}
