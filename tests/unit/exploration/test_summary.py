"""Tests of skinml/exploration/summary.py: counts against plain Python, statistics against SciPy."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from scipy.stats.contingency import association

from skinml.exploration.summary import (
    AGE_BIN,
    BLANK,
    MOST_NAMES,
    OTHERS,
    count_values,
    cramers_v,
    listed,
    measure_ages,
    summarise,
)
from skinml.labels import DIAGNOSES
from tests.unit.exploration.made import samples_of


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    rows = pd.DataFrame(samples_of(tmp_path_factory.mktemp("images"), 40))
    rows.loc[::4, "age"] = np.nan
    rows.loc[3, ["source", "dx_type"]] = None
    return rows[rows["dx"] != "df"].reset_index(drop=True)


def test_counts_are_those_of_the_rows(samples: pd.DataFrame) -> None:
    found = summarise(samples)
    rows = samples.to_dict("records")
    assert found.images == len(rows)
    assert found.lesions == len({row["lesion_id"] for row in rows})
    assert found.diagnoses["images"].to_dict() == {
        name: sum(row["dx"] == name for row in rows) for name in DIAGNOSES
    }
    assert found.diagnoses["images"]["df"] == 0, "a diagnosis without images is there"
    for split in ("train", "val", "test"):
        assert found.diagnoses[split].sum() == sum(row["split"] == split for row in rows)
    assert found.diagnoses["lesions"]["mel"] == len({row["lesion_id"] for row in rows if row["dx"] == "mel"})
    per_lesion = Counter(Counter(row["lesion_id"] for row in rows).values())
    assert {k: v for k, v in found.images_per_lesion.items() if v} == dict(per_lesion)
    assert found.sexes[BLANK] == samples["sex"].isna().sum()
    assert found.sexes.sum() == found.sites.sum() == found.sizes.sum() == len(rows)
    assert found.missing.loc["sex"].to_dict() == {BLANK: samples["sex"].isna().sum(), "unknown": 0}
    assert found.missing.loc["localization", "unknown"] == sum(row["localization"] == "unknown" for row in rows)
    assert found.missing.loc["age", BLANK] == int(samples["age"].isna().sum())
    for one in (found.sources, found.confirmations):
        assert one.counts.to_numpy().sum() == len(rows), "a blank source is counted too"
    assert found.sharpness.loc["mel", "median"] == np.median(
        [row["sharpness"] for row in rows if row["dx"] == "mel"]
    )
    assert found.sharpness.loc["df"].isna().all()


@pytest.mark.parametrize("count", [1, 2])
def test_the_fewest_samples_have_a_summary(count: int, tmp_path: Path) -> None:
    rows = pd.DataFrame(samples_of(tmp_path, count, dx="nv", age=None, source=None, sex=None))
    found = summarise(rows.astype({"age": float}))
    assert (found.ages.known, found.ages.mean, found.ages.counts.sum()) == (0, None, 0)
    assert found.sources.association is None
    assert found.diagnoses["images"].sum() == count


def test_ages_are_fitted_as_scipy_fits_them() -> None:
    ages = np.random.default_rng(3).normal(50, 17, 500).clip(0, 95)
    found = measure_ages(pd.Series([*ages, np.nan]))
    assert (found.mean, found.deviation) == pytest.approx(norm.fit(ages))
    assert (found.known, found.blank) == (500, 1)
    edges = (np.arange(len(found.counts) + 1) - 0.5) * AGE_BIN
    assert found.counts.tolist() == np.histogram(ages, edges)[0].tolist()
    assert measure_ages(pd.Series([45.0, 45.0])).mean is None, "equal ages have no spread"


def test_association_is_that_of_scipy() -> None:
    counts = np.random.default_rng(5).integers(1, 40, (4, 7))
    assert cramers_v(counts) == pytest.approx(association(counts, method="cramer"))
    padded = np.zeros((5, 8), np.int64)
    padded[:4, :7] = counts
    assert cramers_v(padded) == cramers_v(counts), "empty rows and columns do not count"
    assert cramers_v(counts[:1]) is None


def test_many_names_are_added_up_and_nothing_is_lost() -> None:
    values = pd.Series([f"site {number}" for number in range(60) for _ in range(60 - number)])
    counts = count_values(values)
    assert len(counts) == MOST_NAMES
    assert counts.index[-1] == OTHERS
    assert counts.sum() == len(values)


def test_counts_in_words_round_to_what_people_read() -> None:
    assert (
        listed(pd.Series({"nv": 6705, "mel": 1113, "x": 1}), 10015)
        == "nv 6,705 (67 %), mel 1,113 (11 %), x 1 (< 0.1 %)"
    )
