"""The labelled images that are fitted and tested on, prepared in either mode of decoding."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.harness.bench import Bench
from benchmarks.harness.inputs import METADATA, labelled_folders
from benchmarks.harness.systems import skinml_prepare
from skinml import tables
from skinml.dataset.pixelstore import PixelStore, open_pixels
from skinml.images.choices import DecodeMode
from skinml.images.preprocessing import preprocessing_for

SIZE = 32
"""Edge of the pixels, px."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Flags that name the images, and for how long each fit goes on."""
    needed = not labelled_folders()
    parser.add_argument(
        "--images", action="append", required=needed, help="folder of labelled images; repeat for several"
    )
    parser.add_argument("--metadata", type=Path, default=METADATA, help="their CSV")
    parser.add_argument("--epochs", type=int, default=20, help="of each fit")


def folders(chosen: list[str] | None) -> list[str]:
    """The folders of images: those that were named, else HAM10000's."""
    return chosen or labelled_folders()


def prepared(bench: Bench, workspace: Path, mode: DecodeMode) -> PixelStore:
    """The pixels of all images, decoded in one mode."""
    images, metadata = folders(bench.options.images), bench.options.metadata
    more = [part for root in images[1:] for part in ("--images", root)]
    bench.run(skinml_prepare(workspace, images[0], metadata, bench.size, *more, "--decode", mode))
    samples = tables.read(str(workspace), "samples").to_pandas()
    key = preprocessing_for(bench.size, mode).dataset_key()
    return open_pixels(str(workspace), key, "npy", samples)
