/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * delta/txn-settle.c - moving places between their old and their new thing.
 *
 * Two things, two spots: one is at the place, the other in its slot of the stage. RENAME_EXCHANGE swaps
 * them in one step. Where a file system can't, a second name of what is there is made in the stage first
 * and then overwritten by a rename; a directory, which has no second name, is moved away for the moment in
 * between. Which thing is where is always read off the inode numbers, never remembered.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "delta/restored.h"
#include "delta/txn-place.h"
#include "path/path.h"
#include "sys/sys.h"

#define NOREPLACE 1u /* linux/fs.h */
#define EXCHANGE 2u

void slot_name(size_t i, bool other, char ret[SLOT_SIZE])
{
	snprintf(ret, SLOT_SIZE, "%zu%s", i, other ? ".old" : "");
}

int inode_at(int dir_fd, const char *name, uint64_t *ret, struct kennel_error **err)
{
	struct stat st;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		*ret = st.st_ino;
	else if (errno == ENOENT)
		*ret = 0;
	else
		return fail_errno(err, "look at \"%s\"", name);
	return 0;
}

int place_find_dir(struct place *p, const char *path, int *ret_fd, struct kennel_error **err)
{
	if (!p->parent || strcmp(p->parent, path) != 0) {
		_cleanup_free_ char *copy = strdup(path);
		_cleanup_close_ int fd = path_pin_plain(p->root_fd, *path ? path : ".", O_DIRECTORY, err);

		if (fd < 0)
			return fd;
		if (!copy)
			return fail(err, KENNEL_E_NOMEM, "out of memory");
		free(p->parent);
		p->parent = take_ptr(&copy);
		replace_fd(&p->parent_fd, take_fd(&fd));
	}
	*ret_fd = p->parent_fd;
	return 0;
}

int place_find(struct place *p, const char *path, int *ret_fd, const char **ret_name,
	       struct kennel_error **err)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *dir = strndup(path, slash ? (size_t)(slash - path) : 0);

	if (!dir)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	*ret_name = slash ? slash + 1 : path;
	return place_find_dir(p, dir, ret_fd, err);
}

int place_stage(struct place *p, uint32_t i, int *ret_fd, struct kennel_error **err)
{
	const struct journal_stage *s = &p->j.stages[i];
	_cleanup_close_ int dir_fd = -EBADF;

	if (p->stage_fds[i] < 0) {
		if (s->dir) {
			dir_fd = path_pin_plain(p->root_fd, *s->dir ? s->dir : ".", O_DIRECTORY, err);
			if (dir_fd < 0)
				return dir_fd;
		}
		p->stage_fds[i] = openat(s->dir ? dir_fd : p->dir_fd, s->name,
					 O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (p->stage_fds[i] < 0) {
			p->stage_fds[i] = -EBADF;
			return fail_errno(err, "open \"%s\"", s->name);
		}
	}
	*ret_fd = p->stage_fds[i];
	return 0;
}

/* One put in the middle of being settled. */
struct swap {
	int dir_fd, stage_fd;
	const char *name;
	char slot[SLOT_SIZE], other[SLOT_SIZE]; /* slot: where the wanted thing is, or a free one */
	uint64_t cur, want;
};

static int move_new(int from_fd, const char *from, int to_fd, const char *to)
{
	if (sys_renameat2(from_fd, from, to_fd, to, NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	struct stat st; /* a file system without the flag, NFS for one */
	if (fstatat(to_fd, to, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		errno = EEXIST;
		return -1;
	}
	return renameat(from_fd, from, to_fd, to);
}

static bool is_dir(int dir_fd, const char *name)
{
	struct stat st;

	return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

static int swap_without_exchange(const struct swap *s, struct kennel_error **err)
{
	uint64_t kept = 0;
	int r = inode_at(s->stage_fd, s->other, &kept, err);

	if (r < 0)
		return r;
	/* A directory has no second name, and nothing overwrites a directory or is overwritten by one. */
	if (is_dir(s->dir_fd, s->name) || is_dir(s->stage_fd, s->slot)) {
		if (move_new(s->dir_fd, s->name, s->stage_fd, s->other) < 0)
			return fail_errno(err, "move \"%s\" away", s->name);
	} else if (kept != s->cur && linkat(s->dir_fd, s->name, s->stage_fd, s->other, 0) < 0 &&
		   move_new(s->dir_fd, s->name, s->stage_fd, s->other) < 0) {
		return fail_errno(err, "move \"%s\" away", s->name);
	}
	return renameat(s->stage_fd, s->slot, s->dir_fd, s->name) < 0 ?
		       fail_errno(err, "put \"%s\" in its place", s->name) :
		       0;
}

/* Return: 0, or 1 something else was there at that very moment, and is again. */
static int swap_exchange(const struct swap *s, struct kennel_error **err)
{
	uint64_t came = 0;

	if (sys_renameat2(s->stage_fd, s->slot, s->dir_fd, s->name, EXCHANGE) < 0) {
		if (errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP)
			return swap_without_exchange(s, err);
		return errno == ENOENT ? 1 : fail_errno(err, "put \"%s\" in its place", s->name);
	}
	int r = inode_at(s->stage_fd, s->slot, &came, err);
	if (r < 0 || came == s->cur)
		return r;
	return sys_renameat2(s->stage_fd, s->slot, s->dir_fd, s->name, EXCHANGE) < 0 ?
		       fail_errno(err, "put \"%s\" back", s->name) :
		       1;
}

static int swap_run(const struct swap *s, struct kennel_error **err)
{
	if (!s->want) {
		if (move_new(s->dir_fd, s->name, s->stage_fd, s->slot) == 0)
			return 0;
		return errno == ENOENT ? 1 : fail_errno(err, "move \"%s\" away", s->name);
	}
	if (s->cur)
		return swap_exchange(s, err);
	if (move_new(s->stage_fd, s->slot, s->dir_fd, s->name) == 0)
		return 0;
	return errno == EEXIST ? 1 : fail_errno(err, "put \"%s\" in its place", s->name);
}

/* Which of the two names in the stage has the wanted thing (any free one, where nothing is wanted)? */
static int find_slot(struct swap *s, size_t i, struct kennel_error **err)
{
	for (unsigned other = 0; other < 2; other++) {
		uint64_t ino = 0;

		slot_name(i, other, s->slot);
		slot_name(i, !other, s->other);
		int r = inode_at(s->stage_fd, s->slot, &ino, err);
		if (r < 0)
			return r;
		if (ino == s->want)
			return 0;
	}
	return fail(err, KENNEL_E_CORRUPT, "what belongs in the place of \"%s\" is not in the stage",
		    s->name);
}

static bool is_as_it_was(const struct place *p, size_t i, const struct swap *s)
{
	struct stat st;

	return !p->old_ctimes || !s->cur || (!p->old_ctimes[i].tv_sec && !p->old_ctimes[i].tv_nsec) ||
	       (fstatat(s->dir_fd, s->name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		st.st_ctim.tv_sec == p->old_ctimes[i].tv_sec &&
		st.st_ctim.tv_nsec == p->old_ctimes[i].tv_nsec);
}

/*
 * Somebody else's thing is there. On the way back that matters only where the old one waits in the stage:
 * else nothing of ours was ever done to this place.
 */
static int settle_foreign(struct place *p, size_t i, bool to_new, struct kennel_error **err)
{
	struct swap s = { .want = p->j.puts[i].old_ino };

	if (to_new)
		return SETTLE_FOREIGN;
	if (!s.want)
		return SETTLE_DONE;
	int r = place_stage(p, p->j.puts[i].stage, &s.stage_fd, err);
	if (r < 0)
		return r;
	return find_slot(&s, i, NULL) == 0 ? SETTLE_FOREIGN : SETTLE_DONE;
}

/* Interrupted between making the second name of what is there and overwriting the first. */
static int drop_second_name(struct place *p, size_t i, uint64_t ino, struct kennel_error **err)
{
	int fd = -EBADF, r = ino ? place_stage(p, p->j.puts[i].stage, &fd, NULL) : -1;

	if (r < 0) /* no stage: nothing in it */
		return SETTLE_DONE;
	for (unsigned other = 0; other < 2; other++) {
		char slot[SLOT_SIZE];
		uint64_t there = 0;

		slot_name(i, other, slot);
		r = inode_at(fd, slot, &there, err);
		if (r < 0)
			return r;
		if (there == ino && unlinkat(fd, slot, 0) < 0)
			return fail_errno(err, "remove \"%s\" from the stage", slot);
	}
	return SETTLE_DONE;
}

bool is_gone(const struct kennel_error *err)
{
	int e = kennel_error_errno(err);

	return e == ENOENT || e == ENOTDIR || e == ELOOP;
}

int settle_put(struct place *p, size_t i, bool to_new, struct kennel_error **err)
{
	_cleanup_error_ struct kennel_error *why = NULL;
	const struct journal_put *put = &p->j.puts[i];
	struct swap s = { .want = to_new ? put->new_ino : put->old_ino };

	int r = place_find(p, put->path, &s.dir_fd, &s.name, &why);
	if (r < 0 && is_gone(why))
		return settle_foreign(p, i, to_new, err);
	if (r == 0)
		r = inode_at(s.dir_fd, s.name, &s.cur, &why);
	if (r < 0) {
		if (err)
			*err = take_ptr(&why);
		return r;
	}
	if (s.cur == s.want)
		return drop_second_name(p, i, s.want, err);
	if ((s.cur && s.cur != put->old_ino && s.cur != put->new_ino) || (to_new && !is_as_it_was(p, i, &s)))
		return settle_foreign(p, i, to_new, err);
	r = place_stage(p, put->stage, &s.stage_fd, err);
	if (r == 0)
		r = find_slot(&s, i, err);
	if (r == 0)
		r = swap_run(&s, err);
	return r < 0 ? wrap(err, r, "change \"/%s\"", put->path) : r ? SETTLE_FOREIGN : SETTLE_DONE;
}

/* Return: 1 and the directory, 0 it is not that one any more. */
static int open_same_dir(struct place *p, const char *path, uint64_t ino, int *ret_fd,
			 struct kennel_error **err)
{
	_cleanup_error_ struct kennel_error *why = NULL;
	struct stat st;
	int r = place_find_dir(p, path, ret_fd, &why);

	if (r < 0 && is_gone(why))
		return 0;
	if (r < 0) {
		if (err)
			*err = take_ptr(&why);
		return r;
	}
	if (fstat(*ret_fd, &st) < 0)
		return fail_errno(err, "look at \"/%s\"", path);
	return st.st_ino == ino;
}

static int settle_meta(struct place *p, const struct journal_meta *m, bool to_new, struct kennel_error **err)
{
	int fd = -EBADF, r = open_same_dir(p, m->path, m->ino, &fd, err);

	if (r <= 0)
		return r < 0 ? r : SETTLE_FOREIGN;
	r = attr_apply(fd, m->path, to_new ? &m->to : &m->from, true, err);
	return r < 0 ? r : SETTLE_DONE;
}

int settle_times(struct place *p, bool to_new, struct kennel_error **err)
{
	int first = 0;

	for (size_t i = 0; i < p->j.n_times; i++) {
		const struct journal_times *t = &p->j.times[i];
		int fd = -EBADF, r = open_same_dir(p, t->path, t->ino, &fd, first ? NULL : err);

		if (r > 0)
			r = attr_apply_times(fd, t->path, to_new ? t->to : t->from, first ? NULL : err);
		if (r < 0 && !first)
			first = r;
	}
	return first;
}

struct tally {
	bool keep_going;
	int first;
	size_t foreign;
};

/* Return: shall it go on? */
static bool count_result(struct tally *t, int r)
{
	if (r < 0 && !t->first)
		t->first = r;
	t->foreign += r == SETTLE_FOREIGN;
	return t->keep_going || (r >= 0 && r != SETTLE_FOREIGN);
}

static int settle_puts(struct place *p, bool to_new, struct tally *t, struct kennel_error **err)
{
	for (size_t n = 0; n < p->j.n_puts; n++) {
		size_t i = to_new ? n : p->j.n_puts - 1 - n;
		int r = settle_put(p, i, to_new, t->first ? NULL : err);

		if (r == SETTLE_FOREIGN && t->keep_going)
			hooks_say(p->hooks, "\"/%s\" was changed by somebody else and is left alone",
				  p->j.puts[i].path);
		if (!count_result(t, r))
			return -1;
		if (!t->keep_going && p->hooks && p->hooks->stop && p->hooks->stop(p->hooks->data)) {
			t->first = fail(err, KENNEL_E_INTERRUPTED, "interrupted");
			return -1;
		}
	}
	return 0;
}

static int settle_metas(struct place *p, bool to_new, struct tally *t, struct kennel_error **err)
{
	for (size_t i = 0; i < p->j.n_metas; i++) {
		int r = settle_meta(p, &p->j.metas[i], to_new, t->first ? NULL : err);

		if (r == SETTLE_FOREIGN)
			hooks_say(p->hooks, "\"/%s\" was replaced by somebody else and is left alone",
				  p->j.metas[i].path);
		if (!count_result(t, r))
			return -1;
	}
	return 0;
}

int settle_all(struct place *p, bool to_new, bool keep_going, size_t *ret_foreign, struct kennel_error **err)
{
	struct tally t = { .keep_going = keep_going };

	/* A directory's rights come last on the way there and first on the way back. */
	int r = to_new ? settle_puts(p, true, &t, err) : settle_metas(p, false, &t, err);
	if (r == 0)
		r = to_new ? settle_metas(p, true, &t, err) : settle_puts(p, false, &t, err);
	if (r == 0) {
		int times = settle_times(p, to_new, t.first ? NULL : err);

		if (times < 0 && !t.first)
			t.first = times;
	}
	*ret_foreign = t.foreign;
	return t.first;
}

int place_put_settled(struct place *p, struct buf *b, struct kennel_error **err)
{
	for (size_t i = 0; i < p->j.n_puts; i++) {
		const struct journal_put *put = &p->j.puts[i];
		const char *name = NULL;
		struct stat st;
		int fd = -EBADF;

		if (!put->new_ino)
			continue;
		int r = place_find(p, put->path, &fd, &name, err);
		if (r == 0 && fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			r = fail_errno(err, "look at \"/%s\"", put->path);
		if (r < 0)
			return r;
		if (st.st_ino == put->new_ino)
			journal_put_settled(b, i, &st.st_ctim);
	}
	return 0;
}

static int note_one(struct restored *all, const struct restored *known, const struct place *p,
		    const char *path, const struct stat *st, struct timespec before,
		    struct kennel_error **err)
{
	const struct restored_entry e = {
		.root = p->j.root,
		.path = (char *)path,
		.ino = st->st_ino,
		.now = st->st_ctim,
		.before = restored_ctime(known, p->j.root, path, st->st_ino, before),
	};

	return restored_add(all, &e, err);
}

static int note_all(struct place *p, const struct restored *known, struct restored *all,
		    struct kennel_error **err)
{
	const char *name = NULL;
	struct stat st;
	int fd = -EBADF, r = 0;

	for (size_t i = 0; i < p->j.n_puts && r == 0; i++) {
		const struct journal_put *put = &p->j.puts[i];

		if (put->old_ino && place_find(p, put->path, &fd, &name, NULL) == 0 &&
		    fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_ino == put->old_ino)
			r = note_one(all, known, p, put->path, &st, put->old_ctime, err);
	}
	for (size_t i = 0; i < p->j.n_metas && r == 0; i++) {
		const struct journal_meta *m = &p->j.metas[i];

		if (place_find_dir(p, m->path, &fd, NULL) == 0 && fstat(fd, &st) == 0 && st.st_ino == m->ino)
			r = note_one(all, known, p, m->path, &st, m->old_ctime, err);
	}
	return r;
}

int place_note_restored(struct place *p, int state_fd, struct kennel_error **err)
{
	struct restored known = { 0 }, all = { 0 };

	int r = restored_read(state_fd, &known, err);
	if (r == 0)
		r = note_all(p, &known, &all, err);
	restored_sort(&all);
	for (size_t i = 0, n = all.n; i < known.n && r == 0; i++) {
		const struct restored first = { all.items, n };

		if (!restored_find(&first, known.items[i].root, known.items[i].path))
			r = restored_add(&all, &known.items[i], err);
	}
	if (r == 0 && all.n)
		r = restored_write(state_fd, &all, err);
	restored_done(&known);
	restored_done(&all);
	return r;
}

int place_sync(struct place *p, struct kennel_error **err)
{
	for (uint32_t i = 0; i < p->j.n_stages; i++) {
		int fd = -EBADF, r = place_stage(p, i, &fd, err);

		if (r < 0)
			return r;
		if (syncfs(fd) < 0)
			return fail_errno(err, "bring the changes to the disk");
	}
	/* Nothing but attributes: no stage is there to tell the file system. */
	for (size_t i = 0; i < p->j.n_metas && p->j.n_stages == 0; i++) {
		_cleanup_close_ int fd = path_open(p->root_fd, *p->j.metas[i].path ? p->j.metas[i].path : ".",
						   O_RDONLY | O_DIRECTORY, NULL);

		if (fd >= 0 && fsync(fd) < 0)
			return fail_errno(err, "bring the changes to the disk");
	}
	return 0;
}
