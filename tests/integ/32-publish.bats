#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root
# Ports and names on a bridge, the way out of it, and addresses by DHCP.

load lib
load machine

rules() {
	! command -v nft >/dev/null || "${ON[@]}" nft list tables
}

no_rules() {
	[ -z "$(rules)" ]
}

@test "publish: published on a bridge: from the machine, from others, by the loopback; rules that belong to the sandbox" {
	other_machine
	serving web tcp 80 --net bridge -p 8080:80 -p 127.0.0.1:8081:80
	local ask=(/usr/bin/python3 "$T/ask") web=$SERVER at
	for at in 127.0.0.1 192.0.2.1 fd02::1; do
		has from "$("${ON[@]}" "${ask[@]}" tcp "$at" 8080)"
	done
	is_equal "$("${OTHER[@]}" "${ask[@]}" tcp 192.0.2.1 8080)" "from ::ffff:192.0.2.2"
	is_equal "$("${OTHER[@]}" "${ask[@]}" tcp fd02::1 8080)" "from fd02::2"
	has from "$("${ON[@]}" "${ask[@]}" tcp 127.0.0.1 8081)"
	run "${OTHER[@]}" "${ask[@]}" tcp 192.0.2.1 8081
	has refused
	run "${ON[@]}" "${ask[@]}" tcp ::1 8080
	has refused
	# A neighbour comes by the machine, but not to its loopback, which is open to the bridge now.
	cat >"$T/frame" <<-'END'
		import socket, struct, sys
		mac = open("/sys/class/net/eth0/address").read().strip().replace(":", "")
		s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
		s.bind(("eth0", 0))
		for to in ("127.0.0.1", "10.107.0.1"):
		    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 32, 0, 0, 9, 17, 0, socket.inet_aton("10.107.0.250"), socket.inet_aton(to))
		    n = sum(struct.unpack("!10H", head))
		    n = ~((n & 0xffff) + (n >> 16)) & 0xffff
		    s.send(bytes.fromhex("026b656e0001" + mac) + b"\x08\x00" + head[:10] + struct.pack("!H", n) + head[12:] + struct.pack("!HHHH4s", 9, 9000, 12, 0, b"ping"))
	END
	background "${ON[@]}" timeout 200 /usr/bin/python3 -c 'import socket; s = socket.socket(type=socket.SOCK_DGRAM); s.setsockopt(0, 8, 1)
s.bind(("", 9000)); print("up", flush=True); _, c, _, _ = s.recvmsg(99, 99); print(socket.inet_ntoa(c[0][2][8:12]))'
	local got=$T/out.$LIB_STARTED
	wait_for 5 grep -q up "$got"
	on run --net bridge -- sh -c '/usr/bin/python3 "$0" tcp 192.0.2.1 8080; /usr/bin/python3 "$1"' "$T/ask" "$T/frame"
	is_equal "$stdout" "from ::ffff:10.107.0.1"
	wait_for 5 grep -q 10 "$got"
	is_equal "$(tail -n 1 "$got")" 10.107.0.1
	# A firewall that starts anew takes none of it away.
	! command -v nft >/dev/null || {
		has "table inet kennel-" "$(rules)"
		"${ON[@]}" nft flush ruleset || true # it is told that the table is not its own
		has from "$("${ON[@]}" "${ask[@]}" tcp 127.0.0.1 8080)"
	}
	kill -KILL "$web"
	wait_for 5 no_rules
	run "${ON[@]}" "${ask[@]}" tcp 192.0.2.1 8080
	has refused
}

@test "publish: UDP, and the way out of the bridge, which has the machine's address" {
	other_machine
	background "${OTHER[@]}" /usr/bin/python3 "$T/serve" tcp 9000
	wait_for 5 grep -q up "$T/out.$LIB_STARTED"
	serving names udp 53 --net bridge -p 53:53/udp
	has from "$("${ON[@]}" /usr/bin/python3 "$T/ask" udp 127.0.0.1 53)"
	is_equal "$("${OTHER[@]}" /usr/bin/python3 "$T/ask" udp 192.0.2.1 53)" "from ::ffff:192.0.2.2"
	on run --net bridge -- sh -c '/usr/bin/python3 "$0" tcp 192.0.2.2 9000; /usr/bin/python3 "$0" tcp fd02::2 9000' "$T/ask"
	is_equal "$stdout" $'from ::ffff:192.0.2.1\nfrom fd02::1'
	is_equal "$stderr" ""
}

@test "publish: what a bridge lacks on this machine is said, and no sysctl of it is changed" {
	on run --net bridge -- true
	is_status 0
	has "sysctl net.ipv4.ip_forward=1" "$stderr"
	is_equal "$("${ON[@]}" cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/all/route_localnet)" $'0\n0'
	"${ON[@]}" sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
	! command -v nft >/dev/null || {
		"${ON[@]}" nft 'table ip filter { chain FORWARD { type filter hook forward priority 0; policy drop; }; }'
		on run --net bridge -- true
		has "DOCKER-USER" "$stderr"
		has "table ip filter" "$(rules)"
	}
	on run --net bridge:br0,ip=10.9.0.5/24 -p 127.0.0.1:80:80 -- true
	is_status 125
	has "can't be published on that loopback address" "$stderr"
}

@test "publish: names of those on one bridge, as they come and go; others by the machine's resolvers" {
	cat >"$T/resolver" <<-'END'
		import socket
		s = socket.socket(type=socket.SOCK_DGRAM)
		s.bind(("127.0.0.9", 53))
		print("up", flush=True)
		while True:
		    d, a = s.recvfrom(999)
		    end = d.index(b"\0", 12) + 5
		    # an answer to A alone
		    n = d[end - 4:end - 2] == b"\0\1"
		    s.sendto(d[:2] + b"\x81\x80\0\1" + (b"\0\1" if n else b"\0\0") + b"\0\0\0\0" + d[12:end] + (b"\xc0\x0c\0\1\0\1\0\0\0\5\0\4\1\2\3\4" if n else b""), a)
	END
	background "${ON[@]}" /usr/bin/python3 "$T/resolver"
	wait_for 5 grep -q up "$T/out.$LIB_STARTED"
	echo "nameserver 127.0.0.9" >"$T/resolv.conf"
	# On a machine that has that file.
	ON+=(unshare --mount --propagation private sh -c 'mount --bind "$0" "$(realpath /etc/resolv.conf)" && exec "$@"' "$T/resolv.conf")
	serving one tcp 80 --net bridge
	local one=$SERVER question="/usr/bin/python3 $T/ask" name
	serving two tcp 80 --net bridge
	on run --net bridge -- sh -c "cat /etc/resolv.conf; $question tcp one 80; $question tcp TWO.kennel 80; getent hosts other.example"
	is_status 0
	has "nameserver 169.254.1.1" "$stdout"
	is_equal "$(grep -c '^from ' <<<"$stdout")" 2
	has 1.2.3.4 "$stdout"
	# A guest asks the same, while something in it has the port.
	if [ "$(uname -m)" = x86_64 ] && command -v linux.uml >/dev/null; then
		on run --isolate vm --net bridge -- sh -c "/usr/bin/python3 -c 'import socket, time; s = socket.socket(type=socket.SOCK_DGRAM)
			s.setsockopt(1, 2, 1); s.bind((\"\", 53)); time.sleep(300)' & $question tcp one 80; $question tcp TWO.kennel 80
			getent hosts other.example; cat /etc/resolv.conf"
		is_status 0
		has "nameserver 169.254.1.1" "$stdout"
		is_equal "$(grep -c '^from ' <<<"$stdout")" 2
		has 1.2.3.4 "$stdout"
	fi
	# The older one knows the younger; who is on another bridge knows neither.
	name=$("${ON[@]}" "$KENNEL" list --json | jq -r '.[] | select(.hostname == "one").id')
	run "$KENNEL" exec "$name" -- sh -c "$question tcp two 80"
	has from
	on run --net bridge:br0,ip=10.9.0.5/24 -- getent ahostsv4 one
	has 1.2.3.4 "$stdout"
	kill -TERM "$one"
	wait_for 5 eval '! kill -0 '"$one"' 2>/dev/null'
	on run --net bridge -- getent ahostsv4 one
	lacks 10.107 "$stdout"
	# Processes go with their sandboxes.
	wait_for 5 one_speaks_names
	kill -KILL "$SERVER"
	wait_for 5 only_the_machines
}

# Of the two that there were, and no zombie.
one_speaks_names() {
	[ "$(pgrep -c kennel-names -r S,R,D -P "$SERVER")" = 1 ]
}

@test "publish: an address by DHCP, with its gateway and resolvers" {
	busybox udhcpd --help >/dev/null 2>&1 || skip "busybox has no udhcpd"
	printf '%s\n' 'start 10.9.0.100' 'end 10.9.0.110' 'interface br0' "lease_file $T/leases" "pidfile $T/pid" 'option subnet 255.255.255.0' \
		'opt router 10.9.0.1' 'opt dns 10.9.0.2' 'option lease 300' >"$T/udhcpd.conf"
	: >"$T/leases"
	background "${ON[@]}" busybox udhcpd -f "$T/udhcpd.conf"
	"${ON[@]}" sh -c 'ip link add up0 type veth peer name up1; ip link set up0 master br0 up; ip link set up1 up'
	# Two at once, for a server takes its time.
	background "${ON[@]}" "$KENNEL" run --net macvlan:up1,dhcp -- sh -c 'ip -o -4 addr; ip route; cat /etc/resolv.conf'
	local one=$! out=$T/out.$LIB_STARTED
	background "${ON[@]}" "$KENNEL" run --hostname leased --net bridge:br0,dhcp -- sh -c 'echo up; exec sleep 300'
	local two=$! info
	wait_for 10 grep -q up "$T/out.$LIB_STARTED"
	info=$("${ON[@]}" "$KENNEL" list --json | jq -r '.[] | select(.hostname == "leased").interfaces[0].addresses[0]')
	has 10.9.0.1 "$info"
	kill -KILL "$two"
	wait "$one" || { cat "${out/out/err}"; return 1; }
	has "inet 10.9.0.1" "$(<"$out")"
	has "dynamic" "$(<"$out")"
	has "default via 10.9.0.1" "$(<"$out")"
	has "nameserver 10.9.0.2" "$(<"$out")"
}
