/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * seccomp/generate-rules.c - main of the generator: syscalls.list and an architecture's name in, C out.
 *
 *   generate-filter syscalls.list x86_64|aarch64 PREFIX > filter-data.c
 *
 * Names become numbers through libseccomp and numbers.h. A wrong list must never become a filter with a hole,
 * so everything odd stops the build: a name that no architecture has, a name listed twice, two sources that
 * disagree about a number.
 */
#include "generate.h"

#include "numbers.h"

#include <errno.h>
#include <linux/audit.h>
#include <seccomp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Pairs: the native entry, then the 32-bit one that the same kernel has. */
static const struct arch known_arches[] = {
	{ "x86_64", AUDIT_ARCH_X86_64, numbers_x86_64, COUNT(numbers_x86_64) },
	{ "i386", AUDIT_ARCH_I386, numbers_i386, COUNT(numbers_i386) },
	{ "aarch64", AUDIT_ARCH_AARCH64, NULL, 0 },
	{ "arm", AUDIT_ARCH_ARM, NULL, 0 },
};

_Noreturn void die(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	fputs("generate-filter: ", stderr);
	vfprintf(stderr, format, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(1);
}

static enum verdict verdict_named(const char *word)
{
	static const char *const names[V_NAMES] = {
		[V_ABSENT] = "absent",
		[V_REFUSE] = "refuse",
		[V_ALLOW] = "allow",
		[V_IOCTL] = "ioctl",
		[V_SOCKET] = "socket",
		[V_CLONE] = "clone",
		[V_PERSONALITY] = "personality",
		[V_GONE] = "gone",
	};

	for (int v = 0; v < V_NAMES; v++)
		if (!strcmp(names[v], word))
			return (enum verdict)v;
	die("unknown verdict \"%s\"", word);
}

/* "[plain | admin]" or "[both]" */
static void read_header(const char *line, enum verdict ret[VARIANT_COUNT])
{
	char plain[16], admin[16];
	int end = -1;

	if (sscanf(line, "[%15[a-z] | %15[a-z]]%n", plain, admin, &end) != 2 || end < 0) {
		if (sscanf(line, "[%15[a-z]]%n", plain, &end) != 1 || end < 0)
			die("not a header: %s", line);
		memcpy(admin, plain, sizeof(admin));
	}
	ret[PLAIN] = verdict_named(plain);
	ret[ADMIN] = verdict_named(admin);
}

static void add_rule(struct rules *rules, const char *name, const enum verdict verdict[VARIANT_COUNT])
{
	struct rule *r = &rules->rule[rules->count];

	for (size_t i = 0; i < rules->count; i++)
		if (!strcmp(rules->rule[i].name, name))
			die("%s stands in the list twice", name);
	if (rules->count == MAX_RULES || strlen(name) >= sizeof(r->name))
		die("no room for %s", name);
	memcpy(r->name, name, strlen(name) + 1);
	memcpy(r->verdict, verdict, sizeof(r->verdict));
	rules->count++;
}

void rules_read(const char *path, struct rules *ret)
{
	enum verdict verdict[VARIANT_COUNT];
	int in_group = 0;
	char line[512];
	FILE *f = fopen(path, "re");

	if (!f)
		die("open %s: %s", path, strerror(errno));
	ret->count = 0;
	while (fgets(line, sizeof(line), f)) {
		char *save = NULL;

		if (!strchr(line, '\n'))
			die("%s: line too long: %s", path, line);
		if (line[0] == '#' || line[0] == '\n')
			continue;
		if (line[0] == '[') {
			read_header(line, verdict);
			in_group = 1;
			continue;
		}
		if (line[0] != '\t' || !in_group)
			die("%s: names stand behind a tab, in a group: %s", path, line);
		for (char *w = strtok_r(line, " \t\n", &save); w; w = strtok_r(NULL, " \t\n", &save))
			add_rule(ret, w, verdict);
	}
	if (ferror(f))
		die("read %s: %s", path, strerror(errno));
	fclose(f);
}

static int look_up(const struct number *table, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(table[i].name, name))
			return table[i].nr;
	return -1;
}

/* The number, or negative where this architecture lacks the call. */
static int resolve(const struct arch *arch, const char *name)
{
	int theirs = seccomp_syscall_resolve_name_arch(arch->token, name);
	int ours = look_up(arch->own, arch->own_count, name);

	if (ours < 0)
		ours = look_up(numbers_all, COUNT(numbers_all), name);
	if (ours >= 0 && theirs >= 0 && ours != theirs)
		die("%s on %s: libseccomp says %d, numbers.h %d", name, arch->name, theirs, ours);
	return ours >= 0 ? ours : theirs;
}

void rules_check(const struct rules *rules, const struct arch *arches, size_t count)
{
	for (size_t i = 0; i < rules->count; i++) {
		int found = 0;

		for (size_t a = 0; a < count; a++)
			found |= resolve(&arches[a], rules->rule[i].name) >= 0;
		if (!found)
			die("no architecture has a call named %s", rules->rule[i].name);
	}
}

struct entry {
	uint32_t nr;
	enum verdict verdict;
	const char *name;
};

static int by_number(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return x->nr < y->nr ? -1 : x->nr > y->nr;
}

static void append(struct intervals *to, uint32_t first, enum verdict verdict)
{
	if (verdict == V_GONE)
		verdict = to->count && to->at[to->count - 1].verdict == V_ALLOW ? V_ALLOW : V_ABSENT;
	if (to->count && to->at[to->count - 1].verdict == verdict)
		return;
	if (to->count == MAX_INTERVALS)
		die("more than %d intervals", MAX_INTERVALS);
	to->at[to->count++] = (struct interval){ .first = first, .verdict = verdict };
}

void rules_to_intervals(const struct rules *rules, enum variant variant, const struct arch *arch,
			struct intervals *ret)
{
	static struct entry e[MAX_RULES];
	uint32_t next = 0;
	size_t n = 0;

	for (size_t i = 0; i < rules->count; i++) {
		int nr = resolve(arch, rules->rule[i].name);

		if (nr >= 0)
			e[n++] = (struct entry){ (uint32_t)nr, rules->rule[i].verdict[variant],
						 rules->rule[i].name };
	}
	qsort(e, n, sizeof(e[0]), by_number);
	ret->count = 0;
	for (size_t i = 0; i < n; i++) {
		if (i && e[i].nr == e[i - 1].nr)
			die("%s and %s are both %u on %s", e[i - 1].name, e[i].name, e[i].nr, arch->name);
		if (e[i].nr > next)
			append(ret, next, V_ABSENT);
		append(ret, e[i].nr, e[i].verdict);
		next = e[i].nr + 1;
	}
	append(ret, next, V_ABSENT);
}

int main(int argc, char **argv)
{
	static const char *const variant_names[VARIANT_COUNT] = { "plain", "admin" };
	static struct rules rules;
	const struct arch *arches = NULL;

	if (argc != 4)
		die("usage: generate-filter LIST x86_64|aarch64 PREFIX");
	for (size_t i = 0; i < COUNT(known_arches); i += 2)
		if (!strcmp(known_arches[i].name, argv[2]))
			arches = &known_arches[i];
	if (!arches)
		die("no table for architecture %s", argv[2]);
	rules_read(argv[1], &rules);
	rules_check(&rules, known_arches, COUNT(known_arches));
	printf("/* Made by generate-filter from syscalls.list for %s; do not edit. */\n", argv[2]);
	printf("#include \"seccomp/filter-data.h\"\n");
	for (int v = 0; v < VARIANT_COUNT; v++) {
		struct intervals in[2];
		char name[64];

		for (int a = 0; a < 2; a++)
			rules_to_intervals(&rules, (enum variant)v, &arches[a], &in[a]);
		snprintf(name, sizeof(name), "%s%s", argv[3], variant_names[v]);
		program_print(stdout, name, arches, in);
	}
	return fflush(stdout) || ferror(stdout);
}
