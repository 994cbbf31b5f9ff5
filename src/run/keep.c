/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/keep.c - see keep.h.
 *
 * What a start plants (resolv.conf, hosts, hidden places) is noted in the manifest before the sandbox runs,
 * so that it is told from what the sandbox did. A start that is killed between the two leaves the file
 * "starting": what is not older than that in the planted places is its work, for no sandbox ran since. The
 * clock of files stands still for milliseconds, so it is made again where a sandbox did something just then.
 */
#include "run/keep.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "conf/config.h"
#include "container/layers.h"
#include "container/tidy.h"
#include "delta/layout.h"
#include "delta/newer.h"
#include "mount/mount.h"
#include "path/path.h"
#include "run/errand.h"
#include "run/file.h"
#include "run/hooks.h"
#include "run/sandbox.h"
#include "sys/sys.h"

#define STARTING "starting"
#define TICKS_MAX 20u /* milliseconds; the clock of files stands still for 10 at most (HZ=100) */

static int open_made(struct keep *k, const struct spec *asked, struct kennel_error **err)
{
	_cleanup_error_ struct kennel_error *why = NULL;
	_cleanup_buf_ struct buf config = { 0 };

	int r = container_open(&k->store, asked->keep, &k->c, &why);
	if (r != -KENNEL_E_NOTFOUND) {
		if (r < 0 && err)
			*err = take_ptr(&why);
		return r;
	}
	r = container_new_config(asked, &config, err);
	if (r == 0)
		r = container_create(&k->store, asked->keep, &config, NULL, err);
	if (r == 0)
		k->made = true;
	if (r == 0)
		r = container_open(&k->store, asked->keep, &k->c, err);
	return r;
}

static int check_same(const struct keep *k, const char *what, bool same, struct kennel_error **err)
{
	if (same)
		return 0;
	return hint(err,
		    fail(err, KENNEL_E_INVALID, "the %s of the container \"%s\" can't be changed", what,
			 k->c.name),
		    "leave the option out, or make another container; \"kennel config %s\" shows what it has",
		    k->c.name);
}

static bool same_list(const struct strv *a, const struct strv *b)
{
	for (size_t i = 0; i < a->n && a->n == b->n; i++)
		if (strcmp(a->items[i], b->items[i]) != 0)
			return false;
	return a->n == b->n;
}

static bool was_given(const struct spec *s, const char *key)
{
	for (size_t i = 0; i < s->given.n; i += 2)
		if (strcmp(s->given.items[i], key) == 0)
			return true;
	return false;
}

/* Options that say what the changes lie over may be repeated, but say nothing new. */
static int check_asked(const struct keep *k, const struct spec *asked, struct kennel_error **err)
{
	const struct spec *s = k->spec;
	const char *a = asked->base_path ? asked->base_path : "", *b = s->base_path ? s->base_path : "";

	int r = was_given(asked, "base") ?
			check_same(k, "base",
				   strcmp(a, b) == 0 && same_list(&asked->base_layers, &s->base_layers),
				   err) :
			0;
	if (r == 0 && was_given(asked, "layer"))
		r = check_same(k, "list of layers", same_list(&asked->layers, &s->layers), err);
	return r;
}

/* Lists would get it twice. */
static bool is_configured(const struct config *c, const char *key, const char *value)
{
	for (size_t i = 0; i < c->n; i++)
		if (strcmp(c->items[i].key, key) == 0 && strcmp(c->items[i].value, value) == 0)
			return true;
	return false;
}

static int add_asked(struct keep *k, const struct config *config, const struct spec *asked,
		     struct kennel_error **err)
{
	int r = 0;

	spec_mark_configured(k->spec);
	for (size_t i = 0; i < asked->given.n && r == 0; i += 2) {
		const char *key = asked->given.items[i], *value = asked->given.items[i + 1];

		if (strcmp(key, "base") != 0 && strcmp(key, "layer") != 0 &&
		    !is_configured(config, key, value))
			r = spec_set(k->spec, key, value, err);
	}
	if (asked->command.n)
		strv_done(&k->spec->command);
	k->spec->background = asked->background;
	if (asked->background) /* its console */
		k->spec->tty = SPEC_TTY_YES;
	for (size_t i = 0; i < asked->command.n && r == 0; i++)
		r = strv_add(&k->spec->command, asked->command.items[i], err);
	if (asked->root_only && k->spec->isolate == SPEC_ISOLATE_VM)
		spec_leave_guest(k->spec);
	return r < 0 ? r : spec_check(k->spec, err);
}

/* "own" is a path only now that it is known whose, and whether it was frozen. */
static int find_own_base(struct keep *k, struct kennel_error **err)
{
	if (!k->spec->base_path || strcmp(k->spec->base_path, "own") != 0)
		return 0;
	char *path = NULL;

	int r = k->box ? 0 : layers_find_base(k->store.path, &k->manifest, &path, err);
	if (r < 0)
		return r;
	if (!path && asprintf(&path, "%s/base", k->c.path) < 0)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	free(k->spec->base_path);
	k->spec->base_path = path;
	k->own_base = true;
	r = container_open_data(&k->c, err);
	if (r >= 0 && container_volume_fd(&k->c) >= 0)
		return container_base_path(&k->c, &k->base_open, err);
	k->base_open = strdup(path);
	return r < 0 ? r : k->base_open ? 0 : fail(err, KENNEL_E_NOMEM, "out of memory");
}

/* A file may be anybody's work, and they would run with our rights: not even --trust honours them there. */
static void drop_hooks(const struct keep *k, struct config *c, const struct log_sink *log)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n; i++) {
		const struct config_setting s = c->items[i];

		if (strncmp(s.key, "hook-", 5) != 0) {
			c->items[i] = c->items[n];
			c->items[n++] = s;
		}
	}
	if (n < c->n)
		log_warn(log, "\"%s\" names hooks, which are not run out of a file", k->c.path);
	for (; c->n > n; c->n--) {
		free(c->items[c->n - 1].key);
		free(c->items[c->n - 1].value);
	}
}

static int read_own(const struct keep *k, const char *file, struct buf *ret, struct kennel_error **err)
{
	if (!k->box || !k->box->for_guest)
		return container_read(&k->c, file, ret, err);
	const struct buf *text = strcmp(file, CONTAINER_CONFIG) == 0 ? &k->box->config : &k->box->manifest;
	buf_add(ret, text->data, text->len);
	int r = buf_check(ret, err);
	return r < 0 ? r : 1;
}

static int read_config(struct keep *k, const struct spec *asked, const struct log_sink *log,
		       struct kennel_error **err)
{
	_cleanup_config_ struct config config = { 0 };
	_cleanup_buf_ struct buf text = { 0 };
	_cleanup_free_ char *file = NULL;

	k->spec = spec_new(err);
	if (!k->spec)
		return -KENNEL_E_NOMEM;
	if (asprintf(&file, "%s/" CONTAINER_CONFIG, k->c.path) < 0) {
		file = NULL;
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	}
	int r = read_own(k, CONTAINER_CONFIG, &text, err);
	if (r >= 0)
		r = config_parse(file, buf_str(&text), text.len, &config, err);
	if (r == 0 && k->box)
		drop_hooks(k, &config, log);
	if (r == 0 && k->box)
		r = keep_check_trust(k, asked, &config, &text, err);
	if (r == 0)
		r = config_apply(file, &config, k->spec, err);
	if (r < 0)
		return hint_default(err, r, "put it right with \"kennel config --edit\"");
	r = check_asked(k, asked, err);
	return r < 0 ? r : add_asked(k, &config, asked, err);
}

/* Layers that were put on top since the last start are no other base. */
static bool has_layers(const struct strv *layers, const struct strv *first)
{
	const struct strv same = { .items = layers->items, .n = MIN(layers->n, first->n) };

	return same_list(&same, first);
}

static int check_manifest(const struct keep *k, const struct log_sink *log, struct kennel_error **err)
{
	const char *base = k->spec->base_path ? k->spec->base_path : "system";

	if ((!k->own_base && strcmp(base, k->manifest.base) != 0) ||
	    !has_layers(&k->spec->layers, &k->manifest.layers) ||
	    (k->box && k->spec->layers.n != k->manifest.layers.n))
		return hint(
			err,
			fail(err, KENNEL_E_INVALID,
			     "the changes of \"%s\" lie over the base \"%s\", not over \"%s\" as configured",
			     k->c.name, k->manifest.base, base),
			"put base and layers back with \"kennel config --edit\", or make another container");
	bool other = k->manifest.base_id && k->base_id && !keep_base_is(k->manifest.base_id, k->base_id);
	if (other && k->box && !k->force)
		return hint(
			err,
			fail(err, KENNEL_E_INVALID,
			     "the changes in \"%s\" were made over another base than the one that is here%s",
			     k->c.path,
			     k->spec->base_path ?
				     "" :
				     ": another distribution or release, or a machine with other packages"),
			"--force opens it all the same: what it replaced stays replaced, the rest is as here");
	if (other)
		log_warn(log, "the base of \"%s\" is another one than when its changes were made", k->c.name);
	return 0;
}

static int read_manifest(struct keep *k, struct kennel_error **err)
{
	int r = read_own(k, CONTAINER_MANIFEST, &k->manifest_text, err);

	if (r <= 0)
		return r;
	r = manifest_parse(buf_str(&k->manifest_text), &k->manifest, err);
	if (r < 0)
		return wrap(err, r, "\"%s/" CONTAINER_MANIFEST "\"", k->c.path);
	/* It may be anybody's work, and would name directories of this machine. */
	if (k->box && k->manifest.below.n)
		return fail(err, KENNEL_E_CORRUPT,
			    "the changes in \"%s\" claim to stand on others, which no file does", k->c.path);
	return keep_find_layers(k, err);
}

const char *keep_base_path(const struct keep *k, const struct spec *spec)
{
	return k && k->own_base ? k->base_open : spec->base_path;
}

int keep_clone_base(const struct keep *k, struct kennel_error **err)
{
	struct stat st;

	if (!k || !k->own_base || container_volume_fd(&k->c) < 0 || stat(k->base_open, &st) < 0 ||
	    !S_ISDIR(st.st_mode))
		return 0;
	const struct sys_mount_attr attr = {
		.attr_set = SYS_MOUNT_ATTR_RDONLY | SYS_MOUNT_ATTR_NOSUID | SYS_MOUNT_ATTR_NODEV,
	};
	_cleanup_close_ int fd = mount_clone_dir(container_volume_fd(&k->c), "base");
	if (fd < 0 || sys_mount_setattr(fd, "", AT_EMPTY_PATH, &attr) < 0)
		return fail_errno(err, "open \"%s/base\"", k->c.path);
	return take_fd(&fd);
}

static int find_base(struct keep *k, const struct log_sink *log, struct kennel_error **err)
{
	int r = find_own_base(k, err);

	if (r == 0)
		r = keep_base_id(k->spec, keep_base_path(k, k->spec), k->box != NULL, &k->base_id, err);
	return r == 0 && k->manifest_text.len ? check_manifest(k, log, err) : r;
}

static int open_in_store(struct keep *k, const struct spec *asked, const struct log_sink *log,
			 struct kennel_error **err)
{
	int r = store_open(asked->store, true, &k->store, err);

	if (r >= 0)
		r = store_check_file_system(&k->store, err);
	if (r == 0)
		r = open_made(k, asked, err);
	if (r == 0)
		r = container_lock(&k->c, NULL, err);
	if (r == 0)
		passing_start(&k->c, &k->store);
	return r < 0 ? r : keep_settle(&k->c, log, err);
}

int keep_open(const struct spec *asked, const struct log_sink *log, struct keep **ret,
	      struct kennel_error **err)
{
	struct keep *k = calloc(1, sizeof(*k));

	if (!k)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	k->store = (struct store)STORE_NONE;
	k->c = (struct container)CONTAINER_NONE;
	k->delta_fd = -EBADF;
	k->force = asked->force;
	int r = asked->file ? keep_open_file(k, asked, log, err) : open_in_store(k, asked, log, err);
	if (r == 0)
		r = read_config(k, asked, log, err);
	if (r == 0)
		r = hooks_new(k, &k->hooks, err);
	if (r == 0)
		r = read_manifest(k, err);
	if (r == 0)
		r = find_base(k, log, err);
	if (r == 0 && !(k->box && k->box->for_guest)) {
		k->delta_fd = container_open_delta(&k->c, err);
		r = MIN(k->delta_fd, 0);
	}
	manifest_plants_sort(&k->manifest.planted);
	k->before.planted = &k->manifest.planted;
	if (r < 0) {
		keep_free(k, true);
		return asked->file ? r : wrap(err, r, "container \"%s\"", asked->keep);
	}
	*ret = k;
	return 0;
}

static void take_back(struct keep *k)
{
	char temp[STORE_TEMP_SIZE];

	/* Whatever fails here is a leftover: it is swept another time. */
	if (container_retire(&k->c, &k->store, temp, NULL) == 0 &&
	    keep_wipe(NULL, k->c.dir_fd, k->c.path, NULL) == 0)
		(void)!unlinkat(k->store.fd, temp, AT_REMOVEDIR);
}

struct keep *keep_free(struct keep *k, bool failed)
{
	if (!k)
		return NULL;
	if (failed && k->made && k->c.lock_fd >= 0)
		take_back(k);
	if (failed && k->made && k->box)
		file_remove(k->box);
	file_free(k->box);
	hooks_free(k->hooks);
	spec_free(k->spec);
	close_fd(k->delta_fd);
	buf_done(&k->manifest_text);
	manifest_done(&k->manifest);
	strv_done(&k->layers);
	strv_done(&k->child_paths);
	free(k->base_id);
	free(k->base_open);
	container_done(&k->c); /* and its lock */
	store_done(&k->store);
	free(k);
	return NULL;
}

int keep_dir(const struct keep *k)
{
	return keep_is_elsewhere(k) ? k->c.storage.data_fd : k->c.dir_fd;
}

void keep_pass(struct keep *k)
{
	if (k && !k->box)
		passing_end(&k->c, &k->store, keep_wipe);
}

void keep_say(const struct keep *k, const char *id, pid_t init)
{
	/* Only a remark for others: the lock itself counts. */
	if (k && k->c.lock_fd >= 0)
		(void)!container_say(&k->c, id, init, NULL);
}

/* Is there something in a planted place that is not older? What can't be looked at is not. */
static bool was_done_just_now(const struct keep *k, const struct timespec *now)
{
	const struct manifest_plants *p = &k->manifest.planted;
	struct stat st;

	for (size_t i = 0; i < p->n && k->delta_fd >= 0; i++) {
		_cleanup_close_ int upper_fd =
			delta_open_place(k->delta_fd, p->items[i].mount, "upper", O_PATH | O_DIRECTORY);
		_cleanup_close_ int fd = upper_fd < 0 ? -EBADF :
							path_pin_plain(upper_fd, p->items[i].rel, 0, NULL);

		if (fd >= 0 && fstat(fd, &st) == 0 && !time_is_later(now, &st.st_ctim))
			return true;
	}
	return false;
}

static int make_starting(const struct keep *k, struct stat *ret, struct kennel_error **err)
{
	_cleanup_close_ int fd =
		openat(k->c.dir_fd, STARTING, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	return fd < 0 || fstat(fd, ret) < 0 ? fail_errno(err, "make \"%s/" STARTING "\"", k->c.path) : 0;
}

int keep_begin(struct launch *l, struct kennel_error **err)
{
	struct keep *k = l->sb->keep;
	struct stat st;

	if (!k)
		return 0;
	if (fstatat(k->c.dir_fd, STARTING, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		k->before.unclean = true;
		k->before.since = st.st_ctim;
		return 0;
	}
	int r = make_starting(k, &st, err);
	/* a clock that was set back makes it all look young for longer */
	for (unsigned tries = 0; r == 0 && tries < TICKS_MAX && was_done_just_now(k, &st.st_ctim); tries++) {
		clock_pause_ms(1);
		r = unlinkat(k->c.dir_fd, STARTING, 0) < 0 ?
			    fail_errno(err, "make \"%s/" STARTING "\" again", k->c.path) :
			    make_starting(k, &st, err);
	}
	return r;
}

int keep_again(struct keep *k, struct manifest_plants *planted, struct kennel_error **err)
{
	struct manifest_plants *old = &k->manifest.planted, was = *old;
	int r = 0;

	for (size_t i = 0; i < old->n && r == 0; i++)
		if (old->items[i].kind == MANIFEST_PLACE)
			r = manifest_plants_add(planted, old->items[i].mount, old->items[i].rel,
						MANIFEST_PLACE, NULL, err);
	*old = *planted;
	*planted = was;
	manifest_plants_sort(old);
	return r;
}

int keep_fail_xattr(const struct keep *k, struct kennel_error **err)
{
	return hint(err,
		    fail(err, KENNEL_E_UNSUPPORTED,
			 "the file system of \"%s\" keeps no user xattrs, which the changes of a copy need",
			 k->store.path),
		    "name a directory on ext4, xfs, btrfs or, since Linux 6.6, tmpfs with --path");
}

int keep_clone_delta(const struct keep *k, struct kennel_error **err)
{
	/* A detached mount is cloned as a whole, or by a process that attaches it for a moment. */
	const int mount_fd = k->box ? k->box->mount_fd : container_volume_fd(&k->c);
	_cleanup_close_ int fd = mount_fd >= 0 ?
					 mount_clone_dir(mount_fd, "delta") :
					 sys_open_tree(k->delta_fd, "", SYS_OPEN_TREE_CLONE | AT_EMPTY_PATH);

	if (fd < 0)
		return fail_errno(err, "open \"%s/delta\"", k->c.path);
	/* A new one is asked once; later its manifest says so. */
	if (!k->manifest_text.len && !delta_has_user_xattr(fd))
		return keep_fail_xattr(k, err);
	return take_fd(&fd);
}

int keep_unplant(struct launch *l, struct kennel_error **err)
{
	struct sandbox *sb = l->sb;
	int r = 0;

	if (!sb->keep)
		return 0;
	manifest_plants_sort(&sb->planted);
	for (unsigned i = 0; i < l->child.n_overlays && r == 0; i++)
		if (l->shared->upper_fds[i] >= 0)
			r = delta_unplant(l->shared->upper_fds[i], l->delta_index[i], l->shared->user_xattr,
					  &sb->keep->manifest.planted, &sb->planted, DELTA_SHOW_BELOW, err);
	return r;
}

static bool has_mount(const struct manifest *m, unsigned index)
{
	for (size_t i = 0; i < m->n_mounts; i++)
		if (m->mounts[i].index == index)
			return true;
	return false;
}

static int compare_mounts(const void *a, const void *b)
{
	const struct manifest_mount *x = a, *y = b;

	return x->index < y->index ? -1 : x->index > y->index;
}

int keep_carry_over(const struct keep *k, struct manifest *m, struct kennel_error **err)
{
	const struct manifest *old = &k->manifest;
	int r = 0;

	/* One that could not be had this time: its changes are still there, and its number is taken. */
	for (size_t i = 0; i < old->n_mounts && r == 0; i++) {
		_cleanup_close_ int fd = delta_open_place(k->delta_fd, old->mounts[i].index, "upper", O_PATH);

		if (!has_mount(m, old->mounts[i].index) && ((geteuid() != 0 && !k->box) || fd >= 0))
			r = manifest_add_mount(m, old->mounts[i].index, old->mounts[i].target,
					       old->mounts[i].fstype, old->mounts[i].uuid, err);
	}
	if (k->manifest_text.len) { /* also where it is not known when that was */
		m->begun_ns = old->begun_ns;
		m->copied_ns = old->copied_ns;
	}
	if (m->n_mounts)
		qsort(m->mounts, m->n_mounts, sizeof(*m->mounts), compare_mounts);
	/* Where something was mounted once there is an empty directory now, which is no change either. */
	manifest_plants_sort(&m->planted);
	for (size_t i = 0, n = old->planted.n; i < n && r == 0; i++) {
		const struct manifest_planted *p = &old->planted.items[i];

		if (p->kind == MANIFEST_PLACE && !manifest_plants_find(&m->planted, p->mount, p->rel)) {
			r = manifest_plants_add(&m->planted, p->mount, p->rel, MANIFEST_PLACE, NULL, err);
			manifest_plants_sort(&m->planted);
		}
	}
	if (r == 0 && k->base_id) {
		m->base_id = strdup(k->base_id);
		r = m->base_id ? 0 : fail(err, KENNEL_E_NOMEM, "out of memory");
	}
	return r;
}

int keep_note(struct launch *l, struct kennel_error **err)
{
	struct keep *k = l->sb->keep;
	_cleanup_buf_ struct buf text = { 0 };

	if (!k)
		return 0;
	int r = describe_start(l, k->box != NULL, &text, err);
	if (r == 0 && (text.len != k->manifest_text.len ||
		       memcmp(buf_str(&text), buf_str(&k->manifest_text), text.len) != 0))
		r = container_write(&k->c, CONTAINER_MANIFEST, &text, err);
	if (r == 0 && unlinkat(k->c.dir_fd, STARTING, 0) < 0 && errno != ENOENT)
		r = fail_errno(err, "remove \"%s/" STARTING "\"", k->c.path);
	return r < 0 ? wrap(err, r, "note how the container is started") : 0;
}

struct inside {
	int dir_fd;
	const char *shown;
};

static int wipe_inside(void *data, struct buf *out, struct kennel_error **err)
{
	const struct inside *in = data;

	return container_wipe(in->dir_fd, in->shown, err);
}

/* Directories that an import or a template is filling: what is in them is also of the user's other ids. */
static bool has_others(int dir_fd)
{
	static const char *const names[] = { "base",	 "tree", "unpacked",   "links",	   "made",
					     "template", "next", ".old-delta", ".old-base" };
	struct stat st;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (fstatat(dir_fd, names[i], &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode))
			return true;
	return false;
}

static int wipe_memory(const struct storage_at *at, struct kennel_error **err)
{
	_cleanup_close_ int fd = storage_open_memory(at);
	struct inside in = { .dir_fd = fd, .shown = at->shown };

	if (fd < 0)
		return 0;
	return geteuid() == 0 || unlinkat(fd, "delta", AT_REMOVEDIR) == 0 ?
		       container_wipe(fd, at->shown, err) :
		       errand_alone(wipe_inside, &in, NULL, err);
}

int keep_wipe(void *data, int dir_fd, const char *shown, struct kennel_error **err)
{
	struct inside in = { .dir_fd = dir_fd, .shown = shown };
	const struct storage_at at = { .store_fd = -EBADF, .dir_fd = dir_fd, .shown = shown };

	int r = wipe_memory(&at, err);
	if (r == 0)
		r = storage_destroy(&at, err);
	if (r < 0)
		return r;
	/* What was never started has an empty delta and nothing that is not our own, unless it was filled. */
	if (geteuid() == 0 ||
	    ((unlinkat(dir_fd, "delta", AT_REMOVEDIR) == 0 || errno == ENOENT) && !has_others(dir_fd)))
		return container_wipe(dir_fd, shown, err);
	return errand_alone(wipe_inside, &in, NULL, err);
}

static int measure_inside(void *data, struct buf *out, struct kennel_error **err)
{
	const struct inside *in = data;
	uint64_t bytes = 0;

	int r = container_measure(in->dir_fd, &bytes, err);
	buf_add(out, &bytes, sizeof(bytes));
	return r < 0 ? r : buf_check(out, err);
}

int keep_measure(int dir_fd, uint64_t *ret, struct kennel_error **err)
{
	struct inside in = { .dir_fd = dir_fd };
	_cleanup_buf_ struct buf out = { 0 };

	if (geteuid() == 0)
		return container_measure(dir_fd, ret, err);
	int r = errand_alone(measure_inside, &in, &out, err);
	if (r == 0)
		memcpy(ret, out.data, sizeof(*ret));
	return r;
}
