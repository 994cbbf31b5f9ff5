/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * monitor/serve.h - the loop of a monitor in the background: the sandbox's terminal, its log, the clients.
 *
 * One task, nothing that blocks. A client that does not read is waited for a second, once; then the terminal
 * goes on without it, and it is told how much it has lost.
 */
#ifndef KENNEL_MONITOR_SERVE_H
#define KENNEL_MONITOR_SERVE_H

#include "base/error.h"

struct sandbox;
struct server;

/*
 * Its clients stay where one sandbox ends and the next one begins: a reboot. log_dir_fd: where the log is;
 * -EBADF: beside the entry of the runtime directory.
 */
int server_new(int log_dir_fd, struct server **ret, struct kennel_error **err) MUST_CHECK;
/* Makes the socket of a sandbox that has just been started, which has a terminal. */
int server_listen(struct server *s, struct sandbox *sb, struct kennel_error **err) MUST_CHECK;
/* The sandbox goes, and another one is listened to next: keeps what would go with it. */
void server_rest(struct server *s);
/*
 * Serves it to the end of its first process; signals that ask us to end are handed on. Return: 0 and the exit
 * status, or a code.
 */
int server_run(struct server *s, struct sandbox *sb, int *ret_status, struct kennel_error **err) MUST_CHECK;
/* A client from the first byte on, whose end is the sandbox's; takes the descriptor. */
void server_lead(struct server *s, int fd);
/* Tells all clients that it is over. */
void server_say_ended(struct server *s, int status);
/* NULL is fine. Return: NULL. */
struct server *server_free(struct server *s);

#endif
