/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/graft.h - what is put into a running sandbox, and taken out of it: a mount, a device node.
 *
 * The tree inside is its own root's to write, so every name is resolved inside of the sandbox, following no
 * link, by a process that has no way back. What is put in has the flags that it would have had at the start,
 * and root inside can change them no more than then.
 */
#ifndef KENNEL_RUN_GRAFT_H
#define KENNEL_RUN_GRAFT_H

#include "base/error.h"
#include "base/log.h"
#include "conf/spec.h"
#include "run/copy.h"

struct graft {
	const struct copy_sandbox *sb;
	const char *id;
	int init_pidfd; /* its first process: whose namespaces are joined */
	bool guest; /* mounts go into the tree that its kernel sees, and it is told of them */
	struct log_sink log; /* for the one thing that is done, but not as asked: see graft_mount() */
};

/*
 * Shows m->source at m->target, whose missing directories (or whose file) are made. A source without id maps
 * is told and has nobody as its owner. A guest gets directories.
 * Return: 0; NOTFOUND there is no such source, or the sandbox has ended; or another code.
 */
int graft_mount(const struct graft *g, const struct spec_mount *m, struct kennel_error **err) MUST_CHECK;
/*
 * Takes it away again, for everybody who has not got a file of it open. Return: as graft_mount(); NOTFOUND
 * what lies uppermost at its place is something else.
 */
int graft_unmount(const struct graft *g, const struct spec_mount *m, struct kennel_error **err) MUST_CHECK;

/*
 * The device of the machine, at the same path inside. Its control group, where it has one for devices, is the
 * caller's to change. Return: as graft_mount(); TYPE it is no device.
 */
int graft_device(const struct graft *g, const struct spec_device *d, struct kennel_error **err) MUST_CHECK;
int graft_remove_device(const struct graft *g, const struct spec_device *d, struct kennel_error **err)
	MUST_CHECK;

/*
 * graft-layer.c: one more layer on top of those that a guest (isolation "vm") was started with, below its
 * changes. Directories that somebody inside has open show it when they are opened again. Return: as
 * graft_mount(); UNSUPPORTED also where the guest's kernel reads layers by itself, or the copy is a stack
 * that bears no more.
 */
int graft_layer(const struct graft *g, const char *path, struct kennel_error **err) MUST_CHECK;
/* Takes one away that came so. Return: likewise; UNSUPPORTED also where it did not come so. */
int graft_remove_layer(const struct graft *g, const char *path, struct kennel_error **err) MUST_CHECK;

/*
 * An interface of a sandbox with a network of its own; in->name is set. Return: as interfaces_add(); PERM
 * where the caller is not root.
 */
int graft_interface(const struct graft *g, const struct spec_interface *in, struct kennel_error **err)
	MUST_CHECK;
int graft_remove_interface(const struct graft *g, const struct spec_interface *in, struct kennel_error **err)
	MUST_CHECK;

#endif
