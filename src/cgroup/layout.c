/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cgroup/layout.c - see layout.h.
 *
 * mountinfo:  36 31 0:33 /mounted/directory /mount/point rw,relatime [optional...] - cgroup cgroup rw,devices
 * cgroup:     5:devices:/our/group      (v2: 0::/our/group)
 *
 * Only mountinfo is escaped. Both show paths from the reader's cgroup namespace, so a path with ".." is
 * outside of it and can't be followed.
 */
#include "cgroup/layout.h"

#include <limits.h>
#include <string.h>

static const struct {
	unsigned ctl;
	const char *name;
} ctl_names[] = {
	{ CGROUP_PIDS, "pids" }, { CGROUP_DEVICES, "devices" }, { CGROUP_MEMORY, "memory" },
	{ CGROUP_CPU, "cpu" },	 { CGROUP_FREEZER, "freezer" }, { CGROUP_CPUSET, "cpuset" },
	{ CGROUP_IO, "io" },	 { CGROUP_IO, "blkio" },
};

const char *cgroup_ctl_name(unsigned ctl)
{
	for (size_t i = 0; i < ARRAY_SIZE(ctl_names); i++)
		if (ctl_names[i].ctl == ctl)
			return ctl_names[i].name;
	return "?";
}

/*
 * Takes what stands before sep off *s (all of it where sep is not there) and puts it into *ret; false at the
 * end.
 */
static bool take_until(struct cgroup_slice *s, char sep, struct cgroup_slice *ret)
{
	const char *end;

	if (!s->len)
		return false;
	end = memchr(s->text, sep, s->len);
	*ret = (struct cgroup_slice){ s->text, end ? (size_t)(end - s->text) : s->len };
	s->text += ret->len + (end ? 1 : 0);
	s->len -= ret->len + (end ? 1 : 0);
	return true;
}

static bool slice_is(struct cgroup_slice s, const char *word)
{
	return s.len == strlen(word) && !memcmp(s.text, word, s.len);
}

static bool is_separator(char c)
{
	return c == ',' || c == ' ' || c == '\n';
}

static bool has_word(struct cgroup_slice list, const char *word)
{
	size_t start = 0;

	for (size_t i = 0; i <= list.len; i++) {
		if (i < list.len && !is_separator(list.text[i]))
			continue;
		if (slice_is((struct cgroup_slice){ list.text + start, i - start }, word))
			return true;
		start = i + 1;
	}
	return false;
}

static unsigned ctls_of(struct cgroup_slice list)
{
	unsigned ctls = 0;

	for (size_t i = 0; i < ARRAY_SIZE(ctl_names); i++)
		if (has_word(list, ctl_names[i].name))
			ctls |= ctl_names[i].ctl;
	return ctls;
}

bool cgroup_names_all(struct cgroup_slice words, unsigned ctls)
{
	return !(ctls & ~(ctls_of(words) | CGROUP_NO_V2_CTL));
}

int cgroup_copy(struct cgroup_slice s, char *text, size_t size)
{
	if (!s.len)
		s = (struct cgroup_slice){ ".", 1 };
	if (s.len >= size)
		return -1;
	memcpy(text, s.text, s.len);
	text[s.len] = '\0';
	return 0;
}

static bool is_octal(char c)
{
	return c >= '0' && c <= '7';
}

int cgroup_unescape(struct cgroup_slice s, char *text, size_t size)
{
	size_t out = 0;

	for (size_t i = 0; i < s.len; i++) {
		char c = s.text[i];

		if (c == '\\' && s.len - i > 3 && is_octal(s.text[i + 1]) && is_octal(s.text[i + 2]) &&
		    is_octal(s.text[i + 3])) {
			c = (char)((s.text[i + 1] - '0') << 6 | (s.text[i + 2] - '0') << 3 |
				   (s.text[i + 3] - '0'));
			i += 3;
		}
		if (!c || out + 1 >= size)
			return -1;
		text[out++] = c;
	}
	if (!size)
		return -1;
	text[out] = '\0';
	return 0;
}

static bool has_dotdot(struct cgroup_slice path)
{
	struct cgroup_slice part;

	while (take_until(&path, '/', &part))
		if (slice_is(part, ".."))
			return true;
	return false;
}

/* Cuts the mounted directory off our group's path. false: our group is not below it. */
static bool cut_root(struct cgroup_slice root_escaped, struct cgroup_slice own, struct cgroup_slice *ret)
{
	char root[PATH_MAX];
	size_t len;

	if (!own.len || own.text[0] != '/' || has_dotdot(own))
		return false;
	if (cgroup_unescape(root_escaped, root, sizeof(root)) < 0 || root[0] != '/')
		return false;
	len = strlen(root);
	if (has_dotdot((struct cgroup_slice){ root, len }))
		return false;
	if (len == 1)
		len = 0;
	if (own.len < len || memcmp(own.text, root, len) != 0 || (own.len > len && own.text[len] != '/'))
		return false;
	own.text += len;
	own.len -= len;
	while (own.len && own.text[0] == '/') {
		own.text++;
		own.len--;
	}
	*ret = own;
	return true;
}

/* Our group's path in the hierarchy that has one of ctls, or in v2's. */
static bool find_own(struct cgroup_slice self, bool v2, unsigned ctls, struct cgroup_slice *ret)
{
	struct cgroup_slice line, id, names;

	while (take_until(&self, '\n', &line)) {
		if (!take_until(&line, ':', &id) || !take_until(&line, ':', &names))
			continue;
		if (v2 ? slice_is(id, "0") && !names.len : (ctls_of(names) & ctls) != 0) {
			*ret = line;
			return true;
		}
	}
	return false;
}

static bool to_number(struct cgroup_slice s, uint64_t *ret)
{
	uint64_t v = 0;

	if (!s.len || s.len > 18)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (s.text[i] < '0' || s.text[i] > '9')
			return false;
		v = v * 10 + (uint64_t)(s.text[i] - '0');
	}
	*ret = v;
	return true;
}

/* One line of mountinfo; false where it is not a cgroup mount of use to us. */
static bool parse_mount(struct cgroup_slice line, struct cgroup_slice self, struct cgroup_mount *ret)
{
	enum { ID, PARENT, DEVICE, ROOT, POINT, OPTIONS, FIXED };
	struct cgroup_slice f[FIXED], word, fstype, source, super, own;
	struct cgroup_mount m = { 0 };

	for (unsigned i = 0; i < FIXED; i++)
		if (!take_until(&line, ' ', &f[i]))
			return false;
	do {
		if (!take_until(&line, ' ', &word))
			return false;
	} while (!slice_is(word, "-"));
	if (!take_until(&line, ' ', &fstype) || !take_until(&line, ' ', &source) ||
	    !take_until(&line, ' ', &super))
		return false;
	m.v2 = slice_is(fstype, "cgroup2");
	if (!m.v2 && !slice_is(fstype, "cgroup"))
		return false;
	m.ctls = m.v2 ? 0 : ctls_of(super);
	if ((!m.v2 && !m.ctls) || !to_number(f[ID], &m.mount_id))
		return false;
	m.point = f[POINT];
	m.read_only = has_word(f[OPTIONS], "ro") || has_word(super, "ro");
	m.visible = find_own(self, m.v2, m.ctls, &own) && cut_root(f[ROOT], own, &m.own);
	*ret = m;
	return true;
}

void cgroup_layout_parse(const char *mountinfo, const char *self_cgroup, struct cgroup_layout *ret)
{
	struct cgroup_slice text = { mountinfo, strlen(mountinfo) }, line;
	const struct cgroup_slice self = { self_cgroup, strlen(self_cgroup) };

	ret->n = 0;
	while (ret->n < CGROUP_MOUNTS_MAX && take_until(&text, '\n', &line)) {
		/* most lines are of other file systems: told apart without cutting them up */
		if (memmem(line.text, line.len, " - cgroup", 9) &&
		    parse_mount(line, self, &ret->mounts[ret->n]))
			ret->n++;
	}
}

bool cgroup_layout_is_hidden(const struct cgroup_layout *l, unsigned i)
{
	for (unsigned k = i + 1; k < l->n; k++)
		if (l->mounts[k].v2 == l->mounts[i].v2 && l->mounts[k].ctls == l->mounts[i].ctls &&
		    l->mounts[k].visible)
			return true;
	return false;
}
