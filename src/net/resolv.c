/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * net/resolv.c - the resolv.conf of a sandbox behind pasta, out of the host's.
 *
 * pasta sends queries for NET_DNS_FORWARD4 and 6 on to the first server of that family in the host's file,
 * wherever that is, from the host's side. So:
 *  - a server on loopback (127.0.0.53, ::1), on no address, or with a scope (fe80::1%eth0: interfaces have
 *    other numbers inside) is replaced by the forwarding address if it is the first of its family, else left
 *    out;
 *  - all others stay: they are reached as any other address, over TCP too, which old pasta does not forward;
 *  - where there is room (libcs read three) the forwarding address comes last: inside, the host's own address
 *    is the sandbox's, so a resolver on that one answers "port unreachable" at once and the libc tries the
 *    next.
 *
 * Old pasta forwards UDP only, so an answer that doesn't fit is lost. EDNS, asked for below, makes room for
 * 1200 bytes.
 */
#include "net/nat.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"

#define MAX_SERVERS 3
#define SPACE " \t\r"

struct resolv {
	struct buf servers, rest;
	unsigned n;             /* servers written */
	bool seen4, seen6;      /* a server of that family stood in the host's file */
	bool forwards4, forwards6;
	bool has_edns0;
};

static void resolv_done(struct resolv *r)
{
	buf_done(&r->servers);
	buf_done(&r->rest);
}
#define _cleanup_resolv_ __attribute__((cleanup(resolv_done)))

static bool reachable4(struct in_addr a)
{
	uint32_t top = ntohl(a.s_addr) >> 24;

	return top != 127 && top != 0;
}

static bool reachable6(const struct in6_addr *a)
{
	if (IN6_IS_ADDR_V4MAPPED(a)) {
		struct in_addr v4;

		memcpy(&v4, &a->s6_addr[12], sizeof(v4));
		return reachable4(v4);
	}
	return !IN6_IS_ADDR_LOOPBACK(a) && !IN6_IS_ADDR_UNSPECIFIED(a) && !IN6_IS_ADDR_LINKLOCAL(a);
}

static void add_server(struct resolv *r, const char *address)
{
	if (r->n++ < MAX_SERVERS)
		buf_printf(&r->servers, "nameserver %s\n", address);
}

/* One "nameserver" line; words that are no address are ignored, as the libc does. */
static void resolv_server(struct resolv *r, const char *word, size_t len)
{
	char address[INET6_ADDRSTRLEN];
	const char *scope = memchr(word, '%', len);
	size_t n = scope ? (size_t)(scope - word) : len;
	struct in_addr v4;
	struct in6_addr v6;

	if (n >= sizeof(address))
		return;
	memcpy(address, word, n);
	address[n] = '\0';
	if (!scope && inet_pton(AF_INET, address, &v4) == 1) {
		bool first = !r->seen4;

		r->seen4 = true;
		if (reachable4(v4))
			add_server(r, address);
		else if (first && (r->forwards4 = true))
			add_server(r, NET_DNS_FORWARD4);
	} else if (inet_pton(AF_INET6, address, &v6) == 1) {
		bool first = !r->seen6;

		r->seen6 = true;
		if (!scope && reachable6(&v6))
			add_server(r, address);
		else if (first && (r->forwards6 = true))
			add_server(r, NET_DNS_FORWARD6);
	}
}

static bool has_word(const char *line, size_t len, const char *word)
{
	size_t n = strlen(word);

	for (size_t i = 0; i + n <= len; i++) {
		bool starts = i == 0 || strchr(SPACE, line[i - 1]);
		bool ends = i + n == len || strchr(SPACE, line[i + n]);

		if (starts && ends && memcmp(line + i, word, n) == 0)
			return true;
	}
	return false;
}

static void resolv_line(struct resolv *r, const char *line, size_t len)
{
	static const char *const kept[] = { "search", "domain", "options", "sortlist" };
	size_t key = strcspn(line, SPACE "\n");

	if (key >= len)
		return;
	if (key == strlen("nameserver") && memcmp(line, "nameserver", key) == 0) {
		const char *word = line + key + strspn(line + key, SPACE);

		resolv_server(r, word, strcspn(word, SPACE "\n"));
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
		if (key != strlen(kept[i]) || memcmp(line, kept[i], key) != 0)
			continue;
		if (strcmp(kept[i], "options") == 0 && has_word(line, len, "edns0"))
			r->has_edns0 = true;
		buf_add(&r->rest, line, len);
		buf_puts(&r->rest, "\n");
	}
}

int net_resolv_conf(const char *host, char **ret, struct kennel_error **err)
{
	_cleanup_resolv_ struct resolv r = { 0 };

	for (const char *line = host; *line;) {
		size_t len = strcspn(line, "\n");

		resolv_line(&r, line, len);
		line += len + (line[len] == '\n');
	}
	bool replaced = r.forwards4 || r.forwards6;
	bool only6 = r.seen6 && !r.seen4;

	if (!(only6 ? r.forwards6 : r.forwards4))
		add_server(&r, only6 ? NET_DNS_FORWARD6 : NET_DNS_FORWARD4);
	if ((replaced || r.n == 1) && !r.has_edns0)
		buf_puts(&r.rest, "options edns0\n");
	buf_puts(&r.servers, buf_str(&r.rest));
	int code = buf_check(&r.rest, err);
	if (code == 0)
		code = buf_check(&r.servers, err);
	if (code < 0)
		return code;
	*ret = take_ptr(&r.servers.data);
	return 0;
}
