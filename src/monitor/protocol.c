/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* monitor/protocol.c - see protocol.h. */
#include "monitor/protocol.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/cleanup.h"
#include "base/macro.h"

static const struct form {
	enum protocol_type type;
	bool from_client;
	size_t min, max;
} forms[] = {
	{ PROTOCOL_ATTACH, true, sizeof(struct protocol_attach), sizeof(struct protocol_attach) },
	{ PROTOCOL_INPUT, true, 1, PROTOCOL_DATA_MAX },
	{ PROTOCOL_SIZE, true, sizeof(struct protocol_size), sizeof(struct protocol_size) },
	{ PROTOCOL_TTY, true, sizeof(uint32_t), sizeof(uint32_t) },
	{ PROTOCOL_OUTPUT, false, 1, PROTOCOL_DATA_MAX },
	{ PROTOCOL_LOST, false, sizeof(uint64_t), sizeof(uint64_t) },
	{ PROTOCOL_ENDED, false, sizeof(int32_t), sizeof(int32_t) },
	{ PROTOCOL_ERROR, false, 1, PROTOCOL_DATA_MAX },
	{ PROTOCOL_MASTER, false, sizeof(uint32_t), sizeof(uint32_t) },
};

int protocol_parse(const void *bytes, size_t n, bool from_client, struct protocol_message *ret,
		   struct kennel_error **err)
{
	struct protocol_head head;

	if (n < sizeof(head))
		return fail(err, KENNEL_E_CORRUPT, "a message of %zu bytes", n);
	memcpy(&head, bytes, sizeof(head));
	if (head.version != PROTOCOL_VERSION)
		return fail(err, KENNEL_E_UNSUPPORTED, "version %u of the monitor's protocol", head.version);
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		const struct form *f = &forms[i];

		if (f->type != head.type || f->from_client != from_client)
			continue;
		if (head.size != n - sizeof(head) || head.size < f->min || head.size > f->max)
			return fail(err, KENNEL_E_CORRUPT, "a message of type %u with %zu bytes", head.type,
				    n);
		*ret = (struct protocol_message){ f->type, (const char *)bytes + sizeof(head), head.size };
		return 0;
	}
	return fail(err, KENNEL_E_CORRUPT, "a message of type %u", head.type);
}

/* Room for one descriptor. */
union control {
	struct cmsghdr head;
	char bytes[CMSG_SPACE(sizeof(int))];
};

int protocol_send_fd(int fd, enum protocol_type type, const void *data, size_t size, int with_fd)
{
	struct protocol_head head = { PROTOCOL_VERSION, (uint16_t)type, (uint32_t)size };
	struct iovec parts[2] = { { &head, sizeof(head) }, { (void *)data, size } };
	struct msghdr m = { .msg_iov = parts, .msg_iovlen = size ? 2 : 1 };
	union control c = { .head = { .cmsg_level = SOL_SOCKET,
				      .cmsg_type = SCM_RIGHTS,
				      .cmsg_len = CMSG_LEN(sizeof(int)) } };
	ssize_t n;

	if (with_fd >= 0) {
		memcpy(CMSG_DATA(&c.head), &with_fd, sizeof(with_fd));
		m.msg_control = &c;
		m.msg_controllen = sizeof(c);
	}
	do
		n = sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -1 : 0;
}

int protocol_send(int fd, enum protocol_type type, const void *data, size_t size)
{
	return protocol_send_fd(fd, type, data, size, -1);
}

int protocol_receive_fd(int fd, char room[PROTOCOL_ROOM], bool from_client, struct protocol_message *ret,
			int *ret_fd, struct kennel_error **err)
{
	struct iovec part = { room, PROTOCOL_ROOM };
	union control c = { 0 };
	struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1 };
	_cleanup_close_ int came_fd = -EBADF;

	if (ret_fd) { /* without room for it the kernel closes what comes */
		m.msg_control = &c;
		m.msg_controllen = sizeof(c);
		*ret_fd = -EBADF;
	}
	ssize_t n = recvmsg(fd, &m, MSG_TRUNC | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	/* a reset is told before what was sent until then: the other side ended before it had heard us */
	if (n < 0 && (errno == EINTR || errno == EAGAIN || errno == ECONNRESET))
		return -KENNEL_E_BUSY;
	if (n <= 0)
		return 0;
	const struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	if (h && h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS &&
	    h->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&came_fd, CMSG_DATA(h), sizeof(came_fd));
	if ((size_t)n > PROTOCOL_ROOM)
		return fail(err, KENNEL_E_CORRUPT, "a message of %zd bytes", n);
	int r = protocol_parse(room, (size_t)n, from_client, ret, err);
	if (r == 0 && ret_fd)
		*ret_fd = take_fd(&came_fd);
	return r < 0 ? r : 1;
}

int protocol_receive(int fd, char room[PROTOCOL_ROOM], bool from_client, struct protocol_message *ret,
		     struct kennel_error **err)
{
	return protocol_receive_fd(fd, room, from_client, ret, NULL, err);
}
