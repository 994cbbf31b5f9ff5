#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# kennel diff: what a sandbox changed, exactly, while it runs. Its base is a directory of the test's own, $T/base, unless said
# otherwise.

load lib

setup() {
	need_sandbox
	need_commands jq setfattr setfacl
	kennel_setup
	mkdir -p "$T/base"/{etc/sub,usr/bin,var/lib/dpkg,home/u,proc,sys,dev,run,tmp}
	cp -a /bin "$T/base/" 2>/dev/null || true
	echo old >"$T/base/etc/conf"
	echo same >"$T/base/etc/same"
	echo gone >"$T/base/etc/gone"
	echo x >"$T/base/etc/sub/x"
	ln -s conf "$T/base/etc/link"
	umask 022
}

# start SCRIPT [OPTION]...: a sandbox of the running system that has done this, with $T shown writable in the copy; sets ID.
start() {
	local n=$((LIB_STARTED + 1)) script=$1
	shift
	background "$KENNEL" run --net none "$@" -- sh -c "set -e; cd '$T'; $script
		echo \"ready \$KENNEL_ID\"; exec sleep 300"
	wait_for 20 says "$T/out.$n" ready
	ID=$(sed -n 's/^ready //p' "$T/out.$n")
}

# differs [OPTION]... LINE...: kennel diff ID $T shows these lines, with $T cut off.
differs() {
	local options=()
	while [ "${1#-}" != "$1" ]; do
		options+=("$1")
		shift
	done
	run_kennel diff "${options[@]}" "$ID" "$T"
	is_status 0
	is_equal "${stdout//$T/}" "$(printf '%s\n' "$@")"
}

@test "diff: nothing is changed at first, nor by what is only touched" {
	start 'touch base/etc/same; chmod 600 base/etc/conf; chmod 644 base/etc/conf; cat base/etc/gone >/dev/null
		echo other >base/etc/gone; echo gone >base/etc/gone; mv base/usr/bin base/usr/b; mv base/usr/b base/usr/bin; mkdir a; rmdir a' --hostname box
	run_kennel diff "$ID"
	is_status 0
	is_equal "$stdout" ""
	run_kennel diff --exit-code "$ID"
	is_status 0
	run_kennel diff --json "$ID"
	is_equal "$(jq length <<<"$stdout")" 0
}

@test "diff: each kind of change, in the order of a tree" {
	start 'cd base
		echo new >etc/conf; rm etc/gone; ln -sf same etc/link; chmod 4755 etc/same; echo n >etc/new; rm -r etc/sub; ln -s /x etc/sub
		mkdir -p opt/d; echo y >opt/d/f; ln opt/d/f opt/g; mkfifo opt/p; rm -r home; mkdir home; echo v >home/v
		setfattr -n user.k -v 1 usr/bin; chown -h --reference=. etc/link home; echo odd >"usr/new
line"'
	differs 'M /base/etc/conf (content)' 'D /base/etc/gone' 'M /base/etc/link (link)' 'A /base/etc/new' 'M /base/etc/same (mode)' \
		'T /base/etc/sub (symbolic link, was directory)' 'D /base/home/u' 'A /base/home/v' 'A /base/opt' 'A /base/opt/d' 'A /base/opt/d/f' \
		'A /base/opt/g (hard link to /base/opt/d/f)' 'A /base/opt/p' 'M /base/usr/bin (xattr)' 'A /base/usr/new\x0aline'
	run_kennel diff "$ID" "$T/base/opt/d"
	is_equal "${stdout//$T/}" $'A /base/opt/d\nA /base/opt/d/f'
	run_kennel diff --exit-code "$ID" "$T/base/opt"
	is_status 1
	run_kennel diff --all "$ID" "$T/base/etc/sub"
	is_equal "${stdout//$T/}" $'T /base/etc/sub (symbolic link, was directory)\nD /base/etc/sub/x'
}

@test "diff: owners, access control lists and capabilities, as seen inside" {
	need_root "files of other owners, ns and fs"
	need_commands setcap
	cp "$(type -P true)" "$T/base/usr/bin/capped"
	cp "$T/base/usr/bin/capped" "$T/base/usr/bin/plain"
	setcap cap_net_raw+ep "$T/base/usr/bin/capped"
	echo a >"$T/base/etc/acl"
	setfacl -m u:33:r "$T/base/etc/acl"
	chown 33:34 "$T/base/etc/same"
	for level in 'user none' 'ns none' 'fs host'; do
		start 'cd base; chown 5:6 etc/conf; setfacl -m u:33:rw etc/same; setcap cap_chown+ep usr/bin/plain
			for f in usr/bin/capped etc/acl; do chmod a+w $f; chmod a-w,u+w $f; done; setfacl -m u:33:r etc/acl
			echo b >etc/same' --isolate "${level% *}" --net "${level#* }"
		differs 'M /base/etc/conf (owner)' 'M /base/etc/same (content, mode, xattr)' 'M /base/usr/bin/plain (xattr)'
		run_kennel diff --json "$ID" "$T/base/etc/conf"
		is_equal "$(jq -c '.[0] | [.before.uid, .before.gid, .after.uid, .after.gid]' <<<"$stdout")" "[0,0,5,6]"
	done
}

@test "diff: devices, sockets, a sparse file, a name that is no UTF-8" {
	start 'cd base; truncate -s 1G etc/sparse; : >"etc/$(printf "\377")"
		[ "$(id -u)" -ne 0 ] || mknod etc/null c 1 3 2>/dev/null || true'
	run_kennel diff --json "$ID" "$T/base/etc"
	is_status 0
	jq -e '.[] | select(.path | endswith("/sparse")) | .kind == "added" and .after.size == 1073741824 and .before == null' <<<"$stdout"
	jq -e '.[] | select(.path_hex) | .path_hex | endswith("2fff")' <<<"$stdout"
	run_kennel diff "$ID" "$T/base/etc"
	grep -q 'etc/\\xff$' <<<"$stdout"
}

@test "diff: the whole system, with what the user can't read, and what kennel put in" {
	start ': >/etc/kennel-test; : >/usr/kennel-test' --hostname box --hide "$T/base/etc"
	run_kennel diff "$ID"
	is_status 0
	is_equal "$stdout" $'A /etc/kennel-test\nA /usr/kennel-test'
	# of a file of kennel's that the inside goes on with, only what it did to it
	if ! mountpoint -q /etc/hosts; then
		"$KENNEL" exec "$ID" -- sh -c 'echo 192.0.2.1 added >>/etc/hosts'
		run_kennel diff "$ID" /etc/hosts
		is_equal "$stdout" 'M /etc/hosts (content)'
	fi
}

@test "diff: hidden and left out places are no changes; what is made in them is" {
	start 'cd base; ls etc; echo z >etc/conf; mkdir usr; : >usr/n' --hide "$T/base/etc" --without "$T/base/usr"
	differs 'A /base/etc/conf' 'A /base/usr' 'A /base/usr/n'
}

@test "diff: shared places are no changes" {
	mkdir "$T/shared"
	start "echo s >'$T/shared/s'" --share "$T/shared" --mount "$T/base/etc:/opt/kennel-test/deep"
	run_kennel diff "$ID"
	is_equal "$stdout" ""
}

@test "diff: another mount of the machine" {
	need_root "mounts"
	mkdir "$T/mnt"
	make_loop_fs ext4 16M "$T/mnt"
	echo old >"$T/mnt/file"
	start 'echo new >mnt/file; : >mnt/n; : >z; : >a'
	differs 'A /a' 'M /mnt/file (content)' 'A /mnt/n' 'A /z'
}

@test "diff: a layer on top of the base" {
	mkdir -p "$T/layer$T/base/etc"
	echo layer >"$T/layer$T/base/etc/conf"
	echo layer >"$T/layer$T/base/etc/only"
	start 'cd base/etc; echo layer >conf; echo x >only; rm -r sub; echo n >n' --layer "$T/layer"
	differs 'A /base/etc/n' 'M /base/etc/only (content)' 'D /base/etc/sub'
}

@test "diff: a directory as the base" {
	need_root "a base that holds all of the machine"
	start 'echo new >base/etc/conf; rm base/etc/gone; : >n' --base /
	differs 'M /base/etc/conf (content)' 'D /base/etc/gone' 'A /n'
	run_kennel diff "$ID"
	is_equal "$(wc -l <<<"$stdout")" 3
}

@test "diff: --stat counts, also in deleted directories" {
	start 'cd base; rm -r etc; echo 12345 >usr/f'
	run_kennel diff --stat --json "$ID" "$T/base"
	is_status 0
	is_equal "$(jq -c '.total | [.added, .changed, .deleted, .retyped, .bytes]' <<<"$stdout")" "[1,0,7,0,6]"
	run_kennel diff --stat "$ID"
	grep -Eq "^/var +1 +0 +7 +0 +6$" <<<"$stdout"
	grep -Eq "^total +1 +0 +7 +0 +6$" <<<"$stdout"
}

@test "diff: --content is what diff -u shows, and patch takes it" {
	need_commands patch
	printf '%s\n' 1 2 3 4 5 6 7 8 9 >"$T/base/etc/conf"
	start 'cd base; sed -i s/5/five/ etc/conf; printf "a\0b" >etc/same; rm etc/gone; printf "no newline" >etc/new; ln etc/new etc/new2'
	run_kennel diff --content "$ID" "$T/base/etc"
	is_status 0
	has $'@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n' "$stdout"
	has $'--- /dev/null\n' "$stdout"
	has "Binary or large file $T/base/etc/same was changed" "$stdout"
	"$KENNEL" diff --content "$ID" "$T/base/etc" >"$T/patch"
	mkdir -p "$T/copy$T"
	cp -a "$T/base" "$T/copy$T/"
	patch -s -p1 -d "$T/copy" <"$T/patch"
	is_equal "$(sed -n 5p "$T/copy$T/base/etc/conf")" five
	[ ! -e "$T/copy$T/base/etc/gone" ]
	is_equal "$(cat "$T/copy$T/base/etc/new")" "no newline"
}

@test "diff: --packages, of dpkg" {
	[ -s /var/lib/dpkg/status ] || skip "needs dpkg's database"
	local first
	first=$(awk '/^Package: /{print $2; exit}' /var/lib/dpkg/status)
	start 'f=/var/lib/dpkg/status; printf "Package: kennel-test\nStatus: install ok installed\nArchitecture: all\nVersion: 1.2-3\n\n" >/tmp/new
		awk "/^Package: /{n++} n != 1" $f >>/tmp/new; cat /tmp/new >$f'
	run_kennel diff --packages "$ID"
	is_status 0
	has "A kennel-test 1.2-3 (dpkg)" "$stdout"
	grep -q "^D ${first}[: ]" <<<"$stdout"
	is_equal "$(wc -l <<<"$stdout")" 2
	run_kennel diff --packages --json "$ID"
	jq -e '.[] | select(.name == "kennel-test") | .manager == "dpkg" and .before == null and .after == "1.2-3"' <<<"$stdout"
	run_kennel diff --packages "$ID" /etc
	is_status 125
}

@test "diff: --packages, of rpm" {
	need_commands python3
	[ ! -e /usr/lib/sysimage/rpm ] || skip "needs a machine without rpm's database"
	local n many=()
	for n in $(seq 60); do many+=("pkg$n,,1.$n,1,noarch"); done
	python3 "$LIB_TOP/tests/harness/rpm-database.py" "$T/db" bash,,5.2,1.fc39,x86_64 dbus,1,1.14,2,x86_64 gpg-pubkey,,abc,def, "${many[@]}"
	start 'mkdir -p /usr/lib/sysimage/rpm; cp db /usr/lib/sysimage/rpm/rpmdb.sqlite; : >/usr/lib/sysimage/rpm/rpmdb.sqlite-wal'
	run_kennel diff --packages "$ID"
	is_status 0
	is_equal "$stderr" ""
	has "A bash.x86_64 5.2-1.fc39 (rpm)" "$stdout"
	has "A dbus.x86_64 1:1.14-2 (rpm)" "$stdout"
	has "A gpg-pubkey abc-def (rpm)" "$stdout"
	is_equal "$(wc -l <<<"$stdout")" 63
	# one that is open, and one of an older kind
	"$KENNEL" exec "$ID" -- sh -c 'echo x >/usr/lib/sysimage/rpm/rpmdb.sqlite-wal'
	run_kennel diff --packages "$ID"
	has "packages of rpm were changed" "$stderr"
	"$KENNEL" exec "$ID" -- sh -c 'cd /usr/lib/sysimage/rpm; rm *; echo x >Packages'
	run_kennel diff --packages "$ID"
	has "packages of rpm were changed" "$stderr"
}

@test "diff: deeper than a path can be" {
	need_commands python3
	start "python3 -c 'import os
for i in range(450):
	os.mkdir(\"d\" * 9)
	os.chdir(\"d\" * 9)
open(\"end\", \"w\")'"
	run_kennel diff "$ID" "$T"
	is_status 0
	is_equal "$(wc -l <<<"$stdout")" 451
	grep -q '/end$' <<<"$stdout"
}

@test "diff: a sandbox that changes everything meanwhile" {
	start 'mkdir -p w/a/b; (while :; do mkdir -p w/a/b/c; : >w/a/b/c/f; mv w/a w/z; ln -s /etc w/a; rm w/a; mv w/z w/a; rm -rf w/a/b; done) >/dev/null 2>&1 &'
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
		run_kennel diff "$ID" "$T/w"
		is_status 0
		lacks passwd "$stdout"
	done
}

@test "diff: what is refused" {
	run_kennel diff
	is_status 125
	run_kennel diff ffffffff
	refused 'no sandbox "ffffffff" is running'
	start ':'
	run_kennel diff "$ID" etc
	refused '"etc" is not an absolute path'
	run_kennel diff --stat --content "$ID"
	is_status 125
}

@test "diff: what the user may not read of the base is told, and the rest is shown" {
	[ "$EUID" -ne 0 ] || skip "needs an ordinary user"
	need_commands busybox
	mkdir -p "$T/small/bin"
	cp "$(command -v busybox)" "$T/small/bin/busybox"
	ln -s busybox "$T/small/bin/sh"
	cp -r "$T/base/etc" "$T/small/"
	chmod 000 "$T/small/etc/conf"
	# shellcheck disable=SC2016
	background "$KENNEL" run --net none --base "$T/small" -- /bin/sh -c 'echo n >/etc/new; busybox mv -f /etc/new /etc/conf; echo n >/etc/same; echo "ready $KENNEL_ID"
		exec busybox sleep 300'
	wait_for 20 says "$T/out.$LIB_STARTED" ready
	ID=$(sed -n 's/^ready //p' "$T/out.$LIB_STARTED")
	run_kennel diff --content "$ID"
	is_status 0
	has "File /etc/conf, which you may not read, was changed" "$stdout"
	has "-same" "$stdout"
}
