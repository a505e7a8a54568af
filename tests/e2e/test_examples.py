"""The programs of docs/examples that answer requests one by one, asked by curl and by Python's client."""
import concurrent.futures
import http.client
import json
import re
import subprocess
import os
import urllib.parse

import lib
from lib import DEADLINE, equal, example, test


def ask(url, method, path, body=None, headers=None):
    """(status, headers, body) of one request on a connection of its own."""
    to = urllib.parse.urlsplit(url)
    client = http.client.HTTPConnection(to.hostname, to.port, timeout=DEADLINE)
    try:
        client.request(method, path, body, headers or {})
        answer = client.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        client.close()


def note(url, method, path, body=None):
    status, headers, text = ask(url, method, path, None if body is None else json.dumps(body))
    if "json" in headers.get("Content-Type", ""):
        text = json.loads(text)
    return status, headers, text


@test
def a_note_is_made_read_changed_and_dropped(_):
    with example("notes") as url:
        equal(note(url, "GET", "/notes")[2], [])
        status, headers, made = note(url, "POST", "/notes", {"text": "buy \"milk\" \u2603"})
        equal((status, headers["Location"], made), (201, "/notes/1", {"id": 1, "text": "buy \"milk\" \u2603"}))
        equal(note(url, "GET", "/notes/1")[2], made)
        equal(note(url, "PUT", "/notes/1", {"text": "drink it"})[2], {"id": 1, "text": "drink it"})
        equal(note(url, "GET", "/notes")[2], [{"id": 1, "text": "drink it"}])
        equal(note(url, "DELETE", "/notes/1")[0], 204)
        for method, path, body, status in [("GET", "/notes/1", None, 404), ("PUT", "/notes/1", {"text": "x"}, 404),
                                           ("DELETE", "/notes/1", None, 404), ("POST", "/notes", {"txt": "x"}, 400),
                                           ("POST", "/notes", [1], 400), ("GET", "/notes/x", None, 404),
                                           ("GET", "/notes/9999999999999999999", None, 404)]:
            equal(note(url, method, path, body)[0], status, "%s %s %s" % (method, path, body))
        equal(ask(url, "POST", "/notes", "no json")[0], 400)
        status, headers, _text = note(url, "PATCH", "/notes/1")
        equal((status, headers["Allow"]), (405, "DELETE, GET, HEAD, OPTIONS, PUT"))


@test
def many_clients_make_notes_at_once(folder):
    file = os.path.join(folder, "notes.db")
    with example("notes", file) as url, concurrent.futures.ThreadPoolExecutor(16) as pool:
        made = list(pool.map(lambda i: note(url, "POST", "/notes", {"text": "note %d" % i}), range(200)))
        equal({status for status, _, _ in made}, {201})
        texts = {row["id"]: row["text"] for row in note(url, "GET", "/notes")[2]}
        equal(texts, {row["id"]: row["text"] for _, _, row in made})
    with example("notes", file) as url:
        equal(len(note(url, "GET", "/notes")[2]), 200, "notes after a restart")


@test
def the_switch_and_its_twin_with_a_router_answer_alike(_):
    with example("switch") as switch, example("routes") as routes:
        for args in (["hello"], ["hello?name=you"], ["hello?name=a%20b&x"], ["users/7"], ["users/a%20b"],
                     ["-d", "some text", "echo"], ["-I", "hello"], ["nobody"], ["users/7/x"]):
            answers = []
            for url in switch, routes:
                out = subprocess.run(["curl", "-si", *args[:-1], url + args[-1]], stdout=subprocess.PIPE, text=True,
                                     timeout=DEADLINE, check=True).stdout
                answers.append(re.sub(r"Date: .*\n", "", out))
            equal(answers[0], answers[1], str(args))
        equal(ask(switch, "GET", "/hello?name=you")[2], "hello, you\n")
        equal(ask(routes, "DELETE", "/hello")[0], 405)
        equal(ask(switch, "DELETE", "/hello")[0], 404)


lib.main(needs=())
