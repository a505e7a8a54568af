"""The client against servers that people run, and the commands that are made of it. A server that is not installed
is skipped."""
import contextlib
import hashlib
import json
import os
import random
import shutil
import socket
import subprocess

import lib
from lib import DEADLINE, Serval, Skip, equal, eventually, test

EXAMPLES = os.path.join(os.environ.get("SERVAL_BUILD", "build/debug"), "docs/examples")
SIZES = (0, 1, 100, 4095, 65536, 1000000)

NGINX = """daemon off; pid {temp}/pid; error_log {temp}/error.log; worker_processes 1;
events {{ worker_connections 1000; }}
http {{ access_log off; client_body_temp_path {temp}/a; proxy_temp_path {temp}/b; fastcgi_temp_path {temp}/c;
uwsgi_temp_path {temp}/d; scgi_temp_path {temp}/e; gzip on; gzip_types *; gzip_min_length 1; keepalive_requests 50;
server {{ listen 127.0.0.1:{port}; root {root}; }} }}
"""
H2O = """num-threads: 1
error-log: {temp}/error.log
listen: {{host: 127.0.0.1, port: {port}}}
hosts: {{default: {{paths: {{"/": {{file.dir: {root}, compress: {{gzip: 6}}}}}}}}}}
"""
CADDY = """{{
    admin off
    auto_https off
    storage file_system {temp}/storage
}}
http://127.0.0.1:{port} {{
    root * {root}
    encode gzip
    file_server
}}
"""
NODE = """const fs = require('fs'), path = require('path');
require('http').createServer((req, res) => {{
  const file = path.join('{root}', req.url);
  if (!fs.existsSync(file)) {{ res.statusCode = 404; res.end(); return; }}
  fs.createReadStream(file).pipe(res); // chunked
}}).listen({port}, '127.0.0.1');
"""
PEERS = {
    "nginx": (NGINX, lambda conf: ["nginx", "-c", conf]),
    "h2o": (H2O, lambda conf: ["h2o", "-c", conf]),
    "caddy": (CADDY, lambda conf: ["caddy", "run", "--adapter", "caddyfile", "--config", conf]),
    "node": (NODE, lambda conf: ["node", conf]),
}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def is_open(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@contextlib.contextmanager
def peer(name, folder):
    """The address of a running server of that kind, which serves `folder`/root."""
    text, command = PEERS[name]
    program = command("")[0]
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin")
    if not path:
        raise Skip("no " + name)
    port, temp = free_port(), os.path.join(folder, "temp")
    os.mkdir(temp)
    conf = os.path.join(folder, "conf")
    lib.write(conf, text.format(port=port, temp=temp, root=os.path.join(folder, "root")).encode())
    process = subprocess.Popen([path, *command(conf)[1:]], cwd=temp, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, env={**os.environ, "HOME": temp})
    try:
        eventually(lambda: is_open(port) or process.poll() is not None, name)
        if process.poll() is not None:
            raise Skip(name + " does not start here")
        yield "http://127.0.0.1:%d/" % port
    finally:
        process.terminate()
        process.wait(DEADLINE)


def fill(folder):
    """Files whose bytes are not alike, and their checksums."""
    dice = random.Random(7)
    root = os.path.join(folder, "root")
    os.mkdir(root)
    sums = {}
    for size in SIZES:
        data = dice.randbytes(size // 2) + b"x" * (size - size // 2)
        lib.write(os.path.join(root, "%d.txt" % size), data)
        sums[size] = hashlib.sha256(data).hexdigest()
    return sums


def get(*args):
    done = subprocess.run([lib.BIN, "get", *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=DEADLINE)
    return done.returncode, done.stdout, done.stderr.decode()


def bench(*args):
    code, out, err = lib.run("bench", "--json", *args)
    equal(code, 0, out + err)
    return json.loads(out)


def check_peer(name, folder):
    sums, asked = fill(folder), 0
    with peer(name, folder) as url:
        for size, expected in sums.items():
            for more in ([], ["--compressed"]):
                code, body, err = get(*more, "%s%d.txt" % (url, size))
                equal(code, 0, err)
                equal(hashlib.sha256(body).hexdigest(), expected, "%d %s" % (size, more))
            many = bench("--check", "-d", "150ms", "-c", "8", "%s%d.txt" % (url, size))
            equal(many["2xx"], many["requests"])
            asked += many["requests"]
        code, body, err = get(url + "nothing")
        equal(code, 1, err)
    print("      %s: %d requests, every body checked" % (name, asked))


@test
def nginx_is_understood(folder):
    check_peer("nginx", folder)


@test
def h2o_is_understood(folder):
    check_peer("h2o", folder)


@test
def caddy_is_understood(folder):
    check_peer("caddy", folder)


@test
def node_is_understood(folder):
    check_peer("node", folder)


@test
def get_writes_files_and_goes_on_where_they_end(folder):
    sums = fill(folder)
    out = os.path.join(folder, "out")
    with Serval(os.path.join(folder, "root")) as s:
        url = s.url("/1000000.txt")
        equal(get("-o", out, url)[0], 0)
        equal(hashlib.sha256(open(out, "rb").read()).hexdigest(), sums[1000000])
        os.truncate(out, 300000)
        code, _, err = get("-i", "-c", "-o", out, url)
        equal(code, 0, err)
        assert "206" in err.split("\n")[0], err
        equal(hashlib.sha256(open(out, "rb").read()).hexdigest(), sums[1000000])
        equal(get("-c", "-o", out, url)[0], 0)  # 416: nothing is missing
        equal(hashlib.sha256(open(out, "rb").read()).hexdigest(), sums[1000000])
        code, body, err = get("--timing", s.url("/100.txt"))
        equal(len(body), 100)
        assert "first byte" in err, err


@test
def get_says_what_went_wrong(folder):
    code, _, err = get("http://127.0.0.1:%d/" % free_port())
    equal(code, 1)
    assert "refused" in err, err
    code, _, err = get("https://127.0.0.1/")
    equal(code, 1)
    assert "https" in err, err
    code, _, err = get("--resume", "http://127.0.0.1/")
    equal(code, 2, err)


@test
def bench_keeps_to_its_rate(folder):
    fill(folder)
    with Serval(os.path.join(folder, "root")) as s:
        many = bench("-d", "1s", "-c", "4", "--rate", "50", s.url("/100.txt"))
        assert 0 < many["requests"] <= 51, many
        assert many["p50_ms"] <= many["p99_ms"] <= many["max_ms"] * 1.02 + 0.01, many
        code, out, err = lib.run("bench", "-d", "200ms", s.url("/100.txt"))
        equal(code, 0, err)
        assert "99.9 %" in out and "####" in out, out


@contextlib.contextmanager
def example(name, *args):
    path = os.path.join(EXAMPLES, name)
    if not os.path.exists(path):
        raise Skip("built without SVL_EXAMPLES")
    program = subprocess.Popen([path, "127.0.0.1:0", *args], stdout=subprocess.PIPE, text=True)
    try:
        line = program.stdout.readline()
        yield line.split("listen=")[1].split()[0]
        program.terminate()
        program.terminate()
        equal(program.wait(DEADLINE), 0)
    finally:
        program.kill()
        program.wait()
        program.stdout.close()


@test
def a_gateway_answers_with_what_came_in_time(folder):
    with example("fanout") as url:
        code, body, err = get(url + "page")
        equal(code, 0, err)
        equal(body.decode(), "price: 12.50\nstock: the response did not come in time\nreviews: quite good\n")
        equal(get("-X", "POST", url + "mend")[0], 0)
        equal(get(url + "page")[1].decode(), "price: 12.50\nstock: 7 left\nreviews: quite good\n")


@test
def a_back_end_that_dies_is_asked_less(folder):
    fill(folder)
    root = os.path.join(folder, "root")
    with Serval(root) as one, Serval(root) as two:
        with example("balance", one.url(""), two.url("")) as url:
            equal(len(get(url + "100.txt")[1]), 100)
            one.process.terminate()
            one.process.wait()
            good = sum(get(url + "100.txt")[0] == 0 for _ in range(20))
            assert good >= 15, good


@test
def one_line_is_enough(folder):
    path = os.path.join(EXAMPLES, "get")
    if not os.path.exists(path):
        raise Skip("built without SVL_EXAMPLES")
    fill(folder)
    with Serval(os.path.join(folder, "root")) as s:
        out = subprocess.run([path, s.url("/100.txt")], stdout=subprocess.PIPE, timeout=DEADLINE)
        equal(out.returncode, 0)
        equal(len(out.stdout), 100)


if __name__ == "__main__":
    lib.main()
