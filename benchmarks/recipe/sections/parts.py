"""Train the recipe with all parts and without each, read what is there, and pair them on validation lesions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from benchmarks.harness.bench import Bench, Result, say
from benchmarks.harness.inputs import labelled_folders
from benchmarks.harness.systems import skinml
from benchmarks.recipe.inputs import EPOCHS, PARTS, SEEDS
from skinml.evaluation.bootstrap import number_lesions, percentile_interval, resample
from skinml.evaluation.weighted import Predictions, figures, gather
from skinml.labels import encode
from skinml.schemas import PROBABILITY_COLUMNS

RECIPE = "fine-tuning"
FIGURE = "balanced_accuracy"
LIMIT_SECONDS = 6 * 3600.0


def measure(bench: Bench) -> Result:
    """The difference that each part makes, over all seeds."""
    workspace = (bench.options.workspace or bench.cache / "recipe").resolve()
    epochs = bench.options.epochs or max(1, round(EPOCHS * bench.scale))
    seeds = SEEDS[: bench.options.seeds]
    whole = [read_validation(_version(bench, workspace, None, seed, epochs)) for seed in seeds]
    rows = {}
    for part in bench.options.off or PARTS:
        without = [read_validation(_version(bench, workspace, part, seed, epochs)) for seed in seeds]
        rows[part] = compare(whole, without)
        say(f"{part}: {rows[part]['difference']:+.3f}")
    counted = {"images": len(whole[0]), "lesions": int(whole[0]["lesion_id"].nunique())}
    recipe = [_balanced_accuracy(_predictions(one)) for one in whole]
    return {
        "model": bench.options.model,
        "epochs": epochs,
        "seeds": seeds,
        **counted,
        "whole": recipe,
        "parts": rows,
    }


def compare(whole: Sequence[pd.DataFrame], without: Sequence[pd.DataFrame]) -> Result:
    """How much balanced accuracy a part is worth: the recipe less the recipe without it, mean of the seeds.

    Lesions are resampled, the same ones for all networks, so that what all find hard cancels out. The interval
    says what other lesions would change; the differences of the seeds stand beside it, because it does not say
    what other seeds would.

    Args:
        whole: validation predictions (`schemas.PREDICTIONS`) of each seed, in one order of images.
        without: those without the part, of the same seeds.

    """
    count = len(whole)
    several = [_predictions(one) for one in (*whole, *without)]
    values = [found[FIGURE,] for found in resample(several, seed=0, ranked=())]
    of_each = [
        _balanced_accuracy(one) - _balanced_accuracy(other)
        for one, other in zip(several[:count], several[count:], strict=True)
    ]
    interval = percentile_interval(np.mean(values[:count], axis=0) - np.mean(values[count:], axis=0))
    return {
        "difference": float(np.mean(of_each)),
        "interval": list(interval) if interval else None,
        "seeds": [round(one, 4) for one in of_each],
    }


def find_version(workspace: Path, model: str, part: str | None, seed: int, epochs: int) -> Path | None:
    """The newest version with this part switched off and no other (None: none at all), or None."""
    for folder in sorted(workspace.glob(f"models/{model}/*"), reverse=True):
        if not (folder / "manifest.json").exists():
            continue
        asked = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["parameters"]
        settings = {**asked, **asked.get("settings", {})}
        off = {name for name in PARTS if not settings.get(name)}
        same = (asked.get("recipe"), asked.get("seed"), asked.get("epochs")) == (RECIPE, seed, epochs)
        if same and off == ({part} if part else set()):
            return folder
    return None


def read_validation(folder: Path) -> pd.DataFrame:
    """The validation images of a version with their probabilities, in order of image_id."""
    rows: pd.DataFrame = pq.read_table(folder / "predictions.parquet").to_pandas()
    return rows[rows["split"] == "val"].sort_values("image_id", ignore_index=True)


def _predictions(rows: pd.DataFrame) -> Predictions:
    probabilities = rows[list(PROBABILITY_COLUMNS)].to_numpy(np.float64)
    return gather(encode(rows["dx"]), probabilities, number_lesions(rows["lesion_id"].tolist()))


def _balanced_accuracy(predictions: Predictions) -> float:
    ones = np.ones((len(predictions.sums), 1), np.float32)
    return float(figures(predictions, ones, ())[FIGURE,][0])


def _version(bench: Bench, workspace: Path, part: str | None, seed: int, epochs: int) -> Path:
    """The version with this part switched off; it is trained where it is missing."""
    model = bench.options.model
    folder = find_version(workspace, model, part, seed, epochs)
    if folder is not None:
        return folder
    images = bench.options.images or labelled_folders()
    if not images:
        raise SystemExit("no images: name HAM10000's two folders with --images and its table with --metadata")
    say(f"training without {part or 'nothing'}, seed {seed} ...")
    roots = [flag for root in images for flag in ("--images", root)]
    prepare = [*roots, "--metadata", str(bench.options.metadata), "--for", model]
    bench.run(skinml(workspace, "prepare", *prepare), limit=LIMIT_SECONDS)
    asked = ["--model", model, "--recipe", RECIPE, "--seed", str(seed), "--epochs", str(epochs)]
    asked += [f"--{part}", "0"] if part else []
    bench.run(skinml(workspace, "train", *asked), limit=LIMIT_SECONDS)
    folder = find_version(workspace, model, part, seed, epochs)
    if folder is None:
        raise SystemExit(f"without {part or 'nothing'}, seed {seed}: trained, but its manifest says otherwise")
    return folder
