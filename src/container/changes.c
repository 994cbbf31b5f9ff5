/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* container/changes.c - see changes.h. */
#include "container/changes.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

#define LAYER_MANIFEST_MAX (64u << 20)

static int read_manifest(int dir_fd, struct manifest *ret, struct kennel_error **err)
{
	_cleanup_close_ int fd =
		openat(dir_fd, CONTAINER_MANIFEST, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	_cleanup_buf_ struct buf text = { 0 };

	if (fd < 0)
		return fail_errno(err, "open their manifest");
	int r = buf_read_fd(&text, fd, LAYER_MANIFEST_MAX, err);
	return r < 0 ? r : manifest_parse(buf_str(&text), ret, err);
}

static int open_layer(uid_t owner, const char *path, struct delta_layers *layers, struct kennel_error **err)
{
	_cleanup_close_ int dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_manifest_ struct manifest m = { 0 };
	struct stat st;

	if (dir_fd < 0)
		return hint(err, fail_errno(err, "open them"),
			    "the container stands on them: bring that directory back");
	if (fstat(dir_fd, &st) < 0)
		return fail_errno(err, "look at them");
	if (st.st_uid != owner && owner != geteuid())
		return fail(err, KENNEL_E_PERM, "they are not user %u's, whose container names them", owner);
	int r = read_manifest(dir_fd, &m, err);
	if (r < 0)
		return r;
	int fd = openat(dir_fd, "delta", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? fail_errno(err, "open them") : delta_layers_add(layers, fd, &m, err);
}

/* STORE of STORE/NAME; the caller's. */
static char *store_of(const struct container *c)
{
	const char *slash = strrchr(c->path, '/');

	return slash ? strndup(c->path, (size_t)(slash - c->path)) : strdup(".");
}

int changes_open_layers(const struct container *c, const struct manifest *m, struct delta_layers *ret,
			struct kennel_error **err)
{
	struct delta_layers layers = { 0 };
	struct stat st;
	int r = 0;

	*ret = layers;
	if (!m->below.n)
		return 0;
	_cleanup_free_ char *store = store_of(c);
	if (!store)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	if (fstat(c->store_fd, &st) < 0)
		return fail_errno(err, "look at \"%s\"", store);
	for (size_t i = 0; i < m->below.n && r == 0; i++) {
		_cleanup_free_ char *path = NULL;

		r = layers_path(store, m->below.items[i], &path, err);
		if (r == 0)
			r = open_layer(st.st_uid, path, &layers, err);
		if (r < 0)
			r = wrap(err, r, "the frozen changes \"%s\"", path ? path : m->below.items[i]);
	}
	if (r < 0)
		delta_layers_done(&layers);
	else
		*ret = layers;
	return r;
}
