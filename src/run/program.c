/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* run/program.c - see program.h. */
#include "run/program.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

int program_find(const char *name, const char *build_dir, char **ret, struct kennel_error **err)
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	self[MAX(n, (ssize_t)0)] = '\0';
	char *slash = strrchr(self, '/');
	*(slash ? slash : self) = '\0';
	for (unsigned i = 0; i < (slash ? 3 : 1); i++) {
		_cleanup_free_ char *path = NULL;

		if ((i == 0 ? asprintf(&path, KENNEL_LIBEXECDIR "/%s", name) :
		     i == 1 ? asprintf(&path, "%s/../src/%s/%s", self, build_dir, name) :
			      asprintf(&path, "%s/../libexec/kennel/%s", self, name)) < 0) {
			path = NULL;
			return fail(err, KENNEL_E_NOMEM, "out of memory");
		}
		if (access(path, X_OK) == 0) {
			*ret = take_ptr(&path);
			return 0;
		}
	}
	return fail(err, KENNEL_E_MISSING, "the program %s is not installed", name);
}
