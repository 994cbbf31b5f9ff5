#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# Images, archives and image layouts that somebody else made, given to -f, export and import. Nothing of them is read or written
# outside of what is theirs, nothing hangs, and nothing stays of what is refused.

load ../integ/lib

setup() {
	need_sandbox
	kennel_setup
	need_commands debugfs python3
	PATH=$PATH:/usr/sbin:/sbin
	S=$T/store
	F=$T/box.img
	OUT=$T/outside
	mkdir "$OUT"
	echo secret-of-outside >"$OUT/file"
	touch -d 2001-01-01 "$OUT/file" "$OUT"
}

teardown() {
	[ ! -d "${S-}" ] || "$KENNEL" list -P "$S" -kq 2>/dev/null | xargs -r "$KENNEL" rm -f -P "$S"
	kennel_teardown
}

outside_is_untouched() {
	is_equal "$(ls -A "$OUT")" file
	is_equal "$(cat "$OUT/file")" secret-of-outside
	is_equal "$(stat -c '%a %Y' "$OUT")" "$(stat -c '755 %Y' -- "$OUT/file")"
}

make_image() {
	run_kennel run -f "$F" --size 16M --net none -- sh -c 'echo kept >/srv/kept'
	is_status 0
	cp --sparse=always "$F" "$T/good.img"
}

# crafted WORD...: what debugfs is told of a copy of the good image.
crafted() {
	local word
	cp --sparse=always "$T/good.img" "$F"
	for word in "$@"; do
		debugfs -w -R "$word" "$F" >/dev/null 2>&1
	done
}

# harmless [NO]: everything that opens the file comes to an end; with NO all of it is refused, in words.
harmless() {
	local words
	for words in "info $F" "diff $F" "export -q --force -o $T/out.tar $F" "run -f $F --net none -- cat /srv/kept"; do
		# shellcheck disable=SC2086
		run_kennel $words
		[ "$status" -lt 126 ] || { echo "$words: $status"; return 1; }
		[ -z "${1-}" ] || [ "$status" -ne 0 ] || [[ $words = info* ]]
		lacks secret-of-outside "$output"
		lacks $'\033' "$output"
	done
	rm -f "$T/out.tar"
	outside_is_untouched
}

@test "attack ship: a file that is cut short, or claims sizes that can't be, is refused" {
	make_image
	crafted
	truncate -s 5M "$F"
	harmless NO
	crafted "ssv blocks_count 4000000000"
	harmless NO
	crafted "ssv inodes_count 4294967295"
	harmless NO
	crafted "ssv first_meta_bg 4294967295" "ssv log_block_size 30"
	harmless NO
}

@test "attack ship: directories of a file that lead back into themselves, files larger than all disks" {
	make_image
	crafted "ln /delta /delta/0/upper/srv/loop"
	harmless
	crafted "ln / /delta/0/upper/srv/top"
	harmless
	crafted "sif /delta/0/upper/srv/kept size 0x7fffffffffff"
	harmless
}

@test "attack ship: links in the place of a file's manifest, configuration and delta lead nowhere" {
	make_image
	crafted "rm /manifest" "symlink /manifest $OUT/file"
	harmless NO
	crafted "rm /config" "symlink /config $OUT/file" # which diff and export have no need of
	harmless
	run_kennel run -f "$F" --net none -- true
	is_status 125
	crafted "unlink /delta" "symlink /delta $OUT"
	harmless NO
	crafted "unlink /delta/0/upper" "symlink /delta/0/upper $OUT"
	harmless
	crafted "unlink /delta/0" "symlink /delta/0 $OUT"
	harmless
}

@test "attack ship: a file's configuration can't reach for this machine, nor speak to the terminal" {
	make_image
	printf '[container]\nbase = system\nshare = %s\n' "$OUT" >"$T/config"
	crafted "rm /config" "write $T/config /config"
	harmless
	run_kennel run -f "$F" --net none -- true
	refused yes "asks for things of this machine"
	printf '[container]\nbase = system\nhostname = a\033[2Jb\n' >"$T/config"
	crafted "rm /config" "write $T/config /config"
	harmless
	crafted "rm /config" "write $T/config /config"
	run_kennel run -f "$F" --net none -- sh -c "echo bad >$OUT/file"
	outside_is_untouched
}

# layout INDEX-DIGEST CONFIG-DIGEST LAYER-DIGEST: an image layout that says so.
layout() {
	rm -rf "$T/layout"
	mkdir -p "$T/layout/blobs/sha256"
	python3 - "$T/layout" "$@" <<'EOP'
import hashlib, io, json, os, sys, tarfile
top, index, config, layer = sys.argv[1:]
def put(data):
    d = hashlib.sha256(data).hexdigest()
    with open(os.path.join(top, "blobs/sha256", d), "wb") as f:
        f.write(data)
    return "sha256:" + d
b = io.BytesIO()
with tarfile.open(fileobj=b, mode="w") as t:
    t.addfile(tarfile.TarInfo("f"))
layer = layer or put(b.getvalue())
config = config or put(json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}).encode())
kind = "application/vnd.oci.image."
m = {"schemaVersion": 2, "mediaType": kind + "manifest.v1+json",
     "config": {"mediaType": kind + "config.v1+json", "digest": config, "size": 100},
     "layers": [{"mediaType": kind + "layer.v1.tar", "digest": layer, "size": len(b.getvalue())}]}
data = json.dumps(m).encode()
digest = index or put(data)
json.dump({"schemaVersion": 2, "manifests": [{"mediaType": kind + "manifest.v1+json", "digest": digest, "size": len(data)}]},
          open(os.path.join(top, "index.json"), "w"))
json.dump({"imageLayoutVersion": "1.0.0"}, open(os.path.join(top, "oci-layout"), "w"))
EOP
}

@test "attack ship: a layout whose digests are paths, or whose blobs are links" {
	local digest
	layout "" "" ""
	run_kennel import -P "$S" "$T/layout" good
	is_status 0
	for digest in "sha256:../../../outside/file" "$OUT/file" "../outside/file" "sha256:" "sha256:$(printf 'a%.0s' {1..63})/" $'sha256:\033[2J'; do
		layout "$digest" "" ""
		run_kennel import -P "$S" "$T/layout" bad
		is_status 125
		lacks secret-of-outside
		lacks $'\033'
		layout "" "" "$digest"
		run_kennel import -P "$S" "$T/layout" bad
		is_status 125
		lacks secret-of-outside
		lacks $'\033'
	done
	layout "" "" "sha256:$(sha256sum <"$OUT/file" | cut -d' ' -f1)"
	ln -s "$OUT/file" "$T/layout/blobs/sha256/$(sha256sum <"$OUT/file" | cut -d' ' -f1)"
	run_kennel import -P "$S" "$T/layout" bad
	is_status 125
	run_kennel list -P "$S" -kq
	is_equal "$stdout" good
	outside_is_untouched
}

# archive NAME PYTHON: made with Python's tarfile.
archive() {
	python3 - "$T/$1" "$OUT" <<EOP
import io, sys, tarfile
t = tarfile.open(sys.argv[1], "w:gz" if sys.argv[1].endswith("gz") else "w", format=tarfile.PAX_FORMAT)
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
	run_kennel import -P "$S" "$T/$1" "x-${1%%.*}"
}

@test "attack ship: devices and setuid programs of an archive are behind a closed door" {
	archive nodes.tar 'add("dev0", tarfile.BLKTYPE, devmajor=7, devminor=0, mode=0o666); add("suid", data=b"x", mode=0o6755); add("d", tarfile.DIRTYPE, mode=0o777)'
	is_status 0
	is_equal "$(stat -c %a "$S" "$S/x-nodes" | tr '\n' ' ')" "700 700 "
	if [ "$EUID" -eq 0 ]; then
		run as_user ls "$S/x-nodes/base"
		has "Permission denied" "$output"
	else
		has "left out"
	fi
}

@test "attack ship: names that speak to the terminal, links through links, the same name as everything" {
	archive escape.tar 'add("\033[2Ja/../../b", data=b"x")'
	is_status 125
	lacks $'\033'
	archive link.tar 'add("a", tarfile.SYMTYPE, outside); add("b", tarfile.LNKTYPE, "a"); add("b/file", data=b"bad")'
	is_status 125
	archive self.tar 'add("a", tarfile.LNKTYPE, "a")'
	is_status 125
	archive every.tar 'add("a", data=b"1"); add("a", tarfile.SYMTYPE, outside); add("a", tarfile.DIRTYPE, mode=0o755); add("a/x", tarfile.SYMTYPE, outside); add("a/x", tarfile.DIRTYPE, mode=0o700); add("a/x/file", data=b"y"); add("a", tarfile.FIFOTYPE); add("a", tarfile.LNKTYPE, "a")'
	archive top.tar 'add(".", tarfile.SYMTYPE, outside); add("file", data=b"bad")'
	archive whiteout.tar 'add("d", tarfile.SYMTYPE, outside); add("d/.wh.file"); add(".wh..."); add(".wh..", data=b""); add(".wh.")'
	run_kennel list -P "$S" -kq
	lacks escape "$stdout"
	lacks link "$stdout"
	outside_is_untouched
}

@test "attack ship: an archive that grows without end stops before the disk is full" {
	need_root "a file system of its own"
	make_loop_fs ext4 24M "$T/small"
	S=$T/small/store
	archive bomb.tar.gz 'add("f", data=b"x" * (80 << 20))'
	is_status 125
	has "space"
	archive many.tar.gz '[add("d%d" % i, tarfile.DIRTYPE, mode=0o755) for i in range(60000)]'
	is_status 125
	run_kennel list -P "$S" -kq
	is_equal "$stdout" ""
	[ "$(df --output=used -m "$T/small" | tail -n 1)" -lt 8 ]
}

@test "attack ship: a link in the place of what is exported is replaced, not followed" {
	make_image
	ln -s "$OUT/file" "$T/out.tar"
	run_kennel export -q -o "$T/out.tar" "$F"
	refused yes "is there already"
	run_kennel export -q --force -o "$T/out.tar" "$F"
	[ ! -L "$T/out.tar" ] || [ "$status" -ne 0 ]
	outside_is_untouched
}
