/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ship/duplicate.c - see duplicate.h.
 *
 * The manifest is made here, of manifests alone, and once more by who merges: the answer of a process that
 * works has no room for what kennel may have planted in it.
 */
#include "ship/duplicate.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "delta/merge.h"
#include "delta/walk.h"

struct work {
	const struct ship_duplicate *d;
	struct ship_progress *progress;
	uint64_t before; /* what an earlier part has done */
};

static uint64_t cost(uint64_t entries, uint64_t bytes)
{
	return bytes + entries * SHIP_ENTRY_COST;
}

static int step(void *data, uint64_t entries, uint64_t bytes)
{
	struct work *w = data;

	w->progress->done = w->before + cost(entries, bytes);
	return w->progress->stop;
}

/* What there is to be done, roughly: a file of several layers counts once for each. Takes fd. */
static int measure(struct work *w, int fd, bool with_bytes, struct kennel_error **err)
{
	_cleanup_walk_ struct delta_walk walk = { .plain = !with_bytes, .opaque = "user.overlay.opaque" };
	uint64_t entries = 0, bytes = 0;
	struct walk_entry e;

	int r = delta_walk_begin(&walk, fd, err);
	while (r == 0 && (r = delta_walk_next(&walk, &e, err)) > 0) {
		entries++;
		if (with_bytes && S_ISREG(e.st.st_mode))
			bytes += (uint64_t)MIN(e.st.st_size, e.st.st_blocks * 512);
		r = w->progress->stop ? fail(err, KENNEL_E_INTERRUPTED, "stopped") : 0;
	}
	w->progress->total += cost(entries, bytes);
	return r;
}

static int measure_all(struct work *w, struct kennel_error **err)
{
	const struct ship_duplicate *d = w->d;
	int r = 0;

	for (size_t i = 0; i < d->n && r == 0; i++) {
		const struct delta_source *s = &d->sources[i];
		int fd = openat(s->delta_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		r = fd < 0 ? fail_errno(err, "open the changes") : measure(w, fd, !d->link || s->live, err);
	}
	if (r == 0 && d->base_from_fd >= 0) {
		int fd = openat(d->base_from_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		r = fd < 0 ? fail_errno(err, "open the base") : measure(w, fd, true, err);
	}
	return r;
}

/* Whose the directory is that the places are in. */
static int give_delta(const struct ship_duplicate *d, struct kennel_error **err)
{
	struct stat st;

	if (fstat(d->sources[d->n - 1].delta_fd, &st) < 0 ||
	    fchownat(d->delta_fd, "", st.st_uid, st.st_gid, AT_EMPTY_PATH) < 0 ||
	    fchmodat(d->delta_fd, ".", st.st_mode & 07777, 0) < 0)
		return fail_errno(err, "give the delta to its owner");
	return 0;
}

static int merge(struct work *w, struct kennel_error **err)
{
	const struct ship_duplicate *d = w->d;
	_cleanup_manifest_ struct manifest m = { 0 };
	const struct merge_options o = {
		.sources = d->sources,
		.n = d->n,
		.into_fd = d->delta_fd,
		.link = d->link,
		.hooks = { step, w },
	};

	int r = give_delta(d, err);
	return r < 0 ? r : delta_merge(&o, &m, err);
}

static int copy_base(struct work *w, struct kennel_error **err)
{
	const struct replica_hooks hooks = { step, w };

	w->before = w->progress->done;
	int r = delta_copy_tree(w->d->base_from_fd, w->d->base_to_fd, &hooks, err);
	return r < 0 ? wrap(err, r, "copy the base") : 0;
}

static int sync_all(const struct ship_duplicate *d, struct kennel_error **err)
{
	if (d->n) {
		_cleanup_close_ int fd = openat(d->delta_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (fd < 0 || syncfs(fd) < 0)
			return fail_errno(err, "write the changes to the disk");
	}
	if (d->base_from_fd >= 0) {
		_cleanup_close_ int fd = openat(d->base_to_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (fd < 0 || syncfs(fd) < 0)
			return fail_errno(err, "write the base to the disk");
	}
	return 0;
}

static int work(void *data, struct ship_progress *p, struct buf *out, struct kennel_error **err)
{
	struct work *w = data;

	(void)out;
	w->progress = p;
	int r = measure_all(w, err);
	if (r == 0 && w->d->n)
		r = merge(w, err);
	if (r == 0 && w->d->base_from_fd >= 0)
		r = copy_base(w, err);
	return r < 0 ? r : sync_all(w->d, err);
}

int ship_duplicate(const struct ship_duplicate *d, const struct ship_watch *watch, struct manifest *ret,
		   struct kennel_error **err)
{
	_cleanup_manifest_ struct manifest m = { 0 };
	struct ship_watch own = watch ? *watch : (struct ship_watch){ 0 };
	struct work w = { .d = d };
	bool copied = !d->link;

	own.user_ns_fd = d->user_ns_fd;
	for (size_t i = 0; i < d->n; i++)
		copied |= d->sources[i].live;
	int r = d->n ? delta_stack_manifest(d->sources, d->n, &m, err) : 0;
	if (r == 0)
		r = ship_work(work, &w, &own, NULL, NULL, err);
	if (r < 0 || !d->n)
		return r;
	if (copied)
		m.copied_ns = manifest_made_until_now();
	*ret = m;
	m = (struct manifest){ 0 };
	return 0;
}
