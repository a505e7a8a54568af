"""Stopping: what is being answered is finished, the exit code is 0, nothing is left behind. Also run under
ThreadSanitizer; gcc 12's rarely keeps a signal back while the program waits, lib.nudge() makes it deliver that."""
import sys
sys.dont_write_bytecode = True
from lib import *

BIG = 32 * 1024 * 1024  # more than the socket buffers hold


def slow_download(s, path="/big"):
    """A connection in the middle of a download: the server cannot have sent all of it."""
    c = s.connect()
    c.sendall(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode())
    first = c.recv(10)
    equal(first, b"HTTP/1.1 2", "first bytes")
    return c, first


def finish(c, first):
    data = first + read_all(c)
    c.close()
    return len(data.split(b"\r\n\r\n", 1)[1])


@test
def sigterm_and_sigint_end_an_idle_server(folder):
    for number in (signal.SIGTERM, signal.SIGINT):
        with Serval(folder) as s:
            s.get()
            s.stop(number)
        assert "event=draining\n" in s.out


@test
def a_slow_download_is_finished_before_the_end(folder):
    write(folder + "/big", os.urandom(BIG))
    with Serval(folder) as s:
        c, first = slow_download(s)
        s.kill(signal.SIGTERM)
        eventually(lambda: "event=draining" in s.out, "draining")
        eventually(lambda: refused(s), "no new connections")
        equal(s.process.poll(), None, "the server left before the download ended")
        equal(finish(c, first), BIG)
        equal(s.wait(), 0)
    matches(r'"GET /big HTTP/1\.1" 200 %d ' % BIG, s.out)


def refused(s):
    try:
        socket.create_connection(("127.0.0.1", s.port), timeout=DEADLINE).close()
        return False
    except ConnectionError:
        return True


@test
def a_second_signal_ends_it_at_once(folder):
    write(folder + "/big", os.urandom(BIG))
    with Serval(folder) as s:
        c, first = slow_download(s)
        s.kill(signal.SIGTERM)
        eventually(lambda: "event=draining" in s.out, "draining")
        s.kill(signal.SIGTERM)
        equal(s.wait(), 0)
        assert finish(c, first) < BIG


@test
def idle_connections_are_closed(folder):
    write(folder + "/x", "x")
    with Serval(folder) as s:
        connections = [s.connect() for _ in range(20)]
        for c in connections[:10]:  # the others never ask
            c.sendall(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n")
            equal(Answers(c).next()[2], b"x")
        s.kill(signal.SIGTERM)
        for c in connections:
            equal(read_all(c), b"")
            c.close()
        equal(s.wait(), 0)


@test
def the_last_answer_says_close(folder):
    write(folder + "/x", "x")
    write(folder + "/big", os.urandom(BIG))
    with Serval(folder) as s:
        c, first = slow_download(s)
        s.kill(signal.SIGTERM)
        eventually(lambda: "event=draining" in s.out, "draining")
        equal(finish(c, first), BIG)  # the server closes behind it
        equal(s.wait(), 0)


@test
def a_signal_right_after_the_ready_line_is_not_lost(folder):
    for _ in range(10):
        with Serval(folder) as s:
            s.stop()


@test
def sighup_is_ignored(folder):
    write(folder + "/x", "x")
    with Serval(folder) as s:
        s.kill(signal.SIGHUP)
        s.kill(signal.SIGHUP)
        equal(s.get("/x")[2], b"x")


@test
def every_line_of_the_log_is_written_before_the_end(folder):
    write(folder + "/x", "x")
    with Serval(folder) as s:
        with s.connect() as c:
            c.sendall(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n" * 500)
            answers = Answers(c)
            for _ in range(500):
                equal(answers.next()[0], 200)
    equal(s.out.count('"GET /x HTTP/1.1" 200 1 '), 500)


main()
