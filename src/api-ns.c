/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* api-ns.c - the public face of run/ns-run.h: what does not go together, and which maps are meant. */
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <kennel/kennel.h>

#include "base/cleanup.h"
#include "conf/spec.h"
#include "idmap/idmap.h"
#include "idmap/user.h"
#include "run/ns-run.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

struct wish {
	struct ns_request q;
	struct idmap_lines users, groups;
	struct buf offsets;
	const struct kennel_ns_options *o;
	struct spec *spec;
};

static int needs(uint64_t kinds, uint64_t wanted, const char *what, const char *new,
		 struct kennel_error **err)
{
	if ((kinds & wanted) == wanted)
		return 0;
	return hint(err, fail(err, KENNEL_E_INVALID, "%s needs a namespace of its own", what), "--new %s",
		    new);
}

static int check(const struct wish *w, struct kennel_error **err)
{
	const struct kennel_ns_options *o = w->o;
	const uint64_t kinds = w->q.kinds;
	int r = 0;

	if (o->map != KENNEL_NS_MAP_RANGE)
		r = needs(kinds, CLONE_NEWUSER, "a map of ids", "user", err);
	if (r == 0 && o->hostname)
		r = needs(kinds, CLONE_NEWUTS, "a host name", "uts", err);
	if (r == 0 && o->proc)
		r = needs(kinds, CLONE_NEWNS | CLONE_NEWPID, "a new /proc", "mount,pid", err);
	if (r == 0 && (o->monotonic || o->boottime))
		r = needs(kinds, CLONE_NEWTIME, "a clock that is ahead", "time", err);
	return r;
}

static int add_range(struct idmap_lines *l, uint32_t own, const struct idmap *range,
		     struct kennel_error **err)
{
	_cleanup_strv_ struct strv words = { 0 };
	int r = idmap_user_words(own, range, &words, err);

	for (size_t i = 0; i + 2 < words.n && r == 0; i += 3) {
		_cleanup_buf_ struct buf b = { 0 };

		buf_printf(&b, "%s:%s:%s", words.items[i], words.items[i + 1], words.items[i + 2]);
		r = buf_check(&b, err);
		if (r == 0 && strcmp(words.items[i + 2], "0") != 0)
			r = idmap_lines_add(l, buf_str(&b), err);
	}
	return r;
}

static int add_single(struct wish *w, bool root, struct kennel_error **err)
{
	const struct idmap_line user = { root ? 0 : geteuid(), geteuid(), 1 };
	const struct idmap_line group = { root ? 0 : getegid(), getegid(), 1 };
	int r = idmap_lines_add_range(&w->users, &user, err);

	return r < 0 ? r : idmap_lines_add_range(&w->groups, &group, err);
}

/* In a sandbox, where all ids are those of the one around it, root's are the same ones again. */
static int add_identity(struct idmap_lines *l, uint32_t count, const char *own, struct kennel_error **err)
{
	_cleanup_buf_ struct buf b = { 0 };

	idmap_put_identity(&b, own, count);
	int r = buf_check(&b, err);
	return r < 0 ? r : idmap_lines_parse(l, buf_str(&b), err);
}

static int read_own(const char *path, struct buf *b, struct kennel_error **err)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");

	return f ? buf_read_fd(b, fileno(f), 64u << 10, err) : fail_errno(err, "open \"%s\"", path);
}

static int add_root_range(struct wish *w, struct kennel_error **err)
{
	_cleanup_buf_ struct buf users = { 0 }, groups = { 0 };
	struct idmap range;
	bool initial = true;

	int r = idmap_is_initial(&initial, err);
	if (r == 0)
		r = initial ? idmap_pick_root(&range, err) : idmap_identity(&range, err);
	if (r < 0)
		return r;
	const struct idmap_line line = { 0, range.base, range.count };
	if (initial) {
		r = idmap_lines_add_range(&w->users, &line, err);
		return r < 0 ? r : idmap_lines_add_range(&w->groups, &line, err);
	}
	r = read_own("/proc/self/uid_map", &users, err);
	if (r == 0)
		r = read_own("/proc/self/gid_map", &groups, err);
	if (r == 0)
		r = add_identity(&w->users, range.count, buf_str(&users), err);
	return r < 0 ? r : add_identity(&w->groups, range.count, buf_str(&groups), err);
}

static int add_default(struct wish *w, struct kennel_error **err)
{
	struct idmap_user own;

	if (geteuid() == 0)
		return add_root_range(w, err);
	int r = idmap_pick_user(&own, err);
	if (r < 0)
		return r;
	if (!idmap_user_has_range(&own))
		return add_single(w, true, err);
	r = add_range(&w->users, own.uid, &own.uids, err);
	return r < 0 ? r : add_range(&w->groups, own.gid, &own.gids, err);
}

static int add_list(struct wish *w, struct kennel_error **err)
{
	const struct {
		struct idmap_lines *lines;
		const char *const *words;
		const char *what, *other;
	} lists[] = { { &w->users, w->o->map_users, "users", "--map-user" },
		      { &w->groups, w->o->map_groups, "groups", "--map-group" } };
	int r = 0;

	for (unsigned i = 0; i < 2 && r == 0; i++) {
		if (!lists[i].words || !*lists[i].words)
			return hint(err, fail(err, KENNEL_E_INVALID, "there is no map of %s", lists[i].what),
				    "%s, too; both are needed", lists[i].other);
		for (const char *const *word = lists[i].words; *word && r == 0; word++)
			r = idmap_lines_add(lists[i].lines, *word, err);
		if (r < 0)
			return wrap(err, r, "the map of %s", lists[i].what);
	}
	return r;
}

static int choose_maps(struct wish *w, struct kennel_error **err)
{
	if (!(w->q.kinds & CLONE_NEWUSER) || w->o->map == KENNEL_NS_MAP_WAIT)
		return 0;
	w->q.users = &w->users;
	w->q.groups = &w->groups;
	switch (w->o->map) {
	case KENNEL_NS_MAP_RANGE:
		return add_default(w, err);
	case KENNEL_NS_MAP_ROOT:
	case KENNEL_NS_MAP_SELF:
		return add_single(w, w->o->map == KENNEL_NS_MAP_ROOT, err);
	case KENNEL_NS_MAP_LIST:
		return add_list(w, err);
	default:
		return fail(err, KENNEL_E_INVALID, "%d is no kind of map", (int)w->o->map);
	}
}

static int fill_spec(struct wish *w, const char *const *command, struct kennel_error **err)
{
	int r = 0;

	w->spec = spec_new(err);
	if (!w->spec)
		return -KENNEL_E_NOMEM;
	if (w->o->workdir)
		r = spec_set(w->spec, "workdir", w->o->workdir, err);
	if (r == 0 && w->o->hostname)
		r = spec_set(w->spec, "hostname", w->o->hostname, err);
	for (; *command && r == 0; command++)
		r = strv_add(&w->spec->command, *command, err);
	w->q.hostname = w->spec->hostname;
	w->q.spec = w->spec;
	return r;
}

static int started(void *data, int pid, bool waits, struct kennel_error **err)
{
	const struct kennel_ns_options *o = data;

	return o->started ? o->started(o->data, pid, waits, err) : 0;
}

static int make_wish(struct wish *w, const char *const *command, struct kennel_error **err)
{
	const struct kennel_ns_options *o = w->o;

	int r = ns_kinds_parse(o->namespaces ? o->namespaces : "", &w->q.kinds, err);
	if (r == 0)
		r = check(w, err);
	if (r == 0 && o->user) {
		w->q.become = true;
		r = ns_ids_parse(o->user, &w->q.uid, &w->q.gid, err);
	}
	if (r == 0)
		r = choose_maps(w, err);
	if (r == 0)
		r = fill_spec(w, command, err);
	if (w->q.kinds & CLONE_NEWTIME)
		buf_printf(&w->offsets, "monotonic %lld 0\nboottime %lld 0\n", o->monotonic, o->boottime);
	if (r == 0)
		r = buf_check(&w->offsets, err);
	w->q.offsets = w->offsets.len ? buf_str(&w->offsets) : NULL;
	w->q.proc = o->proc;
	w->q.keep_caps = o->keep_caps;
	w->q.started = started;
	w->q.data = (void *)o;
	return r;
}

int kennel_ns_run(const struct kennel_ns_options *o, const char *const *command, int *ret_status,
		  struct kennel_error **err)
{
	if (o->size != sizeof(*o))
		return fail(err, KENNEL_E_INVALID, "these options are of another version of the library");
	if (!command || !*command)
		return fail(err, KENNEL_E_INVALID, "there is no command");
	struct wish *w = calloc(1, sizeof(*w));
	if (!w)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	w->o = o;
	int r = make_wish(w, command, err);
	if (r == 0)
		r = ns_run(&w->q, ret_status, err);
	spec_free(w->spec);
	buf_done(&w->offsets);
	free(w);
	return r;
}
