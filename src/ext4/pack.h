/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ext4/pack.h - files of a tree that lives into a stream (stream.h), for unpack.h at its other end. libc
 * alone: a guest does it, too.
 *
 * Others may change the tree meanwhile. What is told is what was there at some moment; no link is followed.
 */
#ifndef KENNEL_EXT4_PACK_H
#define KENNEL_EXT4_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pack_problem { PACK_OK, PACK_READ, PACK_WRITE, PACK_DEEP, PACK_MEMORY };

struct pack {
	int out_fd; /* blocking */
	/*
	 * As "kennel cp" has it: files, directories and links, of attributes user.* and no access lists.
	 * Else all, with the marks of an overlay in user.*, wherever they are.
	 */
	bool plain;
	uint32_t id_count; /* ids that are not below it are told as 0; 0: all as they are */
	int (*is_closed)(int fd); /* or NULL: what is told as empty, a file not at all. 1, 0, -1 */

	/* what came of it */
	uint64_t left_out;
	char first_left_out[1024];
	enum pack_problem problem;
	int errnum;
	char where[1024]; /* below what was packed */

	struct pack_state *state;
};

/*
 * pin_fd: O_PATH. pack_entry(): a file with all that is below it, under a name; pack_top(): a directory as
 * the root of the stream. Return: 0, or -1 and a problem. pack_end() says that it is whole, where it is;
 * otherwise that it is not.
 */
int pack_entry(struct pack *p, int pin_fd, const char *name);
int pack_top(struct pack *p, int pin_fd);
int pack_end(struct pack *p);

#endif
