/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ship/identity.c - see identity.h. */
#include "ship/identity.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "conf/config.h"
#include "delta/dirs.h"
#include "delta/layout.h"
#include "delta/stack.h"
#include "ship/tool.h"
#include "ship/worker.h"

#define KEY_MAX 65536u

/* A file that is to be there instead of one that is; text NULL: it goes. */
struct replacement {
	char *rel;
	char *text;
	size_t size;
	bool written; /* only where the changes have it: what the base has, kennel hides at each start */
};

struct renewal {
	const struct identity *i;
	struct replacement *items; /* ids and name, then keys */
	size_t n;
	int *trees; /* upper, then what it lies on: the places of "/" in frozen layers, the base */
	unsigned n_trees;
	struct strv keys; /* "etc/ssh/ssh_host_rsa_key" that there are; a worker finds them */
};

static void renewal_done(struct renewal *r)
{
	for (size_t k = 0; k < r->n; k++) {
		free(r->items[k].rel);
		if (r->items[k].text)
			explicit_bzero(r->items[k].text, r->items[k].size);
		free(r->items[k].text);
	}
	free(r->items);
	for (unsigned k = 0; k < r->n_trees; k++)
		close_fd(r->trees[k]);
	free(r->trees);
	strv_done(&r->keys);
}
#define _cleanup_renewal_ __attribute__((cleanup(renewal_done)))

static const char *opaque_of(const struct renewal *r)
{
	return r->i->user_xattr ? "user.overlay.opaque" : "trusted.overlay.opaque";
}

/* Called in the process that works: an ordinary user may not look into what belongs to the ids inside. */
static int open_below(struct renewal *r, struct kennel_error **err)
{
	const struct identity *i = r->i;

	r->trees = calloc(i->n_layers + 2, sizeof(*r->trees));
	if (!r->trees)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	r->trees[r->n_trees++] = -EBADF;
	for (unsigned k = 0; k < i->n_layers; k++) {
		int fd = delta_open_place(i->layer_fds[k], 0, "upper", O_RDONLY);

		if (fd < 0 && errno != ENOENT)
			return fail_errno(err, "open frozen changes");
		if (fd >= 0)
			r->trees[r->n_trees++] = fd;
	}
	int fd = i->base_fd < 0 ? -EBADF : openat(i->base_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (i->base_fd >= 0 && fd < 0)
		return fail_errno(err, "open the base");
	if (fd >= 0)
		r->trees[r->n_trees++] = fd;
	return 0;
}

/* Return: 1, 0 there is nothing that could have an identity, or a negative code. */
static int open_trees(struct renewal *r, struct kennel_error **err)
{
	int upper_fd = -EBADF, work_fd = -EBADF;
	struct stat st;

	int result = open_below(r, err);
	if (result < 0 || r->n_trees < 2)
		return result;
	if (fstat(r->trees[1], &st) < 0)
		return fail_errno(err, "look at what the copy lies on");
	result = delta_add_mount(r->i->delta_fd, 0, &st, &upper_fd, &work_fd, err);
	if (result < 0)
		return result;
	r->trees[0] = openat(upper_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	close_fd(upper_fd);
	close_fd(work_fd);
	return r->trees[0] < 0 ? fail_errno(err, "open the changes of the copy") : 1;
}

/* What is seen there, if it is a regular file. */
static bool look(const struct renewal *r, const char *rel, struct stat *ret)
{
	_cleanup_close_ int fd =
		delta_stack_pin(r->trees, r->n_trees, opaque_of(r), rel, O_PATH | O_NOFOLLOW);

	return fd >= 0 && fstat(fd, ret) == 0 && S_ISREG(ret->st_mode);
}

/* Is it in the changes, rather than in the base? */
static bool was_written(const struct renewal *r, const char *rel)
{
	const unsigned n = r->n_trees - (r->i->base_fd >= 0);
	_cleanup_close_ int fd = delta_stack_pin(r->trees, n, opaque_of(r), rel, O_PATH | O_NOFOLLOW);

	return fd >= 0;
}

/* A file of the upper, made with all directories that lead to it, in place of what it has. */
static int put(const struct renewal *r, const struct replacement *p, const struct stat *like,
	       struct kennel_error **err)
{
	const struct delta_spot spot = {
		.upper_fd = r->trees[0],
		.lower_fd = r->trees[r->n_trees - 1],
		.over_fds = r->trees + 1,
		.n_over = r->n_trees - 2,
		.rel = p->rel,
		.user_xattr = r->i->user_xattr,
	};
	const char *slash = strrchr(p->rel, '/');
	_cleanup_free_ char *dir = strndup(p->rel, slash ? (size_t)(slash - p->rel) : 0);

	if (!dir)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	_cleanup_close_ int old_fd = dirs_pin(r->trees[0], dir, O_PATH | O_DIRECTORY);
	if (old_fd >= 0)
		(void)!unlinkat(old_fd, slash ? slash + 1 : p->rel, 0); /* what stays is told below */
	int result = delta_plant_file(&spot, p->text, p->size, like->st_mode & 07777, err);
	if (result == 0)
		return fail(err, KENNEL_E_TYPE, "\"/%s\" can't be replaced", p->rel);
	if (result < 0)
		return result;
	_cleanup_close_ int dir_fd = dirs_pin(r->trees[0], dir, O_PATH | O_DIRECTORY);
	const char *name = slash ? slash + 1 : p->rel;
	if (dir_fd < 0)
		return fail_errno(err, "open \"/%s\"", dir);
	if (!p->text) { /* only now are there directories for the deletion to lie in */
		if (unlinkat(dir_fd, name, 0) < 0 || mknodat(dir_fd, name, S_IFCHR, makedev(0, 0)) < 0)
			return fail_errno(err, "remove \"/%s\"", p->rel);
		return 0;
	}
	return fchownat(dir_fd, name, like->st_uid, like->st_gid, AT_SYMLINK_NOFOLLOW) < 0 ?
		       fail_errno(err, "give \"/%s\" to its owner", p->rel) :
		       0;
}

static int put_all(void *data, struct ship_progress *progress, struct buf *out, struct kennel_error **err)
{
	struct renewal *r = data;
	int result = open_trees(r, err);

	(void)progress;
	(void)out;
	if (result <= 0)
		return result;
	result = 0;
	for (size_t k = 0; k < r->n && result == 0; k++) {
		struct stat st;

		if (look(r, r->items[k].rel, &st) &&
		    (!r->items[k].written || was_written(r, r->items[k].rel)))
			result = put(r, &r->items[k], &st, err);
	}
	if (result == 0 && syncfs(r->trees[0]) < 0)
		result = fail_errno(err, "write the changes of the copy");
	return result;
}

static const char *const key_types[] = { "rsa", "ecdsa", "ed25519", "dsa" };

static int find_keys(void *data, struct ship_progress *progress, struct buf *out, struct kennel_error **err)
{
	struct renewal *r = data;
	int result = open_trees(r, err);

	(void)progress;
	for (size_t k = 0; k < ARRAY_SIZE(key_types) && result > 0; k++) {
		char rel[64];
		struct stat st;

		snprintf(rel, sizeof(rel), "etc/ssh/ssh_host_%s_key", key_types[k]);
		if (look(r, rel, &st))
			buf_printf(out, "%s\n", key_types[k]);
	}
	return MIN(result, 0);
}

static int add(struct renewal *r, const char *rel, const char *text, size_t size, struct kennel_error **err)
{
	struct replacement *items = reallocarray(r->items, r->n + 1, sizeof(*items));

	if (items)
		r->items = items;
	struct replacement new = { .rel = strdup(rel), .text = text ? malloc(size + 1) : NULL, .size = size };
	if (!items || !new.rel || (text && !new.text)) {
		free(new.rel);
		free(new.text);
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	}
	if (text)
		memcpy(new.text, text, size);
	items[r->n++] = new;
	return 0;
}

/* As systemd makes one: a random UUID without its hyphens. */
static int add_machine_ids(struct renewal *r, struct kennel_error **err)
{
	unsigned char bytes[16];
	char text[40];
	size_t n = 0;

	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return fail_errno(err, "get random bytes");
	bytes[6] = (bytes[6] & 0x0f) | 0x40;
	bytes[8] = (bytes[8] & 0x3f) | 0x80;
	for (size_t k = 0; k < sizeof(bytes); k++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%02x", bytes[k]);
	text[n++] = '\n';
	int result = add(r, "etc/machine-id", text, n, err);
	return result < 0 ? result : add(r, "var/lib/dbus/machine-id", text, n, err);
}

static int add_hostname(struct renewal *r, struct kennel_error **err)
{
	char text[80];
	int n = snprintf(text, sizeof(text), "%s\n", r->i->hostname);

	int result = n < (int)sizeof(text) ? add(r, "etc/hostname", text, (size_t)n, err) : 0;
	if (r->n && strcmp(r->items[r->n - 1].rel, "etc/hostname") == 0)
		r->items[r->n - 1].written = true;
	return result;
}

static int read_made(int dir_fd, const char *name, struct buf *ret, struct kennel_error **err)
{
	_cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? fail_errno(err, "open the new key") : buf_read_fd(ret, fd, KEY_MAX, err);
}

/* A key of this kind, made by this machine's program. Return: 1, 0 there is none, or a negative code. */
static int make_key(const struct renewal *r, const char *type, struct buf *key, struct buf *public,
		    struct kennel_error **err)
{
	_cleanup_free_ char *comment = NULL;
	_cleanup_error_ struct kennel_error *why = NULL;

	if (r->i->scratch_fd < 0)
		return 0;
	if (asprintf(&comment, "root@%s", r->i->hostname ? r->i->hostname : "localhost") < 0)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	const char *const args[] = { "-q", "-t", type, "-N", "", "-C", comment, "-f", "key", NULL };
	const struct ship_tool tool = {
		.name = "ssh-keygen",
		.package = "openssh-client",
		.args = args,
		.file_fd = -EBADF,
		.dir_fd = r->i->scratch_fd,
		.fills_dir = true,
	};
	int result = ship_tool_run(&tool, &why);
	if (result == 0)
		result = read_made(r->i->scratch_fd, "key", key, &why);
	if (result == 0)
		result = read_made(r->i->scratch_fd, "key.pub", public, &why);
	unlinkat(r->i->scratch_fd, "key", 0);
	unlinkat(r->i->scratch_fd, "key.pub", 0);
	return result == 0; /* kinds that it does not know any more, such as dsa, are gone */
}

static int add_key(struct renewal *r, const char *type, bool *no_keys, struct kennel_error **err)
{
	_cleanup_buf_ struct buf key = { 0 }, public = { 0 };
	char rel[64];

	int made = make_key(r, type, &key, &public, err);
	if (made < 0)
		return made;
	*no_keys = *no_keys || (!made && strcmp(type, "dsa") != 0);
	snprintf(rel, sizeof(rel), "etc/ssh/ssh_host_%s_key", type);
	int result = add(r, rel, made ? buf_str(&key) : NULL, key.len, err);
	snprintf(rel, sizeof(rel), "etc/ssh/ssh_host_%s_key.pub", type);
	if (result == 0)
		result = add(r, rel, made ? buf_str(&public) : NULL, public.len, err);
	if (key.data)
		explicit_bzero(key.data, key.len);
	return result;
}

int identity_renew(const struct identity *i, bool *ret_no_keys, struct kennel_error **err)
{
	_cleanup_renewal_ struct renewal r = { .i = i };
	const struct ship_watch watch = { .user_ns_fd = i->user_ns_fd };
	_cleanup_strv_ struct strv keys = { 0 };
	_cleanup_buf_ struct buf found = { 0 };
	bool no_keys = false;

	int result = ship_work(find_keys, &r, &watch, &found, NULL, err);
	if (result == 0)
		result = strv_split(&keys, buf_str(&found), '\n', err);
	if (result == 0)
		result = add_machine_ids(&r, err);
	if (result == 0 && i->hostname)
		result = add_hostname(&r, err);
	for (size_t k = 0; k < keys.n && result == 0; k++)
		if (*keys.items[k])
			result = add_key(&r, keys.items[k], &no_keys, err);
	if (result == 0)
		result = ship_work(put_all, &r, &watch, NULL, NULL, err);
	if (result < 0)
		return wrap(err, result, "give the copy an identity of its own");
	*ret_no_keys = no_keys;
	return 0;
}

/* In a line of "net": as long as the old one, so nothing else moves. */
static int renew_addresses(char *line, size_t len, struct kennel_error **err)
{
	for (char *at = line; (at = memmem(at, len - (size_t)(at - line), "mac=", 4)); at += 4) {
		unsigned char b[5];
		char text[18];

		if (len - (size_t)(at - line) < 4 + 17)
			break;
		if (getrandom(b, sizeof(b), 0) != (ssize_t)sizeof(b))
			return fail_errno(err, "get random bytes");
		/* 02: given by software, to one device */
		snprintf(text, sizeof(text), "02:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4]);
		memcpy(at + 4, text, 17);
	}
	return 0;
}

int identity_renew_config(struct buf *text, const char *hostname, struct kennel_error **err)
{
	_cleanup_config_ struct config c = { 0 };
	int r = config_parse("config", buf_str(text), text->len, &c, err);
	char *at = text->data;
	unsigned line = 1;

	for (size_t i = 0; i < c.n && r == 0; i++) {
		if (strcmp(c.items[i].key, "net") != 0)
			continue;
		for (; line < c.items[i].line; line++)
			at = strchr(at, '\n') + 1;
		r = renew_addresses(at, strcspn(at, "\n"), err);
	}
	if (r < 0 || !hostname || !config_get(&c, "hostname"))
		return r;
	const struct config_change change = { CONFIG_SET, "hostname", hostname };
	return config_edit("config", text, &change, NULL, err);
}
