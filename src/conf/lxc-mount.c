/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* conf/lxc-mount.c - what LXC mounts and which devices it allows, as shares and devices. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/macro.h"
#include "conf/lxc.h"

/* What kennel makes anew, and has below it. */
static bool is_ours(const char *target)
{
	static const char *const places[] = { "proc",	 "sys",	     "dev/shm", "dev/mqueue",
					      "dev/pts", "dev/.lxc", "run",	"tmp" };

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		size_t len = strlen(places[i]);

		if (strncmp(target, places[i], len) == 0 && (!target[len] || target[len] == '/'))
			return true;
	}
	return false;
}

static void put_field(struct buf *b, const char *field)
{
	for (; *field; field++)
		buf_printf(b, "%s%c", *field == ':' || *field == '\\' ? "\\" : "", *field);
}

/* "\040" and the like, as fstab(5) has them, in place. */
static void undo_octal(char *s)
{
	char *to = s;

	for (; *s; s++)
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' && s[3] >= '0' &&
		    s[3] <= '7') {
			*to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 3;
		} else {
			*to++ = *s;
		}
	*to = '\0';
}

struct options {
	bool bind, read_only, optional, unknown;
};

static int read_options(char *words, struct options *ret)
{
	static const char *const harmless[] = { "rw",	    "defaults", "create=dir", "create=file",
						"nosuid",   "nodev",	"noexec",     "relatime",
						"rprivate", "private",	"rslave",     "slave" };

	for (char *rest = words, *word; (word = strsep(&rest, ","));) {
		bool known = !*word;

		for (size_t i = 0; i < ARRAY_SIZE(harmless); i++)
			known = known || strcmp(word, harmless[i]) == 0;
		if (strcmp(word, "bind") == 0 || strcmp(word, "rbind") == 0)
			ret->bind = true;
		else if (strcmp(word, "ro") == 0)
			ret->read_only = true;
		else if (strcmp(word, "optional") == 0)
			ret->optional = true;
		else if (!known)
			ret->unknown = true;
	}
	return 0;
}

static int share(struct lxc *l, const struct foreign_at *at, const char *source, const char *target,
		 const struct options *o, struct kennel_error **err)
{
	_cleanup_buf_ struct buf value = { 0 };

	put_field(&value, source);
	buf_puts(&value, ":/");
	put_field(&value, target);
	buf_puts(&value, o->read_only ? ":ro" : "");
	int r = buf_check(&value, err);
	if (r < 0 || !o->optional)
		return r < 0 ? r : foreign_set(l->f, at, "mount", buf_str(&value), err);
	r = strv_add(&l->f->optional, source, err);
	return r < 0 ? r : strv_add(&l->f->optional, buf_str(&value), err);
}

int lxc_take_mount(struct lxc *l, const struct lxc_item *i, const char *entry, struct kennel_error **err)
{
	_cleanup_free_ char *copy = strdup(entry);
	const struct foreign_at at = lxc_at(i);
	char *fields[4] = { 0 };
	struct options o = { 0 };
	unsigned n = 0;

	if (!copy)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	for (char *rest = copy, *word; n < 4 && (word = strsep(&rest, " \t"));)
		if (*word)
			fields[n++] = word;
	if (n < 4)
		return foreign_refuse(l->f, &at, "it is SOURCE TARGET TYPE OPTIONS", err);
	undo_octal(fields[0]);
	undo_octal(fields[1]);
	(void)read_options(fields[3], &o);
	const char *target = fields[1];
	/* LXC also takes the path with that of the tree in front. */
	if (l->f->root && strncmp(target, l->f->root, strlen(l->f->root)) == 0)
		target += strlen(l->f->root);
	target += strspn(target, "/");
	if (is_ours(target))
		return o.bind && !o.optional && strncmp(fields[0], "/sys/", 5) != 0 &&
				       strncmp(fields[0], "/proc/", 6) != 0 ?
			       foreign_refuse(l->f, &at, "kennel makes /proc, /sys, /dev, /run and /tmp anew",
					      err) :
			       0;
	if (!o.bind || o.unknown || *fields[0] != '/')
		return foreign_refuse(l->f, &at,
				      "a directory of the machine is shared with --mount SOURCE:TARGET[:ro]",
				      err);
	return share(l, &at, fields[0], target, &o, err);
}

int lxc_take_fstab(struct lxc *l, const struct lxc_item *i, struct kennel_error **err)
{
	_cleanup_buf_ struct buf text = { 0 };
	const struct foreign_at at = lxc_at(i);
	int r = l->read ? l->read(l->data, i->value, &text, err) : 0;

	if (r <= 0)
		return r < 0 ? r : foreign_refuse(l->f, &at, "that file is not there", err);
	r = 0;
	for (char *rest = text.data, *line; r == 0 && (line = rest ? strsep(&rest, "\n") : NULL);) {
		line += strspn(line, " \t");
		if (*line && *line != '#')
			r = lxc_take_mount(l, i, line, err);
	}
	return r;
}

/* What every container has is passed over; kennel denies the rest by itself. */
int lxc_take_device(struct lxc *l, const struct lxc_item *i, struct kennel_error **err)
{
	static const struct {
		const char *numbers, *path; /* NULL: it is there anyway */
	} known[] = {
		{ "c *:* ", NULL },	     { "b *:* ", NULL },
		{ "c 1:3 ", NULL },	     { "c 1:5 ", NULL },
		{ "c 1:7 ", NULL },	     { "c 1:8 ", NULL },
		{ "c 1:9 ", NULL },	     { "c 5:0 ", NULL },
		{ "c 5:1 ", NULL },	     { "c 5:2 ", NULL },
		{ "c 4:0 ", NULL },	     { "c 4:1 ", NULL },
		{ "c 136:* ", NULL },	     { "c 254:0 ", NULL },
		{ "c 10:229 ", NULL },	     { "c 10:200 ", "/dev/net/tun" },
		{ "c 10:232 ", "/dev/kvm" },
	};
	const struct foreign_at at = lxc_at(i);
	const char *verb = strrchr(i->key, '.');

	if (strcmp(verb, ".deny") == 0)
		return strcmp(i->value, "a") == 0 ?
			       0 :
			       foreign_refuse(l->f, &at, "kennel denies what --device does not give", err);
	for (size_t n = 0; strcmp(verb, ".allow") == 0 && n < ARRAY_SIZE(known); n++) {
		if (strncmp(i->value, known[n].numbers, strlen(known[n].numbers)) != 0)
			continue;
		/* all devices of the machine are more than to make nodes */
		if (n < 2 && strcmp(i->value + strlen(known[n].numbers), "m") != 0)
			break;
		return known[n].path ? foreign_set(l->f, &at, "device", known[n].path, err) : 0;
	}
	return foreign_refuse(l->f, &at, "devices are given by path: --device PATH", err);
}
