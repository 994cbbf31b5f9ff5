#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# --share and --mount: the real thing, on purpose.

load lib

setup() {
	need_sandbox
	kennel_setup
	mkdir -p "$T/real/sub"
	echo outside >"$T/real/file"
	echo single >"$T/single"
}

@test "share: changes stay, with the owners that were set inside, at every level" {
	need_root "isolation fs and ns"
	local level
	for level in user ns fs; do
		run_kennel run --isolate "$level" --share "$T/real" -- sh -c 'cd "$0"; cat file; echo inside >new; chown 33:1003 new; chmod 640 new; mkdir -p d; rm -f new2; ln new new2' "$T/real"
		is_status 0
		is_equal "$stdout" outside
		is_equal "$(cat "$T/real/new") $(stat -c '%u:%g %a %h' "$T/real/new")" "inside 33:1003 640 2"
		rm -r "$T/real/new" "$T/real/d"
	done
}

@test "share: only what is shared stays" {
	run_kennel run --net none --share "$T/real" -- sh -c 'echo x >"$0/real/file"; echo x >"$0/single"; echo x >"$0/beside"' "$T"
	is_status 0
	is_equal "$(cat "$T/real/file" "$T/single")" $'x\nsingle'
	[ ! -e "$T/beside" ]
}

@test "share: :ro can't be changed, nor made writable again" {
	local level
	for level in $(levels user ns); do
		run_kennel run --net none --isolate "$level" --share "$T/real:ro" -- sh -c 'cd "$0"; cat file; echo x >file; touch new; mount -o remount,rw "$0"; mount -o remount,rw,bind "$0"; echo y >file; chmod 777 .; rm file' "$T/real"
		is_equal "$stdout" outside
		has "Read-only file system" "$stderr"
		is_equal "$(cat "$T/real/file")" outside
		is_equal "$(ls "$T/real")" $'file\nsub'
	done
}

@test "share: :ro of a file shows that one alone, and what comes in its place outside" {
	background "$KENNEL" run --net none --mount "$T/real/file:/mnt/file:ro" -- sh -c 'cat /mnt/file; ls /mnt; mount -o remount,rw /mnt/file; mount -o remount,rw,bind /mnt/file; echo x >/mnt/file; until [ -e /run/go ]; do sleep 0.05; done'
	wait_for 10 says "$T/out.$LIB_STARTED" outside
	wait_for 10 says "$T/err.$LIB_STARTED" "cannot create"
	grep -qx file "$T/out.$LIB_STARTED"
	is_equal "$(cat "$T/real/file")" outside
	kill -TERM $!
}

@test "share: a single file, and one that is written in place" {
	run_kennel run --net none --share "$T/single" --share "$T/real/file:ro" -- sh -c 'cat "$0/single" "$0/real/file"; echo more >>"$0/single"; echo x >"$0/real/file"; echo x >"$0/real/new"' "$T"
	is_equal "$stdout" $'single\noutside'
	has "Read-only file system" "$stderr"
	is_equal "$(cat "$T/single")" $'single\nmore'
	is_equal "$(ls "$T/real")" $'file\nsub'
}

@test "share: what is changed outside is seen inside at once" {
	background "$KENNEL" run --net none --share "$T/real" -- sh -c 'echo up; until [ -e "$0/flag" ]; do sleep 0.05; done; cat "$0/flag"' "$T/real"
	wait_for 10 says "$T/out.$LIB_STARTED" up
	echo seen >"$T/real/flag.new"
	mv "$T/real/flag.new" "$T/real/flag"
	wait_for 5 says "$T/out.$LIB_STARTED" seen
}

@test "share: mounts below come with it, those of later do not" {
	make_loop_fs ext4 8M "$T/real/sub"
	echo below >"$T/real/sub/file"
	run_kennel run --net none --share "$T/real" -- sh -c 'cat "$0/sub/file"; echo x >"$0/sub/new"; stat -fc %T "$0/sub"' "$T/real"
	is_status 0
	is_equal "$stdout" $'below\next2/ext3'
	is_equal "$(cat "$T/real/sub/new")" x
	run_kennel run --net none --share "$T/real:ro" -- sh -c 'echo x >"$0/sub/ro"' "$T/real"
	is_status 2
	has "Read-only file system" "$stderr"
	[ ! -e "$T/real/sub/ro" ]
}

@test "share: a mount made inside below it does not reach the machine" {
	run_kennel run --net none --share "$T/real" -- sh -c 'mount -t tmpfs none "$0/sub" && touch "$0/sub/hidden" && ls "$0/sub"' "$T/real"
	is_status 0
	is_equal "$stdout" hidden
	is_equal "$(ls -A "$T/real/sub")" ""
}

@test "share: a set-user-ID file or device made inside is nothing outside for others" {
	run_kennel run --net none --share "$T/real" -- sh -c 'cp /usr/bin/id "$0/id"; chmod 4755 "$0/id"; mknod "$0/null" c 1 3' "$T/real"
	[ ! -e "$T/real/null" ]
	has "not permitted" "$stderr"
}

@test "share: relative paths, and paths with colons and backslashes" {
	mkdir "$T/a:b" "$T/c\\d"
	echo colon >"$T/a:b/file"
	echo backslash >"$T/c\\d/file"
	cd "$T"
	run_kennel run --net none --share real --share 'a\:b:ro' --share 'c\d' -- sh -c 'cat real/file "a:b/file" "c\\d/file"'
	is_equal "$stdout" $'outside\ncolon\nbackslash'
	cd real
	run_kennel run --net none --share ../single -- sh -c 'echo x >>../single'
	is_status 0
	is_equal "$(cat "$T/single")" $'single\nx'
}

@test "mount: elsewhere, where something is, is nothing, and is a file" {
	run_kennel run --net none --mount "$T/real:/mnt" --mount "$T/real:/new/deep/place" --mount "$T/single:/etc/issue" --mount "$T/single:/etc/new-file:ro" --mount "$T/real:/tmp/there" -- \
		sh -c 'cat /mnt/file /new/deep/place/file /etc/issue /etc/new-file /tmp/there/file; echo x >/mnt/made; echo y >/etc/new-file; ls /tmp'
	is_equal "$stdout" $'outside\noutside\nsingle\nsingle\noutside\nthere'
	has "Read-only file system" "$stderr"
	is_equal "$(cat "$T/real/made" "$T/single")" $'x\nsingle'
	[ ! -e /new ]
	[ ! -e /etc/new-file ]
}

@test "mount: one below another; two at one place are refused" {
	mkdir "$T/second"
	echo second >"$T/second/file"
	run_kennel run --net none --mount "$T/real:/mnt" --mount "$T/second:/mnt/sub" -- cat /mnt/file /mnt/sub/file
	is_equal "$stdout" $'outside\nsecond'
	run_kennel run --net none --mount "$T/real:/mnt" --mount "$T/second:/mnt" -- cat /mnt/file
	is_status 125
	has '"/mnt"' "$stderr"
}

@test "mount: into a base, where a link in it stands in the way it is refused" {
	mkdir -p "$T/base/etc" "$T/base/real"
	ln -s /etc "$T/base/link"
	ln -s "$T" "$T/base/out"
	ln -s etc "$T/base/relative"
	local target
	for target in /link /link/sub /out/real /relative/sub; do
		run_kennel run --net none --base "$T/base" --mount "$T/real:$target" -- true
		refused yes "$target"
		has "symbolic link" "$stderr"
	done
	is_equal "$(ls "$T/base/etc")" ""
	is_equal "$(ls "$T")" $'base\nreal\nsingle'
}

@test "mount: a directory onto a file and a file onto a directory are refused" {
	run_kennel run --net none --mount "$T/real:/etc/passwd" -- true
	is_status 125
	has "/etc/passwd" "$stderr"
	run_kennel run --net none --mount "$T/single:/mnt" -- true
	is_status 125
	has "/mnt" "$stderr"
}

@test "share: what is not there, not allowed, or no value" {
	local value
	run_kennel run --share "$T/nothing" -- true
	is_status 125
	has "$T/nothing" "$stderr"
	run_kennel run --mount "$T/real" -- true
	refused yes "$T/real"
	run_kennel run --mount "$T/real:/" -- true
	refused yes "/"
	run_kennel run --mount "$T/real:relative" -- true
	refused yes "relative"
	run_kennel run --share "$T/real:xx" -- true
	is_status 125
	run_kennel run --share "" -- true
	is_status 125
	run_kennel run --share "$T/real/../single" -- true
	is_status 125
	has ".." "$stderr"
}

@test "share: a source that is a link is what it leads to outside" {
	ln -s real "$T/to-real"
	run_kennel run --net none --mount "$T/to-real:/mnt" -- cat /mnt/file
	is_status 0
	is_equal "$stdout" outside
}

@test "share: many of them" {
	local options=() n
	for n in $(seq 60); do
		mkdir "$T/s$n"
		echo "$n" >"$T/s$n/file"
		options+=(--mount "$T/s$n:/new/$n")
	done
	run_kennel run --net none "${options[@]}" -- sh -c 'cat /new/*/file | sort -n | tail -n 1; ls /new | wc -l'
	is_status 0
	is_equal "$stdout" $'60\n60'
}

@test "share: sockets work through it" {
	background python3 -c 'import socket, sys
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); print("up", flush=True)
c = s.accept()[0]; c.sendall(b"from outside\n"); c.close()' "$T/real/socket"
	wait_for 5 says "$T/out.$LIB_STARTED" up
	run_kennel run --net none --share "$T/real" -- python3 -c 'import socket, sys
c = socket.socket(socket.AF_UNIX); c.connect(sys.argv[1]); print(c.recv(100).decode(), end="")' "$T/real/socket"
	is_equal "$stdout" "from outside"
}

@test "share: one of the machine's temporary directories" {
	local dir
	dir=$(mktemp -d /tmp/kennel-share-XXXXXX)
	at_end rm -rf "$dir"
	echo there >"$dir/file"
	run_kennel run --net none --share "$dir" -- sh -c 'cat "$0/file"; echo back >"$0/new"; ls /tmp' "$dir"
	is_status 0
	is_equal "$stdout" there$'\n'"${dir##*/}"
	is_equal "$(cat "$dir/new")" back
}

@test "share: nothing is unmounted, moved or left on the machine's side" {
	local before
	before=$(cat /proc/self/mountinfo)
	run_kennel run --net none --share "$T/real" --mount "$T/single:/etc/issue" -- true
	is_status 0
	is_equal "$(cat /proc/self/mountinfo)" "$before"
	run_kennel run --net none --share "$T/real" --base /nowhere -- true
	is_status 125
	is_equal "$(cat /proc/self/mountinfo)" "$before"
}
