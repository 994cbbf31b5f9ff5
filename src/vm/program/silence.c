/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vm/program/silence.c - whether anybody in the guest still hears us.
 *
 * The agent says what it has taken from the line. Root inside may end it, and what would start another one,
 * or stop it: then nobody ever says a word again. But a guest that is slow, or stands still because of us,
 * says nothing either. So what counts is time in which its kernel could have run: not that in which it, or an
 * address space of its, has waited for a processor, nor that in which it is stopped or waits for a disk; and
 * time in which we stood still ourselves is a second at most.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/macro.h"
#include "vm/program/program.h"

#define TICK_MS 1000u
#define PATIENCE_MS 30000u
#define MCONSOLE_MAGIC 0xcafebabeu
#define MCONSOLE_VERSION 2u

static bool could_run(pid_t kernel)
{
	char path[40], text[512];

	snprintf(path, sizeof(path), "/proc/%d/stat", kernel);
	place_read(path, text, sizeof(text));
	const char *end = strrchr(text, ')');
	return end && (end[2] == 'S' || end[2] == 'R');
}

bool silence_lasts(struct silence *s, pid_t kernel)
{
	const unsigned long long waited = place_waited(kernel);
	const unsigned long long ms = waited < s->waited ? 0 : (waited - s->waited) / 1000000;

	if (!could_run(kernel))
		s->ms = 0;
	else if (s->begun && ms < TICK_MS)
		s->ms += TICK_MS - (unsigned)ms;
	s->begun = true;
	s->waited = waited;
	return s->ms >= PATIENCE_MS;
}

/* The socket that the guest's kernel has for who manages it, in a directory of its own. */
static bool find_mconsole(struct sockaddr_un *ret)
{
	_cleanup_closedir_ DIR *d = opendir("/tmp");
	char path[300];

	for (const struct dirent *e; d && (e = readdir(d));) {
		snprintf(path, sizeof(path), "/tmp/%s/mconsole", e->d_name);
		if (e->d_name[0] == '.' || strlen(path) >= sizeof(ret->sun_path) || access(path, F_OK) < 0)
			continue;
		*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
		memcpy(ret->sun_path, path, strlen(path));
		return true;
	}
	return false;
}

void silence_write_back(void)
{
	static const char *const commands[] = { "sysrq s", "sysrq u" };
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_un to;

	if (fd < 0 || !find_mconsole(&to))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		struct {
			uint32_t magic, version, len;
			char data[512];
		} request = { MCONSOLE_MAGIC, MCONSOLE_VERSION, (uint32_t)strlen(commands[i]), "" };

		memcpy(request.data, commands[i], strlen(commands[i]));
		(void)!sendto(fd, &request, sizeof(request), MSG_NOSIGNAL, (const struct sockaddr *)&to,
			      sizeof(to));
	}
}
