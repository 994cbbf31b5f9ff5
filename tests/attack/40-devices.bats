#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
# Devices: none can be made, none that lies in a base, a layer, an image or a share opens, and /dev holds the short list.

load attack

# Opens nodes in the working directory in every way: as they are, remounted, bound, copied up by a change, moved, linked, overlaid.
try_nodes() {
	cat <<END
	try() { $P open \$1/disk \$1/mem \$1/kmsg; [ ! -b \$1/disk ] || { head -c 100 \$1/disk; echo broken >\$1/disk; }; }
	try .; chmod 0666 disk mem kmsg; chown 0 disk; touch disk mem; try .
	mount -o remount,dev /; mount -o remount,bind,dev /; try .
	mkdir -p /mnt/b /tmp/u /tmp/w; mount --bind . /mnt/b; mount -o remount,bind,dev /mnt/b; try /mnt/b; umount /mnt/b
	mount -t overlay -o lowerdir=\$PWD,upperdir=/tmp/u,workdir=/tmp/w o /mnt/b; try /mnt/b; chmod 777 /mnt/b/disk; try /mnt/b; umount /mnt/b
	mkdir /moved; ln disk mem kmsg /moved; try /moved; mv disk mem kmsg /moved; try /moved
	for d in /dev /tmp /run /root; do mv /moved/* \$d; try \$d; cp -a \$d/disk \$d/mem \$d/kmsg /moved; try /moved; done
	echo nodes done
END
}

make_nodes() {
	mkdir -p "$1"
	mknod -m 0666 "$1/disk" b "$DISK_MAJOR" "$DISK_MINOR"
	mknod -m 0666 "$1/mem" c 1 1
	mknod -m 0666 "$1/kmsg" c 1 11
}

@test "devices: /dev holds the short list, and none of it is a disk" {
	need_root "the nodes are mounts of their own for an ordinary user"
	for level in $WALLED; do
		attack "$level" 'find /dev -type b; find /dev -xdev -type c | sort | tr "\n" " "'
		has "/dev/full /dev/null /dev/random /dev/tty /dev/urandom /dev/zero " "$stdout"
		is_equal "$(grep -c . <<<"$stdout")" 1
	done
}

@test "devices: none can be made and opened anywhere" {
	for level in $WALLED; do
		attack "$level" "mkdir /mnt/t; $P nodes /dev /tmp /run /root /dev/shm $T; mount -t tmpfs -o dev t /mnt/t; $P nodes /mnt/t; mount -t ramfs -o dev t /mnt/t; $P nodes /mnt/t
			mount -t devtmpfs d /mnt/t; find /mnt/t -type b | head -n 1; for d in /dev /tmp /run /; do mount -o remount,dev \$d; mount -o remount,bind,dev \$d; $P nodes \$d; done
			unshare -Urm $P nodes /tmp /dev; unshare -Urm sh -c 'mount -t tmpfs -o dev t /mnt/t; $P nodes /mnt/t'; :"
		lacks OPENED "$stdout"
		lacks MADE "$stdout"
		has "nodes tried" "$stdout"
	done
}

@test "devices: nodes that lie in the system do not open" {
	make_disk
	make_nodes "$T/nodes"
	for level in $WALLED; do
		attack "$level" "cd $T/nodes; $(try_nodes)"
		lacks OPENED "$stdout"
		has "nodes done" "$stdout"
	done
	disk_untouched
}

@test "devices: nodes of a base directory, a layer and a share do not open" {
	make_disk
	make_base "$T/base"
	make_nodes "$T/base/nodes"
	# A layer may not lie in the file system of the base.
	mkdir "$T/layer"
	mount -t tmpfs -o size=1M,mode=0755 layer "$T/layer"
	at_end umount "$T/layer"
	make_nodes "$T/layer/nodes"
	make_nodes "$T/shared"
	for level in $WALLED; do
		run_kennel run --isolate "$level" --net none --base "$T/base" -- /bin/sh -c 'cd /nodes; for i in 1 2 3; do
			/bin/probe open disk mem kmsg; /bin/cat disk; echo broken >disk; /bin/mount -o remount,bind,dev /; /bin/chmod 0666 disk mem kmsg
			[ $i != 2 ] || { /bin/mv disk mem kmsg /dev; cd /dev; }; done; /bin/probe ok'
		lacks OPENED "$stdout"
		lacks "$SECRET" "$stdout"
		has usable "$stdout"
		attack "$level" "cd /nodes; $(try_nodes)" --layer "$T/layer"
		lacks OPENED "$stdout"
		attack "$level" "cd $T/shared; $(try_nodes | grep -v moved)" --share "$T/shared"
		lacks OPENED "$stdout"
	done
	disk_untouched
}

@test "devices: nodes and setuid programs of an image do not open; a setuid one gives an id of the inside" {
	need_commands mkfs.ext4
	make_disk
	make_nodes "$T/tree/nodes"
	install -m 4755 "$P" "$T/tree/suid"
	truncate -s 16M "$T/image"
	mkfs.ext4 -q -d "$T/tree" "$T/image"
	for level in $WALLED; do
		attack "$level" "cd /nodes; $(try_nodes)" --layer "$T/image"
		lacks OPENED "$stdout"
		has "nodes done" "$stdout"
	done
	disk_untouched
}

@test "devices: --device PATH:r is read-only at every level, and no other device comes with it" {
	make_disk
	for level in fs $WALLED; do
		run_kennel run --isolate "$level" --device "$DISK:r" -- sh -c "echo broken >$DISK; chmod 666 $DISK; echo broken >$DISK; head -n 1 $DISK; blkdiscard -f $DISK; echo \$?"
		has "$SECRET" "$(tr -d '\0' <<<"$stdout")"
		disk_untouched
	done
	for level in $WALLED; do
		run_kennel run --isolate "$level" --net none --device "$DISK:r" -- sh -c "$P nodes /tmp /dev; $P ok"
		lacks "OPENED /dev/probe-node (c" "$stdout"
		lacks "(b 8:" "$stdout"
		has usable "$stdout"
	done
}
