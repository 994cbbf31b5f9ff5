/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/vm-settle.c - what a guest has left on its disk becomes part of the container's delta: see vm-disk.h.
 *
 *   DELTA/.vm-changes/tree     what is on the disk
 *   DELTA/.vm-changes/links    empty but while unpacking
 *
 * Journal replayed by e2fsck, read by kennel-ext4, both behind walls; unpacked within the delta, whose file
 * system (a volume or subvolume of its own, perhaps) all of it must be on, and put in by renames
 * (delta/apply.h). An ordinary user's is done by root of that user's ids.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "container/layers.h"
#include "delta/apply.h"
#include "delta/layout.h"
#include "ext4/unpack.h"
#include "idmap/user.h"
#include "layer/disk.h"
#include "path/remove.h"
#include "run/errand.h"
#include "run/ext4-program.h"
#include "run/keep.h"
#include "run/vm-disk.h"

#define CHANGES ".vm-changes"
#define LOCK_WAIT_MS 2000u
#define UNUSED_WAIT_MS 10000u

struct settling {
	struct container *c;
	const struct manifest *manifest;
	int delta_fd, stream_fd;
	bool shifted; /* by root of the user's ids */
};

struct outcome {
	uint64_t count;
	struct unpack_loss loss;
};

bool vm_disk_is_there(const struct container *c)
{
	struct stat st;

	return fstatat(c->dir_fd, VM_DISK, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static int open_dir(int at_fd, const char *name)
{
	return openat(at_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int unpack(const struct settling *s, int changes_fd, struct unpack_loss *loss,
		  struct kennel_error **err)
{
	if (mkdirat(changes_fd, "tree", 0700) < 0 || mkdirat(changes_fd, "links", 0700) < 0)
		return fail_errno(err, "make room beside the delta");
	_cleanup_close_ int tree_fd = open_dir(changes_fd, "tree");
	_cleanup_close_ int links_fd = open_dir(changes_fd, "links");
	const struct unpack_where where = { .dir_fd = tree_fd, .links_fd = links_fd, .loss = loss };
	if (tree_fd < 0 || links_fd < 0)
		return fail_errno(err, "open the room beside the delta");
	return ext4_unpack(s->stream_fd, &where, err);
}

/* Is there anything in it, or is the root itself another one? */
static bool has_changes(int from_fd, int delta_fd)
{
	int fd = delta_open_place(from_fd, 0, "upper", O_RDONLY);
	_cleanup_close_ int old_fd = delta_open_place(delta_fd, 0, "upper", O_PATH);
	_cleanup_closedir_ DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct stat now, old;

	for (const struct dirent *e; d && (e = readdir(d));)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			return true;
	return d && old_fd >= 0 && fstat(dirfd(d), &now) == 0 && fstat(old_fd, &old) == 0 &&
	       (now.st_mode != old.st_mode || now.st_uid != old.st_uid || now.st_gid != old.st_gid);
}

/* Only the running system has several mounts: what lies there, and in frozen layers. */
static int tell_below(void *data, size_t mount,
		      int (*see)(void *arg, const char *name, struct kennel_error **err), void *arg,
		      struct kennel_error **err)
{
	const struct settling *s = data;
	const struct manifest_mount *m = &s->manifest->mounts[mount];
	int r = delta_apply_see(open(m->target, O_RDONLY | O_DIRECTORY | O_CLOEXEC), see, arg, err);

	for (size_t i = 0; i < s->manifest->below.n && r == 0; i++) {
		_cleanup_close_ int layer_fd = open_dir(s->c->store_fd, LAYERS_DIR);
		_cleanup_close_ int own_fd =
			openat(layer_fd, s->manifest->below.items[i], O_PATH | O_CLOEXEC);
		_cleanup_close_ int delta_fd = openat(own_fd, "delta", O_PATH | O_NOFOLLOW | O_CLOEXEC);

		if (delta_fd >= 0)
			r = delta_apply_see(delta_open_place(delta_fd, m->index, "upper", O_RDONLY), see, arg,
					    err);
	}
	return r;
}

static int apply(const struct settling *s, int changes_fd, uint64_t *ret, struct kennel_error **err)
{
	_cleanup_close_ int tree_fd = open_dir(changes_fd, "tree");
	_cleanup_close_ int from_fd = open_dir(tree_fd, "delta");
	const struct delta_apply a = {
		.from_fd = from_fd,
		.delta_fd = s->delta_fd,
		.manifest = s->manifest,
		.below = tell_below,
		.data = (void *)s,
	};

	/* A guest that never came so far as to make it. */
	if (from_fd < 0 || !has_changes(from_fd, s->delta_fd))
		return 0;
	if (syncfs(changes_fd) < 0)
		return fail_errno(err, "write the guest's changes");
	int r = delta_apply(&a, ret, err);
	*ret += r == 0; /* or the root's own attributes */
	if (r == 0 && syncfs(changes_fd) < 0)
		r = fail_errno(err, "write the delta");
	return r;
}

/* As root of the ids that are in the delta. */
static int work(void *data, struct buf *out, struct kennel_error **err)
{
	const struct settling *s = data;
	struct outcome o = { 0 };

	errand_raise_file_limit();
	umask(0);
	int r = path_remove_tree(s->delta_fd, CHANGES, err);
	if (r == 0 && mkdirat(s->delta_fd, CHANGES, 0700) < 0)
		r = fail_errno(err, "make room beside the delta");
	_cleanup_close_ int changes_fd = r < 0 ? -EBADF : open_dir(s->delta_fd, CHANGES);
	if (r == 0 && changes_fd < 0)
		r = fail_errno(err, "open the room beside the delta");
	if (r == 0)
		r = unpack(s, changes_fd, &o.loss, err);
	if (r == 0)
		r = apply(s, changes_fd, &o.count, err);
	if (r == 0)
		r = path_remove_tree(s->delta_fd, CHANGES, err);
	else /* what is there takes room that the next try needs */
		(void)!path_remove_tree(s->delta_fd, CHANGES, NULL);
	buf_add(out, &o, sizeof(o));
	return r < 0 ? r : buf_check(out, err);
}

static int run_work(struct settling *s, int disk_fd, struct outcome *ret, struct kennel_error **err)
{
	_cleanup_free_ char *program = NULL;
	_cleanup_close_ int read_fd = -EBADF, ns_fd = -EBADF;
	_cleanup_buf_ struct buf out = { 0 };
	pid_t pid;

	int r = ext4_program_find(&program, err);
	if (r == 0 && s->shifted)
		r = errand_namespace(&ns_fd, err);
	if (r == 0)
		r = ext4_program_read(program, disk_fd, "delta", &read_fd, &pid, err);
	if (r < 0)
		return r;
	s->stream_fd = read_fd;
	r = errand_run(ns_fd, work, s, &out, err);
	replace_fd(&read_fd, -EBADF);
	(void)!ext4_program_wait(pid); /* it has said so itself if something failed */
	if (r == 0 && out.len == sizeof(*ret))
		memcpy(ret, out.data, sizeof(*ret));
	return r;
}

static int note(const struct container *c, struct manifest *m, struct kennel_error **err)
{
	_cleanup_buf_ struct buf text = { 0 };

	/* files were born just now, but what they replace was seen before */
	m->copied_ns = manifest_made_until_now();
	manifest_format(m, &text);
	int r = buf_check(&text, err);
	return r < 0 ? r : container_write(c, CONTAINER_MANIFEST, &text, err);
}

static void tell_loss(const struct container *c, struct unpack_loss *l, const struct log_sink *log)
{
	_cleanup_buf_ struct buf name = { 0 };

	l->first[sizeof(l->first) - 1] = '\0';
	buf_safe(&name, l->first);
	log_warn(log,
		 "%llu device nodes, owners or attributes of files from the guest of \"%s\" are lost, for "
		 "want of rights to them: the first was of \"%s\"",
		 (unsigned long long)l->n, c->name, buf_str(&name));
}

static int settle(struct container *c, int disk_fd, struct manifest *m, const struct log_sink *log,
		  struct kennel_error **err)
{
	struct settling s = { .c = c, .manifest = m, .shifted = geteuid() != 0 };
	struct outcome o = { 0 };

	int r = disk_ready(disk_fd, VM_DISK, err);
	_cleanup_close_ int delta_fd = r < 0 ? -EBADF : container_open_delta(c, err);
	if (r < 0 || delta_fd < 0)
		return r < 0 ? r : delta_fd;
	s.delta_fd = delta_fd;
	r = run_work(&s, disk_fd, &o, err);
	if (r == 0 && o.count)
		r = note(c, m, err);
	if (r == 0 && o.loss.n)
		tell_loss(c, &o.loss, log);
	return r;
}

int vm_disk_copy(const struct container *c, int *ret_fd, struct kennel_error **err)
{
	_cleanup_close_ int from_fd =
		openat(c->dir_fd, VM_DISK, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	_cleanup_close_ int fd = openat(c->dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (from_fd < 0 && errno == ENOENT)
		return hint(err, fail(err, KENNEL_E_BUSY, "\"%s\" is just ending", c->name),
			    "try again in a moment");
	if (from_fd < 0 || fd < 0)
		return fail_errno(err, "copy the disk of the guest of \"%s\"", c->name);
	int r = disk_copy(from_fd, fd, err);
	if (r == 0)
		*ret_fd = take_fd(&fd);
	return r < 0 ? wrap(err, r, "copy the disk of the guest of \"%s\"", c->name) : 0;
}

int vm_disk_put(struct container *c, int disk_fd, int delta_fd, struct manifest *m, struct kennel_error **err)
{
	struct settling s = { .c = c, .manifest = m, .delta_fd = delta_fd, .shifted = geteuid() != 0 };
	struct outcome o = { 0 };

	int r = disk_ready(disk_fd, VM_DISK, err);
	if (r == 0)
		r = run_work(&s, disk_fd, &o, err);
	m->copied_ns = manifest_made_until_now();
	return r < 0 ? wrap(err, r, "take what the guest of \"%s\" has changed", c->name) : 0;
}

/* Root looks into other users' stores, but writes nothing there. */
static int check_owner(const struct container *c, struct kennel_error **err)
{
	struct stat st;

	if (fstat(c->dir_fd, &st) < 0)
		return fail_errno(err, "look at \"%s\"", c->path);
	if (st.st_uid == geteuid())
		return 0;
	return hint(err,
		    fail(err, KENNEL_E_BUSY, "changes of \"%s\" are still on the disk of its guest", c->name),
		    "the next command of user %u about it puts them in their place: kennel diff %s",
		    st.st_uid, c->name);
}

static int read_manifest(const struct container *c, struct manifest *ret, struct kennel_error **err)
{
	_cleanup_buf_ struct buf text = { 0 };

	int r = container_read(c, CONTAINER_MANIFEST, &text, err);
	if (r <= 0)
		return r;
	r = manifest_parse(buf_str(&text), ret, err);
	return r < 0 ? r : 1;
}

static int take_over(struct container *c, const struct log_sink *log, struct kennel_error **err)
{
	_cleanup_manifest_ struct manifest m = { 0 };
	_cleanup_close_ int fd =
		openat(c->dir_fd, VM_DISK, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	const bool was_open = c->storage.data_fd >= 0;

	if (fd < 0)
		return errno == ENOENT ? 0 : fail_errno(err, "open \"%s/" VM_DISK "\"", c->path);
	int r = check_owner(c, err);
	if (r == 0)
		r = disk_lock(fd, VM_DISK, LOCK_WAIT_MS, err);
	if (r == 0)
		r = read_manifest(c, &m, err);
	/* Without one, no guest was ever started. */
	if (r > 0)
		r = settle(c, fd, &m, log, err);
	if (!was_open)
		container_close_data(c, UNUSED_WAIT_MS);
	if (r == 0 && (unlinkat(c->dir_fd, VM_DISK, 0) < 0 || fsync(c->dir_fd) < 0))
		r = fail_errno(err, "remove \"%s/" VM_DISK "\"", c->path);
	return r;
}

int vm_disk_settle(struct container *c, const struct log_sink *log, struct kennel_error **err)
{
	int r = take_over(c, log, err);

	if (r == 0)
		return 0;
	r = wrap(err, r, "take what the guest of \"%s\" has changed from its disk", c->name);
	if (r == -KENNEL_E_CORRUPT || r == -KENNEL_E_TYPE || (err && *err && !kennel_error_hint(*err)))
		return hint(err, r,
			    "it stays there until that succeeds; to give it up, remove \"%s/" VM_DISK "\"",
			    c->path);
	return r;
}
