/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * delta/txn-stage.c - where the stages of a transaction are: one for each mount that something is changed on.
 *
 * In the state directory where that is on the same mount, so that nothing shows anywhere. Else in the
 * outermost directory of that mount that we may write, on the way to what is changed.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "delta/txn-open.h"
#include "path/path.h"

static int get_fs_id(int fd, struct fs_id *ret, struct kennel_error **err)
{
	struct statx stx;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_MNT_ID, &stx) < 0)
		return fail_errno(err, "look at a directory");
	*ret = (struct fs_id){ .mount = stx.stx_mnt_id,
			       .major = stx.stx_dev_major,
			       .minor = stx.stx_dev_minor };
	return 0;
}

static bool same_fs(const struct fs_id *a, const struct fs_id *b)
{
	return a->mount == b->mount && a->major == b->major && a->minor == b->minor;
}

static int add_stage(struct txn *t, const struct journal_stage *s, const struct fs_id *id,
		     struct kennel_error **err)
{
	struct journal_stage *stages = reallocarray(t->p.j.stages, t->p.j.n_stages + 1, sizeof(*stages));
	if (stages)
		t->p.j.stages = stages;
	int *fds = reallocarray(t->p.stage_fds, t->p.j.n_stages + 1, sizeof(*fds));
	if (fds)
		t->p.stage_fds = fds;
	struct fs_id *ids = reallocarray(t->stage_ids, t->p.j.n_stages + 1, sizeof(*ids));
	if (ids)
		t->stage_ids = ids;
	if (!stages || !fds || !ids || !s->name)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	stages[t->p.j.n_stages] = *s;
	fds[t->p.j.n_stages] = -EBADF;
	ids[t->p.j.n_stages] = *id;
	t->p.j.n_stages++;
	return 0;
}

int txn_add_times(struct txn *t, const char *path, const struct stat *st, struct kennel_error **err)
{
	struct journal_times *times = journal_grow(t->p.j.times, &t->p.j.n_times, sizeof(*times));
	char *own = strdup(path);

	if (times)
		t->p.j.times = times;
	if (!times || !own) {
		t->p.j.n_times -= times != NULL;
		free(own);
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	}
	times[t->p.j.n_times - 1] = (struct journal_times){
		.path = own,
		.ino = st->st_ino,
		.from = { st->st_atim, st->st_mtim },
		.to = { st->st_atim, st->st_mtim },
	};
	return 0;
}

/* Its making changes the times of dir, which are written down together with it. */
static int make_stage(struct txn *t, int dir_fd, const char *dir, const struct fs_id *id,
		      struct kennel_error **err)
{
	_cleanup_buf_ struct buf b = { 0 };
	struct journal_stage s = { .dir = dir ? strdup(dir) : NULL };
	struct stat st;
	uint32_t random;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random) || fstat(dir_fd, &st) < 0) {
		free(s.dir);
		return fail_errno(err, "make a stage");
	}
	if ((dir ? asprintf(&s.name, TXN_STAGE_PREFIX "%08x", random) : asprintf(&s.name, "files")) < 0)
		s.name = NULL;
	int r = dir && !s.dir ? fail(err, KENNEL_E_NOMEM, "out of memory") : add_stage(t, &s, id, err);
	if (r < 0) {
		free(s.dir);
		free(s.name);
		return r;
	}
	journal_put_stage(&b, &s);
	if (dir) {
		r = txn_add_times(t, dir, &st, err);
		if (r < 0)
			return r;
		journal_put_times(&b, &t->p.j.times[t->p.j.n_times - 1]);
	}
	r = place_log(&t->p, &b, err);
	if (r == 0 && mkdirat(dir_fd, s.name, 0700) < 0)
		r = fail_errno(err, "make a stage in \"/%s\"", dir ? dir : "");
	return r;
}

/* The first directory on the way to dir that is on its mount and takes new names from us. */
static int find_stage_dir(struct txn *t, const char *dir, const struct fs_id *id, struct kennel_error **err)
{
	_cleanup_strv_ struct strv parts = { 0 };
	_cleanup_buf_ struct buf at = { 0 };

	int r = strv_split(&parts, dir, '/', err);
	for (size_t i = 0; i <= parts.n && r == 0; i++) {
		_cleanup_close_ int fd =
			path_pin_plain(t->p.root_fd, i ? buf_str(&at) : ".", O_DIRECTORY, err);
		struct fs_id here = { 0 };

		if (fd < 0)
			return fd;
		r = get_fs_id(fd, &here, err);
		if (r == 0 && same_fs(&here, id) && faccessat(fd, ".", W_OK | X_OK, AT_EACCESS) == 0)
			return make_stage(t, fd, buf_str(&at), id, err);
		if (i < parts.n)
			buf_printf(&at, "%s%s", i ? "/" : "", parts.items[i]);
		if (r == 0)
			r = buf_check(&at, err);
	}
	return r < 0 ? r : fail(err, KENNEL_E_PERM, "nothing can be written in \"/%s\"", dir);
}

/* A stage for things in dir, which is dir_fd. */
static int choose_stage(struct txn *t, int dir_fd, const char *dir, uint32_t *ret, struct kennel_error **err)
{
	struct fs_id id, own;
	int r = get_fs_id(dir_fd, &id, err);

	if (r == 0)
		r = get_fs_id(t->p.dir_fd, &own, err);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < t->p.j.n_stages; i++)
		if (same_fs(&t->stage_ids[i], &id)) {
			*ret = i;
			return 0;
		}
	r = same_fs(&own, &id) ? make_stage(t, t->p.dir_fd, NULL, &id, err) :
				 find_stage_dir(t, dir, &id, err);
	if (r == 0)
		*ret = (uint32_t)t->p.j.n_stages - 1;
	return r;
}

int parent_of(const char *path, char **ret, struct kennel_error **err)
{
	const char *slash = strrchr(path, '/');

	*ret = strndup(path, slash ? (size_t)(slash - path) : 0);
	return *ret ? 0 : fail(err, KENNEL_E_NOMEM, "out of memory");
}

int txn_add_put(struct txn *t, const char *path, const struct stat *old, struct kennel_error **err)
{
	_cleanup_free_ char *dir = NULL, *own = strdup(path);
	uint32_t stage = 0;
	int dir_fd = -EBADF, r = parent_of(path, &dir, err);

	if (r == 0)
		r = place_find_dir(&t->p, dir, &dir_fd, err);
	if (r == 0)
		r = choose_stage(t, dir_fd, dir, &stage, err);
	if (r < 0)
		return r;
	struct timespec *ctimes = journal_grow(t->old_ctimes, &t->n_ctimes, sizeof(*ctimes));
	if (ctimes)
		t->old_ctimes = ctimes;
	struct journal_put *puts = ctimes ? journal_grow(t->p.j.puts, &t->p.j.n_puts, sizeof(*puts)) : NULL;
	if (!puts || !own)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	t->p.j.puts = puts;
	puts[t->p.j.n_puts - 1] = (struct journal_put){
		.path = take_ptr(&own),
		.stage = stage,
		.old_ino = old ? old->st_ino : 0,
		.old_ctime = old ? old->st_ctim : (struct timespec){ 0 },
	};
	/* of a file with many names it changes with each of them that we move */
	if (old && (S_ISDIR(old->st_mode) || old->st_nlink == 1))
		ctimes[t->n_ctimes - 1] = old->st_ctim;
	return txn_times(t, dir, NULL, err);
}
