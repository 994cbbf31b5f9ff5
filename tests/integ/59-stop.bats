#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
# "kennel stop": asked first, killed after a while, and nothing left when it returns.

load lib

LEVELS="fs ns user"
[ "$EUID" -eq 0 ] || LEVELS=user

setup() {
	need_sandbox
	kennel_setup
}

# start SCRIPT [OPTION]...: a sandbox that runs SCRIPT, which says "up"; sets ID, PID and OUT.
start() {
	background "$KENNEL" run "${@:2}" -- sh -c 'echo "$KENNEL_ID"; '"$1"
	PID=$!
	OUT=$T/out.$LIB_STARTED
	wait_for 20 says "$OUT" up
	ID=$(head -n 1 "$OUT")
}

# ended CODE: the monitor has ended with this code, and the sandbox is not listed.
ended() {
	local code=0
	wait "$PID" || code=$?
	is_equal "$code" "$1"
	! "$KENNEL" list -q | grep -qx "$ID"
}

@test "stop: the command is asked, and what it does then counts" {
	for level in $LEVELS; do
		start 'trap "echo asked; exit 4" TERM; echo up; while :; do sleep 0.1; done' --isolate "$level"
		run_kennel stop "$ID"
		is_status 0
		is_equal "$output" ""
		ended 4
		grep -q asked "$OUT"
	done
}

@test "stop: who does not listen is killed, with all that runs, at each level" {
	for level in $LEVELS; do
		start 'trap "" TERM HUP; (sleep 31.4151; :) & setsid sleep 31.4152 & echo up; while :; do sleep 0.1; done' --isolate "$level"
		run_kennel stop --timeout 300ms "$ID"
		is_status 0
		is_equal "$stderr" "kennel: \"$ID\" did not end by itself and was killed"
		ended 137
		wait_for 5 sh -c '! pgrep -f "^sleep 31.415[12]"'
	done
}

@test "stop: another signal, and none" {
	start 'trap "exit 5" USR1; trap "" TERM; echo up; while :; do sleep 0.1; done'
	run_kennel stop -s SIGUSR1 "${ID:0:6}"
	is_status 0
	ended 5
	start 'echo up; exec sleep 300'
	run_kennel stop --kill "$ID"
	is_status 0
	is_equal "$output" ""
	ended 137
}

@test "stop: a container keeps what it did, and may be started again at once" {
	local store=$T/store
	start 'echo kept >/root/f; trap "echo last >>/root/f; exit 0" TERM; echo up; while :; do sleep 0.1; done' -P "$store" -k box
	run_kennel rm -P "$store" box
	refused yes "kennel stop box"
	run_kennel stop box
	is_status 0
	run_kennel run -P "$store" -k box -- cat /root/f
	is_equal "$stdout" $'kept\nlast'
	ended 0
	run_kennel rm -P "$store" box
	is_status 0
}

@test "stop: several; one that is not there does not keep the others" {
	start 'echo up; exec sleep 300'
	local first=$ID first_pid=$PID
	start 'echo up; exec sleep 300'
	run_kennel stop "$first" nosuch "$ID"
	is_status 125
	is_equal "$(grep -c . <<<"$stderr")" 2
	has 'no sandbox "nosuch" is running' "$stderr"
	ended 143
	PID=$first_pid
	ID=$first
	ended 143
}

@test "stop: words that make no sense stop nothing" {
	start 'echo up; exec sleep 300'
	run_kennel stop
	refused yes "either sandboxes, or --all or --auto"
	run_kennel stop --all "$ID"
	refused yes "either sandboxes, or --all or --auto"
	run_kennel stop --timeout soon "$ID"
	refused yes '"soon" is not a time'
	run_kennel stop --signal NOVA "$ID"
	refused yes '"NOVA" is not a signal'
	run_kennel stop --kill --timeout 3 "$ID"
	refused yes "kill"
	run_kennel stop ""
	refused yes "is the beginning of every id"
	kill -0 "$PID"
	run_kennel stop -k "$ID"
	ended 137
}
