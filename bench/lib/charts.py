"""Bar charts as SVG, readable in light and dark."""

import html
import statistics

import harness

WIDTH, LABEL, VALUE, BAR, GAP, TOP = 720, 130, 90, 18, 8, 64

STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #24292f }
  .title { font-size: 16px; font-weight: 600 } .note, .value { fill: #57606a }
  .ours { fill: #c2410c } .other { fill: #94a3b8 } .floor { fill: #cbd5e1 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .note, .value { fill: #9198a1 }
    .ours { fill: #fb923c } .other { fill: #64748b } .floor { fill: #475569 }
  }"""


def shown(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def kind_of(name):
    return "floor" if name == "floor" else "ours" if name in harness.OURS else "other"


def bars(title, note, rows):
    """rows: (name, value), drawn in the order of the values."""
    rows = sorted(rows, key=lambda row: row[1])
    longest = max(value for _, value in rows)
    room = WIDTH - LABEL - VALUE
    height = TOP + len(rows) * (BAR + GAP) + GAP
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
             f'viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{html.escape(title)}">',
             f"<style>{STYLE}\n</style>",
             f'<text class="title" x="0" y="20">{html.escape(title)}</text>',
             f'<text class="note" x="0" y="42">{html.escape(note)}</text>']
    for i, (name, value) in enumerate(rows):
        y = TOP + i * (BAR + GAP)
        width = max(1, round(room * value / longest, 1))
        label = "serval" if kind_of(name) == "ours" else {"nethttp": "net/http"}.get(name, name)
        parts += [f'<text x="{LABEL - 8}" y="{y + 14}" text-anchor="end">{label}</text>',
                  f'<rect class="{kind_of(name)}" x="{LABEL}" y="{y}" width="{width}" '
                  f'height="{BAR}" rx="2"/>',
                  f'<text class="value" x="{LABEL + width + 6}" y="{y + 14}">{shown(value)}</text>']
    return "\n".join(parts + ["</svg>", ""])


def medians(records, key):
    """[(server, median)] of records, which are of one case."""
    found = {}
    for r in records:
        value = r
        for word in key.split("."):
            value = value[word]
        found.setdefault(r["server"], []).append(value)
    return [(name, statistics.median(values)) for name, values in found.items()]


def of_case(runs, scenario, begins):
    return [r for r in runs.get(scenario, [])[1:] if r["case"].startswith(begins)]


LESS = "less is better"
CPU = f"microseconds of server CPU per request, the kernel's included; {LESS}"

# (file, title, note, scenario, how the case begins, what of a record)
CHARTS = [
    ("keep-alive", "Hello, World! on 64 keep-alive connections", CPU, "hello", "keep-alive", "cpu_us"),
    ("pipelined", "Hello, World!, 16 requests pipelined", CPU, "hello", "pipelined", "cpu_us"),
    ("file-1k", "A file of 1 KiB", CPU, "files", "1,024", "cpu_us"),
    ("file-100k", "A file of 100 KiB", CPU, "files", "102,400", "cpu_us"),
    ("file-10m", "A file of 10 MiB", CPU, "files", "10,485,760", "cpu_us"),
    ("latency", "p99 latency, 1,000 connections, the same rate for all",
     f"microseconds from the moment a request was due; {LESS}", "latency", "1,000", "load.p99_us"),
    ("idle", "An idle keep-alive connection", f"bytes of resident memory; {LESS}", "idle", "",
     "per_connection.rss"),
    ("echo", "POST of 1 KiB, answered with its body", CPU, "echo", "1 KiB", "cpu_us"),
]


def draw_all(runs, folder):
    """Returns [(file without .svg, title)] of what could be drawn."""
    folder.mkdir(exist_ok=True)
    drawn = []
    for name, title, note, scenario, case, key in CHARTS:
        records = of_case(runs, scenario, case)
        if records:
            (folder / f"{name}.svg").write_text(bars(title, note, medians(records, key)))
            drawn.append((name, title))
    records = [r for r in of_case(runs, "twins", "1 thread") if "10,000 per" in r["twin"]
               and "Get" in r["twin"]]
    if records:
        title = "A GET without sockets or a kernel, 10,000 per connection"
        (folder / "twins.svg").write_text(
            bars(title, f"nanoseconds per request, one thread; {LESS}", medians(records, "ns")))
        drawn.append(("twins", title))
    return drawn
