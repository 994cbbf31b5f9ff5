/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vm/program/guest-root.c - the root that commands in the guest see: the tree of the machine, read-only over
 * hostfs, under an overlay whose changes are in memory or on the guest's disk.
 *
 * The kernel's modules, /dev and its like are mounted over directories that a layer below the tree brings, so
 * that a tree which has none of them gets no change. Nothing is mounted where the tree has something else.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/macro.h"
#include "vm/program/program.h"

#define ROOT "/root"
#define DISK "/disk"
#define MODULES NET_MODULES
#define UPPER DISK "/delta/0/upper"
#define WORK DISK "/delta/0/work"
#define FORGET_TURNS 6
#define FORGET_AGAIN_MS 10
#define INODES_A_MS 20 /* no guest reads more new files in a millisecond */
#define LAYERS "/layered"
#define HIDDEN_FS MS_NOSUID | MS_NOEXEC | MS_NODEV

static void must_mount(struct guest *g, const char *what, const char *at, const char *type,
		       unsigned long flags, const char *options)
{
	char text[160];

	(void)!mkdir(at, 0755);
	if (mount(what, at, type, flags, options) == 0)
		return;
	snprintf(text, sizeof(text), "mount %s (%s)", at, type);
	guest_fail(g, errno, text);
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd >= 0) {
		(void)!write(fd, text, strlen(text));
		close(fd);
	}
}

/* In the order in which the initramfs has them; what the kernel has by itself is no failure. */
static void load_modules(struct guest *g)
{
	char path[64], text[160];

	for (unsigned i = 0;; i++) {
		snprintf(path, sizeof(path), "/modules/%u.ko", i);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return;
		if (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST) {
			snprintf(text, sizeof(text), "load the module %s", path);
			guest_fail(g, errno, text);
		}
		close(fd);
	}
}

void guest_prepare(struct guest *g)
{
	must_mount(g, "proc", "/proc", "proc", HIDDEN_FS, NULL);
	write_file("/proc/sys/kernel/hotplug", "\n"); /* for each device it would execute that */
	load_modules(g);
	must_mount(g, "tree", "/tree", "hostfs", MS_RDONLY, "/tree");
	must_mount(g, "slots", "/slots", "hostfs", MS_RDONLY, "/run");
	g->slots_fd = open("/slots/" SLOTS_NAME, O_RDONLY | O_CLOEXEC);
	/* without reading ahead, for what is not there yet would be seen as it was */
	if (g->slots_fd < 0 || posix_fadvise(g->slots_fd, 0, 0, POSIX_FADV_RANDOM) != 0)
		guest_fail(g, errno, "open the slots");
}

/* Where the modules go below the root; NULL: the tree has no place for them, or nothing that loads them. */
static const char *modules_parent(void)
{
	static const char *const loaders[] = { "usr/bin/kmod", "bin/kmod", "usr/bin/busybox", "bin/busybox" };
	struct stat st;
	bool loads = false;

	for (unsigned i = 0; i < ARRAY_SIZE(loaders) && !loads; i++) {
		char path[40];

		snprintf(path, sizeof(path), "/tree/%s", loaders[i]);
		loads = lstat(path, &st) == 0;
	}
	if (!loads)
		return NULL;
	if (lstat("/tree/lib", &st) == 0 && S_ISDIR(st.st_mode))
		return "lib";
	return lstat("/tree/usr/lib", &st) == 0 && S_ISDIR(st.st_mode) ? "usr/lib" : NULL;
}

static void make_dirs(const char *path)
{
	char part[PATH_MAX];

	for (size_t i = 1; path[i] && i < sizeof(part); i++) {
		if (path[i] != '/')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		(void)!mkdir(part, 0755);
	}
	(void)!mkdir(path, 0755);
}

struct lowers {
	const char *text; /* before the tree: guest_mount_layers() */
	unsigned images;
	bool whole;
};

/* On a disk with the attributes that all may read and write, for who takes the changes from there. */
static void mount_overlay(struct guest *g, const struct lowers *l, bool disk)
{
	const char *lowers = l->text, *tree = l->whole ? "" : "/tree:";
	char options[LOWERS_MAX + 200];

	/*
	 * In memory there are no attributes that all may have, so the overlay's marks are others there, and
	 * those of images count only in an overlay of their own. Of one image they can be done without: below
	 * it is the tree at most, which is right already.
	 */
	if (!disk && l->images > 1) {
		snprintf(options, sizeof(options), "lowerdir=%s%s/below,userxattr", lowers, tree);
		must_mount(g, "layers", LAYERS, "overlay", MS_RDONLY, options);
		lowers = "";
		tree = LAYERS;
	}
	snprintf(options, sizeof(options),
		 "lowerdir=%s%s%s,upperdir=" UPPER ",workdir=" WORK ",xino=off,index=off%s", lowers, tree,
		 lowers == l->text ? "/below" : "", disk ? ",userxattr" : "");
	must_mount(g, "root", ROOT, "overlay", 0, options);
}

static void make_below(char *ret_modules, size_t size)
{
	static const char *const places[] = { "dev", "proc", "run", "sys", "tmp" };
	const char *parent = modules_parent();
	char at[160], from[160];
	struct utsname u;

	ret_modules[0] = '\0';
	(void)!uname(&u);
	(void)!mkdir(MODULES, 0755);
	snprintf(from, sizeof(from), "/modules/%s", u.release);
	if (parent && mount("modules", MODULES, "hostfs", MS_RDONLY, from) == 0) {
		snprintf(at, sizeof(at), "/below/%s/modules/%s", parent, u.release);
		make_dirs(at);
		snprintf(ret_modules, size, ROOT "/%s/modules/%s", parent, u.release);
	}
	(void)!mkdir("/below", 0755);
	for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
		snprintf(at, sizeof(at), "/below/%s", places[i]);
		(void)!mkdir(at, 0755);
	}
}

static void mount_changes(struct guest *g, bool disk, const char *size)
{
	static const char *const types[] = { "ext4", "btrfs", "xfs" };
	char options[64] = "mode=0755";
	struct stat st;

	(void)!mkdir(DISK, 0700);
	if (!disk) {
		if (size)
			snprintf(options, sizeof(options), "mode=0755,size=%s", size);
		must_mount(g, "changes", DISK, "tmpfs", 0, options);
	}
	for (unsigned i = 0; disk; i++) {
		if (i == ARRAY_SIZE(types))
			guest_fail(g, errno, "mount /dev/ubda");
		if (mount("/dev/ubda", DISK, types[i], MS_NOATIME, NULL) == 0)
			break;
	}
	g->disk = disk;
	g->changes_fd = open(DISK, O_PATH | O_DIRECTORY | O_CLOEXEC);
	/* A new root directory is as the tree's own. */
	const bool is_new = lstat(UPPER, &st) < 0;
	make_dirs(UPPER);
	make_dirs(WORK);
	if (is_new && stat("/tree", &st) == 0) {
		(void)!chown(UPPER, st.st_uid, st.st_gid);
		(void)!chmod(UPPER, st.st_mode & 07777);
	}
}

static void loopback_up(void)
{
	struct ifreq r = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd >= 0) {
		(void)!ioctl(fd, SIOCSIFFLAGS, &r);
		close(fd);
	}
}

/* Below the new root, where it has the directory. */
static void mount_in(const char *type, const char *at, unsigned long flags, const char *options)
{
	char path[128];
	struct stat st;

	snprintf(path, sizeof(path), ROOT "%s", at);
	if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode))
		(void)!mount(type, path, type, flags, options);
}

static void furnish_dev(void)
{
	static const char *const links[][2] = {
		{ "/proc/self/fd", "/dev/fd" },
		{ "fd/0", "/dev/stdin" },
		{ "fd/1", "/dev/stdout" },
		{ "fd/2", "/dev/stderr" },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(links); i++)
		(void)!symlink(links[i][0], links[i][1]);
	(void)!unlink(GUEST_LINE); /* the line is nobody's business */
	(void)!mkdir("/dev/pts", 0755);
	(void)!mkdir("/dev/shm", 01777);
	(void)!mkdir("/dev/mqueue", 0755);
	(void)!mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "mode=0620,ptmxmode=0666,gid=5");
	(void)!mount("shm", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777");
	(void)!mount("mqueue", "/dev/mqueue", "mqueue", HIDDEN_FS, NULL);
	(void)!chmod("/dev/ptmx", 0666);
}

void guest_make_mount_point(const char *path, bool is_dir)
{
	make_dirs(path);
	if (!is_dir && rmdir(path) == 0) {
		int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

		if (fd >= 0)
			close(fd);
	}
}

/* A hostfs has no root but a directory: of that of a file one name is shown. */
static int mount_shared_file(const char *from, const char *at, unsigned number)
{
	char dir[PATH_MAX], hidden[PATH_MAX + 40];
	const char *base = strrchr(from, '/') + 1;

	snprintf(dir, sizeof(dir), "%.*s", (int)(base - 1 - from), from);
	snprintf(hidden, sizeof(hidden), "/share-%u", number);
	(void)!mkdir(hidden, 0700);
	if (mount("share", hidden, "hostfs", MS_NODEV, dir) < 0)
		return -1;
	snprintf(hidden, sizeof(hidden), "/share-%u/%s", number, base);
	return mount(hidden, at, NULL, MS_BIND, NULL);
}

static void mount_share(struct guest *g, const char *path, unsigned number)
{
	char at[PATH_MAX], from[PATH_MAX], text[160];
	struct stat st;

	snprintf(at, sizeof(at), ROOT "%s", path);
	snprintf(from, sizeof(from), "/tree%s", path);
	const bool is_dir = stat(from, &st) < 0 || S_ISDIR(st.st_mode);
	/* below what is the guest's own, like /tmp, nothing is there yet */
	if (lstat(at, &st) < 0)
		guest_make_mount_point(at, is_dir);
	if ((is_dir ? mount("share", at, "hostfs", MS_NODEV, from) : mount_shared_file(from, at, number)) ==
	    0)
		return;
	snprintf(text, sizeof(text), "mount the share %.100s", path);
	guest_fail(g, errno, text);
}

static void enter_root(struct guest *g)
{
	if (mount("/dev", ROOT "/dev", NULL, MS_MOVE, NULL) < 0)
		guest_fail(g, errno, "move /dev into the root");
	if (chdir(ROOT) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0)
		guest_fail(g, errno, "enter the root");
}

static unsigned long count_inodes(int fd)
{
	char text[64];
	const ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	text[MAX(n, (ssize_t)0)] = '\0';
	return strtoul(text, NULL, 10);
}

/*
 * Those of the overlay hold those of hostfs, which go in the second turn; and what was looked up just now
 * stays for one turn more. Return: how many there are.
 */
static unsigned long forget_inodes(int nr_fd, int drop_fd, unsigned long most)
{
	unsigned long n = count_inodes(nr_fd);

	for (unsigned i = 0; i < FORGET_TURNS && n > most; i++) {
		(void)!write(drop_fd, "2", 1);
		n = count_inodes(nr_fd);
	}
	return n;
}

/*
 * hostfs holds a file of the machine open for each one that this kernel remembers, so it must not remember
 * more of them than linux.uml may open: a process of its own has it forget what is not in use, once half of
 * that were added to those that it has begun with. It looks again before the rest can have come.
 */
static void watch_inodes(const char *limit)
{
	const unsigned long room = limit ? strtoul(limit, NULL, 10) / 2 : 0;
	const int nr_fd = open("/proc/sys/fs/inode-nr", O_RDONLY | O_CLOEXEC);
	const int drop_fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
	const unsigned long most = nr_fd < 0 ? 0 : count_inodes(nr_fd) + room;

	if (!room || nr_fd < 0 || drop_fd < 0 || fork() != 0) {
		close_fd(nr_fd);
		close_fd(drop_fd);
		return;
	}
	for (unsigned long stuck_ms = FORGET_AGAIN_MS;;) {
		const unsigned long n = forget_inodes(nr_fd, drop_fd, most);

		/* all in use: to try again and again at once only takes time */
		stuck_ms = n > most ? MIN(2 * stuck_ms, 5000UL) : FORGET_AGAIN_MS;
		const unsigned long ms = n > most ? stuck_ms : (most - n) / INODES_A_MS;

		clock_pause_ms((unsigned)MIN(MAX(ms, 5UL), 5000UL));
	}
}

static const char *value_of(char *config, size_t len, const char *key)
{
	const size_t n = strlen(key);

	for (char *p = config; p < config + len; p += strlen(p) + 1)
		if (!strncmp(p, key, n) && p[n] == '=')
			return p + n + 1;
	return NULL;
}

static void set_limits(const char *pids)
{
	struct sysinfo info;
	char text[32];

	if (!pids || sysinfo(&info) < 0)
		return;
	/* the kernel's own threads count, too */
	snprintf(text, sizeof(text), "%lu", strtoul(pids, NULL, 10) + info.procs);
	write_file("/proc/sys/kernel/threads-max", text);
}

void guest_make_root(struct guest *g, char *config, size_t len)
{
	struct lowers lowers;
	char modules[200];
	struct stat st;

	if (len && config[len - 1] != '\0')
		guest_fail(g, EPROTO, "understand the supervisor");
	const char *hostname = value_of(config, len, "hostname");
	if (hostname)
		(void)!sethostname(hostname, strlen(hostname));
	g->boot = value_of(config, len, "boot");
	watch_inodes(value_of(config, len, "files"));
	set_limits(value_of(config, len, "pids"));
	loopback_up();
	const bool disk = value_of(config, len, "disk");
	mount_changes(g, disk, value_of(config, len, "size"));
	make_below(modules, sizeof(modules));
	lowers.text = guest_mount_layers(config, len, &lowers.images, &lowers.whole);
	mount_overlay(g, &lowers, disk);
	furnish_dev();
	if (modules[0] && lstat(modules, &st) == 0 && S_ISDIR(st.st_mode))
		(void)!mount(MODULES, modules, NULL, MS_BIND, NULL);
	mount_in("proc", "/proc", HIDDEN_FS, NULL);
	mount_in("sysfs", "/sys", HIDDEN_FS, NULL);
	mount_in("cgroup2", "/sys/fs/cgroup", HIDDEN_FS, NULL);
	mount_in("tmpfs", "/run", MS_NOSUID | MS_NODEV, "mode=0755");
	mount_in("tmpfs", "/tmp", MS_NOSUID | MS_NODEV, "mode=1777");
	for (char *p = config; p < config + len; p += strlen(p) + 1)
		if (!strncmp(p, "share=", 6))
			mount_share(g, p + 6, (unsigned)(p - config));
		else if (net_configure(p) < 0)
			guest_fail(g, errno, p);
	g->names_fd = value_of(config, len, "names") ? guest_listen_for_names() : -1;
	guest_make_sockets(g, config, len, ROOT);
	enter_root(g);
	guest_place_sockets(g, config, len);
}

_Noreturn void guest_power_off(struct guest *g)
{
	char path[40];

	sync();
	if (g->disk) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", g->changes_fd);
		(void)!mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY, NULL);
		if (mount(NULL, path, NULL, MS_REMOUNT | MS_RDONLY, NULL) < 0)
			write_file("/proc/sysrq-trigger", "u");
		sync();
	}
	for (;;)
		(void)!reboot(RB_POWER_OFF);
}
