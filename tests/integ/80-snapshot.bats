#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# Snapshots, and clones that share with their origin: what each of them sees, and what may go.

load lib

setup() {
	need_sandbox
	need_commands jq
	kennel_setup
	S=$T/store
}

teardown() {
	[ ! -d "${S-}" ] || "$KENNEL" list -P "$S" -kq | xargs -r "$KENNEL" rm -fs -P "$S"
	kennel_teardown
}

k() {
	local command=$1
	shift
	run_kennel "$command" -P "$S" "$@"
}

# inside NAME SCRIPT: what it prints.
inside() {
	k run -k "$1" --net none -- sh -c "$2"
}

# A container with a file, a deletion, a directory in place of a file, and an owner of its own.
make_box() {
	inside box 'echo one >/root/f; rm /etc/passwd; rm -f /etc/issue; mkdir /etc/issue; echo x >/etc/issue/x; mkdir -m 710 /opt/d; chown 3:4 /opt/d'
	is_status 0
}

# Files below the store that hold this text.
copies_of() {
	if [ "$EUID" -eq 0 ]; then
		grep -rlF "$1" "$S" 2>/dev/null | wc -l
	else
		echo 1 # of an ordinary user's only kennel can say
	fi
}

@test "snapshot: a chain of them, and back to each" {
	make_box
	k snapshot -c "the first" box
	is_equal "$stdout" snap0
	inside box 'echo two >>/root/f; rm -r /etc/issue; echo again >/etc/passwd'
	k snapshot box
	is_equal "$stdout" snap1
	inside box 'echo three >>/root/f; rm -r /opt/d'
	k snapshot -n named box
	is_equal "$stdout" named
	inside box 'tr "\n" " " </root/f; cat /etc/passwd; ls -d /opt/d /etc/issue 2>&1 | wc -l'
	is_equal "$stdout" "$(printf 'one two three again\n2')"
	is_equal "$("$KENNEL" snapshot -P "$S" --list --json box | jq -r '.[] | "\(.name) \(.comment) \(.taken > 1700000000)"')" \
		"$(printf 'snap0 the first true\nsnap1  true\nnamed  true')"
	k restore box snap0
	is_status 0
	inside box 'cat /root/f; ls /etc/passwd; cat /etc/issue/x; stat -c "%a %u:%g" /opt/d'
	if [ "$EUID" -eq 0 ] || grep -q "^$(id -un):" /etc/subuid; then
		is_equal "$stdout" "$(printf 'one\nx\n710 3:4')"
	fi
	has "/etc/passwd" "$stderr"
	k restore box named
	inside box 'tr "\n" " " </root/f; cat /etc/passwd'
	is_equal "$stdout" "one two three again"
	k restore --as other box snap1
	is_status 0
	inside other 'tr "\n" " " </root/f; cat /etc/passwd; hostname'
	is_equal "$stdout" "$(printf 'one two again\nother')"
}

@test "snapshot: of one that was never started, and its configuration comes back" {
	k create --hide /srv --net none box
	k snapshot box
	is_status 0
	k set --cap-drop mknod --unset hide box
	is_status 0
	make_box
	k restore box snap0
	is_status 0
	k config box
	has "hide = /srv" "$stdout"
	! grep -q cap-drop <<<"$stdout" || false
	inside box 'ls /root/f; head -n 1 /etc/passwd'
	has "root:" "$stdout"
}

@test "snapshot: nothing is copied, and what nothing stands on goes" {
	inside box 'echo "only once" >/root/f'
	is_equal "$(copies_of 'only once')" 1
	k snapshot box
	k clone -s box a
	k clone -s a b
	k snapshot b
	is_equal "$(copies_of 'only once')" 1
	inside b 'cat /root/f'
	is_equal "$stdout" "only once"
	k snapshot --remove ALL box
	k rm --promote box
	is_status 0
	k rm -s a b
	is_status 0
	is_equal "$(ls -A "$S")" ""
}

@test "snapshot: clones and their origin go on by themselves" {
	make_box
	k clone -s box a
	k clone -s box b
	is_status 0
	inside box 'echo box >>/root/f'
	inside a 'echo a >>/root/f; echo a >/etc/passwd'
	inside b 'echo b >>/root/f; rm -r /opt/d'
	k clone -s a c
	for name in box a b; do
		inside "$name" 'cat /root/f; hostname; tail -n 1 /etc/hosts'
		is_equal "$stdout" "$(printf 'one\n%s\n%s\n127.0.1.1\t%s' "$name" "$name" "$name")"
	done
	inside c 'tail -n 1 /root/f; cat /etc/passwd; hostname'
	is_equal "$stdout" "$(printf 'a\na\nc')"
	is_equal "$(LC_ALL=C "$KENNEL" list -P "$S" --tree)" "$(printf 'box  stopped\n|- a  stopped\n|  `- c  stopped\n`- b  stopped')"
	is_equal "$("$KENNEL" list -P "$S" -k --json | jq -r '.[] | select(.name == "c") | .origin')" a
	k rename a new
	is_status 0
	is_equal "$("$KENNEL" list -P "$S" -k --json | jq -r '.[] | select(.name == "c") | .origin')" new
}

@test "snapshot: who has clones or snapshots is not removed by accident" {
	make_box
	k snapshot box
	k clone -s box a
	k rm box
	refused yes '"box" has snapshots: snap0'
	k rm -s box
	refused yes 'clones share with "box": a'
	k rm -s --promote box
	is_status 0
	inside a 'cat /root/f'
	is_equal "$stdout" one
	is_equal "$("$KENNEL" list -P "$S" --tree)" "a  stopped"
	k clone -s a b
	k rm a b
	is_status 0
	k gc --check
	is_status 0
	is_equal "$stdout" "all is there that containers stand on"
}

@test "snapshot: a base of its own is shared, too" {
	mkdir -p "$T/tree/bin" "$T/tree/etc"
	cp "$(command -v busybox)" "$T/tree/bin/busybox"
	ln -s busybox "$T/tree/bin/sh"
	echo base >"$T/tree/etc/base"
	k create --template "dir:$T/tree" box
	is_status 0
	k snapshot box
	k clone -s box a
	is_status 0
	k run -k a --net none -- /bin/sh -c 'echo changed >/etc/base'
	is_status 0
	k run -k box --net none -- /bin/busybox cat /etc/base
	is_equal "$stdout" base
	k snapshot box
	k run -k box -- /bin/busybox rm /etc/base
	k restore box snap1
	k run -k box -- /bin/busybox cat /etc/base
	is_equal "$stdout" base
	k rm -s --promote box
	k run -k a -- /bin/busybox cat /etc/base
	is_equal "$stdout" changed
}

@test "snapshot: a dozen on each other" {
	local i n=12
	inside box 'echo 0 >/root/f'
	for i in $(seq "$n"); do
		"$KENNEL" snapshot -q -P "$S" box
		"$KENNEL" run -P "$S" -k box -- sh -c "echo $i >>/root/f; echo $i >/root/$i"
	done
	inside box 'wc -l </root/f; cat /root/11'
	is_equal "$stdout" "$(printf '%d\n11' "$((n + 1))")"
	k restore box snap10
	inside box 'tail -n 1 /root/f; ls /root/11'
	is_equal "$stdout" 10
}

@test "snapshot: a stack does not grow for ever" {
	local i
	need_root "an ordinary user's takes long, and is no other way"
	mkdir -p "$T/tree/bin"
	cp "$(command -v busybox)" "$T/tree/bin/busybox"
	for i in sh cat rm; do ln -s busybox "$T/tree/bin/$i"; done
	for i in $(seq 70); do
		"$KENNEL" run -qk box -P "$S" --base "$T/tree" --net none -- /bin/sh -c "echo $i >>/f; echo $i >/f$i; rm -f /f$((i - 3))"
		"$KENNEL" snapshot -q -P "$S" box
	done
	[ "$(grep -c ^below "$S/box/manifest")" -lt 20 ]
	k run -k box -- /bin/sh -c 'cat /f69 /f70; cat /f68; cat /f67 /f1'
	is_equal "$stdout" "$(printf '69\n70\n68')"
	k restore box snap40
	k run -k box -- /bin/sh -c 'cat /f41 /f40 /f38'
	is_equal "$stdout" "$(printf '41\n40')"
	k rm -s box
	is_status 0
	is_equal "$(ls -A "$S")" ""
}

@test "snapshot: many at once" {
	local i pids=()
	make_box
	for i in $(seq 20); do
		"$KENNEL" clone -s -P "$S" box "c$i" >"$T/said.$i" 2>&1 3>&- &
		pids+=($!)
	done
	for i in "${pids[@]}"; do wait "$i"; done
	is_equal "$("$KENNEL" list -P "$S" -kq | wc -l)" 21
	inside c13 'cat /root/f'
	is_equal "$stdout" one
	pids=()
	for i in $(seq 20); do
		"$KENNEL" rm -P "$S" "c$i" >"$T/said.$i" 2>&1 3>&- &
		pids+=($!)
	done
	for i in "${pids[@]}"; do wait "$i"; done
	is_equal "$("$KENNEL" list -P "$S" -kq)" box
	inside box 'cat /root/f'
	is_equal "$stdout" one
}

@test "snapshot: what is refused, and in which words" {
	make_box
	k snapshot no
	refused yes 'there is no container "no"'
	k snapshot -n ../x box
	refused no 'does not begin with a letter or a digit'
	k snapshot -n one box
	k snapshot -n one box
	refused yes '"box" has a snapshot "one" already'
	k restore box two
	refused yes '"box" has no snapshot "two"'
	k restore box one --as box
	refused yes 'there is a container "box"'
	k snapshot --remove two box
	refused yes '"box" has no snapshot "two"'
	k clone -s box box
	refused yes 'there is a container "box"'
	k clone -s no new
	refused yes 'there is no container "no"'
	inside box 'cat /root/f'
	is_equal "$stdout" one
}

@test "snapshot: what it stands on is missed by name" {
	need_root "an ordinary user's is no other way"
	make_box
	k snapshot box
	mv "$S/.layers" "$S/.away"
	inside box true
	refused yes "find the frozen changes"
	run_kennel gc --check -P "$S"
	is_status 1
	has 'box: it stands on "'"$S"'/.layers/' "$stdout"
	has 'box/snapshots/snap0: it stands on' "$stdout"
	mv "$S/.away" "$S/.layers"
	inside box 'cat /root/f'
	is_equal "$stdout" one
}

# A directory of a group that has no id inside is closed to root of the inside, which works on a user's layers.
@test "snapshot: an ordinary user's, in a place that hands down another group" {
	need_root "a directory of another group"
	as_user test -w /dev/fuse || skip "no fuse device that this user may open"
	install -d -m 2755 -o "$KENNEL_TEST_USER" -g root "$T/place"
	cat >"$T/steps" <<-'END'
		set -e
		"$K" run -q -k one -P "$P" --net none -- sh -c 'echo x >/etc/new; chown 33 /etc/new'
		"$K" snapshot -P "$P" one
		"$K" clone -s -P "$P" one two
		"$K" diff -P "$P" two
		"$K" rm -s -P "$P" one two
		ls -A "$P"
	END
	run as_user env P="$T/place/store" K="$KENNEL" sh "$T/steps"
	is_equal "$output" $'snap0\nA /etc/new'
}
