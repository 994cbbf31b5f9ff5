# SPDX-License-Identifier: LGPL-2.1-or-later
"""Containers that live on behind who started them: start, stop and enter, against those who do the same."""
import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time

from common import BenchError, Row, paired

APPLETS = ("sh", "sleep", "true")
NULL = subprocess.DEVNULL


def timed(argv):
    """Milliseconds of one run; Python's own share of that is the same for all."""
    actions = [(os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_RDWR, 0) for fd in (0, 1, 2)]
    begun = time.perf_counter()
    pid = os.posix_spawn(argv[0], argv, os.environ, file_actions=actions)
    _, status = os.waitpid(pid, 0)
    took = (time.perf_counter() - begun) * 1000
    if status:
        raise BenchError(f"{' '.join(argv)}: {os.waitstatus_to_exitcode(status)}")
    return took


def command(name, *args):
    path = shutil.which(name)
    return [path, *args] if path else None


def make_base(directory):
    """The smallest root: busybox and what it needs."""
    base = os.path.join(directory, "base")
    for name in ("bin", "dev", "etc", "proc", "sys", "tmp", "run"):
        os.makedirs(os.path.join(base, name))
    shutil.copy(shutil.which("busybox"), os.path.join(base, "bin/busybox"))
    for applet in APPLETS:
        os.symlink("busybox", os.path.join(base, "bin", applet))
    return base


class Ours:
    name = "kennel"

    def __init__(self, bench, directory, base):
        self.store = os.path.join(directory, "store")
        self.kennel = bench.kennel
        subprocess.run([self.kennel, "create", "-P", self.store, "--base", base, "--net", "none", "bench", "--", "sleep", "1000"],
                       check=True, stdin=NULL)
        self.start = [self.kennel, "start", "-q", "-P", self.store, "bench"]
        self.stop = [self.kennel, "stop", "-q", "--kill", "bench"]
        self.enter = [self.kennel, "exec", "bench", "--", "/bin/true"]

    def pid(self):
        out = subprocess.run([self.kennel, "info", "--json", "bench"], capture_output=True, text=True, check=True)
        return json.loads(out.stdout)["init"]

    def remove(self):
        subprocess.run([self.kennel, "rm", "--force", "-P", self.store, "bench"], stdin=NULL, stdout=NULL, check=False)


class Lxc:
    name = "lxc"
    enter_name = "lxc-attach"

    def __init__(self, directory, base):
        place = os.path.join(directory, "lxc")
        os.makedirs(os.path.join(place, "bench"))
        with open(os.path.join(place, "bench/config"), "w") as f:
            f.write(f"lxc.rootfs.path = dir:{base}\nlxc.uts.name = bench\nlxc.net.0.type = empty\n"
                    "lxc.init.cmd = /bin/sleep 1000\nlxc.mount.auto = proc:mixed sys:ro\n")
        where = ("-P", place, "-n", "bench")
        self.start = command("lxc-start", *where)
        self.stop = command("lxc-stop", "-k", *where)
        self.enter = command("lxc-attach", *where, "--", "/bin/true")

    def remove(self):
        subprocess.run(self.stop, stdin=NULL, stdout=NULL, stderr=NULL, check=False)


class Oci:
    """crun and runc have the same words."""
    def __init__(self, name, directory, base):
        self.name = name
        self.enter_name = f"{name} exec"
        bundle = os.path.join(directory, name)
        os.mkdir(bundle)
        subprocess.run([name, "spec"], cwd=bundle, check=True, stdin=NULL, stdout=NULL)
        path = os.path.join(bundle, "config.json")
        with open(path) as f:
            config = json.load(f)
        config["process"].update(terminal=False, args=["/bin/sleep", "1000"])
        config["root"] = {"path": base, "readonly": True}
        config["mounts"] = [m for m in config["mounts"] if m["type"] != "cgroup"]
        with open(path, "w") as f:
            json.dump(config, f)
        ident = f"kennel-bench-{os.getpid()}"
        # as in the group "start": crun can't work with the hybrid groups of some machines
        less = ("--cgroup-manager=disabled",) if name == "crun" else ()
        self.start = command(name, *less, "run", "--detach", "--bundle", bundle, ident)
        self.stop = command(name, *less, "delete", "--force", ident)
        self.enter = command(name, *less, "exec", ident, "/bin/true")

    def remove(self):
        subprocess.run(self.stop, stdin=NULL, stdout=NULL, stderr=NULL, check=False)


def peers(directory, base):
    """(peer, None) or (its name, why not)."""
    makers = {"lxc-start": lambda: Lxc(directory, base), "crun": lambda: Oci("crun", directory, base),
              "runc": lambda: Oci("runc", directory, base)}
    for name, make in makers.items():
        if not shutil.which(name):
            yield name, "not installed"
            continue
        peer = make()
        try:
            timed(peer.start)
            timed(peer.enter)
            timed(peer.stop)
            yield peer, None
        except (BenchError, OSError):
            yield name, "does not run here"
        finally:
            peer.remove()


def entering(bench, ours):
    """nsenter into the same container, with its namespaces, root and directory: the least that entering can be."""
    if not shutil.which("nsenter"):
        return Row("one command in a running one, against nsenter", note="not installed")
    timed(ours.start)
    commands = [ours.enter, command("nsenter", "-t", str(ours.pid()), "-a", "-r", "-w", "/bin/true")]
    t = bench.spawn(commands, bench.few(60, 12), 2, pause_ms=5)
    timed(ours.stop)
    return paired("one command in a running one, against nsenter", *([wall for wall, _ in r] for r in t), at_most=1.2)


def measure(bench, ours, peer):
    """Rounds in turns, every other one the other way round."""
    figures = {(who, what): [] for who in (0, 1) for what in ("start", "stop", "enter")}
    for n in range(-1, bench.few(40, 8)):
        for who in ((0, 1) if n % 2 else (1, 0)):
            it = (ours, peer)[who]
            for what, argv in (("start", it.start), ("enter", it.enter), ("stop", it.stop)):
                ms = timed(argv)
                if n >= 0:      # the first one warms up
                    figures[who, what].append(ms)
    return figures


# --- a whole Debian

class Machines:
    """The same root twice, booted by kennel and by lxc until a login is on the console."""
    def __init__(self, bench, directory, root):
        self.kennel, self.store = bench.kennel, os.path.join(directory, "machines")
        self.lxc = os.path.join(directory, "lxc-machines")
        self.console = os.path.join(directory, "console")
        subprocess.run([self.kennel, "create", "-P", self.store, "--base", root, "--net", "none", "--boot", "debian"],
                       check=True, stdin=NULL)
        os.makedirs(os.path.join(self.lxc, "debian/delta"))
        with open(os.path.join(self.lxc, "debian/config"), "w") as f:
            f.write(f"lxc.include = /usr/share/lxc/config/common.conf\nlxc.rootfs.path = overlayfs:{root}:{self.lxc}/debian/delta\n"
                    f"lxc.uts.name = debian\nlxc.net.0.type = empty\nlxc.console.logfile = {self.console}\n"
                    "lxc.apparmor.profile = unconfined\n")
        self.where = ("-P", self.lxc, "-n", "debian")

    def log(self, who):
        """A file in both cases, so that looking costs both the same."""
        path = (os.path.join(self.store, "debian/console.log"), self.console)[who]
        with contextlib.suppress(OSError), open(path, "rb") as f:
            return f.read()
        return b""

    def boot(self, who, patience=60):
        """Milliseconds until there is one login more on its console."""
        seen = self.log(who).count(b"login:")
        argv = ([self.kennel, "start", "-q", "-P", self.store, "debian"], command("lxc-start", *self.where))[who]
        begun = time.perf_counter()
        subprocess.run(argv, check=True, stdin=NULL, stdout=NULL, stderr=NULL)
        while self.log(who).count(b"login:") <= seen:
            if time.perf_counter() - begun > patience:
                raise BenchError("no login came")
            time.sleep(0.01)
        return (time.perf_counter() - begun) * 1000

    def end(self, who):
        argv = ([self.kennel, "stop", "-q", "--kill", "debian"], command("lxc-stop", "-k", *self.where))[who]
        subprocess.run(argv, check=False, stdin=NULL, stdout=NULL, stderr=NULL)

    def remove(self):
        self.end(0)
        self.end(1)
        subprocess.run([self.kennel, "rm", "--force", "-P", self.store, "debian"], stdin=NULL, stdout=NULL, check=False)


def boots(bench, directory, at_end):
    what = "boot of Debian to a login, against lxc-start"
    root = os.environ.get("KENNEL_BENCH_DEBIAN")
    if not root:
        return Row(what, note="name its directory: KENNEL_BENCH_DEBIAN")
    if not shutil.which("lxc-start"):
        return Row(what, note="lxc-start is not installed")
    machines = Machines(bench, directory, root)
    at_end.callback(machines.remove)
    figures = ([], [])
    for n in range(-1, bench.few(9, 3)):
        for who in ((0, 1) if n % 2 else (1, 0)):
            try:
                ms = machines.boot(who)
            except (BenchError, subprocess.CalledProcessError) as e:
                return Row(what, note=f"{('kennel', 'lxc')[who]} does not boot it here: {e}")
            finally:
                machines.end(who)
            if n >= 0:
                figures[who].append(ms)
    return paired(what, *figures)


def lives(bench):
    if not shutil.which("busybox"):
        return [Row("containers in the background", note="busybox is not installed")]
    rows = []
    with tempfile.TemporaryDirectory(prefix="kennel-bench-", dir=bench.tree_dir) as d, contextlib.ExitStack() as at_end:
        os.chmod(d, 0o755)
        base = make_base(d)
        ours = Ours(bench, d, base)
        at_end.callback(ours.remove)
        for peer, why in peers(d, base):
            if why:
                rows.append(Row(f"start and stop, against {peer}", note=why))
                continue
            f = measure(bench, ours, peer)
            goal = {"lxc": 0.34, "crun": 1.0}.get(peer.name)
            rows += [paired(f"start in the background, against {peer.name}", f[0, "start"], f[1, "start"], at_most=goal),
                     paired(f"stop by killing, against {peer.name}", f[0, "stop"], f[1, "stop"]),
                     paired(f"one command in a running one, against {peer.enter_name}", f[0, "enter"], f[1, "enter"])]
        rows.append(entering(bench, ours))
        rows.append(boots(bench, d, at_end))
    return rows
