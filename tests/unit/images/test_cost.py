"""What hostile files cost: the cheaper ones of `make hostile`, by their effect on a process of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from skinml.errors import ImageRejected, Reason
from skinml.images.budget import MAX_BYTES
from skinml.images.decode import decode
from tests.conftest import REPOSITORY
from tests.hostile.cost import MODES, outcome
from tests.hostile.heavy import FILES
from tests.hostile.mutants import mutants, seeds

QUICK = {
    "34 bytes.webp": "too_large",
    "2 million empty exif segments.jpg": "too_large",
    "run lengths that end nowhere.bmp": "too_large",
    "60 wide texts of 1 MB.png": "decoded",
    "cmyk in one strip.tif": "too_large",
    "1000 segments of exif.jpg": "decoded",
    "200 scans of 64 million pixels.jpg": "too_large",
    "65500 x 900.jpg": "decoded",
}
"""By name, and what becomes of it in both modes: files that are made in a second. `make hostile` has all."""


@pytest.fixture(scope="module")
def costs() -> list[dict[str, Any]]:
    """Of the files above, in both modes. A small process forks: this one has threads, and a peak of its own."""
    command = [sys.executable, "-m", "tests.hostile.cost", *QUICK]
    said = subprocess.run(command, check=True, capture_output=True, text=True, cwd=REPOSITORY)
    assert not said.stderr
    return [json.loads(line) for line in said.stdout.splitlines()]


def test_no_heavy_file_costs_more_than_an_image_may(costs: list[dict[str, Any]]) -> None:
    assert len(costs) == 2 * len(QUICK)
    assert [cost for cost in costs if not cost["fits"]] == []
    assert {cost["name"]: cost["outcome"] for cost in costs} == QUICK
    assert {(cost["name"], cost["outcome"]) for cost in costs} == {*QUICK.items()}, "the modes disagree"


def test_what_is_refused_says_how_much_it_would_take(costs: list[dict[str, Any]]) -> None:
    said = {cost["name"]: cost["detail"] for cost in costs}
    assert "1,030 MB" in said["34 bytes.webp"]
    assert f"{MAX_BYTES // 10**6} MB" in said["34 bytes.webp"]
    assert "8000 x 8000 px" in said["cmyk in one strip.tif"]
    assert "10,000" in said["2 million empty exif segments.jpg"]


def test_large_photographs_are_accepted() -> None:
    """By the header, which is what refuses: 24 million pixels in both modes, 96 million at a scale."""
    found = {name: outcome(FILES[name](), "fast", 16)[0] for name in ("12000 x 8000.jpg", "rgb.jpg")}
    assert found == {"12000 x 8000.jpg": "decoded", "rgb.jpg": "decoded"}
    with pytest.raises(ImageRejected) as rejection:
        decode(FILES["12000 x 8000.jpg"](), 16, "exact")
    assert rejection.value.reason == Reason.TOO_LARGE


def test_mutants_are_decoded_or_rejected() -> None:
    several = dict(mutants(150, 7))
    assert len(several) == len({*several.values()}) == 150
    assert several == dict(mutants(150, 7))
    words = {outcome(data, mode, 16)[0] for data in several.values() for mode in MODES}
    assert (
        {"decoded", "truncated", "decode_error"} <= words <= {"decoded", *(reason.value for reason in Reason)}
    )


def test_mutants_are_made_of_sound_files() -> None:
    assert {outcome(data, mode, 16)[0] for data in seeds()[:-1] for mode in MODES if len(data) > 300} == {
        "decoded"
    }


TALKATIVE = """
import sys
from tests.hostile.make import grey_tiff, picture, save
from skinml.errors import ImageRejected
{imports}
broken = [grey_tiff(b"garbage" * 100, compression=(259, 3, 1, 5))]
broken += [grey_tiff(b"x" * 99, compression=(259, 3, 1, 4))]
broken += [grey_tiff(bytes(48 * 36), samples=(277, 3, 1, 200))]
broken += [save(picture(), "TIFF", compression="jpeg")[:-300]]
for data in broken:
    try:
        {decode}
    except Exception as error:
        print(type(error).__name__)
"""


def said_on_stderr(imports: str, decode: str) -> str:
    """What a process says there that decodes broken TIFFs."""
    script = TALKATIVE.format(imports=imports, decode=decode)
    ended = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=REPOSITORY
    )
    assert len(ended.stdout.splitlines()) >= 3
    return ended.stderr


def test_libtiff_keeps_quiet() -> None:
    """It does not by itself."""
    assert said_on_stderr("import io; from PIL import Image", "Image.open(io.BytesIO(data)).load()")
    assert not said_on_stderr("from skinml.images.decode import decode", "decode(data, 16)")


def test_a_tiff_in_many_pages_costs_its_first() -> None:
    """A directory is read when it is asked for, and only the first is."""
    data = FILES["a million directories.tif"]()
    assert decode(data, 16).width == 48
