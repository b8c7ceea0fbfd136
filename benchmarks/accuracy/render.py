"""The accuracy benchmark's part of docs/benchmarks.md, from recorded figures."""

from __future__ import annotations

from benchmarks.accuracy.inputs import SIZE
from benchmarks.accuracy.sections.decoding import SEED, SHOWN
from benchmarks.harness.bench import Result
from benchmarks.harness.markdown import table, trial_warning


def section(found: Result) -> str:
    """What decoding scaled costs in accuracy."""
    figures = found["decoding"]["figures"]
    rows = [
        (row["fitted_on"], row["tested_on"], *(f"{row[name]:.3f}" for name in SHOWN)) for row in figures["rows"]
    ]
    head = ("fitted on", "tested on", "accuracy", "balanced accuracy", "macro AUC")
    return "\n".join(
        [
            "## What `fast` costs in accuracy",
            "",
            *(line for warning in trial_warning(found) for line in (warning, "")),
            f"The thesis CNN on HAM10000 (300x225 px files) at {SIZE} px, whole lesions held out,",
            f"{figures['epochs']} epochs, seed {SEED}: fitted on pixels of either mode, tested on",
            f"{figures['held_out']:,} held-out images in both. One fit each: a point or two are what another",
            "seed gives as well. `make bench-accuracy`.",
            "",
            table(head, rows),
        ]
    )
