/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * copy/child.c - the process that copies.
 *
 * It stays outside: root of the machine, working below a descriptor of the sandbox's root. The other
 * way, a process that joins the sandbox's namespaces, is what docker cp, lxc-attach and runc were
 * attacked through: such a process carries descriptors and memory of the host into a place whose root
 * may look at it (CVE-2016-8649, CVE-2019-5736, CVE-2024-21626), it resolves names in a tree that is
 * rearranged under it (CVE-2018-15664), and a FUSE file system mounted inside could hold it for ever.
 * From outside none of that exists: nobody inside sees or traces us, openat2() keeps every lookup
 * below the root, and FUSE turns us away (EACCES), for it serves its own user namespace only. What is
 * left is that our rights are greater than theirs, so a renamed directory or a link could make us do
 * what they can't. Hence copy_check_target_dir(): we write only into directories that their own root
 * may write, and never touch a file system of the kernel (their /proc read with our rights is the
 * machine's).
 *
 * An overlay of another user namespace refuses files whose owner does not exist there (EOVERFLOW), so
 * for copying in our file system ids are the shifted root's. Leaving id 0 drops capabilities from the
 * effective set, so they are put back.
 */
#include "copy/child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/prctl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/sys.h"

#define LOOKUP_TRIES 1024

static size_t append(char *to, size_t at, size_t size, const char *s)
{
	for (; *s && at + 1 < size; s++)
		to[at++] = *s;
	to[at] = '\0';
	return at;
}

/* The path below the source of what is in hand, cut where it is too long. */
static void compose(struct copy_worker *w, const char *name, char *ret, size_t size)
{
	size_t at = append(ret, 0, size, w->depth || !name ? w->label : "");

	for (size_t i = 1; i < w->depth; i++) {
		at = append(ret, at, size, at && ret[at - 1] != '/' ? "/" : "");
		at = append(ret, at, size, w->levels[i].name);
	}
	if (name && w->depth)
		at = append(ret, at, size, at && ret[at - 1] != '/' ? "/" : "");
	append(ret, at, size, name ? name : "");
}

int copy_fail_word(struct copy_report *r, enum copy_step step, const char *word)
{
	if (r->step != COPY_DONE) /* the first failure is the cause */
		return -1;
	r->errnum = errno;
	r->step = step;
	append(r->where, 0, sizeof(r->where), word);
	return -1;
}

int copy_fail(struct copy_worker *w, enum copy_step step, const char *name)
{
	if (w->report->step != COPY_DONE)
		return -1;
	w->report->errnum = errno;
	w->report->step = step;
	compose(w, name, w->report->where, sizeof(w->report->where));
	return -1;
}

void copy_leave_out(struct copy_worker *w, const char *name)
{
	if (w->report->left_out++ == 0)
		compose(w, name, w->report->first_left_out, sizeof(w->report->first_left_out));
}

int copy_check_stop(struct copy_worker *w)
{
	if (!__atomic_load_n(&w->job->shared->stop, __ATOMIC_RELAXED) && getppid() == w->job->parent)
		return 0;
	errno = EINTR;
	return copy_fail(w, COPY_STEP_STOPPED, NULL);
}

void copy_fd_name(int fd, char ret[32])
{
	char digits[12];
	size_t n = 0, at = append(ret, 0, 32, "self/fd/");

	do
		digits[n++] = (char)('0' + fd % 10);
	while ((fd /= 10) > 0);
	while (n)
		ret[at++] = digits[--n];
	ret[at] = '\0';
}

void copy_random_name(char ret[COPY_TEMP_SIZE])
{
	uint64_t v = 0;
	size_t at = append(ret, 0, COPY_TEMP_SIZE, ".kennel-cp-");

	(void)!getrandom(&v, sizeof(v), 0); /* only to be unlike others: the file is made with O_EXCL */
	for (int i = 0; i < 16; i++, v >>= 4)
		ret[at++] = "0123456789abcdef"[v & 15];
	ret[at] = '\0';
}

/*
 * Owner in the target of an id in the source. Ids that the other side does not have are root's inside
 * and nobody's outside.
 */
uint32_t copy_map_id(const struct copy_worker *w, uint32_t id)
{
	const struct copy_job *job = w->job;

	if (!job->mapped)
		return id;
	if (job->target.inside)
		return job->map.base + (id < job->map.count ? id : 0);
	return id - job->map.base < job->map.count ? id - job->map.base : 65534;
}

/* File systems whose files are the kernel's words: with our rights they mean the whole machine. */
int copy_is_kernel_fs(int fd)
{
	static const uint32_t magics[] = {
		/* clang-format off */
		PROC_SUPER_MAGIC, SYSFS_MAGIC, CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, DEBUGFS_MAGIC,
		TRACEFS_MAGIC, SECURITYFS_MAGIC, BPF_FS_MAGIC, SELINUX_MAGIC, SMACK_MAGIC, EFIVARFS_MAGIC,
		PSTOREFS_MAGIC, BINFMTFS_MAGIC, DEVPTS_SUPER_MAGIC, NSFS_MAGIC, RDTGROUP_SUPER_MAGIC,
		AAFS_MAGIC,
		HUGETLBFS_MAGIC, BINDERFS_SUPER_MAGIC, XENFS_SUPER_MAGIC,
		0x62656570, /* configfs */
		0x65735543, /* fusectl */
		0x19800202, /* mqueue */
		/* clang-format on */
	};
	long magic;

	if (sys_fgetfsmagic(fd, &magic) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(magics); i++)
		if ((uint32_t)magic == magics[i])
			return 1;
	return 0;
}

/*
 * May the root inside write here himself? Else a link or a renamed directory could lend him our
 * rights, on a shared tree for one.
 */
int copy_check_target_dir(struct copy_worker *w, int fd, const char *name)
{
	const struct copy_job *job = w->job;
	struct stat st;

	if (!job->target.inside)
		return 0;
	int kernel = copy_is_kernel_fs(fd);
	if (kernel < 0 || fstat(fd, &st) < 0)
		return copy_fail(w, COPY_STEP_TARGET, name);
	if (kernel)
		return copy_fail(w, COPY_STEP_TARGET_KERNEL, name);
	if (job->mapped &&
	    (st.st_uid - job->map.base >= job->map.count || st.st_gid - job->map.base >= job->map.count))
		return copy_fail(w, COPY_STEP_TARGET_FOREIGN, name);
	return 0;
}

static int side_open(const struct copy_side *s, const char *path, int flags)
{
	const struct open_how how = {
		.flags = (uint64_t)(flags | O_CLOEXEC),
		.resolve = s->inside ? RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS : 0,
	};
	int fd = -1;

	/* EAGAIN: something was renamed under us, and ".." would have been unsafe */
	for (int i = 0; i < LOOKUP_TRIES; i++) {
		fd = sys_openat2(s->inside ? s->root_fd : AT_FDCWD, path, &how);
		if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
			break;
	}
	return fd;
}

int copy_open_source(const struct copy_side *s, struct copy_report *r, struct stat *st)
{
	int fd = side_open(s, s->path, O_PATH | (s->must_dir ? O_DIRECTORY : O_NOFOLLOW));

	if (fd < 0 || fstat(fd, st) < 0)
		return copy_fail_word(r, COPY_STEP_SOURCE, s->path);
	if (!S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode) && !S_ISLNK(st->st_mode))
		return copy_fail_word(r, COPY_STEP_SOURCE_KIND, s->path);
	int kernel = s->inside ? copy_is_kernel_fs(fd) : 0;
	if (kernel < 0)
		return copy_fail_word(r, COPY_STEP_SOURCE, s->path);
	if (kernel)
		return copy_fail_word(r, COPY_STEP_SOURCE_KERNEL, s->path);
	return fd;
}

int copy_open_target(const struct copy_side *t)
{
	int fd = side_open(t, t->path, O_RDONLY | O_DIRECTORY | O_NONBLOCK);

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
		fd = side_open(t, t->parent, O_RDONLY | O_DIRECTORY | O_NONBLOCK);
	return fd;
}

static int copy_all(struct copy_worker *w)
{
	const struct copy_side *s = &w->job->source, *t = &w->job->target;
	bool contents = !*s->name;
	struct stat st;
	int src_fd = copy_open_source(s, w->report, &st);

	if (src_fd < 0)
		return -1;
	const char *name = s->name;
	w->dest_fd = side_open(t, t->path, O_RDONLY | O_DIRECTORY | O_NONBLOCK);
	bool exists = w->dest_fd >= 0;
	if (!exists) {
		if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
			return copy_fail_word(w->report, COPY_STEP_TARGET, t->path);
		if (errno == ENOTDIR && t->must_dir)
			return copy_fail_word(w->report, COPY_STEP_TARGET_NOT_DIR, t->path);
		w->dest_fd = side_open(t, t->parent, O_RDONLY | O_DIRECTORY | O_NONBLOCK);
		if (w->dest_fd < 0)
			return copy_fail_word(w->report,
					      errno == ENOENT ? COPY_STEP_TARGET_PARENT : COPY_STEP_TARGET,
					      t->parent);
		if (!*t->name || (t->must_dir && !S_ISDIR(st.st_mode))) {
			errno = ENOENT;
			return copy_fail_word(w->report, COPY_STEP_TARGET_PARENT, t->path);
		}
		name = t->name;
	}
	if (copy_check_target_dir(w, w->dest_fd, exists ? t->path : t->parent) < 0)
		return -1;
	int r = exists && contents ? copy_contents(w, src_fd, w->dest_fd) :
				     copy_entry(w, src_fd, w->dest_fd, name, false);
	return r < 0 ? -1 : copy_walk(w);
}

/* The caller's other descriptors are not ours to hold, and each of them is one directory level less. */
static int keep_only(const struct copy_job *job)
{
	unsigned keep[3] = { (unsigned)job->proc_fd };
	unsigned n = 1, from = 3;

	if (job->source.inside)
		keep[n++] = (unsigned)job->source.root_fd;
	if (job->target.inside)
		keep[n++] = (unsigned)job->target.root_fd;
	for (unsigned i = 1; i < n; i++)
		for (unsigned k = i; k > 0 && keep[k - 1] > keep[k]; k--) {
			unsigned swap = keep[k];

			keep[k] = keep[k - 1];
			keep[k - 1] = swap;
		}
	for (unsigned i = 0; i < n; i++) {
		if (keep[i] > from && sys_close_range(from, keep[i] - 1, 0) < 0)
			return -1;
		if (keep[i] >= from)
			from = keep[i] + 1;
	}
	return sys_close_range(from, ~0U, 0);
}

static int become_inside_root(const struct copy_job *job)
{
	struct sys_cap_data caps[2];

	if (!job->mapped || !job->owners)
		return 0;
	if (sys_capget(caps) < 0)
		return -1;
	sys_setfsgid(job->map.base);
	sys_setfsuid(job->map.base);
	return sys_capset(caps);
}

/*
 * An ordinary user has no rights over files of other ids, whom only the sandbox's user namespace makes
 * theirs. It is joined alone: we stay in our own pid and mount namespaces, not to be seen or traced
 * from inside, and keep our ids, so what is written outside is the user's.
 */
static int join_user_namespace(const struct copy_job *job)
{
	return job->joins ? sys_setns(job->pidfd, CLONE_NEWUSER) : 0;
}

static struct copy_worker *prepare(const struct copy_job *job)
{
	const int prot = PROT_READ | PROT_WRITE, flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	struct rlimit files;

	umask(0);
	if (sys_prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || join_user_namespace(job) < 0 ||
	    keep_only(job) < 0 || getrlimit(RLIMIT_NOFILE, &files) < 0)
		return NULL;
	files.rlim_cur = files.rlim_max;
	(void)!setrlimit(RLIMIT_NOFILE, &files); /* a deep tree then fails with its own words */
	if (job->target.inside && become_inside_root(job) < 0)
		return NULL;
	struct copy_worker *w = mmap(NULL, sizeof(*w), prot, flags, -1, 0);
	if (w == MAP_FAILED)
		return NULL;
	w->max_levels = COPY_LEVELS_MAX;
	w->levels = mmap(NULL, w->max_levels * sizeof(*w->levels), prot, flags, -1, 0);
	if (w->levels == MAP_FAILED)
		return NULL;
	w->job = job;
	w->report = &job->shared->report;
	w->label = job->label ? job->label : job->source.path;
	w->dest_fd = -EBADF;
	return w;
}

_Noreturn void copy_child(const struct copy_job *job)
{
	struct copy_worker *w = prepare(job);

	if (!w) {
		job->shared->report.errnum = errno;
		job->shared->report.step = COPY_STEP_SETUP;
		_exit(1);
	}
	if (copy_all(w) < 0)
		copy_take_back(w);
	_exit(w->report->step != COPY_DONE);
}
