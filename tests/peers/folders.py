"""What file servers do with the questions of docs/files.md. `python3 tests/peers/folders.py` makes a folder, starts
each server that is installed on it (a port of its own on 127.0.0.1, stopped in the end), asks, and prints the table
of what came. $SERVAL_BIN is asked as well; $PATH says where the others are: caddy, nginx, static-web-server, miniserve
(`cargo install miniserve static-web-server`)."""
import contextlib
import gzip
import http.client
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SERVAL = os.environ.get("SERVAL_BIN") or os.path.join(HERE, "../../build/release/serval")
TEXT = "".join("<p>line %d of a page that can be compressed\n" % i for i in range(400))
LONG_AGO = 1700000000


def make(root):
    """One folder with what is asked for."""
    def put(name, data, at=LONG_AGO):
        path = os.path.join(os.fsencode(root), name if isinstance(name, bytes) else name.encode())
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data if isinstance(data, bytes) else data.encode())
        os.utime(path, (at, at))
    put("page.html", TEXT)
    put("digits.txt", "0123456789" * 10)
    put("changes.txt", "one")
    put("with.html", TEXT)
    put("with.html.gz", gzip.compress(TEXT.encode()))
    put("older.html", TEXT, LONG_AGO + 100)
    put("older.html.gz", gzip.compress(b"what it was once"))
    put("about.html", "about")
    put(".secret", "secret")
    put(".well-known/x", "known")
    put("sub/index.html", "index")
    put("list/a.txt", "a")
    put("list/README.md", "# Heading of it\n\n<script>window.x = 1</script>\n")
    put("names/100%.txt", "percent")
    put("names/q?x=1#y", "query")
    put(b"names/bytes\xff.txt", "bytes")
    put("../outside", "outside")
    os.symlink("../outside", os.path.join(root, "out"))
    os.mkfifo(os.path.join(root, "fifo"))


# The servers ------------------------------------------------------------------------------------


def nginx(port, root, temp):
    conf = temp + "/nginx.conf"
    with open(conf, "w") as file:
        file.write("""daemon off; user root; pid %s/pid; error_log %s/error.log; events { }
http { access_log off; default_type text/plain; types { text/html html; }
    client_body_temp_path %s/1; proxy_temp_path %s/2; fastcgi_temp_path %s/3; uwsgi_temp_path %s/4;
    scgi_temp_path %s/5; gzip on; gzip_static on; autoindex on;
    server { listen 127.0.0.1:%d; root %s; } }
""" % ((temp,) * 7 + (port, root)))
    return ["nginx", "-c", conf, "-e", temp + "/error.log"]


def caddy(port, root, temp):
    conf = temp + "/Caddyfile"
    with open(conf, "w") as file:
        file.write("""{
    admin off
    auto_https off
}
http://127.0.0.1:%d {
    bind 127.0.0.1
    root * %s
    encode zstd gzip
    file_server {
        browse
        precompressed br zstd gzip
    }
}
""" % (port, root))
    return ["caddy", "run", "--adapter", "caddyfile", "--config", conf]


def static_web_server(port, root, temp):
    return ["static-web-server", "-a", "127.0.0.1", "-p", str(port), "-d", root, "-z",
            "--compression-static", "-g", "error"]


SERVERS = {
    "serval": lambda port, root, temp: [SERVAL, "-q", "--log", "off", "-l", "127.0.0.1:%d" % port, root],
    "caddy": caddy,
    "nginx": nginx,
    "static-web-server": static_web_server,
    "miniserve": lambda port, root, temp: ["miniserve", "-C", "--readme", "--index", "index.html", "-i", "127.0.0.1", "-p",
                                              str(port), root],
}


@contextlib.contextmanager
def running(name, root):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    with tempfile.TemporaryDirectory() as temp:
        env = {**os.environ, "HOME": temp, "XDG_DATA_HOME": temp, "XDG_CONFIG_HOME": temp,
               "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"}
        argv = SERVERS[name](port, root, temp)
        argv[0] = shutil.which(argv[0], path=env["PATH"]) or argv[0]
        server = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL, env=env)
        try:
            for _ in range(200):
                with contextlib.suppress(OSError):
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                time.sleep(0.05)
            yield Peer(port)
        finally:
            server.terminate()
            try:
                server.wait(5)
            except subprocess.TimeoutExpired:  # it waits for somebody to open the FIFO
                server.kill()
                server.wait(10)


class Peer:
    def __init__(self, port):
        self.port = port

    def get(self, path, method="GET", timeout=5, **fields):
        """(status, fields, body); a server that does not answer in time is (0, {}, b"")."""
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            c.request(method, path, headers={k.replace("_", "-"): v for k, v in fields.items()})
            r = c.getresponse()
            return r.status, r.headers, r.read()
        except (OSError, http.client.HTTPException):
            return 0, {}, b""
        finally:
            c.close()


# The questions: each returns the text of a cell ----------------------------------------------------

QUESTIONS = {}


def ask(text):
    def keep(function):
        QUESTIONS[text] = function
        return function
    return keep


def yes(good, otherwise="no"):
    return "yes" if good else otherwise


def statuses(*answers):
    return " ".join(str(a[0]) if a[0] else "no answer" for a in answers)


@ask("If-None-Match, If-Modified-Since, If-Match, If-Unmodified-Since, old If-Range: 304 304 412 412 200")
def conditions(s, root):
    _, fields, _ = s.get("/digits.txt")
    old = "Mon, 01 Jan 2001 00:00:00 GMT"
    return statuses(s.get("/digits.txt", If_None_Match=fields.get("ETag") or '"x"'),
                    s.get("/digits.txt", If_Modified_Since=fields.get("Last-Modified") or old),
                    s.get("/digits.txt", If_Match='"another"'), s.get("/digits.txt", If_Unmodified_Since=old),
                    s.get("/digits.txt", If_Range='"another"', Range="bytes=0-1"))


@ask("ETag")
def etag(s, root):
    tag = s.get("/digits.txt")[1].get("ETag")
    return "none" if not tag else "weak" if tag.startswith("W/") else "strong"


@ask("another ETag for other content of the same size and time")
def etag_of_content(s, root):
    before = s.get("/changes.txt")[1].get("ETag")
    with open(root + "/changes.txt", "w") as file:
        file.write("two")
    os.utime(root + "/changes.txt", (LONG_AGO, LONG_AGO))
    time.sleep(1.2)  # what is kept open for a second
    return yes(before != s.get("/changes.txt")[1].get("ETag"))


@ask("a range, a suffix, none that fits: 206 206 416")
def ranges(s, root):
    return statuses(s.get("/digits.txt", Range="bytes=2-4"), s.get("/digits.txt", Range="bytes=-3"),
                    s.get("/digits.txt", Range="bytes=500-"))


@ask("several ranges")
def several(s, root):
    status, fields, body = s.get("/page.html", Range="bytes=0-1,15000-15001")
    if "multipart/byteranges" in fields.get("Content-Type", ""):
        return "multipart"
    return "%d, %d bytes" % (status, len(body))


@ask("`.gz` beside a file; not when it is older")
def sidecars(s, root):
    def got(path):
        _, fields, body = s.get(path, Accept_Encoding="gzip")
        return gzip.decompress(body) if fields.get("Content-Encoding") == "gzip" else body
    with open(root + "/with.html.gz", "rb") as file:
        used = s.get("/with.html", Accept_Encoding="gzip")[2] == file.read()
    return yes(used) + ("" if not used else "; yes" if got("/older.html") == TEXT.encode() else "; older too")


@ask("another ETag for the compressed form")
def coded_etag(s, root):
    plain = s.get("/with.html")[1].get("ETag")
    coded = s.get("/with.html", Accept_Encoding="gzip")[1]
    return yes(plain != coded.get("ETag")) if coded.get("Content-Encoding") else "not compressed"


@ask("compressed on the fly")
def on_the_fly(s, root):
    codings = [c for c in ("br", "zstd", "gzip", "deflate")
               if s.get("/page.html", Accept_Encoding=c)[1].get("Content-Encoding") == c]
    return ", ".join(codings) or "no"


@ask("`identity;q=0` and no other coding: 406")
def no_coding(s, root):
    return statuses(s.get("/page.html", Accept_Encoding="identity;q=0"))


@ask("Cache-Control without being told")
def cache_control(s, root):
    return s.get("/page.html")[1].get("Cache-Control") or "none"


@ask("`nosniff` of files; a policy of the directory page")
def policies(s, root):
    return "%s; %s" % (yes(s.get("/page.html")[1].get("X-Content-Type-Options") == "nosniff"),
                       yes(s.get("/list/")[1].get("Content-Security-Policy")))


@ask("hidden names; `.well-known`: 404 200")
def hidden(s, root):
    return statuses(s.get("/.secret"), s.get("/.well-known/x"))


@ask("a link that leads out: not its target")
def link_out(s, root):
    status, _, body = s.get("/out")
    return "the target" if b"outside" in body else str(status)


@ask("folders get a slash; their index")
def index(s, root):
    return "%s; %s" % (statuses(s.get("/sub")), yes(s.get("/sub/")[2] == b"index"))


@ask("pretty URLs without being told")
def pretty(s, root):
    return statuses(s.get("/about"))


@ask("listing as JSON, as text")
def formats(s, root):
    def given(*ways):
        return yes(any(f.get("Content-Type", "").startswith(kind) for kind, path, accept in ways
                       for f in [s.get(path, Accept=accept)[1]]))
    return "%s, %s" % (given(("application/json", "/list/", "application/json"),
                             ("application/json", "/list/?format=json", "*/*")),
                       given(("text/plain", "/list/", "text/plain"), ("text/plain", "/list/?raw=true", "*/*")))


@ask("README beneath; its `<script>`")
def readme(s, root):
    page = s.get("/list/", Accept="text/html")[2]
    return "no" if b"Heading of it" not in page else "yes; " + ("runs" if b"<script>window.x" in page else "does not run")


@ask("the page links to nothing elsewhere, loads nothing more")
def alone(s, root):
    page = s.get("/list/", Accept="text/html")[2].decode("utf-8", "replace")
    loads = re.findall(r'<(?:script|img|link)\b[^>]*?\b(?:src|href)="(?!data:)([^"]+)"', page)
    return yes(not loads, "loads %d more" % len(loads))


@ask("names with %, ?, # and bytes that are no UTF-8: links lead to the file")
def names(s, root):
    page = s.get("/names/", Accept="text/html")[2].decode("latin-1")
    links = {link.replace("&#x2F;", "/").replace("&amp;", "&") for link in re.findall(r'href="([^"]+)"', page)}
    found = set()
    for link in links:
        path = link if link.startswith("/") else "/names/" + link.removeprefix("./")
        if path.isascii():
            found.add(s.get(path)[2])
    return ", ".join(yes(body in found) for body in (b"percent", b"query", b"bytes"))


@ask("`PUT` without being told")
def put(s, root):
    return statuses(s.get("/new.txt", method="PUT"))


@ask("a FIFO: an answer at once")
def fifo(s, root):
    return statuses(s.get("/fifo", timeout=3))


def main():
    columns, cells = [], {text: [] for text in QUESTIONS}
    for name in sys.argv[1:] or SERVERS:
        if not (shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin") or name == "serval"):
            print("not installed: " + name, file=sys.stderr)
            continue
        columns.append(name)
        with tempfile.TemporaryDirectory() as top:
            os.chmod(top, 0o755)
            os.mkdir(top + "/root")
            make(top + "/root")
            with running(name, top + "/root") as peer:
                for text, question in QUESTIONS.items():
                    cells[text].append(question(peer, top + "/root"))
    print("| | " + " | ".join(columns) + " |\n|---|" + "---|" * len(columns))
    for text, row in cells.items():
        print("| %s | %s |" % (text, " | ".join(row)))


if __name__ == "__main__":
    main()
