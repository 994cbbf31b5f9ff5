#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# Hooks: when each runs and with what, what one that fails brings about, and that those of the end run however it came.

load lib

setup() {
	need_sandbox
	need_commands busybox jq
	kennel_setup
	mkdir -p "$T/base/bin" "$T/base/etc" "$T/base/sbin"
	cp "$(command -v busybox)" "$T/base/bin/busybox"
	for applet in sh sleep cat; do ln -s busybox "$T/base/bin/$applet"; done
	at_end stop_all
	# What it is told, and how it finds the machine.
	cat >"$T/hook" <<-'END'
		#!/bin/bash
		open=$(ls /proc/self/fd | tr '\n' ' ')
		{
			env | grep ^KENNEL_ | sort
			echo "in $PWD, input $(readlink /proc/self/fd/0), open $open, path $PATH"
			[ -z "$KENNEL_ROOT" ] || echo "inside: $(cd "$KENNEL_ROOT/etc" && echo *), $(tr '\0' ' ' <"/proc/$KENNEL_PID/cmdline" | cut -d ' ' -f 1)"
		} >>"$1/$KENNEL_HOOK"
		echo "said by $KENNEL_HOOK"
		trap -p
		grep -q 'SigBlk:.*0000000000000000' /proc/self/status || echo "signals are blocked"
		exit "${2-0}"
	END
	chmod 755 "$T/hook"
}

# create [ARG]...
create() {
	"$KENNEL" create -P "$T/store" --base "$T/base" --net none "$@"
}

start() {
	run_kennel start -P "$T/store" "$@"
}

stopped() {
	"$KENNEL" wait -P "$T/store" -t 60 box
}

told() {
	sed -n "s/^KENNEL_$2=//p" "$T/$1"
}

@test "hooks: in their order, with what they are told; in the foreground they speak to the terminal" {
	for level in $(levels fs ns user); do
		rm -rf "$T"/pre-start "$T"/start-host "$T"/post-stop
		net=none
		[ "$level" != fs ] || net=host
		create --isolate "$level" --net "$net" --hook-pre-start "$T/hook '$T'" --hook-start-host "$T/hook $T" \
			--hook-post-stop "$T/hook $T" --hook-post-stop "/bin/sh -c 'echo again in $level'" box
		status=0
		(cd "$T" && exec 9<"$T/hook" && "$KENNEL" run -P "$T/store" -k box -- sh -c 'echo ran; exit 7') </dev/null >"$T/out" 2>"$T/err" || status=$?
		is_equal "$status" 7
		is_equal "$(<"$T/out")" ran
		is_equal "$(<"$T/err")" $'said by pre-start\nsaid by start-host\nsaid by post-stop\nagain in '"$level"
		for hook in pre-start start-host post-stop; do
			is_equal "$(told $hook HOOK)" $hook
			is_equal "$(told $hook NAME)" box
			[[ $(told $hook ID) =~ ^[0-9a-f]{8}$ ]]
			is_equal "$(told $hook STORE)" "$T/store"
			is_equal "$(told $hook CONFIG)" "$T/store/box/config"
			has "in /, input /dev/null, open 0 1 2 3 , path /usr/local/sbin:" "$(<"$T/$hook")"
		done
		is_equal "$(told post-stop END) $(told post-stop STATUS)" "exited 7"
		is_equal "$(told pre-start PID)$(told pre-start ROOT)$(told post-stop PID)$(told pre-start STATUS)" ""
		# its root is there, its init not yet
		if [ "$EUID" -eq 0 ]; then
			has "inside: " "$(<"$T/start-host")"
			is_equal "$(told start-host ROOT)" "/proc/$(told start-host PID)/root"
		fi
		lacks kennel-init "$(<"$T/start-host")"
		"$KENNEL" rm -P "$T/store" box
	done
}

@test "hooks: in the background they speak to the log; the machine's mounts are theirs, and the inside's are gone at the end" {
	mkdir "$T/data"
	echo of the machine >"$T/data/file"
	create --share "$T/data" --hook-pre-start "$T/hook $T" --hook-start-host "/bin/sh -c 'cat $T/data/file; echo \$KENNEL_PID >$T/pid; kill -0 \$KENNEL_PID && echo is there'" \
		--hook-post-stop "/bin/sh -c 'kill -0 \$(cat $T/pid) || echo is gone; echo \"\$KENNEL_END \$KENNEL_STATUS\"; exit 3'" --hook-post-stop /nosuch box
	start -q box -- sh -c 'echo inside; exit 5'
	is_status 0
	stopped
	run_kennel log -P "$T/store" box
	said=${stdout//$'\r'/}
	has $'said by pre-start\nof the machine\nis there\ninside\n' "$said"
	has $'is gone\nexited 5\nkennel: the hook of post-stop "/bin/sh -c' "$said"
	has '" failed with exit code 3' "$said"
	has 'kennel: run the hook of post-stop "/nosuch": No such file or directory' "$said"
}

@test "hooks: one that fails before the start calls it off, and those of the end put things in order" {
	create --hook-pre-start "$T/hook $T" --hook-pre-start "$T/hook $T 4" --hook-pre-start "$T/hook $T" --hook-post-stop "$T/hook $T" box -- sh -c 'echo ran >/etc/ran'
	start box
	refused yes 'the hook of pre-start "'"$T/hook $T"' 4" failed with exit code 4'
	has '"kennel log"' "$stderr"
	is_equal "$(told pre-start NAME)" $'box\nbox'
	is_equal "$(told post-stop END) $(told post-stop STATUS)" "failed 125"
	"$KENNEL" wait -P "$T/store" -t 0 box
	run_kennel diff -P "$T/store" box
	has "was never started"
	"$KENNEL" set -P "$T/store" --unset hook-pre-start --hook-start-host "/bin/false" box
	run_kennel run -P "$T/store" -k box
	is_status 125
	is_equal "$stderr" $'said by post-stop\nkennel: the hook of start-host "/bin/false" failed with exit code 1'
	is_equal "$(told post-stop END)" $'failed\nfailed'
	run_kennel diff -P "$T/store" box
	lacks ran
	"$KENNEL" set -P "$T/store" --unset hook-start-host --hook-pre-start "/bin/sh -c 'kill -9 \$\$'" box
	start box
	refused yes "was killed by signal 9"
	# nothing was owed: no hook of the start had begun
	"$KENNEL" set -P "$T/store" --unset hook-pre-start --hook-pre-start /nosuch box
	rm "$T/post-stop"
	start box
	refused yes 'run the hook of pre-start "/nosuch": No such file'
	start box -- nosuch
	is_status 125
	[ -z "$(sandbox_ids)" ]
}

@test "hooks: one that takes too long is killed, with what it started" {
	create --hook-timeout 300ms --hook-pre-start "/bin/sh -c 'sleep 41.4159 & sleep 41.4159'" --hook-post-stop "$T/hook $T" box
	start box
	refused yes "did not end within 300 ms, and was killed"
	wait_for 10 sh -c '! pgrep -f "^sleep 41.4159"'
	is_equal "$(told post-stop END)" failed
}

@test "hooks: those of the end run when the monitor is killed, or the init, and in the middle of them" {
	for who in pid init; do
		create --hook-post-stop "$T/hook $T" box
		start -q box
		kill -9 "$("$KENNEL" list --json -P "$T/store" | jq -r ".[] | select(.name == \"box\") | .$who")"
		stopped
		is_equal "$(told post-stop END) $(told post-stop STATUS)" "$([ $who = init ] && echo exited || echo killed) 137"
		rm "$T/post-stop"
		"$KENNEL" rm -P "$T/store" box
	done
	# the janitor waits for the one that runs, and goes on behind it
	mkfifo "$T/go"
	create --hook-post-stop "/bin/sh -c 'echo begun >$T/begun; read line <$T/go; echo done >>$T/begun'" \
		--hook-post-stop "/bin/sh -c 'cat $T/begun >$T/after; echo \$KENNEL_END >>$T/after'" box
	start -q box
	monitor=$("$KENNEL" list --json -P "$T/store" | jq -r '.[] | select(.name == "box") | .pid')
	"$KENNEL" stop box
	wait_for 20 test -s "$T/begun"
	kill -9 "$monitor"
	! "$KENNEL" wait -P "$T/store" -t 100ms box
	exec 8<>"$T/go" # without a hook that reads it this would wait for ever
	echo >&8
	stopped
	exec 8>&-
	is_equal "$(<"$T/after")" $'begun\ndone\nexited'
}

@test "hooks: an init that boots is held as well, and a reboot is an end and a start" {
	for applet in init reboot poweroff; do ln -s ../bin/busybox "$T/base/sbin/$applet"; done
	ln -s busybox "$T/base/bin/echo"
	printf '%s\n' '::sysinit:/bin/echo up as process 1' '::respawn:/bin/cat' >"$T/base/etc/inittab"
	create --boot --hook-pre-start "$T/hook $T" --hook-start-host "$T/hook $T" --hook-post-stop "$T/hook $T" box
	start -q box
	is_status 0
	wait_for 20 sh -c "'$KENNEL' log -P '$T/store' box | grep -q 'up as process 1'"
	"$KENNEL" exec box -- reboot || : # it is ended with the rest
	wait_for 20 sh -c "[ \$('$KENNEL' log -P '$T/store' box | grep -c 'up as process 1') -eq 2 ]"
	"$KENNEL" exec box -- poweroff || :
	stopped
	is_equal "$(told pre-start NAME) $(told start-host NAME)" $'box\nbox box\nbox'
	is_equal "$(told post-stop END)" $'exited\nexited'
	[ "$(told post-stop ID)" = "$(told start-host ID)" ]
}

@test "hooks: what can't be meant is refused" {
	run_kennel create -P "$T/store" --hook-pre-start true box
	refused yes '"true" is not the full path of a program'
	run_kennel create -P "$T/store" --hook-post-stop "/bin/sh -c 'x" box
	refused yes "has no second one"
	run_kennel create -P "$T/store" --hook-timeout soon box
	refused yes "not a time"
}
