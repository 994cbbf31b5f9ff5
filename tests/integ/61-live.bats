#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# Containers that live on behind their caller: start, console, log, wait, freeze, restart, monitor.

load lib

setup() {
	need_sandbox
	need_commands busybox
	kennel_setup
	mkdir -p "$T/base/bin" "$T/base/etc" "$T/base/sbin"
	cp "$(command -v busybox)" "$T/base/bin/busybox"
	for applet in sh sleep cat stty ps; do ln -s busybox "$T/base/bin/$applet"; done
	at_end stop_all
}

# create NAME [ARG]...
create() {
	"$KENNEL" create -P "$T/store" --base "$T/base" --net none "$@"
}

start() {
	run_kennel start -P "$T/store" "$@"
}

# is_state NAME STATE [SECONDS]: now, or after a while: a busy machine has a minute in any case.
is_state() {
	local patience=${3-0}
	[ "$patience" -eq 0 ] || [ "$patience" -ge 60 ] || patience=60
	"$KENNEL" wait -P "$T/store" --state "$2" --timeout "$patience" "$1"
}

# type_in WORD: into $T/in, which does not end behind it.
type_in() {
	mkfifo "$T/in"
	exec 7<>"$T/in"
	echo "$1" >&7
}

@test "live: start, list, exec, stop; a second start is refused" {
	create box
	start box
	is_status 0
	id=$stdout
	[[ $id =~ ^[0-9a-f]{8}$ ]]
	is_state box running
	run_kennel list -P "$T/store"
	has "$id  box   running" "$stdout"
	has "(idle)" "$stdout"
	"$KENNEL" exec box -- sh -c 'echo here >/etc/made'
	start box
	refused yes "\"box\" is running already"
	"$KENNEL" stop box
	is_state box stopped 10
	run_kennel diff -P "$T/store" box
	has "A /etc/made" "$stdout"
	run_kennel info --json -P "$T/store" box
	has '"status": 0' "$stdout"
	has '"state": "stopped"' "$stdout"
}

@test "live: why it did not start comes back, with its exit code; nothing is left" {
	create box
	start box -- nosuch
	is_status 127
	has "no such command"
	start box -- /etc
	is_status 126
	start --hostname x box
	refused yes hostname
	start nobox
	refused yes 'no container "nobox"'
	is_state box stopped
}

@test "live: a command of the configuration, and one instead of it" {
	create box -- sh -c 'echo "of the configuration: $1"; exit 3' sh "it's one"
	"$KENNEL" config -P "$T/store" box | grep -q '^command = '
	start -q box
	is_state box stopped 10
	start --foreground box -- sh -c 'echo instead; exit 4'
	is_status 4
	is_equal "${stdout%$'\r'}" instead
	run_kennel log -P "$T/store" box
	is_equal "${stdout//$'\r'/}" $'of the configuration: it\'s one\ninstead'
	run_kennel log -n 1 -P "$T/store" box
	is_equal "${stdout//$'\r'/}" instead
	"$KENNEL" set -P "$T/store" --command 'sh -c "exit 5"' box
	start -F box
	is_status 5
	run_kennel set -P "$T/store" --command 'sh "unended' box
	refused yes 'has no second one'
}

@test "live: the console shows what was missed, takes input, and gives the exit code" {
	create box
	start -q box -- sh -c 'stty -echo; echo before; read a; echo "got $a"; exit 6'
	wait_for 20 sh -c "'$KENNEL' log -P '$T/store' box | grep -q before"
	status=0
	type_in word
	timeout 100 "$KENNEL" console box <"$T/in" >"$T/out" || status=$?
	is_equal "$status" 6
	tr -d '\r' <"$T/out" | grep -qx 'before'
	tr -d '\r' <"$T/out" | grep -qx 'got word'
	run_kennel console box
	refused yes 'no sandbox "box" is running'
}

@test "live: a megabyte through the console and its log, unharmed, to several at once" {
	create box
	# It says something until it is spoken to, so whoever looks on is seen to do so.
	start -q box -- sh -c 'exec 2>/dev/null; stty raw -echo; (while :; do printf w; sleep 0.1; done) & read go; kill $!; wait $!; echo
		i=0; while [ $i -lt 16000 ]; do printf "%063d\n" $i; i=$((i + 1)); done; sleep 1'
	for n in 1 2 3; do
		"$KENNEL" console --no-backlog box >"$T/out.$n" </dev/null 3>&- &
		eval "pid$n=$!"
	done
	for n in 1 2 3; do wait_for 10 test -s "$T/out.$n"; done
	echo | "$KENNEL" console box >/dev/null 3>&-
	wait "$pid1" "$pid2" "$pid3"
	seq -f '%063g' 0 15999 >"$T/expected"
	for n in 1 2 3; do tail -n +2 "$T/out.$n" | cmp "$T/expected" -; done
	"$KENNEL" log -P "$T/store" box | tail -n +2 | cmp "$T/expected" -
}

# bats test_tags=bed
@test "live: frozen is frozen, and can be stopped" {
	[ "$(id -u)" -eq 0 ] || skip "needs root: a control group"
	create box
	start -q box -- sh -c 'i=0; while :; do i=$((i + 1)); echo $i >/etc/n; sleep 0.02; done'
	wait_for 10 test -s "$T/store/box/delta/0/upper/etc/n"
	"$KENNEL" freeze box
	is_state box frozen
	run_kennel list --json -P "$T/store"
	has '"state": "frozen"' "$stdout"
	one=$(cat "$T/store/box/delta/0/upper/etc/n")
	sleep 0.2
	is_equal "$(cat "$T/store/box/delta/0/upper/etc/n")" "$one"
	"$KENNEL" freeze box
	"$KENNEL" thaw box
	is_state box running
	wait_for 10 sh -c "[ \"\$(cat '$T/store/box/delta/0/upper/etc/n')\" != '$one' ]"
	"$KENNEL" freeze box
	"$KENNEL" stop box
	is_state box stopped 10
}

# bats test_tags=bed
@test "live: its monitor killed while it is frozen, nothing is left" {
	create box
	start -q box -- sleep 300
	run timeout 100 "$KENNEL" gc -P "$T/store"
	is_status 0
	run_kennel freeze box
	if [ "$(id -u)" -ne 0 ] && [ "$status" -ne 0 ]; then
		refused yes "no control group"
		skip "needs root: a control group"
	fi
	is_status 0
	kill -9 "$("$KENNEL" list --json -P "$T/store" | grep -o '"pid": [0-9]*' | grep -o '[0-9]*')"
	is_state box stopped 10
	start -q box
	is_status 0
}

@test "live: a killed monitor ends it, and the next command cleans up" {
	create box
	for what in pid init; do
		start box -- sh -c 'sleep 31.4159 & sleep 300'
		id=$stdout
		kill -9 "$("$KENNEL" list --json -P "$T/store" | grep -o "\"$what\": [0-9]*" | grep -o '[0-9]*')"
		is_state box stopped 10
		wait_for 10 sh -c "! pgrep -f '^sleep 31.4159'"
		! "$KENNEL" list -q | grep -q "$id"
	done
	start -q box
	is_status 0
}

@test "live: who is killed while it waits for the start leaves none or a whole one" {
	create box
	for delay in 0 0.002 0.005 0.01 0.02 0.04; do
		"$KENNEL" start -q -P "$T/store" box 3>&- &
		sleep "$delay"
		kill -9 $! 2>/dev/null || :
		wait $! || :
		is_state box stopped,running 15
		"$KENNEL" stop box 2>/dev/null || :
		is_state box stopped 15
	done
}

@test "live: restart; wait for several states; monitor tells each change" {
	create box
	"$KENNEL" monitor --json >"$T/changes" 3>&- &
	at_end kill $!
	start box
	first=$stdout
	wait_for 10 grep -q "\"$first\", \"name\": \"box\", \"state\": \"running\"" "$T/changes"
	run_kennel restart -P "$T/store" box
	is_status 0
	second=$stdout
	[ "$first" != "$second" ]
	wait_for 10 grep -q "\"$first\", \"name\": \"box\", \"state\": \"stopped\"" "$T/changes"
	run_kennel wait -P "$T/store" --state stopped,frozen --timeout 100ms box
	is_status 1
	for n in $(seq 20); do
		"$KENNEL" wait -P "$T/store" box 3>&- &
		eval "w$n=$!"
	done
	"$KENNEL" stop "$second"
	for n in $(seq 20); do eval "wait \$w$n"; done
	wait_for 10 grep -q "\"$second\", \"name\": \"box\", \"state\": \"stopped\"" "$T/changes"
	run_kennel wait --state nonsense box
	refused yes 'not a state'
	run_kennel wait -P "$T/store" nobox
	refused yes '"nobox"'
}

@test "live: in the foreground it ends with its caller" {
	create box
	"$KENNEL" start -F -P "$T/store" box -- sh -c 'trap "echo asked; exit 7" TERM; echo up; while :; do sleep 0.1; done' >"$T/out" 3>&- </dev/null &
	pid=$!
	wait_for 20 grep -q up "$T/out"
	kill -TERM "$pid"
	status=0
	wait "$pid" || status=$?
	is_equal "$status" 7
	grep -q asked "$T/out"
	"$KENNEL" start -F -P "$T/store" box -- sleep 300 >"$T/out" 3>&- </dev/null &
	pid=$!
	is_state box running 20
	kill -9 "$pid"
	is_state box stopped 20
}

@test "live: short-lived ones reach stopped every time, and free their container" {
	create box
	for n in $(seq 12); do
		start -q box -- sh -c "exit $n"
		is_status 0
		is_state box stopped 15
		run_kennel info --json -P "$T/store" box
		has "\"status\": $n" "$stdout"
	done
}

@test "live: a hundred clients that only hang around, and one that talks rubbish, keep nobody out" {
	need_commands python3
	create box
	start box -- sh -c 'read a; echo "got $a"; exit 8'
	dir=/run/kennel
	[ "$(id -u)" -eq 0 ] || dir=$XDG_RUNTIME_DIR/kennel
	python3 - "$dir/$stdout.sock" <<-'END' 3>&- &
		import socket, sys, time
		def connect():
		    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.connect(sys.argv[1]); return s
		idle = [connect() for i in range(100)]
		attached = [connect() for i in range(20)]
		for s in attached: s.send(b'\1\0\1\0\10\0\0\0\0\0\0\0\0\0\0\0')
		bad = connect(); bad.send(b'\1\0\2\0\377\377\377\377rubbish')
		assert b'type 2' in bad.recv(999), 'not refused'
		bad = connect(); bad.send(b'\1\0\2\0\1\0\0\0x')
		assert b'attach first' in bad.recv(999), 'not refused'
		bad = connect(); bad.send(b'\11\0\1\0\0\0\0\0')
		assert b'version 9' in bad.recv(999), 'not refused'
		bad = connect(); bad.send(b'x' * 20000)
		assert b'bytes' in bad.recv(999), 'not refused'
		open(sys.argv[1] + '.done', 'w').close()
		time.sleep(300)
	END
	at_end kill $!
	at_end rm -f "$dir/$stdout.sock.done"
	wait_for 20 test -e "$dir/$stdout.sock.done"
	status=0
	type_in x
	timeout 100 "$KENNEL" console box <"$T/in" >"$T/out" || status=$?
	is_equal "$status" 8
	grep -q 'got x' "$T/out"
}

# bats test_tags=bed
@test "live: limits change while it runs; who was killed for memory is told" {
	[ "$(id -u)" -eq 0 ] || skip "needs root: control groups"
	create box
	start -q box
	run_kennel set -P "$T/store" --pids 7 --memory 64M --cpus 0.5 box
	is_status 0
	is_equal "$output" ""
	run_kennel exec box -- sh -c 'n=0; for i in 1 2 3 4 5 6 7 8 9; do sleep 60 & n=$((n + 1)); done; echo $n'
	has "fork" "$stderr"
	pkill -P "$("$KENNEL" list --json | jq '.[0].init')" || :
	run_kennel info --json -P "$T/store" box
	has '"memory": 67108864' "$stdout"
	"$KENNEL" set -P "$T/store" --pids 100 --unset memory=64M box
	run_kennel info --json -P "$T/store" box
	lacks '"memory": 67108864' "$stdout"
	has '"pids": 100' "$stdout"
	run_kennel exec box -- sh -c 'for i in 1 2 3 4 5 6 7 8 9; do sleep 0.1 & done; wait; echo all'
	is_equal "$stdout" all
	"$KENNEL" stop box
	# busybox' own memory, in one word
	"$KENNEL" set -P "$T/store" --memory 16M --unset pids box
	start -q box -- sh -c 'x=x; while :; do x=$x$x; done'
	is_state box stopped 30
	run_kennel info --json -P "$T/store" box
	is_equal "$(jq -c '[."oom-kills" > 0, ."limits-hit"]' <<<"$stdout")" '[true,["memory"]]'
	run_kennel run --memory 16M --base "$T/base" --net none -- sh -c 'x=x; while :; do x=$x$x; done'
	has "for --memory was not enough" "$stderr"
	run_kennel run --pids 3 --base "$T/base" --net none -- sh -c '(sleep 60 & sleep 60 & sleep 60 & sleep 60)'
	has "--pids was reached" "$stderr"
}

# bats test_tags=bed
@test "live: top shows what is used, by all that runs inside" {
	need_commands jq
	create box
	start -q box -- sh -c 'while :; do :; done'
	run_kennel top --json box
	is_status 0
	is_equal "$(jq '.[0] | .name == "box" and .processes == 2 and ."cpu-percent" > 5 and ."memory-bytes" > 100000' <<<"$stdout")" true
	run_kennel top -n 2 -d 100ms
	is_status 0
	is_equal "$(grep -c '^ID .*CPU%' <<<"$stdout")" 2
	grep -q ' box .*running' <<<"$stdout"
	run_kennel top nobody
	refused yes nobody
	run_kennel top -n 0
	refused yes "not a number of times"
}

@test "live: what stands in the word of its last end is believed only as numbers" {
	need_commands jq
	create box
	start -q box -- sh -c 'exit 4'
	is_state box stopped 10
	printf 'status\t1, "x": 2\nended\t12\nname\tevil\nconfig\tnet\tevil\n' >"$T/store/box/last"
	run_kennel info --json -P "$T/store" box
	is_equal "$(jq -c '[.status, .ended, .x]' <<<"$stdout")" '[null,12,null]'
	lacks evil "$stdout"
}
