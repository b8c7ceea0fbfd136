"""What each contestant reaches: versions that are there are read, the others are trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.harness.bench import Bench, Result, answer, say
from benchmarks.harness.inputs import labelled_folders
from benchmarks.harness.systems import skinml
from benchmarks.models.inputs import Contestant, chosen, epochs_of, seeds_of, workspace_of

SHOWN = (
    "balanced_accuracy",
    "accuracy",
    "macro_auc",
    "melanoma_sensitivity_at_80_specificity",
    "malignant_auc",
    "ece",
)
LIMIT_SECONDS = 6 * 3600.0
"""For one training: three times what it should take."""


def measure(bench: Bench) -> Result:
    """Read the version of every contestant and seed; train those that are missing."""
    workspace = workspace_of(bench)
    found: Result = {}
    for one in chosen(bench):
        runs = []
        for seed in seeds_of(bench, one):
            folder = find_version(workspace, one, seed, epochs_of(bench, one))
            if folder is None:
                train(bench, workspace, one, seed, epochs_of(bench, one), one.views)
                folder = find_version(workspace, one, seed, epochs_of(bench, one))
            if folder is None:
                raise SystemExit(f"{one.name}, seed {seed}: trained, but its manifest says otherwise")
            runs.append(read_version(folder))
            say(f"{one.name}, seed {seed}: {folder.name}, {runs[-1]['metrics']['balanced_accuracy']:.3f}")
        found[one.name] = {"model": one.model, "runs": runs}
    return found


def find_version(
    workspace: Path, one: Contestant, seed: int, epochs: int | None, views: int | None = None
) -> Path | None:
    """The newest version that was trained so, or None.

    Args:
        workspace: a folder.
        one: whose model and recipe.
        seed: of its training.
        epochs: None: any number.
        views: None: those of the contestant.

    """
    for folder in sorted(workspace.glob(f"models/{one.model}/*"), reverse=True):
        if not (folder / "manifest.json").exists():
            continue
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        asked = manifest["parameters"]
        same = manifest["protocol"] == "grouped" and asked.get("seed") == seed
        same &= manifest.get("views", 1) == (views or one.views)
        same &= epochs is None or asked.get("epochs") == epochs
        same &= one.recipe is None or asked.get("recipe", one.recipe) == one.recipe
        if same:
            return folder
    return None


def read_version(folder: Path) -> Result:
    """What one version's files say of it."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    measured = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    networks = manifest["precisions"]
    return {
        "seed": manifest["parameters"]["seed"],
        "epochs": manifest["parameters"].get("epochs"),
        "recipe": manifest["parameters"].get("recipe"),
        "views": manifest.get("views", 1),
        "parameters": manifest["parameters"]["trainable_parameters"],
        "test_images": measured["metrics"]["images"],
        "test_lesions": measured["lesions"],
        "metrics": {name: measured["metrics"][name] for name in SHOWN},
        "intervals": {name: measured["intervals"][name] for name in SHOWN},
        "calibration": measured["calibration"],
        "operating_point": measured["operating_point"],
        "fit_seconds": round(measured["fit_seconds"], 1),
        "int8": {name: networks["int8"].get(name) for name in ("allowed", "difference", "interval")},
        "libraries": {name: manifest["libraries"].get(name) for name in ("keras", "backend", "onnxruntime")},
    }


def train(
    bench: Bench, workspace: Path, one: Contestant, seed: int, epochs: int | None, views: int
) -> dict[str, Any]:
    """Prepare what is missing and train one version; the answer of `train`."""
    images = bench.options.images or labelled_folders()
    if not images:
        raise SystemExit("no images: name HAM10000's two folders with --images and its table with --metadata")
    roots = [part for root in images for part in ("--images", root)]
    flags = [*roots, "--metadata", str(bench.options.metadata), "--for", one.model]
    bench.run(skinml(workspace, "prepare", *flags), limit=LIMIT_SECONDS)
    asked = ["--model", one.model, "--seed", str(seed), "--views", str(views)]
    asked += [] if epochs is None else ["--epochs", str(epochs)]
    asked += [] if one.recipe is None else ["--recipe", one.recipe]
    return answer(bench.run(skinml(workspace, "train", *asked), limit=LIMIT_SECONDS))
