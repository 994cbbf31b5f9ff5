/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sys/spawn.h - another program, started in less time than posix_spawn() takes.
 *
 * That one resets every signal by two calls of its own, and keeps the caller waiting until the program is
 * loaded, a millisecond or two for a setuid one. Here all signals stay blocked, which exec() passes on: the
 * program unblocks them itself if it wants any. Where it is not one of ours, say "fresh".
 */
#ifndef KENNEL_SYS_SPAWN_H
#define KENNEL_SYS_SPAWN_H

#include <stdbool.h>
#include <sys/types.h>

#define SYS_SPAWN_FAILED 127 /* its exit code where it could not be executed: errnum says why */

struct sys_spawn {
	const char *path;
	char *const *argv, *const *envp;
	/* sources[i] becomes descriptor first + i, which must be beyond all of them */
	const int *sources;
	int n_sources, first;
	bool session; /* a session of its own */
	/* as at a login: no signal blocked or ignored, "/", nothing else open */
	bool fresh;
	int death_signal; /* it is sent where the caller ends, or 0 */
	bool wait; /* return when the program was executed, or could not be (-1 and errno) */

	void *stack; /* from here on not the caller's */
	volatile int errnum;
};

/*
 * Return: its pid, or -1 and errno. Without wait, all that s points to must stay until the process was waited
 * for, and then sys_spawn_done() is called; with it, at once.
 */
pid_t sys_spawn(struct sys_spawn *s);
void sys_spawn_done(struct sys_spawn *s);

#endif
