/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * api-watch.c - what containers are doing, and waiting for it.
 *
 * Nobody is asked: that a sandbox runs says its locked entry in the runtime directory, that it is frozen its
 * control group, that a container is just starting or ending its lock. inotify only says when to look
 * again, and where it says nothing (a lock let go of by a killed process) a slow clock does.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <kennel/kennel.h>

#include "api-list.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "cgroup/cgroup.h"
#include "container/container.h"
#include "run/registry.h"

#define LOOK_AGAIN_MS 500

const char *kennel_state_name(enum kennel_state state)
{
	switch (state) {
	case KENNEL_STATE_STOPPED:
		return "stopped";
	case KENNEL_STATE_STARTING:
		return "starting";
	case KENNEL_STATE_RUNNING:
		return "running";
	case KENNEL_STATE_FROZEN:
		return "frozen";
	case KENNEL_STATE_STOPPING:
		return "stopping";
	}
	return NULL;
}

struct watched {
	const char *id;
	struct store store;
	struct container c;
	bool is_container;
	int inotify_fd;
};

static void watched_done(struct watched *w)
{
	container_done(&w->c);
	store_done(&w->store);
	close_fd(w->inotify_fd);
}
#define _cleanup_watched_ __attribute__((cleanup(watched_done)))

static int watch_path(int inotify_fd, int fd, const char *name, uint32_t mask)
{
	char path[80];

	snprintf(path, sizeof(path), "/proc/self/fd/%d%s%s", fd, name ? "/" : "", name ? name : "");
	return inotify_add_watch(inotify_fd, path, mask);
}

#define REGISTRY_EVENTS (IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_CLOSE_WRITE)

static int begin(struct watched *w, struct kennel_error **err)
{
	_cleanup_close_ int dir_fd = registry_open(err);

	if (dir_fd < 0)
		return dir_fd;
	w->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (w->inotify_fd < 0 || watch_path(w->inotify_fd, dir_fd, NULL, REGISTRY_EVENTS) < 0)
		return hint(err, fail_errno(err, "watch the runtime directory"),
			    "see sysctl fs.inotify.max_user_instances");
	if (w->is_container) /* there is none before the first start */
		(void)!watch_path(w->inotify_fd, w->c.dir_fd, "lock", IN_MODIFY | IN_CLOSE);
	return 0;
}

static void let_events_pass(int fd)
{
	char room[4096];

	while (read(fd, room, sizeof(room)) > 0)
		;
}

static int find_container(struct watched *w, const char *store, struct kennel_error **err)
{
	int r = store_open(store, false, &w->store, err);

	if (r <= 0)
		return r;
	r = container_open(&w->store, w->id, &w->c, NULL);
	w->is_container = r == 0;
	return 0;
}

/* By its path: another store may have one of the same name. */
static bool is_it(const struct watched *w, const struct kennel_list *list, size_t i)
{
	const char *path = kennel_list_value(list, i, "path");

	return w->is_container ? path && strcmp(path, w->c.path) == 0 :
				 strncmp(kennel_list_value(list, i, "id"), w->id, strlen(w->id)) == 0;
}

static int look(const struct watched *w, bool *ret_runs, enum kennel_state *ret, struct kennel_error **err)
{
	struct kennel_list *list = NULL;
	struct container_holder h;

	int r = kennel_list_read(NULL, &list, err);
	if (r < 0)
		return r;
	*ret_runs = false;
	for (size_t i = 0; i < kennel_list_count(list) && !*ret_runs; i++)
		if (is_it(w, list, i)) {
			*ret_runs = true;
			*ret = list_state(list, i);
		}
	kennel_list_free(list);
	if (*ret_runs)
		return 0;
	*ret = !w->is_container || !container_is_held(&w->c, &h) ? KENNEL_STATE_STOPPED :
	       h.id[0]						 ? KENNEL_STATE_STARTING :
								   KENNEL_STATE_STOPPING;
	return 0;
}

int kennel_wait(const char *store, const char *id, unsigned states, int timeout_ms,
		enum kennel_state *ret_state, struct kennel_error **err)
{
	_cleanup_watched_ struct watched w = {
		.id = id, .store = STORE_NONE, .c = CONTAINER_NONE, .inotify_fd = -EBADF
	};
	const int64_t end = clock_ms() + timeout_ms;
	enum kennel_state state;
	bool runs;

	int r = *id ? find_container(&w, store, err) :
		      fail(err, KENNEL_E_INVALID, "\"\" is the name of nothing");
	if (r == 0)
		r = begin(&w, err);
	if (r == 0)
		r = look(&w, &runs, &state, err);
	if (r == 0 && !w.is_container && !runs)
		r = hint(err, fail(err, KENNEL_E_NOTFOUND, "there is no container or sandbox \"%s\"", id),
			 "\"kennel list\" shows those that are");
	while (r == 0) {
		struct pollfd fd = { .fd = w.inotify_fd, .events = POLLIN };
		int64_t left = timeout_ms < 0 ? LOOK_AGAIN_MS : end - clock_ms();

		if (ret_state)
			*ret_state = state;
		if (state & states)
			return 1;
		if (left <= 0)
			return 0;
		if (poll(&fd, 1, (int)MIN(left, (int64_t)LOOK_AGAIN_MS)) < 0 && errno != EINTR)
			return fail_errno(err, "wait");
		let_events_pass(w.inotify_fd);
		r = look(&w, &runs, &state, err);
	}
	return r;
}

/* --- all of them --- */

struct seen {
	char *id, *name;
	enum kennel_state state;
	bool there;
};

struct watch {
	struct seen *items;
	size_t n;
	int (*change)(void *data, const char *id, const char *name, enum kennel_state state);
	void *data;
};

static struct seen *find_seen(struct watch *w, const char *id)
{
	for (size_t i = 0; i < w->n; i++)
		if (strcmp(w->items[i].id, id) == 0)
			return &w->items[i];
	return NULL;
}

static int add_seen(struct watch *w, const struct kennel_list *list, size_t i, struct seen **ret,
		    struct kennel_error **err)
{
	const char *name = kennel_list_value(list, i, "name");
	struct seen *grown = reallocarray(w->items, w->n + 1, sizeof(*grown));

	if (!grown)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	w->items = grown;
	*ret = &grown[w->n];
	**ret = (struct seen){ .id = strdup(kennel_list_value(list, i, "id")),
			       .name = name ? strdup(name) : NULL };
	w->n++;
	return (*ret)->id && (!name || (*ret)->name) ? 0 : fail(err, KENNEL_E_NOMEM, "out of memory");
}

/* Return: 1 change() stops it, 0, or a code. */
static int compare_all(struct watch *w, const struct kennel_list *list, struct kennel_error **err)
{
	bool stop = false;
	int r = 0;

	for (size_t i = 0; i < w->n; i++)
		w->items[i].there = false;
	for (size_t i = 0; i < kennel_list_count(list) && !stop; i++) {
		const enum kennel_state state = list_state(list, i);
		struct seen *s = find_seen(w, kennel_list_value(list, i, "id"));

		if (!s)
			r = add_seen(w, list, i, &s, err);
		if (r < 0)
			return r;
		s->there = true;
		if (s->state != state)
			stop = w->change(w->data, s->id, s->name, state) != 0;
		s->state = state;
	}
	for (size_t i = w->n; i-- > 0 && !stop;) {
		struct seen *s = &w->items[i];

		if (s->there)
			continue;
		stop = w->change(w->data, s->id, s->name, KENNEL_STATE_STOPPED) != 0;
		free(s->id);
		free(s->name);
		*s = w->items[--w->n];
	}
	return stop;
}

int kennel_watch(int (*change)(void *data, const char *id, const char *name, enum kennel_state state),
		 void *data, struct kennel_error **err)
{
	_cleanup_watched_ struct watched w = { .store = STORE_NONE,
					       .c = CONTAINER_NONE,
					       .inotify_fd = -EBADF };
	struct watch all = { .change = change, .data = data };
	int r = begin(&w, err);

	while (r == 0) {
		struct pollfd fd = { .fd = w.inotify_fd, .events = POLLIN };
		struct kennel_list *list = NULL;

		r = kennel_list_read(NULL, &list, err);
		if (r == 0)
			r = compare_all(&all, list, err);
		kennel_list_free(list);
		if (r == 0 && poll(&fd, 1, LOOK_AGAIN_MS) < 0 && errno != EINTR)
			r = fail_errno(err, "wait");
		let_events_pass(w.inotify_fd);
	}
	for (size_t i = 0; i < all.n; i++) {
		free(all.items[i].id);
		free(all.items[i].name);
	}
	free(all.items);
	return MIN(r, 0);
}
