"""The command line of the peers: images, output folder, and what else the job needs."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Job:
    """One job of a peer. What it writes to `out` is said by its benchmark's `peers`.

    Attributes:
        images: folder of JPEGs, or s3://bucket/prefix that AWS_* in the environment opens.
        out: where pixels or probabilities go.
        options: all further flags: those that every peer of a benchmark gets, and a peer's own.
    """

    images: str
    out: Path
    options: argparse.Namespace

    def files(self) -> list[str]:
        """The images of a folder in order of their names, which is the metadata's too."""
        return sorted(str(path) for path in Path(self.images).iterdir())


def read_job(
    description: str | None, needed: Mapping[str, Callable[[str], object]], extra: Iterable[str]
) -> Job:
    """Read the command line.

    Args:
        description: of the peer.
        needed: what makes a value of the text of each further flag that every peer of the benchmark gets.
        extra: names of flags that only this peer knows; each takes a text.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--images", required=True, help="folder of JPEGs, or s3://bucket/prefix")
    parser.add_argument("--out", type=Path, required=True, help="where the output goes")
    for name, make in needed.items():
        parser.add_argument(f"--{name}", type=make, required=True)
    for name in extra:
        parser.add_argument(f"--{name}")
    options = parser.parse_args()
    return Job(options.images, options.out, options)
