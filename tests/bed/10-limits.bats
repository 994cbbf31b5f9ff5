#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Limits, freezer, and groups handed over, where cgroup v2 is alone. A guest is slow, so each test does much.

load ../integ/lib

TOP=/sys/fs/cgroup
DISK=/dev/ubdb

setup_file() {
	[ "${KENNEL_TEST_BED-}" = yes ] || return 0
	mkdir -p "$BATS_FILE_TMPDIR/base/bin" "$BATS_FILE_TMPDIR/base/etc"
	cp /bin/busybox "$BATS_FILE_TMPDIR/base/bin/"
	for applet in sh sleep; do ln "$BATS_FILE_TMPDIR/base/bin/busybox" "$BATS_FILE_TMPDIR/base/bin/$applet"; done
}

setup() {
	[ "${KENNEL_TEST_BED-}" = yes ] || skip "runs in a guest alone: tests/bed/run"
	kennel_setup
	BASE=$BATS_FILE_TMPDIR/base
	at_end "$KENNEL" gc
}

teardown() {
	"$KENNEL" stop --kill --all >/dev/null 2>&1 || :
	kennel_teardown
}

create() {
	"$KENNEL" create -P "$T/store" --base "$BASE" --net none "$@"
}

start() {
	"$KENNEL" start -P "$T/store" "$@"
}

stopped() {
	"$KENNEL" wait -P "$T/store" -t 100 --state stopped "$1"
}

# group_of ID: its directory; value FILE: what stands in one of its files
group_of() {
	GROUP=$TOP/kennel-$1
	[ -d "$GROUP" ] || GROUP=$TOP/kennel.slice/kennel-$1
	[ -d "$GROUP" ]
}

value() {
	local text=
	read -rd '' text <"$GROUP/$1" || :
	is_equal "$text" "$2"
}

limits() {
	"$KENNEL" info --json "$1" | jq -cS .limits
}

shows_fork() {
	"$KENNEL" log -P "$T/store" box | grep -q fork
}

nothing_left() {
	[ -z "$(find "$TOP" -mindepth 1 -type d -name 'kennel*')" ]
}

@test "v2: it is alone here" {
	[ "$(stat -f -c %T "$TOP")" = cgroup2fs ]
	is_equal "$(grep -c ' - cgroup ' /proc/self/mountinfo)" 0
}

@test "v2: limits at a start, other ones while it runs, and none" {
	create --memory 64M --swap 32M --pids 100 --cpus 2 --io "read=1M,wiops=7,$DISK" box
	id=$(start box)
	group_of "$id"
	value memory.max 67108864
	value memory.swap.max 33554432
	value pids.max 100
	value cpu.max "200000 100000"
	value io.max "98:16 rbps=1048576 wbps=max riops=max wiops=7"
	is_equal "$(limits box)" '{"cpus":2,"io":["read=1048576,wiops=7,'"$DISK"'"],"memory":67108864,"pids":100,"swap":33554432}'
	run_kennel set -P "$T/store" --memory 96M --swap 0 --pids 7 --cpus 0.5 --io "write=2M,$DISK" box
	is_equal "$status$output" 0
	value memory.max 100663296
	value memory.swap.max 0
	value cpu.max "50000 100000"
	value io.max "98:16 rbps=max wbps=2097152 riops=max wiops=max"
	run_kennel exec box -- sh -c 'for i in 1 2 3 4 5 6 7 8 9; do sleep 60 & done'
	has fork "$stderr"
	run_kennel set -P "$T/store" --unset memory --unset swap --unset pids --unset cpus --unset io box
	is_equal "$status$output" 0
	value memory.max max
	value memory.swap.max max
	value pids.max max
	value cpu.max "max 100000"
	value io.max ""
	is_equal "$(limits box)" '{}'
	# what this kernel has not got
	run_kennel set -P "$T/store" --cpuset 0 box
	has cpuset "$stderr"
	run_kennel run --cpuset 0 --base "$BASE" --net none -- true
	refused yes "this kernel or machine does not offer it"
	"$KENNEL" stop --kill box
	stopped box
	nothing_left
}

@test "v2: room for changes; who was killed for memory is told; a limit of the processor is one" {
	run_kennel run --base "$BASE" --net none --disk 8M -- sh -c 'busybox dd if=/dev/zero of=/big bs=1M count=9'
	has "No space left" "$stderr"
	run_kennel run --base "$BASE" --net none --memory 16M -- sh -c 'x=x; while :; do x=$x$x; done'
	has "for --memory was not enough" "$stderr"
	create --memory 16M box
	id=$(start box -- sh -c 'x=x; while :; do x=$x$x; done')
	stopped box
	run_kennel info --json -P "$T/store" box
	is_equal "$(jq '."oom-kills" > 0' <<<"$stdout")" true
	"$KENNEL" set -P "$T/store" --cpus 0.2 box
	id=$(start box -- sh -c 'while :; do :; done')
	group_of "$id"
	wait_for 20 eval '[ "$(sed -n "s/^nr_throttled //p" "$GROUP/cpu.stat")" -gt 0 ]'
}

@test "v2: frozen and thawed; frozen, it can be stopped; a killed monitor leaves nothing" {
	create box
	id=$(start box)
	group_of "$id"
	"$KENNEL" freeze box
	grep -qx "frozen 1" "$GROUP/cgroup.events"
	"$KENNEL" wait -P "$T/store" --state frozen --timeout 0 box
	"$KENNEL" thaw box
	grep -qx "frozen 0" "$GROUP/cgroup.events"
	"$KENNEL" freeze box
	"$KENNEL" stop box
	stopped box
	nothing_left
	start -q box
	"$KENNEL" freeze box
	kill -9 "$("$KENNEL" list --json -P "$T/store" | jq '.[0].pid')"
	stopped box
	"$KENNEL" gc
	wait_for 10 nothing_left
}

# Groups of its own, three deep, with a process; then tries to lift what stands in its topmost one, and makes too many processes.
DELEGATED='#!/bin/sh
mkdir -p /cg/work && mount -t cgroup2 none /cg && mkdir -p /cg/work /cg/a/b/c
while read p; do echo $p >/cg/work/cgroup.procs; done </cg/cgroup.procs
echo "+pids +memory" >/cg/cgroup.subtree_control && echo 5 >/cg/a/pids.max
sleep 1000 &
echo $! >/cg/a/b/c/cgroup.procs
for f in /cg/pids.max /cg/memory.max; do [ ! -e $f ] || echo max >$f; done
echo ready
(i=0; while [ $i -lt 60 ]; do sleep 1000 & i=$((i + 1)); done)
exec sleep 1000'

@test "v2: root of a handed over group makes groups in it, and can't raise its limits; stop and gc take all of them" {
	mkdir -p "$T/base/sbin" "$T/base/bin" "$T/base/etc"
	for applet in sh sleep mkdir mount cat; do ln "$BASE/bin/busybox" "$T/base/bin/$applet"; done
	printf '%s\n' "$DELEGATED" >"$T/base/sbin/init"
	chmod +x "$T/base/sbin/init"
	BASE=$T/base
	create --boot --isolate ns --cap-add sys_admin --pids 50 --memory 64M box
	for how in stop murder; do
		id=$(start box)
		group_of "$id"
		wait_for 30 shows_fork
		has ready "$("$KENNEL" log -P "$T/store" box)"
		[ -n "$(<"$GROUP/inside/a/b/c/cgroup.procs")" ]
		is_equal "$(<"$GROUP/inside/a/pids.max")" 5
		value pids.max 50
		value memory.max 67108864
		if [ $how = stop ]; then
			"$KENNEL" stop --kill box
		else
			kill -9 "$("$KENNEL" list --json -P "$T/store" | jq '.[0].pid')"
		fi
		stopped box
		"$KENNEL" gc
		wait_for 10 nothing_left
	done
}

@test "v2: kennel cg" {
	"$KENNEL" cg create job
	at_end rmdir "$TOP/job"
	background sleep 300
	"$KENNEL" cg move job $!
	is_equal "$("$KENNEL" cg tasks job)" $!
	"$KENNEL" cg set job pids.max=20 memory.limit_in_bytes=67108864
	is_equal "$(<"$TOP/job/memory.max")" 67108864
	is_equal "$("$KENNEL" cg limits --json job | jq -c '[.pids, .memory]')" "[20,67108864]"
	"$KENNEL" cg freeze job
	grep -qx "frozen 1" "$TOP/job/cgroup.events"
	"$KENNEL" cg set job freezer.state=THAWED
	grep -qx "frozen 0" "$TOP/job/cgroup.events"
	"$KENNEL" cg create job/in
	is_equal "$("$KENNEL" cg list job)" in
	"$KENNEL" cg rm job/in
	"$KENNEL" cg chown job kennel-test
	is_equal "$(stat -c %U "$TOP/job" "$TOP/job/cgroup.procs" "$TOP/job/cgroup.subtree_control" "$TOP/job/pids.max" | tr '\n' ' ')" "kennel-test kennel-test kennel-test root "
	"$KENNEL" cg kill job
	wait_for 5 eval '[ -z "$(<"$TOP/job/cgroup.procs")" ]'
}
