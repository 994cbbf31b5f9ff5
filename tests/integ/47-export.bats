#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# kennel export: every format, packages, whole roots; and that it leaves nothing when it ends early. What comes back is 48-import.bats.

load lib

setup() {
	kennel_setup
	need_sandbox
	STORE=$T/store
	mkdir "$T/out"
	BASE=$T/base
}

# make_base: a small root of our own, so that no test reads the whole machine.
make_base() {
	mkdir -p "$BASE"/{bin,etc,opt/gone.d,proc,sys,dev,run,tmp,root,usr,var,home}
	cp /bin/busybox "$BASE/bin/"
	local name
	for name in sh cat ls rm mkdir chown chmod ln sleep mkfifo init; do
		ln -s busybox "$BASE/bin/$name"
	done
	echo old >"$BASE/etc/old"
	echo plain >"$BASE/etc/plain"
	echo x >"$BASE/opt/gone.d/x"
}

make_container() {
	need_commands busybox
	make_base
	run_kennel run -P "$STORE" -k box --base "$BASE" --net none -- sh -c '
		echo new >/etc/new; rm /etc/old; mkdir -p /opt/tool/bin; echo "#!/bin/sh" >/opt/tool/bin/tool
		chmod 755 /opt/tool/bin/tool; rm -r /opt/gone.d; mkdir /opt/gone.d; chown 33:44 /etc/new
		ln /etc/new /etc/same; ln -s new /etc/link'
	is_status 0
}

@test "export: a delta as tar has files, owners and deletions" {
	make_container
	run_kennel export -P "$STORE" -o "$T/out/box.tar" box
	is_status 0
	is_equal "$output" ""
	run tar --numeric-owner -tvf "$T/out/box.tar"
	has "33/44" "$output"
	has "./etc/.wh.old" "$output"
	has "./opt/gone.d/.wh..wh..opq" "$output"
	has "./etc/link -> new" "$output"
	has "./etc/same link to ./etc/new" "$output"
	lacks "plain" "$output"
	lacks "busybox" "$output"
	cd "$T"
	run_kennel export -P store -o out/again.tar box
	is_status 0
	run_kennel import -P store out/again.tar again
	is_status 0
	cmp out/box.tar out/again.tar
}

@test "export: the output is refused where something is, and replaced with --force" {
	make_container
	echo mine >"$T/out/box.tar"
	run_kennel export -P "$STORE" -o "$T/out/box.tar" box
	refused yes "is there already"
	is_equal "$(cat "$T/out/box.tar")" mine
	run_kennel export -P "$STORE" --force -o "$T/out/box.tar" box
	is_status 0
	tar -tf "$T/out/box.tar" >/dev/null
	is_equal "$(ls -A "$T/out")" box.tar
}

@test "export: a container or format that is not there is told, and nothing is left" {
	make_container
	run_kennel export -P "$STORE" -o "$T/out/x.tar" nobody
	is_status 125
	run_kennel export -P "$STORE" -o "$T/out/x.zip" box
	refused yes "does not tell the format"
	run_kennel export -P "$STORE" -o "$T/nowhere/x.tar" box
	is_status 125
	run_kennel export -P "$STORE" box
	refused yes "output is missing"
	is_equal "$(ls -A "$T/out")" ""
}

@test "export: an OCI layout belongs to who asked for it, all of it" {
	make_container
	run_kennel export -P "$STORE" --format oci -o "$T/out/box" box
	is_status 0
	[ -s "$T/out/box/index.json" ]
	is_equal "" "$(find "$T/out/box" ! -user "$(id -un)" -o ! -group "$(id -gn)")"
	rm -r "$T/out/box"
}

@test "export: a squashfs image serves as a layer" {
	need_commands mksquashfs
	make_container
	run_kennel export -P "$STORE" -o "$T/out/box.squashfs" box
	is_status 0
	run_kennel run --base "$BASE" --layer "$T/out/box.squashfs" --net none -- sh -c 'cat /etc/new; ls /etc /opt/gone.d'
	has new
	lacks old
}

@test "export: the whole root, of a container that does not run" {
	make_container
	run_kennel export -P "$STORE" --what root -o "$T/out/root.tar" box
	is_status 0
	run tar --numeric-owner -tvf "$T/out/root.tar"
	has "./bin/busybox"
	has "./etc/plain"
	has "33/44"
	has "./proc/"
	lacks "./proc/1"
	lacks "old"
	lacks ".wh."
	run_kennel list
	lacks box "$(grep -v stopped <<<"$stdout")"
}

@test "export: deb and tar-package hold what was installed" {
	need_commands dpkg-deb
	make_container
	run_kennel export -P "$STORE" --as deb --package-version 2.0 --description "a tool" -o "$T/out/tool_2.deb" box
	is_status 0
	run dpkg-deb -I "$T/out/tool_2.deb"
	has "Package: tool"
	has "Version: 2.0"
	has conffiles
	is_equal "$(dpkg-deb --info "$T/out/tool_2.deb" conffiles | sort | head -n 1)" /etc/new
	has "/etc/old" "$(dpkg-deb --info "$T/out/tool_2.deb" deletions)"
	lacks "/opt/tool/" "$(dpkg-deb --info "$T/out/tool_2.deb" deletions)" # new: it hides nothing
	run_kennel export -P "$STORE" -o "$T/out/tool_3.deb" box
	refused yes "would be none"
	run_kennel export -P "$STORE" -o - box
	refused yes "not written to standard output"
	run dpkg-deb -c "$T/out/tool_2.deb"
	has "./opt/tool/bin/tool"
	lacks "./bin/"
	run_kennel export -P "$STORE" --as tar-package -o "$T/out/tool.tar.zst" box
	is_status 0
	tar --zstd -xOf "$T/out/tool.tar.zst" ./.kennel-package >"$T/package"
	has $'deletion\t/etc/old' "$(cat "$T/package")"
	has $'config\t/etc/new' "$(cat "$T/package")"
	has $'version\t1.0' "$(cat "$T/package")"
}

@test "export: dpkg installs the deb" {
	need_root "dpkg -i into a copy of this machine"
	need_commands dpkg-deb
	make_container
	run_kennel export -P "$STORE" --as deb -o "$T/out/tool.deb" box
	is_status 0
	run_kennel run --net none -- sh -c "dpkg -i $T/out/tool.deb && dpkg -L tool && cat /var/lib/dpkg/info/tool.deletions"
	is_status 0
	has "/opt/tool/bin/tool"
	has "/etc/old"
}

@test "export: a root without an init is no system that boots; with one there is /init in front of it" {
	make_container
	run_kennel export -P "$STORE" --as bootable-initrd -o "$T/out/initrd" box
	is_status 0
	run sh -c "zstd -dc '$T/out/initrd' | tr '\0' '\n' | grep -c '^init$'"
	is_equal "$output" 1
	rm "$BASE/bin/init"
	run_kennel export -P "$STORE" --as bootable-initrd --force -o "$T/out/initrd" box
	refused yes "no init"
}

# It has somebody at work.
has_begun() {
	pgrep -P "$1" >/dev/null
}

# A file that takes a while to compress, so that something can happen meanwhile.
@test "export: Ctrl-C and SIGKILL leave nothing under the name" {
	make_container
	run_kennel run -P "$STORE" -k box --net none -- sh -c 'cat /dev/urandom | busybox head -c 60000000 >/etc/big'
	is_status 0
	local sig
	for sig in INT KILL; do
		background "$KENNEL" export -P "$STORE" -o "$T/out/box.tar.xz" box
		wait_for 10 has_begun $!
		kill -$sig $! || true
		wait $! || true
		[ ! -e "$T/out/box.tar.xz" ]
	done
	run_kennel export -P "$STORE" -o "$T/out/box.tar" box
	is_status 0
	is_equal "$(ls -A "$T/out")" box.tar
}

@test "export: a full file system is told, and nothing stays" {
	make_container
	run_kennel run -P "$STORE" -k box --net none -- sh -c 'cat /dev/urandom | busybox head -c 8000000 >/etc/big'
	make_loop_fs ext4 3M "$T/small"
	run_kennel export -P "$STORE" -o "$T/small/box.tar" box
	is_status 125
	has "No space left"
	is_equal "$(ls -A "$T/small")" lost+found
}

@test "export: what was made in a directory that the user can't read, and in one that was made to mount on" {
	[ "$EUID" -ne 0 ] || skip "needs an ordinary user"
	need_commands busybox
	make_base
	mkdir "$BASE/locked" "$BASE/quiet" "$T/shared"
	echo secret >"$BASE/locked/secret"
	chmod 000 "$BASE/locked" "$BASE/quiet"
	at_end chmod 755 "$BASE/locked" "$BASE/quiet"
	at_end "$KENNEL" rm -P "$STORE" box
	run_kennel run -q -P "$STORE" -k box --base "$BASE" --net none --mount "$T/shared:/srv/place" -- sh -c 'echo mine >/locked/mine'
	is_status 0
	"$KENNEL" set -P "$STORE" --unset mount box
	run_kennel run -q -P "$STORE" -k box -- sh -c 'echo there >/srv/place/there'
	is_status 0
	run_kennel diff -P "$STORE" box
	has "A /locked/mine" "$stdout"
	has "A /srv/place/there" "$stdout"
	run_kennel export -P "$STORE" -o "$T/out/box.tar" box
	is_status 0
	run tar -tf "$T/out/box.tar"
	has "./locked/mine" "$output"
	has "./srv/place/there" "$output"
	lacks "quiet" "$output"
	# nobody decided that the machine's own files there go
	lacks "opq" "$output"
}
