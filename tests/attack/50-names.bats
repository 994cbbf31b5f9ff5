#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
# Names that are no names: escape sequences where people read them, and words that begin with "-".

load attack

ESC=$'\033'

no_escapes() {
	local text=$1
	! LC_ALL=C grep -q "$(printf '[\001-\010\013-\037\177]')" <<<"$text" || {
		printf 'control characters in: %q\n' "$text"
		return 1
	}
	# C1 in UTF-8, and what turns text around.
	lacks $'\302\233' "$text" && lacks $'\342\200\256' "$text"
}

@test "names: escape sequences in a command, a base and a variable do not reach the terminal by list and info" {
	local evil="$T/${ESC}]0;owned"$'\a'"${ESC}[2J"$'\302\233'"31m"$'\342\200\256'"x"$'\r\n\t\\n'"end"
	make_base "$evil"
	cp "$P" "$evil/bin/${ESC}[31mprobe"$'\n'"fake"
	for option in "" --json -q; do
		background "$KENNEL" run --net none --base "$evil" -- "/bin/${ESC}[31mprobe"$'\n'"fake" listen "/x${ESC}[5m"
		local monitor=$! id
		wait_for 10 says "$T/out.$LIB_STARTED" listening
		# shellcheck disable=SC2086
		run_kennel list $option
		is_status 0
		no_escapes "$output"
		lacks $'\nfake' "$output"
		id=$("$KENNEL" list -q | head -n 1)
		is_equal "${#id}" 8
		for id in $("$KENNEL" list -q); do
			run_kennel info "$id"
			no_escapes "$output"
			run_kennel info --json "$id"
			no_escapes "$output"
		done
		jq -e . <<<"$("$KENNEL" list --json)" >/dev/null
		lib_end_process "$monitor"
	done
}

@test "names: escape sequences do not come back in errors" {
	local evil="x$ESC]0;owned"$'\a'$'\302\233'"31m"$'\342\200\256'"y"
	for words in "--base /$evil" "--layer /$evil" "--share /$evil" "--mount /$evil:/x" "--hostname $evil" "--isolate $evil" "--size $evil" "--user $evil" \
		"--device /$evil" "--net $evil" "--cap-add $evil" "--workdir /$evil" "--env $evil=1" "--idmap $evil" "--$evil"; do
		# shellcheck disable=SC2086
		run_kennel run --net none $words -- true
		no_escapes "$output"
	done
	run_kennel run --net none -- "/$evil"
	is_status 127
	no_escapes "$output"
	run_kennel info "$evil"
	is_status 125
	no_escapes "$output"
	run_kennel "$evil"
	is_status 125
	no_escapes "$output"
}

@test "names: escape sequences in a mount point of the machine do not come back" {
	need_root "mounts"
	local evil="$T/m${ESC}[31m"$'\a\n'"x"
	mkdir "$evil"
	mount -t tmpfs -o size=64k "evil${ESC}[1m" "$evil"
	at_end umount "$evil"
	run_kennel info --base
	is_status 0
	no_escapes "$output"
	run_kennel -v run -vv --net none -- true
	no_escapes "$output"
}

@test "names: a host name can't hold anything but a name" {
	for name in "a${ESC}[31mb" "a b" $'a\nb' "../x" "-x" "a/b" "" "$(printf 'x%.0s' {1..300})"; do
		run_kennel run --net none --hostname "$name" -- uname -n
		is_status 125
		no_escapes "$output"
	done
	# What a program inside makes of it is its own.
	a_sandbox
	run_kennel run --net none -- sh -c "hostname '${ESC}[31mx'; $P ok"
	has usable "$stdout"
}

@test "names: paths and words that begin with - are paths and words" {
	local name
	cd "$T"
	for name in -rf --help -o --; do
		make_base "$T/base"
		mkdir -p "$T/$name"
		mv "$T/base" "$T/$name/base"
		cp "$P" "$T/$name/base/bin/$name"
		for level in $WALLED; do
			run_kennel run --isolate "$level" --net none --base "./$name/base" -- /bin/probe ok
			is_status 0
			run_kennel run --isolate "$level" --net none --base "./$name/base" --env PATH=/bin -- "$name" ok
			is_status 0
			has usable "$stdout"
			run_kennel run --isolate "$level" --net none --share "./$name" --mount "./$name:/mnt/$name" --workdir "/mnt/$name" -- ./base/bin/probe ok
			is_status 0
			has usable "$stdout"
			run_kennel run --isolate "$level" --net none --hide "$T/$name" -- ls -A "$T/$name"
			is_status 0
			is_equal "$stdout" ""
		done
		rm -rf -- "./$name"
	done
	run_kennel run --net none -- -x
	is_status 127
	cd /
}

@test "names: a lone - or an empty word is refused or not found, never something else" {
	need_root "--layer and images"
	for words in "--base=" "--share=" "--hostname=" "--user=" "--workdir=" "--layer=" "--without=" "--hide="; do
		run_kennel run --net none "$words" -- true
		is_status 125
	done
	run_kennel run --net none -- ""
	is_status 127
	run_kennel info ""
	is_status 125
	run_kennel info ../../etc/passwd
	is_status 125
	run_kennel info -- -1
	is_status 125
}
