"""The programs of docs/examples that show bodies, cookies, takeover and embedding, driven by curl and sockets."""
import hashlib
import os
import re
import socket
import subprocess
import urllib.parse

import lib
from lib import DEADLINE, equal, example, example_path, matches, test


def ask(*args):
    return subprocess.run(["curl", "-s", *args], stdout=subprocess.PIPE, text=True,
                          timeout=DEADLINE, check=True).stdout


def random_file(folder, name, size):
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.write(os.urandom(size))
    return path


def sum_of(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def status(*args):
    return ask("-o", os.devnull, "-w", "%{http_code}", *args)


@test
def uploads_are_kept_whatever_their_size(folder):
    kept = os.path.join(folder, "kept")
    os.mkdir(kept)
    small, large = random_file(folder, "small", 1000), random_file(folder, "large", 3000000)
    with example("upload", kept) as url:
        matches("<form", ask(url))
        answer = ask("-F", "note=hello", "-F", "file=@" + small, "-F", "file=@" + large,
                     url + "form")
        equal(answer, "note: hello\nsmall: 1000 bytes\nlarge: 3000000 bytes, never in memory\n")
        ask("-T", large, url + "raw/other")
        for name, path in ("small", small), ("large", large), ("other", large):
            equal(sum_of(os.path.join(kept, name)), sum_of(path), name)
        equal(status("-T", small, url + "raw/small"), "409")
        equal(sum_of(os.path.join(kept, "small")), sum_of(small), "the first one stays")


@test
def uploads_stay_in_their_folder(folder):
    kept = os.path.join(folder, "kept")
    os.mkdir(kept)
    file = random_file(folder, "file", 10)
    with example("upload", kept) as url:
        for name in "../escaped", "/tmp/../../escaped", "a\\..\\escaped":
            ask("-F", "file=@%s;filename=\"%s\"" % (file, name), url + "form")
        equal(os.listdir(kept), ["escaped"])
        equal(sorted(os.listdir(folder)), ["file", "kept"])
        for name in "..", ".hidden", "":
            equal(status("-F", "file=@%s;filename=\"%s\"" % (file, name), url + "form"), "400", name)
        equal(status("-d", "not=multipart", "-H", "Content-Type: text/plain", url + "form"), "415")
        equal(status("-d", "a=b", url + "form"), "201", "a form without files")


@test
def what_is_sent_comes_back_while_it_is_sent(folder):
    text = "what is sent comes back\n" * 400000  # nearly 10 MB
    lib.write(os.path.join(folder, "in"), text)
    with example("shout") as url:
        for more in [], ["-H", "Transfer-Encoding: chunked"]:
            equal(ask("-N", "-T", os.path.join(folder, "in"), *more, url), text.upper())
        equal(ask("-d", "tiny", url), "TINY")
        equal(ask(url), "")
        address = urllib.parse.urlsplit(url)
        with socket.create_connection((address.hostname, address.port), DEADLINE) as s:
            s.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhello")
            got = b""
            while b"HELLO" not in got:  # the second half has not been sent
                got += s.recv(4096)
            s.sendall(b"world")
            while b"0\r\n\r\n" not in got:
                got += s.recv(4096)
            assert b"WORLD" in got, got


@test
def a_client_that_does_not_read_is_held_back(_):
    with example("shout") as url:
        address = urllib.parse.urlsplit(url)
        with socket.create_connection((address.hostname, address.port), DEADLINE) as s:
            s.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n")
            s.settimeout(1)
            sent = 0
            try:
                while sent < 100000000:
                    sent += s.send(b"x" * 65536)
                raise AssertionError("all of it was taken")
            except socket.timeout:
                pass


@test
def visits_are_counted_and_forgotten(folder):
    jar = os.path.join(folder, "jar")
    with example("visits") as url:
        for n in 1, 2, 3:
            equal(ask("-b", jar, "-c", jar, url), "visit %d\n" % n)
        matches(r"#HttpOnly_\S+\tFALSE\t/\tFALSE\t\d+\tvisits\t3", open(jar).read())
        equal(ask("-b", jar, "-c", jar, "-L", url + "forget"), "visit 1\n")
        equal(ask("-b", "visits=nonsense", url), "visit 1\n")
        matches("SameSite=Lax", ask("-I", url))


def echoed(url, request):
    address = urllib.parse.urlsplit(url)
    with socket.create_connection((address.hostname, address.port), DEADLINE) as s:
        s.sendall(request)
        s.shutdown(socket.SHUT_WR)
        got = b""
        while data := s.recv(65536):
            got += data
        return got


@test
def a_connection_is_taken_over(_):
    switch = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: %s\r\n\r\n"
    with example("echo") as url:
        text = b"what comes with the head comes back, too\n" * 1000
        head, _, back = echoed(url, switch % b"echo" + text).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ") and b"Upgrade: echo" in head, head
        equal(back, text)
        matches(rb"^HTTP/1.1 426 [^\0]*Upgrade: echo", echoed(url, switch % b"other"))
        equal(ask(url), "say Upgrade: echo\n")


@test
def handlers_are_tested_in_memory(_):
    done = subprocess.run([example_path("in_memory")], stdout=subprocess.PIPE, text=True,
                          timeout=DEADLINE)
    equal(done.returncode, 0)
    equal(len(re.findall("^ok ", done.stdout, re.M)), 3, done.stdout)


@test
def a_server_is_a_guest_on_a_loop(_):
    program = subprocess.Popen([example_path("guest"), "127.0.0.1:0"], stdout=subprocess.PIPE,
                               text=True)
    try:
        url = re.search(r"listen=(\S+)", program.stdout.readline())[1]
        matches(r"^\d+ ticks\n$", ask(url))
        ask(url + "stop")
        equal(program.stdout.read(), "the server has stopped\nand so has the clock\n")
        equal(program.wait(DEADLINE), 0)
    finally:
        program.kill()
        program.wait()
        program.stdout.close()


lib.main(needs=())
