#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# What a person sees and types in "kennel commit", on a terminal that tmux makes.

load lib
load screen

# A container in a store of the test's own; SCRIPT runs in it as the caller's own id.
box() {
	need_sandbox
	need_commands busybox
	mkdir -p "$T/base/bin" "$T/base/etc"
	cp "$(command -v busybox)" "$T/base/bin/busybox"
	ln -sf busybox "$T/base/bin/sh"
	echo old >"$T/base/etc/old"
	at_end forget_commit
	"$KENNEL" run -q -P "$T/store" -k box --base "$T/base" --net none --user "$(id -u)" -- /bin/sh -ec "$1" </dev/null
}

forget_commit() {
	"$KENNEL" commit --undo --force >/dev/null 2>&1 || :
}

commit() {
	screen env "$@" "$KENNEL" commit -P "$T/store" box
}

@test "commit-screen: what is not ticked is not made" {
	box 'echo a >/etc/a; echo b >/etc/b; echo new >/etc/old'
	commit EDITOR=false
	expect 'apply these 3 changes to the system? .y.es .n.o .e.dit .s.elect .v.iew'
	# an editor that fails leads back to the question
	keys e Enter
	expect 'the editor "false" failed'
	keys s Enter
	expect 'Changes to make'
	expect '\[\*\] M /etc/old (content)'
	keys Space
	expect '\[ \] A /etc/a'
	keys F12
	expect 'apply these 2 changes'
	# as before where it is cancelled
	keys s Enter
	expect 'Changes to make'
	expect '\[ \] A /etc/a '
	keys Space Escape
	expect 'apply these 2 changes'
	keys y Enter
	expect '2 changes applied'
	expect '^code 0'
	is_equal "$(cat "$T/base/etc/old" "$T/base/etc/b")" $'new\nb'
	[ ! -e "$T/base/etc/a" ]
}

@test "commit-screen: --select on a bare console, with more changes than rows; conflicts begin unticked" {
	box 'i=10; while [ $i -lt 90 ]; do echo x >/etc/f$i; i=$((i + 1)); done; echo in >/etc/old'
	echo out >"$T/base/etc/old"
	screen env TERM=linux "$KENNEL" commit --select -P "$T/store" box
	expect 'What conflicts begins without a tick'
	expect '\[\*\] A /etc/f10'
	! shows '/etc/f89'
	keys End
	expect '\[ \] M /etc/old (content) - it changed since'
	expect '/etc/f89'
	keys Tab Enter
	expect 'apply these 80 changes'
	keys n Enter
	expect 'nothing was applied'
	expect '^code 1'
	end_screen
	screen env TERM=linux "$KENNEL" commit --select -y -P "$T/store" box
	expect 'Changes to make'
	keys Escape
	expect '^code 1'
	[ ! -e "$T/base/etc/f10" ]
}

@test "commit-screen: view shows the texts in the pager" {
	box 'echo new >/etc/old; printf "\033[2Jclear\n" >/etc/esc'
	commit "PAGER=sed 's,^,paged ,'"
	expect 'apply these 2 changes'
	keys v Enter
	expect '^paged .*+++ b/etc/old'
	expect '^paged .*+new'
	expect '^paged .*\\x1b\[2Jclear'
	expect 'apply these 2 changes'
	keys n Enter
	expect '^code 1'
	end_screen
	# less leaves the screen as it is where all fits
	commit PAGER= LESS=
	expect 'apply these 2 changes'
	keys v Enter
	expect '^+new'
	keys n Enter
	expect '^code 1'
	end_screen
	need_commands less
	screen env -u PAGER -u LESS "$KENNEL" commit -P "$T/store" box
	expect 'apply these 2 changes'
	keys v Enter
	expect '+new'
	keys n Enter
	expect '^code 1'
}

@test "commit-screen: the checklist needs a terminal" {
	box 'echo new >/etc/old'
	run_kennel commit --select -P "$T/store" box
	refused yes 'needs a terminal'
	[ "$(cat "$T/base/etc/old")" = old ]
}

@test "commit-screen: without libnewt the other answers are there" {
	need_root "to hide a library"
	box 'echo new >/etc/old'
	local lib
	lib=$(ldconfig -p | sed -n 's/.*libnewt\.so\.0\.52 .*=> //p' | head -n 1)
	[ -n "$lib" ] || skip "needs libnewt"
	screen unshare -m --propagation private sh -c 'mount --bind /dev/null "$1" && exec "$2" commit -P "$3" box' sh "$lib" "$KENNEL" "$T/store"
	expect 'apply this 1 change'
	keys s Enter
	expect 'needs libnewt, which is not here'
	expect 'hint: install it'
	keys y Enter
	expect '1 change applied'
	expect '^code 0'
}
