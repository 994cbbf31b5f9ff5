# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# integ/lib.bash - what the bats files share: "load lib" in tests/integ, "load ../integ/lib" in tests/attack.
#
# Given by script/test: KENNEL (the release program), KENNEL_STAGE (a copy of tests/ that everybody can read),
# KENNEL_TEST_USER. By hand: KENNEL=build/cli/kennel bats tests/integ/NN-topic.bats.
#
# A file that needs a setup of its own calls kennel_setup first in setup() and kennel_teardown last in teardown(). Between
# the two, $T is a directory of the test's own (in /var/tmp, which a sandbox sees as the host does; its /tmp is new), and what the test started or made through the helpers is undone in reverse.
# The teardown then compares the machine with what it was: a test that leaves something fails by itself, with a name.

export LC_ALL=C.UTF-8
: "${KENNEL_TEST_USER:=kennel-test}"
LIB_TOP=$(cd "${BASH_SOURCE[0]%/*}/../.." && pwd -P)
if [ -z "${KENNEL-}" ]; then
	for LIB_TRY in "$LIB_TOP/build/cli/kennel" "$LIB_TOP/build/kennel"; do
		[ ! -x "$LIB_TRY" ] || KENNEL=$LIB_TRY
	done
fi
export KENNEL
# shellcheck source=tools/host-state
. "$LIB_TOP/tools/host-state"

setup() {
	kennel_setup
}

teardown() {
	kennel_teardown
}

# Hundreds of tests pass here and a fork is dear, so there are few: two directories made and removed at once, one find in host_state.
kennel_setup() {
	# bats looks at the stack before each command, which takes as long as forty commands; not in helpers any more, whose callers
	# are what a failed test names.
	set +T
	[ -x "${KENNEL-}" ] || {
		echo "KENNEL is not set to the program"
		return 1
	}
	# What the helpers keep is beside $T: a later test may mount or chmod anything in there.
	until T=${TMPDIR:-/var/tmp}/kennel-integ-$BASHPID-$RANDOM$RANDOM && LIB_STATE=${T/kennel-integ-/kennel-state-} && [ ! -e "$T" ]; do :; done
	mkdir -m 0755 "$T" "$LIB_STATE"
	LIB_UNDO=$LIB_STATE/undo
	: >"$LIB_UNDO"
	host_state
	LIB_BEFORE=$HOST_STATE
}

kennel_teardown() {
	local n status=0 undo
	set +T
	mapfile -t undo <"$LIB_UNDO"
	for ((n = ${#undo[@]} - 1; n >= 0; n--)); do
		eval "${undo[n]}" || {
			echo "clean-up failed: ${undo[n]}"
			status=1
		}
	done
	no_leaks || status=1
	rm -rf --one-file-system -- "$T" "$LIB_STATE"
	return $status
}

# at_end COMMAND [ARG]...: run when the test is over, last come first.
at_end() {
	local words
	printf -v words '%q ' "$@"
	printf '%s\n' "$words" >>"$LIB_UNDO"
}

# no_leaks: is the machine as kennel_setup found it? Waits for what is just going away, which takes long only where others have the
# processors. Prints what differs. An entry or control group that was forgotten before the test may go.
no_leaks() {
	local try tries=${LIB_TRIES:-50}
	for ((try = 1; try <= tries; try++)); do
		host_state
		[ "$HOST_STATE" != "$LIB_BEFORE" ] || return 0
		LIB_DIFF=$(diff <(LC_ALL=C sort -u <<<"$LIB_BEFORE") <(LC_ALL=C sort -u <<<"$HOST_STATE") | sed -n '
			/^< runtime /d; /^< cgroup /d
			s/^< /  taken away: /p; s/^> /  left behind: /p')
		[ -n "$LIB_DIFF" ] || return 0
		[ "$try" = "$tries" ] || pause 0.2
	done
	printf 'the machine is not as it was before the test:\n%s\n' "$LIB_DIFF"
	return 1
}

# run_kennel ARG...: like bats' run, of the program; then $status, $output (both streams), $stdout and $stderr are set.
# Standard input is empty.
run_kennel() {
	status=0
	"$KENNEL" "$@" </dev/null >"$LIB_STATE/stdout" 2>"$LIB_STATE/stderr" || status=$?
	stdout=$(<"$LIB_STATE/stdout")
	stderr=$(<"$LIB_STATE/stderr")
	output=$stdout${stdout:+${stderr:+$'\n'}}$stderr
	# Seen only when the test fails.
	printf '$ kennel %s\n%s\n(exit code %s)\n' "$*" "$output" "$status"
}

# as_user COMMAND [ARG]...: as the ordinary test user, with a runtime directory and a home of its own.
as_user() {
	# not that of the user's own stream, whose tests look for what is left there
	local runtime=$T/runtime-of-user
	if [ "$EUID" -ne 0 ]; then
		"$@"
		return
	fi
	[ -d "$runtime" ] || install -d -m 0700 -o "$KENNEL_TEST_USER" "$runtime"
	[ -n "${LIB_USER_GID-}" ] || LIB_USER_GID=$(id -g "$KENNEL_TEST_USER")
	setpriv --reuid "$KENNEL_TEST_USER" --regid "$LIB_USER_GID" --init-groups env HOME="/home/$KENNEL_TEST_USER" USER="$KENNEL_TEST_USER" \
		XDG_RUNTIME_DIR="$runtime" "$@"
}

# is_status CODE, has TEXT [IN], lacks TEXT [IN]: assertions that say what was there instead. IN is "$output" unless given.
is_status() {
	[ "$status" -eq "$1" ] || {
		echo "exit code $status, expected $1"
		return 1
	}
}

has() {
	local text=${2-$output}
	[[ $text == *"$1"* ]] || {
		printf 'not found: %s\nin: %s\n' "$1" "$text"
		return 1
	}
}

lacks() {
	local text=${2-$output}
	[[ $text != *"$1"* ]] || {
		printf 'found: %s\nin: %s\n' "$1" "$text"
		return 1
	}
}

is_equal() {
	[ "$1" = "$2" ] || {
		printf 'got:      %s\nexpected: %s\n' "$1" "$2"
		return 1
	}
}

# refused HINTED TEXT: the last run_kennel failed by itself (125), in one sentence that has TEXT, with a hint where HINTED is yes.
refused() {
	local lines
	mapfile -t lines <<<"$stderr"
	is_status 125 || return 1
	has "$2" "$stderr" || return 1
	case $1 in
	yes) [ ${#lines[@]} -eq 2 ] ;;
	no) [ ${#lines[@]} -eq 1 ] ;;
	esac || {
		printf 'expected one sentence (and a hint: %s), got:\n%s\n' "$1" "$stderr"
		return 1
	}
}

# need_root [FOR], need_sandbox and need_commands NAME...: a test that can't run here says why. need_root is for what is refused to
# an ordinary user by design, or what a test does outside.
need_root() {
	[ "$EUID" -eq 0 ] || skip "needs root${1:+: $1}"
}

# levels LEVEL...: those of them that this user can have.
levels() {
	if [ "$EUID" -eq 0 ]; then
		echo "$@"
	else
		echo user
	fi
}

need_sandbox() {
	[ "$EUID" -ne 0 ] || return 0
	[ -w /dev/fuse ] || skip "no fuse device that this user may open"
	[ -e "$BATS_FILE_TMPDIR/namespaces" ] && return 0
	unshare --user true 2>/dev/null || skip "no user namespaces for this user"
	: >"$BATS_FILE_TMPDIR/namespaces"
}

# For --isolate vm.
need_guest() {
	need_sandbox
	[ "$(uname -m)" = x86_64 ] || skip "User Mode Linux is for x86-64"
	need_commands linux.uml
}

need_commands() {
	local name
	for name in "$@"; do
		command -v "$name" >/dev/null || skip "$name is not installed"
	done
}

# pause SECONDS: a sleep that forks only the first time in a file: a read of what nobody writes.
pause() {
	local never=${BATS_FILE_TMPDIR:-$T}/never
	[ -p "$never" ] || mkfifo "$never"
	read -rt "$1" <>"$never" || :
}

# says FILE TEXT: without a fork (bash 5.2).
says() {
	[[ -e $1 && $(<"$1") == *"$2"* ]]
}

# wait_for SECONDS COMMAND [ARG]...: until the command succeeds. SECONDS is what a machine may need that has little to do; others have a minute
# in any case, for the limit is there to end a test that hangs: a test that wants to be sure of a speed can't have it from here.
wait_for() {
	local end=$((SECONDS + ($1 > 60 ? $1 : 60)))
	shift
	until "$@"; do
		if [ $SECONDS -ge $end ]; then
			echo "waited in vain for: $*"
			return 1
		fi
		pause 0.05
	done
}

# background COMMAND [ARG]...: starts it; its id is $!, its streams go to $T/out.N and $T/err.N. Ended at the end of the test.
LIB_STARTED=0
background() {
	LIB_STARTED=$((LIB_STARTED + 1))
	"$@" </dev/null >"$T/out.$LIB_STARTED" 2>"$T/err.$LIB_STARTED" 3>&- &
	at_end lib_end_process $!
}

lib_end_process() {
	local try
	# A shell that has yet to become the program loses a signal.
	for ((try = 1; try <= 100; try++)); do
		[ "/proc/$1/exe" -ef "/proc/$BASHPID/exe" ] || break
		pause 0.02
	done
	kill -TERM "$1" 2>/dev/null || return 0
	for ((try = 1; try <= 1000; try++)); do
		kill -0 "$1" 2>/dev/null || return 0
		pause 0.05
	done
	echo "process $1 had to be killed (try $try)"
	kill -KILL "$1" 2>/dev/null
	return 1
}

# make_loop_fs TYPE SIZE MOUNTPOINT: a file system of its own on a loop device, mounted; needs root.
make_loop_fs() {
	local image device
	need_root "loop devices"
	need_commands losetup "mkfs.$1"
	image=$(mktemp "$T/image-XXXXXX")
	truncate -s "$2" "$image"
	case $1 in
	btrfs | xfs) "mkfs.$1" -q -f "$image" ;;
	*) "mkfs.$1" -q -F "$image" ;;
	esac
	device=$(losetup --find --show "$image") || skip "no loop devices here"
	at_end losetup --detach "$device"
	mkdir -p "$3"
	mount "$device" "$3"
	at_end umount "$3"
}

# host_snapshot FILE [PATH...]: everything that a write leaves a trace in, for whole trees at once: type, mode, owner, links,
# size, and above all the change time, which no program can set back. Contents too for what is small and matters most.
host_snapshot() {
	local file=$1
	shift
	[ $# -gt 0 ] || set -- /bin /boot /etc /lib /lib64 /opt /sbin /srv /usr
	{
		find "$@" -xdev -printf '%p %y %m %U:%G %n %s %T@ %C@ %i %l\0' 2>/dev/null | LC_ALL=C sort -z | tr '\0' '\n'
		find /etc -xdev -type f -size -1024k -exec sha256sum -- {} + 2>/dev/null | LC_ALL=C sort
		stat -c '%n %F %a %u:%g %Y %Z' / /home /root /var 2>/dev/null
	} >"$file"
}

# host_same FILE [PATH...]: the same paths again; prints what changed.
host_same() {
	local file=$1
	shift
	host_snapshot "$file.now" "$@"
	cmp -s "$file" "$file.now" && return 0
	echo "the host has changed:"
	diff "$file" "$file.now" | head -n 20
	return 1
}

# made_once MAKER DIR: what MAKER DIR would make there, which it does once in a file; it is copied from then on.
made_once() {
	local first=$BATS_FILE_TMPDIR/$1
	if [ ! -e "$first" ]; then
		"$1" "$first.new" && mv "$first.new" "$first" || return 1
	fi
	mkdir -p "$2"
	cp -a "$first/." "$2/"
}

# The ids of what runs now.
sandbox_ids() {
	"$KENNEL" list --json | jq -r '.[].id // empty'
}

# stop_all: ends and removes the containers of $T/store, for at_end.
stop_all() {
	local name
	for name in $("$KENNEL" list -kq -P "$T/store" 2>/dev/null); do
		"$KENNEL" stop --kill "$name" >/dev/null 2>&1 || :
		"$KENNEL" wait -P "$T/store" -t 60 "$name"
		"$KENNEL" rm -P "$T/store" "$name"
	done
	"$KENNEL" gc >/dev/null
}

# kill_points PREPARE CHECK COMMAND [ARG]...: runs the command once whole, then again and again, killed with SIGKILL before each call in
# turn that changes something outside of its process, its exit included (tests/harness/stop-at.c says what that is, and why there is
# nothing to be learned from the others; with KENNEL_TEST_EVERY_CALL=1 it is each call that there is). PREPARE sets the scene anew each
# time; CHECK looks at what is left, that of the whole run too, and is told where it was: "N NAME". Sets POINTS, how many there are. A run of the
# tests takes KENNEL_TEST_POINTS (18; 12 as root where both users run them; or "all") of them, at a stride that is a prime number and from another one on each time. What it heeds:
#   POINT_FOLLOW=yes   calls of children count too, and all of them are killed
#   POINT_STEP=N       only each Nth point, where all are taken
#   POINT_CALL=NAME    only these calls
#   POINT_EXIT=CODE    the command's own exit code, where it is not 0
#   POINT_ON=yes       for fail_points: the same call of that process fails from then on, not once
#   POINT_READS=DIR    for fail_points: calls that read what is on the file system of DIR fail, too
#   SCENE=(NAME...)    the variables that name what a test changes below $T, in COMMAND too. Then half of the points have a scene of their
#                      own, side by side with the others, in which $T and these are other places; SCENE_END ends it, if it is set.
kill_points() {
	lib_each_point kill "$@"
}

# fail_points ERRORS PREPARE CHECK COMMAND [ARG]...: the same with each of these calls failing once, and those that bring things to the disk:
# with the ERRORS (ENOSPC, EIO) in turn. In CHECK, $status is the command's exit code, and POINT_OUT the file with what it said.
fail_points() {
	lib_each_point "$@"
}

lib_each_point() {
	local what=$1 prepare=$2 check=$3 worker=
	shift 3
	lib_stop_at "$what" || return 1
	"$prepare" || return 1
	status=0
	POINT_OUT=$LIB_STATE/point-out
	"${LIB_STOP_AT[@]}" list "$LIB_STATE/calls" "$@" </dev/null >"$POINT_OUT" 2>&1 3>&- || status=$?
	[ "$status" -eq "${POINT_EXIT:-0}" ] || {
		echo "the command fails by itself with $status:"
		cat "$POINT_OUT"
		return 1
	}
	"$check" "0 whole" || {
		echo "after the command, whole:"
		cat "$POINT_OUT"
		return 1
	}
	case ${KENNEL_TEST_EVERY_CALL-}$what in
	kill) grep ' well$' "$LIB_STATE/calls" ;;
	1kill) cat "$LIB_STATE/calls" ;;
	*) grep -v ' exit' "$LIB_STATE/calls" ;;
	esac >"$LIB_STATE/all-points"
	lib_sample
	if [ ${#SCENE[@]} -gt 0 ]; then
		lib_other_scene "$@" >"$LIB_STATE/worker" 2>&1 3>&- &
		worker=$!
	fi
	local status_here=0
	lib_points_of 0 "$@" || status_here=1
	if [ -n "$worker" ]; then
		wait "$worker" || {
			status_here=1
			cat "$LIB_STATE/worker"
		}
		cat "$LIB_STATE"/other/undo >>"$LIB_UNDO"
		rm -rf "$LIB_STATE/other"
	fi
	return $status_here
}

# Which of the points this run takes.
lib_sample() {
	local points step=${POINT_STEP:-1} most=${KENNEL_TEST_POINTS:-18} n
	# what both users run, root runs at fewer of them
	if [ -z "${KENNEL_TEST_POINTS-}" ] && [ "$EUID" -eq 0 ] && grep -q '^# runs-as: root user' "$BATS_TEST_FILENAME"; then
		most=12
	fi
	mapfile -t points <"$LIB_STATE/all-points"
	POINTS=${#points[@]}
	[ "$most" != all ] || most=$((POINTS + 1))
	for n in 1 2 3 5 7 11 13 17 19 23 29 31 37 41 43 47 53 59 61 67 71 73 79 83 89 97; do
		[ $((step * most)) -lt "$POINTS" ] || break
		[ "$n" -le "$step" ] || step=$n
	done
	for ((n = POINTS > 0 ? ${KENNEL_TEST_START:-0} % (step < POINTS ? step : POINTS) : 0; n < POINTS; n += step)); do
		printf '%s\n' "${points[n]}"
	done >"$LIB_STATE/points"
}

# Every second point, in a place of its own. Runs in a process of its own.
lib_other_scene() {
	local old=$T name word words=() result=0
	mkdir -p "$T/other" "$LIB_STATE/other"
	: >"$LIB_STATE/other/undo"
	cp "$LIB_STATE/points" "$LIB_STATE/other/"
	LIB_STATE=$LIB_STATE/other
	LIB_UNDO=$LIB_STATE/undo
	T=$T/other
	POINT_OUT=$LIB_STATE/point-out
	for name in "${SCENE[@]}"; do
		printf -v "$name" %s "${!name/#"$old"/"$T"}"
	done
	for word in "$@"; do
		words+=("${word/#"$old"/"$T"}")
	done
	lib_points_of 1 "${words[@]}" || result=1
	[ -z "${SCENE_END-}" ] || "$SCENE_END" || result=1
	return $result
}

# The points of this half.
lib_points_of() {
	local half=$1 n name turn=0 errors now
	shift
	read -ra errors <<<"$what"
	while read -r n name _; do
		turn=$((turn + 1))
		[ ${#SCENE[@]} -eq 0 ] || [ $((turn % 2)) -eq "$half" ] || continue
		now=${errors[$((turn / 2 % ${#errors[@]}))]}
		"$prepare" || {
			echo "no scene for $now in $n $name; the last one's output:"
			cat "$POINT_OUT"
			return 1
		}
		status=0
		# The braces take what bash has to say of the killed one.
		{ "${LIB_STOP_AT[@]}" "$now" "$n" "$@" </dev/null >"$POINT_OUT" 2>&1 3>&- || status=$?; } 2>/dev/null
		"$check" "$n $name" || {
			echo "after $now in $n $name (exit code $status):"
			cat "$POINT_OUT"
			return 1
		}
	done <"$LIB_STATE/points"
}

# lib_stop_at WHAT: the program that stops others, with its options: script/test has built it; by hand it is built here.
lib_stop_at() {
	local program=${KENNEL_STAGE-}/bin/stop-at
	if [ ! -x "$program" ]; then
		program=$LIB_STATE/stop-at
		[ -x "$program" ] || cc -std=gnu17 -O1 -o "$program" "$LIB_TOP/tests/harness/stop-at.c" || return 1
	fi
	LIB_STOP_AT=("$program")
	[ -z "${POINT_FOLLOW-}" ] || LIB_STOP_AT+=(-f)
	[ -z "${POINT_ON-}" ] || LIB_STOP_AT+=(-o)
	[ -z "${POINT_CALL-}" ] || LIB_STOP_AT+=(-c "$POINT_CALL")
	[ -z "${POINT_READS-}" ] || LIB_STOP_AT+=(-r "$POINT_READS")
	[ "${KENNEL_TEST_EVERY_CALL-}$1" != 1kill ] || LIB_STOP_AT+=(-A)
}
SCENE=()
