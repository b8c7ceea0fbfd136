"""What prepares, each on few and on many images: by kind of input on a folder, and from a bucket."""

from __future__ import annotations

from pathlib import Path

from benchmarks.harness.bench import Bench
from benchmarks.harness.contest import Rules
from benchmarks.harness.inputs import Input
from benchmarks.harness.systems import LIMIT, US, Sizes, System, peer, skinml_prepare
from benchmarks.prepare import agreement

SIZE = 64
"""Edge of the pixels, px."""


def _sizes(q75: Sizes, near_original: Sizes, camera: Sizes, bucket: Sizes | None = None) -> dict[str, Sizes]:
    found = {"q75": q75, "near_original": near_original, "camera": camera}
    return found if bucket is None else {**found, "bucket": bucket}


SYSTEMS = (
    System(
        LIMIT,
        "the limit (scaled decode alone)",
        _sizes((4096, 24576), (512, 4096), (128, 640)),
        "count",
        "limit",
    ),
    # Whole shards (512 images, or 71 camera files) for every worker: all cores are busy in both runs.
    System(US, "skinml", _sizes((4096, 20480), (1024, 4096), (144, 720), (1024, 5120)), "tables"),
    System(
        "tf_data_ratio",
        "tf.data, decoded at a fraction",
        _sizes((1024, 13312), (256, 2304), (64, 384)),
        "npy",
        "tf_data",
        {"": ("--ratio", "2"), "camera": ("--ratio", "8")},
    ),
    System("tf_data", "tf.data", _sizes((512, 6656), (256, 2048), (32, 160)), "npy", "tf_data"),
    System(
        "multiprocessing_draft",
        "multiprocessing + Pillow draft",
        _sizes((512, 8704), (256, 2304), (64, 384)),
        "npy",
        "multiprocessing_pillow",
        {"": ("--draft", "yes")},
    ),
    System(
        "full_decode",
        "the same with a full decode",
        _sizes((512, 6656), (256, 2304), (32, 224)),
        "npy",
        "full_decode",
    ),
    System(
        "multiprocessing",
        "multiprocessing + Pillow",
        _sizes((512, 4608), (256, 1792), (32, 160)),
        "npy",
        "multiprocessing_pillow",
    ),
    System("daft", "Daft", _sizes((512, 4608), (256, 1536), (32, 160)), "parts", "daft_images"),
    System("dask_bag", "dask.bag + Pillow", _sizes((512, 3584), (256, 1536), (32, 160)), "npy", "dask_bag"),
    System("ray_data", "Ray Data", _sizes((512, 4096), (256, 1536), (32, 160)), "parts", "ray_data"),
    System("s3fs", "a script that reads through s3fs", {"bucket": (256, 1792)}, "npy", "reading_s3fs"),
    System("thesis", "the thesis script", _sizes((256, 2304), (128, 896), (16, 80)), "npy", "thesis_script"),
)
"""Fastest first, roughly."""


def command(system: System, entry: str, given: Input, images: str, out: Path, size: int) -> list[str]:
    """The program that prepares this input, whose images are at a folder or at s3://bucket/prefix."""
    if not system.module:
        return skinml_prepare(out, images, given.metadata, size, *system.flags_on(entry))
    needed = ("--metadata", str(given.metadata), "--size", str(size))
    return peer(__package__, system.module, images, out, *needed, *system.flags_on(entry))


def rules(bench: Bench) -> Rules:
    """How the contests of this benchmark are held."""
    return Rules(
        SYSTEMS,
        lambda system, entry, given, images, out: command(system, entry, given, images, out, bench.size),
        lambda out, system, given: agreement.check(out, system, given, bench.size),
        agreement.WORST,
    )
