#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# Where "kennel diff" and "kennel commit" take changes from: a store that is named, a file, another user's store.

load lib

setup() {
	need_sandbox
	kennel_setup
	BASE=$T/base
	mkdir -p "$BASE"/{bin,etc,lib,lib64,usr}
	echo one >"$BASE/etc/one"
	echo two >"$BASE/etc/two"
	at_end forget
}

forget() {
	"$KENNEL" commit --undo --force >/dev/null 2>&1 || :
}

# in_base SCRIPT OPTION...: runs it over the base, with the machine's own programs, as the caller's own id.
in_base() {
	local script=$1
	shift
	"${AS[@]}" "$KENNEL" run -q "$@" --base "$BASE" --net none --mount /usr:/usr:ro --mount /bin:/bin:ro --mount /lib:/lib:ro \
		--mount /lib64:/lib64:ro --user "$("${AS[@]}" id -u)" -- /bin/sh -ec "$script" </dev/null
}

@test "commit-from: a store that is named" {
	in_base 'echo in >/etc/one; echo n >/etc/new' -P "$T/store" -k box
	run_kennel diff -P "$T/store" box
	is_status 0
	is_equal "$stdout" $'A /etc/new\nM /etc/one (content)'
	run_kennel commit -y -P "$T/store" box
	is_status 0
	is_equal "$(cat "$BASE/etc/one" "$BASE/etc/new")" $'in\nn'
	run_kennel commit --undo
	is_status 0
	is_equal "$(cat "$BASE/etc/one")" one
	run_kennel commit -y -P "$T/store" other
	refused yes "there is no container \"other\" in \"$T/store\""
	run_kennel diff -P "$T/nowhere" box
	refused yes "there is no container"
}

@test "commit-from: what is none of all" {
	run_kennel diff no-such-thing
	refused yes 'there is no container, no running sandbox and no file "no-such-thing"'
	has "kennel list" "$stderr"
	run_kennel commit -y no-such-thing
	refused yes "no container, no running sandbox and no file"
	run_kennel diff "$T/no/such/file"
	refused no "no/such/file"
	# one whose base is gone is there all the same
	in_base 'echo in >/etc/one' -P "$T/store" -k box
	mv "$BASE" "$BASE.gone"
	run_kennel diff -P "$T/store" box
	refused no "open the base of the changes"
}

@test "commit-from: a file" {
	in_base 'echo in >/etc/one; echo n >/etc/new' -f "$T/image" --size 64M
	run_kennel diff "$T/image"
	is_equal "$stdout" $'A /etc/new\nM /etc/one (content)'
	run_kennel commit -y "$T/image"
	is_status 0
	is_equal "$(cat "$BASE/etc/one" "$BASE/etc/new")" $'in\nn'
	is_equal "$(find "$T" -mindepth 1 -maxdepth 1 ! -name 'runtime*' -printf '%f\n' | sort | tr '\n' ' ')" "base image "
	run_kennel commit -y "$T/image"
	has "nothing to commit"
	run_kennel commit --undo
	is_status 0
	is_equal "$(cat "$BASE/etc/one")" one
	# what was changed on the machine since is seen, also where the file was unpacked only now
	echo out >"$BASE/etc/one"
	run_kennel commit -y "$T/image"
	is_status 125
	has "M /etc/one: it changed since" "$stdout"
	run_kennel commit -y --skip-conflicts "$T/image"
	is_status 1
	is_equal "$(cat "$BASE/etc/one" "$BASE/etc/new")" $'out\nn'
}

@test "commit-from: an ordinary user's file, by root" {
	need_root "which opens what another user made"
	chmod 755 "$T"
	mkdir "$T/theirs"
	chown "$KENNEL_TEST_USER" "$T/theirs"
	as_user test -w /dev/fuse || skip "no fuse device that this user may open"
	local AS=(as_user)
	chown -R "$KENNEL_TEST_USER" "$BASE"
	in_base 'echo in >/etc/one' -f "$T/theirs/image" --size 64M
	in_base : -f "$T/theirs/image"
	run_kennel diff "$T/theirs/image"
	has "M /etc/one (content" "$stdout"
	# its births are those of packing: what was changed after the first start may be a conflict, what was not is none
	sleep 0.05
	echo out >"$BASE/etc/one"
	run_kennel commit --dry-run "$T/theirs/image"
	has "M /etc/one: it changed since" "$stdout"
}

@test "commit-from: an ordinary user's store, by root" {
	need_root "which opens what another user made"
	chmod 755 "$T"
	mkdir "$T/theirs"
	chown -R "$KENNEL_TEST_USER" "$T/theirs" "$BASE"
	as_user test -w /dev/fuse || skip "no fuse device that this user may open"
	local AS=(as_user) uid
	uid=$(as_user id -u)
	in_base 'echo in >/etc/one; echo n >/etc/new; chmod 0600 /etc/new' -P "$T/theirs/store" -k box
	as_user "$KENNEL" diff -P "$T/theirs/store" box </dev/null >"$T/as-user"
	run_kennel diff -P "$T/theirs/store" box
	is_status 0
	is_equal "$stdout" "$(cat "$T/as-user")"
	has "A /etc/new" "$stdout"
	run_kennel diff --content -P "$T/theirs/store" box
	has "+in" "$stdout"
	run_kennel export -P "$T/theirs/store" -o "$T/out.tar" box
	is_status 0
	has "$uid/" "$(tar -tv --numeric-owner -f "$T/out.tar" | grep etc/new)"
	run_kennel export -P "$T/theirs/store" -o "$T/out" --format directory box
	refused yes "of another user's container"
	[ ! -e "$T/out" ]
	run_kennel commit -y -P "$T/theirs/store" box
	is_status 0
	is_equal "$(cat "$BASE/etc/one" "$BASE/etc/new")" $'in\nn'
	is_equal "$(stat -c %u:%a "$BASE/etc/new")" "$uid:600"
	run_kennel commit --undo
	is_status 0
	# a manifest that claims other ids than its owner's is not believed
	sed -i "s/^\(idmap	.*:\)$uid\(:[0-9]*\)$/\10\2/" "$T/theirs/store/box/manifest"
	run_kennel diff -P "$T/theirs/store" box
	refused no "is not that user's"
	# nor does anybody but root look into another user's
	mkdir -m 755 "$T/mine"
	run as_user "$KENNEL" diff -P "$T/mine" box </dev/null
	has "belongs to another user"
}
