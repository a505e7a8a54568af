"""Connections: keep-alive, HEAD, pipelining, half-close, resets, refusals, too many of them."""
import sys
sys.dont_write_bytecode = True
from lib import *

GET = b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n"


@test
def http_1_1_stays_open_until_asked_to_close(folder):
    write(folder + "/x", "body")
    with Serval(folder) as s:
        with s.connect() as c:
            answers = Answers(c)
            for _ in range(50):
                c.sendall(GET)
                status, headers, body = answers.next()
                equal((status, body), (200, b"body"))
                assert headers.get("connection", "").lower() != "close"
            c.sendall(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            status, headers, body = answers.next()
            equal((status, body, headers["connection"].lower()), (200, b"body", "close"))
            equal(answers.next(), None)


@test
def http_1_0_closes_unless_asked_to_stay(folder):
    write(folder + "/x", "body")
    with Serval(folder) as s:
        assert s.raw(b"GET /x HTTP/1.0\r\n\r\n").endswith(b"\r\n\r\nbody")
        with s.connect() as c:
            answers = Answers(c)
            for _ in range(5):
                c.sendall(b"GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
                status, headers, body = answers.next()
                equal((status, body, headers["connection"].lower()), (200, b"body", "keep-alive"))
            c.sendall(b"GET /x HTTP/1.0\r\n\r\n")
            equal(answers.next()[2], b"body")
            equal(answers.next(), None)


@test
def head_is_get_without_the_body(folder):
    write(folder + "/x", "body")
    write(folder + "/big", b"b" * 3000000)
    with Serval(folder) as s:
        for path in ("/x", "/big", "/nothing"):
            got = s.get(path)
            with s.connect() as c:
                answers = Answers(c)
                c.sendall(b"HEAD %s HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode())
                status, headers, _ = answers.next(head=True)
                equal(status, got[0])
                for name in ("content-length", "content-type", "etag", "last-modified"):
                    equal(headers.get(name), got[1].get(name), name)
                c.sendall(GET)  # nothing of a body came between
                equal(answers.next()[2], b"body")


@test
def pipelined_requests_are_answered_in_order(folder):
    expected = []
    for i in range(40):
        data = b"%d " % i * (i * 400)  # some are small, some larger than a socket buffer's share
        write(folder + "/%d" % i, data)
        expected += [data]
    with Serval(folder) as s:
        with s.connect() as c:
            request = b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % (i % 40) for i in range(400))
            sender = threading.Thread(target=c.sendall, args=(request,))
            sender.start()
            answers = Answers(c)
            for i in range(400):
                status, _, body = answers.next()
                equal(status, 200)
                assert body == expected[i % 40], "answer %d is another's" % i
            sender.join()


@test
def a_request_may_come_in_any_pieces(folder):
    write(folder + "/x", "body")
    stream = GET * 3
    with Serval(folder) as s:
        for cut in range(1, len(GET) + 2):
            with s.connect() as c:
                answers = Answers(c)
                c.sendall(stream[:cut])
                c.sendall(stream[cut:])
                for _ in range(3):
                    equal(answers.next()[2], b"body")
        with s.connect() as c:
            answers = Answers(c)
            for i in range(len(stream)):
                c.sendall(stream[i:i + 1])
            for _ in range(3):
                equal(answers.next()[2], b"body")


@test
def a_half_closed_connection_gets_its_answers(folder):
    write(folder + "/x", "body")
    write(folder + "/big", b"b" * 5000000)
    with Serval(folder) as s:
        data = s.raw(GET * 3, half_close=True)
        equal(data.count(b"\r\n\r\nbody"), 3)
        data = s.raw(GET.replace(b"/x", b"/big"), half_close=True)
        equal(len(data.split(b"\r\n\r\n", 1)[1]), 5000000)
        s.raw(GET[:20], half_close=True)  # no answer is due, but it ends
        s.raw(b"", half_close=True)


@test
def a_reset_at_any_moment_harms_nobody_else(folder):
    write(folder + "/x", "body")
    write(folder + "/big", b"b" * 5000000)
    big = GET.replace(b"/x", b"/big")
    with Serval(folder) as s:
        with s.connect() as witness:
            answers = Answers(witness)
            for n in range(len(big) + 1):
                c = s.connect()
                c.sendall(big[:n])
                reset(c)
                c = s.connect()
                c.sendall(big * 2 + GET[:n % len(GET)])
                c.recv(1 + 3001 * n)
                reset(c)
                if n % 8 == 0:
                    witness.sendall(GET)
                    equal(answers.next()[2], b"body")
            for n in range(50):
                c = s.connect()
                reset(c)
            witness.sendall(GET)
            equal(answers.next()[2], b"body")


@test
def a_client_that_leaves_is_logged_with_what_it_got(folder):
    write(folder + "/big", b"b" * 50000000)
    with Serval(folder) as s:
        c = s.connect()
        c.sendall(GET.replace(b"/x", b"/big"))
        c.recv(1000)
        reset(c)
        eventually(lambda: '"GET /big' in s.out, "a log line")
    sent = int(re.search(r'"GET /big HTTP/1\.1" 200 (\d+) ', s.out).group(1))
    assert 0 < sent < 50000000, sent


REFUSED = [
    (400, b"GET /x HTTP/1.1\r\n\r\n", "no Host"),
    (400, b"GET /x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "two Hosts"),
    (400, b"GET  /x HTTP/1.1\r\nHost: x\r\n\r\n", "two blanks"),
    (400, b"GET /x HTTP/1.1\r\nHost: x\r\nA b: c\r\n\r\n", "a blank in a name"),
    (400, b"GET /x HTTP/1.1\r\nHost : x\r\n\r\n", "a blank behind a name"),
    (400, b"GET /x HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", "a folded line"),
    (400, b"GET /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "two lengths"),
    (400, b"GET /x HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", "a negative length"),
    (400, b"GET /x HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     "a length and chunks"),
    (400, b"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", "a broken escape"),
    (400, b"GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n", "an escaped NUL"),
    (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "TLS"),
    (400, b"nonsense\r\n\r\n", "nonsense"),
    (400, b"GET /x HTTP/1.1\r\nHost: x\r\nA: a\rb\r\n\r\n", "a carriage return in a value"),
    (400, b"GET /x HTTP/1.1\r\nHost: x\r\nA: a\0b\r\n\r\n", "a NUL in a value"),
    (400, b"GET /x HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\na", "a length with a sign"),
    (400, b"GET /x HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\n", "an empty length"),
    (400, b"GET /x HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n", "a huge length"),
    (400, b"GET /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
     "chunks in chunks"),
    (400, b"GET /x HTTP/1.1\r\nHost: a b\r\n\r\n", "a Host that is none"),
    (400, b"GET x HTTP/1.1\r\nHost: x\r\n\r\n", "a target that is none"),
    (400, b"GET /x\x01 HTTP/1.1\r\nHost: x\r\n\r\n", "a control byte in the target"),
    (400, b"GET\t/x\tHTTP/1.1\r\nHost: x\r\n\r\n", "tabs"),
    (400, b" GET /x HTTP/1.1\r\nHost: x\r\n\r\n", "a blank first"),
    (400, b"GET /x HTTP/1.1\r\n Host: x\r\n\r\n", "a blank before the first field"),
    (400, b"GET /x HTTP/1.1\r\nHost: x\r\n: x\r\n\r\n", "a field without a name"),
    (400, b"GET /x HTTP/1.1\r\nHost: x\r\nA\r\n\r\n", "a field without a colon"),
    (400, b"HTTP/1.1 200 OK\r\n\r\n", "an answer"),
    (414, b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", "a long target"),
    (431, b"GET /x HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 40000 + b"\r\n\r\n", "a long head"),
    (431, b"GET /x HTTP/1.1\r\nHost: x\r\n" + b"A: a\r\n" * 300 + b"\r\n", "many fields"),
    (501, b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "an unknown coding"),
    (505, b"GET /x HTTP/2.0\r\nHost: x\r\n\r\n", "another version"),
]


@test
def messages_that_are_wrong_are_refused_and_the_connection_closes(folder):
    write(folder + "/x", "body")
    wrong = []
    with Serval(folder) as s:
        for status, message, what in REFUSED:
            with s.connect() as c:
                c.sendall(message)
                answer = Answers(c).next() or (0, {}, b"")
                if answer[0] != status:
                    wrong += ["%s: status %d, not %d" % (what, answer[0], status)]
                elif answer[1].get("connection", "").lower() != "close":
                    wrong += ["%s: does not say close" % what]
                else:
                    equal(read_all(c), b"", "bytes behind the refusal")
        equal(s.get("/x")[2], b"body")
    assert not wrong, "\n  ".join([""] + wrong)


@test
def methods_that_files_do_not_have_get_405_with_allow(folder):
    write(folder + "/x", "body")
    with Serval(folder) as s:
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            status, headers, _ = s.get("/x", method)
            equal(status, 405, method)
            allow = re.split(r"\s*,\s*", headers["Allow"])
            assert "GET" in allow and "HEAD" in allow, allow


@test
def a_body_that_nobody_wants_does_not_disturb_the_next_request(folder):
    write(folder + "/x", "body")
    with Serval(folder) as s:
        for body in (b"Content-Length: 5\r\n\r\nGET /", b"Transfer-Encoding: chunked\r\n\r\n5\r\nGET /\r\n0\r\n\r\n"):
            with s.connect() as c:
                answers = Answers(c)
                c.sendall(b"GET /x HTTP/1.1\r\nHost: x\r\n" + body)
                equal(answers.next()[2], b"body")
                try:
                    c.sendall(GET)
                except ConnectionError:
                    continue
                after = answers.next()  # it either goes on with the right message, or closes
                assert after is None or after[2] == b"body", after


@test
def many_connections_are_served_at_once(folder):
    write(folder + "/x", "body")
    with Serval(folder) as s:
        connections = [s.connect() for _ in range(300)]
        for c in connections:
            c.sendall(GET)
        for c in connections:
            equal(Answers(c).next()[2], b"body")
            c.close()


@test
def running_out_of_descriptors_is_not_the_end(folder):
    import resource
    write(folder + "/x", "body")

    def few():
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    with Serval(folder, preexec_fn=few) as s:
        for _ in range(3):
            connections = []
            for _ in range(200):
                c = socket.socket()
                c.setblocking(False)
                c.connect_ex(("127.0.0.1", s.port))
                connections += [c]
            time.sleep(0.2)  # lets it run into the limit; nothing depends on it
            equal(s.process.poll(), None, "exit code")
            for c in connections:
                c.close()
            eventually(lambda: asked(s), "an answer after the rush")


def asked(s):
    try:
        return s.get("/x")[2] == b"body"
    except OSError:
        return False
    except http.client.HTTPException:
        return False


main()
