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
