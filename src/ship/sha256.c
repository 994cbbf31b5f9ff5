/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ship/sha256.c - see sha256.h. With the processor's own instructions where it has them: four to eight
 * times as fast.
 */
#include "ship/sha256.h"

#include <stdio.h>
#include <string.h>

#include "base/macro.h"

static const uint32_t k[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t turn(uint32_t x, unsigned n)
{
	return x >> n | x << (32 - n);
}

static uint32_t get_be32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void one_block(uint32_t h[8], const unsigned char *p)
{
	uint32_t w[64], a[8];

	for (unsigned i = 0; i < 16; i++)
		w[i] = get_be32(p + 4 * i);
	for (unsigned i = 16; i < 64; i++) {
		uint32_t s0 = turn(w[i - 15], 7) ^ turn(w[i - 15], 18) ^ w[i - 15] >> 3;
		uint32_t s1 = turn(w[i - 2], 17) ^ turn(w[i - 2], 19) ^ w[i - 2] >> 10;

		w[i] = w[i - 16] + s0 + w[i - 7] + s1;
	}
	memcpy(a, h, sizeof(a));
	for (unsigned i = 0; i < 64; i++) {
		uint32_t s1 = turn(a[4], 6) ^ turn(a[4], 11) ^ turn(a[4], 25);
		uint32_t t1 = a[7] + s1 + ((a[4] & a[5]) ^ (~a[4] & a[6])) + k[i] + w[i];
		uint32_t s0 = turn(a[0], 2) ^ turn(a[0], 13) ^ turn(a[0], 22);
		uint32_t t2 = s0 + ((a[0] & a[1]) ^ (a[0] & a[2]) ^ (a[1] & a[2]));

		memmove(a + 1, a, 7 * sizeof(*a));
		a[4] += t1;
		a[0] = t1 + t2;
	}
	for (unsigned i = 0; i < 8; i++)
		h[i] += a[i];
}

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

static int has_instructions(void)
{
	unsigned a, b, c, d;

	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & (1u << 29)) &&
	       __get_cpuid(1, &a, &b, &c, &d) && (c & (1u << 19)) && (c & (1u << 9));
}

/* Four rounds a turn; the state is kept as the instructions want it, ABEF and CDGH. */
__attribute__((target("sha,sse4.1,ssse3"))) static void fast_blocks(uint32_t h[8], const unsigned char *p,
								    size_t n)
{
	const __m128i order = _mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL);
	__m128i lo = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)h), 0xb1);
	__m128i hi = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(h + 4)), 0x1b);
	__m128i abef = _mm_alignr_epi8(lo, hi, 8), cdgh = _mm_blend_epi16(hi, lo, 0xf0);

	for (; n; n--, p += 64) {
		__m128i w[4], abef_before = abef, cdgh_before = cdgh;

		for (unsigned i = 0; i < 4; i++)
			w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(p + 16 * i)), order);
		for (unsigned i = 0; i < 16; i++) {
			__m128i now = w[i & 3];

			if (i >= 4) {
				now = _mm_sha256msg1_epu32(now, w[(i + 1) & 3]);
				now = _mm_add_epi32(now, _mm_alignr_epi8(w[(i + 3) & 3], w[(i + 2) & 3], 4));
				now = _mm_sha256msg2_epu32(now, w[(i + 3) & 3]);
				w[i & 3] = now;
			}
			now = _mm_add_epi32(now, _mm_loadu_si128((const __m128i *)(k + 4 * i)));
			cdgh = _mm_sha256rnds2_epu32(cdgh, abef, now);
			abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(now, 0x0e));
		}
		abef = _mm_add_epi32(abef, abef_before);
		cdgh = _mm_add_epi32(cdgh, cdgh_before);
	}
	lo = _mm_shuffle_epi32(abef, 0x1b);
	hi = _mm_shuffle_epi32(cdgh, 0xb1);
	_mm_storeu_si128((__m128i *)h, _mm_blend_epi16(lo, hi, 0xf0));
	_mm_storeu_si128((__m128i *)(h + 4), _mm_alignr_epi8(hi, lo, 8));
}
#else
static int has_instructions(void)
{
	return 0;
}

static void fast_blocks(uint32_t h[8], const unsigned char *p, size_t n)
{
}
#endif

static void blocks(struct sha256 *s, const unsigned char *p, size_t n)
{
	if (s->fast) {
		fast_blocks(s->h, p, n);
		return;
	}
	for (; n; n--, p += 64)
		one_block(s->h, p);
}

void sha256_init(struct sha256 *s)
{
	*s = (struct sha256){ .h = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c,
				     0x1f83d9ab, 0x5be0cd19 },
			      .fast = has_instructions() };
}

void sha256_add(struct sha256 *s, const void *data, size_t size)
{
	const unsigned char *p = data;
	size_t have = s->total % 64;

	if (!size)
		return;
	s->total += size;
	if (have) {
		size_t part = MIN(size, 64 - have);

		memcpy(s->block + have, p, part);
		if (have + part < 64)
			return;
		blocks(s, s->block, 1);
		p += part;
		size -= part;
	}
	if (size >= 64)
		blocks(s, p, size / 64);
	memcpy(s->block, p + size / 64 * 64, size % 64);
}

void sha256_hex(struct sha256 *s, char ret[SHA256_HEX])
{
	uint64_t bits = s->total * 8;
	size_t have = s->total % 64;

	s->block[have++] = 0x80;
	if (have > 56) {
		memset(s->block + have, 0, 64 - have);
		blocks(s, s->block, 1);
		have = 0;
	}
	memset(s->block + have, 0, 56 - have);
	for (unsigned i = 0; i < 8; i++)
		s->block[56 + i] = (unsigned char)(bits >> (56 - 8 * i));
	blocks(s, s->block, 1);
	for (unsigned i = 0; i < 8; i++)
		snprintf(ret + 8 * i, 9, "%08x", s->h[i]);
}
