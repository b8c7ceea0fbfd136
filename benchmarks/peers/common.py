"""What every peer is told on its command line: images, metadata, where pixels go, and their size."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Job:
    """One job: decode the JPEGs in `images`, write uint8 RGB pixels of size x size to `out`.

    `out` ends up as one .npy file (n, size, size, 3) in the order of file names, or, for libraries that
    write in parts and in any order, as a folder of Parquet files with the columns `path` and `pixels`.
    """

    images: Path
    metadata: Path
    out: Path
    size: int
    options: argparse.Namespace

    def files(self) -> list[str]:
        """The images in order of their names, which is the metadata's too."""
        return sorted(str(path) for path in self.images.iterdir())


def parse(description: str | None, *extra: str) -> Job:
    """Read the command line; `extra` are names of further flags that take a value."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--images", type=Path, required=True, help="folder of JPEGs")
    parser.add_argument("--metadata", type=Path, required=True, help="CSV in HAM10000's layout")
    parser.add_argument("--out", type=Path, required=True, help="where the pixels go")
    parser.add_argument("--size", type=int, default=64, help="edge of the square pixels, px")
    for name in extra:
        parser.add_argument(f"--{name}")
    options = parser.parse_args()
    return Job(options.images, options.metadata, options.out, options.size, options)
