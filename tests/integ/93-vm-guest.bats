#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# What runs beside and inside a guest (--isolate vm): streams, terminals and signals over its line, several commands at once, an
# init of its own, and what is said when it dies.

load lib
load screen

setup() {
	kennel_setup
	need_guest
	need_commands tmux busybox
	SOCKET=$T/tmux
	at_end remove_all
	mkdir -p "$T/base/bin" "$T/base/sbin" "$T/base/etc"
	cp "$(command -v busybox)" "$T/base/bin/busybox"
	for applet in sh clear echo cat sleep stty test yes head sha1sum kill touch mknod rm tty; do ln -s busybox "$T/base/bin/$applet"; done
	for applet in init reboot poweroff; do ln -s ../bin/busybox "$T/base/sbin/$applet"; done
}

remove_all() {
	local name
	for name in $("$KENNEL" list -kq -P "$T/store" 2>/dev/null); do
		"$KENNEL" rm --force -P "$T/store" "$name"
	done
}

# start [OPTION]...: a guest in the background, named box.
start() {
	"$KENNEL" create -P "$T/store" --isolate vm --base "$T/base" --net none "$@" box
	"$KENNEL" start -q -P "$T/store" box
}

inside() {
	run_kennel exec box -- "$@"
}

# shown TEXT [TIMES]: the console has shown it.
shown() {
	[ "$("$KENNEL" log -P "$T/store" box | grep -c -e "$1")" -ge "${2-1}" ]
}

# kernel: the pid of the guest's kernel, here.
kernel() {
	local init
	init=$("$KENNEL" list --json | grep -o '"init": [0-9]*' | grep -o '[0-9]*$')
	pgrep -P "$init" -x linux | head -n 1
}

# image KIND NAME: of the directory NAME.
image() {
	case $1 in
	erofs) mkfs.erofs -x1 "$T/$2.erofs" "$T/$2" >/dev/null 2>&1 ;;
	*) mksquashfs "$T/$2" "$T/$2.squashfs" -quiet -no-progress -noappend >/dev/null ;;
	esac
}

# in_guest SCRIPT [OPTION]...: over which layers its root lies, then what it says.
in_guest() {
	local script=$1
	shift
	# shellcheck disable=SC2016
	run_kennel run -q --isolate vm --net none "$@" -- sh -c \
		'while read -r a b c d; do [ "$a" != root ] || echo "${d%%,upper*}"; done </proc/mounts; '"$script"
	is_status 0
}

@test "vm-guest: the guest reads images by itself, in the order of the layers, with what they delete and hide" {
	need_commands mkfs.erofs mksquashfs setfattr
	for applet in ls mkdir stat; do ln -s busybox "$T/base/bin/$applet"; done
	mkdir -p "$T"/{base,one,two}/{dir,hidden}
	echo base >"$T/base/dir/a"
	echo base >"$T/base/dir/b"
	echo base >"$T/base/hidden/base"
	echo one >"$T/one/dir/b"
	echo one >"$T/one/dir/c"
	echo one >"$T/one/hidden/one"
	echo two >"$T/two/dir/d"
	echo two >"$T/two/hidden/two"
	if [ "$EUID" -eq 0 ]; then mknod "$T/two/dir/c" c 0 0; else "$KENNEL" ns -- mknod "$T/two/dir/c" c 0 0; fi
	setfattr -n user.overlay.opaque -v y "$T/two/hidden"
	image erofs base
	image erofs one
	image erofs two
	image squashfs base
	image squashfs two
	# shellcheck disable=SC2016
	see='for d in dir hidden; do echo $(cd /$d 2>/dev/null && ls); done; cat /dir/b'
	# in memory, where marks of images count in an overlay of their own; what is changed there lies over all of them
	in_guest "$see; "'cat /sys/block/ubd[mno]/ro; rm -r /hidden; mkdir /hidden; ls /hidden; echo new >/dir/a; cat /dir/a' \
		--base "$T/base.erofs" --layer "$T/one.erofs" --layer "$T/two.erofs" --drive "ubd15=$T/two.erofs:ro"
	is_equal "$stdout" $'rw,relatime,lowerdir=/layered\na b d\ntwo\none\n1\n1\n1\nnew'
	# squashfs has no marks there, but is right where nothing but the tree is below; a directory is in the tree
	in_guest "$see" --base "$T/base" --layer "$T/one" --layer "$T/two.squashfs"
	is_equal "$stdout" $'rw,relatime,lowerdir=/upper-00:/layer-15:/tree:/below\na b d\ntwo\none'
	# what kennel puts over an image is to be seen
	in_guest "$see; ls /shared; cat /etc/hostname" --base "$T/base.squashfs" --hostname box --mount "$T/one:/shared"
	is_equal "$stdout" $'rw,relatime,lowerdir=/upper-00:/layer-15:/below\na b\nbase\nbase\ndir\nhidden\nbox'
	# of a disk root inside would read what is hidden, too
	in_guest "$see; ls /dev/ubdp 2>/dev/null || echo none" --base "$T/base.erofs" --hide /hidden
	is_equal "$stdout" $'rw,relatime,lowerdir=/tree:/below\na b\n\nbase\nnone'
	# cut short, and damaged in what comes last: its tables
	head -c 4096 "$T/base.erofs" >"$T/short"
	run_kennel run --isolate vm --net none --base "$T/short" -- true
	refused yes damaged
	used=$(od -An -tu8 -j40 -N8 "$T/base.squashfs")
	dd if=/dev/zero of="$T/base.squashfs" bs=1 seek=$((used - 300)) count=300 conv=notrunc 2>/dev/null
	run_kennel run --isolate vm --net none --base "$T/base.squashfs" -- true
	refused yes base.squashfs
}

@test "vm-guest: shares come and go while it runs, and layers, below its changes and above what was there" {
	need_commands mkfs.erofs setfattr
	for applet in ls mkdir rmdir umount; do ln -s busybox "$T/base/bin/$applet"; done
	mkdir -p "$T/base/dir" "$T/base/hidden" "$T/base/place" "$T/shared" "$T"/one/{dir,new} "$T"/two/{hidden,new}
	echo base >"$T/base/dir/a"
	echo base >"$T/base/dir/b"
	echo base >"$T/base/hidden/base"
	echo shared >"$T/shared/file"
	echo one >"$T/one/dir/a"
	echo one >"$T/one/dir/b"
	echo one >"$T/one/new/a"
	echo two >"$T/two/hidden/two"
	if [ "$EUID" -eq 0 ]; then mknod "$T/two/new/a" c 0 0; else "$KENNEL" ns -- mknod "$T/two/new/a" c 0 0; fi
	setfattr -n user.overlay.opaque -v y "$T/two/hidden"
	image erofs two
	start --mount "$T/shared:/place"
	# a share, at a place that is made for it, and one that is only read
	mkdir "$T/real"
	echo real >"$T/real/file"
	[ "$EUID" -ne 0 ] || chown 12:34 "$T/real"
	run_kennel set -P "$T/store" --mount "$T/real:/deep/place" --mount "$T/real:/etc:ro" --mount "$T/real/file:/etc/file" box
	is_equal "$stderr" 'kennel: what is at "/etc/file" holds from the next start on: a running guest gets directories alone'
	inside sh -c 'echo written >/deep/place/written; echo no >/etc/no; cat /etc/file /etc/written; cd /deep && ls'
	is_equal "$stdout" $'real\nwritten\nplace'
	is_equal "$(ls "$T/real")" $'file\nwritten'
	run_kennel set -P "$T/store" --unset "mount=$T/real:/deep/place" --unset "mount=$T/real/file:/etc/file" box
	inside sh -c 'ls /deep/place; cat /etc/written; umount /etc'
	is_equal "$stdout" written
	run_kennel set -P "$T/store" --unset "mount=$T/real:/etc:ro" box
	has 'it is not mounted at "/etc" any more' "$stderr"
	inside sh -c 'ls /etc; rmdir /deep/place /deep'
	is_equal "$stdout" $'hostname\nhosts'
	# what was looked up before, a directory that somebody is in, and a change
	inside sh -c 'ls /new; cat /dir/b; echo own >/dir/a'
	background "$KENNEL" exec box -- sh -c 'cd /dir; until test -e /new/a; do sleep 0.1; done; cat a b ../place/file'
	pid=$!
	run_kennel set -P "$T/store" --layer "$T/one" box
	is_status 0
	is_equal "$stderr" ""
	wait "$pid"
	is_equal "$(<"$T/out.1")" $'own\none\nshared'
	inside sh -c 'echo made >/new/made'
	run_kennel set -P "$T/store" --layer "$T/two.erofs" box
	is_equal "$stderr" ""
	# shellcheck disable=SC2016
	inside sh -c 'for d in dir new hidden place; do echo $(cd /$d; ls); done'
	is_equal "$stdout" $'a b\nmade\ntwo\nfile'
	# one goes and comes again, on top
	run_kennel set -P "$T/store" --unset "layer=$T/two.erofs" box
	is_equal "$stderr" ""
	# shellcheck disable=SC2016
	inside sh -c 'for d in dir new hidden place; do echo $(cd /$d; ls); done; cat /dir/b'
	is_equal "$stdout" $'a b\na made\nbase\nfile\none'
	run_kennel set -P "$T/store" --layer "$T/two.erofs" box
	is_equal "$stderr" ""
	inside sh -c 'ls /hidden /new'
	is_equal "$stdout" $'/hidden:\ntwo\n\n/new:\nmade'
	# what can't be had is told, and all stays as it is
	run_kennel set -P "$T/store" --layer "$T/nothing" --mount "$T/real:/nowhere" --hostname other box
	has "what is at \"/nowhere\" holds from the next start on" "$stderr"
	has "the layer \"$T/nothing\" holds from the next start on" "$stderr"
	has "takes other changes at its next start" "$stderr"
	run_kennel set -P "$T/store" --unset "layer=$T/nothing" --unset "mount=$T/real:/nowhere" --unset hostname box
	inside cat /new/made
	is_equal "$stdout" made
	# the next start has the same
	"$KENNEL" restart -q -P "$T/store" box
	# shellcheck disable=SC2016
	inside sh -c 'for d in dir new hidden place; do echo $(cd /$d; ls); done; cat /dir/a /dir/b'
	is_equal "$stdout" $'a b\nmade\ntwo\nfile\nown\none'
	# over a disk that it reads by itself none can be put
	"$KENNEL" rm -f -P "$T/store" box
	mkdir "$T/store" 2>/dev/null || true
	"$KENNEL" create -P "$T/store" --isolate vm --net none --base "$T/base" --layer "$T/two.erofs" box
	"$KENNEL" start -q -P "$T/store" box
	run_kennel set -P "$T/store" --layer "$T/one" box
	is_status 0
	has "holds from the next start on: its kernel reads other layers by itself" "$stderr"
}

@test "vm-guest: exec: streams whole and apart, exit codes, what closes early, several at once, vanished clients" {
	start
	head -c 3000000 /dev/urandom >"$T/data"
	"$KENNEL" exec box -- cat <"$T/data" >"$T/back" 3>&- &
	cat=$!
	"$KENNEL" exec box -- sha1sum <"$T/data" >"$T/sum" 3>&- &
	sum=$!
	inside sh -c 'echo out; echo err >&2; exit 3'
	is_status 3
	is_equal "$stdout" out
	is_equal "$stderr" err
	wait "$cat"
	wait "$sum"
	cmp "$T/data" "$T/back"
	is_equal "$(cut -d' ' -f1 <"$T/sum")" "$(sha1sum <"$T/data" | cut -d' ' -f1)"
	# who feeds a command that does not read, or reads from one that goes on, is told
	(set +o pipefail; yes | "$KENNEL" exec box -- sh -c 'exec <&-; echo closed') >"$T/closed"
	is_equal "$(<"$T/closed")" closed
	is_equal "$("$KENNEL" exec box -- yes | head -n 1)" y
	inside sh -c 'kill -USR1 $$'
	is_status 138
	inside no-such-command
	is_status 127
	inside sh -c 'sleep 300 & echo left behind'
	is_equal "$stdout" "left behind"
	# rubbish on the line harms nobody
	inside sh -c 'mknod /line c 4 15; head -c 100000 /dev/urandom >/line; rm /line; echo whole'
	is_equal "$stdout" whole
	background "$KENNEL" exec box -- sh -c 'trap "touch /hung-up; exit" HUP; touch /ready; while :; do sleep 0.1; done'
	client=$!
	wait_for 20 "$KENNEL" exec box -- test -e /ready
	kill -KILL "$(pgrep -P "$client")"
	wait_for 20 "$KENNEL" exec box -- test -e /hung-up
	run_kennel stop box
	is_status 0
}

@test "vm-guest: a terminal: its size, then and later, its keys, its modes afterwards" {
	screen "$KENNEL" run --isolate vm --base "$T/base" --net none -- sh -i
	expect '^/ #'
	keys 'stty size; tty' Enter
	expect '^30 90'
	expect '^/dev/pts/0'
	wait_for 20 prompts
	keys 'while :; do stty size; sleep 0.2; done' Enter
	tmux -S "$SOCKET" resize-window -x 70 -y 20
	expect '^20 70'
	keys C-c
	wait_for 20 prompts
	keys 'trap "echo interrupted" INT; echo waits; cat' Enter
	expect '^waits'
	keys C-c
	wait_for 20 prompts
	keys 'echo "code was $?"' Enter
	expect '^code was 130'
	wait_for 20 prompts
	keys 'exit 5' Enter
	expect '^code 5'
	expect ' icanon'
}

# The shell waits for keys: what is typed before that may get lost.
prompts() {
	[ "$(tmux -S "$SOCKET" capture-pane -p | grep . | tail -n 1)" = "/ #" ]
}

@test "vm-guest: what is said when the kernel is killed, or panics, or nobody is left" {
	start
	background "$KENNEL" exec box -- sh -c 'echo runs; sleep 300'
	client=$!
	wait_for 20 grep -q runs "$T/out.$LIB_STARTED"
	kill -KILL "$(kernel)"
	wait "$client" && false
	has "killed by signal 9" "$(cat "$T/out.$LIB_STARTED" "$T/err.$LIB_STARTED" 2>/dev/null)"
	run_kennel wait -P "$T/store" -t 60 box
	run_kennel run --isolate vm --base "$T/base" --net none -- sh -c 'echo c >/proc/sysrq-trigger; sleep 300'
	is_status 125
	has "Kernel panic" "$stderr"
}

@test "vm-guest: an init of its own: it boots, reboots, and is asked to switch off in its own way" {
	printf '%s\n' '::sysinit:/bin/echo up as process 1' '::respawn:/bin/cat' '::shutdown:/bin/echo going down' >"$T/base/etc/inittab"
	# in another one root kills what starts what runs commands, too; it takes half a minute to be known (below)
	"$KENNEL" create -P "$T/store" --isolate vm --base "$T/base" --net none --boot deaf
	"$KENNEL" start -q -P "$T/store" deaf
	background "$KENNEL" exec deaf -- sh -c 'for p in /proc/[0-9]*; do case $(cat "$p/cmdline" 2>/dev/null) in
		@*) all="$all ${p#/proc/}" ;;
		esac; done; echo kept >/kept; kill -9 $all; sleep 300'
	local deaf=$! deaf_err=$T/err.$LIB_STARTED
	start --boot
	wait_for 60 shown 'up as process 1'
	inside cat /proc/1/comm
	is_equal "$stdout" init
	"$KENNEL" exec box -- reboot || : # it may be ended with the rest
	wait_for 60 shown 'up as process 1' 2
	# root inside kills what runs commands there: those end, and others can be run
	background "$KENNEL" exec box -- sleep 60
	# shellcheck disable=SC2016
	run_kennel exec box -- sh -c 'for p in /proc/[0-9]*; do case $(cat "$p/cmdline" 2>/dev/null) in
		@*) test "${p#/proc/}" -le "${last:-0}" || last=${p#/proc/} ;;
		esac; done; kill -9 "$last"; sleep 60'
	is_status 125
	has "was killed there" "$stderr"
	wait_for 20 grep -q "was killed there" "$T/err.$LIB_STARTED"
	inside echo still here
	is_equal "$stdout" "still here"
	run_kennel stop box
	is_status 0
	"$KENNEL" wait -P "$T/store" -t 60 box
	shown 'going down' 2
	run_kennel info --json -P "$T/store" box
	has '"status": 0' "$stdout"
	# one that ends by itself, or by a fault of its own: all others end, and what it has written is kept
	run_kennel run --isolate vm --base "$T/base" --net none -P "$T/store" -k ends --boot -- sh -c 'sleep 300 & echo ends >/file; echo ends; exit 3'
	is_equal "$stdout" ends
	is_status 3
	lacks panic "$stderr"
	# shellcheck disable=SC2016
	run_kennel run --isolate vm --base "$T/base" --net none -P "$T/store" -k ends --boot -- \
		sh -c 'trap "echo asked" TERM; cat /file; kill -9 $$; kill -STOP $$; kill -HUP $$; kill $$; echo goes on; exit 4'
	is_equal "$stdout" $'ends\nasked\ngoes on'
	is_status 4
	cp "$KENNEL_STAGE/bin/probe" "$T/base/bin/probe"
	run_kennel run --isolate vm --base "$T/base" --net none -P "$T/store" -k ends --boot -- probe fault
	is_equal "$stdout" faults
	is_status 139
	run_kennel run --isolate vm --memory 2T -- true
	refused yes "at most"
	# who waits there is told, and who comes; and it is ended without them
	wait_for 100 grep -q "nobody runs commands in the guest any more" "$deaf_err"
	wait "$deaf" && false
	run_kennel exec deaf -- true
	refused yes "reach the guest: nobody runs commands in the guest any more"
	local begun=$SECONDS
	run_kennel stop -t 60 deaf
	is_status 0
	[ $((SECONDS - begun)) -lt 30 ]
	has /kept "$("$KENNEL" diff -P "$T/store" deaf)"
}

@test "vm-guest: limits: processes are the guest's to count, processors the machine's" {
	local cpus=()
	[ "$EUID" -ne 0 ] || { [ ! -d /sys/fs/cgroup/cpu ] && ! grep -qw cpu /sys/fs/cgroup/cgroup.controllers 2>/dev/null; } || cpus=(--cpus 0.3)
	start --pids 30 "${cpus[@]}"
	# shellcheck disable=SC2016
	inside sh -c 'n=0; while [ $n -lt 60 ]; do sleep 3 & n=$((n + 1)); done; echo never'
	has fork "$stderr"
	lacks never "$stdout"
	[ "${#cpus[@]}" -gt 0 ] || return 0
	background "$KENNEL" exec box -- sh -c 'echo runs; while :; do :; done'
	wait_for 20 says "$T/out.$LIB_STARTED" runs
	local percent
	percent=$("$KENNEL" top --json -n 1 -d 2 box | sed -n 's/.*"cpu-percent": \([0-9]*\).*/\1/p')
	[ "$percent" -gt 3 ] && [ "$percent" -lt 40 ]
}

# What the guest sends lies in the user's TMPDIR for a while; root inside, who removes it, has no id for that group.
@test "vm-guest: nothing stays in a directory whose group is not the user's" {
	need_root "a directory of another group"
	as_user test -w /dev/fuse || skip "no fuse device that this user may open"
	install -d -m 0755 -o "$KENNEL_TEST_USER" -g root "$T/tmp"
	cat >"$T/look" <<-'END'
		"$K" run -q --isolate vm --net none --base "$1" -- sh -c 'echo x >/new; echo up; exec sleep 300' >"$TMPDIR/out" </dev/null &
		for i in $(seq 600); do ! grep -q up "$TMPDIR/out" || break; sleep 0.1; done
		id=$("$K" list -q)
		"$K" diff "$id"
		"$K" stop -t 0 "$id"
		wait
	END
	run as_user env TMPDIR="$T/tmp" K="$KENNEL" sh "$T/look" "$T/base"
	has "A /new"
	is_equal "$(ls -A "$T/tmp")" out
}
