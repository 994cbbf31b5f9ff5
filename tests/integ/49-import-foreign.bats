#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# Containers of LXC and systemd-nspawn: their settings, their tree where it is or copied.

load lib

setup() {
	need_sandbox
	need_commands busybox
	kennel_setup
	S=$T/store
	at_end stop_all
}

# tree DIR: a root with a shell, as lxc-busybox leaves it
tree() {
	mkdir -p "$1/bin" "$1/sbin" "$1/etc" "$1/proc" "$1/sys" "$1/dev" "$1/tmp" "$1/run"
	cp "$(command -v busybox)" "$1/bin/busybox"
	ln -s busybox "$1/bin/sh"
	ln -s busybox "$1/bin/cat"
	echo before >"$1/etc/word"
}

# lxc NAME LINE...: a container of LXC in $T/lxc
lxc() {
	local dir=$T/lxc/$1
	shift
	mkdir -p "$dir"
	tree "$dir/rootfs"
	{
		printf '# made for a test\nlxc.rootfs.path = dir:%s\n' "$dir/rootfs"
		[ $# -eq 0 ] || printf '%s\n' "$@"
	} >"$dir/config"
}

run_in() {
	"$KENNEL" run -q -P "$S" --net none -k "$@"
}

@test "import: a container of LXC where it is: nothing in its tree changes" {
	lxc web 'lxc.uts.name = "pup"' 'lxc.environment = WORD=wuff' 'lxc.init.cmd = /bin/sh' "lxc.mount.entry = $T/shared srv none bind,ro,create=dir 0 0" \
		"lxc.mount.entry = $T/none opt none bind,optional 0 0" 'lxc.include = /usr/share/lxc/config/common.conf' 'lxc.net.0.type = empty' 'lxc.cap.drop = sys_time'
	mkdir "$T/shared"
	echo there >"$T/shared/file"
	host_snapshot "$T/before" "$T/lxc"
	"$KENNEL" import -P "$S" "lxc:$T/lxc/web" web
	local config
	config=$("$KENNEL" config -P "$S" web 2>/dev/null || cat "$S/web/config")
	has "base = $T/lxc/web/rootfs" "$config"
	has "mount = $T/shared:/srv:ro" "$config"
	has "net = none" "$config"
	lacks "$T/none" "$config"
	# shellcheck disable=SC2016 # of the inside
	is_equal "$(run_in web -- /bin/sh -c 'busybox hostname; echo $WORD; cat /srv/file /etc/word; echo after >/etc/word')" $'pup\nwuff\nthere\nbefore'
	is_equal "$(run_in web -- /bin/cat /etc/word)" after
	host_same "$T/before" "$T/lxc"
	# by what is there, without a word in front; copied
	"$KENNEL" import -q -P "$S" --copy "$T/lxc/web" copy
	rm -rf "$T/lxc/web/rootfs"
	is_equal "$(run_in copy -- /bin/cat /etc/word)" before
	has "base = own" "$(<"$S/copy/config")"
}

@test "import: settings without a counterpart are refused by name, or left out and named" {
	lxc a 'lxc.hook.start = /x' 'lxc.prlimit.nofile = 5' 'lxc.uts.name = pup'
	run_kennel import -P "$S" "lxc:$T/lxc/a" a
	refused yes "no counterpart of lxc.hook.start (config:3), lxc.prlimit.nofile (config:4)"
	has "--drop-unknown" "$stderr"
	has "--hook-pre-start" "$stderr"
	[ ! -e "$S/a" ]
	run_kennel import -P "$S" --drop-unknown "lxc:$T/lxc/a" a
	is_status 0
	has "left out: lxc.hook.start (config:3), lxc.prlimit.nofile (config:4)" "$stderr"
	is_equal "$(run_in a -- /bin/busybox hostname)" pup
	run_kennel import -P "$S" "lxc:$T/none" b
	is_status 125
	run_kennel import -P "$S" lxc: b
	refused no "no name behind the colon"
	run_kennel import -P "$S" --what delta "lxc:$T/lxc/a" b
	refused no "says itself"
	echo 'what' >>"$T/lxc/a/config"
	run_kennel import -P "$S" --drop-unknown "lxc:$T/lxc/a" b
	refused yes 'config:6: there is no "="'
	rm -r "$T/lxc/a/rootfs"
	sed -i '$d' "$T/lxc/a/config"
	run_kennel import -P "$S" --drop-unknown "lxc:$T/lxc/a" b
	refused yes "find the tree"
}

@test "import: a tree that was shifted is told, copied as it is inside, or converted" {
	need_root "files of others"
	lxc s 'lxc.idmap = u 0 300000 65536' 'lxc.idmap = g 0 300000 65536' 'lxc.init.cmd = /bin/sh'
	chmod 4755 "$T/lxc/s/rootfs/bin/busybox"
	chown 33:33 "$T/lxc/s/rootfs/etc/word"
	"$KENNEL" convert -q --shift 300000 "$T/lxc/s/rootfs"
	run_kennel import -P "$S" "lxc:$T/lxc/s" s
	refused yes "belong to the ids from 300000 on"
	has "kennel convert --shift none" "$stderr"
	"$KENNEL" import -q -P "$S" --copy "lxc:$T/lxc/s" s
	is_equal "$(stat -c '%u %a' "$S/s/base/bin/busybox")" "0 4755"
	is_equal "$(stat -c %u "$S/s/base/etc/word")" 33
	[ ! -e "$S/s/convert" ]
	has "idmap = 300000:65536" "$(<"$S/s/config")"
	is_equal "$(run_in s -- /bin/busybox stat -c %u /etc/word)" 33
	is_equal "$(run_in s -- /bin/cat /proc/self/uid_map | tr -s ' ')" " 0 300000 65536"
	is_equal "$(stat -c %u "$T/lxc/s/rootfs/etc/word")" 300033
	chown 5 "$T/lxc/s/rootfs/etc/word"
	run_kennel import -P "$S" --copy "lxc:$T/lxc/s" s2
	refused yes "belongs to the user 5"
	[ ! -e "$S/s2" ]
	chown 300005 "$T/lxc/s/rootfs/etc/word"
	"$KENNEL" convert -q --shift none "$T/lxc/s/rootfs"
	"$KENNEL" import -P "$S" "lxc:$T/lxc/s" s3
	is_equal "$(run_in s3 -- /bin/busybox stat -c %u /etc/word)" 5
}

@test "import: an overlay of LXC's: what was deleted in it stays deleted" {
	need_root "device nodes"
	lxc low
	mkdir -p "$T/lxc/top/delta0/etc"
	echo changed >"$T/lxc/top/delta0/etc/new"
	mknod "$T/lxc/top/delta0/etc/word" c 0 0 || skip "no device nodes here"
	printf 'lxc.rootfs.path = overlay:%s:%s\n' "$T/lxc/low/rootfs" "$T/lxc/top/delta0" >"$T/lxc/top/config"
	"$KENNEL" import -P "$S" "lxc:$T/lxc/top" top
	is_equal "$(run_in top -- /bin/sh -c 'cd /etc; echo [nw]*')" "new"
	run_kennel import -P "$S" --copy "lxc:$T/lxc/top" top2
	refused yes "an overlay can't be copied"
}

@test "import: a directory of systemd-nspawn with its settings" {
	tree "$T/machines/dog"
	mkdir "$T/shared"
	echo there >"$T/shared/file"
	printf '[Exec]\nBoot=no\nHostname=pup\nEnvironment=WORD="big wuff"\n[Files]\nBind=%s:/srv\n[Network]\nPrivate=yes\n' "$T/shared" >"$T/machines/dog.nspawn"
	"$KENNEL" import -P "$S" "nspawn:$T/machines/dog" dog
	has "base = $T/machines/dog" "$(<"$S/dog/config")"
	lacks "boot" "$(grep -v '^#' "$S/dog/config")"
	# shellcheck disable=SC2016 # of the inside
	is_equal "$(run_in dog -- /bin/sh -c 'busybox hostname; echo $WORD; cat /srv/file')" $'pup\nbig wuff\nthere'
	printf '[Exec]\nSystemCallFilter=x\n' >>"$T/machines/dog.nspawn"
	run_kennel import -P "$S" "nspawn:$T/machines/dog" dog2
	refused yes "no counterpart of Exec.SystemCallFilter (dog:10)"
	"$KENNEL" import -q -P "$S" --copy --drop-unknown "nspawn:$T/machines/dog" dog2
	is_equal "$(run_in dog2 -- /bin/cat /etc/word)" before
}

@test "import: what lxc-create made" {
	need_root "LXC"
	need_commands lxc-create
	local name=kennel-test-$$
	lxc-create -P "$T/made" -t busybox -n "$name" >"$T/log" 2>&1 || skip "lxc-create does not work here"
	"$KENNEL" import -P "$S" "lxc:$T/made/$name" made
	has "boot = yes" "$(<"$S/made/config")"
	has "hostname = $name" "$(<"$S/made/config")"
	sed -i '/^net = /d' "$S/made/config" # this machine's bridge, or none
	"$KENNEL" set -P "$S" made --net none
	is_equal "$(run_in made -- /bin/sh -c 'busybox hostname; id -u')" "$name"$'\n'0
}
