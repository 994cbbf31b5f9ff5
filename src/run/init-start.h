/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/init-start.h - the floor under the freestanding kennel-init: its entry point, its system calls, its one
 * clone.
 *
 * kennel-init has no libc: a static libc costs 700 KB of file, 20 pages of memory and 200 us of start for a
 * program that only makes system calls. What an architecture must bring is here and nowhere else: _start, a
 * call with six arguments, and init_vfork(). All of them are asm-generic (64 bit, same structures) but for
 * the numbers and a few old calls of x86-64, which are not used. Calls give back -errno, there is no errno
 * variable.
 *
 * init_vfork() runs a function in a child that shares our memory and our stack while we are stopped, so
 * nothing is copied and the child's answer is simply there afterwards. It is an out-of-line function because
 * a compiler may not keep a frame alive across a call that returns twice; this one returns once, and the
 * child never comes out of its function.
 */
#ifndef KENNEL_RUN_INIT_START_H
#define KENNEL_RUN_INIT_START_H

#include <asm/unistd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Returns the child's pid or -errno. flags: the low byte is the signal at its end. fn must not return. */
long init_vfork(unsigned long flags, void (*fn)(void *), void *arg);

#if defined(__x86_64__)
#define INIT_START_ASM \
	".globl _start\n_start:\n" \
	"	xor %ebp, %ebp\n" \
	"	mov %rsp, %rdi\n" \
	"	and $-16, %rsp\n" \
	"	call init_main\n" \
	".globl init_vfork\ninit_vfork:\n" \
	"	mov %rsi, %r8\n" /* the place of the TLS argument, not looked at without CLONE_SETTLS */ \
	"	mov %rdx, %r9\n" \
	"	xor %esi, %esi\n" /* stack 0: go on below the one in use */ \
	"	xor %edx, %edx\n" \
	"	xor %r10d, %r10d\n" \
	"	mov $56, %eax\n" \
	"	syscall\n" \
	"	test %rax, %rax\n" \
	"	jnz 1f\n" \
	"	mov %r9, %rdi\n" \
	"	sub $8, %rsp\n" /* a function expects its stack aligned before the return address */ \
	"	call *%r8\n" \
	"1:	ret\n"

static inline long init_call(long n, long a, long b, long c, long d, long e)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	long r;

	__asm__ volatile("syscall"
			 : "=a"(r)
			 : "0"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
			 : "rcx", "r11", "memory");
	return r;
}
#elif defined(__aarch64__)
#define INIT_START_ASM \
	".globl _start\n_start:\n" \
	"	mov x29, #0\n" \
	"	mov x30, #0\n" \
	"	mov x0, sp\n" \
	"	and sp, x0, #-16\n" \
	"	bl init_main\n" \
	".globl init_vfork\ninit_vfork:\n" \
	"	mov x9, x1\n" \
	"	mov x10, x2\n" \
	"	mov x1, #0\n" \
	"	mov x2, #0\n" \
	"	mov x3, #0\n" \
	"	mov x4, #0\n" \
	"	mov x8, #220\n" \
	"	svc #0\n" \
	"	cbnz x0, 1f\n" \
	"	mov x0, x10\n" \
	"	blr x9\n" \
	"1:	ret\n"

static inline long init_call(long n, long a, long b, long c, long d, long e)
{
	register long x8 __asm__("x8") = n;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;

	__asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
	return x0;
}
#elif defined(__riscv) && __riscv_xlen == 64
#define INIT_START_ASM \
	".globl _start\n_start:\n" \
	"	.option push\n	.option norelax\n" \
	"	lla gp, __global_pointer$\n" \
	"	.option pop\n" \
	"	mv a0, sp\n" \
	"	andi sp, sp, -16\n" \
	"	call init_main\n" \
	".globl init_vfork\ninit_vfork:\n" \
	"	mv t0, a1\n" \
	"	mv t1, a2\n" \
	"	li a1, 0\n" \
	"	li a2, 0\n" \
	"	li a3, 0\n" \
	"	li a4, 0\n" \
	"	li a7, 220\n" \
	"	ecall\n" \
	"	bnez a0, 1f\n" \
	"	mv a0, t1\n" \
	"	jalr t0\n" \
	"1:	ret\n"

static inline long init_call(long n, long a, long b, long c, long d, long e)
{
	register long a7 __asm__("a7") = n;
	register long a0 __asm__("a0") = a;
	register long a1 __asm__("a1") = b;
	register long a2 __asm__("a2") = c;
	register long a3 __asm__("a3") = d;
	register long a4 __asm__("a4") = e;

	__asm__ volatile("ecall" : "+r"(a0) : "r"(a7), "r"(a1), "r"(a2), "r"(a3), "r"(a4) : "memory");
	return a0;
}
#else
#error "kennel-init has no entry point and system call for this architecture yet: add it here"
#endif

#define init_call0(n) init_call((n), 0, 0, 0, 0, 0)
#define init_call1(n, a) init_call((n), (long)(a), 0, 0, 0, 0)
#define init_call2(n, a, b) init_call((n), (long)(a), (long)(b), 0, 0, 0)
#define init_call3(n, a, b, c) init_call((n), (long)(a), (long)(b), (long)(c), 0, 0)
#define init_call4(n, a, b, c, d) init_call((n), (long)(a), (long)(b), (long)(c), (long)(d), 0)

static inline size_t init_strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

/* Whether s begins with prefix. */
static inline bool init_starts(const char *s, const char *prefix)
{
	while (*prefix)
		if (*s++ != *prefix++)
			return false;
	return true;
}

/* The first len bytes of s as a decimal number that is at most max: nothing else in it, no sign. */
static inline bool init_number(const char *s, size_t len, uint64_t max, uint32_t *ret)
{
	uint64_t v = 0;

	if (!len)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		v = v * 10 + (uint64_t)(s[i] - '0');
		if (v > max)
			return false;
	}
	*ret = (uint32_t)v;
	return true;
}

#endif
