/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * delta/txn.c - a transaction from its beginning to its commit. See txn.h.
 *
 * Staging asks nothing of the order on disk but this: a stage outside of the state directory is in the
 * journal, on the disk, before it is made.
 */
#include "delta/txn.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "delta/restored.h"
#include "delta/txn-open.h"
#include "path/path.h"

/* Beginning */

static int begin_journal(struct txn *t, const char *root, const char *what, struct kennel_error **err)
{
	_cleanup_buf_ struct buf b = { 0 };
	struct stat st;

	if (fstat(t->p.root_fd, &st) < 0)
		return fail_errno(err, "look at \"%s\"", root);
	t->p.j.root = strdup(root);
	t->p.j.what = strdup(what);
	t->p.j.root_ino = st.st_ino;
	t->p.j.when = (uint64_t)time(NULL);
	if (!t->p.j.root || !t->p.j.what)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	if (mkdirat(t->state_fd, t->id, 0700) < 0)
		return fail_errno(err, "make a journal");
	t->p.dir_fd = openat(t->state_fd, t->id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (t->p.dir_fd < 0)
		return fail_errno(err, "make a journal");
	t->p.log_fd = openat(t->p.dir_fd, "journal", O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
	if (t->p.log_fd < 0)
		return fail_errno(err, "make a journal");
	journal_put_head(&b, &t->p.j);
	int r = place_log(&t->p, &b, err);
	if (r == 0 && (fsync(t->p.dir_fd) < 0 || fsync(t->state_fd) < 0))
		r = fail_errno(err, "bring the journal to the disk");
	return r;
}

static int next_id(int state_fd, char ret[16], struct kennel_error **err)
{
	_cleanup_strv_ struct strv ids = { 0 };
	int r = state_list(state_fd, &ids, err);

	if (r == 0)
		snprintf(ret, 16, "%08lu",
			 ids.n ? strtoul(ids.items[ids.n - 1], NULL, 10) % 99999999 + 1 : 1);
	return r;
}

int txn_begin(int state_fd, int root_fd, const char *root, const char *what, const struct txn_hooks *hooks,
	      struct txn **ret, struct kennel_error **err)
{
	struct txn *t = calloc(1, sizeof(*t));

	if (!t)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	t->p = (struct place)PLACE_EMPTY;
	t->p.hooks = hooks;
	t->lock_fd = t->into_fd = -EBADF;
	t->p.root_fd = fcntl(root_fd, F_DUPFD_CLOEXEC, 3);
	t->state_fd = fcntl(state_fd, F_DUPFD_CLOEXEC, 3);
	int r = t->p.root_fd < 0 || t->state_fd < 0 ? fail_errno(err, "duplicate a descriptor") :
						      state_lock(state_fd, &t->lock_fd, err);
	if (r == 0)
		r = hint(err, fail(err, KENNEL_E_BUSY, "another commit is running"), "wait for it");
	if (r > 0)
		r = recover_locked(state_fd, hooks, err);
	if (r >= 0)
		r = next_id(state_fd, t->id, err);
	if (r == 0)
		r = begin_journal(t, root, what, err);
	if (r < 0) {
		txn_free(t);
		return r;
	}
	*ret = t;
	return 0;
}

/* Directories in the stage */

static void open_dir_done(struct open_dir *d)
{
	free(d->path);
	free(d->staged);
	attr_done(&d->attr);
}

static int copy_attr(const struct attr *from, struct attr *ret, struct kennel_error **err)
{
	struct attr a = *from;

	a.xs = (struct attr_xs){ 0 };
	for (size_t i = 0; i < from->xs.n; i++) {
		const struct attr_x *x = &from->xs.items[i];
		int r = attr_xs_add(&a.xs, x->name, x->value, x->size, err);

		if (r < 0) {
			attr_done(&a);
			return r;
		}
	}
	*ret = a;
	return 0;
}

static int push_dir(struct txn *t, const char *path, const char *staged, const struct attr *a,
		    struct kennel_error **err)
{
	if (t->n_dirs == t->room_dirs) {
		size_t room = t->room_dirs ? t->room_dirs * 2 : 16;
		struct open_dir *dirs = reallocarray(t->dirs, room, sizeof(*dirs));

		if (!dirs)
			return fail(err, KENNEL_E_NOMEM, "out of memory");
		t->dirs = dirs;
		t->room_dirs = room;
	}
	struct open_dir *d = &t->dirs[t->n_dirs];
	*d = (struct open_dir){ .path = strdup(path), .staged = strdup(staged) };
	int r = d->path && d->staged ? copy_attr(a, &d->attr, err) :
				       fail(err, KENNEL_E_NOMEM, "out of memory");
	if (r < 0)
		open_dir_done(d);
	else
		t->n_dirs++;
	return r;
}

static bool is_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 && path[n] == '/';
}

/* Directories that path is not in are full: they get their attributes. */
static int close_dirs(struct txn *t, const char *path, struct kennel_error **err)
{
	while (t->n_dirs && (!path || !is_below(path, t->dirs[t->n_dirs - 1].path))) {
		struct open_dir *d = &t->dirs[t->n_dirs - 1];
		int stage_fd = -EBADF;

		int r = place_stage(&t->p, t->p.j.puts[t->p.j.n_puts - 1].stage, &stage_fd, err);
		if (r == 0)
			r = stage_finish(stage_fd, d->staged, d->path, &d->attr, err);
		if (r < 0)
			return r;
		open_dir_done(d);
		t->n_dirs--;
	}
	return 0;
}

/* Where path is made: in the stage (new place) or in the staged directory that is its parent. */
static int open_into(struct txn *t, const char *path, const struct stat *old, char **ret_staged,
		     uint32_t *ret_stage, struct kennel_error **err)
{
	char slot[SLOT_SIZE];

	int r = close_dirs(t, path, err);
	if (r < 0)
		return r;
	if (t->n_dirs) {
		const struct open_dir *d = &t->dirs[t->n_dirs - 1];

		/* a parent that was left out: the caller's mistake */
		if (strchr(path + strlen(d->path) + 1, '/'))
			return fail(err, KENNEL_E_INVALID, "the directory of \"/%s\" is missing", path);
		r = asprintf(ret_staged, "%s/%s", d->staged, path + strlen(d->path) + 1);
	} else {
		r = txn_add_put(t, path, old, err);
		if (r < 0)
			return r;
		slot_name(t->p.j.n_puts - 1, false, slot);
		r = asprintf(ret_staged, "%s", slot);
	}
	if (r < 0) {
		*ret_staged = NULL;
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	}
	*ret_stage = t->p.j.puts[t->p.j.n_puts - 1].stage;
	return 0;
}

/* The directory of a name in a stage, which is looked up once for all its names. */
static int staged_dir(struct txn *t, int stage_fd, const char *staged, int *ret_fd, const char **ret_name,
		      struct kennel_error **err)
{
	const char *slash = strrchr(staged, '/');

	*ret_fd = stage_fd;
	*ret_name = slash ? slash + 1 : staged;
	if (!slash)
		return 0;
	_cleanup_free_ char *dir = strndup(staged, (size_t)(slash - staged));
	if (!dir)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	if (!t->into || strcmp(t->into, dir) != 0) {
		int fd = path_pin_plain(stage_fd, dir, O_DIRECTORY, err);

		if (fd < 0)
			return fd;
		replace_fd(&t->into_fd, fd);
		free(t->into);
		t->into = take_ptr(&dir);
	}
	*ret_fd = t->into_fd;
	return 0;
}

/* Hard links */

static struct link_mate *mate_slot(struct link_mate *table, size_t room, dev_t dev, ino_t ino)
{
	size_t i = (size_t)((uint64_t)ino * 0x9e3779b97f4a7c15u >> 20 ^ dev) & (room - 1);

	while (table[i].staged && (table[i].dev != dev || table[i].ino != ino))
		i = (i + 1) & (room - 1);
	return &table[i];
}

static int grow_mates(struct txn *t, struct kennel_error **err)
{
	size_t room = t->room_mates ? t->room_mates * 2 : 64;

	if (t->n_mates * 2 < t->room_mates)
		return 0;
	struct link_mate *table = calloc(room, sizeof(*table));
	if (!table)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	for (size_t i = 0; i < t->room_mates; i++)
		if (t->mates[i].staged)
			*mate_slot(table, room, t->mates[i].dev, t->mates[i].ino) = t->mates[i];
	free(t->mates);
	t->mates = table;
	t->room_mates = room;
	return 0;
}

/* Return: 1 it is another name of something staged before, and made; 0. */
static int try_link(struct txn *t, int stage_fd, uint32_t stage, int dir_fd, const char *name,
		    const char *staged, const struct stage_item *item, struct kennel_error **err)
{
	int r = grow_mates(t, err);

	if (r < 0)
		return r;
	struct link_mate *m = mate_slot(t->mates, t->room_mates, item->dev, item->ino);
	if (m->staged && m->stage == stage)
		return linkat(stage_fd, m->staged, dir_fd, name, 0) < 0 ?
			       fail_errno(err, "link \"%s\"", item->shown) :
			       1;
	if (m->staged) /* on another file system; each has a copy of its own */
		return 0;
	char *own = strdup(staged);
	if (!own)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	*m = (struct link_mate){ .dev = item->dev, .ino = item->ino, .stage = stage, .staged = own };
	t->n_mates++;
	return 0;
}

static int check_stop(struct txn *t, uint64_t bytes, struct kennel_error **err)
{
	const struct txn_hooks *h = t->p.hooks;

	t->entries++;
	t->bytes += bytes;
	if (h && h->progress)
		h->progress(h->data, t->entries, t->bytes);
	if (h && h->stop && h->stop(h->data))
		return fail(err, KENNEL_E_INTERRUPTED, "interrupted");
	return 0;
}

int txn_put(struct txn *t, const char *path, const struct stage_item *item, const struct stat *old,
	    struct kennel_error **err)
{
	_cleanup_free_ char *staged = NULL;
	bool is_dir = S_ISDIR(item->attr.mode);
	int stage_fd = -EBADF, dir_fd = -EBADF;
	const char *name = NULL;
	uint32_t stage = 0;
	struct stat st;

	int r = open_into(t, path, old, &staged, &stage, err);
	if (r == 0)
		r = place_stage(&t->p, stage, &stage_fd, err);
	if (r == 0)
		r = staged_dir(t, stage_fd, staged, &dir_fd, &name, err);
	if (r < 0)
		return r;
	r = !is_dir && item->nlink > 1 ? try_link(t, stage_fd, stage, dir_fd, name, staged, item, err) : 0;
	if (r == 0) {
		r = stage_make(dir_fd, name, item, err);
		if (r == 0 && is_dir)
			r = push_dir(t, path, staged, &item->attr, err);
	}
	if (r < 0)
		return r;
	return check_stop(t, item->fd >= 0 && fstat(item->fd, &st) == 0 ? (uint64_t)st.st_size : 0, err);
}

int txn_link(struct txn *t, const char *path, const char *mate, const struct stat *mate_st,
	     const struct stat *old, struct kennel_error **err)
{
	_cleanup_free_ char *staged = NULL, *mate_dir = NULL;
	const char *name, *mate_name = strrchr(mate, '/') ? strrchr(mate, '/') + 1 : mate;
	int stage_fd = -EBADF, dir_fd = -EBADF;
	uint64_t ino = 0;
	uint32_t stage = 0;

	int r = open_into(t, path, old, &staged, &stage, err);
	if (r == 0)
		r = place_stage(&t->p, stage, &stage_fd, err);
	if (r == 0)
		r = staged_dir(t, stage_fd, staged, &dir_fd, &name, err);
	if (r == 0)
		r = parent_of(mate, &mate_dir, err);
	if (r < 0)
		return r;
	_cleanup_close_ int mate_fd =
		path_pin_plain(t->p.root_fd, *mate_dir ? mate_dir : ".", O_DIRECTORY, err);
	if (mate_fd < 0)
		return mate_fd;
	if (linkat(mate_fd, mate_name, dir_fd, name, 0) < 0)
		return fail_errno(err, "link \"/%s\" to \"/%s\"", path, mate);
	r = inode_at(dir_fd, name, &ino, err);
	if (r == 0 && ino != mate_st->st_ino)
		r = fail(err, KENNEL_E_BUSY, "\"/%s\" changed meanwhile", mate);
	return r < 0 ? r : check_stop(t, 0, err);
}

int txn_drop(struct txn *t, const char *path, const struct stat *old, struct kennel_error **err)
{
	int r = close_dirs(t, path, err);

	if (r == 0)
		r = txn_add_put(t, path, old, err);
	return r < 0 ? r : check_stop(t, 0, err);
}

int txn_meta(struct txn *t, const char *path, const struct attr *to, struct kennel_error **err)
{
	_cleanup_free_ char *own = strdup(path);
	struct stat st;
	int fd = -EBADF, r = close_dirs(t, path, err);

	if (r == 0)
		r = place_find_dir(&t->p, path, &fd, err);
	if (r < 0)
		return r;
	if (fstat(fd, &st) < 0)
		return fail_errno(err, "look at \"/%s\"", path);
	struct journal_meta *metas = journal_grow(t->p.j.metas, &t->p.j.n_metas, sizeof(*metas));
	if (!metas || !own) {
		t->p.j.n_metas -= metas != NULL;
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	}
	t->p.j.metas = metas;
	struct journal_meta *m = &metas[t->p.j.n_metas - 1];
	m->path = take_ptr(&own);
	m->ino = st.st_ino;
	m->old_ctime = st.st_ctim;
	r = attr_read(fd, path, &m->from, err);
	if (r == 0)
		r = copy_attr(to, &m->to, err);
	return r < 0 ? r : check_stop(t, 0, err);
}

int txn_times(struct txn *t, const char *path, const struct timespec to[2], struct kennel_error **err)
{
	/* the same directory many times in a row; the rest is sorted out at the end */
	struct want_times *last = t->n_times ? &t->times[t->n_times - 1] : NULL;

	if (!last || strcmp(last->path, path) != 0) {
		struct want_times *times = journal_grow(t->times, &t->n_times, sizeof(*times));
		char *own = strdup(path);

		if (times)
			t->times = times;
		if (!times || !own) {
			t->n_times -= times != NULL;
			free(own);
			return fail(err, KENNEL_E_NOMEM, "out of memory");
		}
		last = &times[t->n_times - 1];
		last->path = own;
	}
	if (to) {
		last->to[0] = to[0];
		last->to[1] = to[1];
		last->given = true;
	}
	return 0;
}

/* Commit */

static int compare_times(const void *a, const void *b)
{
	const struct want_times *x = a, *y = b;
	int c = strcmp(x->path, y->path);

	return c ? c : (int)y->given - (int)x->given;
}

static struct journal_times *find_times(struct txn *t, size_t n, const char *path)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(t->p.j.times[i].path, path) == 0)
			return &t->p.j.times[i];
	return NULL;
}

/* One line for each directory; those that a stage was made in have theirs. */
static int collect_times(struct txn *t, struct kennel_error **err)
{
	size_t n_stages = t->p.j.n_times;

	if (t->n_times)
		qsort(t->times, t->n_times, sizeof(*t->times), compare_times);
	for (size_t i = 0; i < t->n_times; i++) {
		const struct want_times *w = &t->times[i];
		struct journal_times *j = find_times(t, n_stages, w->path);
		struct stat st;
		int fd = -EBADF;

		if (i > 0 && strcmp(t->times[i - 1].path, w->path) == 0)
			continue;
		if (!j) {
			int r = place_find_dir(&t->p, w->path, &fd, err);
			if (r == 0 && fstat(fd, &st) < 0)
				r = fail_errno(err, "look at \"/%s\"", w->path);
			if (r == 0)
				r = txn_add_times(t, w->path, &st, err);
			if (r < 0)
				return r;
			j = &t->p.j.times[t->p.j.n_times - 1];
		}
		if (w->given)
			memcpy(j->to, w->to, sizeof(j->to));
		else
			clock_gettime(CLOCK_REALTIME, &j->to[1]);
	}
	return 0;
}

static int collect_inodes(struct txn *t, struct kennel_error **err)
{
	for (size_t i = 0; i < t->p.j.n_puts; i++) {
		char slot[SLOT_SIZE];
		int fd = -EBADF, r = place_stage(&t->p, t->p.j.puts[i].stage, &fd, err);

		slot_name(i, false, slot);
		if (r == 0)
			r = inode_at(fd, slot, &t->p.j.puts[i].new_ino, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/*
 * What an earlier undo put back keeps the change time that counts for it. It goes into the journal, for the
 * list is written anew whenever this transaction is taken back, which may have to be done more than once.
 */
static int collect_restored(struct txn *t, struct kennel_error **err)
{
	struct restored known = { 0 };
	struct journal *j = &t->p.j;

	int r = restored_read(t->state_fd, &known, err);
	for (size_t i = 0; i < j->n_puts && r == 0; i++) {
		struct journal_put *p = &j->puts[i];

		p->old_ctime = restored_ctime(&known, j->root, p->path, p->old_ino, p->old_ctime);
	}
	for (size_t i = 0; i < j->n_metas && r == 0; i++) {
		struct journal_meta *m = &j->metas[i];

		m->old_ctime = restored_ctime(&known, j->root, m->path, m->ino, m->old_ctime);
	}
	restored_done(&known);
	return r;
}

static int prepare(struct txn *t, struct kennel_error **err)
{
	_cleanup_buf_ struct buf b = { 0 };
	const struct journal *j = &t->p.j;

	int r = close_dirs(t, NULL, err);
	if (r == 0)
		r = collect_inodes(t, err);
	if (r == 0)
		r = collect_restored(t, err);
	if (r == 0)
		r = collect_times(t, err);
	if (r == 0)
		r = place_sync(&t->p, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < j->n_puts; i++)
		journal_put_put(&b, &j->puts[i]);
	for (size_t i = 0; i < j->n_metas; i++)
		journal_put_meta(&b, &j->metas[i]);
	for (size_t i = 0; i < j->n_times; i++)
		journal_put_times(&b, &j->times[i]);
	r = place_log(&t->p, &b, err);
	return r < 0 ? r : place_log_state(&t->p, JOURNAL_PREPARED, err);
}

static int apply(struct txn *t, struct kennel_error **err)
{
	_cleanup_buf_ struct buf b = { 0 };
	struct place *p = &t->p;
	size_t foreign = 0;

	p->old_ctimes = t->old_ctimes;
	int r = settle_all(p, true, false, &foreign, err);
	if (r == 0 && foreign)
		r = fail(err, KENNEL_E_BUSY, "a file was changed by somebody else at this very moment");
	if (r == 0)
		r = place_put_settled(p, &b, err);
	if (r == 0)
		r = place_sync(p, err);
	if (r == 0)
		r = place_log(p, &b, err);
	if (r == 0)
		r = place_log_state(p, JOURNAL_COMMITTED, err);
	return r;
}

static int take_back(struct txn *t, struct kennel_error **err)
{
	size_t foreign = 0;

	t->p.old_ctimes = NULL;
	int r = settle_all(&t->p, false, true, &foreign, err);
	if (r == 0)
		r = place_note_restored(&t->p, t->state_fd, err);
	if (r == 0)
		r = place_sync(&t->p, err);
	if (r == 0)
		r = place_log_state(&t->p, JOURNAL_BACK, err);
	if (r == 0)
		r = place_remove_stages(&t->p, foreign > 0, err);
	if (r == 0 && foreign == 0)
		r = state_remove(t->state_fd, t->id, err);
	t->done = true; /* whatever is left is for txn_recover() */
	return r;
}

int txn_commit(struct txn *t, struct kennel_error **err)
{
	int r = prepare(t, err);

	if (r < 0) /* nothing was changed; txn_free() removes the stage */
		return r;
	r = apply(t, err);
	if (r < 0) {
		_cleanup_error_ struct kennel_error *why = NULL;

		if (take_back(t, &why) < 0)
			return hint(
				err, r,
				"taking back what was done failed, too (%s): \"kennel gc\" tries it again",
				kennel_error_message(why));
		return r;
	}
	t->done = true;
	/*
	 * The one before can't be undone any more. That it is still there is no reason to call this one
	 * failed.
	 */
	(void)!recover_locked(t->state_fd, NULL, NULL);
	return 0;
}

struct txn *txn_free(struct txn *t)
{
	if (!t)
		return NULL;
	if (!t->done && t->p.dir_fd >= 0 && place_remove_stages(&t->p, false, NULL) == 0)
		(void)!state_remove(t->state_fd, t->id, NULL);
	for (size_t i = 0; i < t->n_dirs; i++)
		open_dir_done(&t->dirs[i]);
	for (size_t i = 0; i < t->room_mates; i++)
		free(t->mates[i].staged);
	for (size_t i = 0; i < t->n_times; i++)
		free(t->times[i].path);
	free(t->dirs);
	free(t->mates);
	free(t->times);
	free(t->stage_ids);
	free(t->old_ctimes);
	free(t->into);
	close_fd(t->into_fd);
	place_done(&t->p);
	close_fd(t->lock_fd);
	close_fd(t->state_fd);
	free(t);
	return NULL;
}
