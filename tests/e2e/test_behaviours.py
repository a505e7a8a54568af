#!/usr/bin/env python3
"""Each behaviour of tests/behaviours.md is decided, and those we share have a test with their number."""

import pathlib
import re
import sys

TESTS = pathlib.Path(__file__).resolve().parents[1]
KINDS = ("same", "stricter", "different", "not applicable")


def names():
    code = "\n".join(p.read_text() for p in TESTS.rglob("*.c"))
    return set(re.findall(r"\b(?:Test|ARGS)\([^()]*?\b([bd]\d{3}[a-z]?)_", code))


def main():
    page = (TESTS / "behaviours.md").read_text()
    rows = re.findall(r"^\| (\d+) \| [^|]* \| ([^|]*) \| ([^|]*) \|$", page, re.M)
    tests, wrong = names(), []
    if [int(n) for n, _, _ in rows] != list(range(1, 208)):
        wrong.append("the numbers are not 1 to 207")
    for number, decision, _ in rows:
        name = "b%03d" % int(number)
        if not decision.startswith(KINDS):
            wrong.append(f"{number}: not decided: {decision}")
        if decision.startswith("stricter") and "RFC" not in decision:
            wrong.append(f"{number}: stricter by which clause?")
        if decision.startswith(("same", "stricter")) and name not in tests:
            wrong.append(f"{number}: no test is named {name}_...")
    for letter in re.findall(r"`(d\d{3}[a-z])`", page):
        if letter not in tests:
            wrong.append(f"no test is named {letter}_...")
    for line in wrong:
        print(line)
    return 1 if wrong else 0


sys.exit(main())
