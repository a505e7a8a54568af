"""The command line: every option, and what is said about bad input."""
import sys
sys.dont_write_bytecode = True
from lib import *

NEVER = r"(?!)"
ADDRESSES_THAT_ARE_NONE = [
    "", "nonsense", "127.0.0.1:", "127.0.0.1:99999", "127.0.0.1:80x", "127.0.0.1:-1", "1.2.3:80",
    "1.2.3.4.5:80", "[::1", "[::1]", "[::1]:", "[::1]80", "[::g]:80", "::1:80x", "65536", "-1", "unix:",
    "fd:", "fd:x", "fd:-1", "unix:/tmp/x.sock,mode=", "unix:/tmp/x.sock,mode=999",
    "unix:/tmp/x.sock,color=red", "unix:/" + "x" * 200,
]


@test
def help_fits_a_screen_or_names_every_option(folder):
    common = ["-l, --listen", "-p, --port", "--log", "-q, --quiet", "-h, --help", "--version", "examples:"]
    rare = ["--workers", "--log-file", "--modules", "--index", "--immutable", "SERVAL_LISTEN"]
    for flag, names, lines in (("-h", common, 24), ("--help", common + rare, 200)):
        code, out, err = run(flag)
        equal((code, err), (0, ""))
        assert out.count("\n") <= lines, "%d lines" % out.count("\n")
        assert max(map(len, out.split("\n"))) <= 100, "too wide"
        for name in names:
            assert name in out, name


@test
def version_is_one_line(folder):
    code, out, err = run("--version")
    equal((code, err), (0, ""))
    matches(r"^serval \d+\.\d+\.\d+\n$", out)


@test
def modules_are_listed_with_a_summary(folder):
    code, out, err = run("--modules")
    equal((code, err), (0, ""))
    for name in ("access_log", "fs", "skeleton"):
        matches(r"(?m)^%s +\S+ \S+" % name, out)


@test
def an_unknown_option_gets_one_line_with_the_nearest_one(folder):
    refuses(2, r"^serval: error\[[UCN]\d+\]: unknown option --lisen; did you mean --listen\?", "--lisen", "8080")
    refuses(2, r"^serval: error\[[UCN]\d+\]: unknown option --log-flie; did you mean --log-file\?", "--log-flie=x")
    refuses(2, r"^serval: error\[[UCN]\d+\]: unknown option --frobnicate \(serval --help", "--frobnicate")
    refuses(2, r"^serval: error\[[UCN]\d+\]: unknown option -Z ", "-Z")


@test
def mistakes_have_codes_that_the_docs_list(folder):
    write(folder + "/file", "x")
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        for status, code, args in (
                (2, "U001", ("--frobnicate",)), (2, "U001", ("--log",)), (2, "U002", (folder + "/nothing",)),
                (2, "U003", ("-q", "-v")), (2, "C001", ("--sort", "x")), (2, "C003", ("-l", "127.0.0.1:x")),
                (2, "C003", ("-p0", "--index", "a/b")), (3, "N001", ("-l", "192.0.2.1:0")),
                (3, "N002", ("-l", "127.0.0.1:%d" % taken.getsockname()[1])),
                (3, "N003", ("-p0", "--pid-file", folder + "/none/pid"))):
            refuses(status, r"^serval: error\[%s\]: " % code, *args)
    refuses(2, r"^serval: error\[C002\]: SERVAL_SORT=x: ", "-p0", env=dict(os.environ, SERVAL_SORT="x"))
    with open(SOURCE + "/core/cli/cli.h") as header, open(SOURCE + "/docs/program.md") as docs:
        codes = re.findall(r'X\(SVL_CLI_\w+, "(\w+)"', header.read())
        equal(re.findall(r"(?m)^\| ([A-Z]\d{3}) \|", docs.read()), codes)
    equal(len(codes), len(set(codes)))


@test
def a_value_that_is_missing_or_too_much_is_said(folder):
    refuses(2, r"--listen needs a value: --listen ADDR", "--listen")
    refuses(2, r"--port needs a value", "-p")
    refuses(2, r"--quiet takes no value", "--quiet=yes")


@test
def a_bad_number_is_said(folder):
    for bad in ("", "x", "-1", "80x", "65536", "99999999999999999999999", " 80", "0x50"):
        refuses(2, r"--port %s: not a port" % (re.escape(bad) or "''"), "--port=" + bad, folder)
    for bad in ("", "0", "-1", "two", "1000000"):
        refuses(2, r"--workers %s: .*auto" % (re.escape(bad) or "''"), "--workers=" + bad, folder)
    refuses(2, r"--log xml: .*combined", "--log", "xml", folder)


@test
def a_bad_address_is_said_and_nothing_is_started(folder):
    first = folder + "/first.sock"
    for bad in ADDRESSES_THAT_ARE_NONE:
        refuses(2, re.escape(bad) or "port", "-l", "unix:" + first, "-l", bad, folder)
        assert not os.path.exists(first), "%r left a socket behind" % bad


@test
def too_many_addresses_are_said(folder):
    refuses(2, "too many", *["-p0"] * 17, folder)


@test
def a_folder_that_is_not_there_or_is_none_is_said(folder):
    write(folder + "/file", "x")
    refuses(2, r"^serval: error\[[UCN]\d+\]: .*/nothing: No such", "-p0", folder + "/nothing")
    refuses(2, r"^serval: error\[[UCN]\d+\]: /dev/null: is neither a folder nor a file", "-p0", "/dev/null")
    refuses(2, r"^serval: error\[[UCN]\d+\]: .*/file/: ", "-p0", folder + "/file/")
    refuses(2, r"^serval: error\[[UCN]\d+\]: .*/file/x: ", "-p0", folder + "/file/x")
    refuses(2, r"^serval: error\[[UCN]\d+\]: two: one DIR.FILE is enough", folder, "two")
    refuses(2, r"^serval: error\[[UCN]\d+\]: ", "-p0", "")


@test
def a_folder_that_may_not_be_read_is_said(folder):
    become = need_nobody()
    for mode in (0o000, 0o700 if become else 0o000):
        os.mkdir(folder + "/%o" % mode, 0o777)
        os.chmod(folder + "/%o" % mode, mode)
        refuses(3, r"^serval: error\[[UCN]\d+\]: .*: Permission denied", "-p0", folder + "/%o" % mode, preexec_fn=become)
        if not become:
            break


@test
def a_port_in_use_is_said_with_the_process_that_holds_it(folder):
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        refuses(3, r"127\.0\.0\.1:%d.*\b%d\b.*python" % (port, os.getpid()), "-p", str(port), folder)
        first = folder + "/first.sock"
        refuses(3, "127", "-l", "unix:" + first, "-p", str(port), folder)
        assert not os.path.exists(first), "a socket was left behind"


@test
def two_servals_do_not_share_a_port(folder):
    with Serval(folder) as s:
        refuses(3, r"127\.0\.0\.1:%d.*\b%d\b.*serval" % (s.port, s.pid), "-p", str(s.port), folder)
        equal(s.get()[0] in (200, 403, 404), True)


@test
def an_address_of_another_machine_is_said(folder):
    refuses(3, r"192\.0\.2\.1", "-l", "192.0.2.1:0", folder)


@test
def a_socket_where_nobody_may_write_is_said(folder):
    become = need_nobody()
    os.mkdir(folder + "/locked", 0o755 if become else 0o555)
    refuses(3, "locked/x.sock.*ermission", "-l", "unix:%s/locked/x.sock" % folder, folder,
            preexec_fn=become)


@test
def a_unix_socket_in_a_missing_folder_is_said(folder):
    code, out, err = run("-l", "unix:%s/none/x.sock" % folder, folder)
    assert code in (2, 3), code
    equal(err.count("\n"), 1)
    assert "none/x.sock" in err


@test
def a_file_is_not_mistaken_for_an_old_socket(folder):
    write(folder + "/precious", "data")
    code, out, err = run("-l", "unix:%s/precious" % folder, folder)
    equal(code, 3)
    equal(open(folder + "/precious").read(), "data")


@test
def a_log_file_that_cannot_be_opened_is_said(folder):
    code, out, err = run("-p0", "--log-file", folder + "/none/x.log", folder)
    assert code in (2, 3), code
    equal(err.count("\n"), 1)
    assert "none/x.log" in err
    code, out, err = run("-p0", "--log-file", folder, folder)
    assert code in (2, 3) and err.count("\n") == 1, err


@test
def a_descriptor_that_is_no_listening_socket_is_said(folder):
    refuses(2, "fd:77", "-l", "fd:77", folder)
    with open("/dev/null") as file:
        code, out, err = run("-l", "fd:%d" % file.fileno(), folder, pass_fds=[file.fileno()])
        assert code in (2, 3) and err.count("\n") == 1, (code, err)
    with socket.socket() as s:
        code, out, err = run("-l", "fd:%d" % s.fileno(), folder, pass_fds=[s.fileno()])
        assert code in (2, 3) and err.count("\n") == 1, (code, err)


@test
def the_ready_line_can_be_read_by_programs(folder):
    root = folder + '/a "b" = c'
    os.mkdir(root)
    with Serval(root, listen=("127.0.0.1:0", "127.0.0.1:0", "unix:%s/x.sock" % folder)) as s:
        equal(len(s.listen), 3)
        assert s.listen[0] != s.listen[1]
        matches(r"^http://127\.0\.0\.1:\d+/$", s.listen[0])
        equal(s.listen[2], "unix:%s/x.sock" % folder)
        equal(s.ready["pid"], str(s.pid))
        equal(s.ready["root"], '"%s"' % os.path.realpath(root).replace('"', '\\"'))
        matches(r"^\d+\.\d+\.\d+$", s.ready["version"])
        for address in s.listen[:2]:
            port = int(address.rsplit(":", 1)[1].strip("/"))
            socket.create_connection(("127.0.0.1", port), timeout=DEADLINE).close()


@test
def port_zero_is_any_free_one_and_a_port_is_that_port(folder):
    with Serval(folder, "-p", "0", listen=()) as s:
        port = s.port
        assert port > 0
    with Serval(folder, "-p%d" % port, listen=()) as s:
        equal(s.port, port)


@test
def a_bare_port_is_all_interfaces(folder):
    write(folder + "/x", "here")
    with Serval(folder) as s:
        free = s.port
    for address in ("%d", ":%d"):
        with Serval(folder, listen=(address % free,)):
            for host in ("127.0.0.1", "127.0.0.2"):
                equal(curl("http://%s:%d/x" % (host, free)), b"here")
            if socket.has_ipv6 and have_ipv6():
                equal(curl("http://[::1]:%d/x" % free), b"here")


def have_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        return True
    except OSError:
        return False


@test
def ipv6_is_served(folder):
    if not have_ipv6():
        raise Skip("this machine has no IPv6")
    write(folder + "/x", "six")
    with Serval(folder, listen=("[::1]:0",)) as s:
        matches(r"^http://\[::1\]:\d+/$", s.listen[0])
        equal(curl(s.listen[0] + "x"), b"six")
        eventually(lambda: '::1 - - [' in s.out, "a log line")


@test
def a_unix_socket_has_its_mode_and_goes_away_at_the_end(folder):
    write(folder + "/x", "unix")
    path = folder + "/web.sock"
    for mode in ("660", "600", "666"):
        with Serval(folder, listen=("unix:%s,mode=%s" % (path, mode),)) as s:
            equal("%o" % (os.stat(path).st_mode & 0o777), mode)
            equal(curl("--unix-socket", path, "http://localhost/x"), b"unix")
            eventually(lambda: s.out.count("\n") == 2, "a log line")
            matches(r'\nunix - - \[.*\] "GET /x HTTP/1.1" 200 4 ', s.out)
        assert not os.path.exists(path), "the socket is still there"


@test
def a_unix_socket_of_a_server_that_crashed_is_taken_over(folder):
    path = folder + "/web.sock"
    old = socket.socket(socket.AF_UNIX)
    old.bind(path)
    old.close()
    write(folder + "/x", "unix")
    with Serval(folder, listen=("unix:" + path,)):
        equal(curl("--unix-socket", path, "http://localhost/x"), b"unix")
        code, out, err = run("-l", "unix:" + path, folder)  # but not one that is in use
        equal(code, 3)
        equal(curl("--unix-socket", path, "http://localhost/x"), b"unix")


@test
def an_inherited_socket_is_served(folder):
    write(folder + "/x", "inherited")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port, fd = listener.getsockname()[1], listener.fileno()

        def as_three():
            os.dup2(fd, 3)
        with Serval(folder, listen=("fd:3",), pass_fds=[3, fd] if fd != 3 else [3],
                    preexec_fn=as_three if fd != 3 else None):
            equal(curl("http://127.0.0.1:%d/x" % port), b"inherited")


@test
def quiet_says_nothing(folder):
    write(folder + "/x", "quiet")
    path = folder + "/q.sock"
    with Serval(folder, "-q", listen=("unix:" + path,), wait=False) as s:
        eventually(lambda: os.path.exists(path), "a socket")
        equal(curl("--unix-socket", path, "--retry", "20", "--retry-connrefused",
                   "http://localhost/x"), b"quiet")
    equal((s.out, s.err), ("", ""))


@test
def the_log_may_be_off_or_go_to_a_file(folder):
    write(folder + "/x", "12345")
    with Serval(folder, "--log", "off") as s:
        s.get("/x")
    equal(s.out, s.out.split("\n")[0] + "\nevent=draining\n")
    log = folder + "/access.log"
    for n in (1, 2):  # the second one appends
        with Serval(folder, "--log-file", log) as s:
            s.get("/x", headers={"Referer": "http://a/", "User-Agent": 'b "c" \\ \xe9'})
            s.get("/nothing%22here?q=%0a")
        assert "GET" not in s.out
        lines = open(log).read().split("\n")
        equal(len(lines), 2 * n + 1)
    matches(r'^127\.0\.0\.1 - - \[\d\d/[A-Z][a-z][a-z]/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] '
            r'"GET /x HTTP/1\.1" 200 5 "http://a/" "b \\x22c\\x22 \\x5c \\xe9"$', lines[0])
    matches(r'"GET /nothing%22here\?q=%0a HTTP/1\.1" 404 \d+ "-" "-"$', lines[1])


@test
def refused_messages_are_logged_and_cannot_forge_lines(folder):
    with Serval(folder) as s:
        s.raw(b"GET /\x1b[2J\x07 HTTP/1.1\r\nHost: x\r\n\r\n")
        s.raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        s.raw(b'GET /" 200 1 "-" "-" HTTP/1.1\r\nHost: x\r\n\r\n')
        s.raw(b"GET / HTTP/1.1\r\nHost: x\r\nUser-Agent: a\nb\r\n\r\n")
    for line in s.out.split("\n")[1:-2]:
        if line == "event=draining":
            continue
        matches(r'^127\.0\.0\.1 - - \[[^]]+\] "[^"]*" \d\d\d \d+ "[^"]*" "[^"]*"$', line)
        assert not re.search(r"[\x00-\x1f\x7f-\xff]", line), line
    assert s.out.count('" 400 ') >= 3, s.out


@test
def a_log_that_nobody_reads_does_not_stop_the_server(folder):
    matches("lines dropped", nobody_reads(folder))
    equal(nobody_reads(folder, "--error-log", "alert"), "")  # that is only a warning


def nobody_reads(folder, *args):
    """Serves with a log that blocks; returns what was said on stderr."""
    write(folder + "/x", "x")
    reader, writer = os.pipe()
    process = subprocess.Popen([BIN, "-l", "unix:%s/l.sock" % folder, *args, folder], stdout=writer,
                               stderr=subprocess.PIPE)
    os.close(writer)
    try:
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(DEADLINE)
            # It is there a little before anybody listens.
            eventually(lambda: s.connect_ex(folder + "/l.sock") == 0, "a socket")
            answers = Answers(s)
            for _ in range(200):  # about 2 MB of log, the pipe holds 64 KiB
                s.sendall((b"GET /x HTTP/1.1\r\nHost: x\r\nUser-Agent: " + b"u" * 500 + b"\r\n\r\n") * 20)
                for _ in range(20):
                    equal(answers.next()[2], b"x")
        process.send_signal(signal.SIGTERM)
        equal(wait_for(process), 0)
        return process.stderr.read().decode()
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
        os.close(reader)


@test
def closed_standard_descriptors_do_no_harm(folder):
    write(folder + "/x", "x")
    path = folder + "/c.sock"

    def close_all():
        for fd in (0, 1, 2):
            os.close(fd)
    process = subprocess.Popen([BIN, "-l", "unix:" + path, folder], preexec_fn=close_all)
    try:
        eventually(lambda: os.path.exists(path), "a socket")
        equal(curl("--unix-socket", path, "--retry", "20", "--retry-connrefused",
                   "http://localhost/x"), b"x")
        process.terminate()
        equal(wait_for(process), 0)
    finally:
        process.kill()
        process.wait()


@test
def on_a_terminal_people_get_a_link_and_a_pretty_log(folder):
    write(folder + "/x", "x" * 12345)
    seen = {}

    def ask(text):
        seen["url"] = re.search(r"➜.*?(http://127\.0\.0\.1:\d+/)", text).group(1)
        curl("-o", "/dev/null", seen["url"] + "x")
        return r"12\.3 kB"
    env = dict(os.environ, TERM="xterm")
    env.pop("NO_COLOR", None)
    code, text = on_terminal(["-p0", folder], r"Ctrl-C", ask, env)
    equal(code, 0)
    matches(r"^serval \d+\.\d+\.\d+  serving %s" % re.escape(folder), text)
    matches(r"\n  ➜ local    http://127\.0\.0\.1:\d+/\n", text)
    matches(r"\n  cache revalidate · compress br,zstd,gzip,deflate · \d+ workers? · q or Ctrl-C stops,", text)
    matches(r"\nanswered 1 request on 1 connection in \d+ s\n$", text)
    matches(r"\n\d\d:\d\d:\d\d  \x1b\[32m200\x1b\[0m  GET   /x +12\.3 kB +\S+ ms  127\.0\.0\.1\n", text)
    assert "draining" in text
    for quiet in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        code, text = on_terminal(["-p0", folder], r"Ctrl-C", ask, dict(env, **quiet))
        equal(code, 0)
        matches(r"\n\d\d:\d\d:\d\d  200  GET   /x +12\.3 kB ", text)
        assert "\x1b" not in text


def machine_has_an_address():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect(("192.0.2.99", 9))  # sends nothing
            return not s.getsockname()[0].startswith("127.")
        except OSError:
            return False


@test
def people_are_told_who_can_reach_the_folder(folder):
    for args, pattern in (([], r"➜ network  off; --public shares it on \S+\n"),
                          (["--public"], r"➜ local    http://127\.0\.0\.1:\d+/\n"
                                         r"  ➜ network  http://(?!127|0\.|\[::)\S+:\d+/\n"),
                          (["-l", "unix:%s/x.sock" % folder], r"➜ socket   unix:/")):
        if "network" in pattern and not machine_has_an_address():
            continue
        code, text = on_terminal([*args, *([] if "-l" in args else ["-p0"]), folder], "Ctrl-C")
        equal(code, 0)
        matches(pattern, text)
        equal("--public shares" in text, not args)


@test
def there_are_as_many_workers_as_asked_for(folder):
    for n in ("1", "3"):
        code, text = on_terminal(["-p0", "--workers", n, folder], "Ctrl-C")
        equal(code, 0)
        matches(r" · %s workers? · " % n, text)


@test
def people_are_told_what_a_stop_waits_for(folder):
    with open(folder + "/big", "wb") as file:
        file.truncate(100 << 20)
    held = []

    def hold(text):
        port = int(re.search(r"http://127\.0\.0\.1:(\d+)/", text).group(1))
        c = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE)
        c.sendall(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
        c.recv(1)
        held.append(c)
    code, text = on_terminal(["-p0", "--grace", "200ms", "--log", "off", folder], "Ctrl-C", hold)
    equal(code, 0)
    matches("draining: 1 connection is open; Ctrl-C stops at once", text)
    held[0].close()


@test
def keys_stop_and_show(folder):
    code, text = on_terminal(["-p0", "--log", "off", folder], "answered 0 requests",
                             typed=[(r"shows a QR code\r", "xrq")])
    equal(code, 0)
    matches(r"no QR code: only this machine can reach it; --public shares it", text)
    matches(r"draining: nothing is open\n", text)


@test
def the_address_for_others_is_a_picture(folder):
    if not machine_has_an_address():
        raise Skip("no network")
    env = dict(os.environ, NO_COLOR="1")
    code, text = on_terminal(["-p0", "--public", "--qr", folder], r"  http://\S+\r\n$", env=env)
    equal(code, 0)
    if "without libqrencode" in text:
        raise Skip("built without libqrencode")
    rows = [line[2:] for line in text.split("\n") if "█" in line]
    equal({len(row) for row in rows}, {2 * len(rows) - 1})  # a square: a line is two rows
    equal(rows[1][2:9], " ▄▄▄▄▄ ")  # the mark in its corner
    matches(r"\n  http://(?!127)\S+/\n", text)


def number_in(path):
    with open(path) as file:
        return int(file.read())


@test
def the_pid_file_is_there_while_it_runs(folder):
    path = folder + "/pid"
    with Serval(folder, "--pid-file", path) as s:
        equal(number_in(path), s.process.pid)
    equal(os.listdir(folder), [])
    with Serval(folder, "--pid-file", path):
        write(path, "1\n")  # another one that was started meanwhile
    equal(number_in(path), 1)
    refuses(3, r"^serval: error\[[UCN]\d+\]: --pid-file .*/none/pid: No such file or directory; give a path in a folder",
            "-p0", "--pid-file", folder + "/none/pid", folder)


@test
def the_config_says_where_it_is_from(folder):
    env = dict(os.environ, SERVAL_LOG="json", SERVAL_PORT="1", SERVAL_PRETTY_URLS="on")
    code, out, _ = run("--print-config", "-p", "8", "--port", "9", "--cors=https://a", "--cors=https://b",
                       "--auth", "u:$2y$05$" + "a" * 53, folder, env=env)
    equal(code, 0)
    lines = [re.split(r" +(?:# )?", line) for line in out.split("\n")]
    assert ["port", "8", "command", "line"] in lines and ["port", "9", "command", "line"] in lines
    assert ["log", "json", "SERVAL_LOG"] in lines and ["pretty-urls", "on", "SERVAL_PRETTY_URLS"] in lines
    assert ["strict-port", "off", "default"] in lines and ["index", "index.html", "default"] in lines
    assert ["cors", "https://a", "command", "line"] in lines and ["cors", "https://b", "command", "line"] in lines
    assert ["auth", "u:***", "command", "line"] in lines and "$2y" not in out
    assert not [line for line in lines if line[0] == "listen"], "ports were given"


@test
def the_browser_is_opened_when_asked_for(folder):
    os.mkdir(folder + "/bin")
    write(folder + "/bin/xdg-open", '#!/bin/sh\necho "$@" >%s/new && mv %s/new %s/opened\n' % ((folder,) * 3))
    os.chmod(folder + "/bin/xdg-open", 0o755)
    env = dict(os.environ, PATH=folder + "/bin:" + os.environ["PATH"])
    for args in ([], ["--public"]):
        with Serval(folder, "-p0", "--open", *args, listen=(), env=env) as s:
            eventually(lambda: os.path.exists(folder + "/opened"), "a browser")
            equal(open(folder + "/opened").read(), s.url() + "\n")
        os.unlink(folder + "/opened")
    with Serval(folder, "-p0", "--open", listen=(), env=dict(env, PATH=folder)) as s:
        eventually(lambda: "--open: xdg-open: No such file" in s.err, "a complaint")


@test
def the_manual_page_has_every_option_and_no_mistakes(folder):
    code, page, err = run("man")
    equal((code, err), (0, ""))
    code, text, _ = run("--help")
    names = re.findall(r"(?m)^ +(?:-\w, )?--([a-z-]+)", text)
    assert len(names) > 20, names
    for name in names:
        assert name.replace("-", "\\-") in page, name
    if not shutil.which("mandoc"):
        raise Skip("no mandoc")
    done = subprocess.run(["mandoc", "-T", "lint"], input=page.encode(), stdout=subprocess.PIPE)
    equal((done.returncode, done.stdout.decode()), (0, ""))


@test
def a_command_that_is_nearly_there_is_named(folder):
    refuses(2, r"^serval: error\[[UCN]\d+\]: precompres: No such file or directory; did you mean the command precompress\?",
            "precompres")
    refuses(2, r"^serval: error\[[UCN]\d+\]: completions: give a SHELL \(serval completions --help\)", "completions")
    refuses(2, r"^serval: error\[[UCN]\d+\]: completions: csh: give bash, zsh or fish", "completions", "csh")
    refuses(2, r"^serval: error\[[UCN]\d+\]: precompress: unknown option --spa \(serval precompress --help\)",
            "precompress", "--spa", "x")
    for command in ("precompress", "completions", "man", "hash-password"):
        code, out, err = run(command, "-h")
        equal((code, err), (0, ""))
        matches("^usage: serval %s " % command, out)


@test
def a_folder_that_is_called_like_a_command_is_served_by_its_path(folder):
    os.mkdir(folder + "/man")
    write(folder + "/man/x", "folder")
    with Serval("./man", cwd=folder) as s:
        equal(s.get("/x")[2], b"folder")


@test
def on_a_terminal_a_taken_default_port_gives_the_next_one(folder):
    holder = None
    try:
        holder = socket.create_server(("127.0.0.1", 8080))
    except OSError:
        pass  # somebody else holds it, which is as good
    try:
        code, text = on_terminal([folder], r"Ctrl-C")
        equal(code, 0, text)
        port = int(re.search(r"➜.*?http://127\.0\.0\.1:(\d+)/", text).group(1))
        assert 8081 <= port <= 8099, text
        assert "8080" in text, "it does not say why"
        if holder:
            assert str(os.getpid()) in text, text
        refuses(3, "127.0.0.1:8080", folder)  # not on a terminal: no surprises
        for args in (["-p8080"], ["--strict-port"]):  # asked for: no other
            code, text = on_terminal([*args, folder], NEVER)
            equal(code, 3, text)
    finally:
        if holder:
            holder.close()


main()
