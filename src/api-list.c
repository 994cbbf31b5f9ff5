/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * api-list.c - the public face of run/registry.c: which sandboxes run, what this machine's base is, removing
 * leftovers.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <kennel/kennel.h>

#include "api-list.h"
#include "base/cleanup.h"
#include "cgroup/cgroup.h"
#include "conf/spec.h"
#include "layer/layer.h"
#include "net/clean.h"
#include "net/switch.h"
#include "run/errand.h"
#include "run/vm-freeze.h"

static int list_new(struct kennel_list **ret, struct kennel_error **err)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : fail(err, KENNEL_E_NOMEM, "out of memory");
}

/* real: the file that id names; or NULL */
static bool is_named(const struct registry_entry *e, const char *id, const char *real)
{
	const char *name = registry_get(e, "name", 0), *path = registry_get(e, "path", 0);

	if (!strchr(id, '/'))
		return name && strcmp(name, id) == 0;
	_cleanup_free_ char *its = real && path ? realpath(path, NULL) : NULL;
	return its && strcmp(its, real) == 0;
}

/* Leaves those that id means: the name of a container, the file that one is in, or the beginning of an id. */
static void choose(struct kennel_list *l, const char *id)
{
	_cleanup_free_ char *real = strchr(id, '/') ? realpath(id, NULL) : NULL;
	bool named = false;
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++)
		named |= is_named(&l->entries[i], id, real);
	for (size_t i = 0; i < l->n; i++) {
		bool chosen = named ? is_named(&l->entries[i], id, real) :
				      strncmp(l->entries[i].id, id, strlen(id)) == 0;
		struct registry_entry e = l->entries[i];

		if (chosen) {
			l->entries[i] = l->entries[n];
			l->entries[n++] = e;
		}
	}
	for (size_t i = n; i < l->n; i++) {
		free(l->entries[i].id);
		strv_done(&l->entries[i].keys);
		strv_done(&l->entries[i].values);
	}
	l->n = n;
}

enum kennel_state list_state(const struct kennel_list *list, size_t i)
{
	const char *state = kennel_list_value(list, i, "state");

	return state && strcmp(state, kennel_state_name(KENNEL_STATE_FROZEN)) == 0 ? KENNEL_STATE_FROZEN :
										     KENNEL_STATE_RUNNING;
}

/* Only what has a control group can be frozen, and guests. */
static int put_state(struct registry_entry *e, struct kennel_error **err)
{
	_cleanup_buf_ struct buf text = { 0 };
	char path[32];
	bool frozen = false;

	const char *init = registry_get(e, "init", 0);

	if (init && registry_get(e, "cgroup", 0)) {
		snprintf(path, sizeof(path), "/proc/%.12s/cgroup", init);
		_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
		frozen = fd >= 0 && buf_read_fd(&text, fd, 1u << 20, NULL) == 0 &&
			 cgroup_is_frozen(buf_str(&text)) > 0;
	}
	const char *level = registry_get(e, "isolate", 0);
	if (init && level && strcmp(level, spec_isolate_name(SPEC_ISOLATE_VM)) == 0)
		frozen = frozen || vm_is_frozen((pid_t)strtol(init, NULL, 10));
	return list_put(e, "state", kennel_state_name(frozen ? KENNEL_STATE_FROZEN : KENNEL_STATE_RUNNING),
			err);
}

struct registry_entry *list_add(struct kennel_list *l, const char *id, struct kennel_error **err)
{
	struct registry_entry *grown = reallocarray(l->entries, l->n + 1, sizeof(*grown));
	char *copy = strdup(id);

	if (grown)
		l->entries = grown;
	if (!grown || !copy) {
		free(copy);
		(void)fail(err, KENNEL_E_NOMEM, "out of memory");
		return NULL;
	}
	grown[l->n] = (struct registry_entry){ .id = copy };
	return &grown[l->n++];
}

int list_put(struct registry_entry *e, const char *key, const char *value, struct kennel_error **err)
{
	int r = strv_add(&e->keys, key, err);

	if (r < 0)
		return r;
	r = strv_add(&e->values, value, err);
	if (r < 0) {
		free(e->keys.items[--e->keys.n]);
		e->keys.items[e->keys.n] = NULL;
	}
	return r;
}

int kennel_list_read(const char *id, struct kennel_list **ret, struct kennel_error **err)
{
	_cleanup_close_ int dir_fd = registry_open(err);
	struct kennel_list *l;

	if (dir_fd < 0)
		return dir_fd;
	if (id && !*id)
		return hint(err, fail(err, KENNEL_E_INVALID, "\"\" is the beginning of every id"),
			    "\"kennel list\" shows those that are running");
	int r = list_new(&l, err);
	if (r < 0)
		return r;
	r = registry_list(dir_fd, NULL, &l->entries, &l->n, NULL, err);
	if (r == 0 && id)
		choose(l, id);
	for (size_t i = 0; i < l->n && r == 0; i++)
		r = put_state(&l->entries[i], err);
	if (r == 0 && id && l->n == 0)
		r = hint(err, fail(err, KENNEL_E_NOTFOUND, "no sandbox \"%s\" is running", id),
			 "\"kennel list\" shows those that are, and what \"kennel start\" can start");
	if (r == 0 && id && l->n > 1)
		r = hint(err,
			 fail(err, KENNEL_E_INVALID, "\"%s\" is the beginning of %zu sandboxes", id, l->n),
			 "give more of its id: \"kennel list\" shows them");
	if (r < 0) {
		kennel_list_free(l);
		return r;
	}
	*ret = l;
	return 0;
}

size_t kennel_list_count(const struct kennel_list *list)
{
	return list->n;
}

const char *kennel_list_value(const struct kennel_list *list, size_t index, const char *key)
{
	if (index >= list->n)
		return NULL;
	if (strcmp(key, "id") == 0 && !list->id_is_value)
		return list->entries[index].id;
	return registry_get(&list->entries[index], key, 0);
}

const char *kennel_list_detail(const struct kennel_list *list, size_t index, const char *key, size_t n)
{
	return index < list->n ? registry_get(&list->entries[index], key, n) : NULL;
}

struct kennel_list *kennel_list_free(struct kennel_list *list)
{
	if (list)
		registry_entries_free(list->entries, list->n);
	free(list);
	return NULL;
}

static int put_mounts(struct registry_entry *e, const struct mount_table *t, struct kennel_error **err)
{
	static const char *const verdicts[] = {
		[SYSTEM_COPY] = "copied",
		[SYSTEM_COPY_FILE] = "copied",
		[SYSTEM_NEW] = "new",
		[SYSTEM_SKIP] = "left-out",
	};
	_cleanup_free_ struct system_mount *m = NULL;
	int r = system_classify(t, &(struct strv){ 0 }, &m, err);

	for (size_t i = 0; i < t->n && r == 0; i++) {
		r = strv_add(&e->keys, "mount", err);
		if (r == 0)
			r = strv_addf(&e->values, err, "%s\t%s\t%s%s%s", verdicts[m[i].verdict],
				      m[i].entry->target, m[i].entry->fstype,
				      m[i].verdict == SYSTEM_SKIP ? "\t" : "",
				      m[i].verdict == SYSTEM_SKIP ? m[i].reason : "");
	}
	return r;
}

static int put_layers(struct registry_entry *e, const struct mount_table *t, struct kennel_error **err)
{
	_cleanup_strv_ struct strv layers = { 0 };
	int r = system_root_layers(t, &layers, err);

	for (size_t i = 0; i < layers.n && r == 0; i++) {
		r = strv_add(&e->keys, "layer", err);
		if (r == 0)
			r = strv_add(&e->values, layers.items[i], err);
	}
	return r;
}

int kennel_base_read(struct kennel_list **ret, struct kennel_error **err)
{
	struct mount_table t = { 0 };
	struct kennel_list *l;

	int r = mount_table_read(&t, err);
	if (r < 0)
		return r;
	r = list_new(&l, err);
	if (r == 0) {
		l->entries = calloc(1, sizeof(*l->entries));
		l->n = l->entries ? 1 : 0;
		r = l->entries && (l->entries[0].id = strdup("system")) ?
			    0 :
			    fail(err, KENNEL_E_NOMEM, "out of memory");
		if (r == 0)
			r = put_mounts(&l->entries[0], &t, err);
		if (r == 0)
			r = put_layers(&l->entries[0], &t, err);
		if (r < 0)
			kennel_list_free(l);
		else
			*ret = l;
	}
	mount_table_done(&t);
	return r;
}

struct gc_state {
	int dir_fd;
};

static bool is_alive(void *data, const char *id)
{
	return registry_is_alive(((struct gc_state *)data)->dir_fd, id);
}

/* Where an ordinary user's subordinate ids count, which groups made inside belong to. */
static int gc_inside(void *data, struct buf *out, struct kennel_error **err)
{
	const struct gc_state *state = data;
	struct stat st; /* its owner is we, whatever number we have in here */

	(void)out;
	return fstat(state->dir_fd, &st) < 0 ? 0 : cgroup_gc(is_alive, data, st.st_uid, err);
}

int kennel_gc(size_t *ret_removed, struct kennel_error **err)
{
	_cleanup_close_ int dir_fd = registry_open(err);
	struct registry_entry *entries = NULL;
	size_t n = 0, removed = 0;

	if (dir_fd < 0)
		return dir_fd;
	/* Starts hold this shared from the making of their control group until their entry is there. */
	if (flock(dir_fd, LOCK_EX) < 0)
		return fail_errno(err, "lock the runtime directory");
	int r = registry_list(dir_fd, NULL, &entries, &n, &removed, err);
	if (r < 0)
		return r;
	registry_entries_free(entries, n);
	struct gc_state state = { dir_fd };
	int inner = geteuid() == 0 ? 0 : errand_alone(gc_inside, &state, NULL, NULL);
	r = cgroup_gc(is_alive, &state, geteuid(), err);
	if (r < 0)
		return r;
	removed += (size_t)r + (size_t)MAX(inner, 0) + (size_t)net_clean_gc(dir_fd) + net_switch_gc(dir_fd);
	if (ret_removed)
		*ret_removed = removed;
	return 0;
}
