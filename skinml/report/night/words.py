"""What the page of a night says in words: its verdict, its counts, its model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from skinml.report.night.found import Model
from skinml.report.night.night import Night

MEANINGS = {
    "blurred": "less sharp than 199 of 200 held-out images",
    "dark": "darker than 199 of 200 held-out images",
    "overexposed": "brighter than 199 of 200 held-out images",
    "low_confidence": "no diagnosis has a high probability",
    "unlike_training": "unlike the training images: the probabilities mean little",
    "colour_profile": "has a colour profile other than sRGB",
}
"""What each flag means."""


def sentence_of(night: Night) -> str:
    """The verdict on the night's images, as a sentence; "" if they were not judged."""
    said = str(night.run["health_detail"].get("sentence") or "")
    if night.has_drifted and not said:
        return "The images of this night have drifted: do not trust its scores."
    return f"{said[0].upper()}{said[1:]}." if said else ""


def law(run: Mapping[str, Any]) -> str:
    """The conservation law with the run's counts."""
    total = run["skipped"] + run["done"] + run["quarantined"]
    sign = "=" if run["listed"] == total else "is not"
    return (
        f"{run['listed']:,} listed {sign} {run['skipped']:,} skipped + {run['done']:,} scored"
        f" + {run['quarantined']:,} quarantined"
    )


def tiles_of(night: Night) -> list[dict[str, str]]:
    """The first figures that a person looks for."""
    run = night.run
    suspicious = int((night.scored.probabilities[:, [0, 1, 4]].sum(axis=1) >= 0.5).sum())
    found = [
        _tile("Scored", f"{run['done']:,}"),
        _tile("p(malignant) of 0.5 or more", f"{suspicious:,}"),
        _tile("Could not be used", f"{run['quarantined']:,}"),
        _tile(
            "Health",
            {"too_few": "too few images"}.get(str(run["health"]), str(run["health"] or "not measured")),
        ),
    ]
    if night.estimate is not None:
        low, high = night.estimate.interval
        found.append(
            _tile(
                "Estimated balanced accuracy",
                f"{night.estimate.balanced_accuracy:.2f}",
                f"{low:.2f} to {high:.2f}",
            )
        )
    found.append(_tile("Speed", f"{run['images_per_second']:,.0f}", f"images/s, {run['seconds']:,.0f} s"))
    return found


def _tile(name: str, value: str, more: str = "") -> dict[str, str]:
    return {"name": name, "value": value, "more": more}


def card_in_short(model: Model) -> list[tuple[str, str]]:
    """The few facts of a model card that a reader of a worklist needs."""
    if model.manifest is None:
        return [("Version", "its files cannot be read any more")]
    manifest = model.manifest
    facts = [
        ("Version", f"{manifest.name} {manifest.version}"),
        ("Trained", f"{manifest.created_at[:10]}, {manifest.protocol} protocol"),
    ]
    measured = model.measured or {}
    judged = measured.get("honest") or measured
    metrics, intervals = judged.get("metrics") or {}, judged.get("intervals") or {}
    held_out = ", whole lesions held out" if measured.get("honest") or manifest.protocol == "grouped" else ""
    for name, title in (
        ("balanced_accuracy", "Balanced accuracy"),
        ("melanoma_sensitivity", "Melanoma sensitivity"),
    ):
        if metrics.get(name) is not None:
            facts.append(
                (title, f"{_with_interval(metrics[name], intervals.get(name))} on test images{held_out}")
            )
    samples = manifest.dataset.get("samples")
    if isinstance(samples, int):
        facts.append(("Trained and tested on", f"{samples:,} labelled images"))
    return facts


def shown_month(month: Mapping[str, Any]) -> dict[str, Any]:
    """A month of outcomes as texts."""
    intervals = month.get("intervals") or {}
    return {
        "month": month.get("month"),
        "model_version": month.get("model_version"),
        "images": month.get("images") or 0,
        "scored": month.get("scored") or 0,
        "melanoma": _with_interval(month.get("melanoma_sensitivity"), intervals.get("melanoma_sensitivity")),
        "malignant": _with_interval(month.get("malignant_sensitivity"), intervals.get("malignant_sensitivity")),
    }


def _with_interval(value: Any, interval: Any) -> str:
    if value is None:
        return "-"
    ends = "" if not interval or interval[0] is None else f" ({interval[0]:.2f} to {interval[1]:.2f})"
    return f"{value:.2f}{ends}"
