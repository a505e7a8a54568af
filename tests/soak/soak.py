"""./dev soak MINUTES: normal, abusive and faulty clients at once. Three servers run: one for the whole time,
whose memory and descriptors are watched; one that is told to stop again and again while it is asked; one under
tests/faults, where calls are cut short, interrupted and put off. Every answer is compared byte by byte; a
connection that a stopping server has closed before its answer began is none. Fails if an answer was wrong, a
server ended badly or a sanitizer had something to say, or memory grew."""
import sys
sys.dont_write_bytecode = True
import os
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e"))
import lib
from lib import *

import random

BUILD = os.environ["SERVAL_BUILD"]
SERVER = BUILD + "/tests/soak_server"
ALPHABET = b"abcdefghijklmnopqrstuvwxyz" * 400000
SIZES = {"empty": 0, "one": 1, "small": 700, "copied": 16384, "page": 100000, "big": 3000000}
ENV = dict(os.environ, ASAN_OPTIONS=os.environ.get("ASAN_OPTIONS", "") +
           ":quarantine_size_mb=8:verify_asan_link_order=0")

lock = threading.Lock()
counts, wrong, worst = {}, [], {}
over = threading.Event()


def count(what, n=1):
    with lock:
        counts[what] = counts.get(what, 0) + n


def complain(what, error):
    with lock:
        wrong.append("%s: %s: %s" % (what, type(error).__name__, str(error)[:300]))


class Soaked(Serval):
    def __init__(self, folder, **more):
        self.out, self.err, self.ready = "", "", {}
        self.process = subprocess.Popen([SERVER, "127.0.0.1:0", folder], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)
        self.pid = self.process.pid
        self.readers = [threading.Thread(target=self.read, args=(name,), daemon=True)
                        for name in ("out", "err")]
        for reader in self.readers:
            reader.start()
        self.wait_ready()

    def memory(self):
        with open("/proc/%d/statm" % self.pid) as file:
            return int(file.read().split()[1]) * 4096

    def descriptors(self):
        return len(os.listdir("/proc/%d/fd" % self.pid))


# Normal clients ------------------------------------------------------------------------------------

def checksum(data):
    total = 0
    for byte in data:
        total = (total * 31 + byte) & (2**64 - 1)
    return total


def one_request(dice):
    """(method, target, fields, body, statuses allowed, the body expected or None)."""
    n = dice.choice((0, 1, 100, 16384, 16385, 70000, dice.randrange(2000000)))
    data = ALPHABET[n % 26:n % 26 + min(n, 1000000)]
    name, size = dice.choice(list(SIZES.items()))
    first = dice.randrange(3000000)
    last = min(first + dice.randrange(100000), 2999999)
    return dice.choice((
        ("GET", "/" + name, {}, None, (200,), ALPHABET[:size]),
        ("HEAD", "/" + name, {}, None, (200,), b""),
        ("GET", "/big", {"Range": "bytes=%d-%d" % (first, last)}, None, (206,), ALPHABET[first:last + 1]),
        ("GET", "/none", {}, None, (404,), None),
        ("POST", "/echo", {}, data, (200,), data),
        ("POST", "/sum", {}, data[:20000], (200,), b"%d %d\n" % (len(data[:20000]), checksum(data[:20000]))),
        ("GET", "/bytes?%d" % n, {}, None, (200,), ALPHABET[:n]),
        ("GET", "/pull?%d" % n, {}, None, (200,), ALPHABET[:n]),
        ("GET", "/push?%d" % n, {}, None, (200,), ALPHABET[:n]),
        ("GET", "/slept", {}, None, (200, 503), None),  # 503: the pool is busy with what is late
        ("GET", "/alarm", {}, None, (200,), b"rang\n"),
        # 200: on a busy machine both were through when somebody looked
        ("GET", "/late", {}, None, (503, 200), None) if dice.random() < 0.05 else
        ("GET", "/alarm", {}, None, (200,), b"rang\n"),
        ("POST", "/echo", {}, ALPHABET[:1048577], (413,), None),
    ))


def ask(client, dice):
    method, target, fields, body, statuses, expected = one_request(dice)
    chunked = body is not None and dice.random() < 0.3
    pieces = (body[i:i + 30000] for i in range(0, len(body), 30000)) if chunked else body
    begin = time.monotonic()
    early = None
    try:
        client.request(method, target, body=pieces, headers=fields, encode_chunked=chunked)
    except (BrokenPipeError, ConnectionResetError) as error:  # refused while it was sent
        early = error
    try:
        answer = client.getresponse()
    except http.client.RemoteDisconnected:
        raise early or ConnectionResetError("closed before the answer")
    got = answer.read()
    took = time.monotonic() - begin
    assert answer.status in statuses, "%s %s: %d" % (method, target, answer.status)
    if expected is not None and got != expected:
        at = next((i for i, (a, b) in enumerate(zip(got, expected)) if a != b), min(len(got), len(expected)))
        raise AssertionError("%s %s: %d bytes for %d, different at %d" % (
            method, target, len(got), len(expected), at))
    return took, "%s %s" % (method, target)


def normal(get_server, name, seed, may_end):
    """Asks over kept connections. Where the server may end, so may they, but only between answers."""
    dice = random.Random(seed)
    client = None
    while not over.is_set():
        try:
            server = get_server()
            client = server.client() if client is None or client.port != server.port else client
            took = ask(client, dice)  # seconds, and what
            count(name + " answers checked")
            with lock:
                worst[name] = max(worst.get(name, (0, "")), took)
        except (ConnectionError, http.client.CannotSendRequest) as error:
            # idle_ms has passed, a body was refused, or the server has ended
            count(name + " connections that had ended")
            client = None
            if not may_end and isinstance(error, ConnectionRefusedError):
                complain(name, error)
        except Exception as error:
            client = None
            if may_end and isinstance(error, http.client.IncompleteRead):
                count(name + " answers cut off by the end of the grace")
            else:
                complain(name, error)
        if dice.random() < 0.02:
            client = None


# Abusive clients -----------------------------------------------------------------------------------

GET = b"GET /small HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"


def abuse(get_server, seed):
    dice = random.Random(seed)
    held = []
    while not over.is_set():
        try:
            c = get_server().connect()
            c.settimeout(5)
            kind = dice.randrange(10)
            if kind == 0:
                c.sendall(GET[:dice.randrange(len(GET))])
            elif kind == 1:
                c.sendall(GET.replace(b"small", b"big") * dice.randrange(1, 4))
            elif kind == 2:
                c.setblocking(False)
                c.send(GET * 2000)
            elif kind == 3:
                c.sendall(bytes(dice.randrange(256) for _ in range(dice.randrange(1, 2000))))
            elif kind == 4:
                c.sendall(POST + b"a" * dice.randrange(1000))
            elif kind == 5:
                c.sendall(GET * dice.randrange(50))
                c.shutdown(socket.SHUT_WR)
            elif kind == 6:
                c.sendall(b"GET /push?5000000 HTTP/1.1\r\nHost: x\r\n\r\n")
            elif kind == 7:
                c.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel")
            elif kind == 8:
                c.sendall(b"GET /late HTTP/1.1\r\nHost: x\r\n\r\n")
            else:
                for byte in GET[:5]:
                    c.sendall(bytes([byte]))
            count("abuses")
            held.append(c)
        except OSError:
            count("abuses that were cut short")
        if len(held) > 100 or (held and dice.random() < 0.2):
            c = held.pop(dice.randrange(len(held)))
            reset(c) if dice.random() < 0.5 else c.close()
        for c in held[:3]:
            try:
                c.send(b"a")
            except OSError:
                pass
        time.sleep(0.01)
    for c in held:
        c.close()


# The servers ---------------------------------------------------------------------------------------

def ended_well(server, what):
    try:
        server.kill(signal.SIGTERM)
        code = server.wait()
        assert code == 0, "exit code %d: %s" % (code, server.err[-3000:])
        assert "Sanitizer" not in server.err and "runtime error" not in server.err, server.err[-3000:]
    except Exception as error:
        complain(what, error)


def main():
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 10
    with tempfile.TemporaryDirectory(prefix="serval-soak-") as folder:
        for name, size in SIZES.items():
            write("%s/%s" % (folder, name), ALPHABET[:size])
        steady = Soaked(folder, env=ENV)
        faulty = Soaked(folder, env=dict(ENV, FAULTS="short=3 eintr=7 eagain=5 abort=9",
                                         LD_PRELOAD=BUILD + "/tests/libserval_faults.so"))
        stopping = [Soaked(folder, env=ENV)]
        threads = [threading.Thread(target=normal, args=(lambda: steady, "steady", seed, False))
                   for seed in range(3)]
        threads += [threading.Thread(target=normal, args=(lambda: faulty, "faulty", 100 + seed, False))
                    for seed in range(2)]
        threads += [threading.Thread(target=normal, args=(lambda: stopping[0], "stopping", 200 + seed, True))
                    for seed in range(2)]
        threads += [threading.Thread(target=abuse, args=(lambda: steady, 300)),
                    threading.Thread(target=abuse, args=(lambda: faulty, 301))]
        begin = time.monotonic()
        samples = []
        for thread in threads:
            thread.start()
        while time.monotonic() - begin < 60 * minutes and not wrong:
            time.sleep(4)
            samples.append((time.monotonic() - begin, steady.memory(), steady.descriptors()))
            old = stopping[0]
            stopping[0] = Soaked(folder, env=ENV)
            ended_well(old, "stopping")
            count("drains")
        over.set()
        for thread in threads:
            thread.join()
        eventually(lambda: steady.descriptors() < 40, "descriptors given back")
        report(minutes, samples, steady.descriptors())
        for name, server in (("steady", steady), ("faulty", faulty), ("stopping", stopping[0])):
            ended_well(server, name)
    for line in wrong[:20]:
        print("WRONG " + line)
    sys.exit(1 if wrong else 0)


def middle(values):
    return sorted(values)[len(values) // 2]


def report(minutes, samples, left):
    half = samples[len(samples) // 4:len(samples) // 2] or samples
    last = samples[-(len(samples) // 4):] or samples
    before, after = middle([m for _, m, _ in half]), middle([m for _, m, _ in last])
    for what in sorted(counts):
        print("%9d  %s" % (counts[what], what))
    for name in sorted(worst):
        print("%9.0f  ms: the worst answer of %s, to %s" % (1000 * worst[name][0], name, worst[name][1]))
    print("%9d  descriptors at most, %d in the end" % (max(d for _, _, d in samples), left))
    print("%9.1f  MiB resident in the second quarter, %.1f in the last (medians)" % (before / 2**20, after / 2**20))
    if minutes >= 2 and after > before * 1.1 + 4 * 2**20:
        complain("memory", AssertionError("it grew"))


main()
