/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * view/image-serve.c - the requests of the kernel for what lies in an image.
 *
 * An image does not change, so the kernel may keep for ever all that it was told, needs not say when it opens
 * or closes something, and a node's number is just that of the backend: nothing is remembered for the kernel.
 * Directories are read whole and a few of them kept, sorted by name, because the formats are made for being
 * listed rather than asked for one name, and the kernel asks for many names of one directory.
 */
#define FUSE_USE_VERSION 34
#include <fuse3/fuse_lowlevel.h>

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/cleanup.h"
#include "sys/sys.h"
#include "view/device.h"
#include "view/image.h"
#include "view/view.h"

#define FOR_EVER 86400.0
#define DIRS_KEPT 64
#define DIR_BYTES_MAX (64u << 20) /* of one directory */
#define READ_MAX (1u << 20)
#define XATTR_MAX 65536

struct entry {
	uint64_t node;
	mode_t type;
	uint32_t name; /* in names */
};

struct dir {
	uint64_t node;
	uint64_t used; /* 0: free */
	struct entry *entries; /* in the image's order */
	uint32_t *sorted; /* by name */
	char *names;
	size_t n, room, names_len, names_room;
};

struct server;

/* One of the mounts. */
struct session {
	struct server *server;
	struct fuse_session *fuse;
	uint32_t ids_base, ids_count; /* 0: as they are in the image */
};

struct server {
	struct image *im;
	struct session sessions[2];
	bool squash;
	uint64_t clock;
	struct dir dirs[DIRS_KEPT];
};

static struct server *server_of(fuse_req_t req)
{
	const struct session *session = fuse_req_userdata(req);

	return session->server;
}

static uint64_t node_of(const struct server *s, fuse_ino_t ino)
{
	return ino == FUSE_ROOT_ID ? s->im->root : ino - 2;
}

static fuse_ino_t ino_of(const struct server *s, uint64_t node)
{
	return node == s->im->root ? FUSE_ROOT_ID : node + 2;
}

static void dir_empty(struct dir *d)
{
	free(d->entries);
	free(d->sorted);
	free(d->names);
	*d = (struct dir){ 0 };
}

static int add_name(void *data, const char *name, size_t len, uint64_t node, mode_t type)
{
	struct dir *d = data;

	if (!len || len > 255 || memchr(name, '/', len) || memchr(name, '\0', len) ||
	    (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.'))))
		return -EUCLEAN;
	if (d->names_len > DIR_BYTES_MAX)
		return -EFBIG;
	if (d->n == d->room) {
		size_t room = d->room ? d->room * 2 : 64;
		struct entry *e = reallocarray(d->entries, room, sizeof(*e));

		if (!e)
			return -ENOMEM;
		d->entries = e;
		d->room = room;
	}
	if (d->names_len + len + 1 > d->names_room) {
		size_t room = (d->names_len + len + 1) * 2 + 1024;
		char *names = realloc(d->names, room);

		if (!names)
			return -ENOMEM;
		d->names = names;
		d->names_room = room;
	}
	d->entries[d->n++] = (struct entry){ node, type, (uint32_t)d->names_len };
	memcpy(d->names + d->names_len, name, len);
	d->names[d->names_len + len] = '\0';
	d->names_len += len + 1;
	return 0;
}

static int compare_names(const void *a, const void *b, void *dir)
{
	const struct dir *d = dir;

	return strcmp(d->names + d->entries[*(const uint32_t *)a].name,
		      d->names + d->entries[*(const uint32_t *)b].name);
}

static int sort(struct dir *d)
{
	d->sorted = reallocarray(NULL, d->n + 1, sizeof(*d->sorted));
	if (!d->sorted)
		return -ENOMEM;
	for (uint32_t i = 0; i < d->n; i++)
		d->sorted[i] = i;
	qsort_r(d->sorted, d->n, sizeof(*d->sorted), compare_names, d);
	return 0;
}

/* The directory, read now or before. *ret is good until the next call. */
static int get_dir(struct server *s, uint64_t node, struct dir **ret)
{
	struct dir *d = &s->dirs[0];
	struct stat st;

	for (unsigned i = 0; i < DIRS_KEPT; i++) {
		if (s->dirs[i].used && s->dirs[i].node == node) {
			s->dirs[i].used = ++s->clock;
			*ret = &s->dirs[i];
			return 0;
		}
		if (s->dirs[i].used < d->used)
			d = &s->dirs[i];
	}
	int r = s->im->backend->stat(s->im, node, &st);
	if (r < 0 || !S_ISDIR(st.st_mode))
		return r < 0 ? r : -ENOTDIR;
	dir_empty(d);
	r = s->im->backend->list(s->im, node, add_name, d);
	if (r == 0)
		r = sort(d);
	if (r < 0) {
		dir_empty(d);
		return r;
	}
	d->node = node;
	d->used = ++s->clock;
	*ret = d;
	return 0;
}

static const struct entry *find(const struct dir *d, const char *name)
{
	size_t low = 0, high = d->n;

	while (low < high) {
		size_t mid = (low + high) / 2;
		const struct entry *e = &d->entries[d->sorted[mid]];
		int c = strcmp(name, d->names + e->name);

		if (!c)
			return e;
		if (c < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

static uint32_t shift(const struct session *session, uint32_t id)
{
	return !session->ids_count ? id : id < session->ids_count ? session->ids_base + id : UINT32_MAX;
}

static int get_stat(fuse_req_t req, uint64_t node, struct stat *ret)
{
	const struct session *session = fuse_req_userdata(req);
	struct server *s = session->server;

	*ret = (struct stat){ .st_blksize = 4096 };
	int r = s->im->backend->stat(s->im, node, ret);
	if (r == 0 && s->squash)
		ret->st_uid = ret->st_gid = 0;
	ret->st_uid = shift(session, ret->st_uid);
	ret->st_gid = shift(session, ret->st_gid);
	if (r == 0 && !ret->st_blocks)
		ret->st_blocks = (ret->st_size + 511) / 512;
	return r;
}

static int get_entry(fuse_req_t req, uint64_t node, struct fuse_entry_param *ret)
{
	*ret = (struct fuse_entry_param){ .ino = ino_of(server_of(req), node),
					  .attr_timeout = FOR_EVER,
					  .entry_timeout = FOR_EVER };
	return get_stat(req, node, &ret->attr);
}

static void serve_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct server *s = server_of(req);
	struct fuse_entry_param e = { .entry_timeout = FOR_EVER };
	struct dir *d;

	int r = get_dir(s, node_of(s, parent), &d);
	const struct entry *found = r == 0 ? find(d, name) : NULL;
	if (found)
		r = get_entry(req, found->node, &e);
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_entry(req, &e);
}

static void serve_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st;

	int r = get_stat(req, node_of(server_of(req), ino), &st);
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_attr(req, &st, FOR_EVER);
}

static void serve_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct server *s = server_of(req);
	char target[4097];

	ssize_t n = s->im->backend->readlink(s->im, node_of(s, ino), target, sizeof(target) - 1);
	if (n < 0) {
		fuse_reply_err(req, (int)-n);
		return;
	}
	target[n] = '\0';
	fuse_reply_readlink(req, target);
}

/* ENOSYS: the kernel then opens by itself, and keeps what it has read. */
static void serve_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	fuse_reply_err(req, ENOSYS);
}

static void serve_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct server *s = server_of(req);

	size = MIN(size, (size_t)READ_MAX);
	_cleanup_free_ char *to = malloc(size + 1);
	ssize_t n = !to	    ? -ENOMEM :
		    off < 0 ? -EINVAL :
			      s->im->backend->read(s->im, node_of(s, ino), to, size, (uint64_t)off);
	if (n < 0)
		fuse_reply_err(req, (int)-n);
	else
		fuse_reply_buf(req, to, (size_t)n);
}

static size_t add_entry(fuse_req_t req, struct server *s, const struct dir *d, size_t i, char *to,
			size_t room, bool plus)
{
	const struct entry *e = &d->entries[i];
	const char *name = d->names + e->name;
	struct fuse_entry_param p = { .ino = 0 };
	off_t next = (off_t)i + 1;

	if (plus && fuse_add_direntry_plus(req, NULL, 0, name, NULL, 0) <= room &&
	    get_entry(req, e->node, &p) < 0)
		p = (struct fuse_entry_param){ .ino = 0 }; /* a bad one shows when it is looked at */
	if (!p.ino) {
		p.attr.st_mode = e->type;
		p.attr.st_ino = ino_of(s, e->node);
	}
	return plus ? fuse_add_direntry_plus(req, to, room, name, &p, next) :
		      fuse_add_direntry(req, to, room, name, &p.attr, next);
}

static void list(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, bool plus)
{
	struct server *s = server_of(req);
	size_t len = 0;
	struct dir *d;

	_cleanup_free_ char *to = malloc(size);
	int r = to ? get_dir(s, node_of(s, ino), &d) : -ENOMEM;
	for (size_t i = (size_t)off; r == 0 && off >= 0 && i < d->n; i++) {
		size_t n = add_entry(req, s, d, i, to + len, size - len, plus);

		if (n > size - len)
			break;
		len += n;
	}
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_buf(req, to, len);
}

static void serve_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	list(req, ino, size, off, false);
}

static void serve_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
			      struct fuse_file_info *fi)
{
	list(req, ino, size, off, true);
}

/*
 * What means something inside. A whiteout or opaque directory of a layer has the user.* name; trusted.* is
 * the same for root's layers, and not shown by this kind of mount.
 */
static bool is_shown(const char *name)
{
	return strncmp(name, "user.", 5) == 0 || strcmp(name, "security.capability") == 0 ||
	       strcmp(name, "system.posix_acl_access") == 0 || strcmp(name, "system.posix_acl_default") == 0;
}

struct wanted {
	const char *name; /* NULL: the names of all */
	char *to;
	size_t room, len;
	bool found;
};

static int take_xattr(void *data, const char *name, const void *value, size_t size)
{
	struct wanted *w = data;

	if (!is_shown(name) || (w->name && strcmp(w->name, name) != 0))
		return 0;
	const void *bytes = w->name ? value : name;
	size_t n = w->name ? size : strlen(name) + 1;
	if (n > w->room - w->len)
		return -E2BIG;
	memcpy(w->to + w->len, bytes, n);
	w->len += n;
	w->found = true;
	return 0;
}

static void answer_xattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	struct server *s = server_of(req);
	struct wanted w = { .name = name, .room = XATTR_MAX };

	if (name && !is_shown(name)) {
		fuse_reply_err(req, ENODATA);
		return;
	}
	_cleanup_free_ char *to = malloc(XATTR_MAX);
	w.to = to;
	int r = to ? s->im->backend->xattrs(s->im, node_of(s, ino), take_xattr, &w) : -ENOMEM;
	if (r == 0 && name && !w.found)
		r = -ENODATA;
	if (r == 0 && size && w.len > size)
		r = -ERANGE;
	if (r < 0)
		fuse_reply_err(req, -r);
	else if (!size)
		fuse_reply_xattr(req, w.len);
	else
		fuse_reply_buf(req, to, w.len);
}

static void serve_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	answer_xattr(req, ino, name, size);
}

static void serve_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	answer_xattr(req, ino, NULL, size);
}

static void serve_statfs(fuse_req_t req, fuse_ino_t ino)
{
	const struct server *s = server_of(req);
	const struct statvfs st = {
		.f_bsize = 4096, .f_frsize = 4096, .f_blocks = s->im->size / 4096, .f_namemax = 255
	};

	fuse_reply_statfs(req, &st);
}

static void serve_init(void *data, struct fuse_conn_info *conn)
{
	conn->want |= conn->capable & (FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_CACHE_SYMLINKS |
				       FUSE_CAP_NO_OPENDIR_SUPPORT | FUSE_CAP_NO_OPEN_SUPPORT);
}

static const struct fuse_lowlevel_ops ops = {
	.init = serve_init,
	.lookup = serve_lookup,
	.getattr = serve_getattr,
	.readlink = serve_readlink,
	.open = serve_open,
	.opendir = serve_open,
	.read = serve_read,
	.readdir = serve_readdir,
	.readdirplus = serve_readdirplus,
	.getxattr = serve_getxattr,
	.listxattr = serve_listxattr,
	.statfs = serve_statfs,
};

static void say_nothing(enum fuse_log_level level, const char *fmt, va_list args)
{
}

/* Return: 1, 0 that mount is gone, or a negative errno. */
static int serve_one(struct session *session, struct fuse_buf *request)
{
	int r = fuse_session_receive_buf(session->fuse, request);

	if (r == -EINTR || r == -EAGAIN)
		return 1;
	if (r > 0)
		fuse_session_process_buf(session->fuse, request);
	return r;
}

static int loop(struct server *s, const struct image_serve_args *a)
{
	struct fuse_buf request = { .mem = NULL };
	/* what is below 0 is passed over */
	struct pollfd fds[] = {
		{ .fd = a->fuse_fd, .events = POLLIN },
		{ .fd = a->shifted_fd, .events = POLLIN },
		{ .fd = a->death_fd, .events = 0 },
	};

	while (fds[0].fd >= 0 || fds[1].fd >= 0) {
		if (sys_poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
			return errno;
		if (fds[2].revents)
			return 0;
		for (size_t i = 0; i < 2; i++) {
			int r = fds[i].fd >= 0 && fds[i].revents ? serve_one(&s->sessions[i], &request) : 1;

			if (r < 0)
				return -r;
			if (r == 0)
				fds[i].fd = -1;
		}
	}
	return 0;
}

static int begin(struct server *s, struct session *session, int fuse_fd, int *ret_step)
{
	char *words[] = { (char *)VIEW_IMAGE_PROGRAM, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(1, words);

	session->server = s;
	*ret_step = VIEW_STEP_SESSION;
	session->fuse = fuse_session_new(&args, &ops, sizeof(ops), session);
	if (!session->fuse)
		return EINVAL;
	*ret_step = VIEW_STEP_DEVICE;
	return device_attach(session->fuse, fuse_fd) < 0 ? EBADF : 0;
}

int image_serve(const struct image_serve_args *a, int *ret_step)
{
	struct server *s = calloc(1, sizeof(*s));

	*ret_step = VIEW_STEP_MEMORY;
	if (!s)
		return ENOMEM;
	s->im = a->image;
	s->squash = a->squash;
	fuse_set_log_func(say_nothing);
	int r = begin(s, &s->sessions[0], a->fuse_fd, ret_step);
	s->sessions[1].ids_base = a->ids_base;
	s->sessions[1].ids_count = a->ids_count;
	if (!r && a->shifted_fd >= 0)
		r = begin(s, &s->sessions[1], a->shifted_fd, ret_step);
	if (r)
		return r;
	*ret_step = VIEW_STEP_HARDEN;
	r = a->ready(a->data);
	return r ? r : loop(s, a);
}
