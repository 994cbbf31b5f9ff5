/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cli/diff-json.c - a change as a JSON object. Names that are no UTF-8 can't be told in JSON: their bytes are
 * beside them as hexadecimal digits.
 */
#include <string.h>
#include <sys/sysmacros.h>

#include "cli/change.h"
#include "cli/diff.h"
#include "cli/json.h"
#include "base/cleanup.h"

static void add_name(struct buf *b, const char *key, const char *name)
{
	_cleanup_buf_ struct buf text = { 0 }, hex = { 0 };

	json_member(b, key, name, false);
	buf_json(&text, name);
	if (!strstr(buf_str(&text), "\xef\xbf\xbd") || strstr(name, "\xef\xbf\xbd"))
		return;
	for (const unsigned char *s = (const unsigned char *)name; *s; s++)
		buf_printf(&hex, "%02x", *s);
	buf_printf(b, ", \"%s_hex\": \"%s\"", key, buf_str(&hex));
}

static void add_side(struct diff_out *o, const char *key, const struct kennel_change *c,
		     const struct stat *st, int after)
{
	struct buf *b = &o->b;

	json_key(b, key);
	if (!st) {
		buf_puts(b, "null");
		return;
	}
	buf_printf(b,
		   "{\"type\": \"%s\", \"mode\": \"%04o\", \"uid\": %u, \"gid\": %u, \"size\": %lld, "
		   "\"mtime\": %lld.%09ld",
		   change_type_word(st->st_mode), st->st_mode & 07777u, st->st_uid, st->st_gid,
		   (long long)st->st_size, (long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
	if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode))
		buf_printf(b, ", \"device\": \"%u:%u\"", major(st->st_rdev), minor(st->st_rdev));
	if (S_ISLNK(st->st_mode)) {
		_cleanup_free_ char *target = NULL;

		/* gone meanwhile: then it has none */
		if (kennel_delta_read_link(o->delta, c->path, after, &target, NULL) == 0)
			add_name(b, "target", target);
	}
	buf_puts(b, "}");
}

void diff_json(struct diff_out *o, const struct kennel_change *c)
{
	const char *words[CHANGE_WORDS_MAX];
	size_t n = change_bit_words(c->bits, words);

	buf_puts(&o->b, " {");
	add_name(&o->b, "path", c->path);
	json_member(&o->b, "kind", change_kind_word(c->kind), false);
	json_key(&o->b, "what");
	buf_puts(&o->b, "[");
	for (size_t i = 0; i < n; i++)
		buf_printf(&o->b, "%s\"%s\"", i ? ", " : "", words[i]);
	buf_puts(&o->b, "]");
	if (c->bits & KENNEL_CHANGE_HARDLINK)
		add_name(&o->b, "hard_link_to", c->link_to);
	add_side(o, "before", c, c->before, 0);
	add_side(o, "after", c, c->after, 1);
	buf_puts(&o->b, "}");
}

void diff_json_package(struct buf *b, const struct kennel_package *p)
{
	buf_puts(b, " {");
	json_member(b, "manager", p->manager, false);
	json_member(b, "name", p->name, false);
	json_member(b, "before", p->before, false);
	json_member(b, "after", p->after, false);
	buf_puts(b, "}");
}
