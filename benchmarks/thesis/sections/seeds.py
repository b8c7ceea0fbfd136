"""The thesis's recipe with several seeds: fit what is not recorded yet, read what is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from benchmarks.harness.bench import Bench, Result, answer, say
from benchmarks.harness.inputs import labelled_folders
from benchmarks.harness.systems import skinml, skinml_prepare
from benchmarks.thesis.inputs import EPOCHS, MILESTONES, SEEDS
from skinml.evaluation.intervals import measure_with_intervals
from skinml.labels import encode
from skinml.schemas import PROBABILITY_COLUMNS

HEADLINE = ("accuracy", "balanced_accuracy", "macro_auc", "melanoma_sensitivity")
CURVES = {"accuracy": "training", "val_accuracy": "accuracy", "val_balanced_accuracy": "balanced_accuracy"}
"""Values of a fit's history, and what the record calls them; validation is the test set in both recipes."""


def measure(bench: Bench) -> Result:
    """Read the run of every seed; fit those that are missing. A trial fits for fewer epochs."""
    workspace = (bench.options.workspace or bench.cache / "thesis").resolve()
    epochs = max(1, round(EPOCHS * bench.scale))
    rows = []
    for seed in SEEDS:
        folder = find_run(workspace, epochs, seed)
        if folder is None:
            version = _fit(bench, workspace, epochs, seed)
            folder = workspace / "models" / "thesis-cnn" / version
        rows.append(read_run(folder))
        say(f"seed {seed}: {folder.name}")
    return {"epochs": epochs, "milestones": milestones(epochs), "runs": rows}


def milestones(epochs: int) -> list[int]:
    """The epochs to show: the thesis's, or in a trial the same fractions of fewer."""
    return sorted({max(1, epochs * one // EPOCHS) for one in MILESTONES})


def find_run(workspace: Path, epochs: int, seed: int) -> Path | None:
    """The newest version in a workspace that was trained so, or None."""
    for folder in sorted(workspace.glob("models/thesis-cnn/*"), reverse=True):
        if not (folder / "manifest.json").exists():
            continue
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        asked = manifest["parameters"]
        if manifest["protocol"] == "thesis" and (asked["epochs"], asked["seed"]) == (epochs, seed):
            return folder
    return None


def read_run(folder: Path) -> Result:
    """What one version's files say of its run: curves, leakage, and figures with intervals at the end."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    measured = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    return {
        "seed": manifest["parameters"]["seed"],
        "samples": manifest["dataset"]["samples"],
        "libraries": {name: manifest["libraries"][name] for name in ("keras", "tensorflow", "numpy")},
        "thesis": _fit_of(measured, folder / "predictions.parquet"),
        "honest": _fit_of(measured["honest"], folder / "honest-predictions.parquet"),
    }


def _fit_of(measured: dict[str, Any], predictions: Path) -> Result:
    history = measured["history"]
    rows = pq.read_table(predictions).to_pandas()
    drawn = rows.loc[rows.index.repeat(rows["draws"])]  # an image counts as often as the thesis draws it
    metrics, intervals = measure_with_intervals(
        encode(drawn["dx"]),
        drawn["lesion_id"].tolist(),
        drawn[list(PROBABILITY_COLUMNS)].to_numpy(),
    )
    return {
        "images": len(drawn),
        "distinct_images": len(rows),
        "lesions": int(rows["lesion_id"].nunique()),
        "leakage": measured["leakage"],
        "curves": {new: [round(value, 4) for value in history[old]] for old, new in CURVES.items()},
        "last": {name: metrics[name] for name in HEADLINE},
        "intervals": {name: intervals[name] for name in HEADLINE},
        "sensitivity": {name: one["sensitivity"] for name, one in metrics["per_class"].items()},
        "minutes": round(measured["fit_seconds"] / 60, 1),
    }


def _fit(bench: Bench, workspace: Path, epochs: int, seed: int) -> str:
    """Prepare the images once, and train on them; the version."""
    images = bench.options.images or labelled_folders()
    if not images:
        raise SystemExit("no images: name HAM10000's two folders with --images and its table with --metadata")
    more = [part for root in images[1:] for part in ("--images", root)]
    bench.run(
        skinml_prepare(workspace, images[0], bench.options.metadata, bench.size, *more, "--decode", "exact")
    )
    flags = ["--protocol", "thesis", "--epochs", str(epochs), "--seed", str(seed)]
    version: str = answer(bench.run(skinml(workspace, "train", *flags)))["model_version"]
    return version
