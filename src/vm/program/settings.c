/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vm/program/settings.c - what the supervisor is told about its guest, in entries of the environment that no
 * variable can be: KENNEL_VM:KEY=VALUE.
 *
 *   memory=BYTES     of the guest
 *   hostname=NAME
 *   share=/PATH      what is there in the tree is the machine's own, not a copy; any number of them
 *   net=1            the interfaces of the network namespace become the guest's
 *   socket=MODE[l]:/PATH  what listens there in the tree can be connected to from the guest, at the same
 *                    place; l: connections are lent there
 *   port=N           of the sandbox's loopback leads to the guest's; any number of them
 *   udp=N            the same for datagrams
 *   disk=1           changes go to /disk; without it to the guest's memory
 *   drive=N[r]       a further disk, /drives/N: ubdN of the guest; r: not to be written
 *   layer=N:TYPE     an image that lies over the tree, /layers/N: ubdN of the guest; uppermost first
 *   whole=1          the tree has nothing but these
 *   size=BYTES       of the changes in memory
 *   linger=1         the guest goes on when the command has ended, which is reported (VM_STEP_ENDED)
 *   boot=1           the command becomes the guest's pid 1
 *   pids=N           processes in the guest
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macro.h"
#include "vm/program/program.h"

#define MEMORY_MIN (24ull << 20)
#define MEMORY_DEFAULT (256ull << 20)

static bool number(const char *text, unsigned long long *ret)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*ret = strtoull(text, &end, 10);
	return !*end && !errno;
}

static bool add_port(struct settings *s, uint16_t number, bool udp)
{
	for (unsigned i = 0; i < s->n_ports; i++)
		if (s->ports[i].number == number && s->ports[i].udp == udp)
			return true; /* published twice */
	struct port *grown = reallocarray(s->ports, s->n_ports + 1, sizeof(*grown));

	if (!grown)
		return false;
	s->ports = grown;
	s->ports[s->n_ports++] = (struct port){ number, udp };
	return true;
}

static bool take(struct settings *s, const char *key, size_t key_len, const char *value)
{
	unsigned long long n = 0;
	const bool is_number = number(value, &n);
#define IS(name) (key_len == strlen(name) && !strncmp(key, name, key_len))

	if (IS("memory")) {
		s->memory_bytes = MAX(n, MEMORY_MIN);
		return is_number;
	}
	if (IS("disk") || IS("boot") || IS("net") || IS("linger")) {
		*(IS("disk") ? &s->disk : IS("boot") ? &s->boot : IS("net") ? &s->net : &s->linger) = n == 1;
		return is_number && n <= 1;
	}
	if (IS("size") || IS("pids"))
		return is_number;
	if (IS("port") || IS("udp"))
		return is_number && n && n <= 65535 && add_port(s, (uint16_t)n, IS("udp"));
	if (IS("socket")) {
		const size_t digits = strspn(value, "01234567");

		if (s->n_sockets == ARRAY_SIZE(s->sockets) || !digits || digits > 4 ||
		    strncmp(value + digits + (value[digits] == 'l'), ":/", 2) != 0)
			return false;
		s->sockets[s->n_sockets++] = value;
		return true;
	}
	if (IS("drive")) {
		const size_t digits = strspn(value, "0123456789");

		if (s->n_drives == ARRAY_SIZE(s->drives) || !digits || digits > 2 ||
		    (value[digits] && strcmp(value + digits, "r") != 0))
			return false;
		s->drives[s->n_drives++] = value;
		return true;
	}
	if (IS("layer")) {
		const size_t digits = strspn(value, "0123456789");

		if (s->n_layers == ARRAY_SIZE(s->layers) || !digits || digits > 2 || value[digits] != ':')
			return false;
		s->layers[s->n_layers++] = value;
		return true;
	}
	if (IS("whole"))
		return is_number && n == 1;
	if (IS("share")) {
		s->shares = true;
		return value[0] == '/';
	}
	return IS("hostname") && value[0];
#undef IS
}

bool settings_take(char **env, struct settings *ret, char *ret_text, size_t text_size)
{
	char **to = env;

	*ret = (struct settings){ .memory_bytes = MEMORY_DEFAULT };
	for (char **e = env; *e; e++) {
		if (strncmp(*e, VM_SETTING, strlen(VM_SETTING)) != 0) {
			*to++ = *e;
			continue;
		}
		const char *key = *e + strlen(VM_SETTING), *value = strchr(key, '=');
		if (!value || !take(ret, key, (size_t)(value - key), value + 1)) {
			snprintf(ret_text, text_size, "the supervisor of the guest was told \"%s\"", key);
			return false;
		}
		if (!queue_add(&ret->config, key, strlen(key) + 1) ||
		    queue_used(&ret->config) > VM_CONFIG_MAX) {
			snprintf(ret_text, text_size, "too much was told about the guest");
			return false;
		}
	}
	*to = NULL;
	return true;
}
