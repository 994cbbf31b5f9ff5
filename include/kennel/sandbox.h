/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * kennel/sandbox.h - start a sandbox, follow it, find the ones that run, copy files in and out.
 *
 * A spec says what is wanted, in the words of the command line. A sandbox is one running copy; the process
 * that starts it is its monitor, and it dies with that process. Objects are opaque; use each from one thread
 * at a time.
 */
#ifndef KENNEL_SANDBOX_H
#define KENNEL_SANDBOX_H

#include <stddef.h>
#include <stdint.h>

#include <kennel/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kennel_spec;
struct kennel_sandbox;
struct kennel_list;

/**
 * enum kennel_log_level - how much a remark matters
 * @KENNEL_LOG_WARN:  a person must see it (a weaker level was taken, no network could be had)
 * @KENNEL_LOG_INFO:  what was decided
 * @KENNEL_LOG_DEBUG: every step
 */
enum kennel_log_level { KENNEL_LOG_WARN = 0, KENNEL_LOG_INFO = 1, KENNEL_LOG_DEBUG = 2 };

/**
 * kennel_spec_new() - an empty wish: the running system, thrown away, at the strongest level that works
 * @ret: the spec, the caller's; end it with kennel_spec_free()
 * @err: error out, owned by the caller, or NULL
 *
 * Return: 0 or -KENNEL_E_NOMEM. Since 0.1.
 */
KENNEL_PUBLIC int kennel_spec_new(struct kennel_spec **ret, struct kennel_error **err);

/**
 * kennel_spec_set() - set one option, with the words of the command line
 * @spec:  spec to change; borrowed
 * @key:   long option without its dashes: "isolate", "base", "layer", "net", ... (see kennel-run(1))
 * @value: its argument; "yes" for an option without one. Keys that may be given many times append
 * @err:   error out, owned by the caller, or NULL
 *
 * Return: 0, -KENNEL_E_INVALID for an unknown key or a bad value (nothing changed), -KENNEL_E_NOMEM.
 * Since 0.1.
 */
KENNEL_PUBLIC int kennel_spec_set(struct kennel_spec *spec, const char *key, const char *value,
				  struct kennel_error **err);

/**
 * kennel_spec_set_command() - what to run inside
 * @spec: spec to change; borrowed
 * @argv: NULL-terminated words, copied; NULL or an empty list for the user's shell
 * @err:  error out, owned by the caller, or NULL
 *
 * Return: 0 or -KENNEL_E_NOMEM. Since 0.1.
 */
KENNEL_PUBLIC int kennel_spec_set_command(struct kennel_spec *spec, const char *const *argv,
					  struct kennel_error **err);

/**
 * kennel_spec_add_session() - a session directory, as Fatdog64's User Mode Linux sessions have it
 * @spec:      spec to change; borrowed. What is set afterwards overrules what the session says
 * @dir:       its full path; made, with a "config" that explains itself, where it is not there
 * @words:     NULL-terminated words of a command line, or NULL: those at its beginning that a session has
 *             ("ubd1rc=/FILE", "START_CMD=...") overrule the configuration
 * @ret_taken: how many of @words these are, or NULL
 * @err:       error out, owned by the caller, or NULL
 *
 * Sets isolation "vm", memory, network, host name, drives, the command if there is one, and @dir/savefile as
 * the file that keeps all changes, of 128M if it has to be made and nothing else is said.
 *
 * Return: 0, -KENNEL_E_CORRUPT for a configuration that makes no sense (the sentence has the line),
 * -KENNEL_E_INVALID for words, -KENNEL_E_TYPE, a code of what can't be made or read. Since 0.1.
 */
KENNEL_PUBLIC int kennel_spec_add_session(struct kennel_spec *spec, const char *dir, const char *const *words,
					  size_t *ret_taken, struct kennel_error **err);

/**
 * kennel_spec_set_log() - who hears the library's remarks
 * @spec:  spec to change; borrowed
 * @write: called with one line of text without a newline, from the thread that calls the library; NULL for
 *         nobody
 * @data:  handed to @write
 *
 * Since 0.1.
 */
KENNEL_PUBLIC void
kennel_spec_set_log(struct kennel_spec *spec,
		    void (*write)(void *data, enum kennel_log_level level, const char *text), void *data);

/**
 * kennel_spec_free() - end a spec
 * @spec: spec; NULL is fine
 *
 * Return: NULL. Since 0.1.
 */
KENNEL_PUBLIC struct kennel_spec *kennel_spec_free(struct kennel_spec *spec);

/**
 * kennel_sandbox_start() - make the copy and run the command in it
 * @spec: what is wanted; borrowed, may be freed afterwards
 * @ret:  the running sandbox, the caller's; end it with kennel_sandbox_free()
 * @err:  error out, owned by the caller, or NULL
 *
 * Returns once the command runs. On failure nothing is left of the attempt.
 * Return: 0 or any negative enum kennel_code; -KENNEL_E_NOCOMMAND and -KENNEL_E_NOTEXEC tell a missing and a
 * non-executable command from other failures, see kennel_exit_code(). Since 0.1.
 */
KENNEL_PUBLIC int kennel_sandbox_start(const struct kennel_spec *spec, struct kennel_sandbox **ret,
				       struct kennel_error **err);

/**
 * kennel_sandbox_run() - follow a started sandbox to its end, as the command line does
 * @sb:         started sandbox; borrowed
 * @ret_status: exit status of the command, 0 to 255; 128+N where signal N ended it
 * @err:        error out, owned by the caller, or NULL
 *
 * Carries the terminal where the sandbox has one of its own, and hands SIGINT, SIGTERM, SIGHUP, SIGQUIT,
 * SIGUSR1, SIGUSR2 and SIGWINCH of this process on to the command (they are blocked meanwhile and put back
 * afterwards).
 * Return: 0 or a negative code; the sandbox is over in any case. Since 0.1.
 */
KENNEL_PUBLIC int kennel_sandbox_run(struct kennel_sandbox *sb, int *ret_status, struct kennel_error **err);

/**
 * kennel_sandbox_save() - end a sandbox, and put what it did into the file that it is kept in
 * @sb:  started sandbox; borrowed, to be freed all the same
 * @err: error out, owned by the caller, or NULL
 *
 * For a spec with the key "file"; with others it only ends the sandbox. Once it has returned 0, the file
 * is complete
 * and nobody uses it: it may be copied. Where this is not called, or fails, what was done is kept beside
 * the file for
 * the next start (an ordinary user's), or is in it already (root's).
 * Return: 0, -KENNEL_E_NOSPACE where it does not fit, or another negative code. Since 0.1.
 */
KENNEL_PUBLIC int kennel_sandbox_save(struct kennel_sandbox *sb, struct kennel_error **err);

/**
 * kennel_sandbox_wait() - wait until the sandbox's first process ends
 * @sb:         started sandbox; borrowed
 * @timeout_ms: milliseconds; 0 polls, negative waits for ever
 * @ret_status: exit status as kennel_sandbox_run() gives it; untouched unless 1 is returned
 * @err:        error out, owned by the caller, or NULL
 *
 * A second call returns the same status again.
 * Return: 1 ended, 0 still running, or a negative code. Since 0.1.
 */
KENNEL_PUBLIC int kennel_sandbox_wait(struct kennel_sandbox *sb, int timeout_ms, int *ret_status,
				      struct kennel_error **err);

/**
 * kennel_sandbox_signal() - send a signal to the command
 * @sb:  started sandbox; borrowed
 * @sig: signal number; SIGKILL ends the whole sandbox
 * @err: error out, owned by the caller, or NULL
 *
 * Return: 0, or -KENNEL_E_NOTFOUND where it has ended. Since 0.1.
 */
KENNEL_PUBLIC int kennel_sandbox_signal(struct kennel_sandbox *sb, int sig, struct kennel_error **err);

/**
 * kennel_sandbox_id() - its short name, as kennel_list_read() finds it
 * @sb: started sandbox; borrowed
 *
 * Return: text owned by @sb. Since 0.1.
 */
KENNEL_PUBLIC const char *kennel_sandbox_id(const struct kennel_sandbox *sb);

/**
 * kennel_sandbox_container() - name of the container that it is
 * @sb: started sandbox; borrowed
 *
 * Return: text owned by @sb, or NULL for a throwaway. Since 0.1.
 */
KENNEL_PUBLIC const char *kennel_sandbox_container(const struct kennel_sandbox *sb);

/**
 * kennel_sandbox_is_interactive() - does it have a terminal of its own?
 * @sb: started sandbox; borrowed
 *
 * Return: 1 or 0. Since 0.1.
 */
KENNEL_PUBLIC int kennel_sandbox_is_interactive(const struct kennel_sandbox *sb);

/**
 * kennel_sandbox_count_changes() - how many files the delta holds
 * @sb:        sandbox, running or ended; borrowed
 * @ret_files: files, links, devices and deletions; directories that only lead to them do not count
 * @err:       error out, owned by the caller, or NULL
 *
 * Return: 0 or a negative code. Since 0.1.
 */
KENNEL_PUBLIC int kennel_sandbox_count_changes(struct kennel_sandbox *sb, uint64_t *ret_files,
					       struct kennel_error **err);

/**
 * kennel_sandbox_count_oom_kills() - how many of its processes were killed because "memory" was not enough
 * @sb: sandbox, running or ended, not yet left; borrowed
 *
 * Return: the number; 0 also where the kernel does not count them. Since 0.1.
 */
KENNEL_PUBLIC uint64_t kennel_sandbox_count_oom_kills(const struct kennel_sandbox *sb);

/**
 * enum kennel_limit_hit - limits that a sandbox has run into
 * @KENNEL_HIT_MEMORY: processes were killed: "memory" was not enough
 * @KENNEL_HIT_SWAP:   processes were killed: "memory" and "swap" together were not enough
 * @KENNEL_HIT_INNER:  processes were killed for a limit that was set inside
 * @KENNEL_HIT_OUTER:  processes were killed: the memory of the machine, or of a group around, was not enough
 * @KENNEL_HIT_PIDS:   no further process could be made: "pids"
 */
enum kennel_limit_hit {
	KENNEL_HIT_MEMORY = 1 << 0,
	KENNEL_HIT_SWAP = 1 << 1,
	KENNEL_HIT_INNER = 1 << 2,
	KENNEL_HIT_OUTER = 1 << 3,
	KENNEL_HIT_PIDS = 1 << 4,
};

/**
 * kennel_limit_hit_name() - "memory", "memory+swap", "inner-memory", "outer-memory", "pids"
 * @hit: one of them
 *
 * Return: static text, or NULL. Since 0.1.
 */
KENNEL_PUBLIC const char *kennel_limit_hit_name(enum kennel_limit_hit hit);

/**
 * kennel_sandbox_limits_hit() - which limits it has run into
 * @sb: sandbox, running or ended, not yet left; borrowed
 *
 * A limit that was not asked for is not looked at, but for memory: a kill counts wherever there is a group.
 *
 * Return: enum kennel_limit_hit, any of them; 0 none, or the kernel does not count them. Since 0.1.
 */
KENNEL_PUBLIC unsigned kennel_sandbox_limits_hit(const struct kennel_sandbox *sb);

/**
 * kennel_sandbox_keep() - make a container of a throwaway that has ended
 * @sb:   sandbox, ended and not yet freed; borrowed. It stays what it was
 * @spec: what it was started with: the container's configuration; borrowed
 * @name: of the new container, in the user's own store
 * @tick: called a few times a second with bytes done and in all (0: not known); not 0 from it stops; or NULL
 * @data: handed to @tick
 * @err:  error out, owned by the caller, or NULL
 *
 * Return: 0; -KENNEL_E_EXISTS there is such a container; -KENNEL_E_BUSY it still runs; -KENNEL_E_INVALID a
 * bad name, or it was kept from the beginning; -KENNEL_E_INTERRUPTED; or another negative code. Then there is
 * nothing new. Since 0.1.
 */
KENNEL_PUBLIC int kennel_sandbox_keep(struct kennel_sandbox *sb, const struct kennel_spec *spec,
				      const char *name,
				      int (*tick)(void *data, uint64_t done, uint64_t total), void *data,
				      struct kennel_error **err);

/**
 * kennel_sandbox_free() - end the sandbox if it still runs, and everything that was made for it
 * @sb: sandbox; NULL is fine
 *
 * Return: NULL. Since 0.1.
 */
KENNEL_PUBLIC struct kennel_sandbox *kennel_sandbox_free(struct kennel_sandbox *sb);

/**
 * kennel_sandbox_leave() - end the sandbox, for a program that ends right afterwards
 * @sb: sandbox; borrowed, and of no use any more; NULL is fine
 *
 * Nothing runs and nothing with a name is left when this returns, as with kennel_sandbox_free(). The
 * sandbox's mounts and its delta are taken apart a moment after this process has ended, by a task that shares
 * its memory, instead of before.
 * Since 0.1.
 */
KENNEL_PUBLIC void kennel_sandbox_leave(struct kennel_sandbox *sb);

/**
 * kennel_exit_code() - the exit code of a command line tool for an error
 * @err: error, or NULL
 *
 * Return: 127 where the command was not found inside, 126 where it can't be executed, 0 for NULL, else 125.
 * Since 0.1.
 */
KENNEL_PUBLIC int kennel_exit_code(const struct kennel_error *err);

/**
 * kennel_list_read() - the sandboxes of this user that run now
 * @id:  NULL for all, or the name of a container that runs, or an id or an unambiguous beginning of one
 * @ret: the list, the caller's; end it with kennel_list_free()
 * @err: error out, owned by the caller, or NULL
 *
 * Entries whose monitor is gone are removed on the way.
 * Return: 0; -KENNEL_E_NOTFOUND or -KENNEL_E_INVALID (ambiguous) where @id was given. Since 0.1.
 */
KENNEL_PUBLIC int kennel_list_read(const char *id, struct kennel_list **ret, struct kennel_error **err);

/**
 * kennel_list_count() - how many
 * @list: list; borrowed
 *
 * Return: number of sandboxes. Since 0.1.
 */
KENNEL_PUBLIC size_t kennel_list_count(const struct kennel_list *list);

/**
 * kennel_list_value() - one fact about one sandbox
 * @list:  list; borrowed
 * @index: 0 to kennel_list_count() - 1
 * @key:   "id", "isolate", "created" (seconds since 1970), "pid" (of the monitor), "init" (pid of its first
 *         process as seen here), "base", "command" (shell-quoted), "root" (a path at which root sees its
 *         files), "net", "hostname", "idmap" ("BASE:COUNT" or "no"), "size" (bytes of the delta at most),
 * "state"
 *         ("running" or "frozen"), "boot" and "background" ("yes", where it is so), "cgroup" ("yes" where
 * it has a
 *         control group of its own); of a container also "name" and "path" (its directory)
 *
 * Return: text owned by @list, or NULL for a fact that it does not have. Since 0.1.
 */
KENNEL_PUBLIC const char *kennel_list_value(const struct kennel_list *list, size_t index, const char *key);

/**
 * kennel_list_detail() - the lines of a list fact
 * @list:  list; borrowed
 * @index: 0 to kennel_list_count() - 1
 * @key:   "mount": one line a mount of the machine, "copied PATH FSTYPE", "new PATH FSTYPE" or "left-out PATH
 *         FSTYPE REASON" with tabs between; "interface": "NAME KIND OUTSIDE ADDRESSES", with tabs between,
 *         and blanks between the addresses; "publish": a port as "--publish" has it; "replaced": one path
 *         that the ordinary user who started it can't read, and in whose place something empty stands inside
 * @n:     0, 1, ... until NULL comes back
 *
 * Return: text owned by @list, or NULL. Since 0.1.
 */
KENNEL_PUBLIC const char *kennel_list_detail(const struct kennel_list *list, size_t index, const char *key,
					     size_t n);

/**
 * kennel_list_free() - end a list
 * @list: list; NULL is fine
 *
 * Return: NULL. Since 0.1.
 */
KENNEL_PUBLIC struct kennel_list *kennel_list_free(struct kennel_list *list);

/**
 * kennel_base_read() - what "the running system" means on this machine: its mounts and what becomes of each,
 * and the layers of its root
 * @ret: a list of one entry with the details "mount" (as kennel_list_detail() has it) and "layer" (one path a
 *       line, upper first)
 * @err: error out, owned by the caller, or NULL
 *
 * Return: 0 or a negative code. Since 0.1.
 */
KENNEL_PUBLIC int kennel_base_read(struct kennel_list **ret, struct kennel_error **err);

/**
 * kennel_check_read() - what this kernel, this user and the installed packages allow
 * @ret:         a list with one entry a line, the caller's; end it with kennel_list_free().
 *               kennel_list_value() has "name", "state" ("ok", "missing", "optional-missing"), "needed_for",
 *               "found" and, where something can be done, "remedy"
 * @ret_missing: how many lines are "missing": 0 where a sandbox with an empty spec will start; may be NULL
 * @err:         error out, owned by the caller, or NULL
 *
 * Tries things out in throwaway processes and leaves nothing behind. What is not to be had is a line, not a
 * failure.
 * Return: 0 or a negative code. Since 0.1.
 */
KENNEL_PUBLIC int kennel_check_read(struct kennel_list **ret, size_t *ret_missing, struct kennel_error **err);

/**
 * kennel_copy() - copy a file or a tree into or out of a running sandbox
 * @source: PATH on the host or ID:PATH
 * @target: the same; exactly one of the two is in a sandbox. An existing directory gets a new entry of the
 *          source's last name
 * @err:    error out, owned by the caller, or NULL
 *
 * Inside paths are resolved below the sandbox's root whatever it does meanwhile. Modes, times, links, owners
 * (as seen inside) and user xattrs are kept; a setuid bit or a device is never brought out.
 * Return: 0 or a negative code. Since 0.1.
 */
KENNEL_PUBLIC int kennel_copy(const char *source, const char *target, struct kennel_error **err);

/**
 * kennel_enter() - run one more command in a running sandbox, behind the same walls, and follow it to its end
 * @id:         name of a container that runs, or an id or an unambiguous beginning of one
 * @spec:       the keys "user" (default: root), "workdir" (default: that user's home), "env", "tty" and
 *              "no-new-privs", and the command; nothing else of it is looked at. Borrowed
 * @ret_status: exit status of the command, 0 to 255; 128+N where signal N ended it
 * @err:        error out, owned by the caller, or NULL
 *
 * Signals and terminal are handed on as by kennel_sandbox_run(). The command has the sandbox's namespaces,
 * capabilities, system call filter, control groups and environment, and no descriptor but 0, 1 and 2.
 * Return: 0; -KENNEL_E_NOTFOUND or -KENNEL_E_INVALID (ambiguous); -KENNEL_E_NOCOMMAND and -KENNEL_E_NOTEXEC
 * as kennel_sandbox_start(); or another negative code. Since 0.1.
 */
KENNEL_PUBLIC int kennel_enter(const char *id, const struct kennel_spec *spec, int *ret_status,
			       struct kennel_error **err);

/**
 * kennel_enter_last() - the same, for a program that does nothing else and ends right afterwards
 * @id:         as for kennel_enter()
 * @spec:       as for kennel_enter(). Borrowed
 * @ret_status: as for kennel_enter()
 * @err:        error out, owned by the caller, or NULL
 *
 * It shares its memory with the process that enters until that executes the command, which is quicker. Not
 * for one that looks after more than this: a sandbox that runs out of memory at that moment may take the
 * caller with it. The caller has one thread.
 * Return: as kennel_enter(). Since 0.1.
 */
KENNEL_PUBLIC int kennel_enter_last(const char *id, const struct kennel_spec *spec, int *ret_status,
				    struct kennel_error **err);

/**
 * kennel_stop() - end a running sandbox: ask its command, and kill everything in it after a while
 * @id:         name of a container that runs, or an id or an unambiguous beginning of one
 * @sig:        signal that asks the command; 0 is SIGTERM, or what the init of one that boots takes for it
 * @timeout_ms: how long it has, in milliseconds; 0 kills at once, negative waits for ever
 * @ret_killed: 1 if it was killed, 0 if it ended by itself; may be NULL
 * @err:        error out, owned by the caller, or NULL
 *
 * When this returns, nothing runs inside, and a container may be started again unless its monitor still asks
 * somebody about the changes.
 * Return: 0; -KENNEL_E_NOTFOUND or -KENNEL_E_INVALID (ambiguous); -KENNEL_E_BUSY it can't even be killed; or
 * another negative code. Since 0.1.
 */
KENNEL_PUBLIC int kennel_stop(const char *id, int sig, int timeout_ms, int *ret_killed,
			      struct kennel_error **err);

/**
 * kennel_gc() - remove what killed runs left behind
 * @ret_removed: how many things were removed (runtime entries, control groups); may be NULL
 * @err:         error out, owned by the caller, or NULL
 *
 * Return: 0 or a negative code. Since 0.1.
 */
KENNEL_PUBLIC int kennel_gc(size_t *ret_removed, struct kennel_error **err);

#ifdef __cplusplus
}
#endif
#endif
