"""What is odd about single images: measures beyond the thresholds of the model's reference, as words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from skinml.scoring.reference import Measured, Thresholds

FLAGS = ("blurred", "dark", "overexposed", "low_confidence", "unlike_training")
"""Every flag, in the order in which they are named."""

_WORDS = np.array(
    [",".join(flag for bit, flag in enumerate(FLAGS) if code >> bit & 1) for code in range(2 ** len(FLAGS))],
    dtype=object,
)


def flag_images(measured: Measured, thresholds: Thresholds) -> NDArray[np.object_]:
    """The flags of n images, as the column `flags` of `scores` holds them.

    Args:
        measured: of n images; what is not a number is beyond every threshold.
        thresholds: beyond which values.

    Returns:
        str (n,): flags separated by commas, in the order of FLAGS; "" where there is none.

    """
    beyond = (  # "not within", so that NaN is beyond
        ~(measured.sharpness >= thresholds.blurred),
        ~(measured.brightness >= thresholds.dark),
        ~(measured.brightness <= thresholds.overexposed),
        ~(measured.confidence >= thresholds.low_confidence),
        ~(measured.unlike_training <= thresholds.unlike_training),
    )
    codes = np.zeros(len(measured.predicted), dtype=np.int64)
    for bit, flagged in enumerate(beyond):
        codes |= flagged.astype(np.int64) << bit
    words: NDArray[np.object_] = _WORDS[codes]
    return words


def count_flags(flags: Iterable[str]) -> Counter[str]:
    """How many images have each flag; only flags that any image has."""
    return Counter(flag for words in flags if words for flag in words.split(","))
