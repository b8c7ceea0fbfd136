"""What became of one shard's images: decoded and measured, or rejected; kept beside the pixels until published.

An interrupted run leaves its finished shards and these records behind, and the next run takes them over.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
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
from skinml.schemas import OUTCOME
from skinml.storage.objects import read_bytes, write_bytes
from skinml.workspace import unpublished_url

MEASURED_AT_ONCE = 32
"""Images whose quality and hash are computed together: NumPy's overhead is shared, and 64 px fit the cache."""


def decode_images(images: pd.DataFrame, preprocessing: Preprocessing) -> tuple[NDArray[np.uint8], pd.DataFrame]:
    """Read, decode and measure images.

    Args:
        images: columns uri, etag and size_bytes, as they were listed.
        preprocessing: how pixels are made.

    Returns:
        Pixels uint8 (k, size, size, 3) of the k images that could be used, and one row an image in the order
        of `images` with the columns of OUTCOME. Nothing about one image stops the others.
    """
    pixels = np.empty((len(images), preprocessing.size, preprocessing.size, 3), dtype=np.uint8)
    rows: list[tuple[Any, ...]] = []
    used = 0
    for image in load_images(images, preprocessing):
        if isinstance(image, Rejected):
            reason = image.reason.value
            rows.append(
                (image.etag, image.size_bytes, None, None, None, None, None, reason, image.detail, None)
            )
            continue
        pixels[used] = image.decoded.pixels
        size, digest = (image.decoded.width, image.decoded.height), sha256(image.data).hexdigest()
        profile = image.decoded.colour_profile
        rows.append((image.etag, len(image.data), used, *size, digest, datetime.now(UTC), None, None, profile))
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
    """Quality and perceptual hash of each row of a shard."""
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
    """Where a shard's record lies."""
    return f"{unpublished_url(workspace, dataset_key)}/{shard_name(number, 'parquet')}"


def write_record(workspace: str, dataset_key: str, number: int, outcome: pd.DataFrame) -> None:
    """Say that this shard is finished: its pixels are whole, and this is what became of its images."""
    table = pa.Table.from_pandas(outcome[OUTCOME.names], OUTCOME, preserve_index=False)
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    write_bytes(record_url(workspace, dataset_key, number), buffer.getvalue())


def read_record(
    workspace: str, dataset_key: str, number: int, columns: Sequence[str] = tuple(OUTCOME.names)
) -> pd.DataFrame:
    """What became of a finished shard's images, schema OUTCOME."""
    data = read_bytes(record_url(workspace, dataset_key, number))
    outcome: pd.DataFrame = pq.read_table(io.BytesIO(data), columns=list(columns)).to_pandas()
    return outcome
