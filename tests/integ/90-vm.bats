#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# --isolate vm: a kernel of its own (User Mode Linux) over the same copy of the system. A boot takes some two seconds, so each test
# asks several things of one guest.

load lib

setup() {
	kennel_setup
	need_guest
}

@test "vm: another kernel, the same files and owners; root inside may do everything, and nothing of it stays" {
	: >"$T/mine"
	run_kennel run --isolate vm --net none -- sh -c '
		uname -r; id -u; cat /proc/1/comm; stat -c "%u:%g %a" /etc/shadow; stat -c %u /usr/bin/env
		useradd -m guest-user && su guest-user -c "touch ~/x && chmod 600 ~/x && stat -c %U ~/x"
		echo changed >>/etc/hostname; rm -rf /usr/share/common-licenses; ls -d /usr/share/common-licenses
		mount -t tmpfs tmp /mnt && mknod /mnt/null c 1 3 && echo >/mnt/null && echo a node
		setcap cap_net_raw+ep "$(command -v ls)" && getcap "$(command -v ls)" | grep -o cap_net_raw
		exit 7'
	is_status 7
	release=$(linux.uml --version)
	has "$release" "$stdout"
	has "0:42 640" "$stdout"
	has guest-user "$stdout"
	has "a node" "$stdout"
	has cap_net_raw "$stdout"
	has "cannot access '/usr/share/common-licenses'" "$stderr"
	[ -d /usr/share/common-licenses ]
	[ -z "$(getent passwd guest-user)" ]
}

@test "vm: exit codes, streams, directory, user, environment" {
	cd /usr/lib
	# shellcheck disable=SC2016
	"$KENNEL" run --isolate vm --net none --user daemon --env A=b -- sh -c 'pwd; id -un; echo "$A"; cat; echo to-stderr >&2; exit 4' \
		<<<"what came in" >"$T/out" 2>"$T/err" && false
	is_equal "$? $(cat "$T/out")" $'4 /usr/lib\ndaemon\nb\nwhat came in'
	is_equal "$(cat "$T/err")" to-stderr
	run_kennel run --isolate vm --net none -- no-such-command
	is_status 127
	has no-such-command
	run_kennel run --isolate vm --net none -- sh -c 'kill -9 $$'
	is_status 137
}
