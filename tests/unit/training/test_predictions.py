"""Tests of skinml/training/predictions.py: one row per image, whatever a protocol draws."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from skinml.labels import DIAGNOSES, encode
from skinml.schemas import PREDICTIONS, PROBABILITY_COLUMNS
from skinml.training import protocols
from skinml.training.predictions import predictions
from skinml.training.protocols import Recipe


@pytest.fixture(scope="module")
def samples() -> pd.DataFrame:
    """420 images of 210 lesions, two each; positions in another order than the images."""
    lesions = np.repeat(np.arange(210), 2)
    splits = np.array(["train", "train", "train", "val", "test"])[lesions % 5]
    return pd.DataFrame(
        {
            "image_id": [f"ISIC_{number:04d}" for number in range(420)],
            "lesion_id": [f"HAM_{number:04d}" for number in lesions],
            "dx": np.array(DIAGNOSES)[lesions % 7],
            "split": splits,
            "age": 50.0,
            "sex": "male",
            "localization": "back",
            "source": None,
            "metadata_row": np.arange(420),
            "position": np.random.default_rng(1).permutation(420),
        }
    )


def _probabilities(positions: np.ndarray) -> np.ndarray:
    """Of each position its own, so that a row shows whose it is."""
    values = np.stack([np.random.default_rng(int(one)).dirichlet(np.ones(7)) for one in positions])
    return np.asarray(values)


def _table(samples: pd.DataFrame, recipe: Recipe) -> pd.DataFrame:
    table = predictions(samples, recipe, _probabilities(recipe.test), _probabilities(recipe.validation))
    assert table.schema == PREDICTIONS
    rows: pd.DataFrame = table.to_pandas()
    return rows


def test_every_held_out_image_has_one_row_with_its_own_probabilities(samples: pd.DataFrame) -> None:
    rows = _table(samples, protocols.grouped(samples))
    held_out = samples[samples["split"] != "train"].set_index("image_id")
    assert sorted(rows["image_id"]) == sorted(held_out.index)
    there = held_out.loc[rows["image_id"]]
    for column in ("lesion_id", "dx", "split"):
        assert rows[column].tolist() == there[column].tolist()
    np.testing.assert_array_equal(rows[list(PROBABILITY_COLUMNS)], _probabilities(there["position"].to_numpy()))
    assert (rows["draws"] == 1).all()
    assert not rows["image_trained_on"].any()
    assert not rows["lesion_trained_on"].any()


def test_the_thesis_draws_an_image_several_times_and_trains_on_it_too(samples: pd.DataFrame) -> None:
    recipe = protocols.thesis(samples)
    rows = _table(samples, recipe)
    assert rows["image_id"].is_unique
    assert set(rows["split"]) == {"test"}, "its validation set is its test set"
    assert rows["draws"].sum() == len(recipe.test) == 875
    leakage = protocols.leakage(samples, recipe)
    for column, kind in (("image_trained_on", "image"), ("lesion_trained_on", "lesion")):
        assert np.average(rows[column], weights=rows["draws"]) == pytest.approx(leakage[kind])
    drawn = rows.loc[rows.index.repeat(rows["draws"])]
    labels = encode(samples.set_index("position").loc[recipe.test, "dx"])
    assert sorted(encode(drawn["dx"])) == sorted(labels)


def test_the_honest_refit_has_seen_none_of_its_lesions(samples: pd.DataFrame) -> None:
    rows = _table(samples, protocols.honest(samples))
    assert set(rows["split"]) == {"test"}
    assert sorted(rows["image_id"]) == sorted(samples.loc[samples["split"] == "test", "image_id"])
    assert not rows["lesion_trained_on"].any()
