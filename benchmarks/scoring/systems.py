"""What is compared: each system's command, and how many images its small and its large run have.

A system's rate is the slope between its two runs, so the large one must last some seconds longer than the
small one: hence other sizes for faster systems. Whole batches of 128 in every run: Keras compiles its graph
anew for a last one that is smaller.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.scoring.bundle import Bundle
from benchmarks.systems import LIMIT, US, Sizes, skinml

INT8 = "_int8"
"""Ends the names of systems that run the quantised network."""

Output = str
"""What a system leaves: "tables" (a workspace), "parts" (Parquet files), "file" (CSV or Parquet), "sum"."""


@dataclass(frozen=True)
class System:
    """One way of doing the job.

    Attributes:
        name: short, a key of the results.
        title: for people.
        sizes: images of the small and the large run, by where the archive is: folder, bucket or both.
        output: what it leaves.
        module: of `benchmarks.scoring.peers`; empty for skinml itself.
        flags: further arguments.
    """

    name: str
    title: str
    sizes: Mapping[str, Sizes]
    output: Output
    module: str = ""
    flags: tuple[str, ...] = ()

    @property
    def limit(self) -> str:
        """The name of the limit that holds for the network it runs."""
        return LIMIT + INT8 if self.name.endswith(INT8) else LIMIT

    def command(self, images: str, bundle: Bundle, out: Path) -> list[str]:
        """The program that scores this folder or s3://bucket/prefix; `out` is the workspace for skinml."""
        if not self.module:
            return skinml(out, "score", "--archive", images, *self.flags)
        program = [sys.executable, "-m", f"benchmarks.scoring.peers.{self.module}"]
        return [*program, "--images", images, "--bundle", str(bundle.folder), "--out", str(out), *self.flags]


def _sizes(folder: Sizes | None = None, bucket: Sizes | None = None) -> dict[str, Sizes]:
    return {place: sizes for place, sizes in (("folder", folder), ("bucket", bucket)) if sizes}


SYSTEMS = (
    System(LIMIT, "the limit in fp32", _sizes((1024, 16384), (1024, 10240)), "sum", "limit"),
    System(
        LIMIT + INT8,
        "the limit in int8",
        _sizes((1024, 16384), (1024, 10240)),
        "sum",
        "limit",
        ("--network", "model-int8.onnx"),
    ),
    System(US, "skinml, fp32", _sizes((2048, 14336), (1024, 8192)), "tables"),
    System(
        US + INT8,
        "skinml, int8",
        _sizes((2048, 16384), (1024, 10240)),
        "tables",
        flags=("--precision", "int8"),
    ),
    System(
        "tf_data_ratio",
        "tf.data + Keras, decoded at a fraction",
        _sizes((512, 14336)),
        "file",
        "tf_data",
        ("--ratio", "4"),
    ),
    System("tf_data", "tf.data + Keras", _sizes((512, 9728)), "file", "tf_data"),
    System(
        "ray_data_scaled",
        "Ray Data, our decoder in its actor",
        _sizes((512, 7168)),
        "parts",
        "ray_data",
        ("--decoder", "scaled"),
    ),
    System("ray_data", "Ray Data", _sizes((512, 4608), (256, 3072)), "parts", "ray_data"),
    System("s3fs", "a script that reads through s3fs", _sizes(bucket=(256, 3072)), "file", "reading_s3fs"),
    System("thesis", "the thesis script", _sizes((256, 3328)), "file", "thesis_script"),
)
"""Fastest first, roughly."""


def systems_of(place: str) -> list[System]:
    """The systems that are compared where the archive is in a folder, or in a bucket."""
    return [system for system in SYSTEMS if place in system.sizes]
