/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* net/names-look.c - who is there now, of the runtime directory: see names.h. System calls only. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "net/names.h"

#define ENTRY_READ 16384 /* names and addresses come first */

/* An entry whose monitor lives: nobody else gets the lock. */
static bool read_live(int dir_fd, const char *name, char text[ENTRY_READ])
{
	int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	bool live = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
	ssize_t n = live ? read(fd, text, ENTRY_READ - 1) : -1;

	if (fd >= 0)
		close(fd);
	if (n < 0)
		return false;
	text[n] = '\0';
	return true;
}

bool net_names_look(int dir_fd, bool (*take)(const char *entry, void *data), void *data)
{
	char list[4096], text[ENTRY_READ];
	bool taken = false;
	ssize_t n;

	if (lseek(dir_fd, 0, SEEK_SET) < 0)
		return false;
	while (!taken && (n = getdents64(dir_fd, list, sizeof(list))) > 0)
		for (ssize_t at = 0; at < n && !taken;) {
			const struct dirent64 *d = (const struct dirent64 *)(list + at);

			at += d->d_reclen;
			/* the directory of a private network has a lock that is in use */
			if (d->d_type == DT_DIR || d->d_name[0] == '.' || !read_live(dir_fd, d->d_name, text))
				continue;
			taken = take(text, data);
		}
	return taken;
}
