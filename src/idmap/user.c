/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * idmap/user.c - see user.h. newuidmap and newgidmap are setuid programs of the distribution: each costs
 * about 2.6 ms, the longest wait of a start, so they run side by side, and the caller has other things to do.
 */
#include "idmap/user.h"

#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/parse.h"
#include "base/strv.h"
#include "idmap/subid.h"
#include "path/path.h"
#include "sys/spawn.h"
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

/* In a sandbox the copy of /etc/subuid names ids that only the machine around it has. */
static bool exists(const struct idmap *range, const struct idmap *all)
{
	return range->base >= all->base && (uint64_t)range->base + range->count <= all->count;
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
	struct idmap all = { 0 };
	(void)!idmap_identity(&all, NULL); /* where there is no id 0 there is no range either */
	if (!exists(&m.uids, &all) || !exists(&m.gids, &all))
		m.uids = m.gids = (struct idmap){ 0 };
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
	int r = first ? strv_add(ret, "0", err) : 0; /* root's own is the first one */

	if (r == 0 && first)
		r = strv_addf(ret, err, "%u", range->base);
	if (r == 0 && first)
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

struct helper {
	const char *name;
	char *path;
	struct strv argv;
	struct sys_spawn spawn;
	pid_t pid; /* 0 not started, or waited for */
};

struct idmap_writing {
	struct helper uids, gids;
};

static char *const no_env[] = { NULL };

/* words: those behind the pid. */
static int start_helper(struct helper *h, const char *name, pid_t target, const struct strv *words,
			struct kennel_error **err)
{
	h->name = name;
	int r = path_find_tool(name, &h->path, err);
	if (r < 0)
		return r;
	if (r == 0)
		return hint(err, fail(err, KENNEL_E_MISSING, "%s is not installed", name),
			    "install the package uidmap (shadow-utils elsewhere)");
	r = strv_add(&h->argv, h->path, err);
	if (r == 0)
		r = strv_addf(&h->argv, err, "%d", target);
	for (size_t i = 0; i < words->n && r == 0; i++)
		r = strv_add(&h->argv, words->items[i], err);
	if (r < 0)
		return r;
	h->spawn = (struct sys_spawn){ .path = h->path, .argv = h->argv.items, .envp = no_env };
	pid_t pid = sys_spawn(&h->spawn);
	if (pid < 0)
		return fail_errno(err, "run \"%s\"", h->path);
	h->pid = pid;
	return 0;
}

/* Its memory goes after it, for a process that was not waited for may still be using it. */
static void helper_done(struct helper *h)
{
	while (h->pid > 0 && waitpid(h->pid, NULL, 0) < 0 && errno == EINTR)
		;
	sys_spawn_done(&h->spawn);
	strv_done(&h->argv);
	free(h->path);
}

static int wait_helper(struct helper *h, struct kennel_error **err)
{
	int status;

	while (waitpid(h->pid, &status, 0) < 0)
		if (errno != EINTR)
			return fail_errno(err, "wait for %s", h->name);
	h->pid = 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	errno = h->spawn.errnum;
	if (errno)
		return fail_errno(err, "run \"%s\"", h->path);
	return hint(
		err, fail(err, KENNEL_E_PERM, "%s refused the map", h->name),
		"the range in /etc/subuid and /etc/subgid must be yours, and %s must be setuid root or have its file capability",
		h->name);
}

int idmap_write_file(int dir_fd, const char *name, const char *text, struct kennel_error **err)
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

	int r = idmap_write_file(proc_pid_fd, "setgroups", "deny", err);
	snprintf(text, sizeof(text), "0 %u 1", m->uid);
	if (r == 0)
		r = idmap_write_file(proc_pid_fd, "uid_map", text, err);
	snprintf(text, sizeof(text), "0 %u 1", m->gid);
	if (r == 0)
		r = idmap_write_file(proc_pid_fd, "gid_map", text, err);
	return r;
}

static int begin_helpers(pid_t pid, const struct strv *users, const struct strv *groups,
			 struct idmap_writing **ret, struct kennel_error **err)
{
	struct idmap_writing *w = calloc(1, sizeof(*w));

	if (!w)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	int r = start_helper(&w->uids, "newuidmap", pid, users, err);
	if (r == 0)
		r = start_helper(&w->gids, "newgidmap", pid, groups, err);
	*ret = r < 0 ? idmap_writing_free(w) : w;
	return r;
}

int idmap_user_begin(pid_t pid, int proc_pid_fd, const struct idmap_user *map, struct idmap_writing **ret,
		     struct kennel_error **err)
{
	_cleanup_strv_ struct strv users = { 0 }, groups = { 0 };

	*ret = NULL;
	if (!idmap_user_has_range(map))
		return write_single(proc_pid_fd, map, err);
	int r = idmap_user_words(map->uid, &map->uids, &users, err);
	if (r == 0)
		r = idmap_user_words(map->gid, &map->gids, &groups, err);
	return r < 0 ? r : begin_helpers(pid, &users, &groups, ret, err);
}

int idmap_user_end(struct idmap_writing *w, struct kennel_error **err)
{
	if (!w)
		return 0;
	int r = wait_helper(&w->uids, err);
	return r < 0 ? r : wait_helper(&w->gids, err);
}

struct idmap_writing *idmap_writing_free(struct idmap_writing *w)
{
	if (!w)
		return NULL;
	helper_done(&w->uids);
	helper_done(&w->gids);
	free(w);
	return NULL;
}

int idmap_user_write(pid_t pid, int proc_pid_fd, const struct idmap_user *map, struct kennel_error **err)
{
	struct idmap_writing *w;
	int r = idmap_user_begin(pid, proc_pid_fd, map, &w, err);

	if (r == 0)
		r = idmap_user_end(w, err);
	idmap_writing_free(w);
	return r;
}

int idmap_user_write_words(pid_t pid, const struct strv *users, const struct strv *groups,
			   struct kennel_error **err)
{
	struct idmap_writing *w = NULL;
	int r = begin_helpers(pid, users, groups, &w, err);

	if (r == 0)
		r = idmap_user_end(w, err);
	idmap_writing_free(w);
	return r;
}

static int write_range(int proc_pid_fd, const char *name, uint32_t own, const struct idmap *range,
		       struct kennel_error **err)
{
	_cleanup_strv_ struct strv words = { 0 };
	_cleanup_buf_ struct buf b = { 0 };

	int r = idmap_user_words(own, range, &words, err);
	for (size_t i = 0; i < words.n && r == 0; i++)
		buf_printf(&b, "%s%s", words.items[i], i % 3 == 2 ? "\n" : " ");
	if (r == 0)
		r = buf_check(&b, err);
	return r < 0 ? r : idmap_write_file(proc_pid_fd, name, buf_str(&b), err);
}

int idmap_user_write_as_root(int proc_pid_fd, const struct idmap_user *map, struct kennel_error **err)
{
	if (!idmap_user_has_range(map))
		return write_single(proc_pid_fd, map, err);
	int r = write_range(proc_pid_fd, "uid_map", map->uid, &map->uids, err);
	return r < 0 ? r : write_range(proc_pid_fd, "gid_map", map->gid, &map->gids, err);
}
