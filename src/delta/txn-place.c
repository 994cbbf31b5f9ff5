/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* delta/txn-place.c - a journal with what it speaks of, and the state directory that holds journals. */
#include "delta/txn-place.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "path/path.h"
#include "path/remove.h"
#include "sys/sys.h"

#define JOURNAL_MAX (1u << 30)

void hooks_say(const struct txn_hooks *h, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;

	if (!h || !h->say)
		return;
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	if (text)
		h->say(h->data, text);
}

void place_done(struct place *p)
{
	for (size_t i = 0; p->stage_fds && i < p->j.n_stages; i++)
		close_fd(p->stage_fds[i]);
	free(p->stage_fds);
	free(p->parent);
	close_fd(p->parent_fd);
	close_fd(p->dir_fd);
	close_fd(p->log_fd);
	close_fd(p->root_fd);
	journal_done(&p->j);
	*p = (struct place)PLACE_EMPTY;
}

int state_lock(int state_fd, int *ret_fd, struct kennel_error **err)
{
	_cleanup_close_ int fd = openat(state_fd, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return fail_errno(err, "open the lock of the commits");
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? 0 : fail_errno(err, "lock the commits");
	*ret_fd = take_fd(&fd);
	return 1;
}

int place_log(struct place *p, const struct buf *lines, struct kennel_error **err)
{
	int r = buf_check(lines, err);

	if (r < 0)
		return r;
	for (size_t at = 0; at < lines->len;) {
		ssize_t n = write(p->log_fd, lines->data + at, lines->len - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_errno(err, "write the journal");
		at += (size_t)n;
	}
	return fsync(p->log_fd) < 0 ? fail_errno(err, "bring the journal to the disk") : 0;
}

int place_log_state(struct place *p, enum journal_state state, struct kennel_error **err)
{
	_cleanup_buf_ struct buf b = { 0 };

	journal_put_state(&b, state);
	int r = place_log(p, &b, err);
	if (r == 0)
		p->j.state = state;
	return r;
}

/* A stage that somebody else's program took away is no reason to keep the rest. */
static int remove_stage(struct place *p, uint32_t i, bool keep, struct kennel_error **err)
{
	const struct journal_stage *s = &p->j.stages[i];
	struct timespec times[2];
	char kept[64];
	struct stat st;

	if (!s->dir)
		return keep ? 0 : path_remove_tree(p->dir_fd, s->name, err);
	_cleanup_close_ int fd = path_pin_plain(p->root_fd, *s->dir ? s->dir : ".", O_DIRECTORY, NULL);
	if (fd < 0 || fstat(fd, &st) < 0)
		return 0;
	if (keep) {
		snprintf(kept, sizeof(kept), ".kennel-left-%s", s->name + strlen(TXN_STAGE_PREFIX));
		hooks_say(p->hooks, "what was in the places left alone is kept in \"%s%s/%s/%s\"",
			  strcmp(p->j.root, "/") == 0 ? "" : p->j.root, *s->dir ? "/" : "", s->dir, kept);
		return renameat(fd, s->name, fd, kept) < 0 && errno != ENOENT ?
			       fail_errno(err, "keep a stage") :
			       0;
	}
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	int r = path_remove_tree(fd, s->name, err);
	return r < 0 ? r : attr_apply_times(fd, s->dir, times, err);
}

int place_remove_stages(struct place *p, bool keep, struct kennel_error **err)
{
	for (uint32_t i = 0; i < p->j.n_stages; i++) {
		int r = remove_stage(p, i, keep, err);

		if (r < 0)
			return r;
	}
	return p->j.state == JOURNAL_BACK || p->j.state == JOURNAL_STAGING ? settle_times(p, false, err) : 0;
}

static int open_root(struct place *p, struct kennel_error **err)
{
	struct stat st;

	p->root_fd = open(p->j.root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (p->root_fd < 0)
		return fail_errno(err, "open \"%s\"", p->j.root);
	if (fstat(p->root_fd, &st) < 0)
		return fail_errno(err, "look at \"%s\"", p->j.root);
	if (st.st_ino != p->j.root_ino)
		return hint(err, fail(err, KENNEL_E_NOTFOUND, "\"%s\" is another directory now", p->j.root),
			    "mount what was there: the changes are kept beside it");
	return 0;
}

/* That says nothing of what was looked for. */
static bool is_short(const struct kennel_error *err)
{
	int e = kennel_error_errno(err);

	return e == ENOMEM || e == EMFILE || e == ENFILE;
}

bool place_is_away(struct place *p, struct kennel_error **why)
{
	if (p->root_fd < 0) {
		(void)!open_root(p, why);
		replace_fd(&p->root_fd, -EBADF);
		return true;
	}
	if (p->j.state != JOURNAL_PREPARED && p->j.state != JOURNAL_UNDO && p->j.state != JOURNAL_COMMITTED)
		return false; /* its stages may be removed already, or not be there yet */
	for (uint32_t i = 0; i < p->j.n_stages; i++) {
		_cleanup_error_ struct kennel_error *e = NULL;
		int fd = -EBADF;

		if (place_stage(p, i, &fd, &e) == 0 || is_short(e))
			continue;
		if (why)
			*why = take_ptr(&e);
		return true;
	}
	return false;
}

static int read_journal(struct place *p, struct kennel_error **err)
{
	_cleanup_buf_ struct buf b = { 0 };

	p->log_fd = openat(p->dir_fd, "journal", O_RDWR | O_APPEND | O_NOFOLLOW | O_CLOEXEC);
	if (p->log_fd < 0)
		return errno == ENOENT ? 0 : fail_errno(err, "open a journal");
	int r = buf_read_fd(&b, p->log_fd, JOURNAL_MAX, err);
	if (r == 0)
		r = journal_parse(buf_str(&b), b.len, &p->j, err);
	/* Behind a line that was cut off nothing could be read. */
	if (r > 0 && p->j.good < b.len && ftruncate(p->log_fd, (off_t)p->j.good) < 0)
		return fail_errno(err, "repair a journal");
	return r;
}

int place_load(int state_fd, const char *id, struct place *ret, struct kennel_error **err)
{
	_cleanup_place_ struct place p = PLACE_EMPTY;

	p.dir_fd = openat(state_fd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (p.dir_fd < 0)
		return fail_errno(err, "open \"%s\"", id);
	int r = read_journal(&p, err);
	if (r <= 0)
		return r;
	p.stage_fds = calloc(p.j.n_stages + 1, sizeof(int));
	if (!p.stage_fds)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	for (size_t i = 0; i < p.j.n_stages; i++)
		p.stage_fds[i] = -EBADF;
	/* Without its root it is known by name only: place_is_away() says so. */
	_cleanup_error_ struct kennel_error *why = NULL;
	r = open_root(&p, &why);
	if (r < 0 && is_short(why)) {
		if (err)
			*err = take_ptr(&why);
		return r;
	}
	if (r < 0)
		replace_fd(&p.root_fd, -EBADF);
	*ret = p;
	p = (struct place)PLACE_EMPTY;
	return 1;
}

static int compare_words(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int state_list(int state_fd, struct strv *ret, struct kennel_error **err)
{
	int own_fd = openat(state_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *d = own_fd < 0 ? NULL : fdopendir(own_fd);

	if (!d) {
		close_fd(own_fd);
		return fail_errno(err, "read the list of commits");
	}
	for (;;) {
		errno = 0;
		const struct dirent *e = readdir(d);
		if (!e)
			break;
		if (strlen(e->d_name) != 8 || strspn(e->d_name, "0123456789") != 8)
			continue;
		int r = strv_add(ret, e->d_name, err);
		if (r < 0)
			return r;
	}
	if (errno)
		return fail_errno(err, "read the list of commits");
	if (ret->n)
		qsort(ret->items, ret->n, sizeof(*ret->items), compare_words);
	return 0;
}

int state_remove(int state_fd, const char *id, struct kennel_error **err)
{
	_cleanup_close_ int fd = openat(state_fd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	/* The journal goes last: without it nobody would know what the rest is. */
	if (fd >= 0) {
		int r = path_remove_tree(fd, "files", err);

		if (r < 0)
			return r;
	}
	int r = path_remove_tree(state_fd, id, err);
	return r < 0 ? r : fsync(state_fd) < 0 ? fail_errno(err, "bring the list of commits to the disk") : 0;
}
