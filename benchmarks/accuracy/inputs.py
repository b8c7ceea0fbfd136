"""The labelled images that are fitted and tested on, prepared in either mode of decoding."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.harness.bench import Bench
from benchmarks.harness.inputs import REPOSITORY
from benchmarks.harness.systems import skinml_prepare
from skinml import tables
from skinml.dataset.pixelstore import PixelStore, open_pixels
from skinml.images.decode import DecodeMode
from skinml.images.preprocessing import preprocessing_for

SIZE = 32
"""Edge of the pixels, px."""

REAL = REPOSITORY.parent / "shared" / "ham10000"
"""HAM10000 in two folders, for those who have it beside the checkout."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Flags that name the images, and for how long each fit goes on."""
    parts = sorted(str(path) for path in REAL.glob("HAM10000_images_part_*"))
    parser.add_argument(
        "--images", action="append", required=not parts, help="folder of labelled images; repeat for several"
    )
    parser.add_argument("--metadata", type=Path, default=REAL / "HAM10000_metadata.csv", help="their CSV")
    parser.add_argument("--epochs", type=int, default=20, help="of each fit")


def folders(chosen: list[str] | None) -> list[str]:
    """The folders of images: those that were named, else HAM10000's."""
    return chosen or sorted(str(path) for path in REAL.glob("HAM10000_images_part_*"))


def prepared(bench: Bench, workspace: Path, mode: DecodeMode) -> PixelStore:
    """The pixels of all images, decoded in one mode."""
    images, metadata = folders(bench.options.images), bench.options.metadata
    more = [part for root in images[1:] for part in ("--images", root)]
    bench.run(skinml_prepare(workspace, images[0], metadata, bench.size, *more, "--decode", mode))
    samples = tables.read(str(workspace), "samples").to_pandas()
    key = preprocessing_for(bench.size, mode).dataset_key()
    return open_pixels(str(workspace), key, "npy", samples)
