"""docs/results.md and README's short form of it, from recorded runs."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import mean
from typing import Any

from benchmarks.harness.bench import Result
from benchmarks.harness.markdown import described, paragraph, table, trial_warning
from benchmarks.thesis.figures import BY_CLASS, BY_EPOCH
from benchmarks.thesis.inputs import PUBLISHED, WITHIN

NAMES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_auc": "macro AUC",
    "melanoma_sensitivity": "melanoma sensitivity",
}


def section(found: Result) -> str:
    """Tables and figures of all recorded runs."""
    figures = found["seeds"]["figures"]
    runs, milestones = figures["runs"], figures["milestones"]
    parts = [
        *trial_warning(found),
        "## Accuracy by epoch",
        paragraph(
            f"""The thesis CNN on {runs[0]["samples"]:,} images, {len(runs)} seeds, one run of
            {figures["epochs"]} epochs each, measured on its test set after every epoch (the learning rate is
            constant, so a run of 80 epochs passes 50, 60 and 70 on its way). *Thesis protocol*: 500 images of
            each class are drawn with replacement, then 25 % are split off. *Lesions held out*: the same
            network, epochs, batch size and number of training images, with whole lesions held out before the
            drawing."""
        ),
        _by_epoch(runs, milestones),
        f"![Accuracy by epoch](benchmarks/{BY_EPOCH})",
        paragraph(_kept(runs, milestones)),
        "## How much of the test set the fit has seen",
        _leakage(runs),
        f"## After {figures['epochs']} epochs",
        paragraph(
            """With 95 % intervals from 2,000 resamples of the test lesions. They say what another sample
            of lesions would change, and not that images of the thesis's test set were trained on."""
        ),
        _last(runs),
        f"![Sensitivity per diagnosis](benchmarks/{BY_CLASS})",
        "## The machine",
        paragraph(described(found["seeds"]["machine"])),
    ]
    return "\n\n".join(parts)


def short(found: Result) -> str:
    """README's form: one row for each protocol."""
    figures = found["seeds"]["figures"]
    runs, milestones = figures["runs"], figures["milestones"]
    head = ("accuracy after", *(f"{epoch} epochs" for epoch in milestones))
    rows = [
        ("the thesis says", *(_published(epoch) for epoch in milestones)),
        ("`train --protocol thesis`", *(_range(runs, "thesis", "accuracy", at) for at in milestones)),
        ("the same, whole lesions held out", *(_range(runs, "honest", "accuracy", at) for at in milestones)),
        ("... balanced accuracy", *(_range(runs, "honest", "balanced_accuracy", at) for at in milestones)),
    ]
    return table(head, rows)


def _by_epoch(runs: list[Any], milestones: list[int]) -> str:
    head = ("seed", "figure", *(f"{epoch} epochs" for epoch in milestones))
    rows = [("thesis", "accuracy, as published", *(_published(epoch) for epoch in milestones))]
    for fit, title in (("thesis", "thesis protocol"), ("honest", "lesions held out")):
        for name in ("accuracy", "balanced_accuracy"):
            for run in runs:
                values = (f"{_at(run, fit, name, epoch):.3f}" for epoch in milestones)
                rows.append((str(run["seed"]), f"{title}: {NAMES[name]}", *values))
    return table(head, rows)


def _leakage(runs: list[Any]) -> str:
    head = ("test set", "images", "different images", "lesions", "image trained on", "lesion trained on")
    rows = []
    for fit, title in (("thesis", "thesis protocol"), ("honest", "lesions held out")):
        one = runs[0][fit]  # the draw and the split are the same for every seed
        counts = (f"{one[name]:,}" for name in ("images", "distinct_images", "lesions"))
        rows.append((title, *counts, *(f"{one['leakage'][name]:.0%}" for name in ("image", "lesion"))))
    return table(head, rows)


def _last(runs: list[Any]) -> str:
    head = ("seed", "protocol", *NAMES.values())
    rows = []
    for fit, title in (("thesis", "thesis protocol"), ("honest", "lesions held out")):
        for run in runs:
            one = run[fit]
            cells = (_with_interval(one["last"][name], one["intervals"][name]) for name in NAMES)
            rows.append((str(run["seed"]), title, *cells))
    return table(head, rows)


def _with_interval(value: float | None, interval: list[float] | None) -> str:
    if value is None or interval is None:
        return "-"
    return f"{value:.3f} ({interval[0]:.3f}-{interval[1]:.3f})"


def _kept(runs: list[Any], milestones: list[int]) -> str:
    """Whether every accuracy lies where it was promised."""
    values = [(_at(run, "thesis", "accuracy", at), run["seed"], at) for run in runs for at in milestones]
    low, high = WITHIN
    outside = [
        f"{value:.3f} (seed {seed}, {at} epochs)" for value, seed, at in values if not low <= value <= high
    ]
    verdict = "all do" if not outside else f"these do not: {', '.join(outside)}"
    return (
        f"Promised: an accuracy within {low:.2f} to {high:.2f} at each of these epochs under the thesis"
        f" protocol; {verdict}. Lowest {min(values)[0]:.3f}, highest {max(values)[0]:.3f}."
    )


def _at(run: Any, fit: str, name: str, epoch: int) -> float:
    value: float = run[fit]["curves"][name][epoch - 1]
    return value


def _range(runs: Iterable[Any], fit: str, name: str, epoch: int) -> str:
    """Mean over the seeds, lowest and highest."""
    values = [_at(run, fit, name, epoch) for run in runs]
    return f"{mean(values):.3f} ({min(values):.3f}-{max(values):.3f})"


def _published(epoch: int) -> str:
    return f"{PUBLISHED[epoch]:.2f}" if epoch in PUBLISHED else "-"
