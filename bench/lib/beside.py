"""Programs of ours and of others that measure themselves, in turn: the client, small operations, the
router's lookups. Each writes records with "operation" and "op_ns", which have a table of their own."""

import json
import re
import resource
import shutil

import counting
import harness
from harness import Broken, Missing, said, warn

FASTHTTP = "github.com/valyala/fasthttp"
ROUTES = ("github", "static", "gplus", "parse")
TWINS = [  # fasthttp's name, ours, callers, the short run
    ("ClientGetTimeoutFastServer", "fast", 1, 1000),
    ("ClientGetEndToEnd1Inmemory", "memory", 1, 1000),
    ("ClientGetEndToEnd10Inmemory", "memory", 10, 1000),
    ("ClientGetEndToEnd100Inmemory", "memory", 100, 2000),
    ("ClientGetEndToEnd1000Inmemory", "memory", 1000, 4000),
    ("ClientGetEndToEnd1TCP", "tcp", 1, 1000),
    ("ClientGetEndToEnd10TCP", "tcp", 10, 1000),
    ("ClientGetEndToEnd100TCP", "tcp", 100, 2000),
    ("PipelineClient1", "pipeline", 1, 1000),
    ("PipelineClient10", "pipeline", 10, 1000),
    ("PipelineClient100", "pipeline", 100, 2000),
    ("PipelineClient1000", "pipeline", 1000, 4000),
]


def note(run, case, turn, operation, server, ns, command, **more):
    """The first round warms up, and is thrown away."""
    if turn:
        run.write({"case": case, "operation": operation, "server": server, "round": turn,
                   "op_ns": round(ns, 2), **more, "server_command": command})


def go_folder(name):
    """A copy of a peer in Go: nothing is written next to our sources."""
    folder = harness.ROOT / "build" / "bench" / "peers" / f"{name}.d"
    shutil.copytree(harness.BENCH / "peers" / name, folder, dirs_exist_ok=True)
    return folder


def fasthttp_tests(run):
    """fasthttp's own benchmarks of its newest version, as a program, and the folder it runs in."""
    folder = go_folder("gomicro")
    said([harness.tool("go"), "get", "-t", FASTHTTP + "@latest"], cwd=folder)
    said(["go", "test", "-c", "-o", "theirs", FASTHTTP], cwd=folder)
    run.records[0]["versions"]["fasthttp"] = said(["go", "list", "-m", FASTHTTP], cwd=folder).split()[1]
    return folder


def optional(make, *args):
    """What it makes, or None and the reason on the screen."""
    try:
        return make(*args)
    except (Missing, Broken) as why:
        warn(f"  skipped: {why}")
        return None


# ---- the client -------------------------------------------------------------------------------


def children_cpu(command, folder):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    said(command, cwd=folder)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def go_client(folder, name, few, many):
    """CPU ns of an operation: what starting costs is left out by the difference of two lengths."""
    def argv(n):
        return ["./theirs", "-test.run", "^$", "-test.bench", f"^Benchmark{name}$", "-test.cpu", "1",
                "-test.benchtime", f"{n}x"]

    spent = children_cpu(argv(many), folder) - children_cpu(argv(few), folder)
    return spent / (many - few) * 1e9, f"go test {FASTHTTP} " + " ".join(argv(many)[1:]).replace("-test.", "-")


def our_client(argv):
    found = json.loads(said(argv))
    if found["wrong"]:
        raise Broken(f"micro_client: {found['wrong']} wrong answers")
    return found["cpu_ns"], harness.relative(" ".join(argv))


def clients(run):
    """The client beside fasthttp's, whose own benchmarks run, and beside libcurl's multi"""
    program = harness.program("micro_client")
    beside_fasthttp(run, program, optional(fasthttp_tests, run) if run.wants("fasthttp") else None)
    if run.wants("libcurl"):
        optional(beside_libcurl, run, program)
    idle = json.loads(said([program, "--idle", "--callers", "1000"]))
    run.write({"case": "an idle connection of a pool", "server": "serval", "struct_bytes": idle["struct"],
               "server_command": harness.relative(f"{program} --idle --callers 1000")})


def beside_fasthttp(run, program, folder):
    case = "CPU time of one thread, client and server in one process"
    run.records[0]["versions"]["serval"] = harness.version_of("hello")
    for turn in range(run.options.rounds + 1):
        for name, twin, callers, few in TWINS:
            def argv(n):
                return [program, "--twin", twin, "--callers", str(callers), "--requests", str(n)]

            ns, command = our_client(argv(max(20 * few, 20_000)))
            more = {"allocations": counting.per_operation(argv, 20_000, 60_000)} if turn == 1 else {}
            note(run, case, turn, name, "serval", ns, command, **more)
            other = go_client(folder, name, few, 20 * few) if folder else None
            if other:
                note(run, case, turn, name, "fasthttp", *other)
            warn(f"  {name}, {f'round {turn}' if turn else 'warm-up'}: {ns:.0f} ns"
                 + (f", fasthttp {other[0]:.0f} ns" if other else ""))


def beside_libcurl(run, program):
    multi = harness.peer("libcurl")
    run.records[0]["versions"]["libcurl"] = harness.version_of("libcurl")
    with harness.Server("hello", run.www) as server:
        url = f"http://127.0.0.1:{server.port}/"
        for turn in range(run.options.rounds + 1):
            for callers in ("1", "10", "100"):
                argv = {"serval": [program, "--url", url, "--requests", "20000", "--callers", callers],
                        "libcurl": [multi, url, "20000", callers]}
                for name, words in argv.items():
                    found = json.loads(said(words, preexec_fn=harness.on_core(harness.LOAD_CORE)))
                    note(run, "CPU time of the client alone, hello in another process", turn,
                         f"{callers} callers", name, found["cpu_ns"], server.shown(words))


# ---- small operations -------------------------------------------------------------------------


def values(run):
    """Small operations, which fasthttp measures under the same names"""
    program = harness.program("micro_values")
    run.records[0]["versions"]["serval"] = harness.version_of("hello")
    folder = optional(fasthttp_tests, run) if run.wants("fasthttp") else None
    for turn in range(run.options.rounds + 1):
        names = []
        for line in said([program]).splitlines():
            name, ns, allocations = line.split()
            names.append(name)
            note(run, "ns of an operation", turn, name, "serval", float(ns), harness.relative(program),
                 allocations=int(allocations))
        for name, ns in go_values(folder, names) if folder else []:
            note(run, "ns of an operation", turn, name, "fasthttp", float(ns),
                 f"go test {FASTHTTP} -run ^$ -bench . -benchtime 50ms -cpu 1")
        warn(f"  {f'round {turn}' if turn else 'warm-up'}: {len(names)} operations")


def go_values(folder, names):
    pattern = "^Benchmark(" + "|".join(sorted({name.split("/")[0] for name in names})) + ")$"
    out = said(["./theirs", "-test.run", "^$", "-test.bench", pattern, "-test.benchtime", "50ms",
                "-test.cpu", "1"], cwd=folder)
    found = re.findall(r"^Benchmark(\S+)\s+\d+\s+([\d.]+) ns/op", out, re.M)
    return [(name, ns) for name, ns in found if name in names]


# ---- the router -------------------------------------------------------------------------------


def go_routers():
    folder = go_folder("gorouters")
    said([harness.tool("go"), "build", "-o", "lookups", "."], cwd=folder)
    return str(folder / "lookups")


def routers(run):
    """Lookups of the router beside two of Go's world, in four lists of routes"""
    lists = [str(harness.BENCH / "routes" / f"{name}.txt") for name in ROUTES]
    programs = [harness.program("micro_router"), optional(go_routers)]
    run.records[0]["versions"]["serval"] = harness.version_of("hello")
    for turn in range(run.options.rounds + 1):
        for program in filter(None, programs):
            for line in said([program, *lists]).splitlines():
                who, name, routes, ordered, shuffled, allocations, size = line.split()
                for case, ns in (("in the order of the list", ordered), ("in random order", shuffled)):
                    note(run, f"ns of a lookup, {case}", turn, f"{name}, {routes} routes", who, float(ns),
                         harness.relative(" ".join([program, *lists])),
                         allocations=float(allocations), tree_bytes=int(size))
        warn(f"  {f'round {turn}' if turn else 'warm-up'}")
