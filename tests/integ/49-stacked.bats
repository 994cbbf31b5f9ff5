#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# What a container changes that stands on frozen changes: diff, commit and export see all of them as one, and diff --from only
# what came later. Its base is this machine; what it changes is below $T/base.

load lib

setup() {
	need_sandbox
	need_commands tar
	kennel_setup
	umask 022
	STORE=$T/store
	mkdir -p "$T/base"/{d,gone}
	for f in one two same d/x gone/x; do echo "$f" >"$T/base/$f"; done
}

teardown() {
	[ ! -d "${STORE-}" ] || "$KENNEL" rm -fs -P "$STORE" box
	kennel_teardown
}

# inside SCRIPT: the container does this in $T/base. own NAME...: they belong to whom the directory belongs to.
inside() {
	run_kennel run -q -k box -P "$STORE" --net none -- sh -ec "own() { chown --reference=. \"\$@\"; }; cd '$T/base'; $1"
	is_status 0
}

snapshot() {
	run_kennel snapshot -P "$STORE" -q box -n "$1"
	is_status 0
}

# differs [OPTION]... LINE...: kennel diff of the container shows these lines, with $T/base cut off.
differs() {
	local options=()
	while [ "${1#-}" != "$1" ]; do
		options+=("$1")
		shift
	done
	run_kennel diff -P "$STORE" "${options[@]}" box "$T/base"
	is_status 0
	is_equal "${stdout//$T\/base/}" "$(printf '%s\n' "$@")"
}

@test "stacked: diff, export and commit see all layers as one, diff --from what came after a snapshot" {
	inside 'echo 1 >one; rm two; rm -r d; mkdir d; echo y >d/y; echo new >new; ln new link; chmod 600 same; own d new'
	snapshot first
	inside 'cat d/y; echo 2 >one; echo two >two; rm new; echo z >d/z; rm d/y; rm -r gone; chmod 644 same; own two d/z'
	snapshot second
	inside 'test "$(cat one)" = 2; test ! -e gone; mkdir gone; echo last >gone/last; echo more >>d/z; own gone gone/last'

	differs 'D /d/x' 'A /d/z' 'A /gone/last' 'D /gone/x' 'A /link' 'M /one (content)'
	differs --from=second 'M /d/z (content)' 'A /gone' 'A /gone/last'
	differs --from=first 'D /d/y' 'A /d/z' 'A /gone/last' 'D /gone/x' 'D /new' 'M /one (content)' 'M /same (mode)' 'A /two'
	run_kennel diff -P "$STORE" --from nope box
	refused yes nope
	run_kennel diff -P "$STORE" --from second nobody
	refused yes nobody
	run_kennel diff -P "$STORE" --content --from=first box "$T/base/one"
	has "-1" "$stdout"
	has "+2" "$stdout"

	run_kennel export -q -P "$STORE" -o "$T/all.tar" box
	is_status 0
	run tar xOf "$T/all.tar" ".$T/base/d/z"
	is_equal "$output" "$(printf 'z\nmore')"
	run tar tf "$T/all.tar"
	has "base/d/.wh..wh..opq"
	has "base/gone/.wh..wh..opq"
	lacks "base/d/y"

	run_kennel commit --yes -P "$STORE" box "$T/base"
	is_status 0
	is_equal "$(cat "$T/base/one" "$T/base/d/z" "$T/base/gone/last" "$T/base/link")" "$(printf '2\nz\nmore\nlast\nnew')"
	[ ! -e "$T/base/d/x" ]
	[ ! -e "$T/base/gone/x" ]
	differs ''
}

@test "stacked: diff while it runs, by its name and by its id" {
	inside 'echo new >new; rm two'
	snapshot first
	background "$KENNEL" run -q -k box -P "$STORE" --net none -- sh -c "cd '$T/base'; echo 3 >one; echo \"ready \$KENNEL_ID\"; exec sleep 300"
	wait_for 20 says "$T/out.$LIB_STARTED" ready
	id=$(sed -n 's/^ready //p' "$T/out.$LIB_STARTED")
	differs 'A /new' 'M /one (content)' 'D /two'
	differs --from=first 'M /one (content)'
	run_kennel diff "$id" "$T/base"
	is_status 0
	is_equal "${stdout//$T\/base/}" "$(printf '%s\n' 'A /new' 'M /one (content)' 'D /two')"
}
