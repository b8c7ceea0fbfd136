"""Tests of skinml/monitoring/foreign.py: what is made foreign is, and what is flagged is counted."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from skinml.monitoring.foreign import Pixels, behaviour, foreign_images
from skinml.monitoring.reference import Measured, Thresholds, gather_measures

SKIN = np.random.default_rng(3).normal([200, 140, 120], 12, (20, 16, 16, 3)).clip(0, 255).astype(np.uint8)


def test_each_kind_is_what_it_is_called() -> None:
    found = foreign_images(SKIN, 1)
    assert {kind: (images.shape, images.dtype) for kind, images in found.items()} == dict.fromkeys(
        found, (SKIN.shape, np.dtype(np.uint8))
    )
    assert found["black"].max() == 0
    assert found["white"].min() == 255
    np.testing.assert_array_equal(found["inverted"] + SKIN, 255)
    np.testing.assert_array_equal(found["swapped colours"][..., 0], SKIN[..., 2])
    assert found["noise"].std() == pytest.approx(255 / 12**0.5, rel=0.02), "even over 0 to 255"
    ours, theirs = (images.reshape(20, -1, 3) for images in (SKIN, found["shuffled"]))
    np.testing.assert_array_equal(np.sort(ours, axis=1), np.sort(theirs, axis=1))
    assert not np.array_equal(ours, theirs)
    assert np.ptp(found["grey"].astype(int), axis=-1).max() == 0


def test_the_seed_decides() -> None:
    first, again, other = (foreign_images(SKIN, seed)["noise"] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def _look(pixels: Pixels) -> tuple[Measured, NDArray[np.float64]]:
    """A network that takes what is red for melanoma, and knows only skin."""
    red = pixels[..., 0].mean(axis=(1, 2)) > pixels[..., 2].mean(axis=(1, 2)) + 20
    probabilities = np.full((len(pixels), 7), 0.05)
    probabilities[np.arange(len(pixels)), np.where(red, 4, 5)] = 0.7
    measured = gather_measures(
        brightness=pixels.mean(axis=(1, 2, 3)) / 255,
        sharpness=np.ones(len(pixels)),
        width=np.full(len(pixels), 16),
        height=np.full(len(pixels), 16),
        probabilities=probabilities,
        unlike_training=np.where(red, 0.1, 9.0),
    )
    return measured, probabilities


def test_flags_are_counted_as_score_would_set_them() -> None:
    thresholds = Thresholds(blurred=0.5, dark=0.1, overexposed=0.9, low_confidence=0.3, unlike_training=1.0)
    found = behaviour(SKIN, _look, thresholds, 1)
    assert list(found) == [
        *("test images", "black", "white", "noise", "inverted", "shuffled", "grey", "swapped colours")
    ]
    tested = found["test images"]
    assert (tested["images"], tested["flagged"], tested["unlike_training"], tested["malignant"]) == (
        20,
        0,
        0,
        1,
    )
    assert tested["confidence"] == pytest.approx(0.7)
    assert found["shuffled"]["flagged"] == 0, "the same colours: this network cannot know"
    for kind in ("black", "white", "grey", "swapped colours"):
        assert (found[kind]["unlike_training"], found[kind]["flagged"]) == (1, 1), kind
        assert found[kind]["malignant"] == 0, kind
