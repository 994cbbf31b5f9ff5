# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# integ/machine.bash - a machine of the test's own for networks: "load machine" behind "load lib". It is a network namespace, with a bridge
# br0; $NS is a process in it.

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
		    s.settimeout(30)
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
	wait_for 60 grep -q up "$T/out.$LIB_STARTED"
}

links() {
	"${ON[@]}" ip -o link | sed 's/^[0-9]*: \([^:@]*\).*/\1/' | sort | tr '\n' ' '
}

only_the_machines() {
	[ "$(links)" = "br0 lo " ]
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
