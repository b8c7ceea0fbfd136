"""What the ledger costs as it grows, up to 100 million known images.

Keys are drawn instead of hashed, because a hundred million names would not fit; what hashing a million real
names costs is measured beside it.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from multiprocessing import get_context

import numpy as np
import pyarrow as pa

from benchmarks.harness.bench import Bench, Result, say
from benchmarks.harness.measure import MEGABYTE
from skinml.scoring.ledger import Known, Versions, hash_keys, look_up, make_ledger

ROWS = (1_000_000, 10_000_000, 100_000_000)
PIECE = 65_536
ASKED = 1_000_000
PAGE = 16_384
"""Rows of a listing that are looked up at once, as `scoring.pending` does."""


def drawn(rows: int) -> Iterator[Versions]:
    """Keys and sizes of so many image versions, in pieces as a scan of the table gives them."""
    generator = np.random.default_rng(0)
    for start in range(0, rows, PIECE):
        count = min(PIECE, rows - start)
        keys = generator.integers(0, 2**64, (count, 2), dtype=np.uint64)
        yield Versions(keys, generator.integers(10_000, 100_000, count))


def one_size(rows: int) -> dict[str, float]:
    """Seconds to make a ledger of so many rows and to look a million up in it, and peak memory."""
    began = time.perf_counter()
    for _ in drawn(rows):
        pass
    drawing = time.perf_counter() - began
    began = time.perf_counter()
    ledger = make_ledger(drawn(rows))
    making = time.perf_counter() - began - drawing
    known = next(drawn(rows))
    asked = np.random.default_rng(1).integers(0, 2**64, (ASKED, 2), dtype=np.uint64)
    asked[: len(known[0])] = known[0]
    sizes = np.zeros(ASKED, np.int64)
    sizes[: len(known[1])] = known[1]
    began = time.perf_counter()
    found = sum(
        int((look_up(ledger, asked[start : start + PAGE], sizes[start : start + PAGE]) == Known.KNOWN).sum())
        for start in range(0, ASKED, PAGE)
    )
    looking = time.perf_counter() - began
    if found != min(PIECE, rows):
        raise RuntimeError(f"{found} of {min(PIECE, rows)} known images were found")
    return {
        "rows": rows,
        "make_seconds": round(making, 2),
        "look_up_a_million_seconds": round(looking, 2),
        "ledger_mb": round((ledger.first.nbytes + ledger.second.nbytes + ledger.size_bytes.nbytes) / MEGABYTE),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MEGABYTE),
    }


def hashing() -> dict[str, float]:
    """Seconds to hash a million names of a usual length."""
    uris = pa.array([f"s3://archive/clinic/2026/11/24/ISIC_{number:07d}.jpg" for number in range(ASKED)])
    etags = pa.array([f'"{number:032x}"' for number in range(ASKED)])
    began = time.perf_counter()
    for start in range(0, ASKED, PAGE):
        hash_keys(pa.chunked_array([uris.slice(start, PAGE)]), pa.chunked_array([etags.slice(start, PAGE)]))
    return {"hash_a_million_seconds": round(time.perf_counter() - began, 2)}


def measure(bench: Bench) -> Result:
    """Hashing, and ledgers of every size, each in a process of its own."""
    found: Result = {}
    with get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        found["hashing"] = pool.apply(hashing)
        found["ledgers"] = []
        for rows in map(bench.count, ROWS):
            say(f"ledger: {rows:,} rows")
            found["ledgers"].append(pool.apply(one_size, (rows,)))
    return found
