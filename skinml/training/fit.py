"""Fit one recipe and leave the model in a folder. Meant for a process of its own (`training.process`)."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skinml.errors import RunError
from skinml.evaluation.metrics import measure
from skinml.models.onnx import check_parity, export_onnx
from skinml.models.zoo import Architecture, architecture
from skinml.training.pixels import Pixels, batches, epoch_order, gather, open_shards
from skinml.training.process import run_in_process
from skinml.training.protocols import Recipe
from skinml.training.resampling import Positions

if TYPE_CHECKING:
    import keras

OnEpoch = Callable[[int, dict[str, float]], None]

_PREDICT_BATCH = 64  # on 2 cores 32 to 256 predict equally fast; small batches keep memory small
_PARITY_IMAGES = 256


@dataclass(frozen=True, eq=False)  # arrays have no single truth value to compare by
class FitJob:
    """What to fit.

    Attributes:
        architecture: a name in `models.zoo`.
        shards: .npy files, uint8 (n_i, size, size, 3); positions count rows through them in this order.
        labels: class numbers of all positions, shape (n,), int64, 0 to 6.
        recipe: which positions train, validate and test.
        seed: of weights, order and dropout. Same seed, same machine, same libraries: same weights.
        out: folder for model.keras and model.onnx.
        export: False: leave no files (the honest refit needs only its probabilities).

    """

    architecture: str
    shards: tuple[Path, ...]
    labels: NDArray[np.int64]
    recipe: Recipe
    seed: int
    out: Path
    export: bool


@dataclass(frozen=True, eq=False)
class FitResult:
    """What came of it.

    Attributes:
        history: loss, accuracy, val_loss, val_accuracy, val_balanced_accuracy: one value an epoch. Loss is
            categorical cross-entropy in nats; the training values are means while the epoch ran.
        probabilities: of the kept weights on `recipe.test`, shape (len(test), 7), float64.
        seconds: fitting and validating, without imports and export.
        best_epoch: the epoch whose weights were kept, counted from 1.
        parity: largest difference between Keras and ONNX on real test images; None without export.
        parameters: trainable and other weights of the model.
        libraries: name to version of whatever shapes the weights.

    """

    history: dict[str, list[float]]
    probabilities: NDArray[np.float64]
    seconds: float
    best_epoch: int
    parity: float | None
    parameters: int
    libraries: dict[str, str]


def fit(job: FitJob, on_epoch: OnEpoch) -> FitResult:
    """Fit `job.recipe` with Adam on categorical cross-entropy, and export the kept weights.

    `on_epoch(epoch, metrics)` is called after each epoch, counted from 1, with that epoch's history values.

    Raises:
        RequestError: no architecture has this name.
        RunError: the shards do not fit the architecture or the labels, the loss is no longer finite, or
            the exported model differs from the fitted one.

    """
    shape = architecture(job.architecture)
    shards = open_shards(job.shards)
    _check(shape, shards, job.labels)
    keras = _keras()
    keras.utils.set_random_seed(job.seed)
    model = shape.build()
    model.compile(
        optimizer=keras.optimizers.Adam(),
        loss="categorical_crossentropy",
        metrics=["accuracy"],
        # XLA on a CPU takes 10 times as long for the thesis's convolutions (30 against 300 images/s); other
        # backends know best themselves.
        jit_compile=False if keras.backend.backend() == "tensorflow" else "auto",
    )
    started = time.perf_counter()
    history, best_epoch = _epochs(model, job, shards, on_epoch)
    probabilities = _predict(model, shards, job.labels, job.recipe.test)
    seconds = time.perf_counter() - started
    return FitResult(
        history=history,
        probabilities=probabilities,
        seconds=seconds,
        best_epoch=best_epoch,
        parity=_export(model, job, shards) if job.export else None,
        parameters=int(model.count_params()),
        libraries=_libraries(keras.backend.backend()),
    )


def _epochs(
    model: keras.Model, job: FitJob, shards: Sequence[Pixels], on_epoch: OnEpoch
) -> tuple[dict[str, list[float]], int]:
    """Fit all epochs and leave the kept weights in the model; the history, and the epoch kept.

    One call of `model.fit` an epoch (0.1 s each), so that every epoch gets its own order as plain data.
    """
    recipe = job.recipe
    history: dict[str, list[float]] = {}
    best_epoch, best_value, best_weights = 0, -1.0, None
    for epoch in range(1, recipe.epochs + 1):
        order = epoch_order(job.labels, recipe.train, recipe.balanced, job.seed, epoch)
        data = batches(shards, job.labels, order, recipe.batch_size)
        fitted = model.fit(data, initial_epoch=epoch - 1, epochs=epoch, verbose=0).history
        loss = float(fitted["loss"][0])
        if not np.isfinite(loss):
            raise RunError(f"the loss is {loss} in epoch {epoch}: the fit diverged; try another --seed")
        metrics = {"loss": loss, "accuracy": float(fitted["accuracy"][0])}
        metrics |= _validate(model, shards, job.labels, recipe.validation)
        for name, value in metrics.items():
            history.setdefault(name, []).append(value)
        if not recipe.keep_best:
            best_epoch = epoch
        elif metrics["val_balanced_accuracy"] > best_value:
            best_epoch, best_value = epoch, metrics["val_balanced_accuracy"]
            best_weights = model.get_weights()
        on_epoch(epoch, metrics)
    if best_weights is not None:
        model.set_weights(best_weights)
    return history, best_epoch


def _validate(
    model: keras.Model, shards: Sequence[Pixels], labels: NDArray[np.int64], positions: Positions
) -> dict[str, float]:
    """Loss, accuracy and balanced accuracy on these positions, from one pass of prediction."""
    probabilities = _predict(model, shards, labels, positions)
    truth = labels[positions]
    of_truth = probabilities[np.arange(len(truth)), truth]
    measured = measure(truth, probabilities)
    return {
        "val_loss": float(-np.log(np.maximum(of_truth, 1e-7)).mean()),  # clipped where Keras clips
        "val_accuracy": measured["accuracy"],
        "val_balanced_accuracy": measured["balanced_accuracy"],
    }


def _predict(
    model: keras.Model, shards: Sequence[Pixels], labels: NDArray[np.int64], positions: Positions
) -> NDArray[np.float64]:
    """Probabilities, shape (len(positions), 7), dropout off."""
    data = batches(shards, labels, positions, _PREDICT_BATCH)
    return np.asarray(model.predict(data, verbose=0), dtype=np.float64)


def _export(model: keras.Model, job: FitJob, shards: Sequence[Pixels]) -> float:
    """Write both forms of the model; how far they differ on up to 256 images spread over the test set."""
    import keras

    saved, exported = job.out / "model.keras", job.out / "model.onnx"
    job.out.mkdir(parents=True, exist_ok=True)
    model.save(saved)
    if keras.backend.backend() == "tensorflow":
        export_onnx(model, exported)
    else:
        export_saved(saved, exported)
    test = np.unique(job.recipe.test)
    spread = np.linspace(0, len(test) - 1, min(_PARITY_IMAGES, len(test))).astype(np.int64)
    return check_parity(model, exported, gather(shards, test[spread]))


def export_saved(saved: Path, exported: Path) -> None:
    """Export a saved model by TensorFlow in another process, whatever Keras runs on in this one.

    One exporter for every backend: on JAX, Keras would need jax2onnx, whose graphs nobody has compared.
    """
    run_in_process(_export_saved, (saved, exported), _nothing, {"KERAS_BACKEND": "tensorflow"})


def _export_saved(job: tuple[Path, Path], emit: Callable[[], None]) -> None:
    saved, exported = job
    export_onnx(_keras().models.load_model(saved, compile=False), exported)


def _nothing() -> None:
    """No messages are expected."""


def _check(shape: Architecture, shards: Sequence[Pixels], labels: NDArray[np.int64]) -> None:
    """The shards hold pixels of the model's size, one label each."""
    expected = (shape.size, shape.size, 3)
    for number, shard in enumerate(shards):
        if shard.shape[1:] != expected or shard.dtype != np.uint8:
            raise RunError(
                f"shard {number} holds {shard.dtype} {shard.shape[1:]}, {shape.name} takes uint8 {expected};"
                f" prepare with --size {shape.size}"
            )
    rows = sum(len(shard) for shard in shards)
    if rows != len(labels):
        raise RunError(f"the shards hold {rows} images for {len(labels)} labels; prepare again")


def _keras() -> Any:
    """Keras, with TensorFlow's start-up chatter turned down; only errors are worth a line."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import keras

    return keras


def _libraries(backend: str) -> dict[str, str]:
    """Versions of what shapes the weights and the export."""
    versions = {"python": platform.python_version(), "backend": backend}
    for name in ("keras", backend, "numpy", "scikit-learn", "onnx", "tf2onnx", "onnxruntime"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions
