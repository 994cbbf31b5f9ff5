/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cli/change.h - a change in words: the same line in every list of changes. */
#ifndef KENNEL_CLI_CHANGE_H
#define KENNEL_CLI_CHANGE_H

#include <stdbool.h>
#include <sys/stat.h>

#include <kennel/kennel.h>

#include "base/buf.h"

#define CHANGE_WORDS_MAX 8

const char *change_kind_word(enum kennel_change_kind kind);
const char *change_type_word(mode_t mode);
/* Words for a set of enum kennel_change_bits. Return: how many. */
size_t change_bit_words(unsigned set, const char *ret[static CHANGE_WORDS_MAX]);

/* "M ", in its colour. */
void change_put_letter(struct buf *b, enum kennel_change_kind kind, bool colour);
/* "M /etc/motd (content, mode)", without a newline. */
void change_put_line(struct buf *b, const struct kennel_change *c, bool colour);

#endif
