#!/usr/bin/env python3
"""What the program's options for files do, and their twins in the environment."""
import base64

from lib import *

HTML = {"Accept": "text/html"}


@test
def listing_can_be_a_page_json_or_nothing(folder):
    write(folder + "/x", "1")
    with Serval(folder) as s:
        matches("text/html", s.get("/")[1]["Content-Type"])
        equal(s.get("/", headers={"Accept": "application/json"})[1]["Content-Type"], "application/json")
        equal(s.get("/", headers={"Accept": "text/plain"})[2], b"x\n")
    with Serval(folder, "--listing", "json") as s:
        equal(s.get("/", headers=HTML)[1]["Content-Type"], "application/json")
    with Serval(folder, "--listing=off") as s:
        equal(s.get("/")[0], 404)


@test
def names_and_links_are_served_as_asked(folder):
    os.makedirs(folder + "/root")
    write(folder + "/out", "out")
    write(folder + "/root/.hidden", "hidden")
    write(folder + "/root/x", "x")
    os.symlink("x", folder + "/root/in")
    os.symlink("../out", folder + "/root/up")
    with Serval(folder + "/root") as s:
        equal([s.get(p)[0] for p in ("/.hidden", "/in", "/up")], [404, 200, 404])
    with Serval(folder + "/root", "--dotfiles", "serve", "--symlinks", "follow") as s:
        equal([s.get(p)[0] for p in ("/.hidden", "/in", "/up")], [200, 200, 200])
    with Serval(folder + "/root", "--symlinks", "deny") as s:
        equal([s.get(p)[0] for p in ("/x", "/in", "/up")], [200, 404, 404])


@test
def one_file_is_served_without_its_folder(folder):
    os.makedirs(folder + "/root")
    write(folder + "/root/.the file.txt", "0123456789")
    write(folder + "/root/.the file.txt.gz", "not this")
    write(folder + "/root/other", "other")
    write(folder + "/root/index.html", "index")
    os.symlink("../root/other", folder + "/root/out")
    with Serval(folder + "/root/.the file.txt", "--archive") as s:
        matches(r"/root/\.the file\.txt$", s.ready["root"].strip('"'))
        for path in ("/", "/.the%20file.txt"):
            status, fields, body = s.get(path, headers={"Accept-Encoding": "gzip"})
            equal((status, fields["Content-Type"], body), (200, "text/plain; charset=utf-8", b"0123456789"))
            equal(curl("-r", "2-4", s.url(path)), b"234")
            equal(curl("-r", "-3", "-o", "/dev/null", "-w", "%{http_code}", s.url(path)), b"206")
            head = curl("-I", s.url(path)).decode()
            matches(r"(?s)^HTTP/1.1 200 .*\r\nContent-Length: 10\r\n", head)
            equal(s.get(path, headers={"If-None-Match": fields["ETag"]})[0], 304)
        for path in ("/other", "/index.html", "/.the%20file.txt.gz", "/.the%20file.txt/", "/../other",
                     "/out", "/.the%20file", "/.the%20file.txt%2f..%2fother"):
            assert s.get(path)[0] in (400, 404), path
        equal(s.get("/", method="PUT")[0], 405)
        equal(s.get("/?archive=zip")[2], b"0123456789")
        os.replace(folder + "/root/other", folder + "/root/.the file.txt")
        eventually(lambda: s.get("/")[2] == b"other", "the new version")
    with Serval("index.html", cwd=folder + "/root") as s:
        equal(s.get("/")[2], b"index")


@test
def a_file_that_cannot_be_served_alone_is_said(folder):
    os.makedirs(folder + "/root")
    write(folder + "/root/file", "x")
    write(folder + "/out", "x")
    os.symlink("../out", folder + "/root/link")
    refuses(2, r"/link: a link that is not followed; give the file it leads to", "-p0", folder + "/root/link")
    with Serval(folder + "/root/link", "--symlinks", "follow") as s:
        equal(s.get("/link")[2], b"x")
    if "basic_auth" in built_in():
        refuses(2, r"--upload: files are added to a folder", "-p0", "--upload", make_hash("x", "me"),
                folder + "/root/file")
    if "fastcgi" in built_in():
        refuses(2, r"--php: scripts are those of a folder", "-p0", "--php", "unix:/x", folder + "/root/file")


@test
def folders_have_the_order_that_is_asked_for(folder):
    for i, (name, size) in enumerate((("a", 2), ("b", 3), ("c", 1))):
        write(folder + "/" + name, "x" * size)
        os.utime(folder + "/" + name, (1e9 + i, 1e9 + i))
    for order, expected in (("name", "abc"), ("name-desc", "cba"), ("size", "cab"), ("size-desc", "bac"),
                            ("time", "abc"), ("time-desc", "cba")):
        with Serval(folder, "--sort", order) as s:
            equal("".join(s.get("/?format=text")[2].decode().split()), expected, order)
            equal("".join(s.get("/?format=text&sort=size")[2].decode().split()), "cab", order)
            equal("".join(s.get("/?order=desc&sort=size&format=text")[2].decode().split()), "bac", order)
            equal("".join(re.findall(r'href="\./([abc])"', s.get("/")[2].decode())), expected, order)
    refuses(2, r"--sort date: give name, size, time, name-desc, size-desc or time-desc", "-p0", "--sort",
            "date", folder)


@test
def paths_lead_where_options_say(folder):
    for name in ("index.html", "start.htm", "about.html"):
        write(folder + "/" + name, name)
    with Serval(folder, "--index", "nothing,start.htm", "--pretty-urls", "--prefix", "/p",
                "--spa", "index.html") as s:
        equal(s.get("/p/")[2], b"start.htm")
        equal(s.get("/p/about")[2], b"about.html")
        equal(s.get("/p/some/where", headers=HTML)[2], b"index.html")
        equal([s.get(p)[0] for p in ("/p/some/where", "/about", "/p")], [404, 404, 301])


@test
def short_texts_are_compressed_as_asked(folder):
    write(folder + "/x.txt", "abc " * 200)
    for args, coding in (((), "gzip"), (("--compress-min", "1k"), None), (("--compress-min=800",), "gzip")):
        with Serval(folder, *args) as s:
            equal(s.get("/x.txt", headers={"Accept-Encoding": "gzip"})[1]["Content-Encoding"], coding)


@test
def fields_are_as_asked(folder):
    write(folder + "/app.12ab.js", "1")
    write(folder + "/x.odd", "1")
    write(folder + "/404.html", "<p>nothing at {path}")
    with Serval(folder, "--cache", "60", "--immutable", "*.[0-9a-f]*.js", "--mime", "odd=text/x-odd",
                "-H", "X-A: b", "-H", "X-C:d", "--error-page", "404=" + folder + "/404.html") as s:
        _, fields, _ = s.get("/x.odd")
        equal([fields[n] for n in ("Cache-Control", "Content-Type", "X-A", "X-C")],
              ["max-age=60", "text/x-odd", "b", "d"])
        equal(s.get("/app.12ab.js")[1]["Cache-Control"], "public, max-age=31536000, immutable")
        status, fields, body = s.get("/missing", headers=HTML)
        equal((status, body, fields["X-A"]), (404, b"<p>nothing at /missing", "b"))


@test
def sidecars_are_used_unless_switched_off(folder):
    write(folder + "/x.css", "plain")
    write(folder + "/x.css.br", "brotli")
    for args, body in (((), b"brotli"), (("--precompressed", "off"), b"plain")):
        with Serval(folder, *args) as s:
            equal(s.get("/x.css", headers={"Accept-Encoding": "br"})[2], body)


def basic(user, password):
    return {"Authorization": "Basic " + base64.b64encode((user + ":" + password).encode()).decode()}


def make_hash(password, *user):
    done = subprocess.run([BIN, "hash-password", *user], input=password.encode(), timeout=DEADLINE,
                          stdout=subprocess.PIPE)
    equal(done.returncode, 0)
    return done.stdout.decode().strip()


@test
def only_who_knows_a_password_gets_in(folder):
    write(folder + "/x", "1")
    anna = make_hash("s3cret: \xe4\n", "anna")
    matches(r"^anna:\$(y|6)\$", anna)
    assert anna != make_hash("s3cret: \xe4", "anna"), "no salt"
    write(folder + "/users", "# people\n\nbob:" + make_hash("b") + "\r\n")
    with Serval(folder, "-a", anna, "--auth-file", folder + "/users") as s:
        status, fields, _ = s.get("/x")
        equal((status, fields["WWW-Authenticate"]), (401, 'Basic realm="serval", charset="UTF-8"'))
        for who, expected in ((("anna", "s3cret: \xe4"), 200), (("bob", "b"), 200), (("anna", "b"), 401),
                              (("bob", ""), 401), (("carl", "b"), 401)):
            equal(s.get("/x", headers=basic(*who))[0], expected, who)
        equal(curl("-u", "bob:b", s.url("/x")), b"1")
    with Serval(folder, env=dict(os.environ, SERVAL_AUTH=anna)) as s:
        equal(s.get("/x")[0], 401)


@test
def hashes_of_others_do(folder):
    if not shutil.which("htpasswd"):
        raise Skip("no htpasswd")
    subprocess.run(["htpasswd", "-bcB", folder + "/users", "anna", "secret"], check=True,
                   stderr=subprocess.DEVNULL)
    with Serval(folder, "--auth-file", folder + "/users") as s:
        equal(s.get("/users", headers=basic("anna", "secret"))[0], 200)


@test
def a_password_that_is_no_hash_is_refused(folder):
    refuses(2, "--auth anna:secret: that is no hash .*serval hash-password", "-a", "anna:secret", folder)
    refuses(2, "--auth anna:plain:x: that is no hash", "-a", "anna:plain:x", folder)
    refuses(2, "--auth anna:: that is no hash", "-a", "anna:", folder)
    refuses(2, "--auth :x: give a name", "-a", ":x", folder)
    refuses(2, "--auth anna: give a hash .*nobody to ask", "-a", "anna", folder, start_new_session=True)
    write(folder + "/users", "# people\nanna:secret\n")
    refuses(2, "users:2: that is no hash", "--auth-file", folder + "/users", folder)
    refuses(2, "nothing: No such file", "--auth-file", folder + "/nothing", folder)
    refuses(2, "empty password", "hash-password", "anna")
    refuses(2, "colon", "hash-password", "a:b")


@test
def a_password_is_asked_for_on_the_terminal_and_not_shown(folder):
    write(folder + "/x", "1")

    def use(text):
        url = re.search(r"(http://127\.0\.0\.1:\d+/)", text).group(1)
        equal(curl("-u", "anna:se cret", url + "x"), b"1")

    code, text = on_terminal(["-p0", "-a", "anna", folder], "Ctrl-C", use,
                             typed=((r"password of anna: ", "se cret\n"),))
    equal(code, 0)
    assert "cret" not in text, text
    code, text = on_terminal(["hash-password", "anna"], r"(?!)",
                             typed=(("password: ", "a\n"), ("once more: ", "a\n")))
    equal(code, 0)
    matches(r"anna:\$", text)
    code, text = on_terminal(["hash-password"], r"(?!)",
                             typed=(("password: ", "a\n"), ("once more: ", "b\n")))
    equal(code, 2)
    matches("not the same", text)
    code, text = on_terminal(["hash-password"], r"(?!)", typed=(("password: ", "a\x03"),))
    equal(code, 130)


@test
def other_sites_may_read_what_they_are_allowed_to(folder):
    write(folder + "/x", "1")
    a, b = {"Origin": "https://a.example"}, {"Origin": "https://b.example"}
    with Serval(folder, "--cors", "*") as s:
        equal(s.get("/x", headers=a)[1]["Access-Control-Allow-Origin"], "*")
    with Serval(folder, "--cors", "https://a.example", "--cors", "https://*.c.example",
                "-a", make_hash("x", "anna")) as s:
        equal(s.get("/x", headers=a)[1]["Access-Control-Allow-Origin"], "https://a.example")
        equal(s.get("/x", headers=b)[1]["Access-Control-Allow-Origin"], None)
        ask = dict(a, **{"Access-Control-Request-Method": "GET"})
        status, fields, _ = s.get("/x", "OPTIONS", ask)  # a preflight carries no password
        equal((status, fields["Access-Control-Allow-Origin"]), (204, "https://a.example"))
    with Serval(folder) as s:
        equal(s.get("/x", headers=a)[1]["Access-Control-Allow-Origin"], None)


@test
def browsers_are_made_careful(folder):
    names = ("X-Frame-Options", "Referrer-Policy", "Cross-Origin-Opener-Policy")
    write(folder + "/x", "1")
    for args, there in (((), False), (("--security-headers", "on"), True)):
        with Serval(folder, *args) as s:
            equal([n in s.get("/x")[1] for n in names], [there] * 3)


@test
def who_asks_too_often_is_told_to_wait(folder):
    with Serval(folder, "--rate", "1/h") as s:
        equal([s.get("/")[0] for _ in range(3)], [200, 429, 429])
    with Serval(folder, "--rate", "3/s") as s:  # a second's worth may come at once
        equal([s.get("/")[0] for _ in range(3)], [200, 200, 200])
    for bad in ("", "x", "10", "/s", "0/s", "-1/s", "10/d", "10/ss", "nan/s"):
        refuses(2, "--rate .*: give requests and a time", "--rate", bad, folder)


@test
def heads_have_a_limit_and_a_deadline(folder):
    with Serval(folder, "--max-header", "1k", "--header-timeout", "300ms") as s:
        equal(s.get("/", headers={"X": "y" * 500})[0], 200)
        equal(s.get("/", headers={"X": "y" * 1100})[0], 431)
        matches(rb"^HTTP/1.1 408 ", s.raw(b"GET / HTTP/1.1\r\nHost:"))


@test
def bodies_for_programs_have_a_limit(folder):
    if "cgi" not in built_in():
        raise Skip("built without cgi")
    os.makedirs(folder + "/bin")
    write(folder + "/bin/count", '#!/bin/sh\nprintf "Content-Type: text/plain\\r\\n\\r\\n"; wc -c\n')
    os.chmod(folder + "/bin/count", 0o755)
    chunked = ("-H", "Transfer-Encoding: chunked")
    with Serval(folder, "--cgi", folder + "/bin", "--max-body", "2k") as s:
        for more in ((), chunked):
            for n, code in ((2048, b"2048 200"), (2049, b"413")):
                out = curl("-s", "-w", " %{http_code}", *more, "--data-binary", "x" * n, s.url("/cgi-bin/count"))
                assert b" ".join(out.split()).endswith(code), (more, n, out)
    refuses(2, "--max-body 0: not a size", "-p0", "--max-body", "0", folder)


@test
def who_wants_to_know_more_is_told(folder):
    for more in (("-v",), ("--error-log", "debug")):
        with Serval(folder, *more, "--max-header", "4k") as s:
            s.stop()
        matches(r"serval: debug: modules, in the order requests pass them: .*fs\n", s.err)
        matches(r"serval: debug: .* 4096 of a head", s.err)
    with Serval(folder) as s:
        s.stop()
    assert "debug" not in s.err, s.err
    refuses(2, "--quiet and --verbose exclude each other", "-p0", "-q", "-v", folder)


@test
def a_connection_that_asks_nothing_more_is_closed(folder):
    write(folder + "/x", "1")
    with Serval(folder, "--idle-timeout", "200ms") as s:
        matches(rb"\r\n\r\n1$", s.raw(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"))


def stuck(s):
    """A connection that has asked for a large file and does not read it."""
    c = socket.socket()
    c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    c.settimeout(DEADLINE)
    c.connect(("127.0.0.1", s.port))
    c.sendall(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
    c.recv(1)
    return c


@test
def a_client_that_takes_nothing_is_given_up(folder):
    with open(folder + "/big", "wb") as file:
        file.truncate(100 << 20)
    with Serval(folder, "--write-timeout", "200ms") as s:
        with contextlib.closing(stuck(s)):
            eventually(lambda: "GET /big" in s.out, "the end of the answer")
    with Serval(folder, "--grace", "200ms") as s:
        with contextlib.closing(stuck(s)):
            s.stop()


@test
def memory_has_a_limit(folder):
    """The head may be long, but not for one connection."""
    env = dict(os.environ, SERVAL_MAX_CONNECTION_MEMORY="256k")
    with Serval(folder, "--max-header", "1m", "--max-memory", "64m", env=env) as s:
        equal(s.get("/", headers={"X": "y" * 10000})[0], 200)
        matches(rb"^HTTP/1.1 431 ", s.raw(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 300000))


@test
def connections_are_counted(folder):
    write(folder + "/x", "1")
    with Serval(folder, "--max-connections", "2", workers="1") as s:
        held = [s.connect() for _ in range(2)]
        for c in held:
            c.sendall(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
            equal(Answers(c).next()[0], 200)
        third = s.connect()
        third.sendall(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
        answers = Answers(third)
        equal(select.select([third], [], [], 0.2)[0], [])
        for c in held:
            c.close()
        equal(answers.next()[0], 200)
        third.close()


@test
def the_kernel_queues_as_many_connections_as_asked(folder):
    if not shutil.which("ss"):
        raise Skip("no ss")
    with Serval(folder, "--backlog", "77") as s:
        out = subprocess.run(["ss", "-Hltn", "sport = :%d" % s.port], stdout=subprocess.PIPE).stdout
        equal(out.split()[2], b"77")


@test
def ports_are_for_this_machine_unless_public(folder):
    with Serval(folder, "-p0", listen=()) as s:
        matches(r"^http://127\.0\.0\.1:\d+/$", s.listen[0])
    for args in (("-p0", "-P"), ("--public", "--port", "0")):
        with Serval(folder, *args, listen=()) as s:
            matches(r"^http://(\[::\]|0\.0\.0\.0):\d+/$", s.listen[0])
            equal(s.get("/")[0], 200)


@test
def the_environment_counts_less_than_the_command_line(folder):
    write(folder + "/.x", "1")
    env = dict(os.environ, SERVAL_DOTFILES="serve", SERVAL_LISTEN="nonsense", SERVAL_LISTING="off",
               SERVAL_PRETTY_URLS="off")
    with Serval(folder, "--listing", "on", env=env) as s:
        equal([s.get(p)[0] for p in ("/.x", "/")], [200, 200])
    refuses(2, "SERVAL_PRETTY_URLS=maybe", folder, env=dict(os.environ, SERVAL_PRETTY_URLS="maybe"))
    refuses(2, "SERVAL_DOTFILES=x: give deny", folder, env=dict(os.environ, SERVAL_DOTFILES="x"))


@test
def mistakes_are_named(folder):
    for args in (("--listing", "x"), ("--dotfiles", "x"), ("--symlinks", "x"), ("--mime", "x"),
                 ("--cache", "x"), ("--error-page", "99=/dev/null"), ("--error-page", "404=/nothing"),
                 ("--precompressed", "x"), ("-H", "x"), ("--index", ","), ("--index", "a/b"),
                 ("--prefix", "x"), ("--prefix", "/x/"), ("--cors", "a.example"), ("--cors", ""),
                 ("--security-headers", "x"), ("--header-timeout", "10x"), ("--idle-timeout", "0"),
                 ("--max-header", "1"), ("--max-memory", "1k"), ("--max-connection-memory", "1k"), ("--max-connections", "0"), ("--backlog", "x"),
                 ("--grace", ""), ("--write-timeout", "-1s")):
        code, out, err = run(*args, folder)
        equal((code, out, err.count("\n")), (2, "", 1), args)


main(needs=("access_log", "basic_auth", "cors", "errors", "fs", "headers", "limits"))
