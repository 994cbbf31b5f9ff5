#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# --isolate vm from outside: what there is around the guest's kernel, and that its registers are sound. KENNEL_TEST_SOAK=100 (with
# BATS_TEST_TIMEOUT=3000): so often a program in it is asked for the same, and so many guests come and go.

load lib

setup() {
	kennel_setup
	need_guest
}

init_of() {
	"$KENNEL" info --json "$1" | sed -n 's/.*"init": \([0-9]*\).*/\1/p'
}

not_listed() {
	! "$KENNEL" list -q | grep -qx "$1"
}

# guest ARG...: one in the background that answers when it is up; $id is its id.
guest() {
	background "$KENNEL" run --isolate vm "$@" -- sh -c 'echo up; exec sleep 600'
	wait_for 60 grep -q up "$T/out.$LIB_STARTED"
	id=$("$KENNEL" list -q)
}

@test "vm walls: around the guest there is its kernel, the copy, and no right over this machine" {
	guest --net none
	init=$(init_of "$id")
	# of an ordinary user nobody but root may look there
	if [ "$(id -u)" -eq 0 ]; then
		is_equal "$(printf '%s ' "/proc/$init/root/"* | sed "s|/proc/$init/root/||g; s|remedy.so ||")" \
			"copy dev initrd lib lib64 linux live modules proc run tmp tree upper "
		run touch "/proc/$init/root/file"
		is_status 1
	fi
	for pid in $(pgrep --ns "$init" --nslist pid . 2>/dev/null); do
		# CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_NET_BIND_SERVICE, CAP_NET_ADMIN, CAP_NET_RAW
		is_equal "$(sed -n 's/^CapBnd:\t*//p' "/proc/$pid/status")" 0000000000003406
		is_equal "$(sed -n 's/^Seccomp:\t*//p' "/proc/$pid/status")" 2
	done
	run_kennel exec "$id" -- sh -c 'cat /proc/sys/kernel/hostname; exit 9'
	is_status 9
	has "kennel-$id" "$stdout"
}

# like A B: the same tree, but for what cp leaves alone.
like() {
	is_equal "$(cd "$1" && find . -printf '%P %y %m %s %n %Ts %l\n' | sort)" "$(cd "$2" && find . -printf '%P %y %m %s %n %Ts %l\n' | sort)"
	diff -r --no-dereference "$1" "$2"
}

@test "vm walls: files go into a guest and out of it, as with any sandbox, and whoever is killed leaves nothing" {
	guest --net none
	mkdir -p "$T/tree/dir/deep"
	echo text >"$T/tree/file"
	ln "$T/tree/file" "$T/tree/dir/again"
	ln -s ../nowhere "$T/tree/dir/link"
	truncate -s 300M "$T/tree/sparse"
	echo end >>"$T/tree/sparse"
	setfattr -n user.note -v yes "$T/tree/file"
	chmod 2751 "$T/tree/dir"
	touch -d @12345 "$T/tree/file"
	"$KENNEL" cp "$T/tree" "$id:/srv"
	# under its name into a directory, as the name that it gets, contents alone
	"$KENNEL" cp "$id:/srv/tree" "$T/out"
	chmod g-s "$T/tree/dir"
	like "$T/tree" "$T/out"
	"$KENNEL" cp "$id:/srv/tree/." "$T/out"
	diff -r --no-dereference "$T/tree" "$T/out"
	echo other >"$T/one"
	"$KENNEL" cp "$T/one" "$id:/srv/tree/file"
	"$KENNEL" cp "$T/tree/dir" "$id:/srv/tree"
	run_kennel exec "$id" -- sh -c 'cat /srv/tree/file /srv/tree/dir/again; stat -c "%U %a" /srv/tree/dir /srv/tree; ls -A /srv; mkfifo /srv/pipe
		echo s >/srv/set; chmod 6755 /srv/set'
	is_status 0
	is_equal "$stdout" "$(printf '%s\n' other text "$(id -un) 2751" "$(id -un) $(stat -c %a "$T/tree")" tree)"
	"$KENNEL" cp "$id:/srv/set" "$T"
	is_equal "$(stat -c %a "$T/set")" 755
	run_kennel cp "$id:/srv" "$T/srv"
	refused yes "all but 1 sockets"
	run_kennel cp "$id:/nope" "$T"
	refused no 'find "/nope"'
	run_kennel cp "$T/nope" "$id:/srv"
	refused no "find \"$T/nope\""
	run_kennel cp "$T/tree" "$id:/etc/passwd"
	refused yes "is not a directory"
	run_kennel cp "$T/one" "$id:/proc"
	refused no "file system of the kernel"
	run_kennel cp "$id:/proc" "$T"
	refused yes "file system of the kernel"
	run_kennel cp "$id:/etc/passwd" "$T/none/file"
	refused yes "there is no directory"
	# what is too much for it, and kills in the middle
	head -c 300M /dev/urandom >"$T/big"
	run_kennel cp "$T/big" "$id:/srv"
	refused no "No space left on device"
	names=$(cd "$T" && printf '%s ' * .[!.]*)
	"$KENNEL" exec "$id" -- sh -c 'head -c 60M /dev/urandom >/tmp/big'
	for what in "$id:/tmp/big $T/part" "$T/big $id:/srv/part"; do
		# shellcheck disable=SC2086
		"$KENNEL" cp $what 3>&- &
		sleep 0.1
		kill -KILL $!
		wait $! || :
	done
	# shellcheck disable=SC2016
	wait_for 20 sh -c 'cd "$1" && [ "$(printf "%s " * .[!.]*)" = "$2" ]' - "$T" "$names"
	run_kennel exec "$id" -- ls -A /srv
	is_equal "$stdout" "$(printf '%s\n' pipe set tree)"
}

@test "vm walls: what a guest that runs has changed is told as of any sandbox" {
	guest --net none --hostname same --hide /opt
	# shellcheck disable=SC2016
	script='rm /etc/issue; rm -r /etc/apt; mkdir /etc/apt; echo new >/etc/apt/new; echo more >>/etc/motd; mkdir -p /srv/d /opt/x; echo f >/srv/f
		ln /srv/f /srv/d/again; ln -s f /srv/link; chmod 6755 /srv/f; chown 33:44 /srv/d; head -c 30M /dev/urandom >/srv/big; touch /etc/hosts'
	"$KENNEL" exec "$id" -- sh -c "$script"
	"$KENNEL" diff "$id" >"$T/guest.diff"
	"$KENNEL" diff --content "$id" /etc >"$T/guest.text"
	background "$KENNEL" run --isolate user --net none --hostname same --hide /opt -- sh -c 'echo up; exec sleep 600'
	wait_for 60 grep -q up "$T/out.$LIB_STARTED"
	other=$("$KENNEL" list -q | grep -vx "$id")
	"$KENNEL" exec "$other" -- sh -c "$script"
	"$KENNEL" diff "$other" >"$T/user.diff"
	diff "$T/user.diff" "$T/guest.diff"
	"$KENNEL" diff --content "$other" /etc | diff - "$T/guest.text"
	[ "$(wc -l <"$T/guest.diff")" -gt 10 ]
	run_kennel commit --dry-run "$id"
	refused yes "is running"
	run_kennel commit -v --dry-run --running "$id" /srv
	has "/srv/f" "$output"
	run_kennel export -o "$T/out.tar" "$id"
	is_status 0
	is_equal "$(tar xOf "$T/out.tar" ./srv/d/again)" f
	mkdir "$T/place"
	for _ in 1 2 3; do
		TMPDIR=$T/place "$KENNEL" diff "$id" >/dev/null 3>&- &
		sleep 0.05
		kill -KILL $!
		wait $! || :
	done
	# shellcheck disable=SC2016
	wait_for 20 sh -c '[ -z "$(ls -A "$0")" ]' "$T/place"
	run_kennel exec "$id" -- stat -c %s /srv/big
	is_equal "$stdout" $((30 << 20))
}

stands_still() {
	local size
	size=$(stat -c %s "$1")
	pause 0.2
	[ "$(stat -c %s "$1")" = "$size" ]
}

@test "vm walls: a frozen guest stands still, busy as it is, and goes on, or is stopped" {
	background "$KENNEL" run --isolate vm --net none -- sh -c 'while :; do :; done & while echo go; do sleep 0.05; done'
	wait_for 60 grep -q go "$T/out.$LIB_STARTED"
	id=$("$KENNEL" list -q)
	for _ in 1 2 3; do
		"$KENNEL" freeze "$id"
		run_kennel list
		has frozen "$stdout"
		# what it had said before may still be on its way
		wait_for 10 stands_still "$T/out.$LIB_STARTED"
		size=$(stat -c %s "$T/out.$LIB_STARTED")
		sleep 0.3
		is_equal "$(stat -c %s "$T/out.$LIB_STARTED")" "$size"
		for command in "exec $id -- true" "cp $id:/etc/hostname $T/copied" "diff $id" "export -o $T/exported.tar $id"; do
			# shellcheck disable=SC2086
			run_kennel $command
			refused yes "frozen, and with it the kernel that alone sees"
		done
		"$KENNEL" thaw "$id"
		# shellcheck disable=SC2016
		wait_for 20 sh -c '[ "$(stat -c %s "$0")" -gt "$1" ]' "$T/out.$LIB_STARTED" "$size"
	done
	"$KENNEL" freeze "$id"
	"$KENNEL" stop "$id"
	not_listed "$id"
	is_equal "$(find "${XDG_RUNTIME_DIR:-/run}/kennel" -name "$id.*")" ""
}

@test "vm walls: vector registers are what they were, and a program that uses them says the same each time" {
	cc -std=gnu17 -O1 -static -o "$T/vectors" "$KENNEL_STAGE/tests/harness/vectors.c"
	# shellcheck disable=SC2016
	run_kennel run --isolate vm --net none --share "$T:ro" -- sh -c '
		"$0/vectors" 10 3 || exit 1
		dpkg-query -W >/tmp/first || exit 2
		for i in $(seq "$1"); do dpkg-query -W | cmp - /tmp/first || exit 3; done
		[ "$(wc -l </tmp/first)" -gt 50 ] && echo all the same' "$T" "${KENNEL_TEST_SOAK:-3}"
	is_status 0
	has sound "$stdout"
	has "all the same" "$stdout"
}

@test "vm walls: guests that end, and guests whose kernel or monitor is killed, leave nothing" {
	for _ in $(seq "${KENNEL_TEST_SOAK:-1}"); do
		"$KENNEL" run --isolate vm --net none -- true
		for victim in kernel monitor; do
			guest --net none
			monitor=$!
			[ "$victim" = monitor ] || victim=$(pgrep -P "$(init_of "$id")" | head -n 1)
			[ "$victim" != monitor ] || victim=$monitor
			kill -KILL "$victim"
			wait "$monitor" && return 1
			wait_for 20 not_listed "$id"
		done
	done
}

@test "vm walls: the network is the guest's: its name, its address, a published port" {
	cat >"$T/serve.py" <<'PY'
import socket, sys, threading
server = socket.create_server(("", 8000))
datagrams = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
datagrams.bind(("::", int(sys.argv[1])))
def answer():
    while True:
        text, who = datagrams.recvfrom(65536)
        datagrams.sendto(b"heard " + text, who)
threading.Thread(target=answer, daemon=True).start()
print("listens", flush=True)
while True:
    connection = server.accept()[0]
    text = b""
    while piece := connection.recv(4096):
        text += piece
    connection.sendall(b"from the guest: " + text.upper())
    connection.close()
PY
	# it says all and then hears all, so both must learn of the other's end
	cat >"$T/ask.py" <<'PY'
import socket, sys
connection = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=100)
connection.sendall(b"x" * 100000)
connection.shutdown(socket.SHUT_WR)
answer = b""
while piece := connection.recv(4096):
    answer += piece
print(answer[:17].decode(), len(answer))
PY
	# several who ask at a time, one with a large datagram, and more than there are flows
	cat >"$T/tell.py" <<'PY'
import socket, sys
all = [socket.socket(type=socket.SOCK_DGRAM) for _ in range(300)]
for s in all:
    s.settimeout(100)
    s.connect(("127.0.0.1", int(sys.argv[1])))
heard = 0
for i in list(range(300)) + [0]:
    all[i].send(b"%d" % i * 5000)
    heard += all[i].recv(65536) == b"heard " + b"%d" % i * 5000
print(heard)
PY
	port=$((18400 + (EUID != 0)))
	# pasta of 2023 answers datagrams of the machine itself only where both numbers are the same
	background "$KENNEL" run -q --isolate vm --hostname server --share "$T:ro" --publish "127.0.0.1:$port:8000" \
		--publish "127.0.0.1:$port:$port/udp" -- python3 "$T/serve.py" "$port"
	wait_for 60 grep -q listens "$T/out.$LIB_STARTED"
	run_kennel exec "$("$KENNEL" list -q)" -- sh -c 'hostname; ip -4 -o address show eth0'
	is_status 0
	has server "$stdout"
	has "inet " "$stdout"
	is_equal "$(python3 "$T/ask.py" 127.0.0.1 "$port")" "from the guest: X 100016"
	is_equal "$(python3 "$T/tell.py" "$port")" 301
}

@test "vm walls: a guest that reads more files than its kernel may have open" {
	cat >"$T/read.py" <<'PY'
import glob
names = (glob.glob("/usr/share/doc/*/*") + glob.glob("/usr/bin/*"))[:2500]
failed = 0
for name in names:
    try:
        open(name, "rb").read(1)
    except IsADirectoryError:
        pass
    except OSError as e:
        failed += e.errno in (23, 24)
print("enough" if len(names) > 1500 else len(names), failed)
PY
	run prlimit --nofile=1024:1024 "$KENNEL" run --isolate vm --net none --share "$T:ro" -- python3 "$T/read.py"
	is_status 0
	is_equal "$output" "enough 0"
}

@test "vm walls: a hundred published ports, one of them twice; a library of kennel's that is missing" {
	local ports=() n first=$((20000 + (EUID != 0) * 200))
	for n in $(seq 0 99); do ports+=(--publish "127.0.0.1:$((first + n)):$((30000 + n))"); done
	background "$KENNEL" run -q --isolate vm "${ports[@]}" --publish "127.0.0.1:$((first + 100)):30099" -- \
		/usr/bin/python3 -c 'import socket; s = socket.create_server(("", 30099)); print("up", flush=True)
while True: s.accept()[0].sendall(b"here")'
	wait_for 60 grep -q up "$T/out.$LIB_STARTED"
	for n in 99 100; do
		is_equal "$(/usr/bin/python3 -c 'import socket, sys; print(socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=100).recv(9).decode())' $((first + n)))" here
	done
	run_kennel check
	[[ $stdout == *"helped with this processor's registers"* ]] || return 0
	mkdir "$T/bin"
	cp "$KENNEL" "$T/bin/kennel"
	status=0
	stderr=$("$T/bin/kennel" run --isolate vm --net none -- true 2>&1) || status=$?
	is_status 125
	has "kennel-remedy.so is not installed" "$stderr"
	has "before 6.13" "$stderr"
}
