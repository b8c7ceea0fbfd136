"""docs/recipe-results.md from the recorded differences."""

from __future__ import annotations

from statistics import mean

from benchmarks.harness.bench import Result
from benchmarks.harness.markdown import described, paragraph, table, trial_warning
from benchmarks.recipe.inputs import PARTS

NOTHING = "Nothing is recorded yet: `make bench-recipe` measures it."


def section(found: Result) -> str:
    """The table of all parts."""
    if "parts" not in found:
        return NOTHING
    figures = found["parts"]["figures"]
    whole, seeds = figures["whole"], len(figures["seeds"])
    return "\n\n".join(
        [
            *trial_warning(found),
            paragraph(
                f"""`train --model {figures["model"]} --recipe fine-tuning --epochs {figures["epochs"]}`,
                {seeds} seeds: balanced accuracy {mean(whole):.3f} ({min(whole):.3f}-{max(whole):.3f}) on
                {figures["images"]:,} validation images of {figures["lesions"]:,} lesions. Each row switches one
                part off. *Gain* is the recipe less the recipe without the part, mean of the seeds, with a 95 %
                interval from 2,000 resamples of the lesions, the same for both. The interval says what other
                lesions would change, and the seeds beside it what another seed may change."""
            ),
            _parts(figures),
            "## The machine",
            paragraph(described(found["parts"]["machine"])),
        ]
    )


def _parts(figures: Result) -> str:
    head = ("switched off", "what it does", "gain in balanced accuracy", "each seed", "verdict")
    rows = []
    for name, one in sorted(figures["parts"].items(), key=lambda part: -part[1]["difference"]):
        interval = one["interval"]
        span = "" if interval is None else f" ({interval[0]:+.3f} to {interval[1]:+.3f})"
        each = ", ".join(f"{value:+.3f}" for value in one["seeds"])
        rows.append((f"`--{name} 0`", PARTS[name], f"{one['difference']:+.3f}{span}", each, verdict(one)))
    return table(head, rows)


def verdict(one: Result) -> str:
    """What interval and seeds show together."""
    if one["interval"] is None:
        return "nothing that could be shown"
    low, high = one["interval"]
    if low > 0 and min(one["seeds"]) > 0:
        return "helps"
    if high < 0 and max(one["seeds"]) < 0:
        return "harms"
    return "nothing that could be shown"
