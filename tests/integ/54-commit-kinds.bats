#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# "kennel commit" keeps what a file is: access lists, capabilities, links, holes, attributes, times. And goes over several mounts.

load lib

setup() {
	need_sandbox
	kennel_setup
	need_commands setfacl getfattr setfattr
	NAME=kinds-$$-$RANDOM
	at_end forget
}

forget() {
	"$KENNEL" rm "$NAME" >/dev/null 2>&1 || :
	"$KENNEL" commit --undo --force >/dev/null 2>&1 || :
}

make_base() {
	mkdir -p "$1"/{bin,etc,lib,lib64,usr,d/e,old,hide}
	echo one >"$1/etc/one"
	echo two >"$1/etc/two"
	echo x >"$1/d/e/x"
	echo y >"$1/hide/y"
	echo z >"$1/old/z"
	echo mv >"$1/etc/mv-me"
	ln "$1/d/e/x" "$1/d/x-too"
	setfacl -m u:12345:r "$1/etc/two"
	setfattr -n user.was -v before "$1/old/z"
	find "$1" -exec touch -h -d '2001-02-03 04:05:06.789' {} +
}

# Everything of a tree but inode numbers and change times.
look() {
	(cd "$1" && find . ! -type l -printf '%p %y %m %U:%G %n %T@ %l\n' | LC_ALL=C sort
		find . -type f -exec sha256sum {} + | LC_ALL=C sort
		find . | LC_ALL=C sort | xargs getfattr -hd -m - 2>/dev/null
		find . ! -type l | LC_ALL=C sort | getfacl -n - 2>/dev/null)
}

# keep SCRIPT: in the container, over the base, with the machine's own programs.
keep() {
	"$KENNEL" run -q -k "$NAME" --base "$T/base" --net none --mount /usr:/usr:ro --mount /bin:/bin:ro --mount /lib:/lib:ro \
		--mount /lib64:/lib64:ro ${LEVEL:+--isolate "$LEVEL"} --user "$(id -u)" -- /bin/sh -ec "$1" </dev/null
}

# What is done inside is done outside to a second tree, for comparison.
CHANGES='cd "$TOP"
	setfacl -m u:12345:rw,g:54321:r etc/one
	setfacl -x u:12345 etc/two
	mkdir acl; setfacl -d -m u:12345:rwx acl; echo a >acl/heir
	setfattr -n user.is -v after old/z; setfattr -x user.was old/z; setfattr -n user.big -v "$(head -c 900 /dev/zero | tr "\0" b)" d/e
	mkdir new; echo l >new/l1; ln new/l1 new/l2; ln new/l1 etc/l3
	truncate -s 5M new/sparse; printf end >>new/sparse; printf mid | dd of=new/sparse bs=1 seek=2000000 conv=notrunc 2>/dev/null
	mv old renamed; mv etc/mv-me d/moved
	rm -r hide; mkdir hide; echo h >hide/only
	chmod 2775 new; chmod 1777 acl
	touch -d "1999-12-31 23:59:59.123456789" new/l1 new/sparse; touch -h -d 1998-01-01 new
	find acl etc hide d renamed -newermt 2020-01-01 ! -name "host*" -exec touch -d "1996-06-06 06:06:06.5" {} +'

test_kinds() {
	make_base "$T/base"
	cp -a "$T/base" "$T/copy"
	TOP='' keep 'TOP=/; '"$CHANGES"
	(TOP=$T/copy; eval "$CHANGES")
	run_kennel commit -y "$NAME"
	is_status 0
	diff <(look "$T/copy" | grep -v '^\. ') <(look "$T/base" | grep -v '^\. ')
	is_equal "$(stat -c %i "$T/base/new/l1" "$T/base/new/l2" "$T/base/etc/l3" | sort -u | wc -l)" 1
	[ "$(stat -c %b "$T/base/new/sparse")" -lt 200 ]
	run_kennel commit -y "$NAME"
	has "nothing to commit"
	run_kennel commit --undo
	is_status 0
	rm -r "$T/copy"
	make_base "$T/copy"
	diff <(look "$T/copy") <(look "$T/base")
}

@test "commit-kinds: a tree with every kind of attribute" {
	test_kinds
}

@test "commit-kinds: the same of a weaker level" {
	need_root "which has levels to choose from"
	local LEVEL=ns
	test_kinds
}

# In mounts of its own, with a place of its own for commits: SCRIPT gets T, KENNEL and NAME.
in_own_mounts() {
	need_root "which mounts"
	truncate -s 64M "$T/disk"
	mkfs.ext4 -q "$T/disk"
	mkdir "$T/m" "$T/t"
	# shellcheck disable=SC2016
	T=$T KENNEL=$KENNEL NAME=$NAME unshare -m --propagation private bash -euxc 'mkdir -p /var/lib/kennel
		mount -t tmpfs -o mode=0700 tmpfs /var/lib/kennel
		mount -o loop "$T/disk" "$T/m"
		mount -t tmpfs tmpfs "$T/t"
		'"$1"'
		umount "$T/m" "$T/t"' >"$T/log" 2>&1 || { cat "$T/log"; return 1; }
}

@test "commit-kinds: of the system, over several mounts, with capabilities and devices" {
	need_commands setcap getcap mkfs.ext4
	# shellcheck disable=SC2016
	in_own_mounts '
		echo old >$T/m/old; echo old >$T/t/old; mkdir $T/m/gone; echo x >$T/m/gone/x
		"$KENNEL" run -q -k "$NAME" --net none -- sh -ec "
			cd $T; echo new >m/new; chown 33:44 m/new; rm -r m/gone; echo changed >m/old; echo changed >t/old; echo top >top
			cp /bin/true m/cap; setcap cap_net_raw+ep m/cap; cp /bin/true t/su; chmod 4755 t/su; ln m/new m/twin
			mkdir m/sub; echo s >m/sub/s; setfacl -m u:77:r m/sub/s; setfattr -n user.k -v v m/old" </dev/null
		"$KENNEL" commit --dry-run "$NAME" "$T" >$T/list
		grep "^! $T/m/cap (capability)" $T/list
		grep "^! $T/t/su (setuid)" $T/list
		"$KENNEL" commit -y "$NAME" "$T"
		test "$(getcap $T/m/cap)" = "$T/m/cap cap_net_raw=ep"
		test "$(stat -c %u:%g:%h $T/m/twin)" = 33:44:2
		test "$(stat -c %a $T/t/su)" = 4755
		test "$(cat $T/m/old $T/t/old $T/top | tr "\n" " ")" = "changed changed top "
		test ! -e $T/m/gone
		getfacl -n -c --omit-header $T/m/sub/s | grep -q ^user:77:r--
		test "$(getfattr --only-values -n user.k $T/m/old)" = v
		"$KENNEL" commit --undo
		test "$(cat $T/m/old $T/t/old $T/m/gone/x | tr "\n" " ")" = "old old x "
		test ! -e $T/m/new; test ! -e $T/m/cap; test ! -e $T/top; test ! -e $T/t/su
		test -z "$(find / $T/m $T/t -maxdepth 1 -name ".kennel-commit-*")"'
}

@test "commit-kinds: what can not be removed of an earlier commit keeps nobody from the next" {
	need_commands mkfs.ext4
	# shellcheck disable=SC2016
	in_own_mounts '
		echo old >$T/m/old; echo old >$T/t/old
		"$KENNEL" run -q -k "$NAME" --net none -- sh -ec "echo new >$T/m/old; echo new >$T/t/old; echo n >$T/t/new" </dev/null
		"$KENNEL" commit -y "$NAME" "$T/m"
		mount -o remount,ro "$T/m"
		"$KENNEL" commit -y "$NAME" "$T/t/old"
		"$KENNEL" commit -y "$NAME" "$T/t/new" 2>$T/said
		grep "what is left of the commit of .* stays: " $T/said
		test "$(cat $T/t/old $T/t/new | tr "\n" " ")" = "new n "
		mount -o remount,rw "$T/m"
		"$KENNEL" gc
		test -z "$(find $T/m -maxdepth 1 -name ".kennel-commit-*")"
		"$KENNEL" commit --undo'
}

@test "commit-kinds: a file system that is not here now waits with its commit" {
	need_commands mkfs.ext4
	# shellcheck disable=SC2016
	in_own_mounts '
		echo old >$T/m/old; echo old >$T/t/old
		"$KENNEL" run -q -k "$NAME" --net none -- sh -ec "echo new >$T/m/old; echo new >$T/t/old" </dev/null
		"$KENNEL" commit -y "$NAME" "$T"
		umount $T/m
		if "$KENNEL" commit --undo --force 2>$T/said; then exit 1; fi
		grep "changed what is not here now" $T/said
		"$KENNEL" gc
		test "$(cat $T/t/old)" = new
		# nor is another one taken for it
		truncate -s 64M "$T/other"
		mkfs.ext4 -q "$T/other"
		mount -o loop "$T/other" "$T/m"
		echo old >$T/m/old
		"$KENNEL" commit --dry-run -v "$NAME" "$T/m" >$T/list || :
		grep "M $T/m/old: another file system is mounted there" $T/list
		umount $T/m
		mount -o loop "$T/disk" "$T/m"
		"$KENNEL" commit --undo
		test "$(cat $T/m/old $T/t/old | tr "\n" " ")" = "old old "'
}
