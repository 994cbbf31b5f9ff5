#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
# Taking all there is: the limits hold, the host can still work, and the next sandbox starts.

load attack

host_works() {
	local r
	{ [ "$EUID" -ne 0 ] || { "$P" ok >/dev/null && rm -f /probe-benign; }; } && r=$("$P" ptys 3) && has "ptys 3" "$r" && run_kennel run --net none -- "$P" ok && has usable "$stdout"
}

@test "bombs: forks end at --pids" {
	need_root "control groups"
	for level in $WALLED; do
		attack "$level" "$P forks 500; $P forks 500" --pids 40
		lacks "no limit" "$stdout"
		is_equal "$(grep -c '^forks [123]' <<<"$stdout")" 2
		# the real one
		status=0
		timeout 100 "$KENNEL" run --isolate "$level" --net none --pids 40 -- sh -c 'f() { f | f & }; f; sleep 1; exit 9' </dev/null >/dev/null 2>&1 || status=$?
		[ "$status" -ne 124 ]
		host_works
	done
}

@test "bombs: memory ends at --memory, also in files of the inside's own tmpfs, ramfs and shared memory" {
	need_root "control groups"
	for level in $WALLED; do
		run_kennel run --isolate "$level" --net none --memory 48M -- sh -c "$P memory 300; echo code \$?; $P ok"
		lacks "no limit"
		for where in /tmp /dev/shm "/mnt -t tmpfs" "/mnt -t ramfs"; do
			# shellcheck disable=SC2086
			set -- $where
			status=0
			timeout 100 "$KENNEL" run --isolate "$level" --net none --memory 48M --size 400M -- sh -c "
				[ -z '${2-}' ] || mount ${2-} ${3-} none $1 || exit 0
				head -c 300M /dev/zero >$1/bomb && echo no limit" </dev/null >"$T/out" 2>&1 || status=$?
			[ "$status" -ne 124 ]
			lacks "no limit" "$(cat "$T/out")"
		done
		host_works
	done
}

@test "bombs: files end at --size, in every place that can be written to" {
	for level in $WALLED; do
		attack "$level" "for d in /root /tmp /run /dev /dev/shm /var/tmp $T; do head -c 40M /dev/zero >\$d/bomb && echo NO LIMIT at \$d; rm -f \$d/bomb; done
			head -c 12M /dev/zero >/tmp/a; head -c 12M /dev/zero >/root/b && echo NO LIMIT in all; fallocate -l 1G /tmp/c && echo NO LIMIT; rm -f /tmp/? /root/b; :" --size 20M
		lacks "NO LIMIT" "$stdout"
		has "No space left" "$stderr"
		run_kennel run --isolate "$level" --net none --size 20M -- sh -c 'head -c 40M /dev/zero >/root/bomb; exit 3'
		is_status 3
		host_works
	done
}

@test "bombs: inodes end" {
	for level in $WALLED; do
		attack "$level" "mkdir /root/i /tmp/i; $P inodes /root/i 100000; rm -rf /root/i; $P inodes /tmp/i 100000; rm -rf /tmp/i" --size 20M
		lacks "no limit" "$stdout"
		is_equal "$(grep -c '^inodes [1-9]' <<<"$stdout")" 2
	done
	host_works
}

@test "bombs: terminals end at the sandbox's own number; the host has some left" {
	for level in $WALLED; do
		attack "$level" "$P ptys 5000"
		lacks "no limit" "$stdout"
		[ "$(sed -n 's/^ptys \([0-9]*\).*/\1/p' <<<"$stdout")" -le 1024 ]
	done
	background "$KENNEL" run --net none -- sh -c "$P ptys 5000 600"
	wait_for 20 says "$T/out.$LIB_STARTED" ptys
	host_works
}

@test "bombs: directories by the ten thousand in each other do not end the monitor" {
	run "$P" terminal "$KENNEL" run --net none -- sh -c "mkdir /root/deep; $P deep /root/deep 50000; exit 7"
	echo "$output"
	has "deep 50000"
	has "exit 7"
	(ulimit -s 256 && exec "$P" terminal "$KENNEL" run --net none -- sh -c "mkdir /root/deep; $P deep /root/deep 50000; exit 7") >"$T/out"
	has "exit 7" "$(cat "$T/out")"
	host_works
}

@test "bombs: output without end, signals without end, and orphans end with the sandbox" {
	for level in $WALLED; do
		status=0
		timeout -k 5 2 "$KENNEL" run --isolate "$level" --net none -- sh -c 'while :; do (setsid sh -c "trap : TERM INT HUP; kill -USR1 1; sleep 30" &) ; sleep 0.02; done & yes' \
			</dev/null 2>/dev/null | head -c 10M >/dev/null || status=$?
		wait_for 10 sh -c '! pgrep -f "^sh -c trap : TERM INT HUP; kil[l]" >/dev/null'
	done
	host_works
}
