#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# Containers whose changes a guest has written on a disk of its own: whoever comes next puts them in their place, whatever is killed.
# The disks are made by hand here.

load lib

setup() {
	need_sandbox
	need_commands busybox mke2fs debugfs setfattr
	kennel_setup
	S=$T/store
	: "${KENNEL_TEST_POINTS:=$((EUID == 0 ? 2 : 3))}"
	SCENE=(S)
	SCENE_END=empty
	T_BASE=$T/base
	mkdir -p "$T_BASE/bin"
	cp "$(command -v busybox)" "$T_BASE/bin/busybox"
	for applet in sh cat rm ls echo find stat sort mkdir chown sync sleep mknod true; do ln -s busybox "$T_BASE/bin/$applet"; done
	echo base >"$T_BASE/under"
	mkdir "$T_BASE/both"
	echo base >"$T_BASE/both/base"
}

teardown() {
	[ -z "${S-}" ] || empty
	kennel_teardown
}

empty() {
	[ ! -d "$S" ] || "$KENNEL" list -kq -P "$S" | xargs -r "$KENNEL" rm -fs --promote -P "$S"
}

# inside NAME SCRIPT: in the container.
inside() {
	"$KENNEL" run -q -P "$S" -k "$1" --net none --base "$T_BASE" -- sh -c "$2"
}

# disk NAME SCRIPT: the guest of the container has left a disk with what SCRIPT makes, in its upper directory, as root.
disk() {
	local as=("$KENNEL" ns --)
	[ "$EUID" -ne 0 ] || as=()
	"${as[@]}" sh -euc "umask 022; mkdir -p '$T/made/delta/0/upper' '$T/made/delta/0/work'; chmod 755 '$T/made/delta/0/upper'
		truncate -s 64M '$T/disk'
		cd '$T/made/delta/0/upper'; $2
		mke2fs -q -t ext4 -d '$T/made' '$T/disk'; rm -r '$T/made'" || return 1
	cp --sparse=always "$T/disk" "$S/$1/vm-disk"
	rm -f "$T/disk"
}

opaque() {
	printf 'setfattr -n user.overlay.opaque -v y %s;' "$@"
}

# Before the guest, and what it did.
BEFORE='echo one >/f; echo gone >/g; mkdir /d /old; echo in >/d/in; echo x >/old/x; rm /under'
GUEST="echo two >f; mknod g c 0 0; mkdir d old new; echo more >d/more; chmod 750 d; echo y >old/y; echo n >new/n
	mkdir both; mknod both/base c 0 0; ln f new/same; ln -s ../f d/link; $(opaque old new)"
AFTER=$'/both\n/d\n/d/in\n/d/link\n/d/more\n/f\n/new\n/new/n\n/new/same\n/old\n/old/y'

scene() {
	empty || return 1
	inside box "$BEFORE" && disk box "$GUEST"
}

# seen NAME [COMMAND]: all that the container has besides what runs it, and what the command says.
seen() {
	inside "$1" "find / -xdev ! -path '/bin*' ! -path '/etc*' ! -path / | sort; ${2-}" | grep -v '^/\(dev\|proc\|sys\|run\|tmp\)$'
}

is_settled() {
	is_equal "$(seen box 'cat /f /d/in /new/same; stat -c "%a %u %h" /d /f')" "$AFTER"$'\ntwo\nin\ntwo\n750 0 2\n644 0 2' || return 1
	[ ! -e "$S/box/vm-disk" ] || {
		echo "the disk is still there"
		return 1
	}
}

@test "vm kept: the next start has what the guest did" {
	scene
	is_settled
	# And once more, over that.
	disk box "mknod d c 0 0; echo three >f; mkdir old; echo z >old/z"
	is_equal "$(seen box)" $'/both\n/f\n/new\n/new/n\n/new/same\n/old\n/old/y\n/old/z'
	is_equal "$(inside box 'cat /f /new/same')" $'three\ntwo'
}

@test "vm kept: an empty disk changes nothing" {
	inside box "$BEFORE"
	disk box "chown $(inside box 'stat -c %u:%g /') ."
	before=$(cat "$S/box/manifest")
	run_kennel diff -P "$S" box
	is_status 0
	has /d/in
	[ ! -e "$S/box/vm-disk" ]
	is_equal "$(cat "$S/box/manifest")" "$before"
	# One that no guest came to write on, of one that never ran.
	"$KENNEL" create -P "$S" new
	disk new 'echo never >never'
	"$KENNEL" run -q -P "$S" -k new --net none -- test ! -e /never
	[ ! -e "$S/new/vm-disk" ]
}

@test "vm kept: diff, commit, export, clone, snapshot and restore see it" {
	scene
	run_kennel diff -P "$S" box
	is_status 0
	has /new/n
	has /both/base
	lacks /g
	[ ! -e "$S/box/vm-disk" ]
	scene
	run_kennel export -P "$S" -o "$T/out.tar" box
	is_status 0
	tar tf "$T/out.tar" | grep -q 'new/n$'
	[ ! -e "$S/box/vm-disk" ]
	scene
	run_kennel clone -s -P "$S" box new
	is_status 0
	is_equal "$(seen new)" "$AFTER"
	# Changes over frozen ones.
	disk new 'mknod d c 0 0; echo three >f'
	is_equal "$(seen new)" $'/both\n/f\n/new\n/new/n\n/new/same\n/old\n/old/y'
	scene
	run_kennel snapshot -P "$S" box
	is_status 0
	inside box 'rm -r /new'
	disk box 'echo lost >lost'
	run_kennel restore -P "$S" box snap0
	is_status 0
	is_settled
}

@test "vm kept: info says that changes wait, gc removes half a disk, and root leaves those of others alone" {
	scene
	echo half >"$S/box/.vm-disk-new"
	run_kennel info -P "$S" box
	has "not settled changes wait on the disk of its guest"
	run_kennel info --json -P "$S" box
	has '"guest-disk": true'
	run_kennel gc -P "$S"
	# those of runs that others have killed may be among them
	has leftover
	[ ! -e "$S/box/.vm-disk-new" ]
	if [ "$EUID" -eq 0 ]; then
		disk box "$GUEST"
		chown 1234 "$S" "$S/box"
		run_kennel diff -P "$S" box
		refused yes 'still on the disk of its guest'
		has 'the next command of user 1234'
		[ -e "$S/box/vm-disk" ]
		chown 0 "$S" "$S/box"
	fi
	run_kennel diff -P "$S" box
	is_status 0
	run_kennel info -P "$S" box
	lacks 'not settled'
}

@test "vm kept: removed with its disk, renamed with it" {
	scene
	run_kennel rename -P "$S" box other
	is_status 0
	is_equal "$(seen other)" "$AFTER"
	scene
	run_kennel rm -P "$S" box
	is_status 0
	[ ! -e "$S/box" ]
}

@test "vm kept: a disk that was not cleanly left" {
	# debugfs marks it as a kernel does that has it mounted.
	scene
	debugfs -w -R "ssv state 0" "$S/box/vm-disk" 2>/dev/null
	is_settled
}

@test "vm kept: nothing on a disk is believed" {
	inside box "$BEFORE"
	echo precious >"$T/precious"
	for evil in "rm -r ../upper; ln -s $T ../upper" "rm -r ../../0; ln -s $T ../../0" "rm -r ../../../delta; ln -s $T ../../../delta" \
		"rmdir ../upper; echo file >../upper"; do
		disk box "$evil"
		is_equal "$(inside box 'cat /f /under' 2>/dev/null)" one
		[ ! -e "$S/box/vm-disk" ]
	done
	disk box "ln -s $T f; ln -s $T d; echo x >g"
	is_equal "$(inside box 'cat /g; ls /d' 2>/dev/null)" x
	is_equal "$(cat "$T/precious")" precious
	# Damaged: nothing starts until somebody decides.
	head -c 1M /dev/urandom >"$S/box/vm-disk"
	run_kennel run -P "$S" -k box -- true
	is_status 125
	has "what the guest of \"box\" has changed"
	has "remove \"$S/box/vm-disk\""
	run_kennel diff -P "$S" box
	is_status 125
	rm "$S/box/vm-disk"
	inside box true
}

@test "vm kept: what an ordinary user can't have is said" {
	inside box "$BEFORE"
	disk box 'echo x >strange; echo y >fine'
	debugfs -w -R "set_inode_field /delta/0/upper/strange uid 3000000000" "$S/box/vm-disk" 2>/dev/null
	debugfs -w -R "set_inode_field /delta/0/upper/strange mode 0104755" "$S/box/vm-disk" 2>/dev/null
	printf 'cd /delta/0/upper\nmknod node c 1 3\n' | debugfs -w -f - "$S/box/vm-disk" >/dev/null 2>&1
	run_kennel run -P "$S" -k box -- sh -c 'cat /strange /fine; stat -c "%a %F" /strange /node'
	if [ "$EUID" -eq 0 ]; then
		is_equal "$stdout" $'x\ny\n4755 regular file\n0 character special file'
	else
		is_equal "$stdout" $'x\ny\n755 regular file'
		has '2 device nodes, owners or attributes of files from the guest of "box" are lost' "$stderr"
	fi
}

settled_or_not() {
	is_settled || return 1
	local left
	for left in "$S"/box/.[!.]* "$S"/box/delta/.[!.]*; do
		[ ! -e "$left" ] || {
			echo "left behind: $left"
			return 1
		}
	done
}

@test "vm kept: killed anywhere, nothing is lost" {
	POINT_FOLLOW=yes kill_points scene settled_or_not "$KENNEL" diff -P "$S" box
	[ "$POINTS" -gt 10 ]
}

@test "vm kept: a full disk, and one that fails" {
	fail_points "ENOSPC EIO" scene settled_or_not "$KENNEL" diff -P "$S" box
}

# guest NAME SCRIPT: the same as inside, with a kernel of its own.
guest() {
	"$KENNEL" run -q -P "$S" -k "$1" --isolate vm --net none --base "$T_BASE" -- sh -c "$2"
}

goes_on() {
	"$KENNEL" exec "$1" -- true
}

@test "vm kept: a container at user, at vm and back; a guest and a monitor that are killed" {
	need_guest
	inside box "$BEFORE"
	guest box 'cat /f; rm -r /d; echo two >/f; mkdir /new; chown 5:6 /new; echo synced >/synced; ls /under' >"$T/out" 2>&1 || :
	is_equal "$(head -1 "$T/out")" one
	has "/under: No such file" "$(<"$T/out")"
	is_equal "$(seen box 'cat /f /synced; stat -c %u:%g /new')" $'/both\n/both/base\n/f\n/g\n/new\n/old\n/old/x\n/synced\ntwo\nsynced\n5:6'
	# Killed in the middle, with everything that belongs to it: what was synced is there.
	background "$KENNEL" run -q -P "$S" -k box --isolate vm --net none -- sh -c 'cat /synced; echo three >/f; rm /g; sync; echo done; sleep 300'
	pid=$!
	wait_for 60 says "$T/out.1" "done"
	# What it has not even synced is told, and nothing is left of that.
	run_kennel exec box -- sh -c 'echo more >/unsynced; mknod /pipe p'
	run_kennel diff -P "$S" box
	is_status 0
	lacks " /g"
	has "A /unsynced"
	running=$stdout
	is_equal "$("$KENNEL" diff "$("$KENNEL" list -q)")" "$running"
	run_kennel commit -P "$S" --dry-run box
	refused yes "is running"
	run_kennel export -P "$S" -o "$T/out.tar" box
	is_status 0
	is_equal "$(tar xOf "$T/out.tar" ./f ./unsynced)" $'three\nmore'
	# Snapshots and clones have it as it is at one moment.
	"$KENNEL" snapshot -q -P "$S" --name live box
	"$KENNEL" clone -P "$S" box copy
	"$KENNEL" clone -s -P "$S" box shared
	"$KENNEL" export -P "$S" --what root -o "$T/root.tar" box
	is_equal "$(tar xOf "$T/root.tar" ./both/base ./unsynced)" $'base\nmore'
	is_equal "$("$KENNEL" list -kq -P "$S" | sort)" $'box\ncopy\nshared'
	# One that does not run needs no guest for that.
	truncate -s 1M "$T/drive"
	"$KENNEL" create -P "$S" --isolate vm --base "$T_BASE" --drive "$T/drive" --memory 100M new
	"$KENNEL" export -P "$S" --what root -o "$T/new.tar" new
	is_equal "$(tar xOf "$T/new.tar" ./under)" base
	for what in "diff -P $S box" "snapshot -P $S --name half box" "clone -P $S box half" "clone -P $S box half"; do
		# shellcheck disable=SC2086
		"$KENNEL" $what >/dev/null 3>&- &
		sleep 0.03
		kill -9 $! 2>/dev/null || :
		wait $! || :
	done
	wait_for 20 goes_on box
	"$KENNEL" snapshot -q -P "$S" --remove half box || :
	"$KENNEL" rm -fs -P "$S" half || :
	"$KENNEL" gc -P "$S"
	# shellcheck disable=SC2016
	wait_for 20 sh -c '[ -z "$(find "$0" -maxdepth 1 -name ".new-*")" ]' "$S"
	run_kennel exec box -- sh -c 'cat /f; sync'
	is_equal "$stdout" three
	kill -9 "$pid"
	wait "$pid" || :
	run_kennel diff -P "$S" box
	is_status 0
	is_equal "$stdout" "$running"
	is_equal "$("$KENNEL" diff -P "$S" copy)" "$running"
	is_equal "$("$KENNEL" diff -P "$S" shared)" "$running"
	is_equal "$(inside shared 'cat /f /unsynced')" $'three\nmore'
	inside box 'rm /unsynced'
	"$KENNEL" restore -P "$S" box live
	is_equal "$("$KENNEL" diff -P "$S" box)" "$running"
	is_equal "$(inside box 'cat /f; ls /g 2>/dev/null || echo gone')" $'three\ngone'
	[ ! -e "$S/box/vm-disk" ]
}

@test "vm kept: changes lie over images that the guest reads by itself" {
	need_guest
	need_commands mkfs.erofs
	mkdir -p "$T/layer/both"
	echo layer >"$T/layer/both/layer"
	echo layer >"$T/layer/under"
	mkfs.erofs -x1 "$T/base.erofs" "$T_BASE" >/dev/null 2>&1
	mkfs.erofs -x1 "$T/layer.erofs" "$T/layer" >/dev/null 2>&1
	# shellcheck disable=SC2016
	see='while read -r a b c d; do [ "$a" != root ] || echo "${d%%,upper*}"; done </proc/mounts; echo $(ls /both); cat /under 2>&1; '
	over() {
		"$KENNEL" run -q -P "$S" -k box --isolate "$1" --net none --base "$T/base.erofs" --layer "$T/layer.erofs" -- sh -c "$2"
	}
	is_equal "$(over vm "$see"'echo new >/under; rm /both/base; chown 5:6 /under')" \
		$'rw,relatime,lowerdir=/upper-00:/layer-15:/layer-14:/below\nbase layer\nlayer'
	is_equal "$(over user 'cat /under; stat -c %u:%g /under; ls /both')" $'new\n5:6\nlayer'
	# Frozen ones lie below those of later.
	"$KENNEL" snapshot -q -P "$S" box
	is_equal "$(over vm "$see"'stat -c %u:%g /under; rm -r /both; mkdir /both; echo own >/both/own')" \
		$'rw,relatime,lowerdir=/upper-00:/upper-01:/layer-15:/layer-14:/below\nlayer\nnew\n5:6'
	# One that was deleted and made anew would let the image's names through.
	is_equal "$(over vm "$see")" $'rw,relatime,lowerdir=/tree:/below\nown\nnew'
	"$KENNEL" rm -fs --promote -P "$S" box
	# In a file: its own changes are the guest's, marks and all.
	cd "$T"
	boxed() {
		"$KENNEL" run -q -f box.img --isolate vm --net none --base "$T/base.erofs" --layer "$T/layer.erofs" -- sh -c "$1"
	}
	boxed 'rm -r /both; mkdir /both; echo own >/both/own; echo new >/under'
	is_equal "$(boxed "$see")" $'rw,relatime,lowerdir=/upper-00:/layer-15:/layer-14:/below\nown\nnew'
}

@test "vm kept: a file is the disk itself, whichever level comes first" {
	need_guest
	cd "$T"
	boxed() {
		"$KENNEL" run -q -f box.img --isolate "$1" --net none --base "$T_BASE" -- sh -c "$2"
	}
	boxed vm 'echo one >/f; rm /under; mkdir /new; chown 5:6 /new'
	is_equal "$(boxed user 'cat /f; stat -c %u:%g /new; ls /under 2>/dev/null || echo gone; echo two >>/f')" $'one\n5:6\ngone'
	# What a start that was killed while it put the file in order has left is of no use to anybody.
	mkdir -p .box.img.kennel/root/delta
	is_equal "$(boxed user 'cat /f')" $'one\ntwo'
	# Whoever does that, this machine's kernel sees no file that somebody else may have made: there is no loop device for it.
	[ "$EUID" -ne 0 ] || boxed() {
		unshare -m sh -c 'mount --bind /dev/null /dev/loop-control; exec "$@"' sh \
			"$KENNEL" run -q -f box.img --isolate "$1" --net none --base "$T_BASE" -- sh -c "$2"
	}
	is_equal "$(boxed vm 'cat /f; stat -c %u:%g /new; echo three >>/f')" $'one\ntwo\n5:6'
	first=$(stat -c %i box.img)
	# It was arranged for a guest: neither a copy nor anything beside it now.
	is_equal "$(boxed vm 'cat /f')" $'one\ntwo\nthree'
	is_equal "$(stat -c %i box.img)" "$first"
	for left in .[!.]*; do
		[ ! -e "$left" ]
	done
	run_kennel diff box.img
	is_status 0
	is_equal "$stdout" $'A /f\nA /new\nD /under'
}
