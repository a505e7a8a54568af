#!/usr/bin/env python3
"""What the program's options for files do, and their twins in the environment."""
from lib import *

HTML = {"Accept": "text/html"}


@test
def listing_can_be_a_page_json_or_nothing(folder):
    write(folder + "/x", "1")
    with Serval(folder) as s:
        matches("text/html", s.get("/")[1]["Content-Type"])
        equal(s.get("/", headers={"Accept": "application/json"})[1]["Content-Type"], "application/json")
        equal(s.get("/", headers={"Accept": "text/plain"})[2], b"x\n")
    with Serval(folder, "--listing", "json") as s:
        equal(s.get("/", headers=HTML)[1]["Content-Type"], "application/json")
    with Serval(folder, "--listing=off") as s:
        equal(s.get("/")[0], 404)


@test
def names_and_links_are_served_as_asked(folder):
    os.makedirs(folder + "/root")
    write(folder + "/out", "out")
    write(folder + "/root/.hidden", "hidden")
    write(folder + "/root/x", "x")
    os.symlink("x", folder + "/root/in")
    os.symlink("../out", folder + "/root/up")
    with Serval(folder + "/root") as s:
        equal([s.get(p)[0] for p in ("/.hidden", "/in", "/up")], [404, 200, 404])
    with Serval(folder + "/root", "--dotfiles", "serve", "--symlinks", "follow") as s:
        equal([s.get(p)[0] for p in ("/.hidden", "/in", "/up")], [200, 200, 200])
    with Serval(folder + "/root", "--symlinks", "deny") as s:
        equal([s.get(p)[0] for p in ("/x", "/in", "/up")], [200, 404, 404])


@test
def paths_lead_where_options_say(folder):
    for name in ("index.html", "start.htm", "about.html"):
        write(folder + "/" + name, name)
    with Serval(folder, "--index", "nothing,start.htm", "--pretty-urls", "--prefix", "/p",
                "--spa", "index.html") as s:
        equal(s.get("/p/")[2], b"start.htm")
        equal(s.get("/p/about")[2], b"about.html")
        equal(s.get("/p/some/where", headers=HTML)[2], b"index.html")
        equal([s.get(p)[0] for p in ("/p/some/where", "/about", "/p")], [404, 404, 301])


@test
def fields_are_as_asked(folder):
    write(folder + "/app.12ab.js", "1")
    write(folder + "/x.odd", "1")
    write(folder + "/404.html", "<p>nothing at {path}")
    with Serval(folder, "--cache", "60", "--immutable", "*.[0-9a-f]*.js", "--mime", "odd=text/x-odd",
                "-H", "X-A: b", "-H", "X-C:d", "--error-page", "404=" + folder + "/404.html") as s:
        _, fields, _ = s.get("/x.odd")
        equal([fields[n] for n in ("Cache-Control", "Content-Type", "X-A", "X-C")],
              ["max-age=60", "text/x-odd", "b", "d"])
        equal(s.get("/app.12ab.js")[1]["Cache-Control"], "public, max-age=31536000, immutable")
        status, fields, body = s.get("/missing", headers=HTML)
        equal((status, body, fields["X-A"]), (404, b"<p>nothing at /missing", "b"))


@test
def sidecars_are_used_unless_switched_off(folder):
    write(folder + "/x.css", "plain")
    write(folder + "/x.css.br", "brotli")
    for args, body in (((), b"brotli"), (("--precompressed", "off"), b"plain")):
        with Serval(folder, *args) as s:
            equal(s.get("/x.css", headers={"Accept-Encoding": "br"})[2], body)


@test
def the_environment_counts_less_than_the_command_line(folder):
    write(folder + "/.x", "1")
    env = dict(os.environ, SERVAL_DOTFILES="serve", SERVAL_LISTEN="nonsense", SERVAL_LISTING="off",
               SERVAL_PRETTY_URLS="off")
    with Serval(folder, "--listing", "on", env=env) as s:
        equal([s.get(p)[0] for p in ("/.x", "/")], [200, 200])
    refuses(2, "SERVAL_PRETTY_URLS=maybe", folder, env=dict(os.environ, SERVAL_PRETTY_URLS="maybe"))
    refuses(2, "SERVAL_DOTFILES=x: give deny", folder, env=dict(os.environ, SERVAL_DOTFILES="x"))


@test
def mistakes_are_named(folder):
    for args in (("--listing", "x"), ("--dotfiles", "x"), ("--symlinks", "x"), ("--mime", "x"),
                 ("--cache", "x"), ("--error-page", "99=/dev/null"), ("--error-page", "404=/nothing"),
                 ("--precompressed", "x"), ("-H", "x"), ("--index", ","), ("--index", "a/b"),
                 ("--prefix", "x"), ("--prefix", "/x/")):
        code, out, err = run(*args, folder)
        equal((code, out, err.count("\n")), (2, "", 1), args)


main(needs=("access_log", "fs", "headers", "errors"))
