/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cgroup/group.h - shared by the files of this folder only: one group as descriptors, and where it is made.
 */
#ifndef KENNEL_CGROUP_GROUP_H
#define KENNEL_CGROUP_GROUP_H

#include "base/cleanup.h"
#include "base/error.h"
#include "cgroup/cgroup.h"
#include "cgroup/layout.h"

#define CGROUP_PREFIX "kennel-"
#define CGROUP_SLICE "kennel.slice"
#define CGROUP_INSIDE "inside" /* see place.c */
#define CGROUP_CALLERS CGROUP_PREFIX "callers"
#define CGROUP_DIRS_MAX 8 /* seven v1 hierarchies and v2 */
#define CGROUP_NAME_MAX 80

struct cgroup_dir {
	bool v2;
	unsigned ctls; /* those wished for that this directory serves */
	int top_fd; /* directory that holds kennel.slice, where the group is in that */
	int parent_fd;
	int fd; /* O_PATH */
	/* O_PATH of the group in it that the sandbox is in, where it must not be in this one */
	int inside_fd;
	int entry_fd; /* v1 only: "tasks", for a process that moves itself */
};

struct cgroup {
	char name[CGROUP_NAME_MAX];
	unsigned n;
	struct cgroup_dir dirs[CGROUP_DIRS_MAX];
};

/* What to make: its name, and the wish's note(). */
struct cgroup_plan {
	const char *name;
	bool background, delegate;
	void (*note)(void *data, int parent_fd, const char *name);
	void *note_data;
};

/*
 * Makes the group in the v1 hierarchy that has one of ctls. 1 done, 0 no such hierarchy is mounted, or a
 * code.
 */
int cgroup_place_v1(const struct cgroup_layout *l, unsigned ctls, const struct cgroup_plan *plan,
		    struct cgroup_dir *ret, struct kennel_error **err) MUST_CHECK;
/* Makes the group in v2, where it can have all of ctls. 0 or a code. */
int cgroup_place_v2(const struct cgroup_layout *l, unsigned ctls, const struct cgroup_plan *plan,
		    struct cgroup_dir *ret, struct kennel_error **err) MUST_CHECK;
/* Is a v2 hierarchy mounted where a group could be made, if one were ours? */
bool cgroup_can_have_v2(const struct cgroup_layout *l);
/* Both texts of /proc that the layout is made of; a given mountinfo is not read again. */
struct cgroup_texts {
	char *mountinfo, *self; /* owned */
};
int cgroup_layout_read(const char *mountinfo, struct cgroup_texts *texts, struct cgroup_layout *ret,
		       struct kennel_error **err) MUST_CHECK;
void cgroup_texts_done(struct cgroup_texts *t);
#define _cleanup_cgroup_texts_ __attribute__((cleanup(cgroup_texts_done)))
/*
 * The group itself, not what is in it, that kennel made for the process of this /proc/PID/cgroup: where ctl
 * is served, in v1 or v2. Return: 1, 0 there is none, or a code.
 */
int cgroup_open_made(const char *of_text, unsigned ctl, int *ret_fd, bool *ret_v2, struct kennel_error **err)
	MUST_CHECK;
/* O_PATH of the mounted directory; -1 and errno, ESTALE where another mount hides it. */
int cgroup_mount_open(const struct cgroup_mount *m);
/* O_PATH of a directory below another one, as cgroup_mount has it: -1 and errno. */
int cgroup_open_below(int root_fd, struct cgroup_slice path);
/* A new group of v1's cpuset has no processors, and nothing can enter it: it gets those of the one above. */
int cgroup_cpuset_inherit(int dir_fd);
/* cpuset: NULL lifts it. Processors that are not there are refused. */
int cgroup_set_cpuset(const struct cgroup_dir *d, const char *cpuset, struct kennel_error **err) MUST_CHECK;
/* io: NULL lifts it. Limits of other disks go. */
int cgroup_set_io(const struct cgroup_dir *d, const struct cgroup_io *io, struct kennel_error **err)
	MUST_CHECK;
/* Reads a small control file below a directory, without its last newline: its length, or -1 and errno. */
int cgroup_read(int dir_fd, const char *file, char *text, size_t size);
/* Writes those limits of a wish that are wished for and that this directory serves. */
int cgroup_set_numbers(const struct cgroup_dir *d, const struct cgroup_wish *w, struct kennel_error **err)
	MUST_CHECK;
/* cgroup_freeze() of one directory. */
int cgroup_freeze_dir(int dir_fd, bool v2, bool freeze, struct kennel_error **err) MUST_CHECK;
/* Ends all processes of it and of those in it, and leaves the groups; patient. Return: none is left. */
bool cgroup_kill_dir(int dir_fd, bool v2);
/* cgroup_limits_read() of one directory. */
int cgroup_dir_limits(const struct cgroup_dir *d, int (*say)(void *data, const char *name, const char *value),
		      void *data);
/* Lets it hand down all controllers of ours that it has; those that can't be are left out. */
void cgroup_enable_all(int dir_fd);
/* Writes a control file below a directory: -1 and errno. */
int cgroup_write(int dir_fd, const char *file, const char *text);
/* The one that processes go into. */
int cgroup_dir_home(const struct cgroup_dir *d);
void cgroup_dir_close(struct cgroup_dir *d);

#endif
