#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root
#
# kennel commit and --undo where the power goes in the middle: base, container, stage and journal are on one ext4 in an image file. As the
# command is killed in a call, the image is copied without anything being written back first, so what was not synced is lost; the copy is
# mounted, which replays ext4's own journal, and kennel has to make the old tree or the new one of it.

load lib

setup() {
	need_root "mounts"
	need_sandbox
	need_commands cc mkfs.ext4
	[ -e /dev/loop-control ] || skip "no loop devices here"
	kennel_setup
	BASE=$T/mnt/base
	mkdir "$T/mnt"
	[ -d /var/lib/kennel ] || { mkdir -m 0700 /var/lib/kennel && at_end rmdir /var/lib/kennel; }
	at_end power_off
}

power_on() {
	mount -o loop "$T/disk" "$T/mnt" && mount --bind "$T/mnt/state" /var/lib/kennel
}

# Somebody else's copy of the whole system may just be looking into it.
power_off() {
	! mountpoint -q "$T/mnt" || { { ! mountpoint -q /var/lib/kennel || umount /var/lib/kennel; } && wait_for 10 umount "$T/mnt"; }
}

power_fails() {
	cp --sparse=always "$T/disk" "$T/crashed" && power_off && mv "$T/crashed" "$T/disk" && power_on
}

# Back to the disk that was kept as $1.
boot() {
	power_off && cp --sparse=always "$T/$1" "$T/disk" && power_on
}

keep_disk() {
	power_off && cp --sparse=always "$T/disk" "$T/$1" && power_on
}

# What the tree is, without the times of directories, for a commit's own are those of the commit.
look() {
	(cd "$BASE" && find . -name '.kennel-commit-*' -prune -o -printf '%P %y %m %U:%G %l ' \( -type d -printf '\n' -o -printf '%n %s %T@\n' \) &&
		grep -r -D skip --exclude-dir='.kennel-commit-*' . .) | sort
}

# Disks "old" and "new", and what the tree is on each in OLD and NEW.
make_disks() {
	truncate -s 32M "$T/disk"
	mkfs.ext4 -q "$T/disk"
	mount -o loop "$T/disk" "$T/mnt"
	mkdir -m 0700 "$T/mnt/state"
	mount --bind "$T/mnt/state" /var/lib/kennel
	mkdir -p "$BASE"/{bin,etc,lib,lib64,usr,d,keep,srv}
	echo one >"$BASE/etc/one"
	ln "$BASE/etc/one" "$BASE/keep/hard"
	head -c 100000 /dev/urandom | base64 >"$BASE/d/big"
	touch -d '2001-02-03 04:05:06.789' "$BASE/etc/one" "$BASE/d/big"
	"$KENNEL" run -q -P "$T/mnt/store" -k box --base "$BASE" --net none --mount /usr:/usr:ro --mount /bin:/bin:ro \
		--mount /lib:/lib:ro --mount /lib64:/lib64:ro -- /bin/sh -ec \
		'echo changed >/etc/one; cp /d/big /srv/big; rm -r /d; mkdir /new; head -c 200000 /bin/sh >/new/f; ln /new/f /new/g; chmod 0700 /keep' </dev/null
	keep_disk old
	OLD=$(look)
	"$KENNEL" commit -y -P "$T/mnt/store" box
	keep_disk new
	NEW=$(look)
	[ "$OLD" != "$NEW" ]
}

old_disk() {
	boot old
}

new_disk() {
	boot new
}

# survived FINISHED WHERE: FINISHED is what it must be if the command had said that it is done.
survived() {
	local now
	power_fails || return 1
	"$KENNEL" gc || return 1
	now=$(look)
	case $now in
	"$OLD") now=old ;;
	"$NEW") now=new ;;
	*)
		diff <(echo "$OLD") <(echo "$now")
		return 1
		;;
	esac
	seen[$now]=1
	[ "$2" != "0 whole" ] || is_equal "$now" "$1"
}

commit_survived() {
	survived new "$1"
}

undo_survived() {
	survived old "$1"
}

@test "commit power: it fails in the middle of a commit, or right behind it" {
	local -A seen=()
	make_disks
	POINT_STEP=3 kill_points old_disk commit_survived "$KENNEL" commit -y -P "$T/mnt/store" box
	[ "${seen[old]-}${seen[new]-}" = 11 ]
}

@test "commit power: it fails in the middle of an undo, or right behind it" {
	local -A seen=()
	make_disks
	POINT_STEP=3 kill_points new_disk undo_survived "$KENNEL" commit --undo -y
	[ "${seen[old]-}${seen[new]-}" = 11 ]
}
