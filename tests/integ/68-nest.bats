#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# --nest: containers in containers, of kennel, Podman and LXC.

load lib

setup() {
	need_sandbox
	kennel_setup
	# They have to be where the copy has them too.
	mkdir -p "$T/bin" "$T/libexec/kennel"
	cp "$KENNEL" "$T/bin/kennel"
	local view
	for view in "${KENNEL%/*}/../src/view/kennel-view" "${KENNEL%/*}/../libexec/kennel/kennel-view"; do
		[ ! -x "$view" ] || cp "$view" "$T/libexec/kennel"
	done
}

# script: from standard input; K is kennel there.
script() {
	printf 'K=%s\nset -u\n' "$T/bin/kennel" >"$T/script"
	cat >>"$T/script"
}

# in_depth DEPTH: runs the script that deep, the last sandbox around it one that can be nested, too.
in_depth() {
	local n words=(sh "$T/script")
	for ((n = 1; n < $1; n++)); do
		words=("$T/bin/kennel" run -q --net none --nest -- "${words[@]}")
	done
	run_kennel run -q --net none --nest -- "${words[@]}"
}

@test "nest: three deep and five deep, each with changes of its own" {
	script <<-'END'
		echo outer >/etc/issue
		$K run -q --net none -- sh -c 'cat /etc/issue; echo inner >/etc/issue; rm -r /opt; id -u; cat /proc/1/comm; stat -c %u:%g /etc/shadow; exit 42'
		echo $?
		cat /etc/issue
		[ -d /opt ] && echo there
		$K gc
	END
	for depth in 2 4; do
		in_depth $depth
		is_status 0
		is_equal "$stdout" $'outer\n0\nkennel-init\n0:'"$(stat -c %g /etc/shadow)"$'\n42\nouter\nthere\nnothing to remove'
	done
}

@test "nest: everything works three deep: kept, in the background, layers, shares, networks" {
	mkdir -p "$T/layer/etc" "$T/share"
	echo layer >"$T/layer/etc/layer"
	script <<-END
		cd $T
	END
	cat >>"$T/script" <<-'END'
		$K create --net none box && $K start -q box
		$K exec box -- sh -c 'echo kept >/etc/kept; rm /etc/issue; cat /proc/1/comm'
		$K diff box
		$K stop box
		$K run -q -k box -- cat /etc/kept
		$K set box --hostname other && $K run -q -k box -- hostname
		$K rm box
		$K run -q --net none --layer layer -- cat /etc/layer
		$K run -q --net none --share "$PWD/share" -- sh -c 'echo shared >share/file'
		cat share/file
		$K run -q --net none --share "$PWD/share:ro" -- sh -c 'echo no >share/file' 2>/dev/null || cat share/file
		$K run -q --net none --device /dev/fuse -- stat -c %F /dev/fuse
		$K run -q --net none --base "$PWD/base" -- /bin/busybox echo base
		$K list -q
	END
	mkdir -p "$T/base/bin"
	cp /bin/busybox "$T/base/bin"
	in_depth 2
	is_status 0
	is_equal "$stdout" $'kennel-init\nD /etc/issue\nA /etc/kept\nkept\nother\nlayer\nshared\nshared\ncharacter special file\nbase'
	is_equal "$(ls "$T/share")" ""
}

@test "nest: nat three deep leads out of each" {
	need_commands pasta
	[ -w /dev/net/tun ] || skip "no tun device that this user may open"
	script <<-'END'
		$K run -q --net nat -- sh -c 'ip -br -4 address show eth0'
	END
	run_kennel run -q --net nat --nest -- "$T/bin/kennel" run -q --net nat --nest -- sh "$T/script"
	is_status 0
	has "192.0.2" "$stdout"
}

@test "nest: a container that is kept keeps what was made in it" {
	at_end "$KENNEL" rm -P "$T/store" outer
	run_kennel run -q -P "$T/store" -k outer --net none --nest -- sh -c "$T/bin/kennel create --net none inner && $T/bin/kennel run -q -k inner -- sh -c 'echo deep >/etc/deep'"
	is_status 0
	run_kennel config -P "$T/store" outer
	has "nest = yes" "$stdout"
	run_kennel diff -P "$T/store" outer
	is_equal "$stdout" ""
	run_kennel run -q -P "$T/store" -k outer -- sh -c "$T/bin/kennel run -q -k inner -- cat /etc/deep; $T/bin/kennel list -kq"
	is_status 0
	is_equal "$stdout" $'deep\ninner'
}

@test "nest: without it the third one says what it takes, and weaker walls are refused" {
	run_kennel run -q --net none -- "$T/bin/kennel" run -q --net none -- "$T/bin/kennel" run -q --net none -- true
	is_status 125
	has "--nest" "$stderr"
	is_equal "$(grep -c '^kennel: ' <<<"$stderr")" 1
	run_kennel run -q --net none -- "$T/bin/kennel" run -q --net none -P "$T/store" -k box -- true
	is_status 125
	has "is an overlay itself" "$stderr"
	has "--nest" "$stderr"
	for level in ns fs; do
		run_kennel run --isolate $level --nest -- true
		is_status 125
		has "--nest needs isolation \"user\", not \"$level\"" "$stderr"
		has "hint: " "$stderr"
	done
}

@test "nest: an ordinary user of the inside, who has one id there, and others in that one" {
	need_root "other users inside"
	script <<-'END'
		export XDG_RUNTIME_DIR=/tmp/runtime
		mkdir -m 0700 $XDG_RUNTIME_DIR
		cd /
		$K run -q --net none --nest -- $K run -q --net none -- sh -c 'id -u; cat /proc/1/comm'
	END
	run_kennel run -q --net none --nest -- sh -c 'chmod 0666 /dev/fuse; exec runuser -u "$0" -- sh "$1"' "$KENNEL_TEST_USER" "$T/script"
	is_status 0
	is_equal "$stdout" $'0\nkennel-init'
}

# rootfs: of busybox alone
rootfs() {
	need_commands busybox
	mkdir -p "$T/rootfs/bin" "$T/rootfs/etc" "$T/rootfs/proc" "$T/rootfs/sys" "$T/rootfs/dev" "$T/rootfs/tmp"
	cp "$(command -v busybox)" "$T/rootfs/bin/busybox"
}

@test "nest: Podman makes, runs, enters and stops containers inside" {
	need_commands podman crun
	rootfs
	# an ordinary user has control groups to hand over only where a manager has given them some
	[ "$(id -u)" -eq 0 ] && groups= || groups=--cgroups=disabled
	script <<-END
		groups=$groups
		cd $T
	END
	cat >>"$T/script" <<-'END'
		exec 2>&3
		tar -C rootfs -c . | podman import -q - box:1 >/dev/null
		podman info --format '{{.Store.GraphDriverName}}'
		podman run $groups --network none --rm box:1 /bin/busybox echo from podman
		podman run $groups --network none -d --name sleeper box:1 /bin/busybox sleep 1000 >/dev/null
		podman exec sleeper /bin/busybox id -u
		podman stop -t 0 sleeper
		podman rm sleeper >/dev/null
		podman ps -aq
	END
	run_kennel run -q --net none --nest -- sh -c 'exec sh "$0" 3>/dev/null' "$T/script"
	is_status 0
	is_equal "$stdout" $'overlay\nfrom podman\n0\nsleeper'
}

@test "nest: LXC makes, starts, enters and stops containers inside" {
	need_commands lxc-start
	rootfs
	script <<-END
		cd $T
	END
	cat >>"$T/script" <<-'END'
		mkdir /var/lib/lxc/box
		cp -a rootfs /var/lib/lxc/box
		printf '%s\n' 'lxc.rootfs.path = dir:/var/lib/lxc/box/rootfs' 'lxc.uts.name = box' 'lxc.net.0.type = empty' \
			'lxc.mount.auto = proc:mixed sys:ro' 'lxc.init.cmd = /bin/busybox sleep 1000' >/var/lib/lxc/box/config
		lxc-start -n box && lxc-wait -n box -s RUNNING -t 60
		lxc-info -n box -sH
		lxc-attach -n box -- /bin/busybox hostname
		lxc-stop -k -n box
		lxc-info -n box -sH
		lxc-destroy -n box
	END
	# LXC gives the files of its standard streams to the root that it sees, who is another one outside
	run_kennel run -q --net none --nest -- sh -c 'sh "$0" 2>&1 | cat' "$T/script"
	is_equal "$(grep -v "^lxc-\|^Destroyed" <<<"$stdout")" $'RUNNING\nbox\nSTOPPED'
}
