"""Tests of skinml/training/soft_labels.py: what teachers say becomes part of the targets."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from skinml.dataset.pixelstore import PixelStore
from skinml.errors import RunError
from skinml.models import zoo
from skinml.models.zoo.base import Architecture
from skinml.schemas import PROBABILITY_COLUMNS
from skinml.training.fit import fit
from skinml.training.jobs import FIT
from skinml.training.losses import make_targets
from skinml.training.settings import THESIS
from skinml.training.soft_labels import mean_probabilities, mix_targets, write_soft_labels
from tests.unit.training.datasets import fit_job, inputs_of, write_shards


def _said(uris: list[str], seed: int) -> pd.DataFrame:
    """What a teacher says of these images."""
    probabilities = np.random.default_rng(seed).dirichlet(np.ones(7), len(uris))
    rows = pd.DataFrame(probabilities, columns=list(PROBABILITY_COLUMNS))
    return rows.assign(uri=uris, etag="1")


def _store(uris: list[str]) -> PixelStore:
    samples = pd.DataFrame({"uri": uris, "etag": "1", "position": np.arange(len(uris)) * 2})
    return PixelStore("w", "k", "npy", (), samples, np.zeros(2 * len(uris), np.int64))


def test_the_mean_is_of_the_same_image_whatever_the_order() -> None:
    uris = ["a", "b", "c"]
    first, second = _said(uris, 1), _said(uris, 2)
    found = mean_probabilities([first, second.iloc[::-1]], _store(uris), np.array([4, 0]), 1.0)
    columns = list(PROBABILITY_COLUMNS)
    expected = (first[columns].to_numpy() + second[columns].to_numpy()) / 2
    np.testing.assert_allclose(found, expected[[2, 0]])
    softer = mean_probabilities([first, second], _store(uris), np.array([4, 0]), 3.0)
    assert softer.max() < found.max()
    np.testing.assert_array_equal(softer.argmax(axis=1), found.argmax(axis=1))
    with pytest.raises(RunError, match="teacher 2 has no pixels of 1 training images; prepare again"):
        mean_probabilities([first, second.iloc[:2]], _store(uris), np.array([0, 2, 4]), 1.0)


def test_targets_are_mixed_at_training_images_alone(tmp_path: Path) -> None:
    labels = np.array([0, 1, 2, -1, 4])
    targets = make_targets(labels, 0.1)
    said = np.random.default_rng(0).dirichlet(np.ones(7), 2)
    soft = write_soft_labels(f"{tmp_path}/teachers.npz", np.array([0, 2]), said, 0.25)
    found = mix_targets(targets, soft, np.array([2, 0, 2]))
    np.testing.assert_allclose(found[[0, 2]], 0.25 * said + 0.75 * targets[[0, 2]], atol=1e-3)
    np.testing.assert_allclose(found[[0, 2]].sum(axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(found[[1, 3, 4]], targets[[1, 3, 4]])


def test_soft_labels_are_believed_only_if_they_are_what_the_job_names(tmp_path: Path) -> None:
    targets, said = make_targets(np.arange(3), 0), np.full((2, 7), 1 / 7)
    soft = write_soft_labels(f"{tmp_path}/teachers.npz", np.array([0, 1]), said, 0.5)
    with pytest.raises(RunError, match="has no soft label for some training images"):
        mix_targets(targets, soft, np.array([0, 2]))
    with pytest.raises(RunError, match=r"is not the 000000000000… that the job names; train again"):
        mix_targets(targets, replace(soft, sha256="0" * 64), np.array([0]))
    wrong = write_soft_labels(f"{tmp_path}/teachers.npz", np.array([0, 1]), said * 2, 0.5)
    with pytest.raises(RunError, match="its soft labels do not sum to 1"):
        mix_targets(targets, wrong, np.array([0]))


def _build() -> Any:
    import keras

    layers = keras.layers
    pixels = layers.Input((8, 8, 3), name="image")
    values = layers.Flatten(name="flat")(layers.Rescaling(1 / 255)(pixels))
    values = layers.Dense(32, activation="relu", name="hidden")(values)
    return keras.Model(pixels, layers.Dense(7, activation="softmax", name="head")(values))


def test_a_student_learns_what_its_teachers_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The labels say 0 to 6, the teachers the class after that. Theirs is all the weight, so it says so too."""
    monkeypatch.setitem(zoo.ARCHITECTURES, "tiny", Architecture("tiny", 8, _build, "hidden"))
    labels = (np.arange(140) % 7).astype(np.int64)
    pixels = np.zeros((140, 8, 8, 3), np.uint8)
    for number in range(7):
        pixels[labels == number, number] = 255
    workspace = str(tmp_path / "workspace")
    inputs = inputs_of(
        write_shards(workspace, pixels, [70]), labels, np.arange(98), np.arange(98, 119), np.arange(119, 140)
    )
    soft = write_soft_labels(f"{tmp_path}/teachers.npz", np.arange(98), np.eye(7)[(labels[:98] + 1) % 7], 1.0)
    settings = replace(THESIS, learning_rate=0.02)
    job = fit_job(workspace, inputs, architecture="tiny", settings=settings, epochs=5, soft_labels=soft)
    assert FIT.validate_json(FIT.dump_json(job)) == job
    said = fit(job, tmp_path / "scratch", lambda *_: None).probabilities.argmax(axis=1)
    np.testing.assert_array_equal(said, (labels[119:] + 1) % 7)
