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

# changed KIND BASE...: it grows, is cloned, goes back.
changed() {
	store_up "$1"
	mkdir -p "$T/base/bin" "$T/base/etc"
	cp /bin/busybox "$T/base/bin/sh"
	run_kennel create "${O[@]}" "${@:2}" --net none one
	is_status 0
	run_kennel run -P "$S" -k one --isolate ns -- sh -c 'echo hi >/etc/new'
	is_status 0
	grows
	run_kennel clone -P "$S" -s one two
	is_status 0
	run_kennel run -P "$S" -k two --isolate ns -- sh -c 'read line </etc/new; echo $line; echo two >/etc/new'
	is_equal "$stdout" hi
	run_kennel snapshot -P "$S" one
	is_status 0
	run_kennel run -P "$S" -k one --isolate ns -- sh -c 'echo three >/etc/new'
	run_kennel restore -P "$S" one snap0
	if [ "$1" = lvm ]; then
		refused yes "snapshots stand on it"
	else
		is_status 0
		run_kennel run -P "$S" -k one --isolate ns -- sh -c 'read line </etc/new; echo $line'
		is_equal "$stdout" hi
	fi
	run_kennel list -P "$S" -kq
	# shellcheck disable=SC2086 # names
	run_kennel rm -P "$S" -s $stdout
	is_status 0
	store_is_empty
}

grows() {
	run_kennel set -P "$S" one --size 100M
	is_status 0
	run_kennel run -P "$S" -k one --isolate ns -- sh -c 'read line </etc/new; echo $line; df -m / | tail -n 1'
	has hi
	[ "$(awk 'END { print $2 }' <<<"$stdout")" -gt 70 ]
	not_in_use one
}

@test "stores in the bed: thin LVM: life" { life thin; }
@test "stores in the bed: classic LVM: life" { life lvm; }
@test "stores in the bed: nbd: life" { life nbd; }
@test "stores in the bed: thin LVM: killed" { killed thin; }
@test "stores in the bed: classic LVM: killed" { killed lvm; }
@test "stores in the bed: nbd: killed" { killed nbd; }
@test "stores in the bed: thin LVM: a base of its own" { own thin; }
@test "stores in the bed: classic LVM: a base of its own" { own lvm; }
@test "stores in the bed: nbd: a base of its own" { own nbd; }
@test "stores in the bed: thin LVM: no room left" { full thin; }
@test "stores in the bed: classic LVM: no room left" { full lvm; }
@test "stores in the bed: nbd: no room left" { full nbd; }
@test "stores in the bed: thin LVM: it grows, is cloned, goes back" { changed thin --base "$T/base"; }
@test "stores in the bed: classic LVM: it grows, is cloned, goes back" { changed lvm --base "$T/base"; }
@test "stores in the bed: nbd: it grows, is cloned, goes back" { changed nbd --template "dir:$T/base"; }

# Killed between the connection and the note of which device that is: it is found by the image that is served.
@test "stores in the bed: nbd: a device that nobody has noted is used, or let go" {
	store_up nbd
	run_kennel create "${O[@]}" one
	is_status 0
	for next in run rm; do
		background "$KENNEL" run -P "$S" -k one --isolate ns --net none -- sh -c 'echo up; exec sleep 300'
		wait_for 60 says "$T/out.$LIB_STARTED" up
		kill -KILL $!
		note=$(echo "$S"/.volumes/*)
		wait_for 60 flock -n "$note" true
		grep -q '^device.*/dev/nbd0$' "$note"
		sed -i '/^device/d' "$note"
		[ "$next" = rm ] || { in_store one -- true && is_status 0; }
	done
	wait_for 60 "$KENNEL" rm -P "$S" one # its mounts may be just going
	store_is_empty
	[ ! -e /sys/block/nbd0/pid ]
}
