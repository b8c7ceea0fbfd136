"""Show the results of a run in the Prefect UI: tables of counts, and links."""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import Any

import pandas as pd

from skinml.evaluation.metrics import HEADLINE
from skinml.layout import model_url, report_url, shards_url, table_url
from skinml.models.manifest import Manifest
from skinml.monitoring.health import Health
from skinml.records.quarantine import by_reason
from tasks import artifacts
from tasks.fit import Fitted
from tasks.stage import stage

logger = logging.getLogger("skinml.show")


@stage("show the result")
def show_prepared(workspace: str, dataset_key: str, result: dict[str, object]) -> None:
    """Show counts and links in the Prefect UI."""
    artifacts.show_table("prepare-counts", "Counts of the listed images.", [result])
    links = {
        "samples table": table_url(workspace, "samples"),
        "quarantine table": table_url(workspace, "quarantine"),
        "shards": shards_url(workspace, dataset_key),
    }
    artifacts.show_links("prepare-links", "The dataset", links)


@stage("show the result")
def show_trained(workspace: str, manifest: Manifest, fitted: Fitted, honest: Fitted | None) -> None:
    """Show metrics and links in the Prefect UI: the protocol's figure and, if it differs, the honest one."""
    rows = [_headline(one) for one in (fitted, honest) if one is not None]
    artifacts.show_table("train-metrics", "How well the model does on its test images.", rows)
    networks = [
        {"network": name, **network.model_dump(exclude_none=True)}
        for name, network in manifest.precisions.items()
    ]
    artifacts.show_table("train-precisions", "The model's network in each precision.", networks)
    folder = model_url(workspace, manifest.name, manifest.version)
    links = {file: f"{folder}/{file}" for file in manifest.files if file.endswith((".png", ".json"))}
    artifacts.show_links("train-links", f"Model {manifest.name} {manifest.version}", links)


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
def show_scored(workspace: str, result: dict[str, object], health: Health | None) -> None:
    """Show counts, the run's health and links in the Prefect UI."""
    artifacts.show_table("score-counts", "Counts of the listed images.", [result])
    if health is not None:
        rows = [asdict(drift) for drift in health.measures]
        artifacts.show_table("score-health", f"{health.sentence[0].upper()}{health.sentence[1:]}.", rows)
    links = {name: table_url(workspace, name) for name in ("scores", "quarantine", "runs")}
    artifacts.show_links("score-links", "The tables", links)


@stage("show the result")
def show_evaluated(workspace: str, result: dict[str, Any]) -> None:
    """Show the headline metrics with their intervals, and links, in the Prefect UI."""
    rows = [
        {"metric": name, "value": result["metrics"][name], "95 % interval": str(result["intervals"].get(name))}
        for name in HEADLINE
        if name in result["metrics"]
    ]
    artifacts.show_table(
        "evaluate-metrics", f"Model {result['model_version']} on {result['images']} images.", rows
    )
    files = ("metrics.json", "left_out.csv") if "left_out" in result else ("metrics.json",)
    links = {name: report_url(workspace, result["run_id"], name) for name in files}
    artifacts.show_links("evaluate-links", "The report", links)


@stage("show the result")
def show_replayed(workspace: str, images: pd.DataFrame, result: dict[str, Any]) -> None:
    """Show the replayed images and the results in the Prefect UI."""
    shown = {key: value for key, value in result.items() if key != "rows"}
    artifacts.show_table("replay-counts", "Counts of the replayed images.", [shown])
    artifacts.show_table("replay-tried", "What was in quarantine before.", by_reason(images))
    links = {name: table_url(workspace, name) for name in ("scores", "quarantine", "runs")}
    artifacts.show_links("replay-links", "The tables", links)


@stage("show the result")
def show_retrained(workspace: str, result: dict[str, Any]) -> None:
    """Show the decision, the gate's criteria and a link to the page in the Prefect UI."""
    shown = {key: value for key, value in result.items() if not isinstance(value, list | dict)}
    artifacts.show_table("retrain-decision", "What became of the challenger.", [shown])
    if result["criteria"]:
        artifacts.show_table("retrain-criteria", "The gate's criteria.", result["criteria"])
    if "report" in result:
        artifacts.show_links("retrain-links", "Why", {"report": result["report"]})


@stage("show the result")
def show_compacted(found: dict[str, dict[str, Any]]) -> None:
    """Show and log files and bytes of each table."""
    for table, row in found.items():
        if row["small_files"] or row["vacuumed"]:
            counts = (row["files_before"], row["files_after"], row["vacuumed"])
            logger.info("%s: %d files before, %d now, %d unneeded files deleted", table, *counts)
    rows = [{"table": table, **row} for table, row in found.items()]
    artifacts.show_table("compact-tables", "Files and bytes of each table before and after.", rows)
