"""Fit one recipe and write the model to a URL. Runs in a process of its own (`training.dispatch`)."""

from __future__ import annotations

import os
import platform
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skinml.dataset.shard_files import map_shards
from skinml.errors import RunError
from skinml.evaluation.metrics import measure
from skinml.images.preprocessing import Normalisation, network_input
from skinml.models.bundle import HEAD, KERAS, NETWORKS, leave
from skinml.models.head import check_head, write_head
from skinml.models.inference import BATCH, infer
from skinml.models.keras_head import linear_head
from skinml.models.onnx import check_parity, export_onnx
from skinml.models.outputs import CELLS_NAME, OUTPUT_NAME
from skinml.models.zoo import architecture
from skinml.models.zoo.base import Architecture
from skinml.training.inputs import Inputs, read_inputs
from skinml.training.jobs import FitJob
from skinml.training.pixels import Pixels, batches, epoch_order, gather
from skinml.training.probe import fit_probe
from skinml.training.process import run_in_process
from skinml.training.resampling import Positions
from skinml.training.results import PROBABILITIES, VALIDATION, FitResult
from skinml.training.start import build_model

if TYPE_CHECKING:
    import keras

OnEpoch = Callable[[int, dict[str, float]], None]

_PREDICT_BATCH = 64  # on 2 cores 32 to 256 predict equally fast; small batches keep memory small
_PARITY_IMAGES = 256


def fit(job: FitJob, scratch: Path, on_epoch: OnEpoch) -> FitResult:
    """Fit a recipe with Adam on categorical cross-entropy, and leave the kept weights and what they say.

    Args:
        job: what to fit.
        scratch: a folder of this machine for copies of shards.
        on_epoch: called after each epoch, counted from 1, with that epoch's history values.

    Raises:
        RequestError: no architecture has this name.
        RunError: the shards do not fit the architecture or the labels, the loss is no longer finite, or
            the exported model differs from the fitted one.

    """
    shape = architecture(job.architecture)
    inputs = read_inputs(job.inputs, job.inputs_sha256)
    shards = map_shards(job.workspace, job.dataset_key, job.stored_as, inputs.shards, scratch)
    _check(shape, shards, inputs.labels)
    data = _Data(shards, inputs.labels, shape.normalisation)
    keras = _keras()
    keras.utils.set_random_seed(job.seed)
    model = build_model(shape, job.start)
    model.compile(
        optimizer=keras.optimizers.Adam(),
        loss="categorical_crossentropy",
        metrics=["accuracy"],
        # XLA on a CPU takes 10 times as long for the thesis's convolutions (30 against 300 images/s); other
        # backends know best themselves.
        jit_compile=False if keras.backend.backend() == "tensorflow" else "auto",
    )
    started = time.perf_counter()
    if shape.frozen:
        history, best_epoch = fit_probe(model, shards, inputs, shape.normalisation, job.seed, on_epoch), 1
    else:
        history, best_epoch = _epochs(model, job, inputs, data, on_epoch)
    probabilities = _predict(model, data, inputs.test)
    alike = np.array_equal(inputs.validation, inputs.test)  # as in the thesis
    validation = probabilities if alike else _predict(model, data, inputs.validation)
    seconds = time.perf_counter() - started
    with tempfile.TemporaryDirectory(prefix="skinml-fit-") as folder:
        made = Path(folder)
        parity = _export(model, shape, data, inputs.test, made) if job.export else None
        for name, values in ((PROBABILITIES, probabilities), (VALIDATION, validation)):
            np.save(made / name, values, allow_pickle=False)
        files = leave(made, job.results)
    return FitResult(
        history=history,
        probabilities=probabilities,
        validation=validation,
        seconds=seconds,
        best_epoch=best_epoch,
        parity=parity,
        parameters=int(model.count_params()),
        libraries=_libraries(keras.backend.backend()),
        files=files,
    )


@dataclass(frozen=True, eq=False)
class _Data:
    """All pixels and their labels, and how values reach the network."""

    shards: Sequence[Pixels]
    labels: NDArray[np.int64]
    normalisation: Normalisation

    def batches(self, positions: Positions, batch_size: int) -> keras.utils.PyDataset:
        return batches(self.shards, self.labels, positions, batch_size, self.normalisation)


def _epochs(
    model: keras.Model, job: FitJob, inputs: Inputs, data: _Data, on_epoch: OnEpoch
) -> tuple[dict[str, list[float]], int]:
    """Fit all epochs and leave the kept weights in the model; the history, and the epoch kept.

    One call of `model.fit` an epoch (0.1 s each), so that every epoch gets its own order as plain data.
    """
    history: dict[str, list[float]] = {}
    best_epoch, best_value, best_weights = 0, -1.0, None
    for epoch in range(1, job.epochs + 1):
        order = epoch_order(inputs.labels, inputs.train, job.balanced, job.seed, epoch)
        epoch_data = data.batches(order, job.batch_size)
        fitted = model.fit(epoch_data, initial_epoch=epoch - 1, epochs=epoch, verbose=0).history
        loss = float(fitted["loss"][0])
        if not np.isfinite(loss):
            raise RunError(f"the loss is {loss} in epoch {epoch}: the fit diverged; try another --seed")
        metrics = {"loss": loss, "accuracy": float(fitted["accuracy"][0])}
        metrics |= _validate(model, data, inputs.validation)
        for name, value in metrics.items():
            history.setdefault(name, []).append(value)
        if not job.keep_best:
            best_epoch = epoch
        elif metrics["val_balanced_accuracy"] > best_value:
            best_epoch, best_value = epoch, metrics["val_balanced_accuracy"]
            best_weights = model.get_weights()
        on_epoch(epoch, metrics)
    if best_weights is not None:
        model.set_weights(best_weights)
    return history, best_epoch


def _validate(model: keras.Model, data: _Data, positions: Positions) -> dict[str, float]:
    """Loss, accuracy and balanced accuracy on these positions, from one pass of prediction."""
    probabilities = _predict(model, data, positions)
    truth = data.labels[positions]
    of_truth = probabilities[np.arange(len(truth)), truth]
    measured = measure(truth, probabilities)
    return {
        "val_loss": float(-np.log(np.maximum(of_truth, 1e-7)).mean()),  # clipped where Keras clips
        "val_accuracy": measured["accuracy"],
        "val_balanced_accuracy": measured["balanced_accuracy"],
    }


def _predict(model: keras.Model, data: _Data, positions: Positions) -> NDArray[np.float64]:
    """Probabilities, shape (len(positions), 7), dropout off."""
    found = model.predict(data.batches(positions, _PREDICT_BATCH), verbose=0)
    return np.asarray(found, dtype=np.float64)


def _export(model: keras.Model, shape: Architecture, data: _Data, test: Positions, folder: Path) -> float:
    """Write both forms of the model; how far they differ on up to 256 images spread over the test set."""
    import keras

    saved, exported = folder / KERAS, folder / NETWORKS["fp32"]
    model.save(saved)
    if keras.backend.backend() == "tensorflow":
        export_onnx(model, exported, shape.features, shape.cells)
    else:
        export_saved(saved, exported, shape.features, shape.cells)
    test = np.unique(test)
    spread = np.linspace(0, len(test) - 1, min(_PARITY_IMAGES, len(test))).astype(np.int64)
    pixels = network_input(gather(data.shards, test[spread]), data.normalisation)
    parity = check_parity(model, exported, pixels)
    if shape.cells is not None:
        head = linear_head(model, shape.cells)
        found = infer(
            exported, np.array_split(pixels, range(BATCH, len(pixels), BATCH)), [CELLS_NAME, OUTPUT_NAME]
        )
        check_head(head, found[CELLS_NAME], found[OUTPUT_NAME])
        write_head(folder / HEAD, head)
    return parity


def export_saved(saved: Path, exported: Path, features: str | None = None, cells: str | None = None) -> None:
    """Export a saved model by TensorFlow in another process, whatever Keras runs on in this one.

    One exporter for every backend: on JAX, Keras would need jax2onnx, whose graphs nobody has compared.
    """
    run_in_process(_export_saved, (saved, exported, features, cells), _nothing, {"KERAS_BACKEND": "tensorflow"})


def _export_saved(job: tuple[Path, Path, str | None, str | None], emit: Callable[[], None]) -> None:
    saved, exported, features, cells = job
    export_onnx(_keras().models.load_model(saved, compile=False), exported, features, cells)


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
