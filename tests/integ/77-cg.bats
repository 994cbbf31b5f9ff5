#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# "kennel cg": groups below the own one, by relative paths alone.

load lib

setup() {
	kennel_setup
	need_commands jq
	JOB=job-$$
}

# a_job: a group with a process in it; $JOB, $PID
a_job() {
	need_root "control groups"
	"$KENNEL" cg create "$JOB" || skip "needs root: of the control groups"
	at_end remove_job
	background sleep 300
	PID=$!
	"$KENNEL" cg move "$JOB" "$PID"
}

remove_job() {
	"$KENNEL" cg thaw "$JOB" 2>/dev/null || :
	"$KENNEL" cg kill "$JOB" || :
	wait_for 5 "$KENNEL" cg rm "$JOB" 2>/dev/null
}

# How often the guard has looked; three more: once at what is there now for sure.
rounds() {
	wc -l <"$T/rounds"
}

rounds_since() {
	[ "$(rounds)" -ge $(($1 + 3)) ]
}

# A sensor is never empty, as a file is that is just written.
warm() {
	echo "$1" >"$T/sensor.new"
	mv "$T/sensor.new" "$T/sensor"
}

ended() {
	! kill -0 "$1" 2>/dev/null
}

in_job() {
	[ "$("$KENNEL" cg tasks "$JOB")" = "$1" ]
}

# bats test_tags=bed
@test "cg: make, move, look, limit, freeze, end" {
	a_job
	is_equal "$("$KENNEL" cg tasks "$JOB")" "$PID"
	is_equal "$("$KENNEL" cg --json tasks "$JOB")" "[$PID]"
	"$KENNEL" cg list --json | jq -e --arg j "$JOB" 'index($j) != null'
	run_kennel cg create "$JOB"
	refused no "it is there already"
	run_kennel cg rm "$JOB"
	refused yes "processes or groups are in it"
	run_kennel cg set "$JOB" pids.max=20 memory.max=67108864
	is_status 0
	is_equal "$("$KENNEL" cg get "$JOB" memory.limit_in_bytes)" 67108864
	is_equal "$("$KENNEL" cg get --json "$JOB" pids.max)" '["20"]'
	is_equal "$("$KENNEL" cg limits --json "$JOB" | jq -c '[.pids, .memory]')" "[20,67108864]"
	has "pids    20" "$("$KENNEL" cg limits "$JOB")"
	run_kennel cg freeze "$JOB"
	is_status 0
	case $("$KENNEL" cg get "$JOB" freezer.state) in FROZEN | 1) ;; *) false ;; esac
	run_kennel cg set "$JOB" freezer.state=THAWED
	is_status 0
	"$KENNEL" cg create "$JOB/in it"
	is_equal "$("$KENNEL" cg list "$JOB")" "in it"
	"$KENNEL" cg rm "$JOB/in it"
	run_kennel cg kill "$JOB"
	is_status 0
	wait_for 5 in_job ""
}

# bats test_tags=bed
@test "cg: given away, its owner can't raise its limits" {
	a_job
	"$KENNEL" cg set "$JOB" pids.max=20
	run_kennel cg chown "$JOB" "$KENNEL_TEST_USER"
	is_status 0
	for dir in /sys/fs/cgroup/pids/"$JOB" /sys/fs/cgroup/"$JOB" /sys/fs/cgroup/unified/"$JOB"; do
		[ -d "$dir" ] || continue
		is_equal "$(stat -c %U "$dir")" "$KENNEL_TEST_USER"
		[ ! -e "$dir/pids.max" ] || is_equal "$(stat -c %U "$dir/pids.max")" root
	done
	run_kennel cg chown "$JOB" nobody-has-this-name
	refused no "there is no user"
}

@test "cg: a path can't leave the own group, and words that make no sense are refused" {
	for path in /x .. a/../../b ../x x/..; do
		for verb in create tasks; do
			run_kennel cg "$verb" "$path"
			is_status 125
			has "\"$path\" " "$stderr"
		done
	done
	for verb in freeze kill thaw; do
		run_kennel cg "$verb" .
		refused no "your own group"
	done
	run_kennel cg set . pids.max=max
	refused no "your own group"
	run_kennel cg get . ../x
	refused no "no name of a control file"
	run_kennel cg move nobody-made-this 1
	refused yes "there is no group"
	run_kennel cg dance
	refused yes "there is no verb"
	run_kennel cg move x
	refused no "takes PATH PID..."
	run_kennel cg tasks
	is_status 0
	[ "$EUID" -ne 0 ] || return 0
	run_kennel cg create mine
	refused yes "make the group"
	has Delegate=yes "$stderr"
}

# bats test_tags=bed
@test "cg: a guard freezes a job while it is too hot, with hysteresis" {
	a_job
	warm 60000
	mkdir "$T/bin"
	printf '#!/bin/sh\necho >>"%s"\nexec /bin/sleep 0.05\n' "$T/rounds" >"$T/bin/sleep"
	chmod +x "$T/bin/sleep"
	PATH=$T/bin:$PATH KENNEL=$KENNEL background "$KENNEL_STAGE/examples/thermal-guard" -s "$T/sensor" -h 80 -c 65 -i 0.1 "$JOB"
	GUARD=$T/out.$LIB_STARTED GUARD_PID=$!
	warm 80000
	wait_for 10 says "$GUARD" "frozen at 80"
	case $("$KENNEL" cg get "$JOB" freezer.state) in FROZEN | 1) ;; *) false ;; esac
	warm 70000
	ticks=$(rounds)
	wait_for 10 rounds_since "$ticks"
	lacks "goes on" "$(cat "$GUARD")"
	warm 64000
	wait_for 10 says "$GUARD" "goes on at 64"
	case $("$KENNEL" cg get "$JOB" freezer.state) in THAWED | 0) ;; *) false ;; esac
	"$KENNEL" cg kill "$JOB"
	wait_for 10 ended "$GUARD_PID"
}
