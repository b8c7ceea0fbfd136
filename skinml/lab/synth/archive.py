"""Write a synthetic archive: two folders of images and their metadata; the same seed gives the same bytes."""

from __future__ import annotations

import csv
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from skinml.compute.cores import cores
from skinml.errors import RequestError, StorageError
from skinml.lab.synth.corrupt import WAYS, corrupted
from skinml.lab.synth.lesions import draw_lesion
from skinml.lab.synth.patients import COLUMNS, NUMBERS, Lesion, make_up_lesions
from skinml.lab.synth.photograph import draw_skin, photograph
from skinml.labels import DIAGNOSES

PARTS = ("HAM10000_images_part_1", "HAM10000_images_part_2")
METADATA = "HAM10000_metadata.csv"

_BATCH = 16  # lesions that a process draws at a time: about half a second
_ALONE = 64  # up to so many images, starting processes takes longer than it saves

# Each kind of random number has its own stream, so that broken files do not change the others.
_PATIENTS, _BREAKAGE, _LESION, _PHOTOGRAPH, _FAULT = range(1, 6)


@dataclass(frozen=True)
class Archive:
    """A synthetic archive: its size, its files, and which of them are broken."""

    images: int
    """Image files, the broken ones among them."""
    corrupt: int
    """Broken image files."""
    roots: tuple[Path, Path]
    """The two folders of images."""
    metadata: Path
    """The CSV with one row per image, broken or not."""
    corrupted: dict[str, str]
    """File name to the way it was broken (see `skinml.lab.synth.corrupt.WAYS`), by name."""


@dataclass(frozen=True)
class _Task:
    """One lesion to draw, and for each of its images the file to write and how it is broken, if at all."""

    lesion: Lesion
    files: tuple[tuple[Path, str | None], ...]


def make_archive(
    out: str | Path,
    images: int,
    corrupt: float = 0.0,
    seed: int = 42,
    on_progress: Callable[[int], None] | None = None,
    *,
    processes: int | None = None,
) -> Archive:
    """Make a synthetic archive in HAM10000's layout: 600x450 JPEGs of about 25 kB, in seven learnable classes.

    The same seed and counts give the same bytes (with the same versions of NumPy and Pillow), for any number of
    processes. Image and lesion ids depend on the seed, so archives of two seeds hardly ever share one.

    Args:
        out: the folder to write to; it must be new or empty.
        images: number of image files, 7 (one per diagnosis) to 10,000,000.
        corrupt: the fraction of broken files, 0 to 1; exactly round(images * corrupt) files are broken, in all
            ways of `skinml.lab.synth.corrupt.WAYS` in turn. They have rows in the metadata, too.
        seed: at least 0.
        on_progress: called repeatedly, with the number of images just written.
        processes: number of drawing processes (default: one per core; one for small archives). They are
            spawned, so a script that calls this needs `if __name__ == "__main__":`.

    Raises:
        RequestError: a value is out of range, or the folder cannot be used; nothing was written.
        StorageError: writing failed, for example because the disk is full.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     archive = make_archive(Path(folder, "made-up"), images=10, corrupt=0.1)
        ...     files = [file.suffix for root in archive.roots for file in root.iterdir()]
        >>> archive.images, archive.corrupt, files.count(".jpg")
        (10, 1, 10)
    """
    folder = _checked(out, images, corrupt, seed)
    lesions = make_up_lesions(images, np.random.default_rng([seed, _PATIENTS]))
    names = sorted(f"{image_id}.jpg" for lesion in lesions for image_id in lesion.image_ids)
    broken = _choose_broken(names, round(images * corrupt), seed)
    roots = (folder / PARTS[0], folder / PARTS[1])
    in_first = set(names[: images // 2])

    def task(lesion: Lesion) -> _Task:
        own = [f"{image_id}.jpg" for image_id in lesion.image_ids]
        return _Task(lesion, tuple((roots[name not in in_first] / name, broken.get(name)) for name in own))

    tasks = [task(lesion) for lesion in lesions]
    batches = [tasks[start : start + _BATCH] for start in range(0, len(tasks), _BATCH)]
    if processes is None:
        processes = 1 if images <= _ALONE else cores()
    _make_folders(folder, roots)
    try:
        for written in _map(partial(_write_images, seed=seed), batches, min(processes, len(batches))):
            if on_progress is not None:
                on_progress(written)
        _write_metadata(folder / METADATA, lesions)
    except OSError as error:
        raise StorageError(
            f"synth: --out {folder}: {error.strerror or error}; the archive is incomplete, delete it and retry"
        ) from error
    return Archive(images, len(broken), roots, folder / METADATA, broken)


def _checked(out: str | Path, images: int, corrupt: float, seed: int) -> Path:
    """Check all values, and return the folder to write to."""
    if not len(DIAGNOSES) <= images <= NUMBERS:
        raise RequestError(
            f"synth: --images {images}: give {len(DIAGNOSES)} (one per diagnosis) to {NUMBERS:,}"
        )
    if not 0.0 <= corrupt <= 1.0:
        raise RequestError(f"synth: --corrupt {corrupt}: give a fraction, 0 to 1")
    if seed < 0:
        raise RequestError(f"synth: --seed {seed}: give 0 or more")
    if "://" in str(out):
        raise RequestError(f"synth: --out {out}: is a URL; name a folder on this machine")
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise RequestError(f"synth: --out {folder}: is a file; name a new or empty folder")
    try:
        filled = folder.is_dir() and any(folder.iterdir())
    except OSError as error:
        raise RequestError(f"synth: --out {folder}: {error.strerror or error}; give another folder") from error
    if filled:
        raise RequestError(f"synth: --out {folder}: is not empty; name a new or empty folder")
    return folder


def _make_folders(folder: Path, roots: tuple[Path, Path]) -> None:
    """Make the folders of images, the first thing that is written."""
    try:
        for root in roots:
            root.mkdir(parents=True)
    except OSError as error:
        raise RequestError(f"synth: --out {folder}: {error.strerror or error}; give another folder") from error


def _choose_broken(names: list[str], count: int, seed: int) -> dict[str, str]:
    """Choose the files to break and the way of each, by name; every way is used before one is repeated."""
    rng = np.random.default_rng([seed, _BREAKAGE])
    ways = rng.permutation(np.array(WAYS)).tolist()
    chosen = rng.permutation(len(names))[:count].tolist()
    ways_of = {names[position]: ways[turn % len(ways)] for turn, position in enumerate(chosen)}
    return dict(sorted(ways_of.items()))


def _map(write: Callable[[list[_Task]], int], batches: list[list[_Task]], processes: int) -> Iterator[int]:
    """Yield the number of images written, batch by batch, by this many processes (1: this process)."""
    if processes <= 1:
        yield from map(write, batches)
        return
    pool = ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn"))
    try:
        yield from pool.map(write, batches)
    finally:
        pool.shutdown(cancel_futures=True)  # stopped half-way, by Ctrl-C say: the rest is not drawn


def _write_images(tasks: list[_Task], seed: int) -> int:
    """Draw these lesions, write all their images, and return how many those are."""
    for task in tasks:
        _write_lesion(task, seed)
    return sum(len(task.files) for task in tasks)


def _write_lesion(task: _Task, seed: int) -> None:
    """Draw one lesion on its patient's skin, and write its photographs, sound and broken."""
    rng = np.random.default_rng([seed, _LESION, _number(task.lesion.lesion_id)])
    lesion = draw_lesion(task.lesion.dx, rng)
    skin = draw_skin(rng)
    hairiness = float(rng.choice([0.0, 3.0, 10.0], p=[0.5, 0.4, 0.1]))
    for path, way in task.files:
        number = _number(path.stem)
        photograph_rng = np.random.default_rng([seed, _PHOTOGRAPH, number])
        take = partial(photograph, lesion, skin, hairiness, photograph_rng)
        if way is None:
            path.write_bytes(take())
        else:
            path.write_bytes(corrupted(take, way, np.random.default_rng([seed, _FAULT, number])))


def _number(name: str) -> int:
    """The number in HAM_0000118 or ISIC_0024306."""
    return int(name.rpartition("_")[2])


def _write_metadata(path: Path, lesions: list[Lesion]) -> None:
    """Write one row per image, a lesion's rows together."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        for lesion in lesions:
            table.writerows(lesion.rows())
