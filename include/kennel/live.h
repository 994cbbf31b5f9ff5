/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * kennel/live.h - containers that live on behind their caller: start, console, log, states.
 *
 * A "name" below is that of a container. Where it says "id", the id of a sandbox or an unambiguous
 * beginning of one does as well. "store" is a directory, or NULL for the user's own. All texts are UTF-8 as
 * far as they come from here; names of files are the kernel's bytes.
 */
#ifndef KENNEL_LIVE_H
#define KENNEL_LIVE_H

#include <stddef.h>
#include <stdint.h>

#include <kennel/error.h>
#include <kennel/sandbox.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Bytes of an id with its NUL. */
#define KENNEL_ID_SIZE 16

/**
 * kennel_start() - start a container in the background
 * @spec:   with the key "keep" or "file"; what else it says overrules the container's configuration for this
 *          time. Without a command, here or there, and without "boot" nothing runs inside but what enters
 *          it. Borrowed
 * @ret_id: id of the sandbox; room for KENNEL_ID_SIZE bytes
 * @err:    error out, owned by the caller, or NULL
 *
 * Returns once its command runs. A process of its own watches it from then on, which is nobody's child; it
 * forks from the caller and has none of its descriptors. The container must be there.
 * Return: 0; -KENNEL_E_BUSY where it runs already; or as kennel_sandbox_start(). Since 0.1.
 */
KENNEL_PUBLIC int kennel_start(const struct kennel_spec *spec, char *ret_id, struct kennel_error **err);

/**
 * kennel_start_here() - start a container, and carry descriptors 0 and 1 to its terminal until it ends
 * @spec:       as for kennel_start(); borrowed
 * @ret_status: exit status of the sandbox
 * @err:        error out, owned by the caller, or NULL
 *
 * It is as one in the background to all others. SIGINT, SIGTERM, SIGHUP and SIGQUIT are handed on to it; it
 * ends when this process does.
 * Return: 0, or as kennel_start(). Since 0.1.
 */
KENNEL_PUBLIC int kennel_start_here(const struct kennel_spec *spec, int *ret_status,
				    struct kennel_error **err);

/**
 * kennel_autostart_list() - the containers that start by themselves, in the order in which they do
 * @store:  directory, or NULL
 * @groups: only those that are in one of these; ends with NULL; NULL or none for all
 * @ret:    the list, the caller's, as kennel_container_list() has it; kennel_list_value() also has "order"
 *          (of two the higher one goes first) and "delay-ms" (how long to wait behind it),
 *          kennel_list_detail() "group". One with "damage" is there too, for nobody knows
 * @err:    error out, owned by the caller, or NULL
 *
 * Return: 0 or a negative code. Since 0.1.
 */
KENNEL_PUBLIC int kennel_autostart_list(const char *store, const char *const *groups,
					struct kennel_list **ret, struct kennel_error **err);

/**
 * enum kennel_console_flags - how to attach to a console
 * @KENNEL_CONSOLE_BACKLOG: begin with what it has shown lately (64 KiB at most)
 */
enum kennel_console_flags { KENNEL_CONSOLE_BACKLOG = 1 << 0 };

/**
 * kennel_console() - carry descriptors 0 and 1 to the terminal of one that kennel_start() started
 * @id:         which
 * @escape:     byte that leaves when it is typed on a terminal, 0 to 255; -1 for none
 * @flags:      enum kennel_console_flags
 * @ret_status: exit status of the sandbox, if it ended; may be NULL
 * @err:        error out, owned by the caller, or NULL
 *
 * Any number may be attached at once, and all see the same. Who does not read is waited for a second, then
 * output is left out, which is told.
 * Return: 1 the sandbox has ended, 0 left; -KENNEL_E_UNSUPPORTED where it was not started in the
 * background; or another negative code. Since 0.1.
 */
KENNEL_PUBLIC int kennel_console(const char *id, int escape, unsigned flags, int *ret_status,
				 struct kennel_error **err);

/**
 * kennel_console_tty() - the same for a further terminal (the setting "ttys")
 * @id:         which
 * @tty:        from 1 on; 0 is kennel_console()
 * @escape:     as for kennel_console()
 * @flags:      as for kennel_console(); what a further terminal has shown is not kept
 * @ret_status: exit status of the sandbox, if it ended; may be NULL
 * @err:        error out, owned by the caller, or NULL
 *
 * One caller at a time.
 * Return: as kennel_console(); -KENNEL_E_PERM the monitor refuses: there is no such terminal, or somebody is
 * at it. Since 0.1.
 */
KENNEL_PUBLIC int kennel_console_tty(const char *id, unsigned tty, int escape, unsigned flags,
				     int *ret_status, struct kennel_error **err);

/**
 * kennel_log() - what a container's console has shown, this time and before
 * @store:  directory, or NULL
 * @name:   container, or with a slash in it the file that one is in, which runs in the background
 * @lines:  only so many from the end; 0 for all that is kept (2 MiB at most)
 * @follow: not 0: then wait for more, until the container is stopped
 * @write:  called with bytes of the terminal, escape sequences included; not 0 from it stops
 * @data:   handed to @write
 * @err:    error out, owned by the caller, or NULL
 *
 * Return: 0; -KENNEL_E_NOTFOUND where there is none; -KENNEL_E_UNSUPPORTED it runs in somebody's terminal; or
 * another negative code. Since 0.1.
 */
KENNEL_PUBLIC int kennel_log(const char *store, const char *name, unsigned lines, int follow,
			     int (*write)(void *data, const char *bytes, size_t n), void *data,
			     struct kennel_error **err);

/**
 * kennel_freeze() - make all processes of a sandbox stand still
 * @id:  which
 * @err: error out, owned by the caller, or NULL
 *
 * Once it returns 0 none of them runs, until kennel_thaw(). Frozen already is no error.
 * Return: 0; -KENNEL_E_UNSUPPORTED where it has no control group of its own, and is no guest;
 * -KENNEL_E_BUSY where one of them does not stand still (it will, unless thawed; a guest goes on); or another
 * negative code. Since 0.1.
 */
KENNEL_PUBLIC int kennel_freeze(const char *id, struct kennel_error **err);

/**
 * kennel_thaw() - let them go on
 * @id:  which
 * @err: error out, owned by the caller, or NULL
 *
 * Return: as kennel_freeze(). Since 0.1.
 */
KENNEL_PUBLIC int kennel_thaw(const char *id, struct kennel_error **err);

/**
 * enum kennel_state - what a container is doing; as bits, for kennel_wait()
 * @KENNEL_STATE_STOPPED:  it does not run
 * @KENNEL_STATE_STARTING: its sandbox is being made
 * @KENNEL_STATE_RUNNING:  its first process runs
 * @KENNEL_STATE_FROZEN:   kennel_freeze()
 * @KENNEL_STATE_STOPPING: it has ended and is being taken apart
 */
enum kennel_state {
	KENNEL_STATE_STOPPED = 1 << 0,
	KENNEL_STATE_STARTING = 1 << 1,
	KENNEL_STATE_RUNNING = 1 << 2,
	KENNEL_STATE_FROZEN = 1 << 3,
	KENNEL_STATE_STOPPING = 1 << 4,
};

/**
 * kennel_state_name() - "stopped", "starting", "running", "frozen", "stopping"
 * @state: one of them
 *
 * Return: static text, or NULL. Since 0.1.
 */
KENNEL_PUBLIC const char *kennel_state_name(enum kennel_state state);

/**
 * kennel_wait() - wait until a container, or a sandbox, is in one of some states
 * @store:      directory, or NULL
 * @id:         container, or sandbox
 * @states:     enum kennel_state, one or more
 * @timeout_ms: milliseconds; 0 only looks, negative waits for ever
 * @ret_state:  the state it was in last; may be NULL
 * @err:        error out, owned by the caller, or NULL
 *
 * Return: 1 it is, 0 the time is over; -KENNEL_E_NOTFOUND where there is neither; or another negative code.
 * Since 0.1.
 */
KENNEL_PUBLIC int kennel_wait(const char *store, const char *id, unsigned states, int timeout_ms,
			      enum kennel_state *ret_state, struct kennel_error **err);

/**
 * kennel_usage_read() - what running sandboxes use
 * @id:  NULL for all of this user's, or one of them
 * @ret: the list, the caller's; end it with kennel_list_free(). Beside what kennel_list_read() has:
 *       "cpu-us" (microseconds of processor time of all its processes, those included that have ended and
 * were
 *       waited for), "memory-bytes" (resident; shared pages count for each), "processes", "read-bytes" and
 *       "written-bytes" (of block devices; 0 where this user can't see it)
 * @err: error out, owned by the caller, or NULL
 *
 * Return: as kennel_list_read(). Since 0.1.
 */
KENNEL_PUBLIC int kennel_usage_read(const char *id, struct kennel_list **ret, struct kennel_error **err);

/**
 * kennel_limits_read() - the limits that a running sandbox has now, as the kernel says
 * @id:  which
 * @ret: a list of one, the caller's; end it with kennel_list_free(). Beside what kennel_list_read() has, for
 *       each limit a value with the key of the option and what that takes: "memory", "swap", "pids", "cpus",
 *       "cpuset", "io" (one for each disk) and "disk" (of changes in memory); what has no limit is not there
 * @err: error out, owned by the caller, or NULL
 *
 * Return: as kennel_list_read(). Since 0.1.
 */
KENNEL_PUBLIC int kennel_limits_read(const char *id, struct kennel_list **ret, struct kennel_error **err);

/**
 * kennel_limits_set() - change limits of a running sandbox, until it ends
 * @id:    which; of a container kennel_container_set() changes the configuration as well
 * @unset: keys to lift, ended by NULL; or NULL
 * @spec:  limits to set; borrowed. Anything else in it is refused
 * @err:   error out, owned by the caller, or NULL
 *
 * Return: 0; -KENNEL_E_NOTFOUND there is none; -KENNEL_E_UNSUPPORTED one of them can't be had, those
 * before it are; or another negative code. Since 0.1.
 */
KENNEL_PUBLIC int kennel_limits_set(const char *id, const char *const *unset, const struct kennel_spec *spec,
				    struct kennel_error **err);

/**
 * kennel_watch() - hear of each change of state of this user's sandboxes
 * @change: called with id, name of the container (NULL for a throwaway) and the new state, beginning with
 * those
 *          that run; not 0 from it stops
 * @data:   handed to @change
 * @err:    error out, owned by the caller, or NULL
 *
 * Changes that follow each other at once may be told as one.
 * Return: 0 once @change has stopped it, or a negative code. Since 0.1.
 */
KENNEL_PUBLIC int kennel_watch(int (*change)(void *data, const char *id, const char *name,
					     enum kennel_state state),
			       void *data, struct kennel_error **err);

#ifdef __cplusplus
}
#endif
#endif
