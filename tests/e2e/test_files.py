"""Files: ranges, conditions, hostile names, large trees, and files that change under load."""
import sys
sys.dont_write_bytecode = True
from lib import *

import hashlib
import queue
from urllib.parse import quote

MB = 1024 * 1024


def digest(data):
    return hashlib.sha256(data).hexdigest()


@test
def ranges_put_together_are_the_file(folder):
    data = os.urandom(5 * MB + 12345)
    write(folder + "/data.bin", data)
    with Serval(folder) as s:
        got, step = b"", 333333
        for at in range(0, len(data), step):
            got += curl("-r", "%d-%d" % (at, at + step - 1), s.url("/data.bin"))
        equal(digest(got), digest(data))
        equal(curl("-r", "-100", s.url("/data.bin")), data[-100:])
        equal(curl("-r", "5000000-", s.url("/data.bin")), data[5000000:])
        part = folder + "/part"
        write(part, data[:1234567])  # a broken download goes on
        curl("-C", "-", "-o", part, s.url("/data.bin"))
        equal(digest(open(part, "rb").read()), digest(data))


@test
def ranges_that_cannot_be_satisfied_are_416(folder):
    write(folder + "/x", "0123456789")
    with Serval(folder) as s:
        for field in ("bytes=10-", "bytes=10-20", "bytes=-0"):
            status, headers, _ = s.get("/x", headers={"Range": field})
            equal((status, headers["Content-Range"]), (416, "bytes */10"), field)
        for field in ("bytes=5-2", "bytes=a-b", "lines=1-2", "bytes=", "bytes 0-1"):
            equal(s.get("/x", headers={"Range": field})[0], 200, field)
        status, headers, body = s.get("/x", headers={"Range": "bytes=2-3"})
        equal((status, headers["Content-Range"], body), (206, "bytes 2-3/10", b"23"))
        etag = headers["ETag"]
        equal(s.get("/x", headers={"Range": "bytes=2-3", "If-Range": etag})[0], 206)
        equal(s.get("/x", headers={"Range": "bytes=2-3", "If-Range": '"other"'})[0], 200)


@test
def what_the_client_has_is_not_sent_again(folder):
    write(folder + "/x.html", "<p>hello")
    os.utime(folder + "/x.html", (1000000000, 1000000000))
    with Serval(folder) as s:
        status, headers, body = s.get("/x.html")
        equal((status, body), (200, b"<p>hello"))
        equal(headers["Last-Modified"], "Sun, 09 Sep 2001 01:46:40 GMT")
        matches("^text/html", headers["Content-Type"])
        for field, value, expected in (
                ("If-None-Match", headers["ETag"], 304), ("If-None-Match", "*", 304),
                ("If-None-Match", '"a", %s' % headers["ETag"], 304), ("If-None-Match", '"a"', 200),
                ("If-Modified-Since", headers["Last-Modified"], 304),
                ("If-Modified-Since", "Sat, 08 Sep 2001 01:46:40 GMT", 200),
                ("If-Modified-Since", "nonsense", 200),
                ("If-Match", '"a"', 412), ("If-Match", headers["ETag"], 200)):
            status, again, body = s.get("/x.html", headers={field: value})
            equal(status, expected, "%s: %s" % (field, value))
            if status == 304:
                equal((body, again["ETag"]), (b"", headers["ETag"]))


@test
def folders_get_a_slash_and_show_their_index(folder):
    os.makedirs(folder + "/sub/deep")
    write(folder + "/index.html", "top")
    write(folder + "/sub/index.html", "sub")
    with Serval(folder) as s:
        equal(s.get("/")[2], b"top")
        equal(s.get("/sub/")[2], b"sub")
        status, headers, _ = s.get("/sub?a=b")
        assert status in (301, 302, 307, 308), status
        equal(headers["Location"], "/sub/?a=b")
        equal(curl("-L", s.url("/sub")), b"sub")
        status, headers, _ = s.get("//evil.example/..//sub")
        if 300 <= status < 400:  # never to another host
            assert not headers["Location"].startswith("//"), headers["Location"]
        equal(s.get("/sub/deep/")[0] in (200, 403, 404), True)


@test
def nothing_outside_the_folder_is_shown(folder):
    os.makedirs(folder + "/root/sub")
    os.makedirs(folder + "/root/.well-known")
    write(folder + "/secret", "secret")
    write(folder + "/root/.hidden", "secret")
    write(folder + "/root/x", "public")
    write(folder + "/root/.well-known/y", "known")
    os.symlink("../secret", folder + "/root/link")
    os.symlink(folder + "/secret", folder + "/root/absolute")
    os.symlink("..", folder + "/root/up")
    os.symlink("x", folder + "/root/inside")
    os.symlink("loop", folder + "/root/loop")
    os.mkfifo(folder + "/root/fifo")
    with Serval(folder + "/root") as s:
        for path in ("/../secret", "/sub/../../secret", "/%2e%2e/secret", "/..%2fsecret", "/link", "/absolute",
                     "/up/secret", "/.hidden", "/%2ehidden", "/sub/../.hidden", "/x/", "/x/y", "/loop",
                     "/fifo", "/sub/..%5c..%5csecret"):
            with s.connect() as c:
                c.sendall(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode())
                status, _, body = Answers(c).next()
                assert status in (400, 403, 404), "%s: %d" % (path, status)
                assert b"secret" not in body.replace(b"/secret", b""), path
        for path in ("/x", "/inside", "/sub/../x", "/./x", "//x", "/%78"):
            with s.connect() as c:
                c.sendall(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode())
                answers = Answers(c)
                equal(answers.next()[2], b"public", path)
        equal(s.get("/.well-known/y")[2], b"known")


@test
def empty_and_very_large_files_are_whole(folder):
    write(folder + "/empty", "")
    block = os.urandom(MB)
    sha = hashlib.sha256()
    with open(folder + "/large", "wb") as file:
        for i in range(120):
            piece = block[i:] + block[:i]
            file.write(piece)
            sha.update(piece)
    with Serval(folder) as s:
        status, headers, body = s.get("/empty")
        equal((status, headers["Content-Length"], body), (200, "0", b""))
        with contextlib.closing(s.client()) as c:
            c.request("GET", "/large")
            r, got = c.getresponse(), hashlib.sha256()
            for piece in iter(lambda: r.read(MB), b""):
                got.update(piece)
        equal(got.hexdigest(), sha.hexdigest())


HOSTILE = [
    b"with blank", b"  blanks  ", b"tab\there", b"new\nline", b"cr\rlf\r\n", b'quote"s', b"apo'strophe",
    b"<script>alert(1)<", b"&amp;", b"a?b", b"a#b", b"100%", b"%41", b"%2e%2e", b"%00", b"a%2fb", b"back\\slash",
    b"semi;colon", b"a=b&c=d", b"plus+plus", b"-rf", b"--help", b"~tilde", b"*", b"[x]", b"{y}", b"|", b"^", b"`",
    b"$HOME", b"!x", b"@", b",", b"a...", b"a..", b"a.", b"nul", b"\x01\x02\x1b[31m", b"\x7f", b"caf\xc3\xa9",
    b"\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", b"\xff\xfe", b"\xc3", b"\xc0\xaf", b"\xe2\x80\xae" b"gpj.exe",
    b"\xf0\x9f\x90\xb1", b"x" * 255, b"\xc3\xa9" * 127, b"index.html.bak", b"UPPER", b"upper", b"a:b", b"http:",
]


@test
def a_tree_with_hostile_names_arrives_unchanged(folder):
    root = folder.encode() + b"/tree"
    files, todo = {}, queue.Queue()
    for d, parent in enumerate([b"", b"a b", b"a b/\xc3\xbc%", b"deep/" * 30 + b"end"] + HOSTILE[:6]):
        if len(parent) > 250:
            continue
        parent = parent.replace(b"/index.html", b"")
        os.makedirs(os.path.join(root, b"d%d-" % d + parent), exist_ok=True)
        for i, name in enumerate(HOSTILE):
            path = b"d%d-" % d + parent + b"/" + name
            data = os.urandom((i * 977 + d * 7919) % 70000) if i % 7 else b""
            write(os.path.join(root, path), data)
            files[path] = digest(data)
    assert len(files) > 400
    for path in files:
        todo.put(path)
    wrong = []

    def fetch(s):
        with contextlib.closing(s.client()) as c:
            while True:
                try:
                    path = todo.get_nowait()
                except queue.Empty:
                    return
                c.request("GET", "/" + quote(path, safe="/"))
                r = c.getresponse()
                body = r.read()
                if r.status != 200 or digest(body) != files[path]:
                    wrong.append((path, r.status))
    with Serval(os.fsdecode(root)) as s:
        threads = [threading.Thread(target=fetch, args=(s,)) for _ in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join(DEADLINE)
        eventually(lambda: s.out.count('" 200 ') == len(files), "a log line for each file")
    assert not wrong and todo.empty(), wrong[:10]
    assert all(line.isprintable() for line in s.out.split("\n")), "the log was forged"


def version(n, size):
    """A file that shows which version each part of it is of."""
    line = b"%015d\n" % n
    return line * (size // 16 + n % 50)


def is_one_version(body):
    return body == body[:16] * (len(body) // 16)


@test
def files_that_are_replaced_under_load_are_of_one_version(folder):
    sizes = {"/small": 2000, "/middle": 100000, "/large": 2000000}
    for name, size in sizes.items():
        write(folder + name, version(0, size))
    stop, wrong, seen = threading.Event(), [], set()

    def replace():
        n = 0
        while not stop.is_set():
            n += 1
            for name, size in sizes.items():
                write(folder + "/.new", version(n, size))
                if n % 7 == 0:
                    os.unlink(folder + name)
                os.rename(folder + "/.new", folder + name)

    def ask(s, who):
        with contextlib.closing(s.client()) as c:
            for i in range(120):
                name = list(sizes)[(i + who) % 3]
                try:
                    c.request("GET", name)
                    r = c.getresponse()
                    body = r.read()
                except (http.client.HTTPException, ConnectionError):  # a clean error is one too
                    c.close()
                    continue
                if r.status == 200:
                    seen.add((name, body[:16]))
                    if len(body) < 16 or not is_one_version(body):
                        wrong.append("%s: %d bytes of more than one version" % (name, len(body)))
                elif r.status != 404:
                    wrong.append("%s: status %d" % (name, r.status))
    with Serval(folder) as s:
        threads = [threading.Thread(target=ask, args=(s, i)) for i in range(4)]
        replacer = threading.Thread(target=replace)
        replacer.start()
        for t in threads:
            t.start()
        for t in threads:
            t.join(2 * DEADLINE)
        stop.set()
        replacer.join()
    assert not wrong, wrong[:5]
    assert len(seen) > 3, "the files never changed: the test tests nothing"


@test
def a_new_version_is_soon_seen_and_never_an_older_one_again(folder):
    with Serval(folder) as s:
        with contextlib.closing(s.client()) as c:
            etags, shown = set(), -1
            for n in range(3):  # of the same length
                write(folder + "/.new", "version %03d" % n)
                os.rename(folder + "/.new", folder + "/x")

                def ask():
                    c.request("GET", "/x")
                    r = c.getresponse()
                    return int(r.read().split()[1]), r.headers["ETag"]
                while shown != n:
                    now, etag = ask()
                    assert shown <= now <= n, "version %d behind %d" % (now, shown)
                    shown = now
                etags.add(etag)
            equal(len(etags), 3, "different ETags")
        os.unlink(folder + "/x")
        eventually(lambda: s.get("/x")[0] == 404, "404 for what was deleted")


@test
def a_file_that_shrinks_while_it_is_sent_ends_the_connection(folder):
    size = 40 * MB
    with Serval(folder) as s:
        for _ in range(3):
            write(folder + "/x", b"x" * size)
            with socket.socket() as c:
                c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
                c.settimeout(DEADLINE)
                c.connect(("127.0.0.1", s.port))
                c.sendall(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n")
                data = c.recv(100)
                os.truncate(folder + "/x", 1000)
                c.sendall(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n")  # must not be taken for the rest
                data += read_all(c)
            assert len(data) < size, "%d bytes, although there were none" % len(data)
            equal(data.count(b"HTTP/1.1 "), 1)
        equal(len(s.get("/x")[2]), 1000)


@test
def a_file_that_may_not_be_read_is_an_error_and_no_more(folder):
    become = need_nobody()
    write(folder + "/x", "secret")
    os.chmod(folder + "/x", 0o600 if become else 0)
    write(folder + "/y", "open")
    with Serval(folder, preexec_fn=become) as s:
        status, _, body = s.get("/x")
        assert status in (403, 404), status
        assert b"secret" not in body
        equal(s.get("/y")[2], b"open")


@test
def files_that_are_on_disk_only_are_read_elsewhere_and_whole(folder):
    sizes = [1, 1000, 20000, 60000, 200000, 3000000]
    for size in sizes:
        path = "%s/%d" % (folder, size)
        write(path, os.urandom(size))
        with open(path, "rb") as f:
            os.fsync(f.fileno())
            os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    with Serval(folder) as s:
        for _ in range(2):  # from the disk, then from memory
            for size in sizes:
                status, _, body = s.get("/%d" % size)
                with open("%s/%d" % (folder, size), "rb") as f:
                    equal((status, digest(body)), (200, digest(f.read())))


main()
