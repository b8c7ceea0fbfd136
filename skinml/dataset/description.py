"""Describe labelled samples in counts: diagnoses, label sources, people, body sites, image sizes, splits."""

from __future__ import annotations

from typing import Any

import pandas as pd

from skinml.labels import DIAGNOSES

UNKNOWN = "unknown"
"""A missing value is counted under this name, and so is what the metadata call unknown."""

GROUPS = ("dx_type", "sex", "localization", "source")
"""The columns whose values are counted, as far as the samples have them."""


def describe(samples: pd.DataFrame) -> dict[str, Any]:
    """Return the composition of n samples, as plain data for a manifest.

    Args:
        samples: rows of the table `samples`: lesion_id, dx, split, age, width, height, and those of GROUPS that
            are there.

    Returns:
        - images, lesions: counts; lesions_with_several_images.
        - splits: for each split its images and lesions.
        - diagnoses: for each diagnosis images and lesions, and images of each split.
        - dx_type, sex, localization, source: images of each value, the most frequent first.
        - age: images with an age, its median, lowest and highest in years; unknown.
        - width, height: lowest and highest, in px.

    Example:
        >>> rows = pd.DataFrame({"lesion_id": ["a", "a", "b"], "dx": ["mel", "mel", "nv"], "split": "val"})
        >>> rows = rows.assign(age=[40.0, 40.0, None], sex=["male", "male", None], width=600, height=450)
        >>> found = describe(rows)
        >>> found["images"], found["lesions"], found["sex"], found["age"]["unknown"]
        (3, 2, {'male': 2, 'unknown': 1}, 1)
    """
    ages = samples["age"].dropna()
    several = samples["lesion_id"].value_counts() > 1
    return {
        "images": len(samples),
        "lesions": int(samples["lesion_id"].nunique()),
        "lesions_with_several_images": int(several.sum()),
        "splits": {
            str(name): {"images": len(rows), "lesions": int(rows["lesion_id"].nunique())}
            for name, rows in samples.groupby("split", sort=True)
        },
        "diagnoses": {name: _of_diagnosis(samples[samples["dx"] == name]) for name in DIAGNOSES},
        **{name: _counts(samples[name]) for name in GROUPS if name in samples},
        "age": {
            "images": len(ages),
            "median": float(ages.median()) if len(ages) else None,
            "lowest": float(ages.min()) if len(ages) else None,
            "highest": float(ages.max()) if len(ages) else None,
            "unknown": int(samples["age"].isna().sum()),
        },
        "width": _range(samples["width"]),
        "height": _range(samples["height"]),
    }


def _of_diagnosis(rows: pd.DataFrame) -> dict[str, int]:
    splits = {str(name): int(count) for name, count in rows["split"].value_counts().sort_index().items()}
    return {"images": len(rows), "lesions": int(rows["lesion_id"].nunique()), **splits}


def _counts(values: pd.Series) -> dict[str, int]:
    named = values.astype(object).where(values.notna(), UNKNOWN)
    return {str(name): int(count) for name, count in named.value_counts().items()}


def _range(values: pd.Series) -> list[int]:
    return [int(values.min()), int(values.max())] if values.notna().any() else []
