/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * view/serve.c - the requests of the kernel, but for listing and extended attributes.
 *
 * All a request brings is a node's number and at most one plain name; flags of open() are never passed on
 * (the overlay adds O_NOATIME, which the owner alone may use). Open files of one node share one descriptor,
 * so a sandbox with a thousand processes costs one descriptor per library and not a thousand. FUSE
 * passthrough would spare the copy on a first read, but needs CAP_SYS_ADMIN in the initial namespace, which a
 * plain user's process has not.
 */
#include "view/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cleanup.h"

static struct view *view_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

void serve_hidden_stat(const struct view *v, const struct node *n, struct stat *ret)
{
	uint64_t h = 1469598103934665603u;

	for (const struct node *at = n; at->parent; at = at->parent)
		for (const char *s = at->name; *s; s++)
			h = (h ^ (unsigned char)*s) * 1099511628211u;
	*ret = (struct stat){
		.st_dev = n->dev,
		.st_ino = (h >> 16) | 1ull << 47,
		.st_mode = S_IFDIR | 0755,
		.st_nlink = 2,
		.st_blksize = 4096,
	};
}

/* Takes what st_at_place tells unless the node is bound to an older file that is open. */
void serve_entry(struct view *v, struct node *n, const struct stat *st, double timeout,
		 struct fuse_entry_param *ret)
{
	*ret = (struct fuse_entry_param){
		.ino = n->id,
		.generation = n->generation,
		.attr = *st,
		.attr_timeout = timeout,
		.entry_timeout = timeout,
	};
	pthread_mutex_lock(&v->lock);
	if (n->opens && (n->ino != st->st_ino || n->dev != st->st_dev))
		/* can't fail on a descriptor of ours; then the old stands */
		(void)!fstat(n->open_fd, &ret->attr);
	if (S_ISDIR(n->type))
		n->version = node_version(st);
	pthread_mutex_unlock(&v->lock);
	node_show(v, &ret->attr);
}

static void reply_hidden(fuse_req_t req, struct view *v, struct node *dir, const char *name)
{
	struct stat st = { .st_dev = dir->dev, .st_mode = S_IFDIR };
	struct fuse_entry_param e;

	pthread_mutex_lock(&v->lock);
	struct node *n = node_see(v, dir, name, &st);
	pthread_mutex_unlock(&v->lock);
	if (!n) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	serve_hidden_stat(v, n, &st);
	serve_entry(v, n, &st, HOLDS_FOR_EVER, &e);
	fuse_reply_entry(req, &e);
}

static void reply_absent(fuse_req_t req, double timeout)
{
	const struct fuse_entry_param e = { .entry_timeout = timeout };

	fuse_reply_entry(req, &e);
}

static void serve_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct view *v = view_of(req);
	struct node *dir = node_get(v, parent);
	struct fuse_entry_param e;
	struct pinned at;
	struct stat st;

	if (!dir || strchr(name, '/')) {
		fuse_reply_err(req, ESTALE);
		return;
	}
	if (dir->flags & NODE_HIDDEN || (v->only && !dir->parent && strcmp(name, v->only))) {
		reply_absent(req, HOLDS_FOR_EVER);
		return;
	}
	if (dir->flags & NODE_ABOVE_HIDDEN && node_hide_flags(v, dir, name) & NODE_HIDDEN) {
		reply_hidden(req, v, dir, name);
		return;
	}
	int r = pin_get(v, dir, &at);
	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	double timeout = watch_dir(v, dir, at.fd);
	r = fstatat(at.fd, name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0 ? errno : 0;
	pin_put(v, &at);
	if (r == ENOENT) {
		reply_absent(req, watch_note(v, dir, name, 0, timeout));
		return;
	}
	if (r) {
		fuse_reply_err(req, r);
		return;
	}
	pthread_mutex_lock(&v->lock);
	struct node *n = node_see(v, dir, name, &st);
	list_saw_lookup(v, dir, st.st_mode & S_IFMT);
	pthread_mutex_unlock(&v->lock);
	if (!n) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	serve_entry(v, n, &st, watch_note(v, dir, name, node_version(&st), timeout), &e);
	if (fuse_reply_entry(req, &e) < 0)
		node_forget(v, n->id, 1);
}

static void serve_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup)
{
	node_forget(view_of(req), ino, nlookup);
	fuse_reply_none(req);
}

static void serve_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		node_forget(view_of(req), forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

static void serve_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct view *v = view_of(req);
	struct node *n = node_get(v, ino);
	struct stat st;

	if (!n) {
		fuse_reply_err(req, ESTALE);
		return;
	}
	if (n->flags & NODE_HIDDEN) {
		serve_hidden_stat(v, n, &st);
		fuse_reply_attr(req, &st, HOLDS_FOR_EVER);
		return;
	}
	int r = node_stat(v, n, &st);
	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	node_show(v, &st);
	fuse_reply_attr(req, &st, watch_timeout(v, n->parent ? n->parent : n));
}

static void serve_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct view *v = view_of(req);
	struct node *n = node_get(v, ino);
	char target[4097];

	_cleanup_close_ int fd = n ? node_open(v, n, O_PATH) : -ESTALE;
	if (fd < 0) {
		fuse_reply_err(req, -fd);
		return;
	}
	ssize_t len = readlinkat(fd, "", target, sizeof(target) - 1);
	if (len < 0) {
		fuse_reply_err(req, errno);
		return;
	}
	target[len] = '\0';
	fuse_reply_readlink(req, target);
}

/*
 * One more open file on what the node is bound to; fd is taken. The kernel may keep its pages if *ret_keep.
 */
static int count_open(struct view *v, struct node *n, int fd, bool *ret_keep)
{
	_cleanup_close_ int mine = fd;
	struct stat st;
	int r = 0;

	pthread_mutex_lock(&v->lock);
	if (fstat(n->opens ? n->open_fd : mine, &st) < 0)
		r = -errno;
	else if (!n->opens && (st.st_dev != n->dev || st.st_ino != n->ino || n->flags & NODE_GONE))
		r = -ESTALE; /* bound anew since it was opened */
	if (!r) {
		uint64_t version = node_version(&st);

		/*
		 * What is read inside leaves no trace outside where that can be had: the owner may ask for
		 * it.
		 */
		if (!n->opens && st.st_uid == geteuid())
			(void)!fcntl(mine, F_SETFL, O_NOATIME);
		if (!n->opens)
			n->open_fd = take_fd(&mine);
		n->opens++;
		*ret_keep = n->version == version;
		n->version = version;
	}
	pthread_mutex_unlock(&v->lock);
	return r;
}

static bool push(struct view *v, struct node *n, int fd, uint64_t *ret_version)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return false;
	*ret_version = node_version(&st);
	return push_file(v, n, fd, &st);
}

static void serve_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct view *v = view_of(req);
	struct node *n = node_get(v, ino);
	bool keep = false, pushed = false;
	uint64_t version = 0;
	int fd = -EBADF;

	if (!n || !S_ISREG(n->type)) {
		fuse_reply_err(req, n ? ENXIO : ESTALE);
		return;
	}
	if ((fi->flags & O_ACCMODE) != O_RDONLY) {
		fuse_reply_err(req, EROFS);
		return;
	}
	pthread_mutex_lock(&v->lock);
	bool open = n->opens > 0;
	pthread_mutex_unlock(&v->lock);
	/*
	 * Between the two locks the last other may close: then count_open() fails on the bad number, and we
	 * open.
	 */
	int r = open ? count_open(v, n, -EBADF, &keep) : -EBADF;
	if (r == -EBADF) {
		fd = node_open(v, n, O_RDONLY);
		if (fd >= 0 && !n->version)
			pushed = push(v, n, fd, &version);
		r = fd < 0 ? fd : count_open(v, n, fd, &keep);
		keep = keep || (pushed && n->version == version);
	}
	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	fi->keep_cache = keep;
	fi->fh = (uint64_t)n->open_fd;
	if (fuse_reply_open(req, fi) < 0) { /* the opener was interrupted */
		pthread_mutex_lock(&v->lock);
		if (!--n->opens)
			replace_fd(&n->open_fd, -1);
		pthread_mutex_unlock(&v->lock);
	}
}

static void serve_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct view *v = view_of(req);
	struct node *n = node_get(v, ino);

	pthread_mutex_lock(&v->lock);
	if (n && n->opens && !--n->opens)
		replace_fd(&n->open_fd, -1);
	pthread_mutex_unlock(&v->lock);
	fuse_reply_err(req, 0);
}

/*
 * Through a buffer: splicing takes three more calls and copies all the same, for pages of a file that others
 * use can't be moved.
 */
static void serve_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	_cleanup_free_ char *data = malloc(size);
	size_t len = 0;

	if (!data) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	while (len < size) {
		ssize_t n = pread((int)fi->fh, data + len, size - len, off + (off_t)len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && !len) {
			fuse_reply_err(req, errno);
			return;
		}
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	fuse_reply_buf(req, data, len);
}

static void serve_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi)
{
	/* Only these two depend on the file; the shared position that they move is used by nobody. */
	off_t r = whence == SEEK_DATA || whence == SEEK_HOLE ? lseek((int)fi->fh, off, whence) :
							       (errno = EINVAL, -1);

	if (r < 0)
		fuse_reply_err(req, errno);
	else
		fuse_reply_lseek(req, r);
}

static void serve_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct view *v = view_of(req);
	struct node *n = node_get(v, ino);
	struct pinned at = { .fd = -EBADF, .slot = -1 };
	struct statvfs st;

	while (n && n->flags & NODE_HIDDEN)
		n = n->parent;
	if (n && !S_ISDIR(n->type))
		n = n->parent;
	int r = n ? pin_get(v, n, &at) : -ESTALE;
	if (!r && fstatvfs(at.fd, &st) < 0)
		r = -errno;
	if (at.fd >= 0)
		pin_put(v, &at);
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_statfs(req, &st);
}

/* No request for opening and closing directories at all; the kernel keeps what it listed. */
static void serve_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	if (view_of(req)->can_skip_opendir) {
		fuse_reply_err(req, ENOSYS);
		return;
	}
	fi->cache_readdir = 1;
	fi->keep_cache = 1;
	fuse_reply_open(req, fi);
}

static void serve_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	fuse_reply_err(req, 0);
}

static void serve_init(void *data, struct fuse_conn_info *conn)
{
	struct view *v = data;
	unsigned want = FUSE_CAP_ASYNC_READ | FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_CACHE_SYMLINKS |
			FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_READDIRPLUS | FUSE_CAP_POSIX_ACL |
			FUSE_CAP_NO_OPENDIR_SUPPORT;

	conn->want = conn->capable & want;
	v->can_skip_opendir = conn->capable & FUSE_CAP_NO_OPENDIR_SUPPORT;
#ifdef FUSE_CAP_EXPIRE_ONLY
	v->can_expire = conn->capable & FUSE_CAP_EXPIRE_ONLY;
#endif
	conn->max_readahead = 1 << 20;
	conn->max_background = 64;
	conn->congestion_threshold = 48;
}

const struct fuse_lowlevel_ops view_ops = {
	.init = serve_init,
	.lookup = serve_lookup,
	.forget = serve_forget,
	.forget_multi = serve_forget_multi,
	.getattr = serve_getattr,
	.readlink = serve_readlink,
	.open = serve_open,
	.read = serve_read,
	.lseek = serve_lseek,
	.release = serve_release,
	.opendir = serve_opendir,
	.readdir = list_readdir,
	.readdirplus = list_readdirplus,
	.releasedir = serve_releasedir,
	.statfs = serve_statfs,
	.getxattr = xattr_get,
	.listxattr = xattr_list,
};
