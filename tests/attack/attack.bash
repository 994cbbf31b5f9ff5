# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# attack/attack.bash - what the attacks share, on top of integ/lib.bash. "load attack" in tests/attack.
#
# An attack runs as root of a sandbox, with the program probe (probe.c) at hand as $P, at each level that promises to hold. What must not
# happen has an effect that is looked for outside: a secret that may not be seen, a victim that may not change. Then the same sandbox
# must still do ordinary work.

# shellcheck source=tests/integ/lib.bash
load ../integ/lib

WALLED="ns user"
[ "$EUID" -eq 0 ] || WALLED=user

# In /var/tmp, which is seen inside as it is outside.
setup_file() {
	PROBE_DIR=$(mktemp -d /var/tmp/kennel-probe-XXXXXX)
	chmod 0755 "$PROBE_DIR"
	P=$PROBE_DIR/probe
	export PROBE_DIR P
	# script/test has built it
	[ ! -x "${KENNEL_STAGE-}/bin/probe" ] || { cp "$KENNEL_STAGE/bin/probe" "$P" && return; }
	"${CC:-cc}" -std=gnu17 -D_GNU_SOURCE -O1 -static -o "$P" "$BATS_TEST_DIRNAME"/probe*.c
}

teardown_file() {
	[ -z "${PROBE_DIR-}" ] || rm -rf -- "$PROBE_DIR"
}

setup() {
	need_sandbox
	attack_setup
}

# attack_setup: SECRET, which is in $SECRET_FILE outside, and $T/victim.
attack_setup() {
	kennel_setup
	# The host's /tmp is not in a sandbox, so what is found of this inside came through a wall.
	SECRET=kennel-secret-$RANDOM$RANDOM
	SECRET_FILE=$(mktemp /tmp/kennel-secret-XXXXXX)
	echo "$SECRET" >"$SECRET_FILE"
	at_end rm -f -- "$SECRET_FILE"
	# A directory of the host that nothing may be written to or mounted on.
	mkdir "$T/victim"
	echo original >"$T/victim/file"
}

teardown() {
	[ -n "${LIB_STATE-}" ] || return 0
	kennel_teardown
}

# attack LEVEL SCRIPT [OPTION]...: the inside runs SCRIPT in a shell; afterwards ordinary work has to go on in the same sandbox.
attack() {
	local level=$1 script=$2
	shift 2
	case " $* " in
	*" --net "*) ;;
	*) set -- --net none "$@" ;;
	esac
	echo "level $level:"
	run_kennel run --isolate "$level" "$@" -- sh -c "$script
		$P ok"
	is_status 0 && has usable "$stdout" && lacks "$SECRET"
}

victim_untouched() {
	local names
	shopt -s dotglob
	names=("$T"/victim/*)
	shopt -u dotglob
	is_equal "${names[*]}" "$T/victim/file" && is_equal "$(<"$T/victim/file")" original &&
		[[ $(</proc/self/mountinfo) != *" $T/victim"* ]]
}

# make_base DIR: the smallest root: the probe, and what else a shell needs.
make_base() {
	made_once first_base "$1"
}

first_base() {
	local file
	mkdir -p "$1/bin" "$1/etc"
	cp "$P" "$1/bin/probe"
	for file in /bin/sh /bin/cat /bin/ls /bin/mount /bin/umount /bin/chmod /bin/mv /bin/cp; do
		cp -L "$(readlink -f "$file")" "$1/bin/${file##*/}"
		ldd "$1/bin/${file##*/}" | grep -o '/[^ )]*' | while read -r lib; do
			[ -e "$1$lib" ] || install -D "$(readlink -f "$lib")" "$1$lib"
		done
	done
}

# make_disk: a loop device $DISK that holds $SECRET; the real thing an attacker wants to read.
make_disk() {
	need_commands losetup
	truncate -s 1M "$T/disk"
	echo "$SECRET" | dd of="$T/disk" conv=notrunc status=none
	DISK=$(losetup --find --show "$T/disk") || skip "no loop devices here"
	at_end losetup --detach "$DISK"
	DISK_MAJOR=$((0x$(stat -c %t "$DISK")))
	DISK_MINOR=$((0x$(stat -c %T "$DISK")))
}

disk_untouched() {
	is_equal "$(head -n 1 "$T/disk" | tr -d '\0')" "$SECRET"
}

# a_sandbox [OPTION]...: one that sleeps in the background; ID and INIT (its pid outside) are set.
a_sandbox() {
	local before
	before=$("$KENNEL" list -q | sort)
	background "$KENNEL" run --net none "$@" -- sh -c 'echo up; exec sleep 600'
	wait_for 10 says "$T/out.$LIB_STARTED" up
	MONITOR=$!
	ID=$("$KENNEL" list --json | jq -r ".[] | select(.pid == $MONITOR) | .id")
	INIT=$("$KENNEL" list --json | jq -r ".[] | select(.pid == $MONITOR) | .init")
	[ -n "$ID" ] && [ -d "/proc/$INIT" ]
}
