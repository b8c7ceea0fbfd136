"""Checks that a system did its job: pixels of every image are there, and they look as Pillow makes them."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from benchmarks.inputs import Input

SAMPLE = 24
"""Images of each run that are compared with Pillow's, evenly spread: all would take longer than most runs."""
LEAST_DB = 25.0
"""Peak signal-to-noise ratio, dB, below which pixels are not those of the same image; a resize by another
filter has 35 and more, another image about 15."""
EQUAL_DB = 99.0
"""What stands for equal pixels, whose ratio is infinite."""

Pixels = NDArray[np.uint8]


class PixelError(RuntimeError):
    """Pixels that are missing or wrong."""


def check(out: Path, given: Input, size: int) -> float:
    """Check the pixels that a system left in `out`; the lowest PSNR against Pillow among a sample, dB.

    Raises:
        PixelError: images are missing or doubled, or one of the sample is below LEAST_DB.
    """
    names = [path.stem for path in given.files()]
    found = dict(_read(out, names, size))
    if found.keys() != set(names):
        raise PixelError(f"pixels of {len(found)} images where there are {len(names)}")
    chosen = np.unique(np.linspace(0, len(names) - 1, SAMPLE).astype(int))
    worst = min(psnr(found[names[i]], exact(given.images / f"{names[i]}.jpg", size)) for i in chosen)
    if worst < LEAST_DB:
        raise PixelError(f"pixels at {worst:.1f} dB of Pillow's, at least {LEAST_DB:.0f} are asked for")
    return worst


@functools.lru_cache(maxsize=4096)
def exact(path: Path, size: int) -> Pixels:
    """What Pillow makes of a file: full decode, its default filter."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB").resize((size, size)))


def psnr(one: Pixels, other: Pixels) -> float:
    """Peak signal-to-noise ratio, dB; EQUAL_DB where both are equal, and at most that."""
    error = float(np.mean((one.astype(np.float64) - other.astype(np.float64)) ** 2))
    return EQUAL_DB if error == 0 else min(EQUAL_DB, 10 * float(np.log10(255**2 / error)))


def _read(out: Path, names: list[str], size: int) -> Iterator[tuple[str, Pixels]]:
    """Image id and pixels, from whatever form a system writes: see `benchmarks.peers.common.Job`."""
    if (out / "shards").is_dir():
        yield from _read_workspace(out)
    elif out.is_dir():
        yield from _read_parquet(out, size)
    else:
        pixels = np.load(out, mmap_mode="r")
        if pixels.dtype != np.uint8 or pixels.shape != (len(names), size, size, 3):
            raise PixelError(f"pixels are {pixels.dtype} {pixels.shape}")
        yield from zip(names, pixels, strict=True)


def _read_workspace(workspace: Path) -> Iterator[tuple[str, Pixels]]:
    """What `skinml prepare` left: shards and the index that says what lies where."""
    (index_path,) = (workspace / "shards").glob("*/index.parquet")
    shards: dict[int, Pixels] = {}
    for line in pq.read_table(index_path).to_pylist():
        number = line["shard"]
        if number not in shards:
            shards[number] = np.load(index_path.parent / f"shard-{number:05d}.npy", mmap_mode="r")
        yield line["image_id"], shards[number][line["row"]]


def _read_parquet(folder: Path, size: int) -> Iterator[tuple[str, Pixels]]:
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
                    raise PixelError(f"{Path(path).name} is there twice")
                seen.add(path)
                yield Path(path).stem, image
