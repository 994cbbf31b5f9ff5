/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* run/nest.c - see nest.h. */
#include "run/nest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

/* Where each keeps what it has, as root and where nothing else is said. */
const struct nest_place nest_places[] = {
	{ "kennel", "var/lib/kennel" },
	{ "containers", "var/lib/containers" }, /* containers-storage.conf(5) */
	{ "docker", "var/lib/docker" },
	{ "lxc", "var/lib/lxc" },
};
const unsigned nest_places_n = ARRAY_SIZE(nest_places);

static const struct {
	const char *path, *lacks;
} devices[] = {
	{ "/dev/fuse", "sandboxes in sandboxes end at depth 2" },
	{ "/dev/net/tun", "what runs inside has no nat of its own" },
};

static bool has_device(const struct spec *spec, const char *path)
{
	for (size_t i = 0; i < spec->n_devices; i++)
		if (strcmp(spec->devices[i].path, path) == 0)
			return true;
	return false;
}

int nest_equip(const struct spec *spec, const struct log_sink *log, struct nest *ret,
	       struct kennel_error **err)
{
	*ret = (struct nest){ .spec = *spec };
	ret->devices = calloc(spec->n_devices + ARRAY_SIZE(devices), sizeof(*ret->devices));
	if (!ret->devices)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	for (size_t i = 0; i < spec->n_devices; i++)
		ret->devices[i] = spec->devices[i]; /* borrowed */
	for (size_t i = 0; i < ARRAY_SIZE(devices); i++) {
		if (has_device(spec, devices[i].path))
			continue;
		if (access(devices[i].path, R_OK | W_OK) < 0) {
			log_warn(log, "no %s here: %s", devices[i].path, devices[i].lacks);
			continue;
		}
		ret->devices[ret->spec.n_devices++] = (struct spec_device){
			.path = (char *)devices[i].path,
			.read = true,
			.write = true,
		};
	}
	ret->spec.devices = ret->devices;
	return 0;
}

void nest_done(struct nest *n)
{
	free(n->devices);
	*n = (struct nest){ 0 };
}

int nest_make_places(int delta_fd, struct kennel_error **err)
{
	if (mkdirat(delta_fd, NEST_DIR, 0711) < 0 && errno != EEXIST)
		return fail_errno(err, "make room for other containers");
	_cleanup_close_ int fd = openat(delta_fd, NEST_DIR, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return fail_errno(err, "open the room for other containers");
	for (unsigned i = 0; i < nest_places_n; i++)
		if (mkdirat(fd, nest_places[i].name, 0711) < 0 && errno != EEXIST)
			return fail_errno(err, "make room at \"/%s\"", nest_places[i].target);
	return 0;
}
