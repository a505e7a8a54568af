#!/usr/bin/env python3
"""The formats of the access log, written by real requests and read by those who read logs."""
import json
import shlex

from lib import *

HOSTILE = [b"/", b"/x?a=b", b"/%22%5c%0a?q=%00", b'/"quoted"', b"/nothing/here", b"/x?token=s3cret&a=1"]


def ask_all(s):
    """Requests of all kinds; returns how many lines they make."""
    for target in HOSTILE:
        s.raw(b"GET " + target + b" HTTP/1.1\r\nHost: h\r\nUser-Agent: a \"b\" \\ \xe9\xc3\xa9\t=\r\n"
              b"Referer: http://r/?x=y z\r\nConnection: close\r\n\r\n")
    s.raw(b"HEAD /x HTTP/1.0\r\n\r\n")
    s.raw(b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    return len(HOSTILE) + 2


def lines_of(folder, log_format, ask=ask_all, *args):
    write(folder + "/x", "12345")
    path = folder + "/log-of-" + re.sub("[^a-z]", "", log_format)
    with Serval(folder, "--log", log_format, "--log-file", path, *args) as s:
        n = ask(s)
    lines = open(path, encoding="utf-8").read().split("\n")
    equal(lines.pop(), "", "the last line's end")
    equal(len(lines), n, "lines")
    return lines, path


@test
def json_can_be_read_line_by_line(folder):
    def ask(s):
        s.raw(b"\x16\x03\x01\x02\x00\r\n\r\n")  # no request at all
        return ask_all(s) + 1
    lines, _ = lines_of(folder, "json", ask)
    entries = [json.loads(line) for line in lines]
    equal((entries[0]["status"], "path" in entries[0], "dur_us" in entries[0]), (400, False, False))
    for entry in entries[1:]:
        matches(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$", entry["ts"])
        equal((entry["client"], type(entry["dur_us"])), ("127.0.0.1", int))
    one = entries[2]
    equal([one[n] for n in ("method", "host", "path", "query", "proto", "status", "bytes_out", "ua")],
          ["GET", "h", "/x", "a=b", "HTTP/1.1", 200, 5, 'a "b" \\ \ufffd\u00e9\t='])
    equal(entries[6]["query"], "token=...&a=1")
    equal([e["method"] for e in entries[7:]], ["HEAD", "POST"])
    assert "s3cret" not in "".join(lines)


@test
def logfmt_can_be_read_word_by_word(folder):
    lines, _ = lines_of(folder, "logfmt")
    for line in lines:
        entry = dict(word.split("=", 1) for word in shlex.split(line))
        equal(entry["client"], "127.0.0.1")
        assert int(entry["dur_us"]) >= 0 and int(entry["status"]) >= 200, line
    matches(r' path=/x query="a=b" proto=HTTP/1\.1 status=200 bytes_out=5 ', lines[1])
    assert "s3cret" not in "".join(lines)


@test
def a_template_is_filled_in(folder):
    lines, _ = lines_of(folder, "$client $method $path ${status}! ${dur_ms:.2f} $http_referer $$")
    for line in lines:
        matches(r"^127\.0\.0\.1 (GET|HEAD|POST) \S+ \d\d\d! \d+\.\d\d .* \$$", line)
        assert not re.search(r"[\x00-\x1f\x7f-\xff]", line), line
    matches(r" /x 200! \S+ http://r/\?x=y z \$$", lines[1])
    refuses(2, r"there is no \$statu; did you mean \$status\?", "-p0", "--log", "$statu", folder)
    refuses(2, r"--log x: give auto, .* or off, or a template", "-p0", "--log", "x", folder)


@test
def who_has_come_in_is_in_the_log(folder):
    done = subprocess.run([BIN, "hash-password", "anna b"], input=b"p", stdout=subprocess.PIPE,
                          timeout=DEADLINE)
    if done.returncode:
        raise Skip("built without basic_auth")

    def ask(s):
        curl("-u", "anna b:p", s.url("/x"))
        s.get("/x")
        return 2
    for log_format, first, second in (
            ("combined", r'^127\.0\.0\.1 - anna\\x20b \[.*" 200 5 "-" "curl/', r"^127\.0\.0\.1 - - \["),
            ("common", r'^127\.0\.0\.1 - anna\\x20b \[.*" 200 5$', r"^127\.0\.0\.1 - - \["),
            ("json", '"user":"anna b"', '"client":"127.0.0.1","method"'),
            ("logfmt", ' user="anna b" ', " client=127.0.0.1 method="),
            ("user is $user", "^user is anna b$", "^user is -$")):
        lines, _ = lines_of(folder, log_format, ask, "--auth", done.stdout.decode().strip())
        matches(first, lines[0])
        matches(second, lines[1])


GOACCESS = {
    "combined": ["--log-format=COMBINED"],
    "common": ["--log-format=COMMON"],
    "json": ['--log-format={"ts": "%dT%t.%^", "client": "%h", "method": "%m", "path": "%U", '
             '"query": "%q", "proto": "%H", "status": "%s", "bytes_out": "%b", "dur_us": "%D", '
             '"referer": "%R", "ua": "%u"}', "--date-format=%Y-%m-%d", "--time-format=%H:%M:%S"],
}


@test
def goaccess_reads_every_line(folder):
    if not shutil.which("goaccess"):
        raise Skip("no goaccess")
    for log_format, args in GOACCESS.items():
        lines, path = lines_of(folder, log_format)
        report = folder + "/report.json"
        subprocess.run(["goaccess", path, "-o", report, "--no-global-config", *args], check=True,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                       timeout=DEADLINE)
        general = json.load(open(report))["general"]
        equal((general["valid_requests"], general["failed_requests"]), (len(lines), 0), log_format)


@test
def colours_can_be_switched_off(folder):
    write(folder + "/x", "12345")

    def ask(text):
        curl("-o", "/dev/null", re.search(r"(http://127\.0\.0\.1:\d+/)", text).group(1) + "x")
        return "GET   /x"
    env = dict(os.environ, TERM="xterm")
    env.pop("NO_COLOR", None)
    for args, colours in (([], True), (["--no-color"], False)):
        code, text = on_terminal(["-p0", *args, folder], "Ctrl-C", ask, env)
        equal((code, "\x1b[32m200" in text), (0, colours))


main()
