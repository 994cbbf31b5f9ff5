# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests with a kernel of their own: against the same kernel started by hand, and against level user."""
import os
import shutil
import tempfile

from common import Row, paired
from crowds import idle_once, settle, wait_words
from starts import walls
from users import make_package

# What a person would write who boots it by hand: hostfs as the root, no program of ours, no overlay.
TRUE = """#!/bin/sh
mount -t proc proc /proc
/bin/true
echo o >/proc/sysrq-trigger
sleep 10
"""
IDLE = """#!/bin/sh
echo up
exec sleep 1000000
"""


def bare(bench, directory, name, script):
    kernel = shutil.which("linux.uml")
    if not kernel:
        return None
    init = os.path.join(directory, name)
    with open(init, "w") as f:
        f.write(script)
    os.chmod(init, 0o755)
    remedy = os.path.join(os.path.dirname(bench.kennel), "..", "src", "vm", "kennel-remedy.so")
    if not os.path.exists(remedy):
        remedy = os.path.join(os.path.dirname(bench.kennel), "..", "libexec", "kennel", "kennel-remedy.so")
    return ["env", f"LD_PRELOAD={os.path.realpath(remedy)}", "TMPDIR=/dev/shm", kernel, "mem=256M", "root=/dev/root",
            "rootfstype=hostfs", "rootflags=/", "ro", f"init={init}", "con=null", "con0=null,fd:1", "ssl=null", "quiet",
            f"uml_dir={directory}/"]


def memory(bench, peer):
    ours = bench.ours("sh", "-c", "echo up; exec sleep 1000000", options=("--isolate", "vm"))
    n = bench.few(10, 4)
    pairs = [(idle_once(ours, n, wait_words), idle_once(peer, n, wait_words)) for _ in range(bench.few(3, 1))]
    settle()
    what = f"memory of an idle one, of {n}, against the bare kernel"
    return [paired(what, [sum(o) for o, _ in pairs], [sum(t) for _, t in pairs], unit="KiB")]


def installs(bench):
    what = "apt-get install in it, against level user"
    if not shutil.which("apt-get"):
        return [Row(what, note="this system has no apt-get")]
    with tempfile.TemporaryDirectory(prefix="kennel-bench-", dir=bench.tree_dir) as d:
        os.chmod(d, 0o755)
        install = ["sh", "-c", f"apt-get install -y -qq {make_package(d)} >/dev/null 2>&1"]
        both = [bench.ours(*install, options=options) for options in (("--isolate", "vm"), ("--isolate", "user"))]
        t = bench.spawn(both, bench.few(5, 2), warm=1)
    return [paired(what, walls(t[0]), walls(t[1]))]


def guests(bench):
    peer = bare(bench, bench.temporary.name, "true", TRUE)
    ours = bench.ours("true", options=("--isolate", "vm"))
    if peer is None or not bench.works(ours):
        return [Row("boot to true and back", note="no User Mode Linux here")]
    t = bench.spawn([ours, peer], bench.few(15, 5), 1, pause_ms=10)
    rows = [paired("boot to true and back, against the bare kernel", walls(t[0]), walls(t[1]), at_most=1.25)]
    loop = ("sh", "-c", "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do /bin/true; done")
    inside = bench.ours(*loop, options=("--isolate", "vm"))
    t = bench.spawn([inside, ours, bench.ours(*loop), bench.ours("true")], bench.few(8, 3), 1, pause_ms=10)
    starts = [[a - b for a, b in zip(walls(t[i]), walls(t[i + 1]))] for i in (0, 2)]
    rows.append(paired("twenty processes in it, against level user", starts[0], starts[1]))
    return rows + installs(bench) + memory(bench, bare(bench, bench.temporary.name, "idle", IDLE))
