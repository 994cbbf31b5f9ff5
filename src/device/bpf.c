/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * device/bpf.c - the device policy as a program of the kernel, for cgroup v2, which has no devices
 * controller.
 *
 * Rules of the same type and access stand together: one test of those, then one comparison for each rule that
 * jumps to the common "return 1"; what falls through returns 0. The first form, with all tests for each rule,
 * took the verifier half a millisecond, because every conditional jump is a path to follow. Attached with
 * BPF_F_ALLOW_MULTI it is one more wall: programs of the groups above run as well and all must agree. It
 * lives as long as the group.
 */
#include <linux/bpf.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "device/device.h"
#include "sys/sys.h"

#define EVERY_ACCESS (BPF_DEVCG_ACC_MKNOD | BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE)
#define MINOR_BITS 20 /* the kernel's dev_t: 12 bits of major, 20 of minor */
#define PROLOGUE 9
#define PER_GROUP 4
#define GROUPS (2 * EVERY_ACCESS)
#define EPILOGUE 4
#define RULES_MAX 256 /* of ours; the kernel takes programs of a million instructions */

enum {
	R_TYPE = BPF_REG_2,
	R_ACCESS = BPF_REG_3,
	R_MAJOR = BPF_REG_4,
	R_MINOR = BPF_REG_5,
	R_DEV = BPF_REG_0
};

struct program {
	struct bpf_insn *insns;
	size_t n;
};

static void emit(struct program *g, struct bpf_insn insn)
{
	g->insns[g->n++] = insn;
}

static void emit_load(struct program *g, unsigned reg, size_t offset)
{
	emit(g, (struct bpf_insn){ .code = BPF_LDX | BPF_MEM | BPF_W,
				   .dst_reg = reg & 15,
				   .src_reg = BPF_REG_1,
				   .off = (int16_t)offset });
}

static void emit_alu(struct program *g, unsigned op, unsigned reg, unsigned imm)
{
	emit(g, (struct bpf_insn){
			.code = (uint8_t)(BPF_ALU | op | BPF_K), .dst_reg = reg & 15, .imm = (int32_t)imm });
}

static void emit_move(struct program *g, unsigned to, unsigned from)
{
	emit(g, (struct bpf_insn){
			.code = BPF_ALU | BPF_MOV | BPF_X, .dst_reg = to & 15, .src_reg = from & 15 });
}

static void emit_return(struct program *g, unsigned value)
{
	emit_alu(g, BPF_MOV, BPF_REG_0, value);
	emit(g, (struct bpf_insn){ .code = BPF_JMP | BPF_EXIT });
}

static void emit_jump(struct program *g, unsigned op, unsigned reg, unsigned imm)
{
	emit(g, (struct bpf_insn){ .code = (uint8_t)(BPF_JMP32 | op | BPF_K),
				   .dst_reg = reg & 15,
				   .imm = (int32_t)imm });
}

/* Where all jumps of one kind from there on lead: here. */
static void land(struct program *g, size_t start, unsigned op)
{
	for (size_t i = start; i < g->n; i++)
		if (g->insns[i].code == (BPF_JMP32 | op | BPF_K))
			g->insns[i].off = (int16_t)(g->n - i - 1);
}

static unsigned access_of(const struct device_rule *r)
{
	return (r->make ? BPF_DEVCG_ACC_MKNOD : 0u) | (r->read ? BPF_DEVCG_ACC_READ : 0u) |
	       (r->write ? BPF_DEVCG_ACC_WRITE : 0u);
}

/* JEQ is "allowed"; JNE, used for groups alone, "on to the next group". */
static void emit_rule(struct program *g, const struct device_rule *r, unsigned type)
{
	if (r->any_major && r->any_minor)
		emit_jump(g, BPF_JEQ, R_TYPE, type);
	else if (r->any_major)
		emit_jump(g, BPF_JEQ, R_MINOR, r->minor);
	else if (r->any_minor)
		emit_jump(g, BPF_JEQ, R_MAJOR, r->major);
	else if (r->major < 1u << (32 - MINOR_BITS) &&
		 r->minor < 1u << MINOR_BITS) /* else there is no such device */
		emit_jump(g, BPF_JEQ, R_DEV, r->major << MINOR_BITS | r->minor);
}

static void emit_group(struct program *g, const struct device_policy *p, char letter, unsigned access)
{
	const unsigned type = letter == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR;
	const size_t start = g->n;

	for (size_t i = 0; i < p->n; i++) {
		if (p->rules[i].type != letter || access_of(&p->rules[i]) != access)
			continue;
		if (g->n == start) {
			emit_jump(g, BPF_JNE, R_TYPE, type);
			if (access != EVERY_ACCESS) {
				/*
				 * any access beyond the allowed leaves a bit; the context's register is free
				 * by now
				 */
				emit_move(g, BPF_REG_1, R_ACCESS);
				emit_alu(g, BPF_AND, BPF_REG_1, ~access);
				emit_jump(g, BPF_JNE, BPF_REG_1, 0);
			}
		}
		emit_rule(g, &p->rules[i], type);
	}
	land(g, start, BPF_JNE);
}

static void emit_all(struct program *g, const struct device_policy *p)
{
	emit_load(g, R_ACCESS, offsetof(struct bpf_cgroup_dev_ctx, access_type));
	emit_load(g, R_MAJOR, offsetof(struct bpf_cgroup_dev_ctx, major));
	emit_load(g, R_MINOR, offsetof(struct bpf_cgroup_dev_ctx, minor));
	emit_move(g, R_TYPE, R_ACCESS);
	emit_alu(g, BPF_AND, R_TYPE, 0xffff);
	emit_alu(g, BPF_RSH, R_ACCESS, 16);
	emit_move(g, R_DEV, R_MAJOR);
	emit_alu(g, BPF_LSH, R_DEV, MINOR_BITS);
	emit(g, (struct bpf_insn){ .code = BPF_ALU | BPF_OR | BPF_X, .dst_reg = R_DEV, .src_reg = R_MINOR });
	for (unsigned access = EVERY_ACCESS; access > 0; access--) {
		emit_group(g, p, 'c', access);
		emit_group(g, p, 'b', access);
	}
	emit_return(g, 0);
	land(g, 0, BPF_JEQ);
	emit_return(g, 1);
}

static int load(const struct program *g, struct kennel_error **err)
{
	union bpf_attr attr;
	int fd;

	memset(&attr, 0, sizeof(attr)); /* the kernel refuses stray bits anywhere in the union */
	attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	attr.insns = (uintptr_t)g->insns;
	attr.insn_cnt = (uint32_t)g->n;
	attr.license = (uintptr_t) "LGPL-2.1-or-later";
	memcpy(attr.prog_name, "kennel_device", sizeof("kennel_device"));
	fd = sys_bpf(BPF_PROG_LOAD, &attr, sizeof(attr));
	if (fd < 0) {
		int saved = errno, r = fail_errno(err, "load the device policy into the kernel");

		if (saved == EPERM)
			return hint(err, r,
				    "this takes root, or the capabilities BPF and NET_ADMIN; isolation "
				    "\"user\" needs no device policy");
		return hint(err, r,
			    "the kernel needs CONFIG_CGROUP_BPF; isolation \"user\" needs no device policy");
	}
	return fd;
}

int device_policy_attach_v2(const struct device_policy *p, int cgroup_fd, struct kennel_error **err)
{
	_cleanup_free_ struct bpf_insn *insns = NULL;
	_cleanup_close_ int prog_fd = -EBADF;
	struct program g = { 0 };
	union bpf_attr attr;

	if (p->n > RULES_MAX)
		return fail(err, KENNEL_E_LIMIT, "%zu device rules are more than %d", p->n, RULES_MAX);
	insns = calloc(PROLOGUE + GROUPS * PER_GROUP + p->n + EPILOGUE, sizeof(*insns));
	if (!insns)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	g.insns = insns;
	emit_all(&g, p);
	prog_fd = load(&g, err);
	if (prog_fd < 0)
		return prog_fd;
	memset(&attr, 0, sizeof(attr));
	attr.target_fd = (uint32_t)cgroup_fd;
	attr.attach_bpf_fd = (uint32_t)prog_fd;
	attr.attach_type = BPF_CGROUP_DEVICE;
	attr.attach_flags = BPF_F_ALLOW_MULTI;
	if (sys_bpf(BPF_PROG_ATTACH, &attr, sizeof(attr)) < 0) {
		int r = fail_errno(err, "attach the device policy to the control group");

		return hint(err, r,
			    "a group above may hold a device program that allows none below it "
			    "(bpftool cgroup tree)");
	}
	return 0;
}

#define ATTACHED_MAX 64 /* the kernel's limit for one group (BPF_CGROUP_MAX_PROGS) */

static int detach(int cgroup_fd, uint32_t id)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.prog_id = id;
	_cleanup_close_ int prog_fd = sys_bpf(BPF_PROG_GET_FD_BY_ID, &attr, sizeof(attr));
	if (prog_fd < 0)
		return errno == ENOENT ? 0 : -1; /* gone by itself */
	memset(&attr, 0, sizeof(attr));
	attr.target_fd = (uint32_t)cgroup_fd;
	attr.attach_bpf_fd = (uint32_t)prog_fd;
	attr.attach_type = BPF_CGROUP_DEVICE;
	return sys_bpf(BPF_PROG_DETACH, &attr, sizeof(attr));
}

int device_policy_replace_v2(const struct device_policy *p, int cgroup_fd, struct kennel_error **err)
{
	uint32_t ids[ATTACHED_MAX];
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.query.target_fd = (uint32_t)cgroup_fd;
	attr.query.attach_type = BPF_CGROUP_DEVICE;
	attr.query.prog_ids = (uintptr_t)ids;
	attr.query.prog_cnt = ATTACHED_MAX;
	if (sys_bpf(BPF_PROG_QUERY, &attr, sizeof(attr)) < 0)
		return fail_errno(err, "look at the device policy of the control group");
	const uint32_t n = attr.query.prog_cnt;
	if (!n)
		return 0;
	int r = device_policy_attach_v2(p, cgroup_fd, err);
	for (uint32_t i = 0; i < n && r == 0; i++)
		if (detach(cgroup_fd, ids[i]) < 0)
			r = fail_errno(err, "take the old device policy off the control group");
	return r < 0 ? r : 1;
}
