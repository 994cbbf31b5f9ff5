#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root
#
# A container in one file where the power goes in the middle: the file, and what is beside it, are on an ext4 in an image of their own. As all
# of kennel is killed in a call, that image is copied without anything being written back first, so what was not synced is lost; the copy is
# mounted, and kennel has to find everything that was in the file when an earlier session was over.

load lib

setup() {
	need_root "mounts"
	need_sandbox
	need_commands cc mke2fs e2fsck
	[ -e /dev/loop-control ] || skip "no loop devices here"
	kennel_setup
	mkdir "$T/mnt"
	F=$T/mnt/u/box.img
	RUN=()
	at_end power_off
}

power_on() {
	mount -o loop "$T/disk" "$T/mnt"
}

power_off() {
	! mountpoint -q "$T/mnt" || wait_for 10 umount "$T/mnt" 2>/dev/null
}

run_in() {
	"${RUN[@]}" "$KENNEL" run -f "$F" --net none "$@" </dev/null >"$LIB_STATE/stdout" 2>"$LIB_STATE/stderr"
}

# A disk with the file in it, in which /srv/kept is.
make_disk() {
	truncate -s 160M "$T/disk"
	mke2fs -q -t ext4 "$T/disk"
	power_on
	mkdir "$T/mnt/u"
	chmod 0755 "$T/mnt"
	[ ${#RUN[@]} -eq 0 ] || chown "$KENNEL_TEST_USER" "$T/mnt/u"
	run_in --size 24M -- sh -c 'echo kept >/srv/kept' || { cat "$LIB_STATE/stderr"; return 1; }
	power_off
	mv "$T/disk" "$T/kept"
}

boot() {
	power_off && cp --sparse=always "$T/kept" "$T/disk" && power_on
}

# The power fails now. Whole, the session is over, and what it did is there.
survived() {
	cp --sparse=always "$T/disk" "$T/crashed" && power_off && mv "$T/crashed" "$T/disk" && power_on || return 1
	run_in -- sh -c 'cat /srv/kept /srv/second 2>/dev/null; :' || { cat "$LIB_STATE/stderr"; return 1; }
	is_equal "$(head -n 1 "$LIB_STATE/stdout")" kept || return 1
	[ "$1" != "0 whole" ] || is_equal "$(<"$LIB_STATE/stdout")" $'kept\nx' || return 1
	e2fsck -fn "$F" >"$T/fsck" 2>&1 || { cat "$T/fsck"; return 1; }
	# who would have removed its entry was killed, too
	"${RUN[@]}" "$KENNEL" gc -q
}

@test "file power: it fails in the middle of a session, or right behind it" {
	make_disk
	POINT_FOLLOW=yes POINT_STEP=8 kill_points boot survived "$KENNEL" run -f "$F" --net none -- sh -c 'echo x >/srv/second'
	[ "$POINTS" -ge 5 ]
}

@test "file power: it fails in the middle of a session of an ordinary user, or right behind it" {
	id "$KENNEL_TEST_USER" >/dev/null 2>&1 || skip "needs root: and the user of the tests"
	as_user test -w /dev/fuse || skip "no fuse device that this user may open"
	RUN=(as_user)
	make_disk
	# not over a function: it is executed
	as_user env >"$T/env"
	mapfile -t RUN < <(grep '^\(HOME\|USER\|XDG_RUNTIME_DIR\)=' "$T/env")
	RUN=(runuser -u "$KENNEL_TEST_USER" -- env "${RUN[@]}")
	POINT_FOLLOW=yes POINT_STEP=170 kill_points boot survived "${RUN[@]}" "$KENNEL" run -f "$F" --net none -- sh -c 'echo x >/srv/second'
	[ "$POINTS" -ge 5 ]
}
