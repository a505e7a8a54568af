"""Folders: taken away as an archive, and files put into them."""
import sys
sys.dont_write_bytecode = True
from lib import *

import base64
import hashlib
import io
import stat
import tarfile
import zipfile
from urllib.parse import quote

PASSWORD = "pass word"


def tree(folder):
    """A folder with what makes archives fail: long and strange names, empty things, links."""
    long = "l" * 120
    os.makedirs(folder + "/docs/empty")
    os.makedirs(folder + "/docs/" + "/".join([long] * 3))
    write(folder + "/docs/a.txt", "hello\n")
    write(folder + "/docs/nothing", "")
    write(folder + "/docs/big.bin", os.urandom(3000000))
    write(folder + "/docs/" + "/".join([long] * 3) + "/deep.txt", "deep")
    write(folder + "/docs/gr\u00fc\u00dfe \u6f22\u5b57.txt", "utf-8")
    write(folder + "/docs/index.html", "<p>index")
    with open(os.fsencode(folder) + b"/docs/bytes\xff.txt", "wb") as f:
        f.write(b"no utf-8")
    write(folder + "/docs/.hidden", "secret")
    write(folder + "/outside", "secret")
    os.symlink("a.txt", folder + "/docs/link.txt")
    os.symlink("../../..", folder + "/docs/out")
    os.symlink("/etc/passwd", folder + "/docs/passwd")
    os.symlink(".", folder + "/docs/circle")
    os.mkfifo(folder + "/docs/fifo")
    os.chmod(folder + "/docs/a.txt", 0o640)
    os.utime(folder + "/docs/a.txt", (1000000001, 1000000001))


def expected(folder):
    """What is to be in the archive of docs: names as bytes, and contents."""
    found = {b"docs/link.txt": b"hello\n"}
    base = os.fsencode(folder)
    for path, folders, files in os.walk(base + b"/docs"):
        for name in files:
            full = path + b"/" + name
            if not name.startswith(b".") and stat.S_ISREG(os.lstat(full).st_mode):
                found[full[len(base) + 1:]] = open(full, "rb").read()
    return found


def get_archive(s, path):
    data = curl("-D", "-", s.url(path))
    head, _, body = data.partition(b"\r\n\r\n")
    return head.decode(), body


@test
def a_zip_holds_what_the_folder_holds(folder):
    tree(folder)
    with Serval(folder, "--archive") as s:
        head, data = get_archive(s, "/docs/?archive=zip")
        assert "application/zip" in head and 'filename="docs.zip"' in head, head
        with zipfile.ZipFile(io.BytesIO(data)) as z:
            equal(z.testzip(), None)
            got = {}
            for i in z.infolist():
                name = i.filename.encode("utf-8" if i.flag_bits & 0x800 else "cp437")
                if not i.is_dir():
                    got[name] = z.read(i)
            equal(sorted(got), sorted(expected(folder)))
            assert got == expected(folder)
            assert "docs/empty/" in z.namelist()
            info = z.getinfo("docs/a.txt")
            equal(info.date_time[:5], (2001, 9, 9, 1, 46))
            equal(info.external_attr >> 16 & 0o777, 0o640)


@test
def unzip_takes_the_zip(folder):
    if not shutil.which("unzip"):
        raise Skip("no unzip")
    tree(folder)
    with Serval(folder, "--archive") as s:
        write(folder + "/docs.zip", get_archive(s, "/docs/?archive=zip")[1])
    subprocess.run(["unzip", "-tq", folder + "/docs.zip"], check=True, timeout=DEADLINE,
                   stdout=subprocess.DEVNULL)
    subprocess.run(["unzip", "-q", folder + "/docs.zip", "docs/a.txt", "docs/big.bin", "-d", folder + "/x"],
                   check=True, timeout=DEADLINE)
    for name in ("/docs/a.txt", "/docs/big.bin"):
        equal(open(folder + "/x" + name, "rb").read(), open(folder + name, "rb").read())
    equal(int(os.stat(folder + "/x/docs/a.txt").st_mtime), 1000000001)


@test
def a_tar_holds_what_the_folder_holds(folder):
    tree(folder)
    with Serval(folder, "--archive") as s:
        head, data = get_archive(s, "/docs/?archive=tar")
        assert "application/x-tar" in head and 'filename="docs.tar"' in head, head
        with tarfile.open(fileobj=io.BytesIO(data), errors="surrogateescape") as t:
            got = {os.fsencode(m.name): t.extractfile(m).read() for m in t if m.isfile()}
            assert got == expected(folder), sorted(got)
            equal(t.getmember("docs/a.txt").mtime, 1000000001)
            assert t.getmember("docs/empty").isdir()
        os.mkdir(folder + "/x")
        for program in ("tar", "bsdtar"):
            if shutil.which(program):
                subprocess.run([program, "-C", folder + "/x", "-xf", "-"], input=data, check=True,
                               timeout=DEADLINE)
                found = expected(folder + "/x")
                assert found == expected(folder), program
                shutil.rmtree(folder + "/x/docs")


@test
def the_root_is_an_archive_too(folder):
    write(folder + "/a", "1")
    os.mkdir(folder + "/b")
    write(folder + "/b/c", "2")
    with Serval(folder, "--archive") as s:
        head, data = get_archive(s, "/?archive=zip")
        assert 'filename="files.zip"' in head, head
        with zipfile.ZipFile(io.BytesIO(data)) as z:
            equal(sorted(z.namelist()), ["a", "b/", "b/c"])
        os.mkdir(folder + "/nothing")
        with zipfile.ZipFile(io.BytesIO(get_archive(s, "/nothing/?archive=zip")[1])) as z:
            equal(z.namelist(), [])


@test
def there_are_no_archives_unless_asked_for(folder):
    os.mkdir(folder + "/docs")
    with Serval(folder) as s:
        status, headers, _ = s.get("/docs/?archive=zip")
        equal((status, headers["Content-Type"]), (200, "text/html; charset=utf-8"))


@test
def large_files_are_zip64(folder):
    """A file of more than 4 GiB, which is empty on the disk, is not read here: its head is."""
    os.mkdir(folder + "/docs")
    with open(folder + "/docs/huge", "wb") as f:
        f.truncate(5 << 30)
    with Serval(folder, "--archive") as s:
        with socket.create_connection(("127.0.0.1", s.port), DEADLINE) as c:
            c.sendall(b"GET /docs/?archive=zip HTTP/1.0\r\n\r\n")
            data = b""
            while len(data) < 2000:
                data += c.recv(2000)
        body = data.partition(b"\r\n\r\n")[2]
        equal(body[:6], b"PK\x03\x04\x2d\x00")
        equal(body[18:26], b"\xff" * 8)


def uploader(folder, *args):
    made = subprocess.run([BIN, "hash-password", "me"], input=PASSWORD + "\n", text=True, check=True,
                          timeout=DEADLINE, stdout=subprocess.PIPE).stdout.split("\n")
    return Serval(folder, *args, "--upload", next(line for line in made if line.startswith("me:")))


@test
def who_has_the_password_adds_files(folder):
    if "basic_auth" not in built_in():
        raise Skip("built without basic_auth")
    data = os.urandom(2000000)
    write(folder + "/source", data)
    os.mkdir(folder + "/in")
    me = ("-u", "me:" + PASSWORD)
    code = ("-s", "-o", "/dev/null", "-w", "%{http_code}")
    with uploader(folder) as s:
        equal(s.get("/in/")[0], 200)
        equal(curl(*code, "-T", folder + "/source", s.url("/in/x")), b"401")
        equal(curl(*code, *me, "-T", folder + "/source", s.url("/in/x")), b"201")
        equal(curl(s.url("/in/x")), data)
        equal(curl(*code, *me, "-T", folder + "/source", s.url("/in/x")), b"409")
        equal(curl(*code, *me, "-F", "file=@" + folder + "/source;filename=y", s.url("/in/")), b"303")
        equal(curl(*code, *me, "-H", "Origin: https://evil.example", "-F",
                   "file=@" + folder + "/source;filename=z", s.url("/in/")), b"403")
        equal(sorted(os.listdir(folder + "/in")), ["x", "y"])
        equal(curl(s.url("/in/y")), data)


@test
def two_uploads_of_one_name_at_once_are_both_kept_if_that_is_asked_for(folder):
    if "basic_auth" not in built_in():
        raise Skip("built without basic_auth")
    head = ("PUT /x.bin HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 100000\r\n"
            "Authorization: Basic %s\r\n\r\n" % base64.b64encode(("me:" + PASSWORD).encode()).decode()).encode()
    for how, statuses in (((), [b"201", b"409"]), (("--on-conflict", "rename"), [b"201", b"201"])):
        os.mkdir(folder + "/in")
        bodies = [bytes([65 + i]) * 100000 for i in range(2)]
        with uploader(folder + "/in", *how) as s:
            clients = [s.connect() for _ in range(2)]
            for client, body in zip(clients, bodies):
                client.sendall(head + body[:50000])
            for client, body in zip(clients, bodies):
                client.sendall(body[50000:])
            answers = [read_all(client) for client in clients]
            equal(sorted(a.split(b" ")[1] for a in answers), statuses)
            places = {re.search(rb"\r\nLocation: (\S+)", a)[1].decode() for a in answers if b" 201 " in a}
            equal(places, {"/x.bin", "/x%20%281%29.bin"} if how else {"/x.bin"})
            for answer, body in zip(answers, bodies):
                if b" 201 " in answer:
                    equal(s.get(re.search(rb"\r\nLocation: (\S+)", answer)[1].decode())[2], body)
            equal(len(os.listdir(folder + "/in")), len(places))
        shutil.rmtree(folder + "/in")
    refuses(2, "--on-conflict overwrite: nothing that is there is ever replaced; give error or rename", "-p0",
            "--on-conflict", "overwrite", folder)


def contents(folder):
    return {os.path.relpath(os.path.join(path, name), folder): open(os.path.join(path, name), "rb").read()
            for path, _, files in os.walk(folder) for name in files}


@test
def a_mirror_is_the_folder(folder):
    """With the directory pages to find the files by, but not kept."""
    if not shutil.which("wget"):
        raise Skip("no wget")
    os.makedirs(folder + "/tree/a b/deeper")
    os.mkdir(folder + "/tree/empty")
    for name in ("one.txt", "a b/two & three.bin", "a b/deeper/100%.txt", "a b/q?x=1#y", "gr\u00fc\u00dfe"):
        write(folder + "/tree/" + name, os.urandom(70000))
    with Serval(folder) as s:
        subprocess.run(["wget", "-q", "--mirror", "--no-parent", "--no-host-directories",
                        "--restrict-file-names=nocontrol", "--reject-regex", "[?](sort|format|order)",
                        "-P", folder + "/copy", s.url("/tree/")], check=True, timeout=DEADLINE)
    got = {name: data for name, data in contents(folder + "/copy/tree").items()
           if not name.endswith("index.html")}
    equal(sorted(got), sorted(contents(folder + "/tree")))
    assert got == contents(folder + "/tree")


REAL = ("/usr/include/linux", "/usr/share/doc/python3.11", "/usr/share/doc/git", "/usr/share/perl")


def served(root):
    """Files below root that serval serves, by name: not hidden ones, nor links that lead out or to folders."""
    found = {}
    for path, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            full = os.path.join(path, name)
            inside = os.path.realpath(full).startswith(root + "/") and not (
                os.path.islink(full) and os.readlink(full).startswith("/"))
            if not name.startswith(".") and inside and os.path.isfile(full):
                with open(full, "rb") as file:
                    found[os.path.relpath(full, root)] = file.read()
    return found


@test
def a_mirror_of_a_real_tree_has_the_bytes_on_disk(folder):
    if not shutil.which("wget"):
        raise Skip("no wget")
    root = next((path for path in REAL if os.path.isdir(path)), None)
    if not root:
        raise Skip("none of " + ", ".join(REAL))
    with Serval(root) as s:
        subprocess.run(["wget", "-q", "--mirror", "--no-parent", "--no-host-directories",
                        "--restrict-file-names=nocontrol", "--reject-regex", "[?](sort|format|order)",
                        "--follow-tags=a", "-P", folder + "/copy", s.url("/")], timeout=2 * DEADLINE)
    wanted = served(root)
    got = {name: data for name, data in contents(folder + "/copy").items()
           if name in wanted or not name.endswith("index.html")}
    assert len(wanted) > 100, "a small tree"
    equal(sorted(got), sorted(wanted))
    for name in wanted:
        assert got[name] == wanted[name], name


@test
def every_download_of_a_real_tree_can_be_resumed(folder):
    root = next((path for path in REAL if os.path.isdir(path)), None)
    if not root:
        raise Skip("none of " + ", ".join(REAL))
    wanted = served(root)
    names = sorted(name for name, data in wanted.items() if len(data) > 1)[::7][:100]
    config = ""
    with Serval(root) as s:
        for i, name in enumerate(names):
            write("%s/%d" % (folder, i), wanted[name][:len(wanted[name]) // 2])
            config += 'url = "%s"\noutput = "%s/%d"\n' % (s.url("/" + quote(name)), folder, i)
        write(folder + "/config", config)
        curl("-C", "-", "-K", folder + "/config")
    for i, name in enumerate(names):
        with open("%s/%d" % (folder, i), "rb") as file:
            assert file.read() == wanted[name], name


@test
def a_zip_of_more_than_65535_files_is_whole(folder):
    os.mkdir(folder + "/many")
    for i in range(66000):
        open("%s/many/%d" % (folder, i), "wb").close()
    write(folder + "/many/7", "seven")
    with Serval(folder, "--archive") as s:
        curl("-o", folder + "/many.zip", s.url("/many/?archive=zip"))
    check_zip(folder + "/many.zip", 66000)
    with zipfile.ZipFile(folder + "/many.zip") as z:
        equal(z.read("many/7"), b"seven")


def check_zip(path, n):
    unzip = shutil.which("unzip")
    if unzip:
        subprocess.run([unzip, "-tq", path], check=True, timeout=2 * DEADLINE, stdout=subprocess.DEVNULL)
    with zipfile.ZipFile(path) as z:
        assert unzip or z.testzip() is None
        equal(len([name for name in z.namelist() if not name.endswith("/")]), n)


def save_sparse(s, path):
    """What comes from the socket, but zeros take no room on the disk."""
    zeros = bytes(1 << 16)
    with open(path, "wb") as file, s.makefile("rb", 1 << 20) as answer:
        while answer.readline() not in (b"\r\n", b""):
            pass
        while piece := answer.read(len(zeros)):
            if piece == zeros:
                file.seek(len(piece), os.SEEK_CUR)
            else:
                file.write(piece)
        file.truncate()


@test
def a_zip_of_more_than_4_gib_is_whole(folder):
    if SANITIZED:
        raise Skip("takes long with sanitizers")
    os.mkdir(folder + "/docs")
    with open(folder + "/docs/huge", "wb") as file:
        file.truncate((4 << 30) + 12345)
        file.write(b"begin")
        file.seek((4 << 30) + 12340)
        file.write(b"e-n-d")
    write(folder + "/docs/small", "small")
    with Serval(folder, "--archive") as s:
        with socket.create_connection(("127.0.0.1", s.port), DEADLINE) as c:
            c.sendall(b"GET /docs/?archive=zip HTTP/1.0\r\n\r\n")
            save_sparse(c, folder + "/docs.zip")
    check_zip(folder + "/docs.zip", 2)
    with zipfile.ZipFile(folder + "/docs.zip") as z:
        equal(z.getinfo("docs/huge").file_size, (4 << 30) + 12345)
        equal(z.read("docs/small"), b"small")


@test
def a_broken_download_of_a_long_file_goes_on(folder):
    data = os.urandom(20 << 20)
    write(folder + "/long", data)
    with Serval(folder) as s:
        for cut in (0, 1, 65536, 10000000, len(data) - 1):
            write(folder + "/part", data[:cut])
            curl("-C", "-", "-o", folder + "/part", s.url("/long"))
            assert open(folder + "/part", "rb").read() == data, cut


if __name__ == "__main__":
    main()
