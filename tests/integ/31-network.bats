#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root
# Interfaces of a sandbox's own and networks of others.

load lib
load machine

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

@test "network: guests with kernels of their own are neighbours on a bridge like others" {
	need_guest
	serving guest tcp 80 --isolate vm --net bridge
	local addresses
	addresses=$("${ON[@]}" "$KENNEL" list --json | jq -r '[.[] | select(.hostname == "guest").interfaces[0].addresses[] | split("/")[0]] | join(" ")')
	has : "$addresses"
	has . "$addresses"
	for level in ns vm; do
		# shellcheck disable=SC2016
		on run --isolate "$level" --net bridge -- sh -c 'for a in $1; do /usr/bin/python3 "$0" tcp "$a" 80; done' "$T/ask" "$addresses"
		is_equal "$(grep -c '^from ' <<<"$stdout")" "$(wc -w <<<"$addresses")"
		has "from fd" "$stdout"
	done
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
	run_kennel run --net private:lab -- true
	refused yes 'net "private:lab" is for ordinary users'
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
		has "private:NAME"
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

nothing() {
	:
}

# What is left when one process is killed goes by itself; where all were, "gc" is there for the bridge.
cleaned() {
	wait_for 10 nothing_of_ours
}

nothing_of_ours() {
	only_the_machines && [ ! -e /run/kennel/.net ]
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

@test "network: interfaces come and go while a container runs" {
	at_end "${ON[@]}" "$KENNEL" rm --force -P "$T/store" box
	on create -P "$T/store" --net none box
	on start -P "$T/store" box
	is_status 0
	on set -P "$T/store" box --net bridge:br0,name=lan,ip=10.9.0.5/24 --net veth:wire,ip=10.8.0.2/30,outer=10.8.0.1/30
	is_status 0
	is_equal "$stderr" ""
	on exec box -- sh -c 'ip -o -4 addr; ls /sys/class/net | tr "\n" " "'
	has "lan    inet 10.9.0.5/24" "$stdout"
	has "inet 10.8.0.2/30" "$stdout"
	has "eth0 lan lo " "$stdout"
	"${ON[@]}" "$KENNEL" exec box -- /usr/bin/python3 "$T/serve" tcp 80 >"$T/up" 2>&1 3>&- &
	wait_for 10 grep -q up "$T/up"
	is_equal "$("${ON[@]}" /usr/bin/python3 "$T/ask" tcp 10.9.0.5 80)" "from ::ffff:10.9.0.1"
	is_equal "$("${ON[@]}" /usr/bin/python3 "$T/ask" tcp 10.8.0.2 80)" "from ::ffff:10.8.0.1"
	# One goes, and one is another one.
	on set -P "$T/store" box --net bridge:br0,name=lan,ip=10.9.0.6/24
	is_equal "$stderr" ""
	on exec box -- sh -c 'ip -o -4 addr; ls /sys/class/net | tr "\n" " "'
	has "lan    inet 10.9.0.6/24" "$stdout"
	lacks 10.9.0.5 "$stdout"
	has "lan lo " "$stdout"
	lacks eth0 "$stdout"
	# What a start alone gives is told, and nothing is left of it.
	on set -P "$T/store" box --net bridge
	is_status 0
	has 'the interface "eth0" holds from the next start on: a place on kennel'"'"'s own bridge' "$stderr"
	on exec box -- ls /sys/class/net
	is_equal "$stdout" lo
	on set -P "$T/store" box --net bridge:nowhere
	has 'there is no bridge "nowhere"' "$stderr"
	wait_for 5 only_the_machines
	on set -P "$T/store" box --net macvlan:br0,ip=10.9.0.7/24
	is_equal "$stderr" ""
	on exec box -- ip -o -4 addr
	has "10.9.0.7/24" "$stdout"
	on set -P "$T/store" box --net nat
	has 'net "nat" holds from the next start on' "$stderr"
}

@test "network: one that is not the container's own is left alone, whatever its configuration has said since" {
	at_end "${ON[@]}" "$KENNEL" rm --force -P "$T/store" box
	on create -P "$T/store" --isolate ns --net host box
	on start -P "$T/store" box
	on set -P "$T/store" box --net private,name=br0
	has 'net "interfaces" holds from the next start on' "$stderr"
	for net in veth:wire none bridge:br0; do
		on set -P "$T/store" box --net "$net"
		is_status 0
		has 'holds from the next start on' "$stderr"
		is_equal "$(links)" "br0 lo "
	done
}
