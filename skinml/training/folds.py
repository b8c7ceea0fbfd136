"""Out-of-fold recipes: every image is predicted once by a network that has seen no image of its lesion."""

from __future__ import annotations

import numpy as np
import pandas as pd

from skinml.errors import RequestError
from skinml.labels import DIAGNOSES, NAMES, encode
from skinml.training.protocols import Recipe
from skinml.training.settings import FOLDS, NAMED

EPOCHS = 10
"""Fewer than a model gets: what a network has learnt early is what most labels agree on, and a wrong label is
fitted last (Arpit et al., "A closer look at memorization in deep networks", ICML 2017)."""


def fold_recipes(
    samples: pd.DataFrame, folds: int, epochs: int | None = None, batch_size: int | None = None, seed: int = 42
) -> list[Recipe]:
    """One recipe a fold: fit on all other folds in balanced draws, predict this one; keep the last epoch.

    Folds are drawn by group (lesions, and what shares a duplicate image with them), with each diagnosis spread
    over the folds as evenly as groups allow (scikit-learn's StratifiedGroupKFold). No epoch is chosen by the
    fold that is predicted.

    Args:
        samples: rows of `samples` with their `position`: split_group (or lesion_id), dx, metadata_row.
        folds: 2 or more.
        epochs: default EPOCHS.
        batch_size: default that of the grouped protocol.
        seed: of the folds.

    Raises:
        RequestError: a diagnosis has fewer groups than there are folds.

    """
    from sklearn.model_selection import StratifiedGroupKFold

    ordered = samples.sort_values("metadata_row", kind="stable")
    groups = ordered["split_group"].where(ordered["split_group"].notna(), ordered["lesion_id"])
    for name in DIAGNOSES:
        count = groups[ordered["dx"] == name].nunique()
        if count < folds:
            raise RequestError(
                f"--folds {folds}: {name} ({NAMES[name]}) has {count} lesions, and each fold needs one; give"
                f" fewer folds, or prepare more lesions of {name}"
            )
    positions = ordered["position"].to_numpy(dtype=np.int64)
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    recipes = []
    for number, (rest, fold) in enumerate(splitter.split(positions, encode(ordered["dx"]), groups), 1):
        recipes.append(
            Recipe(
                name=f"fold-{number}",
                train=positions[rest],
                validation=positions[fold],
                test=positions[fold],
                settings=FOLDS,
                batch_size=batch_size or NAMED["plain"].batch_size,
                epochs=epochs or EPOCHS,
            )
        )
    return recipes
