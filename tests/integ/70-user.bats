#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: user
# What an ordinary user has: the same copy, with true owners, by a view server and stand-ins for what that user can't read. What is
# the same for root is in the other files, which run as both.

load lib

setup() {
	[ "$EUID" -ne 0 ] || skip "for an ordinary user"
	[ -w /dev/fuse ] || skip "no fuse device that this user may open"
	unshare --user true 2>/dev/null || skip "no user namespaces for this user"
	kennel_setup
	cd "$T"
}

teardown() {
	[ -z "${LIB_STATE-}" ] || kennel_teardown
}

# inside [OPTION]... -- SCRIPT [WORD]...
inside() {
	local options=()
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	run_kennel run --net none "${options[@]}" -- bash -c "$2" bash "${@:3}"
}

# start [OPTION]... -- SCRIPT: goes on after SCRIPT; $ID, $MONITOR and $SERVER (the view server's process) are set.
start() {
	local options=()
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	background "$KENNEL" run --net "${NET-none}" "${options[@]}" -- sh -c "$2"' && echo ready; exec sleep 300'
	MONITOR=$!
	wait_for 20 says "$T/out.$LIB_STARTED" ready
	ID=$("$KENNEL" list --json | jq -r ".[] | select(.pid == $MONITOR) | .id")
	SERVER=$(pgrep -P "$MONITOR" -f kennel-view)
	[ -n "$ID" ] && [ -n "$SERVER" ]
}

gone() {
	! kill -0 "$1" 2>/dev/null
}

# without_range SCRIPT [WORD]...: a shell in which this user has no line in /etc/subuid and /etc/subgid; root of a namespace of its
# own is all that takes, and the way back to the own id.
without_range() {
	printf 'somebody:100000:65536\n' >"$T/no-ids"
	status=0
	unshare --user --map-root-user --mount --propagation private bash -c '
		mount --bind "$1" /etc/subuid && mount --bind "$1" /etc/subgid || exit 99
		exec unshare --user --map-user="$2" --map-group="$3" bash -c "$4" bash "${@:5}"' bash \
		"$T/no-ids" "$(id -u)" "$(id -g)" "$@" </dev/null >"$LIB_STATE/stdout" 2>"$LIB_STATE/stderr" || status=$?
	stdout=$(<"$LIB_STATE/stdout")
	stderr=$(<"$LIB_STATE/stderr")
	output=$stdout$'\n'$stderr
	printf '%s\n(exit code %s)\n' "$output" "$status"
}

@test "user: root inside, nobody's id outside, and the owners of files are true" {
	inside -- 'id -u; id -g; stat -c "%U:%G %a" /etc/passwd /usr/bin/passwd /etc; stat -c %u:%g "$1"
		find /etc /usr/bin /usr/sbin /usr/lib/x86_64-linux-gnu /var/lib/dpkg -xdev -printf "passwd %U\ngroup %G\n" | sort -u | while read -r what id; do getent "$what" "$id" >/dev/null || echo "$what $id"; done | wc -l
		cat /proc/self/uid_map' "$T"
	is_status 0
	is_equal "$(head -n 6 <<<"$stdout")" "$(printf '%s\n' 0 0; stat -c '%U:%G %a' /etc/passwd /usr/bin/passwd /etc; id -u):$(id -g)"
	is_equal "$(sed -n 7p <<<"$stdout")" 0
	# root inside is of the subordinate range, the own id stays what it is
	lacks " $(id -u) 1" "$(sed -n 8p <<<"$stdout")"
	[[ $stdout =~ \ +$(id -u)\ +$(id -u)\ +1$'\n' ]]
}

@test "user: apt-get installs from the network" {
	need_commands pasta
	[ -w /dev/net/tun ] || skip "no tun device that this user may open"
	run_kennel run -- timeout 300 sh -c 'rm -f /var/lib/man-db/auto-update; apt-get install -q -y hello 2>&1 || exit 9; hello && dpkg -s hello | grep ^Status'
	if [ "$status" -eq 9 ] && grep -qi 'temporary failure\|could not connect\|unable to connect' <<<"$output"; then
		skip "no package server in reach"
	fi
	is_status 0
	has $'Hello, world!\nStatus: install ok installed'
	[ ! -e /usr/bin/hello ]
}

@test "user: the locks of dpkg and apt, users, su, chown, capabilities, hard links" {
	inside -- 'set -e; touch /var/lib/dpkg/lock /var/lib/apt/lists/lock; flock -n /var/lib/dpkg/lock true
		useradd -m -s /bin/sh probe; su - probe -c "id -un; pwd; touch x; stat -c %U x"; echo probe:secret | chpasswd; grep -c "^probe:[$]" /etc/shadow
		touch f; chown 33:33 f; stat -c %u:%g f; cp /bin/true t; setcap cap_net_raw=ep t; getcap t; ln f g; stat -c %h g; ln /usr/bin/id own-id; stat -c %h own-id
		chown 33:33 /usr/bin/id; stat -c %u /usr/bin/id'
	is_status 0
	is_equal "$stdout" $'probe\n/home/probe\nprobe\n1\n33:33\nt cap_net_raw=ep\n2\n2\n33'
}

@test "user: directories of the base are moved and deleted" {
	inside -- 'mv /etc/apt /etc/apt.old && ls -d /etc/apt.old && mv /usr/share/perl5 /usr/share/perl && [ ! -e /usr/share/perl5 ] && [ -d /usr/share/perl ] && echo moved
		rm -rf /etc /var/lib /root /opt /usr/share/perl /usr/share/bash-completion; [ ! -e /etc ] && [ ! -e /var/lib ] && [ ! -e /usr/share/perl ] && echo deleted; mkdir /etc; ls -A /etc'
	is_status 0
	is_equal "$stdout" $'/etc/apt.old\nmoved\ndeleted'
	[ -d /etc/apt ] && [ -d /usr/share/perl5 ]
}

@test "user: what can't be read has a stand-in, and nothing secret is inside" {
	inside -- 'cut -d: -f1 /etc/shadow | sort; echo -- ; cut -d: -f2 /etc/shadow | sort -u; stat -c "%U:%G %a" /etc/shadow; cut -d: -f2 /etc/gshadow | sort -u; ls -A /root /etc/ssl/private | wc -l'
	is_status 0
	is_equal "$(sed '/^--$/,$d' <<<"$stdout")" "$(cut -d: -f1 /etc/passwd | sort)"
	is_equal "$(sed '1,/^--$/d' <<<"$stdout" | head -n 1)" '*'
	is_equal "$(sed '1,/^--$/d' <<<"$stdout" | sed -n 2p)" "$(stat -c '%U:%G %a' /etc/shadow)"
	lacks '$y$'
	lacks '$6$'
	# Whatever is unreadable outside is empty or closed inside: of each file, how much came in.
	find /etc /var/lib/dpkg /var/lib/apt /var/cache/debconf /var/log -xdev -type f ! -readable 2>/dev/null >"$T/closed" || :
	[ -s "$T/closed" ]
	inside -- 'while read -r f; do case $f in /etc/shadow | /etc/gshadow) ;; *) [ -s "$f" ] && cat "$f" 2>/dev/null | head -c 1 | grep -q . && echo "$f"; esac; done <"$1"; :' "$T/closed"
	is_status 0
	is_equal "$stdout" ""
}

@test "user: a file of one's own that is closed is no secret from oneself, and one that becomes readable is" {
	mkdir -m 0700 "$T/own"
	echo mine >"$T/own/file"
	chmod 0600 "$T/own/file"
	inside -- 'cat own/file; stat -c "%u %a" own/file'
	is_equal "$stdout" "mine"$'\n'"$(id -u) 600"
	chmod 0000 "$T/own/file"
	inside -- 'cat own/file; stat -c "%u %a %s" own/file'
	is_status 0
	chmod 0600 "$T/own/file"
	inside -- 'cat own/file'
	is_equal "$stdout" mine
}

@test "user: the tree is complete and its content the same" {
	# without what this user can't list, which is what find leaves out itself
	find /usr/bin /usr/sbin /usr/lib/x86_64-linux-gnu /etc/alternatives -xdev -printf '%p %y %m %U:%G %s %l\n' 2>/dev/null | grep -v ' d ' | LC_ALL=C sort >"$T/outside"
	(cd /usr/bin && find . -type f -size -4096k -readable -exec sha256sum {} + | LC_ALL=C sort) >"$T/sums"
	start --share "$T" -- ':'
	inside --share "$T" -- 'find /usr/bin /usr/sbin /usr/lib/x86_64-linux-gnu /etc/alternatives -xdev -printf "%p %y %m %U:%G %s %l\n" 2>/dev/null | grep -v " d " | LC_ALL=C sort >inside
		(cd /usr/bin && find . -type f -size -4096k -readable -exec sha256sum {} + | LC_ALL=C sort) >sums-inside'
	is_status 0
	diff "$T/outside" "$T/inside" | head
	cmp "$T/outside" "$T/inside"
	cmp "$T/sums" "$T/sums-inside"
}

@test "user: what changes outside is seen inside within a second" {
	mkdir "$T/d"
	echo one >"$T/d/file"
	# The word comes through a pipe, so the inside looks a second after the change and not before.
	mkfifo "$T/go"
	background "$KENNEL" run --net none --share "$T/go" -- sh -c 'cat "$0/d/file" >/dev/null; ls "$0/d" >/dev/null; echo ready; cat "$0/go" >/dev/null
		cat "$0/d/file" "$0/d/new"; ls "$0/d"' "$T"
	local out=$T/out.$LIB_STARTED
	wait_for 20 says "$out" ready
	echo two >"$T/d/file"
	echo new >"$T/d/new"
	sleep 1.1
	echo >"$T/go"
	wait_for 10 grep -q '^new$' "$out"
	wait_for 10 gone $!
	is_equal "$(tail -n +2 "$out")" $'two\nnew\nfile\nnew'
}

@test "user: an answer of the view server that the kernel does not take is given again; if that fails, too, it ends, and nothing hangs" {
	need_commands cc
	local POINT_FOLLOW=yes POINT_CALL=writev KENNEL_TEST_POINTS=${KENNEL_TEST_POINTS:-8}
	fail_points EIO true answered "$KENNEL" run --net none -- cat /etc/passwd
	[ "$POINTS" -gt 1 ]
	POINT_ON=yes fail_points EIO true ended "$KENNEL" run --net none -- cat /etc/passwd
}

answered() {
	[ "$status" -eq 0 ] && grep -q ^root: "$POINT_OUT"
}

# With an error, before the command or in it, which may be SIGBUS for a page that can't be had; or the command had all it wanted by then.
ended() {
	[ "$status" -eq 135 ] || [ -s "$POINT_OUT" ] && { [ "$status" -ne 0 ] || grep -q ^root: "$POINT_OUT"; }
}

@test "user: the view server killed is an error inside, not a hang, and nothing is left" {
	background "$KENNEL" run --net none -- sh -c 'echo ready; while :; do read -r l </etc/issue; sleep 0.1; [ -e /etc/nothing-$(date +%N) ]; done'
	MONITOR=$!
	wait_for 20 says "$T/out.$LIB_STARTED" ready
	SERVER=$(pgrep -P "$MONITOR" -f kennel-view)
	kill -KILL "$SERVER"
	pause 2
	gone "$MONITOR" || {
		# What is in the page cache may go on; whatever asks the server must fail at once.
		kill -TERM "$MONITOR"
		wait_for 10 gone "$MONITOR"
	}
	is_equal "$(sandbox_ids)" ""
}

@test "user: a killed server is EIO or ENOTCONN for who asks it" {
	background "$KENNEL" run --net none -- python3 -c '
import errno, os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
print("ready", flush=True)
signal.sigwait({signal.SIGUSR1})
for call in (lambda: os.listdir("/usr/share/zoneinfo/Pacific"), lambda: open("/usr/share/misc/magic-" + "x").close()):
    try:
        call()
        print("no error")
    except OSError as e:
        print(errno.errorcode[e.errno], flush=True)
'
	MONITOR=$!
	wait_for 20 says "$T/out.$LIB_STARTED" ready
	kill -KILL "$(pgrep -P "$MONITOR" -f kennel-view)"
	kill -USR1 "$MONITOR"
	wait_for 10 gone "$MONITOR"
	cat "$T/out.$LIB_STARTED"
	[[ $(sed -n 2p "$T/out.$LIB_STARTED") =~ ^(EIO|ENOTCONN|ECONNABORTED)$ ]]
}

@test "user: kennel killed leaves no server, no pasta, no process and no entry" {
	local what
	[ ! -w /dev/net/tun ] || ! command -v pasta >/dev/null || NET=nat
	start -- ':'
	what=$(pgrep -P "$MONITOR")
	[ -n "$what" ]
	kill -KILL "$MONITOR"
	for pid in $what; do
		wait_for 10 gone "$pid"
	done
	wait_for 10 sh -c '[ -z "$(pgrep -u "$(id -u)" -x "kennel-view|pasta.*|kennel-init")" ]'
	is_equal "$(ls -A "$XDG_RUNTIME_DIR/kennel")" ""
}

@test "user: a thousand descriptors later there are as many as before" {
	start -- ':'
	local before after
	before=$(find "/proc/$MONITOR/fd" -mindepth 1 | wc -l)
	"$KENNEL" info "$ID" >/dev/null
	"$KENNEL" list >/dev/null
	after=$(find "/proc/$MONITOR/fd" -mindepth 1 | wc -l)
	is_equal "$after" "$before"
	ls -l "/proc/$MONITOR/fd"
	[ "$before" -lt 30 ]
	# nobody but the server holds the device: or requests would hang when it dies
	lacks /dev/fuse "$(ls -l "/proc/$MONITOR/fd")"
}

@test "user: each server of several killed is an error inside, not a hang" {
	need_commands mksquashfs
	mkdir -p "$T/layer/opt/of-layer" "$T/real" "$T/dir/opt/of-dir"
	seq -f name-%g 200 | (cd "$T/layer/opt/of-layer" && xargs touch)
	seq -f name-%g 200 | (cd "$T/dir/opt/of-dir" && xargs touch)
	seq -f name-%g 200 | (cd "$T/real" && xargs touch)
	mksquashfs "$T/layer" "$T/image" -quiet -no-progress >/dev/null
	background "$KENNEL" run --net none --layer "$T/image" --layer "$T/dir" --share "$T/real:ro" -- python3 -c '
import errno, os, signal, sys, time
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
print("ready", flush=True)
signal.sigwait({signal.SIGUSR1})
for name in sys.argv[1:]:
    try:
        print(len(os.listdir(name)), flush=True)
    except OSError as e:
        print(errno.errorcode[e.errno], flush=True)
' /opt/of-layer /opt/of-dir "$T/real"
	MONITOR=$!
	local out=$T/out.$LIB_STARTED
	wait_for 20 says "$out" ready
	is_equal "$(pgrep -P "$MONITOR" -f 'kennel-(view|image)' | wc -l)" 4
	pgrep -P "$MONITOR" -f 'kennel-(view|image)' | xargs kill -KILL
	kill -USR1 "$MONITOR"
	wait_for 10 gone "$MONITOR"
	cat "$out"
	is_equal "$(tail -n +2 "$out" | grep -Ecx 'EIO|ENOTCONN|ECONNABORTED')" 3
}

@test "user: the image server can't do anything but read and serve" {
	need_commands mksquashfs
	mkdir "$T/layer"
	echo text >"$T/layer/file"
	mksquashfs "$T/layer" "$T/image" -quiet -no-progress >/dev/null
	start --layer "$T/image" -- 'cat /file'
	local image
	image=$(pgrep -P "$MONITOR" -f kennel-image)
	grep -q '^Seccomp:.2$' "/proc/$image/status"
	grep -q '^NoNewPrivs:.1$' "/proc/$image/status"
	# not to be traced
	is_equal "$(stat -c %U "/proc/$image/fd")" root
	run_kennel cp "$ID:/file" "$T/copy"
	is_equal "$(cat "$T/copy")" text
	kill -KILL "$MONITOR"
	wait_for 10 gone "$image"
}

@test "user: list, info and what was replaced" {
	start --hostname box -- ':'
	run_kennel list
	has "$ID"
	run_kennel info "$ID"
	has /etc/shadow
	has "this user can't read"
	run_kennel info --json "$ID"
	is_equal "$(jq -r '.replaced | index("/etc/shadow") != null' <<<"$stdout")" true
	is_equal "$(jq -r .isolate <<<"$stdout")" user
	[[ $(jq -r .idmap <<<"$stdout") =~ ^[1-9][0-9]+:[0-9]+$ ]]
}

@test "user: cp in both directions, into places of root's" {
	start -- 'cd /root && echo inside >f && chmod 640 f && mkdir d && ln f d/g && chown 33 d'
	run_kennel cp "$ID:/root/f" "$T/f"
	is_status 0
	is_equal "$(cat "$T/f") $(stat -c '%a %u' "$T/f")" "inside 640 $(id -u)"
	run_kennel cp "$ID:/root/d" "$T/d"
	is_status 0
	is_equal "$(cat "$T/d/g")" inside
	echo outside >"$T/in"
	run_kennel cp "$T/in" "$ID:/etc/in"
	is_status 0
	run_kennel cp "$ID:/etc/in" "$T/back"
	is_equal "$(cat "$T/back")" outside
	[ ! -e /etc/in ]
	run_kennel cp "$ID:/etc/passwd" "$T/passwd"
	cmp /etc/passwd "$T/passwd"
}

@test "user: --base DIR, --hide, --without" {
	mkdir -p "$T/base/bin" "$T/base/etc" "$T/base/secret"
	cp "$(command -v bash)" "$T/base/bin/bash"
	ldd "$T/base/bin/bash" 2>/dev/null | grep -o '/[^ )]*' | while read -r lib; do install -D "$lib" "$T/base$lib"; done
	echo closed >"$T/base/secret/file"
	cd "$T"
	run_kennel run --net none --base "$T/base" -- /bin/bash -c 'echo "$UID"; echo x >/etc/new && read -r l </etc/new && echo "$l"; [ -e /secret/file ] && echo there'
	is_status 0
	is_equal "$stdout" $'0\nx\nthere'
	[ ! -e "$T/base/etc/new" ]
	run_kennel run --net none --base "$T/base" --hide /secret -- /bin/bash -c '[ -d /secret ] && [ ! -e /secret/file ] && echo hidden'
	is_equal "$stdout" hidden
	run_kennel run --net none --base "$T/base" --without /secret -- /bin/bash -c '[ ! -e /secret ] && echo none'
	is_equal "$stdout" none
	inside --hide "$T/base" --without /usr/share/doc -- 'ls -A base; [ ! -e /usr/share/doc ] && echo none; umount base 2>/dev/null; rmdir base; mkdir base; ls -A base'
	is_equal "$stdout" none
}

@test "user: --share, and whose the files are" {
	mkdir "$T/real"
	echo outside >"$T/real/file"
	inside --share "$T/real" -- 'cd real; cat file; echo own >own; chown "$1:$2" own; echo roots >roots; stat -c %u:%g file own roots' "$(id -u)" "$(id -g)"
	is_status 0
	is_equal "$stdout" "outside"$'\n'"$(id -u):$(id -g)"$'\n'"$(id -u):$(id -g)"$'\n0:0'
	is_equal "$(stat -c %u:%g "$T/real/own")" "$(id -u):$(id -g)"
	[ "$(stat -c %u "$T/real/roots")" -ge 100000 ]
	# so another sandbox can remove them, whoever they belong to
	inside --share "$T/real" -- 'rm -r real/*'
	is_status 0
	is_equal "$(ls -A "$T/real")" ""
}

@test "user: what a layer has in place of something closed is what is seen" {
	mkdir -p "$T/layer/etc"
	echo "of the layer" | tee "$T/layer/etc/shadow" >"$T/layer/etc/gshadow"
	inside --layer "$T/layer" -- 'cat /etc/shadow /etc/gshadow; stat -c %u /etc/shadow; echo new >/etc/shadow; cat /etc/shadow'
	is_status 0
	is_equal "$stdout" $'of the layer\nof the layer\n'"$(id -u)"$'\nnew'
	is_equal "$(cat "$T/layer/etc/shadow")" "of the layer"
}

@test "user: what can't be read of a layer has a stand-in, too, where that layer is what is to be seen" {
	mkdir -p "$T/low/opt/l/dir/sub" "$T/high/opt/l"
	echo closed | tee "$T/low/opt/l/closed" "$T/low/opt/l/covered" >"$T/high/opt/l/other"
	echo open >"$T/high/opt/l/covered"
	chmod 0 "$T/low/opt/l/closed" "$T/low/opt/l/covered" "$T/low/opt/l/dir" "$T/high/opt/l/other"
	at_end chmod 0755 "$T/low/opt/l/dir"
	inside --layer "$T/low" --layer "$T/high" -- 'cd /opt/l; stat -c "%n %u %a" *; cat closed other; cat covered; ls -A dir; echo new >closed; cat closed; rm other; mv dir dir2; ls'
	is_status 0
	local me
	me=$(id -u)
	is_equal "$stdout" "closed $me 0"$'\n'"covered $me 644"$'\n'"dir $me 0"$'\n'"other $me 0"$'\nopen\nnew\nclosed\ncovered\ndir2'
}

@test "user: a layer is looked at anew where another one had its inode number before" {
	mkdir -p "$T/layer/opt"
	inside --layer "$T/layer" -- true
	rm -r "$T/layer"
	mkdir -p "$T/layer/opt"
	echo closed >"$T/layer/opt/closed"
	chmod 0 "$T/layer/opt/closed"
	inside --layer "$T/layer" -- 'cat /opt/closed; stat -c %s /opt/closed'
	is_status 0
	is_equal "$stdout" 0
}

@test "user: --device is what this user may open" {
	inside --device /dev/fuse -- '[ -c /dev/fuse ] && exec 3<>/dev/fuse && echo open'
	is_status 0
	is_equal "$stdout" open
	local closed
	closed=$(find /dev -maxdepth 1 -type b ! -readable 2>/dev/null | head -n 1)
	[ -n "$closed" ] || return 0
	run_kennel run --net none --device "$closed" -- true
	refused yes "$closed"
}

@test "user: what needs root is refused, with what helps" {
	local level
	truncate -s 1M "$T/image"
	printf 'XFSB\0\0\20\0\0\0\0\0\0\0\1\0' | dd of="$T/image" conv=notrunc status=none
	run_kennel run --base "$T/image" -- true
	refused yes "$T/image"
	has xfs "$stderr"
	run_kennel run --share /proc/version:ro -- true
	refused yes /proc/version
	for level in fs ns; do
		run_kennel run --isolate $level -- true
		refused yes "isolation $level needs root"
	done
	run_kennel run --base "$T/nothing" -- true
	refused yes "$T/nothing"
	run_kennel run --base /root -- true
	refused yes /root
	run_kennel run --net none --size 1 -- true
	refused yes "No space left"
}

@test "user: too few descriptors, at many numbers: a hint or it works" {
	local n
	for ((n = 8 + RANDOM % 3; n < 120; n += n < 48 ? 3 : 12)); do
		status=0
		(ulimit -n "$n" && exec "$KENNEL" run --net none -- true) </dev/null >"$T/o" 2>"$T/e" || status=$?
		[ "$status" -ne 0 ] || continue
		# so few that the loader or the shell can't start
		[ "$status" -eq 125 ] || { [ "$n" -lt 12 ] && continue; }
		grep -q 'ulimit -n' "$T/e" || {
			echo "with $n: $status"
			cat "$T/e"
			return 1
		}
	done
	[ "$status" -eq 0 ]
}

@test "user: without a range there is one id, one line says what lacks and which command helps" {
	without_range '"$1" run --net none -- sh -c "id -u; cat /proc/self/uid_map; touch /etc/x /home/x; stat -c %u /var/cache/man; chown 33 /etc/x 2>/dev/null || echo no chown"' "$KENNEL"
	[ "$status" -ne 99 ] || skip "no mounts over /etc/subuid for this user"
	is_status 0
	is_equal "$(grep -c . <<<"$stderr")" 1
	has "usermod --add-subuids" "$stderr"
	has "no subordinate ids" "$stderr"
	local nl=$'\n'
	[[ $stdout =~ ^0${nl}\ +0\ +[0-9]+\ +1${nl}0${nl}no\ chown$ ]]
}

@test "user: without a range apt-get installs" {
	need_commands pasta
	[ -w /dev/net/tun ] || skip "no tun device that this user may open"
	without_range '"$1" run -- timeout 300 sh -c "rm -f /var/lib/man-db/auto-update; apt-get install -q -y hello || exit 9; hello; cat /etc/apt/apt.conf.d/zz-kennel" 2>&1' "$KENNEL"
	[ "$status" -ne 99 ] || skip "no mounts over /etc/subuid for this user"
	if [ "$status" -eq 9 ] && grep -qi 'temporary failure\|could not connect\|unable to connect' <<<"$output"; then
		skip "no package server in reach"
	fi
	is_status 0
	has "Hello, world!"
	has 'APT::Sandbox::User "root";'
	[ ! -e /etc/apt/apt.conf.d/zz-kennel ]
	# and nobody else's configuration is touched
	inside -- '[ ! -e /etc/apt/apt.conf.d/zz-kennel ] && echo none'
	is_equal "$stdout" none
}
