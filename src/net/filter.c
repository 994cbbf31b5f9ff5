/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * net/filter.c - what pasta may see of the sandbox's frames.
 *
 * pasta before 2024-02 (Debian 12 has one of 2023) connects to whatever address a frame names. Root inside
 * can put 127.0.0.1 into a frame by hand, or route 127.0.0.0/8 to the tap device, and so reach every service
 * that listens on the host's loopback only; no option of pasta closes that. So a classic BPF filter goes on
 * pasta's end of the tap device. It belongs to the open file, which the sandbox doesn't have: no capability
 * inside takes it off.
 *
 * Dropped: IPv4 to 127.0.0.0/8 and 0.0.0.0/8 (connecting to 0.0.0.0 means "this host"), IPv6 to ::/96 (::,
 * ::1, the old IPv4-compatible addresses) and to ::ffff:0:0/96, which an IPv6 socket would send as IPv4. A
 * frame too short for a load makes the filter return 0, "drop".
 */
#include "net/nat.h"

#include <linux/filter.h>
#include <linux/if_ether.h>

#define OFF_TYPE 12
#define OFF_IP4_DST (ETH_HLEN + 16)
#define OFF_IP6_DST (ETH_HLEN + 24)

#define LOAD_HALF(at) BPF_STMT(BPF_LD | BPF_H | BPF_ABS, (at))
#define LOAD_WORD(at) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (at))
#define IF_EQUAL(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), (yes), (no))
#define RETURN(value) BPF_STMT(BPF_RET | BPF_K, (value))

/* The jumps count instructions from the next one; line numbers on the right. */
static const struct sock_filter code[] = {
	LOAD_HALF(OFF_TYPE),                                    /*  0 */
	IF_EQUAL(ETH_P_IP, 0, 4),                               /*  1: IPv4 2, else 6 */
	LOAD_WORD(OFF_IP4_DST),                                 /*  2 */
	BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xff000000),        /*  3 */
	IF_EQUAL(0x7f000000, 10, 0),                            /*  4: drop 15 */
	IF_EQUAL(0, 9, 8),                                      /*  5: drop 15, else pass 14 */
	IF_EQUAL(ETH_P_IPV6, 0, 7),                             /*  6: IPv6 7, else pass 14 */
	LOAD_WORD(OFF_IP6_DST),                                 /*  7 */
	IF_EQUAL(0, 0, 5),                                      /*  8: pass 14 */
	LOAD_WORD(OFF_IP6_DST + 4),                             /*  9 */
	IF_EQUAL(0, 0, 3),                                      /* 10: pass 14 */
	LOAD_WORD(OFF_IP6_DST + 8),                             /* 11 */
	IF_EQUAL(0, 2, 0),                                      /* 12: drop 15 */
	IF_EQUAL(0x0000ffff, 1, 0),                             /* 13: drop 15 */
	RETURN(0xffffffff),                                     /* 14: pass */
	RETURN(0),                                              /* 15: drop */
};

const struct sock_fprog *net_nat_filter(void)
{
	static const struct sock_fprog program = {
		.len = ARRAY_SIZE(code),
		.filter = (struct sock_filter *)code,           /* the kernel only reads it */
	};

	return &program;
}
