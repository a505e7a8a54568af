"""Thousands of connections that stall, trickle, stop reading, half-close and reset, while a normal
client has to be served soon."""
import sys
sys.dont_write_bytecode = True
from lib import *

import resource

GET = b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n"
BIG = GET.replace(b"/x", b"/big")
SOON = 5.0  # seconds: a second on a machine of its own, more under sanitizers and among other tests


def many():
    """How many connections this machine lets us have, at most 2000."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return min(2000, (hard if hard > 0 else 65536) // 4)


def impatient(s):
    """Asks like a normal client, over a new connection: how long that took."""
    begin = time.monotonic()
    status, _, body = s.get("/x")
    equal((status, body), (200, b"body"))
    return time.monotonic() - begin


def served_soon(s, what, times=20):
    worst = max(impatient(s) for _ in range(times))
    print("      %s: worst answer after %.1f ms" % (what, worst * 1000))
    assert worst < SOON, "%s: an answer took %.3f s" % (what, worst)


def crowd(s, n, first):
    """n connections, each of which has sent `first`."""
    clients = []
    for _ in range(n):
        c = s.connect()
        c.sendall(first)
        clients += [c]
    return clients


def trickle(clients, rounds, s, what):
    for _ in range(rounds):
        for c in clients:
            try:
                c.send(b"a")
            except OSError:
                pass
        served_soon(s, what, 3)


def memory(s):
    """Resident bytes of the server."""
    with open("/proc/%d/statm" % s.pid) as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def leave(clients):
    for number, c in enumerate(clients):
        reset(c) if number % 2 else c.close()


@test
def clients_that_stall_do_not_keep_others_from_being_served(folder):
    write(folder + "/x", "body")
    n = many() // 4
    with Serval(folder, "--log", "off") as s:
        idle = crowd(s, n, b"")
        heads = crowd(s, n, GET[:-5])
        bodies = crowd(s, n, b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        kept = crowd(s, n, GET)
        served_soon(s, "%d stalled clients" % (4 * n))
        trickle(heads + bodies, 3, s, "%d trickling clients" % (2 * n))
        leave(idle + heads + bodies + kept)
        served_soon(s, "after they have left")


@test
def clients_that_do_not_read_do_not_keep_others_from_being_served(folder):
    write(folder + "/x", "body")
    write(folder + "/big", b"b" * 3000000)
    n = many() // 20  # their answers fill the kernel's buffers, which takes its time
    with Serval(folder, "--log", "off") as s:
        before = memory(s)
        clients = crowd(s, n, BIG)
        pipelining = crowd(s, n // 4, GET * 100)
        served_soon(s, "%d clients that do not read" % len(clients + pipelining))
        each = (memory(s) - before) / len(clients + pipelining)
        print("      %.0f bytes of memory each" % each)
        assert SANITIZED or each < 200000, each
        leave(clients + pipelining)
        served_soon(s, "after they have left")


@test
def clients_that_come_and_go_do_not_keep_others_from_being_served(folder):
    write(folder + "/x", "body")
    write(folder + "/big", b"b" * 3000000)
    with Serval(folder, "--log", "off") as s:
        served_soon(s, "nobody else")
        for number in range(many()):
            c = s.connect()
            c.sendall((GET, BIG, GET[:20], b"", GET * 50, b"\x00" * 100)[number % 6])
            if number % 3 == 0:
                c.shutdown(socket.SHUT_WR)
            reset(c) if number % 2 else c.close()
            if number % 200 == 0:
                served_soon(s, "resets and closes", 1)
        eventually(lambda: len(os.listdir("/proc/%d/fd" % s.pid)) < 100, "descriptors given back")
        served_soon(s, "after them all")


@test
def a_head_that_trickles_is_answered_408_in_the_end(folder):
    write(folder + "/x", "body")
    with Serval(folder, "--log", "off") as s:
        clients = crowd(s, 50, GET[:-4] + b"\r\nA: ")
        begin = time.monotonic()
        while time.monotonic() - begin < 12:
            for c in clients:
                try:
                    c.send(b"a")
                except OSError:
                    pass
            time.sleep(0.5)
        for c in clients:
            data = read_all(c)
            assert data == b"" or b" 408 " in data[:13], data[:50]
            c.close()
        served_soon(s, "after slow heads")


main()
