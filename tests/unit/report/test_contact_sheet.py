"""The contact sheet: what is on it, and what of a file is not."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from skinml.report.contact_sheet import EDGE, Tile, draw_contact_sheet

RED = np.full((45, 60, 3), (220, 30, 30), np.uint8)


def opened(sheet: bytes) -> Image.Image:
    return Image.open(io.BytesIO(sheet))


def reddish(image: Image.Image) -> int:
    pixels = np.asarray(image.convert("RGB"), dtype=int)
    return int(((pixels[..., 0] > 180) & (pixels[..., 1] < 90)).sum())


@pytest.mark.parametrize("number", [1, 5, 6, 10])
def test_every_image_is_on_it_in_its_own_proportions(number: int) -> None:
    image = opened(draw_contact_sheet("Title", [Tile(RED, 0.9, "mel")] * number))
    assert reddish(image) == pytest.approx(number * EDGE * EDGE * 45 / 60, rel=0.03)


def test_what_cannot_be_shown_is_a_blank_tile() -> None:
    tiles = [Tile(RED, 0.9, "mel"), Tile(None, 0.8, "nv", "the image cannot be read any more")]
    image = opened(draw_contact_sheet("Title", tiles))
    assert reddish(image) == pytest.approx(EDGE * EDGE * 45 / 60, rel=0.03)


def test_ten_real_sized_images_are_small_and_carry_no_metadata() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    pixels = np.asarray(Image.fromarray(noise).resize((600, 450)))
    sheet = draw_contact_sheet("Title", [Tile(pixels, 0.5, "bcc")] * 10)
    assert len(sheet) < 110_000
    image = opened(sheet)
    assert image.format == "JPEG"
    assert not image.getexif()
    assert not {"comment", "icc_profile", "xmp", "photoshop"} & {*image.info}


@pytest.mark.parametrize("shape", [(1, 1000, 3), (1000, 1, 3), (1, 1, 3)])
def test_an_image_of_odd_proportions_is_drawn(shape: tuple[int, int, int]) -> None:
    assert opened(draw_contact_sheet("Title", [Tile(np.zeros(shape, np.uint8), 0.5, "df")])).size[0] > EDGE
