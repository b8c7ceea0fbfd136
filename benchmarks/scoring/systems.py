"""What scores, each on few and on many images: from a folder, and from a bucket.

Whole batches of 128 in every run: Keras compiles its graph anew for a last one that is smaller.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.harness.bench import Bench, Result, say
from benchmarks.harness.bundle import Bundle, make_bundle
from benchmarks.harness.contest import Entry, Rules, hold, run_once
from benchmarks.harness.inputs import Input
from benchmarks.harness.systems import LIMIT, US, Sizes, System, peer, skinml, systems_on
from benchmarks.scoring import agreement

KIND = "q75"
"""The images that are scored."""

INT8 = "_int8"
"""Ends the names of systems that run the quantised network."""


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
        {"": ("--network", "model-int8.onnx")},
    ),
    System(US, "skinml, fp32", _sizes((2048, 14336), (1024, 8192)), "tables"),
    System(
        US + INT8,
        "skinml, int8",
        _sizes((2048, 16384), (1024, 10240)),
        "tables",
        flags={"": ("--precision", "int8")},
    ),
    System(
        "tf_data_ratio",
        "tf.data + Keras, decoded at a fraction",
        _sizes((512, 14336)),
        "file",
        "tf_data",
        {"": ("--ratio", "4")},
    ),
    System("tf_data", "tf.data + Keras", _sizes((512, 9728)), "file", "tf_data"),
    System(
        "ray_data_scaled",
        "Ray Data, our decoder in its actor",
        _sizes((512, 7168)),
        "parts",
        "ray_data",
        {"": ("--decoder", "scaled")},
    ),
    System("ray_data", "Ray Data", _sizes((512, 4608), (256, 3072)), "parts", "ray_data"),
    System("s3fs", "a script that reads through s3fs", _sizes(bucket=(256, 3072)), "file", "reading_s3fs"),
    System("thesis", "the thesis script", _sizes((256, 3328)), "file", "thesis_script"),
)
"""Fastest first, roughly."""


def limit_of(name: str) -> str:
    """The name of the limit that holds for the network that a system runs."""
    return LIMIT + INT8 if name.endswith(INT8) else LIMIT


def command(system: System, images: str, bundle: Bundle, out: Path) -> list[str]:
    """The program that scores this folder or s3://bucket/prefix; `out` is the workspace for skinml."""
    flags = system.flags_on("")
    if not system.module:
        return skinml(out, "score", "--archive", images, *flags)
    return peer(__package__, system.module, images, out, "--bundle", str(bundle.folder), *flags)


def rules(bundle: Bundle) -> Rules:
    """How the contests of this benchmark are held, with this model."""

    def ready(system: System, entry: str, given: Input, images: str, out: Path) -> list[str]:
        if not system.module:
            bundle.copy_to(out)
        return command(system, images, bundle, out)

    return Rules(
        SYSTEMS, ready, lambda out, system, given: agreement.check(out, system, given, bundle), agreement.WORST
    )


def compare(bench: Bench, place: str, entry: Entry) -> Result:
    """All systems on one archive, and then the memory of skinml's own."""
    held = rules(make_bundle(bench))
    found: Result = hold(bench, held, {place: entry})[place]
    found["memory"] = {}
    for system in systems_on(place, SYSTEMS):
        record = found["systems"][system.name]
        if not system.module and not record["error"]:
            images = record["images"][1]
            measured, _ = run_once(bench, held, place, entry, system, images, memory=True)
            found["memory"][system.name] = {
                "images": images,
                "driver_mb": measured.driver_mb and round(measured.driver_mb, 1),
                "worker_mb": measured.worker_mb and round(measured.worker_mb, 1),
            }
            say(f"{place}: {system.title}: {found['memory'][system.name]}")
    return found
