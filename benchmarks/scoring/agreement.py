"""Checks that a system did its job: probabilities of every image are there, and they are the exact ones.

Exact is Pillow's full decode and resize, then the network in fp32 on onnxruntime, image by image.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.harness.agreement import OutputError, exact, sample
from benchmarks.harness.bundle import Bundle
from benchmarks.harness.inputs import Input
from benchmarks.harness.systems import System
from benchmarks.scoring.peers.common import CLASSES, SIZE
from skinml import tables

SAMPLE = 200
"""Images of each run that are compared, evenly spread: all would take longer than most runs."""
LEAST_AGREEMENT = 0.9
"""Fraction of the sample whose predicted class must be the exact one. Between two classes that are nearly
equal another filter can decide: a bilinear one leaves 93 %. Of the answers to other images a quarter agrees."""
SUM_TOLERANCE = 1e-3
"""How far the sum of all probabilities may lie from the number of images, of that number."""

COLUMNS = [f"p_{name}" for name in CLASSES]
Probabilities = NDArray[np.float64]


WORST = {"same_class": min, "largest_difference": max}
"""The figures that `check` finds, and which of two is the worse one."""


def check(out: Path, system: System, given: Input, bundle: Bundle) -> dict[str, float]:
    """Check what a system left in `out`.

    Returns:
        How near a sample's probabilities are to the exact ones: same_class, the fraction whose predicted class
        is the exact one, and largest_difference of any probability. Nothing for a limit, which leaves a sum.

    Raises:
        OutputError: images are missing or doubled, or fewer than LEAST_AGREEMENT of the sample have the class
            that they should.
    """
    names = [path.stem for path in given.files()]
    if system.output == "sum":
        total = float(out.read_text(encoding="ascii"))
        if abs(total - len(names)) > SUM_TOLERANCE * len(names):
            raise OutputError(f"probabilities of {total:.1f} images where there are {len(names)}")
        return {}
    found = READERS[system.output](out)
    if len(found) != len(names) or set(found.index) != set(names):
        several = f"{len(found)} rows about {len(set(found.index))} images"
        raise OutputError(f"{several} where there are {len(names)}")
    paths = [given.images / f"{names[position]}.jpg" for position in sample(len(names), SAMPLE)]
    right = np.stack([exact_probabilities(path, bundle.folder / "model.onnx") for path in paths])
    theirs = found.loc[[path.stem for path in paths], COLUMNS].to_numpy(dtype=np.float64)
    same = float((theirs.argmax(axis=1) == right.argmax(axis=1)).mean())
    if same < LEAST_AGREEMENT:
        raise OutputError(f"{same:.0%} of a sample have the right class, {LEAST_AGREEMENT:.0%} are asked for")
    return {"same_class": same, "largest_difference": round(float(np.abs(theirs - right).max()), 5)}


@functools.lru_cache(maxsize=16_384)
def exact_probabilities(path: Path, network: Path) -> Probabilities:
    """The seven probabilities of one file."""
    pixels = exact(path, SIZE)[np.newaxis].astype(np.float32)
    found: Probabilities = _session(network).run(["probabilities"], {"pixels": pixels})[0][0]
    return found.astype(np.float64)


@functools.lru_cache(maxsize=2)
def _session(network: Path) -> Any:
    import onnxruntime

    return onnxruntime.InferenceSession(str(network), providers=["CPUExecutionProvider"])


def _read_tables(workspace: Path) -> pd.DataFrame:
    return _by_name(tables.read(str(workspace), "scores", ["uri", *COLUMNS]).to_pandas())


def _read_parts(folder: Path) -> pd.DataFrame:
    parts = [pq.ParquetFile(file).read().to_pandas() for file in sorted(folder.rglob("*.parquet"))]
    return _by_name(pd.concat(parts))


def _read_file(file: Path) -> pd.DataFrame:
    with file.open("rb") as opened:
        is_parquet = opened.read(4) == b"PAR1"
    return _by_name(pd.read_parquet(file) if is_parquet else pd.read_csv(file))


def _by_name(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows by the stem of the file that they are about."""
    column = "uri" if "uri" in rows else "path"
    stems: Sequence[str] = [Path(place).stem for place in rows[column]]
    return rows.set_index(pd.Index(stems))


READERS = {"tables": _read_tables, "parts": _read_parts, "file": _read_file}
"""How each form of output is read."""
