/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ship/sha256.h - FIPS 180-4, for the names of OCI blobs. */
#ifndef KENNEL_SHIP_SHA256_H
#define KENNEL_SHIP_SHA256_H

#include <stddef.h>
#include <stdint.h>

struct sha256 {
	uint32_t h[8];
	uint64_t total;
	unsigned char block[64];
	int fast; /* the processor has instructions for it */
};

#define SHA256_HEX 65 /* with the NUL */

void sha256_init(struct sha256 *s);
void sha256_add(struct sha256 *s, const void *data, size_t size);
void sha256_hex(struct sha256 *s, char ret[SHA256_HEX]); /* ends it */

#endif
