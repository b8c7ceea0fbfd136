"""Tests of skinml/training/augment.py: what each change does, that it can be off, that a seed decides it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from skinml.training.augment import augment, augment_image, colour_matrix, cut_out, drift, mirrored, mix, move
from skinml.training.settings import NAMED, Settings

SIZE = 48
TUNED = NAMED["fine-tuning"].settings
TARGETS = np.eye(7, dtype=np.float32)[np.arange(8) % 7]


@pytest.fixture(scope="module")
def photographs() -> NDArray[np.uint8]:
    """Eight smooth images of SIZE px."""
    small = np.random.default_rng(1).integers(0, 256, (8, 6, 6, 3), dtype=np.uint8)
    return np.stack([np.asarray(Image.fromarray(one).resize((SIZE, SIZE))) for one in small])


def _rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_the_seed_decides_and_the_originals_stay(photographs: NDArray[np.uint8]) -> None:
    before = photographs.copy()
    one, two, other = (augment(photographs, TARGETS, TUNED, _rng(seed)) for seed in (5, 5, 6))
    np.testing.assert_array_equal(one[0], two[0])
    np.testing.assert_array_equal(one[1], two[1])
    assert (one[0] != other[0]).any()
    assert one[0].dtype == np.uint8
    assert one[0].shape == photographs.shape
    assert one[1].dtype == np.float32
    np.testing.assert_array_equal(photographs, before)


@pytest.mark.parametrize("name", ["geometry", "colour", "cutout", "mixup", "drift"])
def test_each_change_alone_changes_pixels_and_all_off_none(photographs: NDArray[np.uint8], name: str) -> None:
    off = Settings()
    assert not off.augments
    changes: dict[str, Any] = {name: 1.0}
    only = replace(off, **changes)
    assert only.augments
    changed, targets = augment(photographs, TARGETS, only, _rng())
    assert (changed != photographs).any(axis=(1, 2, 3)).all()
    assert (targets != TARGETS).any() == (name == "mixup")
    same, _ = augment(photographs, TARGETS, off, _rng())
    np.testing.assert_array_equal(same, photographs)


@pytest.mark.parametrize("margin", [1, 17, SIZE - 1, SIZE])
def test_the_frame_is_the_mirror_image(photographs: NDArray[np.uint8], margin: int) -> None:
    expected = np.pad(photographs[0], ((margin, margin), (margin, margin), (0, 0)), mode="symmetric")
    np.testing.assert_array_equal(mirrored(photographs[0], margin), expected)


def test_a_moved_image_has_no_empty_corner(photographs: NDArray[np.uint8]) -> None:
    light = np.full((SIZE, SIZE, 3), 200, np.uint8)
    for seed in range(50):
        np.testing.assert_array_equal(np.asarray(move(light, 1.0, _rng(seed))), light)


def test_turns_take_any_angle_about_the_middle(photographs: NDArray[np.uint8]) -> None:
    """A spot beside the middle goes round it; its mirror images stay outside."""
    spot = np.zeros((SIZE, SIZE, 3), np.uint8)
    spot[12:16, 22:26] = 255
    seen = []
    for seed in range(60):
        turned = np.asarray(move(spot, 0.0, _rng(seed)))[..., 0].astype(float)
        rows, columns = np.indices(turned.shape) + 0.5
        y, x = (turned * rows).sum() / turned.sum() - 24, (turned * columns).sum() / turned.sum() - 24
        assert np.hypot(x, y) == pytest.approx(10, abs=1)
        seen.append(int(np.degrees(np.arctan2(y, x)) // 45))
    assert set(seen) == set(range(-4, 4))


def test_greys_keep_their_hue_and_strength_scales_the_change() -> None:
    for seed in range(20):
        matrix = np.array(colour_matrix(120, 1.0, _rng(seed))).reshape(3, 4)
        grey = matrix[:, :3] @ np.full(3, 120.0) + matrix[:, 3]
        np.testing.assert_allclose(grey, grey[0], rtol=1e-6)
        assert 0.79 * 120 < grey[0] < 1.21 * 120  # contrast does not move the mean
    assert colour_matrix(120, 0.0, _rng()) == pytest.approx((1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0), abs=1e-12)


def test_a_cut_is_a_square_of_the_mean_colour_and_may_hang_over(photographs: NDArray[np.uint8]) -> None:
    sizes = []
    for seed in range(40):
        cut = cut_out(photographs[0], _rng(seed))
        changed = (cut != photographs[0]).any(axis=2)
        assert len(np.unique(cut[changed], axis=0)) == 1
        sizes.append(changed.sum() / changed.size)
    assert min(sizes) > 0
    assert max(sizes) <= 0.26


def test_drift_keeps_the_picture(photographs: NDArray[np.uint8]) -> None:
    different = set()
    for seed in range(12):
        seen = drift(photographs[0], 1.0, _rng(seed))
        assert seen.shape == photographs[0].shape
        assert np.abs(seen.astype(int) - photographs[0]).mean() < 12
        different.add(seen.tobytes())
    assert len(different) == 12
    np.testing.assert_array_equal(drift(photographs[0], 0.0, _rng()), photographs[0])


def test_mixup_mixes_pixels_and_targets_alike() -> None:
    pixels = (np.arange(7, dtype=np.uint8) * 30)[:, None, None, None] * np.ones((1, 4, 4, 3), np.uint8)
    targets = np.eye(7, dtype=np.float32)
    mixed, soft = mix(pixels, targets, 0.4, _rng(3))
    np.testing.assert_allclose(soft.sum(axis=1), 1, rtol=1e-6)
    assert (soft.argmax(axis=1) == np.arange(7)).all()
    expected = soft @ (np.arange(7) * 30)
    np.testing.assert_allclose(mixed[:, 0, 0, 0], expected, atol=0.51)


def test_cutout_happens_as_often_as_it_should(photographs: NDArray[np.uint8]) -> None:
    generator = _rng()
    settings = Settings(cutout=0.3)
    count = sum(
        (augment_image(photographs[0], settings, generator) != photographs[0]).any() for _ in range(300)
    )
    assert 60 < count < 120
