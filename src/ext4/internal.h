/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ext4/internal.h - what the two files of kennel-ext4 share. */
#ifndef KENNEL_EXT4_INTERNAL_H
#define KENNEL_EXT4_INTERNAL_H

#include <ext2fs/ext2fs.h>

#include "base/macro.h"

/*
 * All that is in a directory into an image that is empty. Return: 0, or why it failed at *ret_what (static).
 */
errcode_t ext4_fill(int image_fd, int dir_fd, const char **ret_what);

#endif
