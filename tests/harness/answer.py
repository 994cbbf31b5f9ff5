#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""answer.py QUESTION ANSWER COMMAND...: runs the command on a terminal of its own, and types ANSWER and Enter once its output has
QUESTION. Prints the output; the exit code is the command's, 128 plus the signal's number where one ended it."""
import os
import pty
import sys

question, answer, command = sys.argv[1].encode(), sys.argv[2].encode(), sys.argv[3:]
pid, master = pty.fork()
if pid == 0:
    os.execvp(command[0], command)
text = b""
asked = False
while True:
    try:
        more = os.read(master, 4096)
    except OSError:  # the other side is closed
        break
    if not more:
        break
    text += more
    if not asked and question in text:
        asked = True
        os.write(master, answer + b"\n")
sys.stdout.buffer.write(text)
status = os.waitpid(pid, 0)[1]
sys.exit(os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))
