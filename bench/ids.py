# SPDX-License-Identifier: LGPL-2.1-or-later
"""The owners of 40,000 files: kennel convert, which looks first and keeps setuid bits, against chown -R, which does not."""
import os

from common import paired
from ships import make_files, turns, workplace

ROUNDS = 9


def convert(bench):
    with workplace(bench) as d:
        trees = [os.path.join(d, name) for name in ("ours", "peer")]
        for tree in trees:
            make_files(tree, "made")
        count = 3 if bench.quick else ROUNDS
        times = [[], []]
        for i in range(count):
            ours = "100000" if i % 2 == 0 else "none"
            peer = "100000" if i % 2 == 0 else "0"
            argvs = [[bench.kennel, "convert", "-q", "--shift", ours, trees[0]],
                     ["sh", "-c", f"chown -R {peer}:{peer} '{trees[1]}' && sync -f '{trees[1]}'"]]
            got = turns(bench, argvs, 1)
            for k in (0, 1):
                times[k] += got[k]
    return [paired("convert 40,000 files: chown -R and sync", times[0], times[1], at_most=3)]
