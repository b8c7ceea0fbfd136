"""Decode and measure one shard's images, and record the outcome beside the pixels until the run commits.

If a run is interrupted, the next run takes over its finished shards by these records.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from skinml.dataset.shards import shard_name
from skinml.images.fingerprint import perceptual_hashes
from skinml.images.load import Rejected, load_images
from skinml.images.preprocessing import Preprocessing
from skinml.images.quality import Quality, measure
from skinml.layout import unpublished_url
from skinml.schemas import OUTCOME
from skinml.storage.objects import read_bytes, write_bytes
from skinml.storage.parquet import as_parquet
from skinml.storage.removal import delete
from skinml.storage.spelling import resolve_rows

MEASURED_AT_ONCE = 32
"""Images measured in one call: enough to share NumPy's overhead, few enough for the cache at 64 px."""


def decode_images(
    images: pd.DataFrame, preprocessing: Preprocessing, roots: Sequence[str] | None = None
) -> tuple[NDArray[np.uint8], pd.DataFrame]:
    """Read, decode and measure images.

    Args:
        images: columns uri, etag and size_bytes, from the listing.
        preprocessing: how to make the pixels.
        roots: see `load_images`.

    Returns:
        Pixels uint8 (k, size, size, 3) of the k images that could be used, and one row per image in the order
        of `images` with the columns of OUTCOME. An image that cannot be used does not stop the others.
    """
    pixels = np.empty((len(images), preprocessing.size, preprocessing.size, 3), dtype=np.uint8)
    rows: list[tuple[Any, ...]] = []
    used = 0
    for image in load_images(images, preprocessing, roots):
        if isinstance(image, Rejected):
            why = (image.reason.value, image.detail)
            rows.append((image.etag, image.size_bytes, None, None, None, image.sha256, None, *why, None))
            continue
        decoded = image.decoded
        pixels[used] = decoded.pixels
        found, size = (image.etag, len(image.data), used), (decoded.width, decoded.height)
        when = datetime.now(UTC)
        rows.append((*found, *size, image.sha256, when, None, None, decoded.colour_profile))
        used += 1
    names = ["etag", "size_bytes", "row", "width", "height", "sha256", "prepared_at", "reason", "detail"]
    names.append("colour_profile")
    outcome = pd.DataFrame(rows, columns=names, index=images.index)
    outcome = outcome.astype(dict.fromkeys(("row", "width", "height"), "Int64"))
    outcome["uri"], outcome["listed_etag"] = images["uri"], images["etag"]
    kept = outcome["reason"].isna().to_numpy(dtype=bool)
    for name, values in _measures(pixels[:used]).items():
        outcome[name] = pd.Series(values, index=outcome.index[kept], dtype=object if name == "phash" else float)
    return pixels[:used], outcome.reset_index(drop=True)


def _measures(pixels: NDArray[np.uint8]) -> dict[str, Sequence[Any]]:
    """Return quality and perceptual hash of each row of a shard."""
    pieces = [pixels[start : start + MEASURED_AT_ONCE] for start in range(0, len(pixels), MEASURED_AT_ONCE)]
    quality = [measure(piece) for piece in pieces]
    measures: dict[str, Sequence[Any]] = {
        name: [value for piece in quality for value in getattr(piece, name)] for name in Quality._fields
    }
    measures["phash"] = [
        value.hex() if value else None for piece in pieces for value in perceptual_hashes(piece)
    ]
    return measures


def record_url(workspace: str, dataset_key: str, number: int) -> str:
    """Return the URL of a shard's record."""
    return f"{unpublished_url(workspace, dataset_key)}/{shard_name(number, 'parquet')}"


def write_record(workspace: str, dataset_key: str, number: int, outcome: pd.DataFrame) -> None:
    """Record that a shard is finished: its pixels are complete, and this is the outcome of its images."""
    table = pa.Table.from_pandas(outcome[OUTCOME.names], OUTCOME, preserve_index=False)
    write_bytes(record_url(workspace, dataset_key, number), as_parquet(table))


def forget_rejected(workspace: str, dataset_key: str, numbers: Iterable[int]) -> None:
    """Remove rejected images from these shards' records, so that the next run tries them again.

    The failures may be the fault of this machine. Pixels and the rest of the records stay.
    """
    for number in numbers:
        outcome = read_record(workspace, dataset_key, number)
        kept = outcome[outcome["reason"].isna()]
        if len(kept):
            write_record(workspace, dataset_key, number, kept)
        else:
            delete([record_url(workspace, dataset_key, number)])


def read_record(
    workspace: str, dataset_key: str, number: int, columns: Sequence[str] = tuple(OUTCOME.names)
) -> pd.DataFrame:
    """Read the outcome of a finished shard's images, schema OUTCOME."""
    data = read_bytes(record_url(workspace, dataset_key, number))
    outcome: pd.DataFrame = resolve_rows(pq.read_table(io.BytesIO(data), columns=list(columns))).to_pandas()
    return outcome
