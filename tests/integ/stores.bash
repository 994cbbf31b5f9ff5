# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# integ/stores.bash - backing stores for tests. "store_up KIND" makes one: S is a directory for containers, O the options that make one on
# it, STORE_SAYS what "kennel info" tells. KIND: dir overlay btrfs loop loop-xfs loop-btrfs. What the machine lacks is a skip that names it.

store_up() {
	STORE_KIND=$1 S=$T/store
	[ -d "$S" ] || mkdir -m 700 "$S"
	O=(-P "$S")
	case $1 in
	dir | overlay)
		O+=(-B "$1")
		STORE_SAYS="store       $1"
		;;
	btrfs)
		need_commands mkfs.btrfs
		grep -qw btrfs /proc/filesystems || modprobe btrfs 2>/dev/null || skip "kernel without btrfs"
		if ! mountpoint -q "$T/disk"; then
			mkdir -p "$T/disk"
			make_loop_fs btrfs 256M "$T/disk"
		fi
		S=$T/disk/store
		[ -d "$S" ] || mkdir -m 700 "$S"
		O=(-P "$S")
		STORE_SAYS="store       btrfs"
		;;
	loop | loop-*)
		store_need_loop
		local fs=${1#loop} size=320M
		fs=${fs#-}
		[ "${fs:-ext4}" != ext4 ] || size=64M
		need_commands "mkfs.${fs:-ext4}"
		O+=(-B loop --size "$size" ${fs:+--fs "$fs"})
		STORE_SAYS="store       loop, ${fs:-ext4} of ${size%M} MiB"
		;;
	esac
}

store_need_loop() {
	[ -e /dev/loop-control ] || modprobe loop 2>/dev/null
	[ -e /dev/loop-control ] || skip "no loop devices"
}

# in_store NAME -- COMMAND: runs it.
in_store() {
	run_kennel run -P "$S" -k "$1" --net none "${@:2}"
}

# not_in_use NAME: no device of the machine is over it.
not_in_use() {
	case $STORE_KIND in
	loop*) store_waits_for ! store_has_loop "$S/$1/volume.img" ;;
	esac
}

store_waits_for() {
	local not=
	[ "$1" != ! ] || { not='!'; shift; }
	if [ -n "$not" ]; then
		wait_for 10 store_not "$@"
	else
		wait_for 10 "$@"
	fi
}

store_not() {
	! "$@"
}

store_has_loop() {
	[ -n "$(losetup -j "$1")" ]
}

# store_is_empty: no container, and nothing that one had.
store_is_empty() {
	is_equal "$(ls -A "$S")" ""
	case $STORE_KIND in
	btrfs) is_equal "$(btrfs subvolume list "$T/disk")" "" ;;
	esac
}

stores_teardown() {
	if [ -n "${S-}" ] && [ -d "$S" ]; then
		"$KENNEL" list -P "$S" -kq 2>/dev/null | xargs -r "$KENNEL" rm -f -P "$S"
	fi
	kennel_teardown
}
