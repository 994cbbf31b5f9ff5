/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sys/jail.c - see jail.h. */
#include "sys/jail.h"

#include <errno.h>
#include <stddef.h>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#include "sys/sys.h"

/* All of them little-endian: the lower half of an argument comes first. */
#if defined(__x86_64__)
#define JAIL_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define JAIL_ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv)
#define JAIL_ARCH AUDIT_ARCH_RISCV64
#endif

#define STEPS_OF_CALL 6
#define STEPS_OF_FRAME 5

struct program {
	struct sock_filter code[STEPS_OF_FRAME + JAIL_CALLS_MAX * STEPS_OF_CALL];
	unsigned short n;
};

static void load(struct program *p, size_t at)
{
	p->code[p->n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)at);
}

static void answer(struct program *p, uint32_t what)
{
	p->code[p->n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, what);
}

/* Passes over so many steps where it is something else. */
static void unless(struct program *p, uint32_t value, unsigned char steps)
{
	p->code[p->n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, steps);
}

static void allow(struct program *p, const struct jail_call *c)
{
	unless(p, (uint32_t)c->nr, c->arg ? 5 : 1);
	if (c->arg) {
		load(p, offsetof(struct seccomp_data, args) + 8 * (size_t)(c->arg - 1));
		p->code[p->n++] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, c->mask);
		unless(p, c->value, 1);
	}
	answer(p, SECCOMP_RET_ALLOW);
	if (c->arg)
		answer(p, SECCOMP_RET_ERRNO | EPERM);
}

int jail_enter(const struct jail_call *calls, unsigned n)
{
	struct program p = { .n = 0 };

	if (n > JAIL_CALLS_MAX) {
		errno = E2BIG;
		return -1;
	}
	load(&p, offsetof(struct seccomp_data, arch));
	p.code[p.n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, JAIL_ARCH, 1, 0);
	answer(&p, SECCOMP_RET_KILL_PROCESS);
	load(&p, offsetof(struct seccomp_data, nr));
	for (unsigned i = 0; i < n; i++)
		allow(&p, &calls[i]);
	answer(&p, SECCOMP_RET_ERRNO | EPERM);
	return sys_seccomp_load(&(struct sock_fprog){ .len = p.n, .filter = p.code });
}
