/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* net/netlink.c - see netlink.h. */
#include "net/netlink.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define ALIGN4(n) (((n) + 3) & ~(size_t)3)
#define PATIENCE_S 10 /* the kernel answers at once, but for its own lock */

static void *room(struct netlink *m, size_t size)
{
	size_t need = ALIGN4(size);
	void *ret = m->bytes + m->len;

	if (m->full || need > sizeof(m->bytes) - m->len) {
		m->full = true;
		return NULL;
	}
	m->len += need;
	memset(ret, 0, need);
	return ret;
}

static void set_u16(struct netlink *m, size_t at, size_t value)
{
	const uint16_t v = (uint16_t)value;

	if (!m->full)
		memcpy(m->bytes + at, &v, sizeof(v));
}

void netlink_put_header(struct netlink *m, const void *header, size_t size)
{
	void *where = room(m, size);

	if (where)
		memcpy(where, header, size);
}

size_t netlink_begin(struct netlink *m, unsigned type, unsigned flags, const void *header, size_t size)
{
	const size_t at = m->len;
	const struct nlmsghdr h = { .nlmsg_type = (uint16_t)type,
				    .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags),
				    .nlmsg_seq = (uint32_t)at + 1 };

	netlink_put_header(m, &h, sizeof(h));
	netlink_put_header(m, header, size);
	return at;
}

void netlink_end(struct netlink *m, size_t at)
{
	const uint32_t len = (uint32_t)(m->len - at);

	if (!m->full)
		memcpy(m->bytes + at + offsetof(struct nlmsghdr, nlmsg_len), &len, sizeof(len));
}

void netlink_put(struct netlink *m, unsigned type, const void *data, size_t size)
{
	const struct nlattr a = { .nla_len = (uint16_t)(NLA_HDRLEN + size), .nla_type = (uint16_t)type };
	char *where = room(m, sizeof(a) + size);

	if (!where)
		return;
	memcpy(where, &a, sizeof(a));
	if (size)
		memcpy(where + sizeof(a), data, size);
}

void netlink_put_u32(struct netlink *m, unsigned type, uint32_t value)
{
	netlink_put(m, type, &value, sizeof(value));
}

void netlink_put_text(struct netlink *m, unsigned type, const char *text)
{
	netlink_put(m, type, text, strlen(text) + 1);
}

size_t netlink_nest(struct netlink *m, unsigned type)
{
	size_t at = m->len;

	netlink_put(m, type | NLA_F_NESTED, NULL, 0);
	return at;
}

void netlink_nest_end(struct netlink *m, size_t at)
{
	set_u16(m, at + offsetof(struct nlattr, nla_len), m->len - at);
}

int netlink_open(int family)
{
	const struct timeval patience = { .tv_sec = PATIENCE_S };
	const int one = 1;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, family);

	if (fd < 0)
		return -1;
	/* Without a time limit and without the request in each answer it works, too. */
	(void)!setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	(void)!setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
	return fd;
}

static int send_all(int fd, const struct netlink *m)
{
	const struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };

	if (m->full) {
		errno = EMSGSIZE;
		return -1;
	}
	return sendto(fd, m->bytes, m->len, MSG_NOSIGNAL, (const struct sockaddr *)&kernel, sizeof(kernel)) ==
			       (ssize_t)m->len ?
		       0 :
		       -1;
}

/* What comes from the kernel; what others send is left out. */
static ssize_t receive(int fd, void *bytes, size_t size)
{
	for (;;) {
		struct sockaddr_nl from = { 0 };
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(fd, bytes, size, MSG_TRUNC, (struct sockaddr *)&from, &len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (len != sizeof(from) || from.nl_pid != 0)
			continue;
		if ((size_t)n > size) {
			errno = EBADMSG;
			return -1;
		}
		return n;
	}
}

/* One message at *at, whole; NULL: there is none. */
static const struct nlmsghdr *next(const char *bytes, size_t size, size_t *at, struct nlmsghdr *ret)
{
	if (*at > size || size - *at < sizeof(*ret))
		return NULL;
	memcpy(ret, bytes + *at, sizeof(*ret));
	if (ret->nlmsg_len < sizeof(*ret) || ret->nlmsg_len > size - *at)
		return NULL;
	return ret;
}

static int error_of(const char *bytes, size_t at, const struct nlmsghdr *h)
{
	int32_t code;

	if (h->nlmsg_len < sizeof(*h) + sizeof(code))
		return EBADMSG;
	memcpy(&code, bytes + at + sizeof(*h), sizeof(code));
	return code > 0 || code < -4095 ? EBADMSG : -code;
}

int netlink_send(int fd, struct netlink *m, unsigned acks)
{
	_Alignas(4) char bytes[NETLINK_ROOM];

	if (send_all(fd, m) < 0)
		return -1;
	while (acks > 0) {
		struct nlmsghdr h;
		size_t at = 0;
		ssize_t n = receive(fd, bytes, sizeof(bytes));

		if (n < 0)
			return -1;
		for (; acks > 0 && next(bytes, (size_t)n, &at, &h); at += ALIGN4(h.nlmsg_len)) {
			if (h.nlmsg_type != NLMSG_ERROR)
				continue;
			int code = error_of(bytes, at, &h);
			if (code) {
				errno = code;
				return -1;
			}
			acks--;
		}
	}
	return 0;
}

int netlink_parse(const void *data, size_t size, netlink_answer_fn answer, void *to)
{
	const char *bytes = data;
	struct nlmsghdr h;

	for (size_t at = 0; at < size; at += ALIGN4(h.nlmsg_len)) {
		if (!next(bytes, size, &at, &h)) {
			errno = EBADMSG;
			return -1;
		}
		if (h.nlmsg_type == NLMSG_DONE)
			return 1;
		if (h.nlmsg_type == NLMSG_ERROR) {
			errno = error_of(bytes, at, &h);
			return errno ? -1 : 1;
		}
		if (!answer(h.nlmsg_type, bytes + at + sizeof(h), h.nlmsg_len - sizeof(h), to))
			return 1;
	}
	return 0;
}

int netlink_dump(int fd, struct netlink *m, netlink_answer_fn answer, void *data)
{
	_Alignas(4) char bytes[2 * NETLINK_ROOM];
	int r = 0;

	if (send_all(fd, m) < 0)
		return -1;
	while (r == 0) {
		ssize_t n = receive(fd, bytes, sizeof(bytes));

		if (n < 0)
			return -1;
		r = netlink_parse(bytes, (size_t)n, answer, data);
	}
	return r < 0 ? -1 : 0;
}

const void *netlink_find(const void *body, size_t size, size_t skip, unsigned type, size_t min,
			 size_t *ret_size)
{
	const char *bytes = body;
	struct nlattr a;

	for (size_t at = ALIGN4(skip); at < size && size - at >= sizeof(a); at += ALIGN4(a.nla_len)) {
		memcpy(&a, bytes + at, sizeof(a));
		if (a.nla_len < sizeof(a) || a.nla_len > size - at)
			return NULL;
		if ((a.nla_type & NLA_TYPE_MASK) != type)
			continue;
		if (a.nla_len - sizeof(a) < min)
			return NULL;
		*ret_size = a.nla_len - sizeof(a);
		return bytes + at + sizeof(a);
	}
	return NULL;
}
