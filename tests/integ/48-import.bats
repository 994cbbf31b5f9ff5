#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# kennel import: what was exported comes back, in every format; and archives that want to leave their place.

load lib

setup() {
	kennel_setup
	need_sandbox
	need_commands busybox
	STORE=$T/store
	BASE=$T/base
	mkdir -p "$T/out" "$BASE"/{bin,etc,opt/gone.d,opt/was.d,proc,sys,dev,run,tmp,root,usr,var,home}
	cp /bin/busybox "$BASE/bin/"
	local name
	for name in sh cat ls rm mkdir chown chmod ln stat mkfifo find touch truncate printf; do
		ln -s busybox "$BASE/bin/$name"
	done
	echo old >"$BASE/etc/old"
	echo x >"$BASE/opt/gone.d/x"
}

# What a container holds, in a form that can be compared.
look() {
	"$KENNEL" run -P "$STORE" -k "$1" --net none -- sh -c '
		cd / && find etc opt home ! -name hosts ! -name hostname | while read -r f; do stat -c "%n %f %u %g %s %h" "$f"; done; cat /etc/new' |
		grep -v '^etc [0-9a-f]*\|resolv.conf\|^opt 41ed' | LC_ALL=C sort
}

make_container() {
	run_kennel run -P "$STORE" -k box --base "$BASE" --net none -- sh -c '
		echo new >/etc/new; rm /etc/old; mkdir -p /opt/tool; echo "#!/bin/sh" >/opt/tool/setuid
		chmod 4755 /opt/tool/setuid; rm -r /opt/gone.d; mkdir /opt/gone.d; chown 33:44 /etc/new; ln /etc/new /etc/same
		ln -s new /etc/link; mkfifo /opt/fifo; mkdir "/opt/a b"; echo dash >/opt/-rf; rm -r /opt/was.d; echo file >/opt/was.d
		ln -s /nowhere /opt/dangling; truncate -s 5000000 /opt/sparse; echo end >>/opt/sparse; >/opt/empty; touch -d 1999-01-02 /opt/empty
		mkdir -m 2750 /opt/setgid; chown 5:6 /opt/setgid; chmod 700 /opt; echo n >"/var/$(printf "new\nline\\\\back")"; chmod 751 /'
	is_status 0
	run_kennel diff -P "$STORE" box
	is_status 0
	printf '%s\n' "$stdout" >"$T/changes"
	has "M / (mode" "$stdout"
	look box >"$T/before"
}

# comes_back FORMAT [OPTION]...: of import
comes_back() {
	local format=$1
	shift
	run_kennel export -P "$STORE" -o "$T/out/box.$format" box
	is_status 0
	run_kennel import -P "$STORE" "$@" "$T/out/box.$format" "back-$format"
	is_status 0
	run_kennel diff -P "$STORE" "back-$format"
	diff "$T/changes" <(printf '%s\n' "$stdout")
	look "back-$format" >"$T/after"
	diff "$T/before" "$T/after"
}

@test "import: archives come back as they were" {
	make_container
	local format
	for format in tar tar.zst tar.xz tar.gz oci.tar; do
		comes_back "$format"
	done
	comes_back cpio.gz --what delta --base "$BASE"
}

@test "import: squashfs and ext4 come back as they were, also without root" {
	need_commands mksquashfs mke2fs
	make_container
	comes_back squashfs
	comes_back ext4
	[ "$EUID" -ne 0 ] || return 0
	run_kennel export -P "$STORE" -o "$T/out/box.erofs" box
	is_status 0
	run_kennel import -P "$STORE" "$T/out/box.erofs" erofs
	refused yes "without root kennel takes changes out of squashfs and ext4 images only"
	run_kennel list -P "$STORE"
	lacks erofs
}

@test "import: images of erofs, a layout and a directory come back as they were" {
	need_root "mounting images"
	need_commands mkfs.erofs
	make_container
	comes_back erofs
	run_kennel export -P "$STORE" --format oci -o "$T/out/layout" box
	is_status 0
	run_kennel import -P "$STORE" "$T/out/layout" back-layout
	is_status 0
	run_kennel export -P "$STORE" --format directory -o "$T/out/dir" box
	run_kennel import -P "$STORE" "$T/out/dir" back-dir
	is_status 0
	look back-dir >"$T/after"
	diff "$T/before" "$T/after"
}

@test "import: a whole root becomes a base of its own, which a new name does not take away" {
	make_container
	run_kennel export -P "$STORE" --what root -o "$T/out/root.tar" box
	is_status 0
	rm -rf "$BASE"
	run_kennel import -P "$STORE" "$T/out/root.tar" whole
	is_status 0
	run_kennel config -P "$STORE" whole
	has "base = own"
	run_kennel rename -P "$STORE" whole other
	is_status 0
	run_kennel run -P "$STORE" -k other --net none -- cat /etc/new
	is_equal "$stdout" new
	run_kennel run -P "$STORE" -k other --net none -- sh -c 'ls -ln /etc/new'
	has "33"
}

@test "import: an existing container and an input that is not there are told" {
	make_container
	run_kennel export -P "$STORE" -o "$T/out/box.tar" box
	run_kennel import -P "$STORE" "$T/out/box.tar" box
	is_status 125
	has "already"
	run_kennel import -P "$STORE" "$T/out/nothing" other
	is_status 125
	echo "no archive" >"$T/out/text"
	run_kennel import -P "$STORE" "$T/out/text" other
	is_status 125
	run_kennel list -P "$STORE"
	lacks other
}

# hostile NAME PYTHON: an archive made by Python's tarfile (t), which takes any name; it is refused or does no harm.
hostile() {
	python3 - "$T/out/$1.tar" "$T/outside" <<EOP
import io, sys, tarfile
t = tarfile.open(sys.argv[1], "w", format=tarfile.PAX_FORMAT)
outside = sys.argv[2]
def add(name, kind=tarfile.REGTYPE, link="", data=b"", **more):
    i = tarfile.TarInfo(name)
    i.type, i.linkname, i.size = kind, link, len(data)
    for k, v in more.items():
        setattr(i, k, v)
    t.addfile(i, io.BytesIO(data))
$2
t.close()
EOP
	run_kennel import -P "$STORE" "$T/out/$1.tar" "h-$1"
}

@test "import: no archive writes outside" {
	mkdir "$T/outside"
	echo safe >"$T/outside/file"
	hostile dots 'add("../../../../../../../.." + outside + "/file", data=b"bad")'
	is_status 125
	hostile absolute 'add(outside + "/file", data=b"bad")'
	is_status 0
	hostile through 'add("d", tarfile.SYMTYPE, outside); add("d/file", data=b"bad")'
	is_status 125
	hostile hard 'add("h", tarfile.LNKTYPE, "../../../../../../../.." + outside + "/file"); add("h", data=b"bad")'
	is_status 125
	hostile hard-through 'add("d", tarfile.SYMTYPE, outside); add("h", tarfile.LNKTYPE, "d/file")'
	is_status 125
	hostile over-link 'add("f", tarfile.SYMTYPE, outside + "/file"); add("f", data=b"bad")'
	is_status 0
	hostile over-dir 'add("d", tarfile.DIRTYPE, mode=0o755); add("d", tarfile.SYMTYPE, outside); add("d", tarfile.DIRTYPE, mode=0o700)'
	is_equal "$(cat "$T/outside/file")" safe
	is_equal "$(ls -A "$T/outside")" file
	is_equal "$(stat -c %a "$T/outside")" 755
	run_kennel list -P "$STORE"
	lacks h-dots
	lacks h-through
	lacks h-hard
}

@test "import: names with dashes, twice the same, owners that can't be, and a huge hole" {
	hostile dash 'add("-rf", data=b"1"); add("--checkpoint-action=exec=sh", data=b"2")'
	is_status 0
	hostile twice 'add("f", data=b"1"); add("f", data=b"22"); add("d", tarfile.DIRTYPE, mode=0o755); add("d/x"); add("d", data=b"3")'
	is_status 0
	hostile owner 'add("f", data=b"1", uid=4294967295)'
	is_status 125
	hostile xattr 'add("f", data=b"1", pax_headers={"SCHILY.xattr.trusted.overlay.redirect": "/etc", "SCHILY.xattr.user.overlay.redirect": "/etc"})'
	is_status 0
	has "left out"
	hostile hole 'add("f", data=b"", pax_headers={"GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.name": "f", "GNU.sparse.size": "4611686018427387904", "GNU.sparse.map": "0,0"})'
	run_kennel list -P "$STORE"
	lacks h-owner
}

@test "import: SIGKILL and a damaged archive leave nothing that is listed" {
	make_container
	run_kennel run -P "$STORE" -k box --net none -- sh -c 'cat /dev/urandom | busybox head -c 30000000 >/etc/big'
	run_kennel export -P "$STORE" -o "$T/out/box.tar.gz" box
	is_status 0
	background "$KENNEL" import -P "$STORE" "$T/out/box.tar.gz" killed
	sleep 0.2
	kill -KILL $! || true
	wait $! || true
	head -c 20000000 "$T/out/box.tar.gz" >"$T/out/cut.tar.gz"
	run_kennel import -P "$STORE" "$T/out/cut.tar.gz" cut
	is_status 125
	run_kennel list -P "$STORE"
	lacks cut
	run_kennel import -P "$STORE" "$T/out/box.tar.gz" whole
	is_status 0
	is_equal "$(find "$STORE" -maxdepth 1 -name '.*' ! -name . | grep -c new)" 0
}
