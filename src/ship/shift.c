/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ship/shift.c - see shift.h. Several threads share the directories of the tree: whoever finds others
 * waiting hands a directory on instead of going into it. Entries are changed by name in a directory
 * that is held open: one that somebody exchanged meanwhile would get an id of the range that it does
 * not deserve, and lose its setuid bit with that. What gets such a bit is pinned first.
 */
#include "ship/shift.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/macro.h"
#include "base/strv.h"
#include "delta/dirs.h"
#include "ship/shift-record.h"

#define WORKERS_MAX 16u
#define WORKERS_USUAL 4u
#define WAITING_MAX 64u
#define TICK_MS 100
#define ATTRIBUTE_MAX (64u << 10)

#define CAPS_NAME "security.capability"
#define ACL_NAME "system.posix_acl_access"
#define DEFAULT_ACL_NAME "system.posix_acl_default"

struct task {
	int fd;
	char *path; /* from the job's root */
};

struct crowd {
	const struct shift_job *job;
	struct shift_record *record;
	bool looking; /* the first pass, which changes nothing */
	bool resumed;

	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t more, over;
	struct task waiting[WAITING_MAX];
	unsigned n_waiting, n_idle, n_workers;
	bool stop;
	int result;
	struct kennel_error *error;
	uint64_t entries, changed, outside;
	uint64_t total; /* entries, or 0: not known */
	struct buf first_outside; /* a sentence */
};

struct worker {
	struct crowd *crowd;
	struct dirs dirs;
	const char *prefix; /* path of the task */
	struct strv pending; /* directories still to be gone into, of all levels */
	size_t *marks; /* where those of a level begin */
	size_t n_marks, marks_room;
	uint64_t entries, changed; /* not yet counted in crowd */
};

/* The first error counts; all stop. Takes *err. */
static void give_up(struct crowd *c, int r, struct kennel_error **err)
{
	pthread_mutex_lock(&c->lock);
	if (c->result == 0) {
		c->result = r;
		c->error = take_ptr(err);
	}
	c->stop = true;
	pthread_cond_broadcast(&c->more);
	pthread_mutex_unlock(&c->lock);
	error_clear(err);
}

static void put_path(struct buf *b, const struct worker *w, const char *name)
{
	const char *dir = buf_str(&w->dirs.path);

	buf_puts(b, w->prefix);
	if (*dir)
		buf_printf(b, "%s%s", b->len ? "/" : "", dir);
	if (name)
		buf_printf(b, "%s%s", b->len ? "/" : "", name);
	if (!b->len)
		buf_puts(b, ".");
}

/* name NULL: the directory that the worker begins with. */
static int fail_at(const struct worker *w, const char *name, const char *what, struct kennel_error **err)
{
	_cleanup_buf_ struct buf path = { 0 };
	int saved = errno;

	put_path(&path, w, name);
	errno = saved;
	int r = fail_errno(err, "%s \"%s\"", what, buf_str(&path));
	if (saved == EPERM)
		return hint(err, r, "lsattr shows whether it is immutable; then the same command goes on");
	if (saved == EINVAL)
		return hint(err, r, "an id that this user namespace has not got");
	return r;
}

static void note_outside(struct worker *w, const char *name, const char *what, uint32_t id)
{
	struct crowd *c = w->crowd;
	_cleanup_buf_ struct buf path = { 0 };

	put_path(&path, w, name);
	pthread_mutex_lock(&c->lock);
	/* the same one is named each time, whoever comes first */
	_cleanup_buf_ struct buf text = { 0 };
	buf_printf(&text, "\"%s\" %s %u", buf_str(&path), what, id);
	if (!c->outside++ || strcmp(buf_str(&text), buf_str(&c->first_outside)) < 0) {
		buf_done(&c->first_outside);
		c->first_outside = text;
		text = (struct buf){ 0 };
	}
	pthread_mutex_unlock(&c->lock);
}

/* An attribute of what fd pins. Return: 0, also where it has none, or -1 and errno. */
static int read_attribute(const char *proc_path, const char *name, uint8_t **ret, size_t *ret_size)
{
	ssize_t size = lgetxattr(proc_path, name, NULL, 0);

	if (size <= 0)
		return size == 0 || errno == ENODATA || errno == EOPNOTSUPP ? 0 : -1;
	_cleanup_free_ uint8_t *data = malloc(MAX((size_t)size, (size_t)SHIFT_CAPS_MAX));
	if (!data)
		return -1;
	size = lgetxattr(proc_path, name, data, (size_t)size);
	if (size < 0)
		return -1;
	*ret = take_ptr(&data);
	*ret_size = (size_t)size;
	return 0;
}

static void name_pin(char ret[32], int fd)
{
	snprintf(ret, 32, "/proc/self/fd/%d", fd);
}

/* Of name in a directory: the kernel has no calls that take both, before Linux 6.13. */
static int read_attributes(int dir_fd, const char *name, bool directory, struct shift_special *s)
{
	char names[4096], path[32 + NAME_MAX];

	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dir_fd, name);
	ssize_t n = llistxattr(path, names, sizeof(names));
	if (n == 0 || (n < 0 && errno == EOPNOTSUPP))
		return 0;
	if (n < 0 && errno != ERANGE)
		return -1;
	if (!directory && read_attribute(path, CAPS_NAME, &s->caps, &s->caps_size) < 0)
		return -1;
	if (read_attribute(path, ACL_NAME, &s->acl, &s->acl_size) < 0)
		return -1;
	return directory ? read_attribute(path, DEFAULT_ACL_NAME, &s->default_acl, &s->default_acl_size) : 0;
}

/* Are all ids in them such as can be moved? Works on copies. */
static bool attributes_fit(const struct shift_ids *ids, const struct shift_special *s)
{
	const struct {
		const uint8_t *data;
		size_t size;
	} acls[] = { { s->acl, s->acl_size }, { s->default_acl, s->default_acl_size } };
	uint8_t caps[SHIFT_CAPS_MAX];
	size_t caps_size = s->caps_size;

	if (caps_size > sizeof(caps))
		return false;
	if (caps_size) {
		memcpy(caps, s->caps, caps_size);
		if (shift_caps(ids, caps, &caps_size) < 0)
			return false;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(acls); i++) {
		_cleanup_free_ uint8_t *copy = acls[i].size ? malloc(acls[i].size) : NULL;

		if (!acls[i].size)
			continue;
		if (!copy)
			return false;
		memcpy(copy, acls[i].data, acls[i].size);
		if (shift_acl(ids, copy, acls[i].size) < 0)
			return false;
	}
	return true;
}

static int record_special(struct worker *w, const char *name, struct shift_special *s, const struct stat *st,
			  struct kennel_error **err)
{
	struct crowd *c = w->crowd;
	_cleanup_buf_ struct buf path = { 0 };

	put_path(&path, w, name);
	int r = buf_check(&path, err);
	if (r < 0)
		return r;
	s->path = take_ptr(&path.data);
	s->dev = st->st_dev;
	s->ino = st->st_ino;
	s->uid = st->st_uid;
	s->gid = st->st_gid;
	s->mode = st->st_mode & 07777;
	pthread_mutex_lock(&c->lock);
	r = shift_record_add(c->record, s, err);
	pthread_mutex_unlock(&c->lock);
	return r;
}

static int look_at(struct worker *w, int dir_fd, const char *name, const struct stat *st,
		   struct kennel_error **err)
{
	const struct shift_ids *ids = &w->crowd->job->ids;
	const bool file = S_ISREG(st->st_mode), directory = S_ISDIR(st->st_mode);
	struct shift_special s = { 0 };
	uint32_t id;
	int r = 0;

	if (shift_id(ids, st->st_uid, &id) <= 0)
		note_outside(w, name, "belongs to the user", st->st_uid);
	else if (shift_id(ids, st->st_gid, &id) <= 0)
		note_outside(w, name, "belongs to the group", st->st_gid);
	if (!file && !directory)
		return 0;
	if (read_attributes(dir_fd, name, directory, &s) < 0)
		r = fail_at(w, name, "read the attributes of", err);
	else if (!attributes_fit(ids, &s))
		note_outside(w, name, "has an ACL or capabilities with an id beside those of user",
			     st->st_uid);
	if (r == 0 && (s.caps_size || s.acl_size || s.default_acl_size ||
		       (file && (st->st_mode & (S_ISUID | S_ISGID)))))
		r = record_special(w, name, &s, st, err);
	shift_special_done(&s);
	return r;
}

/* As it was, but with the other ids. The owner first: a change of owner takes away what comes after it. */
static int apply(const struct shift_ids *ids, int fd, struct shift_special *s)
{
	uint32_t uid, gid;
	char path[32];

	(void)shift_id(ids, s->uid, &uid);
	(void)shift_id(ids, s->gid, &gid);
	name_pin(path, fd);
	if (fchownat(fd, "", uid, gid, AT_EMPTY_PATH) < 0 || chmod(path, s->mode) < 0)
		return -1;
	errno = EINVAL; /* the record is checked when it is made, and when it is read */
	if (s->acl_size &&
	    (shift_acl(ids, s->acl, s->acl_size) < 0 || setxattr(path, ACL_NAME, s->acl, s->acl_size, 0) < 0))
		return -1;
	if (s->default_acl_size &&
	    (shift_acl(ids, s->default_acl, s->default_acl_size) < 0 ||
	     setxattr(path, DEFAULT_ACL_NAME, s->default_acl, s->default_acl_size, 0) < 0))
		return -1;
	if (s->caps_size && (shift_caps(ids, s->caps, &s->caps_size) < 0 ||
			     setxattr(path, CAPS_NAME, s->caps, s->caps_size, 0) < 0))
		return -1;
	return 0;
}

/* One in the record, by the first of its names that is still there. */
static int change_special(struct worker *w, struct shift_special *first, int dir_fd, const char *name,
			  const struct stat *st, struct kennel_error **err)
{
	struct crowd *c = w->crowd;
	const struct shift_special *end = c->record->items + c->record->n;
	_cleanup_buf_ struct buf path = { 0 };
	struct shift_special *mine = NULL;

	put_path(&path, w, name);
	int r = buf_check(&path, err);
	if (r < 0)
		return r;
	while (first > c->record->items && first[-1].dev == first->dev && first[-1].ino == first->ino)
		first--;
	pthread_mutex_lock(&c->lock);
	for (struct shift_special *s = first; s < end && s->dev == first->dev && s->ino == first->ino; s++)
		if (strcmp(s->path, buf_str(&path)) == 0 && (S_ISREG(st->st_mode) || S_ISDIR(st->st_mode)))
			mine = s;
	if (first->state == SHIFT_DONE)
		mine = NULL;
	else
		first->state = mine ? SHIFT_DONE : SHIFT_ELSEWHERE;
	pthread_mutex_unlock(&c->lock);
	if (!mine)
		return 0;
	_cleanup_close_ int fd = openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat now;
	if (fd < 0 || fstat(fd, &now) < 0)
		return fail_at(w, name, "open", err);
	if (now.st_ino != st->st_ino || now.st_dev != st->st_dev)
		return fail(err, KENNEL_E_BUSY, "\"%s\" is changed by somebody else", buf_str(&path));
	w->changed++;
	return apply(&c->job->ids, fd, mine) < 0 ? fail_at(w, name, "change the owner of", err) : 0;
}

static int change_at(struct worker *w, int dir_fd, const char *name, const struct stat *st,
		     struct kennel_error **err)
{
	const struct shift_ids *ids = &w->crowd->job->ids;
	uint32_t uid, gid;

	struct shift_special *special = shift_record_find(w->crowd->record, st->st_dev, st->st_ino);
	if (special)
		return change_special(w, special, dir_fd, name, st, err);
	int user = shift_id(ids, st->st_uid, &uid), group = shift_id(ids, st->st_gid, &gid);
	if (user < 0 || group < 0) {
		note_outside(w, name, user < 0 ? "belongs to the user" : "belongs to the group",
			     user < 0 ? st->st_uid : st->st_gid);
		return 0;
	}
	if (!user && !group)
		return 0;
	w->changed++;
	if (fchownat(dir_fd, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
		return fail_at(w, name, "change the owner of", err);
	return 0;
}

static int visit(struct worker *w, int dir_fd, const char *name, const struct stat *st,
		 struct kennel_error **err)
{
	w->entries++;
	return w->crowd->looking ? look_at(w, dir_fd, name, st, err) : change_at(w, dir_fd, name, st, err);
}

/* Return: 1 it was handed on, 0 nobody waits. */
static int hand_on(struct worker *w, const char *name, struct kennel_error **err)
{
	struct crowd *c = w->crowd;
	_cleanup_buf_ struct buf path = { 0 };

	if (!__atomic_load_n(&c->n_idle, __ATOMIC_RELAXED))
		return 0;
	put_path(&path, w, name);
	int r = buf_check(&path, err);
	if (r < 0)
		return r;
	_cleanup_close_ int fd = dirs_open(&w->dirs, name);
	if (fd < 0)
		return fail_at(w, name, "open", err);
	pthread_mutex_lock(&c->lock);
	if (c->n_idle > c->n_waiting && c->n_waiting < WAITING_MAX) {
		c->waiting[c->n_waiting++] = (struct task){ take_fd(&fd), take_ptr(&path.data) };
		pthread_cond_signal(&c->more);
		r = 1;
	}
	pthread_mutex_unlock(&c->lock);
	return r;
}

static int visit_entry(struct worker *w, const char *name, dev_t dev, struct kennel_error **err)
{
	struct stat st;

	if (fstatat(dirs_fd(&w->dirs), name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return fail_at(w, name, "look at", err);
	if (st.st_dev != dev) {
		_cleanup_buf_ struct buf path = { 0 };

		put_path(&path, w, name);
		return hint(err, fail(err, KENNEL_E_BUSY, "something is mounted at \"%s\"", buf_str(&path)),
			    "unmount it: the tree must not be in use");
	}
	int r = visit(w, dirs_fd(&w->dirs), name, &st, err);
	if (r < 0 || !S_ISDIR(st.st_mode))
		return r;
	r = hand_on(w, name, err);
	return r ? MIN(r, 0) : strv_add(&w->pending, name, err);
}

static int mark_level(struct worker *w, struct kennel_error **err)
{
	if (w->n_marks == w->marks_room) {
		size_t room = w->marks_room ? w->marks_room * 2 : 32;
		size_t *marks = reallocarray(w->marks, room, sizeof(*marks));

		if (!marks)
			return fail(err, KENNEL_E_NOMEM, "out of memory");
		w->marks = marks;
		w->marks_room = room;
	}
	w->marks[w->n_marks++] = w->pending.n;
	return 0;
}

static bool must_stop(struct worker *w)
{
	struct crowd *c = w->crowd;

	pthread_mutex_lock(&c->lock);
	c->entries += w->entries;
	c->changed += w->changed;
	const uint64_t done = c->entries;
	bool stop = c->stop;
	pthread_mutex_unlock(&c->lock);
	w->entries = w->changed = 0;
	/* alone: nobody else looks up from the work */
	if (c->n_workers == 1 && !stop && c->job->tick && c->job->tick(c->job->data, done, c->total)) {
		c->result = fail(&c->error, KENNEL_E_INTERRUPTED, "stopped");
		c->stop = stop = true;
	}
	return stop;
}

/* All entries of the current directory; the directories among them are pending then. */
static int read_level(struct worker *w, struct kennel_error **err)
{
	int fd = dirs_open(&w->dirs, ".");
	_cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct stat st;
	int r = mark_level(w, err);

	if (r < 0)
		return r;
	if (!dir || fstat(dirs_fd(&w->dirs), &st) < 0) {
		r = fail_at(w, NULL, "read the directory", err);
		if (!dir)
			close_fd(fd);
		return r;
	}
	for (const struct dirent *e; r == 0 && (errno = 0, e = readdir(dir));)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			r = visit_entry(w, e->d_name, st.st_dev, err);
	return r == 0 && errno ? fail_at(w, NULL, "read the directory", err) : r;
}

static void drop_last(struct strv *v)
{
	free(v->items[--v->n]);
	v->items[v->n] = NULL;
}

static int walk(struct worker *w, struct task *t, struct kennel_error **err)
{
	int r = dirs_begin(&w->dirs, take_fd(&t->fd), err);

	w->prefix = strcmp(t->path, ".") == 0 ? "" : t->path;
	if (r == 0)
		r = read_level(w, err);
	while (r == 0 && w->n_marks && !must_stop(w)) {
		if (w->pending.n == w->marks[w->n_marks - 1]) {
			if (--w->n_marks && !dirs_leave(&w->dirs))
				r = fail(err, KENNEL_E_BUSY, "\"%s\" is changed by somebody else",
					 buf_str(&w->dirs.path));
			continue;
		}
		const char *name = w->pending.items[w->pending.n - 1];
		int fd = dirs_open(&w->dirs, name);

		r = fd < 0 ? fail_at(w, name, "open", err) : dirs_enter(&w->dirs, name, fd, err);
		drop_last(&w->pending);
		if (r == 0)
			r = read_level(w, err);
	}
	(void)must_stop(w); /* counts */
	strv_done(&w->pending);
	w->pending = (struct strv){ 0 };
	w->n_marks = 0;
	dirs_done(&w->dirs);
	return r;
}

/* The next directory, or nothing where all is done: then those who wait end, too. */
static bool next_task(struct crowd *c, struct task *ret)
{
	bool found = false;

	pthread_mutex_lock(&c->lock);
	c->n_idle++;
	while (!c->stop && !c->n_waiting && c->n_idle < c->n_workers)
		pthread_cond_wait(&c->more, &c->lock);
	if (!c->stop && c->n_waiting) {
		*ret = c->waiting[--c->n_waiting];
		c->n_idle--;
		found = true;
	} else {
		c->stop = true;
		pthread_cond_broadcast(&c->more);
		pthread_cond_broadcast(&c->over);
	}
	pthread_mutex_unlock(&c->lock);
	return found;
}

static void *work(void *data)
{
	struct worker w = { .crowd = data };
	struct kennel_error *err = NULL;
	struct task t;

	while (next_task(w.crowd, &t)) {
		int r = walk(&w, &t, &err);

		free(t.path);
		if (r < 0)
			give_up(w.crowd, r, &err);
	}
	free(w.marks);
	return NULL;
}

/* Tells how far it is until all is done. */
static void watch(struct crowd *c)
{
	const struct shift_job *job = c->job;

	pthread_mutex_lock(&c->lock);
	while (!c->stop) {
		struct timespec until;
		uint64_t done = c->entries;

		pthread_mutex_unlock(&c->lock);
		bool cancelled = job->tick && job->tick(job->data, done, c->total) != 0;
		pthread_mutex_lock(&c->lock);
		if (cancelled && !c->stop) {
			c->stop = true;
			if (c->result == 0)
				c->result = fail(&c->error, KENNEL_E_INTERRUPTED, "stopped");
			pthread_cond_broadcast(&c->more);
			break;
		}
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += TICK_MS * 1000000L;
		until.tv_sec += until.tv_nsec / 1000000000L;
		until.tv_nsec %= 1000000000L;
		if (!c->stop)
			pthread_cond_timedwait(&c->over, &c->lock, &until);
	}
	pthread_mutex_unlock(&c->lock);
}

/* What is named, itself, and where it is a directory, as the first tasks. */
static int begin(struct crowd *c, struct kennel_error **err)
{
	struct worker w = { .crowd = c, .prefix = "" };
	int r = 0;

	for (const char *const *name = c->job->names; *name && r == 0; name++) {
		struct stat st;

		if (fstatat(c->job->root_fd, *name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return fail_errno(err, "look at \"%s\"", *name);
		r = visit(&w, c->job->root_fd, *name, &st, err);
		if (r < 0 || !S_ISDIR(st.st_mode))
			continue;
		struct task *t = &c->waiting[c->n_waiting];
		*t = (struct task){ openat(c->job->root_fd, *name,
					   O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC),
				    strdup(*name) };
		c->n_waiting++;
		if (t->fd < 0 || !t->path)
			r = fail_errno(err, "open \"%s\"", *name);
	}
	(void)must_stop(&w);
	return r;
}

static unsigned count_workers(const struct shift_job *job)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	if (job->workers)
		return MIN(job->workers, WORKERS_MAX);
	return n < 1 ? 1 : MIN((unsigned)n, WORKERS_USUAL);
}

/* One walk over all of it. */
static int pass(struct crowd *c, struct kennel_error **err)
{
	pthread_t threads[WORKERS_MAX];
	unsigned started = 0;

	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->more, NULL);
	pthread_cond_init(&c->over, NULL);
	int r = begin(c, err);
	c->n_workers = count_workers(c->job);
	if (r == 0 && c->n_workers == 1)
		work(c);
	for (; r == 0 && c->n_workers > 1 && started < c->n_workers; started++)
		if ((errno = pthread_create(&threads[started], NULL, work, c))) {
			r = fail_errno(err, "start a thread");
			pthread_mutex_lock(&c->lock);
			c->stop = true;
			pthread_cond_broadcast(&c->more);
			pthread_mutex_unlock(&c->lock);
			break;
		}
	if (r == 0)
		watch(c);
	for (unsigned i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < c->n_waiting; i++) {
		close_fd(c->waiting[i].fd);
		free(c->waiting[i].path);
	}
	pthread_cond_destroy(&c->over);
	pthread_cond_destroy(&c->more);
	pthread_mutex_destroy(&c->lock);
	if (r == 0 && c->result < 0) {
		r = c->result;
		if (err && !*err)
			*err = take_ptr(&c->error);
	}
	error_clear(&c->error);
	return r;
}

static int refuse_outside(struct crowd *c, struct kennel_error **err)
{
	const struct shift_ids *ids = &c->job->ids;

	if (!c->outside)
		return 0;
	int r = fail(err, KENNEL_E_INVALID, "%s, which is not one of %u to %u (%llu such)",
		     buf_str(&c->first_outside), ids->from, ids->from + ids->count - 1,
		     (unsigned long long)c->outside);
	return c->looking ?
		       hint(err, r, "nothing was changed; --from and --count say which ids the tree has") :
		       hint(err, r, "give it an id of the tree, then the same command goes on");
}

/* The record knows files by number; one that is elsewhere by now may be another that got the number. */
static int check_places(const struct shift_record *r, struct kennel_error **err)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->items[i].state == SHIFT_ELSEWHERE)
			return hint(err,
				    fail(err, KENNEL_E_BUSY, "\"%s\" is not where it was", r->items[i].path),
				    "put it back, or give it a new copy; then the same command goes on");
	return 0;
}

static void crowd_done(struct crowd *c)
{
	buf_done(&c->first_outside);
}

/* The read-only pass, and the record of it. */
static int prepare(const struct shift_job *job, struct shift_record *record, struct shift_result *ret,
		   struct kennel_error **err)
{
	struct crowd look = { .job = job, .record = record, .looking = true };
	struct stat st;

	if (fstat(job->root_fd, &st) < 0)
		return fail_errno(err, "look at the tree");
	record->ids = job->ids;
	record->dev = st.st_dev;
	record->ino = st.st_ino;
	int r = pass(&look, err);
	if (r == 0)
		r = refuse_outside(&look, err);
	ret->entries = ret->changed = look.entries;
	crowd_done(&look);
	shift_record_sort(record);
	if (r == 0 && !job->dry_run)
		r = shift_record_write(job->record_dir_fd, job->record_name, record, err);
	return r;
}

static int check_begun(const struct shift_job *job, const struct shift_record *r, struct kennel_error **err)
{
	struct stat st;

	if (fstat(job->root_fd, &st) < 0)
		return fail_errno(err, "look at the tree");
	if (r->ino != st.st_ino)
		return hint(err,
			    fail(err, KENNEL_E_BUSY, "\"%s\" is the record of another tree",
				 job->record_name),
			    "if that tree is gone, remove the file");
	if (memcmp(&r->ids, &job->ids, sizeof(r->ids)) != 0)
		return hint(err,
			    fail(err, KENNEL_E_BUSY,
				 "a conversion of %u ids from %u to %u was begun and not ended", r->ids.count,
				 r->ids.from, r->ids.to),
			    "the same one must be made to its end first");
	return 0;
}

static int finish(const struct shift_job *job, struct kennel_error **err)
{
	_cleanup_close_ int fd = openat(job->root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	/* without the record nothing would say what is half done: all is on the disk before it goes */
	if (fd < 0 || syncfs(fd) < 0)
		return fail_errno(err, "write the tree to the disk");
	if (unlinkat(job->record_dir_fd, job->record_name, 0) < 0 || fsync(job->record_dir_fd) < 0)
		return fail_errno(err, "remove the record of the conversion");
	return 0;
}

int shift_run(const struct shift_job *job, struct shift_result *ret, struct kennel_error **err)
{
	struct shift_record record = { 0 };
	struct crowd change = { .job = job, .record = &record };
	struct shift_result result = { 0 };

	int r = shift_record_read(job->record_dir_fd, job->record_name, &record, err);
	result.resumed = r > 0;
	if (r >= 0)
		r = r ? check_begun(job, &record, err) : shift_check_ids(&job->ids, err);
	if (r == 0 && !result.resumed)
		r = prepare(job, &record, &result, err);
	if (r == 0 && !job->dry_run) {
		change.total = result.entries;
		r = pass(&change, err);
		if (r == 0)
			r = refuse_outside(&change, err);
		if (r == 0)
			r = check_places(&record, err);
		if (r == 0)
			r = finish(job, err);
		result.entries = change.entries;
		result.changed = change.changed;
	}
	crowd_done(&change);
	shift_record_done(&record);
	if (r == 0)
		*ret = result;
	return r;
}
