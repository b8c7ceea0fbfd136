"""Tests of skinml/explanation/occlusion.py: the map shows what the network reads."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from skinml.explanation.occlusion import GREY, occlude, patch_and_stride, rank_correlation


def reading(top: int, left: int, label: int = 4) -> object:
    """A network whose probability of `label` is the brightness of one square of 4 px."""

    def predict(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        seen = pixels[:, top : top + 4, left : left + 4].mean(axis=(1, 2, 3)) / 512 + 0.2
        found = np.repeat((1 - seen)[:, None] / 6, 7, axis=1)
        found[:, label] = seen
        return found

    return predict


def white(size: int = 32) -> NDArray[np.uint8]:
    return np.full((size, size, 3), 255, np.uint8)


@pytest.mark.parametrize(("top", "left"), [(0, 0), (14, 20), (28, 28), (0, 28)])
def test_the_place_that_the_network_reads_is_the_largest_also_in_a_corner(top: int, left: int) -> None:
    found = occlude(reading(top, left), white(), 4, 8, 2)  # type: ignore[arg-type]
    place = np.unravel_index(found.change.argmax(), found.change.shape)
    assert top <= place[0] < top + 4
    assert left <= place[1] < left + 4
    assert found.change.min() >= 0
    far = np.ones_like(found.change, dtype=bool)
    far[max(0, top - 8) : top + 12, max(0, left - 8) : left + 12] = False
    assert np.abs(found.change[far]).max() == 0


def test_what_speaks_against_a_diagnosis_is_below_0() -> None:
    found = occlude(reading(10, 10), white(), 2, 8, 2)  # type: ignore[arg-type]
    assert found.change[11, 11] < 0
    assert found.change.max() <= 0


def test_the_change_is_in_log_odds_of_the_whole_image() -> None:
    """One patch over the whole square: the value can be worked out by hand."""
    found = occlude(reading(8, 8), white(16), 4, 4, 4)  # type: ignore[arg-type]
    before, after = 255 / 512 + 0.2, GREY / 512 + 0.2
    expected = np.log(before / (1 - before)) - np.log(after / (1 - after))
    np.testing.assert_allclose(found.change[8:12, 8:12], expected)
    assert found.log_odds == pytest.approx(np.log(before / (1 - before)))
    assert found.calls == 16


@pytest.mark.parametrize("size", [8, 24, 32, 33, 100, 128, 224])
def test_every_pixel_is_hidden_whatever_the_size(size: int) -> None:
    patch, stride = patch_and_stride(size)
    assert patch % stride == 0
    assert size / 8 <= patch <= size / 2
    calls = 0

    def predict(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        nonlocal calls
        calls += len(pixels)
        return np.full((len(pixels), 7), 1 / 7)

    found = occlude(predict, white(size), 0, patch, stride)
    assert np.isfinite(found.change).all(), "no pixel was never hidden"
    assert calls == found.calls + 1
    assert found.is_flat, "this network looks at nothing"


def test_the_image_is_not_changed_and_certainty_is_finite() -> None:
    def certain(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        found = np.zeros((len(pixels), 7))
        found[:, 3] = 1.0
        return found

    image = white()
    for label in (0, 3):
        found = occlude(certain, image, label, 8, 2)
        assert np.isfinite([found.log_odds, *found.change.ravel()]).all()
    assert (image == 255).all()


def test_rank_correlation_is_that_of_scipy() -> None:
    from scipy.stats import spearmanr

    generator = np.random.default_rng(0)
    first, second = generator.integers(0, 5, (6, 6)).astype(float), generator.normal(size=(6, 6))  # with ties
    assert rank_correlation(first, second) == pytest.approx(spearmanr(first.ravel(), second.ravel()).statistic)
    assert np.isnan(rank_correlation(first, np.ones((6, 6))))
