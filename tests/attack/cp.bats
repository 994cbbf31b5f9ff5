#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# "kennel cp" against an inside that works against it: links and renames under way, pipes and devices, files without an end, a file
# system that does not answer. The prize is $SECRET, a directory that only this machine has.

load ../integ/lib

setup() {
	need_root
	need_commands python3
	kennel_setup
	SECRET=$(mktemp -d /dev/shm/kennel-secret-XXXXXX)
	at_end rm -rf "$SECRET"
	echo secret >"$SECRET/f"
	cp "$SECRET/f" "$SECRET/x"
	cp -r "$SECRET" "$T/as-it-was"
	SCRIPT=$BATS_TEST_DIRNAME/cp-inside.py
}

teardown() {
	kennel_teardown
}

hostile() {
	background "$KENNEL" run --net none "${OPTIONS[@]}" -- /usr/bin/python3 -c "$(cat "$SCRIPT")" "$1" /root/t "$SECRET"
	wait_for 20 says "$T/out.$LIB_STARTED" ready || {
		cat "$T/err.$LIB_STARTED"
		return 1
	}
	ID=$("$KENNEL" list --json | jq -r ".[] | select(.pid == $!) | .id")
	[ -n "$ID" ]
}

cp_in_time() {
	status=0
	timeout 100 "$KENNEL" cp "$@" 2>"$T/cp.err" || status=$?
	[ "$status" -eq 0 ] || [ "$status" -eq 125 ] || {
		echo "exit code $status: $(cat "$T/cp.err")"
		return 1
	}
}

# no_secret PATH...: (a "!" in front of a command would not fail the test)
no_secret() {
	if grep -rqs secret "$@"; then
		echo "the secret came out"
		return 1
	fi
}

secret_is_safe() {
	diff -r "$SECRET" "$T/as-it-was"
}

@test "cp out: a directory that is exchanged with links never leads outside" {
	hostile swap
	got=0
	for ((i = 1; i <= 25 || (got == 0 && i <= 100); i++)); do
		rm -f "$T/out"
		cp_in_time "$ID:/root/t/d/f" "$T/out"
		if [ "$status" = 0 ]; then
			is_equal inside "$(<"$T/out")"
			got=$((got + 1))
		fi
		rm -rf "$T/tree"
		cp_in_time "$ID:/root/t/." "$T/tree"
		no_secret "$T/tree"
	done
	[ "$got" -gt 0 ]
	secret_is_safe
}

@test "cp in: a directory that is exchanged with links never leads outside" {
	hostile swap
	echo payload >"$T/payload"
	mkdir "$T/tree"
	cp "$T/payload" "$T/tree/x"
	got=0
	for ((i = 1; i <= 25 || (got == 0 && i <= 100); i++)); do
		cp_in_time "$T/payload" "$ID:/root/t/d/f"
		[ "$status" != 0 ] || got=$((got + 1))
		cp_in_time "$T/tree" "$ID:/root/t/d"
		cp_in_time "$T/tree/." "$ID:/root/t/d/"
	done
	[ "$got" -gt 0 ]
	secret_is_safe
}

@test "cp: a file that becomes a pipe, a directory or a link neither stops it nor leads outside" {
	hostile kinds
	echo payload >"$T/payload"
	for ((i = 1; i <= 25; i++)); do
		rm -rf "$T/out" "$T/tree"
		cp_in_time "$ID:/root/t/d/x" "$T/out"
		cp_in_time "$ID:/root/t/d" "$T/tree"
		no_secret "$T/tree"
		[ ! -p "$T/out" ] && [ ! -p "$T/tree/x" ]
		cp_in_time "$T/payload" "$ID:/root/t/d/x"
	done
	secret_is_safe
	is_equal "" "$(find "$T" -name '.kennel-cp-*')"
}

@test "cp out: a file that is written to for ever ends" {
	hostile grow
	for i in 1 2 3; do
		rm -f "$T/out"
		cp_in_time "$ID:/root/t/d/x" "$T/out"
		is_equal 0 "$status"
		[ "$(stat -c %s "$T/out")" -ge 65536 ]
	done
}

@test "cp in: temporary names that are replaced by links never lead outside" {
	hostile steal
	mkdir -p "$T/tree/a/b"
	echo payload | tee "$T/tree/f" "$T/tree/x" "$T/tree/a/f" >"$T/tree/a/b/f"
	ln -s nowhere "$T/tree/l"
	for ((i = 1; i <= 40; i++)); do
		cp_in_time "$T/tree" "$ID:/root/t/n$i"
		cp_in_time "$T/tree/f" "$ID:/root/t/m$i"
		cp_in_time "$T/tree/l" "$ID:/root/t/l$i"
	done
	stolen=$(find "/proc/$("$KENNEL" list --json | jq -r ".[] | select(.id == \"$ID\") | .init")/root/root/t/stolen" -mindepth 1 -maxdepth 1 | wc -l)
	echo "stolen: $stolen"
	[ "$stolen" -gt 0 ]
	secret_is_safe
	is_equal 0:0 "$(stat -c %u:%g "$SECRET")"
}

@test "cp: a file system that never answers does not hold it" {
	[ -c /dev/fuse ] || skip "no fuse device"
	OPTIONS=(--device /dev/fuse)
	hostile fuse
	for i in 1 2 3; do
		cp_in_time "$ID:/root/t/d/f" "$T/out"
		is_equal 125 "$status"
		cp_in_time "$ID:/root/t" "$T/out"
		cp_in_time "$SECRET/f" "$ID:/root/t/d/f"
		is_equal 125 "$status"
	done
}
