"""Real programs behind docs/examples/gateway.c: shell and Perl scripts, php-cgi, php-fpm, fcgiwrap."""
import concurrent.futures
import contextlib
import hashlib
import http.client
import os
import re
import shutil
import signal
import socket
import subprocess

import lib
from lib import DEADLINE, Skip, equal, eventually, test, write

EXAMPLE = os.path.join(os.environ.get("SERVAL_BUILD", "build/debug"), "docs/examples/gateway")

PHP = r"""<?php
if (isset($_GET['fail'])) { error_log("it has failed"); http_response_code(500); exit("failed"); }
if (isset($_GET['big'])) { header("Content-Type: text/plain");
    for ($i = 0; $i < 5000; $i++) echo str_repeat(chr(97 + $i % 26), 1024); exit; }
if (isset($_GET['go'])) { header("Location: /else"); exit; }
if (isset($_GET['flush'])) { echo "first"; while (ob_get_level()) ob_end_flush(); flush();
    while (!file_exists($_GET['flush'])) { usleep(10000); clearstatcache(); } echo "second"; exit; }
header("X-Kind: " . php_sapi_name());
setcookie("a", "b");
echo json_encode(["method" => $_SERVER["REQUEST_METHOD"], "info" => $_SERVER["PATH_INFO"] ?? null,
    "get" => $_GET, "post" => $_POST, "files" => array_map(fn($f) => md5_file($f["tmp_name"]), $_FILES),
    "script" => $_SERVER["SCRIPT_NAME"], "body" => md5(file_get_contents("php://input")),
    "cookie" => $_COOKIE, "proxy" => getenv("HTTP_PROXY")]), "\n";
"""

SCRIPT = r"""#!/bin/sh
echo Content-Type: text/plain
echo
case $QUERY_STRING in
big) i=0; while [ $i -lt 50 ]; do head -c 100000 /dev/zero | tr '\0' x; i=$((i + 1)); done ;;
*) echo "$REQUEST_METHOD $SCRIPT_NAME $PATH_INFO $QUERY_STRING"; md5sum; echo "said on stderr" >&2 ;;
esac
"""

PERL = r"""#!/usr/bin/perl
binmode STDIN; binmode STDOUT; $| = 1;
print "Status: 201 Made\r\nContent-Type: application/octet-stream\r\n\r\n";
print while read STDIN, $_, 65536;
"""


def need(*programs):
    for program in programs:
        if not shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin"):
            raise Skip("no " + program)


def site(folder):
    root = os.path.join(folder, "site")
    os.makedirs(os.path.join(root, "cgi-bin"))
    write(os.path.join(root, "index.php"), PHP)
    write(os.path.join(root, "plain.txt"), "a file\n")
    for name, text in (("cgi-bin/sh", SCRIPT), ("cgi-bin/pl", PERL), ("wrapped.php", SCRIPT),
                       ("cgi-bin/php", "#!/usr/bin/php-cgi\n" + PHP)):
        write(os.path.join(root, name), text)
        os.chmod(os.path.join(root, name), 0o755)
    return root


class Gateway:
    def __init__(self, root, server="127.0.0.1:1"):
        if not os.path.exists(EXAMPLE):
            raise Skip("built without SVL_EXAMPLES")
        self.process = subprocess.Popen([EXAMPLE, "127.0.0.1:0", root, server],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.port = int(re.search(r"listen=http://[^ ]*:(\d+)/", self.process.stdout.readline())[1])

    def ask(self, path, method="GET", body=None, headers={}):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        with contextlib.closing(c):
            c.request(method, path, body, headers)
            r = c.getresponse()
            return r.status, r.headers, r.read()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.err = self.process.communicate(timeout=DEADLINE)[1]
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        if kind is None:
            assert self.process.returncode == 0, self.err
            assert "Sanitizer" not in self.err, self.err


@contextlib.contextmanager
def server(command, path, **more):
    """A FastCGI server that listens on the Unix socket `path`."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, start_new_session=True, **more)
    try:
        def listens():
            assert process.poll() is None, "it does not start: %r" % command
            with contextlib.closing(socket.socket(socket.AF_UNIX)) as s:
                return s.connect_ex(path) == 0
        eventually(listens, command[0] + " listens")
        yield "unix:" + path
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def fpm(folder):
    need("php-fpm8.2")
    path, conf = os.path.join(folder, "fpm.sock"), os.path.join(folder, "fpm.conf")
    write(conf, "[global]\nerror_log = /dev/null\ndaemonize = no\n[www]\nlisten = %s\npm = static\n"
                "pm.max_children = 3\nuser = root\ngroup = root\n" % path)
    return server(["/usr/sbin/php-fpm8.2", "-n", "-F", "-R", "-y", conf], path)


def spawned(folder):
    need("spawn-fcgi", "php-cgi")
    path = os.path.join(folder, "spawned.sock")
    return server(["spawn-fcgi", "-s", path, "-n", "--", "/usr/bin/php-cgi", "-n"], path,
                  env=dict(os.environ, PHP_FCGI_CHILDREN="3"))


def php_answers(g, path, kind):
    status, headers, body = g.ask(path + "?x=1&y[]=2", headers={"Cookie": "c=d", "Proxy": "http://evil"})
    equal(status, 200, body)
    equal(headers["X-Kind"], kind)
    equal(headers["Set-Cookie"], "a=b")
    assert b'"get":{"x":"1","y":["2"]}' in body and b'"cookie":{"c":"d"}' in body, body
    assert b'"proxy":false' in body, body
    body = g.ask(path, "POST", "p=q&r=s", {"Content-Type": "application/x-www-form-urlencoded"})[2]
    assert b'"post":{"p":"q","r":"s"}' in body, body
    data = os.urandom(1 << 20)
    body = g.ask(path, "PUT", data)[2]
    assert hashlib.md5(data).hexdigest().encode() in body, body
    body = g.ask(path, "PUT", iter([data[:1000], data[1000:5000]]))[2]  # in chunks
    assert hashlib.md5(data[:5000]).hexdigest().encode() in body, body
    form = (b'--b\r\nContent-Disposition: form-data; name="f"; filename="n"\r\n\r\n' + data + b"\r\n--b--\r\n")
    body = g.ask(path, "POST", form, {"Content-Type": "multipart/form-data; boundary=b"})[2]
    assert hashlib.md5(data).hexdigest().encode() in body, body
    big = g.ask(path + "?big")[2]
    equal(big, b"".join(bytes([97 + i % 26]) * 1024 for i in range(5000)), "5 MB")
    status, headers, _ = g.ask(path + "?go")
    equal((status, headers["Location"]), (302, "/else"))
    equal(g.ask(path + "?fail")[0], 500)
    assert b'"info":"\\/more"' in g.ask(path + "/more")[2]
    equal(g.ask(path, "HEAD")[2], b"")


def streams(g, folder, path):
    """What was flushed comes before the script has ended."""
    flag = os.path.join(folder, "flag")
    with contextlib.closing(socket.create_connection(("127.0.0.1", g.port), DEADLINE)) as s:
        s.sendall(b"GET %s?flush=%s HTTP/1.1\r\nHost: x\r\n\r\n" % (path.encode(), flag.encode()))
        got = b""
        while b"first" not in got:
            got += s.recv(65536)
        assert b"second" not in got
        write(flag, "")
        while b"second" not in got:
            got += s.recv(65536)
    os.unlink(flag)


def many(g, path, n=200):
    """Requests of several clients at once; every answer is its own."""
    def one(i):
        data = str(i).encode() * (i + 1)
        status, _, body = g.ask("%s?i=%d" % (path, i), "POST", data)
        right = b'"i":"%d"' % i in body and hashlib.md5(data).hexdigest().encode() in body
        return None if status == 200 and right else (i, status, body)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        equal(list(filter(None, pool.map(one, range(n)))), [], "wrong answers")


@test
def scripts_run_as_cgi(folder):
    need("perl")
    with Gateway(site(folder)) as g:
        status, headers, body = g.ask("/cgi-bin/sh/a%20b?q", "POST", b"hello")
        equal(status, 200)
        equal(body.decode(), "POST /cgi-bin/sh /a b q\n%s  -\n" % hashlib.md5(b"hello").hexdigest())
        equal(g.ask("/cgi-bin/sh?big")[2], b"x" * 5000000, "5 MB")
        data = os.urandom(3 << 20)  # an echo of more than any buffer, both ways at once
        status, headers, body = g.ask("/cgi-bin/pl", "POST", data)
        equal((status, headers["Content-Type"]), (201, "application/octet-stream"))
        equal(hashlib.md5(body).hexdigest(), hashlib.md5(data).hexdigest(), "3 MB echoed")
        equal(g.ask("/plain.txt")[2], b"a file\n")
        equal(g.ask("/cgi-bin/../../etc/passwd")[0], 404)
    assert "cgi: /cgi-bin/sh: said on stderr" in g.err, g.err


@test
def a_client_that_leaves_ends_its_script(folder):
    root, mark = site(folder), os.path.join(folder, "pid")
    write(os.path.join(root, "cgi-bin/wait"), "#!/bin/sh\necho $$ > %s\nsleep 1000\n" % mark)
    os.chmod(os.path.join(root, "cgi-bin/wait"), 0o755)
    with Gateway(root) as g:
        with contextlib.closing(socket.create_connection(("127.0.0.1", g.port), DEADLINE)) as s:
            s.sendall(b"GET /cgi-bin/wait HTTP/1.1\r\nHost: x\r\n\r\n")
            eventually(lambda: os.path.exists(mark) and os.path.getsize(mark), "it runs")
        with open(mark) as file:
            pid = int(file.read())
        eventually(lambda: not os.path.exists("/proc/%d" % pid), "it is ended")


@test
def php_runs_as_cgi(folder):
    need("php-cgi")
    with Gateway(site(folder)) as g:
        php_answers(g, "/cgi-bin/php", "cgi-fcgi")
        streams(g, folder, "/cgi-bin/php")
        many(g, "/cgi-bin/php", 20)
    assert "it has failed" in g.err, g.err


@test
def php_fpm_answers(folder):
    with fpm(folder) as address, Gateway(site(folder), address) as g:
        php_answers(g, "/index.php", "fpm-fcgi")
        streams(g, folder, "/index.php")
        many(g, "/index.php")
        equal(g.ask("/plain.txt")[2], b"a file\n")
        equal(g.ask("/none.php")[0], 404)
        assert b'"script":"\\/index.php"' in g.ask("/")[2]
    assert "it has failed" in g.err, g.err


@test
def php_cgi_under_spawn_fcgi_answers(folder):
    with spawned(folder) as address, Gateway(site(folder), address) as g:
        php_answers(g, "/index.php", "cgi-fcgi")
        streams(g, folder, "/index.php")
        many(g, "/index.php")


@test
def fcgiwrap_answers(folder):
    need("fcgiwrap")
    path = os.path.join(folder, "wrap.sock")
    with server(["fcgiwrap", "-s", "unix:" + path, "-c", "2"], path) as address:
        with Gateway(site(folder), address) as g:
            for i in range(20):
                body = g.ask("/wrapped.php/info?%d" % i, "POST", b"x" * i * 1000)[2].decode()
                equal(body, "POST /wrapped.php /info %d\n%s  -\n" % (
                    i, hashlib.md5(b"x" * i * 1000).hexdigest()))
            equal(g.ask("/wrapped.php?big")[2], b"x" * 5000000, "5 MB")


@test
def a_server_that_starts_again_is_found_again(folder):
    root = site(folder)
    with fpm(folder) as address:
        with Gateway(root, address) as g:
            equal(g.ask("/index.php")[0], 200)
    with Gateway(root, address) as g:
        equal(g.ask("/index.php")[0], 502)
        with fpm(folder):
            eventually(lambda: g.ask("/index.php")[0] == 200, "it is asked again")


@test
def the_program_answers_with_php_and_cgi(folder):
    root = site(folder)
    os.makedirs(os.path.join(root, "sub"))
    with fpm(folder) as address:
        with lib.Serval(root, "--php", address, "--cgi", os.path.join(root, "cgi-bin")) as s:
            assert b'"script":"\\/index.php"' in s.get("/")[2]
            equal(s.get("/plain.txt")[2], b"a file\n")
            equal(s.get("/cgi-bin/sh/a?b")[2].split(b"\n")[0], b"GET /cgi-bin/sh /a b")
            equal(s.get("/none.php")[0], 404)
            equal(s.get("/none")[0], 404)
        with lib.Serval(root, "--php", address, "--front", "/index.php", "--prefix", "/p") as s:
            assert b'"x":"1"' in s.get("/p/pretty?x=1")[2]
            equal(s.get("/p/plain.txt")[2], b"a file\n")
    lib.refuses(2, "fastcgi: nowhere: give", root, "--php", "nowhere")
    lib.refuses(2, "cgi: /none: ", root, "--cgi", "/none")


lib.main(needs=("cgi", "fastcgi", "fs"))
