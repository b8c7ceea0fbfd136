"""Temperature scaling: one number that makes a network's confidence mean what it says.

Guo et al., "On Calibration of Modern Neural Networks", ICML 2017: divide the logits by a temperature T, fitted
by the log-likelihood of images that the network was not fitted on. T above 1 makes it less confident, below 1
more. No predicted class changes. Probabilities p take the place of the logits here, because log p and the
logits differ by a number that the softmax ignores.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SMALLEST = 1e-30
"""What stands for a probability of 0 in a logarithm: float32 has it as a normal number."""

LOWEST, HIGHEST = 0.2, 5.0
"""The temperatures that are looked through. Those of Guo et al. are between 0.7 and 3; one at these ends says
that the validation images do not fit the network."""

FEWEST_LESIONS = 100
"""Validation lesions below which the temperature stays 1. For each n, 200 sets of n lesions were made up for a
network of accuracy 0.65 that is calibrated (T = 1). The fitted temperatures had standard deviations of 0.22,
0.11, 0.07 and 0.04 for n = 30, 100, 300 and 1,000: with fewer than 100 the fit may be as wrong as the network
was before it."""


@dataclass(frozen=True)
class Temperature:
    """A fitted temperature.

    Attributes:
        value: above 0; 1 leaves the probabilities as they are.
        reason: why it is 1 without a fit, in one line; None if it was fitted.

    """

    value: float
    reason: str | None = None


def temper(probabilities: NDArray[np.floating], temperature: float) -> NDArray[np.float64]:
    """Probabilities at a temperature: p^(1/T), divided by their sum.

    >>> import numpy as np
    >>> temper(np.array([[0.8, 0.2]]), 2.0).round(3).tolist()
    [[0.667, 0.333]]

    Args:
        probabilities: shape (n, classes), rows sum to 1.
        temperature: above 0.

    """
    if temperature == 1:
        return probabilities.astype(np.float64)
    scaled = np.log(np.maximum(probabilities.astype(np.float64), SMALLEST)) / temperature
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    found: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return found


def log_loss(labels: NDArray[np.integer], probabilities: NDArray[np.floating]) -> float:
    """Mean over images of the negative logarithm of the true class's probability, in nats.

    Args:
        labels: shape (n,).
        probabilities: shape (n, classes).

    """
    of_truth = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(np.maximum(of_truth, SMALLEST)).mean())


def fit_temperature(
    labels: NDArray[np.integer], probabilities: NDArray[np.floating], lesions: NDArray[np.integer]
) -> Temperature:
    """The temperature with the lowest log loss on images that the network was not fitted on.

    Each image counts once, as it does in the calibration error that is reported. The log loss is convex in 1/T,
    so there is one lowest place.

    Args:
        labels: true class numbers, shape (n,).
        probabilities: shape (n, classes), rows sum to 1, finite.
        lesions: which lesion each image shows, shape (n,).

    Returns:
        The temperature; 1 with the reason if there are fewer than FEWEST_LESIONS lesions, or if the loss still
        falls at LOWEST or HIGHEST.

    """
    from scipy.optimize import minimize_scalar  # of the extra `train`: scikit-learn needs it

    count = len(np.unique(lesions))
    if count < FEWEST_LESIONS:
        return Temperature(
            1.0, f"{count} validation lesions are too few to fit a temperature: {FEWEST_LESIONS} are needed"
        )
    found = minimize_scalar(
        lambda inverse: log_loss(labels, temper(probabilities, 1 / inverse)),
        bounds=(1 / HIGHEST, 1 / LOWEST),
        method="bounded",
        options={"xatol": 1e-5},
    )
    temperature = 1 / float(found.x)
    if not LOWEST * 1.01 < temperature < HIGHEST / 1.01:
        end = LOWEST if temperature < 1 else HIGHEST
        return Temperature(
            1.0,
            f"the log loss of the validation images still falls at temperature {end:g}, which no sound network"
            " needs; look at their labels",
        )
    return Temperature(temperature)
