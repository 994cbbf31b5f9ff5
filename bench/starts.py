# SPDX-License-Identifier: LGPL-2.1-or-later
"""Single starts and ends."""
import json
import os
import shutil
import subprocess
import tempfile

from common import Row, paired

# A dead sandbox's network namespace is taken apart in a worker; a turn should not pay for the one before.
PAUSE_MS = 10


def walls(rounds):
    return [wall for wall, _ in rounds]


def start(bench):
    peers = {"bwrap": bench.bwrap("true"), "the bare calls": bench.bare("true")}
    goals = {"bwrap": 0.75, "the bare calls": 1.25}
    rows = [Row(f"start to exit, against {name}", note="not installed") for name in peers if peers[name] is None]
    there = {name: argv for name, argv in peers.items() if argv is not None}
    times = bench.spawn([bench.ours("true"), *there.values()], bench.few(150, 30), 5, pause_ms=PAUSE_MS)
    rows += [paired(f"start to exit, against {name}", walls(times[0]), walls(t), at_most=goals[name])
             for name, t in zip(there, times[1:])]
    with tempfile.TemporaryDirectory(prefix="kennel-bench-") as d:
        for name, argv in (("crun", crun(d)), ("lxc-execute", None), ("systemd-nspawn", nspawn())):
            if not shutil.which(name):
                rows.append(Row(f"start to exit, against {name}", note="not installed"))
            elif not bench.works(argv):
                rows.append(Row(f"start to exit, against {name}", note="does not run here"))
            else:
                t = bench.spawn([bench.ours("true"), argv], bench.few(30, 8), 1, pause_ms=PAUSE_MS)
                rows.append(paired(f"start to exit, against {name}", walls(t[0]), walls(t[1])))
    return rows


def crun(directory):
    """A bundle whose root is this machine's, as crun's own "spec" makes it."""
    if not shutil.which("crun"):
        return None
    if subprocess.run(["crun", "spec"], cwd=directory, stderr=subprocess.DEVNULL).returncode:
        return None
    path = os.path.join(directory, "config.json")
    with open(path) as f:
        config = json.load(f)
    config["process"].update(terminal=False, args=["true"])
    config["root"] = {"path": "/", "readonly": True}
    # hybrid control groups can't be shown inside, and no other row has them either
    config["mounts"] = [m for m in config["mounts"] if m["type"] != "cgroup"]
    with open(path, "w") as f:
        json.dump(config, f)
    return ["crun", "--cgroup-manager=disabled", "run", "--bundle", directory, f"kennel-bench-{os.getpid()}"]


def nspawn():
    return ["systemd-nspawn", "-q", "-D", "/", "--volatile=overlay", "--register=no", "--keep-unit", "true"]


def levels(bench):
    peer = bench.bwrap("true")
    if peer is None:
        return [Row("start to exit, weaker levels", note="no bwrap")]
    names = ("ns", "fs")
    nets = {"ns": "none", "fs": "host"}
    commands = [bench.ours("true", net=nets[n], options=("--isolate", n)) for n in names]
    t = bench.spawn([*commands, peer], bench.few(60, 12), 2, pause_ms=PAUSE_MS)
    return [paired(f"start to exit at --isolate {n}, against bwrap", walls(times), walls(t[-1]))
            for n, times in zip(names, t)]


def kept(bench):
    """On disk, where --path would be: the sync of its file system belongs to the end of the one before."""
    with tempfile.TemporaryDirectory(prefix="kennel-bench-", dir="/var/tmp") as d:
        store = os.path.join(d, "store")
        ours = bench.ours("true", options=("-P", store, "-k", "bench"))
        if not bench.works(ours):
            return [Row("start to exit of a container, against a throwaway", note="does not run here")]
        t = bench.spawn([ours, bench.ours("true")], bench.few(100, 20), 5, pause_ms=PAUSE_MS)
        subprocess.run([bench.kennel, "rm", "-P", store, "bench"], check=False)
        return [paired("start to exit of a container, against a throwaway", walls(t[0]), walls(t[1]), at_most=2.0)]


def nat(bench):
    ours = bench.ours("true", net="nat")
    if not shutil.which("pasta"):
        return [Row("start to exit with --net nat", note="pasta is not installed")]
    if not bench.works(ours):
        return [Row("start to exit with --net nat", note="does not run here")]
    rows = []
    pasta = ["pasta", "--config-net", "-q", "--", "true"]
    peers = {"pasta alone": pasta, "bwrap without one": bench.bwrap("true")}
    for name, peer in peers.items():
        what = f"start to exit with --net nat, against {name}"
        if bench.works(peer):
            t = bench.spawn([ours, peer], bench.few(30, 6), 1, pause_ms=PAUSE_MS)
            rows.append(paired(what, walls(t[0]), walls(t[1])))
        else:
            rows.append(Row(what, note="does not run here"))
    return rows


def leave(bench):
    stamp = bench.programs["stamp"]
    peer = bench.bwrap(stamp)
    commands = [bench.ours(stamp), bench.bare(stamp), [stamp]] + ([peer] if peer else [])
    t = [walls(r) for r in bench.spawn(commands, bench.few(150, 30), 5, pause_ms=PAUSE_MS, from_stamp=True)]
    rows = [paired("the program's exit to ours, against the bare calls", t[0], t[1], at_most_ours=0.3),
            paired("the same, against no sandbox at all", t[0], t[2])]
    if peer:
        rows.append(paired("the same, against bwrap", t[0], t[3]))
    return rows
