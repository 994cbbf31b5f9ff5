#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# The same again and again, ended each time in another way: nothing may grow. KENNEL_TEST_SOAK=300 is the whole of it, to be run with
# BATS_TEST_TIMEOUT=3000 by who has changed what starts or ends a container; it tells the figures. With KENNEL_TEST_SOAK_BASE=DIRECTORY, where
# a distribution with systemd lies, that is booted as often.

load lib

setup() {
	need_sandbox
	need_commands busybox jq
	kennel_setup
	CYCLES=${KENNEL_TEST_SOAK:-5}
	mkdir -p "$T/base/bin" "$T/base/etc"
	cp "$(command -v busybox)" "$T/base/bin/busybox"
	for applet in sh sleep cat; do ln -s busybox "$T/base/bin/$applet"; done
	at_end remove_all
}

remove_all() {
	"$KENNEL" list -kq -P "$T/store" | xargs -r "$KENNEL" rm --force -P "$T/store"
	"$KENNEL" gc >/dev/null
}

# number NAME KEY: of the entry of a container that runs.
number() {
	"$KENNEL" list --json -P "$T/store" | jq -r ".[] | select(.name == \"$1\" and .pid) | .$2"
}

# What a process holds: descriptors, and memory of its own in kilobytes.
descriptors() {
	find "/proc/$1/fd" -mindepth 1 | wc -l
}

holds() {
	[ "$(descriptors "$1")" = "$2" ]
}

# settled PID: its descriptors, once those of who has just spoken to it are gone.
settled() {
	local now last=-1 same=0 try
	for ((try = 0; try < 300 && same < 4; try++)); do
		now=$(descriptors "$1")
		[ "$now" = "$last" ] && same=$((same + 1)) || same=0
		last=$now
		pause 0.05
	done
	echo "$now"
}

has_entries() {
	[ "$(entries)" = "$1" ]
}

own_memory() {
	awk '/^Private_Dirty/ { print $2 }' "/proc/$1/smaps_rollup"
}

# Files of the runtime directory and processes whose monitor or janitor one could have forgotten.
entries() {
	local dir=/run/kennel
	[ "$EUID" -eq 0 ] || dir=$XDG_RUNTIME_DIR/kennel
	find "$dir" -mindepth 1 | wc -l
}

ours() {
	pgrep -c -u "$EUID" '^(kennel|kjanitor|kennel-monitor|kennel-view|pasta)' || :
}

# end_in_some_way N NAME
end_in_some_way() {
	local client
	case $(($1 % 5)) in
	0) "$KENNEL" stop -q "$2" ;;
	1) kill -9 "$(number "$2" init)" ;;
	2) kill -9 "$(number "$2" pid)" ;;
	3)
		"$KENNEL" exec "$2" -- sh -c 'echo up; exec sleep 300' >"$T/up" 2>/dev/null 3>&- &
		client=$!
		wait_for 20 test -s "$T/up"
		kill -9 $client
		wait $client || :
		: >"$T/up"
		"$KENNEL" stop -q "$2"
		;;
	4) "$KENNEL" stop --kill -q "$2" ;;
	esac
}

@test "soak: start, enter, and an end of each kind, over and over" {
	local n name status entries_before ours_before monitor
	declare -A held=()
	"$KENNEL" create -P "$T/store" --base "$T/base" --net none small
	"$KENNEL" create -P "$T/store" --net none whole
	"$KENNEL" create -P "$T/store" --base "$T/base" --net none lasting
	"$KENNEL" start -q -P "$T/store" lasting -- sh -c 'while :; do echo line; sleep 0.1; done'
	monitor=$(number lasting pid)
	entries_before=$(entries)
	ours_before=$(ours)
	for ((n = 0; n < CYCLES; n++)); do
		name=small
		[ $((n % 6)) -ne 4 ] || name=whole
		"$KENNEL" start -q -P "$T/store" "$name"
		: "${held[$name]:=$(settled "$(number "$name" pid)")}"
		wait_for 10 holds "$(number "$name" pid)" "${held[$name]}"
		is_equal "$("$KENNEL" exec "$name" -- sh -c 'echo in')" in
		status=0
		echo 'exit 3' | "$KENNEL" enter "$name" >/dev/null 2>&1 || status=$?
		is_equal "$status" 3
		# one that looks on, and is killed in the middle
		timeout -s KILL 0.05 "$KENNEL" console lasting </dev/null >/dev/null 2>&1 3>&- || :
		end_in_some_way "$n" "$name"
		"$KENNEL" wait -P "$T/store" -t 60 "$name"
		# of the monitor that stays, once what it was asked for first is there
		[ "$n" -ne 2 ] || begun="$(settled "$monitor") descriptors, $(own_memory "$monitor") kB"
	done
	wait_for 20 sh -c "[ \$(find /proc/$monitor/fd -mindepth 1 | wc -l) -le ${begun%% *} ]"
	ended="$(settled "$monitor") descriptors, $(own_memory "$monitor") kB"
	has "${begun%% *} descriptors" "$ended"
	local kb=${ended##*, } kb_begun=${begun##*, }
	[ $((${kb% kB} - ${kb_begun% kB})) -le 64 ]
	wait_for 10 has_entries "$entries_before"
	wait_for 20 sh -c "[ \$(pgrep -c -u $EUID '^(kennel|kjanitor|kennel-monitor|kennel-view|pasta)') -le $ours_before ]"
	[ -z "${KENNEL_TEST_SOAK-}" ] || {
		echo "# $CYCLES cycles: a monitor that stayed began with $begun and ended with $ended;"
		echo "# monitors of the cycles held ${held[small]} and ${held[whole]-no} descriptors each time;"
		echo "# runtime entries $entries_before and $(entries), processes $ours_before and $(ours)"
	} >&3
}

# has_login NAME: of this start, whatever its console showed before.
has_login() {
	"$KENNEL" exec "$1" -- sh -c 'systemctl is-active -q multi-user.target && grep -qsx agetty /proc/[0-9]*/comm' 2>/dev/null
}

# An ordinary user has a control group to hand over only where one is delegated, so there the same runs without its init.
@test "soak: a whole distribution boots, is entered and ends in each way, over and over" {
	[ -n "${KENNEL_TEST_SOAK_BASE-}" ] || skip "takes minutes and a distribution: KENNEL_TEST_SOAK_BASE=DIRECTORY"
	local n status entries_before ours_before mounts_before boot=() open_fds=0 early=0
	[ "$EUID" -ne 0 ] || boot=(--boot)
	"$KENNEL" create -P "$T/store" --base "$KENNEL_TEST_SOAK_BASE" --net none "${boot[@]}" debian
	entries_before=$(entries)
	ours_before=$(ours)
	mounts_before=$(wc -l </proc/self/mountinfo)
	for ((n = 0; n < CYCLES; n++)); do
		"$KENNEL" start -q -P "$T/store" debian
		[ "$n" -ne 0 ] || open_fds=$(settled "$(number debian pid)")
		wait_for 10 holds "$(number debian pid)" "$open_fds"
		# each seventh is ended while it boots
		if [ "$EUID" -eq 0 ] && [ $((n % 7)) -ne 6 ]; then
			wait_for 100 has_login debian
		else
			early=$((early + 1))
		fi
		is_equal "$("$KENNEL" exec debian -- sh -c 'echo in')" in
		status=0
		echo 'exit 3' | "$KENNEL" enter debian >/dev/null 2>&1 || status=$?
		is_equal "$status" 3
		end_in_some_way "$n" debian
		"$KENNEL" wait -P "$T/store" -t 60 debian
		wait_for 10 has_entries "$entries_before"
	done
	is_equal "$(wc -l </proc/self/mountinfo)" "$mounts_before"
	wait_for 20 sh -c "[ \$(pgrep -c -u $EUID '^(kennel|kjanitor|kennel-monitor|kennel-view|pasta)') -le $ours_before ]"
	echo "# $CYCLES cycles of $KENNEL_TEST_SOAK_BASE, $early of them without waiting for a login: monitors held $open_fds descriptors each time" >&3
}
