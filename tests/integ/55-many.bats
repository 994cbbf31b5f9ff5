#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# Many at once: no failure, no id twice, nothing left.

load lib

setup() {
	need_sandbox
	kennel_setup
}

# many N ARG...: N at once, each prints its id and ends when the fifo does; all their output in $T/all.
many() {
	local n=$1 i failed=0 pids=()
	shift
	for ((i = 0; i < n; i++)); do
		"$KENNEL" run "$@" -- sh -c 'echo "$KENNEL_ID"; exit 3' </dev/null >"$T/m.$i" 2>"$T/e.$i" 3>&- &
		pids+=($!)
	done
	for ((i = 0; i < n; i++)); do
		local code=0
		wait "${pids[i]}" || code=$?
		[ "$code" -eq 3 ] || {
			echo "number $i: exit code $code: $(<"$T/e.$i")"
			failed=$((failed + 1))
		}
	done
	cat "$T"/m.* >"$T/all"
	[ "$failed" -eq 0 ] && [ -z "$(cat "$T"/e.*)" ] && [ "$(sort -u "$T/all" | wc -l)" -eq "$n" ]
}

@test "many: 32 at once" {
	many 32 --net none
}

@test "many: 100 at once" {
	many 100 --net none
}

@test "many: 32 at once at ns, with limits" {
	need_root "isolation fs and ns"
	many 32 --net none --isolate ns --memory 64M --pids 20
}

@test "many: 16 at once at fs" {
	need_root "isolation fs and ns"
	many 16 --isolate fs
}

@test "many: 8 at once with a network" {
	need_commands pasta
	many 8
}

@test "many: 20 together, seen by list, ended by one signal each" {
	local i
	for i in $(seq 20); do
		background "$KENNEL" run --net none -- sh -c 'echo up; exec sleep 300'
		echo $! >>"$T/pids"
	done
	wait_for 30 all_up
	is_equal "$("$KENNEL" list --json | jq -r '.[].pid' | grep -cxFf "$T/pids")" 20
	xargs kill -TERM <"$T/pids"
	wait_for 10 none_listed
}

all_up() {
	[ "$(cat "$T"/out.* | wc -l)" -eq 20 ]
}

none_listed() {
	[ "$("$KENNEL" list --json | jq -r '.[].pid' | grep -cxFf "$T/pids")" -eq 0 ]
}

@test "many: 100 in a row" {
	local i
	for i in $(seq 100); do
		"$KENNEL" run --net none -- true </dev/null
	done
}
