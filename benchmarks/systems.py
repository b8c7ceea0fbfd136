"""What is compared: each system's command, and how many images its small and its large run have.

A system's rate is the slope between its two runs, so the large one must last some seconds longer than the
small one: hence other sizes for faster systems.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.inputs import Input

Sizes = tuple[int, int]

US = "skinml"
LIMIT = "limit"


@dataclass(frozen=True)
class System:
    """One way of doing the job.

    Attributes:
        name: short, a key of the results.
        title: for people.
        sizes: images of the small and the large run, by kind of input.
        module: of `benchmarks.peers`; empty for skinml itself.
        flags: further arguments, by kind of input or for all ("").
    """

    name: str
    title: str
    sizes: Mapping[str, Sizes]
    module: str = ""
    flags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def command(self, given: Input, out: Path, size: int) -> list[str]:
        """The program that does the job on this input."""
        more = self.flags.get(given.kind.name, self.flags.get("", ()))
        if not self.module:
            return skinml_prepare(out, str(given.images), given.metadata, size, *more)
        program = [sys.executable, "-m", f"benchmarks.peers.{self.module}"]
        paths = ["--images", str(given.images), "--metadata", str(given.metadata), "--out", str(out)]
        return [*program, *paths, "--size", str(size), *more]


def skinml_prepare(workspace: Path, images: str, metadata: Path, size: int, *more: str) -> list[str]:
    """The command line of `skinml prepare`."""
    flags = ["--images", images, "--metadata", str(metadata), "--size", str(size), *more]
    return skinml(workspace, "prepare", *flags)


def skinml(workspace: Path, verb: str, *flags: str) -> list[str]:
    """The command line of a verb, whose result is JSON."""
    program = [sys.executable, "-m", "skinml", "--json", "--workspace", str(workspace)]
    return [*program, verb, *flags]


def _sizes(q75: Sizes, near_original: Sizes, camera: Sizes) -> dict[str, Sizes]:
    return {"q75": q75, "near_original": near_original, "camera": camera}


SYSTEMS = (
    System(LIMIT, "the limit (scaled decode alone)", _sizes((4096, 24576), (512, 4096), (128, 640)), "limit"),
    # Whole shards (512 images, or 71 camera files) for every worker: all cores are busy in both runs.
    System(US, "skinml", _sizes((4096, 20480), (1024, 4096), (144, 720))),
    System(
        "tf_data_ratio",
        "tf.data, decoded at a fraction",
        _sizes((1024, 13312), (256, 2304), (64, 384)),
        "tf_data",
        {"": ("--ratio", "2"), "camera": ("--ratio", "8")},
    ),
    System("tf_data", "tf.data", _sizes((512, 6656), (256, 2048), (32, 160)), "tf_data"),
    System(
        "multiprocessing_draft",
        "multiprocessing + Pillow draft",
        _sizes((512, 8704), (256, 2304), (64, 384)),
        "multiprocessing_pillow",
        {"": ("--draft", "yes")},
    ),
    System(
        "full_decode",
        "the same with a full decode",
        _sizes((512, 6656), (256, 2304), (32, 224)),
        "full_decode",
    ),
    System(
        "multiprocessing",
        "multiprocessing + Pillow",
        _sizes((512, 4608), (256, 1792), (32, 160)),
        "multiprocessing_pillow",
    ),
    System("daft", "Daft", _sizes((512, 4608), (256, 1536), (32, 160)), "daft_images"),
    System("dask_bag", "dask.bag + Pillow", _sizes((512, 3584), (256, 1536), (32, 160)), "dask_bag"),
    System("ray_data", "Ray Data", _sizes((512, 4096), (256, 1536), (32, 160)), "ray_data"),
    System("thesis", "the thesis script", _sizes((256, 2304), (128, 896), (16, 80)), "thesis_script"),
)
"""Fastest first, roughly."""


def scaled(sizes: Sizes, scale: float) -> Sizes:
    """The two sizes for a trial run: smaller, but still two."""
    small = max(8, round(sizes[0] * scale))
    return small, max(small + 8, round(sizes[1] * scale))
