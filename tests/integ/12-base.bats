#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# What lies underneath: directories and images as --base and --layer, and what is left out or hidden.

load lib

setup() {
	need_sandbox
	kennel_setup
}

# put_program ROOT NAME...: programs of this machine with the libraries that they need.
put_program() {
	local root=$1 name file
	shift
	for name in "$@"; do
		mkdir -p "$root/bin"
		cp -L "$(command -v "$name")" "$root/bin/"
		while read -r file; do
			mkdir -p "$root${file%/*}"
			cp -L "$file" "$root$file"
		done < <(ldd "$(command -v "$name")" | grep -o '/[^ )]*')
	done
}

# make_base ROOT: the least that is a system.
make_base() {
	made_once first_base "$1"
	OWNER=$(stat -c %u:%g "$1/etc/owned")
	ROOT=$(stat -c %u:%g "$1/etc")
}

first_base() {
	mkdir -p "$1/etc" "$1/root"
	echo "a base" >"$1/etc/which"
	printf 'root:x:0:0::/root:/bin/sh\nguest:x:1000:1000::/root:/bin/sh\n' >"$1/etc/passwd"
	echo owned >"$1/etc/owned"
	[ "$EUID" -ne 0 ] || chown 1003:1003 "$1/etc/owned"
	put_program "$1" sh cat ls stat touch rm
}

in_base() {
	run_kennel run --net none --base "$1" "${@:2}"
}

# is_base IMAGE: runs, with right owners, writable; and IMAGE is not changed by a byte.
is_base() {
	local before
	before=$(sha256sum <"$1")
	in_base "$1" -- sh -c 'cat /etc/which; stat -c %u:%g /etc/owned /etc; echo new >/etc/which && cat /etc/which; rm /etc/owned && ls /etc; ls -d /proc/1 /dev/null /sys/class /tmp /run'
	is_status 0
	is_equal "$stdout" "a base"$'\n'"$OWNER"$'\n'"$ROOT"$'\nnew\nhostname\nhosts\npasswd\nwhich\n/dev/null\n/proc/1\n/run\n/sys/class\n/tmp'
	is_equal "$(sha256sum <"$1")" "$before"
}

# An ordinary user's images are read by a program of kennel's, whatever the kernel has.
need_filesystem() {
	[ "$EUID" -eq 0 ] || return 0
	grep -qw "$1" /proc/filesystems || modprobe "$1" 2>/dev/null || skip "kernel without $1"
}

# make_image TYPE FILE TREE
make_image() {
	case $1 in
	squashfs)
		need_commands mksquashfs
		mksquashfs "$3" "$2" -quiet -no-progress >/dev/null
		;;
	erofs)
		need_commands mkfs.erofs
		mkfs.erofs --quiet "$2" "$3" >/dev/null
		;;
	ext4)
		truncate -s 64M "$2"
		mkfs.ext4 -q -F -d "$3" "$2"
		;;
	btrfs)
		need_commands mkfs.btrfs
		truncate -s 128M "$2"
		mkfs.btrfs -q --rootdir "$3" "$2"
		;;
	xfs)
		need_commands mkfs.xfs
		truncate -s 320M "$2"
		mkfs.xfs -q "$2"
		mkdir -p "$T/xfs"
		mount -o loop "$2" "$T/xfs"
		cp -a "$3/." "$T/xfs/"
		umount "$T/xfs"
		;;
	esac
}

@test "base: a directory, with mount points made as they are missing" {
	make_base "$T/base"
	find "$T/base" -printf '%p %m %U %T@ %C@\n' | sort >"$T/before"
	in_base "$T/base" -- sh -c 'cat /etc/which; stat -c %u:%g /etc/owned; echo new >/etc/which; ls -d /tmp; rm -r /bin/ls /root; touch /new; cat /proc/self/comm'
	is_status 0
	is_equal "$stdout" "a base"$'\n'"$OWNER"$'\n/tmp\ncat'
	find "$T/base" -printf '%p %m %U %T@ %C@\n' | sort | diff "$T/before" -
}

@test "base: a relative path, and one through a link" {
	make_base "$T/base"
	ln -s base "$T/link"
	cd "$T"
	in_base ./base -- cat /etc/which
	is_equal "$stdout" "a base"
	in_base base -- cat /etc/which
	is_equal "$stdout" "a base"
	cd base
	in_base ../link -- cat /etc/which
	is_equal "$stdout" "a base"
}

@test "base: a directory that is called system" {
	make_base "$T/system"
	cd "$T"
	in_base ./system -- cat /etc/which
	is_equal "$stdout" "a base"
}

@test "base: at every level" {
	make_base "$T/base"
	local level
	for level in $(levels user ns fs); do
		run_kennel run --isolate "$level" --base "$T/base" -- sh -c 'cat /etc/which; stat -c %u:%g /etc/owned; echo x >/etc/which; ls -d /proc/1 /dev/null'
		is_status 0
		is_equal "$stdout" "a base"$'\n'"$OWNER"$'\n/dev/null\n/proc/1'
	done
	is_equal "$(cat "$T/base/etc/which")" "a base"
}

@test "base: a squashfs image" {
	need_filesystem squashfs
	make_base "$T/base"
	make_image squashfs "$T/image" "$T/base"
	is_base "$T/image"
}

@test "base: an erofs image" {
	need_filesystem erofs
	make_base "$T/base"
	make_image erofs "$T/image" "$T/base"
	is_base "$T/image"
}

@test "base: an image whose files are of many owners, with links, names, attributes and devices of all kinds" {
	need_filesystem squashfs
	need_commands mksquashfs
	make_base "$T/base"
	put_program "$T/base" sha256sum
	seq 100000 >"$T/base/etc/large"
	truncate -s 3M "$T/base/etc/hole"
	mkdir "$T/base/many"
	(cd "$T/base/many" && seq -f 'a rather long name of a file, number %g' 3000 | xargs -d '\n' touch)
	ln -s "$(printf '%0200d' 7)" "$T/base/etc/link"
	ln "$T/base/etc/which" "$T/base/etc/same"
	setfattr -n user.word -v "a value" "$T/base/etc/which"
	mksquashfs "$T/base" "$T/image" -quiet -no-progress -p 'etc/owned m 640 33 1003' -p 'etc m 755 0 0' -p 'etc/null c 666 0 0 1 3' -p 'etc/fifo i 600 5 5 f' >/dev/null
	in_base "$T/image" -- sh -c 'stat -c "%n %u:%g %a %F %t:%T" /etc /etc/owned /etc/null /etc/fifo; stat -c "%h %s" /etc/same /etc/hole; sha256sum </etc/large; sha256sum </etc/hole; ls /many | sha256sum; ls -l /etc/link | sha256sum >/dev/null; echo x >/etc/null' 
	[ "$status" -ne 0 ]
	has "/etc/null: Permission denied" "$stderr"
	is_equal "$stdout" "/etc 0:0 755 directory 0:0
/etc/owned 33:1003 640 regular file 0:0
/etc/null 0:0 666 character special file 1:3
/etc/fifo 5:5 600 fifo 0:0
2 7
1 3145728
$(sha256sum <"$T/base/etc/large")
$(sha256sum <"$T/base/etc/hole")
$(cd "$T/base/many" && find . -type f -printf "%P\n" | LC_ALL=C sort | sha256sum)"
}

@test "base: an ext4 image" {
	make_base "$T/base"
	make_image ext4 "$T/image" "$T/base"
	rmdir "$T/base/lost+found" 2>/dev/null || :
	is_base "$T/image"
}

@test "base: a btrfs image" {
	need_root "images"
	need_filesystem btrfs
	make_base "$T/base"
	make_image btrfs "$T/image" "$T/base"
	is_base "$T/image"
}

@test "base: an xfs image" {
	need_root "images"
	need_filesystem xfs
	make_base "$T/base"
	make_image xfs "$T/image" "$T/base"
	is_base "$T/image"
}

@test "base: an image that was not unmounted is read, and not repaired" {
	need_root "images"
	make_base "$T/base"
	make_image ext4 "$T/image" "$T/base"
	mkdir "$T/live"
	mount -o loop "$T/image" "$T/live"
	echo late >"$T/live/root/late"
	sync -f "$T/live"
	cp "$T/image" "$T/copy"
	umount "$T/live"
	is_base "$T/image"
	local before
	before=$(sha256sum <"$T/copy")
	in_base "$T/copy" -- cat /etc/which
	if [ "$status" -eq 0 ]; then
		is_equal "$stdout" "a base"
	else
		is_status 125
		[ "$(wc -l <<<"$stderr")" -eq 2 ]
	fi
	is_equal "$(sha256sum <"$T/copy")" "$before"
}

@test "base: an image that only its owner may read, in a closed directory" {
	need_filesystem squashfs
	make_base "$T/base"
	make_image squashfs "$T/image" "$T/base"
	mkdir -m 0700 "$T/closed"
	mv "$T/image" "$T/closed/image"
	chmod 0400 "$T/closed/image"
	is_base "$T/closed/image"
}

@test "base: two sandboxes on one image, and the loop device goes with the last" {
	need_filesystem squashfs
	make_base "$T/base"
	put_program "$T/base" sleep
	make_image squashfs "$T/image" "$T/base"
	background "$KENNEL" run --net none --base "$T/image" -- sh -c 'echo one >/etc/which; echo up; sleep 300'
	wait_for 10 says "$T/out.$LIB_STARTED" up
	is_base "$T/image"
	kill -KILL $!
	wait_for 5 no_loop_of "$T/image"
}

no_loop_of() {
	[ -z "$(losetup --noheadings -j "$1")" ]
}

@test "base: one without a place for /proc but a file, a link or a device there is refused or done without" {
	local name
	for name in proc dev sys; do
		rm -rf "$T/base"
		make_base "$T/base"
		ln -s /etc "$T/base/$name"
		in_base "$T/base" -- true
		refused yes "/$name"
		rm "$T/base/$name"
		echo "a file" >"$T/base/$name"
		in_base "$T/base" -- true
		refused yes "/$name"
	done
	for name in tmp run; do
		rm -rf "$T/base"
		make_base "$T/base"
		ln -s /etc "$T/base/$name"
		in_base "$T/base" -- cat /etc/which
		is_equal "$stdout" "a base"
		rm "$T/base/$name"
		echo "a file" >"$T/base/$name"
		in_base "$T/base" -- cat "/$name"
		is_equal "$stdout" "a file"
	done
}

@test "base: static device nodes in it do not open, and /dev is new" {
	need_root "the base has files of other owners"
	make_base "$T/base"
	mkdir -m 0755 "$T/base/dev" "$T/base/nodes"
	mknod -m 666 "$T/base/dev/null" c 1 3
	mknod -m 666 "$T/base/dev/evil" b 7 0
	mknod -m 666 "$T/base/nodes/zero" c 1 5
	local level
	for level in user ns; do
		in_base "$T/base" --isolate "$level" -- sh -c 'echo x >/dev/null && ls -d /dev/evil; read x </nodes/zero'
		[ "$status" -ne 0 ]
		has "/dev/evil" "$stderr"
		has "/nodes/zero: Permission denied" "$stderr"
	done
}

@test "base: links in it that point outside lead inside" {
	make_base "$T/base"
	echo "the machine's" >"$T/outside"
	ln -s "$T/outside" "$T/base/etc/link"
	ln -s "../../../../../../../../..$T/outside" "$T/base/etc/link2"
	rm -f "$T/base/etc/hosts" "$T/base/etc/hostname"
	ln -s "$T/outside" "$T/base/etc/hosts"
	ln -s "$T/outside" "$T/base/etc/hostname"
	ln -s "$T/outside" "$T/base/etc/resolv.conf"
	run_kennel run --base "$T/base" -- sh -c 'cat /etc/link /etc/link2; cat /etc/hostname'
	lacks "the machine's"
	is_equal "$(cat "$T/outside")" "the machine's"
}

@test "layer: the last one is uppermost, directories and images mixed" {
	need_filesystem squashfs
	make_base "$T/base"
	mkdir -p "$T/one/etc" "$T/two/etc" "$T/three/etc"
	echo one | tee "$T/one/etc/a" "$T/one/etc/b" "$T/one/etc/c" >/dev/null
	echo two | tee "$T/two/etc/b" "$T/two/etc/c" >/dev/null
	echo three >"$T/three/etc/c"
	[ "$EUID" -ne 0 ] || chown 1003 "$T/two/etc/b"
	OWNER=$(stat -c %u "$T/two/etc/b")
	make_image squashfs "$T/two.img" "$T/two"
	in_base "$T/base" --layer "$T/one" --layer "$T/two.img" --layer "$T/three" -- sh -c 'cat /etc/which /etc/a /etc/b /etc/c; stat -c %u /etc/b; echo x >/etc/a; rm /etc/c; ls /etc'
	is_status 0
	is_equal "$stdout" $'a base\none\ntwo\nthree\n'"$OWNER"$'\na\nb\nhostname\nhosts\nowned\npasswd\nwhich'
	in_base "$T/base" --layer "$T/three" --layer "$T/two.img" --layer "$T/one" -- sh -c 'cat /etc/a /etc/b /etc/c'
	is_equal "$stdout" $'one\none\none'
	is_equal "$(cat "$T/one/etc/a" "$T/three/etc/c")" $'one\nthree'
}

make_layer() {
	mkdir -p "$T/layer/usr/local/bin" "$T/layer/etc"
	printf '#!/bin/sh\necho "from the layer"\n' >"$T/layer/usr/local/bin/kennel-probe"
	chmod 0755 "$T/layer/usr/local/bin/kennel-probe"
	echo replaced >"$T/layer/etc/issue"
}

@test "layer: a directory of the machine, on top of the running system" {
	make_layer
	run_kennel run --net none --layer "$T/layer" -- sh -c 'kennel-probe; cat /etc/issue; head -c 4 /etc/passwd; echo x >/etc/issue'
	is_status 0
	is_equal "$stdout" $'from the layer\nreplaced\nroot'
	is_equal "$(cat "$T/layer/etc/issue")" replaced
}

@test "layer: an image, on top of the running system" {
	need_filesystem squashfs
	make_layer
	make_image squashfs "$T/image" "$T/layer"
	run_kennel run --net none --layer "$T/image" -- sh -c 'kennel-probe; cat /etc/issue; head -c 4 /etc/passwd; echo x >/etc/issue'
	is_status 0
	is_equal "$stdout" $'from the layer\nreplaced\nroot'
}

@test "layer: what it deletes or replaces whole is not there" {
	need_filesystem squashfs
	need_commands mksquashfs setfattr
	make_base "$T/base"
	mkdir -p "$T/layer/etc" "$T/base/full/sub" "$T/layer/full"
	echo low | tee "$T/base/full/file" "$T/base/full/sub/file" >"$T/base/gone"
	echo high >"$T/layer/full/new"
	setfattr -n user.overlay.opaque -v y "$T/layer/full"
	mksquashfs "$T/layer" "$T/image" -quiet -no-progress -p 'gone c 000 0 0 0 0' >/dev/null
	in_base "$T/base" --layer "$T/image" -- sh -c 'ls /full; cat /full/new; ls /gone'
	is_equal "$stdout" $'new\nhigh'
	has "/gone" "$stderr"
}

# bats test_tags=bed
@test "layer: a directory deletes and hides on the file system of its base, too" {
	need_commands setfattr
	make_base "$T/base"
	mkdir -p "$T/layer/etc" "$T/layer/full" "$T/base/full/sub"
	echo low >"$T/base/full/old"
	echo gone >"$T/base/gone"
	echo high >"$T/layer/full/new"
	setfattr -n user.overlay.opaque -v y "$T/layer/full"
	mknod "$T/layer/gone" c 0 0
	in_base "$T/base" --layer "$T/layer" -- sh -c 'ls /full; cat /full/new; ls /gone'
	is_status 2
	is_equal "$stdout" $'new\nhigh'
	has "'/gone': No such file" "$stderr"
}

@test "layer: a directory deletes and hides in a copy of the machine itself, in which it lies" {
	mkdir -p "$T/layer$T" "$T/layer/full"
	mknod "$T/layer$T/gone" c 0 0
	echo x | tee "$T/gone" "$T/stays" >"$T/layer/full/new"
	run_kennel run --net none --layer "$T/layer" -- ls "$T/gone" "$T/stays" /full
	has "gone': No such file" "$stderr"
	has "$T/stays" "$stdout"
	has "new" "$stdout"
}

@test "layer: a directory inside of the base" {
	make_base "$T/base"
	mkdir -p "$T/base/opt/layer/etc"
	echo "from below" >"$T/base/opt/layer/etc/which"
	in_base "$T/base" --layer "$T/base/opt/layer" -- sh -c 'cat /etc/which /opt/layer/etc/which'
	is_status 0
	is_equal "$stdout" $'from below\nfrom below'
}

@test "layer: one in another, which would lose what it deletes, is refused; each for itself is well without root" {
	make_base "$T/base"
	mkdir -p "$T/outer/inner/etc" "$T/outer/etc"
	mknod "$T/outer/inner/gone" c 0 0 2>/dev/null || :
	echo gone >"$T/base/gone"
	echo inner >"$T/outer/inner/etc/which"
	local options
	for options in "--layer $T/outer --layer $T/outer/inner" "--layer $T/outer/inner --layer $T/outer"; do
		# shellcheck disable=SC2086
		in_base "$T/base" $options -- cat /etc/which
		if [ "$(id -u)" -eq 0 ]; then
			refused yes "the layer \"$T/outer/inner\" lies in the layer \"$T/outer\""
		else
			is_equal "$stdout" inner
		fi
	done
}

@test "layer: one on the file system of a layer that the root of the machine is made of" {
	need_root "the root of a live system"
	need_commands pivot_root
	mkdir -p "$T/low" "$T/root" "$T/layer/etc" "$T/live"
	echo replaced >"$T/layer/etc/issue"
	mknod "$T/layer/etc/os-release" c 0 0
	# shellcheck disable=SC2016
	T=$T KENNEL=$KENNEL unshare -m --propagation private bash -euc '
		mount --bind / $T/low
		mount -t tmpfs tmpfs $T/live
		mkdir -p $T/live/up/etc $T/live/work
		echo upper >$T/live/up/etc/upper
		mount -t overlay -o lowerdir=$T/low,upperdir=$T/live/up,workdir=$T/live/work overlay $T/root
		for m in proc sys dev run tmp; do mount --rbind /$m $T/root/$m; done
		for m in low live; do mount --rbind $T/$m $T/root$T/$m; done
		cd $T/root
		pivot_root . mnt
		"$KENNEL" run --net none --layer $T/low$T/layer -- sh -c "cat /etc/issue /etc/upper; ls /etc/os-release; head -c 4 /etc/passwd"
		' >"$T/said" 2>&1 || :
	has $'replaced\nupper' "$(<"$T/said")"
	has "'/etc/os-release': No such file" "$(<"$T/said")"
	has root "$(<"$T/said")"
}

# bats test_tags=bed
@test "layer: twenty of them" {
	make_base "$T/base"
	local options=() n
	for n in $(seq 20); do
		mkdir -p "$T/l$n/etc"
		echo "$n" | tee "$T/l$n/etc/last" >"$T/l$n/etc/only$n"
		options+=(--layer "$T/l$n")
	done
	in_base "$T/base" "${options[@]}" -- sh -c 'cat /etc/last /etc/only1 /etc/only20; ls /etc'
	is_status 0
	is_equal "${stdout:0:7}" $'20\n1\n20'
	is_equal "$(grep -c '^only' <<<"$stdout")" 20
}

@test "without: a mount leaves its empty mount point, a directory is not there" {
	make_loop_fs ext4 8M "$T/mnt"
	echo text >"$T/mnt/file"
	mkdir -p "$T/dir/sub"
	echo text >"$T/dir/sub/file"
	run_kennel run --net none --without "$T/mnt" --without "$T/dir/sub" --without /opt -- \
		sh -c 'ls -A "$0/mnt" | wc -l; ls -A "$0/dir" | wc -l; [ ! -e /opt ] && echo gone; mkdir "$0/dir/sub" && ls -A "$0/dir/sub" | wc -l; findmnt "$0/mnt" | wc -l' "$T"
	is_status 0
	is_equal "$stdout" $'0\n0\ngone\n0\n0'
	is_equal "$(cat "$T/mnt/file" "$T/dir/sub/file")" $'text\ntext'
}

@test "hide: is empty, whatever root inside tries" {
	make_loop_fs ext4 8M "$T/mnt"
	mkdir -p "$T/secret/deep" "$T/mnt/secret"
	echo hidden-text | tee "$T/secret/file" "$T/secret/deep/file" "$T/mnt/secret/file" >/dev/null
	local level
	for level in user ns fs; do
		run_kennel run --isolate "$level" --hide "$T/secret" --hide "$T/mnt/secret" --hide /home -- sh -c 'cd "$0"; ls -A secret mnt/secret /home
			umount -l secret mnt/secret 2>/dev/null; cat secret/file mnt/secret/file 2>/dev/null; echo x >secret/own; cat secret/own
			rmdir mnt/secret && mkdir mnt/secret; ls -A mnt/secret; mv secret moved && cat moved/*; grep -r hidden-text . ' "$T"
		is_equal "$stdout" $'/home:\n\nmnt/secret:\n\nsecret:\nx\nx'
	done
	is_equal "$(cat "$T/secret/file" "$T/mnt/secret/file")" $'hidden-text\nhidden-text'
}

@test "hide: a whole mount, one directory of it shared again" {
	make_loop_fs ext4 8M "$T/mnt"
	mkdir "$T/mnt/a" "$T/mnt/b"
	echo text >"$T/mnt/a/file"
	run_kennel run --net none --hide "$T/mnt" --share "$T/mnt/a" -- sh -c 'ls -A "$0/mnt"; cat "$0/mnt/a/file"; echo more >"$0/mnt/a/file"' "$T"
	is_status 0
	is_equal "$stdout" $'a\ntext'
	is_equal "$(cat "$T/mnt/a/file")" more
}

@test "hide and without: what is not there, and what can't be" {
	run_kennel run --net none --hide "$T/nothing" --without "$T/nothing" -- echo fine
	is_status 0
	is_equal "$stdout" fine
	is_equal "$stderr" "kennel: there is no \"$T/nothing\" to hide"$'\n'"kennel: there is no \"$T/nothing\" to leave out"
	local option
	for option in hide without; do
		run_kennel run "--$option" / -- true
		refused yes "$option"
		run_kennel run "--$option" /proc -- true
		refused yes "/proc"
		run_kennel run "--$option" relative/path -- true
		refused yes "relative/path"
	done
}

@test "info --base: says of every mount what becomes of it, and why" {
	make_loop_fs ext4 8M "$T/mnt"
	run_kennel info --base
	is_status 0
	grep -Eq "^  copied +$T/mnt +ext4" <<<"$stdout"
	grep -Eq "^  new +/proc +proc" <<<"$stdout"
	run_kennel info --base --json
	is_status 0
	is_equal "$(jq -r --arg p "$T/mnt" '.mounts[] | select(.path == $p) | .what' <<<"$stdout")" copied
}
