"""From the raw records of a run to tables, and to bench/README.md."""

import json
import re
import statistics

import harness

BEGIN, END = "<!-- begin report -->", "<!-- end report -->"


def strace_counts(text):
    """{'recvfrom': 64000, ...} from what strace -c prints."""
    counts = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 5 and re.fullmatch(r"[\d.]+", words[0]) and words[-1] != "total":
            counts[words[-1]] = int(words[3])
    return counts


def table(columns, rows):
    """Markdown, padded so that it can be read as text too. The first column is text."""
    cells = [columns] + rows
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]

    def line(row):
        padded = [row[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(row[1:], widths[1:])]
        return "| " + " | ".join(padded) + " |"

    rule = "|" + "|".join(["-" * (widths[0] + 2)] + ["-" * (w + 1) + ":" for w in widths[1:]]) + "|"
    return "\n".join([line(columns), rule] + [line(row) for row in rows])


def spread(values, digits=2):
    return (f"{statistics.median(values):.{digits}f} "
            f"({min(values):.{digits}f}..{max(values):.{digits}f})")


def servers_of(records):
    return list(dict.fromkeys(record["server"] for record in records))


def timed_table(records):
    """The ratio is the median of the ratios within a round: drift of the machine cancels out."""
    first = servers_of(records)[0]
    base = {r["round"]: r["cpu_us"] for r in records if r["server"] == first}
    rows = []
    for name in servers_of(records):
        mine = [r for r in records if r["server"] == name]
        ratios = [r["cpu_us"] / base[r["round"]] for r in mine if r["round"] in base]
        rows.append([
            name,
            spread([r["cpu_us"] for r in mine]),
            f"{statistics.median(ratios):.3f}" if ratios else "",
            f"{statistics.median(r['user_us'] for r in mine):.2f}",
            f"{statistics.median(r['load']['rps'] for r in mine):,.0f}",
            f"{statistics.median(r['load']['bytes'] / r['load']['requests'] for r in mine):,.0f}",
            f"{statistics.median(r['load']['p50_us'] for r in mine):,.0f}",
            f"{statistics.median(r['load']['p99_us'] for r in mine):,.0f}",
        ])
    return table(["server", "CPU us/request (min..max)", f"x {first}", "in user mode",
                  "requests/s", "bytes/answer", "p50 us", "p99 us"], rows)


def idle_table(records):
    return table(["server", "RSS bytes/connection", "PSS bytes/connection", "RSS MiB before",
                  "after"],
                 [[r["server"], f"{r['per_connection']['rss']:,.0f}",
                   f"{r['per_connection']['pss']:,.0f}", f"{r['before']['rss'] / 2**20:.2f}",
                   f"{r['after']['rss'] / 2**20:.2f}"] for r in records])


def allocs_table(records):
    kinds = list(records[0]["counts"])
    return table(["server"] + kinds + ["allocations/request"],
                 [[r["server"]] + [f"{r['counts'][kind]:,}" for kind in kinds]
                  + [f"{sum(n for k, n in r['counts'].items() if k not in ('free', 'munmap')) / r['requests']:.4f}"]
                  for r in records])


def syscalls_table(records):
    return table(["server", "calls/request", "which"],
                 [[r["server"], f"{sum(r['calls'].values()):.2f}",
                   ", ".join(f"{call} {n:.2f}" for call, n in
                             sorted(r["calls"].items(), key=lambda item: -item[1])
                             if n >= 0.005)] for r in records])


def rss_table(records):
    return table(["server", "RSS MiB", "of that private", "of that files", "PSS MiB", "binary KiB"],
                 [[r["server"]] + [f"{r['memory'][key] / 2**20:.2f}"
                                   for key in ("rss", "anon", "file", "pss")]
                  + [f"{r['binary_bytes'] / 1024:,.0f}"] for r in records])


TABLES = {"per_connection": idle_table, "counts": allocs_table, "calls": syscalls_table,
          "memory": rss_table, "cpu_us": timed_table}


def markdown(records):
    """All tables of one run; records[0] is its head."""
    parts = []
    for case in dict.fromkeys(r["case"] for r in records[1:]):
        mine = [r for r in records[1:] if r["case"] == case]
        make = next(make for key, make in TABLES.items() if key in mine[0])
        parts.append(f"{case}:\n\n{make(mine)}\n")
    return "\n".join(parts)


def commands(records):
    """Each server's and each load's command, once."""
    found = []
    for record in records[1:]:
        for key in ("server_command", "load_command"):
            if record.get(key) and record[key] not in found:
                found.append(record[key])
    return found


def last_run(path):
    runs = []
    for line in path.read_text().splitlines():
        record = json.loads(line)
        if "begin" in record:
            runs.append([])
        runs[-1].append(record)
    return runs[-1]


def machine_text(m):
    return (f"{m['cpu']}, {m['cores']} cores{' (virtual)' if m['virtual'] else ''}, "
            f"{m['memory_gib']} GiB, {m['kernel']}, {m['system']}; server on core "
            f"{m['server_core']}, load on core {m['load_core']}; load average at the start "
            f"{m['load_average']}")


def section(records):
    head = records[0]
    versions = ", ".join(f"{name} {version}" if name in ("floor", "hello", "serval") else version
                         for name, version in head["versions"].items() if version)
    return (f"### {head['title']}\n\n"
            f"`{head['command']}`, {head['begin']}. {machine_text(head['machine'])}. "
            f"Versions: {versions}.\n\n{markdown(records)}\n"
            "Commands:\n\n```\n" + "\n".join(commands(records)) + "\n```\n\n"
            f"Raw results: [raw/{head['scenario']}.jsonl](raw/{head['scenario']}.jsonl)\n")


def report(out, scenarios):
    """Rewrites the part of bench/README.md between the marks, and bench/raw/."""
    sections = []
    raw = harness.BENCH / "raw"
    for name in scenarios:
        path = out / f"{name}.jsonl"
        if not path.is_file():
            harness.warn(f"{name}: no run yet")
            continue
        records = last_run(path)
        raw.mkdir(exist_ok=True)
        (raw / path.name).write_text("".join(json.dumps(r) + "\n" for r in records))
        sections.append(section(records))
    readme = harness.BENCH / "README.md"
    before, rest = readme.read_text().split(BEGIN)
    after = rest.split(END)[1]
    readme.write_text(f"{before}{BEGIN}\n\n" + "\n".join(sections) + f"\n{END}{after}")
    return 0
