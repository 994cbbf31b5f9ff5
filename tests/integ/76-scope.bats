#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root
#
# An ordinary user without a group of the own: systemd is asked for one. Here a stand-in on a private bus answers.

load lib

setup() {
	need_root "hands control groups to the ordinary user"
	need_commands runuser busybox jq /usr/bin/python3
	[ -e /usr/include/systemd/sd-bus.h ] || skip "needs libsystemd"
	kennel_setup
	install -d -m 0700 -o "$KENNEL_TEST_USER" "$T/runtime-of-user"
	TOP=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
	[ -n "$TOP" ] || skip "no cgroup v2 is mounted here"
	GROUP=$TOP/scopes-$$
	mkdir "$GROUP" || skip "needs root: of the control groups"
	at_end remove_group
	install -d -o "$KENNEL_TEST_USER" -g "$KENNEL_TEST_USER" "$T/of-user"
	mkdir -p "$T/base/bin"
	cp "$(command -v busybox)" "$T/base/bin/busybox"
	for applet in sh sleep cat; do ln -s busybox "$T/base/bin/$applet"; done
}

remove_group() {
	find "$GROUP" -mindepth 1 -depth -type d -exec rmdir {} + 2>/dev/null || :
	wait_for 5 rmdir "$GROUP"
}

# manager [refuse|silent|mute]
manager() {
	background /usr/bin/python3 "$KENNEL_STAGE/tests/harness/manager.py" "$T/bus" "$GROUP" "$(id -u "$KENNEL_TEST_USER")" "$@"
	MANAGER=$T/out.$LIB_STARTED
	wait_for 10 says "$MANAGER" up
}

# of_user ARG...: kennel of the user, with that bus.
of_user() {
	status=0
	runuser -u "$KENNEL_TEST_USER" -- env HOME="/home/$KENNEL_TEST_USER" XDG_RUNTIME_DIR="$T/runtime-of-user" \
		DBUS_SESSION_BUS_ADDRESS="unix:path=$T/bus" "$KENNEL" "$@" </dev/null >"$LIB_STATE/stdout" 2>"$LIB_STATE/stderr" 3>&- || status=$?
	stdout=$(<"$LIB_STATE/stdout")
	stderr=$(<"$LIB_STATE/stderr")
	printf '$ kennel %s\n%s\n%s\n(exit code %s)\n' "$*" "$stdout" "$stderr" "$status"
}

@test "scope: in the background a user's container is in one, delegated, and can be frozen" {
	manager
	of_user create -P "$T/of-user" --base "$T/base" --net none box
	is_status 0
	of_user start -q -P "$T/of-user" box
	is_status 0
	of_user list --json
	id=$(jq -r '.[0].id' <<<"$stdout")
	grep -qx "kennel-$id.scope delegated" "$MANAGER"
	[ -d "$GROUP/kennel-$id.scope/kennel-$id" ]
	of_user freeze box
	is_status 0
	of_user list --json
	is_equal "$(jq -r '.[0].state' <<<"$stdout")" frozen
	of_user thaw box
	is_status 0
	of_user stop --kill box
	of_user wait -P "$T/of-user" -t 60 box
	wait_for 10 nothing_in "$GROUP/kennel-$id.scope"
	of_user rm -P "$T/of-user" box
}

nothing_in() {
	[ -z "$(find "$1" -mindepth 1 -type d -name 'kennel-*' ! -name kennel-callers)" ] && ! grep -q . "$1/kennel-callers/cgroup.procs" 2>/dev/null
}

@test "scope: a start without limits does not touch the bus, and a refusal is told" {
	manager refuse
	of_user run --base "$T/base" --net none -- /bin/sh -c 'echo fine'
	is_equal "$stdout" fine
	is_equal "$(cat "$MANAGER")" up
	grep -qw pids "$TOP/cgroup.controllers" || return 0
	of_user run --base "$T/base" --net none --pids 20 -- /bin/sh -c 'echo had'
	is_status 125
	has "not today" "$stderr"
}

# sd-bus alone would wait 90 seconds, or 25.
@test "scope: a bus that lets nobody in, or says no hello, is waited for seconds, and by check once" {
	local mode pid pids=()
	for mode in silent mute; do
		background /usr/bin/python3 "$KENNEL_STAGE/tests/harness/manager.py" "$T/bus-$mode" "$GROUP" 0 $mode
		wait_for 10 says "$T/out.$LIB_STARTED" up
		timeout -k 5 60 runuser -u "$KENNEL_TEST_USER" -- env HOME="/home/$KENNEL_TEST_USER" XDG_RUNTIME_DIR="$T/runtime-of-user" \
			DBUS_SESSION_BUS_ADDRESS="unix:path=$T/bus-$mode" "$KENNEL" check </dev/null >"$T/check-$mode" 2>&1 3>&- &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		status=0
		wait "$pid" || status=$?
		[ "$status" -ne 124 ]
	done
	grep -q memory "$T/check-silent"
	grep -q memory "$T/check-mute"
}
