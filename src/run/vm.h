/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/vm.h - a start with a kernel of its own (isolation "vm").
 *
 * It is a start at "user" with another root and another process 1. The tree is put together as ever, but it
 * becomes the directory "tree" of a small file system of its own, in which nothing else is but the kernel,
 * User Mode Linux, a program, with what that needs. Process 1 is kennel-vm (src/vm/program), which starts it;
 * in the guest the same program puts a file system in memory, or a disk, over that tree.
 */
#ifndef KENNEL_RUN_VM_H
#define KENNEL_RUN_VM_H

#include "base/error.h"
#include "base/log.h"
#include "conf/spec.h"
#include "run/child.h"
#include "vm/kernel.h"

#define VM_MEMORY_DEFAULT (UINT64_C(256) << 20)
#define VM_MEMORY_MIN (UINT64_C(64) << 20)
#define VM_MEMORY_MAX (UINT64_C(512) << 30) /* its kernel does not boot with 2T */

struct keep;
struct launch;
struct plan;

#define VM_IMAGES_MAX 15u

struct vm_image { /* see run/vm-layers.h */
	const char *path, *type; /* borrowed; as the guest's kernel calls it */
	unsigned number; /* of its disk */
};

struct vm {
	struct spec spec; /* a shallow copy: as of the sandbox around the guest */
	struct vm_kernel kernel;
	char *initrd, *remedy, *disk; /* paths; NULL: no remedy is needed, no disk there */
	struct child_place places[CHILD_MAX_PLACES];
	unsigned n_places;
	struct vm_image images[VM_IMAGES_MAX]; /* uppermost first */
	unsigned n_images;
	bool images_are_all; /* layers and base are nothing but these */
	struct strv modules; /* for them */
	bool boots; /* the guest's init is the command */
	uint64_t room_bytes; /* for its changes, in its memory or on its disk */
	struct strv names; /* of places, that were made */
	struct strv words; /* for kennel-vm, in its environment: src/vm/program */
};

/*
 * What a start of this spec, which must outlive *ret, needs. keep: the container that it is, whose changes
 * are on a disk of the guest's; NULL: they are in its memory. Return: 0, or MISSING, UNSUPPORTED, ... with a
 * hint; then *ret is empty.
 */
int vm_equip(const struct spec *spec, struct keep *keep, struct vm *ret, struct kennel_error **err)
	MUST_CHECK;
void vm_done(struct vm *vm);

/*
 * The kernel that there is, with its modules, and what has to be loaded into it (*ret_remedy NULL: nothing).
 * Both are the caller's. Return: as vm_kernel_find(); then both are empty.
 */
int vm_find(struct vm_kernel *ret, char **ret_remedy, struct kennel_error **err) MUST_CHECK;

/* The capabilities of the processes around the guest. */
uint64_t vm_caps(void);

/* What kennel-vm is told, into the environment that the plan has. */
int vm_tell(const struct vm *vm, struct plan *p, struct kennel_error **err) MUST_CHECK;

/* Opens the places, once there is the user namespace; an ordinary user's child does that by itself. */
int vm_open_places(struct launch *l, struct kennel_error **err) MUST_CHECK;

#endif
