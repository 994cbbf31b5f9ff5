#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""net-nat.py NET_RUN [user|ns|bare]... - what a hostile root behind net_nat reaches, and what it has to reach.

Plays the machine in network namespaces of its own: "host" (this process after unshare; pasta's sockets are here, with
services on its loopback and a resolver on 127.0.0.53) and "lan" (the other end of a cable, a server on it). NET_RUN is
the program of net-run.c. Nothing leaves the namespaces. Prints one line for each check; exits 1 where one failed.

net-nat.py --machine COMMAND... runs the command on that machine (LINK_LOCAL stands for its own link-local address), and
net-nat.py --inside LINK_LOCAL makes all the attacks from where it is.
"""
import contextlib
import ctypes
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

HOST4, HOST6, LAN4, LAN6 = "10.11.0.2", "fd11::2", "10.11.0.1", "fd11::1"
LOCAL_TCP, LOCAL_UDP, ALL_TCP, LAN_TCP = 7001, 7003, 7002, 7010
NAME, ANSWER = "kennel.test", "10.11.0.77"
PYTHON = "/usr/bin/python3"     # the ids inside can't read one in root's home
failures = 0
hits = []                       # what arrived at the host's loopback-only services


def check(what, good, detail=""):
    global failures
    failures += not good
    print(("ok    " if good else "FAIL  ") + what + (f" ({detail})" if detail and not good else ""), flush=True)


def run(*argv, **kw):
    return subprocess.run(argv, capture_output=True, text=True, timeout=200, **kw)


def ip(*words):
    subprocess.run(["ip", *words], check=True)


# ---- inside: prints one word for each thing that it got at ----

def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def packet(src, dst, proto, sport, dport):
    """An IP packet, TCP SYN or UDP, between any two addresses."""
    family = socket.AF_INET6 if ":" in dst else socket.AF_INET
    s, d = socket.inet_pton(family, src), socket.inet_pton(family, dst)
    if proto == socket.IPPROTO_TCP:
        body, at = struct.pack("!HHIIBBHHH", sport, dport, 1000, 0, 5 << 4, 2, 65535, 0, 0), 16
    else:
        body, at = struct.pack("!HHHH", sport, dport, 12, 0) + b"raw!", 6
    pseudo = s + d + (struct.pack("!BBH", 0, proto, len(body)) if len(s) == 4 else
                      struct.pack("!IHBB", len(body), 0, 0, proto))
    body = body[:at] + struct.pack("!H", checksum(pseudo + body)) + body[at + 2:]
    if len(s) == 16:
        return 0x86dd, struct.pack("!IHBB", 6 << 28, len(body), proto, 64) + s + d + body
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 1, 0, 64, proto, 0) + s + d
    return 0x0800, head[:10] + struct.pack("!H", checksum(head)) + head[12:] + body


def inside_raw(name):
    """Frames by hand to the loopback: root inside may do that."""
    with open(f"/sys/class/net/{name}/address") as f:
        mac = bytes.fromhex(f.read().strip().replace(":", ""))
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    raw.bind((name, 0))
    targets = ["127.0.0.1", "0.0.0.0", "127.1.2.3", "::1", "::", "::ffff:127.0.0.1", "::127.0.0.1", LAN4]
    for n, dst in enumerate(targets):
        for src in (HOST6, "::1") if ":" in dst else (HOST4, "127.0.0.1"):
            for proto, port in ((socket.IPPROTO_TCP, LAN_TCP if dst == LAN4 else LOCAL_TCP),
                                (socket.IPPROTO_UDP, LOCAL_UDP)):
                kind, data = packet(src, dst, proto, 40000 + n, port)
                raw.send(b"\x02\0\0\0\0\1" + mac + struct.pack("!H", kind) + data)


def inside_route(name):
    """Loopback routed to the tap device."""
    with open("/proc/sys/net/ipv4/conf/all/route_localnet", "w") as f:
        f.write("1")
    run("ip", "addr", "del", "127.0.0.1/8", "dev", "lo")
    for table in ("local", "main"):
        run("ip", "route", "flush", "table", table, "127.0.0.0/8")
        run("ip", "route", "flush", "table", table, "127.0.0.1")
    run("ip", "route", "add", "127.0.0.0/8", "dev", name)
    run("ip", "-6", "addr", "del", "::1/128", "dev", "lo")
    run("ip", "-6", "route", "add", "::1/128", "dev", name)


def try_tcp(word, address, port):
    try:
        with socket.create_connection((address, port), timeout=0.7) as s:
            s.settimeout(2)
            print(word, s.recv(100).decode(), flush=True)
            return True
    except OSError:
        return False


def try_udp(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as s:
            s.sendto(b"datagram", (address, LOCAL_UDP))
    except OSError:
        pass


def attempt(attack, name):
    try:
        attack(name)
    except OSError as e:        # a real sandbox may refuse it earlier
        print("refused", attack.__name__, e, flush=True)


def inside(gateway6):
    name = [i for _, i in socket.if_nameindex() if i != "lo"][0]
    print("interfaces", *sorted(i for _, i in socket.if_nameindex()), flush=True)
    for word, address in (("lan", LAN4), ("lan6", LAN6)):
        for _ in range(100):    # old pasta's address waits for duplicate detection first, and the machine may be busy
            if try_tcp(word, address, LAN_TCP):
                break
            time.sleep(0.2)
    try:
        print("name", socket.getaddrinfo(NAME, 80, socket.AF_INET, socket.SOCK_STREAM)[0][4][0], flush=True)
    except OSError as e:
        print("noname", e, flush=True)
    for address in ("127.0.0.1", "::1", LAN4, LAN6, HOST4, HOST6, "0.0.0.0", "169.254.1.1", f"{gateway6}%{name}"):
        try_tcp("loopback", address, LOCAL_TCP)
        try_udp(address)
    for address in ("169.254.1.1", "fd00:6b65:6e6e:656c::53"):
        try_tcp("loopback", address, LOCAL_TCP)
    attempt(inside_raw, name)
    attempt(inside_route, name)
    for address in ("127.0.0.1", "::1", "::ffff:127.0.0.1"):
        try_tcp("loopback", address, LOCAL_TCP)
        try_udp(address)
    attempt(inside_raw, name)
    time.sleep(0.5)


# ---- outside ----

def listen_tcp(address, port, word, record):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    s = socket.create_server((address, port), family=family)

    def serve():
        while True:
            c, peer = s.accept()
            if record:
                hits.append(f"tcp {address} from {peer[0]}:{peer[1]}")
            with c, contextlib.suppress(OSError):   # a frame by hand may reset it
                c.sendall(word)
    threading.Thread(target=serve, daemon=True).start()


def listen_udp(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.bind((address, LOCAL_UDP))

    def serve():
        while True:
            _, peer = s.recvfrom(100)
            hits.append(f"udp {address} from {peer[0]}:{peer[1]}")
    threading.Thread(target=serve, daemon=True).start()


def serve_names(address):
    """Answers every A question with ANSWER, all others with nothing."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((address, 53))

    def serve():
        while True:
            q, peer = s.recvfrom(512)
            end = q.index(b"\0", 12) + 5
            is_a = q[end - 4:end - 2] == b"\0\1"
            a = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + socket.inet_aton(ANSWER) if is_a else b""
            s.sendto(q[:2] + b"\x81\x80\0\1" + struct.pack("!HHH", len(a) > 0, 0, 0) + q[12:end] + a, peer)
    threading.Thread(target=serve, daemon=True).start()


def lan_main():
    """The other end of the cable; waits for the cable, then serves until its stdin closes."""
    print("here", flush=True)
    sys.stdin.readline()
    ip("link", "set", "lo", "up")
    ip("addr", "add", f"{LAN4}/24", "dev", "lan0")
    ip("addr", "add", f"{LAN6}/64", "dev", "lan0", "nodad")
    ip("link", "set", "lan0", "up")
    listen_tcp("0.0.0.0", LAN_TCP, b"from-lan", False)
    listen_tcp(LAN6, LAN_TCP, b"from-lan", False)
    print("up", flush=True)
    sys.stdin.read()


def build_machine():
    ip("link", "set", "lo", "up")
    lan = subprocess.Popen(["unshare", "--net", sys.executable, __file__, "--lan"], stdin=subprocess.PIPE,
                           stdout=subprocess.PIPE, text=True)
    lan.stdout.readline()
    ip("link", "add", "cable0", "type", "veth", "peer", "name", "lan0", "netns", str(lan.pid))
    ip("addr", "add", f"{HOST4}/24", "dev", "cable0")
    ip("addr", "add", f"{HOST6}/64", "dev", "cable0", "nodad")
    ip("link", "set", "cable0", "up")
    lan.stdin.write("go\n")
    lan.stdin.flush()
    lan.stdout.readline()
    ip("route", "add", "default", "via", LAN4)
    ip("-6", "route", "add", "default", "via", LAN6)
    for address in ("127.0.0.1", "::1"):
        listen_tcp(address, LOCAL_TCP, b"secret", True)
        listen_udp(address)
    listen_tcp("127.1.2.3", LOCAL_TCP, b"secret", True)
    serve_names("127.0.0.53")
    return lan


def resolv_conf(text):
    """Replaces /etc/resolv.conf in this mount namespace."""
    f = tempfile.NamedTemporaryFile("w")
    f.write(text)
    f.flush()
    os.chmod(f.name, 0o644)
    subprocess.run(["mount", "--bind", f.name, os.path.realpath("/etc/resolv.conf")], check=True)
    return f                    # until it is closed: nothing can be mounted on a file that was removed


def link_local(dev):
    out = run("ip", "-6", "-o", "addr", "show", "dev", dev, "scope", "link").stdout.split()
    return out[3].split("/")[0] if len(out) > 3 else "fe80::1"


def gone(pid):
    for _ in range(3000):
        if not os.path.exists(f"/proc/{pid}"):
            return True
        time.sleep(0.02)
    return False


def status_of(pid):
    """/proc/PID/status; waits for the system call filter, which pasta loads right after it said that it is ready."""
    for _ in range(6000):
        with open(f"/proc/{pid}/status") as f:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in f)
        if status["Seccomp"].strip() == "2":
            break
        time.sleep(0.01)
    return status


def test_level(program, level):
    del hits[:]
    # Inside the resolver is where net_resolv_conf() says; a private mount, made by the shell that becomes the attacker.
    script = ("printf 'nameserver 169.254.1.1\\n' >/tmp/resolv.$$ && mount --bind /tmp/resolv.$$ \"$(realpath "
              "/etc/resolv.conf)\" && rm /tmp/resolv.$$; exec \"$@\"")
    r_fd, w_fd = os.pipe()
    p = subprocess.Popen([program, level, "sh", "-c", script, "sh", PYTHON, os.path.abspath(__file__), "--inside",
                          link_local("cable0")], stdout=subprocess.PIPE, text=True,
                         preexec_fn=lambda: os.dup2(w_fd, 3), pass_fds=(3,))
    os.close(w_fd)
    with os.fdopen(r_fd) as f:
        told = f.readline().split()
    pasta = int(told[0]) if told else -1
    if pasta > 0:
        status = status_of(pasta)
        inner = os.readlink(f"/proc/{pasta}/ns/pid")
        check(f"{level}: pasta has no id of root's", "0" not in status["Uid"].split() + status["Gid"].split(),
              status["Uid"])
        want = "0000000000200000" if level == "bare" else "0000000000200400"
        check(f"{level}: pasta's capabilities are few", status["CapEff"].strip() == want, status["CapEff"])
        check(f"{level}: pasta is in a pid namespace of its own", inner != os.readlink("/proc/self/ns/pid"))
        check(f"{level}: pasta filters its system calls", status["Seccomp"].strip() == "2")
        check(f"{level}: pasta sees no file", not os.listdir(f"/proc/{pasta}/root/"))
        mine = os.readlink("/proc/self/ns/user") == os.readlink(f"/proc/{pasta}/ns/user")
        check(f"{level}: pasta is in the user namespace that it should be in", mine == (level == "bare"))
    out = p.communicate()[0].splitlines()
    words = [line.split()[0] for line in out]
    check(f"{level}: pasta started", pasta > 0)
    check(f"{level}: ended well", p.returncode == 0, str(p.returncode))
    check(f"{level}: all attacks were made", "refused" not in words, str(out))
    check(f"{level}: reaches a server", "lan from-lan" in out, str(out))
    check(f"{level}: reaches a server over IPv6", "lan6 from-lan" in out, str(out))
    check(f"{level}: names resolve by the host's loopback resolver", f"name {ANSWER}" in out, str(out))
    check(f"{level}: the host's loopback answers nothing", "loopback" not in words, str(out))
    check(f"{level}: nothing arrived at the host's loopback", not hits, str(hits))
    check(f"{level}: pasta is gone afterwards", gone(pasta))


def test_no_route(program):
    """A failure of pasta's is told in its own words, and leaves nothing."""
    r = run("unshare", "--net", program, "user", "true")
    if r.returncode == 125:
        check("no network outside: one line, with pasta's words", "net-run: pasta: " in r.stderr, r.stderr)
    else:                       # newer ones make a link-local network then
        check("no network outside: starts all the same", r.returncode == 0, r.stderr)


def machine(command):
    """The command on the machine, for other tests; 3 where something arrived at the loopback."""
    lan = build_machine()
    kept = resolv_conf("nameserver 127.0.0.53\n")
    status = subprocess.run([link_local("cable0") if w == "LINK_LOCAL" else w for w in command]).returncode
    kept.close()
    lan.stdin.close()
    lan.wait()
    print("".join(f"arrived at the loopback: {h}\n" for h in hits), end="", file=sys.stderr)
    return 3 if hits else status


def main():
    if os.geteuid() != 0:
        print("skip  needs root")
        return 77
    lan = build_machine()
    kept = resolv_conf("nameserver 127.0.0.53\n")
    for level in sys.argv[2:] or ["user", "ns", "bare"]:
        test_level(sys.argv[1], level)
    test_no_route(sys.argv[1])
    kept.close()
    lan.stdin.close()
    lan.wait()
    return 1 if failures else 0


if __name__ == "__main__":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    if sys.argv[1] == "--inside":
        inside(sys.argv[2])
    elif sys.argv[1] == "--lan":
        lan_main()
    elif "KENNEL_NET_OUTER" not in os.environ and os.geteuid() == 0:
        os.environ["KENNEL_NET_OUTER"] = "1"
        os.execvp("unshare", ["unshare", "--net", "--mount", "--propagation", "private", sys.executable,
                              os.path.abspath(__file__), *sys.argv[1:]])
    elif sys.argv[1] == "--machine":
        sys.exit(machine(sys.argv[2:]))
    else:
        sys.exit(main())
