#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
# "kennel enter" and "kennel exec": one more command in a sandbox that runs, behind the same walls.

load lib
load screen

LEVELS="fs ns user"
[ "$EUID" -eq 0 ] || LEVELS=user

setup() {
	need_sandbox
	need_commands tmux
	kennel_setup
	SOCKET=$T/tmux
}

# start [OPTION]...: a sandbox that sleeps; sets ID and PID.
start() {
	background "$KENNEL" run "$@" -- sh -c 'echo "$KENNEL_ID"; exec sleep 300'
	PID=$!
	wait_for 20 test -s "$T/out.$LIB_STARTED"
	ID=$(<"$T/out.$LIB_STARTED")
}

# walls: what the kernel says of a process.
WALLS='grep -E "^(Cap|NoNewPrivs|Seccomp:)" /proc/$1/status; for n in user mnt pid net ipc uts cgroup; do readlink /proc/$1/ns/$n; done'

@test "exec: the command is in the sandbox, at each level, with its namespaces, capabilities and filter" {
	for level in $LEVELS; do
		start --isolate "$level" --net "$([ "$level" = fs ] && echo host || echo none)"
		run_kennel exec "$ID" sh -c 'echo new >/etc/made-by-exec; cat /etc/made-by-exec; id -u; pwd'
		is_status 0
		is_equal "$stdout" $'new\n0\n/root'
		[ ! -e /etc/made-by-exec ]
		# the sandbox's first command is a child of init
		run_kennel exec "$ID" sh -c 'w() { '"$WALLS"'; }; w self; echo; until p=$(pgrep -n -f "^sleep 300"); do sleep 0.1; done; w "$p"'
		is_status 0
		is_equal "${stdout%%$'\n\n'*}" "${stdout##*$'\n\n'}"
		has Seccomp "$stdout"
		run_kennel exec "$ID" cat /etc/made-by-exec
		is_equal "$stdout" new
		kill "$PID"
		wait "$PID" || :
	done
}

@test "exec: exit codes are the command's, and those of what can't be run" {
	start --net none
	for code in 0 1 42 255; do
		run_kennel exec "$ID" sh -c "exit $code"
		is_status "$code"
		is_equal "$output" ""
	done
	run_kennel exec "$ID" sh -c 'kill -TERM $$'
	is_status 143
	run_kennel exec "$ID" no-such-command
	is_status 127
	has 'run "no-such-command": No such file' "$stderr"
	run_kennel exec "$ID" -u root id
	is_status 127
	has 'hint: options stand in front of' "$stderr"
	run_kennel exec "$ID" -- /etc/passwd
	is_status 126
	has 'run "/etc/passwd": Permission denied' "$stderr"
}

@test "exec: user, directory and environment are looked up inside" {
	start --net none --env COLOUR=blue --env 'ODD=a b'\''c'
	"$KENNEL" exec "$ID" sh -c 'echo "erin:x:4711:4712:E:/srv:/bin/sh" >>/etc/passwd; mkdir /srv/d; chown 4711 /srv/d'
	run_kennel exec "$ID" sh -c 'echo "$COLOUR $ODD $KENNEL_ID $HOME $container"; echo "${TERM-none}"'
	is_equal "$stdout" "blue a b'c $ID /root kennel"$'\nnone'
	OWN=mine run_kennel exec --env COLOUR=red -e MORE=1 --env OWN -w /srv/d "$ID" -- sh -c 'echo "$COLOUR $MORE $OWN"; pwd'
	is_equal "$stdout" $'red 1 mine\n/srv/d'
	run_kennel exec -w /nowhere "$ID" pwd
	refused yes 'change to "/nowhere"'
	run_kennel exec -u nosuch "$ID" id
	refused yes 'no user "nosuch" in the copy'
	[ "$EUID" -eq 0 ] || grep -q "^$(id -un):" /etc/subuid || skip "needs root: more than one id"
	run_kennel exec -u erin "$ID" sh -c 'id -u; id -g; pwd; touch /srv/d/f && stat -c %u /srv/d/f'
	is_equal "$stdout" $'4711\n4712\n/srv\n4711'
}

@test "exec: input and output go through as they are, also a megabyte" {
	start --net none
	head -c 1M /dev/urandom >"$T/in"
	"$KENNEL" exec "$ID" cat <"$T/in" >"$T/out"
	cmp "$T/in" "$T/out"
	run_kennel exec "$ID" sh -c 'echo out; echo err >&2; ls -1 /proc/self/fd | wc -l'
	is_equal "$stderr" err
	# 0, 1, 2, and the directory that ls itself has open
	is_equal "$stdout" $'out\n4'
}

@test "exec: a megabyte through a terminal of its own" {
	start --net none
	seq 150000 >"$T/numbers"
	"$KENNEL" exec --tty "$ID" sh -c 'stty raw -echo; seq 150000' >"$T/out" </dev/null
	cmp "$T/numbers" "$T/out"
	"$KENNEL" exec --tty "$ID" tty </dev/null | grep -q '^/dev/pts/'
}

@test "exec: signals reach the command" {
	start --net none
	background "$KENNEL" exec "$ID" sh -c 'trap "echo heard; exit 7" TERM; echo up; while :; do sleep 0.1; done'
	local exec_pid=$! out=$T/out.$LIB_STARTED status=0
	wait_for 10 says "$out" up
	kill -TERM "$exec_pid"
	wait "$exec_pid" || status=$?
	is_equal "$status" 7
	grep -q heard "$out"
}

@test "exec: what runs ends with the sandbox, at each level" {
	for level in $LEVELS; do
		local status=0
		start --isolate "$level"
		background "$KENNEL" exec "$ID" sh -c 'echo up; exec sleep 301'
		local exec_pid=$!
		wait_for 10 says "$T/out.$LIB_STARTED" up
		kill -TERM "$PID"
		wait "$PID" || :
		wait "$exec_pid" || status=$?
		is_equal "$status" 137
	done
}

@test "exec: at fs, too, no command outlives a client that was killed and the sandbox" {
	need_root "isolation fs"
	start --isolate fs
	background "$KENNEL" exec "$ID" sh -c 'echo up; exec sleep 301.58'
	local exec_pid=$!
	wait_for 10 says "$T/out.$LIB_STARTED" up
	wait_for 5 sh -c 'pgrep -f "^sleep 301.58" >/dev/null'
	kill -KILL "$exec_pid"
	wait "$exec_pid" || :
	wait_for 5 sh -c '! pgrep -f "^sleep 301.58"'
	run_kennel exec "$ID" echo fine
	is_equal "$stdout" fine
}

@test "exec: a container by its name; one that does not run is told so" {
	local store=$T/store
	background "$KENNEL" run -P "$store" -k box --net none -- sh -c 'echo up; exec sleep 300'
	wait_for 20 says "$T/out.$LIB_STARTED" up
	PID=$!
	run_kennel exec box hostname
	is_equal "$stdout" box
	kill "$PID"
	wait "$PID" || :
	run_kennel exec box true
	refused yes 'no sandbox "box" is running'
	"$KENNEL" rm -P "$store" box
	run_kennel exec "" true
	refused yes "is the beginning of every id"
	run_kennel exec box
	refused yes "needs one word more"
	run_kennel exec box --
	refused yes "there is no command"
	run_kennel enter
	refused yes "needs more words"
}

@test "exec: limits of the sandbox hold for it" {
	need_root "control groups"
	start --net none --pids 20 --memory 64M
	run_kennel exec "$ID" sh -c 'for i in $(seq 40); do sleep 1 & done'
	[ "$status" -ne 0 ]
	wait_for 10 "$KENNEL" exec "$ID" true
	run_kennel exec "$ID" python3 -c 'x = bytearray(200 << 20)'
	[ "$status" -ne 0 ]
	run_kennel exec "$ID" echo fine
	is_equal "$stdout" fine
}

@test "enter: a login shell in the user's home, on a terminal of its own" {
	start --net none
	screen "$KENNEL" enter "$ID"
	expect '#'
	keys 'echo "shell $0 in $(pwd) on $(tty)"' Enter
	expect 'shell -.*sh in /root on /dev/pts/'
	keys 'exit 3' Enter
	expect '^code 3'
	expect '^ icanon'
}
