/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * net/names.c - see names.h: messages and entries, pure; names-serve.c has the process.
 *
 * Only what is simple is judged here: one question of class IN. Whatever else comes is handed on as it is.
 */
#include "net/names.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/macro.h"

#define HEADER 12u
#define TYPE_A 1u
#define TYPE_AAAA 28u
#define CLASS_IN 1u
#define TTL 5u /* seconds: a sandbox may end at any moment */
#define FLAG_ANSWER 0x80u /* of the first byte of flags */
#define FLAG_AUTHORITY 0x04u
#define FLAG_RECURSION 0x80u /* of the second one */
#define LABEL_MAX 63u

static unsigned get_u16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

static char small(uint8_t c)
{
	return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

bool net_names_question(const uint8_t *query, size_t size, struct net_question *ret)
{
	size_t at = HEADER, n = 0;

	/* a query of the ordinary kind, with one question */
	if (size < HEADER || (query[2] & 0xf8) || get_u16(query + 4) != 1)
		return false;
	while (at < size && query[at]) {
		const size_t label = query[at++];

		if (label > LABEL_MAX || label > size - at || n + label + 2 > sizeof(ret->name))
			return false;
		if (n)
			ret->name[n++] = '.';
		for (size_t i = 0; i < label; i++) {
			const uint8_t c = query[at + i];

			if (c <= ' ' || c >= 0x7f || c == '.')
				return false;
			ret->name[n++] = small(c);
		}
		at += label;
	}
	if (size < 5 || at > size - 5 || !n)
		return false;
	ret->name[n] = '\0';
	ret->type = (uint16_t)get_u16(query + at + 1);
	ret->end = at + 5;
	return get_u16(query + at + 3) == CLASS_IN;
}

size_t net_names_answer(const uint8_t *query, const struct net_question *q, const uint8_t *v4,
			const uint8_t *v6, uint8_t *ret, size_t room)
{
	const uint8_t *data = q->type == TYPE_A ? v4 : q->type == TYPE_AAAA ? v6 : NULL;
	const size_t n = q->type == TYPE_A ? 4 : 16;
	const uint8_t record[] = {
		0xc0, HEADER, 0, (uint8_t)q->type, 0, CLASS_IN, 0, 0, 0, TTL, 0, (uint8_t)n
	};

	if (q->end + sizeof(record) + n > room)
		return 0;
	memcpy(ret, query, q->end);
	ret[2] = (uint8_t)((query[2] & 1) | FLAG_ANSWER | FLAG_AUTHORITY);
	ret[3] = FLAG_RECURSION;
	memset(ret + 6, 0, 6);
	if (!data)
		return q->end;
	ret[7] = 1;
	memcpy(ret + q->end, record, sizeof(record));
	memcpy(ret + q->end + sizeof(record), data, n);
	return q->end + sizeof(record) + n;
}

/* The value behind a key that begins a line, up to the line's end. *len is its length. */
static const char *find_line(const char *text, const char *key, size_t *len)
{
	const size_t n = strlen(key);

	while (*text) {
		const char *end = strchrnul(text, '\n');

		if (strncmp(text, key, n) == 0 && text[n] == '\t') {
			*len = (size_t)(end - text) - n - 1;
			return text + n + 1;
		}
		text = *end ? end + 1 : end;
	}
	return NULL;
}

static bool is_word(const char *text, size_t len, const char *word)
{
	return strlen(word) == len && strncasecmp(text, word, len) == 0;
}

static bool has_name(const char *entry, const char *key, const char *name, size_t name_len)
{
	size_t len;
	const char *value = find_line(entry, key, &len);

	return value && len == name_len && strncasecmp(value, name, len) == 0;
}

static void take_address(const char *text, size_t len, uint8_t ret[2][16], bool has[2])
{
	char address[INET6_ADDRSTRLEN];
	size_t n = 0;

	while (n < len && text[n] != '/')
		n++;
	if (n >= sizeof(address))
		return;
	memcpy(address, text, n);
	address[n] = '\0';
	for (unsigned i = 0; i < 2; i++)
		if (!has[i] && inet_pton(i ? AF_INET6 : AF_INET, address, ret[i]) == 1)
			has[i] = true;
}

/* "eth0\tbridge\tkennel0\t10.107.0.5/24 fd6b:..." with each tab as a backslash and a "t". */
static void take_interface(const char *line, size_t len, const char *kind, const char *where,
			   uint8_t ret[2][16], bool has[2])
{
	const char *field[3] = { NULL }, *end = line + len, *p = line;
	size_t size[3];

	for (unsigned i = 0; i < 3; i++) {
		const char *tab = memmem(p, (size_t)(end - p), "\\t", 2);

		if (!tab)
			return;
		field[i] = p;
		size[i] = (size_t)(tab - p);
		p = tab + 2;
	}
	/* names of networks that differ in the size of letters are two */
	if (!is_word(field[1], size[1], kind) || !is_word(field[2], size[2], where) ||
	    memcmp(field[2], where, size[2]) != 0)
		return;
	while (p < end) {
		const char *blank = memchr(p, ' ', (size_t)(end - p));
		const char *stop = blank ? blank : end;

		take_address(p, (size_t)(stop - p), ret, has);
		p = blank ? blank + 1 : end;
	}
}

bool net_names_is_ours(const char *name)
{
	const size_t suffix = strlen(NET_NAMES_SUFFIX), n = strlen(name);

	return n > suffix && strcmp(name + n - suffix, NET_NAMES_SUFFIX) == 0;
}

/* What a sandbox is called may be anybody's word: it must not stand for a name of the world. */
static bool is_called(const char *entry, const char *name)
{
	const size_t suffix = strlen(NET_NAMES_SUFFIX), n = strlen(name);
	const bool long_name = net_names_is_ours(name);
	const size_t short_len = long_name ? n - suffix : n;

	if (!long_name && strchr(name, '.'))
		return false;
	return has_name(entry, "hostname", name, n) || has_name(entry, "hostname", name, short_len) ||
	       has_name(entry, "name", name, n) || has_name(entry, "name", name, short_len);
}

static void take_interfaces(const char *entry, const char *kind, const char *where, uint8_t ret[2][16],
			    bool has[2])
{
	size_t len;

	has[0] = has[1] = false;
	for (const char *p = entry, *line; (line = find_line(p, "interface", &len)); p = line + len)
		take_interface(line, len, kind, where, ret, has);
}

bool net_names_find(const char *entry, const char *name, const char *bridge, const char *machine,
		    uint8_t ret[2][16], bool has[2])
{
	size_t len;
	const char *where = find_line(entry, "machine-net", &len);

	has[0] = has[1] = false;
	if (where && is_word(where, len, machine) && is_called(entry, name))
		take_interfaces(entry, "bridge", bridge, ret, has);
	return has[0] || has[1];
}

bool net_names_find_private(const char *entry, const char *name, const char *network, uint8_t ret[2][16],
			    bool has[2])
{
	has[0] = has[1] = false;
	if (is_called(entry, name))
		take_interfaces(entry, "private", network, ret, has);
	return has[0] || has[1];
}

static bool take_server(const char *word, size_t len, union net_server *ret)
{
	char text[INET6_ADDRSTRLEN];

	if (len >= sizeof(text))
		return false;
	memcpy(text, word, len);
	text[len] = '\0';
	*ret = (union net_server){ 0 };
	if (inet_pton(AF_INET, text, &ret->v4.sin_addr) == 1) {
		ret->v4.sin_family = AF_INET;
		ret->v4.sin_port = htons(53);
		return true;
	}
	if (inet_pton(AF_INET6, text, &ret->v6.sin6_addr) != 1)
		return false;
	ret->v6.sin6_family = AF_INET6;
	ret->v6.sin6_port = htons(53);
	return true;
}

size_t net_names_servers(const char *text, union net_server ret[NET_NAMES_SERVERS])
{
	static const char key[] = "nameserver";
	size_t n = 0;

	while (*text && n < NET_NAMES_SERVERS) {
		const char *end = strchrnul(text, '\n');

		if (strncmp(text, key, strlen(key)) == 0 &&
		    (text[strlen(key)] == ' ' || text[strlen(key)] == '\t')) {
			const char *word = text + strlen(key);

			word += strspn(word, " \t");
			n += take_server(word, strcspn(word, " \t\r\n"), &ret[n]);
		}
		text = *end ? end + 1 : end;
	}
	return n;
}
