#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# Swap, processors, disks and room for changes: at a start, and changed while it runs.

load lib

setup() {
	need_sandbox
	need_commands busybox jq
	kennel_setup
	mkdir -p "$T/base/bin" "$T/base/etc"
	cp "$(command -v busybox)" "$T/base/bin/busybox"
	for applet in sh sleep cat grep df dd; do ln -s busybox "$T/base/bin/$applet"; done
}

# own_disk: a disk of this machine that has a number of its own; $DISK
own_disk() {
	local dev
	for dev in /sys/block/*; do
		DISK=/dev/${dev##*/}
		[ -b "$DISK" ] && [ "$(cat "$dev/size")" -gt 0 ] && return
	done
	skip "no block device to limit"
}

has_controller() {
	[ -d "/sys/fs/cgroup/$1" ] || grep -qw "${1/blkio/io}" /sys/fs/cgroup/cgroup.controllers 2>/dev/null || skip "kernel without the $1 controller"
}

# in_background ARG...: "kennel run ARG..." that says up; its id is $ID
in_background() {
	background "$KENNEL" run --base "$T/base" --net none "$@" -- sh -c 'echo up; while :; do sleep 60; done'
	wait_for 20 says "$T/out.$LIB_STARTED" up
	ID=$("$KENNEL" list --json | jq -r 'map(select(.name == null))[0].id')
}

limits() {
	"$KENNEL" info --json "$1" | jq -cS .limits
}

@test "limits: room for changes, and another size while it runs" {
	in_background --disk 20M
	is_equal "$(limits "$ID" | jq .disk)" $((20 << 20))
	run_kennel exec "$ID" -- sh -c 'dd if=/dev/zero of=/big bs=1M count=30'
	has "No space left" "$stderr"
	run_kennel set --disk 40M "$ID"
	is_status 0
	is_equal "$(limits "$ID" | jq .disk)" $((40 << 20))
	run_kennel exec "$ID" -- sh -c 'dd if=/dev/zero of=/big bs=1M count=30 2>/dev/null'
	is_status 0
	run_kennel set --disk 5M "$ID"
	refused yes "there is more in it already"
	run_kennel set --hostname x "$ID"
	refused yes "can't change while it runs"
	has "at most 40" "$("$KENNEL" info "$ID")"
}

@test "limits: what can't be had is refused by name" {
	run_kennel run -P "$T/store" -k box --disk 1G --net none true
	refused yes "disk: changes in a directory can't be bounded"
	has "-f FILE --size" "$stderr"
	run_kennel create -P "$T/store" --disk 1G box
	refused yes "disk: changes in a directory"
	run_kennel run -f "$T/box.img" --disk 1G --net none true
	refused yes "disk: a file has room"
	[ ! -e "$T/store/box" ] && [ ! -e "$T/box.img" ]
	run_kennel run --io read=1M --base "$T/base" --net none true
	refused yes "io: its changes are in memory"
	run_kennel run --io write=1M,/proc --base "$T/base" --net none true
	refused yes "io: find the disk of /proc"
	[ "$EUID" -eq 0 ] || return 0
	run_kennel run --cpuset 8000 --base "$T/base" --net none true
	refused yes "cpuset: processor 8000 can't be had here"
	has "those that there are: 0" "$stderr"
}

@test "limits: processors, swap and disks hold, change while it runs, and are shown" {
	need_root "control groups"
	has_controller cpuset
	has_controller blkio
	own_disk
	in_background --memory 64M --swap 32M --cpuset 0 --io "read=1M,wiops=7,$DISK" --pids 100 --cpus 2
	is_equal "$(limits "$ID" | jq -c 'del(.disk)')" '{"cpus":2,"cpuset":"0","io":["read=1048576,wiops=7,'"$DISK"'"],"memory":67108864,"pids":100,"swap":33554432}'
	run_kennel exec "$ID" -- grep Cpus_allowed_list /proc/self/status
	is_equal "$stdout" "Cpus_allowed_list:	0"
	run_kennel set --memory 96M --swap 0 --cpuset all --io "write=2M,$DISK" --cpus 0.5 "$ID"
	is_status 0
	is_equal "$(limits "$ID" | jq -c 'del(.disk)')" '{"cpus":0.5,"io":["write=2097152,'"$DISK"'"],"memory":100663296,"pids":100,"swap":0}'
	run_kennel set --unset memory --unset swap --unset io --unset pids --unset cpus "$ID"
	is_status 0
	is_equal "$(limits "$ID" | jq -c 'del(.disk)')" '{}'
	run_kennel set --cpuset 7000 "$ID"
	refused yes "cpuset: processor 7000"
}

@test "limits: a container in the background follows its configuration, io where its changes are" {
	need_root "control groups"
	has_controller cpuset
	has_controller blkio
	"$KENNEL" create -P "$T/store" --base "$T/base" --net none --memory 50M box
	run_kennel start -P "$T/store" box
	is_status 0
	at_end "$KENNEL" stop --kill box
	run_kennel set -P "$T/store" --swap 10M --cpuset 0 --io write=3M box
	is_status 0
	if [ "$(stat -c %Hd "$T/store")" -gt 0 ]; then
		is_equal "$stderr" ""
		has '"write=3145728,/dev/' "$(limits box)"
	else # on several disks, in memory or over a network
		has "io holds" "$stderr"
	fi
	is_equal "$(limits box | jq -c 'del(.io)')" '{"cpuset":"0","memory":52428800,"swap":10485760}'
	run_kennel config -P "$T/store" box
	has "swap = 10M"
	run_kennel set -P "$T/store" --unset swap --unset cpuset --unset io box
	is_equal "$(limits box)" '{"memory":52428800,"swap":0}'
}
