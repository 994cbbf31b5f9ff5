#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
harness/manager.py SOCKET GROUP UID [refuse|silent|mute] - stands for systemd on a private bus: answers StartTransientUnit with a group GROUP/NAME that
belongs to UID, with the caller in it. What it was asked for goes to stdout. "silent" lets nobody in, "mute" everybody, and then says no word.
"""
import os
import re
import socket
import struct
import sys

where, group, uid = sys.argv[1], sys.argv[2], int(sys.argv[3])
mode = sys.argv[4] if len(sys.argv) > 4 else ""


def text(s):
    return struct.pack("<I", len(s)) + s.encode() + b"\0"


def pad(b, n):
    return b + b"\0" * (-len(b) % n)


def answer(serial, kind, signature, body):
    fields = b"\x05\x01u\0" + struct.pack("<I", serial)
    if kind == 3:
        fields = pad(fields, 8) + b"\x04\x01s\0" + text("org.example.Refused")
    fields = pad(fields, 8) + b"\x08\x01g\0" + bytes([len(signature)]) + signature.encode() + b"\0"
    head = struct.pack("<cBBBIII", b"l", kind, 1, 1, len(body), 1, len(fields))
    return pad(head + fields, 8) + body


def put_in_scope(name, pid):
    path = os.path.join(group, name)
    os.mkdir(path)
    for file in "", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads":
        os.chown(os.path.join(path, file), uid, uid)
    with open(os.path.join(path, "cgroup.procs"), "w") as f:
        f.write(str(pid))


def message(c):
    head = c.recv(16, socket.MSG_WAITALL)
    if len(head) < 16:
        return None
    _, kind, _, _, body_len, serial, fields_len = struct.unpack("<cBBBIII", head)
    rest = c.recv(fields_len + -fields_len % 8 + body_len, socket.MSG_WAITALL)
    return kind, serial, rest


def serve(c):
    if mode == "silent":
        c.recv(1 << 16)
        while c.recv(1 << 16):
            pass
        return
    pid = struct.unpack("3i", c.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
    line = b""
    while line != b"BEGIN\r\n":
        line = b""
        while not line.endswith(b"\r\n"):
            byte = c.recv(1)
            if not byte:
                return
            line += byte.lstrip(b"\0")
        if line.startswith(b"AUTH EXTERNAL"):
            c.sendall(b"DATA\r\n" if line == b"AUTH EXTERNAL\r\n" else b"OK 0123456789abcdef0123456789abcdef\r\n")
        elif line.startswith(b"DATA"):
            c.sendall(b"OK 0123456789abcdef0123456789abcdef\r\n")
        elif line.startswith(b"NEGOTIATE"):
            c.sendall(b"AGREE_UNIX_FD\r\n")
    while m := message(c):
        kind, serial, rest = m
        if kind != 1 or mode == "mute":
            continue
        if b"StartTransientUnit" not in rest:
            c.sendall(answer(serial, 2, "s", text(":1.1")))
            continue
        name = re.search(rb"kennel-[\w.-]+\.scope", rest)[0].decode()
        print(name, "delegated" if b"Delegate\0\x01b\0" in rest else "", flush=True)
        if mode == "refuse":
            c.sendall(answer(serial, 3, "s", text("not today")))
        else:
            put_in_scope(name, pid)
            c.sendall(answer(serial, 2, "o", text("/org/freedesktop/systemd1/job/1")))


s = socket.socket(socket.AF_UNIX)
s.bind(where)
os.chmod(where, 0o666)
s.listen()
print("up", flush=True)
while True:
    client, _ = s.accept()
    serve(client)
