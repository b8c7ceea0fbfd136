"""Tests of skinml/explanation/drawing.py: colours mean what the notes say, and nothing is cut off."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from skinml.explanation.drawing import AGAINST, EDGE, FOR, Panel, enlarge, figure, gallery, overlay, png

GREY = np.full((EDGE, EDGE, 3), 128, np.uint8)


def opened(data: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


def test_above_0_is_vermillion_below_0_is_blue_and_0_is_the_image() -> None:
    found = overlay(GREY, np.array([[1.0, 0.0], [-0.5, 0.0]]), 1.0).astype(float)
    nothing = found[0, -1]
    np.testing.assert_allclose(nothing, 128)
    towards = [found[0, 0] - 128, found[-1, 0] - 128]
    for shift, colour in zip(towards, (FOR, AGAINST), strict=True):
        assert np.corrcoef(shift, np.array(colour) - 128)[0, 1] > 0.999
    assert np.linalg.norm(towards[0]) > np.linalg.norm(towards[1]), "the larger value has the stronger colour"


def test_values_beyond_the_limit_and_maps_of_zeros_are_no_trouble() -> None:
    np.testing.assert_array_equal(overlay(GREY, np.array([[9.0]]), 1.0), overlay(GREY, np.array([[1.0]]), 1.0))
    np.testing.assert_array_equal(overlay(GREY, np.zeros((2, 2)), 0.0), GREY)


@pytest.mark.parametrize("shape", [(2, 2), (4, 4), (7, 7), (32, 32), (33, 33)])
def test_each_value_covers_its_part_of_the_image(shape: tuple[int, int]) -> None:
    values = np.zeros(shape)
    values[-1, 0] = 1.0
    coloured = (overlay(GREY, values, 1.0) != 128).any(axis=2)
    rows, columns = np.nonzero(coloured)
    assert rows.max() == EDGE - 1
    assert columns.min() == 0
    assert coloured.sum() == pytest.approx(EDGE**2 / values.size, rel=0.2)


def margins(picture: NDArray[np.uint8]) -> list[float]:
    """The darkest value at each edge of a picture: 255 if nothing touches it."""
    return [float(edge.min()) for edge in (picture[:3], picture[-3:], picture[:, :3], picture[:, -3:])]


def test_a_figure_has_room_for_all_of_it() -> None:
    texts = [(EDGE * 0.25, EDGE * 0.25, "+123.45")]
    panels = [Panel("seen", GREY, 32), Panel("mel", GREY, 32, 123456.0, "log-odds", texts)]
    picture = opened(figure("title", panels, ["a note " * 60, "another"]))
    assert margins(picture) == [255] * 4
    assert opened(figure("title", panels[:1], [])).shape[1] < picture.shape[1]


def test_a_gallery_shortens_names_that_do_not_fit() -> None:
    pixels = np.full((32, 32, 3), 90, np.uint8)
    shown = [(pixels, ["x" * 300, "nv, distance 0.123"]) for _ in range(6)]
    assert margins(opened(gallery("title", shown, ["note"]))) == [255] * 4
    assert margins(opened(gallery("title", shown[:1], ["note " * 40]))) == [255] * 4


def test_pixels_are_enlarged_as_squares_and_kept_by_png() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    found = opened(png(enlarge(pixels)))
    assert found.shape == (EDGE, EDGE, 3)
    np.testing.assert_array_equal(found[EDGE // 8 :: EDGE // 4, EDGE // 8 :: EDGE // 4], pixels)
