#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# What "kennel set" puts into a container that runs, and takes out of it: mounts and devices.

load lib

setup() {
	need_sandbox
	kennel_setup
	mkdir -p "$T/shared/sub" "$T/store"
	echo real >"$T/shared/file"
	at_end end_all
}

end_all() {
	"$KENNEL" rm --force -P "$T/store" box 2>/dev/null
	"$KENNEL" gc >/dev/null
}

# begin [OPTION]...: a container that runs.
begin() {
	"$KENNEL" create -P "$T/store" "$@" box
	"$KENNEL" start -P "$T/store" box >/dev/null
}

change() {
	run_kennel set -P "$T/store" "$@" box
}

inside() {
	run_kennel exec box -- sh -c "$1"
}

levels() {
	if [ "$(id -u)" -eq 0 ]; then echo fs ns user; else echo user; fi
}

@test "set live: a share comes and goes, and is the real thing" {
	local level
	for level in $(levels); do
		begin --isolate "$level"
		change --mount "$T/shared:/mnt/here/deep" --mount "$T/shared/file:/etc/one" --share "$T/shared"
		is_status 0
		is_equal "$stderr" ""
		inside "cat /mnt/here/deep/file /etc/one $T/shared/file && echo written >/mnt/here/deep/sub/new"
		is_status 0
		is_equal "$stdout" "real
real
real"
		is_equal "$(cat "$T/shared/sub/new")" written
		rm "$T/shared/sub/new"
		change --unset "mount=$T/shared:/mnt/here/deep"
		is_equal "$stderr" ""
		inside "ls /mnt/here/deep; cat $T/shared/file /etc/one"
		is_equal "$stdout" "real
real"
		change --unset mount --unset share
		is_equal "$stderr" ""
		inside "cat /etc/one; grep -c '$T/shared' /proc/self/mountinfo"
		is_equal "$stdout" 0
		# What is set is what the next start has.
		change --share "$T/shared/sub"
		"$KENNEL" restart -P "$T/store" box >/dev/null
		inside "grep -c '$T/shared' /proc/self/mountinfo"
		is_equal "$stdout" 1
		# What the start has made goes too.
		change --unset share
		is_equal "$stderr" ""
		inside "grep -c '$T/shared' /proc/self/mountinfo"
		is_equal "$stdout" 0
		end_all
	done
}

@test "set live: a read-only share stays read-only for root inside" {
	local level
	for level in $(levels | sed 's/fs //'); do
		begin --isolate "$level"
		change --mount "$T/shared:/mnt/here:ro" --mount "$T/shared/file:/mnt/one:ro"
		is_equal "$stderr" ""
		inside 'cat /mnt/here/file /mnt/one; touch /mnt/here/new; mount -o remount,bind,rw /mnt/here; touch /mnt/here/new
			mount --bind /mnt/here /srv; mount -o remount,bind,rw /srv; touch /srv/new; umount /srv
			mount -o remount,bind,rw /mnt/one; echo changed >/mnt/one
			unshare -Urm sh -c "mount -o remount,bind,rw /mnt/here; touch /mnt/here/new"
			mknod /mnt/here/null c 1 3; cat /mnt/here/null'
		is_equal "$stdout" $'real\nreal'
		is_equal "$(ls "$T/shared")" "file
sub"
		is_equal "$(<"$T/shared/file")" real
		# It shows what comes to be there, and goes.
		echo later >"$T/shared/later"
		inside 'cat /mnt/here/later; ls /mnt/here'
		is_equal "$stdout" $'later\nfile\nlater\nsub'
		rm "$T/shared/later"
		change --unset mount
		is_equal "$stderr" ""
		inside 'cat /mnt/here/file; cat /mnt/one; grep -c " /mnt/\(here\|one\)" /proc/self/mountinfo'
		is_equal "$stdout" 0
		end_all
	done
}

no_server() {
	! pgrep -r S,R,D -x kennel-view >/dev/null
}

@test "set live: what serves a read-only share ends with the sandbox, however that ends" {
	[ "$(id -u)" -ne 0 ] || skip "needs an ordinary user"
	begin
	change --mount "$T/shared:/mnt/here:ro"
	is_equal "$stderr" ""
	inside 'cat /mnt/here/file'
	is_equal "$stdout" real
	pgrep -r S,R,D -x kennel-view >/dev/null
	kill -9 "$("$KENNEL" list --json | grep -o '"pid": [0-9]*' | grep -o '[0-9]*')"
	wait_for 10 no_server
}

@test "set live: a layer on top holds from the next start on, one that was started with stays" {
	mkdir -p "$T/layer/srv/layer" "$T/other/srv/other"
	begin --isolate user
	change --layer "$T/layer"
	is_status 0
	has "the layer \"$T/layer\" holds from the next start on" "$stderr"
	inside 'ls /srv/layer'
	[ "$status" -ne 0 ]
	# Not started with yet, so it may go again.
	change --unset "layer=$T/layer"
	is_status 0
	change --layer "$T/layer"
	"$KENNEL" restart -P "$T/store" box >/dev/null
	inside 'ls /srv; echo own >/srv/own'
	is_equal "$stdout" layer
	change --layer "$T/other"
	is_status 0
	change --unset "layer=$T/layer"
	refused yes "can't be changed"
	"$KENNEL" restart -P "$T/store" box >/dev/null
	inside 'ls /srv'
	is_equal "$stdout" $'layer\nother\nown'
	"$KENNEL" stop box >/dev/null
	run_kennel diff -P "$T/store" box
	is_status 0
	# Whose the layer is, is not who owns the root.
	is_equal "$stdout" "A /srv/own"
}

@test "set live: a source that is not there, and a place that is a link, are told; the rest is done" {
	begin
	inside 'ln -s /root /mnt/link'
	is_status 0
	change --mount "$T/nowhere:/mnt/none" --mount "$T/shared:/mnt/link/in" --mount "$T/shared:/mnt/good"
	is_status 0
	has 'what is at "/mnt/none" holds from the next start on' "$stderr"
	has 'what is at "/mnt/link/in" holds from the next start on' "$stderr"
	inside 'cat /mnt/good/file; ls /root/in'
	is_equal "$stdout" real
	# Somebody inside was quicker.
	inside 'umount /mnt/good'
	change --unset mount
	has 'it is not mounted at "/mnt/good" any more' "$stderr"
}

@test "set live: what lies at the place of a share that is gone already stays" {
	need_root "a mount of its own"
	mkdir "$T/mnt"
	mount -t tmpfs none "$T/mnt"
	at_end umount "$T/mnt"
	echo machine >"$T/mnt/file"
	begin
	inside "echo copy >$T/mnt/file"
	change --share "$T/mnt"
	is_equal "$stderr" ""
	inside "cat $T/mnt/file; umount $T/mnt"
	is_equal "$stdout" machine
	change --unset share
	has "it is not mounted at \"$T/mnt\" any more" "$stderr"
	inside "cat $T/mnt/file"
	is_equal "$stdout" copy
}

@test "set live: a device that every sandbox has stays" {
	begin
	change --device /dev/null
	is_equal "$stderr" ""
	change --unset device
	is_equal "$stderr" ""
	inside 'echo gone >/dev/null && test -c /dev/null'
	is_status 0
}

@test "set live: a device comes and goes" {
	need_commands python3
	local level
	[ -c /dev/fuse ] && [ -r /dev/fuse ] && [ -w /dev/fuse ] || skip "/dev/fuse is not ours to open"
	for level in $(levels); do
		begin --isolate "$level"
		inside 'ls /dev/fuse'
		[ "$status" -ne 0 ]
		change --device /dev/fuse
		is_equal "$stderr" ""
		inside '(: <>/dev/fuse) && echo open'
		is_equal "$stdout" open
		change --unset device
		is_equal "$stderr" ""
		inside 'test -c /dev/fuse'
		[ "$status" -ne 0 ]
		# At ns a control group decides, so a node of one's own is of no use either.
		if [ "$level" = ns ]; then
			inside 'mknod /tmp/fuse c 10 229 && : <>/tmp/fuse'
			[ "$status" -ne 0 ]
		fi
		end_all
	done
}
