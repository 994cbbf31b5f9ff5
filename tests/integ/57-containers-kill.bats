#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# Containers killed in every system call of every change, and with a disk that is full or fails: what is there is the old or the
# new state, no byte is lost, and the next kennel goes on as if nothing had been.

load lib

setup() {
	need_sandbox
	need_commands strace
	kennel_setup
	S=$T/store
}

teardown() {
	[ ! -d "${S-}" ] || "$KENNEL" list -P "$S" -kq | xargs -r "$KENNEL" rm -f -P "$S"
	kennel_teardown
}

# Nothing half made is left once a kennel has come by.
swept() {
	"$KENNEL" gc -q -P "$S"
	local left
	left=$(find "$S" -mindepth 1 -maxdepth 1 -name '.*')
	[ -z "$left" ] || {
		echo "left behind: $left"
		return 1
	}
}

names() {
	"$KENNEL" list -P "$S" -kq | tr '\n' ' '
}

gone_or_not() {
	names | grep -qx -e "$1 *" -e ''
}

# --- create

fresh() {
	"$KENNEL" list -P "$S" -kq | xargs -r "$KENNEL" rm -P "$S"
}

# There, with all of its configuration, or not there.
created_or_not() {
	swept || return 1
	case $(names) in
	'') ;;
	'box ')
		"$KENNEL" config -P "$S" box | grep -qx 'hide = /srv' && [ -d "$S/box/delta" ] && [ -e "$S/box/lock" ]
		;;
	*) return 1 ;;
	esac
	"$KENNEL" create -P "$S" other && "$KENNEL" rm -P "$S" other
}

# What it says is what is there.
created_as_said() {
	created_or_not "$1" || return 1
	# Only after it had its name something may fail, and is told: it may not be on disk yet.
	[ "$status" -ne 0 ] || [ "$(names)" = 'box ' ]
}

@test "container kill: create" {
	need_root "an ordinary user's is no other way"
	kill_points fresh created_or_not "$KENNEL" create -P "$S" --hide /srv box
	[ "$POINTS" -gt 8 ]
}

@test "container kill: create, on a disk that is full or fails" {
	need_root "an ordinary user's is no other way"
	local error
	for error in ENOSPC EIO; do
		fail_points "$error" fresh created_as_said "$KENNEL" create -P "$S" --hide /srv box
	done
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
	"$KENNEL" set -P "$S" box --pids 5 && grep -qx 'pids = 5' "$S/box/config"
}

@test "container kill: set" {
	need_root "an ordinary user's is no other way"
	kill_points configured old_or_new "$KENNEL" set -P "$S" box --net host --memory 1G
	[ "$POINTS" -gt 4 ]
}

@test "container kill: set, on a disk that is full or fails" {
	need_root "an ordinary user's is no other way"
	local error
	for error in ENOSPC EIO; do
		fail_points "$error" configured old_or_new "$KENNEL" set -P "$S" box --net host --memory 1G
	done
}

# --- rename

two_names() {
	local name
	for name in $(names); do
		[ "$name" = other ] || "$KENNEL" rm -P "$S" "$name"
	done
	"$KENNEL" create -P "$S" --hide /srv box
	[ -d "$S/other" ] || "$KENNEL" create -P "$S" other
}

one_name() {
	swept || return 1
	case $(names) in
	'box other ') "$KENNEL" config -P "$S" box | grep -qx 'hide = /srv' ;;
	'new other ') "$KENNEL" config -P "$S" new | grep -qx 'hide = /srv' ;;
	*)
		echo "there are: $(names)"
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
	local left
	if [ -d "$S/box" ]; then
		"$KENNEL" run -P "$S" -k box -- cat /a/b/c/d | grep -qx 1
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
	local text
	swept || return 1
	case $(names) in
	'') ;;
	'box ')
		text=$("$KENNEL" run -P "$S" -k box -- cat /etc/hostname) || return 1
		is_equal "$text" box || return 1
		[ ! -e "$S/box/starting" ]
		;;
	*) return 1 ;;
	esac
}

none() {
	"$KENNEL" list -P "$S" -kq | xargs -r "$KENNEL" rm -f -P "$S"
}

@test "container kill: run of a new one" {
	kill_points none none_or_whole "$KENNEL" run -P "$S" -k box --net none -- true
}

@test "container kill: run, on a disk that is full or fails: it says so or runs, and nothing is lost" {
	local error errors="ENOSPC EIO"
	# which of the two it is makes no other way, and an ordinary user's start has many more calls
	[ "$(id -u)" -eq 0 ] || errors=EIO
	for error in $errors; do
		fail_points "$error" kept still_kept_as_said "$KENNEL" run -P "$S" -k box -- true
	done
}

still_kept_as_said() {
	[ "$status" -eq 0 ] || { [ "$status" -eq 125 ] && grep -q '^kennel: ' "$LIB_STATE/point-out"; } || return 1
	still_kept
}
