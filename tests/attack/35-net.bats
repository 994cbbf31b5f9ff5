#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
# The network helper alone, without the rest of a sandbox: net-nat.py attacks through net-run.c. tests/integ/30-net.bats does the same
# through the program.

load attack

# script/test puts it beside the program; in a build directory it has its own place.
find_net_run() {
	local try
	for try in "${KENNEL%/*}/net-run" "${KENNEL%/*}/../tests/attack/net-run" "$LIB_TOP"/build*/tests/attack/net-run; do
		[ ! -x "$try" ] || NET_RUN=$try
	done
	[ -n "${NET_RUN-}" ] || {
		echo "net-run is not built: meson option tests"
		return 1
	}
}

@test "net: the host's loopback is closed to a network namespace behind pasta, which itself is harmless" {
	need_root "network namespaces of the machine"
	need_commands pasta
	[ -c /dev/net/tun ] || skip "needs /dev/net/tun"
	find_net_run
	run /usr/bin/python3 "$BATS_TEST_DIRNAME/net-nat.py" "$NET_RUN"
	echo "$output"
	is_status 0
}

@test "net: namespaces of the host can't be joined or changed from inside" {
	local before
	before=$(ip -o link | sort | cut -d: -f2)
	for level in $WALLED; do
		for net in none nat; do
			attack "$level" "for n in /proc/1/ns/net /proc/self/ns/net /run/netns/*; do nsenter --net=\$n ip link set lo down; done
				ip netns add kennel-attack; ip link add kennel0 type veth peer name kennel1 netns 1; ip link del eth0; nft flush ruleset; iptables -F; :" --net "$net"
			is_equal "$(ip -o link | sort | cut -d: -f2)" "$before"
		done
	done
	ip -o link show lo | grep -q UP
}
