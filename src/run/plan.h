/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/plan.h - from what is wanted and what the machine has to what will be done. Pure: no descriptor is
 * opened here.
 */
#ifndef KENNEL_RUN_PLAN_H
#define KENNEL_RUN_PLAN_H

#include "base/error.h"
#include "base/strv.h"
#include "conf/spec.h"
#include "layer/layer.h"

/* Made by clone3() at level ns and above; the cgroup namespace comes after the child entered its group. */
#define PLAN_NS_FLAGS (CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS)

struct plan_facts {
	const struct mount_table *mounts;
	const char *id;
	const char *cwd;                /* NULL: unknown */
	const char *term, *lang;        /* of the caller, or NULL */
	bool initial_user_ns;
	bool privileged;                /* root in the initial user namespace */
	bool view; /* a server shows the machine: see plan.view */
	bool stdin_is_tty;
	uint64_t total_memory;          /* bytes */
	uint64_t all_caps;
};

struct plan_overlay {
	const char *target;             /* "/", "/boot": borrowed from the mount table */
	const char *fstype;
	/* the lower is the host's mount at target; else the base path's tree */
	bool from_host;
};

struct plan_hidden {
	unsigned overlay;
	const char *rel;                /* below that overlay's root, without a leading slash */
	bool absent;                    /* gone (--without), else empty (--hide) */
};

struct plan {
	enum spec_isolate isolate;      /* never AUTO */
	enum spec_net net;              /* never AUTO */
	bool net_optional;              /* nat was not asked for: go on without, with a remark */
	unsigned long clone_flags;
	bool new_net, new_sys;
	bool tty;
	unsigned n_ttys; /* further ones, of a container in the background */
	bool vm; /* a kernel of its own: run/vm.h */
	bool view;                      /* an ordinary user's: one overlay over a view of all mounts */
	struct strv view_without;       /* what the view does not show: empty directories there */

	struct plan_overlay *overlays;  /* parents first; [0] is the root */
	size_t n_overlays;
	struct plan_hidden *hidden;
	size_t n_hidden;
	struct strv details;            /* "copied\tPATH\tFSTYPE", ...: one line a mount of the machine */

	uint64_t size_bytes, inodes;    /* of a delta in memory */
	uint64_t room_bytes; /* for changes: the same, or what a guest has for them */
	bool lingers; /* a guest goes on when its command has ended, to be asked for what it changed */
	bool boots; /* what runs is an init, of a guest too */
	uint64_t caps;
	bool set_caps;
	bool filter;                    /* seccomp */
	bool device_policy;             /* needs a control group */
	char *hostname;                 /* NULL: not changed */
	struct strv argv, env;          /* of init (run/init.h) and of the command */
};

/*
 * level: what to plan for where the spec, which has passed spec_check(), leaves it open. The spec and the
 * mount table must outlive the plan.
 */
int plan_new(const struct spec *spec, const struct plan_facts *facts, enum spec_isolate level,
	     struct plan **ret, struct kennel_error **err) MUST_CHECK;
struct plan *plan_free(struct plan *p);

#define PLAN_INIT "/sbin/init" /* what boots where nothing else is said */

#define PLAN_HOSTNAME_SIZE 72
/* What is wanted, else a name made of the container's or of the sandbox's id. */
void plan_default_hostname(const struct spec *spec, const char *id, char ret[PLAN_HOSTNAME_SIZE]);

/*
 * The environment of a command inside: what every one gets, terminal type and language unless they are
 * NULL, and then more. Appends to env.
 */
int plan_make_env(struct strv *env, const char *id, const char *term, const char *lang,
		  const struct strv *more, struct kennel_error **err) MUST_CHECK;

/*
 * The words of init (init.h) that run the command of a spec: as the pid 1 of a start, or for who enters
 * later. Appends to argv.
 */
struct plan_words {
	const char *name;
	int report_fd;
	bool tty;
	unsigned flags; /* enum init_flags; those that follow from the spec are added */
	const char *cwd; /* where to go if the spec does not say, or NULL */
};
int plan_make_argv(struct strv *argv, const struct spec *spec, const struct plan_words *w,
		   struct kennel_error **err) MUST_CHECK;

/* Puts NAME=VALUE in, in the place of an earlier one of that name. */
int plan_set_env(struct strv *env, const char *line, struct kennel_error **err) MUST_CHECK;

static inline void cleanup_planp(struct plan **p)
{
	plan_free(*p);
}
#define _cleanup_plan_ __attribute__((cleanup(cleanup_planp)))

#endif
