#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# run --session: a directory with a config and a save file, as Fatdog64's User Mode Linux sessions have it; further disks.

load lib

setup() {
	kennel_setup
	need_guest
	need_commands mkfs.ext4 debugfs
}

@test "session: the directory is made, everything is saved in it, its words and options overrule the config" {
	cd "$T"
	run_kennel run --session session --net none -- sh -c 'echo one >/srv/x; hostname'
	is_status 0
	is_equal "$(stat -c '%F %a' session session/config session/savefile)" $'directory 700\nregular file 644\nregular file 600'
	is_equal "$(stat -c %s session/savefile)" $((128 << 20))
	sed -i 's/^MEM=.*/MEM="100M"/; s/^NET=.*/NET=none/; s/^HOST=.*/HOST=box/; s/^START_CMD=.*/START_CMD="cat \/srv\/x; hostname; exit 4"/' session/config
	run_kennel run --session session
	is_equal "$stdout" $'one\nbox'
	is_status 4
	truncate -s 8M disk && mkfs.ext4 -q -F disk
	# shellcheck disable=SC2016
	run_kennel run --session session --hostname other ubd1=disk "ubd3rc=$T/disk" \
		'START_CMD=hostname; mount /dev/ubdb /mnt && echo in >/mnt/file && umount /mnt; blockdev --getro /dev/ubdb /dev/ubdd; ls /dev/ubdc'
	is_equal "$stdout" $'other\n0\n1'
	is_equal "$(debugfs -R 'cat file' disk 2>/dev/null)" in
	run_kennel run --session session ubd1=disk -- echo ran
	is_equal "$stdout" ran
	# the same by options, from where we are
	run_kennel run --isolate vm --net none --drive disk:ro --drive ubd15=disk:ro --drive "ubd3=$T/disk" -- \
		blockdev --getro /dev/ubdb /dev/ubdp /dev/ubdd
	is_equal "$stdout" $'1\n1\n0'
}

@test "session: what makes no sense is told, and starts nothing" {
	cd "$T"
	mkdir session
	echo 'MEMO=1' >session/config
	run_kennel run --session session
	refused yes 'line 1: "MEMO"'
	has 'did you mean "MEM"'
	echo half >session/.config-new
	rm session/config && ln -s /etc/hostname session/config
	run_kennel run --session session -- true
	refused yes 'nothing that a session has'
	run_kennel run --session session -k name -- true
	refused yes exclude
	rm session/config
	run_kennel run --session session "ubd0=$T/x" -- true
	refused yes 'ubd0 has the changes'
	run_kennel run --isolate vm --drive "$T/none" -- true
	refused yes "$T/none"
	run_kennel run --isolate vm --drive "$T" -- true
	refused yes 'is not a file'
	run_kennel run --isolate fs --net host --drive /etc/hostname -- true
	refused yes 'kernel of its own'
	[ ! -e session/savefile ] && [ ! -e session/.config-new ]
}
