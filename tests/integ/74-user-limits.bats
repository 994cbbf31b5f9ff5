#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root
#
# Limits of an ordinary user, in control groups that were handed to that user: by hand here, by systemd elsewhere.

load lib

setup() {
	need_root "hands control groups to the ordinary user"
	need_commands runuser
	kennel_setup
	install -d -m 0700 -o "$KENNEL_TEST_USER" "$T/runtime-of-user"
	install -d -o "$KENNEL_TEST_USER" -g "$KENNEL_TEST_USER" "$T/of-user"
	GROUPS_MADE=()
	delegate pids
	delegate memory
	delegate cpu
}

# delegate CONTROLLER: a group of the user's in the hierarchy that has it.
delegate() {
	local top=/sys/fs/cgroup name=delegated-$$ dir
	if [ -e "$top/cgroup.controllers" ]; then
		grep -qw "$1" "$top/cgroup.controllers" || skip "kernel without the $1 controller"
		echo "+$1" >"$top/cgroup.subtree_control" || skip "needs root: of the control groups"
		dir=$top/$name
	elif [ -d "$top/$1" ]; then
		dir=$top/$1/$name
	else
		skip "kernel without the $1 controller"
	fi
	[[ " ${GROUPS_MADE[*]} " != *" $dir "* ]] || return 0
	mkdir "$dir" || skip "needs root: of the control groups"
	at_end rmdir_patiently "$dir"
	GROUPS_MADE+=("$dir")
	chown "$KENNEL_TEST_USER" "$dir" "$dir/cgroup.procs"
	[ ! -e "$dir/tasks" ] || chown "$KENNEL_TEST_USER" "$dir/tasks"
	[ ! -e "$dir/cgroup.subtree_control" ] || chown "$KENNEL_TEST_USER" "$dir/cgroup.subtree_control" "$dir/cgroup.threads"
}

rmdir_patiently() {
	find "$1" -mindepth 1 -depth -type d -name kennel-callers -exec rmdir {} + 2>/dev/null
	wait_for 5 rmdir "$1" 2>/dev/null
}

# limited ARG...: "kennel run ARG..." of the user, in those groups.
limited() {
	status=0
	# shellcheck disable=SC2016
	bash -c 'for dir in $1; do echo $$ >"$dir/cgroup.procs" || exit 99; done; shift; exec "$@"' bash "${GROUPS_MADE[*]}" \
		runuser -u "$KENNEL_TEST_USER" -- env HOME="/home/$KENNEL_TEST_USER" XDG_RUNTIME_DIR="$T/runtime-of-user" \
		"$KENNEL" run --net none "$@" </dev/null >"$LIB_STATE/stdout" 2>"$LIB_STATE/stderr" 3>&- || status=$?
	stdout=$(<"$LIB_STATE/stdout")
	stderr=$(<"$LIB_STATE/stderr")
	printf '$ kennel run %s\n%s\n%s\n(exit code %s)\n' "$*" "$stdout" "$stderr" "$status"
}

# What is left in the groups.
left() {
	find "${GROUPS_MADE[@]}" -mindepth 1 -type d -name 'kennel-*' ! -name kennel-callers
}

nothing_left() {
	[ -z "$(left)" ]
}

@test "limits of a user: pids, memory and cpus hold" {
	limited --pids 20 -- bash -c 'n=0; for i in $(seq 40); do sleep 5 2>/dev/null & n=$((n + 1)); done; echo never'
	has "fork" "$stderr"
	limited --memory 64M -- python3 -c 'b = bytearray(200 << 20); print(len(b))'
	[ "$status" -ne 0 ]
	is_equal "$stdout" ""
	limited --memory 64M --pids 50 --cpus 0.5 -- sh -c 'echo fine; cat /proc/self/cgroup | cut -d: -f3 | sort -u'
	is_status 0
	is_equal "$(head -n 1 <<<"$stdout")" fine
	is_equal "$(left)" ""
}

@test "limits of a user: root inside can't lift them" {
	limited --pids 30 --memory 64M -- bash -c 'mkdir -p /mnt/a; for t in "cgroup2" "cgroup -o pids" "cgroup -o memory"; do mkdir -p "/mnt/$t"; mount -t $t none "/mnt/$t" 2>/dev/null && echo "mounted $t" >&2; done
		find /mnt -name "*.max" -o -name "memory.limit_in_bytes" -o -name "memory.memsw.limit_in_bytes" | while read -r f; do echo max >"$f"; echo -1 >"$f"; done 2>/dev/null
		find /mnt -name cgroup.procs | while read -r f; do echo $$ >"$f/../../cgroup.procs"; done 2>/dev/null
		(for i in $(seq 60); do sleep 5 2>/dev/null & done) 2>&1 | grep -o -m 1 "fork"; python3 -c "b = bytearray(200 << 20); print(len(b))"'
	has fork "$stdout"
	lacks 209715200 "$stdout"
	is_equal "$(left)" ""
}

@test "limits of a user: kennel killed, and nothing is left of the groups" {
	local net=none pid
	! runuser -u "$KENNEL_TEST_USER" -- test -w /dev/net/tun || net=private:t74
	# shellcheck disable=SC2016
	background bash -c 'for dir in $1; do echo $$ >"$dir/cgroup.procs" || exit 99; done; shift; exec "$@"' bash "${GROUPS_MADE[*]}" \
		runuser -u "$KENNEL_TEST_USER" -- env HOME="/home/$KENNEL_TEST_USER" XDG_RUNTIME_DIR="$T/runtime-of-user" \
		"$KENNEL" run --net "$net" --pids 50 --memory 100M -- sh -c 'echo up; sleep 300'
	wait_for 20 says "$T/out.$LIB_STARTED" up
	[ -n "$(left)" ]
	if [ "$net" != none ]; then
		# who carries its frames is one of its processes, behind a wall of its own
		pid=$(pgrep -u "$KENNEL_TEST_USER" -x kennel-switch | xargs -I{} sh -c 'grep -l /delegated-'$$'/ /proc/{}/cgroup' | cut -d/ -f3)
		[[ $pid =~ ^[0-9]+$ ]]
		has "/kennel-" "$(grep -E '^0::|:pids:' "/proc/$pid/cgroup")"
		has $'Seccomp:\t2' "$(<"/proc/$pid/status")"
	fi
	pkill -KILL -u "$KENNEL_TEST_USER" -P $! -x kennel || kill -KILL $!
	wait_for 5 nothing_left
	[ "$net" = none ] || wait_for 5 test ! -e "$T/runtime-of-user/kennel/net-t74"
}

@test "limits of a user: refused with the remedy where no group is the user's" {
	run as_user "$KENNEL" run --net none --pids 20 -- echo had </dev/null
	# a session of systemd may have handed one down
	[ "$status" -ne 0 ] || { is_equal "$output" had && return; }
	is_equal "$status" 125
	has "systemd-run --user --scope -p Delegate=yes"
}

# What a machine with control groups of both kinds can't show: a guest, for the whole of v2. (kennel check makes a group of each kind.)
@test "limits of a user: cgroup v2 alone, delegated and not" {
	need_commands linux.uml setpriv jq
	cat >"$T/script" <<'SH'
#!/bin/bash
cd /sys/fs/cgroup && echo "+pids +memory +cpu" >cgroup.subtree_control && mkdir -m 0700 /run/u && chown 1001 /run/u || exit 9
in_group() {
	mkdir "$1" && cd "$1" || exit 9
	[ "$1" = theirs ] && chown 1001 . cgroup.procs cgroup.subtree_control
	echo $BASHPID >cgroup.procs
	exec setpriv --reuid 1001 --regid 1001 --clear-groups env HOME=/tmp XDG_RUNTIME_DIR=/run/u bash -c "$2"
}
export KENNEL=$1
say='"$KENNEL" check --json | jq -rM ".[] | select(.name == \"control groups\") | .state, .found, .remedy"'
(in_group theirs "$say; $say; cut -d: -f3 /proc/self/cgroup")
find theirs -mindepth 1 -type d
(in_group roots "$say; "'"$KENNEL" gc')
find roots -mindepth 1 -type d
SH
	chmod 0755 "$T/script"
	run "$KENNEL_STAGE/tests/harness/guest" "$T/script" "$KENNEL" 3>&-
	is_equal "$status" 0
	is_equal "$(head -n 8 <<<"$output")" "ok
v2: pids, memory, cpu
null
ok
v2: pids, memory, cpu
null
/theirs/kennel-callers
theirs/kennel-callers"
	has "optional-missing"
	has "systemd-run --user --scope -p Delegate=yes"
	is_equal "$(tail -n 1 <<<"$output")" "removed 1 leftover of killed runs"
}
