"""The labelled images of the thesis, and where its runs are recorded."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.harness.inputs import REPOSITORY

SIZE = 32
"""Edge of the pixels, px."""

REAL = REPOSITORY.parent / "shared" / "ham10000"
"""HAM10000 in two folders, for those who have it beside the checkout."""

SEEDS = (42, 43, 44)
EPOCHS = 80
MILESTONES = (50, 60, 70, 80)
"""The epochs after which the thesis measured; the learning rate is constant, so one run passes all of them."""

PUBLISHED = {50: 0.71, 60: 0.69, 70: 0.71, 80: 0.73}
"""Test accuracy that the thesis reports after so many epochs."""

WITHIN = (0.70, 0.78)
"""Where ours shall lie at every milestone."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Flags that name the images and the workspace."""
    parts = sorted(str(path) for path in REAL.glob("HAM10000_images_part_*"))
    parser.add_argument("--images", action="append", help="folder of labelled images; repeat for several")
    parser.add_argument("--metadata", type=Path, default=REAL / "HAM10000_metadata.csv", help="their CSV")
    parser.add_argument("--workspace", type=Path, help="with runs to read (default: one in the cache)")
    parser.set_defaults(parts=parts)
