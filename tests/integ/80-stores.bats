#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Backing stores: the same cases on each that this machine has. Those that only another kernel has run in the bed (tests/bed/run).

load lib
load stores

teardown() {
	stores_teardown
}

@test "stores: dir: life" { life dir; }
@test "stores: btrfs: life" { life btrfs; }
@test "stores: loop: life" { life loop; }

@test "stores: classic LVM: life" { life lvm; }
@test "stores: thin LVM: life" { life thin; }
@test "stores: nbd: life" { life nbd; }
@test "stores: zfs: life" { life zfs; }

@test "stores: btrfs: killed" { killed btrfs; }
@test "stores: loop: killed" { killed loop; }
@test "stores: zfs: killed" { killed zfs; }

@test "stores: btrfs: a base of its own" { own btrfs; }
@test "stores: loop: a base of its own" { own loop; }
@test "stores: zfs: a base of its own" { own zfs; }

@test "stores: btrfs: no room left" { full btrfs; }
@test "stores: loop: no room left" { full loop; }
@test "stores: zfs: no room left" { full zfs; }

@test "stores: loop: in the background, and let go when it is stopped" {
	store_up loop
	run_kennel create "${O[@]}" --net none one -- sh -c 'echo hi >/etc/new; exec sleep 300'
	run_kennel start -P "$S" one
	is_status 0
	run_kennel stop --kill one
	is_status 0
	not_in_use one
	in_store one -- cat /etc/new
	is_equal "$stdout" hi
	run_kennel rm -P "$S" one
	store_is_empty
}

@test "stores: loop: it grows, and only that" {
	for kind in loop loop-xfs; do
		store_up $kind
		run_kennel create "${O[@]}" one
		is_status 0
		in_store one -- sh -c 'echo hi >/etc/new'
		run_kennel set -P "$S" one --size 700M
		is_status 0
		run_kennel config -P "$S" one
		lacks size
		in_store one -- sh -c 'cat /etc/new; stat -fc %b%S /etc/new >/dev/null; df -m / | tail -n 1'
		has hi
		[ "$(awk 'END { print $2 }' <<<"$stdout")" -gt 450 ]
		run_kennel set -P "$S" one --size 300M
		refused yes "only grows"
		run_kennel rm -P "$S" one
		is_status 0
		store_is_empty
	done
}

@test "stores: a store that can't be had is refused, and so are wrong words" {
	store_up dir
	run_kennel create -P "$S" -B btrfs one
	refused yes "the store does not lie on btrfs"
	run_kennel create -P "$S" -B zoo one
	refused yes 'no store "zoo"'
	run_kennel create -P "$S" -B loop --fs vfat one
	refused yes 'file system "vfat" is not known'
	run_kennel create -P "$S" -B loop --size 4K one
	refused no "make the file system"
	run_kennel create -P "$S" -B lvm one
	refused yes "lvm needs a volume group"
	run_kennel create -P "$S" -B lvm --vg -f one
	refused no '"-f" is no value for vg'
	[ -e /usr/sbin/zfs ] || {
		run_kennel create -P "$S" -B zfs one
		refused yes "zfs is not installed"
	}
	store_is_empty
}

@test "stores: what a new one gets says the store's configuration, or the file system it is on" {
	store_up loop
	printf '# ours\nstore = loop\nfs = ext4\nsize = 64M\n' >"$S/.storage.conf"
	run_kennel create -P "$S" one
	is_status 0
	run_kennel info -P "$S" one
	has "loop, ext4 of 64 MiB"
	run_kennel create -P "$S" -B dir two
	run_kennel info -P "$S" two
	has "store       dir"
	printf 'stoer = loop\n' >"$S/.storage.conf"
	run_kennel create -P "$S" three
	refused yes '.storage.conf, line 1: there is no key "stoer"'
	printf 'store = best\n' >"$S/.storage.conf"
	run_kennel create -P "$S" three
	is_status 0
	run_kennel rm -P "$S" one two three
	rm "$S/.storage.conf"
	store_is_empty
	store_up btrfs
	run_kennel create -P "$S" one
	run_kennel info -P "$S" one
	has "store       btrfs"
	run_kennel rm -P "$S" one
	store_is_empty
}

@test "stores: btrfs: an ordinary user's, with and without the right to remove subvolumes" {
	need_sandbox
	for options in rw user_subvol_rm_allowed; do
		store_up btrfs
		mount -o "remount,$options" "$T/disk"
		mkdir -m 700 "$T/disk/user"
		chmod 711 "$T" "$T/disk"
		chown "$KENNEL_TEST_USER:" "$T/disk/user"
		as_user "$KENNEL" create -P "$T/disk/user" one
		as_user "$KENNEL" run -P "$T/disk/user" -k one --net none -- sh -c 'mkdir -p /opt/a/b; echo hi >/opt/a/b/c'
		is_equal "$(as_user "$KENNEL" run -P "$T/disk/user" -k one --net none -- cat /opt/a/b/c)" hi
		as_user "$KENNEL" rm -P "$T/disk/user" one
		is_equal "$(ls -A "$T/disk/user")" ""
		is_equal "$(btrfs subvolume list "$T/disk")" ""
		rmdir "$T/disk/user"
	done
}

@test "stores: loop: no room, or a bad disk, while it is made" {
	store_up loop
	# called by fail_points
	# shellcheck disable=SC2317
	nothing() { :; }
	# shellcheck disable=SC2317
	whole_or_nothing() {
		[ "$status" -eq 0 ] || [ -s "$POINT_OUT" ] || return
		"$KENNEL" gc -P "$S" >/dev/null
		[ ! -e "$S/one" ] || "$KENNEL" rm -P "$S" one
		store_is_empty
	}
	KENNEL_TEST_POINTS=${KENNEL_TEST_POINTS:-6} fail_points "ENOSPC EIO" nothing whole_or_nothing "$KENNEL" create -P "$S" -B loop --size 32M one
}

@test "stores: btrfs: a store that is full says so, and nothing is left" {
	store_up btrfs
	dd if=/dev/zero of="$T/disk/big" bs=8M count=40 2>/dev/null || :
	run_kennel create "${O[@]}" --template "dir:/usr/share/common-licenses" one
	[ "$status" -ne 0 ] || run_kennel rm -P "$S" one
	rm "$T/disk/big"
	run_kennel gc -P "$S"
	store_is_empty
	run_kennel create "${O[@]}" one
	is_status 0
	run_kennel rm -P "$S" one
	store_is_empty
}

@test "stores: loop: killed while it is made, nothing is left" {
	store_up loop
	# called by kill_points
	# shellcheck disable=SC2317
	nothing() { :; }
	# shellcheck disable=SC2317
	whole_or_nothing() {
		"$KENNEL" gc -P "$S" >/dev/null
		if [ -e "$S/one" ]; then
			"$KENNEL" run -P "$S" -k one --net none -- true || return
			"$KENNEL" rm -P "$S" one
		fi
		store_is_empty
	}
	KENNEL_TEST_POINTS=${KENNEL_TEST_POINTS:-6} kill_points nothing whole_or_nothing "$KENNEL" create -P "$S" -B loop --size 32M one
}
