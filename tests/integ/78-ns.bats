#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# "kennel ns": a command in new namespaces, with maps of ids from inside and from outside.

load lib
load screen

setup() {
	kennel_setup
	SOCKET=$T/tmux
	unshare --user true 2>/dev/null || skip "no user namespaces for this user"
	UID_=$(id -u) GID_=$(id -g)
	NAME=$(id -un)
	export PATH=/usr/sbin:/usr/bin:/sbin:/bin
}

# need_range: SUBUID and SUBGID, the first of this user's subordinate ids
need_range() {
	if [ "$EUID" -eq 0 ]; then # who may have any
		SUBUID=700000 SUBGID=800000
		return
	fi
	command -v newuidmap >/dev/null || skip "newuidmap is not installed"
	SUBUID=$(awk -F: -v n="$NAME" '$1 == n { print $2; exit }' /etc/subuid)
	SUBGID=$(awk -F: -v n="$NAME" '$1 == n { print $2; exit }' /etc/subgid)
	[ -n "$SUBUID$SUBGID" ] || skip "this user has no subordinate ids"
}

# owners EXPECTED "OPTION..." FILE[:OWNER]...: the files are made and given away inside; EXPECTED is FILE:UID:GID:INSIDE:INSIDE of each
owners() {
	local expected=$1 options=$2 file inside found='' work=$T/work
	shift 2
	rm -rf "$work"
	mkdir "$work"
	chmod 0777 "$work"
	cd "$work" # where nobody else could go by name
	# shellcheck disable=SC2016,SC2086 # the words are for the shell inside; options are words
	inside=$("$KENNEL" ns $options -- sh -euc '
		for f; do
			: >"${f%%:*}"
			[ "${f%%:*}" = "$f" ] || chown "${f#*:}" "${f%%:*}"
			stat -c "%u:%g" "${f%%:*}"
		done' sh "$@")
	cd "$T"
	for file; do
		file=${file%%:*}
		found+="${found:+ }$file:$(stat -c %u:%g "$work/$file"):${inside%%$'\n'*}"
		inside=${inside#*$'\n'}
	done
	is_equal "$found" "$expected"
}

@test "ns: who the files belong to, with each kind of map" {
	need_range
	owners "f0:$UID_:$GID_:0:0" "--map-user 0:$UID_:1 --map-group 0:$GID_:1" f0
	owners "f0:$UID_:$GID_:0:0" "--map root" f0
	owners "f0:$UID_:$GID_:$UID_:$GID_" "--map self" f0
	owners "f0:$SUBUID:$SUBGID:0:0" "--map-user 0:$SUBUID:1 --map-group 0:$SUBGID" f0:0:0
	owners "f0:$UID_:$GID_:0:0 f1:$SUBUID:$SUBGID:1:1 f2:$UID_:$SUBGID:0:1" \
		"--map-user 0:$UID_:1 --map-group 0:$GID_:1 --map-user 1:$SUBUID:1 --map-group 1:$SUBGID:1" f0 f1:1:1 f2::1
	owners "f0:$UID_:$SUBGID:0:0 f1:$SUBUID:$GID_:15:31" \
		"--map-user 0:$UID_:1 --map-group 0:$SUBGID:1 --map-user 15:$SUBUID:1 --map-group 31:$GID_:1" f0 f1:15:31
	owners "f0:$((SUBUID + 3)):$((SUBGID + 4)):3:4" \
		"--map-user 0:$SUBUID:9 --map-group 0:$SUBGID:9 --user 3:4" f0
}

@test "ns: without an option it is the range of this user's sandboxes" {
	need_range
	cd "$T"
	mkdir w
	chmod 0777 w
	cd w
	run_kennel ns -- sh -c 'id -u; mkdir d; chown 5:5 d; stat -c %u:%g d'
	is_equal "$stdout" $'0\n5:5'
	if [ "$EUID" -ne 0 ]; then
		is_equal "$(stat -c %u:%g d)" "$((SUBUID + 5)):$((SUBGID + 5))"
		is_equal "$("$KENNEL" ns -- stat -c %u .)" "$UID_"
	fi
	"$KENNEL" ns -- rmdir d
}

@test "ns: a map of the own group does not let groups be dropped" {
	run_kennel ns --map root -- cat /proc/self/setgroups
	is_equal "$stdout" deny
	run_kennel ns --map self -- cat /proc/self/setgroups
	is_equal "$stdout" deny
	[ "$EUID" -ne 0 ] || return 0
	need_range
	run_kennel ns --map-user 0:0:1 --map-group "0:$GID_:1"
	is_status 125
	has "newuidmap refused the map" # its own word stands before
	run_kennel ns -- cat /etc/shadow
	is_status 1
}

@test "ns: each kind is new, and no other" {
	local kind link names=(mount:mnt pid:pid net:net ipc:ipc uts:uts cgroup:cgroup time:time)
	ours=$(cd /proc/self/ns && readlink mnt pid net ipc uts cgroup time user)
	for kind in "${names[@]}"; do
		link=${kind#*:}
		run_kennel ns -n user -n "${kind%:*}" --map root -- sh -c 'cd /proc/self/ns && readlink mnt pid net ipc uts cgroup time user'
		is_equal "$(diff <(echo "$ours") <(echo "$stdout") | grep -c '^>')" 2
		[ "$(grep "^$link:" <<<"$stdout")" != "$(grep "^$link:" <<<"$ours")" ]
	done
	run_kennel ns --new all --map root --proc --hostname pup -- sh -c 'hostname; ls -d /proc/[0-9]* | wc -l; ip -br link'
	has pup "$stdout"
	[ "$(sed -n 2p <<<"$stdout")" -le 4 ]
	is_equal "$(hostname)" "$(uname -n)"
	[ "$EUID" -eq 0 ] || return 0
	run_kennel ns --new net,ipc -- readlink /proc/self/ns/user
	is_equal "$stdout" "$(readlink /proc/self/ns/user)"
}

@test "ns: clocks of a time namespace" {
	run_kennel ns --new user,time --map root --boottime 8640000 -- cat /proc/uptime
	[ "${stdout%%.*}" -ge 8640000 ]
	run_kennel ns --new user,time --map root --monotonic 100 --boottime=-1 -- cat /proc/self/timens_offsets
	has "monotonic           100" "$stdout" || has "100" "$stdout"
	run_kennel ns --new user,time --map root --boottime=-99999999
	refused yes "set the clocks"
}

@test "ns: mounts stay inside, and go with it" {
	run_kennel ns --new user,mount --map root -- sh -c "mkdir $T/m && mount -t tmpfs none $T/m && touch $T/m/x && ls $T/m"
	is_equal "$stdout" x
	[ ! -e "$T/m/x" ]
	# one in the other, each with a map of its own
	run_kennel ns --map root -- "$KENNEL" ns --new user,net --map root -- id -u
	is_equal "$stdout" 0
}

@test "ns: exit codes, and what can't be run" {
	local new
	for new in user user,pid,time; do
		run_kennel ns -n $new --map root -- sh -c 'exit 7'
		is_status 7
		# shellcheck disable=SC2016 # of the inside
		run_kennel ns -n $new --map root -- sh -c 'kill -9 $$'
		is_status 137
		run_kennel ns -n $new --map root -- no-such-command
		is_status 127
		has 'run "no-such-command": No such file' "$stderr"
		run_kennel ns -n $new --map root -- /etc/passwd
		is_status 126
	done
	run_kennel ns --workdir /no/where -- true
	refused no 'change to "/no/where"'
}

@test "ns: what does not go together is refused by name" {
	run_kennel ns --new mont
	refused yes 'no namespace "mont"'
	has 'did you mean "mount"' "$stderr"
	run_kennel ns --new ""
	refused yes 'no namespace ""'
	run_kennel ns --hostname x
	refused yes "a host name needs"
	run_kennel ns --new user,mount --proc
	refused yes "a new /proc needs"
	run_kennel ns --monotonic 5
	refused yes "a clock that is ahead needs"
	run_kennel ns --new user,time --monotonic 5x
	refused yes "no number of seconds"
	run_kennel ns --new mount --map root
	refused yes "a map of ids needs"
	run_kennel ns --map-user 0:5:1
	refused yes "no map of groups"
	run_kennel ns --map both
	refused yes '"both" is not known'
	run_kennel ns --map self --wait
	refused yes "more than one kind of map"
	run_kennel ns --map-user 0:5:1 --map-user 0:9:1 --map-group 0:5
	refused no "mapped already by 0:5:1"
	run_kennel ns --map-user 0:5:10 --map-user 20:9:1 --map-group 0:5
	refused no "taken already by 0:5:10"
	run_kennel ns --map-user 0:5:0 --map-group 0:5
	refused no "no ids"
	run_kennel ns --map-user 0:4294967290:10 --map-group 0:5
	refused no "more than there are"
	run_kennel ns --map-user 0:x --map-group 0:5
	refused yes '"0:x" is no range'
	run_kennel ns --map root --user 5
	refused yes "no map has the user 5"
	run_kennel ns --map root --user 0:5
	refused yes "no map has the group 5"
	run_kennel ns --map root --user root
	refused yes '"root" is not UID'
	[ "$EUID" -ne 0 ] || return 0
	run_kennel ns --new net,ipc
	refused yes "need root"
	has "--new user" "$stderr"
}

@test "ns: capabilities of who is not root" {
	run_kennel ns --map self -- grep CapEff: /proc/self/status
	[ "$EUID" -eq 0 ] || has 0000000000000000 "$stdout"
	run_kennel ns --map self --keep-caps --new user,net -- sh -c 'ip link add type dummy 2>&1 || ip link set lo down'
	is_status 0
	[ "$EUID" -eq 0 ] || return 0
	run_kennel ns --new ipc --user 65534 -- sh -c 'id -u; id -G; grep CapEff: /proc/self/status'
	has "0000000000000000" "$stdout"
	is_equal "$(sed -n 2p <<<"$stdout")" 65534
}

is_there() {
	[ -s "$1" ]
}

@test "ns: maps from outside" {
	need_range
	background "$KENNEL" ns --wait --pid-file "$T/pid" --new user,pid -- sh -c 'cat /proc/self/uid_map; id -u; id -g; exit 9'
	local kennel=$! status_here=0
	wait_for 10 is_there "$T/pid"
	pid=$(<"$T/pid")
	wait_for 10 says "$T/err.1" "process $pid waits for its maps"
	is_equal "$(cat "/proc/$pid/uid_map")" ""
	if [ "$EUID" -eq 0 ]; then
		echo "0 $SUBUID 5" >"/proc/$pid/uid_map"
		echo "0 $SUBGID 5" >"/proc/$pid/gid_map"
	else
		newuidmap "$pid" 0 "$SUBUID" 5
		newgidmap "$pid" 0 "$SUBGID" 5
	fi
	wait "$kennel" || status_here=$?
	is_equal "$status_here" 9
	is_equal "$(tr -s ' \n' '  ' <"$T/out.1")" " 0 $SUBUID 5 0 0 "
	[ ! -e "$T/pid" ]
}

ended() {
	! kill -0 "$1" 2>/dev/null
}

@test "ns: who waits for maps can be ended, and so can kennel" {
	local pid
	background "$KENNEL" ns --wait --pid-file "$T/pid" -q -- true
	wait_for 10 is_there "$T/pid"
	pid=$(<"$T/pid")
	kill -9 "$pid"
	wait_for 10 says "$T/err.1" "was ended before it had maps"
	background "$KENNEL" ns --wait --pid-file "$T/pid2" -q -- true
	local kennel=$!
	wait_for 10 is_there "$T/pid2"
	kill -9 "$kennel"
	wait_for 10 ended "$(<"$T/pid2")"
	run_kennel ns --wait --pid-file /no/where/pid
	refused no 'write "/no/where/pid"'
}

@test "ns: signals reach the command, and it ends with kennel" {
	local new kennel status_here n=0
	for new in user user,pid; do
		n=$((n + 1))
		background "$KENNEL" ns --map root -n $new -- sh -c 'trap "echo term; exit 3" TERM; trap "echo usr1" USR1; echo ready; while :; do read -t 1 x <>'"$T"'/fifo || sleep 0.05; done'
		kennel=$!
		wait_for 10 says "$T/out.$n" ready
		kill -USR1 $kennel
		wait_for 10 says "$T/out.$n" usr1
		kill -TERM $kennel
		status_here=0
		wait $kennel || status_here=$?
		is_equal "$status_here" 3
		says "$T/out.$n" term
	done
	background "$KENNEL" ns --map root --pid-file "$T/pid" --new user,pid -- sleep 300
	kennel=$!
	wait_for 10 is_there "$T/pid"
	pid=$(<"$T/pid")
	kill -9 $kennel
	wait_for 10 ended "$pid"
}

@test "ns: a signal that comes before kennel has begun to wait reaches the command as well" {
	need_commands strace
	# each of its reads takes a while, so the command is ready before
	background strace -o /dev/null -e trace=read -e inject=read:delay_exit=300000 "$KENNEL" ns --map root -n user -- \
		sh -c 'trap "echo usr1; exit 3" USR1; echo ready; n=0; while [ $n -lt 600 ]; do n=$((n + 1)); sleep 0.1; done'
	local strace=$! status_here=0
	wait_for 10 says "$T/out.1" ready
	kill -USR1 "$(pgrep -P "$strace" -x kennel)"
	wait "$strace" || status_here=$?
	is_equal "$status_here" 3
	says "$T/out.1" usr1
}

@test "ns: descriptors and environment go along, kennel's own do not" {
	exec 7>"$T/seven"
	# shellcheck disable=SC2016 # of the inside
	local show='echo hello >&7; echo $WORD; cd /proc/self/fd && echo *'
	exec 8>"$T/said"
	WORD=wuff "$KENNEL" ns --map root -- sh -c "$show" </dev/null >&8
	WORD=wuff sh -c "$show" </dev/null >&8
	exec 7>&- 8>&-
	is_equal "$(cat "$T/seven")" $'hello\nhello'
	is_equal "$(sed -n 1,2p "$T/said")" "$(sed -n 3,4p "$T/said")"
	has wuff "$(<"$T/said")"
}

@test "ns: a terminal stays what it is" {
	need_commands tmux
	screen "$KENNEL" ns --map root --new user,pid -- bash --norc
	keys 'PS1="in> "' Enter
	expect '^in>'
	# said by what is in the foreground by then, not by the shell that is about to start it
	keys "sh -c 'echo g\"\"o; exec sleep 300'" Enter
	expect '^go'
	keys C-z
	expect 'Stopped'
	keys "kill %1; tty | tr a-z A-Z" Enter
	expect '/DEV/PTS'
	keys "sh -c 'echo ag\"\"ain; exec sleep 300'" Enter
	expect '^again'
	keys C-c
	expect '^in>$'
	keys "exit 4" Enter
	expect 'code 4'
	# and the one that was there before has it again
	keys "is th''ere" Enter
	expect "^is th''ere"
}
