#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
# Out of a guest with a kernel of its own. Its root may do there what root of a machine may, so the attacks go where its kernel is a process
# of this machine: through hostfs, which it can mount anywhere, through its line, and by taking all there is.

load attack

setup() {
	need_guest
	attack_setup
}

# In the guest: runs its arguments with each directory of the kernel's own root that hostfs can show, at /mnt/h.
EVERYWHERE='everywhere() {
	mkdir -p /mnt/h
	for d in / /tree /tree/.. /run /disk/.. /copy /upper/00 /proc /proc/1/root /proc/self/cwd /../.. /tree/proc/1/root; do
		mount -t hostfs none /mnt/h -o "$d" 2>/dev/null || continue
		"$@"
		umount /mnt/h
	done
}'

@test "vm: hostfs over anything shows the copy and the kernel's own files, and no process outside" {
	background sleep 600
	local host=$!
	attack vm "$EVERYWHERE
		look() {
			cat /mnt/h$SECRET_FILE /mnt/h/..$SECRET_FILE /mnt/h/*$SECRET_FILE /mnt/h/*/root$SECRET_FILE /mnt/h/*/cwd/../../..$SECRET_FILE /mnt/h/proc/*/root$SECRET_FILE 2>/dev/null
			for p in /mnt/h /mnt/h/proc; do
				[ -e \$p/$host ] && echo SEEN
				cat \$p/*/cmdline 2>/dev/null | tr '\\0' ' ' | grep -q 'sleep 60[0]' && echo SEEN
			done
			[ -e /mnt/h/linux ] && echo the root
			:
		}
		everywhere look; $P cat $SECRET_FILE; $P chroot $SECRET_FILE; $P handles; [ -e /proc/$host ] && echo SEEN
		kill -9 $host; kill -TERM -$host; :"
	lacks SEEN "$stdout"
	has "the root" "$stdout"
	kill -0 "$host"
}

@test "vm: through hostfs nothing of the machine is written, nor what the kernel runs from" {
	local before
	before=$(cat /proc/sys/kernel/core_pattern /proc/sys/kernel/hostname /proc/sys/kernel/modprobe; sha256sum "$(command -v linux.uml)" /etc/passwd)
	attack vm "$EVERYWHERE
		look() {
			for f in /mnt/h/linux /mnt/h/initrd /mnt/h/remedy.so /mnt/h/lib/* /mnt/h/lib64/* /mnt/h/modules/*/*; do
				[ ! -f \$f ] || [ -L \$f ] || ! true >>\$f || echo WRITTEN \$f
			done
			[ ! -e /mnt/h/linux ] || ! true >/mnt/h/new || echo WRITTEN the root
			for s in /mnt/h/proc/sys /mnt/h/sys; do
				echo '|/bin/kennel-attack' >\$s/kernel/core_pattern; echo kennel-attack >\$s/kernel/hostname; echo /bin/kennel-attack >\$s/kernel/modprobe
				echo /bin/kennel-attack >\$s/kernel/uevent_helper
			done
			echo s >/mnt/h/proc/sysrq-trigger && echo SYSRQ
			mknod /mnt/h/tmp/node b 7 0 && echo MADE a node; mknod /mnt/h/run/node c 1 1 && echo MADE a node
			echo x >/mnt/h$T/victim/new; echo x >/mnt/h/tree$T/victim/file; rm -f /mnt/h/tree$T/victim/file
			:
		} 2>/dev/null
		everywhere look; :" --share "$P"
	lacks WRITTEN "$stdout"
	lacks SYSRQ "$stdout"
	lacks MADE "$stdout"
	is_equal "$(cat /proc/sys/kernel/core_pattern /proc/sys/kernel/hostname /proc/sys/kernel/modprobe; sha256sum "$(command -v linux.uml)" /etc/passwd)" "$before"
	victim_untouched
}

@test "vm: --share PATH:ro stays so, a share opens no device, and what is hidden stays hidden" {
	mkdir -p "$T/shared" "$T/top/hidden" "$T/ours"
	cp "$SECRET_FILE" "$T/top/hidden/secret"
	cp "$SECRET_FILE" "$T/top/file"
	echo original >"$T/shared/file"
	local nodes=
	if [ "$EUID" -eq 0 ] && [ -e /dev/loop-control ]; then
		make_disk
		mknod -m 0666 "$T/ours/disk" b "$DISK_MAJOR" "$DISK_MINOR"
		mknod -m 0666 "$T/ours/kmsg" c 1 11
		nodes="show $T/ours/disk; mknod $T/ours/new b $DISK_MAJOR $DISK_MINOR; show $T/ours/new; mknod /tmp/disk b $DISK_MAJOR $DISK_MINOR; show /tmp/disk"
	fi
	attack vm "$EVERYWHERE
		show() {
			timeout 1 cat \"\$@\"
		}
		look() {
			for s in /mnt/h$T /mnt/h/tree$T /mnt/h/copy$T /mnt/h/upper/00$T; do
				echo 1 >\$s/shared/file; chmod 777 \$s/shared/file \$s/shared; chown 1 \$s/shared/file; touch \$s/shared/new; ln \$s/shared/file \$s/shared/link
				mv \$s/shared/file \$s/shared/moved; rm -f \$s/shared/file
				cat \$s/top/hidden/secret \$s/top/file; rmdir \$s/top/hidden; rm -rf \$s/top/hidden \$s/top/file; cat \$s/top/hidden/secret \$s/top/file
				[ ! -e \$s/ours ] || { show \$s/ours/disk; mknod \$s/ours/new b ${DISK_MAJOR-7} ${DISK_MINOR-0}; show \$s/ours/new; }
			done
		} 2>/dev/null
		mount -o remount,rw $T/shared; echo 2 >$T/shared/file; mount -t hostfs none /mnt -o $T/shared; mount -t hostfs none /mnt -o /tree$T/shared; echo 3 >/mnt/file
		umount -l $T/shared; umount -a -l -t hostfs
		cat $T/top/hidden/secret $T/top/file; $nodes
		everywhere look; :" --share "$T/shared:ro" --share "$T/ours" --hide "$T/top/hidden" --without "$T/top/file"
	is_equal "$(cat "$T/shared/file")" original
	is_equal "$(ls -A "$T/shared")" file
	is_equal "$(stat -c '%u %h %a' "$T/shared/file")" "$EUID 1 644"
	[ ! -b "$T/ours/new" ]
	[ -z "$nodes" ] || disk_untouched
}

@test "vm: the rest of the machine: clock, names, keys, sockets, interfaces, modules, limits of the kernel's process" {
	local name=@kennel-attack-$$ before
	background "$P" listen "$name"
	background "$P" listen "$T/socket"
	wait_for 5 says "$T/out.$LIB_STARTED" listening
	chmod 0777 "$T/socket"
	before=$(uname -n; wc -l </proc/self/mountinfo; ls /sys/class/net)
	"$P" key put "$SECRET" && at_end "$P" key drop "$SECRET"
	attack vm "date -s '2001-01-01 00:00:00'; hostname kennel-attack; domainname kennel-attack; modprobe dummy; ip link add kennel-attack type dummy
		swapoff -a; mount --make-rshared /; mount -t tmpfs outside /mnt; echo 1 >/proc/sys/kernel/panic; mount -o remount,rw /sys
		$P key find $SECRET; $P connect $name; $P connect $T/socket; prlimit --pid 1 --nofile=100000000:100000000; :"
	lacks FOUND "$stdout"
	lacks CONNECTED "$stdout"
	[ "$(date +%Y)" -gt 2020 ]
	is_equal "$(uname -n; wc -l </proc/self/mountinfo; ls /sys/class/net)" "$before"
}

# frame TYPE SESSION STREAM TEXT: what printf(1) makes a frame of the line of (src/vm/protocol.h).
frame() {
	local sum=$((0x5a17)) byte out=
	for byte in $((0xb7)) "$1" "$2" "$3" ${#4} 0; do
		sum=$(((sum * 31 + byte) & 0xffff))
		out+=$(printf '\\%03o' "$byte")
	done
	printf '%s\\%03o\\%03o%s' "$out" $((sum & 255)) $((sum >> 8)) "$4"
}

@test "vm: rubbish and forged frames on the line, and last words with escape sequences" {
	# VM_READY, VM_DATA, VM_CREDIT, VM_END, VM_REFUSED, VM_FAILED; of the guest, the command itself, and sessions that there are not
	local frames='' session type
	for session in 0 1 2 63 64 255; do
		for type in 1 4 8 9 14 15 16 18 5; do frames+=$(frame $type $session 1 "$(printf 'AAAA\x1b]0;title\x07')"); done
	done
	run_kennel run --isolate vm --net none -- sh -c 'mknod /root/line c 4 15
		head -c 300000 /dev/urandom >/root/line
		for i in 1 2 3; do printf "$1" >/root/line; done
		echo still here' sh "$frames"
	[ "$status" -ne 124 ]
	lacks "guest can't"
	wait_for 20 nobody_listed
	# who is believed to have ended is not the command, and has no effect but on it: VM_EXIT with 7
	run_kennel run --isolate vm --net none -- sh -c 'mknod /root/line c 4 15; printf "$1\007\000\000\000" >/root/line; sleep 60' sh \
		"$(frame 19 1 0 1234 | sed 's/1234$//')"
	is_status 7
	# shellcheck disable=SC2016
	run_kennel run --isolate vm --net none -- sh -c 'printf "\033]0;title\007\033[31mred\n" >/dev/console; printf "Kernel panic \033[31m\033]0;title\007\n" >/dev/console; echo 1 >/proc/sys/kernel/sysrq
		printf "<0>\033[31m\n" >/dev/kmsg; echo c >/proc/sysrq-trigger; sleep 60'
	is_status 125
	lacks $'\033' "$stderr"
	lacks $'\007' "$stderr"
	wait_for 20 nobody_listed
}

nobody_listed() {
	[ -z "$("$KENNEL" list --json | jq -r ".[] | select(.name == null) | .id" | while read -r id; do "$KENNEL" info --json "$id" 2>/dev/null | grep -l "$T"; done)" ]
}

@test "vm: processes, memory, files, inodes and terminals end within the guest; the machine has some left" {
	attack vm "$P forks 500; $P forks 500; $P memory 600; echo code \$?
		for d in /root /tmp /run /dev/shm /var/tmp $T; do head -c 400M /dev/zero >\$d/bomb && echo NO LIMIT at \$d; rm -f \$d/bomb; done
		mkdir /root/i; $P inodes /root/i 10000000; rm -rf /root/i; $P ptys 5000" --pids 100 --size 32M
	lacks "NO LIMIT" "$stdout"
	lacks "no limit" "$stdout"
	is_equal "$(grep -c '^forks [1-9]' <<<"$stdout")" 2
	run_kennel run --net none -- "$P" ok
	has usable "$stdout"
}

# image KIND DIR: DIR.KIND.
image() {
	case $1 in
	erofs) mkfs.erofs -x1 "$2.erofs" "$2" >/dev/null 2>&1 ;;
	squashfs) mksquashfs "$2" "$2.squashfs" -quiet -no-progress -noappend >/dev/null ;;
	ext4) mkfs.ext4 -q -d "$2" "$2.ext4" 8M >/dev/null 2>&1 ;;
	esac
}

# readers: state and owner of all that reads images for this test.
readers() {
	local pid
	for pid in $(pgrep -x kennel-image -P "$1"); do
		grep -E '^(Uid|CapEff|NoNewPrivs|Seccomp):' "/proc/$pid/status" | tr '\n\t' '  '
		echo
	done
}

@test "vm: this machine's kernel reads no image of a guest, whoever starts it, damaged or not" {
	need_commands mkfs.erofs mksquashfs mkfs.ext4 busybox
	local init
	mkdir -p "$T"/{base,one,two}/{bin,dir} "$T"/base/{dev,etc,proc,sys,tmp,run,root,usr/lib}
	cp "$(command -v busybox)" "$T/base/bin/busybox"
	for applet in sh cat echo stat ls sleep; do ln -s busybox "$T/base/bin/$applet"; done
	echo base >"$T/base/file"
	echo one >"$T/one/dir/one"
	echo two >"$T/two/dir/two"
	[ "$EUID" -ne 0 ] || chown 5:6 "$T/two/dir/two"
	[ "$EUID" -ne 0 ] || chown 4000000000:6 "$T/one/dir/one"
	image erofs "$T/base"
	image squashfs "$T/one"
	image ext4 "$T/two"
	# something is hidden, so all of it is read through this side
	background "$KENNEL" run -q -P "$T/store" -k box --isolate vm --net none --base "$T/base.erofs" --layer "$T/one.squashfs" --layer "$T/two.ext4" --hide /hidden -- \
		sh -c 'cat /file /dir/*; stat -c %u:%g /dir/*; echo new >/file; echo up; sleep 300'
	local run=$! out=$T/out.$LIB_STARTED
	wait_for 20 says "$out" up
	is_equal "$(grep -v ^up "$out" | head -n 3 | tr '\n' ' ')" "base one two "
	init=$("$KENNEL" list --json | jq -r ".[] | select(.pid == $run) | .init")
	for kind in " - erofs " " - squashfs " " /dev/loop"; do lacks "$kind" "$(cat "/proc/$init/mountinfo")"; done
	[ "$EUID" -ne 0 ] || lacks "$T" "$(losetup -l)"
	readers "$run" | tee "$T/readers"
	is_equal "$(grep -c 'CapEff: 0000000000000000 NoNewPrivs: 1 Seccomp: 2' "$T/readers")" 3
	lacks "Uid: 0" "$(cat "$T/readers")"
	if [ "$EUID" -eq 0 ]; then
		has 5:6 "$(cat "$out")"
		has 65534:6 "$(cat "$out")"
	fi
	# who reads what it has changed opens none either: there are no loop devices for it
	changes() {
		[ "$EUID" -ne 0 ] || unshare -m sh -c 'mount --bind /dev/null /dev/loop-control; exec "$@"' sh "$KENNEL" diff -P "$T/store" box
	}
	changes | tee "$T/changes"
	[ "$EUID" -ne 0 ] || is_equal "$(cat "$T/changes")" "M /file (content)"
	kill "$run"
	wait "$run" || :
	is_equal "$(changes)" "$(cat "$T/changes")"
	# whatever our own readers say of it, it is not a kernel's driver
	for image in base.erofs one.squashfs two.ext4; do
		head -c 2000 "$T/$image" >"$T/bad"
		head -c $(($(stat -c %s "$T/$image") - 2000)) /dev/zero | tr '\0' '\377' >>"$T/bad"
		run_kennel run --isolate vm --net none --base "$T/bad" -- true
		[ "$status" -ne 0 ]
		lacks "the kernel says" "$stderr"
	done
	# what they have no reader for is refused, not mounted
	mkfs.erofs -zlz4 "$T/packed" "$T/base" >/dev/null 2>&1 || return 0
	run_kennel run --isolate vm --net none --base "$T/packed" -- true
	refused yes packed
	has compression "$stderr"
}
