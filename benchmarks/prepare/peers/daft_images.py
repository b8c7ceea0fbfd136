"""Daft: its native runner with its own expressions for reading, decoding and resizing images, to Parquet."""

from __future__ import annotations

import os

os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("DAFT_PROGRESS_BAR", "0")

import daft
from daft.functions import decode_image, download, resize

from benchmarks.prepare.peers.common import parse

if __name__ == "__main__":
    job = parse(__doc__)
    table = daft.from_glob_path(f"{job.images}/*.jpg")
    image = decode_image(download(daft.col("path")), mode="RGB")
    table = table.select(daft.col("path"), resize(image, job.options.size, job.options.size).alias("pixels"))
    table.write_parquet(str(job.out))
