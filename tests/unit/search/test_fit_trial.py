"""Tests of skinml/search/fit_trial.py and run_trial.py: a trial learns, and its failure is a result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from distributed import Client

from skinml.compute import map_shards
from skinml.errors import RunError, StorageError
from skinml.models.searched_structure import Structure
from skinml.search import run_trial as module
from skinml.search.fit_trial import fit_trial
from skinml.search.images import Images, pack_images
from skinml.search.program import answer
from skinml.search.run_trial import run_trial
from skinml.search.space import INITIAL, Fitting
from skinml.search.trials import TRIAL, TrialJob, model_of, read_trials

MODEL = f"searched-cnn:{Structure(((8,),), kernel=5, reduction='mean')}"


def _images() -> Images:
    """Each class has a brightness of its own."""
    labels = np.arange(70) % 7
    noise = np.random.default_rng(0).normal(0, 8, (70, 32, 32, 3))
    pixels = (noise + 20 + 35 * labels[:, None, None, None]).clip(0, 255).astype(np.uint8)
    return Images(pixels[:42], labels[:42], pixels[42:], labels[42:])


@pytest.fixture
def job(tmp_path: Path) -> TrialJob:
    """A trial of a small network, whose images lie in a folder."""
    data = pack_images(_images())
    folder = tmp_path / "search"
    folder.mkdir()
    (folder / "images.npz").write_bytes(data)
    values = {**INITIAL, "convolution/filters_1_1": 16, "convolution/filters_1_2": 16}
    return TrialJob(
        number=7,
        values=values,
        model=model_of(values, (0.5,) * 6),
        images=str(folder / "images.npz"),
        images_sha256=hashlib.sha256(data).hexdigest(),
        record=str(folder / "trial-0007.json"),
        epochs=1,
        seed=3,
    )


def test_a_trial_learns_and_the_same_seed_gives_the_same_figures() -> None:
    model = f"searched-cnn:{Structure(((8,),), kernel=3, reduction='flatten')}"
    first, again = (fit_trial(model, Fitting("adam", 0.003), _images(), 8, seed=3) for _ in range(2))
    assert first.loss < 1.85, "log 7 = 1.95 by chance; 1.56 and 1.67 with two seeds"
    assert first.history == again.history
    assert first.loss == again.loss
    assert first.epochs == len(first.history) == 8
    assert first.history[first.best_epoch - 1] == max(first.history) == round(first.balanced_accuracy, 4)


def test_augmentation_and_every_optimiser_can_be_fitted_with() -> None:
    moved = Fitting("adam_weight_decay", 0.001, 0.1, True, True, 0.1, 0.1)
    assert fit_trial(MODEL, moved, _images(), 1, seed=3).epochs == 1
    assert fit_trial(MODEL, Fitting("sgd", 0.001), _images(), 1, seed=3).epochs == 1


def test_a_fit_that_learns_nothing_more_ends_early() -> None:
    assert fit_trial(MODEL, Fitting("sgd", 1e-9), _images(), 30, seed=3).epochs == 11


def test_a_loss_that_is_not_finite_is_an_error() -> None:
    with pytest.raises(RunError, match=r"^the loss is nan in epoch \d: the fit diverged"):
        fit_trial(MODEL, Fitting("sgd", 1e30), _images(), 3, seed=3)


def test_what_a_library_raises_is_the_reason_of_a_failed_trial(
    job: TrialJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(*_: object) -> None:
        raise MemoryError("no room for\n3 GB")

    monkeypatch.setattr("skinml.search.fit_trial.fit_trial", no_memory)
    assert answer(job) == {"failed": "MemoryError: no room for\n3 GB"}


@pytest.mark.parametrize(
    ("code", "printed", "reason"),
    [
        (-9, "", "its process was ended by SIGKILL; the system may have run out of memory"),
        (1, "Traceback\nImportError: no keras\n", "its process ended with exit code 1: ImportError: no keras"),
    ],
)
def test_a_process_that_says_nothing_is_a_failed_trial_with_its_record(
    job: TrialJob, monkeypatch: pytest.MonkeyPatch, code: int, printed: str, reason: str
) -> None:
    monkeypatch.setattr(module, "run_program", lambda *_: (code, printed))
    trial = run_trial(job)
    assert (trial.status, trial.reason, trial.score) == ("failed", reason, None)
    assert read_trials(str(Path(job.record).parent)) == {7: trial}


def test_images_that_are_gone_are_tried_again_and_are_no_result(
    job: TrialJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(job.images).unlink()

    def here(module: str, text: str, on_line: Callable[[str], None], environment: object) -> tuple[int, str]:
        on_line(json.dumps(answer(job)))
        return 0, ""

    monkeypatch.setattr(module, "run_program", here)
    with pytest.raises(StorageError, match=r"images\.npz"):
        run_trial(job)
    assert not Path(job.record).exists()


@pytest.mark.slow
def test_a_worker_fits_a_trial_in_a_process_of_its_own(job: TrialJob, dask_cluster: str) -> None:
    with Client(dask_cluster, set_as_default=False) as client:
        [trial] = map_shards(client, run_trial, [job])
        assert trial.status == "done", trial.reason
        assert Path(job.record).read_bytes() == TRIAL.dump_json(trial, indent=1)
        Path(job.images).unlink()
        assert list(map_shards(client, run_trial, [job])) == [trial], "its record is there already"
