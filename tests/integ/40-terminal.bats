#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# runs-as: root user
#
# The terminal of its own: job control, keys, size, bytes, and that the caller's terminal is what it was afterwards.

load lib

setup() {
	need_sandbox
	need_commands python3
	kennel_setup
	cat >"$T/on-pty.py" <<'PY'
"""Runs kennel on a new pseudo terminal as a shell's job would be; what a test does with it is in the string after the import."""
import fcntl, os, pty, select, signal, struct, sys, termios, time

KENNEL = os.environ["KENNEL"]


class Job:
    def __init__(self, *args, size=(24, 80), env=None):
        self.text = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
            os.execve(KENNEL, ["kennel", "run", "--net", "none", *args], {**os.environ, "TERM": "xterm", **(env or {})})
        self.modes = termios.tcgetattr(self.fd)

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def send(self, data):
        while data:
            n = os.write(self.fd, data[:1024])
            data = data[n:]

    def read(self, timeout):
        if select.select([self.fd], [], [], timeout)[0]:
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                return False
            self.text += data
            return bool(data)
        return None

    def expect(self, what, timeout=100):
        end = time.time() + timeout
        while what not in self.text:
            if time.time() > end or self.read(0.2) is False:
                print(f"waited in vain for {what!r} in {self.text[-2000:]!r}")
                sys.exit(1)
        at = self.text.index(what) + len(what)
        before, self.text = self.text[:at], self.text[at:]
        return before

    def end(self, timeout=100):
        """To its end; what becomes of the changes is answered with Enter."""
        end = time.time() + timeout
        asked = False
        while time.time() < end:
            self.read(0.05)
            if not asked and b"[c]ommit? " in self.text:
                asked = True
                self.send(b"\n")
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                while self.read(0.05):
                    pass
                return os.waitstatus_to_exitcode(status)
        print(f"does not end: {self.text[-2000:]!r}")
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        sys.exit(1)

    def restored(self):
        return termios.tcgetattr(self.fd) == self.modes


def running(mark):
    """A process with that word, or none. One that looks for it with a shell would find the shell."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if mark.encode() in open(f"/proc/{pid}/cmdline", "rb").read().split(b"\0"):
                return pid
        except OSError:
            pass
    return None


def wait_for(condition, what, timeout=100):
    end = time.time() + timeout
    while not condition():
        check(time.time() < end, what)
        time.sleep(0.02)


def in_front(mark):
    """Does it run, in the foreground of its terminal? What is typed before goes to the shell that is about to start it."""
    try:
        words = open(f"/proc/{running(mark)}/stat").read().rsplit(")", 1)[1].split()
    except OSError:
        return False
    return words[0] != "T" and words[2] == words[5]


def check(condition, what):
    if not condition:
        print("failed:", what)
        sys.exit(1)


exec(sys.argv[1])
PY
}

# on_pty PYTHON
on_pty() {
	timeout -k 5 350 python3 "$T/on-pty.py" "$1" 3>&-
}

@test "terminal: standard streams are a terminal of its own, named and owned as it should be" {
	on_pty 'j = Job("--", "sh", "-c", "tty; stat -c %U:%G:%a $(tty); [ -t 0 ] && [ -t 1 ] && [ -t 2 ] && echo all; ls -l /dev/console | cut -c 1; echo $TERM; ps -o tty= -p $$")
code = j.end()
check(code == 0, code)
check(b"/dev/pts/0\r\nroot:tty:620\r\nall\r\nc\r\nxterm\r\npts/0\r\n" in j.text, j.text)'
}

@test "terminal: the prompt of a shell, a line, its end, and the farewell line" {
	on_pty 'j = Job()
j.expect(b"# ")
j.send(b"printf \"\\r$((40 + 2))\\n\"; touch /root/changed /etc/changed\n")
j.expect(b"\r42\r\n")
j.expect(b"# ")
j.send(b"exit 7\n")
code = j.end()
check(code == 7, code)
lines = j.text.decode().strip().split("\n")
check("changed files are gone" in lines[-1], lines)
check(int(lines[-1].split()[-5]) >= 2, lines)
check(j.restored(), "modes")'
}

@test "terminal: the farewell counts what was changed, one and none, and is quiet with -q" {
	on_pty 'j = Job("--", "true")
check(j.end() == 0 and b"no file was changed" in j.text, j.text)
j = Job("--", "touch", "/root/one")
check(j.end() == 0 and b"1 changed file is gone" in j.text, j.text)
j = Job("--", "rm", "/etc/issue")
check(j.end() == 0 and b"1 changed file is gone" in j.text, j.text)
j = Job("--", "sh", "-c", "cd /root; for n in 1 2 3 4 5; do echo >f$n; done")
check(j.end() == 0 and b"5 changed files are gone" in j.text, j.text)
j = Job("-q", "--", "touch", "/root/one")
check(j.end() == 0 and j.text == b"", j.text)'
}

@test "terminal: Ctrl-C ends the command in the foreground, not the shell" {
	on_pty 'j = Job("--", "sh", "-i")
j.expect(b"# ")
mark = f"86403.{os.getpid()}"
j.send(f"sleep {mark}\n".encode())
wait_for(lambda: in_front(mark), "does not run")
j.send(b"\x03")
j.expect(b"# ")
j.send(b"echo code $?\n")
j.expect(b"code 130")
j.send(b"exit\n")
j.end()'
}

@test "terminal: Ctrl-C and Ctrl-backslash end a command without a shell" {
	on_pty 'for key, want in ((b"\x03", 130), (b"\x1c", 131)):
    j = Job("--", "sh", "-c", "echo up; exec sleep 300")
    j.expect(b"up")
    j.send(key)
    code = j.end()
    check(code == want, (key, code))
    check(j.restored(), "modes")'
}

@test "terminal: Ctrl-Z, jobs, bg and fg" {
	on_pty 'j = Job("--", "bash", "--norc", "-i")
j.expect(b"# ")
mark = f"86404.{os.getpid()}"
j.send(f"sleep {mark}\n".encode())
wait_for(lambda: in_front(mark), "does not run")
j.send(b"\x1a")
j.expect(b"Stopped")
j.send(b"jobs\n")
j.expect(b"Stopped")
j.send(b"bg; jobs\n")
j.expect(b"Running")
j.send(b"fg\n")
j.expect(f"sleep {mark}".encode())
wait_for(lambda: in_front(mark), "does not go on")
j.send(b"\x03")
j.expect(b"# ")
j.send(b"exit 4\n")
check(j.end() == 4, "code")'
}

@test "terminal: Ctrl-D ends the input" {
	on_pty 'j = Job("--", "cat")
j.send(b"line\n")
j.expect(b"line\r\nline\r\n")
j.send(b"\x04")
check(j.end() == 0, "code")'
}

@test "terminal: the size, and SIGWINCH when it changes" {
	cat >"$T/size.py" <<'PY'
import os, signal, time
def show(*args):
    columns, rows = os.get_terminal_size()
    os.write(1, f"{rows} {columns}\n".encode())        # print() can't be interrupted by itself
show()
signal.signal(signal.SIGWINCH, show)
os.write(1, b"up\n")
while True:
    time.sleep(1)
PY
	on_pty 'j = Job("--", "python3", os.path.dirname(sys.argv[0]) + "/size.py", size=(33, 101))
check(b"33 101" in j.expect(b"up"), j.text)
j.resize(50, 132)
j.expect(b"50 132")
j.resize(10, 20)
j.expect(b"10 20")
j.send(b"\x03")
j.end()'
}

@test "terminal: the first program finds size and modes there, and keeps those it sets" {
	on_pty 'for n in range(40):
    j = Job("-q", "--", "stty", "size", size=(33, 101))
    check(j.end() == 0 and j.text == b"33 101\r\n", j.text)
for n in range(20):
    j = Job("-q", "--", "sh", "-c", "stty raw -echo; sleep 0.02; echo a; echo b")
    check(j.end() == 0 and j.text == b"a\nb\n", j.text)'
}

@test "terminal: a megabyte each way, byte for byte" {
	head -c 1M /dev/urandom >"$T/random"
	on_pty 'import hashlib
path = os.path.dirname(sys.argv[0]) + "/random"
data = open(path, "rb").read()
j = Job("-q", "--", "sh", "-c", f"stty raw -echo; echo up; cat {path}; sleep 0.2")
j.expect(b"up\n")
check(j.end() == 0, "code")
check(hashlib.sha256(j.text).digest() == hashlib.sha256(data).digest(), len(j.text))
j = Job("-q", "--", "sh", "-c", "stty raw -echo; echo up; head -c 1048576 | sha256sum; stty sane")
j.expect(b"up\n")
rest = data
os.set_blocking(j.fd, False)
while rest:
    select.select([], [j.fd], [])
    try:
        rest = rest[os.write(j.fd, rest[:4096]):]
    except BlockingIOError:
        pass
os.set_blocking(j.fd, True)
j.expect(hashlib.sha256(data).hexdigest().encode())
check(j.end() == 0, "code")'
}

@test "terminal: output that nobody reads stops nothing else, and arrives" {
	on_pty 'j = Job("-q", "--", "sh", "-c", "seq 200000; echo the end")
time.sleep(1)
j.expect(b"the end")
check(j.end() == 0, "code")'
}

@test "terminal: its modes are the caller's again after every kind of end" {
	on_pty 'for script, want in (("exit 3", 3), ("kill -9 $$", 137), ("stty raw -echo; exit 0", 0), ("kill -TERM $$", 143)):
    j = Job("--", "sh", "-c", script)
    code = j.end()
    check(code == want, (script, code))
    check(j.restored(), script)
j = Job("--", "no-such-command")
check(j.end() == 127 and j.restored(), "127")
j = Job("--base", "/nothing")
check(j.end() == 125 and j.restored(), "125")
for sig in (signal.SIGTERM, signal.SIGHUP):
    j = Job("--", "sh", "-c", "echo up; exec sleep 300")
    j.expect(b"up")
    os.kill(j.pid, sig)
    check(j.end() == 128 + sig and j.restored(), sig)'
}

@test "terminal: kennel is killed: the inside ends" {
	on_pty 'mark = f"86401.{os.getpid()}"
j = Job("--", "sh", "-c", f"echo up; sleep {mark}; sleep {mark}")
j.expect(b"up")
os.kill(j.pid, signal.SIGKILL)
os.waitpid(j.pid, 0)
wait_for(lambda: not running(mark), "still there")'
}

@test "terminal: the terminal goes away: the sandbox ends" {
	on_pty 'for script in ("exec sleep {m}", "trap : HUP; while :; do sleep {m}; done", "sleep {m} & cat"):
    mark = f"86402.{os.getpid()}"
    j = Job("--", "sh", "-c", "echo up; " + script.replace("{m}", mark))
    j.expect(b"up")
    os.close(j.fd)
    wait_for(lambda: os.waitpid(j.pid, os.WNOHANG)[0], "kennel goes on: " + script)
    wait_for(lambda: not running(mark), "the inside goes on: " + script)'
}

@test "terminal: --no-tty hands on the caller's, --tty makes one where there is none" {
	on_pty 'j = Job("-T", "--", "sh", "-c", "[ -t 0 ] && echo real; [ -e /dev/pts/0 ] || echo no pty")
check(j.end() == 0 and b"real\r\nno pty" in j.text, j.text)
check(b"gone" not in j.text and b"changed" not in j.text, j.text)'
	run_kennel run --net none --tty -- sh -c 'tty; stty size'
	is_status 0
	has /dev/pts/0 "$stdout"
	run_kennel run --net none -- tty
	is_status 1
	has "not a tty" "$stdout"
}

@test "terminal: stdout in a pipe, stdin a terminal" {
	on_pty 'r, w = os.pipe()
pid, fd = pty.fork()
if pid == 0:
    os.dup2(w, 1)
    os.execv(KENNEL, ["kennel", "run", "-q", "--net", "none", "--", "sh", "-c", "stty raw; echo one; echo two"])
os.close(w)
data = b""
while True:
    more = os.read(r, 65536)
    if not more:
        break
    data += more
check(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, "code")
check(data == b"one\ntwo\n", data)'
}

@test "terminal: characters put into its input queue do not reach the caller's shell" {
	on_pty 'j = Job("-q", "--", "python3", "-c", "import fcntl, termios\nfor c in b\"echo stolen\\n\":\n    try:\n        fcntl.ioctl(0, termios.TIOCSTI, bytes([c]))\n    except OSError as e:\n        print(e.errno); break")
check(j.end() == 0, "code")
j.read(0.2)
check(b"1\r\n" in j.text and b"stolen" not in j.text, j.text)'
}

@test "terminal: vim-like programs: alternate screen, cursor report" {
	on_pty 'j = Job("-q", "--", "sh", "-c", "stty raw -echo; printf \"\\033[?1049h\\033[6n\"; head -c 6 | od -An -tx1; printf \"\\033[?1049l\"; stty sane")
j.expect(b"\x1b[?1049h\x1b[6n")
j.send(b"\x1b[1;1R")
j.expect(b"1b 5b 31 3b 31 52")
check(j.end() == 0, "code")'
}

@test "terminal: in tmux, as a person does" {
	need_commands tmux
	local socket=$T/tmux
	tmux -S "$socket" -f /dev/null new-session -d -x 100 -y 30 "env -i PATH=$PATH TERM=screen HOME=$HOME XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR-} PS1=outer: sh"
	at_end tmux -S "$socket" kill-server
	tmux -S "$socket" send-keys "$KENNEL run --net none" Enter
	# what is typed before the prompt goes to a terminal that is about to change
	wait_for 10 screen_has "$socket" '#$'
	tmux -S "$socket" send-keys "echo in\$((1+1))side; tput cols" Enter
	wait_for 10 screen_has "$socket" in2side
	wait_for 10 screen_has "$socket" '^100'
	tmux -S "$socket" send-keys C-d
	wait_for 10 screen_has "$socket" 'no file was changed\|ommit?'
	! screen_has "$socket" 'ommit?' || tmux -S "$socket" send-keys Enter
	tmux -S "$socket" send-keys "echo echo=\$(stty -a | grep -c ' echo ')" Enter
	wait_for 10 screen_has "$socket" 'echo=1$'
}

screen_has() {
	tmux -S "$1" capture-pane -p | grep -q -- "$2"
}
