#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# The copy: what a person can do inside as root, and that the machine is bit for bit what it was. Each test proves it for
# what it touched; the last one for all of the system, from before the first test.

load lib

setup_file() {
	host_snapshot "$BATS_FILE_TMPDIR/host"
}

setup() {
	need_sandbox
	kennel_setup
}

# inside [OPTION]... -- SCRIPT [ARG]...: runs bash with SCRIPT as root of a copy without network; $0 is $T.
inside() {
	local options=()
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	run_kennel run --net none "${options[@]}" -- bash -c "$2" "$T" "${@:3}"
}

# proof FILE PATH...: names, types, modes, owners, links, sizes, all three times, contents, xattrs, capabilities and ACLs.
# Reading is what it does itself, so the access times are those before it: overlay reads without leaving any.
proof() {
	local file=$1
	shift
	find "$@" -printf '%p %y %m %U:%G %n %s %b %A@ %T@ %C@ %i %l\0' | LC_ALL=C sort -z >"$file"
	find "$@" -type f -size -64M -print0 | LC_ALL=C sort -z | xargs -0 sha256sum -z >>"$file"
	find "$@" -print0 | LC_ALL=C sort -z | xargs -0 getfattr -h -d -m - -e hex >>"$file" 2>/dev/null
}

# keep PATH... and unchanged: the paths are the same in between. The first reading sets access times, the second one is kept.
keep() {
	KEPT=("$@")
	proof "$LIB_STATE/proof" "$@"
	proof "$LIB_STATE/proof" "$@"
}

unchanged() {
	proof "$LIB_STATE/proof.now" "${KEPT[@]}"
	cmp -s "$LIB_STATE/proof" "$LIB_STATE/proof.now" || {
		echo "the host has changed:"
		diff -a <(tr '\0' '\n' <"$LIB_STATE/proof") <(tr '\0' '\n' <"$LIB_STATE/proof.now") | head -n 20
		return 1
	}
}

# second_mount: an ext4 of its own at $T/mnt on $DEVICE, with nothing left for the kernel to write later.
second_mount() {
	need_commands losetup mkfs.ext4
	truncate -s 32M "$T/image"
	mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0 "$T/image"
	DEVICE=$(losetup --find --show "$T/image") || skip "no loop devices here"
	at_end losetup --detach "$DEVICE"
	mkdir "$T/mnt"
	mount "$DEVICE" "$T/mnt"
	at_end umount "$T/mnt"
	mkdir -p "$T/mnt/dir/sub"
	echo first >"$T/mnt/file"
	echo second >"$T/mnt/dir/sub/file"
	chown 1003:1003 "$T/mnt/dir/sub/file"
}

bytes_of_device() {
	sync -f "$T/mnt"
	blockdev --flushbufs "$DEVICE"
	sha256sum <"$DEVICE"
}

@test "copy: every mount of the machine that holds files is there and writable" {
	second_mount
	"$KENNEL" info --base --json | jq -r '.mounts[] | select(.what == "copied") | .path' >"$T/mounts"
	grep -qx / "$T/mounts"
	grep -qx "$T/mnt" "$T/mounts"
	inside -- 'while IFS= read -r path; do
			if [ -d "$path" ]; then
				echo probe >"${path%/}/kennel-probe" && [ -s "${path%/}/kennel-probe" ] && rm "${path%/}/kennel-probe" || echo "not writable: $path"
			else
				[ -e "$path" ] || echo "not there: $path"
			fi
		done <"$0/mounts"'
	is_status 0
	is_equal "$output" ""
}

@test "copy: each mount is one of its own inside, with the machine's paths" {
	second_mount
	inside -- 'stat -c %d / "$0" "$0/mnt"; findmnt -no FSTYPE "$0/mnt"; cat "$0/mnt/file" "$0/mnt/dir/sub/file"'
	is_status 0
	mapfile -t line <<<"$stdout"
	is_equal "${line[0]}" "${line[1]}"
	[ "${line[0]}" != "${line[2]}" ]
	is_equal "${line[*]:3}" "overlay first second"
}

@test "copy: /tmp, /run, /proc, /sys and /dev are new" {
	local mark
	mark=$(mktemp /tmp/kennel-mark-XXXXXX)
	at_end rm -f "$mark"
	inside -- 'ls -A /tmp; [ ! -e '"$mark"' ]; findmnt -rno TARGET,FSTYPE | sort | grep -E "^/(tmp|run|proc|sys|dev) "'
	is_status 0
	is_equal "$stdout" $'/dev tmpfs\n/proc proc\n/run tmpfs\n/sys sysfs\n/tmp tmpfs'
}

@test "copy: a second mount's files are changed, its device not by one byte" {
	second_mount
	keep "$T/mnt"
	local before
	before=$(bytes_of_device)
	inside -- 'set -e; cd "$0/mnt"; echo more >>file; rm -r dir; mkdir dir; echo new >dir/new; chown 7:8 file; chmod 600 file
		setfattr -n user.x -v y file; mv file renamed; sync; cat renamed dir/new; ls -A; df . >/dev/null'
	is_status 0
	is_equal "$stdout" $'first\nmore\nnew\ndir\nlost+found\nrenamed'
	unchanged
	is_equal "$(bytes_of_device)" "$before"
}

@test "copy: reading leaves no trace either, on a mount with strict access times" {
	second_mount
	mount -o remount,strictatime "$T/mnt"
	local before
	before=$(stat -c '%x %y %z' "$T/mnt" "$T/mnt/file" "$T/mnt/dir/sub/file")
	inside -- 'cat "$0/mnt/file" "$0/mnt/dir/sub/file"; ls -R "$0/mnt"; find "$0" -type f -exec cat {} + >/dev/null'
	is_status 0
	is_equal "$(stat -c '%x %y %z' "$T/mnt" "$T/mnt/file" "$T/mnt/dir/sub/file")" "$before"
}

@test "copy: a mount that can only be read outside is writable inside" {
	second_mount
	mount -o remount,ro "$T/mnt"
	inside -- 'set -e; cd "$0/mnt"; echo more >>file; rm -r dir; cat file'
	is_status 0
	is_equal "$stdout" $'first\nmore'
	is_equal "$(cat "$T/mnt/file")" first
}

@test "copy: all of /usr, /etc, /var and more are deleted inside" {
	local usr='/usr/*'
	# the view server takes half a minute for all of it, and has nothing to do with it
	[ "$EUID" -eq 0 ] || usr='/usr/bin /usr/sbin /usr/lib/python3*'
	inside -- "rm -rf $usr"' /etc /opt /srv /boot /home/* /media /var/lib 2>/dev/null
		[ ! -e /usr/bin/ls ] && [ ! -e /etc/passwd ] && [ ! -e /var/lib ] && echo /usr/bin* /etc* && echo "shell goes on"'
	is_status 0
	is_equal "$stdout" $'/usr/bin* /etc*\nshell goes on'
	[ -x /usr/bin/ls ]
	[ -s /etc/passwd ]
	[ -d /var/lib ]
}

@test "copy: a package is installed with dpkg, its script runs as root, and it works" {
	need_commands dpkg dpkg-deb
	mkdir -p "$T/p/DEBIAN" "$T/p/usr/bin"
	printf 'Package: kennel-probe\nVersion: 1\nArchitecture: all\nMaintainer: nobody <n@example.org>\nDescription: probe\n' >"$T/p/DEBIAN/control"
	printf '#!/bin/sh\nset -e\nid -u >/etc/kennel-probe\nchown 33:33 /etc/kennel-probe\n' >"$T/p/DEBIAN/postinst"
	printf '#!/bin/sh\necho "probe runs"\n' >"$T/p/usr/bin/kennel-probe"
	chmod 0755 "$T/p/DEBIAN/postinst" "$T/p/usr/bin/kennel-probe"
	dpkg-deb --root-owner-group -b "$T/p" "$T/p.deb" >/dev/null
	inside -- 'dpkg -i "$0/p.deb" >/dev/null && kennel-probe && stat -c %u:%g /etc/kennel-probe && dpkg -s kennel-probe | grep ^Status &&
		dpkg -P kennel-probe >/dev/null && [ ! -e /usr/bin/kennel-probe ]'
	is_status 0
	has $'probe runs\n33:33\nStatus: install ok installed' "$stdout"
	[ ! -e /etc/kennel-probe ]
	[ ! -e /usr/bin/kennel-probe ]
	run dpkg -s kennel-probe
	[ "$status" -ne 0 ]
}

@test "copy: a package is installed with apt-get from the network" {
	need_root "an ordinary user's is among the tests of users"
	need_commands apt-get
	apt-cache show hello >/dev/null 2>&1 || skip "no package lists of a registry here"
	run_kennel run -- timeout 300 sh -c 'rm -f /var/lib/man-db/auto-update; apt-get install -q -y hello 2>&1; hello && dpkg -s hello | grep ^Status'
	[[ $stdout != *[Uu]"nable to fetch"* && $status -ne 124 ]] || skip "no registry of packages can be reached"
	is_status 0
	has "Hello, world!" "$stdout"
	has "Status: install ok installed" "$stdout"
	[ ! -e /usr/bin/hello ]
}

@test "copy: files of the machine have inside the owners that they have outside" {
	need_root "files of other owners outside"
	touch "$T/mine"
	chown 1003:1004 "$T/mine"
	chmod 4751 "$T/mine"
	local files=(/etc/shadow /etc/passwd /usr/bin/passwd /var /home/"$KENNEL_TEST_USER" "$T/mine" /root /etc/sudoers)
	local want
	want=$(stat -c '%n %u:%g %a' "${files[@]}" 2>/dev/null || :)
	inside -- 'stat -c "%n %u:%g %a" "$@" 2>/dev/null; :' "${files[@]}"
	is_status 0
	is_equal "$stdout" "$want"
	has "$T/mine 1003:1004 4751"
}

@test "copy: no file of the system shows as nobody's inside" {
	inside -- 'find /etc /usr/bin /root -xdev \( -uid 65534 -o -gid 65534 \) 2>/dev/null | head'
	is_status 0
	is_equal "$stdout" "$(find /etc /usr/bin /root -xdev \( -uid 65534 -o -gid 65534 \) 2>/dev/null | head)"
}

@test "copy: what a user of the machine can't read, that user can't read inside" {
	need_root "files of other owners outside"
	echo secret >"$T/secret"
	chown 1003:1003 "$T/secret"
	chmod 0600 "$T/secret"
	run_kennel run --net none -u 1004 -- cat "$T/secret"
	is_status 1
	lacks secret "$stdout"
	run_kennel run --net none -u 1003 -- cat "$T/secret"
	is_status 0
	run_kennel run --net none -u "$KENNEL_TEST_USER" -- cat /etc/shadow
	is_status 1
}

@test "copy: ownership is changed, of files, links, and a whole tree of the base" {
	mkdir -p "$T/tree/a/b"
	echo x >"$T/tree/a/b/file"
	ln -s /nowhere "$T/tree/link"
	chmod 4755 "$T/tree/a/b/file"
	keep "$T/tree"
	inside -- 'set -e; cd "$0/tree"; chown -hR 1003:33 .; chmod -R go-rwx .; find . -printf "%p %U:%G %m %y\n" | sort
		chown -R 33:33 /etc; chmod -R u-s,o-rwx /usr/bin; stat -c "%u:%g" /etc/passwd; chown 60000:65535 a; stat -c "%u:%g" a'
	is_status 0
	is_equal "$stdout" $'. 1003:33 700 d\n./a 1003:33 700 d\n./a/b 1003:33 700 d\n./a/b/file 1003:33 700 f\n./link 1003:33 777 l\n33:33\n60000:65535'
	unchanged
}

@test "copy: an id beyond the range is refused inside, and a file of one shows as nobody's" {
	need_root "files of other owners outside"
	touch "$T/far"
	chown 4000000:4000000 "$T/far"
	inside -- 'stat -c %u:%g "$0/far"; chown 70000 "$0/far"; cat /proc/sys/kernel/overflowuid'
	has $'65534:65534\n65534' "$stdout"
	has "Invalid argument" "$stderr"
}

@test "copy: hard links, made and broken" {
	echo text >"$T/one"
	ln "$T/one" "$T/two"
	keep "$T/one" "$T/two"
	inside -- 'set -e; cd "$0"; echo a >x; ln x y; ln x z; stat -c %h x; rm x; echo b >>y; cat z; ln one three; echo more >>three; cat three
		for n in $(seq 100); do ln y "y$n"; done; stat -c %h y; rm y[0-9]*; stat -c %h y'
	is_status 0
	is_equal "$stdout" $'3\na\nb\ntext\nmore\n102\n2'
	unchanged
}

@test "copy: user xattrs, large and many; trusted ones are kept from the inside" {
	need_root "trusted xattrs and file capabilities outside"
	need_commands setfattr getfattr
	echo text >"$T/file"
	setfattr -n user.kept -v outside "$T/file"
	setfattr -n trusted.secret -v no "$T/file"
	keep "$T/file"
	inside -- 'cd "$0"; getfattr --only-values -n user.kept file; echo; setfattr -n user.kept -v inside file && getfattr --only-values -n user.kept file; echo
		setfattr -x user.kept file; for n in $(seq 20); do setfattr -n "user.n$n" -v "$n" file; done; getfattr -d file | grep -c ^user
		setfattr -n user.big -v "$(head -c 3000 /dev/zero | tr "\0" x)" file && getfattr --only-values -n user.big file | wc -c
		mkdir d; setfattr -n user.d -v d d; getfattr --only-values -n user.d d; echo
		setfattr -n trusted.mine -v no file; getfattr -d -m - file | grep -c trusted'
	is_equal "$stdout" $'outside\ninside\n20\n3000\nd\n0'
	has "Operation not permitted" "$stderr"
	unchanged
}

@test "copy: file capabilities, those of the machine and new ones" {
	need_root "trusted xattrs and file capabilities outside"
	need_commands setcap getcap capsh
	cp "$(command -v capsh)" "$T/capsh"
	cp "$(command -v capsh)" "$T/plain"
	setcap cap_net_raw=ep "$T/capsh"
	keep "$T/capsh" "$T/plain"
	# shellcheck disable=SC2016 # runs inside
	inside -- 'cd "$0"; getcap capsh; setcap cap_net_bind_service=ep plain; getcap plain; chmod 755 . capsh plain
		for program in capsh plain; do setpriv --reuid 33 --regid 33 --clear-groups "./$program" --print | grep ^Current:; done
		setcap -r capsh; getcap capsh; echo end'
	is_status 0
	is_equal "$stdout" $'capsh cap_net_raw=ep\nplain cap_net_bind_service=ep\nCurrent: cap_net_raw=ep\nCurrent: cap_net_bind_service=ep\nend'
	unchanged
	is_equal "$(getcap "$T/plain")" ""
}

@test "copy: set-user-ID programs of the copy make root of the inside" {
	inside -- 'cp /usr/bin/id /usr/local/bin/rootid && chmod 4755 /usr/local/bin/rootid && setpriv --reuid 1003 --regid 1003 --clear-groups rootid -u
		cat /proc/self/uid_map'
	is_status 0
	[[ $stdout =~ ^0$'\n'\ +0\ +[1-9][0-9]{4,}\ +[0-9]+ ]]
}

@test "copy: ACLs, of the machine and new ones" {
	need_commands setfacl getfacl
	echo text >"$T/file"
	mkdir "$T/dir"
	setfacl -m u:1003:r-- "$T/file"
	setfacl -d -m g:33:rwx "$T/dir"
	chmod o-r "$T/file"
	keep "$T/file" "$T/dir"
	inside -- 'cd "$0"; getfacl -nc file; setfacl -m u:1004:rw- file; getfacl -nc file | grep 1004; touch dir/new; getfacl -nc dir/new | grep group:33
		setpriv --reuid 1003 --regid 1003 --clear-groups cat file; setpriv --reuid 1005 --regid 1005 --clear-groups cat file; echo "$?"'
	has $'user:1003:r--' "$stdout"
	has $'user:1004:rw-\ngroup:33:rwx' "$stdout"
	[[ $stdout == *$'\ntext\n1' ]]
	unchanged
}

@test "copy: a sparse file of 2 GB stays sparse when it is changed" {
	truncate -s 2G "$T/sparse"
	printf host | dd of="$T/sparse" bs=1 seek=1G conv=notrunc status=none
	keep "$T/sparse"
	inside --size 64M -- 'set -e; cd "$0"; printf inside | dd of=sparse bs=1 seek=1073741900 conv=notrunc status=none; stat -c %s sparse
		dd if=sparse bs=1 skip=1G count=4 status=none; echo; [ "$(du -k sparse | cut -f 1)" -lt 8192 ]; truncate -s 2G new; printf x >>new; stat -c %s new; rm sparse new'
	is_status 0
	is_equal "$stdout" $'2147483648\nhost\n2147483649'
	unchanged
}

@test "copy: sockets and fifos work, and lead to nobody outside" {
	mkfifo "$T/fifo"
	# shellcheck disable=SC2016
	background python3 -c 'import os, socket, sys
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1] + "/socket"); s.listen()
fd = os.open(sys.argv[1] + "/fifo", os.O_RDONLY | os.O_NONBLOCK)
print("ready", flush=True)
import time; time.sleep(300)' "$T"
	wait_for 10 says "$T/out.$LIB_STARTED" ready
	keep "$T/fifo" "$T/socket"
	inside -- 'cd "$0"; mkfifo own; (echo through >own &); cat own; python3 -c "
import errno, os, socket
s = socket.socket(socket.AF_UNIX); s.bind(\"new\"); s.listen()
c = socket.socket(socket.AF_UNIX); c.connect(\"new\"); c.send(b\"hello\"); print(s.accept()[0].recv(5).decode())
for name, call in ((\"socket\", lambda: socket.socket(socket.AF_UNIX).connect(\"socket\")), (\"fifo\", lambda: os.open(\"fifo\", os.O_WRONLY | os.O_NONBLOCK))):
    try:
        call()
        print(name, \"leads outside\")
    except OSError as e:
        print(name, errno.errorcode[e.errno])
"'
	is_status 0
	is_equal "$stdout" $'through\nhello\nsocket ECONNREFUSED\nfifo ENXIO'
	unchanged
}

@test "copy: paths of 4,000 characters, of the machine and new ones" {
	cat >"$T/long.py" <<'PY'
import os, sys
top, write = sys.argv[1], sys.argv[2]
path = top
while len(path) < 3900:
    path += "/" + "d" * 99
path += "/" + "f" * (4000 - len(path) - 1)
assert len(path) == 4000
if write == "make":
    os.makedirs(os.path.dirname(path))
    open(path, "w").write("outside\n")
else:
    print(open(path).read(), end="")
    open(path, "a").write("inside\n")
    print(open(path).read().count("\n"))
    os.rename(path, path[:-1] + "g")
    os.unlink(path[:-1] + "g")
PY
	mkdir "$T/t"
	python3 "$T/long.py" "$T/t" make
	keep "$T/t"
	inside -- 'python3 "$0/long.py" "$0/t" change && mkdir "$0/u" && python3 "$0/long.py" "$0/u" make && python3 "$0/long.py" "$0/u" change && rm -r "$0/t" "$0/u"'
	is_status 0
	is_equal "$stdout" $'outside\n2\noutside\n2'
	unchanged
}

@test "copy: odd names" {
	local names=($'new\nline' $'\e[31mred\a' $'\xff\xfe' -rf ' ' '*' 'a\b' 'a:b,c=d' '...' "$(printf 'n%.0s' {1..255})")
	mkdir "$T/odd"
	for name in "${names[@]}"; do
		echo outside >"$T/odd/$name"
	done
	keep "$T/odd"
	inside -- 'cd "$0/odd"; n=0; for name; do [ "$(cat "./$name")" = outside ] && echo inside >"./$name" && mv "./$name" ./moved && rm ./moved &&
		mkdir "./$name" && touch "./$name/$name" && n=$((n + 1)); done; echo "$n"; find . -type f | tr -cd "\n" | wc -c' "${names[@]}"
	is_status 0
	is_equal "${stdout%%$'\n'*}" "${#names[@]}"
	unchanged
}

@test "copy: directories of the base are renamed, moved and replaced" {
	mkdir -p "$T/t/a/b/c" "$T/t/z"
	echo text >"$T/t/a/b/c/file"
	keep "$T/t"
	inside -- 'set -e; cd "$0/t"; mv a renamed; cat renamed/b/c/file; mv renamed/b z/; cat z/b/c/file; mkdir a; ls -A a; rm -r z; mkdir z; ls -A z
		mv /etc/apt /etc/apt.old; [ ! -e /etc/apt ]; mv /etc/apt.old /etc/apt; [ -d /etc/apt ]
		mv /usr/share/doc /usr/share/doc.old; ls -d /usr/share/doc /usr/share/doc.old 2>/dev/null || :; mkdir n; mv n m; mv m a/m; ls a'
	is_status 0
	is_equal "$stdout" $'text\ntext\n/usr/share/doc.old\nm'
	unchanged
}

@test "copy: unnamed files, shared maps, locks, notification, exchange, times" {
	echo "from the base" >"$T/mapped"
	echo other >"$T/other"
	keep "$T/mapped" "$T/other"
	cat >"$T/calls.py" <<'PY'
import ctypes, fcntl, mmap, os, struct, sys
os.chdir(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
fd = os.open(".", os.O_TMPFILE | os.O_RDWR, 0o600)
os.write(fd, b"unnamed\n")
assert libc.linkat(-100, f"/proc/self/fd/{fd}".encode(), -100, b"named", 0x400) == 0, os.strerror(ctypes.get_errno())
print(open("named").read(), end="")
f = open("mapped", "r+b")
m = mmap.mmap(f.fileno(), 0)
m[0:4] = b"FROM"
m.flush()
print(open("mapped").read(), end="")
a, b = open("mapped"), open("mapped")
fcntl.flock(a, fcntl.LOCK_EX)
try:
    fcntl.flock(b, fcntl.LOCK_EX | fcntl.LOCK_NB)
    print("no lock")
except BlockingIOError:
    print("locked")
fcntl.lockf(open("other", "r+"), fcntl.LOCK_EX)
w = libc.inotify_init()
assert libc.inotify_add_watch(w, b".", 0x100) >= 0
open("fresh", "w").close()
print("notified" if b"fresh" in os.read(w, 4096) else "not notified")
assert libc.renameat2(-100, b"mapped", -100, b"other", 2) == 0, os.strerror(ctypes.get_errno())
print(open("mapped").read(), end="")
os.utime("other", ns=(10**18, 10**18 + 1))
print(os.stat("other").st_mtime_ns)
os.posix_fallocate(os.open("space", os.O_CREAT | os.O_RDWR), 0, 1 << 20)
print(os.stat("space").st_size)
os.symlink("x" * 4000, "link")
print(len(os.readlink("link")))
os.copy_file_range(os.open("mapped", os.O_RDONLY), os.open("copied", os.O_CREAT | os.O_WRONLY), 5)
print(open("copied").read())
PY
	inside -- 'python3 "$0/calls.py" "$0"'
	is_status 0
	is_equal "$stdout" $'unnamed\nFROM the base\nlocked\nnotified\nother\n1000000000000000001\n1048576\n4000\nother'
	unchanged
}

@test "copy: a lock that is held outside does not hold inside" {
	echo text >"$T/file"
	background flock --no-fork "$T/file" sleep 300
	wait_for 5 sh -c "! flock -n '$T/file' true"
	inside -- 'flock -n "$0/file" true && echo free'
	is_status 0
	is_equal "$stdout" free
}

@test "copy: no device node can be made, and one on a mount of the machine does not open" {
	second_mount
	mknod "$T/mnt/null" c 1 3
	mknod "$T/mnt/disk" b 7 0
	chmod 666 "$T/mnt/null"
	local how
	for how in user ns; do
		inside --isolate $how -- 'cd "$0/mnt"; echo x >null; cat disk; mknod b b 7 0; mknod /dev/b b 7 0; mknod /tmp/b b 7 0; ls -A /dev | grep -c "^b$"'
		is_equal "$stdout" 0
		is_equal "$(grep -c 'Permission denied\|not permitted' <<<"$stderr")" 5
	done
}

@test "copy: full means ENOSPC inside and nothing outside" {
	local before after try
	# others may write to the same disks meanwhile, so there is more than one try
	for try in 1 2 3 4 5 6 7 8; do
		before=$(df --output=used / "$T" | tail -n 2)
		full_inside
		after=$(df --output=used / "$T" | tail -n 2)
		[ $((${after##*$'\n'} - ${before##*$'\n'})) -ge 16384 ] || return 0
	done
	echo "$((${after##*$'\n'} - ${before##*$'\n'})) kB more, at try $try"
	return 1
}

full_inside() {
	local line
	inside --size 16M -- 'dd if=/dev/zero of=/root/big bs=1M count=64; echo "$?"; stat -c %s /root/big; : >/root/big; echo again >/root/small && cat /root/small
		dd if=/dev/zero of=/tmp/big bs=1M count=64 2>/dev/null; echo "$?"; df -m --output=size / | tail -n 1 | tr -d " "'
	is_status 0
	has "No space left on device" "$stderr"
	mapfile -t line <<<"$stdout"
	is_equal "${line[0]}" 1
	[ "${line[1]}" -le $((16 << 20)) ]
	[ "${line[1]}" -gt $((15 << 20)) ]
	is_equal "${line[*]:2}" "again 1 16"
}

@test "copy: a file of the base that does not fit can't be changed, and is whole" {
	head -c 20M /dev/urandom >"$T/big"
	keep "$T/big"
	inside --size 8M -- 'printf x >>"$0/big"; sha256sum <"$0/big"; stat -c %s "$0/big"'
	has "No space left on device" "$stderr"
	is_equal "$stdout" "$(sha256sum <"$T/big")"$'\n'"$((20 << 20))"
	unchanged
}

@test "copy: too many files mean ENOSPC too, and the rest goes on" {
	inside --size 1M -- 'cd /root && mkdir many && n=0; while : 2>/dev/null >many/$n; do n=$((n + 1)); [ $n -lt 20000 ] || break; done; echo $((n > 1000 && n < 20000)); rm -r many; echo ok >one && cat one'
	is_status 0
	is_equal "$stdout" $'1\nok'
}

@test "copy: no change is left anywhere when it is over, and none is seen by the next" {
	local mark=kennel-trace-$$-$RANDOM
	inside -- 'for d in / /etc /usr/bin /var/tmp /root /tmp /run /dev/shm "$0"; do echo "$1" >"$d/$1" || echo "not in $d"; done; ls "/$1"' "$mark"
	is_status 0
	is_equal "$output" "/$mark"
	inside -- 'ls "/$1" "/etc/$1" "/tmp/$1" "/run/$1" "$0/$1" 2>/dev/null | wc -l' "$mark"
	is_equal "$stdout" 0
	for dir in / /etc /usr/bin /var/tmp /root /tmp /run /dev/shm "$T"; do
		[ ! -e "$dir/$mark" ]
	done
	is_equal "$(find /run /tmp /dev/shm /var/tmp /var/lib -xdev -name "$mark" 2>/dev/null)" ""
}

@test "copy: a directory mounted over another, and one below a mount, are what they are outside" {
	second_mount
	mkdir -p "$T/mnt/dir/over" "$T/src"
	echo covered >"$T/mnt/dir/over/file"
	echo covering >"$T/src/file"
	mount --bind "$T/src" "$T/mnt/dir/over"
	at_end umount "$T/mnt/dir/over"
	inside -- 'cd "$0/mnt/dir/over"; cat file; echo changed >file; cat file "$0/src/file"'
	is_status 0
	is_equal "$stdout" $'covering\nchanged\ncovering'
	is_equal "$(cat "$T/src/file")" covering
}

@test "copy: mounts made and removed inside stay there" {
	second_mount
	inside -- 'mount -t tmpfs none /mnt && touch /mnt/x && mount --bind /etc /srv && umount "$0/mnt" 2>&1; grep -c " /mnt \| /srv " /proc/self/mountinfo; ls "$0/mnt"'
	has 2 "$stdout"
	run grep -c " /srv " /proc/self/mountinfo
	is_equal "$output" 0
	is_equal "$(cat "$T/mnt/file")" first
}

@test "copy: the machine is bit for bit what it was" {
	host_same "$BATS_FILE_TMPDIR/host"
}
