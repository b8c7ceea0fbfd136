"""The recipe taken apart: versions are paired on the same validation lesions, and the page says it."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.harness.bench import Bench
from benchmarks.harness.program import run
from benchmarks.recipe import render
from benchmarks.recipe.__main__ import BENCHMARK
from benchmarks.recipe.inputs import PARTS
from benchmarks.recipe.sections.parts import compare, find_version, measure
from skinml.lab.synth import make_archive
from skinml.schemas import PREDICTIONS, PROBABILITY_COLUMNS
from skinml.training.settings import NAMED
from tests.unit.report.made_up import predictions, samples

MODEL, EPOCHS = "efficientnet-lite0", 5


def _predictions(right: float, seed: int) -> pd.DataFrame:
    """Validation rows of which about this share is right."""
    rows = predictions(samples()).assign(split="val")
    generator = np.random.default_rng(seed)
    truth = pd.factorize(rows["dx"], sort=True)[0]
    said = np.where(generator.random(len(rows)) < right, truth, (truth + 1) % 7)
    rows[list(PROBABILITY_COLUMNS)] = np.eye(7)[said] * 0.93 + 0.01
    return rows.sort_values("image_id", ignore_index=True)


def _record(workspace: Path, part: str | None, seed: int, right: float, **changes: Any) -> Path:
    """A version with this part switched off, as `train` leaves it."""
    folder = workspace / "models" / MODEL / f"2026-{part}-{seed}-{len(changes)}"
    folder.mkdir(parents=True)
    settings = NAMED["fine-tuning"].settings.to_json()
    assert all(settings[name] for name in PARTS), "each part is in the recipe"
    settings |= {part: 0.0} if part else {}
    parameters = {"recipe": "fine-tuning", "seed": seed, "epochs": EPOCHS, "settings": settings} | changes
    (folder / "manifest.json").write_text(json.dumps({"parameters": parameters}))
    rows = pa.Table.from_pandas(_predictions(right, seed), PREDICTIONS, preserve_index=False)
    pq.write_table(rows, folder / "predictions.parquet")
    return folder


def test_the_version_without_a_part_is_found_and_no_other(tmp_path: Path) -> None:
    whole, without = _record(tmp_path, None, 1, 0.9), _record(tmp_path, "mixup", 1, 0.5)
    _record(tmp_path, None, 2, 0.9, epochs=20)
    assert find_version(tmp_path, MODEL, None, 1, EPOCHS) == whole
    assert find_version(tmp_path, MODEL, "mixup", 1, EPOCHS) == without
    assert find_version(tmp_path, MODEL, "cutout", 1, EPOCHS) is None
    assert find_version(tmp_path, MODEL, None, 2, EPOCHS) is None


def test_a_part_that_helps_is_told_from_one_that_does_nothing() -> None:
    whole = [_predictions(0.9, seed) for seed in (1, 2, 3)]
    helps = compare(whole, [_predictions(0.5, seed) for seed in (1, 2, 3)])
    assert render.verdict(helps) == "helps"
    low, high = helps["interval"]
    assert low < helps["difference"] < high
    assert render.verdict(compare([_predictions(0.5, 1)], [_predictions(0.9, 1)])) == "harms"
    same = compare(whole, whole)
    assert (same["difference"], same["interval"]) == (0.0, [0.0, 0.0])
    assert render.verdict(same) == "nothing that could be shown"
    assert render.verdict({**helps, "seeds": [0.4, -0.1, 0.4]}) == "nothing that could be shown"


def test_recorded_versions_are_read_and_the_page_says_what_they_show(tmp_path: Path) -> None:
    for seed in (1, 2):
        _record(tmp_path, None, seed, 0.9)
        _record(tmp_path, "mixup", seed, 0.5)
    options = Namespace(workspace=tmp_path, model=MODEL, epochs=EPOCHS, seeds=2, off=["mixup"], images=None)
    figures = json.loads(json.dumps(measure(Bench(tmp_path, options=options))))
    machine = {
        **{"date": "2026-01-01", "processor": "P", "cores": 2, "memory_gb": 4, "system": "S", "python": "3"},
        "libraries": {"keras": "3"},
    }
    page = render.section({"parts": {"machine": machine, "scale": 1, "figures": figures}})
    gain = figures["parts"]["mixup"]["difference"]
    assert f"| `--mixup 0` | two images and their labels are mixed | {gain:+.3f} (" in page
    assert page.count("| helps |") == 1
    assert render.section({}) == render.NOTHING


@pytest.mark.drill
def test_a_trial_on_made_up_images_goes_through_all(tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "archive", 300, seed=3, processes=1)
    roots = [part for root in archive.roots for part in ("--images", str(root))]
    flags = ["--scale", "0.5", "--model", "thesis-cnn", "--epochs", "2", "--seeds", "1", "--off", "mixup"]
    arguments = [*flags, "--cache", str(tmp_path / "cache"), *roots, "--metadata", str(archive.metadata)]
    assert run(BENCHMARK, arguments) == 0
    page = (tmp_path / "cache" / "trial" / "docs" / "recipe-results.md").read_text()
    assert "| `--mixup 0` |" in page
    assert len(list((tmp_path / "cache" / "recipe" / "models" / "thesis-cnn").iterdir())) == 2
