/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/child.h - what the cloned child does before it becomes pid 1: system calls, in a fixed order, from a
 * finished list.
 *
 * The parent prepares every string and array before clone3(); they reach the child as its copy of our memory.
 * What is made later, while the child already builds its network namespace (descriptors of mounts, which need
 * the child's user namespace), goes through struct child_shared, one shared page, and is valid once the go
 * byte came. Descriptors are numbers in a table that both share (CLONE_FILES) until the child takes its own
 * copy after the go.
 */
#ifndef KENNEL_RUN_CHILD_H
#define KENNEL_RUN_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "conf/spec.h"
#include "tty/tty.h"

struct nest_place;
struct sock_fprog;

/*
 * In the order in which they happen; child_step_phrase() turns them into words. init's own steps follow
 * (run/init.h).
 */
enum child_step {
	CHILD_STEP_SESSION = 1,
	CHILD_STEP_CGROUP,
	CHILD_STEP_NAMESPACES,
	CHILD_STEP_FUSE,
	CHILD_STEP_VIEW,
	CHILD_STEP_FROZEN,
	CHILD_STEP_LOOPBACK,
	CHILD_STEP_HOSTNAME,
	CHILD_STEP_PRIVATE,
	CHILD_STEP_IDS,
	CHILD_STEP_PARENT,
	CHILD_STEP_STAGE,
	CHILD_STEP_DELTA,
	CHILD_STEP_LAYER,
	CHILD_STEP_OVERLAY,
	CHILD_STEP_TOP,
	CHILD_STEP_PLACE,
	CHILD_STEP_TARGET,
	CHILD_STEP_ATTACH,
	CHILD_STEP_TMP,
	CHILD_STEP_DEV,
	CHILD_STEP_DEV_NODE,
	CHILD_STEP_DEVPTS,
	CHILD_STEP_PROC,
	CHILD_STEP_SYS,
	CHILD_STEP_MASK,
	CHILD_STEP_NEST,
	CHILD_STEP_CGROUP_MOUNT,
	CHILD_STEP_BIND,
	CHILD_STEP_PTY,
	CHILD_STEP_PIVOT,
	CHILD_STEP_CAPS,
	CHILD_STEP_NO_NEW_PRIVS,
	CHILD_STEP_SECCOMP,
	CHILD_STEP_FILES,
	CHILD_STEP_INIT,
};

/*
 * Not failures: an ordinary user's child has opened /dev/fuse; has made its mounts; one that becomes the
 * inside's own init has a table of descriptors of its own, so that end-of-file of the reports says that it
 * runs; one that is held waits for a second go.
 */
#define CHILD_OPENED (-1)
#define CHILD_READY (-2)
#define CHILD_APART (-3)
#define CHILD_HELD (-4)

#define CHILD_TEXT_SIZE 160

struct child_report {           /* at most PIPE_BUF, so it comes whole or not at all */
	int32_t step, errnum;
	int32_t index;          /* which overlay, bind, ... */
	char text[CHILD_TEXT_SIZE];     /* the kernel's own words, or "" */
};

struct child_overlay {
	const char *target;     /* below the root without a leading slash; "" is the root itself */
	unsigned first_lower, n_lowers; /* in child_shared.lower_fds, uppermost first */
	unsigned n_frozen; /* of these, the first ones: changes of the container that are frozen */
};

struct child_bind {
	const char *target;     /* as above */
	/* host path of the locked mount in our copy of the mount namespace; NULL: see shared->bind_fds */
	const char *staged;
	/* an ordinary user's that may not be written: the view that shows it; else -1 */
	int view;
	const char *only; /* the one file of that view, or NULL: the whole */
	bool is_dir;
};

/*
 * What the root of a sandbox with a guest has beside the places, for changes while it runs
 * (run/graft-layer.c): the copy without what is mounted in it, the changes over it by number (00 its own,
 * then frozen ones), and room for layers that come.
 */
#define CHILD_TOP_TREE "tree"
#define CHILD_TOP_COPY "copy"
#define CHILD_TOP_UPPER "upper"
#define CHILD_TOP_LIVE "live"
#define CHILD_TOP_LIVE_MAX 8u
#define CHILD_TOP_STAGE CHILD_TOP_LIVE "/stage"

#define CHILD_MAX_FDS 1000
#define CHILD_MAX_PLACES 56u

struct child_place { /* a file or directory of the machine beside the tree, see run/vm.h */
	const char *name; /* below the root */
	/* by which an ordinary user's child finds it; else it is in shared->place_fds */
	const char *source;
	bool is_dir, writable;
	bool is_layer; /* only if shared->layered */
};

struct child_plan;

struct child_shared {
	const struct child_plan *plan;  /* the finished one, valid once the go byte came */
	int delta_fd;           /* mount that holds the delta */
	/* mount that holds tmp, run, dev: the same one for a throwaway in memory, or -EBADF */
	int scratch_fd;
	int lower_fds[CHILD_MAX_FDS];
	int upper_fds[CHILD_MAX_FDS], work_fds[CHILD_MAX_FDS];
	/* of each overlay: lowers from here on get one of their own; 0: none */
	uint16_t wrapped_from[CHILD_MAX_FDS];
	/* from the child of an ordinary user, one a view: /dev/fuse, opened in its namespace; the mount */
	int fuse_fds[CHILD_MAX_FDS], view_fds[CHILD_MAX_FDS];
	int place_fds[CHILD_MAX_PLACES];
	bool layered; /* a guest reads images by itself, and sees what lies over them: run/vm-layers.h */
	int init_fd;            /* the memory file of init */
	bool user_xattr;        /* the delta's kind of overlay xattrs */
	bool mount_cgroup; /* the group that it is in, at /sys/fs/cgroup */
	bool handed_over; /* and it may be written to */
	bool bind_devices;      /* the parent could make no device nodes: bind the host's */
	int master_fd;          /* from the child: the pty's master, or -EBADF */
	int tty_fds[SPEC_TTYS_MAX]; /* the same of further ones, which are pts/1 and so on */
	int tap_fd;             /* the tap device for pasta, of an ordinary user; or negative */
	int second_tap_fd; /* or that of a private network */
	int tap_errno;          /* from the child of an ordinary user: why there is no tap device, or 0 */
	int mount_ns_fd;        /* from the child: its mount namespace, or -EBADF */
	/* from the child: its devpts; the parent closes what is left of it in the shared table */
	int pts_fd;
};

struct child_mask {
	const char *path;       /* below the root */
	bool is_dir;
};

struct child_plan {
	struct child_shared *shared;
	int go_fd, report_fd, parent_pidfd;

	const int *cgroup_fds;          /* v1 groups to enter, by writing "0" */
	unsigned n_cgroup_fds;
	int net_ns_fd;                  /* a network namespace to enter, or -EBADF */
	unsigned long unshare_flags;    /* done at once, while the parent prepares */
	/* the mount namespace only after the go: the parent stages mounts to be locked in it */
	bool late_mount_ns;
	bool keeps_groups; /* where an ordinary user has one id only, and in there, nobody may change them */
	bool user_ns, pid_ns;
	/* an ordinary user's: the child itself makes the view's mount and the delta's */
	bool rootless;
	unsigned n_views; /* the lowers of the root, uppermost first; then what is shared read-only */
	/* the view of this number is no view but this directory, a path as those of frozen layers; or NULL */
	const char *own_base;
	unsigned own_view;
	/* of the root's frozen layers, uppermost first: from the container's directory, or absolute */
	const char *const *frozen;
	bool tap;                       /* and the tap device for nat */
	bool second_tap; /* and one for a private network beside it */
	const char *delta_size, *delta_inodes;  /* decimal; iff rootless */
	int keep_fd;                    /* an ordinary user's container, which has "delta" in it; or -EBADF */
	int death_signal;
	bool loopback;
	const char *hostname;
	size_t hostname_len;

	/* a directory of the host that is covered while we put things together */
	const char *stage;
	const struct child_overlay *overlays;
	unsigned n_overlays;
	unsigned attr_flags;            /* of overlays */
	const struct child_bind *binds;
	unsigned n_binds;
	/* names of host devices to bind below dev, iff shared->bind_devices */
	const char *const *dev_binds;
	unsigned n_dev_binds;
	/* The root is another one, with these in it, and the copy is its "tree": run/vm.h. */
	bool vm;
	const struct child_place *places;
	unsigned n_places;
	bool new_sys;                   /* a sysfs of the own network namespace; else the host's, read-only */
	const struct child_mask *masks; /* covered by an empty directory or /dev/null */
	unsigned n_masks;
	/* directories below the root that get a read-only bind on themselves */
	const char *const *read_only;
	unsigned n_read_only;
	const struct nest_place *nest; /* directories of the delta that are bound as they are, or NULL */
	unsigned n_nest;
	bool tty;
	unsigned n_ttys;
	struct tty_start tty_start;

	bool set_caps;
	uint64_t caps;
	unsigned last_cap;
	bool no_new_privs;
	const struct sock_fprog *filter;        /* NULL: none */
	bool becomes; /* INIT_BECOME */
	bool held; /* stands still once more before it executes init */
	char *const *argv, *const *envp;        /* of init */
};

_Noreturn void child_main(const struct child_plan *p);

/* What step was tried, for a person: "mount the copy of". Not for the child. */
const char *child_step_phrase(int step);

#endif
