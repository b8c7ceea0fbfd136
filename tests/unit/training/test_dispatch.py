"""Tests of skinml/training/dispatch.py: a job gives the same here and where only the bucket is shared."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skinml.errors import RequestError, RunError
from skinml.storage.objects import names, read_bytes, write_bytes
from skinml.training import dispatch
from skinml.training.checkpoints import forget
from skinml.training.dispatch import run_job
from skinml.training.jobs import FINISH, FIT, FitJob
from skinml.training.results import REPORT, FitResult
from skinml.training.settings import PLAIN
from tests.conftest import REPOSITORY
from tests.services.seaweedfs import ObjectStore
from tests.unit.compute import clusters
from tests.unit.training.datasets import finish_job, fit_job, inputs_of, write_shards

LABELS = (np.arange(126) % 7).astype(np.int64)

ELSEWHERE = """
import pathlib, sys
from skinml.training import dispatch
from skinml.training.checkpoints import forget
kind, job, scratch, hidden = sys.argv[1:]
assert not pathlib.Path(hidden).exists(), "sees the folders of the machine that asks"
print("answer " + getattr(dispatch, kind)((job, scratch), print))
"""


def _job(workspace: str) -> FitJob:
    """126 images in three shards; 70 to fit on, 28 and 28 held out."""
    noise = np.random.default_rng(0).normal(0, 20, (126, 32, 32, 3))
    pixels = (noise + 20 + 35 * LABELS[:, None, None, None]).clip(0, 255).astype(np.uint8)
    shards = write_shards(workspace, pixels, [50, 100])
    inputs = inputs_of(shards, LABELS, np.arange(70), np.arange(70, 98), np.arange(98, 126))
    return fit_job(workspace, inputs, epochs=2, export=True, settings=PLAIN)


def _run_elsewhere(kind: str, text: str, machine: Path, hidden: Path, store: ObjectStore) -> str:
    """Another machine's process: its own folder, temporary folder and home; `hidden` is not there."""
    (machine / "tmp").mkdir(exist_ok=True)
    command = [sys.executable, "-c", ELSEWHERE, kind, text, str(machine / "copies"), str(hidden)]
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(REPOSITORY),
        "HOME": str(machine),
        "TMPDIR": str(machine / "tmp"),
        **store.environment(),
    }
    away = hidden.rename(hidden.with_name(f"{hidden.name}-away"))
    try:
        done = subprocess.run(
            command, cwd=machine, env=environment, capture_output=True, text=True, check=False
        )
    finally:
        away.rename(hidden)
    assert done.returncode == 0, done.stderr[-2000:]
    left = {path.name for path in (machine / "tmp").iterdir()}
    assert left <= {"__pycache__"}, "TensorFlow's own"
    return done.stdout.rpartition("answer ")[2].strip()


def _numbers(value: Any, path: str = "") -> dict[str, Any]:
    """Every number and text of a JSON document by its path."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return {name: leaf for key, one in items for name, leaf in _numbers(one, f"{path}/{key}").items()}
    return {path: value}


@dataclass(frozen=True)
class Done:
    """A job of two epochs that was run here, in a process of its own, and the epochs that it told."""

    job: FitJob
    scratch: Path
    result: FitResult
    epochs: list[int]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """One fit that others are compared with: a process that loads TensorFlow takes 8 s of CPU time."""
    folder = tmp_path_factory.mktemp("ours")
    job, epochs = _job(str(folder / "workspace")), list[int]()
    result = run_job(job, folder / "scratch", lambda epoch, _: epochs.append(epoch))
    return Done(job, folder / "scratch", result, epochs)


def test_a_job_runs_in_a_process_of_its_own_and_tells_its_epochs(here: Done) -> None:
    assert here.epochs == [1, 2]
    assert here.result.probabilities.shape == (28, 7)
    assert "tensorflow" in here.result.libraries
    assert not here.scratch.exists(), "a folder's shards are mapped where they lie"
    assert names(here.job.results) == sorted(here.result.files)


def test_a_machine_that_shares_only_the_bucket_gives_the_same(
    here: Done, bucket: str, opened: ObjectStore, tmp_path_factory: pytest.TempPathFactory
) -> None:
    ours, machine = here.scratch.parent, tmp_path_factory.mktemp("machine")
    finishing = finish_job(here.job, here.result.files["model.onnx"].sha256)
    finished = run_job(finishing, here.scratch)

    there = _job(f"{bucket}/workspace")
    text = FIT.dump_json(there).decode()
    assert str(ours) not in text
    report = REPORT.validate_json(_run_elsewhere("fit", text, machine, ours, opened))
    assert report.history == here.result.history
    assert read_bytes(f"{there.results}/probabilities.npy") == read_bytes(
        f"{here.job.results}/probabilities.npy"
    )
    assert len(list((machine / "copies").rglob("*.npy"))) == 3

    text = FINISH.dump_json(finish_job(there, report.files["model.onnx"].sha256)).decode()
    found = json.loads(_run_elsewhere("finish", text, machine, ours, opened))
    assert found["precisions"] == finished.to_json()
    reference = "-finished/reference.json"
    made, same = (_numbers(json.loads(read_bytes(f"{job.results}{reference}"))) for job in (there, here.job))
    # Not to the bit: BLAS and onnxruntime add up in the order in which their threads come.
    assert made == pytest.approx(same, rel=1e-4, abs=1e-6)
    left = names(f"{there.results}-finished")
    made_by_finish = ["model-int8.onnx", "model.onnx", "probabilities.npy", "reference.json"]
    assert left == [*made_by_finish, "training-features.npz", "validation.npy"]


@pytest.mark.slow
def test_a_worker_with_a_gpu_fits_and_gives_the_same(here: Done, tmp_path: Path) -> None:
    epochs: list[int] = []
    there = replace(here.job, results=f"{here.job.results}-there", export=False)
    forget(here.job)  # otherwise it would continue what is finished
    with clusters.scheduler(tmp_path) as scheduler:
        flags = ["--nanny", "--resources", "GPU=1"]
        with clusters.worker(
            scheduler.address, tmp_path, flags=flags, environment={"PYTHONPATH": str(REPOSITORY)}
        ):
            clusters.wait_for_workers(scheduler.address, 1)
            found = run_job(there, tmp_path / "none", lambda epoch, _: epochs.append(epoch), scheduler.address)
            with pytest.raises(RequestError, match="no architecture is called 'vgg16'"):
                run_job(replace(there, architecture="vgg16"), tmp_path, cluster=scheduler.address)
    assert epochs == [1, 2]
    assert found.history == here.result.history
    np.testing.assert_array_equal(found.probabilities, here.result.probabilities)


def test_what_a_job_refuses_is_refused_here(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no architecture is called 'vgg16'"):
        run_job(replace(_job(str(tmp_path)), architecture="vgg16"), tmp_path)


def test_probabilities_are_believed_only_if_they_are_what_the_job_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = replace(_job(str(tmp_path)), export=False)
    answer = dispatch.fit((FIT.dump_json(job).decode(), str(tmp_path / "scratch")), lambda *_: None)
    monkeypatch.setattr(dispatch, "run_in_process", lambda *_: answer)
    assert run_job(job, tmp_path).probabilities.shape == (28, 7)
    write_bytes(f"{job.results}/probabilities.npy", b"something else")
    with pytest.raises(RunError, match=r"probabilities.npy: has 14 bytes that are not the [\d,]+ that its job"):
        run_job(job, tmp_path)
