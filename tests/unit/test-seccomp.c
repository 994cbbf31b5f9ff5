/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit/test-seccomp.c - the filters, first by interpreting them, then by loading them.
 *
 * The interpreter below runs the programs of all four entries (x86_64, i386, aarch64, arm) on any machine.
 * What is expected is written as numbers out of the kernel's tables, not as names, so a wrong number in the
 * generator can't hide behind itself. Loaded filters are tried in a child that is thrown away; the 32-bit
 * entry of x86 is reached with int $0x80.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/macro.h"
#include "seccomp/filter-data.h"
#include "seccomp/filter.h"
#include "sys/sys.h"

#if defined(__x86_64__) || defined(__aarch64__)

extern const struct sock_fprog seccomp_other_plain, seccomp_other_admin;

#define OK SECCOMP_RET_ALLOW
#define PERM (SECCOMP_RET_ERRNO | EPERM)
#define NOSYS (SECCOMP_RET_ERRNO | ENOSYS)
#define NOFAMILY (SECCOMP_RET_ERRNO | EAFNOSUPPORT)
#define KILL SECCOMP_RET_KILL_PROCESS
#define EITHER 1u /* the kernel has no such call: allowed or absent */

#define X64 AUDIT_ARCH_X86_64
#define X32BIT 0x40000000u
#define I386 AUDIT_ARCH_I386
#define A64 AUDIT_ARCH_AARCH64
#define ARM AUDIT_ARCH_ARM
#define HIGH 0xdeadbeef00000000u /* what the kernel does not look at in a 32-bit argument */

static const struct sock_fprog *program(uint32_t arch, bool admin)
{
#ifdef __x86_64__
	bool native = arch == X64 || arch == I386;
#else
	bool native = arch == A64 || arch == ARM;
#endif
	if (native)
		return seccomp_filter(admin ? UINT64_C(1) << CAP_SYS_ADMIN : 0);
	return admin ? &seccomp_other_admin : &seccomp_other_plain;
}

/* The kernel's rules: 32-bit loads from seccomp_data, forward jumps. Anything else fails the test. */
static uint32_t interpret(const struct sock_fprog *prog, const struct seccomp_data *data, unsigned *ret_steps)
{
	uint32_t a = 0;

	*ret_steps = 0;
	for (unsigned pc = 0; pc < prog->len; pc++) {
		const struct sock_filter *i = &prog->filter[pc];
		bool yes;

		++*ret_steps;
		switch (i->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			assert_true(i->k + 4 <= sizeof(*data) && i->k % 4 == 0);
			memcpy(&a, (const char *)data + i->k, 4);
			continue;
		case BPF_RET | BPF_K:
			return i->k;
		case BPF_JMP | BPF_JEQ | BPF_K:
			yes = a == i->k;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			yes = a >= i->k;
			break;
		case BPF_JMP | BPF_JSET | BPF_K:
			yes = a & i->k;
			break;
		default:
			fail_msg("instruction %u has code %#x", pc, i->code);
			return 0;
		}
		pc += yes ? i->jt : i->jf;
	}
	fail_msg("ran past the end");
	return 0;
}

static uint32_t verdict(bool admin, uint32_t arch, uint32_t nr, uint64_t arg0, uint64_t arg1)
{
	const struct seccomp_data data = { .nr = (int)nr, .arch = arch, .args = { arg0, arg1 } };
	unsigned steps;

	return interpret(program(arch, admin), &data, &steps);
}

static void expect(bool admin, uint32_t arch, uint32_t nr, uint64_t arg0, uint64_t arg1, uint32_t want)
{
	uint32_t got = verdict(admin, arch, nr, arg0, arg1);

	if (got != want && !(want == EITHER && (got == OK || got == NOSYS)))
		fail_msg("%s, arch %#x, nr %u, args %#llx %#llx: %#x, not %#x", admin ? "admin" : "plain",
			 arch, nr, (unsigned long long)arg0, (unsigned long long)arg1, got, want);
}

struct range {
	uint32_t first, last, plain, admin;
};

/* Of arch, what is not in the table must be allowed; with arguments of 0 all argument checks pass. */
static void check_whole_table(uint32_t arch, const struct range *table, size_t count)
{
	for (uint32_t nr = 0; nr <= 2000; nr++) {
		struct range want = { nr, nr, OK, OK };

		for (size_t i = 0; i < count; i++)
			if (nr >= table[i].first && nr <= table[i].last)
				want = table[i];
		expect(false, arch, nr, 0, 0, want.plain);
		expect(true, arch, nr, 0, 0, want.admin);
	}
}

static void test_filter_x86_64_every_number(void **state)
{
	static const struct range table[] = {
		{ 103, 103, PERM, PERM }, /* syslog */
		{ 134, 134, NOSYS, NOSYS }, /* uselib */
		{ 136, 136, NOSYS, NOSYS }, /* ustat */
		{ 139, 139, NOSYS, NOSYS }, /* sysfs */
		{ 155, 155, PERM, OK }, /* pivot_root */
		{ 156, 156, EITHER, EITHER }, /* _sysctl */
		{ 163, 164, PERM, PERM }, /* acct, settimeofday */
		{ 165, 166, PERM, OK }, /* mount, umount2 */
		{ 167, 168, PERM, PERM }, /* swapon, swapoff */
		{ 169, 169, OK, OK }, /* reboot, of a pid namespace */
		{ 170, 171, PERM, OK }, /* sethostname, setdomainname */
		{ 172, 173, PERM, PERM }, /* iopl, ioperm */
		{ 174, 174, EITHER, EITHER }, /* create_module */
		{ 175, 176, PERM, PERM }, /* init_module, delete_module */
		{ 177, 178, EITHER, EITHER }, { 179, 180, PERM, PERM }, /* quotactl, nfsservctl */
		{ 181, 185, EITHER, EITHER }, { 212, 212, PERM, PERM }, /* lookup_dcookie */
		{ 214, 215, EITHER, EITHER }, { 227, 227, PERM, PERM }, /* clock_settime */
		{ 236, 236, EITHER, EITHER }, { 246, 246, PERM, PERM }, /* kexec_load */
		{ 248, 250, NOSYS, NOSYS }, /* add_key, request_key, keyctl */
		{ 256, 256, PERM, PERM }, /* migrate_pages */
		{ 279, 279, PERM, PERM }, /* move_pages */
		{ 298, 298, PERM, PERM }, /* perf_event_open */
		{ 300, 300, PERM, OK }, /* fanotify_init */
		{ 304, 304, PERM, PERM }, /* open_by_handle_at */
		{ 308, 308, PERM, OK }, /* setns */
		{ 313, 313, PERM, PERM }, /* finit_module */
		{ 320, 321, PERM, PERM }, /* kexec_file_load, bpf */
		{ 323, 323, PERM, PERM }, /* userfaultfd */
		{ 337, 423, NOSYS, NOSYS }, /* a hole in the table */
		{ 425, 427, PERM, PERM }, /* io_uring_* */
		{ 428, 433, PERM, OK }, /* open_tree to fspick */
		{ 435, 435, NOSYS, OK }, /* clone3 */
		{ 442, 442, PERM, OK }, /* mount_setattr */
		{ 443, 443, PERM, PERM }, /* quotactl_fd */
		{ 467, 467, PERM, OK }, /* open_tree_attr */
		{ 472, 2000, NOSYS, NOSYS },
	};

	(void)state;
	check_whole_table(X64, table, ARRAY_SIZE(table));
}

static void test_filter_i386_every_number(void **state)
{
	static const struct range table[] = {
		{ 17, 17, EITHER, EITHER },   { 21, 22, PERM, OK }, /* mount, umount */
		{ 25, 25, PERM, PERM }, /* stime */
		{ 31, 32, EITHER, EITHER },   { 35, 35, EITHER, EITHER },
		{ 44, 44, EITHER, EITHER },   { 51, 51, PERM, PERM }, /* acct */
		{ 52, 52, PERM, OK }, /* umount2 */
		{ 53, 53, EITHER, EITHER },   { 56, 56, EITHER, EITHER },
		{ 58, 58, EITHER, EITHER },   { 62, 62, NOSYS, NOSYS }, /* ustat */
		{ 74, 74, PERM, OK }, /* sethostname */
		{ 79, 79, PERM, PERM }, /* settimeofday */
		{ 86, 86, NOSYS, NOSYS }, /* uselib */
		{ 87, 87, PERM, PERM }, /* swapon */
		{ 88, 88, OK, OK }, /* reboot, of a pid namespace */
		{ 98, 98, EITHER, EITHER },   { 101, 101, PERM, PERM }, /* ioperm */
		{ 103, 103, PERM, PERM }, /* syslog */
		{ 110, 110, PERM, PERM }, /* iopl */
		{ 112, 112, EITHER, EITHER }, { 113, 113, PERM, PERM }, /* vm86old */
		{ 115, 115, PERM, PERM }, /* swapoff */
		{ 121, 121, PERM, OK }, /* setdomainname */
		{ 127, 127, EITHER, EITHER }, { 128, 129, PERM, PERM }, /* init_module, delete_module */
		{ 130, 130, EITHER, EITHER }, { 131, 131, PERM, PERM }, /* quotactl */
		{ 134, 135, NOSYS, NOSYS }, /* bdflush, sysfs */
		{ 137, 137, EITHER, EITHER }, { 149, 149, EITHER, EITHER },
		{ 166, 166, PERM, PERM }, /* vm86 */
		{ 167, 167, EITHER, EITHER }, { 169, 169, PERM, PERM }, /* nfsservctl */
		{ 188, 189, EITHER, EITHER }, { 217, 217, PERM, OK }, /* pivot_root */
		{ 222, 223, NOSYS, NOSYS },   { 251, 251, NOSYS, NOSYS },
		{ 253, 253, PERM, PERM }, /* lookup_dcookie */
		{ 264, 264, PERM, PERM }, /* clock_settime */
		{ 273, 273, EITHER, EITHER }, { 283, 283, PERM, PERM }, /* kexec_load */
		{ 285, 288, NOSYS, NOSYS }, /* a hole, add_key, request_key, keyctl */
		{ 294, 294, PERM, PERM }, /* migrate_pages */
		{ 317, 317, PERM, PERM }, /* move_pages */
		{ 336, 336, PERM, PERM }, /* perf_event_open */
		{ 338, 338, PERM, OK }, /* fanotify_init */
		{ 342, 342, PERM, PERM }, /* open_by_handle_at */
		{ 346, 346, PERM, OK }, /* setns */
		{ 350, 350, PERM, PERM }, /* finit_module */
		{ 357, 357, PERM, PERM }, /* bpf */
		{ 374, 374, PERM, PERM }, /* userfaultfd */
		{ 387, 392, NOSYS, NOSYS },   { 404, 404, PERM, PERM }, /* clock_settime64 */
		{ 415, 415, NOSYS, NOSYS },   { 425, 427, PERM, PERM },
		{ 428, 433, PERM, OK },	      { 435, 435, NOSYS, OK },
		{ 442, 442, PERM, OK },	      { 443, 443, PERM, PERM },
		{ 467, 467, PERM, OK },	      { 472, 2000, NOSYS, NOSYS },
	};

	(void)state;
	check_whole_table(I386, table, ARRAY_SIZE(table));
}

static void test_filter_new_calls_have_one_number_everywhere(void **state)
{
	static const uint32_t arches[] = { X64, I386, A64, ARM };
	static const struct range table[] = {
		{ 424, 424, OK, OK },	    { 425, 427, PERM, PERM }, { 428, 433, PERM, OK },
		{ 434, 434, OK, OK },	    { 435, 435, NOSYS, OK },  { 436, 441, OK, OK },
		{ 442, 442, PERM, OK },	    { 443, 443, PERM, PERM }, { 444, 446, OK, OK },
		{ 448, 466, OK, OK },	    { 467, 467, PERM, OK },   { 468, 471, OK, OK },
		{ 472, 600, NOSYS, NOSYS },
	};

	(void)state;
	for (size_t a = 0; a < ARRAY_SIZE(arches); a++)
		for (size_t i = 0; i < ARRAY_SIZE(table); i++)
			for (uint32_t nr = table[i].first; nr <= table[i].last; nr++) {
				expect(false, arches[a], nr, 0, 0, table[i].plain);
				expect(true, arches[a], nr, 0, 0, table[i].admin);
			}
}

struct call {
	uint32_t arch, nr;
	uint64_t arg0, arg1;
	uint32_t plain, admin;
};

static void check_calls(const struct call *c, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		expect(false, c[i].arch, c[i].nr, c[i].arg0, c[i].arg1, c[i].plain);
		expect(true, c[i].arch, c[i].nr, c[i].arg0, c[i].arg1, c[i].admin);
	}
}

static void test_filter_terminal_input_is_refused_on_the_low_half(void **state)
{
	static const struct {
		uint32_t arch, ioctl;
	} entry[] = { { X64, 16 }, { I386, 54 }, { A64, 29 }, { ARM, 54 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(entry); i++) {
		const struct call table[] = {
			{ entry[i].arch, entry[i].ioctl, 0, 0x5412, PERM, PERM },
			{ entry[i].arch, entry[i].ioctl, 0, 0x541c, PERM, PERM },
			{ entry[i].arch, entry[i].ioctl, 0, HIGH | 0x5412, PERM, PERM },
			{ entry[i].arch, entry[i].ioctl, 0, HIGH | 0x541c, PERM, PERM },
			{ entry[i].arch, entry[i].ioctl, 0x5412, 0x5413, OK, OK }, /* TIOCGWINSZ */
			{ entry[i].arch, entry[i].ioctl, 0, 0x5401, OK, OK }, /* TCGETS */
			{ entry[i].arch, entry[i].ioctl, 0, 0x15412, OK, OK },
			{ entry[i].arch, entry[i].ioctl, 0, 0xffffffff, OK, OK },
		};

		check_calls(table, ARRAY_SIZE(table));
	}
}

static void test_filter_new_namespaces_need_admin(void **state)
{
	static const struct {
		uint32_t arch, clone, unshare;
	} entry[] = {
		{ X64, 56, 272 },
		{ I386, 120, 310 },
		{ A64, 220, 97 },
		{ ARM, 120, 337 },
	};
	static const uint64_t refused[] = { CLONE_NEWNS,     CLONE_NEWUTS, CLONE_NEWIPC,
					    CLONE_NEWUSER,   CLONE_NEWPID, CLONE_NEWNET,
					    CLONE_NEWCGROUP, 0x80 /* CLONE_NEWTIME */ };
	static const uint64_t allowed[] = { 0,
					    SIGCHLD,
					    CLONE_VM | CLONE_VFORK | SIGCHLD,
					    CLONE_FS,
					    CLONE_FILES,
					    CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
						    CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID |
						    CLONE_CHILD_CLEARTID,
					    CLONE_PIDFD | SIGCHLD,
					    HIGH };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(entry); i++) {
		for (size_t f = 0; f < ARRAY_SIZE(refused); f++) {
			expect(false, entry[i].arch, entry[i].clone, refused[f] | SIGCHLD, 0, PERM);
			expect(false, entry[i].arch, entry[i].unshare, HIGH | refused[f], 0, PERM);
			expect(true, entry[i].arch, entry[i].clone, refused[f] | SIGCHLD, 0, OK);
			expect(true, entry[i].arch, entry[i].unshare, refused[f], 0, OK);
		}
		for (size_t f = 0; f < ARRAY_SIZE(allowed); f++) {
			expect(false, entry[i].arch, entry[i].clone, allowed[f], 0, OK);
			expect(false, entry[i].arch, entry[i].unshare, allowed[f], 0, OK);
		}
	}
}

static void test_filter_socket_families_and_personality(void **state)
{
	static const struct {
		uint32_t arch, socket, personality;
	} entry[] = {
		{ X64, 41, 135 },
		{ I386, 359, 136 },
		{ A64, 198, 92 },
		{ ARM, 281, 136 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(entry); i++) {
		const uint32_t a = entry[i].arch, s = entry[i].socket, p = entry[i].personality;
		const struct call table[] = {
			{ a, s, 1, 1, OK, OK }, /* AF_UNIX */
			{ a, s, 2, 1, OK, OK }, /* AF_INET */
			{ a, s, 10, 1, OK, OK }, /* AF_INET6 */
			{ a, s, 16, 3, OK, OK }, /* AF_NETLINK */
			{ a, s, 17, 3, OK, OK }, /* AF_PACKET */
			{ a, s, 39, 1, OK, OK }, /* AF_NFC, between the two */
			{ a, s, 38, 5, NOFAMILY, NOFAMILY }, /* AF_ALG */
			{ a, s, 40, 1, NOFAMILY, NOFAMILY }, /* AF_VSOCK */
			{ a, s, HIGH | 40, 1, NOFAMILY, NOFAMILY },
			{ a, p, 0, 0, OK, OK },
			{ a, p, 8, 0, OK, OK }, /* PER_LINUX32 */
			{ a, p, 0x20000, 0, OK, OK }, /* UNAME26 */
			{ a, p, 0x20008, 0, OK, OK },
			{ a, p, 0xffffffff, 0, OK, OK },
			{ a, p, HIGH | 0xffffffff, 0, OK, OK },
			{ a, p, 0x40000, 0, PERM, PERM }, /* ADDR_NO_RANDOMIZE */
			{ a, p, 0x100000, 0, PERM, PERM }, /* MMAP_PAGE_ZERO */
			{ a, p, HIGH | 0x400000, 0, PERM, PERM }, /* READ_IMPLIES_EXEC */
			{ a, p, 0xfffffffe, 0, PERM, PERM },
			{ a, p, 1, 0, PERM, PERM },
		};

		check_calls(table, ARRAY_SIZE(table));
	}
}

static void test_filter_arm_tables(void **state)
{
	static const struct call table[] = {
		{ A64, 56, 0, 0, OK, OK }, /* openat */
		{ A64, 51, 0, 0, OK, OK }, /* chroot */
		{ A64, 117, 0, 0, OK, OK }, /* ptrace */
		{ A64, 221, 0, 0, OK, OK }, /* execve */
		{ A64, 260, 0, 0, OK, OK }, /* wait4 */
		{ A64, 40, 0, 0, PERM, OK }, /* mount */
		{ A64, 41, 0, 0, PERM, OK }, /* pivot_root */
		{ A64, 268, 0, 0, PERM, OK }, /* setns */
		{ A64, 280, 0, 0, PERM, PERM }, /* bpf */
		{ A64, 265, 0, 0, PERM, PERM }, /* open_by_handle_at */
		{ A64, 219, 0, 0, NOSYS, NOSYS }, /* keyctl */
		{ A64, 244, 0, 0, NOSYS, NOSYS }, /* a hole */
		{ ARM, 5, 0, 0, OK, OK }, /* open */
		{ ARM, 11, 0, 0, OK, OK }, /* execve */
		{ ARM, 21, 0, 0, PERM, OK }, /* mount */
		{ ARM, 52, 0, 0, PERM, OK }, /* umount2 */
		{ ARM, 371, 0, 0, PERM, PERM }, /* open_by_handle_at */
		{ ARM, 0xf0002, 0, 0, OK, OK }, /* cacheflush */
		{ ARM, 0xf0005, 0, 0, OK, OK }, /* set_tls */
		{ ARM, 0xf0003, 0, 0, NOSYS, NOSYS },
		{ ARM, 0xf0007, 0, 0, NOSYS, NOSYS },
	};

	(void)state;
	check_calls(table, ARRAY_SIZE(table));
}

static void test_filter_foreign_entries_and_numbers(void **state)
{
	static const uint32_t arches[] = { X64, I386, A64, ARM };

	(void)state;
	for (int admin = 0; admin <= 1; admin++) {
		for (uint32_t nr = 0; nr < 1024; nr++)
			expect(admin, X64, X32BIT | nr, 0, 0, NOSYS);
		for (size_t i = 0; i < ARRAY_SIZE(arches); i++) {
			expect(admin, arches[i], 0xffffffff, 0, 0, NOSYS);
			expect(admin, arches[i], 0x80000000, 0, 0, NOSYS);
			expect(admin, arches[i], 9999, 0, 0, NOSYS);
		}
	}
	for (int admin = 0; admin <= 1; admin++) {
		const struct seccomp_data data = { .nr = 0, .arch = AUDIT_ARCH_S390X };
		unsigned steps;

		assert_int_equal(interpret(program(X64, admin), &data, &steps), KILL);
		assert_int_equal(interpret(program(A64, admin), &data, &steps), KILL);
	}
}

/* Loading walks each number through the program, so a start pays for its length and its paths. */
static void test_filter_stays_small(void **state)
{
	static const uint32_t arches[] = { X64, I386, A64, ARM };

	(void)state;
	for (int admin = 0; admin <= 1; admin++) {
		for (size_t i = 0; i < ARRAY_SIZE(arches); i++) {
			const struct sock_fprog *prog = program(arches[i], admin);
			unsigned long sum = 0;

			assert_true(prog->len <= 220);
			for (int nr = 0; nr < 480; nr++) {
				const struct seccomp_data data = { .nr = nr, .arch = arches[i] };
				unsigned steps;

				(void)interpret(prog, &data, &steps);
				assert_true(steps <= 24);
				sum += steps;
			}
			assert_true(sum / 480 < 14);
		}
	}
}

/* A child under the filter runs body and exits with its result: 0, or the number of the check that failed. */
static int under_filter(bool admin, int (*body)(void))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
			_exit(250);
		if (sys_seccomp_load(seccomp_filter(admin ? UINT64_C(1) << CAP_SYS_ADMIN : 0)) < 0)
			_exit(251);
		_exit(body());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* Fails the body with number n, which names the check. */
#define CHECK_ERRNO(n, call, want) \
	do { \
		errno = 0; \
		if ((call) != -1 || errno != (want)) \
			return (n); \
	} while (0)

static int body_both(void)
{
	CHECK_ERRNO(1, syscall(SYS_ioctl, 0, 0x5412UL, "x"), EPERM);
	CHECK_ERRNO(2, syscall(SYS_ioctl, 0, 0xdead00000000UL | 0x5412, "x"), EPERM);
	CHECK_ERRNO(3, syscall(SYS_ioctl, 0, 0xdead00000000UL | 0x541c, "x"), EPERM);
	CHECK_ERRNO(4, syscall(SYS_ioctl, -1, 0x5413UL, 0), EBADF);
	CHECK_ERRNO(5, syscall(9999), ENOSYS);
	CHECK_ERRNO(6, syscall(SYS_keyctl, 0, -3, 0), ENOSYS);
	CHECK_ERRNO(7, syscall(SYS_bpf, 0, NULL, 0), EPERM);
	CHECK_ERRNO(8, syscall(425 /* io_uring_setup */, 0, NULL), EPERM);
	CHECK_ERRNO(9, socket(AF_VSOCK, SOCK_STREAM, 0), EAFNOSUPPORT);
	CHECK_ERRNO(10, socket(AF_ALG, SOCK_SEQPACKET, 0), EAFNOSUPPORT);
	CHECK_ERRNO(11, syscall(SYS_clock_settime, 0, NULL), EPERM);
	CHECK_ERRNO(12, syscall(SYS_open_by_handle_at, -1, NULL, 0), EPERM);
	CHECK_ERRNO(13, chroot("/nonexistent"), ENOENT);
	CHECK_ERRNO(14, syscall(SYS_ptrace, 12345, 0, 0, 0), ESRCH);
	if (socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0)
		return 15;
#ifdef __x86_64__
	CHECK_ERRNO(16, syscall(X32BIT | 39), ENOSYS);
#endif
	return 0;
}

static int body_plain(void)
{
	CHECK_ERRNO(20, syscall(SYS_mount, "a", "b", "c", 0, NULL), EPERM);
	CHECK_ERRNO(21, syscall(430 /* fsopen */, "nosuchfs", 0), EPERM);
	CHECK_ERRNO(22, unshare(CLONE_NEWUSER), EPERM);
	CHECK_ERRNO(23, syscall(435 /* clone3 */, NULL, 0), ENOSYS);
	CHECK_ERRNO(24, syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL), EPERM);
	CHECK_ERRNO(25, sethostname("", 0), EPERM);
	if (unshare(CLONE_FS | CLONE_FILES) < 0)
		return 26;
	return 0;
}

static int body_admin(void)
{
	CHECK_ERRNO(30, syscall(430 /* fsopen */, "nosuchfs", 0), geteuid() ? EPERM : ENODEV);
	CHECK_ERRNO(31, syscall(435 /* clone3 */, NULL, 0), EINVAL);
	CHECK_ERRNO(32, syscall(SYS_setns, -1, 0), EBADF);
	return 0;
}

static void test_filter_loaded_answers(void **state)
{
	(void)state;
	assert_int_equal(under_filter(false, body_both), 0);
	assert_int_equal(under_filter(true, body_both), 0);
	assert_int_equal(under_filter(false, body_plain), 0);
	assert_int_equal(under_filter(true, body_admin), 0);
}

/* A terminal whose input can be counted; its other end stays open in *ret_master_fd. */
static int open_raw_terminal(int *ret_master_fd)
{
	struct termios raw;
	int slave_fd;

	*ret_master_fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (*ret_master_fd < 0 || grantpt(*ret_master_fd) < 0 || unlockpt(*ret_master_fd) < 0)
		return -1;
	slave_fd = open(ptsname(*ret_master_fd), O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave_fd < 0 || tcgetattr(slave_fd, &raw) < 0)
		return -1;
	cfmakeraw(&raw);
	return tcsetattr(slave_fd, TCSANOW, &raw) < 0 ? -1 : slave_fd;
}

/* The attack itself: type a letter into the terminal, in each way that there is. Returns how many arrived. */
static int type_into_terminal(int fd)
{
	int waiting = -1;

	(void)syscall(SYS_ioctl, fd, (unsigned long)TIOCSTI, "a");
	(void)syscall(SYS_ioctl, fd, 0x100000000UL | TIOCSTI, "b");
	(void)syscall(SYS_ioctl, fd, 0xffffffff00000000UL | TIOCSTI, "c");
	if (ioctl(fd, FIONREAD, &waiting) < 0)
		return -1;
	return waiting;
}

static int body_type_into_terminal(void)
{
	int master_fd, fd = open_raw_terminal(&master_fd);

	return fd < 0 ? 70 : type_into_terminal(fd);
}

static void test_filter_loaded_nothing_is_typed_into_a_terminal(void **state)
{
	int master_fd, fd = open_raw_terminal(&master_fd);

	(void)state;
	assert_true(fd >= 0);
	/* Without the filter it works, or the test would prove nothing: root may type into any terminal. */
	if (geteuid() == 0)
		assert_int_equal(type_into_terminal(fd), 3);
	close(fd);
	close(master_fd);
	assert_int_equal(under_filter(false, body_type_into_terminal), 0);
	assert_int_equal(under_filter(true, body_type_into_terminal), 0);
}

static void *thread_main(void *arg)
{
	return arg;
}

/* What every program does: threads (which fall back from clone3), fork, exec, wait, a pipe, memory. */
static int body_ordinary(void)
{
	char word[8] = "";
	void *got = NULL;
	pthread_t t;
	pid_t pid;
	int pipe_fd[2], status;

	if (pthread_create(&t, NULL, thread_main, word) || pthread_join(t, &got) || got != word)
		return 40;
	if (pipe2(pipe_fd, O_CLOEXEC) < 0)
		return 41;
	pid = fork();
	if (pid == 0) {
		char *const argv[] = { (char *)"sh", (char *)"-c", (char *)"echo $(echo inside)", NULL };
		char *const envp[] = { NULL };

		if (dup2(pipe_fd[1], 1) == 1)
			execve("/bin/sh", argv, envp);
		_exit(127);
	}
	close(pipe_fd[1]);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		return 42;
	if (read(pipe_fd[0], word, sizeof(word)) != 7 || memcmp(word, "inside\n", 7) != 0)
		return 43;
	if (mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED)
		return 44;
	return 0;
}

static void test_filter_loaded_lets_programs_run(void **state)
{
	(void)state;
	assert_int_equal(under_filter(false, body_ordinary), 0);
	assert_int_equal(under_filter(true, body_ordinary), 0);
}

#ifdef __x86_64__
static long int80(long nr, long ebx, long ecx)
{
	long ret = nr;

	__asm__ volatile("int $0x80"
			 : "+a"(ret)
			 : "b"(ebx), "c"(ecx), "d"(0L), "S"(0L), "D"(0L)
			 : "r8", "r9", "r10", "r11", "memory");
	return (int)ret;
}

static int body_int80_works(void)
{
	return int80(20, 0, 0) == getpid() ? 0 : 50;
}

static int body_int80_both(void)
{
	if (int80(54, -1, 0x5412) != -EPERM || int80(54, -1, 0x541c) != -EPERM)
		return 51;
	if (int80(54, -1, 0x5413) != -EBADF)
		return 52;
	if (int80(9999, 0, 0) != -ENOSYS || int80(288, 0, 0) != -ENOSYS)
		return 53;
	if (int80(359, AF_VSOCK, SOCK_STREAM) != -EAFNOSUPPORT)
		return 54;
	if (int80(357, 0, 0) != -EPERM || int80(342, -1, 0) != -EPERM)
		return 55;
	return int80(20, 0, 0) == getpid() ? 0 : 56;
}

static int body_int80_plain(void)
{
	if (int80(120, CLONE_NEWUSER | SIGCHLD, 0) != -EPERM || int80(310, CLONE_NEWUSER, 0) != -EPERM)
		return 60;
	if (int80(21, 0, 0) != -EPERM || int80(435, 0, 0) != -ENOSYS)
		return 61;
	return 0;
}

static void test_filter_loaded_covers_the_32_bit_entry(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0) {
		signal(SIGSEGV,
		       SIG_DFL); /* not the sanitizer's report: a kernel without the entry is no bug */
		_exit(body_int80_works());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		skip_test("kernel without the 32-bit entry");
	assert_int_equal(under_filter(false, body_int80_both), 0);
	assert_int_equal(under_filter(true, body_int80_both), 0);
	assert_int_equal(under_filter(false, body_int80_plain), 0);
}
#endif

#define T(name) cmocka_unit_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_filter_x86_64_every_number),
		T(test_filter_i386_every_number),
		T(test_filter_new_calls_have_one_number_everywhere),
		T(test_filter_terminal_input_is_refused_on_the_low_half),
		T(test_filter_new_namespaces_need_admin),
		T(test_filter_socket_families_and_personality),
		T(test_filter_arm_tables),
		T(test_filter_foreign_entries_and_numbers),
		T(test_filter_stays_small),
		T(test_filter_loaded_answers),
		T(test_filter_loaded_nothing_is_typed_into_a_terminal),
		T(test_filter_loaded_lets_programs_run),
#ifdef __x86_64__
		T(test_filter_loaded_covers_the_32_bit_entry),
#endif
	};

	return cmocka_run_group_tests_name("seccomp", tests, NULL, NULL);
}

#else

static void test_filter_without_a_table_is_refused(void **state)
{
	(void)state;
	assert_null(seccomp_filter(0));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_filter_without_a_table_is_refused) };

	return cmocka_run_group_tests_name("seccomp", tests, NULL, NULL);
}

#endif
