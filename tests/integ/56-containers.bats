#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# Containers: sandboxes whose changes stay, and what is done with them while they don't run.

load lib

setup() {
	need_sandbox
	need_commands jq
	kennel_setup
	S=$T/store
}

teardown() {
	# An ordinary user's delta belongs to ids that only kennel can become.
	[ ! -d "${S-}" ] || "$KENNEL" list -P "$S" -kq | xargs -r "$KENNEL" rm -f -P "$S"
	kennel_teardown
}

# keep NAME [OPTION]... -- COMMAND: a run of a container of the test's own store.
keep() {
	run_kennel run -P "$S" -k "$@"
}

# start NAME [OPTION]...: one that goes on; sets PID.
start() {
	local n=$((LIB_STARTED + 1))
	background "$KENNEL" run -P "$S" -k "$@" --net none -- sh -c 'echo up; exec sleep 300'
	PID=$!
	wait_for 20 says "$T/out.$n" up
}

@test "containers: changes, deletions and owners stay from run to run" {
	keep box --net none -- sh -c 'echo one >/root/file; rm /etc/passwd; mkdir -m 700 /opt/d; chown 5:6 /opt/d; mkfifo /opt/f; ln -s x /opt/l'
	is_status 0
	keep box -- sh -c 'cat /root/file; ls /etc/passwd; stat -c "%a %u:%g" /opt/d; readlink /opt/l; test -p /opt/f; echo $?'
	if [ "$EUID" -eq 0 ] || grep -q "^$(id -un):" /etc/subuid; then
		is_equal "$stdout" "$(printf 'one\n700 5:6\nx\n0')"
	fi
	has "/etc/passwd" "$stderr"
	host_passwd=$(stat -c %s /etc/passwd)
	[ "$host_passwd" -gt 0 ]
}

@test "containers: the first run's options are the configuration, later ones hold once" {
	keep box --net none -e COLOUR=red --hide /srv -q -- true
	is_status 0
	run_kennel config -P "$S" box
	is_equal "$(grep -v '^#' <<<"$stdout")" "$(printf '[container]\nbase = system\nnet = none\nenv = COLOUR=red\nhide = /srv')"
	keep box -e COLOUR=blue -e SHAPE=round -- sh -c 'echo $COLOUR $SHAPE; ls /srv | wc -l; ls /sys/class/net'
	is_equal "$stdout" "$(printf 'blue round\n0\nlo')"
	keep box -- sh -c 'echo $COLOUR $SHAPE'
	is_equal "$stdout" red
}

@test "containers: base and layers can't change, saying the same is no change" {
	mkdir "$T/base" "$T/base/bin"
	keep box --net none -- true
	is_status 0
	keep box --base system -- true
	is_status 0
	keep box --base "$T/base" -- true
	refused yes 'the base of the container "box" can'"'"'t be changed'
	run_kennel set -P "$S" --base "$T/base" box
	refused yes "can't be changed"
	run_kennel set -P "$S" --base system --memory 1G box
	is_status 0
}

@test "containers: several at once, one of them only once" {
	start a
	local first=$PID
	start b
	keep a -- true
	refused yes 'the container "a" is running already: sandbox '
	has "process $first" "$stderr"
	run_kennel list -P "$S"
	grep -Eq "^[0-9a-f]{8} +a +" <<<"$stdout"
	grep -Eq "^[0-9a-f]{8} +b +" <<<"$stdout"
	kill -TERM "$first"
	wait "$first" || :
	# It is not refused because the last one's mounts are still going away.
	keep a -- echo again
	is_equal "$stdout" again
}

@test "containers: a monitor that was killed leaves nothing that stands in the way" {
	local i
	for i in 1 2 3; do
		start a
		kill -KILL "$PID"
		keep a -- echo "again $i"
		is_equal "$stdout" "again $i"
	done
}

@test "containers: monitor, janitor and sandbox killed in one stroke" {
	start a
	kill -KILL "$PID" $(pgrep -P "$PID" -x kjanitor)
	keep a -- echo again
	is_equal "$stdout" again
	"$KENNEL" gc
}

@test "containers: another base than before is noticed, once" {
	keep box --net none -- true
	sed -i 's/^base-id\t.*/base-id\tsystem-0123456789abcdef/' "$S/box/manifest"
	keep box -- true
	is_status 0
	is_equal "$stderr" 'kennel: the base of "box" is another one than when its changes were made'
	keep box -- true
	is_equal "$stderr" ""
}

@test "containers: create says at once that there is no such base or layer" {
	run_kennel create -P "$S" --base "$T/nowhere" box
	refused yes "open the base"
	mkdir "$T/base"
	run_kennel create -P "$S" --base "$T/base" --layer "$T/nowhere" box
	refused yes "open a layer"
	echo text >"$T/text"
	run_kennel create -P "$S" --base "$T/text" box
	refused yes "open the base"
	[ ! -e "$S/box" ]
	run_kennel create -P "$S" --base "$T/base" box
	is_status 0
}

@test "containers: list, info and cp know them by name" {
	run_kennel create -P "$S" --net none --memory 0 sleeper
	is_status 0
	start box
	run_kennel list -P "$S" --json
	jq -e '[.[] | select(.name == "sleeper")][0] | .state == "stopped" and .id == null' <<<"$stdout"
	jq -e --argjson pid "$PID" '[.[] | select(.name == "box")][0] | .state == "running" and .pid == $pid' <<<"$stdout"
	run_kennel list -P "$S" -k -q
	is_equal "$stdout" "$(printf 'box\nsleeper')"
	run_kennel list -P "$S" -ks
	grep -Eq '^- +sleeper +[0-9.]+[BK] ' <<<"$stdout"
	run_kennel info -P "$S" sleeper
	has "  memory = 0" "$stdout"
	grep -Eq '^state +stopped$' <<<"$stdout"
	run_kennel info -P "$S" box --json
	jq -e '.state == "running" and .bytes > 0 and (.config | length) > 1 and (.mounts | length) > 1' <<<"$stdout"
	echo in >"$T/file"
	run_kennel cp "$T/file" box:/root/copied
	is_status 0
	kill -TERM "$PID"
	wait "$PID" || :
	keep box -- cat /root/copied
	is_equal "$stdout" in
}

@test "containers: the host name is the name, hosts and hidden places follow, what was changed inside stays" {
	keep my_box.1 -- sh -c 'hostname; grep -c my-box.1 /etc/hosts'
	is_equal "$stdout" "$(printf 'my-box.1\n1')"
	run_kennel rename -P "$S" my_box.1 other
	is_status 0
	keep other --hide /opt -- sh -c 'hostname; grep -c -e my-box -e "other$" /etc/hosts; grep -c "other$" /etc/hosts'
	is_equal "$stdout" "$(printf 'other\n1\n1')"
	keep other -- sh -c 'echo "10.0.0.1 mine" >>/etc/hosts'
	run_kennel rename -P "$S" other third
	keep third -- sh -c 'tail -n 1 /etc/hosts; cat /etc/hostname'
	is_equal "$stdout" "$(printf '10.0.0.1 mine\nthird')"
}

@test "containers: set and config" {
	run_kennel create -P "$S" box
	run_kennel set -P "$S" --share "$T:ro" --share /srv --pids 50 box
	is_status 0
	printf '# a remark\nnet = none\n' >>"$("$KENNEL" config -P "$S" --file box)"
	run_kennel set -P "$S" --unset "share=$T:ro" --unset pids --net host box
	is_status 0
	run_kennel config -P "$S" box
	is_equal "$(grep -v 'kennel' <<<"$stdout")" "$(printf '[container]\nbase = system\nshare = /srv\n# a remark\nnet = host')"
	run_kennel set -P "$S" --unset hostname box
	refused yes '"hostname" is not set'
	run_kennel set -P "$S" --unset hostnam box
	refused yes 'no key "hostnam"'
	has 'did you mean "hostname"?' "$stderr"
	run_kennel set -P "$S" --isolate fs --net none box
	refused yes "needs a network of its own"
	run_kennel set -P "$S" box
	refused yes "nothing to set"
}

@test "containers: a wrong configuration is told with file, line and key, and can be put right" {
	run_kennel create -P "$S" box
	file=$("$KENNEL" config -P "$S" --file box)
	printf 'nett = none\n' >>"$file"
	keep box -- true
	refused yes "config:5: there is no key \"nett\""
	run_kennel list -P "$S" -k
	is_status 0
	EDITOR="sed -i s/nett/net/" run_kennel config -P "$S" --edit box
	is_status 0
	keep box -- echo well
	is_equal "$stdout" well
}

@test "containers: an edit with a mistake changes nothing and keeps what was typed" {
	run_kennel create -P "$S" box
	before=$("$KENNEL" config -P "$S" box)
	export TMPDIR=$T
	EDITOR='sh -c "echo nonsense >>\"\$1\"" sh' run_kennel config -P "$S" --edit box
	is_status 125
	has 'config:5: "nonsense" is no setting' "$stderr"
	is_equal "$("$KENNEL" config -P "$S" box)" "$before"
	grep -q nonsense "$T"/kennel-box-*.conf
	rm "$T"/kennel-box-*.conf
	EDITOR=false run_kennel config -P "$S" --edit box
	refused yes "failed: nothing was changed"
	EDITOR=true run_kennel config -P "$S" --edit box
	is_status 0
	[ -z "$(ls "$T"/kennel-box-*.conf 2>/dev/null)" ]
	# Somebody else was faster.
	EDITOR="$KENNEL set -P $S --memory 1G box; echo '#' >>" run_kennel config -P "$S" --edit box
	is_status 125
	has "was changed meanwhile" "$stderr"
	rm "$T"/kennel-box-*.conf
}

@test "containers: rm" {
	keep box -- sh -c 'mkdir -p /a/b; echo x >/a/b/c; chmod 000 /a/b; ln -s / /a/root; ln -s /etc/passwd /a/l'
	start other
	run_kennel rm -P "$S" none box other
	is_status 125
	has 'no container "none"' "$stderr"
	has 'the container "other" is running already' "$stderr"
	is_equal "$("$KENNEL" list -P "$S" -kq)" other
	run_kennel rm -P "$S" --force other
	is_status 0
	is_equal "$(ls -A "$S")" ""
	[ -s /etc/passwd ]
}

@test "containers: names that can't be" {
	local name
	for name in "" -x .x a/b "a b" 0123abcd "$(printf 'x%.0s' {1..65})" $'a\nb'; do
		run_kennel create -P "$S" -- "$name"
		is_status 125
		keep "$name" -- true
		is_status 125
	done
	[ ! -d "$S" ] || is_equal "$(ls -A "$S")" ""
}

@test "containers: a first start that fails leaves none" {
	keep box --base "$T/none" -- true
	is_status 125
	keep box -- /no/such/command
	is_status 127
	keep box --workdir /no/such -- true
	[ "$status" -ne 0 ]
	is_equal "$(ls -A "$S")" ""
	keep box -- true
	is_status 0
	keep box -- /no/such/command
	is_status 127
	is_equal "$("$KENNEL" list -P "$S" -kq)" box
}

@test "containers: --path needs --keep, and a place that can hold changes" {
	run_kennel run -P "$S" -- true
	refused yes "needs \"--keep\""
	# The root of a sandbox is an overlay.
	need_root "the program is seen inside"
	run_kennel run --net none -- "$KENNEL" create -P /var/tmp/kennel-inside x
	[ "$status" -eq 125 ]
	has "an overlay itself" "$stderr"
}

@test "containers: the same changes at every level" {
	need_root "isolation fs and ns"
	local level
	for level in user ns fs user fs ns; do
		keep box --isolate "$level" --share "$T" -- sh -c 'cat /root/log 2>/dev/null; echo '$level' >>/root/log; stat -c %u /root/log; chown 7 /root/log; chown 0 /root/log'
		is_status 0
	done
	is_equal "$(head -n 5 <<<"$stdout" | tr '\n' ' ')" "user ns fs user fs "
	is_equal "$(stat -c %u:%a "$S/box/delta/0/upper/root/log")" 0:644
}

@test "containers: a mount that is gone leaves its changes where it was, and takes them back" {
	need_root "mounts"
	mkdir "$T/disk"
	make_loop_fs ext4 16M "$T/disk"
	echo base >"$T/disk/file"
	keep box --net none -- sh -c "echo changed >$T/disk/file; echo new >$T/disk/new"
	is_status 0
	umount "$T/disk"
	keep box -- sh -c "cat $T/disk/file $T/disk/new; echo second >$T/disk/second"
	is_equal "$stdout" "$(printf 'changed\nnew')"
	mount "$(losetup -j "$T"/image-* | cut -d: -f1 | tail -n 1)" "$T/disk"
	keep box -- sh -c "cat $T/disk/file $T/disk/new $T/disk/second; stat -f -c %T $T/disk"
	is_equal "$(head -n 3 <<<"$stdout")" "$(printf 'changed\nnew\nsecond')"
	is_equal "$(cat "$T/disk/file")" base
}

@test "containers: an interactive run says what is kept" {
	need_commands script
	script -qec "$KENNEL run -P $S -k box --net none -- sh -c 'echo x >/root/x'" /dev/null </dev/null >"$T/said" 2>&1
	grep -q '"box" keeps 1 changed file' "$T/said"
}
