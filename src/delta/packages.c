/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * delta/packages.c - see packages.h.
 *
 * The databases are the sandbox's work: any bytes, and lines of any length. What is not understood is not a
 * package; nothing is refused, for a damaged entry must not hide the others.
 */
#include "delta/packages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

struct span { /* a piece of the text; NULL: not there */
	const char *at;
	size_t len;
};

static bool span_is(const struct span *s, const char *text)
{
	return s->at && s->len == strlen(text) && memcmp(s->at, text, s->len) == 0;
}

static int add(struct package_list *l, const struct span *name, const struct span *arch,
	       const struct span *version, struct kennel_error **err)
{
	if (l->n == l->room) {
		size_t room = l->room ? l->room * 2 : 256;
		struct package *items = reallocarray(l->items, room, sizeof(*items));

		if (!items)
			return fail(err, KENNEL_E_NOMEM, "out of memory");
		l->items = items;
		l->room = room;
	}
	struct package p = { .version = strndup(version->at ? version->at : "", version->len) };
	if (asprintf(&p.name, "%.*s%s%.*s", (int)MIN(name->len, (size_t)4096), name->at, arch ? ":" : "",
		     arch ? (int)MIN(arch->len, (size_t)256) : 0, arch ? arch->at : "") < 0)
		p.name = NULL;
	if (!p.name || !p.version) {
		free(p.name);
		free(p.version);
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	}
	l->items[l->n++] = p;
	return 0;
}

int packages_add(struct package_list *l, const char *name, const char *version, struct kennel_error **err)
{
	const struct span n = { name, strlen(name) }, v = { version, strlen(version) };

	return add(l, &n, NULL, &v, err);
}

/* The next line without its newline. */
static bool next_line(const char **at, const char *end, struct span *ret)
{
	if (*at >= end)
		return false;
	const char *newline = memchr(*at, '\n', (size_t)(end - *at));
	*ret = (struct span){ *at, (size_t)((newline ? newline : end) - *at) };
	*at = newline ? newline + 1 : end;
	return true;
}

/* The value of "Key: value". */
static bool take_field(const struct span *line, const char *key, struct span *ret)
{
	size_t len = strlen(key);

	if (line->len <= len || memcmp(line->at, key, len) != 0 || line->at[len] != ':')
		return false;
	const char *s = line->at + len + 1, *end = line->at + line->len;
	while (s < end && (*s == ' ' || *s == '\t'))
		s++;
	while (end > s && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r'))
		end--;
	*ret = (struct span){ s, (size_t)(end - s) };
	return true;
}

struct entry {
	struct span name, version, status, arch, multi;
};

/* "install ok installed": the last word is what counts; files of the others are gone. */
static bool has_files(const struct span *status)
{
	const char *space = status->at ? memrchr(status->at, ' ', status->len) : NULL;
	struct span last = { space ? space + 1 : NULL,
			     space ? (size_t)(status->at + status->len - space - 1) : 0 };

	return last.at && !span_is(&last, "not-installed") && !span_is(&last, "config-files");
}

static int end_dpkg(struct package_list *l, struct entry *e, struct kennel_error **err)
{
	int r = 0;

	if (e->name.at && e->name.len && has_files(&e->status))
		r = add(l, &e->name, span_is(&e->multi, "same") && e->arch.at ? &e->arch : NULL, &e->version,
			err);
	*e = (struct entry){ 0 };
	return r;
}

int packages_parse_dpkg(const char *text, size_t size, struct package_list *ret, struct kennel_error **err)
{
	const char *at = text, *end = text + size;
	struct entry e = { 0 };
	struct span line;
	int r = 0;

	while (r == 0 && next_line(&at, end, &line)) {
		if (!line.len)
			r = end_dpkg(ret, &e, err);
		else if (!take_field(&line, "Package", &e.name) &&
			 !take_field(&line, "Version", &e.version) &&
			 !take_field(&line, "Status", &e.status) &&
			 !take_field(&line, "Architecture", &e.arch))
			(void)take_field(&line, "Multi-Arch", &e.multi);
	}
	return r < 0 ? r : end_dpkg(ret, &e, err);
}

static int end_apk(struct package_list *l, struct entry *e, struct kennel_error **err)
{
	int r = e->name.at && e->name.len ? add(l, &e->name, NULL, &e->version, err) : 0;

	*e = (struct entry){ 0 };
	return r;
}

int packages_parse_apk(const char *text, size_t size, struct package_list *ret, struct kennel_error **err)
{
	const char *at = text, *end = text + size;
	struct entry e = { 0 };
	struct span line;
	int r = 0;

	while (r == 0 && next_line(&at, end, &line)) {
		if (!line.len)
			r = end_apk(ret, &e, err);
		else if (!take_field(&line, "P", &e.name))
			(void)take_field(&line, "V", &e.version);
	}
	return r < 0 ? r : end_apk(ret, &e, err);
}

int packages_parse_pacman(const char *dir, struct package_list *ret, struct kennel_error **err)
{
	const char *release = strrchr(dir, '-');
	const char *version = release ? memrchr(dir, '-', (size_t)(release - dir)) : NULL;

	if (!version || version == dir)
		return 0;
	const struct span name = { dir, (size_t)(version - dir) }, v = { version + 1, strlen(version + 1) };
	int r = add(ret, &name, NULL, &v, err);
	return r < 0 ? r : 1;
}

static int compare_items(const void *a, const void *b)
{
	const struct package *x = a, *y = b;
	int c = strcmp(x->name, y->name);

	return c ? c : strcmp(x->version, y->version);
}

void packages_sort(struct package_list *l)
{
	if (l->n)
		qsort(l->items, l->n, sizeof(*l->items), compare_items);
}

void packages_done(struct package_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->items[i].name);
		free(l->items[i].version);
	}
	free(l->items);
	*l = (struct package_list){ 0 };
}

int packages_compare(const struct package_list *before, const struct package_list *after,
		     int (*visit)(void *data, const struct package *before, const struct package *after),
		     void *data)
{
	size_t i = 0, k = 0;
	int r = 0;

	while (r == 0 && (i < before->n || k < after->n)) {
		const struct package *b = i < before->n ? &before->items[i] : NULL;
		const struct package *a = k < after->n ? &after->items[k] : NULL;
		int c = !b ? 1 : !a ? -1 : strcmp(b->name, a->name);

		if (c < 0)
			a = NULL;
		if (c > 0)
			b = NULL;
		i += b != NULL;
		k += a != NULL;
		if (!a || !b || strcmp(a->version, b->version) != 0)
			r = visit(data, b, a);
	}
	return r;
}
