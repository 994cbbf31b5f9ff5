#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# Containers in one file: made, opened again, moved, configured, grown, killed; the same file for root and for an ordinary user.

load lib

setup() {
	need_sandbox
	need_commands mke2fs e2fsck
	[ "$EUID" -ne 0 ] || [ -e /dev/loop-control ] || skip "no loop devices here"
	kennel_setup
	export XDG_DATA_HOME=$T/data
	F=$T/box.img
}

run_in() {
	run_kennel run -f "$F" --net none "$@"
}

# Nothing but the file is left, and it is whole.
is_whole() {
	local left
	left=$(find "$T" -maxdepth 1 -name '.*kennel*')
	[ -z "$left" ] || { echo "left: $left"; return 1; }
	e2fsck -fn "$F" >"$T/fsck" 2>&1 || { cat "$T/fsck"; return 1; }
}

@test "file: it is made, keeps changes and deletions, and comes back the same" {
	run_in --size 64M -- sh -c 'echo hello >/srv/new; rm /etc/hostname /etc/os-release; mkdir -m 1777 /srv/d; ln -s x /srv/l
		echo a >/srv/a; ln /srv/a /srv/b; touch -d "2001-02-03 04:05:06.123456789" /srv/new'
	is_status 0
	is_equal "$stderr" ""
	is_whole
	[ "$(du -k "$F" | cut -f1)" -lt 20000 ]
	run_in -- sh -c 'cat /srv/new; ls /etc/os-release; stat -c "%a" /srv/d; readlink /srv/l; stat -c %h /srv/a; stat -c %y /srv/new'
	has "hello"
	has "'/etc/os-release': No such file"
	has "1777"
	has "2001-02-03 04:05:06.123456789"
	is_equal "$(sed -n 4p <<<"$stdout")" 2
	is_whole
}

@test "file: owners, set-user-id bits and sparse files come back" {
	[ "$EUID" -eq 0 ] || grep -q "^$(id -un):" /etc/subuid || skip "needs root: more than one id"
	run_in --size 64M -- sh -c 'echo x >/srv/x; chown 33:44 /srv/x; chmod 4751 /srv/x; truncate -s 1G /srv/hole; printf y >>/srv/hole'
	is_status 0
	run_in -- sh -c 'stat -c "%u:%g %a" /srv/x; stat -c %s /srv/hole; tail -c1 /srv/hole; [ $(stat -c %b /srv/hole) -lt 1000 ]'
	is_status 0
	has "33:44 4751"
	has "1073741825"
	is_whole
}

@test "file: diff and export read it, and nothing of it stays open" {
	run_kennel diff "$F"
	is_status 125
	run_in --size 64M -- sh -c 'echo hello >/new; rm -r /usr/share/doc'
	is_status 0
	run_kennel diff "$F"
	is_status 0
	has "A /new"
	has "D /usr/share/doc"
	(cd "$T" && "$KENNEL" diff box.img /new) | grep -qx 'A /new'
	run_kennel export -o "$T/out.tar" "$F"
	is_status 0
	tar -tf "$T/out.tar" >"$T/names"
	grep -qx './new' "$T/names"
	grep -qx './usr/share/.wh.doc' "$T/names"
	is_whole
	run_kennel diff "$T/none.img"
	is_status 125
}

@test "file: only one at a time, and a copy is another one" {
	run_in --size 64M -- true
	background "$KENNEL" run -f "$F" --net none -- sh -c 'echo up; sleep 300'
	wait_for 20 says "$T/out.$LIB_STARTED" up
	run_in -- true
	refused yes "in use by another kennel"
	run_kennel config "$F"
	refused yes "in use by another kennel"
	kill -TERM $!
	wait $! || :
	cp --sparse=always "$F" "$T/copy.img"
	run_kennel run -f "$T/copy.img" --net none -- true
	is_status 0
	is_whole
}

@test "file: what is no such file is refused and not touched" {
	local before
	echo "some text" >"$F"
	before=$(stat -c %Y.%Z "$F")
	run_in -- true
	refused yes "holds no file system"
	is_equal "$(cat "$F")" "some text"
	is_equal "$(stat -c %Y.%Z "$F")" "$before"
	rm "$F"
	mkdir "$F"
	run_in -- true
	refused yes "is a directory"
	rmdir "$F"
	mkfifo "$F"
	run_in -- true
	refused yes "no regular file"
	rm "$F"
	run_kennel config "$F"
	refused yes "there is no file"
	run_kennel run --format ext4 -- true
	is_status 125
	run_in --format fat -- true
	refused yes "not a format"
	run_kennel run -f "$T/nowhere/x" -- true
	is_status 125
	ln -s "$T/none" "$T/dangling"
	run_kennel run -f "$T/dangling" -- true
	is_status 125
}

@test "file: a file or directory that may not be written" {
	[ "$EUID" -ne 0 ] || skip "needs root: it may write everything"
	mkdir "$T/closed"
	chmod 0555 "$T/closed"
	run_kennel run -f "$T/closed/x.img" --net none -- true
	refused yes "make the working copy"
	run_in --size 64M -- true
	chmod 0400 "$F"
	run_in -- true
	refused yes "to write it"
	chmod 0600 "$F"
}

@test "file: a link to it is followed" {
	mkdir "$T/real"
	run_kennel run -f "$T/real/x.img" --size 64M --net none -- true
	ln -s real/x.img "$T/link"
	run_kennel run -f "$T/link" --net none -- sh -c 'echo there >/srv/there'
	is_status 0
	[ -L "$T/link" ]
	run_kennel run -f "$T/real/x.img" --net none -- cat /srv/there
	is_equal "$stdout" there
}

@test "file: configuration: shown, set, honoured" {
	run_in --size 64M -e GREETING=hello --hostname inside -- true
	run_kennel config "$F"
	has "hostname = inside"
	lacks "size ="
	run_kennel set "$F" --hostname other --env MORE=1
	is_status 0
	run_kennel run -f "$F" -- sh -c 'hostname; echo $GREETING $MORE'
	is_equal "$stdout" $'other\nhello 1'
	(cd "$T" && "$KENNEL" config box.img | grep -q "hostname = other")
	run_kennel info "$F"
	is_status 0
	has "$F"
	run_kennel rm "$F"
	refused yes "one file"
	run_kennel rename "$F" x
	refused yes "one file"
	is_whole
}

@test "file: it grows and never shrinks" {
	run_in --size 64M -- sh -c 'echo kept >/srv/kept'
	run_kennel set "$F" --size 256M
	is_status 0
	is_equal "$(stat -c %s "$F")" $((256 << 20))
	is_whole
	run_kennel set "$F" --size 64M
	refused yes "only grows"
	run_in -- cat /srv/kept
	is_equal "$stdout" kept
	is_whole
}

@test "file: no room in it is no room inside, and nothing is lost" {
	run_in --size 24M -- sh -c 'echo first >/srv/first'
	is_status 0
	run_in -- sh -c 'head -c 60M /dev/urandom >/srv/big'
	if [ "$EUID" -eq 0 ]; then
		is_status 1
		has "No space left"
	else
		# Without root it shows at the end, and the changes wait beside the file.
		refused yes "do not fit"
		[ -d "$T/.box.img.kennel" ]
		run_kennel set "$F" --size 256M
		is_status 0
		run_in -- stat -c %s /srv/big
		is_equal "$stdout" $((60 << 20))
	fi
	run_in -- cat /srv/first
	is_equal "$stdout" first
	is_whole
}

@test "file: a manifest of another base is noticed, --force opens it all the same" {
	need_commands debugfs
	run_in --size 64M -- sh -c 'echo kept >/srv/kept'
	debugfs -R "dump /manifest $T/manifest" "$F" 2>/dev/null
	sed 's/^\(base-id.\).*/\1system-0000000000000000/' "$T/manifest" >"$T/manifest.new"
	printf 'rm /manifest\nwrite %s manifest\n' "$T/manifest.new" | debugfs -w -f - "$F" >/dev/null 2>&1
	run_in -- cat /srv/kept
	refused yes "another base"
	has "--force" "$stderr"
	if [ -e /var/lib/dpkg/status ]; then # another machine with the same packages, and with others
		sed 's/^\(base-id.system-\).\{16\}/\10000000000000000/' "$T/manifest" >"$T/manifest.same"
		sed 's/^\(base-id.system-\).*/\10000000000000000-0000000000000000/' "$T/manifest" >"$T/manifest.new"
		has "base-id" "$(diff "$T/manifest.same" "$T/manifest")"
		cp --sparse=always "$F" "$T/moved.img"
		printf 'rm /manifest\nwrite %s manifest\n' "$T/manifest.same" | debugfs -w -f - "$T/moved.img" >/dev/null 2>&1
		run_kennel run -f "$T/moved.img" --net none -- cat /srv/kept
		is_status 0
		is_equal "$stderr" ""
		printf 'rm /manifest\nwrite %s manifest\n' "$T/manifest.new" | debugfs -w -f - "$F" >/dev/null 2>&1
		run_in -- cat /srv/kept
		refused yes "a machine with other packages"
	fi
	run_in --force -- cat /srv/kept
	is_status 0
	is_equal "$stdout" kept
	# From then on it is this one.
	run_in -- cat /srv/kept
	is_status 0
}

@test "file: killed with its changes, the next start goes on with them" {
	run_in --size 64M -- true
	background "$KENNEL" run -f "$F" --net none -- sh -c 'echo synced >/srv/synced; sync /srv/synced; echo up; sleep 300'
	wait_for 20 says "$T/out.$LIB_STARTED" up
	kill -KILL $!
	wait $! || :
	wait_for 5 no_leaks
	run_in -- cat /srv/synced
	is_status 0
	is_equal "$stdout" synced
	is_whole
}

@test "file: a command that is not there leaves no file behind" {
	run_in --size 64M -- no-such-command
	is_status 127
	[ ! -e "$F" ]
	is_equal "$(find "$T" -maxdepth 1 -name '.*kennel*')" ""
}

# What this test made kennel trust; what it trusts on this machine otherwise stays.
forget_trusted() {
	[ "$EUID" -ne 0 ] || grep -rlZF "$T" /var/lib/kennel/.trusted 2>/dev/null | xargs -0r rm -f
}

@test "file: what would open this machine is asked for once, and only here" {
	at_end forget_trusted
	mkdir "$T/shared"
	run_in --size 64M -s "$T/shared" -- touch "$T/shared/mine"
	is_status 0
	run_in -- touch "$T/shared/again"
	is_status 0
	# Another user's store knows nothing of it.
	XDG_DATA_HOME=$T/elsewhere
	forget_trusted
	run_in -- true
	refused yes "asks for things of this machine"
	has "share = $T/shared" "$stderr"
	run_kennel set "$F" --hostname x
	is_status 0
	run_in -- true
	refused yes "asks for things of this machine"
	run_in --trust -- true
	is_status 0
	run_in -- true
	is_status 0
	forget_trusted
}

@test "file: the same file for root and an ordinary user" {
	need_root "two users"
	id "$KENNEL_TEST_USER" >/dev/null 2>&1 || skip "needs root: and the user of the tests"
	as_user test -w /dev/fuse || skip "no fuse device that this user may open"
	mkdir "$T/u"
	chown "$KENNEL_TEST_USER" "$T/u"
	F=$T/u/box.img
	run_in --size 64M -- sh -c 'echo root >/srv/root; chown 33:44 /srv/root; rm /etc/os-release'
	is_status 0
	chown "$KENNEL_TEST_USER:$(id -gn "$KENNEL_TEST_USER")" "$F"
	is_equal "$(as_user "$KENNEL" run -f "$F" --net none -- sh -c 'cat /srv/root; stat -c %u:%g /srv/root; ls /etc/os-release 2>/dev/null; echo user >/srv/user; chown 7:8 /srv/user')" $'root\n33:44'
	run_in -- sh -c 'cat /srv/user; stat -c %u:%g /srv/user /srv/root; ls /etc/os-release 2>/dev/null'
	is_equal "$stdout" $'user\n7:8\n33:44'
	e2fsck -fn "$F"
}

@test "file: btrfs" {
	need_root "mounting one"
	need_commands mkfs.btrfs
	run_in --format btrfs --size 256M -- sh -c 'echo b >/srv/b; df -T /srv | grep -q overlay; chown 33:44 /srv/b'
	is_status 0
	run_kennel set "$F" --size 512M
	is_status 0
	run_in -- stat -c %u:%g /srv/b
	is_equal "$stdout" 33:44
}

@test "file: mounted by hand it shows its changes, and is refused meanwhile" {
	need_root "mounting it"
	run_in --size 64M -- sh -c 'echo x >/srv/x'
	mkdir "$T/mnt"
	mount -o loop "$F" "$T/mnt"
	at_end umount "$T/mnt"
	is_equal "$(cat "$T/mnt/delta/0/upper/srv/x")" x
	run_in -- true
	refused yes "is in use as /dev/loop"
}

# stops STEP: for the tests below. All of its processes are killed, in each STEPth call that changes something; an ordinary user's are many
# more, and slower.
stops() {
	POINT_STEP=$1
	[ "$EUID" -eq 0 ] || POINT_STEP=$2
	POINT_FOLLOW=yes
	SCENE=(F)
	: "${KENNEL_TEST_POINTS:=10}"
}

nothing_there() {
	rm -f "$F"
}

# Looked at only: a file that is changed behind kennel's back is not what the working copy beside it was made of.
none_or_whole() {
	[ ! -e "$F" ] || wait_for 5 unused || return 1
	[ ! -e "$F" ] || e2fsck -fn "$F" >/dev/null 2>&1 || return 1
	run_in --size 32M -- true
	is_status 0 && is_whole || return 1
	# who would have removed its entry was killed, too
	"$KENNEL" gc -q
}

# Made once for each scene, and copied from then on; no working copy is beside it.
kept_there() {
	[ -e "$F.kept" ] || {
		run_in --size 32M -- sh -c 'echo kept >/srv/kept'
		is_status 0 && mv "$F" "$F.kept" || return 1
	}
	cp --sparse=always "$F.kept" "$F"
}

has_kept() {
	wait_for 5 unused || return 1
	run_in -- cat /srv/kept
	is_status 0 && is_equal "$stdout" kept && is_whole || return 1
	"$KENNEL" gc -q
}

has_kept_as_said() {
	local said=$status
	[ "$said" -eq 0 ] || [[ -n $(<"$POINT_OUT") ]] || return 1
	wait_for 5 unused || return 1
	run_in -- sh -c 'cat /srv/kept; cat /srv/second'
	[ "$said" -ne 0 ] || is_equal "$stdout" $'kept\nx' || return 1
	[ "${stdout%%$'\n'*}" = kept ] && is_whole || return 1
	"$KENNEL" gc -q
}

grown_or_not() {
	local size
	size=$(stat -c %s "$F")
	[ "$size" -eq $((32 << 20)) ] || [ "$size" -eq $((64 << 20)) ] || return 1
	has_kept
}

unused() {
	flock -n "$F" true
}

@test "file: killed while it is made" {
	need_commands cc
	stops 17 90
	kill_points nothing_there none_or_whole "$KENNEL" run -f "$F" --size 32M --net none -- true
}

@test "file: killed while it grows" {
	need_commands cc
	stops 16 90
	kill_points kept_there grown_or_not "$KENNEL" set "$F" --size 64M
}

@test "file: killed while it is used" {
	need_commands cc
	stops 5 110
	kill_points kept_there has_kept "$KENNEL" run -f "$F" --net none -- sh -c 'echo x >/srv/second'
}

@test "file: used, on a disk that is full or fails" {
	need_commands cc
	stops 7 130
	fail_points "ENOSPC EIO" kept_there has_kept_as_said "$KENNEL" run -f "$F" --net none -- sh -c 'echo x >/srv/second'
}

# logged TEXT: the console has shown it.
logged() {
	"$KENNEL" log "$F" | grep -q "$1"
}

@test "file: in the background: it is in use, changes are in it once it has ended, at vm as well" {
	local level levels=user id
	! { [ "$(uname -m)" = x86_64 ] && command -v linux.uml >/dev/null; } || levels="user vm"
	for level in $levels; do
		rm -f "$F"
		run_in -q --size 64M --isolate "$level" -- sh -c 'echo one >/srv/f'
		is_status 0
		run_kennel start "$F" -- sh -c 'echo on the console; exec sleep 600'
		is_status 0
		id=$stdout
		at_end sh -c '"$0" stop --kill "$1" 2>/dev/null || :' "$KENNEL" "$id"
		run_kennel exec box.img -- sh -c 'cat /srv/f; echo two >>/srv/f'
		is_equal "$stdout" one
		run_in -- true
		refused yes "in use by another kennel"
		wait_for 20 logged "on the console"
		has "on the console" "$("$KENNEL" log box.img; "$KENNEL" log "$id")"
		background "$KENNEL" log --follow "$F"
		wait_for 20 says "$T/out.$LIB_STARTED" "on the console"
		run_kennel stop "$F"
		is_status 0
		wait $! || false
		has "on the console" "$(cat "$T/out.$LIB_STARTED")"
		# it is beside the entry, and gone with it
		run_kennel log "$F"
		refused yes "nothing runs in"
		is_equal "$(find "${XDG_RUNTIME_DIR:-/run}/kennel" -name "$id*")" ""
		run_in -- cat /srv/f
		is_equal "$stdout" $'one\ntwo'
		is_whole
	done
	background "$KENNEL" run -f "$F" --net none -- sh -c 'echo up; exec sleep 600'
	wait_for 20 says "$T/out.$LIB_STARTED" up
	run_kennel log "$F"
	refused yes "no console log"
	run_kennel start "$T/none.img"
	refused yes "there is no file \"$T/none.img\""
	[ ! -e "$T/none.img" ]
}

@test "file: one that is too small for a file system, or nowhere, is told" {
	run_kennel run -f "$T/image" --size 4k -- true
	refused yes "too few for a file system"
	if [ "$EUID" -eq 0 ]; then
		run_kennel run -f "$T/image" --format btrfs --size 100M -- true
		refused yes "too few for a file system"
	fi
	run_kennel run -f "$T/none/image" -- true
	refused yes "its directory is not"
	[ ! -e "$T/image" ]
}
