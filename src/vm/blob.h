/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vm/blob.h - kennel-vm, the static program beside and inside a guest of User Mode Linux, as bytes, and what
 * its starter must know of it.
 *
 * One program is four: pid 1 of the sandbox that linux.uml runs in (the supervisor), the client that has
 * one more command run in a guest, /init of the guest's initramfs, and the guest's agent. The first two
 * are called as kennel-init is (run/init.h), the client with INIT_BECOME. It finds its root furnished:
 *
 *   /linux        linux.uml, with its interpreter and libraries where it looks for them
 *   /remedy.so    preloaded into it, where it is there
 *   /initrd       what vm_initrd_open() has made
 *   /tree         the root that the guest sees, below an overlay of its own; nothing there is written to
 *   /modules      of the kernel, where it is there
 *   /disk         the guest's disk, with KENNEL_VM:disk=1
 *   /dev /proc /tmp /run     /tmp: a tmpfs that is executable, the guest's memory; /run/agent: its socket
 *
 * Environment entries that begin with VM_SETTING are for the supervisor and taken out (settings.c has them
 * all); the others are the command's.
 *
 * A report of the steps below has text behind it, in the same write: a sentence without a full stop, no NUL.
 */
#ifndef KENNEL_VM_BLOB_H
#define KENNEL_VM_BLOB_H

#include <stddef.h>

#define VM_SETTING "KENNEL_VM:"
#define VM_REPORT_TEXT 240 /* at most */

/* Steps of struct init_report, behind those of kennel-init. */
enum vm_step {
	VM_STEP_SETTING = 140, /* what it was told makes no sense */
	VM_STEP_SUPERVISOR, /* it could not make what it needs: memory, descriptors, its socket */
	VM_STEP_KERNEL, /* linux.uml could not be executed */
	VM_STEP_GUEST, /* the guest ended before the command ran, or could not make its root */
	VM_STEP_CONNECT, /* client: no supervisor answers, or nobody in the guest */
	VM_STEP_ENDED, /* no failure: the command has ended with the code in errnum, the guest has not */
};

extern const unsigned char vm_blob[];
extern const size_t vm_blob_size;

#endif
