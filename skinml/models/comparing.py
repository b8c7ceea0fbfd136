"""Compare two versions on every set of images that both have predicted."""

from __future__ import annotations

from typing import Any

from skinml.errors import RequestError
from skinml.evaluation.comparison import compare
from skinml.models.judged import read_predictions
from skinml.models.manifest import Manifest


def compare_versions(workspace: str, first: Manifest, second: Manifest) -> dict[str, Any]:
    """Compare two versions on the test images that both have predicted and neither was trained on.

    Args:
        workspace: normalised URL.
        first: one version.
        second: the other; differences are second less first.

    Returns:
        What `evaluation.comparison.compare` gives, and `basis`: which images these are.

    Raises:
        RequestError: they are one version, one keeps no predictions, or they have no lesion in common.

    """
    if (first.name, first.version) == (second.name, second.version):
        raise RequestError(f"models compare: both are {first.version}; name two versions")
    if first.class_order != second.class_order:
        raise RequestError(
            f"models compare: {first.version} and {second.version} have different classes:"
            f" {', '.join(first.class_order)} and {', '.join(second.class_order)}"
        )
    found = compare(read_predictions(workspace, first), read_predictions(workspace, second))
    return {"basis": "test images of both", **found}
