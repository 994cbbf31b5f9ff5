/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * harness/vectors.c ROUNDS [PROCESSES] - are vector registers what they were, after page faults, system
 * calls and turns of other processes?
 *
 * All of them are filled, then memory is touched for the first time and the kernel asked for something, and
 * then they are compared, with nothing of the compiler's in between. Several processes do so side by side,
 * each with contents of its own. Says "sound: ROUNDS rounds of N registers", or the first that was another
 * one, and exits with 1.
 */
#include <cpuid.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGES 24
#define PAGE 4096

/* Touches PAGES pages from %rsi on, a page each, with a getppid() after every one. */
#define TOUCH \
	"mov %[pages], %%ebx\n" \
	"1: movb $1, (%%rsi)\n" \
	"push %%rsi\n" \
	"mov %[getppid], %%eax\n" \
	"syscall\n" \
	"pop %%rsi\n" \
	"add $4096, %%rsi\n" \
	"dec %%ebx\n" \
	"jnz 1b\n"
#define MOVE_16(op, from) \
	from(op, 0) from(op, 1) from(op, 2) from(op, 3) from(op, 4) from(op, 5) from(op, 6) from(op, 7) \
		from(op, 8) from(op, 9) from(op, 10) from(op, 11) from(op, 12) from(op, 13) from(op, 14) \
			from(op, 15)
#define LOAD_Y(op, n) #op " " #n "*32(%[in]), %%ymm" #n "\n"
#define STORE_Y(op, n) #op " %%ymm" #n ", " #n "*32(%[out])\n"
#define LOAD_Z(op, n) #op " " #n "*64(%[in]), %%zmm" #n "\n"
#define STORE_Z(op, n) #op " %%zmm" #n ", " #n "*64(%[out])\n"
#define MOVE_HIGH(op, from) \
	from(op, 16) from(op, 17) from(op, 18) from(op, 19) from(op, 20) from(op, 21) from(op, 22) \
		from(op, 23) from(op, 24) from(op, 25) from(op, 26) from(op, 27) from(op, 28) from(op, 29) \
			from(op, 30) from(op, 31)

__attribute__((noinline)) static void round_avx(const uint8_t *in, uint8_t *out, uint8_t *pages)
{
	__asm__ volatile("sub $128, %%rsp\n" /* what may lie below the stack pointer is not ours */
			 MOVE_16(vmovdqu, LOAD_Y) TOUCH MOVE_16(vmovdqu, STORE_Y) "add $128, %%rsp\n"
			 : "+S"(pages)
			 : [in] "r"(in), [out] "r"(out), [pages] "i"(PAGES), [getppid] "i"(SYS_getppid)
			 : "rax", "rbx", "rcx", "r11", "memory", "cc");
}

__attribute__((noinline)) static void round_avx512(const uint8_t *in, uint8_t *out, uint8_t *pages)
{
	__asm__ volatile("sub $128, %%rsp\n" MOVE_16(vmovdqu64, LOAD_Z) MOVE_HIGH(vmovdqu64, LOAD_Z)
				 TOUCH MOVE_16(vmovdqu64, STORE_Z)
					 MOVE_HIGH(vmovdqu64, STORE_Z) "add $128, %%rsp\n"
			 : "+S"(pages)
			 : [in] "r"(in), [out] "r"(out), [pages] "i"(PAGES), [getppid] "i"(SYS_getppid)
			 : "rax", "rbx", "rcx", "r11", "memory", "cc");
}

static int torture(unsigned rounds, size_t size, void (*one)(const uint8_t *, uint8_t *, uint8_t *),
		   unsigned seed)
{
	uint8_t in[32 * 64], out[32 * 64];

	srand(seed);
	for (unsigned i = 0; i < rounds; i++) {
		uint8_t *pages =
			mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (pages == MAP_FAILED)
			return 2;
		for (size_t k = 0; k < size; k++)
			in[k] = (uint8_t)rand();
		memset(out, 0, sizeof(out));
		one(in, out, pages);
		munmap(pages, PAGES * PAGE);
		if (memcmp(in, out, size) == 0)
			continue;
		for (size_t k = 0; k < size; k++)
			if (in[k] != out[k]) {
				printf("round %u: byte %zu of the registers was %02x and became %02x\n", i, k,
				       in[k], out[k]);
				break;
			}
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	const unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 100,
		       n = argc > 2 ? (unsigned)atoi(argv[2]) : 4;
	const int wide = __builtin_cpu_supports("avx512f");
	int failed = 0, status;

	if (!__builtin_cpu_supports("avx2")) {
		puts("sound: this processor has no AVX2");
		return 0;
	}
	for (unsigned i = 0; i < n; i++)
		if (fork() == 0)
			exit(torture(rounds, wide ? 32 * 64 : 16 * 32, wide ? round_avx512 : round_avx,
				     i + 1));
	while (wait(&status) > 0)
		failed |= status;
	if (failed)
		return 1;
	printf("sound: %u rounds of %d registers in %u processes\n", rounds, wide ? 32 : 16, n);
	return 0;
}
