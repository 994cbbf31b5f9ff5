#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# Containers killed in every system call of every change, and with a disk that is full or fails: what is there is the old or the
# new state, no byte is lost, and the next kennel goes on as if nothing had been.

load lib

setup() {
	need_sandbox
	need_commands cc
	kennel_setup
	S=$T/store
	SCENE=(S)
	SCENE_END=fresh
}

teardown() {
	[ -z "${S-}" ] || fresh
	kennel_teardown
}

# Starting a program is what these tests spend their time with, so the shell does what it can by itself.

# Nothing half made is left once a kennel has come by. A helper of the one that was killed may still be about to end, and holds what it was
# to work on until then.
swept() {
	wait_for 10 swept_now || {
		ls -lA "$S"
		return 1
	}
}

swept_now() {
	"$KENNEL" gc -q -P "$S" || return 1
	local left
	for left in "$S"/.[!.]*; do
		[ ! -e "$left" ] || return 1
	done
}

# Sets NAMES.
names() {
	"$KENNEL" list -P "$S" -kq >"$LIB_STATE/names" || return 1
	NAMES=$(<"$LIB_STATE/names")
	NAMES=${NAMES//$'\n'/ }
}

# line_in TEXT FILE
line_in() {
	local text
	text=$(<"$2")
	[[ $'\n'$text$'\n' == *$'\n'$1$'\n'* ]]
}

# --- create

fresh() {
	local there
	for there in "$S"/*/; do
		[ ! -d "$there" ] || "$KENNEL" rm -f -P "$S" "$(basename "$there")" || return 1
	done
}

# There, with all of its configuration, or not there; then it can be made.
created_or_not() {
	swept && names || return 1
	case $NAMES in
	'') "$KENNEL" create -P "$S" --hide /srv box || return 1 ;;
	box) ;;
	*) return 1 ;;
	esac
	line_in 'hide = /srv' "$S/box/config" && [ -d "$S/box/delta" ] && [ -e "$S/box/lock" ]
}

# What it says is what is there.
created_as_said() {
	[ "$status" -ne 0 ] || [ -d "$S/box" ] || return 1
	# Only after it had its name something may fail, and is told: it may not be on disk yet.
	[ "$status" -eq 0 ] || { [ "$status" -eq 125 ] && [[ $(<"$POINT_OUT") == "kennel: "* ]]; } || return 1
	created_or_not
}

@test "container kill: create" {
	need_root "an ordinary user's is no other way"
	kill_points fresh created_or_not "$KENNEL" create -P "$S" --hide /srv box
	[ "$POINTS" -gt 8 ]
}

@test "container kill: create, on a disk that is full or fails" {
	need_root "an ordinary user's is no other way"
	fail_points "ENOSPC EIO" fresh created_as_said "$KENNEL" create -P "$S" --hide /srv box
}

# --- set

configured() {
	[ -d "$S/box" ] || "$KENNEL" create -P "$S" box
	printf '# old\nnet = none\nhide = /srv\n' >"$S/box/config"
}

old_or_new() {
	local text
	text=$(<"$S/box/config")
	is_equal "$text" "$(printf '# old\nnet = none\nhide = /srv')" >/dev/null ||
		is_equal "$text" "$(printf '# old\nnet = host\nhide = /srv\nmemory = 1G')" || return 1
	"$KENNEL" set -P "$S" box --pids 5 && line_in 'pids = 5' "$S/box/config"
}

@test "container kill: set" {
	need_root "an ordinary user's is no other way"
	kill_points configured old_or_new "$KENNEL" set -P "$S" box --net host --memory 1G
	[ "$POINTS" -gt 4 ]
}

@test "container kill: set, on a disk that is full or fails" {
	need_root "an ordinary user's is no other way"
	fail_points "ENOSPC EIO" configured old_or_new "$KENNEL" set -P "$S" box --net host --memory 1G
}

# --- rename

two_names() {
	[ ! -d "$S/new" ] || "$KENNEL" rm -P "$S" new || return 1
	[ -d "$S/box" ] || "$KENNEL" create -P "$S" --hide /srv box || return 1
	[ -d "$S/other" ] || "$KENNEL" create -P "$S" other
}

one_name() {
	swept && names || return 1
	case $NAMES in
	'box other') line_in 'hide = /srv' "$S/box/config" ;;
	'new other') line_in 'hide = /srv' "$S/new/config" ;;
	*)
		echo "there are: $NAMES"
		return 1
		;;
	esac
}

@test "container kill: rename" {
	need_root "an ordinary user's is no other way"
	kill_points two_names one_name "$KENNEL" rename -P "$S" box new
	fail_points EIO two_names one_name "$KENNEL" rename -P "$S" box new
	[ "$POINTS" -gt 1 ]
}

# --- rm

# A tree that was run once and copied since, owners and all: a sandbox each time would take long.
filled() {
	[ -d "$S/box" ] || {
		"$KENNEL" run -P "$S" -k box --net none -- sh -c 'mkdir -p /a/b/c; echo 1 >/a/b/c/d; ln -s / /a/l; chmod 0 /a/b'
	}
}

gone_or_whole() {
	if [ -d "$S/box" ]; then
		[ "$("$KENNEL" run -P "$S" -k box -- cat /a/b/c/d)" = 1 ]
	else
		swept
	fi
}

@test "container kill: rm" {
	kill_points filled gone_or_whole "$KENNEL" rm -P "$S" box
	[ "$POINTS" -gt 3 ]
}

@test "container kill: rm, on a disk that fails" {
	fail_points EIO filled gone_or_whole "$KENNEL" rm -P "$S" box
}

# --- run

# The host name is another one each time, so that something is planted anew each time.
HOST=one
kept() {
	[ -d "$S/box" ] || "$KENNEL" run -P "$S" -k box --net none --hide /opt -- sh -c 'echo precious >/root/kept; echo "10.0.0.1 mine" >>/etc/hosts'
	HOST=$([ "$HOST" = one ] && echo two || echo one)
	printf 'net = none\nhide = /opt\nhostname = %s\n' "$HOST" >"$S/box/config"
}

# All that was there before is there, what kennel plants is planted and no change of the sandbox, and it runs again.
still_kept() {
	local text
	text=$("$KENNEL" run -P "$S" -k box -- sh -c 'cat /root/kept; tail -n 1 /etc/hosts; cat /etc/hostname; ls -A /opt | wc -l') || return 1
	is_equal "$text" "$(printf 'precious\n10.0.0.1 mine\n%s\n0' "$HOST")" || return 1
	[ ! -e "$S/box/starting" ] && swept
}

@test "container kill: run of one that is there, from its start to its end" {
	kill_points kept still_kept "$KENNEL" run -P "$S" -k box -- sh -c 'echo x >/root/second'
	[ "$POINTS" -gt 20 ]
}

none_or_whole() {
	swept && names || return 1
	case $NAMES in
	'') ;;
	box)
		is_equal "$("$KENNEL" run -P "$S" -k box -- cat /etc/hostname)" box || return 1
		[ ! -e "$S/box/starting" ]
		;;
	*) return 1 ;;
	esac
}

@test "container kill: run of a new one" {
	kill_points fresh none_or_whole "$KENNEL" run -P "$S" -k box --net none -- true
}

@test "container kill: run, on a disk that is full or fails: it says so or runs, and nothing is lost" {
	fail_points "ENOSPC EIO" kept still_kept_as_said "$KENNEL" run -P "$S" -k box -- true
}

still_kept_as_said() {
	[ "$status" -eq 0 ] || { [ "$status" -eq 125 ] && [[ $(<"$POINT_OUT") == *"kennel: "* ]]; } || return 1
	still_kept
}
