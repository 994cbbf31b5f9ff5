#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""cp-inside.py ATTACK DIR [HOST_DIR] - a hostile inside for tests/attack/cp.bats. Prints "ready" and goes on until it is killed.

swap   exchanges DIR/d (a directory) with links to HOST_DIR, which exists outside only, as fast as it can
kinds  exchanges DIR/d/x, a file, with a pipe, a directory, a device and a link to HOST_DIR
grow   writes to DIR/d/x for ever
steal  replaces every temporary name that appears in DIR by a link to HOST_DIR
fuse   mounts a file system at DIR/d that never answers
"""
import ctypes
import os
import sys
import threading
import time

libc = ctypes.CDLL(None, use_errno=True)
attack, top = sys.argv[1:3]
outside = sys.argv[3] if len(sys.argv) > 3 else "/nowhere"
d = top + "/d"


def exchange(a, b):
    libc.renameat2(-100, a.encode(), -100, b.encode(), 2)


def write(path, text):
    with open(path, "w", encoding="ascii") as f:
        f.write(text)


def swap():
    write(d + "/f", "inside\n")
    ups = "../" * 20
    for n, where in enumerate([outside, ups + outside[1:], "/proc/1/root" + outside, "/proc/self/root" + outside]):
        os.symlink(where, f"{top}/l{n}")
    yield
    while True:
        for n in range(4):
            exchange(d, f"{top}/l{n}")
            exchange(d, f"{top}/l{n}")


def kinds():
    write(d + "/x", "inside\n")
    os.mkfifo(top + "/pipe")
    os.mkdir(top + "/dir")
    os.symlink(outside + "/f", top + "/link")
    yield
    while True:
        for other in ("pipe", "dir", "link"):
            exchange(d + "/x", f"{top}/{other}")
            exchange(d + "/x", f"{top}/{other}")


def grow():
    f = open(d + "/x", "wb", buffering=0)
    f.write(b"x" * 65536)
    yield
    while True:
        for _ in range(64):
            f.write(b"x" * 65536)
        if f.tell() > 400 << 20:        # not to fill the delta: the reader must have ended long before
            f.truncate(65536)
            f.seek(65536)


def steal():
    os.mkdir(top + "/stolen")
    yield
    n = 0
    while True:
        for name in os.listdir(top):
            if name.startswith(".kennel-cp-"):
                n += 1
                try:
                    os.rename(f"{top}/{name}", f"{top}/stolen/{n}")
                    os.symlink(outside, f"{top}/{name}")
                except OSError:
                    pass


def fuse():
    fd = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={fd},rootmode=40000,user_id=0,group_id=0,allow_other"
    if libc.mount(b"none", d.encode(), b"fuse", 0, options.encode()) != 0:
        raise OSError(ctypes.get_errno(), "mount")
    yield
    while True:
        time.sleep(60)


os.makedirs(d, exist_ok=True)
run = globals()[attack]()
next(run)
print("ready", flush=True)
threading.Thread(target=lambda: next(run)).start()
