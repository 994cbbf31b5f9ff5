#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# Containers: a delta that was written by somebody who wants out, and stores that somebody else has a hand in.

load ../integ/lib

setup() {
	need_sandbox
	kennel_setup
	S=$T/store
}

teardown() {
	[ ! -d "${S-}" ] || [ -L "$S" ] || "$KENNEL" list -P "$S" -kq 2>/dev/null | xargs -r "$KENNEL" rm -f -P "$S"
	kennel_teardown
}

keep() {
	run_kennel run -P "$S" -k box --net none "$@"
}

@test "attack containers: store and container are closed to others, and a setuid program in one is out of their reach" {
	keep -- sh -c 'cp /bin/sleep /bin/root-sleep; chmod 4755 /bin/root-sleep; chmod 777 / /root'
	is_status 0
	is_equal "$(stat -c %a "$S" "$S/box" "$S/box/config" | tr '\n' ' ')" "700 700 600 "
	need_root "another user"
	chmod 755 "$S"
	run as_user sh -c "ls '$S/box' || ls '$S/box/delta' || '$S/box/delta/0/upper/bin/root-sleep' 0 || '$S/box/delta/0/upper/usr/bin/root-sleep' 0"
	[ "$status" -ne 0 ]
	has "Permission denied" "$output"
}

@test "attack containers: a container that was opened to others is refused" {
	keep -- true
	chmod 755 "$S/box"
	keep -- true
	refused yes '"'"$S"'/box" is open to other users'
	chmod 700 "$S/box"
	chmod 777 "$S"
	keep -- true
	refused yes "may be written by other users"
	chmod 700 "$S"
}

@test "attack containers: links of others on the way to a store are not followed" {
	need_root "two users"
	install -d -o "$KENNEL_TEST_USER" "$T/theirs"
	mkdir -m 700 "$T/mine"
	as_user ln -s "$T/mine" "$T/theirs/link"
	run_kennel create -P "$T/theirs/link/store" box
	refused yes "is a link of another user"
	as_user mkdir "$T/theirs/store"
	run_kennel create -P "$T/theirs/store" box
	refused yes "belongs to another user"
	is_equal "$(ls -A "$T/mine")" ""
	ln -s mine "$T/own"
	run_kennel create -P "$T/own/store" box
	is_status 0
	run_kennel rm -P "$T/mine/store" box
	is_status 0
}

@test "attack containers: links in the place of a container's own files are not followed" {
	local file
	keep -- true
	echo victim >"$T/victim"
	for file in config manifest lock starting .config-new .manifest-new; do
		[ ! -e "$S/box/$file" ] || mv "$S/box/$file" "$T/kept-$file"
		ln -s "$T/victim" "$S/box/$file"
		keep --hostname "n${file//[.-]/}" -- true
		run_kennel set -P "$S" --workdir /root box
		rm -f "$S/box/$file"
		[ ! -e "$T/kept-$file" ] || mv "$T/kept-$file" "$S/box/$file"
		is_equal "$(<"$T/victim")" victim
	done
	keep -- echo well
	is_equal "$stdout" well
	ln -s box "$S/alias"
	run_kennel run -P "$S" -k alias -- true
	is_status 125
	rm "$S/alias"
}

@test "attack containers: what is planted at the next start does not follow what was left in the way" {
	local trap
	mkdir "$T/victim"
	for trap in 'rm -rf /etc/hosts; ln -s '"$T"'/victim/hosts /etc/hosts' \
		'rm -rf /etc/resolv.conf; mkfifo /etc/resolv.conf' \
		'rm -f /etc/hostname; mkdir /etc/hostname' \
		'mv /etc /etc2; ln -s '"$T"'/victim /etc' \
		'rm -rf /run /tmp; ln -s '"$T"'/victim /run'; do
		keep -- sh -c "$trap"
		run_kennel run -P "$S" -k box --net none --hostname other --hide /srv -- true
		run_kennel rm -P "$S" box
		is_status 0
		is_equal "$(ls -A "$T/victim")" ""
	done
}

@test "attack containers: a delta that was edited outside reaches nothing outside" {
	need_root "it belongs to root"
	local shadow
	shadow=$(stat -c '%Y %Z %s' /etc/shadow)
	keep -- sh -c 'echo "root::0:0:::::" >/etc/shadow; cp /bin/cat /bin/cat2; chmod 4755 /bin/cat2'
	ln -s / "$S/box/delta/0/upper/host"
	ln -s ../../../../.. "$S/box/delta/0/upper/up"
	# Whatever they lead to is a copy, too.
	echo original >"$T/victim"
	run_kennel run -P "$S" -k box --isolate user --net none -- sh -c "cat2 /etc/shadow; echo x >/host$T/victim; echo x >/up$T/victim; echo x >/host/etc/shadow; id -u"
	has "root::0:0" "$stdout"
	is_equal "$(tail -n 1 <<<"$stdout")" 0
	is_equal "$(<"$T/victim")" original
	is_equal "$(stat -c '%Y %Z %s' /etc/shadow)" "$shadow"
}

@test "attack containers: places of the delta that are links are refused or followed nowhere" {
	need_root "it belongs to root"
	mkdir "$T/victim"
	keep -- true
	mv "$S/box/delta/0/upper" "$T/upper"
	ln -s "$T/victim" "$S/box/delta/0/upper"
	keep -- sh -c 'echo x >/root/x'
	is_status 125
	rm "$S/box/delta/0/upper"
	mv "$T/upper" "$S/box/delta/0/upper"
	mv "$S/box/delta" "$T/delta"
	ln -s "$T/victim" "$S/box/delta"
	keep -- sh -c 'echo x >/root/x'
	is_status 125
	rm "$S/box/delta"
	mv "$T/delta" "$S/box/delta"
	is_equal "$(ls -A "$T/victim")" ""
	keep -- true
	is_status 0
}

@test "attack containers: removal goes through a hostile tree and touches nothing else" {
	mkdir "$T/victim"
	echo mine >"$T/victim/file"
	keep -- sh -c '
		mkdir /t && cd /t
		for i in $(seq 300); do mkdir dddddddddddddddddddd; cd dddddddddddddddddddd; done
		cd /t
		ln -s '"$T"'/victim a; ln -s / b; ln -s .. c
		touch -- -rf "$(printf "x\ny")" "$(printf "\033[2J")"
		mkdir closed; touch closed/in; chmod 0 closed'
	run_kennel rm -P "$S" box
	is_status 0
	is_equal "$(ls -A "$S")" ""
	is_equal "$(<"$T/victim/file")" mine
}

@test "attack containers: an immutable file is told, and goes once it is not" {
	need_root "chattr"
	need_commands chattr
	keep -- true
	mkdir -p "$S/box/delta/0/upper/a"
	echo x >"$S/box/delta/0/upper/a/stays"
	chattr +i "$S/box/delta/0/upper/a/stays" || skip "no immutable files on this file system"
	run_kennel rm -P "$S" box
	is_status 125
	has "/a/stays" "$stderr"
	has "chattr -R -i" "$stderr"
	is_equal "$("$KENNEL" list -P "$S" -kq)" ""
	# Nobody else is bothered by it.
	run_kennel create -P "$S" other
	is_status 0
	run_kennel gc -P "$S"
	is_status 125
	chattr -R -i "$S"/.rm-*
	run_kennel gc -P "$S"
	is_status 0
	is_equal "$(ls -A "$S")" other
}

@test "attack containers: no value brings a line of its own into the configuration" {
	run_kennel create -P "$S" -e $'A=x\nisolate = fs\nshare = /' -e $'B=\e]0;title\a' box
	is_status 0
	run_kennel config -P "$S" box
	is_equal "$(grep -c = <<<"$stdout")" 3
	lacks $'\e' "$stdout"
	run_kennel info -P "$S" box
	lacks $'\e' "$stdout"
	keep -- sh -c 'printf %s "$A" | wc -l'
	is_equal "$stdout" 2
	printf 'env = C=\033[2J\n' >>"$S/box/config"
	keep -- true
	refused yes "a control character"
	run_kennel info -P "$S" box
	lacks $'\e' "$output"
}
