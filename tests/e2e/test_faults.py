"""The system misbehaves as it may: calls that are cut short, interrupted or put off, full disks, a clock that
jumps, no memory, no threads. tests/faults/faults.c, preloaded, makes it do so. Nothing of it may reach a
client but as an answer that is whole, or as a connection that was closed before it."""
import sys
sys.dont_write_bytecode = True
from lib import *

import base64
import gzip
import hashlib
import resource

LIBRARY = os.path.join(os.environ.get("SERVAL_BUILD") or os.path.dirname(os.path.abspath(BIN)),
                       "tests/libserval_faults.so")
SIZES = {"empty": 0, "one": 1, "small": 700, "copied": 16384, "sent": 16385, "page": 100000, "big": 3000000}


def with_faults(faults):
    if not os.path.exists(LIBRARY):
        raise Skip("no " + LIBRARY)
    # Its clock is ahead, because files that have changed a moment ago are not sent by sendfile().
    env = dict(os.environ, LD_PRELOAD=LIBRARY, FAULTS=faults + " ahead=10")
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


# Files that are written and read ------------------------------------------------------------------

def uploading(folder, faults, *args):
    """The program, with a password for uploads."""
    made = subprocess.run([BIN, "hash-password", "me"], input="secret\n", text=True, check=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE).stdout.split("\n")
    return Serval(folder, "--log", "off", "--upload", next(line for line in made if line.startswith("me:")),
                  *args, env=with_faults(faults))


ME = {"Authorization": "Basic " + base64.b64encode(b"me:secret").decode()}
FORM = dict(ME, **{"Content-Type": "multipart/form-data; boundary=XX"})


def as_form(**files):
    return b"".join(b'--XX\r\nContent-Disposition: form-data; name="f"; filename="%s"\r\n\r\n%s\r\n'
                    % (name.encode(), content) for name, content in files.items()) + b"--XX--\r\n"


def send(s, method, path, headers, body, pieces=1):
    """One request whose body is sent in pieces; a server may answer before it has seen all of it."""
    with contextlib.closing(s.client()) as c:
        c.putrequest(method, path)
        for name, value in dict(headers, **{"Content-Length": len(body)}).items():
            c.putheader(name, value)
        c.endheaders()
        try:
            for i in range(0, len(body), len(body) // pieces + 1):
                c.send(body[i:i + len(body) // pieces + 1])
        except (BrokenPipeError, ConnectionResetError):
            pass
        r = c.getresponse()
        return r.status, r.read()


def nothing_is_left(s, folder, names):
    equal(sorted(os.listdir(folder)), sorted(names), "files in the folder")
    deleted = [os.readlink("/proc/%d/fd/%s" % (s.pid, fd)) for fd in os.listdir("/proc/%d/fd" % s.pid)
               if os.path.islink("/proc/%d/fd/%s" % (s.pid, fd))]
    assert not [path for path in deleted if path.startswith(folder) and "deleted" in path], deleted


def uploads_fail(folder, faults, status):
    fill(folder)
    names = os.listdir(folder)
    big = hashlib.sha256(b"x").digest() * 30000
    with uploading(folder, faults) as s:
        other = s.client()
        for body, pieces in ((big[:500], 1), (big, 1), (big, 40)):
            got, text = send(s, "PUT", "/new", ME, body, pieces)
            equal(got, status, "PUT of %d bytes: %r" % (len(body), text))
            got, text = send(s, "POST", "/", FORM, as_form(a=body, b=body), pieces)
            equal(got, status, "form of %d bytes: %r" % (len(body), text))
            other.request("GET", "/big")
            equal(other.getresponse().read(), content(folder, "big"), "what another asks for meanwhile")
            eventually(lambda: nothing_is_left(s, folder, names) is None, "no file")
        # Where the body was there, the connection stays and its next request is the next one.
        line = "PUT /new HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Length: 5\r\n\r\nhello"
        answers = s.raw((line % ME["Authorization"]).encode() +
                        b"GET /one HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        equal(re.findall(rb"HTTP/1\.1 (\d+)", answers), [b"%d" % status, b"200"])
        assert answers.endswith(content(folder, "one"))
        other.close()


@test
def uploads_to_a_full_disk_get_507_and_leave_nothing(folder):
    uploads_fail(folder, "disk=28", 507)


@test
def uploads_to_a_broken_disk_get_500_and_leave_nothing(folder):
    uploads_fail(folder, "disk=5", 500)


def a_disk_that_fills(folder, error, status):
    """Some bytes still fit: those of the first file of a form, which is taken away again."""
    fill(folder)
    names = os.listdir(folder)
    with uploading(folder, "disk=%d after=150000" % error) as s:
        equal(send(s, "POST", "/", FORM, as_form(a=b"a" * 100000, b=b"b" * 100000), 10)[0], status)
        nothing_is_left(s, folder, names)
        equal(send(s, "PUT", "/c", ME, b"c" * 100)[0], status)
        nothing_is_left(s, folder, names)


@test
def a_disk_that_fills_during_a_form_takes_all_of_it_back(folder):
    a_disk_that_fills(folder, 28, 507)


@test
def a_disk_that_breaks_during_a_form_takes_all_of_it_back(folder):
    a_disk_that_fills(folder, 5, 500)


@test
def uploads_arrive_whole_through_short_and_interrupted_writes(folder):
    fill(folder)
    with uploading(folder, "short=2 eintr=3") as s:
        for n in (1, 500, 70000, 1000000):
            body = (hashlib.sha256(b"%d" % n).digest() * (n // 32 + 1))[:n]
            equal(send(s, "PUT", "/put%d" % n, ME, body, 5)[0], 201)
            equal(content(folder, "put%d" % n), body, "a file of %d bytes" % n)
            equal(send(s, "POST", "/", FORM, as_form(**{"form%d" % n: body}), 5)[0], 303)
            equal(content(folder, "form%d" % n), body, "a file of %d bytes in a form" % n)


def answers_without_the_cache(folder, faults):
    text = b"a text that is worth to be compressed, as it says the same again\n" * 2000
    os.mkdir(folder + "/www")
    os.mkdir(folder + "/kept")
    write(folder + "/www/a.txt", text)
    with Serval(folder + "/www", "--log", "off", "--cache-dir", folder + "/kept",
                env=with_faults(faults)) as s:
        for number in range(20):
            write(folder + "/www/b%d.txt" % number, text + b"%d" % number)
            for name, expected in (("a", text), ("b%d" % number, text + b"%d" % number)):
                status, headers, body = s.get("/%s.txt" % name, headers={"Accept-Encoding": "gzip"})
                equal((status, headers["Content-Encoding"]), (200, "gzip"))
                equal(gzip.decompress(body), expected)
    equal(os.listdir(folder + "/kept"), [], "files in the cache")


@test
def a_cache_on_a_full_disk_costs_only_the_cache(folder):
    answers_without_the_cache(folder, "disk=28 after=100")


@test
def a_cache_on_a_broken_disk_costs_only_the_cache(folder):
    answers_without_the_cache(folder, "disk=5")


@test
def a_cache_whose_files_are_not_certain_to_be_kept_is_not_used(folder):
    answers_without_the_cache(folder, "sync=5")


@test
def files_that_cannot_be_read_are_errors_or_cut_short_and_never_others_bytes(folder):
    fill(folder)
    with Serval(folder, "--log", "off", env=with_faults("media=5")) as s:
        for name, size in SIZES.items():
            got = s.raw(b"GET /%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % name.encode())
            head, _, body = got.partition(b"\r\n\r\n")
            if head.startswith(b"HTTP/1.1 200 "):
                assert content(folder, name).startswith(body), name
                assert size == 0 or len(body) < size, "%s was read all the same" % name
            else:
                matches(rb"^HTTP/1\.1 500 ", got)
        equal(s.get("/none")[0], 404)


# Descriptors --------------------------------------------------------------------------------------

@test
def without_descriptors_clients_are_told_and_those_who_are_there_are_served(folder):
    fill(folder)

    def few():
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    with Serval(folder, "--log", "off", "--max-connections", "1000", workers="1", preexec_fn=few) as s:
        kept = s.client()
        kept.request("GET", "/small")
        equal(kept.getresponse().read(), content(folder, "small"))
        crowd = [s.connect() for _ in range(100)]
        answers = []
        for c in crowd:
            try:
                c.sendall(b"GET /small HTTP/1.1\r\nHost: x\r\n\r\n")
                answers.append(Answers(c).next())
            except (BrokenPipeError, ConnectionResetError):
                answers.append(None)
        statuses = {a[0] for a in answers if a}
        assert statuses <= {200, 503}, statuses
        served = [a for a in answers if a and a[0] == 200]
        assert len(served) > 10 and None in answers, "%d served" % len(served)
        for answer in served:
            equal(answer[2], content(folder, "small"))
        for _ in range(10):
            kept.request("GET", "/none")
            answer = kept.getresponse()
            answer.read()
            assert answer.status in (404, 503), answer.status
        for c in crowd:
            c.close()
        eventually(lambda: len(os.listdir("/proc/%d/fd" % s.pid)) < 40, "descriptors given back")
        for name in SIZES:
            equal(s.get("/" + name)[2], content(folder, name), "after it")
        kept.request("GET", "/big")
        equal(kept.getresponse().read(), content(folder, "big"))
        kept.close()


# Workers ------------------------------------------------------------------------------------------

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
def without_any_more_threads_answers_stay_right(folder):
    """Those of workers, the log, the watchdog and the cache, and those that do what would block."""
    os.mkdir(folder + "/www")
    os.mkdir(folder + "/kept")
    fill(folder + "/www")
    write(folder + "/www/text.txt", b"the same again\n" * 5000)
    for number in range(1, 7):
        with Serval(folder + "/www", "--log-file", folder + "/log", "--cache-dir", folder + "/kept",
                    "--archive", workers="3", env=with_faults("eagain=2 alone=%d" % number)) as s:
            wrong = []
            fetch_all(s, folder + "/www", 1, wrong)
            assert not wrong, (number, wrong)
            status, _, body = s.get("/text.txt", headers={"Accept-Encoding": "gzip"})
            equal((status, gzip.decompress(body)), (200, content(folder, "www/text.txt")), "alone=%d" % number)


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
