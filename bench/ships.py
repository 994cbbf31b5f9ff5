# SPDX-License-Identifier: LGPL-2.1-or-later
"""What happens to changes: look at them, take them elsewhere, make them to this machine, keep them in one file."""
import contextlib
import os
import shutil
import subprocess
import tempfile

from common import BenchError, Row, paired

DIRECTORIES, FILES = 400, 100
MAKE = f"""
import os, sys
top, how = sys.argv[1:]
for i in range({DIRECTORIES}):
    directory = os.path.join(top, f"d{{i:03}}")
    os.makedirs(directory, exist_ok=True)
    for k in range({FILES}):
        path = os.path.join(directory, f"f{{k:03}}")
        if how == "untouched":      # copied up, and that is all
            os.close(os.open(path, os.O_RDWR))
            continue
        with open(path, "w") as f:
            f.write(f"{{how}} {{i}} {{k}}")
"""
SQUASHFS_LEVEL = "9"


def make_files(top, how):
    subprocess.run(["python3", "-c", MAKE, top, how], check=True)


def turns(bench, argvs, count, before=None):
    """Milliseconds of each command, in turns; every other round goes backwards, as spawn's own do."""
    times = [[] for _ in argvs]
    for i in range(count):
        for k in reversed(range(len(argvs))) if i % 2 else range(len(argvs)):
            if before:
                before(k)
            times[k].append(bench.spawn([argvs[k]], 1, warm=0)[0][0][0])
    return times


@contextlib.contextmanager
def workplace(bench):
    with tempfile.TemporaryDirectory(prefix="kennel-bench-", dir=bench.tree_dir) as d:
        yield d


def facts(sandbox_id):
    with open(f"/run/kennel/{sandbox_id}") as f:
        return dict(line.rstrip("\n").split("\t", 1) for line in f)


# --- kennel diff


def diff_of(bench, what, top, base, how, goals):
    """A sandbox that did this to the files below top; then each program on what became of it."""
    script = f'python3 -c \'{MAKE}\' {top} {how} && echo "$KENNEL_ID" && exec sleep 1000'
    with subprocess.Popen(bench.ours("sh", "-c", script), stdout=subprocess.PIPE, text=True) as sandbox:
        try:
            sandbox_id = sandbox.stdout.readline().strip()
            if not sandbox_id:
                raise BenchError("the sandbox with 40,000 files did not start")
            f = facts(sandbox_id)
            upper = f"/proc/{f['pid']}/fd/{f['delta-fd']}/0/upper"
            inside = f"/proc/{f['init']}/root{base}"
            argvs = [[bench.kennel, "diff", sandbox_id],
                     [bench.programs["walk"], upper],
                     ["sh", "-c", f"diff -rq {base} {inside}; [ $? -le 1 ]"]]
            ours, walk, diff = turns(bench, argvs, bench.few(9, 3))
            return [paired(f"diff of 40,000 {what}, against a walk of the changes", ours, walk, at_most=goals[0]),
                    paired(f"diff of 40,000 {what}, against diff -rq of the tree", ours, diff, at_most=goals[1])]
        finally:
            sandbox.terminate()


def diff(bench):
    if os.geteuid() != 0:
        return [Row("diff of 40,000 files", note="needs root: it looks into a sandbox")]
    with workplace(bench) as d:
        base = os.path.join(d, "base")
        make_files(base, "old")
        return (diff_of(bench, "added files", os.path.join(base, "more"), base, "new", (2, 0.5)) +
                diff_of(bench, "changed files", base, base, "new", (None, 1)) +
                diff_of(bench, "files copied up and equal", base, base, "untouched", (None, 1)))


# --- kennel export


def make_tree(top, megabytes):
    """Real files of this machine, in the order of their names: half of /usr/share, the rest programs and libraries."""
    left = megabytes << 20
    for root, until in (("/usr/share", left // 2), ("/usr/lib", left // 4), ("/usr/bin", 0)):
        for directory, names, files in os.walk(root):
            names.sort()
            for name in sorted(files):
                path = os.path.join(directory, name)
                if left <= until or os.path.islink(path) or not os.path.isfile(path):
                    continue
                os.makedirs(top + directory, exist_ok=True)
                shutil.copy2(path, top + path)
                left -= os.path.getsize(path)


def export_to(bench, d, options, peers, suffix, rounds):
    """Both write the same tree into a file, and are done when it is on the disk."""
    store, ours, theirs = (os.path.join(d, name) for name in ("store", f"ours.{suffix}", f"theirs.{suffix}"))
    argvs = [[bench.kennel, "export", "-q", "-P", store, *options, "-o", ours, "box"]]
    argvs += [["sh", "-c", f"{peer} && sync {theirs}"] for _, peer, _ in peers]

    def clear(_):
        for path in (ours, theirs):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)

    times = turns(bench, argvs, rounds, clear)
    clear(0)
    return [paired(f"export as {suffix}, against {name}", times[0], t, at_most=goal)
            for (name, _, goal), t in zip(peers, times[1:])]


def export(bench):
    if os.geteuid() != 0:
        return [Row("export", note="needs root: the peers read what kennel reads")]
    rows, rounds = [], bench.few(5, 3)
    with workplace(bench) as d:
        tree, upper = os.path.join(d, "tree"), os.path.join(d, "store/box/delta/0/upper")
        make_tree(tree, bench.few(256, 96))
        subprocess.run([bench.kennel, "import", "-q", "--what", "delta", "-P", os.path.join(d, "store"), tree, "box"],
                       check=True)
        tar = f"tar --format=pax --xattrs -C {upper}"
        rows += export_to(bench, d, (), [("GNU tar", f"{tar} -cf {d}/theirs.tar .", 1)], "tar", rounds)
        rows += export_to(bench, d, (), [("GNU tar and zstd -T0", f"{tar} -I 'zstd -T0' -cf {d}/theirs.tar.zst .", 1)],
                          "tar.zst", rounds)
        if not shutil.which("mksquashfs"):
            return rows + [Row("export as squashfs", note="mksquashfs is not installed")]
        squash = f"mksquashfs {upper} {d}/theirs.squashfs -comp zstd -quiet -no-progress"
        rows += export_to(bench, d, (), [("mksquashfs -comp zstd", squash, 1)], "squashfs", bench.few(3, 2))
        same = f"{squash} -Xcompression-level {SQUASHFS_LEVEL}"
        return rows + export_to(bench, d, (), [("mksquashfs at the same level", same, 1.1)], "squashfs", rounds)


# --- kennel commit


def commit(bench):
    """10,000 changed files over as many. The last commit's previous state is kept, so all of it has a store of its own."""
    if os.geteuid() != 0:
        return [Row("commit of 10,000 files", note="needs root")]
    if not shutil.which("rsync"):
        return [Row("commit of 10,000 files", note="rsync is not installed")]
    ours, theirs = [], []
    with workplace(bench) as d:
        store, base, copy = (os.path.join(d, name) for name in ("store", "base", "copy"))
        os.makedirs(store)
        os.makedirs("/var/lib/kennel", exist_ok=True)
        there = ["unshare", "-m", "sh", "-c", 'mount --bind "$0" /var/lib/kennel && exec "$@"', store]
        for i in range(bench.few(7, 3)):
            for path in (base, copy):
                make_some(path, f"old {i}")
            subprocess.run([*there, bench.kennel, "run", "-q", "-k", "box", "--base", base, "--net", "none", "--",
                            "/bin/busybox", "sh", "-c", CHANGE], check=True)
            upper = os.path.join(store, "box/delta/0/upper/files")
            rsync = ["sh", "-c", f"rsync -aHAX {upper}/ {copy}/files/ && sync -f {copy}"]
            theirs.append(bench.spawn([rsync], 1, warm=0, inside=there)[0][0][0])
            ours.append(bench.spawn([[bench.kennel, "commit", "--yes", "box"]], 1, warm=0, inside=there)[0][0][0])
            subprocess.run([*there, bench.kennel, "rm", "box"], check=True)
    return [paired("commit of 10,000 files, against rsync -aHAX", ours, theirs)]


CHANGE = "cd /files && for f in */*; do echo changed $f >$f; done"


def make_some(top, text):
    for i in range(100):
        directory = os.path.join(top, "files", f"d{i:02}")
        os.makedirs(directory, exist_ok=True)
        for k in range(100):
            with open(os.path.join(directory, f"f{k:02}"), "w") as f:
                f.write(text)
    for name in ("bin", "proc", "sys", "dev", "run", "tmp", "etc"):
        os.makedirs(os.path.join(top, name), exist_ok=True)
    shutil.copy2("/bin/busybox", os.path.join(top, "bin"))


# --- kennel run -f


def one_file(bench):
    """Opened again, one file changed, saved: against a container in a directory."""
    with workplace(bench) as d:
        image, store = os.path.join(d, "box"), os.path.join(d, "store")
        change = ("sh", "-c", "echo $$ >/etc/kennel-bench")
        ours = bench.ours(*change, options=("-f", image))
        peer = bench.ours(*change, options=("-P", store, "-k", "box"))
        if not bench.works(ours) or not bench.works(peer):
            return [Row("run -f, opened again and saved, against run -k", note="does not run here")]
        t = bench.spawn([ours, peer], bench.few(40, 10), 2, pause_ms=10)
        walls = [[wall for wall, _ in rounds] for rounds in t]
        subprocess.run([bench.kennel, "rm", "-P", store, "box"], check=True)
        return [paired("run -f, opened again and saved, against run -k", *walls)]
