"""From the raw records of a run to tables, and to bench/README.md."""

import json
import re
import statistics

import charts
import harness
import summary

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
    """What was not measured is an empty cell."""
    if not values:
        return ""
    return (f"{statistics.median(values):.{digits}f} "
            f"({min(values):.{digits}f}..{max(values):.{digits}f})")


def within_rounds(records, key, name, base):
    """The median of the ratios within each round: drift of the machine cancels out."""
    bases = {r["round"]: value_of(r, key) for r in records if r["server"] == base}
    ratios = [value_of(r, key) / bases[r["round"]] for r in records
              if r["server"] == name and bases.get(r["round"])]
    return statistics.median(ratios) if ratios else None


def value_of(record, key):
    """"cpu_us", or "load.rps" for what lies deeper."""
    for word in key.split("."):
        record = record[word]
    return record


def median_of(records, key, name):
    values = [value_of(r, key) for r in records if r["server"] == name]
    return statistics.median(values) if values else None


def servers_of(records):
    return list(dict.fromkeys(record["server"] for record in records))


def timed_table(records):
    first = servers_of(records)[0]
    ours = next((name for name in servers_of(records) if name in harness.OURS and name != "floor"), "")
    bases = [first] + ([ours] if ours not in ("", first) else [])
    rows = []
    for name in servers_of(records):
        mine = [r for r in records if r["server"] == name]
        ratios = [within_rounds(records, "cpu_us", name, base) for base in bases]
        rows.append(
            [name, spread([r["cpu_us"] for r in mine])]
            + [f"{ratio:.3f}" if ratio else "" for ratio in ratios]
            + [f"{median_of(records, 'load.rps', name):,.0f}",
               f"{statistics.median(r['load']['bytes'] / r['load']['requests'] for r in mine):,.0f}"]
            + [f"{median_of(records, f'load.{p}_us', name):,.0f}" for p in ("p50", "p99", "p999")]
            + [f"{median_of(records, 'rss', name) / 2**20:.1f}"])
    return table(["server", "CPU us/request (min..max)"] + [f"x {base}" for base in bases]
                 + ["requests/s", "bytes/answer", "p50 us", "p99 us", "p99.9 us", "RSS MiB"], rows)


def twins_table(records):
    names = servers_of(records)
    others = [name for name in names if name != names[0]]
    counted = any("instructions" in r for r in records)
    rows = []
    for twin in dict.fromkeys(r["twin"] for r in records):
        mine = [r for r in records if r["twin"] == twin]
        row = [twin]
        row += [spread([r["ns"] for r in mine if r["server"] == name], 0) for name in names]
        for name in others:
            ratio = within_rounds(mine, "ns", names[0], name)
            row.append(f"{ratio:.3f}" if ratio else "")
        if counted:
            row.append(f"{mine[0].get('instructions', 0):,.0f}")
        for name in names if counted else []:
            found = [r["allocations"] for r in mine if r["server"] == name and "allocations" in r]
            row.append(f"{statistics.median(found):.2f}" if found else "")
        sizes = [median_of(mine, "bytes", name) for name in names]
        row.append(" / ".join(f"{size:,.0f}" for size in sizes if size))
        rows.append(row)
    columns = (["operation"] + [f"{name} ns" for name in names]
               + [f"{names[0]} x {name}" for name in others])
    if counted:
        columns.append(f"{names[0]} instructions")
    if counted:
        columns += [f"{name} allocs" for name in names]
    return table(columns + ["bytes out"], rows)


def more_ns(records, name):
    """Than the first one, in the same round."""
    base = {r["round"]: r["chain_ns"] for r in records if r["server"] == records[0]["server"]}
    return statistics.median(r["chain_ns"] - base[r["round"]] for r in records if r["server"] == name)


def chain_table(records):
    names = servers_of(records)
    return table(["chain", "ns/request (min..max)", f"more than {names[0]}"],
                 [[name, spread([r["chain_ns"] for r in records if r["server"] == name], 1),
                   f"{more_ns(records, name):.1f}"] for name in names])


def pending_table(records):
    return table(["chain", "ns each", "bytes each"],
                 [[r["server"], f"{r['pending_ns']:,}", f"{r['pending_bytes']:,}"] for r in records])


def operations_table(records):
    names = servers_of(records)
    more = [key for key in ("allocations", "tree_bytes") if any(key in r for r in records)]
    rows = []
    for operation in dict.fromkeys(r["operation"] for r in records):
        mine = [r for r in records if r["operation"] == operation]
        row = [operation]
        for name in names:
            row.append(spread([r["op_ns"] for r in mine if r["server"] == name], 1))
        for name in names[1:]:
            ratio = within_rounds(mine, "op_ns", names[0], name)
            row.append(f"{ratio:.2f}" if ratio else "")
        for key in more:
            found = {r["server"]: r[key] for r in mine if key in r}
            row.append(" / ".join(f"{found[name]:,.6g}" for name in names if name in found))
        rows.append(row)
    columns = ["operation"] + [f"{name} ns (min..max)" for name in names]
    columns += [f"x {name}" for name in names[1:]] + [key.replace("_", " ") for key in more]
    return table(columns, rows)


def struct_table(records):
    return table(["what", "bytes"], [[r["case"], str(r["struct_bytes"])] for r in records])


def idle_table(records):
    return table(["server", "RSS bytes/connection", "PSS bytes/connection", "RSS MiB before",
                  "after"],
                 [[r["server"], f"{r['per_connection']['rss']:,.0f}",
                   f"{r['per_connection']['pss']:,.0f}", f"{r['before']['rss'] / 2**20:.2f}",
                   f"{r['after']['rss'] / 2**20:.2f}"] for r in records])


def first_table(records):
    return table(["page", "first byte, ms (min..max)", "most RSS less that before, MiB"],
                 [[r["server"], spread(r["first_ms"], 1), f"{r['grown'] / 2**20:.2f}"] for r in records])


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
                             if n >= 0.05)] for r in records])


def rss_table(records):
    return table(["server", "RSS MiB", "of that private", "of that files", "PSS MiB", "binary KiB"],
                 [[r["server"]] + [f"{r['memory'][key] / 2**20:.2f}"
                                   for key in ("rss", "anon", "file", "pss")]
                  + [f"{r['binary_bytes'] / 1024:,.0f}"] for r in records])


TABLES = {"op_ns": operations_table, "struct_bytes": struct_table, "twin": twins_table, "chain_ns": chain_table,
          "pending_ns": pending_table, "per_connection": idle_table, "first_ms": first_table, "counts": allocs_table, "calls": syscalls_table,
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
    """Each server's and each load's command, once; how many requests is in the raw results."""
    found = []
    for record in records[1:]:
        for key in ("server_command", "load_command"):
            command = re.sub(r"--requests \d+", "--requests N", record.get(key, ""))
            if command and command not in found:
                found.append(command)
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
    versions = ", ".join(f"{name} {version}" for name, version in head["versions"].items()
                         if version)
    return (f"### {head['title']}\n\n"
            f"`{head['command']}`, {head['begin']}. {machine_text(head['machine'])}. "
            f"Versions: {versions}.\n\n{markdown(records)}\n"
            "Commands:\n\n```\n" + "\n".join(commands(records)) + "\n```\n\n"
            f"Raw results: [raw/{head['scenario']}.jsonl](raw/{head['scenario']}.jsonl)\n")


def kept_runs(out, scenarios):
    """{scenario: records}: the last run of each, else what bench/raw has."""
    runs = {}
    for name in scenarios:
        for path in (out / f"{name}.jsonl", harness.BENCH / "raw" / f"{name}.jsonl"):
            if path.is_file():
                runs[name] = last_run(path)
                break
        else:
            harness.warn(f"{name}: no run yet")
    return runs


def report(out, scenarios):
    """Rewrites the part of bench/README.md between the marks, bench/raw/ and bench/charts/."""
    runs = kept_runs(out, scenarios)
    raw = harness.BENCH / "raw"
    raw.mkdir(exist_ok=True)
    for name, records in runs.items():
        (raw / f"{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    drawn = charts.draw_all(runs, harness.BENCH / "charts")
    pictures = "\n".join(f"![{title}](charts/{name}.svg)\n" for name, title in drawn)
    targets = summary.targets_text(runs)
    readme = harness.BENCH / "README.md"
    before, rest = readme.read_text().split(BEGIN)
    after = rest.split(END)[1]
    parts = [targets, pictures, *(section(records) for records in runs.values())]
    readme.write_text(f"{before}{BEGIN}\n\n" + "\n".join(parts) + f"\n{END}{after}")
    return 0
