"""The search flow: trials are taken over, failures are rows, the best is registered once and never promoted."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dask
import pandas as pd
import psutil
import pytest
from distributed import LocalCluster

from skinml import tables
from skinml.compute.local import LOCAL_CLUSTER
from skinml.models import registry
from skinml.search import program
from skinml.search.trials import JOB
from tests.command import CommandLine
from tests.services.processes import wait_for

ASKED = ("--epochs", 1, "--per-class", 5, "--max-multiply-adds", 3)


@pytest.fixture(scope="module")
def threads() -> Iterator[str]:
    """The address of a cluster whose worker is a thread of this process."""
    with dask.config.set(LOCAL_CLUSTER):
        cluster = LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            processes=False,
            protocol="tcp",
            host="127.0.0.1",
            scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
            silence_logs=logging.CRITICAL,
        )
    with cluster:
        yield str(cluster.scheduler_address)


@pytest.fixture
def fitted(threads: str, jobs_here: None, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Trials run in this process; the numbers of those that were fitted. Trial 2 fails.

    That they run in processes of their own is shown in tests/unit/search/test_fit_trial.py.
    """
    numbers: list[int] = []

    def here(module: str, text: str, on_line: Callable[[str], None], environment: object) -> tuple[int, str]:
        job = JOB.validate_json(text)
        numbers.append(job.number)
        if job.number == 2:
            return -9, ""
        on_line(json.dumps(program.answer(job)))
        return 0, ""

    monkeypatch.setattr("skinml.search.run_trial.run_program", here)
    monkeypatch.setenv("SKINML_CLUSTER", threads)
    return numbers


@pytest.fixture
def prepared(trained: Path, tmp_path: Path) -> Path:
    """A workspace with samples and without a model."""
    workspace = tmp_path / "workspace"
    shutil.copytree(trained, workspace)
    shutil.rmtree(workspace / "models")
    shutil.rmtree(workspace / "promotions")
    return workspace


def test_a_search_registers_the_best_network_and_continues_with_what_is_finished(
    prepared: Path, fitted: list[int], skinml: CommandLine
) -> None:
    search = ("--workspace", prepared, "search", *ASKED, "--trials")
    result = skinml(*search, 2).result

    assert sorted(fitted) == [0, 1, 2]
    assert (result["done"], result["failed"], result["taken_over"]) == (1, 1, 0)
    rows = {row["trial"]: row for row in result["trials"]}
    assert rows[2]["reason"].startswith("its process was ended by SIGKILL")
    assert result["best"]["trial"] == 1
    assert result["thesis"]["parameters"] == 384_455

    manifest = registry.find(str(prepared), result["model_version"])
    assert manifest.name == "searched-cnn"
    assert f"searched-cnn:{manifest.architecture['structure']}" == result["best"]["model"]
    assert {"trials.parquet", "model.keras", "model.onnx", "head.npz"} <= manifest.files.keys()
    assert not (prepared / "models" / "champion.json").exists(), "not even the first champion"
    _check_table([Path(file) for file in result["files"]], 2)

    fitted.clear()
    again = skinml(*search, 2).result
    assert fitted == []
    assert again["taken_over"] == 2
    assert again["model_version"] == result["model_version"], "test lesions are not read again"
    assert again["metrics"] == result["metrics"]

    # As after a kill: trial 1 and the record of the version are gone, and one more trial is wanted.
    [folder] = (prepared / "search").iterdir()
    before = json.loads((folder / "trial-0001.json").read_text())
    (folder / "trial-0001.json").unlink()
    more: dict[str, Any] = skinml(*search, 3).result
    assert sorted(fitted) == [1, 3]
    after = json.loads((folder / "trial-0001.json").read_text())
    # Not its figures: in this process Dask's threads draw from the generator that Keras takes its seeds from.
    assert (after["values"], after["model"]) == (before["values"], before["model"])
    assert (more["done"], more["failed"], more["taken_over"]) == (2, 1, 1)
    runs = tables.read(str(prepared), "runs").to_pandas()
    assert runs.loc[runs["flow"] == "search", "status"].tolist() == ["completed"] * 3
    assert not list(prepared.glob("under_way/*"))


def _check_table(files: list[Path], trials: int) -> None:
    csv, parquet = files
    table = pd.read_parquet(parquet)
    assert table["trial"].tolist() == list(range(trials + 1))
    assert table["status"].value_counts().sum() == trials + 1
    assert pd.read_csv(csv)["multiply_adds"].tolist() == table["multiply_adds"].tolist()


def test_a_search_in_which_every_trial_fails_is_a_failed_run_and_is_not_repeated(
    prepared: Path, fitted: list[int], skinml: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skinml.search.run_trial.run_program", lambda *_: (1, "ImportError: no keras"))
    answer = skinml("--workspace", prepared, "search", *ASKED, "--trials", 2, expect=1)
    assert (
        "none of 2 trials could be measured; the first one: its process ended with exit code 1" in answer.stderr
    )
    assert not list(prepared.glob("models/*"))


def test_a_class_without_a_training_lesion_is_refused_and_nothing_is_written(
    prepared: Path, skinml: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = tables.read

    def without_df(*arguments: Any, **more: Any) -> Any:
        found = read(*arguments, **more)
        return (
            found.filter([dx != "df" for dx in found["dx"].to_pylist()])
            if "dx" in found.column_names
            else found
        )

    monkeypatch.setattr(tables, "read", without_df)
    before = sorted(prepared.rglob("*"))
    refused = skinml("--workspace", prepared, "search", expect=2)
    assert "no lesion of df" in refused.stderr
    assert sorted(prepared.rglob("*")) == before


@pytest.mark.parametrize(
    ("flag", "value"), [("--trials", 0), ("--per-class", 0), ("--max-multiply-adds", 0.01)]
)
def test_numbers_that_make_no_search_are_refused(
    prepared: Path, skinml: CommandLine, flag: str, value: float
) -> None:
    refused = skinml("--workspace", prepared, "search", flag, value, expect=2)
    assert flag in refused.stderr
    assert not (prepared / "search").exists()


@pytest.mark.drill
@pytest.mark.timeout(1800)
def test_a_search_that_is_killed_for_real_continues(prepared: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "skinml",
        "--json",
        "--workspace",
        str(prepared),
        "search",
        "--workers",
        "2",
    ]
    command += [str(one) for one in (*ASKED, "--trials", 3)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as first:
        wait_for(lambda: bool(list(prepared.glob("search/*/trial-*.json"))), seconds=900, what="a trial")
        children = psutil.Process(first.pid).children(recursive=True)
        first.kill()
    _, alive = psutil.wait_procs(children, timeout=60)
    assert not alive, "the trials end with the run"
    left = {path: path.stat().st_mtime_ns for path in prepared.glob("search/*/trial-*.json")}

    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["done"] + result["failed"] == 3
    assert result["taken_over"] == len([path for path in left if path.name != "trial-0000.json"])
    assert {path: path.stat().st_mtime_ns for path in left} == left, "what was finished is not fitted again"
