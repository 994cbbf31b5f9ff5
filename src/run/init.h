/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/init.h - what the launcher tells the pid 1 of a sandbox, and what that tells back.
 *
 * init is a freestanding program of its own (init.c), embedded in the library as bytes and run from a
 * sealed memfd, so nothing of the caller's memory, environment or executable file is reachable through
 * /proc/1. It is run with
 *
 *   argv[INIT_ARG_*] as below, then the command; envp is the command's environment.
 *
 * It starts the command, reaps whatever is reparented to it, hands signals on, and exits with the
 * command's own code or 128+N. On report_fd it writes one struct init_report: all zero once the command
 * runs, or why it does not before it exits. (Not end-of-file: the launcher shares its descriptors with the
 * child, so it has the pipe's other end open itself.)
 *
 * With INIT_BECOME it is no init but the last step of a process that entered a sandbox, or of one that boots
 * its own init: it finds user, directory and program by the files of the inside, and executes the program in
 * its own place. Its report descriptor is close-on-exec, so there end-of-file says that the command runs.
 */
#ifndef KENNEL_RUN_INIT_H
#define KENNEL_RUN_INIT_H

#include <stddef.h>
#include <stdint.h>

enum init_arg {
	INIT_ARG_NAME,          /* "kennel-init" */
	INIT_ARG_REPORT_FD,     /* decimal; not close-on-exec when init gets it, init makes it so */
	INIT_ARG_TTY_FD,        /* decimal, or "-1": descriptors 0, 1, 2 are used as they are */
	INIT_ARG_FLAGS,         /* decimal, enum init_flags */
	INIT_ARG_USER,          /* "", or NAME|UID[:GROUP|GID], looked up in /etc/passwd and /etc/group */
	INIT_ARG_WORKDIR,       /* "", or absolute */
	INIT_ARG_COMMAND,       /* the command's argv[0] and so on; at least one */
};

enum init_flags {
	INIT_SUBREAPER = 1 << 0, /* no pid namespace: a subreaper, which ends all descendants at the end */
	INIT_WORKDIR_OPTIONAL = 1 << 1, /* where it is not there: the home directory, then "/" */
	INIT_NO_NEW_PRIVS = 1 << 2,
	INIT_LOGIN_SHELL = 1 << 3, /* the command is "": the user's shell, else /bin/sh, as a login shell */
	INIT_BECOME = 1 << 4, /* becomes the command itself */
	INIT_IDLE = 1 << 5, /* runs nothing: reaps, until a signal that asks to end */
	/* in the caller's session and directory: a keyboard reaches the command without us */
	INIT_KEEP_SESSION = 1 << 6,
	INIT_ERRAND = 1
		      << 7, /* kennel-vm alone: the command is an errand in the guest (vm/program/errand.h) */
};

/* Steps that init reports, behind those of the child (run/child.h): what it did when errnum happened. */
enum init_step {
	INIT_STEP_ARGS = 100,
	INIT_STEP_USER,         /* errnum ENOENT: no such user or group inside */
	INIT_STEP_GROUPS,
	INIT_STEP_IDS,
	INIT_STEP_WORKDIR,
	INIT_STEP_TTY,
	INIT_STEP_FORK,
	INIT_STEP_EXEC,         /* ENOENT: 127, EACCES, ENOEXEC and others: 126 */
	INIT_STEP_INTERPRETER,  /* ENOENT of what the file's "#!" line or ELF header names: 126 */
};

struct init_report {
	int32_t step, errnum;
};

/* The embedded program (init-blob.c, made by the build). */
extern const unsigned char init_blob[];
extern const size_t init_blob_size;

#endif
