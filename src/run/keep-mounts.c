/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/keep-mounts.c - which place of a kept delta belongs to which mount of this start.
 *
 * Places are found by the mount's target, never by its number in the machine's list, which a new disk shifts.
 * The changes of a mount that is not there any more move into the place of the one that its target now lies
 * in, and back once it is there again (delta/arrange.h).
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "delta/arrange.h"
#include "path/path.h"
#include "run/sandbox.h"

static const struct manifest_mount *find_old(const struct manifest *m, const char *target)
{
	for (size_t i = 0; i < m->n_mounts; i++)
		if (strcmp(m->mounts[i].target, target) == 0)
			return &m->mounts[i];
	return NULL;
}

static bool is_planned(const struct plan *p, const char *target)
{
	for (size_t i = 0; i < p->n_overlays; i++)
		if (strcmp(p->overlays[i].target, target) == 0)
			return true;
	return false;
}

/* The first number that neither the manifest nor the disk knows. */
static unsigned next_free(const struct keep *k, unsigned from)
{
	for (;; from++) {
		char name[16];
		struct stat st;
		bool known = false;

		for (size_t i = 0; i < k->manifest.n_mounts; i++)
			known |= k->manifest.mounts[i].index == from;
		snprintf(name, sizeof(name), "%u", from);
		if (!known && fstatat(k->delta_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return from;
	}
}

/* The overlay that a target lies in, itself left out: the one with the longest target above it. */
static size_t parent_of(const struct plan *p, const char *target)
{
	size_t best = 0;

	for (size_t i = 1; i < p->n_overlays; i++)
		if (strcmp(p->overlays[i].target, target) != 0 &&
		    path_is_below(target, p->overlays[i].target) &&
		    strlen(p->overlays[i].target) > strlen(p->overlays[best].target))
			best = i;
	return best;
}

static struct delta_join join_for(const struct launch *l, const char *target, unsigned index)
{
	const struct plan *p = l->sb->plan;
	size_t parent = parent_of(p, target);

	return (struct delta_join){
		.delta_fd = l->sb->keep->delta_fd,
		.mount = index,
		.parent = l->delta_index[parent],
		.rel = target + (parent ? strlen(p->overlays[parent].target) + 1 : 1),
		.parent_lower_fd = -EBADF,
	};
}

int keep_number_mounts(struct launch *l, struct kennel_error **err)
{
	const struct keep *k = l->sb->keep;
	const struct plan *p = l->sb->plan;
	unsigned next = 1;

	l->delta_index = calloc(p->n_overlays, sizeof(*l->delta_index));
	if (!l->delta_index)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	for (size_t i = 0; i < p->n_overlays; i++) {
		const struct manifest_mount *old = k ? find_old(&k->manifest, p->overlays[i].target) : NULL;

		if (!k || i == 0) {
			l->delta_index[i] = (unsigned)i;
		} else if (old) {
			l->delta_index[i] = old->index;
		} else {
			l->delta_index[i] = next_free(k, next);
			next = l->delta_index[i] + 1;
		}
	}
	return 0;
}

static int arrange(struct launch *l, struct kennel_error **err)
{
	const struct keep *k = l->sb->keep;
	const struct plan *p = l->sb->plan;
	int r = 0;

	for (size_t i = 1; i < k->manifest.n_mounts && r >= 0; i++) {
		const struct manifest_mount *m = &k->manifest.mounts[i];
		const struct delta_join j = join_for(l, m->target, m->index);

		if (is_planned(p, m->target))
			continue;
		r = keep_check_frozen(k, &j, m->target, false, err);
		if (r == 0)
			r = delta_join(&j, err);
		if (r > 0)
			log_info(&l->sb->log,
				 "\"%s\" is no mount any more: its changes are part of what it lies in",
				 m->target);
	}
	for (size_t i = 1; i < p->n_overlays && r >= 0; i++) {
		const struct delta_join j = join_for(l, p->overlays[i].target, l->delta_index[i]);

		if (p->overlays[i].from_host && !find_old(&k->manifest, p->overlays[i].target))
			r = keep_check_frozen(k, &j, p->overlays[i].target, true, err);
		if (p->overlays[i].from_host && r == 0)
			r = delta_part(&j, err);
	}
	return MIN(r, 0);
}

/* What is on disk belongs to the ids that the user had then. */
static int check_ids(const struct launch *l, struct kennel_error **err)
{
	const struct manifest *m = &l->sb->keep->manifest;
	const struct idmap_user *now = &l->sb->user_map, *then = &m->ids;

	if (!m->base ||
	    (m->shifted && then->uids.base == now->uids.base && then->gids.base == now->gids.base &&
	     then->uids.count == now->uids.count && then->gids.count == now->gids.count &&
	     then->uid == now->uid && then->gid == now->gid))
		return 0;
	return hint(err,
		    fail(err, KENNEL_E_PERM,
			 "the changes of \"%s\" belong to other ids than this user has now: %u:%u",
			 l->sb->keep->c.name, then->uids.base, then->uids.count),
		    "give the user that range back in /etc/subuid and /etc/subgid");
}

int keep_place_mounts(struct launch *l, struct kennel_error **err)
{
	const struct keep *k = l->sb->keep;

	int r = k && !k->box && l->sb->rootless && !l->sb->deep ? check_ids(l, err) : 0;
	/* An ordinary user's delta has one place for all mounts, and its own ids. */
	if (r == 0 && k && k->manifest_text.len && !l->sb->rootless)
		r = arrange(l, err);
	return r < 0 ? wrap(err, r, "arrange the changes for the mounts that there are now") : 0;
}
