/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * delta/manifest.c - see manifest.h.
 *
 * A manifest may have been edited, or come from elsewhere: a line that is not understood is refused with its
 * number, never skipped, for what it says might be what tells a change from none.
 */
#include "delta/manifest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "base/line.h"
#include "base/parse.h"
#include "base/pathname.h"

#define FORMAT "1"
#define FIELDS_MAX 5

static const char *const kinds[] = {
	[MANIFEST_FILE] = "file",
	[MANIFEST_WHITEOUT] = "whiteout",
	[MANIFEST_OPAQUE] = "opaque",
	[MANIFEST_PLACE] = "place",
};

void manifest_put(struct buf *b, const char *key, const char *const *fields, size_t n)
{
	buf_puts(b, key);
	for (size_t i = 0; i < n; i++) {
		buf_puts(b, "\t");
		line_put(b, fields[i]);
	}
	buf_puts(b, "\n");
}

static void put_one(struct buf *b, const char *key, const char *value)
{
	manifest_put(b, key, &value, 1);
}

static void put_bool(struct buf *b, const char *key, bool value)
{
	put_one(b, key, value ? "yes" : "no");
}

static void put_all(struct buf *b, const char *key, const struct strv *values)
{
	for (size_t i = 0; i < values->n; i++)
		put_one(b, key, values->items[i]);
}

void manifest_put_planted(struct buf *b, const struct manifest_planted *p)
{
	char mount[16], size[24], mtime[24];
	const char *const fields[] = { mount, p->rel, kinds[p->kind], size, mtime };

	snprintf(mount, sizeof(mount), "%u", p->mount);
	snprintf(size, sizeof(size), "%llu", (unsigned long long)p->size);
	snprintf(mtime, sizeof(mtime), "%lld", (long long)p->mtime_ns);
	manifest_put(b, "planted", fields, ARRAY_SIZE(fields));
}

static void put_mount(struct buf *b, const struct manifest_mount *m)
{
	char index[16];
	const char *const fields[] = { index, m->target, m->fstype, m->uuid ? m->uuid : "-" };

	snprintf(index, sizeof(index), "%u", m->index);
	manifest_put(b, "mount", fields, ARRAY_SIZE(fields));
}

static void put_times(struct buf *b, const struct manifest *m)
{
	char begun[24], copied[24];
	const char *const fields[] = { begun, copied };

	snprintf(begun, sizeof(begun), "%lld", (long long)m->begun_ns);
	snprintf(copied, sizeof(copied), "%lld", (long long)m->copied_ns);
	manifest_put(b, "begun", fields, ARRAY_SIZE(fields));
}

void manifest_uuid_text(const uint8_t uuid[16], char ret[static MANIFEST_UUID_SIZE])
{
	for (unsigned i = 0; i < 16; i++, ret += 2) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*ret++ = '-';
		snprintf(ret, 3, "%02x", uuid[i]);
	}
}

static int64_t read_clock(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * 1000000000ll + now.tv_nsec;
}

int64_t manifest_now(void)
{
	return read_clock(CLOCK_REALTIME_COARSE);
}

int64_t manifest_made_until_now(void)
{
	return read_clock(CLOCK_REALTIME);
}

void manifest_format(const struct manifest *m, struct buf *b)
{
	char ids[96] = "no";

	if (m->shifted)
		snprintf(ids, sizeof(ids), "%u:%u:%u:%u:%u:%u", m->ids.uids.base, m->ids.uids.count,
			 m->ids.gids.base, m->ids.gids.count, m->ids.uid, m->ids.gid);
	put_one(b, "format", FORMAT);
	put_one(b, "base", m->base);
	if (m->base_id)
		put_one(b, "base-id", m->base_id);
	put_all(b, "root-layer", &m->root_layers);
	put_all(b, "layer", &m->layers);
	put_all(b, "below", &m->below);
	for (size_t i = 0; i < m->n_mounts; i++)
		put_mount(b, &m->mounts[i]);
	put_bool(b, "view", m->view);
	put_all(b, "absent", &m->absent);
	put_bool(b, "squash", m->squash);
	put_one(b, "idmap", ids);
	if (m->begun_ns)
		put_times(b, m);
	put_one(b, "xattr", m->user_xattr ? "user" : "trusted");
	for (size_t i = 0; i < m->planted.n; i++)
		manifest_put_planted(b, &m->planted.items[i]);
}

/* One line being read. */
struct line {
	size_t number;
	const char *key;
	char *fields[FIELDS_MAX];
	size_t n;
};

static int bad(const struct line *l, const char *what, struct kennel_error **err)
{
	_cleanup_buf_ struct buf shown = { 0 };

	buf_safe(&shown, l->key);
	return fail(err, KENNEL_E_CORRUPT, "line %zu of the manifest, \"%.60s\": %s", l->number,
		    buf_str(&shown), what);
}

static int take_text(char **ret, const struct line *l, const char *value, struct kennel_error **err)
{
	if (*ret)
		return bad(l, "it is there twice", err);
	*ret = strdup(value);
	return *ret ? 0 : fail(err, KENNEL_E_NOMEM, "out of memory");
}

static bool is_clean_absolute(const char *path)
{
	_cleanup_free_ char *clean = NULL;

	return path[0] == '/' && path_clean(path, &clean, NULL) == 0 && strcmp(path, clean) == 0;
}

static bool is_clean_relative(const char *rel)
{
	_cleanup_free_ char *path = NULL;

	if (!*rel || asprintf(&path, "/%s", rel) < 0)
		return false;
	return is_clean_absolute(path);
}

static int parse_yes_no(const struct line *l, bool *ret, struct kennel_error **err)
{
	const char *s = l->fields[0];

	if (strcmp(s, "yes") != 0 && strcmp(s, "no") != 0)
		return bad(l, "it takes yes or no", err);
	*ret = *s == 'y';
	return 0;
}

static int parse_ids(struct manifest *m, const struct line *l, struct kennel_error **err)
{
	uint32_t *const numbers[] = { &m->ids.uids.base,  &m->ids.uids.count, &m->ids.gids.base,
				      &m->ids.gids.count, &m->ids.uid,	      &m->ids.gid };
	char *s = l->fields[0];

	m->shifted = strcmp(s, "no") != 0;
	for (size_t i = 0; m->shifted && i < ARRAY_SIZE(numbers); i++) {
		char *colon = strchr(s, ':');

		if ((colon != NULL) != (i + 1 < ARRAY_SIZE(numbers)))
			return bad(l, "it takes no, or six numbers", err);
		if (colon)
			*colon = '\0';
		if (parse_u32(s, numbers[i]) < 0)
			return bad(l, "it takes no, or six numbers", err);
		s = colon ? colon + 1 : s;
	}
	return 0;
}

int manifest_add_mount(struct manifest *m, unsigned index, const char *target, const char *fstype,
		       const char *uuid, struct kennel_error **err)
{
	struct manifest_mount *mounts = reallocarray(m->mounts, m->n_mounts + 1, sizeof(*mounts));

	if (!mounts)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	m->mounts = mounts;
	struct manifest_mount *at = &mounts[m->n_mounts++];
	*at = (struct manifest_mount){ index, strdup(target), strdup(fstype), uuid ? strdup(uuid) : NULL };
	return at->target && at->fstype && (!uuid || at->uuid) ? 0 :
								 fail(err, KENNEL_E_NOMEM, "out of memory");
}

static int parse_mount(struct manifest *m, const struct line *l, struct kennel_error **err)
{
	const char *target = l->fields[1], *uuid = l->fields[3];
	uint32_t index;

	if (parse_u32(l->fields[0], &index) < 0 || !is_clean_absolute(target))
		return bad(l, "it takes a number and an absolute path", err);
	if (m->n_mounts ? index <= m->mounts[m->n_mounts - 1].index : index != 0 || strcmp(target, "/") != 0)
		return bad(l, "the first one is 0, \"/\", and the numbers rise", err);
	return manifest_add_mount(m, index, target, l->fields[2], strcmp(uuid, "-") == 0 ? NULL : uuid, err);
}

static int parse_signed(const char *s, int64_t *ret)
{
	uint64_t v;

	if (parse_u64(s + (*s == '-'), &v) < 0 || v > INT64_MAX)
		return -1;
	*ret = *s == '-' ? -(int64_t)v : (int64_t)v;
	return 0;
}

static int parse_begun(struct manifest *m, const struct line *l, struct kennel_error **err)
{
	if (parse_signed(l->fields[0], &m->begun_ns) < 0 || parse_signed(l->fields[1], &m->copied_ns) < 0 ||
	    m->begun_ns <= 0 || m->copied_ns < 0)
		return bad(l, "it takes two times", err);
	return 0;
}

static int parse_kind(const char *s, enum manifest_kind *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (strcmp(s, kinds[i]) == 0) {
			*ret = (enum manifest_kind)i;
			return 0;
		}
	return -1;
}

static int parse_planted(struct manifest_plants *p, const struct line *l, struct kennel_error **err)
{
	struct manifest_planted v;

	if (parse_u32(l->fields[0], &v.mount) < 0 || !is_clean_relative(l->fields[1]) ||
	    parse_kind(l->fields[2], &v.kind) < 0 || parse_u64(l->fields[3], &v.size) < 0 ||
	    v.size > INT64_MAX || parse_signed(l->fields[4], &v.mtime_ns) < 0)
		return bad(l, "it takes a number, a path, a kind, a size and a time", err);
	const struct stat st = {
		.st_size = (off_t)v.size,
		.st_mtim = { v.mtime_ns / 1000000000, v.mtime_ns % 1000000000 },
	};
	return manifest_plants_add(p, v.mount, l->fields[1], v.kind, &st, err);
}

static int parse_path(struct strv *list, const struct line *l, struct kennel_error **err)
{
	if (l->fields[0][0] != '/')
		return bad(l, "it takes an absolute path", err);
	return strv_add(list, l->fields[0], err);
}

static int parse_base(struct manifest *m, const struct line *l, struct kennel_error **err)
{
	const char *base = l->fields[0];

	if (strcmp(base, "system") != 0 && base[0] != '/')
		return bad(l, "it takes system or an absolute path", err);
	return take_text(&m->base, l, base, err);
}

static int parse_xattr(struct manifest *m, const struct line *l, struct kennel_error **err)
{
	m->user_xattr = strcmp(l->fields[0], "user") == 0;
	if (!m->user_xattr && strcmp(l->fields[0], "trusted") != 0)
		return bad(l, "it takes user or trusted", err);
	return 0;
}

static int parse_base_id(struct manifest *m, const struct line *l, struct kennel_error **err)
{
	return take_text(&m->base_id, l, l->fields[0], err);
}

static int parse_root_layer(struct manifest *m, const struct line *l, struct kennel_error **err)
{
	return parse_path(&m->root_layers, l, err);
}

static int parse_layer(struct manifest *m, const struct line *l, struct kennel_error **err)
{
	return parse_path(&m->layers, l, err);
}

bool manifest_is_layer_id(const char *s)
{
	return strlen(s) == MANIFEST_LAYER_ID_LEN && strspn(s, "0123456789abcdef") == MANIFEST_LAYER_ID_LEN;
}

static int parse_below(struct manifest *m, const struct line *l, struct kennel_error **err)
{
	const char *s = l->fields[0];

	if (!manifest_is_layer_id(s) && !is_clean_absolute(s))
		return bad(l, "it takes the id of a layer or an absolute path", err);
	return strv_add(&m->below, s, err);
}

static int parse_absent(struct manifest *m, const struct line *l, struct kennel_error **err)
{
	return parse_path(&m->absent, l, err);
}

static int parse_view(struct manifest *m, const struct line *l, struct kennel_error **err)
{
	return parse_yes_no(l, &m->view, err);
}

static int parse_squash(struct manifest *m, const struct line *l, struct kennel_error **err)
{
	return parse_yes_no(l, &m->squash, err);
}

static int parse_one_planted(struct manifest *m, const struct line *l, struct kennel_error **err)
{
	return parse_planted(&m->planted, l, err);
}

static const struct {
	const char *key;
	size_t n; /* fields */
	int (*parse)(struct manifest *m, const struct line *l, struct kennel_error **err);
} keys[] = {
	{ "base", 1, parse_base },
	{ "base-id", 1, parse_base_id },
	{ "root-layer", 1, parse_root_layer },
	{ "layer", 1, parse_layer },
	{ "below", 1, parse_below },
	{ "mount", 4, parse_mount },
	{ "view", 1, parse_view },
	{ "absent", 1, parse_absent },
	{ "squash", 1, parse_squash },
	{ "idmap", 1, parse_ids },
	{ "begun", 2, parse_begun },
	{ "xattr", 1, parse_xattr },
	{ "planted", 5, parse_one_planted },
};

static int parse_line(struct manifest *m, const struct line *l, struct kennel_error **err)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (strcmp(l->key, keys[i].key) == 0)
			return l->n == keys[i].n ? keys[i].parse(m, l, err) :
						   bad(l, "it has another number of fields", err);
	return bad(l, "it is not known", err);
}

static int check_format(const struct line *l, struct kennel_error **err)
{
	if (strcmp(l->key, "format") != 0 || l->n != 1)
		return bad(l, "the first one is \"format\"", err);
	if (strcmp(l->fields[0], FORMAT) != 0)
		return hint(err,
			    fail(err, KENNEL_E_UNSUPPORTED, "the manifest has another format than " FORMAT),
			    "a newer kennel made it");
	return 0;
}

typedef int (*line_fn)(void *data, const struct line *l, struct kennel_error **err);

/* Every line ends with a newline: a file that was cut short is noticed. */
static int each_line(const char *text, line_fn see, void *data, struct kennel_error **err)
{
	_cleanup_free_ char *copy = strdup(text);
	struct line l = { 0 };

	if (!copy)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	for (char *at = copy, *next; *at; at = next) {
		char *end = strchrnul(at, '\n'), *rest = at, *field;

		l = (struct line){ .number = l.number + 1, .key = "" };
		if (!*end)
			return bad(&l, "it is cut short", err);
		*end = '\0';
		next = end + 1;
		l.key = line_next(&rest);
		while ((field = line_next(&rest)) != NULL) {
			if (l.n == FIELDS_MAX)
				return bad(&l, "it has another number of fields", err);
			l.fields[l.n++] = field;
		}
		int r = see(data, &l, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int see_line(void *data, const struct line *l, struct kennel_error **err)
{
	return l->number == 1 ? check_format(l, err) : parse_line(data, l, err);
}

int manifest_parse(const char *text, struct manifest *ret, struct kennel_error **err)
{
	struct manifest m = { 0 };
	int r = each_line(text, see_line, &m, err);

	if (r == 0 && (!m.base || !m.n_mounts))
		r = fail(err, KENNEL_E_CORRUPT, "the manifest has no %s", m.base ? "mount" : "base");
	if (r < 0) {
		manifest_done(&m);
		return r;
	}
	manifest_plants_sort(&m.planted);
	*ret = m;
	return 0;
}

void manifest_done(struct manifest *m)
{
	free(m->base);
	free(m->base_id);
	strv_done(&m->root_layers);
	strv_done(&m->layers);
	strv_done(&m->below);
	strv_done(&m->absent);
	for (size_t i = 0; i < m->n_mounts; i++) {
		free(m->mounts[i].target);
		free(m->mounts[i].fstype);
		free(m->mounts[i].uuid);
	}
	free(m->mounts);
	manifest_plants_done(&m->planted);
	*m = (struct manifest){ 0 };
}

static int64_t mtime_of(const struct stat *st)
{
	int64_t ns;

	/* Nobody's clock is in the year 2262, but a time can be set to anything. */
	if (__builtin_mul_overflow(st->st_mtim.tv_sec, (int64_t)1000000000, &ns) ||
	    __builtin_add_overflow(ns, (int64_t)st->st_mtim.tv_nsec, &ns))
		return 0;
	return ns;
}

int manifest_plants_add(struct manifest_plants *p, unsigned mount, const char *rel, enum manifest_kind kind,
			const struct stat *st, struct kennel_error **err)
{
	if (p->n == p->room) {
		size_t room = p->room ? p->room * 2 : 16;
		struct manifest_planted *items = reallocarray(p->items, room, sizeof(*items));

		if (!items)
			return fail(err, KENNEL_E_NOMEM, "out of memory");
		p->items = items;
		p->room = room;
	}
	char *copy = strdup(rel);
	if (!copy)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	struct manifest_planted *v = &p->items[p->n++];
	*v = (struct manifest_planted){ .mount = mount, .rel = copy, .kind = kind };
	if (kind == MANIFEST_FILE) {
		v->size = (uint64_t)st->st_size;
		v->mtime_ns = mtime_of(st);
	}
	p->sorted = false;
	return 0;
}

static int see_planted(void *data, const struct line *l, struct kennel_error **err)
{
	if (strcmp(l->key, "planted") != 0 || l->n != 5)
		return bad(l, "it is not known", err);
	return parse_planted(data, l, err);
}

int manifest_plants_parse(const char *text, struct manifest_plants *ret, struct kennel_error **err)
{
	return each_line(text, see_planted, ret, err);
}

static int compare(unsigned mount_a, const char *a, unsigned mount_b, const char *b)
{
	return mount_a != mount_b ? (mount_a < mount_b ? -1 : 1) : strcmp(a, b);
}

static int compare_planted(const void *a, const void *b)
{
	const struct manifest_planted *x = a, *y = b;

	int c = compare(x->mount, x->rel, y->mount, y->rel);

	/* No two at one place, but for a manifest that somebody wrote. */
	if (c == 0 && x->kind != y->kind)
		c = x->kind < y->kind ? -1 : 1;
	if (c == 0 && x->size != y->size)
		c = x->size < y->size ? -1 : 1;
	return c ? c : (x->mtime_ns > y->mtime_ns) - (x->mtime_ns < y->mtime_ns);
}

void manifest_plants_sort(struct manifest_plants *p)
{
	if (!p->sorted && p->n)
		qsort(p->items, p->n, sizeof(*p->items), compare_planted);
	p->sorted = true;
}

void manifest_plants_done(struct manifest_plants *p)
{
	for (size_t i = 0; i < p->n; i++)
		free(p->items[i].rel);
	free(p->items);
	*p = (struct manifest_plants){ 0 };
}

/* The first that is not before rel. */
static size_t lower_bound(const struct manifest_plants *p, unsigned mount, const char *rel)
{
	size_t low = 0, high = p->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (compare(p->items[mid].mount, p->items[mid].rel, mount, rel) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

const struct manifest_planted *manifest_plants_find(const struct manifest_plants *p, unsigned mount,
						    const char *rel)
{
	size_t i = lower_bound(p, mount, rel);

	return i < p->n && p->items[i].mount == mount && strcmp(p->items[i].rel, rel) == 0 ? &p->items[i] :
											     NULL;
}

bool manifest_plants_below(const struct manifest_plants *p, unsigned mount, const char *dir)
{
	size_t len = strlen(dir);

	/* Between "a" and "a/b" there may be "a-b" and others: "a/" is where those below begin. */
	for (size_t i = lower_bound(p, mount, dir); i < p->n && p->items[i].mount == mount; i++) {
		const char *rel = p->items[i].rel;

		if (strncmp(rel, dir, len) != 0)
			return false;
		if (!len || rel[len] == '/' || rel[len] == '\0')
			return true;
		if (rel[len] > '/')
			return false;
	}
	return false;
}

bool manifest_planted_is_same(const struct manifest_planted *p, const struct stat *now, bool opaque)
{
	switch (p->kind) {
	case MANIFEST_FILE:
		return S_ISREG(now->st_mode) && (uint64_t)now->st_size == p->size &&
		       mtime_of(now) == p->mtime_ns;
	case MANIFEST_WHITEOUT:
		return S_ISCHR(now->st_mode) && now->st_rdev == makedev(0, 0);
	case MANIFEST_OPAQUE:
		return S_ISDIR(now->st_mode) && opaque;
	case MANIFEST_PLACE:
		return S_ISDIR(now->st_mode) || (S_ISREG(now->st_mode) && now->st_size == 0);
	}
	return false;
}
