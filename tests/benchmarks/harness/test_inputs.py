"""The JPEGs that benchmarks run on: reproducible, all different, as large as real ones."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import simplejpeg
from PIL import Image

from benchmarks.harness import inputs
from benchmarks.harness.inputs import KINDS, Input, difference_hash, make_input


def test_inputs_are_the_same_bytes_every_time_and_for_every_number(
    given: Input, cache: Path, tmp_path: Path
) -> None:
    fewer = make_input(KINDS["q75"], 5, cache)
    assert [file.name for file in fewer.files()] == [file.name for file in given.files()][:5]
    photographs = inputs.sources(cache)
    for number in (0, 4):
        inputs.make_file(KINDS["q75"], photographs, tmp_path, number)
    for file in tmp_path.iterdir():
        assert file.read_bytes() == (given.images / file.name).read_bytes()


def test_inputs_differ_in_bytes_and_to_the_eye(given: Input) -> None:
    files = given.files()
    assert len({file.read_bytes() for file in files}) == len(files)
    hashes = set()
    for file in files:
        with Image.open(file) as image:
            hashes.add(difference_hash(image))
    assert len(hashes) == len(files)


@pytest.mark.parametrize(
    ("kind", "count", "least", "most"),
    [("q75", 12, 15_000, 35_000), ("near_original", 2, 200_000, 320_000), ("camera", 1, 1_200_000, 5_000_000)],
)
def test_inputs_have_the_size_and_about_the_bytes_that_they_should(
    cache: Path, kind: str, count: int, least: int, most: int
) -> None:
    made = make_input(KINDS[kind], count, cache)
    sizes = [file.stat().st_size for file in made.files()]
    assert least < sum(sizes) / count < most
    for file in made.files():
        height, width, _, subsampling = simplejpeg.decode_jpeg_header(file.read_bytes())
        assert (width, height) == (made.kind.width, made.kind.height)
        assert subsampling == made.kind.subsampling


def test_metadata_has_the_columns_of_ham10000_and_every_image(given: Input) -> None:
    with given.metadata.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == inputs.COLUMNS
    assert [row["image_id"] for row in rows] == [file.stem for file in given.files()]
    assert len({row["lesion_id"] for row in rows}) == 9  # of twelve images


def test_the_near_original_input_is_what_originals_are() -> None:
    """Quantisation tables of ones and full chroma, as the files of the ISIC archive have them."""
    kind = KINDS["near_original"]
    assert (kind.quality, kind.subsampling) == (100, "444")
