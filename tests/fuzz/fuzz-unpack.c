/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz/fuzz-unpack.c - the stream of files out of an ext4 image.
 *
 * Besides memory errors it looks for broken promises: a refusal has a sentence, nothing is made outside
 * of the
 * directory, no name is kept for links.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "ext4/peek.h"
#include "ext4/unpack.h"
#include "path/remove.h"
#include "sys/sys.h"

#define PEEK_MAX 1000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int open_dir(int dir_fd, const char *name)
{
	if (mkdirat(dir_fd, name, 0700) < 0)
		abort();
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		abort();
	return fd;
}

static void check_outside(int top_fd, int links_fd)
{
	struct stat st;

	if (fstat(top_fd, &st) < 0 || st.st_nlink > 4) /* it, its "..", root and links; or 1 */
		abort();
	if (unlinkat(top_fd, "links", AT_REMOVEDIR) < 0) /* empty */
		abort();
}

/* One file of it, of at most a few bytes. */
static void check_peek(int stream_fd)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_buf_ struct buf content = { 0 };

	int r = ext4_peek(stream_fd, PEEK_MAX, &content, &err);
	if (r < 0 ? !*kennel_error_message(err) : content.len > PEEK_MAX)
		abort();
	if (lseek(stream_fd, 0, SEEK_SET) < 0)
		abort();
}

/* As "kennel cp" takes it from a guest: whatever it says, no rights come of it. */
static void check_plain(int top_fd, int stream_fd)
{
	_cleanup_close_ int root_fd = open_dir(top_fd, "plain");
	_cleanup_close_ int links_fd = open_dir(top_fd, "links");
	_cleanup_error_ struct kennel_error *err = NULL;
	struct unpack_loss loss = { 0 };
	const struct unpack_where where = {
		.dir_fd = root_fd,
		.links_fd = links_fd,
		.with_top = true,
		.plain = true,
		.keep_owner = true,
		.loss = &loss,
		.max_bytes = 1 << 20,
	};
	struct stat st;

	if (lseek(stream_fd, 0, SEEK_SET) < 0)
		abort();
	if (ext4_unpack(stream_fd, &where, &err) < 0 && !*kennel_error_message(err))
		abort();
	if (fstat(root_fd, &st) < 0 || st.st_uid != getuid() || (st.st_mode & 06000))
		abort();
	if (unlinkat(top_fd, "links", AT_REMOVEDIR) < 0) /* empty */
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	char top[] = "/tmp/kennel-fuzz-XXXXXX";

	if (!mkdtemp(top))
		return 0;
	_cleanup_close_ int top_fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int root_fd = open_dir(top_fd, "root");
	_cleanup_close_ int links_fd = open_dir(top_fd, "links");
	_cleanup_close_ int stream_fd = sys_memfd_create("stream", 0);
	const struct unpack_where where = { root_fd, links_fd, getuid(), getgid() };

	if (stream_fd < 0 || write(stream_fd, data, size) != (ssize_t)size ||
	    lseek(stream_fd, 0, SEEK_SET) < 0)
		return 0;
	check_peek(stream_fd);
	if (ext4_unpack(stream_fd, &where, &err) < 0 && !*kennel_error_message(err))
		abort();
	check_outside(top_fd, links_fd);
	check_plain(top_fd, stream_fd);
	_cleanup_close_ int parent_fd = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (path_remove_tree(parent_fd, strrchr(top, '/') + 1, NULL) < 0)
		abort();
	return 0;
}
