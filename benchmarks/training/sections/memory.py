"""Peak memory of a trainer and its worker over one epoch of 200,000 samples of 64 px in mapped shards."""

from __future__ import annotations

import sys

import numpy as np

from benchmarks.harness.bench import Bench, Result, answer

SAMPLES = 200_000
SIZE = 64
SHARD = 4096
BATCH = 64


def measure(bench: Bench) -> Result:
    """Write the shards, fit one epoch in a process of its own, remove them."""
    folder = bench.fresh("samples")
    folder.mkdir(parents=True)
    count, generator = bench.count(SAMPLES), np.random.default_rng(0)
    block = generator.integers(0, 256, (SHARD, SIZE, SIZE, 3), dtype=np.uint8)
    for number, start in enumerate(range(0, count, SHARD)):
        np.save(folder / f"{number:05d}.npy", np.roll(block, number, axis=0)[: count - start])
    found = answer(
        bench.run([sys.executable, "-m", "benchmarks.training.timed", "memory", str(folder), str(BATCH)])
    )
    bench.fresh("samples")
    return {"size_bytes": count * SIZE * SIZE * 3, **found}
