"""Tests of skinml/training/batch.py: batches are functions of source, epoch and number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from skinml.errors import RequestError
from skinml.training.batch import Source, make_batch, make_source
from skinml.training.resampling import drawn_shares, weighted_draw
from skinml.training.settings import Settings

COUNTS = np.array([40, 50, 100, 12, 110, 600, 14])
LABELS = np.repeat(np.arange(7), COUNTS).astype(np.int64)
PIXELS = np.random.default_rng(0).integers(0, 256, (len(LABELS), 8, 8, 3), dtype=np.uint8)
TRAIN = np.arange(len(LABELS))


def _source(batch_size: int = 50, **settings: Any) -> Source:
    return make_source(LABELS, TRAIN, Settings(**settings), batch_size, seed=3)


@pytest.mark.parametrize("power", [0.0, 0.25, 0.75, 1.0])
def test_classes_are_drawn_by_the_power_of_their_counts(power: float) -> None:
    drawn = weighted_draw(LABELS, 2000, power, np.random.default_rng(0))
    counts = np.bincount(LABELS[drawn], minlength=7)
    expected = 2000 * COUNTS ** (1 - power) / (COUNTS ** (1 - power)).sum()
    assert counts.sum() == 2000
    np.testing.assert_allclose(counts, expected, atol=1)
    np.testing.assert_allclose(drawn_shares(LABELS, power), expected / 2000)
    for number in range(7):
        times = np.bincount(drawn[LABELS[drawn] == number], minlength=len(LABELS))[number == LABELS]
        assert times.max() - times.min() <= 1, "every image once before any twice"


def test_a_class_without_an_image_is_named() -> None:
    with pytest.raises(RequestError, match="no sample of vasc"):
        weighted_draw(LABELS[LABELS != 6], 10, 0.5, np.random.default_rng(0))


def test_an_epoch_has_every_image_once_in_the_order_of_the_seed() -> None:
    source = _source(sampling=0)
    drawn = np.concatenate(source.order(1))
    assert source.count == len(source.order(1)) == 19
    np.testing.assert_array_equal(np.sort(drawn), TRAIN)
    assert (np.concatenate(source.order(2)) != drawn).any()


def test_batches_are_the_same_whoever_makes_them_and_in_whatever_order() -> None:
    source = _source(mixup=0.3, geometry=1.0, class_weights=0.5, sampling=0.5, label_smoothing=0.1)
    shards = np.split(PIXELS, [100])
    order = source.order(2)
    forwards = [make_batch(source, shards, order[number], 2, number) for number in (0, 1, 2)]
    backwards = [make_batch(source, [PIXELS], order[number], 2, number) for number in (2, 1, 0)][::-1]
    for one, two in zip(forwards, backwards, strict=True):
        np.testing.assert_array_equal(one.pixels, two.pixels)
        np.testing.assert_array_equal(one.targets, two.targets)
        assert one.weights is not None
        assert source.class_weights is not None
        np.testing.assert_allclose(one.weights, one.targets @ source.class_weights)
    assert (forwards[0].pixels != PIXELS[order[0]]).any()
    assert (make_batch(source, shards, order[0], 3, 0).pixels != forwards[0].pixels).any()
