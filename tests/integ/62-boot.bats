#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# Containers with an init of their own: a busybox as small as can be, and the running system's systemd, to a login
# on the console; reboot and power off from inside and from outside.

load lib

setup() {
	need_sandbox
	need_commands busybox
	kennel_setup
	at_end remove_all
}

remove_all() {
	local name
	for name in $("$KENNEL" list -kq -P "$T/store" 2>/dev/null); do
		"$KENNEL" rm --force -P "$T/store" "$name"
	done
	"$KENNEL" gc >/dev/null
}

# shown TEXT [TIMES]: the console has shown it.
shown() {
	[ "$("$KENNEL" log -P "$T/store" box | grep -c -e "$1")" -ge "${2-1}" ]
}

stopped() {
	"$KENNEL" wait -P "$T/store" -t 60 box
}

busybox_base() {
	mkdir -p "$T/base/bin" "$T/base/sbin" "$T/base/etc"
	cp "$(command -v busybox)" "$T/base/bin/busybox"
	for applet in sh echo cat sleep; do ln -s busybox "$T/base/bin/$applet"; done
	for applet in init reboot poweroff halt; do ln -s ../bin/busybox "$T/base/sbin/$applet"; done
	printf '%s\n' '::sysinit:/bin/echo up as process 1' '::respawn:/bin/cat' '::shutdown:/bin/echo going down' >"$T/base/etc/inittab"
}

# reboots_and_ends [OPTION]...: from inside.
reboots_and_ends() {
	busybox_base
	"$KENNEL" create -P "$T/store" --base "$T/base" --net none "$@" --boot box
	"$KENNEL" start -q -P "$T/store" box
	wait_for 60 shown 'up as process 1'
	first=$("$KENNEL" list -q)
	"$KENNEL" exec box -- reboot || : # it may be ended with the rest
	wait_for 60 shown 'up as process 1' 2
	shown 'going down'
	[ "$("$KENNEL" list -q)" != "$first" ]
	"$KENNEL" exec box -- poweroff || :
	stopped
	shown 'going down' 2
	run_kennel info --json -P "$T/store" box
	has '"status": 0' "$stdout"
	run_kennel list --json -P "$T/store"
	has '"state": "stopped"' "$stdout"
}

@test "boot: busybox; from inside it reboots, and switches off" { reboots_and_ends; }

@test "boot: busybox at level ns, the same" {
	need_root "level ns"
	reboots_and_ends --isolate ns
}

@test "boot: stop asks busybox in its own way; a base without an init is told" {
	busybox_base
	"$KENNEL" create -P "$T/store" --base "$T/base" --net none --boot box
	"$KENNEL" start -q -P "$T/store" box
	wait_for 20 shown 'up as process 1'
	run_kennel stop box
	is_status 0
	is_equal "$stderr" ""
	stopped
	shown 'going down'
	rm "$T/base/sbin/init"
	run_kennel start -P "$T/store" box
	is_status 127
	has "/sbin/init"
	run_kennel create -P "$T/store" --boot --isolate fs other
	refused yes "no process 1"
}

@test "boot: a copy of the running system, with its systemd, to a login; services, reboot, stop" {
	[ -e /lib/systemd/systemd ] || skip "no systemd here"
	[ "$(id -u)" -eq 0 ] || skip "needs root: nobody delegates a control group here"
	"$KENNEL" create -P "$T/store" --net none --boot --ttys 1 box
	"$KENNEL" start -q -P "$T/store" box
	wait_for 60 shown 'box login:'
	# the login may be there before what it is a part of
	wait_for 60 "$KENNEL" exec box -- systemctl is-active -q multi-user.target
	run_kennel exec box -- systemctl is-active dbus.service multi-user.target container-getty@1.service
	is_equal "$stdout" $'active\nactive\nactive'
	run_kennel exec box -- cat /proc/1/comm
	is_equal "$stdout" systemd
	"$KENNEL" exec box -- systemctl reboot || : # it may be ended with the rest
	wait_for 60 shown 'box login:' 2
	run_kennel stop -t 30 box
	is_status 0
	is_equal "$stderr" ""
	stopped
}

# A kernel of its own has control groups of its own: nobody has to delegate any.
@test "boot: the running system's systemd in a guest, to a login; services, stop" {
	need_guest
	[ -e /lib/systemd/systemd ] || skip "no systemd here"
	"$KENNEL" create -P "$T/store" --isolate vm --net none --boot box
	"$KENNEL" start -q -P "$T/store" box
	wait_for 100 shown 'box login:'
	run_kennel exec box -- systemctl is-active dbus.service basic.target console-getty.service
	is_equal "$stdout" $'active\nactive\nactive'
	run_kennel exec box -- awk '{ print $7 }' /proc/1/stat # no terminal is its controlling one
	is_equal "$stdout" 0
	run_kennel exec box -- sh -c 'cat /proc/1/comm; systemctl show --property=ControlGroup --value dbus.service; useradd inside'
	is_equal "$stdout" $'systemd\n/system.slice/dbus.service'
	run_kennel stop -t 60 box
	is_status 0
	is_equal "$stderr" ""
	stopped
	run_kennel diff -P "$T/store" box /etc/passwd
	has /etc/passwd "$stdout"
}

@test "boot: systemd of an ordinary user, from a control group that was delegated; killed, it leaves none behind" {
	[ "$(id -u)" -eq 0 ] || skip "needs root: to delegate a control group"
	[ -e /lib/systemd/systemd ] || skip "no systemd here"
	v2=$(findmnt -nro TARGET -t cgroup2 | head -n 1)
	[ -n "$v2" ] || skip "no cgroup v2 here"
	group=$v2/test-$$
	mkdir "$group"
	at_end rmdir "$group"
	at_end sh -c "find '$group' -depth -mindepth 1 -type d -exec rmdir {} + 2>/dev/null || :"
	chown -R "$KENNEL_TEST_USER:" "$group"
	cat >"$T/as-user" <<-'END'
		set -e
		store=$1/store
		"$KENNEL" create -P "$store" --net none --boot box
		n=0
		for how in stop kill murder; do
		    n=$((n + 1))
		    "$KENNEL" start -q -P "$store" box
		    for i in $(seq 1000); do [ "$("$KENNEL" log -P "$store" box | grep -c 'box login:')" -lt $n ] || break; sleep 0.1; done
		    for i in $(seq 1000); do "$KENNEL" exec box -- systemctl is-active -q multi-user.target && break; sleep 0.1; done
		    "$KENNEL" exec box -- systemctl is-active multi-user.target
		    case $how in
		    stop)
		        "$KENNEL" freeze box
		        "$KENNEL" list | grep frozen
		        "$KENNEL" stop box
		        ;;
		    kill) "$KENNEL" stop --kill box ;;
		    murder) kill -KILL "$("$KENNEL" list --json | grep -o '"pid": [0-9]*' | grep -o '[0-9]*')" ;;
		    esac
		    "$KENNEL" wait -P "$store" -t 60 box
		    # Groups that systemd has given to its own users are out of the user's reach: gc joins their namespace.
		    [ $how != murder ] || "$KENNEL" gc
		done
		"$KENNEL" rm -P "$store" box
	END
	install -d -m 0700 -o "$KENNEL_TEST_USER" "$T/home" "$T/runtime"
	(
		echo 0 >"$group/cgroup.procs"
		exec runuser -u "$KENNEL_TEST_USER" -- env KENNEL="$KENNEL" HOME="$T/home" XDG_RUNTIME_DIR="$T/runtime" \
			bash "$T/as-user" "$T/home"
	)
	[ -z "$(find "$group" -name 'kennel-????????')" ]
}
