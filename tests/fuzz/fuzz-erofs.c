/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz/fuzz-erofs.c - an erofs image as kennel-image reads it: anybody's work. Every tree that it shows is
 * walked a way, and everything about every name asked for. A name has neither a slash nor a NUL that the
 * server could take for a path: that is the server's own look, so here only memory is watched.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sys/sys.h"
#include "view/image.h"

#define NODES 64

struct walk {
	struct image *im;
	uint64_t nodes[NODES];
	unsigned n;
	unsigned long names;
	char sink;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int take_name(void *data, const char *name, size_t len, uint64_t node, mode_t type)
{
	struct walk *w = data;

	for (size_t i = 0; i < len; i++)
		w->sink ^= name[i];
	if (w->n < NODES)
		w->nodes[w->n++] = node;
	return ++w->names < 10000 ? 0 : -EFBIG;
}

static int take_xattr(void *data, const char *name, const void *value, size_t len)
{
	struct walk *w = data;

	for (size_t i = 0; i < len; i++)
		w->sink ^= ((const char *)value)[i];
	return strlen(name) < 4096 && ++w->names < 10000 ? 0 : -EFBIG;
}

static void look(struct walk *w, uint64_t node)
{
	const struct image_backend *b = w->im->backend;
	struct stat st;
	char text[5000];

	if (b->stat(w->im, node, &st) < 0)
		return;
	(void)!b->xattrs(w->im, node, take_xattr, w);
	if (S_ISDIR(st.st_mode))
		(void)!b->list(w->im, node, take_name, w);
	(void)!b->readlink(w->im, node, text, sizeof(text));
	for (uint64_t at = 0; at < 20000; at += sizeof(text) - 7)
		if (b->read(w->im, node, text, sizeof(text), at) > (ssize_t)sizeof(text))
			abort();
	(void)!b->read(w->im, node, text, sizeof(text), (uint64_t)st.st_size - 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_close_ int fd = sys_memfd_create("fuzz", 0);
	struct image im = { .backend = &image_erofs, .fd = fd, .size = size };
	struct walk w = { .im = &im };

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		return 0;
	if (im.backend->open(&im) == 0) {
		w.nodes[w.n++] = im.root;
		for (unsigned i = 0; i < w.n; i++)
			look(&w, w.nodes[i]);
	}
	free(im.state);
	return 0;
}
