/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vm/program/errand-files.c - files of the guest for the outside, and the other way.
 *
 * Who asks is root of this guest as everything here is, so nothing is kept from anybody. What comes in is
 * first whole, in a hidden directory beside where it goes, and then goes there as a copy does that is made
 * outside.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "copy/child.h"
#include "ext4/pack.h"
#include "ext4/unpack.h"
#include "path/remove.h"
#include "vm/program/errand.h"
#include "vm/program/program.h"

#define CHANGES "delta/0/upper"

static _Noreturn void say(const struct copy_report *r)
{
	(void)!write(2, r, sizeof(*r));
	_exit(r->step != COPY_DONE);
}

static _Noreturn void give_up(enum copy_step step, const char *word)
{
	static struct copy_report r;

	(void)!copy_fail_word(&r, step, word);
	say(&r);
}

static void begin(void)
{
	struct rlimit files;

	errand_runs();
	(void)!signal(SIGPIPE, SIG_IGN); /* it is told */
	umask(0);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)!setrlimit(RLIMIT_NOFILE, &files);
	}
}

void errand_pack(char **args)
{
	static struct pack p = { .out_fd = 1, .plain = true, .is_closed = copy_is_kernel_fs };
	static struct copy_report report;
	struct copy_side source = {
		.inside = true,
		.root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC),
		.path = args[0],
	};
	struct copy_split split;
	struct stat st;

	begin();
	if (copy_split_side(&source, &split) < 0)
		give_up(COPY_STEP_MEMORY, args[0]);
	int fd = copy_open_source(&source, &report, &st);
	if (fd >= 0) {
		(void)!(*source.name ? pack_entry(&p, fd, source.name) : pack_top(&p, fd));
		(void)!pack_end(&p);
		copy_report_pack(&report, &p, args[0]);
	}
	say(&report);
}

void errand_pack_changes(char **args)
{
	static struct pack p = { .out_fd = 1 };
	static struct copy_report report;

	(void)args;
	begin();
	int fd = openat(ERRAND_CHANGES_FD, CHANGES, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		give_up(COPY_STEP_SOURCE, "/");
	(void)!pack_top(&p, fd);
	(void)!pack_end(&p);
	copy_report_pack(&report, &p, "/");
	say(&report);
}

struct stage {
	char name[COPY_TEMP_SIZE];
	int parent_fd, dir_fd, tree_fd, links_fd;
};

static int open_new_dir(int at_fd, const char *name)
{
	return mkdirat(at_fd, name, 0700) < 0 ?
		       -1 :
		       openat(at_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Where the target is, so that what is there need only be named. */
static void make_stage(struct stage *s, const struct copy_side *target)
{
	s->parent_fd = copy_open_target(target);
	if (s->parent_fd < 0)
		give_up(errno == ENOENT ? COPY_STEP_TARGET_PARENT : COPY_STEP_TARGET, target->parent);
	if (copy_is_kernel_fs(s->parent_fd) != 0)
		give_up(COPY_STEP_TARGET_KERNEL, target->path);
	copy_random_name(s->name);
	struct stat st;
	s->dir_fd = open_new_dir(s->parent_fd, s->name);
	if (s->dir_fd >= 0 && (fstat(s->dir_fd, &st) < 0 || st.st_uid != 0 || (st.st_mode & 022)))
		give_up(COPY_STEP_TARGET_CHANGED, target->path);
	s->tree_fd = s->dir_fd < 0 ? -1 : open_new_dir(s->dir_fd, "tree");
	s->links_fd = s->tree_fd < 0 ? -1 : open_new_dir(s->dir_fd, "links");
}

/* Who may write where the target is can exchange the directory, but not what is in it. */
static void remove_stage(const struct stage *s)
{
	if (s->dir_fd >= 0) {
		(void)!path_remove_tree(s->dir_fd, "tree", NULL);
		(void)!path_remove_tree(s->dir_fd, "links", NULL);
	}
	(void)!unlinkat(s->parent_fd, s->name, AT_REMOVEDIR);
}

static void fill_stage(const struct stage *s, const char *source, struct copy_report *report)
{
	struct unpack_loss loss = { 0 }; /* attributes that the guest's file system has not: as with cp -a */
	const struct unpack_where where = {
		.dir_fd = s->tree_fd, .links_fd = s->links_fd, .with_top = true, .loss = &loss
	};
	_cleanup_error_ struct kennel_error *err = NULL;

	if (s->links_fd < 0) {
		(void)!copy_fail_word(report, COPY_STEP_TARGET_WRITE, source);
	} else if (ext4_unpack(0, &where, &err) < 0) {
		errno = kennel_error_errno(err) ? kennel_error_errno(err) : EIO;
		(void)!copy_fail_word(report, COPY_STEP_TARGET_WRITE, source);
	}
}

/* From there to the target, by the code that does it outside. */
static void copy_from_stage(const struct stage *s, const struct copy_side *source,
			    const struct copy_side *target, struct copy_report *report)
{
	struct copy_split split;
	struct copy_job job = {
		.source = { .inside = true,
			    .root_fd = s->tree_fd,
			    .path = *source->name ? source->name : "/" },
		.target = *target,
		.label = source->path,
		.links = true,
		.owners = true,
		.proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC),
		.parent = getpid(),
		.shared = mmap(NULL, sizeof(*job.shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			       -1, 0),
	};

	if (job.shared == MAP_FAILED || copy_split_side(&job.source, &split) < 0) {
		(void)!copy_fail_word(report, COPY_STEP_MEMORY, source->path);
		return;
	}
	pid_t pid = fork();
	int status = 1;
	if (pid == 0)
		copy_child(&job);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	*report = job.shared->report;
	if (pid < 0 || (status != 0 && report->step == COPY_DONE))
		(void)!copy_fail_word(report, COPY_STEP_SETUP, "");
}

void errand_unpack(char **args)
{
	static struct copy_report report;
	struct copy_side source = { .path = args[0] }, target = {
		.inside = true,
		.root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC),
		.path = args[1],
	};
	struct copy_split source_split, target_split;
	struct pollfd in = { .fd = 0, .events = POLLIN };
	struct stage stage;

	begin();
	if (copy_split_side(&source, &source_split) < 0 || copy_split_side(&target, &target_split) < 0)
		give_up(COPY_STEP_MEMORY, args[0]);
	if (poll(&in, 1, -1) < 0 || !(in.revents & POLLIN)) /* it was not found */
		say(&report);
	make_stage(&stage, &target);
	fill_stage(&stage, args[0], &report);
	if (report.step == COPY_DONE)
		copy_from_stage(&stage, &source, &target, &report);
	remove_stage(&stage);
	say(&report);
}
