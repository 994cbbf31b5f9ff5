#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# Clones that go when they end, whoever ends them, and those whose changes are in memory.

load lib
load stores

setup() {
	need_sandbox
	kennel_setup
	S=$T/store
	at_end remove_all
	mkdir -p "$T/tree/bin" "$T/tree/etc"
	cp "$(command -v busybox)" "$T/tree/bin/busybox"
	for applet in sh cat echo rm sleep; do ln -s busybox "$T/tree/bin/$applet"; done
}

remove_all() {
	[ ! -d "$S" ] || "$KENNEL" list -P "$S" -kq | xargs -r "$KENNEL" rm -fs --promote -P "$S"
}

k() {
	local command=$1
	shift
	run_kennel "$command" -P "$S" "$@"
}

make_box() {
	k run -k box --base "$T/tree" --net none -- /bin/sh -c 'echo one >/f'
	is_status 0
}

# What lies in the store, but for what layers there are.
entries() {
	find "$S" -mindepth 1 -maxdepth 1 ! -name .layers -printf '%f '
}

only_box() {
	[ "$(entries)" = "box " ]
}

in_memory() {
	find /dev/shm -maxdepth 1 -name 'kennel-*' -user "$EUID" | wc -l
}

# shows NAME: whether it got as far as its own command.
shows() {
	"$KENNEL" exec "$1" -- /bin/cat /g >/dev/null 2>&1
}

@test "ephemeral: in the background, until it is stopped" {
	make_box
	k clone -e box new -- /bin/sh -c 'cat /f >/g; exec sleep 300'
	is_status 0
	is_equal "$stdout" new
	wait_for 20 shows new
	run_kennel exec new -- /bin/sh -c 'cat /g; echo two >/f'
	is_equal "$stdout" one
	k diff new
	has "A /g" "$stdout"
	run_kennel stop --kill new
	is_status 0
	wait_for 20 only_box
	k run -k box -- /bin/sh -c 'cat /f; cat /g'
	is_equal "$stdout" one
	# a name is made up
	k clone -e box
	is_status 0
	[[ $stdout == box-* ]]
	run_kennel stop --kill "$stdout"
	wait_for 20 only_box
	k rm box
	is_equal "$(ls -A "$S")" ""
}

@test "ephemeral: followed from here, with its exit code" {
	make_box
	k clone -eF box new -- /bin/sh -c 'cat /f; exit 7'
	is_status 7
	has one "$stdout"
	wait_for 20 only_box
	k clone -eF box new -- /bin/no-such-thing
	is_status 127
	wait_for 20 only_box
}

@test "ephemeral: what it changes is in memory" {
	local before
	before=$(in_memory)
	make_box
	k clone -e --tmpfs box new -- /bin/sh -c 'cat /f >/g; exec sleep 300'
	[[ $stderr != *"keeps no user xattrs"* ]] || skip "kernel without user xattrs on tmpfs"
	is_status 0
	wait_for 20 shows new
	is_equal "$(in_memory)" "$((before + 1))"
	[ ! -e "$S/new/delta" ]
	k diff new
	has "A /g" "$stdout"
	k info new
	has "tmpfs" "$stdout"
	run_kennel stop --kill new
	wait_for 20 only_box
	is_equal "$(in_memory)" "$before"
	k clone -eF --tmpfs box new -- /bin/sh -c 'cat /f'
	has one "$stdout"
	wait_for 20 only_box
	is_equal "$(in_memory)" "$before"
	k create -B tmpfs other
	refused yes 'no store "tmpfs" for what stays'
}

@test "ephemeral: its monitor is killed, and the next command removes it" {
	local before how
	before=$(in_memory)
	make_box
	for how in "" --tmpfs; do
		# shellcheck disable=SC2086 # a word or none
		k clone -e $how box new -- /bin/sh -c 'cat /f >/g; exec sleep 300'
		[[ $stderr != *"keeps no user xattrs"* ]] || continue
		is_status 0
		wait_for 20 shows new
		kill -KILL "$(awk '{ print $2 }' "$S/new/lock")"
		wait_for 20 gone_with_next
		is_equal "$(in_memory)" "$before"
		only_box
	done
}

gone_with_next() {
	"$KENNEL" create -P "$S" next && "$KENNEL" rm -P "$S" next && [ ! -e "$S/new" ]
}

@test "ephemeral: of one that runs, and of one that can't share" {
	need_root "an ordinary user has no control group to stand still in here, and no volumes"
	make_box
	k start box -- /bin/sh -c 'cat /f >/g; exec sleep 300'
	wait_for 20 shows box
	k clone -eF --tmpfs box new -- /bin/sh -c 'cat /g'
	[[ $stderr == *"keeps no user xattrs"* ]] || has one "$stdout"
	k clone -eF box new -- /bin/sh -c 'cat /g'
	has one "$stdout"
	run_kennel stop --kill box
	wait_for 20 only_box
	store_up loop
	k create "${O[@]}" --base "$T/tree" --net none volume
	k run -k volume -- /bin/sh -c 'echo two >/f'
	k clone -eF volume new -- /bin/cat /f
	is_status 0
	has two "$stdout"
	k clone -e --tmpfs volume new
	refused yes "lies in the store loop"
	k rm volume
	wait_for 20 only_box
}

@test "ephemeral: killed before it was started" {
	make_box
	# called by kill_points
	# shellcheck disable=SC2317
	nothing() { :; }
	# shellcheck disable=SC2317
	goes() {
		"$KENNEL" stop -q --kill new >/dev/null 2>&1 || :
		wait_for 20 gone_with_next || return 1
		only_box && is_equal "$("$KENNEL" run -P "$S" -k box -- /bin/cat /f)" one
	}
	KENNEL_TEST_POINTS=${KENNEL_TEST_POINTS:-5} kill_points nothing goes "$KENNEL" clone -e -P "$S" box new -- /bin/sleep 300
}

@test "ephemeral: words that don't go together" {
	make_box
	k clone --tmpfs box new
	refused yes "--tmpfs"
	k clone -F box new
	refused yes "--foreground"
	k clone -e --whole box new
	refused yes "--whole"
	k clone box
	refused yes "a name for the new container is missing"
	k clone box new -- sh
	refused yes 'unexpected argument "sh"'
	only_box
}
