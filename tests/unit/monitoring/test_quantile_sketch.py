"""Tests of skinml/monitoring/quantile_sketch.py."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skinml.monitoring.quantile_sketch import Sketch, sketch


@given(st.lists(st.floats(), min_size=1, max_size=60), st.data())
def test_the_median_is_one_of_the_values_whatever_they_are_and_however_split(
    values: list[float], data: st.DataObject
) -> None:
    everything = np.array(values)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(values)), max_size=4)))
    summed = Sketch()
    for part in data.draw(st.permutations(np.split(everything, cuts))):
        summed = summed + sketch(part)
    whole = sketch(everything)
    np.testing.assert_array_equal(summed.smallest, whole.smallest)
    np.testing.assert_array_equal(summed.counts, whole.counts)
    assert whole.counts.sum() == len(values)
    true = float(np.sort(everything)[(len(values) - 1) // 2])  # of Python, which says nothing of an overflow
    median = whole.median()
    assert median is not None
    if np.isfinite(true):
        assert any(median == value for value in values)
        assert true - abs(true) / 64 - 1e-300 <= median <= true
    else:
        assert np.array_equal([median], [true], equal_nan=True)


def test_nothing_has_no_median() -> None:
    assert Sketch().median() is None
    assert (Sketch() + sketch(np.zeros(0))).median() is None


def test_equal_values_keep_their_value() -> None:
    assert sketch(np.full(1000, 0.27)).median() == 0.27


def test_a_million_values_are_as_small_as_a_thousand() -> None:
    values = np.random.default_rng(0).lognormal(5, 0.7, 1_000_000)
    whole = sketch(values)
    assert len(pickle.dumps(whole)) < 10_000
    assert whole.median() == pytest.approx(np.median(values), rel=1 / 64)
