#!/usr/bin/env python3
"""The drop-in for libmicrohttpd beside the real library: the same program on both, the same requests, the
same answers. Programs are those of the library's own manual, compiled as they stand, and what of
Debian's is installed (or unpacked under $SERVAL_DEBIAN). Fields that may differ are in MAY_DIFFER.
"""
import glob
import gzip
import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lib import SANITIZED, TSAN, DEADLINE, Skip, equal, eventually, main, test, write  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get("SERVAL_BUILD") or os.path.join(TOP, "build/release")
OURS = os.path.join(BUILD, "microhttpd")
DEBIAN = os.environ.get("SERVAL_DEBIAN", "")  # where packages were unpacked; "" = installed
MANUAL = "/usr/share/info/libmicrohttpd-tutorial.info.gz"

# What an answer may differ in (docs/adaptor.md says why): when it was made, the end of a connection, and that
# footers are announced.
MAY_DIFFER = {"date", "connection", "keep-alive", "trailer"}

# Programs have their ports in them: what they bind is free ports instead, told on stderr.
SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
int bind(int fd, const struct sockaddr *address, socklen_t len)
{
    static int (*real)(int, const struct sockaddr *, socklen_t);
    struct sockaddr_in6 copy, got;
    socklen_t n = sizeof got;
    int result;

    real = (int (*)(int, const struct sockaddr *, socklen_t))dlsym(RTLD_NEXT, "bind");
    if (address->sa_family != AF_INET && address->sa_family != AF_INET6)
        return real(fd, address, len);
    __builtin_memcpy(&copy, address, len < sizeof copy ? len : sizeof copy);
    copy.sin6_port = 0;
    result = real(fd, (struct sockaddr *)&copy, len);
    if (result == 0 && getsockname(fd, (struct sockaddr *)&got, &n) == 0)
        dprintf(2, "bound %d\n", ntohs(got.sin6_port));
    return result;
}
"""


def find(name):
    if SANITIZED:
        raise Skip("programs that we have not built run on what is released")
    for place in ("/usr/bin", "/usr/sbin", "/lib/systemd", "/usr/lib/systemd"):
        if os.path.exists(DEBIAN + os.path.join(place, name)):
            return DEBIAN + os.path.join(place, name)
    raise Skip(name + " is not installed")


def real_library():
    for path in glob.glob("/usr/lib/*/libmicrohttpd.so.12") + glob.glob("/usr/lib/libmicrohttpd.so.12"):
        return os.path.dirname(path)
    raise Skip("libmicrohttpd is not installed")


def compile_c(source, to, *more):
    if not shutil.which("cc"):
        raise Skip("no compiler")
    subprocess.run(["cc", "-w", "-o", to, source, *more], check=True, timeout=DEADLINE)


class Program:
    """A program on one of the two libraries. Its stdin stays open: most of them end with it."""

    def __init__(self, folder, library, command, name="out"):
        shim = os.path.join(folder, "shim.so")
        if not os.path.exists(shim):
            write(shim + ".c", SHIM)
            compile_c(shim + ".c", shim, "-shared", "-fPIC", "-ldl")
        preload = [shim]
        if library == OURS and SANITIZED:
            runtime = subprocess.run(["cc", "-print-file-name=libasan.so"], stdout=subprocess.PIPE,
                                     check=True).stdout.decode().strip()
            preload.insert(0, os.path.realpath(runtime))
        paths = [library] + [DEBIAN + p for p in (
            "/usr/lib/x86_64-linux-gnu", "/lib/systemd", "/usr/lib/systemd",
            "/usr/lib/x86_64-linux-gnu/systemd") if DEBIAN]
        env = dict(os.environ, LD_PRELOAD=" ".join(preload), LD_LIBRARY_PATH=":".join(paths),
                   ASAN_OPTIONS="detect_leaks=0:verify_asan_link_order=0")
        self.cwd = os.path.join(folder, "ours" if library == OURS else "real")
        os.makedirs(self.cwd, exist_ok=True)
        self.log = os.path.join(self.cwd, name + ".log")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, cwd=self.cwd, env=env, stdin=subprocess.PIPE,
                                            stdout=log, stderr=log)
        try:
            eventually(lambda: self.ports() and self.answers(), "listening: " + " ".join(command))
        except BaseException:
            self.close()
            raise

    def ports(self):
        assert self.process.poll() is None, self.text()
        return [int(p) for p in re.findall(r"^bound (\d+)$", self.text(), re.M)]

    def text(self):
        with open(self.log, errors="replace") as log:
            return log.read()

    def answers(self):
        for host, port in self.places():
            try:
                socket.create_connection((host, port), timeout=5).close()
                self.place = (host, port)
                return True
            except OSError:
                pass
        return False

    def places(self):
        return [(host, port) for port in self.ports() for host in ("127.0.0.1", "::1")]

    def loads_drop_in(self):
        with open("/proc/%d/maps" % self.process.pid) as maps:
            return "libserval-microhttpd" in maps.read()

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.stdin.close()
        self.process.wait()


def ask(place, method, path, fields=None, body=None, connection=None):
    own = connection or http.client.HTTPConnection(*place, timeout=DEADLINE)
    try:
        own.request(method, path, body=body, headers=fields or {})
        answer = own.getresponse()
        data = answer.read()
    except (ConnectionResetError, BrokenPipeError):  # a close, before or after all of the body is there
        return ("closed",)
    except http.client.IncompleteRead:
        return ("short", answer.status)
    finally:
        if not connection:
            own.close()
    kept = sorted((name.lower(), value) for name, value in answer.getheaders()
                  if name.lower() not in MAY_DIFFER)
    return answer.status, answer.reason, kept, data


def ask_of(program, library, request):
    try:
        return ask(program.place, *request)
    except OSError as why:
        raise AssertionError("%r of %s in %s: %s" % (request[:2], program.process.args, library, why))


def same(folder, command, requests, mask=lambda answer: answer):
    """Runs the command on both libraries and asks each the same."""
    answers = []
    for library in (real_library(), OURS):
        program = Program(folder, library, command)
        try:
            equal(program.loads_drop_in(), library == OURS, "the drop-in is loaded")
            answers.append([mask(ask_of(program, library, request)) for request in requests])
            assert program.process.poll() is None, program.text()
        finally:
            program.close()
        assert "AddressSanitizer" not in program.text(), program.text()
    for request, theirs, ours in zip(requests, *answers):
        equal(ours, theirs, repr(request))
    return answers[1]


# The programs of the manual -----------------------------------------------------------------------

def manual(name):
    if not os.path.exists(MANUAL):
        raise Skip("libmicrohttpd-dev is not installed")
    with gzip.open(MANUAL, "rt", errors="replace") as info:
        text = info.read()
    node = re.search(r"Node: " + re.escape(name) + r",  Next.*?\n\n[^\n]*\n=+\n(.*?)\n\x1f", text, re.S)
    return re.sub(r"^     ", "", node.group(1), flags=re.M)


def build_manual(folder, name):
    source = os.path.join(folder, name)
    write(source, manual(name))
    compile_c(source, source[:-2], "-lmicrohttpd")
    return [source[:-2]]


PLAIN = [("GET", "/"), ("GET", "/any?a=b"), ("HEAD", "/"), ("POST", "/", {}, b"a=1"), ("BREW", "/"),
         ("DELETE", "/x"), ("OPTIONS", "*")]
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
LETTERS = ("multipart/form-data; boundary=XYZ",
           b'--XYZ\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n--XYZ--\r\n')


def part(name, value, filename=b""):
    extra = b'; filename="%s"\r\nContent-Type: text/plain' % filename if filename else b""
    return ({"Content-Type": LETTERS[0]}, LETTERS[1] % (name, extra, value))


@test
def hellobrowser_answers_alike(folder):
    same(folder, build_manual(folder, "hellobrowser.c"), PLAIN)


@test
def logging_answers_and_prints_alike(folder):
    same(folder, build_manual(folder, "logging.c"), PLAIN)
    texts = []
    for side in ("real", "ours"):
        with open(os.path.join(folder, side, "out.log")) as log:
            texts.append([line for line in log if not line.startswith("bound ")])
    equal(texts[1], texts[0], "what it prints")


@test
def responseheaders_serves_its_picture_alike(folder):
    command = build_manual(folder, "responseheaders.c")
    for side in ("real", "ours"):
        os.makedirs(os.path.join(folder, side))
        write(os.path.join(folder, side, "picture.png"), bytes(range(256)) * 1000)
    answers = same(folder, command, PLAIN)
    equal(len(answers[0][3]), 256000)


@test
def basicauthentication_answers_alike(folder):
    right = {"Authorization": "Basic cm9vdDpwYSRzdzByZA=="}  # root:pa$sw0rd
    same(folder, build_manual(folder, "basicauthentication.c"),
         PLAIN + [("GET", "/", right), ("GET", "/", {"Authorization": "Basic eDp5"}),
                  ("GET", "/", {"Authorization": "Basic"}), ("GET", "/", {"Authorization": "Bearer x"})])


@test
def simplepost_reads_forms_alike(folder):
    same(folder, build_manual(folder, "simplepost.c"), [
        ("GET", "/"), ("POST", "/namepost", *part(b"name", b"Wilma")),
        ("POST", "/namepost", FORM, b"name=Fred"), ("POST", "/namepost", FORM, b"name=a+b%20c"),
        ("POST", "/namepost", FORM, b""), ("POST", "/namepost", FORM, b"name=" + b"x" * 30),
        ("POST", "/namepost", *part(b"other", b"x"))])


@test
def largepost_takes_files_alike(folder):
    data = b"0123456789" * 50000
    same(folder, build_manual(folder, "largepost.c"), [
        ("GET", "/"), ("POST", "/filepost", *part(b"file", data, b"upload.txt")),
        ("POST", "/filepost", *part(b"file", b"again", b"upload.txt")),
        ("POST", "/filepost", *part(b"file", b"", b"empty.txt")), ("POST", "/filepost", FORM, b"a=b")])
    for side in ("real", "ours"):
        with open(os.path.join(folder, side, "upload.txt"), "rb") as file:
            assert file.read() == data, side


@test
def sessions_are_kept_alike(folder):
    def mask(answer):  # sessions have random names
        return re.sub(rb"session=[0-9A-F]+", b"session=*", repr(answer).encode())
    same(folder, build_manual(folder, "sessions.c") + ["8888"], [
        ("GET", "/"), ("GET", "/", {"Cookie": "session=ABC; other=1"}), ("GET", "/2"), ("GET", "/S"),
        ("GET", "/F"), ("GET", "/none"), ("POST", "/2", dict(FORM, Cookie="session=ABC"), b"v1=x&DONE=1"),
        ("GET", "/F", {"Cookie": "session=ABC"}), ("HEAD", "/"), ("BREW", "/")], mask)


# A program that uses as much of the library as it can ------------------------------------------------

@test
def a_program_that_uses_nearly_all_answers_alike_in_every_mode(folder):
    program = os.path.join(folder, "all")
    compile_c(os.path.join(HERE, "adaptor_program.c"), program, "-lmicrohttpd", "-lpthread")
    requests = [
        ("GET", "/buffer"), ("GET", "/copy"), ("GET", "/file"), ("GET", "/pipe"), ("GET", "/vector"),
        ("GET", "/reader"), ("GET", "/endless"), ("GET", "/chunked"), ("GET", "/empty"),
        ("GET", "/status/204"), ("GET", "/status/304"), ("GET", "/status/404"), ("GET", "/status/599"),
        ("HEAD", "/buffer"), ("HEAD", "/reader"), ("HEAD", "/file"), ("GET", "/no"),
        ("GET", "/values?a=1&b=%20+x&c&d=&=e&%66=g&a=2", {"Cookie": "n=v; m=\"w x\"", "X-One": "1"}),
        ("GET", "/values/%41%2fb/../c//d?q"), ("POST", "/echo", {}, b"x" * 100000),
        ("PUT", "/echo", {}, b""), ("POST", "/echo", {"Expect": "100-continue"}, b"short"),
        ("POST", "/form", FORM, b"a=1&b=x%20y+z&c=&d&e=" + b"v" * 3000),
        ("POST", "/form", *part(b"name", b"value")),
        ("POST", "/form", *part(b"file", b"content" * 1000, b"f.txt")),
        ("GET", "/basic"), ("GET", "/basic", {"Authorization": "Basic dTpw"}), ("GET", "/error")]
    for mode in ("internal", "epoll", "pool", "threads", "select", "wait"):
        same(folder, [program, mode], requests)


@test
def suspended_requests_are_resumed_in_every_mode(folder):
    """On ours alone: the real library sometimes sleeps through a resume (seen with threads), or for a second."""
    program = os.path.join(folder, "all")
    compile_c(os.path.join(HERE, "adaptor_program.c"), program, "-lmicrohttpd", "-lpthread")
    for mode in ("internal", "epoll", "pool", "threads", "select", "wait"):
        running = Program(folder, OURS, [program, mode])
        try:
            for _ in range(3):
                equal(ask_of(running, OURS, ("GET", "/suspend"))[::3], (200, b"resumed twice"), mode)
        finally:
            running.close()


@test
def digest_authentication_lets_curl_in_alike(folder):
    if not shutil.which("curl"):
        raise Skip("no curl")
    program = os.path.join(folder, "all")
    compile_c(os.path.join(HERE, "adaptor_program.c"), program, "-lmicrohttpd", "-lpthread")
    for library in (real_library(), OURS):
        running = Program(folder, library, [program, "internal"])
        try:
            for algorithm in ("md5", "sha256"):
                for user, status in (("u:p", b"200"), ("u:wrong", b"401")):
                    got = subprocess.run(
                        ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--digest", "-u", user,
                         "http://127.0.0.1:%d/%s?a=b" % (running.place[1], algorithm)],
                        stdout=subprocess.PIPE, timeout=DEADLINE).stdout
                    equal(got, status, "%s %s %s" % (library, algorithm, user))
        finally:
            running.close()


@test
def an_upgraded_connection_is_the_programs(folder):
    program = os.path.join(folder, "all")
    compile_c(os.path.join(HERE, "adaptor_program.c"), program, "-lmicrohttpd", "-lpthread")
    for library in (real_library(), OURS):
        for mode in ("internal", "threads", "select"):
            running = Program(folder, library, [program, mode])
            try:
                with socket.create_connection(running.place, timeout=DEADLINE) as s:
                    s.sendall(b"GET /upgrade HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
                              b"Upgrade: echo\r\n\r\n")
                    got = b""
                    while b"\r\n\r\n" not in got:
                        got += s.recv(1000)
                    assert got.startswith(b"HTTP/1.1 101 Switching Protocols\r\n"), got
                    s.sendall(b"hello")
                    got = b""
                    while len(got) < 5:
                        got += s.recv(1000)
                    equal(got, b"HELLO")
            finally:
                running.close()


# Debian's programs -----------------------------------------------------------------------------------

def journal(folder):
    entries = b"".join(
        b"__REALTIME_TIMESTAMP=%d\n__MONOTONIC_TIMESTAMP=%d\n_BOOT_ID=%s\n_MACHINE_ID=%s\n"
        b"_HOSTNAME=test\nPRIORITY=6\nMESSAGE=line %d\nSYSLOG_IDENTIFIER=%s\n\n"
        % (1700000000000000 + i, 1000 + i, b"a" * 32, b"b" * 32, i, b"one" if i % 2 else b"two")
        for i in range(200))
    where = os.path.join(folder, "journal")
    os.makedirs(where)
    env = dict(os.environ, LD_LIBRARY_PATH=":".join(
        DEBIAN + p for p in ("/lib/systemd", "/usr/lib/x86_64-linux-gnu/systemd",
                             "/usr/lib/x86_64-linux-gnu")))
    subprocess.run([find("systemd-journal-remote"), "-o", where + "/test.journal", "-"], input=entries,
                   env=env, check=True, timeout=DEADLINE, stderr=subprocess.PIPE)
    return where


@test
def systemd_journal_gatewayd_answers_alike(folder):
    gateway = find("systemd-journal-gatewayd")
    where = journal(folder)

    def mask(answer):  # the fields of an entry come in the order of a random hash
        lines = sorted(b"".join(sorted(re.split(rb'[,{}]', line))) for line in answer[-1].split(b"\n"))
        return answer[:-1] + (re.sub(rb'"usage" : "\d+"', b"", b"\n".join(lines)),)
    answers = same(folder, [gateway, "-D", where], [
        ("GET", "/entries"), ("GET", "/entries", {"Accept": "application/json"}),
        ("GET", "/entries?SYSLOG_IDENTIFIER=one", {"Accept": "application/json"}),
        ("GET", "/entries", {"Accept": "text/event-stream", "Range": "entries=:5:10"}),
        ("GET", "/entries", {"Accept": "application/vnd.fdo.journal"}),
        ("GET", "/fields/SYSLOG_IDENTIFIER"), ("GET", "/"), ("GET", "/browse"), ("GET", "/machine"),
        ("HEAD", "/entries"), ("POST", "/entries", {}, b"x"), ("GET", "/none"),
        ("GET", "/entries?boot&%zz")], mask)
    equal(answers[2][3].count(b"\n"), 100, "lines")


@test
def systemd_journal_remote_takes_uploads_alike(folder):
    remote = find("systemd-journal-remote")
    upload = b"__REALTIME_TIMESTAMP=1700000000000000\n__MONOTONIC_TIMESTAMP=1\n_BOOT_ID=%s\nMESSAGE=hi\n\n" % (
        b"a" * 32) * 500
    for side in ("real", "ours"):
        os.makedirs(os.path.join(folder, side, "out"))
    export = {"Content-Type": "application/vnd.fdo.journal"}
    same(folder, [remote, "--listen-http=127.0.0.1:19532", "--split-mode=none", "-o", "out/x.journal"], [
        ("POST", "/upload", export, upload), ("POST", "/upload", {"Content-Type": "text/plain"}, b"x"),
        ("GET", "/upload"), ("POST", "/none", export, b""), ("POST", "/upload", export, b"garbage\n\n")])


@test
def debuginfod_answers_alike(folder):
    server = find("debuginfod")
    files = os.path.join(folder, "files")
    os.makedirs(files)
    write(os.path.join(folder, "x.c"), "int main(void) { return 0; }\n")
    compile_c(os.path.join(folder, "x.c"), os.path.join(files, "x"), "-g", "-Wl,--build-id=0x0123456789abcdef")

    def mask(answer):
        if len(answer) < 4:
            return answer
        fields = [(n, v) for n, v in answer[2] if n not in ("last-modified", "content-length")]
        return answer[0], answer[1], fields, b"" if b"# HELP" in answer[3] else answer[3]
    requests = [("GET", "/buildid/0123456789abcdef/" + what) for what in (
        "executable", "debuginfo", "source" + os.path.join(folder, "x.c"))]
    requests += [("GET", "/buildid/ff/debuginfo"), ("GET", "/"), ("GET", "/none"), ("POST", "/", {}, b"x")]
    answers = []
    for library in (real_library(), OURS):
        program = Program(folder, library, [server, "-d", ":memory:", "-F", files, "-p", "8002", "-t", "1"])
        try:
            eventually(lambda: ask(program.place, "GET", requests[0][1])[0] == 200, "scanned")
            answers.append([mask(ask(program.place, *r)) for r in requests])
        finally:
            program.close()
    for request, theirs, ours in zip(requests, *answers):
        equal(ours, theirs, repr(request))


@test
def kiwix_serve_answers_alike(folder):
    server = find("kiwix-serve")
    library = os.path.join(folder, "library.xml")
    write(library, '<?xml version="1.0" encoding="UTF-8" ?>\n<library version="20110515"></library>\n')

    def mask(answer):  # it names its own start, and itself, at random
        text = re.sub(rb"[0-9a-f]{8}-[0-9a-f-]{27}|\d{4}-\d\d-\d\dT[0-9:]+Z|cacheid=[0-9a-f]+", b"*",
                      repr(answer).encode())
        return re.sub(rb"\('etag', '[^']*'\)", b"etag", text)
    same(folder, [server, "--library", "-p", "8080", library], [
        ("GET", "/"), ("GET", "/", {"Accept-Encoding": "gzip"}), ("GET", "/catalog/v2/root.xml"),
        ("GET", "/catalog/search?q=x"), ("GET", "/skin/index.css"), ("GET", "/none"),
        ("GET", "/search?pattern=x&content=y"), ("HEAD", "/"), ("GET", "/random?content=x"),
        ("POST", "/", {}, b"x"), ("GET", "/skin/index.css", {"Range": "bytes=0-99"})], mask)


# ulfius's examples: a framework above the library, with Debian's libulfius ------------------------------

ULFIUS = "/usr/share/doc/libulfius-dev/examples/ulfius"


def build_ulfius(folder, source, *callbacks):
    if SANITIZED:
        raise Skip("libraries that we have not built run on what is released")
    if not os.path.exists(DEBIAN + ULFIUS):
        raise Skip("libulfius-dev is not installed")
    programs, shared = (DEBIAN + ULFIUS + d for d in ("/example_programs", "/example_callbacks"))
    to = os.path.join(folder, "example")
    used = [os.path.join(shared, name, name + "_callback.c") for name in callbacks]
    compile_c(os.path.join(programs, source), to, *used, "-I" + programs + "/include",
              *("-I" + os.path.dirname(c) for c in used),
              "-lulfius", "-lorcania", "-lyder", "-ljansson", "-lgnutls", "-lz")
    return [to]


@test
def ulfius_rest_example_answers_alike(folder):
    requests = [("GET", "/test"), ("GET", "/test/empty"), ("GET", "/test/multiple/a/b/c"), ("GET", "/none"),
                ("HEAD", "/test"), ("OPTIONS", "/test"), ("BREW", "/test"), ("GET", "/test/param/a%2fb?x=1&y")]
    requests += [(method, "/test/param/foo?q=a+b&q=c", dict(FORM, Cookie="n=v; m=w"), b"one=1&two=%20+&three")
                 for method in ("GET", "POST", "PUT", "DELETE")]
    requests += [("POST", "/test", FORM, b"param=" + b"x" * n) for n in (0, 10, 1000, 1018, 5000)]
    requests += [("POST", "/test", {"Content-Type": "application/json"}, b'{"a": [1, 2]}'),
                 ("POST", "/test", *part(b"name", b"value")), ("POST", "/test", {}, b""),
                 ("POST", "/test", *part(b"file", b"content" * 100, b"f.txt")),
                 ("POST", "/test", {"Expect": "100-continue"}, b"short")]

    def mask(answer):  # it prints the fields it has got: the port is random
        return re.sub(rb"(127\.0\.0\.1|\[?::1\]?):\d+", b"*", repr(answer).encode())
    same(folder, build_ulfius(folder, "simple_example/simple_example.c"), requests, mask)


@test
def ulfius_cookies_are_set_alike(folder):
    def mask(answer):
        return re.sub(rb"[Ee]xpires=[^;]*", b"*", repr(answer).encode())
    same(folder, build_ulfius(folder, "simple_example/simple_example.c"),
         [("GET", "/testcookie/en/extra"), ("GET", "/testcookie/fr/x", {"Cookie": "counter=4; lang=fr"})], mask)


@test
def ulfius_streams_alike(folder):
    audio = os.path.join(folder, "audio")
    write(audio, bytes(range(256)) * 1000)
    command = build_ulfius(folder, "stream_example/stream_example.c") + [audio]
    answers = same(folder, command, [("GET", "/stream/audio"), ("HEAD", "/stream/audio"), ("GET", "/stream")])
    equal(len(answers[0][3]), 256000)


@test
def ulfius_uploads_are_taken_alike(folder):
    command = build_ulfius(folder, "sheep_counter/sheep_counter.c", "http_compression",
                           "static_compressed_inmemory_website")
    for side in ("real", "ours"):
        os.makedirs(os.path.join(folder, side, "static"))
        write(os.path.join(folder, side, "static", "index.html"), "<p>sheep</p>" * 1000)
    json = {"Content-Type": "application/json"}
    same(folder, command, [
        ("POST", "/sheep", json, b'{"nbsheep": 5}'), ("PUT", "/sheep"), ("PUT", "/sheep"), ("DELETE", "/sheep"),
        ("PUT", "/sheep", {"Accept-Encoding": "gzip"}), ("POST", "/sheep", json, b"{"),
        ("POST", "/static/upload", *part(b"file", b"x" * 100000, b"f.bin")),
        ("POST", "/static/submit", *part(b"name", b"y" * 20000)), ("POST", "/static/submit", FORM, b"a=1&b"),
        ("GET", "/upload/index.html"), ("GET", "/upload/index.html", {"Accept-Encoding": "gzip"}),
        ("GET", "/upload/index.html", {"Accept-Encoding": "deflate"}), ("GET", "/none")])
    for side in ("real", "ours"):  # pieces may be cut differently; uploads have no limit there
        with open(os.path.join(folder, side, "out.log")) as log:
            pieces = re.findall(r"Got from file 'f.bin' of the key 'file', offset (\d+), size (\d+)", log.read())
        equal(sum(int(size) for _, size in pieces), 100000, side)


@test
def ulfius_basic_authentication_answers_alike(folder):
    right = {"Authorization": "Basic dGVzdDp0ZXN0dGVzdA=="}  # test:testtest
    same(folder, build_ulfius(folder, "auth_example/auth_server.c"), [
        ("GET", path, fields) for path in ("/auth/basic", "/auth/default", "/auth/client_cert", "/none")
        for fields in ({}, right, {"Authorization": "Basic eDp5"}, {"Authorization": "Basic"},
                       {"Authorization": "Bearer x"})])


@test
def ulfius_callbacks_and_injection_answer_alike(folder):
    build = build_ulfius(folder, "multiple_callbacks_example/multiple_callbacks_example.c")
    paths = ("/multiple/zero", "/multiple/zero/one/two/three/", "/multiple/zero/onec/two/x", "/multiple/auth/data",
             "/multiple/auth", "/multiple//zero/../zero/one", "/")
    same(folder, build, [(method, path) for path in paths for method in ("GET", "PUT")])


def read_until(s, enough):
    got = b""
    while not enough(got):
        more = s.recv(10000)
        assert more, got
        got += more
    return got


@test
def ulfius_websockets_echo_alike(folder):
    command = build_ulfius(folder, "websocket_example/websocket_server.c", "static_compressed_inmemory_website")
    handshake = (b"GET /websocket/echo HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                 b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
    heads = []
    for library in (real_library(), OURS):
        program = Program(folder, library, command)
        try:
            with socket.create_connection(program.place, timeout=DEADLINE) as s:
                s.sendall(handshake)
                lines = read_until(s, lambda got: got.endswith(b"\r\n\r\n")).split(b"\r\n")
                fields = sorted(line.lower() for line in lines[1:] if not line.lower().startswith(b"date:"))
                heads.append((lines[0], fields))
                for text in (b"hello", b"x" * 120):
                    s.sendall(bytes((0x81, 0x80 | len(text))) + bytes(4) + text)  # masked with zeros
                    equal(read_until(s, lambda got: len(got) == 2 + len(text)), bytes((0x81, len(text))) + text)
                s.sendall(b"\x88\x80" + bytes(4))
                equal(read_until(s, lambda got: len(got) >= 2)[:1], b"\x88", "closed")
            assert program.process.poll() is None, program.text()
        finally:
            program.close()
    equal(heads[1], heads[0], "the 101")


# The table ---------------------------------------------------------------------------------------------

def exported(library):
    text = subprocess.run(["nm", "-D", "--defined-only", library], stdout=subprocess.PIPE, check=True,
                          timeout=DEADLINE).stdout.decode()
    return sorted(line.split()[2] for line in text.splitlines())


@test
def every_symbol_of_the_library_is_there_and_in_the_table(folder):
    if not shutil.which("nm"):
        raise Skip("no nm")
    ours = exported(os.path.join(OURS, "libmicrohttpd.so.12"))
    equal(ours, exported(os.path.join(real_library(), "libmicrohttpd.so.12")))
    with open(os.path.join(TOP, "docs/adaptor.md")) as page:
        rows = re.findall(r"^\| `(MHD_\w+)` \| (kept|differs|refused) \|", page.read(), re.M)
    equal(sorted(name for name, _ in rows), ours, "docs/adaptor.md")


if __name__ == "__main__":
    if TSAN or not os.path.exists(os.path.join(OURS, "libmicrohttpd.so.12")):
        print("skip  all: no drop-in that programs could load")
        sys.exit(0)
    main(needs=("adaptor",))
