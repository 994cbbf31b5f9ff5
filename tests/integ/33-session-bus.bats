#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# --socket session-bus: a part of the caller's session bus, here one of the test's own.

load lib

setup() {
	need_sandbox
	need_commands python3 dbus-daemon dbus-send gdbus xdg-dbus-proxy
	kennel_setup
	export DBUS_SESSION_BUS_ADDRESS=unix:path=$T/bus
	BUS=$(dbus-daemon --session --address="$DBUS_SESSION_BUS_ADDRESS" --nopidfile --fork --print-pid 3>&-)
	at_end kill "$BUS"
	# serve.py ADDRESS NAME: has that name on the bus, answers whatever is asked and gives a descriptor back. With a word more: asks it.
	cat >"$T/serve.py" <<-'END'
		import os, socket, struct, sys
		def field(code, kind, value):
		    data = struct.pack('<I', value) if kind == b'u' else struct.pack('<I', len(value)) + value + b'\0'
		    return bytes([code, 1]) + kind + b'\0' + data
		def message(kind, serial, fields, signature=b'', body=b''):
		    if signature:
		        fields = fields + [bytes([8, 1]) + b'g\0' + bytes([len(signature)]) + signature + b'\0']
		    packed = b''
		    for f in fields:
		        packed += bytes(-len(packed) % 8) + f
		    head = b'l' + bytes([kind, 0, 1]) + struct.pack('<III', len(body), serial, len(packed)) + packed
		    return head + bytes(-len(head) % 8) + body
		def call(serial, to, member, signature=b'', body=b'', more=[]):
		    return message(1, serial, [field(1, b'o', b'/org/freedesktop/DBus'), field(6, b's', to),
		                               field(2, b's', b'org.freedesktop.DBus'), field(3, b's', member)] + more, signature, body)
		def exactly(n):
		    data, fds = b'', []
		    while len(data) < n:
		        more, came, _, _ = socket.recv_fds(s, n - len(data), 9)
		        if not more:
		            sys.exit()
		        data += more
		        fds += came
		    return data, fds
		def take():
		    head, fds = exactly(16)
		    size, serial, fields = struct.unpack('<III', head[4:])
		    return head[1], serial, exactly(fields + -fields % 8 + size)[0], size, fds
		bus, name = b'org.freedesktop.DBus', sys.argv[2].encode()
		s = socket.socket(socket.AF_UNIX)
		s.connect(sys.argv[1])
		s.send(b'\0AUTH EXTERNAL ' + str(os.geteuid()).encode().hex().encode() + b'\r\nNEGOTIATE_UNIX_FD\r\n')
		for _ in range(2):
		    while exactly(1)[0] != b'\n':
		        pass
		s.send(b'BEGIN\r\n')
		s.send(call(1, bus, b'Hello'))
		while take()[0] != 2:
		    pass
		if len(sys.argv) > 3:
		    # each second one with a descriptor, all said before the first answer is looked at
		    for i in range(2, 42):
		        if i % 2:
		            fd = os.memfd_create('')
		            os.write(fd, b'in %d' % i)
		            socket.send_fds(s, [call(i, name, b'Ask', more=[field(9, b'u', 1)])], [fd])
		        else:
		            s.send(call(i, name, b'Ask'))
		    heard = []
		    while len(heard) < 40:
		        kind, _, rest, size, fds = take()
		        if kind == 2 and rest[-6:] in (b'hello\0', b'bytes\0'):
		            heard += [os.pread(fds[0], 99, 0).decode() if fds else 'none']
		    print(heard == ['in %d' % i if i % 2 else 'none' for i in range(2, 42)] or heard)
		    sys.exit()
		s.send(call(2, bus, b'RequestName', b'su', struct.pack('<I', len(name)) + name + b'\0' +
		       bytes(-(len(name) + 5) % 4) + struct.pack('<I', 4)))
		while True:
		    kind, serial, rest, size, fds = take()
		    if kind == 2 and size == 4:
		        print('ready', flush=True)
		    if kind != 1:
		        continue
		    at = rest.index(b'\x07\x01s\0') + 4
		    n, = struct.unpack('<I', rest[at:at + 4])
		    fields = [field(5, b'u', serial), field(6, b's', rest[at + 4:at + 4 + n])]
		    text = b'bytes' if fds else b'hello'
		    socket.send_fds(s, [message(2, 9, fields + [field(9, b'u', 1)] * len(fds), b's', struct.pack('<I', 5) + text + b'\0')], fds)
		    for fd in fds:
		        os.close(fd)
	END
}

# service NAME: on the bus outside, until the test's end.
service() {
	background python3 "$T/serve.py" "$T/bus" "$1"
	wait_for 10 says "$T/out.$LIB_STARTED" ready
}

levels() {
	if [ "$(id -u)" -eq 0 ]; then echo fs ns user; else echo user; fi
}

# ask NAME: words for a shell inside, which call it with both libraries.
ask() {
	printf 'dbus-send --session --print-reply=literal --dest=%s / org.test.Any.Ask && echo || echo no
		gdbus call --session -d %s -o / -m org.test.Any.Ask || echo no\n' "$1" "$1"
}

@test "session bus: what is named can be called and seen, by both libraries, and nothing else" {
	service org.test.Friend
	service org.test.Stranger
	local level
	for level in $(levels); do
		run_kennel run -q --isolate "$level" --net host --socket session-bus --dbus-talk org.test.Friend -- \
			sh -c "echo \$DBUS_SESSION_BUS_ADDRESS; $(ask org.test.Friend); exec 2>/dev/null; $(ask org.test.Stranger)
			gdbus call --session -d org.freedesktop.DBus -o / -m org.freedesktop.DBus.ListNames | grep -o 'org[.]test[.][A-Za-z]*'"
		is_equal "$stdout" "unix:path=/run/host/session-bus
   hello
('hello',)
no
no
org.test.Friend"
	done
}

@test "session bus: a name can be owned inside where that is allowed, and below it with .*" {
	local level
	for level in $(levels); do
		run_kennel run -q --isolate "$level" --net host --socket session-bus --dbus-own 'org.test.Mine.*' -- sh -c '
			own() {
				dbus-send --session --print-reply=literal --dest=org.freedesktop.DBus / \
					org.freedesktop.DBus.RequestName "string:$1" uint32:4 2>/dev/null || echo no
			}
			own org.test.Mine.One; own org.test.Mine; own org.test.Other'
		is_equal "$stdout" "   uint32 1
   uint32 1
no"
	done
}

@test "session bus: the bus itself is not there, and what is said to it wrongly ends that client alone" {
	service org.test.Friend
	cat >"$T/rubbish.py" <<-'END'
		import socket, sys
		for data in b'x', b'\0' + b'A' * 600, b'\0A\tB\r\n', b'\0\r\n', b'\0BEGIN\r\n' + b'\xff' * 64, b'\0AUTH\nBEGIN\n':
		    s = socket.socket(socket.AF_UNIX)
		    s.settimeout(10)
		    s.connect('/run/host/session-bus')
		    try:
		        s.send(data)
		        while s.recv(1000):
		            pass
		    except ConnectionError:
		        pass
		# more than there is room for, who say nothing: they do not end what is served already, and leave room when they go
		silent = [socket.socket(socket.AF_UNIX) for _ in range(80)]
		for s in silent:
		    s.setblocking(False)
		    try:
		        s.connect('/run/host/session-bus')
		    except BlockingIOError:
		        pass
		s = socket.socket(socket.AF_UNIX)
		try:
		    s.connect(sys.argv[1])
		    print('reached')
		except OSError:
		    print('out of reach')
	END
	run_kennel run -q --net none --socket session-bus --dbus-talk org.test.Friend -- \
		sh -c "python3 $T/rubbish.py $T/bus; $(ask org.test.Friend)"
	is_equal "$stdout" "out of reach
   hello
('hello',)"
}

@test "session bus: a descriptor arrives with the message that it was sent with, both ways" {
	service org.test.Friend
	local level
	for level in $(levels); do
		run_kennel run -q --isolate "$level" --net host --socket session-bus --dbus-talk org.test.Friend -- \
			python3 "$T/serve.py" /run/host/session-bus org.test.Friend ask
		is_equal "$stdout" True
	done
}

@test "session bus: nothing is left of it, also where the monitor is killed" {
	"$KENNEL" create -P "$T/store" --net none --socket session-bus --dbus-talk org.test.Friend box
	has "dbus-talk = org.test.Friend" "$("$KENNEL" config -P "$T/store" box)"
	"$KENNEL" start -P "$T/store" box
	local monitor relay
	monitor=$("$KENNEL" list --json -P "$T/store" | grep -o '"pid": [0-9]*' | grep -o '[0-9]*')
	relay=$(pgrep -P "$monitor" kennel-bus)
	[ -n "$relay" ]
	pgrep -P "$relay" xdg-dbus-proxy
	kill -9 "$monitor"
	wait_for 10 gone "$relay"
	wait_for 10 no_proxy
	no_leaks
	"$KENNEL" rm -P "$T/store" box
}

gone() {
	! kill -0 "$1" 2>/dev/null
}

no_proxy() {
	! pgrep -f "xdg-dbus-proxy .*$T/bus"
}

@test "session bus: what is wrong is told" {
	run_kennel run --dbus-talk org.test.Friend -- true
	is_status 125
	has "dbus-talk is about a session bus that is not there inside" "$stderr"
	has "add --socket session-bus" "$stderr"
	local name
	for name in org :1.5 .org.test 'org.*.test' '*' 'org.*'; do
		run_kennel run --socket session-bus --dbus-own "$name" -- true
		is_status 125
		has "dbus-own: \"$name\" is not a name of a bus" "$stderr"
	done
	unset DBUS_SESSION_BUS_ADDRESS
	run_kennel run --socket session-bus -- true
	is_status 125
	has "socket session-bus: DBUS_SESSION_BUS_ADDRESS is not set, and there is no bus in XDG_RUNTIME_DIR" "$stderr"
	run_kennel list -q
	is_equal "$stdout" ""
}

@test "session bus: a name of a start whose processes were all killed goes with the next command, a living one's stays" {
	local dir=/run/kennel gone
	[ "$EUID" -eq 0 ] || dir=$XDG_RUNTIME_DIR/kennel
	"$KENNEL" list >/dev/null
	sleep 0.1 &
	gone=$!
	wait "$gone"
	touch "$dir/.bus-$gone-0123abcd" "$dir/.proxy-$gone-0123abcd" "$dir/.bus-$$-0123abcd" "$dir/.bus-$gone-x"
	at_end rm -f "$dir/.bus-$$-0123abcd" "$dir/.bus-$gone-x"
	"$KENNEL" list >/dev/null
	is_equal "$(cd "$dir" && ls -d .bus-* .proxy-* 2>/dev/null)" "$(printf '%s\n' ".bus-$$-0123abcd" ".bus-$gone-x" | sort)"
}

@test "session bus: into a guest, where no descriptors are agreed on" {
	need_guest
	service org.test.Friend
	cat >"$T/agree.py" <<-'END'
		import socket
		s = socket.socket(socket.AF_UNIX)
		s.connect('/run/host/session-bus')
		s.send(b'\0AUTH EXTERNAL 30\r\nNEGOTIATE_UNIX_FD\r\n')
		said = b''
		while said.count(b'\n') < 2:
		    said += s.recv(100)
		print([line.split()[0] for line in said.splitlines()])
	END
	run_kennel run -q --isolate vm --net none --socket session-bus --dbus-talk org.test.Friend --share "$T/agree.py:ro" -- \
		sh -c "$(ask org.test.Friend); python3 $T/agree.py"
	is_equal "$stdout" "   hello
('hello',)
[b'OK', b'ERROR']"
}
