/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vm/program/errand.h - what the agent of a guest does by itself where a session asks for no command: its
 * words (behind user and directory) are an errand's name and its arguments.
 *
 * Each runs in a process of its own, as root of the guest in the root that commands see, with the session's
 * pipes as input, output and errors and nothing else of the agent's open. Only who may enter the sandbox can
 * ask for one; the guest asks for nothing of the outside.
 */
#ifndef KENNEL_VM_PROGRAM_ERRAND_H
#define KENNEL_VM_PROGRAM_ERRAND_H

#include <stdbool.h>

struct guest;

#define ERRAND_REPORT_FD 3
#define ERRAND_CHANGES_FD 4 /* O_PATH: where the guest's changes are, delta/0/upper of it */
#define ERRAND_SOCKET_FD 5 /* of "accept" and "resolve" alone: where it listens */

/* The child of the agent. words: the name, arguments, NULL. Its exit code is the session's. */
_Noreturn void errand_main(const struct guest *g, char **words, const int fds[3], int report_fd);

/* One of these is called by each of them, once. */
void errand_runs(void); /* it goes well so far: the session runs */
_Noreturn void errand_refuse(int errnum);

/* Once as much as there is. Return: more may come. */
bool errand_hand_on(int from, int to);

/* sockets.c: a connection to the NUMBERth socket that stands for one of the machine, on input and output. */
void errand_accept(char **args);
/* datagrams.c: UDP, in frames on input and output, to ports of the guest; from who asks for names in it. */
void errand_datagrams(char **args);
void errand_resolve(char **args);
/* forward.c: PORT of the guest's loopback, on input and output. */
void errand_connect(char **args);

/*
 * errand-files.c, streams of ext4/stream.h; a struct copy_report (copy/child.h) comes on errors at the end:
 * SOURCE, a path as "kennel cp" takes it, to output; SOURCE TARGET, what input has of SOURCE, to TARGET; all
 * that the guest has changed, to output.
 */
void errand_pack(char **args);
void errand_unpack(char **args);
void errand_pack_changes(char **args);

#endif
