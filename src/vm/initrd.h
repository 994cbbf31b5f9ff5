/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vm/initrd.h - the initramfs of a guest: kennel-vm as /init, and the modules that its root needs, in
 * /modules in the order in which they are loaded.
 *
 * It is made from what is installed and kept in the user's cache directory, one for each kernel and set of
 * file systems; its name tells kernel, modules and program, so it is made anew when any of them changes.
 */
#ifndef KENNEL_VM_INITRD_H
#define KENNEL_VM_INITRD_H

#include "base/buf.h"
#include "base/strv.h"

/*
 * Opens it, made if it is not there. modules_dir: of the release, NULL if there is none. more: modules that
 * it has besides those that every root needs, or NULL; what the kernel lacks is left out. Return: descriptor
 * for reading and *ret_path, its path (caller frees), or a negative code. Where there is no cache directory
 * it is a file without a name, and the path leads through /proc/self/fd.
 */
int vm_initrd_open(const char *release, const char *modules_dir, const struct strv *more, char **ret_path,
		   struct kennel_error **err) MUST_CHECK;

/*
 * Which files below modules_dir bring module "name" (with those that it needs, in the order to load them),
 * from the texts of modules.dep and modules.builtin. Return: 1, 0 there is no such module (ret is as it was),
 * or a negative code.
 */
int vm_initrd_find(const char *name, const char *dep, const char *builtin, struct strv *ret,
		   struct kennel_error **err) MUST_CHECK;

#endif
