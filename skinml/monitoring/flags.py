"""Flag single images: measures beyond the thresholds of the drift reference, and colour profiles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from skinml.monitoring.reference import Measured, Thresholds
from skinml.schemas import FLAGS

*MEASURED_FLAGS, COLOUR_PROFILE = FLAGS

_WORDS = np.array(
    [
        ",".join(flag for bit, flag in enumerate(MEASURED_FLAGS) if code >> bit & 1)
        for code in range(2 ** len(MEASURED_FLAGS))
    ],
    dtype=object,
)


def flag_images(measured: Measured, thresholds: Thresholds) -> NDArray[np.object_]:
    """Return the flags of n images, in the form of the column `flags` of `scores`.

    Args:
        measured: the measures of n images; NaN is beyond every threshold.
        thresholds: the thresholds of the drift reference.

    Returns:
        str (n,): flags separated by commas, in the order of FLAGS; "" if there are none.

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


def flag_profiles(flags: NDArray[np.object_], profiles: NDArray[np.bool_]) -> NDArray[np.object_]:
    """Add `colour_profile` to the flags of images that have a colour profile other than sRGB.

    Args:
        flags: str (n,), as `flag_images` gives them.
        profiles: bool (n,).
    """
    if profiles.any():
        flags = flags.copy()
        flags[profiles] = [f"{words},{COLOUR_PROFILE}".lstrip(",") for words in flags[profiles]]
    return flags


def count_flags(flags: Iterable[str]) -> Counter[str]:
    """Count the images with each flag; flags without images are left out.

    Example:
        >>> count_flags(["blurred,dark", "", "dark"])
        Counter({'dark': 2, 'blurred': 1})
    """
    return Counter(flag for words in flags if words for flag in words.split(","))
