"""Risk-coverage: how good a model is on the rest when the images it is least certain of are set aside."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skinml.evaluation.bootstrap import RESAMPLES
from skinml.evaluation.intervals import chosen_with_intervals
from skinml.labels import DIAGNOSES, MALIGNANT, MELANOMA
from skinml.schemas import PROBABILITY_COLUMNS

SET_ASIDE = 0.20
"""The share of images that the figures with intervals are without: as many as a clinic may look at itself."""

STEPS = tuple(round(0.05 * step, 2) for step in range(11))
"""The shares of the curve: 0 to 0.50."""

FIGURES = ("accuracy", "balanced_accuracy", "melanoma_sensitivity", "malignant_sensitivity")


def risk_coverage(test: pd.DataFrame, *, seed: int = 0, resamples: int = RESAMPLES) -> dict[str, Any]:
    """The figures of the images that are left when the least certain are set aside.

    Certainty is the highest of the seven probabilities (the softmax response of Geifman & El-Yaniv, "Selective
    Classification for Deep Neural Networks", NeurIPS 2017). Images of equal certainty stay together, so a
    little less than the share may be set aside.

    Args:
        test: predictions of the test images (`schemas.PREDICTIONS`).
        seed: of the resampling.
        resamples: how many.

    Returns:
        - certainty: what orders the images.
        - curve: for each share {set_aside, images, melanomas_set_aside, malignant_set_aside, and FIGURES of the
          images left}. The shares of melanomas and of malignant images that are set aside count no image as
          found: somebody else must look at them.
        - without_20_percent: FIGURES of the images left after SET_ASIDE, with intervals from resampled lesions;
          which images are set aside stays as it is.

    """
    certainty = test[list(PROBABILITY_COLUMNS)].to_numpy(np.float64).max(axis=1)
    melanoma = (test["dx"] == DIAGNOSES[MELANOMA]).to_numpy(bool)
    malignant = test["dx"].isin(MALIGNANT).to_numpy(bool)
    curve = []
    for share in STEPS:
        left = keep_certain(certainty, share)
        judged = chosen_with_intervals(test[left], FIGURES, seed=seed, resamples=0)
        curve.append(
            {
                "set_aside": float((~left).mean()),
                "images": judged["images"],
                "melanomas_set_aside": _share(melanoma & ~left, melanoma),
                "malignant_set_aside": _share(malignant & ~left, malignant),
                **judged["metrics"],
            }
        )
    left = keep_certain(certainty, SET_ASIDE)
    return {
        "certainty": "highest probability",
        "curve": curve,
        "without_20_percent": chosen_with_intervals(test[left], FIGURES, seed=seed, resamples=resamples),
    }


def keep_certain(certainty: NDArray[np.float64], set_aside: float) -> NDArray[np.bool_]:
    """Which images are left when at most this share of them, the least certain, is set aside.

    >>> import numpy as np
    >>> keep_certain(np.array([0.3, 0.9, 0.3, 0.6]), 0.5).tolist()
    [False, True, False, True]
    >>> keep_certain(np.array([0.3, 0.9, 0.3, 0.6]), 0.25).all()  # the two at 0.3 stay together
    np.True_
    """
    place = int(set_aside * len(certainty) + 1e-9)
    kept: NDArray[np.bool_] = certainty >= np.sort(certainty)[min(place, len(certainty) - 1)]
    return kept


def _share(part: NDArray[np.bool_], whole: NDArray[np.bool_]) -> float | None:
    return float(part.sum() / whole.sum()) if whole.any() else None
