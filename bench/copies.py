# SPDX-License-Identifier: LGPL-2.1-or-later
"""Copying and removing trees, as clones and removals do it, against what people would take for that."""
import os
import shutil

from common import paired
from ships import turns, workplace

FILES_EACH, SIZE = 100, 27000


def make_tree(top, directories):
    data = os.urandom(SIZE)
    for i in range(directories):
        directory = os.path.join(top, f"d{i:03}")
        os.makedirs(directory)
        for k in range(FILES_EACH):
            with open(os.path.join(directory, f"f{k:03}"), "wb") as f:
                f.write(data[:SIZE - k * 13])


def copies(bench):
    """40,000 files and 1 GiB (quick: a tenth). All is on the disk at the end, ours and theirs."""
    tree = bench.programs["tree"]
    with workplace(bench) as d:
        source, target = os.path.join(d, "from"), os.path.join(d, "to")
        directories = bench.few(400, 40)
        make_tree(source, directories)
        peers = [("cp -a", ["cp", "-a", source, target]), ("rsync -aHAX", ["rsync", "-aHAX", source + "/", target])]
        peers = [p for p in peers if shutil.which(p[1][0])]

        def clear(_):
            shutil.rmtree(target, ignore_errors=True)
            os.sync()

        argvs = [["sh", "-c", '"$@" && sync -f "$0"', d, *argv]
                 for argv in [[tree, "copy", source, target], *(p[1] for p in peers)]]
        ours, *theirs = turns(bench, argvs, bench.few(5, 3), clear)
        what = f"copy of {directories * FILES_EACH:,} files"
        rows = [paired(f"{what}, against {p[0]}", ours, times, at_most=1) for p, times in zip(peers, theirs)]

        def fill(_):
            clear(_)
            shutil.copytree(source, target)
            os.sync()

        ours, theirs = turns(bench, [[tree, "wipe", target], ["rm", "-rf", target]], bench.few(5, 3), fill)
        return [*rows, paired(f"removal of {directories * FILES_EACH:,} files, against rm -rf", ours, theirs, at_most=1)]
