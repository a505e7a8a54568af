"""Starts servers, puts load on them and reads from /proc what it cost.

A server is a child process pinned to the first core this process may use, listening on 127.0.0.1
only, in a temporary folder of its own; the load generator has the second core. Everything is
bounded in time and is gone when the with-block ends.
"""

import contextlib
import ctypes
import json
import os
import pathlib
import pwd
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

BENCH = pathlib.Path(__file__).resolve().parent.parent
ROOT = BENCH.parent
CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, LOAD_CORE = CORES[0], CORES[1 % len(CORES)]
START_SECONDS = 10
LOAD_SECONDS = 60

build = ROOT / "build" / "release"  # --build changes it


class Missing(Exception):
    """A peer or a tool that is not here: reported and skipped."""


class Broken(Exception):
    """Something ran and did not do what it should."""


def relative(text):
    """As it is shown and kept: without the folders of this machine."""
    return str(text).replace(f"{ROOT}/", "").replace(str(ROOT), ".")


def program(name):
    """A program of ours, built by ./dev build."""
    for path in (build / "bench" / name, build / name):
        if path.is_file():
            return str(path)
    raise Missing(f"{name}: not built ({relative(build)})")


def tool(name):
    """A program of the system."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if not path:
        raise Missing(f"{name}: not installed")
    return path


def on_core(core):
    """For preexec_fn: stay on one core, and die with this process."""

    def setup():
        os.sched_setaffinity(0, {core})
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG

    return setup


def raise_limits():
    """10,000 connections need as many descriptors in the server and in the load generator."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    want = 20000
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(want, soft), max(want, hard)))
    except (ValueError, PermissionError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def said(command, **more):
    """What it prints. An exit code that is not 0 is no result."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **more)
    if done.returncode:
        raise Broken(f"{relative(' '.join(map(str, command)))}: {(done.stderr or done.stdout)[-500:].strip()}")
    return done.stdout


def lines_of(path):
    try:
        return pathlib.Path(path).read_text().splitlines()
    except OSError:  # the process or thread has just ended
        return []


# ---- the servers ------------------------------------------------------------------------------


def configured(peer, place):
    """Fills in bench/peers/<peer>/<peer>.conf."""
    text = (BENCH / "peers" / peer / f"{peer}.conf").read_text()
    for name, value in place.items():
        text = text.replace("{" + name + "}", str(value))
    path = pathlib.Path(place["temp"]) / f"{peer}.conf"
    path.write_text(text)
    return str(path)


def peer(name):
    """A peer that is built here, from bench/peers/, once per run."""
    if name not in peer.built:
        peer.built[name] = None
        out = ROOT / "build" / "bench" / "peers" / name
        out.parent.mkdir(parents=True, exist_ok=True)
        where, argv = BUILDS[name](name, out)
        done = subprocess.run([str(word) for word in argv], cwd=where, capture_output=True, text=True)
        if done.returncode:
            warn(f"  {name} cannot be built: {' '.join(done.stderr.split()[-25:])}")
        else:
            peer.built[name] = str(out)
    if not peer.built[name]:
        raise Missing(f"{name}: cannot be built")
    return peer.built[name]


peer.built = {}


def build_go(name, out):
    return BENCH / "peers" / "go", [tool("go"), "build", "-o", out, f"./{name}"]


def build_rust(name, out):
    target = ROOT / "build" / "bench" / "cargo"
    return BENCH / "peers" / name, ["sh", "-c", f"'{tool('cargo')}' build -q --release --locked "
                                    f"--target-dir '{target}' && cp '{target}/release/{name}' '{out}'"]


def build_c(name, out):
    """With the flags of the library that pkg-config knows by `package`."""
    package = {"evhttp": "libevent"}.get(name, name)
    flags = subprocess.run([tool("pkg-config"), "--cflags", "--libs", package], text=True,
                           capture_output=True)
    if flags.returncode:
        raise Missing(f"{name}: not installed ({package})")
    return BENCH / "peers" / name, [os.environ.get("CC", "cc"), "-O2", "-o", out, *(BENCH / "peers" / name).glob("*.c"),
                                    *flags.stdout.split()]


BUILDS = {"fasthttp": build_go, "nethttp": build_go, "hyper": build_rust,
          "libmicrohttpd": build_c, "evhttp": build_c, "libcurl": build_c}


# How each server is started. place["mode"] is what it is there for: "" (hello, or a folder),
# "files", "compress", "echo" or "routes".


def at(place):
    return ["--listen", f"127.0.0.1:{place['port']}"]


def floor(place):
    return [program("floor"), *at(place)]


def hello(place):
    return [program("hello"), *at(place), "--workers", "1"]


def echo(place):
    return [program("echo"), *at(place), "--workers", "1"]


def blocker(place):
    return [program("blocker"), f"127.0.0.1:{place['port']}"]


def routes(place):
    return [program("routes"), *at(place), "--workers", "1",
            "--routes", str(BENCH / "lib" / "routes.txt")]


def serval(place):
    compress = of_mode(place, {"compress": ["-z", "gzip"], "brotli": ["-z", "br"]})
    return [program("serval"), "-q", "--log", "off", "--workers", "1", *compress, *at(place),
            str(place["root"])]


def squeeze(place):
    return [program("squeeze"), *at(place), "--workers", "1", "--root", str(place["root"])]


def fastcgi(place):
    return [program("fastcgi"), *at(place), "--workers", "1", "--server", "unix:" + RESPONDER,
            "--keep", "0" if place["mode"] == "unkept" else "128"]


def nginx(place):
    return [tool("nginx"), "-c", configured("nginx", place), "-e", f"{place['temp']}/error.log"]


def nginx_static(place):
    """The same, asked for what has a .gz beside it."""
    return nginx(place)


def h2o(place):
    return [tool("h2o"), "-c", configured("h2o", place)]


def lighttpd(place):
    return [tool("lighttpd"), "-D", "-f", configured("lighttpd", place)]


def caddy(place):
    return [tool("caddy"), "run", "--adapter", "caddyfile", "--config", configured("caddy", place)]


def of_mode(place, modes):
    return [word for word in modes.get(place["mode"], [])]


def fasthttp(place):
    root = ["--root", str(place["root"])]
    return [peer("fasthttp"), *at(place),
            *of_mode(place, {"files": root, "compress": [*root, "--compress"]})]


def nethttp(place):
    return [peer("nethttp"), *at(place),
            *of_mode(place, {"files": ["--root", str(place["root"])],
                             "routes": ["--routes", str(BENCH / "lib" / "routes.txt")]})]


def hyper(place):
    return [peer("hyper"), *at(place)]


def libmicrohttpd(place):
    return [peer("libmicrohttpd"), *at(place)]


def adaptor(place):
    """The peer libmicrohttpd, on our library of that name."""
    library = ROOT / "build" / "release" / "microhttpd"
    if not (library / "libmicrohttpd.so.12").exists():
        raise Missing("adaptor: the drop-in is not built")
    return ["env", f"LD_LIBRARY_PATH={library}", peer("libmicrohttpd"), *at(place)]


def evhttp(place):
    return [peer("evhttp"), *at(place)]


SERVERS = {f.__name__: f for f in (floor, hello, echo, blocker, routes, serval, squeeze, fastcgi, nginx,
                                   nginx_static, h2o, lighttpd, caddy, fasthttp, nethttp, hyper, libmicrohttpd,
                                   adaptor, evhttp)}
OURS = ("floor", "hello", "echo", "blocker", "routes", "serval", "squeeze", "fastcgi", "adaptor")

# Where a server tells its version, and what of that is it.
VERSIONS = {
    "nginx": (["nginx", "-v"], r"nginx/[\d.]+"),
    "nginx_static": (["nginx", "-v"], r"nginx/[\d.]+"),
    "h2o": (["h2o", "-v"], r"\d+\.[\d.]+\S*"),
    "lighttpd": (["lighttpd", "-v"], r"lighttpd/[\d.]+"),
    "caddy": (["caddy", "version"], r"v?[\d.]+"),
    "fasthttp": (["cat", BENCH / "peers/go/go.mod"], r"fasthttp v([\d.]+)"),
    "nethttp": (["go", "version"], r"go[\d.]+"),
    "hyper": (["cat", BENCH / "peers/hyper/Cargo.lock"], r'name = "hyper"\nversion = "([\d.]+)'),
    "libmicrohttpd": (["pkg-config", "--modversion", "libmicrohttpd"], r".+"),
    "evhttp": (["pkg-config", "--modversion", "libevent"], r".+"),
    "libcurl": (["pkg-config", "--modversion", "libcurl"], r".+"),
}


def version_of(name):
    if name in OURS:
        commit = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"],
                                capture_output=True, text=True)
        return commit.stdout.strip() or "unknown"
    argv, pattern = VERSIONS[name]
    try:
        out = subprocess.run([tool(argv[0]), *argv[1:]], capture_output=True, text=True, timeout=10)
        found = re.search(pattern, out.stdout + out.stderr)
        return found[found.lastindex or 0].split("/")[-1] if found else "unknown"
    except Missing:
        return "unknown"


class Server:
    """with Server("nginx", folder) as s: ... s.port, s.cpu_ns(), s.memory()"""

    def __init__(self, name, root, mode="", prefix=(), env=None, binary=None):
        self.name = name
        self.mode = mode  # what it is there for, see SERVERS
        self.root = root
        self.prefix = list(prefix)  # a program that runs the server, such as strace
        self.env = env
        self.binary = binary  # instead of the usual one

    def __enter__(self):
        self.port = free_port()
        scratch = ROOT / "build" / "bench"
        scratch.mkdir(parents=True, exist_ok=True)
        self.temp = tempfile.mkdtemp(prefix=f"{self.name}-", dir=scratch)
        self.process = None
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        place = {
            "port": self.port,
            "mode": self.mode,
            "root": self.root,
            "temp": self.temp,
            "user": pwd.getpwuid(os.getuid()).pw_name,
            "files": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
            "responder": RESPONDER,
        }
        argv = SERVERS[self.name](place)
        if self.binary:
            argv[0] = str(self.binary)
        self.command = self.shown(argv)
        self.output = open(os.path.join(self.temp, "output"), "w+b")
        self.process = subprocess.Popen(
            self.prefix + argv, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=self.output,
            stderr=self.output, env={**os.environ, **self.env_of_peers(), **(self.env or {})},
            preexec_fn=on_core(SERVER_CORE), start_new_session=True)
        self.await_ready()

    def env_of_peers(self):
        """One thread for those in Go; nothing of theirs outside the temporary folder."""
        return {"GOMAXPROCS": "1", "HOME": self.temp, "XDG_DATA_HOME": self.temp,
                "XDG_CONFIG_HOME": self.temp}

    def shown(self, argv):
        """A command as it is kept: without this run's port and folders."""
        words = [os.path.basename(word) if word.startswith(("/usr/", "/bin/")) else word
                 for word in argv]
        text = " ".join(words).replace(self.temp, "TEMP").replace(str(self.root), "FOLDER")
        return relative(text).replace(f":{self.port}", ":PORT")

    def await_ready(self):
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise Broken(f"{self.name}: ended at the start:\n{self.said()}")
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise Broken(f"{self.name}: does not listen after {START_SECONDS} s:\n{self.said()}")

    def said(self):
        text = ""
        for name in ("output", "error.log"):
            text += "\n".join(lines_of(os.path.join(self.temp, name))[-5:])
        return text

    def pids(self):
        """The server and its children, without what only runs it."""
        if self.process.poll() is not None:
            raise Broken(f"{self.name}: gone:\n{self.said()}")
        todo, found = [self.process.pid], []
        while todo:
            pid = todo.pop()
            found.append(pid)
            for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
                todo += [int(child) for line in lines_of(task) for child in line.split()]
        return found[1:] if self.prefix else found

    def cpu_ns(self):
        """Time on a CPU so far, of every thread, to the nanosecond."""
        return sum(int(line.split()[0])
                   for pid in self.pids()
                   for task in pathlib.Path(f"/proc/{pid}/task").iterdir()
                   for line in lines_of(task / "schedstat"))

    def cpu_ticks(self):
        """(user, kernel) in clock ticks: coarse, for their proportion."""
        user = kernel = 0
        for pid in self.pids():
            for line in lines_of(f"/proc/{pid}/stat"):
                fields = line.rsplit(")", 1)[1].split()
                user, kernel = user + int(fields[11]), kernel + int(fields[12])
        return user, kernel

    def memory(self):
        """Bytes: rss, anonymous and file-backed parts of it, pss."""
        total = {"rss": 0, "anon": 0, "file": 0, "pss": 0}
        names = {"VmRSS:": "rss", "RssAnon:": "anon", "RssFile:": "file", "Pss:": "pss"}
        for pid in self.pids():
            for line in lines_of(f"/proc/{pid}/status") + lines_of(f"/proc/{pid}/smaps_rollup"):
                words = line.split()
                if words and words[0] in names:
                    total[names[words[0]]] += int(words[1]) * 1024
        return total

    def peak(self):
        """The most bytes it has been resident with."""
        return sum(int(line.split()[1]) * 1024 for pid in self.pids()
                   for line in lines_of(f"/proc/{pid}/status") if line.startswith("VmHWM:"))

    def stop(self):
        if self.process and self.process.poll() is None:
            for pid in self.pids()[:1]:
                os.kill(pid, signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                # The session began with this child, so the group holds nothing else.
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        if self.process:
            self.output.close()
        shutil.rmtree(self.temp, ignore_errors=True)


# ---- load -------------------------------------------------------------------------------------


def load_argv(server, options):
    argv = [program("load"), "--connect", f"127.0.0.1:{server.port}"]
    for name, value in options.items():
        argv.append("--" + name.replace("_", "-"))
        if value is not True:
            argv.append(str(value))
    return argv


def load(server, **options):
    """Runs the load generator to its end and returns what it printed, and the command."""
    options.setdefault("max_seconds", LOAD_SECONDS)
    argv = load_argv(server, options)
    done = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          timeout=options["max_seconds"] + 30, preexec_fn=on_core(LOAD_CORE))
    command = server.shown(argv)
    if done.returncode == 2 or not done.stdout:
        raise Broken(f"{command}: {done.stderr.strip()}")
    result = json.loads(done.stdout.splitlines()[-1])
    if not result["complete"]:
        raise Broken(f"{server.name}: not finished after {options['max_seconds']} s: {command}")
    if result["errors"]:
        raise Broken(f"{server.name}: {result['errors']} wrong answers: {command}\n{result}")
    return result, command


# Where the FastCGI server of bench/responder.c listens; a short path, as sockets need it.
RESPONDER = os.path.join(tempfile.gettempdir(), f"serval-responder-{os.getpid()}")


@contextlib.contextmanager
def responder():
    """The FastCGI server that several servers are asked to ask, on the load's core."""
    process = subprocess.Popen([program("responder"), RESPONDER], stdout=subprocess.PIPE,
                               preexec_fn=on_core(LOAD_CORE))
    try:
        process.stdout.readline()
        yield
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(RESPONDER)


class SlowReaders:
    """with SlowReaders(server, 200, "/10m"): so many clients have asked for it and take a few
    kilobytes a second each."""

    def __init__(self, server, count, path):
        self.server, self.count, self.path = server, count, path
        self.over = threading.Event()

    def __enter__(self):
        self.sockets = []
        request = f"GET {self.path} HTTP/1.1\r\nHost: 127.0.0.1:{self.server.port}\r\n\r\n"
        for _ in range(self.count):
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
            s.connect(("127.0.0.1", self.server.port))
            s.sendall(request.encode())
            s.setblocking(False)
            self.sockets.append(s)
        self.thread = threading.Thread(target=self.sip, daemon=True)
        self.thread.start()
        return self

    def sip(self):
        os.sched_setaffinity(0, {LOAD_CORE})  # of this thread
        while not self.over.wait(0.1):
            for s in self.sockets:
                try:
                    s.recv(2048)
                except BlockingIOError:
                    pass
                except OSError:
                    self.over.set()

    def __exit__(self, *_):
        lost = self.over.is_set()
        self.over.set()
        self.thread.join()
        for s in self.sockets:
            s.close()
        if lost:
            raise Broken(f"{self.server.name}: lost a slow reader")


class Unanswered:
    """with Unanswered(server, "/block"): a request that was not answered before the block ended,
    and is answered after it."""

    def __init__(self, server, path):
        self.server, self.path = server, path

    def __enter__(self):
        self.socket = socket.create_connection(("127.0.0.1", self.server.port), timeout=10)
        self.socket.sendall(f"GET {self.path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())

    def __exit__(self, kind, *_):
        with self.socket as s:
            if kind:
                return
            s.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                raise Broken(f"{self.path} was answered too early: {s.recv(100)}")
            s.settimeout(10)
            if not s.recv(100).startswith(b"HTTP/1.1 200 "):
                raise Broken(f"{self.path} was not answered")


class Holding:
    """with Holding(server, idle=10000) as h: the connections are open, one request was answered
    on each. h.result is there after the block."""

    def __init__(self, server, idle, seconds=60, **options):
        self.server, self.idle = server, idle
        self.argv = load_argv(server, {"connections": 0, "idle": idle, "hold": seconds, **options})
        self.command = server.shown(self.argv)

    def __enter__(self):
        self.process = subprocess.Popen(self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, preexec_fn=on_core(LOAD_CORE))
        line = self.process.stdout.readline()  # comes: load is bounded by --max-seconds
        if line.strip() != f"holding {self.idle}":
            self.process.kill()
            rest = self.process.communicate()[0]
            raise Broken(f"{self.server.name}: only '{line.strip()}' of {self.idle}: {rest}")
        return self

    def __exit__(self, kind, *_):
        out = self.process.communicate(timeout=90)[0]  # closes stdin, which ends the holding
        if kind is None:
            self.result = json.loads(out.splitlines()[-1])
            if self.result["idle"] != self.idle:
                raise Broken(f"{self.server.name}: lost {self.result['idle_lost']} connections")


def timed(server, **options):
    """One run of the load generator, with what it cost the server."""
    ticks, cpu = server.cpu_ticks(), server.cpu_ns()
    result, command = load(server, **options)
    cpu, after = server.cpu_ns() - cpu, server.cpu_ticks()
    user, kernel = after[0] - ticks[0], after[1] - ticks[1]
    return {
        "cpu_us": cpu / 1000 / result["requests"],
        "user_us": cpu / 1000 / result["requests"] * user / max(1, user + kernel),
        "rss": server.memory()["rss"],
        "load": result,
        "load_command": command,
        "server_command": server.command,
    }


# ---- the machine ------------------------------------------------------------------------------


def machine():
    model = [line.split(":", 1)[1].strip() for line in lines_of("/proc/cpuinfo")
             if line.startswith("model name")]
    memory = [int(line.split()[1]) for line in lines_of("/proc/meminfo") if "MemTotal" in line]
    system = [line.split("=", 1)[1].strip('"') for line in lines_of("/etc/os-release")
              if line.startswith("PRETTY_NAME=")]
    return {
        "cpu": model[0] if model else os.uname().machine,
        "cores": len(CORES),
        "memory_gib": round(memory[0] / 1024 / 1024, 1) if memory else 0,
        "kernel": f"{os.uname().sysname} {os.uname().release}",
        "system": system[0] if system else "",
        "virtual": any("hypervisor" in line for line in lines_of("/proc/cpuinfo")[:60]),
        "server_core": SERVER_CORE,
        "load_core": LOAD_CORE,
        "load_average": round(os.getloadavg()[0], 2),
    }


def warn(text):
    print(text, file=sys.stderr, flush=True)
