/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * delta/commit-judge.c - which changes there are, and what stands against each.
 *
 * What the sandbox saw of a file is not recorded anywhere. But an overlay makes the file in the delta when it
 * copies it up, or when the sandbox makes one in its place, so the birth of that one is the latest moment
 * at which the base can have been looked at. A host file whose change time, which nobody can set back, is
 * later was changed by somebody else. Where a file system knows no births, or they are those of a copy of the
 * delta, the first start of the container stands for them; an old one that does not tell has conflicts only.
 */
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/statfs.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "delta/commit-judge.h"
#include "delta/newer.h"
#include "path/path.h"
#include "sys/sys.h"

#define UNKNOWN_MOUNT UINT64_MAX

struct judge {
	struct commit *c;
	const char *own;
	const struct restored *restored;
	size_t room;
	gid_t *groups;
	int n_groups;
	uint64_t *mount_ids; /* as manifest.mounts */
	const struct commit_entry *made; /* the last outermost directory that is made new */
};

int commit_open_parent(int root_fd, const char *path, struct kennel_error **err)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *dir = strndup(path, (size_t)(slash - path));

	if (!dir)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	return path_pin_plain(root_fd, *dir ? dir : ".", O_DIRECTORY, err);
}

static int settle_as(struct commit_entry *e, enum commit_verdict v, struct kennel_error **err,
		     const char *fmt, ...) PRINTF_LIKE(4, 5);
static int settle_as(struct commit_entry *e, enum commit_verdict v, struct kennel_error **err,
		     const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int n = vasprintf(&e->reason, fmt, ap);
	va_end(ap);
	if (n < 0) {
		e->reason = NULL;
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	}
	e->verdict = v;
	return 1;
}

static bool has_own_name(const char *path)
{
	const char *hit = strstr(path, "/" TXN_STAGE_PREFIX);

	return hit || strstr(path, "/.kennel-left-");
}

static bool is_never(const char *path)
{
	static const char *const never[] = { "/proc", "/sys", "/dev", "/run", "/tmp" };

	for (size_t i = 0; i < ARRAY_SIZE(never); i++)
		if (path_is_below(path, never[i]))
			return true;
	return false;
}

static bool in_groups(const struct judge *j, gid_t gid)
{
	for (int i = 0; i < j->n_groups; i++)
		if (j->groups[i] == gid)
			return true;
	return gid == getegid();
}

/* What no rights on the host can help with, and what this user can't give. Return: 1 left, 0. */
static int judge_kind(struct judge *j, struct commit_entry *e, bool in_made, struct kennel_error **err)
{
	bool becomes = e->kind != DELTA_DELETED;

	if (is_never(e->path))
		return settle_as(e, COMMIT_LEFT, err, "never committed");
	if (has_own_name(e->path) || (j->own && path_is_below(e->path, j->own)))
		return settle_as(e, COMMIT_LEFT, err, "kennel's own");
	if (becomes && S_ISSOCK(e->after.st_mode))
		return settle_as(e, COMMIT_LEFT, err, "a socket");
	if (in_made && j->made->verdict != COMMIT_FINE)
		return settle_as(e, j->made->verdict, err, "its directory is not made");
	if (!becomes || geteuid() == 0)
		return 0;
	if (e->rights & COMMIT_DEVICE)
		return settle_as(e, COMMIT_LEFT, err, "a device, which only root can make");
	if (e->after.st_uid != geteuid())
		return settle_as(e, COMMIT_LEFT, err, "owned by %s",
				 e->after.st_uid == 0 ? "root" : "another user");
	if (!in_groups(j, e->after.st_gid))
		return settle_as(e, COMMIT_LEFT, err, "of a group that you are not in");
	if (e->rights & COMMIT_CAPABILITY)
		return settle_as(e, COMMIT_LEFT, err, "it has capabilities, which only root can give");
	return 0;
}

static int mount_of(int fd, uint64_t *ret, struct kennel_error **err)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) < 0)
		return fail_errno(err, "see which file system is mounted");
	*ret = st.stx_mnt_id;
	return 0;
}

/* Is what is mounted there the file system that the sandbox saw? Where that can't be told, it is. */
static bool has_its_uuid(int fd, const char *uuid)
{
	_cleanup_close_ int dir_fd = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char text[MANIFEST_UUID_SIZE];
	uint8_t now[16];

	if (dir_fd < 0 || sys_fs_uuid(dir_fd, now) < 0)
		return true;
	manifest_uuid_text(now, text);
	return strcmp(text, uuid) == 0;
}

/* The mount in which the sandbox saw it; looked at once. *ret: its id, or 0 it is another one. */
static int seen_mount(struct judge *j, unsigned mount, uint64_t *ret, struct kennel_error **err)
{
	const struct manifest_mount *m = &j->c->tree->manifest.mounts[mount];

	*ret = j->mount_ids[mount];
	if (*ret != UNKNOWN_MOUNT)
		return 0;
	_cleanup_close_ int fd = path_pin_plain(j->c->root_fd, strcmp(m->target, "/") == 0 ? "." : m->target,
						O_DIRECTORY, NULL);
	bool same = fd >= 0 && (!m->uuid || has_its_uuid(fd, m->uuid));
	*ret = 0;
	int r = same ? mount_of(fd, ret, err) : 0;
	if (r == 0)
		j->mount_ids[mount] = *ret;
	return r;
}

/* Is it where the sandbox saw it, or has something been mounted over it? Return: 1, 0, or a code. */
static int is_on_its_mount(struct judge *j, const struct commit_entry *e, int dir_fd,
			   struct kennel_error **err)
{
	uint64_t seen, now = 0;

	if (j->c->tree->manifest.view)
		return 1;
	int r = seen_mount(j, e->mount, &seen, err);
	if (r == 0 && seen && *e->rel)
		r = mount_of(dir_fd, &now, err);
	return r < 0 ? r : seen && (!*e->rel || seen == now);
}

/* Return: 1 this user may not, 0. */
static int judge_rights(struct judge *j, struct commit_entry *e, int dir_fd, struct kennel_error **err)
{
	struct stat dir;

	if (geteuid() == 0)
		return 0;
	if (e->kind == DELTA_CHANGED && S_ISDIR(e->after.st_mode))
		return e->host.st_uid == geteuid() ? 0 : settle_as(e, COMMIT_LEFT, err, "not yours");
	if (faccessat(dir_fd, ".", W_OK | X_OK, AT_EACCESS) < 0 || fstat(dir_fd, &dir) < 0)
		return settle_as(e, COMMIT_LEFT, err, "you may not write in its directory");
	if (e->there && (dir.st_mode & S_ISVTX) && dir.st_uid != geteuid() && e->host.st_uid != geteuid())
		return settle_as(e, COMMIT_LEFT, err, "not yours");
	if (e->there && S_ISDIR(e->host.st_mode) &&
	    faccessat(dir_fd, strrchr(e->path, '/') + 1, W_OK, AT_EACCESS | AT_SYMLINK_NOFOLLOW) < 0)
		return settle_as(e, COMMIT_LEFT, err, "you may not write in it");
	return 0;
}

/* The clock of files stands still for milliseconds: what has the time of the copy itself may be later. */
static struct timespec just_before(int64_t sec, uint32_t nsec)
{
	return nsec ? (struct timespec){ sec, nsec - 1 } : (struct timespec){ sec - 1, 999999999 };
}

/*
 * Just before the birth of what the delta has; where that is the birth of a copy, an earlier time.
 * Return: 1, 0 unknown.
 */
static int born_of(const struct manifest *m, int fd, struct timespec *ret)
{
	struct statx st;
	bool known = statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &st) == 0 && st.stx_mask & STATX_BTIME;

	*ret = (struct timespec){ m->begun_ns / 1000000000, m->begun_ns % 1000000000 };
	if (known && st.stx_btime.tv_sec > 0 && /* what an image holds that was packed from a copy */
	    st.stx_btime.tv_sec * 1000000000ll + st.stx_btime.tv_nsec > m->copied_ns) {
		*ret = just_before(st.stx_btime.tv_sec, st.stx_btime.tv_nsec);
		return 1;
	}
	return m->begun_ns > 0;
}

/*
 * When the delta got what it has at this place, or at the next one above that it has. Return: 1, 0 unknown.
 */
static int born(struct judge *j, const struct commit_entry *e, struct timespec *ret)
{
	_cleanup_free_ char *rel = strdup(e->rel);

	while (rel) {
		_cleanup_close_ int fd = delta_tree_pin(j->c->tree, DELTA_AFTER, e->mount, rel, O_PATH, NULL);

		if (fd >= 0)
			return born_of(&j->c->tree->manifest, fd, ret);
		if (!*rel)
			return 0;
		char *slash = strrchr(rel, '/');
		*(slash ? slash : rel) = '\0';
	}
	return 0;
}

static bool differs_from_before(const struct commit_entry *e)
{
	return (e->before.st_mode & S_IFMT) != (e->host.st_mode & S_IFMT);
}

/* Return: 1 a conflict, 0. */
static int judge_conflict(struct judge *j, struct commit_entry *e, int dir_fd, struct kennel_error **err)
{
	_cleanup_free_ char *newer = NULL;
	struct timespec since;

	if (e->kind == DELTA_ADDED)
		return e->there ? settle_as(e, COMMIT_CONFLICT, err, "it is there now") : 0;
	if (!e->there)
		return settle_as(e, COMMIT_CONFLICT, err, "it is gone");
	if (differs_from_before(e))
		return settle_as(e, COMMIT_CONFLICT, err, "it is something else now");
	if (!born(j, e, &since))
		return settle_as(e, COMMIT_CONFLICT, err, "whether it changed since can't be told");
	const struct timespec changed =
		restored_ctime(j->restored, j->c->root, e->path + 1, e->host.st_ino, e->host.st_ctim);
	if (time_is_later(&changed, &since))
		return settle_as(e, COMMIT_CONFLICT, err, "it changed since");
	if (!S_ISDIR(e->host.st_mode) || e->kind == DELTA_CHANGED)
		return 0;
	int r = newer_below(dir_fd, strrchr(e->path, '/') + 1, &since, &newer, err);
	return r <= 0 ? r : settle_as(e, COMMIT_CONFLICT, err, "\"%s\" in it changed since", newer);
}

static int judge_one(struct judge *j, struct commit_entry *e, bool in_made, struct kennel_error **err)
{
	int r = judge_kind(j, e, in_made, err);

	if (r != 0 || in_made)
		return r;
	_cleanup_close_ int dir_fd = commit_open_parent(j->c->root_fd, e->path, NULL);
	if (dir_fd < 0)
		return settle_as(e, COMMIT_CONFLICT, err, "its directory is gone");
	const char *name = strrchr(e->path, '/') + 1;
	e->there = fstatat(dir_fd, *name ? name : ".", &e->host, AT_SYMLINK_NOFOLLOW) == 0;
	r = is_on_its_mount(j, e, dir_fd, err);
	if (r < 0)
		return r;
	if (r == 0)
		return settle_as(e, COMMIT_LEFT, err, "another file system is mounted there");
	r = judge_rights(j, e, dir_fd, err);
	return r != 0 ? r : judge_conflict(j, e, dir_fd, err);
}

static int find_rights(struct commit *c, struct commit_entry *e, struct kennel_error **err)
{
	_cleanup_xattrs_ struct delta_xattrs x = { 0 };

	if (e->kind == DELTA_DELETED)
		return 0;
	if (S_ISCHR(e->after.st_mode) || S_ISBLK(e->after.st_mode))
		e->rights |= COMMIT_DEVICE;
	if (!S_ISREG(e->after.st_mode))
		return 0;
	if (e->after.st_mode & S_ISUID)
		e->rights |= COMMIT_SETUID;
	if ((e->after.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
		e->rights |= COMMIT_SETGID;
	int r = delta_tree_xattrs(c->tree, DELTA_AFTER, e->mount, e->rel, &x, err);
	for (size_t i = 0; i < x.n && r == 0; i++)
		if (strcmp(x.items[i].name, "security.capability") == 0)
			e->rights |= COMMIT_CAPABILITY;
	return r;
}

static int see(void *data, const struct delta_change *ch, struct kennel_error **err)
{
	struct judge *j = data;
	struct commit *c = j->c;

	if (c->n == j->room) {
		size_t room = j->room ? j->room * 2 : 64;
		struct commit_entry *items = reallocarray(c->items, room, sizeof(*items));

		if (!items)
			return fail(err, KENNEL_E_NOMEM, "out of memory");
		c->items = items;
		j->room = room;
	}
	struct commit_entry *e = &c->items[c->n];
	*e = (struct commit_entry){
		.path = strdup(ch->path),
		.rel = strdup(ch->rel),
		.link_to = ch->link_to ? strdup(ch->link_to) : NULL,
		.mount = ch->mount,
		.kind = ch->kind,
		.bits = ch->bits,
		.before = ch->before,
		.after = ch->after,
		.chosen = true,
	};
	c->n++;
	return e->path && e->rel && (e->link_to || !ch->link_to) ? 0 :
								   fail(err, KENNEL_E_NOMEM, "out of memory");
}

static int judge_all(struct judge *j, struct kennel_error **err)
{
	struct commit *c = j->c;

	for (size_t i = 0; i < c->n; i++) {
		struct commit_entry *e = &c->items[i];
		bool in_made = j->made && path_is_below(e->path, j->made->path);

		int r = find_rights(c, e, err);
		if (r == 0)
			r = judge_one(j, e, in_made, err);
		if (r < 0)
			return wrap(err, r, "look at \"%s\"", e->path);
		if (!in_made && (e->kind == DELTA_ADDED || e->kind == DELTA_RETYPED) &&
		    S_ISDIR(e->after.st_mode))
			j->made = e;
	}
	return 0;
}

static int open_root(struct delta_tree *tree, struct commit *c, struct kennel_error **err)
{
	const struct manifest *m = &tree->manifest;
	bool is_system = strcmp(m->base, "system") == 0;

	if (m->layers.n || m->root_layers.n)
		return hint(err,
			    fail(err, KENNEL_E_UNSUPPORTED,
				 "the changes lie over layers, not over one tree that could take them"),
			    "\"kennel export\" makes a layer or an archive of them");
	c->root = strdup(is_system ? "/" : m->base);
	if (!c->root)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	c->root_fd = open(c->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (c->root_fd < 0 && errno == ENOTDIR)
		return hint(err,
			    fail(err, KENNEL_E_UNSUPPORTED, "the base is an image, which can't be changed"),
			    "\"kennel export\" makes a layer or an archive of the changes");
	return c->root_fd < 0 ? fail_errno(err, "open the base \"%s\"", c->root) : 0;
}

int commit_collect(struct delta_tree *tree, const char *own, const struct restored *restored,
		   struct commit *ret, struct kennel_error **err)
{
	struct commit c = { .tree = tree, .root_fd = -EBADF };
	struct judge j = { .c = &c, .own = own, .restored = restored };

	int r = open_root(tree, &c, err);
	if (r == 0) {
		j.n_groups = getgroups(0, NULL);
		j.groups = calloc((size_t)MAX(j.n_groups, 1), sizeof(gid_t));
		if (!j.groups)
			r = fail(err, KENNEL_E_NOMEM, "out of memory");
		else
			j.n_groups = getgroups(j.n_groups, j.groups);
	}
	if (r == 0) {
		j.mount_ids = calloc(tree->manifest.n_mounts + 1, sizeof(*j.mount_ids));
		if (!j.mount_ids)
			r = fail(err, KENNEL_E_NOMEM, "out of memory");
		for (size_t i = 0; j.mount_ids && i < tree->manifest.n_mounts; i++)
			j.mount_ids[i] = UNKNOWN_MOUNT;
	}
	tree->all = false;
	if (r == 0)
		r = delta_diff(tree, NULL, see, &j, err);
	if (r == 0)
		r = judge_all(&j, err);
	free(j.groups);
	free(j.mount_ids);
	if (r < 0) {
		commit_done(&c);
		return r;
	}
	*ret = c;
	return 0;
}
