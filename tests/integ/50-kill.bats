#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# Signals, and the death of kennel at any moment: a moment later there is no process, mount, control group or entry of it.

load lib

setup() {
	need_sandbox
	kennel_setup
}

# start [OPTION]... -- SCRIPT: in the background until SCRIPT has said "up"; sets PID and OUT.
start() {
	local options=()
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	background "$KENNEL" run "${options[@]}" -- sh -c "$2"
	PID=$!
	OUT=$T/out.$LIB_STARTED
	wait_for 20 says "$OUT" up
}

ended_with() {
	local code=0
	wait "$PID" || code=$?
	is_equal "$code" "$1"
}

init_of() {
	"$KENNEL" list --json | jq -r ".[] | select(.pid == $1) | .init"
}

# all_gone MARK: no process has MARK in its words, no janitor or pasta of ours, and the machine is as it was.
all_gone() {
	! pgrep -f "$1" >/dev/null
}

# everything_gone MARK: within two seconds where nobody else has the processors.
everything_gone() {
	wait_for 2 all_gone "$1" || { pgrep -af "$1"; return 1; }
	no_leaks
	run_kennel gc
	is_equal "$stdout" "nothing to remove"
}

pause_us() {
	local seconds
	printf -v seconds '0.%06d' "$1"
	pause "$seconds"
}

# Unlike any other number, so that pgrep finds only ours.
mark() {
	MARK="86400.$$$RANDOM"
}

@test "kill: SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGUSR1 and SIGUSR2 are handed on" {
	local sig level
	for level in $(levels user fs); do
		start --isolate "$level" -- 'for s in TERM HUP INT QUIT USR1 USR2; do trap "echo got $s" $s; done
			trap "echo got USR2; exit 33" USR2; echo up; while :; do sleep 0.05; done'
		for sig in TERM HUP INT QUIT USR1 USR2; do
			kill -$sig "$PID"
			wait_for 10 says "$OUT" "got $sig"
		done
		ended_with 33
	done
}

@test "kill: a signal that the command does not catch ends it with 128 plus its number" {
	need_root "one kind of user is enough"
	local sig
	for sig in TERM HUP INT QUIT; do
		start --net none -- 'echo up; exec sleep 300'
		kill -$sig "$PID"
		ended_with $((128 + $(kill -l "$sig")))
	done
}

@test "kill: a command that ignores all of them goes on" {
	need_root "one kind of user is enough"
	mkdir "$T/shared"
	start --net none --share "$T/shared" -- 'trap "" TERM HUP INT QUIT USR1 USR2; echo up; until [ -e '"$T/shared/go"' ]; do sleep 0.05; done; exit 9'
	local sig
	for sig in TERM HUP INT QUIT USR1 USR2; do
		kill -$sig "$PID"
	done
	: >"$T/shared/go"
	ended_with 9
}

@test "kill: kennel is killed, at every level, with a network, with limits" {
	local options
	for options in "--net none" "--isolate ns --net none" "--isolate fs" "--net nat" "--net none --pids 50" "--isolate ns --net nat --memory 100M" "--net none --share $T"; do
		[[ $options != *--isolate* && $options != *--pids* ]] || [ "$EUID" -eq 0 ] || continue
		mark
		# shellcheck disable=SC2086
		start $options -- "sleep $MARK & setsid -f sh -c 'trap : TERM HUP INT; sleep $MARK; sleep $MARK'; echo up; trap : TERM; while :; do sleep $MARK; done"
		kill -KILL "$PID"
		everything_gone "$MARK" || { echo "with $options"; return 1; }
	done
}

@test "kill: pasta goes with kennel" {
	need_root "one kind of user is enough"
	need_commands pasta
	start -- 'echo up; exec sleep 300'
	local before
	before=$(pgrep -x 'pas[st][at].*' | wc -l)
	[ "$before" -ge 1 ]
	kill -KILL "$PID"
	wait_for 2 fewer_pasta "$before"
}

fewer_pasta() {
	[ "$(pgrep -x 'pas[st][at].*' | wc -l)" -lt "$1" ]
}

@test "kill: pid 1 of the sandbox is killed from outside" {
	need_root "one kind of user is enough"
	local level
	for level in user ns; do
		mark
		start --isolate "$level" -- "sleep $MARK & echo up; sleep $MARK"
		kill -KILL "$(init_of "$PID")"
		ended_with 137
		everything_gone "$MARK" || { echo "at $level"; return 1; }
	done
}

@test "kill: at fs its init is killed from outside: the command ends too" {
	need_root "one kind of user is enough"
	mark
	start --isolate fs -- "echo up; exec sleep $MARK"
	kill -KILL "$(init_of "$PID")"
	ended_with 137
	everything_gone "$MARK"
}

@test "kill: the janitor is killed, and then kennel" {
	mark
	start --net none -- "echo up; sleep $MARK"
	pkill -KILL -P "$PID" -x kjanitor
	kill -KILL "$PID"
	wait_for 2 all_gone "$MARK"
	# Nobody was left who could remove the entry: that is what gc is for.
	"$KENNEL" gc
	everything_gone "$MARK"
}

@test "kill: kennel, janitor and pid 1 in one stroke" {
	need_root "one kind of user is enough"
	mark
	start --net none --pids 50 -- "echo up; sleep $MARK"
	kill -KILL "$(init_of "$PID")" "$(pgrep -P "$PID" -x kjanitor)" "$PID"
	wait_for 2 all_gone "$MARK"
	"$KENNEL" gc
	everything_gone "$MARK"
}

@test "kill: the caller of kennel is killed, and its process group" {
	need_root "one kind of user is enough"
	mark
	setsid sh -c '"$0" run --net none -- sh -c "echo up; sleep $1; :"; :' "$KENNEL" "$MARK" </dev/null >"$T/out" 2>&1 3>&- &
	local leader=$!
	wait_for 10 says "$T/out" up
	kill -KILL -- "-$leader"
	everything_gone "$MARK"
}

@test "kill: kennel stopped and killed" {
	need_root "one kind of user is enough"
	mark
	start --net none -- "echo up; sleep $MARK"
	kill -STOP "$PID"
	kill -KILL "$PID"
	everything_gone "$MARK"
}

@test "kill: at many instants of the start" {
	need_root "one kind of user is enough"
	mark
	local us options
	for options in "--net none" "--isolate ns --net none --pids 50" "--net none --share $T"; do
		# other instants each time; the system calls have tests of their own
		for ((us = RANDOM % 1100; us < 12000; us += 1100)); do
			# shellcheck disable=SC2086
			"$KENNEL" run $options -- sleep "$MARK" </dev/null >/dev/null 2>&1 3>&- &
			pause_us "$us"
			kill -KILL $!
			wait $! 2>/dev/null || :
		done
		everything_gone "$MARK" || { echo "with $options"; return 1; }
	done
}

@test "kill: at many instants of the start, with a network" {
	need_root "one kind of user is enough"
	need_commands pasta
	mark
	local us
	for ((us = RANDOM % 11000; us < 80000; us += 11000)); do
		"$KENNEL" run -- sleep "$MARK" </dev/null >/dev/null 2>&1 3>&- &
		pause_us "$us"
		kill -KILL $!
		wait $! 2>/dev/null || :
	done
	everything_gone "$MARK"
}

@test "kill: at many instants with SIGTERM and SIGINT: an exit code, and nothing left" {
	need_root "one kind of user is enough"
	mark
	local us sig
	for sig in TERM INT; do
		for ((us = RANDOM % 2300; us < 12000; us += 2300)); do
			timeout 100 "$KENNEL" run --net none -- sleep "$MARK" </dev/null >/dev/null 2>&1 3>&- &
			local timer=$!
			pause_us "$us"
			# On a loaded machine "timeout" may not have come to start it by then.
			until pkill -$sig -P "$timer" -x kennel; do
				kill -0 "$timer" || return 1
			done
			local code=0
			wait "$timer" || code=$?
			# 124 would be the timeout: it did not hear the signal.
			[ "$code" -eq $((128 + $(kill -l $sig))) ] || [ "$code" -eq 125 ] || { echo "$sig after $us: $code"; return 1; }
		done
	done
	everything_gone "$MARK"
}

# calls ARG...: how often the monitor calls each system call until its command runs and has ended: "NAME COUNT" lines.
calls() {
	strace -o "$T/trace" -e 'trace=!exit_group' "$KENNEL" run "$@" </dev/null >/dev/null 2>&1 3>&- || return 1
	sed -n 's/^\([a-z0-9_]*\)(.*/\1/p' "$T/trace"
}

# kill_at_every STEP ARG...: SIGKILL in every STEPth system call of the monitor. All of them: one that changes nothing is still a moment
# of those that are started beside it.
kill_at_every() {
	local POINT_STEP=$1 SCENE=(MARK) KENNEL_TEST_EVERY_CALL=1
	shift
	kill_points true true "$KENNEL" run "$@"
}

@test "kill: in each second system call of the start" {
	need_commands cc
	mark
	kill_at_every 2 --net none -- sleep "0.$$"
	[ "$POINTS" -gt 60 ]
	everything_gone "sleep 0.$$"
}

@test "kill: in each third system call of a start with limits, at ns" {
	need_root "one kind of user is enough"
	need_commands cc
	kill_at_every 3 --net none --isolate ns --pids 50 -- sleep "0.$$"
	[ "$POINTS" -gt 20 ]
	everything_gone "sleep 0.$$"
}

@test "kill: in each third system call of a start with a share and one with an image" {
	need_commands cc mksquashfs
	mkdir "$T/layer"
	mksquashfs "$T/layer" "$T/image" -quiet -no-progress >/dev/null
	if [ "$EUID" -eq 0 ]; then
		kill_at_every 3 --net none --share "$T" -- sleep "0.$$"
		kill_at_every 3 --net none --layer "$T/image" -- sleep "0.$$"
	else # a server for each of them
		kill_at_every 3 --net none --share "$T:ro" --layer "$T/image" -- sleep "0.$$"
		wait_for 5 no_servers
	fi
	everything_gone "sleep 0.$$"
}

no_servers() {
	! pgrep -u "$(id -u)" -f 'kennel-(view|image) --fuse' >/dev/null
}

@test "kill: in each fourth system call of a start with a network" {
	need_root "one kind of user is enough"
	need_commands cc pasta
	kill_at_every 4 -- sleep "0.$$"
	everything_gone "sleep 0.$$"
	wait_for 2 no_orphan_pasta
}

# One whose network namespace has no process but itself left.
no_orphan_pasta() {
	local pid
	for pid in $(pgrep -x 'pas[st][at].*'); do
		[ "$(ps -o ppid= -p "$pid" | tr -d ' ')" != 1 ] || return 1
	done
}

@test "kill: in each third system call at fs" {
	need_root "one kind of user is enough"
	need_commands cc
	kill_at_every 3 --isolate fs -- sleep "0.$$"
	everything_gone "sleep 0.$$"
}

@test "kill: a system call of the start fails: 125 or well, never in between, and nothing left" {
	need_root "one kind of user is enough"
	need_commands strace
	local name error=EPERM
	# Each call that the launcher makes, its third one.
	while read -r name; do
		case $name in
		execve | exit* | brk | mmap | munmap | mprotect | arch_prctl | set_tid_address | set_robust_list | rseq | prlimit64 | pread64 | close | rt_sigreturn | access | get*id | umask) continue ;;
		esac
		[ $error = EPERM ] && error=ENOSPC || error=EPERM
		status=0
		timeout 100 strace -o /dev/null -e "trace=$name" -e "inject=$name:error=$error:when=3" "$KENNEL" run --net none -- sh -c 'exit 5' </dev/null >"$T/o" 2>"$T/e" 3>&- || status=$?
		case $status in
		5 | 125) ;;
		*)
			echo "$name fails with $error: $status: $(<"$T/e")"
			return 1
			;;
		esac
		[ "$status" -ne 125 ] || grep -q "^kennel: " "$T/e" || { echo "$name fails with $error: silent"; return 1; }
	done < <(calls --net none -- true | sort -u)
	everything_gone "exit 5"
}

@test "kill: after all this there is nothing to collect" {
	is_equal "$("$KENNEL" gc)" "nothing to remove"
}
