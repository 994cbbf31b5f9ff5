#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# The form of "run --ask", on a terminal that tmux makes: what is chosen there is what starts.

load lib
load screen

@test "ask: what is chosen is what starts, and options are where it begins" {
	need_sandbox
	screen "$KENNEL" run --ask --net none -- sh -c 'ls /sys/class/net; echo "level $container"'
	expect 'A copy of this machine'
	expect '(\*) none'
	expect '(\*) thrown away'
	# without root there is one kind of walls
	if [ "$(id -u)" -eq 0 ]; then expect 'Walls .*strongest'; else ! shows 'Walls'; fi
	keys F12
	expect '^level kennel'
	expect '^lo$'
	expect '^code 0'
	expect '^ icanon'
}

cursor() {
	tmux -S "$SOCKET" display-message -p '#{cursor_x} #{cursor_y}'
}

cursor_rests() {
	local before
	before=$(cursor)
	pause 0.2
	[ "$(cursor)" = "$before" ]
}

# is_at TEXT: the cursor is behind the mark that it begins with.
is_at() {
	local x y lines
	read -r x y < <(cursor)
	mapfile -t lines < <(tmux -S "$SOCKET" capture-pane -p)
	[[ ${lines[y]:x-4} == "$1"* ]]
}

@test "ask: a name without keeping, and keeping without a name, are asked again" {
	need_sandbox
	screen "$KENNEL" run --ask --net none -- sh -c 'echo ran'
	expect 'A copy of this machine'
	# from the list, where there is one, to the second button of the first choice; the keys go round
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		wait_for 10 cursor_rests
		! is_at '( ) kept by name' || break
		keys Tab
	done
	keys Space
	expect '(\*) kept by name'
	keys F12
	expect 'needs a name'
	! shows '^ran'
	# that is where it goes on
	keys typed
	expect 'file  *typed'
	keys Escape
	expect '^code 130'
}

@test "ask: escape and ^C start nothing, with 130, and the terminal is as it was" {
	local key
	for key in Escape C-c; do
		screen "$KENNEL" run --ask -- sh -c 'echo started-it'
		expect 'A copy of this machine'
		keys "$key"
		expect '^code 130'
		expect '^ icanon'
		! shows '^started-it'
		end_screen
	done
}

@test "ask: a signal puts the terminal back and ends it" {
	# shellcheck disable=SC2016
	screen sh -c 'echo $$ >"$1"; exec "$0" run --ask -- true' "$KENNEL" "$T/pid"
	expect 'A copy of this machine'
	kill -TERM "$(cat "$T/pid")"
	expect '^code 143'
	expect '^ icanon'
}

@test "ask: refused without a terminal, or on one that is not known" {
	run_kennel run --ask -- true </dev/null
	refused yes 'needs a terminal'
	screen env TERM=no-such-terminal "$KENNEL" run --ask -- true
	expect 'terminal of type "no-such-terminal"'
	expect '^code 125'
}
