/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * api-delta.c - the public face of src/delta/: whose changes are meant, and reading them.
 *
 * What can be meant is a list of openers: a kind of thing that has a delta adds its own.
 */
#include "api-delta.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <kennel/kennel.h>

#include "api-guest.h"
#include "api-running.h"
#include "base/cleanup.h"
#include "conf/config.h"
#include "conf/name.h"
#include "container/changes.h"
#include "container/container.h"
#include "container/snapshot.h"
#include "delta/diff.h"
#include "path/path.h"
#include "run/errand.h"
#include "run/file.h"
#include "run/image-view.h"
#include "run/keep.h"
#include "run/registry.h"

#define SAME(a, b) _Static_assert((int)(a) == (int)(b), "public and internal values are the same")
SAME(KENNEL_ADDED, DELTA_ADDED);
SAME(KENNEL_CHANGED, DELTA_CHANGED);
SAME(KENNEL_DELETED, DELTA_DELETED);
SAME(KENNEL_RETYPED, DELTA_RETYPED);
SAME(KENNEL_CHANGE_CONTENT, DELTA_CONTENT);
SAME(KENNEL_CHANGE_MODE, DELTA_MODE);
SAME(KENNEL_CHANGE_OWNER, DELTA_OWNER);
SAME(KENNEL_CHANGE_XATTR, DELTA_XATTR);
SAME(KENNEL_CHANGE_LINK, DELTA_LINK);
SAME(KENNEL_CHANGE_TIME, DELTA_TIME);
SAME(KENNEL_CHANGE_OPAQUE, DELTA_OPAQUE);
SAME(KENNEL_CHANGE_HARDLINK, DELTA_HARDLINK);

/* A descriptor that its monitor holds: of the delta, of the user namespace whose root reads it. */
int delta_open_monitors_fd(const struct copy_sandbox *sb, const char *number, int flags,
			   struct kennel_error **err)
{
	char name[64];
	_cleanup_close_ int proc_fd = path_open_proc(err);

	if (proc_fd < 0)
		return proc_fd;
	if (!number || !*number || strspn(number, "0123456789") != strlen(number) || strlen(number) > 9)
		return hint(err,
			    fail(err, KENNEL_E_UNSUPPORTED,
				 "the sandbox does not tell where its changes are"),
			    "another version of kennel started it");
	snprintf(name, sizeof(name), "%d/fd/%s", sb->monitor, number);
	int fd = openat(proc_fd, name, flags | O_RDONLY | O_CLOEXEC);
	return fd < 0 ? fail_errno(err, "open the changes of the sandbox") : fd;
}

/* What a person named, and in which store, or NULL. */
struct wanted {
	const char *store, *what;
	const char *since; /* a snapshot of it, or NULL */
};

int delta_open_namespace(const struct manifest *m, uid_t owner, int *ret_fd, struct kennel_error **err)
{
	if (owner == geteuid())
		return geteuid() == 0 ? 0 : errand_namespace(ret_fd, err);
	if (!m->view || !m->shifted || m->ids.uid != owner)
		return fail(
			err, KENNEL_E_CORRUPT,
			"the container belongs to user %u, but what it says of its ids is not that user's",
			owner);
	return errand_namespace_of(&m->ids, ret_fd, err);
}

/* Is it to have a kernel of its own, so that this one reads no image of its? */
static bool is_guest(const struct container *c)
{
	_cleanup_config_ struct config config = { 0 };
	_cleanup_buf_ struct buf text = { 0 };

	if (container_read(c, CONTAINER_CONFIG, &text, NULL) <= 0 ||
	    config_parse("the configuration", buf_str(&text), text.len, &config, NULL) < 0)
		return false;
	const char *level = config_get(&config, "isolate");
	return level && strcmp(level, spec_isolate_name(SPEC_ISOLATE_VM)) == 0;
}

/* How root opens images below it. */
static image_opener choose_opener(const struct container *c)
{
	return geteuid() == 0 && is_guest(c) ? image_view_open_layer : NULL;
}

/* n_base: so many of its layers count as the base. */
static int open_held(struct container *c, struct manifest *m, size_t n_base, int delta_fd, int ns_fd,
		     struct delta_tree **ret, struct kennel_error **err)
{
	struct delta_layers layers = { 0 };
	void *held = NULL;

	int r = container_find_base(c, m, err);
	if (r == 0)
		r = changes_open_layers(c, m, &layers, err);
	if (r < 0) {
		close_fd(delta_fd);
		return r;
	}
	layers.n_base = n_base;
	layers.open_image = choose_opener(c);
	r = delta_tree_open_over(m, delta_fd, &layers, ns_fd, NULL, ret, err);
	if (r == 0)
		r = container_take_data(c, &held, err);
	if (r == 0 && held) {
		(*ret)->held = held;
		(*ret)->let_go = container_let_go;
	}
	return r;
}

int delta_open_held(struct container *c, struct manifest *m, int delta_fd, int ns_fd, struct delta_tree **ret,
		    struct kennel_error **err)
{
	return open_held(c, m, 0, delta_fd, ns_fd, ret, err);
}

/* Which of its layers it had when a snapshot was taken. Return: how many, or a negative code. */
static int count_since(const struct container *c, const struct manifest *m, const char *snapshot,
		       struct kennel_error **err)
{
	_cleanup_container_ struct container snap = CONTAINER_NONE;
	_cleanup_manifest_ struct manifest then = { 0 };
	_cleanup_buf_ struct buf text = { 0 };
	struct stat st;
	bool stands = true;

	int r = snapshot_open(c, snapshot, &snap, err);
	if (r == 0)
		r = container_read(&snap, CONTAINER_MANIFEST, &text, err);
	if (r > 0)
		r = manifest_parse(buf_str(&text), &then, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < then.below.n; i++)
		stands = stands && i < m->below.n && strcmp(then.below.items[i], m->below.items[i]) == 0;
	if (stands && fstatat(snap.dir_fd, "delta", &st, AT_SYMLINK_NOFOLLOW) < 0 &&
	    fstatat(snap.dir_fd, STORAGE_FILE, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return (int)then.below.n;
	return hint(err,
		    fail(err, KENNEL_E_UNSUPPORTED,
			 "\"%s\" does not stand on its snapshot \"%s\": what changed since can't be told",
			 c->name, snapshot),
		    "make containers of both (kennel restore --as) and compare what these changed");
}

/* A store that a person names may be another user's, where root asks. Return: 1, 0 not there, or a code. */
static int open_store(const struct wanted *w, struct store *ret, struct kennel_error **err)
{
	return w->store && geteuid() == 0 ? store_open_any(w->store, ret, err) :
					    store_open(w->store, false, ret, err);
}

static int open_container(const struct wanted *w, const struct store *store, struct delta_tree **ret,
			  struct kennel_error **err)
{
	_cleanup_container_ struct container c = CONTAINER_NONE;
	_cleanup_manifest_ struct manifest m = { 0 };
	_cleanup_close_ int ns_fd = -EBADF;
	_cleanup_buf_ struct buf text = { 0 };
	struct container_holder guest = { 0 };

	int r = container_open(store, w->what, &c, err);
	if (r == -KENNEL_E_NOTFOUND && !w->store) {
		error_clear(err);
		return 0;
	}
	if (r == 0)
		r = keep_settle_or_find(&c, &guest, err);
	const bool runs = r > 0;
	if (r >= 0)
		r = container_read(&c, CONTAINER_MANIFEST, &text, err);
	if (r == 0)
		return hint(err,
			    fail(err, KENNEL_E_UNSUPPORTED, "the container \"%s\" was never started",
				 w->what),
			    "it has no changes yet");
	if (r > 0)
		r = manifest_parse(buf_str(&text), &m, err);
	if (r == 0)
		r = delta_open_namespace(&m, store->owner, &ns_fd, err);
	int n_base = r == 0 && w->since ? count_since(&c, &m, w->since, err) : r;
	if (n_base >= 0 && runs) {
		r = container_find_base(&c, &m, err);
		if (r == 0)
			r = guest_open_kept(store, &c, &m, guest.id, ns_fd, (size_t)n_base, ret, err);
		return r < 0 ? r : 1;
	}
	int fd = n_base < 0 ? n_base : container_open_delta(&c, err);
	if (fd < 0)
		return fd;
	r = open_held(&c, &m, (size_t)n_base, fd, ns_fd, ret, err);
	return r < 0 ? r : 1;
}

/* A container, by its name, whether it runs or not. */
static int open_named(const struct wanted *w, struct delta_tree **ret, struct kennel_error **err)
{
	_cleanup_store_ struct store store = STORE_NONE;

	if (!w->store && name_check(w->what, NULL) < 0) /* no name, but maybe an id */
		return 0;
	int r = open_store(w, &store, err);
	if (r < 0 || (r == 0 && !w->store))
		return r;
	return open_container(w, &store, ret, err);
}

/* A container that runs and stands on frozen changes: all of them lie side by side in its store. */
static int open_by_path(const char *path, struct delta_tree **ret, struct kennel_error **err)
{
	const char *slash = path ? strrchr(path, '/') : NULL;
	_cleanup_store_ struct store store = STORE_NONE;

	if (!slash)
		return fail(err, KENNEL_E_UNSUPPORTED, "the sandbox does not tell where its changes are");
	_cleanup_free_ char *dir = strndup(path, (size_t)(slash - path));
	const struct wanted w = { dir, slash + 1 };
	if (!dir)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	int r = open_store(&w, &store, err);
	if (r > 0)
		r = open_container(&w, &store, ret, err);
	return r == 0 ? fail(err, KENNEL_E_NOTFOUND, "there is no container \"%s\"", path) : MIN(r, 0);
}

static int open_entry(const struct kennel_list *list, const struct copy_sandbox *sb, struct delta_tree **ret,
		      struct kennel_error **err)
{
	_cleanup_close_ int user_ns_fd = -EBADF;
	_cleanup_close_ int dir_fd = registry_open(err);
	_cleanup_manifest_ struct manifest m = { 0 };
	const char *text = kennel_list_value(list, 0, "manifest");

	if (dir_fd < 0)
		return dir_fd;
	if (running_is_guest(list)) {
		const char *path = kennel_list_value(list, 0, "path");
		struct stat st;

		return path && stat(path, &st) == 0 && S_ISDIR(st.st_mode) ?
			       open_by_path(path, ret, err) :
			       guest_open_running(list, ret, err); /* a throwaway, or in a file */
	}
	int r = manifest_parse(text ? text : "", &m, err);
	if (r < 0 || m.below.n)
		return r < 0 ? r : open_by_path(kennel_list_value(list, 0, "path"), ret, err);
	_cleanup_close_ int fd =
		delta_open_monitors_fd(sb, kennel_list_value(list, 0, "delta-fd"), O_DIRECTORY, err);
	if (fd < 0)
		return fd;
	if (m.view || sb->mapped) {
		user_ns_fd = delta_open_monitors_fd(sb, kennel_list_value(list, 0, "user-ns-fd"), 0, err);
		if (user_ns_fd < 0)
			return user_ns_fd;
	}
	if (!registry_is_alive(dir_fd, kennel_list_value(list, 0, "id")))
		return fail(err, KENNEL_E_NOTFOUND, "the sandbox has ended");
	const struct idmap *shift = sb->mapped && !m.view && geteuid() == 0 ? &sb->map : NULL;
	r = delta_tree_open(&m, take_fd(&fd), user_ns_fd, shift, ret, err);
	if (r == 0 && sb->mapped)
		(*ret)->id_count = sb->map.count;
	return r;
}

/* A sandbox by its id: one that runs, or whose end is being asked about. */
static int open_running(const struct wanted *w, struct delta_tree **ret, struct kennel_error **err)
{
	struct kennel_list *list = NULL;
	struct copy_sandbox sb;

	int r = w->store ? -KENNEL_E_NOTFOUND : running_read(w->what, &sb, &list, err);
	if (r == -KENNEL_E_NOTFOUND) {
		error_clear(err);
		return 0;
	}
	if (r < 0)
		return r;
	r = open_entry(list, &sb, ret, err);
	kennel_list_free(list);
	return r < 0 ? r : 1;
}

static void let_go_of_file(void *held)
{
	file_free(held);
}

/* The delta of a container in a file that is open. */
static int open_box(const char *what, const struct file_box *box, struct delta_tree **ret,
		    struct kennel_error **err)
{
	_cleanup_container_ struct container c = CONTAINER_NONE;
	_cleanup_manifest_ struct manifest m = { 0 };
	_cleanup_buf_ struct buf text = { 0 };

	c.path = strdup(what);
	c.dir_fd = fcntl(box->dir_fd, F_DUPFD_CLOEXEC, 3);
	if (!c.path || c.dir_fd < 0)
		return fail_errno(err, "hold the container in \"%s\"", what);
	int r = container_read(&c, CONTAINER_MANIFEST, &text, err);
	if (r == 0)
		return hint(err,
			    fail(err, KENNEL_E_UNSUPPORTED, "the container in \"%s\" was never started",
				 what),
			    "it has no changes yet");
	if (r > 0)
		r = manifest_parse(buf_str(&text), &m, err);
	if (box->work_fd >= 0) /* all of it was unpacked */
		m.copied_ns = manifest_made_until_now();
	struct delta_layers none = { .open_image = choose_opener(&c) };
	int fd = r < 0 ? r : container_open_delta(&c, err);
	return fd < 0 ? fd : delta_tree_open_over(&m, fd, &none, box->user_ns_fd, NULL, ret, err);
}

/* A container in one file, by its path; it is held as long as its changes are read. */
static int open_boxed(const struct wanted *w, struct delta_tree **ret, struct kennel_error **err)
{
	const struct file_wish wish = { .path = w->what };
	struct file_box *box = NULL;

	if (w->store || (!strchr(w->what, '/') && !file_is_there(w->what)))
		return 0;
	int r = file_open(&wish, &box, err);
	if (r == 0)
		r = open_box(w->what, box, ret, err);
	if (r < 0) {
		file_free(box);
		return r;
	}
	(*ret)->held = box;
	(*ret)->let_go = let_go_of_file;
	return 1;
}

/*
 * Kinds of things that have a delta, tried in this order. Return of each: 1 opened, 0 it is no such thing, or
 * a negative code.
 */
static int (*const openers[])(const struct wanted *w, struct delta_tree **ret, struct kennel_error **err) = {
	open_named,
	open_boxed,
	open_running,
};

int kennel_delta_open_since(const char *store, const char *what, const char *snapshot,
			    struct kennel_delta **ret, struct kennel_error **err)
{
	_cleanup_free_ struct kennel_delta *d = calloc(1, sizeof(*d));
	const struct wanted w = { store, what, snapshot };
	int r = 0;

	if (!d)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	/* only a container of a store has snapshots */
	for (size_t i = 0; i < (snapshot ? 1 : ARRAY_SIZE(openers)) && r == 0; i++)
		r = openers[i](&w, &d->tree, err);
	if (r == 0 && snapshot)
		return hint(err, fail(err, KENNEL_E_NOTFOUND, "there is no container \"%s\"", what),
			    "snapshots are those of a container in a store");
	if (r == 0)
		return hint(err,
			    fail(err, KENNEL_E_NOTFOUND,
				 "there is no container, no running sandbox and no file \"%s\"", what),
			    "\"kennel list\" shows what there is");
	if (r < 0)
		return r;
	*ret = take_ptr(&d);
	return 0;
}

int kennel_delta_open_in(const char *store, const char *what, struct kennel_delta **ret,
			 struct kennel_error **err)
{
	return kennel_delta_open_since(store, what, NULL, ret, err);
}

int kennel_delta_open(const char *what, struct kennel_delta **ret, struct kennel_error **err)
{
	return kennel_delta_open_in(NULL, what, ret, err);
}

struct kennel_delta *kennel_delta_free(struct kennel_delta *delta)
{
	if (delta)
		delta_tree_free(delta->tree);
	free(delta);
	return NULL;
}

struct visitor {
	int (*visit)(void *data, const struct kennel_change *change);
	void *data;
};

static int visit_public(void *data, const struct delta_change *c, struct kennel_error **err)
{
	const struct visitor *v = data;
	const struct kennel_change change = {
		.size = sizeof(change),
		.path = c->path,
		.kind = (enum kennel_change_kind)c->kind,
		.bits = c->bits,
		.before = c->kind == DELTA_ADDED ? NULL : &c->before,
		.after = c->kind == DELTA_DELETED ? NULL : &c->after,
		.link_to = c->link_to,
	};

	return v->visit(v->data, &change);
}

/* What a person typed. *ret is the caller's. */
static int clean(const char *path, char **ret, struct kennel_error **err)
{
	if (path[0] != '/')
		return hint(err, fail(err, KENNEL_E_INVALID, "\"%s\" is not an absolute path", path),
			    "paths are those inside of the sandbox");
	return path_clean(path, ret, err);
}

int kennel_delta_diff(struct kennel_delta *delta, const char *below, unsigned flags,
		      int (*visit)(void *data, const struct kennel_change *change), void *data,
		      struct kennel_error **err)
{
	struct visitor v = { visit, data };
	_cleanup_free_ char *path = NULL;

	if (flags & ~(unsigned)KENNEL_DELTA_ALL)
		return fail(err, KENNEL_E_INVALID, "unknown flags %#x", flags);
	int r = below ? clean(below, &path, err) : 0;
	if (r < 0)
		return r;
	delta->tree->all = flags & KENNEL_DELTA_ALL;
	return delta_diff(delta->tree, path, visit_public, &v, err);
}

unsigned delta_locate(const struct manifest *m, const char *path, const char **ret_rel)
{
	unsigned best = 0;
	size_t len = 0;

	for (unsigned i = 1; i < m->n_mounts; i++)
		if (path_is_below(path, m->mounts[i].target) && strlen(m->mounts[i].target) > len) {
			best = i;
			len = strlen(m->mounts[i].target);
		}
	*ret_rel = path + len + (path[len] == '/');
	return best;
}

int kennel_delta_read_file(struct kennel_delta *delta, const char *path, int after, struct kennel_error **err)
{
	_cleanup_free_ char *p = NULL;
	const char *rel;
	struct stat st;

	int r = clean(path, &p, err);
	if (r < 0)
		return r;
	unsigned mount = delta_locate(&delta->tree->manifest, p, &rel);
	const enum delta_side side = after ? DELTA_AFTER : DELTA_BEFORE;
	/* Looked at first: to open a device can do things. */
	_cleanup_close_ int pin_fd = delta_tree_pin(delta->tree, side, mount, rel, O_PATH, err);
	if (pin_fd < 0)
		return pin_fd;
	if (fstat(pin_fd, &st) < 0)
		return fail_errno(err, "look at \"%s\"", path);
	if (!S_ISREG(st.st_mode))
		return fail(err, KENNEL_E_TYPE, "\"%s\" is not a regular file", path);
	return delta_tree_pin(delta->tree, side, mount, rel, O_RDONLY, err);
}

int kennel_delta_read_link(struct kennel_delta *delta, const char *path, int after, char **ret,
			   struct kennel_error **err)
{
	_cleanup_free_ char *p = NULL;
	const char *rel;

	int r = clean(path, &p, err);
	if (r < 0)
		return r;
	unsigned mount = delta_locate(&delta->tree->manifest, p, &rel);
	return delta_tree_readlink(delta->tree, after ? DELTA_AFTER : DELTA_BEFORE, mount, rel, ret, err);
}
