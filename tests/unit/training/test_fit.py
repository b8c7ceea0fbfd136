"""Tests of skinml/training/fit.py, and of the batches it fits on: the thesis's network on a tiny store."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skinml.errors import RequestError, RunError
from skinml.evaluation.metrics import measure
from skinml.layout import shards_url
from skinml.models.bundle import describe
from skinml.models.zoo import ARCHITECTURES
from skinml.models.zoo.base import Architecture
from skinml.storage.objects import write_bytes
from skinml.training.export import export_fitted
from skinml.training.fit import fit
from skinml.training.inputs import Inputs, read_inputs
from skinml.training.jobs import FitJob
from skinml.training.pixels import batches
from skinml.training.results import FitResult
from skinml.training.settings import NAMED, PLAIN
from tests.unit.training.datasets import KEY, fit_job, inputs_of, with_inputs, write_shards

LABELS = (np.arange(112) % 7).astype(np.int64)


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> FitJob:
    """112 noisy images in two shards, each class of its own brightness; 64 to fit on, 24 and 24 held out."""
    workspace = str(tmp_path_factory.mktemp("fit"))
    noise = np.random.default_rng(0).normal(0, 20, (112, 32, 32, 3))
    pixels = (noise + 20 + 35 * LABELS[:, None, None, None]).clip(0, 255).astype(np.uint8)
    shards = write_shards(workspace, pixels, [50])
    inputs = inputs_of(shards, LABELS, np.arange(64), np.arange(64, 88), np.arange(88, 112))
    return fit_job(workspace, inputs)


def _inputs(job: FitJob) -> Inputs:
    return read_inputs(job.inputs, job.inputs_sha256)


def _elsewhere(job: FitJob, tmp_path: Path, **changes: Any) -> FitJob:
    """The job with other inputs, which another test does not see."""
    inputs = replace(_inputs(job), **changes)
    return with_inputs(replace(job, inputs=f"{tmp_path}/inputs.npz"), inputs)


def _shards(job: FitJob) -> list[Any]:
    return [np.load(path) for path in sorted(Path(shards_url(job.workspace, KEY)).glob("*.npy"))]


@pytest.fixture(scope="module")
def epochs_told() -> list[tuple[int, dict[str, float]]]:
    return []


@pytest.fixture(scope="module")
def exported(job: FitJob, epochs_told: list[tuple[int, dict[str, float]]]) -> FitResult:
    return fit(
        replace(job, export=True, results=f"{job.workspace}/exported"),
        Path(job.workspace, "scratch"),
        lambda epoch, metrics: epochs_told.append((epoch, metrics)),
    )


@pytest.fixture(scope="module")
def out(job: FitJob, exported: FitResult) -> Path:
    """What `exported` left."""
    return Path(job.workspace, "exported")


def _ignore(epoch: int, metrics: dict[str, float]) -> None:
    """Nobody listens."""


def test_the_result_describes_the_fit(
    exported: FitResult, epochs_told: list[tuple[int, dict[str, float]]]
) -> None:
    assert list(exported.history) == [
        "loss", "accuracy", "val_loss", "val_accuracy", "val_balanced_accuracy",
    ]  # fmt: skip
    assert [epoch for epoch, _ in epochs_told] == [1, 2]
    for name, values in exported.history.items():
        assert values == [metrics[name] for _, metrics in epochs_told]
    for name in ("seconds", "images_per_second", "waited"):
        assert exported.pace[name] == [metrics[name] for _, metrics in epochs_told]
    assert exported.stopped == ""
    assert exported.probabilities.shape == (24, 7)
    np.testing.assert_allclose(exported.probabilities.sum(axis=1), 1, atol=1e-5)
    assert exported.best_epoch == 2
    assert exported.seconds > 0
    assert exported.parameters == 384_455
    assert {"python", "backend", "keras", "numpy"} <= set(exported.libraries)


def test_what_it_left_is_what_it_says(exported: FitResult, out: Path) -> None:
    assert set(exported.files) == {
        *("model.keras", "model.onnx", "head.npz", "probabilities.npy", "validation.npy")
    }
    assert exported.files == {path.name: describe(path.read_bytes()) for path in out.iterdir()}
    np.testing.assert_array_equal(np.load(out / "probabilities.npy"), exported.probabilities)


def test_the_exported_models_give_the_same_probabilities(job: FitJob, exported: FitResult, out: Path) -> None:
    import keras
    import onnxruntime

    pixels = np.concatenate(_shards(job))[_inputs(job).test].astype(np.float32)
    model = keras.models.load_model(out / "model.keras")
    np.testing.assert_allclose(model.predict(pixels, verbose=0), exported.probabilities, atol=1e-6)
    session = onnxruntime.InferenceSession(out / "model.onnx")
    (ours,) = session.run(["probabilities"], {"pixels": pixels})
    np.testing.assert_allclose(ours, exported.probabilities, atol=1e-4)
    assert exported.parity is not None
    assert exported.parity <= 1e-4


def test_what_was_fitted_elsewhere_is_exported_in_another_process(
    job: FitJob, exported: FitResult, out: Path, tmp_path: Path
) -> None:
    """How a model fitted on JAX gets its ONNX form."""
    import onnx

    there = replace(job, export=True, results=str(tmp_path / "there"))
    for name in ("model.keras", "probabilities.npy"):
        write_bytes(f"{there.results}/{name}", (out / name).read_bytes())
    found = export_fitted(there, exported, tmp_path)
    assert set(found.files) == {"model.onnx", "head.npz"}
    assert found.parity <= 1e-4
    weights, direct = (
        sorted(onnx.numpy_helper.to_array(constant).tobytes() for constant in onnx.load(path).graph.initializer)
        for path in (tmp_path / "there" / "model.onnx", out / "model.onnx")
    )
    assert weights == direct


def test_validation_equals_keras_own(job: FitJob, exported: FitResult, out: Path) -> None:
    import keras

    model = keras.models.load_model(out / "model.keras")
    data = batches(_shards(job), LABELS, _inputs(job).validation, batch_size=10)
    measured = model.evaluate(data, verbose=0, return_dict=True)
    assert exported.history["val_loss"][-1] == pytest.approx(measured["loss"], rel=1e-4)
    assert exported.history["val_accuracy"][-1] == pytest.approx(measured["accuracy"])


def test_same_seed_same_weights(job: FitJob, exported: FitResult, tmp_path: Path) -> None:
    again = fit(job, tmp_path, _ignore)
    assert again.parity is None
    assert again.history == exported.history
    np.testing.assert_array_equal(again.probabilities, exported.probabilities)
    other = fit(replace(job, seed=8, epochs=1), tmp_path, _ignore)
    assert not np.array_equal(other.probabilities, exported.probabilities)


def test_the_best_epoch_is_kept(job: FitJob, tmp_path: Path) -> None:
    validation = _inputs(job).validation
    other = _elsewhere(job, tmp_path, test=validation)
    result = fit(replace(other, settings=PLAIN, epochs=4), tmp_path, _ignore)
    values = result.history["val_balanced_accuracy"]
    assert result.best_epoch == 1 + int(np.argmax(values))
    kept = measure(LABELS[validation], result.probabilities)["balanced_accuracy"]
    assert kept == pytest.approx(max(values))


def test_fine_tuning_keeps_the_average_of_the_last_epoch(job: FitJob, tmp_path: Path) -> None:
    """All parts at once: the head alone first, schedule, weights, mixing, and a network in bfloat16."""
    tuned = replace(
        NAMED["fine-tuning"].settings, sampling=0.5, class_weights=0.5, loss="focal", precision="bfloat16"
    )
    result = fit(replace(job, settings=tuned, epochs=3), tmp_path, _ignore)
    assert result.best_epoch == 3
    assert np.isfinite(result.history["loss"]).all()
    kept = measure(LABELS[_inputs(job).validation], result.validation)
    assert kept["accuracy"] == pytest.approx(result.history["val_accuracy"][-1])
    np.testing.assert_allclose(result.probabilities.sum(axis=1), 1, atol=1e-5)


def test_a_fit_without_gain_stops(job: FitJob, tmp_path: Path) -> None:
    told: list[str] = []
    still = replace(PLAIN, learning_rate=1e-9, patience=2)
    result = fit(replace(job, settings=still, epochs=9), tmp_path, _ignore, told.append)
    assert len(result.history["loss"]) < 9
    assert result.stopped == told[0]
    assert "no better balanced accuracy on validation for 2 epochs" in result.stopped


def test_batches_are_raw_pixels_and_one_hot_labels(job: FitJob) -> None:
    positions = np.array([49, 50, 3, 3, 111])
    data = batches(_shards(job), LABELS, positions, batch_size=2)
    pixels, one_hot = zip(*(data[index] for index in range(len(data))), strict=True)
    assert [len(part) for part in pixels] == [2, 2, 1]
    assert pixels[0].dtype == one_hot[0].dtype == np.float32
    store = np.concatenate(_shards(job))
    np.testing.assert_array_equal(np.concatenate(pixels), store[positions])
    np.testing.assert_array_equal(np.concatenate(one_hot), np.eye(7)[LABELS[positions]])


def test_a_fit_that_diverges_stops(job: FitJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def build() -> Any:
        import keras

        layers = keras.layers
        return keras.Sequential(
            [layers.Input((32, 32, 3)), layers.Rescaling(1e38), layers.Flatten(), layers.Dense(7)]
        )

    monkeypatch.setitem(ARCHITECTURES, "broken", Architecture("broken", 32, build, features="flatten"))
    with pytest.raises(RunError, match=r"the loss is (nan|inf) in epoch 1: the fit diverged"):
        fit(replace(job, architecture="broken"), tmp_path, _ignore)


def test_shards_that_do_not_fit_are_named(job: FitJob, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="the shards hold 112 images for 111 labels"):
        fit(_elsewhere(job, tmp_path, labels=LABELS[:-1]), tmp_path, _ignore)
    small = write_shards(str(tmp_path), np.zeros((112, 16, 16, 3), np.uint8), [])
    with pytest.raises(
        RunError, match=r"shard 0 holds uint8 \(16, 16, 3\), thesis-cnn takes uint8 \(32, 32, 3\)"
    ):
        fit(replace(_elsewhere(job, tmp_path, shards=small), workspace=str(tmp_path)), tmp_path, _ignore)
    with pytest.raises(RequestError, match="no architecture is called 'vgg16'"):
        fit(replace(job, architecture="vgg16"), tmp_path, _ignore)
