/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit/txn-trees.h - two trees with every kind of file, and pictures of trees: a text with all that can be
 * seen of one, so that equal pictures are equal trees.
 */
#ifndef KENNEL_UNIT_TXN_TREES_H
#define KENNEL_UNIT_TXN_TREES_H

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

void write_file(int dir_fd, const char *name, const char *text, mode_t mode);
void set_times(int dir_fd, const char *name, time_t seconds);

/* What is there, and what is put into it. */
void make_old(int fd);
void make_new(int fd);

/* inodes: the very same ones. The caller's. */
char *picture(int fd, bool inodes);

/*
 * The stride at which this run takes the points at which something is killed, and the first of them: each
 * 7th, every time others, for all of them take minutes; and all with KENNEL_TEST_POINTS=all.
 */
unsigned sample_points(unsigned step, unsigned *ret_first);

#endif
