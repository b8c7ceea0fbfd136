"""Turn a table into the bytes of a Parquet file."""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq


def as_parquet(table: pa.Table) -> bytes:
    """Return a table as the bytes of a Parquet file, compressed by Zstandard."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()
