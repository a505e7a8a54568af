"""The wire scripts about files (tests/wire/files), against the real program over TCP: each sent whole
and in pieces. Fields and bodies are checked in memory (unit/test_wire.c); here it is the statuses, their
number, and that the connection ends or stays as it should."""
import sys
sys.dont_write_bytecode = True
from lib import *

import glob
import random

SCRIPTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../wire/files/*.wire")


def unescape(text):
    out = b""
    while text:
        if text[0] != "\\":
            out, text = out + text[0].encode("latin-1"), text[1:]
        elif text[1] == "{":
            end = re.compile(r"\*(\d+)\}").search(text, 2)
            out, text = out + unescape(text[2:end.start()]) * int(end.group(1)), text[end.end():]
        elif text[1] == "x":
            out, text = out + bytes([int(text[2:4], 16)]), text[4:]
        else:
            out += {"r": b"\r", "n": b"\n", "t": b"\t", "0": b"\0", "s": b" "}.get(
                text[1], text[1].encode())
            text = text[2:]
    return out


def scripts():
    """(name, bytes, statuses of each answer, never) of the scripts that only send."""
    for path in sorted(glob.glob(SCRIPTS)):
        with open(path, encoding="latin-1") as file:
            cases = file.read().split("\n---\n")
        for case in cases:
            name, sent, wanted, never = None, b"", [], []
            for line in case.split("\n"):
                text = line[2:] if line[1:2] == " " else line[1:]
                if line[:1] == "#":
                    name = name or text
                elif line[:1] == ">":
                    goes_on = (len(text) - len(text.rstrip("\\"))) % 2
                    sent += unescape(text[:-1]) if goes_on else unescape(text) + b"\r\n"
                elif re.match(r"< *[1-9]", line):
                    wanted += [[int(status) for status in line[1:].split("|")]]
                elif line.startswith("< never: "):
                    never += [unescape(line[9:])]
                elif line[:1] == "=":
                    name = None
                    break
            if name:
                yield os.path.basename(path) + ": " + name, sent, wanted, never


def make_files(folder):
    for name in ("www/sub", "www-secret"):
        os.makedirs(os.path.join(folder, name))
    for name, text in (("secret", "top secret\n"), ("www-secret/secret", "top secret\n"),
                       ("www/ten", "0123456789"), ("www/empty", ""), ("www/a b", "a blank\n"),
                       ("www/index.html", "<p>index</p>\n"), ("www/sub/page.html", "<p>page</p>\n")):
        write(os.path.join(folder, name), text)
    os.mkfifo(os.path.join(folder, "www/fifo"))
    os.symlink("../secret", os.path.join(folder, "www/out"))
    os.symlink("ten", os.path.join(folder, "www/in"))


def ask(s, sent, pieces):
    with s.connect() as c:
        try:
            if pieces:
                for at in range(0, len(sent), len(sent) // pieces + 1):
                    c.sendall(sent[at:at + len(sent) // pieces + 1])
                    time.sleep(0.0005)
            else:
                c.sendall(sent)
            c.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it may have been refused and closed already
        return read_all(c)


def wrong(data, wanted, never):
    statuses = [int(n) for n in re.findall(rb"HTTP/1\.1 (\d\d\d) ", data)]
    if len(statuses) != len(wanted) or any(got not in one for got, one in zip(statuses, wanted)):
        return "got %r, expected %r" % (statuses, wanted)
    for text in never + [b"smuggled"]:
        if text in data:
            return "%r came back" % text
    return None


@test
def scripts_are_answered_over_tcp_as_in_memory(folder):
    make_files(folder)
    random.seed(1)
    failures, n = [], 0
    with Serval(os.path.join(folder, "www"), "--log", "off") as s:
        for name, sent, wanted, never in scripts():
            n += 1
            for pieces in (0, 2, random.randint(3, 20)):
                why = wrong(ask(s, sent, pieces), wanted, never)
                if why:
                    failures += ["%s, in %d pieces: %s" % (name, pieces, why)]
        equal(ask(s, b"GET /ten HTTP/1.1\r\nHost: x\r\n\r\n", 0)[-10:], b"0123456789")
    assert n > 50, n
    assert not failures, "\n  ".join([""] + failures)


main()
