#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# Containers in the background: their monitor's socket from inside, and what they write into the log.

load ../integ/lib

setup() {
	need_sandbox
	need_commands python3
	kennel_setup
	at_end end_all
}

end_all() {
	"$KENNEL" rm --force -P "$T/store" box 2>/dev/null
	"$KENNEL" gc >/dev/null
}

@test "attack live: a sandbox that the runtime directory is shared with can't speak to a monitor" {
	runtime=/run/kennel
	[ "$(id -u)" -eq 0 ] || runtime=$XDG_RUNTIME_DIR/kennel
	"$KENNEL" create -P "$T/store" --net none box
	id=$("$KENNEL" start -P "$T/store" box -- sh -c 'read a; echo "got $a"; sleep 300')
	cat >"$T/speak.py" <<-'END'
		import socket, struct, sys
		s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
		try:
		    s.connect(sys.argv[1])
		    s.send(struct.pack('=HHIHHI', 1, 1, 8, 0, 0, 1))
		    s.send(struct.pack('=HHI', 1, 2, 6) + b'typed\n')
		    print(s.recv(9000)[8:].decode())
		except OSError as e:
		    print('refused by the kernel:', e)
	END
	levels="fs ns user"
	[ "$(id -u)" -eq 0 ] || levels=user
	for level in $levels; do
		run_kennel run --isolate "$level" --share "$runtime" --share "$T" -- python3 "$T/speak.py" "$runtime/$id.sock"
		case $level in
		fs) ;; # shares the processes of the machine: no wall is promised there
		*) # an answer, or the line is cut before the client has asked
			[[ $stdout == *"from inside of a sandbox"* || $stdout == *"it is not yours"* ||
				$stdout == *"refused by the kernel"* ]]
			;;
		esac
	done
	[ "$levels" != user ] || ! "$KENNEL" log -P "$T/store" box | grep -q typed
	# and the container's own user may, from outside
	run python3 "$T/speak.py" "$runtime/$id.sock"
	lacks "inside of a sandbox" "$output"
	wait_for 10 sh -c "'$KENNEL' log -P '$T/store' box | grep -q 'got typed'"
}

@test "attack live: another user can't speak to a monitor of root's" {
	[ "$(id -u)" -eq 0 ] || skip "needs root: another user"
	"$KENNEL" create -P "$T/store" --net none box
	id=$("$KENNEL" start -P "$T/store" box)
	run as_user python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).connect(sys.argv[1])' "/run/kennel/$id.sock"
	[ "$status" -ne 0 ]
	has "Permission denied" "$output"
}

@test "attack live: what a container writes moves nobody's cursor and types nothing" {
	need_commands script
	"$KENNEL" create -P "$T/store" --net none box
	"$KENNEL" start -q -P "$T/store" box -- printf '\033]0;title\007\033[2Ja\302\233 6n\033Pq\033\\b\033[6n\005c\n'
	"$KENNEL" wait -P "$T/store" -t 60 box
	script -qec "'$KENNEL' log -P '$T/store' box" /dev/null </dev/null >"$T/shown"
	! LC_ALL=C grep -q "$(printf '[\033\005\007\233]')" "$T/shown"
	grep -q 'a 6nbc' "$T/shown"
	"$KENNEL" log -P "$T/store" box | LC_ALL=C grep -q "$(printf '\033')"
}

# reboot_by WAY [OPTION]...
reboot_by() {
	run_kennel run --net none "${@:2}" -- python3 -c 'import ctypes, sys; libc = ctypes.CDLL(None, use_errno=True)
libc.syscall(169 if sys.argv[2] == "x86_64" else 142, ctypes.c_uint(0xfee1dead), ctypes.c_uint(672274793), ctypes.c_uint(int(sys.argv[1], 0)), None)
print("still here", ctypes.get_errno())' "$1" "$(uname -m)"
}

# reboot_inside [OPTION]...: in each of its ways.
reboot_inside() {
	uptime=$(cut -d. -f1 /proc/uptime)
	for way in 0x01234567 0x4321fedc 0xcdef0123 0xa1b2c3d4 0x45584543 0xd000fce2 0x89abcdef 0; do
		reboot_by "$way" "$@"
		case $way in # restart, halt, power off; all others have no meaning in a pid namespace
		0x01234567 | 0xa1b2c3d4) is_status 129 ;;
		0x4321fedc | 0xcdef0123) is_status 130 ;;
		*) has "still here 22" "$stdout" ;;
		esac
	done
	[ "$(cut -d. -f1 /proc/uptime)" -ge "$uptime" ]
}

@test "attack live: reboot inside, in each of its ways, ends that sandbox and nothing else" { reboot_inside; }

@test "attack live: reboot inside at level ns, with the capability for it" {
	need_root "level ns"
	reboot_by 0x01234567 --isolate ns
	is_equal "$stdout" "still here 1"
	reboot_inside --isolate ns --cap-add SYS_BOOT
}
