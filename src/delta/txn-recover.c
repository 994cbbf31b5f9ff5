/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * delta/txn-recover.c - after the transaction: finishing what was killed, undoing what stands.
 *
 * One transaction may stand, the last one. Whatever else is in the state directory is taken to its end here:
 * "prepared" goes back, "undo" goes forth again, "back" and "over" only have their remains removed.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "delta/newer.h"
#include "delta/txn-place.h"
#include "path/path.h"
#include "sys/sys.h"

static int remove_it(int state_fd, const char *id, struct place *p, bool keep, struct kennel_error **err)
{
	char kept[32];
	int r = place_remove_stages(p, keep, err);

	if (r < 0 || !keep)
		return r < 0 ? r : state_remove(state_fd, id, err);
	snprintf(kept, sizeof(kept), "left-%s", id);
	return renameat(state_fd, id, state_fd, kept) < 0 ? fail_errno(err, "keep \"%s\"", id) : 0;
}

static int go_back(int state_fd, const char *id, struct place *p, struct kennel_error **err)
{
	size_t foreign = 0;

	int r = settle_all(p, false, true, &foreign, err);
	if (r == 0)
		r = place_note_restored(p, state_fd, err);
	if (r == 0)
		r = place_sync(p, err);
	if (r == 0)
		r = place_log_state(p, JOURNAL_BACK, err);
	return r < 0 ? r : remove_it(state_fd, id, p, foreign > 0, err);
}

static int go_forth(struct place *p, struct kennel_error **err)
{
	_cleanup_buf_ struct buf b = { 0 };
	size_t foreign = 0;

	int r = settle_all(p, true, true, &foreign, err);
	if (r == 0)
		r = place_sync(p, err);
	if (r == 0 && foreign == 0)
		r = place_put_settled(p, &b, err);
	if (r == 0)
		r = place_log(p, &b, err);
	return r < 0 ? r : place_log_state(p, JOURNAL_COMMITTED, err);
}

static void say_date(const struct place *p, char ret[32])
{
	time_t when = (time_t)p->j.when;
	struct tm tm;

	if (!localtime_r(&when, &tm) || strftime(ret, 32, "%Y-%m-%d %H:%M", &tm) == 0)
		snprintf(ret, 32, "%" PRIu64, p->j.when);
}

/*
 * A directory that is gone, or a disk that is not plugged in now, takes its commits along: they wait, and
 * stand in nobody's way. One that is half done is told of, each time.
 */
static void say_waits(int state_fd, const char *id, const struct place *p, const char *date,
		      const struct kennel_error *why)
{
	char proc[32], state[4096];

	if (p->j.state != JOURNAL_PREPARED && p->j.state != JOURNAL_UNDO)
		return;
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", state_fd);
	ssize_t n = readlink(proc, state, sizeof(state) - 1);
	state[n < 0 ? 0 : n] = '\0';
	hooks_say(
		p->hooks,
		"the commit of \"%s\" on %s was cut off half way, and waits for what is not here now: %s; if "
		"that never comes back, remove \"%s/%s\"",
		p->j.what, date, kennel_error_message(why), state, id);
}

/* What is only to be removed: that it can't be is no reason to keep others from committing. */
static int sweep(int state_fd, const char *id, struct place *p, struct kennel_error **err)
{
	_cleanup_error_ struct kennel_error *why = NULL;
	int r = remove_it(state_fd, id, p, false, &why);

	if (r < 0 && r != -KENNEL_E_NOMEM) {
		hooks_say(p->hooks, "what is left of the commit of \"%s\" stays: %s", p->j.what,
			  kennel_error_message(why));
		return 0;
	}
	if (r < 0 && err)
		*err = take_ptr(&why);
	return r < 0 ? r : 1;
}

/* Return: 1 something was to do, 0 it stands (last) or nothing was ever done, or a code. */
static int recover_one(int state_fd, const char *id, bool last_committed, const struct txn_hooks *hooks,
		       struct kennel_error **err)
{
	_cleanup_error_ struct kennel_error *why = NULL;
	_cleanup_place_ struct place p = PLACE_EMPTY;
	char date[32];
	int r = place_load(state_fd, id, &p, err);

	if (r < 0)
		return r;
	if (r == 0)
		return state_remove(state_fd, id, err);
	p.hooks = hooks;
	say_date(&p, date);
	if (place_is_away(&p, &why)) {
		say_waits(state_fd, id, &p, date, why);
		return 0;
	}
	switch (p.j.state) {
	case JOURNAL_STAGING:
		r = sweep(state_fd, id, &p, err);
		if (r > 0)
			hooks_say(hooks,
				  "the commit of \"%s\" on %s was cut off before it changed anything; its "
				  "leftovers are removed",
				  p.j.what, date);
		break;
	case JOURNAL_PREPARED:
		r = go_back(state_fd, id, &p, err);
		if (r == 0)
			hooks_say(hooks, "the commit of \"%s\" on %s was cut off; all is as it was before it",
				  p.j.what, date);
		break;
	case JOURNAL_UNDO:
		r = go_forth(&p, err);
		if (r == 0)
			hooks_say(
				hooks,
				"the undo of the commit of \"%s\" on %s was cut off; the commit stands again",
				p.j.what, date);
		break;
	case JOURNAL_COMMITTED:
		if (last_committed)
			return 0;
		r = place_log_state(&p, JOURNAL_OVER, err);
		return r < 0 ? r : MIN(sweep(state_fd, id, &p, err), 0);
	default:
		return MIN(sweep(state_fd, id, &p, err), 0);
	}
	return r < 0 ? wrap(err, r, "finish the commit of \"%s\" on %s", p.j.what, date) : 1;
}

static int is_committed(int state_fd, const char *id, struct kennel_error **err)
{
	_cleanup_place_ struct place p = PLACE_EMPTY;
	int r = place_load(state_fd, id, &p, err);

	return r <= 0 ? r : p.j.state == JOURNAL_COMMITTED && !place_is_away(&p, NULL);
}

int recover_locked(int state_fd, const struct txn_hooks *hooks, struct kennel_error **err)
{
	_cleanup_strv_ struct strv ids = { 0 };
	bool standing = false;
	int n = 0, r = state_list(state_fd, &ids, err);

	/* From the newest on: all committed ones but the first are superseded. */
	for (size_t i = ids.n; i-- > 0 && r == 0;) {
		r = recover_one(state_fd, ids.items[i], !standing, hooks, err);
		n += r > 0;
		r = MIN(r, 0);
		if (r == 0 && !standing) {
			struct stat st;

			if (fstatat(state_fd, ids.items[i], &st, AT_SYMLINK_NOFOLLOW) == 0)
				r = is_committed(state_fd, ids.items[i], err);
			standing = r > 0;
			r = MIN(r, 0);
		}
	}
	return r < 0 ? r : n;
}

int txn_recover(int state_fd, const struct txn_hooks *hooks, struct kennel_error **err)
{
	_cleanup_close_ int lock_fd = -EBADF;
	int r = state_lock(state_fd, &lock_fd, err);

	return r <= 0 ? r : recover_locked(state_fd, hooks, err);
}

void txn_past_done(struct txn_past *p)
{
	free(p->root);
	free(p->what);
	*p = (struct txn_past){ 0 };
}

static int fill_past(const struct place *p, struct txn_past *ret, struct kennel_error **err)
{
	*ret = (struct txn_past){ .root = strdup(p->j.root),
				  .what = strdup(p->j.what),
				  .when = p->j.when,
				  .n = p->j.n_puts + p->j.n_metas };
	if (ret->root && ret->what)
		return 1;
	txn_past_done(ret);
	return fail(err, KENNEL_E_NOMEM, "out of memory");
}

/* The one that stands. *ret_id is the caller's. Return: 1, 0 none. */
static int load_last(int state_fd, struct place *ret, char **ret_id, struct kennel_error **err)
{
	_cleanup_strv_ struct strv ids = { 0 };
	int r = state_list(state_fd, &ids, err);

	for (size_t i = ids.n; i-- > 0 && r == 0;) {
		_cleanup_error_ struct kennel_error *why = NULL;
		_cleanup_place_ struct place p = PLACE_EMPTY;

		r = place_load(state_fd, ids.items[i], &p, err);
		if (r <= 0 || p.j.state != JOURNAL_COMMITTED) {
			r = MIN(r, 0);
			continue;
		}
		if (place_is_away(&p, &why))
			return hint(err,
				    fail(err, KENNEL_E_NOTFOUND,
					 "the commit of \"%s\" changed what is not here now: %s", p.j.what,
					 kennel_error_message(why)),
				    "mount it where it was, then undo it");
		*ret_id = strdup(ids.items[i]);
		if (!*ret_id)
			return fail(err, KENNEL_E_NOMEM, "out of memory");
		*ret = p;
		p = (struct place)PLACE_EMPTY;
		return 1;
	}
	return r;
}

int txn_last(int state_fd, struct txn_past *ret, struct kennel_error **err)
{
	_cleanup_place_ struct place p = PLACE_EMPTY;
	_cleanup_free_ char *id = NULL;
	int r = load_last(state_fd, &p, &id, err);

	return r <= 0 ? r : fill_past(&p, ret, err);
}

struct undo {
	struct place *p;
	int state_fd;
	bool force;
	struct timespec end; /* when the commit was through: its latest change time */
	struct buf lines; /* for the journal, where forced */
	size_t changed;
	char *first; /* the first of them */
};

static int note_changed(struct undo *u, const char *path, const char *below, struct kennel_error **err)
{
	if (u->changed++ == 0 &&
	    asprintf(&u->first, "/%s%s%s", path, below ? "/" : "", below ? below : "") < 0) {
		u->first = NULL;
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	}
	return 0;
}

/* Return: 1 what is there is no longer what was put there. */
static int check_put(struct undo *u, size_t i, struct kennel_error **err)
{
	struct journal_put *put = &u->p->j.puts[i];
	_cleanup_error_ struct kennel_error *why = NULL;
	_cleanup_free_ char *below = NULL;
	const char *name = NULL;
	struct stat st = { 0 };
	int dir_fd = -EBADF;

	int r = place_find(u->p, put->path, &dir_fd, &name, &why);
	if (r < 0 && !is_gone(why)) {
		if (err)
			*err = take_ptr(&why);
		return r;
	}
	if (r == 0 && fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno != ENOENT)
		return fail_errno(err, "look at \"/%s\"", put->path);
	if (r < 0) /* the directory that it was in: nothing to put the old one into */
		return note_changed(u, put->path, NULL, err);
	bool same = st.st_ino == put->new_ino &&
		    (!put->new_ino || (st.st_ctim.tv_sec == put->settled.tv_sec &&
				       st.st_ctim.tv_nsec == put->settled.tv_nsec));
	if (st.st_ino && st.st_ino == put->new_ino && S_ISDIR(st.st_mode))
		r = newer_below(dir_fd, name, &u->end, &below, err);
	if (r < 0 || (r == 0 && same))
		return r;
	if (u->force && st.st_ino != put->new_ino) {
		put->new_ino = st.st_ino;
		journal_put_became(&u->lines, i, st.st_ino);
	}
	return note_changed(u, put->path, below, err);
}

static bool same_attr(const struct attr *a, const struct attr *b)
{
	if (a->mode != b->mode || a->uid != b->uid || a->gid != b->gid || a->xs.n != b->xs.n)
		return false;
	for (size_t i = 0; i < a->xs.n; i++)
		if (!attr_x_equal(&a->xs.items[i], attr_xs_get(&b->xs, a->xs.items[i].name)))
			return false;
	return true;
}

static int check_meta(struct undo *u, const struct journal_meta *m, struct kennel_error **err)
{
	_cleanup_error_ struct kennel_error *why = NULL;
	_cleanup_attr_ struct attr now = { 0 };
	int fd = -EBADF, r = place_find_dir(u->p, m->path, &fd, &why);

	if (r < 0 && is_gone(why))
		return note_changed(u, m->path, NULL, err);
	if (r < 0 && err)
		*err = take_ptr(&why);
	if (r == 0)
		r = attr_read(fd, m->path, &now, err);
	return r < 0 ? r : same_attr(&now, &m->to) ? 0 : note_changed(u, m->path, NULL, err);
}

static int check_changed(struct undo *u, struct kennel_error **err)
{
	int r = 0;

	for (size_t i = 0; i < u->p->j.n_puts; i++)
		if (time_is_later(&u->p->j.puts[i].settled, &u->end))
			u->end = u->p->j.puts[i].settled;
	for (size_t i = 0; i < u->p->j.n_puts && r >= 0; i++)
		r = check_put(u, i, err);
	for (size_t i = 0; i < u->p->j.n_metas && r >= 0; i++)
		r = check_meta(u, &u->p->j.metas[i], err);
	if (r < 0)
		return r;
	if (u->changed && !u->force)
		return hint(
			err,
			fail(err, KENNEL_E_BUSY, "%zu place%s changed since the commit, the first is \"%s\"",
			     u->changed, u->changed == 1 ? "" : "s", u->first),
			"--force brings the previous state back all the same; what was changed since is lost");
	return u->lines.len ? place_log(u->p, &u->lines, err) : 0;
}

static int undo_run(struct undo *u, size_t *ret_foreign, struct kennel_error **err)
{
	struct place *p = u->p;

	int r = check_changed(u, err);
	if (r == 0)
		r = place_log_state(p, JOURNAL_UNDO, err);
	if (r < 0)
		return r;
	/* Forced, what has no directory any more to go back to is left out, and kept. */
	r = settle_all(p, false, u->force, ret_foreign, err);
	if (r == 0 && *ret_foreign && !u->force)
		r = fail(err, KENNEL_E_BUSY, "a file was changed at this very moment");
	if (r == 0)
		r = place_note_restored(p, u->state_fd, err);
	if (r == 0)
		r = place_sync(p, err);
	if (r == 0)
		r = place_log_state(p, JOURNAL_BACK, err);
	if (r < 0) {
		_cleanup_error_ struct kennel_error *why = NULL;

		if (go_forth(p, &why) < 0)
			return hint(err, r,
				    "taking the undo back failed, too (%s): \"kennel gc\" tries it again",
				    kennel_error_message(why));
		return wrap(err, r, "undo the commit; it stands as before");
	}
	return 0;
}

int txn_undo(int state_fd, bool force, const struct txn_hooks *hooks, struct txn_past *ret,
	     struct kennel_error **err)
{
	_cleanup_place_ struct place p = PLACE_EMPTY;
	_cleanup_close_ int lock_fd = -EBADF;
	_cleanup_free_ char *id = NULL;
	size_t foreign = 0;

	int r = state_lock(state_fd, &lock_fd, err);
	if (r == 0)
		return fail(err, KENNEL_E_BUSY, "another commit is running");
	if (r > 0)
		r = recover_locked(state_fd, hooks, err);
	if (r >= 0)
		r = load_last(state_fd, &p, &id, err);
	if (r <= 0)
		return r;
	p.hooks = hooks;
	struct undo u = { .p = &p, .state_fd = state_fd, .force = force };
	r = undo_run(&u, &foreign, err);
	buf_done(&u.lines);
	free(u.first);
	if (r < 0)
		return r;
	_cleanup_error_ struct kennel_error *why = NULL;
	if (remove_it(state_fd, id, &p, foreign > 0, &why) < 0) /* it is undone all the same */
		hooks_say(hooks, "what the undo left over stays until the next \"kennel gc\": %s",
			  kennel_error_message(why));
	return fill_past(&p, ret, err);
}
