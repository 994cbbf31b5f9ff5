/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz/fuzz-names.c - questions for names, which come from the inside. Input: a message; behind "\n\n" in
 * it, an entry of the runtime directory. A name that was found in a question has no letters of a terminal;
 * an answer is in its room and begins with the question.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/names.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void answer(const uint8_t *query, const struct net_question *q, size_t room)
{
	static const uint8_t v4[4] = { 10, 107, 0, 5 }, v6[16] = { 0xfd };
	uint8_t *ret = malloc(room ? room : 1);

	if (!ret)
		return;
	size_t n = net_names_answer(query, q, v4, v6, ret, room);
	if (n > room || (n && (n < q->end || memcmp(ret, query, 2) != 0)))
		abort();
	free(ret);
}

static void check_message(const uint8_t *query, size_t size)
{
	struct net_question q;

	if (!net_names_question(query, size, &q))
		return;
	if (q.end > size || !q.name[0] || strlen(q.name) >= sizeof(q.name))
		abort();
	for (const char *p = q.name; *p; p++)
		if (*p <= ' ' || *p >= 0x7f || (*p >= 'A' && *p <= 'Z'))
			abort();
	for (size_t room = 0; room < q.end + 40; room++)
		answer(query, &q, room);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *text = size ? memmem(data, size, "\n\n", 2) : NULL;
	size_t n = text ? (size_t)(text - data) : size;
	uint8_t *query = malloc(n + 1), found[2][16];
	const size_t left = text ? size - n - 2 : 0;
	char *entry = malloc(left + 1);
	union net_server servers[NET_NAMES_SERVERS];
	bool has[2];

	if (query && entry) {
		memcpy(query, n ? data : (const uint8_t *)"", n);
		memcpy(entry, left ? text + 2 : (const uint8_t *)"", left);
		entry[left] = '\0';
		check_message(query, n);
		if (net_names_find(entry, "web.kennel", "kennel0", "7", found, has) && !has[0] && !has[1])
			abort();
		if (net_names_servers(entry, servers) > NET_NAMES_SERVERS)
			abort();
	}
	free(query);
	free(entry);
	return 0;
}
