/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * view/main.c - kennel-view: serves a tree read-only over a FUSE device that somebody else has mounted. The
 * command line is in view.h; people don't run this by hand.
 *
 * Started once per sandbox, on its start path: no thread, no allocation of size and no file is touched before
 * the first request can be answered. The thread that watches comes when the first tenth of a second is over,
 * for many sandboxes live no longer, and more workers when requests wait. Whoever breaks in through a
 * request gets the rights of a plain user without those to write any file: Landlock, where the kernel has it,
 * no new privileges, no dump, no descriptor but ours.
 */
#include "view/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "sys/sys.h"
#include "view/device.h"
#include "view/harden.h"
#include "view/view.h"

#define MOST_PINS 1024
#define MOST_WORKERS 4
#define REQUESTS_ALONE 256 /* short lives need no second thread */
/* A request that waited counts CROWD_STEP, one that did not takes 1 back. */
#define CROWD_STEP 8
#define CROWD_MAX 64
#define CROWD_NEW (CROWD_MAX / 2)
#define WATCH_AFTER_MS 100

struct args {
	int fuse_fd, root_fd, death_fd, report_fd;
	uint32_t pins, watches;
	bool squash;
	char **hide;
	size_t n_hide;
	bool no_xattrs, layer, wait;
	const char *only;
};

static int parse_args(int argc, char **argv, struct args *a)
{
	static const struct option options[] = {
		{ "fuse", required_argument, NULL, 'f' },
		{ "root", required_argument, NULL, 'r' },
		{ "death", required_argument, NULL, 'd' },
		{ "report", required_argument, NULL, 'R' },
		{ "hide", required_argument, NULL, 'h' },
		{ "pins", required_argument, NULL, 'p' },
		{ "watches", required_argument, NULL, 'w' },
		{ "no-xattrs", no_argument, NULL, 'x' },
		{ "squash", no_argument, NULL, 's' },
		{ "layer", no_argument, NULL, 'l' },
		{ "only", required_argument, NULL, 'o' },
		{ "wait", no_argument, NULL, 'W' },
		{ 0 },
	};
	uint32_t n = 0;
	int c;

	*a = (struct args){ -1, -1, -1, -1, .watches = UINT32_MAX };
	a->hide = calloc((size_t)argc, sizeof(char *));
	if (!a->hide)
		return -1;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == '?' || (!strchr("hxsloW", c) && (parse_u32(optarg, &n) < 0 || n > INT32_MAX)))
			return -1;
		if (c == 'h' && optarg[0] != '/')
			return -1;
		if (c == 'h')
			a->hide[a->n_hide++] = optarg;
		else if (c == 's')
			a->squash = true;
		else if (c == 'l')
			a->layer = true;
		else if (c == 'W')
			a->wait = true;
		else if (c == 'o')
			a->only = optarg;
		else if (c == 'x')
			a->no_xattrs = true;
		else if (c == 'p')
			a->pins = n;
		else if (c == 'w')
			a->watches = n;
		else
			*(c == 'f' ? &a->fuse_fd :
			  c == 'r' ? &a->root_fd :
			  c == 'd' ? &a->death_fd :
				     &a->report_fd) = (int)n;
	}
	return optind == argc && a->fuse_fd >= 0 && a->root_fd >= 0 && a->death_fd >= 0 && a->report_fd >= 0 ?
		       0 :
		       -1;
}

static void report(const struct args *a, enum view_step step, int errnum)
{
	const struct view_report r = { .step = step, .errnum = errnum };

	(void)!write(a->report_fd, &r, sizeof(r)); /* nobody there: nobody to tell */
}

static int report_failure(const struct args *a, enum view_step step, int errnum)
{
	report(a, step, errnum);
	return 1;
}

static int harden(const struct args *a)
{
	const int ours[] = { a->fuse_fd, a->root_fd, a->death_fd, a->report_fd };

	return view_harden(ours, ARRAY_SIZE(ours), VIEW_PROGRAM) < 0 ? -1 : fchdir(a->root_fd);
}

/* As many descriptors as there may be; a quarter of them for directories. */
static int32_t raise_limit(uint32_t wanted_pins)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -1;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -1;
	rlim_t most = MIN(limit.rlim_cur / 4, (rlim_t)MOST_PINS);
	return wanted_pins ? (int32_t)MIN((rlim_t)wanted_pins, most) : (int32_t)MAX(most, (rlim_t)1);
}

static void *work_too(void *view);

/*
 * Until there is a request, or it is time to watch. What there is to tell before is queued. The end of the
 * mount, which comes with that of the launcher, needs no thread either.
 */
static void wait_or_watch(struct view *v)
{
	struct pollfd fd = { .fd = fuse_session_fd(v->session), .events = POLLIN };
	int64_t rest_ms = v->watch_at_ms - now_ms();

	if (v->n_requests > REQUESTS_ALONE || rest_ms <= 0 || sys_poll(&fd, 1, (int)rest_ms) == 0)
		watch_start(v);
}

/*
 * One worker as long as one asks at a time: with several the kernel wakes them in turns, each on the
 * processor that it slept on, which makes a walk through a tree slower by half. A mixed-up figure makes one
 * worker more or less, so there is no lock.
 */
static void note_crowd(struct view *v, bool waited)
{
	if (waited)
		v->crowd = MIN(v->crowd + CROWD_STEP, CROWD_MAX);
	else if (v->crowd)
		v->crowd--;
}

static void another_worker(struct view *v)
{
	pthread_t thread;

	pthread_mutex_lock(&v->lock);
	if (!v->idle_workers && v->n_workers < MOST_WORKERS &&
	    pthread_create(&thread, NULL, work_too, v) == 0) {
		pthread_detach(thread);
		v->n_workers++;
	}
	pthread_mutex_unlock(&v->lock);
}

void workers_stuck(struct view *v)
{
	v->crowd = CROWD_MAX;
	another_worker(v);
}

/* One that waits for nothing while another does, too: goes, unless it is the first. */
static bool is_spare(struct view *v, bool is_first)
{
	if (is_first || v->crowd)
		return false;
	pthread_mutex_lock(&v->lock);
	bool spare = v->idle_workers > 1;
	if (spare) {
		v->n_workers--;
		v->idle_workers--;
	}
	pthread_mutex_unlock(&v->lock);
	return spare;
}

static void taken(struct view *v, bool waited)
{
	if (v->n_requests <= REQUESTS_ALONE) {
		v->n_requests++;
		return;
	}
	note_crowd(v, waited);
	if (v->crowd >= CROWD_NEW)
		another_worker(v);
	watch_workers(v);
}

/* Until the mount goes away, which ends the whole process, whatever the others are waiting for. */
static void work(struct view *v, bool is_first)
{
	struct fuse_buf request = { .mem = NULL };
	int place = 0;

	for (;;) {
		__atomic_fetch_add(&v->idle_workers, 1, __ATOMIC_SEQ_CST);
		if (is_spare(v, is_first))
			break;
		if (!v->watching)
			wait_or_watch(v);
		int r = fuse_session_receive_buf(v->session, &request);
		__atomic_fetch_sub(&v->idle_workers, 1, __ATOMIC_SEQ_CST);
		if (r == -EINTR)
			continue;
		if (r <= 0)
			_exit(r < 0);
		taken(v, near_asked(&v->near, &place));
		fuse_session_process_buf(v->session, &request);
		near_answered(&v->near);
		__atomic_fetch_add(&v->n_answers, 1, __ATOMIC_RELAXED);
	}
	free(request.mem);
}

static void *work_too(void *view)
{
	work(view, false);
	return NULL;
}

static void say_nothing(enum fuse_log_level level, const char *fmt, va_list args)
{
}

static int start_session(struct view *v, const struct args *a, enum view_step *ret_step)
{
	char *words[] = { (char *)VIEW_PROGRAM, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(1, words);

	fuse_set_log_func(say_nothing);
	*ret_step = VIEW_STEP_SESSION;
	v->session = fuse_session_new(&args, &view_ops, sizeof(view_ops), v);
	if (!v->session)
		return EINVAL;
	*ret_step = VIEW_STEP_DEVICE;
	if (device_attach(v->session, a->fuse_fd) < 0)
		return EBADF;
	v->watch_at_ms = now_ms() + WATCH_AFTER_MS;
	return 0;
}

/* The device can't be read before it is mounted. Nobody there any more who could mount it: the end. */
static void wait_for_go(const struct args *a)
{
	char go;
	ssize_t n;

	do
		n = read(a->death_fd, &go, 1);
	while (n < 0 && errno == EINTR);
	if (n != 1)
		_exit(0);
}

int main(int argc, char **argv)
{
	struct view *v = calloc(1, sizeof(*v));
	struct stat root, slash;
	enum view_step step;
	struct args a;

	if (parse_args(argc, argv, &a) < 0) {
		free(a.hide);
		free(v);
		fprintf(stderr, "%s: started by kennel only\n", VIEW_PROGRAM);
		return 2;
	}
	if (!v)
		return report_failure(&a, VIEW_STEP_MEMORY, ENOMEM);
	/* What was read into once is read into again, instead of new pages each time. */
	mallopt(M_MMAP_THRESHOLD, 4 << 20);
	mallopt(M_TRIM_THRESHOLD, 8 << 20);
	pthread_mutex_init(&v->lock, NULL);
	signal(SIGPIPE, SIG_IGN);
	if (harden(&a) < 0)
		return report_failure(&a, VIEW_STEP_HARDEN, errno);
	int32_t pins = raise_limit(a.pins);
	if (pins < 0)
		return report_failure(&a, VIEW_STEP_LIMITS, errno);
	if (fstat(a.root_fd, &root) < 0 || stat("/", &slash) < 0)
		return report_failure(&a, VIEW_STEP_ROOT, errno);
	v->root_fd = a.root_fd;
	v->death_fd = a.death_fd;
	v->is_system = root.st_dev == slash.st_dev && root.st_ino == slash.st_ino;
	v->hide = a.hide;
	v->n_hide = a.n_hide;
	v->no_xattrs = a.no_xattrs;
	v->squash = a.squash;
	v->is_layer = a.layer;
	v->only = a.only;
	near_init(&v->near);
	v->n_workers = 1;
	for (size_t i = 0; i < STREAMS; i++)
		v->streams[i].fd = v->streams[i].pin.slot = -1;
	int r = node_table_init(v, &root);
	if (!r)
		r = pins_init(v, pins);
	if (!r)
		r = watch_init(v, a.watches);
	if (r < 0)
		return report_failure(&a, VIEW_STEP_MEMORY, -r);
	if (a.wait)
		wait_for_go(&a);
	r = start_session(v, &a, &step);
	if (r)
		return report_failure(&a, step, r);
	report(&a, VIEW_READY, 0);
	close_fd(a.report_fd);
	work(v, true);
	return 0;
}
