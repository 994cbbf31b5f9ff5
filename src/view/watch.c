/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * view/watch.c - the host's changes: what the kernel keeps "for ever" is taken back when it is no longer
 * true.
 *
 * A directory gets an inotify watch before the first look into it, so no change falls between. Where that
 * can't be (no watches left, not readable, a network or kernel file system, which tell of nothing), answers
 * hold for a second. In the first moments no watch is made, for many sandboxes end before one pays (the
 * kernel goes through all that it knows of a directory when that gets its first): what was answered then is
 * noted, and looked at again once there is a watch.
 *
 * The kernel is told by a thread of its own: telling takes locks that a waiting lookup holds, so a worker
 * that told could wait for itself. Events are read some milliseconds after they came: an answer that was
 * looked up just before a change is then surely on its way, and is taken back too. What inotify can't see:
 * writes through mmap(), changes over another hard link, times of directories nobody has looked into yet.
 */
#include "base/clock.h"
#include "view/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "sys/sys.h"

#define MASK \
	(IN_ATTRIB | IN_MODIFY | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | \
	 IN_MOVE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK)
#define SETTLE_MS 20
#define SWEEP_MS 2500
#define STUCK_MS 50
#define IDLE_S 5
#define BY_WD ARRAY_SIZE(((struct watches *)NULL)->by_wd)
#define MOUNTINFO_MAX (16u << 20)

enum fs_kind { FS_UNTOLD, FS_WATCHED, FS_FIXED };

/* File systems whose every change is made by this kernel, so that inotify tells it. */
static const struct {
	uint32_t magic;
	enum fs_kind kind;
} told[] = {
	{ 0xef53, FS_WATCHED }, /* ext2, 3, 4 */
	{ 0x58465342, FS_WATCHED }, /* xfs */
	{ 0x9123683e, FS_WATCHED }, /* btrfs */
	{ 0x01021994, FS_WATCHED }, /* tmpfs */
	{ 0x858458f6, FS_WATCHED }, /* ramfs */
	{ 0x2fc12fc1, FS_WATCHED }, /* zfs */
	{ 0xf2f52010, FS_WATCHED }, /* f2fs */
	{ 0xca451a4e, FS_WATCHED }, /* bcachefs */
	{ 0x794c7630, FS_WATCHED }, /* overlay */
	{ 0x3153464a, FS_WATCHED }, /* jfs */
	{ 0x52654973, FS_WATCHED }, /* reiserfs */
	{ 0x00003434, FS_WATCHED }, /* nilfs2 */
	{ 0x00004d44, FS_WATCHED }, /* vfat */
	{ 0x2011bab0, FS_WATCHED }, /* exfat */
	{ 0x7366746e, FS_WATCHED }, /* ntfs3 */
	{ 0x73717368, FS_FIXED }, /* squashfs */
	{ 0xe0f5e1e2, FS_FIXED }, /* erofs */
	{ 0x00009660, FS_FIXED }, /* iso9660 */
	{ 0x28cd3d45, FS_FIXED }, /* cramfs */
	{ 0x00007275, FS_FIXED }, /* romfs */
};

/* Half of what the user may have: others need some too, and every sandbox takes its own. */
static uint32_t allowed_watches(void)
{
	char text[16] = "";
	_cleanup_close_ int fd = open("/proc/sys/fs/inotify/max_user_watches", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		return 4096;
	unsigned long n = strtoul(text, NULL, 10) / 2;
	return (uint32_t)MIN(n, 1ul << 20);
}

int watch_init(struct view *v, uint32_t max)
{
	struct watches *w = &v->watch;

	w->jobs_tail = &w->jobs;
	w->mounts_fd = -1;
	w->max = max == UINT32_MAX ? allowed_watches() : max;
	/* without one, everything is FS_UNTOLD */
	w->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return w->wake_fd < 0 ? -errno : 0;
}

static enum fs_kind kind_of(struct view *v, uint64_t dev, int dir_fd)
{
	enum fs_kind kind = FS_UNTOLD;
	long magic;

	for (unsigned i = 0; i < v->n_filesystems; i++)
		if (v->filesystems[i].dev == dev)
			return v->filesystems[i].kind;
	if (sys_fgetfsmagic(dir_fd, &magic) < 0)
		return FS_UNTOLD;
	for (size_t i = 0; i < ARRAY_SIZE(told); i++)
		if (told[i].magic == (uint32_t)magic)
			kind = told[i].kind;
	if (v->n_filesystems < ARRAY_SIZE(v->filesystems)) {
		v->filesystems[v->n_filesystems].dev = dev;
		v->filesystems[v->n_filesystems++].kind = (int)kind;
	}
	return kind;
}

static bool add_watch(struct view *v, struct node *dir, int dir_fd)
{
	struct watches *w = &v->watch;
	char path[32];
	struct stat st;

	if (w->inotify_fd < 0 || w->n >= w->max)
		return false;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", dir_fd);
	dir->wd = inotify_add_watch(w->inotify_fd, path, MASK);
	if (dir->wd < 0)
		return false;
	dir->watch_next = w->by_wd[(unsigned)dir->wd % BY_WD];
	w->by_wd[(unsigned)dir->wd % BY_WD] = dir;
	w->n++;
	if (dir->version && fstat(dir_fd, &st) == 0 && dir->version != node_version(&st))
		watch_tell(v, JOB_INODE, dir, ""); /* it changed since the kernel got its attributes */
	return true;
}

static double holds(const struct node *dir)
{
	return dir->wd >= 0 || dir->flags & (NODE_FIXED | NODE_HIDDEN) ? HOLDS_FOR_EVER : HOLDS_SHORTLY;
}

double watch_dir(struct view *v, struct node *dir, int dir_fd)
{
	pthread_mutex_lock(&v->lock);
	if (dir->wd < 0 && !(dir->flags & (NODE_UNWATCHED | NODE_FIXED))) {
		enum fs_kind kind = kind_of(v, dir->dev, dir_fd);

		if (kind == FS_FIXED)
			dir->flags |= NODE_FIXED;
		else if (kind == FS_UNTOLD || (v->watching && !add_watch(v, dir, dir_fd)))
			dir->flags |= NODE_UNWATCHED;
	}
	double r = holds(dir);
	pthread_mutex_unlock(&v->lock);
	return r;
}

double watch_note(struct view *v, struct node *dir, const char *name, uint64_t version, double timeout)
{
	size_t len = strlen(name) + 1;

	if (v->watching || timeout > HOLDS_SHORTLY || dir->flags & NODE_UNWATCHED)
		return timeout;
	struct note *note = malloc(sizeof(*note) + len);
	if (!note)
		return timeout;
	*note = (struct note){ .next = v->watch.notes, .dir = dir, .version = version };
	memcpy(note->name, name, len);
	pthread_mutex_lock(&v->lock);
	dir->nlookup++; /* ours */
	pthread_mutex_unlock(&v->lock);
	v->watch.notes = note;
	return HOLDS_FOR_EVER;
}

double watch_timeout(struct view *v, const struct node *dir)
{
	pthread_mutex_lock(&v->lock);
	double r = holds(dir);
	pthread_mutex_unlock(&v->lock);
	return r;
}

/*
 * Out of the table only. The same directory may be seen at two places (a bind mount): returns whether wd has
 * others.
 */
static bool unlink_watch(struct view *v, struct node *dir)
{
	struct node **p = &v->watch.by_wd[(unsigned)dir->wd % BY_WD];
	bool others = false;

	while (*p) {
		if (*p == dir) {
			*p = dir->watch_next;
			continue;
		}
		others = others || (*p)->wd == dir->wd;
		p = &(*p)->watch_next;
	}
	dir->wd = -1;
	v->watch.n--;
	return others;
}

void watch_remove(struct view *v, struct node *dir)
{
	int wd = dir->wd;

	if (wd >= 0 && !unlink_watch(v, dir))
		/* fails where the kernel removed it already */
		(void)!inotify_rm_watch(v->watch.inotify_fd, wd);
}

void watch_tell(struct view *v, enum job_kind kind, const struct node *n, const char *name)
{
	size_t len = strlen(name) + 1;
	struct job *j = calloc(1, sizeof(*j) + len);
	const uint64_t one = 1;

	if (!j)
		/* the kernel goes on with what it has: no worse than a change not yet noticed */
		return;
	j->kind = kind;
	j->id = n->id;
	memcpy(j->name, name, len);
	*v->watch.jobs_tail = j;
	v->watch.jobs_tail = &j->next;
	(void)!write(v->watch.wake_fd, &one, sizeof(one));
}

/* From here on: the thread. */

static void tell_inode(struct view *v, uint64_t id)
{
	fuse_lowlevel_notify_inval_inode(v->session, id, 0, 0);
}

/*
 * Expiring leaves the entry where it is, to be asked for again. Dropping would take it out of the kernel's
 * table while an overlay holds on to it, and the next change of that entry would not find it any more.
 */
static void tell_entry(struct view *v, uint64_t parent, const char *name)
{
#ifdef FUSE_CAP_EXPIRE_ONLY
	if (v->can_expire) {
		fuse_lowlevel_notify_expire_entry(v->session, parent, name, strlen(name),
						  FUSE_LL_EXPIRE_ONLY);
		return;
	}
#endif
	fuse_lowlevel_notify_inval_entry(v->session, parent, name, strlen(name));
}

/* Tells of all nodes below dir; NULL: of all. */
static void tell_below(struct view *v, uint32_t dir_id)
{
	for (uint32_t id = FUSE_ROOT_ID + 1;; id++) {
		_cleanup_free_ char *name = NULL;
		uint32_t parent = 0;

		pthread_mutex_lock(&v->lock);
		bool end = id >= v->table.n_ids;
		struct node *n = end ? NULL : v->table.by_id[id];
		if (n && n->parent && n->id != dir_id && node_is_below(n, v->table.by_id[dir_id])) {
			parent = n->parent->id;
			name = strdup(n->name);
		}
		pthread_mutex_unlock(&v->lock);
		if (end)
			return;
		if (!name)
			continue;
		tell_entry(v, parent, name);
		tell_inode(v, id);
	}
}

/* The kernel drops the lists that it got without attributes. */
static void tell_bare_lists(struct view *v)
{
	for (uint32_t id = FUSE_ROOT_ID;; id++) {
		pthread_mutex_lock(&v->lock);
		bool end = id >= v->table.n_ids;
		struct node *n = end ? NULL : v->table.by_id[id];
		bool bare = n && n->flags & NODE_BARE;
		if (bare)
			n->flags &= ~NODE_BARE;
		pthread_mutex_unlock(&v->lock);
		if (end)
			return;
		if (bare)
			tell_inode(v, id);
	}
}

static void do_jobs(struct view *v)
{
	uint64_t count;

	(void)!read(v->watch.wake_fd, &count, sizeof(count));
	pthread_mutex_lock(&v->lock);
	struct job *j = v->watch.jobs;
	v->watch.jobs = NULL;
	v->watch.jobs_tail = &v->watch.jobs;
	pthread_mutex_unlock(&v->lock);
	while (j) {
		struct job *next = j->next;

		if (j->kind == JOB_INODE)
			tell_inode(v, j->id);
		else if (j->kind == JOB_ENTRY)
			tell_entry(v, j->id, j->name);
		else if (j->kind == JOB_LISTS)
			tell_bare_lists(v);
		else
			tell_below(v, j->id);
		free(j);
		j = next;
	}
}

/*
 * Something at (dir, name) is not what it was. Where a file was replaced by another of its kind the place is
 * bound anew and the kernel just gets new attributes; an entry is only taken back where there is nothing or
 * another kind now.
 */
static void check_place(struct view *v, struct node *dir, const char *name, bool only_attributes)
{
	struct stat st;

	pthread_mutex_lock(&v->lock);
	struct node *n = node_find(v, dir, name);
	uint32_t dir_id = dir->id, id = n ? n->id : 0;
	if (n)
		n->nlookup++; /* ours: the kernel may forget it meanwhile */
	pthread_mutex_unlock(&v->lock);
	if (n && !(n->flags & NODE_HIDDEN)) {
		if (!only_attributes && S_ISDIR(n->type)) {
			pthread_mutex_lock(&v->lock);
			pins_drop_idle(v, 0);
			pthread_mutex_unlock(&v->lock);
		}
		int r = only_attributes ? 0 : node_stat(v, n, &st);
		if (r == -ESTALE)
			tell_entry(v, dir_id, name);
		tell_inode(v, id);
	} else if (!n && !only_attributes) {
		tell_entry(v, dir_id, name); /* it may be known not to exist */
	}
	if (n)
		node_forget(v, id, 1);
}

/* The next node after the given one (NULL: the first) that wd stands for, with a reference that keeps it. */
static struct node *next_watched(struct view *v, int wd, struct node *after)
{
	pthread_mutex_lock(&v->lock);
	struct node *n = after ? after->watch_next : v->watch.by_wd[(unsigned)wd % BY_WD];
	if (after && after->wd != wd)
		/* it went from the chain meanwhile; others at other places wait for the next event */
		n = NULL;
	while (n && n->wd != wd)
		n = n->watch_next;
	if (n)
		n->nlookup++;
	pthread_mutex_unlock(&v->lock);
	if (after)
		node_forget(v, after->id, 1);
	return n;
}

static void lose_watch(struct view *v, struct node *dir)
{
	pthread_mutex_lock(&v->lock);
	if (dir->wd >= 0)
		unlink_watch(v, dir); /* a new one is made at the next look */
	pthread_mutex_unlock(&v->lock);
	tell_inode(v, dir->id);
}

static void handle_event(struct view *v, const struct inotify_event *e)
{
	const uint32_t content = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO;

	if (e->mask & IN_Q_OVERFLOW) {
		pthread_mutex_lock(&v->lock);
		pins_drop_idle(v, 0);
		pthread_mutex_unlock(&v->lock);
		tell_below(v, FUSE_ROOT_ID);
		return;
	}
	for (struct node *dir = NULL; (dir = next_watched(v, e->wd, dir));) {
		if (e->mask & IN_IGNORED) {
			lose_watch(v, dir);
			node_forget(v, dir->id, 1);
			dir = NULL; /* it left the chain: begin again */
			continue;
		}
		if (e->len)
			check_place(v, dir, e->name, !(e->mask & content));
		if (!e->len || e->mask & content)
			tell_inode(v, dir->id); /* its own times, and the list of its entries */
	}
}

static void handle_events(struct view *v)
{
	char data[16384] __attribute__((aligned(8)));
	const struct inotify_event *last = NULL;
	ssize_t n;

	clock_pause_ms(SETTLE_MS);
	while ((n = read(v->watch.inotify_fd, data, sizeof(data))) > 0) {
		last = NULL;
		for (ssize_t at = 0; at < n;) {
			const struct inotify_event *e = (const struct inotify_event *)(void *)(data + at);

			/* A busy log is one line after the other. */
			if (!last || last->wd != e->wd || last->mask != e->mask || last->len != e->len ||
			    memcmp(last->name, e->name, e->len))
				handle_event(v, e);
			last = e;
			at += (ssize_t)sizeof(*e) + e->len;
		}
	}
}

/* The mount points of /proc/self/mountinfo, one after the other, and an empty string. */
static char *read_mounts(struct view *v)
{
	_cleanup_buf_ struct buf text = { 0 }, points = { 0 };
	char *line, *rest;

	if (lseek(v->watch.mounts_fd, 0, SEEK_SET) < 0 ||
	    buf_read_fd(&text, v->watch.mounts_fd, MOUNTINFO_MAX, NULL) < 0)
		return NULL;
	for (rest = text.data; rest && (line = strsep(&rest, "\n"));) {
		char *field = line;

		for (int i = 0; i < 4 && field; i++)
			strsep(&field, " ");
		char *point = field ? strsep(&field, " ") : NULL;
		if (!point || strchr(point, '\\'))
			/* escaped characters: changes there show when the watch or the second does */
			continue;
		buf_add(&points, point, strlen(point) + 1);
	}
	buf_add(&points, "", 1);
	return buf_check(&points, NULL) < 0 ? NULL : take_ptr(&points.data);
}

static bool has_mount(const char *list, const char *point)
{
	while (*list && strcmp(list, point))
		list += strlen(list) + 1;
	return *list;
}

/* What lies at an absolute path may be another file system now. */
static void check_path(struct view *v, const char *path)
{
	_cleanup_free_ char *copy = strdup(path);
	struct node *dir = v->table.by_id[FUSE_ROOT_ID];
	char *rest = copy, *name;

	if (!copy)
		return;
	while ((name = strsep(&rest, "/")) && rest) {
		if (!*name)
			continue;
		pthread_mutex_lock(&v->lock);
		dir = node_find(v, dir, name);
		pthread_mutex_unlock(&v->lock);
		if (!dir)
			return;
	}
	if (name && *name)
		check_place(v, dir, name, false);
}

static void handle_mounts(struct view *v)
{
	char *now = read_mounts(v);

	if (!now)
		return;
	if (v->watch.mounts) {
		for (const char *p = now; *p; p += strlen(p) + 1)
			if (!has_mount(v->watch.mounts, p))
				check_path(v, p);
		for (const char *p = v->watch.mounts; *p; p += strlen(p) + 1)
			if (!has_mount(now, p))
				check_path(v, p);
	}
	free(v->watch.mounts);
	v->watch.mounts = now;
}

/* What was answered before there were watches. */
static void check_notes(struct view *v)
{
	struct note *next;

	for (struct note *note = v->watch.notes; note; note = next) {
		struct node *dir = note->dir;
		struct pinned at;
		struct stat st;
		bool same = false;

		next = note->next;
		if (pin_get(v, dir, &at) == 0) {
			watch_dir(v, dir, at.fd);
			int r = fstatat(at.fd, note->name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT);

			same = note->version == (r ? 0 : node_version(&st)) && !(dir->flags & NODE_UNWATCHED);
			pin_put(v, &at);
		}
		if (!same) {
			tell_entry(v, dir->id, note->name);
			check_place(v, dir, note->name, false);
		}
		node_forget(v, dir->id, 1);
		free(note);
	}
	v->watch.notes = NULL;
}

void watch_workers(struct view *v)
{
	const uint64_t one = 1;

	if (__atomic_load_n(&v->unattended, __ATOMIC_SEQ_CST) &&
	    __atomic_exchange_n(&v->unattended, false, __ATOMIC_SEQ_CST))
		(void)!write(v->watch.wake_fd, &one, sizeof(one));
}

/* How the workers were at the last look. */
struct look {
	unsigned n_answers;
	bool at_work;
};

/*
 * One that waits, for a network say, must not make all wait: then there is another. Returns for how long
 * nobody needs to look, in milliseconds; -1: until watch_workers() says so.
 */
static int look_after_workers(struct view *v, struct look *l)
{
	unsigned n = __atomic_load_n(&v->n_answers, __ATOMIC_RELAXED);
	bool at_work = !__atomic_load_n(&v->idle_workers, __ATOMIC_SEQ_CST), moved = n != l->n_answers;

	if (at_work && l->at_work && !moved)
		workers_stuck(v);
	*l = (struct look){ .n_answers = n, .at_work = at_work };
	if (at_work || moved)
		return STUCK_MS;
	__atomic_store_n(&v->unattended, true, __ATOMIC_SEQ_CST);
	/* it may have begun in between */
	return __atomic_load_n(&v->idle_workers, __ATOMIC_SEQ_CST) ? -1 : STUCK_MS;
}

void *watch_thread(void *view)
{
	struct view *v = view;
	struct look look = { 0 };

	check_notes(v);
	v->watch.mounts_fd = v->is_system ? open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC) : -1;
	if (v->watch.mounts_fd >= 0)
		handle_mounts(v);
	for (;;) {
		struct pollfd fds[] = {
			{ .fd = v->death_fd, .events = 0 },
			{ .fd = v->watch.inotify_fd, .events = POLLIN },
			{ .fd = v->watch.wake_fd, .events = POLLIN },
			{ .fd = v->watch.mounts_fd, .events = POLLPRI },
		};
		pthread_mutex_lock(&v->lock);
		bool held = v->pins.head >= 0;
		pthread_mutex_unlock(&v->lock);
		int rest_ms = look_after_workers(v, &look);
		int n = sys_poll(fds, ARRAY_SIZE(fds), rest_ms < 0 && held ? SWEEP_MS : rest_ms);

		if (fds[0].revents)
			/* the kernel ends the connection with the last descriptor of the device */
			_exit(0);
		if (n > 0 && fds[3].revents)
			handle_mounts(v);
		if (n > 0 && fds[2].revents)
			do_jobs(v);
		if (n > 0 && fds[1].revents)
			handle_events(v);
		pthread_mutex_lock(&v->lock);
		pins_drop_idle(v, IDLE_S);
		streams_drop_idle(v, IDLE_S);
		pthread_mutex_unlock(&v->lock);
	}
	return NULL;
}

void watch_start(struct view *v)
{
	pthread_t thread;

	if (v->watching)
		return;
	v->watching = true;
	if (pthread_create(&thread, NULL, watch_thread, v) == 0)
		pthread_detach(thread);
	else
		v->watching = false; /* no memory: with the next request perhaps */
}
