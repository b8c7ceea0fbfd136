"""The thesis's table reads recorded runs as training wrote them, and its page says what it read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.thesis import figures, render
from benchmarks.thesis.sections.seeds import find_run, milestones, read_run
from skinml.evaluation.metrics import measure
from skinml.labels import encode
from skinml.schemas import PREDICTIONS, PROBABILITY_COLUMNS
from tests.unit.report.made_up import predictions, samples

EPOCHS = 8


def _record(workspace: Path, seed: int, epochs: int = EPOCHS, protocol: str = "thesis") -> Path:
    """A version as `train --protocol thesis` leaves it, with made-up figures."""
    folder = workspace / "models" / "thesis-cnn" / f"2026-{protocol}-{seed}-{epochs}"
    folder.mkdir(parents=True)
    generator = np.random.default_rng(seed)
    rows = predictions(samples()).query("split == 'test'")
    tables = {"predictions": rows.assign(draws=1 + np.arange(len(rows)) % 3), "honest-predictions": rows}
    for name, table in tables.items():
        pq.write_table(
            pa.Table.from_pandas(table, PREDICTIONS, preserve_index=False), folder / f"{name}.parquet"
        )
    fits = []
    for table, seen in ((tables["predictions"], 0.55), (tables["honest-predictions"], 0.0)):
        drawn = table.loc[table.index.repeat(table["draws"])]
        history = {
            name: (0.5 + 0.2 * generator.random(epochs)).tolist() for name in ("accuracy", "val_accuracy")
        }
        fits.append(
            {
                "metrics": measure(encode(drawn["dx"]), drawn[list(PROBABILITY_COLUMNS)].to_numpy(np.float64)),
                "leakage": {"image": seen, "lesion": seen},
                "history": {**history, "val_balanced_accuracy": history["val_accuracy"]},
                "fit_seconds": 60.0,
            }
        )
    manifest = {
        "protocol": protocol,
        "parameters": {"epochs": epochs, "seed": seed},
        "dataset": {"samples": 10},
        "libraries": {"keras": "3", "tensorflow": "2", "numpy": "2", "python": "3"},
    }
    (folder / "metrics.json").write_text(json.dumps({**fits[0], "honest": fits[1]}))
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_the_run_of_a_seed_is_found_and_no_other(tmp_path: Path) -> None:
    wanted = _record(tmp_path, 43)
    _record(tmp_path, 43, epochs=9)
    _record(tmp_path, 43, protocol="grouped")
    (tmp_path / "models" / "thesis-cnn" / "2027-being-written").mkdir()
    assert find_run(tmp_path, EPOCHS, 43) == wanted
    assert find_run(tmp_path, EPOCHS, 44) is None
    assert milestones(80) == [50, 60, 70, 80]
    assert milestones(8) == [5, 6, 7, 8]


@pytest.fixture
def found(tmp_path: Path) -> dict[str, Any]:
    runs = [read_run(_record(tmp_path, seed)) for seed in (42, 43)]
    machine = {
        **{"date": "2026-01-01", "processor": "P", "cores": 2, "memory_gb": 4, "system": "S", "python": "3"},
        "libraries": {"keras": "3"},
    }
    part = {"machine": machine, "scale": 1, "figures": {"epochs": EPOCHS, "milestones": [5, 8], "runs": runs}}
    return {"seeds": part}


def test_the_last_figures_count_an_image_as_often_as_it_was_drawn(
    found: dict[str, Any], tmp_path: Path
) -> None:
    for run, seed in zip(found["seeds"]["figures"]["runs"], (42, 43), strict=True):
        recorded = json.loads(next(tmp_path.glob(f"models/*/*-{seed}-*/metrics.json")).read_text())
        for fit, one in (("thesis", recorded), ("honest", recorded["honest"])):
            assert run[fit]["images"] == one["metrics"]["images"]
            assert run[fit]["last"]["balanced_accuracy"] == pytest.approx(one["metrics"]["balanced_accuracy"])
            low, high = run[fit]["intervals"]["balanced_accuracy"]
            assert low < run[fit]["last"]["balanced_accuracy"] < high
        assert run["thesis"]["images"] > run["thesis"]["distinct_images"] == run["honest"]["images"]


def test_page_and_excerpt_say_what_was_recorded(found: dict[str, Any]) -> None:
    page, short = render.section(found), render.short(found)
    for run in found["seeds"]["figures"]["runs"]:
        for epoch in (5, 8):
            assert f"{run['thesis']['curves']['accuracy'][epoch - 1]:.3f}" in page
    values = [run["honest"]["curves"]["accuracy"][7] for run in found["seeds"]["figures"]["runs"]]
    assert f"({min(values):.3f}-{max(values):.3f})" in short
    assert "| thesis protocol |" in page
    assert "55% | 55%" in page
    low = min(run["thesis"]["curves"]["accuracy"][epoch - 1] for run in found["seeds"]["figures"]["runs"]
              for epoch in (5, 8))  # fmt: skip
    assert ("all do" in page) == (low >= 0.70), "what is missed is said"


def test_the_figures_are_drawn(found: dict[str, Any], tmp_path: Path) -> None:
    figures.draw(found, tmp_path)
    for name in (figures.BY_EPOCH, figures.BY_CLASS):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
