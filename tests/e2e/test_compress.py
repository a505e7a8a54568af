#!/usr/bin/env python3
"""Compressed answers of the program, read by clients that are not ours."""
import gzip
import os
import random
import subprocess

from lib import DEADLINE, Serval, Skip, equal, main, refuses, run, test, write


def text_of(size):
    words = random.Random(1)
    return "".join(words.choice(["serval ", "otter ", "lynx\n", "<b>", "</b>"]) for _ in range(size // 4))[:size]


def curl(server, path, *args):
    """(head, body) as curl has them."""
    done = subprocess.run(["curl", "-s", "-S", "-i", "--max-time", str(DEADLINE), *args,
                           "http://127.0.0.1:%d%s" % (server.port, path)],
                          stdout=subprocess.PIPE, check=True)
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    return head.decode().lower(), body


def built_in():
    _, out, _ = run("--modules")
    if "\ncompress " not in "\n" + out:
        raise Skip("built without the compress module")


@test
def curl_understands_every_coding_it_knows(folder):
    built_in()
    sizes = (300, 100_000, 3_000_000)
    for size in sizes:
        write(os.path.join(folder, "%d.html" % size), text_of(size))
    features = subprocess.run(["curl", "--version"], stdout=subprocess.PIPE, check=True).stdout.decode()
    with Serval(folder) as server:
        for feature, coding in (("libz", "gzip"), ("libz", "deflate"), ("brotli", "br"), ("zstd", "zstd")):
            if feature not in features:
                continue
            for size in sizes:
                for _ in range(2):  # the second one is kept
                    head, body = curl(server, "/%d.html" % size, "--compressed", "-H",
                                      "Accept-Encoding: " + coding)
                    if "content-encoding: " not in head:  # not built in
                        continue
                    assert "content-encoding: " + coding in head, head
                    assert "vary: accept-encoding" in head, head
                    equal(body.decode(), text_of(size), "%s of %d" % (coding, size))


@test
def a_resumed_download_and_a_revalidation_are_of_the_right_bytes(folder):
    built_in()
    write(os.path.join(folder, "a.txt"), text_of(100_000))
    with Serval(folder) as server:
        head, body = curl(server, "/a.txt", "-H", "Accept-Encoding: gzip")
        equal(gzip.decompress(body).decode(), text_of(100_000))
        tag = [line.split(": ", 1)[1] for line in head.split("\r\n") if line.startswith("etag: ")][0]
        assert tag.startswith("w/"), tag
        head, _ = curl(server, "/a.txt", "-H", "Accept-Encoding: gzip", "-H",
                       "If-None-Match: " + tag.replace("w/", "W/"))
        assert " 304 " in head.split("\r\n")[0], head
        head, body = curl(server, "/a.txt", "-H", "Accept-Encoding: gzip", "-C", "99990")
        assert " 206 " in head.split("\r\n")[0] and "content-encoding" not in head, head
        equal(body.decode(), text_of(100_000)[99990:])


@test
def codings_are_chosen_on_the_command_line(folder):
    built_in()
    write(os.path.join(folder, "a.txt"), text_of(1000))
    with Serval(folder, "-z", "deflate, gzip") as server:
        head, _ = curl(server, "/a.txt", "-H", "Accept-Encoding: gzip, br, deflate")
        assert "content-encoding: deflate" in head, head
    with Serval(folder, "--compress", "off") as server:
        head, body = curl(server, "/a.txt", "-H", "Accept-Encoding: gzip, br, deflate")
        assert "content-encoding" not in head and "vary" not in head, head
        equal(body.decode(), text_of(1000))
    refuses(2, "lzma", "--compress", "gzip,lzma", folder)


@test
def precompress_writes_files_that_others_can_read(folder):
    built_in()
    write(os.path.join(folder, "a.txt"), text_of(10_000))
    status, out, err = run("precompress", "-z", "gzip", folder)
    equal((status, err), (0, ""))
    assert out.startswith("1 file: 1 sidecar written"), out
    with gzip.open(os.path.join(folder, "a.txt.gz")) as file:
        equal(file.read().decode(), text_of(10_000))
    equal(os.stat(os.path.join(folder, "a.txt.gz")).st_mtime_ns,
          os.stat(os.path.join(folder, "a.txt")).st_mtime_ns)
    status, out, _ = run("precompress", "-q", folder)
    equal((status, out), (0, ""))
    refuses(2, "give a DIR", "precompress")
    refuses(2, "No such file", "precompress", os.path.join(folder, "missing"))


main()
