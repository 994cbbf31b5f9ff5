/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/vm-layers.h - image files among the layers and the base of a guest, which its own kernel reads.
 *
 *   /layers/N    an image, ubdN of the guest, uppermost first from 15 down
 *   /upper/0     the changes that lie over the images: the copy's upper directory with what kennel planted,
 *   /upper/1...  and frozen ones below it
 *
 * The guest's root is an overlay over upper, images and, where something of the copy is no image, /tree; the
 * copy (/tree) itself is as ever, so what the guest's kernel can't mount it sees there. Only images from the
 * uppermost layer down to the first that is none can lie over /tree, for what is above one hides what is in
 * it.
 *
 * What /upper shows has no attributes there: an opaque directory would let through what images have in it. A
 * start with one that does (a directory that was deleted and made anew) has all through /tree; so has one
 * that hides places, for root inside may read all of a disk.
 */
#ifndef KENNEL_RUN_VM_LAYERS_H
#define KENNEL_RUN_VM_LAYERS_H

#include "base/error.h"

struct keep;
struct launch;
struct spec;
struct vm;

/*
 * Chooses images and their numbers: vm->images. What can't be opened is the start's to tell. keep: or NULL.
 */
int vm_layers_choose(const struct spec *spec, const struct keep *keep, struct vm *vm,
		     struct kennel_error **err) MUST_CHECK;
/* The places of those, and what the guest is told of them. */
int vm_layers_add(struct vm *vm, struct kennel_error **err) MUST_CHECK;

/*
 * Once all is planted: whether the guest gets them, into l->shared->layered. By who may read the delta.
 * Nothing that fails here is a failure.
 */
void vm_layers_judge(struct launch *l);

#endif
