"""Memory-map a dataset's shards on this machine: files of a folder directly, those of a bucket as copies."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from skinml.dataset.shards import decode_parquet_shard, shard_name
from skinml.errors import RunError
from skinml.images.preprocessing import ShardFormat
from skinml.layout import shards_url
from skinml.storage.objects import local_copy, read_bytes

THREADS = 8
"""Copies in parallel. A shard has 1.5 to 32 MB, so latency dominates."""

Count = Annotated[int, Field(ge=0)]


@dataclass(frozen=True)
class Shard:
    """A shard: its number, the rows that count, and the size of its file in bytes when it was listed."""

    number: Count
    rows: Count
    size_bytes: Count


def map_shards(
    workspace: str, dataset_key: str, stored_as: ShardFormat, shards: Sequence[Shard], folder: Path
) -> list[NDArray[np.uint8]]:
    """Return the pixels of shards as memory maps, uint8 (rows, size, size, 3) each.

    Args:
        workspace: normalised URL.
        dataset_key: the dataset.
        stored_as: its format.
        shards: the shards to map, in this order.
        folder: where to put local copies of shards that are in a bucket or in Parquet. Existing copies are
        used.

    Raises:
        RunError: a file has another size than when it was listed, or fewer rows.
        StorageError: a file does not exist.

    """
    base = shards_url(workspace, dataset_key)

    def fetch(shard: Shard) -> Path:
        return _fetch(f"{base}/{shard_name(shard.number, stored_as)}", stored_as, shard, folder)

    with ThreadPoolExecutor(THREADS, thread_name_prefix="fetch") as pool:
        paths = list(pool.map(fetch, shards))
    return [_map(path, shard) for path, shard in zip(paths, shards, strict=True)]


def _fetch(url: str, stored_as: ShardFormat, shard: Shard, folder: Path) -> Path:
    """Return a complete .npy file of the shard's pixels."""
    if stored_as == "npy":
        path = local_copy(url, folder)
        try:
            size_bytes = path.stat().st_size
        except OSError as error:
            raise RunError(f"{url}: was deleted during this run; run again") from error
        _check_size(url, size_bytes, shard)
        return path
    path = folder / hashlib.sha256(url.encode()).hexdigest()[:16] / shard_name(shard.number, "npy")
    if not path.exists():
        data = read_bytes(url)
        _check_size(url, len(data), shard)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{secrets.token_hex(4)}-{path.name}")
        np.save(partial, decode_parquet_shard(data), allow_pickle=False)
        partial.replace(path)  # whole or not there
    return path


def _check_size(url: str, size_bytes: int, shard: Shard) -> None:
    if size_bytes != shard.size_bytes:
        raise RunError(
            f"{url}: has {size_bytes:,} bytes, but had {shard.size_bytes:,} when this run began; run again"
        )


def _map(path: Path, shard: Shard) -> NDArray[np.uint8]:
    pixels: NDArray[np.uint8] = np.load(path, mmap_mode="r", allow_pickle=False)
    if len(pixels) < shard.rows:
        raise RunError(
            f"shard {shard.number} has {len(pixels)} images, but the index names row {shard.rows - 1};"
            " prepare again"
        )
    return pixels[: shard.rows]
