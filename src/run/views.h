/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/views.h - what an ordinary user's sandbox is shown through FUSE: the base, each layer, and what is
 * shared read-only. One mount and one server each.
 */
#ifndef KENNEL_RUN_VIEWS_H
#define KENNEL_RUN_VIEWS_H

#include "run/sandbox.h"

enum view_kind {
	VIEW_BASE,
	VIEW_LAYER,
	VIEW_SHARE,
};

struct view_plan {
	enum view_kind kind;
	const char *name; /* what the user called it; borrowed */
	int fd; /* the directory, or the image; the base's directory is borrowed from the launch */
	const char *format; /* of the image; NULL: a directory. Constant text. */
	bool own; /* a base of its own, with the ids inside: the directory itself, no view of it */
	char *only; /* of a share: the one file of the directory that is shown, or NULL */
	int report_fd; /* the server's word */
};

/*
 * Fills l->views, as the lowers of the root are, uppermost first, then shares; and base_fd where it is a
 * directory.
 */
int views_open(struct launch *l, struct kennel_error **err) MUST_CHECK;
void views_done(struct launch *l);
/*
 * The view that a read-only share is, with nothing that it shows yet in *ret: fd and only are the caller's.
 * Return: 1; 0 it needs none, for it is no file and no directory; or a code.
 */
int views_open_share(const struct spec_mount *m, struct view_plan *ret, struct kennel_error **err) MUST_CHECK;
/* Which view the share shows, if any, and what of it. */
void views_choose_bind(struct launch *l, size_t share);
/*
 * Does a layer above the given lower, of which 0 is the uppermost, have something at rel, or hide the place?
 * Only root of the namespace may ask.
 */
bool views_cover(const struct launch *l, unsigned lower, const char *rel);

#endif
