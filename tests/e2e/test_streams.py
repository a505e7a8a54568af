"""The examples that push (docs/examples/ticker.c, longpoll.c), asked by curl."""
import subprocess
import time

import lib
from lib import DEADLINE, example, test

def curl(*args):
    return subprocess.Popen(["curl", "-sN", *args], stdout=subprocess.PIPE, text=True)


def ask(*args):
    return subprocess.run(["curl", "-s", *args], stdout=subprocess.PIPE, text=True,
                          timeout=DEADLINE, check=True).stdout


def event(stream):
    """The fields of the next event, as [name, value] pairs; comments are left out."""
    fields = []
    for line in iter(stream.stdout.readline, ""):
        if line == "\n" and fields:
            return fields
        if line != "\n" and not line.startswith(":"):
            fields.append(line.rstrip("\n").split(": ", 1))
    return fields


@test
def events_come_to_all_who_listen(_):
    with example("ticker") as url:
        one, two = curl(url + "events"), curl("-H", "Last-Event-ID: 41", url + "events")
        try:
            assert event(one) == [["retry", "1000"], ["event", "hello"],
                                  ["data", "you are new here"]]
            assert event(two)[-1] == ["data", "you have seen 41"]
            assert ask("-d", "good morning", url + "say") == "said\n"
            for stream in one, two:
                while (fields := event(stream))[0] != ["event", "said"]:
                    assert [name for name, _ in fields] == ["id", "event", "data"], fields
                assert fields[1] == ["data", "good morning"]
        finally:
            for stream in one, two:
                stream.kill()
                stream.wait()
                stream.stdout.close()


@test
def a_long_poll_is_answered_by_what_is_published(_):
    with example("longpoll") as url:
        waiting = curl(url + "next")
        while waiting.poll() is None:  # it may not be waiting yet when the first one comes
            ask("-d", "news", url + "publish")
            time.sleep(0.05)
        assert waiting.stdout.read() == "news"
        waiting.stdout.close()
        assert ask("-w", "%{http_code}", url + "next?ms=10") == "204"


lib.main(needs=())
