"""Made-up predictions of HAM10000's composition: lesions of its classes, with as many images as its own have.

A lesion's images share what makes the lesion hard, so predictions within a lesion are correlated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skinml.labels import DIAGNOSES

LESIONS: dict[str, tuple[int, ...]] = {
    "akiec": (151, 57, 18, 2),
    "bcc": (175, 118, 33, 1),
    "bkl": (440, 220, 55, 8, 2, 2),
    "df": (39, 26, 8),
    "mel": (230, 278, 100, 4, 1, 1),
    "nv": (4415, 699, 268, 18, 2, 1),
    "vasc": (64, 25, 8, 1),
}
"""HAM10000's lesions (Tschandl et al., Sci. Data 5:180161, 2018) with 1, 2, 3 ... images, by diagnosis."""

SIGNAL = np.array([1.6, 1.8, 1.5, 1.2, 1.5, 2.6, 2.2])
"""How much the logit of the true class stands out: about 0.72 accuracy and 0.56 balanced accuracy."""

LIKE = {
    ("akiec", "bkl"): 0.8,
    ("bcc", "akiec"): 0.6,
    ("bkl", "mel"): 0.6,
    ("mel", "nv"): 1.2,
    ("df", "nv"): 0.8,
}
"""Which diagnosis is taken for which other, and by how much of a logit."""

OF_LESION, OF_IMAGE = 1.0, 0.7
"""Standard deviations of the logits, shared by a lesion's images and of each image."""

SHARPNESS = 1.8
"""What the logits are multiplied with: networks are over-confident."""


@dataclass(frozen=True, eq=False)
class TestSet:
    """Labels (n,), lesions (n,) and probabilities (n, 7) of n images."""

    labels: NDArray[np.int64]
    lesions: NDArray[np.int64]
    probabilities: NDArray[np.float64]


def draw_test_set(lesions: int, fixed: bool, generator: np.random.Generator) -> TestSet:
    """Predictions of so many lesions.

    Args:
        lesions: how many.
        fixed: whether each class has its expected number of lesions, or lesions are drawn from all.
        generator: of everything.

    """
    counts = np.array([sum(LESIONS[name]) for name in DIAGNOSES])
    shares = counts / counts.sum()
    expected = np.round(lesions * shares).astype(np.int64)
    of_class = expected if fixed else generator.multinomial(lesions, shares)
    classes = np.repeat(np.arange(len(DIAGNOSES)), of_class)
    images = np.concatenate(
        [_images(LESIONS[name], count, generator) for name, count in zip(DIAGNOSES, of_class, strict=True)]
    )
    numbers = np.repeat(np.arange(len(classes)), images)
    labels = classes[numbers]
    shared = generator.normal(0, OF_LESION, (len(classes), len(DIAGNOSES)))
    logits = shared[numbers] + generator.normal(0, OF_IMAGE, (len(labels), len(DIAGNOSES)))
    logits += (np.diag(SIGNAL) + _likeness())[labels]
    raised = np.exp(SHARPNESS * (logits - logits.max(axis=1, keepdims=True)))
    return TestSet(labels, numbers, raised / raised.sum(axis=1, keepdims=True))


def _images(of_lesions: tuple[int, ...], count: int, generator: np.random.Generator) -> NDArray[np.int64]:
    shares = np.array(of_lesions) / sum(of_lesions)
    return generator.choice(np.arange(1, len(shares) + 1), size=count, p=shares)


def _likeness() -> NDArray[np.float64]:
    found = np.zeros((len(DIAGNOSES), len(DIAGNOSES)))
    for (true, taken_for), logit in LIKE.items():
        found[DIAGNOSES.index(true), DIAGNOSES.index(taken_for)] = logit
    return found
