/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * copy/child.h - the process that copies: its orders, its report, its state.
 *
 *   side.c    a path into the directory and the last name
 *   child.c   becoming that process; finding source and target; what counts as which
 *   tree.c    walking a tree on a stack of descriptors; taking back what is half made
 *   file.c    one file, link or directory's attributes
 *   link.c    which files were hard links of each other
 *
 * It is a raw clone of a caller that may have threads, so it allocates by mmap() alone and makes only
 * system calls. All its names are single components below descriptors; the only strings with a "/" are the
 * two that the user typed.
 */
#ifndef KENNEL_COPY_CHILD_H
#define KENNEL_COPY_CHILD_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/macro.h"
#include "idmap/idmap.h"

#define COPY_TEMP_SIZE 32
#define COPY_LEVELS_MAX 8192u
#define COPY_CHUNK (8u << 20) /* between two looks whether somebody wants us to stop */
#define COPY_ENDLESS_MAX (64u << 20) /* of a file that says it is empty and yet can be read */

enum copy_step {
	COPY_DONE = 0,
	COPY_STEP_SETUP,
	COPY_STEP_SOURCE,
	COPY_STEP_SOURCE_KIND,
	COPY_STEP_SOURCE_KERNEL,
	COPY_STEP_SOURCE_READ,
	COPY_STEP_SOURCE_ENDLESS,
	COPY_STEP_TARGET,
	COPY_STEP_TARGET_PARENT,
	COPY_STEP_TARGET_NOT_DIR,
	COPY_STEP_TARGET_IS_DIR,
	COPY_STEP_TARGET_KERNEL,
	COPY_STEP_TARGET_FOREIGN,
	COPY_STEP_TARGET_CHANGED,
	COPY_STEP_TARGET_WRITE,
	COPY_STEP_ITSELF,
	COPY_STEP_DEEP,
	COPY_STEP_MEMORY,
	COPY_STEP_STOPPED,
	COPY_STEP_PIPE,
	COPY_STEPS,
};

struct copy_report {
	int32_t step, errnum;
	uint64_t left_out;
	char where[1024];
	char first_left_out[1024];
};

struct copy_shared { /* one page that both processes have */
	int32_t stop;
	struct copy_report report;
};

struct copy_side {
	bool inside;
	int root_fd; /* inside: the sandbox's root; else AT_FDCWD */
	const char *path; /* as typed, "." for nothing */
	const char *parent, *name; /* the same in two; name "" where the path ends in "/.", "/.." or is "/" */
	bool must_dir; /* typed with a "/" at its end, or ends in "." or ".." */
};

struct copy_split {
	char *parent, *name;
};

struct copy_job {
	struct copy_side source, target;
	const char *label; /* the user's word for the source */
	bool links; /* the source goes away afterwards: its files get the target's names where they can */
	bool mapped;
	struct idmap map;
	bool owners; /* we are root: owners are set */
	bool joins; /* the user namespace of pidfd, and no other of its namespaces */
	int pidfd;
	int proc_fd;
	pid_t parent;
	struct copy_shared *shared;
};

/* One directory that is being copied. */
struct copy_level {
	int src_fd, dst_fd;
	struct stat st; /* of the source */
	uint64_t dst_dev, dst_ino;
	bool made; /* by us, so it gets the source's attributes */
	bool unseen; /* it or one above it still has a temporary name: nobody looks for what is in it */
	bool closed; /* its contents are not copied */
	char staged[COPY_TEMP_SIZE]; /* its temporary name, or "" */
	char name[NAME_MAX + 1];
	uint32_t node; /* link.c */
	size_t pos, len;
	_Alignas(8) char entries[4096];
};

struct copy_pool { /* memory that grows by mremap() */
	char *data;
	size_t len, room;
};

struct copy_links {
	struct copy_pool names, table;
	size_t n, slots;
};

struct copy_worker {
	const struct copy_job *job;
	struct copy_report *report;
	struct copy_level *levels;
	size_t depth, max_levels;
	struct copy_links links;
	int dest_fd; /* directory in which level 0, or the one file, gets its name */
	const char *label; /* the user's word for the source */
	char text[PATH_MAX + 1];
	char names[65536], value[65536]; /* extended attributes: the kernel's own limits */
	uint32_t chain[COPY_LEVELS_MAX];
};

_Noreturn void copy_child(const struct copy_job *job);

/* Every function below: 0 or more, or -1 with the report filled in. */
int copy_fail(struct copy_worker *w, enum copy_step step, const char *name);
int copy_fail_word(struct copy_report *r, enum copy_step step, const char *word);
/* O_PATH, or -1 with the report filled in. */
int copy_open_source(const struct copy_side *s, struct copy_report *r, struct stat *ret);
/*
 * Where the copy will get its name, as far as that can be told without the source: a directory, or -1 and
 * errno.
 */
int copy_open_target(const struct copy_side *t);
/* pack.c: adds what became of it. */
struct pack;
void copy_report_pack(struct copy_report *r, const struct pack *p, const char *source);
/* side.c: parent, name and must_dir of a side with a path; s is the caller's. -1: no memory. */
int copy_split_side(struct copy_side *side, struct copy_split *s);
void copy_split_done(struct copy_split *s);
#define _cleanup_copy_split_ __attribute__((cleanup(copy_split_done)))
int copy_check_stop(struct copy_worker *w);
void copy_leave_out(struct copy_worker *w, const char *name);
int copy_is_kernel_fs(int fd); /* 1, 0, or -1 and errno */
int copy_check_target_dir(struct copy_worker *w, int fd, const char *name);
void copy_fd_name(int fd, char ret[32]); /* "self/fd/N" */
void copy_random_name(char ret[COPY_TEMP_SIZE]);
uint32_t copy_map_id(const struct copy_worker *w, uint32_t id);

/* tree.c: copies one thing of any kind to dst_fd/name. */
int copy_entry(struct copy_worker *w, int pin_fd, int dst_fd, const char *name, bool unseen);
/* The contents of a directory into one that exists. */
int copy_contents(struct copy_worker *w, int pin_fd, int dst_fd);
int copy_walk(struct copy_worker *w);
void copy_take_back(struct copy_worker *w);

/* file.c */
int copy_file(struct copy_worker *w, int pin_fd, const struct stat *st, int dst_fd, const char *name,
	      bool unseen);
int copy_symlink(struct copy_worker *w, int pin_fd, const struct stat *st, int dst_fd, const char *name,
		 bool unseen);
int copy_attributes(struct copy_worker *w, int src_fd, int dst_fd, const struct stat *st, const char *name);
int copy_put_in_place(struct copy_worker *w, int dst_fd, const char *staged, const char *name, bool is_dir);

/* link.c */
uint32_t copy_links_dir(struct copy_worker *w, uint32_t parent, size_t depth, const char *name);
/* 1 made dst_fd/staged a link of the earlier copy, 0 there is none. */
int copy_links_try(struct copy_worker *w, const struct stat *st, int dst_fd, const char *staged,
		   const char *name);
int copy_links_add(struct copy_worker *w, const struct stat *st, const struct stat *made, const char *name);

#endif
