#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# What is separate at fs, ns and user; capabilities, system call filter, ids and devices.

load lib

ALL_LEVELS="fs ns user"

setup() {
	need_sandbox
	kennel_setup
}

at() {
	run_kennel run --isolate "$1" "${@:2}"
}

# caps_of SET NAME... is the mask of those.
caps_mask() {
	local name mask=0
	for name in "$@"; do
		mask=$((mask | 1 << $(capsh --decode=0 >/dev/null && cap_number "$name")))
	done
	printf '%016x\n' $mask
}

cap_number() {
	awk -v n="#define $1" 'index($0, n " ") || index($0, n "\t") { print $3; exit }' /usr/include/linux/capability.h
}

all_caps() {
	printf '%016x\n' $(((1 << ($(cat /proc/sys/kernel/cap_last_cap) + 1)) - 1))
}

# As Docker's oci.DefaultCapabilities() has them.
DOCKER="CAP_CHOWN CAP_DAC_OVERRIDE CAP_FSETID CAP_FOWNER CAP_MKNOD CAP_NET_RAW CAP_SETGID CAP_SETUID CAP_SETFCAP CAP_SETPCAP
	CAP_NET_BIND_SERVICE CAP_SYS_CHROOT CAP_KILL CAP_AUDIT_WRITE"

@test "levels: which namespaces are new" {
	need_root "isolation fs and ns"
	local level kind here inside
	local -A shared=([fs]="cgroup ipc net pid time user uts" [ns]="time user" [user]="time")
	for level in $ALL_LEVELS; do
		at "$level" --net "$([ "$level" = fs ] && echo host || echo none)" -- sh -c 'for kind in cgroup ipc mnt net pid time user uts; do echo "$kind $(readlink /proc/self/ns/$kind)"; done'
		is_status 0
		while read -r kind inside; do
			here=$(readlink "/proc/self/ns/$kind")
			if [[ " ${shared[$level]} " == *" $kind "* ]]; then
				is_equal "$level $kind $inside" "$level $kind $here"
			else
				[ "$inside" != "$here" ] || { echo "$level shares $kind"; return 1; }
			fi
		done <<<"$stdout"
	done
}

@test "levels: fs keeps host name, processes and network, and a file system of its own" {
	need_root "isolation fs and ns"
	at fs -- sh -c 'hostname; [ -d "/proc/$0" ] && echo seen; ls /sys/class/net; echo x >/etc/issue; cat /etc/issue' $$
	is_status 0
	is_equal "$stdout" "$(hostname)"$'\nseen\n'"$(ls /sys/class/net)"$'\nx'
	[ "$(cat /etc/issue)" != x ]
}

@test "levels: what fs can't have is refused" {
	need_root "isolation fs and ns"
	run_kennel run --isolate fs --net none -- true
	refused yes "fs"
	run_kennel run --isolate fs --net nat -- true
	refused yes "fs"
	run_kennel run --isolate fs --hostname other -- true
	refused yes "fs"
	run_kennel run --isolate vm --net host -- true
	refused yes "network of its own"
	run_kennel run --isolate none -- true
	refused yes "none"
}

@test "levels: ns and user see only their own processes" {
	need_root "isolation fs and ns"
	local level
	for level in ns user; do
		at "$level" --net none -- sh -c 'ls /proc | grep -c "^[0-9]"; cat /proc/1/comm; echo $$'
		is_status 0
		[ "${stdout%%$'\n'*}" -lt 8 ]
		has kennel-init "$stdout"
	done
}

@test "levels: capabilities at ns are Docker's default set, in every set but the inheritable and ambient" {
	need_root "isolation fs and ns"
	local want
	# shellcheck disable=SC2086  # a list of words
	want=$(caps_mask $DOCKER)
	is_equal "$want" 00000000a80425fb
	at ns --net none -- grep ^Cap /proc/self/status
	is_equal "$stdout" $'CapInh:\t0000000000000000\nCapPrm:\t'"$want"$'\nCapEff:\t'"$want"$'\nCapBnd:\t'"$want"$'\nCapAmb:\t0000000000000000'
}

@test "levels: capabilities at user are all, of a namespace of its own; at fs those of the caller" {
	need_root "isolation fs and ns"
	at user --net none -- sh -c 'grep CapEff /proc/self/status; unshare -m true && echo own; hostname x && hostname; date -s @0 >/dev/null 2>&1 || echo "no clock"'
	has "$(all_caps)" "$stdout"
	has $'own\nx\nno clock' "$stdout"
	at fs -- grep CapEff /proc/self/status
	is_equal "$stdout" "$(grep CapEff /proc/self/status)"
}

@test "levels: --cap-add and --cap-drop, alone, together, in any case, several at once" {
	need_root "isolation fs and ns"
	at ns --net none --cap-add NET_ADMIN --cap-add cap_sys_nice,sys_time -- grep CapEff /proc/self/status
	# shellcheck disable=SC2086
	is_equal "$stdout" "CapEff:	$(caps_mask $DOCKER CAP_NET_ADMIN CAP_SYS_NICE CAP_SYS_TIME)"
	at ns --net none --cap-drop ALL -- grep -E 'CapEff|CapBnd' /proc/self/status
	is_equal "$stdout" $'CapEff:\t0000000000000000\nCapBnd:\t0000000000000000'
	at ns --net none --cap-drop ALL --cap-add CHOWN -- grep CapBnd /proc/self/status
	is_equal "$stdout" "CapBnd:	$(caps_mask CAP_CHOWN)"
	at ns --net none --cap-drop net_raw,MKNOD -- grep CapBnd /proc/self/status
	is_equal "$stdout" "CapBnd:	$(printf '%016x' $((0xa80425fb & ~(1 << 13) & ~(1 << 27))))"
	at ns --net none --cap-add ALL -- grep CapBnd /proc/self/status
	is_equal "$stdout" "$(grep CapBnd /proc/self/status)"
	at user --net none --cap-drop ALL -- grep CapEff /proc/self/status
	is_equal "$stdout" $'CapEff:\t0000000000000000'
	run_kennel run --cap-add NO_SUCH -- true
	refused yes NO_SUCH
}

@test "levels: a dropped capability is really gone, also for set-user-ID programs" {
	need_root "isolation fs and ns"
	at ns --net none --cap-drop CHOWN -- sh -c 'chown 33 /etc/issue; cp /usr/bin/chown /usr/bin/c2; chmod 4755 /usr/bin/c2; setpriv --reuid 33 --clear-groups c2 33 /etc/issue'
	is_equal "$(grep -c 'Operation not permitted' <<<"$stderr")" 2
}

@test "levels: the system call filter is on at ns and user, not at fs" {
	need_root "isolation fs and ns"
	local level
	for level in ns user; do
		at "$level" --net none -- grep Seccomp: /proc/self/status
		is_equal "$stdout" $'Seccomp:\t2'
	done
	at fs -- grep Seccomp: /proc/self/status
	is_equal "$stdout" "$(grep Seccomp: /proc/self/status)"
}

@test "levels: what the filter answers" {
	need_root "isolation fs and ns"
	cat >"$T/calls.py" <<'PY'
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *args):
    ctypes.set_errno(0)
    r = libc.syscall(*args)
    print(name, "ok" if r >= 0 else errno.errorcode[ctypes.get_errno()])
call("getpid", 39)
call("kexec_load", 246, 0, 0, 0, 0)
call("init_module", 175, 0, 0, 0)
call("bpf", 321, 0, 0, 0)
call("perf_event_open", 298, 0, 0, 0, 0, 0)
call("keyctl", 250, 0, 0)
call("swapon", 167, 0, 0)
call("unknown", 4095)
call("open_by_handle_at", 304, 0, 0, 0)
call("userfaultfd", 323, 0)
call("io_uring_setup", 425, 1, 0)
PY
	local level line
	for level in ns user; do
		at "$level" --net none -- python3 "$T/calls.py"
		is_status 0
		while read -r line; do
			case $line in
			"getpid ok" | *" ENOSYS" | *" EPERM") ;;
			*)
				echo "$level: $line"
				return 1
				;;
			esac
		done <<<"$stdout"
		has "unknown ENOSYS" "$stdout"
	done
}

@test "levels: --no-new-privs" {
	need_root "isolation fs and ns"
	local level
	for level in $ALL_LEVELS; do
		at "$level" --no-new-privs -- sh -c 'grep NoNewPrivs /proc/self/status; cp /usr/bin/id /usr/bin/sid; chmod 4755 /usr/bin/sid; setpriv --reuid 33 --clear-groups sid -u'
		is_equal "$stdout" $'NoNewPrivs:\t1\n33'
		at "$level" -- sh -c 'grep NoNewPrivs /proc/self/status; cp /usr/bin/id /usr/bin/sid; chmod 4755 /usr/bin/sid; setpriv --reuid 33 --clear-groups sid -u'
		is_equal "$stdout" $'NoNewPrivs:\t0\n0'
	done
}

@test "levels: --idmap, the ids outside" {
	need_root "--idmap"
	touch "$T/file"
	chown 33:1003 "$T/file"
	local show='tr -s " " </proc/self/uid_map; tr -s " " </proc/self/gid_map; stat -c %u:%g "$0/file"; touch "$0/new"; chown 5 "$0/new"; stat -c %u:%g "$0/new"'
	run_kennel run --net none --idmap 10000 -- sh -c "$show" "$T"
	is_equal "$stdout" $' 0 10000 65536\n 0 10000 65536\n33:1003\n5:0'
	run_kennel run --net none --idmap 3000000:2000 -- sh -c "$show" "$T"
	is_equal "$stdout" $' 0 3000000 2000\n 0 3000000 2000\n33:1003\n5:0'
	run_kennel run --isolate ns --net none --idmap no -- sh -c "$show" "$T"
	is_equal "$stdout" $' 0 0 4294967295\n 0 0 4294967295\n33:1003\n5:0'
	run_kennel run --net none -- sh -c "$show" "$T"
	[[ $stdout =~ ^\ 0\ [1-9][0-9]{4,}\ 65536$'\n' ]]
	is_equal "${stdout##*65536$'\n'}" $'33:1003\n5:0'
}

@test "levels: --idmap, what a process is outside" {
	need_root "--idmap"
	background "$KENNEL" run --net none --idmap 10000 -u 33 -- sh -c 'echo up; exec sleep 47.11'
	wait_for 10 says "$T/out.$LIB_STARTED" up
	local init
	init=$("$KENNEL" list --json | jq -r ".[] | select(.pid == $!) | .init")
	is_equal "$(stat -c %u:%g "/proc/$init")" 10000:10000
	wait_for 5 sleeps_as 10033
}

# It has said so a moment before it becomes the program.
sleeps_as() {
	ps -o uid= -C sleep | tr -d ' ' | grep -qx "$1"
}

@test "levels: --idmap auto takes a steady range" {
	run_kennel run --net none -- cat /proc/self/uid_map
	local first=$stdout
	run_kennel run --net none -- cat /proc/self/uid_map
	is_equal "$stdout" "$first"
}

@test "levels: bad --idmap values" {
	local value
	for value in 0 -1 10000: 10000:0 abc 4294967290:100 10000:70000000000 :5; do
		run_kennel run --idmap "$value" -- true
		refused yes "$value"
	done
	run_kennel run --isolate user --idmap no -- true
	refused yes "user"
}

@test "levels: the devices that are always there, and no other" {
	need_root "isolation fs and ns"
	local level
	for level in $ALL_LEVELS; do
		at "$level" -- sh -c 'cd /dev; ls | tr "\n" " "; echo; head -c 3 zero | od -An -tx1; head -c 5 urandom | wc -c; head -c 5 random | wc -c; echo x >null; cat null; head -c 1 zero >full; [ -w shm ] && [ -w ptmx ] && echo yes; stat -c %a null tty shm . pts/ptmx'
		is_equal "$stdout" $'fd full null ptmx pts random shm stderr stdin stdout tty urandom zero \n 00 00 00\n5\n5\nyes\n666\n666\n1777\n755\n666'
		has "No space left on device" "$stderr"
	done
}

@test "levels: block devices can't be made or opened at ns, not even with all capabilities" {
	local image device
	truncate -s 1M "$T/image"
	device=$(losetup --find --show "$T/image") || skip "no loop devices here"
	at_end losetup --detach "$device"
	local numbers
	numbers="$((0x$(stat -c %t "$device"))) $((0x$(stat -c %T "$device")))"
	at ns --net none --cap-add ALL -- sh -c 'mount -t tmpfs none /mnt; mknod /mnt/b b '"$numbers"'; cat /mnt/b; mknod /dev/b b '"$numbers"'; cat /dev/b; mknod /mnt/mem c 1 1; cat /mnt/mem; rm /mnt/mem; ls /mnt /dev/b'
	has "/mnt/mem: Operation not permitted" "$stderr"
	is_equal "${stdout//[[:space:]]/}" "/mnt:"
	at ns --net none --cap-add ALL -- sh -c 'mount -t tmpfs none /mnt; mknod /mnt/null c 1 3 && echo x >/mnt/null && echo fine'
	is_equal "$stdout" fine
}

@test "levels: --device at ns: read, write, make" {
	local device name
	head -c 1M /dev/zero | tr '\0' d >"$T/image"
	device=$(losetup --find --show "$T/image") || skip "no loop devices here"
	at_end losetup --detach "$device"
	local try='head -c 4 "$0" && echo; printf more | dd of="$0" conv=notrunc status=none && echo written; rm "$0"; mknod "$0" b '"$((0x$(stat -c %t "$device"))) $((0x$(stat -c %T "$device")))"' && head -c 4 "$0"'
	at ns --net none --device "$device" -- sh -c "$try" "$device"
	is_equal "$stdout" $'dddd\nwritten\nmore'
	sync
	printf dddd | dd of="$device" conv=notrunc,fsync status=none
	at ns --net none --device "$device:r" -- sh -c "$try" "$device"
	is_equal "$stdout" dddd
	at ns --net none --device "$device:w" -- sh -c "$try" "$device"
	is_equal "$stdout" written
	is_equal "$(head -c 4 "$device")" more
}

@test "levels: --device at user" {
	local device
	head -c 1M /dev/zero | tr '\0' d >"$T/image"
	device=$(losetup --find --show "$T/image") || skip "no loop devices here"
	at_end losetup --detach "$device"
	run_kennel run --net none --device "$device" -- sh -c 'head -c 4 "$0" && echo && printf more | dd of="$0" conv=notrunc,fsync status=none && echo written' "$device"
	is_equal "$stdout" $'dddd\nwritten'
	is_equal "$(head -c 4 "$device")" more
	run_kennel run --net none --device "$device:r" -- sh -c 'head -c 4 "$0" && echo && printf less | dd of="$0" conv=notrunc status=none && echo written' "$device"
	is_equal "$stdout" more
	is_equal "$(head -c 4 "$device")" more
}

@test "levels: --device, what can't be" {
	run_kennel run --device /dev/no-such-device -- true
	is_status 125
	has /dev/no-such-device "$stderr"
	run_kennel run --device /etc/passwd -- true
	is_status 125
	has "not a device" "$stderr"
	run_kennel run --device /dev/null:x -- true
	refused yes "device: \"x\""
}

@test "levels: masked entries of /proc and /sys" {
	need_root "isolation fs and ns"
	local level
	for level in ns user; do
		at "$level" --net none -- sh -c 'wc -c </proc/kcore; wc -c </proc/keys; wc -c </proc/timer_list; ls /proc/acpi /sys/firmware 2>/dev/null; echo c >/proc/sysrq-trigger; echo x >/proc/sys/kernel/core_pattern; echo 1 >/sys/kernel/uevent_helper; :' 2>/dev/null
		lacks $'\n1' "$stdout"
		[[ $stderr == *sysrq-trigger* && $stderr == *core_pattern* ]]
	done
}

@test "levels: the session keyring is a new one" {
	need_root "isolation fs and ns"
	need_commands keyctl
	keyctl session - sh -c 'keyctl add user kennel-probe secret @s >/dev/null; "$0" run --net none -- sh -c "grep -c kennel-probe /proc/keys; cat /proc/keys | wc -c; echo end"' "$KENNEL" >"$T/out" 2>/dev/null </dev/null
	is_equal "$(tr '\n' ' ' <"$T/out")" "0 0 end "
}

@test "levels: an ordinary user may have user only" {
	need_root "runs a command as another user"
	local level
	for level in fs ns; do
		run as_user "$KENNEL" run --isolate "$level" -- true </dev/null
		[ "$status" -eq 125 ]
		has "needs root"
	done
}
