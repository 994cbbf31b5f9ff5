/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * idmap/user.c - see user.h. newuidmap and newgidmap are setuid programs of the distribution: each costs
 * about 2.6 ms, so they run side by side.
 */
#include "idmap/user.h"

#include <fcntl.h>
#include <pwd.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/parse.h"
#include "base/strv.h"
#include "idmap/subid.h"
#include "path/path.h"
#include "sys/sys.h"

#define FILE_MAX (4u << 20)

int idmap_find_user(const char *text, const char *name, const char *id, struct idmap *ret)
{
	while (*text) {
		char line[256];
		size_t len = strcspn(text, "\n");
		struct idmap m;

		if (len < sizeof(line)) {
			memcpy(line, text, len);
			line[len] = '\0';
			char *base = strchr(line, ':'), *count = base ? strchr(base + 1, ':') : NULL;
			if (count) {
				*base++ = '\0';
				*count++ = '\0';
				if ((strcmp(line, name) == 0 || strcmp(line, id) == 0) &&
				    parse_u32(base, &m.base) == 0 && parse_u32(count, &m.count) == 0 &&
				    m.count >= IDMAP_DEFAULT_COUNT && m.base &&
				    m.base <= UINT32_MAX - m.count) {
					*ret = (struct idmap){ m.base, IDMAP_DEFAULT_COUNT };
					return 1;
				}
			}
		}
		text += len + (text[len] == '\n');
	}
	return 0;
}

static int read_subid(const char *path, const char *name, const char *id, struct idmap *ret,
		      struct kennel_error **err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_buf_ struct buf b = { 0 };

	if (fd < 0)
		return errno == ENOENT ? 0 : fail_errno(err, "open \"%s\"", path);
	int r = buf_read_fd(&b, fd, FILE_MAX, err);
	if (r < 0)
		return wrap(err, r, "\"%s\"", path);
	(void)!idmap_find_user(buf_str(&b), name, id, ret);
	return 0;
}

int idmap_pick_user(struct idmap_user *ret, struct kennel_error **err)
{
	struct idmap_user m = { .uid = geteuid(), .gid = getegid() };
	const struct passwd *pw = getpwuid(m.uid);
	const char *name = pw ? pw->pw_name : "";
	struct idmap service;
	char id[16];

	snprintf(id, sizeof(id), "%u", m.uid);
	int r = subid_from_service(*name ? name : id, &service, err);
	if (r < 0)
		return r;
	if (r > 0) {
		m.uids = m.gids = service;
	} else {
		r = read_subid("/etc/subuid", name, id, &m.uids, err);
		if (r == 0)
			r = read_subid("/etc/subgid", name, id, &m.gids, err);
		if (r < 0)
			return wrap(err, r, "read the subordinate ids");
	}
	*ret = m;
	return 0;
}

int idmap_user_words(uint32_t own, const struct idmap *range, struct strv *ret, struct kennel_error **err)
{
	/*
	 * inside 0..own-1 and own+1..end are of the range; own is own. An id beyond the range just comes on
	 * top.
	 */
	uint32_t first = own < range->count ? own : range->count;
	int r = strv_addf(ret, err, "0");

	if (r == 0)
		r = strv_addf(ret, err, "%u", range->base);
	if (r == 0)
		r = strv_addf(ret, err, "%u", first);
	for (unsigned i = 0; i < 2 && r == 0; i++)
		r = strv_addf(ret, err, "%u", own);
	if (r == 0)
		r = strv_add(ret, "1", err);
	if (r == 0 && first + 1 < range->count) {
		r = strv_addf(ret, err, "%u", first + 1);
		if (r == 0)
			r = strv_addf(ret, err, "%u", range->base + first + 1);
		if (r == 0)
			r = strv_addf(ret, err, "%u", range->count - first - 1);
	}
	return r;
}

static int spawn_helper(const char *name, pid_t target, uint32_t own, const struct idmap *range, pid_t *ret,
			struct kennel_error **err)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_strv_ struct strv argv = { 0 };
	char *const no_env[] = { NULL };

	int r = path_find_tool(name, &path, err);
	if (r < 0)
		return r;
	if (r == 0)
		return hint(err, fail(err, KENNEL_E_MISSING, "%s is not installed", name),
			    "install the package uidmap (shadow-utils elsewhere)");
	r = strv_add(&argv, path, err);
	if (r == 0)
		r = strv_addf(&argv, err, "%d", target);
	if (r == 0)
		r = idmap_user_words(own, range, &argv, err);
	if (r < 0)
		return r;
	errno = posix_spawn(ret, path, NULL, NULL, argv.items, no_env);
	return errno ? fail_errno(err, "run \"%s\"", path) : 0;
}

static int wait_helper(const char *name, pid_t pid, struct kennel_error **err)
{
	int status;

	if (pid <= 0)
		return 0;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return fail_errno(err, "wait for %s", name);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	return hint(
		err, fail(err, KENNEL_E_PERM, "%s refused the map", name),
		"the range in /etc/subuid and /etc/subgid must be yours, and %s must be setuid root or have its file capability",
		name);
}

static int write_file(int dir_fd, const char *name, const char *text, struct kennel_error **err)
{
	const struct open_how how = {
		.flags = O_WRONLY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS,
	};
	_cleanup_close_ int fd = sys_openat2(dir_fd, name, &how);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		return fail_errno(err, "write %s of the sandbox", name);
	return 0;
}

static int write_single(int proc_pid_fd, const struct idmap_user *m, struct kennel_error **err)
{
	char text[64];

	int r = write_file(proc_pid_fd, "setgroups", "deny", err);
	snprintf(text, sizeof(text), "0 %u 1", m->uid);
	if (r == 0)
		r = write_file(proc_pid_fd, "uid_map", text, err);
	snprintf(text, sizeof(text), "0 %u 1", m->gid);
	if (r == 0)
		r = write_file(proc_pid_fd, "gid_map", text, err);
	return r;
}

int idmap_user_write(pid_t pid, int proc_pid_fd, const struct idmap_user *map, struct kennel_error **err)
{
	pid_t u = 0, g = 0;

	if (!idmap_user_has_range(map))
		return write_single(proc_pid_fd, map, err);
	int r = spawn_helper("newuidmap", pid, map->uid, &map->uids, &u, err);
	if (r == 0)
		r = spawn_helper("newgidmap", pid, map->gid, &map->gids, &g, err);
	int waited = wait_helper("newuidmap", u, r < 0 ? NULL : err);
	if (r == 0)
		r = waited;
	waited = wait_helper("newgidmap", g, r < 0 ? NULL : err);
	return r < 0 ? r : waited;
}
