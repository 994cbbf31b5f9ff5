/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * layer/mountinfo.c - the bytes of /proc/self/mountinfo as a table, and which of its mounts a path can still
 * lead to.
 *
 * This runs at every start, so it works in place: one block holds the text, which is cut and unescaped where
 * it lies, and one holds the entries with the scratch of the visibility pass behind them. Fields are parted
 * by exactly one space, so an empty source ("- tmpfs  rw") stays a field; whatever follows the source is the
 * super options, spaces included, for some file systems print them unescaped.
 *
 * Visibility comes from parent ids and targets alone. The kernel resolves a path by walking from the root
 * mount and crossing into a child wherever one is mounted, so a mount is entered when its parent is and no
 * sibling sits on the way, and a path ends on it when nothing is stacked on its own root. The order of lines
 * says nothing about that: since 6.8 they come sorted by id, and a moved mount keeps its old one.
 */
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "layer/layer.h"
#include "path/path.h"
#include "sys/sys.h"

/* The kernel allows 100,000 mounts a namespace; a line is some 200 bytes. */
#define MOUNTINFO_MAX ((size_t)64 << 20)
#define NO_PARENT SIZE_MAX

enum reach { REACH_UNKNOWN, REACH_NO, REACH_YES };

/* Scratch of the visibility pass; every array has n elements and lies behind the entries. */
struct view {
	struct mount_entry *entries;
	size_t n;
	size_t *parent;         /* index of the parent's entry, or NO_PARENT */
	size_t *by_target;      /* indices sorted by parent, then target, then line */
	size_t *by_id; /* indices sorted by id; once the parents are known, the chain being followed */
	unsigned char *entered; /* enum reach */
};
#define VIEW_BYTES (3 * sizeof(size_t) + 1)     /* of scratch, for one entry */

static bool is_octal(char c)
{
	return c >= '0' && c <= '7';
}

/*
 * Undoes \ooo in place. A backslash before anything else stands for itself. False for \000, which no name
 * can hold.
 */
static bool unescape(char *s)
{
	char *in = strchr(s, '\\');
	char *out = in;

	if (!in)
		return true;
	while (*in) {
		if (in[0] == '\\' && in[1] >= '0' && in[1] <= '3' && is_octal(in[2]) && is_octal(in[3])) {
			char c = (char)((in[1] - '0') << 6 | (in[2] - '0') << 3 | (in[3] - '0'));

			if (!c)
				return false;
			*out++ = c;
			in += 4;
		} else {
			*out++ = *in++;
		}
	}
	*out = '\0';
	return true;
}

/* Reads digits up to the byte end and steps over it. */
static bool take_number(char **p, char end, unsigned *ret)
{
	char *s = *p;
	unsigned v = 0;

	if (*s < '0' || *s > '9')
		return false;
	for (; *s >= '0' && *s <= '9'; s++) {
		unsigned digit = (unsigned)(*s - '0');

		if (v > (UINT_MAX - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	if (*s != end)
		return false;
	*ret = v;
	*p = s + 1;
	return true;
}

/* Cuts the text up to the next space and steps over it; NULL where the line ends first. */
static char *take_field(char **p)
{
	char *s = *p;
	char *end = strchr(s, ' ');

	if (!end)
		return NULL;
	*end = '\0';
	*p = end + 1;
	return s;
}

/* Optional fields ("shared:1 master:2") go up to a lone "-". We have no use for them. */
static bool skip_optional(char **p)
{
	for (;;) {
		char *field = take_field(p);

		if (!field || !*field)
			return false;
		if (strcmp(field, "-") == 0)
			return true;
	}
}

/* line: NUL-terminated, without its newline. Returns what is wrong with it, or NULL. */
static const char *parse_line(char *line, struct mount_entry *e)
{
	char *p = line;

	if (!take_number(&p, ' ', &e->id) || !take_number(&p, ' ', &e->parent_id))
		return "no mount id";
	if (!take_number(&p, ':', &e->dev_major) || !take_number(&p, ' ', &e->dev_minor))
		return "no device number";
	e->root = take_field(&p);
	e->target = take_field(&p);
	e->options = take_field(&p);
	if (!e->root || !e->target || !e->options || !*e->root || !*e->options)
		return "cut short";
	if (e->target[0] != '/')
		return "the target is not an absolute path";
	if (!skip_optional(&p))
		return "no separator after the optional fields";
	e->fstype = take_field(&p);
	e->source = take_field(&p);
	if (!e->fstype || !e->source || !*e->fstype || !*p)
		return "cut short";
	e->super_options = p;
	if (!unescape(e->root) || !unescape(e->target) || !unescape(e->fstype) || !unescape(e->source))
		return "a NUL byte in a name";
	return NULL;
}

static int compare_ids(const void *a, const void *b, void *data)
{
	const struct view *v = data;
	size_t i = *(const size_t *)a, k = *(const size_t *)b;

	if (v->entries[i].id != v->entries[k].id)
		return v->entries[i].id < v->entries[k].id ? -1 : 1;
	return i < k ? -1 : i > k;
}

static int compare_targets(const void *a, const void *b, void *data)
{
	const struct view *v = data;
	size_t i = *(const size_t *)a, k = *(const size_t *)b;

	if (v->parent[i] != v->parent[k])
		return v->parent[i] < v->parent[k] ? -1 : 1;
	int r = strcmp(v->entries[i].target, v->entries[k].target);
	if (r)
		return r;
	return i < k ? -1 : i > k;
}

static size_t find_parent(const struct view *v, size_t i)
{
	unsigned id = v->entries[i].parent_id;
	size_t low = 0, high = v->n;

	if (id == v->entries[i].id)     /* the rootfs of kernels that still list it */
		return NO_PARENT;
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (v->entries[v->by_id[mid]].id < id)
			low = mid + 1;
		else
			high = mid;
	}
	return low < v->n && v->entries[v->by_id[low]].id == id ? v->by_id[low] : NO_PARENT;
}

/* How does the entry compare with a child of parent whose target is the first len bytes of path? */
static int compare_place(const struct view *v, size_t entry, size_t parent, const char *path, size_t len)
{
	if (v->parent[entry] != parent)
		return v->parent[entry] < parent ? -1 : 1;
	int r = strncmp(v->entries[entry].target, path, len);
	return r ? r : v->entries[entry].target[len] != '\0';
}

/*
 * The last child of parent mounted exactly there, or NO_PARENT: where two share a mount point, the kernel
 * finds the newer.
 */
static size_t find_child(const struct view *v, size_t parent, const char *path, size_t len)
{
	size_t low = 0, high = v->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (compare_place(v, v->by_target[mid], parent, path, len) <= 0)
			low = mid + 1;
		else
			high = mid;
	}
	if (!low || compare_place(v, v->by_target[low - 1], parent, path, len) != 0)
		return NO_PARENT;
	return v->by_target[low - 1];
}

/*
 * Does walking from the parent's root to the entry's target cross into another child of the same parent
 * first?
 */
static bool is_covered(const struct view *v, size_t i)
{
	const char *target = v->entries[i].target;
	size_t parent = v->parent[i];
	size_t start = parent == NO_PARENT ? 1 : strlen(v->entries[parent].target);

	for (size_t len = start;;) {
		size_t child = find_child(v, parent, target, len);

		if (child != NO_PARENT && child != i)
			return true;
		if (!target[len])
			return false;
		const char *slash = strchrnul(target + len + (len > 1), '/');
		len = (size_t)(slash - target);
	}
}

static enum reach look(const struct view *v, size_t i)
{
	const char *target = v->entries[i].target;

	/* "/x//deleted" is how the kernel names a mount point that was removed: no path is that. */
	if (strstr(target, "//"))
		return REACH_NO;
	if (v->parent[i] != NO_PARENT && !path_is_below(target, v->entries[v->parent[i]].target))
		return REACH_NO;
	return is_covered(v, i) ? REACH_NO : REACH_YES;
}

/*
 * Follows the parents up to one that is settled, then settles the way back. A circle of parents leads
 * nowhere.
 */
static void enter(const struct view *v, size_t i)
{
	size_t *chain = v->by_id;
	size_t depth = 0;
	enum reach above = REACH_YES;

	while (i != NO_PARENT && v->entered[i] == REACH_UNKNOWN) {
		v->entered[i] = REACH_NO;
		chain[depth++] = i;
		i = v->parent[i];
	}
	if (i != NO_PARENT)
		above = v->entered[i];
	while (depth) {
		i = chain[--depth];
		if (above == REACH_YES)
			above = look(v, i);
		v->entered[i] = (unsigned char)above;
	}
}

static void mark_hidden(struct mount_table *t, void *scratch)
{
	struct view v = { .entries = t->entries, .n = t->n, .parent = scratch };

	v.by_target = v.parent + t->n;
	v.by_id = v.by_target + t->n;
	v.entered = (unsigned char *)(v.by_id + t->n);
	for (size_t i = 0; i < t->n; i++) {
		v.by_id[i] = v.by_target[i] = i;
		v.entered[i] = REACH_UNKNOWN;
	}
	qsort_r(v.by_id, t->n, sizeof(*v.by_id), compare_ids, &v);
	for (size_t i = 0; i < t->n; i++)
		v.parent[i] = find_parent(&v, i);
	qsort_r(v.by_target, t->n, sizeof(*v.by_target), compare_targets, &v);
	for (size_t i = 0; i < t->n; i++) {
		const char *target = t->entries[i].target;

		enter(&v, i);
		t->entries[i].hidden = v.entered[i] != REACH_YES ||
				       find_child(&v, i, target, strlen(target)) != NO_PARENT;
	}
}

static size_t count_lines(const char *data, size_t len)
{
	const char *end = data + len;
	size_t n = 0;

	while (data < end) {
		const char *newline = memchr(data, '\n', (size_t)(end - data));

		n++;
		data = newline ? newline + 1 : end;
	}
	return n;
}

/* Takes text, of len bytes and a NUL behind them; on failure it is freed. */
static int table_from_text(char *text, size_t len, struct mount_table *ret, struct kennel_error **err)
{
	_cleanup_free_ char *storage = text;
	size_t n = count_lines(text, len);
	if (n == 0) {
		*ret = (struct mount_table){ .storage = take_ptr(&storage) };
		return 0;
	}
	_cleanup_free_ struct mount_entry *entries = calloc(n, sizeof(*entries) + VIEW_BYTES);
	if (!entries)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	char *line = storage;
	for (size_t i = 0; i < n; i++) {
		char *end = memchr(line, '\n', (size_t)(storage + len - line));
		if (!end)
			end = storage + len;
		*end = '\0';
		const char *wrong = strlen(line) == (size_t)(end - line) ? parse_line(line, &entries[i]) :
									   "a NUL byte";
		if (wrong)
			return fail(err, KENNEL_E_CORRUPT, "read the mount table: line %zu: %s", i + 1,
				    wrong);
		line = end + 1;
	}
	*ret = (struct mount_table){ .n = n };
	ret->entries = take_ptr(&entries);
	ret->storage = take_ptr(&storage);
	mark_hidden(ret, ret->entries + n);
	return 0;
}

int mount_table_parse(const char *data, size_t len, struct mount_table *ret, struct kennel_error **err)
{
	char *text = malloc(len + 1);

	if (!text)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	if (len)
		memcpy(text, data, len);
	text[len] = '\0';
	return table_from_text(text, len, ret, err);
}

int mount_table_read(struct mount_table *ret, struct kennel_error **err)
{
	_cleanup_close_ int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fail_errno(err, "open \"/proc/self/mountinfo\"");
	long magic;
	if (sys_fgetfsmagic(fd, &magic) < 0)
		return fail_errno(err, "look at \"/proc/self/mountinfo\"");
	if (magic != PROC_SUPER_MAGIC) /* a file that somebody mounted over it could name any mounts */
		return fail(err, KENNEL_E_UNSUPPORTED, "\"/proc\" is not a proc file system");
	_cleanup_buf_ struct buf text = { 0 };
	int r = buf_read_fd(&text, fd, MOUNTINFO_MAX, err);
	if (r < 0)
		return wrap(err, r, "read the mount table");
	size_t len = text.len;
	return table_from_text(take_ptr(&text.data), len, ret, err);
}

void mount_table_done(struct mount_table *t)
{
	int saved = errno;

	free(t->entries);
	free(t->storage);
	*t = (struct mount_table){ 0 };
	errno = saved;
}

const struct mount_entry *mount_table_find(const struct mount_table *t, const char *path)
{
	const struct mount_entry *best = NULL;
	size_t best_len = 0;

	for (size_t i = 0; i < t->n; i++) {
		const struct mount_entry *e = &t->entries[i];
		size_t len = strlen(e->target);

		if (!e->hidden && len > best_len && path_is_below(path, e->target)) {
			best = e;
			best_len = len;
		}
	}
	return best;
}
