"""Estimate the balanced accuracy of a night without labels, from calibrated probabilities.

It is confidence-based performance estimation for several classes: an image with calibrated probabilities p has
diagnosis i with probability p[i], so the expected confusion matrix of a night is a sum of probabilities.
Guillory et al., ICCV 2021, and Garg et al., ICLR 2022, compare such estimates. All of them fail if the
probabilities mean something else than on the held-out images; so a drifted night gets none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skinml.labels import DIAGNOSES

Floats = NDArray[np.float64]

ASSUMPTION = (
    "It assumes that a probability means the same on this night's images as on the images that the model was"
    " tested on. Nothing in the scores can show that. The interval counts every image as a lesion of its own,"
    " so it is rather too narrow."
)

FEWEST_IMAGES = 50
"""Of a night, and of held-out images: with fewer, the estimate would say nothing."""

FEWEST_EXPECTED = 1.0
"""A diagnosis with fewer expected images is left out of the mean: the night may have none."""

PRIOR = 4.0
"""Variance of the prior of each offset (normal, mean 0) and of the slope (normal, mean 1). A diagnosis without
a held-out image would otherwise get an offset without bound."""

STEPS, SMALL = 50, 1e-9
"""Newton steps at most, and the decrease below which they end. 5 to 9 are needed."""

DRAWS, DRAWN_IMAGES = 64, 20_000
"""Draws of the calibration, and the images that each is applied to at most: half a second."""

SMALLEST = 1e-7
"""Smaller probabilities count as this: their logarithm is finite then."""

Z = 1.959963984540054
"""The normal quantile of 97.5 %."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """A map from probabilities p to softmax(slope * log p + offsets).

    Attributes:
        slope: one over the temperature.
        offsets: one a diagnosis, float64 (7,), sum 0.
        images: held-out images that it was fitted on.
        covariance: of the slope and the offsets, float64 (8, 8): the inverse of the curvature of the loss.
    """

    slope: float
    offsets: Floats
    images: int
    covariance: Floats

    def __call__(self, probabilities: NDArray[np.floating]) -> Floats:
        """Calibrated probabilities, float64 (n, 7), of probabilities (n, 7)."""
        return _softmax(self.slope * _logs(probabilities) + self.offsets)


def calibrate(probabilities: NDArray[np.floating], labels: NDArray[np.integer]) -> Calibration:
    """Fit the calibration on held-out images: temperature with an offset a class.

    This is bias-corrected temperature scaling (Alexandari et al., ICML 2020), fitted by Newton's method. The
    loss is convex. A network that was calibrated in training gets a slope near 1 and offsets near 0.

    Args:
        probabilities: float (n, 7), n at least 1.
        labels: true class numbers, (n,).

    Example:
        >>> generator = np.random.default_rng(0)
        >>> true = generator.dirichlet(np.full(7, 0.3), 4000)
        >>> labels = (generator.random((4000, 1)) > true.cumsum(axis=1)).sum(axis=1)
        >>> overconfident = true**2 / (true**2).sum(axis=1, keepdims=True)
        >>> round(calibrate(overconfident, labels).slope, 1)
        0.5
    """
    logs, truth = _logs(probabilities), np.eye(len(DIAGNOSES))[labels]
    parameters = np.array([1.0, *np.zeros(len(DIAGNOSES))])
    start = parameters.copy()
    loss = _loss(parameters, start, logs, truth)
    for _ in range(STEPS):
        gradient, curvature = _derivatives(parameters, start, logs, truth)
        step, length = np.linalg.solve(curvature, gradient), 1.0
        while (new := _loss(parameters - length * step, start, logs, truth)) > loss and length > SMALL:
            length /= 2
        if loss - new <= SMALL * max(1.0, abs(loss)):
            break
        parameters, loss = parameters - length * step, new
    offsets = parameters[1:] - parameters[1:].mean()
    curvature = _derivatives(parameters, start, logs, truth)[1]
    covariance = np.linalg.inv(curvature).astype(np.float64)
    return Calibration(float(parameters[0]), offsets, len(labels), covariance)


@dataclass(frozen=True)
class Estimate:
    """An estimate for a night.

    Attributes:
        balanced_accuracy: 0 to 1.
        interval: 95 %.
        images: of the night.
        held_out: images that the calibration was fitted on.
        left_out: diagnoses of which less than FEWEST_EXPECTED images are expected.
    """

    balanced_accuracy: float
    interval: tuple[float, float]
    images: int
    held_out: int
    left_out: tuple[str, ...]


def estimate(
    probabilities: NDArray[np.floating], predicted: NDArray[np.integer], calibration: Calibration
) -> Estimate | None:
    """Estimate the balanced accuracy of the predicted diagnoses; None if there are too few images.

    With y drawn from the calibrated probabilities, balanced accuracy is a mean of ratios A_i / B_i: of the
    images of diagnosis i, those predicted as i. The estimate is the ratio of the expectations. Its variance
    has two parts: the chance of the diagnoses, by the linearised sum over images (delta method), and what the
    held-out images leave open about the calibration, by draws from its normal approximation.

    Args:
        probabilities: of the network, float (n, 7).
        predicted: class numbers, (n,).
        calibration: of the network.
    """
    if len(predicted) < FEWEST_IMAGES or calibration.images < FEWEST_IMAGES:
        return None
    calibrated = calibration(probabilities)
    expected = calibrated.sum(axis=0)
    kept = np.flatnonzero(expected >= FEWEST_EXPECTED)
    hit = np.eye(len(DIAGNOSES))[predicted]
    sensitivity = _sensitivities(calibrated, hit)[kept]
    mean = float(sensitivity.mean())
    influence = (hit[:, kept] - sensitivity) / (len(kept) * expected[kept])
    first, second = (calibrated[:, kept] * influence**power for power in (1, 2))
    variance = float((second.sum(axis=1) - first.sum(axis=1) ** 2).sum())

    generator = np.random.default_rng(len(predicted))
    some = slice(None, None, max(1, len(predicted) // DRAWN_IMAGES))
    logs, some_hit = _logs(probabilities[some]), hit[some]
    middle = np.array([calibration.slope, *calibration.offsets])
    drawn = generator.multivariate_normal(middle, calibration.covariance, DRAWS)
    means = [_sensitivities(_softmax(one[0] * logs + one[1:]), some_hit)[kept].mean() for one in drawn]
    spread = Z * float(np.sqrt(max(variance, 0.0) + np.var(means)))
    left_out = tuple(name for number, name in enumerate(DIAGNOSES) if number not in kept)
    interval = (max(0.0, mean - spread), min(1.0, mean + spread))
    return Estimate(mean, interval, len(predicted), calibration.images, left_out)


def _sensitivities(calibrated: Floats, hit: Floats) -> Floats:
    """Expected sensitivity of each diagnosis, float64 (7,)."""
    result: Floats = (calibrated * hit).sum(axis=0) / np.maximum(calibrated.sum(axis=0), SMALLEST)
    return result


def _logs(probabilities: NDArray[np.floating]) -> Floats:
    return np.log(np.clip(np.nan_to_num(probabilities.astype(np.float64)), SMALLEST, 1.0))


def _softmax(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: Floats = powers / powers.sum(axis=1, keepdims=True)
    return result


def _loss(parameters: Floats, start: Floats, logs: Floats, truth: Floats) -> float:
    """The negative log likelihood with the prior."""
    logits = parameters[0] * logs + parameters[1:]
    most = logits.max(axis=1, keepdims=True)
    normaliser = np.log(np.exp(logits - most).sum(axis=1)) + most[:, 0]
    prior = ((parameters - start) ** 2).sum() / (2 * PRIOR)
    return float((normaliser - (logits * truth).sum(axis=1)).sum() + prior)


def _derivatives(parameters: Floats, start: Floats, logs: Floats, truth: Floats) -> tuple[Floats, Floats]:
    """Gradient (8,) and Hessian (8, 8) of the loss."""
    chances = _softmax(parameters[0] * logs + parameters[1:])
    over = chances - truth
    gradient = np.array([(over * logs).sum(), *over.sum(axis=0)]) + (parameters - start) / PRIOR
    mean = (chances * logs).sum(axis=1, keepdims=True)
    centred = chances * (logs - mean)
    hessian = np.empty((len(parameters), len(parameters)))
    hessian[0, 0] = (centred * logs).sum()
    hessian[0, 1:] = hessian[1:, 0] = centred.sum(axis=0)
    hessian[1:, 1:] = np.diag(chances.sum(axis=0)) - chances.T @ chances
    return gradient, hessian + np.eye(len(parameters)) / PRIOR
