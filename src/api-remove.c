/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * api-remove.c - removing containers, and what killed processes left of them.
 *
 * Who shares with others is not removed by accident: its clones are told by name. Nothing of theirs would be
 * lost, for what they stand on stays as long as they do, but from then on nobody would know where they came
 * from.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <kennel/kennel.h>

#include "api-clone.h"
#include "api-list.h"
#include "base/cleanup.h"
#include "container/container.h"
#include "container/layers.h"
#include "container/origin.h"
#include "container/snapshot.h"
#include "container/switch.h"
#include "container/tidy.h"
#include "run/file.h"
#include "run/keep.h"
#include "run/vm-disk.h"
#include "storage/storage.h"
#include "sys/sys.h"

#define END_MS 5000 /* for a process that was killed */
#define REMOVE_FLAGS (KENNEL_REMOVE_END | KENNEL_REMOVE_SNAPSHOTS | KENNEL_REMOVE_PROMOTE)

/* The monitor's end is the sandbox's; its janitor holds the lock until nothing of it is left. */
static int end_holder(struct container *c, const struct container_holder *h, struct kennel_error **err)
{
	_cleanup_close_ int fd = sys_pidfd_open(h->pid, 0);
	struct container_holder now;

	/* Still the same one: the pid was read before there was a descriptor. */
	if (fd < 0 || !container_is_held(c, &now) || now.pid != h->pid)
		return 0;
	if (sys_pidfd_send_signal(fd, SIGKILL, 0) < 0)
		return errno == ESRCH ? 0 : fail_errno(err, "end the sandbox %s", h->id);
	struct pollfd ended = { .fd = fd, .events = POLLIN };
	(void)!poll(&ended, 1, END_MS);
	return 0;
}

static int lock_to_remove(struct container *c, unsigned flags, struct kennel_error **err)
{
	_cleanup_error_ struct kennel_error *why = NULL;
	struct container_holder h = { 0 };

	int r = container_lock(c, &h, &why);
	if (r == -KENNEL_E_BUSY && h.id[0] && (flags & KENNEL_REMOVE_END)) {
		r = end_holder(c, &h, err);
		return r < 0 ? r : container_lock(c, NULL, err);
	}
	if (r == -KENNEL_E_BUSY && h.id[0])
		(void)hint(&why, r, "end it first with \"kennel stop %s\", or use --force", c->name);
	if (r < 0 && err)
		*err = take_ptr(&why);
	return r;
}

/* Its name is gone. Who is killed in the middle of this leaves the rest to the next one. */
static int remove_retired(const struct container *c, const struct store *s, const char *temp,
			  struct kennel_error **err)
{
	_cleanup_free_ char *shown = NULL;

	if (asprintf(&shown, "%s/%s", s->path, temp) < 0) {
		shown = NULL;
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	}
	int r = keep_wipe(NULL, c->dir_fd, shown, err);
	if (r == 0 && unlinkat(s->fd, temp, AT_REMOVEDIR) < 0)
		r = fail_errno(err, "remove \"%s\"", shown);
	return r;
}

static int check_snapshots(const struct container *c, struct kennel_error **err)
{
	_cleanup_snapshots_ struct snapshots all = { 0 };
	_cleanup_buf_ struct buf names = { 0 };

	int r = snapshots_read(c, &all, err);
	if (r < 0 || !all.n)
		return r;
	for (size_t i = 0; i < all.n; i++)
		buf_printf(&names, "%s%s", i ? ", " : "", all.items[i].name);
	return hint(err, fail(err, KENNEL_E_BUSY, "\"%s\" has snapshots: %s", c->name, buf_str(&names)),
		    "--snapshots removes them along with it");
}

static int check_clones(const struct container *c, const struct strv *clones, struct kennel_error **err)
{
	_cleanup_buf_ struct buf names = { 0 };

	if (!clones->n)
		return 0;
	for (size_t i = 0; i < clones->n; i++)
		buf_printf(&names, "%s%s", i ? ", " : "", clones->items[i]);
	return hint(err, fail(err, KENNEL_E_BUSY, "clones share with \"%s\": %s", c->name, buf_str(&names)),
		    "--promote makes them containers of their own; or remove them first");
}

static int promote(const struct store *s, const struct strv *clones, struct kennel_error **err)
{
	int r = 0;

	for (size_t i = 0; i < clones->n && r == 0; i++) {
		_cleanup_container_ struct container c = CONTAINER_NONE;

		if (container_open(s, clones->items[i], &c, NULL) == 0)
			r = origin_forget(&c, err);
	}
	return r;
}

/* What the store itself could not take away. */
static int check_store_dependants(const struct container *c, unsigned flags, struct kennel_error **err)
{
	const struct storage_at at = clone_place(c);
	_cleanup_strv_ struct strv names = { 0 };
	_cleanup_buf_ struct buf list = { 0 };

	int r = storage_dependants(&at, &names, err);
	if (r < 0 || !names.n)
		return r;
	if (flags & KENNEL_REMOVE_PROMOTE)
		return storage_promote(&at, err);
	for (size_t i = 0; i < names.n; i++)
		buf_printf(&list, "%s%s", i ? ", " : "", names.items[i]);
	return hint(err,
		    fail(err, KENNEL_E_BUSY, "others can't be without \"%s\": %s", c->name, buf_str(&list)),
		    "--promote makes them independent first");
}

static int check_dependants(const struct store *s, const struct container *c, unsigned flags,
			    struct kennel_error **err)
{
	_cleanup_strv_ struct strv clones = { 0 };

	int r = flags & KENNEL_REMOVE_SNAPSHOTS ? 0 : check_snapshots(c, err);
	if (r == 0)
		r = origin_clones(s, c, &clones, err);
	if (r == 0)
		r = check_store_dependants(c, flags, err);
	if (r < 0)
		return r;
	return flags & KENNEL_REMOVE_PROMOTE ? promote(s, &clones, err) : check_clones(c, &clones, err);
}

static int open_named(const char *path, const char *name, struct store *store, struct container *c,
		      struct kennel_error **err)
{
	_cleanup_error_ struct kennel_error *why = NULL;
	bool is_file = strchr(name, '/');

	int r = is_file ? 0 : store_open(path, false, store, &why);
	if (r > 0)
		store_tidy(store, keep_wipe);
	if (r > 0)
		(void)storage_settle(store->fd);
	if (r >= 0 && !is_file)
		r = container_open(store, name, c, &why);
	is_file |= (r == -KENNEL_E_NOTFOUND || r == -KENNEL_E_INVALID) && !path && file_is_there(name);
	if (is_file)
		return hint(err, fail(err, KENNEL_E_INVALID, "\"%s\" is one file", name), "use rm(1)");
	if (r < 0 && err)
		*err = take_ptr(&why);
	return r;
}

int kennel_container_remove(const char *path, const char *name, unsigned flags, struct kennel_error **err)
{
	_cleanup_store_ struct store store = STORE_NONE;
	_cleanup_container_ struct container c = CONTAINER_NONE;
	char temp[STORE_TEMP_SIZE];

	if (flags & ~(unsigned)REMOVE_FLAGS)
		return fail(err, KENNEL_E_INVALID, "unknown flags %#x", flags);
	int r = open_named(path, name, &store, &c, err);
	if (r == 0)
		r = check_dependants(&store, &c, flags, err);
	if (r == 0)
		r = lock_to_remove(&c, flags, err);
	if (r == 0)
		r = container_retire(&c, &store, temp, err);
	if (r == 0)
		r = remove_retired(&c, &store, temp, err);
	/* What cannot be read of others must not keep this one from going. */
	if (r == 0)
		(void)!layers_sweep(&store, keep_wipe, NULL, NULL);
	return r < 0 ? wrap(err, r, "remove the container \"%s\"", name) : 0;
}

/* Files that were being replaced, or made. */
static const char *const half[] = { ".id-new", ".config-new", ".manifest-new", VM_DISK_NEW };

static bool has_leftovers(const struct container *c)
{
	static const char *const dirs[] = { "next", ".next", ".old-delta", ".old-base" };
	struct stat st;

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		if (fstatat(c->dir_fd, dirs[i], &st, AT_SYMLINK_NOFOLLOW) == 0)
			return true;
	for (size_t i = 0; i < ARRAY_SIZE(half); i++)
		if (fstatat(c->dir_fd, half[i], &st, AT_SYMLINK_NOFOLLOW) == 0)
			return true;
	return snapshots_have_leftovers(c);
}

/* What a killed snapshot, restore or clone left in a container. Return: 1 removed, 0 nothing, or a code. */
static int tidy_one(const struct store *s, const char *name, struct kennel_error **err)
{
	_cleanup_container_ struct container c = CONTAINER_NONE;

	if (container_open(s, name, &c, NULL) < 0 || !has_leftovers(&c))
		return 0;
	if (container_lock(&c, NULL, NULL) < 0 || container_begin_change(&c, NULL) < 0)
		return 0; /* somebody is at it */
	for (size_t i = 0; i < ARRAY_SIZE(half); i++)
		(void)!unlinkat(c.dir_fd, half[i], 0);
	int r = keep_settle(&c, NULL, err);
	if (r == 0)
		switch_drop(&c, keep_wipe);
	if (r == 0)
		r = snapshots_sweep(&c, keep_wipe, err);
	return r < 0 ? r : 1;
}

static int tidy_all(const struct store *s, size_t *n, struct kennel_error **err)
{
	_cleanup_strv_ struct strv names = { 0 };

	int r = store_names(s, &names, err);
	for (size_t i = 0; i < names.n && r >= 0; i++) {
		r = tidy_one(s, names.items[i], err);
		*n += r > 0;
	}
	return MIN(r, 0);
}

int kennel_container_gc(const char *path, size_t *ret_removed, struct kennel_error **err)
{
	_cleanup_store_ struct store store = STORE_NONE;
	size_t n = 0, layers = 0;

	int r = store_open(path, false, &store, err);
	if (r > 0)
		r = store_sweep(&store, keep_wipe, NULL, &n, err);
	if (r >= 0 && store.fd >= 0)
		r = tidy_all(&store, &n, err);
	if (r == 0 && store.fd >= 0)
		r = layers_sweep(&store, keep_wipe, &layers, err);
	if (r == 0 && store.fd >= 0)
		n += storage_settle(store.fd);
	if (ret_removed)
		*ret_removed = n + layers;
	return MIN(r, 0);
}

static int add_line(struct kennel_list *l, const char *name, const char *problem, struct kennel_error **err)
{
	struct registry_entry *e = list_add(l, name, err);

	if (!e)
		return -KENNEL_E_NOMEM;
	int r = list_put(e, "name", name, err);
	return r < 0 ? r : list_put(e, "problem", problem, err);
}

/* Whose clone it is: one that is not there any more is forgotten. */
static int check_origin(const struct store *s, const char *name, struct kennel_list *l,
			struct kennel_error **err)
{
	_cleanup_container_ struct container c = CONTAINER_NONE;
	_cleanup_free_ char *origin = NULL;
	char id[ORIGIN_ID_SIZE];

	if (container_open(s, name, &c, NULL) < 0)
		return 0;
	int r = origin_read(&c, id, NULL);
	if (r == 0)
		return 0;
	if (r > 0)
		r = origin_find(s, id, &origin, err);
	if (r > 0)
		return 0;
	r = origin_forget(&c, err);
	return r < 0 ? r :
		       add_line(l, name, "it was the clone of a container that is gone: that is forgotten",
				err);
}

static int check_store(const struct store *s, struct kennel_list *l, struct kennel_error **err)
{
	_cleanup_strv_ struct strv names = { 0 }, missing = { 0 };

	int r = layers_missing(s, &missing, err);
	for (size_t i = 0; i < missing.n && r == 0; i++) {
		_cleanup_buf_ struct buf text = { 0 };
		char *tab = strchr(missing.items[i], '\t');

		*tab = '\0';
		buf_printf(&text, "it stands on \"%s\", which is not there", tab + 1);
		r = buf_check(&text, err);
		if (r == 0)
			r = add_line(l, missing.items[i], buf_str(&text), err);
	}
	if (r == 0)
		r = store_names(s, &names, err);
	for (size_t i = 0; i < names.n && r == 0; i++)
		r = check_origin(s, names.items[i], l, err);
	return r;
}

int kennel_container_check(const char *path, struct kennel_list **ret, struct kennel_error **err)
{
	_cleanup_store_ struct store store = STORE_NONE;
	struct kennel_list *l = calloc(1, sizeof(*l));

	if (!l)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	l->id_is_value = true;
	int r = store_open(path, false, &store, err);
	if (r > 0)
		r = check_store(&store, l, err);
	if (r < 0) {
		kennel_list_free(l);
		return r;
	}
	*ret = l;
	return 0;
}
