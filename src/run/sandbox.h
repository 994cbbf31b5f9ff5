/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/sandbox.h - a running sandbox as its monitor holds it, and the steps of a start.
 *
 *   launch.c    the order of a start; clone3(); waiting for the child's word
 *   end.c       the order of an end
 *   prepare.c   the trees: lowers by descriptor, idmapped; the delta
 *   furnish.c   what is put in beside the copy: device nodes, /tmp, /run, resolv.conf, hosts
 *   stage.c     mounts shared on purpose, which must be locked against the root inside
 *   describe.c  the manifest, for who reads the delta from another process
 *   monitor.c   waiting for its end, and following it there (follow.c)
 */
#ifndef KENNEL_RUN_SANDBOX_H
#define KENNEL_RUN_SANDBOX_H

#include <sys/types.h>

#include "base/error.h"
#include "base/log.h"
#include "cgroup/cgroup.h"
#include "conf/spec.h"
#include "delta/layout.h"
#include "idmap/idmap.h"
#include "idmap/user.h"
#include "net/nat.h"
#include "net/switch.h"
#include "run/child.h"
#include "run/janitor.h"
#include "run/keep.h"
#include "run/plan.h"
#include "run/registry.h"

struct sandbox {
	char id[REGISTRY_ID_SIZE];
	struct log_sink log;
	struct mount_table mounts;
	struct plan *plan;
	bool initial_user_ns;
	bool mapped;                    /* has a user namespace */
	bool shifted;                   /* and mounts get its id map */
	struct idmap map;
	bool rootless;                  /* an ordinary user's: user_map instead of map, and a view server */
	/* root in a stack of overlays that bears no more of them: as an ordinary user's, but its ids stay */
	bool deep;
	struct idmap_user user_map;
	int mount_ns_fd;                /* keeps the mounts until we end: see sandbox_leave() */
	int user_ns_fd;                 /* its root looks into the delta, also after the end; or -EBADF */
	int *view_pidfds; /* rootless: the view servers */
	unsigned n_views;
	int view_hold_fd; /* rootless: the servers end when this is closed */
	int *used_view_fds; /* of image_view_shift(): letting go of each takes the kernel some 25 ms */
	unsigned n_used_views;

	int registry_fd;                /* the runtime directory */
	int entry_fd;                   /* holds the lock of our entry */
	int delta_fd;                   /* root of the delta, ids as on disk */
	unsigned n_mounts;              /* places in the delta: the highest index and one */
	struct manifest_plants planted; /* what kennel put into the delta */
	int scratch_fd;                 /* of a kept one: /tmp, /run, /dev stay in memory; else -EBADF */
	struct keep *keep;              /* the container that it is; NULL: thrown away */
	/* the file that its guest has as its disk: nothing of it is ours as long as it runs; or NULL */
	struct keep *held;

	struct janitor_work work;
	struct janitor *janitor;
	struct cgroup *cgroup;
	struct net_nat *nat;
	struct net_switch lan; /* its place in a private network */
	int lease_pidfds[NETWORK_MAX_INTERFACES]; /* what renews addresses (net/dhcp.h) */
	unsigned n_leases;
	int names_pidfd; /* the resolver of names (net/names.h), or -EBADF */
	int lender_pidfd; /* who makes connections to sockets for a guest (net/lend.h), or -EBADF */
	int bus_pidfd; /* the relay to the session bus (net/bus.h), or -EBADF */

	pid_t init_pid;                 /* as seen here */
	int init_pidfd;
	int master_fd;                  /* of its terminal, or -EBADF */
	int tty_fds[SPEC_TTYS_MAX]; /* of its further ones, or -EBADF */
	int word_fd; /* of a guest that goes on when its command has ended: where it says so; or -EBADF */
	bool lingers; /* it has, and goes on; status is the command's */
	bool ended;
	int status;                     /* exit code, once ended */
};

struct unreadable;
struct vm;
struct view_plan;

/* A start under way. */
struct launch {
	struct sandbox *sb;
	const struct spec *spec;
	const struct vm *vm; /* NULL: no kernel of its own */
	struct child_plan child;
	struct child_shared *shared;
	size_t shared_size;             /* with the room for the packed plan */
	char early_hostname[PLAN_HOSTNAME_SIZE];        /* of a child that was cloned before the plan */
	struct child_overlay *child_overlays;
	unsigned *delta_index;          /* of each overlay, in the delta: see keep_place_mounts() */
	struct child_bind *child_binds;
	char **child_strings;           /* owned strings of the child's plan */
	size_t n_child_strings;

	int base_fd;                    /* tree of --base PATH, or -EBADF */
	int *layer_fds;                 /* trees of --layer, as spec->layers */
	/* paths of the host root's own layers, when those are used instead of the mount */
	char **root_layers;
	size_t n_root_layers;
	int *share_fds;                 /* trees of --share and --mount, as spec->mounts */
	struct idmap_writing *id_writing; /* an ordinary user's map, which takes two programs */
	bool mapping;                   /* it was begun */
	int user_ns_fd;
	int nat_user_ns_fd, net_ns_fd;  /* made beforehand for nat at level ns; else -EBADF */
	int join_ns_fd; /* a network that the child is born in (join.c), or -EBADF */
	bool joins_nat; /* and that is another sandbox's behind nat */
	struct spec_interface *interfaces; /* those of the spec, with all that was left open */
	struct buf dns; /* lines of resolv.conf that DHCP servers gave */
	bool has_names; /* its resolver is ours, or that of the network that it joins */
	int *cgroup_fds;
	const char **dev_binds;
	struct view_plan *views; /* rootless: what is shown through FUSE, see views.h */
	unsigned n_views;
	int view_death_fd; /* the servers' end of the pipe that we hold, until they may go on; or -EBADF */
	struct image_view *image_views; /* of root's guest: image-view.h */
	unsigned n_image_views;
	struct unreadable *unreadable;  /* what the user can't read of the base */
	struct unreadable *layers_unreadable; /* the same of each view that is a directory given as a layer */
	struct delta_known *known; /* those and their parents, and /etc, as they are outside */
	size_t n_known;
	struct stat base_stat; /* the same of the base itself, where there is base_fd */
	struct buf *shadows;            /* made-up contents of shadow and gshadow */
	char delta_size[24], delta_inodes[24];
	int go_fd, report_fd;           /* our ends */
	/* set while this thread is in a mount namespace of its own (stage.c) */
	int old_ns_fd, old_cwd_fd;
	bool slots_are_empty;           /* the slots of descriptors that the plan has were set to none */
	/* the failure is one of this isolation level: a weaker one may work */
	bool level_refused;
	bool stack_is_full; /* of overlays; a view may stand on it */
};

/* What is in a kept delta already; NULL for a throwaway. */
static inline const struct delta_before *launch_before(const struct launch *l)
{
	return l->sb->keep ? &l->sb->keep->before : NULL;
}

/* prepare.c: before and after the child exists. */
int prepare_layers(struct launch *l, struct kennel_error **err) MUST_CHECK;
int prepare_trees(struct launch *l, struct kennel_error **err) MUST_CHECK;
/* Empties what --hide and --without name; in the delta, whose uppers exist by now. */
int prepare_hidden(struct launch *l, struct kennel_error **err) MUST_CHECK;
/* Which lower descriptors an overlay has, for the child's plan: fills child_overlays. */
int prepare_slots(struct launch *l, struct kennel_error **err) MUST_CHECK;

/* pack.c: how much memory is shared; may the child be cloned before the plan; the plan into that memory. */
size_t pack_room(const struct spec *spec);
bool pack_can_clone_early(const struct launch *l, enum spec_isolate level);
int pack_plan(struct launch *l, struct kennel_error **err) MUST_CHECK;

/* clone.c: before the plan where pack_can_clone_early() says so, else after it. */
int clone_pipes(struct launch *l, struct kennel_error **err) MUST_CHECK;
int clone_early(struct launch *l, struct kennel_error **err) MUST_CHECK;
/* The child's directory in /proc. */
int clone_open_proc(struct launch *l, struct kennel_error **err) MUST_CHECK;
int clone_planned(struct launch *l, struct kennel_error **err) MUST_CHECK;
int clone_init_file(struct launch *l, struct kennel_error **err) MUST_CHECK;

/* furnish.c */
int furnish_scratch(struct launch *l, int scratch_fd, struct kennel_error **err) MUST_CHECK;
int furnish_files(struct launch *l, int scratch_fd, struct kennel_error **err) MUST_CHECK;

/*
 * describe.c: the text of the manifest; once the trees are there. Appends. in_file: ids are those of the
 * inside.
 */
int describe_start(const struct launch *l, bool in_file, struct buf *b, struct kennel_error **err) MUST_CHECK;

/* stage.c: entering and leaving a mount namespace of our own, and the mounts that are to be locked. */
bool stage_is_needed(const struct launch *l);
int stage_enter(struct launch *l, struct kennel_error **err) MUST_CHECK;
int stage_mounts(struct launch *l, struct kennel_error **err) MUST_CHECK;
int stage_leave(struct launch *l, struct kennel_error **err) MUST_CHECK;

/*
 * The tree at source with its submounts, where they can all be prepared alike, else it alone; where it can't
 * have the id map of the user namespace, without (*ret_plain): what others may read, nothing more.
 * user_ns_fd: below 0 for no map. Return: the detached mount, or a code.
 */
int stage_clone(const char *source, uint64_t flags, int user_ns_fd, bool *ret_plain,
		struct kennel_error **err) MUST_CHECK;
uint64_t stage_flags(const struct spec_mount *m); /* SYS_MOUNT_ATTR_* of what is shared */
void stage_say_plain(const struct log_sink *log, const char *source);

/*
 * network.c: before the clone, at level ns; once the namespace is there; before the go. started is what
 * network_start() returned.
 */
int network_prepare(struct launch *l, struct kennel_error **err) MUST_CHECK;
/* Must its namespace be there as soon as the child is? */
bool network_is_early(const struct plan *p);
int network_start(struct launch *l, int proc_fd, struct kennel_error **err) MUST_CHECK;
int network_finish(struct launch *l, int started, struct kennel_error **err) MUST_CHECK;
/* Others may look at the addresses of kennel's own bridge. */
void network_unlock(struct launch *l);
/* After the sandbox's end: what the machine had of it goes. */
void network_end(struct sandbox *sb);

/* register.c: from here on others know of it. */
int register_sandbox(struct launch *l, struct kennel_error **err) MUST_CHECK;

/* launch.c */
int sandbox_start(const struct spec *spec, const struct log_sink *log, struct sandbox **ret,
		  struct kennel_error **err) MUST_CHECK;
/* end.c: ends it if it runs, removes everything that was made for it. NULL is fine. */
struct sandbox *sandbox_free(struct sandbox *sb);

/*
 * Ends it; what a container in one file has done is then in the file, which is free again. Others: nothing
 * more.
 */
int sandbox_save(struct sandbox *sb, struct kennel_error **err) MUST_CHECK;

/*
 * For a program that ends now: as sandbox_free(), but mounts, delta and memory are left to the janitor, which
 * shares them, so that taking them apart (a millisecond and more) does not keep the caller of the program
 * waiting.
 */
void sandbox_leave(struct sandbox *sb);

/* monitor.c */
int sandbox_run(struct sandbox *sb, int *ret_status, struct kennel_error **err) MUST_CHECK;
int sandbox_wait(struct sandbox *sb, int timeout_ms, int *ret_status, struct kennel_error **err) MUST_CHECK;

#endif
