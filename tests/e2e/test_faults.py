"""The system misbehaves as it may: calls that are cut short, interrupted or put off, full disks, a clock that
jumps, no memory, no threads. tests/faults/faults.c, preloaded, makes it do so. Nothing of it may reach a
client but as an answer that is whole, or as a connection that was closed before it."""
import sys
sys.dont_write_bytecode = True
from lib import *

import hashlib

LIBRARY = os.path.join(os.environ.get("SERVAL_BUILD") or os.path.dirname(os.path.abspath(BIN)),
                       "tests/libserval_faults.so")
SIZES = {"empty": 0, "one": 1, "small": 700, "copied": 16384, "sent": 16385, "page": 100000, "big": 3000000}


def with_faults(faults):
    if not os.path.exists(LIBRARY):
        raise Skip("no " + LIBRARY)
    env = dict(os.environ, LD_PRELOAD=LIBRARY, FAULTS=faults)
    env["ASAN_OPTIONS"] = env.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
    return env


def fill(folder):
    for number, (name, size) in enumerate(SIZES.items()):
        block = hashlib.sha256(b"%d" % number).digest()
        write("%s/%s" % (folder, name), (block * (size // 32 + 1))[:size])


def content(folder, name):
    with open("%s/%s" % (folder, name), "rb") as file:
        return file.read()


def fetch_all(s, folder, rounds, wrong):
    """Every file, over one connection and over fresh ones, whole and in part, compared byte by byte."""
    try:
        kept = s.client()
        for number in range(rounds):
            for name, size in SIZES.items():
                kept.request("GET", "/" + name)
                answer = kept.getresponse()
                equal((answer.status, answer.read()), (200, content(folder, name)), name)
            if size > 10:
                first, last = 7 * number, 9 * number + 100
                status, _, body = s.get("/big", headers={"Range": "bytes=%d-%d" % (first, last)})
                equal((status, body), (206, content(folder, "big")[first:last + 1]), "a range")
            equal(s.get("/none")[0], 404)
            many = s.raw(b"GET /small HTTP/1.1\r\nHost: x\r\n\r\n" * 20 +
                         b"GET /one HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            equal(many.count(content(folder, "small")), 20, "pipelined answers")
            assert many.endswith(b"\r\n\r\n" + content(folder, "one"))
        kept.close()
    except Exception as error:
        wrong.append("%s: %s" % (type(error).__name__, str(error)[:300]))


def answers_stay_right(folder, faults, clients=4, rounds=3):
    fill(folder)
    with Serval(folder, "--log", "off", env=with_faults(faults)) as s:
        wrong = []
        threads = [threading.Thread(target=fetch_all, args=(s, folder, rounds, wrong))
                   for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong, wrong
        eventually(lambda: len(os.listdir("/proc/%d/fd" % s.pid)) < 60, "descriptors given back")


@test
def reads_and_writes_that_are_cut_short(folder):
    answers_stay_right(folder, "short=2")


@test
def calls_that_are_interrupted(folder):
    answers_stay_right(folder, "eintr=3")


@test
def sockets_that_are_not_ready_after_all(folder):
    answers_stay_right(folder, "eagain=2")


@test
def connections_that_are_gone_before_they_are_accepted(folder):
    answers_stay_right(folder, "abort=2")


@test
def all_of_it_at_once(folder):
    answers_stay_right(folder, "short=3 eintr=5 eagain=4 abort=3")


@test
def a_clock_that_jumps_by_a_day(folder):
    answers_stay_right(folder, "jump=86400", rounds=1)


def full_disk(folder, error):
    fill(folder)
    os.mkdir(folder + "/logs")
    with Serval(folder, "--log-file", folder + "/logs/access", env=with_faults("disk=%d" % error)) as s:
        for _ in range(50):
            equal(s.get("/small")[2], content(folder, "small"))
        equal(content(folder, "logs/access"), b"")


@test
def a_log_on_a_full_disk(folder):
    full_disk(folder, 28)


@test
def a_log_on_a_broken_disk(folder):
    full_disk(folder, 5)


@test
def a_worker_that_cannot_be_started_leaves_its_clients_to_the_others(folder):
    """Its listening socket must not go on collecting connections that nobody accepts."""
    fill(folder)
    started = 0
    for number in range(1, 5):
        s = Serval(folder, "--log", "off", workers="3", env=with_faults("thread=%d" % number))
        with s:
            for _ in range(40):
                equal(s.get("/small")[2], content(folder, "small"), "thread %d" % number)
            started += 1
    equal(started, 4)


@test
def memory_that_ends_while_starting_ends_the_program_with_a_word(folder):
    """Never a crash: an abort that says why (libuv's own says nothing), or a start that has failed."""
    if SANITIZED:
        raise Skip("sanitizers have their own malloc")
    number, step, seen = 1, 1, {}
    while True:
        s = Serval(folder, "--log", "off", wait=False, env=with_faults("malloc=%d" % number))
        eventually(lambda: s.process.poll() is not None or "event=ready" in s.out, "an end or a start")
        ready = s.process.poll() is None
        if ready:
            s.process.kill()
        code = s.wait()
        if ready:
            break
        assert code in (-signal.SIGABRT, 1, 2, 3), "allocation %d: exit code %d: %s" % (number, code, s.err)
        assert s.err.strip() or code == -signal.SIGABRT, "allocation %d: not a word" % number
        seen[code] = seen.get(code, 0) + 1
        number += step
        step = 1 + number // 40
    print("      allocations that failed: %r, ready without number %d" % (seen, number))


main()
