"""The files of a dataset: shards of pixels as NumPy or Parquet, and the index of samples."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from skinml.images.preprocessing import ShardFormat
from skinml.layout import index_url
from skinml.schemas import INDEX
from skinml.storage.objects import exists, read_bytes, write_bytes
from skinml.storage.parquet import as_parquet
from skinml.storage.spelling import resolve_rows

IMAGES_PER_SHARD = 512
BYTES_PER_SHARD = 32 * 2**20
"""A shard is full when it reaches either bound. A worker holds one shard's pixels in memory."""


SOURCE_BYTES = 128 * 2**20
"""The third bound: camera files of 2 MB make shards of 64, one second of work; 512 would take seven seconds."""


def images_per_shard(size: int) -> int:
    """Return the images in a full shard for this edge in px: 512 up to 147 px, fewer above."""
    return max(1, min(IMAGES_PER_SHARD, BYTES_PER_SHARD // (size * size * 3)))


def cut(source_bytes: NDArray[np.int64], size: int) -> list[slice]:
    """Cut images into shards within the three bounds above.

    The result depends on the images alone, so shards have the same bytes for any number of workers.

    Args:
        source_bytes: size of each image's file, shape (n,).
        size: edge of the square pixels in px.
    """
    ends = np.cumsum(source_bytes)
    most, start, cuts = images_per_shard(size), 0, []
    while start < len(ends):
        before = ends[start - 1] if start else 0
        fit = int(np.searchsorted(ends, before + SOURCE_BYTES, side="right"))
        stop = min(start + most, max(fit, start + 1))
        cuts.append(slice(start, stop))
        start = stop
    return cuts


def shard_name(number: int, stored_as: ShardFormat) -> str:
    """The file name of a shard."""
    return f"shard-{number:05d}.{stored_as}"


def encode_shard(pixels: NDArray[np.uint8], stored_as: ShardFormat) -> bytes:
    """Pixels (n, h, w, 3) as a .npy file, or as Parquet with one binary value an image and its shape beside."""
    if stored_as == "npy":
        buffer = io.BytesIO()
        # The same bytes as np.save, with one copy of the pixels instead of three.
        np.lib.format.write_array_header_1_0(buffer, np.lib.format.header_data_from_array_1_0(pixels))
        return b"".join([buffer.getvalue(), np.ascontiguousarray(pixels).data])
    # One binary column with the shape as metadata: a FixedSizeList of pixels reads three times slower.
    column = pa.array([image.tobytes() for image in pixels], pa.binary())
    shape = "x".join(str(edge) for edge in pixels.shape[1:])
    table = pa.table({"pixels": column}, metadata={"shape": shape, "dtype": "uint8"})
    return as_parquet(table)


def decode_parquet_shard(data: bytes) -> NDArray[np.uint8]:
    """Decode a Parquet shard to pixels, uint8 (n, h, w, 3); the shape is in its metadata."""
    table = pq.read_table(io.BytesIO(data))
    shape = tuple(int(edge) for edge in table.schema.metadata[b"shape"].split(b"x"))
    images = [np.frombuffer(value.as_buffer(), np.uint8) for value in table["pixels"]]
    return np.stack(images).reshape(len(images), *shape)


def read_index(workspace: str, dataset_key: str) -> pa.Table:
    """Read the shard and row of each sample's pixels, schema INDEX; empty if the dataset does not exist yet.

    Uris of files are in the spelling that a listing uses today.
    """
    url = index_url(workspace, dataset_key)
    if not exists(url):
        return INDEX.empty_table()
    return resolve_rows(pq.read_table(io.BytesIO(read_bytes(url))).cast(INDEX))


def write_index(url: str, index: pa.Table) -> None:
    """Write a dataset's index atomically."""
    write_bytes(url, as_parquet(index.cast(INDEX)))
