#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# kennel create --template: bases that are made on the spot, by programs that nobody has to trust.

load lib
load screen

setup() {
	kennel_setup
	need_sandbox
	STORE=$T/store
	at_end remove_all
}

remove_all() {
	local name
	for name in $("$KENNEL" list -kq -P "$STORE" 2>/dev/null); do
		"$KENNEL" rm --force -P "$STORE" "$name"
	done
	"$KENNEL" gc >/dev/null
}

# template NAME: one at $T/NAME, of what comes on standard input behind its first lines.
template() {
	{
		printf '%s\n' '#!/bin/sh' '# kennel-template: 1' '# kennel-summary: a test' 'set -eu' "cd \"\$KENNEL_TEMPLATE_TARGET\""
		cat
	} >"$T/$1"
	chmod 755 "$T/$1"
}

# A helper of one that was killed may still be about to end.
nothing_left_soon() {
	"$KENNEL" list -k -P "$STORE" >/dev/null && nothing_left
}

# make NAME TEMPLATE [OPTION]...
make() {
	local name=$1 template=$2
	shift 2
	run_kennel create -P "$STORE" --net none --template "$template" "$name" -- "$@"
}

# Of a container that could not be made, nothing is left.
nothing_left() {
	[ -z "$(ls -A "$STORE" 2>/dev/null)" ] || {
		ls -lAR "$STORE"
		return 1
	}
}

@test "template: busybox, to look at, to change and to boot" {
	need_commands busybox tmux
	run_kennel create -P "$STORE" --net none --boot --template busybox box
	is_status 0
	is_equal "$output" ""
	run_kennel config -P "$STORE" box
	has "base = own"
	"$KENNEL" start -q -P "$STORE" box
	shown() {
		"$KENNEL" log -P "$STORE" box | grep -q 'box is up'
	}
	wait_for 20 shown
	run_kennel exec box -- sh -c 'echo new >/etc/new; touch /bin/busybox /etc/shadow; echo more >>/etc/rc; stat -c %u:%g:%a / /root /bin/busybox; cat /etc/hostname; awk "BEGIN { print 6 * 7 }"'
	is_equal "$stdout" $'0:0:755\n0:0:700\n0:0:755\nbox\n42'
	# ^C on its console is for what runs in the foreground there: the shell is at that terminal, and init is not
	SOCKET=$T/tmux
	screen "$KENNEL" console box
	expect 'root@box:~#'
	keys 'sleep 300' Enter
	sleeps() {
		"$KENNEL" exec box -- sh -c 'ps | grep -q "[s]leep 300"'
	}
	wait_for 20 sleeps
	keys C-c
	keys 'echo "it goes $((40 + 2)) on"' Enter
	expect 'it goes 42 on'
	keys C-]
	expect 'code 0'
	has ' own ' "$("$KENNEL" list)"
	run_kennel exec box -- awk '{ print $7 }' /proc/1/stat
	is_equal "$stdout" 0
	"$KENNEL" stop box
	"$KENNEL" wait -P "$STORE" -t 60 box
	run_kennel diff -P "$STORE" box
	has "A /etc/new"
	has "M /etc/rc"
	lacks /bin/
	"$KENNEL" rename -P "$STORE" box chest
	# the image or directory goes along
	run_kennel diff --content -P "$STORE" chest
	has "+++ b/etc/new"
	has "+more"
	run_kennel export -P "$STORE" -o "$T/delta.tar" chest
	is_status 0
	run_kennel run -P "$STORE" -k chest -- cat /etc/new
	has new
}

@test "template: what a program is told, and what it leaves, is what the container has" {
	need_commands busybox
	template told <<-'END'
		mkdir bin && cp "$(command -v busybox)" bin/busybox
		for name in sh cat stat; do ln -s busybox bin/$name; done
		env | grep ^KENNEL_TEMPLATE >told
		for word; do echo "<$word>"; done >words
		pwd -P >>told
		[ -z "$(ls -A "$KENNEL_TEMPLATE_WORK")" ] && echo empty >>told
		echo x >"$KENNEL_TEMPLATE_WORK/x"
		[ ! -t 0 ] && [ ! -t 1 ] && ! true 2>/dev/null </dev/tty && echo no terminal >>told
		[ "$(ls /sys/class/net)" = lo ] && echo no network >>told
		chown 7:8 words && chmod 4751 words
		mkdir -m 2770 dir && ln -s /nowhere dir/link && mkfifo dir/fifo && ln words dir/same
		echo "progress 1/1 done" >&3
	END
	make box "$T/told" --a 'b c' '$(d)' --
	is_status 0
	is_equal "$output" ""
	run_kennel run -P "$STORE" -k box -- cat /told
	for line in KENNEL_TEMPLATE_VERSION=1 KENNEL_TEMPLATE_NAME=box KENNEL_TEMPLATE_ARCH= /run/kennel-target empty 'no terminal' \
		'no network'; do
		has "$line" "$stdout"
	done
	run_kennel run -P "$STORE" -k box -- sh -c 'cat words; stat -c "%u:%g %a %F %h" words dir dir/fifo dir/link'
	is_equal "$stdout" $'<--a>\n<b c>\n<$(d)>\n<-->\n7:8 4751 regular file 2\n0:0 2770 directory 2\n0:0 644 fifo 1\n0:0 777 symbolic link 1'
	is_equal "$(find "$STORE/box" -mindepth 1 -maxdepth 1 -printf '%f\n' | grep -v manifest | sort | tr '\n' ' ')" "base config delta lock "
}

@test "template: of this machine it can write nothing, whatever it tries" {
	template hostile <<-'END'
		for dir in /etc /usr /var/tmp /tmp /home "$1" "$1/store"; do
			echo evil >"$dir/evil-of-template" 2>/dev/null || :
		done
		rm -rf "$1/precious" /usr/bin/env 2>/dev/null || :
		kill -9 "$2" 2>/dev/null || :
		mknod disk b 8 0 2>/dev/null || :
		mknod zero c 1 5 2>/dev/null && dd if=zero of=read bs=1 count=1 2>/dev/null && echo could read
		cp /bin/sh rootshell && chmod 6755 rootshell
		ln -s / escape && echo evil >escape/evil-of-template
		echo evil >../../evil-of-template 2>/dev/null || :
		umount -l "$KENNEL_TEMPLATE_TARGET" 2>/dev/null || :
		rmdir "$KENNEL_TEMPLATE_TARGET" 2>/dev/null || mv "$KENNEL_TEMPLATE_TARGET" /run/away 2>/dev/null || :
		ln -sf "$1" "$KENNEL_TEMPLATE_TARGET" 2>/dev/null || :
		(sleep 100; echo evil >late) >/dev/null 2>&1 3>&- &
	END
	echo mine >"$T/precious"
	background sleep 300
	make box "$T/hostile" "$T" $!
	is_status 0
	lacks "could read"
	kill -0 $!
	[ -e /usr/bin/env ]
	is_equal "$(cat "$T/precious")" mine
	[ -z "$(find / /etc /usr /var/tmp /tmp /home "$T" "$STORE" -maxdepth 1 -name 'evil*' 2>/dev/null)" ]
	# a set-user-id program of root is behind a directory that only its owner can enter
	is_equal "$(stat -c %a "$STORE/box")" 700
	# and a device in the tree is none inside
	run_kennel run -P "$STORE" -k box -- /rootshell -c 'read line </disk'
	[ "$status" -ne 0 ]
}

@test "template: one that fails says why, in its last lines; nothing is left of the container" {
	template fails <<-'END'
		mkdir -m 700 d && chown 5:5 d && echo x >d/x && chown 5:5 d/x
		case $1 in
		many) for i in $(seq 30); do printf 'line %d \033[2J\r' $i; printf 'shown %d\n' $i; done; exit 7 ;;
		usage) echo "no such option"; exit 64 ;;
		missing) echo "debootstrap is not installed"; exit 69 ;;
		empty) rm -r d ;;
		long) head -c 100000 /dev/zero | tr '\0' 'x'; head -c 1000 /dev/zero; exit 1 ;;
		esac
	END
	make box "$T/fails" many
	is_status 125
	has 'kennel: make the container "box": the template "'"$T"'/fails" failed with exit code 7: shown 30'
	has '| shown 21'
	lacks 'shown 20'
	lacks $'\033'
	nothing_left
	make box "$T/fails" usage
	refused yes "does not take these options: no such option"
	make box "$T/fails" missing
	refused no "lacks something: debootstrap is not installed"
	make box "$T/fails" empty
	refused no "the template left nothing"
	make box "$T/fails" long
	refused no "failed with exit code 1: xxx"
	run_kennel create -v -P "$STORE" --template "$T/fails" box many
	has '| shown 1'
	nothing_left
}

@test "template: names and programs that are none are refused before anything is begun" {
	printf '#!/bin/sh\ntouch "$KENNEL_TEMPLATE_TARGET/x"\n' >"$T/plain"
	chmod 755 "$T/plain"
	make box "$T/plain"
	refused yes 'it does not say "# kennel-template: 1"'
	template noexec </dev/null
	chmod 644 "$T/noexec"
	make box "$T/noexec"
	refused yes "is no program"
	sed 's/template: 1/template: 9/' "$T/noexec" >"$T/newer"
	chmod 755 "$T/newer"
	make box "$T/newer"
	refused yes "version 9"
	mkfifo "$T/fifo"
	chmod 755 "$T/fifo"
	make box "$T/fifo"
	refused yes "is no program"
	local name
	for name in ../busybox a/b .. '' -x "$T"; do
		run_kennel create -P "$STORE" --template="$name" box
		is_status 125
	done
	make box nothing
	refused yes 'there is no template "nothing"'
	make box busibox
	has 'did you mean "busybox"?'
	run_kennel create -P "$STORE" --template busybox
	refused yes "needs more words"
	run_kennel create -P "$STORE" --template busybox --base /usr box
	refused yes "exclude each other"
	make ../x busybox
	is_status 125
	[ ! -e "$STORE" ]
	run_kennel create --list-templates
	is_status 0
	has "busybox  "
	has "dir:PATH"
	is_equal "$("$KENNEL" create --template list)" "$stdout"
}

@test "template: a name that is taken is told before the work" {
	template once <<-'END'
		echo ran >&2
		echo x >x
	END
	make box "$T/once"
	is_status 0
	run_kennel create -v -P "$STORE" --template "$T/once" box
	refused yes 'there is a container "box"'
}

# A template that is at work until it is ended.
endless() {
	template endless <<-'END'
		mkdir -m 700 d && chown 5:5 d && echo x >d/x && chown 5:5 d/x
		echo "progress 1/2 waiting" >&3
		echo x >begun
		exec sleep 1000
	END
}

begun() {
	[ -n "$(find "$STORE" -maxdepth 3 -name begun 2>/dev/null)" ]
}

# None that was started here runs any more: its command has the directory in it.
idle() {
	! "$KENNEL" list --json | grep -qF "$T"
}

@test "template: an interrupt takes it back; a killed one goes with the next command" {
	endless
	cd "$T"
	local signal
	for signal in TERM KILL; do
		background "$KENNEL" create -P "$STORE" --template "$T/endless" box
		wait_for 20 begun
		kill -$signal $!
		wait $! && return 1
		[ $signal = KILL ] || nothing_left
		wait_for 20 idle
	done
	run_kennel list -k -P "$STORE"
	is_status 0
	wait_for 10 nothing_left_soon
}

@test "template: killed at any point, the container is whole or not there" {
	template quick <<-'END'
		mkdir -p bin && cp /bin/sh bin/ && mkdir -m 700 d && chown 5:5 d && echo x >d/x && chown 5:5 d/x
	END
	cd "$T"
	none_there() {
		"$KENNEL" rm --force -P "$STORE" box 2>/dev/null || :
	}
	whole_or_not() {
		wait_for 20 idle
		if [ "${1#* }" = whole ]; then
			"$KENNEL" list -kq -P "$STORE" | grep -q box || return 1
		fi
		case $("$KENNEL" list -kq -P "$STORE") in
		box) [ -e "$STORE/box/base" ] && [ ! -e "$STORE/box/tree" ] && [ ! -e "$STORE/box/template" ] ;;
		'') wait_for 10 nothing_left_soon >/dev/null || nothing_left ;;
		*) return 1 ;;
		esac
	}
	# each of them starts a sandbox
	KENNEL_TEST_POINTS=${KENNEL_TEST_POINTS:-4} kill_points none_there whole_or_not "$KENNEL" create -P "$STORE" --template "$T/quick" box
}

@test "template: its progress is shown on a terminal" {
	need_commands tmux
	SOCKET=$T/tmux
	endless
	cd "$T"
	screen "$KENNEL" create -P "$STORE" --template "$T/endless" box
	expect 'making "box"'
	expect '1/2  waiting'
	keys C-c
	wait_for 20 nothing_left
	wait_for 20 idle
}

# A tree with a shell in it, and attributes.
small_tree() {
	mkdir -p "$1/bin" "$1/etc" "$1/dir"
	cp "$(command -v busybox)" "$1/bin/busybox"
	for name in sh cat stat env id pwd; do ln -s busybox "$1/bin/$name"; done
	echo text >"$1/etc/text"
	chmod 4711 "$1/etc/text"
	touch -d 2001-02-03 "$1/etc/text"
	ln "$1/etc/text" "$1/dir/same"
	ln -s ../etc/text "$1/dir/link"
	truncate -s 1M "$1/dir/sparse"
	chmod 2750 "$1/dir"
	[ "$EUID" -ne 0 ] || chown 5:6 "$1/dir"
}

looks_right() {
	run_kennel run -P "$STORE" -k "$1" --net none -- sh -c 'cat /dir/link; stat -c "%a %h %Y" /etc/text; stat -c "%a %s" /dir /dir/sparse'
	has $'text\n4711 2 981158400\n2750' "$stdout"
	has '644 1048576' "$stdout"
}

@test "template: a directory, an archive and images" {
	need_commands busybox mksquashfs
	small_tree "$T/tree"
	run_kennel create -P "$STORE" --template "dir:$T/tree" copy
	is_status 0
	is_equal "$output" ""
	looks_right copy
	if [ "$EUID" -eq 0 ]; then
		run_kennel run -P "$STORE" -k copy --net none -- stat -c %u:%g /dir
		is_equal "$stdout" 5:6
	fi
	tar -C "$T/tree" -cf "$T/tree.tar" .
	mksquashfs "$T/tree" "$T/tree.squashfs" -quiet -no-progress -all-root >/dev/null
	local image
	for image in tree.tar tree.squashfs; do
		run_kennel create -P "$STORE" --hostname other --template "image:$T/$image" "of-$image"
		is_status 0
		looks_right "of-$image"
		run_kennel config -P "$STORE" "of-$image"
		has "hostname = other"
	done
	cd "$T"
	run_kennel create -P "$STORE" --template dir:tree near
	is_status 0
	run_kennel create -P "$STORE" --template dir:nowhere box
	refused no 'open "nowhere": No such file'
	run_kennel create -P "$STORE" --template image:tree box -- --option
	refused no 'takes no options'
}

@test "template: a copy of a directory shares its blocks where the file system can" {
	need_root "a file system of its own"
	make_loop_fs btrfs 200M "$T/fs"
	mkdir -p "$T/fs/tree/bin"
	head -c 60000000 /dev/urandom >"$T/fs/tree/big"
	for name in one two three; do
		run_kennel create -P "$T/fs/store" --template "dir:$T/fs/tree" $name
		is_status 0
		cmp "$T/fs/tree/big" "$T/fs/store/$name/base/big"
	done
	rm -r "$T/fs/store"
}

# oci_layout DIR: an image whose second layer takes away and adds.
oci_layout() {
	mkdir -p "$T/layer1" "$T/layer2/etc" "$1/blobs/sha256"
	small_tree "$T/layer1"
	echo gone >"$T/layer1/etc/gone"
	echo two >"$T/layer2/etc/two"
	: >"$T/layer2/etc/.wh.gone"
	tar -C "$T/layer1" --owner=0 --group=0 -cf "$T/1.tar" .
	tar -C "$T/layer2" --owner=0 --group=0 -czf "$T/2.tar" .
	python3 - "$1" "$T" <<-'END'
		import hashlib, json, sys
		top, t = sys.argv[1:]
		def blob(data, kind):
		    name = hashlib.sha256(data).hexdigest()
		    open(f"{top}/blobs/sha256/{name}", "wb").write(data)
		    return {"mediaType": "application/vnd.oci.image." + kind, "digest": "sha256:" + name, "size": len(data)}
		layers = [blob(open(f"{t}/1.tar", "rb").read(), "layer.v1.tar"), blob(open(f"{t}/2.tar", "rb").read(), "layer.v1.tar+gzip")]
		config = blob(json.dumps({"architecture": "amd64", "os": "linux", "config": {
		    "Entrypoint": ["/bin/sh", "-c"], "Cmd": ["echo $GREETING from $(id -u) in $(pwd)"], "Env": ["GREETING=hello there", "PATH=/bin"],
		    "WorkingDir": "/etc", "User": "33:44"}}).encode(), "config.v1+json")
		manifest = blob(json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": layers}).encode(), "manifest.v1+json")
		open(top + "/index.json", "w").write(json.dumps({"schemaVersion": 2, "manifests": [manifest]}))
		open(top + "/oci-layout", "w").write('{"imageLayoutVersion": "1.0.0"}')
	END
}

@test "template: an OCI image, how it wants to be run, and its layers" {
	need_commands busybox python3
	oci_layout "$T/oci"
	run_kennel create -P "$STORE" --net none --template "oci:$T/oci" web
	is_status 0
	run_kennel config -P "$STORE" web
	has "workdir = /etc"
	has "user = 33:44"
	has "env = GREETING=hello there"
	run_kennel run -P "$STORE" -k web
	is_status 0
	is_equal "$stdout" "hello there from 33 in /etc"
	run_kennel run -P "$STORE" -k web -- cat /etc/two /etc/gone
	is_equal "$stdout" two
	tar -C "$T/oci" -cf "$T/oci.tar" oci-layout index.json blobs
	# what is asked for goes before what the image says
	run_kennel create -P "$STORE" --net none --user 0 --env GREETING=bye --template "oci:$T/oci.tar" tarred
	is_status 0
	run_kennel run -P "$STORE" -k tarred
	is_equal "$stdout" "bye from 0 in /etc"
}

# damage FILE: its last byte is another one.
damage() {
	printf '#' | dd of="$1" bs=1 seek=$(($(stat -c %s "$1") - 1)) conv=notrunc status=none
}

@test "template: an OCI image that is not what it says is refused" {
	need_commands busybox python3
	oci_layout "$T/oci"
	local blob
	# layers, configuration and manifest
	for blob in "$T"/oci/blobs/sha256/*; do
		cp "$blob" "$T/whole"
		damage "$blob"
		run_kennel create -P "$STORE" --template "oci:$T/oci" web
		is_status 125
		has "is damaged"
		cp "$T/whole" "$blob"
	done
	nothing_left
	sed -i 's#sha256:[0-9a-f]\{64\}#sha256:../../../../../../../../../../../../../../../../../../../../etc/passwd#' "$T/oci/index.json"
	run_kennel create -P "$STORE" --template "oci:$T/oci" web
	refused no "without a sha256 digest"
	run_kennel create -P "$STORE" --template "oci:$T/1.tar" web
	refused yes "it is no OCI image"
	run_kennel create -P "$STORE" --template "oci:$T/layer1" web
	refused yes "it is no OCI image"
}

# image_server DIR: what a server of images has, signed with a key of the test's own; and the server, on a port of the loopback.
image_server() {
	need_commands gpg gpgv python3 xz curl busybox
	local images=$1/images/tiny/1/amd64 old=$1/images/old
	export GNUPGHOME=$T/gnupg
	mkdir -p "$images" "$old" "$1/meta/1.0" "$T/image/bin" "$T/image/etc" "$T/image/dev"
	mkdir -m 700 "$GNUPGHOME"
	at_end gpgconf --kill all
	gpg --batch --quiet --pinentry-mode loopback --passphrase '' --quick-generate-key test@example.org ed25519 sign 0 2>/dev/null
	gpg --export >"$T/key.gpg"
	cp "$(command -v busybox)" "$T/image/bin/busybox"
	ln -s busybox "$T/image/bin/cat"
	echo "of the server" >"$T/image/etc/text"
	XZ_OPT=-0 tar -C "$T/image" --owner=0 --group=0 -cJf "$images/rootfs.tar.xz" .
	(cd "$images" && sha256sum rootfs.tar.xz >SHA256SUMS)
	printf '%s\n' "tiny;1;amd64;default;20010101;/images/old/" "tiny;1;arm64;default;20990101;/images/old/" \
		"tiny;1;amd64;default;20240101;/images/tiny/1/amd64/" "out;1;amd64;default;1;/images/../../../etc/" \
		"sum;1;amd64;default;1;/images/tiny/1/amd64/;$(printf '%064d' 7)" \
		"unsigned;1;amd64;default;1;/images/old/" "bad;1;amd64;default;1;/images/bad/" >"$1/meta/1.0/index-system"
	ln "$images/rootfs.tar.xz" "$images/SHA256SUMS" "$old/"
	mkdir "$1/images/bad"
	ln "$images/rootfs.tar.xz" "$1/images/bad/"
	sign "$1/meta/1.0/index-system" "$images/SHA256SUMS"
	# the signature of other sums
	{ cat "$images/SHA256SUMS"; echo; } >"$1/images/bad/SHA256SUMS"
	cp "$images/SHA256SUMS.asc" "$1/images/bad/"
	mkfifo "$T/port"
	background python3 -c '
import functools, http.server, sys
class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *words): pass
s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=sys.argv[1]))
open(sys.argv[2], "w").write(f"{s.server_port}\n")
s.serve_forever()' "$1" "$T/port"
	read -r PORT <"$T/port"
}

sign() {
	local file
	for file; do
		gpg --batch --quiet --yes --pinentry-mode loopback --passphrase '' --armor --detach-sign -o "$file.asc" "$file"
	done
}

download() {
	run_kennel create -P "$STORE" --net none --template download box -- --server "http://127.0.0.1:$PORT" --arch amd64 --release 1 "$@"
}

@test "template: an image server, with a key to check it" {
	image_server "$T/server"
	download --dist tiny --keyring "$T/key.gpg"
	is_status 0
	is_equal "$output" ""
	run_kennel run -P "$STORE" -k box -- cat /etc/text /etc/hostname
	is_equal "$stdout" $'of the server\nbox'
	"$KENNEL" rm -P "$STORE" box
	# nothing that was not signed
	download --keyring "$T/key.gpg" --dist unsigned
	is_status 125
	has "has no signature beside it"
	download --keyring "$T/key.gpg" --dist bad
	is_status 125
	has "is not good"
	download --keyring "$T/key.gpg" --dist out
	refused no "the index has a path that leads elsewhere"
	download --keyring "$T/key.gpg" --dist sum
	is_status 125
	has "is not what its sum says"
	nothing_left
	download --insecure-no-check --dist unsigned
	is_status 0
	"$KENNEL" rm -P "$STORE" box
	# a good signature by another key is none
	gpgconf --kill all
	export GNUPGHOME=$T/gnupg2
	mkdir -m 700 "$GNUPGHOME"
	gpg --batch --quiet --pinentry-mode loopback --passphrase '' --quick-generate-key other@example.org ed25519 sign 0 2>/dev/null
	sign "$T/server/meta/1.0/index-system"
	download --keyring "$T/key.gpg" --dist tiny
	is_status 125
	has 'is not good'
	nothing_left
}

@test "template: options of those that fetch are checked before anything is fetched" {
	local name
	for name in debootstrap mmdebstrap; do
		run_kennel create -P "$STORE" --template $name box -- --suite -x
		is_status 125
		has '--suite: "-x" is no value'
		run_kennel create -P "$STORE" --template $name box -- --suit x
		has 'unknown option "--suit"'
	done
	run_kennel create -P "$STORE" --template download box -- --release 1 --dist x
	refused yes "there is no key"
	run_kennel create -P "$STORE" --template download box -- --release 1 --dist -x
	refused yes "is no name"
	run_kennel create -P "$STORE" --template skopeo box -- dir:/etc
	has 'is neither docker://REFERENCE'
	run_kennel create -P "$STORE" --template download box -- --dist x --release 1 --server file:///etc
	has 'begins with neither https:// nor http://'
	nothing_left
}

@test "template: an image out of a registry" {
	need_commands busybox python3 skopeo curl
	oci_layout "$T/oci"
	mkfifo "$T/port"
	background python3 -c '
import hashlib, http.server, json, sys
top, port = sys.argv[1:]
manifest = json.load(open(top + "/index.json"))["manifests"][0]
class Registry(http.server.BaseHTTPRequestHandler):
    def log_message(self, *words): pass
    def do_GET(self):
        kind, name = self.path.rstrip("/").split("/")[-2:]
        digest = name if name.startswith("sha256:") else manifest["digest"]
        data = b"{}" if kind not in ("manifests", "blobs") else open(top + "/blobs/sha256/" + digest[7:], "rb").read()
        self.send_response(200)
        self.send_header("Content-Type", manifest["mediaType"] if kind == "manifests" else "application/octet-stream")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Docker-Content-Digest", digest)
        self.end_headers()
        if self.command == "GET": self.wfile.write(data)
    do_HEAD = do_GET
s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry)
open(port, "w").write(f"{s.server_port}\n")
s.serve_forever()' "$T/oci" "$T/port"
	read -r PORT <"$T/port"
	run_kennel create -P "$STORE" --net none --template skopeo web -- "docker://127.0.0.1:$PORT/some/image:1" --tls-verify=false
	is_status 0
	run_kennel run -P "$STORE" -k web
	is_equal "$stdout" "hello there from 33 in /etc"
	run_kennel create -P "$STORE" --template "oci:docker://127.0.0.1:$PORT/some/image:1" other
	is_status 125
	has 'the template "skopeo" failed with exit code 1'
}

# Minutes, and the network: KENNEL_TEST_DEBIAN=yes BATS_TEST_TIMEOUT=1500 script/test integ/64.
# boots_debian_of TEMPLATE
boots_debian_of() {
	[ "${KENNEL_TEST_DEBIAN-}" = yes ] || skip "takes minutes and the network: KENNEL_TEST_DEBIAN=yes"
	need_commands "$1"
	local boot=() # nobody delegates a control group to the ordinary user here
	[ "$EUID" -ne 0 ] || boot=(--boot)
	run_kennel create -v -P "$STORE" --net none "${boot[@]}" --template "$1" deb
	is_status 0
	if [ "$EUID" -eq 0 ]; then
		"$KENNEL" start -q -P "$STORE" deb
		login() {
			"$KENNEL" log -P "$STORE" deb | grep -q 'deb login:'
		}
		wait_for 120 login
		"$KENNEL" exec deb -- systemctl is-active multi-user.target
		"$KENNEL" stop -t 30 deb
		"$KENNEL" wait -P "$STORE" -t 40 deb
	else
		"$KENNEL" run -P "$STORE" -k deb -- /bin/sh -c '. /etc/os-release; test "$ID" = debian && dpkg --audit'
	fi
	"$KENNEL" rm -P "$STORE" deb
}

@test "template: a whole Debian of mmdebstrap boots to a login" {
	boots_debian_of mmdebstrap
}

@test "template: a whole Debian of debootstrap boots to a login" {
	boots_debian_of debootstrap
}
