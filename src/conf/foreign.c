/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* conf/foreign.c - see foreign.h: what LXC and nspawn have in common. */
#include "conf/foreign.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

void foreign_done(struct foreign *f)
{
	spec_free(f->spec);
	strv_done(&f->refused);
	strv_done(&f->optional);
	free(f->root);
	free(f->upper);
	*f = (struct foreign){ 0 };
}

int foreign_refuse(struct foreign *f, const struct foreign_at *at, const char *advice,
		   struct kennel_error **err)
{
	if (!f->refused.n)
		f->hint = advice;
	return strv_addf(&f->refused, err, "%s (%s:%u)", at->key, at->file, at->line);
}

int foreign_set(struct foreign *f, const struct foreign_at *at, const char *key, const char *value,
		struct kennel_error **err)
{
	_cleanup_error_ struct kennel_error *why = NULL;
	int r = spec_set(f->spec, key, value, &why);

	if (r == -KENNEL_E_NOMEM)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	return r < 0 ? foreign_refuse(f, at, NULL, err) : 0;
}

bool foreign_is_lxc(const char *text)
{
	for (; *text; text += strcspn(text, "\n"), text += *text == '\n') {
		text += strspn(text, " \t");
		if (*text == '#' || *text == '\n' || !*text)
			continue;
		return strncmp(text, "lxc.", 4) == 0;
	}
	return false;
}
