/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* net/bus.c - see bus.h: what the relay has to know of what is said on a bus; bus-serve.c has the process. */
#include "net/bus.h"

#include <string.h>

#define MESSAGE_MAX (128u << 20) /* the protocol's own */
#define UID_DIGITS 10u

static bool begins(const char *line, size_t size, const char *word)
{
	return size >= strlen(word) && memcmp(line, word, strlen(word)) == 0;
}

/* The digits of the id, each in two hexadecimal ones. */
static size_t put_uid(unsigned uid, char *ret)
{
	char digits[UID_DIGITS];
	size_t n = 0;

	do
		digits[n++] = (char)(uid % 10);
	while (uid /= 10);
	for (size_t i = 0; i < n; i++) {
		ret[2 * i] = '3';
		ret[2 * i + 1] = (char)('0' + digits[n - 1 - i]);
	}
	return 2 * n;
}

size_t net_bus_line(const char *line, size_t size, unsigned uid, char ret[NET_BUS_LINE], bool *ret_begin)
{
	static const char external[] = "AUTH EXTERNAL ", begin[] = "BEGIN";
	const size_t word = strlen(begin);

	*ret_begin = false;
	if (size < 3 || size > NET_BUS_LINE || memcmp(line + size - 2, "\r\n", 2) != 0)
		return 0;
	for (size_t i = 0; i < size - 2; i++)
		if (line[i] < ' ' || line[i] > '~')
			return 0;
	/* without an id behind it the bus takes that of the connection, which is ours */
	if (begins(line, size, external) && size > strlen(external) + 2) {
		size_t n = strlen(external);

		memcpy(ret, external, n);
		n += put_uid(uid, ret + n);
		memcpy(ret + n, "\r\n", 2);
		return n + 2;
	}
	*ret_begin = begins(line, size, begin) && (line[word] == ' ' || line[word] == '\r');
	memcpy(ret, line, size);
	return size;
}

void net_bus_refuse_fds(char *line, size_t size)
{
	static const char ask[] = "NEGOTIATE_UNIX_FD", none[] = "NEGOTIATE_NOTHING";

	_Static_assert(sizeof(ask) == sizeof(none), "one for the other");
	if (begins(line, size, ask))
		memcpy(line, none, strlen(none));
}

static size_t get_u32(const uint8_t *p, bool big)
{
	return big ? (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3] :
		     (size_t)p[3] << 24 | (size_t)p[2] << 16 | (size_t)p[1] << 8 | p[0];
}

/* The size of the body is at 4, that of the fields at 12; these are filled up to a multiple of 8. */
size_t net_bus_rest(const uint8_t head[NET_BUS_HEAD])
{
	if (head[0] != 'l' && head[0] != 'B')
		return SIZE_MAX;
	const size_t body = get_u32(head + 4, head[0] == 'B'), fields = get_u32(head + 12, head[0] == 'B');

	if (body > MESSAGE_MAX || fields > MESSAGE_MAX)
		return SIZE_MAX;
	const size_t rest = ((fields + 7) & ~(size_t)7) + body;
	return rest > MESSAGE_MAX - NET_BUS_HEAD ? SIZE_MAX : rest;
}
