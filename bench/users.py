# SPDX-License-Identifier: LGPL-2.1-or-later
"""An ordinary user: the same copy, through the view server."""
import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile

from common import Row, median, paired

PAUSE_MS = 10
FIND = ["sh", "-c", "find /usr >/dev/null 2>&1; :"]
PACKAGE_FILES = 400


class User:
    """Who runs the suites of ordinary users; its cache and runtime directory are the measurement's own."""

    def __init__(self, name, home):
        self.name = name
        run = os.path.join(home, "run")
        os.mkdir(run, 0o700)
        for path in (home, run):
            shutil.chown(path, name)
        self.prefix = ["runuser", "-u", name, "--", "env", f"HOME={home}", f"XDG_RUNTIME_DIR={run}"]


@contextlib.contextmanager
def ordinary_user(bench):
    """None with a word why where there is none that could run kennel."""
    name = os.environ.get("KENNEL_TEST_USER", "kennel-test")
    with tempfile.TemporaryDirectory(prefix="kennel-bench-", dir=bench.tree_dir) as home:
        try:
            pwd.getpwnam(name)
        except KeyError:
            yield None, f"there is no user {name}"
            return
        user = User(name, home)
        works = bench.works([*user.prefix, *bench.ours("true")])
        yield (user, "") if works else (None, "does not run here")


def starts(bench, user):
    peer = bench.bwrap("true")
    if peer is None:
        return [Row("a user's start to exit, against bwrap", note="not installed")]
    t = bench.spawn([bench.ours("true"), peer], bench.few(100, 30), 5, pause_ms=PAUSE_MS, inside=user.prefix)
    ours, theirs = ([wall for wall, _ in rounds] for rounds in t)
    return [paired("a user's start to exit, against bwrap", ours, theirs, at_most=1.5)]


def finds(bench, user):
    first, second, outside = [], [], []
    bench.spawn([FIND], 1, warm=1, inside=user.prefix)
    for _ in range(bench.few(7, 3)):
        ours = bench.spawn([FIND], 3, warm=0, inside=[*user.prefix, *bench.ours()])[0]
        theirs = bench.spawn([FIND], 2, warm=0, inside=user.prefix)[0]
        first.append(ours[0][0])
        second.append(median(wall for wall, _ in ours[1:]))
        outside.append(median(wall for wall, _ in theirs))
    return [paired("a user's first find /usr, inside against outside", first, outside, at_most=2.5),
            paired("a user's second find /usr, inside against outside", second, outside, at_most=1.3)]


def make_package(directory):
    """A package of small files that needs nothing, so that it installs without a network."""
    top = os.path.join(directory, "package")
    for i in range(PACKAGE_FILES):
        path = os.path.join(top, "usr/share/kennel-bench", f"d{i % 20}")
        os.makedirs(path, exist_ok=True)
        with open(os.path.join(path, f"f{i}"), "w") as f:
            f.write(f"file {i}\n" * 200)
    os.mkdir(os.path.join(top, "DEBIAN"))
    with open(os.path.join(top, "DEBIAN/control"), "w") as f:
        f.write("Package: kennel-bench\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@localhost>\n"
                "Description: a measurement\n")
    deb = os.path.join(directory, "kennel-bench.deb")
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", top, deb], check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(top)
    return deb


def installs(bench, user):
    what = "a user's apt-get install, against root's in the same copy"
    if not shutil.which("apt-get"):
        return [Row(what, note="this system has no apt-get")]
    with tempfile.TemporaryDirectory(prefix="kennel-bench-", dir=bench.tree_dir) as d:
        os.chmod(d, 0o755)
        install = ["sh", "-c", f"apt-get install -y -qq {make_package(d)} >/dev/null 2>&1"]
        ours, theirs = [], []
        for _ in range(bench.few(7, 3)):
            for figures, prefix in ((ours, user.prefix), (theirs, [])):
                t = bench.spawn([install], 1, warm=0, inside=[*prefix, *bench.ours()])
                figures.append(t[0][0][0])
    return [paired(what, ours, theirs, at_most=1.25)]


def work(bench):
    with ordinary_user(bench) as (user, why):
        if user is None:
            return [Row("an ordinary user", note=why)]
        return starts(bench, user) + finds(bench, user) + installs(bench, user)
