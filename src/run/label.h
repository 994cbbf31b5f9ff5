/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/label.h - what a security module (AppArmor, SELinux) calls a process, for who enters a sandbox: the
 * program that comes in is to have the label of the sandbox's first process, not the caller's.
 */
#ifndef KENNEL_RUN_LABEL_H
#define KENNEL_RUN_LABEL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"

#define LABELS_MAX 2 /* modules can be stacked */

/* What is written where for the next exec. */
struct label {
	const char *file; /* below /proc/self */
	struct buf text;
};

struct labels {
	struct label items[LABELS_MAX];
	unsigned n;
};

/*
 * The label in what a module says of a process: without AppArmor's mode behind it, newline and NUL. Appends
 * to ret, nothing where there is none. Return: it has a mode, or is "unconfined", so it is AppArmor's. Pure.
 */
bool label_parse(const char *text, size_t n, struct buf *ret);

/*
 * What has to be written so that the next program has the labels of the process whose directory of /proc
 * theirs_fd is; none where ours_fd, our own one, has the same or there is no such module. Return: 0 or a
 * code.
 */
int labels_read(int theirs_fd, int ours_fd, struct labels *ret, struct kennel_error **err) MUST_CHECK;
void labels_done(struct labels *l);
#define _cleanup_labels_ __attribute__((cleanup(labels_done)))

/*
 * Writes them for the calling process, proc_fd being a /proc that nobody inside has made. System calls alone.
 * Return: 0, or -1 and errno: then it must not go on.
 */
int labels_write(const struct labels *l, int proc_fd);

#endif
