"""How much of a test set's budget decisions have spent, and how much new lesions refill."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from skinml.errors import RequestError
from skinml.gate.rules import Rules
from skinml.models import registry
from skinml.models.judged import has_predictions, read_judged_predictions

if TYPE_CHECKING:
    import pandas as pd


def looks_spent(
    rows: Sequence[Mapping[str, Any]],
    lesions: Mapping[str, Collection[str]],
    seen: Mapping[str, Collection[str]],
) -> int:
    """How many looks at these test lesions are spent.

    Every decision that looked at a test set is a look, also one that kept the champion, a promotion by hand and
    the first version's floors. The same two models judged again are the same look: a proposal and the promotion
    that a person made of it count once.

    A look counts by how much of today's test set it has seen: the share of lesions, as a mean over diagnoses,
    because the gain is a mean over diagnoses. So a look at the same lesions counts 1, and new lesions of one
    diagnosis alone refill a seventh at most. The sum is rounded up.

    >>> look = dict(model_name="cnn", model_version="v2", previous_version="v1", test_set="0123")
    >>> looks_spent([look], {"mel": ["L1"], "nv": ["L2"]}, {"v2": ["L1", "L2"]})
    1
    >>> four = [{**look, "model_version": f"v{number}"} for number in range(2, 6)]
    >>> half = {"mel": ["L1", "L3"], "nv": ["L2", "L4"]}  # as many lesions again
    >>> looks_spent(four, half, {row["model_version"]: ["L1", "L2"] for row in four})
    2

    Args:
        rows: of `promotions`.
        lesions: today's test lesions of each diagnosis.
        seen: for each version in `rows` those of today's lesions that it has looked at
            (`read_seen_lesions`). A look by a version that is not there counts in full.

    """
    looks = {
        (row["model_name"], row["model_version"], row["previous_version"], row["test_set"])
        for row in rows
        if row["test_set"] is not None
    }
    return math.ceil(sum(_share(lesions, seen.get(version)) for _, version, _, _ in looks) - 1e-9)


def _share(lesions: Mapping[str, Collection[str]], seen: Collection[str] | None) -> float:
    if seen is None:
        return 1.0
    known = frozenset(seen)
    shares = [len(known.intersection(ids)) / len(set(ids)) for ids in lesions.values() if ids]
    return sum(shares) / len(shares) if shares else 1.0


def read_seen_lesions(
    workspace: str, rows: Sequence[Mapping[str, Any]], test: pd.DataFrame
) -> dict[str, frozenset[str]]:
    """Which of today's test lesions each version in `rows` has looked at, for `looks_spent`.

    Read from the versions' own predictions, once their hash is the manifest's. A version that is gone or keeps
    no predictions is left out, so its looks count in full. A lesion is seen if one of its images or lesion ids
    is: a new lesion id for the same image, or a copy of an image as another lesion, is no new test lesion.

    Args:
        workspace: normalised URL.
        rows: of `promotions`.
        test: today's test images: image_id, lesion_id, and split_group, by which lesions are named in the
            result.
    """
    found = {}
    for version in {row["model_version"] for row in rows if row["test_set"] is not None}:
        try:
            manifest = registry.find(workspace, version)
            if not has_predictions(manifest):
                continue
            predictions = read_judged_predictions(workspace, manifest)
        except RequestError:
            continue
        looked = predictions[predictions["split"] == "test"]
        seen = test["image_id"].isin(looked["image_id"]) | test["lesion_id"].isin(looked["lesion_id"])
        found[version] = frozenset(test.loc[seen, "split_group"].astype(str))
    return found


def budget_left(spent: int, lesions: int, rules: Rules | None = None) -> int:
    """How many looks are left, the next one included.

    Args:
        spent: looks (`looks_spent`).
        lesions: of the test set.
        rules: of the gate.

    Raises:
        RequestError: none is left; the message says how many more lesions bring one back.

    """
    rules = rules or Rules()
    left = rules.looks - spent
    if left > 0:
        return left
    # Looks count by the share of lesions they have seen: spent x n / (n + new) must fall to looks - 1.
    needed = math.ceil(lesions * (spent / (rules.looks - 1) - 1)) if rules.looks > 1 else lesions
    raise RequestError(
        f"the test budget is spent: {spent} of {rules.looks} looks at these {lesions:,} test lesions are taken;"
        f" about {needed:,} new test lesions, spread over the diagnoses, bring one back: label more lesions"
    )
