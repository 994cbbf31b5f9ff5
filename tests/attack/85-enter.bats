#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
# Entering: the sandbox was there first, and waits for somebody from outside to come in with more rights than it has.

load attack

# entered SCRIPT: does the sandbox still do ordinary work for who enters it?
usable_inside() {
	run_kennel exec "$ID" "$P" ok
	is_status 0 && has usable "$stdout"
}

@test "enter: the program that enters can't be overwritten, traced or looked into" {
	local sum
	sum=$(sha256sum "$KENNEL")
	for level in $WALLED; do
		a_sandbox --isolate "$level"
		# Inside, a loop goes for every process that appears: its program, memory, descriptors and directory.
		background "$KENNEL" exec "$ID" sh -c "echo up; while :; do for p in /proc/[0-9]*; do
			[ \$p != /proc/\$\$ ] || continue
			echo x >\$p/exe; echo x >\$p/mem; for f in \$p/fd/*; do cat \$f; done; cat \$p/cwd/$SECRET_FILE \$p/root$SECRET_FILE; done; done 2>/dev/null"
		wait_for 10 says "$T/out.$LIB_STARTED" up
		local i spy=$!
		for i in $(seq 20); do
			exec 9<"$SECRET_FILE"
			"$KENNEL" exec "$ID" true
			exec 9<&-
		done
		usable_inside
		kill "$spy" && wait "$spy" || :
		lacks "$SECRET" "$(tr -d '\0' <"$T/out.$LIB_STARTED")"
		kill "$MONITOR" && wait "$MONITOR" || :
	done
	is_equal "$(sha256sum "$KENNEL")" "$sum"
}

@test "enter: no descriptor, directory, variable or key of the caller comes along" {
	for level in $WALLED; do
		a_sandbox --isolate "$level"
		cd "$T/victim"
		exec 9<"$SECRET_FILE" 8>>"$T/victim/file"
		SECRET_VARIABLE=$SECRET run_kennel exec "$ID" sh -c 'pwd; env; for f in /proc/self/fd/*; do cat "$f" </dev/null; done; ls -l /proc/self/fd; cat ./file ../victim/file
			echo x >&8; cat <&9; cat /proc/keys'
		exec 9<&- 8>&-
		cd /
		lacks "$SECRET"
		lacks original
		lacks "$T"
		victim_untouched
		usable_inside
	done
}

@test "enter: a forged entry leads nowhere" {
	local runtime=/run/kennel forged
	[ "$EUID" -eq 0 ] || runtime=$XDG_RUNTIME_DIR/kennel
	a_sandbox
	forged=$runtime/deadbeef
	at_end rm -f "$forged"
	# Another process of ours, which is in no sandbox; and our own.
	background sleep 300
	for pid in $! $$ 1; do
		sed "s/^init\t.*/init\t$pid/; s/^pid\t.*/pid\t$$/" "$runtime/$ID" >"$forged"
		exec 9<"$forged"
		flock 9
		run_kennel exec deadbeef id
		[ "$status" -eq 125 ]
		lacks uid=
		exec 9<&-
	done
	rm -f "$forged"
	usable_inside
}

@test "enter: a terminal is the sandbox's own devpts, or none" {
	for level in $WALLED; do
		for trick in 'mknod /dev/pts/ptmx p' 'mkdir /dev/new; mv /dev/pts /dev/old; ln -s /dev/new /dev/pts; mkfifo /dev/new/ptmx' \
			'mkfifo /dev/new; mount --bind /dev/new /dev/pts/ptmx' 'umount -l /dev/pts; mkfifo /dev/pts/ptmx' \
			'mount -t tmpfs none /dev/pts; ln -s /dev/null /dev/pts/ptmx' 'mount -t tmpfs none /dev/pts; ln /dev/null /dev/pts/ptmx; cp -a /dev/null /dev/pts/ptmx'; do
			a_sandbox --isolate "$level"
			"$KENNEL" exec "$ID" sh -c "$trick" 2>/dev/null || :
			status=0
			output=$(timeout 100 "$KENNEL" exec --tty "$ID" echo in </dev/null 2>&1) || status=$?
			echo "$level, $trick: $status $output"
			[ "$status" -eq 0 ] || [ "$status" -eq 125 ]
			[ "$status" -eq 0 ] || has "make a terminal" "$output"
			usable_inside
			kill "$MONITOR" && wait "$MONITOR" || :
		done
	done
}

@test "enter: nothing can be typed into the caller's terminal" {
	for level in $WALLED; do
		a_sandbox --isolate "$level"
		for tty in --tty --no-tty; do
			run timeout -k 5 200 "$P" terminal "$KENNEL" exec "$tty" "$ID" sh -c "$P typing 0 1 2 /dev/tty /dev/console; $P ok"
			echo "$output"
			is_status 0
			has "typing tried" && has usable && has "waiting 0" && has "session kept" && lacks TYPED && lacks "TOOK the terminal"
		done
	done
}

@test "enter: passwd, group and programs of the inside decide nothing outside" {
	a_sandbox
	"$KENNEL" exec "$ID" sh -c "mkfifo /etc/fifo; rm -f /etc/passwd; ln -s fifo /etc/passwd"
	status=0
	output=$(timeout 100 "$KENNEL" exec -u somebody "$ID" id 2>&1) || status=$?
	echo "$status $output"
	[ "$status" -eq 125 ]
	"$KENNEL" exec "$ID" sh -c "rm -f /etc/passwd; ln -s $SECRET_FILE /etc/passwd; printf '#!/bin/cat\n$SECRET_FILE\n' >/usr/local/bin/id; chmod 755 /usr/local/bin/id"
	run_kennel exec -u somebody "$ID" id
	lacks "$SECRET"
	run_kennel exec "$ID" id
	lacks "$SECRET"
	usable_inside
}

@test "enter: who enters has the label of the sandbox's first process, also from another one" {
	read -r label 2>/dev/null </proc/self/attr/current || skip "kernel without labels of a security module"
	a_sandbox
	run_kennel exec "$ID" cat /proc/1/attr/current
	is_status 0
	label=$(tr -d '\0' <<<"$stdout")
	run_kennel exec "$ID" cat /proc/self/attr/current
	is_equal "$(tr -d '\0' <<<"$stdout")" "$label"
}
