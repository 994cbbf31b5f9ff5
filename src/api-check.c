/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* api-check.c - the public face of run/check.c: the lines as a list, one entry each. */
#include <stdlib.h>
#include <string.h>

#include <kennel/kennel.h>

#include "api-list.h"
#include "base/cleanup.h"
#include "run/check.h"

static int put(struct registry_entry *e, const char *key, const char *value, struct kennel_error **err)
{
	if (!value)
		return 0;
	int r = strv_add(&e->keys, key, err);
	return r < 0 ? r : strv_add(&e->values, value, err);
}

static int put_line(struct registry_entry *e, const struct check_line *l, struct kennel_error **err)
{
	e->id = strdup(l->name);
	int r = e->id ? put(e, "name", l->name, err) : fail(err, KENNEL_E_NOMEM, "out of memory");

	if (r == 0)
		r = put(e, "state", check_state_name(l->state), err);
	if (r == 0)
		r = put(e, "needed_for", l->needed_for, err);
	if (r == 0)
		r = put(e, "found", l->found, err);
	return r < 0 ? r : put(e, "remedy", l->remedy, err);
}

static int list_of(const struct check *c, struct kennel_list **ret, struct kennel_error **err)
{
	struct kennel_list *l = calloc(1, sizeof(*l));

	if (l)
		l->entries = calloc(c->n, sizeof(*l->entries));
	if (!l || !l->entries) {
		kennel_list_free(l);
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	}
	l->n = c->n;
	for (size_t i = 0; i < c->n; i++) {
		int r = put_line(&l->entries[i], &c->lines[i], err);
		if (r < 0) {
			kennel_list_free(l);
			return r;
		}
	}
	*ret = l;
	return 0;
}

int kennel_check_read(struct kennel_list **ret, size_t *ret_missing, struct kennel_error **err)
{
	_cleanup_free_ struct check_facts *f = malloc(sizeof(*f));
	struct check c = { 0 };

	if (!f)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	int r = check_probe(f, err);
	if (r == 0)
		r = check_judge(f, &c, err);
	if (r == 0)
		r = list_of(&c, ret, err);
	if (r == 0 && ret_missing)
		*ret_missing = check_missing(&c);
	check_done(&c);
	check_facts_done(f);
	return r;
}
