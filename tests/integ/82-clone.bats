#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# Clones, snapshots and going back on each store that is here: plain directories, btrfs, a volume in a file on a file system that
# shares blocks; and full copies from each to each. An ordinary user has plain directories.

load lib
load stores

setup() {
	need_sandbox
	kennel_setup
	S=$T/store
	at_end remove_all
	mkdir -p "$T/tree/bin" "$T/tree/etc" "$T/tree/tmp"
	cp "$(command -v busybox)" "$T/tree/bin/busybox"
	touch "$T/tree/etc/gone"
	for applet in sh cat echo ls stat rm sleep mkdir ln; do ln -s busybox "$T/tree/bin/$applet"; done
}

remove_all() {
	local store
	for store in "$S" "$T"/fs/*/store; do
		[ ! -d "$store" ] || "$KENNEL" list -P "$store" -kq | xargs -r "$KENNEL" rm -fs --promote -P "$store"
	done
}

k() {
	local command=$1
	shift
	run_kennel "$command" -P "$S" "$@"
}

inside() {
	k run -k "$1" -- /bin/sh -c "$2"
}

# file_system TYPE: one of its own, with the store of the test on it.
file_system() {
	need_root "an ordinary user can't mount one"
	need_commands "mkfs.$1"
	make_loop_fs "$1" 600M "$T/fs/$1"
	at_end remove_all
	S=$T/fs/$1/store
}

# all_of_it [OPTION]...: what every store must do.
all_of_it() {
	k create "$@" --base "$T/tree" --net none box
	is_status 0
	inside box 'echo one >/f; rm /etc/gone; ln /f /g; mkdir -m 750 /d; echo x >/d/x'
	is_status 0
	k snapshot -c "a comment" box
	is_equal "$stdout" snap0
	inside box 'echo two >>/f; rm -r /d'
	k clone -s box new
	is_status 0
	inside new 'cat /f; ls /d; stat -c %h /g; echo new >>/f'
	is_equal "$stdout" "$(printf 'one\ntwo\n2')"
	k clone box full
	is_status 0
	inside full 'cat /f; ls /d /etc/gone; echo full >>/f'
	is_equal "$stdout" "$(printf 'one\ntwo')"
	k restore box snap0
	is_status 0
	inside box 'cat /f; cat /d/x; stat -c %a /d'
	is_equal "$stdout" "$(printf 'one\nx\n750')"
	k restore --as other box snap0
	is_status 0
	inside other 'cat /f'
	is_equal "$stdout" one
	inside new 'cat /f'
	is_equal "$stdout" "$(printf 'one\ntwo\nnew')"
	k rm -s --promote box
	is_status 0
	for name in new full other; do
		inside "$name" 'cat /f'
		[[ "$stdout" == one* ]]
	done
	k rm new full other
	is_status 0
	k gc --check
	is_status 0
	is_equal "$(ls -A "$S")" ""
}

# while_it_runs [OPTION]...
while_it_runs() {
	k create "$@" --base "$T/tree" --net none box
	run_kennel start -P "$S" box -- /bin/sh -c 'echo one >/f; while :; do sleep 1; done'
	is_status 0
	"$KENNEL" exec box -- /bin/sh -c 'until cat /f >/dev/null 2>&1; do sleep 0.1; done'
	k snapshot box
	is_status 0
	k clone -s box new
	is_status 0
	k clone box full
	is_status 0
	run_kennel exec box -- /bin/sh -c 'echo late >>/f; cat /f'
	is_equal "$stdout" "$(printf 'one\nlate')"
	for name in new full; do
		inside "$name" 'cat /f'
		is_equal "$stdout" one
	done
	run_kennel stop --kill box
	k restore box snap0
	inside box 'cat /f'
	is_equal "$stdout" one
}

@test "clone: plain directories" {
	all_of_it
}

@test "clone: plain directories, while it runs" {
	need_root "an ordinary user has no control group to stand still in here"
	while_it_runs
}

@test "clone: what can't stand still is refused, or what it was is taken" {
	k run -k box --base "$T/tree" --net none -- /bin/sh -c 'echo one >/f'
	k snapshot box
	background "$KENNEL" run -k box -P "$S" -- /bin/sh -c 'echo up; exec sleep 300'
	local pid=$!
	wait_for 20 says "$T/out.$LIB_STARTED" up
	for how in "clone -s box new" "clone box new" "snapshot box"; do
		# shellcheck disable=SC2086 # words
		k $how
		refused yes ""
		has "stop it first" "$stderr"
	done
	k restore --as other box snap0
	is_status 0
	kill -TERM "$pid"
	wait "$pid" || :
	inside other 'cat /f'
	is_equal "$stdout" one
	is_equal "$("$KENNEL" list -P "$S" -kq | tr '\n' ' ')" "box other "
	is_equal "$("$KENNEL" list -P "$S" -k --json | grep -c '"origin": "box"')" 1
}

@test "clone: into another store" {
	k run -k box --base "$T/tree" --net none -- /bin/sh -c 'echo one >/f'
	k snapshot -c "said so" box
	k info box
	grep -Eq '^snapshots +snap0  .*said so$' <<<"$stdout"
	k clone -s box new
	k info new
	grep -Eqx 'clone of +box' <<<"$stdout"
	k clone --to-path "$T/elsewhere" box far
	is_status 0
	# what it stands on comes along, and nothing in one store needs the other
	inside box 'echo two >>/f'
	k clone -s --fresh-identity --to-path "$T/elsewhere" box near
	is_status 0
	[ "$EUID" -ne 0 ] || is_equal "$(find "$S" "$T/elsewhere" -path '*/upper/f' -size +0 -links 2 | wc -l)" 2
	k rm -s --promote box
	k rm new
	is_equal "$(ls -A "$S")" ""
	S=$T/elsewhere
	inside near 'cat /f; echo three >>/f'
	is_equal "$stdout" "$(printf 'one\ntwo')"
	k clone -s near nearer
	inside nearer 'cat /f'
	is_equal "$stdout" "$(printf 'one\ntwo\nthree')"
	inside far 'cat /f'
	is_equal "$stdout" one
	k info far
	! grep -q "clone of" <<<"$stdout" || false
	k rm far nearer
	k rm --promote near
	is_equal "$(ls -A "$S")" ""
}

@test "clone: into another store, blocks and all" {
	file_system btrfs
	k run -k box --base "$T/tree" --net none -- /bin/sh -c 'echo one >/f'
	k clone -s --to-path "$T/fs/btrfs/other" box near
	is_status 0
	k rm box
	S=$T/fs/btrfs/other
	inside near 'cat /f'
	is_equal "$stdout" one
	run_kennel clone -s -P "$S" --to-path "$T/elsewhere" near far
	refused no ""
	k rm near
	is_equal "$(ls -A "$S")" ""
}

@test "clone: btrfs" {
	file_system btrfs
	all_of_it
	while_it_runs
}

@test "clone: zfs" {
	store_need_zfs
	zfs create -o mountpoint=legacy "$POOL/store"
	mkdir -p "$T/fs/zfs"
	mount -t zfs "$POOL/store" "$T/fs/zfs"
	at_end umount "$T/fs/zfs"
	at_end remove_all
	S=$T/fs/zfs/store
	all_of_it
	while_it_runs
	k rm -s --promote box new full
	is_equal "$(zfs list -H -o name -t all -r "$POOL" | tr '\n' ' ')" "$POOL $POOL/store "
}

@test "clone: a volume on a file system that shares blocks" {
	file_system xfs
	all_of_it -B loop --size 60M
	while_it_runs -B loop --size 60M
}

@test "clone: plain directories on a file system of their own, entered" {
	file_system xfs
	k run -k box --net none -- sh -c 'echo one >/root/f'
	k snapshot box
	run_kennel start -P "$S" box
	is_status 0
	run_kennel exec box -- sh -c 'cat /root/f'
	is_equal "$stdout" one
	run_kennel stop --kill box
}

@test "clone: one that can't share says so, and is copied" {
	need_root "an ordinary user has no volumes"
	k create -B loop --size 60M --base "$T/tree" --net none box
	inside box 'echo one >/f'
	k clone -s box new
	refused yes "can't share the blocks"
	k snapshot box
	refused yes "can't share the blocks"
	k clone box new
	inside new 'cat /f'
	is_equal "$stdout" one
	run_kennel clone -s -P "$S" --to-path "$T/elsewhere" box other
	refused yes "can't share the blocks"
}

@test "clone: from each store to each" {
	local from to
	need_root "an ordinary user has one"
	file_system btrfs
	for from in overlay btrfs loop; do
		k create -B "$from" --size 60M --base "$T/tree" --net none "of-$from"
		inside "of-$from" "echo $from >/f; mkdir /d; echo y >/d/y; rm /etc/gone"
		is_status 0
		for to in dir overlay btrfs loop; do
			k clone -B "$to" --size 60M "of-$from" "$from-$to"
			is_status 0
			inside "$from-$to" 'cat /f; cat /d/y; ls /etc/gone 2>/dev/null'
			is_equal "$stdout" "$(printf '%s\ny' "$from")"
		done
	done
}

@test "clone: a whole one needs nothing else" {
	k run -k box --base "$T/tree" --net none -- /bin/sh -c 'echo one >/f; rm /bin/stat'
	k clone -B dir box ship
	is_status 0
	mv "$T/tree" "$T/away"
	inside ship 'cat /f; ls /bin/stat /bin/cat 2>/dev/null'
	is_equal "$stdout" "$(printf 'one\n/bin/cat')"
	is_equal "$(grep ^base "$S/ship/config")" "base = own"
	k clone -s ship again
	inside again 'cat /f'
	is_equal "$stdout" one
	mv "$T/away" "$T/tree"
}

@test "clone: a whole system gets an identity of its own" {
	echo 0123456789abcdef0123456789abcdef >"$T/tree/etc/machine-id"
	k create --template "dir:$T/tree" box
	k clone -s box new
	is_status 0
	inside new 'cat /etc/machine-id; cat /etc/hostname'
	grep -Eqx '[0-9a-f]{32}' <<<"$stdout"
	grep -qx new <<<"$stdout"
	lacks 0123456789abcdef0123456789abcdef "$stdout"
	k run -k plain --base "$T/tree" --net none -- /bin/cat /etc/machine-id
	k clone -s plain kept
	inside kept 'cat /etc/machine-id'
	is_equal "$stdout" 0123456789abcdef0123456789abcdef
	k clone -s --fresh-identity plain fresh
	inside fresh 'cat /etc/machine-id'
	grep -Eqx '[0-9a-f]{32}' <<<"$stdout"
	lacks 0123456789abcdef0123456789abcdef "$stdout"
	k clone -s --same-identity box same
	inside same 'cat /etc/machine-id'
	is_equal "$stdout" 0123456789abcdef0123456789abcdef
}
