# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many sandboxes: how many a second, how much memory an idle one holds, how many at once."""
import ctypes
import os
import platform
import select
import signal
import subprocess
import time

from common import BenchError, Row, median, paired

KCMP_VM = 1
NR_KCMP = {"x86_64": 312}.get(platform.machine(), 272)
KERNEL_PARTS = ("Slab", "KernelStack", "PageTables", "Percpu")
SETTLED_KB = 256


def rates(bench):
    peer = bench.bwrap("true")
    if peer is None:
        return [Row("sandboxes a second", note="no bwrap")]
    rows = []
    for at_once, goal in ((1, 1.25), (2, 1.25), (8, 1.6), (32, 2.0)):
        runs = bench.few(200, 64)
        t = bench.spawn([bench.ours("true"), peer], bench.few(7, 3), runs=runs, at_once=at_once, pause_ms=200)
        ours, theirs = ([runs / wall * 1000 for wall, _ in rounds] for rounds in t)
        what = f"{runs} in a row" if at_once == 1 else f"{at_once} at a time"
        rows.append(paired(f"sandboxes a second, {what}", ours, theirs, unit="/s", at_least=goal))
    return rows


# --- memory


def meminfo():
    with open("/proc/meminfo") as f:
        return {line.split(":")[0]: int(line.split()[1]) for line in f}


def kernel_kb(info):
    return sum(info.get(part, 0) for part in KERNEL_PARTS)


def settle():
    """Waits until the kernel has freed what the last round left: workers and RCU take their time."""
    last = kernel_kb(meminfo())
    for _ in range(60):
        time.sleep(0.5)
        now = kernel_kb(meminfo())
        if abs(now - last) <= SETTLED_KB:
            return now
        last = now
    return last


def children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as f:
            return [int(word) for word in f.read().split()]
    except OSError:
        return []


def tree(pid):
    """(pid, parent) of all processes below and with this one."""
    found, todo = [], [(pid, 0)]
    while todo:
        entry = todo.pop()
        found.append(entry)
        todo += [(c, entry[0]) for c in children(entry[0])]
    return found


def comm(pid):
    try:
        with open(f"/proc/{pid}/comm") as f:
            return f.read().strip()
    except OSError:
        return ""


def pss_kb(pid):
    """(all, that of tmpfs pages)"""
    with open(f"/proc/{pid}/smaps_rollup") as f:
        parts = {line.split(":")[0]: line.split()[1] for line in f if line.startswith("Pss")}
    return int(parts["Pss"]), int(parts.get("Pss_Shmem", 0))


def shares_memory(a, b):
    return b and ctypes.CDLL(None).syscall(NR_KCMP, a, b, KCMP_VM, 0, 0) == 0


def sleepers(processes):
    found = []
    for p in processes:
        found += [pid for pid, parent in tree(p.pid) if parent and comm(pid) == "sleep"]
    return found


def wait_sleepers(processes, n):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        found = sleepers(processes)
        if len(found) >= n:
            return found
        if any(p.poll() is not None for p in processes):
            break
        time.sleep(0.2)
    raise BenchError(f"only {len(sleepers(processes))} of {n} idle sandboxes came up")


def wait_words(processes, n, word=b"up\n"):
    """Until each has said so; nothing in it can be found from outside."""
    deadline = time.monotonic() + 120
    for p in processes[:n]:
        said = b""
        while word not in said.replace(b"\r", b""):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([p.stdout], [], [], left)[0]:
                raise BenchError("an idle guest did not come up in time")
            data = os.read(p.stdout.fileno(), 4096)
            if not data:
                raise BenchError("an idle guest ended at once")
            said += data
    return []


def idle_once(argv, n, wait=wait_sleepers):
    """KiB of one idle sandbox, of n: (PSS of its processes, kernel, tmpfs pages that no process maps)."""
    settle()
    before = meminfo()
    null = subprocess.DEVNULL
    output = null if wait is wait_sleepers else subprocess.PIPE
    processes = [subprocess.Popen(argv, stdin=null, stdout=output, stderr=None if output == null else null)
                 for _ in range(n)]
    payloads = []
    try:
        payloads = wait(processes, n)
        settle()
        after = meminfo()
        user = mapped = 0
        for p in processes:
            for pid, parent in tree(p.pid):
                if not shares_memory(pid, parent):      # else it is the same memory
                    pss, shmem = pss_kb(pid)
                    user, mapped = user + pss, mapped + shmem
    finally:
        for pid in payloads:
            os.kill(pid, signal.SIGTERM)
        if not payloads:
            for p in processes:
                p.terminate()
        for p in processes:
            p.communicate()
    files = max(0, after["Shmem"] - before["Shmem"] - mapped)
    return user / n, (kernel_kb(after) - kernel_kb(before)) / n, files / n


def memory(bench):
    peer = bench.bwrap("sleep", "1000000")
    if peer is None:
        return [Row("memory of an idle sandbox", note="no bwrap")]
    n = bench.few(200, 50)
    ours, theirs = [], []
    for _ in range(bench.few(3, 1)):
        ours.append(idle_once(bench.ours("sleep", "1000000"), n))
        theirs.append(idle_once(peer, n))
    settle()
    total = paired(f"memory of an idle one, of {n}", [sum(o) for o in ours], [sum(t) for t in theirs], unit="KiB",
                   at_most=0.5)
    parts = [paired(f"  of that {name}", [o[i] for o in ours], [max(t[i], 0.001) for t in theirs], unit="KiB")
             for i, name in ((0, "its processes"), (1, "the kernel's"))]
    files = Row("  of that files in memory", median(o[2] for o in ours), median(t[2] for t in theirs), "KiB")
    return [total, *parts, files]


# --- at once


def crowd_once(argv, n):
    """Starts n that hold until all are there. Return: (failures, seconds until all were up)."""
    hold_read, hold_write = os.pipe()
    up_read, up_write = os.pipe()
    begin = time.monotonic()
    streams = {"stdin": hold_read, "stdout": up_write, "stderr": subprocess.DEVNULL}
    processes = [subprocess.Popen(argv, **streams) for _ in range(n)]
    os.close(hold_read)
    os.close(up_write)
    up = 0
    while up < n and select.select([up_read], [], [], 60)[0]:
        data = os.read(up_read, 4096)
        if not data:
            break
        up += len(data)
    took = time.monotonic() - begin
    os.close(hold_write)
    failed = sum(p.wait() != 0 for p in processes)
    os.close(up_read)
    return max(failed, n - up), took


def crowd(bench):
    n = bench.few(500, 100)
    stamp = bench.programs["stamp"]
    failed, took = crowd_once(bench.ours(stamp, "hold"), n)
    rows = [Row(f"{n} at once: failures", failed, unit="", at_most_ours=0)]
    peer = bench.bwrap(stamp, "hold")
    if peer:
        theirs, their_time = crowd_once(peer, n)
        rows[0].peer = float(theirs)
        rows.append(Row(f"{n} at once: until all are up", took, their_time, unit="s"))
    return rows
