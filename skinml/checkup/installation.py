"""Check this machine: versions of libraries, free disk, GPU. Loads no TensorFlow and no Prefect."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from skinml.checkup.checks import Finding, failed, ok, warning

TELLING = ("skinml", "prefect", "sqlalchemy", "fastapi", "deltalake", "onnxruntime", "keras")
"""Libraries whose versions are shown when all is well."""

LOW_BYTES, NO_BYTES = 2 * 2**30, 200 * 2**20
"""Free disk below which a large night may fail (its shards are spooled), and below which any does."""

GPU_SECONDS, KERAS_SECONDS = 7.0, 12.0
"""Together within the 20 s of a check: what takes longer is a warning, because no GPU is no failure."""

KERAS_DEVICES = """
import os, keras
name = keras.config.backend()
if name == "jax":
    import jax
    found = len([one for one in jax.devices() if one.platform == "gpu"])
elif name == "torch":
    import torch
    found = torch.cuda.device_count()
else:
    import tensorflow
    found = len(tensorflow.config.list_physical_devices("GPU"))
print(name, found)
"""
"""Asks Keras' backend in a process of its own: TensorFlow holds a GPU's memory until its process ends."""


def check_versions() -> Finding:
    """Python and every library that skinml declares are within their bounds.

    SQLAlchemy 2.1 silences Prefect 3.8's scheduler, and fastapi 0.165 keeps its server from starting.
    """
    from packaging.requirements import Requirement  # a dependency of Dask and Prefect
    from packaging.specifiers import SpecifierSet

    try:
        about = metadata.distribution("skinml")
    except metadata.PackageNotFoundError:
        return warning("skinml has no metadata here: versions are not checked", "install it with pip")
    python = ".".join(map(str, sys.version_info[:3]))
    wrong = []
    if python not in SpecifierSet(about.metadata["Requires-Python"] or ""):
        wrong.append(f"Python {python}, {about.metadata['Requires-Python']} is needed")
    for line in about.requires or []:
        needed = Requirement(line)
        base = needed.marker is None or needed.marker.evaluate({"extra": ""})
        train = needed.marker is not None and needed.marker.evaluate({"extra": "train"})
        there = _version(needed.name)
        if base and there is None:
            wrong.append(f"{needed.name} is missing")
        elif (base or train) and there is not None and there not in needed.specifier:
            wrong.append(f"{needed.name} {there}, {needed.specifier} is needed")
    if wrong:
        return failed(
            "; ".join(wrong), "pip install --constraint constraints.txt skinml, in its own environment"
        )
    shown = [f"{name} {there}" for name in TELLING if (there := _version(name)) is not None]
    return ok(f"Python {python}, {', '.join(shown)}")


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def check_disk(folders: Sequence[Path]) -> Finding:
    """Enough disk is free for scratch files, this user's home of skinml, and a workspace in a folder."""
    free = {place: shutil.disk_usage(place).free for place in map(_existing, [*_scratch(), *folders])}
    place, least = min(free.items(), key=lambda item: item[1])
    said = f"{least / 2**30:.1f} GiB free at {place}"
    if least < NO_BYTES:
        return failed(said, "free some space: runs will fail")
    if least < LOW_BYTES:
        return warning(said, "free some space: a night of many images may fail")
    return ok(said)


def _scratch() -> Iterator[Path]:
    yield Path(tempfile.gettempdir())


def _existing(place: Path) -> Path:
    while not place.exists():
        place = place.parent
    return place


def check_gpu() -> Finding:
    """Whether a GPU is there, and whether Keras would use it. No GPU is no failure."""
    try:
        return _check_gpu(_gpus())
    except subprocess.TimeoutExpired as error:
        return warning(
            f"no answer within {error.timeout:g} s from {error.cmd[0]}", "try it by hand: nvidia-smi"
        )


def _check_gpu(gpus: Sequence[str]) -> Finding:
    if not gpus:
        return ok("no NVIDIA GPU here: training uses the CPU")
    if find_spec("keras") is None:
        return warning(
            f"{', '.join(gpus)}, but Keras is not installed", "pip install 'skinml[train]' to train here"
        )
    asked = subprocess.run(  # noqa: S603
        [sys.executable, "-c", KERAS_DEVICES],
        capture_output=True,
        text=True,
        timeout=KERAS_SECONDS,
        check=False,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"},
    )
    backend, _, found = (asked.stdout.splitlines() or [""])[-1].partition(" ")
    if asked.returncode or not found.isdigit():
        return warning(f"{', '.join(gpus)}, but Keras does not load", "try: python -c 'import keras'")
    if found == "0":
        return warning(
            f"{', '.join(gpus)}, but Keras on {backend} does not see it",
            "install the backend for CUDA, such as jax[cuda12] with KERAS_BACKEND=jax",
        )
    return ok(f"{', '.join(gpus)}; Keras on {backend} sees {found}")


def _gpus() -> list[str]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    asked = subprocess.run(  # noqa: S603
        [program, "--query-gpu=name,memory.total", "--format=csv,noheader"],
        capture_output=True,
        text=True,
        timeout=GPU_SECONDS,
        check=False,
    )
    return [] if asked.returncode else [line.strip() for line in asked.stdout.splitlines() if line.strip()]
