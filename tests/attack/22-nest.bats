#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
# Out of a sandbox in which others can be made (--nest): it has no masks, devices of the host, and control groups of its own.

load attack

@test "nest: nothing of the machine in /proc and /sys can be written to, though it has no masks" {
	attack user "mount -o remount,rw,bind /sys; mount -o remount,rw /sys
		$P writable /proc /sys 2>/dev/null >/tmp/found
		sed 's/^WRITABLE //' /tmp/found | tr '\n' '\0' | xargs -0 -r sh -c 'find \"\$@\" -maxdepth 0 -type f -perm /222 -printf \"WRITABLE %p\\\\n\" 2>/dev/null' sh
		for f in kcore kmsg timer_list; do [ \"\$(head -c 4 /proc/\$f 2>/dev/null)\" = '' ] || echo TELLS /proc/\$f; done
		echo s >/proc/sysrq-trigger && echo SYSRQ; dmesg && echo TELLS log; :" --nest
	has "WRITABLE /proc/sys/" "$stdout"
	lacks TELLS "$stdout"
	lacks SYSRQ "$stdout"
	local rest
	rest=$(grep '^WRITABLE' <<<"$stdout" | grep -Ev ' (/proc/sys/(net|user|fs/mqueue)/|/proc/sys/kernel/(auto_msgmni|(msg|shm|sem)|ns_last_pid|pid_max|hostname|domainname)|/proc/pressure/|/sys/(class/net|devices/virtual/net)/|/proc/mtrr$|/sys/fs/cgroup/)' || true)
	is_equal "$rest" ""
}

@test "nest: neither a server of FUSE nor the places beside the copy lead out" {
	attack user "$P chroot $SECRET_FILE; $P handles; cd /; cd ../../../..; cat .$SECRET_FILE
		for p in kennel containers docker lxc; do cat /var/lib/\$p/../../..$SECRET_FILE /var/lib/\$p/../../0/upper$SECRET_FILE; ls /var/lib/\$p/../0 /var/lib/\$p/0; done
		ln -s / /var/lib/lxc/root; cat /var/lib/lxc/root$SECRET_FILE; umount -l /var/lib/lxc; cat /var/lib/lxc/root$SECRET_FILE
		mknod /var/lib/lxc/disk b 7 0; mknod /var/lib/lxc/mem c 1 1; mount -o remount,dev,bind /var/lib/docker; mknod /var/lib/docker/kmsg c 1 11
		head -c 1 /var/lib/lxc/disk /var/lib/lxc/mem /var/lib/docker/kmsg && echo OPENED device; :" --nest
	lacks OPENED "$stdout"
}

@test "nest: its control groups end at the limits that it has, and nothing above is in reach" {
	need_root "control groups"
	attack user "cd /sys/fs/cgroup && mkdir own && rmdir own && echo can make groups
		echo max >pids.max; echo max >memory.max; mount --bind / /mnt; cat /sys/fs/cgroup/../../../..$SECRET_FILE
		mount -t cgroup2 c /mnt; ls -d /mnt/kennel-* && echo ABOVE; echo 0 >/mnt/../cgroup.procs
		for o in pids memory devices freezer; do mkdir -p /tmp/c; mount -t cgroup -o \$o c /tmp/c || continue
			echo max >/tmp/c/pids.max; echo -1 >/tmp/c/memory.limit_in_bytes; echo a >/tmp/c/devices.allow
			[ -w /tmp/c/release_agent ] && echo 'WRITABLE release_agent'; umount /tmp/c; done
		$P forks 100" --nest --pids 40 --memory 256M
	has "can make groups" "$stdout"
	lacks ABOVE "$stdout"
	lacks WRITABLE "$stdout"
	lacks "no limit" "$stdout"
	has "forks " "$stdout"
}

@test "nest: a link in the place of what it keeps for others ends the start" {
	"$KENNEL" run -q -P "$T/store" -k box --net none --nest -- true
	at_end "$KENNEL" rm -P "$T/store" box
	if [ "$(id -u)" -eq 0 ]; then
		rmdir "$T/store/box/delta/nest/lxc"
		ln -s / "$T/store/box/delta/nest/lxc"
		run_kennel run -q -P "$T/store" -k box -- ls /var/lib/lxc
		is_status 125
		rm "$T/store/box/delta/nest/lxc"
		mv "$T/store/box/delta/nest" "$T/store/box/delta/moved"
		ln -s / "$T/store/box/delta/nest"
		run_kennel run -q -P "$T/store" -k box -- ls /var/lib/lxc
		is_status 125
		rm "$T/store/box/delta/nest"
	else # the delta is the inside's own: it gets at it from there alone
		run_kennel run -q -P "$T/store" -k box -- sh -c 'umount /var/lib/lxc; ls -A /var/lib/lxc'
		is_equal "$stdout" ""
	fi
}
