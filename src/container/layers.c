/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* container/layers.c - see layers.h. */
#include "container/layers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"

int layers_path(const char *store_path, const char *name, char **ret, struct kennel_error **err)
{
	char *path = NULL;
	int n = name[0] == '/' ? asprintf(&path, "%s", name) :
				 asprintf(&path, "%s/" LAYERS_DIR "/%s", store_path, name);

	if (n < 0)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	*ret = path;
	return 0;
}

int layers_find_base(const char *store_path, const struct manifest *m, char **ret, struct kennel_error **err)
{
	_cleanup_free_ char *layer = NULL;
	char *path = NULL;
	struct stat st;

	*ret = NULL;
	if (!m->below.n)
		return 0;
	int r = layers_path(store_path, m->below.items[0], &layer, err);
	if (r < 0)
		return r;
	if (asprintf(&path, "%s/base", layer) < 0)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	if (lstat(path, &st) < 0 || !S_ISDIR(st.st_mode)) {
		free(path);
		return 0;
	}
	*ret = path;
	return 0;
}
