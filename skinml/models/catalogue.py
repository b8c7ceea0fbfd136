"""List the versions of a workspace, and describe one, from their manifests and metrics."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from skinml.errors import RequestError, StorageError
from skinml.evaluation.metrics import HEADLINE
from skinml.layout import model_url
from skinml.models import registry
from skinml.models.champion import read_champion_if_any, readable_champion
from skinml.models.judged import read_metrics
from skinml.models.manifest import Manifest
from skinml.models.precisions import as_tables


def list_versions(workspace: str, only: Collection[str | None] | None = None) -> list[dict[str, Any]]:
    """One row for each version, oldest first. One that cannot be read has its `problem` in the row.

    Args:
        workspace: normalised URL.
        only: the versions to list; None for all.

    """
    champion = read_champion_if_any(workspace)

    def row(version: tuple[str, str]) -> dict[str, Any]:
        is_now = champion is not None and champion.names(*version)
        try:
            return _row(workspace, registry.read_manifest(workspace, *version, champion), is_now)
        except (RequestError, StorageError) as error:
            return {
                "version": version[1],
                "name": version[0],
                "champion": is_now,
                "problem": str(error),
            }

    with ThreadPoolExecutor(registry.AT_ONCE) as pool:
        chosen = [one for one in registry.registered(workspace) if only is None or one[1] in only]
        return list(pool.map(row, chosen))


def summarise(workspace: str, manifest: Manifest) -> dict[str, Any]:
    """The row of one version."""
    return _row(workspace, manifest, is_champion(workspace, manifest))


def is_champion(workspace: str, manifest: Manifest) -> bool:
    """Whether this version is champion. A record that cannot be read names none."""
    now = readable_champion(workspace)
    return now is not None and now.names(manifest.name, manifest.version)


def _row(workspace: str, manifest: Manifest, champion: bool) -> dict[str, Any]:
    metrics = read_metrics(workspace, manifest)
    honest = (metrics.get("honest") or {}).get("metrics")
    measured = metrics.get("metrics") or {}
    row = {
        "version": manifest.version,
        "name": manifest.name,
        "champion": champion,
        "created": manifest.created_at,
        "protocol": manifest.protocol,
        "trained_on": manifest.dataset.get("version"),
        **{name: measured.get(name) for name in HEADLINE},
    }
    if honest is not None:
        row["honest_balanced_accuracy"] = honest.get("balanced_accuracy")
    return row


def describe(workspace: str, manifest: Manifest) -> dict[str, Any]:
    """Everything that the bundle says of a version, as tables and texts.

    Returns:
        metrics and intervals of the test images, honest and honest_intervals (thesis protocol), per_class,
        notes (what limits these figures), views, teachers, precisions, calibration and operating_point of each
        precision, preprocessing, dataset, parameters, libraries, files, and their folder. What the bundle does
        not say is not there.

    """
    metrics = read_metrics(workspace, manifest)
    measured, honest = metrics.get("metrics") or {}, metrics.get("honest") or {}
    extra: Mapping[str, Any] = manifest.model_extra or {}
    found = {
        "run_id": manifest.run_id,
        "metrics": _scalars(measured),
        "intervals": metrics.get("intervals"),
        "honest": _scalars(honest.get("metrics") or {}),
        "honest_intervals": honest.get("intervals"),
        "per_class": measured.get("per_class"),
        "notes": metrics.get("notes"),
        "leakage": metrics.get("leakage"),
        "best_epoch": metrics.get("best_epoch"),
        "fit_seconds": metrics.get("fit_seconds"),
        "onnx_parity": extra.get("onnx_parity"),
        "views": manifest.views,
        "teachers": manifest.teachers,
        **as_tables(manifest.precisions),
        "architecture": manifest.architecture,
        "preprocessing": manifest.preprocessing,
        "dataset": manifest.dataset,
        "parameters": manifest.parameters,
        "libraries": manifest.libraries,
        "files": [
            {"file": name, "size_bytes": file.size_bytes, "sha256": file.sha256}
            for name, file in sorted(manifest.files.items())
        ],
        "folder": model_url(workspace, manifest.name, manifest.version),
    }
    return {key: value for key, value in found.items() if value not in (None, {}, [])}


def _scalars(metrics: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in metrics.items() if not isinstance(value, Mapping | list)}
