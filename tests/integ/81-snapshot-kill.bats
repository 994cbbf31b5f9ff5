#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# Snapshots, clones and going back, killed in every system call and on a disk that is full or fails: what is there is the old or the
# new state, and no byte is lost.

load lib

setup() {
	need_sandbox
	need_commands cc busybox
	kennel_setup
	S=$T/store
	# Each of them is looked at by half a dozen sandboxes.
	: "${KENNEL_TEST_POINTS:=4}"
	SCENE=(S)
	SCENE_END=empty
	O=()
	T_BASE=$T/base
	mkdir -p "$T_BASE/bin"
	cp "$(command -v busybox)" "$T_BASE/bin/busybox"
	for applet in sh cat rm ls echo sleep; do ln -s busybox "$T_BASE/bin/$applet"; done
}

teardown() {
	[ -z "${S-}" ] || empty
	kennel_teardown
}

empty() {
	[ ! -d "$S" ] || "$KENNEL" list -kq -P "$S" | xargs -r "$KENNEL" rm -fs --promote -P "$S"
}

# One container that has a snapshot, and changes since.
scene() {
	empty || return 1
	"$KENNEL" create -P "$S" "${O[@]}" --base "$T_BASE" --net none box || return 1
	"$KENNEL" run -P "$S" -k box -- sh -c 'echo one >/f; echo gone >/g' || return 1
	"$KENNEL" snapshot -q -P "$S" box || return 1
	"$KENNEL" run -P "$S" -k box -- sh -c 'echo two >/f; rm /g'
}

reads() {
	"$KENNEL" run -P "$S" -k "$1" -- sh -c 'cat /f; cat /g 2>/dev/null'
}

# No temporary name, and no layer that nobody stands on.
tidy() {
	wait_for 10 swept || {
		ls -lA "$S" "$S"/*
		return 1
	}
	# Removing everything leaves nothing: no layer was forgotten.
	empty && is_equal "$(ls -A "$S")" ""
}

# A helper of the one that was killed may still be about to end.
swept() {
	local left
	"$KENNEL" gc -q -P "$S" && "$KENNEL" gc --check -q -P "$S" || return 1
	for left in "$S"/.[!.]* "$S"/*/.[!.]* "$S"/*/next "$S"/*/snapshots/.[!.]*; do
		[ ! -e "$left" ] || [ "$left" = "$S/.layers" ] || return 1
	done
}

as_said() {
	[ "$status" -eq 0 ] || { [ "$status" -eq 125 ] && [[ $(<"$POINT_OUT") == "kennel: "* ]]; }
}

still_two() {
	is_equal "$(reads box)" two
}

taken_or_not() {
	local names
	still_two || return 1
	names=$("$KENNEL" snapshot -P "$S" -lq box | tr '\n' ' ')
	case $names in
	'snap0 ') ;;
	'snap0 snap1 ')
		"$KENNEL" restore -P "$S" box snap1 && still_two || return 1
		;;
	*)
		echo "there are: $names"
		return 1
		;;
	esac
	"$KENNEL" restore -P "$S" box snap0 && is_equal "$(reads box)" "$(printf 'one\ngone')" && tidy
}

cloned_or_not() {
	still_two || return 1
	[ ! -e "$S/new" ] || is_equal "$(reads new)" two || return 1
	tidy
}

restored_or_not() {
	case $(reads box) in
	two) ;;
	$'one\ngone') ;;
	*) return 1 ;;
	esac
	"$KENNEL" restore -P "$S" box snap0 && is_equal "$(reads box)" "$(printf 'one\ngone')" && tidy
}

removed_or_not() {
	still_two && tidy
}

@test "snapshot kill: taking one" {
	kill_points scene taken_or_not "$KENNEL" snapshot -P "$S" box
	[ "$POINTS" -gt 10 ]
}

@test "snapshot kill: a clone that shares" {
	kill_points scene cloned_or_not "$KENNEL" clone -s -P "$S" box new
}

@test "snapshot kill: a full copy" {
	kill_points scene cloned_or_not "$KENNEL" clone -P "$S" box new
}

@test "snapshot kill: going back" {
	kill_points scene restored_or_not "$KENNEL" restore -P "$S" box snap0
}

@test "snapshot kill: removing one" {
	kill_points scene removed_or_not "$KENNEL" snapshot -P "$S" --remove snap0 box
}

# One that runs, with more to copy than a moment's worth of calls.
running() {
	empty || return 1
	"$KENNEL" create -P "$S" --base "$T_BASE" --net none box || return 1
	"$KENNEL" start -P "$S" box -- /bin/sh -c 'echo two >/f; for i in 1 2 3 4 5 6 7 8 9; do echo $i >/f$i; done; while :; do sleep 1; done' >/dev/null || return 1
	wait_for 20 "$KENNEL" exec box -- /bin/sh -c 'cat /f9' >/dev/null
}

runs() {
	[ "$("$KENNEL" list --json | jq -r '.[] | select(.name == "box") | .state')" = running ]
}

# Whatever became of it, the container goes on.
goes_on() {
	wait_for 20 runs || return 1
	is_equal "$("$KENNEL" exec box -- /bin/sh -c 'echo still')" still || return 1
	"$KENNEL" stop -q --kill box && still_two || return 1
	[ ! -e "$S/new" ] || is_equal "$(reads new)" two || return 1
	tidy
}

@test "snapshot kill: of one that runs, which goes on" {
	need_root "an ordinary user has no control group to stand still in here"
	need_commands jq
	SCENE=()
	kill_points running goes_on "$KENNEL" snapshot -P "$S" box
	kill_points running goes_on "$KENNEL" clone -s -P "$S" box new
}

@test "snapshot kill: all of it, on a disk that is full or fails" {
	need_root "an ordinary user's is no other way"
	fail_points "ENOSPC EIO" scene taken_and_said "$KENNEL" snapshot -P "$S" box
	fail_points "ENOSPC EIO" scene cloned_and_said "$KENNEL" clone -s -P "$S" box new
	POINT_FOLLOW=yes fail_points "ENOSPC EIO" scene cloned_and_said "$KENNEL" clone -P "$S" box new
	fail_points "ENOSPC EIO" scene restored_and_said "$KENNEL" restore -P "$S" box snap0
}

# on_store TYPE [OPTION]...: on a file system of its own, which is in one place only, so there is one scene. STORE_POINTS=all takes all points, and more commands.
on_store() {
	need_root "an ordinary user can't mount one"
	need_commands "mkfs.$1"
	make_loop_fs "$1" "$([ "$1" = btrfs ] && echo 128M || echo 400M)" "$T/fs"
	at_end empty
	S=$T/fs/store SCENE=() O=("${@:2}")
	KENNEL_TEST_POINTS=${STORE_POINTS:-2}
}

# The store's own part of it.
whole_story() {
	kill_points scene taken_or_not "$KENNEL" snapshot -P "$S" box
	kill_points scene restored_or_not "$KENNEL" restore -P "$S" box snap0
	fail_points ENOSPC scene restored_and_said "$KENNEL" restore -P "$S" box snap0
	[ -z "${STORE_POINTS-}" ] || {
		kill_points scene cloned_or_not "$KENNEL" clone -s -P "$S" box new
		fail_points ENOSPC scene taken_and_said "$KENNEL" snapshot -P "$S" box
	}
}

@test "snapshot kill: on btrfs" {
	on_store btrfs
	whole_story
}

@test "snapshot kill: of a volume whose blocks are shared" {
	on_store xfs -B loop --size 32M
	whole_story
}

# A stack as deep as one may be, made of one layer: what each of them has is its own number. Made once, and copied from then on.
deep_scene() {
	local deep=${T%/other}/deep i id
	empty || return 1
	if [ ! -d "$deep" ]; then
		"$KENNEL" create -P "$deep" --base "$T_BASE" --net none box &&
			"$KENNEL" run -P "$deep" -k box -- sh -c 'echo one >/f' && "$KENNEL" snapshot -q -P "$deep" box &&
			"$KENNEL" run -P "$deep" -k box -- sh -c 'echo two >/f' || return 1
		id=$(ls "$deep/.layers")
		for i in $(seq 2 64); do
			cp -a "$deep/.layers/$id" "$deep/.layers/$(printf '%016x' "$i")" || return 1
			echo "$i" >"$deep/.layers/$(printf '%016x' "$i")/delta/0/upper/f$i"
		done
		awk '{ print } /^below/ { for (i = 2; i <= 64; i++) printf "below\t%016x\n", i }' "$deep/box/manifest" >"$T/manifest" &&
			cat "$T/manifest" >"$deep/box/manifest"
	fi
	rm -rf "$S" && cp -a "$deep" "$S"
}

is_deep() {
	is_equal "$("$KENNEL" run -P "$S" -k box -- sh -c 'cat /f /f2 /f33 /f64')" "$(printf 'two\n2\n33\n64')"
}

flat_or_not() {
	is_deep || return 1
	case $("$KENNEL" snapshot -P "$S" -lq box | tr '\n' ' ') in
	'snap0 ') ;;
	'snap0 snap1 ')
		[ "$(grep -c ^below "$S/box/manifest")" -lt 4 ] && "$KENNEL" restore -P "$S" box snap1 && is_deep || return 1
		;;
	*) return 1 ;;
	esac
	"$KENNEL" restore -P "$S" box snap0 && is_equal "$("$KENNEL" run -P "$S" -k box -- cat /f)" one && tidy
}

@test "snapshot kill: when many layers become one" {
	need_root "an ordinary user's is no other way"
	KENNEL_TEST_POINTS=${STORE_POINTS:-2}
	kill_points deep_scene flat_or_not "$KENNEL" snapshot -P "$S" box
	POINT_FOLLOW=yes fail_points ENOSPC deep_scene flat_and_said "$KENNEL" snapshot -P "$S" box
}

flat_and_said() { as_said && flat_or_not; }
taken_and_said() { as_said && taken_or_not; }
cloned_and_said() { as_said && cloned_or_not; }
restored_and_said() { as_said && restored_or_not; }
