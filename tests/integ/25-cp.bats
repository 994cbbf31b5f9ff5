#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
# "kennel cp": what is kept, what is refused and in which words, what is left after a failure. Attacks are in tests/attack/cp.bats.

load lib

setup() {
	need_sandbox
	need_commands setfattr getfattr python3
	kennel_setup
	ID=
}

teardown() {
	kennel_teardown
}

# start [OPTION]... -- SCRIPT: a sandbox in which SCRIPT has run and that goes on; sets ID and ROOT (its files, seen from here).
start() {
	local options=() n=$((LIB_STARTED + 1))
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	background "$KENNEL" run --net "${NET-none}" "${options[@]}" -- sh -c "$2"' && echo ready; exec sleep 300'
	wait_for 20 says "$T/out.$n" ready
	ID=$("$KENNEL" list --json | jq -r ".[] | select(.pid == $!) | .id")
	ROOT=/proc/$(fact init)/root
	[ -n "$ID" ]
}

# fact KEY: of the sandbox.
fact() {
	"$KENNEL" list --json | jq -r ".[] | select(.id == \"$ID\") | .$1"
}

cp_ok() {
	run_kennel cp "$@"
	is_status 0
	is_equal "" "$output"
}

facts() {
	stat -c '%a %u:%g %h %s %Y %F' "$1"
}

@test "cp: a file out keeps mode, owner as inside, time and user xattrs" {
	need_root "sets owners outside"
	start -- 'cd /root && echo text >f && chown 33:1003 f && chmod 0640 f && touch -d @1000000000 f && setfattr -n user.a -v b f'
	cp_ok "$ID:/root/f" "$T/f"
	is_equal "640 33:1003 1 5 1000000000 regular file" "$(facts "$T/f")"
	is_equal text "$(cat "$T/f")"
	is_equal b "$(getfattr --only-values -n user.a "$T/f")"
}

@test "cp: a file in keeps mode, owner by number, time and user xattrs" {
	need_root "sets owners outside"
	start -- true
	echo text >"$T/f"
	chown 33:1003 "$T/f"
	chmod 0640 "$T/f"
	setfattr -n user.a -v b "$T/f"
	touch -d @1000000000 "$T/f"
	cp_ok "$T/f" "$ID:/root/g"
	cp_ok "$ID:/root/g" "$T/back"
	is_equal "640 33:1003 1 5 1000000000 regular file" "$(facts "$T/back")"
	is_equal b "$(getfattr --only-values -n user.a "$T/back")"
	base=$(fact idmap)
	is_equal "$((${base%%:*} + 33)):$((${base%%:*} + 1003))" "$(stat -c %u:%g "$ROOT/root/g")"
}

@test "cp: an owner that does not exist inside becomes root" {
	need_root "sets owners outside"
	start -- true
	echo text >"$T/f"
	chown 4000000:4000001 "$T/f"
	cp_ok "$T/f" "$ID:/root/g"
	cp_ok "$ID:/root/g" "$T/back"
	is_equal "0:0" "$(stat -c %u:%g "$T/back")"
}

@test "cp: at ns and fs too" {
	need_root "isolation fs and ns"
	for level in ns fs; do
		[ $level = ns ] || NET=host
		start --isolate $level -- 'echo inside >/root/f; chown 33:33 /root/f'
		cp_ok "$ID:/root/f" "$T/$level"
		is_equal "33:33 inside" "$(stat -c %u:%g "$T/$level") $(cat "$T/$level")"
		cp_ok "$T/$level" "$ID:/usr/g"
		is_equal inside "$(cat "$ROOT/usr/g")"
		[ ! -e /usr/g ]
	done
}

@test "cp: no setuid, setgid, sticky file or file capability comes out" {
	start -- 'cd /root && mkdir d && cd d && cp /bin/true a && chmod 6755 a && touch b && chmod 1644 b && mkdir s && chmod 3777 s'
	cp_ok "$ID:/root/d" "$T/d"
	is_equal "755" "$(stat -c %a "$T/d/a")"
	is_equal "644" "$(stat -c %a "$T/d/b")"
	is_equal "1777" "$(stat -c %a "$T/d/s")"
	is_equal "" "$(getfattr -d -m - "$T/d/a" 2>/dev/null)"
}

@test "cp: a tree with links, hard links, holes, odd names and empty directories, there and back" {
	need_root "sets owners outside"
	start -- true
	mkdir -p "$T/t/a/b" "$T/t/empty"
	echo one >"$T/t/a/one"
	ln "$T/t/a/one" "$T/t/a/b/two"
	ln "$T/t/a/one" "$T/t/three"
	ln -s /nowhere "$T/t/dangling"
	ln -s a/one "$T/t/link"
	touch -h -d @1200000000 "$T/t/link"
	chown -h 5:6 "$T/t/link"
	: >"$T/t/new"$'\n'"line"
	: >"$T/t/-rf"
	: >"$T/t/"$'\xff\xfe'
	: >"$T/t/$(printf 'n%.0s' {1..255})"
	: >"$T/t/a:b"
	truncate -s 100M "$T/t/sparse"
	printf x | dd of="$T/t/sparse" bs=1 seek=50M conv=notrunc status=none
	chmod 0500 "$T/t/empty"
	cp_ok "$T/t" "$ID:/root"
	cp_ok "$ID:/root/t" "$T/u"
	diff <(cd "$T/t" && find . -printf '%p %y %m %U:%G %n %s %T@ %l\0' | sort -z | sed -z 's/^\(.* d [^ ]* [^ ]* [^ ]*\) [0-9]* /\1 - /') \
		<(cd "$T/u" && find . -printf '%p %y %m %U:%G %n %s %T@ %l\0' | sort -z | sed -z 's/^\(.* d [^ ]* [^ ]* [^ ]*\) [0-9]* /\1 - /')
	[ "$T/u/a/one" -ef "$T/u/a/b/two" ]
	[ "$T/u/a/one" -ef "$T/u/three" ]
	cmp "$T/t/sparse" "$T/u/sparse"
	[ "$(du -k "$T/u/sparse" | cut -f1)" -lt 1024 ]
}

@test "cp: the rules for names" {
	need_root "looks into the sandbox from outside"
	start -- 'mkdir -p /root/d/sub /root/dir && echo f >/root/d/f && ln -s dir /root/to-dir && echo x >/root/plain'
	mkdir "$T/here"
	cp_ok "$ID:/root/d" "$T/here"
	[ -f "$T/here/d/f" ]
	cp_ok "$ID:/root/d/." "$T/here"
	[ -f "$T/here/f" ]
	cp_ok "$ID:/root/d" "$T/new"
	[ -f "$T/new/f" ]
	cp_ok "$ID:/root/d/f" "$T/here/"
	cp_ok "$ID:root/d/f" "$T/relative"
	cd "$T"
	cp_ok "$ID:/root/d/f" a
	cp_ok a "$ID:/root/to-dir"
	is_equal f "$(cat "$ROOT/root/dir/a")"
	echo colon >a:b
	cp_ok ./a:b "$ID:/root/dir/"
	cp_ok "$T/a:b" "$ID:/root/dir/c"
	is_equal colon "$(cat "$ROOT/root/dir/a:b")"
	# a second time into the same place: entries are replaced, others stay
	echo own >"$T/here/d/own"
	echo old >"$T/here/d/f"
	cp_ok "$ID:/root/d" "$T/here"
	is_equal "f own" "$(cat "$T/here/d/f") $(cat "$T/here/d/own")"
	# a link that is the target is replaced, not written through
	echo untouched >"$T/victim"
	ln -s victim "$T/pointer"
	cp_ok "$ID:/root/plain" "$T/pointer"
	is_equal "untouched x" "$(cat "$T/victim") $(cat "$T/pointer")"
	# a link that is the source stays a link, unless a "/" asks for what is behind it
	cp_ok "$ID:/root/to-dir" "$T/l"
	is_equal dir "$(readlink "$T/l")"
	cp_ok "$ID:/root/to-dir/" "$T/l2"
	[ -f "$T/l2/a" ]
}

@test "cp: refusals, each in one sentence" {
	start -- 'mkdir /root/d && echo f >/root/f && mkfifo /root/pipe'
	mkdir "$T/w"
	cd "$T/w"
	mkdir dir
	echo f >f
	run_kennel cp f dir
	refused yes "neither is in a sandbox"
	run_kennel cp "$ID:/root/f" "$ID:/root/g"
	refused yes "both are in a sandbox"
	run_kennel cp "$ID:" f
	refused yes "no path after its colon"
	run_kennel cp ":/f" f
	refused yes "no id before its colon"
	run_kennel cp "$ID:/root/f" ""
	refused no "an empty path"
	run_kennel cp zzz:/f f
	refused yes 'no sandbox "zzz" is running'
	run_kennel cp "$ID:/no/such" f
	refused no 'find "/no/such": No such file or directory'
	run_kennel cp "$ID:/root/f" "$T/no/such/g"
	refused yes "there is no directory \"$T/no/such\""
	run_kennel cp "$ID:/root/f" "$T/none/"
	refused yes "there is no directory \"$T/none/\""
	run_kennel cp f "$ID:/no/such/g"
	refused yes 'there is no directory "/no/such"'
	run_kennel cp "$ID:/root/f/" f
	refused no "Not a directory"
	mkdir dir/f
	run_kennel cp "$ID:/root/f" dir
	refused yes "is a directory"
	run_kennel cp "$ID:/root/d" f
	refused yes "is there and is not a directory"
	run_kennel cp "$ID:/root/pipe" g
	refused yes "is not a file, a directory or a link"
	run_kennel cp "$ID:/proc/version" g
	refused yes "is in a file system of the kernel"
	run_kennel cp f "$ID:/proc/"
	refused no "leads into a file system of the kernel"
	run_kennel cp "$ID:/dev/null" g
	refused yes "is not a file, a directory or a link"
	is_equal "dir f" "$(find . -mindepth 1 -maxdepth 1 -printf "%f\n" | sort | paste -sd " ")"
}

@test "cp: sockets, devices and pipes are left out and told, the rest is there" {
	start -- 'mkdir /root/d && cd /root/d && mkfifo pipe && echo 1 >a && mkdir sub && echo 2 >sub/b &&
		python3 -c "import socket; socket.socket(socket.AF_UNIX).bind(\"sub/sock\")"'
	run_kennel cp "$ID:/root/d" "$T/d"
	refused yes "all but 2 sockets, devices, pipes"
	is_equal "12" "$(cat "$T/d/a" "$T/d/sub/b" | tr -d '\n')"
	is_equal 4 "$(find "$T/d" | wc -l)"
}

@test "cp: a full delta leaves nothing half made" {
	start --size 16M -- true
	mkdir "$T/d.full"
	head -c 4M /dev/urandom >"$T/d.full/a"
	head -c 30M /dev/urandom >"$T/d.full/b.full"
	run_kennel cp "$T/d.full" "$ID:/root/d.full"
	refused no "No space left"
	run_kennel cp "$T/d.full/b.full" "$ID:/root/b.full"
	refused no "No space left"
	is_equal "" "$(find "$ROOT/root" -name '.kennel-cp-*' -o -name d.full -o -name b.full)"
	cp_ok "$T/d.full/a" "$ID:/root/a"
}

@test "cp: 64 MB and 2,000 files" {
	start -- true
	head -c 64M /dev/urandom >"$T/big"
	cp_ok "$T/big" "$ID:/root/"
	cp_ok "$ID:/root/big" "$T/back"
	cmp "$T/big" "$T/back"
	rm "$T/big" "$T/back"
	python3 - "$T/many" <<-'END'
		import os, sys
		for d in range(10):
		    os.makedirs(f"{sys.argv[1]}/{d}")
		    for f in range(200):
		        open(f"{sys.argv[1]}/{d}/{f}", "w").write(str(f))
	END
	cp_ok "$T/many" "$ID:/root/"
	cp_ok "$ID:/root/many" "$T/back"
	diff -r "$T/many" "$T/back"
}

@test "cp: paths of 4,000 characters and trees deeper than any path" {
	start -- true
	python3 - "$T" <<-'END'
		import os, sys
		def chain(top, name, n):
		    os.mkdir(top)
		    fd = os.open(top, os.O_RDONLY)
		    for i in range(n):
		        os.mkdir(name, dir_fd=fd)
		        next_fd = os.open(name, os.O_RDONLY, dir_fd=fd)
		        os.close(fd)
		        fd = next_fd
		    os.close(os.open("end", os.O_WRONLY | os.O_CREAT, dir_fd=fd))
		chain(sys.argv[1] + "/long", "n" * 255, 15)
		chain(sys.argv[1] + "/deep", "d" * 19, 300)
	END
	long=$(printf "$(printf 'n%.0s' {1..255})/%.0s" {1..15})
	cp_ok "$T/long" "$ID:/root/"
	cp_ok "$ID:/root/long/${long}end" "$T/end"
	[ -f "$T/end" ]
	cp_ok "$T/deep" "$ID:/root/"
	cp_ok "$ID:/root/deep" "$T/back"
	is_equal 302 "$(find "$T/back" | wc -l)"
	rm -rf "$T/back" "$T/deep"
}

@test "cp: too deep for the descriptors there are is said, and nothing is left" {
	start -- 'cd /root && mkdir deep && cd deep && for i in $(seq 200); do mkdir d && cd d || exit; done'
	status=0
	stderr=$(ulimit -n 256; "$KENNEL" cp "$ID:/root/deep" "$T/deep" 2>&1) || status=$?
	is_status 125
	has "is too deep a tree" "$stderr"
	has "ulimit" "$stderr"
	is_equal "" "$(find "$T" -name '*deep*' -o -name '.kennel-cp-*')"
}

@test "cp: a signal leaves nothing half made, nor does a kill" {
	start -- 'mkdir /root/d && cd /root/d && bash -c "mkdir {1..200}; touch {1..200}/{1..100}"'
	for signal in INT TERM KILL; do
		for target in "$T/to" "$T/there/to"; do
			mkdir -p "$T/there"
			# a shell's background program ignores SIGINT
			env --default-signal=INT "$KENNEL" cp "$ID:/root/d" "$target" 3>&- &
			cp=$!
			wait_for 5 sh -c 'find "$1" -name ".kennel-cp-*" | grep -q .' sh "$T"
			kill -$signal $cp
			status=0
			wait $cp || status=$?
			[ "$status" -ge 125 ]
			[ $signal = KILL ] || is_equal "" "$(find "$T" -name '.kennel-cp-*')"
			wait_for 5 sh -c '! find "$1" -name ".kennel-cp-*" | grep -q .' sh "$T"
			[ ! -e "$target" ]
		done
	done
}

@test "cp: a copy into itself through a share is refused" {
	mkdir -p "$T/s/sub"
	echo f >"$T/s/f"
	start --share "$T/s" -- true
	run_kennel cp "$T/s" "$ID:$T/s/sub"
	refused no "can't be copied into itself"
	is_equal "" "$(find "$T/s" -name '.kennel-cp-*')"
	cp_ok "$T/s/f" "$ID:$T/s/sub/g"
	is_equal "$(id -u):$(id -g)" "$(stat -c %u:%g "$T/s/sub/g")"
}
