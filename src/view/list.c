/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * view/list.c - listing directories.
 *
 * The kernel asks at least twice for each directory (the second answer is empty), so the descriptor and what
 * was read ahead are kept between the requests. Every request could begin anew with its offset too, which is
 * what happens when the stream was needed for another directory.
 *
 * Answers may carry attributes (READDIRPLUS), which spares a lookup for each entry if the reader wants them,
 * and costs a stat and an inode in the kernel for each if it does not: find(1) wants those of directories
 * only, ls -l and tar all. So directories always get them. Others do while the credit lasts; it is given when
 * names of a directory that was listed bare are looked up one by one, and when it is used up one directory is
 * listed bare again to see.
 */
#include "view/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

#define CREDIT 64
#define LOOKUPS_THAT_TELL 4

void list_saw_lookup(struct view *v, struct node *dir, mode_t type)
{
	if (!(dir->flags & NODE_BARE) || S_ISDIR(type))
		return;
	if (++v->bare_lookups < LOOKUPS_THAT_TELL)
		return;
	v->bare_lookups = 0;
	v->attr_credit = CREDIT;
	dir->flags &= ~NODE_BARE;
	watch_tell(v, JOB_INODE, dir, "");
	watch_tell(v, JOB_LISTS, dir, "");
}

static void choose_attributes(struct view *v, struct node *dir)
{
	if (v->attr_credit) {
		v->attr_credit--;
		dir->flags &= ~NODE_BARE;
	} else {
		dir->flags |= NODE_BARE;
		v->bare_lookups = 0;
	}
}

/* Lets go of its descriptor. Lock held. */
static void stream_close(struct view *v, struct stream *s)
{
	if (s->pin.claimed)
		s->fd = -1; /* the pin's */
	pin_put_locked(v, &s->pin);
	replace_fd(&s->fd, -1);
}

void streams_drop_idle(struct view *v, int64_t unused_s)
{
	int64_t before = now_s() - unused_s;

	for (unsigned i = 0; i < STREAMS; i++) {
		struct stream *s = &v->streams[i];

		if (!s->node || s->busy || (unused_s && s->used_s > before))
			continue;
		s->node = NULL;
		stream_close(v, s);
	}
}

/*
 * The stream that stands at off in dir, or one that is free or least recently used (then not open). Lock
 * held.
 */
static struct stream *choose_stream(struct view *v, struct node *dir, off_t off)
{
	struct stream *found = NULL;

	for (unsigned i = 0; i < STREAMS; i++) {
		struct stream *s = &v->streams[i];

		if (s->busy)
			continue;
		if (s->node == dir && s->offset == off && off)
			return s;
		if (!found || !s->node || (found->node && s->used_s < found->used_s))
			found = s;
	}
	if (found && found->node) {
		found->node = NULL;
		stream_close(v, found);
	}
	return found;
}

static int open_stream(struct view *v, struct node *dir, off_t off, struct stream *s)
{
	int r = pin_get(v, dir, &s->pin);

	if (r < 0)
		return r;
	watch_start(v); /* whoever lists does not end at once */
	watch_dir(v, dir, s->pin.fd);
	pthread_mutex_lock(&v->lock);
	bool claimed = pin_claim(v, &s->pin);
	pthread_mutex_unlock(&v->lock);
	s->fd = claimed ? s->pin.fd : openat(s->pin.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	s->at = s->len = 0;
	s->at_end = false;
	s->offset = off;
	s->node = dir;
	return s->fd < 0 || lseek(s->fd, off, SEEK_SET) < 0 ? -errno : 0;
}

/* Busy from here until stream_put(). Without a free one, a private one on the heap. */
static int stream_get(struct view *v, struct node *dir, off_t off, struct stream **ret)
{
	pthread_mutex_lock(&v->lock);
	struct stream *s = choose_stream(v, dir, off);
	if (s)
		s->busy = true;
	if (!off)
		choose_attributes(v, dir);
	pthread_mutex_unlock(&v->lock);
	if (!s) {
		s = calloc(1, sizeof(*s));
		if (!s)
			return -ENOMEM;
		s->fd = s->pin.slot = -1;
	}
	*ret = s;
	return s->node ? 0 : open_stream(v, dir, off, s);
}

static void stream_put(struct view *v, struct stream *s, bool keep)
{
	bool ours = s >= v->streams && s < v->streams + STREAMS;

	pthread_mutex_lock(&v->lock);
	if (!keep || !ours)
		s->node = NULL;
	if (!s->node || s->at_end)
		stream_close(v, s);
	s->busy = false;
	s->used_s = now_s();
	pthread_mutex_unlock(&v->lock);
	if (!ours)
		free(s);
}

/* The next entry, not yet taken; NULL at the end or with *ret_r negative. */
static const struct dirent64 *peek(struct stream *s, int *ret_r)
{
	*ret_r = 0;
	if (s->at == s->len && s->at_end)
		return NULL;
	if (s->at == s->len) {
		ssize_t n = getdents64(s->fd, s->data, sizeof(s->data));

		if (n <= 0) {
			*ret_r = n < 0 ? -errno : 0;
			s->at_end = !n;
			return NULL;
		}
		s->at = 0;
		s->len = (uint32_t)n;
	}
	return (const struct dirent64 *)(const void *)(s->data + s->at);
}

static bool is_dot(const char *name)
{
	return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

/* Gives the entry attributes and the kernel one more reference, unless it is better left bare. */
static void see_entry(struct view *v, struct node *dir, const struct stream *s, const struct dirent64 *d,
		      struct fuse_entry_param *ret)
{
	struct stat st;

	if (is_dot(d->d_name) || (d->d_type != DT_DIR && d->d_type != DT_UNKNOWN && dir->flags & NODE_BARE))
		return;
	if (dir->flags & NODE_ABOVE_HIDDEN && node_hide_flags(v, dir, d->d_name) & NODE_HIDDEN)
		return;
	if (fstatat(s->fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
		return;
	pthread_mutex_lock(&v->lock);
	struct node *n = node_see(v, dir, d->d_name, &st);
	pthread_mutex_unlock(&v->lock);
	if (n)
		serve_entry(v, n, &st, watch_timeout(v, dir), ret);
}

static size_t add_entry(fuse_req_t req, struct node *dir, struct stream *s, const struct dirent64 *d,
			char *to, size_t room, bool plus)
{
	struct view *v = fuse_req_userdata(req);
	struct fuse_entry_param e = { .ino = 0 };
	struct stat as_dir = { .st_dev = dir->dev, .st_ino = d->d_ino };

	e.attr.st_mode = (mode_t)DTTOIF(d->d_type);
	e.attr.st_ino = node_st_ino(v, &as_dir);
	if (!plus)
		return fuse_add_direntry(req, to, room, d->d_name, &e.attr, d->d_off);
	size_t need = fuse_add_direntry_plus(req, NULL, 0, d->d_name, NULL, 0);
	if (need <= room)
		see_entry(v, dir, s, d, &e);
	return fuse_add_direntry_plus(req, to, room, d->d_name, &e, d->d_off);
}

static int fill(fuse_req_t req, struct node *dir, struct stream *s, char *to, size_t size, bool plus,
		size_t *ret_len)
{
	const struct view *v = fuse_req_userdata(req);
	const struct dirent64 *d;
	size_t len = 0;
	int r;

	while ((d = peek(s, &r))) {
		bool shown = !v->only || dir->parent || !strcmp(d->d_name, v->only);
		size_t n = shown ? add_entry(req, dir, s, d, to + len, size - len, plus) : 0;

		if (n > size - len)
			break;
		len += n;
		s->offset = d->d_off;
		s->at += d->d_reclen;
	}
	*ret_len = len;
	return len ? 0 : r;
}

static void list(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, bool plus)
{
	struct view *v = fuse_req_userdata(req);
	struct node *dir = node_get(v, ino);
	struct stream *s = NULL;
	size_t len = 0;

	if (!dir || !S_ISDIR(dir->type)) {
		fuse_reply_err(req, ESTALE);
		return;
	}
	if (dir->flags & NODE_HIDDEN) {
		fuse_reply_buf(req, NULL, 0);
		return;
	}
	_cleanup_free_ char *to = malloc(size);
	int r = to ? stream_get(v, dir, off, &s) : -ENOMEM;
	if (!r)
		r = fill(req, dir, s, to, size, plus, &len);
	if (s)
		stream_put(v, s, !r && len);
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_buf(req, to, len);
}

void list_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	list(req, ino, size, off, false);
}

void list_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	list(req, ino, size, off, true);
}
