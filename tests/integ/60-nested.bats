#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# A sandbox in a sandbox, and in what others make.

load lib

setup() {
	need_sandbox
	kennel_setup
	# It has to be where the copy has it too.
	cp "$KENNEL" "$T/kennel"
}

@test "nested: kennel in kennel" {
	run_kennel run --net none -- "$T/kennel" run --net none -- sh -c 'id; cat /proc/1/comm; echo x >/etc/issue; cat /etc/issue; stat -c %u:%g /etc/shadow; head -c 5 /etc/passwd; ls /proc | grep -c "^[0-9]"'
	is_status 0
	has "uid=0(root) gid=0(root)" "$stdout"
	has $'kennel-init\nx\n0:'"$(stat -c %g /etc/shadow)"$'\nroot:' "$stdout"
	[ "${stdout##*$'\n'}" -lt 6 ] || [ "${stdout##*:}" -lt 6 ]
}

@test "nested: the inner one's changes do not reach the outer one" {
	run_kennel run --net none -- sh -c 'echo outer >/etc/issue; "$0" run --net none -- sh -c "cat /etc/issue; echo inner >/etc/issue; rm -r /opt; cat /etc/issue"; cat /etc/issue; [ -d /opt ] && echo there' "$T/kennel"
	is_status 0
	is_equal "$stdout" $'outer\ninner\nouter\nthere'
}

@test "nested: exit codes, signals, and nothing left in the outer one" {
	run_kennel run --net none -- sh -c '"$0" run --net none -- sh -c "exit 42"; echo $?; "$0" run --net none -- sh -c "kill -9 \$\$"; echo $?; "$0" run --net none -- nothing 2>/dev/null; echo $?
		"$0" list -q | wc -l; "$0" gc; ls /run/kennel | wc -l; wc -l </proc/self/mountinfo >/tmp/a; "$0" run --net none -- true; wc -l </proc/self/mountinfo | cmp - /tmp/a' "$T/kennel"
	is_status 0
	is_equal "$stdout" $'42\n137\n127\n0\nnothing to remove\n0'
}

@test "nested: with defaults, each with its own network" {
	run_kennel run -- "$T/kennel" run -- id -u
	is_status 0
	is_equal "$stdout" 0
	[ "$(wc -l <<<"$stderr")" -le 1 ]
}

@test "nested: a third one is refused with a sentence" {
	run_kennel run --net none -- "$T/kennel" run --net none -- "$T/kennel" run --net none -- true
	is_status 125
	has "hint:" "$stderr"
	has "--nest" "$stderr"
	is_equal "$(grep -c '^kennel: ' <<<"$stderr")" 1
}

@test "nested: a third one on a base of its own works or says why" {
	run_kennel run --net none -- "$T/kennel" run --net none -- "$T/kennel" run --net none --base /usr -- /bin/true
	[ "$status" -eq 0 ] || refused yes ""
}

@test "nested: at ns, and user inside of ns" {
	run_kennel run --net none --isolate ns --cap-add ALL -- "$T/kennel" run --net none -- id -u
	[ "$status" -eq 0 ] || [ "$status" -eq 125 ]
	[ "$status" -eq 0 ] || [ -n "$stderr" ]
	run_kennel run --net none -- "$T/kennel" run --net none --isolate ns -- id -u
	[ "$status" -eq 0 ] || [ "$status" -eq 125 ]
	[ "$status" -eq 0 ] || has "hint:" "$stderr"
}

@test "nested: killed from outside, both are gone" {
	background "$KENNEL" run --net none -- "$T/kennel" run --net none -- sh -c 'echo up; exec sleep 27.1828'
	wait_for 20 says "$T/out.$LIB_STARTED" up
	kill -KILL $!
	wait_for 3 no_sleep
}

no_sleep() {
	! pgrep -f "sleep 27.1828" >/dev/null
}

@test "nested: in bwrap, with user namespaces" {
	need_commands bwrap
	mkdir -m 0700 "$T/run"
	run bwrap --dev-bind / / --proc /proc --bind "$T/run" /run --unshare-user --unshare-pid "$KENNEL" run -q --net none -- sh -c 'echo fine' </dev/null
	[ "$status" -eq 125 ] || is_equal "$output" fine
	[ "$status" -eq 0 ] || has "hint:"
}

@test "nested: in unshare, as root of a mount namespace" {
	need_root "mounts of its own"
	run unshare --mount --pid --fork --mount-proc "$KENNEL" run --net none -- sh -c 'echo fine; cat /proc/1/comm' </dev/null
	is_equal "$status" 0
	is_equal "$output" $'fine\nkennel-init'
}

@test "nested: in a chroot of the whole system" {
	need_root "mounts of its own"
	mkdir "$T/root"
	unshare --mount sh -c 'mount --rbind / "$0" && exec chroot "$0" "$@"' "$T/root" "$KENNEL" run --net none -- echo fine >"$T/o" 2>"$T/e" </dev/null && status=0 || status=$?
	[ "$status" -eq 0 ] || { is_equal "$status" 125 && grep -q "^kennel: " "$T/e"; }
}

@test "nested: bwrap and unshare inside of kennel" {
	need_commands bwrap
	run_kennel run --net none -- sh -c 'bwrap --ro-bind / / --unshare-all echo one; unshare -Urm echo two; unshare -fp --mount-proc echo three'
	is_equal "$stdout" $'one\ntwo\nthree'
}
