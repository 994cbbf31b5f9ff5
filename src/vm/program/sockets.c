/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vm/program/sockets.c - sockets of the machine, for programs in the guest.
 *
 * A UNIX socket does not connect across kernels. So the guest has one of its own in that place, at which the
 * agent's process listens from before the first command on. Beside the guest somebody always has one errand
 * ("accept") waiting there; once it has a connection, that is made to the machine's socket too, and the next
 * errand waits. Bytes go by both ways, and an end of either; descriptors do not.
 *
 * The guest opens nothing of the machine by this but what it was given: it can't say where a line leads.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/macro.h"
#include "net/lend.h"
#include "sys/sys.h"
#include "vm/program/errand.h"
#include "vm/program/program.h"

#define PIN_FD 3 /* the first behind input, output and errors */
#define TREE "/tree"
#define PLACE "/sockets" /* in the guest, below its root */
#define HOST_FILES "/slots/host" /* what was put beside them: /run/host of the sandbox */
#define HOST_FILE_MAX (256u << 10)
#define AGAIN_MS 200

/* --- beside the guest --- */

/* The call is about what is pinned in PIN_FD. */
static int connect_to_pinned(void)
{
	const struct sockaddr_un to = { .sun_family = AF_UNIX, .sun_path = "/proc/self/fd/3" };
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof(to)) < 0 ? -1 : take_fd(&fd);
}

/* The same where connections are lent: they are the caller's, whose ids we do not have. */
static int borrow_from_pinned(void)
{
	_cleanup_close_ int fd = connect_to_pinned();

	return fd < 0 ? -1 : net_lend_take(fd);
}

static _Noreturn void serve_one(const char *number, bool lent, int report_fd)
{
	const struct sockaddr_un to = { .sun_family = AF_UNIX, .sun_path = CARRY_SOCKET };
	char *args[] = { (char *)"", (char *)"", (char *)"accept", (char *)number, NULL }, *env[] = { NULL };
	const struct call call = { .report_fd = report_fd,
				   .tty_fd = -1,
				   .args = args,
				   .env = env,
				   .connect = lent ? borrow_from_pinned : connect_to_pinned };
	int agent_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (agent_fd < 0 || connect(agent_fd, (const struct sockaddr *)&to, sizeof(to)) < 0)
		_exit(EXIT_FAILED);
	(void)!fcntl(agent_fd, F_SETFL, O_NONBLOCK);
	_exit(client_run(agent_fd, &call, VM_OPEN_ERRAND));
}

/* Has one connection made. Return: whether there was one. */
static bool wait_for_one(const char *number, bool lent)
{
	struct init_report r = { .step = INIT_STEP_FORK };
	int report[2];

	if (pipe2(report, O_CLOEXEC) < 0)
		return false;
	pid_t pid = fork();
	if (pid == 0) {
		close(report[0]);
		serve_one(number, lent, report[1]);
	}
	close(report[1]);
	bool runs = pid > 0 && read(report[0], &r, sizeof(r)) == sizeof(r) && !r.step;
	close(report[0]);
	return runs;
}

static _Noreturn void wait_for_connections(unsigned number, bool lent, int pin_fd)
{
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	char text[16];

	/* what the caller of all this gave belongs to the first command, and ends with it */
	pin_fd = fcntl(pin_fd, F_DUPFD, PIN_FD + 1);
	if (null_fd < 0 || pin_fd < 0 || dup2(null_fd, 0) < 0 || dup2(null_fd, 1) < 0 ||
	    dup2(null_fd, 2) < 0 || dup2(pin_fd, PIN_FD) < 0 || close_range(PIN_FD + 1, ~0U, 0) < 0)
		_exit(EXIT_FAILED);
	(void)!signal(SIGCHLD, SIG_IGN); /* nobody asks how they ended */
	snprintf(text, sizeof(text), "%u", number);
	for (;;)
		if (!wait_for_one(text, lent))
			(void)!poll(NULL, 0, AGAIN_MS); /* a lack that may pass, or a guest that ends */
}

/* "MODE[l]:/PATH" */
static const char *path_of(const char *socket)
{
	return strchr(socket, '/');
}

int sockets_start(const struct settings *set)
{
	const struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT };
	_cleanup_close_ int tree_fd = open(TREE, O_PATH | O_DIRECTORY | O_CLOEXEC);

	for (unsigned i = 0; i < set->n_sockets; i++) {
		/* held before there is a guest, so no name has to be looked up later */
		_cleanup_close_ int pin_fd = sys_openat2(tree_fd, path_of(set->sockets[i]), &how);
		pid_t pid = pin_fd < 0 ? -1 : fork();

		if (pid == 0) {
			signals_give_back();
			wait_for_connections(i, path_of(set->sockets[i])[-2] == 'l', pin_fd);
		}
		if (pid < 0)
			return -1;
	}
	return 0;
}

/* --- in the guest --- */

static int listen_at(const char *name, mode_t mode)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), PLACE "/%s", name);
	return fd < 0 || bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0 ||
			       chmod(at.sun_path, mode) < 0 || listen(fd, SOMAXCONN) < 0 ?
		       -1 :
		       take_fd(&fd);
}

static bool copy_file(int from_dir_fd, int to_dir_fd, const char *name)
{
	static char data[HOST_FILE_MAX];
	_cleanup_close_ int from_fd =
		openat(from_dir_fd, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (from_fd < 0 || fstat(from_fd, &st) < 0 || !S_ISREG(st.st_mode))
		return true; /* a place of a socket */
	_cleanup_close_ int to_fd = openat(to_dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	ssize_t n = read(from_fd, data, sizeof(data));
	return to_fd >= 0 && n >= 0 && write(to_fd, data, (size_t)n) == n &&
	       fchmod(to_fd, st.st_mode & 0777) == 0;
}

/* Keys and configurations that lie beside the sockets; /run is the guest's own. */
static void copy_host_files(struct guest *g, const char *root)
{
	_cleanup_closedir_ DIR *d = opendir(HOST_FILES);
	char to[64];
	bool ok = true;

	if (!d)
		return;
	snprintf(to, sizeof(to), "%s/run/host", root);
	if (mkdir(to, 0755) < 0 && errno != EEXIST)
		guest_fail(g, errno, "make /run/host");
	_cleanup_close_ int to_fd = open(to, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	for (const struct dirent *e; ok && to_fd >= 0 && (e = readdir(d));)
		ok = copy_file(dirfd(d), to_fd, e->d_name);
	if (to_fd < 0 || !ok)
		guest_fail(g, errno, "copy what belongs to the sockets");
}

void guest_make_sockets(struct guest *g, const char *config, size_t len, const char *root)
{
	char name[16], path[40];

	for (const char *p = config; p < config + len; p += strlen(p) + 1) {
		if (strncmp(p, "socket=", 7) != 0 || g->n_sockets == SOCKETS_MAX)
			continue;
		struct guest_socket *s = &g->sockets[g->n_sockets];
		snprintf(name, sizeof(name), "%u", g->n_sockets);
		snprintf(path, sizeof(path), PLACE "/%s", name);
		if (mkdir(PLACE, 0700) < 0 && errno != EEXIST)
			guest_fail(g, errno, "make " PLACE);
		s->listen_fd = listen_at(name, (mode_t)strtoul(p + 7, NULL, 8));
		s->tree_fd = sys_open_tree(AT_FDCWD, path, SYS_OPEN_TREE_CLONE);
		if (s->listen_fd < 0 || s->tree_fd < 0)
			guest_fail(g, errno, "listen for the machine");
		g->n_sockets++;
	}
	copy_host_files(g, root);
}

void guest_place_sockets(struct guest *g, const char *config, size_t len)
{
	unsigned n = 0;

	for (const char *p = config; p < config + len && n < g->n_sockets; p += strlen(p) + 1) {
		struct stat st;

		if (strncmp(p, "socket=", 7) != 0)
			continue;
		const char *path = path_of(p);
		/* below what is the guest's own, like /tmp, nothing is there yet */
		if (lstat(path, &st) < 0)
			guest_make_mount_point(path, false);
		if (sys_move_mount(g->sockets[n].tree_fd, "", AT_FDCWD, path, SYS_MOVE_MOUNT_F_EMPTY_PATH) <
		    0)
			guest_fail(g, errno, "put a socket in its place");
		close(take_fd(&g->sockets[n++].tree_fd));
	}
}

int guest_socket_fd(const struct guest *g, const char *number)
{
	const unsigned long n = strtoul(number, NULL, 10);

	return n < g->n_sockets ? g->sockets[n].listen_fd : -1;
}

void errand_accept(char **args)
{
	int fd = accept4(ERRAND_SOCKET_FD, NULL, NULL, SOCK_CLOEXEC);
	struct pollfd fds[2] = { { .fd = 0, .events = POLLIN }, { .fd = fd, .events = POLLIN } };

	(void)args;
	if (fd < 0)
		errand_refuse(errno);
	errand_runs();
	close(ERRAND_SOCKET_FD);
	close(2); /* it may be the same pipe as the output, whose end is to be seen */
	(void)!signal(SIGPIPE, SIG_IGN); /* who writes no longer may still read */
	while ((fds[0].fd >= 0 || fds[1].fd >= 0) && (poll(fds, 2, -1) >= 0 || errno == EINTR)) {
		if (fds[1].fd >= 0 && fds[1].revents && !errand_hand_on(fd, 1)) {
			close(1);
			(void)!shutdown(fd, SHUT_RD);
			fds[1].fd = -1;
		}
		if (fds[0].fd >= 0 && fds[0].revents && !errand_hand_on(0, fd)) {
			close(0);
			(void)!shutdown(fd, SHUT_WR);
			fds[0].fd = -1;
		}
	}
}
