/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * seccomp/generate-program.c - from intervals of numbers to the cheapest BPF program that tells them apart.
 *
 * Loading a filter costs far more than running it. For each number below NR_syscalls, of the native and of
 * the 32-bit entry, the kernel steps through the program once to learn which calls are always allowed and
 * need no run later (seccomp_is_const_allow(), Linux 5.11). Measured: one step for one number 4 ns, so one
 * more step for all of them 3.7 us; one more instruction to translate 0.2 us; any filter at all 17 us. A
 * linear list of 400 takes 1500 us for its steps alone; what this makes out of the whole list, 65 to 80.
 *
 * So the tree is not balanced by instructions but by numbers: among all search trees over the intervals in
 * order, the one with the fewest steps over all numbers, where an instruction counts as much as
 * INSTRUCTION_COST steps (dynamic programming; from 50 to 400 makes no difference that can be measured). A
 * run of single exceptions in one verdict is a row of JEQs, half of what a tree would take.
 *
 * Jumps go forward only and reach 255 instructions, so each architecture has its own verdicts behind its own
 * tree.
 */
#include "generate.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>

enum {
	INSTRUCTION_COST = 150,
	/* A call with an argument check is never in the kernel's table of allowed ones: each use pays. */
	CHECKED_WEIGHT = 40,
	NUMBERS_EMULATED = 480, /* about NR_syscalls */
	MAX_INSNS = 600,
	MAX_LABELS = 700,
	NEXT = 0, /* label: the instruction that follows */
	ROW = -1, /* as a split: the range is a row of exceptions */
};

struct insn {
	uint16_t code;
	uint32_t k;
	int yes, no; /* labels */
};

struct program {
	struct insn insn[MAX_INSNS];
	int count;
	int label_at[MAX_LABELS];
	int label_count;
	int verdict_label[V_COUNT];
};

struct plan {
	const struct intervals *in;
	uint64_t weight[MAX_INTERVALS];
	uint64_t cost[MAX_INTERVALS][MAX_INTERVALS];
	int split[MAX_INTERVALS][MAX_INTERVALS]; /* last interval of the left part, or ROW */
};

static void emit(struct program *p, uint16_t code, uint32_t k, int yes, int no)
{
	if (p->count == MAX_INSNS)
		die("more than %d instructions", MAX_INSNS);
	p->insn[p->count++] = (struct insn){ .code = code, .k = k, .yes = yes, .no = no };
}

static int new_label(struct program *p)
{
	if (p->label_count == MAX_LABELS)
		die("more than %d labels", MAX_LABELS);
	return p->label_count++;
}

static void place_label(struct program *p, int label)
{
	p->label_at[label] = p->count;
}

static uint64_t interval_weight(const struct intervals *in, size_t i)
{
	uint64_t end = i + 1 < in->count ? in->at[i + 1].first : UINT32_MAX;
	uint64_t first = in->at[i].first, w = 1;

	if (end > NUMBERS_EMULATED)
		end = NUMBERS_EMULATED;
	if (end > first)
		w = end - first;
	return in->at[i].verdict > V_ALLOW ? w + CHECKED_WEIGHT : w;
}

static bool interval_is_single(const struct intervals *in, size_t i)
{
	return i + 1 < in->count && in->at[i + 1].first == in->at[i].first + 1;
}

/* Is i..j one verdict with single numbers of others in it? */
static bool range_is_row(const struct intervals *in, size_t i, size_t j)
{
	if (i == j || (j - i) % 2)
		return false;
	for (size_t m = i; m <= j; m++)
		if ((m - i) % 2 ? !interval_is_single(in, m) : in->at[m].verdict != in->at[i].verdict)
			return false;
	return true;
}

static uint64_t row_cost(const struct plan *plan, size_t i, size_t j, uint64_t total)
{
	uint64_t cost = 0;

	for (size_t m = i + 1; m < j; m += 2) {
		cost += total + INSTRUCTION_COST;
		total -= plan->weight[m];
	}
	return cost;
}

static void plan_range(struct plan *plan, size_t i, size_t j)
{
	uint64_t total = 0, best = UINT64_MAX;

	for (size_t m = i; m <= j; m++)
		total += plan->weight[m];
	if (range_is_row(plan->in, i, j)) {
		best = row_cost(plan, i, j, total);
		plan->split[i][j] = ROW;
	}
	for (size_t m = i; m < j; m++) {
		uint64_t cost = total + INSTRUCTION_COST + plan->cost[i][m] + plan->cost[m + 1][j];

		if (cost < best) {
			best = cost;
			plan->split[i][j] = (int)m;
		}
	}
	plan->cost[i][j] = best;
}

static void plan_tree(struct plan *plan, const struct intervals *in)
{
	plan->in = in;
	for (size_t i = 0; i < in->count; i++) {
		plan->weight[i] = interval_weight(in, i);
		plan->cost[i][i] = 0;
	}
	for (size_t len = 1; len < in->count; len++)
		for (size_t i = 0; i + len < in->count; i++)
			plan_range(plan, i, i + len);
}

static void emit_tree(struct program *p, const struct plan *plan, size_t i, size_t j)
{
	const struct interval *at = plan->in->at;
	int split = plan->split[i][j], left = NEXT, right;

	if (split == ROW) {
		for (size_t m = i + 1; m < j; m += 2)
			emit(p, BPF_JMP | BPF_JEQ | BPF_K, at[m].first, p->verdict_label[at[m].verdict],
			     m + 2 < j ? NEXT : p->verdict_label[at[i].verdict]);
		return;
	}
	if ((size_t)split == i)
		left = p->verdict_label[at[i].verdict];
	right = (size_t)split + 1 == j ? p->verdict_label[at[j].verdict] : new_label(p);
	emit(p, BPF_JMP | BPF_JGE | BPF_K, at[split + 1].first, right, left);
	if ((size_t)split > i)
		emit_tree(p, plan, i, (size_t)split);
	if ((size_t)split + 1 < j) {
		place_label(p, right);
		emit_tree(p, plan, (size_t)split + 1, j);
	}
}

enum {
	/*
	 * The low half of an argument on little endian. The kernel takes these arguments as 32 bits wide, so
	 * the high half is what a caller sets to get past a 64-bit comparison: CVE-2019-10063.
	 */
	ARG0 = offsetof(struct seccomp_data, args[0]),
	ARG1 = offsetof(struct seccomp_data, args[1]),
	ARG_TIOCSTI = 0x5412,
	ARG_TIOCLINUX = 0x541C,
	ARG_AF_ALG = 38,
	ARG_AF_VSOCK = 40,
	/*
	 * NEWNS NEWCGROUP NEWUTS NEWIPC NEWUSER NEWPID NEWNET; and NEWTIME, which clone reads as a part of
	 * the exit signal, where it is none that exists.
	 */
	ARG_NAMESPACES = 0x7E020080,
	ARG_PERSONALITY_BITS = 0x00020008, /* UNAME26 | PER_LINUX32 */
	ERR_PERM = 1,
	ERR_NOSYS = 38,
	ERR_AFNOSUPPORT = 97,
};

static void emit_load(struct program *p, uint32_t offset)
{
	emit(p, BPF_LD | BPF_W | BPF_ABS, offset, NEXT, NEXT);
}

static void emit_return(struct program *p, uint32_t value)
{
	emit(p, BPF_RET | BPF_K, value, NEXT, NEXT);
}

/* Checks first, then the verdicts that they jump to. */
static void emit_verdicts(struct program *p)
{
	const int *to = p->verdict_label;
	int no_family = new_label(p);

	place_label(p, to[V_IOCTL]);
	emit_load(p, ARG1);
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, ARG_TIOCSTI, to[V_REFUSE], NEXT);
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, ARG_TIOCLINUX, to[V_REFUSE], to[V_ALLOW]);

	place_label(p, to[V_SOCKET]);
	emit_load(p, ARG0);
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, ARG_AF_ALG, no_family, NEXT);
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, ARG_AF_VSOCK, no_family, to[V_ALLOW]);
	place_label(p, no_family);
	emit_return(p, SECCOMP_RET_ERRNO | ERR_AFNOSUPPORT);

	place_label(p, to[V_CLONE]);
	emit_load(p, ARG0);
	emit(p, BPF_JMP | BPF_JSET | BPF_K, ARG_NAMESPACES, to[V_REFUSE], to[V_ALLOW]);

	place_label(p, to[V_PERSONALITY]);
	emit_load(p, ARG0);
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0xffffffff, to[V_ALLOW], NEXT); /* asks what it is */
	emit(p, BPF_JMP | BPF_JSET | BPF_K, ~(uint32_t)ARG_PERSONALITY_BITS, to[V_REFUSE], to[V_ALLOW]);

	place_label(p, to[V_ALLOW]);
	emit_return(p, SECCOMP_RET_ALLOW);
	place_label(p, to[V_REFUSE]);
	emit_return(p, SECCOMP_RET_ERRNO | ERR_PERM);
	place_label(p, to[V_ABSENT]);
	emit_return(p, SECCOMP_RET_ERRNO | ERR_NOSYS);
}

static void emit_arch(struct program *p, const struct intervals *in)
{
	static struct plan plan;

	plan_tree(&plan, in);
	for (int v = 0; v < V_COUNT; v++)
		p->verdict_label[v] = new_label(p);
	emit_load(p, offsetof(struct seccomp_data, nr));
	emit_tree(p, &plan, 0, in->count - 1);
	emit_verdicts(p);
}

static unsigned jump_distance(const struct program *p, int from, int label)
{
	int distance = label == NEXT ? 0 : p->label_at[label] - (from + 1);

	if (distance < 0 || distance > 255)
		die("a jump of %d: the program has outgrown 8 bits, give it trampolines", distance);
	return (unsigned)distance;
}

void program_print(FILE *out, const char *name, const struct arch arches[2], const struct intervals in[2])
{
	static struct program p;
	int compat, compat_body;

	p = (struct program){ .label_count = NEXT + 1 };
	compat = new_label(&p);
	compat_body = new_label(&p);
	emit_load(&p, offsetof(struct seccomp_data, arch));
	emit(&p, BPF_JMP | BPF_JEQ | BPF_K, arches[0].token, NEXT, compat);
	emit_arch(&p, &in[0]);
	place_label(&p, compat);
	emit(&p, BPF_JMP | BPF_JEQ | BPF_K, arches[1].token, compat_body, NEXT);
	/* Neither entry: no such kernel exists, and should one come it must find no open door. */
	emit_return(&p, SECCOMP_RET_KILL_PROCESS);
	place_label(&p, compat_body);
	emit_arch(&p, &in[1]);

	fprintf(out, "\n/* %d instructions; %zu intervals on %s, %zu on %s */\n", p.count, in[0].count,
		arches[0].name, in[1].count, arches[1].name);
	fprintf(out, "static const struct sock_filter %s_code[] = {\n", name);
	for (int i = 0; i < p.count; i++)
		fprintf(out, "\t{ 0x%02x, %u, %u, 0x%08x },\n", p.insn[i].code,
			jump_distance(&p, i, p.insn[i].yes), jump_distance(&p, i, p.insn[i].no), p.insn[i].k);
	fprintf(out, "};\nconst struct sock_fprog %s = { %d, (struct sock_filter *)%s_code };\n", name,
		p.count, name);
}
