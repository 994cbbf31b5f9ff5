/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * idmap/subid.c - see subid.h. libsubid is loaded only where it can know more than the files do.
 *
 * struct subid_range and subid_get_uid_ranges() are those of shadow's libsubid/subid.h, ABI version 4 and
 * later.
 */
#include "idmap/subid.h"

#include <ctype.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"

struct subid_range {            /* libsubid/subid.h: struct subordinate_range without the owner */
	unsigned long start;
	unsigned long count;
};

typedef int (*subid_ranges_fn)(const char *owner, struct subid_range **ret);

bool subid_service_is_named(const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\n");

		if (strncmp(text, "subid:", 6) == 0) {
			const char *s = text + 6;

			while (isblank((unsigned char)*s))
				s++;
			size_t word = strcspn(s, " \t\n#");
			return word && !(word == 5 && strncmp(s, "files", 5) == 0);
		}
		text += len + (text[len] == '\n');
	}
	return false;
}

static int first_common(subid_ranges_fn uids, subid_ranges_fn gids, const char *user, struct idmap *ret)
{
	_cleanup_free_ struct subid_range *u = NULL, *g = NULL;
	int nu = uids(user, &u), ng = gids(user, &g);

	for (int i = 0; i < nu; i++)
		for (int k = 0; k < ng; k++)
			if (u[i].start && u[i].start == g[k].start && u[i].count >= IDMAP_DEFAULT_COUNT &&
			    g[k].count >= IDMAP_DEFAULT_COUNT &&
			    u[i].start <= UINT32_MAX - IDMAP_DEFAULT_COUNT) {
				*ret = (struct idmap){ (uint32_t)u[i].start, IDMAP_DEFAULT_COUNT };
				return 1;
			}
	return 0;
}

int subid_from_service(const char *user, struct idmap *ret, struct kennel_error **err)
{
	static const char *const names[] = { "libsubid.so.5", "libsubid.so.4" };
	_cleanup_close_ int fd = open("/etc/nsswitch.conf", O_RDONLY | O_CLOEXEC);
	_cleanup_buf_ struct buf b = { 0 };

	if (fd < 0)
		return 0;
	int r = buf_read_fd(&b, fd, 1 << 20, err);
	if (r < 0)
		return wrap(err, r, "\"/etc/nsswitch.conf\"");
	if (!subid_service_is_named(buf_str(&b)))
		return 0;

	void *lib = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(names) && !lib; i++)
		lib = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
	if (!lib)
		return hint(
			err,
			fail(err, KENNEL_E_MISSING,
			     "nsswitch.conf names a service for subordinate ids, but libsubid is not there"),
			"install libsubid (Debian: libsubid4), or name a range: --idmap BASE");
	subid_ranges_fn uids = (subid_ranges_fn)dlsym(lib, "subid_get_uid_ranges");
	subid_ranges_fn gids = (subid_ranges_fn)dlsym(lib, "subid_get_gid_ranges");
	r = uids && gids ? first_common(uids, gids, user, ret) : 0;
	dlclose(lib);
	return r;
}
