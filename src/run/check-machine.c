/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/check-machine.c - tries packages, devices and control groups, and reads the limits.
 *
 * Everything that is made here is gone when the call returns: groups are removed, the loop device clears
 * itself, files have no name. Programs are run only to be asked for their version, with nothing in their
 * environment.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/parse.h"
#include "base/strv.h"
#include "cgroup/cgroup.h"
#include "cgroup/group.h"
#include "layer/internal.h"
#include "layer/layer.h"
#include "net/rules.h"
#include "ns/ns.h"
#include "path/path.h"
#include "run/check.h"
#include "run/registry.h"
#include "run/viewer.h"
#include "run/vm.h"
#include "sys/sys.h"
#include "view/view.h"

#define TOOL_MS 2000
#define SILENT_MS 2000
#define WORDS_MAX 4096
#define LABEL_MAX 256

const char *const check_ns_names[CHECK_NS_LIMITS] = { "user", "mnt", "pid", "ipc", "uts", "net", "cgroup" };

/* The first line of a small file, the caller's; NULL where it can't be read. */
static char *read_line(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[LABEL_MAX];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n <= 0)
		return NULL;
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return strdup(text);
}

static int wait_tool(pid_t pid, int words_fd, struct buf *words)
{
	_cleanup_close_ int pidfd = sys_pidfd_open(pid, 0);
	struct pollfd fd = { .fd = pidfd, .events = POLLIN };
	int status;

	if (pidfd < 0 || poll(&fd, 1, TOOL_MS) <= 0)
		(void)!kill(pid, SIGKILL); /* our own child, not yet waited for */
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	char text[WORDS_MAX];
	ssize_t n = read(words_fd, text, sizeof(text));
	if (n > 0)
		buf_add(words, text, (size_t)n);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Runs "PATH [WORD]" and takes what it says on both streams. Return: exit status, or -1. */
static int ask_tool(const char *path, const char *word, struct buf *words)
{
	char *const argv[] = { (char *)path, (char *)word, NULL }, *const no_env[] = { NULL };
	posix_spawn_file_actions_t actions;
	int fds[2];
	pid_t pid;

	/* Non-blocking: what does not fit is lost, and a grandchild that keeps the pipe holds up nobody. */
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return -1;
	_cleanup_close_ int read_fd = fds[0];
	_cleanup_close_ int write_fd = fds[1];
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, write_fd, 1);
	posix_spawn_file_actions_adddup2(&actions, write_fd, 2);
	int r = posix_spawn(&pid, path, &actions, NULL, argv, no_env);
	posix_spawn_file_actions_destroy(&actions);
	return r ? -1 : wait_tool(pid, read_fd, words);
}

static int probe_pasta(struct check_facts *f)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_buf_ struct buf words = { 0 };

	if (path_find_tool("pasta", &path, NULL) != 1)
		return hint(&f->pasta_err, fail(&f->pasta_err, KENNEL_E_MISSING, "pasta is not installed"),
			    "install the package passt");
	if (ask_tool(path, "--version", &words) != 0)
		return hint(&f->pasta_err,
			    fail(&f->pasta_err, KENNEL_E_MISSING, "\"%s --version\" fails", path),
			    "install the package passt again");
	f->pasta_version = strndup(buf_str(&words), strcspn(buf_str(&words), "\n"));
	return 0;
}

static int probe_vm(struct check_facts *f)
{
	_cleanup_free_ char *remedy = NULL;
	struct vm_kernel k = { 0 };

	int r = vm_find(&k, &remedy, &f->vm_err);
	if (r == 0) {
		f->vm_release = strdup(k.release);
		f->vm_remedy = remedy != NULL;
	}
	vm_kernel_done(&k);
	return r;
}

static void probe_map_tool(const char *name, struct check_tool *ret)
{
	struct stat st;
	char caps[64];

	if (path_find_tool(name, &ret->path, NULL) == 1 && stat(ret->path, &st) == 0)
		ret->privileged = (st.st_uid == 0 && (st.st_mode & S_ISUID)) ||
				  getxattr(ret->path, "security.capability", caps, sizeof(caps)) > 0;
}

/* Without words the view server only complains; where a library is not there, the loader ends it with 127. */
static int probe_view(struct check_facts *f)
{
	_cleanup_buf_ struct buf words = { 0 };
	int r = viewer_find_program(VIEW_PROGRAM, &f->view_path, &f->view_err);

	if (r < 0)
		return r;
	int status = ask_tool(f->view_path, NULL, &words);
	if (status >= 0 && status != 127)
		return 0;
	return hint(&f->view_err, fail(&f->view_err, KENNEL_E_MISSING, "\"%s\" does not run", f->view_path),
		    "install the package libfuse3-3 (fuse3-libs elsewhere); ldd names what it lacks");
}

static bool has_library(const char *name)
{
	void *lib = dlopen(name, RTLD_NOW | RTLD_LOCAL);

	if (lib)
		dlclose(lib);
	return lib != NULL;
}

static void probe_image_reader(struct check_facts *f)
{
	_cleanup_free_ char *path = NULL;

	(void)!viewer_find_program(VIEW_IMAGE_PROGRAM, &path, &f->image_err);
	f->has_squashfs = has_library("libsquashfs.so.1");
	f->has_ext2fs = has_library("libext2fs.so.2");
}

/* May an entry be made there? Such a file never gets a name. */
static int try_entry(const char *dir, struct kennel_error **err)
{
	_cleanup_close_ int fd = open(dir, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);

	if (fd < 0)
		return hint(err, fail_errno(err, "make a file in \"%s\"", dir),
			    "mount a tmpfs on it that belongs to this user and has mode 0700");
	return 0;
}

static int probe_runtime(struct check_facts *f)
{
	const char *base = f->root ? "/run" : secure_getenv("XDG_RUNTIME_DIR");
	struct stat st;

	if (!base || base[0] != '/')
		return hint(
			&f->runtime_err,
			fail(&f->runtime_err, KENNEL_E_NOTFOUND, "XDG_RUNTIME_DIR is not set"),
			"log in with a session (package libpam-systemd), or: export XDG_RUNTIME_DIR=DIR, a directory of your own");
	if (asprintf(&f->runtime_dir, "%s/kennel", base) < 0) {
		f->runtime_dir = NULL;
		return fail(&f->runtime_err, KENNEL_E_NOMEM, "out of memory");
	}
	if (lstat(f->runtime_dir, &st) < 0) /* the first start makes it */
		return try_entry(base, &f->runtime_err);
	_cleanup_close_ int fd = registry_open(&f->runtime_err);
	return fd < 0 ? fd : try_entry(f->runtime_dir, &f->runtime_err);
}

/* Groups without a registered sandbox are leftovers to "kennel gc", which waits for this lock. */
static int lock_registry(const struct check_facts *f)
{
	struct stat st;

	if (f->runtime_err || !f->runtime_dir || lstat(f->runtime_dir, &st) < 0)
		return -EBADF;
	int fd = registry_open(NULL);
	if (fd >= 0)
		(void)!flock(fd, LOCK_SH);
	return MAX(fd, -EBADF);
}

static int probe_cgroup_ctl(unsigned ctl, const struct device_policy *devices, const char *mountinfo,
			    bool no_scope, struct kennel_error **ret_why)
{
	const struct cgroup_wish wish = {
		.memory_bytes = ctl == CGROUP_MEMORY ? UINT64_C(1) << 30 : 0,
		.pids = ctl == CGROUP_PIDS ? 1000 : 0,
		.cpus_milli = ctl == CGROUP_CPU ? 1000 : 0,
		.devices = ctl == CGROUP_DEVICES ? devices : NULL,
		.no_scope = no_scope,
		.mountinfo = mountinfo,
	};
	_cleanup_cgroup_ struct cgroup *group = NULL;
	char id[32];

	snprintf(id, sizeof(id), "check-%d-%u", getpid(), ctl);
	int r = cgroup_new(id, &wish, &group, ret_why);
	return r < 0 ? r : cgroup_destroy(group, ret_why);
}

static int probe_cgroups(struct check_facts *f, struct kennel_error **err)
{
	_cleanup_cgroup_texts_ struct cgroup_texts texts = { 0 };
	_cleanup_device_policy_ struct device_policy *devices = NULL;
	_cleanup_close_ int lock_fd = lock_registry(f);
	struct cgroup_layout layout;

	int r = cgroup_layout_read(NULL, &texts, &layout, err);
	if (r == 0)
		r = device_policy_new(&devices, err);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < layout.n; i++) {
		f->cgroup_v1 |= !layout.mounts[i].v2;
		f->cgroup_v2 |= layout.mounts[i].v2;
	}
	bool silent = false; /* systemd, or its bus: it is waited for once */
	for (unsigned i = 0; i < CHECK_CGROUP_CTLS; i++) {
		if (1u << i == CGROUP_DEVICES && !f->root) /* guards nodes that only root can make */
			continue;
		const int64_t begun = clock_ms();
		int probed = probe_cgroup_ctl(1u << i, devices, texts.mountinfo, silent, &f->cgroup_err[i]);
		silent |= probed < 0 && clock_ms() - begun >= SILENT_MS;
	}
	return 0;
}

/* Without a source nothing can be mounted; but who may not at all hears EPERM before. Return: 0 or errno. */
static int try_filesystem(const char *type)
{
	_cleanup_close_ int fs_fd = sys_fsopen(type);

	if (fs_fd < 0)
		return errno;
	return sys_fsconfig(fs_fd, SYS_FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0 && errno == EPERM ? EPERM : 0;
}

/*
 * This program is no erofs image; but where only devices will do, the kernel says ENOTBLK before it looks
 * inside. A memory file would not do, for the kernel takes none.
 */
static bool erofs_takes_files(void)
{
	_cleanup_close_ int fs_fd = sys_fsopen("erofs");

	return fs_fd >= 0 &&
	       sys_fsconfig(fs_fd, SYS_FSCONFIG_SET_STRING, "source", "/proc/self/exe", 0) == 0 &&
	       sys_fsconfig(fs_fd, SYS_FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0 && errno != ENOTBLK;
}

static int probe_images(struct check_facts *f, struct kennel_error **err)
{
	_cleanup_close_ int file_fd = sys_memfd_create("kennel-check", MFD_CLOEXEC);

	f->has_blkid = has_library("libblkid.so.1");
	if (file_fd < 0 || ftruncate(file_fd, 65536) < 0)
		return fail_errno(err, "make a memory file");
	_cleanup_close_ int loop_fd = loop_attach(file_fd, "kennel check", false, &f->loop_err);
	f->squashfs_errnum = try_filesystem("squashfs");
	f->erofs_errnum = try_filesystem("erofs");
	f->erofs_from_file = !f->erofs_errnum && erofs_takes_files();
	return 0;
}

static void probe_security(struct check_facts *f)
{
	_cleanup_free_ char *enabled = read_line("/sys/module/apparmor/parameters/enabled");
	struct stat st;

	f->apparmor = enabled && enabled[0] == 'Y';
	f->apparmor_restricts = ns_read_sysctl("/proc/sys/kernel/apparmor_restrict_unprivileged_userns");
	f->selinux_enforcing = ns_read_sysctl("/sys/fs/selinux/enforce") == 1;
	f->label = f->apparmor ? read_line("/proc/self/attr/apparmor/current") : NULL;
	if (!f->label)
		f->label = read_line("/proc/self/attr/current");
	f->profile_installed = stat(KENNEL_APPARMOR_PROFILE, &st) == 0;
}

static void probe_limits(struct check_facts *f)
{
	struct rlimit files = { 0 };
	char path[64];

	(void)!getrlimit(RLIMIT_NOFILE, &files);
	f->open_files = files.rlim_cur;
	f->open_files_hard = files.rlim_max;
	f->mount_max = ns_read_sysctl("/proc/sys/fs/mount-max");
	f->watches = ns_read_sysctl("/proc/sys/fs/inotify/max_user_watches");
	f->memfd_noexec = ns_read_sysctl("/proc/sys/vm/memfd_noexec");
	for (unsigned i = 0; i < CHECK_NS_LIMITS; i++) {
		snprintf(path, sizeof(path), "/proc/sys/user/max_%s_namespaces", check_ns_names[i]);
		f->ns_limits[i] = ns_read_sysctl(path);
	}
}

int check_probe_machine(struct check_facts *f, struct kennel_error **err)
{
	(void)!probe_pasta(f); /* what they return is among the facts too */
	(void)!probe_runtime(f);
	(void)!probe_vm(f);
	if (!f->root) {
		probe_map_tool("newuidmap", &f->newuidmap);
		probe_map_tool("newgidmap", &f->newgidmap);
		(void)!probe_view(f);
	}
	probe_image_reader(f);
	if (f->root) {
		f->ip_forward = ns_read_sysctl("/proc/sys/net/ipv4/ip_forward");
		(void)!net_rules_forward_drops(&f->forward_drops);
	}
	probe_security(f);
	probe_limits(f);
	int r = probe_cgroups(f, err);
	return r < 0 || !f->root ? r : probe_images(f, err);
}
