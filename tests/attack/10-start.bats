#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
# Escapes through the start: the base, the caller's files and environment, the runtime directory.

load attack

LEVELS="fs ns user"

# refuses_or_works: the last run either failed with one sentence or did ordinary work.
refuses_or_works() {
	[ "$status" -eq 125 ] || { is_status 0 && has usable "$stdout"; }
}

# net_of LEVEL: sets NET to what that level can have.
net_of() {
	NET=none
	[ "$1" != fs ] || NET=host
}

# run_base LEVEL [OPTION]...: the benign program in the base $T/base.
run_base() {
	local level=$1
	shift
	net_of "$level"
	run_kennel run --isolate "$level" --net "$NET" --base "$T/base" "$@" -- /bin/probe ok
}

@test "start: /proc, /sys, /dev, /tmp or /run of a base is a link: nothing is mounted where it leads" {
	need_root "isolation fs and ns"
	make_base "$T/base"
	for level in $LEVELS; do
		for name in proc sys dev tmp run; do
			for link in / "../..$T/victim" /proc ../../../../.. "$T/victim"; do
				[[ $level = user || $link = / || $link = *./var* ]] || continue
				ln -sfn "$link" "$T/base/$name"
				run_base "$level"
				refuses_or_works
				victim_untouched
				rm "$T/base/$name"
			done
		done
		run_base "$level"
		is_status 0
	done
}

@test "start: proc, sys or dev of a base is a file, a fifo or a device: refused or covered" {
	need_root "device nodes in the base"
	make_base "$T/base"
	for name in proc sys dev; do
		for kind in file fifo device; do
			case $kind in
			file) echo fake >"$T/base/$name" ;;
			fifo) mkfifo "$T/base/$name" ;;
			device) mknod "$T/base/$name" c 1 5 ;;
			esac
			run_base user
			refuses_or_works
			rm "$T/base/$name"
		done
	done
}

@test "start: a fake /proc in a base is never read; the real one covers it" {
	need_root "isolation fs and ns"
	make_base "$T/base"
	mkdir -p "$T/base/proc/self/ns" "$T/base/proc/1" "$T/base/proc/sys/kernel"
	echo fake >"$T/base/proc/self/status"
	ln -s /proc/1/ns/mnt "$T/base/proc/self/ns/mnt"
	for level in $LEVELS; do
		net_of "$level"
		run_kennel run --isolate "$level" --net "$NET" --base "$T/base" -- /bin/probe cat /proc/self/status
		is_status 0
		lacks fake "$stdout"
		has "Uid:" "$stdout"
	done
}

@test "start: hosts, hostname, resolv.conf of a base lead outside: nothing is written there, nor read from there" {
	need_root "isolation fs and ns"
	make_base "$T/base"
	cp "$SECRET_FILE" "$T/victim/file"
	for level in $LEVELS; do
		for net in none host; do
			[ "$level" != fs ] || net=host
			for link in "$T/victim/file" "$T/victim/new" "$SECRET_FILE" "../../../../../../../..$T/victim/file" /run/lock /run/a/ /run/../etc/x /dev/null; do
				[ "$level$net" = usernone ] || [[ $link = "$T"* ]] || continue
				for name in hosts hostname resolv.conf; do
					ln -sfn "$link" "$T/base/etc/$name"
				done
				run_kennel run --isolate "$level" --net "$net" --base "$T/base" -- \
					/bin/probe cat /etc/hosts /etc/hostname /etc/resolv.conf /probe
				lacks "$SECRET"
				run_base "$level"
				is_status 0
				is_equal "$(ls -A "$T/victim")" file
				is_equal "$(cat "$T/victim/file")" "$SECRET"
			done
		done
	done
}

@test "start: /etc of a base leads outside: nothing is written there" {
	make_base "$T/base"
	mv "$T/base/etc" "$T/base/etc.old"
	ln -s "$T/victim" "$T/base/etc"
	for level in $LEVELS; do
		run_base "$level"
		refuses_or_works
		victim_untouched
	done
}

@test "start: hosts of a base is a fifo: the start does not hang" {
	make_base "$T/base"
	mkfifo "$T/base/etc/hosts"
	for level in ns user; do
		status=0
		timeout 100 "$KENNEL" run --isolate "$level" --net none --base "$T/base" -- /bin/probe ok || status=$?
		[ "$status" -ne 124 ]
	done
}

@test "start: hosts of a base is a disk of the machine: its content does not get in" {
	make_base "$T/base"
	make_disk
	mknod "$T/base/etc/hosts" b "$DISK_MAJOR" "$DISK_MINOR"
	for level in ns user; do
		run_kennel run --isolate "$level" --net none --base "$T/base" -- /bin/probe cat /etc/hosts
		lacks "$SECRET"
	done
	disk_untouched
}

@test "start: --mount and --share targets that are links in the base: the place they lead to stays free" {
	make_base "$T/base"
	mkdir "$T/src" "$T/base/dir"
	echo shared >"$T/src/file"
	for level in $LEVELS; do
		for link in / "$T/victim" ../../../../../.. /proc /proc/self/root; do
			[[ $level = user || $link = / || $link = "$T"* ]] || continue
			ln -sfn "$link" "$T/base/target"
			for target in /target /target/new /target/new/deeper /dir/../target; do
				run_base "$level" --mount "$T/src:$target"
				refuses_or_works
				[[ $target = *deeper || $target = *..* ]] || run_base "$level" --mount "$T/src/file:$target"
				refuses_or_works
				victim_untouched
			done
			[ ! -e /new ]
			rm -rf "$T/base/target"
		done
	done
}

@test "start: mount targets exchanged with links in a race: nothing is ever mounted or made outside" {
	make_base "$T/base"
	mkdir -p "$T/src" "$T/base/place/sub" "$T/base/proc" "$T/base/tmp"
	ln -s "$T/victim" "$T/base/link"
	ln -s "$T/victim" "$T/base/link2"
	ln -s / "$T/base/link3"
	local swaps=()
	background "$P" swap "$T/base/place" "$T/base/link" 390
	swaps+=($!)
	background "$P" swap "$T/base/proc" "$T/base/link2" 390
	swaps+=($!)
	background "$P" swap "$T/base/tmp" "$T/base/link3" 390
	swaps+=($!)
	local end=$((SECONDS + 3)) worked=0 refused=0
	# a slow machine has longer for its tries
	while [ $SECONDS -lt $end ] || { [ $((worked + refused)) -le 20 ] && [ $SECONDS -lt $((end + 250)) ]; }; do
		for level in $LEVELS; do
			run_base "$level" --mount "$T/src:/place/sub/new" >/dev/null
			case $status in
			0) worked=$((worked + 1)) ;;
			125) refused=$((refused + 1)) ;;
			*) false ;;
			esac
			victim_untouched
		done
	done
	echo "$worked worked, $refused were refused"
	[ $((worked + refused)) -gt 20 ]
	kill "${swaps[@]}"
	# not for all: the one that watches the time of a test is a child, too
	wait "${swaps[@]}" || :
	rm -rf "$T/base/place" "$T/base/proc" "$T/base/tmp" "$T/base/link"*
	run_base user
	is_status 0
}

@test "start: open files of the caller do not get in" {
	exec 7<"$T" 8<>"$SECRET_FILE" 199</
	for level in $WALLED; do
		attack "$level" "$P files; cat /proc/self/fd/7/victim/file /proc/self/fd/8 /proc/[0-9]*/fd/8 /proc/1/fd/* /proc/1/root/proc/1/cwd/x;
			ls -A /proc/1/fd; ls /proc/self/fd/199/tmp; :"
		lacks LEAKED
		has "files looked at" "$stdout"
	done
	exec 7<&- 8<&- 199<&-
}

@test "start: the caller's working directory does not get in" {
	mkdir "$SECRET_FILE.d"
	at_end rm -rf "$SECRET_FILE.d"
	cp "$SECRET_FILE" "$SECRET_FILE.d/file"
	cd "$SECRET_FILE.d"
	for level in $WALLED; do
		attack "$level" 'pwd; cat file ../file ./file /proc/self/cwd/file /proc/1/cwd/file; cd ..; pwd; ls; cat /proc/1/cwd/../*/file; :'
		lacks unreachable
		lacks kennel-secret
	done
	cd /
}

@test "start: no program of a process inside can be overwritten, and kennel is the same afterwards" {
	local before
	before=$(sha256sum "$KENNEL")
	for level in $WALLED; do
		attack "$level" "$P exe; echo x >/proc/1/exe; cp $P /proc/1/exe; ln -f /proc/1/exe /root/x; :"
		lacks OVERWRITABLE
		has "programs tried" "$stdout"
		# A base whose command is a link to the entering program: CVE-2019-5736.
		run_kennel run --isolate "$level" --net none -- /proc/self/exe
		run_kennel run --isolate "$level" --net none -- sh -c '#!/proc/self/exe'
	done
	is_equal "$(sha256sum "$KENNEL")" "$before"
}

@test "start: pid 1 holds nothing that a tracer could take" {
	for level in $WALLED; do
		attack "$level" 'ls -A /proc/1/fd; tr "\0" "\n" </proc/1/environ; cat /proc/1/maps'
		lacks "/kennel " "$(grep -v memfd <<<"$stdout")"
		lacks " -> " "$stdout"
	done
}

@test "start: the caller's environment does not get in" {
	need_root "XDG_RUNTIME_DIR is not root's"
	cat >"$T/preload.c" <<-END
		#include <stdio.h>
		__attribute__((constructor)) static void here(void) { fputs("PRELOADED\n", stderr); }
	END
	"${CC:-cc}" -shared -fPIC -o "$T/preload.so" "$T/preload.c"
	export TOKEN=$SECRET SSH_AUTH_SOCK=$SECRET DBUS_SESSION_BUS_ADDRESS=$SECRET XAUTHORITY=$SECRET DISPLAY=$SECRET \
		WAYLAND_DISPLAY=$SECRET GPG_AGENT_INFO=$SECRET XDG_RUNTIME_DIR=/$SECRET ENV=/$SECRET BASH_ENV=/$SECRET \
		PYTHONPATH=/$SECRET PERL5LIB=/$SECRET LD_LIBRARY_PATH=/$SECRET
	for level in $WALLED; do
		status=0
		LD_PRELOAD=$T/preload.so "$KENNEL" run --isolate "$level" --net none -- sh -c 'env; cat /proc/*/environ; ls / >/dev/null' \
			</dev/null >"$T/out" 2>"$T/err" || status=$?
		cat "$T/err"
		is_status 0
		lacks "$SECRET" "$(tr '\0' '\n' <"$T/out")"
		lacks preload.so "$(tr '\0' '\n' <"$T/out")"
		# kennel itself was started with it, by its caller; nothing inside was.
		[ "$(grep -c PRELOADED "$T/err")" -le 1 ]
	done
}

@test "start: the caller's environment does not reach the nat helper" {
	need_commands pasta
	export TOKEN=$SECRET LD_LIBRARY_PATH=/$SECRET
	for level in $WALLED; do
		background "$KENNEL" run --isolate "$level" --net nat -- sh -c 'echo up; exec sleep 600'
		local monitor=$! pid found=0
		wait_for 15 says "$T/out.$LIB_STARTED" up
		for pid in $(pgrep -x 'pasta|pasta.avx2|passt|passt.avx2'); do
			lacks "$SECRET" "$(tr '\0' '\n' <"/proc/$pid/environ")"
			found=1
		done
		[ "$found" = 1 ]
		lib_end_process "$monitor"
	done
}

@test "start: a runtime directory that others may write to, or that is a link, is refused" {
	need_root "the runtime directory of root's"
	mkdir "$T/run"
	for trap in open others link file; do
		echo "$trap"
		status=0
		stderr=$(unshare --mount --propagation private sh -c '
			mount -t tmpfs -o mode=0755 tmpfs /run || exit 99
			case $1 in
			open) mkdir -m 0777 /run/kennel ;;
			others) mkdir -m 0700 /run/kennel; chown 65534 /run/kennel ;;
			link) ln -s "$2/victim" /run/kennel ;;
			file) echo x >/run/kennel ;;
			esac
			exec "$3" run --net none -- true' sh "$trap" "$T" "$KENNEL" 2>&1 >/dev/null) || status=$?
		is_status 125
		has /run/kennel "$stderr"
		victim_untouched
	done
}

@test "start: the runtime directory and its entries are closed to others" {
	need_root "the runtime directory of root's"
	a_sandbox
	is_equal "$(stat -c '%a %u' /run/kennel)" "700 0"
	is_equal "$(stat -c '%a %u' "/run/kennel/$ID")" "600 0"
	run as_user cat "/run/kennel/$ID"
	[ "$status" -ne 0 ]
	run as_user "$KENNEL" info "$ID"
	[ "$status" -ne 0 ]
	lacks "$ID:" "$output"
}

@test "start: an entry of the runtime directory that is a link, a fifo or rubbish is not followed" {
	need_root "the runtime directory of root's"
	for trap in link fifo rubbish huge; do
		echo "$trap"
		status=0
		output=$(unshare --mount --propagation private sh -c '
			mount -t tmpfs -o mode=0755 tmpfs /run && mkdir -m 0700 /run/kennel || exit 99
			e=/run/kennel/0123abcd
			case $1 in
			link) ln -s "$2/victim/file" $e ;;
			fifo) mkfifo $e ;;
			rubbish) printf "command\t\033[31m\npid\t1\nno tab\n\377\n" >$e; exec 9<$e; flock 9 ;;
			huge) truncate -s 100M $e; exec 9<$e; flock 9 ;;
			esac
			timeout 100 "$3" list; timeout 100 "$3" gc; [ $? -ne 124 ]' sh "$trap" "$T" "$KENNEL" 2>&1) || status=$?
		echo "$output"
		is_status 0
		lacks $'\033' "$output"
		victim_untouched
	done
}

@test "start: a setuid program made inside is of no use to a host user" {
	need_root "runs a command as another user"
	for level in $WALLED; do
		background "$KENNEL" run --isolate "$level" --net none -- sh -c "cp $P /root/suid /tmp/suid; cp $P /tmp/suid; chmod 4755 /tmp/suid; chmod 755 /root;
			cp /tmp/suid /root/suid; chmod 4755 /root/suid; echo up; exec sleep 600"
		local monitor=$! init
		wait_for 10 says "$T/out.$LIB_STARTED" up
		init=$("$KENNEL" list --json | jq -r ".[] | select(.pid == $monitor) | .init")
		[ -u "/proc/$init/root/tmp/suid" ]
		for way in "/proc/$init/root/tmp/suid" "/proc/$init/root/root/suid" "/proc/$init/cwd/suid" "/proc/$monitor/root/root/suid"; do
			run as_user "$way" euid
			[ "$status" -ne 0 ]
			lacks "euid 0" "$output"
		done
		# Not through a descriptor that root was careless with, either.
		for fd in /proc/"$monitor"/fd/*; do
			run as_user "$fd/0/upper/root/suid" euid
			lacks "euid 0" "$output"
		done
		lib_end_process "$monitor"
	done
}

@test "start: root inside is nobody outside at user, and in no user namespace's range of the host" {
	need_root "the map of an ordinary user has three parts"
	a_sandbox --isolate user
	local uid
	uid=$(awk '/^Uid:/ { print $2 $3 $4 $5 }' "/proc/$INIT/status")
	lacks " 0 " " $(awk '/^Uid:|^Gid:/ { print $2, $3, $4, $5, "" }' "/proc/$INIT/status") "
	is_equal "$(awk '{ print $1 }' "/proc/$INIT/uid_map")" 0
	[ "$(awk '{ print $2 }' "/proc/$INIT/uid_map")" -ge 65536 ]
	is_equal "$(cat "/proc/$INIT/setgroups")" allow
	[ -n "$uid" ]
}

@test "start: setuid programs give nothing under --no-new-privs, and work without" {
	need_root "runs a command as another user"
	for level in $WALLED; do
		install -m 4755 "$P" "$T/suid"
		run_kennel run --isolate "$level" --net none --user 65534 -- "$T/suid" euid
		is_equal "$stdout" "euid 0"
		run_kennel run --isolate "$level" --net none --user 65534 --no-new-privs -- "$T/suid" euid
		is_equal "$stdout" "euid 65534"
	done
}
