"""docs/zoo-results.md and README's short form of it, from recorded versions."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import mean
from typing import Any

from benchmarks.harness.bench import Result
from benchmarks.harness.figures import Target, at_least, at_most
from benchmarks.harness.markdown import described, number, paragraph, promises, table, trial_warning
from benchmarks.models.inputs import CHAMPION, CONTESTANTS, GOALS, HOURS_A_SEED, SCORED_A_SECOND

NAMES = {
    "balanced_accuracy": "balanced accuracy",
    "accuracy": "accuracy",
    "macro_auc": "macro AUC",
    "melanoma_sensitivity_at_80_specificity": "melanoma sensitivity at specificity 0.80",
    "malignant_auc": "malignant AUC",
    "ece": "calibration error",
}
NOTHING = "Nothing is recorded yet: `make bench-models` measures it."


def section(found: Result) -> str:
    """Tables of all recorded versions."""
    if "contestants" not in found:
        return NOTHING
    figures = found["contestants"]["figures"]
    first = next(iter(figures.values()))["runs"][0]
    parts = [
        *trial_warning(found),
        paragraph(
            f"""Grouped protocol: whole lesions are held out, {first["test_images"]:,} test images of
            {first["test_lesions"]:,} lesions. All choices were made on validation lesions. Every seed is shown,
            with 95 % intervals from 2,000 resamples of the test lesions; the mean of the seeds is what is
            compared with the targets."""
        ),
        promises(found, targets(found)).replace("### What was promised", "## Targets"),
        "## Every seed",
        _every_seed(figures),
        "## Calibration and operating threshold",
        paragraph(
            """Temperature and threshold are fitted on validation lesions; what is shown of them is on the test
            lesions."""
        ),
        _calibration(figures),
        "## What it costs",
        _training(figures),
    ]
    if "speed" in found:
        parts += [
            paragraph(
                """Scoring end to end, from JPEGs of 600x450 to rows of the table, on all cores. The rows of a
                model with one view and with several say what its views cost."""
            ),
            _speeds(found["speed"]["figures"]),
        ]
    parts += ["## The machine", paragraph(described(found["contestants"]["machine"]))]
    return "\n\n".join(parts)


def short(found: Result) -> str:
    """README's table: which model for what."""
    if "contestants" not in found:
        return NOTHING
    figures, speeds = found["contestants"]["figures"], found.get("speed", {}).get("figures", {})
    head = ("model", "for what", "balanced accuracy", "macro AUC", "training", "images/s scored")
    rows = []
    for name, one in figures.items():
        rate = _rate(speeds.get(name), one["runs"][0]["views"], "fp32")
        rows.append(
            (
                f"`{_command(name)}`",
                CONTESTANTS[name].purpose,
                _range(one["runs"], "balanced_accuracy"),
                _range(one["runs"], "macro_auc"),
                _duration(mean(run["fit_seconds"] for run in one["runs"])),
                number(rate),
            )
        )
    return table(head, rows)


def targets(found: Result) -> Iterator[Target]:
    """What was asked for, and the means of the seeds."""
    figures = found["contestants"]["figures"]
    for goal in GOALS:
        mean_of = _mean(figures.get(goal.contestant), goal.figure)
        what = f"{goal.contestant}: {NAMES[goal.figure]}, mean of {_seeds(figures, goal.contestant)}"
        if goal.most:
            yield at_most(what, goal.bound, mean_of, "", digits=3)
        else:
            shown = "not measured" if mean_of is None else f"{mean_of:.3f}"
            met = None if mean_of is None else mean_of >= goal.bound
            yield Target(what, f"at least {goal.bound:g}", shown, met)
    runs = figures.get(CHAMPION, {}).get("runs", [])
    longest = max((run["fit_seconds"] / 3600 for run in runs), default=None)
    yield at_most(f"{CHAMPION}: training one seed", HOURS_A_SEED, longest, "hours", digits=2)
    speeds = found.get("speed", {}).get("figures", {}).get(CHAMPION)
    yield at_least(f"{CHAMPION}: scoring end to end", SCORED_A_SECOND, _best(speeds), "images/s")


def _every_seed(figures: Result) -> str:
    head = ("model", "seed", "epochs", "views", *NAMES.values())
    rows = []
    for name, one in figures.items():
        for run in one["runs"]:
            cells = (_with_interval(run["metrics"][key], run["intervals"][key]) for key in NAMES)
            rows.append((name, str(run["seed"]), str(run["epochs"] or "-"), str(run["views"]), *cells))
        if len(one["runs"]) > 1:
            means = (f"**{value:.3f}**" if (value := _mean(one, key)) is not None else "-" for key in NAMES)
            rows.append((name, "mean", "", "", *means))
    return table(head, rows)


def _calibration(figures: Result) -> str:
    head = ("model", "seed", "temperature", "calibration error before", "after", "threshold", "sensitivity",
            "specificity")  # fmt: skip
    rows = []
    for name, one in figures.items():
        for run in one["runs"]:
            made, point = run["calibration"], run["operating_point"]
            rows.append(
                (
                    name,
                    str(run["seed"]),
                    f"{made['temperature']:.2f}",
                    number(made["test_ece_before"], 3),
                    number(made["test_ece_after"], 3),
                    number(point["threshold"], 4),
                    _with_interval(point["sensitivity"], point["sensitivity_interval"]),
                    _with_interval(point["specificity"], point["specificity_interval"]),
                )
            )
    return table(head, rows)


def _training(figures: Result) -> str:
    head = ("model", "parameters", "training one seed", "int8 may score", "int8: balanced accuracy less fp32's")
    rows = []
    for name, one in figures.items():
        runs = one["runs"]
        allowed = sum(bool(run["int8"]["allowed"]) for run in runs)
        seconds = [run["fit_seconds"] for run in runs]
        differences = ", ".join(
            _with_interval(run["int8"]["difference"], run["int8"]["interval"], "+") for run in runs
        )
        span = (
            _duration(min(seconds))
            if len(runs) == 1
            else f"{_duration(min(seconds))} to {_duration(max(seconds))}"
        )
        rows.append((name, f"{runs[0]['parameters']:,}", span, f"{allowed} of {len(runs)}", differences))
    return table(head, rows)


def _speeds(figures: Result) -> str:
    head = ("model", "views", "fp32 images/s", "int8 images/s")
    rows = []
    for name, one in figures.items():
        for views in sorted({rate["views"] for rate in one["rates"]}):
            cells = (number(_rate(one, views, precision)) for precision in ("fp32", "int8"))
            rows.append((name, str(views), *cells))
    return table(head, rows)


def _rate(one: Result | None, views: int, precision: str) -> float | None:
    rates = (one or {}).get("rates", [])
    same = [rate for rate in rates if (rate["views"], rate["precision"]) == (views, precision)]
    return same[0]["images_per_second"] if same else None


def _best(one: Result | None) -> float | None:
    """The fastest way to score with the views that the figures are of."""
    rates = (one or {}).get("rates", [])
    views = max((rate["views"] for rate in rates), default=1)
    known = [
        rate["images_per_second"] for rate in rates if rate["views"] == views and rate["images_per_second"]
    ]
    return max(known, default=None)


def _mean(one: Result | None, figure: str) -> float | None:
    values = [run["metrics"][figure] for run in (one or {}).get("runs", [])]
    return mean(values) if values and None not in values else None


def _seeds(figures: Result, name: str) -> str:
    count = len(figures.get(name, {}).get("runs", []))
    return "1 seed" if count == 1 else f"{count} seeds"


def _range(runs: list[Any], figure: str) -> str:
    values = [run["metrics"][figure] for run in runs]
    if None in values:
        return "-"
    spread = "" if len(values) == 1 else f" ({min(values):.3f}-{max(values):.3f})"
    return f"{mean(values):.3f}{spread}"


def _with_interval(value: float | None, interval: list[float] | None, sign: str = "") -> str:
    if value is None or interval is None:
        return "-"
    low, high = (format(end, f"{sign}.3f") for end in interval)
    return f"{format(value, f'{sign}.3f')} ({low} to {high})" if sign else f"{value:.3f} ({low}-{high})"


def _duration(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 5400 else f"{seconds / 60:.0f} min"


def _command(name: str) -> str:
    """What makes it, from the contestant."""
    one = CONTESTANTS[name]
    parts = ["train", "--model", one.model]
    parts += [] if one.recipe is None else ["--recipe", one.recipe]
    parts += [] if one.views == 1 else ["--views", str(one.views)]
    return " ".join(parts)
