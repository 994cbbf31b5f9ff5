# SPDX-License-Identifier: LGPL-2.1-or-later
"""What all groups share: a row of the table, spawn, the peers, what may not be left behind."""
import contextlib
import ctypes
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass, field

median = statistics.median
PR_SET_CHILD_SUBREAPER = 36


class BenchError(Exception):
    pass


@dataclass
class Row:
    """One line: ratio is that of the medians, round_ratio the median of each round's own, which is judged."""
    what: str
    ours: float | None = None
    peer: float | None = None
    unit: str = "ms"
    at_most: float | None = None        # goals of the ratio
    at_least: float | None = None
    at_most_ours: float | None = None   # goal of our own figure
    round_ratio: float | None = None
    note: str = ""
    raw: dict = field(default_factory=dict)

    @property
    def ratio(self):
        return self.ours / self.peer if self.ours is not None and self.peer else None

    def judged(self):
        return self.round_ratio if self.round_ratio is not None else self.ratio

    def met(self):
        if self.at_most_ours is not None:
            return None if self.ours is None else self.ours <= self.at_most_ours
        if self.judged() is None or (self.at_most is None and self.at_least is None):
            return None
        return self.judged() <= self.at_most if self.at_most is not None else self.judged() >= self.at_least

    def goal_text(self):
        if self.at_most_ours is not None:
            return f"<= {self.at_most_ours:g} {self.unit}".rstrip()
        if self.at_most is not None:
            return f"<= {self.at_most:g}"
        return f">= {self.at_least:g}" if self.at_least is not None else ""

    def as_dict(self):
        return {
            "what": self.what, "ours": self.ours, "peer": self.peer, "unit": self.unit, "ratio": self.ratio,
            "round_ratio": self.round_ratio, "goal": self.goal_text(), "met": self.met(), "note": self.note,
            **self.raw,
        }


def descendants(pid):
    """It and all processes below it."""
    found = [pid]
    for p in found:
        with contextlib.suppress(OSError), open(f"/proc/{p}/task/{p}/children") as f:
            found += [int(word) for word in f.read().split()]
    return found


def paired(what, ours, peer, **more):
    """A row from two lists of one figure a round."""
    return Row(what, median(ours), median(peer), round_ratio=median(a / b for a, b in zip(ours, peer)),
               raw={"ours_rounds": ours, "peer_rounds": peer}, **more)


class Bench:
    def __init__(self, kennel, build, tree_dir, quick):
        self.quick = quick
        self.tree_dir = tree_dir
        self.kennel = shutil.which(kennel)
        if not self.kennel:
            raise BenchError(f"there is no program {kennel}")
        self.kennel = os.path.realpath(self.kennel)
        directory = os.path.realpath(os.path.join(build, "bench"))
        self.programs = {name: os.path.join(directory, name) for name in ("bare", "spawn", "stamp", "tree", "walk")}
        for name, path in self.programs.items():
            if not os.access(path, os.X_OK):
                raise BenchError(f"{path} is not built: configure with -Dbench=true, or run script/bench")
        # A sandbox has its own /tmp and /run, so what is to run inside lies elsewhere.
        self.temporary = tempfile.TemporaryDirectory(prefix="kennel-bench-", dir=tree_dir)
        os.chmod(self.temporary.name, 0o755)
        self.programs = {name: shutil.copy(path, self.temporary.name) for name, path in self.programs.items()}
        # Whatever a sandbox leaves running becomes our child, and is found at the end.
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.before = self.host_state()
        self.mounts = self.copied_mounts()

    def few(self, full, quick):
        return quick if self.quick else full

    # --- command lines

    def ours(self, *command, net="none", options=()):
        return [self.kennel, "run", "--net", net, *options, "--", *command]

    def bwrap(self, *command):
        if not shutil.which("bwrap"):
            return None
        return ["bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--unshare-all", *command]

    def bare(self, *command):
        words = [w for m in self.mounts for w in ("-m", m)]
        return [self.programs["bare"], *words, "--", *command]

    def copied_mounts(self):
        """The mounts below / that kennel copies on this machine: the floor has to copy the same."""
        out = subprocess.run([self.kennel, "info", "--base", "--json"], capture_output=True, text=True)
        if out.returncode:
            raise BenchError(f"kennel info --base: {out.stderr.strip()}")
        found = [m["path"] for m in json.loads(out.stdout)["mounts"] if m["what"] == "copied"]
        return [m for m in found if m != "/" and os.path.isdir(m)][:9]

    # --- running

    def spawn(self, commands, rounds, warm=1, runs=1, at_once=1, pause_ms=0, from_stamp=False, inside=()):
        """For each command its rounds, (milliseconds, CPU milliseconds). A failed run's time says nothing: an error."""
        argv = [*inside, self.programs["spawn"], "-n", str(rounds), "-w", str(warm), "-b", str(runs),
                "-j", str(at_once), "-p", str(pause_ms), *(["-e"] if from_stamp else [])]
        for i, c in enumerate(commands):
            argv += ([":::"] if i else []) + list(c)
        out = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if out.returncode:
            raise BenchError(f"{' '.join(argv[:8])}...: {out.stderr.strip()[:400] or out.returncode}")
        result = [[] for _ in commands]
        for line in out.stdout.splitlines():
            i, wall, cpu, failed = line.split()
            if failed != "0":
                words = " ".join(commands[int(i)])
                raise BenchError(f"{failed} of {runs} runs failed: {words}: {out.stderr.strip()[:400]}")
            result[int(i)].append((float(wall) / 1000, float(cpu) / 1000))
        return result

    def works(self, command):
        """A peer that fails or hangs is left out (the pasta of 2023 never ends on some kernels)."""
        if command is None:
            return False
        null = subprocess.DEVNULL
        with subprocess.Popen(command, stdin=null, stdout=null, stderr=null, start_new_session=True) as p:
            try:
                return p.wait(10) == 0
            except subprocess.TimeoutExpired:
                for pid in reversed(descendants(p.pid)):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                return False

    # --- around it

    def machine(self):
        return f"{platform.system()} {platform.release()}, {platform.machine()}, {os.cpu_count()} processors"

    def host_state(self):
        tool = os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "tools", "host-state")
        if not os.access(tool, os.X_OK):
            return set()
        return set(subprocess.run([tool], stdout=subprocess.PIPE, text=True).stdout.splitlines())

    def left_behind(self):
        """What is there now that was not before, and processes that outlived their sandbox; run last."""
        self.temporary.cleanup()
        for _ in range(10):     # a loop device lets go of its file some time after the last unmount
            left = sorted(self.host_state() - self.before)
            if not left:
                break
            time.sleep(0.3)
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return left
            if pid == 0:
                return left + ["processes: " + open(f"/proc/self/task/{os.getpid()}/children").read().strip()]
