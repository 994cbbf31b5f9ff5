/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * view/internal.h - the state of the view server.
 *
 * A node is a place: (parent, name), bound to the file (device, inode number) that was last seen there. Its
 * number is what the kernel knows. Places and not files, because an overlay above keeps its lower dentries
 * for ever: if the host replaces a file (rename over it, as every package manager does) and the place were
 * given another node, the overlay would answer ESTALE from then on. So a place is bound anew instead, and
 * while anything inside has the old file open (a library that is mapped), the place stays bound to that: what
 * runs inside never sees two versions mixed.
 *
 * Functions here return 0 or a negative errno: the one who asks is the kernel, which wants exactly that. One
 * mutex guards the whole state; it is never held over a call that can wait for a disk or for the kernel's
 * FUSE side.
 */
#ifndef KENNEL_VIEW_INTERNAL_H
#define KENNEL_VIEW_INTERNAL_H

#define FUSE_USE_VERSION 34
#include <fuse3/fuse_lowlevel.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/macro.h"

enum node_flags {
	NODE_HIDDEN = 1 << 0, /* an empty directory that is never looked at */
	NODE_ABOVE_HIDDEN = 1 << 1, /* something below is hidden: children are compared with the list */
	/* the place holds something of another type now; this number is dead */
	NODE_GONE = 1 << 2,
	NODE_BARE = 1 << 3, /* listed without attributes, see list.c */
	NODE_UNWATCHED = 1 << 4, /* can't be watched: answers about its entries hold for a second */
	NODE_FIXED = 1 << 5, /* on a file system that never changes: needs no watch */
};

struct node {
	struct node *parent; /* NULL for the root */
	struct node *hash_next;
	struct node *watch_next; /* others with the same hash of wd */
	uint64_t nlookup; /* references that the kernel holds */
	uint64_t dev, ino; /* what the place is bound to */
	/* of what the kernel may have cached: a file's pages, a directory's times; 0 none */
	uint64_t version;
	uint32_t id;
	uint32_t generation;
	uint32_t kids; /* nodes whose parent this is */
	uint32_t opens; /* open files of the kernel; they share open_fd */
	int open_fd;
	int wd; /* inotify watch, -1 none */
	int32_t pin; /* index in pins, -1 none */
	mode_t type; /* S_IFMT part */
	uint16_t flags;
	char name[];
};

struct node_table {
	struct node **by_id; /* [0] unused; [FUSE_ROOT_ID] the root */
	uint32_t *free_ids;
	uint32_t n_ids, room, n_free;
	struct node **by_name;
	uint32_t name_mask;
	uint32_t count;
	uint32_t generation;
};

/* Directories held open with O_PATH, least recently used first. */
struct pin {
	struct node *node; /* NULL: free */
	int fd;
	bool listable; /* not O_PATH */
	bool listing; /* a stream uses its position */
	uint32_t refs;
	int32_t prev, next;
	int64_t used_s;
};

struct pin_cache {
	struct pin *slots;
	int32_t n, n_used;
	int32_t head, tail; /* head is the least recently used */
	int32_t free;
};

/* A pin in use. */
struct pinned {
	int fd;
	int32_t slot; /* -1: the root, or owned */
	bool owned;
	bool claimed;
};

/* A directory that is being listed: the kernel comes back for the rest. */
struct stream {
	struct node *node; /* NULL: free */
	bool busy;
	bool at_end; /* nothing to come: neither fd nor pin any more */
	int fd; /* the pin's, or its own if that is in use */
	struct pinned pin;
	off_t offset; /* where the next entry starts */
	int64_t used_s;
	uint32_t at, len; /* in data */
	char data[32768];
};

#define STREAMS 6

enum job_kind { JOB_INODE, JOB_ENTRY, JOB_SUBTREE, JOB_LISTS };

/*
 * Something that the kernel is to forget; told by the watch thread, for a worker that told it could deadlock.
 */
struct job {
	struct job *next;
	enum job_kind kind;
	uint32_t id;
	char name[];
};

/* What was answered about a place in a directory that is not watched yet; version 0: nothing there. */
struct note {
	struct note *next;
	struct node *dir; /* with a reference */
	uint64_t version;
	char name[];
};

struct watches {
	int inotify_fd; /* -1 none */
	int wake_fd;
	int mounts_fd; /* /proc/self/mountinfo */
	uint32_t n, max;
	struct node *by_wd[4096];
	struct job *jobs, **jobs_tail;
	struct note *notes; /* the only worker's, then the thread's */
	char *mounts; /* mount points, each with a NUL; empty string ends */
};

#define NEAR_MAX 8

/* See near.c. All workers use it without a lock: a mixed-up figure makes one attempt more. */
struct near {
	int cpus[NEAR_MAX], n_cpus; /* none: it is not for this machine */
	int place; /* where workers should be: 0 anywhere, else 1 + index in cpus */
	int settled, trying; /* trying: place that is measured now, -1 none */
	int64_t cost[NEAR_MAX + 1], settled_cost;
	int64_t answered_ns, sum;
	int n, overlaps, rest, wait;
};

struct view {
	struct fuse_session *session;
	struct near near;
	pthread_mutex_t lock;
	int root_fd;
	int death_fd;
	bool is_system; /* the root is "/": mountinfo's paths are ours */
	bool squash; /* every owner is told as 0 */
	bool is_layer; /* show what an overlay reads: whiteouts, opaque directories */
	const char *only; /* the one name in the root that is shown, or NULL */
	bool no_xattrs; /* asked not to serve any: the kernel then stops asking */
	bool can_skip_opendir;
	bool can_expire; /* entries can be made to be asked for again without being dropped */
	struct node_table table;
	struct pin_cache pins;
	struct stream streams[STREAMS];
	struct watches watch;
	char *const *hide;
	size_t n_hide;
	struct {
		uint64_t dev;
		int kind;
	} filesystems[64]; /* by device: how changes are told, see watch.c */
	unsigned n_filesystems;
	unsigned attr_credit; /* listings with attributes to come, see list.c */
	unsigned bare_lookups;
	unsigned idle_workers, n_workers;
	unsigned crowd; /* how much requests had to wait of late, see main.c */
	unsigned n_answers;
	bool unattended; /* nobody looks whether a worker is stuck; see watch_workers() */
	bool watching; /* the thread is there */
	int64_t watch_at_ms;
	unsigned n_requests;
};

/* node.c */
int node_table_init(struct view *v, const struct stat *root);
struct node *node_get(struct view *v, uint64_t id); /* NULL for a number that the kernel can't know */
/*
 * The node of a place that st was seen at, with one more reference of the kernel's. Lock held. NULL: no
 * memory.
 */
struct node *node_see(struct view *v, struct node *parent, const char *name, const struct stat *st);
struct node *node_find(struct view *v, const struct node *parent, const char *name); /* lock held */
/* Binds the place to what st tells. -ESTALE: another type. Lock held. */
int node_bind(struct view *v, struct node *n, const struct stat *st);
void node_forget(struct view *v, uint64_t id, uint64_t nlookup);
bool node_is_below(const struct node *n, const struct node *dir);
/* Changes whenever the content or the attributes do. Never 0. */
uint64_t node_version(const struct stat *st);
uint64_t node_st_ino(const struct view *v, const struct stat *st);
/* Attributes as the kernel is told them. */
void node_show(const struct view *v, struct stat *st);
/* Is the child called name of parent hidden, or is something below it? Flags. */
unsigned node_hide_flags(const struct view *v, const struct node *parent, const char *name);

/* pin.c */
int pins_init(struct view *v, int32_t n);
int pin_get(struct view *v, struct node *dir, struct pinned *ret);
void pin_put(struct view *v, struct pinned *p);
void pin_put_locked(struct view *v, struct pinned *p);
/* Claims the descriptor's position; false: it has none, or another lists. pin_put() ends it. Lock held. */
bool pin_claim(struct view *v, struct pinned *p);
void pin_drop(struct view *v, struct node *dir); /* lock held */
void pins_drop_idle(struct view *v, int64_t unused_s); /* lock held; 0: all that are not in use */
/* Opens what the node is bound to; flags O_PATH or O_RDONLY. */
int node_open(struct view *v, struct node *n, int flags);
/* Attributes of what is at the place now, binding it anew if need be. */
int node_stat(struct view *v, struct node *n, struct stat *ret);
int64_t now_ms(void);
int64_t now_s(void);

/* watch.c */
int watch_init(struct view *v, uint32_t max);
/* Call before looking into a directory. Return: how long answers about its entries hold, in seconds. */
double watch_dir(struct view *v, struct node *dir, int dir_fd);
/*
 * Such an answer, before there are watches: to be looked at again when there are. timeout is that of
 * watch_dir(); returns how long the answer holds.
 */
double watch_note(struct view *v, struct node *dir, const char *name, uint64_t version, double timeout);
/* Makes the thread, if there is none; from here on watch_dir() watches. Before that there is one worker. */
void watch_start(struct view *v);
void watch_remove(struct view *v, struct node *dir); /* lock held */
/* lock held */
void watch_tell(struct view *v, enum job_kind kind, const struct node *n, const char *name);
/* A worker has something to do: sees to it that somebody looks whether it ever ends. */
void watch_workers(struct view *v);
void *watch_thread(void *view);
double watch_timeout(struct view *v, const struct node *dir);

#define HOLDS_FOR_EVER 86400.0
#define HOLDS_SHORTLY 0.8 /* "within a second" */

/*
 * push.c: gives the kernel the content of a file that is about to be opened for the first time. Did it get
 * all of it?
 */
bool push_file(struct view *v, const struct node *n, int fd, const struct stat *st);

/*
 * near.c: around each request; place is where this worker is. Returns whether the request had been there
 * before the last answer was out: more ask at once than there are workers at work.
 */
void near_init(struct near *n);
bool near_asked(struct near *n, int *place);
void near_answered(struct near *n);

/* main.c: all workers have been at one request each for a while, and others may be waiting. */
void workers_stuck(struct view *v);

/* serve.c, list.c, xattr.c: the requests */
extern const struct fuse_lowlevel_ops view_ops;
void serve_entry(struct view *v, struct node *n, const struct stat *st, double timeout,
		 struct fuse_entry_param *ret);
void serve_hidden_stat(const struct view *v, const struct node *n, struct stat *ret);
void list_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void list_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void list_saw_lookup(struct view *v, struct node *dir, mode_t type); /* lock held */
void streams_drop_idle(struct view *v, int64_t unused_s); /* lock held */
void xattr_get(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size);
void xattr_list(fuse_req_t req, fuse_ino_t ino, size_t size);

#endif
