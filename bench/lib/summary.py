"""What we set out to reach, and where the last runs stand."""

import statistics

import tables


def case(runs, scenario, begins):
    return [r for r in runs.get(scenario, [])[1:] if r["case"].startswith(begins)]


def ratio(runs, scenario, begins, ours, other, key="cpu_us"):
    return tables.within_rounds(case(runs, scenario, begins), key, ours, other)


def twin(runs, name, key, server, other=None, threads="1 thread"):
    records = [r for r in case(runs, "twins", threads) if r["twin"] == name]
    if not records:
        return None
    if other:
        return tables.within_rounds(records, key, server, other)
    found = [r[key] for r in records if r["server"] == server and key in r]
    return sorted(found)[len(found) // 2] if found else None


def twice(runs):
    """One thread's time over two threads'. The twins' shared counter is left out: it is no server's."""
    name = "ServerGet, 10,000 per connection, each thread counts for itself"
    one = twin(runs, name, "ns", "serval")
    two = twin(runs, name, "ns", "serval", threads="2 threads")
    return one / two if one and two else None


def single(runs, scenario, begins, server, of):
    found = [of(r) for r in case(runs, scenario, begins) if r["server"] == server]
    return found[0] if found else None


def more_ns(runs, chain):
    records = case(runs, "waiting", "16 requests")
    return tables.more_ns(records, chain) if records else None


def best_p99(runs):
    """Ours over the best of the others."""
    records = case(runs, "latency", "1,000")
    names = [n for n in tables.servers_of(records) if n not in ("floor", "hello")]
    ours = tables.median_of(records, "load.p99_us", "hello")
    others = [tables.median_of(records, "load.p99_us", name) for name in names]
    return ours / min(others) if ours and others else None


def best(runs, scenario, begins, ours="serval"):
    """Ours over the best peer."""
    records = case(runs, scenario, begins)
    found = [tables.within_rounds(records, "cpu_us", ours, name)
             for name in tables.servers_of(records) if name != ours]
    return max((x for x in found if x), default=None)


def beside(runs):
    """p99 beside a handler that blocks, over p99 without it."""
    return tables.within_rounds(case(runs, "blocked", ""), "load.p99_us", "beside it", "idle")


def worst(runs, scenario, begins, other, operation=""):
    """The largest of the operations' times, as a part of the other's."""
    records = [r for r in case(runs, scenario, begins) if r["operation"].startswith(operation)]
    ratios = [tables.within_rounds([r for r in records if r["operation"] == name], "op_ns", "serval", other)
              for name in dict.fromkeys(r["operation"] for r in records)]
    return max((x for x in ratios if x), default=None)


def outward(runs):
    """Targets of the client, the small operations and the router."""
    one = "CPU time of one"
    yield ("client, fake connection, ns x fasthttp", 0.4,
           worst(runs, "clients", one, "fasthttp", "ClientGetTimeout"))
    yield ("client, fake connection, allocations", 0,
           single(runs, "clients", one, "serval",
                  lambda r: r.get("allocations")))
    for what, limit in (("Inmemory", 0.4), ("TCP", 0.85)):
        yield (f"client, end to end, {what}, worst of all callers, ns x fasthttp", limit,
               max((x for count in (1, 10, 100, 1000)
                    if (x := worst(runs, "clients", one, "fasthttp", f"ClientGetEndToEnd{count}{what}"))),
                   default=None))
    yield ("pipeline client, worst of all callers, ns x fasthttp", 0.5,
           worst(runs, "clients", one, "fasthttp", "Pipeline"))
    yield ("client's CPU per request, worst of all callers, x libcurl multi", 0.5,
           worst(runs, "clients", "CPU time of the client", "libcurl"))
    yield ("idle connection of the client's pool, bytes", 512,
           single(runs, "clients", "an idle", "serval", lambda r: r["struct_bytes"]))
    yield "small operations, worst of all, ns x fasthttp", 0.5, worst(runs, "values", "", "fasthttp")
    for name in ("github", "static", "gplus", "parse"):
        for other in ("httprouter", "fasthttp/router"):
            yield (f"lookup of a route, {name}, x {other}", 0.5,
                   worst(runs, "routers", "ns of a lookup, in the order", other, name))


def rows(runs):
    """(what, limit, value); "at most" unless the limit is negative, which is "at least"."""
    get = "ServerGet, {} per connection"
    yield (get.format("10,000") + ", x fasthttp", 0.4,
           twin(runs, get.format("10,000"), "ns", "serval", "fasthttp"))
    yield (get.format("10,000") + ", allocations", 0,
           twin(runs, get.format("10,000"), "allocations", "serval"))
    yield get.format("1") + ", x fasthttp", 0.4, twin(runs, get.format("1"), "ns", "serval", "fasthttp")
    many = get.format("1") + ", 10,000 clients"
    yield many + ", x fasthttp", 0.4, twin(runs, many, "ns", "serval", "fasthttp")
    for begins, what, limit in (("keep-alive", "keep-alive", 1.05), ("pipelined", "pipelined 16", 1.25)):
        for name, run in (("floor", "of these two"), ("hello", "of all")):
            yield (f"hello {what}, server CPU per request, x floor, in a run {run}", limit,
                   ratio(runs, name, begins, "hello", "floor"))
    for other, limit in (("nginx", 0.95), ("fasthttp", 0.92), ("libmicrohttpd", 0.4)):
        yield (f"hello keep-alive, server CPU per request, x {other}", limit,
               ratio(runs, "hello", "keep-alive", "hello", other))
    for other, limit in (("nginx", 0.15), ("h2o", 0.15), ("fasthttp", 0.65)):
        yield (f"hello pipelined 16, server CPU per request, x {other}", limit,
               ratio(runs, "hello", "pipelined", "hello", other))
    for what in ("gzip", "brotli"):
        for other, limit in (("nginx", 0.1), ("nginx_static", 1)):
            yield (f"kept {what} of 100 KiB of HTML, server CPU per request, x {other}", limit,
                   ratio(runs, "compressed", f"{what}, ", "serval", other))
    yield ("gzip level 6 of 100 KiB, compressed anew, server CPU per request, x nginx", 1,
           ratio(runs, "compressed", "gzip level 6", "squeeze", "nginx"))
    yield ("system calls per keep-alive request", 2.1,
           single(runs, "syscalls", "keep-alive", "hello", lambda r: sum(r["calls"].values())))
    yield ("idle keep-alive connection, bytes", 512,
           single(runs, "idle", "", "hello", lambda r: r["per_connection"]["rss"]))
    yield "2 workers against 1, in-process, times as fast", -1.9, twice(runs)
    yield ("one of 203 routes, server CPU per request, x hello", 1.02,
           ratio(runs, "routed", "GET", "routes", "hello"))
    yield "10 modules that say next, more ns per request", 60, more_ns(runs, "10 modules")
    yield "timeout that never passes, more ns per request", 30, more_ns(runs, "timeout")
    yield ("pending request with a deadline and its connection, bytes", 2048,
           single(runs, "waiting", "10,000 pending", "timeout", lambda r: r["pending_bytes"]))
    yield "p99 of 100 connections beside a blocked handler, x without it", 2, beside(runs)
    for size, limit in (("1,024", 0.9), ("102,400", 1), ("10,485,760", 1)):
        yield (f"file of {size} bytes, server CPU per request, x the best peer", limit,
               best(runs, "files", size))
    yield ("304, server CPU per request, x nginx", 0.8,
           ratio(runs, "unchanged", "", "serval", "nginx"))
    yield ("RSS of a slow reader of 4 GiB, bytes", 65536,
           single(runs, "huge", "100 slow", "serval", lambda r: r["per_connection"]["rss"]))
    yield ("first byte of a folder of 100,000 names, ms", 50,
           single(runs, "folder", "the first byte", "by name", lambda r: statistics.median(r["first_ms"])))
    yield ("RSS that such a folder adds, bytes", 4 << 20,
           single(runs, "folder", "the first byte", "by name", lambda r: r["grown"]))
    yield ("p99 with 1,000 connections at 70 % load, x the best peer", 1, best_p99(runs))
    yield from outward(runs)


def targets_text(runs):
    found = []
    for what, limit, value in rows(runs):
        if value is None:
            continue
        good = value >= -limit if limit < 0 else value <= limit
        found.append([what, f"{'>=' if limit < 0 else '<='} {abs(limit):g}", f"{value:.3g}",
                      "yes" if good else "no"])
    if not found:
        return ""
    return "### Targets\n\n" + tables.table(["what", "target", "measured", "reached"], found) + "\n"
