/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* api-convert.c - the public face of ship/shift.h: which trees, which ids, and that nobody uses them. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <kennel/kennel.h>

#include "base/cleanup.h"
#include "container/container.h"
#include "delta/manifest.h"
#include "idmap/idmap.h"
#include "ship/shift.h"

#define RECORD "convert"
#define BASE "base"

struct conversion {
	struct store store;
	struct container c;
	struct shift_job job;
	const char *names[3];
	char record_name[48];
	int root_fd, record_dir_fd; /* own ones, or -EBADF */
	uint32_t owner; /* of the top directory */
};

static void conversion_done(struct conversion *v)
{
	close_fd(v->root_fd);
	close_fd(v->record_dir_fd);
	container_done(&v->c);
	store_done(&v->store);
}

static int open_directory(struct conversion *v, const char *path, struct kennel_error **err)
{
	struct stat st, top;

	v->root_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (v->root_fd < 0 || fstat(v->root_fd, &st) < 0 || stat("/", &top) < 0)
		return fail_errno(err, "open \"%s\"", path);
	if (st.st_dev == top.st_dev && st.st_ino == top.st_ino)
		return fail(err, KENNEL_E_INVALID, "\"%s\" is this machine's own tree", path);
	v->record_dir_fd = openat(v->root_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (v->record_dir_fd < 0)
		return fail_errno(err, "open the directory that \"%s\" is in", path);
	/* by a number: it is the same tree under another name */
	snprintf(v->record_name, sizeof(v->record_name), ".kennel-convert-%" PRIu64, (uint64_t)st.st_ino);
	v->names[0] = ".";
	v->owner = st.st_uid;
	v->job.root_fd = v->root_fd;
	v->job.record_dir_fd = v->record_dir_fd;
	return 0;
}

static int check_layers(struct container *c, struct kennel_error **err)
{
	_cleanup_buf_ struct buf text = { 0 };
	_cleanup_manifest_ struct manifest m = { 0 };

	int r = container_read(c, CONTAINER_MANIFEST, &text, err);
	if (r > 0)
		r = manifest_parse(buf_str(&text), &m, err);
	if (r < 0)
		return r;
	if (m.below.n)
		return hint(err,
			    fail(err, KENNEL_E_BUSY, "\"%s\" stands on changes that others may stand on, too",
				 c->name),
			    "convert a full copy of it");
	return 0;
}

static int look_at_tops(struct conversion *v, int data_fd, struct kennel_error **err)
{
	unsigned n = 0;
	struct stat st;

	if (fstatat(data_fd, BASE, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		if (!S_ISDIR(st.st_mode))
			return hint(err,
				    fail(err, KENNEL_E_TYPE,
					 "its base is an image, which is never written to"),
				    "export it as a directory, and convert that");
		v->names[n++] = BASE;
	} else if (errno != ENOENT) {
		return fail_errno(err, "look at the base of \"%s\"", v->c.name);
	} else if (fstatat(data_fd, "delta/0/upper", &st, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno != ENOENT)
			return fail_errno(err, "look at the changes of \"%s\"", v->c.name);
		st.st_uid = 0; /* nothing was changed in it yet */
	}
	v->owner = st.st_uid;
	v->names[n] = "delta";
	return 0;
}

static int open_container(struct conversion *v, const char *store, const char *name,
			  struct kennel_error **err)
{
	int r = store_open(store, false, &v->store, err);

	if (r == 0)
		return fail(err, KENNEL_E_NOTFOUND, "there is no container \"%s\"", name);
	if (r > 0)
		r = container_open(&v->store, name, &v->c, err);
	if (r == 0)
		r = container_lock(&v->c, NULL, err);
	if (r == 0)
		r = container_begin_change(&v->c, err);
	if (r == 0)
		r = check_layers(&v->c, err);
	const int data_fd = r < 0 ? r : container_open_data(&v->c, err);
	if (data_fd < 0)
		return data_fd;
	v->root_fd = openat(data_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	v->record_dir_fd = openat(v->c.dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (v->root_fd < 0 || v->record_dir_fd < 0)
		return fail_errno(err, "open \"%s\"", name);
	snprintf(v->record_name, sizeof(v->record_name), "%s", RECORD);
	v->job.root_fd = v->root_fd;
	v->job.record_dir_fd = v->record_dir_fd;
	return look_at_tops(v, data_fd, err);
}

/* One that was begun says it by its record. Return: 1 there is something to do, 0 not. */
static int choose_ids(struct conversion *v, const struct kennel_convert_options *o, struct kennel_error **err)
{
	struct shift_ids begun;

	v->job.ids = (struct shift_ids){
		.from = o->from >= 0 ? (uint32_t)o->from : v->owner,
		.to = o->to,
		.count = o->count ? o->count : IDMAP_DEFAULT_COUNT,
	};
	int r = shift_find_begun(v->record_dir_fd, v->record_name, &begun, err);
	if (r < 0)
		return r;
	if (r > 0) {
		if (o->from < 0)
			v->job.ids.from = begun.from;
		if (!o->count)
			v->job.ids.count = begun.count;
		return 1;
	}
	return o->from >= 0 || v->owner != o->to;
}

int kennel_convert(const char *what, const struct kennel_convert_options *o, struct kennel_converted *ret,
		   struct kennel_error **err)
{
	struct conversion v = {
		.store = STORE_NONE, .c = CONTAINER_NONE, .root_fd = -EBADF, .record_dir_fd = -EBADF
	};
	struct shift_result result = { 0 };

	if (o->size != sizeof(*o) || o->from > UINT32_MAX)
		return fail(err, KENNEL_E_INVALID, "these options are none");
	if (geteuid() != 0)
		return hint(
			err, fail(err, KENNEL_E_PERM, "to give files to others needs root"),
			"root of your own ids is enough where both ranges are: kennel ns -- kennel convert ...");
	v.job.names = v.names;
	v.job.record_name = v.record_name;
	v.job.dry_run = o->dry_run;
	v.job.workers = o->workers;
	v.job.tick = o->tick;
	v.job.data = o->data;
	int r = strchr(what, '/') ? open_directory(&v, what, err) : open_container(&v, o->store, what, err);
	if (r == 0)
		r = choose_ids(&v, o, err);
	const int todo = r;
	if (r > 0)
		r = shift_run(&v.job, &result, err);
	conversion_done(&v);
	if (r < 0)
		return wrap(err, r, "convert \"%s\"", what);
	*ret = (struct kennel_converted){
		.from = v.job.ids.from,
		.to = v.job.ids.to,
		.count = v.job.ids.count,
		.entries = result.entries,
		.changed = result.changed,
		.resumed = result.resumed,
	};
	return todo;
}
