/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/keep-file.c - a container in one file (run/file.h) as a container that is kept.
 *
 * The file may come from anywhere, and its configuration with it: what of that would give the inside
 * something of
 * this machine is honoured only if this user made or accepted it here. What was accepted is kept, word
 * for word, in
 * STORE/.trusted under a name made of its hash, so a copy of the file needs no second asking and a
 * changed one does.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "conf/trust.h"
#include "delta/arrange.h"
#include "run/file.h"
#include "run/sandbox.h"
#include "run/vm-disk.h"
#include "run/vm-file.h"

#define TRUSTED ".trusted"
#define UNUSED_WAIT_MS 10000
#define RECORD_NAME_SIZE 20

static int fill_file(void *data, int dir_fd, struct kennel_error **err)
{
	const struct keep_filling *f = data;

	return container_fill(dir_fd, "the new file", f->config, err);
}

static int set_names(struct keep *k, const struct spec *asked, struct kennel_error **err)
{
	k->c.name = strdup(k->box->base);
	k->c.path = strdup(asked->file);
	if (!k->c.name || !k->c.path)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	if (k->box->for_guest)
		return 0;
	k->c.dir_fd = fcntl(k->box->dir_fd, F_DUPFD_CLOEXEC, 3);
	return k->c.dir_fd < 0 ? fail_errno(err, "duplicate a descriptor") : 0;
}

int keep_open_file(struct keep *k, const struct spec *asked, const struct log_sink *log,
		   struct kennel_error **err)
{
	_cleanup_buf_ struct buf config = { 0 };
	const struct config_change no_size = { CONFIG_UNSET, "size", NULL };
	struct keep_filling filling = { asked, &config };
	const struct file_wish wish = {
		.path = asked->file,
		.make = true,
		.format = asked->format,
		.size_bytes = asked->size_bytes,
		.fill = fill_file,
		.data = &filling,
		.log = log,
		.for_guest = vm_file_judge,
		.guest = asked->isolate == SPEC_ISOLATE_VM,
	};

	int r = container_new_config(asked, &config, err);
	/* The size is the file's own. */
	if (r == 0)
		r = config_edit("the new configuration", &config, &no_size, NULL, err);
	if (r == 0)
		r = file_open(&wish, &k->box, err);
	if (r < 0)
		return r;
	k->made = k->box->made;
	r = set_names(k, asked, err);
	/* What this user asks for now, this user has accepted. */
	if (r == 0 && k->made)
		r = keep_trust(&config, err);
	return r;
}

static void record_name(const struct buf *text, char ret[RECORD_NAME_SIZE])
{
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < text->len; i++)
		h = (h ^ (unsigned char)text->data[i]) * 0x100000001b3u;
	snprintf(ret, RECORD_NAME_SIZE, "%016llx", (unsigned long long)h);
}

/* The hash only finds it; what counts is that every byte is the same. */
static bool is_trusted(const struct buf *text)
{
	_cleanup_store_ struct store store = STORE_NONE;
	_cleanup_buf_ struct buf accepted = { 0 };
	char name[RECORD_NAME_SIZE], path[RECORD_NAME_SIZE + 16];

	if (store_open(NULL, false, &store, NULL) <= 0)
		return false;
	record_name(text, name);
	snprintf(path, sizeof(path), TRUSTED "/%s", name);
	_cleanup_close_ int fd = openat(store.fd, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	return fd >= 0 && buf_read_fd(&accepted, fd, CONFIG_SIZE_MAX, NULL) == 0 &&
	       accepted.len == text->len && memcmp(buf_str(&accepted), buf_str(text), text->len) == 0;
}

static bool needs_trust(const struct config *c)
{
	for (size_t i = 0; i < c->n; i++)
		if (trust_is_needed(c->items[i].key, c->items[i].value))
			return true;
	return false;
}

bool keep_is_accepted(const struct buf *text)
{
	_cleanup_config_ struct config config = { 0 };

	if (config_parse("the configuration", buf_str(text), text->len, &config, NULL) < 0)
		return false;
	return !needs_trust(&config) || is_trusted(text);
}

int keep_trust(const struct buf *text, struct kennel_error **err)
{
	_cleanup_store_ struct store store = STORE_NONE;
	_cleanup_config_ struct config config = { 0 };
	char name[RECORD_NAME_SIZE], temp[RECORD_NAME_SIZE + 16];

	int r = config_parse("the configuration", buf_str(text), text->len, &config, err);
	if (r < 0 || !needs_trust(&config) || is_trusted(text))
		return r;
	r = store_open(NULL, true, &store, err);
	if (r < 0)
		return r;
	if (mkdirat(store.fd, TRUSTED, 0700) < 0 && errno != EEXIST)
		return fail_errno(err, "make \"%s/" TRUSTED "\"", store.path);
	_cleanup_close_ int dir_fd =
		openat(store.fd, TRUSTED, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	record_name(text, name);
	snprintf(temp, sizeof(temp), ".%s-new", name);
	_cleanup_close_ int fd =
		dir_fd < 0 ?
			-1 :
			openat(dir_fd, temp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, buf_str(text), text->len) != (ssize_t)text->len || fsync(fd) < 0 ||
	    renameat(dir_fd, temp, dir_fd, name) < 0)
		return fail_errno(err, "note in \"%s/" TRUSTED "\" what was accepted", store.path);
	return 0;
}

int keep_check_trust(const struct keep *k, const struct spec *asked, const struct config *c,
		     const struct buf *text, struct kennel_error **err)
{
	_cleanup_buf_ struct buf list = { 0 };

	if (!needs_trust(c) || is_trusted(text))
		return 0;
	if (asked->trust)
		return keep_trust(text, err);
	for (size_t i = 0; i < c->n; i++) {
		if (!trust_is_needed(c->items[i].key, c->items[i].value))
			continue;
		buf_puts(&list, list.len ? ", " : "");
		buf_safe(&list, c->items[i].key);
		buf_puts(&list, " = ");
		buf_safe(&list, c->items[i].value);
	}
	return hint(err,
		    fail(err, KENNEL_E_PERM,
			 "it asks for things of this machine, and was not configured here: %s",
			 buf_str(&list)),
		    "if that is well, accept it once with --trust; \"kennel config %s\" shows all of it",
		    k->c.path);
}

/* An ordinary user's delta has one place for all mounts: what root's image has in others moves there. */
int keep_join_mounts(struct launch *l, struct kennel_error **err)
{
	const struct keep *k = l->sb->keep;

	if (!k || !k->box)
		return 0;
	int r = delta_join_all(l->shared->delta_fd, &k->manifest,
			       l->shared->lower_fds[l->child_overlays[0].n_lowers - 1], err);
	return r < 0 ? wrap(err, r, "bring the changes of all mounts together") : 0;
}

/* Nothing holds its mounts any more, so they go now, and the device with them. */
static void let_go_of_mounts(struct sandbox *sb)
{
	replace_fd(&sb->mount_ns_fd, -EBADF);
	replace_fd(&sb->delta_fd, -EBADF);
	replace_fd(&sb->keep->delta_fd, -EBADF);
}

static int save_volume(struct sandbox *sb, struct kennel_error **err)
{
	struct container *c = &sb->keep->c;
	int r = syncfs(c->storage.data_fd) < 0 ? fail_errno(err, "write \"%s\"", c->path) : 0;

	let_go_of_mounts(sb);
	container_close_data(c, UNUSED_WAIT_MS);
	return r;
}

/* What its guest did becomes its own as soon as no overlay stands on the delta any more. */
static int save_guests(struct sandbox *sb, struct kennel_error **err)
{
	if (!vm_disk_is_there(&sb->keep->c))
		return 0;
	let_go_of_mounts(sb);
	return vm_disk_settle(&sb->keep->c, &sb->log, err);
}

static int save(struct sandbox *sb, struct kennel_error **err)
{
	struct keep *k = sb->keep;
	int guests = k && !k->box ? save_guests(sb, err) : 0;

	if (k && container_volume_fd(&k->c) >= 0) {
		int r = save_volume(sb, guests < 0 ? NULL : err);

		return guests < 0 ? guests : r;
	}
	if (!k || !k->box)
		return guests;
	_cleanup_close_ int parent_fd = fcntl(k->box->parent_fd, F_DUPFD_CLOEXEC, 3);
	_cleanup_free_ char *base = strdup(k->box->base);
	int r = file_save(k->box, err);

	let_go_of_mounts(sb);
	replace_fd(&k->c.dir_fd, -EBADF);
	k->box = file_free(k->box);
	if (r == 0 && base && parent_fd >= 0)
		file_wait_unused(parent_fd, base, UNUSED_WAIT_MS);
	return r;
}

void keep_use(struct keep *k)
{
	if (k && k->box)
		file_use(k->box);
}

int sandbox_save(struct sandbox *sb, struct kennel_error **err)
{
	sandbox_leave(sb);
	return save(sb, err);
}
