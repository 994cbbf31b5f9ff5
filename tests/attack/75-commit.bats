#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# Changes that were made by somebody hostile, looked at and committed; and a base that somebody else has a hand in.

load ../integ/lib

# Commits are written down in a place of the test's own: for root that needs mounts of its own.
setup() {
	need_sandbox
	kennel_setup
	need_commands setfattr python3
	mkdir -p "$T"/base/{bin,d,etc,lib,lib64,usr} "$T/outside"
	echo one >"$T/base/etc/one"
	echo in-d >"$T/base/d/f"
	echo secret >"$T/outside/f"
	look_outside >"$T/outside-before"
	export XDG_DATA_HOME=$T/data
}

teardown() {
	[ ! -d "$T/store" ] || "$KENNEL" rm -f -P "$T/store" box >/dev/null 2>&1 || :
	kennel_teardown
}

look_outside() {
	find "$T/outside" -printf '%p %y %m %U %s %C@\n' -type f -exec cat {} +
}

nothing_outside() {
	diff "$T/outside-before" <(look_outside)
}

keep() {
	"$KENNEL" run -q -P "$T/store" -k box --base "$T/base" --net none --mount /usr:/usr:ro --mount /bin:/bin:ro --mount /lib:/lib:ro \
		--mount /lib64:/lib64:ro --user "$(id -u)" -- /bin/sh -ec "$1" </dev/null
}

# in_delta SCRIPT: as root over the delta's files, in the directory of the changes.
in_delta() {
	if [ "$EUID" -eq 0 ]; then
		(cd "$T/store/box/delta/0/upper" && sh -ec "$1")
	else
		(cd "$T/store/box" && unshare --map-root-user --map-auto sh -ec "cd delta/0/upper; $1")
	fi
}

kennel_commit() {
	if [ "$EUID" -eq 0 ]; then
		# shellcheck disable=SC2016
		run timeout 200 unshare -m --propagation private sh -c 'mkdir -p /var/lib/kennel; mount --bind "$0" /var/lib/kennel; exec "$@"' \
			"$T/state" "$KENNEL" commit -P "$T/store" "$@" </dev/null
	else
		run timeout 200 "$KENNEL" commit -P "$T/store" "$@" </dev/null
	fi
	# shellcheck disable=SC2154
	echo "(commit: $status) $output"
	[ "$status" -ne 124 ]
}

@test "attack commit: names with newlines and escapes" {
	mkdir -m 700 "$T/state"
	keep 'n=$(printf "a\nD one\033[2J"); echo x >"/etc/$n"; mkdir "/etc/$n.d"; ln -s "$n" "/etc/$n.l"; echo "b\\x0a" >"/etc/b\\x0a"'
	run_kennel diff -P "$T/store" box
	lacks $'\033' "$stdout"
	is_equal "$(grep -c '^D' <<<"$stdout")" 0
	run_kennel diff --json -P "$T/store" box
	jq -e 'map(.path) | any(contains("\n"))' <<<"$stdout"
	kennel_commit -y box
	is_status 0
	is_equal "$(find "$T/base/etc" -mindepth 1 -printf x | wc -c)" 5
	is_equal "$(cat "$T/base/etc/one")" one
}

@test "attack commit: links, pipes and devices in the changes" {
	mkdir -m 700 "$T/state"
	keep "rm -r /d; ln -s $T/outside /d; mkfifo /etc/pipe; rm /etc/one; ln -s $T/outside/f /etc/one; mkdir /new; ln -s / /new/root"
	[ "$(id -u)" -ne 0 ] || in_delta 'mknod etc/null c 1 3; mknod etc/disk b 8 0; chmod 0666 etc/disk'
	run timeout 100 "$KENNEL" diff --content -P "$T/store" box </dev/null
	is_status 0
	lacks secret
	kennel_commit --dry-run -v box
	[ "$EUID" -ne 0 ] || has "! /etc/disk (device)"
	kennel_commit -y box
	is_status 0
	is_equal "$(readlink "$T/base/d" "$T/base/etc/one")" "$T/outside"$'\n'"$T/outside/f"
	[ -p "$T/base/etc/pipe" ]
	nothing_outside
	kennel_commit --dry-run box
	has "nothing to commit"
	[ "$EUID" -ne 0 ] || rm -f "$T/base/etc/disk" "$T/base/etc/null"
}

@test "attack commit: forged marks of the overlay lead nowhere and stay inside" {
	mkdir -m 700 "$T/state"
	keep 'echo new >/d/new; echo x >/etc/x; mkdir /dir; echo y >/dir/y'
	in_delta 'setfattr -n user.overlay.redirect -v /../../outside d; setfattr -n user.overlay.metacopy -v "" etc/x
		setfattr -n user.overlay.redirect -v ../../../../outside/f etc/x; setfattr -n user.overlay.origin -v 0sAPshAIEAAAAA dir
		setfattr -n user.overlay.opaque -v yes dir; setfattr -n user.overlay.nlink -v U+99 dir/y
		setfattr -n user.big -v "$(head -c 3000 /dev/zero | tr "\0" b)" dir/y'
	run timeout 100 "$KENNEL" diff --content -P "$T/store" box </dev/null
	is_status 0
	lacks secret
	kennel_commit -y box
	is_status 0
	is_equal "$(cat "$T/base/d/new" "$T/base/d/f" "$T/base/dir/y")" $'new\nin-d\ny'
	lacks overlay "$(cd "$T/base" && getfattr -hRd -m - . 2>&1)"
	is_equal "$(getfattr --only-values -n user.big "$T/base/dir/y" | wc -c)" 3000
	nothing_outside
}

@test "attack commit: what changes while it is read is refused or taken whole, and nothing hangs" {
	mkdir -m 700 "$T/state"
	# a file, a pipe, a link and a directory take turns at one name
	background "$KENNEL" run -q -P "$T/store" -k box --base "$T/base" --net none --mount /usr:/usr:ro --mount /bin:/bin:ro --mount /lib:/lib:ro \
		--mount /lib64:/lib64:ro --user "$(id -u)" -- /bin/sh -c "mkdir /w; cd /w; echo good >file; cp file x; mkfifo pipe; ln -s $T/outside/f link; echo up
		while :; do for k in file pipe link; do ln -f \$k y; mv -f y x; done; echo good >z; rm z; done"
	wait_for 20 says "$T/out.1" up
	local i
	for i in 1 2 3; do
		kennel_commit -y --running box
		[ "$status" -eq 0 ] || [ "$status" -eq 1 ] || [ "$status" -eq 125 ]
		if [ -f "$T/base/w/x" ] && [ ! -L "$T/base/w/x" ]; then is_equal "$(cat "$T/base/w/x")" good; fi
	done
	nothing_outside
}

@test "attack commit: a place that its owner turns elsewhere meanwhile" {
	mkdir -m 700 "$T/state"
	keep 'i=10; while [ $i -lt 60 ]; do echo n >/d/n$i; i=$((i + 1)); done; echo changed >/d/f'
	ln -s "$T/outside" "$T/base/elsewhere"
	cat >"$T/turn.py" <<-'EOF2'
		import ctypes, os, sys, time
		libc = ctypes.CDLL(None, use_errno=True)
		a, b = (os.fsencode(p) for p in sys.argv[1:3])
		end = time.monotonic() + 60
		while time.monotonic() < end:
		    libc.syscall(316, -100, a, -100, b, 2)
	EOF2
	background python3 "$T/turn.py" "$T/base/d" "$T/base/elsewhere"
	local i
	for i in 1 2 3; do
		kennel_commit -y --skip-conflicts box
		kennel_commit --undo --force
	done
	nothing_outside
}

@test "attack commit: what keeps the journals belongs to nobody else" {
	mkdir -m 700 "$T/state" "$T/evil"
	keep 'echo in >/etc/one'
	local state=$T/state
	[ "$EUID" -eq 0 ] || { state=$T/data/kennel; mkdir -p "$state"; chmod 700 "$state"; }
	ln -s "$T/evil" "$state/.commit"
	kennel_commit -y box
	is_status 125
	rm "$state/.commit"
	mkdir "$state/.commit"
	chmod 777 "$state/.commit"
	kennel_commit -y box
	is_status 125
	has "open to other users"
	chmod 700 "$state/.commit"
	chmod 770 "$state"
	kennel_commit -y box
	is_status 125
	has "open to other users"
	chmod 700 "$state"
	# a journal that leads out, in a store that was handed over
	mkdir -p "$state/.commit/00000009/files"
	printf 'journal\t1\t%s\t0\tx\t1\t#0\nstage-here\tfiles\t#0\nput\t../outside/f\t0\t1\t2\t0\t0\t#0\nprepared\t#0\n' "$T/base" >"$state/.commit/00000009/journal"
	kennel_commit -y box
	is_equal "$(ls -A "$T/evil")" ""
	nothing_outside
}

@test "attack commit: an ordinary user's goes nowhere where the user may not write" {
	[ "$EUID" -ne 0 ] || skip "needs an ordinary user"
	keep 'echo new >/d/new; echo changed >/etc/one'
	chmod 555 "$T/base/d"
	kennel_commit -y --skip-conflicts box
	chmod 755 "$T/base/d"
	is_status 1
	[ ! -e "$T/base/d/new" ]
	is_equal "$(cat "$T/base/etc/one")" changed
}
