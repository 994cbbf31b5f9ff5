/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cli/change.c - see change.h. Names are a sandbox's work: they go through buf_safe(). */
#include "cli/change.h"

static const struct {
	char letter;
	const char *word, *colour;
} kinds[] = {
	[KENNEL_ADDED] = { 'A', "added", "\033[32m" },
	[KENNEL_CHANGED] = { 'M', "changed", "\033[33m" },
	[KENNEL_DELETED] = { 'D', "deleted", "\033[31m" },
	[KENNEL_RETYPED] = { 'T', "retyped", "\033[35m" },
};

static const struct {
	unsigned bit;
	const char *word;
} bits[] = {
	{ KENNEL_CHANGE_CONTENT, "content" }, { KENNEL_CHANGE_MODE, "mode" },
	{ KENNEL_CHANGE_OWNER, "owner" },     { KENNEL_CHANGE_XATTR, "xattr" },
	{ KENNEL_CHANGE_LINK, "link" },
};

const char *change_kind_word(enum kennel_change_kind kind)
{
	return kinds[kind].word;
}

const char *change_type_word(mode_t mode)
{
	return S_ISREG(mode)  ? "file" :
	       S_ISDIR(mode)  ? "directory" :
	       S_ISLNK(mode)  ? "symbolic link" :
	       S_ISCHR(mode)  ? "character device" :
	       S_ISBLK(mode)  ? "block device" :
	       S_ISFIFO(mode) ? "fifo" :
	       S_ISSOCK(mode) ? "socket" :
				"unknown";
}

size_t change_bit_words(unsigned set, const char *ret[static CHANGE_WORDS_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(bits); i++)
		if (set & bits[i].bit)
			ret[n++] = bits[i].word;
	return n;
}

void change_put_letter(struct buf *b, enum kennel_change_kind kind, bool colour)
{
	buf_printf(b, "%s%c%s ", colour ? kinds[kind].colour : "", kinds[kind].letter,
		   colour ? "\033[0m" : "");
}

/* "(content, mode)", or what became of what. */
static void put_what(struct buf *b, const struct kennel_change *c)
{
	const char *words[CHANGE_WORDS_MAX];
	size_t n = change_bit_words(c->bits, words);

	if (c->kind == KENNEL_RETYPED) {
		buf_printf(b, " (%s, was %s)", change_type_word(c->after->st_mode),
			   change_type_word(c->before->st_mode));
		return;
	}
	for (size_t i = 0; i < n; i++)
		buf_printf(b, "%s%s", i ? ", " : " (", words[i]);
	if (c->bits & KENNEL_CHANGE_HARDLINK) {
		buf_puts(b, n++ ? ", " : " (");
		buf_puts(b, "hard link to ");
		buf_safe(b, c->link_to);
	}
	buf_puts(b, n ? ")" : "");
}

void change_put_line(struct buf *b, const struct kennel_change *c, bool colour)
{
	change_put_letter(b, c->kind, colour);
	buf_safe(b, c->path);
	put_what(b, c);
}
