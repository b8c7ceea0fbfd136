"""The gate's error rates as a part of docs/change-control.md, from recorded figures."""

from __future__ import annotations

from benchmarks.gate.figures import PICTURE, exact_interval, power_of
from benchmarks.harness.bench import Result
from benchmarks.harness.markdown import described, number, paragraph, table, trial_warning

SHARE_OF_TEST = 0.15
"""Of the labelled lesions."""

RELIABLE = 0.8
"""The usual power that a study is planned for."""


def section(found: Result) -> str:
    """False promotions and power."""
    parts = [
        _false(found["false_promotions"]["figures"]),
        _small(found["small_test_sets"]["figures"]),
        _power(found),
    ]
    return "\n\n".join([*trial_warning(found), *parts, _pairs(found["pairs"]["figures"]), _machine(found)])


def _machine(found: Result) -> str:
    one = found["false_promotions"]["machine"]
    return paragraph(f"Measured on {described(one)}")


def _small(one: Result) -> str:
    rows = [
        (number(each["lesions"]), *_rate(each["gain_shown"], one["retrainings"], one["level"]))
        for each in one["sets"]
    ]
    return "\n\n".join(
        [
            paragraph(
                f"""A clinic may have fewer test lesions, of some diagnoses one or none. A gain is shown, of
                {number(one["retrainings"])} retrainings of each size ({number(one["resamples"])} resamples;
                gains of fewer than 2 standard errors are not judged in full):"""
            ),
            table(("test lesions", "count", "share, %", "95 % interval, %", "allowed, %"), rows),
        ]
    )


def _pairs(one: Result) -> str:
    rows = [
        (
            f"fit {pair['challenger'] + 1} against fit {pair['champion'] + 1}",
            f"{pair['gain']:+.3f}",
            pair["decision"],
            ", ".join(map(_short, pair["worse"])) or "-",
            ", ".join(map(_short, pair["open"])) or "-",
        )
        for pair in one["pairs"]
    ]
    return "\n\n".join(
        [
            "### The fits themselves",
            paragraph(
                """Whole fits of one recipe differ in ways that average out above: one calls more images
                malignant, another one is more sure of itself. If one of the fits retrained another, the gate
                would decide:"""
            ),
            table(("challenger", "gain", "decision", "worse", "not assessable"), rows),
            paragraph(
                """So the champion is also kept if chance alone, in a fit of the same recipe, moves calibration,
                sensitivity or specificity by more than a margin. A clinic would see that change, whatever
                caused it."""
            ),
        ]
    )


def _short(criterion: str) -> str:
    """A criterion without what is the same for all."""
    return criterion.removesuffix(" not worse").partition(" of 30 lesions")[0]


def _false(one: Result) -> str:
    rows = [
        (
            f"a gain is shown, of {number(one['retrainings'])} retrainings",
            *_rate(one["gain_shown"], one["retrainings"], one["level"]),
        ),
        (
            f"promoted, of {number(one['retrainings'])} retrainings",
            *_rate(one["promoted"], one["retrainings"], one["level"]),
        ),
        (
            f"one gain or more shown in {one['looks']} looks, of {number(one['budgets'])} test sets",
            *_rate(one["budgets_spoiled"], one["budgets"], one["budget"]),
        ),
    ]
    return "\n\n".join(
        [
            "### Models that are no better",
            paragraph(
                f"""For each of {number(one["lesions"])} real test lesions one of {one["fits"]} fits of one
                recipe is champion and another one challenger, and which is which is chance. So neither is
                better by construction, and they disagree as much as two fits do. Test sets of
                {number(one["lesions"])} lesions are drawn from them with all their images."""
            ),
            table(("what", "count", "share, %", "95 % interval, %", "allowed, %"), rows),
            paragraph(
                f"""In the last row {one["looks"]} challengers are judged on one test set, and the champion is
                whoever was promoted last. The gate itself judged, with all {number(one["resamples"])}
                resamples, whenever the gain was 2.5 standard errors or more, and {one["audited"]} of the
                others, of which {one["audit_passed"]} passed."""
            ),
        ]
    )


def _rate(count: int, of: int, allowed: float) -> tuple[str, ...]:
    low, high = exact_interval(count, of)
    return str(count), f"{100 * count / of:.2f}", f"{100 * low:.2f} to {100 * high:.2f}", f"{100 * allowed:g}"


def _power(found: Result) -> str:
    one = found["power"]["figures"]
    gains = sorted({cell["gain"] for cell in one["cells"]})
    lesions = sorted({cell["lesions"] for cell in one["cells"]})
    head = ("test lesions", "labelled lesions", *(f"+{gain:.2f}" for gain in gains))
    shown, promoted = (
        [
            (number(count), number(round(count / SHARE_OF_TEST, -2)), *_row(one, what, count, gains))
            for count in lesions
        ]
        for what in ("gain", "promote")
    )
    return "\n\n".join(
        [
            "### Models that are better",
            paragraph(
                f"""As above, but the challenger has more lesions right in every diagnosis, so that its balanced
                accuracy is higher by a known gain. Labelled lesions: a test set is 15 % of them. Share of
                {one["retrainings"]} retrainings in which the gain is shown, % (with {number(one["resamples"])}
                resamples each):"""
            ),
            table(head, shown),
            paragraph(
                """Promoted without a person, %: all margins must be assessable too. The others with a gain
                shown are proposed, or kept because a figure is worse than its margin allows."""
            ),
            table(head, promoted),
            f"![How often a gain is shown and a model promoted, by labelled lesions]({PICTURE})",
            _answer(one, lesions, gains),
            paragraph(
                """Of the retrainings whose gain is shown, the share in which a margin is not assessable, %, for
                all gains together:"""
            ),
            _margins(one, lesions),
        ]
    )


def _answer(one: Result, lesions: list[int], gains: list[float]) -> str:
    """The gain that can be relied on to be shown, for each number of labelled lesions."""
    said = []
    for count in lesions:
        shown = [gain for gain in gains if power_of(one, "gain", count, gain) >= RELIABLE]
        gain = f"{min(shown):.2f}" if shown else f"none of up to {max(gains):.2f}"
        said.append(f"{number(round(count / SHARE_OF_TEST, -2))}: {gain}")
    return paragraph(
        f"""The smallest of these gains that is shown in {100 * RELIABLE:.0f} % of the retrainings or more, by
        number of labelled lesions: {"; ".join(said)}."""
    )


def _row(one: Result, what: str, lesions: int, gains: list[float]) -> list[str]:
    return [f"{100 * power_of(one, what, lesions, gain):.0f}" for gain in gains]


MARGINS = {
    "melanoma_sensitivity_at_80_specificity": "melanoma sensitivity at specificity 0.80",
    "malignant_sensitivity": "malignant sensitivity",
    "malignant_specificity": "specificity",
    "ece": "ECE",
    "worst_subgroup": "worst subgroup",
}


def _margins(one: Result, lesions: list[int]) -> str:
    rows = []
    for count in lesions:
        cells = [cell["counts"] for cell in one["cells"] if cell["lesions"] == count]
        shown = sum(cell.get("gain", 0) for cell in cells)
        open_ = [sum(cell.get(f"{name}: not assessable", 0) for cell in cells) for name in MARGINS]
        rows.append((number(count), str(shown), *(f"{100 * n / shown:.0f}" if shown else "-" for n in open_)))
    return table(("test lesions", "gains shown", *MARGINS.values()), rows)
