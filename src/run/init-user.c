/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/init-user.c - see init-user.h.
 *
 * The files are read once, front to back, one field at a time into a buffer of fixed size: a field that does
 * not fit counts as "too long" and its line goes on, so a group of ten thousand members works and no line can
 * be too long. Lines that are not well-formed, or hold a NUL, or NIS's "+", are passed over as everybody
 * does. Opened without blocking and read only so far: a fifo, a terminal or /dev/zero in that place ends the
 * lookup and can't hang the start.
 *
 * The unit test and the fuzz target include this file, so it also compiles against libc; memory functions are
 * not used.
 */
#include "run/init-user.h"

#if __STDC_HOSTED__
#include <errno.h>
#include <fcntl.h>
#else
#include <linux/errno.h>
#include <linux/fcntl.h>
#endif

#include "run/init-start.h"

#define READ_MAX (64ul << 20) /* bytes of a file that are looked at */
#define ID_MAX 4294967294u /* (uid_t)-1 means "leave as it is" to the kernel */
#define TOO_LONG ((size_t)-1)

struct reader {
	int fd;
	size_t pos, len, left;
	char data[2048];
};

enum { END = -1 };

static bool reader_open(struct reader *r, const char *path)
{
	r->fd = (int)init_call4(__NR_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0);
	r->pos = r->len = 0;
	r->left = READ_MAX;
	return r->fd >= 0;
}

static void reader_close(struct reader *r)
{
	init_call1(__NR_close, r->fd);
}

static int reader_byte(struct reader *r)
{
	if (r->pos == r->len) {
		long n = r->left ? init_call3(__NR_read, r->fd, r->data, sizeof(r->data)) : 0;

		if (n <= 0 || (size_t)n > sizeof(r->data))
			return END;
		r->left -= (size_t)n < r->left ? (size_t)n : r->left;
		r->len = (size_t)n;
		r->pos = 0;
	}
	return (unsigned char)r->data[r->pos++];
}

/*
 * Reads up to the next ':', newline or end of file, or with is_list also ',', and returns which of these it
 * was. buf gets what fits and a NUL; *ret_len is TOO_LONG where it did not fit or held a NUL.
 */
static int read_field(struct reader *r, bool is_list, char *buf, size_t size, size_t *ret_len)
{
	size_t len = 0;
	int c;

	for (;;) {
		c = reader_byte(r);
		if (c == END || c == '\n' || c == ':' || (is_list && c == ','))
			break;
		if (!c || len == TOO_LONG || len + 1 >= size)
			len = TOO_LONG;
		else
			buf[len++] = (char)c;
	}
	buf[len == TOO_LONG ? 0 : len] = '\0';
	*ret_len = len;
	return c;
}

static int skip_line(struct reader *r, int end)
{
	while (end != '\n' && end != END)
		end = reader_byte(r);
	return end;
}

static bool is_same(const char *a, const char *b, size_t b_len)
{
	size_t i = 0;

	while (i < b_len && a[i] && a[i] == b[i])
		i++;
	return i == b_len && !a[i];
}

static bool read_id(struct reader *r, uint32_t *ret, int *ret_end)
{
	char digits[16];
	size_t len;

	*ret_end = read_field(r, false, digits, sizeof(digits), &len);
	return len != TOO_LONG && init_number(digits, len, ID_MAX, ret);
}

/* A path of the file, or the default where it has none that could be used. */
static int read_path(struct reader *r, int end, char *buf, size_t size, const char *otherwise)
{
	size_t len = 0;

	if (end == ':')
		end = read_field(r, false, buf, size, &len);
	if (!len || len == TOO_LONG || buf[0] != '/') {
		size_t i = 0;

		do
			buf[i] = otherwise[i];
		while (otherwise[i++]);
	}
	return end;
}

/* One line of /etc/passwd into u (its name into env_user). Return: 1 a user, 0 an odd line, -1 no more. */
static int read_user(struct reader *r, struct init_user *u)
{
	char unused[2];
	size_t len, unused_len;
	int end = read_field(r, false, u->env_user + 5, INIT_NAME_MAX, &len);
	bool good = end == ':' && len && len != TOO_LONG;

	if (end == END)
		return -1;
	if (good)
		end = read_field(r, false, unused, sizeof(unused), &unused_len);
	good = good && end == ':' && read_id(r, &u->uid, &end) && end == ':' && read_id(r, &u->gid, &end);
	if (!good) {
		skip_line(r, end);
		return 0;
	}
	if (end == ':')
		end = read_field(r, false, unused, sizeof(unused), &unused_len); /* the person's name */
	end = read_path(r, end, u->env_home + 5, INIT_HOME_MAX, "/");
	end = read_path(r, end, u->env_shell + 6, INIT_SHELL_MAX, "/bin/sh");
	skip_line(r, end);
	return 1;
}

/* The first three fields of a line of /etc/group. Return as above; *ret_end is ':' where members follow. */
static int read_group(struct reader *r, char name[INIT_NAME_MAX], uint32_t *ret_gid, int *ret_end)
{
	char unused[2];
	size_t len, unused_len;
	int end = read_field(r, false, name, INIT_NAME_MAX, &len);
	bool good = end == ':' && len && len != TOO_LONG;

	if (end == END)
		return -1;
	if (good)
		end = read_field(r, false, unused, sizeof(unused), &unused_len);
	good = good && end == ':' && read_id(r, ret_gid, &end);
	*ret_end = end;
	return good;
}

static void set_text(char *buf, const char *prefix, const char *text, size_t text_len)
{
	while (*prefix)
		*buf++ = *prefix++;
	for (size_t i = 0; i < text_len; i++)
		buf[i] = text[i];
	buf[text_len] = '\0';
}

static int find_user(const char *name, size_t len, const char *passwd, struct init_user *u)
{
	struct reader r;
	uint32_t uid = 0;
	bool is_id = init_number(name, len, ID_MAX, &uid);
	int is_user = -1;

	if (reader_open(&r, passwd)) {
		while ((is_user = read_user(&r, u)) >= 0)
			if (is_user && (is_id ? u->uid == uid : is_same(u->env_user + 5, name, len)))
				break;
		reader_close(&r);
	}
	if (is_user <= 0) {
		if (!is_id)
			return -ENOENT;
		u->uid = u->gid = uid;
		set_text(u->env_user, "USER=", name, len);
		set_text(u->env_home, "HOME=", "/", 1);
		set_text(u->env_shell, "SHELL=", "/bin/sh", 7);
	}
	set_text(u->env_user, "USER=", u->env_user + 5, init_strlen(u->env_user + 5));
	set_text(u->env_home, "HOME=", u->env_home + 5, init_strlen(u->env_home + 5));
	set_text(u->env_shell, "SHELL=", u->env_shell + 6, init_strlen(u->env_shell + 6));
	set_text(u->env_logname, "LOGNAME=", u->env_user + 5, init_strlen(u->env_user + 5));
	return 0;
}

static int find_group(const char *name, size_t len, const char *group, uint32_t *ret_gid)
{
	char found[INIT_NAME_MAX];
	struct reader r;
	uint32_t gid;
	int is_group, end, result = -ENOENT;

	if (init_number(name, len, ID_MAX, ret_gid))
		return 0;
	if (!reader_open(&r, group))
		return -ENOENT;
	while (result && (is_group = read_group(&r, found, &gid, &end)) >= 0) {
		if (is_group && is_same(found, name, len)) {
			*ret_gid = gid;
			result = 0;
		}
		skip_line(&r, end);
	}
	reader_close(&r);
	return result;
}

static void add_group(struct init_user *u, uint32_t gid)
{
	for (uint32_t i = 0; i < u->n_groups; i++)
		if (u->groups[i] == gid)
			return;
	if (u->n_groups < INIT_GROUPS_MAX)
		u->groups[u->n_groups++] = gid;
}

/* Adds the groups that list the user as a member. */
static void find_memberships(struct init_user *u, const char *group)
{
	const char *user = u->env_user + 5;
	size_t user_len = init_strlen(user), len;
	char name[INIT_NAME_MAX];
	struct reader r;
	uint32_t gid;
	int is_group, end;

	if (!reader_open(&r, group))
		return;
	while ((is_group = read_group(&r, name, &gid, &end)) >= 0) {
		if (is_group && end == ':')
			do {
				end = read_field(&r, true, name, sizeof(name), &len);
				if (len == user_len && is_same(name, user, user_len))
					add_group(u, gid);
			} while (end == ',');
		skip_line(&r, end);
	}
	reader_close(&r);
}

int init_user_find(const char *spec, const char *passwd, const char *group, struct init_user *ret)
{
	size_t len = 0;
	int r;

	while (spec[len] && spec[len] != ':')
		len++;
	if (!len || len >= INIT_NAME_MAX || (spec[len] && (!spec[len + 1] || spec[len + 1] == ':')))
		return -EINVAL;
	r = find_user(spec, len, passwd, ret);
	if (r < 0)
		return r;
	ret->n_groups = 0;
	if (spec[len]) {
		const char *name = spec + len + 1;

		r = find_group(name, init_strlen(name), group, &ret->gid);
		if (r < 0)
			return r;
		add_group(ret, ret->gid);
	} else {
		add_group(ret, ret->gid);
		find_memberships(ret, group);
	}
	return 0;
}
