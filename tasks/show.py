"""Show the results of a run in the Prefect UI: counts, reasons, figures, and where everything lies."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from skinml.errors import SkinmlError
from skinml.evaluation.metrics import HEADLINE
from skinml.layout import model_url, report_url, shards_url, table_url
from skinml.monitoring.health import DRIFTED, Health
from skinml.records.quarantine import by_reason
from skinml.records.runs import Run
from skinml.words import several
from tasks import artifacts
from tasks.orchestration import under_prefect
from tasks.server_check import is_on_this_machine
from tasks.stage import stage

if TYPE_CHECKING:
    import pandas as pd

    from skinml.models.manifest import Manifest
    from tasks.fit import Fitted

logger = logging.getLogger("skinml.show")

PREPARE_PARTS = {
    "dropped": "skipped: of classes that --drop leaves out",
    "relabelled": "prepared before, with another label now",
    "resumed": "taken over from an interrupted run",
}
SCORE_PARTS = {
    "scored_by_earlier_champions": "skipped: scored by an earlier champion",
    "outside_window": "skipped: outside of --since and --until",
    "beyond_limit": "skipped: beyond --limit, for the next run",
    "resumed": "taken over from an interrupted run",
    "rechecked": "read again",
    "changed": "of those, with other bytes than before",
}
REPLAY_PARTS = {
    "replayed": "tried again",
    "still_quarantined": "still unusable",
    "gone": "not in the archive any more",
    "replaced": "other bytes by now",
    "left_to_prepare": "left to prepare",
}
"""What else a result counts, in words; a row is left out if the count is 0."""

HEALTH = ("measure", "drifted", "change", "tonight", "reference", "psi", "psi_by_chance", "p")
"""The columns of a health table: what a person asks first is on the left, the right ones may need scrolling."""


@stage("show the result")
def show_prepared(workspace: str, dataset_key: str, result: dict[str, Any]) -> None:
    """Show counts, reasons and places in the Prefect UI."""
    due = f" {result['until_retraining']}." if result["until_retraining"] else ""
    counts = ("listed", "skipped", "prepared", "quarantined")
    _show_counts("prepare", result, counts, PREPARE_PARTS, f"Counts of the listed images.{due}")
    places = {
        "samples table": table_url(workspace, "samples"),
        "quarantine table": table_url(workspace, "quarantine"),
        "shards": shards_url(workspace, dataset_key),
    }
    artifacts.show_places("prepare-places", "The dataset", places)


@stage("show the result")
def show_trained(workspace: str, manifest: Manifest, fitted: Fitted, honest: Fitted | None) -> None:
    """Show metrics and figures in the Prefect UI: the protocol's and, if it differs, the honest ones."""
    rows = [_headline(one) for one in (fitted, honest) if one is not None]
    artifacts.show_table("train-metrics", "How well the model does on its test images.", rows)
    said = {
        "precisions": "The model's network in each precision.",
        "calibration": "The temperature of each network, and its calibration error.",
        "operating_point": "The threshold for p_malignant of each network.",
    }
    from skinml.models.precisions import as_tables

    for key, by_precision in as_tables(manifest.precisions).items():
        networks = [
            {"network": name, **{field: value for field, value in row.items() if value is not None}}
            for name, row in by_precision.items()
        ]
        artifacts.show_table(f"train-{key.replace('_', '-')}", said[key], networks)
    folder = model_url(workspace, manifest.name, manifest.version)
    for key, one in {"train-confusion": fitted, "train-confusion-honest": honest}.items():
        if one is not None:
            show_confusion(key, f"{manifest.version}, {one.title}", one.metrics, "test images")
    places = {file: f"{folder}/{file}" for file in manifest.files if file.endswith((".png", ".json"))}
    artifacts.show_places("train-places", f"Model {manifest.name} {manifest.version}", places)


def _headline(fitted: Fitted) -> dict[str, Any]:
    """Return the headline metrics of a fit, and the fraction of test images that it was trained on."""
    return {
        "measured": fitted.title,
        **{metric: fitted.metrics[metric] for metric in HEADLINE},
        "test images": fitted.metrics["images"],
        "of them trained on too": f"{fitted.leakage['image']:.0%}",
        "of a lesion trained on": f"{fitted.leakage['lesion']:.0%}",
    }


@stage("show the result")
def show_scored(workspace: str, result: dict[str, Any], health: Health | None) -> None:
    """Show counts, reasons, flags, the run's health and places in the Prefect UI."""
    _show_counts("score", result, ("listed", "skipped", "scored", "quarantined"), SCORE_PARTS)
    if result["flags"]:
        rows = [{"flag": name, "images": images} for name, images in result["flags"].items()]
        artifacts.show_table("score-flags", "Flags of the scored images.", rows)
    if health is not None:
        rows = [{name: asdict(drift)[name] for name in HEALTH} for drift in health.measures]
        artifacts.show_table("score-health", f"{health.sentence[0].upper()}{health.sentence[1:]}.", rows)
    _show_tables("score-places", workspace)


def show_suspicious(workspace: str, result: dict[str, Any], run: Run, everywhere: bool) -> None:
    """Show pictures of the most suspicious images, but only in a UI of this machine, or if `everywhere`."""
    if under_prefect() and result["scored"]:
        if everywhere or is_on_this_machine():
            drifted = result["health"] == DRIFTED and not result["backfill"]
            _show_suspicious(workspace, run, result["scored"], drifted)
        else:
            logger.info(
                "no pictures of lesions in the Prefect UI, which others see too: --images-in-ui shows them"
            )


def count_malignant(workspace: str, run: Run, scored: int) -> int | None:
    """Return how many images of a run look malignant, for its closing sentence; None if that is unknown."""
    if not scored:
        return 0
    from skinml.report.suspicious import count_malignant as malignant_in

    try:
        return malignant_in(workspace, run.run_id, run.started_at.date())
    except SkinmlError as error:  # a sentence is no reason to fail: the rows are committed
        logger.warning("the images that look malignant are not counted: %s", error)
        return None


@stage("show the most suspicious images")
def _show_suspicious(workspace: str, run: Run, scored: int, drifted: bool) -> None:
    from skinml.report.contact_sheet import draw_contact_sheet  # and with it Pillow
    from skinml.report.suspicious import most_suspicious, tiles_of

    try:
        rows = most_suspicious(workspace, run.run_id, run.started_at.date())
        title = f"The most suspicious of {several(scored, 'image')}, {run.started_at:%Y-%m-%d}"
        sheet = draw_contact_sheet(title, tiles_of(rows))
    except Exception as error:  # a picture is no reason to fail: the rows are committed
        logger.warning("no contact sheet: %s: %s", type(error).__name__, error)
        return
    note = "The images with the highest p_malignant of this run; its rows in `scores` name them."
    warning = ["**The images of this run have drifted: do not trust its scores.**"] if drifted else []
    artifacts.show_picture("score-suspicious", title, sheet, *warning, note)


@stage("show the result")
def show_evaluated(workspace: str, result: dict[str, Any]) -> None:
    """Show the headline metrics with their intervals, the confusion matrix and places in the Prefect UI."""
    rows = [
        {"metric": name, "value": result["metrics"][name], "95 % interval": str(result["intervals"].get(name))}
        for name in HEADLINE
        if name in result["metrics"]
    ]
    artifacts.show_table(
        "evaluate-metrics", f"Model {result['model_version']} on {several(result['images'], 'image')}.", rows
    )
    files = ("metrics.json", "left_out.csv") if "left_out" in result else ("metrics.json",)
    show_confusion("evaluate-confusion", f"model {result['model_version']}", result["metrics"])
    places = {name: report_url(workspace, result["run_id"], name) for name in files}
    artifacts.show_places("evaluate-places", "The report", places)


@stage("show the result")
def show_replayed(workspace: str, images: pd.DataFrame, result: dict[str, Any]) -> None:
    """Show the replayed images and the results in the Prefect UI."""
    _show_counts("replay", result, ("listed", "skipped", "scored", "quarantined"), REPLAY_PARTS)
    artifacts.show_table("replay-tried", "What was in quarantine before.", by_reason(images))
    _show_tables("replay-places", workspace)


@stage("show the result")
def show_retrained(workspace: str, result: dict[str, Any]) -> None:
    """Show the decision, the gate's criteria and a link to the page in the Prefect UI."""
    shown = {key: value for key, value in result.items() if not isinstance(value, list | dict)}
    artifacts.show_table("retrain-decision", "What became of the challenger.", [shown])
    if result["criteria"]:
        artifacts.show_table("retrain-criteria", "The gate's criteria.", result["criteria"])
    if "report" in result:
        artifacts.show_places("retrain-places", "Why", {"report": result["report"]})


@stage("show the result")
def show_compacted(found: dict[str, dict[str, Any]]) -> None:
    """Show and log files and bytes of each table."""
    for table, row in found.items():
        if row["small_files"] or row["vacuumed"]:
            counts = (row["files_before"], row["files_after"], row["vacuumed"])
            logger.info("%s: %d files before, %d now, %d unneeded files deleted", table, *counts)
    rows = [{"table": table, **row} for table, row in found.items()]
    artifacts.show_table("compact-tables", "Files and bytes of each table before and after.", rows)


def show_confusion(key: str, about: str, metrics: Mapping[str, Any], images: str = "images") -> None:
    """Show the confusion matrix of `evaluation.metrics.measure`. An aggregated figure is shown in every UI."""
    if "confusion_matrix" not in metrics or not under_prefect():
        return
    try:
        from skinml.report.canvas import draw_confusion  # and with it matplotlib
        from skinml.report.embedded import small_png

        rates = f"accuracy {metrics['accuracy']:.3f}, balanced accuracy {metrics['balanced_accuracy']:.3f}"
        confusion = np.array(metrics["confusion_matrix"], dtype=np.int64)
        picture = small_png(draw_confusion(f"{about}: {rates}", confusion, f"{confusion.sum():,} {images}"))
    except Exception as error:  # a picture is no reason to fail
        logger.warning("no confusion matrix: %s: %s", type(error).__name__, error)
        return
    artifacts.show_picture(key, "Confusion matrix", picture)


def _show_counts(
    verb: str,
    result: Mapping[str, Any],
    counts: tuple[str, ...],
    parts: Mapping[str, str],
    description: str = "Counts of the listed images.",
) -> None:
    """Show how many images there are of each kind, and how many cannot be used for which reason."""
    rows = [{"images": name, "number": result[name]} for name in counts]
    rows += [{"images": words, "number": result[name]} for name, words in parts.items() if result[name]]
    artifacts.show_table(f"{verb}-counts", description, rows)
    if result["reasons"]:
        reasons = [{"reason": name, "images": number} for name, number in result["reasons"].items()]
        artifacts.show_table(f"{verb}-reasons", "Why images cannot be used.", reasons)


def _show_tables(key: str, workspace: str) -> None:
    places = {name: table_url(workspace, name) for name in ("scores", "quarantine", "runs")}
    artifacts.show_places(key, "The tables", places)
