"""Name the labels that are most likely wrong, from probabilities of networks that have not seen them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from skinml.evaluation.metrics import measure
from skinml.labels import DIAGNOSES, encode
from skinml.schemas import PROBABILITY_COLUMNS

COLUMNS = (
    *("lesion_id", "dx", "suggested_dx", "margin", "p_given", "p_suggested"),
    *("images", "image_ids", "dx_type", "issue"),
)


def rank_labels(predictions: pd.DataFrame) -> pd.DataFrame:
    """Rank lesions by how much their label disagrees with out-of-fold probabilities, the most suspicious first.

    Confident learning (Northcutt, Jiang & Chuang, J. Artif. Intell. Res. 70:1373, 2021). A lesion's
    probabilities are the mean over its images, because a label is the lesion's. They are ranked by the
    normalised margin, p(label) less the largest other probability. `issue` says that the lesion is off the
    diagonal of their confident joint: another class reaches that class's threshold, which is the mean p(class)
    over lesions labelled so, and the label's own class is not the most probable of those that do.

    The order is a suggestion of where to look. A rare or unusual lesion is suspicious too.

    Args:
        predictions: one row per image: image_id, lesion_id, dx, the seven p_*, and dx_type if there is one.
            Each probability is of a network that has seen no image of the lesion.

    Returns:
        COLUMNS, one row per lesion: `margin` -1 to 1, below 0 if another class is more probable; `image_ids`
        separated by spaces.

    Raises:
        ValueError: there is no row, or a lesion has two labels; it is named.

    """
    if predictions.empty:
        raise ValueError("no predictions to rank labels by")
    lesions = predictions.groupby("lesion_id", sort=True)
    several = lesions["dx"].nunique()
    if (several > 1).any():
        raise ValueError(f"lesion {several.index[several > 1][0]} has several labels")
    probabilities = lesions[list(PROBABILITY_COLUMNS)].mean().to_numpy()
    labels = encode(lesions["dx"].first())
    rows = np.arange(len(labels))
    given = probabilities[rows, labels]
    others = probabilities.copy()
    others[rows, labels] = -1
    suggested = others.argmax(axis=1)
    thresholds = np.array(
        [
            given[labels == number].mean() if (labels == number).any() else np.inf
            for number in range(len(DIAGNOSES))
        ]
    )
    confident = np.where(probabilities >= thresholds, probabilities, -1)
    joint = confident.argmax(axis=1)
    found = pd.DataFrame(
        {
            "lesion_id": several.index,
            "dx": np.array(DIAGNOSES)[labels],
            "suggested_dx": np.array(DIAGNOSES)[suggested],
            "margin": given - others.max(axis=1),
            "p_given": given,
            "p_suggested": others.max(axis=1),
            "images": lesions.size().to_numpy(),
            "image_ids": lesions["image_id"].agg(" ".join).to_numpy(),
            "dx_type": lesions["dx_type"].first().to_numpy() if "dx_type" in predictions else None,
            "issue": (confident.max(axis=1) > 0) & (joint != labels),
        }
    )
    return found.sort_values(["margin", "lesion_id"], ignore_index=True)[list(COLUMNS)]


def out_of_fold_accuracy(predictions: pd.DataFrame) -> float:
    """Balanced accuracy of out-of-fold predictions, 0 to 1: near 1 in 7, the ranking of labels means nothing.

    Args:
        predictions: as for `rank_labels`.

    """
    probabilities = predictions[list(PROBABILITY_COLUMNS)].to_numpy(np.float64)
    return float(measure(encode(predictions["dx"]), probabilities)["balanced_accuracy"])
