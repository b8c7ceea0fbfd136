"""Make the benchmarks' inputs: thousands of different JPEGs, the same bytes every time, kept in a cache.

Sources are photographs of 600x450 px: the real HAM10000 where they lie beside the checkout, else those that
`skinml synth` draws. Each file is a crop of one of them, turned, mirrored, lit anew and grained like a
sensor's picture, then encoded: so that contents and perceptual hashes differ and bytes are as many as real
files have.
"""

from __future__ import annotations

import csv
import functools
import json
import math
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, ImageChops

from skinml.lab.synth import make_archive
from skinml.labels import DIAGNOSES

REPOSITORY = Path(__file__).resolve().parents[2]
CACHE = REPOSITORY / ".bench"
REAL = REPOSITORY.parent / "shared" / "ham10000_600x450"
"""984 of the real images; where they are not, photographs are made up."""

LABELLED = REPOSITORY.parent / "shared" / "ham10000"
"""HAM10000 in two folders and its table, for those who have it beside the checkout."""
METADATA = LABELLED / "HAM10000_metadata.csv"

RECIPE = 2
"""Goes up when other bytes are made: an older cache is then left alone and made anew."""
MADE_UP = 400
"""How many photographs are drawn where there are no real ones."""
BATCH = 16
"""Files that a process makes at a time."""
FIRST_NUMBER = 9_000_000
"""Image ids are ISIC_9000000 and so on, which no real image has."""
COLUMNS = ("lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization")
"""HAM10000's metadata."""


def labelled_folders() -> list[str]:
    """The two folders of HAM10000; none if they are not beside the checkout."""
    return sorted(str(path) for path in LABELLED.glob("HAM10000_images_part_*"))


@dataclass(frozen=True)
class Kind:
    """What the files of one input are like."""

    name: str
    title: str
    width: int
    height: int
    quality: int
    subsampling: str
    grain: float
    """Standard deviation of the sensor's noise, of 255; chosen so that bytes are those of real files."""


KINDS = {
    kind.name: kind
    for kind in (
        Kind("q75", "600x450, quality 75", 600, 450, 75, "420", 4.6),
        # The originals on the ISIC archive have quantisation tables of ones and full chroma: quality 100,
        # 4:4:4. Quality 95 gives a third of their bytes, and it is the bytes that an entropy decoder pays for.
        Kind("near_original", "600x450, near-original bytes", 600, 450, 100, "444", 0.64),
        Kind("camera", "3000x2250 camera files", 3000, 2250, 93, "420", 5.5),
    )
}


@dataclass(frozen=True)
class Input:
    """A folder of images and their metadata; both in the order of image_id."""

    kind: Kind
    count: int
    images: Path
    metadata: Path

    def files(self) -> list[Path]:
        """The images, in the order of the metadata."""
        return sorted(self.images.iterdir())


def make_input(kind: Kind, count: int, cache: Path = CACHE) -> Input:
    """The first `count` files of a kind in a folder of their own (hard links), made where they are missing."""
    pool = _fill_pool(kind, count, cache)
    folder = pool.parent / f"{count:06d}"
    made = Input(kind, count, folder / "images", folder / "metadata.csv")
    if not made.metadata.exists():
        made.images.mkdir(parents=True, exist_ok=True)
        for number in range(count):
            link = made.images / _file_name(number)
            if not link.exists():
                os.link(pool / link.name, link)
        _write_metadata(made)
    return made


def sources(cache: Path = CACHE) -> list[Path]:
    """The photographs that files are made from, sorted."""
    if REAL.is_dir():
        return sorted(REAL.glob("*.jpg"))
    folder = cache / "made-up"
    done = folder / "done"
    if not done.exists():
        make_archive(folder / "archive", MADE_UP)
        done.touch()
    return sorted((folder / "archive").rglob("*.jpg"))


def source_name() -> str:
    """What the photographs are, for the report."""
    return "real HAM10000 images" if REAL.is_dir() else "images made up by `skinml synth`"


def _fill_pool(kind: Kind, count: int, cache: Path) -> Path:
    """All files of a kind: made up to this count, by all cores; those that are there stay."""
    recipe = {**asdict(kind), "recipe": RECIPE, "sources": source_name()}
    folder = cache / f"{kind.name}-{'real' if REAL.is_dir() else 'made-up'}-{RECIPE}"
    pool = folder / "pool"
    pool.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.json").write_text(json.dumps(recipe, indent=1), encoding="utf-8")
    log = folder / "hashes.npy"  # one for each finished file: what was cut off half-way is made again
    hashes: list[int] = np.load(log).tolist() if log.exists() else []
    if len(hashes) >= count:
        return pool
    print(f"making {count - len(hashes):,} files: {kind.title} ...", file=sys.stderr, flush=True)
    photographs, seen = sources(cache), set(hashes)
    make = functools.partial(_make_batch, kind, photographs, pool)
    numbers = range(len(hashes), count)
    for number, first in zip(numbers, _spread(make, numbers), strict=True):
        found, attempt = first, 0
        while found in seen:
            attempt += 1
            found = make_file(kind, photographs, pool, number, attempt)
        seen.add(found)
        hashes.append(found)
    np.save(log, np.array(hashes, dtype=np.uint64))
    return pool


def _spread(make: Callable[[range], list[int]], numbers: range) -> Iterator[int]:
    """Make these files on all cores; their hashes, in order. A few are made here: processes take a second."""
    if len(numbers) <= BATCH:
        yield from make(numbers)
        return
    batches = [numbers[start : start + BATCH] for start in range(0, len(numbers), BATCH)]
    with multiprocessing.get_context("spawn").Pool() as processes:
        for hashes in processes.imap(make, batches):
            yield from hashes


def _make_batch(kind: Kind, photographs: list[Path], pool: Path, numbers: range) -> list[int]:
    return [make_file(kind, photographs, pool, number) for number in numbers]


def make_file(kind: Kind, photographs: list[Path], pool: Path, number: int, attempt: int = 0) -> int:
    """Make one file and return its perceptual hash. Another attempt gives another picture."""
    rng = np.random.default_rng([RECIPE, number, attempt])
    picture = _take(_photograph(photographs, rng), rng)
    hashed = difference_hash(picture)
    if (kind.width, kind.height) != picture.size:
        picture = picture.resize((kind.width, kind.height), Image.Resampling.BICUBIC)
    picture = _grained(picture, kind.grain, rng)
    data = simplejpeg.encode_jpeg(np.asarray(picture), kind.quality, colorsubsampling=kind.subsampling)
    (pool / _file_name(number)).write_bytes(data)
    return hashed


def _photograph(photographs: list[Path], rng: np.random.Generator) -> Image.Image:
    chosen = photographs[int(rng.integers(len(photographs)))]
    return Image.fromarray(simplejpeg.decode_jpeg(chosen.read_bytes(), "RGB"))


def difference_hash(picture: Image.Image) -> int:
    """64 bits: whether each of 8 x 8 cells is darker than the one to its right."""
    cells = np.asarray(picture.convert("L").resize((9, 8), Image.Resampling.BOX), dtype=np.int16)
    return int.from_bytes(np.packbits(cells[:, :-1] < cells[:, 1:]).tobytes(), "big")


def _take(photograph: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A new picture of the same size: a part of the photograph, turned by any angle, mirrored, lit anew."""
    width, height = photograph.size
    angle = rng.uniform(0, 2 * math.pi)
    cosine, sine = abs(math.cos(angle)), abs(math.sin(angle))
    # The largest part that stays inside when it is turned, and down to 80 % of it.
    fits = min(width / (width * cosine + height * sine), height / (width * sine + height * cosine))
    scale = fits * rng.uniform(0.8, 1.0)
    room = (
        width - scale * (width * cosine + height * sine),
        height - scale * (width * sine + height * cosine),
    )
    middle = (width / 2 + room[0] * rng.uniform(-0.5, 0.5), height / 2 + room[1] * rng.uniform(-0.5, 0.5))
    mirror = 1 if rng.random() < 0.5 else -1
    a, b = scale * math.cos(angle) * mirror, scale * math.sin(angle)
    d, e = -scale * math.sin(angle) * mirror, scale * math.cos(angle)
    c = middle[0] - a * width / 2 - b * height / 2
    f = middle[1] - d * width / 2 - e * height / 2
    taken = photograph.transform(
        (width, height), Image.Transform.AFFINE, (a, b, c, d, e, f), Image.Resampling.BILINEAR
    )
    light = np.repeat(rng.integers(40, 256, (3, 4, 1), dtype=np.uint8), 3, axis=2)
    return Image.blend(taken, Image.fromarray(light).resize((width, height)), 0.2)


@functools.cache
def _grain(width: int, height: int, grain: float) -> Image.Image:
    """Noise around 128, larger than a picture, of which each takes another part."""
    noise: NDArray[np.float32] = np.random.default_rng(RECIPE).standard_normal(
        (height + 256, width + 256, 3), dtype=np.float32
    )
    return Image.fromarray(np.clip(np.rint(noise * grain) + 128, 0, 255).astype(np.uint8))


def _grained(picture: Image.Image, grain: float, rng: np.random.Generator) -> Image.Image:
    left, top = (int(offset) for offset in rng.integers(0, 256, 2))
    noise = _grain(*picture.size, grain)
    part = noise.crop((left, top, left + picture.width, top + picture.height))
    return ImageChops.add(picture, part, scale=1, offset=-128)


def _file_name(number: int) -> str:
    return f"ISIC_{FIRST_NUMBER + number}.jpg"


def _write_metadata(made: Input) -> None:
    """One row per image, in HAM10000's columns; every lesion has one image or two, as 1.34 on average there."""
    partial = made.metadata.with_suffix(".partial")
    with partial.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        for number in range(made.count):
            lesion = number - (number % 4 == 3)
            dx = DIAGNOSES[lesion % len(DIAGNOSES)]
            row = (f"HAM_{FIRST_NUMBER + lesion}", Path(_file_name(number)).stem, dx, "histo")
            table.writerow((*row, f"{20 + lesion % 60}.0", ("female", "male")[lesion % 2], "back"))
    partial.replace(made.metadata)
