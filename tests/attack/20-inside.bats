#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
# Out of a running sandbox: files that are not in it, shares, what is hidden, processes, system calls, the machine.

load attack

# Root inside takes every mount away that it can, and remounts the others.
TEAR_DOWN='mount --make-rprivate /; for m in $(cut -d" " -f5 /proc/self/mountinfo | tac); do
	mount -o remount,bind,rw,dev,suid,exec "$m"; umount -l "$m"; done 2>/dev/null;'

@test "inside: no way out of the root by chroot, .., /proc or a handle" {
	for level in $WALLED; do
		attack "$level" "$P chroot $SECRET_FILE; $P handles; cd /; cd ../../../..; cat .$SECRET_FILE;
			for p in /proc/[0-9]*; do cat \$p/root$SECRET_FILE \$p/cwd$SECRET_FILE \$p/root/../..$SECRET_FILE; done; :"
		lacks OPENED
		has "handles tried" "$stdout"
	done
}

@test "inside: the old root and the layers are out of reach, whatever is unmounted" {
	for level in $WALLED; do
		run_kennel run --isolate "$level" --net none -- sh -c "$TEAR_DOWN $P cat $SECRET_FILE; $P chroot $SECRET_FILE; pivot_root / /mnt;
			$P cat /mnt$SECRET_FILE; echo x >$T/victim/new; echo x >$T/victim/file; echo over"
		lacks "$SECRET"
		has over "$stdout"
		victim_untouched
	done
}

@test "inside: --share PATH:ro can't be made writable" {
	make_loop_fs ext4 8M "$T/mnt"
	for dir in "$T/victim" "$T/mnt"; do
		echo original >"$dir/file"
		for level in $WALLED; do
			attack "$level" "cd $dir
				mount -o remount,bind,rw $dir; echo 1 >$dir/file
				mount -o remount,rw $dir; echo 2 >$dir/file
				mkdir -p /mnt/b; mount --bind $dir /mnt/b; mount -o remount,bind,rw /mnt/b; echo 3 >/mnt/b/file
				mount --rbind / /mnt/b; mount -o remount,bind,rw /mnt/b$dir; echo 4 >/mnt/b$dir/file
				unshare -m sh -c 'mount -o remount,bind,rw $dir; echo 5 >$dir/file; umount -l $dir'
				unshare -Urm sh -c 'mount -o remount,bind,rw $dir; echo 6 >$dir/file; umount -l $dir; echo 7 >$dir/file'
				exec 5<$dir/file; echo 8 >/proc/self/fd/5; chmod 777 $dir/file $dir; chown 1 $dir/file; touch $dir/new; ln $dir/file $dir/link
				mv $dir/file $dir/moved; rm -f $dir/file; setfattr -n user.x -v y $dir/file
				mount -t overlay -o lowerdir=/etc,upperdir=$dir,workdir=$dir/w o /mnt/b; echo 9 >/mnt/b/new
				mount --make-rshared /; umount -l $dir; echo 10 >$dir/file; :" --share "$dir:ro"
			is_equal "$(cat "$dir/file")" original
			is_equal "$(find "$dir" -mindepth 1 -maxdepth 1 ! -name lost+found -printf '%f\n')" file
			is_equal "$(stat -c '%u %h' "$dir/file")" "0 1"
		done
		is_equal "$(stat -c %a "$dir/file")" 644
	done
}

@test "inside: below --share PATH:ro a mount of the host is read-only too, and what it covers stays covered" {
	need_root ":ro shares"
	mkdir "$T/shared" "$T/shared/below"
	cp "$SECRET_FILE" "$T/shared/below/covered"
	mount -t tmpfs -o size=1M cover "$T/shared/below"
	at_end umount "$T/shared/below"
	echo original >"$T/shared/below/file"
	for level in $WALLED; do
		attack "$level" "mount -o remount,bind,rw $T/shared/below; echo x >$T/shared/below/file; umount $T/shared/below; umount -l $T/shared/below
			unshare -Urm umount -l $T/shared/below; mount --bind $T/shared /mnt; cat $T/shared/below/covered /mnt/below/covered
			mount --rbind $T/shared /mnt; umount -l /mnt/below; cat /mnt/below/covered; :" --share "$T/shared:ro"
		is_equal "$(cat "$T/shared/below/file")" original
	done
}

@test "inside: a share opens no device and honours no setuid, also after remounting" {
	make_disk
	mkdir "$T/shared"
	mknod -m 0666 "$T/shared/disk" b "$DISK_MAJOR" "$DISK_MINOR"
	mknod -m 0666 "$T/shared/kmsg" c 1 11
	install -m 4755 "$P" "$T/shared/suid"
	for level in $WALLED; do
		attack "$level" "cd $T/shared; for i in 1 2; do
				$P open disk kmsg; cat disk; setpriv --reuid 65534 --clear-groups ./suid euid
				mount -o remount,bind,dev,suid,exec $T/shared; mount -o remount,dev,suid $T/shared
				mkdir -p /mnt/b; mount --bind $T/shared /mnt/b && cd /mnt/b; mount -o remount,bind,dev,suid /mnt/b
			done; :" --share "$T/shared"
		lacks OPENED
		has "euid 65534" "$stdout"
		lacks "euid 0" "$stdout"
	done
	disk_untouched
}

@test "inside: --hide and --without can't be revealed" {
	mkdir -p "$T/top/hidden/sub"
	cp "$SECRET_FILE" "$T/top/hidden/secret"
	cp "$SECRET_FILE" "$T/top/file"
	for level in $WALLED; do
		for option in --hide --without; do
			attack "$level" "cd $T/top
				look() { cat $T/top/hidden/secret $T/top/file /mnt/b/hidden/secret /mnt/b/file /mnt/b/top/hidden/secret /mnt/b/top/file; }
				mkdir -p /mnt/b /tmp/u /tmp/w; look
				rmdir hidden; look; mkdir hidden; look; rm -rf hidden file; look; mkdir hidden; touch hidden/secret file; look
				setfattr -x user.overlay.opaque hidden; setfattr -n user.overlay.opaque -v n hidden; look
				setfattr -x trusted.overlay.opaque hidden; setfattr -n user.overlay.redirect -v /$T/top/hidden hidden; look
				setfattr -n user.overlay.metacopy -v '' file; setfattr -n user.overlay.origin -v '' hidden; look
				mv hidden elsewhere; cat elsewhere/secret; mv elsewhere hidden; look; cd ..; mv top top2; cat top2/hidden/secret top2/file; mv top2 top; look
				mount --bind $T/top /mnt/b; look; umount /mnt/b; mount --rbind $T /mnt/b; look; umount -l /mnt/b
				mount -t overlay -o lowerdir=$T/top,upperdir=/tmp/u,workdir=/tmp/w o /mnt/b; look; umount -l /mnt/b
				mount -t overlay -o userxattr,lowerdir=$T/top:/etc o /mnt/b; look; umount -l /mnt/b
				mount -o remount,xino=on,redirect_dir=follow /; mount -o remount /; look
				echo 2 >/proc/sys/vm/drop_caches; look
				unshare -m sh -c 'umount -l $T; cat $T/top/hidden/secret'; unshare -Urm sh -c 'umount -a -l; cat $T/top/hidden/secret'
				nsenter -t 1 -a cat $T/top/hidden/secret; $P chroot $T/top/hidden/secret; look; :" \
				"$option" "$T/top/hidden" "$option" "$T/top/file"
			run_kennel run --isolate "$level" --net none "$option" "$T/top/hidden" "$option" "$T/top/file" -- \
				sh -c "$TEAR_DOWN $P cat $T/top/hidden/secret $T/top/file; $P chroot $T/top/file; grep -r '$SECRET' $T; :"
			lacks "$SECRET"
		done
	done
	is_equal "$(cat "$T/top/hidden/secret")" "$SECRET"
}

@test "inside: a mount that is hidden can't be revealed" {
	make_loop_fs ext4 8M "$T/mnt"
	cp "$SECRET_FILE" "$T/mnt/secret"
	for level in $WALLED; do
		for option in --hide --without; do
			run_kennel run --isolate "$level" --net none "$option" "$T/mnt" -- \
				sh -c "cat $T/mnt/secret; rmdir $T/mnt; mkdir $T/mnt; cat $T/mnt/secret; $TEAR_DOWN $P cat $T/mnt/secret; $P ok"
			lacks "$SECRET"
			has usable "$stdout"
		done
	done
}

@test "inside: overlays of the inside's own do not reach the layers" {
	local before
	before=$(sha256sum /etc/passwd /etc/hostname)
	for level in $WALLED; do
		attack "$level" "mkdir /tmp/u /tmp/w /tmp/m; mount -t overlay -o lowerdir=/etc,upperdir=/tmp/u,workdir=/tmp/w o /tmp/m
			echo x >/tmp/m/passwd; echo x >/tmp/m/hostname; umount /tmp/m
			mount -t overlay -o lowerdir=/tmp,upperdir=/etc,workdir=/var o /tmp/m; echo x >/tmp/m/passwd; umount /tmp/m
			mount -t overlay -o lowerdir=$T,upperdir=$T/victim,workdir=$T/victim/w o /tmp/m; echo x >/tmp/m/new; :"
		victim_untouched
		is_equal "$(sha256sum /etc/passwd /etc/hostname)" "$before"
	done
}

@test "inside: file systems that act for somebody else can't be mounted" {
	for level in $WALLED; do
		attack "$level" "mkdir /tmp/m; for t in ext4 xfs btrfs vfat iso9660 squashfs erofs nfs nfs4 cifs 9p ceph debugfs tracefs securityfs configfs \
				pstore efivarfs hugetlbfs devtmpfs fusectl bdev rootfs rpc_pipefs selinuxfs smackfs; do
				mount -t \$t none /tmp/m && echo MOUNTED \$t && umount /tmp/m; mount -t \$t -o trans=tcp,addr=127.0.0.1 127.0.0.1:/ /tmp/m && echo MOUNTED \$t
			done 2>/dev/null; mount -o loop $P /tmp/m && echo MOUNTED loop; $P open /dev/fuse /dev/loop-control; :"
		lacks MOUNTED "$stdout"
		lacks OPENED "$stdout"
	done
}

@test "inside: binfmt_misc, core_pattern, uevent_helper, sysrq and sysctls of the machine stay as they are" {
	local files before file
	files="/proc/sys/kernel/core_pattern /proc/sys/kernel/modprobe /proc/sys/kernel/hostname /proc/sys/kernel/domainname /proc/sys/kernel/sysrq
		/proc/sys/kernel/panic /proc/sys/kernel/randomize_va_space /proc/sys/kernel/kptr_restrict /proc/sys/kernel/pid_max /proc/sys/vm/swappiness
		/proc/sys/vm/overcommit_memory /proc/sys/vm/mmap_min_addr /proc/sys/fs/protected_symlinks /proc/sys/fs/file-max /proc/sys/fs/suid_dumpable
		/proc/sys/kernel/usermodehelper/bset /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shmmax /proc/sys/kernel/hotplug
		/proc/sys/fs/binfmt_misc/status /proc/sys/user/max_user_namespaces /proc/sys/kernel/pty/max /sys/kernel/uevent_helper /sys/power/state
		/sys/kernel/mm/transparent_hugepage/enabled /sys/module/kernel/parameters/panic /proc/irq/default_smp_affinity"
	before=$(for file in $files; do cat "$file" 2>/dev/null; done | sha256sum)
	for level in $WALLED; do
		attack "$level" "mount -o remount,rw /sys; mount -o remount,bind,rw /sys; mount -t sysfs sysfs /mnt; mount -t proc proc /mnt; mount -o remount,rw /proc/sys; umount -l /proc/sys
			for f in $(tr '\n\t' '  ' <<<"$files"); do echo 3 >\$f; echo '|/bin/kennel-attack' >\$f; done 2>/dev/null
			mount -t binfmt_misc none /proc/sys/fs/binfmt_misc; echo ':kennel:M::kennelmagic::/bin/sh:F' >/proc/sys/fs/binfmt_misc/register
			umount -l /proc/sysrq-trigger; echo s >/proc/sysrq-trigger && echo SYSRQ; :"
		lacks SYSRQ "$stdout"
		[ ! -e /proc/sys/fs/binfmt_misc/kennel ]
		is_equal "$(for file in $files; do cat "$file" 2>/dev/null; done | sha256sum)" "$before"
	done
}

@test "inside: nothing of the machine in /proc and /sys can be written to" {
	for level in $WALLED; do
		attack "$level" "mount -o remount,rw,bind /sys; mount -o remount,rw /sys; umount -l /proc/kmsg /proc/keys /proc/timer_list /proc/sysrq-trigger /proc/acpi /sys/firmware; $P writable /proc /sys 2>/dev/null >/tmp/found
			sed 's/^WRITABLE //' /tmp/found | tr '\n' '\0' | xargs -0 -r sh -c 'find \"\$@\" -maxdepth 0 -type f -perm /222 -printf \"WRITABLE %p\\\\n\" 2>/dev/null' sh; :"
		[ "$level" = ns ] || has "WRITABLE /proc/sys/" "$stdout"
		# The sandbox's own: its network, IPC and user namespaces' limits, its pids; pressure files take watchers only. Masks are /dev/null.
		local rest
		rest=$(grep '^WRITABLE' <<<"$stdout" | grep -Ev ' (/proc/sys/(net|user|fs/mqueue)/|/proc/sys/kernel/(auto_msgmni|(msg|shm|sem)|ns_last_pid|pid_max|hostname|domainname)|/proc/pressure/|/sys/(class/net|devices/virtual/net)/|/proc/mtrr$)' || true)
		is_equal "$rest" ""
	done
}

@test "inside: what is masked tells nothing, also when the mask is off" {
	for level in $WALLED; do
		attack "$level" "for f in kcore kmsg keys timer_list sysrq-trigger acpi scsi; do
				[ \"\$(head -c 4 /proc/\$f 2>/dev/null)\" = '' ] || echo MASKED /proc/\$f tells
				umount -l /proc/\$f 2>/dev/null
			done; for f in kcore kmsg timer_list; do [ \"\$(head -c 4 /proc/\$f 2>/dev/null)\" = '' ] || echo UNMASKED /proc/\$f; done
			head -c 100 /proc/1/mem /dev/mem /dev/kmem /dev/kmsg /dev/port; dmesg && echo UNMASKED log
			grep -v ' 0000000000000000\| (null)\|^0000000000000000\|kennel' /proc/kallsyms | head -n 3 | grep -q '^[0-9a-f]*[1-9a-f]' && echo UNMASKED addresses; :"
		lacks MASKED "$stdout"
	done
}

@test "inside: system calls that reach past namespaces are refused, by all entries" {
	for level in $WALLED; do
		for entry in native int80 x32; do
			attack "$level" "$P calls $entry $level"
			lacks OPEN "$stdout"
			has "$entry: " "$stdout"
		done
	done
}

@test "inside: a nested user namespace is no help" {
	make_disk
	local before
	before=$(cat /proc/sys/kernel/core_pattern)
	attack user "unshare -Urmpf --mount-proc sh -c '$P nodes /tmp; $P handles; $P calls native user; $P chroot $SECRET_FILE; echo x >/proc/sys/kernel/core_pattern
		mount $DISK /mnt; mount --bind $T /mnt; echo x >/mnt/victim/new; $P typing 0 1 2'; unshare -Ur $P nodes /tmp; :"
	lacks OPEN "$stdout"
	lacks MADE "$stdout"
	attack ns "unshare -U true && echo ENTERED; unshare -m true && echo ENTERED; unshare -Ur true && echo ENTERED; :"
	lacks ENTERED "$stdout"
	is_equal "$(cat /proc/sys/kernel/core_pattern)" "$before"
	victim_untouched
	disk_untouched
}

@test "inside: no signal, tracing or /proc of a process of the host or of another sandbox" {
	background sleep 600
	local host=$!
	for level in $WALLED; do
		a_sandbox --isolate "$level"
		attack "$level" "trap '' TERM; [ -e /proc/$INIT ] && echo SEEN; [ -e /proc/$host ] && echo SEEN
			for p in $host $INIT $MONITOR; do kill -9 \$p; kill -9 -\$p; cat /proc/\$p/environ; done
			cat /proc/*/cmdline | tr '\\0' ' ' | grep -q 'sleep 60[0]' && echo SEEN; kill -TERM -1; :"
		lacks SEEN "$stdout"
		kill -0 "$host"
		kill -0 "$MONITOR"
		[ -d "/proc/$INIT" ]
		lib_end_process "$MONITOR"
	done
}

@test "inside: keys of the host are not there" {
	"$P" key put "$SECRET" || skip "kernel without keyrings"
	at_end "$P" key drop "$SECRET"
	is_equal "$("$P" key find "$SECRET")" "FOUND the key"
	for level in $WALLED; do
		run_kennel run --isolate "$level" --net none -- sh -c "$P key find $SECRET; cat /proc/keys; umount /proc/keys; cat /proc/keys; $P key put x; $P ok"
		lacks FOUND "$stdout"
		has "no such key" "$stdout"
		lacks "$SECRET" "$stdout"
		has usable "$stdout"
	done
}

@test "inside: abstract sockets of the host are there with --net host only" {
	local name="@kennel-attack-$$"
	background "$P" listen "$name"
	wait_for 5 says "$T/out.$LIB_STARTED" listening
	for level in $WALLED; do
		attack "$level" "$P connect $name"
		lacks CONNECTED "$stdout"
		attack "$level" "$P connect $name" --net nat
		lacks CONNECTED "$stdout"
		attack "$level" "$P connect $name" --net host
		has CONNECTED "$stdout"
	done
}

@test "inside: sockets and fifos in files of the host lead to nobody, but through a share" {
	background "$P" listen "$T/socket"
	wait_for 5 says "$T/out.$LIB_STARTED" listening
	chmod 0777 "$T/socket"
	mkfifo "$T/fifo"
	background sh -c "cat '$T/fifo' >'$T/got'"
	mkdir "$T/dir"
	background "$P" listen "$T/dir/socket"
	wait_for 5 says "$T/out.$LIB_STARTED" listening
	for level in $WALLED; do
		attack "$level" "$P connect $T/socket; timeout 0.3 sh -c 'echo out >$T/fifo'; :"
		lacks CONNECTED "$stdout"
		attack "$level" "$P connect $T/dir/socket" --share "$T/dir"
		has CONNECTED "$stdout"
	done
	[ ! -s "$T/got" ]
	echo end >"$T/fifo"
}

@test "inside: sockets of sessions and services in /run, /tmp and /dev are not there" {
	for level in $WALLED; do
		attack "$level" 'find /run /tmp /dev -type s -o -name "*.socket" -o -name "X*-lock" | grep . && echo FOUND; ls -A /tmp /run/user; [ -S /dev/log ] && echo FOUND; :'
		lacks FOUND "$stdout"
	done
}

@test "inside: control groups: limits stay, no release_agent, nothing above" {
	need_root "control groups"
	for level in $WALLED; do
		attack "$level" "mkdir -p /tmp/c; for o in pids memory devices cpu freezer name=systemd all; do
				mount -t cgroup -o \$o c /tmp/c || continue
				echo max >/tmp/c/pids.max; echo -1 >/tmp/c/memory.limit_in_bytes; echo a >/tmp/c/devices.allow; echo 1 >/tmp/c/notify_on_release
				echo /bin/kennel-attack >/tmp/c/release_agent; mkdir /tmp/c/kennel-attack && echo MADE; echo \$\$ >/tmp/c/../tasks
				[ -e /tmp/c/release_agent ] && [ -w /tmp/c/release_agent ] && echo 'WRITABLE release_agent'; umount /tmp/c
			done; mount -t cgroup2 c /tmp/c && { echo max >/tmp/c/pids.max; echo max >/tmp/c/memory.max; echo +pids >/tmp/c/cgroup.subtree_control
				mkdir /tmp/c/kennel-attack && echo MADE; echo 0 >/tmp/c/cgroup.procs; umount /tmp/c; }
			echo $SECRET >/dev/null; grep -v ':/\$' /proc/self/cgroup | grep kennel && echo 'SEES its place'
			$P forks 100" --pids 40 --memory 256M
		lacks MADE "$stdout"
		lacks WRITABLE "$stdout"
		lacks SEES "$stdout"
		lacks "no limit" "$stdout"
		has "forks " "$stdout"
	done
}

@test "inside: clock, host name, modules, swap, scheduling and the rest of the machine" {
	local name mounts
	name=$(uname -n)
	mounts=$(wc -l </proc/self/mountinfo)
	for level in $WALLED; do
		attack "$level" "date -s '2001-01-01 00:00:00' >/dev/null && echo SET clock; hostname kennel-attack; domainname kennel-attack; modprobe dummy; insmod /dev/null
			swapon /swapfile; swapoff -a; mount --make-rshared /; mount -t tmpfs outside /mnt; renice -n -15 -p \$\$ >/dev/null 2>&1 && echo SET nice
			chrt -f 50 true 2>/dev/null && echo SET realtime; ionice -c 1 true 2>/dev/null && echo SET ioclass; ulimit -n 100000000 2>/dev/null && echo SET ulimit
			ip link add kennel-attack type dummy; prlimit --pid 1 --nofile=10:10; :"
		lacks "SET " "$stdout"
		is_equal "$(uname -n)" "$name"
		is_equal "$(wc -l </proc/self/mountinfo)" "$mounts"
		[ "$(date +%Y)" -gt 2020 ]
		[ ! -e /sys/class/net/kennel-attack ]
	done
}

@test "inside: capabilities of ns are the short list; --cap-drop ALL leaves none" {
	need_root "isolation fs and ns"
	run_kennel run --isolate ns --net none -- sh -c "grep Cap /proc/self/status; $P ok"
	has usable "$stdout"
	# CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE NET_RAW SYS_CHROOT MKNOD AUDIT_WRITE SETFCAP
	is_equal "$(grep -c 00000000a80425fb <<<"$stdout")" 3
	for level in $WALLED; do
		attack "$level" "grep -E 'Cap(Prm|Eff|Bnd)' /proc/self/status | grep -v 0000000000000000 && echo HELD; chown 1 /root && echo HELD; :" --cap-drop ALL
		lacks HELD "$stdout"
	done
}
