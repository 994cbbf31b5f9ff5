/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * api-guest.c - see api-guest.h.
 *
 * A guest's upper directory lies over all that the sandbox around it shows, so what is in it is one more
 * delta over that sandbox's own: of one view, since to the guest all mounts are one. It is copied to this
 * side, for a container into its store, where what a kill leaves is swept, and then read as a stack of
 * changes.
 */
#include "api-guest.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api-delta.h"
#include "api-standstill.h"
#include "base/cleanup.h"
#include "container/changes.h"
#include "run/image-view.h"
#include "run/temp-dir.h"
#include "run/vm-changes.h"
#include "run/vm-disk.h"

struct held {
	struct temp_dir dir;
	void *volume; /* container_take_data() */
};

static void let_go(void *data)
{
	struct held *h = data;

	temp_dir_end(&h->dir);
	if (h->volume)
		container_let_go(h->volume);
	free(h);
}

/* What the guest's own changes are a delta of: the same base, one place for all mounts. */
static int manifest_on_top(const struct manifest *m, struct manifest *ret, struct kennel_error **err)
{
	_cleanup_buf_ struct buf text = { 0 };

	manifest_format(m, &text);
	int r = buf_check(&text, err);
	if (r == 0)
		r = manifest_parse(buf_str(&text), ret, err);
	if (r < 0)
		return r;
	manifest_plants_done(&ret->planted);
	manifest_plants_sort(&ret->planted);
	for (; ret->n_mounts > 1; ret->n_mounts--) {
		struct manifest_mount *last = &ret->mounts[ret->n_mounts - 1];

		free(last->target);
		free(last->fstype);
		free(last->uuid);
	}
	ret->copied_ns = manifest_made_until_now();
	return 0;
}

/* own_fd: the delta that the guest stands on; taken. layers: what that stands on; taken. */
static int open_over(const struct manifest *m, int own_fd, struct delta_layers *layers, int delta_fd,
		     int ns_fd, const struct idmap *shift, struct delta_tree **ret, struct kennel_error **err)
{
	_cleanup_manifest_ struct manifest own = { 0 }, top = { 0 };
	_cleanup_buf_ struct buf text = { 0 };

	manifest_format(m, &text);
	int r = buf_check(&text, err);
	if (r == 0)
		r = manifest_parse(buf_str(&text), &own, err);
	if (r == 0)
		r = manifest_on_top(m, &top, err);
	if (r == 0) {
		manifest_plants_sort(&own.planted);
		r = delta_layers_add(layers, own_fd, &own, err);
		own_fd = -EBADF;
	}
	if (r < 0) {
		close_fd(own_fd);
		close_fd(delta_fd);
		delta_layers_done(layers);
		return r;
	}
	layers->open_image = geteuid() == 0 ? image_view_open_layer : NULL;
	return delta_tree_open_over(&top, delta_fd, layers, ns_fd, shift, ret, err);
}

static int open_guest(const char *id, struct vm_guest *ret, struct kennel_list **ret_list,
		      struct kennel_error **err)
{
	_cleanup_close_ int pidfd = -EBADF, root_fd = -EBADF;
	struct copy_sandbox sb;

	int r = running_open(id, &sb, &pidfd, &root_fd, ret_list, err);
	if (r == 0)
		*ret = (struct vm_guest){ .init_pidfd = take_fd(&pidfd),
					  .init = sb.init,
					  .id = kennel_list_value(*ret_list, 0, "id") };
	return r;
}

/* *ret_fd: what was taken, as a delta. *ret: what goes with the tree; let_go() also after a failure. */
static int take(const char *id, struct held *h, int parent_fd, const char *name, int ns_fd,
		const struct idmap *shift, int *ret_fd, struct kennel_error **err)
{
	struct unpack_loss loss = { 0 };
	struct kennel_list *list = NULL;
	struct vm_guest guest = { .init_pidfd = -EBADF };

	int r = open_guest(id, &guest, &list, err);
	/* root removes what is anybody's */
	if (r == 0)
		r = temp_dir_make(&h->dir, parent_fd, name, geteuid() == 0 ? -EBADF : ns_fd, err);
	if (r == 0 && shift && fchown(h->dir.dir_fd, shift->base, shift->base) < 0)
		r = fail_errno(err, "give a directory to root of the sandbox");
	const char *room = r == 0 ? kennel_list_value(list, 0, "size") : NULL;
	if (r == 0)
		r = vm_changes_take(&guest, h->dir.dir_fd, ns_fd, room ? strtoull(room, NULL, 10) : 0, &loss,
				    ret_fd, err);
	close_fd(guest.init_pidfd);
	kennel_list_free(list);
	return r;
}

static struct held *hold(struct delta_tree *t, struct held *h)
{
	t->held = h;
	t->let_go = let_go;
	return NULL;
}

int guest_open_kept(const struct store *store, struct container *c, const struct manifest *m, const char *id,
		    int ns_fd, size_t n_base, struct delta_tree **ret, struct kennel_error **err)
{
	_cleanup_close_ int own_fd = container_open_delta(c, err), fd = -EBADF;
	struct held *h = calloc(1, sizeof(*h));
	struct delta_layers layers = { 0 };
	char name[STORE_TEMP_SIZE];

	if (!h)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	h->dir = (struct temp_dir)TEMP_DIR_NONE;
	int r = own_fd < 0 ? own_fd : store_temp_name(store, STORE_NEW, name, err);
	if (r == 0)
		r = take(id, h, store->fd, name, ns_fd, NULL, &fd, err);
	if (r == 0)
		r = changes_open_layers(c, m, &layers, err);
	if (r == 0) {
		layers.n_base = n_base;
		r = open_over(m, take_fd(&own_fd), &layers, take_fd(&fd), ns_fd, NULL, ret, err);
	}
	if (r == 0) {
		h = hold(*ret, h);
		r = container_take_data(c, &((struct held *)(*ret)->held)->volume, err);
	}
	if (h)
		let_go(h);
	return r;
}

/* Where nobody has a store: $TMPDIR or /var/tmp. */
static int open_place(char name[32], struct kennel_error **err)
{
	const char *set = secure_getenv("TMPDIR"), *path = set && *set == '/' ? set : "/var/tmp";
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	uint64_t v = 0;

	(void)!getrandom(&v, sizeof(v), 0); /* only to be unlike others: it is made anew */
	snprintf(name, 32, ".kennel-%016llx", (unsigned long long)v);
	return fd < 0 ? fail_errno(err, "open \"%s\"", path) : fd;
}

int guest_open_running(const struct kennel_list *list, struct delta_tree **ret, struct kennel_error **err)
{
	_cleanup_close_ int own_fd = -EBADF, ns_fd = -EBADF, fd = -EBADF, place_fd = -EBADF;
	const char *id = kennel_list_value(list, 0, "id"), *text = kennel_list_value(list, 0, "manifest");
	_cleanup_manifest_ struct manifest m = { 0 };
	struct kennel_list *again = NULL;
	struct delta_layers layers = { 0 };
	struct copy_sandbox sb;
	char name[32];

	int r = running_read(id, &sb, &again, err);
	kennel_list_free(again);
	if (r == 0)
		r = manifest_parse(text ? text : "", &m, err);
	if (r == 0)
		r = own_fd =
			delta_open_monitors_fd(&sb, kennel_list_value(list, 0, "delta-fd"), O_DIRECTORY, err);
	if (r >= 0 && (m.view || sb.mapped))
		r = ns_fd = delta_open_monitors_fd(&sb, kennel_list_value(list, 0, "user-ns-fd"), 0, err);
	if (r >= 0)
		r = place_fd = open_place(name, err);
	if (r < 0)
		return r;
	struct held *h = calloc(1, sizeof(*h));
	if (!h)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	h->dir = (struct temp_dir)TEMP_DIR_NONE;
	const struct idmap *shift = sb.mapped && !m.view && geteuid() == 0 ? &sb.map : NULL;
	r = take(id, h, place_fd, name, ns_fd, shift, &fd, err);
	if (r == 0)
		r = open_over(&m, take_fd(&own_fd), &layers, take_fd(&fd), ns_fd, shift, ret, err);
	if (r == 0) {
		if (sb.mapped)
			(*ret)->id_count = sb.map.count;
		h = hold(*ret, h);
	}
	if (h)
		let_go(h);
	return r;
}

/* What its programs have written is on its disk then. One that is frozen, or just ending, is as it is. */
static void sync_guest(const char *id)
{
	static const char *const words[] = { "sync", NULL };
	_cleanup_close_ int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	const int fds[3] = { null_fd, null_fd, null_fd };
	struct vm_guest guest = { .init_pidfd = -EBADF };
	struct kennel_list *list = NULL;
	struct vm_errand errand;
	int status;

	if (open_guest(id, &guest, &list, NULL) == 0 &&
	    vm_errand_start(&guest, words, fds, &errand, NULL) == 0)
		(void)!vm_errand_wait(&errand, &status, NULL);
	close_fd(guest.init_pidfd);
	kennel_list_free(list);
}

int guest_take_disk(const struct container *c, const char *id, int *ret_fd, struct kennel_error **err)
{
	_cleanup_standstill_ struct standstill still = STANDSTILL_NONE;

	if (!vm_disk_is_there(c))
		return 0;
	sync_guest(id);
	int r = standstill_begin(id, &still, err);
	if (r == 0)
		r = vm_disk_copy(c, ret_fd, err);
	return r < 0 ? r : 1;
}
