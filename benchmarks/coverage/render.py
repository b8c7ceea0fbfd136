"""The coverage benchmark's part of docs/benchmarks.md, from recorded figures."""

from __future__ import annotations

from benchmarks.coverage.sections.intervals import lesions_of
from benchmarks.harness.bench import Result
from benchmarks.harness.markdown import number, paragraph, table, trial_warning
from skinml.evaluation.metrics import OF_CLASS, SCALARS
from skinml.labels import DIAGNOSES


def section(found: Result) -> str:
    """How often 95 % intervals hold the truth."""
    measured = found["intervals"]["figures"]
    figures = measured["figures"]
    rows = [(name, *_row(figures[name])) for name in SCALARS]
    head = ("figure", "truth", "bias", "covered, %", "drawn within classes, %")
    classes = [
        (name, *(_percent(figures[f"per_class.{diagnosis}.{name}"]["covered"]) for diagnosis in DIAGNOSES))
        for name in OF_CLASS
    ]
    counts = [f"{diagnosis} ({lesions_of(diagnosis)})" for diagnosis in DIAGNOSES]
    return "\n".join(
        [
            "## Whether 95 % intervals hold the truth",
            "",
            *(line for warning in trial_warning(found) for line in (warning, "")),
            paragraph(
                f"""{measured["test_sets"]} made-up test sets of HAM10000's composition
                ({number(measured["lesions"])} lesions, about 1,500 images, predictions of one lesion's images
                correlated), each with intervals from {number(measured["resamples"])} resamples; the truth is
                that of 600,000 lesions. `make bench-coverage`."""
            ),
            "",
            table(head, rows),
            "",
            paragraph(
                """Drawing lesions within their class keeps every class in every resample, but covers less,
                because the composition of a test set is chance too. Intervals of each class, % covered (its
                lesions in brackets):"""
            ),
            "",
            table(("figure", *counts), classes),
        ]
    )


def _row(figure: Result) -> tuple[str, ...]:
    return (
        f"{figure['truth']:.3f}",
        f"{figure['bias']:+.3f}",
        _percent(figure["covered"]),
        _percent(figure["covered_within_classes"]),
    )


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f}"
