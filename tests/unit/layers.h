/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit/layers.h - a fresh directory with "base", "L0/0/upper", "L1/0/upper", ..., "into", and "see", where
 * overlays are mounted by a child in namespaces of its own.
 */
#ifndef KENNEL_UNIT_LAYERS_H
#define KENNEL_UNIT_LAYERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "delta/manifest.h"
#include "delta/stack.h"

#define LAYERS 4
#define OPAQUE "user.overlay.opaque"

struct fixture {
	char dir[40];
	int dir_fd, base_fd, layer_fds[LAYERS], upper_fds[LAYERS], into_fd;
	struct manifest manifests[LAYERS];
	struct delta_source sources[LAYERS];
	uint64_t random;
	bool own; /* all random files are ours */
};

int set_up(void **state);
int tear_down(void **state);

int make_dir(int dir_fd, const char *name);
void write_file(int dir_fd, const char *name, const char *text);
void whiteout(int dir_fd, const char *name);

/* What an overlay over these directories shows, the uppermost first; false: there can be none here. */
bool see_overlay(const struct fixture *f, const char *lowers, struct buf *out);

/* Every way in which two layers and a base can have a name. */
void put_every_pair(const struct fixture *f);

unsigned roll(struct fixture *f, unsigned sides);
/* Attributes of all kinds, of what is there. */
void decorate(struct fixture *f, int dir_fd, const char *name);
void put_random(struct fixture *f, int dir_fd, unsigned depth, bool is_base);
/* In the base and n layers. */
void random_stack(struct fixture *f, unsigned n);

#endif
