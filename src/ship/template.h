/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ship/template.h - templates: programs that make a tree; found, looked at, run in a sandbox of their own.
 *
 * A template is not trusted. It runs in a throwaway copy of this machine, in a session of its own without a
 * terminal, and of the machine itself it can write two directories: the one that becomes the container's base
 * and one to work in, both new. doc/kennel-template.7.scd is the contract.
 */
#ifndef KENNEL_SHIP_TEMPLATE_H
#define KENNEL_SHIP_TEMPLATE_H

#include "base/strv.h"
#include "conf/template.h"

struct template
{
	char *name; /* for people */
	char *path;
	struct buf text; /* all of it: what was looked at is what is run */
	struct template_header header;
};

/* By name or full path. */
int template_open(const char *word, struct template *ret, struct kennel_error **err) MUST_CHECK;
void template_done(struct template *t);
#define _cleanup_template_ __attribute__((cleanup(template_done)))

/* Names of all that are found, sorted, each once: the first directory that has it counts. */
int template_names(struct strv *ret, struct kennel_error **err) MUST_CHECK;

struct template_call {
	const struct template *t;
	const char *container; /* its name */
	const char *const *options; /* NULL-terminated, or NULL */
	int dir_fd; /* of the directory in which both of these are, empty, mode 0755 */
	const char *target, *work;
	/* A few times a second; text NULL until it tells something. Return: not 0: stop. */
	int (*step)(void *data, const char *text, uint64_t done, uint64_t total);
	/*
	 * What it says, a line at a time, made safe to be shown: all as it comes where verbose, else the last
	 * ones once it has failed; or NULL.
	 */
	void (*said)(void *data, const char *line);
	void *data; /* of both */
	bool verbose;
};

/* Return: 0 it has done its work; -KENNEL_E_INTERRUPTED step said stop; or another negative code. */
int template_run(const struct template_call *c, struct kennel_error **err) MUST_CHECK;

#endif
