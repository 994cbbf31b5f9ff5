/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * base/parse.h - words to numbers, strictly: the whole word, no sign, no space, no overflow. Return 0 or -1.
 */
#ifndef KENNEL_BASE_PARSE_H
#define KENNEL_BASE_PARSE_H

#include <stdint.h>

#include "base/macro.h"

int parse_u64(const char *s, uint64_t *ret) MUST_CHECK;
int parse_u32(const char *s, uint32_t *ret) MUST_CHECK;
/* Bytes with an optional K, M, G or T (powers of 1024; "iB" or "B" may follow): 512M, 2GiB, 4096. */
int parse_size(const char *s, uint64_t *ret) MUST_CHECK;
/* Seconds with an optional ms, s, m, h or d, to milliseconds: 500ms, 10, 2m. */
int parse_duration_ms(const char *s, uint64_t *ret) MUST_CHECK;
/* A decimal fraction such as 1.5 in thousandths: 1500. */
int parse_milli(const char *s, uint64_t *ret) MUST_CHECK;
/* yes no true false on off 1 0 */
int parse_bool(const char *s, int *ret) MUST_CHECK;

#endif
