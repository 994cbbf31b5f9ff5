#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# "kennel convert": the owners of a whole tree, from one range of ids to another and back, whatever stops it.

load lib

setup() {
	kennel_setup
	need_root "files of others"
	need_commands setcap getcap setfacl getfacl
	SCENE=(TREE)
	TREE=$T/tree
}

make_tree() {
	mkdir -p "$1/usr/bin" "$1/deep/a/b" "$1/home/u"
	echo x >"$1/usr/bin/ping"
	echo x >"$1/usr/bin/sudo"
	echo x >"$1/deep/a/wall"
	chown 0:5 "$1/deep" "$1/deep/a/wall"
	chmod 2775 "$1/deep" # for a directory it means something else
	chmod 2755 "$1/deep/a/wall"
	chmod 4755 "$1/usr/bin/sudo"
	echo y >"$1/home/u/f"
	ln -s /etc/passwd "$1/home/u/link"
	chown -hR 1000:1000 "$1/home/u"
	setcap cap_net_raw=ep "$1/usr/bin/ping"
	setfacl -m u:1000:rw,g:5:r "$1/home/u/f"
	setfacl -d -m u:33:rwx "$1/home/u"
	ln "$1/home/u/f" "$1/home/u/g"
	ln "$1/usr/bin/sudo" "$1/deep/sudo"
	mkfifo "$1/deep/a/fifo"
	chown 33:33 "$1/deep/a/fifo"
	mknod "$1/deep/gone" c 0 0 2>/dev/null || :
	printf 'z' >"$1/deep/a/b/"$'strange\tname\n'
}

# Everything about it but times.
seen() {
	(
		cd "$1"
		find . -printf '%p %y %m %U %G %l %n %s\0' | LC_ALL=C sort -z | tr '\0' '|'
		getcap -n -r .
		getfacl -n -R -p . 2>/dev/null | LC_ALL=C sort
	)
}

@test "convert: there and back: setuid, capabilities, ACLs, links, devices" {
	make_tree "$TREE"
	local before
	before=$(seen "$TREE")
	run_kennel convert --shift 100000 --dry-run "$TREE"
	has "entries would move from 0-65535 to 100000-165535"
	is_equal "$(seen "$TREE")" "$before"
	run_kennel convert --shift 100000 --json "$TREE"
	is_status 0
	is_equal "$(jq -r '"\(.from) \(.to) \(.count) \(.resumed)"' <<<"$stdout")" "0 100000 65536 false"
	is_equal "$(find "$TREE" -uid -100000 -o -gid -100000)" ""
	is_equal "$(stat -c '%a %u' "$TREE/usr/bin/sudo")" "4755 100000"
	is_equal "$(stat -c '%a %u:%g' "$TREE/deep/a/wall")" "2755 100000:100005"
	is_equal "$(stat -c '%u:%g' "$TREE/home/u/link")" "101000:101000"
	is_equal "$(stat -c '%u' /etc/passwd)" 0
	has "rootid=100000" "$(getcap -n "$TREE/usr/bin/ping")"
	has "user:101000:rw-" "$(getfacl -n -p "$TREE/home/u/g")"
	has "group:100005:r--" "$(getfacl -n -p "$TREE/home/u/g")"
	has "default:user:100033:rwx" "$(getfacl -n -p "$TREE/home/u")"
	run_kennel convert --shift 100000 "$TREE"
	has "begin at 100000 already"
	run_kennel convert --shift 300000 --count 2000 "$TREE"
	is_status 0
	is_equal "$(stat -c %u "$TREE/home/u/f")" 301000
	run_kennel convert --shift none "$TREE"
	is_status 0
	is_equal "$(seen "$TREE")" "$before"
	is_equal "$(cd "$T" && echo .kennel*)" ".kennel*"
}

@test "convert: what a tree of another owner has is refused by name, before anything changes" {
	make_tree "$TREE"
	chown 70000 "$TREE/deep/a/b"
	chgrp 90000 "$TREE/home"
	local before
	before=$(seen "$TREE")
	run_kennel convert --shift 100000 "$TREE"
	refused yes '"deep/a/b" belongs to the user 70000, which is not one of 0 to 65535 (2 such)'
	chown 0 "$TREE/deep/a/b"
	run_kennel convert --shift 100000 "$TREE"
	refused yes '"home" belongs to the group 90000'
	chgrp 0 "$TREE/home"
	setfacl -m u:70001:r "$TREE/usr/bin/ping"
	run_kennel convert --shift 100000 "$TREE"
	refused yes '"usr/bin/ping" has an ACL or capabilities'
	setfacl -b "$TREE/usr/bin/ping"
	run_kennel convert --shift 50000 "$TREE"
	refused yes "some in common"
	run_kennel convert --shift 4294967000 "$TREE"
	refused no "more than there are"
	run_kennel convert --shift 200000 --from 100000 "$TREE"
	refused yes "which is not one of 100000 to 165535"
	run_kennel convert "$TREE"
	refused yes "convert to what?"
	run_kennel convert --shift lots "$TREE"
	refused yes '"lots" is no number'
	run_kennel convert --shift 100000 /
	refused no "this machine's own tree"
	run_kennel convert --shift 100000 no-such
	refused yes 'no container "no-such"' || refused no 'no container "no-such"'
	mount -t tmpfs none "$TREE/deep/a/b"
	at_end umount "$TREE/deep/a/b"
	run_kennel convert --shift 100000 "$TREE"
	refused yes 'something is mounted at "deep/a/b"'
	is_equal "$(stat -c %u "$TREE")" 0
	run_kennel ns --map-user 0:0:1000 --map-group 0:0:1000 -- "$KENNEL" convert --shift 2000 --count 900 "$TREE/usr"
	is_status 125
	has "namespace has not got"
}

# what was begun goes on, and all is as it should be
prepare() {
	rm -rf "$TREE" "$(dirname "$TREE")"/.kennel-convert-*
	cp -a "$BATS_FILE_TMPDIR/tree" "$TREE"
}

check() {
	"$KENNEL" convert -j 1 --shift 100000 -q "$TREE" || return 1
	is_equal "$(seen "$TREE")" "$EXPECTED" || return 1
	local record
	for record in "$(dirname "$TREE")"/.kennel-convert-*; do
		[ ! -e "$record" ] || [[ $record == *.new ]] || {
			echo "left: $record"
			return 1
		}
	done
}

@test "convert: killed at any call, the same command ends it" {
	need_commands cc
	make_tree "$BATS_FILE_TMPDIR/tree"
	prepare
	"$KENNEL" convert --shift 100000 -q "$TREE"
	EXPECTED=$(seen "$TREE")
	KENNEL_TEST_POINTS=${KENNEL_TEST_POINTS:-8} kill_points prepare check "$KENNEL" convert -j 1 --shift 100000 -q "$TREE"
}

@test "convert: a call that fails at any place is told, and the same command ends it" {
	need_commands cc
	[ -d "$BATS_FILE_TMPDIR/tree" ] || make_tree "$BATS_FILE_TMPDIR/tree"
	prepare
	"$KENNEL" convert --shift 100000 -q "$TREE"
	EXPECTED=$(seen "$TREE")
	KENNEL_TEST_POINTS=${KENNEL_TEST_POINTS:-5} fail_points "ENOSPC" prepare check "$KENNEL" convert -j 1 --shift 100000 -q "$TREE"
}

@test "convert: what was begun is known, and nothing else is done before" {
	make_tree "$TREE"
	chattr +i "$TREE/home/u/f" || skip "no immutable files here"
	at_end chattr -i "$TREE/home/u/f"
	run_kennel convert --shift 100000 "$TREE"
	refused yes "home/u/f"
	has "immutable" "$stderr"
	run_kennel convert --shift 200000 "$TREE"
	refused yes "a conversion of 65536 ids from 0 to 100000 was begun"
	run_kennel convert --shift none "$TREE"
	refused yes "was begun and not ended"
	chattr -i "$TREE/home/u/f"
	# one that came meanwhile, on either side
	echo >"$TREE/new"
	run_kennel convert --shift 100000 "$TREE"
	is_status 0
	has "an earlier conversion is ended"
	is_equal "$(find "$TREE" -uid -100000 -o -gid -100000)" ""
}

@test "convert: a record that others could have written is not believed" {
	make_tree "$TREE"
	local record
	record=$T/.kennel-convert-$(stat -c %i "$TREE")
	printf 'kennel-convert\t1\nids\t0\t100000\t65536\nroot\t%s\t%s\nspecial\thome/u/f\t%s\t%s\t0\t0\t2541\t-\t-\t-\n' \
		"$(stat -c '%d' "$TREE")" "$(stat -c '%i' "$TREE")" "$(stat -c '%d' "$TREE/home/u/f")" "$(stat -c '%i' "$TREE/home/u/f")" >"$record"
	chown 1000 "$record"
	run_kennel convert --shift 100000 "$TREE"
	refused yes "others could have written the record"
	chown 0 "$record"
	chmod 0666 "$record"
	run_kennel convert --shift 100000 "$TREE"
	refused yes "others could have written the record"
	rm "$record"
	ln -s "$TREE/usr/bin/ping" "$record"
	run_kennel convert --shift 100000 "$TREE"
	is_status 125
	is_equal "$(stat -c '%a %u' "$TREE/home/u/f")" "664 1000"
}

@test "convert: what took the place of a file in the record gets nothing of it" {
	make_tree "$TREE"
	chattr +i "$TREE/usr/bin" || skip "no immutable files here"
	at_end chattr -i "$TREE/usr/bin"
	run_kennel convert -j 1 --shift 100000 "$TREE"
	is_status 125
	chattr -i "$TREE/usr/bin"
	echo >"$T/victim"
	for file in usr/bin/ping deep/a/wall; do # a link, another file
		mv "$TREE/$file" "$TREE/moved${file##*/}"
	done
	ln -s "$T/victim" "$TREE/usr/bin/ping"
	echo >"$TREE/deep/a/wall"
	chmod 0644 "$TREE/deep/a/wall"
	run_kennel convert --shift 100000 "$TREE"
	refused yes "is not where it was"
	is_equal "$(stat -c '%a %u' "$T/victim")" "644 0"
	is_equal "$(stat -c '%a' "$TREE/deep/a/wall")" 644
	for file in usr/bin/ping deep/a/wall; do
		mv -f "$TREE/moved${file##*/}" "$TREE/$file"
	done
	run_kennel convert --shift 100000 "$TREE"
	is_status 0
	is_equal "$(stat -c '%a %u' "$TREE/deep/a/wall")" "2755 100000"
	has "rootid=100000" "$(getcap -n "$TREE/usr/bin/ping")"
}

@test "convert: a container's base and changes" {
	need_commands busybox
	mkdir -p "$T/root/bin"
	cp "$(command -v busybox)" "$T/root/bin/busybox"
	ln -s busybox "$T/root/bin/sh"
	chmod 4755 "$T/root/bin/busybox"
	at_end stop_all
	"$KENNEL" import -q -P "$T/store" "$T/root" c
	"$KENNEL" run -q -P "$T/store" -k c -- /bin/sh -c 'echo hello >/made; /bin/busybox chown 7 /made'
	run_kennel convert -P "$T/store" --shift 100000 c
	is_status 0
	is_equal "$(find "$T/store/c/base" "$T/store/c/delta" -uid -100000)" ""
	is_equal "$(stat -c %u "$T/store/c/delta/0/upper/made")" 100007
	is_equal "$(stat -c '%a %u' "$T/store/c/base/bin/busybox")" "4755 100000"
	is_equal "$(stat -c %u "$T/store/c")" 0
	run_kennel convert -P "$T/store" --shift none c
	is_status 0
	run_kennel run -q -P "$T/store" -k c -- /bin/sh -c 'busybox stat -c %u /made; busybox cat /made'
	is_equal "$stdout" $'7\nhello'
	background "$KENNEL" run -q -P "$T/store" -k c -T -- /bin/sh -c 'echo runs; busybox sleep 300'
	wait_for 20 says "$T/out.1" runs
	run_kennel convert -P "$T/store" --shift 100000 c
	is_status 125
	is_equal "$(stat -c %u "$T/store/c/delta/0/upper/made")" 7
}
