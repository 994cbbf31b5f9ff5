/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/image-view.h - images among the base and the layers of root's guest (--isolate vm).
 *
 * Who asks for a kernel of its own does so because what is inside may attack a kernel, and an image does that
 * when it is mounted. So this machine's kernel never reads one, for root neither: kennel-image does
 * (view/image.h), as for an ordinary user. Only its mount is another one, because root fills the delta with
 * the ids that are on the disk and shifts them last: it belongs to the machine's user namespace, and there
 * are two of one server, first with the image's ids and then with those that the sandbox has. (A view can't
 * be idmapped before Linux 6.12.)
 *
 * What kennel-image can't read is refused: who trusts an image can mount it and give the directory.
 */
#ifndef KENNEL_RUN_IMAGE_VIEW_H
#define KENNEL_RUN_IMAGE_VIEW_H

#include <stdbool.h>

#include "base/error.h"
#include "idmap/idmap.h"

struct launch;
struct view_plan;

/*
 * What path names, as the tree of a lower in *ret_tree_fd: a directory as layer_open() gives it, or the view
 * of an image, which is served by then.
 */
int image_view_open_lower(struct launch *l, const char *path, int *ret_tree_fd, struct kennel_error **err)
	MUST_CHECK;
/* If *tree_fd is one of those views, puts the one with shifted ids in its place, where ids are shifted. */
bool image_view_shift(struct launch *l, int *tree_fd);
void image_views_done(struct launch *l);

/* As layer_open(), for who reads the changes of a guest: an image without shifted ids, until it is closed. */
int image_view_open_layer(const char *path, int *ret_tree_fd, struct kennel_error **err) MUST_CHECK;

/* v, an image, for a guest that runs. ids: count 0 for none that are shifted. */
int image_view_open(const struct view_plan *v, const struct idmap *ids, int init_pidfd, int *ret_tree_fd,
		    struct kennel_error **err) MUST_CHECK;

#endif
