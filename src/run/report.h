/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* run/report.h - what child and init say, turned into sentences. */
#ifndef KENNEL_RUN_REPORT_H
#define KENNEL_RUN_REPORT_H

#include "base/buf.h"
#include "base/strv.h"
#include "run/sandbox.h"

/*
 * Waits for the child's word after the go. Return: 0 the command runs; else an error that says what failed.
 */
int report_wait(struct launch *l, struct kennel_error **err) MUST_CHECK;
/* Waits until a child that is held stands in front of its init; an error where it fails before. */
int report_wait_held(struct launch *l, struct kennel_error **err) MUST_CHECK;

/*
 * The two halves of it: one message, READY or not; and what a message that is neither that nor "it runs"
 * means.
 */
int report_read(struct launch *l, struct child_report *ret, struct kennel_error **err) MUST_CHECK;
int report_failed(struct launch *l, const struct child_report *r, struct kennel_error **err) MUST_CHECK;

/* init's part of it. */
struct init_report;
int report_init_failed(const struct spec *spec, const struct init_report *r, struct kennel_error **err)
	MUST_CHECK;
/* That of kennel-vm (vm/blob.h), with the text behind it: is it one, and what it says. */
bool report_is_of_guest(int step);
int report_guest_failed(const struct init_report *r, const char *text, struct kennel_error **err) MUST_CHECK;

/* A step failed with r: if that is because the child did, says so instead. Returns the code. */
int report_explain(struct launch *l, int r, struct kennel_error **err);

/* The words of a command as a shell would take them; a very long one is cut at a word and ends in "...". */
void report_quote_command(const struct strv *command, struct buf *b);

#endif
