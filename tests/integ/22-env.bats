#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# What a command finds around it: environment, directory, user, host name, pid 1, its three descriptors, its exit code.

load lib

setup() {
	need_sandbox
	kennel_setup
}

inside() {
	run_kennel run --net none "$@"
}

@test "env: is new, and says no more than it should" {
	export KENNEL_TEST_SECRET=secret EDITOR=secret LD_PRELOAD_X=secret
	LANG=C.UTF-8 inside -- env
	is_status 0
	lacks secret
	is_equal "$(grep -v '^KENNEL_ID=' <<<"$stdout" | sort)" "HOME=/root
LANG=C.UTF-8
LOGNAME=root
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
USER=root
container=kennel
debian_chroot=kennel"
	grep -qE '^KENNEL_ID=[0-9a-f]{8}$' <<<"$stdout"
}

@test "env: TERM only with a terminal, LANG as the caller has it" {
	LANG=de_DE.UTF-8 TERM=xterm-kitty inside -- env
	has "LANG=de_DE.UTF-8" "$stdout"
	lacks TERM= "$stdout"
	LANG=de_DE.UTF-8 TERM=xterm-kitty inside --tty -- env
	has "TERM=xterm-kitty" "$stdout"
	run env -u LANG -u TERM "$KENNEL" run --net none -- env </dev/null
	lacks LANG=
}

@test "env: --env sets, hands on, replaces, and keeps odd values" {
	export GIVEN="from outside" EMPTY=
	unset ABSENT
	inside -e A=1 -e A=2 -e GIVEN -e EMPTY -e ABSENT -e PATH=/bin -e $'ODD=a=b "c"\n$d' -e HOME=/tmp -- sh -c 'echo "$A|$GIVEN|${EMPTY-unset}|${ABSENT-unset}|$PATH|$ODD|$HOME"; env | grep -c "^A="'
	is_status 0
	is_equal "$stdout" $'2|from outside||unset|/bin|a=b "c"\n$d|/tmp\n1'
}

@test "env: a large one, and many words" {
	local big
	big=$(head -c 100000 /dev/zero | tr '\0' x)
	inside -e "BIG=$big" -- sh -c 'echo "${#BIG} $#"' sh $(seq 20000)
	is_status 0
	is_equal "$stdout" "100000 20000"
}

@test "workdir: where the caller is, else home, else what is asked for" {
	mkdir "$T/here"
	cd "$T/here"
	inside -- pwd
	is_equal "$stdout" "$T/here"
	inside --workdir /etc -- pwd
	is_equal "$stdout" /etc
	inside --without "$T/here" -- pwd
	is_equal "$stdout" /root
	inside --user "$KENNEL_TEST_USER" --without "$T/here" -- pwd
	is_equal "$stdout" "/home/$KENNEL_TEST_USER"
	cd /tmp
	inside -- pwd
	is_equal "$stdout" /tmp
	cd /proc/self
	inside -- sh -c 'pwd; ls / >/dev/null && echo fine'
	is_status 0
	mkdir "$T/gone"
	cd "$T/gone"
	rmdir "$T/gone"
	inside -- pwd
	is_status 0
	is_equal "$stdout" /root
}

@test "user: by name, by number, with and without group, with all their groups" {
	local uid gid
	uid=$(id -u "$KENNEL_TEST_USER")
	gid=$(id -g "$KENNEL_TEST_USER")
	inside --user "$KENNEL_TEST_USER" -- sh -c 'id -u; id -g; echo $HOME $USER $LOGNAME'
	is_equal "$stdout" "$uid"$'\n'"$gid"$'\n'"/home/$KENNEL_TEST_USER $KENNEL_TEST_USER $KENNEL_TEST_USER"
	inside --user "$uid" -- sh -c 'id -un; id -g'
	is_equal "$stdout" "$KENNEL_TEST_USER"$'\n'"$gid"
	inside --user "$KENNEL_TEST_USER:daemon" -- sh -c 'id -u; id -gn; id -Gn'
	is_equal "$stdout" "$uid"$'\ndaemon\ndaemon'
	inside --user 4321:1234 -- sh -c 'id -u; id -G'
	is_equal "$stdout" $'4321\n1234'
	inside --user 4321 -- id -u
	is_equal "$stdout" 4321
}

@test "user: groups that a file inside gives" {
	mkdir -p "$T/layer"
	inside -- sh -c 'useradd -m probe -s /bin/sh && usermod -aG 33,adm probe && su probe -c "id -Gn; cd; pwd; touch x"'
	is_status 0
	is_equal "$stdout" $'probe adm www-data\n/home/probe'
}

@test "user: has no capabilities, and root has" {
	inside --user "$KENNEL_TEST_USER" -- grep -E 'CapEff|CapPrm|CapAmb' /proc/self/status
	is_equal "$stdout" $'CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nCapAmb:\t0000000000000000'
}

@test "host name: kennel-ID, resolves, and --hostname" {
	inside -- sh -c '[ "$(hostname)" = "kennel-$KENNEL_ID" ] && cat /etc/hostname && getent hosts "$(hostname)" && cat /proc/sys/kernel/hostname'
	is_status 0
	[[ $stdout =~ ^(kennel-[0-9a-f]{8})$'\n'127\.0\.1\.1\ +(kennel-[0-9a-f]{8})$'\n'(kennel-[0-9a-f]{8})$ ]]
	is_equal "${BASH_REMATCH[1]} ${BASH_REMATCH[1]}" "${BASH_REMATCH[2]} ${BASH_REMATCH[3]}"
	inside --hostname box.example -- sh -c 'hostname; getent hosts box.example | tr -s " "; getent hosts localhost | tail -n 1 | grep -c localhost'
	is_equal "$stdout" $'box.example\n127.0.1.1 box.example\n1'
	is_equal "$(cat /etc/hostname 2>/dev/null)" "$(cat /etc/hostname 2>/dev/null)"
	[ "$(hostname)" != box.example ]
}

@test "host name: the lines of the machine's /etc/hosts are kept" {
	inside -- cat /etc/hosts
	is_equal "$(head -n -1 <<<"$stdout")" "$(cat /etc/hosts)"
}

@test "pid 1: reaps orphans, two hundred of them" {
	inside -- sh -c 'for n in $(seq 200); do (true & ) ; done
		n=0; while ps -eo stat= | grep -q Z && [ $n -lt 600 ]; do n=$((n + 1)); sleep 0.1; done; ps -eo stat= | grep -c Z; ps -o comm= -p 1'
	is_equal "$stdout" $'0\nkennel-init'
}

@test "pid 1: can't be killed, stopped or traced from inside" {
	inside -- sh -c 'kill -KILL 1; kill -TERM 1; kill -STOP 1; kill -SEGV 1; sleep 60'
	# which of TERM and SEGV init hands on first is the kernel's choice
	[[ $status =~ ^(143|139)$ ]]
	inside -- sh -c 'trap "echo got it; got=it" TERM; kill -KILL 1; kill -STOP 1; kill -TERM 1; n=0; until [ -n "$got" ] || [ $n -ge 600 ]; do n=$((n + 1)); sleep 0.1; done
		echo still here'
	is_equal "$stdout" $'got it\nstill here'
}

@test "exit codes: the command's own, and 128 plus the signal" {
	local code sig
	for code in 0 1 2 63 124 125 126 127 128 200 255; do
		inside -- sh -c "exit $code"
		is_status "$code"
		is_equal "$output" ""
	done
	for sig in 1 2 3 6 9 11 14 15 34; do
		inside -- sh -c "kill -$sig \$\$"
		is_status $((128 + sig))
	done
}

@test "exit codes: those of fs and ns too" {
	need_root "isolation fs and ns"
	local level
	for level in fs ns; do
		run_kennel run --isolate $level -- sh -c 'exit 77'
		is_status 77
		run_kennel run --isolate $level -- sh -c 'kill -9 $$'
		is_status 137
	done
}

@test "pipes: a gigabyte in and out, byte for byte, and quickly" {
	local began=$SECONDS
	is_equal "$(head -c 1G /dev/zero | "$KENNEL" run --net none -- cat | wc -c)" $((1 << 30))
	[ $((SECONDS - began)) -lt 120 ]
	head -c 3M /dev/urandom >"$T/random"
	is_equal "$("$KENNEL" run --net none -- cat <"$T/random" | sha256sum)" "$(sha256sum <"$T/random")"
}

@test "pipes: stdout and stderr stay apart, and descriptors are what they are outside" {
	inside -- sh -c 'echo out; echo err >&2; readlink /proc/self/fd/0; ls /proc/self/fd'
	is_equal "$stdout" $'out\n/dev/null\n0\n1\n2\n3'
	is_equal "$stderr" err
	"$KENNEL" run --net none -- sh -c 'echo one; echo two >&2' >"$T/both" 2>&1 </dev/null
	is_equal "$(cat "$T/both")" $'one\ntwo'
	echo before >"$T/append"
	"$KENNEL" run --net none -- echo after >>"$T/append"
	is_equal "$(cat "$T/append")" $'before\nafter'
}

@test "pipes: no other descriptor of the caller goes in" {
	exec 7<"$T" 8>"$T/eight"
	inside -- sh -c 'ls /proc/self/fd | tr "\n" " "; ls /proc/1/fd | wc -l'
	exec 7<&- 8>&-
	is_equal "$stdout" "0 1 2 3 0"
}

@test "pipes: the end of a reader ends the writer, and the end of input is seen" {
	run bash -c '"$0" run --net none -- sh -c "yes; echo \$? >&2" </dev/null 2>"$1" | head -n 1; exit "${PIPESTATUS[0]}"' "$KENNEL" "$T/err"
	is_equal "$output" y
	[ -s "$T/err" ]
	is_equal "$(printf 'a\nb' | "$KENNEL" run --net none -- sh -c 'cat; echo end')" $'a\nbend'
}

@test "pipes: one that a background process inside holds ends with the command" {
	run timeout 100 bash -c '"$0" run --net none -- sh -c "sleep 1000 & echo done" </dev/null | cat' "$KENNEL"
	is_equal "$output" "done"
}

@test "background: processes inside end with the command, also those that don't want to" {
	need_root "isolation fs and ns"
	local level
	for level in user ns fs; do
		run_kennel run --isolate "$level" -- sh -c 'sleep 31.4159 & setsid -f sh -c "trap : TERM HUP INT; sleep 31.4159; sleep 31.4159"; nohup sleep 31.4159 >/dev/null 2>&1 &
			n=0; until [ "$(pgrep -fc "^sleep 31.4159")" = 3 ] || [ $n -ge 200 ]; do n=$((n + 1)); sleep 0.1; done; pgrep -fc "^sleep 31.4159"'
		is_status 0
		is_equal "$stdout" 3
		wait_for 2 no_process "sleep 31.4159"
	done
}

no_process() {
	! pgrep -f "^$1" >/dev/null
}

@test "background: signals of the caller's that are blocked or ignored are not inside" {
	run bash -c 'trap "" TERM HUP PIPE CHLD; exec "$0" run --net none -- grep -E "SigBlk|SigIgn" /proc/self/status' "$KENNEL" </dev/null
	is_equal "$output" $'SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000'
}

@test "shell: without a command it is the user's login shell" {
	run bash -c 'echo "echo \$0 \$PWD; exit 5" | "$0" run --net none -w /etc' "$KENNEL"
	is_equal "$status" 5
	is_equal "$output" "-bash /etc"
	run bash -c 'echo "echo \$0 \$HOME" | "$0" run --net none --user "$1"' "$KENNEL" "$KENNEL_TEST_USER"
	is_equal "$output" "-sh /home/$KENNEL_TEST_USER"
}

@test "limits: --pids" {
	[ -d /sys/fs/cgroup ] || skip "no control groups here"
	inside --pids 10 -- bash -c 'for n in $(seq 30); do sleep 5 & done 2>/dev/null; jobs -rp | wc -l'
	[ "$stdout" -lt 10 ] || [ "$status" -ne 0 ]
}

@test "limits: --memory" {
	need_root "control groups"
	[ -d /sys/fs/cgroup ] || skip "no control groups here"
	inside --memory 64M -- python3 -c 'x = b"x" * (200 << 20); print("had it")'
	[ "$status" -ne 0 ]
	lacks "had it"
	inside --memory 64M -- echo fine
	is_equal "$stdout" fine
}

@test "limits: what is written counts into --memory" {
	inside --memory 64M --size 1G -- sh -c 'head -c 300M /dev/zero >/root/big; echo "wrote $?"'
	[ "$status" -ne 0 ] || lacks "wrote 0"
}

@test "verbose and quiet" {
	inside -v -- true
	is_status 0
	inside -q -- sh -c 'echo out'
	is_equal "$output" out
}
