#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: user
# Private networks: the sandboxes of an ordinary user that name the same one reach each other, and nothing else.

load lib

setup() {
	[ "$EUID" -ne 0 ] || skip "for an ordinary user"
	kennel_setup
	need_sandbox
	need_commands /usr/bin/python3 ip jq
	[ -w /dev/net/tun ] || skip "no tun device that this user may open"
	# serve: TCP answers with the sum of what came, UDP with the same again; ask ADDRESS MEGABYTES [SECONDS]
	cat >"$T/serve" <<-'END'
		import hashlib, socket, threading
		t = socket.create_server(("::", 8000), family=socket.AF_INET6, dualstack_ipv6=True)
		u = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
		u.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
		u.bind(("::", 5300))
		def udp():
		    while True:
		        data, a = u.recvfrom(9999)
		        u.sendto(b"udp " + data, a)
		threading.Thread(target=udp, daemon=True).start()
		print("up", flush=True)
		while True:
		    c, _ = t.accept()
		    h = hashlib.sha256()
		    while data := c.recv(1 << 20):
		        h.update(data)
		    c.sendall(h.hexdigest().encode())
		    c.close()
	END
	cat >"$T/ask" <<-'END'
		import hashlib, os, socket, sys
		address, megabytes, patience = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]) if sys.argv[3:] else 60
		data = os.urandom(megabytes << 20)
		try:
		    s = socket.create_connection((address, 8000), patience)
		    s.settimeout(60)
		    s.sendall(data)
		    s.shutdown(socket.SHUT_WR)
		    print("tcp", s.recv(99).decode() == hashlib.sha256(data).hexdigest())
		except OSError as e:
		    print("tcp", e)
		try:
		    family, _, _, _, to = socket.getaddrinfo(address, 5300, type=socket.SOCK_DGRAM)[0]
		    u = socket.socket(family, socket.SOCK_DGRAM)
		    u.settimeout(patience)
		    for size in (5, 4000):
		        u.sendto(b"x" * size, to)
		        print("udp", len(u.recv(9999)))
		except OSError as e:
		    print("udp", e)
	END
}

# serving NET [OPTION]...: one that serves there; sets SERVER, its monitor, ADDRESS and ADDRESS6.
serving() {
	local net=$1
	background "$KENNEL" run -q --net "$net" --hostname "server$LIB_STARTED" "${@:2}" -- /usr/bin/python3 "$T/serve"
	SERVER=$!
	wait_for 30 says "$T/out.$LIB_STARTED" up
	read -r ADDRESS ADDRESS6 < <("$KENNEL" list --json | jq -r ".[] | select(.pid == $SERVER).interfaces[0].addresses | map(split(\"/\")[0]) | @tsv")
}

ask() {
	run_kennel run -q "$@"
	is_status 0
}

nobody_left() {
	[ -z "$(find "$XDG_RUNTIME_DIR/kennel" -maxdepth 1 -name 'net-t[0-9]*')" ] && [ -z "$(switches)" ]
}

# switches: the processes that carry frames for monitors of this test.
switches() {
	pgrep -x kennel-switch -u "$EUID" | while read -r pid; do
		[[ $(readlink "/proc/$pid/fd/3") != */net-"$NET"* ]] || echo "$pid"
	done
}

# Once they have their names.
has_switches() {
	[ "$(switches | wc -l)" = "$1" ]
}

@test "private: members reach each other by TCP and UDP, and nothing else" {
	NET=t1$BASHPID
	serving "private:$NET"
	has "\"net\": \"private:$NET\"" "$("$KENNEL" list --json)"
	local id
	id=$("$KENNEL" list --json | jq -r ".[] | select(.pid == $SERVER).id")
	has "eth0 $ADDRESS/16 $ADDRESS6/64 (private $NET)" "$("$KENNEL" info "$id")"
	local same='tcp True\nudp 9\nudp 4004\n'
	# the last one by the address that the link gives
	ask --net "private:$NET" -- sh -c 'ip -o -4 route; for a; do /usr/bin/python3 '"'$T/ask'"' "$a" 10; done' sh "$ADDRESS" "$ADDRESS6" \
		"fe80::6b:65ff:fe6e:${ADDRESS6##*:}%eth0"
	is_equal "$(printf '%b' "$same$same$same")" "$(grep '^tcp\|^udp' <<<"$stdout")"
	is_equal "$(grep -vc '^tcp\|^udp' <<<"$stdout")" 1
	has "10.108.0.0/16 dev eth0" "$stdout"
	ask --net "private:$NET" -- sh -c 'for n in server0 server0.kennel; do getent ahostsv4 $n; getent ahostsv6 $n; done | grep STREAM; getent hosts nobody; getent hosts example.com; echo $?'
	is_equal "$(tr -s ' ' <<<"$stdout")" "$ADDRESS STREAM server0"$'\n'"$ADDRESS6 STREAM server0"$'\n'"$ADDRESS STREAM server0.kennel"$'\n'"$ADDRESS6 STREAM server0.kennel"$'\n2'
	# another network, and the world
	ask --net "private:${NET}x" -- sh -c 'getent hosts server0; exec /usr/bin/python3 "$0" "$1" 1 1' "$T/ask" "$ADDRESS"
	lacks True "$stdout"
	lacks "udp 9" "$stdout"
	ask --net "private:$NET" -- /usr/bin/python3 "$T/ask" 1.1.1.1 1 1
	has "Network is unreachable" "$stdout"
	run_kennel run --net "private:$NET" -p 8080:80 -- true
	refused yes "publish needs a network"
	run_kennel run --net "private:$NET,ip=10.0.0.1/8" -- true
	refused yes "takes no options"
	kill -TERM "$SERVER"
	wait_for 5 nobody_left
}

@test "private: a guest with a kernel of its own is a member as others are" {
	need_guest
	NET=t2$BASHPID
	serving "private:$NET"
	ask --isolate vm --net "private:$NET" -- /usr/bin/python3 "$T/ask" server0.kennel 10
	has $'tcp True\nudp 9\nudp 4004' "$stdout"
	serving "private:$NET" --isolate vm --net nat
	ask --net "private:$NET" -- /usr/bin/python3 "$T/ask" "$ADDRESS" 10
	has $'tcp True\nudp 9\nudp 4004' "$stdout"
}

@test "private: beside nat; a port of the machine leads to one, its neighbours have no way out by it" {
	need_commands pasta
	NET=t6$BASHPID
	local port=$((20000 + BASHPID % 10000))
	serving "private:$NET" --net nat -p "127.0.0.1:$port:8000"
	has "\"net\": \"nat,private:$NET\"" "$("$KENNEL" list --json)"
	is_equal "$(/usr/bin/python3 -c 'import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 10)
s.shutdown(socket.SHUT_WR)
print(s.recv(99).decode())' "$port")" e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
	ask --net "private:$NET" -- sh -c '/usr/bin/python3 "$0" server0 1; /usr/bin/python3 -c "
import socket, sys
s = socket.socket()
print(s.connect_ex((\"192.0.2.1\", 9)))"; ls /sys/class/net' "$T/ask"
	is_equal "$stdout" $'tcp True\nudp 9\nudp 4004\n101\neth0\nlo'
	# the interface is the second one; names of neighbours come first, and only those of the world are asked for elsewhere
	ask --net nat --net "private:$NET" -- sh -c 'ip -o -4 route show default; cat /sys/class/net/eth1/address; grep -m 1 nameserver /etc/resolv.conf
		getent ahostsv4 server0.kennel | grep STREAM; timeout 3 getent hosts nobody.kennel.; echo $?; /usr/bin/python3 "$0" server0.kennel 1' "$T/ask"
	has "default via" "$stdout"
	has " dev eth0" "$stdout"
	has "02:6b:65:6e:" "$stdout"
	has "nameserver 10.108.255.254" "$stdout"
	has "$ADDRESS" "$stdout"
	has $'\n2\ntcp True\nudp 9\nudp 4004' "$stdout"
}

@test "private: nobody speaks for a neighbour" {
	NET=t3$BASHPID
	cat >"$T/listen" <<-'END'
		import socket
		s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
		s.bind(("eth0", 0))
		print("up", flush=True)
		while True:
		    frame, a = s.recvfrom(9999)
		    if a[2] != socket.PACKET_OUTGOING and b"forged" in frame:
		        print(frame[-8:].rstrip(b"\0"), flush=True)
	END
	cat >"$T/forge" <<-'END'
		import socket, sys
		s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
		s.bind(("eth0", 0))
		own = s.getsockname()[4]
		ip = bytes([10, 108]) + own[4:]
		other, all = own[:5] + bytes([own[5] ^ 1]), b"\xff" * 6
		def packet(source, text):
		    return b"\x45\0\0\x22\0\0\0\0\x40\xfe\0\0" + source + b"\xff" * 4 + b"forged" + text
		def arp(mac, source, text):
		    return b"\0\1\x08\0\6\4\0\2" + mac + source + bytes(10) + b"forged" + text
		theirs = bytes([10, 108]) + other[4:]
		net6 = b"\xfdkennem" + bytes(7)
		def packet6(source, kind, body):
		    return b"\x86\xdd\x60\0\0\0\0" + bytes([len(body), kind, 255]) + source + b"\xff\2" + bytes(13) + b"\1" + body
		def tell(address, mac, text): # what has that address
		    return b"\x88\0\0\0\x20\0\0\0" + address + b"\2\1" + mac + text
		s.send(all + other + b"\x08\0" + packet(ip, b"-1"))        # the card
		s.send(all + own + b"\x08\0" + packet(theirs, b"-2"))      # the address
		s.send(all + own + b"\x08\6" + arp(own, theirs, b"-3"))
		s.send(all + own + b"\x08\6" + arp(other, ip, b"-4"))
		s.send(all + own + b"\x86\xdd" + b"\x60" + bytes(39) + b"forged-5")
		s.send(all + own + b"\x88\xb5" + bytes(40) + b"forged-6")
		s.send(all + own + packet6(net6 + other[4:], 17, b"forged-7"))
		s.send(all + own + packet6(net6 + own[4:], 58, tell(net6 + other[4:], own, b"\2\1forged")))
		s.send(all + own + packet6(net6 + own[4:], 58, tell(net6 + own[4:], b"forged", b"")))
		s.send(all + own + packet6(net6 + own[4:], 60, b"\x3a\0\1\4\0\0\0\0" + tell(net6 + other[4:], own, b"forged-8")))
		s.send(all + own + packet6(net6 + own[4:], 17, b"forged-9")) # what is right passes
		s.send(all + own + b"\x08\0" + packet(ip, b"-0"))
	END
	background "$KENNEL" run -q --net "private:$NET" -- /usr/bin/python3 "$T/listen"
	local heard=$T/out.$LIB_STARTED
	wait_for 30 says "$heard" up
	ask --net "private:$NET" -- /usr/bin/python3 "$T/forge"
	wait_for 5 says "$heard" "forged-0"
	is_equal "$(<"$heard")" $'up\nb\'forged-9\'\nb\'forged-0\''
}

@test "private: twenty members; what kills leave is nobody's, and goes" {
	NET=t4$BASHPID
	local i address addresses pid
	for ((i = 0; i < 20; i++)); do
		background "$KENNEL" run -q --net "private:$NET" -- sh -c 'echo up; exec sleep 300'
	done
	for ((i = 1; i <= 20; i++)); do wait_for 60 says "$T/out.$i" up; done
	wait_for 5 has_switches 20
	mapfile -t addresses < <("$KENNEL" list --json | jq -r ".[] | select(.net == \"private:$NET\").interfaces[0].addresses[0] | split(\"/\")[0]" | sort -u)
	is_equal ${#addresses[@]} 20
	# each answers that nobody listens there
	ask --net "private:$NET" -- /usr/bin/python3 -c '
import socket, sys
for a in sys.argv[1:]:
    s = socket.socket()
    s.settimeout(60)
    print(s.connect_ex((a, 9)))' "${addresses[@]}"
	is_equal "$(sort <<<"$stdout" | uniq -c | tr -s ' ')" " 20 111"
	# processes that carry frames, then monitors
	for pid in $(switches | head -n 5); do kill -KILL "$pid"; done
	for pid in $("$KENNEL" list --json | jq ".[] | select(.net == \"private:$NET\").pid" | head -n 10); do kill -KILL "$pid"; done
	ask --net "private:$NET" --hostname again -- cat /sys/class/net/eth0/address
	local mac=$stdout
	ask --net "private:$NET" --hostname again -- cat /sys/class/net/eth0/address
	is_equal "$stdout" "$mac"
	for pid in $("$KENNEL" list --json | jq ".[] | select(.net == \"private:$NET\").pid"); do kill -TERM "$pid"; done
	wait_for 20 nobody_left
	# and where nothing was left to clean up
	serving "private:$NET"
	wait_for 5 has_switches 1
	kill -KILL "$(switches)" "$SERVER"
	"$KENNEL" gc >/dev/null
	wait_for 5 nobody_left
}

nothing() {
	:
}

all_gone() {
	"$KENNEL" gc >/dev/null
	wait_for 10 nobody_left
}

@test "private: kennel killed before its calls leaves nothing that the next command does not remove" {
	NET=t5$BASHPID
	POINT_STEP=12 kill_points nothing all_gone "$KENNEL" run --net "private:$NET" -- true
}
