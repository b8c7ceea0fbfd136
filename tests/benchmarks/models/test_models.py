"""The zoo's results read versions as training wrote them, and the page says what it read."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.bench import Bench
from benchmarks.harness.program import run
from benchmarks.models import inputs, render
from benchmarks.models.__main__ import BENCHMARK
from benchmarks.models.inputs import CONTESTANTS, Contestant
from benchmarks.models.sections import contestants
from benchmarks.models.sections.contestants import SHOWN, find_version, read_version
from skinml.lab.synth import make_archive
from tests.conftest import REPOSITORY

LITE = CONTESTANTS["efficientnet-lite0"]
FIGURES = dict.fromkeys(SHOWN, 0.7) | {"ece": 0.02}


def _record(workspace: Path, one: Contestant, seed: int, name: str = "v", **changes: Any) -> Path:
    """A version as `train` leaves it, with made-up figures."""
    folder = workspace / "models" / one.model / f"2026-{name}-{seed}"
    folder.mkdir(parents=True)
    parameters = {"seed": seed, "epochs": 20, "recipe": "fine-tuning", "trainable_parameters": 3_400_000}
    manifest = {
        "protocol": changes.pop("protocol", "grouped"),
        "views": changes.pop("views", one.views),
        "parameters": parameters | changes,
        "libraries": {"keras": "3", "backend": "tensorflow", "onnxruntime": "1"},
        "precisions": {"int8": {"allowed": True, "difference": -0.001, "interval": [-0.004, 0.002]}},
    }
    figures = {name: value + seed / 100 for name, value in FIGURES.items()}
    measured = {
        "metrics": {"images": 1480, **figures},
        "intervals": {name: [value - 0.05, value + 0.05] for name, value in figures.items()},
        "lesions": 1100,
        "fit_seconds": 3600.0 * seed,
        "calibration": {"temperature": 1.25, "test_ece_before": 0.09, "test_ece_after": 0.02},
        "operating_point": {
            "threshold": 0.1234,
            "sensitivity": 0.9,
            "sensitivity_interval": [0.85, 0.94],
            "specificity": 0.8,
            "specificity_interval": [0.75, 0.84],
        },
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "metrics.json").write_text(json.dumps(measured))
    return folder


def test_the_version_of_a_seed_is_found_and_no_other(tmp_path: Path) -> None:
    wanted = _record(tmp_path, LITE, 1)
    _record(tmp_path, LITE, 1, "w", views=1)
    _record(tmp_path, LITE, 1, "x", recipe="plain")
    _record(tmp_path, LITE, 1, "y", protocol="thesis")
    quick = _record(tmp_path, LITE, 1, "z", epochs=1)
    (tmp_path / "models" / LITE.model / "2027-being-written").mkdir()
    assert find_version(tmp_path, LITE, 1, 20) == wanted
    assert find_version(tmp_path, LITE, 1, 1) == quick
    assert find_version(tmp_path, LITE, 2, 20) is None
    assert find_version(tmp_path, LITE, 1, None, 4) is None


@pytest.fixture
def found(tmp_path: Path) -> dict[str, Any]:
    machine = {
        **{"date": "2026-01-01", "processor": "P", "cores": 2, "memory_gb": 4, "system": "S", "python": "3"},
        "libraries": {"keras": "3"},
    }
    figures = {
        one.name: {
            "model": one.model,
            "runs": [read_version(_record(tmp_path, one, seed)) for seed in one.seeds],
        }
        for one in CONTESTANTS.values()
    }
    speeds = {
        LITE.name: {
            "rates": [
                {"views": views, "precision": precision, "images_per_second": rate}
                for views, precision, rate in ((1, "fp32", 150.0), (8, "fp32", 20.0), (8, "int8", 33.0))
            ]
        }
    }
    return {
        "contestants": {"machine": machine, "scale": 1, "figures": figures},
        "speed": {"machine": machine, "scale": 1, "figures": speeds},
    }


def test_page_and_excerpt_say_what_was_recorded_and_what_was_missed(found: dict[str, Any]) -> None:
    page, short = render.section(found), render.short(found)
    assert "| efficientnet-lite0 | 2 | 20 | 8 | 0.720 (0.670-0.770) |" in page
    assert "| efficientnet-lite0: balanced accuracy, mean of 3 seeds | at least 0.78 | 0.720 | **no** |" in page
    assert "| efficientnet-lite0: training one seed | at most 2 hours | 3.00 hours | **no** |" in page
    assert (
        "| efficientnet-lite0: scoring end to end | at least 250 images/s | 33.00 images/s | **no** |" in page
    )
    assert "| linear-probe: balanced accuracy, mean of 1 seed | at least 0.64 | 0.710 | yes |" in page
    assert "| efficientnet-lite0 | 8 | 20 | 33 |" in page
    assert "`train --model efficientnet-lite0 --recipe fine-tuning --views 8`" in short
    assert "0.720 (0.710-0.730)" in short
    assert {name: one["runs"][0]["seed"] for name, one in found["contestants"]["figures"].items()}


def test_a_target_without_figures_is_not_measured(found: dict[str, Any]) -> None:
    del found["speed"], found["contestants"]["figures"]["linear-probe"]
    page = render.section(found)
    assert "| linear-probe: balanced accuracy, mean of 0 seeds | at least 0.64 | not measured | - |" in page
    assert "scoring end to end | at least 250 images/s | not measured | - |" in page
    assert render.section({}) == render.short({}) == render.NOTHING


def test_what_is_recorded_is_read_and_nothing_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contestants, "train", None)
    for seed in LITE.seeds:
        _record(tmp_path, LITE, seed)
    options = Namespace(contestant=[LITE.name], seeds=2, workspace=tmp_path)
    whole = contestants.measure(Bench(tmp_path, options=options))
    assert [one["seed"] for one in whole[LITE.name]["runs"]] == [1, 2]


@pytest.mark.drill
def test_a_trial_on_made_up_images_goes_through_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One seed of one epoch, with its speeds; then it is read, not trained again."""
    archive = make_archive(tmp_path / "archive", 300, seed=3, processes=1)
    one = replace(CONTESTANTS["thesis-cnn"], views=2, images=(16, 64))
    monkeypatch.setitem(inputs.CONTESTANTS, "thesis-cnn", one)
    roots = [part for root in archive.roots for part in ("--images", str(root))]
    flags = [
        "--scale",
        "0.05",
        "--contestant",
        "thesis-cnn",
        "--seeds",
        "1",
        "--cache",
        str(tmp_path / "cache"),
    ]
    arguments = [*flags, *roots, "--metadata", str(archive.metadata)]
    assert run(BENCHMARK, arguments) == 0, sys.stderr
    page = (tmp_path / "cache" / "trial" / "docs" / "zoo-results.md").read_text()
    assert "A trial, not a measurement" in page
    assert "| thesis-cnn | 1 | 1 | 2 |" in page
    versions = list((tmp_path / "cache" / "models" / "models" / "thesis-cnn").iterdir())
    assert len(versions) == 2, "with views, and without for their cost"
    assert run(BENCHMARK, [*arguments, "--only", "contestants"]) == 0
    assert len(list((tmp_path / "cache" / "models" / "models" / "thesis-cnn").iterdir())) == 2
    assert (REPOSITORY / "docs" / "zoo-results.md").exists()
