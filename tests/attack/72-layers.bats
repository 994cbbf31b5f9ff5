#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# Frozen changes, clones and snapshots: what somebody else's file, or root inside, could make of them.

load ../integ/lib
load attack

setup() {
	need_sandbox
	kennel_setup
	S=$T/store
	mkdir -p "$T/tree/bin"
	cp "$(command -v busybox)" "$T/tree/bin/busybox"
	for applet in sh cat ls ln mkdir mknod rm mv; do ln -s busybox "$T/tree/bin/$applet"; done
	at_end remove_all
}

remove_all() {
	[ ! -d "$S" ] || "$KENNEL" list -P "$S" -kq | xargs -r "$KENNEL" rm -fs --promote -P "$S"
}

@test "layers: a file from elsewhere can't name directories of this machine" {
	need_root "a mounted image is changed by hand"
	mkdir -p "$T/secret/delta/0/upper"
	echo secret >"$T/secret/delta/0/upper/stolen"
	"$KENNEL" run -f "$T/box.img" --base "$T/tree" --net none -- /bin/sh -c 'echo x >/x'
	mkdir "$T/m"
	mount -o loop "$T/box.img" "$T/m"
	at_end umount -q "$T/m"
	sed -i "/^mount\t0/i below\t$T/secret" "$T/m/manifest"
	umount "$T/m"
	mount -t tmpfs none "$T/m" # for the clean-up
	run_kennel run -f "$T/box.img" -- /bin/cat /stolen
	refused no 'claim to stand on others, which no file does'
	lacks secret "$stdout"
	"$KENNEL" diff "$T/box.img" >"$T/diff" 2>&1 || :
	! grep -q stolen "$T/diff"
}

@test "layers: what root inside writes is never followed outside, frozen, merged or copied" {
	mkdir "$T/outside"
	echo untouched >"$T/outside/file"
	# Links in place of directories, and directories in place of links, in three layers on each other.
	run_kennel run -k box -P "$S" --base "$T/tree" --net none -- /bin/sh -c "ln -s $T/outside /way; mkdir -p /d/e; ln -s ../../../../../../$T/outside /d/e/up"
	is_status 0
	"$KENNEL" snapshot -q -P "$S" box
	run_kennel run -k box -P "$S" -- /bin/sh -c 'rm /way; mkdir /way; echo evil >/way/file; rm -r /d; ln -s / /d'
	"$KENNEL" snapshot -q -P "$S" box
	run_kennel run -k box -P "$S" -- /bin/sh -c "rm -r /way; ln -s $T/outside /way; rm /d; mkdir -p /d/e/up; echo evil >/d/e/up/file"
	is_status 0
	for option in -s ''; do
		"$KENNEL" clone -q $option -P "$S" box "new$option"
		run_kennel run -k "new$option" -P "$S" -- /bin/sh -c 'cat /d/e/up/file; ls /way/ 2>/dev/null'
		is_equal "$stdout" evil
	done
	"$KENNEL" clone -q -B dir -P "$S" box ship
	"$KENNEL" diff -P "$S" box >/dev/null
	"$KENNEL" restore -P "$S" box snap0
	"$KENNEL" rm -s --promote -P "$S" box
	is_equal "$(cat "$T/outside/file")" untouched
	is_equal "$(ls "$T/outside")" file
}

@test "layers: a clone can't write into what others stand on" {
	run_kennel run -k box -P "$S" --base "$T/tree" --net none -- /bin/sh -c 'echo one >/f; mkdir /d; echo two >/d/g'
	"$KENNEL" clone -q -s -P "$S" box new
	local before after
	before=$(find "$S/.layers" -printf '%p %C@ %s\n' 2>/dev/null | sort)
	run_kennel run -k new -P "$S" -- /bin/sh -c 'echo evil >>/f; rm -r /d; mv /f /h; mkdir /d'
	is_status 0
	after=$(find "$S/.layers" -printf '%p %C@ %s\n' 2>/dev/null | sort)
	is_equal "$after" "$before"
	run_kennel run -k box -P "$S" -- /bin/sh -c 'cat /f /d/g'
	is_equal "$stdout" "$(printf 'one\ntwo')"
}
