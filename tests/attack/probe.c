/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * probe.c - the attacker's program: one static file that runs on the host, in a sandbox, and in a base that
 * holds nothing else.
 *
 *   probe ok                     a benign program: makes a file, reads /dev/zero, forks; prints "usable"
 *   probe cat FILE...            prints files
 *   probe files                  all open descriptors but 0, 1, 2
 *   probe exe                    opens the program of every process for writing
 *   probe chroot FILE            the old ways out of a chroot; prints the file if it is there then
 *   probe handles FILE           opens by handle, the kernel's own and guessed ones, through every mount
 *   probe nodes DIR...           makes and opens devices in these directories; prints those that opened
 *   probe open FILE...           prints those that can be opened for reading or writing
 *   probe writable DIR...        prints files that can be opened for writing; skips processes
 *   probe key put|find|drop NAME a key of this user, and of this session
 *   probe listen NAME, probe connect NAME   unix sockets; @NAME is an abstract one
 *   probe swap A B SECONDS       exchanges two names for so long
 *   probe euid                   the effective user id
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/keyctl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "probe.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static int probe_ok(int argc, char **argv)
{
	int zero_fd = open("/dev/zero", O_RDONLY), status = 1;
	int fd = open("/probe-benign", O_CREAT | O_WRONLY, 0600);
	char c = 1;

	(void)argc, (void)argv;
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || status || fd < 0 || read(zero_fd, &c, 1) != 1 || c)
		return 1;
	puts("usable");
	return 0;
}

static int cat(const char *path)
{
	char data[4096];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	ssize_t n = fd < 0 ? -1 : read(fd, data, sizeof(data));

	if (n > 0)
		fwrite(data, 1, (size_t)n, stdout);
	if (fd >= 0)
		close(fd);
	return n < 0;
}

static int probe_cat(int argc, char **argv)
{
	int r = 0;

	for (int i = 1; i < argc; i++)
		r |= cat(argv[i]);
	return r;
}

static int probe_files(int argc, char **argv)
{
	(void)argc, (void)argv;
	for (int fd = 3; fd < 70000; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			printf("LEAKED %d\n", fd);
	puts("files looked at");
	return 0;
}

static int probe_exe(int argc, char **argv)
{
	DIR *d = opendir("/proc");
	const struct dirent *e;
	char path[300];

	(void)argc, (void)argv;
	while (d && (e = readdir(d))) {
		pid_t pid = number(e->d_name);

		if (pid <= 0 || pid == getpid() || pid == getppid())
			continue;
		snprintf(path, sizeof(path), "/proc/%d/exe", pid);
		/*
		 * Busy while it runs; the attack on runc waited for its end with the descriptor of a reader
		 * in hand.
		 */
		int reader_fd = open(path, O_RDONLY);
		char self[64];
		snprintf(self, sizeof(self), "/proc/self/fd/%d", reader_fd);
		if (open(path, O_WRONLY) >= 0 || open(self, O_WRONLY) >= 0 || truncate(path, 0) == 0)
			printf("OVERWRITABLE %s\n", path);
	}
	puts("programs tried");
	return 0;
}

static int probe_chroot(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	mkdir("/chroot-trap", 0700);
	int root_fd = open("/", O_RDONLY | O_DIRECTORY);
	if (chroot("/chroot-trap") < 0 || fchdir(root_fd) < 0)
		puts("chroot refused");
	for (int i = 0; i < 200; i++)
		(void)!chdir("..");
	(void)!chroot(".");
	return cat(argv[1]) ? 0 : 1;
}

static int probe_handles(int argc, char **argv)
{
	static const char *const mounts[] = { "/", "/tmp", "/run", "/dev", "/proc", "/etc/hosts" };
	union {
		struct file_handle h;
		char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} u;

	(void)argc, (void)argv;
	for (size_t i = 0; i < COUNT(mounts); i++) {
		int fd = open(mounts[i], O_RDONLY | O_CLOEXEC), id, opened;

		u.h.handle_bytes = MAX_HANDLE_SZ;
		if (name_to_handle_at(AT_FDCWD, mounts[i], &u.h, &id, 0) == 0) {
			opened = open_by_handle_at(fd, &u.h, O_RDONLY);
			if (opened >= 0)
				printf("OPENED %s by its handle\n", mounts[i]);
		}
		/* As "shocker" did: the root of an ext4 has inode 2 and generation 0. */
		unsigned guess[2] = { 2, 0 };
		u.h.handle_bytes = sizeof(guess);
		u.h.handle_type = 1;
		memcpy(u.h.f_handle, guess, sizeof(guess));
		if (open_by_handle_at(fd, &u.h, O_RDONLY) >= 0)
			printf("OPENED the root below %s\n", mounts[i]);
	}
	puts("handles tried");
	return 0;
}

static void try_open(const char *path, const char *why)
{
	static const int modes[] = { O_RDONLY, O_WRONLY, O_RDWR };

	for (size_t m = 0; m < COUNT(modes); m++) {
		int fd = open(path, modes[m] | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

		if (fd >= 0) {
			printf("OPENED %s %s\n", path, why);
			close(fd);
		}
	}
}

/*
 * Memory, ports, the log, disks of every kind and number that a machine is likely to have, fuse, tun, kvm,
 * watchdog, input, consoles.
 */
static int probe_nodes(int argc, char **argv)
{
	static const struct {
		mode_t type;
		unsigned major, minor;
	} nodes[] = {
		{ S_IFCHR, 1, 1 },    { S_IFCHR, 1, 2 },    { S_IFCHR, 1, 4 },	  { S_IFCHR, 1, 11 },
		{ S_IFCHR, 4, 0 },    { S_IFCHR, 4, 1 },    { S_IFCHR, 5, 3 },	  { S_IFCHR, 7, 0 },
		{ S_IFCHR, 10, 130 }, { S_IFCHR, 10, 229 }, { S_IFCHR, 10, 200 }, { S_IFCHR, 10, 232 },
		{ S_IFCHR, 10, 237 }, { S_IFCHR, 10, 236 }, { S_IFCHR, 13, 64 },  { S_IFCHR, 21, 0 },
		{ S_IFCHR, 29, 0 },   { S_IFCHR, 226, 0 },  { S_IFCHR, 108, 0 },  { S_IFBLK, 7, 0 },
		{ S_IFBLK, 7, 1 },    { S_IFBLK, 8, 0 },    { S_IFBLK, 8, 1 },	  { S_IFBLK, 252, 0 },
		{ S_IFBLK, 253, 0 },  { S_IFBLK, 254, 0 },  { S_IFBLK, 254, 1 },  { S_IFBLK, 259, 0 },
		{ S_IFBLK, 1, 0 },    { S_IFBLK, 202, 0 },  { S_IFBLK, 43, 0 },
	};
	char path[4200], why[64];

	for (int i = 1; i < argc; i++)
		for (size_t n = 0; n < COUNT(nodes); n++) {
			snprintf(path, sizeof(path), "%s/probe-node", argv[i]);
			snprintf(why, sizeof(why), "(%c %u:%u)", nodes[n].type == S_IFBLK ? 'b' : 'c',
				 nodes[n].major, nodes[n].minor);
			if (mknod(path, nodes[n].type | 0666, makedev(nodes[n].major, nodes[n].minor)) < 0)
				continue;
			if (nodes[n].type == S_IFBLK)
				printf("MADE %s %s\n", path, why);
			try_open(path, why);
			unlink(path);
		}
	puts("nodes tried");
	return 0;
}

static int probe_open(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		try_open(argv[i], "");
	puts("opens tried");
	return 0;
}

static void walk_writable(int dir_fd, const char *path, unsigned depth)
{
	DIR *d = fdopendir(dir_fd);
	const struct dirent *e;
	char name[4200];

	while (d && (e = readdir(d))) {
		if (*e->d_name == '.' ||
		    (strcmp(path, "/proc") == 0 && (number(e->d_name) || strstr(e->d_name, "self"))))
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
		int flags = e->d_type == DT_DIR ? O_RDONLY | O_DIRECTORY : O_WRONLY | O_NONBLOCK | O_NOCTTY;
		if (e->d_type != DT_DIR && e->d_type != DT_REG)
			continue;
		int fd = openat(dirfd(d), e->d_name, flags | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0 && e->d_type == DT_DIR && depth < 64) {
			walk_writable(fd, name, depth + 1);
		} else if (fd >= 0) {
			printf("WRITABLE %s\n", name);
			close(fd);
		}
	}
	if (d)
		closedir(d);
}

static int probe_writable(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		walk_writable(open(argv[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC), argv[i], 0);
	puts("all files tried");
	return 0;
}

static long find_key(const char *name)
{
	static const int rings[] = { KEY_SPEC_USER_KEYRING, KEY_SPEC_SESSION_KEYRING,
				     KEY_SPEC_USER_SESSION_KEYRING, KEY_SPEC_PROCESS_KEYRING };
	long id = syscall(SYS_request_key, "user", name, NULL, 0);

	for (size_t i = 0; i < COUNT(rings) && id < 0; i++)
		id = syscall(SYS_keyctl, KEYCTL_SEARCH, rings[i], "user", name, 0);
	return id;
}

static int probe_key(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	if (strcmp(argv[1], "put") == 0)
		return syscall(SYS_add_key, "user", argv[2], "secret", 6, KEY_SPEC_USER_KEYRING) < 0 ||
		       syscall(SYS_add_key, "user", argv[2], "secret", 6, KEY_SPEC_SESSION_KEYRING) < 0;
	if (strcmp(argv[1], "drop") == 0) {
		for (long id;
		     (id = find_key(argv[2])) >= 0 && syscall(SYS_keyctl, KEYCTL_INVALIDATE, id) == 0;)
			;
		return 0;
	}
	puts(find_key(argv[2]) >= 0 ? "FOUND the key" : "no such key");
	return 0;
}

static int unix_socket(const char *name, struct sockaddr_un *a, socklen_t *ret_len)
{
	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	strncpy(a->sun_path, name, sizeof(a->sun_path) - 1);
	*ret_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(a->sun_path));
	if (*name == '@')
		a->sun_path[0] = '\0';
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int probe_listen(int argc, char **argv)
{
	struct sockaddr_un a;
	socklen_t len;

	if (argc < 2)
		return 2;
	int fd = unix_socket(argv[1], &a, &len);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, len) < 0 || listen(fd, 5) < 0)
		return 1;
	signal(SIGPIPE, SIG_IGN);       /* the other side may be gone before its answer */
	puts("listening");
	fflush(stdout);
	for (;;) {
		int c = accept(fd, NULL, NULL);

		(void)!write(c, "host", 4);
		close(c);
	}
}

static int probe_connect(int argc, char **argv)
{
	struct sockaddr_un a;
	socklen_t len;

	if (argc < 2)
		return 2;
	int fd = unix_socket(argv[1], &a, &len);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, len) < 0)
		printf("no connection: %s\n", strerror(errno));
	else
		puts("CONNECTED");
	return 0;
}

static int probe_swap(int argc, char **argv)
{
	if (argc < 4)
		return 2;
	time_t end = time(NULL) + number(argv[3]);
	while (time(NULL) < end)
		for (int i = 0; i < 1000; i++)
			syscall(SYS_renameat2, AT_FDCWD, argv[1], AT_FDCWD, argv[2], RENAME_EXCHANGE);
	return 0;
}

static int probe_euid(int argc, char **argv)
{
	(void)argc, (void)argv;
	printf("euid %u\n", geteuid());
	return 0;
}

/* By the kernel's own signal, not by one that is sent. */
static int probe_fault(int argc, char **argv)
{
	(void)argc, (void)argv;
	puts("faults");
	fflush(stdout);
	*(volatile int *)8 = 0;
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(int argc, char **argv);
	} commands[] = {
		{ "ok", probe_ok },	    { "cat", probe_cat },	    { "files", probe_files },
		{ "exe", probe_exe },	    { "chroot", probe_chroot },	    { "handles", probe_handles },
		{ "nodes", probe_nodes },   { "open", probe_open },	    { "writable", probe_writable },
		{ "key", probe_key },	    { "listen", probe_listen },	    { "connect", probe_connect },
		{ "swap", probe_swap },	    { "euid", probe_euid },	    { "calls", probe_calls },
		{ "typing", probe_typing }, { "terminal", probe_terminal }, { "forks", probe_forks },
		{ "ptys", probe_ptys },	    { "memory", probe_memory },	    { "inodes", probe_inodes },
		{ "deep", probe_deep },	    { "fault", probe_fault },
	};

	for (size_t i = 0; argc > 1 && i < COUNT(commands); i++)
		if (strcmp(argv[1], commands[i].name) == 0) {
			int r = commands[i].run(argc - 1, argv + 1);

			fflush(stdout);
			return r;
		}
	fputs("probe: unknown sub-command; they stand at the top of probe.c\n", stderr);
	return 2;
}
