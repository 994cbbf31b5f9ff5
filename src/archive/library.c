/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* archive/library.c - see library.h. */
#include "archive/library.h"

#if KENNEL_HAVE_ARCHIVE
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>

int archive_lib_load(struct archive_lib *ret, struct kennel_error **err)
{
	*ret = (struct archive_lib){ .handle = dlopen("libarchive.so.13", RTLD_NOW | RTLD_LOCAL) };
	if (!ret->handle)
		return hint(err, fail(err, KENNEL_E_MISSING, "libarchive is not installed"),
			    "install it (Debian: apt-get install libarchive13)");
	bool whole = true;
#define LIB_LOAD(name) whole = (ret->name = (__typeof__(&name))dlsym(ret->handle, #name)) && whole;
	ARCHIVE_LIB_FUNCTIONS(LIB_LOAD)
#undef LIB_LOAD
	if (whole)
		return 0;
	archive_lib_unload(ret);
	return hint(err, fail(err, KENNEL_E_MISSING, "the libarchive that is installed is too old"),
		    "3.3.3 or later is needed");
}

void archive_lib_unload(struct archive_lib *l)
{
	if (l->handle)
		dlclose(l->handle);
	l->handle = NULL;
}

int archive_lib_fail(const struct archive_lib *l, struct archive *a, const char *what,
		     struct kennel_error **err)
{
	const char *text = l->archive_error_string(a);
	int errnum = l->archive_errno(a);

	if (errnum == ENOMEM)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	/* its number for a damaged archive is that of EILSEQ, for all else -1 */
	int code = errnum == EILSEQ || errnum <= 0 ? KENNEL_E_CORRUPT : code_from_errno(errnum);
	return fail(err, code, "%s: %s", what, text ? text : "it does not say why");
}
#endif
