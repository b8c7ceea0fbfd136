"""A first night over many images, plain and on a Prefect server: what of its wall time is not work in Dask."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness.bench import Bench, Result, answer, say
from benchmarks.harness.bundle import Bundle, make_bundle
from flows.server import free_port, prefect_server

COUNTS = (1_000, 10_000, 50_000)

DIFFERENT = 500
"""Files that differ; all others are hard links to them, each under a name of its own, and each is decoded."""


def measure(bench: Bench) -> Result:
    """One run for each number of images and each way."""
    bundle = make_bundle(bench)
    with prefect_server(bench.fresh("prefect server"), free_port()) as server:
        server.wait_until_ready()
        return {"runs": runs(bench, bundle, server.url, [bench.count(count) for count in COUNTS])}


def runs(bench: Bench, bundle: Bundle, api_url: str, counts: Sequence[int]) -> list[Result]:
    """Score so many images plainly and under Prefect, each in a program and a workspace of its own."""
    found = []
    for count in counts:
        archive = _archive(bench, count)
        for way, environment in (("plain", {}), ("Prefect", {"PREFECT_API_URL": api_url})):
            say(f"{count:,} images, {way} ...")
            workspace = bundle.copy_to(bench.fresh("workspace"))
            command = [sys.executable, "-m", "benchmarks.overhead.timed", "--workspace", str(workspace)]
            measured = bench.run([*command, "--json", "score", "--archive", str(archive)], environment)
            figures = {name: round(value, 3) for name, value in answer(measured).items()}
            whole = {"images": count, "way": way, "program_seconds": round(measured.seconds, 3)}
            found.append({**whole, **figures})
    return found


def _archive(bench: Bench, count: int) -> Path:
    """A folder of so many names for a few hundred files."""
    files = bench.input("q75", min(count, DIFFERENT)).files()
    folder = bench.cache / f"links-{len(files)}-{count}"
    if not (folder / "made").exists():
        shutil.rmtree(folder, ignore_errors=True)  # what was cut off half-way is made again
        folder.mkdir(parents=True)
        for number in range(count):
            os.link(files[number % len(files)], folder / f"ISIC_{number:07d}.jpg")
        (folder / "made").touch()
    return folder
