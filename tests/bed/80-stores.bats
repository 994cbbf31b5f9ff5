#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Backing stores that most machines' kernels have no devices for: the cases of integ/stores.bash on them.

load ../integ/lib
load ../integ/stores

setup() {
	[ "${KENNEL_TEST_BED-}" = yes ] || skip "runs in a guest alone: tests/bed/run"
	kennel_setup
}

teardown() {
	stores_teardown
}

# brief KIND BASE...: what a guest, where a command of LVM takes half a second, has time for.
brief() {
	store_up "$1"
	mkdir -p "$T/base/bin" "$T/base/etc"
	cp /bin/busybox "$T/base/bin/sh"
	run_kennel create "${O[@]}" "${@:2}" --net none one
	is_status 0
	background "$KENNEL" run -P "$S" -k one --isolate ns -- sh -c 'echo hi >/etc/new; sync; echo up; exec sleep 300'
	wait_for 60 says "$T/out.$LIB_STARTED" up
	# others may look meanwhile
	run_kennel diff -P "$S" one
	has "A /etc/new"
	kill -KILL $!
	wait_for 60 not_running one
	# there is no time for all of it on thin volumes, where LVM knows no other way of growing, and going back makes a clone, too
	[ "$1" = thin ] || { grows && cloned; }
	run_kennel snapshot -P "$S" one
	is_status 0
	run_kennel run -P "$S" -k one --isolate ns -- sh -c 'echo three >/etc/new'
	run_kennel restore -P "$S" one snap0
	is_status 0
	run_kennel run -P "$S" -k one --isolate ns -- sh -c 'read line </etc/new; echo $line'
	is_equal "$stdout" hi
	run_kennel list -P "$S" -kq
	# shellcheck disable=SC2086 # names
	go -s $stdout
}

cloned() {
	run_kennel clone -P "$S" -s one two
	is_status 0
	run_kennel run -P "$S" -k two --isolate ns -- sh -c 'read line </etc/new; echo $line; echo two >/etc/new'
	is_equal "$stdout" hi
}

grows() {
	run_kennel set -P "$S" one --size 100M
	is_status 0
	run_kennel run -P "$S" -k one --isolate ns -- sh -c 'read line </etc/new; echo $line; df -m / | tail -n 1'
	has hi
	[ "$(awk 'END { print $2 }' <<<"$stdout")" -gt 70 ]
	not_in_use one
}

go() {
	run_kennel rm -P "$S" "$@"
	is_status 0
	store_is_empty
}

not_running() {
	"$KENNEL" info -P "$S" "$1" | grep -q '^state  *stopped'
}

@test "stores in the bed: thin LVM" { brief thin --base "$T/base"; }

@test "stores in the bed: classic LVM" {
	mkdir -p "$T/base/bin" "$T/base/etc"
	cp /bin/busybox "$T/base/bin/sh"
	store_up lvm
	run_kennel create "${O[@]}" --base "$T/base" --net none one
	is_status 0
	run_kennel run -P "$S" -k one --isolate ns -- sh -c 'echo hi >/etc/new'
	is_status 0
	run_kennel diff -P "$S" one
	has "A /etc/new"
	grows
	run_kennel snapshot -P "$S" one
	is_status 0
	run_kennel restore -P "$S" one snap0
	refused yes "snapshots stand on it"
	go -s one
}

@test "stores in the bed: nbd" { brief nbd --template "dir:$T/base"; }
