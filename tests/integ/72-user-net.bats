#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root
# The network of an ordinary user's sandbox, attacked: by root, who makes the machine around it (tests/attack/net-nat.py: namespaces of the
# test's own, a server on a cable, services on the loopback). The filter is on a tap device that the sandbox made before pasta came.

load lib

setup() {
	need_root "makes network namespaces"
	need_commands pasta python3
	as_user test -w /dev/fuse || skip "no fuse device that this user may open"
	as_user test -w /dev/net/tun || skip "no tun device that this user may open"
	kennel_setup
	attack=$LIB_TOP/tests/attack/net-nat.py
	as_user test -r "$attack" || skip "needs a copy of the tests that everybody can read"
}

teardown() {
	[ -z "${LIB_STATE-}" ] || kennel_teardown
}

# on_machine COMMAND [ARG]...: as the user, on the test's own machine.
on_machine() {
	local runtime=$T/runtime-of-user
	[ -d "$runtime" ] || install -d -m 0700 -o "$KENNEL_TEST_USER" "$runtime"
	status=0
	/usr/bin/python3 "$attack" --machine runuser -u "$KENNEL_TEST_USER" -- env HOME="/home/$KENNEL_TEST_USER" XDG_RUNTIME_DIR="$runtime" "$@" \
		</dev/null >"$LIB_STATE/stdout" 2>"$LIB_STATE/stderr" || status=$?
	stdout=$(<"$LIB_STATE/stdout")
	stderr=$(<"$LIB_STATE/stderr")
	output=$stdout$'\n'$stderr
	printf '%s\n(exit code %s)\n' "$output" "$status"
}

@test "user net: raw frames, routes and names: the host's loopback stays closed, the rest is reached" {
	on_machine "$KENNEL" run --net nat -- /usr/bin/python3 "$attack" --inside LINK_LOCAL
	is_status 0
	has "lan from-lan" "$stdout"
	has "lan6 from-lan" "$stdout"
	has "name 10.11.0.77" "$stdout"
	lacks "loopback secret"
	lacks "refused" "$stdout"
	lacks "arrived at the loopback" "$stderr"
}

@test "user net: the filter is not taken off, nor is the device replaced by one without" {
	on_machine "$KENNEL" run --net nat -- /usr/bin/python3 -c '
import fcntl, os, struct, subprocess, sys
tun, TUNSETIFF, TUNDETACHFILTER, TUNSETPERSIST = "/dev/net/tun", 0x400454CA, 0x401054D6, 0x400454CB
try:
    os.mknod("/tmp/tun", 0o20666, os.makedev(10, 200))
    tun = "/tmp/tun"
except OSError as e:
    print("mknod", e.errno)
for path in (tun, "/dev/net/tun"):
    try:
        fd = os.open(path, os.O_RDWR)
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", b"eth0", 0x1002))
        fcntl.ioctl(fd, TUNDETACHFILTER, b"\0" * 16)
        print("taken off")
    except OSError as e:
        print("held", e.errno)
subprocess.run(["ip", "link", "set", "eth0", "down"])
subprocess.run(["ip", "link", "set", "eth0", "up"])
os.execv(sys.executable, [sys.executable, sys.argv[1], "--inside", sys.argv[2]])
' "$attack" LINK_LOCAL
	lacks "taken off"
	lacks "loopback secret"
	lacks "arrived at the loopback" "$stderr"
}

@test "user net: the default, and none where pasta can't be had" {
	on_machine "$KENNEL" run -- sh -c 'ls /sys/class/net | tr "\n" " "'
	is_status 0
	is_equal "$stdout" "eth0 lo "
	on_machine unshare --user --map-current-user true
	run_kennel run --net none -- ls /sys/class/net
	is_equal "$stdout" lo
}

@test "user net: published ports lead inside, over the loopback of the machine, and are closed with the sandbox" {
	cat >"$T/serve" <<-'END'
		import socket, threading
		t = socket.create_server(("", 8000))
		u = socket.socket(type=socket.SOCK_DGRAM)
		u.bind(("", 5300))
		def udp():
		    while True:
		        data, a = u.recvfrom(99)
		        u.sendto(b"udp " + data, a)
		threading.Thread(target=udp, daemon=True).start()
		print("up", flush=True)
		while True:
		    c, _ = t.accept()
		    c.sendall(b"tcp " + c.recv(99))
		    c.close()
	END
	cat >"$T/publish" <<-'END'
		import socket, subprocess, sys
		kennel, serve = sys.argv[1:]
		run = [kennel, "run", "--net", "nat"]
		p = subprocess.Popen(run + ["-p", "127.0.0.1:8080:8000", "-p", "5300:5300/udp", "--", "/usr/bin/python3", serve], stdout=subprocess.PIPE)
		print(p.stdout.readline())
		for kind, port in ((socket.SOCK_STREAM, 8080), (socket.SOCK_DGRAM, 5300)):
		    s = socket.socket(type=kind)
		    s.settimeout(60)
		    s.connect(("127.0.0.1", port))
		    s.send(b"question")
		    print(s.recv(99))
		print(subprocess.run([kennel, "list", "--json"], stdout=subprocess.PIPE).stdout.decode())
		taken = subprocess.run(run + ["-p", "127.0.0.1:8080:1", "--", "true"], stderr=subprocess.PIPE)
		print(taken.returncode, taken.stderr)
		# of IPv4 alone: pasta would be content with the other one, and who connects comes to this
		half = socket.create_server(("", 8081))
		taken = subprocess.run(run + ["-p", "8081:1", "--", "true"], stderr=subprocess.PIPE)
		print("half", taken.returncode, taken.stderr)
		p.terminate()
		p.wait()
		try:
		    print("still open", socket.create_connection(("127.0.0.1", 8080)))
		except OSError as e:
		    print("closed", e.errno)
	END
	on_machine /usr/bin/python3 "$T/publish" "$KENNEL" "$T/serve"
	is_status 0
	has "b'tcp question'" "$stdout"
	has "b'udp question'" "$stdout"
	has '"publish": ["127.0.0.1:8080:8000", "5300:5300/udp"]' "$stdout"
	has "125 b" "$stdout"
	has "ip_unprivileged_port_start" "$stdout"
	has "half 125 b'kennel: make the network: TCP port 8081 of this machine is taken on IPv4" "$stdout"
	has "closed 111" "$stdout"
}
