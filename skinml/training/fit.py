"""Fit one recipe and write the model to a URL. Runs in a process of its own (`training.dispatch`)."""

from __future__ import annotations

import logging
import platform
import tempfile
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skinml.dataset.shard_files import map_shards
from skinml.errors import RunError
from skinml.images.preprocessing import Normalisation
from skinml.models.bundle import KERAS, leave
from skinml.models.keras_import import import_keras
from skinml.models.zoo import architecture
from skinml.models.zoo.base import Architecture
from skinml.training import checkpoints
from skinml.training.batch import make_source
from skinml.training.epochs import Course, OnEpoch, Say, run_epochs
from skinml.training.export import write_networks
from skinml.training.feed import BatchOrder, Feed, workers_for
from skinml.training.inputs import Inputs, read_inputs
from skinml.training.jobs import FitJob
from skinml.training.learner import Learner
from skinml.training.pixels import Pixels, batches
from skinml.training.probe import fit_probe
from skinml.training.resampling import Positions, drawn_shares
from skinml.training.results import PROBABILITIES, VALIDATION, FitResult
from skinml.training.soft_labels import mix_targets
from skinml.training.start import build_model

if TYPE_CHECKING:
    import keras

logger = logging.getLogger("skinml.train")

_PREDICT_BATCH = 64  # on 2 cores 32 to 256 predict equally fast; small batches keep memory small


def fit(job: FitJob, scratch: Path, on_epoch: OnEpoch, say: Say = logger.info) -> FitResult:
    """Fit a recipe, and leave the kept weights and what they say.

    Args:
        job: what to fit.
        scratch: a folder of this machine for copies of shards.
        on_epoch: called after each epoch, counted from 1, with that epoch's history values and its pace.
        say: called with what a person should know.

    Raises:
        RequestError: no architecture has this name.
        RunError: the shards do not fit the architecture or the labels, the loss is not finite in the first
            epoch, or the exported model differs from the fitted one. On another backend than TensorFlow nothing
            is exported here.

    """
    shape = architecture(job.architecture)
    inputs = read_inputs(job.inputs, job.inputs_sha256)
    shards = map_shards(job.workspace, job.dataset_key, job.stored_as, inputs.shards, scratch)
    _check(shape, shards, inputs.labels)
    data = _Data(shards, inputs.labels, shape.normalisation)
    keras = import_keras()
    keras.utils.set_random_seed(job.seed)
    backend = keras.backend.backend()
    started = time.perf_counter()
    if shape.frozen:
        model = build_model(shape, job.start)
        course = Course(fit_probe(model, shards, inputs, shape.normalisation, job.seed, on_epoch), kept_epoch=1)
    else:
        model, course = _in_epochs(job, shape, inputs, data, backend, on_epoch, say)
    probabilities = _predict(model, data, inputs.test)
    alike = np.array_equal(inputs.validation, inputs.test)  # as in the thesis
    validation = probabilities if alike else _predict(model, data, inputs.validation)
    seconds = time.perf_counter() - started
    with tempfile.TemporaryDirectory(prefix="skinml-fit-") as folder:
        made = Path(folder)
        parity = None
        if job.export:
            model.save(made / KERAS)
            if backend == "tensorflow":  # otherwise whoever asked exports (`training.dispatch`)
                parity = write_networks(model, shape, shards, shape.normalisation, inputs.test, made)
        for name, values in ((PROBABILITIES, probabilities), (VALIDATION, validation)):
            np.save(made / name, values, allow_pickle=False)
        files = leave(made, job.results)
    return FitResult(
        history=course.history,
        probabilities=probabilities,
        validation=validation,
        seconds=seconds,
        best_epoch=course.kept_epoch,
        stopped=course.stopped,
        pace=course.pace,
        parity=parity,
        parameters=int(model.count_params()),
        libraries=_libraries(backend),
        files=files,
    )


def _in_epochs(
    job: FitJob, shape: Architecture, inputs: Inputs, data: _Data, backend: str, on_epoch: OnEpoch, say: Say
) -> tuple[keras.Model, Course]:
    """Fit all layers, epoch after epoch; the model with the kept weights, and what the epochs came to."""
    source = make_source(inputs.labels, inputs.train, job.settings, job.batch_size, job.seed)
    if job.soft_labels is not None:
        source = replace(source, targets=mix_targets(source.targets, job.soft_labels, inputs.train))
    shares = drawn_shares(inputs.labels[inputs.train], job.settings.sampling)
    learner = Learner(shape, job.start, job.settings, shares, source.count, job.epochs)
    order = BatchOrder(source)  # nothing may come between: it takes over a random state
    model = learner.scorer
    course = _continue(job, learner, backend, say)
    tasks = order.epochs(course.epochs + 1, job.epochs)
    with closing(Feed(source, data.shards, tasks, workers_for(source), say, learner.is_busy)) as feed:
        run_epochs(
            learner,
            feed,
            inputs.labels[inputs.validation],
            lambda: _predict(model, data, inputs.validation),
            job.settings,
            job.epochs,
            course,
            on_epoch,
            say,
            after=lambda course: checkpoints.save(job, course, learner.state(), backend, say),
        )
    return model, course


def _continue(job: FitJob, learner: Learner, backend: str, say: Say) -> Course:
    """Put the learner where the last checkpoint was made; the course so far, empty if there is none."""
    saved = checkpoints.load(job, say)
    if saved is None:
        return Course()
    course = saved.course
    learner.begin(course.epochs)
    try:
        learner.restore(saved.state)
    except ValueError as error:
        say(f"the checkpoint of epoch {course.epochs} cannot be used, the fit starts from its first: {error}")
        return Course()
    if course.kept is None:
        course.kept = learner.settle()
    elsewhere = "" if saved.backend == backend else f", which was fitted on {saved.backend}, on {backend}"
    say(f"the fit continues after epoch {course.epochs} of {job.epochs}{elsewhere}")
    return course


@dataclass(frozen=True, eq=False)
class _Data:
    """All pixels and their labels, and how values reach the network."""

    shards: Sequence[Pixels]
    labels: NDArray[np.int64]
    normalisation: Normalisation

    def batches(self, positions: Positions, batch_size: int) -> keras.utils.PyDataset:
        return batches(self.shards, self.labels, positions, batch_size, self.normalisation)


def _predict(model: keras.Model, data: _Data, positions: Positions) -> NDArray[np.float64]:
    """Probabilities, shape (len(positions), 7), dropout off."""
    with _exact():
        found = model.predict(data.batches(positions, _PREDICT_BATCH), verbose=0)
    return np.asarray(found, dtype=np.float64)


def _exact() -> AbstractContextManager[Any]:
    """Within it, float32 is float32: JAX on a GPU would round factors to 10 bits, and differ from ONNX."""
    import keras

    if keras.backend.backend() != "jax":
        return nullcontext()
    import jax

    exact: AbstractContextManager[Any] = jax.default_matmul_precision("highest")
    return exact


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


def _libraries(backend: str) -> dict[str, str]:
    """Versions of what shapes the weights and the export."""
    versions = {"python": platform.python_version(), "backend": backend}
    for name in ("keras", backend, "numpy", "scikit-learn", "onnx", "tf2onnx", "onnxruntime"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions
