"""The part of a model card that says how well a model does: tables of figures with their intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from skinml.labels import DIAGNOSES
from skinml.report.card import NOT_REPORTED, Block, Item, Picture, Section, Table
from skinml.words import several

HEADLINE = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_auc": "macro AUC",
    "macro_average_precision": "macro average precision",
    "melanoma_sensitivity": "melanoma sensitivity",
    "melanoma_specificity": "melanoma specificity",
    "melanoma_sensitivity_at_80_specificity": "melanoma sensitivity at specificity 0.80",
    "melanoma_sensitivity_at_90_specificity": "melanoma sensitivity at specificity 0.90",
    "malignant_auc": "malignant AUC",
    "malignant_sensitivity": "malignant sensitivity",
    "malignant_specificity": "malignant specificity",
    "malignant_sensitivity_at_80_specificity": "malignant sensitivity at specificity 0.80",
    "malignant_sensitivity_at_90_specificity": "malignant sensitivity at specificity 0.90",
}
OF_CLASS = {
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "auc": "AUC",
    "average_precision": "average precision",
}
CALIBRATION = {"ece": "expected calibration error", "brier": "Brier score (0 to 2)"}
OF_GROUP = ("balanced_accuracy", "melanoma_sensitivity", "malignant_auc")
GROUPS = {"sex": "sex", "age": "age", "localization": "body site", "source": "source"}
CAPTIONS = {
    "confusion_matrix.png": "Confusion matrix of the test set.",
    "roc.png": "ROC curves, one diagnosis against the rest.",
    "precision_recall.png": "Precision and sensitivity, one diagnosis against the rest.",
    "reliability.png": "Confidence and the fraction that is right.",
    "subgroups.png": "Balanced accuracy per group, with 95 % intervals.",
    "worst_misses.png": "The most confident errors on the test images.",
}


def judged_sections(title: str, judged: Mapping[str, Any], pictures: Mapping[str, str]) -> list[Section]:
    """Sections of one fit's figures.

    Args:
        title: of the first section.
        judged: the fit's part of `metrics.json` (`evaluation.judgement.judge`); older ones have fewer figures.
        pictures: name of each picture of this fit to its path beside the card.

    """
    metrics, intervals = judged["metrics"], judged.get("intervals", {})
    absent = metrics.get("absent") or []
    lesions = f", {judged['lesions']:,} lesions" if "lesions" in judged else ""
    said = (
        f"{metrics['images']:,} test images{lesions}. Intervals: 95 %, from resampled lesions. A dash: not"
        " defined, because images of a diagnosis are missing."
    )
    if absent:
        said += f" No test image is {', '.join(absent)}: no mean counts these diagnoses."
    return [
        Section(
            title,
            [
                Item("Figures", [said, _named(HEADLINE, metrics, intervals)]),
                Item("Each diagnosis against the rest", [_classes(metrics, intervals)]),
                Item(
                    "Figures as pictures", _pictures(pictures, ("confusion_matrix", "roc", "precision_recall"))
                ),
                Item(
                    "Calibration", [_named(CALIBRATION, metrics, intervals), *_maybe(pictures, "reliability")]
                ),
                Item("Subgroups", [*_subgroups(judged.get("subgroups")), *_maybe(pictures, "subgroups")]),
                Item("When the least certain are set aside", [_set_aside(judged.get("risk_coverage"))]),
                Item("Prediction sets", _sets(judged.get("conformal"))),
                Item("Agreement on lesions photographed more than once", _agreement(judged.get("agreement"))),
                Item("Failures", _pictures(pictures, ("worst_misses",))),
            ],
        )
    ]


def percent(share: float) -> str:
    """A share of 0 to 1 as whole per cent."""
    return f"{share:.0%}".replace("%", " %")


def shown(value: float | None, interval: Any = None) -> str:
    """A figure, and its interval if it has one; a dash if it is not defined."""
    if value is None:
        return "-"
    return f"{value:.3f}" if interval is None else f"{value:.3f} ({interval[0]:.3f} to {interval[1]:.3f})"


def _named(names: Mapping[str, str], metrics: Mapping[str, Any], intervals: Mapping[str, Any]) -> Block:
    rows = [
        (title, shown(metrics[name], intervals.get(name))) for name, title in names.items() if name in metrics
    ]
    return Table(("figure", "value (interval)"), rows) if rows else NOT_REPORTED


def _classes(metrics: Mapping[str, Any], intervals: Mapping[str, Any]) -> Block:
    head = ("diagnosis", "test images", *OF_CLASS.values())
    spread = intervals.get("per_class", {})
    rows = []
    for name in DIAGNOSES:
        one, around = metrics["per_class"][name], spread.get(name, {})
        rows.append((name, f"{one['images']:,}", *(shown(one.get(key), around.get(key)) for key in OF_CLASS)))
    return Table(head, rows)


def _pictures(pictures: Mapping[str, str], names: tuple[str, ...]) -> list[Block]:
    found = [block for name in names for block in _maybe(pictures, name)]
    return found or [NOT_REPORTED]


def _maybe(pictures: Mapping[str, str], name: str) -> list[Block]:
    file = f"{name}.png"
    return [Picture(pictures[file], CAPTIONS[file])] if file in pictures else []


def _subgroups(groups: Mapping[str, Any] | None) -> list[Block]:
    if groups is None:
        return [NOT_REPORTED]
    head = ("group", "images", "lesions", *(HEADLINE[name] for name in OF_GROUP), "absent")
    rows = [
        (
            f"{title}: {name}",
            f"{one['images']:,}",
            f"{one['lesions']:,}",
            *(shown(one["metrics"][figure], one["intervals"][figure]) for figure in OF_GROUP),
            ", ".join(one["absent"]) or "none",
        )
        for column, title in GROUPS.items()
        for name, one in groups.get(column, {}).items()
    ]
    tone = f"Skin tone: {groups.get('skin_tone', 'not assessed')}."
    return [Table(head, rows), tone] if rows else [tone]


def _set_aside(found: Mapping[str, Any] | None) -> Block:
    if found is None:
        return NOT_REPORTED
    rows = [
        (percent(one["set_aside"]), f"{one['images']:,}",
         *(shown(one[name]) for name in ("balanced_accuracy", "melanoma_sensitivity", "malignant_sensitivity")),
         "-" if one["melanomas_set_aside"] is None else percent(one["melanomas_set_aside"]))
        for one in found["curve"]
    ]  # fmt: skip
    head = ("set aside", "images left", "balanced accuracy", "melanoma sensitivity", "malignant sensitivity",
            "of all melanomas set aside")  # fmt: skip
    return Table(head, rows)


def _sets(found: Mapping[str, Any] | None) -> list[Block]:
    if found is None:
        return [NOT_REPORTED]
    said = (
        f"Sets of diagnoses that should hold the true one for {percent(found['level'])} of the lesions of each"
        f" diagnosis: {percent(found['coverage'])} of {found['lesions']:,} test lesions are held, by"
        f" {found['mean_set_size']:.1f} diagnoses on average."
    )
    if found["too_few"]:
        said += f" Too few lesions to calibrate on: {', '.join(found['too_few'])}; they are in every set."
    rows = [
        (name, f"{one['calibration_lesions']:,}", f"{one['lesions']:,}",
         shown(one["coverage"], one["coverage_interval"]),
         "-" if one["mean_set_size"] is None else f"{one['mean_set_size']:.1f}")
        for name, one in found["per_class"].items()
    ]  # fmt: skip
    head = ("diagnosis", "calibration lesions", "test lesions", "held (interval)", "mean size")
    return [said, Table(head, rows)]


AGREEMENT = {
    "same_diagnosis": "pairs with the same predicted diagnosis",
    "same_malignancy": "pairs that are both malignant or both benign",
    "kappa": "Fleiss' kappa of the diagnoses",
    "mean_absolute_difference": "mean absolute difference of p_malignant",
    "icc": "intraclass correlation of p_malignant",
    "limits_of_agreement": "limits of agreement of p_malignant (plus or minus)",
}


def _agreement(found: Mapping[str, Any] | None) -> list[Block]:
    if found is None:
        return [NOT_REPORTED]
    said = f"{several(found['lesions'], 'test lesion')} with {several(found['images'], 'image')}."
    return [said, _named(AGREEMENT, found["metrics"], found["intervals"])]
