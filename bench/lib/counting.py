"""Calls of the allocator, counted by a preloaded library."""

import os
import pathlib
import struct
import subprocess
import tempfile

import harness

KINDS = ["malloc", "calloc", "realloc", "aligned", "free", "mmap", "munmap"]


def library():
    made = harness.ROOT / "build" / "bench" / "count_alloc.so"
    if not made.is_file():
        made.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([os.environ.get("CC", "cc"), "-O2", "-std=c11", "-D_GNU_SOURCE", "-shared",
                        "-fPIC", "-o", made, harness.BENCH / "lib" / "count_alloc.c"], check=True)
    return made.resolve()


class Counts:
    """with Counts() as c: a program that is started with c.env counts into c.read()."""

    def __enter__(self):
        self.file = tempfile.NamedTemporaryFile()
        self.file.write(bytes(4096))
        self.file.flush()
        self.env = {"LD_PRELOAD": str(library()), "COUNT_ALLOC_FILE": self.file.name}
        return self

    def __exit__(self, *_):
        self.file.close()

    def read(self):
        found = struct.unpack_from(f"{len(KINDS)}L", pathlib.Path(self.file.name).read_bytes())
        return dict(zip(KINDS, found))


def per_operation(argv_for, few, many):
    """argv_for(n) does n operations. The difference has neither start nor end."""
    def calls(n):
        with Counts() as counts:
            subprocess.run(argv_for(n), check=True, stdout=subprocess.DEVNULL,
                           env={**os.environ, **counts.env})
            found = counts.read()
        if not any(found.values()):
            raise harness.Broken(f"{argv_for(n)[0]}: nothing counted, not even the start")
        return sum(found[kind] for kind in ("malloc", "calloc", "realloc", "aligned", "mmap"))

    return round((calls(many) - calls(few)) / (many - few), 4)
