"""How near `fast` pixels are to `exact` ones, which are Pillow's: peak signal-to-noise ratio by size."""

from __future__ import annotations

import numpy as np

from benchmarks.harness.agreement import psnr
from benchmarks.harness.bench import Bench, Result, say
from benchmarks.harness.inputs import REAL, source_name, sources
from skinml.images.decode import decode

SIZES = (32, 64, 128, 224)
IMAGES = 984


def measure(bench: Bench) -> Result:
    """Mean, first percentile and minimum of the PSNR, dB, over the photographs of 600x450 px."""
    files = sources(bench.cache)[: bench.count(IMAGES)]
    rows = []
    for size in SIZES:
        found = [_agreement(file.read_bytes(), size) for file in files]
        rows.append(
            {
                "size": size,
                "mean_db": round(float(np.mean(found)), 2),
                "percentile_1_db": round(float(np.percentile(found, 1)), 2),
                "minimum_db": round(float(np.min(found)), 2),
            }
        )
        say(f"fidelity: {size} px, {rows[-1]['mean_db']} dB")
    return {"images": len(files), "of": source_name(), "real": REAL.is_dir(), "rows": rows}


def _agreement(data: bytes, size: int) -> float:
    fast, exact = decode(data, size, "fast").pixels, decode(data, size, "exact").pixels
    return psnr(fast, exact)
