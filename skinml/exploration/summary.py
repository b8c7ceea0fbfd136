"""Count what the figures of the samples show. Pure functions on the table; figures get counts, never rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skinml.labels import DIAGNOSES

COLUMNS = (
    *("image_id", "lesion_id", "dx", "dx_type", "age", "sex", "localization", "source", "split"),
    *("uri", "etag", "size_bytes", "width", "height", "sharpness", "brightness", "sha256", "phash"),
)
"""The columns of `samples` that are looked at."""

MAY_BE_MISSING = ("dx_type", "age", "sex", "localization", "source")

BLANK = "blank"
OTHERS = "others"
SPLITS = ("train", "val", "test")

MOST_NAMES = 16
"""Rows of a figure; rarer names are added up."""

AGE_BIN = 5
"""Years. HAM10000 and the ISIC archive round ages to multiples of it."""

QUANTILES = {"low": 0.05, "lower": 0.25, "median": 0.5, "upper": 0.75, "high": 0.95}
"""The quantiles of a box with whiskers, by name."""


@dataclass(frozen=True, eq=False)
class Ages:
    """The ages of the images' patients.

    Attributes:
        counts: images of each bin of AGE_BIN years; the middle of bin k is 5 k, as ages are often rounded
            to that.
        known, blank: images with an age, and without.
        mean, deviation: in years, the maximum-likelihood fit of a normal distribution; None if fewer than two
            different ages are known.
    """

    counts: NDArray[np.int64]
    known: int
    blank: int
    mean: float | None
    deviation: float | None


@dataclass(frozen=True, eq=False)
class Crossed:
    """Two columns against each other.

    Attributes:
        name: what the rows are.
        counts: images, rows the values of the column with the most frequent first, columns DIAGNOSES.
        association: Cramér's V, 0 (independent) to 1 (one gives the other away); None if it is not defined.
    """

    name: str
    counts: pd.DataFrame
    association: float | None


@dataclass(frozen=True, eq=False)
class Summary:
    """Everything that the charts show.

    Attributes:
        images, lesions: how many.
        diagnoses: index DIAGNOSES; images, lesions, and images of each of SPLITS.
        sexes, sites: images by value, the most frequent first; a missing one counts as BLANK.
        ages: the ages.
        images_per_lesion: lesions by number of images, 1 to the largest.
        missing: index MAY_BE_MISSING; images where the value is blank, and where it is "unknown".
        sources, confirmations: source and dx_type against the diagnosis.
        sizes: images by "width x height" in px, the most frequent first.
        bytes: QUANTILES of the file sizes in bytes.
        sharpness, brightness: index DIAGNOSES, columns QUANTILES; NaN if a diagnosis has no image.
    """

    images: int
    lesions: int
    diagnoses: pd.DataFrame
    sexes: pd.Series[int]
    sites: pd.Series[int]
    ages: Ages
    images_per_lesion: pd.Series[int]
    missing: pd.DataFrame
    sources: Crossed
    confirmations: Crossed
    sizes: pd.Series[int]
    bytes: NDArray[np.float64]
    sharpness: pd.DataFrame
    brightness: pd.DataFrame


def summarise(samples: pd.DataFrame) -> Summary:
    """Count the samples: a million take 5 s of CPU time.

    Args:
        samples: COLUMNS, at least one row.
    """
    dx = pd.Categorical(samples["dx"], DIAGNOSES)
    lesions = samples.groupby("dx")["lesion_id"].nunique()
    splits = pd.crosstab(dx, samples["split"].to_numpy(), dropna=False)
    diagnoses = pd.DataFrame(
        {
            "images": pd.Series(dx).value_counts().reindex(DIAGNOSES, fill_value=0).astype("int64"),
            "lesions": lesions.reindex(DIAGNOSES, fill_value=0),
            **{split: _column(splits, split) for split in SPLITS},
        },
        index=list(DIAGNOSES),
    )
    shapes = (
        samples["width"].astype("Int64").astype("str") + " x " + samples["height"].astype("Int64").astype("str")
    )
    per_lesion = samples.groupby("lesion_id").size().value_counts()
    return Summary(
        images=len(samples),
        lesions=int(samples["lesion_id"].nunique()),
        diagnoses=diagnoses,
        sexes=count_values(samples["sex"]),
        sites=count_values(samples["localization"]),
        ages=measure_ages(samples["age"]),
        images_per_lesion=per_lesion.reindex(range(1, int(per_lesion.index.max()) + 1), fill_value=0),
        missing=count_missing(samples),
        sources=cross(samples, "source"),
        confirmations=cross(samples, "dx_type"),
        sizes=count_values(shapes),
        bytes=np.quantile(samples["size_bytes"].to_numpy(np.float64), list(QUANTILES.values())),
        sharpness=_quantiles(samples, "sharpness"),
        brightness=_quantiles(samples, "brightness"),
    )


def _column(splits: pd.DataFrame, split: str) -> pd.Series[int]:
    if split not in splits:
        return pd.Series(0, index=list(DIAGNOSES))
    return splits[split].reindex(list(DIAGNOSES), fill_value=0)


def count_values(values: pd.Series[str]) -> pd.Series[int]:
    """Return images by value, the most frequent first; missing values as BLANK, rare ones as OTHERS.

    Example:
        >>> count_values(pd.Series(["back", "face", "back", None])).to_dict()
        {'back': 2, 'blank': 1, 'face': 1}
    """
    named = values.astype(object).where(values.notna(), BLANK).astype("str")
    found = named.value_counts().reset_index(name="images").set_axis(["value", "images"], axis="columns")
    found = found.sort_values(["images", "value"], ascending=[False, True])
    counts = pd.Series(found["images"].to_numpy(np.int64), index=found["value"].tolist())
    if len(counts) > MOST_NAMES:
        rest = int(counts.iloc[MOST_NAMES - 1 :].sum())
        counts = pd.concat([counts.iloc[: MOST_NAMES - 1], pd.Series({OTHERS: rest})])
    return counts


def measure_ages(ages: pd.Series[float]) -> Ages:
    """Count ages in bins of AGE_BIN years, and fit a normal distribution.

    Example:
        >>> ages = measure_ages(pd.Series([40.0, 50.0, 60.0, None]))
        >>> ages.mean, round(ages.deviation, 2), ages.blank
        (50.0, 8.16, 1)
    """
    known = ages.dropna().to_numpy(np.float64)
    known = known[np.isfinite(known) & (known >= 0)]
    counts = np.bincount(np.floor(known / AGE_BIN + 0.5).astype(np.int64), minlength=1)
    fits = len(known) > 1 and bool(np.ptp(known) > 0)
    mean, deviation = (float(known.mean()), float(known.std())) if fits else (None, None)
    return Ages(counts, len(known), len(ages) - len(known), mean, deviation)


def count_missing(samples: pd.DataFrame) -> pd.DataFrame:
    """Return, for each of MAY_BE_MISSING, how many images have no value, and how many "unknown"."""
    unknown = {
        name: 0 if name == "age" else int(samples[name].astype("str").str.casefold().eq("unknown").sum())
        for name in MAY_BE_MISSING
    }
    blank = {name: int(samples[name].isna().sum()) for name in MAY_BE_MISSING}
    return pd.DataFrame({BLANK: blank, "unknown": unknown}, index=list(MAY_BE_MISSING))


def cross(samples: pd.DataFrame, column: str) -> Crossed:
    """Count a column against the diagnosis; a missing value counts as BLANK, rare ones as OTHERS."""
    names = count_values(samples[column]).index.tolist()
    values = samples[column].astype(object).where(samples[column].notna(), BLANK).astype("str")
    values = values.where(values.isin(names), OTHERS)
    counts = pd.crosstab(values, samples["dx"]).reindex(index=names, columns=list(DIAGNOSES), fill_value=0)
    return Crossed(column, counts, cramers_v(counts.to_numpy()))


def cramers_v(counts: NDArray[np.integer]) -> float | None:
    """Return Cramér's V of a contingency table, 0 to 1, without bias correction; None if a side has one value.

    Cramér, Mathematical Methods of Statistics, 1946, page 282: the square root of chi-squared over n times one
    less than the shorter side. Empty rows and columns do not count.

    Example:
        >>> cramers_v(np.array([[10, 0], [0, 5]])), cramers_v(np.array([[4, 4], [2, 2]]))
        (1.0, 0.0)
    """
    there = counts[counts.sum(axis=1) > 0][:, counts.sum(axis=0) > 0].astype(np.float64)
    if min(there.shape, default=0) < 2:
        return None
    total = there.sum()
    expected = there.sum(axis=1, keepdims=True) * there.sum(axis=0, keepdims=True) / total
    squared = float(((there - expected) ** 2 / expected).sum() / (total * (min(there.shape) - 1)))
    return round(float(np.sqrt(squared)), 12)


def _quantiles(samples: pd.DataFrame, column: str) -> pd.DataFrame:
    values = samples.groupby("dx")[column]
    found = pd.DataFrame({name: values.quantile(one) for name, one in QUANTILES.items()})
    return found.reindex(list(DIAGNOSES))


def share(count: int, total: int) -> str:
    """A count as a share for people.

    Example:
        >>> share(1, 3), share(1, 1000), share(0, 10)
        ('33 %', '0.1 %', '0 %')
    """
    percent = 100 * count / max(total, 1)
    return (
        f"{percent:.0f} %"
        if percent >= 1 or not count
        else f"{percent:.1f} %"
        if percent >= 0.05
        else "< 0.1 %"
    )


def listed(counts: pd.Series[int], total: int, most: int = 10) -> str:
    """Counts as words: `nv 6,705 (67 %), mel 1,113 (11 %)`."""
    named: Sequence[tuple[object, int]] = list(counts.items())
    some = [f"{name} {count:,} ({share(count, total)})" for name, count in named[:most]]
    return ", ".join(some) + (f" and {len(named) - most} more" if len(named) > most else "")
