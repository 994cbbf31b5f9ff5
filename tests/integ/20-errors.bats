#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# When it goes wrong: one sentence, a hint where a person can act, the right exit code, and nothing left behind (the teardown looks).

load lib

setup() {
	need_sandbox
	kennel_setup
}

# failed CODE TEXT: one sentence with TEXT and one hint.
failed() {
	is_status "$1" || return 1
	has "$2" "$stderr" || return 1
	is_equal "$stdout" "" || return 1
	[[ $stderr == kennel:\ *$'\n'hint:\ * && $(wc -l <<<"$stderr") -eq 2 ]] || {
		printf 'expected one sentence and one hint, got:\n%s\n' "$stderr"
		return 1
	}
}

@test "errors: no such command" {
	run_kennel run --net none -- no-such-command
	failed 127 no-such-command
	run_kennel run --net none -- /no/such/command
	failed 127 /no/such/command
	run_kennel run --net none -- ./no-such-command
	failed 127 no-such-command
	run_kennel run --net none -- ""
	failed 127 '""'
	run_kennel run --net none --env PATH=/nowhere -- ls
	failed 127 ls
}

@test "errors: not executable" {
	printf '#!/no/such/interpreter\n' >"$T/script"
	printf 'echo text\n' >"$T/text"
	printf '\177ELF rubbish\0\0\0' >"$T/elf"
	: >"$T/empty"
	chmod 0755 "$T/script" "$T/elf" "$T/empty"
	chmod 0644 "$T/text"
	run_kennel run --net none -- /etc/passwd
	failed 126 /etc/passwd
	run_kennel run --net none -- /etc
	failed 126 /etc
	run_kennel run --net none -- "$T/text"
	failed 126 "$T/text"
	run_kennel run --net none -- "$T/script"
	failed 126 "$T/script"
	has interpreter "$stderr"
	run_kennel run --net none -- "$T/elf"
	failed 126 "$T/elf"
	run_kennel run --net none -- /etc/passwd/ls
	[ "$status" -ge 126 ]
}

@test "errors: a base that is not there, not a directory, or not readable" {
	run_kennel run --base "$T/nothing" -- true
	failed 125 "$T/nothing"
	run_kennel run --layer "$T/nothing" -- true
	failed 125 "$T/nothing"
	run_kennel run --base /dev/null -- true
	failed 125 /dev/null
	mkfifo "$T/fifo"
	run_kennel run --base "$T/fifo" -- true
	failed 125 "$T/fifo"
	run_kennel run --base "" -- true
	failed 125 base
	mkdir -m 0700 "$T/closed"
	mkdir "$T/closed/base"
	[ "$EUID" -eq 0 ] || chmod 0000 "$T/closed"
	run as_user "$KENNEL" run --base "$T/closed/base" -- true </dev/null
	chmod 0700 "$T/closed"
	[ "$status" -eq 125 ]
	has "$T/closed/base"
}

@test "errors: unknown and damaged images" {
	head -c 200K /dev/urandom >"$T/random"
	: >"$T/empty"
	head -c 5K /dev/zero >"$T/zero"
	echo text >"$T/text"
	local name
	for name in random empty zero text; do
		run_kennel run --base "$T/$name" -- true
		failed 125 "$T/$name"
	done
	mkdir "$T/tree"
	head -c 300K /dev/urandom >"$T/tree/file"
	if command -v mksquashfs >/dev/null; then
		mksquashfs "$T/tree" "$T/squash" -quiet -no-progress >/dev/null
		head -c 4096 "$T/squash" >"$T/cut"
		run_kennel run --base "$T/cut" -- true
		failed 125 "$T/cut"
		cp "$T/squash" "$T/bent"
		head -c 40 /dev/urandom | dd of="$T/bent" bs=1 seek=8 conv=notrunc status=none
		run_kennel run --base "$T/bent" -- true
		failed 125 "$T/bent"
	fi
	truncate -s 8M "$T/ext4"
	mkfs.ext4 -q -F -d "$T/tree" "$T/ext4"
	truncate -s 1M "$T/ext4"
	run_kennel run --base "$T/ext4" -- true
	failed 125 "$T/ext4"
	truncate -s 8M "$T/ext4-bent"
	mkfs.ext4 -q -F "$T/ext4-bent"
	dd if=/dev/urandom of="$T/ext4-bent" bs=1K seek=2 count=64 conv=notrunc status=none
	run_kennel run --base "$T/ext4-bent" -- true
	failed 125 "$T/ext4-bent"
}

@test "errors: a base that is a file system of some other kind" {
	need_commands mkswap
	truncate -s 1M "$T/swap"
	mkswap "$T/swap" >/dev/null
	run_kennel run --base "$T/swap" -- true
	failed 125 "$T/swap"
}

@test "errors: options that are not known, lack a value, exclude one another" {
	run_kennel run --no-such-option
	failed 125 --no-such-option
	run_kennel run --netz none -- true
	failed 125 --netz
	run_kennel run -Z -- true
	failed 125 Z
	run_kennel run --size
	failed 125 size
	run_kennel run --tty --no-tty -- true
	failed 125 tty
	run_kennel run -q -v -- true
	failed 125 quiet
	run_kennel run --no-new-privs=yes -- true
	is_status 125
}

@test "errors: bad values" {
	local value
	for value in 1Q abc -1 1.5.2 '' 99999999999999999999 1MM ' 1'; do
		run_kennel run --size "$value" -- true
		failed 125 size
	done
	for value in abc -1 1.5 99999999999999999999; do
		run_kennel run --pids "$value" -- true
		failed 125 pids
	done
	run_kennel run --cpus x -- true
	failed 125 cpus
	run_kennel run --memory 1x -- true
	failed 125 memory
	run_kennel run --net some -- true
	failed 125 some
	for value in 'a b' -x "$(printf 'x%.0s' {1..70})" 'a/b' ''; do
		run_kennel run --hostname "$value" -- true
		failed 125 hostname
	done
	for value in =x ''; do
		run_kennel run --env "$value" -- true
		[ "$status" -eq 125 ] || { echo "env $value: $status"; false; }
	done
}

@test "errors: work directory and user" {
	run_kennel run --net none --workdir /no/such/dir -- true
	failed 125 /no/such/dir
	run_kennel run --net none --workdir /etc/passwd -- true
	failed 125 /etc/passwd
	run_kennel run --net none --workdir relative -- true
	failed 125 relative
	run_kennel run --net none --user no-such-user -- true
	failed 125 no-such-user
	run_kennel run --net none --user root:no-such-group -- true
	is_status 125
	run_kennel run --net none --user 4294967295 -- true
	is_status 125
	run_kennel run --net none --user 70000 -- true
	is_status 125
}

@test "errors: no room at all" {
	local size
	for size in 1 4K; do
		run_kennel run --net none --size "$size" -- true
		failed 125 "No space left"
		has --size "$stderr"
	done
	run_kennel run --net none --size 4M -- true
	is_status 0
}

@test "errors: too few descriptors, at many numbers: a hint, no weaker level, or it works" {
	local n
	for ((n = 5; n < 48; n += 3)); do
		status=0
		(ulimit -n "$n" && exec "$KENNEL" run --net none -- cat /proc/self/uid_map) >"$T/o" 2>"$T/e" </dev/null || status=$?
		stdout=$(<"$T/o")
		stderr=$(<"$T/e")
		# bats has some open itself, so the very first may not even find libc.
		grep -q "shared libraries" "$T/e" && continue
		if [ "$status" -eq 0 ]; then
			[[ $stdout != *4294967295* ]] || { echo "weaker at $n"; return 1; }
			continue
		fi
		failed 125 "Too many open files" || { echo "at $n: $stderr"; return 1; }
		has "ulimit -n" "$stderr"
	done
	[ "$status" -eq 0 ]
}

@test "errors: too few descriptors with pasta and a terminal of its own" {
	need_commands pasta
	local n
	for n in 20 24 28 30 32 34 36 40; do
		status=0
		(ulimit -n "$n" && exec timeout 60 "$KENNEL" run -- true) >"$T/o" 2>"$T/e" </dev/null || status=$?
		[ "$status" -eq 0 ] || { [ "$status" -eq 125 ] && grep -q "Too many open files" "$T/e"; } || { cat "$T/e"; return 1; }
	done
}

@test "errors: too few processes" {
	need_root "control groups"
	status=0
	run_kennel run --net none --pids 1 -- true
	[ "$status" -ne 0 ]
	# A limit of the user, with ids of a user that has no other process.
	install -d -m 0700 -o "$KENNEL_TEST_USER" "$T/run"
	chmod 0755 "$T"
	runuser -u "$KENNEL_TEST_USER" -- bash -c 'ulimit -u 1 && exec env XDG_RUNTIME_DIR="$1" "$0" run --net none -- true' "$KENNEL" "$T/run" </dev/null >"$T/o" 2>"$T/e" && status=0 || status=$?
	stdout=$(<"$T/o") stderr=$(<"$T/e")
	is_status 125
	has "start a process" "$stderr"
}

# kennel_here SETUP ARG...: kennel in a mount namespace in which SETUP was done; nothing of it reaches the machine.
kennel_here() {
	status=0
	# shellcheck disable=SC2016
	unshare --mount --propagation private sh -c "$1"' && shift && exec "$@"' sh "" "$KENNEL" "${@:2}" >"$T/o" 2>"$T/e" </dev/null || status=$?
	stdout=$(<"$T/o")
	stderr=$(<"$T/e")
	output=$stdout$stderr
	printf '%s\n(exit code %s)\n' "$output" "$status"
}

@test "errors: user namespaces are switched off" {
	# The sysctl belongs to the user namespace, so that of the machine is not touched: kennel runs one below.
	unshare --user --map-root-user true 2>/dev/null || skip "no user namespaces for this user"
	mkdir -m 0700 "$T/run"
	status=0
	unshare --user --map-root-user --mount --propagation slave sh -c 'mount --bind "$0" /run && echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"' \
		"$T/run" "$KENNEL" run --isolate user --net none -- true >"$T/o" 2>"$T/e" </dev/null || status=$?
	stdout=$(<"$T/o") stderr=$(<"$T/e")
	failed 125 "user.max_user_namespaces"
	has "sysctl" "$stderr"
}

@test "errors: namespaces of another kind have run out" {
	need_root "is root of a user namespace"
	mkdir -m 0700 "$T/run"
	local kind
	for kind in mnt pid net uts ipc cgroup; do
		status=0
		unshare --user --map-root-user --mount --propagation slave sh -c 'mount --bind "$0" /run && echo 0 >"/proc/sys/user/max_'$kind'_namespaces" && exec "$@"' \
			"$T/run" "$KENNEL" run --isolate user --net none -- true >"$T/o" 2>"$T/e" </dev/null || status=$?
		stdout=$(<"$T/o") stderr=$(<"$T/e")
		is_status 125
		[ "$(wc -l <<<"$stderr")" -eq 2 ] || { echo "$kind: $stderr"; return 1; }
	done
}

@test "errors: no subordinate ids for an ordinary user" {
	printf 'somebody:100000:65536\n' >"$T/subid"
	status=0
	# shellcheck disable=SC2016
	unshare --mount --propagation private sh -c 'mount --bind "$0" /etc/subuid && mount --bind "$0" /etc/subgid && shift && exec runuser -u "$KENNEL_TEST_USER" -- env XDG_RUNTIME_DIR=/tmp "$@"' \
		"$T/subid" "" "$KENNEL" run --net none --idmap auto -- true >"$T/o" 2>"$T/e" </dev/null || status=$?
	stdout=$(<"$T/o") stderr=$(<"$T/e")
	[ "$status" -eq 125 ] || [ -n "$stderr" ] # refused, or one line that says what is less
	! grep -q "sanitizer" "$T/e"
}

@test "errors: root needs no line in /etc/subuid" {
	need_root "mounts over files of the machine"
	: >"$T/subid"
	kennel_here 'mount --bind '"$T"'/subid /etc/subuid && mount --bind '"$T"'/subid /etc/subgid' run --net none -- cat /proc/self/uid_map
	is_status 0
	[[ $stdout =~ ^\ +0\ +[1-9][0-9]{4,}\ +65536$ ]]
	rm "$T/subid"
	printf 'rubbish\n:::\nroot:x:y\nroot:1:\n' >"$T/subid"
	kennel_here 'mount --bind '"$T"'/subid /etc/subuid && mount --bind '"$T"'/subid /etc/subgid' run --net none -- true
	[ "$status" -eq 0 ] || [ "$status" -eq 125 ]
}

@test "errors: pasta is missing" {
	need_root "mounts over files of the machine"
	need_commands pasta
	local hide
	printf '' >"$T/none"
	hide="mount --bind $T/none $(readlink -f "$(command -v pasta)")"
	kennel_here "$hide" run --net nat -- true
	failed 125 pasta
	kennel_here "$hide" run -- sh -c 'ls /sys/class/net'
	is_status 0
	is_equal "$stdout" lo
	is_equal "$(wc -l <<<"$stderr")" 1
	has "no network inside" "$stderr"
	kennel_here "$hide" run -q -- true
	is_status 0
	is_equal "$stderr" ""
}

@test "errors: the runtime directory can't be made or written, or is somebody else's" {
	need_root "mounts over files of the machine"
	kennel_here 'mount -t tmpfs -o ro none /run' run --net none -- true
	failed 125 "/run"
	kennel_here 'mount -t tmpfs none /run && mkdir -m 0777 /run/kennel && chmod 0777 /run/kennel' run --net none -- true
	failed 125 /run/kennel
	kennel_here 'mount -t tmpfs none /run && ln -s /tmp /run/kennel' run --net none -- true
	failed 125 /run/kennel
	kennel_here 'mount -t tmpfs none /run && : >/run/kennel' run --net none -- true
	failed 125 /run/kennel
	kennel_here 'mount -t tmpfs none /run && mkdir -m 0700 /run/kennel && chown 33 /run/kennel' run --net none -- true
	failed 125 /run/kennel
	kennel_here 'mount -t tmpfs none /run && mkdir -m 0700 /run/kennel && mount -o remount,ro /run' run --net none -- true
	is_status 125
	has "runtime directory" "$stderr"
	kennel_here 'mount -t tmpfs -o size=4K,nr_inodes=2 none /run && mkdir -m 0700 /run/kennel' run --net none -- true
	is_status 125
	has "runtime directory" "$stderr"
}

@test "errors: an ordinary user without XDG_RUNTIME_DIR" {
	need_root "runs a command as another user"
	run runuser -u "$KENNEL_TEST_USER" -- env -u XDG_RUNTIME_DIR "$KENNEL" run --net none -- true </dev/null
	[ "$status" -eq 125 ]
	has XDG_RUNTIME_DIR
	has hint:
}

@test "errors: /proc is not there, or not the kernel's" {
	need_root "mounts over files of the machine"
	kennel_here 'mount -t tmpfs none /proc' run --net none -- true
	is_status 125
	[ -n "$stderr" ]
}

@test "errors: standard input is a closed terminal's, or all three are closed" {
	local closed
	for closed in '<&-' '>&-' '2>&-' '<&- >&- 2>&-'; do
		status=0
		eval '"$KENNEL" run --net none -- sh -c "exit 7"' "$closed" || status=$?
		is_status 7
	done
}

@test "errors: messages with control characters do not reach the terminal raw" {
	run_kennel run --net none -- $'\e[31mred\a\n'
	is_status 127
	lacks $'\e' "$stderr"
	lacks $'\a' "$stderr"
	run_kennel run --base $'/nothing\e]0;title\a' -- true
	is_status 125
	lacks $'\e' "$stderr"
}

@test "errors: stdout that is full is an error of list and info" {
	status=0
	"$KENNEL" info --base >/dev/full 2>"$T/e" || status=$?
	is_status 125
	grep -q "No space left" "$T/e"
}

@test "errors: after all this there is nothing to collect" {
	run_kennel gc
	is_status 0
	is_equal "$stdout" "nothing to remove"
}
