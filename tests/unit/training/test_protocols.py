"""Tests of skinml/training/protocols.py."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skinml.dataset.splits import assign
from skinml.errors import RequestError
from skinml.labels import DIAGNOSES, encode
from skinml.training.protocols import Recipe, grouped, honest, leakage, thesis
from skinml.training.settings import THESIS, Settings

HAM10000 = Path(__file__).parents[3].parent / "shared" / "ham10000"


@pytest.fixture
def samples() -> pd.DataFrame:
    """420 made-up images of 210 lesions, in an order and at positions unlike their metadata's."""
    lesions = [f"L{number:04d}" for number in range(210)]
    frame = pd.DataFrame(
        {
            "image_id": [f"I{number:04d}" for number in range(420)],
            "lesion_id": np.repeat(lesions, 2),
            "dx": np.repeat([DIAGNOSES[number % 7] for number in range(210)], 2),
            "metadata_row": np.arange(420),
        }
    )
    frame["split"] = assign(frame["lesion_id"])
    frame = frame.sample(frac=1, random_state=3).reset_index(drop=True)
    frame["position"] = np.random.default_rng(4).permutation(420)
    return frame


def _column(samples: pd.DataFrame, positions: np.ndarray, name: str) -> "pd.Series[str]":
    return samples.set_index("position")[name].loc[positions]


def test_thesis_draws_500_of_each_class_then_splits(samples: pd.DataFrame) -> None:
    recipe = thesis(samples)
    assert (len(recipe.train), len(recipe.test)) == (2625, 875)
    assert recipe.validation is recipe.test
    both = np.concatenate([recipe.train, recipe.test])
    assert _column(samples, both, "dx").value_counts().to_dict() == dict.fromkeys(DIAGNOSES, 500)
    assert (recipe.epochs, recipe.batch_size) == (50, 16)
    assert recipe.settings == THESIS


def test_honest_holds_whole_lesions_out_before_it_draws(samples: pd.DataFrame) -> None:
    recipe = honest(samples)
    assert _column(samples, recipe.train, "dx").value_counts().to_dict() == dict.fromkeys(DIAGNOSES, 375)
    assert sorted(recipe.test) == sorted(samples.loc[samples["split"] == "test", "position"])
    assert leakage(samples, recipe) == {"image": 0.0, "lesion": 0.0}
    assert recipe.epochs == thesis(samples).epochs
    assert recipe.batch_size == thesis(samples).batch_size


def test_grouped_uses_the_three_splits(samples: pd.DataFrame) -> None:
    recipe = grouped(samples)
    for split, positions in (("train", recipe.train), ("val", recipe.validation), ("test", recipe.test)):
        assert sorted(positions) == sorted(samples.loc[samples["split"] == split, "position"])
    assert leakage(samples, recipe) == {"image": 0.0, "lesion": 0.0}
    assert (recipe.epochs, recipe.batch_size) == (20, 64)
    assert (recipe.settings.sampling, recipe.settings.keep) == (1, "best")


@pytest.mark.parametrize("protocol", [thesis, honest, grouped])
def test_the_order_of_the_table_does_not_matter(samples: pd.DataFrame, protocol: object) -> None:
    assert callable(protocol)
    recipe: Recipe = protocol(samples, epochs=3, batch_size=8)
    other: Recipe = protocol(samples.iloc[::-1], epochs=3, batch_size=8)
    assert recipe.train.tolist() == other.train.tolist()
    assert recipe.test.tolist() == other.test.tolist()
    assert (recipe.epochs, recipe.batch_size) == (3, 8)


def test_leakage_counts_test_rows_met_in_training(samples: pd.DataFrame) -> None:
    ordered = samples.sort_values("image_id")["position"].to_numpy()  # I0000 and I0001 are one lesion
    recipe = Recipe(
        "made-up", ordered[[0, 0, 2]], ordered[[9]], ordered[[0, 1, 3, 8]], THESIS, batch_size=1, epochs=1
    )
    assert leakage(samples, recipe) == {"image": 0.25, "lesion": 0.75}


@pytest.mark.parametrize(("protocol", "split"), [(honest, "test"), (grouped, "val")])
def test_a_class_without_a_training_lesion_is_named(
    samples: pd.DataFrame, protocol: object, split: str
) -> None:
    assert callable(protocol)
    samples.loc[samples["dx"] == "vasc", "split"] = split
    with pytest.raises(RequestError, match=r"no lesion of vasc \(vascular lesion\) falls into the training"):
        protocol(samples)


def test_thesis_names_a_class_without_images(samples: pd.DataFrame) -> None:
    with pytest.raises(RequestError, match="no sample of akiec"):
        thesis(samples[samples["dx"] != "akiec"])


def test_one_class_alone_is_refused_by_the_name_of_the_first_that_is_missing(samples: pd.DataFrame) -> None:
    for protocol in (thesis, honest, grouped):
        with pytest.raises(RequestError, match="akiec"):
            protocol(samples[samples["dx"] == "nv"])


def test_two_lesions_are_fewer_than_there_are_splits(samples: pd.DataFrame) -> None:
    few = samples[samples["lesion_id"].isin(["L0000", "L0001"])].assign(split="train")
    with pytest.raises(RequestError, match="no lesion of"):
        grouped(few)


def test_grouped_fits_as_it_is_told(samples: pd.DataFrame) -> None:
    assert grouped(samples, settings=Settings(mixup=0.3)).settings.mixup == 0.3


def test_an_empty_split_is_named(samples: pd.DataFrame) -> None:
    with pytest.raises(RequestError, match="no lesion of the 210 prepared falls into the val split"):
        grouped(samples.replace({"split": {"val": "train"}}))


@pytest.mark.skipif(not HAM10000.exists(), reason="HAM10000 is not here")
def test_leakage_of_the_thesis_protocol_on_the_real_metadata() -> None:
    samples = pd.read_csv(HAM10000 / "HAM10000_metadata.csv")
    samples["metadata_row"] = samples["position"] = np.arange(len(samples))
    samples["split"] = assign(samples["lesion_id"])
    recipe = thesis(samples)
    assert leakage(samples, recipe)["image"] == pytest.approx(0.55, abs=0.005)
    assert leakage(samples, recipe)["lesion"] == pytest.approx(0.66, abs=0.005)
    assert leakage(samples, honest(samples)) == {"image": 0.0, "lesion": 0.0}
    assert set(encode(samples["dx"])[grouped(samples).train]) == set(range(7))
