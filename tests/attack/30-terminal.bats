#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
# The caller's terminal: nothing can be typed into it, and it stays the caller's. "probe terminal" is the terminal and its shell.

load attack

# on_terminal LEVEL OPTIONS... -- COMMAND...: kennel run on a terminal of its own, where nobody answers a question on leaving.
on_terminal() {
	run timeout -k 5 200 "$P" terminal "$KENNEL" run -q --net none --isolate "$@"
	echo "$output"
	is_status 0
}

nothing_typed() {
	has "waiting 0" && has "session kept" && lacks TYPED && lacks "TOOK the terminal"
}

@test "terminal: a terminal notices what is typed into it" {
	# Without a wall the attack works, or the kernel has it switched off; else the tests below say nothing.
	run "$P" terminal "$P" typing 0
	echo "$output"
	has TYPED || [ "$(cat /proc/sys/dev/tty/legacy_tiocsti 2>/dev/null)" = 0 ]
}

@test "terminal: handed on with --no-tty, nothing can be typed into it or taken" {
	for level in $WALLED; do
		on_terminal "$level" --no-tty -- sh -c "$P typing 0 1 2 /dev/tty /proc/self/fd/0 /dev/console; setsid $P typing 0 1 2; $P ok"
		has "typing tried"
		has usable
		nothing_typed
	done
}

@test "terminal: standard output or error alone is no way in" {
	for level in $WALLED; do
		for streams in '</dev/null' '</dev/null >/dev/null' '2>/dev/null'; do
			run timeout -k 5 200 "$P" terminal /bin/sh -c "exec '$KENNEL' run -q --net none --no-tty --isolate $level -- $P typing 0 1 2 /dev/tty $streams"
			echo "$output"
			nothing_typed
		done
	done
}

@test "terminal: of a sandbox's own pty nothing reaches the caller's" {
	for level in $WALLED; do
		on_terminal "$level" -- sh -c "$P typing 0 1 2 /dev/tty /dev/console; $P ok"
		has "typing tried"
		has usable
		nothing_typed
	done
}

@test "terminal: the caller's modes and session are back after a sandbox that left its own in disorder" {
	for level in $WALLED; do
		on_terminal "$level" -- sh -c 'stty raw -echo; stty eof x; exit 5'
		has "exit 5"
		has "session kept"
		on_terminal "$level" -- sh -c 'kill -9 -1; kill -9 $$'
		has "exit 137"
		has "session kept"
	done
}

@test "terminal: nested ones, too" {
	on_terminal user -- sh -c "unshare -Urmp --fork $P typing 0 1 2 /dev/tty; $P ok"
	has usable
	nothing_typed
}
