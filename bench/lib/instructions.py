"""Instructions per operation, counted by valgrind: no noise, and no need for a quiet machine."""

import os
import pathlib
import platform
import re
import subprocess
import tempfile

import harness

# The C library picks its string functions by what the CPU has; this keeps to what all have.
PLAIN = "glibc.cpu.hwcaps=-AVX2,-AVX,-AVX512F,-ERMS,-FSRM,-Prefer_No_VZEROUPPER"


def collected(argv):
    env = {**os.environ, "GLIBC_TUNABLES": PLAIN}
    out = subprocess.run([harness.tool("valgrind"), "--tool=callgrind",
                          "--callgrind-out-file=/dev/null", *argv],
                         capture_output=True, text=True, env=env, cwd=harness.ROOT)
    found = re.search(r"Collected : (\d+)", out.stderr)
    if out.returncode or not found:
        raise harness.Broken(f"{' '.join(map(str, argv))}: {out.stderr[-500:]}")
    return int(found[1])


def per_operation(argv_for, few=2000, many=12000):
    """argv_for(n) does n operations. The difference has neither start nor end."""
    return (collected(argv_for(many)) - collected(argv_for(few))) / (many - few)


def first_line(argv):
    try:
        return subprocess.run(argv, capture_output=True, text=True).stdout.splitlines()[0].strip()
    except (OSError, IndexError):
        return "unknown"


def cached(name, default):
    """A value of CMake's cache."""
    cache = "\n".join(harness.lines_of(harness.build / "CMakeCache.txt"))
    found = re.search(rf"^{name}:\w+=(.*)$", cache, re.M)
    return found[1] if found else default


def llhttp():
    folder = pathlib.Path(cached("SVL_LLHTTP_INCLUDE", "/usr/include"))
    parts = re.findall(r"LLHTTP_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)",
                       "\n".join(harness.lines_of(folder / "llhttp.h")))
    return ".".join(parts) or "unknown"


def toolchain():
    """What the counts depend on besides our sources: one line."""
    return ", ".join([first_line([cached("CMAKE_C_COMPILER", "cc"), "--version"]), " ".join(platform.libc_ver()),
                      platform.machine(),
                      "libuv " + first_line(["pkg-config", "--modversion", "libuv"]),
                      "llhttp " + llhttp(), first_line([harness.tool("valgrind"), "--version"])])


def guarded(folder):
    """What is guarded: name, and the program with its arguments for n operations."""
    server, parts = harness.program("micro_server"), harness.program("micro_parts")
    www = pathlib.Path(folder)
    (www / "1k").write_bytes(b"x" * 1024)

    def of(*argv):
        return lambda n: [*argv, str(n)]

    yield from ((name, of(parts, name)) for name in ("parse", "parse-llhttp", "chain", "response"))
    yield "get", of(server, "--twin", "get", "--requests")
    yield "connection", of(server, "--twin", "get", "--per-conn", "1", "--requests")
    yield "post", of(server, "--twin", "post", "--requests")
    if "SVL_HAVE_ROUTER 1" in features():
        yield "router", of(server, "--twin", "router", "--requests")
    if "SVL_HAVE_FS 1" in features():
        yield "fs hit", of(server, "--twin", "fs", "--root", str(www), "--requests")


def features():
    return "\n".join(harness.lines_of(harness.build / "include" / "serval" / "features.h"))


def measure():
    """{name: instructions per operation}"""
    with tempfile.TemporaryDirectory() as folder:
        return {name: per_operation(argv_for) for name, argv_for in guarded(folder)}
