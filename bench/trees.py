# SPDX-License-Identifier: LGPL-2.1-or-later
"""Work on files inside against outside, warm. spawn itself runs inside, so that no start is in the figure."""
import contextlib
import os
import random
import shutil
import subprocess
import tempfile

from common import Row, median, paired

FILES = 60
ARCHIVE_FILES, ARCHIVE_FILE_SIZE = 2000, 100 << 10
GOAL = 0.97
FUNCTION = """
int NAME(const char *s, int n)
{
	char b[NUMBER];

	snprintf(b, sizeof(b), "%s %d", s, n);
	return (int)strlen(b) * NUMBER + (int)strtol(b, NULL, 10);
}
"""


def quietly(*argv):
    null = subprocess.DEVNULL
    return bool(shutil.which(argv[0])) and subprocess.run(argv, stdout=null, stderr=null).returncode == 0


@contextlib.contextmanager
def fresh_tree(bench):
    """A fresh ext4 image on a loop device if possible: an old root slows down with every tree made on it."""
    top = tempfile.mkdtemp(prefix="kennel-bench-", dir=bench.tree_dir)
    image, tree = os.path.join(top, "image"), os.path.join(top, "tree")
    os.mkdir(tree)
    with open(image, "w") as f:
        f.truncate(6 << 30)
    no_later_work = "lazy_itable_init=0,lazy_journal_init=0"
    mounted = (quietly("mkfs.ext4", "-q", "-E", no_later_work, image) and
               quietly("mount", "-o", "loop", image, tree))
    try:
        yield tree, mounted
    finally:
        if mounted:
            subprocess.run(["umount", tree], check=True)
        shutil.rmtree(top)


def make_archive(tree):
    """200 MB in 2000 files: some text-like, none that compresses to nothing."""
    source, archive = os.path.join(tree, "source"), os.path.join(tree, "source.tar")
    noise = random.Random(1).randbytes(ARCHIVE_FILE_SIZE)
    for i in range(ARCHIVE_FILES):
        directory = os.path.join(source, f"d{i // 50}")
        os.makedirs(directory, exist_ok=True)
        with open(os.path.join(directory, f"f{i}"), "wb") as f:
            f.write(noise[i:] + noise[:i])
    subprocess.run(["tar", "-cf", archive, "-C", tree, "source"], check=True)
    shutil.rmtree(source)
    return archive


def make_project(tree):
    project = os.path.join(tree, "project")
    os.makedirs(os.path.join(project, "tmp"))
    for i in range(FILES):
        body = "".join(FUNCTION.replace("NAME", f"f{i}_{k}").replace("NUMBER", str(k + 16)) for k in range(12))
        with open(os.path.join(project, f"m{i}.c"), "w") as f:
            f.write("#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n" + body)
    with open(os.path.join(project, "main.c"), "w") as f:
        f.write("int main(void)\n{\n\treturn 0;\n}\n")
    with open(os.path.join(project, "Makefile"), "w") as f:
        f.write("O = $(patsubst %.c,$(OUT)/%.o,$(wildcard *.c))\n$(OUT)/program: $(O)\n\tcc -o $@ $^\n"
                "$(OUT)/%.o: %.c\n\tcc -O1 -c -o $@ $<\n")
    return project


def jobs(tree):
    archive, project = make_archive(tree), make_project(tree)
    make = f"make -s -j{os.cpu_count()} -C {project} OUT=$o"
    build = f"o={project}/o.$$ && mkdir $o && TMPDIR={project}/tmp {make}"
    yield "find /usr", ["find", "/usr"], 5
    yield "read 200 MB", ["cat", archive], 5
    yield "untar 200 MB", ["sh", "-c", f"o={tree}/o.$$ && mkdir $o && tar -xf {archive} -C $o"], 3
    if shutil.which("make") and shutil.which("cc"):
        yield f"C build of {FILES} files", ["sh", "-c", build], 3


def remove_outputs(tree):
    for top in (tree, os.path.join(tree, "project")):
        for name in os.listdir(top):
            if name.startswith("o."):
                shutil.rmtree(os.path.join(top, name))
    os.sync()


def work(bench):
    rows = []
    with fresh_tree(bench) as (tree, mounted):
        for name, argv, warm_runs in jobs(tree):
            first, inside, outside = [], [], []
            bench.spawn([argv], 1, warm=0)
            for _ in range(bench.few(5, 2)):
                remove_outputs(tree)
                ours = bench.spawn([argv], warm_runs + 1, warm=0, inside=bench.ours())
                theirs = bench.spawn([argv], warm_runs + 1, warm=0)
                first.append(ours[0][0][0] / theirs[0][1][0])
                inside.append(median(t for t, _ in ours[0][1:]))
                outside.append(median(t for t, _ in theirs[0][1:]))
            remove_outputs(tree)
            # speed, so that more is better as the goal has it
            rows.append(Row(f"{name}, inside against outside", median(inside), median(outside), at_least=GOAL,
                            round_ratio=median(o / i for i, o in zip(inside, outside)),
                            note="" if mounted else "not on a fresh file system",
                            raw={"ours_rounds": inside, "peer_rounds": outside, "first_run": median(first)}))
    return rows
