#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# kennel list, info and gc: what runs now, and where its files are.

load lib

setup() {
	need_sandbox
	need_commands jq
	kennel_setup
}

# start [OPTION]...: a sandbox that goes on; sets PID and ID.
start() {
	local n=$((LIB_STARTED + 1))
	background "$KENNEL" run --net none "$@" -- sh -c 'echo "$KENNEL_ID"; exec sleep 300'
	PID=$!
	wait_for 20 test -s "$T/out.$n"
	ID=$(<"$T/out.$n")
}

fact() {
	"$KENNEL" list --json | jq -r ".[] | select(.id == \"$ID\") | .$1"
}

@test "list: says what runs" {
	start
	run_kennel list
	is_status 0
	is_equal "$(head -n 1 <<<"$stdout" | tr -s ' ')" "ID NAME STATE LEVEL AGE PID BASE COMMAND"
	grep -Eq "^$ID +- +running +user +[0-9]+s +$PID +system +sh -c 'echo \"\\\$KENNEL_ID\"; exec sleep 300'$" <<<"$stdout"
	run_kennel ls
	has "$ID" "$stdout"
}

@test "list: --json is JSON with the same facts, --quiet are ids" {
	need_root "isolation fs and ns"
	start --isolate ns --hostname box
	run_kennel list --json
	is_status 0
	jq -e --arg id "$ID" --argjson pid "$PID" '.[] | select(.id == $id) | .isolate == "ns" and .pid == $pid and (.age >= 0 or true) and .base == "system" and (.init | type == "number")' <<<"$stdout"
	is_equal "$(fact isolate)" ns
	[ -d "/proc/$(fact init)" ]
	run_kennel list -q
	grep -qx "$ID" <<<"$stdout"
	run_kennel list -q --json
	is_status 125
}

@test "list: odd commands are shown on one line, without control characters" {
	background "$KENNEL" run --net none -- sh -c 'echo up; exec sleep 300' $'a\nb' $'\e[31mred' "it's" '' $'\xff' 'x"y\z' $'tab\there'
	wait_for 10 says "$T/out.$LIB_STARTED" up
	run_kennel list
	is_equal "$(grep -c 'sleep 300' <<<"$stdout")" "$(grep -c "sh -c" <<<"$stdout")"
	lacks $'\e' "$stdout"
	run_kennel list --json
	is_equal "$(jq -r ".[] | select(.pid == $!) | .command" <<<"$stdout" | wc -l)" 2
	lacks $'\e' "$stdout"
}

@test "list: several at once, oldest first, and each goes away with its end" {
	start
	local first=$ID first_pid=$PID
	sleep 1.1
	start --idmap 10000
	[ "$first" != "$ID" ]
	is_equal "$("$KENNEL" list -q | grep -x -e "$first" -e "$ID" | tr '\n' ' ')" "$first $ID "
	kill -TERM "$first_pid"
	wait_for 5 not_listed "$first"
	"$KENNEL" list -q | grep -qx "$ID"
}

not_listed() {
	! "$KENNEL" list -q | grep -qx "$1"
}

@test "list: an entry of one that died without a word vanishes" {
	start
	kill -KILL "$PID"
	wait_for 5 not_listed "$ID"
	[ ! -e "/run/kennel/$ID" ]
}

@test "list: rubbish in the runtime directory does no harm" {
	need_root "the runtime directory of root's"
	start
	local stray=/run/kennel/0badc0de
	mkdir -p /run/kennel
	at_end rm -rf "$stray" /run/kennel/notes
	echo rubbish >"$stray"
	echo text >/run/kennel/notes
	run_kennel list
	is_status 0
	has "$ID" "$stdout"
	lacks 0badc0de "$stdout"
	[ ! -e "$stray" ]
	mkfifo "$stray"
	run timeout 60 "$KENNEL" list
	[ "$status" -ne 124 ]
	rm -f "$stray"
	ln -s /etc/passwd "$stray"
	run_kennel list
	lacks root: "$output"
	rm -f "$stray" /run/kennel/notes
}

@test "info: by id and by what the id begins with" {
	start --hostname box --share "$T"
	run_kennel info "$ID"
	is_status 0
	local whole=$stdout
	has "$ID" "$stdout"
	has "/proc/$(fact init)/root" "$stdout"
	run_kennel info "${ID:0:7}"
	is_status 0
	is_equal "$(grep -v "^started" <<<"$stdout" | head -n 3)" "$(grep -v "^started" <<<"$whole" | head -n 3)"
	run_kennel info --json "$ID"
	is_status 0
	is_equal "$(jq -r .id <<<"$stdout")" "$ID"
}

@test "info: its path is readable from outside, and is the inside" {
	need_root "looks into the sandbox from outside"
	background "$KENNEL" run --net none -- sh -c 'echo inside >/etc/issue; echo new >/root/new; chown 33 /root/new; echo "$KENNEL_ID"; exec sleep 300'
	wait_for 10 test -s "$T/out.1"
	ID=$(<"$T/out.1")
	local root
	root=$("$KENNEL" info --json "$ID" | jq -r .root)
	is_equal "$root" "/proc/$(fact init)/root"
	is_equal "$(cat "$root/etc/issue" "$root/root/new")" $'inside\nnew'
	[ -x "$root/usr/bin/env" ]
	[ ! -e /root/new ]
}

@test "info: says of every mount what became of it" {
	make_loop_fs ext4 8M "$T/mnt"
	start
	run_kennel info --json "$ID"
	is_equal "$(jq -r --arg p "$T/mnt" '.mounts[] | select(.path == $p) | .what' <<<"$stdout")" copied
	is_equal "$(jq -r '.mounts[] | select(.path == "/proc" and .reason != "mounted over") | .what' <<<"$stdout")" new
	run_kennel info "$ID"
	grep -Eq "copied +$T/mnt +ext4" <<<"$stdout"
}

@test "info: unknown, ambiguous and bad ids" {
	local n prefix
	run_kennel info 00000000
	refused yes 00000000
	run_kennel info ../../etc/passwd
	is_status 125
	run_kennel info zz
	refused yes zz
	run_kennel info
	is_status 125
	start
	for n in $(seq 20); do
		start
		prefix=$("$KENNEL" list -q | cut -c 1 | sort | uniq -d | head -n 1)
		[ -z "$prefix" ] || break
	done
	[ -n "$prefix" ]
	run_kennel info "$prefix"
	is_status 125
	has "$prefix" "$stderr"
}

@test "info, list: an ordinary user sees none of root's" {
	need_root "runs a command as another user"
	start
	run as_user "$KENNEL" list -q </dev/null
	lacks "$ID"
	run as_user "$KENNEL" info "$ID" </dev/null
	[ "$status" -eq 125 ]
}

@test "gc: nothing to do beside what runs; what is forgotten goes" {
	need_root "the runtime directory of root's"
	start
	run_kennel gc
	is_status 0
	is_equal "$stdout" "nothing to remove"
	"$KENNEL" list -q | grep -qx "$ID"
	echo rubbish >/run/kennel/0badc0de
	run_kennel gc
	is_status 0
	lacks "nothing to remove" "$stdout"
	[ ! -e /run/kennel/0badc0de ]
	run_kennel gc
	is_equal "$stdout" "nothing to remove"
	[ -d "/proc/$PID" ]
}
