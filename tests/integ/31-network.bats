#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root
# Interfaces of a sandbox's own and networks of others, on a machine of the test's own: a network namespace, $NS is a process in it.

load lib

teardown() {
	[ -z "${LIB_STATE-}" ] || kennel_teardown
}

setup() {
	need_root interfaces
	kennel_setup
	need_commands ip nsenter /usr/bin/python3 jq
	background unshare --net sleep 300
	NS=$!
	wait_for 5 other_net
	ON=(nsenter -t "$NS" -n)
	"${ON[@]}" ip link set lo up
	"${ON[@]}" ip link add br0 type bridge 2>/dev/null || skip "this kernel has no bridge"
	"${ON[@]}" ip addr add 10.9.0.1/24 dev br0
	"${ON[@]}" ip link set br0 up
	# tcp PORT, udp PORT: says where the question came from; ask tcp|udp HOST PORT
	cat >"$T/serve" <<-'END'
		import socket, sys
		udp, port = sys.argv[1] == "udp", int(sys.argv[2])
		s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM)
		s.bind(("::", port))
		udp or s.listen()
		print("up", flush=True)
		while True:
		    if udp:
		        _, a = s.recvfrom(99)
		        s.sendto(b"from " + a[0].encode(), a)
		    else:
		        c, a = s.accept()
		        c.recv(99)
		        c.sendall(b"from " + a[0].encode())
		        c.close()
	END
	cat >"$T/ask" <<-'END'
		import socket, sys
		udp, host, port = sys.argv[1] == "udp", sys.argv[2], int(sys.argv[3])
		try:
		    to = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM if udp else socket.SOCK_STREAM)[0]
		    s = socket.socket(to[0], to[1])
		    s.settimeout(3)
		    s.connect(to[4])
		    s.send(b"?")
		    print(s.recv(99).decode())
		except OSError as e:
		    sys.exit(str(e))
	END
}

other_net() {
	[ "$(readlink "/proc/$NS/ns/net")" != "$(readlink /proc/self/ns/net)" ]
}

# on ARG...: kennel on that machine.
on() {
	status=0
	"${ON[@]}" "$KENNEL" "$@" </dev/null >"$T/stdout" 2>"$T/stderr" || status=$?
	stdout=$(<"$T/stdout")
	stderr=$(<"$T/stderr")
	printf '$ kennel %s\n%s\n%s\n(exit code %s)\n' "$*" "$stdout" "$stderr" "$status"
}

# serving NAME KIND PORT OPTION...: a server in a sandbox with that host name, once it is up; its monitor is $SERVER.
serving() {
	local name=$1 kind=$2 port=$3
	shift 3
	background "${ON[@]}" "$KENNEL" run --hostname "$name" "$@" -- /usr/bin/python3 "$T/serve" "$kind" "$port"
	SERVER=$!
	wait_for 5 grep -q up "$T/out.$LIB_STARTED"
}

links() {
	"${ON[@]}" ip -o link | sed 's/^[0-9]*: \([^:@]*\).*/\1/' | sort | tr '\n' ' '
}

only_the_machines() {
	[ "$(links)" = "br0 lo " ]
}

@test "network: two on kennel's own bridge reach each other over IPv4 and IPv6, and the bridge goes with the last" {
	serving first tcp 80 --net bridge
	local one=$SERVER info address
	info=$("${ON[@]}" "$KENNEL" list --json | jq -c '[.[] | select(.hostname == "first")][0]')
	is_equal "$(jq -r '[.net, .interfaces[0].name, .interfaces[0].kind, .interfaces[0].outside] | join(" ")' <<<"$info")" "bridge eth0 bridge kennel0"
	for address in $(jq -r '.interfaces[0].addresses[] | split("/")[0]' <<<"$info"); do
		on run --isolate ns --net bridge -- /usr/bin/python3 "$T/ask" tcp "$address" 80
		is_status 0
		has "from ${address%[.:]*}" "${stdout//::ffff:/}"
	done
	has "10.107." "$("${ON[@]}" "$KENNEL" info "$(jq -r .id <<<"$info")")"
	has kennel0 "$(links)"
	kill -TERM "$one"
	wait_for 5 only_the_machines
}

@test "network: a bridge of the machine's, with a name, addresses, a gateway, a MAC address and an MTU; and a second interface" {
	on run --net bridge:br0,name=lan,ip=10.9.0.5/24,gw=10.9.0.1,ip6=fd09::5/64,mac=02:00:00:00:00:05,mtu=1400 \
		--net veth:wire,ip=10.8.0.2/30,outer=10.8.0.1/30 -- sh -c 'ip -o addr; ip route; cat /sys/class/net/lan/address /sys/class/net/lan/mtu
			cat /proc/sys/net/ipv6/conf/*/accept_ra'
	is_status 0
	has "inet 10.9.0.5/24" "$stdout"
	has "inet6 fd09::5/64" "$stdout"
	has "eth0    inet 10.8.0.2/30" "$stdout"
	has "default via 10.9.0.1 dev lan" "$stdout"
	has $'02:00:00:00:00:05\n1400' "$stdout"
	is_equal "$(links)" "br0 lo "
	serving served tcp 81 --net bridge:br0,ip=10.9.0.6/24
	is_equal "$("${ON[@]}" /usr/bin/python3 "$T/ask" tcp 10.9.0.6 81)" "from ::ffff:10.9.0.1"
}

@test "network: private is one that the inside configures; macvlan is on the network of a device" {
	on run --net private --net macvlan:br0,ip=10.9.0.7/24,slaac -- sh -c 'ip addr add 10.1.1.1/24 dev eth0; ip -br addr; cat /proc/sys/net/ipv6/conf/eth[01]/accept_ra'
	is_status 0
	has "10.1.1.1/24" "$stdout"
	has "10.9.0.7/24" "$stdout"
	has $'0\n1' "$stdout"
	is_equal "$(links)" "br0 lo "
}

@test "network: what the inside says of routes to the world is heard neither by the machine nor by neighbours" {
	cat >"$T/advertise" <<-'END'
		import socket, time
		for name in ("eth0", "eth1"):
		    s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
		    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
		    for _ in range(40):
		        try:
		            s.sendto(b"\x86\0\0\0\x40\0\x07\x08" + bytes(8), ("ff02::1", 0, 0, socket.if_nametoindex(name)))
		            print("said")
		            break
		        except OSError:         # its own address is being looked at
		            time.sleep(0.1)
	END
	serving near tcp 80 --net bridge
	on run --net bridge --net private -- sh -c 'sleep 2.5; /usr/bin/python3 "$0"; sleep 0.5' "$T/advertise"
	is_equal "$stdout" $'said\nsaid'
	is_equal "$("${ON[@]}" ip -6 route show default)" ""
	run "$KENNEL" exec "$("${ON[@]}" "$KENNEL" list --json | jq -r '.[] | select(.hostname == "near").id')" -- ip -6 route show default
	is_equal "$output" ""
}

@test "network: another's namespace, and another container's network" {
	for level in ns user; do
		run_kennel run --isolate "$level" --net "ns:/proc/$NS/ns/net" -- sed -n 's/^ *\([^ :]*\):.*/\1/p' /proc/net/dev
		is_status 0
		is_equal "$(sort <<<"$stdout")" $'br0\nlo'
	done
	serving joined tcp 82 --net bridge:br0,ip=10.9.0.8/24
	local id
	id=$("$KENNEL" list --json | jq -r '.[] | select(.hostname == "joined").id')
	run_kennel run --net "container:$id" -- /usr/bin/python3 "$T/ask" tcp 127.0.0.1 82
	is_status 0
	is_equal "$stdout" "from ::ffff:127.0.0.1"
	run_kennel run --net ns:/etc/passwd -- true
	refused yes '"/etc/passwd" is not a network namespace'
	run_kennel run --net container:nobody -- true
	refused yes 'no container "nobody" runs'
}

@test "network: nothing is left of it after kennel was killed, or a start failed half-way" {
	serving killed tcp 80 --net bridge --net veth:wire --net macvlan:br0
	kill -KILL "$SERVER"
	wait_for 5 only_the_machines
	on run --net bridge --net veth:br0 -- true
	is_status 125
	has 'there is an interface "br0" already' "$stderr"
	on run --net bridge --net bridge:nowhere -- true
	is_status 125
	has 'there is no bridge "nowhere"' "$stderr"
	on run --net bridge --net bridge:lo -- true
	has '"lo" is not a bridge' "$stderr"
	wait_for 2 only_the_machines
	[ ! -e /run/kennel/.net ]
}

@test "network: an ordinary user is told what there is instead" {
	as_user test -w /dev/fuse || skip "no fuse device that this user may open"
	local net
	for net in private bridge veth:x macvlan:lo ns:/proc/self/ns/net container:x; do
		run as_user "$KENNEL" run --net "$net" -- true
		is_status 125
		has "needs root"
		has "--publish"
	done
}

@test "network: options are kept with a container, and those of the command line take their place" {
	mkdir "$T/store"
	"$KENNEL" create -P "$T/store" box --net bridge:br0,ip=10.9.0.9/24 --net private -p 8080:80
	is_equal "$("$KENNEL" config -P "$T/store" box | grep -cE '^(net|publish) = ')" 3
	on run -q -P "$T/store" -k box --net private,name=only --hostname box -- true
	is_status 125 # the port has no way in
	"$KENNEL" set -P "$T/store" box --unset publish
	on run -q -P "$T/store" -k box -- sh -c 'ls /sys/class/net | tr "\n" " "'
	is_equal "$stdout" "eth0 eth1 lo "
	on run -q -P "$T/store" -k box --net private,name=only -- sh -c 'ls /sys/class/net | tr "\n" " "'
	is_equal "$stdout" "lo only "
	"$KENNEL" set -P "$T/store" box --net none
	is_equal "$("$KENNEL" config -P "$T/store" box | grep '^net')" "net = none"
}

# A second machine, on a cable to the first; $OTHER is how to run something on it.
other_machine() {
	background unshare --net sleep 300
	local pid=$!
	NS=$pid wait_for 5 other_net
	OTHER=(nsenter -t "$pid" -n)
	"${ON[@]}" ip link add cable type veth peer name wall netns "$pid"
	"${ON[@]}" sh -c 'ip addr add 192.0.2.1/24 dev cable; ip -6 addr add fd02::1/64 dev cable nodad; ip link set cable up
		echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
	"${OTHER[@]}" sh -c 'ip addr add 192.0.2.2/24 dev wall; ip -6 addr add fd02::2/64 dev wall nodad; ip link set wall up'
}


rules() {
	! command -v nft >/dev/null || "${ON[@]}" nft list tables
}

no_rules() {
	[ -z "$(rules)" ]
}

@test "network: published on a bridge: from the machine, from others, by the loopback; rules that belong to the sandbox" {
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
	background "${ON[@]}" timeout 20 /usr/bin/python3 -c 'import socket; s = socket.socket(type=socket.SOCK_DGRAM); s.setsockopt(0, 8, 1)
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

@test "network: UDP, and the way out of the bridge, which has the machine's address" {
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

@test "network: what a bridge lacks on this machine is said, and no sysctl of it is changed" {
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

@test "network: names of those on one bridge, as they come and go; others by the machine's resolvers" {
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
	is_equal "$(pgrep -c kennel-names -r S -P "$SERVER" || true)" 1
	kill -KILL "$SERVER"
	wait_for 5 only_the_machines
}

nothing() {
	:
}

# What is left when one process is killed goes by itself; where all were, "gc" is there for the bridge.
cleaned() {
	wait_for 5 only_the_machines && [ ! -e /run/kennel/.net ]
}

@test "network: kennel killed before its calls, and started beside a bridge that nobody uses" {
	POINT_STEP=12 kill_points nothing cleaned "${ON[@]}" "$KENNEL" run --net bridge -p 8080:80 -- true
	[ "$POINTS" -gt 5 ]
	"${ON[@]}" ip link add kennel0 type bridge
	on run --net bridge -- true
	is_status 0
	wait_for 5 only_the_machines
	"${ON[@]}" ip link add kennel0 type bridge
	on gc
	is_equal "$(links)" "br0 lo "
	on gc
	has "nothing to remove" "$stdout"
}

@test "network: an address by DHCP, with its gateway and resolvers" {
	busybox udhcpd --help >/dev/null 2>&1 || skip "busybox has no udhcpd"
	printf '%s\n' 'start 10.9.0.100' 'end 10.9.0.110' 'interface br0' "lease_file $T/leases" "pidfile $T/pid" 'option subnet 255.255.255.0' \
		'opt router 10.9.0.1' 'opt dns 10.9.0.2' 'option lease 300' >"$T/udhcpd.conf"
	: >"$T/leases"
	background "${ON[@]}" busybox udhcpd -f "$T/udhcpd.conf"
	"${ON[@]}" sh -c 'ip link add up0 type veth peer name up1; ip link set up0 master br0 up; ip link set up1 up'
	# Two at once, for a server takes its time.
	background "${ON[@]}" "$KENNEL" run --net macvlan:up1,dhcp -- sh -c 'ip -o -4 addr; ip route; cat /etc/resolv.conf'
	local one=$! out=$T/out.$LIB_STARTED
	background "${ON[@]}" "$KENNEL" run --hostname leased --net bridge:br0,dhcp -- sh -c 'echo up; exec sleep 60'
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
