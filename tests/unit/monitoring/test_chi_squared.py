"""Tests of skinml/monitoring/chi_squared.py, against SciPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from skinml.monitoring.chi_squared import FEW, holm, homogeneity, pool, survival


@pytest.mark.parametrize("freedom", [1, 2, 3, 6, 9, 10, 40])
@pytest.mark.parametrize("statistic", [1e-6, 0.5, 3.84, 9.0, 40.0, 300.0, 5000.0])
def test_the_survival_function_is_scipys(statistic: float, freedom: int) -> None:
    expected = stats.chi2.sf(statistic, freedom)
    assert survival(statistic, freedom) == pytest.approx(expected, rel=1e-9, abs=1e-300)


def test_without_freedom_or_difference_nothing_is_unlikely() -> None:
    assert survival(10.0, 0) == survival(0.0, 4) == 1.0


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=2, max_size=12))
def test_homogeneity_is_scipys(counts: list[tuple[int, int]]) -> None:
    first, second = np.array(counts).T
    statistic, chance = homogeneity(first, second)
    filled = first + second > 0
    if filled.sum() < 2 or not first.sum() or not second.sum():
        assert (statistic, chance) == (0.0, 1.0)
        return
    expected = stats.chi2_contingency(np.stack([first, second])[:, filled], correction=False)
    assert statistic == pytest.approx(expected.statistic, abs=1e-9)
    assert chance == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-300)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 3000)), min_size=1, max_size=12), st.booleans())
def test_pooling_loses_no_image_and_leaves_no_bin_thin(counts: list[tuple[int, int]], ordered: bool) -> None:
    first, second = np.array(counts).T
    pooled = pool(first, second, ordered)
    assert [each.sum() for each in pooled] == [first.sum(), second.sum()]
    smaller = pooled[0] if first.sum() <= second.sum() else pooled[1]
    if len(smaller) > 1:
        expected = (pooled[0] + pooled[1]) * (smaller.sum() / (first.sum() + second.sum()))
        assert (np.maximum(smaller, expected) >= FEW).all()


def test_only_neighbours_of_an_ordered_measure_are_pooled() -> None:
    night, reference = np.array([0, 20, 1, 30, 1]), np.array([3, 200, 4, 300, 5])
    assert [each.tolist() for each in pool(night, reference, ordered=True)] == [[20, 32], [203, 309]]
    assert [each.tolist() for each in pool(night, reference, ordered=False)] == [[22, 30], [212, 300]]


def test_a_bin_that_only_tonight_fills_is_no_neighbours() -> None:
    """All 50 images lie where none of 5,000 do: by what is expected alone they would be pooled away."""
    pooled = pool(np.array([50, 0, 0]), np.array([0, 5000, 0]), ordered=True)
    assert [each.tolist() for each in pooled] == [[50, 0], [0, 5000]]


def test_holm_is_the_textbooks() -> None:
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}) == pytest.approx(
        {"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02}
    )
    assert holm({"a": 0.9, "b": 0.8}) == {"a": 1.0, "b": 1.0}
