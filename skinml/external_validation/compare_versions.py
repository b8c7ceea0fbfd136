"""Compare two versions on every set of images that both have predicted: their test sets, and evaluated sets."""

from __future__ import annotations

from typing import Any

import pandas as pd

from skinml.errors import RequestError
from skinml.evaluation.comparison import compare
from skinml.models.judged import read_own_predictions
from skinml.models.manifest import Manifest
from skinml.records.evaluations import Evaluation, find_evaluations, read_predictions


def compare_versions(workspace: str, first: Manifest, second: Manifest) -> dict[str, Any]:
    """Compare two versions on the images that both have predicted and neither was trained on.

    Args:
        workspace: normalised URL.
        first: one version.
        second: the other; differences are second less first.

    Returns:
        What `evaluation.comparison.compare` gives, of their test images; `basis`, which images these are; and
        `evaluations`, a row for each figure on each set that `evaluate` has measured both on. Without test
        images in common, the first of these sets takes their place.

    Raises:
        RequestError: they are one version, they have different classes, or there is no such set; in a line
            that says why their test images do not do.

    """
    if (first.name, first.version) == (second.name, second.version):
        raise RequestError(f"models compare: both are {first.version}; name two versions")
    if first.class_order != second.class_order:
        raise RequestError(
            f"models compare: {first.version} and {second.version} have different classes:"
            f" {', '.join(first.class_order)} and {', '.join(second.class_order)}"
        )
    found: list[dict[str, Any]] = []
    refusal: RequestError | None = None
    try:
        of_both = [read_own_predictions(workspace, one) for one in (first, second)]
        found.append({"basis": "test images of both", **compare(*of_both)})
    except RequestError as error:
        refusal = error
    rows = []
    for one, other in evaluated_sets(workspace, first, second):
        frames = [_frame(workspace, evaluation) for evaluation in (one, other)]
        on_set = {"basis": f"evaluations of {one.images_url}", **compare(*frames)}
        found.append(on_set)
        rows += _rows(one, on_set)
    if not found:
        raise refusal or RequestError(
            f"models compare: {first.version} and {second.version} have no common set"
        )
    return {**found[0], "evaluations": rows}


def evaluated_sets(workspace: str, first: Manifest, second: Manifest) -> list[tuple[Evaluation, Evaluation]]:
    """The latest evaluations of both versions on each set of images that both were evaluated on."""
    latest: list[dict[str, Evaluation]] = []
    for version in (first.version, second.version):
        newest_first = find_evaluations(workspace, version)
        latest.append({one.set_key: one for one in reversed(newest_first)})
    return [(one, latest[1][key]) for key, one in latest[0].items() if key in latest[1]]


def _frame(workspace: str, evaluation: Evaluation) -> pd.DataFrame:
    frame: pd.DataFrame = read_predictions(workspace, evaluation).to_pandas()
    return frame


def _rows(evaluation: Evaluation, found: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "set": evaluation.images_url,
            "images": found["images"],
            "lesions": found["lesions"],
            "metric": name,
            **values,
        }
        for name, values in found["metrics"].items()
    ]
