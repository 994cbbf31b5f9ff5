#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# Containers that start by themselves: which, in which order, and what becomes of the others when one fails.

load lib

setup() {
	need_sandbox
	need_commands busybox jq
	kennel_setup
	mkdir -p "$T/base/bin" "$T/base/etc"
	cp "$(command -v busybox)" "$T/base/bin/busybox"
	for applet in sh sleep; do ln -s busybox "$T/base/bin/$applet"; done
	at_end stop_all
}

# create NAME [ARG]...
create() {
	"$KENNEL" create -P "$T/store" --base "$T/base" --net none "$@"
}

state_of() {
	"$KENNEL" info --json -P "$T/store" "$1" | jq -r '.state // "running"'
}

# What has changed its state since $T/changes was begun, as words NAME:STATE.
changes() {
	jq -r 'select(.name) | "\(.name):\(.state)"' "$T/changes" | tr '\n' ' '
}

watch() {
	"$KENNEL" monitor --json >"$T/changes" 3>&- &
	at_end kill $!
}

@test "auto: higher ones first, then by name; groups; nothing else; and it can be asked before" {
	create plain
	create b --autostart --start-group web --start-group all
	create a --autostart --start-delay 50ms
	create last-by-name --autostart --start-order 7 --start-group web --start-delay 2s
	run_kennel start -P "$T/store" --auto --dry-run
	is_status 0
	is_equal "$(sed 1d <<<"$stdout" | tr -s ' ')" $'last-by-name stopped 7 2s web\na stopped 0 50ms \nb stopped 0 0s web all'
	run_kennel start -P "$T/store" --auto --dry-run --json --group all --group nothing
	is_equal "$(jq -c '.[] | [.name, .state, .order, ."delay-ms", .groups]' <<<"$stdout")" '["b","stopped",0,0,["web","all"]]'
	"$KENNEL" set -P "$T/store" --unset autostart a
	"$KENNEL" set -P "$T/store" --unset start-group=all --start-order 9 b
	run_kennel start -P "$T/store" --auto --dry-run --json
	is_equal "$(jq -c 'map(.name)' <<<"$stdout")" '["b","last-by-name"]'
	run_kennel start -P "$T/nothing" --auto
	is_status 0
	is_equal "$output" ""
}

@test "auto: one that fails is told and keeps no other, one that runs stays; stop goes the other way round" {
	create first --autostart --start-order 3
	create second --autostart --start-order 2 --start-group odd -- /bin/nosuch
	create third --autostart --start-order 1
	watch
	"$KENNEL" start -q -P "$T/store" third
	run_kennel start -P "$T/store" --auto
	is_status 125
	has '"/bin/nosuch"' "$stderr"
	is_equal "${stdout#[0-9a-f]* }" first
	[ "$(state_of first)" = running ]
	[ "$(state_of third)" = running ]
	run_kennel start -P "$T/store" --auto --group odd
	is_status 125
	wait_for 10 says "$T/changes" '"first", "state": "running"'
	run_kennel stop -P "$T/store" --auto
	is_status 0
	[ "$(state_of first)" = stopped ]
	[ "$(state_of third)" = stopped ]
	wait_for 10 says "$T/changes" '"first", "state": "stopped"'
	has "third:stopped first:stopped" "$(changes)"
}

@test "auto: a container whose configuration can't be read is told, by its name" {
	create good --autostart
	create bad --autostart
	echo nonsense >"$T/store/bad/config"
	run_kennel start -P "$T/store" --auto
	is_status 125
	has 'container "bad"' "$stderr"
	[ "$(state_of good)" = running ]
	run_kennel start -P "$T/store" --auto --dry-run --json
	is_status 125
	is_equal "$(jq -c 'map([.name, .damage != null])' <<<"$stdout")" '[["bad",true],["good",false]]'
	cp "$T/store/good/config" "$T/store/bad/config"
	run_kennel stop -P "$T/store" --auto
	is_status 0
}

@test "auto: what can't be meant is refused" {
	create box
	run_kennel start -P "$T/store"
	refused yes "name either a container or --auto"
	run_kennel start -P "$T/store" --auto box
	refused yes "name either a container or --auto"
	run_kennel start -P "$T/store" --group g box
	is_status 125
	has "--auto" "$stderr"
	run_kennel start -P "$T/store" --auto --json
	has "--dry-run" "$stderr"
	run_kennel stop --auto box
	refused yes "--auto"
	run_kennel stop --auto --all
	is_status 125
	run_kennel create -P "$T/store" --start-group "a b" other
	refused yes start-group
	run_kennel set -P "$T/store" --start-delay soon box
	refused yes "not a time"
	[ "$(state_of box)" = stopped ]
}

@test "auto: the units are right" {
	need_commands systemd-analyze
	export XDG_RUNTIME_DIR=$T
	for kind in system user; do
		mkdir "$T/$kind"
		sed "s,@bindir@/kennel,$(command -v true),; /^Documentation/d" "$LIB_TOP/share/systemd/$kind.service.in" >"$T/$kind/kennel.service"
		status=0
		output=$(systemd-analyze "--$kind" --man=no verify "$T/$kind/kennel.service" 2>&1) || status=$?
		[[ $output != *"Failed to initialize manager"* ]] || skip "systemd-analyze can't run here"
		is_status 0
		is_equal "$output" ""
	done
}
