/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* api-enter.c - the public face of run/enter.c: which sandbox is meant, and what it is. */
#include <string.h>

#include <kennel/kennel.h>

#include "api-running.h"
#include "api-spec.h"
#include "base/cleanup.h"
#include "run/enter.h"

static int read_level(const char *text, enum spec_isolate *ret, struct kennel_error **err)
{
	for (enum spec_isolate v = SPEC_ISOLATE_FS; text && v <= SPEC_ISOLATE_VM; v++)
		if (strcmp(spec_isolate_name(v), text) == 0) {
			*ret = v;
			return 0;
		}
	return fail(err, KENNEL_E_CORRUPT, "the isolation level \"%s\"", text ? text : "");
}

static int enter(const char *id, const struct kennel_spec *spec, bool last, int *ret_status,
		 struct kennel_error **err)
{
	_cleanup_close_ int pidfd = -EBADF, root_fd = -EBADF;
	struct kennel_list *list = NULL;
	struct copy_sandbox sb;

	int r = running_open(id, &sb, &pidfd, &root_fd, &list, err);
	if (r < 0)
		return r;
	_cleanup_strv_ struct strv env = { 0 };
	struct enter_request q = { .init_pidfd = pidfd,
				   .init = sb.init,
				   .id = kennel_list_value(list, 0, "id"),
				   .env = &env,
				   .last = last,
				   .spec = spec->spec };
	r = read_level(kennel_list_value(list, 0, "isolate"), &q.level, err);
	for (size_t i = 0; r == 0 && kennel_list_detail(list, 0, "env", i); i++)
		r = strv_add(&env, kennel_list_detail(list, 0, "env", i), err);
	if (r == 0)
		r = enter_run(&q, ret_status, err);
	kennel_list_free(list);
	return r;
}

int kennel_enter(const char *id, const struct kennel_spec *spec, int *ret_status, struct kennel_error **err)
{
	return enter(id, spec, false, ret_status, err);
}

int kennel_enter_last(const char *id, const struct kennel_spec *spec, int *ret_status,
		      struct kennel_error **err)
{
	return enter(id, spec, true, ret_status, err);
}
