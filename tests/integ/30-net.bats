#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# The three kinds of network, driven through the real program ($KENNEL). The machine's side is tests/attack/net-nat.py:
# network namespaces of the test's own, a server on a cable, a resolver and services on the loopback.

bats_require_minimum_version 1.5.0

setup() {
	: "${KENNEL:?the program to test}"
	[ "$(id -u)" = 0 ] || skip "needs root for network namespaces"
	attack=$BATS_TEST_DIRNAME/../attack/net-nat.py
	python=/usr/bin/python3
	[ -x "$python" ] || skip "needs $python inside"
}

# Runs its arguments on the test's own machine.
machine() {
	"$python" "$attack" --machine "$@"
}

needs_pasta() {
	[ -x /usr/bin/pasta ] || skip "needs pasta (package passt)"
	[ -c /dev/net/tun ] || skip "needs /dev/net/tun"
}

nat_attacked_at() {
	needs_pasta
	run --separate-stderr machine "$KENNEL" run --isolate "$1" --net nat -- "$python" "$attack" --inside LINK_LOCAL
	echo "$output$stderr"
	[ "$status" = 0 ]
	[[ $output == *"lan from-lan"* ]]
	[[ $output == *"lan6 from-lan"* ]]
	[[ $output == *"name 10.11.0.77"* ]]
	[[ $output != *"loopback secret"* ]]
	[[ $stderr != *"arrived at the loopback"* ]]
}

@test "nat at user: reaches out, names resolve, the host's loopback is closed" {
	nat_attacked_at user
}

@test "nat at ns: reaches out, names resolve, the host's loopback is closed" {
	nat_attacked_at ns
}

# Shell text: the pids of pasta that serve this test, as they share its network namespace.
pasta_pids='pids() { for p in $(pgrep -x "pasta|passt.*"); do
	[ /proc/$p/ns/net -ef /proc/self/ns/net ] && echo $p; done; }'

@test "nat: pasta is gone when the sandbox is" {
	needs_pasta
	run machine sh -c "$pasta_pids"'; "$1" run --net nat -- true || exit 10; [ -z "$(pids)" ]' sh "$KENNEL"
	echo "$output"
	[ "$status" = 0 ]
}

@test "nat: pasta is gone when kennel is killed" {
	needs_pasta
	run machine sh -c "$pasta_pids"'
		"$1" run --net nat -- sleep 300 & kennel=$!
		for i in $(seq 1000); do [ -n "$(pids)" ] && break; sleep 0.05; done
		[ -n "$(pids)" ] || exit 10
		sleep 0.5
		kill -KILL $kennel
		for i in $(seq 1000); do [ -z "$(pids)" ] && exit 0; sleep 0.05; done
		kill -KILL $(pids); exit 11' sh "$KENNEL"
	echo "$output"
	[ "$status" = 0 ]
}

@test "none: only lo, up" {
	run --separate-stderr "$KENNEL" run --net none -- sh -c 'ls /sys/class/net; cat /sys/class/net/lo/flags'
	echo "$output$stderr"
	[ "$status" = 0 ]
	[ "$output" = $'lo\n0x9' ]
}

@test "host: the host's interfaces" {
	outside=$(sed -n 's/^ *\([^ :]*\):.*/\1/p' /proc/net/dev | sort)
	run --separate-stderr "$KENNEL" run --net host -- sed -n 's/^ *\([^ :]*\):.*/\1/p' /proc/net/dev
	echo "$output$stderr"
	[ "$status" = 0 ]
	[ "$(sort <<<"$output")" = "$outside" ]
}

@test "nat is the default, and without pasta it is none, said in one line" {
	# A private mount namespace where an empty file stands for pasta wherever it is looked for.
	run --separate-stderr unshare --mount --propagation private sh -c '
		for f in /usr/bin/pasta /usr/local/bin/pasta; do
			[ ! -e "$f" ] || mount --bind /dev/null "$(realpath "$f")" || exit 99
		done
		exec "$1" run -- ls /sys/class/net' sh "$KENNEL"
	echo "$output$stderr"
	[ "$status" = 0 ]
	[ "$output" = lo ]
	[ "$(grep -c . <<<"$stderr")" = 1 ]
	[[ $stderr == *pasta* ]]
}

@test "nat that was asked for, without a network outside: one line with pasta's words" {
	needs_pasta
	run --separate-stderr unshare --net "$KENNEL" run --net nat -- true
	echo "$output$stderr"
	# Newer versions of pasta make a network of their own then.
	[ "$status" = 0 ] || [ "$status" = 125 ]
	[ -z "$stderr" ] || [[ $stderr == *pasta* ]]
}
