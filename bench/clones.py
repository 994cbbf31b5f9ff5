# SPDX-License-Identifier: LGPL-2.1-or-later
"""Snapshots and clones that share: against lxc-copy -s, whether the size counts, and what a deep stack costs."""
import os
import shutil
import subprocess

from common import Row, median, paired
from ships import turns, workplace

DEPTH = 30
SMALL = 10


def quiet(*argv):
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def make_base(top):
    os.makedirs(os.path.join(top, "bin"))
    shutil.copy(shutil.which("busybox"), os.path.join(top, "bin", "busybox"))
    for applet in ("sh", "true", "seq", "find", "mkdir"):
        os.symlink("busybox", os.path.join(top, "bin", applet))


class Store:
    def __init__(self, bench, top, base):
        self.kennel, self.path, self.base = bench.kennel, os.path.join(top, "store"), base

    def run(self, name, script):
        quiet(self.kennel, "run", "-qk", name, "-P", self.path, "--base", self.base, "--net", "none", "--", "/bin/sh", "-c", script)

    def make(self, name, files):
        self.run(name, f"for d in $(seq {max(files // 500, 1)}); do mkdir /d$d; for i in $(seq {min(files, 500)}); do echo $i >/d$d/$i; done; done")
        quiet(self.kennel, "snapshot", "-q", "-P", self.path, name)

    def clone(self, name):
        return ["sh", "-c", '"$0" clone -s -P "$1" "$2" "$2-$$"', self.kennel, self.path, name]

    def command(self, name, *argv):
        return [self.kennel, "run", "-qk", name, "-P", self.path, "--", *argv]

    def remove(self):
        names = subprocess.run([self.kennel, "list", "-kq", "-P", self.path], check=True, capture_output=True, text=True).stdout.split()
        quiet(self.kennel, "rm", "-fs", "--promote", "-P", self.path, *names)


def lxc_clone(top, base):
    place = os.path.join(top, "lxc")
    root = os.path.join(place, "o", "rootfs")
    shutil.copytree(base, root, symlinks=True)
    with open(os.path.join(place, "o", "config"), "w") as f:
        f.write(f"lxc.rootfs.path = dir:{root}\nlxc.uts.name = o\n")
    return ["sh", "-c", 'exec lxc-copy -P "$0" -n o -N "c$$" -s', place]


def clones(bench):
    rows, rounds = [], bench.few(15, 5)
    with workplace(bench) as d:
        base, many = os.path.join(d, "base"), bench.few(40000, 4000)
        make_base(base)
        store = Store(bench, d, base)
        try:
            store.make("small", SMALL)
            store.make("large", many)
            argvs = [store.clone("small"), store.clone("large")]
            if shutil.which("lxc-copy"):
                argvs.append(lxc_clone(d, base))
            small, large, *lxc = turns(bench, argvs, rounds)
            if lxc:
                rows.append(paired("snapshot clone, against lxc-copy -s", small, lxc[0], at_most=0.5))
            else:
                rows.append(Row("snapshot clone, against lxc-copy -s", median(small), note="no lxc-copy"))
            rows.append(paired(f"snapshot clone of {many:,} changed files, against {SMALL}", large, small, at_most=1.1))
            for i in range(DEPTH):
                store.run("deep", f"echo {i} >/f{i}")
                quiet(bench.kennel, "snapshot", "-q", "-P", store.path, "deep")
            store.run("flat", f"for i in $(seq {DEPTH}); do echo $i >/f$i; done")
            quiet(bench.kennel, "snapshot", "-q", "-P", store.path, "flat")
            for what, argv in (("start to exit of true", ["/bin/true"]), ("find", ["/bin/find", "/", "-xdev"])):
                deep, flat = turns(bench, [store.command("deep", *argv), store.command("flat", *argv)], rounds)
                rows.append(paired(f"{what}, {DEPTH} layers deep, against 1", deep, flat))
        finally:
            store.remove()
    return rows
