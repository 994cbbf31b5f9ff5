/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cgroup/own.c - see own.h. */
#include "cgroup/own.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cgroup/group.h"

#define VALUE_MAX (1u << 20)

/* The same group in each hierarchy. */
struct places {
	struct cgroup_dir dirs[CGROUP_DIRS_MAX];
	unsigned n;
};

static void places_done(struct places *p)
{
	for (unsigned i = 0; i < p->n; i++)
		cgroup_dir_close(&p->dirs[i]);
}
#define _cleanup_places_ __attribute__((cleanup(places_done)))

static int check_path(const char *path, bool own_too, struct kennel_error **err)
{
	if (path[0] == '/')
		return hint(err, fail(err, KENNEL_E_INVALID, "the path \"%s\" is absolute", path),
			    "paths begin in the group that you are in yourself");
	for (const char *s = path; *s;) {
		size_t len = strcspn(s, "/");

		if (len == 2 && strncmp(s, "..", 2) == 0)
			return fail(err, KENNEL_E_INVALID, "the path \"%s\" leads out of your own group",
				    path);
		s += len + (s[len] == '/');
	}
	if (!own_too && (!*path || strcmp(path, ".") == 0))
		return fail(err, KENNEL_E_INVALID, "this would be your own group");
	return 0;
}

/* The own group in each hierarchy, or what path names below it; those without it are left out. */
static int open_places(const char *path, bool own_too, struct places *ret, struct kennel_error **err)
{
	_cleanup_cgroup_texts_ struct cgroup_texts texts = { 0 };
	struct cgroup_layout l;
	int r = check_path(path, own_too, err);

	if (r == 0)
		r = cgroup_layout_read(NULL, &texts, &l, err);
	for (unsigned i = 0; r == 0 && i < l.n && ret->n < CGROUP_DIRS_MAX; i++) {
		_cleanup_close_ int root_fd = -EBADF, own_fd = -EBADF;

		if (!l.mounts[i].visible || cgroup_layout_is_hidden(&l, i))
			continue;
		root_fd = cgroup_mount_open(&l.mounts[i]);
		own_fd = root_fd < 0 ? -1 : cgroup_open_below(root_fd, l.mounts[i].own);
		int fd = own_fd < 0 ? -1 :
				      cgroup_open_below(own_fd, (struct cgroup_slice){ path, strlen(path) });
		if (fd < 0 && (errno == ELOOP || errno == EXDEV))
			return fail(err, KENNEL_E_INVALID, "the path \"%s\" leads out of your own group",
				    path);
		if (fd >= 0)
			ret->dirs[ret->n++] = (struct cgroup_dir){
				.v2 = l.mounts[i].v2,
				.ctls = l.mounts[i].v2 ? ~0u : l.mounts[i].ctls,
				.top_fd = -EBADF,
				.parent_fd = -EBADF,
				.fd = fd,
				.inside_fd = -EBADF,
				.entry_fd = -EBADF,
			};
	}
	if (r == 0 && !ret->n)
		r = hint(err, fail(err, KENNEL_E_NOTFOUND, "there is no group \"%s\" in your own", path),
			 "\"kennel cg list\" shows those that there are");
	return r;
}

/* Where the last of path is: its parent in each hierarchy, and its name. */
static int open_parents(const char *path, struct places *ret, const char **ret_name,
			struct kennel_error **err)
{
	_cleanup_free_ char *parent = strdup(path);
	char *slash = parent ? strrchr(parent, '/') : NULL;
	int r = check_path(path, false, err);

	if (r < 0)
		return r;
	if (!parent)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	*ret_name = slash ? path + (slash - parent) + 1 : path;
	if (slash)
		*slash = '\0';
	if (!**ret_name || strcmp(*ret_name, ".") == 0)
		return fail(err, KENNEL_E_INVALID, "the path \"%s\" ends without a name", path);
	return open_places(slash ? parent : "", true, ret, err);
}

int cgroup_own_create(const char *path, struct kennel_error **err)
{
	_cleanup_places_ struct places p = { 0 };
	unsigned made = 0, there = 0;
	const char *name;
	int r = open_parents(path, &p, &name, err), errnum = 0;

	for (unsigned i = 0; r == 0 && i < p.n; i++) {
		struct cgroup_dir *d = &p.dirs[i];

		if (d->v2)
			cgroup_enable_all(
				d->fd); /* refused where processes are beside it: then without limits */
		if (mkdirat(d->fd, name, 0755) < 0) {
			there += errno == EEXIST;
			errnum = errno;
			continue;
		}
		made++;
		_cleanup_close_ int fd = openat(d->fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (!d->v2 && d->ctls & CGROUP_CPUSET && fd >= 0)
			(void)!cgroup_cpuset_inherit(fd); /* else nothing can enter it, which a move tells */
	}
	if (r < 0 || made)
		return r;
	if (there)
		return fail(err, KENNEL_E_EXISTS, "make the group \"%s\": it is there already", path);
	errno = errnum;
	return hint(err, fail_errno(err, "make the group \"%s\"", path),
		    "your own group must be yours: run it in systemd-run --user --scope -p Delegate=yes");
}

int cgroup_own_remove(const char *path, struct kennel_error **err)
{
	_cleanup_places_ struct places p = { 0 };
	unsigned removed = 0;
	const char *name;
	int r = open_parents(path, &p, &name, err);

	for (unsigned i = 0; r == 0 && i < p.n; i++) {
		if (unlinkat(p.dirs[i].fd, name, AT_REMOVEDIR) == 0)
			removed++;
		else if (errno == EBUSY || errno == ENOTEMPTY)
			return hint(err, fail_errno(err, "remove the group \"%s\"", path),
				    "processes or groups are in it: kennel cg tasks, kennel cg list");
		else if (errno != ENOENT)
			return fail_errno(err, "remove the group \"%s\"", path);
	}
	return r < 0 || removed ? r :
				  fail(err, KENNEL_E_NOTFOUND, "there is no group \"%s\" in your own", path);
}

int cgroup_own_chown(const char *path, uid_t uid, gid_t gid, struct kennel_error **err)
{
	static const char *const files[] = { "cgroup.procs", "tasks", "cgroup.threads",
					     "cgroup.subtree_control" };
	_cleanup_places_ struct places p = { 0 };
	int r = open_places(path, false, &p, err);

	for (unsigned i = 0; r == 0 && i < p.n; i++) {
		if (fchownat(p.dirs[i].fd, "", uid, gid, AT_EMPTY_PATH) < 0)
			return fail_errno(err, "give the group \"%s\" away", path);
		for (size_t k = 0; k < ARRAY_SIZE(files); k++)
			if (fchownat(p.dirs[i].fd, files[k], uid, gid, AT_SYMLINK_NOFOLLOW) < 0 &&
			    errno != ENOENT)
				return fail_errno(err, "give \"%s\" of the group \"%s\" away", files[k],
						  path);
	}
	return r;
}

int cgroup_own_move(const char *path, pid_t pid, struct kennel_error **err)
{
	_cleanup_places_ struct places p = { 0 };
	char text[16];
	int r = open_places(path, false, &p, err);

	(void)!snprintf(text, sizeof(text), "%d", (int)pid);
	for (unsigned i = 0; r == 0 && i < p.n; i++) {
		if (cgroup_write(p.dirs[i].fd, "cgroup.procs", text) == 0)
			continue;
		r = fail_errno(err, "move process %d into the group \"%s\"", (int)pid, path);
		if (kennel_error_errno(err ? *err : NULL) == EBUSY)
			return hint(err, r, "it hands controllers down, so processes go into groups in it");
	}
	return r;
}

int cgroup_own_freeze(const char *path, bool freeze, struct kennel_error **err)
{
	_cleanup_places_ struct places p = { 0 };
	int r = open_places(path, false, &p, err);

	if (r < 0)
		return r;
	/* v1 first: who mounts the freezer there uses it there */
	for (unsigned i = 0; i < p.n; i++)
		if (!p.dirs[i].v2 && p.dirs[i].ctls & CGROUP_FREEZER)
			return cgroup_freeze_dir(p.dirs[i].fd, false, freeze, err);
	for (unsigned i = 0; i < p.n; i++)
		if (p.dirs[i].v2)
			return cgroup_freeze_dir(p.dirs[i].fd, true, freeze, err);
	return hint(err, fail(err, KENNEL_E_UNSUPPORTED, "the group \"%s\" has no freezer", path),
		    "mount cgroup v2, or the freezer of v1");
}

int cgroup_own_kill(const char *path, struct kennel_error **err)
{
	_cleanup_places_ struct places p = { 0 };
	int r = open_places(path, false, &p, err);

	for (unsigned i = 0; r == 0 && i < p.n; i++)
		if (!cgroup_kill_dir(p.dirs[i].fd, p.dirs[i].v2))
			r = hint(err,
				 fail(err, KENNEL_E_BUSY, "processes of the group \"%s\" did not end", path),
				 "are they frozen? kennel cg thaw; or not yours to end");
	return r;
}

static const struct twin {
	const char *v1, *v2;
} twins[] = {
	{ "memory.limit_in_bytes", "memory.max" },
	{ "memory.usage_in_bytes", "memory.current" },
	{ "memory.max_usage_in_bytes", "memory.peak" },
	{ "freezer.state", "cgroup.freeze" },
	{ "tasks", "cgroup.threads" },
};

/* The words of one for those of the other. */
static const char *translate(const char *key, bool v2, const char *value)
{
	static const struct twin values[] = { { "FROZEN", "1" }, { "THAWED", "0" } };

	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		if (v2 && strcmp(key, "cgroup.freeze") == 0 && strcmp(value, values[i].v1) == 0)
			return values[i].v2;
		if (!v2 && strcmp(key, "freezer.state") == 0 && strcmp(value, values[i].v2) == 0)
			return values[i].v1;
	}
	if (!v2 && strcmp(key, "memory.limit_in_bytes") == 0 && strcmp(value, "max") == 0)
		return "-1";
	return v2 && strcmp(value, "-1") == 0 ? "max" : value;
}

/* The hierarchy that has the file, and how it is called there. */
static const struct cgroup_dir *find_key(const struct places *p, const char **key)
{
	for (unsigned i = 0; i < p->n; i++)
		if (faccessat(p->dirs[i].fd, *key, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			return &p->dirs[i];
	for (size_t k = 0; k < ARRAY_SIZE(twins); k++)
		for (unsigned i = 0; i < p->n; i++) {
			const char *other = p->dirs[i].v2 ? twins[k].v2 : twins[k].v1;

			if ((strcmp(*key, twins[k].v1) == 0 || strcmp(*key, twins[k].v2) == 0) &&
			    faccessat(p->dirs[i].fd, other, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
				*key = other;
				return &p->dirs[i];
			}
		}
	return NULL;
}

static int open_key(const char *path, bool own_too, struct places *p, const char **key,
		    const struct cgroup_dir **ret, struct kennel_error **err)
{
	if (!**key || strchr(*key, '/') || (*key)[0] == '.')
		return fail(err, KENNEL_E_INVALID, "\"%s\" is no name of a control file", *key);
	int r = open_places(path, own_too, p, err);
	if (r < 0)
		return r;
	*ret = find_key(p, key);
	if (*ret)
		return 0;
	return hint(err, fail(err, KENNEL_E_NOTFOUND, "the group \"%s\" has no \"%s\"", path, *key),
		    "its controller must be handed down to it: in v2 by a group without processes beside it");
}

int cgroup_own_get(const char *path, const char *key, struct buf *ret, struct kennel_error **err)
{
	_cleanup_places_ struct places p = { 0 };
	const struct cgroup_dir *d;
	int r = open_key(path, true, &p, &key, &d, err);

	if (r < 0)
		return r;
	_cleanup_close_ int fd = openat(d->fd, key, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return fail_errno(err, "open \"%s\" of the group \"%s\"", key, path);
	r = buf_read_fd(ret, fd, VALUE_MAX, err);
	return r < 0 ? wrap(err, r, "read \"%s\" of the group \"%s\"", key, path) : 0;
}

int cgroup_own_set(const char *path, const char *key, const char *value, struct kennel_error **err)
{
	_cleanup_places_ struct places p = { 0 };
	const struct cgroup_dir *d;
	int r = open_key(path, false, &p, &key, &d, err);

	if (r < 0)
		return r;
	value = translate(key, d->v2, value);
	return cgroup_write(d->fd, key, value) < 0 ?
		       fail_errno(err, "write \"%s\" to \"%s\" of the group \"%s\"", value, key, path) :
		       0;
}

int cgroup_own_tasks(const char *path, struct strv *ret, struct kennel_error **err)
{
	_cleanup_places_ struct places p = { 0 };
	int r = open_places(path, true, &p, err);

	for (unsigned i = 0; r == 0 && i < p.n; i++) {
		_cleanup_buf_ struct buf text = { 0 };
		_cleanup_close_ int fd =
			openat(p.dirs[i].fd, "cgroup.procs", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

		if (fd < 0 || buf_read_fd(&text, fd, VALUE_MAX, NULL) < 0)
			continue; /* a group of threads has no list */
		for (char *rest = text.data, *pid; r == 0 && rest && (pid = strsep(&rest, "\n"));)
			if (*pid && !strv_has(ret, pid))
				r = strv_add(ret, pid, err);
	}
	return r;
}

int cgroup_own_list(const char *path, struct strv *ret, struct kennel_error **err)
{
	_cleanup_places_ struct places p = { 0 };
	int r = open_places(path, true, &p, err);

	for (unsigned i = 0; r == 0 && i < p.n; i++) {
		int fd = openat(p.dirs[i].fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		_cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);

		if (!dir)
			return fail_errno(err, "read the group \"%s\"", path);
		for (const struct dirent *e; r == 0 && (e = readdir(dir));)
			if (e->d_type == DT_DIR && e->d_name[0] != '.' && !strv_has(ret, e->d_name))
				r = strv_add(ret, e->d_name, err);
	}
	return r;
}

int cgroup_own_limits(const char *path, int (*say)(void *data, const char *name, const char *value),
		      void *data, struct kennel_error **err)
{
	_cleanup_places_ struct places p = { 0 };
	int r = open_places(path, true, &p, err);

	for (unsigned i = 0; r == 0 && i < p.n; i++)
		r = cgroup_dir_limits(&p.dirs[i], say, data);
	return r;
}
