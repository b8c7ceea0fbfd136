"""Tests of skinml/training/checkpoints.py: a fit that was killed for real ends with the same weights."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from skinml.errors import StorageError
from skinml.layout import checkpoints_url
from skinml.storage.objects import names
from skinml.training import checkpoints
from skinml.training.checkpoints import checkpoint_url, forget, key_of, load, save, saved_epochs
from skinml.training.epochs import Course
from skinml.training.fit import fit
from skinml.training.jobs import FIT, FitJob
from skinml.training.settings import NAMED, THESIS
from tests.conftest import REPOSITORY
from tests.unit.training.datasets import fit_job, inputs_of, write_shards

LABELS = (np.arange(112) % 7).astype(np.int64)
SETTINGS = replace(NAMED["fine-tuning"].settings, keep="best")
"""Head first, schedule, average, augmentation by workers, and a best epoch that may not be the last."""


def _job(workspace: Path) -> FitJob:
    """112 images in two shards; 64 to fit on."""
    noise = np.random.default_rng(0).normal(0, 20, (112, 32, 32, 3))
    pixels = (noise + 20 + 35 * LABELS[:, None, None, None]).clip(0, 255).astype(np.uint8)
    shards = write_shards(str(workspace), pixels, [50])
    inputs = inputs_of(shards, LABELS, np.arange(64), np.arange(64, 88), np.arange(88, 112))
    return fit_job(str(workspace), inputs, settings=SETTINGS, epochs=4, batch_size=32)


def _ignore(epoch: int, values: dict[str, float]) -> None:
    """Nobody listens."""


def _kill_after(job: FitJob, epochs: int) -> None:
    """Fit in a process of its own, as a cluster's worker does, and kill it once so many epochs were told."""
    command = [sys.executable, "-m", "skinml.training.program"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(FIT.dump_json(job) + b"\n")
        process.stdin.flush()
        for line in process.stdout:
            if json.loads(line).get("epoch") == epochs:
                break
        process.kill()


def test_a_killed_fit_continues_and_ends_with_the_same_weights(tmp_path: Path) -> None:
    disturbed, undisturbed = _job(tmp_path / "one"), _job(tmp_path / "two")
    _kill_after(disturbed, 2)
    assert saved_epochs(disturbed) >= 2
    told, said = list[int](), list[str]()
    found = fit(disturbed, tmp_path / "copies", lambda epoch, _: told.append(epoch), said.append)
    expected = fit(undisturbed, tmp_path / "copies", _ignore)
    assert told == [*range(5 - len(told), 5)]
    assert len(told) < 3
    assert said == [f"the fit continues after epoch {4 - len(told)} of 4"]
    assert found.history == expected.history
    assert found.best_epoch == expected.best_epoch
    np.testing.assert_array_equal(found.probabilities, expected.probabilities)
    assert saved_epochs(disturbed) == 4
    assert len(names(checkpoint_url(disturbed))) == 2, "older epochs are removed"

    again = fit(disturbed, tmp_path / "copies", lambda epoch, _: told.append(-epoch), said.append)
    np.testing.assert_array_equal(again.probabilities, expected.probabilities)
    assert min(told) > 0, "nothing was fitted again"


@pytest.fixture
def job(tmp_path: Path) -> FitJob:
    return replace(_job(tmp_path / "workspace"), settings=THESIS)


def _course(epochs: int) -> Course:
    return Course({"loss": [1.5] * epochs}, [np.ones(3)], kept_epoch=1)


STATE = {"network-0": np.arange(6.0).reshape(2, 3), "optimiser-0": np.array(7, np.int64)}


def test_what_is_saved_is_loaded(job: FitJob) -> None:
    said: list[str] = []
    for epochs in (1, 2, 3):
        save(job, _course(epochs), STATE, "tensorflow", said.append)
    saved = load(job, said.append)
    assert saved is not None
    assert (saved.course.history, saved.course.kept_epoch, saved.backend) == (
        {"loss": [1.5] * 3},
        1,
        "tensorflow",
    )
    assert saved.course.kept is not None
    np.testing.assert_array_equal(saved.course.kept[0], np.ones(3))
    assert saved.state.keys() == STATE.keys()
    for name, value in STATE.items():
        np.testing.assert_array_equal(saved.state[name], value)
        assert saved.state[name].dtype == value.dtype
    assert names(checkpoint_url(job)) == ["checkpoint.json", "epoch-00003.npz"]
    assert said == []
    forget(job)
    assert names(checkpoints_url(job.workspace)) == []
    assert (load(job, said.append), saved_epochs(job)) == (None, 0)


def test_the_key_is_of_what_decides_the_weights(job: FitJob) -> None:
    same = replace(job, inputs="/elsewhere.npz", results="/elsewhere", export=True, workspace="/elsewhere")
    assert key_of(same) == key_of(job)
    others = [
        replace(job, seed=job.seed + 1),
        replace(job, epochs=9),
        replace(job, batch_size=9),
        replace(job, inputs_sha256="1" * 64),
        replace(job, settings=replace(THESIS, mixup=0.1)),
    ]
    assert len({key_of(one) for one in [job, *others]}) == 6


def test_a_full_disk_is_said_and_the_fit_goes_on(job: FitJob, monkeypatch: pytest.MonkeyPatch) -> None:
    save(job, _course(1), STATE, "tensorflow", print)
    said: list[str] = []
    whole = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        whole(path, data[:10])
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    save(job, _course(2), STATE, "tensorflow", said.append)
    assert len(said) == 1
    assert said[0].startswith("epoch 2 could not be saved, and the fit goes on: ")
    assert "No space left on device" in said[0]
    assert saved_epochs(job) == 1
    assert names(checkpoint_url(job)) == ["checkpoint.json", "epoch-00001.npz"], (
        "and nothing half-written stays"
    )
    assert load(job, said.append) is not None


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("epoch-00001.npz", b"PK other bytes", "SHA-256 .* is not the .* of its record"),
        ("epoch-00001.npz", None, "not found"),
        ("checkpoint.json", b'{"epoch": 0}', "epoch"),
        ("checkpoint.json", b"[", "JSON|Expecting"),
    ],
)
def test_a_damaged_checkpoint_is_said_and_not_used(
    job: FitJob, name: str, data: bytes | None, words: str
) -> None:
    save(job, _course(1), STATE, "tensorflow", print)
    file = Path(checkpoint_url(job), name)
    file.unlink() if data is None else file.write_bytes(data)
    said: list[str] = []
    assert load(job, said.append) is None
    assert len(said) == 1
    assert "the fit starts from its first epoch" in said[0]
    assert re.search(words, said[0])


def test_the_state_of_another_network_is_said_and_not_used(job: FitJob, tmp_path: Path) -> None:
    short = replace(job, epochs=1)
    save(short, _course(1), STATE, "tensorflow", print)
    said: list[str] = []
    result = fit(short, tmp_path / "copies", _ignore, said.append)
    assert "its arrays are not those of this network and optimiser" in said[0]
    assert len(result.history["val_loss"]) == 1


def test_storage_that_refuses_is_no_reason_to_fail(job: FitJob, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(url: str, data: bytes) -> None:
        raise StorageError(f"{url}: 503")

    monkeypatch.setattr(checkpoints, "write_bytes", refuse)
    said: list[str] = []
    save(job, _course(1), STATE, "tensorflow", said.append)
    assert "503" in said[0]
