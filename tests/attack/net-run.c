/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * net-run user|ns|bare COMMAND... - the command in a fresh network namespace behind net_nat, without the rest
 * of a sandbox.
 *
 * For tests/attack/net-nat.py, which runs it in an outer network namespace of its own. "user": root of a user
 * namespace that root made, ids mapped from 100000. "ns": no user namespace, net_namespace_new(). "bare": a
 * network namespace that belongs to the user namespace of the host. The command runs as root inside, with all
 * that root there has, as an attacker would be: what it can't reach, no program inside a real sandbox can. On
 * descriptor 3, if open, it prints: the pid of pasta, microseconds for start and for wait.
 */
#include <linux/sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>

#include "base/cleanup.h"
#include "net/nat.h"
#include "sys/sys.h"

#define WAIT_MS 5000

static int die(const char *what)
{
	perror(what);
	return 125;
}

static int complain(struct kennel_error *err)
{
	fprintf(stderr, "net-run: %s\n", kennel_error_message(err));
	if (kennel_error_hint(err))
		fprintf(stderr, "net-run: hint: %s\n", kennel_error_hint(err));
	return 125;
}

static long now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000L + t.tv_nsec / 1000;
}

static int inside(int go_fd, int netns_fd, char **command)
{
	char c;

	if (netns_fd >= 0 && sys_setns(netns_fd, CLONE_NEWNET) < 0)
		return die("enter the network namespace");

	if (read(go_fd, &c, 1) != 1)
		return 125;
	if (sys_setresgid(0, 0, 0) < 0 || sys_setresuid(0, 0, 0) < 0)
		return die("become root inside");
	if (net_loopback_up() < 0)
		return die("lo up");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("proc", "/proc", "proc", 0, NULL) < 0 || mount("sysfs", "/sys", "sysfs", 0, NULL) < 0)
		return die("mount /proc and /sys");
	execvp(command[0], command);
	return die(command[0]);
}

static int write_map(int pid, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
	static const char map[] = "0 100000 65536\n";
	return fd >= 0 && write(fd, map, strlen(map)) > 0 ? 0 : -1;
}

static int open_ns(int pid, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 || fd > 2 ? fd : fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

static int pid_of(int pidfd)
{
	char path[64], line[128];
	int pid = -1;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "Pid: %d", &pid) == 1)
			break;
	}
	return pid;
}

int main(int argc, char **argv)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	struct net_nat *nat = NULL;
	int go[2], status;

	if (argc < 3 || pipe2(go, O_CLOEXEC) < 0)
		return 125;
	bool user = strcmp(argv[1], "user") == 0, ns = strcmp(argv[1], "ns") == 0;
	struct net_nat_spec spec = { .userns_fd = -EBADF, .netns_fd = -EBADF };
	if (ns && net_namespace_new(&spec.userns_fd, &spec.netns_fd, &err) < 0)
		return complain(err);
	struct clone_args args = {
		.flags = CLONE_NEWNS | CLONE_NEWPID | (user ? CLONE_NEWUSER : 0) | (ns ? 0 : CLONE_NEWNET),
		.exit_signal = SIGCHLD,
	};
	int pid = sys_clone3(&args, sizeof(args));
	if (pid < 0)
		return die("clone3");
	if (pid == 0) {
		close(go[1]);
		_exit(inside(go[0], spec.netns_fd, argv + 2));
	}
	close(go[0]);
	if (user)
		spec.userns_fd = open_ns(pid, "user");
	if (!ns)
		spec.netns_fd = open_ns(pid, "net");
	long start = now_us();
	if (net_nat_start(&spec, &nat, &err) < 0)
		return complain(err);
	long started = now_us();
	if (user && (write_map(pid, "uid_map") < 0 || write_map(pid, "gid_map") < 0))
		return die("write maps");
	if (net_nat_wait(nat, WAIT_MS, &err) < 0) {
		net_nat_free(nat);
		return complain(err);
	}
	dprintf(3, "%d %ld %ld\n", pid_of(net_nat_pidfd(nat)), started - start, now_us() - started);
	(void)!write(go[1], "", 1);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	net_nat_free(nat);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
