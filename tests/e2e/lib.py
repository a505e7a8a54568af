"""What the end-to-end tests share: starting the real program, asking it, and running the tests.

A test is a function under @test; its name is the sentence that it checks. It may raise Skip with a
reason. Waiting is always bounded (DEADLINE), but nothing is expected to be fast.
"""
import contextlib
import http.client
import os
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
BIN = os.environ.get("SERVAL_BIN") or os.path.join(SOURCE, "build/release/serval")
DEADLINE = 60  # seconds, for anything that should happen

with open(BIN, "rb") as program:
    text = program.read()
    TSAN = b"__tsan_init" in text
    SANITIZED = TSAN or b"__asan_init" in text  # memory and time are not the program's own

tests = []


class Skip(Exception):
    pass


def test(function):
    tests.append(function)
    return function


def built_in():
    """The modules that the program was built with."""
    return [line.split()[0] for line in run("--modules")[1].split("\n") if line]


def main(needs=("access_log", "fs")):
    """Runs all tests of the script, or those whose name contains one of the arguments."""
    failed, missing = 0, [name for name in needs if name not in built_in()]
    if missing:
        print("skip  all: built without " + ", ".join(missing))
        sys.exit(0)
    for function in tests:
        name = function.__name__.replace("_", " ")
        if sys.argv[1:] and not any(word in function.__name__ for word in sys.argv[1:]):
            continue
        signal.signal(signal.SIGALRM, too_long)
        signal.alarm(4 * DEADLINE)
        try:
            with tempfile.TemporaryDirectory(prefix="serval-e2e-") as folder:
                os.chmod(folder, 0o755)
                function(folder)
            print("ok    " + name, flush=True)
        except Skip as why:
            print("skip  %s: %s" % (name, why), flush=True)
        except Exception:
            failed += 1
            print("FAIL  " + name, flush=True)
            traceback.print_exc(file=sys.stdout)
        finally:
            signal.alarm(0)
    sys.exit(1 if failed else 0)


def too_long(*_):
    raise TimeoutError("the test does not end")


def equal(got, expected, what=""):
    assert got == expected, "%s: got %r, expected %r" % (what or "value", got, expected)


def matches(pattern, text):
    assert re.search(pattern, text), "%r does not match %r" % (text, pattern)


def eventually(condition, what):
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, "never: " + what
        time.sleep(0.01)


def write(path, data):
    if isinstance(data, str):
        data = data.encode()
    with open(path, "wb") as file:
        file.write(data)


def need_nobody():
    """For tests of permissions: root may do everything, so they run as nobody."""
    if os.geteuid() == 0:
        def become_nobody():
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        probe = subprocess.run([BIN, "--version"], preexec_fn=become_nobody, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
        if probe.returncode != 0:
            raise Skip("user nobody cannot run " + BIN)
        return become_nobody
    return None


def example_path(name):
    """A program of docs/examples."""
    folder = os.path.join(os.environ.get("SERVAL_BUILD", "build/debug"), "docs/examples")
    path = os.path.join(folder, name)
    if not os.path.exists(os.path.join(folder, "echo")):
        raise Skip("built without SVL_EXAMPLES")
    if not os.path.exists(path):
        with open(os.path.join(SOURCE, "docs/examples", name + ".c"), encoding="utf-8") as source:
            assert "example-needs:" in source.read(), name + " was not built"
        raise Skip("built without what %s needs" % name)
    return path


def example(name, *args):
    """The address of a running program of docs/examples."""
    return running([example_path(name), "127.0.0.1:0", *args])


@contextlib.contextmanager
def running(command):
    """The address that a program listens on, as it says. It must end by itself, and well, when it is
    asked to."""
    program = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield re.search(r"listen=(\S+)", program.stdout.readline())[1]
        program.send_signal(signal.SIGTERM)
        program.send_signal(signal.SIGTERM)  # streams that are open do not end by themselves
        equal(program.wait(DEADLINE), 0, "exit code of " + command[0])
    finally:
        program.kill()
        program.wait()
        program.stdout.close()


def run(*args, **more):
    """Runs the program to its end: (exit code, stdout, stderr)."""
    done = subprocess.run([BIN, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=DEADLINE, **more)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def refuses(code, pattern, *args, **more):
    """The program ends with `code`, says nothing on stdout and one line on stderr."""
    got, out, err = run(*args, **more)
    assert got == code, "%r: exit code %d, not %d: %s" % (args, got, code, err)
    equal(out, "", "stdout")
    assert err.count("\n") == 1 and err.endswith("\n"), "%r: not one line: %r" % (args, err)
    matches(pattern, err)


def nudge(process):
    """ThreadSanitizer keeps a signal back until the program's next call, and rarely misses that the
    program is about to wait. Stopping and continuing ends the waiting."""
    process.send_signal(signal.SIGSTOP)
    process.send_signal(signal.SIGCONT)


def wait_for(process):
    """The exit code of a program that was told to end."""
    end = time.monotonic() + DEADLINE
    while TSAN and process.poll() is None and time.monotonic() < end:
        time.sleep(0.2)
        nudge(process)
    return process.wait(timeout=DEADLINE)


class Serval:
    """The program, running. Serves `folder` on a free port of 127.0.0.1 unless told otherwise."""

    def __init__(self, folder, *args, listen=("127.0.0.1:0",), workers="2", wait=True, **more):
        command = [BIN]
        for address in listen:
            command += ["-l", address]
        command += ["--workers", workers, *args, folder]
        self.out, self.err, self.ready = "", "", {}
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, **more)
        self.pid = self.process.pid
        self.readers = [threading.Thread(target=self.read, args=(name,), daemon=True)
                        for name in ("out", "err")]
        for reader in self.readers:
            reader.start()
        if wait:
            self.wait_ready()

    def read(self, name):
        stream = getattr(self.process, "std" + name)
        for data in iter(lambda: stream.read1(65536), b""):
            setattr(self, name, getattr(self, name) + data.decode("utf-8", "replace"))

    def wait_ready(self):
        eventually(lambda: "\n" in self.out or self.process.poll() is not None, "a ready line")
        line = self.out.split("\n", 1)[0]
        assert line.startswith("event=ready "), "no ready line: %r %r" % (self.out, self.err)
        self.listen = re.findall(r" listen=(\S+)", line)
        self.ready = dict(re.findall(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)', line))
        self.port = None
        if self.listen and self.listen[0].startswith("http://"):
            self.port = int(self.listen[0].rsplit(":", 1)[1].strip("/"))

    def url(self, path="/"):
        return "http://127.0.0.1:%d%s" % (self.port, path)

    def connect(self):
        s = socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s

    def client(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)

    def get(self, path="/", method="GET", headers={}):
        """One request on a connection of its own: (status, headers, body)."""
        with contextlib.closing(self.client()) as c:
            c.request(method, path, headers=headers)
            r = c.getresponse()
            return r.status, r.headers, r.read()

    def raw(self, data, half_close=False):
        """Sends bytes, returns all that comes until the server closes."""
        with self.connect() as s:
            s.sendall(data)
            if half_close:
                s.shutdown(socket.SHUT_WR)
            return read_all(s)

    def kill(self, number):
        self.process.send_signal(number)
        if TSAN:
            time.sleep(0.1)
            nudge(self.process)

    def wait(self):
        code = wait_for(self.process)
        for reader in self.readers:
            reader.join(DEADLINE)
        return code

    def stop(self, number=signal.SIGTERM):
        """A clean end: exit code 0, and nothing that a sanitizer had to say."""
        self.kill(number)
        code = self.wait()
        assert code == 0, "exit code %d after a signal: %s" % (code, self.err)
        assert "Sanitizer" not in self.err and "runtime error" not in self.err, self.err

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        try:
            if self.process.poll() is None:
                if kind is None:
                    self.stop()
                else:
                    self.process.kill()
            elif kind is None:
                assert self.process.returncode == 0, "it died: %d %s" % (
                    self.process.returncode, self.err)
        finally:
            if kind is not None and self.err:
                print("      stderr: " + self.err.strip()[-3000:])
            if self.process.poll() is None:
                self.process.kill()
            self.wait()


def read_all(s):
    pieces = []
    while True:
        try:
            piece = s.recv(1 << 20)
        except ConnectionResetError:
            break
        if not piece:
            break
        pieces.append(piece)
    return b"".join(pieces)


class Answers:
    """Reads answers from a raw socket one by one; each is (status, headers, body)."""

    def __init__(self, s):
        self.file = s.makefile("rb")

    def next(self, head=False):
        line = self.file.readline()
        if not line:
            return None
        matches(r"^HTTP/1\.[01] \d\d\d .*\r\n$", line.decode("latin-1"))
        headers = {}
        for field in iter(self.file.readline, b"\r\n"):
            assert field.endswith(b"\r\n"), "cut short: %r" % field
            name, value = field.decode("latin-1").split(":", 1)
            headers[name.lower()] = value.strip()
        status = int(line.split()[1])
        body = b""
        if not head and status not in (204, 304) and "content-length" in headers:
            length = int(headers["content-length"])
            body = self.file.read(length)
            equal(len(body), length, "body length")
        return status, headers, body


def reset(s):
    """Closes a socket so that the peer sees a reset."""
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def curl(*args):
    """curl's stdout; it must succeed."""
    if not shutil.which("curl"):
        raise Skip("no curl")
    done = subprocess.run(["curl", "-sS", "--max-time", str(DEADLINE), *args],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=2 * DEADLINE)
    assert done.returncode == 0, "curl %r: %s" % (args, done.stderr.decode())
    return done.stdout


def on_terminal(args, until, then=None, env=None, columns=120, typed=()):
    """Runs the program on a pseudo-terminal until `until` was printed, calls then(text), stops it.
    `typed` are (prompt, answer), in order. Returns (exit code, all it printed)."""
    import fcntl
    import pty
    import termios
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    child = subprocess.Popen([BIN, *args], stdin=slave, stdout=slave, stderr=slave, env=env,
                             start_new_session=True,
                             preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
    os.close(slave)
    typed = list(typed)
    text = b""
    end = time.monotonic() + DEADLINE
    called = False
    try:
        while time.monotonic() < end:
            if called and TSAN:
                nudge(child)
            if select.select([master], [], [], 0.1)[0]:
                try:
                    piece = os.read(master, 65536)
                except OSError:  # everybody closed the other side
                    break
                if not piece:
                    break
                text += piece
            if typed and re.search(typed[0][0] + "$", text.decode("utf-8", "replace")):
                os.write(master, typed.pop(0)[1].encode())
            if not called and re.search(until, text.decode("utf-8", "replace")):
                called = True
                wanted = then(text.decode("utf-8", "replace")) if then else None
                if not wanted:
                    child.terminate()
                else:
                    until, then, called = wanted, None, False
        code = wait_for(child)
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()
        os.close(master)
    return code, text.decode("utf-8", "replace").replace("\r\n", "\n")
