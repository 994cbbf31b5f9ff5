/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * net/hand.c - see hand.h.
 *
 * The filter that closes the host's loopback belongs to an open tap device. Root puts it on pasta's
 * from outside; an ordinary user can't reach into pasta, which is not dumpable, and a filter on a
 * persistent device is not put on the descriptor that attaches later (tried: frames pass). So pasta
 * gets a descriptor that has the filter already: it opens /dev/net/tun by itself, and when it wants to
 * attach that, the kernel asks us, and we put ours in its place.
 *
 * Nothing of pasta's memory is read, so it does not matter that it could change. One request is
 * answered; when the listener is closed, the kernel refuses every later one.
 */
#include "net/hand.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_tun.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sys/sys.h"

#define LOW_WORD (__BYTE_ORDER == __BIG_ENDIAN ? 4 : 0)
#define OFF_NUMBER offsetof(struct seccomp_data, nr)
#define OFF_REQUEST (offsetof(struct seccomp_data, args[1]) + LOW_WORD)

static const struct sock_filter code[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, OFF_NUMBER),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 3),
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, OFF_REQUEST),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TUNSETIFF, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};

union control {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(sizeof(int))];
};

static struct msghdr message(struct iovec *one, union control *control)
{
	return (struct msghdr){
		.msg_iov = one,
		.msg_iovlen = 1,
		.msg_control = control->bytes,
		.msg_controllen = sizeof(control->bytes),
	};
}

int hand_listen(int socket_fd)
{
	const struct sock_fprog program = {
		.len = sizeof(code) / sizeof(*code),
		.filter = (struct sock_filter *)code, /* the kernel only reads it */
	};
	union control control = { .header = { .cmsg_len = CMSG_LEN(sizeof(int)),
					      .cmsg_level = SOL_SOCKET,
					      .cmsg_type = SCM_RIGHTS } };
	char byte = 0;
	struct iovec one = { &byte, 1 };
	struct msghdr m = message(&one, &control);

	if (sys_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	int fd = sys_seccomp_listen(&program);
	if (fd < 0)
		return -1;
	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	if (sendmsg(socket_fd, &m, MSG_NOSIGNAL) != 1)
		return -1;
	close(fd);
	return close(socket_fd);
}

int hand_receive(int socket_fd)
{
	union control control = { 0 };
	char byte;
	struct iovec one = { &byte, 1 };
	struct msghdr m = message(&one, &control);
	int fd;

	ssize_t n = recvmsg(socket_fd, &m, MSG_CMSG_CLOEXEC);
	const struct cmsghdr *c = n == 1 ? CMSG_FIRSTHDR(&m) : NULL;
	if (!c || c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(sizeof(int))) {
		if (n >= 0)
			errno = EPIPE;
		return -1;
	}
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

int hand_answer(int listener_fd, int tap_fd)
{
	/* The kernel's may be longer than the one that we were built with. */
	union {
		struct seccomp_notif request;
		char room[512];
	} in = { 0 };
	union {
		struct seccomp_notif_resp response;
		char room[512];
	} out = { 0 };

	if (sys_ioctl(listener_fd, SECCOMP_IOCTL_NOTIF_RECV, &in) < 0)
		return -1;
	struct seccomp_notif_addfd add = {
		.id = in.request.id,
		.flags = SECCOMP_ADDFD_FLAG_SETFD,
		.srcfd = (uint32_t)tap_fd,
		.newfd = (uint32_t)in.request.data.args[0],
		.newfd_flags = O_CLOEXEC,
	};
	if (sys_ioctl(listener_fd, SECCOMP_IOCTL_NOTIF_ADDFD, &add) < 0)
		return -1;
	out.response.id = in.request.id;
	return sys_ioctl(listener_fd, SECCOMP_IOCTL_NOTIF_SEND, &out);
}
