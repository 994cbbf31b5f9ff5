/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* api-session.c - the directory of a session with a kernel of its own: conf/session.h. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <kennel/kennel.h>

#include "api-spec.h"
#include "base/cleanup.h"
#include "conf/session.h"

#define CONFIG_NEW "." SESSION_CONFIG "-new"

/* Aside, and then named. */
static int make_config(int dir_fd, const char *dir, struct kennel_error **err)
{
	_cleanup_close_ int fd =
		openat(dir_fd, CONFIG_NEW, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);

	const size_t size = strlen(session_default);
	if (fd < 0 || write(fd, session_default, size) != (ssize_t)size || fsync(fd) < 0 ||
	    renameat2(dir_fd, CONFIG_NEW, dir_fd, SESSION_CONFIG, RENAME_NOREPLACE) < 0) {
		int saved = errno;

		unlinkat(dir_fd, CONFIG_NEW, 0);
		errno = saved;
		if (errno != EEXIST)
			return fail_errno(err, "make \"%s/" SESSION_CONFIG "\"", dir);
	}
	return 0;
}

static int read_config(const char *dir, struct session *s, struct kennel_error **err)
{
	_cleanup_buf_ struct buf text = { 0 };

	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return fail_errno(err, "make the session's directory \"%s\"", dir);
	_cleanup_close_ int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return fail_errno(err, "open the session's directory \"%s\"", dir);
	/* Two first ones at a time: the second finds what the first has made. */
	if (flock(dir_fd, LOCK_EX) < 0)
		return fail_errno(err, "lock the session's directory \"%s\"", dir);
	(void)!unlinkat(dir_fd, CONFIG_NEW, 0); /* of one that was killed */
	if (faccessat(dir_fd, SESSION_CONFIG, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT) {
		int r = make_config(dir_fd, dir, err);
		if (r < 0)
			return r;
	}
	_cleanup_close_ int fd = openat(dir_fd, SESSION_CONFIG, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0)
		return fail_errno(err, "open \"%s/" SESSION_CONFIG "\"", dir);
	if (!S_ISREG(st.st_mode))
		return fail(err, KENNEL_E_TYPE, "\"%s/" SESSION_CONFIG "\" is not a file", dir);
	int r = buf_read_fd(&text, fd, SESSION_CONFIG_MAX, err);
	if (r == 0)
		r = session_parse(buf_str(&text), s, err);
	return r < 0 ? wrap(err, r, "the session's configuration \"%s/" SESSION_CONFIG "\"", dir) : 0;
}

static int set(struct spec *spec, const char *key, const char *value, struct kennel_error **err)
{
	return value && *value ? spec_set(spec, key, value, err) : 0;
}

static int apply(struct spec *spec, const char *dir, const struct session *s, struct kennel_error **err)
{
	_cleanup_buf_ struct buf save = { 0 };

	const char *size = s->save_size ? s->save_size : SESSION_SAVE_SIZE;

	buf_printf(&save, "%s/" SESSION_SAVE, dir);
	int r = buf_check(&save, err);
	if (r == 0)
		r = spec_set(spec, "isolate", "vm", err);
	if (r == 0)
		r = set(spec, "memory", s->memory, err);
	if (r == 0)
		r = set(spec, "net", s->net, err);
	if (r == 0)
		r = set(spec, "hostname", s->hostname, err);
	if (r == 0 && *size) {
		r = spec_set(spec, "file", buf_str(&save), err);
		/* The size is that of a file that is made; one that is there keeps its own. */
		if (r == 0 && access(buf_str(&save), F_OK) < 0)
			r = spec_set(spec, "size", size, err);
	}
	for (size_t i = 0; i < s->drives.n && r == 0; i++)
		r = spec_set(spec, "drive", s->drives.items[i], err);
	if (r == 0 && s->command && *s->command) {
		const char *const words[] = { "/bin/sh", "-c", s->command };

		for (size_t i = 0; i < ARRAY_SIZE(words) && r == 0; i++)
			r = strv_add(&spec->command, words[i], err);
	}
	return r;
}

int kennel_spec_add_session(struct kennel_spec *spec, const char *dir, const char *const *words,
			    size_t *ret_taken, struct kennel_error **err)
{
	struct session s = { 0 };
	size_t n = 0;

	int r = dir[0] == '/' ? read_config(dir, &s, err) :
				hint(err, fail(err, KENNEL_E_INVALID, "\"%s\" is not a full path", dir),
				     "the session's directory is named from \"/\" on");
	while (r == 0 && words && words[n]) {
		int taken = session_take(words[n], &s, err);
		if (taken <= 0) {
			r = taken;
			break;
		}
		n++;
	}
	if (r == 0)
		r = apply(spec->spec, dir, &s, err);
	session_done(&s);
	if (r == 0 && ret_taken)
		*ret_taken = n;
	return r;
}
