/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ext4/peek.h - one file out of a stream of kennel-ext4 (stream.h), of which nothing is believed. */
#ifndef KENNEL_EXT4_PEEK_H
#define KENNEL_EXT4_PEEK_H

#include "base/buf.h"
#include "base/error.h"

/*
 * The stream has one entry of the image's root, or nothing: appends its content. Return: 1, 0 it is not
 * there, CORRUPT: it is no file of at most max bytes, or what the stream says can't be.
 */
int ext4_peek(int stream_fd, size_t max, struct buf *ret, struct kennel_error **err) MUST_CHECK;

#endif
