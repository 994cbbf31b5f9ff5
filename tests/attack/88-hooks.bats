#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# Hooks run on the machine with its user's rights: nothing that came from elsewhere may bring one.

load ../integ/lib

setup() {
	need_sandbox
	need_commands busybox
	kennel_setup
	S=$T/store
	mkdir -p "$T/base/bin"
	cp "$(command -v busybox)" "$T/base/bin/busybox"
	ln -s busybox "$T/base/bin/sh"
	HOOK="/bin/sh -c 'id >$T/ran'"
	[ "$EUID" -eq 0 ] || chmod 755 "$T"
}

teardown() {
	[ ! -d "${S-}" ] || "$KENNEL" list -P "$S" -kq 2>/dev/null | xargs -r "$KENNEL" rm -f -P "$S"
	kennel_teardown
}

nothing_ran() {
	[ ! -e "$T/ran" ]
}

# Whoever made the file wrote what they like into it.
write_hooks() {
	EDITOR="sh -c 'printf \"%s\\n\" \"hook-pre-start = \$HOOK\" \"hook-start-host = \$HOOK\" \"hook-post-stop = \$HOOK\" >>\"\$1\"' sh" HOOK=$HOOK \
		run_kennel config --edit "$1"
	is_status 0
	run_kennel config "$1"
	has "hook-pre-start = /bin/sh" "$stdout"
}

@test "attack hooks: those in a file are not run, and one line says so; to trust it changes nothing" {
	run_kennel run -f "$T/file.img" --size 64M --net none -- sh -c 'echo first >/etc/first'
	is_status 0
	write_hooks "$T/file.img"
	run_kennel run -f "$T/file.img" --net none -- true
	is_status 0
	has "names hooks, which are not run out of a file" "$stderr"
	run_kennel run -f "$T/file.img" --trust --net none -- true
	is_status 0
	has "names hooks" "$stderr"
	nothing_ran
	run_kennel set --hook-pre-start "$HOOK" "$T/file.img"
	refused no "hooks are not run out of a file"
}

@test "attack hooks: an import brings none, whatever is in what is imported" {
	"$KENNEL" create -P "$S" --base "$T/base" --net none --hook-pre-start "$HOOK" --hook-post-stop "$HOOK" box
	run_kennel run -P "$S" -k box -- sh -c 'echo made >/made; echo "hook-pre-start = /bin/sh" >/config; echo x >/manifest'
	is_status 0
	rm "$T/ran"
	run_kennel export -P "$S" -o "$T/out.tar" box
	is_status 0
	run_kennel import -P "$S" "$T/out.tar" other
	is_status 0
	run_kennel config -P "$S" other
	lacks hook "$stdout"
	run_kennel run -P "$S" -k other -- sh -c ': </made'
	is_status 0
	mkdir -p "$T/tree/delta/0/upper"
	printf '[container]\nbase = system\nhook-pre-start = %s\n' "$HOOK" >"$T/tree/config"
	tar -C "$T/tree" -cf "$T/tree.tar" .
	run_kennel import -P "$S" --what delta "$T/tree.tar" third || :
	run_kennel import -P "$S" "$T/tree.tar" fourth
	for name in third fourth; do
		run_kennel run -P "$S" -k $name --net none -- /bin/true
		nothing_ran
	done
}

@test "attack hooks: a configuration that others could have written is not started" {
	"$KENNEL" create -P "$S" --base "$T/base" --net none --hook-pre-start "$HOOK" box
	for mode in 620 602 666; do
		chmod $mode "$S/box/config"
		run_kennel start -P "$S" box
		refused yes 'has hooks, but others could have written them'
	done
	nothing_ran
	chmod 600 "$S/box/config"
	need_root "another user's file"
	chown "$KENNEL_TEST_USER" "$S/box/config"
	run_kennel start -P "$S" box
	refused yes 'has hooks, but others could have written them'
	nothing_ran
	chown root "$S/box/config"
	chown "$KENNEL_TEST_USER" "$S/box"
	run_kennel start -P "$S" box
	is_status 125
	nothing_ran
	chown root "$S/box"
}

@test "attack hooks: the inside can't reach them: not by its files, its environment or its output" {
	mkdir "$T/log"
	"$KENNEL" create -P "$S" --base "$T/base" --net none --env KENNEL_HOOK=evil --env PATH=/evil --env LD_PRELOAD=/evil.so \
		--hook-start-host "/bin/sh -c 'env >$T/log/env'" --hook-post-stop "/bin/sh -c 'env >>$T/log/env'" box
	run_kennel run -P "$S" -k box -- /bin/sh -c 'echo "hook-pre-start = /bin/sh -c \"id >'"$T"'/ran\"" >/config; exit 3'
	is_status 3
	lacks evil "$(<"$T/log/env")"
	run_kennel run -P "$S" -k box -- /bin/sh -c :
	nothing_ran
}
