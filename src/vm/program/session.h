/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vm/program/session.h - one command in the guest, with its pipes or its terminal. */
#ifndef KENNEL_VM_PROGRAM_SESSION_H
#define KENNEL_VM_PROGRAM_SESSION_H

#include "vm/program/program.h"

struct session {
	struct vm_open open;
	char *words;
	size_t words_len; /* that have come */
	bool tty;
	pid_t pid; /* 0: not started */
	bool ended;
	int code;
	int report_fd, in_fd;
	int slave_fd; /* of the terminal: without one a master reports a hangup all the time */
	int out_fd[VM_STREAMS];
	size_t after_end; /* bytes read since it ended */
	bool in_ended;
	struct queue in;
	struct vm_credit in_credit; /* as receiver */
	struct vm_credit out_credit[VM_STREAMS]; /* as sender */
};

/* NULL: no memory, or it asks for what there can't be. */
struct session *session_new(const struct vm_frame *open);
void session_free(struct session *s);
/* Return: 1 that were all, 0, or -errno. */
int session_add_words(struct session *s, const struct vm_frame *f);
/*
 * boots: it becomes pid 1 of the guest, which we are, and we are its child afterwards. Return: 0, or -errno.
 */
int session_start(struct session *s, struct guest *g, bool boots);
void session_take_frame(struct session *s, const struct vm_frame *f, struct channel *line);
void session_hang_up(struct session *s);
void session_ended(struct session *s, int status);
bool session_read_report(struct session *s, struct init_report *ret);
bool session_wants_write(const struct session *s);
void session_write(struct session *s, unsigned id, struct channel *line);
/* Return: whether there was something. */
bool session_read(struct session *s, unsigned id, unsigned stream, struct channel *line);
bool session_is_drained(struct session *s, unsigned id, unsigned stream, struct channel *line);

#endif
