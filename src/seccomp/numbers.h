/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * seccomp/numbers.h - system call numbers that the libseccomp of the build may not know, or does not tell.
 *
 * Debian 12 has libseccomp 2.5.4, which ends about at Linux 5.17, and what a filter does not know it answers
 * ENOSYS. From 424 on a new call has the same number on all four architectures. The second table are calls
 * that 32-bit x86 got in 4.3 and 5.1 beside socketcall and ipc: libseccomp gives negative numbers of its own
 * for these, which stand for "either way". Where libseccomp knows a name too, the generator compares the two
 * and stops at a difference.
 *
 * Kernel sources: arch/x86/entry/syscalls/syscall_{32,64}.tbl, scripts/syscall.tbl,
 * arch/arm/tools/syscall.tbl.
 */
#ifndef KENNEL_SECCOMP_NUMBERS_H
#define KENNEL_SECCOMP_NUMBERS_H

struct number {
	const char *name;
	int nr;
};

static const struct number numbers_all[] = {
	{ "mount_setattr", 442 },
	{ "quotactl_fd", 443 },
	{ "landlock_create_ruleset", 444 },
	{ "landlock_add_rule", 445 },
	{ "landlock_restrict_self", 446 },
	{ "process_mrelease", 448 },
	{ "futex_waitv", 449 },
	{ "set_mempolicy_home_node", 450 },
	{ "cachestat", 451 },
	{ "fchmodat2", 452 },
	{ "map_shadow_stack", 453 },
	{ "futex_wake", 454 },
	{ "futex_wait", 455 },
	{ "futex_requeue", 456 },
	{ "statmount", 457 },
	{ "listmount", 458 },
	{ "lsm_get_self_attr", 459 },
	{ "lsm_set_self_attr", 460 },
	{ "lsm_list_modules", 461 },
	{ "mseal", 462 },
	{ "setxattrat", 463 },
	{ "getxattrat", 464 },
	{ "listxattrat", 465 },
	{ "removexattrat", 466 },
	{ "open_tree_attr", 467 },
	{ "file_getattr", 468 },
	{ "file_setattr", 469 },
	{ "listns", 470 },
	{ "rseq_slice_yield", 471 },
};

static const struct number numbers_x86_64[] = {
	{ "uretprobe", 335 },
	{ "uprobe", 336 },
};

static const struct number numbers_i386[] = {
	{ "socket", 359 },
	{ "socketpair", 360 },
	{ "bind", 361 },
	{ "connect", 362 },
	{ "listen", 363 },
	{ "accept4", 364 },
	{ "getsockopt", 365 },
	{ "setsockopt", 366 },
	{ "getsockname", 367 },
	{ "getpeername", 368 },
	{ "sendto", 369 },
	{ "sendmsg", 370 },
	{ "recvfrom", 371 },
	{ "recvmsg", 372 },
	{ "shutdown", 373 },
	{ "semget", 393 },
	{ "semctl", 394 },
	{ "shmget", 395 },
	{ "shmctl", 396 },
	{ "shmat", 397 },
	{ "shmdt", 398 },
	{ "msgget", 399 },
	{ "msgsnd", 400 },
	{ "msgrcv", 401 },
	{ "msgctl", 402 },
	{ "recvmmsg", 337 },
	{ "sendmmsg", 345 },
	{ "semtimedop_time64", 420 },
	{ "recvmmsg_time64", 417 },
};

#endif
