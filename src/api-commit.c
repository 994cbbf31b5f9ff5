/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* api-commit.c - the public face of delta/commit.h, and where a user's commits are written down. */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <kennel/kennel.h>

#include "api-delta.h"
#include "base/cleanup.h"
#include "container/container.h"
#include "delta/commit.h"
#include "path/path.h"
#include "run/registry.h"

#define SAME(a, b) _Static_assert((int)(a) == (int)(b), "public and internal values are the same")
SAME(KENNEL_COMMIT_FINE, COMMIT_FINE);
SAME(KENNEL_COMMIT_CONFLICT, COMMIT_CONFLICT);
SAME(KENNEL_COMMIT_LEFT, COMMIT_LEFT);
SAME(KENNEL_COMMIT_SETUID, COMMIT_SETUID);
SAME(KENNEL_COMMIT_SETGID, COMMIT_SETGID);
SAME(KENNEL_COMMIT_CAPABILITY, COMMIT_CAPABILITY);
SAME(KENNEL_COMMIT_DEVICE, COMMIT_DEVICE);

struct kennel_commit {
	struct kennel_delta *delta;
	struct commit c;
	struct store store;
	struct container container; /* locked, unless it runs */
	char *what;
	bool choosing; /* a path was chosen: all others are not */
};

/* One call of the library: what its caller wants to hear, and how far it is. */
struct call {
	struct kennel_commit_options o;
	uint64_t done, total;
};

/* What of a caller's struct is there; the rest is zero. */
static int read_options(const struct kennel_commit_options *options, struct call *c,
			struct kennel_error **err)
{
	struct kennel_commit_options *ret = &c->o;

	*c = (struct call){ 0 };
	if (options)
		memcpy(ret, options, MIN(options->size, sizeof(*ret)));
	if (ret->flags & ~(unsigned)(KENNEL_COMMIT_RUNNING | KENNEL_COMMIT_FORCE))
		return fail(err, KENNEL_E_INVALID, "unknown flags %#x", ret->flags);
	return 0;
}

static void hand_say(void *data, const char *text)
{
	const struct call *c = data;

	if (c->o.say)
		c->o.say(c->o.data, text);
}

static void note_progress(void *data, uint64_t files, uint64_t bytes)
{
	((struct call *)data)->done = files;
}

static bool hand_stop(void *data)
{
	const struct call *c = data;

	return c->o.progress && c->o.progress(c->o.data, c->done, c->total);
}

static struct txn_hooks hooks_of(struct call *c)
{
	return (struct txn_hooks){ .stop = hand_stop, .progress = note_progress, .say = hand_say, .data = c };
}

/* STORE: /var/lib/kennel, $XDG_DATA_HOME/kennel or ~/.local/share/kennel. *ret is the caller's. */
static int store_path(char **ret, struct kennel_error **err)
{
	const char *data = geteuid() ? secure_getenv("XDG_DATA_HOME") : "/var/lib";
	const char *home = data && *data == '/' ? NULL : secure_getenv("HOME");
	int n;

	if (data && *data == '/')
		n = asprintf(ret, "%s/kennel", data);
	else if (home && *home == '/')
		n = asprintf(ret, "%s/.local/share/kennel", home);
	else
		return hint(err, fail(err, KENNEL_E_NOTFOUND, "HOME is not set"),
			    "set HOME, or XDG_DATA_HOME, to a directory of your own");
	if (n < 0) {
		*ret = NULL;
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	}
	return 0;
}

/* Nobody else may have a say in what is put back on the next recovery. */
static int check_private(int fd, const char *path, struct kennel_error **err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return fail_errno(err, "look at \"%s\"", path);
	if (st.st_uid != geteuid() || (st.st_mode & 022))
		return hint(err, fail(err, KENNEL_E_PERM, "\"%s\" is open to other users", path),
			    "look at what it holds, then remove it or take the rights of others away");
	return 0;
}

/*
 * STORE/.commit. *ret_path: of STORE, or NULL. Return: 1, 0 it is not there (and was not to be made), or a
 * code.
 */
static int state_open(bool make, int *ret_fd, char **ret_path, struct kennel_error **err)
{
	_cleanup_free_ char *store = NULL;
	char path[PATH_MAX];

	int r = store_path(&store, err);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "%s/.commit", store);
	if (make) {
		/* The way there may have links: it is the user's own. */
		for (char *s = strchr(path + 1, '/'); s; s = strchr(s + 1, '/')) {
			*s = '\0';
			r = mkdir(path, strcmp(path, store) == 0 ? 0700 : 0755);
			*s = '/';
		}
		if (mkdir(path, 0700) < 0 && errno != EEXIST)
			return fail_errno(err, "make \"%s\"", path);
	}
	_cleanup_close_ int store_fd = open(store, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (store_fd < 0)
		return errno == ENOENT && !make ? 0 : fail_errno(err, "open \"%s\"", store);
	_cleanup_close_ int fd = openat(store_fd, ".commit", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT && !make ? 0 : fail_errno(err, "open \"%s\"", path);
	r = check_private(store_fd, store, err);
	if (r == 0)
		r = check_private(fd, path, err);
	if (r < 0)
		return r;
	*ret_fd = take_fd(&fd);
	if (ret_path)
		*ret_path = take_ptr(&store);
	return 1;
}

int kennel_commit_recover(const struct kennel_commit_options *options, struct kennel_error **err)
{
	_cleanup_close_ int fd = -EBADF;
	struct call call;
	int r = read_options(options, &call, err);

	if (r == 0)
		r = state_open(false, &fd, NULL, err);
	if (r <= 0)
		return r;
	const struct txn_hooks hooks = hooks_of(&call);
	return txn_recover(fd, &hooks, err);
}

/*
 * Nothing may run in it, nor start, until we are through: a container is locked, as by its own start. One
 * that is just leaving is waited for.
 */
static int hold(struct kennel_commit *commit, const struct kennel_commit_options *o,
		struct kennel_error **err)
{
	_cleanup_error_ struct kennel_error *why = NULL;
	struct kennel_list *list = NULL;

	if (o->flags & KENNEL_COMMIT_RUNNING)
		return 0;
	int r = o->store && geteuid() == 0 ? store_open_any(o->store, &commit->store, NULL) :
					     store_open(o->store, false, &commit->store, NULL);
	/* The name of a container may be the beginning of an id, too. */
	if (r > 0 && container_open(&commit->store, commit->what, &commit->container, NULL) >= 0) {
		if (container_lock(&commit->container, NULL, &why) == 0)
			return 0;
	} else {
		r = o->store ? -KENNEL_E_NOTFOUND : kennel_list_read(commit->what, &list, NULL);
		kennel_list_free(list);
		if (r < 0) /* who opens it says what is wrong with it */
			return 0;
	}
	return hint(err,
		    fail(err, KENNEL_E_BUSY, "\"%s\" is running and may be in the middle of something",
			 commit->what),
		    "end its programs first, or take each file as it is now with --running");
}

static int collect(struct kennel_commit *commit, const char *store, struct kennel_error **err)
{
	_cleanup_close_ int fd = -EBADF;
	struct restored restored = { 0 };

	int r = state_open(false, &fd, NULL, err);
	if (r > 0)
		r = restored_read(fd, &restored, err);
	if (r == 0)
		r = commit_collect(commit->delta->tree, store, &restored, &commit->c, err);
	restored_done(&restored);
	return r;
}

int kennel_commit_open(const char *what, const struct kennel_commit_options *options,
		       struct kennel_commit **ret, struct kennel_error **err)
{
	_cleanup_free_ char *store = NULL;
	struct call call;

	int r = read_options(options, &call, err);
	if (r == 0)
		r = kennel_commit_recover(options, err);
	if (r >= 0)
		r = store_path(&store, err);
	if (r < 0)
		return r;
	struct kennel_commit *commit = calloc(1, sizeof(*commit));
	if (!commit)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	commit->c.root_fd = -EBADF;
	commit->store = (struct store)STORE_NONE;
	commit->container = (struct container)CONTAINER_NONE;
	commit->what = strdup(what);
	r = commit->what ? hold(commit, &call.o, err) : fail(err, KENNEL_E_NOMEM, "out of memory");
	if (r == 0)
		r = kennel_delta_open_in(call.o.store, what, &commit->delta, err);
	if (r == 0)
		r = collect(commit, store, err);
	if (r < 0) {
		kennel_commit_free(commit);
		return r;
	}
	*ret = commit;
	return 0;
}

struct kennel_commit *kennel_commit_free(struct kennel_commit *commit)
{
	if (!commit)
		return NULL;
	commit_done(&commit->c);
	kennel_delta_free(commit->delta);
	container_done(&commit->container);
	store_done(&commit->store);
	free(commit->what);
	free(commit);
	return NULL;
}

size_t kennel_commit_count(const struct kennel_commit *commit)
{
	return commit->c.n;
}

int kennel_commit_get(const struct kennel_commit *commit, size_t index, struct kennel_commit_entry *ret)
{
	const struct commit_entry *e = &commit->c.items[index];

	if (index >= commit->c.n)
		return -KENNEL_E_INVALID;
	*ret = (struct kennel_commit_entry){
		.size = sizeof(*ret),
		.change = {
			.size = sizeof(ret->change),
			.path = e->path,
			.kind = (enum kennel_change_kind)e->kind,
			.bits = e->bits,
			.before = e->kind == DELTA_ADDED ? NULL : &e->before,
			.after = e->kind == DELTA_DELETED ? NULL : &e->after,
			.link_to = e->link_to,
		},
		.verdict = (enum kennel_commit_verdict)e->verdict,
		.reason = e->reason,
		.rights = e->rights,
		.chosen = e->chosen,
	};
	return 0;
}

struct kennel_delta *kennel_commit_delta(struct kennel_commit *commit)
{
	return commit->delta;
}

void kennel_commit_choose(struct kennel_commit *commit, size_t index, int chosen)
{
	if (index < commit->c.n)
		commit_choose_one(&commit->c, index, chosen != 0);
}

int kennel_commit_choose_path(struct kennel_commit *commit, const char *path, struct kennel_error **err)
{
	_cleanup_free_ char *clean = NULL;

	if (path[0] != '/')
		return hint(err, fail(err, KENNEL_E_INVALID, "\"%s\" is not an absolute path", path),
			    "paths are those inside of the sandbox");
	int r = path_clean(path, &clean, err);
	if (r < 0)
		return r;
	if (!commit->choosing)
		commit_choose_none(&commit->c);
	commit->choosing = true;
	size_t n = commit_choose(&commit->c, clean);
	commit_choose_parents(&commit->c);
	return n ? (int)MIN(n, (size_t)INT_MAX) :
		   fail(err, KENNEL_E_NOTFOUND, "nothing changed at \"%s\"", path);
}

int kennel_commit_apply(struct kennel_commit *commit, const struct kennel_commit_options *options,
			size_t *ret_applied, struct kennel_error **err)
{
	_cleanup_close_ int fd = -EBADF;
	struct call call;
	size_t n = 0;

	int r = read_options(options, &call, err);
	if (r == 0)
		r = state_open(true, &fd, NULL, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < commit->c.n; i++)
		call.total += commit->c.items[i].chosen;
	const struct txn_hooks hooks = hooks_of(&call);
	r = commit_apply(&commit->c, fd, commit->what, call.o.flags & KENNEL_COMMIT_FORCE, &hooks, &n, err);
	if (r == 0 && ret_applied)
		*ret_applied = n;
	return r;
}

static char *describe(const struct txn_past *past)
{
	time_t when = (time_t)past->when;
	char date[32] = "?", *text = NULL;
	struct tm tm;

	if (localtime_r(&when, &tm))
		(void)!strftime(date, sizeof(date), "%Y-%m-%d %H:%M", &tm);
	if (asprintf(&text, "the commit of \"%s\" on %s is undone: %zu place%s in \"%s\"", past->what, date,
		     past->n, past->n == 1 ? "" : "s", past->root) < 0)
		return NULL;
	return text;
}

int kennel_commit_undo(const struct kennel_commit_options *options, char **ret_text,
		       struct kennel_error **err)
{
	_cleanup_close_ int fd = -EBADF;
	struct call call;
	struct txn_past past = { 0 };

	int r = read_options(options, &call, err);
	if (r == 0)
		r = state_open(false, &fd, NULL, err);
	if (r <= 0)
		return r;
	const struct txn_hooks hooks = hooks_of(&call);
	r = txn_undo(fd, call.o.flags & KENNEL_COMMIT_FORCE, &hooks, &past, err);
	if (r > 0 && ret_text && !(*ret_text = describe(&past)))
		r = fail(err, KENNEL_E_NOMEM, "out of memory");
	txn_past_done(&past);
	return r;
}
