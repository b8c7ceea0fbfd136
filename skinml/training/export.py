"""Export a fitted network to ONNX with TensorFlow, whatever it was fitted on, and check what was exported.

One exporter for every backend: on JAX, Keras would need jax2onnx, whose graphs nobody has compared.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from skinml.dataset.shard_files import map_shards
from skinml.errors import RunError
from skinml.images.preprocessing import Normalisation, network_input
from skinml.models.bundle import HEAD, KERAS, NETWORKS, leave, read_made
from skinml.models.head import check_head, write_head
from skinml.models.inference import BATCH, infer
from skinml.models.keras_head import linear_head
from skinml.models.keras_import import import_keras
from skinml.models.manifest import File
from skinml.models.onnx import PARITY_LIMIT, check_parity, export_onnx
from skinml.models.outputs import CELLS_NAME, OUTPUT_NAME
from skinml.models.zoo import architecture
from skinml.models.zoo.base import Architecture
from skinml.training.checkpoints import checkpoint_url
from skinml.training.inputs import read_inputs
from skinml.training.jobs import FIT, FitJob
from skinml.training.pixels import Pixels, gather
from skinml.training.process import run_in_process
from skinml.training.resampling import Positions
from skinml.training.results import PROBABILITIES, FitReport

if TYPE_CHECKING:
    import keras

MODULES = ("tensorflow", "tf2onnx", "onnx")
"""What exporting needs."""

_PARITY_IMAGES = 256


@dataclass(frozen=True)
class Exported:
    """How far ONNX and Keras differ at most in a probability, and what lies in the job's `results` beside."""

    parity: float
    files: dict[str, File]


_EXPORTED = TypeAdapter(Exported)


def missing() -> list[str]:
    """What exporting needs and is not installed here."""
    return [name for name in MODULES if find_spec(name) is None]


def write_networks(
    model: keras.Model,
    shape: Architecture,
    shards: Sequence[Pixels],
    normalisation: Normalisation,
    test: Positions,
    folder: Path,
) -> float:
    """Write the ONNX network and the head of a Keras model that runs on TensorFlow.

    Args:
        model: the fitted one.
        shape: its architecture.
        shards: all pixels.
        normalisation: how they reach the network.
        test: positions of the test images; up to 256 of them are compared on.
        folder: where to.

    Returns:
        How far Keras and ONNX differ at most in a probability.

    Raises:
        RunError: they differ too much, or the network has no such layers.

    """
    exported = folder / NETWORKS["fp32"]
    export_onnx(model, exported, shape.features, shape.cells)
    pixels = network_input(gather(shards, test[_compared(test)]), normalisation)
    parity = check_parity(model, exported, pixels)
    if shape.cells is not None:
        head = linear_head(model, shape.cells)
        found = infer(
            exported, np.array_split(pixels, range(BATCH, len(pixels), BATCH)), [CELLS_NAME, OUTPUT_NAME]
        )
        check_head(head, found[CELLS_NAME], found[OUTPUT_NAME])
        write_head(folder / HEAD, head)
    return parity


def export_fitted(job: FitJob, report: FitReport, scratch: Path) -> Exported:
    """Export what a fit on another backend has left as Keras file, in a process that runs TensorFlow.

    Raises:
        RunError: TensorFlow is not installed here, or the exported network differs from the fitted one.

    """
    if lacking := missing():
        raise RunError(
            f"the fit is done, but {', '.join(lacking)} for exporting it to ONNX is not installed here: run the"
            " same command again on a machine with pip install 'skinml[train]'. It continues from the fit's"
            f" checkpoint in {checkpoint_url(job)}"
        )
    hashes = {name: report.files[name].model_dump_json() for name in (KERAS, PROBABILITIES)}
    task = (FIT.dump_json(job).decode(), hashes, str(scratch))
    return _EXPORTED.validate_json(run_in_process(_export, task, _nothing, {"KERAS_BACKEND": "tensorflow"}))


def _export(task: tuple[str, dict[str, str], str], emit: Callable[[], None]) -> str:
    """Export where this runs."""
    job = FIT.validate_json(task[0])
    data = {
        name: read_made(f"{job.results}/{name}", File.model_validate_json(text))
        for name, text in task[1].items()
    }
    shape = architecture(job.architecture)
    inputs = read_inputs(job.inputs, job.inputs_sha256)
    shards = map_shards(job.workspace, job.dataset_key, job.stored_as, inputs.shards, Path(task[2]))
    with tempfile.TemporaryDirectory(prefix="skinml-export-") as name:
        folder, made = Path(name), Path(name, "made")
        made.mkdir()
        (folder / KERAS).write_bytes(data[KERAS])
        model = import_keras().models.load_model(folder / KERAS, compile=False)
        parity = write_networks(model, shape, shards, shape.normalisation, inputs.test, made)
        probabilities = np.load(io.BytesIO(data[PROBABILITIES]), allow_pickle=False)
        pixels = network_input(gather(shards, inputs.test[_compared(inputs.test)]), shape.normalisation)
        parity = max(parity, _differ(made / NETWORKS["fp32"], pixels, probabilities[_compared(inputs.test)]))
        return _EXPORTED.dump_json(Exported(parity, leave(made, job.results))).decode()


def _differ(exported: Path, pixels: Any, expected: NDArray[np.float64]) -> float:
    """How far the network differs from the probabilities that the fit gave for these images."""
    pieces = np.array_split(pixels, range(BATCH, len(pixels), BATCH))
    difference = float(np.abs(infer(exported, pieces, [OUTPUT_NAME])[OUTPUT_NAME] - expected).max())
    if not difference <= PARITY_LIMIT:
        raise RunError(
            f"{exported.name} differs by {difference:.1e} in a probability from the network as it was fitted,"
            f" more than {PARITY_LIMIT:.0e}: it must not score; fit on another backend or in float32"
        )
    return difference


def _compared(test: Positions) -> NDArray[np.int64]:
    """Indices into `test` of up to 256 different images, spread over all."""
    first = np.unique(test, return_index=True)[1]
    spread = np.linspace(0, len(first) - 1, min(_PARITY_IMAGES, len(first))).astype(np.int64)
    chosen: NDArray[np.int64] = first[spread]
    return chosen


def _nothing() -> None:
    """No messages are expected."""
