"""Tests of skinml/evaluation/temperature.py."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skinml.evaluation.metrics import measure
from skinml.evaluation.temperature import FEWEST_LESIONS, HIGHEST, fit_temperature, log_loss, temper


def _calibrated(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels that were drawn with these probabilities, so that they mean what they say."""
    generator = np.random.default_rng(seed)
    powers = np.exp(generator.normal(0, 2.2, (count, 7)))
    probabilities = powers / powers.sum(axis=1, keepdims=True)
    labels = (probabilities.cumsum(axis=1) > generator.random((count, 1))).argmax(axis=1)
    return labels, probabilities


@pytest.mark.parametrize("wrong", [0.5, 1.0, 2.0])
def test_the_temperature_undoes_what_made_it_wrong(wrong: float) -> None:
    labels, probabilities = _calibrated(4000)
    shifted = temper(probabilities, 1 / wrong)
    found = fit_temperature(labels, shifted, np.arange(4000))
    assert found.reason is None
    assert found.value == pytest.approx(wrong, rel=0.06)
    after = temper(shifted, found.value)
    assert measure(labels, after)["ece"] < 0.02
    if wrong != 1:
        assert measure(labels, shifted)["ece"] > 0.05
    assert log_loss(labels, after) <= log_loss(labels, shifted)


@given(st.floats(0.2, 5.0), st.integers(0, 100))
def test_no_predicted_class_changes_and_rows_sum_to_1(temperature: float, seed: int) -> None:
    _, probabilities = _calibrated(20, seed)
    found = temper(probabilities, temperature)
    np.testing.assert_array_equal(found.argmax(axis=1), probabilities.argmax(axis=1))
    np.testing.assert_allclose(found.sum(axis=1), 1)


def test_probabilities_of_0_stay_finite() -> None:
    found = temper(np.eye(7), 3.0)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, np.eye(7), atol=1e-9)


def test_too_few_lesions_leave_it_at_1_however_many_images() -> None:
    labels, probabilities = _calibrated(1000)
    found = fit_temperature(labels, temper(probabilities, 0.5), np.arange(1000) // 11)
    assert (found.value, found.reason) == (
        1.0,
        f"91 validation lesions are too few to fit a temperature: {FEWEST_LESIONS} are needed",
    )


@pytest.mark.parametrize("right", [True, False])
def test_what_no_temperature_explains_leaves_it_at_1(right: bool) -> None:
    """If all are right, the loss falls for ever towards 0; if none is, towards infinity."""
    labels = np.arange(700) % 7
    probabilities = np.eye(7)[labels if right else (labels + 1) % 7] * 0.93 + 0.01
    found = fit_temperature(labels, probabilities, np.arange(700))
    assert found.value == 1
    assert f"still falls at temperature {0.2 if right else HIGHEST:g}" in str(found.reason)
