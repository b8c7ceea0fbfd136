"""What every preparing peer is told on its command line: images, metadata, where pixels go, and their size."""

from __future__ import annotations

from pathlib import Path

from benchmarks.harness.job import Job, read_job


def parse(description: str | None, *extra: str) -> Job:
    """Read the command line; `extra` are names of further flags that take a text.

    The job is to decode the JPEGs in `images` and to write uint8 RGB pixels of options.size x options.size to
    `out`: one .npy file (n, size, size, 3) in the order of file names, or, for libraries that write in parts
    and in any order, a folder of Parquet files with the columns `path` and `pixels`.
    """
    return read_job(description, {"metadata": Path, "size": int}, extra)
