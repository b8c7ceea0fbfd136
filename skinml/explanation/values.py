"""An explanation as plain data: everything for explanation.json, and what the command line prints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from skinml import DISCLAIMER
from skinml.explanation.explain import Explanation


def values_of(about: Explanation) -> dict[str, Any]:
    """Everything as plain data, with the maps as nested lists."""
    row, activation, occlusion = about.scored.row, about.activation, about.occlusion
    return {
        "notice": DISCLAIMER,
        "image_id": row["image_id"],
        "uri": row["uri"],
        "dx": about.diagnosis,
        "row": row,
        "why_this_row": about.scored.why,
        "others": [short(other) for other in about.scored.others],
        "file": about.file,
        "bytes": about.source.state,
        "sha256_now": about.source.sha256,
        "preprocessing": None if about.manifest is None else about.manifest.preprocessing,
        "training": None if about.training is None else vars(about.training),
        "difference": about.difference,
        "activation": None
        if activation is None
        else {"cells": activation.cells.tolist(), "bias": activation.bias, "score": activation.score},
        "occlusion": None
        if occlusion is None
        else {
            "change": occlusion.change.round(5).tolist(),
            **{name: getattr(occlusion, name) for name in ("log_odds", "patch", "stride", "calls")},
        },
        "rank_correlation_with_others": about.alike,
        "nearest": [] if about.nearest is None else [vars(one) for one in about.nearest.lesions],
        "notes": about.notes,
    }


def summary_of(about: Explanation) -> dict[str, Any]:
    """What the command line prints of an explanation, beside the files."""
    row, nearest = about.scored.row, about.nearest
    return {
        "image_id": row["image_id"],
        "uri": row["uri"],
        "run_id": row["run_id"],
        "model_name": row["model_name"],
        "model_version": row["model_version"],
        "dx": about.diagnosis,
        "p_malignant": row["p_malignant"],
        "bytes": about.source.state,
        "nearest": []
        if nearest is None
        else [
            {name: vars(one)[name] for name in ("lesion_id", "image_id", "dx", "distance")}
            for one in nearest.lesions
        ],
        "others": [
            {**short(other), "scored_at": f"{other['scored_at']:%Y-%m-%dT%H:%M:%SZ}"}
            for other in about.scored.others
        ],
        "notes": about.notes,
    }


def finite(value: Any) -> Any:
    """The same with None for numbers that are not finite, which JSON does not have."""
    if isinstance(value, dict):
        return {name: finite(one) for name, one in value.items()}
    if isinstance(value, list):
        return [finite(one) for one in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def short(row: Mapping[str, Any]) -> dict[str, Any]:
    """What tells another row of the same image_id from this one."""
    names = ("uri", "etag", "model_name", "model_version", "run_id", "scored_at", "predicted_dx", "p_malignant")
    return {name: row[name] for name in names}
