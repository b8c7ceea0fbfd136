"""The training protocols: which samples train, validate and test.

Every function here is pure. `samples` is a frame with one row per labelled image and the columns image_id,
lesion_id, dx, split, metadata_row (place in the metadata, in whose order the thesis draws) and position
(row number in the pixel store). Results speak of positions, so that nobody who fits needs the frame.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from skinml.errors import RequestError
from skinml.labels import DIAGNOSES, NAMES, encode
from skinml.training.resampling import Positions, thesis_resample, thesis_split
from skinml.training.settings import NAMED, PLAIN, THESIS, Settings

THESIS_EPOCHS = 50
THESIS_BATCH_SIZE = 16
THESIS_PER_CLASS = 500
HONEST_PER_CLASS = 375  # 7 * 375 = 2,625 images fitted on: as many as the thesis's 75 % of 3,500


@dataclass(frozen=True, eq=False)  # arrays have no single truth value to compare by
class Recipe:
    """What to fit on, and how long. Positions are row numbers in the pixel store, shape (k,), int64.

    Attributes:
        name: the protocol, for people and the manifest.
        train: positions fitted on. Repeats count: a position that stands twice is seen twice an epoch.
        validation: positions measured after each epoch.
        test: positions the final probabilities are for.
        settings: how to fit. Each epoch is a fresh draw of len(train) from `train`, as `sampling` says.
        batch_size: images a step.
        epochs: passes.

    """

    name: str
    train: Positions
    validation: Positions
    test: Positions
    settings: Settings
    batch_size: int
    epochs: int


def thesis(samples: pd.DataFrame, epochs: int | None = None, batch_size: int | None = None) -> Recipe:
    """The thesis's own protocol: 500 of each class drawn with replacement, THEN 25 % split off as test.

    Copies of an image, and other images of its lesion, stand on both sides: on HAM10000 55 % of the test
    rows show an image that is trained on and 66 % a lesion. Validation is the test set, as there. See
    `honest` for the same recipe with lesions held out.

    Raises:
        RequestError: a diagnosis has no image.

    """
    ordered = samples.sort_values("metadata_row", kind="stable")
    positions = _positions(ordered)
    resampled = positions[thesis_resample(encode(ordered["dx"]), per_class=THESIS_PER_CLASS)]
    train, test = (resampled[rows] for rows in thesis_split(len(resampled)))
    return Recipe(
        name="thesis",
        train=train,
        validation=test,
        test=test,
        settings=THESIS,
        batch_size=batch_size or THESIS_BATCH_SIZE,
        epochs=epochs or THESIS_EPOCHS,
    )


def honest(samples: pd.DataFrame, epochs: int | None = None, batch_size: int | None = None) -> Recipe:
    """The thesis's recipe with whole lesions held out BEFORE the resampling.

    The lesions of split test are the test set, every image once and as common as the archive has them. Of
    all others each class is drawn to 375 images with replacement, so that as many are fitted on as in
    `thesis`. Validation is the test set, as there, and no choice is made by it.

    Raises:
        RequestError: a diagnosis has no lesion to train on, or no lesion is held out.

    """
    ordered = samples.sort_values("metadata_row", kind="stable")
    rest, held_out = ordered[ordered["split"] != "test"], _of_split(ordered, "test")
    _require_every_class(rest)
    drawn = thesis_resample(encode(rest["dx"]), per_class=HONEST_PER_CLASS)
    return Recipe(
        name="honest",
        train=_positions(rest)[drawn],
        validation=_positions(held_out),
        test=_positions(held_out),
        settings=THESIS,
        batch_size=batch_size or THESIS_BATCH_SIZE,
        epochs=epochs or THESIS_EPOCHS,
    )


def grouped(
    samples: pd.DataFrame,
    epochs: int | None = None,
    batch_size: int | None = None,
    settings: Settings = PLAIN,
) -> Recipe:
    """The default: fit on train lesions, measure each epoch on val, report on test.

    Raises:
        RequestError: a diagnosis has no lesion to train on, or val or test have no lesion at all.

    """
    ordered = samples.sort_values("metadata_row", kind="stable")
    train = ordered[ordered["split"] == "train"]
    _require_every_class(train)
    return Recipe(
        name="grouped",
        train=_positions(train),
        validation=_positions(_of_split(ordered, "val")),
        test=_positions(_of_split(ordered, "test")),
        settings=settings,
        batch_size=batch_size or NAMED["plain"].batch_size,
        epochs=epochs or NAMED["plain"].epochs,
    )


def in_one_step(recipe: Recipe, model: str, epochs: int | None) -> Recipe:
    """The recipe for an architecture of which only the last layer is fitted (`training.probe`).

    Args:
        recipe: for networks that are fitted in epochs.
        model: the architecture's name.
        epochs: what was asked for.

    Raises:
        RequestError: more than one epoch was asked for.

    """
    if epochs not in (None, 1):
        raise RequestError(f"--epochs {epochs}: {model} is fitted in one step; leave --epochs out")
    return replace(recipe, epochs=1)


def leakage(samples: pd.DataFrame, recipe: Recipe) -> dict[str, float]:
    """How much of the test set the model has met in training.

    Returns:
        `image`: fraction of test rows whose image is also trained on; `lesion`: fraction whose lesion is.
        Both 0 to 1, and 0 where whole lesions are held out.

    """
    by_position = samples.set_index("position")
    train, test = by_position.loc[recipe.train], by_position.loc[recipe.test]
    return {
        "image": float(test["image_id"].isin(train["image_id"]).mean()),
        "lesion": float(test["lesion_id"].isin(train["lesion_id"]).mean()),
    }


def _positions(samples: pd.DataFrame) -> Positions:
    return samples["position"].to_numpy(dtype=np.int64)


def _of_split(samples: pd.DataFrame, split: str) -> pd.DataFrame:
    """The rows of one split, which must not be empty."""
    chosen = samples[samples["split"] == split]
    if chosen.empty:
        raise RequestError(
            f"no lesion of the {samples['lesion_id'].nunique()} prepared falls into the {split} split;"
            " prepare more lesions"
        )
    return chosen


def _require_every_class(train: pd.DataFrame) -> None:
    """All seven diagnoses have a lesion to train on, or a RequestError that names the first without."""
    present = set(train["dx"])
    for name in DIAGNOSES:
        if name not in present:
            raise RequestError(
                f"no lesion of {name} ({NAMES[name]}) falls into the training split: all seven diagnoses"
                f" are needed; prepare more lesions of {name}"
            )
