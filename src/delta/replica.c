/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * delta/replica.c - see replica.h.
 *
 * Jobs are handfuls of names of one directory, for a lock and a wakeup for each file would cost as much as a
 * small file. The queue is short, so that few directories are open and the walk is not far ahead. A directory
 * gets its attributes from whoever is done with it last: its mode may take rights away, a default access list
 * would be inherited by what is made in it, and each new name changes its time.
 */
#include "delta/replica.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <time.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "delta/attr.h"
#include "delta/content.h"

#define THREADS_MAX 4
#define QUEUE_MAX 32
#define JOB_FILES 256 /* two threads in one directory stand in each other's way */
#define JOB_BYTES (8u << 20)
#define OPEN_JOBS_MAX 64 /* in directories above the current one: each has two descriptors */
#define XATTR_NAMES 65536u /* XATTR_LIST_MAX and XATTR_SIZE_MAX of linux/limits.h */
#define STEP_NS 100000000

struct replica_dir {
	int fd; /* of the copy, once all was said; else -EBADF */
	struct attr attr;
	const char *opaque;
	atomic_uint users; /* who walks, and jobs */
	struct job *open_job; /* which is not full yet */
};

struct job {
	struct replica_dir *dir;
	int from_fd, to_fd;
	unsigned tree;
	struct buf names;
	unsigned n;
	uint64_t bytes;
	struct job *next;
};

/* What one thread works with. */
struct hand {
	struct replica *r;
	struct content content;
	char *buffer, *names, *value;
};

struct replica {
	struct replica_options o;
	pthread_t threads[THREADS_MAX];
	struct hand hands[THREADS_MAX + 1]; /* the last one is that of who walks */
	unsigned n_threads;
	pthread_mutex_t lock;
	pthread_cond_t changed; /* the queue, or what is in work */
	struct job *first, **last;
	unsigned queued, working;
	bool ended;
	struct kennel_error *error; /* of a thread; the first one */
	atomic_bool stop;
	atomic_uint_fast64_t entries, bytes;
	struct timespec stepped;
	unsigned open_jobs;
};

static bool is_kept(const struct replica *r, const char *name)
{
	static const char *const labels[] = { "security.selinux", "security.ima", "security.evm" };
	size_t len = r->o.own_prefix ? strlen(r->o.own_prefix) : 0;

	for (size_t i = 0; i < ARRAY_SIZE(labels); i++)
		if (strcmp(name, labels[i]) == 0)
			return false;
	return !len || strncmp(name, r->o.own_prefix, len) != 0 || strncmp(name + len, "overlay.", 8) == 0;
}

/* What the kernel calls by name alone: links, devices. */
struct fd_path {
	char text[32 + NAME_MAX + 1];
};

static struct fd_path path_of(int dir_fd, const char *name)
{
	struct fd_path p;

	snprintf(p.text, sizeof(p.text), "/proc/self/fd/%d/%s", dir_fd, name);
	return p;
}

/* Of a file that is open (path NULL), or of what path is itself. */
static int read_xattrs(struct hand *h, int fd, const char *path, const char *shown, struct attr_xs *xs,
		       struct kennel_error **err)
{
	ssize_t len = path ? llistxattr(path, h->names, XATTR_NAMES) : flistxattr(fd, h->names, XATTR_NAMES);

	if (len < 0)
		return errno == EOPNOTSUPP || errno == ENOSYS ?
			       0 :
			       fail_errno(err, "list the extended attributes of \"%s\"", shown);
	for (const char *name = h->names; name < h->names + len; name += strlen(name) + 1) {
		if (!is_kept(h->r, name))
			continue;
		ssize_t n = path ? lgetxattr(path, name, h->value, XATTR_NAMES) :
				   fgetxattr(fd, name, h->value, XATTR_NAMES);
		if (n < 0 && errno == ENODATA) /* taken away meanwhile */
			continue;
		if (n < 0)
			return fail_errno(err, "read \"%s\" of \"%s\"", name, shown);
		int r = attr_xs_add(xs, name, h->value, (size_t)n, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int write_xattrs(const struct attr_xs *xs, int fd, const char *path, const char *shown,
			struct kennel_error **err)
{
	for (size_t i = 0; i < xs->n; i++) {
		const struct attr_x *x = &xs->items[i];

		if ((path ? lsetxattr(path, x->name, x->value, x->size, 0) :
			    fsetxattr(fd, x->name, x->value, x->size, 0)) == 0)
			continue;
		int r = fail_errno(err, "set \"%s\" of \"%s\"", x->name, shown);
		return errno == EOPNOTSUPP ? hint(err, r, "the file system there keeps no such attribute") :
					     r;
	}
	return 0;
}

/* Attributes of a regular file or directory; the owner first, who takes capabilities and bits along. */
static int give(int fd, const struct stat *st, const struct attr_xs *xs, const char *shown,
		struct kennel_error **err)
{
	const struct timespec times[2] = { st->st_atim, st->st_mtim };
	struct stat now;

	if (fstat(fd, &now) < 0)
		return fail_errno(err, "look at the copy of \"%s\"", shown);
	if ((now.st_uid != st->st_uid || now.st_gid != st->st_gid) && fchown(fd, st->st_uid, st->st_gid) < 0)
		return fail_errno(err, "give \"%s\" to its owner", shown);
	int r = write_xattrs(xs, fd, NULL, shown, err);
	if (r < 0)
		return r;
	if (((now.st_mode ^ st->st_mode) & 07777 || xs->n) && fchmod(fd, st->st_mode & 07777) < 0)
		return fail_errno(err, "set the mode of \"%s\"", shown);
	return futimens(fd, times) < 0 ? fail_errno(err, "set the times of \"%s\"", shown) : 0;
}

static bool is_gone(int errnum)
{
	return errnum == ENOENT || errnum == ELOOP || errnum == ENXIO;
}

/* A file that vanished, or is something else by now, is left out: it may be a running sandbox's. */
static int copy_regular(struct hand *h, int from_fd, const char *name, int to_fd, struct kennel_error **err)
{
	struct attr_xs xs = { 0 };
	struct stat st;
	_cleanup_close_ int in_fd =
		openat(from_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (in_fd < 0)
		return is_gone(errno) ? 0 : fail_errno(err, "open \"%s\"", name);
	if (fstat(in_fd, &st) < 0)
		return fail_errno(err, "look at \"%s\"", name);
	if (!S_ISREG(st.st_mode))
		return 0;
	_cleanup_close_ int out_fd = openat(to_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
					    (st.st_mode & 0777) | 0600);
	if (out_fd < 0)
		return fail_errno(err, "make a copy of \"%s\"", name);
	int r = content_copy(&h->content, in_fd, &st, out_fd, name, err);
	if (r == 0)
		r = read_xattrs(h, in_fd, NULL, name, &xs, err);
	if (r == 0)
		r = give(out_fd, &st, &xs, name, err);
	attr_xs_done(&xs);
	return r;
}

static int copy_symlink(int from_fd, const char *name, int to_fd, struct kennel_error **err)
{
	char target[PATH_MAX + 1];
	ssize_t n = readlinkat(from_fd, name, target, PATH_MAX);

	if (n < 0)
		return fail_errno(err, "read the link \"%s\"", name);
	target[n] = '\0';
	return symlinkat(target, to_fd, name) < 0 ? fail_errno(err, "make a copy of \"%s\"", name) : 0;
}

/* A link, device, pipe or socket. */
static int copy_other(struct hand *h, int from_fd, const char *name, const struct stat *st, int to_fd,
		      struct kennel_error **err)
{
	const struct timespec times[2] = { st->st_atim, st->st_mtim };
	const struct fd_path from = path_of(from_fd, name), to = path_of(to_fd, name);
	struct attr_xs xs = { 0 };
	int r = 0;

	if (S_ISLNK(st->st_mode))
		r = copy_symlink(from_fd, name, to_fd, err);
	else if (mknodat(to_fd, name, st->st_mode & (S_IFMT | 0700), st->st_rdev) < 0)
		r = fail_errno(err, "make a copy of \"%s\"", name);
	if (r == 0)
		r = read_xattrs(h, -EBADF, from.text, name, &xs, err);
	if (r == 0 && fchownat(to_fd, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		r = fail_errno(err, "give \"%s\" to its owner", name);
	if (r == 0)
		r = write_xattrs(&xs, -EBADF, to.text, name, err);
	/* it was made just now, where nobody else is */
	if (r == 0 && !S_ISLNK(st->st_mode) && fchmodat(to_fd, name, st->st_mode & 07777, 0) < 0)
		r = fail_errno(err, "set the mode of \"%s\"", name);
	if (r == 0 && utimensat(to_fd, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		r = fail_errno(err, "set the times of \"%s\"", name);
	attr_xs_done(&xs);
	return r;
}

static int count_bytes(void *data, size_t bytes, struct kennel_error **err)
{
	struct replica *r = ((struct hand *)data)->r;

	atomic_fetch_add(&r->bytes, bytes);
	return atomic_load(&r->stop) ? fail(err, KENNEL_E_INTERRUPTED, "stopped") : 0;
}

static int finish_dir(const struct replica_dir *d, struct kennel_error **err)
{
	struct stat st = { .st_mode = d->attr.mode, .st_uid = d->attr.uid, .st_gid = d->attr.gid };

	st.st_atim = d->attr.atime;
	st.st_mtim = d->attr.mtime;
	if (d->opaque && fsetxattr(d->fd, d->opaque, "y", 1, 0) < 0)
		return fail_errno(err, "mark a directory as hiding what is below");
	return give(d->fd, &st, &d->attr.xs, "a directory", err);
}

/* One user less; the last one finishes it, unless all is over anyway. */
static int let_go(struct replica *r, struct replica_dir *d, struct kennel_error **err)
{
	if (atomic_fetch_sub(&d->users, 1) > 1)
		return 0;
	int result = d->fd < 0 || atomic_load(&r->stop) ? 0 : finish_dir(d, err);
	close_fd(d->fd);
	attr_done(&d->attr);
	free(d);
	return result;
}

static void job_free(struct job *j)
{
	close_fd(j->from_fd);
	close_fd(j->to_fd);
	buf_done(&j->names);
	free(j);
}

static int do_job(struct hand *h, struct job *j, struct kennel_error **err)
{
	const char *name = j->names.data;
	int r = 0;

	for (unsigned i = 0; i < j->n && r == 0 && !atomic_load(&h->r->stop); i++) {
		r = copy_regular(h, j->from_fd, name, j->to_fd, err);
		atomic_fetch_add(&h->r->entries, 1);
		name += strlen(name) + 1;
	}
	if (r < 0)
		atomic_store(&h->r->stop, true);
	int ended = let_go(h->r, j->dir, r < 0 ? NULL : err);
	job_free(j);
	return r < 0 ? r : ended;
}

/* Called with the lock, which is given away meanwhile. */
static void work_on(struct hand *h, struct job *j)
{
	struct replica *r = h->r;
	struct kennel_error *error = NULL;

	r->first = j->next;
	if (!r->first)
		r->last = &r->first;
	r->queued--;
	r->working++;
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
	int result = do_job(h, j, &error);
	pthread_mutex_lock(&r->lock);
	if (result < 0) {
		atomic_store(&r->stop, true);
		if (!r->error)
			r->error = take_ptr(&error);
		error_clear(&error);
	}
	r->working--;
	pthread_cond_broadcast(&r->changed);
}

static void *thread_main(void *data)
{
	struct hand *h = data;
	struct replica *r = h->r;

	pthread_mutex_lock(&r->lock);
	for (;;) {
		while (!r->first && !r->ended)
			pthread_cond_wait(&r->changed, &r->lock);
		if (!r->first)
			break;
		work_on(h, r->first);
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

static int make_hand(struct replica *r, struct hand *h, struct kennel_error **err)
{
	*h = (struct hand){ .r = r };
	h->buffer = malloc(CONTENT_BUFFER);
	h->names = malloc(XATTR_NAMES);
	h->value = malloc(XATTR_NAMES);
	h->content = (struct content){ .buffer = h->buffer, .step = count_bytes, .data = h };
	return h->buffer && h->names && h->value ? 0 : fail(err, KENNEL_E_NOMEM, "out of memory");
}

static int start_threads(struct replica *r, struct kennel_error **err)
{
	cpu_set_t cpus;
	sigset_t all, old;
	int n = sched_getaffinity(0, sizeof(cpus), &cpus) == 0 ? CPU_COUNT(&cpus) : 1, result = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	for (int i = 0; i < MIN(MAX(n, 1), THREADS_MAX) && result == 0; i++) {
		struct hand *h = &r->hands[r->n_threads];

		result = make_hand(r, h, err);
		int errnum = result < 0 ? 0 : pthread_create(&r->threads[r->n_threads], NULL, thread_main, h);
		if (errnum) {
			errno = errnum;
			result = fail_errno(err, "start a thread that copies");
		}
		if (result == 0)
			r->n_threads++;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return result;
}

int replica_new(const struct replica_options *o, struct replica **ret, struct kennel_error **err)
{
	struct replica *r = calloc(1, sizeof(*r));

	if (!r)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	r->o = *o;
	r->last = &r->first;
	pthread_mutex_init(&r->lock, NULL);
	pthread_condattr_t clock;
	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_cond_init(&r->changed, &clock);
	pthread_condattr_destroy(&clock);
	int result = make_hand(r, &r->hands[THREADS_MAX], err);
	if (result == 0)
		result = start_threads(r, err);
	if (result < 0) {
		replica_free(r);
		return result;
	}
	*ret = r;
	return 0;
}

struct replica *replica_free(struct replica *r)
{
	if (!r)
		return NULL;
	atomic_store(&r->stop, true);
	pthread_mutex_lock(&r->lock);
	r->ended = true;
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
	for (unsigned i = 0; i < r->n_threads; i++)
		pthread_join(r->threads[i], NULL);
	for (size_t i = 0; i < ARRAY_SIZE(r->hands); i++) {
		free(r->hands[i].buffer);
		free(r->hands[i].names);
		free(r->hands[i].value);
	}
	pthread_cond_destroy(&r->changed);
	pthread_mutex_destroy(&r->lock);
	error_clear(&r->error);
	free(r);
	return NULL;
}

static bool is_later(const struct timespec *now, const struct timespec *then)
{
	return (now->tv_sec - then->tv_sec) * 1000000000 + now->tv_nsec - then->tv_nsec >= STEP_NS;
}

/* Tells how far it is, now and then, and hears whether to go on. */
static int step(struct replica *r, struct kennel_error **err)
{
	struct timespec now;

	if (!r->o.hooks.step)
		return 0;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (!is_later(&now, &r->stepped))
		return 0;
	r->stepped = now;
	if (!r->o.hooks.step(r->o.hooks.data, atomic_load(&r->entries), atomic_load(&r->bytes)))
		return 0;
	atomic_store(&r->stop, true);
	return fail(err, KENNEL_E_INTERRUPTED, "stopped");
}

/* With the lock: a thread's error becomes ours. */
static int take_error(struct replica *r, struct kennel_error **err)
{
	if (!r->error)
		return 0;
	int result = -kennel_error_code(r->error);
	if (err)
		*err = take_ptr(&r->error);
	return result;
}

/* With the lock: until there are fewer than max jobs, waiting and in work. */
static int wait_for_room(struct replica *r, unsigned max, struct kennel_error **err)
{
	int result = 0;

	while (result == 0 && r->queued + r->working >= max && !r->error) {
		struct timespec until;

		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += STEP_NS;
		if (until.tv_nsec >= 1000000000) {
			until.tv_sec++;
			until.tv_nsec -= 1000000000;
		}
		pthread_cond_timedwait(&r->changed, &r->lock, &until);
		pthread_mutex_unlock(&r->lock);
		result = step(r, err);
		pthread_mutex_lock(&r->lock);
	}
	return result < 0 ? result : take_error(r, err);
}

static int hand_over(struct replica *r, struct replica_dir *d, struct kennel_error **err)
{
	struct job *j = take_ptr(&d->open_job);

	r->open_jobs--;
	pthread_mutex_lock(&r->lock);
	int result = wait_for_room(r, QUEUE_MAX, err);
	*r->last = j; /* also after an error: who ends it frees it */
	r->last = &j->next;
	r->queued++;
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
	return result;
}

int replica_dir_begin(struct replica *r, int from_fd, const char *opaque, struct replica_dir **ret,
		      struct kennel_error **err)
{
	struct replica_dir *d = calloc(1, sizeof(*d));
	struct stat st;

	if (!d)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	d->fd = -EBADF;
	d->opaque = opaque;
	atomic_init(&d->users, 1);
	int result = fstat(from_fd, &st) < 0 ? fail_errno(err, "look at a directory") : 0;
	if (result == 0) {
		attr_from_stat(&d->attr, &st);
		result = read_xattrs(&r->hands[THREADS_MAX], from_fd, NULL, "a directory", &d->attr.xs, err);
	}
	if (result == 0)
		result = replica_count(r, err);
	if (result < 0)
		replica_dir_drop(r, take_ptr(&d));
	else
		*ret = d;
	return result;
}

int replica_dir_end(struct replica *r, struct replica_dir *d, int to_fd, struct kennel_error **err)
{
	int result = d->open_job ? hand_over(r, d, err) : 0;

	d->fd = fcntl(to_fd, F_DUPFD_CLOEXEC, 3);
	if (d->fd < 0 && result == 0)
		result = fail_errno(err, "duplicate a descriptor");
	int ended = let_go(r, d, result < 0 ? NULL : err);
	return result < 0 ? result : ended;
}

void replica_dir_drop(struct replica *r, struct replica_dir *d)
{
	if (!d)
		return;
	atomic_store(&r->stop, true);
	if (d->open_job)
		(void)!hand_over(r, d, NULL);
	(void)!let_go(r, d, NULL);
}

static int new_job(struct replica *r, struct replica_dir *d, const struct replica_item *item,
		   struct kennel_error **err)
{
	_cleanup_close_ int from_fd = fcntl(item->from_fd, F_DUPFD_CLOEXEC, 3);
	_cleanup_close_ int to_fd = fcntl(item->to_fd, F_DUPFD_CLOEXEC, 3);
	struct job *j = from_fd < 0 || to_fd < 0 ? NULL : calloc(1, sizeof(*j));

	if (!j)
		return fail_errno(err, "duplicate a descriptor");
	j->from_fd = take_fd(&from_fd);
	j->to_fd = take_fd(&to_fd);
	j->tree = item->tree;
	j->dir = d;
	atomic_fetch_add(&d->users, 1);
	d->open_job = j;
	r->open_jobs++;
	return 0;
}

static int add_to_job(struct replica *r, struct replica_dir *d, const struct replica_item *item,
		      struct kennel_error **err)
{
	int result = 0;

	if (d->open_job && d->open_job->tree != item->tree)
		result = hand_over(r, d, err);
	if (result == 0 && !d->open_job)
		result = new_job(r, d, item, err);
	if (result < 0)
		return result;
	struct job *j = d->open_job;
	buf_add(&j->names, item->name, strlen(item->name) + 1);
	result = buf_check(&j->names, err);
	if (result < 0)
		return result;
	j->n++;
	j->bytes += (uint64_t)item->st->st_size;
	return j->n == JOB_FILES || j->bytes >= JOB_BYTES ? hand_over(r, d, err) : 0;
}

int replica_file(struct replica *r, struct replica_dir *d, const struct replica_item *item,
		 struct kennel_error **err)
{
	struct hand *h = &r->hands[THREADS_MAX];
	bool regular = S_ISREG(item->st->st_mode);

	if (regular && !item->now && (d->open_job || r->open_jobs < OPEN_JOBS_MAX))
		return add_to_job(r, d, item, err);
	int result = regular ? copy_regular(h, item->from_fd, item->name, item->to_fd, err) :
			       copy_other(h, item->from_fd, item->name, item->st, item->to_fd, err);
	return result < 0 ? result : replica_count(r, err);
}

int replica_count(struct replica *r, struct kennel_error **err)
{
	atomic_fetch_add(&r->entries, 1);
	return step(r, err);
}

int replica_finish(struct replica *r, struct kennel_error **err)
{
	pthread_mutex_lock(&r->lock);
	int result = wait_for_room(r, 1, err);
	if (result == 0)
		result = take_error(r, err);
	pthread_mutex_unlock(&r->lock);
	if (result == 0 && r->o.hooks.step)
		(void)r->o.hooks.step(r->o.hooks.data, atomic_load(&r->entries), atomic_load(&r->bytes));
	return result;
}
