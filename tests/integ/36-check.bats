#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# kennel check: what it says must be what a start then does, on this machine and on ones with something taken away.

load lib

# state NAME: of the last "kennel check --json" in $stdout.
state() {
	jq -r --arg n "$1" '.[] | select(.name == $n) | .state' <<<"$stdout"
}

remedy() {
	jq -r --arg n "$1" '.[] | select(.name == $n) | .remedy' <<<"$stdout"
}

@test "the table: a title, a line for each thing, a remedy for what is lacking, one answer" {
	run_kennel check
	[ "$status" -le 1 ]
	is_equal "$stderr" ""
	[[ $stdout == WHAT*STATE*"NEEDED FOR"*FOUND* ]]
	is_equal "$(grep -c '^  remedy: ' <<<"$stdout")" "$(grep -cE '  (optional-)?missing  ' <<<"$stdout")"
	lacks $'\033' "$stdout"
	if [ "$status" -eq 0 ]; then
		is_equal "$(tail -n 1 <<<"$stdout")" "the default kennel run works here"
	else
		[[ $(tail -n 1 <<<"$stdout") =~ ^'the default kennel run does not work here: '[0-9]+' thing'(s are|' is')' missing'$ ]]
	fi
}

@test "json: the same as objects, and the exit code is whether anything is missing" {
	run_kennel check --json
	[ "$status" -le 1 ]
	is_equal "$(jq 'map(keys == ["found", "name", "needed_for", "remedy", "state"]) | all' <<<"$stdout")" true
	is_equal "$(jq 'map(.state == "ok" or .state == "missing" or .state == "optional-missing") | all' <<<"$stdout")" true
	is_equal "$(jq 'map((.state == "ok") == (.remedy == null)) | all' <<<"$stdout")" true
	is_equal "$(jq 'map(.name) | length == (unique | length)' <<<"$stdout")" true
	is_equal "$(jq 'if any(.state == "missing") then 1 else 0 end' <<<"$stdout")" "$status"
}

@test "what it says is what a start does" {
	run_kennel check
	local said=$status
	run_kennel run -- true
	is_equal "$status" "$([ "$said" -eq 0 ] && echo 0 || echo 125)"
}

@test "a wrong option is an error of the command itself" {
	run_kennel check --no-such
	is_status 125
	run_kennel check word
	is_status 125
}

@test "colour on a terminal only, and not with NO_COLOR" {
	need_commands script
	TERM=xterm script -qec "$KENNEL check" /dev/null </dev/null >"$T/colour" || true
	grep -q $'\033\[' "$T/colour"
	NO_COLOR=1 TERM=xterm script -qec "$KENNEL check" /dev/null </dev/null >"$T/plain" || true
	grep -q WHAT "$T/plain"
	run grep -q $'\033\[' "$T/plain"
	[ "$status" -ne 0 ]
}

# An ordinary user's check, after the words of a shell.
check_after() {
	run as_user sh -c "$1"'; exec "$KENNEL" check --json'
	stdout=$output
}

@test "no runtime directory is missing for an ordinary user, with a remedy" {
	check_after 'unset XDG_RUNTIME_DIR'
	is_status 1
	is_equal "$(state "runtime directory")" missing
	has XDG_RUNTIME_DIR "$(remedy "runtime directory")"
}

@test "a low limit of open files is optional-missing, a very low one missing" {
	check_after 'ulimit -S -n 128'
	is_equal "$(state "open files")" optional-missing
	check_after 'ulimit -S -n 32'
	is_status 1
	is_equal "$(state "open files")" missing
	is_equal "$(remedy "open files")" "ulimit -n 1024"
}

@test "without pasta: optional-missing, and which package has it" {
	need_root
	run unshare --mount --propagation private sh -c '
		for f in /usr/bin/pasta /usr/local/bin/pasta; do
			[ ! -e "$f" ] || mount --bind /dev/null "$(realpath "$f")" || exit 99
		done
		exec "$1" check --json' sh "$KENNEL"
	stdout=$output
	is_status 0
	is_equal "$(state pasta)" optional-missing
	has passt "$(remedy pasta)"
}

@test "user namespaces that are switched off are named with their sysctl" {
	need_root
	# a user namespace of its own has a limit of its own
	run unshare --user --mount --map-root-user sh -c '
		echo 0 >/proc/sys/user/max_user_namespaces && exec "$1" check --json' sh "$KENNEL"
	stdout=$output
	has "sysctl user.max_user_namespaces=15000" "$(remedy "user namespaces")"
}

@test "an ordinary user's closed devices are missing, with the command that opens them; open ones are fine" {
	need_root
	id "$KENNEL_TEST_USER" >/dev/null
	local mode
	mkdir "$T/dev"
	for mode in 600 666; do
		# nodes in a mount namespace of the test's own
		run unshare --mount --propagation private sh -c '
			mount -t tmpfs -o mode=0755,dev dev "$1" && mknod -m "$2" "$1/fuse" c 10 229 && mknod -m "$2" "$1/tun" c 10 200 &&
			mount --bind "$1/fuse" /dev/fuse && mount --bind "$1/tun" /dev/net/tun &&
			shift 2 && exec "$@"' sh "$T/dev" "$mode" runuser -u "$KENNEL_TEST_USER" -- "$KENNEL" check --json
		stdout=$output
		case $mode in
		600)
			is_status 1
			is_equal "$(state /dev/fuse)" missing
			has "chmod 0666 /dev/fuse" "$(remedy /dev/fuse)"
			;;
		666)
			is_equal "$(state /dev/fuse)" ok
			is_equal "$(state /dev/net/tun)" ok
			;;
		esac
	done
}

@test "inside of a sandbox it says so, and what it says is true there" {
	need_root
	run_kennel run --net none -- "$KENNEL" check --json
	has "a sandbox of kennel" "$stdout"
	local said=$status
	run_kennel run --net none -- "$KENNEL" run --net none -- true
	is_equal "$status" "$([ "$said" -eq 0 ] && echo 0 || echo 125)"
}
