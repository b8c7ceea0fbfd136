"""The notebook: its cells run on a workspace, and it holds nothing of anybody's workspace."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from skinml.labels import DIAGNOSES
from skinml.schemas import PROBABILITY_COLUMNS
from tests.conftest import REPOSITORY

NOTEBOOK = REPOSITORY / "docs" / "notebooks" / "reading-scores.ipynb"


def cells(kind: str) -> list[str]:
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == kind]


@pytest.fixture
def two_models(night: Path) -> Path:
    """The scored workspace with a second version, which is wrong more often."""
    [manifest] = night.glob("models/*/*/manifest.json")
    other = manifest.parent.with_name("99990101T000000Z-000000")
    shutil.copytree(manifest.parent, other)
    about = json.loads(manifest.read_text(encoding="utf-8"))
    (other / "manifest.json").write_text(json.dumps(about | {"version": other.name}), encoding="utf-8")
    rows = pd.read_parquet(other / "predictions.parquet")
    rows[list(PROBABILITY_COLUMNS)] = np.eye(len(DIAGNOSES))[(rows.index.to_numpy() * 3) % len(DIAGNOSES)]
    rows.to_parquet(other / "predictions.parquet")
    return night


@pytest.fixture
def _no_window() -> Iterator[None]:
    before = mpl.get_backend()
    plt.switch_backend("agg")
    yield
    plt.close("all")
    plt.switch_backend(before)


@pytest.mark.filterwarnings("ignore:The inplace keyword in DataFrame.drop")  # DuckDB's, with pandas 3.1
@pytest.mark.usefixtures("_no_window")
def test_its_cells_run_and_show_the_night_and_both_models(
    two_models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SKINML_WORKSPACE", str(two_models))
    seen: dict[str, Any] = {}
    for cell in cells("code"):
        exec(compile(cell, NOTEBOOK.name, "exec"), seen)  # noqa: S102
    night = seen["night"]
    assert len(night) == 3
    assert night["p_malignant"].is_monotonic_decreasing
    assert [row["run_id"] for row in seen["nights"].to_dict("records")] == [seen["run_id"]]
    assert len(seen["versions"]) == 2
    compared = seen["compared"]
    assert compared.index[1] == "99990101T000000Z-000000"
    assert (seen["a"].index == seen["b"].index).all()
    assert 0 < seen["changed"] <= len(seen["both"])
    assert len(plt.get_fignums()) == 2
    assert "the two disagree on" in capsys.readouterr().out


def test_it_is_committed_without_outputs() -> None:
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert not [cell for cell in notebook["cells"] if cell.get("outputs") or cell.get("execution_count")]
    assert "not a medical device" in cells("markdown")[0]


@pytest.mark.drill
def test_jupyter_runs_it(two_models: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With a kernel of its own, as a reader does: 10 s."""
    import nbclient
    import nbformat.v4

    monkeypatch.setenv("SKINML_WORKSPACE", str(two_models))
    for variable in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR"):
        monkeypatch.setenv(variable, str(tmp_path / variable.lower()))
    notebook = nbformat.v4.reads(NOTEBOOK.read_text(encoding="utf-8"))  # type: ignore[no-untyped-call]
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute(cwd=str(tmp_path))
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    kinds = [kind for output in outputs for kind in output.get("data", {})]
    assert kinds.count("image/png") == 2
    assert kinds.count("text/html") >= 5
