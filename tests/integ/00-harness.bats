#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# The helpers themselves, and that the program is there at all: when these fail, look here first.

load lib

@test "the program is there and tells its version" {
	run_kennel --version
	is_status 0
	[[ $stdout =~ ^kennel\ [0-9]+\.[0-9]+\.[0-9]+ ]]
	is_equal "$stderr" ""
}

@test "asked-for help goes to stdout and succeeds" {
	run_kennel --help
	is_status 0
	has "run" "$stdout"
	is_equal "$stderr" ""
}

@test "no command and an unknown one fail with 125 and a word on stderr" {
	run_kennel no-such-command
	is_status 125
	is_equal "$stdout" ""
	has "no-such-command" "$stderr"
	run_kennel --no-such-option
	is_status 125
	has "--no-such-option" "$stderr"
}

@test "run_kennel keeps the streams apart" {
	KENNEL=$T/fake
	printf '#!/bin/sh\necho "to stdout $1"\necho to stderr >&2\nexit 7\n' >"$KENNEL"
	chmod +x "$KENNEL"
	run_kennel word
	is_status 7
	is_equal "$stdout" "to stdout word"
	is_equal "$stderr" "to stderr"
	is_equal "$output" $'to stdout word\nto stderr'
}

@test "the leak check sees a mount" {
	need_root
	mount -t tmpfs leak "$T"
	LIB_TRIES=1 run no_leaks
	umount "$T"
	[ "$status" -eq 1 ]
	has "left behind: mount $T tmpfs leak"
	no_leaks
}

@test "the leak check sees a mount that was taken away" {
	need_root
	mount -t tmpfs kept "$T"
	host_state
	LIB_BEFORE=$HOST_STATE
	umount "$T"
	LIB_TRIES=1 run no_leaks
	[ "$status" -eq 1 ]
	has "taken away: mount $T tmpfs kept"
	host_state
	LIB_BEFORE=$HOST_STATE
}

@test "at_end runs last come first, with any word" {
	at_end sh -c 'cat "$1" >"$2"' sh "$T/log" "$BATS_FILE_TMPDIR/order"
	at_end sh -c 'echo "$1" >>"$2"' sh "first of two" "$T/log"
	at_end sh -c 'echo "$1" >>"$2"' sh "it's \$HOME" "$T/log"
}

@test "at_end did so in the test before" {
	is_equal "$(cat "$BATS_FILE_TMPDIR/order")" $'it\'s $HOME\nfirst of two'
}

@test "a loop file system comes and goes" {
	make_loop_fs ext4 8M "$T/mnt"
	echo text >"$T/mnt/file"
	grep -q "$T/mnt ext4" /proc/mounts
}

@test "background ends what it started" {
	background sleep 600
	echo $! >"$BATS_FILE_TMPDIR/pid"
	kill -0 $!
}

@test "background did so in the test before" {
	run kill -0 "$(cat "$BATS_FILE_TMPDIR/pid")"
	[ "$status" -ne 0 ]
}

@test "as_user is the test user" {
	[ "$EUID" -eq 0 ] || [ "$(id -un)" = "$KENNEL_TEST_USER" ]
	is_equal "$(as_user id -un)" "$KENNEL_TEST_USER"
	as_user sh -c 'test -w "$XDG_RUNTIME_DIR" && test -O "$XDG_RUNTIME_DIR"'
}

@test "a snapshot sees a changed byte, mode and time" {
	mkdir "$T/tree"
	echo one >"$T/tree/file"
	host_snapshot "$T/snap" "$T/tree"
	host_same "$T/snap" "$T/tree"
	echo two >"$T/tree/file"
	touch -r "$T/snap" "$T/tree/file"
	run host_same "$T/snap" "$T/tree"
	[ "$status" -eq 1 ]
	has "$T/tree/file"
	host_snapshot "$T/snap" "$T/tree"
	chmod 0600 "$T/tree/file"
	run host_same "$T/snap" "$T/tree"
	[ "$status" -eq 1 ]
}
