"""What other servers do with the inputs of docs/http.md: each is sent the same bytes, and a plain request behind
them. `python3 tests/peers/decide.py` prints the table; peers that are not installed are left out. Servers listen
on 127.0.0.1 only and are stopped in the end. $SERVAL_BIN is asked as well."""
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SERVAL = os.environ.get("SERVAL_BIN") or os.path.join(HERE, "../../build/release/serval")
NEXT = b"GET /next HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def get(fields=b"Host: x\r\n", line=b"GET / HTTP/1.1\r\n"):
    return line + fields + b"\r\n"


def field(bytes_):
    return get(b"Host: x\r\n" + bytes_ + b"\r\n")


def target(bytes_, method=b"GET", host=b"x"):
    return get(b"Host: " + host + b"\r\n", method + b" " + bytes_ + b" HTTP/1.1\r\n")


def host(bytes_):
    return get(b"Host: " + bytes_ + b"\r\n")


def body(fields, data=b"hello", version=b"1.1"):
    return b"POST / HTTP/" + version + b"\r\nHost: x\r\n" + fields + b"\r\n\r\n" + data


def chunks(data):
    return body(b"Transfer-Encoding: chunked", data)


OK = b"5\r\nhello\r\n0\r\n\r\n"
INPUTS = (
    ("Lines", (
        ("request line ends in a bare LF", b"GET / HTTP/1.1\nHost: x\r\n\r\n"),
        ("a field line ends in a bare LF", b"GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n"),
        ("the empty line is a bare LF", b"GET / HTTP/1.1\r\nHost: x\r\n\n"),
        ("lone CR in a value", field(b"A: b\rc")),
        ("lone CR behind an empty value (CVE-2023-30589)", field(b"A:\rB: c")),
        ("empty line in front of a request", b"\r\n" + get()),
        ("bare LF in front of a request", b"\n" + get()),
        ("folded field line", field(b"A: b\r\n c")),
        ("fold behind an empty value", field(b"A:\r\n c")),
        ("blank in front of the first field", b"GET / HTTP/1.1\r\n Host: x\r\n\r\n"),
        ("blank before the colon", field(b"A : b")),
        ("empty field name", field(b": b")),
        ("field line without a colon", field(b"A")),
        ("no token in a field name, `A(B: c`", field(b"A(B: c")),
        ("NUL in a value", field(b"A: b\0c")),
        ("control byte 0x01 in a value", field(b"A: b\1c")),
        ("byte 0xff in a value", field(b"A: b\xffc")),
        ("underscore in a name, `Content_Length`", field(b"Content_Length: 5")),
    )),
    ("Request line", (
        ("two blanks behind the method", get(line=b"GET  / HTTP/1.1\r\n")),
        ("tab as separator", get(line=b"GET\t/ HTTP/1.1\r\n")),
        ("blank in the target", target(b"/a b")),
        ("HTTP/0.9, `GET /`", b"GET /\r\n"),
        ("HTTP/1.0 without Host", b"GET / HTTP/1.0\r\n\r\n"),
        ("HTTP/1.2", get(line=b"GET / HTTP/1.2\r\n")),
        ("HTTP/2.0 in a request line", get(line=b"GET / HTTP/2.0\r\n")),
        ("`http/1.1`", get(line=b"GET / http/1.1\r\n")),
        ("method in lower case", target(b"/", b"get")),
        ("unknown method", target(b"/", b"BREW")),
        ("CONNECT", target(b"x:80", b"CONNECT", b"x:80")),
        ("TRACE", target(b"/", b"TRACE")),
        ("`OPTIONS *`", target(b"*", b"OPTIONS")),
        ("`GET *`", target(b"*")),
        ("absolute form, another Host", target(b"http://y/")),
        ("absolute form with user information", target(b"http://u@x/")),
        ("fragment in the target", target(b"/#a")),
        ("control byte 0x01 in the target", target(b"/\1")),
        ("raw UTF-8 in the target", target(b"/\xc3\xa4")),
        ("broken escape in the path", target(b"/%zz")),
        ("`%00` in the path", target(b"/%00")),
    )),
    ("Host", (
        ("no Host", get(b"")),
        ("two equal Hosts", get(b"Host: x\r\nHost: x\r\n")),
        ("empty Host", host(b"")),
        ("Host with a blank", host(b"x y")),
        ("Host with a path", host(b"x/y")),
        ("Host with user information", host(b"u@x")),
        ("Host with an escape", host(b"x%41")),
        ("Host with port 65536", host(b"x:65536")),
    )),
    ("Framing", (
        ("Content-Length and Transfer-Encoding", body(b"Content-Length: 5\r\nTransfer-Encoding: chunked", OK)),
        ("two equal Content-Lengths", body(b"Content-Length: 5\r\nContent-Length: 5")),
        ("Content-Length `5, 5`", body(b"Content-Length: 5, 5")),
        ("Content-Length empty", body(b"Content-Length: ", b"")),
        ("Content-Length `+5`", body(b"Content-Length: +5")),
        ("Content-Length 2^64 + 5", body(b"Content-Length: 18446744073709551621")),
        ("Content-Length `5`, tab behind", body(b"Content-Length: 5\t")),
        ("Transfer-Encoding in HTTP/1.0", body(b"Transfer-Encoding: chunked", OK, b"1.0")),
        ("`gzip, chunked`", body(b"Transfer-Encoding: gzip, chunked", OK)),
        ("`chunked, identity`", body(b"Transfer-Encoding: chunked, identity", OK)),
        ("`identity`", body(b"Transfer-Encoding: identity", OK)),
        ("`chunked` in two fields", body(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", OK)),
        ("`xchunked`", body(b"Transfer-Encoding: xchunked", OK)),
        ("vertical tab in front of `chunked`", body(b"Transfer-Encoding: \x0bchunked", OK)),
    )),
    ("Chunks", (
        ("size `0x5`", chunks(b"0x5\r\nhello\r\n0\r\n\r\n")),
        ("size `+5`", chunks(b"+5\r\nhello\r\n0\r\n\r\n")),
        ("size `5 `", chunks(b"5 \r\nhello\r\n0\r\n\r\n")),
        ("size above 2^64", chunks(b"10000000000000005\r\nhello\r\n0\r\n\r\n")),
        ("size line ends in a bare LF", chunks(b"5\nhello\r\n0\r\n\r\n")),
        ("data ends in a bare LF", chunks(b"5\r\nhello\n0\r\n\r\n")),
        ("two other bytes behind the data", chunks(b"5\r\nhelloXX0\r\n\r\n")),
        ("extension `;a=b`", chunks(b"5;a=b\r\nhello\r\n0\r\n\r\n")),
        ("extensions `;a=b;c=d`", chunks(b"5;a=b;c=d\r\nhello\r\n0\r\n\r\n")),
        ("bare LF in an extension", chunks(b"5;a\nb\r\nhello\r\n0\r\n\r\n")),
        ("trailers", chunks(b"5\r\nhello\r\n0\r\nA: b\r\n\r\n")),
        ("Content-Length as a trailer", chunks(b"5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n")),
        ("bare LF in trailers", chunks(b"5\r\nhello\r\n0\r\nA: b\n\r\n")),
        ("empty name in trailers", chunks(b"5\r\nhello\r\n0\r\n: b\r\n\r\n")),
        ("the end is a bare LF", chunks(b"5\r\nhello\r\n0\r\n\n")),
    )),
    ("Other", (
        ("Expect: 200-ok", body(b"Content-Length: 5\r\nExpect: 200-ok")),
        ("Proxy-Connection: close", field(b"Proxy-Connection: close")),
        ("target of 9,000 bytes", target(b"/" + b"a" * 9000)),
        ("field of 20,000 bytes", field(b"A: " + b"a" * 20000)),
        ("150 fields", get(b"Host: x\r\n" + b"".join(b"A%d: b\r\n" % i for i in range(150)))),
    )),
)

NGINX = """daemon off; master_process off; pid %(dir)s/pid; error_log %(dir)s/log; worker_processes 1;
events {} http { access_log off; client_body_temp_path %(dir)s; proxy_temp_path %(dir)s; fastcgi_temp_path %(dir)s;
uwsgi_temp_path %(dir)s; scgi_temp_path %(dir)s; server { listen 127.0.0.1:%(port)d; location / {
  proxy_pass http://127.0.0.1:%(behind)d; } } server { listen 127.0.0.1:%(behind)d; location / { return 200 "ok"; } } }
"""
H2O = """user: %(user)s
listen: {host: 127.0.0.1, port: %(port)d}
num-threads: 1
error-log: %(dir)s/log
hosts: {default: {paths: {"/": {file.dir: %(dir)s/www}}}}
"""
HAPROXY = """defaults
  mode http
  timeout client 2s
  timeout http-request 2s
  timeout connect 2s
  timeout server 2s
frontend in
  bind 127.0.0.1:%(port)d
  option http-buffer-request
  http-request return status 200 content-type text/plain string ok
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def start(name, program, args, config, folder):
    """(process, port), or None if there is no such program."""
    program = shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin")
    if not program:
        return None
    place = {"port": free_port(), "behind": free_port(), "dir": folder, "user": "root" if os.geteuid() == 0 else
             os.environ.get("USER", "nobody")}
    path = "%s/%s.conf" % (folder, name)
    with open(path, "w") as file:
        file.write(config % place)
    command = [program] + [arg % {"conf": path, "dir": folder, "port": place["port"]} for arg in args]
    with open("%s/%s.out" % (folder, name), "w") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", place["port"]), timeout=1).close()
            return process, place["port"]
        except OSError:
            time.sleep(0.05)
    process.kill()
    with open("%s/%s.out" % (folder, name)) as out:
        sys.stderr.write("%s does not start: %s\n" % (name, out.read()[-500:]))
    return None


def statuses(port, data):
    """Those of all answers to the input and the plain request behind it, as far as they can be told."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=3) as s:
        try:
            s.sendall(data + NEXT)
            while True:
                piece = s.recv(65536)
                if not piece:
                    break
                answer += piece
        except (ConnectionError, socket.timeout):
            pass
    found = []
    for piece in answer.split(b"HTTP/1.")[1:]:
        if piece[1:2] == b" " and piece[2:5].isdigit() and piece[2:5] != b"100":
            found.append(int(piece[2:5]))
    return found, answer


def decide(port, data):
    found, answer = statuses(port, data)
    if not found:
        return "taken as HTTP/0.9" if answer and not answer.startswith(b"HTTP/") else "closed"
    refusals = (400, 408, 411, 413, 414, 417, 421, 431, 501, 505)
    if found[0] in refusals:
        return str(found[0])
    return "taken" if len(found) > 1 else "taken, then closes"


def main():
    with tempfile.TemporaryDirectory(prefix="serval-peers-") as folder:
        os.chmod(folder, 0o755)
        os.mkdir(folder + "/www")
        with open(folder + "/www/index.html", "w") as file:
            file.write("ok")
        peers = {
            "serval": start("serval", SERVAL, ("-l", "127.0.0.1:%(port)d", "--log", "off", "%(dir)s/www"), "", folder),
            "nginx": start("nginx", "nginx", ("-c", "%(conf)s"), NGINX, folder),
            "h2o": start("h2o", "h2o", ("-c", "%(conf)s"), H2O, folder),
            "haproxy": start("haproxy", "haproxy", ("-db", "-f", "%(conf)s"), HAPROXY, folder),
        }
        try:
            names = [name for name in peers if peers[name]]
            for section, rows in INPUTS:
                print("\n### %s\n\n| input | %s |\n|---|%s" % (section, " | ".join(names), "---|" * len(names)))
                for label, data in rows:
                    print("| %s | %s |" % (label, " | ".join(decide(peers[n][1], data) for n in names)), flush=True)
        finally:
            for peer in peers.values():
                if peer:
                    peer[0].terminate()
                    peer[0].wait(10)


if __name__ == "__main__":
    main()
