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
	tmux -S "$SOCKET" resize-window -x 40
	expect '^ID .*CPU%.*[.][.][.]$' # never two lines for one
	end_screen
	screen "$KENNEL" monitor
	expect '  running   box'
	"$KENNEL" stop --kill box
	expect '  stopped   box'
}

# Asked until the shell of after the reboot answers, which has no $a: what is typed before goes to a terminal that is no more.
answers_anew() {
	keys 'echo anew $a.' Enter
	shows '^anew \.'
}

@test "console: the log of a container in a file goes on over a reboot, and goes with its end" {
	need_sandbox
	need_commands busybox mke2fs e2fsck
	[ "$EUID" -ne 0 ] || [ -e /dev/loop-control ] || skip "no loop devices here"
	mkdir -p "$T/base/bin" "$T/base/sbin" "$T/base/etc"
	cp "$(command -v busybox)" "$T/base/bin/busybox"
	for applet in sh echo sleep test; do ln -s busybox "$T/base/bin/$applet"; done
	for applet in init reboot poweroff halt; do ln -s ../bin/busybox "$T/base/sbin/$applet"; done
	printf '%s\n' '::sysinit:/bin/sh -c "echo boots; test -e /second || { echo >/second; sleep 1; reboot; }"' >"$T/base/etc/inittab"
	"$KENNEL" run -q -f "$T/box.img" --size 32M --base "$T/base" --net none -- sh -c :
	"$KENNEL" set --boot "$T/box.img"
	at_end sh -c '"$0" stop --kill "$1" 2>/dev/null || :' "$KENNEL" "$T/box.img"
	"$KENNEL" start -q "$T/box.img"
	background "$KENNEL" log -f "$T/box.img"
	local reader=$!
	wait_for 30 booted_twice
	"$KENNEL" stop --kill "$T/box.img"
	wait "$reader"
	is_equal "$(grep -c boots "$T/out.$LIB_STARTED")" 2
	is_equal "$(find "${XDG_RUNTIME_DIR:-/run}/kennel" -name '*.log*' -o -name '.log*')" ""
}

booted_twice() {
	[ "$("$KENNEL" log "$T/box.img" 2>/dev/null | grep -c boots)" = 2 ]
}

@test "console: further terminals, one person at each; again after a reboot, and to the end" {
	need_sandbox
	need_commands busybox
	mkdir -p "$T/base/bin" "$T/base/sbin" "$T/base/etc"
	cp "$(command -v busybox)" "$T/base/bin/busybox"
	for applet in sh echo cat sleep stty tty; do ln -s busybox "$T/base/bin/$applet"; done
	for applet in init reboot poweroff halt; do ln -s ../bin/busybox "$T/base/sbin/$applet"; done
	printf '%s\n' '::respawn:/bin/cat' 'tty1::respawn:-/bin/sh' 'tty2::respawn:-/bin/sh' >"$T/base/etc/inittab"
	at_end "$KENNEL" rm --force -P "$T/store" box
	"$KENNEL" create -P "$T/store" --base "$T/base" --net none --boot --ttys 2 -e 'PS1=at $(tty)> ' box
	"$KENNEL" start -q -P "$T/store" box
	has 'container_ttys=pts/1 pts/2' "$("$KENNEL" exec box -- cat /proc/1/environ | tr '\0' '\n')"
	screen "$KENNEL" console --tty 2 box
	expect 'connected to "box", terminal 2; ^] leaves it'
	keys Enter
	expect '^at /dev/pts/2>'
	keys 'stty size; a=kept' Enter
	expect '^30 90'
	run_kennel console --tty 2 box
	is_status 125
	has "somebody else is at terminal 2" "$stderr"
	run_kennel console --tty 3 box
	is_status 125
	has "it has 2 further terminals" "$stderr"
	run_kennel console --tty 0 box
	refused yes "no number of a terminal"
	keys 'echo after $a' Enter
	expect '^after kept'
	keys 'reboot' Enter
	wait_for 20 answers_anew
	keys C-]
	expect 'left; it goes on'
	expect '^code 0'
	expect '^ icanon'
	end_screen
	screen "$KENNEL" console -t 1 box
	keys Enter
	expect '^at /dev/pts/1>'
	keys 'poweroff' Enter
	expect 'it has ended'
	expect '^code 0'
}
