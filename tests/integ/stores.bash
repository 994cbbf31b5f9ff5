# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# integ/stores.bash - backing stores for tests. "store_up KIND" makes one: S is a directory for containers, O the options that make one on
# it, STORE_SAYS what "kennel info" tells. KIND: dir overlay btrfs loop loop-xfs loop-btrfs
# lvm thin nbd zfs. What the machine lacks is a skip that names it. Below are cases that hold on each of them.

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
			make_loop_fs btrfs 128M "$T/disk"
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
	lvm | thin)
		store_need_lvm
		O+=(-B lvm --vg "$VG" --size 64M)
		[ "$1" = lvm ] || O+=(--thin-pool pool)
		STORE_SAYS="store       lvm, volume group $VG"
		;;
	nbd)
		need_commands qemu-nbd qemu-img
		[ -e /sys/block/nbd0 ] || modprobe nbd 2>/dev/null || skip "kernel without nbd"
		O+=(-B nbd --size 64M)
		STORE_SAYS="store       nbd, ext4 of 64 MiB"
		;;
	zfs)
		store_need_zfs
		O+=(-B zfs --zfs-root "$POOL" --size 64M)
		STORE_SAYS="store       zfs, $POOL/kennel-"
		;;
	esac
}

store_need_loop() {
	[ -e /dev/loop-control ] || modprobe loop 2>/dev/null
	[ -e /dev/loop-control ] || skip "no loop devices"
}

# Where no udev runs, lvm makes the files in /dev itself only if it is told.
store_lvm() {
	local config=
	[ -e /run/udev/control ] || config='activation{udev_sync=0 udev_rules=0}'
	LVM_SUPPRESS_FD_WARNINGS=1 lvm "$1" ${config:+--config "$config"} "${@:2}"
}

# A volume group on a file, with a thin pool in it; VG is its name.
store_need_lvm() {
	local device
	need_commands lvm losetup
	grep -qw device-mapper /proc/misc || modprobe dm-mod 2>/dev/null || skip "kernel without device-mapper"
	store_need_loop
	[ -z "${VG-}" ] || return 0
	VG=kennel-test-$$
	truncate -s 400M "$T/pv"
	device=$(losetup -f --show "$T/pv")
	at_end losetup -d "$device"
	store_lvm pvcreate -qq "$device"
	store_lvm vgcreate -qq "$VG" "$device"
	at_end store_lvm vgremove -qq -f -y "$VG"
	store_lvm lvcreate -qq -y --type thin-pool -L 160M -n pool "$VG"
}

# A pool in a file; POOL is its name. Nothing of it is mounted.
store_need_zfs() {
	[ -e /dev/zfs ] || modprobe zfs 2>/dev/null || skip "kernel without zfs"
	need_commands zpool zfs
	[ -z "${POOL-}" ] || return 0
	POOL=kennel-test-$$
	truncate -s 600M "$T/vdev"
	zpool create -o cachefile=none -O mountpoint=none -O compression=off "$POOL" "$T/vdev"
	at_end zpool destroy -f "$POOL"
}

# in_store NAME -- COMMAND: runs it.
in_store() {
	run_kennel run -P "$S" -k "$1" --net none "${@:2}"
}

# not_in_use NAME: no device of the machine is over it.
not_in_use() {
	case $STORE_KIND in
	loop*) store_waits_for ! store_has_loop "$S/$1/volume.img" ;;
	lvm | thin | nbd) store_waits_for ! test -e "$S/.volumes" ;;
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
	zfs) is_equal "$(zfs list -H -o name -t all -r "$POOL" | grep -v "^$POOL$")" "" ;;
	lvm | thin) lacks kennel "$(store_lvm lvs --noheadings -o lv_name "$VG" 2>&1)" ;;
	esac
}

stores_teardown() {
	if [ -n "${S-}" ] && [ -d "$S" ]; then
		"$KENNEL" list -P "$S" -kq 2>/dev/null | xargs -r "$KENNEL" rm -f -P "$S"
	fi
	kennel_teardown
}

# life STORE: from the making to the removal.
life() {
	store_up "$1"
	run_kennel create "${O[@]}" one
	is_status 0
	run_kennel info -P "$S" one
	has "$STORE_SAYS"
	in_store one -- sh -c 'echo hi >/etc/new; rm /etc/hostname; mkdir -m 700 /opt/d; chown 5:6 /opt/d; ln /etc/new /opt/link'
	is_status 0
	not_in_use one
	run_kennel diff -P "$S" one
	is_equal "$stdout" "$(printf 'D /etc/hostname\nA /etc/new\nA /opt/d\nA /opt/link (hard link to /etc/new)')"
	in_store one -- sh -c 'cat /opt/link; stat -c "%a %u:%g" /opt/d; ls /etc/hostname'
	is_equal "$stdout" "$(printf 'hi\n700 5:6')"
	run_kennel rename -P "$S" one two
	is_status 0
	in_store two -- cat /etc/new
	is_equal "$stdout" hi
	run_kennel export -P "$S" -o "$T/two.tar" two
	is_status 0
	tar -tf "$T/two.tar" | grep -q '^\(./\)\?etc/new$'
	rm "$T/two.tar"
	run_kennel rm -P "$S" two
	is_status 0
	store_is_empty
}

# killed STORE: by SIGKILL, monitor and all.
killed() {
	store_up "$1"
	run_kennel create "${O[@]}" one
	is_status 0
	background "$KENNEL" run -P "$S" -k one --net none -- sh -c 'echo hi >/etc/new; sync; echo up; exec sleep 300'
	wait_for 30 says "$T/out.$LIB_STARTED" up
	# others may look meanwhile
	run_kennel diff -P "$S" one
	has "A /etc/new"
	kill -KILL $!
	in_store one -- cat /etc/new
	is_equal "$stdout" hi
	not_in_use one
	run_kennel rm -P "$S" one
	is_status 0
	store_is_empty
}

# own STORE: a base of its own lies there too.
own() {
	mkdir -p "$T/tree/bin" "$T/tree/etc"
	cp /bin/busybox "$T/tree/bin/sh"
	echo mine >"$T/tree/etc/whose"
	store_up "$1"
	run_kennel create "${O[@]}" --template "dir:$T/tree" one
	is_status 0
	in_store one -- sh -c 'read line </etc/whose; echo "$line"; echo changed >/etc/whose'
	is_equal "$stdout" mine
	run_kennel diff -P "$S" one
	has "M /etc/whose"
	run_kennel rename -P "$S" one two
	in_store two -- sh -c 'read line </etc/whose; echo "$line"'
	is_equal "$stdout" changed
	run_kennel rm -P "$S" two
	is_status 0
	store_is_empty
}

# full STORE: no room left, inside and for a new one.
full() {
	store_up "$1"
	run_kennel create "${O[@]}" one
	is_status 0
	in_store one -- sh -c 'echo hi >/etc/new; sync; dd if=/dev/zero of=/opt/big bs=4M count=1000 2>&1; echo "$?"'
	# a dataset's bound is a quota
	[[ $stdout == *"Disk quota exceeded"* && $1 == zfs ]] || has "No space left"
	in_store one -- sh -c 'cat /etc/new; rm /opt/big'
	is_equal "$stdout" hi
	run_kennel rm -P "$S" one
	is_status 0
	store_is_empty
}
