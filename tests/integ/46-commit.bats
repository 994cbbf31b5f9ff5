#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# kennel commit: changes go to the tree that was the base, all or none, and come back with --undo.

load lib

setup() {
	need_sandbox
	kennel_setup
	NAME=commit-$$-$RANDOM
	BASE=$T/base
	make_base "$BASE"
	at_end forget
}

# What a test leaves of its container and of its last commit. XDG_DATA_HOME is not used: root has its own place.
forget() {
	"$KENNEL" rm "$NAME" >/dev/null 2>&1 || :
	"$KENNEL" commit --undo --force >/dev/null 2>&1 || :
}

make_base() {
	mkdir -p "$1"/{bin,etc,lib,lib64,usr,d/e,keep,srv}
	echo one >"$1/etc/one"
	echo two >"$1/etc/two"
	chmod 0640 "$1/etc/two"
	echo x >"$1/d/e/x"
	ln "$1/etc/one" "$1/keep/hard"
	ln -s etc "$1/link"
	mkfifo "$1/srv/pipe"
	touch -d '2001-02-03 04:05:06.789' "$1/etc/one" "$1/etc/two" "$1/d/e/x" "$1/d/e" "$1/d" "$1/srv" "$1/etc" "$1/keep" "$1"
}

# keep SCRIPT: runs it in the container, over the base, with the machine's own programs.
keep() {
	"$KENNEL" run -q -k "$NAME" --base "$BASE" --net none --mount /usr:/usr:ro --mount /bin:/bin:ro --mount /lib:/lib:ro \
		--mount /lib64:/lib64:ro --user "$(id -u)" -- /bin/sh -ec "$1" </dev/null
}

# Everything of a tree: types, modes, owners, links, sizes, times of change, contents, inodes.
look() {
	(cd "$1" && find . -printf '%p %y %m %U:%G %s %n %T@ %l %i\n' | LC_ALL=C sort && find . -type f -exec sha256sum {} + | LC_ALL=C sort)
}

@test "commit: every kind of change, and back" {
	look "$BASE" >"$T/before"
	keep 'echo changed >/etc/one; rm /etc/two; rm -r /d; mkdir -p /new/sub; echo n >/new/sub/f; ln /new/sub/f /new/g
		chmod 0604 /new/g; mkfifo /new/p; ln -s /nowhere /new/l; chmod 0700 /keep; rm /srv/pipe; mkdir /srv/pipe; echo i >/srv/pipe/in
		truncate -s 3M /sparse; echo end >>/sparse; touch -d 1999-01-01 /new/sub/f; touch /tmp/never'
	run_kennel commit --dry-run "$NAME"
	is_status 0
	has "M /etc/one (content)" "$stdout"
	has "D /d" "$stdout"
	has "A /new/sub/f" "$stdout"
	has "T /srv/pipe (directory, was fifo)" "$stdout"
	has "M /keep (mode)" "$stdout"
	lacks "never"
	look "$BASE" | diff "$T/before" -
	run_kennel commit "$NAME"
	refused yes "nobody can be asked"
	run_kennel commit -y "$NAME"
	is_status 0
	has "applied" "$stderr"
	is_equal "$(cat "$BASE/etc/one")" changed
	is_equal "$(cat "$BASE/keep/hard")" one
	[ ! -e "$BASE/etc/two" ] && [ ! -e "$BASE/d" ]
	is_equal "$(stat -c '%a %h %y' "$BASE/new/g" | cut -c1-16)" "604 2 1999-01-01"
	is_equal "$(stat -c %i "$BASE/new/g")" "$(stat -c %i "$BASE/new/sub/f")"
	is_equal "$(readlink "$BASE/new/l")" /nowhere
	[ -p "$BASE/new/p" ] && [ -f "$BASE/srv/pipe/in" ]
	is_equal "$(stat -c %a "$BASE/keep")" 700
	[ "$(stat -c %b "$BASE/sparse")" -lt 100 ]
	# The container still has them, and they are no changes any more.
	run_kennel commit -y "$NAME"
	is_status 0
	has "nothing to commit"
	run_kennel commit --undo
	is_status 0
	has "is undone"
	look "$BASE" | diff "$T/before" -
	run_kennel commit --undo
	refused yes "there is no commit to undo"
	# nothing is left beside the tree, nor in it
	is_equal "$(find "$T" -mindepth 1 -maxdepth 1 ! -name 'runtime*' -printf '%f\n' | sort | tr '\n' ' ')" "base before "
}

@test "commit: paths choose; the directory of what is chosen comes along" {
	keep 'echo c >/etc/one; mkdir -p /new/sub; echo n >/new/sub/f; echo m >/new/other'
	run_kennel commit -y "$NAME" /new/sub/f
	is_status 0
	is_equal "$(cat "$BASE/new/sub/f")" n
	is_equal "$(cat "$BASE/etc/one")" one
	[ ! -e "$BASE/new/other" ]
	run_kennel commit -y "$NAME" /nothing
	refused no 'nothing changed at "/nothing"'
	run_kennel commit -y "$NAME" relative
	refused yes "not an absolute path"
}

@test "commit: what changed on the machine since is a conflict" {
	keep 'echo in >/etc/one; echo in >/etc/two; rm -r /d; echo new >/srv/new'
	sleep 0.05
	echo out >"$BASE/etc/one"
	echo later >"$BASE/d/e/later"
	look "$BASE" >"$T/before"
	run_kennel commit -y "$NAME"
	is_status 125
	has "2 places were changed on this machine" "$stderr"
	has "  M /etc/one: it changed since" "$stdout"
	has "in it changed since" "$stdout"
	look "$BASE" | diff "$T/before" -
	run_kennel commit -y --skip-conflicts "$NAME"
	is_status 1
	is_equal "$(cat "$BASE/etc/one" "$BASE/etc/two" "$BASE/srv/new" "$BASE/d/e/later" | tr '\n' ' ')" "out in new later "
	run_kennel commit -y --force "$NAME"
	is_status 0
	is_equal "$(cat "$BASE/etc/one")" in
	[ ! -e "$BASE/d" ]
}

@test "commit: its directory is gone, or something else now" {
	keep 'echo in >/d/e/x; echo in >/srv/new'
	rm -r "$BASE/d"
	ln -s /etc "$BASE/d"
	run_kennel commit --dry-run --json "$NAME"
	is_equal "$(jq -r '.changes[] | select(.path == "/srv/new") | .verdict' <<<"$stdout")" fine
	is_equal "$(jq -r '[.changes[] | select(.path | startswith("/d")) | .verdict] | unique | join(" ")' <<<"$stdout")" conflict
	run_kennel commit -y --skip-conflicts "$NAME"
	is_status 1
	is_equal "$(readlink "$BASE/d")" /etc
	[ ! -e /etc/e ]
}

@test "commit: undo sees what was changed since" {
	keep 'mkdir /new; echo n >/new/f; echo c >/etc/one'
	run_kennel commit -y "$NAME"
	is_status 0
	sleep 0.05
	echo user >"$BASE/new/data"
	run_kennel commit --undo
	refused yes "changed since the commit"
	is_equal "$(cat "$BASE/new/data")" user
	run_kennel commit --undo --force
	is_status 0
	[ ! -e "$BASE/new" ]
	is_equal "$(cat "$BASE/etc/one")" one
}

@test "commit: a name that is the beginning of the id of a sandbox that runs" {
	background "$KENNEL" run -q --net none -- sh -c 'echo up; sleep 300'
	wait_for 20 grep -q up "$T/out.$LIB_STARTED"
	local id
	id=$("$KENNEL" list --json | jq -r ".[] | select(.pid == $!) | .id")
	NAME=${id:0:7}
	keep 'echo in >/etc/one'
	run_kennel commit -y "$NAME"
	is_status 0
	is_equal "$(cat "$BASE/etc/one")" in
}

@test "commit: one whose directory is gone stands in nobody's way" {
	keep 'echo changed >/etc/one'
	run_kennel commit -y "$NAME"
	is_status 0
	mv "$BASE" "$BASE-away"
	run_kennel gc
	is_status 0
	mkdir "$BASE"
	run_kennel gc
	is_status 0
	rmdir "$BASE"
	mv "$BASE-away" "$BASE"
	run_kennel commit --undo -y
	is_status 0
	is_equal "$(cat "$BASE/etc/one")" one
}

@test "commit: the list in an editor" {
	need_commands script
	keep 'echo a >/etc/a; echo b >/etc/b; echo c >/etc/c'
	cat >"$T/editor" <<-'EOF'
		#!/bin/sh
		sed -i '/etc\/a$/d; s,^\(.*etc/b\)$,#\1,' "$1"
	EOF
	chmod 0755 "$T/editor"
	# The terminal is script's; the answers come one after the other.
	: >"$T/out"
	{
		wait_for 10 says "$T/out" "apply these 3 changes"
		echo e
		wait_for 10 says "$T/out" "apply this 1 change "
		echo y
		wait_for 10 test -e "$T/ended"
	} | {
		EDITOR=$T/editor VISUAL='' script -qec "$KENNEL commit $NAME; code=\$?; touch $T/ended; exit \$code" /dev/null >"$T/out" 2>&1
	}
	grep -q "apply these 3 changes" "$T/out"
	grep -q "apply this 1 change " "$T/out"
	is_equal "$(ls "$BASE/etc")" $'c\none\ntwo'
}

@test "commit: one that runs is refused, and taken as it is with --running" {
	background "$KENNEL" run -q -k "$NAME" --base "$BASE" --net none --mount /usr:/usr:ro --mount /bin:/bin:ro --mount /lib:/lib:ro \
		--mount /lib64:/lib64:ro --user "$(id -u)" -- /bin/sh -c 'echo r >/srv/r; echo up; sleep 300'
	wait_for 20 says "$T/out.1" up
	run_kennel commit -y "$NAME"
	refused yes "is running"
	run_kennel commit -y --running "$NAME"
	is_status 0
	is_equal "$(cat "$BASE/srv/r")" r
}

@test "commit: setuid files are pointed out" {
	keep 'cp /bin/true /srv/su 2>/dev/null || echo x >/srv/su; chmod 4755 /srv/su'
	run_kennel commit --dry-run "$NAME"
	has "these give rights" "$stdout"
	has "! /srv/su (setuid)" "$stdout"
}

@test "commit: bases that can't take it" {
	need_root "an image on a loop device"
	need_commands mksquashfs
	mksquashfs "$BASE" "$T/image" -quiet -no-progress >/dev/null
	"$KENNEL" run -q -k "$NAME" --base "$T/image" --net none --mount /usr:/usr:ro --mount /bin:/bin:ro --mount /lib:/lib:ro \
		--mount /lib64:/lib64:ro -- /bin/sh -c 'echo x >/srv/x' </dev/null
	run_kennel commit -y "$NAME"
	refused yes "the base is an image"
	run_kennel commit -y no-such-thing
	is_status 125
}

@test "commit: interrupted, it takes everything back" {
	need_root "strace of what is not dumpable"
	need_commands strace
	look "$BASE" >"$T/before"
	keep 'echo changed >/etc/one; rm /etc/two; rm -r /d; echo n >/srv/f'
	status=0
	strace -o /dev/null -e inject=renameat2:signal=INT:when=2 "$KENNEL" commit -y "$NAME" </dev/null >/dev/null 2>"$T/err" 3>&- || status=$?
	[ "$status" -ne 0 ]
	grep -q interrupted "$T/err"
	look "$BASE" | diff "$T/before" -
}

@test "commit: of the system, an ordinary user's own files" {
	[ "$EUID" -ne 0 ] || skip "needs an ordinary user"
	mkdir "$T/home"
	echo mine >"$T/home/mine"
	"$KENNEL" run -q -k "$NAME" --net none -- sh -c "echo root >$T/home/of-root; setpriv --reuid $(id -u) --regid $(id -g) --clear-groups sh -c 'echo new >$T/home/new; echo changed >$T/home/mine'; echo x >/etc/of-root; touch /etc/a /etc/b" </dev/null
	run_kennel commit --dry-run "$NAME"
	has '4 left: owned by root (4); "kennel commit -v" shows which' "$stdout"
	run_kennel commit --dry-run "$NAME" /etc/a # few are shown at once
	has "A /etc/a: owned by root" "$stdout"
	has "files of your own, made inside with --user" "$stderr"
	run_kennel commit --dry-run -v "$NAME"
	has "A $T/home/new" "$stdout"
	has "/etc/of-root: owned by root" "$stdout"
	run_kennel commit -y "$NAME"
	is_status 1
	is_equal "$(cat "$T/home/new" "$T/home/mine")" $'new\nchanged'
	[ ! -e /etc/of-root ] && [ ! -e "$T/home/of-root" ]
	run_kennel commit --undo
	is_status 0
	is_equal "$(cat "$T/home/mine")" mine
	[ ! -e "$T/home/new" ]
}
