#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# What a person sees and types in "kennel console", "monitor" and "top", on a terminal that tmux makes.

load lib
load screen

box() {
	need_sandbox
	need_commands busybox
	mkdir -p "$T/base/bin" "$T/base/etc"
	cp "$(command -v busybox)" "$T/base/bin/busybox"
	for applet in sh sleep stty; do ln -sf busybox "$T/base/bin/$applet"; done
	at_end "$KENNEL" rm --force -P "$T/store" box
	"$KENNEL" create -P "$T/store" --base "$T/base" --net none box
	"$KENNEL" start -q -P "$T/store" box -- sh -c "$1"
}

@test "console: a shell in it; its size; the key leaves and puts the terminal back, and what was shown is there again" {
	box 'PS1="in> " exec sh -i'
	screen "$KENNEL" console box
	expect 'connected to "box"; ^] leaves it'
	expect '^in>'
	keys 'stty size; a=kept' Enter
	expect '^30 90'
	keys C-c
	keys 'echo after $a' Enter
	expect '^after kept'
	keys C-]
	expect 'left; it goes on'
	expect '^code 0'
	expect '^ icanon'
	end_screen
	screen "$KENNEL" console --escape ^q box
	expect 'connected to "box"; ^Q leaves it'
	expect '^after kept'
	keys C-]
	keys 'exit 3' Enter
	expect 'it has ended'
	expect '^code 3'
	expect '^ icanon'
	run_kennel console --escape ab box
	refused yes 'is not a key'
}

@test "console: top and monitor, as a person sees them" {
	box 'echo up; exec sleep 300'
	screen "$KENNEL" top -d 200ms
	expect '^ID .*CPU%'
	expect ' box .*running'
	end_screen
	screen "$KENNEL" monitor
	expect '  running   box'
	"$KENNEL" stop --kill box
	expect '  stopped   box'
}
