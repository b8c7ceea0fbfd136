"""How many images a second a contestant scores, end to end: with its views and without, in fp32 and int8.

The rate is the slope between two nights of few and of many images, so start-up is not in it. A version without
views is fitted for one epoch where there is none: the speed does not depend on the weights.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from benchmarks.harness.bench import Bench, Result, answer, say
from benchmarks.harness.bundle import permit_int8
from benchmarks.harness.systems import scaled, skinml
from benchmarks.models.inputs import Contestant, chosen, epochs_of, seeds_of, workspace_of
from benchmarks.models.sections.contestants import find_version, train


def measure(bench: Bench) -> Result:
    """Score with one version of each contestant."""
    workspace = workspace_of(bench)
    found: Result = {}
    for one in chosen(bench):
        rates = []
        for views in sorted({1, one.views}):
            folder = _version(bench, workspace, one, views)
            for precision in ("fp32", "int8"):
                rate = _rate(bench, folder, precision, scaled(_sizes(one, views), bench.scale))
                rates.append({"views": views, "precision": precision, **rate})
                say(f"{one.name}, {views} views, {precision}: {rate['images_per_second']} images/s")
        found[one.name] = {"rates": rates}
    return found


def _sizes(one: Contestant, views: int) -> tuple[int, int]:
    """A run without views is quicker, so it gets more images."""
    more = max(1, one.views // views)
    return one.images[0] * more, one.images[1] * more


def _version(bench: Bench, workspace: Path, one: Contestant, views: int) -> Path:
    """A version with so many views; one of one epoch is fitted where there is none."""
    seed = seeds_of(bench, one)[0]
    any_length = epochs_of(bench, one) if views == one.views else None
    folder = find_version(workspace, one, seed, any_length, views)
    if folder is None:
        quick = None if one.epochs is None and one.recipe is None else 1
        train(bench, workspace, one, seed, quick, views)
        folder = find_version(workspace, replace(one, views=views), seed, quick)
    if folder is None:
        raise SystemExit(f"{one.name}: no version with {views} views was trained")
    return folder


def _rate(bench: Bench, folder: Path, precision: str, sizes: tuple[int, int]) -> Result:
    """Images a second between two nights; None if the version has no network in this precision."""
    if precision == "int8" and not (folder / "model-int8.onnx").exists():
        return {"images": sizes, "images_per_second": None}
    seconds = []
    for count in sizes:
        workspace = bench.fresh("workspace")
        copy = workspace / "models" / folder.parent.name / folder.name
        shutil.copytree(folder, copy)
        bench.run(skinml(workspace, "models", "promote", folder.name, "--force", "--reason", "it is timed"))
        permit_int8(copy / "manifest.json")
        archive = bench.input("q75", count, warm=True).images
        score = ["score", "--archive", str(archive), "--precision", precision]
        seconds.append(float(answer(bench.run(skinml(workspace, *score)))["seconds"]))
    slope = (sizes[1] - sizes[0]) / max(1e-9, seconds[1] - seconds[0])
    return {"images": sizes, "seconds": seconds, "images_per_second": round(slope, 1) if slope > 0 else None}
