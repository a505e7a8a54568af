"""Programs written for libevent, built against libevent and against serval, asked the same."""
import contextlib
import http.client
import os
import pty
import re
import signal
import subprocess
import threading

import lib
from lib import DEADLINE, Skip, equal, test, write

EXAMPLES = os.path.join(os.environ.get("SERVAL_BUILD", "build/debug"), "docs/examples")


@contextlib.contextmanager
def program(name, *args):
    """The port of a running program, which says on its first line where it listens."""
    path = os.path.join(EXAMPLES, name)
    if not os.path.exists(path):
        raise Skip("no " + name)
    ours, theirs = pty.openpty()  # on a terminal it says so at once
    process = subprocess.Popen([path, *args], stdin=subprocess.DEVNULL, stdout=theirs,
                               stderr=subprocess.DEVNULL)
    os.close(theirs)
    reader = threading.Thread(target=read_all, args=(ours, said := []), daemon=True)
    reader.start()
    try:
        lib.eventually(lambda: re.search(r":(\d+)\D", "".join(said)), name + " listens")
        yield int(re.search(r":(\d+)\D", "".join(said))[1])
        process.send_signal(signal.SIGINT)
        equal(process.wait(DEADLINE), 0, "exit code")
    finally:
        process.kill()
        process.wait()
        reader.join()
        os.close(ours)


def read_all(fd, to):
    with contextlib.suppress(OSError):  # the program has ended
        while piece := os.read(fd, 65536):
            to.append(piece.decode("latin-1"))


def ask(port, path, method="GET", body=None, headers={}):
    """What must be the same: status, reason, and, but for errors, whose pages are the library's own, the
    body and the fields that the program sets."""
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    with contextlib.closing(c):
        c.putrequest(method, path, skip_host=True)
        c.putheader("Host", "example.com:81")
        for name, value in headers.items():
            c.putheader(name, value)
        if body is not None:
            c.putheader("Content-Length", str(len(body)))
        c.endheaders(body)
        r = c.getresponse()
        data = r.read()
        fields = [(n, v) for n, v in r.getheaders() if n == "Content-Type" or n.startswith("X-")]
        return (r.status, r.reason) + ((fields, r.will_close, data) if r.status < 400 else ())


def same(names, args, requests):
    with program(names[0], *args) as theirs, program(names[1], *args) as ours:
        for request in requests:
            equal(ask(ours, *request), ask(theirs, *request), repr(request)[:200])


@test
def our_example_answers_the_same(_):
    same(("evhttp_libevent", "evhttp"), ("0",), [
        ("/echo",), ("/echo?a=b&c=d%20e+f&g",), ("/echo%20x",), ("/ech%6f",), ("/nothing",), ("/",),
        ("/echo", "POST", b"hello"), ("/echo", "POST", b""), ("/echo", "PUT", bytes(range(256)) * 3000),
        ("/echo", "DELETE"), ("/echo", "HEAD"), ("/echo", "OPTIONS"), ("/echo", "PATCH"),
        ("/echo", "GET", None, {"X-One": "1", "X-Two": "two words"}),
        ("/count",), ("/later",), ("/large",), ("/echo", "GET", None, {"Connection": "close"}),
    ])


@test
def libevents_own_example_answers_the_same(folder):
    write(os.path.join(folder, "page.html"), "<p>page")
    write(os.path.join(folder, "large.txt"), os.urandom(3 << 20))
    os.mkdir(os.path.join(folder, "sub"))
    write(os.path.join(folder, "sub", "x.gif"), "GIF89a")
    same(("http_server_libevent", "http_server_serval"), ("-p", "0", folder), [
        ("/",), ("/page.html",), ("/large.txt",), ("/sub/",), ("/sub",), ("/sub/x.gif",), ("/none",),
        ("/../etc/passwd",), ("/dump", "POST", b"data"), ("/page.html", "POST", b"data"),
    ])


@test
def clients_that_leave_do_no_harm(_):
    import socket
    with program("evhttp", "0") as port:
        for path in ("count", "later", "large") * 20:
            with contextlib.closing(socket.create_connection(("127.0.0.1", port), DEADLINE)) as s:
                s.sendall(b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode())
                if path != "later":
                    s.recv(10)
                lib.reset(s)
        equal(ask(port, "/later")[0], 202)


lib.main(needs=())
