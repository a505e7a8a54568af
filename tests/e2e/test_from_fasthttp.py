#!/usr/bin/env python3
"""Each of our names in docs/from_fasthttp.md exists in include/."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def main():
    page = (ROOT / "docs" / "from_fasthttp.md").read_text()
    code = "\n".join(p.read_text() for p in (ROOT / "include").rglob("*.h"))
    known = set(re.findall(r"\w+", code))
    # Names of header fields and modules are pasted together by the preprocessor.
    known |= {"SVL_H_" + name for name in re.findall(r"X\((\w+), \"", code)}
    known |= {"SVL_" + name for name in re.findall(r"X\((E[A-Z]+),", code)}
    missing = []
    for name in sorted(set(re.findall(r"`[^`]*`", page))):
        for word in re.findall(r"\b(?:svl|SVL)_\w+", name):
            if word not in known:
                missing.append(word)
        field = re.fullmatch(r"`(svl_\w+)\.(\w+)`", name)
        if field and field[2] not in known:
            missing.append(name)
    for name in re.findall(r"ctx->re[qs]\.(\w+)", page):
        if name not in known:
            missing.append("ctx->..." + name)
    if missing:
        print("docs/from_fasthttp.md names what is not in include/:", ", ".join(missing))
    return 1 if missing else 0


sys.exit(main())
