"""The parts of the recipe, and the flags that name images, workspace, network and length."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.harness.inputs import METADATA

SIZE = 128
"""Edge of the pixels, px."""

PARTS = {
    "mixup": "two images and their labels are mixed",
    "cutout": "a square is blanked out",
    "geometry": "flips, any rotation, scale, shift",
    "colour": "brightness, contrast, saturation, hue",
    "drift": "saved as JPEG again, resized by another filter",
    "average": "a moving average of the weights is kept",
}
"""What is switched off, each by the flag of its name with 0."""

SEEDS = (1, 2, 3)
MODEL, EPOCHS = "efficientnet-lite0", 5


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Flags of this benchmark."""
    parser.add_argument("--images", action="append", help="folder of labelled images; repeat for several")
    parser.add_argument("--metadata", type=Path, default=METADATA, help="their CSV")
    parser.add_argument("--workspace", type=Path, help="with versions to read (default: one in the cache)")
    parser.add_argument("--off", action="append", choices=PARTS, help="a part; repeat for several")
    parser.add_argument("--model", default=MODEL, help=f"architecture (default: {MODEL})")
    parser.add_argument("--epochs", type=int, help=f"of each training (default: {EPOCHS})")
    parser.add_argument("--seeds", type=int, default=len(SEEDS), help="how many (default: 3)")
