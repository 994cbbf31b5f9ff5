#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# kennel export and import, stopped in their system calls, those of their workers and tools included, and with a disk that is full or
# fails: under the name is the old thing or the whole new one, a container is there whole or not at all.

load lib

setup() {
	kennel_setup
	need_sandbox
	need_commands cc busybox
	S=$T/store
	BASE=$T/base
	OUT=$T/out
	SCENE=(S BASE OUT)
	SCENE_END=end_scene
	POINT_FOLLOW=yes
	WHOLE=
}

teardown() {
	[ -z "${S-}" ] || end_scene
	kennel_teardown
}

fresh() {
	local there
	for there in "$S"/*/; do
		[ ! -d "$there" ] || "$KENNEL" rm -f -P "$S" "$(basename "$there")" || return 1
	done
}

end_scene() {
	fresh
	remove "$OUT"
}

# A container with little in it over a base of its own, once in each scene.
make_container() {
	[ ! -d "$S/box" ] || return 0
	mkdir -p "$OUT" "$BASE"/{bin,etc,opt/gone,proc,sys,dev,run,tmp,root,usr,var,home}
	cp /bin/busybox "$BASE/bin/"
	ln -sf busybox "$BASE/bin/sh"
	echo old >"$BASE/etc/old"
	"$KENNEL" run -P "$S" -k box --base "$BASE" --net none -- sh -c 'echo new >/etc/new; busybox rm -r /etc/old /opt/gone
		busybox mkdir /opt/gone; busybox ln /etc/new /etc/same; busybox ln -s new /etc/link; busybox chown 0:0 /etc/new'
}

# --- export

# An ordinary user's has files of the subordinate ids.
remove() {
	rm -rf "$1" 2>/dev/null || unshare --map-root-user --map-auto rm -rf "$1"
}

# A file of another kind of content is there before.
old_output() {
	make_container || return 1
	remove "$OUT/box.$FORMAT" || return 1
	case $FORMAT in
	dir | oci) mkdir "$OUT/box.$FORMAT" && echo old >"$OUT/box.$FORMAT/old" ;;
	*) echo old >"$OUT/box.$FORMAT" ;;
	esac
}

# What is in it, by a program that is not ours.
listing() {
	local f=$OUT/box.$FORMAT
	case $FORMAT in
	tar* | oci.tar) tar --numeric-owner -tvf "$f" | sed 's/[0-9]*-[0-9]*-[0-9]* [0-9]*:[0-9]*//' ;;
	squashfs) unsquashfs -llc "$f" | sed 's/[0-9]*-[0-9]*-[0-9]* [0-9]*:[0-9]*//' ;;
	ext4) e2fsck -fn "$f" | tail -n 1 ;;
	erofs) fsck.erofs "$f" ;;
	btrfs) btrfs check --readonly "$f" | grep 'no error found' ;;
	cpio) (cd "$OUT" && busybox cpio -tv <"$f" | sed 's/[0-9]*-[0-9]*-[0-9]* [0-9]*:[0-9]*:[0-9]*//') ;;
	deb) dpkg-deb -c "$f" | sed 's/[0-9]*-[0-9]*-[0-9]* [0-9]*:[0-9]*//' ;;
	dir | oci) (cd "$f" && find . -printf '%p %y %m %l %s\n' | sort) ;;
	esac
}

# Sets STATE: old, whole or neither. The first time, the command was not stopped, and WHOLE is set.
look() {
	STATE=neither
	case $FORMAT in
	dir | oci) [ ! -e "$OUT/box.$FORMAT/old" ] || STATE=old ;;
	*) [ "$(head -c 3 "$OUT/box.$FORMAT" | tr -d '\0')" != old ] || STATE=old ;;
	esac
	[ $STATE = neither ] || return 0
	LIST=$(listing 2>&1) || { echo "$LIST"; return 1; }
	# sizes of what has a time in it, packed, differ by a few bytes
	[ "$FORMAT" != oci ] && [ "$FORMAT" != oci.tar ] || LIST=$(sed -E 's/[0-9a-f]{64}/HASH/; s/ [0-9]+$//; s/ [0-9]+ / /' <<<"$LIST" | sort)
	[ -n "$WHOLE" ] || WHOLE=$LIST
	[ "$LIST" != "$WHOLE" ] || STATE=whole
	[ $STATE != neither ] || diff <(echo "$WHOLE") <(echo "$LIST")
}

old_or_whole() {
	look || return 1
	[ $STATE != neither ]
}

output_as_said() {
	look || return 1
	case $status in
	0) [ $STATE = whole ] ;;
	125)
		[[ $'\n'$(<"$POINT_OUT") == *$'\n'"kennel: "* ]] || return 1
		# With its name, it may not be on the disk yet, which is told.
		[ $STATE = old ] || { [ $STATE = whole ] && [[ $(<"$POINT_OUT") == *"write the directory of"* ]]; }
		;;
	*) false ;;
	esac || {
		echo "it is: $STATE"
		return 1
	}
}

# export_points STEP FORMAT [OPTION]...: kills; and then that the next export takes away what was left.
export_points() {
	local step=$1
	# there, each start takes three times as long
	[ "$EUID" -eq 0 ] || step=$((step * 2))
	FORMAT=$2
	shift 2
	WHOLE=
	POINT_STEP=$step kill_points old_output old_or_whole "$KENNEL" export -P "$S" --force "$@" -o "$OUT/box.$FORMAT" box
	[ "$POINTS" -ge 3 ]
	run_kennel export -P "$S" --force "$@" -o "$OUT/box.$FORMAT" box
	is_status 0
	is_equal "$(ls -A "$OUT")" "box.$FORMAT"
	remove "$OUT/box.$FORMAT"
}

@test "ship kill: export to archives" {
	export_points 1 tar
	export_points 1 tar.zst
	export_points 2 oci.tar
}

@test "ship kill: export to directories" {
	export_points 3 dir --format directory
	export_points 2 oci --format oci
}

@test "ship kill: export to an image of squashfs and a package" {
	need_commands sqfstar unsquashfs dpkg-deb
	export_points 3 squashfs
	export_points 2 deb --as deb
}

@test "ship kill: export to an image of ext4" {
	need_commands mke2fs e2fsck
	export_points 9 ext4
}

@test "ship kill: export to images of erofs and btrfs" {
	need_commands mkfs.erofs fsck.erofs mkfs.btrfs btrfs
	export_points 4 erofs
	export_points 40 btrfs
}

@test "ship kill: export to cpio" {
	export_points 2 cpio
}

@test "ship kill: export, on a disk that is full or fails" {
	need_root "an ordinary user's is no other way"
	FORMAT=tar.zst
	POINT_READS=$T POINT_STEP=2 fail_points "EIO ENOSPC" old_output output_as_said "$KENNEL" export -P "$S" --force -o "$OUT/box.$FORMAT" box
	FORMAT=dir
	WHOLE=
	POINT_STEP=2 fail_points "ENOSPC EIO" old_output output_as_said "$KENNEL" export -P "$S" --force --format directory -o "$OUT/box.$FORMAT" box
}

# --- import

# The input is made once for each scene.
to_import() {
	make_container || return 1
	[ -e "$OUT/in.$FORMAT" ] || "$KENNEL" export -q -P "$S" "${AS[@]}" -o "$OUT/in.$FORMAT" box || return 1
	[ ! -d "$S/back" ] || "$KENNEL" rm -P "$S" back
}

# Nothing half made is left once a kennel has come by, and those that were killed have ended.
swept() {
	local left
	"$KENNEL" gc -q -P "$S" || return 1
	for left in "$S"/.[!.]*; do
		[ ! -e "$left" ] || return 1
	done
}

# Sets STATE: none, whole or neither.
imported() {
	wait_for 10 swept || {
		ls -lA "$S"
		return 1
	}
	STATE=none
	[ -d "$S/back" ] || return 0
	STATE=neither
	LIST=$("$KENNEL" diff -P "$S" back) || return 1
	[ -n "$WHOLE" ] || WHOLE=$LIST
	[ "$LIST" != "$WHOLE" ] || STATE=whole
}

none_or_whole() {
	imported && [ "$STATE" != neither ]
}

imported_as_said() {
	imported || return 1
	case $status in
	0) [ "$STATE" = whole ] ;;
	125) [ "$STATE" = none ] && [[ $'\n'$(<"$POINT_OUT") == *$'\n'"kennel: "* ]] ;;
	*) false ;;
	esac || {
		echo "it is: $STATE"
		return 1
	}
}

@test "ship kill: import" {
	local FORMAT AS=() step=4
	[ "$EUID" -eq 0 ] || step=6
	for FORMAT in tar.zst squashfs oci.tar; do
		WHOLE=
		POINT_STEP=$step kill_points to_import none_or_whole "$KENNEL" import -q -P "$S" "$OUT/in.$FORMAT" back
		[ "$POINTS" -gt 4 ]
	done
	[ "$EUID" -eq 0 ] || return 0
	FORMAT=ext4
	WHOLE=
	POINT_STEP=4 kill_points to_import none_or_whole "$KENNEL" import -q -P "$S" "$OUT/in.$FORMAT" back
	local FORMATS="cpio"
	command -v mkfs.erofs >/dev/null && FORMATS+=" erofs"
	command -v mkfs.btrfs >/dev/null && FORMATS+=" btrfs"
	for FORMAT in $FORMATS; do
		WHOLE=
		POINT_STEP=12 kill_points to_import none_or_whole "$KENNEL" import -q -P "$S" --what delta "$OUT/in.$FORMAT" back
	done
	FORMAT=dir
	AS=(--format directory)
	WHOLE=
	POINT_STEP=4 kill_points to_import none_or_whole "$KENNEL" import -q -P "$S" "$OUT/in.$FORMAT" back
}

@test "ship kill: import, on a disk that is full or fails" {
	need_root "an ordinary user's is no other way"
	local FORMAT=tar.zst AS=()
	POINT_READS=$T POINT_STEP=2 fail_points "EIO ENOSPC" to_import imported_as_said "$KENNEL" import -q -P "$S" "$OUT/in.$FORMAT" back
}
