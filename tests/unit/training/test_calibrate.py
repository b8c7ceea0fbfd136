"""Tests of skinml/training/calibrate.py: what is decided on validation images and reported on test images."""

import numpy as np
import pytest

from skinml.evaluation.temperature import temper
from skinml.models.calibrated import say_calibration, say_operating
from skinml.training.calibrate import Part, calibrate, operating_point


def _part(lesions: int, seed: int, too_sure: float = 1.0) -> Part:
    """Images of lesions whose probabilities are right at this temperature."""
    generator = np.random.default_rng(seed)
    powers = np.exp(generator.normal(0, 2.2, (lesions, 7)))
    probabilities = powers / powers.sum(axis=1, keepdims=True)
    labels = (probabilities.cumsum(axis=1) > generator.random((lesions, 1))).argmax(axis=1)
    return Part(labels.astype(np.int64), np.arange(lesions), temper(probabilities, 1 / too_sure))


VALIDATION, TEST = _part(800, 1, too_sure=1.8), _part(1200, 2, too_sure=1.8)


def test_the_calibration_error_falls_on_images_that_no_choice_was_made_by() -> None:
    found = calibrate(VALIDATION, TEST, "temperature")
    assert found.fitted
    assert found.temperature == pytest.approx(1.8, rel=0.1)
    assert (found.images, found.lesions) == (800, 800)
    assert found.test_ece_before is not None
    assert found.test_ece_after is not None
    assert found.test_ece_before > 0.08
    assert found.test_ece_after < 0.05
    assert found.test_ece_after == pytest.approx(TEST.at(found.temperature).ece)
    assert "fitted on 800 validation images of 800 lesions" in say_calibration(found)


@pytest.mark.parametrize(
    ("validation", "method", "reason"),
    [
        (VALIDATION, "none", "it was not asked for (--calibration none)"),
        (None, "temperature", "the protocol has no validation images beside its test images"),
        (_part(40, 1), "temperature", "40 validation lesions are too few to fit a temperature: 100 are needed"),
    ],
)
def test_without_a_fit_the_temperature_is_1_and_it_is_said_why(
    validation: Part | None, method: str, reason: str
) -> None:
    found = calibrate(validation, TEST, method)  # type: ignore[arg-type]
    assert (found.temperature, found.reason, found.ece_before) == (1.0, reason, None)
    assert say_calibration(found) == f"temperature 1: {reason}"


def test_the_threshold_reaches_its_sensitivity_on_validation_and_is_measured_on_test() -> None:
    found = operating_point(VALIDATION, TEST, 0.8, seed=1)
    assert found.threshold is not None
    assert found.validation_sensitivity is not None
    assert found.validation_sensitivity >= 0.8
    assert found.sensitivity == pytest.approx(0.8, abs=0.06)
    low, high = found.sensitivity_interval or (0, 0)
    assert low < 0.8 < high
    lower = operating_point(VALIDATION, TEST, 0.95, seed=1)
    assert lower.threshold is not None
    assert lower.threshold < found.threshold
    assert lower.specificity is not None
    assert found.specificity is not None
    assert lower.specificity < found.specificity
    assert f"threshold {found.threshold:.4f} for p_malignant" in say_operating(found)


def test_too_few_malignant_lesions_choose_no_threshold() -> None:
    few = Part(np.where(np.arange(300) < 19, 4, 5), np.arange(300), np.full((300, 7), 1 / 7))
    found = operating_point(few, TEST, 0.9, seed=1)
    assert (found.threshold, found.malignant_lesions, found.lesions) == (None, 19, 300)
    assert say_operating(found) == (
        "no threshold for p_malignant: 19 malignant validation lesions are too few: 20 are needed"
    )
    assert operating_point(None, TEST, 0.9, seed=1).reason == (
        "the protocol has no validation images beside its test images"
    )
    all_of_them = Part(np.full(30, 4), np.arange(30), np.full((30, 7), 1 / 7))
    assert operating_point(all_of_them, TEST, 0.9, seed=1).reason == "no validation lesion is benign"
