#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# kennel commit and --undo, stopped in each system call and with a disk that is full or fails: there is the old tree or the new one,
# and the next kennel finishes what was begun.

load lib

setup() {
	need_sandbox
	need_commands cc
	kennel_setup
	NAME=commit-$$-$RANDOM
	BASE=$T/base
	at_end forget
}

# What a test leaves of its container and of its last commit.
forget() {
	"$KENNEL" rm "$NAME" >/dev/null 2>&1 || :
	"$KENNEL" commit --undo --force >/dev/null 2>&1 || :
}

# A tree with a change of each kind, and what it is before and after in OLD and NEW.
make_commit() {
	mkdir -p "$BASE"/{bin,etc,lib,lib64,usr,d,keep,srv}
	echo one >"$BASE/etc/one"
	ln "$BASE/etc/one" "$BASE/keep/hard"
	echo x >"$BASE/d/x"
	mkfifo "$BASE/srv/pipe"
	touch -d '2001-02-03 04:05:06.789' "$BASE/etc/one" "$BASE/d/x" "$BASE/d" "$BASE/srv" "$BASE/etc" "$BASE/keep" "$BASE"
	"$KENNEL" run -q -k "$NAME" --base "$BASE" --net none --mount /usr:/usr:ro --mount /bin:/bin:ro --mount /lib:/lib:ro \
		--mount /lib64:/lib64:ro --user "$(id -u)" -- /bin/sh -ec \
		'echo changed >/etc/one; rm -r /d; mkdir /new; echo n >/new/f; ln /new/f /new/g; chmod 0700 /keep; rm /srv/pipe; mkdir /srv/pipe' </dev/null
	look
	OLD=$LOOK
	commit
	look
	NEW=$LOOSE
	[ "${OLD%%$'\n'time *}" != "$NEW" ]
	undo
	STATE=old
}

commit() {
	"$KENNEL" commit -y "$@" "$NAME" >"$LIB_STATE/commit" 2>&1 || { cat "$LIB_STATE/commit"; return 1; }
}

undo() {
	"$KENNEL" commit --undo -y >"$LIB_STATE/commit" 2>&1 || { cat "$LIB_STATE/commit"; return 1; }
}

# Sets LOOK: types, modes, owners, links, sizes, contents and times of the tree; and LOOSE, the same without the times of directories: those
# of a commit have that of the commit. What is kept for an undo is left out.
look() {
	LOOK=$(cd "$BASE" && {
		find . -name '.kennel-commit-*' -prune -o -printf 'entry %P %y %m %U:%G %l' \
			\( -type d -printf '\ntime %P %T@\n' -o -printf '%n %s %T@\n' \)
		grep -r -D skip --exclude-dir='.kennel-commit-*' . .
	} | sort)
	LOOSE=${LOOK%%$'\n'time *}
}

# Nothing half made is beside the tree or in it.
swept() {
	"$KENNEL" gc >"$LIB_STATE/gc" 2>&1 || { cat "$LIB_STATE/gc"; return 1; }
	look
}

no_stage() {
	local left
	for left in "$BASE"/.[!.]* "$T"/.[!.]*; do
		[ ! -e "$left" ] || { echo "left: $left"; return 1; }
	done
}

# Sets STATE.
old_or_new() {
	swept || return 1
	state
	case $STATE in
	old) no_stage ;;
	new) ;;
	*) return 1 ;;
	esac
}

state() {
	STATE=neither
	[ "$LOOSE" != "$NEW" ] || STATE=new
	[ "$LOOK" != "$OLD" ] || STATE=old
	[ $STATE != neither ] || diff <(printf '%s' "$OLD") <(printf '%s' "$LOOK") || :
}

old_again() {
	[ "$STATE" = old ] || undo || return 1
	STATE=old
}

new_again() {
	[ "$STATE" = new ] || commit || return 1
	STATE=new
}

# Where the list of what was put back can't be read, what was put back looks changed.
new_by_force() {
	[ "$STATE" = new ] || commit --force || return 1
	STATE=new
}

# as_said DONE NOT: the exit code tells which it is, and a failure is told.
as_said() {
	look
	state
	case $status in
	0) [ "$STATE" = "$1" ] ;;
	125) [ "$STATE" = "$2" ] && [[ $'\n'$(<"$POINT_OUT") == *$'\n'"kennel: "* ]] ;;
	1) # what can't be read is left, which is told; the rest comes back
		[ "$1" = new ] && [[ $(<"$POINT_OUT") == *"left:"* ]] && undo && look && state && [ "$STATE" = old ]
		;;
	*) false ;;
	esac || {
		echo "it is: $STATE"
		return 1
	}
	[ "$status" -ne 125 ] || old_or_new
}

committed_as_said() {
	as_said new old
}

undone_as_said() {
	as_said old new
}

@test "commit kill: a commit" {
	make_commit
	kill_points old_again old_or_new "$KENNEL" commit -y "$NAME"
	[ "$POINTS" -gt 30 ]
}

@test "commit kill: an undo" {
	make_commit
	commit
	STATE=new
	kill_points new_again old_or_new "$KENNEL" commit --undo -y
	[ "$POINTS" -gt 20 ]
}

@test "commit kill: a commit, on a disk that is full or fails" {
	need_root "an ordinary user's is no other way"
	make_commit
	fail_points "ENOSPC EIO" old_again committed_as_said "$KENNEL" commit -y "$NAME"
}

@test "commit kill: a commit, where something can't be read" {
	need_root "an ordinary user's is no other way"
	make_commit
	POINT_READS=$T POINT_STEP=17 fail_points EIO old_again committed_as_said "$KENNEL" commit -y "$NAME"
}

@test "commit kill: an undo, on a disk that is full or fails" {
	need_root "an ordinary user's is no other way"
	make_commit
	commit
	STATE=new
	fail_points "EIO ENOSPC" new_by_force undone_as_said "$KENNEL" commit --undo -y
	POINT_READS=$T POINT_STEP=19 fail_points EIO new_by_force undone_as_said "$KENNEL" commit --undo -y
}
