"""Tests of skinml/training/folds.py: each image is predicted by a network that knows nothing of its lesion."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from skinml.errors import RequestError
from skinml.labels import DIAGNOSES
from skinml.training.folds import fold_recipes


def _samples(lesions: int = 140) -> pd.DataFrame:
    """One to three images of each lesion; every tenth lesion shares a group with the one before it."""
    generator = np.random.default_rng(5)
    rows = []
    for number in range(lesions):
        group = number - 1 if number % 10 == 7 else number
        for _ in range(int(generator.integers(1, 4))):
            rows.append((f"HAM_{number:04d}", f"HAM_{group:04d}", DIAGNOSES[group % 7]))
    frame = pd.DataFrame(rows, columns=["lesion_id", "split_group", "dx"])
    return frame.assign(position=generator.permutation(len(frame)), metadata_row=range(len(frame)))


def test_every_image_is_predicted_once_and_no_fold_shares_a_group_with_what_it_is_fitted_on() -> None:
    samples = _samples()
    recipes = fold_recipes(samples, 5)
    assert sorted(np.concatenate([recipe.test for recipe in recipes])) == list(range(len(samples)))
    groups = samples.set_index("position")["split_group"]
    for recipe in recipes:
        assert not set(groups[recipe.train]) & set(groups[recipe.test])
        assert sorted(np.concatenate([recipe.train, recipe.test])) == list(range(len(samples)))
        assert (recipe.settings.sampling, recipe.settings.keep, recipe.epochs) == (1, "last", 10)
        assert set(samples.set_index("position").loc[recipe.train, "dx"]) == set(DIAGNOSES)
    assert len({recipe.name for recipe in recipes}) == 5


def test_samples_from_before_groups_were_kept_are_grouped_by_lesion() -> None:
    samples = _samples().assign(split_group=None)
    for recipe in fold_recipes(samples, 3, epochs=2, batch_size=8):
        lesions = samples.set_index("position")["lesion_id"]
        assert not set(lesions[recipe.train]) & set(lesions[recipe.test])
        assert (recipe.epochs, recipe.batch_size) == (2, 8)


def test_the_seed_decides_the_folds() -> None:
    first, again, other = (fold_recipes(_samples(), 4, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first[0].test, again[0].test)
    assert not np.array_equal(first[0].test, other[0].test)


def test_a_diagnosis_with_fewer_lesions_than_folds_is_named() -> None:
    samples = _samples()
    few = samples[(samples["dx"] != "df") | samples["lesion_id"].isin(["HAM_0003", "HAM_0010"])]
    with pytest.raises(
        RequestError, match=r"--folds 5: df \(dermatofibroma\) has 2 lesions, and each fold needs"
    ):
        fold_recipes(few, 5)
