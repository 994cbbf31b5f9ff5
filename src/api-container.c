/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * api-container.c - the public face of container/: what of a spec is saved, who wipes whose files, lists.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <kennel/kennel.h>

#include "api-limits.h"
#include "api-list.h"
#include "api-set-live.h"
#include "api-spec.h"
#include "api-storage.h"
#include "base/cleanup.h"
#include "base/parse.h"
#include "cgroup/cgroup.h"
#include "conf/config.h"
#include "container/container.h"
#include "container/origin.h"
#include "container/snapshot.h"
#include "container/tidy.h"
#include "layer/layer.h"
#include "monitor/background.h"
#include "run/file.h"
#include "run/keep.h"
#include "run/vm-disk.h"
#include "sys/sys.h"

/* Leftovers go on the way. */
static int open_store(const char *path, bool make, struct store *ret, struct kennel_error **err)
{
	int r = store_open(path, make, ret, err);

	if (r > 0) {
		store_tidy(ret, keep_wipe);
		(void)storage_settle(ret->fd);
	}
	return r;
}

/* A container of the store, or one in a file. */
struct place {
	struct store store;
	struct container c;
	struct file_box *box; /* NULL: of the store */
};
#define PLACE_NONE \
	{ \
		.store = STORE_NONE, .c = CONTAINER_NONE \
	}

static void cleanup_place(struct place *p)
{
	container_done(&p->c);
	store_done(&p->store);
	file_free(p->box);
}
#define _cleanup_place_ __attribute__((cleanup(cleanup_place)))

/* size_bytes: to grow to, or 0. */
static int open_file(const char *name, uint64_t size_bytes, struct place *ret, struct kennel_error **err)
{
	const struct file_wish wish = { .path = name, .size_bytes = size_bytes };

	int r = file_open(&wish, &ret->box, err);
	if (r < 0)
		return r;
	ret->c.name = strdup(name);
	ret->c.path = strdup(name);
	ret->c.dir_fd = fcntl(ret->box->dir_fd, F_DUPFD_CLOEXEC, 3);
	if (!ret->c.name || !ret->c.path)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	return ret->c.dir_fd < 0 ? fail_errno(err, "duplicate a descriptor") : 0;
}

/* A name has no slash in it; without one it is a file only where there is no container of that name. */
static int open_place(const char *path, const char *name, uint64_t size_bytes, struct place *ret,
		      struct kennel_error **err)
{
	_cleanup_error_ struct kennel_error *why = NULL;

	if (strchr(name, '/'))
		return open_file(name, size_bytes, ret, err);
	int r = open_store(path, false, &ret->store, &why);
	if (r >= 0)
		r = container_open(&ret->store, name, &ret->c, &why);
	if ((r == -KENNEL_E_NOTFOUND || r == -KENNEL_E_INVALID) && !path && file_is_there(name))
		return open_file(name, size_bytes, ret, err);
	if (r < 0 && err)
		*err = take_ptr(&why);
	return r;
}

/* Nobody else may change it meanwhile: a file is ours alone anyway. */
static int begin_change(struct place *p, struct kennel_error **err)
{
	return p->box ? 0 : container_begin_change(&p->c, err);
}

/*
 * What was written is in the file. A configuration that this user had not accepted is not accepted by
 * changing it.
 */
static int end_change(struct place *p, const struct buf *before, const struct buf *after,
		      struct kennel_error **err)
{
	if (!p->box)
		return 0;
	int r = keep_is_accepted(before) ? keep_trust(after, err) : 0;
	return r < 0 ? r : file_save(p->box, err);
}

static int refuse_file(const struct place *p, const char *tool, struct kennel_error **err)
{
	if (!p->box)
		return 0;
	return hint(err, fail(err, KENNEL_E_INVALID, "\"%s\" is one file", p->c.name), "use %s(1)", tool);
}

/* A base that is not there is told now, not at the first start. */
static int check_base(const struct spec *spec, struct kennel_error **err)
{
	const char *format;
	int fd = -EBADF, r = spec->base_path ? layer_open_plain(spec->base_path, &fd, &format, err) : 0;

	if (r < 0)
		return hint_default(err, wrap(err, r, "open the base"),
				    "--base takes system, or the path of a directory or an image file");
	close_fd(fd);
	for (size_t i = 0; i < spec->layers.n; i++) {
		r = layer_open_plain(spec->layers.items[i], &fd, &format, err);
		if (r < 0)
			return hint_default(err, wrap(err, r, "open a layer"),
					    "--layer takes the path of a directory or an image file");
		close_fd(fd);
	}
	return 0;
}

int kennel_container_create(const char *path, const char *name, const struct kennel_spec *spec,
			    struct kennel_error **err)
{
	return kennel_container_create_on(path, name, spec, NULL, err);
}

int kennel_container_create_on(const char *path, const char *name, const struct kennel_spec *spec,
			       const struct kennel_storage_options *storage, struct kennel_error **err)
{
	_cleanup_store_ struct store store = STORE_NONE;
	_cleanup_buf_ struct buf text = { 0 };
	struct storage_wish wish;

	int r = storage_wish_of(storage, &wish, err);
	if (!wish.size_bytes)
		wish.size_bytes = spec->spec->size_bytes;
	if (r == 0)
		r = check_base(spec->spec, err);
	if (r == 0)
		r = limits_check_kept(&spec->spec->limits, false, err);
	if (r == 0)
		r = container_new_config(spec->spec, &text, err);
	if (r == 0)
		r = open_store(path, true, &store, err);
	if (r >= 0)
		r = store_check_file_system(&store, err);
	if (r == 0)
		r = container_create(&store, name, &text, &wish, err);
	return r < 0 ? wrap(err, r, "make the container \"%s\"", name) : 0;
}

static int put_config(struct registry_entry *e, const struct container *c, struct kennel_error **err)
{
	_cleanup_error_ struct kennel_error *why = NULL;
	_cleanup_config_ struct config config = { 0 };
	_cleanup_buf_ struct buf text = { 0 };
	_cleanup_free_ char *file = NULL;

	if (asprintf(&file, "%s/" CONTAINER_CONFIG, c->path) < 0) {
		file = NULL;
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	}
	int r = container_read(c, CONTAINER_CONFIG, &text, &why);
	if (r >= 0)
		r = config_parse(file, buf_str(&text), text.len, &config, &why);
	if (r < 0)
		return list_put(e, "damage", kennel_error_message(why), err);
	const char *base = config_get(&config, "base");
	r = list_put(e, "base", base ? base : "system", err);
	for (size_t i = 0; i < config.n && r == 0; i++) {
		r = strv_add(&e->keys, "config", err);
		if (r == 0)
			r = strv_addf(&e->values, err, "%s\t%s", config.items[i].key, config.items[i].value);
	}
	return r;
}

/* One value for each limit that was hit. */
static int put_hits(struct registry_entry *e, const struct registry_entry *last, struct kennel_error **err)
{
	const char *value = registry_get(last, "limits-hit", 0);
	uint64_t hits;
	int r = 0;

	if (!value || parse_u64(value, &hits) < 0)
		return 0;
	for (unsigned bit = 1; kennel_limit_hit_name((enum kennel_limit_hit)bit) && r == 0; bit <<= 1)
		if (hits & bit)
			r = list_put(e, "limit-hit", kennel_limit_hit_name((enum kennel_limit_hit)bit), err);
	return r;
}

/* How it ended the last time, where it was in the background. */
static int put_last(struct registry_entry *e, const struct container *c, struct kennel_error **err)
{
	_cleanup_buf_ struct buf text = { 0 };

	static const char *const keys[] = { "ended", "status", "oom-kills" };
	struct registry_entry last = { 0 };
	uint64_t number;
	int r = 0;

	if (container_read(c, BACKGROUND_LAST, &text, NULL) <= 0)
		return 0;
	/* it may have come with a file of somebody else's: these numbers, and nothing else of it */
	bool whole = registry_parse(buf_str(&text), &last, NULL) == 0;
	for (size_t i = 0; whole && i < ARRAY_SIZE(keys) && r == 0; i++) {
		const char *value = registry_get(&last, keys[i], 0);

		if (value && parse_u64(value, &number) == 0)
			r = list_put(e, keys[i], value, err);
	}
	if (whole && r == 0)
		r = put_hits(e, &last, err);
	strv_done(&last.keys);
	strv_done(&last.values);
	return r;
}

/* One in a file has no other store than that. */
static int put_storage(struct registry_entry *e, const struct container *c, struct kennel_error **err)
{
	const struct storage_at at = { .store_fd = c->store_fd, .dir_fd = c->dir_fd, .shown = c->path };
	_cleanup_storage_ struct storage s = STORAGE_NONE;
	_cleanup_error_ struct kennel_error *why = NULL;
	_cleanup_buf_ struct buf text = { 0 };

	if (c->store_fd < 0)
		return 0;
	if (storage_load(&at, &s, &why) < 0)
		return list_put(e, "damage", kennel_error_message(why), err);
	buf_puts(&text, storage_name(&s));
	storage_describe(&s, &text);
	int r = buf_check(&text, err);
	if (r == 0)
		r = list_put(e, "store", storage_name(&s), err);
	return r == 0 ? list_put(e, "store-text", buf_str(&text), err) : r;
}

/* Ids, of which names are made once all are known; and what it was. */
static int put_family(struct registry_entry *e, const struct container *c, struct kennel_error **err)
{
	_cleanup_snapshots_ struct snapshots all = { 0 };
	char id[ORIGIN_ID_SIZE];
	int r = 0;

	if (origin_id(c, false, id, NULL) > 0)
		r = list_put(e, "own-id", id, err);
	if (r == 0 && origin_read(c, id, NULL) > 0)
		r = list_put(e, "origin-id", id, err);
	if (r == 0)
		r = snapshots_read(c, &all, err);
	for (size_t i = 0; i < all.n && r == 0; i++) {
		r = strv_add(&e->keys, "snapshot", err);
		if (r == 0)
			r = strv_addf(&e->values, err, "%s\t%lld\t%s", all.items[i].name,
				      (long long)(all.items[i].taken_ns / 1000000000), all.items[i].comment);
	}
	return r;
}

static int put_container(struct registry_entry *e, const struct container *c, struct kennel_error **err)
{
	struct container_holder h;
	char used[32];
	struct stat st;

	bool runs = container_is_held(c, &h) && h.id[0];
	int r = list_put(e, "name", c->name, err);
	if (r == 0)
		r = list_put(e, "path", c->path, err);
	if (r == 0)
		r = put_storage(e, c, err);
	if (r == 0)
		r = list_put(e, "state", runs ? "running" : "stopped", err);
	if (r == 0 && runs)
		r = list_put(e, "id", h.id, err);
	if (r == 0 && fstatat(c->dir_fd, "lock", &st, AT_SYMLINK_NOFOLLOW) == 0) {
		snprintf(used, sizeof(used), "%lld", (long long)st.st_mtim.tv_sec);
		r = list_put(e, "used", used, err);
	}
	if (r == 0 && !runs)
		r = put_last(e, c, err);
	if (r == 0 && !runs && vm_disk_is_there(c))
		r = list_put(e, "guest-disk", "yes", err);
	if (r == 0)
		r = put_family(e, c, err);
	return r < 0 ? r : put_config(e, c, err);
}

/* Return: 0 with a new entry of the list. */
static int add_entry(struct kennel_list *l, const char *name, const struct container *c,
		     struct kennel_error **err)
{
	struct registry_entry *e = list_add(l, name, err);

	if (!e)
		return -KENNEL_E_NOMEM;
	return put_container(e, c, err);
}

/* One that is gone meanwhile is left out. */
static int add_container(struct kennel_list *l, const struct store *s, const char *name,
			 struct kennel_error **err)
{
	_cleanup_error_ struct kennel_error *why = NULL;
	_cleanup_container_ struct container c = CONTAINER_NONE;

	int r = container_open(s, name, &c, &why);
	if (r == -KENNEL_E_NOTFOUND)
		return 0;
	if (r < 0 && err)
		*err = take_ptr(&why);
	return r < 0 ? r : add_entry(l, name, &c, err);
}

/* Of a file now: for an ordinary user, to open it again is to unpack it again. */
static int put_size(struct registry_entry *e, const struct container *c, struct kennel_error **err)
{
	char bytes[24];
	uint64_t n;

	if (keep_measure(c->dir_fd, &n, NULL) < 0)
		return 0;
	snprintf(bytes, sizeof(bytes), "%llu", (unsigned long long)n);
	return list_put(e, "bytes", bytes, err);
}

static int add_one(struct kennel_list *l, const char *path, const char *name, struct kennel_error **err)
{
	_cleanup_place_ struct place p = PLACE_NONE;

	int r = open_place(path, name, 0, &p, err);
	if (r == 0)
		r = add_entry(l, name, &p.c, err);
	return r == 0 && p.box ? put_size(&l->entries[l->n - 1], &p.c, err) : r;
}

static int name_origin(struct kennel_list *l, const struct store *s, size_t i, struct kennel_error **err)
{
	const char *id = kennel_list_value(l, i, "origin-id");
	_cleanup_free_ char *found = NULL;
	const char *name = NULL;

	for (size_t k = 0; id && k < l->n && !name; k++) {
		const char *own = kennel_list_value(l, k, "own-id");

		if (own && strcmp(own, id) == 0)
			name = l->entries[k].id;
	}
	if (id && !name && l->n == 1 && s->fd >= 0) {
		int r = origin_find(s, id, &found, err);

		if (r < 0)
			return r;
		name = found;
	}
	return name ? list_put(&l->entries[i], "origin", name, err) : 0;
}

int kennel_container_list(const char *path, const char *name, struct kennel_list **ret,
			  struct kennel_error **err)
{
	_cleanup_store_ struct store store = STORE_NONE;
	_cleanup_strv_ struct strv names = { 0 };
	struct kennel_list *l = calloc(1, sizeof(*l));

	if (!l)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	l->id_is_value = true;
	int r = name ? add_one(l, path, name, err) : open_store(path, false, &store, err);
	if (r > 0)
		r = store_names(&store, &names, err);
	for (size_t i = 0; i < names.n && r >= 0; i++)
		r = add_container(l, &store, names.items[i], err);
	if (r == 0 && name && l->n && kennel_list_value(l, 0, "origin-id"))
		r = store_open(path, false, &store, err);
	for (size_t i = 0; i < l->n && r >= 0; i++)
		r = name_origin(l, &store, i, err);
	if (r < 0) {
		kennel_list_free(l);
		return r;
	}
	*ret = l;
	return 0;
}

/* What is beside the files of its directory. */
static int measure_volume(const struct container *c, uint64_t *sum, struct kennel_error **err)
{
	const struct storage_at at = { .store_fd = c->store_fd, .dir_fd = c->dir_fd, .shown = c->path };
	uint64_t n = 0;
	int r = storage_measure(&at, &n, err);

	*sum += n;
	return r;
}

int kennel_container_measure(const char *path, const char *name, uint64_t *ret_bytes,
			     struct kennel_error **err)
{
	_cleanup_place_ struct place p = PLACE_NONE;

	int r = open_place(path, name, 0, &p, err);
	if (r == 0)
		r = keep_measure(p.c.dir_fd, ret_bytes, err);
	if (r == 0 && !p.box)
		r = measure_volume(&p.c, ret_bytes, err);
	return r < 0 ? wrap(err, r, "measure the container \"%s\"", name) : 0;
}

int kennel_container_read_config(const char *path, const char *name, char **ret_text,
				 struct kennel_error **err)
{
	_cleanup_place_ struct place p = PLACE_NONE;
	_cleanup_buf_ struct buf text = { 0 };

	int r = open_place(path, name, 0, &p, err);
	if (r == 0)
		r = container_read(&p.c, CONTAINER_CONFIG, &text, err);
	if (r < 0)
		return r;
	*ret_text = strdup(buf_str(&text));
	return *ret_text ? 0 : fail(err, KENNEL_E_NOMEM, "out of memory");
}

/* c is locked for a change. */
static int replace_config(struct container *c, const struct buf *before, const struct buf *after,
			  struct kennel_error **err)
{
	_cleanup_free_ char *file = NULL;

	if (asprintf(&file, "%s/" CONTAINER_CONFIG, c->path) < 0) {
		file = NULL;
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	}
	if (before->len == after->len && memcmp(buf_str(before), buf_str(after), after->len) == 0)
		return 0;
	int r = config_check(file, buf_str(after), after->len, err);
	if (r == 0)
		r = container_check_base(c, file, before, after, err);
	return r < 0 ? r : container_write(c, CONTAINER_CONFIG, after, err);
}

int kennel_container_write_config(const char *path, const char *name, const char *old, const char *text,
				  struct kennel_error **err)
{
	_cleanup_place_ struct place p = PLACE_NONE;
	_cleanup_buf_ struct buf before = { 0 }, after = { 0 };

	int r = open_place(path, name, 0, &p, err);
	if (r == 0)
		r = begin_change(&p, err);
	if (r == 0)
		r = container_read(&p.c, CONTAINER_CONFIG, &before, err);
	if (r >= 0 && old && strcmp(old, buf_str(&before)) != 0)
		r = hint(err,
			 fail(err, KENNEL_E_BUSY, "the configuration of \"%s\" was changed meanwhile", name),
			 "look at it with \"kennel config %s\" and do it again", name);
	if (r < 0)
		return r;
	buf_puts(&after, text);
	r = buf_check(&after, err);
	if (r == 0)
		r = replace_config(&p.c, &before, &after, err);
	return r < 0 ? r : end_change(&p, &before, &after, err);
}

static int unset_one(const char *file, struct buf *text, const char *what, struct kennel_error **err)
{
	const char *equals = strchr(what, '=');
	_cleanup_free_ char *key = strndup(what, strcspn(what, "="));
	struct suggestion near = { 0 };
	size_t n = 0;

	if (!key)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	enum spec_use use = spec_key_use(key);
	if (use == SPEC_USE_UNKNOWN || use == SPEC_USE_ONCE) {
		int r = fail(err, KENNEL_E_INVALID, "there is no key \"%s\" to unset", key);

		spec_offer_keys(&near, key);
		return near.best ? hint(err, r, "did you mean \"%s\"?", near.best) :
				   hint(err, r,
					"keys are the long options of \"kennel run\" without their dashes");
	}
	const struct config_change change = { CONFIG_UNSET, key, equals ? equals + 1 : NULL };
	int r = config_edit(file, text, &change, &n, err);
	if (r == 0 && n == 0)
		r = hint(err, fail(err, KENNEL_E_NOTFOUND, "\"%s\" is not set", what),
			 "\"kennel config\" shows what is");
	return r;
}

/* What of it can change while it runs does; what can't is told. */
static void apply_live(const struct place *p, const char *const *unset, const struct kennel_spec *spec,
		       const struct buf *before, const struct buf *config)
{
	const struct log_sink log = spec_sink(spec);
	_cleanup_config_ struct config c = { 0 };
	struct container_holder h;
	struct spec *now = spec_new(NULL);

	if (now && !p->box && container_is_held(&p->c, &h) && h.id[0] &&
	    config_parse("", buf_str(config), config->len, &c, NULL) == 0 &&
	    config_apply("", &c, now, NULL) == 0) {
		limits_follow(h.id, p->c.dir_fd, spec, unset, now);
		set_live(h.id, before, config, &log);
	}
	spec_free(now);
}

/* ret: it is on a volume, whose size is not a setting. */
static int grow_volume(const struct place *p, uint64_t size_bytes, bool *ret, struct kennel_error **err)
{
	const struct storage_at at = { .store_fd = p->c.store_fd, .dir_fd = p->c.dir_fd, .shown = p->c.path };
	_cleanup_storage_ struct storage s = STORAGE_NONE;

	if (p->box || !size_bytes)
		return 0;
	int r = storage_load(&at, &s, err);
	if (r < 0 || !(storage_caps(&s) & STORAGE_VOLUME))
		return r;
	*ret = true;
	return storage_resize(&at, size_bytes, err);
}

int kennel_container_set(const char *path, const char *name, const char *const *unset,
			 const struct kennel_spec *spec, struct kennel_error **err)
{
	_cleanup_place_ struct place p = PLACE_NONE;
	_cleanup_buf_ struct buf before = { 0 }, after = { 0 };

	const struct config_change no_size = { CONFIG_UNSET, "size", NULL };
	const char *const *given_unset = unset;

	bool volume = false;

	int r = open_place(path, name, spec->spec->size_bytes, &p, err);
	if (r == 0)
		r = grow_volume(&p, spec->spec->size_bytes, &volume, err);
	if (r == 0 && p.box && spec_has_hooks(spec->spec))
		r = fail(err, KENNEL_E_INVALID, "hooks are not run out of a file");
	if (r == 0)
		r = limits_check_kept(&spec->spec->limits, p.box, err);
	if (r == 0)
		r = begin_change(&p, err);
	if (r == 0)
		r = container_read(&p.c, CONTAINER_CONFIG, &before, err);
	if (r < 0)
		return r;
	buf_add(&after, buf_str(&before), before.len);
	r = buf_check(&after, err);
	for (; r == 0 && unset && *unset; unset++)
		r = unset_one(p.c.path, &after, *unset, err);
	if (r == 0)
		r = container_put_given(p.c.path, spec->spec, &after, err);
	if (r == 0 && (p.box || volume)) /* its own, which has grown by now */
		r = config_edit(p.c.path, &after, &no_size, NULL, err);
	if (r == 0)
		r = replace_config(&p.c, &before, &after, err);
	if (r == 0)
		r = end_change(&p, &before, &after, err);
	if (r == 0)
		apply_live(&p, given_unset, spec, &before, &after);
	return r < 0 ? wrap(err, r, "change the container \"%s\"", name) : 0;
}

int kennel_container_rename(const char *path, const char *name, const char *new_name,
			    struct kennel_error **err)
{
	_cleanup_place_ struct place p = PLACE_NONE;

	int r = open_place(path, name, 0, &p, err);
	if (r == 0)
		r = refuse_file(&p, "mv", err);
	if (r == 0)
		r = container_lock(&p.c, NULL, err);
	if (r == 0)
		r = container_rename(&p.c, &p.store, new_name, err);
	return r < 0 ? wrap(err, r, "rename the container \"%s\"", name) : 0;
}
