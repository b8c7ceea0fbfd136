"""Tests of skinml/monitoring/estimated_performance.py: calibration, and estimates of simulated nights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from skinml.monitoring.estimated_performance import FEWEST_IMAGES, calibrate, estimate

Floats = NDArray[np.float64]


def _truth(generator: np.random.Generator, count: int, alpha: float = 0.25) -> Floats:
    """True chances of diagnoses as of an archive: many naevi."""
    return generator.dirichlet(alpha * np.array([0.5, 0.7, 1.2, 0.3, 1.2, 4.0, 0.3]), count)


def _labels(generator: np.random.Generator, chances: Floats) -> NDArray[Any]:
    labels: NDArray[Any] = (generator.random((len(chances), 1)) > chances.cumsum(axis=1)[:, :-1]).sum(axis=1)
    return labels


def _distorted(chances: Floats, power: float, tilt: Floats) -> Floats:
    """What a network says that is over- or underconfident and leans to some diagnoses."""
    wrong = np.clip(chances, 1e-6, 1) ** power * np.exp(tilt)
    result: Floats = wrong / wrong.sum(axis=1, keepdims=True)
    return result


def _balanced_accuracy(labels: NDArray[Any], predicted: NDArray[Any]) -> float:
    return float(np.mean([(predicted[labels == one] == one).mean() for one in np.unique(labels)]))


TILT = np.array([0.5, 0.0, 0.3, 0.8, 0.0, -1.0, 0.6])


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_the_calibration_undoes_overconfidence_and_leaning(power: float) -> None:
    generator = np.random.default_rng(1)
    chances = _truth(generator, 6000)
    calibration = calibrate(_distorted(chances, power, TILT), _labels(generator, chances))
    assert calibration.slope == pytest.approx(1 / power, rel=0.1)
    assert calibration.offsets == pytest.approx(-(TILT - TILT.mean()) / power, abs=0.3)
    fresh = _truth(generator, 500)
    again = calibration(_distorted(fresh, power, TILT))
    assert again.sum(axis=1) == pytest.approx(1)
    assert np.abs(again - fresh).mean() < 0.015


def test_a_diagnosis_without_an_image_and_a_zero_probability_do_no_harm() -> None:
    generator = np.random.default_rng(2)
    chances = _truth(generator, 300)
    labels = _labels(generator, chances)
    labels[labels == 3] = 5
    chances[:50, 3] = 0.0
    calibration = calibrate(chances, labels)
    assert np.isfinite([calibration.slope, *calibration.offsets]).all()
    assert np.abs(calibration.offsets).max() < 10
    assert np.isfinite(calibration(np.eye(7))).all()


def test_the_interval_holds_the_realised_balanced_accuracy_of_simulated_nights() -> None:
    """Of 60 nights of other images than those it was calibrated on, and with more doubt (covariate shift)."""
    held = 0
    off = []
    for seed in range(60):
        generator = np.random.default_rng([3, seed])
        chances = _truth(generator, 1500)
        calibration = calibrate(_distorted(chances, 1.7, TILT), _labels(generator, chances))
        night = _truth(generator, 800, alpha=0.5)
        told = _distorted(night, 1.7, TILT)
        found = estimate(told, told.argmax(axis=1), calibration)
        assert found is not None
        realised = _balanced_accuracy(_labels(generator, night), told.argmax(axis=1))
        held += found.interval[0] <= realised <= found.interval[1]
        off.append(found.balanced_accuracy - realised)
    assert held >= 52, "95 % were meant"
    assert abs(np.mean(off)) < 0.015, "no bias"


def test_raw_overconfident_probabilities_would_have_promised_too_much() -> None:
    generator = np.random.default_rng(4)
    chances = _truth(generator, 4000, alpha=1.0)
    told = _distorted(chances, 3.0, np.zeros(7))
    labels = _labels(generator, chances)
    predicted = told.argmax(axis=1)
    calibrated = estimate(told, predicted, calibrate(told, labels))
    neutral = calibrate(chances, labels)
    raw = estimate(told, predicted, neutral)
    assert calibrated is not None
    assert raw is not None
    realised = _balanced_accuracy(labels, predicted)
    assert abs(calibrated.balanced_accuracy - realised) < 0.03
    assert raw.balanced_accuracy - realised > 0.1


def test_too_few_images_give_no_estimate_and_a_rare_diagnosis_is_left_out_and_named() -> None:
    generator = np.random.default_rng(5)
    chances = _truth(generator, 400)
    calibration = calibrate(chances, _labels(generator, chances))
    few = chances[: FEWEST_IMAGES - 1]
    assert estimate(few, few.argmax(axis=1), calibration) is None
    sure = np.full((60, 7), 1e-6)
    sure[:, 5] = 1 - 6e-6
    found = estimate(sure, sure.argmax(axis=1), calibration)
    assert found is not None
    assert "df" in found.left_out
    assert "nv" not in found.left_out
