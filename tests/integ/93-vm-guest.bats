#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# What runs beside and inside a guest (--isolate vm): streams, terminals and signals over its line, several commands at once, an
# init of its own, and what is said when it dies.

load lib
load screen

setup() {
	kennel_setup
	need_guest
	need_commands tmux busybox
	SOCKET=$T/tmux
	at_end remove_all
	mkdir -p "$T/base/bin" "$T/base/sbin" "$T/base/etc"
	cp "$(command -v busybox)" "$T/base/bin/busybox"
	for applet in sh clear echo cat sleep stty test yes head sha1sum kill touch mknod rm tty; do ln -s busybox "$T/base/bin/$applet"; done
	for applet in init reboot poweroff; do ln -s ../bin/busybox "$T/base/sbin/$applet"; done
}

remove_all() {
	local name
	for name in $("$KENNEL" list -kq -P "$T/store" 2>/dev/null); do
		"$KENNEL" rm --force -P "$T/store" "$name"
	done
}

# start [OPTION]...: a guest in the background, named box.
start() {
	"$KENNEL" create -P "$T/store" --isolate vm --base "$T/base" --net none "$@" box
	"$KENNEL" start -q -P "$T/store" box
}

inside() {
	run_kennel exec box -- "$@"
}

# shown TEXT [TIMES]: the console has shown it.
shown() {
	[ "$("$KENNEL" log -P "$T/store" box | grep -c -e "$1")" -ge "${2-1}" ]
}

# kernel: the pid of the guest's kernel, here.
kernel() {
	local init
	init=$("$KENNEL" list --json | grep -o '"init": [0-9]*' | grep -o '[0-9]*$')
	pgrep -P "$init" -x linux | head -n 1
}

@test "vm-guest: exec: streams whole and apart, exit codes, what closes early, several at once, vanished clients" {
	start
	head -c 3000000 /dev/urandom >"$T/data"
	"$KENNEL" exec box -- cat <"$T/data" >"$T/back" 3>&- &
	cat=$!
	"$KENNEL" exec box -- sha1sum <"$T/data" >"$T/sum" 3>&- &
	sum=$!
	inside sh -c 'echo out; echo err >&2; exit 3'
	is_status 3
	is_equal "$stdout" out
	is_equal "$stderr" err
	wait "$cat"
	wait "$sum"
	cmp "$T/data" "$T/back"
	is_equal "$(cut -d' ' -f1 <"$T/sum")" "$(sha1sum <"$T/data" | cut -d' ' -f1)"
	# who feeds a command that does not read, or reads from one that goes on, is told
	(set +o pipefail; yes | "$KENNEL" exec box -- sh -c 'exec <&-; echo closed') >"$T/closed"
	is_equal "$(<"$T/closed")" closed
	is_equal "$("$KENNEL" exec box -- yes | head -n 1)" y
	inside sh -c 'kill -USR1 $$'
	is_status 138
	inside no-such-command
	is_status 127
	inside sh -c 'sleep 300 & echo left behind'
	is_equal "$stdout" "left behind"
	# rubbish on the line harms nobody
	inside sh -c 'mknod /line c 4 15; head -c 100000 /dev/urandom >/line; rm /line; echo whole'
	is_equal "$stdout" whole
	background "$KENNEL" exec box -- sh -c 'trap "touch /hung-up; exit" HUP; touch /ready; while :; do sleep 0.1; done'
	client=$!
	wait_for 20 "$KENNEL" exec box -- test -e /ready
	kill -KILL "$(pgrep -P "$client")"
	wait_for 20 "$KENNEL" exec box -- test -e /hung-up
	run_kennel stop box
	is_status 0
}

@test "vm-guest: a terminal: its size, then and later, its keys, its modes afterwards" {
	screen "$KENNEL" run --isolate vm --base "$T/base" --net none -- sh -i
	expect '^/ #'
	keys 'stty size; tty' Enter
	expect '^30 90'
	expect '^/dev/pts/0'
	wait_for 20 prompts
	keys 'while :; do stty size; sleep 0.2; done' Enter
	tmux -S "$SOCKET" resize-window -x 70 -y 20
	expect '^20 70'
	keys C-c
	wait_for 20 prompts
	keys 'trap "echo interrupted" INT; echo waits; cat' Enter
	expect '^waits'
	keys C-c
	wait_for 20 prompts
	keys 'echo "code was $?"' Enter
	expect '^code was 130'
	wait_for 20 prompts
	keys 'exit 5' Enter
	expect '^code 5'
	expect ' icanon'
}

# The shell waits for keys: what is typed before that may get lost.
prompts() {
	[ "$(tmux -S "$SOCKET" capture-pane -p | grep . | tail -n 1)" = "/ #" ]
}

@test "vm-guest: what is said when the kernel is killed, or panics, or nobody is left" {
	start
	background "$KENNEL" exec box -- sh -c 'echo runs; sleep 300'
	client=$!
	wait_for 20 grep -q runs "$T/out.$LIB_STARTED"
	kill -KILL "$(kernel)"
	wait "$client" && false
	has "killed by signal 9" "$(cat "$T/out.$LIB_STARTED" "$T/err.$LIB_STARTED" 2>/dev/null)"
	run_kennel wait -P "$T/store" -t 60 box
	run_kennel run --isolate vm --base "$T/base" --net none -- sh -c 'echo c >/proc/sysrq-trigger; sleep 300'
	is_status 125
	has "Kernel panic" "$stderr"
}

@test "vm-guest: an init of its own: it boots, reboots, and is asked to switch off in its own way" {
	printf '%s\n' '::sysinit:/bin/echo up as process 1' '::respawn:/bin/cat' '::shutdown:/bin/echo going down' >"$T/base/etc/inittab"
	start --boot
	wait_for 60 shown 'up as process 1'
	inside cat /proc/1/comm
	is_equal "$stdout" init
	"$KENNEL" exec box -- reboot
	wait_for 60 shown 'up as process 1' 2
	run_kennel stop box
	is_status 0
	"$KENNEL" wait -P "$T/store" -t 60 box
	shown 'going down' 2
	run_kennel info --json -P "$T/store" box
	has '"status": 0' "$stdout"
}
