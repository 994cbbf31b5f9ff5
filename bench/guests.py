# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests with a kernel of their own: against the same kernel started by hand, and against level user."""
import os
import shutil

from common import Row, paired
from starts import walls

# What a person would write who boots it by hand: hostfs as the root, no program of ours, no overlay.
INIT = """#!/bin/sh
mount -t proc proc /proc
/bin/true
echo o >/proc/sysrq-trigger
sleep 10
"""


def bare(bench, directory):
    kernel = shutil.which("linux.uml")
    if not kernel:
        return None
    init = os.path.join(directory, "init")
    with open(init, "w") as f:
        f.write(INIT)
    os.chmod(init, 0o755)
    remedy = os.path.join(os.path.dirname(bench.kennel), "..", "src", "vm", "kennel-remedy.so")
    if not os.path.exists(remedy):
        remedy = os.path.join(os.path.dirname(bench.kennel), "..", "libexec", "kennel", "kennel-remedy.so")
    return ["env", f"LD_PRELOAD={os.path.realpath(remedy)}", "TMPDIR=/dev/shm", kernel, "mem=256M", "root=/dev/root",
            "rootfstype=hostfs", "rootflags=/", "ro", f"init={init}", "con=null", "con0=null,fd:2", "ssl=null", "quiet",
            f"uml_dir={directory}/"]


def guests(bench):
    peer = bare(bench, bench.temporary.name)
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
    return rows
