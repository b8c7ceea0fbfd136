"""Checks that a system did its job: pixels of every image are there, and they look as Pillow makes them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.harness.agreement import OutputError, Pixels, exact, psnr, sample
from benchmarks.harness.inputs import Input
from benchmarks.harness.systems import System

SAMPLE = 24
"""Images of each run that are compared with Pillow's, evenly spread: all would take longer than most runs."""
LEAST_DB = 25.0
"""Peak signal-to-noise ratio, dB, below which pixels are not those of the same image; a resize by another
filter has 35 and more, another image about 15."""


WORST = {"psnr_db": min}
"""The figures that `check` finds, and which of two is the worse one."""


def check(out: Path, system: System, given: Input, size: int) -> dict[str, float]:
    """Check the pixels that a system left in `out`.

    Returns:
        psnr_db, the lowest PSNR against Pillow among a sample, dB. Nothing for the limit, which leaves a count.

    Raises:
        OutputError: images are missing or doubled, or one of the sample is below LEAST_DB.
    """
    names = [path.stem for path in given.files()]
    if system.output == "count":
        if int(out.read_text(encoding="ascii")) != len(names):
            raise OutputError("the limit did not decode every image")
        return {}
    found = dict(READERS[system.output](out, names, size))
    if found.keys() != set(names):
        raise OutputError(f"pixels of {len(found)} images where there are {len(names)}")
    chosen = sample(len(names), SAMPLE)
    worst = min(psnr(found[names[i]], exact(given.images / f"{names[i]}.jpg", size)) for i in chosen)
    if worst < LEAST_DB:
        raise OutputError(f"pixels at {worst:.1f} dB of Pillow's, at least {LEAST_DB:.0f} are asked for")
    return {"psnr_db": round(worst, 2)}


def _read_array(file: Path, names: list[str], size: int) -> Iterator[tuple[str, Pixels]]:
    """One .npy file in the order of names."""
    pixels = np.load(file, mmap_mode="r")
    if pixels.dtype != np.uint8 or pixels.shape != (len(names), size, size, 3):
        raise OutputError(f"pixels are {pixels.dtype} {pixels.shape}")
    yield from zip(names, pixels, strict=True)


def _read_tables(workspace: Path, names: list[str], size: int) -> Iterator[tuple[str, Pixels]]:
    """What `skinml prepare` left: shards and the index that says what lies where."""
    (index_path,) = (workspace / "shards").glob("*/index.parquet")
    shards: dict[int, Pixels] = {}
    for line in pq.read_table(index_path).to_pylist():
        number = line["shard"]
        if number not in shards:
            shards[number] = np.load(index_path.parent / f"shard-{number:05d}.npy", mmap_mode="r")
        yield line["image_id"], shards[number][line["row"]]


def _read_parts(folder: Path, names: list[str], size: int) -> Iterator[tuple[str, Pixels]]:
    """Parquet files with `path` and one more column, a list of size x size x 3 numbers an image."""
    seen = set()
    for file in sorted(folder.rglob("*.parquet")):
        # ParquetFile, not read_table: the extension types of Ray and Daft are then plain lists.
        table = pq.ParquetFile(file).read()
        (name,) = set(table.column_names) - {"path"}
        for chunk in table.to_batches():
            column = chunk.column(name)
            lists = column.storage if isinstance(column, pa.ExtensionArray) else column
            pixels = np.asarray(lists.flatten()).reshape(-1, size, size, 3)
            for path, image in zip(chunk.column("path").to_pylist(), pixels, strict=True):
                if path in seen:
                    raise OutputError(f"{Path(path).name} is there twice")
                seen.add(path)
                yield Path(path).stem, image


READERS = {"tables": _read_tables, "parts": _read_parts, "npy": _read_array}
"""Image ids and pixels from each form of output."""
