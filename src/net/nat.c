/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * net/nat.c - runs pasta for a sandbox.
 *
 * pasta's sockets are in our network namespace, its tap device is in the sandbox's. To make that device it
 * needs CAP_SYS_ADMIN over the sandbox's network namespace, and over nothing else, so it gets:
 *  - the id "nobody" of the host (65534), not 0: the host's abstract sockets believe the id of their peer
 *    (CVE-2020-15257), and not an id of the sandbox's range either, whose processes it could be taken for;
 *  - CAP_SYS_ADMIN as an ambient capability, which it loses when it joins the sandbox's user namespace: from
 *    there on it is root of that namespace and nobody here. Without a user namespace to join it would keep
 *    that one, and start with CAP_NET_ADMIN, which it drops itself; net_namespace_new() is there to make this
 *    needless;
 *  - a pid namespace of its own, below ours: it isn't in the sandbox's /proc and sees nobody;
 *  - three descriptors: 0 and 1 are the namespaces (newer ones close everything from 3 on, so no other
 *    numbers do), 2 is our pipe. A path below /proc/PID would need CAP_SYS_PTRACE, and the pid could be
 *    somebody else's by then.
 * It is executed in our user namespace and joins the other later by itself: so its memory belongs to ours,
 * and root inside could not trace it even if it saw it. pasta then leaves the file system and loads its own
 * seccomp filter.
 *
 * Ready means that its pid file was written, which is after all configuration. The pid file is the pipe on
 * descriptor 2. In the foreground, since only then is it our child, is ended for certain, and has an exit
 * status.
 */
#include "net/nat.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/if_tun.h>
#include <linux/mount.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "net/hand.h"
#include "net/tap.h"
#include "path/path.h"
#include "sys/sys.h"

#define NOBODY_ID 65534u
#define TUN_DIR "/dev/net"
#define TUN_PATH TUN_DIR "/tun"
#define TUN_MAJOR 10
#define TUN_MINOR 200
#define WORDS_MAX 2048          /* of pasta's last words */
#define TAP_GAP 64 /* none of its numbers is free in between: the tap comes behind its ports */

struct net_nat {
	int pidfd;
	int words_fd;           /* read end of pasta's stderr and pid file, until it is ready */
	struct buf words;
	int tap_fd;             /* to be handed to pasta (hand.c), or -EBADF */
	int hand_fd;            /* the socket that its listener comes over, then the listener */
	bool is_listener;
};

/* Everything that the child needs, made by the parent. */
struct pasta_plan {
	char *tool;
	struct strv argv;
	unsigned run_as_id;     /* 0: as we are */
	uint32_t caps;          /* ambient, of the first 32 */
	int fds[3];             /* become 0, 1, 2; all >= 3 */
	int hand_fd;            /* becomes 3, for hand_listen(); or -EBADF */
	int dev_fd;             /* a detached mount for /dev/net, or -EBADF */
};

enum pasta_step { PASTA_DEVICES, PASTA_FDS, PASTA_IDS, PASTA_CAPS, PASTA_HAND, PASTA_EXEC };

/* On the pipe in front of anything else: mark is a byte that pasta never writes. */
struct pasta_report {
	char mark;
	int32_t step, errnum;
};

static void plan_done(struct pasta_plan *p)
{
	free(p->tool);
	strv_done(&p->argv);
	close_fd(p->dev_fd);
}
#define _cleanup_plan_ __attribute__((cleanup(plan_done)))

static void nat_cleanup(struct net_nat **nat)
{
	net_nat_free(*nat);
}
#define _cleanup_nat_ __attribute__((cleanup(nat_cleanup)))

int net_nat_available(void)
{
	_cleanup_free_ char *tool = NULL;

	return path_find_tool("pasta", &tool, NULL) == 1;
}

/* What is published of one kind, in words of pasta's; nothing is "none", for its default is everything. */
static int add_ports(struct strv *argv, const struct net_nat_spec *spec, bool udp, struct kennel_error **err)
{
	const char *option = udp ? "-u" : "-t";
	bool any = false;
	int r = 0;

	for (size_t i = 0; i < spec->n_ports && r == 0; i++) {
		const struct net_port *p = &spec->ports[i];

		if (p->udp != udp)
			continue;
		any = true;
		r = strv_add(argv, option, err);
		if (r == 0)
			r = strv_addf(argv, err, "%s%s%u:%u", p->at, p->at[0] ? "/" : "", p->outside,
				      p->inside);
	}
	if (r == 0 && !any)
		r = strv_add(argv, option, err);
	return r == 0 && !any ? strv_add(argv, "none", err) : r;
}

/*
 * Options that all versions have. -T, -U: no port of the machine's leads there from inside; the defaults
 * would forward all that are bound, both ways. --no-map-gw: the gateway's address does not stand for the
 * host's loopback. DHCP and router advertisements are parsers that nobody needs when pasta configures the
 * interface.
 */
int net_nat_argv(const char *tool, const struct net_nat_spec *spec, unsigned run_as_id, struct strv *ret,
		 struct kennel_error **err)
{
	static const char *const fixed[] = {
		"--foreground",
		"--quiet",
		"--config-net",
		"--no-map-gw",
		"--no-dhcp",
		"--no-dhcpv6",
		"--no-ra",
		"--no-netns-quit",
		"-T",
		"none",
		"-U",
		"none",
		"--dns-forward",
		NET_DNS_FORWARD4,
		"--dns-forward",
		NET_DNS_FORWARD6,
		"--pid",
		"/proc/self/fd/2",
	};
	_cleanup_strv_ struct strv argv = { 0 };
	int r = strv_add(&argv, tool, err);

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(fixed); i++)
		r = strv_add(&argv, fixed[i], err);
	if (r == 0)
		r = add_ports(&argv, spec, false, err);
	if (r == 0)
		r = add_ports(&argv, spec, true, err);
	if (r == 0 && run_as_id)
		r = strv_addf(&argv, err, "--runas=%u:%u", run_as_id, run_as_id);
	if (r == 0 && spec->userns_fd >= 0)
		r = strv_add(&argv, "--userns=/proc/self/fd/1", err);
	else if (r == 0)
		r = strv_add(&argv, "--netns-only", err);
	if (r == 0 && spec->tap_fd >= 3)
		r = strv_add(&argv, "--ns-ifname=" NET_TAP_NAME, err);
	if (r == 0)
		r = strv_add(&argv, "--netns=/proc/self/fd/0", err);
	if (r < 0)
		return r;
	*ret = argv;
	argv = (struct strv) { 0 };
	return 0;
}

/*
 * A /dev/net for the pasta process alone, where the real tun device is closed to others than root. udev opens
 * it to everybody, as what it can do is limited by CAP_NET_ADMIN over a network namespace, but not every
 * machine has udev.
 */
static int make_tun_dir(int *ret_fd, struct kennel_error **err)
{
	_cleanup_close_ int fs_fd = sys_fsopen("tmpfs");
	if (fs_fd < 0)
		return fail_errno(err, "make a file system for " TUN_PATH);
	if (sys_fsconfig(fs_fd, SYS_FSCONFIG_SET_STRING, "mode", "0755", 0) < 0 ||
	    sys_fsconfig(fs_fd, SYS_FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return fail_errno(err, "set up a file system for " TUN_PATH);
	_cleanup_close_ int dir_fd = sys_fsmount(fs_fd, SYS_MOUNT_ATTR_NOSUID | SYS_MOUNT_ATTR_NOEXEC);
	if (dir_fd < 0)
		return fail_errno(err, "mount a file system for " TUN_PATH);
	if (mknodat(dir_fd, "tun", S_IFCHR | 0600, makedev(TUN_MAJOR, TUN_MINOR)) < 0 ||
	    fchownat(dir_fd, "tun", NOBODY_ID, NOBODY_ID, AT_SYMLINK_NOFOLLOW) < 0)
		return fail_errno(err, "make a device node for " TUN_PATH);
	*ret_fd = take_fd(&dir_fd);
	return 0;
}

static int plan_tun(struct pasta_plan *p, struct kennel_error **err)
{
	struct stat st;

	if (stat(TUN_PATH, &st) < 0)
		return hint(err, fail_errno(err, "find the device " TUN_PATH),
			    "load the module tun (modprobe tun), or use --net none or --net host");
	if (p->run_as_id == 0 || (st.st_mode & 0006) == 0006)
		return 0;
	return make_tun_dir(&p->dev_fd, err);
}

static int plan_make(const struct net_nat_spec *spec, int pipe_fd, struct pasta_plan *p,
		     struct kennel_error **err)
{
	int r = path_find_tool("pasta", &p->tool, err);
	if (r < 0)
		return r;
	if (r == 0)
		return hint(err, fail(err, KENNEL_E_MISSING, "pasta is not installed"),
			    "install the package passt, or use --net none or --net host");
	p->run_as_id = geteuid() == 0 ? NOBODY_ID : 0;
	if (p->run_as_id)
		p->caps = 1u << CAP_SYS_ADMIN;
	if (p->run_as_id && spec->userns_fd < 0)
		p->caps |= 1u << CAP_NET_ADMIN;
	p->fds[0] = spec->netns_fd;
	p->fds[1] = spec->userns_fd >= 0 ? spec->userns_fd : pipe_fd;
	p->fds[2] = pipe_fd;
	r = plan_tun(p, err);
	if (r < 0)
		return r;
	return net_nat_argv(p->tool, spec, p->run_as_id, &p->argv, err);
}

/* From here to pasta_child(): after clone, system calls only. */

static int child_devices(const struct pasta_plan *p)
{
	const struct sys_mount_attr private = { .propagation = MS_PRIVATE };

	if (p->dev_fd < 0)
		return 0;
	if (sys_unshare(CLONE_NEWNS) < 0 ||
	    sys_mount_setattr(AT_FDCWD, "/", SYS_AT_RECURSIVE, &private) < 0)
		return -1;
	return sys_move_mount(p->dev_fd, "", AT_FDCWD, TUN_DIR, SYS_MOVE_MOUNT_F_EMPTY_PATH);
}

static int child_fds(const struct pasta_plan *p)
{
	for (int i = 0; i < 3; i++) {
		if (dup2(p->fds[i], i) < 0)
			return -1;
	}
	if (p->hand_fd >= 0 && dup2(p->hand_fd, 3) < 0)
		return -1;
	return sys_close_range(p->hand_fd >= 0 ? 4 : 3, ~0u, 0);
}

static int child_ids(const struct pasta_plan *p)
{
	if (!p->run_as_id)
		return 0;
	/* All ids at once: with any of them 0 the capabilities would come back at exec. */
	if (sys_setgroups(0, NULL) < 0 || sys_prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 ||
	    sys_setresgid(p->run_as_id, p->run_as_id, p->run_as_id) < 0)
		return -1;
	return sys_setresuid(p->run_as_id, p->run_as_id, p->run_as_id);
}

static int child_caps(const struct pasta_plan *p)
{
	const struct sys_cap_data data[2] = {
		{ .effective = p->caps, .permitted = p->caps, .inheritable = p->caps }
	};

	if (p->run_as_id && sys_capset(data) < 0)
		return -1;
	for (unsigned cap = 0; cap < 32; cap++) {
		if ((p->caps & 1u << cap) &&
		    sys_prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
			return -1;
	}
	/*
	 * After the ids, which would clear it. Joining the user namespace clears it too: it covers the time
	 * until then.
	 */
	return sys_prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
}

static _Noreturn void pasta_child(const struct pasta_plan *p)
{
	static const char *const no_env[] = { NULL };
	struct pasta_report report = { .mark = '\0', .step = PASTA_DEVICES };
	sigset_t none;
	int report_fd = p->fds[2];

	sigemptyset(&none);
	(void)!sigprocmask(SIG_SETMASK, &none, NULL);   /* can't fail; pasta needs SIGTERM and SIGCHLD */
	/* the first of its pid namespace is no group leader elsewhere */
	(void)!sys_setsid();
	if (child_devices(p) < 0)
		goto dead;
	report.step = PASTA_FDS;
	if (child_fds(p) < 0)
		goto dead;
	report_fd = 2;
	report.step = PASTA_IDS;
	if (child_ids(p) < 0)
		goto dead;
	report.step = PASTA_CAPS;
	if (child_caps(p) < 0)
		goto dead;
	report.step = PASTA_HAND;
	if (p->hand_fd >= 0 && hand_listen(3) < 0)
		goto dead;
	report.step = PASTA_EXEC;
	execve(p->tool, p->argv.items, (char *const *)no_env);
dead:
	report.errnum = errno;
	(void)!write(report_fd, &report, sizeof(report));
	_exit(126);
}

/* Descriptors 0 to 2 are where the child puts its own: none of its sources may be there. */
static int make_pipe(int ret_fds[2], struct kennel_error **err)
{
	if (pipe2(ret_fds, O_CLOEXEC) < 0)
		return fail_errno(err, "make a pipe to pasta");
	for (int i = 0; i < 2; i++) {
		if (ret_fds[i] > 2)
			continue;
		int fd = fcntl(ret_fds[i], F_DUPFD_CLOEXEC, 3);
		if (fd < 0)
			return fail_errno(err, "duplicate a descriptor");
		replace_fd(&ret_fds[i], fd);
	}
	return 0;
}

/* Does somebody have this port at all addresses of that kind? What else is in the way, pasta will meet. */
static bool is_taken(const struct net_port *p, int family)
{
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} a = { .any.sa_family = (sa_family_t)family };
	const bool six = family == AF_INET6;
	const int one = 1;
	_cleanup_close_ int fd = socket(family, (p->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return false;
	*(six ? &a.in6.sin6_port : &a.in.sin_port) = htons(p->outside);
	if (six)
		(void)!setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (!p->udp) /* what was closed a moment ago is in nobody's way */
		(void)!setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	return bind(fd, &a.any, six ? sizeof(a.in6) : sizeof(a.in)) < 0 && errno == EADDRINUSE;
}

/*
 * pasta is content with one of IPv4 and IPv6: where somebody else has a port of the other kind, who connects
 * would come to that one.
 */
static int check_ports(const struct net_nat_spec *spec, struct kennel_error **err)
{
	for (size_t i = 0; i < spec->n_ports; i++) {
		const struct net_port *p = &spec->ports[i];
		const bool four = !p->at[0] && is_taken(p, AF_INET);

		if (four || (!p->at[0] && is_taken(p, AF_INET6)))
			return hint(err,
				    fail(err, KENNEL_E_BUSY, "%s port %u of this machine is taken on IPv%c",
					 p->udp ? "UDP" : "TCP", p->outside, four ? '4' : '6'),
				    "\"ss -lntup\" shows by whom; name another port, or one address of it");
	}
	return 0;
}

int net_nat_start(const struct net_nat_spec *spec, struct net_nat **ret, struct kennel_error **err)
{
	int fds[2] = { -EBADF, -EBADF };
	int r = check_ports(spec, err);
	if (r < 0)
		return r;
	r = make_pipe(fds, err);
	_cleanup_close_ int read_fd = fds[0];
	_cleanup_close_ int write_fd = fds[1];
	if (r < 0)
		return r;
	_cleanup_plan_ struct pasta_plan plan = { .dev_fd = -EBADF, .hand_fd = -EBADF };
	r = plan_make(spec, write_fd, &plan, err);
	if (r < 0)
		return r;
	/* pasta opens the pipe again by name, as its pid file, with the rights of its id. */
	if (plan.run_as_id && fchown(write_fd, plan.run_as_id, plan.run_as_id) < 0)
		return fail_errno(err, "hand the pipe to pasta");
	_cleanup_nat_ struct net_nat *nat = malloc(sizeof(*nat));
	if (!nat)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	*nat = (struct net_nat){ .pidfd = -EBADF,
				 .words_fd = take_fd(&read_fd),
				 .tap_fd = -EBADF,
				 .hand_fd = -EBADF };
	_cleanup_close_ int pasta_end_fd = -EBADF;
	if (spec->tap_fd >= 3) {
		int ends[2];

		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
			return fail_errno(err, "make a socket to pasta");
		nat->hand_fd = ends[0];
		plan.hand_fd = pasta_end_fd = ends[1];
		nat->tap_fd = fcntl(spec->tap_fd, F_DUPFD_CLOEXEC, 3);
		if (nat->tap_fd < 0)
			return fail_errno(err, "duplicate a descriptor");
	}

	/*
	 * No exit signal: it is nobody's business but ours, and a caller's wait() for any child can't take it
	 * away.
	 */
	struct clone_args args = {
		.flags = CLONE_PIDFD | CLONE_CLEAR_SIGHAND | (plan.run_as_id ? CLONE_NEWPID : 0),
		.pidfd = (uintptr_t)&nat->pidfd,
	};
	int pid = sys_clone3(&args, sizeof(args));
	if (pid < 0)
		return fail_errno(err, "start pasta");
	if (pid == 0)
		pasta_child(&plan);
	*ret = take_ptr(&nat);
	return 0;
}

/* The pid file: a line of digits alone. All else on the pipe is pasta talking, in lines too. */
static bool words_say_ready(const char *words)
{
	for (const char *line = words; *line;) {
		size_t digits = strspn(line, "0123456789");

		if (digits && line[digits] == '\n')
			return true;
		line += strcspn(line, "\n");
		line += *line == '\n';
	}
	return false;
}

/*
 * The last whole line says why pasta gave up, but for how it failed to tell the system's log, and for its
 * usage, which follows a complaint about an option.
 */
static size_t last_words(const char *words, const char **ret)
{
	static const char noise[] = "Failed to send ", root[] = "Don't run as root", usage[] = "Usage: ";
	size_t found = 0;

	for (const char *line = words; *line;) {
		size_t len = strcspn(line, "\n");

		if (strncmp(line, usage, strlen(usage)) == 0)
			break;
		if (len && strncmp(line, noise, strlen(noise)) != 0 &&
		    strncmp(line, root, strlen(root)) != 0 && (line[len] || !found)) {
			*ret = line;
			found = len;
		}
		line += len + (line[len] == '\n');
	}
	return found;
}

static int nat_failed(const struct net_nat *nat, struct kennel_error **err)
{
	static const char *const steps[] = {
		[PASTA_DEVICES] = "give pasta its device " TUN_PATH,
		[PASTA_FDS] = "hand descriptors to pasta",
		[PASTA_IDS] = "change to the user of pasta",
		[PASTA_CAPS] = "limit the capabilities of pasta",
		[PASTA_HAND] = "hand a tap device to pasta",
		[PASTA_EXEC] = "execute pasta",
	};
	struct pasta_report report;

	if (nat->words.len >= sizeof(report) && nat->words.data[0] == '\0') {
		memcpy(&report, nat->words.data, sizeof(report));
		errno = report.errnum;
		return fail_errno(err, "%s", steps[report.step]);
	}
	const char *line = NULL;
	size_t len = last_words(buf_str(&nat->words), &line);
	if (len == 0)
		return fail(err, KENNEL_E_IO, "pasta ended without a word");
	_cleanup_buf_ struct buf one = { 0 }, safe = { 0 };
	buf_add(&one, line, len);
	buf_safe(&safe, buf_str(&one));
	return fail(err, KENNEL_E_IO, "pasta: %s", buf_str(&safe));
}

/* Return: 1 more may come, 0 end of file. */
static int nat_read(struct net_nat *nat, struct kennel_error **err)
{
	char chunk[512];
	ssize_t n = read(nat->words_fd, chunk, sizeof(chunk));

	if (n < 0 && errno != EINTR)
		return fail_errno(err, "read what pasta says");
	if (n > 0 && nat->words.len < WORDS_MAX)
		buf_add(&nat->words, chunk, (size_t)n);
	int r = buf_check(&nat->words, err);
	return r < 0 ? r : n != 0;
}

/*
 * Puts the filter on pasta's open tap device. The descriptor is found by asking each: /proc may be hidden or
 * mounted over, and a read of its links costs more.
 */
static int nat_close_loopback(const struct net_nat *nat, struct kennel_error **err)
{
	for (int n = 3, free = 0; free < TAP_GAP; n++) {
		_cleanup_close_ int fd = sys_pidfd_getfd(nat->pidfd, n);
		struct ifreq request = { 0 };

		free = fd < 0 ? free + 1 : 0;
		if (fd < 0 && errno == EBADF)
			continue;
		if (fd < 0)
			return fail_errno(err, "look for the tap device of pasta");
		if (sys_ioctl(fd, TUNGETIFF, &request) < 0)
			continue;
		if (sys_ioctl(fd, TUNATTACHFILTER, (void *)net_nat_filter()) < 0)
			return fail_errno(err, "close the host's loopback to the sandbox");
		return 0;
	}
	return fail(err, KENNEL_E_IO, "pasta has no tap device to close the host's loopback on");
}

/* The next of the two steps in which pasta gets its device. */
static int nat_hand(struct net_nat *nat, struct kennel_error **err)
{
	if (!nat->is_listener) {
		int fd = hand_receive(nat->hand_fd);

		replace_fd(&nat->hand_fd, fd);          /* where there is none, pasta's words say why */
		nat->is_listener = true;
		return 0;
	}
	int r = hand_answer(nat->hand_fd, nat->tap_fd);
	int saved = errno;
	replace_fd(&nat->hand_fd, -EBADF);
	if (r == 0)
		replace_fd(&nat->tap_fd, -EBADF);
	errno = saved;
	return r == 0 || saved == ENOENT ? 0 : fail_errno(err, "hand a tap device to pasta");
}

int net_nat_wait(struct net_nat *nat, int timeout_ms, struct kennel_error **err)
{
	int64_t end = clock_ms() + timeout_ms;
	const bool made = nat->tap_fd >= 0;

	if (nat->words_fd < 0)
		return 0;
	for (;;) {
		int64_t left = end - clock_ms();
		struct pollfd p[2] = {
			{ .fd = nat->words_fd, .events = POLLIN },
			{ .fd = nat->hand_fd, .events = POLLIN },
		};
		int n = poll(p, 2, timeout_ms < 0 ? -1 : (int)MAX(left, 0));

		if (n < 0 && errno != EINTR)
			return fail_errno(err, "wait for pasta");
		if (n == 0)
			return fail(err, KENNEL_E_BUSY, "pasta was not ready after %d ms", timeout_ms);
		if (n < 0)
			continue;
		int r = p[1].revents ? nat_hand(nat, err) : 0;
		if (r < 0)
			return r;
		if (!p[0].revents)
			continue;
		r = nat_read(nat, err);
		if (r < 0)
			return r;
		if (words_say_ready(buf_str(&nat->words)))
			break;
		if (r == 0)
			return nat_failed(nat, err);
	}
	if (made && nat->tap_fd >= 0)
		return fail(err, KENNEL_E_IO, "pasta has no tap device to close the host's loopback on");
	int r = made ? 0 : nat_close_loopback(nat, err);
	if (r < 0)
		return r;
	/* With nobody to read it a full pipe would stop pasta; a closed one is an error that it ignores. */
	replace_fd(&nat->words_fd, -EBADF);
	buf_done(&nat->words);
	nat->words = (struct buf) { 0 };
	return 0;
}

int net_nat_pidfd(const struct net_nat *nat)
{
	return nat->pidfd;
}

struct net_nat *net_nat_free(struct net_nat *nat)
{
	if (!nat)
		return NULL;
	int saved = errno;

	if (nat->pidfd >= 0) {
		siginfo_t info;

		(void)!sys_pidfd_send_signal(nat->pidfd, SIGKILL, 0);   /* ESRCH: it ended before */
		while (sys_waitid_pidfd(nat->pidfd, &info, WEXITED | __WALL) < 0 && errno == EINTR)
			;
	}
	close_fd(nat->pidfd);
	close_fd(nat->words_fd);
	close_fd(nat->hand_fd);
	close_fd(nat->tap_fd);
	buf_done(&nat->words);
	free(nat);
	errno = saved;
	return NULL;
}
