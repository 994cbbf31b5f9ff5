#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# The question on leaving an interactive throwaway, on a terminal that tmux makes.

load lib
load screen

# leave SCRIPT [OPTION]...: an interactive sandbox over a base of our own runs SCRIPT; containers go to a place of the test's own.
leave() {
	local script=$1
	shift
	need_sandbox
	need_commands busybox
	mkdir -p "$T/base/bin" "$T/base/etc" "$T/store"
	cp "$(command -v busybox)" "$T/base/bin/busybox"
	ln -sf busybox "$T/base/bin/sh"
	echo old >"$T/base/etc/old"
	STORE=$T/store
	screen "$KENNEL" run --net none --base "$T/base" "$@" -- /bin/sh -c "$script"
}

# The question stands there a second time: what is typed before may go to the pager, or is not shown.
asked_again() {
	[ "$(tmux -S "$SOCKET" capture-pane -p | grep -c 'ommit?')" -ge 2 ]
}

@test "leave: a bare Enter, d, no and the end of input discard" {
	local answer
	for answer in Enter d no C-d; do
		leave 'echo new >/etc/new'
		expect '1 changed file: .d.iscard, .k.eep as NAME, .v.iew, .c.ommit?'
		keys "$answer"
		[ "$answer" = C-d ] || [ "$answer" = Enter ] || keys Enter
		expect '^kennel: 1 changed file is gone'
		expect '^code 0'
		if shows '.ommit? *kennel:'; then return 1; fi
		[ ! -e "$T/base/etc/new" ]
		end_screen
	done
}

@test "leave: what is not an answer is asked again" {
	leave 'echo new >/etc/new; exit 7'
	expect 'commit?\|ommit?'
	keys 'delete everything' Enter
	expect 'answer d, k, v or c'
	keys Enter
	expect '^code 7'
}

@test "leave: v shows the changes and asks again" {
	leave 'echo new >/etc/new; busybox rm /etc/old'
	expect '2 changed files'
	keys v Enter
	expect '^A /etc/new'
	expect '^D /etc/old'
	# and what the texts say now
	expect '^+++ b/etc/new'
	expect '^+new'
	expect '^-old'
	wait_for 20 asked_again
	keys d Enter
	expect '2 changed files are gone'
}

@test "leave: k keeps it as a container, whose name is asked for where it was not said" {
	local name=leave-$$-$RANDOM
	at_end remove_container "$name"
	leave 'echo new >/etc/new; busybox rm /etc/old; busybox chown 7:8 /etc/new; busybox ln /etc/new /etc/twin'
	expect '3 changed files'
	keys k Enter
	expect 'keep as:'
	keys 'bad/name' Enter
	expect 'bad/name'
	keys "k as $name" Enter
	expect "kennel run -k $name"
	expect '^code 0'
	run_kennel run -k "$name" --net none -- /bin/sh -c 'busybox stat -c %u:%g:%h /etc/new; busybox ls /etc/old'
	is_equal "$(head -n 1 <<<"$stdout")" 7:8:2
	has 'No such file' "$stderr"
	# the same name again is refused, and nothing is lost by it
	end_screen
	leave 'echo other >/etc/other'
	expect '1 changed file'
	keys "k $name" Enter
	expect 'there is a container'
	keys Enter
	expect '1 changed file is gone'
}

remove_container() {
	"$KENNEL" rm "$1" 2>/dev/null || :
}

@test "leave: c commits them to the base, after its own question" {
	need_root "to make files that are root's"
	at_end forget_commit
	leave 'echo new >/etc/new'
	expect '1 changed file'
	keys c Enter
	expect '/etc/new'
	expect 'apply'
	keys n Enter
	wait_for 10 asked_twice
	[ ! -e "$T/base/etc/new" ]
	keys c Enter
	wait_for 10 asked_to_apply_twice
	keys y Enter
	expect '^code 0'
	[ "$(cat "$T/base/etc/new")" = new ]
}

forget_commit() {
	"$KENNEL" commit --undo --force -y >/dev/null 2>&1 || :
}

asked_twice() {
	[ "$(tmux -S "$SOCKET" capture-pane -p | grep -c 'ommit?')" -ge 2 ]
}

asked_to_apply_twice() {
	[ "$(tmux -S "$SOCKET" capture-pane -p | grep -c 'apply')" -ge 2 ]
}

@test "leave: nothing is asked with -q, without a change, and off a terminal" {
	leave 'echo new >/etc/new' -q
	expect '^code 0'
	! shows 'ommit?'
	end_screen
	leave ':'
	expect 'no file was changed'
	expect '^code 0'
	run_kennel run --net none --base "$T/base" -- /bin/sh -c 'echo new >/etc/new' </dev/null
	is_status 0
	is_equal "$stderr" ""
}

# The guest goes on while it is asked about.
@test "leave: of a guest it is asked, shown, kept and committed as of any" {
	need_guest
	need_sandbox
	local name=leave-$$-$RANDOM
	leave 'echo new >/etc/new; busybox rm /etc/old; exit 5' --isolate vm
	expect '2 changed files: .d.iscard, .k.eep as NAME, .v.iew, .c.ommit?'
	keys v Enter
	expect '^A /etc/new'
	expect '^D /etc/old'
	expect '^+new'
	at_end remove_container "$name"
	wait_for 20 asked_again
	keys "k $name" Enter
	expect "kept: go on with"
	expect '^code 5'
	end_screen
	is_equal "$("$KENNEL" diff "$name")" $'A /etc/new\nD /etc/old'
	run_kennel run -q -k "$name" --isolate user --net none -- /bin/sh -c 'read a </etc/new; echo "$a"; exec busybox test ! -e /etc/old'
	is_status 0
	is_equal "$stdout" new
	if [ "$EUID" -eq 0 ]; then
		leave 'echo new >/etc/new' --isolate vm
		expect '1 changed file:'
		at_end forget_commit
		keys c Enter
		expect 'apply'
		keys y Enter
		expect '^code 0'
		is_equal "$(cat "$T/base/etc/new")" new
		end_screen
	fi
	# whoever is gone has nothing of it left running
	leave 'echo new >/etc/new2' --isolate vm
	expect '1 changed file:'
	keys Enter
	expect '1 changed file is gone'
	expect '^code 0'
}

@test "leave: killed in each call of keeping, the container is whole or not there" {
	need_sandbox
	need_commands cc python3 busybox
	local name=leave-$$-$RANDOM n first last whole=0 none=0
	at_end remove_container "$name"
	mkdir -p "$T/base/bin" "$T/base/etc"
	cp "$(command -v busybox)" "$T/base/bin/busybox"
	ln -s busybox "$T/base/bin/sh"
	lib_stop_at kill
	answer() {
		"$LIB_TOP/tests/harness/answer.py" 'ommit?' "$1" "${LIB_STOP_AT[@]}" "${@:2}" "$KENNEL" run --net none --base "$T/base" -- \
			/bin/sh -c 'echo new >/etc/new; busybox mkdir /etc/d; echo more >/etc/d/f' >"$T/said" 2>&1
	}
	# What is done after the answer are the calls that there are more when it is "keep".
	answer d list "$T/discarded"
	answer "k $name" list "$T/kept"
	grep -q "kept: go on" "$T/said" || { cat "$T/said"; return 1; }
	local expected
	expected=$("$KENNEL" diff "$name")
	has "A /etc/d/f" "$expected"
	"$KENNEL" rm "$name"
	first=$(($(wc -l <"$T/discarded") - 12))
	last=$(wc -l <"$T/kept")
	[ $((last - first)) -gt 20 ]
	for ((n = first; n <= last; n += 2)); do
		answer "k $name" kill "$n" || :
		"$KENNEL" gc -q
		if "$KENNEL" list -kq | grep -qx "$name"; then
			whole=$((whole + 1))
			is_equal "$("$KENNEL" diff "$name")" "$expected"
			is_equal "$("$KENNEL" run -q -k "$name" --net none -- /bin/sh -c 'read a </etc/d/f; echo $a')" more
			"$KENNEL" rm "$name"
		else
			none=$((none + 1))
		fi
	done
	echo "whole $whole, not there $none"
	[ "$none" -gt 0 ]
}
