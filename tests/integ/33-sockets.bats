#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# --socket: sockets of the caller's session by name. What listens is a server of the test, which says who it is.

load lib

setup() {
	need_sandbox
	need_commands python3
	kennel_setup
	mkdir -p "$T/session/pulse"
	cat >"$T/serve.py" <<-'END'
		import os, selectors, socket, sys
		box = selectors.DefaultSelector()
		for path in sys.argv[1:]:
		    s = socket.socket(socket.AF_UNIX)
		    s.bind(path)
		    s.listen()
		    box.register(s, selectors.EVENT_READ, os.path.basename(path))
		print('ready', flush=True)
		while True:
		    for key, _ in box.select():
		        c, _ = key.fileobj.accept()
		        c.send(key.data.encode())
		        c.close()
	END
	cat >"$T/ask.py" <<-'END'
		import os, socket, sys
		for path in sys.argv[1:]:
		    s = socket.socket(socket.AF_UNIX)
		    try:
		        s.connect(path)
		        print(s.recv(100).decode())
		    except OSError as e:
		        print(e.strerror)
	END
}

# serve PATH...: until the test's end.
serve() {
	python3 "$T/serve.py" "$@" >"$T/ready" 2>&1 3>&- &
	SERVER=$!
	at_end end_server
	wait_for 10 grep -q ready "$T/ready"
}

end_server() {
	kill "$SERVER" 2>/dev/null
	wait "$SERVER" 2>/dev/null || :
}

# in_session [NAME=VALUE]... ARG...: kennel with these variables; its own runtime directory stays what it is.
in_session() {
	local vars=()
	while [[ $1 == *=* ]]; do
		vars+=("$1")
		shift
	done
	run_with env "${vars[@]}" "$KENNEL" "$@"
}

run_with() {
	status=0
	"$@" >"$T/out" 2>"$T/err" </dev/null || status=$?
	stdout=$(<"$T/out")
	stderr=$(<"$T/err")
	cat "$T/out" "$T/err"
}

levels() {
	if [ "$(id -u)" -eq 0 ]; then echo fs ns user; else echo user; fi
}

@test "socket: each is there by its variable, and nothing else of the session" {
	serve "$T/session/wayland-3" "$T/session/pipewire-0" "$T/session/pulse/native" "$T/agent" "$T/session/bus"
	local level
	for level in $(levels); do
		in_session "WAYLAND_DISPLAY=$T/session/wayland-3" "PIPEWIRE_RUNTIME_DIR=$T/session" \
			"PULSE_SERVER=unix:$T/session/pulse/native" "SSH_AUTH_SOCK=$T/agent" \
			run -q --isolate "$level" --hide "$T" --share "$T/ask.py:ro" --socket wayland \
			--socket pipewire --socket pulseaudio --socket ssh-auth -- \
			sh -c "python3 $T/ask.py \$WAYLAND_DISPLAY \$PIPEWIRE_REMOTE \${PULSE_SERVER#unix:} \$SSH_AUTH_SOCK
				ls /run/host; echo \${DISPLAY-none}; ls $T/session"
		is_equal "$stdout" "wayland-3
pipewire-0
native
agent
pipewire-0
pulse
ssh-auth
wayland-0
none"
	done
}

@test "socket: in a container it is looked up at each start, and what enters has it too" {
	serve "$T/one" "$T/two"
	"$KENNEL" create -P "$T/store" --net none --socket ssh-auth box
	is_equal "$("$KENNEL" config -P "$T/store" box | grep socket)" "socket = ssh-auth"
	in_session "SSH_AUTH_SOCK=$T/one" run -q -P "$T/store" -k box -- python3 "$T/ask.py" /run/host/ssh-auth
	is_equal "$stdout" one
	in_session "SSH_AUTH_SOCK=$T/two" start -P "$T/store" box
	is_status 0
	run_kennel exec box -- sh -c "python3 $T/ask.py \$SSH_AUTH_SOCK"
	is_equal "$stdout" two
	"$KENNEL" stop -q "$("$KENNEL" list -q)" || "$KENNEL" stop "$("$KENNEL" list -q)"
	run_with env -u SSH_AUTH_SOCK "$KENNEL" start -P "$T/store" box
	is_status 125
	has "socket ssh-auth: SSH_AUTH_SOCK is not set" "$stderr"
	run_kennel list -q
	is_equal "$stdout" ""
	"$KENNEL" rm -P "$T/store" box
}

@test "socket: of X with its keys, under any host name" {
	[ -d /tmp/.X11-unix ] || {
		mkdir -m 1777 /tmp/.X11-unix
		at_end rmdir /tmp/.X11-unix
	}
	local number=$((20000 + RANDOM))
	[ ! -e "/tmp/.X11-unix/X$number" ]
	serve "/tmp/.X11-unix/X$number"
	at_end rm -f "/tmp/.X11-unix/X$number"
	# Three keys: of this display, of another one, of another machine's.
	python3 - "$number" "$T/keys" <<-'END'
		import struct, sys
		def field(b): return struct.pack('>H', len(b)) + b
		def entry(family, display, key):
		    return struct.pack('>H', family) + field(b'some.host') + field(display) + field(b'MIT-MAGIC-COOKIE-1') + field(key)
		n = sys.argv[1].encode()
		open(sys.argv[2], 'wb').write(entry(256, n, b'K' * 16) + entry(256, b'1', b'L' * 16) + entry(0, n, b'M' * 16))
	END
	in_session "DISPLAY=:$number.0" "XAUTHORITY=$T/keys" run -q --net none --socket x11 -- \
		sh -c "echo \$DISPLAY; python3 $T/ask.py /tmp/.X11-unix/X$number; cat \$XAUTHORITY | od -An -c | tr -d ' \n'; stat -c %a \$XAUTHORITY"
	is_equal "$stdout" ":$number
X$number
377377\\0\\0\\0005$number\\0022MIT-MAGIC-COOKIE-1\\0020KKKKKKKKKKKKKKKK600"
}

@test "socket: what is not there is told by name, and nothing is started" {
	run_with env -u WAYLAND_DISPLAY "$KENNEL" run --socket wayland -- true
	is_status 125
	has "socket wayland: WAYLAND_DISPLAY is not set" "$stderr"
	has "preserve-env=WAYLAND_DISPLAY" "$stderr"
	in_session WAYLAND_DISPLAY="$T/none" run --socket wayland -- true
	is_status 125
	has "socket wayland: \"$T/none\": No such file" "$stderr"
	in_session WAYLAND_DISPLAY="$T/serve.py" run --socket wayland -- true
	is_status 125
	has "is not a socket" "$stderr"
	in_session DISPLAY=far.away:0 run --socket x11 -- true
	is_status 125
	has "DISPLAY names no server of this machine" "$stderr"
	in_session PULSE_SERVER=tcp:host run --socket pulseaudio -- true
	is_status 125
	run_kennel run --socket waylnd -- true
	is_status 125
	has "no socket that is known by name" "$stderr"
	has "it is wayland, x11" "$stderr"
}

# One server for all: it counts what comes until an end of that, and says it; a second one never hears of it.
@test "socket: into a guest: bytes, ends of one direction, twenty at once, keys, what it can't carry" {
	need_guest
	cat >"$T/count.py" <<-'END'
		import os, socket, sys, threading
		def serve(c):
		    n = 0
		    while data := c.recv(1 << 16):
		        n += len(data)
		    c.send(b'%d of %d' % (n, os.geteuid()))
		    c.close()
		s = socket.socket(socket.AF_UNIX)
		s.bind(sys.argv[1])
		s.listen()
		print('ready', flush=True)
		while True:
		    threading.Thread(target=serve, args=s.accept()[:1], daemon=True).start()
	END
	cat >"$T/inside.py" <<-'END'
		import os, socket, sys
		def connect(path):
		    s = socket.socket(socket.AF_UNIX)
		    s.connect(path)
		    return s
		def counted(s):
		    s.shutdown(socket.SHUT_WR)
		    return s.recv(100).decode()
		agent = os.environ['SSH_AUTH_SOCK']
		s = connect(agent)
		s.sendall(bytes(1000000))
		print(counted(s))
		all = [connect(agent) for _ in range(20)]
		for i, s in enumerate(all):
		    s.send(bytes(i))
		print(' '.join(counted(s).split()[0] for s in reversed(all)))
		print(connect(sys.argv[1]).recv(100).decode())
		print(connect('/tmp/.X11-unix/X' + os.environ['DISPLAY'][1:]).recv(100).decode())
		print(open(os.environ['PULSE_CLIENTCONFIG']).readline().strip(), oct(os.stat(os.environ['XAUTHORITY']).st_mode))
	END
	[ -d /tmp/.X11-unix ] || {
		mkdir -m 1777 /tmp/.X11-unix
		at_end rmdir /tmp/.X11-unix
	}
	local number=$((20000 + RANDOM))
	serve "$T/raw" "/tmp/.X11-unix/X$number" "$T/session/pulse/native"
	at_end rm -f "/tmp/.X11-unix/X$number"
	background python3 "$T/count.py" "$T/agent"
	wait_for 10 grep -q ready "$T/out.$LIB_STARTED"
	in_session "SSH_AUTH_SOCK=$T/agent" "DISPLAY=:$number" "PULSE_SERVER=$T/session/pulse/native" run -q --isolate vm --net none \
		--share "$T/inside.py:ro" --mount "$T/raw:/srv/raw" --socket ssh-auth --socket x11 --socket pulseaudio -- \
		sh -c "python3 $T/inside.py /srv/raw; stat -c '%A %U' /run/host/ssh-auth /srv/raw"
	is_status 0
	# who connects is the caller
	is_equal "$stdout" "1000000 of $EUID
19 18 17 16 15 14 13 12 11 10 9 8 7 6 5 4 3 2 1 0
raw
X$number
enable-shm = no 0o100600
srw-rw-rw- root
srwxr-xr-x root"
	in_session "WAYLAND_DISPLAY=$T/raw" run --isolate vm --socket wayland -- true
	refused yes 'socket "wayland" descriptors are passed'
	has '--socket x11' "$stderr"
}

@test "socket: into a guest that is killed: the server hears of it, and nothing stays" {
	need_guest
	cat >"$T/hold.py" <<-'END'
		import socket, sys
		s = socket.socket(socket.AF_UNIX)
		s.bind(sys.argv[1])
		s.listen()
		print('ready', flush=True)
		c = s.accept()[0]
		print(c.recv(100).decode(), flush=True)
		print('end' if not c.recv(100) else 'more', flush=True)
	END
	background python3 "$T/hold.py" "$T/agent"
	local held=$LIB_STARTED
	wait_for 10 grep -q ready "$T/out.$held"
	SSH_AUTH_SOCK=$T/agent background "$KENNEL" run -q --isolate vm --net none --socket ssh-auth -- \
		python3 -c 'import socket, time; s = socket.socket(socket.AF_UNIX); s.connect("/run/host/ssh-auth"); s.send(b"hello"); time.sleep(600)'
	pid=$!
	wait_for 60 grep -q hello "$T/out.$held"
	kill -9 "$pid"
	wait "$pid" || :
	wait_for 10 grep -q end "$T/out.$held"
}
