/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/describe.c - the manifest of a start: what must be known to read its delta from another process, or
 * later.
 *
 * Only what the start knows by itself, written straight as text: identities of file systems are looked up
 * only for a container, for a throwaway's base is there as long as it runs.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "path/path.h"
#include "run/nest.h"
#include "run/sandbox.h"
#include "sys/sys.h"

static const char *const new_places[] = { "dev", "proc", "run", "sys", "tmp" };

/* The mount in which path lies, and path below it. */
static unsigned mount_of(const struct manifest *m, const char *path, const char **ret_rel)
{
	unsigned best = 0;
	size_t len = 0;

	for (size_t i = 1; i < m->n_mounts; i++)
		if (path_is_below(path, m->mounts[i].target) && strlen(m->mounts[i].target) >= len) {
			best = m->mounts[i].index;
			len = strlen(m->mounts[i].target);
		}
	*ret_rel = path + len + (path[len] == '/');
	return best;
}

/* A shared place and what leads to it: the child makes what of these the base does not have. */
static int add_places(struct manifest *m, const char *path, struct kennel_error **err)
{
	_cleanup_free_ char *part = strdup(path);
	int r = 0;

	if (!part)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	for (char *end = part + 1 + strcspn(part + 1, "/"); r == 0; end += 1 + strcspn(end + 1, "/")) {
		bool last = *end == '\0';
		const char *rel;

		*end = '\0';
		unsigned mount = mount_of(m, part, &rel);
		if (*rel)
			r = manifest_plants_add(&m->planted, mount, rel, MANIFEST_PLACE, NULL, err);
		if (last)
			break;
		*end = '/';
	}
	return r;
}

/* Of a container, so that a commit knows another file system in its place. false: it can't be told. */
static bool find_uuid(const struct launch *l, size_t i, char ret[static MANIFEST_UUID_SIZE])
{
	const struct child_overlay *o = &l->child_overlays[i];
	uint8_t u[16];

	if (!l->sb->keep || l->sb->rootless)
		return false;
	_cleanup_close_ int fd = openat(l->shared->lower_fds[o->first_lower + o->n_lowers - 1], ".",
					O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || sys_fs_uuid(fd, u) < 0)
		return false;
	manifest_uuid_text(u, ret);
	return true;
}

static int add_mounts(const struct launch *l, struct manifest *m, struct kennel_error **err)
{
	const struct plan *p = l->sb->plan;
	int r = 0;

	for (size_t i = 0; i < p->n_overlays && r == 0; i++) {
		unsigned lower = l->child_overlays[i].first_lower;
		bool has_place = l->sb->rootless ?
					 i == 0 :
					 l->shared->upper_fds[i] >= 0 && l->shared->lower_fds[lower] >= 0;

		char uuid[MANIFEST_UUID_SIZE];
		if (has_place)
			r = manifest_add_mount(m, l->delta_index[i], p->overlays[i].target,
					       p->overlays[i].fstype, find_uuid(l, i, uuid) ? uuid : NULL,
					       err);
	}
	return r;
}

int describe_start(const struct launch *l, bool in_file, struct buf *b, struct kennel_error **err)
{
	const struct spec *spec = l->spec;
	const struct sandbox *sb = l->sb;
	struct manifest m = {
		.base = spec->base_path ? spec->base_path : (char *)"system",
		.layers = spec->layers,
		.view = sb->rootless,
		.squash = sb->rootless && !idmap_user_has_range(&sb->user_map),
		.begun_ns = manifest_now(),
		.user_xattr = l->shared->user_xattr,
	};

	/* In memory the inside's own file system has its ids; on disk they are those of the machine. */
	m.shifted = sb->rootless && !sb->deep && sb->keep && !in_file;
	if (m.shifted)
		m.ids = sb->user_map;
	if (spec->base_layers.n)
		m.root_layers = (struct strv){ .items = l->root_layers, .n = l->n_root_layers };
	if (sb->rootless)
		m.absent = sb->plan->view_without;
	if (sb->keep)
		m.below = sb->keep->manifest.below;
	int r = add_mounts(l, &m, err);
	for (size_t i = 0; i < ARRAY_SIZE(new_places) && r == 0; i++)
		r = manifest_plants_add(&m.planted, 0, new_places[i], MANIFEST_PLACE, NULL, err);
	for (size_t i = 0; i < spec->n_mounts && r == 0; i++)
		r = add_places(&m, spec->mounts[i].target, err);
	for (unsigned i = 0; spec->nest && i < nest_places_n && r == 0; i++) {
		char target[64];

		snprintf(target, sizeof(target), "/%s", nest_places[i].target);
		r = add_places(&m, target, err);
	}
	if (r == 0 && sb->keep)
		r = keep_carry_over(sb->keep, &m, err);
	if (r == 0) {
		manifest_format(&m, b);
		for (size_t i = 0; i < sb->planted.n; i++)
			manifest_put_planted(b, &sb->planted.items[i]);
		r = buf_check(b, err);
	}
	/* all else is borrowed */
	m.base = NULL;
	m.layers = m.root_layers = m.absent = m.below = (struct strv){ 0 };
	manifest_done(&m);
	return r;
}
